//! Prepaid uses: how often an accessor may still be permitted at a campaign's cost, and what a
//! consent has earned.

pub mod cells;
#[cfg(test)]
mod tests;

#[starknet::component]
pub mod RewardBudgetsComponent {
    use core::num::traits::Zero;
    use medsync_interfaces::campaign::CampaignTerms;
    use medsync_interfaces::reward_budgets::{Budget, Errors, IRewardBudgets, PaidUses, PoolCreated};
    use medsync_interfaces::vocabulary::Reason;
    use starknet::storage::{
        Map, StorageMapReadAccess, StorageMapWriteAccess, StoragePathEntry,
        StoragePointerReadAccess, StoragePointerWriteAccess,
    };
    use starknet::syscalls::deploy_syscall;
    use starknet::{ClassHash, ContractAddress, SyscallResultTrait, get_caller_address};
    use crate::campaign::CampaignTrait;
    use crate::context::context;
    use crate::hash::SpongeTrait;
    use crate::keys::{budget_key, consent_key, paid_key};
    use super::cells::{BudgetPacking, PaidUsesPacking};

    #[storage]
    pub struct Storage {
        RewardBudgets_pool_class: ClassHash,
        RewardBudgets_pools: Map<ContractAddress, bool>,
        /// By Poseidon of campaign id and accessor.
        RewardBudgets_budgets: Map<felt252, Budget>,
        /// By Poseidon of the consent's key and campaign id.
        pub RewardBudgets_paid: Map<felt252, PaidUses>,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        PoolCreated: PoolCreated,
    }

    /// An accessor's budget while requests are decided: read when the first one gets to it, and
    /// written once.
    #[derive(Copy, Drop)]
    pub struct Spending {
        key: felt252,
        budget: Option<Budget>,
        spent: u64,
    }

    /// Nothing spent yet of an accessor's budget.
    pub fn spending(campaign: felt252, accessor: ContractAddress) -> Spending {
        Spending { key: budget_key(campaign, accessor), budget: Option::None, spent: 0 }
    }

    #[embeddable_as(RewardBudgetsImpl)]
    impl RewardBudgets<
        TContractState, +HasComponent<TContractState>,
    > of IRewardBudgets<ComponentState<TContractState>> {
        fn create_pool(
            ref self: ComponentState<TContractState>, token: ContractAddress, salt: felt252,
        ) -> ContractAddress {
            assert(token.is_non_zero(), Errors::ZERO_TOKEN);
            let context = context();
            let (creator, this) = (context.caller, context.this);
            // With the caller in the salt nobody can take another's address.
            let own_salt = SpongeTrait::new().pair(creator.into(), salt).hash();
            let calldata = [token.into(), this.into()];
            let pool_class = self.RewardBudgets_pool_class.read();
            let (pool, _) = deploy_syscall(pool_class, own_salt, calldata.span(), false)
                .unwrap_syscall();
            self.RewardBudgets_pools.write(pool, true);
            self.emit(PoolCreated { pool, token, creator, salt });
            pool
        }

        fn grant_budget(
            ref self: ComponentState<TContractState>,
            terms: CampaignTerms,
            accessor: ContractAddress,
            uses: u64,
        ) {
            self.assert_pool(@terms);
            let cell = self.RewardBudgets_budgets.entry(budget_key(terms.id(), accessor));
            let budget = cell.read();
            let rest: u64 = 0xFFFFFFFFFFFFFFFF - budget.left - budget.paid;
            assert(uses <= rest, Errors::TOO_MANY_USES);
            cell.write(Budget { left: budget.left + uses, expires_at: terms.expires_at, ..budget });
        }

        fn take_budget(
            ref self: ComponentState<TContractState>,
            terms: CampaignTerms,
            accessor: ContractAddress,
            uses: Option<u64>,
        ) -> u64 {
            self.assert_pool(@terms);
            let cell = self.RewardBudgets_budgets.entry(budget_key(terms.id(), accessor));
            let budget = cell.read();
            let uses = uses.unwrap_or(budget.left);
            assert(uses <= budget.left, Errors::TOO_FEW_USES);
            if uses != 0 {
                cell.write(Budget { left: budget.left - uses, ..budget });
            }
            uses
        }

        fn take_unsettled(
            ref self: ComponentState<TContractState>,
            terms: CampaignTerms,
            patient: ContractAddress,
            grantee: ContractAddress,
        ) -> u32 {
            self.assert_pool(@terms);
            let consent = consent_key(
                :patient, :grantee, purpose: terms.purpose, study: terms.study,
            );
            let cell = self.RewardBudgets_paid.entry(paid_key(consent, terms.id()));
            let paid_uses = cell.read();
            let unsettled = paid_uses.paid - paid_uses.settled;
            if unsettled != 0 {
                cell.write(PaidUses { settled: paid_uses.paid, ..paid_uses });
            }
            unsettled
        }

        fn take_custodian_unsettled(
            ref self: ComponentState<TContractState>,
            terms: CampaignTerms,
            accessor: ContractAddress,
        ) -> u64 {
            self.assert_pool(@terms);
            let cell = self.RewardBudgets_budgets.entry(budget_key(terms.id(), accessor));
            let budget = cell.read();
            let unsettled = budget.paid - budget.custodian_settled;
            if unsettled != 0 {
                cell.write(Budget { custodian_settled: budget.paid, ..budget });
            }
            unsettled
        }

        fn budget(
            self: @ComponentState<TContractState>, campaign: felt252, accessor: ContractAddress,
        ) -> Budget {
            self.RewardBudgets_budgets.read(budget_key(campaign, accessor))
        }

        fn paid_uses(
            self: @ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
            study: felt252,
            campaign: felt252,
        ) -> PaidUses {
            let consent = consent_key(:patient, :grantee, :purpose, :study);
            self.RewardBudgets_paid.read(paid_key(consent, campaign))
        }

        fn is_pool(self: @ComponentState<TContractState>, pool: ContractAddress) -> bool {
            self.RewardBudgets_pools.read(pool)
        }

        fn pool_class_hash(self: @ComponentState<TContractState>) -> felt252 {
            self.RewardBudgets_pool_class.read().into()
        }
    }

    #[generate_trait]
    pub impl InternalImpl<
        TContractState, +HasComponent<TContractState>,
    > of InternalTrait<TContractState> {
        /// Fixes the class of all pools. For the constructor only.
        fn initialize(ref self: ComponentState<TContractState>, pool_class: ClassHash) {
            assert(pool_class.is_non_zero(), Errors::ZERO_CLASS);
            self.RewardBudgets_pool_class.write(pool_class);
        }

        /// What is left of a budget.
        fn left(
            self: @ComponentState<TContractState>, campaign: felt252, accessor: ContractAddress,
        ) -> u64 {
            self.RewardBudgets_budgets.read(budget_key(campaign, accessor)).left
        }

        /// Reserves the pay of one permitted access, or says why not.
        fn reserve(
            self: @ComponentState<TContractState>, ref spending: Spending, now: u64,
        ) -> Reason {
            let budget = match spending.budget {
                Option::Some(budget) => budget,
                Option::None => {
                    let budget = self.RewardBudgets_budgets.read(spending.key);
                    spending.budget = Option::Some(budget);
                    budget
                },
            };
            if budget.left == spending.spent {
                return Reason::RewardUnfunded;
            }
            if now >= budget.expires_at {
                return Reason::CampaignExpired;
            }
            spending.spent += 1;
            Reason::Granted
        }

        /// Writes what was reserved of a budget.
        fn charge(ref self: ComponentState<TContractState>, spending: Spending) {
            let Spending { key, budget, spent } = spending;
            if spent == 0 {
                return;
            }
            if let Option::Some(budget) = budget {
                self
                    .RewardBudgets_budgets
                    .write(
                        key,
                        Budget { left: budget.left - spent, paid: budget.paid + spent, ..budget },
                    );
            }
        }

        /// What a campaign owes for a consent, by the key of both.
        fn paid_at(self: @ComponentState<TContractState>, key: felt252) -> PaidUses {
            self.RewardBudgets_paid.read(key)
        }

        /// Has the record's new version name the campaign. Only version and base change: a fresh
        /// cell would lose what is not settled.
        fn name_campaign(
            ref self: ComponentState<TContractState>,
            key: felt252,
            paid_uses: PaidUses,
            version: u32,
        ) {
            self
                .RewardBudgets_paid
                .write(key, PaidUses { version, base: paid_uses.paid, ..paid_uses });
        }

        /// The caller must be the pool that the terms name, and one that was deployed here. Budgets
        /// and paid uses belong to the hash of the terms, so no pool reaches another's.
        fn assert_pool(self: @ComponentState<TContractState>, terms: @CampaignTerms) {
            let caller = get_caller_address();
            assert(caller == *terms.pool, Errors::NOT_POOL);
            assert(self.RewardBudgets_pools.read(caller), Errors::NOT_POOL);
        }
    }
}

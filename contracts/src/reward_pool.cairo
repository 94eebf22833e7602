//! Money: campaigns that funders pay for in advance and credits that patients and hospitals draw.
//!
//! A pool holds one ERC-20 and belongs to the `MedSync` that deployed it. Nobody can upgrade, pause
//! or empty it: every unit pays for uses that are left or not settled yet, or is somebody's credit,
//! and leaves only by a withdrawal of its owner.

pub mod cells;
#[cfg(test)]
mod tests;
use medsync_interfaces::reward_pool::MAX_LIABILITIES;
use starknet::ContractAddress;

/// The part of ERC-20 (SNIP-2) the pool uses.
#[starknet::interface]
pub trait IERC20<TState> {
    fn balance_of(self: @TState, account: ContractAddress) -> u256;
    fn transfer(ref self: TState, recipient: ContractAddress, amount: u256) -> bool;
    fn transfer_from(
        ref self: TState, sender: ContractAddress, recipient: ContractAddress, amount: u256,
    ) -> bool;
}

/// How one payment is shared: `(patient, custodian)`. The custodian's part is rounded down, the
/// patient gets the rest, so the two add up to the rate exactly.
///
/// Exact for every `u128` rate: the rate is divided before it is multiplied, and the remainder is
/// shared on its own.
pub fn shares(rate: u128, custodian_bps: u16) -> (u128, u128) {
    let (whole, rest) = DivRem::div_rem(rate, 10_000);
    let bps: u128 = custodian_bps.into();
    let custodian = whole * bps + rest * bps / 10_000;
    (rate - custodian, custodian)
}

/// What was withdrawn after another `amount`, up to the last value that fits: a credit can be drawn
/// for ever.
pub fn withdrawn_after(withdrawn: u128, amount: u128) -> u128 {
    let room = MAX_LIABILITIES - withdrawn;
    if amount < room {
        withdrawn + amount
    } else {
        MAX_LIABILITIES
    }
}

#[starknet::contract]
pub mod RewardPool {
    use core::ec::EcPointTrait;
    use core::ecdsa::check_ecdsa_signature;
    use core::num::traits::Zero;
    use medsync_interfaces::campaign::CampaignTerms;
    use medsync_interfaces::reward_budgets::{
        IRewardBudgetsDispatcher, IRewardBudgetsDispatcherTrait,
    };
    use medsync_interfaces::reward_pool::{
        AllowanceDecreased, AllowanceIncreased, BPS, CLOSE_NOTICE, CLOSE_WINDOW, Campaign,
        CampaignCloseAnnounced, CampaignClosed, CampaignOpened, CampaignStatus, Claim,
        CustodianSettled, DRAW_TAG, Errors, IREWARD_POOL_ID, IRewardPool, KeyCredit,
        KeyCreditWithdrawn, MAX_CLAIMS, MAX_LIABILITIES, Payee, RewardDeposited, RewardSettled,
        RewardSpent, RewardWithdrawn,
    };
    use medsync_interfaces::src5::{ISRC5, ISRC5_ID};
    use starknet::storage::{
        Map, StorageMapReadAccess, StorageMapWriteAccess, StoragePathEntry,
        StoragePointerReadAccess, StoragePointerWriteAccess,
    };
    use starknet::{ContractAddress, get_contract_address};
    use crate::campaign::CampaignTrait;
    use crate::context::{Context, context};
    use crate::hash::SpongeTrait;
    use crate::packing::MAX_TIME;
    use crate::vocabulary::is_purpose;
    use super::cells::{Credit, CreditPacking, Funding, FundingPacking, KeyCreditPacking};
    use super::{IERC20Dispatcher, IERC20DispatcherTrait, shares, withdrawn_after};

    #[storage]
    struct Storage {
        token: ContractAddress,
        medsync: ContractAddress,
        campaigns: Map<felt252, Funding>,
        credits: Map<ContractAddress, Credit>,
        key_credits: Map<felt252, KeyCredit>,
        liabilities: u128,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        CampaignOpened: CampaignOpened,
        RewardDeposited: RewardDeposited,
        AllowanceIncreased: AllowanceIncreased,
        AllowanceDecreased: AllowanceDecreased,
        RewardSettled: RewardSettled,
        CustodianSettled: CustodianSettled,
        RewardWithdrawn: RewardWithdrawn,
        RewardSpent: RewardSpent,
        KeyCreditWithdrawn: KeyCreditWithdrawn,
        CampaignCloseAnnounced: CampaignCloseAnnounced,
        CampaignClosed: CampaignClosed,
    }

    /// Binds the pool to its token and to the `MedSync` that deploys it. The token is not asked: a
    /// wrong one only makes every deposit fail.
    ///
    /// Errors:
    /// - `POOL/ZERO_ADDRESS`
    #[constructor]
    fn constructor(ref self: ContractState, token: ContractAddress, medsync: ContractAddress) {
        assert(token.is_non_zero() && medsync.is_non_zero(), Errors::ZERO_ADDRESS);
        self.token.write(token);
        self.medsync.write(medsync);
    }

    #[abi(embed_v0)]
    impl RewardPool of IRewardPool<ContractState> {
        fn deposit(ref self: ContractState, terms: CampaignTerms, amount: u128) {
            let Context { caller, this, now, .. } = context();
            let id = assert_funder(@terms, caller, this);
            assert(amount != 0, Errors::ZERO_AMOUNT);
            assert_terms(@terms, this, now);
            let (uses, rest) = DivRem::div_rem(amount, terms.rate.try_into().unwrap());
            assert(rest == 0, Errors::NOT_A_MULTIPLE);
            let uses: u64 = uses.try_into().expect(Errors::TOO_MANY_USES);
            let cell = self.campaigns.entry(id);
            let funding = cell.read();
            assert(funding.status != CampaignStatus::Closed, Errors::CAMPAIGN_CLOSED);
            assert(uses <= 0xFFFFFFFFFFFFFFFF - funding.granted, Errors::TOO_MANY_USES);
            let liabilities = self.liabilities.read();
            assert(amount <= MAX_LIABILITIES - liabilities, Errors::LIABILITY_CAP);
            cell
                .write(
                    Funding {
                        granted: funding.granted + uses,
                        closing_at: 0,
                        status: CampaignStatus::Open,
                        ..funding,
                    },
                );
            self.liabilities.write(liabilities + amount);
            if funding.status == CampaignStatus::None {
                let purpose = terms.purpose;
                self.emit(CampaignOpened { campaign: id, funder: caller, purpose, terms });
            }
            self.emit(RewardDeposited { campaign: id, funder: caller, amount, uses });

            let token = IERC20Dispatcher { contract_address: self.token.read() };
            assert(token.transfer_from(caller, this, amount.into()), Errors::TRANSFER_FAILED);
            // The books are read again: a token that called back may have changed them.
            let liabilities = self.liabilities.read();
            assert(token.balance_of(this) >= liabilities.into(), Errors::SHORTFALL);
            // Last, so that nothing is spent that is not there. A campaign of another spender has
            // no budgets: what it may spend is what was granted.
            if terms.spender.is_zero() {
                self.budgets().grant_budget(terms, accessor: caller, :uses);
            }
        }

        fn increase_allowance(
            ref self: ContractState, terms: CampaignTerms, accessor: ContractAddress, uses: u64,
        ) {
            let (campaign, funding) = self.assert_allowance(@terms, accessor);
            assert(funding.status == CampaignStatus::Open, Errors::NOT_OPEN);
            assert(uses != 0, Errors::ZERO_AMOUNT);
            let budgets = self.budgets();
            budgets.take_budget(terms, accessor: terms.funder, uses: Option::Some(uses));
            budgets.grant_budget(terms, :accessor, :uses);
            self.emit(AllowanceIncreased { campaign, accessor, uses });
        }

        fn decrease_allowance(
            ref self: ContractState, terms: CampaignTerms, accessor: ContractAddress, uses: u64,
        ) {
            self.take_back(terms, accessor, Option::Some(uses));
        }

        fn revoke_allowance(
            ref self: ContractState, terms: CampaignTerms, accessor: ContractAddress,
        ) -> u64 {
            self.take_back(terms, accessor, Option::None)
        }

        fn announce_close(ref self: ContractState, terms: CampaignTerms) {
            let context = context();
            let (campaign, funding) = self.assert_open(context, @terms);
            let closing_at = context.now + CLOSE_NOTICE;
            self.campaigns.write(campaign, Funding { closing_at, ..funding });
            self.emit(CampaignCloseAnnounced { campaign, closing_at });
        }

        fn close_campaign(ref self: ContractState, terms: CampaignTerms) {
            let context = context();
            let now = context.now;
            let (campaign, funding) = self.assert_open(context, @terms);
            if now < terms.expires_at {
                let closing_at = funding.closing_at;
                assert(closing_at != 0 && now >= closing_at, Errors::CLOSE_TOO_EARLY);
                assert(now < closing_at + CLOSE_WINDOW, Errors::CLOSE_TOO_LATE);
            }
            let funding = Funding { status: CampaignStatus::Closed, ..funding };
            let uses = if terms.spender.is_zero() {
                self.budgets().take_budget(terms, accessor: terms.funder, uses: Option::None)
            } else {
                left_of(funding)
            };
            let refunded = self.refund(campaign, funding, @terms, uses);
            self.emit(CampaignClosed { campaign, uses, refunded });
        }

        fn settle(
            ref self: ContractState,
            patient: ContractAddress,
            grantee: ContractAddress,
            terms: CampaignTerms,
        ) -> u32 {
            self.settle_claim(context().this, patient, Claim { grantee, terms })
        }

        fn settle_custodian(
            ref self: ContractState, terms: CampaignTerms, accessor: ContractAddress,
        ) -> u64 {
            assert(terms.pool == context().this, Errors::WRONG_POOL);
            let custodian = terms.custodian;
            assert(custodian.is_non_zero(), Errors::NO_CUSTODIAN);
            let uses = self.budgets().take_custodian_unsettled(terms, :accessor);
            if uses != 0 {
                let (_, share) = shares(terms.rate, terms.custodian_bps);
                let share = share * uses.into();
                self.credit(custodian, share);
                let campaign = terms.id();
                self.emit(CustodianSettled { campaign, custodian, accessor, uses, share });
            }
            uses
        }

        fn withdraw(
            ref self: ContractState, amount: u128, recipient: ContractAddress, claims: Array<Claim>,
        ) {
            let Context { caller: owner, this, .. } = context();
            assert(claims.len() <= MAX_CLAIMS, Errors::TOO_MANY_CLAIMS);
            for claim in claims {
                self.settle_claim(this, owner, claim);
            }
            let cell = self.credits.entry(owner);
            let Credit { claimable, withdrawn } = cell.read();
            assert_draw(amount, claimable, recipient, this);
            cell
                .write(
                    Credit {
                        claimable: claimable - amount,
                        withdrawn: withdrawn_after(withdrawn, amount),
                    },
                );
            self.emit(RewardWithdrawn { owner, recipient, amount });
            self.pay_out(amount, recipient);
        }

        fn spend(ref self: ContractState, terms: CampaignTerms, payee: Payee) {
            let Context { caller: spender, this, now, .. } = context();
            assert(terms.pool == this, Errors::WRONG_POOL);
            assert(spender == terms.spender, Errors::NOT_SPENDER);
            assert(now < terms.expires_at, Errors::CAMPAIGN_EXPIRED);
            let campaign = terms.id();
            let cell = self.campaigns.entry(campaign);
            let funding = cell.read();
            assert(left_of(funding) != 0, Errors::NOTHING_LEFT);
            cell.write(Funding { spent: funding.spent + 1, ..funding });
            let (payee_share, custodian_share) = shares(terms.rate, terms.custodian_bps);
            match payee {
                Payee::Account(account) => {
                    assert(account.is_non_zero() && account != this, Errors::BAD_PAYEE);
                    self.credit(account, payee_share);
                },
                Payee::Key(key) => {
                    assert(EcPointTrait::new_from_x(key).is_some(), Errors::BAD_PAYEE);
                    let cell = self.key_credits.entry(key);
                    let KeyCredit { claimable, nonce } = cell.read();
                    cell.write(KeyCredit { claimable: claimable + payee_share, nonce });
                },
            }
            self.credit(terms.custodian, custodian_share);
            self.emit(RewardSpent { campaign, spender, payee, payee_share, custodian_share });
        }

        fn withdraw_by_key(
            ref self: ContractState,
            key: felt252,
            amount: u128,
            recipient: ContractAddress,
            signature_r: felt252,
            signature_s: felt252,
        ) {
            let Context { this, chain_id, .. } = context();
            let cell = self.key_credits.entry(key);
            let KeyCredit { claimable, nonce } = cell.read();
            assert_draw(amount, claimable, recipient, this);
            let message = SpongeTrait::new()
                .pair(DRAW_TAG, chain_id)
                .pair(this.into(), key)
                .pair(amount.into(), recipient.into())
                .hash_with(nonce.into());
            let is_signed = check_ecdsa_signature(message, key, signature_r, signature_s);
            assert(is_signed, Errors::BAD_SIGNATURE);
            cell.write(KeyCredit { claimable: claimable - amount, nonce: nonce + 1 });
            self.emit(KeyCreditWithdrawn { key, recipient, amount, nonce });
            self.pay_out(amount, recipient);
        }

        fn token(self: @ContractState) -> ContractAddress {
            self.token.read()
        }

        fn medsync(self: @ContractState) -> ContractAddress {
            self.medsync.read()
        }

        fn campaign(self: @ContractState, terms: CampaignTerms) -> Campaign {
            let id = terms.id();
            let Funding { granted, taken, closing_at, spent, status } = self.campaigns.read(id);
            Campaign { id, status, granted, taken, spent, closing_at }
        }

        fn accepts_consents(self: @ContractState, campaign: felt252) -> bool {
            let Funding { closing_at, status, .. } = self.campaigns.read(campaign);
            let is_announced = closing_at != 0 && context().now < closing_at + CLOSE_WINDOW;
            status == CampaignStatus::Open && !is_announced
        }

        fn claimable(self: @ContractState, owner: ContractAddress) -> u128 {
            self.credits.read(owner).claimable
        }

        fn withdrawn(self: @ContractState, owner: ContractAddress) -> u128 {
            self.credits.read(owner).withdrawn
        }

        fn accumulated(self: @ContractState, owner: ContractAddress) -> u128 {
            let Credit { claimable, withdrawn } = self.credits.read(owner);
            claimable + withdrawn
        }

        fn unsettled(self: @ContractState, patient: ContractAddress, claims: Array<Claim>) -> u128 {
            let (budgets, this) = (self.budgets(), get_contract_address());
            let mut sum = 0;
            for Claim { grantee, terms } in claims {
                assert(terms.pool == this, Errors::WRONG_POOL);
                let CampaignTerms { purpose, study, .. } = terms;
                let paid = budgets
                    .paid_uses(:patient, :grantee, :purpose, :study, campaign: terms.id());
                // Whatever the terms say, where nothing was paid by them nothing is owed.
                if paid.paid != paid.settled {
                    let (share, _) = shares(terms.rate, terms.custodian_bps);
                    sum += share * (paid.paid - paid.settled).into();
                }
            }
            sum
        }

        fn key_credit(self: @ContractState, key: felt252) -> KeyCredit {
            self.key_credits.read(key)
        }

        fn liabilities(self: @ContractState) -> u128 {
            self.liabilities.read()
        }
    }

    #[abi(embed_v0)]
    impl SRC5 of ISRC5<ContractState> {
        fn supports_interface(self: @ContractState, interface_id: felt252) -> bool {
            interface_id == IREWARD_POOL_ID || interface_id == ISRC5_ID
        }
    }

    #[generate_trait]
    impl Internal of InternalTrait {
        fn budgets(self: @ContractState) -> IRewardBudgetsDispatcher {
            IRewardBudgetsDispatcher { contract_address: self.medsync.read() }
        }

        /// Takes uses back from an accessor: into the funder's own budget, or, of a closed
        /// campaign, into its credit.
        fn take_back(
            ref self: ContractState,
            terms: CampaignTerms,
            accessor: ContractAddress,
            uses: Option<u64>,
        ) -> u64 {
            let (campaign, funding) = self.assert_allowance(@terms, accessor);
            assert(funding.status != CampaignStatus::None, Errors::NOT_FUNDED);
            assert(uses != Option::Some(0), Errors::ZERO_AMOUNT);
            let budgets = self.budgets();
            let uses = budgets.take_budget(terms, :accessor, :uses);
            if uses == 0 {
                return 0;
            }
            let refunded = if funding.status == CampaignStatus::Closed {
                self.refund(campaign, funding, @terms, uses)
            } else {
                budgets.grant_budget(terms, accessor: terms.funder, :uses);
                0
            };
            self.emit(AllowanceDecreased { campaign, accessor, uses, refunded });
            uses
        }

        /// Turns uses that were taken back into the funder's credit.
        fn refund(
            ref self: ContractState,
            campaign: felt252,
            funding: Funding,
            terms: @CampaignTerms,
            uses: u64,
        ) -> u128 {
            self.campaigns.write(campaign, Funding { taken: funding.taken + uses, ..funding });
            let refunded = *terms.rate * uses.into();
            self.credit(*terms.funder, refunded);
            refunded
        }

        /// Credits a patient with what a campaign owes for a consent.
        fn settle_claim(
            ref self: ContractState, this: ContractAddress, patient: ContractAddress, claim: Claim,
        ) -> u32 {
            let Claim { grantee, terms } = claim;
            assert(terms.pool == this, Errors::WRONG_POOL);
            let uses = self.budgets().take_unsettled(terms, :patient, :grantee);
            if uses != 0 {
                let (share, _) = shares(terms.rate, terms.custodian_bps);
                let share = share * uses.into();
                self.credit(patient, share);
                let (campaign, study) = (terms.id(), terms.study);
                self.emit(RewardSettled { campaign, patient, grantee, study, uses, share });
            }
            uses
        }

        /// Adds to somebody's credit; liabilities stay as they are, the money only changes its
        /// owner inside the pool.
        fn credit(ref self: ContractState, owner: ContractAddress, amount: u128) {
            if amount == 0 {
                return;
            }
            let cell = self.credits.entry(owner);
            let Credit { claimable, withdrawn } = cell.read();
            cell.write(Credit { claimable: claimable + amount, withdrawn });
        }

        /// Sends what is no credit any more.
        fn pay_out(ref self: ContractState, amount: u128, recipient: ContractAddress) {
            self.liabilities.write(self.liabilities.read() - amount);
            let token = IERC20Dispatcher { contract_address: self.token.read() };
            assert(token.transfer(recipient, amount.into()), Errors::TRANSFER_FAILED);
        }

        fn assert_open(
            self: @ContractState, context: Context, terms: @CampaignTerms,
        ) -> (felt252, Funding) {
            let campaign = assert_funder(terms, context.caller, context.this);
            let funding = self.campaigns.read(campaign);
            assert(funding.status == CampaignStatus::Open, Errors::NOT_OPEN);
            (campaign, funding)
        }

        /// What must hold of any move between the funder's budget and an accessor's.
        fn assert_allowance(
            self: @ContractState, terms: @CampaignTerms, accessor: ContractAddress,
        ) -> (felt252, Funding) {
            let Context { caller, this, .. } = context();
            let campaign = assert_funder(terms, caller, this);
            assert((*terms.spender).is_zero(), Errors::OTHER_SPENDER);
            assert(accessor.is_non_zero() && accessor != caller, Errors::BAD_ACCESSOR);
            (campaign, self.campaigns.read(campaign))
        }
    }

    /// What a campaign's own spender may still spend.
    fn left_of(funding: Funding) -> u64 {
        funding.granted - funding.taken - funding.spent
    }

    /// The id of terms that name this pool and the caller as funder.
    fn assert_funder(
        terms: @CampaignTerms, caller: ContractAddress, this: ContractAddress,
    ) -> felt252 {
        assert(*terms.pool == this, Errors::WRONG_POOL);
        assert(*terms.funder == caller, Errors::NOT_FUNDER);
        terms.id()
    }

    /// What must hold of the terms of any campaign that takes money.
    fn assert_terms(terms: @CampaignTerms, this: ContractAddress, now: u64) {
        assert(is_purpose(*terms.purpose), Errors::BAD_PURPOSE);
        assert(*terms.rate != 0, Errors::ZERO_RATE);
        assert(*terms.custodian_bps <= BPS, Errors::BAD_BPS);
        let has_share = *terms.custodian_bps != 0;
        let is_named = (*terms.custodian).is_non_zero();
        assert(is_named == has_share && *terms.custodian != this, Errors::BAD_CUSTODIAN);
        assert(now < *terms.expires_at, Errors::CAMPAIGN_EXPIRED);
        assert(*terms.expires_at <= MAX_TIME, Errors::TIME_RANGE);
    }

    /// What must hold of any draw of a credit.
    fn assert_draw(
        amount: u128, claimable: u128, recipient: ContractAddress, this: ContractAddress,
    ) {
        assert(amount != 0, Errors::ZERO_AMOUNT);
        assert(recipient.is_non_zero() && recipient != this, Errors::BAD_RECIPIENT);
        assert(amount <= claimable, Errors::INSUFFICIENT_CREDIT);
    }
}

//! Prepaid uses: how often an accessor may still be permitted at a campaign's cost, and what a
//! consent has earned. Nobody is called and no token moves when data is asked for; pools settle
//! later.

use starknet::ContractAddress;
use crate::campaign::CampaignTerms;

/// What one accessor may spend of one campaign, and did, in uses; packed into one cell.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Budget {
    /// Uses that are paid for and not spent.
    pub left: u64,
    /// Uses that were spent: permitted accesses.
    pub paid: u64,
    /// Unix seconds from which nothing is spent any more: the campaign's end; zero for a budget
    /// that never had anything.
    pub expires_at: u64,
    /// How many of `paid` the custodian's share was credited for.
    pub custodian_settled: u64,
}

/// What one campaign owes for one consent, in uses; packed into one cell.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct PaidUses {
    /// Version of the consent's record that last named the campaign: the record names it while the
    /// two are equal.
    pub version: u32,
    /// Permitted accesses that the campaign paid for, whatever was renewed in between.
    pub paid: u32,
    /// `paid` when the consent was last given: the difference is the consent's uses.
    pub base: u32,
    /// How many of `paid` the patient's share was credited for.
    pub settled: u32,
}

/// SRC-5 id: XOR of the extended selectors of `IRewardBudgets` (SNIP-5).
pub const IREWARD_BUDGETS_ID: felt252 =
    0x140b45c21bac14ec8a698bae2b3413cd21023c294f3d48529e4ebb1267c9b9b;

/// Pools, budgets and paid uses.
#[starknet::interface]
pub trait IRewardBudgets<TState> {
    /// Deploys a pool for a token. Only such a pool can hold budgets, because its storage is known
    /// from its first second on; that its token is worth anything is not promised. The address
    /// depends on the caller, the token and the salt.
    ///
    /// Preconditions:
    /// - `token` is not zero
    /// - the caller has made no pool for this token with this salt
    ///
    /// Effects:
    /// - deploys a `RewardPool` and writes that it is a pool (new)
    ///
    /// Emits:
    /// - `PoolCreated`
    ///
    /// Errors:
    /// - `BUDGET/ZERO_TOKEN`
    ///
    /// Access:
    /// - anyone
    fn create_pool(ref self: TState, token: ContractAddress, salt: felt252) -> ContractAddress;

    /// Adds uses to an accessor's budget.
    ///
    /// Preconditions:
    /// - uses left and spent together stay below 2^64
    ///
    /// Effects:
    /// - writes the budget (new for an accessor's first)
    ///
    /// Errors:
    /// - `BUDGET/NOT_POOL`, `BUDGET/TOO_MANY_USES`
    ///
    /// Access:
    /// - the pool that the terms name
    fn grant_budget(ref self: TState, terms: CampaignTerms, accessor: ContractAddress, uses: u64);

    /// Takes uses back from an accessor's budget, all that are left for `None`, and says how many.
    ///
    /// Preconditions:
    /// - at least as many are left
    ///
    /// Effects:
    /// - writes the budget
    ///
    /// Errors:
    /// - `BUDGET/NOT_POOL`, `BUDGET/TOO_FEW_USES`
    ///
    /// Access:
    /// - the pool that the terms name
    fn take_budget(
        ref self: TState, terms: CampaignTerms, accessor: ContractAddress, uses: Option<u64>,
    ) -> u64;

    /// Marks every use that a campaign owes the patient for a consent as settled and says how many
    /// there were; whatever became of consent, entity or campaign meanwhile.
    ///
    /// Effects:
    /// - writes the paid uses, if there were any
    ///
    /// Errors:
    /// - `BUDGET/NOT_POOL`
    ///
    /// Access:
    /// - the pool that the terms name
    fn take_unsettled(
        ref self: TState, terms: CampaignTerms, patient: ContractAddress, grantee: ContractAddress,
    ) -> u32;

    /// Marks every use that a campaign owes its custodian for an accessor as settled and says how
    /// many there were.
    ///
    /// Effects:
    /// - writes the budget, if there were any
    ///
    /// Errors:
    /// - `BUDGET/NOT_POOL`
    ///
    /// Access:
    /// - the pool that the terms name
    fn take_custodian_unsettled(
        ref self: TState, terms: CampaignTerms, accessor: ContractAddress,
    ) -> u64;

    /// An accessor's budget of the campaign with id `campaign`.
    ///
    /// Access:
    /// - anyone (view)
    fn budget(self: @TState, campaign: felt252, accessor: ContractAddress) -> Budget;

    /// What the campaign with id `campaign` owes for a consent.
    ///
    /// Access:
    /// - anyone (view)
    fn paid_uses(
        self: @TState,
        patient: ContractAddress,
        grantee: ContractAddress,
        purpose: felt252,
        study: felt252,
        campaign: felt252,
    ) -> PaidUses;

    /// Whether this contract deployed the pool.
    ///
    /// Access:
    /// - anyone (view)
    fn is_pool(self: @TState, pool: ContractAddress) -> bool;

    /// Class hash of the pools that this contract deploys.
    ///
    /// Access:
    /// - anyone (view)
    fn pool_class_hash(self: @TState) -> felt252;
}

/// `creator` made a pool for a token.
#[derive(Drop, starknet::Event)]
pub struct PoolCreated {
    #[key]
    pub pool: ContractAddress,
    #[key]
    pub token: ContractAddress,
    pub creator: ContractAddress,
    pub salt: felt252,
}

pub mod Errors {
    /// The token is zero.
    pub const ZERO_TOKEN: felt252 = 'BUDGET/ZERO_TOKEN';
    /// The class hash of the pools is zero.
    pub const ZERO_CLASS: felt252 = 'BUDGET/ZERO_CLASS';
    /// The caller is not the pool that the terms name, or not one that this contract deployed.
    pub const NOT_POOL: felt252 = 'BUDGET/NOT_POOL';
    /// A budget's uses, left and spent together, must stay below 2^64.
    pub const TOO_MANY_USES: felt252 = 'BUDGET/TOO_MANY_USES';
    /// The budget has fewer uses left.
    pub const TOO_FEW_USES: felt252 = 'BUDGET/TOO_FEW_USES';
}

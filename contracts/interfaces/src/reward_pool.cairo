//! Money: campaigns that funders pay for in advance and credits that patients and hospitals draw.

use starknet::ContractAddress;
use crate::campaign::CampaignTerms;

/// Where a campaign stands. `None`: nothing was ever deposited for these terms.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub enum CampaignStatus {
    None,
    Open,
    Closed,
}

/// A campaign as anyone may see it. What is left of it lies in budgets: in MedSync's for each
/// accessor, or with the spender that its terms name.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Campaign {
    pub id: felt252,
    pub status: CampaignStatus,
    /// Uses that were ever deposited for.
    pub granted: u64,
    /// Uses that were taken back and paid out to the funder.
    pub taken: u64,
    /// Uses that a spender other than MedSync spent.
    pub spent: u64,
    /// Unix seconds from which the funder may close it after notice; zero without notice.
    pub closing_at: u64,
}

/// A consent whose unsettled uses are asked for: the caller's, or the given patient's.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Claim {
    pub grantee: ContractAddress,
    pub terms: CampaignTerms,
}

/// Whom a spender pays: an account, or whoever holds a key on the STARK curve (its x coordinate).
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub enum Payee {
    Account: ContractAddress,
    Key: felt252,
}

/// What a pool owes to the holder of a key, packed into one cell.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct KeyCredit {
    pub claimable: u128,
    /// What the next signature that draws must carry, from 0.
    pub nonce: u64,
}

/// Seconds a funder must announce the closing of an unexpired campaign ahead: 7 days.
pub const CLOSE_NOTICE: u64 = 604_800;

/// Seconds for which an announced closing stays possible: 30 days.
pub const CLOSE_WINDOW: u64 = 2_592_000;

/// Largest sum that a pool ever owes: 2^123 − 1.
pub const MAX_LIABILITIES: u128 = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFF;

/// Most claims settled by one withdrawal.
pub const MAX_CLAIMS: u32 = 50;

/// Basis points of a whole.
pub const BPS: u16 = 10_000;

/// First felt of what the holder of a key signs to draw its credit.
pub const DRAW_TAG: felt252 = 'MEDSYNC/DRAW/1';

/// SRC-5 id: XOR of the extended selectors of `IRewardPool` (SNIP-5).
pub const IREWARD_POOL_ID: felt252 =
    0x1eb7c5d7c5580489cda6aacc1e37f50f1a037c9592d644c6b68eff182fed07a;

/// Campaigns with a fixed price per permitted access, paid in advance, and a ledger of credits.
///
/// The money of a permitted access is reserved in the transaction that permits it: it cannot go
/// back to the funder any more, whether or not the data is delivered. Anyone can settle it into the
/// patient's and the custodian's credit at any time.
#[starknet::interface]
pub trait IRewardPool<TState> {
    /// Pays for uses of a campaign in advance; the first deposit opens it. They go into the
    /// funder's own budget. Takes back an announced closing.
    ///
    /// Preconditions:
    /// - the terms name this pool and the caller as funder, a known purpose, a rate, at most 10,000
    ///   basis points, and a custodian that is not the pool exactly if it has a share
    /// - the terms have not expired, and expire by 2^40 - 1
    /// - `amount` is a multiple of the rate, not zero, for less than 2^64 uses in all
    /// - the campaign is not closed
    /// - the caller has approved the pool for `amount`
    ///
    /// Effects:
    /// - writes the campaign (new on the first deposit) and the liabilities
    /// - takes the tokens and checks that the pool still holds at least what it owes, so a token
    ///   that takes a fee or lies cannot open a hole
    /// - grows the funder's budget in MedSync, last
    ///
    /// Emits:
    /// - `CampaignOpened` on the first deposit, `RewardDeposited`
    ///
    /// Errors:
    /// - `POOL/WRONG_POOL`, `POOL/NOT_FUNDER`, `POOL/ZERO_AMOUNT`, `POOL/BAD_PURPOSE`,
    ///   `POOL/ZERO_RATE`, `POOL/BAD_BPS`, `POOL/BAD_CUSTODIAN`, `POOL/CAMPAIGN_EXPIRED`,
    ///   `POOL/TIME_RANGE`, `POOL/NOT_A_MULTIPLE`, `POOL/CAMPAIGN_CLOSED`,
    ///   `POOL/TOO_MANY_USES`, `POOL/LIABILITY_CAP`, `POOL/TRANSFER_FAILED`, `POOL/SHORTFALL`,
    ///   `BUDGET/TOO_MANY_USES`
    ///
    /// Access:
    /// - the funder
    fn deposit(ref self: TState, terms: CampaignTerms, amount: u128);

    /// Moves uses from the funder's own budget to an accessor's.
    ///
    /// Preconditions:
    /// - the terms name this pool, the caller as funder and MedSync as spender
    /// - the campaign is open
    /// - `accessor` is neither zero nor the funder
    /// - `uses` is not zero, and the funder's budget has as many left
    ///
    /// Effects:
    /// - writes both budgets (new for an accessor's first)
    ///
    /// Emits:
    /// - `AllowanceIncreased`
    ///
    /// Errors:
    /// - `POOL/WRONG_POOL`, `POOL/NOT_FUNDER`, `POOL/OTHER_SPENDER`, `POOL/BAD_ACCESSOR`,
    ///   `POOL/NOT_OPEN`, `POOL/ZERO_AMOUNT`, `BUDGET/TOO_FEW_USES`, `BUDGET/TOO_MANY_USES`
    ///
    /// Access:
    /// - the funder
    fn increase_allowance(
        ref self: TState, terms: CampaignTerms, accessor: ContractAddress, uses: u64,
    );

    /// Takes uses back from an accessor's budget into the funder's own; of a closed campaign, into
    /// the funder's credit.
    ///
    /// Preconditions:
    /// - as for `increase_allowance`, except that the campaign may be closed
    /// - the accessor's budget has as many left
    ///
    /// Effects:
    /// - writes both budgets; of a closed campaign the accessor's budget, the campaign and the
    ///   funder's credit
    ///
    /// Emits:
    /// - `AllowanceDecreased`
    ///
    /// Errors:
    /// - `POOL/WRONG_POOL`, `POOL/NOT_FUNDER`, `POOL/OTHER_SPENDER`, `POOL/BAD_ACCESSOR`,
    ///   `POOL/NOT_FUNDED`, `POOL/ZERO_AMOUNT`, `BUDGET/TOO_FEW_USES`
    ///
    /// Access:
    /// - the funder
    fn decrease_allowance(
        ref self: TState, terms: CampaignTerms, accessor: ContractAddress, uses: u64,
    );

    /// `decrease_allowance` by whatever is left, which an accessor cannot make fail by spending one
    /// more use. Returns how many uses it took; nothing happens if there is none.
    ///
    /// Preconditions:
    /// - as for `decrease_allowance`
    ///
    /// Effects:
    /// - as for `decrease_allowance`
    ///
    /// Emits:
    /// - `AllowanceDecreased`, if anything was left
    ///
    /// Errors:
    /// - `POOL/WRONG_POOL`, `POOL/NOT_FUNDER`, `POOL/OTHER_SPENDER`, `POOL/BAD_ACCESSOR`,
    ///   `POOL/NOT_FUNDED`
    ///
    /// Access:
    /// - the funder
    fn revoke_allowance(ref self: TState, terms: CampaignTerms, accessor: ContractAddress) -> u64;

    /// Announces that the campaign will be closed before it expires: it can be from `CLOSE_NOTICE`
    /// on, for `CLOSE_WINDOW`, unless a deposit takes that back. Until then no consent can newly
    /// name it. What is not promised: the funder can take allowances back at any time, its own
    /// budget may be empty, and the terms may expire sooner. Announcing again starts the notice
    /// anew.
    ///
    /// Preconditions:
    /// - the terms name this pool and the caller as funder
    /// - the campaign is open
    ///
    /// Effects:
    /// - writes the campaign
    ///
    /// Emits:
    /// - `CampaignCloseAnnounced`
    ///
    /// Errors:
    /// - `POOL/WRONG_POOL`, `POOL/NOT_FUNDER`, `POOL/NOT_OPEN`
    ///
    /// Access:
    /// - the funder
    fn announce_close(ref self: TState, terms: CampaignTerms);

    /// Closes the campaign for good and turns the funder's own budget into its credit. Accessors'
    /// budgets stay usable until the terms expire or the funder takes them back.
    ///
    /// Preconditions:
    /// - the terms name this pool and the caller as funder
    /// - the campaign is open
    /// - it has expired, or its notice is over and its window is not
    ///
    /// Effects:
    /// - writes the campaign, the funder's budget and the funder's credit
    ///
    /// Emits:
    /// - `CampaignClosed`
    ///
    /// Errors:
    /// - `POOL/WRONG_POOL`, `POOL/NOT_FUNDER`, `POOL/NOT_OPEN`, `POOL/CLOSE_TOO_EARLY`,
    ///   `POOL/CLOSE_TOO_LATE`
    ///
    /// Access:
    /// - the funder
    fn close_campaign(ref self: TState, terms: CampaignTerms);

    /// Credits a patient with its share of every use of a consent that the campaign owes, whatever
    /// was renewed, revoked, suspended or closed meanwhile. Returns how many uses it settled;
    /// nothing happens if there is none.
    ///
    /// Preconditions:
    /// - the terms name this pool
    ///
    /// Effects:
    /// - writes the paid uses in MedSync and the patient's credit (new for the first)
    ///
    /// Emits:
    /// - `RewardSettled`, if anything was owed
    ///
    /// Errors:
    /// - `POOL/WRONG_POOL`
    ///
    /// Access:
    /// - anyone
    fn settle(
        ref self: TState, patient: ContractAddress, grantee: ContractAddress, terms: CampaignTerms,
    ) -> u32;

    /// Credits the custodian with its share of every use of an accessor that the campaign owes.
    /// Returns how many uses it settled; nothing happens if there is none.
    ///
    /// Preconditions:
    /// - the terms name this pool and a custodian
    ///
    /// Effects:
    /// - writes the accessor's budget in MedSync and the custodian's credit (new for the first)
    ///
    /// Emits:
    /// - `CustodianSettled`, if anything was owed
    ///
    /// Errors:
    /// - `POOL/WRONG_POOL`, `POOL/NO_CUSTODIAN`
    ///
    /// Access:
    /// - anyone
    fn settle_custodian(ref self: TState, terms: CampaignTerms, accessor: ContractAddress) -> u64;

    /// Settles the caller's claims and pays out part of the caller's credit. It cannot be paused.
    ///
    /// Preconditions:
    /// - at most `MAX_CLAIMS` claims, each as for `settle`
    /// - `0 < amount <= claimable(caller)` after settling
    /// - `recipient` is neither zero nor the pool
    ///
    /// Effects:
    /// - as for `settle`, for each claim
    /// - writes the caller's credit and the liabilities, then sends the tokens
    ///
    /// Emits:
    /// - as for `settle`, for each claim, then `RewardWithdrawn`
    ///
    /// Errors:
    /// - `POOL/TOO_MANY_CLAIMS`, `POOL/WRONG_POOL`, `POOL/ZERO_AMOUNT`, `POOL/BAD_RECIPIENT`,
    ///   `POOL/INSUFFICIENT_CREDIT`, `POOL/TRANSFER_FAILED`
    ///
    /// Access:
    /// - the owner of the credit
    fn withdraw(ref self: TState, amount: u128, recipient: ContractAddress, claims: Array<Claim>);

    /// Spends one use of a campaign whose terms name the caller as spender: credits the payee and
    /// the custodian with their shares.
    ///
    /// Preconditions:
    /// - the terms name this pool and the caller, which is not zero, as spender
    /// - the terms have not expired
    /// - the campaign has a use left: never more is paid out than was deposited for it
    /// - the payee is neither zero nor the pool, and a key is on the curve
    ///
    /// Effects:
    /// - writes the campaign, the payee's credit and the custodian's, each new for the first
    ///
    /// Emits:
    /// - `RewardSpent`
    ///
    /// Errors:
    /// - `POOL/WRONG_POOL`, `POOL/NOT_SPENDER`, `POOL/CAMPAIGN_EXPIRED`, `POOL/NOTHING_LEFT`,
    ///   `POOL/BAD_PAYEE`
    ///
    /// Access:
    /// - the spender named in the terms
    fn spend(ref self: TState, terms: CampaignTerms, payee: Payee);

    /// Pays out part of a key's credit by a signature (ECDSA on the STARK curve) of the key's
    /// holder over Poseidon of `DRAW_TAG`, chain, this pool, key, amount, recipient and nonce. It
    /// cannot be paused.
    ///
    /// Preconditions:
    /// - `0 < amount <= key_credit(key).claimable`
    /// - `recipient` is neither zero nor the pool
    /// - the signature is valid for the key's present nonce
    ///
    /// Effects:
    /// - writes the key's credit (nonce + 1) and the liabilities, then sends the tokens
    ///
    /// Emits:
    /// - `KeyCreditWithdrawn`
    ///
    /// Errors:
    /// - `POOL/ZERO_AMOUNT`, `POOL/BAD_RECIPIENT`, `POOL/INSUFFICIENT_CREDIT`,
    ///   `POOL/BAD_SIGNATURE`, `POOL/TRANSFER_FAILED`
    ///
    /// Access:
    /// - anyone; submitting gives nothing else
    fn withdraw_by_key(
        ref self: TState,
        key: felt252,
        amount: u128,
        recipient: ContractAddress,
        signature_r: felt252,
        signature_s: felt252,
    );

    /// The ERC-20 this pool holds.
    ///
    /// Access:
    /// - anyone (view)
    fn token(self: @TState) -> ContractAddress;

    /// The `MedSync` that deployed this pool.
    ///
    /// Access:
    /// - anyone (view)
    fn medsync(self: @TState) -> ContractAddress;

    /// The campaign with these terms.
    ///
    /// Access:
    /// - anyone (view)
    fn campaign(self: @TState, terms: CampaignTerms) -> Campaign;

    /// Whether a consent may newly name the campaign with id `campaign`: it is open, and no closing
    /// is announced, or the window of the announced one is over.
    ///
    /// Access:
    /// - anyone (view)
    fn accepts_consents(self: @TState, campaign: felt252) -> bool;

    /// What `owner` can withdraw now, without what is not settled yet, in the token's smallest
    /// unit.
    ///
    /// Access:
    /// - anyone (view)
    fn claimable(self: @TState, owner: ContractAddress) -> u128;

    /// What `owner` has withdrawn so far, up to 2^123 − 1, in the token's smallest unit.
    ///
    /// Access:
    /// - anyone (view)
    fn withdrawn(self: @TState, owner: ContractAddress) -> u128;

    /// All that was ever settled for `owner`: claimable and withdrawn together.
    ///
    /// Access:
    /// - anyone (view)
    fn accumulated(self: @TState, owner: ContractAddress) -> u128;

    /// What the campaigns of these claims owe `patient` and nobody has settled yet, in the token's
    /// smallest unit. Name no claim twice.
    ///
    /// Errors:
    /// - `POOL/WRONG_POOL`
    ///
    /// Access:
    /// - anyone (view)
    fn unsettled(self: @TState, patient: ContractAddress, claims: Array<Claim>) -> u128;

    /// What the pool owes to the holder of a key.
    ///
    /// Access:
    /// - anyone (view)
    fn key_credit(self: @TState, key: felt252) -> KeyCredit;

    /// What the pool owes in all: uses left and unsettled, and every credit.
    ///
    /// Access:
    /// - anyone (view)
    fn liabilities(self: @TState) -> u128;
}

/// A campaign got its first deposit: its terms in full, for everybody who will have to name them.
#[derive(Drop, starknet::Event)]
pub struct CampaignOpened {
    #[key]
    pub campaign: felt252,
    #[key]
    pub funder: ContractAddress,
    #[key]
    pub purpose: felt252,
    pub terms: CampaignTerms,
}

/// `uses` were paid for in advance with `amount` (smallest token unit).
#[derive(Drop, starknet::Event)]
pub struct RewardDeposited {
    #[key]
    pub campaign: felt252,
    #[key]
    pub funder: ContractAddress,
    pub amount: u128,
    pub uses: u64,
}

/// An accessor's budget grew by `uses` out of the funder's own.
#[derive(Drop, starknet::Event)]
pub struct AllowanceIncreased {
    #[key]
    pub campaign: felt252,
    #[key]
    pub accessor: ContractAddress,
    pub uses: u64,
}

/// `uses` were taken back from an accessor's budget: into the funder's own, or, of a closed
/// campaign, into its credit: `refunded` (smallest token unit).
#[derive(Drop, starknet::Event)]
pub struct AllowanceDecreased {
    #[key]
    pub campaign: felt252,
    #[key]
    pub accessor: ContractAddress,
    pub uses: u64,
    pub refunded: u128,
}

/// A patient was credited with `share` (smallest token unit) in all for `uses` of a consent.
#[derive(Drop, starknet::Event)]
pub struct RewardSettled {
    #[key]
    pub campaign: felt252,
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub grantee: ContractAddress,
    pub study: felt252,
    pub uses: u32,
    pub share: u128,
}

/// A custodian was credited with `share` (smallest token unit) in all for `uses` of an accessor.
#[derive(Drop, starknet::Event)]
pub struct CustodianSettled {
    #[key]
    pub campaign: felt252,
    #[key]
    pub custodian: ContractAddress,
    #[key]
    pub accessor: ContractAddress,
    pub uses: u64,
    pub share: u128,
}

/// `owner` drew `amount` (smallest token unit) of its credit to `recipient`.
#[derive(Drop, starknet::Event)]
pub struct RewardWithdrawn {
    #[key]
    pub owner: ContractAddress,
    pub recipient: ContractAddress,
    pub amount: u128,
}

/// A spender spent one use; the two shares (smallest token unit) add up to the campaign's rate.
#[derive(Drop, starknet::Event)]
pub struct RewardSpent {
    #[key]
    pub campaign: felt252,
    #[key]
    pub spender: ContractAddress,
    pub payee: Payee,
    pub payee_share: u128,
    pub custodian_share: u128,
}

/// The holder of a key drew `amount` (smallest token unit) of its credit to `recipient`.
#[derive(Drop, starknet::Event)]
pub struct KeyCreditWithdrawn {
    #[key]
    pub key: felt252,
    pub recipient: ContractAddress,
    pub amount: u128,
    pub nonce: u64,
}

/// The funder may close the campaign from `closing_at` (unix seconds).
#[derive(Drop, starknet::Event)]
pub struct CampaignCloseAnnounced {
    #[key]
    pub campaign: felt252,
    pub closing_at: u64,
}

/// The campaign is closed for good; the funder's own `uses` became its credit: `refunded` (smallest
/// token unit).
#[derive(Drop, starknet::Event)]
pub struct CampaignClosed {
    #[key]
    pub campaign: felt252,
    pub uses: u64,
    pub refunded: u128,
}

pub mod Errors {
    /// The token or the deploying contract is zero.
    pub const ZERO_ADDRESS: felt252 = 'POOL/ZERO_ADDRESS';
    /// The terms name another pool.
    pub const WRONG_POOL: felt252 = 'POOL/WRONG_POOL';
    /// Only the funder named in the terms may do this.
    pub const NOT_FUNDER: felt252 = 'POOL/NOT_FUNDER';
    /// Only the spender named in the terms may do this.
    pub const NOT_SPENDER: felt252 = 'POOL/NOT_SPENDER';
    /// The terms name a spender other than MedSync, so there are no allowances.
    pub const OTHER_SPENDER: felt252 = 'POOL/OTHER_SPENDER';
    /// The amount, or the number of uses, is zero.
    pub const ZERO_AMOUNT: felt252 = 'POOL/ZERO_AMOUNT';
    /// The purpose is not one of the known HL7 v3-ActReason codes, or it is `BTG`.
    pub const BAD_PURPOSE: felt252 = 'POOL/BAD_PURPOSE';
    /// The rate is zero.
    pub const ZERO_RATE: felt252 = 'POOL/ZERO_RATE';
    /// The amount is no multiple of the rate.
    pub const NOT_A_MULTIPLE: felt252 = 'POOL/NOT_A_MULTIPLE';
    /// The custodian's share is more than 10,000 basis points.
    pub const BAD_BPS: felt252 = 'POOL/BAD_BPS';
    /// The terms name a custodian without a share, a share without a custodian, or the pool as
    /// custodian.
    pub const BAD_CUSTODIAN: felt252 = 'POOL/BAD_CUSTODIAN';
    /// The terms name no custodian.
    pub const NO_CUSTODIAN: felt252 = 'POOL/NO_CUSTODIAN';
    /// The accessor is zero or the funder, who needs no allowance.
    pub const BAD_ACCESSOR: felt252 = 'POOL/BAD_ACCESSOR';
    /// The payee is zero or the pool, or a key that is on no curve.
    pub const BAD_PAYEE: felt252 = 'POOL/BAD_PAYEE';
    /// The terms have expired.
    pub const CAMPAIGN_EXPIRED: felt252 = 'POOL/CAMPAIGN_EXPIRED';
    /// The terms expire beyond 2^40 - 1. Times are unix seconds.
    pub const TIME_RANGE: felt252 = 'POOL/TIME_RANGE';
    /// The campaign is closed for good.
    pub const CAMPAIGN_CLOSED: felt252 = 'POOL/CAMPAIGN_CLOSED';
    /// The campaign was never funded, or is closed.
    pub const NOT_OPEN: felt252 = 'POOL/NOT_OPEN';
    /// The campaign was never funded.
    pub const NOT_FUNDED: felt252 = 'POOL/NOT_FUNDED';
    /// The campaign has no use left for its spender.
    pub const NOTHING_LEFT: felt252 = 'POOL/NOTHING_LEFT';
    /// A campaign's uses must stay below 2^64 in all.
    pub const TOO_MANY_USES: felt252 = 'POOL/TOO_MANY_USES';
    /// The pool would owe more than 2^123 - 1.
    pub const LIABILITY_CAP: felt252 = 'POOL/LIABILITY_CAP';
    /// The token said that the transfer failed.
    pub const TRANSFER_FAILED: felt252 = 'POOL/TRANSFER_FAILED';
    /// The pool would hold less than it owes: the token did not deliver the whole amount.
    pub const SHORTFALL: felt252 = 'POOL/SHORTFALL';
    /// The recipient is zero or the pool itself.
    pub const BAD_RECIPIENT: felt252 = 'POOL/BAD_RECIPIENT';
    /// The credit is less than the amount.
    pub const INSUFFICIENT_CREDIT: felt252 = 'POOL/INSUFFICIENT_CREDIT';
    /// The signature is not the key's for exactly this draw.
    pub const BAD_SIGNATURE: felt252 = 'POOL/BAD_SIGNATURE';
    /// One withdrawal settles at most 50 claims.
    pub const TOO_MANY_CLAIMS: felt252 = 'POOL/TOO_MANY_CLAIMS';
    /// The campaign has neither expired nor reached the end of its notice of 7 days.
    pub const CLOSE_TOO_EARLY: felt252 = 'POOL/CLOSE_TOO_EARLY';
    /// The notice is more than 37 days old; announce the closing again.
    pub const CLOSE_TOO_LATE: felt252 = 'POOL/CLOSE_TOO_LATE';
}

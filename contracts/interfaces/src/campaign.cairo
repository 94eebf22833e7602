//! The terms of a reward campaign. They travel in calldata and are re-hashed wherever they matter:
//! never stored, they cannot change.

use starknet::ContractAddress;

/// What one permitted access pays, to whom, out of whose money.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct CampaignTerms {
    /// The `RewardPool` that holds the money; only a pool that MedSync deployed is accepted.
    pub pool: ContractAddress,
    /// Who deposits, moves budgets and gets the rest when the campaign closes.
    pub funder: ContractAddress,
    /// HL7 v3-ActReason code that every paid access must have.
    pub purpose: felt252,
    /// Salted hash that names the study, as in the consent; zero for none.
    pub study: felt252,
    /// Price of one permitted access, in the token's smallest unit.
    pub rate: u128,
    /// Hospital that keeps the data and takes a share, or zero for none.
    pub custodian: ContractAddress,
    /// The custodian's share in basis points (1/10,000) of the rate, rounded down; the patient gets
    /// the rest.
    pub custodian_bps: u16,
    /// Unix seconds from which nothing is paid any more; at most 2^40 − 1.
    pub expires_at: u64,
    /// The contract that spends the campaign: zero for MedSync, which takes one use of an
    /// accessor's budget for each permitted access. A consent can only name a campaign of MedSync.
    pub spender: ContractAddress,
    /// Makes two campaigns with the same terms two campaigns.
    pub salt: felt252,
}

//! The terms of a reward campaign. They travel in calldata and are re-hashed wherever they matter:
//! never stored, they cannot change.

use starknet::ContractAddress;
use crate::hash::SpongeTrait;

/// What one permitted access pays, to whom, out of whose money.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct CampaignTerms {
    /// The `RewardPool` that holds the money.
    pub pool: ContractAddress,
    /// Who deposits, sets allowances and gets the rest when the campaign closes.
    pub funder: ContractAddress,
    /// HL7 v3-ActReason code that every paid access must have.
    pub purpose: felt252,
    /// Price of one permitted access, in the token's smallest unit.
    pub rate: u128,
    /// Hospital that keeps the data and takes a share, or zero for none.
    pub custodian: ContractAddress,
    /// The custodian's share in basis points (1/10,000) of the rate, rounded down; the patient gets
    /// the rest.
    pub custodian_bps: u16,
    /// Unix seconds from which nothing is paid any more.
    pub expires_at: u64,
    /// Makes two campaigns with the same terms two campaigns.
    pub salt: felt252,
}

/// SNIP-12 (revision 1) type hash of `CampaignTerms`. Because the campaign's id is the SNIP-12
/// struct hash of its terms, a wallet that shows the terms inside a consent to be signed shows
/// exactly what the id commits to.
pub const CAMPAIGN_TERMS_TYPE_HASH: felt252 = selector!(
    "\"CampaignTerms\"(\"pool\":\"ContractAddress\",\"funder\":\"ContractAddress\",\"purpose\":\"shortstring\",\"rate\":\"u128\",\"custodian\":\"ContractAddress\",\"custodian_bps\":\"u128\",\"expires_at\":\"timestamp\",\"salt\":\"felt\")",
);

#[generate_trait]
pub impl CampaignImpl of CampaignTrait {
    /// The campaign's id: Poseidon over the type hash and every field of the terms, pool first.
    fn id(self: @CampaignTerms) -> felt252 {
        SpongeTrait::new()
            .pair(CAMPAIGN_TERMS_TYPE_HASH, (*self.pool).into())
            .pair((*self.funder).into(), *self.purpose)
            .pair((*self.rate).into(), (*self.custodian).into())
            .pair((*self.custodian_bps).into(), (*self.expires_at).into())
            .hash_with(*self.salt)
    }

    /// The id of optional terms; zero stands for "no campaign".
    fn id_or_zero(self: @Option<CampaignTerms>) -> felt252 {
        match self {
            Option::Some(terms) => terms.id(),
            Option::None => 0,
        }
    }
}

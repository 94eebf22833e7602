//! What identifies a campaign.

use medsync_interfaces::campaign::CampaignTerms;
use crate::hash::SpongeTrait;

/// SNIP-12 (revision 1) type hash of `CampaignTerms`. Because the campaign's id is the SNIP-12
/// struct hash of its terms, a wallet that shows the terms inside a consent to be signed shows
/// exactly what the id commits to.
pub const CAMPAIGN_TERMS_TYPE_HASH: felt252 = selector!(
    "\"CampaignTerms\"(\"pool\":\"ContractAddress\",\"funder\":\"ContractAddress\",\"purpose\":\"shortstring\",\"study\":\"felt\",\"rate\":\"u128\",\"custodian\":\"ContractAddress\",\"custodian_bps\":\"u128\",\"expires_at\":\"timestamp\",\"spender\":\"ContractAddress\",\"salt\":\"felt\")",
);

#[generate_trait]
pub impl CampaignImpl of CampaignTrait {
    /// The campaign's id: Poseidon over the type hash and every field of the terms, pool first.
    fn id(self: @CampaignTerms) -> felt252 {
        SpongeTrait::new()
            .pair(CAMPAIGN_TERMS_TYPE_HASH, (*self.pool).into())
            .pair((*self.funder).into(), *self.purpose)
            .pair(*self.study, (*self.rate).into())
            .pair((*self.custodian).into(), (*self.custodian_bps).into())
            .pair((*self.expires_at).into(), (*self.spender).into())
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

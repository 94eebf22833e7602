//! The messages a patient signs off-chain (SNIP-12, revision 1). The domain names the chain but no
//! contract, so each message names it.

use medsync_interfaces::consent_registry::ConsentTerms;
use starknet::ContractAddress;
use crate::campaign::CampaignTrait;
use crate::hash::SpongeTrait;
use crate::packing::bit;

/// Name of the domain of every message.
pub const DOMAIN_NAME: felt252 = 'MedSync';

/// Version of the domain of every message. 'v2' rather than '2': wallets encode a numeric short
/// string as the number, others as text.
pub const DOMAIN_VERSION: felt252 = 'v2';

const STARKNET_DOMAIN_TYPE_HASH: felt252 = selector!(
    "\"StarknetDomain\"(\"name\":\"shortstring\",\"version\":\"shortstring\",\"chainId\":\"shortstring\",\"revision\":\"shortstring\")",
);

/// A consent without reward.
const CONSENT_TYPE_HASH: felt252 = selector!(
    "\"Consent\"(\"contract\":\"ContractAddress\",\"grantee\":\"ContractAddress\",\"purpose\":\"shortstring\",\"study\":\"felt\",\"categories\":\"u128\",\"starts_at\":\"timestamp\",\"expires_at\":\"timestamp\",\"max_uses\":\"u128\",\"scoped\":\"bool\",\"terms_commitment\":\"felt\",\"version\":\"u128\",\"generation\":\"u128\",\"counter\":\"u128\",\"deadline\":\"timestamp\")",
);

/// A consent that insists on a reward: the wallet shows the campaign's terms.
const REWARDED_CONSENT_TYPE_HASH: felt252 = selector!(
    "\"RewardedConsent\"(\"contract\":\"ContractAddress\",\"grantee\":\"ContractAddress\",\"purpose\":\"shortstring\",\"study\":\"felt\",\"categories\":\"u128\",\"starts_at\":\"timestamp\",\"expires_at\":\"timestamp\",\"max_uses\":\"u128\",\"scoped\":\"bool\",\"terms_commitment\":\"felt\",\"version\":\"u128\",\"generation\":\"u128\",\"counter\":\"u128\",\"deadline\":\"timestamp\",\"reward\":\"CampaignTerms\")\"CampaignTerms\"(\"pool\":\"ContractAddress\",\"funder\":\"ContractAddress\",\"purpose\":\"shortstring\",\"study\":\"felt\",\"rate\":\"u128\",\"custodian\":\"ContractAddress\",\"custodian_bps\":\"u128\",\"expires_at\":\"timestamp\",\"spender\":\"ContractAddress\",\"salt\":\"felt\")",
);

/// A withdrawal. It names no version: it stays good whatever happened to the consent in the same
/// generation.
const REVOCATION_TYPE_HASH: felt252 = selector!(
    "\"Revocation\"(\"contract\":\"ContractAddress\",\"grantee\":\"ContractAddress\",\"purpose\":\"shortstring\",\"study\":\"felt\",\"generation\":\"u128\",\"deadline\":\"timestamp\")",
);

/// Where and by whom a message is signed, and for how long it is good.
#[derive(Copy, Drop)]
pub struct Signing {
    pub chain_id: felt252,
    /// The `MedSync` contract.
    pub contract: ContractAddress,
    /// The account that signs.
    pub patient: ContractAddress,
    /// The patient's generation when it was signed.
    pub generation: u32,
    /// Unix seconds after which the message is void.
    pub deadline: u64,
}

/// Hash a patient signs to give a consent that will become `version`.
pub fn consent_hash(
    signing: @Signing, grantee: ContractAddress, terms: @ConsentTerms, version: u32, counter: u32,
) -> felt252 {
    let type_hash = match terms.reward {
        Option::Some(_) => REWARDED_CONSENT_TYPE_HASH,
        Option::None => CONSENT_TYPE_HASH,
    };
    let fields = SpongeTrait::new()
        .pair(type_hash, (*signing.contract).into())
        .pair(grantee.into(), *terms.purpose)
        .pair(*terms.study, (*terms.categories).into())
        .pair((*terms.starts_at).into(), (*terms.expires_at).into())
        .pair((*terms.max_uses).into(), bit(*terms.scoped))
        .pair(*terms.terms_commitment, version.into())
        .pair((*signing.generation).into(), counter.into());
    message_hash(
        signing,
        match terms.reward {
            Option::Some(reward) => fields.pair((*signing.deadline).into(), reward.id()).hash(),
            Option::None => fields.hash_with((*signing.deadline).into()),
        },
    )
}

/// Hash a patient signs to withdraw a consent.
pub fn revocation_hash(
    signing: @Signing, grantee: ContractAddress, purpose: felt252, study: felt252,
) -> felt252 {
    message_hash(
        signing,
        SpongeTrait::new()
            .pair(REVOCATION_TYPE_HASH, (*signing.contract).into())
            .pair(grantee.into(), purpose)
            .pair(study, (*signing.generation).into())
            .hash_with((*signing.deadline).into()),
    )
}

fn message_hash(signing: @Signing, struct_hash: felt252) -> felt252 {
    let domain = SpongeTrait::new()
        .pair(STARKNET_DOMAIN_TYPE_HASH, DOMAIN_NAME)
        .pair(DOMAIN_VERSION, *signing.chain_id)
        .hash_with(1);
    SpongeTrait::new()
        .pair('StarkNet Message', domain)
        .pair((*signing.patient).into(), struct_hash)
        .hash()
}

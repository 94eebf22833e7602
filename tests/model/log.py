"""The hashes: campaign ids, signed messages and the per-patient log chain.

Poseidon and keccak come from cairo-lang and eth-hash: nothing is shared with the contracts or the SDK.
"""

from dataclasses import astuple
from functools import cache

from eth_hash.auto import keccak
from starkware.cairo.common.poseidon_hash import poseidon_hash_many

from .words import CampaignTerms, ConsentTerms, short

LOG_TAG = short("MEDSYNC/LOG/1")
HEAD_BITS = 219


def poseidon(*felts: int) -> int:
    return poseidon_hash_many(list(felts))


@cache
def starknet_keccak(text: str) -> int:
    """Keccak-256 cut to 250 bits: Starknet's selectors and SNIP-12's type hashes."""
    return int.from_bytes(keccak(text.encode("ascii")), "big") & (2**250 - 1)


CAMPAIGN_TERMS_TYPE = (
    '"CampaignTerms"("pool":"ContractAddress","funder":"ContractAddress","purpose":"shortstring",'
    '"rate":"u128","custodian":"ContractAddress","custodian_bps":"u128","expires_at":"timestamp","salt":"felt")'
)
CONSENT_FIELDS = (
    '"contract":"ContractAddress","grantee":"ContractAddress","purpose":"shortstring","categories":"u128",'
    '"starts_at":"timestamp","expires_at":"timestamp","max_uses":"u128","terms_commitment":"felt",'
    '"version":"u128","nonce":"u128","deadline":"timestamp"'
)
CONSENT_TYPE = f'"Consent"({CONSENT_FIELDS})'
REWARDED_CONSENT_TYPE = f'"RewardedConsent"({CONSENT_FIELDS},"reward":"CampaignTerms"){CAMPAIGN_TERMS_TYPE}'
REVOCATION_TYPE = (
    '"Revocation"("contract":"ContractAddress","grantee":"ContractAddress","purpose":"shortstring",'
    '"nonce":"u128","deadline":"timestamp")'
)
DOMAIN_TYPE = (
    '"StarknetDomain"("name":"shortstring","version":"shortstring","chainId":"shortstring",'
    '"revision":"shortstring")'
)


@cache
def campaign_id(terms: CampaignTerms) -> int:
    """The SNIP-12 struct hash of the terms."""
    return poseidon(starknet_keccak(CAMPAIGN_TERMS_TYPE), *astuple(terms))


def consent_message(
    chain_id: int,
    contract: int,
    patient: int,
    grantee: int,
    terms: ConsentTerms,
    version: int,
    nonce: int,
    deadline: int,
) -> int:
    """What a patient signs to give a consent that will become `version`."""
    reward = [campaign_id(terms.reward)] if terms.reward else []
    struct = poseidon(
        starknet_keccak(REWARDED_CONSENT_TYPE if reward else CONSENT_TYPE),
        contract, grantee, terms.purpose, terms.categories, terms.starts_at, terms.expires_at,
        terms.max_uses, terms.terms_commitment, version, nonce, deadline, *reward,
    )  # fmt: skip
    return snip12_message(chain_id, patient, struct)


def revocation_message(
    chain_id: int, contract: int, patient: int, grantee: int, purpose: int, nonce: int, deadline: int
) -> int:
    """What a patient signs to withdraw a consent, whatever its version."""
    struct = poseidon(starknet_keccak(REVOCATION_TYPE), contract, grantee, purpose, nonce, deadline)
    return snip12_message(chain_id, patient, struct)


def snip12_message(chain_id: int, account: int, struct: int) -> int:
    domain = poseidon(starknet_keccak(DOMAIN_TYPE), short("MedSync"), short("v1"), chain_id, 1)
    return poseidon(short("StarkNet Message"), domain, account, struct)


def entry_digest(
    *,
    chain_id: int,
    contract: int,
    patient: int,
    previous_head: int,
    seq: int,
    at: int,
    accessor: int,
    purpose: int,
    categories: int,
    record: int,
    decision: int,
    reason: int,
    version: int,
    campaign: int,
    justification: int,
) -> int:
    """The digest of one log entry, which is also the patient's new head."""
    return poseidon(
        LOG_TAG, chain_id, contract, patient, previous_head, seq, at, accessor, purpose, categories, record,
        decision, reason, version, campaign, justification,
    ) % 2**HEAD_BITS  # fmt: skip

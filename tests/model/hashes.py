"""The hashes: campaign ids, signed messages and the digests of the three histories.

Poseidon and keccak come from cairo-lang and eth-hash: nothing is shared with the contracts or the SDK.
"""

from dataclasses import astuple
from functools import cache
from typing import Any

from eth_hash.auto import keccak
from starkware.cairo.common.poseidon_hash import poseidon_hash_many

from .words import CHOICES, DECISIONS, FELT_PRIME, REASONS, ROLES, CampaignTerms, ConsentTerms, short

HEAD_BITS = 219
CURVE_BETA = 3141592653589793238462643383279502884197169399375105820974944592307816406665
CONSENTS, ACCESSES, REGISTRY = map(short, ("MEDSYNC/CONSENTS/2", "MEDSYNC/ACCESSES/2", "MEDSYNC/REGISTRY/2"))
KINDS = {
    "ConsentAdded": 1,
    "ConsentRevoked": 2,
    "AllConsentsRevoked": 3,
    "ConsentRefused": 4,
    "PurposeRefused": 5,
    "PurposeAllowed": 6,
    "DelegateSet": 7,
    "DelegatesDismissed": 8,
    "EmergencyChoiceSet": 9,
    "EmergencyHospitalSet": 10,
    "SignaturesCancelled": 11,
    "AccessLogged": 32,
    "EmergencyJustified": 33,
    "EmergencyContested": 34,
    "DeletionStated": 35,
    "EntityRegistered": 64,
    "EntitySuspended": 65,
    "EntityReinstated": 66,
    "ProfileChanged": 67,
    "AdminTransferBegun": 68,
    "AdminTransferCancelled": 69,
    "AdminTransferred": 70,
    "SuccessorAnnounced": 71,
}
"""The kind code of each event that is an entry of a history."""

WORDS_OF = {"role": ROLES, "decision": DECISIONS, "reason": REASONS, "choice": CHOICES}
"""The enums among the fields of those events."""


def poseidon(*felts: int) -> int:
    return poseidon_hash_many(list(felts))


@cache
def starknet_keccak(text: str) -> int:
    """Keccak-256 cut to 250 bits: Starknet's selectors and SNIP-12's type hashes."""
    return int.from_bytes(keccak(text.encode("ascii")), "big") & (2**250 - 1)


CAMPAIGN_TERMS_TYPE = (
    '"CampaignTerms"("pool":"ContractAddress","funder":"ContractAddress","purpose":"shortstring",'
    '"study":"felt","rate":"u128","custodian":"ContractAddress","custodian_bps":"u128",'
    '"expires_at":"timestamp","spender":"ContractAddress","salt":"felt")'
)
CONSENT_FIELDS = (
    '"contract":"ContractAddress","grantee":"ContractAddress","purpose":"shortstring","study":"felt",'
    '"categories":"u128","starts_at":"timestamp","expires_at":"timestamp","max_uses":"u128",'
    '"scoped":"bool","terms_commitment":"felt","version":"u128","generation":"u128","counter":"u128",'
    '"deadline":"timestamp"'
)
CONSENT_TYPE = f'"Consent"({CONSENT_FIELDS})'
REWARDED_CONSENT_TYPE = f'"RewardedConsent"({CONSENT_FIELDS},"reward":"CampaignTerms"){CAMPAIGN_TERMS_TYPE}'
REVOCATION_TYPE = (
    '"Revocation"("contract":"ContractAddress","grantee":"ContractAddress","purpose":"shortstring",'
    '"study":"felt","generation":"u128","deadline":"timestamp")'
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
    generation: int,
    counter: int,
    deadline: int,
) -> int:
    """What a patient signs to give a consent that will become `version`."""
    reward = [campaign_id(terms.reward)] if terms.reward else []
    struct = poseidon(
        starknet_keccak(REWARDED_CONSENT_TYPE if reward else CONSENT_TYPE),
        contract, grantee, terms.purpose, terms.study, terms.categories, terms.starts_at, terms.expires_at,
        terms.max_uses, terms.scoped, terms.terms_commitment, version, generation, counter, deadline, *reward,
    )  # fmt: skip
    return snip12_message(chain_id, patient, struct)


def revocation_message(
    chain_id: int,
    contract: int,
    patient: int,
    grantee: int,
    purpose: int,
    study: int,
    generation: int,
    deadline: int,
) -> int:
    """What a patient signs to withdraw a consent, whatever its version."""
    struct = poseidon(
        starknet_keccak(REVOCATION_TYPE), contract, grantee, purpose, study, generation, deadline
    )
    return snip12_message(chain_id, patient, struct)


def snip12_message(chain_id: int, account: int, struct: int) -> int:
    domain = poseidon(starknet_keccak(DOMAIN_TYPE), short("MedSync"), short("v2"), chain_id, 1)
    return poseidon(short("StarkNet Message"), domain, account, struct)


def draw_message(chain_id: int, pool: int, key: int, amount: int, recipient: int, nonce: int) -> int:
    """What the holder of a key signs to draw part of its credit."""
    return poseidon(short("MEDSYNC/DRAW/1"), chain_id, pool, key, amount, recipient, nonce)


def is_on_curve(x: int) -> bool:
    """Whether some point of the STARK curve, y^2 = x^3 + x + beta, has this x coordinate."""
    square = (x**3 + x + CURVE_BETA) % FELT_PRIME
    return pow(square, (FELT_PRIME - 1) // 2, FELT_PRIME) <= 1


def entry_digest(
    chain_id: int, contract: int, tag: int, previous: int, name: str, fields: dict[str, Any]
) -> int:
    """The digest of an entry, which is its history's new head.

    `name` and `fields` are the event's, keys first, in its own order. A patient's entries have a `patient`.
    """
    rest = {field: value for field, value in fields.items() if field not in ("seq", "at", subject_field(tag))}
    return poseidon(
        tag, chain_id, contract, fields.get(subject_field(tag), 0), previous, fields["seq"], fields["at"],
        KINDS[name], *(felt_of(field, value) for field, value in rest.items()),
    ) % 2**HEAD_BITS  # fmt: skip


def subject_field(tag: int) -> str:
    """The field that says whose history an entry is in; the registry's has none."""
    return "" if tag == REGISTRY else "patient"


def felt_of(field: str, value: Any) -> int:
    """A field of an event as one felt."""
    return WORDS_OF[field].index(value) if field in WORDS_OF else int(value)

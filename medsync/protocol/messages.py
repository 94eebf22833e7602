"""The messages a patient signs: SNIP-12, revision 1.

Source: SNIP-12 and `contracts/src/snip12.cairo`.
"""

from collections.abc import Mapping
from typing import Any, Final

from starknet_py.utils.typed_data import TypedData

from medsync.protocol.felt import decode_short_string, encode_short_string
from medsync.protocol.hashing import SNIP12_TYPES, poseidon, referred_types
from medsync.protocol.types import CampaignTerms, ConsentTerms
from medsync.protocol.vocabulary import Purpose

#: Name of the SNIP-12 domain.
DOMAIN_NAME: Final = "MedSync"


#: Version of the SNIP-12 domain. Not plain `2`: wallets encode a numeric short string as the number.
DOMAIN_VERSION: Final = "v2"


#: First felt of what the holder of a key signs to draw its credit.
DRAW_TAG: Final = encode_short_string("MEDSYNC/DRAW/1")


def consent_message(
    chain_id: int,
    contract: int,
    grantee: int,
    terms: ConsentTerms,
    version: int,
    generation: int,
    counter: int,
    deadline: int,
) -> dict[str, Any]:
    """The typed data (SNIP-12 JSON) that a patient signs to give `grantee` a consent with this `version`.

    `generation` and `counter` are the patient's current ones, `deadline` is the last second (unix) in which
    the message is valid. A consent with a reward is a `RewardedConsent`, so that the wallet shows the
    campaign's terms.
    """
    fields = _fields(terms) | {
        "contract": contract,
        "grantee": grantee,
        "version": version,
        "generation": generation,
        "counter": counter,
        "deadline": deadline,
    }
    return _typed_data(chain_id, "Consent" if terms.reward is None else "RewardedConsent", fields)


def revocation_message(
    chain_id: int,
    contract: int,
    grantee: int,
    purpose: Purpose,
    study: int,
    generation: int,
    deadline: int,
) -> dict[str, Any]:
    """The typed data (SNIP-12 JSON) that a patient signs to withdraw a consent.

    `generation` and `deadline` are as in `consent_message`. The message contains neither version nor counter:
    it remains valid until the consent is decided on in a later generation.
    """
    fields = {
        "contract": contract,
        "grantee": grantee,
        "purpose": purpose,
        "study": study,
        "generation": generation,
        "deadline": deadline,
    }
    return _typed_data(chain_id, "Revocation", fields)


def draw_message(chain_id: int, pool: int, key: int, amount: int, recipient: int, nonce: int) -> int:
    """The hash that the holder of `key` signs (ECDSA on the STARK curve) to draw `amount` of its credit.

    `nonce` is the key's present one in the pool. Source: `contracts/src/reward_pool.cairo`.
    """
    return poseidon([DRAW_TAG, chain_id, pool, key, amount, recipient, nonce])


def message_hash(typed_data: Mapping[str, Any], account: int) -> int:
    """The hash that `account` signs for a message made by `consent_message` or `revocation_message`."""
    return TypedData.from_dict(typed_data).message_hash(account)  # type: ignore[arg-type]


def _typed_data(chain_id: int, kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    used = ("StarknetDomain", kind, *referred_types(kind))
    return {
        "types": {
            name: [{"name": field, "type": inner} for field, inner in SNIP12_TYPES[name]] for name in used
        },
        "primaryType": kind,
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": decode_short_string(chain_id),
            "revision": 1,
        },
        "message": _typed_values(kind, fields),
    }


def _typed_values(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, inner in SNIP12_TYPES[kind]:
        value = fields[name]
        if inner in SNIP12_TYPES:
            values[name] = _typed_values(inner, _fields(value))
        elif inner == "shortstring":
            values[name] = str(value)
        elif inner == "bool":
            values[name] = bool(value)
        else:
            values[name] = hex(value) if inner in ("ContractAddress", "felt") else str(int(value))
    return values


def _fields(terms: CampaignTerms | ConsentTerms) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in terms.__slots__}

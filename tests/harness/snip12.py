"""The messages as a wallet gets them: SNIP-12 typed data written out in full, hashed by starknet-py; and what
the holder of a key signs to draw its credit from a pool."""

from collections.abc import Mapping
from typing import Any

from starknet_py.utils.typed_data import TypedData

from tests.harness.cells import poseidon
from tests.harness.driver import sign
from tests.harness.words import BROAD, HRESCH, felt
from tests.harness.world import World

DOMAIN = {"name": "MedSync", "version": "v2", "revision": 1}

_TYPES: dict[str, list[tuple[str, str]]] = {
    "StarknetDomain": [
        ("name", "shortstring"),
        ("version", "shortstring"),
        ("chainId", "shortstring"),
        ("revision", "shortstring"),
    ],
    "Consent": [
        ("contract", "ContractAddress"),
        ("grantee", "ContractAddress"),
        ("purpose", "shortstring"),
        ("study", "felt"),
        ("categories", "u128"),
        ("starts_at", "timestamp"),
        ("expires_at", "timestamp"),
        ("max_uses", "u128"),
        ("scoped", "bool"),
        ("terms_commitment", "felt"),
        ("version", "u128"),
        ("generation", "u128"),
        ("counter", "u128"),
        ("deadline", "timestamp"),
    ],
    "Revocation": [
        ("contract", "ContractAddress"),
        ("grantee", "ContractAddress"),
        ("purpose", "shortstring"),
        ("study", "felt"),
        ("generation", "u128"),
        ("deadline", "timestamp"),
    ],
    "CampaignTerms": [
        ("pool", "ContractAddress"),
        ("funder", "ContractAddress"),
        ("purpose", "shortstring"),
        ("study", "felt"),
        ("rate", "u128"),
        ("custodian", "ContractAddress"),
        ("custodian_bps", "u128"),
        ("expires_at", "timestamp"),
        ("spender", "ContractAddress"),
        ("salt", "felt"),
    ],
}
_TYPES["RewardedConsent"] = [*_TYPES["Consent"], ("reward", "CampaignTerms")]


def consent_hash(
    world: World,
    patient: int,
    grantee: int,
    terms: Mapping[str, Any],
    version: int,
    generation: int,
    counter: int,
    deadline: int,
) -> int:
    """What the patient's wallet signs to give this consent."""
    message = dict(terms) | {
        "grantee": grantee,
        "version": version,
        "generation": generation,
        "counter": counter,
        "deadline": deadline,
    }
    kind = "Consent" if terms["reward"] is None else "RewardedConsent"
    return message_hash(world, patient, kind, message)


def revocation_hash(
    world: World, patient: int, grantee: int, purpose: int, study: int, generation: int, deadline: int
) -> int:
    """What the patient's wallet signs to withdraw a consent."""
    message = {
        "grantee": grantee,
        "purpose": purpose,
        "study": study,
        "generation": generation,
        "deadline": deadline,
    }
    return message_hash(world, patient, "Revocation", message)


def message_hash(
    world: World,
    patient: int,
    kind: str,
    message: Mapping[str, Any],
    *,
    contract: int | None = None,
    chain_id: int | None = None,
    domain: Mapping[str, Any] = DOMAIN,
) -> int:
    """A message's hash; unless told otherwise for this contract, on this chain, in MedSync's domain."""
    used = ["StarknetDomain", kind] + ["CampaignTerms"] * (kind == "RewardedConsent")
    fields = dict(message) | {"contract": world.medsync.address if contract is None else contract}
    typed_data = {
        "types": {name: [{"name": f, "type": t} for f, t in _TYPES[name]] for name in used},
        "primaryType": kind,
        "domain": dict(domain) | {"chainId": hex(world.chain.chain_id if chain_id is None else chain_id)},
        "message": _values(kind, fields),
    }
    return TypedData.from_dict(typed_data).message_hash(patient)  # type: ignore[arg-type]


def signed(world: World, account: int, message: int) -> list[int]:
    """An account's signature."""
    return sign(message, world.chain.accounts[account].key)


def consent_message(world: World, **changes: Any) -> dict[str, Any]:
    """The calldata of a consent signed by the patient for the researcher: the first message of the first
    generation for the first version, good for an hour."""
    parts: dict[str, Any] = {
        "patient": world.patient,
        "grantee": world.researcher,
        "terms": world.terms(),
        "generation": 1,
        "counter": 1,
        "deadline": world.now + 3600,
    } | {name: value for name, value in changes.items() if name != "version"}
    message = consent_hash(world, **parts, version=changes.get("version", 1))
    return parts | {"signature": signed(world, parts["patient"], message)}


def revocation_message(world: World, **changes: Any) -> dict[str, Any]:
    """The calldata of a withdrawal signed by the patient in the first generation, good for an hour."""
    parts: dict[str, Any] = {
        "patient": world.patient,
        "grantee": world.researcher,
        "purpose": HRESCH,
        "study": BROAD,
        "generation": 1,
        "deadline": world.now + 3600,
    } | changes
    message = revocation_hash(world, **parts)
    return parts | {"signature": signed(world, parts["patient"], message)}


def draw_hash(
    world: World,
    key: int,
    amount: int,
    recipient: int,
    nonce: int,
    *,
    pool: int | None = None,
    chain_id: int | None = None,
) -> int:
    """What the holder of a key signs to draw its credit; unless told otherwise from this pool on this
    chain."""
    return poseidon(
        felt("MEDSYNC/DRAW/1"),
        world.chain.chain_id if chain_id is None else chain_id,
        world.pool.address if pool is None else pool,
        key,
        amount,
        recipient,
        nonce,
    )


def _values(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(inner, fields[name]) for name, inner in _TYPES[kind]}


def _value(kind: str, value: Any) -> Any:
    if kind in _TYPES:
        return _values(kind, value)
    return value if kind == "bool" else hex(value)

"""The messages as a wallet gets them: SNIP-12 typed data written out in full, hashed by starknet-py."""

from collections.abc import Mapping
from typing import Any

from starknet_py.utils.typed_data import TypedData

from tests.harness.driver import sign
from tests.harness.words import felt
from tests.harness.world import World

DOMAIN = {"name": "MedSync", "version": "v1", "revision": 1}

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
        ("categories", "u128"),
        ("starts_at", "timestamp"),
        ("expires_at", "timestamp"),
        ("max_uses", "u128"),
        ("terms_commitment", "felt"),
        ("version", "u128"),
        ("nonce", "u128"),
        ("deadline", "timestamp"),
    ],
    "Revocation": [
        ("contract", "ContractAddress"),
        ("grantee", "ContractAddress"),
        ("purpose", "shortstring"),
        ("nonce", "u128"),
        ("deadline", "timestamp"),
    ],
    "CampaignTerms": [
        ("pool", "ContractAddress"),
        ("funder", "ContractAddress"),
        ("purpose", "shortstring"),
        ("rate", "u128"),
        ("custodian", "ContractAddress"),
        ("custodian_bps", "u128"),
        ("expires_at", "timestamp"),
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
    nonce: int,
    deadline: int,
) -> int:
    """What the patient's wallet signs to give this consent."""
    message = dict(terms) | {"grantee": grantee, "version": version, "nonce": nonce, "deadline": deadline}
    kind = "Consent" if terms["reward"] is None else "RewardedConsent"
    return message_hash(world, patient, kind, message)


def revocation_hash(world: World, patient: int, grantee: int, purpose: int, nonce: int, deadline: int) -> int:
    """What the patient's wallet signs to withdraw a consent."""
    message = {"grantee": grantee, "purpose": purpose, "nonce": nonce, "deadline": deadline}
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
    """The calldata of a consent signed by the patient for the researcher, good for an hour."""
    parts: dict[str, Any] = {
        "patient": world.patient,
        "grantee": world.researcher,
        "terms": world.terms(),
        "nonce": 0,
        "deadline": world.now + 3600,
    } | {name: value for name, value in changes.items() if name != "version"}
    message = consent_hash(world, **parts, version=changes.get("version", 1))
    return parts | {"signature": signed(world, parts["patient"], message)}


def revocation_message(world: World, **changes: Any) -> dict[str, Any]:
    """The calldata of a withdrawal signed by the patient, good for an hour."""
    parts: dict[str, Any] = {
        "patient": world.patient,
        "grantee": world.researcher,
        "purpose": felt("HRESCH"),
        "nonce": 0,
        "deadline": world.now + 3600,
    } | changes
    message = revocation_hash(world, **parts)
    return parts | {"signature": signed(world, parts["patient"], message)}


def _values(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _values(inner, fields[name]) if inner in _TYPES else hex(fields[name])
        for name, inner in _TYPES[kind]
    }

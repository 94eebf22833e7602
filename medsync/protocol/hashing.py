"""The hashes everything else is built of: Poseidon, Starknet's keccak, and SNIP-12's type hashes.

Poseidon is `medsync.protocol.poseidon`'s, keccak the one starknet-py brings. Tests recompute everything here
with cairo-lang and eth-hash, which share no code with it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from starknet_py.hash.selector import get_selector_from_name

from medsync.protocol.poseidon import hash_felts


def poseidon(felts: Iterable[int]) -> int:
    """Starknet's Poseidon hash of any number of felts, as Cairo's `poseidon_hash_span`.

    Raises `InvalidValue` if one of them is not a felt.
    """
    return hash_felts(list(felts))


def starknet_keccak(text: str) -> int:
    """Keccak-256 of ASCII text, cut to its lowest 250 bits: selectors, SNIP-12 type hashes, SRC-5 ids."""
    return int(get_selector_from_name(text))


_CONSENT_FIELDS: Final = (
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
)


#: Fields, name and SNIP-12 type, of every object that is hashed or signed.
SNIP12_TYPES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "StarknetDomain": (
        ("name", "shortstring"),
        ("version", "shortstring"),
        ("chainId", "shortstring"),
        ("revision", "shortstring"),
    ),
    "CampaignTerms": (
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
    ),
    "Consent": _CONSENT_FIELDS,
    "RewardedConsent": (*_CONSENT_FIELDS, ("reward", "CampaignTerms")),
    "Revocation": (
        ("contract", "ContractAddress"),
        ("grantee", "ContractAddress"),
        ("purpose", "shortstring"),
        ("study", "felt"),
        ("generation", "u128"),
        ("deadline", "timestamp"),
    ),
}


def encode_type(name: str) -> str:
    """SNIP-12's `encode_type` of one of `SNIP12_TYPES`: the object, then those it refers to, by name."""
    encoded = ""
    for owner in (name, *referred_types(name)):
        fields = ",".join(f'"{field}":"{kind}"' for field, kind in SNIP12_TYPES[owner])
        encoded += f'"{owner}"({fields})'
    return encoded


def referred_types(name: str) -> list[str]:
    return sorted({kind for _, kind in SNIP12_TYPES[name] if kind in SNIP12_TYPES})


#: SNIP-12 type hash of every object.
TYPE_HASHES: Final[Mapping[str, int]] = {name: starknet_keccak(encode_type(name)) for name in SNIP12_TYPES}

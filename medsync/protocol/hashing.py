"""The protocol's hashes: selectors, SRC-5 ids, campaign ids, signed messages and the access log's chain.

Poseidon is `poseidon_py`'s C implementation, keccak the one starknet-py brings. Tests recompute everything
here with cairo-lang and eth-hash, which share no code with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from poseidon_py.poseidon_hash import poseidon_hash_many
from starknet_py.hash.selector import get_selector_from_name
from starknet_py.utils.typed_data import TypedData

from medsync.felt import InvalidValue, check_felt, decode_short_string, encode_short_string

if TYPE_CHECKING:
    from medsync.types import CampaignTerms, ConsentTerms, LogEntry
    from medsync.vocabulary import Purpose

#: First felt of every log entry's digest: keeps it apart from every other hash.
LOG_TAG: Final = encode_short_string("MEDSYNC/LOG/1")

#: A log head is a Poseidon hash cut to its lowest bits, so that it shares one cell with the count (u32).
#: Colliding two entries still costs about 2**109 hashes.
HEAD_BITS: Final = 219

#: SRC-5's own interface id, fixed by SNIP-5.
SRC5_ID: Final = 0x3F918D17E5EE77373B56385708F855659A07F75997F365CF87748628532A055


def poseidon(felts: Iterable[int]) -> int:
    """Starknet's Poseidon hash of any number of felts, as Cairo's `poseidon_hash_span`.

    Raises `InvalidValue` if one of them is no felt.
    """
    values = list(felts)
    for index, value in enumerate(values):
        check_felt(value, f"felt {index} of a Poseidon hash")
    return int(poseidon_hash_many(values))


def starknet_keccak(text: str) -> int:
    """Keccak-256 of ASCII text, cut to its lowest 250 bits: selectors, SNIP-12 type hashes, SRC-5 ids."""
    return int(get_selector_from_name(text))


# --- campaigns and the access log ---------------------------------------------------------------------------


def campaign_id(terms: "CampaignTerms") -> int:
    """The id of a campaign: the SNIP-12 struct hash of its terms. Source: `contracts/src/campaign.cairo`."""
    return poseidon([TYPE_HASHES["CampaignTerms"], *terms.calldata()])


def entry_digest(chain_id: int, contract: int, previous_head: int, entry: "LogEntry") -> int:
    """The digest of a log entry, which is the patient's log head right after it.

    `previous_head` is the head before the entry, zero for the first. The chain and the contract are hashed
    in, so an entry means nothing in another log. Where the event was found (`entry.location`) is not part of
    it.
    """
    digest = poseidon(
        [
            LOG_TAG,
            chain_id,
            contract,
            entry.patient,
            previous_head,
            entry.seq,
            entry.at,
            entry.accessor,
            entry.purpose.felt,
            int(entry.categories),
            entry.record,
            int(entry.decision),
            int(entry.reason),
            entry.version,
            entry.campaign,
            entry.justification,
        ]
    )
    return digest & ((1 << HEAD_BITS) - 1)


# --- messages a patient signs (SNIP-12, revision 1) ---------------------------------------------------------

#: Name of the SNIP-12 domain.
DOMAIN_NAME: Final = "MedSync"

#: Version of the SNIP-12 domain. Not plain `1`: wallets encode a numeric short string as the number.
DOMAIN_VERSION: Final = "v1"

_CONSENT_FIELDS: Final = (
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
        ("rate", "u128"),
        ("custodian", "ContractAddress"),
        ("custodian_bps", "u128"),
        ("expires_at", "timestamp"),
        ("salt", "felt"),
    ),
    "Consent": _CONSENT_FIELDS,
    "RewardedConsent": (*_CONSENT_FIELDS, ("reward", "CampaignTerms")),
    "Revocation": (
        ("contract", "ContractAddress"),
        ("grantee", "ContractAddress"),
        ("purpose", "shortstring"),
        ("nonce", "u128"),
        ("deadline", "timestamp"),
    ),
}


def encode_type(name: str) -> str:
    """SNIP-12's `encode_type` of one of `SNIP12_TYPES`: the object, then those it refers to, by name."""
    encoded = ""
    for owner in (name, *_referred(name)):
        fields = ",".join(f'"{field}":"{kind}"' for field, kind in SNIP12_TYPES[owner])
        encoded += f'"{owner}"({fields})'
    return encoded


def _referred(name: str) -> list[str]:
    return sorted({kind for _, kind in SNIP12_TYPES[name] if kind in SNIP12_TYPES})


#: SNIP-12 type hash of every object.
TYPE_HASHES: Final[Mapping[str, int]] = {name: starknet_keccak(encode_type(name)) for name in SNIP12_TYPES}


def consent_message(
    chain_id: int,
    contract: int,
    grantee: int,
    terms: "ConsentTerms",
    version: int,
    nonce: int,
    deadline: int,
) -> dict[str, Any]:
    """The typed data (SNIP-12 JSON) a patient signs to give `grantee` a consent that will become `version`.

    `nonce` is the patient's current one, `deadline` the last second (unix) the message is good for. A consent
    with a reward is a `RewardedConsent`, so that the wallet shows the campaign's terms.
    """
    fields = _fields(terms) | {
        "contract": contract,
        "grantee": grantee,
        "version": version,
        "nonce": nonce,
        "deadline": deadline,
    }
    return _typed_data(chain_id, "Consent" if terms.reward is None else "RewardedConsent", fields)


def revocation_message(
    chain_id: int, contract: int, grantee: int, purpose: "Purpose", nonce: int, deadline: int
) -> dict[str, Any]:
    """The typed data (SNIP-12 JSON) a patient signs to withdraw a consent.

    `nonce` and `deadline` are as in `consent_message`. It names no version, so it stays good when the consent
    is renewed in between.
    """
    fields = {
        "contract": contract,
        "grantee": grantee,
        "purpose": purpose,
        "nonce": nonce,
        "deadline": deadline,
    }
    return _typed_data(chain_id, "Revocation", fields)


def message_hash(typed_data: Mapping[str, Any], account: int) -> int:
    """The hash that `account` signs for a message made by `consent_message` or `revocation_message`."""
    return TypedData.from_dict(typed_data).message_hash(account)  # type: ignore[arg-type]


def _typed_data(chain_id: int, kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    used = ("StarknetDomain", kind, *_referred(kind))
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
        else:
            values[name] = hex(value) if inner in ("ContractAddress", "felt") else str(int(value))
    return values


def _fields(terms: "CampaignTerms | ConsentTerms") -> dict[str, Any]:
    return {name: getattr(terms, name) for name in terms.__slots__}


# --- SRC-5 interface ids (SNIP-5) ---------------------------------------------------------------------------


def src5_interface_id(abi: Sequence[Mapping[str, Any]], interface: str) -> int:
    """The SRC-5 id of an interface in a contract's ABI: the XOR of its extended function selectors.

    `interface` is the trait's full path or its last part. An extended function selector is the keccak of the
    function's name with the types it takes and answers, taken apart to core types (see `src5_type`). Source:
    SNIP-5. Raises `InvalidValue` if the ABI has no such interface, or several.
    """
    found = [
        entry
        for entry in abi
        if entry["type"] == "interface" and f"::{entry['name']}".endswith(f"::{interface}")
    ]
    if len(found) != 1:
        raise InvalidValue(f"the ABI has {len(found)} interfaces named {interface!r}, not one")
    interface_id = 0
    for function in found[0]["items"]:
        interface_id ^= starknet_keccak(src5_signature(abi, function))
    return interface_id


def src5_signature(abi: Sequence[Mapping[str, Any]], function: Mapping[str, Any]) -> str:
    """The signature of an ABI function as SNIP-5 writes it, e.g. `supports_interface(felt252)->E((),())`."""
    inputs = ",".join(src5_type(abi, parameter["type"]) for parameter in function["inputs"])
    outputs = "".join(f"->{src5_type(abi, output['type'])}" for output in function["outputs"])
    return f"{function['name']}({inputs}){outputs}"


def src5_type(abi: Sequence[Mapping[str, Any]], cairo_type: str) -> str:
    """A Cairo type as SNIP-5 writes it.

    A struct of the ABI is the tuple of its members, an enum `E(...)` of its variants. The ABI lists corelib's
    own too, so `bool` becomes `E((),())`, `Option<T>` `E(T,())` and a span, a struct of one snapshot,
    `(@Array<T>)`. Everything else is a core type and keeps its last name.
    """
    if cairo_type.startswith("@"):
        return "@" + src5_type(abi, cairo_type[1:])
    if cairo_type.startswith("("):
        return f"({','.join(src5_type(abi, part) for part in _split_types(cairo_type[1:-1]))})"
    for entry in abi:
        if entry.get("name") == cairo_type and entry["type"] == "struct":
            return f"({','.join(src5_type(abi, member['type']) for member in entry['members'])})"
        if entry.get("name") == cairo_type and entry["type"] == "enum":
            return f"E({','.join(src5_type(abi, variant['type']) for variant in entry['variants'])})"
    path, generic, arguments = cairo_type.partition("::<")
    name = path.rpartition("::")[2]
    if not generic:
        return name
    return f"{name}<{','.join(src5_type(abi, part) for part in _split_types(arguments[:-1]))}>"


def _split_types(text: str) -> list[str]:
    """The types of a comma-separated list, split only where no bracket is open."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "(<") - (character in ")>")
        if character == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts

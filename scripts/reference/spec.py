"""The published specification, `docs/spec.md`, generated from the sources.

Interfaces, types, events, error codes and storage come from the documentation in the Cairo sources, SRC-5 ids
from the ABI, and vocabularies, message types, hashes and test vectors from the package. Only the connecting
text is written here.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from medsync.errors import InputError, VerificationError
from medsync.log import completeness
from medsync.private.bridge import leaves
from medsync.protocol import anchor, hashing, merkle, messages, src5
from medsync.protocol.anchor import NodeKind
from medsync.protocol.commitments import CHUNK_BYTES, Domain, bytes_digest, commitment
from medsync.protocol.events import LogEntry
from medsync.protocol.felt import encode_short_string
from medsync.protocol.messages import DOMAIN_NAME, DOMAIN_VERSION
from medsync.protocol.types import AnchorNode, CampaignTerms, ConsentTerms, Statement
from medsync.protocol.vocabulary import (
    Accrual,
    CampaignStatus,
    Category,
    ConsentStatus,
    Decision,
    Power,
    Purpose,
    Reason,
    Role,
    markdown_table,
)
from scripts import build, repository
from scripts.reference.cairo_docs import (
    SECTIONS,
    Contract,
    Function,
    Interface,
    Member,
    Reference,
    Structure,
    contract_reference,
)

#: Path of the specification, relative to the repository.
PATH: Final = "docs/spec.md"

_VOCABULARIES: Final = (
    Purpose,
    Category,
    Role,
    Decision,
    Reason,
    ConsentStatus,
    Power,
    CampaignStatus,
    Accrual,
)


def specification() -> str:
    """Generate the specification from the current sources.

    Raises InputError if an ABI cannot be read, and SourceError if the sources cannot be parsed.
    """
    folder = repository.root()
    reference = contract_reference(folder / build.PRODUCT.sources[0] / "src")
    abis = {}
    for contract in reference.contracts:
        path = folder / build.PRODUCT.artifacts / f"{contract.name}.abi.json"
        try:
            abis[contract.name] = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read: {error}.", hint="Run `make build` to write it."
            ) from error
    return "\n\n".join(_document(reference, abis)) + "\n"


def write() -> None:
    """Write the specification to `docs/spec.md`."""
    path = repository.root() / PATH
    path.parent.mkdir(exist_ok=True)
    path.write_text(specification())


def check() -> None:
    """Check that the published specification matches the sources.

    Raises VerificationError, listing the headings under which it differs.
    """
    path = repository.root() / PATH
    if findings := drift(path.read_text() if path.exists() else "", specification()):
        raise VerificationError(
            f"{PATH} is not what the sources say:",
            findings=findings,
            hint="Run `python -m scripts reference` and commit the result.",
        )


def drift(published: str, expected: str) -> list[str]:
    """Describe the differences between two specifications, with one line per heading."""
    old, new = _by_heading(published), _by_heading(expected)
    changed = [heading for heading in new if old.get(heading, new[heading]) != new[heading]]
    return [
        *(f"{heading}: changed" for heading in changed),
        *(f"{heading}: missing" for heading in new if heading not in old),
        *(f"{heading}: does not belong there" for heading in old if heading not in new),
    ] or ["the order of the headings"] * (published != expected)


def _by_heading(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    heading = "the beginning"
    for line in text.splitlines():
        if line.startswith("#") and not line.startswith("#["):
            heading = line.lstrip("# ")
        found[heading] = found.get(heading, "") + line + "\n"
    return found


# --- the document ---


def _document(reference: Reference, abis: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    yield _PREFACE
    yield "## Contracts and interfaces"
    interfaces: dict[str, Interface] = {}
    rows = []
    for contract in reference.contracts:
        for interface in contract.interfaces:
            interfaces[interface.name] = interface
            interface_id = f"`{src5.interface_id(abis[contract.name], interface.name):#x}`"
            rows.append(
                (f"`{contract.name}`", f"[`{interface.name}`](#{interface.name.lower()})", interface_id)
            )
    yield _table(("Contract", "Interface", "SRC-5 id"), rows)
    for contract in reference.contracts:
        yield f"### {contract.name}"
        yield contract.doc
        yield from _function(contract.constructor)
    for interface in interfaces.values():
        yield f"### {interface.name}"
        yield interface.summary
        for function in interface.functions:
            yield f"#### {function.name}"
            yield from _function(function)
    yield "## Constants"
    yield _table(
        ("Name", "Value", "Meaning"),
        ((f"`{constant.name}`", f"{constant.value:,}", constant.doc) for constant in reference.constants),
    )
    yield "## Types"
    yield "Serialized field by field, in this order. Enums are listed under [Vocabularies](#vocabularies)."
    for structure in reference.structs:
        yield from _structure(structure)
    yield "## Vocabularies"
    yield _ENUMS
    for words in _VOCABULARIES:
        yield f"### {words.__name__}"
        yield markdown_table(words).strip()
    yield "## Events"
    yield _EVENTS
    for contract in reference.contracts:
        for event in contract.events:
            yield from _event(contract, event)
    yield "## Error codes"
    yield _ERRORS
    for contract in reference.contracts:
        yield f"### Errors of {contract.name}"
        yield _table(
            ("Code", "Meaning", "Functions"),
            ((f"`{error.code}`", error.meaning, _failing(contract, error.code)) for error in contract.errors),
        )
    yield "## Storage"
    yield _STORAGE
    for contract in reference.contracts:
        yield f"### Storage of {contract.name}"
        yield _table(
            ("Variable", "Type", "Meaning"),
            ((f"`{variable.name}`", f"`{variable.type}`", variable.doc) for variable in contract.storage),
        )
    yield "### Packed cells"
    yield "\n".join(
        f"- `{structure.name}`: {' '.join(structure.doc.split())}" for structure in reference.packed
    )
    yield "## Hashes"
    yield _HASHES
    yield from _campaign_ids()
    yield from _entry_digests()
    yield from _commitments()
    yield from _leaves()
    yield from _trees()
    yield from _anchor_messages()
    yield "## Signed messages"
    yield from _messages()


def _function(function: Function) -> Iterator[str]:
    yield f"```cairo\n{function.signature}\n```"
    yield function.summary
    sections = function.sections
    if function.errors:
        # Includes the errors that the text adopts from other functions.
        sections = sections | {"Errors": ", ".join(f"`{code}`" for code in function.errors) + "."}
    if sections:
        yield "\n".join(f"- **{name}:** {sections[name]}" for name in SECTIONS if name in sections)


def _structure(structure: Structure) -> Iterator[str]:
    yield f"### {structure.name}"
    yield structure.doc
    rows = ((f"`{member.name}`", f"`{member.type}`", member.doc) for member in structure.members)
    yield _table(("Field", "Type", "Meaning"), rows)


def _event(contract: Contract, event: Structure) -> Iterator[str]:
    def fields(members: Iterable[Member]) -> str:
        return ", ".join(f"`{member.name}: {member.type}`" for member in members) or "none"

    yield f"### {event.name}"
    yield event.doc
    yield "\n".join(
        (
            f"- **From:** `{contract.name}`",
            f"- **First key:** `{hashing.starknet_keccak(event.name):#x}`",
            f"- **Further keys:** {fields(member for member in event.members if member.key)}",
            f"- **Data:** {fields(member for member in event.members if not member.key)}",
        )
    )


def _failing(contract: Contract, code: str) -> str:
    names = [function.name for function in contract.functions if code in function.errors]
    return ", ".join(f"`{name}`" for name in names)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(" ".join(cell.split()) for cell in line) + " |" for line in lines)


# --- hashes and test vectors ---

#: The inputs of the test vectors: addresses and salts that are not in use.
CHAIN_ID: Final = encode_short_string("SN_SEPOLIA")
MEDSYNC: Final = 0x111
PATIENT: Final = 0x222
RESEARCHER: Final = 0x333
HOSPITAL: Final = 0x444
CAMPAIGN: Final = CampaignTerms(
    pool=0x555,
    funder=RESEARCHER,
    purpose=Purpose.HRESCH,
    rate=2 * 10**18,
    custodian=HOSPITAL,
    custodian_bps=2_500,
    expires_at=1_798_761_600,
    salt=0x666,
)
TERMS: Final = ConsentTerms(
    purpose=Purpose.HRESCH,
    categories=Category.LABORATORY | Category.OBSERVATION,
    starts_at=1_767_225_600,
    expires_at=1_769_817_600,
    max_uses=3,
    reward=CAMPAIGN,
    terms_commitment=0x777,
)
ENTRY: Final = LogEntry(
    patient=PATIENT,
    accessor=RESEARCHER,
    purpose=Purpose.HRESCH,
    seq=1,
    at=1_767_225_601,
    decision=Decision.PERMIT,
    reason=Reason.GRANTED,
    version=1,
    categories=Category.OBSERVATION,
    record=0x888,
    campaign=CAMPAIGN.id,
    justification=0,
)

ANCHOR: Final = 0xAAA
STATEMENT: Final = Statement(size=7, root=0xBBB, state=0xCCC, epoch=1)
NODES: Final = (AnchorNode(stark_key=0xD1, identity=0xE1), AnchorNode(stark_key=0xD2, identity=0xE2))
_RECORD: Final = "3f2a" * 8
OPERATIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "RECORD": {
        "kind": "RECORD",
        "id": _RECORD,
        "version": 1,
        "commitment": "0x888",
        "categories": 128,
        "consent": "0x0",
        "at": ENTRY.at,
    },
    "ERASED": {"kind": "ERASED", "id": _RECORD, "version": 1, "at": ENTRY.at},
    "RECEIPT": {
        "kind": "RECEIPT",
        "ticket": "5d" * 32,
        "outcome": "RELEASED",
        "reason": None,
        "digest": "0x999",
        "commitment": "0x888",
        "accessor": hex(RESEARCHER),
        "at": ENTRY.at,
    },
}


def _vector(fields: Mapping[str, int], result: str, felt: int) -> str:
    """Render a test vector: the hashed fields in order, and the result."""
    lines = [f"{name:<16} {value:#x}" for name, value in fields.items()]
    return "\n".join(["```text", *lines, "", f"{result:<16} {felt:#x}", "```"])


def campaign_fields() -> dict[str, int]:
    """The fields whose Poseidon hash is the id of the test vectors' campaign, in order."""
    names = [name for name, _ in hashing.SNIP12_TYPES["CampaignTerms"]]
    return {
        "type_hash": hashing.TYPE_HASHES["CampaignTerms"],
        **dict(zip(names, CAMPAIGN.calldata(), strict=True)),
    }


def entry_fields() -> dict[str, int]:
    """The fields whose truncated Poseidon hash is the digest of the test vectors' log entry, in order."""
    return {
        "tag": completeness.LOG_TAG,
        "chain_id": CHAIN_ID,
        "contract": MEDSYNC,
        "patient": ENTRY.patient,
        "previous_head": 0,
        "seq": ENTRY.seq,
        "at": ENTRY.at,
        "accessor": ENTRY.accessor,
        "purpose": ENTRY.purpose.felt,
        "categories": int(ENTRY.categories),
        "record": ENTRY.record,
        "decision": int(ENTRY.decision),
        "reason": int(ENTRY.reason),
        "version": ENTRY.version,
        "campaign": ENTRY.campaign,
        "justification": ENTRY.justification,
    }


def _campaign_ids() -> Iterator[str]:
    yield "### Campaign id"
    yield _CAMPAIGN_ID
    yield _vector(campaign_fields(), "campaign id", CAMPAIGN.id)


def _entry_digests() -> Iterator[str]:
    yield "### Log entry digest"
    yield _ENTRY_DIGEST
    first = completeness.entry_digest(CHAIN_ID, MEDSYNC, 0, ENTRY)
    yield _vector(entry_fields(), "digest", first)
    refused = replace(ENTRY, seq=2, at=ENTRY.at + 1, decision=Decision.DENY, reason=Reason.USES_EXHAUSTED)
    second = completeness.entry_digest(CHAIN_ID, MEDSYNC, first, refused)
    yield f"The same request one second later, refused for `UsesExhausted` as entry 2, gives `{second:#x}`."


def _commitments() -> Iterator[str]:
    yield "### Commitments"
    yield _COMMITMENTS
    uses = {
        Domain.RECORD: "`AccessRequest.record`",
        Domain.PROFILE: "`profile_commitment` of `register_entity`",
        Domain.TERMS: "`ConsentTerms.terms_commitment`",
        Domain.JUSTIFICATION: "`justification_commitment` of `request_emergency_access`",
    }
    yield _table(
        ("Domain", "Felt", "Committed as"),
        ((f"`{domain}`", f"`{encode_short_string(domain):#x}`", uses[domain]) for domain in Domain),
    )
    value, salt = b"a synthetic record, longer than one chunk", 0x999
    yield f"For the {len(value)} bytes `{value.decode()}`:"
    fields = {"domain": encode_short_string(Domain.RECORD), "value": bytes_digest(value), "salt": salt}
    yield _vector(fields, "commitment", commitment(Domain.RECORD, value, salt))


def _leaves() -> Iterator[str]:
    yield "### Leaf values"
    yield _LEAVES
    rows = (
        (f"`{kind}`", ", ".join(f"`{name}`" for name in fields), f"`{leaves.leaf_of(OPERATIONS[kind]):#x}`")
        for kind, fields in leaves.FIELDS.items()
    )
    yield _table(("Kind", "Fields, in order", "Leaf value of the operation below"), rows)
    lines = [json.dumps(operation) for operation in OPERATIONS.values()]
    yield "\n".join(["```json", *lines, "```"])


def _trees() -> Iterator[str]:
    yield "### Merkle logs"
    yield _TREES
    log = merkle.MerkleLog(range(1, 8))
    path, growth = log.inclusion_path(4), log.consistency_path(3)
    yield "\n".join(
        [
            "```text",
            *(f"{f'root of {size}':<16} {log.root(size):#x}" for size in range(1, len(log) + 1)),
            "",
            *(f"{f'inclusion {place}':<16} {felt:#x}" for place, felt in enumerate(path)),
            "",
            *(f"{f'consistency {place}':<16} {felt:#x}" for place, felt in enumerate(growth)),
            "```",
        ]
    )


def _anchor_messages() -> Iterator[str]:
    yield "### Anchor messages"
    yield _ANCHOR_MESSAGES
    fields = {
        "tag": anchor.ANCHOR_TAG,
        "chain_id": CHAIN_ID,
        "contract": ANCHOR,
        "epoch": STATEMENT.epoch,
        "previous_size": 3,
        "previous_root": 0x777,
        "size": STATEMENT.size,
        "root": STATEMENT.root,
        "state": STATEMENT.state,
    }
    yield _vector(fields, "message", anchor.anchor_message(CHAIN_ID, ANCHOR, 3, 0x777, STATEMENT))
    yield "### Rotation messages"
    yield _ROTATION_MESSAGES
    fields = {
        "tag": anchor.ROTATION_TAG,
        "chain_id": CHAIN_ID,
        "contract": ANCHOR,
        "epoch": STATEMENT.epoch,
        "threshold": 2,
        "nodes": len(NODES),
    }
    for index, node in enumerate(NODES):
        fields |= {f"stark_key {index}": node.stark_key, f"identity {index}": node.identity}
    message = anchor.rotation_message(CHAIN_ID, ANCHOR, STATEMENT.epoch, 2, NODES)
    yield _vector(fields, "message", message)
    yield "### Node identities"
    yield _IDENTITIES
    key = bytes(range(32))
    rows = ((f"`{kind}`", f"`{anchor.node_identity(kind, key):#x}`") for kind in NodeKind)
    yield _table(("Kind", f"Identity of the key `{key.hex()}`"), rows)


def _messages() -> Iterator[str]:
    yield _MESSAGES
    for name in hashing.SNIP12_TYPES:
        yield f"### Message type {name}"
        yield f"```text\n{hashing.encode_type(name)}\n```"
        yield f"Type hash `{hashing.TYPE_HASHES[name]:#x}`."
    yield "### Message hashes"
    yield (
        f"For the patient `{PATIENT:#x}`, the chain `SN_SEPOLIA`, the contract `{MEDSYNC:#x}` and the grantee"
        f" `{RESEARCHER:#x}`, with nonce 0 and deadline {TERMS.starts_at}. The consents are version 1: for"
        f" `{TERMS.purpose}`, categories {int(TERMS.categories)}, from {TERMS.starts_at} to"
        f" {TERMS.expires_at}, {TERMS.max_uses} uses, terms commitment `{TERMS.terms_commitment:#x}`;"
        " the rewarded one names the campaign above."
    )
    hashes = {name: messages.message_hash(message, PATIENT) for name, message in example_messages().items()}
    yield _table(("Message", "Hash"), ((f"`{name}`", f"`{felt:#x}`") for name, felt in hashes.items()))


def example_messages() -> dict[str, dict[str, Any]]:
    """The test vectors' signed messages (SNIP-12 JSON), by primary type."""
    where, deadline = (CHAIN_ID, MEDSYNC, RESEARCHER), TERMS.starts_at
    return {
        "Consent": messages.consent_message(*where, replace(TERMS, reward=None), 1, 0, deadline),
        "RewardedConsent": messages.consent_message(*where, TERMS, 1, 0, deadline),
        "Revocation": messages.revocation_message(*where, TERMS.purpose, 0, deadline),
    }


# --- the words between ---

_PREFACE: Final = """\
# MedSync: specification

Written by `python -m scripts reference` from the contracts' sources, their ABI and the Python package; do not
edit it. The [README](../README.md) describes its purpose, the [threat model](threat-model.md) the threats it
addresses.

- Times are unix seconds of the block. Windows are half open: `[starts_at, expires_at)`.
- Amounts are in the token's smallest unit.
- Purposes, tags and error codes are short strings: at most 31 ASCII characters in one felt.
- A refusal by policy is a result (`Decision`, `Reason`), and it is logged. An error reverts the transaction
  and leaves no trace: the call was malformed, or the caller was not authorised to make it."""

_ENUMS: Final = """\
Purposes are short strings, categories and powers are bits. All others are enums without payload, serialized
as their index."""

_EVENTS: Final = """\
The first key is the event's selector; events can be filtered by the further keys. Fields have this order and
are serialized like arguments; `Option` is 0 and the value, or 1."""

_ERRORS: Final = """\
A code is the complete panic message of the failed call, the innermost in the node's response. `PACK/RANGE` (a
value too large for its cell) is not listed, because no entry point can reach it."""

_STORAGE: Final = """\
New storage cells are the most expensive resource on Starknet, so related values are packed into one felt.
Layouts list fields and their widths in bits, starting at the lowest bit."""

_HASHES: Final = """\
All hashes are Starknet's Poseidon over felts (`poseidon_hash_span`). The vectors are for other
implementations; their addresses are not in use."""

_CAMPAIGN_ID: Final = """\
Poseidon of the SNIP-12 type hash of `CampaignTerms` and the fields of the terms in order, which makes it
their SNIP-12 struct hash: a wallet that shows the terms inside a consent to be signed shows the content of
the id. Zero means no campaign."""

_ENTRY_DIGEST: Final = f"""\
Poseidon of these sixteen felts, truncated to the lowest {completeness.HEAD_BITS} bits. `tag` is the short
string `MEDSYNC/LOG/1`; `previous_head` is the digest of the previous entry, zero for a patient's first; the
others are fields of `AccessLogged`. The latest entry's digest is the patient's `log_head`."""

_COMMITMENTS: Final = f"""\
The contracts take any felt as `record`, `profile_commitment`, `terms_commitment` and
`justification_commitment`. This package uses `Poseidon(domain, value, salt)` with a random felt as salt.
Bytes are hashed with Poseidon as their length and their chunks of {CHUNK_BYTES} bytes (big-endian); JSON
documents are converted to bytes by RFC 8785."""

_LEAVES: Final = """\
The operations of a private node become leaves of its log: Poseidon of the short strings `MEDSYNC/LEAF/1` and
the kind, and these fields. Short strings are felts, 16 bytes of hexadecimal are one felt and 32
bytes two (the upper half first), null is zero."""

_TREES: Final = """\
The trees of RFC 9162, section 2.1, over the Poseidon permutation: a leaf is the first element of
`hades(value, 0, 1)`, a node that of `hades(left, right, 2)`; the empty log's root is zero. For a log of
the leaf values 1 to 7: the roots of its prefixes, the proof that the leaf at position 4 is included, and
the proof that the log extends its first three leaves."""

_ANCHOR_MESSAGES: Final = """\
The message that nodes sign (ECDSA on the STARK curve, over the hash itself) to anchor a log: Poseidon of
these nine felts. `tag` is the short string `MEDSYNC/ANCHOR/1`; `previous_size` and `previous_root` are those
of the currently anchored log."""

_ROTATION_MESSAGES: Final = """\
The message that nodes sign to be replaced: Poseidon of these felts. `tag` is the short string
`MEDSYNC/ROTATION/1`, `epoch` the epoch that ends; `nodes` is the number of new nodes, each with two felts."""

_IDENTITIES: Final = """\
The identity registered for a node in addition to its STARK key: Poseidon of the short string of its kind and
the halves of its ed25519 public key, the upper half first. Anyone who knows the keys can read the kinds of
the attesting nodes from the chain."""

_MESSAGES: Final = f"""\
SNIP-12, revision 1; the domain's name is `{DOMAIN_NAME}`, its version `{DOMAIN_VERSION}`. It
does not name the contract, so each message does. The signed hash is
`Poseidon('StarkNet Message', domain hash, patient, struct hash)`, and the patient's account validates the
signature (SNIP-6, `is_valid_signature`). `version` is the version that the consent will have, `nonce` the
patient's current nonce, `deadline` the last second in which the message is valid."""

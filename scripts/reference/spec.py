"""The published specification, `docs/spec.md`, generated from the sources.

Interfaces, types, events, error codes and storage come from the documentation in the Cairo sources, SRC-5 ids
from the ABI, and vocabularies, message types, hashes and test vectors from the package. Only the connecting
text is written here.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from medsync.errors import InputError, VerificationError
from medsync.private.bridge import leaves
from medsync.protocol import anchor, chains, hashing, merkle, messages, src5
from medsync.protocol.anchor import NodeKind
from medsync.protocol.chains import Chain, ChainEvent
from medsync.protocol.commitments import CHUNK_BYTES, Domain, bytes_digest, commitment
from medsync.protocol.events import EVENTS, ConsentAdded, EntityRegistered, LogEntry
from medsync.protocol.felt import encode_short_string
from medsync.protocol.messages import DOMAIN_NAME, DOMAIN_VERSION
from medsync.protocol.types import AnchorNode, CampaignTerms, ConsentTerms, Statement
from medsync.protocol.vocabulary import (
    CampaignStatus,
    Category,
    ConsentStatus,
    Decision,
    EmergencyChoice,
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
    failing,
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
    EmergencyChoice,
    Power,
    CampaignStatus,
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

#: SNIP-12 gives this interface no id, and the contract answers that it has none.
_NO_ID: Final = "ISNIP12Metadata"


def _document(reference: Reference, abis: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    yield _PREFACE
    yield "## Contracts and interfaces"
    interfaces: dict[str, Interface] = {}
    rows = []
    for contract in reference.contracts:
        for interface in contract.interfaces:
            interfaces[interface.name] = interface
            if interface.name == _NO_ID:
                interface_id = "none: wallets call it without asking first"
            else:
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
    yield _TYPES
    for structure in reference.structs:
        yield from _structure(structure, "Field")
    for enum in reference.enums:
        if any(variant.type for variant in enum.members):
            yield from _structure(enum, "Variant")
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
            (
                (
                    f"`{error.code}`",
                    error.meaning,
                    ", ".join(f"`{name}`" for name in failing(reference, contract, error)),
                )
                for error in contract.errors
            ),
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
    yield "\n".join(f"- `{cell.name}`: {' '.join(cell.layout.split())}" for cell in reference.packed)
    yield "## Hashes"
    yield _HASHES
    yield from _campaign_ids()
    yield from _entry_digests()
    yield from _commitments()
    yield from _leaves()
    yield from _trees()
    yield from _anchor_messages()
    yield from _draws()
    yield "## Signed messages"
    yield from _messages()


def _function(function: Function) -> Iterator[str]:
    yield f"```cairo\n{function.signature}\n```"
    yield function.summary
    lists = {name: text.splitlines() for name, text in function.sections.items()}
    if function.errors:
        # Includes the errors that the text adopts from other functions.
        lists["Errors"] = ["- " + ", ".join(f"`{code}`" for code in function.errors)]
    if lists:
        yield "\n".join(line for name in SECTIONS if name in lists for line in _list(name, lists[name]))


def _list(name: str, items: Sequence[str]) -> Iterator[str]:
    """A section: a single item behind its heading, more in a list below it."""
    if len(items) == 1:
        yield f"- **{name}:** {items[0].removeprefix('- ')}"
    else:
        yield f"- **{name}:**"
        yield from (f"  {item}" for item in items)


def _structure(structure: Structure, members: str) -> Iterator[str]:
    yield f"### {structure.name}"
    yield structure.doc
    rows = ((f"`{member.name}`", f"`{member.type}`", member.doc) for member in structure.members)
    yield _table((members, "Type", "Meaning"), rows)


def _event(contract: Contract, event: Structure) -> Iterator[str]:
    def listed(members: Iterable[Member]) -> str:
        return ", ".join(f"`{member.name}: {member.type}`" for member in members) or "none"

    yield f"### {event.name}"
    yield event.doc
    yield "\n".join(
        (
            f"- **From:** `{contract.name}`",
            f"- **First key:** `{hashing.starknet_keccak(event.name):#x}`",
            f"- **Further keys:** {listed(member for member in event.members if member.key)}",
            f"- **Data:** {listed(member for member in event.members if not member.key)}",
            *_entry(contract, event),
        )
    )


def _entry(contract: Contract, event: Structure) -> Iterator[str]:
    """Which history an event is an entry of, if any, and its kind there."""
    kind, _ = EVENTS[contract.name][event.name]
    chain = chains.chain_of(kind)
    if chain is not None:
        code = next(code for entry, code in chains.KINDS.items() if entry is kind)
        yield f"- **Entry of:** {_HISTORIES[chain]}, kind {code}"


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
GENERATION: Final = 4
COUNTER: Final = 2
STUDY: Final = 0x50D
CAMPAIGN: Final = CampaignTerms(
    pool=0x555,
    funder=RESEARCHER,
    purpose=Purpose.HRESCH,
    study=STUDY,
    rate=2 * 10**18,
    custodian=HOSPITAL,
    custodian_bps=2_500,
    expires_at=1_798_761_600,
    spender=0,
    salt=0x666,
)
TERMS: Final = ConsentTerms(
    purpose=Purpose.HRESCH,
    study=STUDY,
    categories=Category.LABORATORY | Category.OBSERVATION,
    starts_at=1_767_225_600,
    expires_at=1_769_817_600,
    max_uses=3,
    scoped=True,
    reward=CAMPAIGN,
    terms_commitment=0x777,
)
REGISTERED: Final = EntityRegistered(
    entity=RESEARCHER, seq=2, at=1_767_225_500, role=Role.RESEARCHER, profile_commitment=0xAB
)
GIVEN: Final = ConsentAdded(
    patient=PATIENT,
    grantee=RESEARCHER,
    purpose=Purpose.HRESCH,
    seq=1,
    at=1_767_225_600,
    study=STUDY,
    by=PATIENT,
    nonce=0,
    version=1,
    generation=1,
    categories=TERMS.categories,
    starts_at=TERMS.starts_at,
    expires_at=TERMS.expires_at,
    max_uses=TERMS.max_uses,
    scoped=TERMS.scoped,
    campaign=CAMPAIGN.id,
    terms_commitment=TERMS.terms_commitment,
)
ACCESS: Final = LogEntry(
    patient=PATIENT,
    accessor=RESEARCHER,
    purpose=Purpose.HRESCH,
    seq=1,
    at=1_767_225_601,
    study=STUDY,
    decision=Decision.PERMIT,
    reason=Reason.GRANTED,
    version=1,
    scoped=True,
    categories=Category.OBSERVATION,
    record=0x888,
    campaign=CAMPAIGN.id,
    registration=2,
)
#: For each history an entry, and the head before it.
ENTRIES: Final[Mapping[Chain, tuple[ChainEvent, int]]] = {
    Chain.CONSENTS: (GIVEN, 0),
    Chain.ACCESSES: (ACCESS, 0),
    Chain.REGISTRY: (REGISTERED, 0x999),
}

ANCHOR: Final = 0xAAA
STATEMENT: Final = Statement(size=7, root=0xBBB, state=0xCCC, epoch=1, commitment=0xDDD)
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
        "at": ACCESS.at,
    },
    "ERASED": {"kind": "ERASED", "id": _RECORD, "version": 1, "at": ACCESS.at},
    "RECEIPT": {
        "kind": "RECEIPT",
        "ticket": "5d" * 32,
        "outcome": "RELEASED",
        "reason": None,
        "digest": "0x999",
        "commitment": "0x888",
        "accessor": hex(RESEARCHER),
        "at": ACCESS.at,
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


def entry_fields(entry: ChainEvent, previous: int) -> dict[str, int]:
    """The fields whose truncated Poseidon hash is the digest of a history's entry, in order."""
    chain, subject = chains.chain_of(entry), chains.subject_of(entry)
    assert chain is not None
    first = dict(zip(("tag", "chain_id", "contract", "subject"), _prefix(chain, subject), strict=True))
    left_out = {"location", "seq", "at"} | ({"patient"} if subject else set())
    rest = (field.name for field in fields(entry) if field.name not in left_out)
    felts = zip(("seq", "at", "kind", *rest), chains.entry_felts(entry), strict=True)
    return first | {"previous": previous} | dict(felts)


def _prefix(chain: Chain, subject: int) -> tuple[int, int, int, int]:
    return chains.prefix_of(CHAIN_ID, MEDSYNC, chain, subject)


def _campaign_ids() -> Iterator[str]:
    yield "### Campaign id"
    yield _CAMPAIGN_ID
    yield _vector(campaign_fields(), "campaign id", CAMPAIGN.id)


def _entry_digests() -> Iterator[str]:
    yield "### Digests of entries"
    yield _ENTRY_DIGESTS
    for chain, (entry, previous) in ENTRIES.items():
        yield f"#### Digest in {_HISTORIES[chain]}"
        digest = chains.entry_digest(CHAIN_ID, MEDSYNC, previous, entry)
        yield _vector(entry_fields(entry, previous), "digest", digest)
    refused = replace(ACCESS, seq=2, at=ACCESS.at + 1, decision=Decision.DENY, reason=Reason.USES_EXHAUSTED)
    first, second = chains.entry_digests(CHAIN_ID, MEDSYNC, [ACCESS, refused])
    yield (
        f"After the access, whose digest is `{first:#x}`, the same request one second later, refused for"
        f" `UsesExhausted` as entry 2, gives `{second:#x}`."
    )


def _commitments() -> Iterator[str]:
    yield "### Commitments"
    yield _COMMITMENTS
    uses = {
        Domain.RECORD: "`AccessRequest.record`",
        Domain.PROFILE: "`profile_commitment` of `register_entity`",
        Domain.TERMS: "`ConsentTerms.terms_commitment`",
        Domain.STUDY: "`study` of consents, requests and campaigns",
        Domain.JUSTIFICATION: "`statement` of `justify_emergency`",
        Domain.DELETION: "`statement` of `state_deletion`",
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
        "commitment": STATEMENT.commitment,
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
        f"For the patient `{PATIENT:#x}`, the chain `SN_SEPOLIA`, the contract `{MEDSYNC:#x}`, the grantee"
        f" `{RESEARCHER:#x}` and the study `{STUDY:#x}`, with generation {GENERATION}, counter {COUNTER} and"
        f" deadline {TERMS.starts_at}. The consents are version 1: for `{TERMS.purpose}`, categories"
        f" {int(TERMS.categories)}, from {TERMS.starts_at} to {TERMS.expires_at}, {TERMS.max_uses} uses,"
        f" scoped, terms commitment `{TERMS.terms_commitment:#x}`; the rewarded one names the campaign above."
    )
    hashes = {name: messages.message_hash(message, PATIENT) for name, message in example_messages().items()}
    yield _table(("Message", "Hash"), ((f"`{name}`", f"`{felt:#x}`") for name, felt in hashes.items()))


def example_messages() -> dict[str, dict[str, Any]]:
    """The test vectors' signed messages (SNIP-12 JSON), by primary type."""
    where, deadline = (CHAIN_ID, MEDSYNC, RESEARCHER), TERMS.starts_at
    giving = (1, GENERATION, COUNTER, deadline)
    return {
        "Consent": messages.consent_message(*where, replace(TERMS, reward=None), *giving),
        "RewardedConsent": messages.consent_message(*where, TERMS, *giving),
        "Revocation": messages.revocation_message(*where, TERMS.purpose, STUDY, GENERATION, deadline),
    }


def _draws() -> Iterator[str]:
    yield "### Draws by key"
    yield _DRAWS
    draw = {"pool": CAMPAIGN.pool, "key": 0xD1, "amount": CAMPAIGN.rate, "recipient": PATIENT, "nonce": 0}
    fields = {"tag": messages.DRAW_TAG, "chain_id": CHAIN_ID} | draw
    yield _vector(fields, "message", messages.draw_message(CHAIN_ID, **draw))


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

_TYPES: Final = """\
Structs are serialized field by field, in this order; enums with a payload as the variant's index and the
payload. Enums without payload are listed under [Vocabularies](#vocabularies)."""

_ENUMS: Final = """\
Purposes are short strings, categories and powers are bits. All others are enums without payload, serialized
as their index."""

_EVENTS: Final = """\
The first key is the event's selector; events can be filtered by the further keys. Fields have this order and
are serialized like arguments; `Option` is 0 and the value, or 1. An event that is an entry of a history has a
number and a second, `seq` and `at`, and is hashed into it (see
[Digests of entries](#digests-of-entries))."""

_HISTORIES: Final = {
    Chain.CONSENTS: "the consent history",
    Chain.ACCESSES: "the access log",
    Chain.REGISTRY: "the registry's history",
}

_ERRORS: Final = """\
A code is the complete panic message of the failed call, the innermost in the node's response. Functions of
another contract fail with a code that this one answers them. `PACK/RANGE` (a value too large for its cell) is
not listed, because no entry point can reach it."""

_STORAGE: Final = """\
New storage cells are the most expensive resource on Starknet, so related values are packed into one felt.
Layouts list fields and their widths in bits, starting at the lowest bit; what stands above begins at bit
128."""

_HASHES: Final = """\
All hashes are Starknet's Poseidon over felts (`poseidon_hash_span`). The vectors are for other
implementations; their addresses are not in use."""

_CAMPAIGN_ID: Final = """\
Poseidon of the SNIP-12 type hash of `CampaignTerms` and the fields of the terms in order, which makes it
their SNIP-12 struct hash: a wallet that shows the terms inside a consent to be signed shows the content of
the id. Zero means no campaign."""

_ENTRY_DIGESTS: Final = f"""\
Poseidon of these felts, truncated to the lowest {chains.HEAD_BITS} bits: the history's tag, the chain's id,
the contract, the subject (the patient; zero for the registry), the digest of the previous entry (zero for the
first), the entry's number, its second, its kind, and every other field of its event in the event's order. The
tags are the short strings `{Chain.CONSENTS.value}`, `{Chain.ACCESSES.value}` and `{Chain.REGISTRY.value}`;
kinds are listed with the events. The latest entry's digest is the history's head: `history_head`, `log_head`,
`registry_head`."""

_COMMITMENTS: Final = f"""\
The contracts take any felt as `record`, `study`, `profile_commitment`, `terms_commitment` and `statement`.
This package uses `Poseidon(domain, value, salt)` with a random felt as salt.
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
these ten felts. `tag` is the short string `MEDSYNC/ANCHOR/2`; `previous_size` and `previous_root` are those
of the currently anchored log."""

_ROTATION_MESSAGES: Final = """\
The message that nodes sign to be replaced: Poseidon of these felts. `tag` is the short string
`MEDSYNC/ROTATION/1`, `epoch` the epoch that ends; `nodes` is the number of new nodes, each with two felts."""

_IDENTITIES: Final = """\
The identity registered for a node in addition to its STARK key: Poseidon of the short string of its kind and
the halves of its ed25519 public key, the upper half first. Anyone who knows the keys can read the kinds of
the attesting nodes from the chain."""

_DRAWS: Final = """\
What the holder of a key signs (ECDSA on the STARK curve, over the hash itself) to draw its credit from a
pool: Poseidon of these felts. `tag` is the short string `MEDSYNC/DRAW/1`, `nonce` the key's present one."""

_MESSAGES: Final = f"""\
SNIP-12, revision 1; the domain's name is `{DOMAIN_NAME}`, its version `{DOMAIN_VERSION}`. It
does not name the contract, so each message does. The signed hash is
`Poseidon('StarkNet Message', domain hash, patient, struct hash)`, and the patient's account validates the
signature (SNIP-6, `is_valid_signature`). `version` is the version that the consent will have, `generation`
and `counter` the patient's present ones, `deadline` the last second in which the message is valid."""

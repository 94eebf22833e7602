"""A patient's histories as one JSON document that can be verified again without a node.

The document contains all three histories with the digest of every entry, so that a fault can be attributed to
an entry, and says for every field whether the proof covers it. `verify_export` describes what a verification
shows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from medsync.errors import VerificationError
from medsync.log.completeness import history_faults
from medsync.log.exports import check_whole
from medsync.log.exports._records import from_record, names_of, to_record, types_of
from medsync.log.histories import BlockHeader, Heads, History, PatientHistory
from medsync.protocol.chains import Chain, ChainEvent, entry_digests
from medsync.protocol.commitments import parse_json
from medsync.protocol.felt import (
    InvalidValue,
    check_address,
    check_uint,
    decode_short_string,
    encode_short_string,
    parse_felt,
)
from medsync.protocol.types import Head
from medsync.storage.versions import check_form

#: Identifies the format of the document; readers reject any other.
SCHEMA: Final = "medsync.export/2"

#: What no digest covers, and how it can be checked.
NOT_PROVEN: Final[Mapping[str, str]] = {
    "block": "compare number, hash and time with the chain; a document of an older block is complete only "
    "as of that block",
    "block_number": "compare with the chain: the entry's event is in this block",
    "transaction_hash": "compare with the chain: the entry's event is in this transaction",
    "campaign terms": "not contained; the id of a campaign is the hash of its terms",
    "openings": "not contained; studies, terms, records, profiles and statements are salted hashes",
    "budgets and money": "not contained, except that a permitted access with a campaign was paid for",
    "requests for consents": "not contained; ConsentRequested is in no history",
}

_MEMBERS: Final = {"consents": Chain.CONSENTS, "accesses": Chain.ACCESSES, "registry": Chain.REGISTRY}


@dataclass(frozen=True, slots=True)
class VerifiedExport:
    """An export whose histories are complete with respect to their heads."""

    history: PatientHistory
    #: Whether the heads came from outside the document. If not, only its consistency was checked.
    anchored: bool


def coverage() -> dict[str, Any]:
    """What the proof of a history covers: `proven` fields by entry, and how to check what is `not_proven`."""
    return {
        "proven": {name: list(types_of(kind)) for chain in Chain for name, kind in names_of(chain).items()},
        "not_proven": dict(NOT_PROVEN),
    }


def dumps(patient: PatientHistory) -> str:
    """Write an export as JSON, indented by two spaces. Equal histories give equal text.

    Raises `InvalidValue` for histories that continue from a checkpoint.
    """
    check_whole(patient)
    block = patient.block
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "chain_id": decode_short_string(patient.chain_id),
        "contract": hex(patient.contract),
        "patient": hex(patient.patient),
        "block": {"number": block.number, "hash": hex(block.hash), "timestamp": block.timestamp},
        "consents": _history(patient.consents),
        "accesses": _history(patient.accesses),
        "registry": _history(patient.registry),
        "coverage": coverage(),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def loads(text: str | bytes) -> PatientHistory:
    """Read an export written by `dumps` without verifying it.

    Raises `InvalidValue`, naming the member, if the text is not a valid export.
    """
    return _read(text)[0]


def verify_export(text: str | bytes, heads: Heads | None = None) -> VerifiedExport:
    """Check that a document contains the patient's whole histories and nothing else.

    With `heads` read from the chain, this shows that every entry is **included** in the anchored histories
    and that they are **append-only** up to those heads: missing, altered, reordered and invented entries are
    found. Without them, the check uses the document's own heads, which the author of the document chose.
    `coverage` says what is not shown.

    Raises `VerificationError` with every fault found, `InvalidValue` if the text is not a valid export, and
    `UnsupportedVersion` if it is one of another version.
    """
    patient, stated = _read(text)
    findings = [] if heads is None else _foreign(patient, heads)
    for member, chain in _MEMBERS.items():
        history: History[ChainEvent] = getattr(patient, member)
        head = history.head if heads is None else heads.of[chain]
        if head != history.head:
            findings.append(
                f"{member}: the document states length {history.head.count} and head "
                f"{hex(history.head.head)}, the chain {head.count} and {hex(head.head)}"
            )
        findings += [f"{member}: {fault}" for fault in history_faults(history, head, stated[chain])]
        if history.entries and history.entries[-1].at > patient.block.timestamp:
            findings.append(f"{member}: the last entry is later than the block that the document states")
    if findings:
        raise VerificationError("the document is not the patient's whole history", findings=findings)
    return VerifiedExport(patient, anchored=heads is not None)


def _foreign(patient: PatientHistory, heads: Heads) -> list[str]:
    """What says that the document is from elsewhere than the heads."""
    findings = []
    for name in ("chain_id", "contract", "patient"):
        found, expected = getattr(patient, name), getattr(heads, name)
        if found != expected:
            findings.append(f"{name}: the document states {hex(found)}, expected is {hex(expected)}")
    block = patient.block
    if block.number == heads.block.number and block != heads.block:
        findings.append(f"block: the document states another block {block.number} than the chain has")
    elif block.number > heads.block.number or block.timestamp > heads.block.timestamp:
        findings.append(
            f"block: the document states block {block.number}, later than {heads.block.number}, whose heads "
            "it is compared with: ask for newer ones"
        )
    return findings


def _history(history: History[ChainEvent]) -> dict[str, Any]:
    digests = entry_digests(history.chain_id, history.contract, history.entries)
    return {
        "count": history.head.count,
        "head": hex(history.head.head),
        "entries": [
            {**to_record(entry), "digest": hex(digest)}
            for entry, digest in zip(history.entries, digests, strict=True)
        ],
    }


def _read(text: str | bytes) -> tuple[PatientHistory, dict[Chain, dict[int, int]]]:
    """The histories, and the digests stated in their entries, by position."""
    found = parse_json(text)
    check_form(found, SCHEMA, "The export", member="schema", older="Export it again.")
    document = _members(
        found,
        {"schema", "chain_id", "contract", "patient", "block", *_MEMBERS, "coverage"},
        "document",
    )
    if document["schema"] != SCHEMA:
        raise InvalidValue(f"schema: expected {SCHEMA}, not {document['schema']!r}")
    if not isinstance(document["chain_id"], str):
        raise InvalidValue("chain_id must be a short string")
    if document["coverage"] != coverage():
        raise InvalidValue("coverage: it does not say what the proof covers")
    contract, patient = (parse_felt(document[name], name) for name in ("contract", "patient"))
    check_address(contract, "contract")
    check_address(patient, "patient")
    members = {name: _members(document[name], {"count", "head", "entries"}, name) for name in _MEMBERS}
    heads = Heads(
        chain_id=encode_short_string(document["chain_id"]),
        contract=contract,
        patient=patient,
        block=_block(document["block"]),
        of={chain: _head(members[name], name) for name, chain in _MEMBERS.items()},
    )
    stated: dict[Chain, dict[int, int]] = {}
    histories: dict[str, History[Any]] = {}
    for name, chain in _MEMBERS.items():
        stated[chain] = {}
        entries = []
        for index, record in enumerate(_list(members[name]["entries"], f"{name}.entries")):
            where = f"{name}.entries[{index}]"
            if not isinstance(record, Mapping) or "digest" not in record:
                raise InvalidValue(f"{where} must be an object with a digest")
            own = {key: record[key] for key in record if key != "digest"}
            entry = from_record(chain, own, where)
            stated[chain][entry.seq] = parse_felt(record["digest"], f"{where}.digest")
            entries.append(entry)
        histories[name] = heads.history(chain, entries)
    return PatientHistory(**histories), stated


def _head(member: Mapping[str, Any], where: str) -> Head:
    check_uint(member["count"], 32, f"{where}.count")
    return Head(member["count"], parse_felt(member["head"], f"{where}.head"))


def _block(value: Any) -> BlockHeader:
    block = _members(value, {"number", "hash", "timestamp"}, "block")
    return BlockHeader(block["number"], parse_felt(block["hash"], "block.hash"), block["timestamp"])


def _members(value: Any, names: set[str], where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidValue(f"{where} must be an object")
    if set(value) != names:
        raise InvalidValue(f"{where}: missing or unknown: {', '.join(sorted(set(value) ^ names))}")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidValue(f"{where} must be a list")
    return value

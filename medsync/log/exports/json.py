"""A patient's export as one JSON document that can be verified again without a node.

The document contains the log with the digest of every entry, so that a fault can be attributed to an entry.
`verify_export` describes what a verification shows. The consents are included but have no hash chain: they
can only be checked against the events on the chain.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from medsync.errors import VerificationError
from medsync.log.completeness import entry_digests, log_faults
from medsync.log.exports import PatientExport
from medsync.log.exports._records import CONSENT_EVENTS, from_record, to_record
from medsync.protocol.commitments import parse_json
from medsync.protocol.events import LogEntry
from medsync.protocol.felt import (
    InvalidValue,
    check_address,
    check_uint,
    decode_short_string,
    encode_short_string,
    parse_felt,
)
from medsync.protocol.types import LogHead

#: Identifies the format of the document; readers reject any other.
SCHEMA: Final = "medsync.export/1"


@dataclass(frozen=True, slots=True)
class VerifiedExport:
    """An export whose log is complete with respect to its head."""

    export: PatientExport
    #: Whether the head came from outside the document. If not, only the document's consistency was checked.
    anchored: bool


def dumps(export: PatientExport) -> str:
    """Write an export as JSON, indented by two spaces. Equal exports give equal text."""
    digests = entry_digests(export.chain_id, export.contract, export.entries)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "chain_id": decode_short_string(export.chain_id),
        "contract": hex(export.contract),
        "patient": hex(export.patient),
        "log": {"count": export.head.count, "head": hex(export.head.head)},
        "entries": [
            {**to_record(entry), "digest": hex(digest)}
            for entry, digest in zip(export.entries, digests, strict=True)
        ],
        "consents": [{"event": type(event).__name__, **to_record(event)} for event in export.consents],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def loads(text: str | bytes) -> PatientExport:
    """Read an export written by `dumps` without verifying it.

    Raises `InvalidValue`, naming the member, if the text is not a valid export.
    """
    return _read(text)[0]


def verify_export(text: str | bytes, head: LogHead | None = None) -> VerifiedExport:
    """Check that a document contains the patient's complete access log and nothing else.

    With a `head` read from the chain, this shows that every entry is **included** in the anchored log and
    that the log is **append-only** up to that head: missing, altered, reordered and invented entries are
    found. Without it, the check uses the document's own head, which the author of the document chose. The
    consents are not covered.

    Raises `VerificationError` with every fault found, and `InvalidValue` if the text is not a valid export.
    """
    export, stated = _read(text)
    expected = head or export.head
    faults = log_faults(export.chain_id, export.contract, export.patient, export.entries, expected, stated)
    findings = [str(fault) for fault in faults]
    if expected != export.head:
        findings.insert(
            0,
            f"the document states length {export.head.count} and head {hex(export.head.head)}, "
            f"the chain {expected.count} and {hex(expected.head)}",
        )
    if findings:
        raise VerificationError("the document is not the patient's complete log", findings=findings)
    return VerifiedExport(export, anchored=head is not None)


def _read(text: str | bytes) -> tuple[PatientExport, dict[int, int]]:
    """The export, and the digests stated in its entries, by position."""
    document = _members(
        parse_json(text),
        {"schema", "chain_id", "contract", "patient", "log", "entries", "consents"},
        "document",
    )
    if document["schema"] != SCHEMA:
        raise InvalidValue(f"schema: expected {SCHEMA}, not {document['schema']!r}")
    if not isinstance(document["chain_id"], str):
        raise InvalidValue("chain_id must be a short string")
    log = _members(document["log"], {"count", "head"}, "log")
    check_uint(log["count"], 32, "log.count")
    stated: dict[int, int] = {}
    entries = []
    for index, record in enumerate(_list(document["entries"], "entries")):
        where = f"entries[{index}]"
        if not isinstance(record, Mapping) or "digest" not in record:
            raise InvalidValue(f"{where} must be an object with a digest")
        entry = from_record(LogEntry, {name: record[name] for name in record if name != "digest"}, where)
        stated[entry.seq] = parse_felt(record["digest"], f"{where}.digest")
        entries.append(entry)
    consents = []
    for index, record in enumerate(_list(document["consents"], "consents")):
        where = f"consents[{index}]"
        kind = CONSENT_EVENTS.get(str(record.get("event"))) if isinstance(record, Mapping) else None
        if kind is None:
            raise InvalidValue(f"{where}.event must be one of {', '.join(CONSENT_EVENTS)}")
        consents.append(from_record(kind, {name: record[name] for name in record if name != "event"}, where))
    contract, patient = (parse_felt(document[name], name) for name in ("contract", "patient"))
    check_address(contract, "contract")
    check_address(patient, "patient")
    export = PatientExport(
        chain_id=encode_short_string(document["chain_id"]),
        contract=contract,
        patient=patient,
        head=LogHead(log["count"], parse_felt(log["head"], "log.head")),
        entries=tuple(entries),
        consents=tuple(consents),
    )
    return export, stated


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

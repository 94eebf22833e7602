"""A patient's export as one JSON document that can be verified again without a node.

The document holds the log with the digest of every entry, so that a fault can be pinned to an entry. What
verifying it shows is said in `verify_export`. The consents travel along but have no hash chain: they prove
themselves only against the chain's events.
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

#: Names the form of the document; a reader refuses any other.
SCHEMA: Final = "medsync.export/1"


@dataclass(frozen=True, slots=True)
class VerifiedExport:
    """An export whose log is complete for its head."""

    export: PatientExport
    #: Whether the head came from outside the document. If not, the document agrees with itself and no more.
    anchored: bool


def dumps(export: PatientExport) -> str:
    """The export as a JSON document (two-space indented, final newline). Equal exports give equal text."""
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
    """The export that `dumps` wrote, without verifying it.

    Raises `InvalidValue`, naming the member, for text that is no such document.
    """
    return _read(text)[0]


def verify_export(text: str | bytes, head: LogHead | None = None) -> VerifiedExport:
    """Check that the document holds the patient's whole access log, and nothing else.

    With a `head` that was read from the chain this shows that every entry is **included** in the anchored log
    and that the log is **append-only** up to that head: a missing, altered, reordered or invented entry is
    found. Without it only the document's own head is used, which whoever wrote the document chose. The
    consents are not covered.

    Raises `VerificationError` with every fault found, `InvalidValue` for text that is no export.
    """
    export, stated = _read(text)
    expected = head or export.head
    faults = log_faults(export.chain_id, export.contract, export.patient, export.entries, expected, stated)
    findings = [str(fault) for fault in faults]
    if expected != export.head:
        findings.insert(
            0,
            f"the document states {export.head.count} entries and head {hex(export.head.head)}, "
            f"the chain {expected.count} and {hex(expected.head)}",
        )
    if findings:
        raise VerificationError("this is not the patient's whole log", findings=findings)
    return VerifiedExport(export, anchored=head is not None)


def _read(text: str | bytes) -> tuple[PatientExport, dict[int, int]]:
    """The export, and the digests its entries state, by position."""
    document = _members(
        parse_json(text),
        {"schema", "chain_id", "contract", "patient", "log", "entries", "consents"},
        "document",
    )
    if document["schema"] != SCHEMA:
        raise InvalidValue(f"schema: this reads {SCHEMA}, not {document['schema']!r}")
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

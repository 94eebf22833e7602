"""What the tests of the private side share: made-up resources, keys, a log entry, a stand-in for a node."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medsync.private.keys.keys import AccessorKey, EncryptionKey, RecordVersion
from medsync.private.records.sealing import SealedRecord, new_record_id, seal_record
from medsync.private.records.vault import KeyVault, Note
from medsync.protocol.events import LogEntry
from medsync.protocol.felt import encode_short_string
from medsync.protocol.vocabulary import Category, Decision, Purpose, Reason
from scripts.demo.synthetic import load_patients

CHAIN = encode_short_string("SN_SEPOLIA")
CONTRACT = 0x6D6564
PATIENT = 0x7061
RESEARCHER = 0x7265
NOW = 1_767_225_600  # 2026-01-01T00:00:00Z
#: 32 bytes in base58.
CONTEXT = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"

#: In no file, error or argument, unless encrypted.
MARKER = "Zq7MarkerOfAPatient"


def observation(text: str = MARKER) -> dict[str, Any]:
    """A valid FHIR observation that says `text`."""
    return {
        "resourceType": "Observation",
        "id": "synthetic-observation",
        "status": "final",
        "code": {"text": text},
        "valueQuantity": {"value": 5.5, "unit": "mmol/L"},
    }


def resources() -> Iterator[Mapping[str, Any]]:
    """Every made-up resource there is."""
    for patient in load_patients():
        yield from patient.resources


def entry(record: RecordVersion, /, **changes: Any) -> LogEntry:
    """The log entry that permits the researcher to have a record."""
    values: dict[str, Any] = {
        "patient": PATIENT,
        "accessor": RESEARCHER,
        "purpose": Purpose.HRESCH,
        "seq": 4,
        "at": NOW - 30,
        "study": 0,
        "decision": Decision.PERMIT,
        "reason": Reason.GRANTED,
        "version": 1,
        "scoped": False,
        "categories": Category.OBSERVATION,
        "record": record.commitment,
        "campaign": 0,
        "registration": 1,
    }
    return LogEntry(**(values | changes))


class Store:
    """What keeps ciphertexts, in memory: what a node's application does on `put` and `erase`."""

    def __init__(self) -> None:
        self.kept: dict[str, SealedRecord] = {}

    async def erase(self, id: str) -> bool:
        return self.kept.pop(id, None) is not None


def put(store: Store, vault: KeyVault, resource: Mapping[str, Any], patient: int = PATIENT) -> SealedRecord:
    """Encrypt a resource as a new record and keep it, its key in the vault."""
    record_id = new_record_id()
    public = vault.add(record_id, Note(patient=patient, label=MARKER))
    sealed = seal_record(resource, record_id, [public])
    store.kept[record_id] = sealed
    return sealed


def opener(sealed: SealedRecord, key: EncryptionKey | AccessorKey) -> bytes:
    """The wrapped data key that is for that key."""
    own = key.encryption if isinstance(key, AccessorKey) else key
    return sealed.keys[own.public.hex()]


def everything_under(folder: Path) -> bytes:
    """The bytes of every file, and every file's name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return b"\n".join(path.name.encode() + b"\n" + path.read_bytes() for path in files)


def spellings(secret: bytes) -> list[bytes]:
    """A secret as it may stand in a file: raw, hexadecimal, base64 in every alignment, decimal."""
    from base64 import b64encode, urlsafe_b64encode

    number = int.from_bytes(secret, "big")
    found = [secret, secret[::-1], secret.hex().encode(), str(number).encode(), f"{number:x}".encode()]
    for encode in (b64encode, urlsafe_b64encode):
        for shift in range(3):
            # What lies whole within the secret, whatever stands before it.
            found.append(encode(bytes(shift) + secret)[4 if shift else 0 :][: len(secret) * 4 // 3 - 4])
    return [*found, *(one.upper() for one in (secret.hex().encode(), f"{number:x}".encode()))]


def dumps(document: Any) -> str:
    """A document as a hospital might write it."""
    return json.dumps(document, indent=2)

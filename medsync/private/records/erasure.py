"""Erases a record everywhere in the hospital, resumably, and issues a signed certificate at the end.

It deletes the record's key in the key vault and its registered backups, then ciphertext, wrapped keys and
private metadata in the node, then unused tickets. Deleting the data key also deletes the salt, which exists
only in the ciphertext. Data on the chain remains; the certificate describes it, why it no longer identifies
anyone, and what still might.

Each step can be repeated, and its result is recorded before the next step, so that an interrupted erasure is
completed by running it again. There is no certificate as long as a backup or a ticket could not be reached.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal, Protocol

from pydantic import Field

from medsync.errors import InputError, VerificationError
from medsync.private.keys.keys import RecordVersion, SigningKey, is_signed
from medsync.private.records.tickets import delete_tickets
from medsync.private.records.vault import KeyVault
from medsync.private.schema import Address, Felt, Hex32, Hex64, RecordId, Schema
from medsync.protocol.events import LogEntry
from medsync.storage.files import NewFile, is_there, read_bytes, replace

_LABEL: Final = b"medsync.erasure.v1\0"

#: The certificate's statements about everything that remains.
REMAINS: Final = (
    "in each log entry: the patient's address, the accessor, the purpose, the study's salted hash, the"
    " categories, the time, the decision and the record's commitment",
    "in the anchored log: one leaf, a hash, for each version of the record, for its erasure, and for each"
    " release or refusal, and the roots over them",
    "in the replicated state of the private nodes: the record's random id, its commitments, versions and"
    " categories, and that it was erased; receipts",
)
WHY: Final = (
    "A commitment is a hash of the record and a random salt of 252 bits. The salt existed only in the"
    " encrypted record, and the key to that was deleted. Without the salt nobody can show that the commitment"
    " is to the record, or find out by guessing, not even who knows the record word for word."
)
STILL_IDENTIFIES: Final = (
    "the patient's own address is a pseudonym: anyone who knows whose it is knows who is meant by its log"
    " entries, and that they were about a record of those categories",
    "a category that only one patient's records have, the time of an entry, or how many there are may give"
    " away whose they are",
    "copies that were released before are with those who got them, salt and all; they can show what the"
    " commitment is to",
    "a copy of the ciphertext, if anybody made one, still opens for other recipients of its key, such as the"
    " patient",
    "blocks that a disk, its snapshots, or copies of the key vault that were never registered still hold",
)


class EncryptedStore(Protocol):
    """The store of the ciphertexts: a private node's application."""

    async def erase(self, id: str) -> bool:
        """Delete a record's ciphertext, keys and private metadata. Returns whether there was anything."""


class TicketJournal(Protocol):
    """The store of tickets in addition to their files: the bridge's journal."""

    def forget_tickets(self, record: str) -> None:
        """Delete a record's tickets."""


class ErasureIncomplete(VerificationError):
    """Something could not be reached, as listed in `findings`. Run the erasure again."""

    code = "ERASURE_INCOMPLETE"


Place = Literal["vault", "backup", "node", "bridge", "ticket"]


class Version(Schema):
    """A version of the record as known on the chain."""

    version: int = Field(ge=1)
    commitment: Felt


class Deleted(Schema):
    """The deletion in one place."""

    place: Place
    #: The file, for a backup or a ticket.
    name: str = ""
    what: str
    #: Whether there was something left to delete.
    found: bool
    #: Unix seconds.
    at: int = Field(ge=0)


class PublicEntry(Schema):
    """A log entry that names the record, as published on the chain."""

    patient: Address
    seq: int
    accessor: Address
    purpose: str
    categories: tuple[str, ...]
    decision: str
    at: int
    record: Felt

    @classmethod
    def of(cls, entry: LogEntry) -> PublicEntry:
        """The entry's public fields."""
        return cls(
            patient=entry.patient,
            seq=entry.seq,
            accessor=entry.accessor,
            purpose=str(entry.purpose),
            categories=entry.categories.names,
            decision=entry.decision.name,
            at=entry.at,
            record=entry.record,
        )


class OnChain(Schema):
    """The remaining data about the record on the chain."""

    #: Chain id, MedSync contract and, if the record is in an anchored log, the anchor contract.
    chain: Felt
    contract: Address
    anchor: Address | None = None
    #: Every log entry that names one of the record's commitments.
    entries: tuple[PublicEntry, ...] = ()
    #: Known roots of the anchored log that include the record.
    roots: tuple[Felt, ...] = ()


class _State(Schema):
    """The progress so far, from which an interrupted erasure resumes."""

    form: Literal["medsync.erasure/1"] = "medsync.erasure/1"
    record: RecordId
    versions: tuple[Version, ...]
    begun_at: int = Field(ge=0)
    deleted: tuple[Deleted, ...] = ()


class ErasureStatement(Schema):
    """The content of a certificate."""

    form: Literal["medsync.erasure-certificate/1"] = "medsync.erasure-certificate/1"
    record: RecordId
    versions: tuple[Version, ...]
    begun_at: int = Field(ge=0)
    completed_at: int = Field(ge=0)
    #: ed25519 key of the signer, who deleted the record.
    by: Hex32
    deleted: tuple[Deleted, ...]
    chain: OnChain
    remains: tuple[str, ...]
    why_it_names_nobody: str
    still_identifies: tuple[str, ...]


class Certificate(Schema):
    """A signed statement that a record was erased."""

    statement: ErasureStatement
    signature: Hex64

    def verify(self, signer: bytes) -> ErasureStatement:
        """Verify the ed25519 key's signature and return the statement. Raises VerificationError.

        The certificate does not prove that nothing was retained; it makes the signer accountable.
        """
        signed = is_signed(signer, self.signature, _LABEL + self.statement.canonical())
        if not signed or self.statement.by != signer:
            raise VerificationError("The certificate of erasure was not signed by that key, or was altered.")
        return self.statement


def read_certificate(path: Path) -> Certificate:
    """Read a certificate, without verifying it. Raises InputError for an invalid file."""
    return Certificate.read(read_bytes(path, "The certificate"), f"The certificate {path}")


def certificate_path(folder: Path, record: str) -> Path:
    """The path of the certificate of a record's completed erasure."""
    return folder / f"{record}.erased.json"


class Erasure:
    """The erasure of a record."""

    def __init__(
        self,
        folder: Path,
        record: str,
        versions: Sequence[RecordVersion],
        *,
        store: EncryptedStore,
        vault: KeyVault,
        signer: SigningKey,
        tickets: Path | None = None,
        journal: TicketJournal | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`folder` gets the certificate, and holds what was done so far until then. `versions` are the
        record's, `signer` is the custodian's or the bridge's key, `tickets` the folder of ticket files.

        Raises InputError for versions of another record.
        """
        if any(version.id != record for version in versions):
            raise InputError("The versions belong to different records.")
        self.certificate = certificate_path(folder, record)
        self._progress = folder / f"{record}.erasing.json"
        self._record, self._clock, self._signer = record, clock, signer
        self._store, self._vault, self._tickets, self._journal = store, vault, tickets, journal
        self._versions = versions

    async def run(self, chain: OnChain) -> Certificate:
        """Delete the record everywhere, and certify it. `chain` is the remaining data on the chain.

        If the record was erased and certified before and nothing is left, that certificate is returned.
        Raises ErasureIncomplete, naming what could not be reached, and the errors of node and vault. Run it
        again in that case.
        """
        self._state = self._begun()
        deletion = self._vault.erase(self._record)
        self._done("vault", deletion.found, "the record's private key, and whom it was about")
        for path, had in deletion.reached.items():
            self._done("backup", had, "the record's private key, and whom it was about", str(path))
        found = await self._store.erase(self._record)
        self._done("node", found, "ciphertext, wrapped keys, private metadata")
        unreached = [f"the backup {path}: {why}" for path, why in deletion.unreached.items()]
        if self._journal is not None:
            self._journal.forget_tickets(self._record)
            self._done("bridge", False, "tickets in the bridge's journal, if there were any")
        if self._tickets is not None:
            tickets, unread = delete_tickets(self._tickets, self._record)
            for path in tickets:
                self._done("ticket", True, "a ticket with the wrapped data key", path.name)
            unreached += [f"the file {path}: {why}" for path, why in unread.items()]
        if unreached:
            raise ErasureIncomplete(
                f"The record {self._record} is not erased everywhere; not reached:",
                findings=unreached,
                hint="Make them reachable, or remove missing backups: medsync private forget-backup."
                " Then erase again.",
            )
        return self._certified(chain)

    def _begun(self) -> _State:
        """Load the progress of an earlier run, or start with none, and store it."""
        known = {Version(version=v.version, commitment=v.commitment) for v in self._versions}
        begun_at = int(self._clock())
        deleted: tuple[Deleted, ...] = ()
        if is_there(self._progress):
            state = _State.read(read_bytes(self._progress, "The erasure"), f"The erasure {self._progress}")
            known |= set(state.versions)
            begun_at, deleted = state.begun_at, state.deleted
        ordered = tuple(sorted(known, key=lambda version: (version.version, version.commitment)))
        state = _State(record=self._record, versions=ordered, begun_at=begun_at, deleted=deleted)
        self._write(self._progress, state)
        return state

    def _done(self, place: Place, found: bool, what: str, name: str = "") -> None:
        """Record the deletion in a place. An earlier finding is kept."""
        before = {(deletion.place, deletion.name): deletion for deletion in self._state.deleted}
        if not found and (place, name) in before:
            return
        before[place, name] = Deleted(place=place, name=name, what=what, found=found, at=int(self._clock()))
        self._state = self._state.model_copy(update={"deleted": tuple(before.values())})
        self._write(self._progress, self._state)

    def _certified(self, chain: OnChain) -> Certificate:
        state = self._state
        if not any(deletion.found for deletion in state.deleted) and is_there(self.certificate):
            certificate = read_certificate(self.certificate)
            # The custodian's key may have been replaced in the meantime.
            certificate.verify(certificate.statement.by)
        else:
            statement = ErasureStatement(
                record=state.record,
                versions=state.versions,
                begun_at=state.begun_at,
                completed_at=int(self._clock()),
                by=self._signer.public,
                deleted=state.deleted,
                chain=chain,
                remains=REMAINS,
                why_it_names_nobody=WHY,
                still_identifies=STILL_IDENTIFIES,
            )
            signature = self._signer.sign(_LABEL + statement.canonical())
            certificate = Certificate(statement=statement, signature=signature)
            self._write(self.certificate, certificate)
        self._progress.unlink()
        return certificate

    def _write(self, path: Path, content: Schema) -> None:
        text = content.model_dump_json(indent=2) + "\n"
        replace(NewFile(path, text.encode(), "The erasure", private=True))

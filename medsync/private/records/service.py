"""The record service: stores, updates and fetches records, from FHIR JSON to ciphertext and back.

Keys are stored in the key vault first, so that there is never a ciphertext without a key whose deletion
erases it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import ExitCode, VerificationError
from medsync.log.fetch import fetch_log
from medsync.private.keys.keys import AccessorKey
from medsync.private.node.interface import ApplicationError, BadAnswer, NodeError
from medsync.private.records.application import RecordStore
from medsync.private.records.sealing import (
    OpenedRecord,
    SealedRecord,
    new_record_id,
    open_record,
    seal_record,
)
from medsync.private.records.tickets import Presentation, SignedTicket, Ticket
from medsync.private.records.vault import KeyVault, Note
from medsync.protocol.chains import entry_digests
from medsync.protocol.events import LogEntry
from medsync.protocol.felt import InvalidValue
from medsync.protocol.vocabulary import Category

#: A hint for each reason for which the application refuses a ticket.
HINTS: Final[Mapping[str, str]] = {
    "EXPIRED": "Request access again: the hospital's bridge then issues a new ticket.",
    "USED": "A ticket can be used once. Request access again.",
    "STALE": "The record was changed. Request its current version.",
    "ERASED": "The record no longer exists.",
    "BAD_PRESENTATION": "The ticket was issued for another key.",
}


class NotReleased(NodeError):
    """The application refused a ticket and logged the refusal. `code` is the reason."""

    exit_code = ExitCode.NOT_PERMITTED

    def __init__(self, reason: str) -> None:
        self.code = reason
        super().__init__(f"The record was not released: {reason}.", hint=HINTS.get(reason, ""))


async def put(
    store: RecordStore,
    vault: KeyVault,
    resource: Mapping[str, Any],
    note: Note,
    *,
    recipients: Iterable[bytes] = (),
    overrides: Mapping[str, Category] | None = None,
) -> SealedRecord:
    """Validate, encrypt and store a FHIR resource as a new record, for the vault and `recipients`.

    Raises `InvalidValue` for a resource that is invalid or too large, and the errors of vault and node.
    """
    record = new_record_id()
    public = vault.add(record, note)
    try:
        sealed = seal_record(resource, record, (public, *recipients), overrides=overrides)
        await store.put(sealed, patient=note.patient, consent=_consent(note))
    except (InvalidValue, ApplicationError):
        vault.erase(record)
        raise
    return sealed


async def update(
    store: RecordStore,
    vault: KeyVault,
    record: str,
    resource: Mapping[str, Any],
    *,
    recipients: Iterable[bytes] = (),
    overrides: Mapping[str, Category] | None = None,
) -> SealedRecord:
    """Store a new version of a record with a new data key and salt, replacing the previous version.

    Raises the errors of `put`, and UnknownRecord.
    """
    note = vault.note(record)
    version = await store.version(record) + 1
    keys = (vault.public_key(record), *recipients)
    sealed = seal_record(resource, record, keys, version=version, overrides=overrides)
    await store.update(sealed, patient=note.patient, consent=_consent(note))
    return sealed


async def logged_request(
    client: FullNodeClient, contract: int, ticket: Ticket, first_block: int = 0
) -> LogEntry:
    """Fetch the log entry that a ticket refers to, from the patient's log, which is verified to be complete.

    `contract` is the MedSync contract of the accessor's request; `first_block` may be any block before the
    log's first entry. Raises VerificationError if the ticket refers to another contract or to an unknown
    entry, or if it contradicts the entry: then bridge and node agreed on something that was not requested.
    """
    if ticket.contract != contract:
        raise VerificationError("The ticket refers to the log of another contract.")
    history = await fetch_log(client, ticket.contract, ticket.patient, from_block=first_block)
    digests = entry_digests(history.chain_id, history.contract, history.entries)
    for entry, digest in zip(history.entries, digests, strict=True):
        if isinstance(entry, LogEntry) and digest == ticket.digest:
            asked = (entry.seq, entry.accessor, entry.record, entry.decision.name)
            if asked != (ticket.seq, ticket.accessor, ticket.commitment, ticket.decision):
                raise VerificationError("The ticket does not match the logged request.")
            return entry
    raise VerificationError("The patient's log does not have the entry that the ticket refers to.")


async def fetch(
    store: RecordStore, signed: SignedTicket, key: AccessorKey, *, requested: int
) -> OpenedRecord:
    """Present a ticket, and open the released record.

    `requested` is the commitment in the accessor's logged request (see `logged_request`), which is
    authoritative. Raises NotReleased with the application's reason, and VerificationError for a different
    record, after the ticket has been used.
    """
    data_key = signed.data_key(key)
    ciphertext = await release(store, signed.present(key.signing))
    return open_record(ciphertext, data_key, signed.ticket.record_version, requested=requested)


async def release(store: RecordStore, presentation: Presentation) -> bytes:
    """Present a ticket and return the released ciphertext. The ticket can then no longer be used.

    Raises NotReleased with the application's reason, TicketRefused for a malformed ticket, and the errors of
    the node.
    """
    released = await store.release(presentation.context, presentation)
    if released.reason is not None:
        raise NotReleased(released.reason)
    if released.ciphertext is None:
        raise BadAnswer("The application released nothing.")
    return released.ciphertext


def _consent(note: Note) -> int:
    return note.consent.commitment if note.consent else 0

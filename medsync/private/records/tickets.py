"""Tickets, which the bridge issues to an accessor for a permitted request on the chain, to fetch one record.

A ticket is canonical JSON (RFC 8785), signed with the bridge's ed25519 key. It names the log entry it is
based on, the record and version it releases, and the accessor's key that must present it, and contains the
data key wrapped for the accessor. A stolen ticket is useless: presenting it requires the accessor's
signature, and its data key can only be unwrapped with the accessor's key. The node's application enforces
single use by the entry's digest.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import base58
from pydantic import AfterValidator, Field

from medsync.errors import InputError, VerificationError
from medsync.private.keys.cards import KeyCard
from medsync.private.keys.keys import (
    WRAPPED_BYTES,
    AccessorKey,
    BridgeKey,
    DataKey,
    RecordVersion,
    SigningKey,
    is_signed,
    wrap,
)
from medsync.private.schema import Address, Base64, Felt, Hex32, Hex64, RecordId, Schema
from medsync.protocol.events import LogEntry
from medsync.protocol.felt import InvalidValue
from medsync.protocol.vocabulary import Decision
from medsync.storage.files import is_there, read_bytes

#: Default and maximum validity of a ticket in seconds.
LIFE: Final = 900
LONGEST_LIFE: Final = 3600
#: Seconds by which a ticket's issue time may be ahead of the verifier's clock.
CLOCK_SKEW: Final = 60
#: Maximum size of a ticket's text in bytes.
LONGEST_TEXT: Final = 8192

_TICKET_LABEL: Final = b"medsync.ticket.v1\0"
_PRESENTATION_LABEL: Final = b"medsync.presentation.v1\0"


class TicketRefusal(StrEnum):
    """The first reason that applies to a refused ticket. The node's application has further reasons."""

    MALFORMED = "MALFORMED"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    WRONG_CHAIN = "WRONG_CHAIN"
    WRONG_CONTRACT = "WRONG_CONTRACT"
    WRONG_CONTEXT = "WRONG_CONTEXT"
    BAD_PRESENTATION = "BAD_PRESENTATION"
    NOT_YET = "NOT_YET"
    EXPIRED = "EXPIRED"


class TicketRefused(VerificationError):
    """A ticket is invalid for the given `reason`."""

    code = "TICKET_REFUSED"

    def __init__(self, reason: TicketRefusal) -> None:
        super().__init__(f"The ticket is refused: {reason}.")
        self.reason = reason


def _context(text: str) -> str:
    try:
        usable = (
            base58.b58encode(base58.b58decode(text)).decode() == text and len(base58.b58decode(text)) == 32
        )
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be 32 bytes in base58")
    return text


def _wrapped(value: bytes) -> bytes:
    if len(value) != WRAPPED_BYTES:
        raise ValueError(f"must be {WRAPPED_BYTES} bytes")
    return value


_Seconds = Annotated[int, Field(ge=0, lt=2**53)]
_Count = Annotated[int, Field(ge=1, lt=2**32)]


class Ticket(Schema):
    """The content of a ticket."""

    v: Literal[1] = 1
    #: Chain id and contract of the log.
    chain: Felt
    contract: Address
    #: Id of the record's context, in base58.
    context: Annotated[str, AfterValidator(_context)]
    patient: Address
    #: Position in the patient's log, and digest of the entry there.
    seq: _Count
    digest: Felt
    decision: Literal["PERMIT", "EMERGENCY"]
    #: Id, version and commitment of the released record.
    record: RecordId
    version: _Count
    commitment: Felt
    accessor: Address
    #: The accessor's ed25519 key, which must present it.
    accessor_key: Hex32
    #: The data key, wrapped for the accessor's encryption key.
    wrapped_key: Annotated[Base64, AfterValidator(_wrapped)] = Field(repr=False)
    issued_at: _Seconds
    #: Last second (unix) in which it is valid.
    deadline: _Seconds

    @property
    def record_version(self) -> RecordVersion:
        """The record that it releases."""
        return RecordVersion(self.record, self.version, self.commitment)


class Presentation(Schema):
    """A ticket with the accessor's signature, for the node's application. It contains no data key."""

    #: The ticket's text, and the bridge's signature.
    ticket: str = Field(max_length=LONGEST_TEXT, repr=False)
    signature: Hex64
    #: The accessor's signature.
    presentation: Hex64

    @property
    def context(self) -> str:
        """The ticket's context. Raises TicketRefused (MALFORMED)."""
        return SignedTicket(text=self.ticket, signature=self.signature).ticket.context

    def arguments(self) -> dict[str, str]:
        """The arguments of the application's `release`."""
        return self.model_dump(mode="json")


class SignedTicket(Schema):
    """A ticket's text with a signature, which `verify` checks."""

    text: str = Field(max_length=LONGEST_TEXT, repr=False)
    signature: Hex64

    @property
    def ticket(self) -> Ticket:
        """The ticket. Raises TicketRefused (MALFORMED) for a text that is not in canonical form."""
        try:
            ticket = Ticket.read(self.text, "ticket")
            canonical = ticket.canonical() == self.text.encode()
        except (InvalidValue, UnicodeEncodeError):
            raise TicketRefused(TicketRefusal.MALFORMED) from None
        if not canonical or not 0 <= ticket.deadline - ticket.issued_at <= LONGEST_LIFE:
            raise TicketRefused(TicketRefusal.MALFORMED)
        return ticket

    def verify(self, bridge_key: bytes, *, chain: int, contract: int, context: str, now: int) -> Ticket:
        """Verify the ticket for a log and context at `now` (unix seconds), and return it.

        `bridge_key` is the bridge's ed25519 public key. Raises TicketRefused with the first reason that
        applies, in the same order as the node's application.
        """
        ticket = self.ticket
        checks = {
            TicketRefusal.BAD_SIGNATURE: is_signed(
                bridge_key, self.signature, _TICKET_LABEL + self.text.encode()
            ),
            TicketRefusal.WRONG_CHAIN: ticket.chain == chain,
            TicketRefusal.WRONG_CONTRACT: ticket.contract == contract,
            TicketRefusal.WRONG_CONTEXT: ticket.context == context,
            TicketRefusal.NOT_YET: ticket.issued_at <= now + CLOCK_SKEW,
            TicketRefusal.EXPIRED: now <= ticket.deadline,
        }
        for reason, holds in checks.items():
            if not holds:
                raise TicketRefused(reason)
        return ticket

    def present(self, key: SigningKey) -> Presentation:
        """Sign the ticket for presentation. Raises TicketRefused if another key must present it."""
        if self.ticket.accessor_key != key.public:
            raise TicketRefused(TicketRefusal.BAD_PRESENTATION)
        presentation = key.sign(_presented(self.text))
        return Presentation(ticket=self.text, signature=self.signature, presentation=presentation)

    def data_key(self, key: AccessorKey) -> DataKey:
        """Unwrap the data key. Raises VerificationError if it was wrapped for another accessor."""
        ticket = self.ticket
        return key.encryption.unwrap(ticket.wrapped_key, ticket.record_version)

    @classmethod
    def issue(
        cls,
        key: BridgeKey,
        *,
        chain: int,
        contract: int,
        context: str,
        entry: LogEntry,
        digest: int,
        record: RecordVersion,
        card: KeyCard,
        data_key: DataKey,
        now: int,
        life: int = LIFE,
    ) -> Self:
        """Issue a ticket for a log entry, which the caller has verified on the chain.

        `digest` is the entry's digest, `card` the accessor's verified key certificate, `data_key` the key of
        that version of the record. The ticket is valid from `now` for `life` seconds, but no longer than the
        certificate. Raises InputError for an entry that is not a permit or names a different record, for the
        certificate of another account, and for too long a life; VerificationError for an expired certificate.
        """
        if entry.decision not in (Decision.PERMIT, Decision.EMERGENCY):
            raise InputError("The log entry is not a permit, so no ticket can be issued for it.")
        if entry.record != record.commitment:
            raise InputError("The log entry names a different record or version.")
        if card.address != entry.accessor:
            raise InputError("The key card is not the accessor's.")
        if not 0 < life <= LONGEST_LIFE:
            raise InputError(f"A ticket is valid for 1 to {LONGEST_LIFE} seconds.")
        card.check(chain=chain, now=now)
        ticket = Ticket(
            chain=chain,
            contract=contract,
            context=context,
            patient=entry.patient,
            seq=entry.seq,
            digest=digest,
            decision="PERMIT" if entry.decision is Decision.PERMIT else "EMERGENCY",
            record=record.id,
            version=record.version,
            commitment=record.commitment,
            accessor=entry.accessor,
            accessor_key=card.signing_key,
            wrapped_key=wrap(data_key, card.encryption_key, record),
            issued_at=now,
            deadline=min(now + life, card.expires_at - 1),
        )
        text = ticket.canonical()
        return cls(text=text.decode(), signature=key.signing.sign(_TICKET_LABEL + text))


def is_presented(presentation: Presentation, accessor_key: bytes) -> bool:
    """Whether the ed25519 key signed the message."""
    return is_signed(accessor_key, presentation.presentation, _presented(presentation.ticket))


def _presented(text: str) -> bytes:
    return _PRESENTATION_LABEL + hashlib.sha256(text.encode()).digest()


def read_ticket(path: Path) -> SignedTicket:
    """Read a ticket written by `SignedTicket.canonical`. Raises InputError for an invalid file."""
    return SignedTicket.read(read_bytes(path, "The ticket"), f"The ticket {path}")


def delete_tickets(folder: Path, record: str) -> tuple[list[Path], dict[Path, str]]:
    """Delete a record's tickets. Returns the deleted files, and those that could not be, with reasons.

    Every file in the folder is checked, including files left by a crash during writing. An unreadable file
    may be a ticket, so as long as there is one, the record's tickets are not certainly deleted.
    """
    deleted, unreached = [], {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            if read_ticket(path).ticket.record == record:
                path.unlink()
                deleted.append(path)
        except OSError as error:
            unreached[path] = f"cannot be deleted: {error.strerror}"
        except (InputError, TicketRefused):
            # The ticket may have been fetched and removed in the meantime.
            if is_there(path):
                unreached[path] = "is not a readable ticket"
    return deleted, unreached

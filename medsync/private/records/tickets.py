"""Tickets: what the bridge gives an accessor whose permitted request is on the chain, to get one record.

A ticket is canonical JSON (RFC 8785), so there is one text for it, and the bridge's ed25519 key signs that
text. It names the log entry it stands on, the record and version it releases, the accessor's key that must
present it, and carries the data key wrapped for the accessor. Stolen, it is of no use: it is presented with a
signature of the accessor's, and what it carries opens with the accessor's key only. That it is used once, the
node's application sees to, by the entry's digest.
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

#: Seconds a ticket is good for, unless said otherwise, and at most.
LIFE: Final = 900
LONGEST_LIFE: Final = 3600
#: Seconds by which a ticket may be issued ahead of the clock of who checks it.
CLOCK_SKEW: Final = 60
#: Most bytes of a ticket's text.
LONGEST_TEXT: Final = 8192

_TICKET_LABEL: Final = b"medsync.ticket.v1\0"
_PRESENTATION_LABEL: Final = b"medsync.presentation.v1\0"


class Refusal(StrEnum):
    """Why a ticket is refused, the first that applies; the node's application knows further reasons."""

    MALFORMED = "MALFORMED"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    WRONG_CHAIN = "WRONG_CHAIN"
    WRONG_CONTRACT = "WRONG_CONTRACT"
    WRONG_CONTEXT = "WRONG_CONTEXT"
    BAD_PRESENTATION = "BAD_PRESENTATION"
    NOT_YET = "NOT_YET"
    EXPIRED = "EXPIRED"


class TicketRefused(VerificationError):
    """A ticket is not what it must be; `reason` says why."""

    code = "TICKET_REFUSED"

    def __init__(self, reason: Refusal) -> None:
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
    """What a ticket says."""

    v: Literal[1] = 1
    #: Chain id and contract of the log it stands on.
    chain: Felt
    contract: Address
    #: Id of the context that keeps the record, in base58.
    context: Annotated[str, AfterValidator(_context)]
    patient: Address
    #: Place in the patient's log, and digest of the entry there.
    seq: _Count
    digest: Felt
    decision: Literal["PERMIT", "EMERGENCY"]
    #: Id, version and commitment of what is released.
    record: RecordId
    version: _Count
    commitment: Felt
    accessor: Address
    #: The accessor's ed25519 key, which must present it.
    accessor_key: Hex32
    #: The data key, wrapped for the accessor's encryption key.
    wrapped_key: Annotated[Base64, AfterValidator(_wrapped)] = Field(repr=False)
    issued_at: _Seconds
    #: Last second (unix) it is good for.
    deadline: _Seconds

    @property
    def record_version(self) -> RecordVersion:
        """What it releases."""
        return RecordVersion(self.record, self.version, self.commitment)


class Presentation(Schema):
    """A ticket as the node's application takes it, with the accessor's signature. It opens nothing."""

    #: The ticket's text, and the bridge's signature of it.
    ticket: str = Field(max_length=LONGEST_TEXT, repr=False)
    signature: Hex64
    #: The accessor's.
    presentation: Hex64

    @property
    def context(self) -> str:
        """The context that it is for. Raises TicketRefused (MALFORMED)."""
        return SignedTicket(text=self.ticket, signature=self.signature).ticket.context

    def arguments(self) -> dict[str, str]:
        """The arguments of the application's `release`."""
        return self.model_dump(mode="json")


class SignedTicket(Schema):
    """A ticket as it is handed over: its text, and a signature of it that is for `verify` to judge."""

    text: str = Field(max_length=LONGEST_TEXT, repr=False)
    signature: Hex64

    @property
    def ticket(self) -> Ticket:
        """What it says. Raises TicketRefused (MALFORMED) for a text that says it in another way than ours."""
        try:
            ticket = Ticket.read(self.text, "ticket")
            canonical = ticket.canonical() == self.text.encode()
        except (InvalidValue, UnicodeEncodeError):
            raise TicketRefused(Refusal.MALFORMED) from None
        if not canonical or not 0 <= ticket.deadline - ticket.issued_at <= LONGEST_LIFE:
            raise TicketRefused(Refusal.MALFORMED)
        return ticket

    def verify(self, bridge_key: bytes, *, chain: int, contract: int, context: str, now: int) -> Ticket:
        """What it says, if it is the bridge's, for that log and context, and good at `now` (unix seconds).

        `bridge_key` is the bridge's ed25519 public key. Raises TicketRefused with the first reason that
        applies, in the order the node's application has them.
        """
        ticket = self.ticket
        checks = {
            Refusal.BAD_SIGNATURE: is_signed(bridge_key, self.signature, _TICKET_LABEL + self.text.encode()),
            Refusal.WRONG_CHAIN: ticket.chain == chain,
            Refusal.WRONG_CONTRACT: ticket.contract == contract,
            Refusal.WRONG_CONTEXT: ticket.context == context,
            Refusal.NOT_YET: ticket.issued_at <= now + CLOCK_SKEW,
            Refusal.EXPIRED: now <= ticket.deadline,
        }
        for reason, holds in checks.items():
            if not holds:
                raise TicketRefused(reason)
        return ticket

    def present(self, key: SigningKey) -> Presentation:
        """It with the accessor's signature. Raises TicketRefused if it is to be presented by another key."""
        if self.ticket.accessor_key != key.public:
            raise TicketRefused(Refusal.BAD_PRESENTATION)
        presentation = key.sign(_presented(self.text))
        return Presentation(ticket=self.text, signature=self.signature, presentation=presentation)

    def data_key(self, key: AccessorKey) -> DataKey:
        """The data key it carries. Raises VerificationError if it is not for that accessor."""
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
        """A ticket for what a log entry permits, which whoever issues it has verified on the chain.

        `digest` is the entry's, `card` the accessor's key card, verified, `data_key` of that version of the
        record. It is good from `now` for `life` seconds, but no longer than the card. Raises InputError for
        an entry that permits nothing or names another record, for another's card, and for too long a life;
        VerificationError for a card that has expired.
        """
        if entry.decision not in (Decision.PERMIT, Decision.EMERGENCY):
            raise InputError("The log entry permits nothing: there is no ticket for it.")
        if entry.record != record.commitment:
            raise InputError("The log entry names another record, or another version of it.")
        if card.address != entry.accessor:
            raise InputError("The key card is not the accessor's.")
        if not 0 < life <= LONGEST_LIFE:
            raise InputError(f"A ticket is good for 1 to {LONGEST_LIFE} seconds.")
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
    """Whether it was signed by that ed25519 key."""
    return is_signed(accessor_key, presentation.presentation, _presented(presentation.ticket))


def _presented(text: str) -> bytes:
    return _PRESENTATION_LABEL + hashlib.sha256(text.encode()).digest()


# --- tickets that wait to be fetched, as files in a folder --------------------------------------------------


def read_ticket(path: Path) -> SignedTicket:
    """The ticket in a file, as `SignedTicket.canonical` wrote it. Raises InputError for a file without."""
    return SignedTicket.read(read_bytes(path, "The ticket"), f"The ticket {path}")


def delete_tickets(folder: Path, record: str) -> tuple[list[Path], dict[Path, str]]:
    """Delete a record's tickets: which were, and which files could not be read, or not deleted, and why.

    Every file in the folder is looked at, also what a crash left of one that was being written. One that
    cannot be read may be a ticket, so as long as there is any, the record's are not gone for sure.
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
            # Fetched meanwhile, and gone with that, is fine.
            if is_there(path):
                unreached[path] = "is no ticket that can be read"
    return deleted, unreached

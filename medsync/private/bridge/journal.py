"""The bridge's journal: entries of its log, patients' log entries it processed, tickets it issued.

Every action of the bridge is first a transaction here, followed by an external action that can be repeated,
so that it resumes after any interruption. The journal must never lose an anchored entry, which would fork the
log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sql

from medsync.errors import VerificationError
from medsync.private.bridge.leaves import leaf_value
from medsync.private.records.application import Operation, parse_operation
from medsync.protocol.merkle import MerkleLog
from medsync.storage.database import Database

_TABLES = sql.MetaData()
_LEAVES = sql.Table(
    "leaves",
    _TABLES,
    sql.Column("position", sql.Integer, primary_key=True),
    sql.Column("context", sql.Text, nullable=False),
    sql.Column("seq", sql.Integer, nullable=False),
    sql.Column("operation", sql.JSON, nullable=False),
    sql.UniqueConstraint("context", "seq"),
)
_ENTRIES = sql.Table(
    "entries",
    _TABLES,
    sql.Column("patient", sql.Text, primary_key=True),
    sql.Column("seq", sql.Integer, primary_key=True),
    sql.Column("digest", sql.Text, nullable=False),
    sql.Column("outcome", sql.Text, nullable=False),
    sql.Column("at", sql.Integer, nullable=False),
)
_TICKETS = sql.Table(
    "tickets",
    _TABLES,
    sql.Column("digest", sql.Text, primary_key=True),
    sql.Column("record", sql.Text, nullable=False),
    sql.Column("accessor", sql.Text, nullable=False),
    sql.Column("deadline", sql.Integer, nullable=False),
    sql.Column("text", sql.Text, nullable=False),
)

_PLACE = sql.Table(
    "place",
    _TABLES,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("block", sql.Integer, nullable=False),
)


class EntryOutcome(StrEnum):
    """The outcome of processing a log entry."""

    ISSUED = "ISSUED"
    """A ticket was signed."""
    WAITING = "WAITING"
    """The accessor has no key certificate here yet. The entry is checked again until it is too old."""
    NO_OPENING = "NO_OPENING"
    """The consent has a sealed scope, and the bridge was not given the opening of its terms. The entry is
    checked again until it is too old."""
    NOT_PERMITTED = "NOT_PERMITTED"
    """The decision was neither PERMIT nor EMERGENCY."""
    TOO_OLD = "TOO_OLD"
    """The entry is too old for a ticket."""
    NO_RECORD = "NO_RECORD"
    """No record here has the requested commitment, or the request names none."""
    NOT_CURRENT = "NOT_CURRENT"
    """The commitment belongs to an older version, or the record was erased, possibly not yet everywhere."""
    WRONG_PATIENT = "WRONG_PATIENT"
    """The record belongs to another patient."""
    NOT_COVERED = "NOT_COVERED"
    """The record has a category that was not requested."""


#: Outcomes after which an entry is not checked again.
FINAL = frozenset(EntryOutcome) - {EntryOutcome.WAITING, EntryOutcome.NO_OPENING}


@dataclass(frozen=True)
class ProcessedEntry:
    """A log entry with its outcome."""

    patient: int
    seq: int
    digest: int
    outcome: EntryOutcome
    #: When it was logged, in unix seconds.
    at: int
    #: Terms commitment whose opening is missing; None if none is. Not kept in the journal.
    unopened: int | None = None


@dataclass(frozen=True)
class IssuedTicket:
    """A signed ticket that was issued."""

    digest: int
    #: Id of the record it releases.
    record: str
    accessor: int
    #: Last second (unix) in which it is valid.
    deadline: int
    #: The ticket's file.
    text: str


class Journal:
    """The database, used by one bridge at a time."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _TABLES, what="The bridge's journal")
        self.log = MerkleLog()
        for operation in self.operations():
            self.log.append(leaf_value(operation))

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def last(self, context: str) -> Operation | None:
        """A context's newest operation in the log."""
        question = sql.select(_LEAVES.c.operation).where(_LEAVES.c.context == context)
        with self._database.transaction() as connection:
            row = connection.execute(question.order_by(_LEAVES.c.seq.desc()).limit(1)).first()
        return None if row is None else parse_operation(row.operation)

    def append(self, context: str, operations: Sequence[Operation]) -> None:
        """Append a context's next operations to the log, all or none."""
        rows = [
            {
                "position": len(self.log) + number,
                "context": context,
                "seq": operation.seq,
                "operation": operation.model_dump(mode="json"),
            }
            for number, operation in enumerate(operations)
        ]
        with self._database.transaction() as connection:
            connection.execute(sql.insert(_LEAVES), rows)
        for operation in operations:
            self.log.append(leaf_value(operation))

    def operations(self, first: int = 0, last: int | None = None) -> Iterator[Operation]:
        """The log's entries from a position up to but excluding another."""
        question = sql.select(_LEAVES.c.operation).where(_LEAVES.c.position >= first)
        if last is not None:
            question = question.where(_LEAVES.c.position < last)
        with self._database.transaction() as connection:
            rows = connection.execute(question.order_by(_LEAVES.c.position)).all()
        for row in rows:
            yield parse_operation(row.operation)

    def check_prefix(self, size: int, root: int) -> None:
        """Raise VerificationError unless this log extends the anchored log."""
        if size > len(self.log) or self.log.root(size) != root:
            raise VerificationError(
                f"The chain has anchored a log of size {size}, which this bridge's log of size "
                f"{len(self.log)} does not extend.",
                hint="Restore the journal, or find the other bridge: two bridges must not share an anchor.",
            )

    def processed(self, patient: int) -> dict[int, EntryOutcome]:
        """The latest outcome of each entry of a patient's log that was looked at, by position."""
        question = sql.select(_ENTRIES.c.seq, _ENTRIES.c.outcome).where(_ENTRIES.c.patient == hex(patient))
        with self._database.transaction() as connection:
            return {seq: EntryOutcome(name) for seq, name in connection.execute(question).all()}

    def waiting(self) -> set[int]:
        """Addresses of the patients with a log entry that is to be checked again."""
        question = sql.select(_ENTRIES.c.patient).where(
            _ENTRIES.c.outcome.not_in([str(outcome) for outcome in FINAL])
        )
        with self._database.transaction() as connection:
            return {int(patient, 16) for patient in connection.execute(question).scalars()}

    @property
    def block(self) -> int | None:
        """The newest block whose entries were processed; None before the first."""
        with self._database.transaction() as connection:
            return connection.execute(sql.select(_PLACE.c.block)).scalar_one_or_none()

    def advance(self, block: int) -> None:
        """Record that everything up to and including a block was processed."""
        with self._database.transaction() as connection:
            connection.execute(sql.delete(_PLACE))
            connection.execute(sql.insert(_PLACE).values(id=1, block=block))

    def add(self, entry: ProcessedEntry, ticket: IssuedTicket | None = None) -> None:
        """Record the outcome of an entry, and its ticket if one was issued, in one transaction."""
        row = {
            "patient": hex(entry.patient),
            "seq": entry.seq,
            "digest": hex(entry.digest),
            "outcome": str(entry.outcome),
            "at": entry.at,
        }
        with self._database.transaction() as connection:
            connection.execute(
                sql.delete(_ENTRIES).where(_ENTRIES.c.patient == row["patient"], _ENTRIES.c.seq == row["seq"])
            )
            connection.execute(sql.insert(_ENTRIES).values(row))
            if ticket is not None:
                connection.execute(
                    sql.insert(_TICKETS).values(
                        digest=hex(ticket.digest),
                        record=ticket.record,
                        accessor=hex(ticket.accessor),
                        deadline=ticket.deadline,
                        text=ticket.text,
                    )
                )

    def outcomes(self) -> dict[EntryOutcome, int]:
        """The number of log entries by outcome."""
        question = sql.select(_ENTRIES.c.outcome, sql.func.count()).group_by(_ENTRIES.c.outcome)
        with self._database.transaction() as connection:
            return {EntryOutcome(name): count for name, count in connection.execute(question).all()}

    def tickets(self, *, after: int) -> list[IssuedTicket]:
        """The tickets whose deadline (unix seconds) is not before `after`."""
        with self._database.transaction() as connection:
            rows = connection.execute(sql.select(_TICKETS).where(_TICKETS.c.deadline >= after)).all()
        return [
            IssuedTicket(int(row.digest, 16), row.record, int(row.accessor, 16), row.deadline, row.text)
            for row in rows
        ]

    def forget_tickets(self, record: str) -> None:
        """Delete the tickets of an erased record: they carry its wrapped key."""
        with self._database.transaction() as connection:
            connection.execute(sql.delete(_TICKETS).where(_TICKETS.c.record == record))

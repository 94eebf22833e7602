"""What a hospital was told, in plain Python: what must be there after it. Shares no code with the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starkware.cairo.common.poseidon_hash import poseidon_hash_many

from tests.harness.words import felt

Fact = tuple[Any, ...]
"""An operation as far as it is known beforehand: all but its time."""


@dataclass
class Record:
    """A record that the node acknowledged, or was found to have."""

    id: str
    patient: int
    #: What it says, and its commitments, by version.
    texts: list[str]
    commitments: list[int]
    #: Whether its key is in the vault. An erasure begins with it.
    has_key: bool = True
    #: Whether the node erased it, and whether there is a certificate that it is gone everywhere.
    erased: bool = False
    certified: bool = False

    @property
    def version(self) -> int:
        return len(self.commitments)


@dataclass
class Ticket:
    """A ticket that its accessor fetched."""

    digest: int
    record: str
    version: int
    commitment: int
    context: str
    #: As it lies in its file, and as the node knows it.
    file: bytes
    hash: str


@dataclass
class Pending:
    """Something that was begun and not acknowledged: of this nothing may be there, or all."""

    what: str
    fact: Fact | None = None
    record: Record | None = None
    text: str = ""
    commitment: int = 0
    #: Whom a new record is about.
    patient: int = 0


@dataclass
class Model:
    """What is known."""

    #: Receipts of releases, and of refusals, that have room in a context.
    room: int
    records: dict[str, Record] = field(default_factory=dict)
    #: By context, every operation, as it was found first.
    operations: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Keys of records that never came to be, and whom those would have been about.
    orphans: dict[str, int] = field(default_factory=dict)
    tickets: dict[int, Ticket] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)

    def patients(self) -> set[int]:
        """Whose keys the vault has."""
        keyed = {record.patient for record in self.records.values() if record.has_key}
        return keyed | set(self.orphans.values())

    def by_commitment(self, commitment: int) -> Record | None:
        for record in self.records.values():
            if commitment in record.commitments:
                return record
        return None

    def outcome(self, patient: int, commitment: int, permitted: bool) -> str:
        """What the bridge must make of a request that was logged."""
        record = self.by_commitment(commitment)
        if not permitted:
            return "NOT_PERMITTED"
        if record is None:
            return "NO_RECORD"
        if record.erased or record.commitments[-1] != commitment:
            return "NOT_CURRENT"
        if record.patient != patient:
            return "WRONG_PATIENT"
        # While it is being erased its key is gone first.
        return "ISSUED" if record.has_key else "NOT_CURRENT"

    def reason(self, ticket: Ticket) -> str | None:
        """Why a ticket must be refused; None if it must be taken."""
        record = self.records[ticket.record]
        if ticket.digest in self.used:
            return "USED"
        if record.erased:
            return "ERASED"
        if record.version != ticket.version:
            return "STALE"
        return None if self.has_room(ticket.context) else "FULL"

    def has_room(self, context: str) -> bool:
        """Whether another release has room for its receipt."""
        return len(self._receipts(context, "RELEASED")) < self.room

    def is_silent(self, ticket: Ticket, reason: str) -> bool:
        """Whether this refusal leaves none: it has one already, or there is no room for it."""
        refused = self._receipts(ticket.context, "REFUSED")
        return len(refused) >= self.room or (ticket.hash, reason) in refused

    def _receipts(self, context: str, outcome: str) -> list[tuple[str, str]]:
        return [
            (one["ticket"], one["reason"])
            for one in self.operations[context]
            if one["kind"] == "RECEIPT" and one["outcome"] == outcome
        ]


def fact_of(operation: dict[str, Any]) -> Fact:
    """What of an operation is known beforehand."""
    names = {
        "RECORD": ("kind", "id", "version", "commitment"),
        "ERASED": ("kind", "id", "version"),
        "RECEIPT": ("kind", "ticket", "outcome", "reason", "digest", "commitment"),
    }
    return tuple(operation[name] for name in names[operation["kind"]])


def leaf_value(operation: dict[str, Any]) -> int:
    """An operation's leaf, as `docs/spec.md` has it."""

    def number(name: str) -> int:
        return int(operation[name] or "0x0", 16)

    kind, at = operation["kind"], operation["at"]
    if kind == "RECORD":
        stored = [operation["version"], number("commitment"), operation["categories"], number("consent")]
        fields = [number("id"), *stored]
    elif kind == "ERASED":
        fields = [number("id"), operation["version"]]
    else:
        ticket, said = operation["ticket"], (operation["outcome"], operation["reason"])
        fields = [int(ticket[:32], 16), int(ticket[32:], 16), *(felt(word or "") for word in said)]
        fields += [number("digest"), number("commitment"), number("accessor")]
    return int(poseidon_hash_many([felt("MEDSYNC/LEAF/1"), felt(kind), *fields, at]))

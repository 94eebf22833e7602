"""A hospital as a state machine: whatever it does, and wherever it dies of it, nothing acknowledged is lost,
nothing is there by half, what was erased is gone, and what was anchored stays.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import shutil
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import hypothesis.stateful
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition
from hypothesis.strategies._internal.featureflags import FeatureFlags

from medsync.errors import NetworkError, VerificationError
from medsync.private.keys.keys import RecordVersion
from medsync.private.records.sealing import OpenedRecord
from medsync.private.records.tickets import SignedTicket
from medsync.private.records.vault import UnknownRecord
from medsync.protocol.types import AnchorNode
from medsync.protocol.vocabulary import Decision
from tests.harness import rfc9162
from tests.harness.records import entry, everything_under
from tests.private.interleavings.chain import Chain
from tests.private.interleavings.model import Fact, Model, Pending, Record, Ticket, fact_of, leaf_value
from tests.private.interleavings.process import CAPACITY, END, NAMES, Process, played_chain

T = TypeVar("T")

PATIENTS = (0xA1, 0xA2)
RECEIPTS_PER_RECORD = 4
#: Bytes of an encrypted record at least, and of what is searched for.
SMALLEST, PIECE = 2**11, 32
PICK = st.integers(0, 63)


@st.composite
def dies_within(draw: st.DrawFn, points: int, turns: int, *named: str, one_in: int = 3) -> int | str:
    """In one of so many cases, where, see `Crash.armed`; past the last point it survives."""
    if draw(st.integers(1, one_in)) < one_in:
        return 0
    match draw(st.sampled_from(["any", "turn", "named"])):
        case "any":
            return draw(st.integers(1, points))
        case "turn":
            return -draw(st.integers(1, turns))
    return draw(st.sampled_from([*named, END]))


RULES: set[str] = set()


def rule(**strategies: Any) -> Callable[[Callable[..., None]], Any]:
    """Hypothesis' rule, with its name kept in the books, and everything compared after it."""

    def decorate(step: Callable[..., None]) -> Any:
        @wraps(step)
        def counted(machine: Hospital, **drawn: Any) -> None:
            machine.reached["rule", step.__name__] += 1
            machine.settled = False
            step(machine, **drawn)
            if machine.process.up:
                machine.compare()

        RULES.add(step.__name__)
        return hypothesis.stateful.rule(**strategies)(counted)

    return decorate


def up(machine: Hospital) -> bool:
    return machine.process.up


def has_records(machine: Hospital) -> bool:
    return up(machine) and any(not record.certified for record in machine.model.records.values())


#: What must have happened at least once.
EXPECTED: dict[str, set[str]] = {
    "rule": RULES,
    "outcome": {
        *(f"{what}: acknowledged" for what in ("put", "update", "erase", "erase again", "back up")),
        *(
            f"{what}: died, {left}"
            for what in ("put", "update", "present")
            for left in ("there", "not there")
        ),
        *(f"erase: died, {left} gone" for left in ("nothing", "only the key", "on the node, too,")),
        *(f"present: {answer}" for answer in ("released", "USED", "STALE", "ERASED")),
        *(f"bridge: {end}" for end in ("anchored", "nothing new", "too few attestors", "lost", "unheard")),
        *(f"bridge: died, {left}" for left in ("anchored", "not anchored")),
        *(f"start: {how}" for how in ("in good order", "after it died", "died")),
        "update: refused",
    },
    "request": {"ISSUED", "NOT_PERMITTED", "NO_RECORD", "NOT_CURRENT", "WRONG_PATIENT"},
    "died in": {"process", "node", "vault", "vault-backup", "journal", "attestor", "file", "chain"},
    "died": {
        *(f"before {act}" for act in ("a statement", "a commit", "it says so")),
        *(f"before it is {act}" for act in ("replaced", "deleted", "synced", "sent", "answered")),
    },
}

#: What few examples may miss.
RARE: dict[str, set[str]] = {
    "outcome": {
        "erase again: acknowledged",
        "update: refused",
        *(f"present: died, {left}" for left in ("there", "not there")),
        *(f"present: {answer}" for answer in ("STALE", "ERASED")),
        *(f"erase: died, {left} gone" for left in ("nothing", "only the key")),
        *(f"bridge: {end}" for end in ("lost", "unheard", "too few attestors", "died, anchored")),
    },
    "request": {"NO_RECORD", "WRONG_PATIENT"},
    "died in": {"vault-backup", "file", "chain"},
    "died": {f"before it is {act}" for act in ("replaced", "deleted", "synced", "sent", "answered")},
}


class Hospital(RuleBasedStateMachine):
    template: ClassVar[Path]
    nodes: ClassVar[list[AnchorNode]]
    loop: ClassVar[asyncio.AbstractEventLoop]
    reached: ClassVar[Counter[tuple[str, str]]]
    swarm: ClassVar[bool] = False
    #: Who is told what happened.
    narrate: ClassVar[Callable[[str], None]] = staticmethod(note)
    numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        if not self.swarm:
            # In few examples each must have all rules.
            self._rules_strategy.enabled_rules_strategy = st.just(FeatureFlags())
        self.folder = self.template.with_name(f"example-{next(self.numbers)}")
        shutil.copytree(self.template, self.folder)
        self.chain = Chain(list(self.nodes), threshold=2)
        self.model = Model(room=CAPACITY * RECEIPTS_PER_RECORD)
        self.pending: Pending | None = None
        #: Whether operations were compared since the last rule, and records since there was a new operation.
        self.settled = self.viewed = False
        #: The bridge's log, and what it processed, as its journal had them when they were last looked at.
        self.log: list[tuple[str, int]] = []
        self.leaves: list[int] = []
        self.processed: dict[tuple[int, int], str] = {}
        self.anchors_checked = 0
        #: How many blocks the bridge has looked at.
        self.looked = 0
        #: By record, sealed values that were in files because of it, and the wrapped keys of its tickets.
        self.secrets: dict[str, set[bytes]] = {}
        self.seen: set[bytes] = set()
        #: Pieces of what was erased.
        self.gone: set[bytes] = set()
        self.texts = (f"finding {number}" for number in itertools.count())
        self.stack = ExitStack()
        self.stack.enter_context(played_chain(self.chain))
        self.process = Process(self.folder, self.chain)
        self.stack.enter_context(self.process.crash.listening())
        self.run(self.process.start())
        self.compare()

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                if not self.process.up:
                    self.starts(0)
                self.read_everything()
                self.assert_gone(self.folder)
        finally:
            self.run(self.process.stop())
            self.stack.close()
            for folder in (self.folder, self.process.crash.found):
                shutil.rmtree(folder, ignore_errors=True)

    def run(self, action: Awaitable[T]) -> T:
        return self.loop.run_until_complete(action)

    def does(self, what: str, action: Callable[[], Awaitable[T]], point: int | str) -> T | None:
        """Have the hospital do something, unless it dies of it."""
        answer = self.run(self.process.does(action, point))
        at = self.process.crash.at
        self.narrate(f"{what}: {f'died at {at}' if at else 'done'}")
        if at is not None:
            where, _, when = at.partition(": ")
            self.reached["died in", where] += 1
            self.reached["died", when] += 1
        return answer

    def has(self, what: str) -> None:
        self.reached["outcome", what] += 1

    def record(self, pick: int) -> Record:
        """One of the records there ever were; mostly one that is not erased, if there is one."""
        known = list(self.model.records.values())
        stored = [record for record in known if not record.erased]
        chosen = stored if stored and pick % 8 != 7 else known
        return chosen[pick // 8 % len(chosen)]

    # ---------------------------------------------------------------- rules

    @precondition(up)
    @rule(patient=st.sampled_from(PATIENTS), point=dies_within(50, 4))
    def put(self, patient: int, point: int | str) -> None:
        text = next(self.texts)
        sealed = self.does("put", lambda: self.process.put(text, patient), point)
        self.pending = Pending("put", patient=patient)
        for sent in self.process.sent:
            record = Record(sent.record.id, patient, [text], [sent.record.commitment])
            self.pending = self.of_version("put", record, sent.record, text)
        if sealed is not None:
            self.settle(acknowledged=True)

    @precondition(has_records)
    @rule(pick=PICK, point=dies_within(90, 12))
    def update(self, pick: int, point: int | str) -> None:
        record, text = self.record(pick), next(self.texts)
        if not record.has_key:
            self.refused("update", UnknownRecord, lambda: self.process.update(record.id, text))
            return
        sealed = self.does("update", lambda: self.process.update(record.id, text), point)
        self.pending = Pending("update")
        for sent in self.process.sent:
            self.pending = self.of_version("update", record, sent.record, text)
        if sealed is not None:
            self.settle(acknowledged=True)

    def of_version(self, what: str, record: Record, sent: RecordVersion, text: str) -> Pending:
        fact: Fact = ("RECORD", sent.id, sent.version, hex(sent.commitment))
        return Pending(what, fact, record, text, sent.commitment, record.patient)

    def refused(self, what: str, error: type[Exception], action: Callable[[], Awaitable[Any]]) -> None:
        """Something that must not be possible."""
        try:
            self.run(action())
        except error:
            self.has(f"{what}: refused")
        else:
            raise AssertionError(f"{what} of an erased record was possible")

    @precondition(has_records)
    @rule(pick=PICK, point=dies_within(140, 45, "file: before it is replaced", one_in=2))
    def erase(self, pick: int, point: int | str) -> None:
        record = self.record(pick)
        again = record.certified
        certificate = self.does("erase", lambda: self.process.erase(record.id), point)
        fact = None if record.erased else ("ERASED", record.id, record.version)
        self.pending = Pending("erase again" if again else "erase", fact, record)
        if certificate is None:
            return
        self.settle(acknowledged=True)
        stated = certificate.statement
        named = (stated.record, [one.commitment for one in stated.versions])
        assert named == (record.id, record.commitments), "the certificate is of something else"
        record.certified = True
        self.assert_erased(record)

    @precondition(has_records)
    @rule(
        pick=PICK,
        named=st.sampled_from(["it", "it", "it", "it", "it before", "none", "another's"]),
        permitted=st.sampled_from([True, True, True, True, False]),
        then=st.sampled_from(["nothing", "bridge", "bridge and present"]),
    )
    def ask(self, pick: int, named: str, permitted: bool, then: str) -> None:
        """Somebody asks for a record, and it is logged on the chain."""
        record = self.record(pick)
        patient = record.patient
        if named == "another's":
            (patient,) = set(PATIENTS) - {patient}
        commitment = {"none": 0xEC04D, "it before": record.commitments[0]}.get(named, record.commitments[-1])
        logged = entry(
            RecordVersion(record.id, 1, commitment),
            patient=patient,
            seq=len(self.chain.logs.get(patient, ())) + 1,
            at=int(time.time()),
            decision=Decision.PERMIT if permitted else Decision.DENY,
        )
        self.chain.log(logged)
        if then != "nothing":
            self.steps(NAMES, "told", 0)
        if then == "bridge and present" and self.model.tickets:
            newest = list(self.model.tickets.values())[-1]
            for _ in range(2):
                self.presents(newest, 0)

    @precondition(up)
    @rule(
        attestors=st.sampled_from([NAMES, NAMES, NAMES[1:], NAMES[::-1], NAMES[:2], NAMES[:1], NAMES[2:]]),
        network=st.sampled_from(["told", "told", "told", "told", "lost", "unheard"]),
        point=dies_within(110, 45, "chain: before it is sent", "chain: before it is answered", one_in=2),
    )
    def bridge(self, attestors: tuple[str, ...], network: str, point: int | str) -> None:
        """Collect, have attested, anchor, issue."""
        self.steps(attestors, network, point)

    def steps(self, attestors: tuple[str, ...], network: str, point: int | str) -> None:
        size, anchors = self.chain.size, len(self.chain.history)
        total = sum(map(len, self.model.operations.values()))
        self.chain.network = network
        done = self.does("bridge", lambda: self.process.step(attestors), point)
        self.chain.network = "told"
        grown = len(self.chain.history) - anchors
        assert grown <= 1, "one step anchored twice"
        if done is None:
            self.has(f"bridge: died, {'anchored' if grown else 'not anchored'}")
            return
        expected: type[Exception] | None = None
        if size == total:
            outcome = "nothing new"
        elif len(attestors) < self.chain.threshold:
            expected, outcome = VerificationError, "too few attestors"
        elif network == "told":
            outcome = "anchored"
        else:
            expected, outcome = NetworkError, network
        trouble = done.trouble
        assert type(trouble) is (expected or type(None)), (
            f"trouble: {trouble} {getattr(trouble, 'findings', '')}"
        )
        assert grown == (outcome in ("anchored", "unheard")), f"{outcome}, and {grown} anchors"
        assert self.chain.size == (total if grown else size), "not everything is anchored, once"
        self.has(f"bridge: {outcome}")
        self.compare_journal()
        assert len(self.log) == total, "not all operations are in the journal"
        # Patients of whom there is no record any more are not looked at.
        asked = set(self.chain.blocks[self.looked :]) & self.model.patients()
        due = {(patient, one.seq) for patient in asked for one in self.chain.logs[patient]}
        assert due <= set(self.processed), "requests were not processed"
        self.looked = len(self.chain.blocks)
        self.assert_tickets_are_out()

    @precondition(lambda self: up(self) and self.model.tickets)
    @rule(pick=PICK, point=dies_within(41, 2), again=st.booleans())
    def present(self, pick: int, point: int | str, again: bool) -> None:
        """An accessor presents a ticket, a good one if there is any, and perhaps tries it once more."""
        tickets = list(self.model.tickets.values())
        good = [ticket for ticket in tickets if self.model.reason(ticket) is None] or tickets
        ticket = good[-1 - pick % len(good)]
        self.presents(ticket, point)
        if again and self.process.up:
            self.presents(ticket, 0)

    @precondition(lambda self: up(self) and any(map(self.model.reason, self.model.tickets.values())))
    @rule(pick=PICK, point=dies_within(41, 2))
    def present_in_vain(self, pick: int, point: int | str) -> None:
        """An accessor presents one that was used, or overtaken by a new version, or by an erasure."""
        refused = [ticket for ticket in self.model.tickets.values() if self.model.reason(ticket)]
        # Most were used; the others are what is rare.
        overtaken = [ticket for ticket in refused if self.model.reason(ticket) != "USED"]
        chosen = overtaken if overtaken and pick % 4 else refused
        self.presents(chosen[-1 - pick // 4 % len(chosen)], point)

    def presents(self, ticket: Ticket, point: int | str) -> None:
        signed = SignedTicket.read(ticket.file, "the ticket")
        reason = self.model.reason(ticket)
        silent = reason is not None and self.model.is_silent(ticket, reason)
        got = self.does("present", lambda: self.process.present(signed), point)
        fact = (
            "RECEIPT",
            ticket.hash,
            "REFUSED" if reason else "RELEASED",
            reason,
            hex(ticket.digest),
            hex(ticket.commitment),
        )
        self.pending = Pending("present", None if silent else fact)
        if got is None:
            return
        self.settle(acknowledged=True)
        if isinstance(got, OpenedRecord):
            text = self.model.records[ticket.record].texts[ticket.version - 1]
            assert reason is None, f"it was released: {reason}"
            assert got.resource["code"] == {"text": text}, "a record says something else"
        else:
            assert got == reason, f"{got} instead of {reason}"
        self.has(f"present: {reason or 'released'}")

    @precondition(up)
    @rule(
        what=st.sampled_from(["back up", "back up", "stop and start", "hand over"]),
        threshold=st.sampled_from([2, 2, 3]),
        point=dies_within(15, 10),
    )
    def upkeep(self, what: str, threshold: int, point: int | str) -> None:
        """The vault is copied to where erasure must reach it, or the attestors begin another epoch."""
        if what == "back up":
            if self.does(what, self.process.back_up, point):
                self.has("back up: acknowledged")
        elif what == "stop and start":
            self.starts(0)
        else:
            self.chain.rotate(threshold)

    @precondition(lambda self: not up(self))
    @rule(point=dies_within(90, 38, one_in=5))
    def start(self, point: int | str) -> None:
        self.starts(point)

    def starts(self, point: int | str) -> None:
        orderly = self.process.up
        self.run(self.process.stop())
        self.does("start", self.process.start, point)
        if not self.process.up:
            self.has("start: died")
            return
        self.viewed = False
        self.has(f"start: {'in good order' if orderly else 'after it died'}")
        self.settle(acknowledged=False)
        self.compare_journal()
        self.assert_gone(self.folder / "hospital")

    # ---------------------------------------------------------------- what became of it

    def settle(self, *, acknowledged: bool) -> None:
        """What was begun is there as a whole, or, unless it was acknowledged, not at all."""
        pending, self.pending, self.settled = self.pending, None, True
        new = self.new_operations()
        self.viewed = self.viewed and not new
        keys = self.keys_in_vault()
        if pending is None:
            assert not new, f"nobody asked for this: {new}"
            return
        expected = [pending.fact] if pending.fact else []
        facts = [fact_of(operation) for _, operation in new]
        assert facts in ([expected] if acknowledged else [expected, []]), f"{facts} instead of {expected}"
        for context, operation in new:
            self.model.operations[context].append(operation)
            self.apply(pending, operation)
        record = pending.record
        if pending.what == "put":
            unknown = keys - self.expected_keys()
            assert len(unknown) <= 1, "only one record was begun"
            self.model.orphans |= dict.fromkeys(unknown, pending.patient)
        if pending.what.startswith("erase") and record is not None:
            record.has_key = record.has_key and record.id in keys
            assert not (record.erased and record.has_key), "its key was to go first"
            assert not (acknowledged and record.has_key), "its key is still in the vault"
        if acknowledged:
            # What a ticket got is counted by its answer.
            if pending.what != "present":
                self.has(f"{pending.what}: acknowledged")
        elif pending.what == "erase" and record is not None:
            left = "nothing" if record.has_key else "on the node, too," if record.erased else "only the key"
            self.has(f"erase: died, {left} gone")
        elif expected:
            self.has(f"{pending.what}: died, {'there' if new else 'not there'}")

    def apply(self, pending: Pending, operation: dict[str, Any]) -> None:
        """The model learns that it happened."""
        record = pending.record
        if operation["kind"] == "RECEIPT":
            if operation["outcome"] == "RELEASED":
                self.model.used.add(int(operation["digest"], 16))
            self.note_values(None)
            return
        assert record is not None
        if operation["kind"] == "ERASED":
            record.erased = True
        elif pending.what == "put":
            self.model.records[record.id] = record
        else:
            record.texts.append(pending.text)
            record.commitments.append(pending.commitment)
        self.note_values(None if record.erased else record)

    def new_operations(self) -> list[tuple[str, dict[str, Any]]]:
        """What the node has beyond what is known; what is known must be there, as it was."""
        new = []
        for context in self.process.contexts:
            known = self.model.operations.setdefault(context, [])
            found = self.run(self.process.ask(context, "operations"))
            assert found[: len(known)] == known, "operations that were acknowledged are lost, or changed"
            assert [one["seq"] for one in found] == list(range(len(found))), "operations are misnumbered"
            new += [(context, one) for one in found[len(known) :]]
        assert set(self.model.operations) <= set(self.process.contexts), "a context is lost"
        return new

    def keys_in_vault(self) -> set[str]:
        return set(self.process.vault.records())

    def expected_keys(self) -> set[str]:
        keyed = {record.id for record in self.model.records.values() if record.has_key}
        return keyed | set(self.model.orphans)

    # ---------------------------------------------------------------- what always holds

    def compare(self) -> None:
        """The node and the vault have what the model has, no more and no less."""
        if not self.settled:
            self.settle(acknowledged=False)
        assert self.keys_in_vault() == self.expected_keys(), "the vault has other keys than it must"
        if not self.viewed:
            self.compare_records()

    def compare_records(self) -> None:
        views = {}
        for context in self.process.contexts:
            for view in self.run(self.process.ask(context, "records")):
                assert view["id"] not in views, "a record is in two contexts"
                views[view["id"]] = ([*view["former"], view["commitment"]], view["erased"])
        known = {
            record.id: ([hex(one) for one in record.commitments], record.erased)
            for record in self.model.records.values()
        }
        assert views == known, "the node has other records than it must"
        self.viewed = True

    def compare_journal(self) -> None:
        """The bridge's log only grows, has nothing twice, and is the node's; so are requests and tickets."""
        leaves, processed, tickets = self.read_journal()
        assert leaves[: len(self.log)] == self.log, "the journal forgot or renumbered leaves"
        assert len(set(leaves)) == len(leaves), "a leaf is in the log twice"
        for context in self.process.contexts:
            numbers = [seq for of, seq in leaves if of == context]
            assert numbers == list(range(len(numbers))), "the log is out of the node's order"
        for context, seq in leaves[len(self.log) :]:
            self.leaves.append(leaf_value(self.model.operations[context][seq]))
        self.log = leaves
        self.compare_anchors()
        for place, outcome in self.processed.items():
            assert processed.get(place) == outcome, "the journal forgot what it processed"
        for patient, seq in sorted(processed.keys() - self.processed.keys()):
            logged = self.chain.logs[patient][seq - 1]
            outcome = self.model.outcome(patient, logged.record, logged.decision is Decision.PERMIT)
            assert processed[patient, seq] == outcome, f"{processed[patient, seq]} instead of {outcome}"
            self.reached["request", outcome] += 1
        self.processed = processed
        self.fetch_tickets(tickets)

    def compare_anchors(self) -> None:
        """What is anchored is where the node's log of operations begins, and each of them is provable."""
        assert not self.chain.refused, f"the contract refused: {self.chain.refused}"
        assert all(len(roots) == 1 for roots in self.chain.submitted.values()), "two trees of one size"
        assert self.chain.size <= len(self.leaves), "more is anchored than is in the journal"
        for size, root in self.chain.history[self.anchors_checked :]:
            assert rfc9162.tree_hash(self.leaves[:size]) == root, "another tree is anchored"
        self.anchors_checked = len(self.chain.history)
        log, size = self.process.bridge.journal.log, self.chain.size
        for index in range(size):
            path = log.inclusion_path(index, size)
            proven = rfc9162.root_by_inclusion(self.leaves[index], index, size, path)
            assert proven == self.chain.root, "an anchored leaf cannot be proven"

    def read_journal(self) -> tuple[list[tuple[str, int]], dict[tuple[int, int], str], list[tuple[str, str]]]:
        """The log, the requests and their outcomes, and digests and texts of tickets, past the package."""
        path = self.folder / "hospital" / "bridge" / "journal.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
            leaves = journal.execute("SELECT position, context, seq FROM leaves ORDER BY position").fetchall()
            entries = journal.execute("SELECT patient, seq, outcome FROM entries").fetchall()
            tickets = journal.execute("SELECT digest, text FROM tickets").fetchall()
        places = [position for position, _, _ in leaves]
        assert places == list(range(len(leaves))), "the journal forgot or renumbered leaves"
        processed = {(int(patient, 16), seq): outcome for patient, seq, outcome in entries}
        return [(context, seq) for _, context, seq in leaves], processed, tickets

    # ---------------------------------------------------------------- tickets

    def fetch_tickets(self, tickets: list[tuple[str, str]]) -> None:
        """The accessor gets a copy of every ticket that is issued, and keeps it, used or not."""
        for digest, text in tickets:
            ticket = SignedTicket.read(text, "the ticket")
            said = ticket.ticket
            known = Ticket(
                int(digest, 16),
                said.record,
                said.version,
                said.commitment,
                said.context,
                text.encode(),
                hashlib.sha256(ticket.text.encode()).hexdigest(),
            )
            assert said.digest == known.digest, "a ticket is kept under another's entry"
            assert self.model.tickets.setdefault(known.digest, known) == known, (
                "a second ticket for one entry"
            )
            self.secrets[said.record].add(json.loads(ticket.text)["wrapped_key"].encode())
        issued = Counter(self.processed.values())["ISSUED"]
        assert len(self.model.tickets) == issued, "tickets are not one for each permitted request"

    def assert_tickets_are_out(self) -> None:
        """After a step the files of all tickets lie there, but those of erased records."""
        folder = self.folder / "hospital" / "bridge" / "tickets"
        files = {path.name: path.read_bytes() for path in folder.glob("*.json")}
        erased = {record.id for record in self.model.records.values() if not record.has_key}
        wanted = {
            f"{ticket.digest:#x}.json": ticket.file
            for ticket in self.model.tickets.values()
            if ticket.record not in erased
        }
        assert wanted.items() <= files.items(), "a ticket is not there to be fetched"
        certified = {record.id for record in self.model.records.values() if record.certified}
        for ticket in self.model.tickets.values():
            left = ticket.record in certified and f"{ticket.digest:#x}.json" in files
            assert not left, "an erased record's ticket is there"

    # ---------------------------------------------------------------- what is private, and what was erased

    def read_everything(self) -> None:
        """In the end every record is opened, and says what it was given."""
        for record in self.model.records.values():
            version = RecordVersion(record.id, record.version, record.commitments[-1])
            found = self.run(self.process.store.find(version.commitment))
            assert found is not None, "a record is not found"
            told = (found.id, found.version, found.erased)
            assert told == (record.id, record.version, record.erased), "another record is found"
            if record.has_key and self.model.has_room(found.app.context.id):
                opened = self.run(self.process.read(found.app, version, record.patient))
                assert opened.resource["code"] == {"text": record.texts[-1]}, "a record says something else"

    def values(self) -> tuple[set[bytes], dict[str, bytes]]:
        """The sealed values in files, read past the package: the node's, and the vault's by record."""
        hospital = self.folder / "hospital"
        with closing(sqlite3.connect(f"file:{hospital / 'node' / 'node.sqlite'}?mode=ro", uri=True)) as node:
            kept = {value for (value,) in node.execute("SELECT value FROM entries WHERE private")}
        with closing(sqlite3.connect(f"file:{hospital / 'vault.db'}?mode=ro", uri=True)) as vault:
            return kept, dict(vault.execute("SELECT id, sealed FROM records"))

    def note_values(self, record: Record | None) -> None:
        """What is new in the hospital's files is there because of this record."""
        kept, keys = self.values()
        if record is not None:
            self.secrets.setdefault(record.id, set()).update(kept - self.seen, {keys[record.id]})
        self.seen |= kept

    def assert_erased(self, record: Record) -> None:
        """Ciphertext, keys and tickets are in no file any more; what is left of the record says nothing."""
        kept, keys = self.values()
        gone = self.secrets[record.id] - kept - set(keys.values())
        assert len([value for value in gone if len(value) > SMALLEST]) == record.version, "ciphertext is left"
        self.gone |= {piece for value in gone for piece in pieces(value)}
        self.assert_gone(self.folder / "hospital")

    def assert_gone(self, folder: Path) -> None:
        found = everything_under(folder)
        assert not any(piece in found for piece in self.gone), "something erased is still in a file"


def pieces(value: bytes) -> set[bytes]:
    """Parts of a value: a database may keep it on several pages, or have overwritten some of it."""
    last = max(len(value) - PIECE, 0)
    return {value[start : start + PIECE] for start in (0, last // 3, 2 * last // 3, last)}

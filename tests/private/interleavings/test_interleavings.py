"""Random interleavings of put, update, erase, tickets, anchoring, deaths and restarts, and whether what must
not be would be noticed.

`HYPOTHESIS_PROFILE` selects how much is tried, `STATEFUL_SEED` repeats a run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hypothesis.stateful
import pytest
from hypothesis import HealthCheck, Phase, note, settings

from medsync.private.bridge.bridge import Bridge
from medsync.private.node.embedded import EmbeddedNode
from medsync.private.node.host import Commit
from medsync.private.node.store import Store, Transaction
from medsync.private.records.application import RecordStore
from medsync.private.records.vault import Deletion, KeyVault
from medsync.storage import database
from medsync.storage.database import Database
from tests.harness.reach import Reach, profile
from tests.private.interleavings.machine import EXPECTED, PATIENTS, RARE, Hospital
from tests.private.interleavings.process import CAPACITY, NAMES, make_institutions
from tests.stateful.drawing import FIXED_SEED, INDEPENDENT, draw_from, seed_of_run

# Examples, and steps of each, by profile.
SIZES = {"quick": (10, 30), "ci": (40, 50), "deep": (1_000, 60)}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Hospital]]:
    """The machine, with institutions to begin from."""
    folder = tmp_path_factory.mktemp("interleavings") / "template"
    loop = asyncio.new_event_loop()
    try:
        Hospital.nodes = loop.run_until_complete(make_institutions(folder))
        Hospital.template, Hospital.loop = folder, loop
        yield Hospital
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def run(hospital: type[Hospital], examples: int, steps: int, *, shrink: bool = False) -> None:
    hospital.reached = Counter()
    hypothesis.stateful.run_state_machine_as_test(
        hospital,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            backend=INDEPENDENT,
            database=None,
            derandomize=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
            report_multiple_bugs=False,
        ),
    )


def test_whatever_happens_to_a_hospital(
    hospital: type[Hospital], record_property: Callable[[str, object], None]
) -> None:
    name = profile()
    examples, steps = SIZES[name]
    reach = Reach("Private side", seed_of_run(name), examples, steps)
    draw_from(reach.seed)
    hospital.swarm = name != "quick"
    try:
        run(hospital, examples, steps, shrink=name != "quick")
    finally:
        for table, rows in EXPECTED.items():
            reach.expect(table, rows - RARE.get(table, set()) if name == "quick" else rows)
        for (table, row), times in hospital.reached.items():
            reach.count(table, row, times)
        record_property("reach", reach.as_property())
    reach.assert_all_reached()


# --- would it notice? ---------------------------------------------------------------------------------------


def forgets_what_it_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node's store that is, after a start, as it was before its last transaction that changed anything."""
    before: dict[Path, bytes] = {}
    transaction, start = Store.transaction, Store.__init__

    @contextmanager
    def remembered(store: Store) -> Iterator[Transaction]:
        path = store._folder / "node.sqlite"
        old = path.read_bytes()
        with transaction(store) as opened:
            yield opened
        if path.read_bytes() != old:
            before[path] = old

    def forgetful(store: Store, folder: Path, key: bytes | None = None) -> None:
        if folder / "node.sqlite" in before:
            (folder / "node.sqlite").write_bytes(before.pop(folder / "node.sqlite"))
        start(store, folder, key)

    monkeypatch.setattr(Store, "transaction", remembered)
    monkeypatch.setattr(Store, "__init__", forgetful)


def commits_by_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node's store that writes an execution's entries in two transactions."""
    write = Transaction._write

    def halves(transaction: Transaction, context: bytes, commit: Commit) -> None:
        writes = list(commit.writes.items())
        for half in (writes[: len(writes) // 2], writes[len(writes) // 2 :]):
            write(transaction, context, replace(commit, writes=dict(half)))
            transaction._connection.exec_driver_sql("COMMIT")
            transaction._connection.exec_driver_sql("BEGIN IMMEDIATE")

    monkeypatch.setattr(Transaction, "_write", halves)


def leaves_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure that says the key was deleted."""
    monkeypatch.setattr(KeyVault, "erase", lambda _, record: Deletion(record, True, {}, {}))


def leaves_the_ciphertext(monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure that says the node erased."""

    async def erase(*_: object) -> bool:
        return True

    monkeypatch.setattr(RecordStore, "erase", erase)


def does_not_overwrite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases that leave in their files what was deleted."""
    prepare = database._prepare

    def careless(connection: Any, record: object) -> None:
        prepare(connection, record)
        connection.execute("PRAGMA secure_delete = OFF")

    monkeypatch.setattr(Database, "compact", lambda _: None)
    monkeypatch.setattr(database, "_prepare", careless)


def forgets_backups(monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure that reaches the vault only."""

    def erase(vault: KeyVault, record: str) -> Deletion:
        return Deletion(record, vault._delete(record), {}, {})

    monkeypatch.setattr(KeyVault, "erase", erase)


def forgets_its_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge that begins its log anew whenever it starts, context by context."""
    start = Bridge.__init__

    def forgetful(bridge: Bridge, folder: Path, **settings: Any) -> None:
        (folder / "journal.db").unlink(missing_ok=True)
        start(bridge, folder, **settings)

    monkeypatch.setattr(Bridge, "__init__", forgetful)


def releases_without_a_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that releases, and stores nothing of it: the ticket stays good."""
    run = EmbeddedNode._run

    def released(
        node: EmbeddedNode, transaction: Transaction, context: bytes, method: str, arguments: bytes
    ) -> bytes | None:
        if method != "release":
            return run(node, transaction, context, method, arguments)
        with patch.object(Transaction, "apply", lambda *_: None):
            return run(node, transaction, context, method, arguments)

    monkeypatch.setattr(EmbeddedNode, "_run", released)


def live_through(hospital: type[Hospital]) -> None:
    """A history that is written down, to be short: everything once, and a death wherever a put writes."""
    hospital.reached, hospital.narrate = Counter(), staticmethod(lambda _: None)
    machine = hospital()
    try:
        for point in range(PUT_WRITES, PUT_ENDS + 1):
            machine.put(patient=PATIENTS[1], point=point)
            if not machine.process.up:
                machine.start(point=0)
        for _ in range(CAPACITY):
            machine.put(patient=PATIENTS[0], point=0)
        machine.upkeep(what="back up", threshold=2, point=0)
        machine.update(pick=0, point=0)
        machine.ask(pick=0, named="it", permitted=True, then="bridge and present")
        machine.present(pick=0, point=0, again=True)
        machine.erase(pick=0, point=0)
        machine.bridge(attestors=NAMES, network="told", point=0)
        machine.upkeep(what="stop and start", threshold=2, point=0)
    finally:
        hospital.narrate = staticmethod(note)
        machine.teardown()


#: Points around those at which a put writes, the last of which it mostly survives.
PUT_WRITES, PUT_ENDS = 40, 47

NOTICED: dict[Callable[[pytest.MonkeyPatch], None], str] = {
    forgets_what_it_acknowledged: "acknowledged are lost",
    commits_by_halves: "other records than it must",
    leaves_the_key: "its key",
    leaves_the_ciphertext: "instead of",
    does_not_overwrite: "something erased is still in a file",
    forgets_backups: "something erased is still in a file",
    forgets_its_journal: "the journal forgot or renumbered leaves",
    releases_without_a_receipt: "instead of",
}


def test_nothing_is_noticed_where_nothing_is_wrong(hospital: type[Hospital]) -> None:
    live_through(hospital)
    assert hospital.reached["outcome", "put: died, there"] > 0
    assert hospital.reached["outcome", "put: died, not there"] > 0


@pytest.mark.parametrize("plant", NOTICED, ids=lambda plant: plant.__name__)
def test_it_would_be_noticed(
    hospital: type[Hospital], plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=NOTICED[plant]):
        live_through(hospital)


@pytest.mark.parametrize("plant", [leaves_the_key, leaves_the_ciphertext, does_not_overwrite])
def test_examples_would_find_it(
    hospital: type[Hospital], plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to think of the history in which it shows."""
    plant(monkeypatch)
    draw_from(FIXED_SEED)
    hospital.swarm = False
    with pytest.raises(AssertionError, match=NOTICED[plant]):
        run(hospital, 5, 30)

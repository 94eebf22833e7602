"""Whatever breaks between client and node: the answer is right, or there is a clear error; nothing is lost or
done twice.

`HYPOTHESIS_PROFILE` selects how much is tried, `STATEFUL_SEED` repeats a run. A fault that an operation never
met fails the run.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from medsync.errors import VerificationError
from medsync.log import fetch as log_module
from medsync.starknet import transactions
from tests.faults.books import PLACES, PROFILE, RecordProperty, reaching
from tests.faults.proxy import FAULTS, PAGE_FAULTS, STALE, SUBMISSIONS, Planned
from tests.faults.scene import (
    CHANGES,
    EVENTS,
    LOG,
    READINGS,
    RIGHT,
    Change,
    Reading,
    Scene,
    happens_once,
    reads_right,
)
from tests.stateful.drawing import INDEPENDENT

#: Drawn plans, by profile.
EXAMPLES: Final = {"ci": 300, "deep": 5_000}.get(PROFILE, 20)

#: Faults that a single request can meet, less those that need a past.
ONE_REQUEST: Final = [name for name in FAULTS if name != "stale"]

#: What an honest node may do too.
HARMLESS: Final = ("repeated page", "swapped pages", "shuffled events", "empty page")

#: What only a hash chain can tell, and only a patient's log has one: see `fetch_events`.
TOLD_BY_LOG_ONLY: Final = ("dropped page", "missing last page", "altered event", "invented event")


# --- one fault at a time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_happens_once(
    scene: Scene, runner: asyncio.Runner, change: Change, record_property: RecordProperty
) -> None:
    with reaching(record_property, change.name, [*FAULTS], change.name) as reach:
        # A first one without faults, from which a stale node knows what it says.
        scene.proxy.seen.clear()
        assert runner.run(happens_once(scene, change)) == RIGHT
        seen = list(scene.proxy.seen)
        for fault in ONE_REQUEST:
            for number in reach.elsewhere(seen):
                plan = [Planned(fault, SUBMISSIONS), Planned(fault, skip=number)]
                outcome = runner.run(happens_once(scene, change, *plan, faulty_tries=2))
                reach.add(change.name, fault, outcome)
        for times in (1, 2, 1_000):
            outcome = runner.run(happens_once(scene, change, Planned("stale", STALE, times=times)))
            reach.add(change.name, "stale", outcome)


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_a_reading_is_right_or_refused(
    scene: Scene, runner: asyncio.Runner, reading: Reading, record_property: RecordProperty
) -> None:
    with reaching(record_property, reading.name, ONE_REQUEST, reading.name) as reach:
        scene.proxy.seen.clear()
        assert runner.run(reads_right(scene, reading)) == RIGHT
        seen = list(scene.proxy.seen)
        for fault in ONE_REQUEST:
            for number in reach.elsewhere(seen):
                outcome = runner.run(reads_right(scene, reading, Planned(fault, skip=number)))
                reach.add(reading.name, fault, outcome)


def test_pages_of_events(scene: Scene, runner: asyncio.Runner, record_property: RecordProperty) -> None:
    """What an honest node may do is put right; all else is told, as far as there is a proof."""
    with reaching(record_property, "pages", [*PAGE_FAULTS], LOG.name, EVENTS.name) as reach:
        for fault in PAGE_FAULTS:
            for at in reach.some(range(4), PLACES):
                plan = Planned(fault, ("starknet_getEvents",), times=1_000, at=at)
                outcome = runner.run(reads_right(scene, LOG, plan))
                assert (outcome == RIGHT) == (fault in HARMLESS), (fault, outcome)
                reach.add(LOG.name, fault, outcome)
                if fault in TOLD_BY_LOG_ONLY:
                    with pytest.raises(AssertionError, match="answered wrongly"):
                        runner.run(reads_right(scene, EVENTS, plan))
                    outcome = "incomplete or false: no proof for these"
                else:
                    outcome = runner.run(reads_right(scene, EVENTS, plan))
                    assert (outcome == RIGHT) == (fault in HARMLESS), (fault, outcome)
                reach.add(EVENTS.name, fault, outcome)


def test_a_stale_node_shows_the_log_as_it_was(
    scene: Scene, runner: asyncio.Runner, record_property: RecordProperty
) -> None:
    """All of it stale, the log is right as of the block it names; in part stale, it is refused."""
    with reaching(record_property, "stale log", ["stale"], LOG.name) as reach:
        scene.proxy.remember()
        was = runner.run(LOG.run(scene, scene.through))
        scene.world.chain.refresh()
        scene.world.ask(patient=scene.world.neighbour)
        scene.plan(Planned("stale", STALE, times=1_000))
        shown = runner.run(LOG.run(scene, scene.through))
        assert shown == was
        assert shown.block.number < scene.world.chain.node.call("starknet_blockNumber")
        reach.add(LOG.name, "stale", "right as of an earlier block")
        outcome = runner.run(reads_right(scene, LOG, Planned("stale", ("starknet_getBlockWithTxHashes",))))
        assert outcome != RIGHT
        reach.add(LOG.name, "stale", outcome)


# --- several nodes ------------------------------------------------------------------------------------------

#: Faults that another node makes up for: its answers are as good.
MADE_UP_FOR: Final = [
    name for name in ONE_REQUEST if name not in ("duplicated", "late", "null", "silence after")
]


@pytest.fixture
def two_nodes(scene: Scene, runner: asyncio.Runner) -> Iterator[Scene]:
    """The scene with a second node, which nothing disturbs."""
    one, patient = scene.through, scene._patient
    stack = AsyncExitStack()
    runner.run(scene.with_second_node(stack))
    try:
        yield scene
    finally:
        scene.through, scene._patient = one, patient
        runner.run(stack.aclose())


@pytest.mark.parametrize("change", CHANGES[:1], ids=lambda change: change.name)
def test_a_change_happens_once_with_a_second_node(
    two_nodes: Scene, runner: asyncio.Runner, change: Change, record_property: RecordProperty
) -> None:
    """Whichever node got it, and whichever is asked what became of it."""
    name = f"{change.name} with two nodes"
    with reaching(record_property, name, ONE_REQUEST, name) as reach:
        for fault in ONE_REQUEST:
            two_nodes.prefer_proxy()
            outcome = runner.run(happens_once(two_nodes, change, Planned(fault, SUBMISSIONS)))
            reach.add(name, fault, outcome)


@pytest.mark.parametrize("reading", [LOG, READINGS[2]], ids=lambda reading: reading.name)
def test_a_second_node_makes_up_for_the_first(
    two_nodes: Scene, runner: asyncio.Runner, reading: Reading, record_property: RecordProperty
) -> None:
    """Nothing of the fault is seen, but in a page that only the first node can give."""
    name = f"{reading.name} with two nodes"
    with reaching(record_property, name, MADE_UP_FOR, name) as reach:
        two_nodes.proxy.seen.clear()
        two_nodes.prefer_proxy()
        assert runner.run(reads_right(two_nodes, reading)) == RIGHT
        seen = list(two_nodes.proxy.seen)
        first_page = seen.index("starknet_getEvents") if "starknet_getEvents" in seen else len(seen)
        for fault in MADE_UP_FOR:
            for number in reach.elsewhere(seen):
                two_nodes.prefer_proxy()
                outcome = runner.run(reads_right(two_nodes, reading, Planned(fault, skip=number)))
                is_bound = seen[number] == "starknet_getEvents" and number > first_page
                assert outcome == RIGHT or is_bound, (fault, seen[number])
                reach.add(name, fault, outcome)


# --- several at once ----------------------------------------------------------------------------------------

LOOK_UPS: Final = ("starknet_getTransactionStatus", "starknet_getTransactionReceipt")

PLANS = st.lists(
    st.builds(
        Planned,
        fault=st.sampled_from([name for name in FAULTS if name != "silence after"]),
        methods=st.sampled_from([SUBMISSIONS, SUBMISSIONS, LOOK_UPS, ("starknet_getNonce",), ()]),
        skip=st.integers(0, 3),
        times=st.sampled_from([1, 1, 2, 1_000]),
        at=st.integers(0, 6),
    ).map(lambda one: one if one.fault != "stale" else Planned("stale", STALE, one.skip, one.times)),
    min_size=2,
    max_size=4,
)


def test_drawn_plans(scene: Scene, runner: asyncio.Runner, record_property: RecordProperty) -> None:
    """Several faults on the way of several tries, late arrivals between them: still once."""
    faults = [name for name in FAULTS if name != "silence after"]
    with reaching(record_property, "drawn plans", faults, "any change") as reach:

        @settings(max_examples=EXAMPLES, backend=INDEPENDENT, database=None, derandomize=False)
        @given(change=st.sampled_from(CHANGES), plan=PLANS, tries=st.integers(1, 3))
        def changes_happen_once(change: Change, plan: list[Planned], tries: int) -> None:
            note(f"{change.name}: {plan}")
            outcome = runner.run(happens_once(scene, change, *plan, faulty_tries=tries))
            for one in plan:
                reach.add("any change", one.fault, outcome)

        changes_happen_once()


# --- could these tests fail? --------------------------------------------------------------------------------


async def _never_known(*_: Any) -> bool:
    return False


@pytest.mark.parametrize("fault", ["cut after", "duplicated", "late"])
def test_a_client_that_does_not_look_is_found_out(
    scene: Scene, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """One that takes a lost answer for a lost transaction, and one that takes the refusal of a copy for the
    refusal of what was copied, does it twice."""
    monkeypatch.setattr(transactions, "_is_known", _never_known)
    monkeypatch.setattr(transactions.Account, "_tries_of", lambda *_: [])
    with pytest.raises(AssertionError, match=r"happened [02] times"):
        runner.run(happens_once(scene, CHANGES[0], Planned(fault, SUBMISSIONS)))


def test_a_client_that_does_not_prove_is_found_out(
    scene: Scene, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Planned("dropped page", ("starknet_getEvents",), times=1_000)
    scene.plan(plan)
    with pytest.raises(VerificationError, match="missing"):
        runner.run(LOG.run(scene, scene.through))
    monkeypatch.setattr(log_module, "prove_complete", lambda *_: None)
    with pytest.raises(AssertionError, match="answered wrongly"):
        runner.run(reads_right(scene, LOG, plan))

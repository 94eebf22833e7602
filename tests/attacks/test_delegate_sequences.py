"""No sequence of delegates' acts turns the patient's decision into theirs.

Every sequence of up to four acts is tried, with every set of powers (whether one delegate has them or several
share them), from everything that a patient or a delegate may have decided before. What must come of each act
is said by a few rules that were written down from the specification, and what must never come of all of them
by what the patient decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import pytest

from scripts import build
from tests.harness.cells import (
    DELEGATION,
    ENTITY,
    HEAD,
    PATIENT,
    RECORD,
    Cell,
    entity_cell,
    history_head_cell,
    patient_cell,
    poseidon,
    record_cell,
)
from tests.harness.chain import Chain
from tests.harness.driver import Contract, selector
from tests.harness.snip12 import message_hash, signed
from tests.harness.words import DAY, GIVE, HRESCH, REFUSE, REVOKE, STATUSES, felt
from tests.harness.world import World

LENGTH = 4
NOBODY = 0
POWERS = [sum(some) for size in (1, 2, 3) for some in combinations((GIVE, REVOKE, REFUSE), size)]
NEEDS = {"give": GIVE, "revoke": REVOKE, "refuse": REFUSE, "revoke_all": REVOKE}
GENERATION = 5
"""The patient's, when the sequences begin: a withdrawal that is signed and not submitted names it."""


@dataclass(frozen=True)
class State:
    """What matters of the cells: the consent, and the patient's state."""

    status: str = "None"
    categories: int = 0
    starts: int = 0
    expires: int = 0
    generation: int = 0
    by_delegate: bool = False
    present: int = GENERATION
    floor: int = 0
    refused: int = 0


NOW = 0  # times are told from when the sequences begin
THEIRS = {"categories": 0xFFFF, "starts": NOW, "expires": NOW + 9 * DAY}
"""What the delegate gives: more than any patient's consent here."""
MINE = {"status": "Given", "categories": 1, "starts": NOW - DAY, "expires": NOW + DAY, "generation": 4}

BEGINNINGS = {
    "nothing": State(),
    "nothing, under a floor": State(floor=5),
    "the patient's consent": State(**MINE),
    "the patient's consent that has not started": State(**MINE | {"starts": NOW + 10}),
    "the patient's consent that expired": State(**MINE | {"expires": NOW}),
    "the patient's consent, for a purpose refused since": State(**MINE, refused=1),
    "the patient's consent, all revoked since": State(**MINE, floor=5),
    "the patient's consent that expired, all revoked since": State(**MINE | {"expires": NOW}, floor=5),
    "withdrawn": State(**MINE | {"status": "Withdrawn"}),
    "withdrawn before it was given": State("Withdrawn", generation=5),
    "withdrawn after it expired": State(**MINE | {"status": "Withdrawn", "expires": NOW}),
    "refused": State(**MINE | {"status": "Refused"}),
    "refused before it was given": State("Refused", generation=5),
    "a delegate's consent": State(**MINE, by_delegate=True),
    "a delegate's consent, all revoked since": State(**MINE, by_delegate=True, floor=5),
    "a delegate's consent, revoked by a delegate": State(**MINE | {"status": "Revoked"}, by_delegate=True),
    "a delegate's refusal": State(**MINE | {"status": "Refused"}, by_delegate=True),
    "a delegate's refusal, all revoked since": State(
        **MINE | {"status": "Refused"}, by_delegate=True, floor=5
    ),
    "the patient's consent, revoked by a delegate": State(**MINE | {"status": "Revoked"}),
    "the patient's expired consent, refused by a delegate": State(
        **MINE | {"status": "Refused", "expires": NOW}
    ),
}
NO = [
    name for name in BEGINNINGS if "withdrawn" in name or "all revoked" in name or name.startswith("refused")
]
"""Where the patient said no, and it is still so."""


# --- what the specification says ----------------------------------------------------------------------------


def is_live(state: State) -> bool:
    """Given, not under the floor, not expired; started or not."""
    return state.status == "Given" and state.generation >= state.floor and state.expires > NOW


def permits(state: State) -> bool:
    return is_live(state) and state.starts <= NOW and state.categories & 1 == 1 and not state.refused


def after(state: State, act: str, powers: int) -> State | str:
    """What must come of an act: the new state, or the error."""
    if not powers & NEEDS[act]:
        return "CONSENT/NOT_DELEGATE"
    if act == "revoke_all":
        return replace(state, present=state.present + 1, floor=state.present + 1)
    empty = state.status == "None"
    if act == "revoke":
        if empty:
            return "CONSENT/NOT_FOUND"
        return replace(state, status="Revoked") if is_live(state) else state
    if act == "refuse":
        if is_live(state) and not powers & REVOKE:
            return "CONSENT/NOT_DELEGATE"
        if empty:
            return replace(state, status="Refused", generation=state.floor, by_delegate=True)
        return replace(state, status="Refused") if state.status == "Given" else state
    if state.refused:
        return "CONSENT/PURPOSE_REFUSED"
    if empty:
        return replace(state, status="Given", generation=state.floor, by_delegate=True, **THEIRS)
    ran_out = state.status == "Given" and state.expires <= NOW
    if state.generation < state.floor or not (state.by_delegate or ran_out):
        return "CONSENT/PATIENT_DECIDED"
    return replace(state, status="Given", **THEIRS)


# --- what the contract does ---------------------------------------------------------------------------------


LAYOUTS = {
    "record": RECORD,
    "patient": PATIENT,
    "delegation": DELEGATION,
    "history": HEAD,
    "entity": ENTITY,
}


@dataclass
class Bench:
    """The deployed class, judging acts on cells that are put straight into storage. The delegate is nobody,
    the caller of a call without a transaction."""

    world: World
    judge: Contract
    places: list[int]

    def cells(self, state: State, powers: int) -> list[int]:
        """What the cells hold in this state, for a delegate with these powers."""
        now = self.world.now
        values: dict[str, dict[str, int]] = {
            "record": {
                "version": 3,
                "generation": state.generation,
                "starts_at": now + state.starts,
                "expires_at": now + state.expires,
                "categories": state.categories,
                "status": STATUSES.index(state.status),
                "by_delegate": state.by_delegate,
            },
            "patient": {
                "generation": state.present,
                "counter": 1,
                "floor": state.floor,
                "delegate_epoch": 2,
                "refused_purposes": state.refused,
                "emergency": 1,
            },
            "delegation": {"powers": powers, "expires_at": now + DAY, "epoch": 2},
            "history": {"count": 7, "head": 0xEAD},
            "entity": {"role": 2, "seq": 1},
        }
        if state.status == "None":
            values["record"] = {}
        return [LAYOUTS[name].pack(**values[name]) for name in LAYOUTS]

    def state(self, cells: Sequence[int]) -> State:
        """The state that cells hold. What no delegate may touch must be as it was put there."""
        held = {
            name: layout.unpack(cell) for (name, layout), cell in zip(LAYOUTS.items(), cells, strict=True)
        }
        record, patient = held["record"], held["patient"]
        assert (patient["delegate_epoch"], patient["emergency"], patient["counter"]) == (2, 1, 1)
        assert held["delegation"]["epoch"] == 2
        assert record["rewarded"] == record["scoped"] == record["max_uses"] == record["uses"] == 0
        empty = record["status"] == 0
        return State(
            status=STATUSES[record["status"]],
            categories=record["categories"],
            starts=record["starts_at"] - (0 if empty or not record["starts_at"] else self.world.now),
            expires=record["expires_at"] - (0 if empty or not record["expires_at"] else self.world.now),
            generation=record["generation"],
            by_delegate=bool(record["by_delegate"]),
            present=patient["generation"],
            floor=patient["floor"],
            refused=patient["refused_purposes"],
        )

    def ask(self, cases: Sequence[tuple[list[int], str, dict[str, Any]]]) -> list[dict[str, Any]]:
        """What comes of these calls, each on cells of its own."""
        abi = self.world.medsync.abi
        verdicts: list[dict[str, Any]] = []
        for start in range(0, len(cases), 40):
            batch = [
                {
                    "cells": cells,
                    "entry_point": selector(function),
                    "calldata": abi.encode_call(function, arguments),
                }
                for cells, function, arguments in cases[start : start + 40]
            ]
            verdicts += self.world.read("judge", self.judge, places=self.places, cases=batch)
        return verdicts

    def act(self, act: str) -> tuple[str, dict[str, Any]]:
        """The call of an act."""
        world = self.world
        about = world.about()
        terms = world.terms(starts_at=world.now, expires_at=world.now + 9 * DAY)
        return {
            "give": (
                "add_consent_for",
                {"patient": world.patient, "grantee": world.researcher, "terms": terms},
            ),
            "revoke": ("revoke_consent_for", about),
            "refuse": ("refuse_consent_for", about),
            "revoke_all": ("revoke_all_for", {"patient": world.patient}),
        }[act]


@pytest.fixture(scope="module")
def bench(chain: Chain) -> Bench:
    world = World(chain)
    judge = world.deploy("Judge", chain.declared("MedSync").hash, package=build.MOCKS)
    cells = (
        record_cell(world),
        patient_cell(world),
        Cell(world, judge, DELEGATION, "ConsentRegistry_delegations", (poseidon(world.patient, NOBODY),)),
        history_head_cell(world),
        entity_cell(world, world.researcher),
    )
    return Bench(world, judge, [cell.address for cell in cells])


@pytest.fixture(scope="module", params=POWERS)
def ends(bench: Bench, request: pytest.FixtureRequest) -> tuple[int, dict[str, set[State]]]:
    """By beginning: every state that sequences of a delegate with these powers reach, each step held against
    the rules. Acts depend on nothing but the state, so each is tried once from each state."""
    powers: int = request.param
    known: dict[State, set[State]] = {}
    """The states that one act makes of a state."""
    levels = {name: [{state}] for name, state in BEGINNINGS.items()}
    for _ in range(LENGTH):
        new = sorted(set().union(*(level[-1] for level in levels.values())) - known.keys(), key=repr)
        tries = [(state, act) for state in new for act in NEEDS]
        answers = bench.ask([(bench.cells(state, powers), *bench.act(act)) for state, act in tries])
        for (state, act), answer in zip(tries, answers, strict=True):
            expected = after(state, act, powers)
            found = bench.state(answer["cells"])
            if isinstance(expected, str):
                assert (answer["succeeded"], answer["answer"][0]) == (False, felt(expected)), (state, act)
                assert found == state
            else:
                assert (answer["succeeded"], found) == (True, expected), (state, act)
            known.setdefault(state, set()).add(found)
        for level in levels.values():
            level.append(set().union(*(known[state] for state in level[-1])))
    return powers, {name: set().union(*level) for name, level in levels.items()}


def test_no_sequence_takes_the_decision_from_the_patient(
    bench: Bench, ends: tuple[int, dict[str, set[State]]]
) -> None:
    powers, reached = ends
    world = bench.world
    about = world.about() | {"categories": 1, "campaign": 0}
    pairs = [(name, state) for name, states in reached.items() for state in states]
    answers = bench.ask([(bench.cells(state, powers), "verify_consent", about) for _, state in pairs])
    for (beginning, state), answer in zip(pairs, answers, strict=True):
        begun = BEGINNINGS[beginning]
        verdict = world.medsync.abi.decode_result("verify_consent", list(answer["answer"]))
        assert (verdict["decision"] == "Permit") == permits(state)
        assert state.refused == begun.refused
        if beginning in NO:
            assert not permits(state), state
        if is_live(begun) and not begun.by_delegate:
            # What is left of the patient's consent is the patient's, or nothing is.
            assert not is_live(state) or state == replace(begun, present=state.present, floor=state.floor)
            assert is_live(state) or powers & REVOKE
        if begun.status != "None":
            assert (state.by_delegate, state.generation) == (begun.by_delegate, begun.generation)


def test_no_sequence_outruns_a_signed_withdrawal(
    bench: Bench, ends: tuple[int, dict[str, set[State]]]
) -> None:
    """The patient signed it before the sequence, and it comes after: it reaches whatever became of the
    record."""
    powers, reached = ends
    world = bench.world
    message = {
        "grantee": world.researcher,
        "purpose": HRESCH,
        "study": 0,
        "generation": GENERATION,
        "deadline": world.now,
    }
    message_of = message_hash(world, world.patient, "Revocation", message, contract=bench.judge.address)
    withdrawal = {"patient": world.patient, **message, "signature": signed(world, world.patient, message_of)}
    pairs = [(name, state) for name, states in reached.items() for state in states]
    calls = [(bench.cells(state, powers), "revoke_consent_by_sig", withdrawal) for _, state in pairs]
    later = False
    for (_, state), answer in zip(pairs, bench.ask(calls), strict=True):
        later |= state.generation > GENERATION
        found = bench.state(answer["cells"])
        assert (answer["succeeded"], found.status, found.by_delegate) == (True, "Withdrawn", False)
        assert found.generation == found.present == state.present + 1
    # Also what was decided on after everything was revoked in the patient's name.
    assert later == bool(powers & REVOKE and powers & (GIVE + REFUSE))

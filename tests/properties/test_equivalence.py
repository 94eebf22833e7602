"""The deployed classes decide as the model does, on many cases drawn close to where the answer changes.

`Judge` fills its own storage with a case and runs the class of `MedSync` there, and that of `RewardPool` when
it is asked to pay; many cases fit into one call. Nothing of it is a transaction, so nothing stays.
`test_decisions` shows how such cells come about, the state machine everything around a decision.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import islice
from typing import Any

import pytest

from tests.harness.driver import View, selector
from tests.harness.reach import Reach, profile
from tests.model.access import Access
from tests.model.consents import Consents
from tests.model.entities import Entities
from tests.model.rewards import Rewards
from tests.model.words import REASONS, VERIFY_REASONS, short_text
from tests.model.world import World
from tests.stateful.drawing import FIXED_SEED, seed_of_run
from tests.stateful.system import ETH, System

from .cases import HEAD_BITS, Case, Draws, Verdict, decide, without_digests

CASES = {"quick": 10_000, "ci": 100_000, "deep": 1_000_000}
PER_CALL = 100
LOG = 4  # the place of the log's cell

EMERGENCY_REASONS = {"EntitySuspended", "NotHospital", "EmergencyOptOut", "BreakGlass"}
REQUEST_REASONS = set(REASONS) - (EMERGENCY_REASONS - {"EntitySuspended"}) - {"EntityUnknown"}
CODES = {
    "ENTITY/UNKNOWN", "ACCESS/ZERO_PATIENT", "ACCESS/BAD_PURPOSE", "ACCESS/BAD_CATEGORIES",
    "ACCESS/ZERO_JUSTIFICATION", "ACCESS/LOG_FULL",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing takes the model longer than everything else; the state machine compares digests."""
    monkeypatch.setattr("tests.model.access.entry_digest", lambda **_: 0)


def test_the_contracts_decide_as_the_model_does(
    system: System, record_property: Callable[[str, object], None]
) -> None:
    seed = seed_of_run(profile())
    reach = Reach("Decision equivalence", seed)
    reach.expect("verify_consent", VERIFY_REASONS)
    reach.expect("request_access", REQUEST_REASONS)
    reach.expect("request_access_batch", REQUEST_REASONS)
    reach.expect("request_emergency_access", EMERGENCY_REASONS)
    reach.expect("error", CODES)
    try:
        for case, verdict in islice(decided(system, Draws(seed)), CASES[profile()]):
            expected = decide(case, World)
            assert verdict == expected, f"{case}\n\nmodel     {expected}\ncontracts {verdict}"
            reach.examples += 1
            if isinstance(verdict.answer, str):
                reach.count("error", verdict.answer)
                continue
            for _, reason, _ in verdict.answer if isinstance(verdict.answer, list) else [verdict.answer]:
                reach.count(case.question.function, reason)
    finally:
        record_property("reach", reach.as_property())
    reach.assert_all_reached()


def decided(system: System, draws: Draws) -> Iterator[tuple[Case, Verdict]]:
    """Cases without end, each with what the contracts make of it."""
    judge = system.deploy("Judge", system.class_hash("MedSync"), system.class_hash("RewardPool"))
    encode, decode = system.medsync.abi.encode_call, system.medsync.abi.decode_result
    while True:
        scene = draws.scene(judge.address, no_pool=ETH)
        cases = [draws.case(scene) for _ in range(PER_CALL)]
        told = [
            {
                "cells": case.cells(case.state()),
                "entry_point": selector(case.question.function),
                "calldata": encode(*case.question),
            }
            for case in cases
        ]
        view = View(judge, "judge", {"places": scene.places(), "cases": told})
        (verdicts,) = system.chain.read([view], now=scene.now)
        for case, verdict in zip(cases, verdicts, strict=True):
            function, felts = case.question.function, verdict["answer"]
            if not verdict["succeeded"]:
                answer = short_text(felts[0])
            elif function == "verify_consent":
                answer = decode(function, felts)
            else:
                answer = without_digests(decode(function, felts))
            cells_after = list(verdict["cells"])
            cells_after[LOG] = cells_after[LOG] >> HEAD_BITS << HEAD_BITS
            yield case, Verdict(answer, cells_after)


# ---------------------------------------------------------------- would these cases notice?

RULES = (
    Entities._registered, Consents.verify_consent, Rewards.pay, Access._check_request, Access._decide,
    Access._log, Access.request_emergency_access,
)  # fmt: skip

OPPOSITE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}

# About an event, not about a decision: the state machine compares events.
NO_DECISION = "request_emergency_access: decision == 'Emergency' -> decision != 'Emergency'"


def deviations(rule: Callable[..., Any]) -> Iterator[tuple[str, ast.Module]]:
    """The rule with one condition changed: each comparison, `and`, `or`, `not`, and flag on its own."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(rule))))
    for place, node in enumerate(ast.walk(tree)):
        for change in changes(node):
            changed = deepcopy(tree)
            twin = list(ast.walk(changed))[place]
            change(twin)
            text = f"{rule.__name__}: {ast.unparse(node)} -> {ast.unparse(twin)}"
            yield text, ast.fix_missing_locations(changed)


def changes(node: ast.AST) -> Iterator[Callable[[Any], None]]:
    """What can be done to a node, one thing at a time."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in OPPOSITE[type(operator)]:
                yield lambda twin, place=place, other=other: twin.ops.__setitem__(place, other())
    elif isinstance(node, ast.BoolOp):
        yield lambda twin: setattr(twin, "op", ast.Or() if isinstance(twin.op, ast.And) else ast.And())
    elif isinstance(node, ast.If | ast.IfExp) and isinstance(node.test, ast.Attribute | ast.Name):
        yield lambda twin: setattr(twin, "test", ast.UnaryOp(ast.Not(), twin.test))


def test_any_condition_changed_in_the_model_would_be_noticed() -> None:
    """By the cases of every `make test`. Where the contracts agree with the model, as the test above shows,
    whoever contradicts the model contradicts them; so the contracts are not asked here.
    """
    draws = Draws(FIXED_SEED)
    cases: list[tuple[Case, Verdict]] = []
    while len(cases) < CASES["quick"]:
        scene = draws.scene(judge=0x1D6E, no_pool=ETH)
        cases += [(case, decide(case, World)) for case in (draws.case(scene) for _ in range(PER_CALL))]
    unnoticed, tried = [], 0
    for rule in RULES:
        for text, tree in deviations(rule):
            made: dict[str, Any] = {}
            exec(compile(tree, text, "exec"), inspect.unwrap(rule).__globals__, made)
            model = type("Deviation", (World,), made)
            tried += 1
            if not any(contradicts(model, case, verdict) for case, verdict in cases):
                unnoticed.append(text)
    assert tried > 40
    assert unnoticed == [NO_DECISION], "\n".join(unnoticed)


def contradicts(model: type[World], case: Case, verdict: Verdict) -> bool:
    try:
        return decide(case, model) != verdict
    except Exception:
        return True  # it does not even get to an answer

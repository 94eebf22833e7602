"""The deployed class decides as the model does, on many cases drawn close to where the answer changes.

`Judge` fills its own storage with a case and runs the class of `MedSync` there; many cases fit into one call.
Asked are requests, views, emergencies, and what delegates do. Nothing of it is a transaction, so nothing
stays. `test_decisions` shows how such cells come about, the state machine everything around a decision.
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
from tests.model.state import Base
from tests.model.words import EMERGENCY_REASONS, REQUEST_REASONS, VERIFY_REASONS, short_text
from tests.model.world import World
from tests.stateful.drawing import FIXED_SEED, seed_of_run
from tests.stateful.system import System, plain

from .cases import Answered, Case, Draws, decide, without_digests, without_head

CASES = {"quick": 10_000, "ci": 100_000, "deep": 1_000_000}
PER_CALL = 100

ANSWERS = {
    "verify_consent": set(VERIFY_REASONS),
    "consent": set(VERIFY_REASONS) - {"CategoryNotCovered"},
    "request_access": set(REQUEST_REASONS),
    "request_access_batch": set(REQUEST_REASONS),
    "request_emergency_access": set(EMERGENCY_REASONS),
    "justify_emergency": {"done"},
    "state_deletion": {"done"},
    "add_consent_for": {"done"},
    "revoke_consent_for": {"done"},
    "refuse_consent_for": {"done"},
    "revoke_all_for": {"done"},
}
"""By function: what is answered, or that it was done."""

CODES = {
    "ENTITY/UNKNOWN", "ENTITY/SUSPENDED",
    "ACCESS/ZERO_PATIENT", "ACCESS/BAD_PURPOSE", "ACCESS/BAD_CATEGORIES", "ACCESS/LOG_FULL",
    "ACCESS/ZERO_STATEMENT", "ACCESS/NO_EMERGENCY", "ACCESS/ALREADY_JUSTIFIED", "ACCESS/JUSTIFIED_TOO_LATE",
    "ACCESS/NO_CONSENT",
    "CONSENT/NOT_DELEGATE", "CONSENT/PATIENT_DECIDED", "CONSENT/PURPOSE_REFUSED", "CONSENT/NOT_FOUND",
    "CONSENT/GENERATION_EXHAUSTED", "CONSENT/VERSION_EXHAUSTED", "CONSENT/NOT_A_POOL", "CONSENT/HISTORY_FULL",
    "CONSENT/ZERO_ADDRESS", "CONSENT/BAD_PURPOSE", "CONSENT/TIME_RANGE",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing takes the model longer than everything else; the state machine compares digests."""
    monkeypatch.setattr("tests.model.state.entry_digest", lambda *_: 0)


def test_the_contracts_decide_as_the_model_does(
    system: System, record_property: Callable[[str, object], None]
) -> None:
    seed = seed_of_run(profile())
    reach = Reach("Decision equivalence", seed)
    for function, answers in ANSWERS.items():
        reach.expect(function, answers)
    reach.expect("error", CODES)
    try:
        for case, answered in islice(decided(system, Draws(seed)), CASES[profile()]):
            expected = decide(case, World)
            assert answered == expected, f"{case}\n\nmodel     {expected}\ncontracts {answered}"
            reach.examples += 1
            for table, row in told(case, answered):
                reach.count(table, row)
    finally:
        record_property("reach", reach.as_property())
    reach.assert_all_reached()


def told(case: Case, answered: Answered) -> Iterator[tuple[str, str]]:
    """What an answer says, by table."""
    answer, function = answered.answer, case.question.function
    if isinstance(answer, str):
        yield "error", answer
    elif answer is None or isinstance(answer, int):
        yield function, "done"
    else:
        for each in answer if isinstance(answer, list) else [answer]:
            yield function, each.get("reason") or each["state"]


def decided(system: System, draws: Draws) -> Iterator[tuple[Case, Answered]]:
    """Cases without end, each with what the contracts make of it."""
    judge = system.deploy("Judge", system.class_hash("MedSync"))
    encode, decode = system.medsync.abi.encode_call, system.medsync.abi.decode_result
    while True:
        scene = draws.scene(judge.address)
        cases = [draws.case(scene) for _ in range(PER_CALL)]
        asked = [
            {
                "cells": case.cells(case.world()),
                "entry_point": selector(case.question.function),
                "calldata": encode(case.question.function, plain(case.question.arguments)),
            }
            for case in cases
        ]
        view = View(judge, "judge", {"places": scene.places(), "cases": asked})
        (verdicts,) = system.chain.read([view], now=scene.now)
        for case, verdict in zip(cases, verdicts, strict=True):
            felts, held = verdict["answer"], verdict["cells"]
            if verdict["succeeded"]:
                answer = without_digests(decode(case.question.function, felts))
            else:
                answer = short_text(felts[0])
            yield case, Answered(answer, list(map(without_head, scene.cells(), held)))


# ---------------------------------------------------------------- would these cases notice?

RULES = (
    Base.enter_history, Base.enter_log, Entities._registered, Entities._active,
    Consents._reason, Consents.verify_consent, Consents._names, Consents.uses, Consents._is_live,
    Consents._only_delegate, Consents._delegate_may_give, Consents._give, Consents._decide_no,
    Consents._check_target, Consents.revoke_consent_for, Consents.refuse_consent_for,
    Consents._raise_generation,
    Access._decide, Access._lets_break, Access.request_emergency_access, Access.justify_emergency,
    Access.state_deletion,
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

# About the name of an event, not about a decision: the state machine compares events.
NO_DECISION = {"_decide_no: status == 'Refused' -> status != 'Refused'"}


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
    cases: list[tuple[Case, Answered]] = []
    while len(cases) < CASES["quick"]:
        scene = draws.scene(judge=0x1D6E)
        cases += [(case, decide(case, World)) for case in (draws.case(scene) for _ in range(PER_CALL))]
    unnoticed, tried = set(), 0
    for rule in RULES:
        for text, tree in deviations(rule):
            made: dict[str, Any] = {}
            exec(compile(tree, text, "exec"), inspect.unwrap(rule).__globals__, made)
            model = type("Deviation", (World,), made)
            tried += 1
            if not any(contradicts(model, case, answered) for case, answered in cases):
                unnoticed.add(text)
    assert tried > 100
    assert unnoticed == NO_DECISION, "\n".join(sorted(unnoticed ^ NO_DECISION))


def contradicts(model: type[World], case: Case, answered: Answered) -> bool:
    try:
        return decide(case, model) != answered
    except Exception:
        return True  # it does not even get to an answer

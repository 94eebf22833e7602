"""Every function called by every role: who may, who may not, and with which error.

One stage serves all, on which everything is ready for everything: what is refused changes nothing, and what
is allowed is only simulated.
"""

from typing import Any

import pytest

from tests.harness.chain import Chain
from tests.harness.roles import ROLES, RULES, Stage, set_stage
from tests.harness.words import BROAD, HRESCH
from tests.harness.world import assert_refused, id_of


@pytest.fixture(scope="module")
def stage(chain: Chain) -> Stage:
    return set_stage(chain)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("function", RULES)
def test_who_may_call_what(stage: Stage, function: str, role: str) -> None:
    rule = RULES[function]
    caller = stage.address(role)
    call = stage.world.call(function, stage.target(function), **rule.arguments(stage))
    if error := rule.error_of(role):
        assert_refused(stage.world.execute(caller, call), error)
        return
    outcome = stage.world.simulate(caller, call)
    assert outcome.error is None, outcome.reason
    if rule.own:
        assert [event.keys["patient"] for event in outcome.events] == [caller]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("function", ["anchor", "rotate"])
def test_no_role_stands_for_a_signature(stage: Stage, function: str, role: str) -> None:
    """Anyone may hand in what a quorum of nodes signed; nobody, administrators included, can do without."""
    arguments = RULES[function].arguments(stage)
    for signatures in ([], arguments["signatures"][1:]):
        call = stage.world.call(function, stage.target(function), **arguments | {"signatures": signatures})
        outcome = stage.world.simulate(stage.address(role), call)
        assert_refused(outcome, "ANCHOR/TOO_FEW_SIGNATURES")


def test_every_function_has_a_rule(stage: Stage) -> None:
    functions = {
        name
        for contract in (stage.world.medsync, stage.world.pool, stage.anchoring.contract)
        for name, entry in contract.abi.functions.items()
        if entry["state_mutability"] == "external"
    }
    assert functions == set(RULES)


@pytest.mark.parametrize("role", ["stranger", "suspended", "contract"])
def test_every_view_is_open_to_all_and_changes_nothing(stage: Stage, role: str) -> None:
    world = stage.world
    consent = world.about() | {"campaign": 0}
    asked = {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD, "categories": 1, "campaign": 0}
    claim = {"grantee": world.funder, "terms": stage.terms}
    arguments: dict[str, dict[str, Any]] = {
        "entity": {"address": world.hospital},
        "is_pool": {"pool": world.pool.address},
        "budget": {"campaign": 1, "accessor": world.partner},
        "paid_uses": consent,
        "assert_generation": {"patient": world.patient, "generation": 1},
        "verify_consent": {"patient": world.patient} | asked,
        "verify_consents": {"patients": [world.patient]} | asked,
        "consent": consent,
        "delegation": {"patient": world.patient, "delegate": world.delegate},
        "emergency_naming": {"patient": world.patient, "hospital": world.hospital},
        "emergency": {"patient": world.patient, "seq": 1, "hospital": world.hospital},
        **{
            name: {"patient": world.patient}
            for name in ("patient_state", "refused_purposes", "history_head", "log_head")
        },
        "campaign": {"terms": stage.terms},
        "accepts_consents": {"campaign": id_of(stage.terms)},
        **{name: {"owner": world.patient} for name in ("claimable", "withdrawn", "accumulated")},
        "unsettled": {"patient": world.patient, "claims": [claim]},
        "key_credit": {"key": 1},
        "supports_interface": {"interface_id": 1},
        "node": {"index": 0},
        "verify_inclusion": {"leaf_value": 1, "index": 0, "path": [1, 2]},
    }
    for contract, least in ((world.medsync, 23), (world.pool, 11), (stage.anchoring.contract, 4)):
        views = [
            name for name, entry in contract.abi.functions.items() if entry["state_mutability"] == "view"
        ]
        assert len(views) >= least
        calls = [world.call(name, contract, **arguments.get(name, {})) for name in views]
        outcome = world.simulate(stage.address(role), *calls)
        assert outcome.error is None, outcome.reason
        assert outcome.events == []
        assert not any(outcome.cells.values())

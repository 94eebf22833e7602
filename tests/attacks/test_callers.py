"""Who counts is who calls: not who began the transaction, not who is named, and there is no other door."""

import json
import re

import pytest

from medsync import artifacts
from tests.harness.chain import Chain
from tests.harness.coverage import SOURCES
from tests.harness.driver import RpcError, selector
from tests.harness.roles import RULES, Stage, set_stage
from tests.harness.words import felt

CONTRACTS = SOURCES.parent


@pytest.fixture(scope="module")
def stage(chain: Chain) -> Stage:
    return set_stage(chain)


@pytest.mark.parametrize("function", RULES)
def test_a_contract_that_its_victim_calls(stage: Stage, function: str) -> None:
    """Somebody with every right is lured into calling a stranger's contract, which calls the function
    in the same transaction. It is the contract that calls, with the contract's rights: none."""
    rule, world = RULES[function], stage.world
    victims = sorted(rule.allowed - {"contract", "pool", "spender"}) or ["patient"]
    victim = stage.address(victims[0])
    call = world.call(function, stage.target(function), **rule.arguments(stage))
    lured = world.call(
        "attempt",
        stage.contract,
        to=call.to,
        entry_point=selector(call.function),
        calldata=list(call.calldata),
    )
    # What fails changes nothing, so it may as well be done.
    outcome = (world.execute if rule.error_of("contract") else world.simulate)(victim, lured)
    assert outcome.error is None, outcome.reason
    success, answer = stage.contract.abi.decode_result("attempt", outcome.results[0])
    if error := rule.error_of("contract"):
        assert not success
        assert answer == [felt(error), felt("ENTRYPOINT_FAILED")]
        assert outcome.events == []
        assert not any(outcome.cells.values())
    else:
        assert success
        if rule.own:
            assert [event.keys["patient"] for event in outcome.events] == [stage.contract.address]


@pytest.mark.parametrize("function", [name for name, rule in RULES.items() if rule.error])
def test_a_caller_that_is_nobody(stage: Stage, function: str) -> None:
    """A call without a transaction has the caller zero, which is what cells hold before anything is written.
    It is no administrator, delegate, funder, pool, spender or owner of anything."""
    rule, world = RULES[function], stage.world
    call = world.call(function, stage.target(function), **rule.arguments(stage))
    request = {
        "contract_address": hex(call.to),
        "entry_point_selector": hex(selector(function)),
        "calldata": [hex(felt) for felt in call.calldata],
    }
    with pytest.raises(RpcError) as caught:
        world.chain.node.call("starknet_call", request=request, block_id="latest")
    assert hex(felt(rule.error)) in str(caught.value)


def test_there_is_no_other_door() -> None:
    """No messages from another layer, and nothing by which a class is replaced or foreign code run."""
    for name in artifacts.manifest()["contracts"]:
        entry_points = json.loads(artifacts.load(name).sierra)["entry_points_by_type"]
        assert entry_points["L1_HANDLER"] == []
        assert len(entry_points["CONSTRUCTOR"]) == 1


FORBIDDEN = (
    "replace_class|library_call|LibraryDispatcher|deploy_syscall|l1_handler|send_message"
    "|account_contract_address"  # who began the transaction
)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("replace_class_syscall(hash)", ["replace_class"]),
        ("IERC20LibraryDispatcher { class_hash }", ["LibraryDispatcher"]),
        ("#[l1_handler]", ["l1_handler"]),
        ("get_tx_info().account_contract_address", ["account_contract_address"]),
        ("call_contract_syscall(to)", []),
    ],
)
def test_the_search_finds_what_is_planted(source: str, found: list[str]) -> None:
    assert re.findall(FORBIDDEN, source) == found


def test_no_source_has_a_back_door() -> None:
    """But for one: MedSync deploys its pools, in one place, of the class that its constructor fixed."""
    found = {
        path.relative_to(CONTRACTS).as_posix(): words
        for path in CONTRACTS.rglob("*.cairo")
        if (words := re.findall(FORBIDDEN, path.read_text()))
    }
    assert found == {"src/reward_budgets.cairo": ["deploy_syscall"] * 2}
    source = (CONTRACTS / "src/reward_budgets.cairo").read_text()
    assert "deploy_syscall(pool_class, " in source
    assert source.count("RewardBudgets_pool_class.write(") == 1
    assert "pool_class = self.RewardBudgets_pool_class.read()" in source

"""Accounts of another kind: the account decides what a signature is, is asked last, and may misbehave."""

from typing import Any

import pytest

from tests.harness.driver import Contract, selector
from tests.harness.expected import patient_state
from tests.harness.snip12 import consent_message
from tests.harness.words import BROAD, HRESCH, VALID, felt
from tests.harness.world import World


def submit(world: World, message: dict[str, Any]) -> Any:
    return world.send(world.relayer, "add_consent_by_sig", **message)


def submit_withdrawal(world: World, message: dict[str, Any]) -> Any:
    return world.send(world.relayer, "revoke_consent_by_sig", **message)


def is_refused(world: World, error: str, message: dict[str, Any]) -> None:
    function = "add_consent_by_sig" if "terms" in message else "revoke_consent_by_sig"
    world.refuses(error, world.relayer, function, **message)


@pytest.fixture
def account(world: World) -> Contract:
    """A patient whose account accepts every signature until it is told otherwise."""
    puppet = world.new_puppet()
    answer(world, puppet, [VALID])
    return puppet


def answer(world: World, puppet: Contract, felts: list[int]) -> None:
    world.send(world.relayer, "answer", puppet, entry_point=selector("is_valid_signature"), felts=felts)


def act(world: World, puppet: Contract, act: str) -> None:
    world.send(world.relayer, "act", puppet, entry_point=selector("is_valid_signature"), act=felt(act))


def call_back(world: World, puppet: Contract, function: str, **arguments: Any) -> None:
    """Have the account make this call while it is asked about a signature."""
    call = world.call(function, **arguments)
    target = {"to": call.to, "entry_point": selector(function), "calldata": list(call.calldata)}
    world.send(world.relayer, "aim", puppet, **target)
    act(world, puppet, "CALL_BACK")


def unsigned(world: World, account: Contract) -> dict[str, Any]:
    return {
        "patient": account.address,
        "grantee": world.researcher,
        "terms": world.terms(),
        "generation": 1,
        "counter": 1,
        "deadline": world.now,
        "signature": [1, 2, 3],
    }


def unsigned_withdrawal(world: World, account: Contract) -> dict[str, Any]:
    return {
        "patient": account.address,
        "grantee": world.researcher,
        "purpose": HRESCH,
        "study": BROAD,
        "generation": 1,
        "deadline": world.now,
        "signature": [],
    }


def test_the_account_decides_what_a_signature_is(world: World, account: Contract) -> None:
    assert submit(world, unsigned(world, account)).result == 1
    assert world.verdict(patient=account.address) == ("Permit", "Granted", 1)
    submit_withdrawal(world, unsigned_withdrawal(world, account))
    assert world.verdict(patient=account.address) == ("Deny", "Withdrawn", 2)


@pytest.mark.parametrize(
    ("error", "felts"),
    [
        ("CONSENT/BAD_SIGNATURE", [0]),
        ("CONSENT/BAD_SIGNATURE", [1]),
        ("CONSENT/BAD_SIGNATURE", [felt("valid")]),
        ("Returned data too short", []),
    ],
)
def test_any_other_answer_is_a_no(world: World, account: Contract, error: str, felts: list[int]) -> None:
    answer(world, account, felts)
    is_refused(world, error, unsigned(world, account))
    is_refused(world, error, unsigned_withdrawal(world, account))


def test_an_account_that_panics(world: World, account: Contract) -> None:
    act(world, account, "PANIC")
    is_refused(world, "MOCK/PANIC", unsigned(world, account))


def test_a_contract_that_is_no_account(world: World) -> None:
    is_refused(world, "ENTRYPOINT_NOT_FOUND", consent_message(world) | {"patient": world.token.address})


def test_an_address_without_account(world: World) -> None:
    message = consent_message(world) | {"patient": 0xDEAD}
    outcome = world.execute(world.relayer, world.call("add_consent_by_sig", **message))
    assert outcome.error is not None
    assert "is not deployed" in outcome.reason
    assert not any(outcome.cells.values())


def test_an_account_that_submits_its_own_message_again(world: World, account: Contract) -> None:
    """While it is asked about the signature it calls back; the number is burnt already."""
    message = unsigned(world, account)
    call_back(world, account, "add_consent_by_sig", **message)
    receipt = submit(world, message)
    assert receipt.result == 1
    assert [event.name for event in receipt.events] == ["ConsentAdded", "CalledBack"]
    assert receipt.events[1].data == {
        "success": False,
        "answer": [felt("CONSENT/BAD_NONCE"), felt("ENTRYPOINT_FAILED")],
    }
    assert world.read("patient_state", patient=account.address) == patient_state(counter=2)


def test_an_account_that_submits_its_own_withdrawal_again(world: World, account: Contract) -> None:
    message = unsigned_withdrawal(world, account)
    call_back(world, account, "revoke_consent_by_sig", **message)
    receipt = submit_withdrawal(world, message)
    assert [event.name for event in receipt.events] == ["ConsentRevoked", "CalledBack"]
    assert receipt.events[1].data["answer"][0] == felt("CONSENT/BAD_GENERATION")
    assert world.read("patient_state", patient=account.address) == patient_state(generation=2)


def test_an_account_that_withdraws_while_it_is_asked(world: World, account: Contract) -> None:
    """Its own affair: the later word counts."""
    about = {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD}
    call_back(world, account, "revoke_consent", **about)
    receipt = submit(world, unsigned(world, account))
    assert [event.name for event in receipt.events] == ["ConsentAdded", "ConsentRevoked", "CalledBack"]
    assert world.verdict(patient=account.address) == ("Deny", "Withdrawn", 2)

"""`verify_consent`: every answer, exact to the second, in the order of precedence, and never a failure."""

from typing import Any

import pytest

from tests.harness.chain import Call
from tests.harness.words import DAY, MAX_TIME, MAX_U32, PURPOSES, REVOKE, felt
from tests.harness.world import World


def withdraw(world: World) -> None:
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=felt("HRESCH"))


def revoke_by_delegate(world: World) -> None:
    world.send(
        world.patient, "set_delegate", delegate=world.delegate, powers=REVOKE, expires_at=world.now + DAY
    )
    world.send(
        world.delegate,
        "revoke_consent_for",
        patient=world.patient,
        grantee=world.researcher,
        purpose=felt("HRESCH"),
    )


def revoke_all(world: World) -> None:
    world.send(world.patient, "revoke_all")


def suspend(world: World) -> None:
    world.send(world.admin, "suspend_entity", address=world.researcher)


def use_up(world: World) -> None:
    assert world.ask().result["decision"] == "Permit"


def outlive(world: World) -> None:
    world.wait(2 * DAY)


def do_nothing(world: World) -> None:
    del world


# --- precedence ---------------------------------------------------------------------------------------------

UNCOVERED = {"categories": 1 << 8}

# Each line breaks one thing more than the line below it; so each answer must win over all below. One that is
# over cannot at the same time not have begun, so these two take turns.
STACKED = [
    ("Deny", "EntityUnknown", 0, [], {"grantee": "stranger"} | UNCOVERED),
    ("Deny", "EntitySuspended", 0, [use_up, withdraw, revoke_all, outlive, suspend], UNCOVERED),
    ("Deny", "EntitySuspended", 0, [suspend], {"purpose": "TREAT"}),
    ("NoConsent", "NeverGiven", 0, [use_up, withdraw, revoke_all, outlive], {"purpose": "TREAT"} | UNCOVERED),
    ("Deny", "Withdrawn", 2, [use_up, withdraw, revoke_all, outlive], UNCOVERED),
    ("Deny", "Revoked", 2, [use_up, revoke_by_delegate, revoke_all, outlive], UNCOVERED),
    ("Deny", "AllRevoked", 1, [use_up, revoke_all, outlive], UNCOVERED),
    ("Deny", "Expired", 1, [use_up, outlive], UNCOVERED),
    ("Deny", "CategoryNotCovered", 1, [use_up], UNCOVERED),
    ("Deny", "UsesExhausted", 1, [use_up], {}),
    ("Permit", "Granted", 1, [do_nothing], {}),
]


@pytest.mark.parametrize(("decision", "reason", "version", "steps", "question"), STACKED)
def test_the_first_reason_that_applies_decides(
    world: World, decision: str, reason: str, version: int, steps: list[Any], question: dict[str, Any]
) -> None:
    world.give(categories=1 << 7, max_uses=1)
    for step in steps:
        step(world)
    if "grantee" in question:
        question = question | {"grantee": getattr(world, question["grantee"])}
    if "purpose" in question:
        question = question | {"purpose": felt(question["purpose"])}
    assert world.verdict(**question) == (decision, reason, version)


def test_not_started_comes_after_all_revoked_and_before_category(world: World) -> None:
    world.give(categories=1 << 7, starts_at=world.now + 10)
    assert world.verdict(**UNCOVERED) == ("Deny", "NotStarted", 1)
    revoke_all(world)
    assert world.verdict(**UNCOVERED) == ("Deny", "AllRevoked", 1)


# --- boundaries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["view", "request"])
def test_the_window_is_exact_to_the_second(world: World, asked: str) -> None:
    """Live from its first second up to, not including, `expires_at`; for the view and for a request in that
    block."""
    start = world.now + 100
    world.give(starts_at=start, expires_at=start + 10)
    for second, decision, reason in (
        (start - 1, "Deny", "NotStarted"),
        (start, "Permit", "Granted"),
        (start + 1, "Permit", "Granted"),
        (start + 9, "Permit", "Granted"),
        (start + 10, "Deny", "Expired"),
        (start + 11, "Deny", "Expired"),
    ):
        world.now = second
        if asked == "view":
            assert world.verdict() == (decision, reason, 1)
        else:
            receipt = world.ask()
            assert (receipt.result["decision"], receipt.result["reason"]) == (decision, reason)
            assert receipt.events[-1].data["at"] == second


def test_a_consent_of_one_second(world: World) -> None:
    start = world.now
    world.give(expires_at=start + 1)
    assert world.verdict() == ("Permit", "Granted", 1)
    world.wait(1)
    assert world.verdict() == ("Deny", "Expired", 1)


def test_the_end_of_time(world: World) -> None:
    """The last second that fits a cell; afterwards the clock is put back."""
    now = world.now
    world.give(expires_at=MAX_TIME)
    try:
        for second, reason in (
            (MAX_TIME - 1, "Granted"),
            (MAX_TIME, "Expired"),
            (MAX_TIME + 1, "Expired"),
            (2 * MAX_TIME, "Expired"),
        ):
            world.now = second
            assert world.verdict()[1] == reason
    finally:
        world.chain.set_clock(now)


@pytest.mark.parametrize(
    ("categories", "reason"),
    [
        (0b0100, "Granted"),
        (0b1000, "Granted"),
        (0b1100, "Granted"),
        (0b0001, "CategoryNotCovered"),
        (0b1101, "CategoryNotCovered"),
        (0xFFFF, "CategoryNotCovered"),
        (0, "CategoryNotCovered"),
        (1 << 16, "CategoryNotCovered"),
        (1 << 16 | 0b0100, "CategoryNotCovered"),
        (MAX_U32, "CategoryNotCovered"),
    ],
)
def test_categories_must_be_covered_every_one(world: World, categories: int, reason: str) -> None:
    world.give(categories=0b1100)
    assert world.verdict(categories=categories)[1] == reason


@pytest.mark.parametrize("max_uses", [1, 3])
def test_uses_run_out_exactly(world: World, max_uses: int) -> None:
    world.give(max_uses=max_uses)
    for _ in range(max_uses):
        assert world.verdict() == ("Permit", "Granted", 1)
        use_up(world)
    assert world.verdict() == ("Deny", "UsesExhausted", 1)
    assert world.ask().result["reason"] == "UsesExhausted"


# --- purposes -----------------------------------------------------------------------------------------------


def test_purposes_match_exactly(world: World) -> None:
    """No purpose includes another: health research does not cover a clinical trial, nor the other way
    round."""
    world.give(purpose=felt("HRESCH"))
    for purpose in PURPOSES:
        decision, reason, _ = world.verdict(purpose=felt(purpose))
        if purpose == "HRESCH":
            assert (decision, reason) == ("Permit", "Granted")
        else:
            assert (decision, reason) == ("NoConsent", "NeverGiven")


@pytest.mark.parametrize("purpose", [0, 1, felt("HMARKT"), felt("hresch"), 2**251 + 17 * 2**192])
def test_an_unknown_purpose_was_never_consented_to(world: World, purpose: int) -> None:
    world.give()
    assert world.verdict(purpose=purpose) == ("NoConsent", "NeverGiven", 0)


@pytest.mark.parametrize("who", ["patient", "grantee"])
@pytest.mark.parametrize("address", [0, 1, 2**251 - 257])
def test_any_address_gets_an_answer(world: World, who: str, address: int) -> None:
    world.give()
    reason = "NeverGiven" if who == "patient" else "EntityUnknown"
    assert world.verdict(**{who: address})[1] == reason


# --- it is a view -------------------------------------------------------------------------------------------


def test_asking_changes_nothing(world: World) -> None:
    """Even in a transaction, by anyone, as often as they like."""
    world.give(max_uses=1)
    call = world.call(
        "verify_consent",
        patient=world.patient,
        grantee=world.researcher,
        purpose=felt("HRESCH"),
        categories=1,
    )
    outcome = world.execute(world.stranger, call, call)
    assert outcome.error is None
    assert outcome.results == [[0, 0, 1], [0, 0, 1]]
    assert outcome.events == []
    assert not any(outcome.cells.values())
    assert world.verdict() == ("Permit", "Granted", 1)


def test_it_judges_the_consent_not_the_campaign(world: World) -> None:
    """As its doc says: a campaign without money permits here and refuses at the door."""
    reward = world.campaign()
    world.fund(reward, 999)
    world.give(reward=reward)
    assert world.verdict() == ("Permit", "Granted", 1)
    assert world.ask(world.funder, campaign=reward).result["reason"] == "NeverGiven"
    assert world.ask(campaign=reward).result["reason"] == "RewardUnfunded"


def test_a_contract_can_ask(world: World) -> None:
    """Answers in Serde's form: decision, reason, version."""
    puppet = world.new_puppet()
    call = world.call(
        "verify_consent",
        patient=world.patient,
        grantee=world.researcher,
        purpose=felt("HRESCH"),
        categories=1,
    )
    outcome = world.execute(puppet.address, Call(*call))
    assert outcome.results == [[2, 2, 0]]

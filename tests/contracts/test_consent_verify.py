"""The views that judge: every answer exact to the second, for anything that is asked, and never a failure."""

import pytest

from tests.harness.chain import Call
from tests.harness.expected import consent, stored
from tests.harness.words import (
    BROAD,
    BTG,
    DAY,
    HRESCH,
    LARGEST_FELT,
    MAX_TIME,
    MAX_U32,
    PURPOSES,
    felt,
)
from tests.harness.world import World, id_of

# --- boundaries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["view", "state", "request"])
def test_the_window_is_exact_to_the_second(world: World, asked: str) -> None:
    """Live from its first second up to, not including, `expires_at`; for the views and for a request in that
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
        elif asked == "state":
            assert stored(world)["state"] == reason
            assert stored(world)["status"] == "Given"
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
    assert stored(world)["state"] == "Granted"


@pytest.mark.parametrize("max_uses", [1, 3])
def test_uses_run_out_exactly(world: World, max_uses: int) -> None:
    world.give(max_uses=max_uses)
    for used in range(max_uses):
        assert world.verdict() == ("Permit", "Granted", 1)
        assert stored(world)["uses"] == used
        assert world.ask().result["decision"] == "Permit"
    assert world.verdict() == ("Deny", "UsesExhausted", 1)
    assert stored(world) == consent(world, state="UsesExhausted", max_uses=max_uses, uses=max_uses)
    assert world.ask().result["reason"] == "UsesExhausted"


@pytest.mark.parametrize("scoped", [False, True])
def test_whether_a_consent_is_narrowed_further_is_told(world: World, scoped: bool) -> None:
    """Whatever the decision: whoever keeps the data releases nothing without the opening."""
    world.give(scoped=scoped, categories=1)
    about = world.about() | {"campaign": 0}
    for categories, decision in ((1, "Permit"), (2, "Deny")):
        answer = world.read("verify_consent", **world.about(), categories=categories, campaign=0)
        assert answer["decision"] == decision
        assert answer["scoped"] is scoped
    assert world.read("consent", **about)["scoped"] is scoped
    (event,) = world.ask(categories=1).events
    assert event.data["scoped"] is scoped


# --- purposes and studies -----------------------------------------------------------------------------------


def test_purposes_match_exactly(world: World) -> None:
    """No purpose includes another: health research does not cover a clinical trial, nor the other way
    round."""
    world.give()
    for purpose in PURPOSES:
        decision, reason, _ = world.verdict(purpose=felt(purpose))
        expected = ("Permit", "Granted") if purpose == "HRESCH" else ("NoConsent", "NeverGiven")
        assert (decision, reason) == expected


@pytest.mark.parametrize("study", [1, LARGEST_FELT])
@pytest.mark.parametrize("given", [BROAD, 7])
def test_studies_match_exactly(world: World, given: int, study: int) -> None:
    world.give(study=given)
    assert world.verdict(study=given) == ("Permit", "Granted", 1)
    for other in {study, BROAD} - {given}:
        assert world.verdict(study=other) == ("NoConsent", "NeverGiven", 0)


@pytest.mark.parametrize("purpose", [0, 1, BTG, felt("HMARKT"), felt("hresch"), LARGEST_FELT])
def test_an_unknown_purpose_was_never_consented_to(world: World, purpose: int) -> None:
    world.give()
    assert world.verdict(purpose=purpose) == ("NoConsent", "NeverGiven", 0)


@pytest.mark.parametrize("who", ["patient", "grantee"])
@pytest.mark.parametrize("address", [0, 1, 2**251 - 257])
def test_any_address_gets_an_answer(world: World, who: str, address: int) -> None:
    world.give()
    reason = "NeverGiven" if who == "patient" else "EntityUnknown"
    assert world.verdict(**{who: address})[1] == reason
    assert stored(world, **{who: address})["state"] == reason


# --- verify_consents ----------------------------------------------------------------------------------------


def test_many_patients_are_asked_about_at_once(world: World) -> None:
    world.give(scoped=True)
    world.send(world.neighbour, "refuse_purpose", purpose=HRESCH)
    about = {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD, "categories": 1 << 7}
    patients = [world.patient, world.neighbour, world.stranger, 0, world.patient]
    answers = world.read("verify_consents", patients=patients, **about, campaign=0)
    singly = [world.read("verify_consent", patient=patient, **about, campaign=0) for patient in patients]
    assert answers == singly
    assert [one["reason"] for one in answers] == [
        "Granted",
        "PurposeRefused",
        "NeverGiven",
        "NeverGiven",
        "Granted",
    ]
    assert world.read("verify_consents", patients=[], **about, campaign=0) == []


# --- it is a view -------------------------------------------------------------------------------------------


def test_asking_changes_nothing(world: World) -> None:
    """Even in a transaction, by anyone, as often as they like."""
    world.give(max_uses=1)
    call = world.call("verify_consent", **world.about(), categories=1, campaign=0)
    outcome = world.execute(world.stranger, call, call)
    assert outcome.error is None
    assert outcome.results == [[0, 0, 1, 0], [0, 0, 1, 0]]
    assert outcome.events == []
    assert not any(outcome.cells.values())
    assert world.verdict() == ("Permit", "Granted", 1)


def test_it_judges_the_consent_not_the_campaigns_money(world: World) -> None:
    """As its doc says: without money, or after the campaign's end, it permits here and is refused at the
    door."""
    reward = world.campaign(expires_at=world.now + DAY)
    world.fund(reward, 1000)
    world.allow(reward, world.researcher, 1)
    world.give(reward=reward, expires_at=world.now + 2 * DAY)
    campaign = id_of(reward)
    world.wait(DAY)
    assert world.verdict(campaign=campaign) == ("Permit", "Granted", 1)
    assert world.ask(campaign=campaign).result["reason"] == "CampaignExpired"
    world.send(world.funder, "revoke_allowance", terms=reward, accessor=world.researcher)
    assert world.verdict(campaign=campaign) == ("Permit", "Granted", 1)
    assert world.ask(campaign=campaign).result["reason"] == "RewardUnfunded"


def test_a_contract_can_ask(world: World) -> None:
    """Answers in Serde's form: decision, reason, version, scoped."""
    puppet = world.new_puppet()
    call = world.call("verify_consent", **world.about(), categories=1, campaign=0)
    outcome = world.execute(puppet.address, Call(*call))
    assert outcome.results == [[2, 5, 0, 0]]


@pytest.mark.parametrize("suspended", [False, True])
def test_an_entitys_standing_comes_before_the_consents_state(world: World, suspended: bool) -> None:
    """Of an entity that may get nothing neither version nor scope is told by the verdict; the record is."""
    world.give(scoped=True)
    if suspended:
        world.send(world.researcher, "suspend_self")
    answer = world.read("verify_consent", **world.about(), categories=1, campaign=0)
    if suspended:
        expected = {"decision": "Deny", "reason": "EntitySuspended", "version": 0, "scoped": False}
    else:
        expected = {"decision": "Permit", "reason": "Granted", "version": 1, "scoped": True}
    assert answer == expected
    state = "EntitySuspended" if suspended else "Granted"
    assert stored(world) == consent(world, scoped=True, state=state)

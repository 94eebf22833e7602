"""Requests against a consent that insists on pay: a permit reserves its pay in the same transaction, and
nobody else is called."""

from typing import Any

import pytest

from tests.harness.cells import assert_changed, budget_cell, paid_uses_cell
from tests.harness.driver import Receipt
from tests.harness.expected import stored
from tests.harness.log import digest, logged
from tests.harness.words import BROAD, CLOSE_NOTICE, DAY, HRESCH
from tests.harness.world import World, id_of


@pytest.fixture
def reward(world: World) -> dict[str, Any]:
    """A campaign of ten uses, three of which are the researcher's, and a consent that insists on it."""
    terms = world.campaign()
    world.fund(terms, 10_000)
    world.allow(terms, world.researcher, 3)
    world.give(reward=terms, max_uses=5, expires_at=world.now + 60 * DAY)
    return terms


def ask(world: World, reward: dict[str, Any] | None, sender: int | None = None) -> Receipt:
    return world.ask(sender, campaign=0 if reward is None else id_of(reward))


def budget(world: World, reward: dict[str, Any], accessor: int | None = None) -> Any:
    return world.read("budget", campaign=id_of(reward), accessor=accessor or world.researcher)


def paid_uses(world: World, reward: dict[str, Any], **changes: Any) -> Any:
    return world.read("paid_uses", **world.about(**changes), campaign=id_of(reward))


def assert_denied(world: World, reward: dict[str, Any] | None, reason: str) -> None:
    """Refused for that reason, and logged; no use and no budget is touched."""
    count, head = world.read("log_head", patient=world.patient).values()
    receipt = ask(world, reward)
    entry = logged(
        world,
        decision="Deny",
        reason=reason,
        seq=count + 1,
        campaign=0 if reward is None else id_of(reward),
    )
    assert receipt.events == [entry]
    assert receipt.result == {
        "decision": "Deny",
        "reason": reason,
        "seq": count + 1,
        "digest": digest(world, head, entry),
    }
    assert_changed(world, receipt.storage, {})


# --- paid ---------------------------------------------------------------------------------------------------


def test_a_permit_reserves_its_pay_in_the_same_transaction(world: World, reward: dict[str, Any]) -> None:
    campaign = id_of(reward)
    for used in (1, 2, 3):
        outcome = world.execute(
            world.researcher,
            world.call("request_access", request=world.request(campaign=campaign)),
        )
        entry = logged(world, campaign=campaign, seq=used)
        assert outcome.events == [entry]
        expires_at = reward["expires_at"]
        cells = {
            # Instead of a use in the record, which is not written.
            paid_uses_cell(world, campaign): {"version": 1, "paid": used},
            budget_cell(world, campaign, world.researcher): {
                "left": 3 - used,
                "paid": used,
                "expires_at": expires_at,
            },
        }
        assert_changed(world, outcome.storage, cells)
        # In MedSync alone: nobody is called.
        assert outcome.outward == set()
        assert stored(world, campaign)["uses"] == used
    assert_denied(world, reward, "RewardUnfunded")
    assert budget(world, reward) == {
        "left": 0,
        "paid": 3,
        "expires_at": expires_at,
        "custodian_settled": 0,
    }
    assert paid_uses(world, reward) == {"version": 1, "paid": 3, "base": 0, "settled": 0}
    # The money itself did not move yet.
    assert world.read("claimable", owner=world.patient) == 0
    assert world.read("liabilities") == 10_000


def test_a_funder_spends_its_own_budget(world: World, reward: dict[str, Any]) -> None:
    world.give(world.funder, reward=reward)
    assert ask(world, reward, world.funder).result["decision"] == "Permit"
    assert budget(world, reward, world.funder)["left"] == 6
    assert budget(world, reward)["left"] == 3


def test_nobody_spends_anothers_budget(world: World, reward: dict[str, Any]) -> None:
    world.allow(reward, world.partner, 1)
    world.give(world.partner, reward=reward)
    assert ask(world, reward, world.partner).result["decision"] == "Permit"
    assert ask(world, reward, world.partner).result["reason"] == "RewardUnfunded"
    assert budget(world, reward)["left"] == 3


# --- the campaign the consent names -------------------------------------------------------------------------


def test_a_request_must_name_the_consents_campaign(world: World, reward: dict[str, Any]) -> None:
    other = world.campaign(salt=2, rate=1)
    world.fund(other, 10_000)
    world.allow(other, world.researcher, 3)
    assert_denied(world, None, "CampaignMismatch")
    for change in ({"rate": 1}, {"custodian_bps": 10_000}, {"funder": world.partner}, {"pool": 0xDEAD}):
        assert_denied(world, reward | change, "CampaignMismatch")
    assert_denied(world, other, "CampaignMismatch")
    assert ask(world, reward).result["decision"] == "Permit"
    assert budget(world, other)["left"] == 3


def test_a_request_names_no_campaign_if_the_consent_names_none(world: World, reward: dict[str, Any]) -> None:
    world.give()
    receipt = ask(world, reward)
    assert receipt.result["reason"] == "CampaignMismatch"
    assert budget(world, reward)["left"] == 3
    assert world.ask().result["decision"] == "Permit"


def test_a_refusal_for_another_reason_names_the_requests_campaign(
    world: World, reward: dict[str, Any]
) -> None:
    withdrawal = {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD}
    world.send(world.patient, "revoke_consent", **withdrawal)
    receipt = ask(world, reward)
    assert receipt.events == [
        logged(world, decision="Deny", reason="Withdrawn", version=2, campaign=id_of(reward))
    ]
    assert_changed(world, receipt.storage, {})


# --- boundaries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "reason"), [(-1, "Granted"), (0, "CampaignExpired"), (1, "CampaignExpired")]
)
def test_a_campaign_pays_up_to_its_last_second(
    world: World, reward: dict[str, Any], offset: int, reason: str
) -> None:
    world.now = reward["expires_at"] + offset
    if reason == "Granted":
        assert ask(world, reward).result["reason"] == reason
    else:
        assert_denied(world, reward, reason)
    assert budget(world, reward)["left"] == 3 - (reason == "Granted")


def test_uses_of_the_consent_run_out_before_the_budget(world: World, reward: dict[str, Any]) -> None:
    world.give(reward=reward, max_uses=1)
    assert ask(world, reward).result["decision"] == "Permit"
    receipt = ask(world, reward)
    assert receipt.result["reason"] == "UsesExhausted"
    assert budget(world, reward)["left"] == 2


@pytest.mark.parametrize("closed", [False, True])
def test_an_accessors_budget_outlives_the_closing(world: World, reward: dict[str, Any], closed: bool) -> None:
    """Until the campaign expires or the funder takes it back."""
    world.give(world.funder, reward=reward, expires_at=world.now + 60 * DAY)
    world.send(world.funder, "announce_close", terms=reward)
    world.wait(CLOSE_NOTICE)
    if closed:
        world.send(world.funder, "close_campaign", terms=reward)
    assert ask(world, reward).result["decision"] == "Permit"
    funders = ask(world, reward, world.funder).result["reason"]
    assert funders == ("RewardUnfunded" if closed else "Granted")
    world.send(world.funder, "revoke_allowance", terms=reward, accessor=world.researcher)
    assert_denied(world, reward, "RewardUnfunded")


# --- batches ------------------------------------------------------------------------------------------------


def test_a_batch_reserves_what_it_permits_and_writes_the_budget_once(
    world: World, reward: dict[str, Any]
) -> None:
    """Each patient's paid uses, one budget; when it is empty the rest are refused."""
    campaign = id_of(reward)
    for who in (world.neighbour, world.stranger):
        terms = world.terms(reward=reward, max_uses=1)
        world.send(who, "add_consent", grantee=world.researcher, terms=terms)
    subjects = [
        (world.neighbour, 1),
        (world.neighbour, 2),
        (world.relayer, 3),
        (world.patient, 4),
        (world.patient, 5),
        (world.stranger, 6),
        (world.neighbour, 7),
    ]
    batch = world.batch(*subjects, campaign=campaign)
    outcome = world.execute(world.researcher, world.call("request_access_batch", **batch))
    assert outcome.error is None
    assert [event.data["reason"] for event in outcome.events] == [
        "Granted",
        "UsesExhausted",
        "NeverGiven",
        "Granted",
        "Granted",
        "RewardUnfunded",
        "UsesExhausted",
    ]
    cells = {
        paid_uses_cell(world, campaign, world.neighbour): {"version": 1, "paid": 1},
        paid_uses_cell(world, campaign): {"version": 1, "paid": 2},
        budget_cell(world, campaign, world.researcher): {
            "left": 0,
            "paid": 3,
            "expires_at": reward["expires_at"],
        },
    }
    assert_changed(world, outcome.storage, cells)
    assert outcome.outward == set()


def test_a_batch_that_permits_nothing_writes_no_budget(world: World, reward: dict[str, Any]) -> None:
    batch = world.batch((world.relayer, 1), (world.stranger, 2), campaign=id_of(reward))
    receipt = world.send(world.researcher, "request_access_batch", **batch)
    assert {event.data["reason"] for event in receipt.events} == {"NeverGiven"}
    assert_changed(world, receipt.storage, {})


def test_a_batch_after_the_campaigns_end_is_refused_one_by_one(world: World, reward: dict[str, Any]) -> None:
    world.now = reward["expires_at"]
    batch = world.batch((world.patient, 1), (world.patient, 2), campaign=id_of(reward))
    receipt = world.send(world.researcher, "request_access_batch", **batch)
    assert [event.data["reason"] for event in receipt.events] == ["CampaignExpired"] * 2
    assert_changed(world, receipt.storage, {})


def test_an_emergency_names_no_campaign_and_costs_nothing(world: World, reward: dict[str, Any]) -> None:
    world.wait(2 * DAY)
    emergency = {"patient": world.patient, "categories": 1, "record": 0}
    (entry,) = world.send(world.hospital, "request_emergency_access", **emergency).events
    assert (entry.data["campaign"], entry.data["decision"]) == (0, "Emergency")
    assert paid_uses(world, reward)["paid"] == 0

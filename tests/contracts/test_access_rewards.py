"""Requests against a consent that insists on pay: no pay, no data, and never paid twice or for nothing."""

from typing import Any

import pytest

from tests.harness.driver import Raised, Receipt
from tests.harness.log import digest, logged
from tests.harness.words import CLOSE_NOTICE, DAY, MAX_U128, felt
from tests.harness.world import World

HRESCH = felt("HRESCH")


@pytest.fixture
def reward(world: World) -> dict[str, Any]:
    """A campaign of 10,000 that pays 1,000 for each access of its funder, and a consent that insists on
    it."""
    terms = world.campaign()
    world.fund(terms, 10_000)
    world.send(
        world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms, max_uses=5)
    )
    return terms


def campaign(world: World, terms: dict[str, Any]) -> Any:
    return world.read("campaign", terms=terms)


def uses(world: World, grantee: int | None = None) -> int:
    consent = world.read("consent", patient=world.patient, grantee=grantee or world.funder, purpose=HRESCH)
    return int(consent["uses"])


def ask(world: World, terms: dict[str, Any] | None, sender: int | None = None) -> Receipt:
    return world.ask(sender or world.funder, campaign=terms)


def accrued(world: World, terms: dict[str, Any], **changes: Any) -> Raised:
    fields = {
        "campaign": campaign(world, terms)["id"],
        "patient": world.patient,
        "accessor": world.funder,
        "custodian": terms["custodian"],
        "patient_share": 900,
        "custodian_share": 100,
    }
    return world.raised("RewardAccrued", **(fields | changes))


def assert_denied(world: World, terms: dict[str, Any] | None, reason: str, sender: int | None = None) -> None:
    """Refused for that reason; logged; the use given back; the pool untouched."""
    sender = sender or world.funder
    used = uses(world, sender)
    count, head = world.read("log_head", patient=world.patient).values()
    receipt = ask(world, terms, sender)
    entry = logged(
        world,
        accessor=sender,
        decision="Deny",
        reason=reason,
        seq=count + 1,
        version=1,
        campaign=0 if terms is None else campaign(world, terms)["id"],
    )
    assert receipt.events == [entry]
    assert receipt.result == {
        "decision": "Deny",
        "reason": reason,
        "seq": count + 1,
        "digest": digest(world, head, entry),
    }
    assert uses(world, sender) == used
    assert receipt.cells[world.pool.address] == 0
    assert receipt.cells[world.medsync.address] == 1


# --- paid ---------------------------------------------------------------------------------------------------


def test_a_permit_is_paid_in_the_same_transaction(world: World, reward: dict[str, Any]) -> None:
    before = campaign(world, reward)
    receipt = ask(world, reward)
    entry = logged(world, accessor=world.funder, campaign=before["id"])
    assert receipt.events == [accrued(world, reward), entry]
    assert receipt.result == {
        "decision": "Permit",
        "reason": "Granted",
        "seq": 1,
        "digest": digest(world, 0, entry),
    }
    assert uses(world) == 1
    assert campaign(world, reward) == before | {"remaining": 9000, "paid_count": 1}
    assert world.read("claimable", owner=world.patient) == 900
    assert world.read("claimable", owner=world.hospital) == 100
    assert world.read("liabilities") == 10_000
    # The consent and the log; the campaign and two credits.
    assert receipt.cells[world.medsync.address] == 2
    assert receipt.cells[world.pool.address] == 3
    assert receipt.cells[world.token.address] == 0


def test_a_partner_spends_its_allowance(world: World, reward: dict[str, Any]) -> None:
    world.send(world.patient, "add_consent", grantee=world.partner, terms=world.terms(reward=reward))
    world.send(world.funder, "set_allowance", terms=reward, accessor=world.partner, amount=2500)
    campaign_id = campaign(world, reward)["id"]
    for seq, left in ((1, 1500), (2, 500)):
        receipt = ask(world, reward, world.partner)
        assert receipt.events == [
            accrued(world, reward, accessor=world.partner),
            logged(world, accessor=world.partner, campaign=campaign_id, seq=seq),
        ]
        assert world.read("allowance", campaign=campaign_id, accessor=world.partner) == left
    assert_denied(world, reward, "AllowanceExceeded", world.partner)
    assert world.read("allowance", campaign=campaign_id, accessor=world.partner) == 500


# --- the campaign the consent names -------------------------------------------------------------------------


def test_a_request_must_name_the_consents_campaign(world: World, reward: dict[str, Any]) -> None:
    other = world.campaign(salt=2, rate=1)
    world.fund(other, 10_000)
    assert_denied(world, None, "CampaignMismatch")
    assert_denied(world, other, "CampaignMismatch")
    for change in ({"rate": 1}, {"custodian_bps": 10_000}, {"expires_at": 2**63}, {"funder": world.partner}):
        assert_denied(world, reward | change, "CampaignMismatch")
    assert ask(world, reward).result["decision"] == "Permit"


def test_a_request_names_no_campaign_if_the_consent_names_none(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 10_000)
    world.give()
    assert_denied(world, terms, "CampaignMismatch", world.researcher)
    assert world.ask().result["decision"] == "Permit"


def test_a_mismatch_calls_no_pool(world: World, reward: dict[str, Any]) -> None:
    """A request may name terms whose pool is no contract; it is refused before anybody is called."""
    receipt = ask(world, reward | {"pool": 0xDEAD})
    assert receipt.result["reason"] == "CampaignMismatch"


def test_a_refusal_for_another_reason_names_the_requests_campaign(
    world: World, reward: dict[str, Any]
) -> None:
    world.send(world.patient, "revoke_consent", grantee=world.funder, purpose=HRESCH)
    receipt = ask(world, reward)
    assert receipt.events == [
        logged(
            world,
            accessor=world.funder,
            decision="Deny",
            reason="Withdrawn",
            version=2,
            campaign=campaign(world, reward)["id"],
        )
    ]
    assert receipt.cells[world.pool.address] == 0


def test_a_renewal_changes_the_campaign(world: World, reward: dict[str, Any]) -> None:
    better = world.campaign(salt=2, rate=2000)
    world.fund(better, 2000)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=better))
    assert ask(world, reward).result["reason"] == "CampaignMismatch"
    assert ask(world, better).result["decision"] == "Permit"
    assert world.read("claimable", owner=world.patient) == 1800


# --- what stands against paying -----------------------------------------------------------------------------


def test_an_empty_campaign_permits_nothing(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 1999)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    assert ask(world, terms).result["decision"] == "Permit"
    assert_denied(world, terms, "RewardUnfunded")
    world.fund(terms, 1)
    assert ask(world, terms).result["decision"] == "Permit"
    assert campaign(world, terms)["remaining"] == 0
    assert_denied(world, terms, "RewardUnfunded")


def test_a_closed_campaign_permits_nothing(world: World, reward: dict[str, Any]) -> None:
    world.send(
        world.patient,
        "add_consent",
        grantee=world.partner,
        terms=world.terms(reward=reward, expires_at=world.now + 2 * CLOSE_NOTICE),
    )
    world.send(world.funder, "announce_close", terms=reward)
    world.wait(CLOSE_NOTICE)
    world.send(world.funder, "set_allowance", terms=reward, accessor=world.partner, amount=MAX_U128)
    assert ask(world, reward, world.partner).result["decision"] == "Permit"
    world.send(world.funder, "close_campaign", terms=reward)
    assert_denied(world, reward, "CampaignClosed", world.partner)


@pytest.mark.parametrize(("offset", "paid"), [(-1, True), (0, False), (1, False)])
def test_a_campaign_expires_to_the_second(world: World, offset: int, paid: bool) -> None:
    terms = world.campaign(expires_at=world.now + 100)
    world.fund(terms, 10_000)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    world.wait(100 + offset)
    if paid:
        assert ask(world, terms).result["decision"] == "Permit"
    else:
        assert_denied(world, terms, "CampaignExpired")


def test_an_accessor_without_allowance_spends_nothing(world: World, reward: dict[str, Any]) -> None:
    """Consent alone does not open the funder's purse."""
    world.send(world.patient, "add_consent", grantee=world.partner, terms=world.terms(reward=reward))
    assert_denied(world, reward, "AllowanceExceeded", world.partner)
    world.send(world.funder, "set_allowance", terms=reward, accessor=world.partner, amount=999)
    assert_denied(world, reward, "AllowanceExceeded", world.partner)


def test_an_allowance_is_for_its_campaign(world: World, reward: dict[str, Any]) -> None:
    other = world.campaign(salt=2)
    world.fund(other, 10_000)
    world.send(world.funder, "set_allowance", terms=other, accessor=world.partner, amount=MAX_U128)
    world.send(world.patient, "add_consent", grantee=world.partner, terms=world.terms(reward=reward))
    assert_denied(world, reward, "AllowanceExceeded", world.partner)


def test_the_first_obstacle_is_the_reason(world: World) -> None:
    """Closed, expired, unfunded, allowance exceeded: all four, then each without the one before."""
    for obstacles, reason in (
        ({"closed", "expired", "unfunded", "allowance"}, "CampaignClosed"),
        ({"expired", "unfunded", "allowance"}, "CampaignExpired"),
        ({"unfunded", "allowance"}, "RewardUnfunded"),
        ({"allowance"}, "AllowanceExceeded"),
    ):
        terms = world.campaign(salt=len(obstacles), expires_at=world.now + DAY)
        world.fund(terms, 1 if "unfunded" in obstacles else 1000)
        world.send(
            world.patient,
            "add_consent",
            grantee=world.partner,
            terms=world.terms(reward=terms, expires_at=world.now + 9 * DAY),
        )
        if "expired" in obstacles:
            world.wait(DAY)
        if "closed" in obstacles:
            world.send(world.funder, "close_campaign", terms=terms)
        assert ask(world, terms, world.partner).result["reason"] == reason


# --- uses, batches, shares ----------------------------------------------------------------------------------


def test_paid_uses_run_out(world: World, reward: dict[str, Any]) -> None:
    for used in range(1, 6):
        assert ask(world, reward).result["decision"] == "Permit"
        assert uses(world) == used
    assert_denied(world, reward, "UsesExhausted")
    assert campaign(world, reward)["paid_count"] == 5


def test_the_last_use_is_given_back_when_it_cannot_be_paid(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 1)
    consent = world.terms(reward=terms, max_uses=1)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=consent)
    assert_denied(world, terms, "RewardUnfunded")
    world.fund(terms, 999)
    assert ask(world, terms).result["decision"] == "Permit"
    assert_denied(world, terms, "UsesExhausted")


def test_a_batch_pays_until_the_money_is_gone(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 2500)
    for patient in (world.patient, world.neighbour):
        world.send(patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    requests = [
        world.request(patient=patient, campaign=terms)
        for patient in (world.patient, world.neighbour, world.patient, world.neighbour)
    ]
    receipt = world.send(world.funder, "request_access_batch", requests=requests)
    assert [(answer["decision"], answer["reason"]) for answer in receipt.result] == [
        ("Permit", "Granted"),
        ("Permit", "Granted"),
        ("Deny", "RewardUnfunded"),
        ("Deny", "RewardUnfunded"),
    ]
    assert [event.name for event in receipt.events] == [
        *["RewardAccrued", "AccessLogged"] * 2,
        *["AccessLogged"] * 2,
    ]
    assert campaign(world, terms)["remaining"] == 500
    assert [world.read("claimable", owner=owner) for owner in (world.patient, world.neighbour)] == [900, 900]


def test_an_emergency_pays_nobody(world: World, reward: dict[str, Any]) -> None:
    receipt = world.send(
        world.hospital,
        "request_emergency_access",
        patient=world.patient,
        categories=1,
        record=0,
        justification_commitment=1,
    )
    assert receipt.cells[world.pool.address] == 0
    assert campaign(world, reward)["remaining"] == 10_000


def test_a_consent_for_a_campaign_that_is_over_permits_nothing(world: World) -> None:
    """It is taken, for the campaign still says that it is open; but nothing is ever paid or permitted under
    it."""
    terms = world.campaign(expires_at=world.now + 1)
    world.fund(terms, 1000)
    world.wait(1)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    assert_denied(world, terms, "CampaignExpired")

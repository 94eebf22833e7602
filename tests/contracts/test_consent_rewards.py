"""Consents that insist on pay: which campaigns they may name, and what a renewal keeps of what was earned."""

from typing import Any

import pytest

from tests.harness.cells import assert_changed, paid_uses_cell, record_cell
from tests.harness.expected import added, consent, record, stored
from tests.harness.words import BROAD, CLOSE_NOTICE, CLOSE_WINDOW, DAY, HRESCH, felt
from tests.harness.world import World, id_of

STUDY = 0x57D7


@pytest.fixture
def reward(world: World) -> dict[str, Any]:
    """A campaign of ten uses, three of which are the researcher's."""
    return funded(world)


def funded(world: World, **changes: Any) -> dict[str, Any]:
    terms = world.campaign(**changes)
    world.fund(terms, 10 * terms["rate"])
    world.allow(terms, world.researcher, 3)
    return terms


def give(world: World, reward: dict[str, Any] | None, **changes: Any) -> Any:
    terms = world.terms(reward=reward, **changes)
    return world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)


def is_refused(world: World, error: str, reward: dict[str, Any], **changes: Any) -> None:
    terms = world.terms(reward=reward, **changes)
    world.refuses(error, world.patient, "add_consent", grantee=world.researcher, terms=terms)


def paid_uses(world: World, reward: dict[str, Any], study: int = BROAD) -> Any:
    return world.read("paid_uses", **world.about(study=study), campaign=id_of(reward))


def bring_to(world: World, reward: dict[str, Any], state: str) -> None:
    """Have a campaign expired, announced to close, closed, or without a use left for the researcher."""
    if state == "expired":
        world.now = reward["expires_at"]
    elif state == "budget empty":
        world.send(world.funder, "revoke_allowance", terms=reward, accessor=world.researcher)
    else:
        world.send(world.funder, "announce_close", terms=reward)
    if state == "closed":
        world.wait(CLOSE_NOTICE)
        world.send(world.funder, "close_campaign", terms=reward)


# --- naming a campaign --------------------------------------------------------------------------------------


@pytest.mark.parametrize("study", [BROAD, STUDY])
def test_a_consent_can_insist_on_a_campaign(world: World, study: int) -> None:
    reward = funded(world, study=study)
    terms = world.terms(reward=reward, study=study)
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.result == 1
    assert receipt.events == [added(world, terms, campaign=id_of(reward))]
    campaign = id_of(reward)
    cells = {
        record_cell(world, study=study): record(terms, rewarded=1),
        paid_uses_cell(world, campaign, study=study): {"version": 1},
    }
    assert_changed(world, receipt.storage, cells)
    assert stored(world, campaign, study=study) == consent(world, rewarded=True)
    # Asked with another campaign, or with none, it permits nothing.
    for other in (0, campaign + 1):
        state = stored(world, other, study=study)
        assert state == consent(world, rewarded=True, state="CampaignMismatch")
    # Only the pool is called, and it answers from what it stores.
    assert receipt.cells[world.pool.address] == 0


def test_a_consent_names_the_campaign_of_its_last_giving(world: World, reward: dict[str, Any]) -> None:
    other = funded(world, salt=2)
    give(world, reward)
    for version, named in enumerate((None, other, reward, other), 2):
        give(world, named)
        for campaign in (reward, other, None):
            expected = "Granted" if campaign is named else "CampaignMismatch"
            asked = 0 if campaign is None else id_of(campaign)
            assert world.verdict(campaign=asked)[1:] == (expected, version)


def test_giving_pay_up_leaves_its_cell(world: World, reward: dict[str, Any]) -> None:
    """What was earned and not settled stays there."""
    give(world, reward)
    receipt = give(world, None)
    assert_changed(world, receipt.storage, {record_cell(world): record(world.terms(), version=2)})


# --- what a campaign must be like ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "change"),
    [
        ("CONSENT/CAMPAIGN_PURPOSE", {"purpose": felt("CLINTRCH")}),
        ("CONSENT/CAMPAIGN_STUDY", {"study": STUDY}),
    ],
)
def test_a_campaign_is_for_the_consents_purpose_and_study(
    world: World, error: str, change: dict[str, int]
) -> None:
    reward = funded(world, **change)
    is_refused(world, error, reward)
    request = {"patient": world.patient, "terms": world.terms(reward=reward), "open_until": world.now + 1}
    world.refuses(error, world.researcher, "request_consent", **request)
    give(world, reward, **change)


def test_a_campaign_of_another_spender_cannot_be_named(world: World) -> None:
    reward = world.campaign(spender=world.partner)
    world.fund(reward, 10_000)
    is_refused(world, "CONSENT/CAMPAIGN_SPENDER", reward)


@pytest.mark.parametrize(
    "change",
    [{"rate": 1001}, {"custodian_bps": 999}, {"salt": 2}, {"custodian": 1}, {"funder": 1}],
    ids=str,
)
def test_other_terms_are_another_campaign(
    world: World, reward: dict[str, Any], change: dict[str, int]
) -> None:
    is_refused(world, "CONSENT/CAMPAIGN_UNFUNDED", reward | change)


def test_this_grantees_budget_must_have_a_use_left(world: World, reward: dict[str, Any]) -> None:
    """Not the funder's own, and not what it had once."""
    world.send(world.funder, "decrease_allowance", terms=reward, accessor=world.researcher, uses=2)
    give(world, reward)
    world.ask(campaign=id_of(reward))
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH, study=BROAD)
    is_refused(world, "CONSENT/CAMPAIGN_UNFUNDED", reward)
    world.allow(reward, world.researcher, 1)
    give(world, reward)


def test_the_funder_needs_no_allowance(world: World, reward: dict[str, Any]) -> None:
    world.give(world.funder, reward=reward)


@pytest.mark.parametrize(("offset", "error"), [(-1, None), (0, "CONSENT/CAMPAIGN_EXPIRED")])
def test_a_campaign_is_named_up_to_its_last_second(
    world: World, reward: dict[str, Any], offset: int, error: str | None
) -> None:
    world.now = reward["expires_at"] + offset
    if error:
        is_refused(world, error, reward)
    else:
        give(world, reward)


@pytest.mark.parametrize(
    ("after", "error"),
    [
        (0, "CONSENT/CAMPAIGN_CLOSING"),
        (CLOSE_NOTICE, "CONSENT/CAMPAIGN_CLOSING"),
        (CLOSE_NOTICE + CLOSE_WINDOW - 1, "CONSENT/CAMPAIGN_CLOSING"),
        (CLOSE_NOTICE + CLOSE_WINDOW, None),
    ],
)
def test_an_announced_closing_stops_new_consents_until_its_window_is_over(
    world: World, after: int, error: str | None
) -> None:
    reward = funded(world, expires_at=world.now + 100 * DAY)
    world.send(world.funder, "announce_close", terms=reward)
    world.wait(after)
    assert world.read("accepts_consents", campaign=id_of(reward)) is (error is None)
    if error:
        is_refused(world, error, reward)
    else:
        give(world, reward)


def test_a_deposit_takes_an_announcement_back(world: World, reward: dict[str, Any]) -> None:
    world.send(world.funder, "announce_close", terms=reward)
    is_refused(world, "CONSENT/CAMPAIGN_CLOSING", reward)
    world.fund(reward, 1000)
    give(world, reward)


def test_a_closed_campaign_is_named_no_more(world: World, reward: dict[str, Any]) -> None:
    world.send(world.funder, "announce_close", terms=reward)
    world.wait(CLOSE_NOTICE)
    world.send(world.funder, "close_campaign", terms=reward)
    is_refused(world, "CONSENT/CAMPAIGN_CLOSING", reward)


# --- narrowing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("expired", "CONSENT/CAMPAIGN_EXPIRED"),
        ("announced", "CONSENT/CAMPAIGN_CLOSING"),
        ("closed", "CONSENT/CAMPAIGN_CLOSING"),
        ("budget empty", "CONSENT/CAMPAIGN_UNFUNDED"),
    ],
)
def test_a_consent_is_narrowed_whatever_became_of_its_campaign(
    world: World, reward: dict[str, Any], state: str, error: str
) -> None:
    """The campaign stays the same, so nothing of it is asked; another one is."""
    give(world, reward, expires_at=world.now + 90 * DAY)
    bring_to(world, reward, state)
    receipt = give(world, reward, categories=1, max_uses=1)
    assert receipt.result == 2
    if state in ("announced", "closed"):
        assert world.ask(campaign=id_of(reward), categories=1).result["decision"] == "Permit"
    # After a withdrawal it would be named anew, so it must be able to pay.
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH, study=BROAD)
    is_refused(world, error, reward)


@pytest.mark.parametrize("death", ["expired", "all revoked"])
@pytest.mark.parametrize("state", ["announced", "closed", "budget empty"])
def test_a_dead_consent_names_its_campaign_anew(
    world: World, reward: dict[str, Any], death: str, state: str
) -> None:
    """Its record still names it, but what is given now is a new consent, for which the campaign must be able
    to pay."""
    give(world, reward, expires_at=world.now + DAY)
    world.wait(DAY if death == "expired" else 0)
    if death == "all revoked":
        world.send(world.patient, "revoke_all", dismiss_delegates=False)
    bring_to(world, reward, state)
    error = "CONSENT/CAMPAIGN_UNFUNDED" if state == "budget empty" else "CONSENT/CAMPAIGN_CLOSING"
    is_refused(world, error, reward)


# --- what renewals keep -------------------------------------------------------------------------------------


def test_uses_start_anew_and_what_is_owed_stays(world: World, reward: dict[str, Any]) -> None:
    """A→B→A: neither forgets what it paid for, and each consent's uses are counted from its own giving."""
    other = funded(world, salt=2)
    for named, versions in ((reward, 1), (other, 2), (reward, 3), (reward, 4)):
        give(world, named, max_uses=1)
        campaign = id_of(named)
        assert world.ask(campaign=campaign).result["decision"] == "Permit"
        assert world.ask(campaign=campaign).result["reason"] == "UsesExhausted"
        assert stored(world, campaign)["uses"] == 1
        assert paid_uses(world, named)["version"] == versions
    assert paid_uses(world, reward) == {"version": 4, "paid": 3, "base": 2, "settled": 0}
    assert paid_uses(world, other) == {"version": 2, "paid": 1, "base": 0, "settled": 0}


def test_a_renewal_writes_version_and_base_only(world: World, reward: dict[str, Any]) -> None:
    give(world, reward)
    campaign = id_of(reward)
    for _ in range(2):
        world.ask(campaign=campaign)
    world.send(world.relayer, "settle", patient=world.patient, grantee=world.researcher, terms=reward)
    world.ask(campaign=campaign)
    terms = world.terms(reward=reward)
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    cells = {
        record_cell(world): record(terms, version=2),
        paid_uses_cell(world, campaign): {"version": 2, "paid": 3, "base": 3, "settled": 2},
    }
    assert_changed(world, receipt.storage, cells)


def test_studies_earn_apart(world: World) -> None:
    """A campaign belongs to one study, so that two studies are two campaigns with two counts."""
    campaigns = {study: funded(world, study=study) for study in (BROAD, STUDY)}
    for study, reward in campaigns.items():
        give(world, reward, study=study)
    world.ask(campaign=id_of(campaigns[STUDY]), study=STUDY)
    assert [paid_uses(world, campaigns[study], study)["paid"] for study in (BROAD, STUDY)] == [0, 1]

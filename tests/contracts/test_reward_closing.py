"""Closing a campaign: after notice or after its end, for good, and without touching what is owed."""

from typing import Any

import pytest

from tests.harness.cells import assert_changed, budget_cell, credit_cell, funding_cell
from tests.harness.words import CLOSE_NOTICE, CLOSE_WINDOW, DAY
from tests.harness.world import World, id_of


def campaign(world: World, terms: dict[str, Any]) -> Any:
    return world.read("campaign", terms=terms)


def funded(world: World, **changes: Any) -> dict[str, Any]:
    """A campaign of ten uses, two of which are the researcher's."""
    terms = world.campaign(**changes)
    world.fund(terms, 10_000)
    world.allow(terms, world.researcher, 2)
    return terms


def close(world: World, terms: dict[str, Any]) -> Any:
    return world.send(world.funder, "close_campaign", terms=terms)


def is_refused(world: World, error: str, terms: dict[str, Any]) -> None:
    world.refuses(error, world.funder, "close_campaign", terms=terms)


# --- announce_close -----------------------------------------------------------------------------------------


def test_closing_is_announced(world: World) -> None:
    terms = funded(world)
    before = campaign(world, terms)
    closing_at = world.now + CLOSE_NOTICE
    receipt = world.send(world.funder, "announce_close", terms=terms)
    assert receipt.result is None
    assert receipt.events == [
        world.raised("CampaignCloseAnnounced", campaign=id_of(terms), closing_at=closing_at)
    ]
    assert campaign(world, terms) == before | {"closing_at": closing_at}
    cell = {"granted": 10, "status": 1, "closing_at": closing_at}
    assert_changed(world, receipt.storage, {funding_cell(world, id_of(terms)): cell})


def test_announcing_again_starts_the_notice_anew(world: World) -> None:
    terms = funded(world)
    world.send(world.funder, "announce_close", terms=terms)
    world.wait(CLOSE_NOTICE - 1)
    world.send(world.funder, "announce_close", terms=terms)
    world.wait(1)
    is_refused(world, "POOL/CLOSE_TOO_EARLY", terms)
    world.wait(CLOSE_NOTICE - 1)
    close(world, terms)


# --- when ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "error"),
    [
        (0, "POOL/CLOSE_TOO_EARLY"),
        (CLOSE_NOTICE - 1, "POOL/CLOSE_TOO_EARLY"),
        (CLOSE_NOTICE, None),
        (CLOSE_NOTICE + CLOSE_WINDOW - 1, None),
        (CLOSE_NOTICE + CLOSE_WINDOW, "POOL/CLOSE_TOO_LATE"),
        (CLOSE_NOTICE + CLOSE_WINDOW + 1, "POOL/CLOSE_TOO_LATE"),
    ],
)
def test_it_is_closed_from_day_7_up_to_day_37(world: World, after: int, error: str | None) -> None:
    terms = funded(world, expires_at=world.now + 100 * DAY)
    world.send(world.funder, "announce_close", terms=terms)
    world.wait(after)
    if error:
        is_refused(world, error, terms)
        # Announcing again is what to do.
        world.send(world.funder, "announce_close", terms=terms)
        world.wait(CLOSE_NOTICE)
    close(world, terms)


@pytest.mark.parametrize("announced", [False, True])
@pytest.mark.parametrize(("offset", "closed"), [(-1, False), (0, True), (1, True)])
def test_an_expired_campaign_is_closed_without_notice(
    world: World, announced: bool, offset: int, closed: bool
) -> None:
    """Even while a notice is not over, and long after its window."""
    terms = funded(world, expires_at=world.now + 5 * DAY)
    if announced:
        world.send(world.funder, "announce_close", terms=terms)
    world.now = terms["expires_at"] + offset
    if closed:
        close(world, terms)
    else:
        is_refused(world, "POOL/CLOSE_TOO_EARLY", terms)


def test_the_window_does_not_bind_an_expired_campaign(world: World) -> None:
    terms = funded(world, expires_at=world.now + 60 * DAY)
    world.send(world.funder, "announce_close", terms=terms)
    world.wait(CLOSE_NOTICE + CLOSE_WINDOW)
    is_refused(world, "POOL/CLOSE_TOO_LATE", terms)
    world.now = terms["expires_at"]
    close(world, terms)


def test_without_notice_it_is_always_too_early(world: World) -> None:
    terms = funded(world, expires_at=world.now + 100 * DAY)
    world.wait(50 * DAY)
    is_refused(world, "POOL/CLOSE_TOO_EARLY", terms)


# --- what it does -------------------------------------------------------------------------------------------


def test_closing_turns_the_funders_own_uses_into_its_credit(world: World) -> None:
    """Accessors' budgets stay theirs."""
    terms = funded(world, expires_at=world.now + 5 * DAY)
    world.give(world.funder, reward=terms)
    world.ask(world.funder, campaign=id_of(terms))
    world.now = terms["expires_at"]
    receipt = close(world, terms)
    assert receipt.result is None
    assert receipt.events == [world.raised("CampaignClosed", campaign=id_of(terms), uses=7, refunded=7000)]
    assert campaign(world, terms) == {
        "id": id_of(terms),
        "status": "Closed",
        "granted": 10,
        "taken": 7,
        "spent": 0,
        "closing_at": 0,
    }
    cells = {
        funding_cell(world, id_of(terms)): {"granted": 10, "taken": 7, "status": 2},
        budget_cell(world, id_of(terms), world.funder): {
            "left": 0,
            "paid": 1,
            "expires_at": terms["expires_at"],
        },
        credit_cell(world, world.funder): {"claimable": 7000},
    }
    assert_changed(world, receipt.storage, cells)
    assert world.read("budget", campaign=id_of(terms), accessor=world.researcher)["left"] == 2
    assert world.read("liabilities") == 10_000


def test_an_empty_campaign_is_closed_too(world: World) -> None:
    terms = world.campaign(expires_at=world.now + DAY)
    world.fund(terms, 1000)
    world.allow(terms, world.researcher, 1)
    world.wait(DAY)
    receipt = close(world, terms)
    assert receipt.events == [world.raised("CampaignClosed", campaign=id_of(terms), uses=0, refunded=0)]
    cells = {funding_cell(world, id_of(terms)): {"granted": 1, "status": 2}}
    assert_changed(world, receipt.storage, cells)


def test_what_is_owed_is_settled_after_closing(world: World) -> None:
    terms = funded(world, expires_at=world.now + DAY)
    world.give(reward=terms)
    world.ask(campaign=id_of(terms))
    world.wait(DAY)
    close(world, terms)
    claim = {"patient": world.patient, "grantee": world.researcher, "terms": terms}
    assert world.send(world.stranger, "settle", **claim).result == 1
    custodian = {"terms": terms, "accessor": world.researcher}
    assert world.send(world.stranger, "settle_custodian", **custodian).result == 1
    assert world.read("claimable", owner=world.patient) == 900
    assert world.read("claimable", owner=world.hospital) == 100


@pytest.mark.parametrize("function", ["announce_close", "close_campaign"])
def test_errors_come_in_order(world: World, function: str) -> None:
    terms = world.campaign(pool=world.medsync.address, funder=world.partner, expires_at=world.now + DAY)
    for error, repair in (
        ("POOL/WRONG_POOL", {}),
        ("POOL/NOT_FUNDER", {"pool": world.pool.address}),
        ("POOL/NOT_OPEN", {"funder": world.funder}),
    ):
        terms |= repair
        world.refuses(error, world.funder, function, terms=terms)
    world.fund(terms, 1000)
    world.wait(DAY)
    close(world, terms)
    world.refuses("POOL/NOT_OPEN", world.funder, function, terms=terms)


@pytest.mark.parametrize("state", ["unknown", "open", "announced", "over", "closed"])
def test_whether_consents_may_name_it(world: World, state: str) -> None:
    terms = world.campaign(expires_at=world.now + 100 * DAY)
    if state != "unknown":
        world.fund(terms, 1000)
    if state in ("announced", "over", "closed"):
        world.send(world.funder, "announce_close", terms=terms)
    if state == "over":
        world.wait(CLOSE_NOTICE + CLOSE_WINDOW)
    if state == "closed":
        world.wait(CLOSE_NOTICE)
        close(world, terms)
    accepted = state in ("open", "over")
    assert world.read("accepts_consents", campaign=id_of(terms)) is accepted

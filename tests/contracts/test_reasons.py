"""The published order of reasons, tried for all pairs: two apply at once, and the earlier one is told.

Most pairs could come about by what people do; some, like a consent that is over before it began, only by
cells. All are put into the cells, so that nothing but the two differs from a consent that permits.
"""

from collections import defaultdict
from itertools import combinations
from typing import Any

import pytest

from tests.harness.cells import (
    Cell,
    budget_cell,
    entity_cell,
    fill,
    paid_uses_cell,
    patient_cell,
    record_cell,
)
from tests.harness.driver import View
from tests.harness.words import ALL_CATEGORIES, DAY, REASONS
from tests.harness.world import World, id_of

ASKED = 1 << 7

STATUSES = {"NeverGiven": 0, "Refused": 4, "Withdrawn": 2, "Revoked": 3}

REFUSALS: dict[str, dict[str, dict[str, Any]]] = {
    "EntityUnknown": {"entity": {"role": 0}},
    "EntitySuspended": {"entity": {"suspended": 1}},
    "PurposeRefused": {"patient": {"refused_purposes": 1}},
    **{reason: {"record": {"status": status}} for reason, status in STATUSES.items()},
    "AllRevoked": {"patient": {"floor": 2}},
    "NotStarted": {"record": {"starts_at": 1}},
    "Expired": {"record": {"expires_at": 0}},
    "CategoryNotCovered": {"record": {"categories": ALL_CATEGORIES - ASKED}},
    "CampaignMismatch": {"paid": {"version": 2}},
    "UsesExhausted": {"record": {"max_uses": 1}},
    "RewardUnfunded": {"budget": {"left": 0}},
    "CampaignExpired": {"budget": {"expires_at": 0}},
}
"""By reason, in their order: what the cells hold then. Times are seconds from now."""

TIMES = ("starts_at", "expires_at")

ONLY_VIEWS_SAY = {"EntityUnknown": "ENTITY/UNKNOWN", "EntitySuspended": "ENTITY/SUSPENDED"}
ONLY_REQUESTS_SAY = ("RewardUnfunded", "CampaignExpired")


def base(world: World, campaign: int) -> dict[str, tuple[Cell, dict[str, int]]]:
    """The cells that a paid request reads, and what they hold when it is permitted. The consent was used
    once."""
    return {
        "entity": (
            entity_cell(world, world.researcher),
            {"role": 2, "registered_at": 1, "active_since": 1, "seq": 3},
        ),
        "patient": (patient_cell(world), {"generation": 2, "counter": 1}),
        "record": (
            record_cell(world),
            {
                "version": 1,
                "generation": 1,
                "max_uses": 2,
                "starts_at": -DAY,
                "expires_at": DAY,
                "categories": ALL_CATEGORIES,
                "rewarded": 1,
                "status": 1,
            },
        ),
        "paid": (paid_uses_cell(world, campaign), {"version": 1, "paid": 5, "base": 4}),
        "budget": (budget_cell(world, campaign, world.researcher), {"left": 1, "expires_at": DAY}),
    }


def put(world: World, campaign: int, *reasons: str) -> None:
    """Have the cells hold what these reasons apply to, and else a consent that permits."""
    changes: dict[str, dict[str, int]] = defaultdict(dict)
    for reason in reasons:
        for cell, fields in REFUSALS[reason].items():
            changes[cell] |= fields
    cells = {}
    for name, (cell, fields) in base(world, campaign).items():
        cells[cell] = values = fields | changes[name]
        for field in TIMES:
            if field in values:
                values[field] += world.now
    fill(world, cells)


def assert_reason(world: World, campaign: int, reason: str, of: tuple[str, ...]) -> None:
    """Views and request tell this reason."""
    told = "Granted" if reason in ONLY_REQUESTS_SAY else reason
    entity = reason in ONLY_VIEWS_SAY
    about = world.about()
    query = {name: about[name] for name in ("grantee", "purpose", "study")} | {
        "categories": ASKED,
        "campaign": campaign,
    }
    patients = [world.patient, world.neighbour]
    verdict, several, consent = world.read_all(
        [
            View(world.medsync, "verify_consent", {"patient": world.patient} | query),
            View(world.medsync, "verify_consents", {"patients": patients} | query),
            View(world.medsync, "consent", about | {"campaign": campaign}),
        ]
    )
    assert verdict == {
        "decision": {"Granted": "Permit", "NeverGiven": "NoConsent"}.get(told, "Deny"),
        "reason": told,
        "version": 0 if entity else 1,
        "scoped": False,
    }, of
    assert several == [verdict, several[1]], of
    assert several[1]["reason"] == (told if entity else "NeverGiven"), of
    # The state of a consent is told whatever the categories.
    if "CategoryNotCovered" not in of:
        assert consent["state"] == told, of

    request = world.call("request_access", request=world.request(campaign=campaign))
    outcome = world.simulate(world.researcher, request)
    if entity:
        assert outcome.error == ONLY_VIEWS_SAY[reason], of
    else:
        assert outcome.events[0].data["reason"] == reason, of


@pytest.fixture
def campaign(world: World) -> int:
    terms = world.campaign()
    world.fund(terms, 1000)
    return id_of(terms)


def test_the_table_has_every_reason_of_consents_in_its_order() -> None:
    apart = ("Granted", "BreakGlass", "NotHospital", "HospitalTooNew", "EmergencyRefused")
    assert list(REFUSALS) == [reason for reason in REASONS if reason not in apart]


def test_each_alone(world: World, campaign: int) -> None:
    put(world, campaign)
    assert_reason(world, campaign, "Granted", ())
    for reason in REFUSALS:
        put(world, campaign, reason)
        assert_reason(world, campaign, reason, (reason,))


@pytest.mark.parametrize("first", list(REFUSALS)[:-1])
def test_of_two_that_apply_the_earlier_is_told(world: World, campaign: int, first: str) -> None:
    for pair in combinations(REFUSALS, 2):
        if pair[0] != first or all(reason in STATUSES for reason in pair):
            continue
        put(world, campaign, *pair)
        assert_reason(world, campaign, first, pair)


def test_all_at_once_and_then_one_after_the_other_gone(world: World, campaign: int) -> None:
    """Of the statuses, which exclude each other, the last that a patient could have."""
    standing = [reason for reason in REFUSALS if reason not in STATUSES or reason == "Revoked"]
    while standing:
        put(world, campaign, *standing)
        assert_reason(world, campaign, standing[0], tuple(standing))
        standing.pop(0)


def test_a_consent_without_pay_is_told_the_same_way(world: World) -> None:
    """Its uses are counted in its record, and naming a campaign at all is the mismatch."""
    world.give(max_uses=1)
    world.ask()
    assert world.verdict() == ("Deny", "UsesExhausted", 1)
    assert world.verdict(campaign=1) == ("Deny", "CampaignMismatch", 1)
    assert world.ask(campaign=1).result["reason"] == "CampaignMismatch"

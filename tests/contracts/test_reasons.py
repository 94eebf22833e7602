"""The published order of reasons, tried for all pairs: two apply at once, and the earlier one is told.

Most pairs could come about by what people do; some, like a consent that is over before it began, only by
cells. `Judge` is MedSync's own class with cells that hold whatever a case wants, so that nothing but the two
differs from a consent that permits.
"""

from collections import defaultdict
from itertools import combinations
from typing import Any

import pytest

from scripts import build
from tests.harness.cells import (
    BUDGET,
    ENTITY,
    PAID_USES,
    PATIENT,
    RECORD,
    Layout,
    address_of,
    poseidon,
)
from tests.harness.driver import Contract, selector
from tests.harness.words import ALL_CATEGORIES, BROAD, DAY, HRESCH, REASONS, felt
from tests.harness.world import World

ACCESSOR = 0
"""Whoever makes a call outside of a transaction."""
CAMPAIGN = 0xCA
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


class Court:
    """The judge, the patient of every case, and what the cells hold when a request is permitted: a paid
    consent that was used once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.judge: Contract = world.deploy(
            "Judge", world.chain.declared("MedSync").hash, package=build.MOCKS
        )
        consent = poseidon(world.patient, ACCESSOR, HRESCH, BROAD)
        self.cells: dict[str, tuple[Layout, int, dict[str, int]]] = {
            "entity": (
                ENTITY,
                address_of("EntityRegistry_entities", ACCESSOR),
                {"role": 2, "registered_at": 1, "active_since": 1, "seq": 3},
            ),
            "patient": (
                PATIENT,
                address_of("ConsentRegistry_patients", world.patient),
                {"generation": 2, "counter": 1},
            ),
            "record": (
                RECORD,
                address_of("ConsentRegistry_records", consent),
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
            "paid": (
                PAID_USES,
                address_of("RewardBudgets_paid", poseidon(consent, CAMPAIGN)),
                {"version": 1, "paid": 5, "base": 4},
            ),
            "budget": (
                BUDGET,
                address_of("RewardBudgets_budgets", poseidon(CAMPAIGN, ACCESSOR)),
                {"left": 1, "expires_at": DAY},
            ),
        }
        # What a request writes beside these.
        self.head = address_of("AccessLog_heads", world.patient)

    def filled(self, reasons: tuple[str, ...]) -> list[int]:
        """The cells when exactly these reasons apply."""
        changes: dict[str, dict[str, int]] = defaultdict(dict)
        for reason in reasons:
            for cell, fields in REFUSALS[reason].items():
                changes[cell] |= fields
        packed = []
        for name, (layout, _, fields) in self.cells.items():
            values = fields | changes[name]
            for field in TIMES:
                if field in values:
                    values[field] += self.world.now
            packed.append(layout.pack(**values))
        return [*packed, 0]

    def judges(self, several: list[tuple[str, ...]]) -> None:
        """Assert that of each of these, the first reason is told by every view and by a request."""
        world = self.world
        about = world.about(grantee=ACCESSOR)
        query = {name: about[name] for name in ("grantee", "purpose", "study")} | {
            "categories": ASKED,
            "campaign": CAMPAIGN,
        }
        questions: list[tuple[str, dict[str, Any]]] = [
            ("verify_consent", {"patient": world.patient} | query),
            ("verify_consents", {"patients": [world.patient, world.neighbour]} | query),
            ("consent", about | {"campaign": CAMPAIGN}),
            ("request_access", {"request": world.request(campaign=CAMPAIGN)}),
        ]
        abi = world.medsync.abi
        cases = [
            {
                "cells": self.filled(reasons),
                "entry_point": selector(function),
                "calldata": abi.encode_call(function, arguments),
            }
            for reasons in several
            for function, arguments in questions
        ]
        places = [*(address for _, address, _ in self.cells.values()), self.head]
        verdicts = iter(world.read("judge", self.judge, places=places, cases=cases))
        for reasons in several:
            answers: list[Any] = []
            for function, _ in questions:
                verdict = next(verdicts)
                if verdict["succeeded"]:
                    answers.append(abi.decode_result(function, verdict["answer"]))
                else:
                    answers.append(verdict["answer"][0])
            assert_told(reasons, *answers)


def assert_told(reasons: tuple[str, ...], verdict: Any, several: Any, consent: Any, receipt: Any) -> None:
    """The first of these reasons is the answer of all."""
    first = reasons[0] if reasons else "Granted"
    told = "Granted" if first in ONLY_REQUESTS_SAY else first
    entity = first in ONLY_VIEWS_SAY
    assert verdict == {
        "decision": decision_of(told),
        "reason": told,
        "version": 0 if entity else 1,
        "scoped": False,
    }, reasons
    assert several[0] == verdict, reasons
    assert several[1]["reason"] == (told if entity else "NeverGiven"), reasons
    # The state of a consent is told whatever the categories.
    if "CategoryNotCovered" not in reasons:
        assert consent["state"] == told, reasons
    if entity:
        assert receipt == felt(ONLY_VIEWS_SAY[first]), reasons
    else:
        assert (receipt["decision"], receipt["reason"]) == (decision_of(first), first), reasons


def decision_of(reason: str) -> str:
    return {"Granted": "Permit", "NeverGiven": "NoConsent"}.get(reason, "Deny")


@pytest.fixture
def court(world: World) -> Court:
    return Court(world)


def test_the_table_has_every_reason_of_consents_in_its_order() -> None:
    apart = ("Granted", "BreakGlass", "NotHospital", "HospitalTooNew", "EmergencyRefused")
    assert list(REFUSALS) == [reason for reason in REASONS if reason not in apart]


def test_each_alone(court: Court) -> None:
    court.judges([(), *((reason,) for reason in REFUSALS)])


@pytest.mark.parametrize("first", list(REFUSALS)[:-1])
def test_of_two_that_apply_the_earlier_is_told(court: Court, first: str) -> None:
    pairs = [
        pair
        for pair in combinations(REFUSALS, 2)
        if pair[0] == first and not all(reason in STATUSES for reason in pair)
    ]
    court.judges(pairs)


def test_all_at_once_and_then_one_after_the_other_gone(court: Court) -> None:
    """Of the statuses, which exclude each other, the last that a patient could have."""
    standing = [reason for reason in REFUSALS if reason not in STATUSES or reason == "Revoked"]
    court.judges([tuple(standing[place:]) for place in range(len(standing))])


def test_a_consent_without_pay_is_told_the_same_way(world: World) -> None:
    """Its uses are counted in its record, and naming a campaign at all is the mismatch."""
    world.give(max_uses=1)
    world.ask()
    assert world.verdict() == ("Deny", "UsesExhausted", 1)
    assert world.verdict(campaign=1) == ("Deny", "CampaignMismatch", 1)
    assert world.ask(campaign=1).result["reason"] == "CampaignMismatch"

"""Asking a patient for a consent: only an event, and whether it is answered is the patient's."""

from typing import Any

import pytest

from tests.harness.expected import stored
from tests.harness.words import HRESCH, MAX_TIME, felt
from tests.harness.world import World

STUDY = 0x57D7


@pytest.mark.parametrize("who", ["hospital", "researcher", "auditor"])
@pytest.mark.parametrize("rewarded", [False, True])
def test_an_entity_asks_for_a_consent(world: World, who: str, rewarded: bool) -> None:
    # The pool is not asked: these terms name an address without a contract.
    reward = world.campaign(pool=0xDEAD, study=STUDY) if rewarded else None
    terms = world.terms(reward=reward, study=STUDY, max_uses=5, scoped=True)
    entity = getattr(world, who)
    # Whatever the patient refuses: whether and how to answer is the patient's.
    world.send(world.patient, "refuse_purpose", purpose=HRESCH)
    arguments = {"patient": world.patient, "terms": terms, "open_until": world.now + 9}
    receipt = world.send(entity, "request_consent", **arguments)
    assert receipt.result is None
    fields = {field: value for field, value in terms.items() if field != "purpose"}
    assert receipt.events == [
        world.raised(
            "ConsentRequested",
            patient=world.patient,
            grantee=entity,
            purpose=HRESCH,
            open_until=world.now + 9,
            **fields,
        )
    ]
    # In no history, and nothing is stored.
    assert not any(receipt.cells.values())
    assert stored(world, grantee=entity, study=STUDY)["status"] == "None"


@pytest.mark.parametrize(
    ("offset", "error"),
    [(-1, "CONSENT/REQUEST_OVER"), (0, "CONSENT/REQUEST_OVER"), (1, None)],
)
def test_a_request_stands_open_for_a_second_at_least(world: World, offset: int, error: str | None) -> None:
    arguments = {"patient": world.patient, "terms": world.terms(), "open_until": world.now + offset}
    if error is None:
        world.send(world.researcher, "request_consent", **arguments)
    else:
        world.refuses(error, world.researcher, "request_consent", **arguments)


@pytest.mark.parametrize(("open_until", "fits"), [(MAX_TIME, True), (MAX_TIME + 1, False)])
def test_until_when_a_request_can_stand_open(world: World, open_until: int, fits: bool) -> None:
    arguments = {"patient": world.patient, "terms": world.terms(), "open_until": open_until}
    if fits:
        world.send(world.researcher, "request_consent", **arguments)
    else:
        world.refuses("CONSENT/TIME_RANGE", world.researcher, "request_consent", **arguments)


def test_errors_of_a_request_come_in_order(world: World) -> None:
    """The caller, the terms, and how long it stands open."""
    bad = world.terms(categories=0, reward=world.campaign(purpose=felt("TREAT"), study=1, spender=1))
    steps: list[tuple[str, int, int, int, dict[str, Any]]] = [
        ("ENTITY/UNKNOWN", world.stranger, 0, 0, {}),
        ("ENTITY/SUSPENDED", world.suspended, 0, 0, {}),
        ("CONSENT/ZERO_ADDRESS", world.researcher, 0, 0, {}),
        ("CONSENT/SELF_GRANT", world.researcher, world.researcher, 0, {}),
        ("CONSENT/BAD_CATEGORIES", world.researcher, world.patient, 0, {}),
        ("CONSENT/CAMPAIGN_PURPOSE", world.researcher, world.patient, 0, {"categories": 1}),
        (
            "CONSENT/CAMPAIGN_STUDY",
            world.researcher,
            world.patient,
            0,
            {"reward": world.campaign(study=1, spender=1)},
        ),
        (
            "CONSENT/CAMPAIGN_SPENDER",
            world.researcher,
            world.patient,
            0,
            {"reward": world.campaign(spender=1)},
        ),
        ("CONSENT/REQUEST_OVER", world.researcher, world.patient, 0, {"reward": None}),
    ]
    for error, sender, patient, open_until, repair in steps:
        bad |= repair
        arguments = {"patient": patient, "terms": bad, "open_until": open_until}
        world.refuses(error, sender, "request_consent", **arguments)

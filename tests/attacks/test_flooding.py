"""Logs and batches, abused: filled, repeated, mixed. Whoever is registered can write into a log, for that is
what it is for; it costs the writer, and nobody else anything that matters."""

import pytest

from tests.harness.log import head_after
from tests.harness.words import MAX_BATCH, felt
from tests.harness.world import World, assert_refused

HRESCH = felt("HRESCH")


def test_a_stranger_floods_a_log(world: World) -> None:
    """Who was never registered writes nothing, alone or in a batch."""
    for who in ("stranger", "patient", "delegate", "admin"):
        world.refuses("ENTITY/UNKNOWN", getattr(world, who), "request_access", request=world.request())
        world.refuses(
            "ENTITY/UNKNOWN", getattr(world, who), "request_access_batch", requests=[world.request()] * 2
        )
    assert world.read("log_head", patient=world.patient) == {"count": 0, "head": 0}


def test_a_suspended_entity_floods_a_log(world: World) -> None:
    """It can still write refusals, in its own name and at its own cost. One cell takes them all, so the
    patient withdraws, and others ask, for what they always paid; and the log can be proved as before."""
    world.give()
    calm = world.call("revoke_consent", grantee=world.researcher, purpose=HRESCH)
    before = world.simulate(world.patient, calm)
    asked = world.simulate(world.researcher, world.call("request_access", request=world.request()))

    flood = [world.request(record=place) for place in range(MAX_BATCH)]
    receipt = world.send(world.suspended, "request_access_batch", requests=flood)
    assert receipt.cells[world.medsync.address] == 1
    assert {answer["reason"] for answer in receipt.result} == {"EntitySuspended"}
    assert {event.keys["accessor"] for event in receipt.events} == {world.suspended}
    assert world.read("log_head", patient=world.patient) == head_after(world, receipt.events)
    assert world.read("log_head", patient=world.neighbour) == {"count": 0, "head": 0}

    assert world.simulate(world.patient, calm).storage == before.storage
    after = world.simulate(world.researcher, world.call("request_access", request=world.request()))
    assert after.cells == asked.cells
    assert after.events[0].data["seq"] == MAX_BATCH + 1
    world.send(world.patient, "revoke_all")
    assert world.ask().result["reason"] == "AllRevoked"


def test_an_entity_floods_a_patient_with_wishes(world: World) -> None:
    """Asking for consents leaves events and not one cell; nothing follows from it until the patient says
    so. Once suspended it cannot even ask."""
    wish = world.call("request_consent", patient=world.patient, terms=world.terms())
    outcome = world.execute(world.partner, *[wish] * 20)
    assert outcome.error is None
    assert not any(outcome.cells.values())
    assert world.verdict(grantee=world.partner) == ("NoConsent", "NeverGiven", 0)
    world.send(world.admin, "suspend_entity", address=world.partner)
    assert_refused(world.execute(world.partner, wish), "ENTITY/SUSPENDED")


@pytest.mark.parametrize("max_uses", [0, 2])
def test_a_batch_of_the_same_request(world: World, max_uses: int) -> None:
    """Repeating a request in a batch is asking again: each has a use of its own, a payment of its own and an
    entry of its own, as if it had come alone. Every cell and every event is the same."""
    terms = world.campaign()
    world.fund(terms, 3500)
    consent = world.terms(reward=terms, max_uses=max_uses)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=consent)
    request = world.request(campaign=terms)
    alone = world.simulate(world.funder, *[world.call("request_access", request=request)] * 5)
    receipt = world.send(world.funder, "request_access_batch", requests=[request] * 5)
    permits = max_uses or 3
    reason = "UsesExhausted" if max_uses else "RewardUnfunded"
    assert [answer["reason"] for answer in receipt.result] == ["Granted"] * permits + [reason] * (5 - permits)
    assert [answer["seq"] for answer in receipt.result] == [1, 2, 3, 4, 5]
    assert len({answer["digest"] for answer in receipt.result}) == 5
    assert receipt.events == alone.events
    assert receipt.cells == alone.cells
    assert world.read("claimable", owner=world.patient) == 900 * permits
    entries = [event for event in receipt.events if event.name == "AccessLogged"]
    assert world.read("log_head", patient=world.patient) == head_after(world, entries)


@pytest.mark.parametrize(
    ("error", "change"),
    [
        ("ACCESS/ZERO_PATIENT", {"patient": 0}),
        ("ACCESS/BAD_PURPOSE", {"purpose": 1}),
        ("ACCESS/BAD_CATEGORIES", {"categories": 0}),
    ],
)
@pytest.mark.parametrize("place", [0, 2])
def test_a_malformed_request_among_good_ones(
    world: World, place: int, error: str, change: dict[str, int]
) -> None:
    """The batch fails as a whole: no use is gone, nobody is paid, nothing is logged."""
    terms = world.campaign()
    world.fund(terms, 10_000)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    requests = [world.request(campaign=terms) for _ in range(3)]
    requests[place] |= change
    world.refuses(error, world.funder, "request_access_batch", requests=requests)


def test_a_batch_over_the_limit_in_one_transaction(world: World) -> None:
    """The limit is on a call. Two calls of it are two batches, with what they cost."""
    world.refuses(
        "ACCESS/BATCH_TOO_LARGE",
        world.researcher,
        "request_access_batch",
        requests=[world.request()] * (MAX_BATCH + 1),
    )

"""Terms that look like others: money meant for one campaign, spent by another.

A campaign is the hash of its terms, all of them, each a felt of its own with a type in front. Terms travel
with every call and are hashed again, so there is nothing to confuse: not one field, not two that change
places, not the pool, not where one field ends.
"""

from itertools import permutations
from typing import Any

import pytest

from tests.harness.chain import Call
from tests.harness.driver import View
from tests.harness.words import MAX_TIME, felt
from tests.harness.world import World, assert_refused, id_of

OTHERS: dict[str, Any] = {
    "pool": lambda world: world.new_pool().address,
    "funder": lambda world: world.partner,
    "purpose": lambda world: felt("CLINTRCH"),
    "study": lambda world: 0x57D,
    "rate": lambda world: 999,
    "custodian": lambda world: world.researcher,
    "custodian_bps": lambda world: 10_000,
    "expires_at": lambda world: MAX_TIME,
    "spender": lambda world: world.stranger,
    "salt": lambda world: 2,
}
"""For each field of the terms, another value that is as good."""


def test_every_field_is_tried(world: World) -> None:
    assert set(OTHERS) == set(world.campaign())


@pytest.mark.parametrize("field", OTHERS)
def test_terms_that_differ_in_one_field(world: World, field: str) -> None:
    """A grantee that names a cheaper, longer or friendlier campaign than the patient's is refused, and the
    patient's is not touched; what is deposited into one is not in the other."""
    terms = world.campaign()
    other = terms | {field: OTHERS[field](world)}
    world.fund(terms, 10_000)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    assert world.read("campaign", terms=terms)["id"] != world.read("campaign", terms=other)["id"]
    assert world.read("campaign", terms=other)["id"] == id_of(other)
    assert world.read("campaign", terms=other)["status"] == "None"
    receipt = world.ask(world.funder, campaign=id_of(other))
    assert receipt.result["reason"] == "CampaignMismatch"
    assert receipt.events[0].data["campaign"] == id_of(other)
    assert not receipt.cells[world.pool.address]
    assert world.read("budget", campaign=id_of(terms), accessor=world.funder)["left"] == 10


def test_values_that_change_places(world: World) -> None:
    """Fields hold each other's values: no two orders of the same values are the same campaign."""
    orders = [
        dict(zip(order, range(len(fields)), strict=True))
        for fields in (
            ("funder", "rate", "custodian", "custodian_bps"),
            ("expires_at", "salt", "rate"),
            ("purpose", "study", "spender"),
        )
        for order in permutations(fields)
    ]
    campaigns = world.read_all(
        [View(world.pool, "campaign", {"terms": world.campaign(**values)}) for values in orders]
    )
    assert len({campaign["id"] for campaign in campaigns}) == len(orders) == 24 + 6 + 6


def test_the_same_terms_at_another_pool(world: World) -> None:
    """A pool is named in the terms. Another pool, of the same token and the same MedSync, takes no deposit
    for them, and its money does not pay for them."""
    twin = world.new_pool()
    terms = world.campaign()
    there = terms | {"pool": twin.address}
    world.refuses("POOL/WRONG_POOL", world.funder, "deposit", twin, terms=terms, amount=1000)
    world.refuses("POOL/WRONG_POOL", world.funder, "deposit", world.pool, terms=there, amount=1000)
    world.fund(terms, 1000)
    world.fund(there, 10_000)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    assert world.ask(world.funder, campaign=id_of(there)).result["reason"] == "CampaignMismatch"
    assert world.ask(world.funder, campaign=id_of(terms)).result["decision"] == "Permit"
    assert world.ask(world.funder, campaign=id_of(terms)).result["reason"] == "RewardUnfunded"
    assert world.read("budget", campaign=id_of(there), accessor=world.funder)["left"] == 10


def test_a_researcher_who_rewrites_the_price(world: World) -> None:
    """Terms that are better for who asks are funded, and named in the request: still not what the patient
    named."""
    terms = world.campaign()
    world.fund(terms, 10_000)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    for change in (
        {"rate": 1},
        {"custodian": world.funder},
        {"custodian_bps": 10_000},
        {"expires_at": MAX_TIME},
        {"salt": 2},
    ):
        cheaper = terms | change
        world.fund(cheaper, 10_000)
        assert world.ask(world.funder, campaign=id_of(cheaper)).result["reason"] == "CampaignMismatch"
    settle = {"patient": world.patient, "grantee": world.funder, "terms": terms}
    assert world.send(world.stranger, "settle", **settle).result == 0


@pytest.mark.parametrize(
    "malform",
    [
        lambda felts: felts[:-1],
        lambda felts: [*felts, 0],
        lambda felts: [*felts[:4], 2**128, *felts[5:]],
        lambda felts: [*felts[:4], felts[4] + 2**128, *felts[5:]],
        lambda felts: [*felts[:6], 2**16 + felts[6], *felts[7:]],
        lambda felts: [*felts[:7], 2**64 + felts[7], *felts[8:]],
        lambda felts: [2**251, *felts[1:]],
    ],
    ids=[
        "a felt too few",
        "a felt too many",
        "a rate too wide",
        "a rate that is right in its lower half",
        "a share that is right in its lower half",
        "an end that is right in its lower half",
        "a pool that is no address",
    ],
)
def test_calldata_that_ends_elsewhere(world: World, malform: Any) -> None:
    """What is not exactly terms are none: nothing is read into the next field, cut off or left over."""
    terms = world.campaign()
    world.fund(terms, 10_000)
    good = world.call("announce_close", terms=terms)
    assert list(good.calldata) == list(terms.values())
    bad = Call(good.to, good.function, malform(list(good.calldata)))
    outcome = world.execute(world.funder, bad)
    assert outcome.error in ("Failed to deserialize param #1", "Input too long for arguments"), outcome.error
    assert_refused(outcome, outcome.error)
    assert world.execute(world.funder, good).error is None


@pytest.mark.parametrize("said", [0, 1, 3, 2**32])
def test_a_batch_that_is_longer_or_shorter_than_it_says(world: World, said: int) -> None:
    """Two subjects, and a length that is not two."""
    good = world.call("request_access_batch", **world.batch((world.patient, 1), (world.patient, 2)))
    *query, _, a, b, c, d = good.calldata
    bad = Call(good.to, good.function, [*query, said, a, b, c, d])
    outcome = world.execute(world.researcher, bad)
    assert outcome.error in ("Failed to deserialize param #5", "Input too long for arguments"), outcome.error
    assert not any(outcome.cells.values())

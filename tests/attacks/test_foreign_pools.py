"""Pools that are none of MedSync's, and those that are somebody else's: none of them reaches a budget, a use
or a credit that is not its own.

Nobody is called when data is asked for, so there is no moment any more at which a pool could lie, panic or
call back; what is left are pools that move what they have no right to.
"""

from typing import Any

import pytest

from tests.harness.chain import Call
from tests.harness.driver import Contract
from tests.harness.words import HRESCH
from tests.harness.world import World, assert_refused, id_of


def pool_acts(world: World, terms: dict[str, Any]) -> list[Call]:
    """All that a pool can do to MedSync, for these terms."""
    return [
        world.call("grant_budget", terms=terms, accessor=world.funder, uses=1000),
        world.call("take_budget", terms=terms, accessor=world.funder, uses=None),
        world.call("take_unsettled", terms=terms, patient=world.patient, grantee=world.funder),
        world.call("take_custodian_unsettled", terms=terms, accessor=world.funder),
    ]


def earning(world: World) -> dict[str, Any]:
    """A campaign with uses left and one that is not settled."""
    terms = world.campaign()
    world.fund(terms, 5000)
    world.give(world.funder, reward=terms)
    assert world.ask(world.funder, campaign=id_of(terms)).result["decision"] == "Permit"
    return terms


def as_it_was(world: World, terms: dict[str, Any]) -> bool:
    """Whether budget and paid uses are those of `earning`."""
    budget = world.read("budget", campaign=id_of(terms), accessor=world.funder)
    paid = world.read("paid_uses", **world.about(grantee=world.funder), campaign=id_of(terms))
    return (budget["left"], budget["paid"], budget["custodian_settled"]) == (4, 1, 0) and (
        paid["paid"],
        paid["settled"],
    ) == (1, 0)


def test_a_contract_that_plays_a_pool(world: World) -> None:
    """A stranger's contract forges uses for a campaign of its own, and takes those of a true one: by either
    terms it is no pool."""
    terms = earning(world)
    puppet = world.new_puppet()
    for forged in (terms, terms | {"pool": puppet.address}):
        for call in pool_acts(world, forged):
            assert_refused(world.execute(puppet.address, call), "BUDGET/NOT_POOL")
    assert as_it_was(world, terms)


@pytest.mark.parametrize("kind", ["a pool of another MedSync", "a copy of the class"])
def test_a_pool_that_medsync_did_not_make(world: World, kind: str) -> None:
    """The published class, deployed by another MedSync or by anybody: it takes deposits only where it is
    known, and no consent names it."""
    if kind == "a copy of the class":
        foreign = world.deploy("RewardPool", world.token.address, world.medsync.address)
    else:
        foreign = world.new_pool(medsync=world.new_medsync())
    assert world.read("is_pool", pool=foreign.address) is False
    terms = world.campaign(pool=foreign.address)
    outcome = world.execute(
        world.funder,
        world.call("mint", world.token, recipient=world.funder, amount=5000),
        world.call("approve", world.token, spender=foreign.address, amount=5000),
        world.call("deposit", foreign, terms=terms, amount=5000),
    )
    if kind == "a copy of the class":
        assert_refused(outcome, "BUDGET/NOT_POOL")
    else:
        # It holds uses in the other MedSync, and none in this one.
        assert outcome.error is None, outcome.reason
    assert world.read("budget", world.medsync, campaign=id_of(terms), accessor=world.funder)["left"] == 0
    reward = world.terms(reward=terms)
    world.refuses("CONSENT/NOT_A_POOL", world.patient, "add_consent", grantee=world.funder, terms=reward)


def test_a_pool_and_the_terms_of_another(world: World) -> None:
    """Two true pools. Terms name one of them, and the other does nothing by them: neither takes money, nor
    moves uses, nor settles, nor closes."""
    terms = earning(world)
    twin = world.new_pool()
    claims = [{"grantee": world.funder, "terms": terms}]
    for sender, function, arguments in (
        (world.funder, "deposit", {"terms": terms, "amount": 1000}),
        (world.funder, "increase_allowance", {"terms": terms, "accessor": world.partner, "uses": 1}),
        (world.funder, "decrease_allowance", {"terms": terms, "accessor": world.partner, "uses": 1}),
        (world.funder, "revoke_allowance", {"terms": terms, "accessor": world.partner}),
        (world.funder, "announce_close", {"terms": terms}),
        (world.funder, "close_campaign", {"terms": terms}),
        (
            world.stranger,
            "settle",
            {"patient": world.patient, "grantee": world.funder, "terms": terms},
        ),
        (world.stranger, "settle_custodian", {"terms": terms, "accessor": world.funder}),
        (world.patient, "withdraw", {"amount": 1, "recipient": world.patient, "claims": claims}),
        (world.stranger, "spend", {"terms": terms, "payee": ("Account", world.stranger)}),
    ):
        world.refuses("POOL/WRONG_POOL", sender, function, twin, **arguments)
    assert as_it_was(world, terms)
    # The same terms for the twin are another campaign, which owes nothing.
    there = terms | {"pool": twin.address}
    settled = world.send(
        world.stranger, "settle", twin, patient=world.patient, grantee=world.funder, terms=there
    )
    assert settled.result == 0
    assert as_it_was(world, terms)


def test_one_pools_money_for_anothers_consents(world: World) -> None:
    """A researcher funds the twin of a campaign in a pool of a token that it prints itself. Only what the
    consent names counts, and neither pool pays for the other."""
    terms = earning(world)
    printed = world.new_hostile_token()
    cheap = world.new_pool(token=printed)
    there = terms | {"pool": cheap.address}
    world.fund(there, 10**21)
    assert world.ask(world.funder, campaign=id_of(there)).result["reason"] == "CampaignMismatch"
    assert world.ask(world.funder, campaign=id_of(terms)).result["decision"] == "Permit"
    assert world.read("liabilities", cheap) == 10**21
    assert world.read("liabilities", world.pool) == 5000


def test_a_pool_of_a_worthless_token(world: World) -> None:
    """Not defended, and said: anyone makes a true pool of a token of its own, and pays with it. Whoever
    agrees must be shown the token; it is in the pool, in the event and nowhere in what is signed."""
    worthless = world.new_hostile_token()
    receipt = world.send(world.researcher, "create_pool", token=worthless.address, salt=1)
    assert world.read("is_pool", pool=receipt.result) is True
    (event,) = receipt.events
    assert event.keys == {"pool": receipt.result, "token": worthless.address}
    pool = world.new_pool(token=worthless)
    terms = world.campaign(pool=pool.address)
    world.fund(terms, 5000)
    world.give(world.funder, reward=terms)
    assert world.ask(world.funder, campaign=id_of(terms)).result["decision"] == "Permit"
    assert world.read("token", pool) == worthless.address


def test_somebody_takes_the_address_of_a_pool_to_come(world: World) -> None:
    """The address depends on who makes the pool: nobody makes another's first, and nobody makes one twice."""
    made = {"token": world.token.address, "salt": 77}
    mine = world.simulate(world.funder, world.call("create_pool", **made)).results[0]
    theirs = world.send(world.stranger, "create_pool", **made).result
    assert mine != [theirs]
    assert [world.send(world.funder, "create_pool", **made).result] == mine
    outcome = world.execute(world.funder, world.call("create_pool", **made))
    assert outcome.error is not None
    assert not any(outcome.cells.values())
    # Nor by deploying the class at large: what deployed it is part of the address.
    copy = world.deploy("RewardPool", world.token.address, world.medsync.address)
    assert world.read("is_pool", pool=copy.address) is False
    world.refuses("BUDGET/ZERO_TOKEN", world.stranger, "create_pool", token=0, salt=1)


def test_a_pool_as_a_patient_a_grantee_and_an_accessor(world: World) -> None:
    """Terms may name a pool wherever they name somebody: it is an address like another, that never acts."""
    terms = earning(world)
    here: Contract = world.pool
    world.refuses(
        "BUDGET/NOT_POOL", world.stranger, "grant_budget", terms=terms, accessor=here.address, uses=1
    )
    world.allow(terms, here.address, 1)
    settled = world.send(world.stranger, "settle", patient=here.address, grantee=here.address, terms=terms)
    assert settled.result == 0
    receipt = world.send(world.funder, "revoke_allowance", terms=terms, accessor=here.address)
    assert receipt.result == 1
    assert world.read("budget", campaign=id_of(terms), accessor=world.funder)["left"] == 4
    assert terms["purpose"] == HRESCH

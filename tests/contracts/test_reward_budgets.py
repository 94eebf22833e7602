"""Pools that MedSync deploys, and the budgets that only the pool a campaign names may move."""

from typing import Any

import pytest

from tests.harness.cells import (
    assert_changed,
    budget_cell,
    is_pool_cell,
    paid_uses_cell,
    poseidon,
)
from tests.harness.driver import Contract
from tests.harness.expected import consent, stored
from tests.harness.words import BROAD, DAY, HRESCH, LARGEST_FELT, MAX_TIME, MAX_U32, MAX_U64
from tests.harness.world import World, assert_refused, id_of

# --- create_pool --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("salt", [0, 7, LARGEST_FELT])
@pytest.mark.parametrize("who", ["funder", "stranger", "suspended"])
def test_anyone_has_a_pool_made(world: World, who: str, salt: int) -> None:
    creator = getattr(world, who)
    receipt = world.send(creator, "create_pool", token=world.token.address, salt=salt)
    pool = Contract(receipt.result, world.pool.abi)
    assert receipt.events == [
        world.raised("PoolCreated", pool=pool.address, token=world.token.address, creator=creator, salt=salt)
    ]
    assert_changed(world, receipt.storage, {is_pool_cell(world, pool.address): {"value": 1}})
    assert world.read("is_pool", pool=pool.address) is True
    assert world.read("token", pool) == world.token.address
    assert world.read("medsync", pool) == world.medsync.address
    assert world.read("liabilities", pool) == 0


def test_a_pools_address_depends_on_who_makes_it(world: World) -> None:
    """So nobody takes the address that another expects."""
    arguments = {"token": world.token.address, "salt": 1}
    pools = {world.send(who, "create_pool", **arguments).result for who in (world.funder, world.partner)}
    assert len(pools) == 2
    # Nobody makes the same one twice.
    outcome = world.execute(world.funder, world.call("create_pool", **arguments))
    assert outcome.error is not None
    assert "contract already deployed" in outcome.reason.lower()
    assert not any(outcome.cells.values())


def test_a_pool_needs_a_token(world: World) -> None:
    world.refuses("BUDGET/ZERO_TOKEN", world.funder, "create_pool", token=0, salt=1)


@pytest.mark.parametrize(("token", "medsync"), [(0, 1), (1, 0), (0, 0)])
def test_whoever_else_deploys_a_pool_names_both(world: World, token: int, medsync: int) -> None:
    _, deployment = world.chain.deployment(world.chain.declared("RewardPool"), [token, medsync])
    assert_refused(world.execute(world.relayer, deployment), "POOL/ZERO_ADDRESS")


@pytest.mark.parametrize("who", ["token", "medsync"])
def test_nothing_else_is_a_pool(world: World, who: str) -> None:
    assert world.read("is_pool", pool=getattr(world, who).address) is False
    lookalike = world.deploy("RewardPool", world.token.address, world.medsync.address)
    assert world.read("is_pool", pool=lookalike.address) is False


def test_the_class_of_pools_is_fixed(world: World) -> None:
    assert world.read("pool_class_hash") == world.chain.declared("RewardPool").hash


# --- what only a pool does ----------------------------------------------------------------------------------


@pytest.fixture
def pool(world: World) -> Contract:
    """A contract that MedSync takes for a pool it deployed, and that calls whatever a test wants."""
    puppet = world.new_puppet()
    is_pool_cell(world, puppet.address).write(value=1)
    return puppet


def campaign(world: World, pool: Contract, **changes: Any) -> dict[str, Any]:
    return world.campaign(pool=pool.address, **changes)


def budget(world: World, terms: dict[str, Any], accessor: int | None = None) -> Any:
    return world.read("budget", campaign=id_of(terms), accessor=accessor or world.researcher)


def grant(world: World, pool: Contract, terms: dict[str, Any], uses: int) -> Any:
    return world.send(pool.address, "grant_budget", terms=terms, accessor=world.researcher, uses=uses)


def calls(world: World, terms: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Everything that only the pool may do."""
    return [
        ("grant_budget", {"terms": terms, "accessor": world.researcher, "uses": 1}),
        ("take_budget", {"terms": terms, "accessor": world.researcher, "uses": 1}),
        ("take_budget", {"terms": terms, "accessor": world.researcher, "uses": None}),
        (
            "take_unsettled",
            {"terms": terms, "patient": world.patient, "grantee": world.researcher},
        ),
        ("take_custodian_unsettled", {"terms": terms, "accessor": world.researcher}),
    ]


def test_only_the_pool_that_the_terms_name_moves_budgets(world: World, pool: Contract) -> None:
    """Not another pool, not a contract that names itself, and nobody for the real pool."""
    impostor = world.new_puppet()
    for terms, sender in (
        (world.campaign(), pool.address),
        (campaign(world, pool), world.admin),
        (campaign(world, pool), world.funder),
        (world.campaign(pool=impostor.address), impostor.address),
        (world.campaign(pool=world.stranger), world.stranger),
    ):
        for function, arguments in calls(world, terms):
            world.refuses("BUDGET/NOT_POOL", sender, function, **arguments)


def test_budgets_grow(world: World, pool: Contract) -> None:
    terms = campaign(world, pool)
    cell = budget_cell(world, id_of(terms), world.researcher)
    for uses, left in ((3, 3), (4, 7)):
        receipt = grant(world, pool, terms, uses)
        assert receipt.result is None
        assert receipt.events == []
        after = {"left": left, "paid": 0, "expires_at": terms["expires_at"], "custodian_settled": 0}
        assert budget(world, terms) == after
        assert_changed(world, receipt.storage, {cell: after})
    assert budget(world, terms, world.partner)["left"] == 0
    assert budget(world, terms | {"salt": 2})["left"] == 0


@pytest.mark.parametrize(
    ("uses", "taken", "error"),
    [(2, 2, None), (5, 5, None), (None, 5, None), (6, 0, "BUDGET/TOO_FEW_USES"), (0, 0, None)],
)
def test_budgets_are_taken_back(
    world: World, pool: Contract, uses: int | None, taken: int, error: str | None
) -> None:
    terms = campaign(world, pool)
    grant(world, pool, terms, 5)
    arguments = {"terms": terms, "accessor": world.researcher, "uses": uses}
    if error:
        world.refuses(error, pool.address, "take_budget", **arguments)
        return
    receipt = world.send(pool.address, "take_budget", **arguments)
    assert receipt.result == taken
    assert receipt.events == []
    cell = budget_cell(world, id_of(terms), world.researcher)
    changed = {cell: {"left": 5 - taken, "expires_at": terms["expires_at"]}}
    assert_changed(world, receipt.storage, changed if taken else {})


def test_nothing_is_taken_of_nothing(world: World, pool: Contract) -> None:
    arguments = {"terms": campaign(world, pool), "accessor": world.researcher}
    receipt = world.send(pool.address, "take_budget", **arguments, uses=None)
    assert receipt.result == 0
    assert_changed(world, receipt.storage, {})


@pytest.mark.parametrize("paid", [0, 1, MAX_U64 - 5])
def test_uses_left_and_spent_stay_below_2_to_the_64(world: World, pool: Contract, paid: int) -> None:
    terms = campaign(world, pool)
    grant(world, pool, terms, 5)
    budget_cell(world, id_of(terms), world.researcher).write(paid=paid)
    rest = MAX_U64 - 5 - paid
    arguments = {"terms": terms, "accessor": world.researcher}
    world.refuses(
        "BUDGET/TOO_MANY_USES",
        pool.address,
        "grant_budget",
        **arguments,
        uses=min(rest + 1, MAX_U64),
    )
    grant(world, pool, terms, rest)
    assert budget(world, terms)["left"] == 5 + rest
    if rest:
        world.refuses("BUDGET/TOO_MANY_USES", pool.address, "grant_budget", **arguments, uses=1)


def test_what_a_pool_settles_is_marked_settled_once(world: World) -> None:
    """Through the real pool, which alone tells what it did with the answer."""
    terms = world.campaign()
    world.fund(terms, 5000)
    world.give(world.funder, reward=terms)
    for _ in range(3):
        world.ask(world.funder, campaign=id_of(terms))
    claim = {"patient": world.patient, "grantee": world.funder, "terms": terms}
    receipt = world.send(world.relayer, "settle", **claim)
    assert receipt.result == 3
    paid = {"version": 1, "paid": 3, "base": 0, "settled": 3}
    cell = paid_uses_cell(world, id_of(terms), grantee=world.funder)
    assert receipt.storage[world.medsync.address] == {cell.address: cell.layout.pack(**paid)}
    about = world.about(grantee=world.funder)
    assert world.read("paid_uses", **about, campaign=id_of(terms)) == paid
    assert world.send(world.relayer, "settle", **claim).result == 0


def test_what_was_never_paid_owes_nothing(world: World, pool: Contract) -> None:
    terms = campaign(world, pool)
    for function, arguments in calls(world, terms)[3:]:
        receipt = world.send(pool.address, function, **arguments)
        assert receipt.result == 0
        assert_changed(world, receipt.storage, {})
    about = world.about()
    assert world.read("paid_uses", **about, campaign=id_of(terms)) == {
        "version": 0,
        "paid": 0,
        "base": 0,
        "settled": 0,
    }
    assert budget(world, terms) == {"left": 0, "paid": 0, "expires_at": 0, "custodian_settled": 0}


def test_paid_uses_are_found_by_consent_and_campaign(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 5000)
    world.give(world.funder, reward=terms, expires_at=world.now + DAY)
    world.ask(world.funder, campaign=id_of(terms))
    view = world.about(grantee=world.funder) | {"campaign": id_of(terms)}
    assert world.read("paid_uses", **view)["paid"] == 1
    for change in (
        {"patient": world.neighbour},
        {"grantee": world.researcher},
        {"purpose": HRESCH + 1},
        {"study": BROAD + 1},
        {"campaign": id_of(terms) + 1},
    ):
        assert world.read("paid_uses", **view | change)["paid"] == 0
    key = poseidon(
        poseidon(world.patient, world.funder, HRESCH, BROAD),
        id_of(terms),
    )
    assert paid_uses_cell(world, id_of(terms), grantee=world.funder).keys == (key,)


# --- at the end of counters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("max_uses", [0, MAX_U32])
def test_paid_uses_end_and_never_wrap(world: World, max_uses: int) -> None:
    terms = world.campaign(expires_at=MAX_TIME)
    world.fund(terms, 10_000)
    world.allow(terms, world.researcher, 5)
    world.give(reward=terms, max_uses=max_uses)
    campaign_id = id_of(terms)
    paid_uses_cell(world, campaign_id).write(paid=MAX_U32 - 1, base=MAX_U32 - 2)
    assert world.ask(campaign=campaign_id).result["decision"] == "Permit"
    assert world.ask(campaign=campaign_id).result["reason"] == "UsesExhausted"
    assert stored(world, campaign_id) == consent(
        world, state="UsesExhausted", max_uses=max_uses, uses=2, rewarded=True
    )
    # Renewing the consent does not wind the campaign's count back.
    world.give(reward=terms)
    assert world.ask(campaign=campaign_id).result["reason"] == "UsesExhausted"
    assert budget(world, terms)["left"] == 4
    # All of it can be settled, and the consent can go on with another campaign.
    claim = {"patient": world.patient, "grantee": world.researcher, "terms": terms}
    paid_uses_cell(world, campaign_id).write(settled=MAX_U32 - 5)
    assert world.send(world.relayer, "settle", **claim).result == 5
    other = world.campaign(salt=2)
    world.fund(other, 2000)
    world.allow(other, world.researcher, 1)
    world.give(reward=other)
    assert world.ask(campaign=id_of(other)).result["decision"] == "Permit"

"""Deposits and allowances: uses are paid for in advance, and moved between the funder and accessors."""

from typing import Any

import pytest

from tests.harness.cells import (
    assert_changed,
    budget_cell,
    funding_cell,
    liabilities_cell,
)
from tests.harness.words import (
    BPS,
    BTG,
    CLOSE_NOTICE,
    DAY,
    LARGEST_FELT,
    MAX_LIABILITIES,
    MAX_TIME,
    MAX_U64,
    MAX_U128,
    PURPOSES,
    felt,
)
from tests.harness.world import World, assert_refused, id_of


def campaign(world: World, terms: dict[str, Any]) -> Any:
    return world.read("campaign", terms=terms)


def budget(world: World, terms: dict[str, Any], accessor: int | None = None) -> Any:
    return world.read("budget", campaign=id_of(terms), accessor=accessor or world.funder)


def left(world: World, terms: dict[str, Any], accessor: int | None = None) -> int:
    return int(budget(world, terms, accessor)["left"])


# --- deposit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mine", [True, False])
def test_the_first_deposit_opens_a_campaign(world: World, mine: bool) -> None:
    """Its uses are the funder's own, unless another contract spends it: then they are what it may spend."""
    terms = world.campaign(spender=0 if mine else world.partner)
    world.mint(world.funder, 5000)
    assert campaign(world, terms)["status"] == "None"
    receipt = world.send(world.funder, "deposit", terms=terms, amount=3000)
    about = {"campaign": id_of(terms), "funder": world.funder}
    assert receipt.result is None
    assert receipt.events == [
        world.raised("CampaignOpened", **about, purpose=terms["purpose"], terms=terms),
        world.raised("RewardDeposited", **about, amount=3000, uses=3),
    ]
    opened = {
        "id": id_of(terms),
        "status": "Open",
        "granted": 3,
        "taken": 0,
        "spent": 0,
        "closing_at": 0,
    }
    assert campaign(world, terms) == opened
    cells: dict[Any, dict[str, int]] = {
        funding_cell(world, id_of(terms)): {"granted": 3, "status": 1},
        liabilities_cell(world): {"value": 3000},
    }
    if mine:
        cell = budget_cell(world, id_of(terms), world.funder)
        cells[cell] = {"left": 3, "expires_at": terms["expires_at"]}
    assert_changed(world, receipt.storage, cells)

    receipt = world.send(world.funder, "deposit", terms=terms, amount=2000)
    assert receipt.events == [world.raised("RewardDeposited", **about, amount=2000, uses=2)]
    assert campaign(world, terms) == opened | {"granted": 5}
    assert left(world, terms) == (5 if mine else 0)
    assert world.read("liabilities") == 5000
    assert world.read("balance_of", world.token, account=world.pool.address) == 5000
    assert world.read("balance_of", world.token, account=world.funder) == 0


def test_campaigns_do_not_share_their_money(world: World) -> None:
    """Whoever has other terms has another campaign; the predecessor overwrote the pool."""
    several = [
        world.campaign(salt=salt, funder=funder, study=study)
        for salt in (1, 2)
        for funder in (world.funder, world.partner)
        for study in (0, 1)
    ]
    for uses, terms in enumerate(several, 1):
        world.fund(terms, 1000 * uses)
    budgets = [left(world, terms, terms["funder"]) for terms in several]
    assert budgets == list(range(1, 9))
    assert len({campaign(world, terms)["id"] for terms in several}) == 8
    assert world.read("liabilities") == 36_000


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 1},
        {"rate": MAX_LIABILITIES},
        {"custodian": 0, "custodian_bps": 0},
        {"custodian_bps": 1},
        {"custodian_bps": BPS},
        {"expires_at": MAX_TIME},
        {"salt": 0},
        {"salt": LARGEST_FELT},
        {"study": LARGEST_FELT},
        *({"purpose": felt(purpose)} for purpose in PURPOSES),
    ],
    ids=str,
)
def test_widest_and_narrowest_campaigns(world: World, change: dict[str, int]) -> None:
    terms = world.campaign(**change)
    world.fund(terms, terms["rate"])
    assert campaign(world, terms)["status"] == "Open"
    assert left(world, terms) == 1


@pytest.mark.parametrize(
    ("error", "change"),
    [
        ("POOL/BAD_PURPOSE", {"purpose": 0}),
        ("POOL/BAD_PURPOSE", {"purpose": felt("HMARKT")}),
        ("POOL/BAD_PURPOSE", {"purpose": BTG}),
        ("POOL/ZERO_RATE", {"rate": 0}),
        ("POOL/BAD_BPS", {"custodian_bps": BPS + 1}),
        ("POOL/BAD_BPS", {"custodian_bps": 65_535}),
        ("POOL/BAD_CUSTODIAN", {"custodian": 0}),
        ("POOL/BAD_CUSTODIAN", {"custodian_bps": 0}),
        ("POOL/CAMPAIGN_EXPIRED", {"expires_at": 0}),
        ("POOL/TIME_RANGE", {"expires_at": MAX_TIME + 1}),
        ("POOL/TIME_RANGE", {"expires_at": MAX_U64}),
    ],
    ids=str,
)
def test_malformed_campaigns_are_refused(world: World, error: str, change: dict[str, int]) -> None:
    world.mint(world.funder, 1000)
    world.refuses(error, world.funder, "deposit", terms=world.campaign(**change), amount=1000)


def test_a_pool_is_no_custodian(world: World) -> None:
    """Its credit could never be drawn."""
    world.mint(world.funder, 1000)
    terms = world.campaign(custodian=world.pool.address)
    world.refuses("POOL/BAD_CUSTODIAN", world.funder, "deposit", terms=terms, amount=1000)


@pytest.mark.parametrize("amount", [1, 999, 1001, 10_999])
def test_a_deposit_is_a_multiple_of_the_rate(world: World, amount: int) -> None:
    world.mint(world.funder, amount)
    world.refuses("POOL/NOT_A_MULTIPLE", world.funder, "deposit", terms=world.campaign(), amount=amount)


def test_a_campaign_takes_money_up_to_its_last_second(world: World) -> None:
    terms = world.campaign(expires_at=world.now + 10)
    world.mint(world.funder, 3000)
    world.send(world.funder, "deposit", terms=terms, amount=1000)
    world.wait(9)
    world.send(world.funder, "deposit", terms=terms, amount=1000)
    world.wait(1)
    world.refuses("POOL/CAMPAIGN_EXPIRED", world.funder, "deposit", terms=terms, amount=1000)


def test_errors_of_a_deposit_come_in_order(world: World) -> None:
    terms = world.campaign(
        pool=world.token.address,
        funder=world.partner,
        purpose=0,
        rate=0,
        custodian_bps=BPS + 1,
        expires_at=0,
    )
    amount = 0
    for error, repair in (
        ("POOL/WRONG_POOL", {}),
        ("POOL/NOT_FUNDER", {"pool": world.pool.address}),
        ("POOL/ZERO_AMOUNT", {"funder": world.funder}),
        ("POOL/BAD_PURPOSE", {"amount": MAX_U128}),
        ("POOL/ZERO_RATE", {"purpose": felt("HRESCH")}),
        ("POOL/BAD_BPS", {"rate": 2}),
        ("POOL/BAD_CUSTODIAN", {"custodian_bps": 0}),
        ("POOL/CAMPAIGN_EXPIRED", {"custodian": 0}),
        ("POOL/TIME_RANGE", {"expires_at": MAX_TIME + 1}),
        ("POOL/NOT_A_MULTIPLE", {"expires_at": MAX_TIME}),
        ("POOL/TOO_MANY_USES", {"rate": 1}),
        ("POOL/LIABILITY_CAP", {"rate": 1 << 70, "amount": 1 << 127}),
        ("TOKEN/ALLOWANCE", {"amount": 1 << 122}),
    ):
        amount = repair.pop("amount", amount)
        terms |= repair
        world.refuses(error, world.funder, "deposit", terms=terms, amount=amount)


@pytest.mark.parametrize("field", ["rate", "custodian_bps", "expires_at", "amount"])
def test_values_wider_than_their_type_are_refused(world: World, field: str) -> None:
    terms = world.campaign()
    call = world.call("deposit", terms=terms, amount=1000)
    felts = list(call.calldata)
    place, value = {
        "rate": (4, 2**128),
        "custodian_bps": (6, 2**16),
        "expires_at": (7, 2**64),
        "amount": (10, 2**128),
    }[field]
    felts[place] = value
    outcome = world.execute(world.funder, call._replace(calldata=felts))
    assert_refused(outcome, f"Failed to deserialize param #{2 if field == 'amount' else 1}")


def test_a_deposit_needs_the_money(world: World) -> None:
    terms = world.campaign()
    world.mint(world.funder, 999, approved=1000)
    world.refuses("TOKEN/BALANCE", world.funder, "deposit", terms=terms, amount=1000)
    world.mint(world.funder, 1, approved=999)
    world.refuses("TOKEN/ALLOWANCE", world.funder, "deposit", terms=terms, amount=1000)
    assert campaign(world, terms)["status"] == "None"
    assert world.read("liabilities") == left(world, terms) == 0


def test_a_deposit_takes_an_announcement_back(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 1000)
    world.send(world.funder, "announce_close", terms=terms)
    assert campaign(world, terms)["closing_at"] == world.now + CLOSE_NOTICE
    world.fund(terms, 1000)
    assert campaign(world, terms)["closing_at"] == 0
    world.wait(CLOSE_NOTICE)
    world.refuses("POOL/CLOSE_TOO_EARLY", world.funder, "close_campaign", terms=terms)


def test_a_closed_campaign_takes_no_more(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 1000)
    world.send(world.funder, "announce_close", terms=terms)
    world.wait(CLOSE_NOTICE)
    world.send(world.funder, "close_campaign", terms=terms)
    world.mint(world.funder, 1000)
    world.refuses("POOL/CAMPAIGN_CLOSED", world.funder, "deposit", terms=terms, amount=1000)
    too_many = (MAX_U64 + 1) * 1000
    world.refuses("POOL/TOO_MANY_USES", world.funder, "deposit", terms=terms, amount=too_many)


def test_a_donation_is_nobodys(world: World) -> None:
    """Tokens sent to the pool without a deposit change no book and cannot be drawn."""
    terms = world.campaign()
    world.fund(terms, 1000)
    world.send(world.stranger, "mint", world.token, recipient=world.pool.address, amount=500)
    assert world.read("liabilities") == 1000
    draw = {"amount": 1, "recipient": world.stranger, "claims": []}
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.stranger, "withdraw", **draw)


# --- the largest sums ---------------------------------------------------------------------------------------


def test_what_a_pool_owes_is_bounded(world: World) -> None:
    """At 2^123 - 1 in all, to the unit; what is drawn makes room again."""
    terms = world.campaign(rate=MAX_LIABILITIES // 2, salt=2)
    small = world.campaign(rate=1, expires_at=world.now + DAY)
    world.mint(world.funder, 2**124)
    world.send(world.funder, "deposit", terms=terms, amount=MAX_LIABILITIES - 1)
    world.refuses("POOL/LIABILITY_CAP", world.funder, "deposit", terms=small, amount=2)
    world.send(world.funder, "deposit", terms=small, amount=1)
    assert world.read("liabilities") == MAX_LIABILITIES
    world.refuses("POOL/LIABILITY_CAP", world.funder, "deposit", terms=small, amount=1)
    world.wait(DAY)
    world.send(world.funder, "close_campaign", terms=small)
    # Closing changes whose it is, not how much.
    assert world.read("liabilities") == MAX_LIABILITIES
    draw = {"amount": 1, "recipient": world.funder, "claims": []}
    world.send(world.funder, "withdraw", **draw)
    assert world.read("liabilities") == MAX_LIABILITIES - 1


@pytest.mark.parametrize("mine", [True, False])
def test_a_campaigns_uses_stay_below_2_to_the_64(world: World, mine: bool) -> None:
    terms = world.campaign(rate=1, spender=0 if mine else world.partner)
    world.mint(world.funder, 2**65)
    world.refuses("POOL/TOO_MANY_USES", world.funder, "deposit", terms=terms, amount=MAX_U64 + 1)
    world.send(world.funder, "deposit", terms=terms, amount=MAX_U64 - 1)
    world.refuses("POOL/TOO_MANY_USES", world.funder, "deposit", terms=terms, amount=2)
    world.send(world.funder, "deposit", terms=terms, amount=1)
    world.refuses("POOL/TOO_MANY_USES", world.funder, "deposit", terms=terms, amount=1)
    assert campaign(world, terms)["granted"] == MAX_U64
    assert left(world, terms) == (MAX_U64 if mine else 0)


# --- increase_allowance, decrease_allowance, revoke_allowance -----------------------------------------------


@pytest.fixture
def terms(world: World) -> dict[str, Any]:
    """A campaign of ten uses, all of them the funder's own."""
    terms = world.campaign()
    world.fund(terms, 10_000)
    return terms


def allowance(world: World, event: str, terms: dict[str, Any], uses: int, **more: int) -> Any:
    return world.raised(event, campaign=id_of(terms), accessor=world.partner, uses=uses, **more)


@pytest.mark.parametrize("uses", [1, 10])
def test_a_funder_gives_uses_to_an_accessor_and_takes_them_back(
    world: World, terms: dict[str, Any], uses: int
) -> None:
    own, partners = (budget_cell(world, id_of(terms), who) for who in (world.funder, world.partner))
    until = {"expires_at": terms["expires_at"]}
    call = {"terms": terms, "accessor": world.partner}
    receipt = world.send(world.funder, "increase_allowance", **call, uses=uses)
    assert receipt.result is None
    assert receipt.events == [allowance(world, "AllowanceIncreased", terms, uses)]
    moved = {own: {"left": 10 - uses} | until, partners: {"left": uses} | until}
    assert_changed(world, receipt.storage, moved)

    receipt = world.send(world.funder, "decrease_allowance", **call, uses=uses)
    assert receipt.result is None
    assert receipt.events == [allowance(world, "AllowanceDecreased", terms, uses, refunded=0)]
    assert_changed(world, receipt.storage, {own: {"left": 10} | until, partners: until})
    assert world.read("liabilities") == 10_000
    assert campaign(world, terms)["taken"] == 0


def test_an_allowance_adds_up_and_is_taken_back_in_parts_or_whole(
    world: World, terms: dict[str, Any]
) -> None:
    call = {"terms": terms, "accessor": world.partner}
    for uses, own in ((3, 7), (2, 5)):
        world.send(world.funder, "increase_allowance", **call, uses=uses)
        assert left(world, terms) == own
    world.send(world.funder, "decrease_allowance", **call, uses=1)
    assert (left(world, terms), left(world, terms, world.partner)) == (6, 4)
    receipt = world.send(world.funder, "revoke_allowance", **call)
    assert receipt.result == 4
    assert receipt.events == [allowance(world, "AllowanceDecreased", terms, 4, refunded=0)]
    assert (left(world, terms), left(world, terms, world.partner)) == (10, 0)
    receipt = world.send(world.funder, "revoke_allowance", **call)
    assert (receipt.result, receipt.events) == (0, [])
    assert not any(receipt.cells.values())


def test_an_accessor_cannot_make_a_revocation_fail_by_spending(world: World, terms: dict[str, Any]) -> None:
    """Less is left than the funder saw: the exact number reverts, the rest comes back all the same."""
    call = {"terms": terms, "accessor": world.partner}
    world.send(world.funder, "increase_allowance", **call, uses=3)
    world.give(world.partner, reward=terms)
    world.ask(world.partner, campaign=id_of(terms))
    world.refuses("BUDGET/TOO_FEW_USES", world.funder, "decrease_allowance", **call, uses=3)
    assert world.send(world.funder, "revoke_allowance", **call).result == 2
    # What was spent stays spent, and owed.
    assert budget(world, terms, world.partner)["paid"] == 1


def test_no_more_is_allowed_than_there_is(world: World, terms: dict[str, Any]) -> None:
    call = {"terms": terms, "accessor": world.partner}
    for uses in (11, MAX_U64):
        world.refuses("BUDGET/TOO_FEW_USES", world.funder, "increase_allowance", **call, uses=uses)
    world.refuses("BUDGET/TOO_FEW_USES", world.funder, "decrease_allowance", **call, uses=1)
    budget_cell(world, id_of(terms), world.partner).write(left=MAX_U64 - 3)
    world.refuses("BUDGET/TOO_MANY_USES", world.funder, "increase_allowance", **call, uses=4)
    world.send(world.funder, "increase_allowance", **call, uses=3)


def test_allowances_move_while_a_closing_is_announced(world: World, terms: dict[str, Any]) -> None:
    world.send(world.funder, "announce_close", terms=terms)
    call = {"terms": terms, "accessor": world.partner}
    world.send(world.funder, "increase_allowance", **call, uses=1)
    world.send(world.funder, "decrease_allowance", **call, uses=1)
    assert campaign(world, terms)["closing_at"] != 0


@pytest.mark.parametrize("function", ["increase_allowance", "decrease_allowance", "revoke_allowance"])
def test_errors_of_an_allowance_come_in_order(world: World, terms: dict[str, Any], function: str) -> None:
    bad = {"pool": world.medsync.address, "funder": world.partner, "spender": world.auditor, "salt": 9}
    arguments: dict[str, Any] = {"terms": terms | bad, "accessor": 0}
    if function != "revoke_allowance":
        arguments["uses"] = 1
    absent = "POOL/NOT_OPEN" if function == "increase_allowance" else "POOL/NOT_FUNDED"
    for error, accessor, repair in (
        ("POOL/WRONG_POOL", 0, {}),
        ("POOL/NOT_FUNDER", 0, {"pool": world.pool.address}),
        ("POOL/OTHER_SPENDER", 0, {"funder": world.funder}),
        ("POOL/BAD_ACCESSOR", 0, {"spender": 0}),
        ("POOL/BAD_ACCESSOR", world.funder, {}),
        (absent, world.partner, {}),
    ):
        arguments["terms"] = arguments["terms"] | repair
        arguments["accessor"] = accessor
        world.refuses(error, world.funder, function, **arguments)
    if function != "revoke_allowance":
        arguments |= {"terms": terms, "uses": 0}
        world.refuses("POOL/ZERO_AMOUNT", world.funder, function, **arguments)


def test_a_closed_campaigns_uses_are_taken_back_into_the_funders_credit(
    world: World, terms: dict[str, Any]
) -> None:
    """And none are given out any more."""
    call = {"terms": terms, "accessor": world.partner}
    world.send(world.funder, "increase_allowance", **call, uses=5)
    world.send(world.funder, "announce_close", terms=terms)
    world.wait(CLOSE_NOTICE)
    world.send(world.funder, "close_campaign", terms=terms)
    assert world.read("claimable", owner=world.funder) == 5000
    world.refuses("POOL/NOT_OPEN", world.funder, "increase_allowance", **call, uses=1)
    receipt = world.send(world.funder, "decrease_allowance", **call, uses=2)
    assert receipt.events == [allowance(world, "AllowanceDecreased", terms, 2, refunded=2000)]
    receipt = world.send(world.funder, "revoke_allowance", **call)
    assert receipt.result == 3
    assert receipt.events == [allowance(world, "AllowanceDecreased", terms, 3, refunded=3000)]
    assert world.read("claimable", owner=world.funder) == 10_000
    assert campaign(world, terms)["taken"] == 10
    assert world.read("liabilities") == 10_000
    draw = {"amount": 10_000, "recipient": world.funder, "claims": []}
    world.send(world.funder, "withdraw", **draw)
    assert world.read("balance_of", world.token, account=world.funder) == 10_000

"""Deposits, allowances, withdrawals and closing: every unit is a campaign's or somebody's, and leaves by
`withdraw`."""

from typing import Any

import pytest

from tests.harness.chain import Call
from tests.harness.driver import Contract, selector
from tests.harness.words import (
    BPS,
    CLOSE_NOTICE,
    DAY,
    MAX_LIFETIME_DEPOSITS,
    MAX_TIME,
    MAX_U64,
    MAX_U128,
    PURPOSES,
    felt,
)
from tests.harness.world import World, assert_refused


def mint_and_approve(world: World, owner: int, amount: int, approved: int | None = None) -> None:
    """Have the owner hold tokens, and let the pool take them."""
    outcome = world.execute(
        owner,
        world.call("mint", world.token, recipient=owner, amount=amount),
        world.call(
            "approve",
            world.token,
            spender=world.pool.address,
            amount=amount if approved is None else approved,
        ),
    )
    assert outcome.error is None, outcome.reason


def books(world: World, terms: dict[str, Any]) -> dict[str, Any]:
    """Everything the pool says about a campaign and the people around it, and the tokens behind it."""
    people = ("funder", "patient", "hospital", "stranger")
    return {
        "campaign": world.read("campaign", terms=terms),
        "liabilities": world.read("liabilities"),
        "lifetime": world.read("lifetime_deposits"),
        "balance": world.read("balance_of", world.token, account=world.pool.address),
        **{
            f"{view} {who}": world.read(view, owner=getattr(world, who))
            for view in ("claimable", "withdrawn", "accumulated")
            for who in people
        },
    }


def earn(world: World, terms: dict[str, Any], accesses: int = 1) -> None:
    """The funder's paid accesses to the patient's data."""
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    for _ in range(accesses):
        assert world.ask(world.funder, campaign=terms).result["decision"] == "Permit"


# --- constructor --------------------------------------------------------------------------------------------


def test_a_pool_knows_its_token_and_its_log(world: World) -> None:
    assert world.read("token") == world.token.address
    assert world.read("log") == world.medsync.address
    assert world.read("liabilities") == 0
    assert world.read("lifetime_deposits") == 0


@pytest.mark.parametrize(
    ("error", "token", "log"),
    [
        ("POOL/ZERO_ADDRESS", 0, "medsync"),
        ("POOL/ZERO_ADDRESS", "token", 0),
        ("POOL/NOT_A_LOG", "token", "pool"),
        ("ENTRYPOINT_NOT_FOUND", "token", "token"),
    ],
)
def test_a_pool_needs_a_token_and_a_log(world: World, error: str, token: Any, log: Any) -> None:
    arguments = [getattr(world, who).address if who else 0 for who in (token, log)]
    _, deployment = world.chain.deployment(world.chain.declared("RewardPool"), arguments)
    assert_refused(world.execute(world.relayer, deployment), error)


def test_a_log_that_denies_being_one(world: World) -> None:
    puppet = world.new_puppet()
    for felts, error in (([0], "POOL/NOT_A_LOG"), ([], "Returned data too short")):
        world.send(world.relayer, "answer", puppet, entry_point=selector("supports_interface"), felts=felts)
        arguments = [world.token.address, puppet.address]
        _, deployment = world.chain.deployment(world.chain.declared("RewardPool"), arguments)
        assert_refused(world.execute(world.relayer, deployment), error)


# --- deposit ------------------------------------------------------------------------------------------------


def test_the_first_deposit_opens_a_campaign(world: World) -> None:
    terms = world.campaign()
    mint_and_approve(world, world.funder, 5000)
    assert world.read("campaign", terms=terms)["status"] == "None"
    receipt = world.send(world.funder, "deposit", terms=terms, amount=3000)
    campaign = world.read("campaign", terms=terms)
    assert receipt.result is None
    assert receipt.events == [
        world.raised(
            "CampaignOpened",
            campaign=campaign["id"],
            funder=world.funder,
            purpose=terms["purpose"],
            terms=terms,
        ),
        world.raised("RewardDeposited", campaign=campaign["id"], funder=world.funder, amount=3000),
    ]
    assert campaign == {
        "id": campaign["id"],
        "log": world.medsync.address,
        "status": "Open",
        "remaining": 3000,
        "paid_count": 0,
        "closing_at": 0,
    }
    assert receipt.cells[world.pool.address] == 2

    receipt = world.send(world.funder, "deposit", terms=terms, amount=2000)
    assert receipt.events == [
        world.raised("RewardDeposited", campaign=campaign["id"], funder=world.funder, amount=2000)
    ]
    assert world.read("campaign", terms=terms) == campaign | {"remaining": 5000}
    assert world.read("liabilities") == world.read("lifetime_deposits") == 5000
    assert world.read("balance_of", world.token, account=world.pool.address) == 5000
    assert world.read("balance_of", world.token, account=world.funder) == 0


def test_campaigns_do_not_share_their_money(world: World) -> None:
    """Whoever has other terms has another campaign; the predecessor overwrote the pool."""
    several = [
        world.campaign(salt=salt, funder=funder)
        for salt in (1, 2)
        for funder in (world.funder, world.partner)
    ]
    for amount, terms in enumerate(several, 1):
        world.fund(terms, amount)
    assert [world.read("campaign", terms=terms)["remaining"] for terms in several] == [1, 2, 3, 4]
    assert len({world.read("campaign", terms=terms)["id"] for terms in several}) == 4
    assert world.read("liabilities") == 10


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 1},
        {"rate": MAX_U128},
        {"custodian": 0, "custodian_bps": 0},
        {"custodian_bps": 1},
        {"custodian_bps": BPS},
        {"expires_at": MAX_U64},
        {"salt": 0},
        {"salt": 2**251 + 17 * 2**192},
        *({"purpose": felt(purpose)} for purpose in PURPOSES),
    ],
    ids=str,
)
def test_widest_and_narrowest_campaigns(world: World, change: dict[str, int]) -> None:
    terms = world.campaign(**change)
    world.fund(terms, 1)
    assert world.read("campaign", terms=terms)["status"] == "Open"


def test_a_campaign_must_outlive_its_birth(world: World) -> None:
    world.fund(world.campaign(expires_at=world.now + 1), 1)
    mint_and_approve(world, world.funder, 10)
    for expires_at in (world.now, world.now - 1, 0):
        world.refuses(
            "POOL/CAMPAIGN_EXPIRED",
            world.funder,
            "deposit",
            terms=world.campaign(expires_at=expires_at),
            amount=1,
        )


def test_an_expired_campaign_takes_no_more(world: World) -> None:
    terms = world.campaign(expires_at=world.now + 10)
    world.fund(terms, 1)
    mint_and_approve(world, world.funder, 10)
    world.wait(9)
    world.send(world.funder, "deposit", terms=terms, amount=1)
    world.wait(1)
    world.refuses("POOL/CAMPAIGN_EXPIRED", world.funder, "deposit", terms=terms, amount=1)


@pytest.mark.parametrize(
    ("error", "change"),
    [
        ("POOL/BAD_PURPOSE", {"purpose": 0}),
        ("POOL/BAD_PURPOSE", {"purpose": felt("HMARKT")}),
        ("POOL/ZERO_RATE", {"rate": 0}),
        ("POOL/BAD_BPS", {"custodian_bps": BPS + 1}),
        ("POOL/BAD_BPS", {"custodian_bps": 65_535}),
        ("POOL/BAD_CUSTODIAN", {"custodian": 0}),
        ("POOL/BAD_CUSTODIAN", {"custodian_bps": 0}),
    ],
    ids=str,
)
def test_malformed_campaigns_are_refused(world: World, error: str, change: dict[str, int]) -> None:
    mint_and_approve(world, world.funder, 10)
    world.refuses(error, world.funder, "deposit", terms=world.campaign(**change), amount=1)


def test_errors_of_a_deposit_come_in_order(world: World) -> None:
    mint_and_approve(world, world.funder, 10)
    terms = world.campaign(
        pool=world.token.address, funder=world.partner, purpose=0, rate=0, custodian_bps=BPS + 1, expires_at=0
    )
    amount = 0
    for error, repair in (
        ("POOL/WRONG_POOL", {}),
        ("POOL/NOT_FUNDER", {"pool": world.pool.address}),
        ("POOL/ZERO_AMOUNT", {"funder": world.funder}),
        ("POOL/BAD_PURPOSE", {"amount": MAX_U128}),
        ("POOL/ZERO_RATE", {"purpose": felt("HRESCH")}),
        ("POOL/BAD_BPS", {"rate": 1}),
        ("POOL/BAD_CUSTODIAN", {"custodian_bps": 0}),
        ("POOL/CAMPAIGN_EXPIRED", {"custodian": 0}),
        ("POOL/DEPOSIT_CAP", {"expires_at": world.now + 1}),
        ("TOKEN/ALLOWANCE", {"amount": MAX_LIFETIME_DEPOSITS}),
    ):
        amount = repair.pop("amount", amount)
        terms |= repair
        world.refuses(error, world.funder, "deposit", terms=terms, amount=amount)


@pytest.mark.parametrize("field", ["rate", "custodian_bps", "expires_at", "amount"])
def test_values_wider_than_their_type_are_refused(world: World, field: str) -> None:
    terms = world.campaign()
    call = world.call("deposit", terms=terms, amount=1)
    felts = list(call.calldata)
    place, value = {
        "rate": (3, 2**128),
        "custodian_bps": (5, 2**16),
        "expires_at": (6, 2**64),
        "amount": (8, 2**128),
    }[field]
    felts[place] = value
    outcome = world.execute(world.funder, call._replace(calldata=felts))
    assert_refused(outcome, f"Failed to deserialize param #{2 if field == 'amount' else 1}")


def test_a_deposit_needs_the_money(world: World) -> None:
    terms = world.campaign()
    before = books(world, terms)
    mint_and_approve(world, world.funder, 9, approved=10)
    world.refuses("TOKEN/BALANCE", world.funder, "deposit", terms=terms, amount=10)
    mint_and_approve(world, world.funder, 1, approved=9)
    world.refuses("TOKEN/ALLOWANCE", world.funder, "deposit", terms=terms, amount=10)
    assert books(world, terms) == before


def test_the_cap_on_lifetime_deposits_is_exact(world: World) -> None:
    terms = world.campaign(rate=1)
    mint_and_approve(world, world.funder, 2**124)
    world.refuses("POOL/DEPOSIT_CAP", world.funder, "deposit", terms=terms, amount=MAX_LIFETIME_DEPOSITS + 1)
    world.refuses("POOL/DEPOSIT_CAP", world.funder, "deposit", terms=terms, amount=MAX_U128)
    world.send(world.funder, "deposit", terms=terms, amount=MAX_LIFETIME_DEPOSITS - 1)
    world.refuses("POOL/DEPOSIT_CAP", world.funder, "deposit", terms=terms, amount=2)
    world.send(world.funder, "deposit", terms=terms, amount=1)
    world.refuses("POOL/DEPOSIT_CAP", world.funder, "deposit", terms=terms, amount=1)
    assert world.read("lifetime_deposits") == world.read("liabilities") == MAX_LIFETIME_DEPOSITS


def test_a_full_pool_pays_out_to_the_last_unit(world: World) -> None:
    """Every sum at its largest: nothing overflows, everything can be drawn, and the cap stays reached."""
    terms = world.campaign(rate=MAX_LIFETIME_DEPOSITS, custodian_bps=3333)
    world.fund(terms, MAX_LIFETIME_DEPOSITS)
    earn(world, terms)
    custodian = MAX_LIFETIME_DEPOSITS * 3333 // BPS
    for who, share in ((world.hospital, custodian), (world.patient, MAX_LIFETIME_DEPOSITS - custodian)):
        assert world.read("claimable", owner=who) == share
        world.send(who, "withdraw", amount=share, recipient=who)
        assert world.read("withdrawn", owner=who) == share
        assert world.read("balance_of", world.token, account=who) == share
    assert world.read("liabilities") == 0
    assert world.read("lifetime_deposits") == MAX_LIFETIME_DEPOSITS
    mint_and_approve(world, world.funder, 1)
    world.refuses("POOL/DEPOSIT_CAP", world.funder, "deposit", terms=terms, amount=1)


def test_a_donation_is_nobodys(world: World) -> None:
    """Tokens sent to the pool without a deposit change no book and cannot be drawn."""
    terms = world.campaign()
    world.fund(terms, 1000)
    before = books(world, terms)
    world.send(world.stranger, "mint", world.token, recipient=world.pool.address, amount=500)
    assert books(world, terms) == before | {"balance": 1500}
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.stranger, "withdraw", amount=1, recipient=world.stranger)


# --- set_allowance ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("funded", [False, True])
@pytest.mark.parametrize("amount", [0, 1, MAX_U128])
def test_a_funder_allows_an_accessor(world: World, funded: bool, amount: int) -> None:
    terms = world.campaign()
    if funded:
        world.fund(terms, 1000)
    campaign = world.read("campaign", terms=terms)["id"]
    receipt = world.send(world.funder, "set_allowance", terms=terms, accessor=world.partner, amount=amount)
    assert receipt.result is None
    assert receipt.events == [
        world.raised("AllowanceSet", campaign=campaign, accessor=world.partner, amount=amount)
    ]
    assert receipt.cells[world.pool.address] == 1
    assert world.read("allowance", campaign=campaign, accessor=world.partner) == amount
    assert world.read("allowance", campaign=campaign, accessor=world.researcher) == 0
    assert world.read("allowance", campaign=campaign + 1, accessor=world.partner) == 0


def test_an_allowance_is_replaced_not_added_to(world: World) -> None:
    terms = world.campaign()
    campaign = world.read("campaign", terms=terms)["id"]
    for amount in (5, 3, 0, 7):
        world.send(world.funder, "set_allowance", terms=terms, accessor=world.partner, amount=amount)
        assert world.read("allowance", campaign=campaign, accessor=world.partner) == amount


def test_errors_of_an_allowance(world: World) -> None:
    terms = world.campaign()
    for error, change, accessor in (
        ("POOL/WRONG_POOL", {"pool": world.medsync.address, "funder": world.partner}, 0),
        ("POOL/NOT_FUNDER", {"funder": world.partner}, 0),
        ("POOL/ZERO_ADDRESS", {}, 0),
    ):
        world.refuses(error, world.funder, "set_allowance", terms=terms | change, accessor=accessor, amount=1)


# --- withdraw -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipient", ["patient", "stranger", "token"])
def test_an_owner_draws_its_credit_to_anyone(world: World, recipient: str) -> None:
    terms = world.campaign()
    world.fund(terms, 5000)
    earn(world, terms, accesses=2)
    to = world.token.address if recipient == "token" else getattr(world, recipient)
    before = books(world, terms)
    receipt = world.send(world.patient, "withdraw", amount=700, recipient=to)
    assert receipt.result is None
    assert receipt.events == [world.raised("RewardWithdrawn", owner=world.patient, recipient=to, amount=700)]
    assert receipt.cells[world.pool.address] == 2
    # Nothing but the owner's credit, what the pool owes and the tokens.
    assert books(world, terms) == before | {
        "claimable patient": 1100,
        "withdrawn patient": 700,
        "liabilities": 4300,
        "balance": 4300,
    }
    assert world.read("balance_of", world.token, account=to) == 700

    world.send(world.patient, "withdraw", amount=1100, recipient=to)
    assert (world.read("claimable", owner=world.patient), world.read("accumulated", owner=world.patient)) == (
        0,
        1800,
    )
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.patient, "withdraw", amount=1, recipient=to)


def test_what_cannot_be_withdrawn(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 5000)
    earn(world, terms)
    before = books(world, terms)
    for error, amount, recipient in (
        ("POOL/ZERO_AMOUNT", 0, 0),
        ("POOL/BAD_RECIPIENT", 901, 0),
        ("POOL/BAD_RECIPIENT", 901, world.pool.address),
        ("POOL/INSUFFICIENT_CREDIT", 901, world.patient),
        ("POOL/INSUFFICIENT_CREDIT", MAX_U128, world.patient),
    ):
        world.refuses(error, world.patient, "withdraw", amount=amount, recipient=recipient)
    assert books(world, terms) == before
    world.send(world.patient, "withdraw", amount=900, recipient=world.patient)


@pytest.mark.parametrize(
    "who", ["admin", "researcher", "funder", "auditor", "stranger", "delegate", "neighbour"]
)
def test_nobody_draws_what_is_anothers(world: World, who: str) -> None:
    """Repeatedly, by any caller: how the predecessor's pool was drained."""
    terms = world.campaign()
    world.fund(terms, 5000)
    earn(world, terms)
    for _ in range(2):
        world.refuses(
            "POOL/INSUFFICIENT_CREDIT",
            getattr(world, who),
            "withdraw",
            amount=1,
            recipient=getattr(world, who),
        )


@pytest.mark.parametrize("first", ["patient", "hospital", "funder"])
def test_the_order_of_withdrawals_does_not_matter(world: World, first: str) -> None:
    terms = world.campaign(expires_at=world.now + DAY)
    world.fund(terms, 2500)
    earn(world, terms, accesses=2)
    world.wait(DAY)
    world.send(world.funder, "close_campaign", terms=terms)
    for who in sorted(("patient", "hospital", "funder"), key=lambda who: who != first):
        owner = getattr(world, who)
        world.send(owner, "withdraw", amount=world.read("claimable", owner=owner), recipient=owner)
    assert [
        world.read("balance_of", world.token, account=account)
        for account in (world.patient, world.hospital, world.funder, world.pool.address)
    ] == [1800, 200, 500, 0]
    assert world.read("liabilities") == 0


def test_a_credit_outlives_everything(world: World) -> None:
    """Consent revoked, campaign closed, entity suspended, administration gone: earned is earned."""
    terms = world.campaign(expires_at=world.now + DAY)
    world.fund(terms, 1000)
    earn(world, terms)
    world.send(world.patient, "revoke_all")
    world.send(world.admin, "suspend_entity", address=world.hospital)
    world.wait(10 * DAY)
    world.send(world.funder, "close_campaign", terms=terms)
    for owner, share in ((world.patient, 900), (world.hospital, 100)):
        world.send(owner, "withdraw", amount=share, recipient=owner)


# --- announce_close, close_campaign -------------------------------------------------------------------------


def test_closing_is_announced(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 1000)
    before = world.read("campaign", terms=terms)
    closing_at = world.now + CLOSE_NOTICE
    receipt = world.send(world.funder, "announce_close", terms=terms)
    assert receipt.result is None
    assert receipt.events == [
        world.raised("CampaignCloseAnnounced", campaign=before["id"], closing_at=closing_at)
    ]
    assert receipt.cells[world.pool.address] == 1
    assert world.read("campaign", terms=terms) == before | {"closing_at": closing_at}


@pytest.mark.parametrize(("offset", "closed"), [(-1, False), (0, True), (1, True)])
@pytest.mark.parametrize("way", ["notice", "expiry"])
def test_a_campaign_is_closed_not_a_second_too_early(
    world: World, way: str, offset: int, closed: bool
) -> None:
    terms = world.campaign(expires_at=world.now + (30 if way == "notice" else 1) * DAY)
    world.fund(terms, 2500)
    earn(world, terms)
    before = world.read("campaign", terms=terms)
    if way == "notice":
        world.refuses("POOL/CLOSE_TOO_EARLY", world.funder, "close_campaign", terms=terms)
        world.send(world.funder, "announce_close", terms=terms)
        before = world.read("campaign", terms=terms)
        world.now = before["closing_at"] + offset
    else:
        world.now = terms["expires_at"] + offset
    if not closed:
        world.refuses("POOL/CLOSE_TOO_EARLY", world.funder, "close_campaign", terms=terms)
        return
    receipt = world.send(world.funder, "close_campaign", terms=terms)
    assert receipt.result is None
    assert receipt.events == [world.raised("CampaignClosed", campaign=before["id"], refunded=1500)]
    assert receipt.cells[world.pool.address] == 2
    assert world.read("campaign", terms=terms) == before | {"remaining": 0, "status": "Closed"}
    assert world.read("claimable", owner=world.funder) == 1500
    assert world.read("liabilities") == 2500


def test_announcing_again_starts_the_notice_anew(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 1000)
    world.send(world.funder, "announce_close", terms=terms)
    world.wait(CLOSE_NOTICE - 1)
    world.send(world.funder, "announce_close", terms=terms)
    world.wait(1)
    world.refuses("POOL/CLOSE_TOO_EARLY", world.funder, "close_campaign", terms=terms)
    world.wait(CLOSE_NOTICE - 1)
    world.send(world.funder, "close_campaign", terms=terms)


def test_an_announced_campaign_goes_on_paying(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 2000)
    consent = world.terms(reward=terms, expires_at=world.now + 20 * DAY)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=consent)
    world.send(world.funder, "announce_close", terms=terms)
    assert world.ask(world.funder, campaign=terms).result["decision"] == "Permit"
    world.wait(CLOSE_NOTICE)
    # Even after the notice, until it is closed.
    assert world.ask(world.funder, campaign=terms).result["decision"] == "Permit"


def test_a_deposit_does_not_take_an_announcement_back(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 1000)
    world.send(world.funder, "announce_close", terms=terms)
    closing_at = world.read("campaign", terms=terms)["closing_at"]
    world.fund(terms, 1000)
    assert world.read("campaign", terms=terms)["closing_at"] == closing_at


def test_closed_is_closed(world: World) -> None:
    terms = world.campaign(expires_at=world.now + 1)
    world.fund(terms, 1000)
    mint_and_approve(world, world.funder, 1000)
    world.send(world.funder, "announce_close", terms=terms)
    world.wait(1)
    world.send(world.funder, "close_campaign", terms=terms)
    world.refuses("POOL/NOT_OPEN", world.funder, "close_campaign", terms=terms)
    world.refuses("POOL/NOT_OPEN", world.funder, "announce_close", terms=terms)
    world.refuses("POOL/CAMPAIGN_EXPIRED", world.funder, "deposit", terms=terms, amount=1)
    assert world.read("claimable", owner=world.funder) == 1000


def test_a_campaign_closed_before_its_expiry_takes_no_deposit(world: World) -> None:
    terms = world.campaign()
    world.fund(terms, 1000)
    mint_and_approve(world, world.funder, 1000)
    world.send(world.funder, "announce_close", terms=terms)
    world.wait(CLOSE_NOTICE)
    world.send(world.funder, "close_campaign", terms=terms)
    world.refuses("POOL/CAMPAIGN_CLOSED", world.funder, "deposit", terms=terms, amount=1)


def test_closing_an_empty_campaign_credits_nobody(world: World) -> None:
    terms = world.campaign(expires_at=world.now + DAY)
    world.fund(terms, 1000)
    earn(world, terms)
    world.wait(DAY)
    receipt = world.send(world.funder, "close_campaign", terms=terms)
    campaign = world.read("campaign", terms=terms)["id"]
    assert receipt.events == [world.raised("CampaignClosed", campaign=campaign, refunded=0)]
    assert receipt.cells[world.pool.address] == 1
    assert world.read("claimable", owner=world.funder) == 0


@pytest.mark.parametrize("function", ["announce_close", "close_campaign"])
def test_what_was_never_funded_cannot_be_closed(world: World, function: str) -> None:
    terms = world.campaign()
    world.refuses("POOL/NOT_OPEN", world.funder, function, terms=terms)
    world.refuses("POOL/NOT_FUNDER", world.funder, function, terms=terms | {"funder": world.partner})
    world.refuses("POOL/WRONG_POOL", world.funder, function, terms=terms | {"pool": world.funder})


def test_the_largest_times_fit(world: World) -> None:
    """An announcement in the last second that fits a cell panics instead of wrapping; the clock is put
    back."""
    terms = world.campaign(expires_at=MAX_U64)
    world.fund(terms, 1000)
    now = world.now
    try:
        world.now = MAX_TIME - CLOSE_NOTICE
        world.send(world.funder, "announce_close", terms=terms)
        assert world.read("campaign", terms=terms)["closing_at"] == MAX_TIME
        world.now += 1
        world.refuses("PACK/RANGE", world.funder, "announce_close", terms=terms)
        assert world.read("campaign", terms=terms)["closing_at"] == MAX_TIME
    finally:
        world.chain.set_clock(now)


# --- accrue, called by a log that can say anything ----------------------------------------------------------


class Bench:
    """A pool whose log is a puppet, so that `accrue` can be called with any arguments."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.log = world.new_puppet()
        world.send(world.relayer, "answer", self.log, entry_point=selector("supports_interface"), felts=[1])
        self.pool: Contract = world.new_pool(world.token.address, self.log.address)

    def terms(self, **changes: Any) -> dict[str, Any]:
        return self.world.campaign(pool=self.pool.address, **changes)

    def accrue(self, terms: dict[str, Any], patient: int, accessor: int) -> Any:
        return self.world.send(
            self.log.address, "accrue", self.pool, terms=terms, patient=patient, accessor=accessor
        )


@pytest.fixture
def bench(world: World) -> Bench:
    return Bench(world)


def test_accrual_pays_patient_and_custodian(bench: Bench) -> None:
    world, terms = bench.world, bench.terms()
    world.fund(terms, 1500, bench.pool)
    before = world.read("campaign", bench.pool, terms=terms)
    receipt = bench.accrue(terms, world.patient, world.funder)
    assert receipt.result == "Paid"
    assert receipt.events == [
        world.raised(
            "RewardAccrued",
            bench.pool,
            campaign=before["id"],
            patient=world.patient,
            accessor=world.funder,
            custodian=world.hospital,
            patient_share=900,
            custodian_share=100,
        )
    ]
    assert receipt.cells[bench.pool.address] == 3
    assert world.read("campaign", bench.pool, terms=terms) == before | {"remaining": 500, "paid_count": 1}
    # A second one is one rate short; nothing moves.
    receipt = bench.accrue(terms, world.patient, world.funder)
    assert (receipt.result, receipt.events) == ("Unfunded", [])
    assert receipt.cells[bench.pool.address] == 0


@pytest.mark.parametrize(
    ("rate", "bps", "custodian_share"),
    [
        (1, 0, 0),
        (1, 9999, 0),
        (1, 10_000, 1),
        (9999, 1, 0),
        (10_000, 1, 1),
        (19_999, 1, 1),
        (3, 3333, 0),
        (12_345, 2500, 3086),
        (2**123 - 1, 1, (2**123 - 1) // 10_000),
        (2**123 - 1, 9999, (2**123 - 1) * 9999 // 10_000),
        (2**123 - 1, 10_000, 2**123 - 1),
    ],
)
def test_shares_are_rounded_for_the_patient(bench: Bench, rate: int, bps: int, custodian_share: int) -> None:
    world = bench.world
    terms = bench.terms(rate=rate, custodian=world.hospital if bps else 0, custodian_bps=bps)
    world.fund(terms, rate, bench.pool)
    (event,) = bench.accrue(terms, world.patient, world.funder).events
    assert (event.data["patient_share"], event.data["custodian_share"]) == (
        rate - custodian_share,
        custodian_share,
    )
    assert world.read("claimable", bench.pool, owner=world.patient) == rate - custodian_share
    if bps:
        assert world.read("claimable", bench.pool, owner=world.hospital) == custodian_share
    assert world.read("liabilities", bench.pool) == rate


@pytest.mark.parametrize("who", ["custodian", "funder"])
def test_one_person_in_two_parts(bench: Bench, who: str) -> None:
    """Patient and custodian, or patient and funder, are the same: both credits arrive."""
    world = bench.world
    patient = world.hospital if who == "custodian" else world.funder
    terms = bench.terms()
    world.fund(terms, 1000, bench.pool)
    bench.accrue(terms, patient, world.funder)
    credit = world.read("claimable", bench.pool, owner=patient)
    assert credit == (1000 if who == "custodian" else 900)


@pytest.mark.parametrize(
    ("allowance", "paid"), [(0, 0), (999, 0), (1000, 1), (1999, 1), (2000, 2), (MAX_U128, 3)]
)
def test_an_allowance_runs_down(bench: Bench, allowance: int, paid: int) -> None:
    world, terms = bench.world, bench.terms()
    world.fund(terms, 10_000, bench.pool)
    campaign = world.read("campaign", bench.pool, terms=terms)["id"]
    world.send(
        world.funder, "set_allowance", bench.pool, terms=terms, accessor=world.partner, amount=allowance
    )
    results = [bench.accrue(terms, world.patient, world.partner).result for _ in range(3)]
    assert results == ["Paid"] * paid + ["AllowanceExceeded"] * (3 - paid)
    assert (
        world.read("allowance", bench.pool, campaign=campaign, accessor=world.partner)
        == allowance - paid * 1000
    )


def test_the_funder_needs_no_allowance_and_uses_none(bench: Bench) -> None:
    world, terms = bench.world, bench.terms()
    world.fund(terms, 1000, bench.pool)
    campaign = world.read("campaign", bench.pool, terms=terms)["id"]
    world.send(world.funder, "set_allowance", bench.pool, terms=terms, accessor=world.funder, amount=5)
    assert bench.accrue(terms, world.patient, world.funder).result == "Paid"
    assert world.read("allowance", bench.pool, campaign=campaign, accessor=world.funder) == 5


def test_accrual_answers_the_first_obstacle(bench: Bench) -> None:
    """The very order of its enum: closed, expired, unfunded, allowance exceeded."""
    world = bench.world
    for obstacles, answer in (
        ({"closed", "expired", "unfunded", "allowance"}, "Closed"),
        ({"expired", "unfunded", "allowance"}, "Expired"),
        ({"unfunded", "allowance"}, "Unfunded"),
        ({"allowance"}, "AllowanceExceeded"),
        (set(), "Paid"),
    ):
        terms = bench.terms(salt=len(obstacles), expires_at=world.now + DAY)
        world.fund(terms, 1 if "unfunded" in obstacles else 1000, bench.pool)
        if "expired" in obstacles:
            world.wait(DAY)
        if "closed" in obstacles:
            world.send(world.funder, "close_campaign", bench.pool, terms=terms)
        accessor = world.partner if "allowance" in obstacles else world.funder
        receipt = bench.accrue(terms, world.patient, accessor)
        assert receipt.result == answer
        if answer != "Paid":
            assert receipt.events == []
            assert receipt.cells[bench.pool.address] == 0


@pytest.mark.parametrize(
    "change", [{}, {"rate": 0}, {"pool": 1}, {"custodian_bps": 65_535}, {"purpose": 0}], ids=str
)
def test_terms_nobody_funded_pay_nothing(bench: Bench, change: dict[str, int]) -> None:
    world = bench.world
    world.fund(bench.terms(), 1000, bench.pool)
    terms = bench.terms(salt=2) | change
    receipt = bench.accrue(terms, world.patient, world.funder)
    assert (receipt.result, receipt.events) == ("Unfunded", [])
    assert receipt.cells[bench.pool.address] == 0


@pytest.mark.parametrize(
    "who",
    [
        *("admin", "hospital", "researcher", "partner", "funder", "auditor"),
        *("suspended", "patient", "delegate", "stranger", "relayer"),
    ],
)
def test_only_its_log_has_a_pool_pay(world: World, who: str) -> None:
    terms = world.campaign()
    world.fund(terms, 1000)
    world.refuses(
        "POOL/NOT_LOG",
        getattr(world, who),
        "accrue",
        terms=terms,
        patient=world.patient,
        accessor=world.funder,
    )


def test_another_pools_log_has_it_pay_nothing(bench: Bench) -> None:
    world, terms = bench.world, bench.world.campaign()
    world.fund(terms, 1000)
    world.refuses(
        "POOL/NOT_LOG", bench.log.address, "accrue", terms=terms, patient=world.patient, accessor=world.funder
    )


def test_real_money(world: World) -> None:
    """The devnet's STRK, the token of the real network, from deposit to withdrawal."""
    strk = Contract(0x04718F5A0FC34CC1AF16A1CDEE98FFB20C31F5CD61D6AB07201858F4287C938D, world.token.abi)
    pool = world.new_pool(strk.address, world.medsync.address)
    terms = world.campaign(pool=pool.address, rate=10**18)
    outcome = world.execute(
        world.funder,
        Call(strk.address, "approve", [pool.address, 5 * 10**18, 0]),
        world.call("deposit", pool, terms=terms, amount=5 * 10**18),
    )
    assert outcome.error is None, outcome.reason
    assert world.read("balance_of", strk, account=pool.address) == 5 * 10**18
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    world.send(world.funder, "request_access", request=world.request(campaign=terms))
    before = world.read("balance_of", strk, account=world.stranger)
    world.send(world.patient, "withdraw", pool, amount=9 * 10**17, recipient=world.stranger)
    assert world.read("balance_of", strk, account=world.stranger) == before + 9 * 10**17
    assert world.read("balance_of", strk, account=pool.address) == world.read("liabilities", pool)

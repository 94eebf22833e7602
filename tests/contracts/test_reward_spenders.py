"""Campaigns that another contract spends, and credits of whoever holds a key."""

from typing import Any

import pytest

from medsync.starknet.signer import public_key_of
from tests.harness.cells import (
    assert_changed,
    credit_cell,
    funding_cell,
    key_credit_cell,
    liabilities_cell,
)
from tests.harness.driver import Contract, sign
from tests.harness.snip12 import draw_hash
from tests.harness.words import BPS, CLOSE_NOTICE, DAY, MAX_U64, MAX_U128
from tests.harness.world import World, assert_refused, id_of

HOLDER, OTHER = 0x4E7, 0x4E8
"""Private keys of people without accounts."""
KEY = public_key_of(HOLDER)


@pytest.fixture
def spender(world: World) -> Contract:
    """A contract that spends campaigns."""
    return world.new_puppet()


@pytest.fixture
def terms(world: World, spender: Contract) -> dict[str, Any]:
    """A campaign of three uses that the spender spends."""
    terms = world.campaign(spender=spender.address)
    world.fund(terms, 3000)
    return terms


def campaign(world: World, terms: dict[str, Any]) -> Any:
    return world.read("campaign", terms=terms)


def spend(world: World, terms: dict[str, Any], payee: tuple[str, int]) -> Any:
    return world.send(terms["spender"], "spend", terms=terms, payee=payee)


def draw(world: World, amount: int, nonce: int = 0, signer: int = HOLDER, **changes: Any) -> dict[str, Any]:
    """The calldata of a draw that the holder signed."""
    recipient = changes.pop("recipient", world.stranger)
    r, s = sign(draw_hash(world, KEY, amount, recipient, nonce, **changes), signer)
    return {"key": KEY, "amount": amount, "recipient": recipient, "signature_r": r, "signature_s": s}


# --- spend --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Account", "Key"])
def test_a_spender_pays_an_account_or_a_key(world: World, terms: dict[str, Any], kind: str) -> None:
    payee = (kind, world.patient if kind == "Account" else KEY)
    for spent in (1, 2):
        receipt = spend(world, terms, payee)
        assert receipt.result is None
        assert receipt.events == [
            world.raised(
                "RewardSpent",
                campaign=id_of(terms),
                spender=terms["spender"],
                payee=payee,
                payee_share=900,
                custodian_share=100,
            )
        ]
        paid = (credit_cell if kind == "Account" else key_credit_cell)(world, payee[1])
        cells = {
            funding_cell(world, id_of(terms)): {"granted": 3, "status": 1, "spent": spent},
            paid: {"claimable": 900 * spent},
            credit_cell(world, world.hospital): {"claimable": 100 * spent},
        }
        assert_changed(world, receipt.storage, cells)
    assert campaign(world, terms)["spent"] == 2
    assert world.read("liabilities") == 3000
    # It has no budgets in MedSync.
    assert world.read("budget", campaign=id_of(terms), accessor=world.funder)["left"] == 0


@pytest.mark.parametrize("bps", [0, BPS])
def test_who_gets_no_share_gets_no_cell(world: World, spender: Contract, bps: int) -> None:
    terms = world.campaign(spender=spender.address, custodian_bps=bps, custodian=world.hospital if bps else 0)
    world.fund(terms, 1000)
    receipt = spend(world, terms, ("Account", world.patient))
    paid = world.hospital if bps else world.patient
    cells = {
        funding_cell(world, id_of(terms)): {"granted": 1, "status": 1, "spent": 1},
        credit_cell(world, paid): {"claimable": 1000},
    }
    assert_changed(world, receipt.storage, cells)


def test_never_more_is_paid_out_than_was_deposited(world: World, terms: dict[str, Any]) -> None:
    """Not even while the pool holds other campaigns' money."""
    world.fund(world.campaign(salt=2), 10_000)
    for _ in range(3):
        spend(world, terms, ("Account", world.patient))
    arguments = {"terms": terms, "payee": ("Account", world.patient)}
    world.refuses("POOL/NOTHING_LEFT", terms["spender"], "spend", **arguments)
    world.fund(terms, 1000)
    spend(world, terms, ("Account", world.patient))
    assert campaign(world, terms) == {
        "id": id_of(terms),
        "status": "Open",
        "granted": 4,
        "taken": 0,
        "spent": 4,
        "closing_at": 0,
    }


@pytest.mark.parametrize(("offset", "paid"), [(-1, True), (0, False), (1, False)])
def test_a_campaign_is_spent_up_to_its_last_second(
    world: World, terms: dict[str, Any], offset: int, paid: bool
) -> None:
    world.now = terms["expires_at"] + offset
    if paid:
        spend(world, terms, ("Account", world.patient))
    else:
        arguments = {"terms": terms, "payee": ("Account", world.patient)}
        world.refuses("POOL/CAMPAIGN_EXPIRED", terms["spender"], "spend", **arguments)


def test_a_spenders_campaign_is_closed_with_what_is_left(world: World, terms: dict[str, Any]) -> None:
    spend(world, terms, ("Key", KEY))
    world.send(world.funder, "announce_close", terms=terms)
    # The notice does not stop what is there from being spent.
    spend(world, terms, ("Key", KEY))
    world.wait(CLOSE_NOTICE)
    receipt = world.send(world.funder, "close_campaign", terms=terms)
    assert receipt.events == [world.raised("CampaignClosed", campaign=id_of(terms), uses=1, refunded=1000)]
    cells = {
        funding_cell(world, id_of(terms)): {
            "granted": 3,
            "taken": 1,
            "spent": 2,
            "closing_at": world.now,
            "status": 2,
        },
        credit_cell(world, world.funder): {"claimable": 1000},
    }
    assert_changed(world, receipt.storage, cells)
    arguments = {"terms": terms, "payee": ("Key", KEY)}
    world.refuses("POOL/NOTHING_LEFT", terms["spender"], "spend", **arguments)


def test_a_spenders_campaign_has_no_allowances(world: World, terms: dict[str, Any]) -> None:
    arguments = {"terms": terms, "accessor": world.partner}
    world.refuses("POOL/OTHER_SPENDER", world.funder, "increase_allowance", **arguments, uses=1)
    world.refuses("POOL/OTHER_SPENDER", world.funder, "decrease_allowance", **arguments, uses=1)
    world.refuses("POOL/OTHER_SPENDER", world.funder, "revoke_allowance", **arguments)


def test_errors_of_spending_come_in_order(world: World, terms: dict[str, Any], spender: Contract) -> None:
    wrong = terms | {"pool": world.medsync.address, "expires_at": world.now, "salt": 9}
    steps: list[tuple[str, int, dict[str, Any]]] = [
        ("POOL/WRONG_POOL", world.stranger, {}),
        ("POOL/NOT_SPENDER", world.stranger, {"pool": world.pool.address}),
        ("POOL/CAMPAIGN_EXPIRED", spender.address, {}),
        ("POOL/NOTHING_LEFT", spender.address, {"expires_at": world.now + DAY}),
    ]
    for error, sender, repair in steps:
        wrong |= repair
        world.refuses(error, sender, "spend", terms=wrong, payee=("Account", 0))
    call = world.call("spend", terms=terms, payee=("Key", KEY))
    outcome = world.execute(spender.address, call._replace(calldata=[*call.calldata[:-2], 2, KEY]))
    assert_refused(outcome, "Failed to deserialize param #2")


@pytest.mark.parametrize("key", [0, 5])
def test_nobody_is_paid_who_could_never_draw(world: World, terms: dict[str, Any], key: int) -> None:
    """Nobody at all, the pool itself, or what is no point of the curve."""
    for payee in (("Account", 0), ("Account", world.pool.address), ("Key", key)):
        arguments = {"terms": terms, "payee": payee}
        world.refuses("POOL/BAD_PAYEE", terms["spender"], "spend", **arguments)


@pytest.mark.parametrize("who", ["admin", "funder", "hospital", "stranger"])
def test_nobody_spends_a_campaign_of_medsync(world: World, who: str) -> None:
    """Its terms name no spender, and nobody's address is zero."""
    own = world.campaign(salt=2)
    world.fund(own, 1000)
    arguments = {"terms": own, "payee": ("Account", world.stranger)}
    world.refuses("POOL/NOT_SPENDER", getattr(world, who), "spend", **arguments)


@pytest.mark.parametrize(
    ("granted", "taken", "spent", "error"),
    [
        (MAX_U64, 0, MAX_U64 - 1, None),
        (MAX_U64, 1, MAX_U64 - 1, "POOL/NOTHING_LEFT"),
        (MAX_U64, 0, MAX_U64, "POOL/NOTHING_LEFT"),
    ],
)
def test_the_count_of_what_was_spent_never_wraps(
    world: World, terms: dict[str, Any], granted: int, taken: int, spent: int, error: str | None
) -> None:
    funding_cell(world, id_of(terms)).write(granted=granted, taken=taken, spent=spent)
    arguments = {"terms": terms, "payee": ("Account", world.patient)}
    if error:
        world.refuses(error, terms["spender"], "spend", **arguments)
    else:
        world.send(terms["spender"], "spend", **arguments)
        assert campaign(world, terms)["spent"] == MAX_U64


# --- withdraw_by_key ----------------------------------------------------------------------------------------


@pytest.fixture
def credited(world: World, terms: dict[str, Any]) -> dict[str, Any]:
    """The holder of the key is owed 1,800."""
    for _ in range(2):
        spend(world, terms, ("Key", KEY))
    return terms


@pytest.mark.parametrize("who", ["relayer", "stranger", "hospital"])
def test_anyone_submits_the_draw_of_a_key(world: World, credited: dict[str, Any], who: str) -> None:
    assert world.read("key_credit", key=KEY) == {"claimable": 1800, "nonce": 0}
    for nonce, (amount, left) in enumerate(((700, 1100), (1100, 0))):
        arguments = draw(world, amount, nonce)
        receipt = world.send(getattr(world, who), "withdraw_by_key", **arguments)
        assert receipt.result is None
        assert receipt.events == [
            world.raised("KeyCreditWithdrawn", key=KEY, recipient=world.stranger, amount=amount, nonce=nonce)
        ]
        cells = {
            key_credit_cell(world, KEY): {"claimable": left, "nonce": nonce + 1},
            liabilities_cell(world): {"value": 1200 + left},
        }
        assert_changed(world, receipt.storage, cells)
        assert world.read("key_credit", key=KEY) == {"claimable": left, "nonce": nonce + 1}
    assert world.read("balance_of", world.token, account=world.stranger) == 1800
    # Never cleared, so that no signature is good twice.
    spend(world, credited, ("Key", KEY))
    assert world.read("key_credit", key=KEY) == {"claimable": 900, "nonce": 2}


def test_a_draw_is_good_once(world: World, credited: dict[str, Any]) -> None:
    arguments = draw(world, 100)
    world.send(world.relayer, "withdraw_by_key", **arguments)
    world.refuses("POOL/BAD_SIGNATURE", world.relayer, "withdraw_by_key", **arguments)


@pytest.mark.parametrize(
    "change", ["amount", "recipient", "key", "signature_r", "signature_s", "nonce", "chain", "pool", "signer"]
)
def test_a_signature_is_for_exactly_this_draw(world: World, credited: dict[str, Any], change: str) -> None:
    spend(world, credited, ("Key", public_key_of(OTHER)))
    arguments = draw(world, 100)
    if change == "nonce":
        arguments = draw(world, 100, nonce=1)
    elif change == "chain":
        arguments = draw(world, 100, chain_id=1)
    elif change == "pool":
        arguments = draw(world, 100, pool=world.medsync.address)
    elif change == "signer":
        arguments = draw(world, 100, signer=OTHER)
    elif change == "recipient":
        arguments["recipient"] = world.relayer
    elif change == "key":
        arguments["key"] = public_key_of(OTHER)
    else:
        arguments[change] += 1
    world.refuses("POOL/BAD_SIGNATURE", world.relayer, "withdraw_by_key", **arguments)
    assert world.read("key_credit", key=KEY) == {"claimable": 1800, "nonce": 0}


def test_errors_of_a_draw_come_in_order(world: World, credited: dict[str, Any]) -> None:
    arguments = {"key": KEY, "amount": 0, "recipient": 0, "signature_r": 1, "signature_s": 1}
    for error, repair in (
        ("POOL/ZERO_AMOUNT", {}),
        ("POOL/BAD_RECIPIENT", {"amount": 1801}),
        ("POOL/BAD_RECIPIENT", {"recipient": world.pool.address}),
        ("POOL/INSUFFICIENT_CREDIT", {"recipient": world.stranger}),
        ("POOL/INSUFFICIENT_CREDIT", {"amount": MAX_U128}),
        ("POOL/BAD_SIGNATURE", {"amount": 1800}),
    ):
        arguments |= repair
        world.refuses(error, world.relayer, "withdraw_by_key", **arguments)
    world.send(world.relayer, "withdraw_by_key", **draw(world, 1800))


def test_a_keys_credit_is_not_an_accounts(world: World, credited: dict[str, Any]) -> None:
    assert world.read("claimable", owner=KEY) == 0
    arguments = {"amount": 1, "recipient": world.stranger, "claims": []}
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.stranger, "withdraw", **arguments)


def test_a_key_that_was_never_paid_has_nothing(world: World) -> None:
    assert world.read("key_credit", key=KEY) == {"claimable": 0, "nonce": 0}
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.relayer, "withdraw_by_key", **draw(world, 1))

"""Settling what campaigns owe, and drawing what is credited: anyone settles, only the owner draws."""

from typing import Any

import pytest

from tests.harness.cells import (
    assert_changed,
    budget_cell,
    credit_cell,
    liabilities_cell,
    paid_uses_cell,
)
from tests.harness.words import (
    BPS,
    BROAD,
    DAY,
    HRESCH,
    MAX_CLAIMS,
    MAX_LIABILITIES,
    MAX_U128,
)
from tests.harness.world import World, id_of

STUDY = 0x57D7


def claim(world: World, terms: dict[str, Any], grantee: int | None = None) -> dict[str, Any]:
    return {"grantee": grantee or world.funder, "terms": terms}


def settle(world: World, terms: dict[str, Any], grantee: int | None = None) -> Any:
    return world.send(world.relayer, "settle", patient=world.patient, **claim(world, terms, grantee))


def earn(world: World, terms: dict[str, Any], accesses: int = 1) -> None:
    """The funder's paid accesses to the patient's data."""
    world.give(world.funder, reward=terms, study=terms["study"])
    for _ in range(accesses):
        receipt = world.ask(world.funder, campaign=id_of(terms), study=terms["study"])
        assert receipt.result["decision"] == "Permit"


def funded(world: World, **changes: Any) -> dict[str, Any]:
    terms = world.campaign(**changes)
    world.fund(terms, 10 * terms["rate"])
    return terms


def draw(world: World, owner: int, amount: int, recipient: int | None = None, **changes: Any) -> Any:
    arguments = {"amount": amount, "recipient": recipient or owner, "claims": []} | changes
    return world.send(owner, "withdraw", **arguments)


def credit(world: World, owner: int) -> tuple[int, int, int]:
    """Claimable, withdrawn, and both together, as the views say."""
    views = ("claimable", "withdrawn", "accumulated")
    claimable, withdrawn, accumulated = (world.read(view, owner=owner) for view in views)
    return claimable, withdrawn, accumulated


# --- settle -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["patient", "funder", "stranger"])
def test_anyone_settles_for_the_patient(world: World, who: str) -> None:
    terms = funded(world, study=STUDY)
    earn(world, terms, 3)
    arguments = {"patient": world.patient, "grantee": world.funder, "terms": terms}
    receipt = world.send(getattr(world, who), "settle", **arguments)
    assert receipt.result == 3
    assert receipt.events == [
        world.raised(
            "RewardSettled",
            campaign=id_of(terms),
            patient=world.patient,
            grantee=world.funder,
            study=STUDY,
            uses=3,
            share=2700,
        )
    ]
    cells = {
        paid_uses_cell(world, id_of(terms), grantee=world.funder, study=STUDY): {
            "version": 1,
            "paid": 3,
            "settled": 3,
        },
        credit_cell(world, world.patient): {"claimable": 2700},
    }
    assert_changed(world, receipt.storage, cells)
    assert world.read("liabilities") == 10_000
    # Again: nothing is owed.
    receipt = world.send(getattr(world, who), "settle", **arguments)
    assert (receipt.result, receipt.events) == (0, [])
    assert not any(receipt.cells.values())


def test_a_later_settlement_takes_the_difference(world: World) -> None:
    terms = funded(world)
    earn(world, terms, 2)
    assert settle(world, terms).result == 2
    world.ask(world.funder, campaign=id_of(terms))
    assert settle(world, terms).result == 1
    assert credit(world, world.patient) == (2700, 0, 2700)


@pytest.mark.parametrize("change", ["renewed", "other campaign", "revoked", "all revoked", "suspended"])
def test_whatever_became_of_the_consent_it_is_settled(world: World, change: str) -> None:
    terms = funded(world)
    earn(world, terms, 2)
    if change == "renewed":
        world.give(world.funder)
    elif change == "other campaign":
        earn(world, funded(world, salt=2))
    elif change == "revoked":
        withdrawal = {"grantee": world.funder, "purpose": HRESCH, "study": BROAD}
        world.send(world.patient, "revoke_consent", **withdrawal)
    elif change == "all revoked":
        world.send(world.patient, "revoke_all", dismiss_delegates=True)
    else:
        world.send(world.admin, "suspend_entity", address=world.funder)
    assert settle(world, terms).result == 2
    assert world.read("claimable", owner=world.patient) == 1800


def test_settling_names_the_consent_exactly(world: World) -> None:
    """Another grantee, patient or study owes nothing; other terms are another campaign."""
    terms = funded(world)
    earn(world, terms)
    for change in (
        {"grantee": world.researcher},
        {"patient": world.neighbour},
        {"terms": terms | {"salt": 9}},
    ):
        arguments = {"patient": world.patient, "grantee": world.funder, "terms": terms} | change
        assert world.send(world.relayer, "settle", **arguments).result == 0
    assert settle(world, terms).result == 1


def test_a_share_of_nothing_is_marked_and_credits_nobody(world: World) -> None:
    """A custodian that takes it all."""
    terms = funded(world, custodian_bps=BPS)
    earn(world, terms)
    receipt = settle(world, terms)
    assert receipt.events[0].data["share"] == 0
    cell = {"version": 1, "paid": 1, "settled": 1}
    assert_changed(world, receipt.storage, {paid_uses_cell(world, id_of(terms), grantee=world.funder): cell})


@pytest.mark.parametrize(
    ("rate", "bps", "custodian"),
    [(1, 1, 0), (1, 9999, 0), (3, 3333, 0), (3, 3334, 1), (10_001, 5000, 5000), (9_999, 9_999, 9998)],
)
def test_each_use_is_split_on_its_own(world: World, rate: int, bps: int, custodian: int) -> None:
    """The custodian's share is rounded down once for each use, however many are settled at once."""
    terms = funded(world, rate=rate, custodian_bps=bps)
    earn(world, terms, 3)
    settle(world, terms)
    custodians = {"terms": terms, "accessor": world.funder}
    world.send(world.relayer, "settle_custodian", **custodians)
    assert world.read("claimable", owner=world.patient) == 3 * (rate - custodian)
    assert world.read("claimable", owner=world.hospital) == 3 * custodian


# --- settle_custodian ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["hospital", "funder", "stranger"])
def test_anyone_settles_for_the_custodian(world: World, who: str) -> None:
    """All uses of an accessor at once, whoever the patients are."""
    terms = funded(world)
    earn(world, terms, 2)
    world.send(world.neighbour, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    world.ask(world.funder, patient=world.neighbour, campaign=id_of(terms))
    arguments = {"terms": terms, "accessor": world.funder}
    receipt = world.send(getattr(world, who), "settle_custodian", **arguments)
    assert receipt.result == 3
    assert receipt.events == [
        world.raised(
            "CustodianSettled",
            campaign=id_of(terms),
            custodian=world.hospital,
            accessor=world.funder,
            uses=3,
            share=300,
        )
    ]
    cells = {
        budget_cell(world, id_of(terms), world.funder): {
            "left": 7,
            "paid": 3,
            "expires_at": terms["expires_at"],
            "custodian_settled": 3,
        },
        credit_cell(world, world.hospital): {"claimable": 300},
    }
    assert_changed(world, receipt.storage, cells)
    receipt = world.send(world.relayer, "settle_custodian", **arguments)
    assert (receipt.result, receipt.events) == (0, [])
    assert not any(receipt.cells.values())


def test_a_campaign_without_custodian_owes_none(world: World) -> None:
    terms = funded(world, custodian=0, custodian_bps=0)
    earn(world, terms)
    arguments = {"terms": terms, "accessor": world.funder}
    world.refuses("POOL/NO_CUSTODIAN", world.relayer, "settle_custodian", **arguments)
    settle(world, terms)
    assert world.read("claimable", owner=world.patient) == 1000


@pytest.mark.parametrize("function", ["settle", "settle_custodian", "withdraw"])
def test_a_pool_settles_its_own_campaigns_only(world: World, function: str) -> None:
    """What another pool owes is not credited here."""
    foreign = world.campaign(pool=world.new_pool().address, custodian=0)
    arguments: dict[str, Any] = {
        "settle": {"patient": world.patient} | claim(world, foreign),
        "settle_custodian": {"terms": foreign, "accessor": world.funder},
        "withdraw": {"amount": 0, "recipient": 0, "claims": [claim(world, foreign)]},
    }[function]
    world.refuses("POOL/WRONG_POOL", world.patient, function, **arguments)


# --- unsettled ----------------------------------------------------------------------------------------------


def test_what_is_owed_and_not_settled_is_answered(world: World) -> None:
    terms, other = funded(world), funded(world, salt=2, rate=10, custodian=0, custodian_bps=0)
    never = world.campaign(salt=3)
    earn(world, terms, 2)
    earn(world, other, 1)
    claims = [claim(world, one) for one in (terms, other, never)]
    view = {"patient": world.patient, "claims": claims}
    assert world.read("unsettled", **view) == 1810
    settle(world, terms)
    assert world.read("unsettled", **view) == 10
    assert world.read("unsettled", patient=world.neighbour, claims=claims) == 0
    assert world.read("unsettled", patient=world.patient, claims=[]) == 0
    # Whatever another pool owes is not answered here.
    foreign = claim(world, terms | {"pool": world.medsync.address})
    arguments = {"patient": world.patient, "claims": [*claims, foreign]}
    world.refuses("POOL/WRONG_POOL", world.stranger, "unsettled", **arguments)
    # Terms that no campaign can have owe nothing, and hide no other's.
    impossible = claim(world, terms | {"custodian_bps": 10_001, "rate": 2**128 - 1})
    assert world.read("unsettled", patient=world.patient, claims=[impossible, *claims]) == 10
    # `accumulated` counts what is settled; the two together are all that was earned.
    assert credit(world, world.patient) == (1800, 0, 1800)


# --- withdraw -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipient", ["patient", "stranger", "token"])
def test_an_owner_draws_its_credit_to_anyone(world: World, recipient: str) -> None:
    terms = funded(world)
    earn(world, terms, 2)
    settle(world, terms)
    to = world.token.address if recipient == "token" else getattr(world, recipient)
    receipt = draw(world, world.patient, 700, to)
    assert receipt.result is None
    assert receipt.events == [world.raised("RewardWithdrawn", owner=world.patient, recipient=to, amount=700)]
    cells = {
        credit_cell(world, world.patient): {"claimable": 1100, "withdrawn": 700},
        liabilities_cell(world): {"value": 9300},
    }
    assert_changed(world, receipt.storage, cells)
    assert world.read("balance_of", world.token, account=to) == 700
    assert world.read("balance_of", world.token, account=world.pool.address) == 9300

    receipt = draw(world, world.patient, 1100, to)
    # Drawn to the last unit, and not cleared.
    cell = credit_cell(world, world.patient)
    assert receipt.storage[world.pool.address][cell.address] == cell.layout.pack(withdrawn=1800)
    assert credit(world, world.patient) == (0, 1800, 1800)
    arguments = {"amount": 1, "recipient": to, "claims": []}
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.patient, "withdraw", **arguments)


def test_a_withdrawal_settles_the_callers_claims_first(world: World) -> None:
    terms, other = funded(world), funded(world, salt=2)
    earn(world, terms, 2)
    earn(world, other, 1)
    claims = [claim(world, terms), claim(world, other), claim(world, terms)]
    receipt = draw(world, world.patient, 2700, claims=claims)
    assert [event.name for event in receipt.events] == [
        "RewardSettled",
        "RewardSettled",
        "RewardWithdrawn",
    ]
    assert [event.data["uses"] for event in receipt.events[:2]] == [2, 1]
    assert credit(world, world.patient) == (0, 2700, 2700)
    # A claim that owes nothing, or nothing more, is no error; somebody else's is not the caller's.
    arguments = {"amount": 1, "recipient": world.neighbour, "claims": claims}
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.neighbour, "withdraw", **arguments)


@pytest.mark.parametrize(("number", "accepted"), [(MAX_CLAIMS, True), (MAX_CLAIMS + 1, False)])
def test_a_withdrawal_settles_up_to_50_claims(world: World, number: int, accepted: bool) -> None:
    terms = funded(world)
    earn(world, terms)
    arguments = {
        "amount": 900,
        "recipient": world.patient,
        "claims": [claim(world, terms)] * number,
    }
    if accepted:
        world.send(world.patient, "withdraw", **arguments)
    else:
        world.refuses("POOL/TOO_MANY_CLAIMS", world.patient, "withdraw", **arguments)


def test_errors_of_a_withdrawal_come_in_order(world: World) -> None:
    terms = funded(world)
    earn(world, terms)
    wrong = claim(world, terms | {"pool": world.medsync.address})
    arguments: dict[str, Any] = {"amount": 0, "recipient": 0, "claims": [wrong] * (MAX_CLAIMS + 1)}
    for error, repair in (
        ("POOL/TOO_MANY_CLAIMS", {}),
        ("POOL/WRONG_POOL", {"claims": [claim(world, terms), wrong]}),
        ("POOL/ZERO_AMOUNT", {"claims": [claim(world, terms)]}),
        ("POOL/BAD_RECIPIENT", {"amount": 901}),
        ("POOL/BAD_RECIPIENT", {"recipient": world.pool.address}),
        ("POOL/INSUFFICIENT_CREDIT", {"recipient": world.patient}),
        ("POOL/INSUFFICIENT_CREDIT", {"amount": MAX_U128}),
    ):
        arguments |= repair
        world.refuses(error, world.patient, "withdraw", **arguments)
    # A withdrawal that fails settles nothing either.
    assert world.read("claimable", owner=world.patient) == 0
    world.send(world.patient, "withdraw", **arguments | {"amount": 900})


@pytest.mark.parametrize("who", ["admin", "researcher", "funder", "stranger", "delegate", "neighbour"])
def test_nobody_draws_what_is_anothers(world: World, who: str) -> None:
    """Repeatedly, by any caller: how the predecessor's pool was drained."""
    terms = funded(world)
    earn(world, terms)
    settle(world, terms)
    caller = getattr(world, who)
    for claims in ([], [claim(world, terms)]):
        arguments = {"amount": 1, "recipient": caller, "claims": claims}
        world.refuses("POOL/INSUFFICIENT_CREDIT", caller, "withdraw", **arguments)


@pytest.mark.parametrize("first", ["patient", "hospital", "funder"])
def test_the_order_of_withdrawals_does_not_matter(world: World, first: str) -> None:
    terms = funded(world, expires_at=world.now + DAY)
    earn(world, terms, 2)
    settle(world, terms)
    world.send(world.relayer, "settle_custodian", terms=terms, accessor=world.funder)
    world.wait(DAY)
    world.send(world.funder, "close_campaign", terms=terms)
    for who in sorted(("patient", "hospital", "funder"), key=lambda who: who != first):
        owner = getattr(world, who)
        draw(world, owner, world.read("claimable", owner=owner))
    assert [
        world.read("balance_of", world.token, account=account)
        for account in (world.patient, world.hospital, world.funder, world.pool.address)
    ] == [1800, 200, 8000, 0]
    assert world.read("liabilities") == 0


# --- the largest sums ---------------------------------------------------------------------------------------


def test_a_full_pool_pays_out_to_the_last_unit(world: World) -> None:
    """Every sum at its largest: nothing overflows, and everything can be drawn."""
    terms = world.campaign(rate=MAX_LIABILITIES, custodian_bps=3333)
    world.fund(terms, MAX_LIABILITIES)
    earn(world, terms)
    settle(world, terms)
    world.send(world.relayer, "settle_custodian", terms=terms, accessor=world.funder)
    custodian = MAX_LIABILITIES * 3333 // BPS
    for who, share in ((world.hospital, custodian), (world.patient, MAX_LIABILITIES - custodian)):
        assert credit(world, who) == (share, 0, share)
        draw(world, who, share)
        assert credit(world, who) == (0, share, share)
        assert world.read("balance_of", world.token, account=who) == share
    assert world.read("liabilities") == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (0, 900),
        (MAX_LIABILITIES - 901, MAX_LIABILITIES - 1),
        (MAX_LIABILITIES - 900, MAX_LIABILITIES),
        (MAX_LIABILITIES - 899, MAX_LIABILITIES),
        (MAX_LIABILITIES, MAX_LIABILITIES),
    ],
)
def test_a_credit_can_be_drawn_for_ever(world: World, before: int, after: int) -> None:
    """What was withdrawn is counted up to the last value that fits, and no draw fails for it."""
    terms = funded(world)
    earn(world, terms)
    settle(world, terms)
    credit_cell(world, world.patient).write(withdrawn=before)
    draw(world, world.patient, 900)
    assert credit(world, world.patient) == (0, after, after)

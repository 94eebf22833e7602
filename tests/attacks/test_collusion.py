"""Those who should watch each other, together: accessor, custodian, patient and funder in any company.

A campaign's money leaves it by `rate` for each request that was permitted and logged, to the patient and the
custodian whom its terms name, and only out of the budgets that the funder gave to accessors. So whoever
colludes takes no more than the funder put into these hands.
"""

import random
from typing import Any

import pytest

from tests.attacks.books import Books
from tests.harness.words import CLOSE_NOTICE, DAY, EMERGENCY_DELAY, HRESCH
from tests.harness.world import World, id_of


@pytest.fixture
def terms(world: World) -> dict[str, Any]:
    """A campaign of 100 uses that pays 1,000 for each access, a tenth to the hospital."""
    terms = world.campaign()
    world.fund(terms, 100_000)
    return terms


def settle(world: World, terms: dict[str, Any], patient: int, *accessors: int) -> None:
    """Have a stranger credit everybody whom these accessors' uses owe something."""
    for accessor in accessors:
        world.send(world.stranger, "settle", patient=patient, grantee=accessor, terms=terms)
        if terms["custodian"]:
            world.send(world.stranger, "settle_custodian", terms=terms, accessor=accessor)


def credit(world: World, *owners: int) -> int:
    return sum(world.read("claimable", owner=owner) for owner in owners)


def consent(world: World, patient: int, grantee: int, terms: dict[str, Any] | None, **changes: Any) -> None:
    world.send(patient, "add_consent", grantee=grantee, terms=world.terms(reward=terms, **changes))


@pytest.mark.parametrize("patients", [1, 5])
def test_an_accessor_with_invented_patients(world: World, terms: dict[str, Any], patients: int) -> None:
    """Patients are addresses, and an accessor can have as many as it likes. It gets the uses that the funder
    gave it, and not one more, however many patients it spreads them over."""
    world.allow(terms, world.partner, 2)
    people = [world.neighbour, world.stranger, world.relayer, world.delegate, world.successor][:patients]
    for patient in people:
        consent(world, patient, world.partner, terms)
    subjects = [(patient, 0) for patient in people] * (10 // patients)
    batch = world.batch(*subjects, campaign=id_of(terms))
    receipt = world.send(world.partner, "request_access_batch", **batch)
    assert [answer["reason"] for answer in receipt.result] == ["Granted"] * 2 + ["RewardUnfunded"] * 8
    for patient in people:
        settle(world, terms, patient, world.partner)
    assert credit(world, *people, world.hospital) == 2000
    assert world.read("budget", campaign=id_of(terms), accessor=world.funder)["left"] == 98


def test_an_accessor_and_a_patient_who_renews(world: World, terms: dict[str, Any]) -> None:
    """Each renewal counts uses from zero, so the patient's limit does not protect the funder, and need not:
    the budget does."""
    world.allow(terms, world.partner, 2)
    said = []
    for _ in range(4):
        consent(world, world.patient, world.partner, terms, max_uses=1)
        said.append(world.ask(world.partner, campaign=id_of(terms)).result["reason"])
    assert said == ["Granted", "Granted", "RewardUnfunded", "RewardUnfunded"]
    settle(world, terms, world.patient, world.partner)
    assert credit(world, world.patient, world.hospital) == 2000


def test_a_patient_and_a_grantee_who_change_campaigns(world: World) -> None:
    """Uses that a cheap campaign permitted are to be paid by a dear one: the consent is renewed for the
    other, and back, and withdrawn, with settlements by anybody at every moment. Each use is paid by the
    campaign that permitted it, at its price, once."""
    cheap = world.campaign(rate=7, custodian=0, custodian_bps=0, salt=2)
    dear = world.campaign(rate=1000, custodian=world.hospital, custodian_bps=2500, salt=3)
    for campaign, uses in ((cheap, 50), (dear, 20)):
        world.fund(campaign, campaign["rate"] * uses)
        world.allow(campaign, world.partner, uses)
    people = (world.patient, world.hospital, world.funder, world.partner)
    accessors = (world.funder, world.partner)
    books = Books(world, world.pool, world.token, [cheap, dear], [world.patient], accessors, people)

    used = {7: 0, 1000: 0}
    plan = ((cheap, 3), (dear, 1), (cheap, 2), (None, 2), (dear, 2), (dear, 1), (cheap, 1))
    for step, (campaign, uses) in enumerate(plan):
        consent(world, world.patient, world.partner, campaign)
        for other in (cheap, dear, None):
            # Neither the other campaign nor none is an answer to what the consent names.
            if other is not campaign:
                asked = world.ask(world.partner, campaign=id_of(other) if other else 0)
                assert asked.result["reason"] == "CampaignMismatch"
        for _ in range(uses):
            asked = world.ask(world.partner, campaign=id_of(campaign) if campaign else 0)
            assert asked.result["decision"] == "Permit"
            if campaign:
                used[campaign["rate"]] += 1
        if step in (2, 4):
            settle(world, dear, world.patient, world.partner)
        if step == 3:
            world.send(world.patient, "revoke_consent", grantee=world.partner, purpose=HRESCH, study=0)
        books.check()
    world.send(world.patient, "revoke_all", dismiss_delegates=True)
    for campaign in (dear, cheap, dear, cheap):
        settle(world, campaign, world.patient, world.partner)
        books.check()
    assert credit(world, world.patient) == 7 * used[7] + 750 * used[1000] == 7 * 6 + 750 * 4
    assert credit(world, world.hospital) == 250 * used[1000]


def test_settling_again_and_again(world: World, terms: dict[str, Any]) -> None:
    """By whomever, in whatever order: what is settled once is settled."""
    consent(world, world.patient, world.funder, terms)
    for _ in range(3):
        world.ask(world.funder, campaign=id_of(terms))
    first = world.send(world.stranger, "settle", patient=world.patient, grantee=world.funder, terms=terms)
    assert first.result == 3
    claim = {"grantee": world.funder, "terms": terms}
    for who in (world.stranger, world.patient, world.funder, world.hospital):
        again = world.send(who, "settle", patient=world.patient, grantee=world.funder, terms=terms)
        assert (again.result, again.events, sum(again.cells.values())) == (0, [], 0)
    # Several claims for the same uses in one withdrawal are one.
    world.ask(world.funder, campaign=id_of(terms))
    draw = {"amount": 3600, "recipient": world.patient, "claims": [claim] * 50}
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.patient, "withdraw", **draw | {"amount": 3601})
    world.send(world.patient, "withdraw", **draw)
    world.refuses("POOL/TOO_MANY_CLAIMS", world.patient, "withdraw", **draw | {"claims": [claim] * 51})
    assert world.read("accumulated", owner=world.patient) == 3600


def test_claims_of_somebody_else(world: World, terms: dict[str, Any]) -> None:
    """Claims in a withdrawal are the caller's own: whoever names the patient's consents settles nothing."""
    consent(world, world.patient, world.funder, terms)
    world.ask(world.funder, campaign=id_of(terms))
    claims = [{"grantee": world.funder, "terms": terms}]
    for who in (world.stranger, world.funder, world.hospital):
        draw = {"amount": 1, "recipient": who, "claims": claims}
        world.refuses("POOL/INSUFFICIENT_CREDIT", who, "withdraw", **draw)
    unsettled = world.read("unsettled", patient=world.patient, claims=claims)
    assert unsettled == 900
    assert world.read("unsettled", patient=world.stranger, claims=claims) == 0


def test_an_accessor_and_a_patient_without_the_funder(world: World, terms: dict[str, Any]) -> None:
    """A consent cannot name a campaign that gave its grantee nothing; nor can the two give it something."""
    reward = world.terms(reward=terms)
    world.refuses(
        "CONSENT/CAMPAIGN_UNFUNDED", world.patient, "add_consent", grantee=world.researcher, terms=reward
    )
    for who in (world.researcher, world.patient):
        for function in ("increase_allowance", "decrease_allowance"):
            move = {"terms": terms, "accessor": world.researcher, "uses": 1}
            world.refuses("POOL/NOT_FUNDER", who, function, **move)
    world.give()
    assert world.ask(campaign=id_of(terms)).result["reason"] == "CampaignMismatch"
    settle(world, terms, world.patient, world.researcher)
    assert credit(world, world.patient, world.researcher, world.hospital) == 0


@pytest.mark.parametrize("who", ["hospital", "patient"])
def test_a_custodian_and_a_patient_without_an_accessor(world: World, terms: dict[str, Any], who: str) -> None:
    """Nothing is earned but by a request of an accessor that has a budget: they cannot move budgets or count
    uses, the custodian's own request is nobody's to pay, and an emergency pays nobody."""
    caller = getattr(world, who)
    for function, arguments in (
        ("grant_budget", {"accessor": world.hospital, "uses": 1}),
        ("take_budget", {"accessor": world.funder, "uses": 1}),
        ("take_unsettled", {"patient": world.patient, "grantee": world.hospital}),
        ("take_custodian_unsettled", {"accessor": world.hospital}),
    ):
        world.refuses("BUDGET/NOT_POOL", caller, function, terms=terms, **arguments)
    world.give(world.hospital)
    assert world.ask(world.hospital).result["decision"] == "Permit"
    world.wait(EMERGENCY_DELAY)
    emergency = {"patient": world.patient, "categories": 1, "record": 0}
    assert (
        world.send(world.hospital, "request_emergency_access", **emergency).result["decision"] == "Emergency"
    )
    settle(world, terms, world.patient, world.hospital, world.funder)
    assert credit(world, world.patient, world.hospital) == 0


@pytest.mark.parametrize(
    ("custodian", "share", "left"),
    [("patient", 2500, 1000), ("partner", 2500, 750), ("funder", 10_000, 0), ("hospital", 1, 1000)],
)
def test_a_custodian_who_is_somebody_else(world: World, custodian: str, share: int, left: int) -> None:
    """The terms name whom they like, and the patient agreed to them: itself, the accessor, the funder. Both
    shares together are the rate, to the unit, whoever they go to."""
    holder = getattr(world, custodian)
    terms = world.campaign(custodian=holder, custodian_bps=share, salt=9)
    world.fund(terms, 10_000)
    world.allow(terms, world.partner, 1)
    consent(world, world.patient, world.partner, terms)
    assert world.ask(world.partner, campaign=id_of(terms)).result["decision"] == "Permit"
    settle(world, terms, world.patient, world.partner)
    assert credit(world, world.patient) == left
    assert credit(world, *{world.patient, holder}) == 1000
    assert world.read("liabilities") == 10_000


def test_a_funder_who_pays_itself(world: World) -> None:
    """With patients of its own it moves its money from one pocket to the other: what comes out is what went
    in, and the count of paid accesses is evidence of nothing."""
    terms = world.campaign(custodian=world.funder, custodian_bps=5000)
    world.fund(terms, 5000)
    consent(world, world.stranger, world.funder, terms, expires_at=world.now + 60 * DAY)
    for _ in range(5):
        asked = world.ask(world.funder, patient=world.stranger, campaign=id_of(terms))
        assert asked.result["decision"] == "Permit"
    world.wait(30 * DAY)
    world.send(world.funder, "close_campaign", terms=terms)
    settle(world, terms, world.stranger, world.funder)
    for owner in (world.funder, world.stranger):
        world.send(owner, "withdraw", amount=2500, recipient=world.funder, claims=[])
    assert world.read("balance_of", world.token, account=world.funder) == 5000
    assert world.read("liabilities") == 0


def test_a_funder_and_an_accessor_against_the_patient(world: World, terms: dict[str, Any]) -> None:
    """They take everything back after the patient consented: then there is no access either. What was
    permitted is the patient's, settled or not, and whoever is faster."""
    world.allow(terms, world.partner, 3)
    consent(world, world.patient, world.partner, terms, expires_at=world.now + 60 * DAY)
    assert world.ask(world.partner, campaign=id_of(terms)).result["decision"] == "Permit"
    world.send(world.funder, "announce_close", terms=terms)
    world.wait(CLOSE_NOTICE)
    outcome = world.execute(
        world.funder,
        world.call("revoke_allowance", terms=terms, accessor=world.partner),
        world.call("close_campaign", terms=terms),
        world.call("withdraw", amount=99_000, recipient=world.funder, claims=[]),
    )
    assert outcome.error is None, outcome.reason
    world.refuses(
        "POOL/INSUFFICIENT_CREDIT", world.funder, "withdraw", amount=1, recipient=world.funder, claims=[]
    )
    assert world.ask(world.partner, campaign=id_of(terms)).result["reason"] == "RewardUnfunded"
    claims = [{"grantee": world.partner, "terms": terms}]
    world.send(world.patient, "withdraw", amount=900, recipient=world.patient, claims=claims)
    world.send(world.stranger, "settle_custodian", terms=terms, accessor=world.partner)
    world.send(world.hospital, "withdraw", amount=100, recipient=world.hospital, claims=[])
    assert world.read("balance_of", world.token, account=world.pool.address) == 0
    assert world.read("liabilities") == 0


def test_everybody_at_once(world: World) -> None:
    """Two campaigns, two accessors, two patients who renew, narrow and withdraw; a funder who gives, takes,
    closes; strangers who settle: after every act the pool owes exactly what there is to owe, and holds it.
    In the end everybody draws everything, and nothing is left."""
    chance = random.Random(1)
    cheap = world.campaign(rate=7, custodian=world.funder, custodian_bps=3333, salt=2)
    dear = world.campaign(rate=1000, salt=3)
    campaigns, accessors = [cheap, dear], [world.funder, world.partner]
    patients = [world.patient, world.neighbour]
    owners = [*patients, world.funder, world.hospital]
    books = Books(world, world.pool, world.token, campaigns, patients, accessors, owners)
    paid_in = 0
    for campaign in campaigns:
        world.fund(campaign, campaign["rate"] * 20)
        world.allow(campaign, world.partner, 8)
        paid_in += campaign["rate"] * 20

    def some(function: str, sender: int, **arguments: Any) -> bool:
        """An act that may fail: then it changes nothing."""
        outcome = world.execute(sender, world.call(function, **arguments))
        assert outcome.error is None or not any(outcome.cells.values())
        return outcome.error is None

    done: dict[str, int] = {}
    for _ in range(40):
        campaign, patient, accessor = (chance.choice(part) for part in (campaigns, patients, accessors))
        reward = chance.choice([campaign, campaign, campaign, None])
        give = {
            "grantee": accessor,
            "terms": world.terms(reward=reward, max_uses=chance.choice([0, 0, 2])),
        }
        move = {"terms": campaign, "accessor": world.partner}
        batch = world.batch(*[(one, 0) for one in patients * 2], campaign=id_of(campaign))
        act, sender, arguments = chance.choice(
            [
                *[("add_consent", patient, give)] * 4,
                *[("request_access_batch", accessor, batch)] * 4,
                ("revoke_consent", patient, {"grantee": accessor, "purpose": HRESCH, "study": 0}),
                ("revoke_all", patient, {"dismiss_delegates": False}),
                ("settle", world.stranger, {"patient": patient, "grantee": accessor, "terms": campaign}),
                ("settle_custodian", world.stranger, {"terms": campaign, "accessor": accessor}),
                ("increase_allowance", world.funder, move | {"uses": chance.randint(1, 3)}),
                ("decrease_allowance", world.funder, move | {"uses": chance.randint(1, 3)}),
                ("revoke_allowance", world.funder, move),
                ("announce_close", world.funder, {"terms": campaign}),
                ("close_campaign", world.funder, {"terms": campaign}),
            ]
        )
        done[act] = done.get(act, 0) + some(act, sender, **arguments)
        world.wait(chance.choice([0, 0, 0, DAY]))
        books.check()
    assert all(done[act] for act in ("request_access_batch", "add_consent", "settle", "announce_close"))

    world.wait(30 * DAY)
    for campaign in campaigns:
        some("close_campaign", world.funder, terms=campaign)
        world.send(world.funder, "revoke_allowance", terms=campaign, accessor=world.partner)
        for patient in patients:
            settle(world, campaign, patient, *accessors)
    drawn = 0
    for owner in owners:
        amount = world.read("claimable", owner=owner)
        if amount:
            world.send(owner, "withdraw", amount=amount, recipient=world.stranger, claims=[])
        drawn += amount
    assert books.check() == 0
    assert drawn == paid_in

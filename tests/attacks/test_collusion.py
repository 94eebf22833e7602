"""Those who should watch each other, together: accessor, custodian, patient and funder in any company.

A campaign's money leaves it by `rate` for each request that was permitted and logged, to the patient and the
custodian whom its terms name, and only for accessors that the funder allowed, up to what it allowed. So
whoever colludes takes no more than the funder put into these hands.
"""

from typing import Any

import pytest

from tests.harness.words import DAY, MAX_U128, felt
from tests.harness.world import World

HRESCH = felt("HRESCH")


def credit(world: World, *owners: int) -> int:
    return sum(world.read("claimable", owner=owner) for owner in owners)


@pytest.fixture
def terms(world: World) -> dict[str, Any]:
    """A campaign of 100,000 that pays 1,000 for each access, a tenth to the hospital."""
    terms = world.campaign()
    world.fund(terms, 100_000)
    return terms


def consent(world: World, patient: int, grantee: int, terms: dict[str, Any], **changes: Any) -> None:
    world.send(patient, "add_consent", grantee=grantee, terms=world.terms(reward=terms, **changes))


@pytest.mark.parametrize("patients", [1, 5])
def test_an_accessor_with_invented_patients(world: World, terms: dict[str, Any], patients: int) -> None:
    """Patients are addresses, and an accessor can have as many as it likes. It gets what the funder allowed
    it to spend, and not one request more, however many patients it spreads them over."""
    world.send(world.funder, "set_allowance", terms=terms, accessor=world.partner, amount=2999)
    people = [world.neighbour, world.stranger, world.relayer, world.delegate, world.successor][:patients]
    for patient in people:
        consent(world, patient, world.partner, terms)
    requests = [world.request(patient=patient, campaign=terms) for patient in people] * (10 // patients)
    receipt = world.send(world.partner, "request_access_batch", requests=requests)
    assert [answer["reason"] for answer in receipt.result] == ["Granted"] * 2 + ["AllowanceExceeded"] * 8
    assert credit(world, *people, world.hospital) == 2000
    assert world.read("campaign", terms=terms)["remaining"] == 98_000


def test_an_accessor_and_a_patient_who_renews(world: World, terms: dict[str, Any]) -> None:
    """Each renewal counts uses from zero, so the patient's limit does not protect the funder, and need not:
    the allowance does."""
    world.send(world.funder, "set_allowance", terms=terms, accessor=world.partner, amount=2000)
    said = []
    for _ in range(4):
        consent(world, world.patient, world.partner, terms, max_uses=1)
        said.append(world.ask(world.partner, campaign=terms).result["reason"])
    assert said == ["Granted", "Granted", "AllowanceExceeded", "AllowanceExceeded"]
    assert credit(world, world.patient, world.hospital) == 2000


def test_an_accessor_and_a_patient_without_the_funder(world: World, terms: dict[str, Any]) -> None:
    """A consent that names a campaign opens no purse: nor can the two allow themselves to."""
    consent(world, world.patient, world.researcher, terms)
    for who in (world.researcher, world.patient):
        allow = {"terms": terms, "accessor": world.researcher, "amount": MAX_U128}
        world.refuses("POOL/NOT_FUNDER", who, "set_allowance", **allow)
    assert world.ask(campaign=terms).result["reason"] == "AllowanceExceeded"
    assert credit(world, world.patient, world.researcher, world.hospital) == 0


@pytest.mark.parametrize("who", ["hospital", "patient"])
def test_a_custodian_and_a_patient_without_an_accessor(world: World, terms: dict[str, Any], who: str) -> None:
    """Nothing is earned but by a request of an accessor that may spend: they cannot have the pool pay, and
    the custodian's own request is nobody's whom the funder allowed."""
    consent(world, world.patient, world.hospital, terms)
    caller = getattr(world, who)
    accrual = {"terms": terms, "patient": world.patient, "accessor": world.funder}
    world.refuses("POOL/NOT_LOG", caller, "accrue", **accrual)
    assert world.ask(world.hospital, campaign=terms).result["reason"] == "AllowanceExceeded"
    # An emergency is logged, and pays nobody.
    world.send(
        world.hospital,
        "request_emergency_access",
        patient=world.patient,
        categories=1,
        record=0,
        justification_commitment=1,
    )
    assert credit(world, world.patient, world.hospital) == 0


def test_one_access_is_paid_once(world: World, terms: dict[str, Any]) -> None:
    """The patient withdraws, gives anew, revokes everything, the funder asks again: each payment is one entry
    of the log, each entry at most one payment."""
    paid = 0
    for change in ("revoke_consent", "revoke_all", None):
        consent(world, world.patient, world.funder, terms)
        receipt = world.ask(world.funder, campaign=terms)
        assert [event.name for event in receipt.events] == ["RewardAccrued", "AccessLogged"]
        paid += 1
        if change:
            arguments = {"grantee": world.funder, "purpose": HRESCH} if change == "revoke_consent" else {}
            world.send(world.patient, change, **arguments)
            assert world.ask(world.funder, campaign=terms).result["decision"] == "Deny"
    campaign = world.read("campaign", terms=terms)
    assert (campaign["paid_count"], campaign["remaining"]) == (paid, 100_000 - 1000 * paid)
    assert credit(world, world.patient, world.hospital) == 1000 * paid


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
    consent(world, world.patient, world.partner, terms)
    world.send(world.funder, "set_allowance", terms=terms, accessor=world.partner, amount=1000)
    assert world.ask(world.partner, campaign=terms).result["decision"] == "Permit"
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
        assert world.ask(world.funder, patient=world.stranger, campaign=terms).result["decision"] == "Permit"
    world.wait(30 * DAY)
    world.send(world.funder, "close_campaign", terms=terms)
    for owner in (world.funder, world.stranger):
        world.send(owner, "withdraw", amount=2500, recipient=world.funder)
    assert world.read("balance_of", world.token, account=world.funder) == 5000
    assert world.read("liabilities") == 0


def test_a_funder_and_an_accessor_against_the_patient(world: World, terms: dict[str, Any]) -> None:
    """They empty or close the campaign after the patient consented: then there is no access either. What was
    earned stays earned."""
    consent(world, world.patient, world.funder, terms, expires_at=world.now + 60 * DAY)
    assert world.ask(world.funder, campaign=terms).result["decision"] == "Permit"
    world.wait(30 * DAY)
    world.send(world.funder, "close_campaign", terms=terms)
    world.send(world.funder, "withdraw", amount=99_000, recipient=world.funder)
    assert world.ask(world.funder, campaign=terms).result["reason"] == "CampaignClosed"
    world.send(world.patient, "withdraw", amount=900, recipient=world.patient)
    world.send(world.hospital, "withdraw", amount=100, recipient=world.hospital)
    assert world.read("balance_of", world.token, account=world.pool.address) == 0

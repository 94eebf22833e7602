"""Stories of people using MedSync, each from the first word to the last, told with raw transactions.

When a story is over the books are checked: see `books`.
"""

import pytest

from tests.harness.snip12 import consent_message, revocation_message
from tests.harness.words import CLOSE_NOTICE, DAY, GIVE, REFUSE, REVOKE, felt
from tests.harness.world import World

pytestmark = pytest.mark.usefixtures("books")

HRESCH = felt("HRESCH")
OBSERVATION, GENOMICS = 1 << 7, 1 << 13


def outcome(world: World, sender: int, **request: object) -> tuple[str, str]:
    """How a request is decided, and why."""
    result = world.ask(sender, **request).result
    return result["decision"], result["reason"]


def test_a_patient_changes_her_mind_twice(world: World) -> None:
    """She consents, withdraws, and consents again to less. What she withdrew stays withdrawn."""
    world.give()
    assert outcome(world, world.researcher) == ("Permit", "Granted")
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    assert outcome(world, world.researcher) == ("Deny", "Withdrawn")
    world.give(categories=OBSERVATION)
    assert outcome(world, world.researcher) == ("Permit", "Granted")
    assert outcome(world, world.researcher, categories=OBSERVATION | GENOMICS) == (
        "Deny",
        "CategoryNotCovered",
    )
    assert world.verdict()[2] == 3, "given, withdrawn, given again"


def test_two_purposes_live_side_by_side(world: World) -> None:
    """A hospital treats and researches. Ending the research does not end the treatment."""
    treat = felt("TREAT")
    for purpose in (treat, HRESCH):
        terms = world.terms(purpose=purpose)
        world.send(world.patient, "add_consent", grantee=world.hospital, terms=terms)
    world.send(world.patient, "revoke_consent", grantee=world.hospital, purpose=HRESCH)
    assert outcome(world, world.hospital, purpose=HRESCH) == ("Deny", "Withdrawn")
    assert outcome(world, world.hospital, purpose=treat) == ("Permit", "Granted")


def test_a_guardian_acts_until_the_child_is_of_age(world: World) -> None:
    """A guardian consents, refuses and revokes for a child, within the powers and the time that were set."""
    of_age = world.now + 10 * DAY
    powers = GIVE | REVOKE | REFUSE
    world.send(world.patient, "set_delegate", delegate=world.delegate, powers=powers, expires_at=of_age)
    child = {"patient": world.patient, "grantee": world.researcher}
    world.send(world.delegate, "refuse_consent_for", **child, purpose=HRESCH)
    world.send(world.delegate, "add_consent_for", **child, terms=world.terms(expires_at=of_age + DAY))
    assert outcome(world, world.researcher) == ("Permit", "Granted")
    world.send(world.delegate, "revoke_consent_for", **child, purpose=HRESCH)
    assert outcome(world, world.researcher) == ("Deny", "Revoked")
    world.now = of_age
    world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "add_consent_for", **child, terms=world.terms())
    world.give()
    assert outcome(world, world.researcher) == ("Permit", "Granted")


def test_a_patient_without_money_and_a_slow_relayer(world: World) -> None:
    """Two signed consents lie with a relayer. One is submitted; she revokes all, and the other is void."""
    first = consent_message(world)
    world.send(world.relayer, "add_consent_by_sig", **first)
    late = consent_message(world, terms=world.terms(purpose=felt("CLINTRCH")), nonce=1)
    withdrawal = revocation_message(world, nonce=1)
    world.send(world.relayer, "revoke_consent_by_sig", **withdrawal)
    assert outcome(world, world.researcher) == ("Deny", "Withdrawn")
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **late)
    again = consent_message(world, nonce=2, version=3)
    world.send(world.patient, "revoke_all")
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **again)


def test_a_study_from_its_first_deposit_to_its_last_unit(world: World) -> None:
    """A funder pays for a partner's accesses too, within an allowance; all is drawn, the rest returns."""
    campaign = world.campaign(rate=1_001, custodian_bps=3_333)
    world.fund(campaign, 5_000)
    world.send(world.funder, "set_allowance", terms=campaign, accessor=world.partner, amount=2_002)
    for grantee in (world.funder, world.partner):
        for patient in (world.patient, world.neighbour):
            world.send(patient, "add_consent", grantee=grantee, terms=world.terms(reward=campaign))
    asks = [
        (world.funder, world.patient, ("Permit", "Granted")),
        (world.partner, world.patient, ("Permit", "Granted")),
        (world.partner, world.neighbour, ("Permit", "Granted")),
        (world.partner, world.neighbour, ("Deny", "AllowanceExceeded")),
        (world.funder, world.neighbour, ("Permit", "Granted")),
        (world.funder, world.patient, ("Deny", "RewardUnfunded")),
    ]
    for sender, patient, expected in asks:
        assert outcome(world, sender, patient=patient, campaign=campaign) == expected
    share = 1_001 * 3_333 // 10_000
    for owner, earned in (
        (world.patient, 2 * (1_001 - share)),
        (world.neighbour, 2 * (1_001 - share)),
        (world.hospital, 4 * share),
    ):
        world.refuses("POOL/INSUFFICIENT_CREDIT", owner, "withdraw", amount=earned + 1, recipient=owner)
        world.send(owner, "withdraw", amount=earned, recipient=owner)
        assert world.read("balance_of", world.token, account=owner) == earned
    world.send(world.funder, "announce_close", terms=campaign)
    world.refuses("POOL/CLOSE_TOO_EARLY", world.funder, "close_campaign", terms=campaign)
    world.wait(CLOSE_NOTICE)
    world.send(world.funder, "close_campaign", terms=campaign)
    rest = 5_000 - 4 * 1_001
    world.send(world.funder, "withdraw", amount=rest, recipient=world.funder)
    assert world.read("liabilities") == 0


def test_an_emergency_at_night(world: World) -> None:
    """A hospital breaks the glass for a patient it has no consent of. In the morning she forbids it."""
    emergency = {"patient": world.patient, "categories": 1, "record": 0, "justification_commitment": 0x11}
    receipt = world.send(world.hospital, "request_emergency_access", **emergency).result
    assert (receipt["decision"], receipt["reason"]) == ("Emergency", "BreakGlass")
    receipt = world.send(world.researcher, "request_emergency_access", **emergency).result
    assert (receipt["decision"], receipt["reason"]) == ("Deny", "NotHospital")
    world.send(world.patient, "set_emergency_opt_out", opted_out=True)
    receipt = world.send(world.hospital, "request_emergency_access", **emergency).result
    assert (receipt["decision"], receipt["reason"]) == ("Deny", "EmergencyOptOut")
    assert world.read("log_head", patient=world.patient)["count"] == 3


def test_a_researcher_is_suspended_and_comes_back(world: World) -> None:
    """While it is suspended every try is refused and logged; then the old consent is as good as before."""
    world.give(max_uses=2)
    assert outcome(world, world.researcher) == ("Permit", "Granted")
    world.send(world.admin, "suspend_entity", address=world.researcher)
    for _ in range(3):
        assert outcome(world, world.researcher) == ("Deny", "EntitySuspended")
    world.send(world.admin, "reinstate_entity", address=world.researcher)
    assert outcome(world, world.researcher) == ("Permit", "Granted")
    assert outcome(world, world.researcher) == ("Deny", "UsesExhausted")

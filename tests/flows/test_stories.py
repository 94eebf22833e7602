"""Stories of people using MedSync, each from the first word to the last, told with raw transactions.

When a story is over the books are checked: see `books`.
"""

import pytest

from tests.harness.snip12 import consent_message, revocation_message
from tests.harness.words import CLOSE_NOTICE, DAY, EMERGENCY_DELAY, GIVE, JUSTIFY_WITHIN, REFUSE, REVOKE, felt
from tests.harness.world import World, id_of

pytestmark = pytest.mark.usefixtures("books")

HRESCH = felt("HRESCH")
OBSERVATION, GENOMICS = 1 << 7, 1 << 13
COHORT = 0x57D1
"""A salted hash that names a study."""


def outcome(world: World, sender: int, **request: object) -> tuple[str, str]:
    """How a request is decided, and why."""
    result = world.ask(sender, **request).result
    return result["decision"], result["reason"]


def break_glass(world: World, sender: int, **changes: object) -> tuple[str, str, int]:
    """How an emergency access is decided, why, and as which entry."""
    emergency = {"patient": world.patient, "categories": 1, "record": 0} | changes
    result = world.send(sender, "request_emergency_access", **emergency).result
    return result["decision"], result["reason"], result["seq"]


def test_a_patient_decides_twice_anew(world: World) -> None:
    """The patient consents, withdraws, and consents again to less. What was withdrawn stays withdrawn."""
    world.give()
    assert outcome(world, world.researcher) == ("Permit", "Granted")
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH, study=0)
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
    world.send(world.patient, "revoke_consent", grantee=world.hospital, purpose=HRESCH, study=0)
    assert outcome(world, world.hospital, purpose=HRESCH) == ("Deny", "Withdrawn")
    assert outcome(world, world.hospital, purpose=treat) == ("Permit", "Granted")


def test_two_studies_live_side_by_side(world: World) -> None:
    """One study ends, another goes on; neither is asked for as the other, nor as a broad consent."""
    world.give(study=COHORT)
    world.give(study=COHORT + 1)
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH, study=COHORT)
    assert outcome(world, world.researcher, study=COHORT) == ("Deny", "Withdrawn")
    assert outcome(world, world.researcher, study=COHORT + 1) == ("Permit", "Granted")
    assert outcome(world, world.researcher) == ("NoConsent", "NeverGiven")
    statement = {"patient": world.patient, "purpose": HRESCH, "study": COHORT, "statement": 0xDE1}
    world.send(world.researcher, "state_deletion", **statement)
    assert world.read("log_head", patient=world.patient)["count"] == 4


def test_a_guardian_acts_until_the_child_is_of_age(world: World) -> None:
    """A guardian consents, refuses and revokes for a child, within the powers and the time that were set."""
    of_age = world.now + 10 * DAY
    powers = GIVE | REVOKE | REFUSE
    world.send(world.patient, "set_delegate", delegate=world.delegate, powers=powers, expires_at=of_age)
    child = {"patient": world.patient, "grantee": world.researcher}
    world.send(world.delegate, "refuse_consent_for", **child, purpose=HRESCH, study=0)
    assert outcome(world, world.researcher) == ("Deny", "Refused")
    world.send(world.delegate, "add_consent_for", **child, terms=world.terms(expires_at=of_age + DAY))
    assert outcome(world, world.researcher) == ("Permit", "Granted")
    world.send(world.delegate, "revoke_consent_for", **child, purpose=HRESCH, study=0)
    assert outcome(world, world.researcher) == ("Deny", "Revoked")
    world.now = of_age
    world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "add_consent_for", **child, terms=world.terms())
    world.give()
    assert outcome(world, world.researcher) == ("Permit", "Granted")


def test_a_patient_refuses_research_and_allows_it_again(world: World) -> None:
    """Refusing everyone for a purpose stops a live consent; allowing it brings that one back, unchanged."""
    world.give()
    world.send(world.patient, "refuse_purpose", purpose=HRESCH)
    assert outcome(world, world.researcher) == ("Deny", "PurposeRefused")
    terms = world.terms()
    world.refuses("CONSENT/PURPOSE_REFUSED", world.patient, "add_consent", grantee=world.partner, terms=terms)
    world.send(world.patient, "allow_purpose", purpose=HRESCH)
    assert outcome(world, world.researcher) == ("Permit", "Granted")


def test_a_patient_without_money_and_a_slow_relayer(world: World) -> None:
    """Three consents and a withdrawal lie with a relayer. One is submitted; a panic button voids the rest."""
    series = [
        consent_message(world, terms=world.terms(purpose=felt(purpose)), counter=counter)
        for counter, purpose in enumerate(("HRESCH", "CLINTRCH", "BIORCH"), 1)
    ]
    withdrawal = revocation_message(world)
    world.send(world.relayer, "add_consent_by_sig", **series[0])
    assert outcome(world, world.researcher) == ("Permit", "Granted")
    world.send(world.patient, "cancel_signatures")
    for late in series[1:]:
        world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **late)
    world.send(world.relayer, "revoke_consent_by_sig", **withdrawal)
    assert outcome(world, world.researcher) == ("Deny", "Withdrawn")
    world.refuses("CONSENT/BAD_GENERATION", world.relayer, "revoke_consent_by_sig", **withdrawal)


def test_a_study_from_its_first_deposit_to_its_last_unit(world: World) -> None:
    """A funder pays for a partner's accesses too; all is settled and drawn, the rest returns."""
    campaign = world.campaign(rate=1_001, custodian_bps=3_333, study=COHORT)
    world.fund(campaign, 5 * 1_001)
    world.allow(campaign, world.partner, 2)
    for grantee in (world.funder, world.partner):
        for patient in (world.patient, world.neighbour):
            terms = world.terms(reward=campaign, study=COHORT)
            world.send(patient, "add_consent", grantee=grantee, terms=terms)
    asks = [
        (world.funder, world.patient, ("Permit", "Granted")),
        (world.partner, world.patient, ("Permit", "Granted")),
        (world.partner, world.neighbour, ("Permit", "Granted")),
        (world.partner, world.neighbour, ("Deny", "RewardUnfunded")),
        (world.funder, world.neighbour, ("Permit", "Granted")),
    ]
    for sender, patient, expected in asks:
        request = {"patient": patient, "campaign": id_of(campaign), "study": COHORT}
        assert outcome(world, sender, **request) == expected
    share = 1_001 * 3_333 // 10_000
    for accessor in (world.funder, world.partner):
        world.send(world.stranger, "settle_custodian", terms=campaign, accessor=accessor)
    claims = [{"grantee": grantee, "terms": campaign} for grantee in (world.funder, world.partner)]
    for owner, earned, own in (
        (world.patient, 2 * (1_001 - share), claims),
        (world.neighbour, 2 * (1_001 - share), claims),
        (world.hospital, 4 * share, []),
    ):
        draw = {"recipient": owner, "claims": own}
        world.refuses("POOL/INSUFFICIENT_CREDIT", owner, "withdraw", amount=earned + 1, **draw)
        world.send(owner, "withdraw", amount=earned, **draw)
        assert world.read("balance_of", world.token, account=owner) == earned
    world.send(world.funder, "announce_close", terms=campaign)
    world.refuses("POOL/CLOSE_TOO_EARLY", world.funder, "close_campaign", terms=campaign)
    world.wait(CLOSE_NOTICE)
    world.send(world.funder, "close_campaign", terms=campaign)
    world.send(world.funder, "withdraw", amount=1_001, recipient=world.funder, claims=[])
    assert world.read("liabilities") == 0


def test_a_renewal_for_other_pay_loses_nothing(world: World) -> None:
    """A patient is paid by one campaign, renews for another and back: each owes what it permitted."""
    first, second = world.campaign(rate=10), world.campaign(rate=1_000, salt=2)
    for campaign in (first, second):
        world.fund(campaign, 3 * campaign["rate"])
    for campaign in (first, second, first):
        world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=campaign))
        assert outcome(world, world.funder, campaign=id_of(campaign)) == ("Permit", "Granted")
    world.send(world.patient, "revoke_all", dismiss_delegates=False)
    for campaign, uses in ((first, 2), (second, 1)):
        settle = {"patient": world.patient, "grantee": world.funder, "terms": campaign}
        assert world.send(world.stranger, "settle", **settle).result == uses
        assert world.send(world.stranger, "settle", **settle).result == 0
    assert world.read("claimable", owner=world.patient) == 9 * (2 + 100)


def test_an_emergency_at_night(world: World) -> None:
    """A hospital breaks the glass, justifies it once, and the patient contests it and forbids the next."""
    assert break_glass(world, world.hospital)[:2] == ("Deny", "HospitalTooNew")
    world.wait(EMERGENCY_DELAY)
    decision, reason, entry = break_glass(world, world.hospital)
    assert (decision, reason) == ("Emergency", "BreakGlass")
    assert break_glass(world, world.researcher)[:2] == ("Deny", "NotHospital")
    justify = {"patient": world.patient, "emergency": entry, "statement": 0x11}
    world.send(world.hospital, "justify_emergency", **justify)
    world.refuses("ACCESS/ALREADY_JUSTIFIED", world.hospital, "justify_emergency", **justify)
    world.send(world.patient, "contest_emergency", hospital=world.hospital, emergency=entry)
    _, _, second = break_glass(world, world.hospital)
    world.wait(JUSTIFY_WITHIN + 1)
    late = justify | {"emergency": second}
    world.refuses("ACCESS/JUSTIFIED_TOO_LATE", world.hospital, "justify_emergency", **late)
    world.send(world.patient, "set_emergency_choice", choice="NamedHospitals")
    assert break_glass(world, world.hospital)[:2] == ("Deny", "EmergencyRefused")
    world.send(world.patient, "allow_emergency", hospital=world.hospital)
    assert break_glass(world, world.hospital)[:2] == ("Emergency", "BreakGlass")
    world.send(world.patient, "set_emergency_choice", choice="Nobody")
    assert break_glass(world, world.hospital)[:2] == ("Deny", "EmergencyRefused")


def test_a_researcher_is_suspended_and_comes_back(world: World) -> None:
    """While it is suspended no try leaves a trace; then the old consent is as good as before."""
    world.give(max_uses=2)
    assert outcome(world, world.researcher) == ("Permit", "Granted")
    world.send(world.admin, "suspend_entity", address=world.researcher)
    world.refuses("ENTITY/SUSPENDED", world.researcher, "request_access", request=world.request())
    assert world.verdict()[:2] == ("Deny", "EntitySuspended")
    world.send(world.admin, "reinstate_entity", address=world.researcher)
    assert outcome(world, world.researcher) == ("Permit", "Granted")
    assert outcome(world, world.researcher) == ("Deny", "UsesExhausted")
    assert world.read("log_head", patient=world.patient)["count"] == 3


def test_a_panic_button_ends_everything_at_one_stroke(world: World) -> None:
    """Consents, signed messages and delegates are over; refusals stay."""
    world.give()
    world.name_delegate(GIVE | REVOKE)
    world.send(world.patient, "refuse_consent", grantee=world.partner, purpose=HRESCH, study=0)
    signed = consent_message(world, terms=world.terms(purpose=felt("BIORCH")))
    world.send(world.patient, "revoke_all", dismiss_delegates=True)
    assert outcome(world, world.researcher) == ("Deny", "AllRevoked")
    assert outcome(world, world.partner) == ("Deny", "Refused")
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **signed)
    world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "revoke_all_for", patient=world.patient)

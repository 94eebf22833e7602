"""The findings of the review of the first edition, as attacks on the present contracts: each fails, or is
what the threat model says that it is.

That the same attacks succeeded on the first edition is shown in `test_first_edition.py`.
"""

import pytest

from tests.attacks.first_edition import prepared
from tests.harness.anchoring import Anchoring, log
from tests.harness.cells import address_of, entity_cell
from tests.harness.snip12 import consent_message, revocation_message
from tests.harness.words import (
    ADMIN_DELAY,
    ADMIN_LAPSE,
    CLOSE_NOTICE,
    CLOSE_WINDOW,
    DAY,
    EMERGENCY_DELAY,
    GIVE,
    HRESCH,
    MAX_GROWTH,
    PROFILE_DELAY,
    REVOKE,
    felt,
)
from tests.harness.world import PROFILE, World, assert_refused, id_of

EMERGENCY = {"categories": 0xFFFF, "record": 0}


# --- H1: a panic button voids every message -----------------------------------------------------------------


def press(world: World, button: str) -> None:
    """One of the acts that void whatever was signed before."""
    if button == "a signed withdrawal":
        world.send(world.relayer, "revoke_consent_by_sig", **revocation_message(world, grantee=world.partner))
    elif button == "revoke_all_for":
        world.name_delegate(REVOKE)
        world.send(world.delegate, button, patient=world.patient)
    elif button == "revoke_all":
        world.send(world.patient, button, dismiss_delegates=False)
    else:
        world.send(world.patient, button)


BUTTONS = ["revoke_all", "cancel_signatures", "revoke_all_for", "a signed withdrawal"]


@pytest.mark.parametrize("button", BUTTONS)
def test_a_panic_button_after_a_series_of_messages(world: World, button: str) -> None:
    """Three consents signed in a row and one on another device, none submitted. All of them are void, and
    stay so: also when the patient has since signed as many again."""
    series = [consent_message(world, counter=counter, version=counter) for counter in (1, 2, 3)]
    elsewhere = consent_message(world, terms=world.terms(categories=1))
    press(world, button)
    for message in (*series, elsewhere):
        world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **message)
    for counter in (1, 2, 3):
        fresh = consent_message(world, generation=2, counter=counter, version=counter)
        world.send(world.relayer, "add_consent_by_sig", **fresh)
        for message in (*series, elsewhere):
            world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **message)


@pytest.mark.parametrize("button", BUTTONS)
def test_a_panic_button_in_the_middle_of_a_series(world: World, button: str) -> None:
    """The first message was submitted, the others wait: they wait for ever."""
    first, second, third = (consent_message(world, counter=counter, version=counter) for counter in (1, 2, 3))
    world.send(world.relayer, "add_consent_by_sig", **first)
    press(world, button)
    for message in (second, third):
        world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **message)


# --- H2: a study of its own ---------------------------------------------------------------------------------


def test_a_second_study_overwrites_the_first(world: World) -> None:
    """A dear study and a cheap one of the same grantee, for the same purpose: each has its terms, its price
    and its end, and neither is had for the other."""
    dear = world.campaign(study=11)
    cheap = world.campaign(study=22, rate=1, custodian=0, custodian_bps=0)
    for terms in (dear, cheap):
        world.fund(terms, 10_000)
        world.give(world.funder, study=terms["study"], reward=terms)
    for study, campaign, reason in (
        (11, dear, "Granted"),
        (22, cheap, "Granted"),
        (11, cheap, "CampaignMismatch"),
        (22, dear, "CampaignMismatch"),
        (0, cheap, "NeverGiven"),
        (33, cheap, "NeverGiven"),
    ):
        answer = world.ask(world.funder, study=study, campaign=id_of(campaign)).result
        assert answer["reason"] == reason
    world.send(world.patient, "revoke_consent", grantee=world.funder, purpose=HRESCH, study=22)
    assert world.ask(world.funder, study=11, campaign=id_of(dear)).result["decision"] == "Permit"
    assert world.ask(world.funder, study=22, campaign=id_of(cheap)).result["reason"] == "Withdrawn"


def test_a_campaign_of_another_study(world: World) -> None:
    """A consent names no campaign of another study, and so is not had at its price."""
    cheap = world.campaign(study=22, rate=1, custodian=0, custodian_bps=0)
    world.fund(cheap, 10)
    for study in (0, 11):
        terms = world.terms(study=study, reward=cheap)
        world.refuses(
            "CONSENT/CAMPAIGN_STUDY", world.patient, "add_consent", grantee=world.funder, terms=terms
        )


def test_a_broad_consent_is_the_cheapest_price(world: World) -> None:
    """Not defended, and said: whoever has an unpaid broad consent beside a paid study asks by it."""
    dear = world.campaign(study=11)
    world.fund(dear, 10_000)
    world.give(world.funder, study=11, reward=dear)
    world.give(world.funder)
    assert world.ask(world.funder).result["decision"] == "Permit"
    world.send(world.patient, "revoke_consent", grantee=world.funder, purpose=HRESCH, study=11)
    assert world.ask(world.funder).result["decision"] == "Permit"
    assert world.read("paid_uses", **paid(world, dear))["paid"] == 0


def paid(world: World, terms: dict[str, int]) -> dict[str, int]:
    return {
        "patient": world.patient,
        "grantee": world.funder,
        "purpose": terms["purpose"],
        "study": terms["study"],
        "campaign": id_of(terms),
    }


# --- H3: the administrator and the glass --------------------------------------------------------------------


@pytest.mark.parametrize("role", ["Hospital", "Researcher", "Auditor"])
def test_an_administrator_who_is_a_hospital(world: World, role: str) -> None:
    """It cannot register itself, nor whom it named as successor, nor name whom it registered."""
    entity = {"role": role, "profile_commitment": PROFILE}
    world.refuses("ENTITY/IS_ADMIN", world.admin, "register_entity", address=world.admin, **entity)
    itself = world.call("register_entity", address=world.admin, **entity)
    through = world.call("request_emergency_access", patient=world.patient, **EMERGENCY)
    assert_refused(world.execute(world.admin, itself, through), "ENTITY/IS_ADMIN")
    world.send(world.admin, "register_entity", address=world.stranger, **entity)
    world.refuses("ENTITY/IS_ENTITY", world.admin, "begin_admin_transfer", new_admin=world.stranger)
    world.send(world.admin, "suspend_entity", address=world.stranger)
    world.refuses("ENTITY/IS_ENTITY", world.admin, "begin_admin_transfer", new_admin=world.stranger)

    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    for wait in (0, ADMIN_DELAY, ADMIN_LAPSE - ADMIN_DELAY - 1):
        world.wait(wait)
        world.refuses("ENTITY/IS_ADMIN", world.admin, "register_entity", address=world.successor, **entity)
    world.send(world.successor, "accept_admin_transfer")
    world.refuses("ENTITY/IS_ADMIN", world.successor, "register_entity", address=world.successor, **entity)


def test_an_entity_never_accepts_the_office(world: World) -> None:
    """In the second in which its hand-over lapses it can be registered, and can no longer accept; and were it
    registered by whatever way before that, it could not accept either."""
    begin = {"new_admin": world.successor}
    world.send(world.admin, "begin_admin_transfer", **begin)
    world.wait(ADMIN_LAPSE)
    entity = {"address": world.successor, "role": "Hospital", "profile_commitment": PROFILE}
    world.send(world.admin, "register_entity", **entity)
    world.refuses("ENTITY/TRANSFER_LAPSED", world.successor, "accept_admin_transfer")
    world.refuses("ENTITY/IS_ENTITY", world.admin, "begin_admin_transfer", **begin)

    world.send(world.admin, "begin_admin_transfer", new_admin=world.stranger)
    world.wait(ADMIN_DELAY)
    entity_cell(world, world.stranger).write(role=1)
    world.refuses("ENTITY/IS_ENTITY", world.stranger, "accept_admin_transfer")


def test_one_who_is_named_no_more_can_be_registered(world: World) -> None:
    """Whoever was replaced or called off as successor is nobody in particular; once it is registered, naming
    it again fails. A former administrator is nobody in particular either."""
    entity = {"role": "Hospital", "profile_commitment": PROFILE}
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    world.send(world.admin, "begin_admin_transfer", new_admin=world.stranger)
    world.send(world.admin, "register_entity", address=world.successor, **entity)
    world.send(world.admin, "cancel_admin_transfer")
    world.refuses("ENTITY/IS_ENTITY", world.admin, "begin_admin_transfer", new_admin=world.successor)
    world.send(world.admin, "begin_admin_transfer", new_admin=world.stranger)
    world.wait(ADMIN_DELAY)
    world.send(world.stranger, "accept_admin_transfer")
    world.send(world.stranger, "register_entity", address=world.admin, **entity)
    world.refuses("ENTITY/NOT_ADMIN", world.admin, "suspend_entity", address=world.hospital)


def test_a_sleeper_hospital(world: World) -> None:
    """Not defended, and said: the administrator registers its second address and waits for 48 hours, all of
    which anyone can see in the registry's history. Whoever lets in named hospitals only is out of reach."""
    sleeper = world.stranger
    world.send(world.neighbour, "set_emergency_choice", choice="NamedHospitals")
    head = world.read("registry_head")
    entity = {"address": sleeper, "role": "Hospital", "profile_commitment": PROFILE}
    world.send(world.admin, "register_entity", **entity)
    assert world.read("registry_head")["count"] == head["count"] + 1
    ask = {"patient": world.patient, **EMERGENCY}
    world.wait(EMERGENCY_DELAY - 1)
    assert world.send(sleeper, "request_emergency_access", **ask).result["reason"] == "HospitalTooNew"
    world.wait(1)
    assert world.send(sleeper, "request_emergency_access", **ask).result["reason"] == "BreakGlass"
    ask["patient"] = world.neighbour
    assert world.send(sleeper, "request_emergency_access", **ask).result["reason"] == "EmergencyRefused"


# --- M1: a withdrawal that cannot be outbid -----------------------------------------------------------------


def test_a_withdrawal_outbid_by_a_renewal(world: World) -> None:
    """The grantee submits the renewal that the patient signed before; the withdrawal withdraws that too."""
    world.give(categories=1)
    renewal, withdrawal = consent_message(world, version=2), revocation_message(world)
    outcome = world.execute(
        world.researcher,
        world.call("add_consent_by_sig", **renewal),
        world.call("request_access", request=world.request()),
    )
    assert outcome.error is None
    world.send(world.relayer, "revoke_consent_by_sig", **withdrawal)
    assert world.verdict() == ("Deny", "Withdrawn", 3)


# --- M2: the way out of a bad delegate ----------------------------------------------------------------------


def test_revoke_all_and_a_bad_delegate(world: World) -> None:
    """What `revoke_all` killed no delegate gives again, whoever had given it; and the delegate itself goes in
    the same call, with all the others."""
    world.name_delegate(GIVE)
    world.send(world.patient, "set_delegate", delegate=world.stranger, powers=7, expires_at=world.now + DAY)
    world.give()
    theirs = {"patient": world.patient, "grantee": world.partner, "terms": world.terms()}
    world.send(world.delegate, "add_consent_for", **theirs)
    world.send(world.patient, "revoke_all", dismiss_delegates=False)
    for grantee in (world.researcher, world.partner):
        given = theirs | {"grantee": grantee}
        world.refuses("CONSENT/PATIENT_DECIDED", world.delegate, "add_consent_for", **given)
        assert world.verdict(grantee=grantee)[1] == "AllRevoked"
    # It still gives what nobody ever decided on, until it is dismissed.
    fresh = theirs | {"grantee": world.hospital}
    world.send(world.delegate, "add_consent_for", **fresh)
    world.send(world.patient, "revoke_all", dismiss_delegates=True)
    assert world.verdict(grantee=world.hospital)[1] == "AllRevoked"
    fresh = theirs | {"grantee": world.auditor}
    for delegate in (world.delegate, world.stranger):
        world.refuses("CONSENT/NOT_DELEGATE", delegate, "add_consent_for", **fresh)


def test_a_delegate_that_strips_the_pay(world: World) -> None:
    """It renews no live consent of the patient's: neither without pay, nor with more, nor for never."""
    campaign = world.campaign()
    world.fund(campaign, 10_000)
    world.give(world.funder, reward=campaign)
    world.name_delegate(GIVE)
    given = {"patient": world.patient, "grantee": world.funder}
    for changes in (
        {},
        {"reward": campaign, "max_uses": 1},
        {"reward": campaign, "expires_at": world.now + 2 * DAY},
        {"starts_at": 2**40 - 2, "expires_at": 2**40 - 1},
    ):
        terms = world.terms(**changes)
        world.refuses("CONSENT/PATIENT_DECIDED", world.delegate, "add_consent_for", **given, terms=terms)
    assert world.ask(world.funder, campaign=id_of(campaign)).result["decision"] == "Permit"
    assert world.ask(world.funder).result["reason"] == "CampaignMismatch"


def test_giving_is_giving_other_consents_too(world: World) -> None:
    """Not defended, and said: beside the patient's paid consent a delegate with the power to give makes one
    for a study that it made up, unpaid, to the same grantee."""
    campaign = world.campaign(study=11)
    world.fund(campaign, 10_000)
    world.give(world.funder, study=11, reward=campaign)
    world.name_delegate(GIVE)
    other = {"patient": world.patient, "grantee": world.funder, "terms": world.terms(study=0xFA4E)}
    world.send(world.delegate, "add_consent_for", **other)
    assert world.ask(world.funder, study=0xFA4E).result["decision"] == "Permit"
    world.send(world.patient, "revoke_all", dismiss_delegates=True)
    assert world.ask(world.funder, study=0xFA4E).result["reason"] == "AllRevoked"


# --- M3: calls that were signed for later -------------------------------------------------------------------


@pytest.mark.parametrize("button", BUTTONS)
def test_an_opening_signed_for_later(world: World, button: str) -> None:
    """An account that has calls executed from outside puts the generation in front of those that open
    something: a panic button voids them too. Those that close something go without, and nobody holds them
    up by raising the generation."""
    guard = world.call("assert_generation", patient=world.patient, generation=1)
    wrong = world.call("assert_generation", patient=world.patient, generation=2)
    naming = world.call("set_delegate", delegate=world.stranger, powers=7, expires_at=world.now + DAY)
    letting = world.call("set_emergency_choice", choice="EveryHospital")
    dismissal = world.call("dismiss_delegates")
    assert_refused(world.execute(world.patient, wrong, naming), "CONSENT/BAD_GENERATION")
    assert world.simulate(world.patient, guard, naming, letting).error is None
    press(world, button)
    for opening in (naming, letting):
        assert_refused(world.execute(world.patient, guard, opening), "CONSENT/BAD_GENERATION")
    assert world.execute(world.patient, dismissal).error is None
    world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "revoke_all_for", patient=world.patient)


# --- M4: when pay is final ----------------------------------------------------------------------------------


def test_pay_is_final_at_the_permit(world: World) -> None:
    """Not defended, and said: whether data was delivered is not asked. A suspended custodian, a withdrawn
    consent and a closed campaign are settled like any other."""
    campaign = world.campaign(expires_at=world.now + DAY)
    world.fund(campaign, 10_000)
    world.give(world.funder, reward=campaign)
    assert world.ask(world.funder, campaign=id_of(campaign)).result["decision"] == "Permit"
    world.send(world.admin, "suspend_entity", address=world.hospital)
    world.send(world.patient, "revoke_all", dismiss_delegates=True)
    world.wait(DAY)
    world.send(world.funder, "close_campaign", terms=campaign)
    world.send(world.stranger, "settle", patient=world.patient, grantee=world.funder, terms=campaign)
    world.send(world.stranger, "settle_custodian", terms=campaign, accessor=world.funder)
    assert world.read("claimable", owner=world.patient) == 900
    assert world.read("claimable", owner=world.hospital) == 100
    assert world.read("claimable", owner=world.funder) == 9000


# --- M5: nobody is called -----------------------------------------------------------------------------------


def test_a_pool_that_burns_the_whole_fee(world: World) -> None:
    """A pool of somebody's own cannot be named in a consent, and whoever asks for data calls nobody: there is
    no pool, account or token whose behaviour could change after the accessor tried its batch."""
    hostile = world.new_puppet()
    terms = world.terms(reward=world.campaign(pool=hostile.address))
    world.refuses("CONSENT/NOT_A_POOL", world.patient, "add_consent", grantee=world.funder, terms=terms)

    campaign = world.campaign()
    world.fund(campaign, 10_000)
    world.give(world.funder, reward=campaign)
    world.send(world.neighbour, "add_consent", grantee=world.funder, terms=world.terms(reward=campaign))
    subjects = ((world.patient, 1), (world.neighbour, 2), (world.stranger, 3))
    outcome = world.execute(
        world.funder,
        world.call("request_access_batch", **world.batch(*subjects, campaign=id_of(campaign))),
        world.call("request_access", request=world.request(campaign=id_of(campaign))),
        world.call("state_deletion", **deletion(world)),
    )
    assert outcome.error is None, outcome.reason
    assert outcome.outward == set()


def deletion(world: World, **changes: int) -> dict[str, int]:
    """The calldata of a statement that the patient's data was deleted."""
    return {"patient": world.patient, "purpose": HRESCH, "study": 0, "statement": 1} | changes


# --- M6: what a notice promises -----------------------------------------------------------------------------


def test_a_standing_notice(world: World) -> None:
    """A notice is good for 30 days after its seven; while it stands nobody newly names the campaign; and a
    deposit takes it back."""
    campaign = world.campaign(expires_at=world.now + 1000 * DAY)
    world.fund(campaign, 2000)
    close = {"terms": campaign}
    announced = world.now
    world.send(world.funder, "announce_close", **close)
    naming = world.terms(reward=campaign, expires_at=world.now + 900 * DAY)
    for wait, error in (
        (0, "POOL/CLOSE_TOO_EARLY"),
        (CLOSE_NOTICE - 1, "POOL/CLOSE_TOO_EARLY"),
        (CLOSE_NOTICE, None),
        (CLOSE_NOTICE + CLOSE_WINDOW - 1, None),
        (CLOSE_NOTICE + CLOSE_WINDOW, "POOL/CLOSE_TOO_LATE"),
    ):
        world.now = announced + wait
        outcome = world.simulate(world.funder, world.call("close_campaign", **close))
        assert outcome.error == error
        give = world.simulate(world.patient, world.call("add_consent", grantee=world.funder, terms=naming))
        assert give.error == (None if wait >= CLOSE_NOTICE + CLOSE_WINDOW else "CONSENT/CAMPAIGN_CLOSING")

    world.send(world.funder, "announce_close", **close)
    world.wait(CLOSE_NOTICE)
    world.fund(campaign, 1000)
    world.refuses("POOL/CLOSE_TOO_EARLY", world.funder, "close_campaign", **close)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=naming)


def test_an_accessors_budget_outlives_the_closing(world: World) -> None:
    """Closing takes the funder's own budget. What an accessor was given pays on, until it expires or is taken
    back; then it goes to the funder's credit, and nothing goes out by any other way."""
    campaign = world.campaign()
    world.fund(campaign, 5000)
    world.allow(campaign, world.researcher, 3)
    world.give(reward=campaign, expires_at=world.now + 30 * DAY)
    world.send(world.funder, "announce_close", terms=campaign)
    world.wait(CLOSE_NOTICE)
    terms = world.terms(reward=campaign, expires_at=world.now + 10 * DAY)
    world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    world.send(world.funder, "close_campaign", terms=campaign)
    assert world.read("claimable", owner=world.funder) == 2000
    assert world.ask(campaign=id_of(campaign)).result["decision"] == "Permit"
    for error, function, more in (
        ("POOL/NOT_OPEN", "increase_allowance", {"accessor": world.partner, "uses": 1}),
        ("POOL/NOT_OPEN", "close_campaign", {}),
        ("POOL/NOT_OPEN", "announce_close", {}),
        ("POOL/CAMPAIGN_CLOSED", "deposit", {"amount": 1000}),
        ("BUDGET/TOO_FEW_USES", "decrease_allowance", {"accessor": world.researcher, "uses": 3}),
    ):
        world.refuses(error, world.funder, function, terms=campaign, **more)
    world.send(world.funder, "revoke_allowance", terms=campaign, accessor=world.researcher)
    assert world.read("claimable", owner=world.funder) == 4000
    assert world.ask(campaign=id_of(campaign)).result["reason"] == "RewardUnfunded"


def test_a_notice_and_no_allowance(world: World) -> None:
    """Not promised, and said: the funder takes an allowance back in the announcement's own transaction. What
    was permitted before stays paid."""
    campaign = world.campaign()
    world.fund(campaign, 5000)
    world.allow(campaign, world.researcher, 5)
    world.give(reward=campaign)
    assert world.ask(campaign=id_of(campaign)).result["decision"] == "Permit"
    outcome = world.execute(
        world.funder,
        world.call("announce_close", terms=campaign),
        world.call("revoke_allowance", terms=campaign, accessor=world.researcher),
    )
    assert outcome.error is None
    assert world.ask(campaign=id_of(campaign)).result["reason"] == "RewardUnfunded"
    world.send(world.stranger, "settle", patient=world.patient, grantee=world.researcher, terms=campaign)
    assert world.read("claimable", owner=world.patient) == 900


# --- M7: campaigns that cannot pay --------------------------------------------------------------------------


def test_campaigns_that_cannot_pay(world: World) -> None:
    """One that has expired, one that was never funded, one whose budget lies with somebody else, and one that
    cannot hold a part of its price: none of them is named in a new consent."""
    over = world.campaign(expires_at=world.now + DAY)
    world.fund(over, 10_000)
    never, elsewhere = world.campaign(salt=2), world.campaign(salt=3)
    world.fund(elsewhere, 10_000)
    world.allow(elsewhere, world.partner, 10)
    world.wait(DAY)
    for campaign, error in (
        (over, "CONSENT/CAMPAIGN_EXPIRED"),
        (never, "CONSENT/CAMPAIGN_UNFUNDED"),
        (elsewhere, "CONSENT/CAMPAIGN_UNFUNDED"),
    ):
        terms = world.terms(reward=campaign)
        world.refuses(error, world.patient, "add_consent", grantee=world.funder, terms=terms)
    dear = world.campaign(rate=10**18)
    world.refuses("POOL/NOT_A_MULTIPLE", world.funder, "deposit", terms=dear, amount=1)


@pytest.mark.parametrize("state", ["expired", "announced", "closed", "empty"])
def test_narrowing_a_consent_whose_campaign_cannot_pay(world: World, state: str) -> None:
    """A consent that names the campaign already can be narrowed whatever became of it; given anew, after it
    was withdrawn, it cannot."""
    campaign = world.campaign(expires_at=world.now + 20 * DAY)
    world.fund(campaign, 1000)
    world.give(world.funder, reward=campaign, expires_at=world.now + 100 * DAY)
    if state == "empty":
        world.ask(world.funder, campaign=id_of(campaign))
    elif state == "announced":
        world.send(world.funder, "announce_close", terms=campaign)
    else:
        world.wait(20 * DAY)
        if state == "closed":
            world.send(world.funder, "close_campaign", terms=campaign)
    narrow = world.terms(reward=campaign, categories=1, expires_at=world.now + 50 * DAY)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=narrow)
    world.send(world.patient, "revoke_consent", grantee=world.funder, purpose=HRESCH, study=0)
    error = {
        "expired": "CONSENT/CAMPAIGN_EXPIRED",
        "announced": "CONSENT/CAMPAIGN_CLOSING",
        "closed": "CONSENT/CAMPAIGN_EXPIRED",
        "empty": "CONSENT/CAMPAIGN_UNFUNDED",
    }[state]
    world.refuses(error, world.patient, "add_consent", grantee=world.funder, terms=narrow)


# --- L1 to L12 ----------------------------------------------------------------------------------------------


def test_an_allowance_that_is_lowered_while_it_is_spent(world: World) -> None:
    """Three uses are to become two, and the accessor spends all three first: taking one back fails, and
    nothing is granted anew."""
    campaign = world.campaign()
    world.fund(campaign, 10_000)
    world.allow(campaign, world.researcher, 3)
    world.give(reward=campaign)
    spent = [world.ask(campaign=id_of(campaign)).result["decision"] for _ in range(3)]
    lower = {"terms": campaign, "accessor": world.researcher, "uses": 1}
    world.refuses("BUDGET/TOO_FEW_USES", world.funder, "decrease_allowance", **lower)
    spent += [world.ask(campaign=id_of(campaign)).result["decision"]]
    assert spent == [*["Permit"] * 3, "Deny"]
    # By whatever is left it cannot be made to fail.
    receipt = world.send(world.funder, "revoke_allowance", terms=campaign, accessor=world.researcher)
    assert receipt.result == 0
    assert receipt.events == []


def test_a_pool_that_is_its_own_custodian(world: World) -> None:
    """Such terms take no money, and neither do those with a share for nobody, or with nobody's share."""
    for changes in (
        {"custodian": world.pool.address},
        {"custodian": 0},
        {"custodian_bps": 0},
    ):
        terms = world.campaign(**changes)
        world.refuses("POOL/BAD_CUSTODIAN", world.funder, "deposit", terms=terms, amount=1000)


def test_break_the_glass_as_an_ordinary_purpose(world: World) -> None:
    """It is no purpose of requests, consents, wishes, refusals or statements: nobody fills a patient's
    emergencies."""
    btg = felt("BTG")
    terms = world.terms(purpose=btg)
    target = {"grantee": world.researcher, "purpose": btg, "study": 0}
    for error, sender, function, arguments in (
        ("ACCESS/BAD_PURPOSE", world.researcher, "request_access", {"request": world.request(purpose=btg)}),
        ("ACCESS/BAD_PURPOSE", world.researcher, "request_access_batch", world.batch((1, 1), purpose=btg)),
        ("ACCESS/BAD_PURPOSE", world.researcher, "state_deletion", deletion(world, purpose=btg)),
        ("CONSENT/BAD_PURPOSE", world.patient, "add_consent", {"grantee": world.hospital, "terms": terms}),
        ("CONSENT/BAD_PURPOSE", world.patient, "refuse_consent", target),
        ("CONSENT/BAD_PURPOSE", world.patient, "refuse_purpose", {"purpose": btg}),
        ("CONSENT/BAD_PURPOSE", world.patient, "allow_purpose", {"purpose": btg}),
        (
            "CONSENT/BAD_PURPOSE",
            world.researcher,
            "request_consent",
            {"patient": world.patient, "terms": terms, "open_until": world.now + 1},
        ),
        ("POOL/BAD_PURPOSE", world.funder, "deposit", {"terms": world.campaign(purpose=btg), "amount": 1000}),
    ):
        world.refuses(error, sender, function, **arguments)


def test_a_successor_that_waits_for_years(world: World) -> None:
    """A hand-over lapses after 14 days, to the second; and is not revived by anything but a new one, with a
    delay of its own."""
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    world.wait(ADMIN_LAPSE - 1)
    accept = world.call("accept_admin_transfer")
    assert world.simulate(world.successor, accept).error is None
    for wait in (1, 4 * 365 * DAY):
        world.wait(wait)
        world.refuses("ENTITY/TRANSFER_LAPSED", world.successor, "accept_admin_transfer")
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    world.refuses("ENTITY/TRANSFER_NOT_READY", world.successor, "accept_admin_transfer")


def test_a_consent_that_says_given_when_it_is_dead(world: World) -> None:
    """The record says what is stored, and beside it what holds now."""
    world.give(expires_at=world.now + 10)

    def said() -> tuple[str, str]:
        consent = world.read("consent", **world.about(), campaign=0)
        return consent["status"], consent["state"]

    assert said() == ("Given", "Granted")
    world.send(world.patient, "refuse_purpose", purpose=HRESCH)
    assert said() == ("Given", "PurposeRefused")
    world.send(world.patient, "allow_purpose", purpose=HRESCH)
    world.wait(10)
    assert said() == ("Given", "Expired")
    world.send(world.patient, "revoke_all", dismiss_delegates=False)
    assert said() == ("Given", "AllRevoked")
    world.send(world.admin, "suspend_entity", address=world.researcher)
    assert said() == ("Given", "EntitySuspended")


def test_one_price_for_whatever_is_asked(world: World) -> None:
    """Not defended, and said: a request for one record and one for everything cost the same (L6)."""
    campaign = world.campaign()
    world.fund(campaign, 2000)
    world.give(world.funder, reward=campaign)
    for categories, record in ((1, 0xEC04D), (0xFFFF, 0)):
        asked = {"categories": categories, "record": record, "campaign": id_of(campaign)}
        assert world.ask(world.funder, **asked).result["decision"] == "Permit"
    receipt = world.send(
        world.stranger, "settle", patient=world.patient, grantee=world.funder, terms=campaign
    )
    assert (receipt.result, receipt.events[0].data["share"]) == (2, 1800)


def test_an_emergency_in_a_transaction_that_fails(world: World) -> None:
    """It leaves no entry and no emergency to justify: nothing was released by it either, as long as who
    releases waits for a block (L7)."""
    world.wait(EMERGENCY_DELAY)
    through = world.call("request_emergency_access", patient=world.patient, **EMERGENCY)
    fails = world.call("revoke_consent", grantee=world.researcher, purpose=HRESCH, study=0)
    assert_refused(world.execute(world.hospital, through, fails), "CONSENT/NOT_FOUND")
    assert world.read("log_head", patient=world.patient)["count"] == 0
    nothing = {"patient": world.patient, "emergency": 1, "statement": 1}
    world.refuses("ACCESS/NO_EMERGENCY", world.hospital, "justify_emergency", **nothing)


def test_one_statement_that_uses_an_anchors_sizes_up(world: World) -> None:
    """A quorum that goes wrong once moves the log by at most 2^32 entries, so the anchor goes on (L8)."""
    anchoring = Anchoring(world)
    for size in (2**64 - 1, MAX_GROWTH + 1):
        values = log(3)
        statement = anchoring.statement(values, size=size)
        anchoring.refuses_to_anchor("ANCHOR/TOO_LONG", values, statement=statement)
    anchoring.anchor(log(3))


def test_an_entity_whose_key_was_stolen(world: World) -> None:
    """It suspends itself; only the administrator lifts that, and then the 48 hours begin again (L9). The
    thief changes the profile once a day at most, and is seen."""
    world.wait(EMERGENCY_DELAY)
    assert (
        world.send(world.hospital, "request_emergency_access", patient=world.patient, **EMERGENCY).result[
            "reason"
        ]
        == "BreakGlass"
    )
    world.send(world.hospital, "change_profile", profile_commitment=1)
    world.refuses("ENTITY/PROFILE_TOO_SOON", world.hospital, "change_profile", profile_commitment=2)
    world.wait(PROFILE_DELAY - 1)
    world.refuses("ENTITY/PROFILE_TOO_SOON", world.hospital, "change_profile", profile_commitment=2)
    world.send(world.hospital, "suspend_self")
    for function, arguments in (
        ("request_emergency_access", {"patient": world.patient, **EMERGENCY}),
        ("request_access", {"request": world.request()}),
        ("change_profile", {"profile_commitment": 2}),
        ("suspend_self", {}),
    ):
        world.refuses("ENTITY/SUSPENDED", world.hospital, function, **arguments)
    world.refuses("ENTITY/NOT_ADMIN", world.hospital, "reinstate_entity", address=world.hospital)
    world.send(world.admin, "reinstate_entity", address=world.hospital)
    emergency = world.call("request_emergency_access", patient=world.patient, **EMERGENCY)
    world.wait(EMERGENCY_DELAY - 1)
    assert world.simulate(world.hospital, emergency).events[0].data["reason"] == "HospitalTooNew"
    world.wait(1)
    assert world.simulate(world.hospital, emergency).events[0].data["reason"] == "BreakGlass"


def test_a_pool_that_had_too_many_deposits(world: World) -> None:
    """What bounds a pool is what it owes, not what it ever took: a round of deposit, closing and withdrawal
    leaves all of the room (L10)."""
    largest = 2**123 - 1
    for salt in (1, 2):
        campaign = world.campaign(rate=largest, custodian=0, custodian_bps=0, salt=salt)
        campaign["expires_at"] = world.now + DAY
        world.fund(campaign, largest)
        world.refuses(
            "POOL/LIABILITY_CAP",
            world.funder,
            "deposit",
            terms=world.campaign(rate=1, custodian=0, custodian_bps=0, salt=9),
            amount=1,
        )
        world.wait(DAY)
        world.send(world.funder, "close_campaign", terms=campaign)
        world.send(world.funder, "withdraw", amount=largest, recipient=world.stranger, claims=[])
        assert world.read("liabilities") == 0
    assert world.read("withdrawn", owner=world.funder) == largest


def test_a_false_successor(world: World) -> None:
    """Whoever has the administrator's key may name any deployment as the next; here nothing follows from it
    (L11)."""
    world.give()
    before = world.verdict(), world.read("admin"), world.read("pool_class_hash")
    receipt = world.send(world.admin, "announce_successor", successor=0xBAD)
    assert [event.name for event in receipt.events] == ["SuccessorAnnounced"]
    assert (world.verdict(), world.read("admin"), world.read("pool_class_hash")) == before
    world.refuses("ENTITY/BAD_SUCCESSOR", world.admin, "announce_successor", successor=world.medsync.address)
    world.refuses("ENTITY/NOT_ADMIN", world.stranger, "announce_successor", successor=1)
    world.send(world.admin, "announce_successor", successor=0)
    assert world.read("successor") == 0
    assert world.read("snip12_metadata") == (felt("MedSync"), felt("v2"))


def test_pay_that_cannot_be_told_apart(world: World) -> None:
    """A settlement names campaign, patient, grantee and study, and an entry names the campaign that paid
    (L12): the permits under a campaign add up to what is settled."""
    campaigns = [world.campaign(study=study, salt=study) for study in (11, 22)]
    entries = []
    for uses, terms in enumerate(campaigns, 1):
        world.fund(terms, 5000)
        world.give(world.funder, study=terms["study"], reward=terms)
        for _ in range(uses):
            asked = world.ask(world.funder, study=terms["study"], campaign=id_of(terms))
            entries += asked.events
    for terms in campaigns:
        receipt = world.send(
            world.stranger, "settle", patient=world.patient, grantee=world.funder, terms=terms
        )
        permits = [entry for entry in entries if entry.data["campaign"] == id_of(terms)]
        assert receipt.events == [
            world.raised(
                "RewardSettled",
                campaign=id_of(terms),
                patient=world.patient,
                grantee=world.funder,
                study=terms["study"],
                uses=len(permits),
                share=900 * len(permits),
            )
        ]


# --- what a class hash proves -------------------------------------------------------------------------------


def test_a_pool_with_a_past(world: World) -> None:
    """A contract of the published class, made by somebody else, with a thief's credit and a use left that
    nobody paid for: no consent names it, and no budget and no settlement moves by it."""
    thief = world.stranger
    pool = prepared(
        world,
        world.chain.declared("RewardPool"),
        {
            address_of("token"): world.token.address,
            address_of("medsync"): world.medsync.address,
            address_of("credits", thief): 1000,
        },
    )
    assert world.read("claimable", pool, owner=thief) == 1000
    assert world.read("is_pool", pool=pool.address) is False
    campaign = world.campaign(pool=pool.address, custodian=0, custodian_bps=0)
    terms = world.terms(reward=campaign)
    world.refuses("CONSENT/NOT_A_POOL", world.patient, "add_consent", grantee=world.funder, terms=terms)
    minted = world.execute(
        world.funder,
        world.call("mint", recipient=world.funder, amount=1000),
        world.call("approve", spender=pool.address, amount=1000),
        world.call("deposit", pool, terms=campaign, amount=1000),
    )
    assert_refused(minted, "BUDGET/NOT_POOL")
    for function, arguments in (
        ("settle", {"patient": world.patient, "grantee": world.funder, "terms": campaign}),
        ("increase_allowance", {"terms": campaign, "accessor": world.partner, "uses": 1}),
    ):
        outcome = world.execute(world.funder, world.call(function, pool, **arguments))
        assert outcome.error in ("BUDGET/NOT_POOL", "POOL/NOT_OPEN")

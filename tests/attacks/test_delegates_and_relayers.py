"""Those whom a patient lets act or submit, as enemies: what they can spoil, what they cannot take, and that
the patient is rid of them by one transaction of its own."""

import pytest

from tests.harness.snip12 import consent_message, revocation_message
from tests.harness.words import DAY, GIVE, HRESCH, MAX_TIME, REFUSE, REVOKE
from tests.harness.world import World, assert_refused

ALL_POWERS = GIVE | REVOKE | REFUSE


# --- delegates ----------------------------------------------------------------------------------------------


def test_a_delegate_that_burns_nonces(world: World) -> None:
    """Revoking everything voids signed messages, so a delegate with that power can void each one that the
    patient signs. It cannot keep the patient from giving the consent itself, and is dismissed by one call."""
    world.name_delegate(REVOKE)
    for generation in (1, 2, 3):
        message = consent_message(world, generation=generation)
        world.send(world.delegate, "revoke_all_for", patient=world.patient)
        world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **message)
    world.give()
    assert world.verdict() == ("Permit", "Granted", 1)
    world.send(world.patient, "dismiss_delegates")
    world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "revoke_all_for", patient=world.patient)
    world.send(world.relayer, "add_consent_by_sig", **consent_message(world, generation=4, version=2))


def test_a_delegate_that_prolongs_its_own_powers(world: World) -> None:
    """Powers are set by the patient's own call, and there is no message that sets them. What a delegate sets
    is about the delegate's own consents."""
    world.name_delegate(GIVE, world.now + 10)
    before = world.read("delegation", patient=world.patient, delegate=world.delegate)
    world.refuses(
        "CONSENT/SELF_DELEGATE",
        world.delegate,
        "set_delegate",
        delegate=world.delegate,
        powers=ALL_POWERS,
        expires_at=MAX_TIME,
    )
    # It and a friend name each other, for ever.
    for one, other in ((world.delegate, world.stranger), (world.stranger, world.delegate)):
        world.send(one, "set_delegate", delegate=other, powers=ALL_POWERS, expires_at=MAX_TIME)
    assert world.read("delegation", patient=world.patient, delegate=world.delegate) == before
    world.wait(10)
    for who in (world.delegate, world.stranger):
        world.refuses(
            "CONSENT/NOT_DELEGATE",
            who,
            "add_consent_for",
            patient=world.patient,
            grantee=world.researcher,
            terms=world.terms(),
        )


def test_a_delegate_that_gives_back_what_the_patient_withdrew(world: World) -> None:
    """Not even what it had given itself: what the patient decided, only the patient decides anew."""
    world.name_delegate(ALL_POWERS)
    given = {"patient": world.patient, "grantee": world.researcher, "terms": world.terms()}
    world.send(world.delegate, "add_consent_for", **given)
    world.send(world.delegate, "add_consent_for", **given)
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH, study=0)
    target = {"patient": world.patient, "grantee": world.researcher, "purpose": HRESCH, "study": 0}
    for function in ("revoke_consent_for", "refuse_consent_for"):
        assert world.send(world.delegate, function, **target).events == []
        world.refuses("CONSENT/PATIENT_DECIDED", world.delegate, "add_consent_for", **given)
    world.send(world.delegate, "revoke_all_for", patient=world.patient)
    world.refuses("CONSENT/PATIENT_DECIDED", world.delegate, "add_consent_for", **given)
    assert world.verdict() == ("Deny", "Withdrawn", 3)
    world.give()
    assert world.verdict() == ("Permit", "Granted", 4)


def test_a_delegate_that_refuses_with_the_power_to_refuse(world: World) -> None:
    """To refuse is not to revoke: a live consent, begun or not, is out of its reach without that power."""
    world.name_delegate(REFUSE)
    target = {"patient": world.patient, "grantee": world.researcher, "purpose": HRESCH, "study": 0}
    for starts_at in (world.now, world.now + 10):
        world.give(starts_at=starts_at)
        world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "refuse_consent_for", **target)
    world.name_delegate(REFUSE + REVOKE)
    world.send(world.delegate, "refuse_consent_for", **target)
    assert world.verdict() == ("Deny", "Refused", 3)


def test_a_dismissed_delegate_that_is_named_again(world: World) -> None:
    """Dismissing ends what it was, with its powers and its end; being named anew gives it what is named then,
    and revives nobody else."""
    for delegate in (world.delegate, world.stranger):
        powers = {"delegate": delegate, "powers": ALL_POWERS, "expires_at": MAX_TIME}
        world.send(world.patient, "set_delegate", **powers)
    world.send(world.patient, "dismiss_delegates")
    world.name_delegate(REFUSE)
    for delegate in (world.delegate, world.stranger):
        world.refuses("CONSENT/NOT_DELEGATE", delegate, "revoke_all_for", patient=world.patient)
    assert world.read("delegation", patient=world.patient, delegate=world.stranger)["powers"] == ALL_POWERS


def test_a_consent_given_in_the_delegates_last_second(world: World) -> None:
    """It outlives the delegation, as what any guardian decided does. It is the patient's consent, so the
    patient can withdraw it."""
    world.name_delegate(GIVE, world.now + 1)
    terms = world.terms(expires_at=MAX_TIME)
    given = {"patient": world.patient, "grantee": world.researcher, "terms": terms}
    world.send(world.delegate, "add_consent_for", **given)
    world.wait(365 * DAY)
    assert world.verdict() == ("Permit", "Granted", 1)
    world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "add_consent_for", **given)
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH, study=0)
    assert world.verdict() == ("Deny", "Withdrawn", 2)


def test_a_delegate_that_speaks_in_the_patients_name(world: World) -> None:
    """What it does names it. The patient's withdrawal and its revocation are told apart for ever."""
    world.name_delegate(ALL_POWERS)
    world.give()
    receipt = world.send(
        world.delegate,
        "revoke_consent_for",
        patient=world.patient,
        grantee=world.researcher,
        purpose=HRESCH,
        study=0,
    )
    assert receipt.events[0].data["by"] == world.delegate
    assert world.verdict() == ("Deny", "Revoked", 2)
    # Nor does any power reach what is not in it: emergencies, purposes, delegates, messages, money.
    before = world.read("patient_state", patient=world.patient)
    for function, arguments in (
        ("set_emergency_choice", {"choice": "Nobody"}),
        ("forbid_emergency", {"hospital": world.hospital}),
        ("refuse_purpose", {"purpose": HRESCH}),
        ("dismiss_delegates", {}),
        ("cancel_signatures", {}),
        ("revoke_all", {"dismiss_delegates": True}),
    ):
        receipt = world.send(world.delegate, function, **arguments)
        assert [event.keys["patient"] for event in receipt.events] == [world.delegate]
    assert world.read("patient_state", patient=world.patient) == before
    draw = {"amount": 1, "recipient": world.delegate, "claims": []}
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.delegate, "withdraw", **draw)


def test_front_running_a_withdrawal(world: World) -> None:
    """A grantee that sees the withdrawal coming can use the consent once more before it, never after; and a
    delegate that is faster cannot make the patient's transaction fail."""
    world.name_delegate(REVOKE)
    world.give()
    withdrawal = world.call("revoke_consent", grantee=world.researcher, purpose=HRESCH, study=0)
    assert world.ask().result["decision"] == "Permit"
    world.send(
        world.delegate,
        "revoke_consent_for",
        patient=world.patient,
        grantee=world.researcher,
        purpose=HRESCH,
        study=0,
    )
    assert world.execute(world.patient, withdrawal).error is None
    assert world.ask().result["decision"] == "Deny"


@pytest.mark.parametrize("power", [GIVE, REFUSE])
def test_a_delegate_that_is_there_before_a_signed_consent(world: World, power: int) -> None:
    """The patient signed a consent for a record that is empty; a delegate decides on it first, and the
    message is void. A withdrawal signed as well undoes what the delegate did."""
    reward = world.campaign()
    world.fund(reward, 1000)
    world.allow(reward, world.researcher, 1)
    consent, withdrawal = consent_message(world, terms=world.terms(reward=reward)), revocation_message(world)
    world.name_delegate(power)
    about = {"patient": world.patient, "grantee": world.researcher}
    if power == GIVE:
        world.send(world.delegate, "add_consent_for", **about, terms=world.terms())
    else:
        world.send(world.delegate, "refuse_consent_for", **about, purpose=HRESCH, study=0)
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **consent)
    world.send(world.relayer, "revoke_consent_by_sig", **withdrawal)
    assert world.verdict() == ("Deny", "Withdrawn", 2)


# --- relayers -----------------------------------------------------------------------------------------------


def test_a_relayer_that_keeps_a_consent_back(world: World) -> None:
    """It waits for a moment that suits it. The patient needs no relayer to void the message."""
    message = consent_message(world, deadline=MAX_TIME, terms=world.terms(expires_at=MAX_TIME))
    world.wait(30 * DAY)
    world.send(world.patient, "cancel_signatures")
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **message)


@pytest.mark.parametrize("who", ["patient", "stranger", "delegate"])
def test_a_relayer_that_keeps_a_withdrawal_back(world: World, who: str) -> None:
    """The same message does the same for whoever submits it, the patient among them."""
    world.give()
    message = revocation_message(world)
    world.send(getattr(world, who), "revoke_consent_by_sig", **message)
    assert world.verdict() == ("Deny", "Withdrawn", 2)
    # And when the relayer comes round to it, it is too late to do harm.
    world.refuses("CONSENT/BAD_GENERATION", world.relayer, "revoke_consent_by_sig", **message)


def test_a_relayer_that_is_front_run(world: World) -> None:
    """Somebody copies its transaction and is faster. It pays for a failure; the patient got what it signed,
    once."""
    message = consent_message(world)
    receipt = world.send(world.stranger, "add_consent_by_sig", **message)
    assert receipt.events[0].data["by"] == world.patient
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **message)
    assert world.verdict() == ("Permit", "Granted", 1)


def test_a_relayer_that_submits_only_the_second_message(world: World) -> None:
    """A consent, and then a narrower one: counters have an order, so the first cannot be left out,
    nor put last."""
    wide = consent_message(world)
    narrow = consent_message(world, counter=2, version=2, terms=world.terms(categories=1))
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **narrow)
    world.send(world.relayer, "add_consent_by_sig", **wide)
    world.send(world.relayer, "add_consent_by_sig", **narrow)
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **wide)
    assert world.verdict(categories=1) == ("Permit", "Granted", 2)
    assert world.verdict() == ("Deny", "CategoryNotCovered", 2)


def test_a_relayer_that_submits_only_the_first_message(world: World) -> None:
    """A consent and its withdrawal, signed together, and it keeps the second back: the patient withdraws
    itself, or has anybody else submit it, and every other message that gives something is void."""
    more = consent_message(world, counter=2, version=2)
    withdrawal = revocation_message(world)
    world.send(world.relayer, "add_consent_by_sig", **consent_message(world))
    world.send(world.patient, "revoke_all", dismiss_delegates=False)
    assert world.verdict() == ("Deny", "AllRevoked", 1)
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **more)
    world.send(world.stranger, "revoke_consent_by_sig", **withdrawal)
    assert world.verdict() == ("Deny", "Withdrawn", 2)


def test_one_bad_message_among_good_ones(world: World) -> None:
    """A relayer that bundles the messages of many loses the bundle to one that is void; the others stay as
    good as they were."""
    good = world.call("add_consent_by_sig", **consent_message(world))
    bad = world.call("add_consent_by_sig", **consent_message(world, patient=world.neighbour, counter=2))
    assert_refused(world.execute(world.relayer, good, bad), "CONSENT/BAD_NONCE")
    assert world.execute(world.relayer, good).error is None


def test_whoever_submits_garbage(world: World) -> None:
    """It burns its own fee, and no counter: the patient's message is as good as before."""
    message = consent_message(world)
    for signature in ([], [0], [0, 0], [1, 2, 3], [2**251, 2**251]):
        outcome = world.execute(
            world.stranger, world.call("add_consent_by_sig", **(message | {"signature": signature}))
        )
        assert outcome.error is not None
        assert not any(outcome.cells.values())
    world.send(world.relayer, "add_consent_by_sig", **message)


def test_a_relayer_that_adds_something_of_its_own(world: World) -> None:
    """In one transaction with the patient's message, its own calls are still its own."""
    more = (
        world.call("revoke_all", dismiss_delegates=True),
        world.call("set_emergency_choice", choice="Nobody"),
    )
    outcome = world.execute(world.relayer, world.call("add_consent_by_sig", **consent_message(world)), *more)
    assert [event.keys["patient"] for event in outcome.events] == [
        world.patient,
        *[world.relayer] * 2,
    ]
    assert world.verdict() == ("Permit", "Granted", 1)
    assert world.read("patient_state", patient=world.patient)["emergency"] == "EveryHospital"

"""Consents and withdrawals that patients sign and anyone submits: what a signature covers, and what voids
it."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from tests.harness.cells import assert_changed, patient_cell, record_cell
from tests.harness.expected import added, patient_state, record, revoked, stored
from tests.harness.snip12 import consent_hash, consent_message, revocation_message, signed
from tests.harness.words import (
    BROAD,
    BTG,
    GIVE,
    HRESCH,
    MAX_TIME,
    MAX_U32,
    MAX_U64,
    REFUSE,
    REVOKE,
    felt,
)
from tests.harness.world import World, id_of

STUDY = 0x57D7
ANYONE = ["relayer", "patient", "researcher", "stranger", "admin"]


def nonce_of(generation: int, counter: int = 0) -> int:
    return generation << 32 | counter


def state(world: World) -> Any:
    return world.read("patient_state", patient=world.patient)


def submit(world: World, message: dict[str, Any]) -> Any:
    return world.send(world.relayer, "add_consent_by_sig", **message)


def submit_withdrawal(world: World, message: dict[str, Any]) -> Any:
    return world.send(world.relayer, "revoke_consent_by_sig", **message)


def is_refused(world: World, error: str, message: dict[str, Any]) -> None:
    function = "add_consent_by_sig" if "terms" in message else "revoke_consent_by_sig"
    world.refuses(error, world.relayer, function, **message)


# --- they work ----------------------------------------------------------------------------------------------


def test_the_contract_tells_wallets_its_domain(world: World) -> None:
    assert world.read("snip12_metadata") == (felt("MedSync"), felt("v2"))


@pytest.mark.parametrize("who", ANYONE)
def test_anyone_submits_a_signed_consent(world: World, who: str) -> None:
    """The event names the patient; who submitted it got nothing and is not named."""
    terms = world.terms(max_uses=3, categories=5, scoped=True, study=STUDY)
    message = consent_message(world, terms=terms)
    receipt = world.send(getattr(world, who), "add_consent_by_sig", **message)
    assert receipt.result == 1
    assert receipt.events == [added(world, terms, nonce=nonce_of(1, 1))]
    assert state(world) == patient_state(counter=2)
    cells = {
        patient_cell(world): patient_state(counter=2, emergency=0),
        record_cell(world, study=STUDY): record(terms),
    }
    assert_changed(world, receipt.storage, cells)
    assert world.verdict(categories=5, study=STUDY) == ("Permit", "Granted", 1)


def test_a_signed_consent_can_insist_on_a_reward(world: World) -> None:
    reward = world.campaign()
    world.fund(reward, 1000)
    world.allow(reward, world.researcher, 1)
    (event,) = submit(world, consent_message(world, terms=world.terms(reward=reward))).events
    assert event.data["campaign"] == id_of(reward)
    assert world.ask(campaign=id_of(reward)).result["decision"] == "Permit"


@pytest.mark.parametrize("who", ANYONE)
@pytest.mark.parametrize("study", [BROAD, STUDY])
def test_anyone_submits_a_signed_withdrawal(world: World, who: str, study: int) -> None:
    terms = world.give(study=study)
    message = revocation_message(world, study=study)
    receipt = world.send(getattr(world, who), "revoke_consent_by_sig", **message)
    assert receipt.result is None
    assert receipt.events == [revoked(world, nonce=nonce_of(1), generation=2, study=study)]
    assert world.verdict(study=study) == ("Deny", "Withdrawn", 2)
    # It raises the generation: whatever was signed before and gives something is void.
    assert state(world) == patient_state(generation=2)
    cells = {
        patient_cell(world): patient_state(generation=2, emergency=0),
        record_cell(world, study=study): record(terms, version=2, generation=2, status=2),
    }
    assert_changed(world, receipt.storage, cells)


def test_many_messages_signed_in_a_row_work_in_a_row(world: World) -> None:
    """Each is for the version and the counter that the one before it makes."""
    for counter in range(1, 5):
        message = consent_message(world, counter=counter, version=counter)
        receipt = submit(world, message)
        assert receipt.events[0].data["nonce"] == nonce_of(1, counter)
    assert state(world) == patient_state(counter=5)


def test_an_empty_record_becomes_a_withdrawn_one(world: World) -> None:
    """The patient withdraws a consent that was signed, was handed over, and is not submitted yet."""
    pending = consent_message(world)
    receipt = submit_withdrawal(world, revocation_message(world))
    assert receipt.events == [revoked(world, seq=1, version=1, nonce=nonce_of(1), generation=2)]
    assert world.verdict() == ("Deny", "Withdrawn", 1)
    is_refused(world, "CONSENT/BAD_NONCE", pending)


# --- what voids a consent -----------------------------------------------------------------------------------


@pytest.mark.parametrize("gives", [True, False])
@pytest.mark.parametrize(("offset", "good"), [(-1, True), (0, True), (1, False)])
def test_the_deadline_is_exact(world: World, gives: bool, offset: int, good: bool) -> None:
    """The deadline is the last second a message is good for."""
    message = (consent_message if gives else revocation_message)(world)
    world.now = message["deadline"] + offset
    if good:
        (submit if gives else submit_withdrawal)(world, message)
    else:
        is_refused(world, "CONSENT/SIGNATURE_EXPIRED", message)


def test_a_message_without_deadline(world: World) -> None:
    submit(world, consent_message(world, deadline=MAX_U64))


def test_a_consent_is_good_once(world: World) -> None:
    message = consent_message(world)
    submit(world, message)
    is_refused(world, "CONSENT/BAD_NONCE", message)
    # Nor can it be brought back under the next counter.
    is_refused(world, "CONSENT/BAD_SIGNATURE", message | {"counter": 2})


@pytest.mark.parametrize(
    ("generation", "counter"), [(1, 0), (1, 2), (1, MAX_U32), (0, 1), (2, 1), (MAX_U32, 1)]
)
def test_numbers_have_no_gaps(world: World, generation: int, counter: int) -> None:
    message = consent_message(world, generation=generation, counter=counter)
    is_refused(world, "CONSENT/BAD_NONCE", message)


def revoke_all(world: World) -> None:
    world.send(world.patient, "revoke_all", dismiss_delegates=False)


def revoke_all_by_delegate(world: World) -> None:
    world.name_delegate(REVOKE)
    world.send(world.delegate, "revoke_all_for", patient=world.patient)


def cancel(world: World) -> None:
    world.send(world.patient, "cancel_signatures")


def withdraw_another_by_message(world: World) -> None:
    submit_withdrawal(world, revocation_message(world, purpose=felt("TREAT")))


@pytest.mark.parametrize("button", [revoke_all, revoke_all_by_delegate, cancel, withdraw_another_by_message])
def test_a_panic_button_voids_every_message_signed_before(
    world: World, button: Callable[[World], None]
) -> None:
    """However many were signed in a row, for whatever generation is present: the number of the whole
    generation is burnt, not one counter."""
    messages = [
        consent_message(world, counter=counter, version=version)
        for counter in range(1, 6)
        for version in range(1, 3)
    ]
    before = state(world)
    button(world)
    assert state(world)["generation"] == before["generation"] + 1
    assert state(world)["counter"] == 1
    for message in messages:
        is_refused(world, "CONSENT/BAD_NONCE", message)
    assert world.verdict() == ("NoConsent", "NeverGiven", 0)
    submit(world, consent_message(world, generation=2))
    assert world.verdict()[0] == "Permit"


def test_any_change_of_the_record_voids_a_signed_consent(world: World) -> None:
    """A message signed for version 1 cannot undo what the patient did since, though its numbers are still
    good."""
    message = consent_message(world)
    world.give(categories=1)
    is_refused(world, "CONSENT/BAD_SIGNATURE", message)
    about = {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD}
    world.send(world.patient, "revoke_consent", **about)
    is_refused(world, "CONSENT/BAD_SIGNATURE", message)
    world.send(world.patient, "refuse_consent", **about)
    is_refused(world, "CONSENT/BAD_SIGNATURE", message)
    assert state(world) == patient_state()
    # The version it will really get is good.
    submit(world, consent_message(world, version=4))
    assert world.verdict() == ("Permit", "Granted", 4)


def test_another_message_of_the_same_counter_voids_it(world: World) -> None:
    message = consent_message(world)
    submit(world, consent_message(world, terms=world.terms(purpose=felt("TREAT"))))
    is_refused(world, "CONSENT/BAD_NONCE", message)


# --- what becomes of a withdrawal ---------------------------------------------------------------------------


def test_withdrawals_are_good_in_any_order(world: World) -> None:
    """Three were signed in one generation for three consents; each raises the generation, and none voids
    another."""
    purposes = ("HRESCH", "TREAT", "PUBHLTH")
    for place, order in enumerate(permutations(purposes)):
        generation = state(world)["generation"]
        for purpose in purposes:
            world.give(purpose=felt(purpose), study=place)
        messages = {
            purpose: revocation_message(world, purpose=felt(purpose), study=place, generation=generation)
            for purpose in purposes
        }
        for purpose in order:
            submit_withdrawal(world, messages[purpose])
            assert world.verdict(purpose=felt(purpose), study=place)[1] == "Withdrawn"
        for message in messages.values():
            is_refused(world, "CONSENT/BAD_GENERATION", message)


@pytest.mark.parametrize("button", [revoke_all, revoke_all_by_delegate, cancel, withdraw_another_by_message])
def test_nothing_else_voids_a_withdrawal(world: World, button: Callable[[World], None]) -> None:
    world.give()
    message = revocation_message(world)
    button(world)
    submit_withdrawal(world, message)
    assert world.verdict()[1] == "Withdrawn"
    assert stored(world)["generation"] == 3


def test_within_a_generation_withdrawal_wins(world: World) -> None:
    """A renewal given after it, signed before it or direct, in the same generation, is withdrawn too."""
    world.give()
    message = revocation_message(world)
    world.give()
    submit(world, consent_message(world, version=3))
    submit_withdrawal(world, message)
    assert world.verdict() == ("Deny", "Withdrawn", 4)


def test_a_withdrawal_reaches_what_a_delegate_gave_since(world: World) -> None:
    world.name_delegate(GIVE)
    message = revocation_message(world)
    cancel(world)
    give = {"patient": world.patient, "grantee": world.researcher, "terms": world.terms()}
    world.send(world.delegate, "add_consent_for", **give)
    submit_withdrawal(world, message)
    assert world.verdict()[1] == "Withdrawn"


def test_a_withdrawal_never_works_twice_nor_against_a_later_consent(world: World) -> None:
    world.give()
    message, other = (revocation_message(world, deadline=world.now + after) for after in (10, 20))
    submit_withdrawal(world, message)
    is_refused(world, "CONSENT/BAD_GENERATION", message)
    # Another one signed in the same generation is used up with it.
    is_refused(world, "CONSENT/BAD_GENERATION", other)
    world.give()
    for one in (message, other):
        is_refused(world, "CONSENT/BAD_GENERATION", one)
    assert world.verdict() == ("Permit", "Granted", 3)


def test_a_withdrawal_does_not_reach_a_consent_given_after_the_generation_rose(world: World) -> None:
    world.give()
    message = revocation_message(world)
    cancel(world)
    world.give()
    is_refused(world, "CONSENT/BAD_GENERATION", message)
    assert world.verdict() == ("Permit", "Granted", 2)


@pytest.mark.parametrize("generation", [2, MAX_U32])
def test_a_withdrawal_of_a_generation_to_come_is_not_good_yet(world: World, generation: int) -> None:
    world.give()
    is_refused(world, "CONSENT/BAD_GENERATION", revocation_message(world, generation=generation))


@pytest.mark.parametrize("who", ["nobody", "delegate"])
def test_a_withdrawal_names_a_generation(world: World, who: str) -> None:
    """They start at 1. A record that the patient never decided on has none, and 0 is none."""
    if who == "delegate":
        world.name_delegate(GIVE)
        arguments = {"patient": world.patient, "grantee": world.researcher, "terms": world.terms()}
        world.send(world.delegate, "add_consent_for", **arguments)
    is_refused(world, "CONSENT/BAD_GENERATION", revocation_message(world, generation=0))
    assert state(world)["generation"] == 1


@pytest.mark.parametrize("act", ["give", "refuse"])
def test_a_withdrawal_reaches_whatever_only_delegates_decided(world: World, act: str) -> None:
    """Signed for an empty record, which a delegate fills after the patient revoked everything; once."""
    withdrawal = revocation_message(world)
    world.name_delegate(GIVE + REFUSE)
    world.send(world.patient, "revoke_all", dismiss_delegates=False)
    about = {"patient": world.patient, "grantee": world.researcher}
    if act == "give":
        world.send(world.delegate, "add_consent_for", **about, terms=world.terms())
    else:
        world.send(world.delegate, "refuse_consent_for", **about, purpose=HRESCH, study=BROAD)
    receipt = submit_withdrawal(world, withdrawal)
    assert receipt.events == [revoked(world, seq=4, version=2, nonce=nonce_of(1), generation=3)]
    is_refused(world, "CONSENT/BAD_GENERATION", withdrawal)
    world.give()
    is_refused(world, "CONSENT/BAD_GENERATION", withdrawal)
    assert world.verdict() == ("Permit", "Granted", 3)


def test_a_withdrawal_of_what_is_withdrawn_voids_pending_consents(world: World) -> None:
    world.give()
    pending = consent_message(world, version=2)
    about = {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD}
    world.send(world.patient, "revoke_consent", **about)
    receipt = submit_withdrawal(world, revocation_message(world))
    assert receipt.events == [revoked(world, seq=3, version=3, nonce=nonce_of(1), generation=2)]
    is_refused(world, "CONSENT/BAD_NONCE", pending)


# --- what a signature covers --------------------------------------------------------------------------------

OTHER_TERMS: list[tuple[str, Any]] = [
    ("purpose", felt("TREAT")),
    ("study", STUDY),
    ("categories", 1),
    ("starts_at", 0),
    ("expires_at", MAX_TIME),
    ("max_uses", 1),
    ("scoped", True),
    ("terms_commitment", 1),
]


@pytest.mark.parametrize(("field", "value"), OTHER_TERMS)
def test_the_signature_covers_every_term(world: World, field: str, value: int) -> None:
    message = consent_message(world)
    is_refused(world, "CONSENT/BAD_SIGNATURE", message | {"terms": message["terms"] | {field: value}})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("funder", "researcher"),
        ("rate", 1),
        ("custodian", "auditor"),
        ("custodian_bps", 10_000),
        ("expires_at", MAX_TIME),
        ("salt", 2),
        (None, None),
    ],
)
def test_the_signature_covers_the_whole_reward(world: World, field: str | None, value: Any) -> None:
    def funded(terms: dict[str, Any]) -> dict[str, Any]:
        world.fund(terms, 1000)
        if terms["funder"] != world.researcher:
            world.allow(terms, world.researcher, 1)
        return terms

    reward = funded(world.campaign())
    message = consent_message(world, terms=world.terms(reward=reward))
    forged = None
    if field is not None:
        other = getattr(world, value) if isinstance(value, str) else value
        forged = funded(reward | {field: other})
    is_refused(world, "CONSENT/BAD_SIGNATURE", message | {"terms": message["terms"] | {"reward": forged}})
    # And none can be added to a consent that has none.
    plain = consent_message(world)
    is_refused(world, "CONSENT/BAD_SIGNATURE", plain | {"terms": plain["terms"] | {"reward": reward}})


@pytest.mark.parametrize("gives", [True, False])
@pytest.mark.parametrize("field", ["patient", "grantee", "deadline", "signature", "no signature"])
def test_the_signature_covers_the_rest(world: World, gives: bool, field: str) -> None:
    message = (consent_message if gives else revocation_message)(world)
    forgery: dict[str, Any] = {
        "patient": {"patient": world.neighbour},
        "grantee": {"grantee": world.hospital},
        "deadline": {"deadline": message["deadline"] + 1},
        "signature": {"signature": [message["signature"][0], message["signature"][1] ^ 1]},
        "no signature": {"signature": []},
    }[field]
    function = "add_consent_by_sig" if gives else "revoke_consent_by_sig"
    outcome = world.execute(world.relayer, world.call(function, **(message | forgery)))
    # The account itself may panic over a signature of the wrong length.
    assert outcome.error is not None
    if field != "no signature":
        assert outcome.error == "CONSENT/BAD_SIGNATURE", outcome.reason
    assert not any(outcome.cells.values())
    assert state(world) == patient_state()


@pytest.mark.parametrize(("field", "value"), [("purpose", felt("TREAT")), ("study", STUDY)])
def test_a_withdrawal_is_for_its_purpose_and_study(world: World, field: str, value: int) -> None:
    is_refused(world, "CONSENT/BAD_SIGNATURE", revocation_message(world) | {field: value})


def test_a_withdrawal_is_for_its_generation(world: World) -> None:
    cancel(world)
    is_refused(world, "CONSENT/BAD_SIGNATURE", revocation_message(world) | {"generation": 2})


@pytest.mark.parametrize("who", ["delegate", "researcher", "admin", "relayer"])
def test_nobody_signs_for_the_patient(world: World, who: str) -> None:
    """Not even a delegate with every power: delegates have entry points of their own."""
    world.name_delegate(7)
    message = consent_message(world)
    parts = {name: value for name, value in message.items() if name != "signature"}
    forged = signed(world, getattr(world, who), consent_hash(world, **parts, version=1))
    is_refused(world, "CONSENT/BAD_SIGNATURE", message | {"signature": forged})


# --- the order of errors ------------------------------------------------------------------------------------


def test_errors_of_a_signed_consent_come_in_order(world: World) -> None:
    """Deadline, numbers, terms, grantee, refused purposes, the campaign; the account is asked last."""
    reward = world.campaign()
    message = consent_message(world) | {
        "deadline": world.now - 1,
        "counter": 9,
        "grantee": world.stranger,
        "terms": world.terms(categories=0, reward=reward),
        "signature": [1, 2],
    }
    world.send(world.patient, "refuse_purpose", purpose=HRESCH)
    for error, repair in (
        ("CONSENT/SIGNATURE_EXPIRED", {}),
        ("CONSENT/BAD_NONCE", {"deadline": world.now}),
        ("CONSENT/BAD_CATEGORIES", {"counter": 1}),
        ("ENTITY/UNKNOWN", {"terms": world.terms(reward=reward)}),
        ("CONSENT/PURPOSE_REFUSED", {"grantee": world.researcher}),
    ):
        message |= repair
        is_refused(world, error, message)
    world.send(world.patient, "allow_purpose", purpose=HRESCH)
    is_refused(world, "CONSENT/CAMPAIGN_UNFUNDED", message)
    world.fund(reward, 1000)
    world.allow(reward, world.researcher, 1)
    world.send(world.funder, "announce_close", terms=reward)
    is_refused(world, "CONSENT/CAMPAIGN_CLOSING", message)
    world.fund(reward, 1000)
    is_refused(world, "CONSENT/BAD_SIGNATURE", message)


def test_errors_of_a_signed_withdrawal_come_in_order(world: World) -> None:
    message = revocation_message(world) | {
        "grantee": 0,
        "purpose": BTG,
        "deadline": world.now - 1,
        "generation": 9,
        "signature": [1, 2],
    }
    for error, repair in (
        ("CONSENT/ZERO_ADDRESS", {}),
        ("CONSENT/BAD_PURPOSE", {"grantee": world.researcher}),
        ("CONSENT/BAD_PURPOSE", {"purpose": felt("HMARKT")}),
        ("CONSENT/SIGNATURE_EXPIRED", {"purpose": HRESCH}),
        ("CONSENT/BAD_GENERATION", {"deadline": world.now}),
        ("CONSENT/BAD_SIGNATURE", {"generation": 1}),
    ):
        message |= repair
        is_refused(world, error, message)


# --- assert_generation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_calls_signed_for_later_can_name_a_generation(world: World, offset: int) -> None:
    """In front of whatever opens something, so that a panic button voids that too."""
    cancel(world)
    check = world.call("assert_generation", patient=world.patient, generation=2 + offset)
    opening = world.call("allow_purpose", purpose=HRESCH)
    outcome = world.execute(world.patient, check, opening)
    assert outcome.error == (None if offset == 0 else "CONSENT/BAD_GENERATION")


def test_whoever_never_did_anything_is_in_the_first_generation(world: World) -> None:
    world.read("assert_generation", patient=world.stranger, generation=1)

"""Signed withdrawals and panic buttons, attacked by whoever holds other messages, keeps messages back, or
makes the patient's counters run to their ends."""

from itertools import permutations
from typing import Any

import pytest

from tests.harness.cells import patient_cell, record_cell
from tests.harness.log import CONSENTS
from tests.harness.snip12 import consent_message, revocation_message
from tests.harness.words import DAY, GIVE, HRESCH, MAX_U32, REFUSE, RESERVED_FROM, REVOKE
from tests.harness.world import World

SIGNED = "revoke_consent_by_sig"


def target(world: World, grantee: int | None = None) -> dict[str, int]:
    return {"grantee": grantee or world.researcher, "purpose": HRESCH, "study": 0}


@pytest.mark.parametrize("order", permutations(("researcher", "partner", "hospital")))
def test_several_withdrawals_in_any_order(world: World, order: tuple[str, ...]) -> None:
    """Signed at once, for three consents. Each works, and each works once."""
    for name in order:
        world.give(getattr(world, name))
    messages = {name: revocation_message(world, grantee=getattr(world, name)) for name in order}
    for name in order:
        world.send(world.relayer, SIGNED, **messages[name])
        assert world.verdict(grantee=getattr(world, name))[1] == "Withdrawn"
    for name in order:
        world.refuses("CONSENT/BAD_GENERATION", world.relayer, SIGNED, **messages[name])


def test_a_withdrawal_after_a_refusal(world: World) -> None:
    """Signed before the refusal and submitted after it: the standing no becomes a withdrawal, once."""
    withdrawal = revocation_message(world)
    world.send(world.patient, "refuse_consent", **target(world))
    assert world.verdict()[:2] == ("Deny", "Refused")
    world.send(world.relayer, SIGNED, **withdrawal)
    assert world.verdict()[:2] == ("Deny", "Withdrawn")
    world.send(world.patient, "refuse_consent", **target(world))
    world.refuses("CONSENT/BAD_GENERATION", world.relayer, SIGNED, **withdrawal)
    assert world.verdict()[:2] == ("Deny", "Refused")


ACTS: dict[str, tuple[str, str, Any]] = {
    "cancelled signatures": ("patient", "cancel_signatures", lambda world: {}),
    "a withdrawal of another consent": (
        "relayer",
        SIGNED,
        lambda world: revocation_message(world, grantee=world.partner),
    ),
    "all revoked": ("patient", "revoke_all", lambda world: {"dismiss_delegates": True}),
    "all revoked by a delegate": ("delegate", "revoke_all_for", lambda world: {"patient": world.patient}),
    "the same revoked by a delegate": (
        "delegate",
        "revoke_consent_for",
        lambda world: {"patient": world.patient, **target(world)},
    ),
    "the same refused by a delegate": (
        "delegate",
        "refuse_consent_for",
        lambda world: {"patient": world.patient, **target(world)},
    ),
    "a renewal by message": (
        "researcher",
        "add_consent_by_sig",
        lambda world: consent_message(world, version=2),
    ),
    "a purpose refused": ("patient", "refuse_purpose", lambda world: {"purpose": HRESCH}),
    "delegates dismissed": ("patient", "dismiss_delegates", lambda world: {}),
    "the grantee suspended": ("admin", "suspend_entity", lambda world: {"address": world.researcher}),
}


@pytest.mark.parametrize("act", ACTS)
def test_nobody_voids_a_withdrawal(world: World, act: str) -> None:
    """Whatever somebody does between signing and submitting, the consent is withdrawn in the end."""
    world.give()
    world.name_delegate(REVOKE + REFUSE)
    message = revocation_message(world)
    sender, function, arguments = ACTS[act]
    world.send(getattr(world, sender), function, **arguments(world))
    receipt = world.send(world.relayer, SIGNED, **message)
    assert [event.name for event in receipt.events] == ["ConsentRevoked"]
    assert receipt.events[0].data["by"] == world.patient
    assert receipt.events[0].data["nonce"] == 1 << 32
    consent = world.read("consent", **world.about(), campaign=0)
    assert (consent["status"], consent["by_delegate"]) == ("Withdrawn", False)
    world.refuses("CONSENT/BAD_GENERATION", world.relayer, SIGNED, **message)


def test_within_one_generation_a_withdrawal_wins(world: World) -> None:
    """A consent that the patient gave after it signed the withdrawal, by its own transaction, is withdrawn
    too: said, and on the safe side. Once the generation rose it is not."""
    withdrawal = revocation_message(world)
    world.give()
    world.send(world.relayer, SIGNED, **withdrawal)
    assert world.verdict() == ("Deny", "Withdrawn", 2)
    world.give()
    world.refuses("CONSENT/BAD_GENERATION", world.relayer, SIGNED, **withdrawal)
    assert world.verdict() == ("Permit", "Granted", 3)


@pytest.mark.parametrize("rise", ["cancelled signatures", "a withdrawal of another consent", "all revoked"])
def test_a_withdrawal_of_what_was_given_later(world: World, rise: str) -> None:
    """Kept back until the generation rose and the patient gave the consent anew, it works no more."""
    world.give()
    message = revocation_message(world)
    sender, function, arguments = ACTS[rise]
    world.send(getattr(world, sender), function, **arguments(world))
    world.give()
    world.refuses("CONSENT/BAD_GENERATION", world.relayer, SIGNED, **message)
    assert world.verdict()[0] == "Permit"


def test_a_withdrawal_where_nothing_was_given(world: World) -> None:
    """The grantee waits with the consent until the withdrawal came to nothing; but it came to something: the
    cell is a withdrawn one, and the consent that was signed before is void."""
    consent, withdrawal = consent_message(world), revocation_message(world)
    world.send(world.relayer, SIGNED, **withdrawal)
    assert world.verdict() == ("Deny", "Withdrawn", 1)
    world.refuses("CONSENT/BAD_NONCE", world.researcher, "add_consent_by_sig", **consent)
    world.name_delegate(GIVE)
    given = {"patient": world.patient, "grantee": world.researcher, "terms": world.terms()}
    world.refuses("CONSENT/PATIENT_DECIDED", world.delegate, "add_consent_for", **given)


@pytest.mark.parametrize("ahead", [1, 2, MAX_U32 - 1])
def test_a_withdrawal_of_a_generation_to_come(world: World, ahead: int) -> None:
    """Nobody signs one today that stays good whatever is given later."""
    message = revocation_message(world, generation=1 + ahead)
    world.refuses("CONSENT/BAD_GENERATION", world.relayer, SIGNED, **message)


def test_a_relayer_that_keeps_a_withdrawal_for_later(world: World) -> None:
    """Said: with it, it can void the consents that the patient has signed meanwhile for others. The patient
    signs them again; nothing is open that should be closed."""
    world.give()
    kept = revocation_message(world, deadline=world.now + 30 * DAY)
    world.wait(10 * DAY)
    pending = consent_message(world, grantee=world.partner)
    world.send(world.relayer, SIGNED, **kept)
    world.refuses("CONSENT/BAD_NONCE", world.partner, "add_consent_by_sig", **pending)
    again = consent_message(world, grantee=world.partner, generation=2)
    world.send(world.partner, "add_consent_by_sig", **again)


def test_the_last_generation(world: World) -> None:
    """Where a patient's generations end, everything still closes and nothing opens any more."""
    world.give()
    world.give(world.partner)
    patient_cell(world).write(generation=MAX_U32 - 1, counter=1)
    world.give(world.hospital)
    withdrawals = [revocation_message(world, grantee=world.hospital, generation=MAX_U32 - 1)]
    withdrawals.append(revocation_message(world, generation=MAX_U32))
    world.send(world.relayer, SIGNED, **withdrawals[0])
    assert world.read("patient_state", patient=world.patient)["generation"] == MAX_U32
    world.refuses(
        "CONSENT/GENERATION_EXHAUSTED",
        world.patient,
        "add_consent",
        grantee=world.auditor,
        terms=world.terms(),
    )
    message = consent_message(world, grantee=world.auditor, generation=MAX_U32)
    world.refuses("CONSENT/GENERATION_EXHAUSTED", world.relayer, "add_consent_by_sig", **message)
    world.name_delegate(GIVE + REVOKE)
    given = {"patient": world.patient, "grantee": world.auditor, "terms": world.terms()}
    world.refuses("CONSENT/GENERATION_EXHAUSTED", world.delegate, "add_consent_for", **given)

    world.send(world.relayer, SIGNED, **withdrawals[1])
    for message in withdrawals:
        world.refuses("CONSENT/BAD_GENERATION", world.relayer, SIGNED, **message)
    world.send(world.patient, "revoke_consent", **target(world, world.hospital))
    world.send(world.delegate, "revoke_all_for", patient=world.patient)
    for function, arguments in (
        ("revoke_all", {"dismiss_delegates": True}),
        ("cancel_signatures", {}),
        ("refuse_consent", target(world, world.auditor)),
    ):
        world.send(world.patient, function, **arguments)
    assert world.verdict(grantee=world.partner)[1] == "AllRevoked"
    for grantee in (world.researcher, world.hospital):
        assert world.verdict(grantee=grantee)[1] == "Withdrawn"


def test_the_last_version(world: World) -> None:
    """A consent that was changed too often can still be withdrawn, again and again."""
    world.give()
    record_cell(world).write(version=MAX_U32 - 1)
    terms = {"grantee": world.researcher, "terms": world.terms()}
    world.refuses("CONSENT/VERSION_EXHAUSTED", world.patient, "add_consent", **terms)
    for _ in range(3):
        world.send(world.patient, "revoke_consent", **target(world))
        assert world.verdict() == ("Deny", "Withdrawn", MAX_U32)
    world.refuses("CONSENT/VERSION_EXHAUSTED", world.patient, "add_consent", **terms)


def test_the_last_delegate_epoch(world: World) -> None:
    """Dismissing never fails, and at the end nobody can be named any more."""
    patient_cell(world).write(delegate_epoch=MAX_U32 - 1, generation=1, counter=1)
    world.name_delegate(REVOKE)
    world.send(world.patient, "dismiss_delegates")
    naming = {"delegate": world.delegate, "powers": REVOKE, "expires_at": world.now + DAY}
    world.refuses("CONSENT/EPOCH_EXHAUSTED", world.patient, "set_delegate", **naming)
    world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "revoke_all_for", patient=world.patient)
    world.send(world.patient, "dismiss_delegates")
    world.send(world.patient, "set_delegate", **naming | {"powers": 0})


def test_a_history_that_is_full(world: World) -> None:
    """What opens stops 65,536 entries before what closes, and a delegate's acts with it: neither grantee nor
    delegate fills the room that is kept for the patient. A full access log is no matter at all."""
    world.give()
    world.name_delegate(GIVE + REVOKE + REFUSE)
    withdrawal = revocation_message(world)
    world.histories.put(CONSENTS, RESERVED_FROM - 1)
    world.send(world.patient, "allow_purpose", purpose=HRESCH)
    about = {"patient": world.patient, **target(world, world.partner)}
    given = {"patient": world.patient, "grantee": world.partner, "terms": world.terms()}
    for sender, function, arguments in (
        ("patient", "add_consent", {"grantee": world.partner, "terms": world.terms()}),
        ("relayer", "add_consent_by_sig", consent_message(world, version=2)),
        ("patient", "allow_purpose", {"purpose": HRESCH}),
        ("patient", "allow_emergency", {"hospital": world.hospital}),
        ("patient", "set_emergency_choice", {"choice": "EveryHospital"}),
        ("patient", "set_delegate", {"delegate": world.stranger, "powers": 1, "expires_at": world.now + 1}),
        ("delegate", "add_consent_for", given),
        ("delegate", "revoke_all_for", {"patient": world.patient}),
        ("delegate", "revoke_consent_for", {"patient": world.patient, **target(world)}),
        ("delegate", "refuse_consent_for", about),
    ):
        world.refuses("CONSENT/HISTORY_FULL", getattr(world, sender), function, **arguments)
    world.send(world.relayer, SIGNED, **withdrawal)
    for function, arguments in (
        ("revoke_consent", target(world)),
        ("revoke_all", {"dismiss_delegates": False}),
        ("refuse_consent", target(world, world.partner)),
        ("refuse_purpose", {"purpose": HRESCH}),
        ("cancel_signatures", {}),
        ("set_emergency_choice", {"choice": "Nobody"}),
        ("forbid_emergency", {"hospital": world.hospital}),
        ("set_delegate", {"delegate": world.delegate, "powers": 0, "expires_at": 0}),
        ("dismiss_delegates", {}),
    ):
        world.send(world.patient, function, **arguments)

"""Delegates: what they may do for a patient, until when, that every act names both, and that none of their
acts replaces what the patient decided."""

from itertools import product
from typing import Any

import pytest

from tests.harness.cells import assert_changed, delegation_cell, patient_cell, record_cell
from tests.harness.expected import (
    added,
    all_revoked,
    consent,
    patient_state,
    record,
    refused,
    revoked,
    stored,
)
from tests.harness.words import BROAD, BTG, DAY, GIVE, HRESCH, MAX_TIME, REFUSE, REVOKE
from tests.harness.world import World

ALL_POWERS = GIVE | REVOKE | REFUSE
LONG = 1000 * DAY


def about(world: World, **changes: Any) -> dict[str, Any]:
    return {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD} | changes


ACTS: dict[str, tuple[int, Any]] = {
    "add_consent_for": (GIVE, lambda w: {"grantee": w.hospital, "terms": w.terms()}),
    "revoke_consent_for": (REVOKE, about),
    "revoke_all_for": (REVOKE, lambda w: {}),
    "refuse_consent_for": (REFUSE, lambda w: about(w, grantee=w.hospital)),
}
"""Everything a delegate can do: the power it needs, and its arguments but the patient."""


def delegation(world: World, **changes: int) -> Any:
    return world.read("delegation", **({"patient": world.patient, "delegate": world.delegate} | changes))


def delegate(world: World, function: str, **arguments: Any) -> Any:
    return world.send(world.delegate, function, patient=world.patient, **arguments)


def delegate_is_refused(world: World, error: str, function: str, **arguments: Any) -> None:
    world.refuses(error, world.delegate, function, patient=world.patient, **arguments)


# --- set_delegate, dismiss_delegates ------------------------------------------------------------------------


def delegate_set(world: World, **changes: Any) -> Any:
    fields = {
        "patient": world.patient,
        "delegate": world.delegate,
        "seq": 1,
        "at": world.now,
        "powers": ALL_POWERS,
        "expires_at": world.now + DAY,
        "epoch": 0,
    }
    return world.raised("DelegateSet", **(fields | changes))


@pytest.mark.parametrize("powers", range(ALL_POWERS + 1))
def test_names_a_delegate(world: World, powers: int) -> None:
    expires_at = world.now + 5
    arguments = {"delegate": world.delegate, "powers": powers, "expires_at": expires_at}
    receipt = world.send(world.patient, "set_delegate", **arguments)
    assert receipt.result is None
    assert receipt.events == [delegate_set(world, powers=powers, expires_at=expires_at)]
    cell = {"powers": powers, "expires_at": expires_at, "epoch": 0}
    assert delegation(world) == cell
    assert_changed(world, receipt.storage, {delegation_cell(world): cell})


def test_nobody_is_a_delegate_unasked(world: World) -> None:
    assert delegation(world) == {"powers": 0, "expires_at": 0, "epoch": 0}


@pytest.mark.parametrize("expires_at", [0, MAX_TIME])
def test_any_time_that_fits_a_cell(world: World, expires_at: int) -> None:
    world.name_delegate(GIVE, expires_at)
    assert delegation(world)["expires_at"] == expires_at


def test_errors_of_a_naming_come_in_order(world: World) -> None:
    arguments = {"delegate": 0, "powers": 255, "expires_at": 2**64 - 1}
    for error, repair in (
        ("CONSENT/ZERO_ADDRESS", {}),
        ("CONSENT/SELF_DELEGATE", {"delegate": world.patient}),
        ("CONSENT/BAD_POWERS", {"delegate": world.delegate}),
        ("CONSENT/BAD_POWERS", {"powers": ALL_POWERS + 1}),
        ("CONSENT/TIME_RANGE", {"powers": ALL_POWERS}),
        ("CONSENT/TIME_RANGE", {"expires_at": MAX_TIME + 1}),
    ):
        arguments |= repair
        world.refuses(error, world.patient, "set_delegate", **arguments)
    world.send(world.patient, "set_delegate", **arguments | {"expires_at": MAX_TIME})


def test_dismisses_every_delegate_at_one_stroke(world: World) -> None:
    delegates = [world.delegate, world.relayer]
    for who in delegates:
        arguments = {"delegate": who, "powers": ALL_POWERS, "expires_at": MAX_TIME}
        world.send(world.patient, "set_delegate", **arguments)
    receipt = world.send(world.patient, "dismiss_delegates")
    assert receipt.result is None
    assert receipt.events == [
        world.raised("DelegatesDismissed", patient=world.patient, seq=3, at=world.now, epoch=1)
    ]
    after = patient_state(delegate_epoch=1)
    assert world.read("patient_state", patient=world.patient) == after
    assert_changed(world, receipt.storage, {patient_cell(world): after | {"emergency": 0}})
    for who in delegates:
        # What was set is shown as it was; it is of an epoch that is over.
        assert delegation(world, delegate=who) == {
            "powers": ALL_POWERS,
            "expires_at": MAX_TIME,
            "epoch": 0,
        }
        world.refuses("CONSENT/NOT_DELEGATE", who, "revoke_all_for", patient=world.patient)
    # Whoever is named again is a delegate again, nobody else.
    receipt = world.send(
        world.patient, "set_delegate", delegate=world.delegate, powers=REVOKE, expires_at=MAX_TIME
    )
    assert receipt.events == [delegate_set(world, seq=4, powers=REVOKE, expires_at=MAX_TIME, epoch=1)]
    delegate(world, "revoke_all_for")
    world.refuses("CONSENT/NOT_DELEGATE", world.relayer, "revoke_all_for", patient=world.patient)


@pytest.mark.parametrize("dismiss", [False, True])
def test_revoke_all_dismisses_delegates_only_if_told(world: World, dismiss: bool) -> None:
    world.name_delegate(ALL_POWERS)
    world.send(world.patient, "revoke_all", dismiss_delegates=dismiss)
    arguments = {"grantee": world.researcher, "terms": world.terms()}
    if dismiss:
        delegate_is_refused(world, "CONSENT/NOT_DELEGATE", "add_consent_for", **arguments)
    else:
        delegate(world, "add_consent_for", **arguments)
        assert world.verdict() == ("Permit", "Granted", 1)


# --- what each power allows ---------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ACTS)
def test_a_power_allows_its_own_acts_only(world: World, function: str) -> None:
    needed, arguments = ACTS[function]
    world.give()
    for powers in range(ALL_POWERS + 1):
        world.name_delegate(powers)
        if powers & needed:
            delegate(world, function, **arguments(world))
        else:
            delegate_is_refused(world, "CONSENT/NOT_DELEGATE", function, **arguments(world))


@pytest.mark.parametrize("function", ACTS)
@pytest.mark.parametrize(("offset", "allowed"), [(-1, True), (0, False), (1, False)])
def test_a_delegation_ends_to_the_second(world: World, function: str, offset: int, allowed: bool) -> None:
    _, arguments = ACTS[function]
    world.give()
    expires_at = world.now + 100
    world.name_delegate(ALL_POWERS, expires_at)
    world.now = expires_at + offset
    if allowed:
        delegate(world, function, **arguments(world))
    else:
        delegate_is_refused(world, "CONSENT/NOT_DELEGATE", function, **arguments(world))


@pytest.mark.parametrize("function", ACTS)
def test_nobody_else_acts_for_a_patient(world: World, function: str) -> None:
    """Not the administrator, not the grantee, not even the patient through the delegates' door."""
    _, arguments = ACTS[function]
    world.give()
    world.name_delegate(ALL_POWERS)
    before = stored(world)
    for who in ("admin", "hospital", "researcher", "suspended", "patient", "neighbour", "stranger"):
        caller = getattr(world, who)
        world.refuses("CONSENT/NOT_DELEGATE", caller, function, patient=world.patient, **arguments(world))
    assert stored(world) == before


@pytest.mark.parametrize("function", ACTS)
def test_a_delegate_acts_for_its_own_patient_only(world: World, function: str) -> None:
    _, arguments = ACTS[function]
    world.name_delegate(ALL_POWERS)
    world.send(world.neighbour, "add_consent", grantee=world.researcher, terms=world.terms())
    for other in (world.neighbour, world.delegate, 0):
        world.refuses("CONSENT/NOT_DELEGATE", world.delegate, function, patient=other, **arguments(world))


def test_a_removed_delegate_is_powerless(world: World) -> None:
    world.name_delegate(ALL_POWERS)
    delegate(world, "revoke_all_for")
    world.name_delegate(0)
    delegate_is_refused(world, "CONSENT/NOT_DELEGATE", "revoke_all_for")


def test_delegates_name_no_delegates_and_touch_no_choice(world: World) -> None:
    """Whatever has no door for delegates is the delegate's own when it calls it, not the patient's."""
    world.name_delegate(ALL_POWERS)
    before = world.read("patient_state", patient=world.patient)
    own: list[tuple[str, dict[str, Any]]] = [
        ("set_delegate", {"delegate": world.stranger, "powers": ALL_POWERS, "expires_at": MAX_TIME}),
        ("dismiss_delegates", {}),
        ("refuse_purpose", {"purpose": HRESCH}),
        ("set_emergency_choice", {"choice": "Nobody"}),
        ("forbid_emergency", {"hospital": world.hospital}),
        ("cancel_signatures", {}),
        ("revoke_all", {"dismiss_delegates": True}),
    ]
    for function, arguments in own:
        (event,) = world.send(world.delegate, function, **arguments).events
        assert event.keys["patient"] == world.delegate
    assert world.read("patient_state", patient=world.patient) == before
    assert delegation(world, delegate=world.stranger)["powers"] == 0
    assert world.read("emergency_naming", patient=world.patient, hospital=world.hospital) == "None"
    delegate(world, "revoke_all_for")


# --- giving -------------------------------------------------------------------------------------------------


def test_a_delegate_gives(world: World) -> None:
    world.name_delegate(GIVE)
    terms = world.terms(max_uses=2, study=7, scoped=True)
    receipt = delegate(world, "add_consent_for", grantee=world.researcher, terms=terms)
    assert receipt.result == 1
    # At the floor, which is 0 as long as nothing was revoked.
    assert receipt.events == [added(world, terms, seq=2, by=world.delegate, generation=0)]
    cell = record(terms, generation=0, by_delegate=1)
    assert_changed(world, receipt.storage, {record_cell(world, study=7): cell})
    assert stored(world, study=7) == consent(world, max_uses=2, scoped=True, generation=0, by_delegate=True)
    assert world.verdict(study=7) == ("Permit", "Granted", 1)
    # It is the patient's consent, not the delegate's.
    assert world.verdict(patient=world.delegate, study=7) == ("NoConsent", "NeverGiven", 0)


def test_a_delegate_renews_its_own(world: World) -> None:
    world.name_delegate(ALL_POWERS)
    delegate(world, "add_consent_for", grantee=world.researcher, terms=world.terms())
    world.send(world.patient, "cancel_signatures")
    terms = world.terms(max_uses=9)
    receipt = delegate(world, "add_consent_for", grantee=world.researcher, terms=terms)
    # It keeps its generation, so that a withdrawal that the patient signed still reaches it.
    assert receipt.events == [added(world, terms, seq=4, by=world.delegate, version=2, generation=0)]
    for function in ("revoke_consent_for", "refuse_consent_for"):
        delegate(world, function, **about(world))
        delegate(world, "add_consent_for", grantee=world.researcher, terms=terms)
        assert stored(world)["by_delegate"]
        assert world.verdict()[0] == "Permit"


def test_a_delegate_gives_at_the_floor(world: World) -> None:
    world.name_delegate(GIVE)
    world.send(world.patient, "revoke_all", dismiss_delegates=False)
    terms = world.terms()
    receipt = delegate(world, "add_consent_for", grantee=world.researcher, terms=terms)
    assert receipt.events == [added(world, terms, seq=3, by=world.delegate, generation=2)]
    assert world.verdict() == ("Permit", "Granted", 1)


def test_a_delegate_that_is_an_entity_can_give_to_itself(world: World) -> None:
    """A power to give is a power to give to anyone: patients choose whom they trust with it."""
    arguments = {"delegate": world.hospital, "powers": GIVE, "expires_at": world.now + DAY}
    world.send(world.patient, "set_delegate", **arguments)
    arguments = {"patient": world.patient, "grantee": world.hospital, "terms": world.terms()}
    world.send(world.hospital, "add_consent_for", **arguments)
    assert world.verdict(grantee=world.hospital) == ("Permit", "Granted", 1)


@pytest.mark.parametrize("decision", ["live", "not started", "withdrawn", "refused", "given over its own"])
def test_a_delegate_does_not_give_over_the_patients_decision(world: World, decision: str) -> None:
    world.name_delegate(ALL_POWERS)
    give = {"grantee": world.researcher, "terms": world.terms()}
    if decision == "given over its own":
        delegate(world, "add_consent_for", **give)
    if decision in ("live", "withdrawn", "given over its own"):
        world.give()
    if decision == "not started":
        world.give(starts_at=world.now + 5)
    if decision == "withdrawn":
        world.send(world.patient, "revoke_consent", **about(world))
    if decision == "refused":
        world.send(world.patient, "refuse_consent", **about(world))
    before = stored(world)
    delegate_is_refused(world, "CONSENT/PATIENT_DECIDED", "add_consent_for", **give)
    assert stored(world) == before
    # Another study is another record, empty still: a power to give reaches it. Said in the threat model.
    delegate(world, "add_consent_for", **give | {"terms": world.terms(study=1)})


@pytest.mark.parametrize(("offset", "allowed"), [(-1, False), (0, True), (1, True)])
def test_a_delegate_renews_the_patients_consent_once_it_expired(
    world: World, offset: int, allowed: bool
) -> None:
    terms = world.give()
    world.name_delegate(GIVE, world.now + LONG)
    world.now = terms["expires_at"] + offset
    give = {"grantee": world.researcher, "terms": world.terms()}
    if not allowed:
        delegate_is_refused(world, "CONSENT/PATIENT_DECIDED", "add_consent_for", **give)
        return
    receipt = delegate(world, "add_consent_for", **give)
    assert receipt.events == [added(world, give["terms"], seq=3, by=world.delegate, version=2, generation=1)]
    # It stays the patient's: not marked, and not to be given again while it lives.
    assert not stored(world)["by_delegate"]
    delegate_is_refused(world, "CONSENT/PATIENT_DECIDED", "add_consent_for", **give)


@pytest.mark.parametrize("giver", ["patient", "delegate"])
def test_a_delegate_does_not_give_under_the_floor(world: World, giver: str) -> None:
    """What the patient revoked with everything else only the patient gives again, whoever gave it."""
    world.name_delegate(ALL_POWERS, world.now + LONG)
    give = {"grantee": world.researcher, "terms": world.terms()}
    if giver == "patient":
        world.give()
    else:
        delegate(world, "add_consent_for", **give)
    world.send(world.patient, "revoke_all", dismiss_delegates=False)
    for _ in range(2):
        give["terms"] = world.terms()
        delegate_is_refused(world, "CONSENT/PATIENT_DECIDED", "add_consent_for", **give)
        world.wait(2 * DAY)
    world.give()
    assert world.verdict()[0] == "Permit"


# --- revoking and refusing ----------------------------------------------------------------------------------


def test_a_delegate_revokes(world: World) -> None:
    """Revoked, not withdrawn: the word says who did it."""
    terms = world.give()
    world.name_delegate(REVOKE)
    world.send(world.patient, "cancel_signatures")
    receipt = delegate(world, "revoke_consent_for", **about(world))
    assert receipt.result is None
    # The record keeps its generation.
    assert receipt.events == [revoked(world, seq=4, by=world.delegate)]
    assert_changed(world, receipt.storage, {record_cell(world): record(terms, version=2, status=3)})
    assert world.verdict() == ("Deny", "Revoked", 2)

    # Again: nothing. But the patient's own word counts.
    receipt = delegate(world, "revoke_consent_for", **about(world))
    assert receipt.events == []
    assert not any(receipt.cells.values())
    world.send(world.patient, "revoke_consent", **about(world))
    assert world.verdict() == ("Deny", "Withdrawn", 3)
    assert delegate(world, "revoke_consent_for", **about(world)).events == []
    assert world.verdict() == ("Deny", "Withdrawn", 3)


@pytest.mark.parametrize("state", ["expired", "all revoked", "refused"])
def test_where_nothing_is_live_a_delegates_revocation_does_nothing(world: World, state: str) -> None:
    world.name_delegate(REVOKE, world.now + LONG)
    world.give()
    if state == "expired":
        world.wait(DAY)
    elif state == "all revoked":
        world.send(world.patient, "revoke_all", dismiss_delegates=False)
    else:
        world.send(world.patient, "refuse_consent", **about(world))
    receipt = delegate(world, "revoke_consent_for", **about(world))
    assert receipt.events == []
    assert not any(receipt.cells.values())


@pytest.mark.parametrize("starts_in", [0, 100])
def test_a_consent_that_has_not_started_is_live_to_a_delegate(world: World, starts_in: int) -> None:
    world.give(starts_at=world.now + starts_in)
    world.name_delegate(REFUSE)
    delegate_is_refused(world, "CONSENT/NOT_DELEGATE", "refuse_consent_for", **about(world))
    world.name_delegate(REVOKE)
    delegate(world, "revoke_consent_for", **about(world))
    assert world.verdict() == ("Deny", "Revoked", 2)


def test_a_delegate_revokes_consents_only(world: World) -> None:
    """Not what the patient said about emergencies, which is kept where a consent for `BTG` would be."""
    world.send(world.patient, "allow_emergency", hospital=world.hospital)
    target = about(world, grantee=0, purpose=BTG)
    delegate_is_refused(world, "CONSENT/NOT_DELEGATE", "revoke_consent_for", **target)
    world.name_delegate(REVOKE)
    for error, repair in (
        ("CONSENT/ZERO_ADDRESS", {}),
        ("CONSENT/BAD_PURPOSE", {"grantee": world.hospital}),
        ("CONSENT/NOT_FOUND", {"purpose": HRESCH}),
    ):
        target |= repair
        delegate_is_refused(world, error, "revoke_consent_for", **target)


def test_a_delegate_revokes_everything_and_dismisses_nobody(world: World) -> None:
    world.give()
    world.name_delegate(REVOKE)
    receipt = delegate(world, "revoke_all_for")
    assert receipt.result is None
    assert receipt.events == [all_revoked(world, seq=3, by=world.delegate)]
    after = patient_state(generation=2, floor=2)
    assert world.read("patient_state", patient=world.patient) == after
    assert_changed(world, receipt.storage, {patient_cell(world): after | {"emergency": 0}})
    assert world.verdict() == ("Deny", "AllRevoked", 1)
    assert world.read("patient_state", patient=world.delegate) == patient_state()
    delegate(world, "revoke_all_for")


def test_a_delegate_refuses(world: World) -> None:
    world.name_delegate(REFUSE)
    receipt = delegate(world, "refuse_consent_for", **about(world))
    assert receipt.result is None
    assert receipt.events == [refused(world, seq=2, by=world.delegate, generation=0)]
    cell = {"version": 1, "status": 4, "by_delegate": 1}
    assert_changed(world, receipt.storage, {record_cell(world): cell})
    assert world.verdict() == ("Deny", "Refused", 1)
    # Again: nothing.
    receipt = delegate(world, "refuse_consent_for", **about(world))
    assert receipt.events == []
    assert not any(receipt.cells.values())
    for error, change in (
        ("CONSENT/ZERO_ADDRESS", {"grantee": 0}),
        ("CONSENT/BAD_PURPOSE", {"purpose": 0}),
        ("CONSENT/BAD_PURPOSE", {"purpose": BTG}),
    ):
        delegate_is_refused(world, error, "refuse_consent_for", **about(world, **change))


@pytest.mark.parametrize(
    ("powers", "error"),
    [(REFUSE, "CONSENT/NOT_DELEGATE"), (REFUSE | GIVE, "CONSENT/NOT_DELEGATE"), (REFUSE | REVOKE, None)],
)
def test_refusing_a_live_consent_needs_the_power_to_revoke(
    world: World, powers: int, error: str | None
) -> None:
    terms = world.give()
    world.name_delegate(powers)
    if error:
        delegate_is_refused(world, error, "refuse_consent_for", **about(world))
        return
    receipt = delegate(world, "refuse_consent_for", **about(world))
    assert receipt.events == [refused(world, seq=3, by=world.delegate, version=2)]
    assert_changed(world, receipt.storage, {record_cell(world): record(terms, version=2, status=4)})


@pytest.mark.parametrize("state", ["expired", "all revoked"])
def test_what_is_dead_a_delegate_refuses_without_it(world: World, state: str) -> None:
    world.give()
    world.name_delegate(REFUSE, world.now + LONG)
    if state == "expired":
        world.wait(DAY)
    else:
        world.send(world.patient, "revoke_all", dismiss_delegates=False)
    (event,) = delegate(world, "refuse_consent_for", **about(world)).events
    assert (event.name, event.data["generation"]) == ("ConsentRefused", 1)
    assert world.verdict() == ("Deny", "Refused", 2)
    assert not stored(world)["by_delegate"]


@pytest.mark.parametrize("decision", ["withdrawn", "refused"])
def test_where_the_patient_said_no_a_delegates_refusal_does_nothing(world: World, decision: str) -> None:
    world.give()
    function = "revoke_consent" if decision == "withdrawn" else "refuse_consent"
    world.send(world.patient, function, **about(world))
    world.name_delegate(ALL_POWERS)
    before = stored(world)
    assert delegate(world, "refuse_consent_for", **about(world)).events == []
    assert stored(world) == before


# --- sequences ----------------------------------------------------------------------------------------------

STEPS = ("give", "revoke", "refuse", "revoke all", "wait")


def take(world: World, step: str, study: int) -> None:
    """A delegate with every power does something about a study, if it may."""
    target = about(world, study=study)
    call = {
        "give": ("add_consent_for", {"grantee": world.researcher, "terms": world.terms(study=study)}),
        "revoke": ("revoke_consent_for", target),
        "refuse": ("refuse_consent_for", target),
        "revoke all": ("revoke_all_for", {}),
    }
    if step == "wait":
        world.wait(DAY)
        return
    function, arguments = call[step]
    outcome = world.execute(world.delegate, world.call(function, **{"patient": world.patient} | arguments))
    assert outcome.error in (None, "CONSENT/PATIENT_DECIDED"), outcome.reason


@pytest.mark.parametrize(("decision", "length"), [("given", 3), ("withdrawn", 2), ("refused", 2)])
def test_no_sequence_of_acts_makes_the_patients_decision_the_delegates(
    world: World, decision: str, length: int
) -> None:
    """Every sequence of acts, each against a record of its own; then the patient's decision stands, or the
    consent it gave ran out or was ended, and the record is not the delegate's."""
    world.name_delegate(ALL_POWERS, world.now + LONG)
    for study, steps in enumerate(product(STEPS, repeat=length), 1):
        if decision == "given":
            world.give(study=study)
        else:
            function = "revoke_consent" if decision == "withdrawn" else "refuse_consent"
            if decision == "withdrawn":
                world.give(study=study)
            world.send(world.patient, function, **about(world, study=study))
        before = stored(world, study=study)
        for step in steps:
            take(world, step, study)
        after = stored(world, study=study)
        assert not after["by_delegate"], steps
        if decision != "given":
            assert after == before, steps
        else:
            assert after["generation"] == before["generation"], steps
            if after["version"] > 1 and after["status"] == "Given":
                # Given again, which is only possible once it expired.
                assert "give" in steps[steps.index("wait") :], steps


def test_two_delegates_do_not_share_powers(world: World) -> None:
    world.name_delegate(GIVE)
    arguments = {"delegate": world.relayer, "powers": REVOKE, "expires_at": world.now + DAY}
    world.send(world.patient, "set_delegate", **arguments)
    world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "revoke_all_for", patient=world.patient)
    arguments = {"patient": world.patient, "grantee": world.researcher, "terms": world.terms()}
    world.refuses("CONSENT/NOT_DELEGATE", world.relayer, "add_consent_for", **arguments)

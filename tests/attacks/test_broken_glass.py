"""Emergencies: who breaks the glass, when, against whose will, and what it has to say for itself
afterwards."""

from typing import Any

import pytest

from tests.harness.log import ACCESSES
from tests.harness.words import (
    ADMIN_DELAY,
    BTG,
    DAY,
    EMERGENCY_DELAY,
    JUSTIFY_WITHIN,
    REFUSE,
    RESERVED_FROM,
    REVOKE,
)
from tests.harness.world import PROFILE, World

STATEMENT = 0x57A7E


def break_glass(world: World, hospital: int | None = None, patient: int | None = None) -> str:
    """Why a hospital is let in, or not."""
    asked = {"patient": patient or world.patient, "categories": 1, "record": 0}
    receipt = world.send(hospital or world.hospital, "request_emergency_access", **asked)
    reason: str = receipt.result["reason"]
    return reason


def register(world: World, address: int, role: str = "Hospital") -> None:
    world.send(world.admin, "register_entity", address=address, role=role, profile_commitment=PROFILE)


@pytest.fixture
def broken(world: World) -> World:
    """The hospital broke the glass: entry 1 of the patient's log."""
    world.wait(EMERGENCY_DELAY)
    assert break_glass(world) == "BreakGlass"
    return world


# --- who, and when ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["registered", "reinstated", "suspended itself and reinstated"])
def test_the_delay_cannot_be_got_round(world: World, way: str) -> None:
    """48 hours, to the second, from the registration or from the latest reinstatement, whoever suspended; a
    new profile does not shorten it."""
    hospital = world.hospital
    if way != "registered":
        world.wait(10 * EMERGENCY_DELAY)
        if way == "reinstated":
            world.send(world.admin, "suspend_entity", address=hospital)
        else:
            world.send(hospital, "suspend_self")
        world.send(world.admin, "reinstate_entity", address=hospital)
    assert break_glass(world) == "HospitalTooNew"
    world.wait(DAY)
    world.send(hospital, "change_profile", profile_commitment=2)
    assert break_glass(world) == "HospitalTooNew"
    world.wait(DAY - 1)
    assert break_glass(world) == "HospitalTooNew"
    world.wait(1)
    assert break_glass(world) == "BreakGlass"


@pytest.mark.parametrize("role", ["researcher", "auditor", "stranger", "admin", "patient", "suspended"])
def test_who_is_no_hospital(world: World, role: str) -> None:
    """Other entities are refused and logged; strangers, the administrator and the suspended revert."""
    world.wait(EMERGENCY_DELAY)
    asked = {"patient": world.patient, "categories": 1, "record": 0}
    if role in ("researcher", "auditor"):
        assert break_glass(world, getattr(world, role)) == "NotHospital"
    else:
        error = "ENTITY/SUSPENDED" if role == "suspended" else "ENTITY/UNKNOWN"
        world.refuses(error, getattr(world, role), "request_emergency_access", **asked)


# --- the patient's choice -----------------------------------------------------------------------------------


def test_named_hospitals_only(world: World) -> None:
    """Whom a patient did not name is refused, a hospital of tomorrow among them; naming is taken back by
    forbidding."""
    register(world, world.stranger)
    world.send(world.patient, "set_emergency_choice", choice="NamedHospitals")
    world.wait(EMERGENCY_DELAY)
    assert break_glass(world) == "EmergencyRefused"
    world.send(world.patient, "allow_emergency", hospital=world.hospital)
    assert break_glass(world) == "BreakGlass"
    assert break_glass(world, world.stranger) == "EmergencyRefused"
    world.send(world.patient, "forbid_emergency", hospital=world.hospital)
    assert break_glass(world) == "EmergencyRefused"
    # Nobody else's naming counts, whoever they are.
    world.send(world.neighbour, "allow_emergency", hospital=world.hospital)
    assert break_glass(world) == "EmergencyRefused"
    assert break_glass(world, patient=world.neighbour) == "BreakGlass"


def test_a_hospital_that_is_forbidden(world: World) -> None:
    """Forbidden it stays out where every hospital may, also if it was forbidden before it was registered;
    nobody lets in none, the named ones neither."""
    world.send(world.patient, "forbid_emergency", hospital=world.stranger)
    register(world, world.stranger)
    world.wait(EMERGENCY_DELAY)
    assert break_glass(world, world.stranger) == "EmergencyRefused"
    assert break_glass(world) == "BreakGlass"
    world.send(world.patient, "allow_emergency", hospital=world.hospital)
    world.send(world.patient, "set_emergency_choice", choice="Nobody")
    assert break_glass(world) == "EmergencyRefused"


def test_what_touches_the_choice(world: World) -> None:
    """Neither `revoke_all` nor a raised generation nor a refused purpose opens or closes it, and no delegate
    reaches it: by no act of theirs is a hospital let in or kept out."""
    world.wait(EMERGENCY_DELAY)
    world.send(world.patient, "set_emergency_choice", choice="NamedHospitals")
    world.send(world.patient, "allow_emergency", hospital=world.hospital)
    register(world, world.stranger)
    world.wait(EMERGENCY_DELAY)
    world.name_delegate(7)
    target = {"patient": world.patient, "grantee": world.hospital, "purpose": BTG, "study": 0}
    for function in ("refuse_consent_for", "revoke_consent_for"):
        world.refuses("CONSENT/BAD_PURPOSE", world.delegate, function, **target)
    terms = world.terms(purpose=BTG)
    given = {"patient": world.patient, "grantee": world.stranger, "terms": terms}
    world.refuses("CONSENT/BAD_PURPOSE", world.delegate, "add_consent_for", **given)
    world.send(world.delegate, "revoke_all_for", patient=world.patient)
    world.send(world.patient, "revoke_all", dismiss_delegates=True)
    world.send(world.patient, "cancel_signatures")
    assert break_glass(world) == "BreakGlass"
    assert break_glass(world, world.stranger) == "EmergencyRefused"


def test_a_word_about_emergencies_is_no_consent(world: World) -> None:
    """A hospital that is named has no consent by it, for this purpose or another."""
    world.send(world.patient, "allow_emergency", hospital=world.hospital)
    about = {"grantee": world.hospital, "purpose": BTG}
    assert world.verdict(**about)[:2] == ("NoConsent", "NeverGiven")
    assert world.verdict(grantee=world.hospital)[:2] == ("NoConsent", "NeverGiven")
    request = world.request(purpose=BTG)
    world.refuses("ACCESS/BAD_PURPOSE", world.hospital, "request_access", request=request)


def test_naming_what_is_no_hospital(world: World) -> None:
    for error, address in (
        ("ENTITY/UNKNOWN", world.stranger),
        ("ENTITY/UNKNOWN", 0),
        ("CONSENT/NOT_HOSPITAL", world.researcher),
    ):
        world.refuses(error, world.patient, "allow_emergency", hospital=address)
    world.refuses("CONSENT/ZERO_ADDRESS", world.patient, "forbid_emergency", hospital=0)


# --- afterwards ---------------------------------------------------------------------------------------------


def justify(world: World, **changes: Any) -> dict[str, Any]:
    return {"patient": world.patient, "emergency": 1, "statement": STATEMENT} | changes


def test_justifying_twice_and_late(broken: World) -> None:
    """Once, within 72 hours to the second, and with something to show for it."""
    world, function = broken, "justify_emergency"
    world.refuses("ACCESS/ZERO_STATEMENT", world.hospital, function, **justify(world, statement=0))
    world.wait(JUSTIFY_WITHIN)
    in_time = world.call(function, **justify(world))
    assert world.simulate(world.hospital, in_time).error is None
    world.wait(1)
    world.refuses("ACCESS/JUSTIFIED_TOO_LATE", world.hospital, function, **justify(world))
    assert world.read("emergency", patient=world.patient, seq=1, hospital=world.hospital) == {
        "at": world.now - JUSTIFY_WITHIN - 1,
        "justified": False,
        "contested": False,
    }
    assert break_glass(world) == "BreakGlass"
    world.send(world.hospital, function, **justify(world, emergency=2))
    again = justify(world, emergency=2, statement=STATEMENT + 1)
    world.refuses("ACCESS/ALREADY_JUSTIFIED", world.hospital, function, **again)


def test_justifying_what_one_did_not_do(broken: World) -> None:
    """Another hospital's emergency, another patient's, an entry that is none: there is nothing to justify. A
    refused one is none either."""
    world, function = broken, "justify_emergency"
    register(world, world.stranger)
    assert break_glass(world, world.stranger) == "HospitalTooNew"
    world.ask()
    for who, changes in (
        (world.stranger, {}),
        (world.stranger, {"emergency": 2}),
        (world.researcher, {"emergency": 3}),
        (world.hospital, {"emergency": 2}),
        (world.hospital, {"emergency": 0}),
        (world.hospital, {"emergency": 2**32 - 1}),
        (world.hospital, {"patient": world.neighbour}),
        (world.admin, {}),
        (world.patient, {}),
    ):
        world.refuses("ACCESS/NO_EMERGENCY", who, function, **justify(world, **changes))


def test_a_hospital_that_was_suspended_meanwhile(broken: World) -> None:
    """Suspension spares it no answer: it justifies, once for each emergency, and so makes no log longer than
    it could before."""
    world = broken
    world.send(world.admin, "suspend_entity", address=world.hospital)
    world.send(world.hospital, "justify_emergency", **justify(world))
    world.refuses("ACCESS/ALREADY_JUSTIFIED", world.hospital, "justify_emergency", **justify(world))
    assert world.read("log_head", patient=world.patient)["count"] == 2


def test_contesting(broken: World) -> None:
    """The patient, years later, once, justified or not. Nobody contests for somebody else, and no
    delegate."""
    world, function = broken, "contest_emergency"
    world.name_delegate(REVOKE + REFUSE)
    mine = {"hospital": world.hospital, "emergency": 1}
    for who in (world.delegate, world.hospital, world.stranger, world.admin, world.neighbour):
        world.refuses("ACCESS/NO_EMERGENCY", who, function, **mine)
    for changes in ({"emergency": 2}, {"hospital": world.stranger}, {"emergency": 0}):
        world.refuses("ACCESS/NO_EMERGENCY", world.patient, function, **mine | changes)
    world.send(world.hospital, "justify_emergency", **justify(world))
    world.wait(10 * 365 * DAY)
    world.send(world.patient, function, **mine)
    world.refuses("ACCESS/ALREADY_CONTESTED", world.patient, function, **mine)
    emergency = world.read("emergency", patient=world.patient, seq=1, hospital=world.hospital)
    assert (emergency["justified"], emergency["contested"]) == (True, True)


def test_two_emergencies_of_one_second(broken: World) -> None:
    """Each has a cell of its own: one is justified, the other stays overdue, for everybody to see."""
    world = broken
    assert break_glass(world) == "BreakGlass"
    world.send(world.hospital, "justify_emergency", **justify(world, emergency=2))
    said = [
        world.read("emergency", patient=world.patient, seq=seq, hospital=world.hospital)["justified"]
        for seq in (1, 2)
    ]
    assert said == [False, True]


def test_a_log_that_is_full(broken: World) -> None:
    """Entities stop before it is, so that the patient can still contest."""
    world = broken
    world.histories.put(ACCESSES, RESERVED_FROM)
    asked = {"patient": world.patient, "categories": 1, "record": 0}
    world.refuses("ACCESS/LOG_FULL", world.hospital, "request_emergency_access", **asked)
    world.refuses("ACCESS/LOG_FULL", world.hospital, "justify_emergency", **justify(world))
    world.refuses("ACCESS/LOG_FULL", world.researcher, "request_access", request=world.request())
    world.send(world.patient, "contest_emergency", hospital=world.hospital, emergency=1)
    world.send(world.patient, "revoke_all", dismiss_delegates=True)


def test_a_former_administrator_as_a_hospital(world: World) -> None:
    """Not defended, and said: whoever gave the office away is somebody like another, with 48 hours to
    wait."""
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    world.wait(ADMIN_DELAY)
    world.send(world.successor, "accept_admin_transfer")
    former = {"address": world.admin, "role": "Hospital", "profile_commitment": PROFILE}
    world.send(world.successor, "register_entity", **former)
    assert break_glass(world, world.admin) == "HospitalTooNew"
    world.wait(EMERGENCY_DELAY)
    assert break_glass(world, world.admin) == "BreakGlass"

"""Breaking the glass: whom the patient lets, what is decided first, and what becomes of it afterwards."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest

from tests.harness.cells import assert_changed, emergency_cell, naming_cell, patient_cell
from tests.harness.driver import Receipt
from tests.harness.expected import patient_state
from tests.harness.log import digest, head_after, logged
from tests.harness.words import (
    ALL_CATEGORIES,
    BROAD,
    BTG,
    DAY,
    EMERGENCY_CHOICES,
    EMERGENCY_DELAY,
    HRESCH,
    JUSTIFY_WITHIN,
    LARGEST_FELT,
    MAX_U32,
)
from tests.harness.world import PROFILE, World


@pytest.fixture
def world(world: World) -> World:
    """The world when its hospital is new no more."""
    world.wait(EMERGENCY_DELAY)
    return world


def emergency(world: World, **changes: Any) -> dict[str, Any]:
    return {"patient": world.patient, "categories": 3, "record": 0xEC04D} | changes


def break_glass(world: World, hospital: int | None = None, **changes: Any) -> Receipt:
    return world.send(hospital or world.hospital, "request_emergency_access", **emergency(world, **changes))


def emergency_logged(world: World, **changes: Any) -> Any:
    usual = {
        "accessor": world.hospital,
        "purpose": BTG,
        "decision": "Emergency",
        "reason": "BreakGlass",
        "version": 0,
        "categories": 3,
    }
    return logged(world, **(usual | changes))


# --- the choice ---------------------------------------------------------------------------------------------


def test_a_patient_chooses_who_may_break_the_glass(world: World) -> None:
    for seq, choice in enumerate(
        ("Nobody", "NamedHospitals", "EveryHospital", "NamedHospitals", "Nobody", "Nobody"), 1
    ):
        before = world.read("patient_state", patient=world.patient)
        receipt = world.send(world.patient, "set_emergency_choice", choice=choice)
        assert receipt.result is None
        assert receipt.events == [
            world.raised("EmergencyChoiceSet", patient=world.patient, seq=seq, at=world.now, choice=choice)
        ]
        assert world.read("patient_state", patient=world.patient) == patient_state(emergency=choice)
        cell = patient_state(emergency=EMERGENCY_CHOICES.index(choice))
        changed = {} if before["emergency"] == choice else {patient_cell(world): cell}
        assert_changed(world, receipt.storage, changed)


def test_a_choice_made_first_buys_the_patients_cell(world: World) -> None:
    """Even the one that holds anyway: it is an entry, and the cell says that it was set."""
    receipt = world.send(world.patient, "set_emergency_choice", choice="EveryHospital")
    assert_changed(world, receipt.storage, {patient_cell(world): patient_state(emergency=0)})


def naming(world: World, **changes: Any) -> Any:
    fields = {
        "patient": world.patient,
        "hospital": world.hospital,
        "seq": 1,
        "at": world.now,
        "allowed": True,
        "version": 1,
        "generation": 1,
    }
    return world.raised("EmergencyHospitalSet", **(fields | changes))


def test_hospitals_are_allowed_and_forbidden_by_name(world: World) -> None:
    assert world.read("emergency_naming", patient=world.patient, hospital=world.hospital) == "None"
    for version, (function, status) in enumerate(
        [
            ("allow_emergency", "Given"),
            ("forbid_emergency", "Refused"),
            ("forbid_emergency", "Refused"),
            ("allow_emergency", "Given"),
        ],
        1,
    ):
        receipt = world.send(world.patient, function, hospital=world.hospital)
        assert receipt.result is None
        allowed = status == "Given"
        assert receipt.events == [naming(world, seq=version, version=version, allowed=allowed)]
        cell = {"version": version, "generation": 1, "status": 1 if allowed else 4}
        assert_changed(world, receipt.storage, {naming_cell(world, world.hospital): cell})
        assert world.read("emergency_naming", patient=world.patient, hospital=world.hospital) == status
    assert world.read("emergency_naming", patient=world.neighbour, hospital=world.hospital) == "None"


def test_a_naming_keeps_the_generation_it_was_made_in(world: World) -> None:
    world.send(world.patient, "cancel_signatures")
    receipt = world.send(world.patient, "allow_emergency", hospital=world.hospital)
    assert receipt.events == [naming(world, seq=2, generation=2)]


@pytest.mark.parametrize(
    ("error", "who"),
    [
        ("ENTITY/UNKNOWN", None),
        ("ENTITY/UNKNOWN", "stranger"),
        ("CONSENT/NOT_HOSPITAL", "researcher"),
        ("CONSENT/NOT_HOSPITAL", "auditor"),
        ("CONSENT/NOT_HOSPITAL", "suspended"),
    ],
)
def test_only_hospitals_are_allowed(world: World, error: str, who: str | None) -> None:
    hospital = getattr(world, who) if who else 0
    world.refuses(error, world.patient, "allow_emergency", hospital=hospital)
    if who is None:
        world.refuses("CONSENT/ZERO_ADDRESS", world.patient, "forbid_emergency", hospital=0)
    else:
        # Whoever it is can be forbidden it, ahead of any registration too.
        world.send(world.patient, "forbid_emergency", hospital=hospital)


def test_a_suspended_hospital_can_be_allowed(world: World) -> None:
    world.send(world.admin, "suspend_entity", address=world.hospital)
    world.send(world.patient, "allow_emergency", hospital=world.hospital)


def allow(world: World) -> None:
    world.send(world.patient, "allow_emergency", hospital=world.hospital)


def forbid(world: World) -> None:
    world.send(world.patient, "forbid_emergency", hospital=world.hospital)


def say_nothing(world: World) -> None:
    assert world.read("emergency_naming", patient=world.patient, hospital=world.hospital) == "None"


@pytest.mark.parametrize(
    ("choice", "word", "let_in"),
    [
        ("EveryHospital", say_nothing, True),
        ("EveryHospital", allow, True),
        ("EveryHospital", forbid, False),
        ("NamedHospitals", say_nothing, False),
        ("NamedHospitals", allow, True),
        ("NamedHospitals", forbid, False),
        ("Nobody", say_nothing, False),
        ("Nobody", allow, False),
        ("Nobody", forbid, False),
    ],
)
def test_the_choice_and_the_word_decide(
    world: World, choice: str, word: Callable[[World], None], let_in: bool
) -> None:
    world.send(world.patient, "set_emergency_choice", choice=choice)
    word(world)
    receipt = break_glass(world)
    # The entry names the version of the word, where it mattered.
    version = int(word is not say_nothing and choice != "Nobody")
    if let_in:
        assert receipt.events == [emergency_logged(world, version=version)]
    else:
        refusal = {"decision": "Deny", "reason": "EmergencyRefused", "version": version}
        assert receipt.events == [emergency_logged(world, **refusal)]
        assert_changed(world, receipt.storage, {})
    # It is this patient's own word, about this hospital.
    assert break_glass(world, patient=world.neighbour).result["decision"] == "Emergency"


def test_a_word_is_about_its_hospital(world: World) -> None:
    world.send(
        world.admin, "register_entity", address=world.stranger, role="Hospital", profile_commitment=PROFILE
    )
    world.wait(EMERGENCY_DELAY)
    forbid(world)
    assert break_glass(world, world.stranger).result["decision"] == "Emergency"
    world.send(world.patient, "set_emergency_choice", choice="NamedHospitals")
    allow(world)
    assert break_glass(world, world.stranger).result["reason"] == "EmergencyRefused"
    assert break_glass(world).result["decision"] == "Emergency"


@pytest.mark.parametrize("dismiss", [False, True])
def test_revoke_all_touches_neither_choice_nor_words(world: World, dismiss: bool) -> None:
    world.send(world.patient, "set_emergency_choice", choice="NamedHospitals")
    allow(world)
    world.send(world.patient, "revoke_all", dismiss_delegates=dismiss)
    assert break_glass(world).result["decision"] == "Emergency"
    world.send(world.patient, "set_emergency_choice", choice="Nobody")
    world.send(world.patient, "revoke_all", dismiss_delegates=dismiss)
    assert break_glass(world).result["reason"] == "EmergencyRefused"


def test_a_word_about_emergencies_is_no_consent(world: World) -> None:
    """It lies where a consent for `BTG` would, and no view or request takes it for one."""
    allow(world)
    assert world.verdict(grantee=world.hospital, purpose=BTG) == ("NoConsent", "NeverGiven", 1)
    about = world.about(grantee=world.hospital, purpose=BTG)
    assert world.read("consent", **about, campaign=0)["state"] == "NeverGiven"
    world.refuses("ACCESS/BAD_PURPOSE", world.hospital, "request_access", request=world.request(purpose=BTG))


def test_a_forbidden_hospital_is_not_let_in_by_a_withdrawal(world: World) -> None:
    forbid(world)
    withdrawal = {"grantee": world.hospital, "purpose": BTG, "study": BROAD}
    world.refuses("CONSENT/BAD_PURPOSE", world.patient, "revoke_consent", **withdrawal)
    assert world.read("emergency_naming", patient=world.patient, hospital=world.hospital) == "Refused"
    assert break_glass(world).result["reason"] == "EmergencyRefused"


# --- request_emergency_access -------------------------------------------------------------------------------


@pytest.mark.parametrize("consented", [False, True])
def test_a_hospital_breaks_the_glass(world: World, consented: bool) -> None:
    """With or without consent: it is an emergency, flagged as one, and no use of a consent."""
    if consented:
        world.give(world.hospital)
    receipt = break_glass(world)
    entry = emergency_logged(world)
    assert receipt.events == [entry]
    assert receipt.result == {
        "decision": "Emergency",
        "reason": "BreakGlass",
        "seq": 1,
        "digest": digest(world, 0, entry),
    }
    assert world.read("log_head", patient=world.patient) == head_after(world, [entry])
    assert_changed(world, receipt.storage, {emergency_cell(world, 1): {"at": world.now}})
    assert seen(world, 1) == {"at": world.now, "justified": False, "contested": False}


def seen(world: World, seq: int, hospital: int | None = None, patient: int | None = None) -> Any:
    return world.read(
        "emergency",
        patient=patient or world.patient,
        seq=seq,
        hospital=hospital or world.hospital,
    )


@pytest.mark.parametrize(("categories", "record"), [(1, 0), (ALL_CATEGORIES, LARGEST_FELT)])
def test_any_record_and_any_categories(world: World, categories: int, record: int) -> None:
    assert break_glass(world, categories=categories, record=record).events == [
        emergency_logged(world, categories=categories, record=record)
    ]


def test_an_emergency_ignores_what_was_withdrawn_or_refused(world: World) -> None:
    """Only the choice made in advance stands against it."""
    world.give(world.hospital)
    world.send(world.patient, "revoke_all", dismiss_delegates=True)
    world.send(world.patient, "refuse_purpose", purpose=HRESCH)
    refusal = {"grantee": world.hospital, "purpose": HRESCH, "study": BROAD}
    world.send(world.patient, "refuse_consent", **refusal)
    assert break_glass(world).result["decision"] == "Emergency"


@pytest.mark.parametrize("since", ["registration", "reinstatement"])
@pytest.mark.parametrize(("offset", "let_in"), [(-1, False), (0, True), (1, True)])
def test_a_hospital_waits_48_hours_to_the_second(world: World, since: str, offset: int, let_in: bool) -> None:
    if since == "registration":
        hospital = world.stranger
        arguments = {"address": hospital, "role": "Hospital", "profile_commitment": PROFILE}
        world.send(world.admin, "register_entity", **arguments)
    else:
        hospital = world.hospital
        world.send(world.hospital, "suspend_self")
        world.wait(10 * DAY)
        world.send(world.admin, "reinstate_entity", address=hospital)
    world.wait(EMERGENCY_DELAY + offset)
    receipt = break_glass(world, hospital)
    if let_in:
        assert receipt.events == [emergency_logged(world, accessor=hospital)]
    else:
        assert receipt.events == [
            emergency_logged(world, accessor=hospital, decision="Deny", reason="HospitalTooNew")
        ]
        assert_changed(world, receipt.storage, {})


# --- the order of reasons -----------------------------------------------------------------------------------


def be_a_researcher(world: World) -> int:
    return world.researcher


def be_new(world: World) -> int:
    del world
    return 0


def be_refused(world: World) -> int:
    world.send(world.patient, "set_emergency_choice", choice="Nobody")
    return 0


ORDER: list[tuple[str, Callable[[World], int]]] = [
    ("NotHospital", be_a_researcher),
    ("HospitalTooNew", be_new),
    ("EmergencyRefused", be_refused),
    ("BreakGlass", lambda world: 0),
]


@pytest.mark.parametrize(
    ("first", "second"), combinations(range(len(ORDER)), 2), ids=lambda place: ORDER[place][0]
)
def test_of_two_reasons_the_earlier_wins(world: World, first: int, second: int) -> None:
    reasons = [ORDER[place][0] for place in (first, second)]
    accessor = world.hospital
    allow(world)
    for place in (second, first):
        accessor = ORDER[place][1](world) or accessor
    if "HospitalTooNew" in reasons:
        world.send(accessor, "suspend_self")
        world.send(world.admin, "reinstate_entity", address=accessor)
    receipt = break_glass(world, accessor)
    assert receipt.result["reason"] == reasons[0]
    assert receipt.result["decision"] == "Deny"
    assert receipt.events[0].data["version"] == 0


def test_errors_come_in_order(world: World) -> None:
    arguments = emergency(world, patient=0, categories=0)
    for error, sender, repair in (
        ("ACCESS/ZERO_PATIENT", world.stranger, {}),
        ("ACCESS/BAD_CATEGORIES", world.stranger, {"patient": world.patient}),
        ("ACCESS/BAD_CATEGORIES", world.stranger, {"categories": ALL_CATEGORIES + 1}),
        ("ACCESS/BAD_CATEGORIES", world.stranger, {"categories": MAX_U32}),
        ("ENTITY/UNKNOWN", world.stranger, {"categories": ALL_CATEGORIES}),
        ("ENTITY/SUSPENDED", world.suspended, {}),
    ):
        arguments |= repair
        world.refuses(error, sender, "request_emergency_access", **arguments)


# --- justify_emergency --------------------------------------------------------------------------------------


def justify(world: World, **changes: Any) -> dict[str, Any]:
    return {"patient": world.patient, "emergency": 1, "statement": 0x57A7E} | changes


def test_a_hospital_justifies_its_emergency_once(world: World) -> None:
    broken = break_glass(world)
    at = world.now
    world.wait(5)
    receipt = world.send(world.hospital, "justify_emergency", **justify(world))
    assert receipt.result is None
    entry = world.raised(
        "EmergencyJustified",
        patient=world.patient,
        accessor=world.hospital,
        seq=2,
        at=world.now,
        emergency=1,
        statement=0x57A7E,
    )
    assert receipt.events == [entry]
    assert world.read("log_head", patient=world.patient) == head_after(world, [*broken.events, entry])
    assert seen(world, 1) == {"at": at, "justified": True, "contested": False}
    assert_changed(world, receipt.storage, {emergency_cell(world, 1): {"at": at, "justified": 1}})
    world.refuses(
        "ACCESS/ALREADY_JUSTIFIED", world.hospital, "justify_emergency", **justify(world, statement=1)
    )


@pytest.mark.parametrize(("offset", "accepted"), [(-1, True), (0, True), (1, False)])
def test_within_72_hours_to_the_second(world: World, offset: int, accepted: bool) -> None:
    break_glass(world)
    world.wait(JUSTIFY_WITHIN + offset)
    if accepted:
        world.send(world.hospital, "justify_emergency", **justify(world))
    else:
        world.refuses("ACCESS/JUSTIFIED_TOO_LATE", world.hospital, "justify_emergency", **justify(world))
    assert seen(world, 1)["justified"] is accepted


@pytest.mark.parametrize("by", ["admin", "hospital"])
def test_who_was_suspended_meanwhile_still_justifies(world: World, by: str) -> None:
    break_glass(world)
    if by == "admin":
        world.send(world.admin, "suspend_entity", address=world.hospital)
    else:
        world.send(world.hospital, "suspend_self")
    world.send(world.hospital, "justify_emergency", **justify(world))
    assert seen(world, 1)["justified"]


def test_errors_of_a_justification_come_in_order(world: World) -> None:
    """The statement; whether there is such an emergency; whether it was justified; whether it is too late."""
    break_glass(world)
    world.refuses("ACCESS/ZERO_STATEMENT", world.stranger, "justify_emergency", **justify(world, statement=0))
    for sender, change in (
        (world.hospital, {"emergency": 0}),
        (world.hospital, {"emergency": 2}),
        (world.hospital, {"patient": world.neighbour}),
        (world.researcher, {}),
        (world.patient, {}),
        (world.admin, {}),
    ):
        world.refuses("ACCESS/NO_EMERGENCY", sender, "justify_emergency", **justify(world, **change))
    world.send(world.hospital, "justify_emergency", **justify(world))
    world.wait(JUSTIFY_WITHIN + 1)
    world.refuses("ACCESS/ALREADY_JUSTIFIED", world.hospital, "justify_emergency", **justify(world))


def test_what_was_refused_is_no_emergency(world: World) -> None:
    world.send(world.patient, "set_emergency_choice", choice="Nobody")
    assert break_glass(world).result["decision"] == "Deny"
    world.refuses("ACCESS/NO_EMERGENCY", world.hospital, "justify_emergency", **justify(world))
    world.refuses(
        "ACCESS/NO_EMERGENCY", world.patient, "contest_emergency", hospital=world.hospital, emergency=1
    )
    assert seen(world, 1) == {"at": 0, "justified": False, "contested": False}


def test_an_ordinary_access_is_no_emergency(world: World) -> None:
    world.give(world.hospital)
    assert world.ask(world.hospital).result["seq"] == 1
    world.refuses("ACCESS/NO_EMERGENCY", world.hospital, "justify_emergency", **justify(world))


# --- contest_emergency --------------------------------------------------------------------------------------


@pytest.mark.parametrize("justified", [False, True])
@pytest.mark.parametrize("after", [0, JUSTIFY_WITHIN + 1, 3000 * DAY])
def test_a_patient_contests_an_emergency_once_and_at_any_time(
    world: World, justified: bool, after: int
) -> None:
    break_glass(world)
    at = world.now
    if justified:
        world.send(world.hospital, "justify_emergency", **justify(world))
    world.wait(after)
    arguments = {"hospital": world.hospital, "emergency": 1}
    receipt = world.send(world.patient, "contest_emergency", **arguments)
    assert receipt.result is None
    assert receipt.events == [
        world.raised(
            "EmergencyContested",
            patient=world.patient,
            accessor=world.hospital,
            seq=2 + justified,
            at=world.now,
            emergency=1,
        )
    ]
    assert seen(world, 1) == {"at": at, "justified": justified, "contested": True}
    cell = {"at": at, "justified": int(justified), "contested": 1}
    assert_changed(world, receipt.storage, {emergency_cell(world, 1): cell})
    world.refuses("ACCESS/ALREADY_CONTESTED", world.patient, "contest_emergency", **arguments)


def test_a_contested_emergency_is_justified_all_the_same(world: World) -> None:
    break_glass(world)
    world.send(world.patient, "contest_emergency", hospital=world.hospital, emergency=1)
    world.send(world.hospital, "justify_emergency", **justify(world))
    assert seen(world, 1) == {"at": world.now, "justified": True, "contested": True}


def test_only_the_patient_contests_and_only_what_was(world: World) -> None:
    break_glass(world)
    for sender, hospital, number in (
        (world.neighbour, world.hospital, 1),
        (world.hospital, world.hospital, 1),
        (world.patient, world.researcher, 1),
        (world.patient, world.hospital, 2),
        (world.patient, 0, 0),
    ):
        arguments = {"hospital": hospital, "emergency": number}
        world.refuses("ACCESS/NO_EMERGENCY", sender, "contest_emergency", **arguments)


def test_emergencies_are_apart(world: World) -> None:
    """Two of one patient, one of another: each has its own justification and contest."""
    break_glass(world)
    world.wait(1)
    break_glass(world)
    break_glass(world, patient=world.neighbour)
    world.send(world.hospital, "justify_emergency", **justify(world, emergency=2))
    world.send(world.neighbour, "contest_emergency", hospital=world.hospital, emergency=1)
    assert [one["justified"] for one in (seen(world, 1), seen(world, 2))] == [False, True]
    assert not seen(world, 1)["contested"]
    assert seen(world, 1, patient=world.neighbour)["contested"]

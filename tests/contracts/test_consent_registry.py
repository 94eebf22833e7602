"""Giving, renewing and withdrawing: what a patient does, a record per grantee, purpose and study."""

from typing import Any

import pytest

from tests.harness.cells import assert_changed, patient_cell, record_cell
from tests.harness.chain import Call
from tests.harness.expected import (
    added,
    all_revoked,
    consent,
    patient_state,
    record,
    revoked,
    stored,
)
from tests.harness.words import (
    ALL_CATEGORIES,
    BROAD,
    BTG,
    DAY,
    HRESCH,
    LARGEST_FELT,
    MAX_TIME,
    MAX_U32,
    PURPOSES,
    felt,
)
from tests.harness.world import World, assert_refused

STUDY = 0x57D7


def withdraw(world: World, study: int = BROAD, **changes: Any) -> Any:
    arguments = {"grantee": world.researcher, "purpose": HRESCH, "study": study} | changes
    return world.send(world.patient, "revoke_consent", **arguments)


# --- add_consent --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scoped", [False, True])
@pytest.mark.parametrize("study", [BROAD, STUDY])
def test_gives_a_consent(world: World, study: int, scoped: bool) -> None:
    terms = world.terms(study=study, scoped=scoped, categories=0b101, max_uses=3, terms_commitment=77)
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.result == 1
    assert receipt.events == [added(world, terms)]
    assert stored(world, study=study) == consent(world, categories=0b101, max_uses=3, scoped=scoped)
    assert_changed(world, receipt.storage, {record_cell(world, study=study): record(terms)})


def test_a_consent_never_given_is_empty(world: World) -> None:
    assert stored(world) == consent(
        world,
        state="NeverGiven",
        status="None",
        starts_at=0,
        expires_at=0,
        categories=0,
        version=0,
        generation=0,
    )


def test_renewal_replaces_everything(world: World) -> None:
    world.give(max_uses=2, scoped=True)
    world.ask()
    assert stored(world)["uses"] == 1
    world.wait(10)
    terms = world.terms(categories=1 << 7, max_uses=9, terms_commitment=0)
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.result == 2
    assert receipt.events == [added(world, terms, seq=2, version=2)]
    assert stored(world) == consent(world, version=2, categories=1 << 7, max_uses=9)
    assert_changed(world, receipt.storage, {record_cell(world): record(terms, version=2)})


def test_grantees_purposes_and_studies_do_not_overwrite_each_other(world: World) -> None:
    keys = [
        (grantee, felt(purpose), study)
        for grantee in (world.researcher, world.hospital)
        for purpose in ("HRESCH", "TREAT")
        for study in (BROAD, STUDY)
    ]
    for place, (grantee, purpose, study) in enumerate(keys):
        terms = world.terms(purpose=purpose, study=study, max_uses=place + 1)
        assert world.send(world.patient, "add_consent", grantee=grantee, terms=terms).result == 1
    gone = (world.researcher, felt("TREAT"), STUDY)
    withdraw(world, purpose=gone[1], study=gone[2])
    for place, (grantee, purpose, study) in enumerate(keys):
        one = stored(world, grantee=grantee, purpose=purpose, study=study)
        status = "Withdrawn" if (grantee, purpose, study) == gone else "Given"
        assert (one["max_uses"], one["status"]) == (place + 1, status)


def test_nothing_falls_back_to_a_broad_consent_nor_to_a_study(world: World) -> None:
    world.give()
    assert world.verdict(study=STUDY) == ("NoConsent", "NeverGiven", 0)
    world.give(study=STUDY, categories=1 << 7)
    withdraw(world)
    assert world.verdict() == ("Deny", "Withdrawn", 2)
    assert world.verdict(study=STUDY) == ("Permit", "Granted", 1)
    assert world.verdict(study=STUDY + 1) == ("NoConsent", "NeverGiven", 0)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_purpose_can_be_consented_to(world: World, purpose: str) -> None:
    terms = world.give(purpose=felt(purpose))
    assert world.verdict(purpose=terms["purpose"]) == ("Permit", "Granted", 1)


@pytest.mark.parametrize("who", ["hospital", "researcher", "auditor", "suspended"])
def test_every_registered_entity_can_be_a_grantee(world: World, who: str) -> None:
    """A suspended one too: what it may do is decided when it asks."""
    grantee = getattr(world, who)
    assert world.send(world.patient, "add_consent", grantee=grantee, terms=world.terms()).result == 1


@pytest.mark.parametrize(
    "change",
    [
        {"categories": 1},
        {"categories": ALL_CATEGORIES},
        {"starts_at": 0},
        {"starts_at": MAX_TIME - 1, "expires_at": MAX_TIME},
        {"expires_at": MAX_TIME},
        {"max_uses": MAX_U32},
        {"study": LARGEST_FELT},
        {"terms_commitment": 0},
        {"terms_commitment": LARGEST_FELT},
    ],
    ids=str,
)
def test_widest_and_narrowest_terms(world: World, change: dict[str, int]) -> None:
    terms = world.terms(**change)
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.events == [added(world, terms)]
    cell = record_cell(world, study=terms["study"])
    assert_changed(world, receipt.storage, {cell: record(terms)})


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_consent_must_outlive_its_birth(world: World, offset: int) -> None:
    terms = world.terms(starts_at=0, expires_at=world.now + offset)
    if offset > 0:
        world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    else:
        world.refuses(
            "CONSENT/EXPIRED_AT_BIRTH", world.patient, "add_consent", grantee=world.researcher, terms=terms
        )


BAD_TERMS = [
    ("CONSENT/BAD_PURPOSE", {"purpose": 0}),
    ("CONSENT/BAD_PURPOSE", {"purpose": felt("treat")}),
    ("CONSENT/BAD_PURPOSE", {"purpose": felt("HMARKT")}),
    ("CONSENT/BAD_PURPOSE", {"purpose": felt("HRESCH ")}),
    ("CONSENT/BAD_PURPOSE", {"purpose": BTG}),
    ("CONSENT/BAD_CATEGORIES", {"categories": 0}),
    ("CONSENT/BAD_CATEGORIES", {"categories": ALL_CATEGORIES + 1}),
    ("CONSENT/BAD_CATEGORIES", {"categories": MAX_U32}),
    ("CONSENT/EMPTY_WINDOW", {"starts_at": MAX_TIME, "expires_at": MAX_TIME}),
    ("CONSENT/EMPTY_WINDOW", {"starts_at": MAX_TIME, "expires_at": MAX_TIME - 1}),
    ("CONSENT/EMPTY_WINDOW", {"starts_at": 0, "expires_at": 0}),
    ("CONSENT/EXPIRED_AT_BIRTH", {"starts_at": 0, "expires_at": 1}),
    ("CONSENT/TIME_RANGE", {"expires_at": MAX_TIME + 1}),
    ("CONSENT/TIME_RANGE", {"expires_at": 2**64 - 1}),
    # Nanoseconds where seconds belong: they are refused, not taken for a far future.
    ("CONSENT/TIME_RANGE", {"expires_at": 1_767_225_600 * 10**9}),
]


@pytest.mark.parametrize(("error", "change"), BAD_TERMS, ids=str)
@pytest.mark.parametrize("function", ["add_consent", "request_consent"])
def test_malformed_terms_are_refused(world: World, function: str, error: str, change: dict[str, int]) -> None:
    terms = world.terms(**change)
    if function == "add_consent":
        world.refuses(error, world.patient, function, grantee=world.researcher, terms=terms)
    else:
        arguments = {"patient": world.patient, "terms": terms, "open_until": world.now + 1}
        world.refuses(error, world.researcher, function, **arguments)


def test_an_entity_cannot_consent_to_itself(world: World) -> None:
    world.refuses(
        "CONSENT/SELF_GRANT", world.hospital, "add_consent", grantee=world.hospital, terms=world.terms()
    )


def test_errors_come_in_order(world: World) -> None:
    """Everything is wrong at once; repaired one by one, the next error shows."""
    world.send(world.patient, "refuse_purpose", purpose=HRESCH)
    record_cell(world).write(version=MAX_U32 - 1)
    patient_cell(world).write(generation=MAX_U32)
    bad = world.terms(
        purpose=0,
        categories=0,
        starts_at=5,
        expires_at=4,
        reward=world.campaign(
            purpose=felt("TREAT"),
            study=1,
            spender=1,
            pool=world.token.address,
            expires_at=world.now,
        ),
    )
    steps: list[tuple[str, int, dict[str, Any], dict[str, Any]]] = [
        ("CONSENT/ZERO_ADDRESS", 0, {}, {}),
        ("CONSENT/SELF_GRANT", world.patient, {}, {}),
        ("CONSENT/BAD_PURPOSE", world.stranger, {}, {}),
        ("CONSENT/BAD_CATEGORIES", world.stranger, {"purpose": HRESCH}, {}),
        ("CONSENT/EMPTY_WINDOW", world.stranger, {"categories": 1}, {}),
        ("CONSENT/EXPIRED_AT_BIRTH", world.stranger, {"starts_at": 3}, {}),
        ("CONSENT/TIME_RANGE", world.stranger, {"expires_at": MAX_TIME + 1}, {}),
        ("CONSENT/CAMPAIGN_PURPOSE", world.stranger, {"expires_at": MAX_TIME}, {}),
        ("CONSENT/CAMPAIGN_STUDY", world.stranger, {}, {"purpose": HRESCH}),
        ("CONSENT/CAMPAIGN_SPENDER", world.stranger, {}, {"study": BROAD}),
        ("ENTITY/UNKNOWN", world.stranger, {}, {"spender": 0}),
        ("CONSENT/PURPOSE_REFUSED", world.researcher, {}, {}),
    ]
    for error, grantee, repair, reward in steps:
        bad |= repair
        bad["reward"] |= reward
        world.refuses(error, world.patient, "add_consent", grantee=grantee, terms=bad)

    give = {"grantee": world.researcher, "terms": bad}
    world.send(world.patient, "allow_purpose", purpose=HRESCH)
    world.refuses("CONSENT/GENERATION_EXHAUSTED", world.patient, "add_consent", **give)
    patient_cell(world).write(generation=1)
    world.refuses("CONSENT/VERSION_EXHAUSTED", world.patient, "add_consent", **give)
    record_cell(world).write(version=0)
    world.refuses("CONSENT/NOT_A_POOL", world.patient, "add_consent", **give)
    bad["reward"] |= {"pool": world.pool.address}
    world.refuses("CONSENT/CAMPAIGN_EXPIRED", world.patient, "add_consent", **give)
    bad["reward"] |= {"expires_at": world.now + 1}
    world.refuses("CONSENT/CAMPAIGN_UNFUNDED", world.patient, "add_consent", **give)
    world.fund(bad["reward"], 2000)
    world.allow(bad["reward"], world.researcher, 1)
    world.send(world.funder, "announce_close", terms=bad["reward"])
    world.refuses("CONSENT/CAMPAIGN_CLOSING", world.patient, "add_consent", **give)
    world.fund(bad["reward"], 1000)
    world.send(world.patient, "add_consent", **give)


@pytest.mark.parametrize(
    ("field", "place", "value"),
    [
        ("categories", 2, 2**32),
        ("starts_at", 3, 2**64),
        ("expires_at", 4, 2**64),
        ("max_uses", 5, 2**32),
    ],
)
def test_values_wider_than_their_type_are_refused(world: World, field: str, place: int, value: int) -> None:
    call = world.call("add_consent", grantee=world.researcher, terms=world.terms())
    assert list(world.terms())[place] == field
    felts = list(call.calldata)
    felts[1 + place] = value
    assert_refused(
        world.execute(world.patient, call._replace(calldata=felts)), "Failed to deserialize param #2"
    )


@pytest.mark.parametrize("value", [2, LARGEST_FELT])
def test_a_scoped_consent_is_one_however_true_is_written(world: World, value: int) -> None:
    """Cairo reads every felt but zero as true; what is hashed, stored and emitted is one."""
    call = world.call("add_consent", grantee=world.researcher, terms=world.terms())
    felts = list(call.calldata)
    felts[7] = value
    outcome = world.execute(world.patient, call._replace(calldata=felts))
    assert outcome.events == [added(world, world.terms(scoped=True))]
    assert_changed(world, outcome.storage, {record_cell(world): record(world.terms(scoped=True))})


@pytest.mark.parametrize("change", ["longer", "shorter", "option"])
def test_calldata_of_another_shape_is_refused(world: World, change: str) -> None:
    call = world.call("add_consent", grantee=world.researcher, terms=world.terms())
    felts, error = {
        "longer": ([*call.calldata, 0], "Input too long for arguments"),
        "shorter": (call.calldata[:-1], "Failed to deserialize param #2"),
        "option": ([*call.calldata[:-2], 2, 0], "Failed to deserialize param #2"),
    }[change]
    assert_refused(world.execute(world.patient, call._replace(calldata=felts)), error)


# --- revoke_consent -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("study", [BROAD, STUDY])
def test_withdraws_a_consent(world: World, study: int) -> None:
    terms = world.give(study=study)
    given = consent(world)
    world.wait(1)
    receipt = withdraw(world, study)
    assert receipt.result is None
    assert receipt.events == [revoked(world, study=study)]
    assert stored(world, study=study) == given | {"state": "Withdrawn", "version": 2, "status": "Withdrawn"}
    assert world.verdict(study=study) == ("Deny", "Withdrawn", 2)
    cells = {record_cell(world, study=study): record(terms, version=2, status=2)}
    assert_changed(world, receipt.storage, cells)


def test_withdrawing_twice_is_a_new_version_and_succeeds(world: World) -> None:
    world.give()
    withdraw(world)
    before = stored(world)
    receipt = withdraw(world)
    assert receipt.events == [revoked(world, seq=3, version=3)]
    assert stored(world) == before | {"version": 3}


@pytest.mark.parametrize("change", ["grantee", "purpose", "study", "patient"])
def test_what_was_never_given_cannot_be_withdrawn(world: World, change: str) -> None:
    world.give()
    arguments = {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD}
    other = {"grantee": world.hospital, "purpose": felt("TREAT"), "study": STUDY}
    if change in other:
        arguments[change] = other[change]
    sender = world.neighbour if change == "patient" else world.patient
    world.refuses("CONSENT/NOT_FOUND", sender, "revoke_consent", **arguments)
    assert world.verdict()[0] == "Permit"


def test_errors_of_a_withdrawal_come_in_order(world: World) -> None:
    arguments = {"grantee": 0, "purpose": BTG, "study": BROAD}
    for error, repair in (
        ("CONSENT/ZERO_ADDRESS", {}),
        ("CONSENT/BAD_PURPOSE", {"grantee": world.researcher}),
        ("CONSENT/BAD_PURPOSE", {"purpose": felt("HMARKT")}),
        ("CONSENT/NOT_FOUND", {"purpose": HRESCH}),
    ):
        arguments |= repair
        world.refuses(error, world.patient, "revoke_consent", **arguments)


@pytest.mark.parametrize(
    "state", ["expired", "not started", "all revoked", "exhausted", "grantee suspended", "refused"]
)
def test_a_consent_that_is_not_live_can_be_withdrawn(world: World, state: str) -> None:
    world.give(starts_at=world.now + (100 if state == "not started" else 0), max_uses=1)
    if state == "expired":
        world.wait(DAY)
    elif state == "all revoked":
        world.send(world.patient, "revoke_all", dismiss_delegates=False)
    elif state == "exhausted":
        world.ask()
    elif state == "grantee suspended":
        world.send(world.admin, "suspend_entity", address=world.researcher)
    elif state == "refused":
        world.send(world.patient, "refuse_consent", grantee=world.researcher, purpose=HRESCH, study=BROAD)
    (event,) = withdraw(world).events
    assert event.name == "ConsentRevoked"
    assert stored(world)["status"] == "Withdrawn"


def test_a_withdrawn_consent_can_be_given_anew(world: World) -> None:
    world.give(max_uses=1)
    world.ask()
    withdraw(world)
    world.give(max_uses=1)
    assert stored(world) == consent(world, version=3, max_uses=1)
    assert world.ask().result["decision"] == "Permit"


# --- revoke_all ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dismiss", [False, True])
def test_withdraws_everything_at_one_stroke(world: World, dismiss: bool) -> None:
    others: list[dict[str, int]] = [{}, {"purpose": felt("TREAT")}, {"study": STUDY}]
    for change in others:
        world.give(**change)
    world.give(world.hospital)
    before = stored(world)
    receipt = world.send(world.patient, "revoke_all", dismiss_delegates=dismiss)
    assert receipt.result is None
    assert receipt.events == [all_revoked(world, seq=5, delegates_dismissed=dismiss)]
    after = patient_state(generation=2, floor=2, delegate_epoch=int(dismiss))
    assert world.read("patient_state", patient=world.patient) == after
    cells = {patient_cell(world): after | {"emergency": 0}}
    assert_changed(world, receipt.storage, cells)
    for change in (*others, {"grantee": world.hospital}):
        assert world.verdict(**change) == ("Deny", "AllRevoked", 1)
    # The records themselves are untouched.
    assert stored(world) == before | {"state": "AllRevoked"}


def test_what_is_given_afterwards_lives(world: World) -> None:
    world.give()
    world.send(world.patient, "revoke_all", dismiss_delegates=False)
    terms = world.terms()
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.events == [added(world, terms, seq=3, version=2, generation=2)]
    assert stored(world) == consent(world, version=2, generation=2)
    assert world.verdict() == ("Permit", "Granted", 2)
    receipt = world.send(world.patient, "revoke_all", dismiss_delegates=False)
    assert receipt.events == [all_revoked(world, seq=4, generation=3)]
    assert world.verdict() == ("Deny", "AllRevoked", 2)


def test_withdrawing_below_the_floor_says_withdrawn(world: World) -> None:
    """The record's generation becomes the present one: withdrawn is what the patient said last."""
    world.give()
    world.send(world.patient, "revoke_all", dismiss_delegates=False)
    assert withdraw(world).events == [revoked(world, seq=3, generation=2)]
    assert world.verdict() == ("Deny", "Withdrawn", 2)


def test_nobody_else_is_touched(world: World) -> None:
    world.send(world.neighbour, "add_consent", grantee=world.researcher, terms=world.terms())
    world.send(world.patient, "revoke_all", dismiss_delegates=True)
    assert world.verdict(patient=world.neighbour) == ("Permit", "Granted", 1)


def test_everything_can_be_withdrawn_before_anything_was_given(world: World) -> None:
    world.send(world.patient, "revoke_all", dismiss_delegates=False)
    world.give()
    assert world.verdict() == ("Permit", "Granted", 1)


# --- what concerns a patient as a whole ---------------------------------------------------------------------


def test_signed_messages_can_be_voided(world: World) -> None:
    for generation in (2, 3):
        receipt = world.send(world.patient, "cancel_signatures")
        assert receipt.result is None
        assert receipt.events == [
            world.raised(
                "SignaturesCancelled",
                patient=world.patient,
                seq=generation - 1,
                at=world.now,
                generation=generation,
            )
        ]
        after = patient_state(generation=generation)
        assert world.read("patient_state", patient=world.patient) == after
        assert_changed(world, receipt.storage, {patient_cell(world): after | {"emergency": 0}})


def test_voiding_messages_leaves_consents_alive(world: World) -> None:
    world.give()
    world.send(world.patient, "cancel_signatures")
    assert world.verdict() == ("Permit", "Granted", 1)


def test_a_patients_state_keeps_its_parts_apart(world: World) -> None:
    """Six numbers share one cell; changing one must not touch the others."""
    state: dict[str, Any] = patient_state()
    assert world.read("patient_state", patient=world.patient) == state
    steps: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("set_emergency_choice", {"choice": "NamedHospitals"}, {"emergency": "NamedHospitals"}),
        ("refuse_purpose", {"purpose": felt("FAMRQT")}, {"refused_purposes": 1 << 14}),
        ("dismiss_delegates", {}, {"delegate_epoch": 1}),
        ("revoke_all", {"dismiss_delegates": True}, {"generation": 2, "floor": 2, "delegate_epoch": 2}),
        ("cancel_signatures", {}, {"generation": 3}),
        ("refuse_purpose", {"purpose": HRESCH}, {"refused_purposes": 1 << 14 | 1}),
        ("allow_purpose", {"purpose": felt("FAMRQT")}, {"refused_purposes": 1}),
        ("set_emergency_choice", {"choice": "Nobody"}, {"emergency": "Nobody"}),
        ("set_emergency_choice", {"choice": "EveryHospital"}, {"emergency": "EveryHospital"}),
    ]
    for function, arguments, change in steps:
        world.send(world.patient, function, **arguments)
        state |= change
        assert world.read("patient_state", patient=world.patient) == state


def test_one_transaction_can_hold_many_steps(world: World) -> None:
    """A patient's multicall: withdraw whatever stands, give one consent anew. A repeated withdrawal does not
    fail it."""
    world.give()
    again = world.call("revoke_consent", grantee=world.researcher, purpose=HRESCH, study=BROAD)
    terms = world.terms()
    give = world.call("add_consent", grantee=world.researcher, terms=terms)
    outcome = world.execute(world.patient, again, again, give)
    assert outcome.results == [[], [], [4]]
    assert outcome.events == [
        revoked(world),
        revoked(world, seq=3, version=3),
        added(world, terms, seq=4, version=4),
    ]


def test_a_call_to_a_function_that_is_not_there(world: World) -> None:
    """The predecessor's way to act for another patient does not exist."""
    outcome = world.execute(world.stranger, Call(world.medsync.address, "grant_access", [world.patient, 1]))
    assert_refused(outcome, "ENTRYPOINT_NOT_FOUND")

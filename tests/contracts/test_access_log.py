"""Requests without a reward: what is decided is logged, and the log can be checked by anyone."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.chain import Call
from tests.harness.log import digest, head_after, logged
from tests.harness.words import ALL_CATEGORIES, DAY, MAX_BATCH, MAX_U32, REVOKE, felt
from tests.harness.world import World, assert_refused

HRESCH = felt("HRESCH")
LARGEST_FELT = 2**251 + 17 * 2**192


def log_head(world: World, patient: int | None = None) -> Any:
    return world.read("log_head", patient=patient or world.patient)


def uses(world: World) -> int:
    record = world.read("consent", patient=world.patient, grantee=world.researcher, purpose=HRESCH)
    return int(record["uses"])


# --- request_access -----------------------------------------------------------------------------------------


def test_a_permitted_request(world: World) -> None:
    world.give()
    receipt = world.ask()
    entry = logged(world)
    assert receipt.events == [entry]
    assert receipt.result == {
        "decision": "Permit",
        "reason": "Granted",
        "seq": 1,
        "digest": digest(world, 0, entry),
    }
    assert log_head(world) == head_after(world, [entry])
    assert uses(world) == 1
    # The consent and the patient's log, nothing else.
    assert receipt.cells == {world.medsync.address: 2, world.token.address: 0, world.pool.address: 0}


def test_an_empty_log(world: World) -> None:
    assert log_head(world) == {"count": 0, "head": 0}


@pytest.mark.parametrize("who", ["hospital", "researcher", "auditor"])
def test_every_role_can_be_permitted(world: World, who: str) -> None:
    accessor = getattr(world, who)
    world.send(world.patient, "add_consent", grantee=accessor, terms=world.terms())
    assert world.ask(accessor).events == [logged(world, accessor=accessor)]


@pytest.mark.parametrize("record", [0, 1, LARGEST_FELT])
@pytest.mark.parametrize("categories", [1, ALL_CATEGORIES])
def test_any_record_and_any_categories(world: World, record: int, categories: int) -> None:
    world.give()
    assert world.ask(record=record, categories=categories).events == [
        logged(world, record=record, categories=categories)
    ]


def never_given(world: World) -> None:
    del world


def withdrawn(world: World) -> None:
    world.give()
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)


def revoked(world: World) -> None:
    world.give()
    world.send(
        world.patient, "set_delegate", delegate=world.delegate, powers=REVOKE, expires_at=world.now + DAY
    )
    world.send(
        world.delegate,
        "revoke_consent_for",
        patient=world.patient,
        grantee=world.researcher,
        purpose=HRESCH,
    )


def all_revoked(world: World) -> None:
    world.give()
    world.send(world.patient, "revoke_all")


def not_started(world: World) -> None:
    world.give(starts_at=world.now + 1)


def expired(world: World) -> None:
    world.give()
    world.wait(DAY)


def not_covered(world: World) -> None:
    world.give(categories=1)


def exhausted(world: World) -> None:
    world.give(max_uses=1)
    world.ask()


def suspended(world: World) -> None:
    world.give()
    world.send(world.admin, "suspend_entity", address=world.researcher)


REFUSALS: list[tuple[Callable[[World], None], str, str, int, int]] = [
    (never_given, "NoConsent", "NeverGiven", 0, 1),
    (withdrawn, "Deny", "Withdrawn", 2, 1),
    (revoked, "Deny", "Revoked", 2, 1),
    (all_revoked, "Deny", "AllRevoked", 1, 1),
    (not_started, "Deny", "NotStarted", 1, 1),
    (expired, "Deny", "Expired", 1, 1),
    (not_covered, "Deny", "CategoryNotCovered", 1, 1),
    (exhausted, "Deny", "UsesExhausted", 1, 2),
    (suspended, "Deny", "EntitySuspended", 0, 1),
]


@pytest.mark.parametrize(("prepare", "decision", "reason", "version", "seq"), REFUSALS)
def test_a_refusal_is_logged_and_survives(
    world: World, prepare: Callable[[World], None], decision: str, reason: str, version: int, seq: int
) -> None:
    prepare(world)
    head = log_head(world)["head"]
    record = world.read("consent", patient=world.patient, grantee=world.researcher, purpose=HRESCH)
    receipt = world.ask()
    entry = logged(world, decision=decision, reason=reason, version=version, seq=seq)
    assert receipt.events == [entry]
    assert receipt.result == {
        "decision": decision,
        "reason": reason,
        "seq": seq,
        "digest": digest(world, head, entry),
    }
    assert log_head(world) == {"count": seq, "head": receipt.result["digest"]}
    assert record == world.read("consent", patient=world.patient, grantee=world.researcher, purpose=HRESCH)
    assert receipt.cells[world.medsync.address] == 1


def test_a_consent_is_for_its_grantee(world: World) -> None:
    world.give()
    assert world.ask(world.hospital).result["reason"] == "NeverGiven"
    assert uses(world) == 0


def test_break_the_glass_is_an_ordinary_purpose_at_the_ordinary_door(world: World) -> None:
    """Without consent for it a hospital gets nothing here, and it is no emergency."""
    receipt = world.ask(world.hospital, purpose=felt("BTG"))
    assert receipt.events == [
        logged(
            world,
            accessor=world.hospital,
            purpose=felt("BTG"),
            decision="NoConsent",
            reason="NeverGiven",
            version=0,
        )
    ]


@pytest.mark.parametrize("who", ["stranger", "patient", "admin", "delegate", "successor"])
def test_who_was_never_registered_cannot_write_into_a_log(world: World, who: str) -> None:
    world.give()
    world.refuses("ENTITY/UNKNOWN", getattr(world, who), "request_access", request=world.request())
    world.refuses("ENTITY/UNKNOWN", getattr(world, who), "request_access_batch", requests=[world.request()])
    assert log_head(world) == {"count": 0, "head": 0}


MALFORMED = [
    ("ACCESS/ZERO_PATIENT", {"patient": 0}),
    ("ACCESS/BAD_PURPOSE", {"purpose": 0}),
    ("ACCESS/BAD_PURPOSE", {"purpose": felt("hresch")}),
    ("ACCESS/BAD_CATEGORIES", {"categories": 0}),
    ("ACCESS/BAD_CATEGORIES", {"categories": ALL_CATEGORIES + 1}),
    ("ACCESS/BAD_CATEGORIES", {"categories": MAX_U32}),
]


@pytest.mark.parametrize(("error", "change"), MALFORMED, ids=str)
def test_malformed_requests_fail(world: World, error: str, change: dict[str, int]) -> None:
    world.give()
    request = world.request(**change)
    world.refuses(error, world.researcher, "request_access", request=request)
    # One of them fails the whole batch.
    world.refuses(error, world.researcher, "request_access_batch", requests=[world.request(), request])


def test_errors_come_in_order(world: World) -> None:
    request = world.request(patient=0, purpose=0, categories=0)
    for error, repair in (
        ("ACCESS/ZERO_PATIENT", {}),
        ("ACCESS/BAD_PURPOSE", {"patient": world.patient}),
        ("ACCESS/BAD_CATEGORIES", {"purpose": HRESCH}),
        ("ENTITY/UNKNOWN", {"categories": 1}),
    ):
        request |= repair
        world.refuses(error, world.stranger, "request_access", request=request)


@pytest.mark.parametrize(("place", "value"), [(2, 2**32), (4, 2)])
def test_requests_of_another_shape_fail(world: World, place: int, value: int) -> None:
    call = world.call("request_access", request=world.request())
    felts = list(call.calldata)
    felts[place] = value
    outcome = world.execute(world.researcher, call._replace(calldata=felts))
    assert_refused(outcome, "Failed to deserialize param #1")


# --- the chain of entries -----------------------------------------------------------------------------------


def test_every_entry_builds_on_the_one_before(world: World) -> None:
    """Permits, refusals and an emergency, by several accessors over several days: one chain per patient."""
    entries = []
    world.give(max_uses=1)
    for accessor, change in (
        (world.researcher, {}),
        (world.researcher, {}),
        (world.hospital, {"purpose": felt("TREAT"), "record": 0}),
        (world.suspended, {}),
        (world.researcher, {"categories": 3}),
    ):
        world.wait(DAY // 5)
        entries += world.ask(accessor, **change).events
    entries += world.send(
        world.hospital,
        "request_emergency_access",
        patient=world.patient,
        categories=1,
        record=0,
        justification_commitment=5,
    ).events[:1]
    assert [entry.data["seq"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert log_head(world) == head_after(world, entries)
    # One altered, moved or missing entry, and the head is another.
    altered = [*entries[:2], entries[2]._replace(data=entries[2].data | {"record": 1}), *entries[3:]]
    assert log_head(world) != head_after(world, altered)


def test_patients_logs_are_apart(world: World) -> None:
    first = world.ask().events
    second = world.ask(patient=world.neighbour).events
    third = world.ask().events
    assert log_head(world) == head_after(world, first + third)
    assert log_head(world, world.neighbour) == head_after(world, second)


def test_heads_fit_beside_the_count(world: World) -> None:
    """219 bits and no more, whatever the hash: the cell holds both."""
    requests = [world.request(record=record) for record in range(MAX_BATCH)]
    receipts = world.send(world.researcher, "request_access_batch", requests=requests).result
    assert all(0 < receipt["digest"] < 2**219 for receipt in receipts)
    assert any(receipt["digest"] >= 2**218 for receipt in receipts)
    assert log_head(world) == {"count": MAX_BATCH, "head": receipts[-1]["digest"]}


# --- uses ---------------------------------------------------------------------------------------------------


def test_only_permits_consume(world: World) -> None:
    world.give(categories=0b10, max_uses=2)
    for categories, reason, used in (
        (0b01, "CategoryNotCovered", 0),
        (0b10, "Granted", 1),
        (0b11, "CategoryNotCovered", 1),
        (0b10, "Granted", 2),
        (0b10, "UsesExhausted", 2),
    ):
        assert world.ask(categories=categories).result["reason"] == reason
        assert uses(world) == used


def test_without_a_limit_uses_are_counted_all_the_same(world: World) -> None:
    world.give(max_uses=0)
    for used in (1, 2, 3):
        assert world.ask().result["decision"] == "Permit"
        assert uses(world) == used


def test_a_suspension_is_lifted(world: World) -> None:
    world.give()
    world.send(world.admin, "suspend_entity", address=world.researcher)
    assert world.ask().result["reason"] == "EntitySuspended"
    world.send(world.admin, "reinstate_entity", address=world.researcher)
    assert world.ask().result["decision"] == "Permit"


# --- request_access_batch -----------------------------------------------------------------------------------


def test_a_batch_is_its_requests_in_order(world: World) -> None:
    """Each with its own outcome; what one changes the next one sees."""
    world.give(max_uses=1)
    world.send(world.neighbour, "add_consent", grantee=world.researcher, terms=world.terms())
    requests = [
        world.request(),
        world.request(patient=world.neighbour, record=1),
        world.request(record=2),
        world.request(purpose=felt("TREAT"), record=3),
        world.request(patient=world.stranger, record=4),
    ]
    receipt = world.send(world.researcher, "request_access_batch", requests=requests)
    entries = [
        logged(world),
        logged(world, patient=world.neighbour, record=1),
        logged(world, seq=2, record=2, decision="Deny", reason="UsesExhausted"),
        logged(
            world,
            seq=3,
            record=3,
            purpose=felt("TREAT"),
            decision="NoConsent",
            reason="NeverGiven",
            version=0,
        ),
        logged(
            world,
            patient=world.stranger,
            record=4,
            decision="NoConsent",
            reason="NeverGiven",
            version=0,
        ),
    ]
    assert receipt.events == entries
    heads: dict[int, int] = {}
    for answer, entry in zip(receipt.result, entries, strict=True):
        patient = entry.keys["patient"]
        heads[patient] = digest(world, heads.get(patient, 0), entry)
        assert answer == {
            "decision": entry.data["decision"],
            "reason": entry.data["reason"],
            "seq": entry.data["seq"],
            "digest": heads[patient],
        }
    for patient, head in heads.items():
        assert log_head(world, patient)["head"] == head


def test_a_batch_of_one_is_a_request(world: World) -> None:
    world.give()
    receipt = world.send(world.researcher, "request_access_batch", requests=[world.request()])
    assert receipt.events == [logged(world)]
    assert len(receipt.result) == 1


@pytest.mark.parametrize("size", [MAX_BATCH - 1, MAX_BATCH, MAX_BATCH + 1, 0])
def test_the_size_of_a_batch_is_bounded(world: World, size: int) -> None:
    world.give(max_uses=size or 1)
    requests = [world.request(record=record) for record in range(size)]
    if 0 < size <= MAX_BATCH:
        receipt = world.send(world.researcher, "request_access_batch", requests=requests)
        assert [answer["seq"] for answer in receipt.result] == list(range(1, size + 1))
        assert {answer["decision"] for answer in receipt.result} == {"Permit"}
        assert len(receipt.events) == size
        assert log_head(world) == head_after(world, receipt.events)
        assert world.verdict() == ("Deny", "UsesExhausted", 1)
    else:
        error = "ACCESS/BATCH_TOO_LARGE" if size else "ACCESS/EMPTY_BATCH"
        world.refuses(error, world.researcher, "request_access_batch", requests=requests)


def test_a_batch_of_a_suspended_entity_is_logged(world: World) -> None:
    receipt = world.send(world.suspended, "request_access_batch", requests=[world.request()] * 2)
    assert [event.data["reason"] for event in receipt.events] == ["EntitySuspended"] * 2


# --- request_emergency_access -------------------------------------------------------------------------------


def emergency(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "patient": world.patient,
        "categories": 3,
        "record": 0xEC04D,
        "justification_commitment": 0x1057,
    } | changes


def emergency_logged(world: World, accessor: int, **changes: Any) -> Any:
    return logged(
        world,
        **{
            "accessor": accessor,
            "purpose": felt("BTG"),
            "decision": "Emergency",
            "reason": "BreakGlass",
            "version": 0,
            "categories": 3,
            "justification": 0x1057,
        }
        | changes,
    )


@pytest.mark.parametrize("consented", [False, True])
def test_a_hospital_breaks_the_glass(world: World, consented: bool) -> None:
    """With or without consent: it is an emergency, flagged as one, and no use of a consent."""
    if consented:
        terms = world.terms(purpose=felt("BTG"))
        world.send(world.patient, "add_consent", grantee=world.hospital, terms=terms)
    receipt = world.send(world.hospital, "request_emergency_access", **emergency(world))
    entry = emergency_logged(world, world.hospital)
    assert receipt.events == [
        entry,
        world.raised(
            "EmergencyAccessed",
            patient=world.patient,
            accessor=world.hospital,
            seq=1,
            justification=0x1057,
        ),
    ]
    assert receipt.result == {
        "decision": "Emergency",
        "reason": "BreakGlass",
        "seq": 1,
        "digest": digest(world, 0, entry),
    }
    assert log_head(world) == head_after(world, [entry])
    assert receipt.cells[world.medsync.address] == 1


def test_an_emergency_ignores_what_was_withdrawn(world: World) -> None:
    """Only the opt-out made in advance stands against it."""
    world.give()
    world.send(world.patient, "revoke_all")
    receipt = world.send(world.hospital, "request_emergency_access", **emergency(world))
    assert receipt.result["decision"] == "Emergency"


def test_a_patient_can_opt_out_in_advance(world: World) -> None:
    world.send(world.patient, "set_emergency_opt_out", opted_out=True)
    receipt = world.send(world.hospital, "request_emergency_access", **emergency(world))
    assert receipt.events == [
        emergency_logged(world, world.hospital, decision="Deny", reason="EmergencyOptOut")
    ]
    assert receipt.result["reason"] == "EmergencyOptOut"
    # It is the patient's own word, for the patient only, and can be taken back.
    neighbours = emergency(world, patient=world.neighbour)
    assert (
        world.send(world.hospital, "request_emergency_access", **neighbours).result["decision"] == "Emergency"
    )
    world.send(world.patient, "set_emergency_opt_out", opted_out=False)
    receipt = world.send(world.hospital, "request_emergency_access", **emergency(world))
    assert (receipt.result["decision"], receipt.result["seq"]) == ("Emergency", 2)


@pytest.mark.parametrize("who", ["researcher", "auditor"])
def test_only_hospitals_break_the_glass(world: World, who: str) -> None:
    world.send(world.patient, "set_emergency_opt_out", opted_out=True)
    accessor = getattr(world, who)
    receipt = world.send(accessor, "request_emergency_access", **emergency(world))
    assert receipt.events == [emergency_logged(world, accessor, decision="Deny", reason="NotHospital")]


@pytest.mark.parametrize("who", ["suspended", "hospital"])
def test_a_suspended_entity_does_not(world: World, who: str) -> None:
    """Suspension comes first: before the role, before the opt-out."""
    accessor = getattr(world, who)
    if who == "hospital":
        world.send(world.admin, "suspend_entity", address=accessor)
    world.send(world.patient, "set_emergency_opt_out", opted_out=True)
    receipt = world.send(accessor, "request_emergency_access", **emergency(world))
    assert receipt.events == [emergency_logged(world, accessor, decision="Deny", reason="EntitySuspended")]


def test_malformed_emergencies_fail_in_order(world: World) -> None:
    arguments = emergency(world, patient=0, categories=0, justification_commitment=0)
    for error, repair in (
        ("ACCESS/ZERO_PATIENT", {}),
        ("ACCESS/BAD_CATEGORIES", {"patient": world.patient}),
        ("ACCESS/BAD_CATEGORIES", {"categories": ALL_CATEGORIES + 1}),
        ("ACCESS/ZERO_JUSTIFICATION", {"categories": ALL_CATEGORIES}),
        ("ENTITY/UNKNOWN", {"justification_commitment": LARGEST_FELT}),
    ):
        arguments |= repair
        world.refuses(error, world.stranger, "request_emergency_access", **arguments)
    world.send(world.hospital, "request_emergency_access", **arguments)


@pytest.mark.parametrize("who", ["admin", "patient", "delegate", "stranger"])
def test_who_was_never_registered_breaks_no_glass(world: World, who: str) -> None:
    world.refuses("ENTITY/UNKNOWN", getattr(world, who), "request_emergency_access", **emergency(world))


# --- what a log cannot promise ------------------------------------------------------------------------------


def test_an_accessor_can_throw_a_refusal_away_with_its_transaction(world: World) -> None:
    """A refusal survives as long as its transaction does. Who wraps the request and panics over a refusal
    leaves no entry; but has learnt nothing that `verify_consent` does not tell everybody, and got nothing."""
    refused = world.call("request_access", request=world.request())
    panic = Call(world.medsync.address, "nothing_of_this_name", [])
    outcome = world.execute(world.researcher, refused, panic)
    assert_refused(outcome, "ENTRYPOINT_NOT_FOUND")
    assert log_head(world) == {"count": 0, "head": 0}

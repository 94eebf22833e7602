"""Requests without a reward, and statements of deletion: what is decided is logged, and the log can be
checked by anyone."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.cells import assert_changed, record_cell
from tests.harness.chain import Call
from tests.harness.expected import record, stored
from tests.harness.log import digest, head_after, logged
from tests.harness.words import (
    ALL_CATEGORIES,
    BROAD,
    BTG,
    DAY,
    EMERGENCY_DELAY,
    HRESCH,
    LARGEST_FELT,
    MAX_BATCH,
    MAX_U32,
    REVOKE,
    felt,
)
from tests.harness.world import World, assert_refused

STUDY = 0x57D7


def log_head(world: World, patient: int | None = None) -> Any:
    return world.read("log_head", patient=patient or world.patient)


def about(world: World, **changes: Any) -> dict[str, Any]:
    return {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD} | changes


# --- request_access -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scoped", [False, True])
@pytest.mark.parametrize("study", [BROAD, STUDY])
def test_a_permitted_request(world: World, study: int, scoped: bool) -> None:
    terms = world.give(study=study, scoped=scoped)
    receipt = world.ask(study=study)
    entry = logged(world, study=study, scoped=scoped)
    assert receipt.events == [entry]
    assert receipt.result == {
        "decision": "Permit",
        "reason": "Granted",
        "seq": 1,
        "digest": digest(world, 0, entry),
    }
    assert log_head(world) == head_after(world, [entry])
    # The consent's uses, beside the log.
    assert_changed(world, receipt.storage, {record_cell(world, study=study): record(terms, uses=1)})


def test_an_empty_log(world: World) -> None:
    assert log_head(world) == {"count": 0, "head": 0}


@pytest.mark.parametrize("who", ["hospital", "researcher", "auditor"])
def test_every_role_can_be_permitted(world: World, who: str) -> None:
    accessor = getattr(world, who)
    world.give(accessor)
    assert world.ask(accessor).events == [logged(world, accessor=accessor)]


@pytest.mark.parametrize("unusual", [0, 1, LARGEST_FELT])
@pytest.mark.parametrize("categories", [1, ALL_CATEGORIES])
def test_any_record_and_any_categories(world: World, unusual: int, categories: int) -> None:
    world.give()
    assert world.ask(record=unusual, categories=categories).events == [
        logged(world, record=unusual, categories=categories)
    ]


def test_an_entry_names_what_it_was_judged_on(world: World) -> None:
    """The record's version, and the accessor's latest entry in the registry's history."""
    world.give()
    world.give()
    for act in ("suspend_entity", "reinstate_entity"):
        world.send(world.admin, act, address=world.researcher)
    (entry,) = world.ask().events
    assert entry.data["version"] == 2
    assert entry.data["registration"] == world.read("registry_head")["count"]


def never_given(world: World) -> None:
    del world


def withdrawn(world: World) -> None:
    world.give()
    world.send(world.patient, "revoke_consent", **about(world))


def revoked(world: World) -> None:
    world.give()
    world.name_delegate(REVOKE)
    world.send(world.delegate, "revoke_consent_for", patient=world.patient, **about(world))


def refused(world: World) -> None:
    world.send(world.patient, "refuse_consent", **about(world))


def purpose_refused(world: World) -> None:
    world.give()
    world.send(world.patient, "refuse_purpose", purpose=HRESCH)


def all_revoked(world: World) -> None:
    world.give()
    world.send(world.patient, "revoke_all", dismiss_delegates=False)


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


REFUSALS: list[tuple[Callable[[World], None], str, str, int, int]] = [
    (never_given, "NoConsent", "NeverGiven", 0, 1),
    (purpose_refused, "Deny", "PurposeRefused", 1, 1),
    (refused, "Deny", "Refused", 1, 1),
    (withdrawn, "Deny", "Withdrawn", 2, 1),
    (revoked, "Deny", "Revoked", 2, 1),
    (all_revoked, "Deny", "AllRevoked", 1, 1),
    (not_started, "Deny", "NotStarted", 1, 1),
    (expired, "Deny", "Expired", 1, 1),
    (not_covered, "Deny", "CategoryNotCovered", 1, 1),
    (exhausted, "Deny", "UsesExhausted", 1, 2),
]


@pytest.mark.parametrize(("prepare", "decision", "reason", "version", "seq"), REFUSALS)
def test_a_refusal_is_logged_and_survives(
    world: World, prepare: Callable[[World], None], decision: str, reason: str, version: int, seq: int
) -> None:
    prepare(world)
    head, before = log_head(world)["head"], stored(world)
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
    assert stored(world) == before
    assert_changed(world, receipt.storage, {})


def test_a_consent_is_for_its_grantee_and_study(world: World) -> None:
    world.give(study=STUDY)
    assert world.ask(world.hospital, study=STUDY).result["reason"] == "NeverGiven"
    assert world.ask().result["reason"] == "NeverGiven"
    assert stored(world, study=STUDY)["uses"] == 0


@pytest.mark.parametrize("who", ["stranger", "patient", "admin", "delegate", "successor"])
def test_who_was_never_registered_cannot_write_into_a_log(world: World, who: str) -> None:
    world.give()
    caller = getattr(world, who)
    world.refuses("ENTITY/UNKNOWN", caller, "request_access", request=world.request())
    world.refuses("ENTITY/UNKNOWN", caller, "request_access_batch", **world.batch((world.patient, 1)))
    assert log_head(world) == {"count": 0, "head": 0}


MALFORMED = [
    ("ACCESS/ZERO_PATIENT", {"patient": 0}),
    ("ACCESS/BAD_PURPOSE", {"purpose": 0}),
    ("ACCESS/BAD_PURPOSE", {"purpose": felt("hresch")}),
    ("ACCESS/BAD_PURPOSE", {"purpose": BTG}),
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
    batch = world.batch((world.patient, 1), (request["patient"], 2), **change)
    world.refuses(error, world.researcher, "request_access_batch", **batch)


def test_errors_come_in_order(world: World) -> None:
    """What is asked for, who asks, and about whom."""
    request = world.request(patient=0, purpose=0, categories=0)
    for error, sender, repair in (
        ("ACCESS/BAD_PURPOSE", world.stranger, {}),
        ("ACCESS/BAD_CATEGORIES", world.stranger, {"purpose": HRESCH}),
        ("ENTITY/UNKNOWN", world.stranger, {"categories": 1}),
        ("ENTITY/SUSPENDED", world.suspended, {}),
        ("ACCESS/ZERO_PATIENT", world.researcher, {}),
    ):
        request |= repair
        world.refuses(error, sender, "request_access", request=request)


def test_errors_of_a_batch_come_in_order(world: World) -> None:
    """Its size before everything that a single request is refused for."""
    for error, size in (("ACCESS/EMPTY_BATCH", 0), ("ACCESS/BATCH_TOO_LARGE", MAX_BATCH + 1)):
        batch = world.batch(*((0, 0) for _ in range(size)), purpose=0, categories=0)
        world.refuses(error, world.stranger, "request_access_batch", **batch)
    batch = world.batch((0, 0), purpose=0, categories=0)
    for error, sender, repair in (
        ("ACCESS/BAD_PURPOSE", world.stranger, {}),
        ("ACCESS/BAD_CATEGORIES", world.stranger, {"purpose": HRESCH}),
        ("ENTITY/UNKNOWN", world.stranger, {"categories": 1}),
        ("ENTITY/SUSPENDED", world.suspended, {}),
        ("ACCESS/ZERO_PATIENT", world.researcher, {}),
    ):
        batch |= repair
        world.refuses(error, sender, "request_access_batch", **batch)


def test_requests_of_another_shape_fail(world: World) -> None:
    call = world.call("request_access", request=world.request())
    felts = list(call.calldata)
    felts[3] = 2**32
    outcome = world.execute(world.researcher, call._replace(calldata=felts))
    assert_refused(outcome, "Failed to deserialize param #1")


# --- the chain of entries -----------------------------------------------------------------------------------


def test_every_entry_builds_on_the_one_before(world: World) -> None:
    """Permits, refusals, an emergency and what became of it, a deletion, by several accessors over several
    days: one chain per patient."""
    entries = []
    world.give(max_uses=1, expires_at=world.now + 9 * DAY)
    world.wait(EMERGENCY_DELAY)
    for accessor, change in (
        (world.researcher, {}),
        (world.researcher, {}),
        (world.hospital, {"purpose": felt("TREAT"), "record": 0}),
        (world.researcher, {"categories": 3}),
    ):
        world.wait(DAY // 5)
        entries += world.ask(accessor, **change).events
    emergency = {"patient": world.patient, "categories": 1, "record": 0}
    entries += world.send(world.hospital, "request_emergency_access", **emergency).events
    entries += world.send(
        world.hospital, "justify_emergency", patient=world.patient, emergency=5, statement=1
    ).events
    entries += world.send(world.patient, "contest_emergency", hospital=world.hospital, emergency=5).events
    deletion = {"patient": world.patient, "purpose": HRESCH, "study": BROAD, "statement": 1}
    entries += world.send(world.researcher, "state_deletion", **deletion).events
    assert [entry.data["seq"] for entry in entries] == list(range(1, 9))
    assert log_head(world) == head_after(world, entries)
    # One altered, and the head is another.
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
    batch = world.batch(*((world.patient, number) for number in range(MAX_BATCH)))
    receipts = world.send(world.researcher, "request_access_batch", **batch).result
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
        assert stored(world)["uses"] == used


def test_without_a_limit_uses_are_counted_all_the_same(world: World) -> None:
    world.give(max_uses=0)
    for used in (1, 2, 3):
        assert world.ask().result["decision"] == "Permit"
        assert stored(world)["uses"] == used


# --- request_access_batch -----------------------------------------------------------------------------------


def test_a_batch_is_its_requests_in_order(world: World) -> None:
    """Each with its own outcome; what one changes the next one sees."""
    terms = world.give(max_uses=1, scoped=True)
    world.send(world.neighbour, "add_consent", grantee=world.researcher, terms=world.terms())
    batch = world.batch((world.patient, 9), (world.neighbour, 1), (world.patient, 2), (world.stranger, 4))
    receipt = world.send(world.researcher, "request_access_batch", **batch)
    entries = [
        logged(world, record=9, scoped=True),
        logged(world, patient=world.neighbour, record=1),
        logged(world, seq=2, record=2, decision="Deny", reason="UsesExhausted", scoped=True),
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
    cells = {
        record_cell(world): record(terms, uses=1),
        record_cell(world, world.neighbour): record(terms, uses=1, max_uses=0, scoped=0),
    }
    assert_changed(world, receipt.storage, cells)


def test_a_batch_of_one_is_a_request(world: World) -> None:
    world.give(study=STUDY)
    batch = world.batch((world.patient, 0xEC04D), study=STUDY)
    receipt = world.send(world.researcher, "request_access_batch", **batch)
    assert receipt.events == [logged(world, study=STUDY)]
    assert len(receipt.result) == 1


@pytest.mark.parametrize("size", [MAX_BATCH - 1, MAX_BATCH])
def test_the_largest_batch(world: World, size: int) -> None:
    world.give(max_uses=size)
    batch = world.batch(*((world.patient, number) for number in range(size)))
    receipt = world.send(world.researcher, "request_access_batch", **batch)
    assert [answer["seq"] for answer in receipt.result] == list(range(1, size + 1))
    assert {answer["decision"] for answer in receipt.result} == {"Permit"}
    assert log_head(world) == head_after(world, receipt.events)
    assert world.verdict() == ("Deny", "UsesExhausted", 1)


# --- state_deletion -----------------------------------------------------------------------------------------


def deletion(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "patient": world.patient,
        "purpose": HRESCH,
        "study": BROAD,
        "statement": 0x57A7E,
    } | changes


@pytest.mark.parametrize("study", [BROAD, STUDY])
@pytest.mark.parametrize("decision", ["given", "withdrawn", "refused"])
def test_an_entity_states_what_it_deleted(world: World, decision: str, study: int) -> None:
    """Whatever was decided on the consent, as often as it likes."""
    if decision != "refused":
        world.give(study=study)
    if decision != "given":
        function = "revoke_consent" if decision == "withdrawn" else "refuse_consent"
        world.send(world.patient, function, **about(world, study=study))
    version = 2 if decision == "withdrawn" else 1
    for seq in (1, 2):
        receipt = world.send(world.researcher, "state_deletion", **deletion(world, study=study))
        assert receipt.result is None
        assert receipt.events == [
            world.raised(
                "DeletionStated",
                patient=world.patient,
                accessor=world.researcher,
                purpose=HRESCH,
                seq=seq,
                at=world.now,
                study=study,
                version=version,
                registration=world.read("entity", address=world.researcher)["seq"],
                statement=0x57A7E,
            )
        ]
        assert_changed(world, receipt.storage, {})


def test_errors_of_a_deletion_come_in_order(world: World) -> None:
    world.give(study=STUDY)
    arguments = deletion(world, purpose=BTG, statement=0)
    for error, sender, repair in (
        ("ACCESS/ZERO_STATEMENT", world.stranger, {}),
        ("ACCESS/BAD_PURPOSE", world.stranger, {"statement": 1}),
        ("ENTITY/UNKNOWN", world.stranger, {"purpose": HRESCH}),
        ("ENTITY/SUSPENDED", world.suspended, {}),
        ("ACCESS/NO_CONSENT", world.researcher, {}),
        ("ACCESS/NO_CONSENT", world.hospital, {"study": STUDY}),
        ("ACCESS/NO_CONSENT", world.researcher, {"patient": 0}),
    ):
        arguments |= repair
        world.refuses(error, sender, "state_deletion", **arguments)
    world.send(world.researcher, "state_deletion", **arguments | {"patient": world.patient})


# --- what a log cannot promise ------------------------------------------------------------------------------


def test_an_accessor_can_throw_a_refusal_away_with_its_transaction(world: World) -> None:
    """A refusal survives as long as its transaction does. Who wraps the request and panics over a refusal
    leaves no entry; but has learnt nothing that `verify_consent` does not tell everybody, and got nothing."""
    refusal = world.call("request_access", request=world.request())
    panic = Call(world.medsync.address, "nothing_of_this_name", [])
    outcome = world.execute(world.researcher, refusal, panic)
    assert_refused(outcome, "ENTRYPOINT_NOT_FOUND")
    assert log_head(world) == {"count": 0, "head": 0}

"""The ends of counters, reached by writing into the devnet's storage: no user could do enough transactions to
get there. What opens something stops in time; what closes something never fails.

That each cell is packed as its doc says, every other test asserts of the cells that it sees change.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.cells import (
    admin_cell,
    assert_changed,
    budget_cell,
    delegation_cell,
    entity_cell,
    naming_cell,
    patient_cell,
    peek,
    record_cell,
)
from tests.harness.expected import consent, patient_state, stored
from tests.harness.log import ACCESSES, CONSENTS, REGISTRY
from tests.harness.snip12 import consent_message, revocation_message
from tests.harness.words import (
    ADMIN_DELAY,
    BROAD,
    EMERGENCY_DELAY,
    HRESCH,
    MAX_U32,
    MAX_U64,
    RESERVED_FROM,
)
from tests.harness.world import PROFILE, World, id_of

Call = tuple[str, str, dict[str, Any]]
"""Who calls which function with what."""


def about(world: World) -> dict[str, Any]:
    return {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD}


def send(world: World, call: Call) -> Any:
    sender, function, arguments = call
    return world.send(getattr(world, sender), function, **arguments)


def is_refused(world: World, error: str, call: Call) -> None:
    sender, function, arguments = call
    world.refuses(error, getattr(world, sender), function, **arguments)


# --- layouts ------------------------------------------------------------------------------------------------


def test_cells_that_no_transaction_of_a_test_changes(world: World) -> None:
    """Written at deployment."""
    medsync, pool = world.medsync, world.pool
    assert admin_cell(world, "admin").read() == {"value": world.admin}
    # Nobody named: the administrator's own address, so that the cell is never cleared.
    assert admin_cell(world, "pending").read() == {"value": world.admin}
    pool_class = world.chain.declared("RewardPool").hash
    assert peek(world, medsync, "RewardBudgets_pool_class") == pool_class
    assert peek(world, pool, "token") == world.token.address
    assert peek(world, pool, "medsync") == medsync.address
    suspended = entity_cell(world, world.suspended).read()
    assert (suspended["role"], suspended["suspended"]) == (2, 1)


def test_a_mark_keeps_cells_from_being_cleared(world: World) -> None:
    world.send(world.patient, "set_emergency_choice", choice="EveryHospital")
    world.name_delegate(0, 0)
    for cell in (patient_cell(world), delegation_cell(world)):
        assert cell.read()["set"] == 1


@pytest.mark.parametrize("number", [1, MAX_U32, MAX_U32 - 1])
def test_fields_at_their_widest_do_not_touch_each_other(world: World, number: int) -> None:
    """What the view unpacks is what was packed, with every field full."""
    values = {"generation": number, "counter": number, "floor": number, "delegate_epoch": number}
    patient_cell(world).write(**values, refused_purposes=0x7FFF, emergency=2)
    expected = patient_state(**values, refused_purposes=0x7FFF, emergency="Nobody")
    assert world.read("patient_state", patient=world.patient) == expected
    receipt = world.send(world.patient, "set_emergency_choice", choice="NamedHospitals")
    cell = values | {"refused_purposes": 0x7FFF, "emergency": 1}
    assert_changed(world, receipt.storage, {patient_cell(world): cell})


@pytest.mark.parametrize("view", ["consent", "patient_state", "entity"])
def test_a_cell_that_nothing_packs_is_not_read(world: World, view: str) -> None:
    """Codes beyond their enums panic. Nothing writes them; a corrupted cell is not taken for another."""
    cell, values, arguments = {
        "consent": (record_cell(world), {"status": 5}, world.about() | {"campaign": 0}),
        "patient_state": (patient_cell(world), {"emergency": 3}, {"patient": world.patient}),
        "entity": (entity_cell(world, world.stranger), {"role": 4}, {"address": world.stranger}),
    }[view]
    cell.write(**values)
    world.refuses("PACK/RANGE", world.relayer, view, **arguments)


# --- histories ----------------------------------------------------------------------------------------------


def opening_acts(world: World) -> list[Call]:
    """Everything that opens something in a consent history, or is not the patient's own act."""
    consent_terms = {"grantee": world.researcher, "terms": world.terms()}
    named = {"delegate": world.relayer, "powers": 1, "expires_at": world.now + 1}
    return [
        ("patient", "add_consent", consent_terms),
        ("delegate", "add_consent_for", {"patient": world.patient} | consent_terms),
        ("relayer", "add_consent_by_sig", consent_message(world)),
        ("delegate", "revoke_all_for", {"patient": world.patient}),
        ("delegate", "refuse_consent_for", {"patient": world.patient} | about(world)),
        ("patient", "allow_purpose", {"purpose": HRESCH}),
        ("patient", "set_delegate", named),
        ("patient", "set_emergency_choice", {"choice": "EveryHospital"}),
        ("patient", "allow_emergency", {"hospital": world.hospital}),
    ]


def closing_acts(world: World) -> list[Call]:
    """Everything by which a patient closes something, directly or by a signed message."""
    removed = {"delegate": world.delegate, "powers": 0, "expires_at": 0}
    generation = world.read("patient_state", patient=world.patient)["generation"]
    withdrawal = revocation_message(world, grantee=world.partner, generation=generation)
    return [
        ("relayer", "revoke_consent_by_sig", withdrawal),
        ("patient", "revoke_consent", about(world)),
        ("patient", "revoke_all", {"dismiss_delegates": True}),
        ("patient", "refuse_consent", about(world)),
        ("patient", "refuse_purpose", {"purpose": HRESCH}),
        ("patient", "set_delegate", removed),
        ("patient", "dismiss_delegates", {}),
        ("patient", "set_emergency_choice", {"choice": "NamedHospitals"}),
        ("patient", "set_emergency_choice", {"choice": "Nobody"}),
        ("patient", "forbid_emergency", {"hospital": world.hospital}),
        ("patient", "cancel_signatures", {}),
    ]


def assert_last(world: World, error: str, acts: list[Call], chain: str, last: int) -> None:
    """Each of these acts can make entry `last` of a history, and none after it."""
    world.histories.put(chain, last - 1)
    for sender, function, arguments in acts:
        outcome = world.simulate(getattr(world, sender), world.call(function, **arguments))
        assert outcome.error is None, f"{function}: {outcome.reason}"
        assert [event.data["seq"] for event in outcome.events] == [last], function
    world.histories.put(chain, last)
    for sender, function, arguments in acts:
        world.refuses(error, getattr(world, sender), function, **arguments)


def test_what_opens_something_stops_before_a_history_is_full(world: World) -> None:
    """2^16 entries are kept for the patient to close what is open."""
    world.name_delegate(7)
    world.give(world.partner)
    revocation = {"patient": world.patient} | about(world) | {"grantee": world.partner}
    acts = [*opening_acts(world), ("delegate", "revoke_consent_for", revocation)]
    assert_last(world, "CONSENT/HISTORY_FULL", acts, CONSENTS, RESERVED_FROM)


@pytest.mark.parametrize("count", [RESERVED_FROM - 1, RESERVED_FROM, MAX_U32 - 20])
def test_what_closes_something_goes_on(world: World, count: int) -> None:
    world.name_delegate(7)
    world.give()
    world.histories.put(CONSENTS, count)
    for place in range(len(closing_acts(world))):
        send(world, closing_acts(world)[place])
    head = world.read("history_head", patient=world.patient)
    assert head["count"] == count + len(closing_acts(world))


def test_a_history_ends_after_all(world: World) -> None:
    world.give()
    world.histories.put(CONSENTS, MAX_U32 - 1)
    world.send(world.patient, "revoke_consent", **about(world))
    assert world.read("history_head", patient=world.patient)["count"] == MAX_U32
    for call in closing_acts(world):
        is_refused(world, "CONSENT/HISTORY_FULL", call)
    # Everybody else goes on.
    world.send(world.neighbour, "revoke_all", dismiss_delegates=False)


def test_a_full_log_never_blocks_a_revocation(world: World) -> None:
    """Entities cannot make the list of consents long: the two histories are apart."""
    world.give()
    world.histories.put(ACCESSES, MAX_U32)
    world.send(world.patient, "revoke_consent", **about(world))


def logging_acts(world: World) -> list[Call]:
    """Everything by which an entity writes into a patient's log."""
    patient = {"patient": world.patient}
    return [
        ("researcher", "request_access", {"request": world.request()}),
        ("researcher", "request_access_batch", world.batch((world.patient, 1))),
        ("hospital", "request_emergency_access", patient | {"categories": 1, "record": 0}),
        ("hospital", "justify_emergency", patient | {"emergency": 1, "statement": 1}),
        (
            "researcher",
            "state_deletion",
            patient | {"purpose": HRESCH, "study": BROAD, "statement": 1},
        ),
    ]


def test_a_log_takes_no_more_from_entities_but_the_patients_contests(world: World) -> None:
    """What is not logged is not decided."""
    world.give()
    world.wait(EMERGENCY_DELAY)
    emergency = {"patient": world.patient, "categories": 1, "record": 0}
    world.send(world.hospital, "request_emergency_access", **emergency)
    assert_last(world, "ACCESS/LOG_FULL", logging_acts(world), ACCESSES, RESERVED_FROM)
    contest: Call = ("patient", "contest_emergency", {"hospital": world.hospital, "emergency": 1})
    assert_last(world, "ACCESS/LOG_FULL", [contest], ACCESSES, MAX_U32)
    # Everybody else goes on.
    assert world.ask(patient=world.neighbour).result["seq"] == 1


def test_a_batch_that_would_fill_the_log_fails_as_a_whole(world: World) -> None:
    world.histories.put(ACCESSES, RESERVED_FROM - 2)
    three = world.batch(*((world.patient, number) for number in range(3)))
    world.refuses("ACCESS/LOG_FULL", world.researcher, "request_access_batch", **three)
    two = world.batch(*((world.patient, number) for number in range(2)))
    world.send(world.researcher, "request_access_batch", **two)


def test_the_registrys_history_ends_after_2_to_the_32(world: World) -> None:
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    world.wait(ADMIN_DELAY)
    registered = {"address": world.stranger, "role": "Auditor", "profile_commitment": PROFILE}
    acts: list[Call] = [
        ("admin", "register_entity", registered),
        ("admin", "suspend_entity", {"address": world.hospital}),
        ("admin", "reinstate_entity", {"address": world.suspended}),
        ("researcher", "suspend_self", {}),
        ("partner", "change_profile", {"profile_commitment": 1}),
        ("admin", "announce_successor", {"successor": 1}),
        ("admin", "begin_admin_transfer", {"new_admin": world.relayer}),
        ("admin", "cancel_admin_transfer", {}),
        ("successor", "accept_admin_transfer", {}),
    ]
    assert_last(world, "ENTITY/HISTORY_FULL", acts, REGISTRY, MAX_U32)


# --- generations --------------------------------------------------------------------------------------------


def test_the_last_generation_gives_nothing_and_closes_everything(world: World) -> None:
    """The generation no longer rises; the floor reaches it, so that even the last consents are dead."""
    patient_cell(world).write(generation=MAX_U32 - 1, counter=1)
    world.give()
    receipt = world.send(world.patient, "cancel_signatures")
    assert receipt.events[0].data["generation"] == MAX_U32
    give = {"grantee": world.researcher, "terms": world.terms()}
    world.refuses("CONSENT/GENERATION_EXHAUSTED", world.patient, "add_consent", **give)
    message = consent_message(world, generation=MAX_U32, version=2)
    world.refuses("CONSENT/GENERATION_EXHAUSTED", world.relayer, "add_consent_by_sig", **message)
    # What was given before lives on until it is ended; every way to end it still works.
    assert world.verdict() == ("Permit", "Granted", 1)
    for function, arguments in (
        ("cancel_signatures", {}),
        ("revoke_all", {"dismiss_delegates": False}),
    ):
        (event,) = world.send(world.patient, function, **arguments).events
        assert event.data["generation"] == MAX_U32
    assert world.verdict() == ("Deny", "AllRevoked", 1)
    world.send(world.patient, "revoke_consent", **about(world))
    assert world.verdict() == ("Deny", "Withdrawn", 2)


@pytest.mark.parametrize("signed_at", [MAX_U32 - 1, MAX_U32])
def test_a_signed_withdrawal_works_once_in_the_last_generation(world: World, signed_at: int) -> None:
    patient_cell(world).write(generation=MAX_U32 - 1, counter=1)
    world.give()
    world.send(world.patient, "cancel_signatures")
    message = revocation_message(world, generation=signed_at)
    (event,) = world.send(world.relayer, "revoke_consent_by_sig", **message).events
    assert event.data["generation"] == MAX_U32
    assert world.verdict() == ("Deny", "Withdrawn", 2)
    world.refuses("CONSENT/BAD_GENERATION", world.relayer, "revoke_consent_by_sig", **message)


def test_the_last_counter_of_a_generation_is_not_used(world: World) -> None:
    """There is no next one; a panic button starts the count again."""
    patient_cell(world).write(generation=1, counter=MAX_U32 - 1)
    world.send(world.relayer, "add_consent_by_sig", **consent_message(world, counter=MAX_U32 - 1))
    assert world.read("patient_state", patient=world.patient)["counter"] == MAX_U32
    message = consent_message(world, counter=MAX_U32, version=2)
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **message)
    world.send(world.patient, "cancel_signatures")
    message = consent_message(world, generation=2, version=2)
    world.send(world.relayer, "add_consent_by_sig", **message)


# --- delegate epochs ----------------------------------------------------------------------------------------


def test_at_the_last_delegate_epoch_nobody_can_be_named(world: World) -> None:
    patient_cell(world).write(generation=1, counter=1, delegate_epoch=MAX_U32 - 1)
    world.name_delegate(7)
    (event,) = world.send(world.patient, "dismiss_delegates").events
    assert event.data["epoch"] == MAX_U32
    named = {"delegate": world.delegate, "powers": 1, "expires_at": world.now + 1}
    world.refuses("CONSENT/EPOCH_EXHAUSTED", world.patient, "set_delegate", **named)
    world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "revoke_all_for", patient=world.patient)
    # Dismissing and removing never fail.
    (event,) = world.send(world.patient, "dismiss_delegates").events
    assert event.data["epoch"] == MAX_U32
    world.send(world.patient, "set_delegate", **named | {"powers": 0})
    (event,) = world.send(world.patient, "revoke_all", dismiss_delegates=True).events
    assert event.data["delegates_dismissed"] is True
    assert world.read("patient_state", patient=world.patient)["delegate_epoch"] == MAX_U32


# --- versions -----------------------------------------------------------------------------------------------


def withdraw(world: World) -> None:
    world.send(world.patient, "revoke_consent", **about(world))


def refuse(world: World) -> None:
    world.send(world.patient, "refuse_consent", **about(world))


def withdraw_by_message(world: World) -> None:
    generation = world.read("patient_state", patient=world.patient)["generation"]
    message = revocation_message(world, generation=generation)
    world.send(world.relayer, "revoke_consent_by_sig", **message)


@pytest.mark.parametrize(
    ("end", "reason"),
    [(withdraw, "Withdrawn"), (refuse, "Refused"), (withdraw_by_message, "Withdrawn")],
)
def test_the_last_version_is_kept_for_an_end(world: World, end: Callable[[World], None], reason: str) -> None:
    """2^32 - 2 changes: it can be renewed no more, but still be ended, as often as anyone likes."""
    world.give()
    record_cell(world).write(version=MAX_U32 - 2)
    world.give()
    assert world.verdict() == ("Permit", "Granted", MAX_U32 - 1)
    give = {"grantee": world.researcher, "terms": world.terms()}
    world.refuses("CONSENT/VERSION_EXHAUSTED", world.patient, "add_consent", **give)
    for _ in range(2):
        end(world)
        assert world.verdict() == ("Deny", reason, MAX_U32)
    world.refuses("CONSENT/VERSION_EXHAUSTED", world.patient, "add_consent", **give)


def test_a_word_about_emergencies_is_never_the_last(world: World) -> None:
    naming_cell(world, world.hospital).write(version=MAX_U32 - 1, generation=1, status=1)
    for function, status in (
        ("forbid_emergency", "Refused"),
        ("forbid_emergency", "Refused"),
        ("allow_emergency", "Given"),
    ):
        (event,) = world.send(world.patient, function, hospital=world.hospital).events
        assert event.data["version"] == MAX_U32
        answer = world.read("emergency_naming", patient=world.patient, hospital=world.hospital)
        assert answer == status


# --- uses and budgets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_uses", [0, MAX_U32])
def test_the_count_of_uses_ends(world: World, max_uses: int) -> None:
    """Without a limit the counter itself is the limit; it neither wraps nor panics."""
    world.give(max_uses=max_uses)
    record_cell(world).write(uses=MAX_U32 - 1)
    assert world.ask().result["decision"] == "Permit"
    assert world.ask().result["reason"] == "UsesExhausted"
    assert stored(world) == consent(world, state="UsesExhausted", max_uses=max_uses, uses=MAX_U32)


def test_a_budget_at_its_largest_is_spent(world: World) -> None:
    """Left and spent together stay below 2^64, so neither overflows."""
    terms = world.campaign()
    world.fund(terms, 1000)
    world.allow(terms, world.researcher, 1)
    world.give(reward=terms)
    cell = budget_cell(world, id_of(terms), world.researcher)
    cell.write(left=2, paid=MAX_U64 - 2)
    batch = world.batch(*((world.patient, number) for number in range(3)), campaign=id_of(terms))
    receipt = world.send(world.researcher, "request_access_batch", **batch)
    reasons = [event.data["reason"] for event in receipt.events]
    assert reasons == ["Granted", "Granted", "RewardUnfunded"]
    assert cell.read() | {"expires_at": 0} == {
        "left": 0,
        "paid": MAX_U64,
        "expires_at": 0,
        "custodian_settled": 0,
    }

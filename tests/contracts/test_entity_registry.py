"""Registration, suspension by the administrator or the entity itself, and profiles."""

from typing import Any

import pytest

from tests.harness.cells import assert_changed, entity_cell
from tests.harness.chain import Call
from tests.harness.words import EMERGENCY_DELAY, LARGEST_FELT, PROFILE_DELAY, felt
from tests.harness.world import PROFILE, World, assert_refused

ROLES = ("Hospital", "Researcher", "Auditor")


def next_seq(world: World) -> int:
    """Number of the registry's next entry."""
    return int(world.read("registry_head")["count"]) + 1


def entity(world: World, address: int) -> Any:
    return world.read("entity", address=address)


# --- deployment ---------------------------------------------------------------------------------------------


def test_deployment_installs_the_administrator_and_fixes_the_class_of_pools(world: World) -> None:
    pool_class = world.chain.declared("RewardPool").hash
    medsync, deployment = world.chain.deployment(world.chain.declared("MedSync"), [world.auditor, pool_class])
    outcome = world.execute(world.relayer, deployment)
    assert outcome.events == [
        world.raised("AdminTransferred", medsync, previous=0, admin=world.auditor, seq=1, at=world.now)
    ]
    assert world.read("admin", medsync) == world.auditor
    assert world.read("pending_admin", medsync) is None
    assert world.read("successor", medsync) == 0
    assert world.read("pool_class_hash", medsync) == pool_class
    assert world.read("registry_head", medsync)["count"] == 1


@pytest.mark.parametrize(
    ("error", "admin", "pool_class"),
    [("ENTITY/ZERO_ADDRESS", 0, 0), ("ENTITY/ZERO_ADDRESS", 0, 1), ("BUDGET/ZERO_CLASS", 1, 0)],
)
def test_deployment_needs_both(world: World, error: str, admin: int, pool_class: int) -> None:
    _, deployment = world.chain.deployment(world.chain.declared("MedSync"), [admin, pool_class])
    assert_refused(world.execute(world.admin, deployment), error)


def test_the_contracts_say_which_edition_they_are(world: World) -> None:
    assert world.read("edition") == felt("MedSync/2")


# --- register_entity ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(len(ROLES)))
def test_registers_an_entity(world: World, place: int) -> None:
    role, seq = ROLES[place], next_seq(world)
    receipt = world.send(
        world.admin, "register_entity", address=world.stranger, role=role, profile_commitment=PROFILE
    )
    assert receipt.result is None
    assert receipt.events == [
        world.raised(
            "EntityRegistered",
            entity=world.stranger,
            seq=seq,
            at=world.now,
            role=role,
            profile_commitment=PROFILE,
        )
    ]
    times = {"registered_at": world.now, "active_since": world.now, "profiled_at": world.now}
    assert entity(world, world.stranger) == {"role": role, "suspended": False, **times, "seq": seq}
    cells = {entity_cell(world, world.stranger): {"role": place + 1, **times, "seq": seq}}
    assert_changed(world, receipt.storage, cells)


def test_an_unknown_address_is_no_entity(world: World) -> None:
    assert entity(world, world.stranger) == {
        "role": "None",
        "suspended": False,
        "registered_at": 0,
        "active_since": 0,
        "profiled_at": 0,
        "seq": 0,
    }


@pytest.mark.parametrize("commitment", [1, LARGEST_FELT])
def test_any_profile_but_zero(world: World, commitment: int) -> None:
    arguments = {"address": world.stranger, "role": "Auditor", "profile_commitment": commitment}
    (event,) = world.send(world.admin, "register_entity", **arguments).events
    assert event.data["profile_commitment"] == commitment


def test_errors_of_a_registration_come_in_order(world: World) -> None:
    """Everything is wrong at once; repaired one by one, the next error shows."""
    arguments = {"address": 0, "role": "None", "profile_commitment": 0}
    world.refuses("ENTITY/NOT_ADMIN", world.stranger, "register_entity", **arguments)
    for error, repair in (
        ("ENTITY/ZERO_ADDRESS", {}),
        ("ENTITY/IS_ADMIN", {"address": world.admin}),
        ("ENTITY/BAD_ROLE", {"address": world.hospital}),
        ("ENTITY/ZERO_PROFILE", {"role": "Hospital"}),
        ("ENTITY/ALREADY_REGISTERED", {"profile_commitment": PROFILE}),
    ):
        arguments |= repair
        world.refuses(error, world.admin, "register_entity", **arguments)
    world.send(world.admin, "register_entity", **arguments | {"address": world.stranger})


def test_a_role_beyond_the_enum_is_refused(world: World) -> None:
    call = Call(world.medsync.address, "register_entity", [world.stranger, 4, PROFILE])
    assert_refused(world.execute(world.admin, call), "Failed to deserialize param #2")


def test_an_entity_is_registered_once(world: World) -> None:
    """Not even with the same role, and not to wash off a suspension."""
    for address in (world.hospital, world.suspended):
        for role in ROLES:
            arguments = {"address": address, "role": role, "profile_commitment": PROFILE}
            world.refuses("ENTITY/ALREADY_REGISTERED", world.admin, "register_entity", **arguments)
    assert entity(world, world.suspended)["suspended"]


# --- suspension ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["admin", "hospital"])
def test_suspends_and_reinstates(world: World, by: str) -> None:
    """The administrator suspends anyone, an entity itself; only the administrator lifts it. The first sets no
    clock, the second does: a reinstated hospital is new again."""
    before, seq = entity(world, world.hospital), next_seq(world)
    world.wait(5)
    if by == "admin":
        receipt = world.send(world.admin, "suspend_entity", address=world.hospital)
    else:
        receipt = world.send(world.hospital, "suspend_self")
    assert receipt.result is None
    assert receipt.events == [
        world.raised("EntitySuspended", entity=world.hospital, seq=seq, at=world.now, by=getattr(world, by))
    ]
    assert entity(world, world.hospital) == before | {"suspended": True, "seq": seq}
    begun = {"role": 1, "registered_at": world.begun, "profiled_at": world.begun}
    cell = entity_cell(world, world.hospital)
    assert_changed(
        world, receipt.storage, {cell: begun | {"active_since": world.begun, "suspended": 1, "seq": seq}}
    )

    world.wait(5)
    receipt = world.send(world.admin, "reinstate_entity", address=world.hospital)
    assert receipt.result is None
    assert receipt.events == [
        world.raised("EntityReinstated", entity=world.hospital, seq=seq + 1, at=world.now)
    ]
    after = {"active_since": world.now, "seq": seq + 1}
    assert entity(world, world.hospital) == before | after
    assert_changed(world, receipt.storage, {cell: begun | after})


@pytest.mark.parametrize(
    ("error", "sender", "function", "arguments"),
    [
        ("ENTITY/UNKNOWN", "admin", "suspend_entity", {"address": "stranger"}),
        ("ENTITY/UNKNOWN", "admin", "reinstate_entity", {"address": "stranger"}),
        ("ENTITY/SUSPENDED", "admin", "suspend_entity", {"address": "suspended"}),
        ("ENTITY/NOT_SUSPENDED", "admin", "reinstate_entity", {"address": "hospital"}),
        ("ENTITY/UNKNOWN", "stranger", "suspend_self", {}),
        ("ENTITY/UNKNOWN", "admin", "suspend_self", {}),
        ("ENTITY/SUSPENDED", "suspended", "suspend_self", {}),
        # Nobody lifts its own suspension.
        ("ENTITY/NOT_ADMIN", "suspended", "reinstate_entity", {"address": "suspended"}),
        ("ENTITY/NOT_ADMIN", "hospital", "suspend_entity", {"address": "hospital"}),
    ],
)
def test_suspension_changes_only_what_it_can(
    world: World, error: str, sender: str, function: str, arguments: dict[str, str]
) -> None:
    named = {name: getattr(world, who) for name, who in arguments.items()}
    world.refuses(error, getattr(world, sender), function, **named)


def test_a_suspended_entity_is_refused_everything(world: World) -> None:
    """Whatever it asks for reverts, so that it cannot make anybody's log longer."""
    world.wait(EMERGENCY_DELAY)
    world.give(world.hospital)
    world.send(world.hospital, "suspend_self")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("request_access", {"request": world.request()}),
        ("request_access_batch", world.batch((world.patient, 1))),
        ("request_emergency_access", {"patient": world.patient, "categories": 1, "record": 0}),
        (
            "request_consent",
            {"patient": world.patient, "terms": world.terms(), "open_until": world.now + 1},
        ),
        (
            "state_deletion",
            {"patient": world.patient, "purpose": felt("HRESCH"), "study": 0, "statement": 1},
        ),
        ("change_profile", {"profile_commitment": 1}),
    ]
    for function, arguments in calls:
        world.refuses("ENTITY/SUSPENDED", world.hospital, function, **arguments)
    assert world.read("log_head", patient=world.patient) == {"count": 0, "head": 0}
    # The consent stays, and works again when the suspension is lifted.
    world.send(world.admin, "reinstate_entity", address=world.hospital)
    assert world.ask(world.hospital).result["decision"] == "Permit"


# --- change_profile -----------------------------------------------------------------------------------------


def test_an_entity_replaces_its_profile(world: World) -> None:
    before, seq = entity(world, world.researcher), next_seq(world)
    world.wait(PROFILE_DELAY)
    receipt = world.send(world.researcher, "change_profile", profile_commitment=77)
    assert receipt.result is None
    assert receipt.events == [
        world.raised("ProfileChanged", entity=world.researcher, seq=seq, at=world.now, profile_commitment=77)
    ]
    after = {"profiled_at": world.now, "seq": seq}
    assert entity(world, world.researcher) == before | after
    cell = {"role": 2, "registered_at": world.begun, "active_since": world.begun} | after
    assert_changed(world, receipt.storage, {entity_cell(world, world.researcher): cell})


@pytest.mark.parametrize("since", ["registration", "change"])
@pytest.mark.parametrize(("offset", "accepted"), [(-1, False), (0, True), (1, True)])
def test_once_a_day_to_the_second(world: World, since: str, offset: int, accepted: bool) -> None:
    """Counted from the registration first, then from the latest change."""
    if since == "change":
        world.wait(PROFILE_DELAY + 5)
        world.send(world.researcher, "change_profile", profile_commitment=6)
    world.wait(PROFILE_DELAY + offset)
    if accepted:
        world.send(world.researcher, "change_profile", profile_commitment=7)
    else:
        world.refuses("ENTITY/PROFILE_TOO_SOON", world.researcher, "change_profile", profile_commitment=7)


def test_what_no_profile_can_be(world: World) -> None:
    for error, who in (("ENTITY/UNKNOWN", world.stranger), ("ENTITY/SUSPENDED", world.suspended)):
        world.refuses(error, who, "change_profile", profile_commitment=0)
    # Zero is refused before the clock is looked at.
    world.refuses("ENTITY/ZERO_PROFILE", world.researcher, "change_profile", profile_commitment=0)


def test_a_suspension_does_not_set_the_profiles_clock(world: World) -> None:
    world.wait(PROFILE_DELAY - 1)
    world.send(world.admin, "suspend_entity", address=world.researcher)
    world.send(world.admin, "reinstate_entity", address=world.researcher)
    world.wait(1)
    world.send(world.researcher, "change_profile", profile_commitment=1)
    assert entity(world, world.researcher)["active_since"] == world.now - 1

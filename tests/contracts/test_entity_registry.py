"""Registration, suspension, and an administration that can be handed over but never lost."""

import pytest

from tests.harness.chain import Call
from tests.harness.words import ADMIN_DELAY
from tests.harness.world import PROFILE, World, assert_refused

ROLES = ("Hospital", "Researcher", "Auditor")


# --- constructor --------------------------------------------------------------------------------------------


def test_deployment_installs_the_administrator(world: World) -> None:
    medsync, deployment = world.chain.deployment(world.chain.declared("MedSync"), [world.auditor])
    outcome = world.execute(world.relayer, deployment)
    assert outcome.events == [world.raised("AdminTransferred", medsync, previous=0, admin=world.auditor)]
    assert world.read("admin", medsync) == world.auditor
    assert world.read("pending_admin", medsync) is None


def test_deployment_without_administrator_fails(world: World) -> None:
    _, deployment = world.chain.deployment(world.chain.declared("MedSync"), [0])
    assert_refused(world.execute(world.admin, deployment), "ENTITY/ZERO_ADDRESS")


# --- register_entity ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_registers_an_entity(world: World, role: str) -> None:
    receipt = world.send(
        world.admin, "register_entity", address=world.stranger, role=role, profile_commitment=PROFILE
    )
    assert receipt.result is None
    assert receipt.events == [
        world.raised(
            "EntityRegistered", entity=world.stranger, role=role, profile_commitment=PROFILE, at=world.now
        )
    ]
    assert world.read("entity", address=world.stranger) == {
        "role": role,
        "suspended": False,
        "registered_at": world.now,
    }


def test_an_unknown_address_is_no_entity(world: World) -> None:
    assert world.read("entity", address=world.stranger) == {
        "role": "None",
        "suspended": False,
        "registered_at": 0,
    }


@pytest.mark.parametrize(
    ("error", "change"),
    [
        ("ENTITY/ZERO_ADDRESS", {"address": 0}),
        ("ENTITY/BAD_ROLE", {"role": "None"}),
        ("ENTITY/ZERO_PROFILE", {"profile_commitment": 0}),
    ],
)
def test_malformed_entities_are_refused(world: World, error: str, change: dict[str, object]) -> None:
    arguments = {"address": world.stranger, "role": "Hospital", "profile_commitment": PROFILE} | change
    world.refuses(error, world.admin, "register_entity", **arguments)
    assert world.read("entity", address=world.stranger)["role"] == "None"


def test_a_role_beyond_the_enum_is_refused(world: World) -> None:
    outcome = world.execute(
        world.admin, Call(world.medsync.address, "register_entity", [world.stranger, 4, PROFILE])
    )
    assert_refused(outcome, "Failed to deserialize param #2")


def test_an_entity_is_registered_once(world: World) -> None:
    """Not even with the same role, and not to wash off a suspension."""
    for entity in (world.hospital, world.suspended):
        for role in ROLES:
            world.refuses(
                "ENTITY/ALREADY_REGISTERED",
                world.admin,
                "register_entity",
                address=entity,
                role=role,
                profile_commitment=PROFILE,
            )
    assert world.read("entity", address=world.suspended)["suspended"]


# --- suspend_entity, reinstate_entity -----------------------------------------------------------------------


def test_suspends_and_reinstates(world: World) -> None:
    before = world.read("entity", address=world.hospital)
    world.wait(5)
    receipt = world.send(world.admin, "suspend_entity", address=world.hospital)
    assert receipt.result is None
    assert receipt.events == [world.raised("EntitySuspended", entity=world.hospital)]
    assert world.read("entity", address=world.hospital) == before | {"suspended": True}

    receipt = world.send(world.admin, "reinstate_entity", address=world.hospital)
    assert receipt.result is None
    assert receipt.events == [world.raised("EntityReinstated", entity=world.hospital)]
    assert world.read("entity", address=world.hospital) == before


@pytest.mark.parametrize(
    ("error", "function", "who"),
    [
        ("ENTITY/UNKNOWN", "suspend_entity", "stranger"),
        ("ENTITY/UNKNOWN", "reinstate_entity", "stranger"),
        ("ENTITY/ALREADY_SUSPENDED", "suspend_entity", "suspended"),
        ("ENTITY/NOT_SUSPENDED", "reinstate_entity", "hospital"),
    ],
)
def test_suspension_changes_only_what_it_can(world: World, error: str, function: str, who: str) -> None:
    world.refuses(error, world.admin, function, address=getattr(world, who))


# --- handing the administration over ------------------------------------------------------------------------


def test_the_administration_is_handed_over(world: World) -> None:
    ready_at = world.now + ADMIN_DELAY
    receipt = world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    assert receipt.result is None
    assert receipt.events == [
        world.raised("AdminTransferBegun", new_admin=world.successor, ready_at=ready_at)
    ]
    assert world.read("pending_admin") == {"address": world.successor, "ready_at": ready_at}
    assert world.read("admin") == world.admin

    world.now = ready_at
    receipt = world.send(world.successor, "accept_admin_transfer")
    assert receipt.result is None
    assert receipt.events == [world.raised("AdminTransferred", previous=world.admin, admin=world.successor)]
    assert world.read("admin") == world.successor
    assert world.read("pending_admin") is None

    world.refuses("ENTITY/NOT_ADMIN", world.admin, "suspend_entity", address=world.hospital)
    world.send(world.successor, "suspend_entity", address=world.hospital)
    world.refuses("ENTITY/NO_TRANSFER", world.successor, "accept_admin_transfer")
    world.refuses("ENTITY/NO_TRANSFER", world.successor, "cancel_admin_transfer")


@pytest.mark.parametrize(("offset", "accepted"), [(-1, False), (0, True), (1, True)])
def test_the_delay_is_exact(world: World, offset: int, accepted: bool) -> None:
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    world.wait(ADMIN_DELAY + offset)
    if accepted:
        world.send(world.successor, "accept_admin_transfer")
    else:
        world.refuses("ENTITY/TRANSFER_NOT_READY", world.successor, "accept_admin_transfer")
    assert world.read("admin") == (world.successor if accepted else world.admin)


def test_a_transfer_can_be_called_off_even_when_it_is_ready(world: World) -> None:
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    world.wait(ADMIN_DELAY)
    receipt = world.send(world.admin, "cancel_admin_transfer")
    assert receipt.result is None
    assert receipt.events == [world.raised("AdminTransferCancelled", new_admin=world.successor)]
    assert world.read("pending_admin") is None
    world.refuses("ENTITY/NO_TRANSFER", world.successor, "accept_admin_transfer")
    world.refuses("ENTITY/NO_TRANSFER", world.admin, "cancel_admin_transfer")


def test_beginning_again_restarts_the_delay(world: World) -> None:
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    world.wait(ADMIN_DELAY - 1)
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    world.wait(1)
    world.refuses("ENTITY/TRANSFER_NOT_READY", world.successor, "accept_admin_transfer")
    world.wait(ADMIN_DELAY - 1)
    world.send(world.successor, "accept_admin_transfer")


def test_who_accepted_can_hand_back(world: World) -> None:
    for giver, taker in ((world.admin, world.successor), (world.successor, world.admin)):
        world.send(giver, "begin_admin_transfer", new_admin=taker)
        world.wait(ADMIN_DELAY)
        world.send(taker, "accept_admin_transfer")
    assert world.read("admin") == world.admin
    assert world.read("pending_admin") is None


@pytest.mark.parametrize(("error", "who"), [("ENTITY/ZERO_ADDRESS", None), ("ENTITY/ALREADY_ADMIN", "admin")])
def test_not_everybody_can_succeed(world: World, error: str, who: str | None) -> None:
    world.refuses(error, world.admin, "begin_admin_transfer", new_admin=getattr(world, who) if who else 0)


@pytest.mark.parametrize("who", ["admin", "hospital", "stranger"])
def test_only_the_named_successor_accepts(world: World, who: str) -> None:
    world.refuses("ENTITY/NO_TRANSFER", getattr(world, who), "accept_admin_transfer")
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    world.wait(ADMIN_DELAY)
    world.refuses("ENTITY/NOT_PENDING_ADMIN", getattr(world, who), "accept_admin_transfer")


def test_a_transfer_writes_no_new_cell_but_its_time(world: World) -> None:
    """The successor's cell holds the administrator when nobody is named, so it is never cleared."""
    assert (
        world.send(world.admin, "begin_admin_transfer", new_admin=world.successor).cells[
            world.medsync.address
        ]
        == 2
    )
    assert world.send(world.admin, "cancel_admin_transfer").cells[world.medsync.address] == 1

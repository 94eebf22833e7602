"""An administration that can be handed over but never lost, and that no entity can hold; and the announcement
of a successor of the deployment."""

from typing import Any

import pytest

from tests.harness.cells import admin_cell, assert_changed
from tests.harness.words import ADMIN_DELAY, ADMIN_LAPSE
from tests.harness.world import PROFILE, World


def next_seq(world: World) -> int:
    """Number of the registry's next entry."""
    return int(world.read("registry_head")["count"]) + 1


def begin(world: World) -> None:
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)


def registration(address: int) -> dict[str, Any]:
    return {"address": address, "role": "Hospital", "profile_commitment": PROFILE}


# --- handing over -------------------------------------------------------------------------------------------


def test_the_administration_is_handed_over(world: World) -> None:
    seq, begun = next_seq(world), world.now
    receipt = world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    times = {"ready_at": begun + ADMIN_DELAY, "lapses_at": begun + ADMIN_LAPSE}
    assert receipt.result is None
    assert receipt.events == [
        world.raised("AdminTransferBegun", new_admin=world.successor, seq=seq, at=begun, **times)
    ]
    assert world.read("pending_admin") == {"address": world.successor, **times}
    assert world.read("admin") == world.admin
    cells = {
        admin_cell(world, "pending"): {"value": world.successor},
        admin_cell(world, "begun_at"): {"value": begun},
    }
    assert_changed(world, receipt.storage, cells)

    world.now = times["ready_at"]
    receipt = world.send(world.successor, "accept_admin_transfer")
    assert receipt.result is None
    assert receipt.events == [
        world.raised(
            "AdminTransferred", previous=world.admin, admin=world.successor, seq=seq + 1, at=world.now
        )
    ]
    assert world.read("admin") == world.successor
    assert world.read("pending_admin") is None
    assert_changed(world, receipt.storage, {admin_cell(world, "admin"): {"value": world.successor}})

    world.refuses("ENTITY/NOT_ADMIN", world.admin, "suspend_entity", address=world.hospital)
    world.send(world.successor, "suspend_entity", address=world.hospital)
    world.refuses("ENTITY/NO_TRANSFER", world.successor, "accept_admin_transfer")
    world.refuses("ENTITY/NO_TRANSFER", world.successor, "cancel_admin_transfer")


@pytest.mark.parametrize(
    ("after", "error"),
    [
        (ADMIN_DELAY - 1, "ENTITY/TRANSFER_NOT_READY"),
        (ADMIN_DELAY, None),
        (ADMIN_DELAY + 1, None),
        (ADMIN_LAPSE - 1, None),
        (ADMIN_LAPSE, "ENTITY/TRANSFER_LAPSED"),
        (ADMIN_LAPSE + 1, "ENTITY/TRANSFER_LAPSED"),
    ],
)
def test_it_is_accepted_from_48_hours_up_to_14_days(world: World, after: int, error: str | None) -> None:
    begin(world)
    world.wait(after)
    if error is None:
        world.send(world.successor, "accept_admin_transfer")
    else:
        world.refuses(error, world.successor, "accept_admin_transfer")
    assert world.read("admin") == (world.admin if error else world.successor)


@pytest.mark.parametrize("after", [ADMIN_DELAY, ADMIN_LAPSE])
def test_a_transfer_can_be_called_off_whenever_it_is_under_way(world: World, after: int) -> None:
    """Ready or lapsed. The cell then names the administrator, so that it is never cleared."""
    begin(world)
    seq = next_seq(world)
    world.wait(after)
    receipt = world.send(world.admin, "cancel_admin_transfer")
    assert receipt.result is None
    assert receipt.events == [
        world.raised("AdminTransferCancelled", new_admin=world.successor, seq=seq, at=world.now)
    ]
    assert_changed(world, receipt.storage, {admin_cell(world, "pending"): {"value": world.admin}})
    assert world.read("pending_admin") is None
    world.refuses("ENTITY/NO_TRANSFER", world.successor, "accept_admin_transfer")
    world.refuses("ENTITY/NO_TRANSFER", world.admin, "cancel_admin_transfer")


def test_a_lapsed_transfer_is_shown_until_it_is_replaced(world: World) -> None:
    begin(world)
    world.wait(ADMIN_LAPSE)
    assert world.read("pending_admin")["address"] == world.successor
    begin(world)
    world.wait(ADMIN_DELAY)
    world.send(world.successor, "accept_admin_transfer")


def test_beginning_again_restarts_the_delay_and_names_another(world: World) -> None:
    begin(world)
    world.wait(ADMIN_DELAY - 1)
    world.send(world.admin, "begin_admin_transfer", new_admin=world.stranger)
    world.wait(1)
    world.refuses("ENTITY/NOT_PENDING_ADMIN", world.successor, "accept_admin_transfer")
    world.refuses("ENTITY/TRANSFER_NOT_READY", world.stranger, "accept_admin_transfer")
    world.wait(ADMIN_DELAY - 1)
    world.send(world.stranger, "accept_admin_transfer")


def test_who_accepted_can_hand_back(world: World) -> None:
    for giver, taker in ((world.admin, world.successor), (world.successor, world.admin)):
        world.send(giver, "begin_admin_transfer", new_admin=taker)
        world.wait(ADMIN_DELAY)
        world.send(taker, "accept_admin_transfer")
    assert world.read("admin") == world.admin
    assert world.read("pending_admin") is None


@pytest.mark.parametrize(
    ("error", "who"),
    [
        ("ENTITY/ZERO_ADDRESS", None),
        ("ENTITY/IS_ADMIN", "admin"),
        ("ENTITY/IS_ENTITY", "hospital"),
        ("ENTITY/IS_ENTITY", "suspended"),
    ],
)
def test_not_everybody_can_succeed(world: World, error: str, who: str | None) -> None:
    world.refuses(error, world.admin, "begin_admin_transfer", new_admin=getattr(world, who) if who else 0)


@pytest.mark.parametrize("who", ["admin", "hospital", "stranger"])
def test_only_the_named_successor_accepts(world: World, who: str) -> None:
    world.refuses("ENTITY/NO_TRANSFER", getattr(world, who), "accept_admin_transfer")
    begin(world)
    # Whom it is to comes before when.
    world.refuses("ENTITY/NOT_PENDING_ADMIN", getattr(world, who), "accept_admin_transfer")
    world.wait(ADMIN_DELAY)
    world.refuses("ENTITY/NOT_PENDING_ADMIN", getattr(world, who), "accept_admin_transfer")


# --- no administrator is an entity --------------------------------------------------------------------------


def test_neither_the_administrator_nor_the_next_one_is_registered(world: World) -> None:
    world.refuses("ENTITY/IS_ADMIN", world.admin, "register_entity", **registration(world.admin))
    begin(world)
    for after in (0, ADMIN_LAPSE - 1):
        world.now = world.begun + after
        world.refuses("ENTITY/IS_ADMIN", world.admin, "register_entity", **registration(world.successor))
    # Somebody else can be, meanwhile.
    world.send(world.admin, "register_entity", **registration(world.stranger))


@pytest.mark.parametrize("way", ["lapsed", "cancelled", "another named"])
def test_who_will_not_succeed_can_be_registered(world: World, way: str) -> None:
    begin(world)
    if way == "lapsed":
        world.wait(ADMIN_LAPSE)
    elif way == "cancelled":
        world.send(world.admin, "cancel_admin_transfer")
    else:
        world.send(world.admin, "begin_admin_transfer", new_admin=world.stranger)
    world.send(world.admin, "register_entity", **registration(world.successor))


def test_who_became_an_entity_meanwhile_cannot_accept(world: World) -> None:
    """The one way there: registered after a hand-over lapsed, in a chain whose clock then went back."""
    begin(world)
    begun = world.now
    world.wait(ADMIN_LAPSE)
    world.send(world.admin, "register_entity", **registration(world.successor))
    world.now = begun + ADMIN_DELAY
    world.refuses("ENTITY/IS_ENTITY", world.successor, "accept_admin_transfer")


def test_a_former_administrator_can_be_registered(world: World) -> None:
    begin(world)
    world.wait(ADMIN_DELAY)
    world.send(world.successor, "accept_admin_transfer")
    world.refuses("ENTITY/IS_ADMIN", world.successor, "register_entity", **registration(world.successor))
    world.send(world.successor, "register_entity", **registration(world.admin))


# --- announce_successor -------------------------------------------------------------------------------------


def test_a_successor_of_the_deployment_is_announced_and_taken_back(world: World) -> None:
    """Nothing else changes by it."""
    for successor in (0x5CC, 0x5CD, 0):
        seq = next_seq(world)
        receipt = world.send(world.admin, "announce_successor", successor=successor)
        assert receipt.result is None
        assert receipt.events == [
            world.raised("SuccessorAnnounced", successor=successor, seq=seq, at=world.now)
        ]
        assert_changed(world, receipt.storage, {admin_cell(world, "successor"): {"value": successor}})
        assert world.read("successor") == successor
    world.give()
    assert world.ask().result["decision"] == "Permit"


def test_a_deployment_does_not_succeed_itself(world: World) -> None:
    world.refuses("ENTITY/BAD_SUCCESSOR", world.admin, "announce_successor", successor=world.medsync.address)
    world.refuses("ENTITY/NOT_ADMIN", world.stranger, "announce_successor", successor=world.medsync.address)

"""The administrator's office: taken, abandoned, raced for. It can be handed over and not lost, it takes two
days, and there is nothing in it worth stealing but registrations and suspensions."""

from typing import Any

import pytest

from tests.harness.roles import RULES
from tests.harness.words import ADMIN_DELAY
from tests.harness.world import PROFILE, World


def begin(world: World, by: int, to: int) -> None:
    world.send(by, "begin_admin_transfer", new_admin=to)


def test_the_last_administrator_leaves(world: World) -> None:
    """There is no way out but to a successor who accepts: not to nobody, not to oneself, not to an address
    that never answers."""
    world.refuses("ENTITY/ZERO_ADDRESS", world.admin, "begin_admin_transfer", new_admin=0)
    world.refuses("ENTITY/ALREADY_ADMIN", world.admin, "begin_admin_transfer", new_admin=world.admin)
    begin(world, world.admin, 0xDEAD)
    world.wait(100 * ADMIN_DELAY)
    assert world.read("admin") == world.admin
    world.send(world.admin, "suspend_entity", address=world.hospital)
    world.send(world.admin, "cancel_admin_transfer")
    offices = {name for name in RULES if "admin" in name or "renounce" in name or "owner" in name}
    assert offices == {"begin_admin_transfer", "cancel_admin_transfer", "accept_admin_transfer"}


def test_two_successors(world: World) -> None:
    """Only the one who was named last is one, and waits for two days of its own. The first, who waited
    already, is none."""
    begin(world, world.admin, world.successor)
    world.wait(ADMIN_DELAY)
    begin(world, world.admin, world.auditor)
    for offset, waiting in ((0, "ENTITY/TRANSFER_NOT_READY"), (ADMIN_DELAY - 1, "ENTITY/TRANSFER_NOT_READY")):
        world.wait(offset)
        world.refuses("ENTITY/NOT_PENDING_ADMIN", world.successor, "accept_admin_transfer")
        world.refuses(waiting, world.auditor, "accept_admin_transfer")
    world.wait(1)
    world.send(world.auditor, "accept_admin_transfer")
    world.refuses("ENTITY/NO_TRANSFER", world.successor, "accept_admin_transfer")
    assert world.read("admin") == world.auditor


@pytest.mark.parametrize("first", ["cancel", "accept"])
def test_a_race_in_the_second_it_is_ready(world: World, first: str) -> None:
    """Called off and accepted in the same second: whichever is first in the block, and the other fails. The
    office has one holder all the time."""
    begin(world, world.admin, world.successor)
    world.wait(ADMIN_DELAY)
    if first == "cancel":
        world.send(world.admin, "cancel_admin_transfer")
        world.refuses("ENTITY/NO_TRANSFER", world.successor, "accept_admin_transfer")
        assert world.read("admin") == world.admin
    else:
        world.send(world.successor, "accept_admin_transfer")
        world.refuses("ENTITY/NOT_ADMIN", world.admin, "cancel_admin_transfer")
        assert world.read("admin") == world.successor


def test_a_stolen_key(world: World) -> None:
    """The thief names itself. The owner has two days in which it can call that off, and the thief can do the
    same to the owner's successor: neither gets the office by being fast once. Where nobody watches for two
    days, the thief has it."""
    thief, owner = world.stranger, world.admin
    for _ in range(3):
        begin(world, world.admin, thief)  # with the stolen key
        world.refuses("ENTITY/TRANSFER_NOT_READY", thief, "accept_admin_transfer")
        world.wait(ADMIN_DELAY - 1)
        world.send(owner, "cancel_admin_transfer")
        world.wait(1)
        world.refuses("ENTITY/NO_TRANSFER", thief, "accept_admin_transfer")
        begin(world, owner, world.successor)
        world.wait(ADMIN_DELAY - 1)
        begin(world, world.admin, thief)  # with the stolen key
        world.wait(1)
        world.refuses("ENTITY/NOT_PENDING_ADMIN", world.successor, "accept_admin_transfer")
    world.wait(ADMIN_DELAY)
    world.send(thief, "accept_admin_transfer")
    assert world.read("admin") == thief
    world.refuses("ENTITY/NOT_ADMIN", owner, "cancel_admin_transfer")


def test_the_thief_of_an_office_is_seen(world: World) -> None:
    """Each thing that it can do leaves an event: a false hospital, a true one suspended, a successor."""
    world.give()
    for function, arguments, name in (
        (
            "register_entity",
            {"address": world.stranger, "role": "Hospital", "profile_commitment": PROFILE},
            "EntityRegistered",
        ),
        ("suspend_entity", {"address": world.hospital}, "EntitySuspended"),
        ("begin_admin_transfer", {"new_admin": world.stranger}, "AdminTransferBegun"),
    ):
        assert [event.name for event in world.send(world.admin, function, **arguments).events] == [name]
    # The false hospital breaks the glass, which is logged as such; a patient who opted out is out of reach.
    world.send(world.neighbour, "set_emergency_opt_out", opted_out=True)
    for patient, decision in ((world.patient, "Emergency"), (world.neighbour, "Deny")):
        receipt = world.send(
            world.stranger,
            "request_emergency_access",
            patient=patient,
            categories=1,
            record=0,
            justification_commitment=1,
        )
        assert receipt.result["decision"] == decision
        assert receipt.events[0].keys["accessor"] == world.stranger
    # And no consent, log or credit is any different.
    assert world.verdict() == ("Permit", "Granted", 1)


def test_the_former_administrator(world: World) -> None:
    """From the successor's acceptance on it is nobody."""
    begin(world, world.admin, world.successor)
    world.wait(ADMIN_DELAY)
    world.send(world.successor, "accept_admin_transfer")
    duties: dict[str, dict[str, Any]] = {
        "register_entity": {"address": 0xE17, "role": "Auditor", "profile_commitment": PROFILE},
        "suspend_entity": {"address": world.hospital},
        "reinstate_entity": {"address": world.suspended},
        "begin_admin_transfer": {"new_admin": world.admin},
        "cancel_admin_transfer": {},
    }
    assert set(duties) == {name for name, rule in RULES.items() if rule.error == "ENTITY/NOT_ADMIN"}
    for function, arguments in duties.items():
        world.refuses("ENTITY/NOT_ADMIN", world.admin, function, **arguments)


def test_the_administrator_has_no_way_to_data_or_money(world: World) -> None:
    """The office registers and suspends. It reads no data, gives no consent, revokes none, and touches no
    pool."""
    terms = world.campaign()
    world.fund(terms, 10_000)
    world.give()
    admin = world.admin
    world.refuses("ENTITY/UNKNOWN", admin, "request_access", request=world.request())
    world.refuses(
        "ENTITY/UNKNOWN",
        admin,
        "request_emergency_access",
        patient=world.patient,
        categories=1,
        record=0,
        justification_commitment=1,
    )
    world.refuses("CONSENT/NOT_DELEGATE", admin, "revoke_all_for", patient=world.patient)
    world.refuses("POOL/INSUFFICIENT_CREDIT", admin, "withdraw", amount=1, recipient=admin)
    world.refuses("POOL/NOT_FUNDER", admin, "close_campaign", terms=terms)
    world.refuses("POOL/NOT_LOG", admin, "accrue", terms=terms, patient=admin, accessor=world.funder)

"""The administrator's office: taken, abandoned, raced for. It can be handed over and not lost, it takes two
days, and there is nothing in it worth stealing but registrations and suspensions."""

from typing import Any

import pytest

from tests.harness.roles import RULES
from tests.harness.words import ADMIN_DELAY, EMERGENCY_DELAY
from tests.harness.world import PROFILE, World, id_of


def begin(world: World, by: int, to: int) -> None:
    world.send(by, "begin_admin_transfer", new_admin=to)


def test_the_last_administrator_leaves(world: World) -> None:
    """There is no way out but to a successor who accepts: not to nobody, not to oneself, not to an address
    that never answers."""
    world.refuses("ENTITY/ZERO_ADDRESS", world.admin, "begin_admin_transfer", new_admin=0)
    world.refuses("ENTITY/IS_ADMIN", world.admin, "begin_admin_transfer", new_admin=world.admin)
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
    begin(world, world.admin, world.neighbour)
    for offset, waiting in ((0, "ENTITY/TRANSFER_NOT_READY"), (ADMIN_DELAY - 1, "ENTITY/TRANSFER_NOT_READY")):
        world.wait(offset)
        world.refuses("ENTITY/NOT_PENDING_ADMIN", world.successor, "accept_admin_transfer")
        world.refuses(waiting, world.neighbour, "accept_admin_transfer")
    world.wait(1)
    world.send(world.neighbour, "accept_admin_transfer")
    world.refuses("ENTITY/NO_TRANSFER", world.successor, "accept_admin_transfer")
    assert world.read("admin") == world.neighbour


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
    """Each thing that it can do is an entry of the registry's history: a false hospital, a true one
    suspended, a successor of either kind. The false hospital waits for two days before it breaks any
    glass."""
    world.give()
    head = world.read("registry_head")["count"]
    for function, arguments, name in (
        (
            "register_entity",
            {"address": world.stranger, "role": "Hospital", "profile_commitment": PROFILE},
            "EntityRegistered",
        ),
        ("suspend_entity", {"address": world.hospital}, "EntitySuspended"),
        ("begin_admin_transfer", {"new_admin": world.relayer}, "AdminTransferBegun"),
        ("announce_successor", {"successor": 0xBAD}, "SuccessorAnnounced"),
    ):
        head += 1
        (event,) = world.send(world.admin, function, **arguments).events
        assert (event.name, event.data["seq"]) == (name, head)
    assert world.read("registry_head")["count"] == head
    asked = {"patient": world.patient, "categories": 1, "record": 0}
    receipt = world.send(world.stranger, "request_emergency_access", **asked)
    assert receipt.result["reason"] == "HospitalTooNew"
    # In these two days its owner suspends it, or patients close the door.
    world.send(world.neighbour, "set_emergency_choice", choice="Nobody")
    world.wait(EMERGENCY_DELAY)
    for patient, decision in ((world.patient, "Emergency"), (world.neighbour, "Deny")):
        asked["patient"] = patient
        receipt = world.send(world.stranger, "request_emergency_access", **asked)
        assert receipt.result["decision"] == decision
        assert receipt.events[0].keys["accessor"] == world.stranger
    world.send(world.admin, "suspend_entity", address=world.stranger)
    world.refuses("ENTITY/SUSPENDED", world.stranger, "request_emergency_access", **asked)


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
        "announce_successor": {"successor": 1},
    }
    assert set(duties) == {name for name, rule in RULES.items() if rule.error == "ENTITY/NOT_ADMIN"}
    for function, arguments in duties.items():
        world.refuses("ENTITY/NOT_ADMIN", world.admin, function, **arguments)


def test_the_administrator_itself_has_no_way_to_data_or_money(world: World) -> None:
    """The office registers and suspends. By the address that holds it no data is asked for, in no order of
    calls; it gives no consent, revokes none, and touches no pool. What it can do by another address is in
    `test_findings.py::test_a_sleeper_hospital`."""
    terms = world.campaign()
    world.fund(terms, 10_000)
    world.give()
    admin = world.admin
    emergency = {"patient": world.patient, "categories": 1, "record": 0}
    for role in ("Hospital", "Researcher", "Auditor"):
        itself = {"address": admin, "role": role, "profile_commitment": PROFILE}
        world.refuses("ENTITY/IS_ADMIN", admin, "register_entity", **itself)
    for error, function, arguments in (
        ("ENTITY/UNKNOWN", "request_access", {"request": world.request()}),
        ("ENTITY/UNKNOWN", "request_access_batch", world.batch((world.patient, 1))),
        ("ENTITY/UNKNOWN", "request_emergency_access", emergency),
        ("CONSENT/NOT_DELEGATE", "revoke_all_for", {"patient": world.patient}),
        ("POOL/INSUFFICIENT_CREDIT", "withdraw", {"amount": 1, "recipient": admin, "claims": []}),
        ("POOL/NOT_FUNDER", "close_campaign", {"terms": terms}),
        ("POOL/NOT_FUNDER", "revoke_allowance", {"terms": terms, "accessor": world.partner}),
        ("POOL/NOT_SPENDER", "spend", {"terms": terms, "payee": ("Account", admin)}),
        ("BUDGET/NOT_POOL", "take_budget", {"terms": terms, "accessor": world.funder, "uses": None}),
    ):
        world.refuses(error, admin, function, **arguments)
    assert world.read("budget", campaign=id_of(terms), accessor=world.funder)["left"] == 10

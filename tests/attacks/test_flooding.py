"""Histories and batches, abused: filled, repeated, mixed. Whoever is registered can write into an access log,
for that is what it is for; it costs the writer, and nobody else anything that matters."""

import pytest

from tests.attacks.books import Books
from tests.harness.log import ACCESSES
from tests.harness.words import DAY, EMERGENCY_DELAY, HRESCH, MAX_BATCH, RESERVED_FROM
from tests.harness.world import World, assert_refused, id_of


def test_a_stranger_floods_a_log(world: World) -> None:
    """Who was never registered writes nothing, alone or in a batch."""
    batch = world.batch((world.patient, 0), (world.patient, 1))
    for who in ("stranger", "patient", "delegate", "admin"):
        sender = getattr(world, who)
        world.refuses("ENTITY/UNKNOWN", sender, "request_access", request=world.request())
        world.refuses("ENTITY/UNKNOWN", sender, "request_access_batch", **batch)
        statement = {"patient": world.patient, "purpose": HRESCH, "study": 0, "statement": 1}
        world.refuses("ENTITY/UNKNOWN", sender, "state_deletion", **statement)
    assert world.read("log_head", patient=world.patient) == {"count": 0, "head": 0}


def test_a_suspended_entity_floods_a_log(world: World) -> None:
    """Suspension ends it: whatever it asks for, alone, in a batch, in an emergency, as a wish or as a
    statement, reverts, and no history of anybody grows."""
    world.give(world.suspended)
    for function, arguments in (
        ("request_access", {"request": world.request()}),
        ("request_access_batch", world.batch(*[(world.patient, place) for place in range(MAX_BATCH)])),
        ("request_emergency_access", {"patient": world.patient, "categories": 1, "record": 0}),
        ("request_consent", {"patient": world.patient, "terms": world.terms(), "open_until": world.now + 1}),
        ("state_deletion", {"patient": world.patient, "purpose": HRESCH, "study": 0, "statement": 1}),
        ("change_profile", {"profile_commitment": 1}),
        ("suspend_self", {}),
    ):
        world.refuses("ENTITY/SUSPENDED", world.suspended, function, **arguments)
    nothing = {"patient": world.patient, "emergency": 1, "statement": 1}
    world.refuses("ACCESS/NO_EMERGENCY", world.suspended, "justify_emergency", **nothing)
    assert world.read("log_head", patient=world.patient) == {"count": 0, "head": 0}
    assert world.verdict(grantee=world.suspended)[:2] == ("Deny", "EntitySuspended")


def test_an_active_entity_floods_a_log(world: World) -> None:
    """It writes refusals in its own name and at its own cost, until it is suspended. One cell takes them all,
    so others ask for what they always paid; and the list of the patient's consents is not a line longer."""
    world.give()
    consents = world.read("history_head", patient=world.patient)
    withdrawal = world.call("revoke_consent", grantee=world.researcher, purpose=HRESCH, study=0)
    calm = world.simulate(world.patient, withdrawal)
    asked = world.simulate(world.researcher, world.call("request_access", request=world.request()))

    flood = world.batch(*[(world.patient, place) for place in range(MAX_BATCH)])
    receipt = world.send(world.partner, "request_access_batch", **flood)
    assert receipt.cells[world.medsync.address] == 1
    assert {answer["reason"] for answer in receipt.result} == {"NeverGiven"}
    assert world.read("history_head", patient=world.patient) == consents
    assert world.read("log_head", patient=world.neighbour) == {"count": 0, "head": 0}

    assert world.simulate(world.patient, withdrawal).storage == calm.storage
    after = world.simulate(world.researcher, world.call("request_access", request=world.request()))
    assert after.cells == asked.cells
    assert after.events[0].data["seq"] == MAX_BATCH + 1
    world.send(world.admin, "suspend_entity", address=world.partner)
    world.refuses("ENTITY/SUSPENDED", world.partner, "request_access_batch", **flood)


def test_no_entity_makes_a_consent_history_longer(world: World) -> None:
    """Whatever entities, strangers and the administrator do: it holds what the patient and its delegates
    did."""
    world.give()
    before = world.read("history_head", patient=world.patient)
    world.wait(EMERGENCY_DELAY)
    terms = {"patient": world.patient, "terms": world.terms(), "open_until": world.now + DAY}
    for sender, function, arguments in (
        (world.researcher, "request_access", {"request": world.request()}),
        (world.hospital, "request_access_batch", world.batch((world.patient, 1), (world.patient, 2))),
        (
            world.hospital,
            "request_emergency_access",
            {"patient": world.patient, "categories": 1, "record": 0},
        ),
        (world.hospital, "justify_emergency", {"patient": world.patient, "emergency": 4, "statement": 1}),
        (
            world.researcher,
            "state_deletion",
            {"patient": world.patient, "purpose": HRESCH, "study": 0, "statement": 1},
        ),
        (world.researcher, "request_consent", terms),
        (world.researcher, "change_profile", {"profile_commitment": 1}),
        (world.admin, "suspend_entity", {"address": world.researcher}),
        (world.stranger, "revoke_all", {"dismiss_delegates": True}),
        (world.stranger, "create_pool", {"token": world.token.address, "salt": 5}),
    ):
        world.send(sender, function, **arguments)
    assert world.read("history_head", patient=world.patient) == before


def test_no_stranger_makes_the_registrys_history_longer(world: World) -> None:
    """Pools, consents and accesses are no part of it; an entity adds one profile a day, and one suspension of
    itself until it is reinstated."""
    before = world.read("registry_head")["count"]
    for salt in range(3):
        world.send(world.stranger, "create_pool", token=world.token.address, salt=salt)
    world.ask()
    world.give()
    assert world.read("registry_head")["count"] == before
    world.wait(DAY)
    world.send(world.researcher, "change_profile", profile_commitment=1)
    world.refuses("ENTITY/PROFILE_TOO_SOON", world.researcher, "change_profile", profile_commitment=2)
    world.send(world.researcher, "suspend_self")
    world.refuses("ENTITY/SUSPENDED", world.researcher, "suspend_self")
    assert world.read("registry_head")["count"] == before + 2


def test_a_full_log_blocks_no_revocation(world: World) -> None:
    """Where entities filled the log up, the patient does all that it could before: consents have a history of
    their own."""
    world.give()
    world.histories.put(ACCESSES, 2**32 - 1)
    world.refuses("ACCESS/LOG_FULL", world.researcher, "request_access", request=world.request())
    for function, arguments in (
        ("revoke_consent", {"grantee": world.researcher, "purpose": HRESCH, "study": 0}),
        ("add_consent", {"grantee": world.researcher, "terms": world.terms()}),
        ("revoke_all", {"dismiss_delegates": True}),
        ("refuse_consent", {"grantee": world.partner, "purpose": HRESCH, "study": 0}),
        ("set_emergency_choice", {"choice": "Nobody"}),
    ):
        world.send(world.patient, function, **arguments)
    assert world.verdict()[1] == "AllRevoked"


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_last_entries_of_a_log_are_the_patients(world: World, beyond: int) -> None:
    """Entities stop 65,536 entries before the end, a batch as a whole."""
    world.histories.put(ACCESSES, RESERVED_FROM - 2)
    subjects = [(world.patient, place) for place in range(2 + beyond)]
    outcome = world.execute(world.researcher, world.call("request_access_batch", **world.batch(*subjects)))
    if beyond:
        assert_refused(outcome, "ACCESS/LOG_FULL")
    else:
        assert outcome.error is None


def test_an_entity_floods_a_patient_with_wishes(world: World) -> None:
    """Asking for consents leaves events and not one cell; nothing follows from it until the patient says
    so, and a wish says until when it stands."""
    arguments = {"patient": world.patient, "terms": world.terms(), "open_until": world.now + DAY}
    wish = world.call("request_consent", **arguments)
    outcome = world.execute(world.partner, *[wish] * 20)
    assert outcome.error is None
    assert not any(outcome.cells.values())
    assert world.verdict(grantee=world.partner) == ("NoConsent", "NeverGiven", 0)
    over = arguments | {"open_until": world.now}
    world.refuses("CONSENT/REQUEST_OVER", world.partner, "request_consent", **over)


@pytest.mark.parametrize("max_uses", [0, 2])
def test_a_batch_of_the_same_request(world: World, max_uses: int) -> None:
    """Repeating a request in a batch is asking again: each has a use of its own, a payment of its own and an
    entry of its own, as if it had come alone. Every cell and every event is the same."""
    terms = world.campaign()
    world.fund(terms, 3000)
    world.give(world.funder, reward=terms, max_uses=max_uses)
    asked = {"campaign": id_of(terms), "record": 1}
    alone = world.simulate(world.funder, *[world.call("request_access", request=world.request(**asked))] * 5)
    batch = world.batch(*[(world.patient, 1)] * 5, campaign=id_of(terms))
    receipt = world.send(world.funder, "request_access_batch", **batch)
    permits = max_uses or 3
    reason = "UsesExhausted" if max_uses else "RewardUnfunded"
    assert [answer["reason"] for answer in receipt.result] == ["Granted"] * permits + [reason] * (5 - permits)
    assert [answer["seq"] for answer in receipt.result] == [1, 2, 3, 4, 5]
    assert len({answer["digest"] for answer in receipt.result}) == 5
    assert receipt.events == alone.events
    assert receipt.storage == alone.storage
    owners = (world.patient, world.hospital)
    Books(world, world.pool, world.token, [terms], [world.patient], [world.funder], owners).check()
    budget = world.read("budget", campaign=id_of(terms), accessor=world.funder)
    assert (budget["left"], budget["paid"]) == (3 - permits, permits)


def test_a_malformed_subject_among_good_ones(world: World) -> None:
    """The batch fails as a whole: no use is gone, nobody is paid, nothing is logged."""
    terms = world.campaign()
    world.fund(terms, 10_000)
    world.give(world.funder, reward=terms)
    for place in (0, 2):
        subjects = [(world.patient, 1)] * 3
        subjects[place] = (0, 1)
        batch = world.batch(*subjects, campaign=id_of(terms))
        world.refuses("ACCESS/ZERO_PATIENT", world.funder, "request_access_batch", **batch)
    for error, change in (
        ("ACCESS/BAD_PURPOSE", {"purpose": 1}),
        ("ACCESS/BAD_CATEGORIES", {"categories": 0}),
    ):
        batch = world.batch((world.patient, 1), **change)
        world.refuses(error, world.funder, "request_access_batch", **batch)


def test_a_batch_over_the_limit_in_one_transaction(world: World) -> None:
    """The limit is on a call. Two calls of it are two batches, with what they cost."""
    subjects = [(world.patient, 0)] * (MAX_BATCH + 1)
    world.refuses(
        "ACCESS/BATCH_TOO_LARGE", world.researcher, "request_access_batch", **world.batch(*subjects)
    )
    world.refuses("ACCESS/EMPTY_BATCH", world.researcher, "request_access_batch", **world.batch())

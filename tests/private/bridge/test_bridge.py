"""The bridge: what it anchors, for what it issues tickets, and what it does when it is stopped or lied to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from medsync.errors import InputError, VerificationError
from medsync.private.bridge import bridge as module
from medsync.private.bridge.bridge import Bridge, BridgeStep
from medsync.private.bridge.journal import EntryOutcome, Journal
from medsync.private.keys.cards import sign_card
from medsync.private.keys.keys import AccessorKey, BridgeKey
from medsync.private.records import service
from medsync.private.records.sealing import SealedRecord
from medsync.private.records.service import NotReleased
from medsync.private.records.tickets import SignedTicket
from medsync.protocol.commitments import Domain, Opening
from medsync.protocol.types import AnchorHead
from medsync.protocol.vocabulary import Category
from medsync.starknet.transactions import Invocation
from medsync.storage import locks
from tests.harness.records import observation
from tests.harness.words import EMERGENCY_DELAY, felt
from tests.private.bridge.scene import PASSPHRASE, Scene


async def step(scene: Scene, **settings: Any) -> BridgeStep:
    """One step of a bridge that is opened for it and closed again."""
    with scene.bridge(**settings) as bridge:
        return await bridge.step()


async def outcome_of(scene: Scene, record: SealedRecord | int, **asked: Any) -> EntryOutcome:
    """What becomes of a request for a record."""
    scene.ask(record, **asked)
    patient = asked.get("patient", scene.world.patient)
    return [one.outcome for one in (await step(scene)).processed if one.patient == patient][-1]


# --- the whole way ------------------------------------------------------------------------------------------


async def test_from_a_record_to_the_researcher(scene: Scene) -> None:
    """Stored, anchored, asked for, ticketed, released, decrypted, and shown to be what was asked for."""
    stored = await scene.put("sodium 140")
    scene.ask(stored)
    done = await step(scene)
    assert done.trouble is None
    assert (done.collected, done.anchored) == (1, 1)
    assert done.processed[-1].outcome is EntryOutcome.ISSUED
    (ticket,) = scene.tickets()
    record = await scene.fetch(ticket)
    assert record.resource["code"] == {"text": "sodium 140"}
    record.opening.verify(stored.record.commitment)
    # The release is an entry of the log, too.
    done = await step(scene)
    assert (done.collected, done.anchored, done.issued) == (1, 2, [])
    assert (await scene.anchor.head()).size == 2


async def test_emergency_access_gets_a_ticket(scene: Scene) -> None:
    stored = await scene.put()
    world = scene.world
    scene.card(world.hospital)
    world.wait(EMERGENCY_DELAY)
    world.send(
        world.hospital,
        "request_emergency_access",
        patient=world.patient,
        categories=int(Category.OBSERVATION),
        record=stored.record.commitment,
    )
    await step(scene)
    (ticket,) = scene.tickets()
    assert ticket.ticket.decision == "EMERGENCY"
    assert await scene.fetch(ticket)
    # What is logged about it afterwards is no request.
    emergency = ticket.ticket.seq
    world.send(
        world.hospital, "justify_emergency", patient=world.patient, emergency=emergency, statement=0x7E5
    )
    world.send(world.patient, "contest_emergency", hospital=world.hospital, emergency=emergency)
    scene.ask(stored)
    (processed,) = (await step(scene)).processed
    assert (processed.seq, processed.outcome) == (emergency + 3, EntryOutcome.ISSUED)


# --- what gets no ticket ------------------------------------------------------------------------------------


async def test_a_refused_request(scene: Scene) -> None:
    stored = await scene.put()
    world = scene.world
    world.send(world.patient, "add_consent", grantee=world.researcher, terms=world.terms())
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=felt("HRESCH"), study=0)
    world.ask(record=stored.record.commitment, categories=int(Category.OBSERVATION))
    assert (await step(scene)).processed[-1].outcome is EntryOutcome.NOT_PERMITTED
    assert scene.tickets() == []


async def test_another_patients_record(scene: Scene) -> None:
    """A colluding patient consents to the record of another, whose commitment it read off the chain."""
    stored = await scene.put(patient=scene.world.neighbour)
    await scene.put()
    assert await outcome_of(scene, stored) is EntryOutcome.WRONG_PATIENT


async def test_a_category_that_was_not_asked_for(scene: Scene) -> None:
    stored = await scene.put()
    asked = int(Category.LABORATORY)
    assert await outcome_of(scene, stored, categories=asked) is EntryOutcome.NOT_COVERED


@pytest.mark.parametrize("commitment", [0, 0xEC04D])
async def test_no_record_here(scene: Scene, commitment: int) -> None:
    await scene.put()
    assert await outcome_of(scene, commitment) is EntryOutcome.NO_RECORD


async def test_an_older_version(scene: Scene) -> None:
    old = await scene.put("before")
    await service.update(scene.store, scene.vault, old.record.id, observation("after"))
    assert await outcome_of(scene, old) is EntryOutcome.NOT_CURRENT


async def test_an_erasure_that_was_interrupted(scene: Scene) -> None:
    """Its key is the first that goes: there is no ticket for it, and nobody waits because of it."""
    gone, stored = await scene.put(), await scene.put()
    scene.vault.erase(gone.record.id)
    scene.ask(gone)
    scene.ask(stored)
    processed = (await step(scene)).processed[-2:]
    assert [one.outcome for one in processed] == [EntryOutcome.NOT_CURRENT, EntryOutcome.ISSUED]


async def test_an_entry_that_is_too_old(scene: Scene) -> None:
    stored = await scene.put()
    scene.ask(stored)
    scene.world.wait(3_601)
    scene.world.ask(record=0)  # Devnet's newest block tells the time.
    outcomes = {entry.seq: entry.outcome for entry in (await step(scene)).processed}
    assert outcomes[max(outcomes) - 1] is EntryOutcome.TOO_OLD


async def test_an_accessor_without_a_card_waits(scene: Scene) -> None:
    stored = await scene.put()
    scene.forget_cards()
    assert await outcome_of(scene, stored) is EntryOutcome.WAITING
    scene.card(scene.world.researcher)
    assert (await step(scene)).processed[-1].outcome is EntryOutcome.ISSUED


async def test_a_card_in_anothers_name(scene: Scene) -> None:
    """An account that signs a card for the researcher's address does not get the researcher's data."""
    stored = await scene.put()
    scene.forget_cards()
    world = scene.world
    key = AccessorKey.generate()
    card = sign_card(scene.accounts[world.stranger].stark_signer, world.researcher, key, 2**31)
    scene.hand_in(card)
    assert await outcome_of(scene, stored) is EntryOutcome.WAITING


async def test_an_expired_card(scene: Scene) -> None:
    stored = await scene.put()
    scene.forget_cards()
    scene.card(scene.world.researcher, life=-1)
    assert await outcome_of(scene, stored) is EntryOutcome.WAITING


async def test_a_card_that_is_none(scene: Scene) -> None:
    stored = await scene.put()
    (scene.bridge_folder / "cards" / "0.json").write_text("{}")
    assert await outcome_of(scene, stored) is EntryOutcome.ISSUED


# --- a sealed scope -----------------------------------------------------------------------------------------


def sealed(opening: Opening) -> dict[str, Any]:
    """Terms of a consent that its opening narrows further."""
    return {"scoped": True, "terms_commitment": opening.commitment}


@pytest.fixture
def scope() -> Opening:
    return Opening.of_json(Domain.TERMS, {"data from": "2026-01-01"})


async def test_a_sealed_scope_releases_nothing_without_its_opening(
    scene: Scene, scope: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither another opening of the same words, nor one that is no opening of terms, helps."""
    stored = await scene.put()
    scene.ask(stored, terms=sealed(scope))
    others = (Opening.of(Domain.TERMS, scope.value), Opening.of(Domain.RECORD, scope.value))
    for openings in ((), others):
        processed = (await step(scene, openings=openings)).processed[-1]
        assert (processed.outcome, processed.unopened) == (EntryOutcome.NO_OPENING, scope.commitment)
        assert scene.tickets() == []
    processed = (await step(scene, openings=(*others, scope))).processed[-1]
    assert (processed.outcome, processed.unopened) == (EntryOutcome.ISSUED, None)
    (ticket,) = scene.tickets()
    assert await scene.fetch(ticket)
    # Nothing of it is in what is handed out, or was logged.
    assert scope.value.decode() not in ticket.text + caplog.text


async def test_an_opening_of_another_kind_opens_no_scope(scene: Scene) -> None:
    """The terms commitment of a consent may be any felt, such as a commitment to a record."""
    record = Opening.of(Domain.RECORD, b"{}")
    scene.ask(await scene.put(), terms=sealed(record))
    assert (await step(scene, openings=(record,))).processed[-1].outcome is EntryOutcome.NO_OPENING


async def test_the_scope_is_that_of_the_consent_that_was_asked_with(scene: Scene, scope: Opening) -> None:
    """Renewed on other terms since, and withdrawn: the entry rests on the version that it names."""
    stored, world = await scene.put(), scene.world
    scene.ask(stored, terms=sealed(scope))
    renewed = Opening.of_json(Domain.TERMS, {"data from": "2020-01-01"})
    world.send(world.patient, "add_consent", grantee=world.researcher, terms=world.terms(**sealed(renewed)))
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=felt("HRESCH"), study=0)
    processed = (await step(scene, openings=(renewed,))).processed[-1]
    assert (processed.outcome, processed.unopened) == (EntryOutcome.NO_OPENING, scope.commitment)
    assert (await step(scene, openings=(scope,))).processed[-1].outcome is EntryOutcome.ISSUED


async def test_a_node_cannot_exchange_the_terms(
    scene: Scene, scope: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Starknet node that shows the hospital a consent on terms whose opening it has is found out."""
    known = Opening.of_json(Domain.TERMS, {})
    scene.ask(await scene.put(), terms=sealed(scope))
    get_events = scene.anchor.client.get_events

    async def lying(*args: Any, **kwargs: Any) -> Any:
        page = await get_events(*args, **kwargs)
        page.events[:] = [_exchanged(event, scope.commitment, known.commitment) for event in page.events]
        return page

    monkeypatch.setattr(scene.anchor.client, "get_events", lying)
    with pytest.raises(VerificationError, match="not complete"):
        await step(scene, openings=(known,))
    assert scene.tickets() == []


def _exchanged(event: Any, before: int, after: int) -> Any:
    return replace(event, data=[after if felt == before else felt for felt in event.data])


async def test_an_opening_that_opens_nothing_is_refused(scene: Scene, scope: Opening) -> None:
    forged = scope.model_copy(update={"salt": scope.salt ^ 1})
    with pytest.raises(VerificationError, match="does not open the TERMS commitment"):
        scene.bridge(openings=(forged,))
    scene.bridge(openings=(scope,)).close()


# --- what releases nothing, and is logged -------------------------------------------------------------------


async def ticket_for(scene: Scene, **settings: Any) -> SignedTicket:
    stored = await scene.put()
    scene.ask(stored)
    await step(scene, **settings)
    (ticket,) = scene.tickets()
    return ticket


async def refusals(scene: Scene) -> list[str | None]:
    receipts = [receipt async for receipt in scene.store.apps[0].all_receipts()]
    return [receipt.reason for receipt in receipts if receipt.outcome == "REFUSED"]


async def test_a_ticket_works_once(scene: Scene) -> None:
    ticket = await ticket_for(scene)
    await scene.fetch(ticket)
    with pytest.raises(NotReleased, match="USED"):
        await scene.fetch(ticket)
    assert await refusals(scene) == ["USED"]


async def test_a_second_ticket_for_the_same_entry(scene: Scene) -> None:
    """A bridge that lost its journal issues again what it issued before; the application knows better."""
    ticket = await ticket_for(scene)
    await scene.fetch(ticket)
    await step(scene)
    (scene.bridge_folder / "journal.db").unlink()
    for path in (scene.bridge_folder / "tickets").iterdir():
        path.unlink()
    done = await step(scene, attestors=())
    assert done.processed[-1].outcome is EntryOutcome.ISSUED
    (again,) = scene.tickets()
    assert again.ticket.digest == ticket.ticket.digest
    with pytest.raises(NotReleased, match="USED"):
        await scene.fetch(again)


async def test_anothers_ticket(scene: Scene) -> None:
    ticket = await ticket_for(scene)
    thief = AccessorKey.generate()
    forged = ticket.present(scene.researcher_key.signing)
    mine = thief.signing.sign(b"medsync.presentation.v1\0")
    stolen = forged.model_copy(update={"presentation": mine})
    released = await scene.store.release(ticket.ticket.context, stolen)
    assert (released.reason, released.ciphertext) == ("BAD_PRESENTATION", None)
    assert await refusals(scene) == ["BAD_PRESENTATION"]
    # It is not used up by that.
    assert await scene.fetch(ticket)


async def test_a_ticket_of_another_bridge(scene: Scene) -> None:
    ticket = await ticket_for(scene)
    text = ticket.text.encode()
    signature = BridgeKey.generate().signing.sign(b"medsync.ticket.v1\0" + text)
    forged = SignedTicket(text=ticket.text, signature=signature)
    with pytest.raises(NotReleased, match="BAD_SIGNATURE"):
        await scene.fetch(forged)
    assert await refusals(scene) == ["BAD_SIGNATURE"]


async def test_a_ticket_that_has_run_out(scene: Scene) -> None:
    """The bridge's clock is an hour behind the node's."""
    now = module.time.time
    ticket = await ticket_for(scene, clock=lambda: now() - 3_600)
    with pytest.raises(NotReleased, match="EXPIRED"):
        await scene.fetch(ticket)


async def test_a_ticket_from_the_future(scene: Scene) -> None:
    now = module.time.time
    ticket = await ticket_for(scene, clock=lambda: now() + 3_600)
    with pytest.raises(NotReleased, match="NOT_YET"):
        await scene.fetch(ticket)


async def test_tickets_are_removed_when_they_run_out(scene: Scene) -> None:
    await ticket_for(scene)
    now = module.time.time
    await step(scene, clock=lambda: now() + 901)
    assert scene.tickets() == []


async def test_a_swapped_ciphertext(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node releases another record's ciphertext for the ticket: it cannot be decrypted."""
    one, other = await scene.put("one"), await scene.put("other")
    scene.ask(one)
    scene.ask(other)
    await step(scene)
    first, second = scene.tickets()
    key = scene.researcher_key
    wrong = await scene.store.release(second.ticket.context, second.present(key.signing))

    async def release(*_: object) -> object:
        return wrong

    monkeypatch.setattr(scene.store, "release", release)
    with pytest.raises(VerificationError, match="cannot be decrypted"):
        await scene.fetch(first, key)


async def test_a_ticket_for_what_nobody_asked(scene: Scene) -> None:
    """Bridge and node agree on another record, or on an entry that is not there: the accessor notices."""
    ticket = await ticket_for(scene)
    key = scene.homes["hospital"].key(BridgeKey, PASSPHRASE)
    for changed, said in (
        ({"commitment": 1}, "does not match the logged request"),
        ({"seq": ticket.ticket.seq + 1}, "does not match the logged request"),
        ({"digest": 1}, "does not have the entry"),
        ({"contract": scene.anchor.address}, "another contract"),
    ):
        text = ticket.ticket.model_copy(update=changed).canonical()
        signature = key.signing.sign(b"medsync.ticket.v1\0" + text)
        with pytest.raises(VerificationError, match=said):
            await scene.fetch(SignedTicket(text=text.decode(), signature=signature))
    assert await scene.fetch(ticket)


# --- a chain that lies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda events: events[:-1], id="the newest entry dropped"),
        pytest.param(lambda events: events[1:], id="the oldest entry dropped"),
        pytest.param(lambda events: [*events[:-1], _permitted(events[-1])], id="a refusal made a permit"),
    ],
)
async def test_a_log_that_is_not_the_chains(
    scene: Scene, forge: Callable[[list[Any]], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Starknet node that leaves out, or alters, gets nobody a ticket."""
    stored = await scene.put()
    world = scene.world
    scene.ask(stored)
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=felt("HRESCH"), study=0)
    world.ask(record=stored.record.commitment, categories=int(Category.OBSERVATION))
    get_events = scene.anchor.client.get_events

    async def lying(*args: Any, **kwargs: Any) -> Any:
        page = await get_events(*args, **kwargs)
        page.events[:] = forge(page.events)
        return page

    monkeypatch.setattr(scene.anchor.client, "get_events", lying)
    with pytest.raises(VerificationError, match="not complete"):
        await step(scene)
    assert scene.tickets() == []


def _permitted(event: Any) -> Any:
    changed = list(event.data)
    # Decision and reason, after position, second and study.
    changed[3], changed[4] = 0, 0
    return replace(event, data=changed)


# --- stopped anywhere ---------------------------------------------------------------------------------------

STOPS = {
    "before the operations are in the journal": (Journal, "append"),
    "before the head is read": (Bridge, "anchor_log"),
    "before the request is written": (Bridge, "request"),
    "before anybody attests": (Bridge, "attested"),
    "before entries are looked at": (Bridge, "issue"),
    "before an entry is processed": (Journal, "add"),
    "before tickets are delivered": (Bridge, "deliver"),
}


class Stopped(BaseException):
    """As if the process were killed there."""


@pytest.mark.parametrize("stop", STOPS)
async def test_it_goes_on_where_it_was_stopped(
    scene: Scene, stop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await scene.put()
    scene.ask(stored)

    def stopped(*_: object, **__: object) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(*STOPS[stop], stopped)
        with pytest.raises(Stopped):
            await step(scene)
    done = await step(scene)
    assert done.trouble is None
    assert (await scene.anchor.head()).size == 1
    (ticket,) = scene.tickets()
    assert await scene.fetch(ticket)


async def test_stopped_after_it_sent_the_anchor(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction went through, and nobody was there to hear of it."""
    await scene.put()
    send = Invocation.send

    async def unheard(invocation: Invocation[Any]) -> None:
        await send(invocation)
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(Invocation, "send", unheard)
        with pytest.raises(Stopped):
            await step(scene)
    assert (await scene.anchor.head()).size == 1
    done = await step(scene)
    assert (done.trouble, done.anchored, done.transaction) == (None, 1, None)


# --- two bridges, forks, nodes that were set back -----------------------------------------------------------


async def test_a_second_bridge_in_the_same_folder(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "WAIT", 0)
    with scene.bridge(), pytest.raises(InputError, match=r"The bridge's folder .* is in use by"):
        scene.bridge()
    scene.bridge().close()


async def test_two_bridges_on_one_anchor(scene: Scene) -> None:
    """The second has a log of its own: it can neither anchor nor overwrite, and says so."""
    await scene.put()
    await step(scene)
    shutil.rmtree(scene.bridge_folder)
    scene.card(scene.world.researcher)
    await service.update(
        scene.store, scene.vault, (await scene.store.records())[0].id, observation("meanwhile")
    )
    with scene.bridge() as second:
        # Its journal begins with what it found first, in another order than the first bridge's.
        operations = await scene.store.apps[0].operations()
        second.journal.append("another", [operations[1].model_copy(update={"seq": 0})])
        done = await second.step()
    assert isinstance(done.trouble, VerificationError)
    assert "does not extend" in done.trouble.message
    assert (await scene.anchor.head()).size == 1


async def test_a_journal_from_a_backup(scene: Scene) -> None:
    """A journal that lost anchored entries makes the same ones again from the node, and goes on."""
    await scene.put()
    await step(scene)
    backup = (scene.bridge_folder / "journal.db").read_bytes()
    await scene.put()
    await step(scene)
    (scene.bridge_folder / "journal.db").write_bytes(backup)
    done = await step(scene)
    assert (done.trouble, done.anchored) == (None, 2)


async def test_a_node_that_was_set_back(scene: Scene) -> None:
    """Its operations are not those that were anchored: nothing is collected, anchored or issued."""
    stored = await scene.put()
    folder = scene.folder / "hospital" / "node"
    await scene.close_node("hospital")
    backup = scene.folder / "backup"
    shutil.copytree(folder, backup)
    await scene.open_node("hospital")
    await scene.put()
    await step(scene)
    await scene.close_node("hospital")
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    await scene.open_node("hospital")
    scene.ask(stored)
    with pytest.raises(VerificationError, match="not what it was"):
        await step(scene)
    await scene.put("another instead")
    with pytest.raises(VerificationError, match="not what it was"):
        await step(scene)
    assert scene.tickets() == []
    assert (await scene.anchor.head()).size == 2


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda _: b"no database"])
async def test_a_damaged_journal(scene: Scene, damage: Callable[[bytes], bytes]) -> None:
    await scene.put()
    await step(scene)
    path = scene.bridge_folder / "journal.db"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"damaged|cannot be used"):
        await step(scene)
    # The folder is free again.
    path.unlink()
    assert (await step(scene)).anchored == 1


async def test_trouble_with_anchoring_does_not_keep_tickets_waiting(scene: Scene) -> None:
    stored = await scene.put()
    scene.ask(stored)
    done = await step(scene, attestors=["clinic"])
    assert isinstance(done.trouble, VerificationError)
    assert "1 of the 2 attestations" in done.trouble.message
    assert len(scene.tickets()) == 1
    assert await scene.anchor.head() == AnchorHead(0, 0, 0, 2, 3, 0)


async def test_many_entries_take_several_anchors(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 2)
    for _ in range(5):
        await scene.put()
    assert [(await step(scene)).anchored for _ in range(4)] == [2, 4, 5, 5]


async def test_nothing_new_sends_nothing(scene: Scene) -> None:
    done = await step(scene)
    assert (done.collected, done.anchored, done.transaction, done.trouble) == (0, 0, None, None)


async def test_the_bridges_key_opens_no_record(scene: Scene) -> None:
    """What the bridge signs with is not what the vault opens with."""
    key = scene.homes["hospital"].key(BridgeKey, PASSPHRASE)
    assert (
        key.signing.public.hex() not in (await scene.store.apps[0].keys((await scene.put()).record.id)).keys
    )

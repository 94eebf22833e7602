"""The relinking attack on a real chain: every event, every replicated field, every file that is left."""

from __future__ import annotations

import random

from medsync.log.fetch import fetch_events
from medsync.private.bridge.leaves import leaf_value
from medsync.private.records import service
from medsync.private.records.vault import Note
from medsync.protocol.vocabulary import Category
from tests.harness.records import everything_under, observation
from tests.private.attacks.relinking import By, Knowledge, Person, Trace, chance, link, right, together
from tests.private.bridge.scene import PASSPHRASE, Scene

PEOPLE = 12
SEED = 20_261_123
#: That the test fails though nothing is wrong.
RISK = 1e-6


async def test_what_stays_public_links_nobody(scene: Scene) -> None:
    """Twelve patients with one observation each; all asked for, released to nobody, and erased."""
    print(f"seed {SEED}")
    drawn = random.Random(SEED)
    world = scene.world
    people = [
        Person(f"Synthetic Person {number}", [observation(f"finding {number}")]) for number in range(PEOPLE)
    ]
    # Those of the institutions, and who pays for anchoring, are nobody's patients.
    others = {world.researcher, world.hospital, scene.anchor.account.address}
    accounts = [one for one in world.chain.accounts if one not in others]
    addresses = drawn.sample(accounts, PEOPLE)
    truth: dict[str, int] = {}
    kept = []
    for place in drawn.sample(range(PEOPLE), PEOPLE):
        note = Note(patient=addresses[place])
        sealed = await service.put(scene.store, scene.vault, people[place].resources[0], note)
        truth[sealed.record.id] = place
        kept.append(sealed)
    for sealed in drawn.sample(kept, PEOPLE):
        scene.ask(sealed, patient=addresses[truth[sealed.record.id]])
    with scene.bridge() as bridge:
        assert (await bridge.step()).trouble is None
    ticket = next(one for one in scene.tickets() if one.ticket.record == kept[0].record.id)
    salt = (await scene.fetch(ticket)).opening.salt
    home = scene.homes["hospital"]
    for sealed in kept:
        await home.erase(
            scene.store,
            sealed.record.id,
            PASSPHRASE,
            scene.anchor.client,
            first_block=0,
            anchor=scene.anchor.address,
        )
    with scene.bridge() as bridge:
        assert (await bridge.step()).trouble is None
        operations = list(bridge.journal.operations())
        hashes = [*map(leaf_value, operations), bridge.journal.log.root()]
    contracts = {world.medsync.address: "MedSync", scene.anchor.address: "PrivateAnchor"}
    events = await fetch_events(scene.anchor.client, contracts, timestamps=False)
    put_at = {one.id: one.at for one in operations if one.kind == "RECORD"}
    traces = [
        Trace(one.id, one.commitment, Category(one.categories), put_at[one.id])
        for one in await scene.store.records()
    ]
    known = Knowledge(people, traces, events, hashes, everything_under(scene.folder))

    assert len(together(known)) == PEOPLE
    links = link(known)
    assert {one.by for one in links.values()} == {By.GUESS}
    assert right(known, links, truth) < chance(known, risk=RISK) < PEOPLE

    # With one salt left, in a file that somebody forgot, the record is its patient's again.
    left = Knowledge(people, traces, events, hashes, known.files + hex(salt).encode())
    found = link(left)[kept[0].record.id]
    assert (found.by, found.person) == (By.SALT, truth[kept[0].record.id])

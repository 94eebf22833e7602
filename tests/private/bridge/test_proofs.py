"""Proofs that an entry is included, audits of an anchor, erasure, and what nothing may leave behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medsync.errors import InputError, VerificationError
from medsync.private.bridge import proofs
from medsync.private.bridge.proofs import InclusionProof
from medsync.private.records.erasure import Certificate, read_certificate
from medsync.private.records.service import NotReleased
from medsync.protocol.felt import InvalidValue
from tests.harness.records import MARKER
from tests.private.bridge.scene import PASSPHRASE, Scene


async def anchored(scene: Scene, count: int = 3) -> list[InclusionProof]:
    """The proofs of that many records, under the root that is anchored then."""
    for number in range(count):
        await scene.put(f"finding {number}")
    with scene.bridge() as bridge:
        assert (await bridge.step()).anchored == count
        return [
            proofs.prove(bridge.journal, scene.anchor.chain_id, scene.anchor.address, count, index)
            for index in range(count)
        ]


async def test_every_entry_is_included(scene: Scene) -> None:
    for proof in await anchored(scene):
        found = await proofs.verify(proof, scene.anchor.client, scene.anchor.chain_id)
        assert (found.epoch, found.signers, found.threshold, found.published) == (0, (0, 1), 2, True)
        assert InclusionProof.read(proof.canonical(), "proof") == proof


async def test_a_proof_outlives_later_anchors(scene: Scene) -> None:
    proof, *_ = await anchored(scene)
    await scene.put()
    with scene.bridge() as bridge:
        assert (await bridge.step()).anchored == 4
    assert await proofs.verify(proof, scene.anchor.client, scene.anchor.chain_id)


FORGED: dict[str, Callable[[InclusionProof], dict[str, object]]] = {
    "another entry": lambda one: {"operation": one.operation.model_copy(update={"version": 2})},
    "another place": lambda one: {"index": one.index + 1},
    "a shorter path": lambda one: {"path": one.path[:-1]},
    "a longer path": lambda one: {"path": [*one.path, 1]},
    "an altered path": lambda one: {"path": [one.path[0] + 1, *one.path[1:]]},
    "another size": lambda one: {"size": one.size + 1},
    "another root": lambda one: {"root": one.root + 1},
    "another chain": lambda one: {"chain": one.chain + 1},
}


async def test_what_is_forged_is_not_included(scene: Scene) -> None:
    proof, *_ = await anchored(scene)
    for what, forge in FORGED.items():
        forged = proof.model_copy(update=forge(proof))
        try:
            await proofs.verify(forged, scene.anchor.client, scene.anchor.chain_id)
        except VerificationError:
            continue
        pytest.fail(f"verified: {what}")


async def test_a_root_that_was_never_anchored(scene: Scene) -> None:
    """All of the file is sound; the contract just never heard of it."""
    await anchored(scene, 1)
    await scene.put()
    with scene.bridge(attestors=()) as bridge:
        await bridge.collect()
        proof = proofs.prove(bridge.journal, scene.anchor.chain_id, scene.anchor.address, 2, 1)
    with pytest.raises(VerificationError, match="never anchored"):
        await proofs.verify(proof, scene.anchor.client, scene.anchor.chain_id)
    with scene.bridge() as bridge, pytest.raises(InputError, match="no entry at position 1"):
        proofs.prove(bridge.journal, scene.anchor.chain_id, scene.anchor.address, 1, 1)


async def test_an_audit(scene: Scene) -> None:
    await anchored(scene)
    await scene.put()
    with scene.bridge() as bridge:
        await bridge.step()
        operations = list(bridge.journal.operations())
    found = await proofs.audit(scene.anchor.client, scene.anchor.address)
    assert (found.anchors, found.epochs, found.size, found.signers) == (2, 1, 4, {2: 2})
    assert (found.published, found.recomputed) == (True, False)
    assert (await proofs.audit(scene.anchor.client, scene.anchor.address, operations)).recomputed
    for wrong in (
        operations[:-1],
        operations[::-1],
        [*operations[:2], operations[0], *operations[3:]],
    ):
        with pytest.raises(VerificationError, match="do not give its root"):
            await proofs.audit(scene.anchor.client, scene.anchor.address, wrong)


async def test_an_audit_misses_no_event(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Starknet node that leaves out the newest anchor is found out by the contract's head."""
    await anchored(scene)
    await scene.put()
    with scene.bridge() as bridge:
        await bridge.step()
    get_events = scene.anchor.client.get_events

    async def lying(*args: object, **kwargs: object) -> object:
        page = await get_events(*args, **kwargs)  # type: ignore[arg-type]
        page.events[:] = page.events[:-1]
        return page

    monkeypatch.setattr(scene.anchor.client, "get_events", lying)
    with pytest.raises(VerificationError, match="do not lead to the contract's head"):
        await proofs.audit(scene.anchor.client, scene.anchor.address)


def test_a_proof_file_that_is_none() -> None:
    with pytest.raises(InvalidValue, match="proof: "):
        InclusionProof.read("{}", "proof")


# --- erasure ------------------------------------------------------------------------------------------------


async def test_erasure_closes_it(scene: Scene) -> None:
    """A ticket that was still out releases nothing; the log keeps what it had; the certificate says what."""
    kept = await scene.put("to be erased")
    other = await scene.put("stays")
    scene.ask(kept)
    scene.ask(other)
    with scene.bridge() as bridge:
        await bridge.step()
    ticket, _ = sorted(scene.tickets(), key=lambda one: one.ticket.record != kept.record.id)
    presentation = ticket.present(scene.researcher_key.signing)
    backup = scene.folder / "backup.db"
    scene.vault.backup(backup)
    home = scene.homes["hospital"]

    async def erase(record: str) -> tuple[Certificate, Path]:
        return await home.erase(
            scene.store,
            record,
            PASSPHRASE,
            scene.anchor.client,
            first_block=0,
            anchor=scene.anchor.address,
        )

    certificate, path = await erase(kept.record.id)
    assert read_certificate(path) == certificate
    statement = certificate.statement
    assert {one.place for one in statement.deleted if one.found} == {"vault", "backup", "node", "ticket"}
    assert [entry.record for entry in statement.chain.entries] == [kept.record.commitment]
    assert statement.chain.anchor == scene.anchor.address
    # The other record's ticket is still there, this one's is not.
    (left,) = scene.tickets()
    assert left.ticket.record == other.record.id
    released = await scene.store.release(ticket.ticket.context, presentation)
    assert (released.reason, released.ciphertext) == ("ERASED", None)
    with pytest.raises(NotReleased, match="ERASED"):
        await scene.fetch(ticket)
    assert await scene.fetch(left)
    with scene.bridge() as bridge:
        done = await bridge.step()
        assert done.trouble is None
        assert [one.kind for one in bridge.journal.operations()].count("ERASED") == 1
    # Once more, and for what never was.
    assert (await erase(kept.record.id))[0] == certificate
    with pytest.raises(InputError, match="never"):
        await erase("0" * 32)


async def test_nothing_readable_is_left_behind(scene: Scene) -> None:
    """No file of any institution, and nothing on the chain, holds plaintext, salt, data key or vault key."""
    kept = await scene.put(MARKER)
    scene.ask(kept)
    with scene.bridge() as bridge:
        await bridge.step()
    (ticket,) = scene.tickets()
    record = await scene.fetch(ticket)
    data_key = ticket.data_key(scene.researcher_key).reveal()
    salt = record.opening.salt
    secrets = {
        "plaintext": MARKER.encode(),
        "salt": salt.to_bytes(32, "big"),
        "salt in hexadecimal": f"{salt:x}".encode(),
        "salt in decimal": str(salt).encode(),
        "data key": data_key,
        "data key in hexadecimal": data_key.hex().encode(),
        "passphrase": PASSPHRASE.encode(),
    }
    assert record.resource["code"]["text"] == MARKER
    found = [
        f"{what} in {path.relative_to(scene.folder)}"
        for path in scene.folder.rglob("*")
        if path.is_file()
        for what, secret in secrets.items()
        if secret in path.read_bytes()
    ]
    assert found == []
    # The search would find it: what is known to be there is found.
    everything = b"".join(path.read_bytes() for path in scene.folder.rglob("*") if path.is_file())
    assert f"{scene.world.researcher:#x}".encode() in everything
    on_chain = scene.everything_on_chain()
    assert kept.record.commitment in on_chain
    assert salt not in on_chain

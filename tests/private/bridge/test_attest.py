"""Attesting: what an attestor refuses to sign, whatever the bridge says, and how signatures arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from medsync.errors import MedSyncError, VerificationError
from medsync.private.bridge.attestor import Attestation, AttestationRequest, check_claim
from medsync.private.bridge.leaves import leaf_value
from medsync.private.keys.keys import AttestorKey
from medsync.private.records.application import Operation
from medsync.protocol.felt import InvalidValue
from medsync.protocol.merkle import MerkleLog
from medsync.starknet.anchor import sign_rotation
from tests.private.bridge.scene import PASSPHRASE, Scene


async def request_of(scene: Scene) -> AttestationRequest:
    """The request for all that the node did so far; nothing is signed, nothing anchored."""
    with scene.bridge(attestors=()) as bridge:
        await bridge.collect()
        head = await scene.anchor.head()
        return await bridge.request(head, len(bridge.journal.log))


def forked(request: AttestationRequest, operations: Sequence[Operation]) -> AttestationRequest:
    """A request that is sound, for the log of other entries on top of the empty one."""
    log = MerkleLog(leaf_value(operation) for operation in operations)
    return request.model_copy(update={"operations": list(operations), "size": len(log), "root": log.root()})


ALTERED: dict[str, Callable[[AttestationRequest], dict[str, object]]] = {
    "another chain": lambda one: {"chain": one.chain + 1},
    "another anchor": lambda one: {"anchor": one.anchor + 1},
    "another epoch": lambda one: {"epoch": one.epoch + 1},
    "another anchored size": lambda one: {"previous_size": one.previous_size + 1},
    "another anchored root": lambda one: {"previous_root": one.previous_root + 1},
    "other peaks": lambda one: {"peaks": [peak + 1 for peak in one.peaks]},
    "no peaks": lambda one: {"peaks": []},
    "another size": lambda one: {"size": one.size + 1},
    "another root": lambda one: {"root": one.root + 1},
    "an entry left out": lambda one: {"operations": one.operations[:-1]},
    "an entry twice": lambda one: {"operations": [*one.operations, one.operations[-1]]},
    "an altered entry": lambda one: {
        "operations": [*one.operations[:-1], one.operations[-1].model_copy(update={"version": 7})]
    },
}


@pytest.fixture
async def request_(scene: Scene) -> AttestationRequest:
    """A sound request on top of an anchored entry."""
    await scene.put()
    with scene.bridge() as bridge:
        assert (await bridge.step()).anchored == 1
    await scene.put()
    return await request_of(scene)


async def test_what_is_altered_is_not_signed(scene: Scene, request_: AttestationRequest) -> None:
    attestor = scene.attestors["clinic"]
    for what, alter in ALTERED.items():
        try:
            await attestor.attest(request_.model_copy(update=alter(request_)))
        except (VerificationError, InvalidValue):
            continue
        pytest.fail(f"signed: {what}")
    # It would have signed the sound one.
    assert (await attestor.attest(request_)).size == request_.size


async def test_a_fork_is_never_signed(scene: Scene) -> None:
    """What was signed once and not anchored binds for ever, also after the bridge lost its journal."""
    attestor = scene.attestors["clinic"]
    await scene.put()
    first = await request_of(scene)
    await attestor.attest(first)
    await scene.put()
    longer = await request_of(scene)
    fork = forked(longer, longer.operations[1:])
    with pytest.raises(VerificationError, match="fork"):
        await attestor.attest(fork)
    # The longer log that begins with what was signed is fine, and so is the same again.
    assert await attestor.attest(first)
    assert await attestor.attest(longer)
    with pytest.raises(VerificationError, match="fork"):
        await attestor.attest(fork)


async def test_the_memory_outlives_the_process(scene: Scene) -> None:
    await scene.put()
    first = await request_of(scene)
    await scene.attestors["clinic"].attest(first)
    again = await scene.homes["clinic"].attestor(scene.stores["clinic"], PASSPHRASE, scene.anchor)
    try:
        other = first.operations[0].model_copy(update={"at": 1})
        with pytest.raises(VerificationError, match="fork"):
            await again.attest(forked(first, [other]))
    finally:
        again.close()


async def test_who_is_not_registered_does_not_sign(scene: Scene) -> None:
    await scene.put()
    request = await request_of(scene)
    key = AttestorKey.generate()
    attestor = scene.attestors["clinic"]
    attestor.signer = key.signer(request.chain)
    with pytest.raises(VerificationError, match="does not belong to a registered node"):
        await attestor.attest(request)


async def test_a_key_with_another_node_behind_it_does_not_sign(scene: Scene) -> None:
    """The clinic's STARK key in the hands of whoever runs the university's node."""
    await scene.put()
    request = await request_of(scene)
    attestor = scene.attestors["clinic"]
    attestor.node, attestor.context = (
        scene.stores["university"].node,
        scene.stores["university"].apps[0].context,
    )
    with pytest.raises(VerificationError, match="not the node registered"):
        await attestor.attest(request)


async def test_after_a_rotation_the_old_nodes_are_out(scene: Scene) -> None:
    await scene.put()
    request = await request_of(scene)
    head = await scene.anchor.head()
    kept = [scene.node("hospital"), scene.node("university")]
    signatures = [
        sign_rotation(
            scene.attestors[name].signer,
            scene.anchor.address,
            head,
            kept,
            2,
            node=index,
            chain_id=request.chain,
        )
        for index, name in enumerate(("hospital", "clinic"))
    ]
    await scene.anchor.rotate(kept, 2, signatures).send()
    with pytest.raises(VerificationError, match="epoch"):
        await scene.attestors["university"].attest(request)
    request = await request_of(scene)
    with pytest.raises(VerificationError, match="does not belong to a registered node"):
        await scene.attestors["clinic"].attest(request)
    with scene.bridge() as bridge:
        assert (await bridge.step()).anchored == 1


# --- attestations as files ----------------------------------------------------------------------------------


async def test_others_attest_by_files(scene: Scene) -> None:
    await scene.put()
    with scene.bridge(attestors=["hospital"]) as bridge:
        done = await bridge.step()
        assert isinstance(done.trouble, MedSyncError)
        (path,) = (scene.bridge_folder / "requests").iterdir()
        asked = AttestationRequest.read(path.read_bytes(), "request")
        made = await scene.attestors["clinic"].attest(asked)
        (scene.bridge_folder / "attestations" / "clinic.json").write_bytes(made.canonical())
        done = await bridge.step()
    assert (done.trouble, done.anchored) == (None, 1)
    assert list((scene.bridge_folder / "requests").iterdir()) == []


async def test_files_that_are_of_no_use_do_no_harm(scene: Scene) -> None:
    await scene.put()
    request = await request_of(scene)
    good = await scene.attestors["clinic"].attest(request)
    folder = scene.bridge_folder / "attestations"
    bad = {
        "empty": b"",
        "another root": good.model_copy(update={"root": 1}).canonical(),
        "another node": good.model_copy(update={"node": 2}).canonical(),
        "no such node": good.model_copy(update={"node": 9}).canonical(),
        "altered": good.model_copy(update={"s": good.s + 1}).canonical(),
        "claim of another": good.model_copy(update={"signature": bytes(64)}).canonical(),
    }
    for name, content in bad.items():
        (folder / f"{name}.json").write_bytes(content)
    with scene.bridge(attestors=["university"]) as bridge:
        done = await bridge.step()
        assert done.trouble is not None
        assert "1 of the 2" in done.trouble.message
        (folder / "good.json").write_bytes(good.canonical())
        assert (await bridge.step()).anchored == 1


async def test_a_claim_is_checked_field_by_field(scene: Scene) -> None:
    await scene.put()
    request = await request_of(scene)
    made: Attestation = await scene.attestors["clinic"].attest(request)
    identity = scene.node("clinic").identity
    check_claim(made, request, identity)
    for changed in (
        made.model_copy(update={"signer": bytes(32)}),
        made.model_copy(update={"payload": made.payload.replace(b"medsync:1", b"medsync:2")}),
        made.model_copy(update={"payload": b"[]"}),
        made.model_copy(update={"signature": made.signature[::-1]}),
    ):
        with pytest.raises((VerificationError, InvalidValue)):
            check_claim(changed, request, identity)
    with pytest.raises(VerificationError):
        check_claim(made, request.model_copy(update={"state": 1}), identity)
    with pytest.raises(VerificationError):
        check_claim(made, request, scene.node("hospital").identity)

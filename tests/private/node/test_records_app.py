"""The application, typed, and all of a node's contexts as one store."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from medsync.artifacts import BUNDLE
from medsync.errors import InputError
from medsync.private.node.embedded import EmbeddedNode
from medsync.private.node.interface import (
    ApplicationError,
    BadAnswer,
    CalimeroContext,
    UnknownContext,
    encode_id,
)
from medsync.private.records.application import (
    ErasedOperation,
    ReceiptOperation,
    RecordOperation,
    RecordsApp,
    RecordStore,
    parse_operation,
)
from medsync.private.records.tickets import Presentation
from tests.private.node.support import BRIDGE, CHAIN, CONTRACT, PATIENT, new_app, sealed

BRIDGE_KEY = BRIDGE.public_key().public_bytes_raw()


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedNode]:
    async with EmbeddedNode(tmp_path_factory.mktemp("records")) as embedded:
        yield embedded


@pytest.fixture(scope="module")
async def application(node: EmbeddedNode) -> str:
    return await node.install(BUNDLE)


@pytest.fixture
async def app(node: EmbeddedNode, application: str) -> RecordsApp:
    return await new_app(node, application, 3)


async def new_store(node: EmbeddedNode, application: str, capacity: int = 2) -> RecordStore:
    return await RecordStore.create(
        node, application, capacity, bridge_key=BRIDGE_KEY, chain=CHAIN, contract=CONTRACT
    )


def stray() -> Presentation:
    """What somebody presents who has no ticket."""
    return Presentation(ticket="{}", signature=bytes(64), presentation=bytes(64))


# --- one context --------------------------------------------------------------------------------------------


async def test_a_record_from_its_first_version_to_its_end(app: RecordsApp) -> None:
    first = sealed()
    identity = first.record.id
    assert await app.put(first, patient=PATIENT, consent=0x5A) == 1
    second = sealed(identity, 2)
    assert await app.update(second, patient=PATIENT) == 2
    kept = await app.keys(identity)
    assert (kept.version, kept.keys) == (2, dict(second.keys))

    before, now = await app.find(first.record.commitment), await app.find(second.record.commitment)
    assert before is not None
    assert now is not None
    assert (before.version, before.current, now.version, now.current) == (1, False, 2, True)
    assert (now.app, now.id, now.patient) == (app, identity, PATIENT)
    assert now.categories == int(second.categories)

    (view,) = await app.records()
    assert (view.version, view.commitment) == (2, second.record.commitment)
    assert view.former == [first.record.commitment]
    assert not view.erased

    assert await app.erase(identity)
    assert not await app.erase(identity)
    gone = await app.find(second.record.commitment)
    assert gone is not None
    assert (gone.erased, gone.patient, gone.categories) == (True, 0, 0)
    for call in (app.keys(identity), app.put(sealed(identity), patient=PATIENT)):
        with pytest.raises(ApplicationError) as caught:
            await call
        assert caught.value.code == "ERASED"

    operations = await app.operations()
    assert [type(operation) for operation in operations] == [
        RecordOperation,
        RecordOperation,
        ErasedOperation,
    ]
    assert [operation.seq for operation in operations] == [0, 1, 2]
    assert isinstance(operations[0], RecordOperation)
    assert operations[0].consent == 0x5A
    assert [parse_operation(one.model_dump(mode="json")) for one in operations] == operations
    assert await app.operations(1, 1) == operations[1:2]
    assert await app.operations(3) == []

    status = await app.status()
    assert (status.records, status.erased, status.capacity) == (0, 1, 3)


async def test_what_is_private_stays_out_of_the_delta(node: EmbeddedNode, app: RecordsApp) -> None:
    """What other members would be sent holds what is published, and nothing else."""
    marker, patient = secrets.token_bytes(48), secrets.randbits(240)
    first = sealed(ciphertext=marker)
    second = sealed(first.record.id, 2, marker)
    await app.put(first, patient=patient)
    await app.update(second, patient=patient)
    await app.erase(first.record.id)
    sent = b"".join(await node.deltas(app.context.id))
    for published in (hex(first.record.commitment), hex(second.record.commitment), first.record.id):
        assert published.encode() in sent
    keys = [*first.keys.items(), *second.keys.items()]
    private = [marker, *(key for _, key in keys)]
    texts = [hex(patient), str(patient), *(recipient for recipient, _ in keys)]
    for secret in private:
        assert secret not in sent
        texts += [secret.hex(), base64.b64encode(secret).decode()]
    assert not [text for text in texts if text.encode() in sent]


async def test_a_refused_ticket_leaves_a_receipt(app: RecordsApp) -> None:
    for _ in range(2):
        released = await app.release(stray())
        assert (released.outcome, released.reason) == ("REFUSED", "MALFORMED")
        assert released.ciphertext is None
    (receipt,) = await app.receipts()
    assert receipt.ticket == hashlib.sha256(b"{}").digest()
    assert (receipt.outcome, receipt.reason, receipt.accessor) == ("REFUSED", "MALFORMED", None)
    (operation,) = await app.operations()
    assert isinstance(operation, ReceiptOperation)
    assert operation.model_dump(exclude={"kind", "seq"}) == receipt.model_dump()
    assert (await app.status()).refusals == 1


async def test_pages(app: RecordsApp, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        await app.put(sealed(), patient=PATIENT)
        await app.release(stray().model_copy(update={"ticket": secrets.token_hex(4)}))
    whole = await app.records(), await app.receipts()
    for size in (1, 2, 3):
        monkeypatch.setattr(RecordsApp.records, "__defaults__", (0, size))
        monkeypatch.setattr(RecordsApp.receipts, "__defaults__", (0, size))
        records = [record async for record in app.all_records()]
        assert (records, [receipt async for receipt in app.all_receipts()]) == whole
    assert [record.id for record in whole[0]] == sorted(record.id for record in whole[0])


async def test_the_bridges_key_is_rotated_by_the_old_one(app: RecordsApp) -> None:
    new = Ed25519PrivateKey.generate()
    key = new.public_key().public_bytes_raw()
    message = app.rotation_message(BRIDGE_KEY, key)
    with pytest.raises(ApplicationError, match="BAD_SIGNATURE"):
        await app.rotate_bridge(key, new.sign(message))
    await app.rotate_bridge(key, BRIDGE.sign(message))
    assert (await app.status()).bridge_key == key
    with pytest.raises(ApplicationError, match="BAD_KEY"):
        await app.rotate_bridge(BRIDGE_KEY, new.sign(app.rotation_message(key, BRIDGE_KEY)))


ANSWERS: list[Any] = [
    None,
    0,
    True,
    "x",
    [1],
    [{}],
    {},
    {"version": 1},
    {"outcome": "SHOWN"},
    [{"kind": "X"}],
]
#: Each method, called without a node, and those of the answers that it may give.
METHODS: dict[str, tuple[Callable[[RecordsApp], Awaitable[Any]], list[Any]]] = {
    "put": (lambda app: app.put(sealed(), patient=PATIENT), []),
    "keys": (lambda app: app.keys("0" * 32), []),
    "find": (lambda app: app.find(1), [None]),
    "release": (lambda app: app.release(stray()), []),
    "erase": (lambda app: app.erase("0" * 32), [True]),
    "records": (lambda app: app.records(), []),
    "operations": (lambda app: app.operations(), []),
    "receipts": (lambda app: app.receipts(), []),
    "status": (lambda app: app.status(), []),
}


class Parrot:
    """A node that gives one answer to everything."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def execute(self, *_: Any) -> Any:
        return self.answer


@pytest.mark.parametrize("method", METHODS)
async def test_an_answer_that_is_not_the_applications(method: str) -> None:
    call, good = METHODS[method]
    for answer in ANSWERS:
        if any(answer is one for one in good):
            continue
        app = RecordsApp(Parrot(answer), CalimeroContext("1" * 32, "", ""))  # type: ignore[arg-type]
        with pytest.raises(BadAnswer, match=f"answer to {method} is not understood"):
            await call(app)


# --- all contexts -------------------------------------------------------------------------------------------


async def test_a_full_context_is_followed_by_another(tmp_path: Path) -> None:
    kept = [sealed() for _ in range(5)]
    async with EmbeddedNode(tmp_path) as node:
        store = await new_store(node, await node.install(BUNDLE))
        for record in kept[:2]:
            await store.put(record, patient=PATIENT)
        assert len(store.apps) == 1
        await asyncio.gather(*(store.put(record, patient=PATIENT) for record in kept[2:]))
        assert [(await app.status()).records for app in store.apps] == [2, 2, 1]
        states = [await app.status() for app in store.apps]
        assert len({(one.capacity, one.bridge_key, one.chain, one.contract) for one in states}) == 1
        application = store.application

    async with EmbeddedNode(tmp_path) as node:
        store = await RecordStore.open(node, application)
        assert len(store.apps) == 3
        assert store.member == store.apps[0].node._store.identity.public_key().public_bytes_raw()  # type: ignore[attr-defined]
        assert {record.id for record in await store.records()} == {record.record.id for record in kept}
        for number, record in enumerate(kept):
            found = await store.find(record.record.commitment)
            assert found is not None
            assert found.id == record.record.id
            assert await store.version(record.record.id) == 1
            if number < 2:
                assert found.app is store.apps[0]
        newer = sealed(kept[0].record.id, 2)
        assert await store.update(newer, patient=PATIENT) == 2
        assert await store.versions(newer.record.id) == [kept[0].record, newer.record]
        await store.put(sealed(), patient=PATIENT)
        assert len(store.apps) == 3, "the last one had room"
        assert await store.erase(kept[4].record.id)
        assert not await store.erase(kept[4].record.id)
        assert await store.versions(kept[4].record.id) == [kept[4].record]
        released = await store.release(store.apps[1].context.id, stray())
        assert released.reason == "MALFORMED"
        assert len(await store.apps[1].receipts()) == 1


async def test_what_is_not_there(node: EmbeddedNode, application: str) -> None:
    store, nobody = await new_store(node, application), secrets.token_hex(16)
    assert await store.find(0x1234) is None
    assert await store.versions(nobody) == []
    assert not await store.erase(nobody)
    for call in (store.version(nobody), store.update(sealed(nobody, 2), patient=PATIENT)):
        with pytest.raises(ApplicationError) as caught:
            await call
        assert caught.value.code == "UNKNOWN_RECORD"
    with pytest.raises(UnknownContext):
        await store.release(encode_id(b"\x05" * 32), stray())


async def test_a_context_made_just_before_a_crash_is_set_up_when_it_is_opened(tmp_path: Path) -> None:
    async with EmbeddedNode(tmp_path) as node:
        application = await node.install(BUNDLE)
        with pytest.raises(InputError, match="no records"):
            await RecordStore.open(node, application)
        store = await new_store(node, application, 1)
        await node.create_context(application, {"capacity": 1})
        store = await RecordStore.open(node, application)
        states = [await app.status() for app in store.apps]
        assert [one.configured for one in states] == [True, True]
        assert states[0].bridge_key == states[1].bridge_key
        for _ in range(2):
            await store.put(sealed(), patient=PATIENT)
        assert len(store.apps) == 2

"""What is true of every private node, tried on each kind with the real application."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
from pathlib import Path

import pytest

from medsync.artifacts import BUNDLE
from medsync.errors import InputError, VerificationError
from medsync.private.node.bundle import Bundle
from medsync.private.node.interface import (
    MAX_ARGUMENTS,
    ApplicationError,
    CalimeroContext,
    ClaimRequest,
    ExecutionFailed,
    Failure,
    NodeEvent,
    PrivateNode,
    UnknownContext,
    encode_id,
    verify_claim,
)
from medsync.private.records.application import RecordsApp
from medsync.protocol.anchor import NodeKind
from tests.private.node.support import BRIDGE, CHAIN, CONTRACT, PATIENT, new_app, sealed

STRANGE = encode_id(b"\x05" * 32)


@pytest.fixture(scope="module")
async def app(node: PrivateNode) -> RecordsApp:
    """A context of the application, configured."""
    return await new_app(node, await node.install(BUNDLE))


async def test_it_says_which_kind_it_is(node: PrivateNode) -> None:
    health = await node.health()
    assert health.kind is node.kind
    assert ("in-process host" in health.description) == (node.kind is NodeKind.EMBEDDED)


async def test_an_application_has_one_id_everywhere(node: PrivateNode, tmp_path: Path) -> None:
    elsewhere = tmp_path / "copy.mpk"
    elsewhere.write_bytes(BUNDLE.read_bytes())
    assert await node.install(BUNDLE) == await node.install(elsewhere) == Bundle.read(BUNDLE).application
    elsewhere.write_bytes(BUNDLE.read_bytes()[:-1])
    with pytest.raises(InputError):
        await node.install(elsewhere)


async def test_a_new_context(node: PrivateNode, app: RecordsApp) -> None:
    other = await node.create_context(app.context.application, {"capacity": 1})
    assert {app.context, other} <= set(await node.contexts())
    # One identity and one group, whichever context.
    assert (other.member, other.group) == (app.context.member, app.context.group)
    state = await node.state(other.id)
    assert [len(part) for part in (state.root, *state.heads)] == [32, 32]


async def test_a_context_that_its_application_refuses_is_none(node: PrivateNode, app: RecordsApp) -> None:
    before = await node.contexts()
    for arguments in ({"capacity": 0}, {}, {"capacity": "many"}):
        with pytest.raises(ExecutionFailed) as caught:
            await node.create_context(app.context.application, arguments)
        assert caught.value.failure is Failure.PANIC
    assert await node.contexts() == before


async def test_writing_moves_the_state_and_reading_does_not(node: PrivateNode, app: RecordsApp) -> None:
    before = await node.state(app.context.id)
    assert await app.put(sealed(), patient=PATIENT) == 1
    written = await node.state(app.context.id)
    assert written.root != before.root
    assert written.heads != before.heads
    await app.status()
    await app.records()
    assert await node.state(app.context.id) == written


async def test_a_refusal_is_a_code_and_changes_nothing(node: PrivateNode, app: RecordsApp) -> None:
    record = sealed()
    await app.put(record, patient=PATIENT)
    before, status = await node.state(app.context.id), await app.status()
    for code, call in (
        ("EXISTS", app.put(record, patient=PATIENT)),
        ("UNKNOWN_RECORD", app.keys(secrets.token_hex(16))),
        ("CONFIGURED", app.configure(bytes(32), CHAIN, CONTRACT)),
        ("WRONG_VERSION", app.update(sealed(record.record.id, 3), patient=PATIENT)),
    ):
        with pytest.raises(ApplicationError) as caught:
            await call
        assert caught.value.code == code
    assert (await node.state(app.context.id), await app.status()) == (before, status)


async def test_what_is_no_call(node: PrivateNode, app: RecordsApp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "medsync")
    context, secret = app.context.id, "Zq7Secret"
    for method, failure in (("put", Failure.PANIC), ("no_such_method", Failure.UNKNOWN_METHOD)):
        with pytest.raises(ExecutionFailed) as caught:
            await node.execute(context, method, {"record": secret})
        assert caught.value.failure is failure
        assert secret not in str(caught.value)
    assert secret not in caplog.text
    for method in ("init", "__calimero_sync_next", "_private", "", "Put", "put ", "memory\0", "p" * 65):
        with pytest.raises(InputError):
            await node.execute(context, method, {"capacity": 5})
    for arguments in ({"id": "x" * MAX_ARGUMENTS}, {"id": object()}, {"id": float("inf")}):
        with pytest.raises(InputError):
            await node.execute(context, "keys", arguments)


async def test_what_is_no_context(node: PrivateNode, app: RecordsApp) -> None:
    request = ClaimRequest("audience", "subject", "ab" * 16)
    elsewhere = dataclasses.replace(app.context, id=STRANGE)
    for call in (
        node.execute(STRANGE, "status", {}),
        node.state(STRANGE),
        node.attest(elsewhere, request),
        anext(aiter(node.events(STRANGE))),
    ):
        with pytest.raises(UnknownContext):
            await call
    for text in ("", "no id", STRANGE[:-1], "../" + STRANGE):
        with pytest.raises(InputError):
            await node.execute(text, "status", {})
        with pytest.raises(InputError):
            await node.state(text)
    with pytest.raises(InputError):
        await node.create_context("no id", {})


async def test_contexts_know_nothing_of_each_other(node: PrivateNode, app: RecordsApp) -> None:
    other, record = await new_app(node, app.context.application, 3), sealed()
    await app.put(record, patient=PATIENT)
    assert await other.find(record.record.commitment) is None
    assert (await other.status()).records == 0
    assert await other.put(record, patient=PATIENT) == 1


async def test_many_calls_at_once(node: PrivateNode, app: RecordsApp) -> None:
    before, records = await app.status(), [sealed() for _ in range(6)]
    versions = await asyncio.gather(*(app.put(record, patient=PATIENT) for record in records))
    assert versions == [1] * 6
    assert (await app.status()).records == before.records + 6
    known = {record.id for record in await app.records()}
    assert {record.record.id for record in records} <= known
    numbers = [operation.seq for operation in await app.operations()]
    assert numbers == list(range(len(numbers)))


async def test_events(node: PrivateNode, app: RecordsApp) -> None:
    events, record = node.events(app.context.id), sealed()
    first = await anext(events)
    assert first.kind is None
    assert first.root == (await node.state(app.context.id)).root
    await app.put(record, patient=PATIENT)

    async def next_put() -> NodeEvent:
        async for event in events:
            if event.kind == "RecordPut":
                return event
        raise AssertionError

    event = await asyncio.wait_for(next_put(), 60)
    assert event.data["id"] == record.record.id
    assert event.data["commitment"] == hex(record.record.commitment)
    assert event.root == (await node.state(app.context.id)).root
    assert record.keys.keys().isdisjoint(str(event.data).split("'"))


async def test_a_claim_holds_for_its_kind_only(node: PrivateNode, app: RecordsApp) -> None:
    request = ClaimRequest("starknet:SN_DEVNET:0x1", 'medsync:1:0x2a:"ü":1', secrets.token_hex(16))
    claim = await node.attest(app.context, request)
    verify_claim(claim, kind=node.kind, context=app.context, request=request)
    (other,) = set(NodeKind) - {node.kind}
    with pytest.raises(VerificationError):
        verify_claim(claim, kind=other, context=app.context, request=request)
    again = dataclasses.replace(request, nonce=secrets.token_hex(16))
    with pytest.raises(VerificationError):
        verify_claim(claim, kind=node.kind, context=app.context, request=again)
    short = dataclasses.replace(request, life_ms=1000)
    claim = await node.attest(app.context, short)
    verify_claim(claim, kind=node.kind, context=app.context, request=short)


async def test_a_claim_for_a_group_it_is_not_in(node: PrivateNode, app: RecordsApp) -> None:
    elsewhere = CalimeroContext(app.context.id, "ab" * 32, app.context.member)
    with pytest.raises(Exception, match=r"not a member|refused"):
        await node.attest(elsewhere, ClaimRequest("audience", "subject", "ab" * 16))


async def test_large_records(node: PrivateNode, app: RecordsApp) -> None:
    """The largest ciphertext there is, to and fro."""
    record = sealed(ciphertext=secrets.token_bytes(2**20))
    await app.put(record, patient=PATIENT)
    found = await app.find(record.record.commitment)
    assert found is not None
    assert found.current
    with pytest.raises(ApplicationError) as caught:
        await app.put(sealed(ciphertext=bytes(2**20 + 1)), patient=PATIENT)
    assert caught.value.code == "TOO_LARGE"


async def test_the_bridge_key_is_registered(node: PrivateNode, app: RecordsApp) -> None:
    status = await app.status()
    assert (status.bridge_key, status.chain, status.contract) == (
        BRIDGE.public_key().public_bytes_raw(),
        CHAIN,
        CONTRACT,
    )


async def test_compaction_leaves_everything_there(node: PrivateNode, app: RecordsApp) -> None:
    before = await app.records()
    assert await node.compact() == (node.kind is NodeKind.EMBEDDED)
    assert await app.records() == before

"""One real node: installed, used, restarted, killed, and asked for a claim."""

from __future__ import annotations

import secrets
import signal
from pathlib import Path

import pytest

from medsync.artifacts import BUNDLE
from medsync.private.home import Home
from medsync.private.node.calimero import CalimeroNode, Credentials
from medsync.private.node.interface import (
    ApplicationError,
    ClaimRequest,
    NodeRefused,
    NodeUnavailable,
    verify_claim,
)
from medsync.private.records.application import RecordStore
from medsync.protocol.anchor import NodeKind
from scripts.calimero.daemon import RealNode
from tests.private.conftest import MakeNode
from tests.private.node.support import BRIDGE, CHAIN, CONTRACT, PATIENT, new_app, sealed

MARKER = b"Zq7MarkerOfACiphertext"


async def test_solo(make_node: MakeNode) -> None:
    running = make_node("solo")
    running.start()
    record = sealed(ciphertext=MARKER * 10)
    async with CalimeroNode(running.url) as node:
        store = await RecordStore.create(
            node,
            await node.install(BUNDLE),
            2,
            bridge_key=BRIDGE.public_key().public_bytes_raw(),
            chain=CHAIN,
            contract=CONTRACT,
        )
        (app,) = store.apps
        await store.put(record, patient=PATIENT)
        before = await node.state(app.context.id)

        running.stop()
        with pytest.raises(NodeUnavailable):
            await node.health()
        running.start()
        assert await node.state(app.context.id) == before

        last = sealed()
        await store.put(last, patient=PATIENT)
        written = await node.state(app.context.id)
        running.stop(signal.SIGKILL)
        running.start()
        assert await node.state(app.context.id) == written
        store = await RecordStore.open(node, store.application)
        assert {one.id for one in await store.records()} == {record.record.id, last.record.id}
        assert (await app.keys(record.record.id)).keys == dict(record.keys)

        await store.put(sealed(), patient=PATIENT)
        assert len(store.apps) == 2, "a full context is followed by another"
        assert len({one.context.member for one in store.apps}) == 1
        assert await store.erase(record.record.id)
        with pytest.raises(ApplicationError, match="ERASED"):
            await store.version(record.record.id)

        request = ClaimRequest("starknet:SN_DEVNET:0x1", "medsync:1:0x2a:0x1:1", secrets.token_hex(16))
        claim = await node.attest(app.context, request)
        verify_claim(claim, kind=node.kind, context=app.context, request=request)
        assert claim.signer == store.member
    running.stop()
    found = [path for path in running.folder.rglob("*") if path.is_file() and MARKER in path.read_bytes()]
    assert not found, "with a store key nothing is readable in the node's files"
    log = running.log.read_text()
    assert record.record.id not in log
    assert hex(record.record.commitment) not in log


@pytest.mark.usefixtures("real_program")
async def test_login(tmp_path: Path) -> None:
    operator = Credentials("operator", secrets.token_hex(32))
    with RealNode(tmp_path / "node", auth=True) as running:
        running.start()
        async with CalimeroNode(running.url) as nobody:
            await nobody.health()
            with pytest.raises(NodeRefused, match="refused the login"):
                await nobody.contexts()
        # The first login makes the user.
        async with CalimeroNode(running.url, credentials=operator) as node:
            assert await node.contexts() == []
            app = await new_app(node, await node.install(BUNDLE))
            events = node.events(app.context.id)
            assert (await anext(events)).kind is None
            await app.put(sealed(), patient=PATIENT)
        for wrong in (Credentials("operator", "guess"), Credentials("intruder", operator.password)):
            async with CalimeroNode(running.url, credentials=wrong) as intruder:
                with pytest.raises(NodeRefused, match="refused user name and password"):
                    await intruder.contexts()
        # A home keeps the login beside its keys, and uses it.
        made = Home.create(
            tmp_path / "home", "a passphrase", chain=1, contract=1, node=running.url, login=operator, work=16
        )
        async with (await made).store() as store:
            assert store.node.kind is NodeKind.CALIMERO
        login = tmp_path / "home" / "login"
        assert login.stat().st_mode & 0o077 == 0
        login.unlink()
        with pytest.raises(NodeRefused, match="refused the login"):
            async with Home(tmp_path / "home").store():
                pass
        assert operator.password not in running.log.read_text()

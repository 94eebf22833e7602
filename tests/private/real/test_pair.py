"""Two real nodes: what one keeps private does not reach the other, and what it publishes does."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable

import pytest

from medsync.artifacts import BUNDLE
from medsync.errors import VerificationError
from medsync.private.node.calimero import CalimeroNode, Invitation
from medsync.private.node.interface import (
    ApplicationError,
    ClaimRequest,
    NodeError,
    NodeRefused,
    NodeUnavailable,
    UnknownContext,
)
from medsync.private.records.application import RecordsApp
from medsync.private.records.tickets import Presentation
from tests.private.conftest import MakeNode
from tests.private.node.support import BRIDGE, CHAIN, CONTRACT, PATIENT, new_app, sealed

#: Seconds until something must have reached the other node; it takes one, or less.
PATIENCE = 90.0


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask until it holds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if await holds():
                return
        except NodeUnavailable:
            pass
        assert time.monotonic() < deadline, f"not in {PATIENCE:.0f} s: {what}"
        await asyncio.sleep(0.05)


async def test_pair(make_node: MakeNode) -> None:
    one, other = make_node("writer"), make_node("peer")
    one.start([other.address])
    other.start([one.address])
    # Private, replicated by nobody: the ciphertext, and whom it is about.
    marker = secrets.token_bytes(48)
    record = sealed(ciphertext=marker)
    patient = secrets.randbits(240)
    async with CalimeroNode(one.url) as writer, CalimeroNode(other.url) as peer:
        mine = await new_app(writer, await writer.install(BUNDLE))
        await mine.put(record, patient=patient)
        group, context = mine.context.group, mine.context.id

        async def are_connected() -> bool:
            return min(await writer.peers(), await peer.peers()) >= 1

        await until(are_connected, "the nodes are connected")
        with pytest.raises(UnknownContext):
            await peer.execute(context, "status", {})
        invitation = Invitation.from_json((await writer.invite(group)).to_json())
        member = await peer.join(invitation)
        assert await peer.join_context(context) == member
        theirs = RecordsApp(peer, mine.context)

        async def have_the_same() -> bool:
            return await theirs.records() == await mine.records() != []

        await until(have_the_same, "the peer has the records")
        await writer.check_members(group, {mine.context.member, member})
        with pytest.raises(VerificationError):
            await writer.check_members(group, {mine.context.member})
        (joined,) = [found for found in await peer.contexts() if found.id == context]
        assert (joined.member, joined.group) == (member, group)

        # Published, and not what is private.
        (view,) = await theirs.records()
        assert (view.id, view.commitment) == (record.record.id, record.record.commitment)
        assert await theirs.find(record.record.commitment) is None
        with pytest.raises(ApplicationError) as caught:
            await theirs.keys(record.record.id)
        assert caught.value.code == "UNKNOWN_RECORD"
        assert await theirs.operations() == []
        request = ClaimRequest("audience", "subject", secrets.token_hex(16))
        with pytest.raises(NodeRefused, match="not a direct admin"):
            await peer.attest(joined, request)

        # Both write at once, and come to the same state.
        await theirs.configure(BRIDGE.public_key().public_bytes_raw(), CHAIN, CONTRACT)
        nothing = Presentation(ticket="{}", signature=bytes(64), presentation=bytes(64))
        await asyncio.gather(
            *(app.put(sealed(), patient=PATIENT) for app in (mine, theirs)),
            # The same key of the replicated receipts.
            *(app.release(nothing) for app in (mine, theirs)),
            mine.erase(record.record.id),
        )

        async def have_the_same_root() -> bool:
            return (await writer.state(context)).root == (await peer.state(context)).root

        await until(have_the_same_root, "both have the same root")
        assert await mine.records() == await theirs.records()
        assert await mine.receipts() == await theirs.receipts()
        assert len(await mine.records()) == 3

        await writer.remove_member(group, member)
        await mine.put(sealed(), patient=PATIENT)
        with pytest.raises(NodeError):
            await theirs.status()
        await writer.check_members(group, {mine.context.member})
    one.stop()
    other.stop()
    for path in other.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert marker not in content, path
            assert hex(patient)[2:].encode() not in content, path

"""Killed at any point: nothing that was acknowledged is lost, and nothing is there by half."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from medsync.private.node.embedded import EmbeddedNode
from medsync.private.node.interface import NodeEvent
from tests.private.node.killed import LINES


@dataclass(frozen=True)
class Killed:
    """What killed processes left."""

    folder: Path
    context: str
    #: By the name of the node's folder: the entries that were acknowledged.
    acknowledged: dict[str, list[int]]

    def of(self, kind: str) -> list[str]:
        return [name for name in self.acknowledged if name.startswith(kind)]

    async def check(self, name: str) -> tuple[int, int]:
        """Look at what is left, and go on with it; how many entries were acknowledged, and are there."""
        acknowledged, context = self.acknowledged[name], self.context
        async with EmbeddedNode(self.folder / name) as node:
            state, found = await node.state(context), list[int]()
            while (stored := int(await node.execute(context, "has", {"id": len(found)}))) != 0:
                assert stored == 3, "shared and private state are not of the same moment"
                found.append(len(found))
            assert found[: len(acknowledged)] == acknowledged, "something acknowledged is lost"
            assert len(found) <= len(acknowledged) + 1, "more is there than was ever tried"
            events = [event.data["id"] async for event in kept(node, context, len(found))]
            assert events == found, "the events are not those of what is stored"
            assert len(await node.deltas(context)) == 1 + len(found)
            await node.execute(context, "put", {"id": -1})
            assert await node.execute(context, "has", {"id": -1}) == 3
            assert (await node.state(context)).heads != state.heads
        return len(acknowledged), len(found)


async def kept(node: EmbeddedNode, context: str, count: int) -> AsyncIterator[NodeEvent]:
    """The first events of a context."""
    if count:
        async for event in node.events(context, after=0):
            yield event
            if event.cursor == count:
                return


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.private.node.killed", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    context, *lines = done.stdout.splitlines()
    told = {name: list(map(int, numbers)) for name, *numbers in map(str.split, lines)}
    return Killed(folder, context, told)


async def test_killed_at_every_point(killed: Killed) -> None:
    outcomes = [await killed.check(name) for name in killed.of("point-")]
    print(f"{len(outcomes)} points; (acknowledged, stored): {outcomes}")
    assert len(outcomes) > 15
    # Before the commit, between commit and acknowledgement, and after that.
    assert list(dict.fromkeys(outcomes)) == [(0, 0), (0, 1), (1, 1)]


async def test_killed_while_it_writes(killed: Killed) -> None:
    """At whatever it is doing, so that it may be in the middle of a commit, too."""
    outcomes = [await killed.check(name) for name in killed.of("lines-")]
    print(f"(acknowledged, stored): {outcomes}")
    for (acknowledged, _), lines in zip(outcomes, LINES, strict=True):
        assert acknowledged >= lines

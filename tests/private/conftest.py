"""Fixtures of the private side: nodes of both kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from medsync.private.node.calimero import CalimeroNode
from medsync.private.node.embedded import EmbeddedNode
from medsync.private.node.interface import PrivateNode
from medsync.protocol.anchor import NodeKind
from scripts.calimero.daemon import PROGRAM, PROGRAM_VARIABLE, RealNode, find_program
from tests.private.node.support import NODE_RECORDINGS, Recordings

#: Makes a node that was not started yet.
MakeNode = Callable[[str], RealNode]


@pytest.fixture(scope="session")
def recordings() -> Recordings:
    """What a real node answered once."""
    return Recordings.read(NODE_RECORDINGS)


@pytest.fixture(scope="session")
def real_program() -> Path:
    """The real node's program; tests that need it are skipped where there is none."""
    program = find_program()
    if program is None:
        pytest.skip(f"no {PROGRAM} on PATH, nor named in {PROGRAM_VARIABLE}: `make calimero-node` builds it")
    return program


@pytest.fixture
def make_node(real_program: Path, tmp_path: Path) -> Iterator[MakeNode]:
    """Makes real nodes, which end with the test."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(RealNode(tmp_path / name))


@pytest.fixture(scope="module", params=list(NodeKind))
async def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PrivateNode]:
    """A node of each kind: whatever is true of one must be of the other."""
    folder = tmp_path_factory.mktemp("node")
    if request.param is NodeKind.EMBEDDED:
        async with EmbeddedNode(folder) as embedded:
            yield embedded
        return
    request.getfixturevalue("real_program")
    with RealNode(folder / "real") as running:
        running.start()
        async with CalimeroNode(running.url) as client:
            yield client

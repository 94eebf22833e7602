"""What a command takes from the nodes it was given, before anything is signed on it."""

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from starknet_py.net.full_node_client import FullNodeClient

from medsync.cli import chain
from medsync.cli.context import Context
from medsync.cli.options import Options
from medsync.errors import VerificationError
from medsync.starknet.clients import MedSyncClient
from medsync.starknet.network import Connection

STATE = {"generation": 3, "counter": 1}


@dataclass(frozen=True)
class FakeNode:
    """Says what holds for the patient."""

    state: Any


def context_of(*states: Any, is_local: bool = False) -> tuple[Context, Any]:
    """A command's context with a node for each state, and MedSync at the first."""
    nodes = tuple(FakeNode(state) for state in states)
    connection = Connection("sepolia", 1, is_local, nodes[0], "", nodes)  # type: ignore[arg-type]
    context = Context(Options())
    context._connection = connection
    return context, SimpleNamespace(address=5, client=nodes[0])


async def ask(medsync: MedSyncClient) -> Any:
    node: Any = medsync.client
    return node.state


async def test_what_all_nodes_say_is_taken() -> None:
    context, medsync = context_of(STATE, dict(STATE))
    assert await context.agreed(medsync, ask) == STATE


@pytest.mark.parametrize("liar", [0, 1, 2])
async def test_nothing_is_signed_on_what_one_node_says(liar: int) -> None:
    """A node that says the next generation would make messages that the next panic button does not void."""
    states = [dict(STATE) for _ in range(3)]
    states[liar]["generation"] += 1
    context, medsync = context_of(*states)
    with pytest.raises(VerificationError, match="do not agree on what holds for the patient"):
        await context.agreed(medsync, ask)


@pytest.mark.parametrize(("is_local", "present"), [(False, 1_000), (True, 5_000)])
async def test_the_clock_tells_the_time_but_of_a_devnet(
    monkeypatch: pytest.MonkeyPatch, is_local: bool, present: int
) -> None:
    """A node of another network that is ahead by years does not make what is signed last for years."""

    async def newest_block(client: FullNodeClient) -> Any:
        return SimpleNamespace(timestamp=5_000)

    monkeypatch.setattr(chain, "newest_block", newest_block)
    monkeypatch.setattr(time, "time", lambda: 1_000.9)
    context, _ = context_of(STATE, is_local=is_local)
    assert await context.now() == present

"""One scene for all, in an event loop of its own: the tests are synchronous, so that Hypothesis can run
them and Ctrl-C finds what it would find in a script."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from medsync.deployment.devnet import Devnet
from medsync.starknet import transactions, transport
from tests.faults.proxy import Proxy
from tests.faults.scene import Scene
from tests.harness.chain import Chain
from tests.harness.world import World


@pytest.fixture(scope="session", autouse=True)
def _short_pauses() -> Iterator[None]:
    """What would be waited for is waited for less long, and as often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "PAUSES", [0.01] * len(transport.PAUSES))
        patch.setattr(transactions, "NONCE_PAUSES", [0.01] * len(transactions.NONCE_PAUSES))
        yield


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    # Not the default factory: it would take the place of the loop that asynchronous tests share.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        yield runner


@pytest.fixture(scope="session")
def proxy(devnet: Devnet) -> Iterator[Proxy]:
    with Proxy(devnet.rpc_url) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def scene(devnet: Devnet, chain: Chain, proxy: Proxy, runner: asyncio.Runner) -> Iterator[Scene]:
    stack = AsyncExitStack()
    try:
        yield runner.run(Scene.open(World(chain), proxy, devnet.rpc_url, stack))
    finally:
        runner.run(stack.aclose())

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from medsync.deployment.devnet import Devnet
from medsync.starknet.network import connect
from tests.harness.chain import Chain
from tests.harness.clients import accounts_of
from tests.harness.world import World
from tests.private.bridge.scene import Scene, make_homes


@pytest.fixture(scope="session")
def private_world(chain: Chain) -> World:
    """One MedSync for all tests here: the institutions' folders belong to it."""
    return World(chain)


@pytest.fixture(scope="session")
async def template(private_world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The institutions' folders as they were made."""
    folder = tmp_path_factory.mktemp("institutions")
    await make_homes(folder, private_world)
    return folder


@pytest.fixture
async def scene(template: Path, private_world: World, devnet: Devnet, tmp_path: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(connect(url=devnet.rpc_url))
        accounts = accounts_of(private_world.chain, connection)
        yield await Scene.open(template, tmp_path, private_world, connection, accounts, stack)

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from medsync.accounts import predeployed_accounts
from medsync.devnet import Devnet
from medsync.network import connect
from tests.private.bridge.scene import Scene, make_homes
from tests.support.chain import Chain
from tests.support.world import World


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
        accounts = {one.address: one for one in await predeployed_accounts(connection)}
        yield await Scene.open(template, tmp_path, private_world, connection, accounts, stack)

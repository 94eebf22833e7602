"""A devnet of its own for deployments: on one that others use, the classes are declared already."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from medsync.deployment.devnet import Devnet
from medsync.starknet import network
from medsync.starknet.accounts import predeployed_accounts
from medsync.starknet.network import Connection, connect
from medsync.starknet.transactions import Account


@pytest.fixture(scope="session")
def own_devnet() -> Iterator[Devnet]:
    """A devnet of this test process for deployments only."""
    if os.environ.get(network.DEVNET_URL_VARIABLE):
        pytest.skip("needs a starknet-devnet that nobody declared MedSync on, and one is given from outside")
    with Devnet.start() as devnet:
        yield devnet


@pytest.fixture
def untouched(own_devnet: Devnet) -> Iterator[Devnet]:
    """A chain on which neither class is declared."""
    with own_devnet.restored():
        yield own_devnet


@pytest.fixture
async def connection(untouched: Devnet) -> AsyncIterator[Connection]:
    """A connection to that chain."""
    async with connect("devnet", untouched.rpc_url) as connection:
        yield connection


@pytest.fixture
async def account(connection: Connection) -> Account:
    """Who deploys."""
    return (await predeployed_accounts(connection))[0]

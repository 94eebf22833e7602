"""A fresh world for every test: deploying one takes about 40 ms, a devnet snapshot and its revert ten times
that."""

from collections.abc import Iterator

import pytest

from medsync.devnet import Devnet
from tests.stateful.driver import Node
from tests.support.chain import Chain
from tests.support.world import World


@pytest.fixture(scope="session")
def chain(devnet: Devnet) -> Iterator[Chain]:
    node = Node(devnet.url)
    yield Chain(node)
    node.close()


@pytest.fixture
def world(chain: Chain) -> World:
    return World(chain)

"""One deployment per test process, shared by the state machines; each example is undone by a revert."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from medsync.deployment.devnet import Devnet
from tests.harness.driver import Chain, Node

from .system import System


@pytest.fixture(scope="module")
def system(devnet: Devnet) -> Iterator[System]:
    with closing(Node(devnet.url)) as node, devnet.restored():
        yield System(Chain(node))

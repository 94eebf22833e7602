"""One folder and node for all of these tests: whatever a run does to them is undone after it."""

from collections.abc import Iterator

import pytest

from tests.fuzz.bench import Bench


@pytest.fixture(scope="package")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A sample of everything, a node, and the command line between them."""
    with Bench(tmp_path_factory.mktemp("fuzz")) as bench:
        yield bench

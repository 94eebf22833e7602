"""Records for every test how long it took and which entry points of the contracts it called."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from medsync import artifacts
from tests.harness import driver


class Recorder:
    """A pytest plugin that observes the requests and traces of the tests' JSON-RPC client."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = {driver.selector(name): name for name in _entry_points()}
        self._names[driver.selector("constructor")] = "constructor"
        self._calls: set[str] = set()
        self._own: set[str] = set()
        self._batch = driver.Node.batch

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        before, self._calls = self._calls, set()
        try:
            return (yield)
        finally:
            self._own = self._calls
            self._calls = before | self._own

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._calls, self._own = set(), set()
        recorder, batch = self, self._batch

        def listening(node: driver.Node, calls: Any) -> Any:
            results = batch(node, calls)
            recorder._calls |= {
                recorder._names[felt] for felt in _felts((calls, results)) & recorder._names.keys()
            }
            return results

        driver.Node.batch = listening  # type: ignore[method-assign, assignment]
        started = time.monotonic()
        try:
            return (yield)
        finally:
            driver.Node.batch = batch  # type: ignore[method-assign]
            seconds = round(time.monotonic() - started, 3)
            with self._path.open("a") as file:
                file.write(
                    json.dumps(
                        [
                            item.nodeid,
                            {"seconds": seconds, "calls": sorted(self._calls), "own": sorted(self._own)},
                        ]
                    )
                    + "\n"
                )


def _entry_points() -> Iterator[str]:
    for name in ("MedSync", "RewardPool", "PrivateAnchor"):
        for entry in artifacts.load(name).abi:
            if entry["type"] == "interface":
                yield from (item["name"] for item in entry["items"])


def _felts(value: Any) -> set[int]:
    """All hexadecimal numbers in a request or response."""
    found: set[int] = set()
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, (list, tuple)):
            todo += item
        elif isinstance(item, str) and item.startswith("0x") and len(item) > 50:
            found.add(int(item, 16))
    return found

"""Fixtures for tests on a real devnet: one per test process, its state put back after each test that asks."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from medsync import toolchain
from medsync.devnet import Devnet

START_TIME = 1_767_225_600
"""2026-01-01 00:00:00 UTC, the first block's time, so that no test depends on the day it runs."""

settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("ci", settings.get_profile("repeatable"))
settings.register_profile("deep", settings.get_profile("repeatable"), derandomize=False, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def devnet(worker_id: str) -> Iterator[Devnet]:
    """This test process's own devnet, with funded predeployed accounts.

    MEDSYNC_DEVNET_URL may name running ones instead: as many, with commas, as there are test processes.
    """
    urls = [url for url in os.environ.get(toolchain.DEVNET_URL_VARIABLE, "").split(",") if url]
    if not urls:
        with Devnet.start(start_time=START_TIME) as devnet:
            yield devnet
        return
    number = int(worker_id.removeprefix("gw")) if worker_id != "master" else 0
    if number >= len(urls):
        pytest.fail(
            f"{toolchain.DEVNET_URL_VARIABLE} names {len(urls)}; run with PYTEST_WORKERS={len(urls)}."
        )
    with Devnet.attach(urls[number]) as devnet, devnet.restored():
        yield devnet


@pytest.fixture
def restored(devnet: Devnet) -> Iterator[Devnet]:
    """The devnet, whose whole state, clock included, is put back after the test."""
    with devnet.restored():
        yield devnet


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test begins first: at the end it would leave the other processes idle."""
    items.sort(key=lambda item: "stateful" not in item.path.parts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the devnet printed last beside the failure of a test that used it."""
    report = yield
    devnet = getattr(item, "funcargs", {}).get("devnet")
    if report.failed and isinstance(devnet, Devnet):
        report.sections.append(("devnet", devnet.log_tail()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded as their `summary`: seeds, and how often everything was reached."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    summaries = [text for report in reports for name, text in report.user_properties if name == "summary"]
    if summaries:
        terminalreporter.section("what generated tests reached")
        terminalreporter.write_line("\n".join(map(str, summaries)))

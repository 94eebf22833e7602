"""Fixtures for tests on a real devnet: one per test process, its state put back after each test that asks."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, settings

from medsync.deployment.devnet import Devnet
from medsync.starknet import network
from tests.harness.chain import Chain
from tests.harness.driver import Node
from tests.harness.reach import PROFILES, profile, summary
from tests.harness.world import World

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs the tests in the background has them ignore Ctrl-C, and every process they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)

START_TIME = 1_767_225_600
"""2026-01-01 00:00:00 UTC, the first block's time, so that no test depends on the day it runs."""


def pytest_configure() -> None:
    """Select how much generated tests try."""
    for name in PROFILES:
        settings.register_profile(
            name,
            deadline=None,
            derandomize=name != "deep",
            max_examples=1000 if name == "deep" else 100,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        )
    settings.load_profile(profile())


@pytest.fixture(scope="session")
def devnet(worker_id: str) -> Iterator[Devnet]:
    """This test process's own devnet, with funded predeployed accounts.

    MEDSYNC_DEVNET_URL may name running ones instead: as many, with commas, as there are test processes.
    """
    urls = [url for url in os.environ.get(network.DEVNET_URL_VARIABLE, "").split(",") if url]
    if not urls:
        with Devnet.start(start_time=START_TIME) as devnet:
            yield devnet
        return
    number = int(worker_id.removeprefix("gw")) if worker_id != "master" else 0
    if number >= len(urls):
        pytest.fail(f"{network.DEVNET_URL_VARIABLE} names {len(urls)}; run with PYTEST_WORKERS={len(urls)}.")
    # Whoever named it may want to throw it away: putting it back costs time and much of its memory.
    disposable = bool(os.environ.get("MEDSYNC_DEVNET_DISPOSABLE"))
    with (
        Devnet.attach(urls[number]) as devnet,
        contextlib.nullcontext() if disposable else devnet.restored(),
    ):
        yield devnet


@pytest.fixture
def restored(devnet: Devnet) -> Iterator[Devnet]:
    """The devnet, whose whole state, clock included, is put back after the test."""
    with devnet.restored():
        yield devnet


@pytest.fixture(scope="session")
def chain(devnet: Devnet) -> Iterator[Chain]:
    """That devnet as tests of contracts use it: raw transactions, and everybody's keys."""
    with closing(Node(devnet.url)) as node:
        yield Chain(node)


@pytest.fixture
def world(chain: Chain) -> World:
    """A fresh MedSync: deploying one takes about 40 ms, a devnet snapshot and its revert ten times that."""
    return World(chain)


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
    # What malformed input left in the log may be no text that another process can be sent.
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections
    ]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what generated tests recorded: seeds, and how often everything was reached."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    reached = [value for report in reports for name, value in report.user_properties if name == "reach"]
    if reached:
        terminalreporter.section("what generated tests reached")
        terminalreporter.write_line("\n".join(map(summary, reached)))

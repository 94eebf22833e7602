"""These tests can fail: planted defects of every kind that they are there to find are found."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medsync.cli import logs, output
from medsync.cli.command import command
from medsync.cli.commands import entity
from medsync.cli.context import Context
from medsync.errors import InputError, NetworkError
from tests.fuzz.bench import API_KEY, DEVNET_KEY, PASSWORD, REPORT, Bench
from tests.fuzz.institutions import FINDING
from tests.fuzz.lines import commands
from tests.fuzz.oracle import faults, tally
from tests.harness.reach import Reach

LOG = logging.getLogger("medsync.starknet.transactions")
LINE = ["entity", "show", "0x1"]


def _write(name: str, content: str) -> None:
    Path(name).write_text(content)


async def _value_error(context: Context, text: str, name: str) -> int:
    raise ValueError("a defect")


class _Uncaught(BaseException):
    """No handler knows it."""


async def _ends_it_all(context: Context, text: str, name: str) -> int:
    raise _Uncaught


async def _secret_in_error(context: Context, text: str, name: str) -> int:
    raise InputError(f"{name} does not go with the key {DEVNET_KEY:#x}.")


async def _secret_in_file(context: Context, text: str, name: str) -> int:
    _write("debug.log", f"asking {API_KEY}")
    raise NetworkError("The node did not answer.")


async def _half_a_file(context: Context, text: str, name: str) -> int:
    _write("new.json", '{"schema": ')
    raise InputError(f"{name} is wrong.")


async def _a_file_changed(context: Context, text: str, name: str) -> int:
    _write(REPORT, "")
    raise InputError(f"{name} is wrong.")


async def _sent_and_refused(context: Context, text: str, name: str) -> int:
    account = await context.account()
    await account.submit((await context.medsync(signing=True)).revoke_all())
    raise InputError(f"{name} is wrong.")


async def _answer_beside_an_error(context: Context, text: str, name: str) -> int:
    print("entity  0x1")
    raise InputError(f"{name} is wrong.")


async def _no_message(context: Context, text: str, name: str) -> int:
    raise InputError("")


async def _own_exit_code(context: Context, text: str, name: str) -> int:
    error = InputError(f"{name} is wrong.")
    error.__class__ = type("Odd", (InputError,), {"exit_code": 42})
    raise error


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (_value_error, "the error is a defect's"),
        (_secret_in_error, "standard error holds parts of secrets"),
        (_secret_in_file, "work/debug.log holds parts of secrets"),
        (_half_a_file, "work/new.json was written"),
        (_a_file_changed, f"work/{REPORT} was written"),
        (_sent_and_refused, "was sent"),
        (_answer_beside_an_error, "there is an answer beside the error"),
        (_no_message, "there is no error message"),
        (_own_exit_code, "the exit code 42 is not documented"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_command_that_goes_wrong(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, planted: Callable[..., Any], found: str
) -> None:
    assert faults(bench, bench.run(LINE)) == []
    monkeypatch.setattr(Context, "address", planted)
    done = bench.run(LINE)
    assert any(found in fault for fault in faults(bench, done)), (faults(bench, done), done)


def test_a_traceback(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Context, "address", _ends_it_all)
    with pytest.raises(AssertionError, match="ended with a traceback"):
        bench.run(LINE)


def test_raw_control_characters(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ["entity", "show", "\x1b[31mred"]
    assert faults(bench, bench.run(line)) == []
    monkeypatch.setattr(output, "discreet", lambda text: text)

    async def refuse(context: Context, text: str, name: str) -> int:
        raise InputError(f"{name} cannot be {text}.")

    monkeypatch.setattr(Context, "address", refuse)
    assert "standard error holds control characters: ['\\x1b']" in faults(bench, bench.run(line))


def test_a_url_with_its_key(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ["entity", "list", bench.url]
    assert faults(bench, bench.run(line)) == []
    monkeypatch.setattr(output, "discreet", lambda text: text)
    assert any("secrets" in fault for fault in faults(bench, bench.run(line)))


@pytest.mark.parametrize(
    "log",
    [
        lambda: LOG.debug("The answer was %s.", FINDING),
        lambda: LOG.debug("Signing.", extra={"key": hex(DEVNET_KEY)}),
        lambda: LOG.debug("Asking.", extra={"form": {"password": PASSWORD}}),
    ],
    ids=["message", "field", "inner-field"],
)
def test_a_secret_in_the_log(bench: Bench, monkeypatch: pytest.MonkeyPatch, log: Callable[[], None]) -> None:
    async def address(context: Context, text: str, name: str) -> int:
        log()
        return 1

    monkeypatch.setattr(Context, "address", address)
    found = faults(bench, bench.run(LINE))
    assert [fault.partition(":")[0] for fault in found] == ["the log holds parts of secrets"], found


def test_a_line_of_the_log_that_is_no_json(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "JsonLine", logs.Plain)
    assert "a line of the log is no JSON" in faults(bench, bench.run(LINE))


def test_a_command_that_nobody_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new command is tried by itself; a parameter of an unknown kind asks for a sample."""
    group = entity.app
    monkeypatch.setattr(group, "registered_commands", list(group.registered_commands))

    async def novelty(context: Context, entity: str) -> None: ...

    command(group, "novelty")(novelty)
    assert "entity novelty" in {one.path for one in commands()}

    async def unheard_of(context: Context, flavour: str) -> None: ...

    command(group, "unheard-of")(unheard_of)
    with pytest.raises(AssertionError, match=r"entity unheard-of: a sample of flavour is missing"):
        commands()


def test_a_target_that_was_never_tried() -> None:
    reach = Reach("", seed=0)
    reach.expect("tried", ["keystore", "batch"])
    tally(reach, "keystore", 3)
    with pytest.raises(AssertionError, match="never reached: tried batch"):
        reach.assert_all_reached()

"""What is on standard error beside an answer or an error, and that programs can read it."""

import json
from typing import Any, Final

import pytest

from medsync.errors import ExitCode
from tests.fuzz.bench import Bench
from tests.fuzz.oracle import check

#: Where nothing listens.
SILENT: Final = "http://127.0.0.1:1/rpc"


def said(err: bytes) -> list[dict[str, Any]]:
    """The objects on standard error."""
    return [json.loads(line) for line in err.splitlines()]


def one_of_three_is_silent(bench: Bench) -> str:
    """Two must be left to be compared: here they are one, by two names."""
    return f"{SILENT},{bench.url},{bench.url.replace('127.0.0.1', 'localhost')}"


def test_a_warning_is_a_json_line_beside_the_answer(bench: Bench) -> None:
    done = bench.run(["--json", "--rpc-url", one_of_three_is_silent(bench), "entity", "list"])
    check(bench, done)
    assert done.code == ExitCode.OK
    json.loads(done.out)
    (warning,) = said(done.err)
    assert (warning["level"], warning["logger"]) == ("warning", "medsync.starknet.network")
    assert "left out" in warning["message"]


def test_a_warning_is_a_json_line_before_the_error(bench: Bench) -> None:
    line = [
        "--json",
        "--rpc-url",
        one_of_three_is_silent(bench),
        "consent",
        "cancel-signatures",
        "--account=devnet:99",
    ]
    done = bench.run(line)
    check(bench, done)
    *warnings, error = said(done.err)
    assert [warning["level"] for warning in warnings] == ["warning"]
    assert "level" not in error
    assert error["exit_code"] == done.code == ExitCode.BAD_INPUT


@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_level_without_a_file_is_shown_on_standard_error(bench: Bench, level: str) -> None:
    line = ["--json", "--log-level", level, "bridge", "run", "--once", "--home=hospital", "--also=clinic"]
    done = bench.run(line, environment={"MEDSYNC_LOG_FILE": ""})
    check(bench, done)
    assert done.code == ExitCode.OK
    lines = said(done.err)
    assert {line["level"] for line in lines} == {"info", level}
    assert "medsync.private.bridge.bridge" in {line["logger"] for line in lines}
    # What the command line itself does is only worth a line where nobody watches it.
    assert not [line for line in lines if line["logger"].startswith("medsync.cli")]

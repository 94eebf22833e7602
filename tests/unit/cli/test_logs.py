"""What is logged: JSON lines that can be parsed, levels that filter, nothing secret, nothing unasked for."""

import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from medsync.cli.app import run
from medsync.cli.logs import Level, logged
from medsync.errors import ExitCode, InputError

SECRET = "5ecr3tK3y"
LOG = logging.getLogger("medsync.starknet.transactions")


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects in a log file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@contextmanager
def to_file(path: Path, level: Level = Level.DEBUG) -> Iterator[None]:
    """Log to a file inside the block."""
    with logged(level, path, as_json=False):
        yield


def test_a_line_holds_time_level_logger_message_and_fields(tmp_path: Path) -> None:
    with to_file(tmp_path / "log"):
        LOG.info(
            "In block %d.", 12, extra={"transaction": "0x5e47", "block": 12, "nodes": [0, 1], "none": None}
        )
    (line,) = lines(tmp_path / "log")
    time = datetime.fromisoformat(line.pop("time"))
    assert time.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - time) < timedelta(minutes=1)
    assert line == {
        "level": "info",
        "logger": "medsync.starknet.transactions",
        "message": "In block 12.",
        "transaction": "0x5e47",
        "block": 12,
        "nodes": [0, 1],
        "none": None,
    }


@pytest.mark.parametrize("level", Level)
def test_a_level_keeps_out_what_is_below_it(level: Level, tmp_path: Path) -> None:
    with to_file(tmp_path / "log", level):
        for each in Level:
            LOG.log(each.number, "Something.")
    assert [line["level"] for line in lines(tmp_path / "log")] == list(Level)[list(Level).index(level) :]


def test_standard_error_gets_the_level_or_with_a_file_only_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file, shown in ((None, ["info: 1", "warning: 2"]), (tmp_path / "log", ["warning: 2"])):
        with logged(Level.INFO, file, as_json=False):
            LOG.debug("0")
            LOG.info("1")
            LOG.warning("2")
        assert capsys.readouterr().err.splitlines() == [f"medsync: {line}" for line in shown]


def test_standard_error_is_json_lines_where_the_answer_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    with logged(Level.WARNING, None, as_json=True):
        LOG.warning("First.")
        LOG.warning("Second\nline.")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == [
        "First.",
        "Second\nline.",
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_urls_lose_what_may_be_secret_in_them(
    as_json: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"https://user:{SECRET}@node.example/v2/{SECRET}?key={SECRET}"
    with logged(Level.DEBUG, tmp_path / "log", as_json=as_json):
        LOG.warning("Asking %s.", url)
        LOG.warning("Asking.", extra={"node": url, "nodes": [url], "by_name": {"first": url}})
    written = (tmp_path / "log").read_text()
    for text in (written, capsys.readouterr().err):
        assert SECRET not in text
        assert "https://node.example" in text
    assert lines(tmp_path / "log")[1]["nodes"] == ["https://node.example"]


def test_a_trace_shows_where_a_foreign_error_comes_from_and_not_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with to_file(tmp_path / "log"):
        try:
            int(SECRET)
        except ValueError:
            LOG.exception("It failed.")
    (line,) = lines(tmp_path / "log")
    assert "ValueError" in line["trace"]
    assert "test_logs.py" in line["trace"]
    assert SECRET not in (tmp_path / "log").read_text() + capsys.readouterr().err


def test_control_characters_are_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with to_file(tmp_path / "log"):
        LOG.warning("\x1b[31mred", extra={"name_given": "\x1b[0m"})
    assert "\x1b" not in capsys.readouterr().err
    assert lines(tmp_path / "log")[0]["message"] == "\\x1b[31mred"


def test_a_record_that_cannot_be_written_is_said_once_without_its_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Away from pytest's own handler, which raises.
    monkeypatch.setattr(logging.getLogger("medsync"), "propagate", False)
    with to_file(tmp_path / "log"):
        LOG.info("%d", SECRET)
        LOG.info("%d", SECRET)
        LOG.info("This one can.")
    assert capsys.readouterr().err == "medsync: warning: The log cannot be written: TypeError.\n"
    assert [line["message"] for line in lines(tmp_path / "log")] == ["This one can."]


def test_loggers_of_other_libraries_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with to_file(tmp_path / "log"):
        logging.getLogger("aiohttp.client").info(SECRET)
        logging.getLogger("medsync_of_somebody_else").info(SECRET)
    assert lines(tmp_path / "log") == []
    assert capsys.readouterr().err == ""


def test_a_file_is_appended_to_and_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for _ in range(2):
        with to_file(path):
            LOG.info("Again.")
    assert len(lines(path)) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_truncated_meanwhile_is_written_from_its_beginning(tmp_path: Path) -> None:
    """As logrotate does with `copytruncate`."""
    path = tmp_path / "log"
    with to_file(path):
        LOG.info("Rotated away.")
        path.write_bytes(b"")
        LOG.info("Kept.")
    assert [line["message"] for line in lines(path)] == ["Kept."]


def test_nothing_is_left_configured_afterwards(tmp_path: Path) -> None:
    logger = logging.getLogger("medsync")
    before = (logger.level, list(logger.handlers))
    with pytest.raises(InputError, match="log-file"), to_file(tmp_path):
        pass
    with to_file(tmp_path / "log"):
        pass
    assert (logger.level, logger.handlers) == before


@pytest.mark.parametrize("kind", ["folder", "missing/log", "pipe"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_done(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / kind
    assert run(["devnet", "status", "--log-file", str(path)]) == ExitCode.BAD_INPUT
    monkeypatch.setenv("MEDSYNC_LOG_FILE", str(path))
    assert run(["--json", "devnet", "status"]) == ExitCode.BAD_INPUT
    said = capsys.readouterr()
    plain, as_json = said.err.splitlines()
    assert plain.startswith(f"medsync: --log-file: {path} cannot be written: ")
    assert str(path) in json.loads(as_json)["message"]
    assert said.out == ""


def test_a_command_logs_its_beginning_and_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log"
    options = ["--log-level=INFO", f"--log-file={path}", f"--deployment={tmp_path}/none.json"]
    assert run(["deployments", "list", *options]) == ExitCode.OK
    assert run(["entity", "list", "--rpc-url=http://127.0.0.1:1/rpc", *options]) != ExitCode.OK
    messages = [(line["level"], line["message"]) for line in lines(path)]
    assert messages[:3] == [
        ("info", "medsync deployments list started."),
        ("info", "medsync deployments list ended with exit code 0."),
        ("info", "medsync entity list started."),
    ]
    level, message = messages[-1]
    assert level == "error"
    # The person sees it once, as the error that it is.
    error = message.removeprefix("medsync entity list failed: ")
    assert capsys.readouterr().err.count(error) == 1


def test_an_unknown_level_is_bad_usage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDSYNC_LOG_LEVEL", "loud")
    assert run(["devnet", "status"]) == ExitCode.USAGE
    assert "loud" in capsys.readouterr().err


def test_the_library_prints_nothing_unless_logging_is_configured() -> None:
    program = (
        "import logging, medsync\n"
        "from medsync.starknet import transport\n"
        "transport._log.warning('unasked')\n"
        "logging.basicConfig(format='%(message)s')\n"
        "transport._log.warning('asked')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "asked\n")

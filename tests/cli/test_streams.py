"""Ctrl-C before a command works; standard streams that are closed, full, cut short, or no colour terminal."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from medsync import __version__
from medsync.errors import ExitCode

MEDSYNC = [sys.executable, "-m", "medsync"]
UNREACHABLE = "entity show devnet:1 --rpc-url http://127.0.0.1:1"
#: How many moments of the start are tried.
MOMENTS = 12

#: Runs the command line and presses Ctrl-C at the n-th import of a module after `main` has begun.
INTERRUPTED_AT = """
import os, signal, sys
at, sys.argv = int(sys.argv[1]), ["medsync", *sys.argv[2:]]
from medsync.cli import interrupt, main

class Counting:
    seen = 0
    def find_spec(self, name, path=None, target=None):
        Counting.seen += 1
        if Counting.seen == at:
            os.kill(os.getpid(), signal.SIGINT)

watch_start = interrupt.watch_start
def begin():
    watch_start()
    sys.meta_path.insert(0, Counting())
interrupt.watch_start = begin
if at == 0:
    import atexit
    atexit.register(lambda: print(Counting.seen))
main()
"""


def python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script run by a Python of its own."""
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A shell's line, with `medsync` for this command line."""
    program = " ".join(MEDSYNC)
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; medsync() {{ {program} "$@"; }}; {line}'],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def on_a_terminal(line: str, **environment: str) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*MEDSYNC, *line.split()],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # What a terminal answers that nobody else has open any more.
        pass
    finally:
        os.close(ours)
        process.wait()
    return shown.decode()


def test_interrupted_while_modules_are_imported() -> None:
    counted = python(INTERRUPTED_AT, "0", *UNREACHABLE.split())
    assert counted.returncode == ExitCode.UNREACHABLE
    imports = int(counted.stdout)
    assert imports > 300
    for moment in range(1, imports, imports // MOMENTS):
        done = python(INTERRUPTED_AT, str(moment), *UNREACHABLE.split())
        assert (done.returncode, done.stdout) == (ExitCode.INTERRUPTED, ""), (moment, done.stderr)
        assert done.stderr == "medsync: Interrupted; nothing was sent.\n"


def test_interrupted_at_the_start_in_json() -> None:
    done = python(INTERRUPTED_AT, "5", *UNREACHABLE.split(), "--json")
    assert done.returncode == ExitCode.INTERRUPTED
    error = json.loads(done.stderr)
    assert (error["error"], error["exit_code"]) == ("INTERRUPTED", ExitCode.INTERRUPTED)


@pytest.mark.parametrize("line", ["--json --version", "--version --json"])
def test_the_version_in_json(line: str) -> None:
    done = shell(f"medsync {line}")
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    assert json.loads(done.stdout) == {"version": __version__}


@pytest.mark.parametrize("line", ["--help", "consent --help", "devnet status", "--version"])
def test_a_reader_that_closes_ends_it_quietly(line: str, tmp_path: Path) -> None:
    done = shell(f"medsync {line} | true", XDG_STATE_HOME=str(tmp_path))
    assert done.returncode in (ExitCode.OK, ExitCode.BROKEN_PIPE)
    assert done.stderr == ""
    # With a reader that is certainly gone.
    reading, writing = os.pipe()
    os.close(reading)
    command = [*MEDSYNC, *line.split()]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (ExitCode.BROKEN_PIPE, "")


@pytest.mark.parametrize("line", ["--help", "consent --help", "devnet status", "--version"])
def test_a_full_disk_is_explained(line: str, tmp_path: Path) -> None:
    done = shell(f"medsync {line} > /dev/full", XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == ExitCode.FAILED
    assert done.stderr == "medsync: Standard output cannot be written: No space left on device.\n"


def test_closed_streams(tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path)}
    done = shell("medsync devnet status >&-", **state)
    assert done.returncode == ExitCode.FAILED
    assert done.stderr.startswith("medsync: Standard output is closed")

    assert shell("medsync devnet status 2>&- <&-", **state).stdout.split() == ["running", "no"]
    unseen = shell("medsync frobnicate 2>&-", **state)
    assert (unseen.returncode, unseen.stdout, unseen.stderr) == (ExitCode.USAGE, "", "")
    assert shell("medsync frobnicate 2> /dev/full", **state).returncode == ExitCode.USAGE


@pytest.mark.parametrize("line", ["--help", UNREACHABLE, "frobnicate"])
@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=lambda one: str(*one))
def test_no_escape_codes(line: str, environment: dict[str, str]) -> None:
    assert "\x1b" not in on_a_terminal(line, **environment)


def test_a_terminal_gets_colours_and_a_spinner() -> None:
    """So that the test above can fail."""
    assert "\x1b[1m" in on_a_terminal("--help")
    assert "Connecting" in on_a_terminal(UNREACHABLE)
    assert re.search("\x1b", on_a_terminal(UNREACHABLE))

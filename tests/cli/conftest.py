"""The command line on a devnet that `medsync devnet up` started, with the contracts deployed."""

import contextlib
import io
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from medsync.cli.app import run as run_here
from medsync.errors import ExitCode
from medsync.starknet import network

MEDSYNC = [sys.executable, "-m", "medsync"]
TIMEOUT = 120


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    code: int
    out: str
    err: str

    def ok(self) -> "Done":
        """Itself, if it succeeded."""
        assert self.code == ExitCode.OK, (self.code, self.out, self.err)
        return self

    @property
    def json(self) -> Any:
        """The answer of a command that was run with --json."""
        return json.loads(self.out)


class Cli:
    """Runs `medsync`, as a process of its own, in a folder away from the user's own settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.jsonl"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDSYNC_")}
        self.environment = {
            **kept,
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_DATA_HOME": str(folder / "data"),
            "MEDSYNC_DEPLOYMENT": str(folder / "devnet.json"),
            # Everything is logged, so that what must not be said anywhere is looked for there as well.
            "MEDSYNC_LOG_LEVEL": "debug",
            "MEDSYNC_LOG_FILE": str(self.log),
        }

    def run(self, line: str) -> Done:
        """Run a command line, given without the program's name, to its end."""
        process = self.start(line)
        out, err = process.communicate(timeout=TIMEOUT)
        return Done(process.returncode, out, err)

    def json(self, line: str) -> Any:
        """The answer of a command that succeeds."""
        return self.run(f"{line} --json").ok().json

    def start(self, line: str) -> subprocess.Popen[str]:
        """Start a command line and leave it running."""
        return subprocess.Popen(
            [*MEDSYNC, *shlex.split(line)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def interrupt(self, process: subprocess.Popen[str]) -> Done:
        """Press Ctrl-C."""
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT)
        return Done(process.returncode, out, err)

    def write(self, name: str, content: Any) -> None:
        """Write a file into the folder: text, or anything else as JSON."""
        (self.folder / name).write_text(content if isinstance(content, str) else json.dumps(content))

    def read(self, name: str) -> Any:
        """A JSON file's content."""
        return json.loads((self.folder / name).read_text())


class Here(Cli):
    """The same command line without a process for each, for the many that are only to be seen once."""

    def run(self, line: str, **environment: str) -> Done:
        """Run a command line to its end, in a thread, because it brings an event loop of its own."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self.environment | environment, clear=True),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            ThreadPoolExecutor(1) as thread,
        ):
            code = thread.submit(run_here, shlex.split(line)).result(TIMEOUT)
        return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """The command line, a devnet with the real clock, and a deployment whose administrator is devnet:0."""
    if os.environ.get(network.DEVNET_URL_VARIABLE):
        pytest.skip("`medsync devnet` starts a starknet-devnet of its own, and one is given from outside")
    cli = Cli(tmp_path_factory.mktemp("cli"))
    cli.run(f"devnet up --port {_free_port()}").ok()
    try:
        cli.run("deploy").ok()
        yield cli
    finally:
        cli.run("devnet down").ok()


@pytest.fixture(scope="session")
def here(cli: Cli) -> Here:
    """The same command line on the same devnet, in this process."""
    return Here(cli.folder)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

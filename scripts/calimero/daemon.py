"""Runs a real Calimero node on this machine: for the tests of the client, and for the demo.

The node is the program of `calimero-node/`: it listens on the loopback interface only, keeps its database
encrypted, and logs no arguments.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from medsync.deployment.devnet import WITH_WATCHDOG
from medsync.deployment.toolchain import cache_dir
from medsync.errors import ToolError
from medsync.storage.files import NewFile, write_new

#: Environment variable naming the program, if it is not on PATH under its own name.
PROGRAM_VARIABLE: Final = "MEDSYNC_CALIMERO_NODE"
PROGRAM: Final = "medsync-calimero-node"
#: Where `make calimero-node` puts it.
BUILT: Final = cache_dir() / "calimero-node" / PROGRAM
#: Seconds a node gets until it answers; it takes a tenth of one.
START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 30.0


def find_program() -> Path | None:
    """The node's program, or None if there is none. Raises ToolError if the variable names none."""
    if named := os.environ.get(PROGRAM_VARIABLE):
        if not os.access(named, os.X_OK):
            raise ToolError(f"{PROGRAM_VARIABLE} names {named}, which is no program.")
        return Path(named)
    if found := shutil.which(PROGRAM):
        return Path(found)
    return BUILT if os.access(BUILT, os.X_OK) else None


def require_program() -> Path:
    """The node's program. Raises ToolError, saying how to get it, if there is none."""
    program = find_program()
    if program is None:
        raise ToolError(
            f"{PROGRAM} is not installed.",
            hint=f"Build it with `make calimero-node`, or name one in {PROGRAM_VARIABLE}.",
        )
    return program


class RealNode:
    """A node in a folder of its own. As a context manager it ends on exit; its data stays.

    It ends with this process at the latest.
    """

    def __init__(self, folder: Path, *, auth: bool = False) -> None:
        """Make a node in a new folder, with a store key; `auth` has it ask for a login.

        Raises ToolError if there is no program or it fails, InputError if there is a node already.
        """
        self._program = require_program()
        self.folder, self.log = folder, folder / "node.log"
        self._home, self._store_key = folder / "home", folder / "store-key"
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        key = secrets.token_hex(32).encode() + b"\n"
        write_new([NewFile(self._store_key, key, "The node's store key", private=True)])
        http, p2p = _free_ports()
        self.url = f"http://127.0.0.1:{http}"
        arguments = ["--home", str(self._home), "--http", str(http), "--p2p", str(p2p)]
        done = subprocess.run(
            [self._program, "init", *arguments, *(["--auth"] if auth else [])],
            capture_output=True,
            text=True,
            env=_environment(),
        )
        if done.returncode != 0:
            raise ToolError(f"{PROGRAM} made no node: status {done.returncode}.")
        #: Where peers reach it: a libp2p multiaddress.
        self.address = done.stdout.strip()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, peers: Sequence[str] = ()) -> None:
        """Start it and wait until it answers. Peers should know each other: then each may restart.

        Raises ToolError if it does not start.
        """
        command = [str(self._program), "run", "--home", str(self._home)]
        command += ["--store-key", str(self._store_key)]
        for peer in peers:
            command += ["--peer", peer]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*WITH_WATCHDOG, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise ToolError(f"{PROGRAM} did not start; {self.log} says why.")
            time.sleep(0.02)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it has; a second time does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(with_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
        # What watches over it is left, in its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        # The loopback interface is never reached through a proxy.
        http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with http.open(f"{self.url}/admin-api/health", timeout=2) as response:
                return bool(response.status == 200)
        except (OSError, ValueError):
            return False


def _environment() -> dict[str, str]:
    # Without RUST_LOG the node's own filter applies, which lets no argument through.
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/")}


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]

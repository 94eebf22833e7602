"""Runs a real Calimero node on this machine, for the tests of the client and for the demo.

The node is the program in `calimero-node/`: it listens only on the loopback interface, encrypts its database,
and logs no arguments.
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

#: Environment variable with the path of the program, if it is not on PATH.
PROGRAM_VARIABLE: Final = "MEDSYNC_CALIMERO_NODE"
PROGRAM: Final = "medsync-calimero-node"
#: The path at which `make calimero-node` installs it.
BUILT: Final = cache_dir() / "calimero-node" / PROGRAM
#: Seconds to wait for a node's first response, which usually takes a tenth of a second.
START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 30.0


def find_program() -> Path | None:
    """The node's program, or None. Raises ToolError if the environment variable does not name a program."""
    if named := os.environ.get(PROGRAM_VARIABLE):
        if not os.access(named, os.X_OK):
            raise ToolError(f"{PROGRAM_VARIABLE} names {named}, which is not a program.")
        return Path(named)
    if found := shutil.which(PROGRAM):
        return Path(found)
    return BUILT if os.access(BUILT, os.X_OK) else None


def require_program() -> Path:
    """The node's program. Raises ToolError with instructions if it is missing."""
    program = find_program()
    if program is None:
        raise ToolError(
            f"{PROGRAM} is not installed.",
            hint=f"Build it with `make calimero-node`, or name one in {PROGRAM_VARIABLE}.",
        )
    return program


class RealNode:
    """A node in its own folder. As a context manager, it stops on exit; its data remains.

    It never outlives this process.
    """

    def __init__(self, folder: Path, *, auth: bool = False) -> None:
        """Create a node in a new folder, with a store key. With `auth`, it requires a login.

        Raises ToolError if the program is missing or fails, and InputError if the folder has a node.
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
            raise ToolError(f"{PROGRAM} could not create a node: status {done.returncode}.")
        #: Its address for peers: a libp2p multiaddress.
        self.address = done.stdout.strip()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, peers: Sequence[str] = ()) -> None:
        """Start the node and wait until it responds. If peers know each other, each of them may restart.

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
                raise ToolError(f"{PROGRAM} did not start; see {self.log}.")
            time.sleep(0.02)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """Stop the node and wait for its end. Does nothing if it is stopped."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(with_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
        # Its supervisor remains in its process group.
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
        # Never use a proxy for the loopback interface.
        http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with http.open(f"{self.url}/admin-api/health", timeout=2) as response:
                return bool(response.status == 200)
        except (OSError, ValueError):
            return False


def _environment() -> dict[str, str]:
    # Without RUST_LOG, the node uses its default filter, which logs no arguments.
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/")}


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]

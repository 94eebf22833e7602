"""A local starknet-devnet: started for one block of code, kept in the background, or already running.

A devnet proves nothing: it executes transactions like Starknet but makes no proofs. Its clock, balances and
history are free to change, through the `devnet_*` methods wrapped here
(https://0xspaceshard.github.io/starknet-devnet/docs).
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self
from urllib.parse import urlsplit

from medsync.deployment import toolchain
from medsync.errors import InputError, NetworkError, ToolError
from medsync.starknet import network
from medsync.starknet.transport import shown_url
from medsync.storage.files import NewFile, is_there, read_bytes, replace
from medsync.storage.locks import InUse, Lock, holders
from medsync.storage.versions import UnsupportedVersion, check_form

SEED = 2026
"""Fixes the predeployed accounts, so that addresses are the same in every run."""
ACCOUNTS = 16
BALANCE = 10**24
"""Each predeployed account's STRK and ETH, in the smallest unit: a million tokens."""
CHAIN_ID = "MEDSYNC_DEVNET"
"""Not devnet's own default, which is Sepolia's: what is signed here must be void everywhere else."""
BACKGROUND_PORT = 5050
START_TIMEOUT = 30.0
"""Seconds a new devnet gets until it answers; on an idle machine it takes one."""

_FORM = "medsync.devnet/1"
_END_IT = "End that devnet, and remove the file."

# Ends its process group when its standard input ends: when the starting process is gone, however it went.
WITH_WATCHDOG = (
    "/bin/sh",
    "-c",
    'exec 3<&0; { read -r _ <&3; kill -KILL 0; } & exec "$@" </dev/null 3<&-',
    "sh",
)
_LISTENING = re.compile(r"listening on [\d.]+:(\d+)")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredeployedAccount:
    """A funded account contract that exists from genesis. Everybody knows its key: never use it elsewhere."""

    address: int
    public_key: int
    private_key: int


class Devnet:
    """A running devnet, regardless of who started it.

    Make one with `start`, `attach` or `open`. As a context manager it ends on exit if this object started it.
    Calls raise NetworkError if devnet does not answer, or answers with an error.
    """

    def __init__(
        self, url: str, process: subprocess.Popen[bytes] | None = None, output: IO[bytes] | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._process = process
        self._output = output
        # The loopback interface is never reached through a proxy.
        self._http = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @classmethod
    def start(
        cls,
        *,
        seed: int = SEED,
        accounts: int = ACCOUNTS,
        balance: int = BALANCE,
        chain_id: str = CHAIN_ID,
        start_time: int | None = None,
        log: Path | None = None,
    ) -> Self:
        """Start a devnet on a free port and wait until it answers; it ends with this process at the latest.

        `start_time` sets the first block's time in unix seconds. What the process prints goes to `log`, or
        to a file that is removed with it. Raises ToolError if there is no devnet of the pinned version, or
        it does not start.
        """
        arguments = _arguments(seed=seed, accounts=accounts, balance=balance, chain_id=chain_id, port=0)
        if start_time is not None:
            arguments += ["--start-time", str(start_time)]
        output = log.open("wb") if log else tempfile.NamedTemporaryFile(prefix="medsync-devnet-")  # noqa: SIM115
        process = _spawn([*WITH_WATCHDOG, *arguments], output, stdin=subprocess.PIPE)
        devnet = cls("", process, output)
        try:
            devnet.url = _wait_until_ready(process, Path(output.name))
        except BaseException:
            devnet.stop()
            raise
        _log.info("Devnet started at %s.", devnet.url, extra={"pid": process.pid})
        return devnet

    @classmethod
    def attach(cls, url: str) -> Self:
        """Use a devnet that already runs.

        Raises NetworkError if none answers there, ToolError if it is another version.
        """
        devnet = cls(url)
        devnet.config()
        version = devnet.rpc("starknet_specVersion")
        if version != network.RPC_VERSION:
            raise ToolError(
                f"The devnet at {url} speaks RPC {version}; {network.RPC_VERSION} is wanted.",
                hint=f"Run starknet-devnet {toolchain.DEVNET_VERSION} there.",
            )
        return devnet

    @classmethod
    def open(cls) -> Self:
        """The devnet MEDSYNC_DEVNET_URL names, if it is set, else a new one."""
        url = os.environ.get(network.DEVNET_URL_VARIABLE)
        return cls.attach(url) if url else cls.start()

    def stop(self) -> None:
        """End the process, if this object started it; a second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        _end_group(process.pid)
        process.wait()
        _log.info("Devnet at %s stopped.", self.url, extra={"pid": process.pid})
        for file in (process.stdin, self._output):
            if file is not None:
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def rpc_url(self) -> str:
        """Where the node's JSON-RPC is served."""
        return f"{self.url}/rpc"

    @property
    def ws_url(self) -> str:
        """Where the node's WebSocket subscriptions are served."""
        return f"ws://{urlsplit(self.url).netloc}/ws"

    def log_tail(self, lines: int = 40) -> str:
        """The last lines the process printed, or an empty text if it is not ours."""
        return _tail(Path(self._output.name), lines) if self._output is not None else ""

    def rpc(self, method: str, **params: Any) -> Any:
        """Call a JSON-RPC method and return its result."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.rpc_url, body, {"Content-Type": "application/json"})
        try:
            with self._http.open(request, timeout=60) as response:
                answer = json.load(response)
        except (OSError, ValueError) as error:
            raise NetworkError(
                f"No devnet answers at {self.url}: {error}.", hint="Start one with `medsync devnet up`."
            ) from error
        _log.debug("%s at %s.", method, shown_url(self.url), extra={"method": method})
        if not isinstance(answer, dict) or "result" not in answer:
            detail = answer.get("error") if isinstance(answer, dict) else answer
            raise NetworkError(f"The node at {self.url} refused {method}: {detail}.")
        return answer["result"]

    def is_alive(self) -> bool:
        """Whether it answers."""
        try:
            with self._http.open(f"{self.url}/is_alive", timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, ValueError):
            return False

    def config(self) -> dict[str, Any]:
        """The settings it runs with. Only a devnet has this method, so an answer proves that it is one."""
        result = self.rpc("devnet_getConfig")
        assert isinstance(result, dict)
        return result

    def accounts(self) -> list[PredeployedAccount]:
        """The predeployed accounts, in the order their seed gives."""
        return [
            PredeployedAccount(*(int(account[name], 16) for name in ("address", "public_key", "private_key")))
            for account in self.rpc("devnet_getPredeployedAccounts", with_balance=False)
        ]

    def mint(self, address: int, amount: int, unit: Literal["FRI", "WEI"] = "FRI") -> int:
        """Give an address STRK (FRI) or ETH (WEI), in the smallest unit; return its new balance.

        The transaction is alone in a block.
        """
        return int(self.rpc("devnet_mint", address=hex(address), amount=amount, unit=unit)["new_balance"])

    def set_time(self, timestamp: int, *, create_block: bool = False) -> None:
        """Set the clock in unix seconds; later blocks count on from it.

        With `create_block` an empty block of exactly this time is made now. Without, the next transaction's
        block is dated so, but the transaction itself still runs at the old time (devnet 0.10.1).
        """
        self.rpc("devnet_setTime", time=timestamp, generate_block=create_block)

    def increase_time(self, seconds: int) -> None:
        """Move the clock forward and make an empty block."""
        self.rpc("devnet_increaseTime", time=seconds)

    def latest_time(self) -> int:
        """The time of the latest block, in unix seconds."""
        return int(self.rpc("starknet_getBlockWithTxHashes", block_id="latest")["timestamp"])

    def create_block(self) -> int:
        """Make an empty block and return its hash."""
        return int(self.rpc("devnet_createBlock")["block_hash"], 16)

    def snapshot(self) -> str:
        """Remember the whole state, clock and history included; return an id that one `revert` uses up."""
        return str(self.rpc("devnet_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Return to a snapshot. It and all later ones are used up. Raises InputError if it was already."""
        if self.rpc("devnet_revert", snapshot_id=snapshot) is not True:
            raise InputError(f"The devnet has no snapshot {snapshot}: it was reverted to or dropped.")

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Undo, at the end of the block, whatever happened in it."""
        snapshot = self.snapshot()
        try:
            yield
        finally:
            self.revert(snapshot)

    def impersonate_all(self, on: bool) -> None:
        """Skip every account's signature check, or stop skipping it."""
        self.rpc("devnet_autoImpersonate" if on else "devnet_stopAutoImpersonate")


@dataclass(frozen=True)
class Background:
    """The devnet `background_up` left running: what its state file says."""

    url: str
    pid: int
    log: str


def state_dir() -> Path:
    """Where MedSync keeps what must outlive a command: `$XDG_STATE_HOME/medsync`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "medsync"


def background_up(port: int | None = None) -> Background:
    """Start a devnet that outlives this process, or return the one that already runs.

    It listens on `port`, by default `BACKGROUND_PORT`; 0 is any free one. Raises InputError if the port is
    taken, or the devnet that already runs listens on another one; ToolError if it does not start.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while (lock := _free_lock()) is None:
        if (running := _read()) is not None:
            if port not in (None, 0, urlsplit(running.url).port):
                raise InputError(
                    f"A devnet already runs at {running.url}, not on port {port}.",
                    hint="Use that one without --port, or end it first with `medsync devnet down`.",
                )
            return running
        if time.monotonic() > deadline:
            raise ToolError(
                f"A process that locks {_lock_file()} does not say where its devnet listens.",
                hint=f"End it: {' '.join(map(str, holders(_lock_file()))) or 'look for starknet-devnet'}.",
            )
        time.sleep(0.05)
    port = BACKGROUND_PORT if port is None else port
    with lock:
        arguments = _arguments(seed=SEED, accounts=ACCOUNTS, balance=BALANCE, chain_id=CHAIN_ID, port=port)
        _assert_free(port)
        log = state_dir() / "devnet.log"
        # The process inherits the lock, so that the lock says whether it runs: no stale pid is trusted.
        with log.open("wb") as output:
            process = _spawn(arguments, output, stdin=subprocess.DEVNULL, pass_fds=(lock.fileno(),))
        try:
            background = Background(_wait_until_ready(process, log), process.pid, str(log))
            content = json.dumps({"form": _FORM, **asdict(background)}).encode()
            replace(NewFile(_state_file(), content, "The state of the background devnet"))
        except BaseException:
            _end_group(process.pid)
            process.wait()
            raise
        lock.hand_over(process.pid, "starknet-devnet")
        _log.info("Devnet started at %s, in the background.", background.url, extra={"pid": process.pid})
        process.returncode = 0  # It is meant to stay: no warning that nobody waited for it.
        return background


def background_status() -> Background | None:
    """The devnet running in the background, or None."""
    if not is_there(_lock_file()):
        # Then none runs, and the folder need not be one that can be written.
        return None
    lock = _free_lock()
    if lock is None:
        return _read()
    lock.release()
    return None


def background_down() -> bool:
    """End the background devnet; return whether there was one."""
    lock = _free_lock()
    if lock is None:
        running = _read()
        if running is None:
            return False
        _end_group(running.pid)
        _log.info("Devnet at %s stopped.", shown_url(running.url), extra={"pid": running.pid})
        lock = Lock(_lock_file(), "The background devnet", wait=START_TIMEOUT)
    else:
        running = None
    with lock:
        _state_file().unlink(missing_ok=True)
    return running is not None


def _assert_free(port: int) -> None:
    """Raise InputError if no devnet can listen on a port of the loopback interface."""
    with socket.socket() as listener:
        # As devnet sets it: a port that was used until just now counts as free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            reason = "another program listens on it" if error.errno == errno.EADDRINUSE else error.strerror
            raise InputError(
                f"Port {port} cannot be used: {reason}.", hint="Choose another one with --port."
            ) from None


def _lock_file() -> Path:
    """Locked by the devnet itself, as long as it runs."""
    return state_dir() / "devnet.lock"


def _state_file() -> Path:
    """What a running devnet's starter wrote of it; without meaning if none runs."""
    return state_dir() / "devnet.json"


def _free_lock() -> Lock | None:
    """The lock, after what an ended devnet left behind was removed; None if a devnet runs."""
    try:
        lock = Lock(_lock_file(), "The background devnet", wait=0)
    except InUse:
        return None
    except InputError as error:
        error.hint = "Set XDG_STATE_HOME to a folder that can be written."
        raise
    _state_file().unlink(missing_ok=True)
    return lock


def _read() -> Background | None:
    path = _state_file()
    if not is_there(path):
        return None
    content = read_bytes(path, "The state of the background devnet")
    try:
        document = json.loads(content)
        # Before there were versions, the file named none.
        check_form(
            {"form": "medsync.devnet/0", **document},
            _FORM,
            f"The state of the background devnet {path}",
            older=_END_IT,
        )
        return _background(document)
    except UnsupportedVersion:
        raise
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f"{path} does not say which devnet runs.", hint=_END_IT) from None


def _background(document: Any) -> Background:
    url, pid, log = (document[name] for name in ("url", "pid", "log"))
    # A process group that is to be ended: neither ours (0) nor everybody's (1).
    if not (isinstance(url, str) and isinstance(log, str) and type(pid) is int and pid > 1):
        raise ValueError
    return Background(url, pid, log)


def _arguments(*, seed: int, accounts: int, balance: int, chain_id: str, port: int) -> list[str]:
    # No --lite-mode: measured, it makes transactions 6 % faster and takes the block hashes away.
    return [
        str(toolchain.require_devnet()),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--seed", str(seed), "--accounts", str(accounts), "--initial-balance", str(balance)),
        *("--chain-id", chain_id),
    ]


def _spawn(
    command: list[str], output: IO[bytes], *, stdin: int, pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that a Ctrl-C meant for us does not end it before we do."""
    # Devnet takes settings from variables as common as PORT, SEED and TIMEOUT: it gets none of the caller's.
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "NO_COLOR": "1",
        "RUST_LOG": "warn,starknet_devnet=info",
        # Hundreds of snapshots grew it to 6 GB with glibc's arena per thread, to little more than 1 with one.
        "MALLOC_ARENA_MAX": "1",
    }
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
        pass_fds=pass_fds,
    )


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if (match := _LISTENING.search(log.read_text(errors="replace"))) is not None:
            url = f"http://127.0.0.1:{match[1]}"
            if Devnet(url).is_alive():
                return url
        if process.poll() is not None:
            raise ToolError(f"starknet-devnet ended with status {process.returncode}:\n{_tail(log, 20)}")
        time.sleep(0.02)
    raise ToolError(f"starknet-devnet did not answer within {START_TIMEOUT:.0f} s:\n{_tail(log, 20)}")


def _tail(log: Path, lines: int) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""


def _end_group(pid: int) -> None:
    # Nothing of a devnet is worth an orderly end.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)

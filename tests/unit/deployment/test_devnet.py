"""Starting, using and ending devnets: no process may outlive what started it, unless it was asked to."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medsync.deployment import devnet as module
from medsync.deployment import toolchain
from medsync.deployment.devnet import Devnet, background_down, background_status, background_up
from medsync.errors import InputError, NetworkError, ToolError
from medsync.starknet import network
from medsync.storage.locks import Lock
from medsync.storage.versions import UnsupportedVersion


def balance(devnet: Devnet, address: int) -> int:
    answer = devnet.rpc("devnet_getAccountBalance", address=hex(address), unit="FRI")
    return int(answer["amount"])


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_runs_with_its_own_settings(devnet: Devnet) -> None:
    config = devnet.config()
    assert devnet.is_alive()
    assert (config["seed"], config["total_accounts"]) == (module.SEED, module.ACCOUNTS)
    assert bytes.fromhex(devnet.rpc("starknet_chainId")[2:]).decode() == module.CHAIN_ID
    assert devnet.rpc("starknet_specVersion") == network.RPC_VERSION
    block = devnet.rpc("starknet_getBlockWithTxHashes", block_id="latest")
    assert block["starknet_version"] == toolchain.STARKNET_VERSION


def test_accounts_are_funded_and_the_same_every_time() -> None:
    with Devnet.start() as devnet:
        accounts = devnet.accounts()
        assert balance(devnet, accounts[-1].address) == module.BALANCE
    assert len({account.address for account in accounts}) == module.ACCOUNTS
    assert accounts[0].address == 0x722301FE0F3FFF911031E4B30ED32215AA98FE553B2C6E8DD68405B47BE0E87


def test_mint_adds_to_a_balance(restored: Devnet) -> None:
    assert restored.mint(0xBEEF, 10**24) == 10**24
    assert restored.mint(0xBEEF, 1) == balance(restored, 0xBEEF) == 10**24 + 1
    assert restored.mint(0xBEEF, 7, "WEI") == 7


def test_clock_is_exact_for_the_next_block(restored: Devnet) -> None:
    restored.set_time(1_900_000_000)
    time.sleep(1.1)
    restored.create_block()
    assert restored.latest_time() == 1_900_000_000
    restored.set_time(1_800_000_000, create_block=True)
    assert restored.latest_time() == 1_800_000_000
    restored.increase_time(100)
    assert restored.latest_time() in (1_800_000_100, 1_800_000_101)


def test_snapshot_restores_balances_clock_and_history_once(restored: Devnet) -> None:
    before = restored.rpc("starknet_blockNumber"), restored.latest_time(), balance(restored, 1)
    snapshot = restored.snapshot()
    restored.mint(1, 5)
    restored.set_time(1_900_000_000, create_block=True)
    restored.revert(snapshot)
    assert (restored.rpc("starknet_blockNumber"), restored.latest_time(), balance(restored, 1)) == before
    with pytest.raises(InputError, match="no snapshot"):
        restored.revert(snapshot)


def test_restored_undoes_after_an_error(devnet: Devnet) -> None:
    before = balance(devnet, 1)
    with pytest.raises(NetworkError), devnet.restored():  # noqa: PT012
        devnet.mint(1, 5)
        devnet.rpc("devnet_nonsense")
    assert balance(devnet, 1) == before


def test_refused_method_is_named(devnet: Devnet) -> None:
    with pytest.raises(NetworkError, match="refused devnet_nonsense"):
        devnet.rpc("devnet_nonsense")


def test_callers_environment_does_not_reach_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "SEED": "1",
        "PORT": "1",
        "ACCOUNTS": "3",
        "CHAIN_ID": "MAINNET",
        "http_proxy": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    with Devnet.start(accounts=2, log=tmp_path / "log") as own:
        assert own.config()["total_accounts"] == 2
        assert own.config()["seed"] == module.SEED
        assert "listening" in own.log_tail()
        url = own.url
    assert not Devnet(url).is_alive()
    assert "listening" in (tmp_path / "log").read_text()
    own.stop()


def fake(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for starknet-devnet of the right version."""
    path = folder / "starknet-devnet"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec echo starknet-devnet {toolchain.DEVNET_VERSION}\n{script}\n'
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_end_during_start_is_reported_with_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, "echo address in use >&2; exit 7", monkeypatch)
    with pytest.raises(ToolError, match=r"ended with status 7:\naddress in use"):
        Devnet.start()


def test_silence_during_start_is_reported_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 100", monkeypatch)
    monkeypatch.setattr(module, "START_TIMEOUT", 0.5)
    with pytest.raises(ToolError, match="did not answer within"):
        Devnet.start()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


STARTER = """
import os, time
from medsync.deployment.devnet import Devnet
devnet = Devnet.start(accounts=1)
print(devnet.url, flush=True)
{then}
"""


@pytest.mark.parametrize(
    "end", ["os._exit(0)", "os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 15)", "raise SystemExit"]
)
def test_ends_with_the_process_that_started_it(end: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTER.format(then=end)], capture_output=True, text=True, timeout=60
    )
    url = done.stdout.strip()
    assert url.startswith("http://127.0.0.1:")
    assert wait_until(lambda: not Devnet(url).is_alive())


def test_ends_on_ctrl_c() -> None:
    code = STARTER.format(then="with devnet: time.sleep(60)")
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip()
        assert Devnet(url).is_alive()
        starter.send_signal(signal.SIGINT)
        assert starter.wait(10) == -signal.SIGINT
    assert wait_until(lambda: not Devnet(url).is_alive())


def test_attach_uses_and_does_not_end(devnet: Devnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(network.DEVNET_URL_VARIABLE, devnet.url + "/")
    with Devnet.open() as attached:
        assert attached.url == devnet.url
        assert attached.log_tail() == ""
    assert devnet.is_alive()


def test_attach_refuses_another_version(devnet: Devnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "RPC_VERSION", "0.9.0")
    with pytest.raises(ToolError, match=r"speaks RPC 0\.10\.2; 0\.9\.0 is wanted"):
        Devnet.attach(devnet.url)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


def test_attach_refuses_silence(free_port: int) -> None:
    with pytest.raises(NetworkError, match="No devnet answers"):
        Devnet.attach(f"http://127.0.0.1:{free_port}")


@pytest.mark.parametrize("body", [b"hello", b"[]", b'{"error": {"code": -32601}}'])
def test_attach_refuses_what_is_no_devnet(body: bytes) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(NetworkError):
            Devnet.attach(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


# The background devnet. Each step runs in a process of its own, as the commands do.


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    yield tmp_path
    background_down()


def in_another_process(call: str) -> str:
    code = f"from medsync.deployment.devnet import *; print({call})"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_nothing_is_written_to_know_that_none_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (tmp_path / "new", tmp_path / "file" / "below"):
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_STATE_HOME", str(place))
        assert background_status() is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_background_devnet_stays_until_it_is_ended(state: Path) -> None:
    assert background_status() is None
    assert not background_down()
    started = in_another_process("background_up(0)")
    running = background_status()
    assert running is not None
    assert started == in_another_process("background_up(0)") == str(running)
    assert Devnet(running.url).is_alive()
    assert background_down()
    assert background_status() is None
    assert not Devnet(running.url).is_alive()


def test_stale_record_is_not_believed(state: Path) -> None:
    in_another_process("background_up(0)")
    running = background_status()
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    assert wait_until(lambda: not Devnet(running.url).is_alive())
    assert str(running.pid) in (state / "medsync" / "devnet.json").read_text()
    assert wait_until(lambda: background_status() is None)
    assert not background_down()
    assert in_another_process("background_up(0)") != str(running)


@pytest.mark.parametrize("form", [None, "medsync.devnet/2"])
def test_a_state_of_another_version_is_refused_by_name(state: Path, form: str | None) -> None:
    """A devnet that another version of MedSync started runs: neither its state nor its process is touched."""
    folder = state / "medsync"
    path = folder / "devnet.json"
    with Lock(folder / "devnet.lock", "The background devnet"):
        content = json.dumps(
            {"url": "http://127.0.0.1:1", "pid": 2**22, "log": ""} | ({"form": form} if form else {})
        )
        path.write_text(content)
        for call in (background_status, background_down, background_up):
            with pytest.raises(
                UnsupportedVersion, match=f"{path} has format version {2 if form else 0}"
            ) as refused:
                call()
            assert refused.value.hint
        assert path.read_text() == content


def test_a_locked_state_says_who_holds_it(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_TIMEOUT", 0)
    with (
        Lock(state / "medsync" / "devnet.lock", "The background devnet"),
        pytest.raises(ToolError, match="does not say where its devnet listens") as refused,
    ):
        background_up()
    assert f"process {os.getpid()}" in refused.value.hint


def test_taken_port_is_reported(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"Port {port} cannot be used: another program") as caught:
            background_up(port)
        assert "--port" in caught.value.hint
        assert background_status() is None


def test_another_port_than_that_of_the_running_devnet_is_refused(state: Path) -> None:
    in_another_process("background_up(0)")
    running = background_status()
    assert running is not None
    port = int(running.url.rpartition(":")[2])

    with pytest.raises(InputError, match=f"already runs at {running.url}, not on port {port + 1}"):
        background_up(port + 1)

    assert background_up(port) == background_up() == running
    assert Devnet(running.url).is_alive()

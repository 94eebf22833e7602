"""What was asked for is done, or the error names what kept it from being done, and nothing else."""

import socket

from medsync.errors import ExitCode
from tests.cli.conftest import Cli, Here


def test_another_port_is_not_answered_with_the_running_one(here: Here) -> None:
    running = here.json("devnet status")["url"]
    port = int(running.rpartition(":")[2])
    done = here.run(f"devnet up --port {port + 1 if port < 65535 else port - 1}")
    assert (done.code, done.out) == (ExitCode.BAD_INPUT, "")
    assert f"already runs at {running}" in done.err
    assert here.json(f"devnet up --port {port}")["url"] == running


def test_a_taken_port_is_named(here: Here) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = here.run(f"devnet up --port {port}", XDG_STATE_HOME=str(here.folder / "another"))
    assert (done.code, done.out) == (ExitCode.BAD_INPUT, "")
    assert f"Port {port} cannot be used" in done.err
    assert "--port" in done.err


def test_nothing_to_withdraw_is_said_before_it_is_sent(cli: Cli, here: Here) -> None:
    done = here.run("pool withdraw --account devnet:9")
    assert (done.code, done.out) == (ExitCode.BAD_INPUT, "")
    assert "no credit to draw" in done.err


def test_network_errors_blame_no_address(here: Here) -> None:
    for line in ("--network sepolia", "--network goerli", "--rpc-url http://127.0.0.1:1"):
        done = here.run(f"entity show devnet:1 {line}")
        assert done.code in (ExitCode.BAD_INPUT, ExitCode.UNREACHABLE)
        assert "ENTITY" not in done.err

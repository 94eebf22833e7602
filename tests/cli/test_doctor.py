"""`medsync doctor` is green about nothing that it did not look at."""

from pathlib import Path
from typing import Any

import pytest

from medsync.deployment.devnet import Devnet
from medsync.errors import ExitCode
from tests.cli.conftest import Cli, Here

SECRET = "c0ffee5ec2e7"


def examined(here: Here, line: str = "", **environment: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the report by part."""
    done = here.run(f"doctor --json {line}", **environment)
    assert SECRET not in done.out + done.err + here.log.read_text()
    return done.code, {one["part"]: one for one in done.json}


def test_everything_is_looked_at(here: Here) -> None:
    code, report = examined(here)
    assert code == ExitCode.OK
    assert {part for part, row in report.items() if row["ok"] is not True} <= {"scarb"}
    assert "JSON-RPC 0.10.2, block " in report["node"]["state"]
    assert "MEDSYNC_DEVNET" in report["node"]["state"]
    assert "deployed, the key is its own" in report["account"]["state"]
    assert report["account"]["state"].endswith(" STRK")
    assert "MedSync on the chain" in report["deployment"]["state"]
    assert "1 reward pool" in report["deployment"]["state"]


def test_a_node_makes_the_devnet_unneeded(here: Here) -> None:
    code, report = examined(here, PATH="", XDG_CACHE_HOME=str(here.folder / "none"))
    assert code == ExitCode.OK
    assert (report["starknet-devnet"]["ok"], report["starknet-devnet"]["needed"]) == (False, False)


@pytest.mark.parametrize(
    ("line", "part", "code", "said"),
    [
        ("--rpc-url http://127.0.0.1:1", "node", ExitCode.UNREACHABLE, "No node answers"),
        (f"--rpc-url http://127.0.0.1:1/{SECRET}", "node", ExitCode.UNREACHABLE, "No node answers"),
        ("--network sepolia", "node", ExitCode.BAD_INPUT, "no node for sepolia"),
        ("--network goerli", "node", ExitCode.BAD_INPUT, "'goerli'"),
        ("--rpc-url https://192.0.2.1", "node", ExitCode.PUBLIC_NETWORK, "192.0.2.1"),
        ("--account devnet:77", "account", ExitCode.BAD_INPUT, "devnet:77"),
        (f"--account 0x{SECRET}", "account", ExitCode.BAD_INPUT, "There is no account of that name"),
        ("--deployment ./nowhere.json", "deployment", ExitCode.BAD_INPUT, "nowhere.json"),
    ],
)
def test_what_is_wrong_is_red(here: Here, line: str, part: str, code: ExitCode, said: str) -> None:
    ended, report = examined(here, line)
    assert ended == code
    assert (report[part]["ok"], report[part]["needed"]) == (False, True)
    assert said in report[part]["state"]


def test_without_a_node_nothing_about_the_chain_is_green(here: Here) -> None:
    _, report = examined(here, "--rpc-url http://127.0.0.1:1")
    for part in ("account", "deployment"):
        assert report[part]["ok"] is None
        assert "no node to ask" in report[part]["state"]


@pytest.mark.parametrize(
    ("address", "key", "said"),
    [
        ("0x5", f"zzz{SECRET}", "MEDSYNC_PRIVATE_KEY must be"),
        ("zzz", "0x1", "MEDSYNC_ACCOUNT_ADDRESS must be"),
        ("0x5", f"0x{SECRET}", "No account is deployed at 0x5"),
        ("devnet:1", f"0x{SECRET}", "does not accept signatures of this key"),
    ],
)
def test_an_account_is_deployed_and_takes_the_key(here: Here, address: str, key: str, said: str) -> None:
    if address == "devnet:1":
        running = Devnet(here.json("devnet status")["url"])
        address = hex(running.accounts()[1].address)
    code, report = examined(here, MEDSYNC_ACCOUNT_ADDRESS=address, MEDSYNC_PRIVATE_KEY=key)
    assert code == ExitCode.BAD_INPUT
    assert report["account"]["ok"] is False
    assert said in report["account"]["state"]


def test_a_restarted_devnet_is_recognised(cli: Cli, tmp_path: Path) -> None:
    other = Here(cli.folder)
    with Devnet.start() as fresh:
        code, report = examined(other, MEDSYNC_DEVNET_URL=fresh.url)
    assert code == ExitCode.NOT_VERIFIED
    assert "not on this chain: the devnet was probably restarted" in report["deployment"]["state"]
    assert "medsync deploy" in report["deployment"]["remedy"]

"""Errors of nodes, accounts and chains say what is wrong, and commands at once for one account end well."""

import json
from collections.abc import Iterator

import pytest

from medsync.deployment.devnet import Devnet
from medsync.errors import ExitCode
from tests.cli.conftest import Cli, Here

CONSENT = "consent add devnet:8 --account devnet:7 --categories OBSERVATION --expires +9d"


def test_four_commands_at_once_for_one_account_end_well(cli: Cli) -> None:
    """Each process reads the same nonce, and only one of them gets it."""
    cli.write("profile.json", {})
    cli.run("entity register devnet:8 --role researcher --profile profile.json").ok()
    commands = [
        cli.start(f"{CONSENT} --purpose {purpose} --json")
        for purpose in ("TREAT", "ETREAT", "HPAYMT", "PUBHLTH")
    ]
    outputs = [command.communicate(timeout=120) for command in commands]
    assert [command.returncode for command in commands] == [ExitCode.OK] * 4, outputs
    assert len({json.loads(out)["transaction"] for out, _ in outputs}) == 4


@pytest.fixture(scope="module")
def restarted() -> Iterator[Devnet]:
    """A devnet as it is after a restart: the same chain id and accounts, and none of the contracts."""
    with Devnet.start() as devnet:
        yield devnet


@pytest.mark.parametrize(
    "line", ["entity list", "access log devnet:5", "consent show devnet:5 devnet:2 --purpose TREAT"]
)
def test_a_restarted_devnet_behind_an_old_record_is_named(here: Here, restarted: Devnet, line: str) -> None:
    done = here.run(f"{line} --rpc-url {restarted.rpc_url}")
    assert (done.code, done.out) == (ExitCode.NOT_VERIFIED, "")
    assert "devnet.json are not on this chain: the devnet was probably restarted" in done.err
    assert "`medsync deploy` deploys" in done.err
    assert "`medsync deployments check`" in done.err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--rpc-url foo", "must be an http or https URL; 'foo' is not"),
        ("--network goerli", "'goerli' is not a known network"),
        ("--network sepolia", "There is no node for sepolia"),
    ],
)
def test_an_argument_is_not_blamed_for_the_network(here: Here, options: str, named: str) -> None:
    done = here.run(f"access log devnet:5 {options}")
    assert done.code == ExitCode.BAD_INPUT
    assert named in done.err
    assert "PATIENT" not in done.err
    assert "malformed URL" not in done.err


def test_an_argument_is_blamed_for_itself(here: Here) -> None:
    done = here.run("access log devnet:9999")
    assert done.code == ExitCode.BAD_INPUT
    assert "PATIENT: 'devnet:9999'" in done.err


@pytest.mark.parametrize(
    "line",
    [
        "consent add devnet:2 --purpose TREAT --categories OBSERVATION --expires +9d",
        "deploy --dry-run --salt 0x99 --deployment ./other.json",
    ],
)
def test_an_account_that_is_not_deployed_or_has_another_key_is_named(here: Here, line: str) -> None:
    deployer = here.read("devnet.json")["request"]["deployer"]
    for address, named in (
        ("0x1234567", "No account is deployed at 0x1234567 on "),
        (deployer, f"The key does not belong to the account {int(deployer, 16):#x}"),
    ):
        done = here.run(line, MEDSYNC_ACCOUNT_ADDRESS=address, MEDSYNC_PRIVATE_KEY="0x5")
        assert (done.code, done.out) == (ExitCode.REFUSED, "")
        assert named in done.err

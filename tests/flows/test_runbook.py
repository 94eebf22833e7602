"""The runbook for Sepolia works as it stands: every command, in its order, on a node that looks public."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medsync.cli import app as cli
from medsync.deployment import deployer
from medsync.errors import ExitCode
from medsync.starknet import accounts, network
from medsync.storage.passphrase import ACCOUNT_PASSPHRASE_VARIABLE
from scripts import repository
from tests.harness.public_node import PublicNode, public_node

RUNBOOK = (repository.root() / "docs/runbook-sepolia.md").read_text()
FROM_THE_FAUCET = 12 * 10**18


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublicNode]:
    """The public node, and a folder without anything but where records go, in which we are."""
    for name in os.environ:
        if name.startswith("MEDSYNC_"):
            monkeypatch.delenv(name)
    for name in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    # It would be typed.
    monkeypatch.setenv(ACCOUNT_PASSPHRASE_VARIABLE, "a long enough passphrase")
    monkeypatch.setattr(accounts, "_SCRYPT_N", 2)
    (tmp_path / "deployments").mkdir()
    monkeypatch.chdir(tmp_path)
    with public_node() as node:
        node.devnet.set_time(int(time.time()), create_block=True)
        yield node


def lines() -> list[str]:
    """The commands of the runbook."""
    return "".join(re.findall(r"^ *```sh\n(.*?)^ *```$", RUNBOOK, re.M | re.S)).splitlines()


def test_every_command_does_what_the_text_says(
    node: PublicNode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: dict[str, Any] = {}
    for line in lines():
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            monkeypatch.setenv(name, node.url if name == network.URL_VARIABLE else value)
        elif line.startswith("echo "):
            subprocess.run(line, shell=True, check=True)
        else:
            program, *arguments = shlex.split(line)
            assert program == "medsync"
            code = cli.run([*arguments, "--json"])
            answer = capsys.readouterr()
            assert code == ExitCode.OK, f"{line}\n{answer.err}"
            command = line.removeprefix("medsync ").removeprefix("--allow-public-network ")
            answers[command] = json.loads(answer.out)
            if command == "account new deployer":
                node.devnet.mint(int(answers[command]["address"], 16), FROM_THE_FAUCET)

    record = json.loads(Path("deployments/sepolia.json").read_text())
    told = {key.partition(" --role")[0].partition(" --purpose")[0]: value for key, value in answers.items()}
    administrator = told["account new administrator"]["address"]
    assert (record["status"], record["chain_id"]) == ("complete", "SN_SEPOLIA")
    assert record["request"]["admin"] == administrator
    assert record["request"]["deployer"] == told["account new deployer"]["address"]
    plan = told["--account deployer deploy --admin administrator --dry-run"]
    # What the text says of fees and of the money from the faucet.
    assert int(plan["at_most"]) == 9 * int(plan["estimated_fees"]) // 4
    assert 10.55 < int(plan["needed_balance"]) / 10**18 < 10.65
    assert 5.35 < int(plan["estimated_fees"]) / 10**18 < 5.45
    assert [pool["symbol"] for pool in record["pools"]] == ["STRK"]
    assert told["deployments check"]["ok"] is True
    assert told["entity admin show"]["admin"] == administrator
    assert told["--account researcher access request patient"]["decision"] == "PERMIT"
    assert [entry["decision"] for entry in told["access log patient"]] == ["PERMIT"]
    assert told["access verify log.json"]["complete"] is True


def test_it_gives_the_advice_that_the_commands_give() -> None:
    assert deployer.RESUME_HINT in " ".join(RUNBOOK.replace("**", "").split())
    assert "look it up" not in RUNBOOK

"""What the README shows works: its commands, its Python and its Cairo are executed as they stand there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from medsync.cli import app as cli
from medsync.deployment.devnet import Devnet
from medsync.errors import ExitCode
from medsync.starknet.network import DEVNET_URL_VARIABLE
from scripts import build, repository
from tests.harness.chain import Chain
from tests.harness.driver import Node
from tests.harness.words import felt
from tests.harness.world import World

ROOT = repository.root()
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The README's code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


@pytest.fixture(scope="module")
def checkout(devnet: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkout that may be written to, in which we are, and a devnet of this day that `medsync` uses."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "deployments").mkdir()
    for name in ("Scarb.toml", "Scarb.lock", "contracts", "tests"):
        (root / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch, devnet.restored():
        for name in os.environ:
            if name.startswith("MEDSYNC_"):
                patch.delenv(name)
        patch.setenv(DEVNET_URL_VARIABLE, devnet.url)
        patch.chdir(root)
        devnet.set_time(int(time.time()), create_block=True)
        yield root


def test_commands_do_what_the_text_says(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = {}
    for line in "".join(blocks("console")).splitlines():
        line = line.removeprefix("$ ")
        if line.startswith("make ") or line == "medsync devnet up":
            continue  # The targets are what runs this; the devnet that runs is used.
        if line.startswith("echo "):
            subprocess.run(line, shell=True, check=True)
            continue
        program, *arguments = shlex.split(line)
        assert program == "medsync"
        code = cli.run([*arguments, "--json"])
        answer = capsys.readouterr()
        assert code == ExitCode.OK, f"{line}\n{answer.err}"
        answers[" ".join(arguments[:2])] = json.loads(answer.out)
    assert json.loads((checkout / "deployments/devnet.json").read_text())["status"] == "complete"
    assert answers["access request"]["decision"] == "PERMIT"
    assert answers["access verify"]["complete"] is True


def test_python_example_prints_what_it_says(checkout: Path) -> None:
    if not (checkout / "deployments/devnet.json").exists():
        assert cli.run(["deploy"]) == ExitCode.OK
    (program,) = blocks("python")
    (expected,) = blocks("text")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert re.sub(r"block \d+", "block 7", done.stdout) == expected, done.stderr


def test_cairo_example_asks_in_its_own_name(devnet: Devnet) -> None:
    (shown,) = blocks("cairo")
    source = (ROOT / "tests/mocks/src/study.cairo").read_text()
    assert source.partition("\n\n")[2] == shown

    with devnet.restored(), closing(Node(devnet.url)) as node:
        world = World(Chain(node))
        study = world.deploy("Study", world.medsync.address, world.researcher, package=build.MOCKS)
        world.send(
            world.admin, "register_entity", address=study.address, role="Researcher", profile_commitment=1
        )

        def ask() -> object:
            return world.send(world.researcher, "ask", study, patient=world.patient, record=0xEC04D).result

        # Nobody consented: the refusal is an answer, and stays in the log.
        assert ask() == (False, 1)
        world.send(world.patient, "add_consent", grantee=study.address, terms=world.terms())
        receipt = world.send(world.researcher, "ask", study, patient=world.patient, record=0xEC04D)
        assert receipt.result == (True, 2)
        (logged,) = receipt.events
        assert logged.keys == {
            "patient": world.patient,
            "accessor": study.address,
            "purpose": felt("HRESCH"),
        }
        world.refuses("STUDY/NOT_PRINCIPAL", world.stranger, "ask", study, patient=world.patient, record=0)
        assert world.read("log_head", patient=world.patient)["count"] == 2

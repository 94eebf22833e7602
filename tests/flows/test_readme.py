"""What the README and the integrators' guide show works: it is run as it stands there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from medsync.cli import app as cli
from medsync.deployment.devnet import Devnet
from medsync.errors import ExitCode
from medsync.private.home import Home
from medsync.private.keys.keyfiles import write_key
from medsync.starknet.network import DEVNET_URL_VARIABLE
from scripts import build, repository
from tests.harness.chain import Chain
from tests.harness.driver import Node
from tests.harness.words import felt
from tests.harness.world import World

ROOT = repository.root()
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs/integrators.md").read_text()


def blocks(document: str, language: str) -> list[str]:
    """A document's code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document, re.M | re.S)


def python(program: str) -> str:
    """What a program prints, run by a Python of its own in the folder where we are."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Shell:
    """Runs commands as a document shows them, in this process, and keeps what they answer."""

    capsys: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    printed: dict[str, str] = field(default_factory=dict)
    """What the document calls by a word in capitals, because a command before prints it."""

    def run(self, line: str) -> Any:
        """The answer of a line's command, which must succeed; None for what is no `medsync` command."""
        for word, value in self.printed.items():
            line = re.sub(rf"\b{word}\b", value, line)
        if not (words := shlex.split(line, comments=True)):
            return None
        program, *arguments = words
        if program == "export":
            self.patch.setenv(*arguments[0].split("=", 1))
        elif program == "echo":
            subprocess.run(line, shell=True, check=True)
        elif program == "medsync" and arguments[0] != "devnet":  # The devnet that runs is used.
            code = cli.run([*arguments, "--json"])
            answer = self.capsys.readouterr()
            assert code == ExitCode.OK, f"{line}\n{answer.err}"
            return json.loads(answer.out)
        else:
            assert program in ("make", "medsync"), f"unknown: {line}"
        return None


@pytest.fixture(scope="module")
def checkout(devnet: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which we are, with one for deployment records, and a devnet of this day."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "deployments").mkdir()
    with pytest.MonkeyPatch.context() as patch, devnet.restored():
        for name in os.environ:
            if name.startswith("MEDSYNC_"):
                patch.delenv(name)
        patch.setenv(DEVNET_URL_VARIABLE, devnet.url)
        patch.chdir(root)
        devnet.set_time(int(time.time()), create_block=True)
        yield root


def test_the_readme_works_from_its_first_line_to_its_last(
    checkout: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for making in (write_key, Home.create.__func__):  # Key files that open fast.
        monkeypatch.setitem(making.__kwdefaults__, "work", 2**4)
    shell = Shell(capsys, monkeypatch)
    answers = {}
    for line in "".join(blocks(README, "console")).splitlines():
        line = line.removeprefix("$ ")
        answers[" ".join(line.split()[1:3])] = shell.run(line)
    assert json.loads((checkout / "deployments/devnet.json").read_text())["status"] == "complete"
    assert answers["access request"]["decision"] == "PERMIT"
    assert answers["pool withdraw"]["withdrawn"] == str(5 * 10**17)
    assert [one["state"] for one in answers["consent list"]["consents"]] == ["GRANTED"]
    assert answers["access verify"]["proven"] == ["included", "append-only"]

    (program,), (expected,) = blocks(README, "python"), blocks(README, "text")
    assert python(program) == expected

    for line in "".join(blocks(README, "shell")).splitlines():
        match line.split()[1:3], shell.run(line):
            case ["private", "put"], [stored]:
                shell.printed |= {"RECORD": stored["record"], "COMMITMENT": stored["commitment"]}
            case ["bridge", "run"], {"tickets": [ticket]}:
                shell.printed["TICKET"] = str(ticket)
            case ["anchor", "verify"], verified:
                assert verified["included"] is True
    received, sent = ((checkout / name).read_text() for name in ("received.json", "observation.json"))
    assert json.loads(received) == json.loads(sent)


def test_the_guides_python_example_runs_twice(checkout: Path) -> None:
    if not (checkout / "deployments/devnet.json").exists():
        assert cli.run(["deploy"]) == ExitCode.OK
    (program,), (expected,) = blocks(GUIDE, "python"), blocks(GUIDE, "text")
    assert re.sub(r"block \d+", "block 7", python(program)) == expected
    assert "consents: 2, accesses: 4, complete" in python(program)


def test_the_guides_scarb_manifest_is_a_package_like_ours() -> None:
    shown = tomllib.loads(blocks(GUIDE, "toml")[0])
    ours = tomllib.loads((ROOT / "contracts/Scarb.toml").read_text())
    assert shown["package"]["edition"] == ours["package"]["edition"]
    assert shown["dependencies"]["starknet"] == ours["dependencies"]["starknet"]
    assert shown["target"] == ours["target"]


def test_cairo_example_asks_in_its_own_name(devnet: Devnet) -> None:
    (shown,) = blocks(GUIDE, "cairo")
    source = (ROOT / "tests/mocks/src/study.cairo").read_text()
    assert source.partition("\n\n")[2] == shown

    with devnet.restored(), closing(Node(devnet.url)) as node:
        world = World(Chain(node))
        named, unpaid = 0x57D1, 0
        setting = world.medsync.address, world.researcher, named, unpaid
        study = world.deploy("Study", *setting, package=build.MOCKS)
        world.send(
            world.admin, "register_entity", address=study.address, role="Researcher", profile_commitment=1
        )

        def ask() -> object:
            return world.send(world.researcher, "ask", study, patient=world.patient, record=0xEC04D).result

        # Nobody consented: the refusal is an answer, and stays in the log.
        assert ask() == (False, 1)
        world.send(world.patient, "add_consent", grantee=study.address, terms=world.terms(study=named))
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

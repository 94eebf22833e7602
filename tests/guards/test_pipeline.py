"""What CI runs is what the table says, and a failure anywhere stops it.

`.ci/run` and the Makefile are run as they are, with every program they name replaced by a stand-in that notes
its command, and fails if that is the one to fail.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts.__main__ import VERBS
from scripts.guards import trees
from scripts.guards.table import PLANTED, PROVEN
from scripts.guards.trees import ROOT

STAND_IN = """\
#!/usr/bin/env bash
command="${0##*/} $*"
echo "${command% }" >>"$NOTES"
[[ "${command% }" != "$FAILING" ]] || exit 1
[[ "$*" != "-m scripts tidy "* ]] || exec "${@:4}"
"""

NO_GATES = {"python -m scripts tools scarb"}
"""A question: where the answer is no, what needs Scarb is left out."""

BY_HAND = {
    "python -m scripts bench --check",
    "python -m scripts audit --workers 2",
    "python -m scripts private-build --check",
}
"""What CI does not run. A test makes the first comparison; the second runs the same tests; the third needs a
Rust compiler for WebAssembly, and what it compares is tied to the sources by a hash that CI does check."""

GATES = {
    gate
    for gate in (*(guard.gate for guard in PLANTED), *(guard.gate for guard in PROVEN))
    if not re.search("::|^medsync ", gate)
}


def pipeline(where: Path, command: str, failing: str = "") -> tuple[int, list[str]]:
    """Run a command with stand-ins for all programs: its status, and what it ran, in order."""
    trees.part("Makefile", ".ci/run", "pyproject.toml", "requirements*.lock", "scripts/setup.py")(where)
    text = (where / "Makefile").read_text() + (where / ".ci/run").read_text()
    programs = {f".venv/bin/{name}" for name in re.findall(r"(?:\$\(BIN\)|\.venv/bin)/([\w-]+)", text)}
    for program in programs | {"beside/python3", "beside/scarb"}:
        (where / program).parent.mkdir(parents=True, exist_ok=True)
        (where / program).write_text(STAND_IN)
        (where / program).chmod(0o755)
    (where / "notes").write_text("")
    settings = {
        "PATH": f"{where / 'beside'}:{os.environ['PATH']}",
        "NOTES": str(where / "notes"),
        "FAILING": failing,
    }
    done = subprocess.run(command.split(), cwd=where, env=settings, stdout=subprocess.DEVNULL, timeout=60)
    return done.returncode, (where / "notes").read_text().splitlines()


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """All that CI runs, in order."""
    status, ran = pipeline(tmp_path_factory.mktemp("ci"), ".ci/run")
    assert status == 0
    return ran


def test_ci_runs_every_gate_of_the_table_and_no_other(ci: list[str]) -> None:
    ran = set(ci)
    faults = [
        f"{command}: CI runs it, and it has no row in scripts/guards/table.py"
        for command in sorted(ran - GATES - NO_GATES)
    ]
    faults += [
        f"{command}: it has a row, and CI does not run it" for command in sorted(GATES - BY_HAND - ran)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("gate", sorted(GATES - BY_HAND))
def test_ci_stops_at_the_first_failure(ci: list[str], tmp_path: Path, gate: str) -> None:
    assert gate in ci, f"CI does not run `{gate}`"
    status, ran = pipeline(tmp_path, ".ci/run", failing=gate)
    assert ran == ci[: ci.index(gate) + 1], f"CI goes on after `{gate}` failed"
    assert status != 0, f"CI passes though `{gate}` failed"


@pytest.mark.parametrize("command", re.findall(r"^\$ (make \w+)", (ROOT / "README.md").read_text(), re.M))
def test_ci_runs_what_the_readme_says(ci: list[str], tmp_path: Path, command: str) -> None:
    _, ran = pipeline(tmp_path, command)
    assert ran
    assert set(ran) <= set(ci)


def test_whatever_can_check_is_a_gate() -> None:
    verbs = {verb for verb, (_, what) in VERBS.items() if "[--check]" in what}
    assert len(verbs) >= 4
    assert {f"python -m scripts {verb} --check" for verb in verbs} <= GATES


@pytest.mark.parametrize("command", ["false", "kill -9 $$"])
def test_a_run_that_is_watched_still_fails(tmp_path: Path, command: str) -> None:
    trees.repository(tmp_path)
    watched = trees.run(f"python -m scripts tidy bash -c '{command}'", tmp_path)
    assert watched.returncode != 0
    assert "failed with status" in watched.stdout

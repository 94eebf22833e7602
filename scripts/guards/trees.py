"""Minimal copies of the repository in which guards plant failures, so that a gate takes only seconds."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

from scripts.repository import root

ROOT = root()

Tree = Callable[[Path], None]
"""A function that makes a copy of the repository, or a small repository, in a folder."""


def files() -> list[Path]:
    """All files that git tracks or would track, relative to the repository."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
        paths = {Path(os.fsdecode(name)) for name in listed.split(b"\0") if name}
        return sorted(path for path in paths if (ROOT / path).is_file())
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line]
    return sorted(
        path.relative_to(ROOT)
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(fnmatch(part, name) for part in path.relative_to(ROOT).parts for name in ignored)
    )


def part(*patterns: str) -> Tree:
    """Make a tree of the files whose names match the patterns."""

    def copy(to: Path) -> None:
        for path in files():
            if any(fnmatch(path.as_posix(), pattern) for pattern in patterns):
                (to / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, to / path)

    return copy


whole = part("*")


def small_package(to: Path) -> None:
    """The package with no more than two of its modules, and a script."""
    part("pyproject.toml", "medsync/errors.py", "medsync/protocol/felt.py", "scripts/setup.py")(to)
    for name in ("medsync/__init__.py", "tests/packaging/integrator.py"):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).touch()


def with_one_contract(to: Path) -> None:
    """The input of the artifacts check, with only the smallest contract, because hashing takes seconds."""
    part("medsync/*", "scripts/*", "contracts/*", "tests/mocks/*", "Scarb.*")(to)
    mocks = ROOT / "tests/mocks/artifacts"
    study = json.loads((mocks / "manifest.json").read_text())["contracts"]["Study"]
    for built in (to / "medsync/artifacts", to / "tests/mocks/artifacts"):
        for kind in ("sierra", "casm", "abi"):
            shutil.copy(mocks / f"Study.{kind}.json", built)
        for path in built.glob("*.*.json"):
            if not path.name.startswith("Study."):
                path.unlink()
        manifest = json.loads((built / "manifest.json").read_text()) | {"contracts": {"Study": study}}
        (built / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def without_tests(to: Path) -> None:
    """The whole repository without the tests."""
    whole(to)
    for path in (to / "tests").rglob("test_*.py"):
        path.unlink()


def suite_of_one(to: Path) -> None:
    """A single passing test with pytest's configuration."""
    part("pyproject.toml", "tests/__init__.py", "tests/unit/__init__.py")(to)
    (to / "tests/unit/test_nothing.py").write_text("def test_nothing() -> None:\n    pass\n")


def suite_that_counts(to: Path) -> None:
    """The same, with the check for tests that are not collected."""
    suite_of_one(to)
    part(
        ".gitignore", "medsync/*", "scripts/*", "tests/guards/__init__.py", "tests/guards/test_repository.py"
    )(to)


def small_workspace(to: Path) -> None:
    """A Cairo workspace like this one, with a package of one function and one of nothing."""
    part("Scarb.toml", "contracts/Scarb.toml", "contracts/interfaces/Scarb.toml")(to)
    for package in ("contracts", "contracts/interfaces"):
        (to / package / "src").mkdir()
    (to / "contracts/interfaces/src/lib.cairo").write_text("\n")
    workspace = to / "Scarb.toml"
    workspace.write_text(workspace.read_text().replace(', "tests/mocks"', ""))
    (to / "contracts/src/lib.cairo").write_text(
        """\
pub fn one() -> felt252 {
    1
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_one() {
        assert!(super::one() == 1);
    }
}
"""
    )


def repository(to: Path) -> None:
    """A git repository with a command that leaves nothing behind."""
    part("scripts/__init__.py", "scripts/__main__.py", "scripts/tidy.py", ".gitignore")(to)
    (to / "Makefile").write_text("test:\n\t@true\n")
    subprocess.run(["git", "init", "--quiet", to], check=True)


def to_set_up(to: Path) -> None:
    """The input of `make setup`, with a lock of one package: flit_core, packed from the installed one."""
    part(
        "scripts/setup.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "medsync/__init__.py",
        "medsync/_version.py",
        "requirements-bootstrap.lock",
    )(to)
    flit = metadata.distribution("flit_core")
    wheel = to / f"flit_core-{flit.version}-py3-none-any.whl"
    with ZipFile(wheel, "w") as packed:
        for path in flit.files or []:
            if path.suffix != ".pyc":
                packed.write(str(path.locate()), str(path))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = f"--no-index\n--find-links .\nflit-core=={flit.version} \\\n    --hash=sha256:{digest}\n"
    (to / "requirements.lock").write_text(lock)


def run(command: str, where: Path, *, scarb: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command in a copy as CI does, with this environment's programs and the copy's code.

    Unless `scarb` is set, Scarb is hidden, so that no gate compiles the contracts.
    """
    beside = where.with_name(f"{where.name}-bin")
    beside.mkdir(exist_ok=True)
    if not scarb:
        (beside / "scarb").write_text("#!/bin/sh\necho scarb 0.0.0\n")
        (beside / "scarb").chmod(0o755)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match("MEDSYNC_|MAKE|MFLAGS|PYTEST_", name)
    }
    settings = {
        "PATH": f"{beside}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(where),
        "CI": "true",
        "COLUMNS": "400",
        "UV_OFFLINE": "1",
    }
    return subprocess.run(
        ["bash", "-c", command],
        cwd=where,
        env=kept | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )

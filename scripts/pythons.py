"""Install the lock into an environment for each supported Python on this machine, and run tests there."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from medsync.errors import ToolError, VerificationError
from scripts import setup

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
"""The Python versions that the package supports; the lock is for all of them."""

TESTS = ("tests/unit", "tests/packaging")
"""What is run on each by default: it reaches every module, and the installed package."""


def run(arguments: Sequence[str]) -> None:
    """Test on each version that is found; say which are not.

    Raises VerificationError, naming the versions whose tests failed, and ToolError if an environment cannot
    be made or no version is found.
    """
    parser = argparse.ArgumentParser(prog="python -m scripts pythons", description=__doc__)
    shown = f"what pytest is given (default: {' '.join(TESTS)})"
    parser.add_argument("tests", nargs=argparse.REMAINDER, help=shown)
    tests = parser.parse_args(arguments).tests or TESTS
    found = {version: path for version in VERSIONS if (path := find(version))}
    for version in VERSIONS:
        print(f"Python {version}: {found.get(version, 'not on this machine')}", flush=True)
    if not found:
        raise ToolError("No supported Python was found.", hint=f"Put one of {', '.join(VERSIONS)} on PATH.")
    failed = [version for version, path in found.items() if not passes(version, path, tests)]
    if failed:
        raise VerificationError(f"Tests fail on Python {', '.join(failed)}.")


def find(version: str) -> Path | None:
    """A Python of this version that runs: from PATH, else one that pyenv installed."""
    on_path = shutil.which(f"python{version}")
    candidates = [Path(on_path)] if on_path else []
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates += sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)
    return next(filter(_runs, candidates), None)


def _runs(python: Path) -> bool:
    """Whether it does: pyenv puts names on PATH for versions that are not selected."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False


def passes(version: str, python: Path, tests: Sequence[str]) -> bool:
    """Whether the tests pass in an environment of this Python, which is kept for the next time."""
    environment = setup.ROOT / "target" / "pythons" / version
    try:
        setup.install(setup.find_uv(), environment, python)
    except setup.SetupError as error:
        raise ToolError(f"The environment for Python {version} cannot be made.", hint=str(error)) from None
    print(f"\n== Python {version} ==", flush=True)
    return (
        subprocess.run([environment / "bin/python", "-m", "pytest", *tests], cwd=setup.ROOT).returncode == 0
    )

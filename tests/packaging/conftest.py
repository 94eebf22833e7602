"""The package built from this checkout, and an environment that has it and its dependencies, nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from flit_core import buildapi
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from medsync.deployment import toolchain
from medsync.deployment.devnet import Devnet
from scripts.repository import root


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root())
        buildapi.build_wheel(str(folder))
        buildapi.build_sdist(str(folder))
    return folder


@dataclass(frozen=True)
class Installed:
    """An environment into which the wheel was installed, and a folder of a user's away from any checkout."""

    environment: Path
    folder: Path
    variables: dict[str, str]

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's programs in the user's folder."""
        return subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def medsync(self, *arguments: str) -> Any:
        """What a command answers under `--json`; it must succeed."""
        done = self.run("medsync", *arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def installed(built: Path, devnet: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The wheel as `pip install` makes it, and a devnet of this day that it finds."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    packages = tmp_path_factory.mktemp("dependencies")
    link_dependencies("medsync", packages)
    (site,) = (environment / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(f"{packages}\n")

    folder = tmp_path_factory.mktemp("user")
    variables = {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(toolchain.cache_dir().parent),  # A devnet that was built is there.
        "PATH": os.environ["PATH"],
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "MEDSYNC_DEVNET_URL": devnet.url,
        "MEDSYNC_PASSPHRASE": "correct horse battery staple",
    }
    here = Installed(environment, folder, variables)
    # With dependencies: pip sees those that are there, and fails if the wheel asks for one that is not.
    (wheel,) = built.glob("*.whl")
    done = here.run("python", "-m", "pip", "install", "--no-index", str(wheel))
    assert done.returncode == 0, done.stdout + done.stderr
    with devnet.restored():
        devnet.set_time(int(time.time()), create_block=True)
        yield here


def link_dependencies(package: str, folder: Path) -> None:
    """Link everything that a package's declared dependencies installed into a folder, and nothing else."""
    done: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(package)]
    while todo:
        requirement = todo.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in done:
            continue
        done.add((name, extras))
        distribution = metadata.distribution(name)
        for path in distribution.files or []:
            top = path.parts[0]
            if name != package and top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(str(distribution.locate_file(top)))
        todo += [
            needed
            for needed in map(Requirement, distribution.requires or [])
            if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""})
        ]

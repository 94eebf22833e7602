"""`pip install` gives what an integrator needs: no file of a checkout is asked for."""

from __future__ import annotations

import json
import shutil
import tarfile
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

from medsync import artifacts
from scripts.repository import root
from tests.packaging.conftest import Installed


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    data = {
        "artifacts/manifest.json",
        "artifacts/errors.json",
        f"artifacts/{artifacts.BUNDLE.name}",
        "py.typed",
    }
    data |= {
        f"artifacts/{contract}.{kind}.json"
        for contract in ("MedSync", "RewardPool", "PrivateAnchor")
        for kind in ("sierra", "casm", "abi")
    }
    data |= {
        path.relative_to(root() / "medsync").as_posix() for path in (root() / "medsync").rglob("*.wa[st]*")
    }
    modules = {path.relative_to(root()).as_posix() for path in (root() / "medsync").rglob("*.py")}
    assert names == modules | {f"medsync/{name}" for name in data}


def test_the_sdist_holds_what_the_wheel_is_built_from(built: Path) -> None:
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    modules = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == modules | {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO"}


def test_the_metadata_is_complete(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Author"] == "MedSync contributors"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).startswith("# MedSync")
    assert {"Programming Language :: Python :: 3.14", "Typing :: Typed"} <= set(
        metadata.get_all("Classifier", [])
    )


def test_an_installed_package_does_everything_without_a_checkout(installed: Installed) -> None:
    where = installed.run("python", "-c", "import medsync; print(medsync.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(installed.environment), where.stderr

    installed.medsync("deploy")
    (listed,) = installed.medsync("deployments", "list")
    assert listed["status"] == "complete"
    assert (installed.folder / ".local/share/medsync/deployments/devnet.json").exists()

    script = Path(shutil.copy(Path(__file__).with_name("integrator.py"), installed.folder))
    done = installed.run("python", script.name)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "refused": {
            "code": "ENTITY/NOT_ADMIN",
            "meaning": artifacts.errors()["ENTITY/NOT_ADMIN"]["meaning"],
        },
        "decision": "PERMIT",
        "entries": [2, 1],
        "replayed": "ALL_REVOKED",
    }

    installed.medsync("private", "init", "--home", "hospital")
    assert (installed.folder / "hospital").is_dir()

    findings = installed.medsync("doctor")
    assert [finding for finding in findings if not finding["ok"] and finding["needed"]] == []

"""Supported versions of Python: the same everywhere, each with one version of every dependency locked."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from medsync.errors import ToolError, VerificationError
from scripts import pythons
from scripts.repository import root

PROJECT = tomllib.loads((root() / "pyproject.toml").read_text())["project"]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; pyenv keeps its versions beside it."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return folder


def interpreter(path: Path, status: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)
    return path


def test_the_metadata_names_the_supported_versions() -> None:
    classified = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert tuple(classified) == pythons.VERSIONS
    assert PROJECT["requires-python"] == f">={pythons.VERSIONS[0]}"


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_the_lock_has_one_version_of_each_dependency(version: str, platform: str) -> None:
    environment = {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": platform,
        "platform_system": platform.title(),
    }
    lines = re.findall(r"^(\S+==.*?) *\\?$", (root() / "requirements.lock").read_text(), re.M)
    pins = [pin for pin in map(Requirement, lines) if not pin.marker or pin.marker.evaluate(environment)]
    locked = [canonicalize_name(pin.name) for pin in pins]
    assert len(locked) == len(set(locked))
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    assert {canonicalize_name(Requirement(line).name) for line in wanted} <= set(locked)


def test_a_version_on_path_is_found_before_one_of_pyenv(path: Path, tmp_path: Path) -> None:
    kept = interpreter(tmp_path / "pyenv/versions/3.12.4/bin/python")
    shim = interpreter(path / "python3.12", status=127)
    assert pythons.find("3.12") == kept
    interpreter(shim)
    assert pythons.find("3.12") == shim
    assert pythons.find("3.13") is None


def test_failing_versions_are_named(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ToolError, match="No supported Python"):
        pythons.run([])
    interpreter(path / "python3.11")
    interpreter(path / "python3.13")
    monkeypatch.setattr(pythons, "passes", lambda version, python, tests: version == "3.11")
    with pytest.raises(VerificationError, match=r"fail on Python 3\.13\.$"):
        pythons.run(["tests/unit/test_package.py"])
    assert "Python 3.14: not on this machine" in capsys.readouterr().out

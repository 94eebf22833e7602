"""Finding and building the pinned tools, with stand-ins for them on PATH."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from medsync import errors
from medsync.deployment import toolchain
from medsync.deployment.devnet import ACCOUNTS, BALANCE, CHAIN_ID, SEED
from medsync.errors import ExitCode, MedSyncError, ToolError
from medsync.starknet import network
from scripts import repository

ROOT = repository.root()


def program(folder: Path, name: str, script: str) -> Path:
    """A stand-in for a program: a shell script."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def devnet_program(folder: Path, version: str) -> Path:
    return program(folder, "starknet-devnet", f"echo starknet-devnet {version}")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder for programs, beside those of the system, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(network.DEVNET_URL_VARIABLE, raising=False)
    return folder


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "medsync" / f"devnet-{toolchain.DEVNET_VERSION}"


CARGO = """
echo "$@" >> {log}
echo "$CARGO_TARGET_DIR $CARGO_PROFILE_RELEASE_OPT_LEVEL" >> {log}
/bin/mkdir -p "$CARGO_TARGET_DIR"
{then}
"""
INSTALL = """
while [ "$1" != --root ]; do shift; done
/bin/mkdir -p "$2/bin"
printf '#!/bin/sh\\necho starknet-devnet {version}\\n' > "$2/bin/starknet-devnet"
/bin/chmod +x "$2/bin/starknet-devnet"
"""


def test_right_version_on_path_is_taken(path: Path) -> None:
    expected = devnet_program(path, toolchain.DEVNET_VERSION)
    assert toolchain.require_devnet() == expected
    assert toolchain.install_devnet() == expected


def test_cache_is_used_where_path_has_none_or_another_version(path: Path, cached: Path) -> None:
    expected = devnet_program(cached / "bin", toolchain.DEVNET_VERSION)
    assert toolchain.require_devnet() == expected
    devnet_program(path, "0.7.0")
    assert toolchain.require_devnet() == expected


def test_wrong_version_is_named_with_the_wanted_one(path: Path) -> None:
    devnet_program(path, "0.7.0")
    with pytest.raises(ToolError) as caught:
        toolchain.require_devnet()
    assert str(caught.value) == f"starknet-devnet 0.10.1 is wanted, but {path}/starknet-devnet is 0.7.0."


@pytest.mark.parametrize("script", ["exit 1", "echo no number here", "exec /nowhere"])
def test_program_without_a_version_is_not_taken(path: Path, script: str) -> None:
    program(path, "scarb", script)
    assert not toolchain.scarb().ok
    assert "of no known version" in str(toolchain.scarb())


def test_machine_without_cargo_is_told_the_three_ways(path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        toolchain.install_devnet()
    assert "starknet-devnet 0.10.1 is not installed, and cargo to build it is missing" in str(caught.value)
    ways = caught.value.hint.split("\n  - ")
    assert len(ways) == 3
    assert "rustup" in ways[0]
    assert "prebuilt" in ways[1]
    assert "PATH" in ways[1]
    assert "container image" in ways[2]
    for (
        setting
    ) in f"--seed {SEED}|--accounts {ACCOUNTS}|--initial-balance {BALANCE}|--chain-id {CHAIN_ID}".split("|"):
        assert setting in ways[2]
    assert "export MEDSYNC_DEVNET_URL=" in ways[2]


def test_machine_without_c_compiler_is_told(path: Path) -> None:
    program(path, "cargo", "exit 0")
    with pytest.raises(ToolError, match="C compiler"):
        toolchain.install_devnet()


def test_build_goes_to_the_cache_once(path: Path, cached: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = path / "log"
    program(path, "cc", "")
    program(path, "cargo", CARGO.format(log=log, then=INSTALL.format(version=toolchain.DEVNET_VERSION)))
    assert toolchain.install_devnet() == cached / "bin" / "starknet-devnet"
    assert toolchain.install_devnet() == cached / "bin" / "starknet-devnet"
    assert log.read_text().splitlines() == [
        f"install starknet-devnet --version 0.10.1 --locked --root {cached}",
        f"{cached}/target 1",
    ]
    assert not (cached / "target").exists()
    said = capsys.readouterr().out
    assert "16 minutes" in said
    assert "To avoid it" in said


def test_interrupted_build_resumes_in_the_same_folder(path: Path, cached: Path) -> None:
    log = path / "log"
    program(path, "cc", "")
    program(path, "cargo", CARGO.format(log=log, then="exit 101"))
    with pytest.raises(ToolError, match="could not build"):
        toolchain.install_devnet()
    assert (cached / "target").is_dir()
    program(path, "cargo", CARGO.format(log=log, then=INSTALL.format(version=toolchain.DEVNET_VERSION)))
    toolchain.install_devnet()
    assert log.read_text().splitlines()[1::2] == [f"{cached}/target 1"] * 2


def test_build_of_another_version_is_refused(path: Path) -> None:
    program(path, "cc", "")
    program(path, "cargo", CARGO.format(log=path / "log", then=INSTALL.format(version="0.10.2")))
    with pytest.raises(ToolError, match=r"does not report version 0\.10\.1"):
        toolchain.install_devnet()


def test_callers_build_profile_wins(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
    program(path, "cc", "")
    program(
        path, "cargo", CARGO.format(log=path / "log", then=INSTALL.format(version=toolchain.DEVNET_VERSION))
    )
    toolchain.install_devnet()
    assert (path / "log").read_text().splitlines()[1].endswith(" 3")


def test_versions_are_the_same_everywhere() -> None:
    pinned = dict(line.split() for line in (ROOT / ".tool-versions").read_text().splitlines())
    assert pinned == {"scarb": toolchain.SCARB_VERSION, "starknet-devnet": toolchain.DEVNET_VERSION}
    workspace = tomllib.loads((ROOT / "Scarb.toml").read_text())["workspace"]
    assert workspace["package"]["cairo-version"] == toolchain.SCARB_VERSION
    assert set(workspace["dependencies"].values()) == {toolchain.SCARB_VERSION}


def test_every_error_has_its_documented_exit_code() -> None:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MedSyncError)
    ]
    codes = {kind.exit_code for kind in kinds}
    outcomes = {
        ExitCode.OK,
        ExitCode.USAGE,
        ExitCode.NOT_PERMITTED,
        ExitCode.INTERRUPTED,
        ExitCode.BROKEN_PIPE,
    }
    assert codes | outcomes == set(ExitCode)
    assert not codes & outcomes
    assert errors.ContractError(
        "POOL/NOT_FUNDER", "RewardPool.close_campaign", "only the funder"
    ).to_json() == {
        "error": "POOL/NOT_FUNDER",
        "message": "RewardPool.close_campaign refused: POOL/NOT_FUNDER",
        "hint": "only the funder",
        "exit_code": 6,
    }


# scripts/setup.py, which makes the environment these tests run in.


@pytest.fixture
def setup() -> ModuleType:
    specification = importlib.util.spec_from_file_location("setup_script", ROOT / "scripts" / "setup.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_old_python_is_told_of_a_newer_one(setup: ModuleType, path: Path) -> None:
    setup.check_python((3, 11, 0))
    with pytest.raises(setup.SetupError, match=r"is 3\.10: install one and run `make PYTHON=<its path>"):
        setup.check_python((3, 10, 9))
    program(path, "python3.12", "")
    with pytest.raises(setup.SetupError, match=r"is 3\.9: run `make PYTHON=python3\.12"):
        setup.check_python((3, 9, 1))


def test_setup_script_can_be_read_by_python_3_7() -> None:
    import ast

    ast.parse((ROOT / "scripts" / "setup.py").read_text(), feature_version=(3, 7))
    with pytest.raises(SyntaxError):
        ast.parse("match 1:\n    case 1: pass\n", feature_version=(3, 7))


def test_other_platforms_are_refused(setup: ModuleType) -> None:
    setup.check_platform("linux")
    setup.check_platform("darwin")
    with pytest.raises(setup.SetupError, match="WSL"):
        setup.check_platform("win32")


def test_recent_uv_on_path_is_used_and_an_old_one_is_not(
    setup: ModuleType, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[object, ...]] = []
    monkeypatch.setattr(setup, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr(setup, "run", lambda *command: ran.append(command))
    uv = program(path, "uv", "echo 'uv 0.13.9 (build)'")
    assert setup.find_uv() == str(uv)
    assert ran == []
    for script in ("echo uv 0.4.1", "exit 1"):
        program(path, "uv", script)
        ran.clear()
        assert setup.find_uv() == tmp_path / "tools" / "bin" / "uv"
        assert [command[:3] for command in ran] == [
            (sys.executable, "-m", "venv"),
            (tmp_path / "tools" / "bin" / "python", "-m", "pip"),
        ]
        assert "--require-hashes" in ran[1]


def test_incomplete_environment_is_made_anew(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, ready = tmp_path / "bin" / "python", tmp_path / ".ready"
    ran: list[str] = []

    def run(*command: object) -> None:
        ran.append(" ".join(map(str, command[1:3])))
        if ran[-1] == "venv --quiet":
            program(python.parent, "python", "")

    monkeypatch.setattr(setup, "run", run)
    fill = ["pip sync", "pip install"]
    setup.install("uv", tmp_path)
    assert (ran, ready.exists()) == (["venv --quiet", *fill], True)
    ran.clear()
    setup.install("uv", tmp_path)
    assert ran == fill
    ran.clear()
    ready.unlink()
    setup.install("uv", tmp_path)
    assert ran == ["venv --quiet", *fill]


def test_failed_step_is_named(setup: ModuleType) -> None:
    setup.run("/bin/sh", "-c", "exit 0")
    with pytest.raises(setup.SetupError, match="`/bin/sh -c exit 3` failed with status 3"):
        setup.run("/bin/sh", "-c", "exit 3")


def test_callers_environment_does_not_leak_into_setup(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    setup.run("/bin/sh", "-c", 'test -z "$VIRTUAL_ENV" && test "$UV_PYTHON_DOWNLOADS" = never')


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-bootstrap.lock"])
def test_lock_holds_hashes_and_names_no_registry(name: str) -> None:
    text = (ROOT / name).read_text()
    assert unlocked(text) == []
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links", text)


def unlocked(text: str) -> list[str]:
    """Requirements of a lock that are not pinned or have no hash."""
    requirements = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9#]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert requirements
    return [found for found in requirements if "==" not in found or "--hash=sha256:" not in found]


def test_unlocked_requirements_are_seen() -> None:
    hashed = "a==1 \\\n    --hash=sha256:00\n"
    assert unlocked(hashed) == []
    assert unlocked(hashed + "b==2\n    # via c\n") == ["b==2\n    # via c\n"]
    assert unlocked(hashed + "b>=2 \\\n    --hash=sha256:00\n") != []


def test_lock_follows_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    locked = dict(
        re.findall(r"^([a-z0-9-]+)==([^ ]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )
    for requirement in wanted:
        name, _, version = requirement.partition("==")
        name = re.split(r"[<>=]", name)[0].lower().replace(".", "-").replace("_", "-")
        assert name in locked
        assert version in ("", locked[name])


def test_makefile_lists_its_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets >= {
        "help",
        "setup",
        "build",
        "test",
        "demo",
        "bench",
        "lint",
        "format",
        "check",
        "ci",
        "lock",
    }
    assert os.access(ROOT / ".ci" / "run", os.X_OK)

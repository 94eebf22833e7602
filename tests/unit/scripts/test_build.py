"""Building the artifacts, and that every kind of drift from their sources is noticed."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medsync import artifacts
from medsync.deployment import toolchain
from medsync.deployment.toolchain import Tool
from medsync.errors import ToolError, VerificationError
from scripts import build, repository
from scripts.build import MOCKS, PACKAGES, Package

ROOT = repository.root()

with_scarb = pytest.mark.skipif(not toolchain.scarb().ok, reason=f"{toolchain.scarb()}")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_manifest_belongs_to_the_sources(package: Package) -> None:
    manifest = artifacts.manifest(package.folder)
    assert manifest["source_sha256"] == build.source_hash(package)
    assert (manifest["scarb"], manifest["profile"]) == (toolchain.SCARB_VERSION, "release")
    assert {contract["cairo"] for contract in manifest["contracts"].values()} == {toolchain.SCARB_VERSION}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_sources_are_the_package_and_what_it_depends_on(package: Package) -> None:
    """A package that the hash leaves out could change without the artifacts."""

    def with_dependencies(folder: Path) -> list[str]:
        found = [folder.relative_to(ROOT).as_posix()]
        for dependency in tomllib.loads((folder / "Scarb.toml").read_text())["dependencies"].values():
            if isinstance(dependency, dict) and "path" in dependency:
                found += with_dependencies(Path(os.path.normpath(folder / dependency["path"])))
        return found

    assert list(package.sources) == with_dependencies(ROOT / package.sources[0])


# Drift, without Scarb: a small checkout with one contract whose artifacts were committed with these sources.

ONE = Package("one", ("one",), "built")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(repository, "root", lambda: tmp_path)
    monkeypatch.setattr(build, "PACKAGES", (ONE,))
    monkeypatch.setattr(toolchain, "scarb", lambda: Tool("scarb", toolchain.SCARB_VERSION))
    (tmp_path / "one" / "src").mkdir(parents=True)
    (tmp_path / "built").mkdir()
    for name in ("Scarb.toml", "Scarb.lock", "one/Scarb.toml", "one/src/lib.cairo"):
        (tmp_path / name).write_text(f"# {name}\n")
    for kind in ("sierra", "casm"):
        shutil.copy(ROOT / MOCKS.artifacts / f"Token.{kind}.json", tmp_path / "built")
    for name, content in build._describe_committed(ONE).items():
        (tmp_path / "built" / name).write_bytes(content)
    return tmp_path


def rewrite(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def add_contract(built: Path) -> None:
    for kind in ("sierra", "casm"):
        shutil.copy(built / f"Token.{kind}.json", built / f"Second.{kind}.json")


DRIFTS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "source changed": (
        lambda root: (root / "one/src/lib.cairo").write_text("// other\n"),
        ["built/manifest.json differs in source_sha256"],
    ),
    "source added": (
        lambda root: (root / "one/src/more.cairo").touch(),
        ["built/manifest.json differs in source_sha256"],
    ),
    "workspace changed": (
        lambda root: (root / "Scarb.toml").write_text("[workspace]\n"),
        ["built/manifest.json differs in source_sha256"],
    ),
    "program changed": (
        lambda root: rewrite(root / "built/Token.sierra.json", lambda it: it["sierra_program"].append("0x0")),
        ["built/manifest.json differs in contracts"],
    ),
    "bytecode changed": (
        lambda root: rewrite(root / "built/Token.casm.json", lambda it: it["bytecode"].__setitem__(0, "0x1")),
        ["built/manifest.json differs in contracts"],
    ),
    "ABI changed": (
        lambda root: rewrite(root / "built/Token.abi.json", lambda it: it.pop()),
        ["built/Token.abi.json differs"],
    ),
    "ABI lost": (lambda root: (root / "built/Token.abi.json").unlink(), ["built/Token.abi.json is missing"]),
    "manifest lost": (
        lambda root: (root / "built/manifest.json").unlink(),
        ["built/manifest.json is missing"],
    ),
    "manifest damaged": (
        lambda root: (root / "built/manifest.json").write_text("[]"),
        ["built/manifest.json differs, and is not a valid manifest"],
    ),
    "manifest lies about the compiler": (
        lambda root: rewrite(root / "built/manifest.json", lambda it: it.update(scarb="2.11.0")),
        ["built/manifest.json differs in scarb"],
    ),
    "contract added": (
        lambda root: add_contract(root / "built"),
        ["built/Second.abi.json is missing", "built/manifest.json differs in contracts"],
    ),
    "stranger added": (
        lambda root: (root / "built/other.json").write_text("{}"),
        ["built/other.json does not belong there"],
    ),
}


@pytest.mark.parametrize("kind", DRIFTS)
def test_drift_is_listed(kind: str, checkout: Path) -> None:
    build.check()
    drift, findings = DRIFTS[kind]
    drift(checkout)
    with pytest.raises(VerificationError) as caught:
        build.check()
    assert caught.value.findings == findings


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]"])
def test_damaged_contract_is_reported(damage: bytes, checkout: Path) -> None:
    (checkout / "built/Token.sierra.json").write_bytes(damage)
    with pytest.raises(VerificationError, match="built holds an incomplete contract"):
        build.check()


def test_half_a_contract_is_reported(checkout: Path) -> None:
    (checkout / "built/Token.casm.json").unlink()
    with pytest.raises(VerificationError, match="built holds an incomplete contract"):
        build.check()


def test_disagreeing_hashes_are_reported(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "starknet_py_hashes", lambda sierra, casm: (1, 2))
    with pytest.raises(
        VerificationError, match=r"Token: starknet-py computes the hashes \(1, 2\), cairo-lang"
    ):
        build.check()


@pytest.mark.parametrize("limit", build.LIMITS)
def test_class_over_a_network_limit_is_refused(
    limit: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = artifacts.manifest(ONE.folder)["contracts"]["Token"][limit]
    monkeypatch.setitem(build.LIMITS, limit, size - 1)
    with pytest.raises(VerificationError, match=f"{limit} {size:,} of {size - 1:,}"):
        build.check()


def test_build_without_scarb_is_refused(checkout: Path) -> None:
    with pytest.raises(ToolError, match=r"scarb 2\.19\.4 is not installed"):
        build.build()


# The same with Scarb, which compiles a contract of a few lines.

MANIFESTS = {
    "Scarb.toml": '[workspace]\nmembers = ["one"]\n',
    "one/Scarb.toml": (
        '[package]\nname = "one"\nversion = "0.1.0"\nedition = "2024_07"\n'
        '[dependencies]\nstarknet = "2.19.4"\n'
        "[[target.starknet-contract]]\nsierra = true\ncasm = true\n"
    ),
}
CONTRACT = """
#[starknet::contract]
mod One {
    #[storage]
    struct Storage {}
    #[external(v0)]
    fn one(self: @ContractState) -> felt252 { 1 }
}
"""


@with_scarb
def test_build_and_rebuild(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "root", lambda: tmp_path)
    monkeypatch.setattr(build, "PACKAGES", (ONE,))
    (tmp_path / "one" / "src").mkdir(parents=True)
    for name, content in MANIFESTS.items():
        (tmp_path / name).write_text(content)
    source, built = tmp_path / "one" / "src" / "lib.cairo", tmp_path / "built"
    source.write_text(CONTRACT)
    built.mkdir()
    (built / "Stale.abi.json").touch()

    build.build()
    names = ["One.abi.json", "One.casm.json", "One.sierra.json", "manifest.json"]
    assert sorted(path.name for path in built.iterdir()) == names
    first = {name: (built / name).read_bytes() for name in names}
    build.check()
    assert artifacts.load("One", ONE.folder).abi[0]["name"] == "one"

    source.write_text(CONTRACT.replace("{ 1 }", "{ 2 }"))
    with pytest.raises(VerificationError) as caught:
        build.check()
    assert caught.value.findings == [
        "built/One.casm.json differs",
        "built/One.sierra.json differs",
        "built/manifest.json differs in contracts, source_sha256",
    ]
    assert {name: (built / name).read_bytes() for name in names} == first

    source.write_text(CONTRACT.replace("felt252", "nothing"))
    with pytest.raises(ToolError, match="Type not found"):
        build.build()
    assert {name: (built / name).read_bytes() for name in names} == first

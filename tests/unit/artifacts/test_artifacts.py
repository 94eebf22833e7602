"""The artifacts that are shipped: what is in them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medsync import artifacts
from medsync.errors import InputError
from scripts import repository
from scripts.build import PACKAGES, Package

ROOT = repository.root()


def test_only_the_product_is_deployed() -> None:
    assert list(artifacts.manifest()["contracts"]) == ["MedSync", "PrivateAnchor", "RewardPool"]


@pytest.mark.parametrize(
    ("name", "package"),
    [(name, package) for package in PACKAGES for name in artifacts.manifest(package.folder)["contracts"]],
)
def test_contract_loads_as_its_manifest_says(name: str, package: Package) -> None:
    artifact = artifacts.load(name, package.folder)
    sierra, casm = json.loads(artifact.sierra), json.loads(artifact.casm)
    assert artifacts.starknet_py_hashes(sierra, casm) == (artifact.class_hash, artifact.compiled_class_hash)
    assert casm["hints"] == []
    assert artifact.abi == json.loads((ROOT / package.artifacts / f"{name}.abi.json").read_text())


def test_unknown_contract_is_refused() -> None:
    with pytest.raises(InputError, match=r"has no contract Puppet, only MedSync, PrivateAnchor, RewardPool"):
        artifacts.load("Puppet")


def test_a_folder_without_artifacts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json cannot be read"):
        artifacts.manifest(tmp_path)

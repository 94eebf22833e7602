"""Build artifacts shipped with the package: the contracts' classes and ABIs, their error codes, the manifest
that records their sources, and the signed bundle of the private node's application.

Scarb compiles the contracts (`make build`), and its output is stored unchanged. Class hashes always refer to
the release profile of the pinned compiler; compiled class hashes are those Starknet uses since 0.14.1, over
BLAKE2s.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starknet_py.common import create_casm_class, create_sierra_compiled_contract
from starknet_py.hash.casm_class_hash import compute_casm_class_hash
from starknet_py.hash.sierra_class_hash import compute_sierra_class_hash

from medsync.errors import InputError, VerificationError
from medsync.protocol.commitments import parse_json
from medsync.protocol.felt import InvalidValue
from medsync.storage.files import read_bytes

FOLDER = Path(__file__).parent
"""The folder with the artifacts of the deployed contracts."""

MANIFEST: Final = "manifest.json"
ERRORS: Final = "errors.json"
BUNDLE: Final = FOLDER / "medsync-private-records.mpk"
"""The private node's application, built from `private-records/`."""

_HINT = "Install MedSync again; in a checkout, `make build` writes them."


class _Facts(BaseModel):
    """The required facts about one contract in a manifest."""

    model_config = ConfigDict(defer_build=True)

    class_hash: str = Field(pattern="^0x[0-9a-f]{64}$")
    compiled_class_hash: str = Field(pattern="^0x[0-9a-f]{64}$")
    cairo: str
    class_bytes: int


class _Manifest(BaseModel):
    """The required content of a manifest."""

    model_config = ConfigDict(defer_build=True)

    source_sha256: str
    scarb: str
    contracts: dict[str, _Facts]


@dataclass(frozen=True)
class Artifact:
    """A compiled contract in the form that starknet-py declares."""

    name: str
    sierra: str
    casm: str
    """Without hints: the compiled class hash does not cover them, and starknet-py cannot parse them."""
    abi: list[dict[str, Any]]
    class_hash: int
    compiled_class_hash: int


def manifest(folder: Path | None = None) -> dict[str, Any]:
    """The manifest of a folder of artifacts: their sources, the compiler, and facts about each contract.

    `folder` is by default the folder of the deployed contracts. Raises InputError if it has no valid
    manifest.
    """
    path = (folder or FOLDER) / MANIFEST
    content = _read_object(path)
    try:
        _Manifest.model_validate(content, strict=True)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, detail["loc"]))
        raise InputError(f"{path} is not a valid manifest: {where}: {detail['msg']}.", hint=_HINT) from None
    return content


@functools.cache
def load(name: str, folder: Path | None = None) -> Artifact:
    """Load the artifact of a contract. Raises InputError if the folder has no contract of that name."""
    folder = folder or FOLDER
    contracts = manifest(folder)["contracts"]
    if name not in contracts:
        raise InputError(f"{folder} has no contract {name}, only {', '.join(contracts)}.")
    sierra, casm = (_read_object(folder / f"{name}.{kind}.json") for kind in ("sierra", "casm"))
    interface = sierra.get("abi")
    if not isinstance(interface, list) or not all(isinstance(entry, dict) for entry in interface):
        raise InputError(f"{folder / name}.sierra.json has no ABI.", hint=_HINT)
    return Artifact(
        name=name,
        sierra=json.dumps(sierra),
        casm=json.dumps(casm | {"hints": []}),
        abi=interface,
        class_hash=int(contracts[name]["class_hash"], 16),
        compiled_class_hash=int(contracts[name]["compiled_class_hash"], 16),
    )


@functools.cache
def verified(name: str) -> Artifact:
    """Load the artifact of a deployed contract and verify its hashes, as is required before it is declared.

    Raises VerificationError if its class is not the one that the manifest names.
    """
    artifact = load(name)
    try:
        hashes = starknet_py_hashes(json.loads(artifact.sierra), json.loads(artifact.casm))
    except (
        Exception
    ):  # The library does not validate a class: it fails on a malformed one with any exception.
        hashes = None
    if hashes != (artifact.class_hash, artifact.compiled_class_hash):
        raise VerificationError(
            f"The artifacts of {name} do not have the class hash in their manifest.", hint=_HINT
        )
    return artifact


@functools.cache
def errors() -> dict[str, dict[str, Any]]:
    """The contracts' error codes, each with its contract, the functions that raise it, and its meaning."""
    path = FOLDER / ERRORS
    content = _read_object(path)
    if not all(isinstance(entry, dict) and "meaning" in entry for entry in content.values()):
        raise InputError(f"{path} is not a valid table of error codes.", hint=_HINT)
    return content


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(read_bytes(path, "The artifact"))
    except InvalidValue as error:
        raise InputError(f"{path} cannot be read: {error}.", hint=_HINT) from None
    except InputError as error:
        raise InputError(error.message, hint=_HINT) from None
    if not isinstance(content, dict):
        raise InputError(f"{path} cannot be read: it does not contain a JSON object.", hint=_HINT)
    return content


def starknet_py_hashes(sierra: dict[str, Any], casm: dict[str, Any]) -> tuple[int, int]:
    """Compute the class hash and compiled class hash with starknet-py."""
    return (
        compute_sierra_class_hash(create_sierra_compiled_contract(json.dumps(sierra))),
        compute_casm_class_hash(create_casm_class(json.dumps(casm | {"hints": []}))),
    )

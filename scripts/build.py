"""`make build`: compile the contracts with Scarb, and record the hash of their sources.

Without the pinned Scarb, the committed artifacts are used, and the check compares hashes instead of compiling
the sources.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsync import artifacts
from medsync.artifacts import ERRORS, MANIFEST, starknet_py_hashes
from medsync.deployment import toolchain
from medsync.errors import MedSyncError, ToolError, VerificationError
from scripts import repository
from scripts.options import write_or_check
from scripts.reference import cairo_docs

LIMITS = {"class_bytes": 4_089_446, "sierra_felts": 81_920, "casm_felts": 81_920}
"""Starknet's limits for a class: bytes of the declared class, felts of its Sierra program, and felts of its
bytecode (https://docs.starknet.io/learn/cheatsheets/chain-info)."""


@dataclass(frozen=True)
class Package:
    """A Scarb package whose artifacts are committed. Folders are relative to the repository."""

    name: str
    sources: tuple[str, ...]
    """Its folder, and those of the packages it depends on."""
    artifacts: str

    @property
    def folder(self) -> Path:
        """The folder of its artifacts."""
        return repository.root() / self.artifacts


PRODUCT = Package("medsync", ("contracts", "contracts/interfaces"), "medsync/artifacts")
"""The deployed contracts."""
MOCKS = Package("medsync_mocks", ("tests/mocks", "contracts/interfaces"), "tests/mocks/artifacts")
"""Contracts that only tests deploy, including hostile ones."""
PACKAGES = (PRODUCT, MOCKS)


def build() -> None:
    """Compile every package and replace its committed artifacts.

    Raises ToolError if the pinned Scarb is missing or rejects the sources, and VerificationError if a class
    exceeds a network limit or its hashes disagree.
    """
    for package, files in _compile().items():
        folder = package.folder
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("*.json"):
            stale.unlink()
        for name, content in files.items():
            (folder / name).write_bytes(content)
    for cached in (artifacts.load, artifacts.verified, artifacts.errors):
        cached.cache_clear()


def check() -> None:
    """Check that the committed artifacts match the sources.

    With the pinned Scarb, everything is rebuilt and compared byte for byte. Without it, the manifests must
    contain the current hash of the sources and the current hashes and sizes of the artifacts. Raises
    VerificationError, listing the differences.
    """
    rebuild = toolchain.scarb().ok
    expected = _compile() if rebuild else {package: _describe_committed(package) for package in PACKAGES}
    findings = []
    for package, files in expected.items():
        committed = _committed(package)
        for name in sorted(files.keys() | committed.keys()):
            if name not in committed:
                findings.append(f"{package.artifacts}/{name} is missing")
            elif name not in files:
                findings.append(f"{package.artifacts}/{name} does not belong there")
            elif files[name] != committed[name]:
                where = _where(committed[name], files[name]) if name == MANIFEST else ""
                findings.append(f"{package.artifacts}/{name} differs{where}")
    if findings:
        raise VerificationError(
            "The committed artifacts do not match the sources:",
            findings=findings,
            hint=f"Run `make build` with Scarb {toolchain.SCARB_VERSION} and commit the result.",
        )


def source_hash(package: Package) -> str:
    """SHA-256 over the names and contents of all sources of a package."""
    base = repository.root()
    paths = [base / "Scarb.toml", base / "Scarb.lock"]
    for folder in package.sources:
        paths += [base / folder / "Scarb.toml", *sorted((base / folder / "src").rglob("*.cairo"))]
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(base).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _compile() -> dict[Package, dict[str, bytes]]:
    """Compile in a temporary folder. Returns the artifact files of every package, the manifest last."""
    scarb = toolchain.scarb()
    if scarb.path is None or not scarb.ok:
        raise ToolError(
            f"{scarb}.",
            hint="Install it to compile the contracts; without it, the committed artifacts are used.",
        )
    with tempfile.TemporaryDirectory(prefix="medsync-build-") as scratch:
        command = [str(scarb.path), "--offline", "--release", "--target-dir", scratch, "build", "--workspace"]
        done = subprocess.run(command, cwd=repository.root(), capture_output=True, text=True)
        if done.returncode:
            raise ToolError(f"scarb could not build the contracts:\n{done.stdout}{done.stderr}")
        return {package: _collect(package, Path(scratch) / "release") for package in PACKAGES}


def _collect(package: Package, target: Path) -> dict[str, bytes]:
    index = json.loads((target / f"{package.name}.starknet_artifacts.json").read_bytes())
    files = {}
    for contract in index["contracts"]:
        for kind in ("sierra", "casm"):
            path = target / contract["artifacts"][kind]
            files[f"{contract['contract_name']}.{kind}.json"] = path.read_bytes()
    return _describe(package, files)


def _committed(package: Package) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in package.folder.glob("*.json")}


def _describe_committed(package: Package) -> dict[str, bytes]:
    """The committed Sierra and CASM files, with the ABIs and the manifest derived from them."""
    compiled = (".sierra.json", ".casm.json")
    files = {name: content for name, content in _committed(package).items() if name.endswith(compiled)}
    try:
        return _describe(package, files)
    except MedSyncError:
        raise
    except Exception as error:  # The libraries fail on a malformed class with any exception.
        what = type(error).__name__
        raise VerificationError(f"{package.artifacts} holds an incomplete contract ({what}).") from error


def _describe(package: Package, files: dict[str, bytes]) -> dict[str, bytes]:
    """Add the derived files to Sierra and CASM files: ABIs, error codes, and the manifest."""
    abis, contracts = {}, {}
    for name in sorted({name.split(".")[0] for name in files}):
        sierra, casm = (json.loads(files[f"{name}.{kind}.json"]) for kind in ("sierra", "casm"))
        abis[f"{name}.abi.json"] = _dump(sierra["abi"])
        contracts[name] = _facts(name, sierra, casm)
    record = {
        "package": package.name,
        "source_sha256": source_hash(package),
        "scarb": toolchain.SCARB_VERSION,
        "profile": "release",
        "limits": LIMITS,
        "contracts": contracts,
    }
    errors = {}
    if package == PRODUCT:
        reference = cairo_docs.contract_reference(repository.root() / PRODUCT.sources[0] / "src")
        errors[ERRORS] = _dump(cairo_docs.error_table(reference))
    return files | abis | errors | {MANIFEST: _dump(record)}


def _facts(name: str, sierra: dict[str, Any], casm: dict[str, Any]) -> dict[str, Any]:
    """A contract's manifest entry. Raises VerificationError if it is too large or its hashes disagree."""
    hashes = starknet_py_hashes(sierra, casm)
    if hashes != (others := cairo_lang_hashes(sierra, casm)):
        raise VerificationError(f"{name}: starknet-py computes the hashes {hashes}, cairo-lang {others}.")
    sizes = {
        "class_bytes": len(json.dumps(_declared(sierra), separators=(",", ":"))),
        "sierra_felts": len(sierra["sierra_program"]),
        "casm_felts": len(casm["bytecode"]),
    }
    over = [f"{what} {size:,} of {LIMITS[what]:,}" for what, size in sizes.items() if size > LIMITS[what]]
    if over:
        raise VerificationError(f"{name} exceeds the limits of Starknet:", findings=over)
    return {
        "class_hash": f"{hashes[0]:#066x}",
        "compiled_class_hash": f"{hashes[1]:#066x}",
        "cairo": casm["compiler_version"],
        "sierra": ".".join(str(int(felt, 16)) for felt in sierra["sierra_program"][:3]),
        **sizes,
    }


def cairo_lang_hashes(sierra: dict[str, Any], casm: dict[str, Any]) -> tuple[int, int]:
    """Compute the class hash and compiled class hash with the reference implementation, cairo-lang.

    Release 0.14.0.1 has BLAKE2s over felts but composes compiled class hashes with Poseidon only, so the
    composition is implemented here, following its `compiled_class_hash.py`.
    """
    try:
        from starkware.cairo.common.cairo_blake2s.blake2s_utils import calculate_blake2s_hash_from_felt252s
        from starkware.starknet.core.os.contract_class.class_hash import compute_class_hash
        from starkware.starknet.services.api.contract_class.contract_class_utils import load_sierra_from_dict
    except ImportError as error:
        raise ToolError(f"cairo-lang is not installed: {error}.", hint="`make setup` installs it.") from error

    def blake(felts: list[int]) -> int:
        return int(calculate_blake2s_hash_from_felt252s(felts, encode=True, little_endian=False))

    def short_string(text: str) -> int:
        return int.from_bytes(text.encode("ascii"), "big")

    def entry_points(kind: str) -> int:
        felts: list[int] = []
        for entry in casm["entry_points_by_type"][kind]:
            builtins = blake([short_string(builtin) for builtin in entry["builtins"]])
            felts += [int(entry["selector"], 16), entry["offset"], builtins]
        return blake(felts)

    code = iter([int(felt, 16) for felt in casm["bytecode"]])

    def segment(lengths: Any) -> tuple[int, int]:
        """The length and hash of a bytecode segment, which contains either felts or further segments."""
        if isinstance(lengths, int):
            return lengths, blake([next(code) for _ in range(lengths)])
        parts = [segment(part) for part in lengths]
        return sum(length for length, _ in parts), 1 + blake([felt for part in parts for felt in part])

    kinds = [entry_points(kind) for kind in ("EXTERNAL", "L1_HANDLER", "CONSTRUCTOR")]
    bytecode = segment(casm["bytecode_segment_lengths"])[1]
    return (
        int(compute_class_hash(load_sierra_from_dict(dict(sierra)))),
        blake([short_string("COMPILED_CLASS_V1"), *kinds, bytecode]),
    )


def _declared(sierra: dict[str, Any]) -> dict[str, Any]:
    """The part of Scarb's output that is sent in a declaration, with the ABI as text."""
    sent = {key: sierra[key] for key in ("sierra_program", "contract_class_version", "entry_points_by_type")}
    return sent | {"abi": json.dumps(sierra["abi"])}


def _where(committed: bytes, expected: bytes) -> str:
    """The entries in which two manifests differ."""
    try:
        old, new = json.loads(committed), json.loads(expected)
        return " in " + ", ".join(
            sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        )
    except (AttributeError, ValueError, RecursionError):
        return ", and is not a valid manifest"


def _dump(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def run(arguments: Sequence[str]) -> None:
    """Build, or compare with `--check`, and print the classes."""
    scarb = toolchain.scarb()
    if not scarb.ok:
        print(f"{scarb}: the committed artifacts are used.")
    write_or_check("build", arguments, build if scarb.ok else check, check)
    for name, facts in artifacts.manifest()["contracts"].items():
        print(f"{name:14} {facts['class_hash']} {facts['class_bytes']:>9,} bytes")

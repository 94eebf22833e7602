#!/usr/bin/env python3
"""Build the Calimero application `private-records/` to WebAssembly and, given its key, into a signed bundle.

    make private-build [KEY=FILE]                    build, and sign code that is new
    python -m scripts private-build --check          build, and compare byte for byte with the committed files
    python -m scripts private-build --verify         compare the committed files with each other, without Rust
    python -m scripts private-build --new-key FILE   make a signing key

Three files are committed: the WebAssembly, the bundle that nodes install, and a manifest that records their
sources and the compiler. The same sources and compiler give the same bytes in any folder. The signing key is
not part of the repository: its owner can publish new versions of this application, because an application's
id consists of its package name and its signer.
"""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from medsync.artifacts import BUNDLE
from medsync.errors import InputError, ToolError, VerificationError
from medsync.private.node.bundle import PACKAGE, Bundle, pack
from medsync.storage.files import NewFile, read_bytes, read_text, replace, write_new
from scripts import repository

RUST: Final = "1.95.0"
"""The Rust release of the committed build. Other releases produce different bytes."""
TARGET: Final = "wasm32-unknown-unknown"
SOURCES: Final = repository.root() / "private-records"
WASM: Final = "medsync_private_records.wasm"
MANIFEST: Final = "manifest.json"

_INSTALL: Final = f"""\
Install rustup (https://rustup.rs), a C compiler for build scripts, and:
    rustup toolchain install {RUST} --profile minimal --target {TARGET}
Nothing else in MedSync requires Rust: the built application is committed."""

_KEPT_VARIABLES: Final = ("CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "RUSTUP_")
"""The caller's cargo and rustup settings that cannot change the result, such as folders and registries."""


def build(sources: Path = SOURCES) -> tuple[bytes, str]:
    """Compile the sources. Returns the WebAssembly and the compiler's version text.

    Raises ToolError if the pinned compiler is missing, naming what to install, or if it fails.
    """
    cargo, compiler = _toolchain()
    target = SOURCES.parent / "target" / "private-records"
    registry = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo") / "registry" / "src"
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CARGO", "RUST", "CFLAGS")) or name.startswith(_KEPT_VARIABLES)
    }
    fetch = [*cargo, "fetch", "--quiet", "--locked", "--target", TARGET]
    command = [*cargo, "build", "--quiet", "--release", "--locked", "--target", TARGET]
    _run(fetch, sources, environment)
    # Panic messages contain source paths.
    places = {**dict.fromkeys(sorted(registry.glob("*")), "/registry"), sources.resolve(): "/app"}
    environment["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(
        f"--remap-path-prefix={place}={name}" for place, name in places.items()
    )
    environment["CARGO_TARGET_DIR"] = str(target)
    _run(command, sources, environment)
    return (target / TARGET / "release" / WASM).read_bytes(), compiler


def _toolchain() -> tuple[list[str], str]:
    """The command for the pinned cargo, and its compiler's version text."""
    rustup = shutil.which("rustup")
    if rustup is None:
        raise ToolError(
            f"Building the application requires Rust {RUST}, but rustup is missing.", hint=_INSTALL
        )
    run = [rustup, "run", RUST]
    asked = subprocess.run([*run, "rustc", "--version"], capture_output=True, text=True)
    if asked.returncode:
        raise ToolError(f"Building the application requires Rust {RUST}, which is missing.", hint=_INSTALL)
    folder = subprocess.run(
        [*run, "rustc", "--print", "target-libdir", "--target", TARGET], capture_output=True, text=True
    )
    if folder.returncode or not list(Path(folder.stdout.strip()).glob("libstd-*")):
        raise ToolError(f"The standard library of Rust {RUST} for {TARGET} is not installed.", hint=_INSTALL)
    return [*run, "cargo"], asked.stdout.strip()


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    if subprocess.run(command, cwd=folder, env=environment).returncode:
        raise ToolError(f"`{shlex.join(command[1:])}` failed; see its output above.")


def sources_digest(folder: Path) -> str:
    """SHA-256 over the names and hashes of all files the compiler reads, in hex."""
    paths = [folder / "Cargo.toml", folder / "Cargo.lock", *sorted((folder / "src").rglob("*.rs"))]
    digest = hashlib.sha256()
    for path in paths:
        content = hashlib.sha256(read_bytes(path, "The source")).hexdigest()
        digest.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()


def describe(folder: Path, wasm: bytes, compiler: str, bundle: Bundle) -> dict[str, Any]:
    """The manifest of a build from the sources in a folder."""
    return {
        "version": _version(folder),
        "sources_sha256": sources_digest(folder),
        "compiler": compiler,
        "target": TARGET,
        "wasm": {"sha256": hashlib.sha256(wasm).hexdigest(), "size": len(wasm)},
        "bundle": {
            "package": bundle.package,
            "signer": bundle.signer.hex(),
            "application": bundle.application,
        },
    }


def _version(folder: Path) -> str:
    version: str = tomllib.loads(read_text(folder / "Cargo.toml", "The source"))["package"]["version"]
    return version


def drift(folder: Path = SOURCES, bundle_file: Path = BUNDLE) -> Iterator[str]:
    """Describe the inconsistencies between the files in a folder. Raises InputError for unreadable files."""
    recorded = json.loads(read_text(folder / MANIFEST, "The manifest"))
    wasm = read_bytes(folder / WASM, "The application")
    bundle = Bundle.read(bundle_file)
    found = describe(folder, wasm, recorded.get("compiler", ""), bundle)
    for name in sorted(recorded.keys() | found.keys()):
        if recorded.get(name) != found.get(name):
            yield f"{MANIFEST} has {name} {recorded.get(name)}, but the files have {found.get(name)}"
    if RUST not in str(recorded.get("compiler")):
        yield f"{MANIFEST} names a compiler other than Rust {RUST}"
    if bundle.wasm != wasm:
        yield f"{BUNDLE.name} does not contain the code of {WASM}"
    if (bundle.package, bundle.version) != (PACKAGE, found["version"]):
        yield f"{BUNDLE.name} is {bundle.package} {bundle.version}, not {PACKAGE} {found['version']}"


def verify(folder: Path = SOURCES, bundle_file: Path = BUNDLE) -> None:
    """Raise VerificationError if the committed files do not match their sources and each other."""
    if findings := list(drift(folder, bundle_file)):
        raise VerificationError(
            f"{folder.name} does not match its sources and its manifest:",
            findings=findings,
            hint="Run `make private-build KEY=<the signing key>` and commit the result.",
        )


def check() -> None:
    """Build, and raise VerificationError unless the result equals the committed files byte for byte."""
    verify()
    built, compiler = build()
    committed = read_bytes(SOURCES / WASM, "The application")
    recorded = json.loads(read_text(SOURCES / MANIFEST, "The manifest"))["compiler"]
    if built != committed:
        raise VerificationError(
            f"The build differs from the committed {WASM}:",
            findings=[
                f"{what}: sha256 {hashlib.sha256(wasm).hexdigest()}, {len(wasm)} bytes, by {by}"
                for what, wasm, by in (("built", built, compiler), ("committed", committed, recorded))
            ],
        )
    print(f"{WASM} matches its sources: sha256 {hashlib.sha256(built).hexdigest()}.")


def write(key: Path | None) -> None:
    """Build and write the three files.

    Raises InputError without writing anything if the bundle must be signed and no key is given.
    """
    signer = None if key is None else Ed25519PrivateKey.from_private_bytes(_read_key(key))
    wasm, compiler = build()
    version = _version(SOURCES)
    packed = BUNDLE.read_bytes() if BUNDLE.exists() else None
    if packed is None or not _holds(packed, wasm, version):
        if signer is None:
            raise InputError(
                "The application changed, so its bundle must be signed again.",
                hint="Give the file of the signing key: make private-build KEY=FILE.",
            )
        packed = pack(wasm, package=PACKAGE, version=version, key=signer)
    bundle = Bundle.parse(packed)
    manifest = json.dumps(describe(SOURCES, wasm, compiler, bundle), indent=2) + "\n"
    replace(NewFile(SOURCES / WASM, wasm, "The application"))
    replace(NewFile(BUNDLE, packed, "The bundle"))
    replace(NewFile(SOURCES / MANIFEST, manifest.encode(), "The manifest"))
    print(
        f"{WASM}: sha256 {hashlib.sha256(wasm).hexdigest()}, {len(wasm)} bytes\n"
        f"{BUNDLE.name}: application {bundle.application}, signed by {bundle.signer.hex()}"
    )


def _holds(packed: bytes, wasm: bytes, version: str) -> bool:
    """Whether a bundle is valid and contains this code."""
    try:
        bundle = Bundle.parse(packed)
    except InputError:
        return False
    return (bundle.package, bundle.version, bundle.wasm) == (PACKAGE, version, wasm)


def _read_key(path: Path) -> bytes:
    text = read_text(path, "The signing key").strip()
    if len(text) != 64 or not all(digit in "0123456789abcdef" for digit in text):
        raise InputError(f"The signing key {path} is not 64 hex digits.")
    return bytes.fromhex(text)


def new_key(path: Path) -> None:
    """Write a new signing key, readable only by its owner. Raises InputError if the file exists."""
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes_raw().hex() + "\n"
    write_new([NewFile(path, text.encode(), "The signing key", private=True)])
    print(
        f"{path}: the secret key of signer {key.public_key().public_bytes_raw().hex()}.\n"
        "Do not add it to any repository."
    )


def run(arguments: Sequence[str]) -> None:
    """Run the command. Raises MedSyncError if it fails."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts private-build",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="build, and compare with the committed files")
    mode.add_argument("--verify", action="store_true", help="compare the committed files with each other")
    mode.add_argument("--key", type=Path, metavar="FILE", help="sign with this key")
    mode.add_argument("--new-key", type=Path, metavar="FILE", help="make a signing key")
    options = parser.parse_args(arguments)
    if options.check:
        check()
    elif options.verify:
        verify()
    elif options.new_key:
        new_key(options.new_key)
    else:
        write(options.key)

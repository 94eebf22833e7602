#!/usr/bin/env python3
"""Build the Calimero application `private-records/` to WebAssembly and, given its key, into a signed bundle.

    make private-build [KEY=FILE]                    build, and sign code that is new
    python -m scripts private-build --check          build, and compare byte for byte with what is committed
    python -m scripts private-build --verify         compare what is committed with itself; needs no Rust
    python -m scripts private-build --new-key FILE   make a signing key

Three files are committed beside the sources: the WebAssembly, the bundle that nodes install, and a manifest
that ties both to their sources and the compiler. The same sources and compiler give the same bytes in any
folder. The signing key is no part of the repository: whoever has it decides what nodes take for a new version
of this application, because an application's id is its package name and its signer.
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
"""The Rust release whose output is committed. Another compiles to other bytes."""
TARGET: Final = "wasm32-unknown-unknown"
SOURCES: Final = repository.root() / "private-records"
WASM: Final = "medsync_private_records.wasm"
MANIFEST: Final = "manifest.json"

_INSTALL: Final = f"""\
Install rustup (https://rustup.rs), a C compiler for build scripts, and:
    rustup toolchain install {RUST} --profile minimal --target {TARGET}
Nothing else in MedSync needs Rust: the built application is committed."""

_KEPT_VARIABLES: Final = ("CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "RUSTUP_")
"""What of a caller's cargo and rustup settings cannot change the result: where things are and come from."""


def build(sources: Path = SOURCES) -> tuple[bytes, str]:
    """Compile the sources. Returns the WebAssembly and what the compiler calls itself.

    Raises ToolError, naming what is missing, where the pinned compiler is not, or if it fails.
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
    # Panic messages carry the paths of what they are compiled from.
    places = {**dict.fromkeys(sorted(registry.glob("*")), "/registry"), sources.resolve(): "/app"}
    environment["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(
        f"--remap-path-prefix={place}={name}" for place, name in places.items()
    )
    environment["CARGO_TARGET_DIR"] = str(target)
    _run(command, sources, environment)
    return (target / TARGET / "release" / WASM).read_bytes(), compiler


def _toolchain() -> tuple[list[str], str]:
    """How to run the pinned cargo, and what its compiler calls itself."""
    rustup = shutil.which("rustup")
    if rustup is None:
        raise ToolError(
            f"Rust {RUST} is needed to build the application, and rustup is missing.", hint=_INSTALL
        )
    run = [rustup, "run", RUST]
    asked = subprocess.run([*run, "rustc", "--version"], capture_output=True, text=True)
    if asked.returncode:
        raise ToolError(f"Rust {RUST} is needed to build the application, and is missing.", hint=_INSTALL)
    folder = subprocess.run(
        [*run, "rustc", "--print", "target-libdir", "--target", TARGET], capture_output=True, text=True
    )
    if folder.returncode or not list(Path(folder.stdout.strip()).glob("libstd-*")):
        raise ToolError(f"Rust {RUST} has no standard library for {TARGET} here.", hint=_INSTALL)
    return [*run, "cargo"], asked.stdout.strip()


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    if subprocess.run(command, cwd=folder, env=environment).returncode:
        raise ToolError(f"`{shlex.join(command[1:])}` failed; its own message is above.")


def sources_digest(folder: Path) -> str:
    """SHA-256 over the names and hashes of everything the compiler reads, in hex."""
    paths = [folder / "Cargo.toml", folder / "Cargo.lock", *sorted((folder / "src").rglob("*.rs"))]
    digest = hashlib.sha256()
    for path in paths:
        content = hashlib.sha256(read_bytes(path, "The source")).hexdigest()
        digest.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()


def describe(folder: Path, wasm: bytes, compiler: str, bundle: Bundle) -> dict[str, Any]:
    """The manifest of what was built from the sources in a folder."""
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
    """What in a folder does not fit the rest of it. Raises InputError for a file that cannot be read."""
    recorded = json.loads(read_text(folder / MANIFEST, "The manifest"))
    wasm = read_bytes(folder / WASM, "The application")
    bundle = Bundle.read(bundle_file)
    found = describe(folder, wasm, recorded.get("compiler", ""), bundle)
    for name in sorted(recorded.keys() | found.keys()):
        if recorded.get(name) != found.get(name):
            yield f"{MANIFEST} says {name} {recorded.get(name)}, found is {found.get(name)}"
    if RUST not in str(recorded.get("compiler")):
        yield f"{MANIFEST} names another compiler than Rust {RUST}"
    if bundle.wasm != wasm:
        yield f"{BUNDLE.name} holds other code than {WASM}"
    if (bundle.package, bundle.version) != (PACKAGE, found["version"]):
        yield f"{BUNDLE.name} is {bundle.package} {bundle.version}, not {PACKAGE} {found['version']}"


def verify(folder: Path = SOURCES, bundle_file: Path = BUNDLE) -> None:
    """Raise VerificationError if the committed files do not fit their sources and each other."""
    if findings := list(drift(folder, bundle_file)):
        raise VerificationError(
            f"{folder.name} is not what its sources and its manifest say:",
            findings=findings,
            hint="Run `make private-build KEY=<the signing key>` and commit the result.",
        )


def check() -> None:
    """Build, and raise VerificationError unless the result is what is committed, byte for byte."""
    verify()
    built, compiler = build()
    committed = read_bytes(SOURCES / WASM, "The application")
    recorded = json.loads(read_text(SOURCES / MANIFEST, "The manifest"))["compiler"]
    if built != committed:
        raise VerificationError(
            f"The build is not the committed {WASM}:",
            findings=[
                f"{what}: sha256 {hashlib.sha256(wasm).hexdigest()}, {len(wasm)} bytes, by {by}"
                for what, wasm, by in (("built", built, compiler), ("committed", committed, recorded))
            ],
        )
    print(f"{WASM} is what its sources compile to: sha256 {hashlib.sha256(built).hexdigest()}.")


def write(key: Path | None) -> None:
    """Build and write the three files.

    Raises InputError, and writes nothing, where there is a bundle to be signed and no key.
    """
    signer = None if key is None else Ed25519PrivateKey.from_private_bytes(_read_key(key))
    wasm, compiler = build()
    version = _version(SOURCES)
    packed = BUNDLE.read_bytes() if BUNDLE.exists() else None
    if packed is None or not _holds(packed, wasm, version):
        if signer is None:
            raise InputError(
                "The application changed, and its bundle has to be signed again.",
                hint="Name the file of the signing key: make private-build KEY=FILE.",
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
    """Whether a bundle is a sound one of this code."""
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
    """Write a new signing key that only its owner may read. Raises InputError if the file exists."""
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes_raw().hex() + "\n"
    write_new([NewFile(path, text.encode(), "The signing key", private=True)])
    print(
        f"{path}: the secret key of signer {key.public_key().public_bytes_raw().hex()}.\n"
        "Keep it out of any repository."
    )


def run(arguments: Sequence[str]) -> None:
    """Do what the arguments say. Raises MedSyncError for whatever is wrong."""
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

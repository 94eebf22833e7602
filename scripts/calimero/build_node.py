#!/usr/bin/env python3
"""Find a real Calimero node on this machine, or build the one in `calimero-node/` with cargo.

    make calimero-node                     find it, or build it: once, about 28 minutes on two cores
    scripts/calimero/build_node.py --find        print its path; exits with status 4 if it is missing

The order of search is: the program named by MEDSYNC_CALIMERO_NODE, `medsync-calimero-node` on PATH, and a
program built earlier in the user's cache. Only tests with real nodes and `make demo PRIVATE=calimero` need
it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from medsync.deployment.toolchain import BUILD_WAIT
from medsync.errors import ToolError
from medsync.storage.locks import Lock
from scripts import repository
from scripts.calimero.daemon import BUILT, PROGRAM, find_program, require_program

SOURCES: Final = repository.root() / "calimero-node"
MIN_RUST: Final = (1, 88)
"""The oldest Rust release that compiles the Calimero crates."""

_INSTALL: Final = """\
On Debian or Ubuntu:   apt-get install build-essential clang libclang-dev cmake
On macOS:              xcode-select --install && brew install cmake
and Rust 1.88 or newer from https://rustup.rs."""


def install() -> None:
    """Print the path of the node's program, after building it if it is missing.

    Raises ToolError if the build fails, or if build requirements are missing, naming all of them.
    """
    if find_program() is None:
        if absent := list(missing()):
            raise ToolError(f"{PROGRAM} cannot be built: {', '.join(absent)}.", hint=_INSTALL)
        BUILT.parent.mkdir(parents=True, exist_ok=True)
        with Lock(BUILT.parent / "lock", f"The build in {BUILT.parent}", wait=BUILD_WAIT, waiting=print):
            if find_program() is None:  # Another process may have built it in the meantime.
                _build(BUILT.parent / "target")
    print(require_program())


def _build(target: Path) -> None:
    print(
        f"Building {PROGRAM} with cargo into {BUILT.parent}: once, about 28 minutes on two cores,\n"
        "with 2.5 GB of temporary files. The build can be interrupted and resumed.",
        flush=True,
    )
    command = ["cargo", "build", "--release", "--locked"]
    # cargo reads `.cargo/config.toml` in its working folder, which keeps build scripts from downloading
    # pages.
    if subprocess.run(command, cwd=SOURCES, env=os.environ | {"CARGO_TARGET_DIR": str(target)}).returncode:
        raise ToolError(f"cargo could not build {PROGRAM}; see its output above.", hint=_INSTALL)
    made = BUILT.with_suffix(".new")
    shutil.copy2(target / "release" / PROGRAM, made)
    made.replace(BUILT)
    shutil.rmtree(target, ignore_errors=True)


def missing() -> Iterator[str]:
    """The missing build requirements."""
    if shutil.which("cargo") is None:
        yield "cargo is missing"
    elif (version := _rust_version()) < MIN_RUST:
        yield f"Rust {'.'.join(map(str, version))} is too old"
    if shutil.which("c++") is None:
        yield "a C++ compiler (c++) is missing"
    if shutil.which("cmake") is None:
        yield "cmake is missing"
    if shutil.which("clang") is None:
        yield "clang is missing"
    if not _libclang():
        yield "libclang is missing"


def _rust_version() -> tuple[int, ...]:
    output = subprocess.run(["cargo", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"(\d+)\.(\d+)", output)
    return tuple(map(int, found.groups())) if found else (0,)


def _libclang() -> bool:
    """Whether bindgen, which the build of RocksDB uses, will find the library."""
    if "LIBCLANG_PATH" in os.environ or sys.platform == "darwin":
        return True
    places = ("usr/lib/llvm*/lib", "usr/lib64", "usr/lib/*-linux-gnu", "usr/local/lib")
    names = ("libclang.so*", "libclang-[0-9]*.so*")
    return any(next(Path("/").glob(f"{place}/{name}"), None) for place in places for name in names)


def run(arguments: Sequence[str]) -> None:
    """Run the command. Raises MedSyncError if it fails."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts calimero-node",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--find", action="store_true", help="only search for the program; do not build it")
    options = parser.parse_args(arguments)
    if options.find:
        print(require_program())
    else:
        install()

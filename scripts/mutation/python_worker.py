"""A process that tests Python mutants: it writes each into its copy of the tree and forks pytest.

Slow modules that are never mutated are imported before the fork. The fork's exit code is the verdict.
"""

from __future__ import annotations

import importlib
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.mutation.python_operators import ALL_TESTS
from scripts.mutation.worker import Channel, Verdict, forked, open_channel

_SLOW = (
    "pydantic",
    "starknet_py.net.full_node_client",
    "starknet_py.net.account.account",
    "starknet_py.contract",
    "starknet_py.utils.typed_data",
)


MEMORY = 4 * 2**30
"""Memory limit of a fork in bytes."""


def attempt(tree: Path, order: dict[str, Any]) -> dict[str, Any]:
    """Write a mutant, run its tests, and restore the file."""
    started = time.monotonic()
    originals = {file: (tree / file).read_text() for file in order["files"]}
    try:
        for file, text in order["files"].items():
            compile(text, file, "exec", dont_inherit=True)
            (tree / file).write_text(text)
        verdict = run(order["tests"], order["seconds"])
    except SyntaxError:
        verdict = Verdict.NOT_COMPILING
    finally:
        for file, text in originals.items():
            (tree / file).write_text(text)
    return {"verdict": verdict, "void": [], "seconds": round(time.monotonic() - started, 1)}


def run(tests: Sequence[str], seconds: float) -> str:
    """The verdict of some test files on the current state of the tree."""

    def work() -> int:
        # A mutant may allocate without bound.
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        return int(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]))

    return forked(work, seconds)


def serve(channel: Channel, tree: Path) -> None:
    channel.send(ready=True)
    for order in channel.orders():
        if order["do"] == "try":
            channel.send(**attempt(tree, order))
        else:
            channel.send(void=[])  # These tests have no devnet to renew: one control at the start is enough.


def main(scratch: Path) -> int:
    """Serve until standard input closes. The current folder is the copy of the tree."""
    channel = open_channel(scratch)
    # A changed file may have the same size and mtime as before, so compiled files cannot be trusted.
    sys.dont_write_bytecode = True
    for name in _SLOW:
        importlib.import_module(name)
    # The fork imports the mutated package itself.
    for name in [name for name in sys.modules if name.split(".")[0] == "medsync"]:
        del sys.modules[name]
    # A test that fails on the unchanged code would kill every mutant.
    if run(ALL_TESTS, 600) != Verdict.SURVIVED:
        return 1
    serve(channel, Path.cwd())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

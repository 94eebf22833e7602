"""One process that tries mutants of Python: it writes each into its copy of the tree and forks a pytest.

What is slow to import and never mutated is imported before the fork. The fork's exit code is the verdict.
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
"""Bytes that a fork may have."""


def attempt(tree: Path, order: dict[str, Any]) -> dict[str, Any]:
    """Write a mutant, run its tests, put the file back."""
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
    """The verdict of some test files on what is in the tree."""

    def work() -> int:
        # A mutant may want all the memory there is.
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        return int(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]))

    return forked(work, seconds)


def serve(channel: Channel, tree: Path) -> None:
    channel.tell(ready=True)
    for order in channel.orders():
        if order["do"] == "try":
            channel.tell(**attempt(tree, order))
        else:
            channel.tell(void=[])  # These tests use nothing that wears out: the control is done at the start.


def main(scratch: Path) -> int:
    """Serve until standard input ends. The current folder is the copy of the tree."""
    channel = open_channel(scratch)
    # A changed file may have the size and second of the one before: no compiled file must be believed.
    sys.dont_write_bytecode = True
    for name in _SLOW:
        importlib.import_module(name)
    # The fork imports the changed product itself.
    for name in [name for name in sys.modules if name.split(".")[0] == "medsync"]:
        del sys.modules[name]
    # What fails without any change would kill everything.
    if run(ALL_TESTS, 600) != Verdict.SURVIVED:
        return 1
    serve(channel, Path.cwd())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

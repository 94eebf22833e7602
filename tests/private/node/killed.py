"""Processes that write to an embedded node and are killed: `python -m tests.private.node.killed FOLDER`.

It prepares a node and prints its context. Then it kills one child before the first thing that child asks of
the database, another before the second, and so on until one survives; and some more, whatever they are doing,
when they have said a number of lines. For each it prints the copy of the node it had, and which entries it
was told were written.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from medsync.private.node.embedded import EmbeddedNode
from tests.private.node.guest import guest_bundle

#: How many lines the children say that are killed at no particular point.
LINES = (0, 1, 2, 3, 5, 8)

#: Where a process may be killed: before a statement, a commit, or when that is done.
POINTS: tuple[tuple[type, str], ...] = (
    (sql.Engine, "before_cursor_execute"),
    (sql.Engine, "commit"),
    (sql.pool.Pool, "reset"),
)


async def prepare(folder: Path) -> str:
    """A node with a context, closed."""
    async with EmbeddedNode(folder / "node") as node:
        application = await node.install(guest_bundle(folder))
        return (await node.create_context(application, {})).id


async def write(folder: Path, context: str, count: int) -> None:
    """Write entries, and say of each when it is acknowledged."""
    async with EmbeddedNode(folder) as node:
        for number in range(count):
            await node.execute(context, "put", {"id": number})
            print(number, flush=True)


def kill_at(point: int) -> None:
    """Have this process killed at its n-th point."""
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == point:
            os.kill(os.getpid(), signal.SIGKILL)

    for target, event in POINTS:
        sql.event.listen(target, event, count)


def child(folder: Path, name: str, context: str, *, point: int = 0, lines: int | None = None) -> bool:
    """Let a child write one entry and be killed at a point, or write for ever and be killed after some lines.

    Prints what it had acknowledged; whether it survived.
    """
    shutil.copytree(folder / "node", folder / name)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, sys.stdout.fileno())
        kill_at(point)
        asyncio.run(write(folder / name, context, 1 if lines is None else 10**9))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        told = list(itertools.islice(said, lines))
        if lines is not None:
            os.kill(pid, signal.SIGKILL)
        told += said
    _, status = os.waitpid(pid, 0)
    # A line that was cut off acknowledged nothing.
    print(name, *(line.strip() for line in told if line.endswith("\n")), flush=True)
    return os.WIFEXITED(status)


def main(folder: Path) -> None:
    context = asyncio.run(prepare(folder))
    print(context, flush=True)
    for point in itertools.count(1):
        if child(folder, f"point-{point}", context, point=point):
            break
    for lines in LINES:
        child(folder, f"lines-{lines}", context, lines=lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

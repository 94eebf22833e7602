#!/usr/bin/env python3
"""Run a command, and fail if it leaves a process running or a file of the repository changed.

`python -m scripts tidy make test` runs `make test`. Only files that git tracks or would track are checked.
Processes are checked on Linux only, where orphaned descendants become children of this process. Remaining
processes are ended and reported.
"""

import ctypes
import hashlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from medsync.errors import InputError, ToolError, VerificationError

PATIENCE = 5.0
"""Seconds to wait for processes to end by themselves."""

_PR_SET_CHILD_SUBREAPER = 36


def run(command: Sequence[str]) -> None:
    """Run a command in the current folder.

    Raises InputError without a command, ToolError if it fails, and VerificationError if it leaves processes
    or changed files.
    """
    if not command:
        raise InputError("No command was given: python -m scripts tidy COMMAND.")
    before = _files()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process = subprocess.Popen(command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the command; the check follows.
    status = process.wait()
    findings = [*_left_running(), *_left_changed(before, _files())]
    if findings:
        raise VerificationError(f"`{shlex.join(command)}` left changes behind:", findings=findings)
    if status:
        raise ToolError(f"`{shlex.join(command)}` failed with status {status}.")


def _files() -> dict[str, str]:
    """The hashes of all files that git does not ignore, by name."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    )
    paths = [Path(os.fsdecode(name)) for name in listed.stdout.split(b"\0") if name]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()}


def _left_changed(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"{name} is gone"
        elif name not in before:
            yield f"{name} is new"
        elif before[name] != after[name]:
            yield f"{name} is changed"


def _left_running() -> Iterator[str]:
    """Report the processes that do not end by themselves. They are killed, and so are their orphans."""
    waited = time.monotonic() + PATIENCE
    while (left := _children()) and time.monotonic() < waited:
        time.sleep(0.05)
    while left:
        for pid, command in left.items():
            yield f"process {pid} still runs: {command}"
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        left = _children()


def _children() -> dict[int, str]:
    """The commands of all running children of this process, by process id."""
    children = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = status.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue  # The process has ended.
        pid = int(status.parent.name)
        if parent == os.getpid() and os.waitpid(pid, os.WNOHANG) == (0, 0):
            children[pid] = command
    return children

"""Ctrl-C: what it does before a command works, and what is said when it stops one."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from medsync.errors import ExitCode, MedSyncError


class Interrupted(MedSyncError):
    """Stopped from the keyboard. What was sent by then may happen."""

    code = "INTERRUPTED"
    exit_code = ExitCode.INTERRUPTED


def interrupted(sent: Sequence[int] = (), resume_hint: str = "") -> Interrupted:
    """What to tell somebody who pressed Ctrl-C; `sent` are the hashes of transactions handed over by then.

    `resume_hint` says what to do where the command can go on from there.
    """
    if not sent:
        return Interrupted("Interrupted; nothing was sent.")
    hashes = ", ".join(map(hex, sent))
    return Interrupted(
        f"Interrupted. Already sent: {hashes}.",
        hint=resume_hint or "It may still happen: look it up before you send it again.",
    )


def watch_start() -> None:
    """Have Ctrl-C end the process at once until `watch_command`: it has done nothing yet.

    A KeyboardInterrupt would be raised in whichever module is being imported, and show its traceback.
    """
    # Where a shell starts a background process with interrupts ignored, they stay ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop_at_once)


def watch_command() -> None:
    """Have Ctrl-C raise KeyboardInterrupt: from here on there are things to close, and hashes to report."""
    if signal.getsignal(signal.SIGINT) is _stop_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore() -> None:
    """Have Ctrl-C do nothing any more: the command is done, and its answer is written."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stop_at_once(number: int, frame: FrameType | None) -> NoReturn:
    error = interrupted()
    text = json.dumps(error.to_json()) if "--json" in sys.argv else f"medsync: {error.message}"
    os.write(2, f"{text}\n".encode())
    os._exit(error.exit_code)

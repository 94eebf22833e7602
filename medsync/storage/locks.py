"""Locks between processes: one exclusive holder of a file, or any number of shared ones.

The operating system keeps a lock (`flock`) as long as the holder has the file open, so that it ends with its
process, however that ends. The file says who holds it, for the error of a process that waited in vain: names
are information only, and a name whose process is gone is passed over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

from medsync.errors import InputError

#: Seconds that a lock is waited for, unless the caller says otherwise.
WAIT: Final = 5.0

_INTERVAL: Final = 0.05


class InUse(InputError):
    """Another process, or another part of this one, holds a lock that was waited for in vain."""

    code = "IN_USE"


class Holder(NamedTuple):
    """Who holds a lock."""

    #: Process id.
    pid: int
    #: Name of the program and of its command, such as `medsync bridge run`; no arguments.
    command: str
    #: Unix seconds at which it got the lock.
    since: int

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{self.command} (process {self.pid}, since {since})"


class Lock:
    """A lock that is held until `release`, or until the end of a `with` block.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "example.lock"
        >>> with Lock(path, "The example"):
        ...     [holder.pid == os.getpid() for holder in holders(path)]
        [True]
    """

    def __init__(
        self,
        path: Path,
        what: str,
        *,
        shared: bool = False,
        wait: float | None = None,
        hint: str = "",
        waiting: Callable[[str], None] | None = None,
    ) -> None:
        """Take the lock of the file `path`, which is there as long as somebody has the lock.

        `what` names in errors what the lock protects. Exclusive locks keep everybody else out, `shared` ones
        only exclusive ones. It is waited for `wait` seconds (`WAIT` by default); `waiting` is called once,
        with who has it. Raises InUse, naming the holders, if it does not get free, with the hint to wait or
        to end them unless `hint` says something else; and InputError if there can be no such file.
        """
        self._path, self._shared, self._file = path, shared, -1
        deadline = time.monotonic() + (WAIT if wait is None else wait)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            while not self._try():
                if time.monotonic() >= deadline:
                    raise _in_use(path, what, hint)
                if waiting is not None:
                    waiting(_description(path, what))
                    waiting = None
                time.sleep(_INTERVAL)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no file can have that name"
            raise InputError(f"{what} cannot be locked by the file {path}: {reason}.") from None

    def fileno(self) -> int:
        """The descriptor of the file. A process that inherits it shares the lock, and keeps it alive."""
        return self._file

    def hand_over(self, pid: int, command: str) -> None:
        """Name a process that inherited the descriptor as the holder, and let go: it keeps the lock."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, _line(Holder(pid, command, int(time.time()))), 0)
        self._close()

    def release(self) -> None:
        """Let others have it; a second time does nothing."""
        if self._file < 0:
            return
        try:
            if self._shared:
                # Only this holder writes there, and only an exclusive one removes the file.
                offset, length = self._place
                os.pwrite(self._file, b" " * (length - 1) + b"\n", offset)
                # The last holder removes it; this fails while another process holds it.
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(self._path)
        except (BlockingIOError, FileNotFoundError):
            pass
        finally:
            self._close()

    def _close(self) -> None:
        os.close(self._file)
        self._file = -1

    def _try(self) -> bool:
        """Take the lock if it is free."""
        while True:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._file, (fcntl.LOCK_SH if self._shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                # The former holder may have removed it in between: then another one is to be locked.
                if self._is_there():
                    self._place = self._write(Holder(os.getpid(), _command(), int(time.time())))
                    return True
            except BlockingIOError:
                self._close()
                return False
            except BaseException:
                self._close()
                raise
            self._close()

    def _is_there(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self._file), os.stat(self._path))
        return False

    def _write(self, holder: Holder) -> tuple[int, int]:
        """Write who holds it; return where, and how many bytes."""
        line = _line(holder)
        if not self._shared:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, line, 0)
            return 0, len(line)
        # Appending is atomic among the shared holders.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, line)
            return os.lseek(file, 0, os.SEEK_CUR) - len(line), len(line)
        finally:
            os.close(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def holders(path: Path) -> list[Holder]:
    """Who says that it holds the lock of a file, and is a process that runs."""
    found = []
    with contextlib.suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                noted = json.loads(line)
                holder = Holder(int(noted["pid"]), str(noted["command"]), int(noted["since"]))
                if _runs(holder.pid):
                    found.append(holder)
    return found


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return pid > 0


def _in_use(path: Path, what: str, hint: str) -> InUse:
    pids = " ".join(str(holder.pid) for holder in holders(path) if holder.pid != os.getpid())
    end = f", or end it: kill {pids}" if pids else ""
    return InUse(_description(path, what), hint=hint or f"Wait until it is done and try again{end}.")


def _description(path: Path, what: str) -> str:
    return f"{what} is in use by {_listed(holders(path)) or 'another process'}."


def _listed(found: Iterable[Holder]) -> str:
    return " and ".join(map(str, found))


def _line(holder: Holder) -> bytes:
    return json.dumps(holder._asdict()).encode() + b"\n"


def _command() -> str:
    """The program and its command. Arguments stay out: they may say whose data it is about, or more."""
    program, *arguments = sys.argv or [""]
    path = Path(program)
    name = path.parent.name if path.name == "__main__.py" else path.name
    words = [
        word
        for before, word in zip(["", *arguments], arguments, strict=False)
        if re.fullmatch("[a-z][a-z-]{1,20}", word) and not before.startswith("-")
    ]
    return " ".join([name or "python", *words[:2]])

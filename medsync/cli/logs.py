"""What a command logs: on standard error for people, and as JSON lines in a file for programs.

Only records of the loggers below `medsync` are taken: what other libraries log may quote a URL with a key.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from medsync.cli import output
from medsync.storage.files import open_to_append


class Level(StrEnum):
    """How much is logged: records of this level and above."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def number(self) -> int:
        """The level as `logging` has it."""
        return logging.getLevelNamesMapping()[self.name]


#: Attributes that every record has; what else it has was given as `extra`.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Plain(logging.Formatter):
    """One record for people, in the form of an error: `medsync: warning: ...`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's message, and where an exception in it comes from."""
        text = f"medsync: {record.levelname.lower()}: {record.getMessage()}"
        return output.discreet("\n".join([text, *_trace(record)]))


class JsonLine(logging.Formatter):
    """One record as a line of JSON: `time` (UTC), `level`, `logger`, `message`, and what is in `extra`.

    Example:

        {"time": "2027-01-31T12:00:00.250Z", "level": "info", "logger": "medsync.starknet.transactions",
         "message": "Transaction 0x5e47 is in block 12.", "transaction": "0x5e47", "block": 12}
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": output.discreet(record.getMessage()),
            **{name: _discreet(value) for name, value in fields.items()},
        }
        if trace := _trace(record):
            line["trace"] = output.discreet("\n".join(trace))
        return json.dumps(line)


def _discreet(value: Any) -> Any:
    """A field's value as it may be shown."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_discreet(item) for item in value]
    return output.discreet(str(value))


def _trace(record: logging.LogRecord) -> list[str]:
    error = record.exc_info[1] if record.exc_info else None
    return "".join(output.trace(error)).splitlines() if error else []


class _Handler(logging.Handler, ABC):
    """Writes each record at once, and says once if that fails: a command does not end for want of its log."""

    def __init__(self, level: int, form: logging.Formatter, screen_form: logging.Formatter) -> None:
        super().__init__(level)
        self.setFormatter(form)
        self._screen_form = screen_form
        self._has_failed = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.write(self.format(record) + "\n")
        except Exception as error:
            # Python's own way to report this shows the record's arguments.
            if not self._has_failed:
                self._has_failed = True
                reason = getattr(error, "strerror", None) or type(error).__name__
                trouble = logging.makeLogRecord(
                    {"name": __name__, "levelname": "WARNING", "msg": f"The log cannot be written: {reason}."}
                )
                with suppress(OSError):
                    print(self._screen_form.format(trouble), file=sys.stderr)

    @abstractmethod
    def write(self, text: str) -> None:
        """Write one line, its end included."""


class _Screen(_Handler):
    """Standard error as it is at that moment: where a spinner turns, it is another than before."""

    def write(self, text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)

    def filter(self, record: logging.LogRecord) -> bool:
        # What the command line itself logs, it has shown in its own way.
        return not record.name.startswith("medsync.cli.") and bool(super().filter(record))


class _File(_Handler):
    """A file opened to be appended to. Each line is written in one piece, so that processes can share it."""

    def __init__(self, path: Path, level: int, screen_form: logging.Formatter) -> None:
        self._descriptor = open_to_append(path, "--log-file:")
        super().__init__(level, JsonLine(), screen_form)

    def write(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def close(self) -> None:
        os.close(self._descriptor)
        super().close()


@contextmanager
def logged(level: Level, file: Path | None, *, as_json: bool) -> Iterator[None]:
    """Have what MedSync logs inside the block written to standard error, and to a file if one is named.

    With a file, `level` is the file's, and standard error gets warnings and errors only. Raises InputError if
    the file cannot be written.
    """
    logger = logging.getLogger("medsync")
    form = JsonLine() if as_json else Plain()
    least = level.number if file is None else max(level.number, logging.WARNING)
    handlers: list[logging.Handler] = [_Screen(least, form, form)]
    if file is not None:
        handlers.append(_File(file, level.number, form))
    before = logger.level
    logger.setLevel(level.number)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(before)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()

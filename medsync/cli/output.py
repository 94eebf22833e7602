"""What commands answer: values that know how to be shown, as tables for people or as JSON for programs.

Answers go to standard output, everything else to standard error. In JSON, felts are hexadecimal text, times
ISO 8601 in UTC, and amounts decimal text in the token's smallest unit: JSON readers cannot count that far.

Much of what is shown was written by others, into files or by a node: a terminal never gets it raw.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, IntFlag
from typing import Any, Final

from medsync.errors import MedSyncError
from medsync.protocol.vocabulary import Category

#: What a command answers: one thing, or a list of them.
Answer = Mapping[str, Any] | Sequence[Mapping[str, Any]]

#: Width of tables where there is no terminal to fit them into: nothing is cut or folded.
WIDTH: Final = 1_000

#: Longest line of an error: what is quoted in one may be a whole file.
LINE: Final = 1_000

#: Fields whose integers are times, amounts and plain numbers; all others are felts.
TIMES: Final = frozenset(
    {
        *("at", "starts_at", "expires_at", "campaign_expires_at", "open_until", "deadline"),
        *("registered_at", "active_since", "profiled_at", "ready_at", "lapses_at", "closing_at"),
        *("timestamp", "anchored_at"),
    }
)
AMOUNTS: Final = frozenset(
    {"amount", "rate", "share", "payee_share", "custodian_share", "refunded", "claimable"}
)
NUMBERS: Final = frozenset(
    {
        *("version", "generation", "counter", "floor", "delegate_epoch", "epoch", "nonce"),
        *("max_uses", "uses", "left", "paid", "base", "settled", "custodian_settled"),
        *("granted", "taken", "spent", "custodian_bps"),
        *("seq", "count", "emergency", "registration", "block_number"),
        *("size", "threshold", "nodes", "node", "signers"),
    }
)


class Hex(int):
    """A felt: address, hash, commitment."""


class Whole(Hex):
    """A felt that another command is given: tables do not shorten it."""


class Time(int):
    """Unix seconds; zero means no time."""


@dataclass(frozen=True)
class Amount:
    """An amount in a token's smallest unit, and what a whole token is called and made of."""

    value: int
    decimals: int = 0
    symbol: str = ""

    def __str__(self) -> str:
        whole, parts = divmod(self.value, 10**self.decimals)
        fraction = f"{parts:0{self.decimals}d}".rstrip("0") if parts else ""
        return f"{whole}{'.' if fraction else ''}{fraction} {self.symbol}".strip()


#: How many decimal places a whole STRK has.
STRK_DECIMALS: Final = 18


def in_strk(fri: int) -> Amount:
    """An amount of STRK, given in its smallest unit (FRI)."""
    return Amount(fri, STRK_DECIMALS, "STRK")


def printable(text: str) -> str:
    """Text without what a terminal would obey or hide, which is written as Python escapes it instead."""
    if text.isprintable():
        return text
    return "".join(char if char == "\n" or char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    # Spaces of other scripts are not printable to Python, but harmless.
    return char if unicodedata.category(char) == "Zs" else char.encode("unicode_escape").decode()


def discreet(text: str) -> str:
    """Printable text in which every URL has lost what may be secret, and no line is longer than `LINE`."""
    if ":/" in text:
        from medsync.starknet.transport import shown_url

        # One slash is what is left of two where a URL was taken for a path.
        # Punctuation at its end is the sentence's, and would make the port unreadable.
        urls = r"\b(https?|wss?|ftp):/+(?!/)([^\s'\"]+?)([.,;:!?)]*)(?=[\s'\"]|$)"
        text = re.sub(urls, lambda found: shown_url(f"{found[1]}://{found[2]}") + found[3], text)
    return "\n".join(line if len(line) <= LINE else f"{line[:LINE]}…" for line in printable(text).split("\n"))


def trace(error: BaseException) -> Iterator[str]:
    """Where an error comes from, as Python shows it, in pieces that end with a line's end.

    The text of errors that are not MedSync's may quote a secret: of those there is only the type.
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from trace(cause)
        yield "which led to:\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    yield type(error).__name__ + (f": {error}\n" if isinstance(error, MedSyncError) else "\n")


def members(value: Any) -> dict[str, Any]:
    """A dataclass of the SDK as a mapping, its integers told apart by the names of their fields."""
    found: dict[str, Any] = {}
    for field in fields(value):
        content = getattr(value, field.name)
        if field.name == "location":
            found |= members(content) if content is not None else {}
        elif type(content) is int:
            kind = (
                Time
                if field.name in TIMES
                else Amount
                if field.name in AMOUNTS
                else int
                if field.name in NUMBERS
                else Hex
            )
            found[field.name] = kind(content)
        elif is_dataclass(content):
            found[field.name] = members(content)
        else:
            found[field.name] = content
    return found


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Hex):
        return hex(value)
    if isinstance(value, Time):
        return _iso(value)
    if isinstance(value, Amount):
        return str(value.value)
    if isinstance(value, Category):
        return list(value.names)
    if isinstance(value, IntFlag):
        return [str(member.name) for member in type(value) if member in value]
    if isinstance(value, Enum):
        return value.value if isinstance(value, str) else value.name
    if is_dataclass(value) and not isinstance(value, type):
        return plain(members(value))
    return value


def shown(value: Any, *, short: bool = False) -> str:
    """A value as a person reads it; `short` leaves out the middle of felts."""
    if isinstance(value, Hex) and not isinstance(value, Whole) and short and value >= 16**16:
        text = f"{value:#x}"
        return f"{text[:8]}…{text[-6:]}"
    if isinstance(value, Amount):
        return str(value)
    if isinstance(value, Mapping):
        return " ".join(f"{name}={shown(content, short=short)}" for name, content in value.items())
    if _is_table(value):
        return "; ".join(shown(row, short=short) for row in value)
    value = plain(value)
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return printable(", ".join(map(str, value)))
    return printable(str(value))


def show(answer: Answer, *, as_json: bool) -> None:
    """Print an answer to standard output."""
    if as_json:
        print(json.dumps(plain(answer), indent=2), flush=True)
        return
    if isinstance(answer, Mapping):
        _show_one(answer)
    elif answer:
        _show_table(answer)
    else:
        print("Nothing found.")
    sys.stdout.flush()


def show_line(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one of many answers on one line, at once."""
    if as_json:
        print(json.dumps(plain(answer)), flush=True)
    else:
        text = "  ".join(f"{name}={shown(value, short=True)}" for name, value in answer.items())
        print(text, flush=True)


class OutputError(MedSyncError):
    """The answer could not be written. What the command did is done.

    `sent` are the hashes of the transactions that were handed over.
    """

    code = "OUTPUT"

    def __init__(self, reason: str, sent: Sequence[int] = ()) -> None:
        done = f" Sent before: {', '.join(map(hex, sent))}." if sent else ""
        hint = "Look those transactions up before you run the command again." if sent else ""
        super().__init__(f"Standard output cannot be written: {reason}.{done}", hint=hint)


def show_error(error: MedSyncError, *, as_json: bool) -> None:
    """Print an error to standard error: what happened, and what to do."""
    if as_json:
        shown = {name: _discreet_json(value) for name, value in error.to_json().items()}
        print(json.dumps(shown), file=sys.stderr, flush=True)
        return
    print(f"medsync: {discreet(error.message)}", file=sys.stderr)
    if error.hint:
        print(discreet(error.hint), file=sys.stderr)


def _discreet_json(value: str | int | list[str]) -> str | int | list[str]:
    if isinstance(value, list):
        return [discreet(line) for line in value]
    return discreet(value) if isinstance(value, str) else value


def say(text: str, *, as_json: bool) -> None:
    """Tell a person something beside the answer, on standard error."""
    if not as_json:
        print(discreet(text), file=sys.stderr, flush=True)


@contextmanager
def busy(what: str, *, as_json: bool) -> Iterator[None]:
    """Show on a terminal that something takes its time."""
    if as_json or not sys.stderr.isatty() or os.environ.get("TERM") in ("dumb", "unknown"):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what} …"):
        yield


def _iso(time: int) -> str | None:
    from datetime import UTC, datetime

    if not time:
        return None
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(int(time))  # No calendar goes that far.


def _show_one(answer: Mapping[str, Any]) -> None:
    width = max((len(name) for name, value in answer.items() if not _is_table(value)), default=0)
    for name, value in answer.items():
        title = name.replace("_", " ")
        if _is_table(value):
            print(f"{title}:")
            _show_table(value)
        elif isinstance(value, Mapping):
            print(f"{title}:")
            for inner, content in value.items():
                print(f"  {inner.replace('_', ' ')}: {shown(content)}")
        else:
            print(f"{title:<{width}}  {shown(value)}")


def _is_table(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _show_table(rows: Sequence[Mapping[str, Any]]) -> None:
    # Imported here, because rich takes a while to import and most answers are not tables.
    from rich.console import Console
    from rich.table import Table

    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    cells = [[shown(row.get(name), short=True) for name in names] for row in rows]
    for row_cells in cells:
        table.add_row(*row_cells)
    width = None if sys.stdout.isatty() else WIDTH
    Console(width=width, highlight=False, markup=False, emoji=False, soft_wrap=True).print(table)
    if sys.stdout.isatty() and any("…" in cell for row_cells in cells for cell in row_cells):
        print("…: shortened; --json shows all of it.", file=sys.stderr)

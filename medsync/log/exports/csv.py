"""A patient's histories as CSV (RFC 4180), for spreadsheets: one table per history, one row per entry.

Values are written as in the JSON format; sets are separated by spaces, and fields that an entry does not
have are empty. No value starts with a character that a spreadsheet would interpret as a formula. Tables can
be read back without loss and verified with `medsync.log.completeness`, but only the JSON format is
self-contained.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medsync.log.exports._records import (
    LOCATION,
    Value,
    columns,
    from_record,
    names_of,
    to_record,
    types_of,
)
from medsync.protocol.chains import Chain, ChainEvent
from medsync.protocol.felt import InvalidValue
from medsync.protocol.vocabulary import Category, Power

#: Decimal digits of the largest number a record can hold.
_U64_DIGITS = 20

_BOOLS = {"true": True, "false": False}


def dumps(chain: Chain, entries: Iterable[ChainEvent]) -> str:
    """The entries of one history as CSV with a heading row, one row per entry."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(chain), restval="")
    writer.writeheader()
    for entry in entries:
        writer.writerow({name: _cell(value) for name, value in to_record(entry).items()})
    return text.getvalue()


def loads(chain: Chain, text: str) -> list[ChainEvent]:
    """Read the entries written by `dumps`. Raises `InvalidValue` naming the invalid row and column."""
    header, known = _columns(chain), names_of(chain)
    entries: list[ChainEvent] = []
    for number, row in _rows(text, header):
        kind = known.get(row["event"])
        if kind is None:
            raise InvalidValue(f"row {number}.event must be one of {', '.join(known)}")
        own = columns(kind)
        foreign = [name for name in header if name not in own and row[name]]
        if foreign:
            raise InvalidValue(f"row {number}: {row['event']} does not have {', '.join(foreign)}")
        record = _values(kind, {name: row[name] for name in own})
        entries.append(from_record(chain, record, f"row {number}"))
    return entries


def _columns(chain: Chain) -> list[str]:
    """One row per entry of any kind: what it is, all fields that one of the kinds has, where it was found."""
    own = dict.fromkeys(name for kind in chain.kinds for name in types_of(kind))
    return ["event", *own, *LOCATION]


def _cell(value: Value) -> str | int | None:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else value


def _rows(text: str, header: Sequence[str]) -> Iterable[tuple[int, dict[str, str]]]:
    """The rows below the heading with their row numbers, starting at 2 as in spreadsheets."""
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise InvalidValue(f"invalid CSV: {error}") from None
    if not table or table[0] != list(header):
        raise InvalidValue(f"the heading row must be {','.join(header)}")
    for number, cells in enumerate(table[1:], 2):
        if len(cells) != len(header):
            raise InvalidValue(f"row {number} has {len(cells)} cells, not {len(header)}")
        yield number, dict(zip(header, cells, strict=True))


def _values(kind: type[ChainEvent], row: Mapping[str, str]) -> dict[str, Any]:
    """Convert cells to the values of the JSON format."""
    types = types_of(kind)
    values: dict[str, Any] = {}
    for name, cell in row.items():
        if types.get(name) in (Category, Power):
            values[name] = cell.split(" ") if cell else []
        elif types.get(name) is bool:
            values[name] = _BOOLS.get(cell, cell)
        elif cell.isascii() and cell.isdecimal() and len(cell) <= _U64_DIGITS:
            values[name] = int(cell)
        else:
            values[name] = cell or (None if name in LOCATION else cell)
    return values

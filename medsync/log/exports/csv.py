"""A patient's access log and consents as CSV (RFC 4180), for spreadsheets.

Values are written as in the JSON format; categories are separated by spaces, and unknown values are empty. No
value starts with a character that a spreadsheet would interpret as a formula. Both tables can be read back
without loss; the log can then be verified with `medsync.log.completeness`, but only the JSON format is
self-contained.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medsync.log.exports._records import CONSENT_EVENTS, Value, columns, from_record, to_record
from medsync.protocol.events import ConsentEvent, EventLocation, LogEntry
from medsync.protocol.felt import InvalidValue

#: One row per event of any kind: fields that an event does not have are empty.
_CONSENT_COLUMNS = [
    "event",
    *dict.fromkeys(name for kind in CONSENT_EVENTS.values() for name in columns(kind)),
]

#: Decimal digits of the largest number a record can hold.
_U64_DIGITS = 20


def dumps_log(entries: Iterable[LogEntry]) -> str:
    """The access log as CSV with a heading row, one row per entry."""
    return _dumps(columns(LogEntry), (to_record(entry) for entry in entries))


def loads_log(text: str) -> list[LogEntry]:
    """Read the entries written by `dumps_log`. Raises `InvalidValue` naming the invalid row and column."""
    rows = _rows(text, columns(LogEntry))
    return [from_record(LogEntry, _values(row), f"row {number}") for number, row in rows]


def dumps_consents(events: Iterable[ConsentEvent]) -> str:
    """The consent history as CSV with a heading row, one row per event."""
    return _dumps(_CONSENT_COLUMNS, ({"event": type(event).__name__, **to_record(event)} for event in events))


def loads_consents(text: str) -> list[ConsentEvent]:
    """Read the events written by `dumps_consents`. Raises `InvalidValue` naming the row and column."""
    events: list[ConsentEvent] = []
    for number, row in _rows(text, _CONSENT_COLUMNS):
        kind = CONSENT_EVENTS.get(row["event"])
        if kind is None:
            raise InvalidValue(f"row {number}.event must be one of {', '.join(CONSENT_EVENTS)}")
        own = columns(kind)
        foreign = [name for name in _CONSENT_COLUMNS[1:] if name not in own and row[name]]
        if foreign:
            raise InvalidValue(f"row {number}: {row['event']} does not have {', '.join(foreign)}")
        events.append(from_record(kind, _values({name: row[name] for name in own}), f"row {number}"))
    return events


def _dumps(header: Sequence[str], records: Iterable[Mapping[str, Value]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="")
    writer.writeheader()
    for record in records:
        writer.writerow(
            {name: " ".join(value) if isinstance(value, list) else value for name, value in record.items()}
        )
    return text.getvalue()


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


def _values(row: Mapping[str, str]) -> dict[str, Any]:
    """Convert cells to the values of the JSON format: numbers, lists of categories, None for empty cells."""
    values: dict[str, Any] = {}
    for name, cell in row.items():
        if name == "categories":
            values[name] = cell.split(" ") if cell else []
        elif cell.isascii() and cell.isdecimal() and len(cell) <= _U64_DIGITS:
            values[name] = int(cell)
        else:
            values[name] = cell or (None if name in EventLocation.__slots__ else cell)
    return values

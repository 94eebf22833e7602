"""Conversion of entries to flat records of plain values and back, shared by the JSON and CSV formats.

Felts are written in hexadecimal, other numbers as they are, purposes by code, words by name, sets as a list
of names. Every value has exactly one representation.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import IntEnum
from types import NoneType
from typing import Any, Final, get_type_hints

from medsync.protocol.chains import KINDS, Chain, ChainEvent
from medsync.protocol.events import EventLocation, event_name
from medsync.protocol.felt import InvalidValue, check_uint, parse_felt
from medsync.protocol.vocabulary import Category, Power, Purpose

#: A value of a record.
Value = str | int | bool | list[str] | None

#: Where an entry was found: no part of its digest.
LOCATION: Final = ("block_number", "transaction_hash")

#: Fields that are numbers; every other integer is a felt.
_NUMBERS: Final = frozenset(
    {
        *("seq", "at", "version", "generation", "nonce", "max_uses", "starts_at", "expires_at", "epoch"),
        *("registration", "emergency", "ready_at", "lapses_at", "block_number"),
    }
)


def names_of(chain: Chain) -> dict[str, type[ChainEvent]]:
    """The types of a history's entries by name, which is also their name on the chain."""
    return {event_name(kind): kind for kind in chain.kinds}


def types_of(kind: type[ChainEvent]) -> Mapping[str, Any]:
    """An entry's own fields in order, with their types: all of them are part of its digest."""
    return _TYPES[kind]


def _own_fields(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.name != "location"}


_TYPES: Final[Mapping[type, Mapping[str, Any]]] = {kind: _own_fields(kind) for kind in KINDS}


def columns(kind: type[ChainEvent]) -> list[str]:
    """The names of a record's values in order: what the entry is, its fields, then where it was found."""
    return ["event", *types_of(kind), *LOCATION]


def to_record(entry: ChainEvent) -> dict[str, Value]:
    """Convert an entry to a flat record, in the order of `columns`."""
    record: dict[str, Value] = {"event": event_name(entry)}
    record |= {name: _write(name, getattr(entry, name)) for name in types_of(type(entry))}
    return record | {name: _write(name, getattr(entry.location, name, None)) for name in LOCATION}


def from_record(chain: Chain, record: Mapping[str, Any], where: str) -> ChainEvent:
    """Read an entry written by `to_record`. Raises `InvalidValue` naming `where` and the invalid value."""
    known = names_of(chain)
    kind = known.get(str(record.get("event")))
    if kind is None:
        raise InvalidValue(f"{where}.event must be one of {', '.join(known)}")
    expected = columns(kind)
    if set(record) != set(expected):
        wrong = sorted(set(record) ^ set(expected))
        raise InvalidValue(f"{where}: missing or unknown: {', '.join(map(str, wrong))}")
    values = {
        name: _read(name, inner, record[name], f"{where}.{name}") for name, inner in types_of(kind).items()
    }
    place = [
        None if record[name] is None else _read(name, int, record[name], f"{where}.{name}")
        for name in LOCATION
    ]
    try:
        # Either both are known or neither: EventLocation refuses None.
        location = None if place == [None, None] else EventLocation(*place)  # type: ignore[arg-type]
        make: Callable[..., ChainEvent] = kind
        return make(**values, location=location)
    except InvalidValue as error:
        raise InvalidValue(f"{where}: {error}") from None


def _write(name: str, value: Any) -> Value:
    if isinstance(value, NoneType | bool):
        return value
    if isinstance(value, Category):
        return list(value.names)
    if isinstance(value, Power):
        return [str(power.name) for power in value]
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, Purpose):
        return value.value
    return int(value) if name in _NUMBERS else hex(value)


def _read(name: str, kind: Any, value: Any, where: str) -> Any:
    if kind is bool:
        if not isinstance(value, bool):
            raise InvalidValue(f"{where} must be true or false")
        return value
    if kind in (Category, Power):
        return _read_set(kind, value, where)
    if kind is not int:
        if not isinstance(value, str) or value not in kind.__members__:
            raise InvalidValue(f"{where}: {value!r} is not one of {', '.join(kind.__members__)}")
        return kind[value]
    if name not in _NUMBERS:
        return parse_felt(value, where)
    check_uint(value, 64, where)
    return value


def _read_set(kind: type[Category] | type[Power], value: Any, where: str) -> Category | Power:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidValue(f"{where} must be a list of names")
    unknown = [item for item in value if item not in kind.__members__]
    if unknown:
        raise InvalidValue(f"{where}: {unknown[0]!r} is not one of {', '.join(kind.__members__)}")
    read = kind(0)
    for item in value:
        read |= kind[item]
    return read

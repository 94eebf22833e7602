"""Conversion of events to flat records of plain values and back, shared by the JSON and CSV formats.

Felts are written in hexadecimal, other numbers as they are, purposes by code, decisions and reasons by name,
categories as a list of names. Every value has exactly one representation.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, TypeVar

from medsync.protocol.events import (
    AllConsentsRevoked,
    ConsentAdded,
    ConsentEvent,
    ConsentRevoked,
    EventLocation,
    LogEntry,
)
from medsync.protocol.felt import InvalidValue, check_uint, parse_felt
from medsync.protocol.vocabulary import Category, Decision, Purpose, Reason

#: A value of a record.
Value = str | int | list[str] | None

#: The events of a consent history by name, which is also their name on the chain.
CONSENT_EVENTS: Final[Mapping[str, type[ConsentEvent]]] = {
    event.__name__: event for event in (ConsentAdded, ConsentRevoked, AllConsentsRevoked)
}

_FELTS: Final = frozenset(
    {
        "patient",
        "accessor",
        "grantee",
        "by",
        "record",
        "campaign",
        "justification",
        "terms_commitment",
        "transaction_hash",
    }
)
_WORDS: Final[Mapping[str, type[Decision] | type[Reason]]] = {"decision": Decision, "reason": Reason}


_Event = TypeVar("_Event", bound=LogEntry | ConsentEvent)


def columns(kind: type[Any]) -> list[str]:
    """The names of a record's values in order: the event's fields, then its location on the chain."""
    own = [field.name for field in fields(kind) if field.name != "location"]
    return own + [field.name for field in fields(EventLocation)]


def to_record(event: LogEntry | ConsentEvent) -> dict[str, Value]:
    """Convert an event to a flat record, in the order of `columns`."""
    record: dict[str, Value] = {}
    for name in columns(type(event)):
        owner = event if name in event.__slots__ else event.location
        record[name] = _write(name, getattr(owner, name, None))
    return record


def from_record(kind: type[_Event], record: Mapping[str, Any], where: str) -> _Event:
    """Read an event written by `to_record`. Raises `InvalidValue` naming `where` and the invalid value."""
    expected = columns(kind)
    if set(record) != set(expected):
        wrong = sorted(set(record) ^ set(expected))
        raise InvalidValue(f"{where}: missing or unknown: {', '.join(map(str, wrong))}")
    values = {name: _read(name, record[name], f"{where}.{name}") for name in expected}
    place = {field.name: values.pop(field.name) for field in fields(EventLocation)}
    try:
        location = None if set(place.values()) == {None} else EventLocation(**place)
        return kind(**values, location=location)
    except InvalidValue as error:
        raise InvalidValue(f"{where}: {error}") from None


def _write(name: str, value: Any) -> Value:
    if value is None:
        return None
    if isinstance(value, Category):
        return list(value.names)
    if isinstance(value, Decision | Reason):
        return value.name
    if isinstance(value, Purpose):
        return value.value
    return hex(value) if name in _FELTS else int(value)


def _read(name: str, value: Any, where: str) -> Any:
    if value is None and name in EventLocation.__slots__:
        return None
    if name in _FELTS:
        return parse_felt(value, where)
    if name == "categories":
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InvalidValue(f"{where} must be a list of category names")
        try:
            return Category.from_names(value)
        except InvalidValue as error:
            raise InvalidValue(f"{where}: {error}") from None
    if name == "purpose":
        if not isinstance(value, str) or value not in Purpose.__members__:
            raise InvalidValue(f"{where}: {value!r} is not a purpose")
        return Purpose[value]
    if name in _WORDS:
        if not isinstance(value, str) or value not in _WORDS[name].__members__:
            raise InvalidValue(f"{where}: {value!r} is not a {name}")
        return _WORDS[name][value]
    check_uint(value, 64, where)
    return value

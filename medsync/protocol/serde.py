"""Cairo's `Serde` in both directions: typed values become calldata, return values and events typed values.

What is read and written is described by ordinary annotations. `int`, `bool` and the protocol's enums take
one felt, a dataclass its fields in order, `tuple[A, B]` its parts, `list[A]` a length and so many items,
`A | None` Cairo's `Option` (0 and the value, or 1). Tests hold the annotations against the contracts' ABI.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from enum import IntEnum, IntFlag
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from medsync.errors import NetworkError
from medsync.protocol.vocabulary import Purpose

T = TypeVar("T")


class DecodingError(NetworkError):
    """A node's answer is not what the contract's interface says."""


def decode(kind: type[T], felts: Iterable[int]) -> T:
    """The value of type `kind` that `felts` hold. Raises `DecodingError` if they do not, or hold more."""
    rest = iter(felts)
    try:
        value: T = reader(kind)(rest)  # type: ignore[arg-type]
    except StopIteration:
        raise DecodingError(f"the felts end inside a {_name(kind)}") from None
    except ValueError as error:
        raise DecodingError(f"the felts hold no {_name(kind)}: {error}") from None
    if next(rest, None) is not None:
        raise DecodingError(f"more felts than a {_name(kind)} has")
    return value


@cache
def reader(kind: Any) -> Callable[[Iterator[int]], Any]:
    """What takes one value of type `kind` from an iterator of felts.

    It raises StopIteration where they end early and ValueError where they hold no such value.
    """
    if kind is NoneType or kind is None:
        return lambda felts: None
    if kind is int:
        return next
    if kind is bool:
        return _member({0: False, 1: True})
    if get_origin(kind) is UnionType:
        (inner,) = (reader(part) for part in get_args(kind) if part is not NoneType)
        option = _member({0: True, 1: False})
        return lambda felts: inner(felts) if option(felts) else None
    if get_origin(kind) is list:
        (item,) = map(reader, get_args(kind))
        return lambda felts: [item(felts) for _ in range(next(felts))]
    if get_origin(kind) is tuple:
        parts = [reader(part) for part in get_args(kind)]
        return lambda felts: tuple([part(felts) for part in parts])
    if is_dataclass(kind):
        members = [reader(inner) for _, inner in _members(kind)]
        make: Callable[..., Any] = kind  # type: ignore[assignment]
        return lambda felts: make(*[member(felts) for member in members])
    if issubclass(kind, Purpose):
        return _member({purpose.felt: purpose for purpose in Purpose})
    if issubclass(kind, IntEnum):
        return _member({member.value: member for member in kind})
    if issubclass(kind, IntFlag):
        return _flags(kind)
    raise TypeError(f"no Cairo type is read as {kind!r}")


def encode(value: Any, kind: Any = None) -> list[int]:
    """The felts of a value, as Cairo's `Serde` writes them; `kind` is its type if that is not `type(value)`.

    Every field of a dataclass is written, in order. Raises TypeError for a type that Cairo does not have.

    Example:
        >>> from medsync.protocol.types import Head
        >>> encode(Head(count=3, head=99))
        [3, 99]
        >>> encode([Head(1, 2)], list[Head]), encode(None, Head | None)
        ([1, 1, 2], [1])
    """
    written: Any = type(value) if kind is None else kind
    return writer(written)(value)


@cache
def writer(kind: Any) -> Callable[[Any], list[int]]:
    """What gives the felts of one value of type `kind`: the inverse of `reader`."""
    if kind is NoneType or kind is None:
        return lambda value: []
    if kind is int or kind is bool:
        return lambda value: [int(value)]
    if get_origin(kind) is UnionType:
        (inner,) = (writer(part) for part in get_args(kind) if part is not NoneType)
        return lambda value: [1] if value is None else [0, *inner(value)]
    if get_origin(kind) is list:
        (item,) = map(writer, get_args(kind))
        return lambda value: [len(value), *(felt for part in value for felt in item(part))]
    if get_origin(kind) is tuple:
        parts = [writer(part) for part in get_args(kind)]
        return lambda value: [felt for write, part in zip(parts, value, strict=True) for felt in write(part)]
    if is_dataclass(kind):
        members = [(name, writer(inner)) for name, inner in _members(kind)]
        return lambda value: [felt for name, write in members for felt in write(getattr(value, name))]
    if issubclass(kind, Purpose):
        return lambda value: [value.felt]
    if issubclass(kind, IntEnum | IntFlag):
        return lambda value: [int(value)]
    raise TypeError(f"no Cairo type is written as {kind!r}")


def _members(kind: Any) -> list[tuple[str, Any]]:
    """Names and types of a dataclass's fields that are on the chain; where an event was found is not."""
    hints = get_type_hints(kind)
    return [(field.name, hints[field.name]) for field in fields(kind) if field.name != "location"]


def _flags(kind: type[IntFlag]) -> Callable[[Iterator[int]], Any]:
    published = sum(kind)

    def read(felts: Iterator[int]) -> Any:
        felt = next(felts)
        if felt & ~published:
            raise ValueError(f"{felt:#x} has a bit that is not one of its values")
        return kind(felt)

    return read


def _member(values: dict[int, Any]) -> Callable[[Iterator[int]], Any]:
    def read(felts: Iterator[int]) -> Any:
        felt = next(felts)
        if felt not in values:
            raise ValueError(f"{felt:#x} is not one of its values")
        return values[felt]

    return read


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind)

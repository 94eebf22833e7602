"""Whether a Python type can hold what an entry point returns, by the contract's ABI."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from medsync import artifacts
from medsync.protocol.src5 import split_types

_FELT: Final = "felt"
_FELTS: Final = {
    "core::felt252",
    "core::bytes_31::bytes31",
    "core::starknet::class_hash::ClassHash",
    "core::starknet::contract_address::ContractAddress",
    *(f"core::integer::u{bits}" for bits in (8, 16, 32, 64, 128)),
}
_ARRAYS: Final = ("core::array::Array::<", "core::array::Span::<")
_OPTION: Final = "core::option::Option::<"

#: How a value is laid out in felts: members in order, and which of them repeat or may be missing.
Shape = tuple[Any, ...]


def answer_fits(contract: str, entry_point: str, answer: Any) -> bool:
    """Whether values of type `answer` are read from the felts that the entry point returns.

    None fits everything: the answer is not wanted. What this package has no ABI of is not judged.
    """
    return answer is NoneType or _fits(contract, entry_point, answer)


@functools.cache
def _fits(contract: str, entry_point: str, answer: Any) -> bool:
    if contract not in artifacts.manifest()["contracts"]:
        return True
    abi = artifacts.load(contract).abi
    types = {entry["name"]: entry for entry in abi if entry["type"] in ("struct", "enum")}
    for entry in abi:
        for function in entry.get("items", [entry]):
            if (function["type"], function["name"]) == ("function", entry_point):
                outputs = [output["type"] for output in function["outputs"]]
                return _python_shape(answer) == _cairo_shapes(outputs, types)
    return True


def _cairo_shape(name: str, types: Mapping[str, Any]) -> Shape:
    if name in _FELTS:
        return (_FELT,)
    if name == "core::bool":
        return (bool,)
    if name.startswith(_ARRAYS):
        return ((list, _cairo_shape(name.partition("<")[2][:-1], types)),)
    if name.startswith(_OPTION):
        return ((None, _cairo_shape(name[len(_OPTION) : -1], types)),)
    if name.startswith("("):
        return _cairo_shapes(split_types(name[1:-1]), types)
    if name in types and types[name]["type"] == "struct":
        return _cairo_shapes([member["type"] for member in types[name]["members"]], types)
    if name in types and all(variant["type"] == "()" for variant in types[name]["variants"]):
        return (_FELT,)
    # Nothing in Python is read from it.
    return (name,)


def _cairo_shapes(names: Iterable[str], types: Mapping[str, Any]) -> Shape:
    return tuple(part for name in names for part in _cairo_shape(name, types))


def _python_shape(kind: Any) -> Shape:
    if kind is bool:
        return (bool,)
    if get_origin(kind) is UnionType:
        (inner,) = (part for part in get_args(kind) if part is not NoneType)
        return ((None, _python_shape(inner)),)
    if get_origin(kind) is list:
        return ((list, _python_shape(get_args(kind)[0])),)
    if get_origin(kind) is tuple:
        return _python_shapes(get_args(kind))
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return _python_shapes(hints[field.name] for field in fields(kind) if field.name != "location")
    if isinstance(kind, type) and (kind is int or issubclass(kind, Enum)):
        return (_FELT,)
    return (kind,)


def _python_shapes(kinds: Iterable[Any]) -> Shape:
    return tuple(part for kind in kinds for part in _python_shape(kind))

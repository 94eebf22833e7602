"""SRC-5 ids by the letter of SNIP-5, from a contract's ABI: the XOR of its extended function selectors.

An extended selector is the keccak of `name(types)->type` with every type taken apart to core types: a struct
is the tuple of its members, an enum `E(variants)`, `()` stands for nothing, and a span is a struct around a
snapshot.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import xor
from typing import Any

from eth_hash.auto import keccak

_CORE = {
    "core::felt252": "felt252",
    "core::integer::u8": "u8",
    "core::integer::u16": "u16",
    "core::integer::u32": "u32",
    "core::integer::u64": "u64",
    "core::integer::u128": "u128",
    "core::integer::u256": "(u128,u128)",
    "core::bool": "E((),())",
    "core::starknet::contract_address::ContractAddress": "ContractAddress",
}


def starknet_keccak(text: str) -> int:
    """Keccak-256 cut to 250 bits."""
    return int.from_bytes(keccak(text.encode("ascii")), "big") % 2**250


def id_of(signatures: Sequence[str]) -> int:
    """The id of an interface with these functions."""
    return reduce(xor, map(starknet_keccak, signatures))


def interface_id(abi: Sequence[Mapping[str, Any]], interface: str) -> int:
    """The id of the interface with this name (its last part)."""
    (entry,) = [
        item for item in abi if item["type"] == "interface" and item["name"].endswith(f"::{interface}")
    ]
    types = {item["name"]: item for item in abi if item["type"] in ("struct", "enum")}
    return id_of([_signature(types, function) for function in entry["items"]])


def _signature(types: Mapping[str, Any], function: Mapping[str, Any]) -> str:
    inputs = ",".join(_take_apart(types, item["type"]) for item in function["inputs"])
    outputs = [_take_apart(types, item["type"]) for item in function["outputs"]]
    return f"{function['name']}({inputs})" + "".join(f"->{output}" for output in outputs)


def _take_apart(types: Mapping[str, Any], name: str) -> str:
    if name == "()":
        return name
    if name in _CORE:
        return _CORE[name]
    if name.startswith("("):
        return f"({','.join(_take_apart(types, part) for part in name[1:-1].split(', '))})"
    if name.startswith("core::array::Array::<"):
        return f"Array<{_take_apart(types, name[21:-1])}>"
    if name.startswith("core::array::Span::<"):
        return f"(@Array<{_take_apart(types, name[20:-1])}>)"
    if name.startswith("core::option::Option::<"):
        return f"E({_take_apart(types, name[23:-1])},())"
    entry = types[name]
    parts = entry["members"] if entry["type"] == "struct" else entry["variants"]
    inner = ",".join(_take_apart(types, part["type"]) for part in parts)
    return f"({inner})" if entry["type"] == "struct" else f"E({inner})"

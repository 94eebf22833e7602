"""SRC-5 interface ids (SNIP-5), computed from a contract's ABI."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from medsync.protocol.felt import InvalidValue
from medsync.protocol.hashing import starknet_keccak

#: SRC-5's own interface id, fixed by SNIP-5.
SRC5_ID: Final = 0x3F918D17E5EE77373B56385708F855659A07F75997F365CF87748628532A055


def interface_id(abi: Sequence[Mapping[str, Any]], interface: str) -> int:
    """The SRC-5 id of an interface in a contract's ABI: the XOR of its extended function selectors.

    `interface` is the trait's full path or its last part. An extended function selector is the keccak of the
    function's signature, with its parameter and return types reduced to core types (see `type_name`). Source:
    SNIP-5. Raises `InvalidValue` unless the ABI has exactly one such interface.
    """
    found = [
        entry
        for entry in abi
        if entry["type"] == "interface" and f"::{entry['name']}".endswith(f"::{interface}")
    ]
    if len(found) != 1:
        raise InvalidValue(f"the ABI has {len(found)} interfaces named {interface!r}, not one")
    result = 0
    for function in found[0]["items"]:
        result ^= starknet_keccak(signature(abi, function))
    return result


def signature(abi: Sequence[Mapping[str, Any]], function: Mapping[str, Any]) -> str:
    """The signature of an ABI function as SNIP-5 writes it, e.g. `supports_interface(felt252)->E((),())`."""
    inputs = ",".join(type_name(abi, parameter["type"]) for parameter in function["inputs"])
    outputs = "".join(f"->{type_name(abi, output['type'])}" for output in function["outputs"])
    return f"{function['name']}({inputs}){outputs}"


def type_name(abi: Sequence[Mapping[str, Any]], cairo_type: str) -> str:
    """A Cairo type as SNIP-5 writes it.

    A struct of the ABI becomes the tuple of its members, an enum `E(...)` of its variants. The ABI includes
    types of corelib, so `bool` becomes `E((),())`, `Option<T>` becomes `E(T,())`, and a span, a struct of one
    snapshot, `(@Array<T>)`. All other types are core types and keep the last part of their path.
    """
    if cairo_type.startswith("@"):
        return "@" + type_name(abi, cairo_type[1:])
    if cairo_type.startswith("("):
        return f"({','.join(type_name(abi, part) for part in split_types(cairo_type[1:-1]))})"
    for entry in abi:
        if entry.get("name") == cairo_type and entry["type"] == "struct":
            return f"({','.join(type_name(abi, member['type']) for member in entry['members'])})"
        if entry.get("name") == cairo_type and entry["type"] == "enum":
            return f"E({','.join(type_name(abi, variant['type']) for variant in entry['variants'])})"
    path, generic, arguments = cairo_type.partition("::<")
    name = path.rpartition("::")[2]
    if not generic:
        return name
    return f"{name}<{','.join(type_name(abi, part) for part in split_types(arguments[:-1]))}>"


def split_types(text: str) -> list[str]:
    """Split a comma-separated list of types, ignoring commas inside brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "(<") - (character in ")>")
        if character == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts

"""SNIP-12 (revision 1) a second time: typed data hashed with eth-hash's keccak and poseidon_py, for the types
that MedSync's messages have. Shares nothing with starknet-py or the package."""

from collections.abc import Mapping, Sequence
from typing import Any

from eth_hash.auto import keccak
from poseidon_py.poseidon_hash import poseidon_hash_many

Types = Mapping[str, Sequence[Mapping[str, str]]]

NUMBERS = ("felt", "ContractAddress", "u128", "timestamp")


def type_hash(name: str, types: Types) -> int:
    """The hash of a type: its name and fields, then those of the types it refers to, by name."""
    found: set[str] = set()
    open_names = [name]
    while open_names:
        found.add(current := open_names.pop())
        open_names += [field["type"] for field in types[current] if field["type"] in types.keys() - found]
    text = ""
    for each in (name, *sorted(found - {name})):
        fields = ",".join(f'"{field["name"]}":"{field["type"]}"' for field in types[each])
        text += f'"{each}"({fields})'
    return int.from_bytes(keccak(text.encode("ascii")), "big") % 2**250


def struct_hash(name: str, types: Types, values: Mapping[str, Any]) -> int:
    """The hash of an object of a type."""
    assert set(values) == {field["name"] for field in types[name]}
    felts = [_felt(field["type"], types, values[field["name"]]) for field in types[name]]
    return int(poseidon_hash_many([type_hash(name, types), *felts]))


def message_hash(typed_data: Mapping[str, Any], account: int) -> int:
    """What an account signs."""
    types = typed_data["types"]
    parts = [
        int.from_bytes(b"StarkNet Message"),
        struct_hash("StarknetDomain", types, typed_data["domain"]),
        account,
        struct_hash(typed_data["primaryType"], types, typed_data["message"]),
    ]
    return int(poseidon_hash_many(parts))


def _felt(kind: str, types: Types, value: Any) -> int:
    if kind in types:
        return struct_hash(kind, types, value)
    if kind == "bool":
        assert value in (True, False)
        return int(value)
    if kind == "shortstring":
        return int.from_bytes(value.encode("ascii")) if isinstance(value, str) else int(value)
    assert kind in NUMBERS, kind
    return int(value, 0) if isinstance(value, str) else int(value)

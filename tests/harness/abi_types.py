"""Which Python annotation stands for which Cairo type: holds the typed values against the ABI."""

import types
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from medsync import artifacts
from medsync.protocol import types as values
from medsync.protocol import vocabulary
from medsync.protocol.vocabulary import Category, Power, Purpose

MEDSYNC = artifacts.load("MedSync").abi
POOL = artifacts.load("RewardPool").abi
ANCHOR = artifacts.load("PrivateAnchor").abi

#: By contract.
ABIS = {"MedSync": MEDSYNC, "PrivateAnchor": ANCHOR, "RewardPool": POOL}

#: Fields whose integer is one of the vocabulary's words.
WORDS = {
    ("purpose", "core::felt252"): Purpose,
    ("categories", "core::integer::u32"): Category,
    ("powers", "core::integer::u8"): Power,
}
INTEGERS = {
    "core::felt252",
    "core::starknet::contract_address::ContractAddress",
    *(f"core::integer::u{bits}" for bits in (8, 16, 32, 64, 128)),
}


def entry(abi: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The ABI's struct, enum or event with that last part of its path."""
    (found,) = (one for one in abi if one["type"] == kind and one["name"].rpartition("::")[2] == name)
    return found


def functions(abi: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The ABI's entry points by name."""
    return {item["name"]: item for one in abi if one["type"] == "interface" for item in one["items"]}


def assert_same(kind: Any, cairo: str, abi: list[dict[str, Any]], field: str = "") -> None:
    """Assert that values of the Python type `kind` are read from exactly the felts of the Cairo type."""
    if cairo.startswith("core::option::Option::<"):
        assert get_origin(kind) is types.UnionType
        (inner,) = (part for part in get_args(kind) if part is not type(None))
        assert_same(inner, cairo[len("core::option::Option::<") : -1], abi, field)
    elif cairo.startswith(("core::array::Array::<", "core::array::Span::<")):
        assert get_origin(kind) is list
        assert_same(get_args(kind)[0], cairo.partition("<")[2][:-1], abi, field)
    elif cairo == "core::bool":
        assert kind is bool
    elif (field, cairo) in WORDS:
        assert kind is WORDS[field, cairo]
    elif cairo in INTEGERS:
        assert kind is int, f"{field}: {cairo} is read as {kind}"
    elif kind is values.Payee:
        # An enum whose variants hold one felt each: which one, and the felt.
        variants = entry(abi, "enum", "Payee")["variants"]
        assert [variant["type"] in INTEGERS for variant in variants] == [True] * len(variants)
        assert list(get_type_hints(kind).values()) == [vocabulary.PayeeKind, int]
        assert [member.variant for member in vocabulary.PayeeKind] == [each["name"] for each in variants]
    elif is_dataclass(kind):
        name = cairo.rpartition("::")[2]
        assert kind.__name__ == name
        assert_same_members(kind, entry(abi, "struct", name)["members"], abi)
    else:
        name = cairo.rpartition("::")[2]
        assert kind is getattr(vocabulary, name)
        variants = [variant["name"] for variant in entry(abi, "enum", name)["variants"]]
        assert [member.variant for member in kind] == variants


def assert_same_members(kind: Any, members: list[dict[str, Any]], abi: list[dict[str, Any]]) -> None:
    """Assert that a dataclass has an ABI struct's or event's members, in its order and of its types."""
    hints = get_type_hints(kind)
    named = [field.name for field in fields(kind) if field.name != "location"]
    assert named == [member["name"] for member in members]
    for member in members:
        assert_same(hints[member["name"]], member["type"], abi, member["name"])

"""Felts become typed values, and typed values felts, and nothing else than what was asked for."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from medsync.protocol import types, vocabulary
from medsync.protocol.felt import encode_short_string
from medsync.protocol.serde import DecodingError, decode, encode
from medsync.protocol.types import AccessReceipt, Head, Payee, PendingAdmin
from medsync.protocol.vocabulary import Category, Decision, PayeeKind, Power, Purpose, Reason, Role
from tests.harness.abi_types import ABIS, INTEGERS, WORDS, entry


@pytest.mark.parametrize(
    ("kind", "felts", "value"),
    [
        (type(None), [], None),
        (int, [7], 7),
        (bool, [1], True),
        (bool, [0], False),
        (Role, [1], Role.HOSPITAL),
        (Purpose, [encode_short_string("HRESCH")], Purpose.HRESCH),
        (Category, [0b11], Category.PATIENT_SUMMARY | Category.E_PRESCRIPTION),
        (Power, [0], Power(0)),
        (Head, [3, 99], Head(3, 99)),
        (AccessReceipt, [0, 0, 1, 5], AccessReceipt(Decision.PERMIT, Reason.GRANTED, 1, 5)),
        (tuple[int, bool], [4, 1], (4, True)),
        (list[Head], [2, 1, 10, 2, 20], [Head(1, 10), Head(2, 20)]),
        (list[int], [0], []),
        (PendingAdmin | None, [0, 5, 6, 7], PendingAdmin(5, 6, 7)),
        (Payee, [1, 9], Payee(PayeeKind.KEY, 9)),
        (PendingAdmin | None, [1], None),
    ],
)
def test_values(kind: type, felts: list[int], value: object) -> None:
    decoded = decode(kind, felts)
    assert decoded == value
    assert type(decoded) is type(value)
    assert encode(value, kind) == felts


@pytest.mark.parametrize(
    ("kind", "felts"),
    [
        (type(None), [0]),
        (int, []),
        (int, [1, 2]),
        (bool, [2]),
        (Role, [4]),
        (Purpose, [encode_short_string("HMARKT")]),
        (Head, [3]),
        (list[int], [2, 1]),
        (list[int], [1, 1, 1]),
        (PendingAdmin | None, [2]),
        (PendingAdmin | None, [0, 5]),
        (Payee, [2, 9]),
        (Payee, [0]),
    ],
)
def test_anything_else_is_refused(kind: type, felts: list[int]) -> None:
    with pytest.raises(DecodingError):
        decode(kind, felts)


def test_a_type_that_cairo_does_not_have_is_a_mistake_of_ours() -> None:
    @dataclass
    class Strange:
        value: float

    with pytest.raises(TypeError):
        decode(Strange, [1])
    with pytest.raises(TypeError):
        encode(Strange(1.0))


# --- every struct of the contracts, by their ABI ------------------------------------------------------------

STRUCTS = sorted(
    (contract, struct["name"])
    for contract, abi in ABIS.items()
    for struct in abi
    if struct["type"] == "struct" and struct["name"].startswith("medsync_interfaces::")
)


def sample(cairo: str, abi: list[dict[str, Any]], field: str, fresh: Iterator[int]) -> tuple[Any, list[int]]:
    """A value of a Cairo type, different in every field, and its felts as the ABI has them written."""
    name = cairo.rpartition("::")[2]
    if cairo.startswith("core::option::Option::<"):
        value, felts = sample(cairo[len("core::option::Option::<") : -1], abi, field, fresh)
        return value, [0, *felts]
    if cairo == "core::bool":
        return True, [1]
    if (field, cairo) in WORDS:
        word = list(WORDS[field, cairo])[next(fresh) % 2 + 1]
        return word, [encode_short_string(word.value) if isinstance(word, Purpose) else word.value]
    if cairo in INTEGERS:
        number = next(fresh)
        return number, [number]
    kind = getattr(vocabulary, name, None)
    if kind is not None:
        variants = [variant["name"] for variant in entry(abi, "enum", name)["variants"]]
        return next(one for one in kind if one.variant == variants[-1]), [len(variants) - 1]
    values, felts = {}, list[int]()
    for member in entry(abi, "struct", name)["members"]:
        value, written = sample(member["type"], abi, member["name"], fresh)
        values[member["name"]] = value
        felts += written
    return getattr(types, name)(**values), felts


@pytest.mark.parametrize(("contract", "struct"), STRUCTS)
def test_structs_are_written_and_read_as_the_abi_says(contract: str, struct: str) -> None:
    value, felts = sample(struct, ABIS[contract], "", itertools.count(3))
    assert encode(value) == felts
    assert decode(type(value), felts) == value
    if hasattr(value, "calldata"):
        assert value.calldata() == felts


def test_what_entry_points_take_has_its_calldata() -> None:
    assert {struct.rpartition("::")[2] for _, struct in STRUCTS} >= {
        name for name, kind in vars(types).items() if hasattr(kind, "calldata")
    }


def test_a_bit_that_is_not_published_is_refused() -> None:
    """No contract lets one through, so a node that shows one does not say the truth."""
    assert decode(Category, [0xFFFF]) == Category(0xFFFF)
    with pytest.raises(DecodingError, match="0x10000 has a bit"):
        decode(Category, [0x10000])

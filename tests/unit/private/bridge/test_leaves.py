"""Leaf values against cairo-lang's Poseidon, field by field."""

from typing import Any

import pytest
from starkware.cairo.common.poseidon_hash import poseidon_hash_many

from medsync.private.bridge.leaves import FIELDS, leaf_of, leaf_value
from medsync.private.records.application import parse_operation
from medsync.protocol.felt import InvalidValue

RECORD: dict[str, Any] = {
    "seq": 4,
    "kind": "RECORD",
    "id": "00ff" + "3f2a" * 7,
    "version": 3,
    "commitment": "0x888",
    "categories": 144,
    "consent": "0x777",
    "at": 1_767_225_600,
}
ERASED: dict[str, Any] = {
    "seq": 5,
    "kind": "ERASED",
    "id": "3f2a" * 8,
    "version": 3,
    "at": 1_767_225_601,
}
RECEIPT: dict[str, Any] = {
    "seq": 6,
    "kind": "RECEIPT",
    "ticket": "1f" * 16 + "2e" * 16,
    "outcome": "REFUSED",
    "reason": "EXPIRED",
    "digest": "0x999",
    "commitment": "0x888",
    "accessor": "0x333",
    "at": 1_767_225_602,
}
OPERATIONS = {"RECORD": RECORD, "ERASED": ERASED, "RECEIPT": RECEIPT}


def short(text: str) -> int:
    return int.from_bytes(text.encode(), "big")


def expected(kind: str, *fields: int) -> int:
    return int(poseidon_hash_many([short("MEDSYNC/LEAF/1"), short(kind), *fields]))


def test_every_kind() -> None:
    assert leaf_of(RECORD) == expected("RECORD", int(RECORD["id"], 16), 3, 0x888, 144, 0x777, 1_767_225_600)
    assert leaf_of(ERASED) == expected("ERASED", int("3f2a" * 8, 16), 3, 1_767_225_601)
    assert leaf_of(RECEIPT) == expected(
        "RECEIPT",
        int("1f" * 16, 16),
        int("2e" * 16, 16),
        short("REFUSED"),
        short("EXPIRED"),
        0x999,
        0x888,
        0x333,
        1_767_225_602,
    )


def test_a_release_has_no_reason_and_a_strangers_refusal_nothing_of_what_he_wrote() -> None:
    released = RECEIPT | {"outcome": "RELEASED", "reason": None}
    ticket = int("1f" * 16, 16), int("2e" * 16, 16)
    assert leaf_of(released) == expected(
        "RECEIPT", *ticket, short("RELEASED"), 0, 0x999, 0x888, 0x333, 1_767_225_602
    )
    stranger = RECEIPT | {"reason": "BAD_SIGNATURE", "digest": None, "commitment": None, "accessor": None}
    assert leaf_of(stranger) == expected(
        "RECEIPT", *ticket, short("REFUSED"), short("BAD_SIGNATURE"), 0, 0, 0, 1_767_225_602
    )


@pytest.mark.parametrize("kind", OPERATIONS)
def test_the_applications_operations_have_these_fields(kind: str) -> None:
    """As the application answers them, through the model that everything else uses."""
    operation = OPERATIONS[kind]
    assert set(FIELDS[kind]) == set(operation) - {"seq", "kind"}
    assert leaf_value(parse_operation(operation)) == leaf_of(operation)


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, fields in FIELDS.items() for field in fields]
)
def test_every_field_counts(kind: str, field: str) -> None:
    operation = OPERATIONS[kind]
    changes = {
        "id": "3f2b" * 8,
        "ticket": "1f" * 31 + "2f",
        "outcome": "RELEASED",
        "reason": "USED",
    }
    value = operation[field]
    changed = changes.get(field, value + 1 if isinstance(value, int) else "0x5")
    assert leaf_of(operation | {field: changed}) != leaf_of(operation)
    with pytest.raises(InvalidValue, match=f"^{field}: an operation {kind} requires it"):
        leaf_of({name: value for name, value in operation.items() if name != field})


def test_its_number_does_not_count() -> None:
    assert leaf_of(RECORD | {"seq": 9}) == leaf_of(RECORD)


@pytest.mark.parametrize(
    ("kind", "field", "values"),
    [
        ("RECORD", "kind", [None, "", "record", "GIFT"]),
        ("RECORD", "id", [None, 5, "", "3f2a" * 7, "3F2A" * 8, "0x" + "3f2a" * 7 + "3f", "zz" * 16]),
        ("RECORD", "version", [None, -1, 2**64, True, "3", 1.0]),
        ("RECORD", "commitment", [None, 5, "888", "0x", "0xzz", hex(2**252)]),
        ("RECORD", "categories", [None, -1, 2**32]),
        ("RECORD", "consent", [None, 0]),
        ("ERASED", "at", [None, -1, 2**64, "now"]),
        ("RECEIPT", "ticket", [None, "1f" * 31, "1F" * 32]),
        ("RECEIPT", "outcome", [None, "", 1, "é", "R" * 32]),
        ("RECEIPT", "reason", ["", 1]),
        ("RECEIPT", "digest", [0, "", "999"]),
    ],
)
def test_what_is_no_operation(kind: str, field: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidValue):
            leaf_of(OPERATIONS[kind] | {field: value})

"""The encoding of the private log's entries: the leaf of each operation of a private node, a felt.

A leaf's value is `Poseidon("MEDSYNC/LEAF/1", kind, fields…)`, the fields in the order of `FIELDS`. None of
them identifies anyone: records appear as random ids and salted commitments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from medsync.protocol.felt import InvalidValue, check_uint, encode_short_string, parse_felt
from medsync.protocol.hashing import poseidon

if TYPE_CHECKING:
    from medsync.private.records.application import Operation

#: Domain separator: the first felt of every leaf's value.
LEAF_TAG: Final = encode_short_string("MEDSYNC/LEAF/1")


def leaf_value(operation: Operation) -> int:
    """The leaf of an operation. Raises the errors of `leaf_of`."""
    return leaf_of(operation.model_dump(mode="json"))


def leaf_of(operation: Mapping[str, Any]) -> int:
    """The leaf of an operation in the application's JSON.

    Missing values (null) are encoded as zero. The operation's number, its position in the log, is not
    encoded. Raises `InvalidValue`, naming the field, if the JSON is not an operation.
    """
    kind = operation.get("kind")
    if not isinstance(kind, str) or kind not in FIELDS:
        raise InvalidValue(f"kind: no operation is of the kind {kind!r}")
    felts = [LEAF_TAG, encode_short_string(kind)]
    for name, read in FIELDS[kind].items():
        if name not in operation:
            raise InvalidValue(f"{name}: an operation {kind} requires it")
        felts += read(operation[name], name)
    return poseidon(felts)


def _number(bits: int) -> Callable[[Any, str], list[int]]:
    def read(value: Any, field: str) -> list[int]:
        check_uint(value, bits, field)
        return [value]

    return read


def _felt(value: Any, field: str) -> list[int]:
    return [parse_felt(value, field)]


def _optional_felt(value: Any, field: str) -> list[int]:
    return [0] if value is None else _felt(value, field)


def _word(value: Any, field: str) -> list[int]:
    if not isinstance(value, str) or not value:
        raise InvalidValue(f"{field} must be a word")
    return [encode_short_string(value)]


def _optional_word(value: Any, field: str) -> list[int]:
    return [0] if value is None else _word(value, field)


def _bytes(size: int) -> Callable[[Any, str], list[int]]:
    """Bytes in lower-case hexadecimal, encoded as one felt per 16 bytes."""

    def read(value: Any, field: str) -> list[int]:
        if not isinstance(value, str) or len(value) != 2 * size or set(value) - set("0123456789abcdef"):
            raise InvalidValue(f"{field} must be {2 * size} lower-case hexadecimal digits")
        return [int(value[start : start + 32], 16) for start in range(0, 2 * size, 32)]

    return read


#: The fields of each kind of operation in hashing order, with their encoders.
FIELDS: Final[Mapping[str, Mapping[str, Callable[[Any, str], list[int]]]]] = {
    "RECORD": {
        "id": _bytes(16),
        "version": _number(64),
        "commitment": _felt,
        "categories": _number(32),
        "consent": _felt,
        "at": _number(64),
    },
    "ERASED": {"id": _bytes(16), "version": _number(64), "at": _number(64)},
    "RECEIPT": {
        "ticket": _bytes(32),
        "outcome": _word,
        "reason": _optional_word,
        "digest": _optional_felt,
        "commitment": _optional_felt,
        "accessor": _optional_felt,
        "at": _number(64),
    },
}

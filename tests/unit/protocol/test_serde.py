"""Felts become typed values, and nothing else than what was asked for."""

from dataclasses import dataclass

import pytest

from medsync.protocol.felt import encode_short_string
from medsync.protocol.serde import DecodingError, decode
from medsync.protocol.types import AccessReceipt, LogHead, PendingAdmin
from medsync.protocol.vocabulary import Category, Decision, Power, Purpose, Reason, Role


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
        (LogHead, [3, 99], LogHead(3, 99)),
        (AccessReceipt, [0, 0, 1, 5], AccessReceipt(Decision.PERMIT, Reason.GRANTED, 1, 5)),
        (tuple[int, bool], [4, 1], (4, True)),
        (list[LogHead], [2, 1, 10, 2, 20], [LogHead(1, 10), LogHead(2, 20)]),
        (list[int], [0], []),
        (PendingAdmin | None, [0, 5, 6], PendingAdmin(5, 6)),
        (PendingAdmin | None, [1], None),
    ],
)
def test_values(kind: type, felts: list[int], value: object) -> None:
    decoded = decode(kind, felts)
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    ("kind", "felts"),
    [
        (type(None), [0]),
        (int, []),
        (int, [1, 2]),
        (bool, [2]),
        (Role, [4]),
        (Purpose, [encode_short_string("HMARKT")]),
        (LogHead, [3]),
        (list[int], [2, 1]),
        (list[int], [1, 1, 1]),
        (PendingAdmin | None, [2]),
        (PendingAdmin | None, [0, 5]),
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

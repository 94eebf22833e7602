"""Values refuse what calldata cannot carry, naming the field, and become calldata as Serde writes it."""

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from medsync.errors import ExitCode, MedSyncError
from medsync.protocol.events import EventLocation
from medsync.protocol.felt import ADDRESS_BOUND, PRIME, InvalidValue
from medsync.protocol.types import AccessRequest, unix_seconds, utc_datetime, utc_text
from medsync.protocol.vocabulary import Category, Purpose
from tests.harness.histories import CONSENT_TERMS, ENTRIES, PATIENT, START, TERMS

REQUEST = AccessRequest(PATIENT, Purpose.HRESCH, Category.LABORATORY, 0x2EC)
ADDRESS, FELT = ADDRESS_BOUND, PRIME


@pytest.mark.parametrize(
    ("value", "field", "bound"),
    [
        (TERMS, "pool", ADDRESS),
        (TERMS, "funder", ADDRESS),
        (TERMS, "rate", 2**128),
        (TERMS, "custodian", ADDRESS),
        (TERMS, "custodian_bps", 2**16),
        (TERMS, "expires_at", 2**64),
        (TERMS, "salt", FELT),
        (CONSENT_TERMS, "categories", 2**32),
        (CONSENT_TERMS, "starts_at", 2**64),
        (CONSENT_TERMS, "expires_at", 2**64),
        (CONSENT_TERMS, "max_uses", 2**32),
        (CONSENT_TERMS, "terms_commitment", FELT),
        (REQUEST, "patient", ADDRESS),
        (REQUEST, "categories", 2**32),
        (REQUEST, "record", FELT),
        (ENTRIES[0], "patient", ADDRESS),
        (ENTRIES[0], "accessor", ADDRESS),
        (ENTRIES[0], "seq", 2**32),
        (ENTRIES[0], "at", 2**64),
        (ENTRIES[0], "version", 2**32),
        (ENTRIES[0], "categories", 2**32),
        (ENTRIES[0], "record", FELT),
        (ENTRIES[0], "campaign", FELT),
        (ENTRIES[0], "justification", FELT),
        (EventLocation(1, 2, 3), "block_number", 2**64),
        (EventLocation(1, 2, 3), "transaction_hash", FELT),
        (EventLocation(1, 2, 3), "timestamp", 2**64),
    ],
)
def test_bounds(value, field, bound):
    for fitting in (0, bound - 1):
        assert getattr(replace(value, **{field: fitting}), field) == fitting
    for wrong in (-1, bound, 1.0, "1", True):
        with pytest.raises(InvalidValue, match=f"^{field} must be "):
            replace(value, **{field: wrong})


@pytest.mark.parametrize("value", [TERMS, CONSENT_TERMS, REQUEST, ENTRIES[0]])
def test_purpose_must_be_one(value):
    with pytest.raises(InvalidValue, match=r"^purpose must be a Purpose, not 'HRESCH'"):
        replace(value, purpose="HRESCH")


def test_values_are_frozen():
    with pytest.raises(FrozenInstanceError):
        TERMS.rate = 0  # type: ignore[misc]


def test_invalid_value_is_both_kinds_of_error():
    error = InvalidValue("x")
    assert isinstance(error, ValueError)
    assert isinstance(error, MedSyncError)
    assert error.exit_code is ExitCode.BAD_INPUT


def test_calldata():
    terms = [
        TERMS.pool,
        TERMS.funder,
        Purpose.HRESCH.felt,
        10**18 + 1,
        TERMS.custodian,
        1250,
        TERMS.expires_at,
    ]
    assert TERMS.calldata() == [*terms, TERMS.salt]
    plain = [Purpose.HRESCH.felt, 0b10010000, START, START + 30 * 86_400, 5]
    assert CONSENT_TERMS.calldata() == [*plain, 1, 0x7E245]
    assert replace(CONSENT_TERMS, reward=TERMS).calldata() == [*plain, 0, *TERMS.calldata(), 0x7E245]
    assert REQUEST.calldata() == [PATIENT, Purpose.HRESCH.felt, 16, 0x2EC, 1]
    assert replace(REQUEST, campaign=TERMS).calldata()[4:] == [0, *TERMS.calldata()]


def test_times():
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert unix_seconds(noon) == 1_769_860_800 == unix_seconds(1_769_860_800)
    assert unix_seconds(noon.astimezone(timezone(timedelta(hours=-7)))) == unix_seconds(noon)
    assert unix_seconds(noon + timedelta(microseconds=999_999)) == unix_seconds(noon)
    assert utc_datetime(1_769_860_800) == noon
    assert utc_text(1_769_860_800) == "2026-01-31T12:00:00Z"


def test_times_that_are_none():
    with pytest.raises(InvalidValue, match="needs a time zone"):
        unix_seconds(datetime(2026, 1, 31))
    assert unix_seconds(2**40 - 1) == 2**40 - 1
    for milliseconds in (2**40, 1_796_083_200_000):
        with pytest.raises(InvalidValue, match=r"^time must be in unix seconds: .* looks like milliseconds"):
            unix_seconds(milliseconds)
    for wrong in (-1, 2**64, True, "1", datetime(1969, 12, 31, tzinfo=UTC)):
        with pytest.raises(InvalidValue, match=r"^time must be"):
            unix_seconds(wrong)
    for wrong in (2**40 - 1, 2**64 - 1):
        with pytest.raises(InvalidValue, match="not a representable date"):
            utc_text(wrong)

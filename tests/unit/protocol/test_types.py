"""Values refuse what calldata cannot carry, naming the field, and become calldata as Serde writes it."""

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from medsync.errors import ExitCode, MedSyncError
from medsync.protocol.events import EventLocation
from medsync.protocol.felt import ADDRESS_BOUND, PRIME, InvalidValue
from medsync.protocol.types import (
    AccessRequest,
    Claim,
    PatientState,
    Payee,
    Subject,
    unix_seconds,
    utc_datetime,
    utc_text,
)
from medsync.protocol.vocabulary import Category, EmergencyChoice, PayeeKind, Purpose
from tests.harness.histories import CONSENT_TERMS, ENTRIES, PATIENT, START, TERMS

REQUEST = AccessRequest(PATIENT, Purpose.HRESCH, 0x57D7, Category.LABORATORY, 0x2EC)
ADDRESS, FELT = ADDRESS_BOUND, PRIME


@pytest.mark.parametrize(
    ("value", "field", "bound"),
    [
        (TERMS, "pool", ADDRESS),
        (TERMS, "funder", ADDRESS),
        (TERMS, "study", FELT),
        (TERMS, "rate", 2**128),
        (TERMS, "custodian", ADDRESS),
        (TERMS, "custodian_bps", 2**16),
        (TERMS, "expires_at", 2**64),
        (TERMS, "spender", ADDRESS),
        (TERMS, "salt", FELT),
        (CONSENT_TERMS, "study", FELT),
        (CONSENT_TERMS, "categories", 2**32),
        (CONSENT_TERMS, "starts_at", 2**64),
        (CONSENT_TERMS, "expires_at", 2**64),
        (CONSENT_TERMS, "max_uses", 2**32),
        (CONSENT_TERMS, "terms_commitment", FELT),
        (REQUEST, "patient", ADDRESS),
        (REQUEST, "categories", 2**32),
        (REQUEST, "study", FELT),
        (REQUEST, "record", FELT),
        (REQUEST, "campaign", FELT),
        (Subject(1, 2), "patient", ADDRESS),
        (Subject(1, 2), "record", FELT),
        (Claim(1, TERMS), "grantee", ADDRESS),
        (ENTRIES[0], "patient", ADDRESS),
        (ENTRIES[0], "accessor", ADDRESS),
        (ENTRIES[0], "seq", 2**32),
        (ENTRIES[0], "at", 2**64),
        (ENTRIES[0], "version", 2**32),
        (ENTRIES[0], "categories", 2**32),
        (ENTRIES[0], "record", FELT),
        (ENTRIES[0], "campaign", FELT),
        (ENTRIES[0], "study", FELT),
        (ENTRIES[0], "registration", 2**32),
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


def test_a_payee_is_a_felt():
    assert Payee(PayeeKind.KEY, FELT - 1).value == FELT - 1
    with pytest.raises(InvalidValue, match=r"^payee must be "):
        Payee(PayeeKind.ACCOUNT, FELT)


def test_refused_purposes_are_named():
    state = PatientState(1, 1, 0, 0, 0b100000000000101, EmergencyChoice.NOBODY)
    assert state.refused == (Purpose.HRESCH, Purpose.TREAT, Purpose.FAMRQT)
    assert replace(state, refused_purposes=0).refused == ()


def test_calldata():
    terms = [TERMS.pool, TERMS.funder, Purpose.HRESCH.felt, TERMS.study]
    terms += [10**18 + 1, TERMS.custodian, 1250, TERMS.expires_at, 0, TERMS.salt]
    assert TERMS.calldata() == terms
    plain = [Purpose.HRESCH.felt, 0, 0b10010000, START, START + 30 * 86_400, 5, 0]
    assert CONSENT_TERMS.calldata() == [*plain, 1, 0x7E245]
    assert replace(CONSENT_TERMS, reward=TERMS).calldata() == [*plain, 0, *terms, 0x7E245]
    assert REQUEST.calldata() == [PATIENT, Purpose.HRESCH.felt, 0x57D7, 16, 0x2EC, 0]
    assert replace(REQUEST, campaign=TERMS.id).calldata()[5:] == [TERMS.id]


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

"""State rebuilt from events: exact at every second, and refused where events are missing."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsync.errors import InputError, VerificationError
from medsync.log.replay import State, Timeline, judge, replay
from medsync.protocol import events as ev
from medsync.protocol.events import (
    AllConsentsRevoked,
    ConsentAdded,
    ConsentRevoked,
    Event,
    EventLocation,
    LogEntry,
)
from medsync.protocol.types import (
    Campaign,
    CampaignTerms,
    Consent,
    Delegation,
    Entity,
    Judgement,
    PendingAdmin,
)
from medsync.protocol.vocabulary import (
    CampaignStatus,
    Category,
    ConsentStatus,
    Decision,
    Power,
    Purpose,
    Reason,
    Role,
)
from tests.harness.histories import (
    CHAIN,
    CONSENTS,
    CONTRACT,
    DAY,
    DELEGATE,
    ENTRIES,
    FUNDER,
    HEAD,
    HOSPITAL,
    PATIENT,
    RESEARCHER,
    START,
    TERMS,
)

ADMIN = 0xAD
ASKED = Category.LABORATORY
WHO = (PATIENT, RESEARCHER, Purpose.HRESCH)


def at(second: int, event: Event) -> Any:
    """The event in a block of that second after the start."""
    return replace(event, location=EventLocation(second, 0x7E5 + second, START + second))


def registered(second: int, entity: int, role: Role = Role.RESEARCHER) -> Event:
    return at(second, ev.EntityRegistered(entity, role, 1, START + second))


def given_consent(second: int, version: int = 1, **changes: Any) -> Event:
    values: dict[str, Any] = {
        "by": PATIENT,
        "version": version,
        "epoch": 0,
        "categories": ASKED | Category.IMAGING,
        "starts_at": START + 100,
        "expires_at": START + 200,
        "max_uses": 0,
        "campaign": 0,
        "terms_commitment": 0,
    }
    return at(second, ConsentAdded(*WHO, **values | changes))


def used(second: int, seq: int, version: int = 1) -> Event:
    entry = LogEntry(
        *WHO[:2],
        WHO[2],
        seq,
        START + second,
        Decision.PERMIT,
        Reason.GRANTED,
        version,
        ASKED,
        0,
        0,
        0,
    )
    return at(second, entry)


def rebuilt(*events: Event) -> State:
    return replay(events, chain_id=CHAIN, contract=CONTRACT)


def decided(state: State, second: int, categories: Category = ASKED) -> tuple[Reason, int]:
    judgement = state.decision_at(*WHO, categories, START + second)
    return judgement.reason, judgement.version


# --- decisions over time ------------------------------------------------------------------------------------


def test_a_window_is_exact_to_the_second() -> None:
    state = rebuilt(registered(1, RESEARCHER), given_consent(50))
    assert decided(state, 0) == (Reason.ENTITY_UNKNOWN, 0)
    assert decided(state, 1) == (Reason.NEVER_GIVEN, 0)
    assert decided(state, 49) == (Reason.NEVER_GIVEN, 0)
    assert decided(state, 50) == (Reason.NOT_STARTED, 1)
    assert decided(state, 99) == (Reason.NOT_STARTED, 1)
    assert decided(state, 100) == (Reason.GRANTED, 1)
    assert decided(state, 199) == (Reason.GRANTED, 1)
    assert decided(state, 200) == (Reason.EXPIRED, 1)
    assert state.decision_at(*WHO, ASKED, START + 150).decision is Decision.PERMIT
    assert state.decision_at(*WHO, ASKED, START + 49).decision is Decision.NO_CONSENT
    assert state.decision_at(*WHO, ASKED, START + 200).decision is Decision.DENY


def test_every_change_counts_from_its_second_on() -> None:
    state = rebuilt(
        registered(1, RESEARCHER),
        given_consent(50, max_uses=2),
        used(110, 1),
        at(115, ev.EntitySuspended(RESEARCHER)),
        at(120, ev.EntityReinstated(RESEARCHER)),
        used(130, 2),
        given_consent(140, 2),
        at(150, ConsentRevoked(*WHO, by=PATIENT, version=3)),
        given_consent(155, 4),
        at(160, ConsentRevoked(*WHO, by=DELEGATE, version=5)),
        given_consent(165, 6),
        at(170, AllConsentsRevoked(PATIENT, by=PATIENT, epoch=1, nonce=1)),
        given_consent(175, 7, epoch=1),
    )
    expected = {
        110: (Reason.GRANTED, 1),
        115: (Reason.ENTITY_SUSPENDED, 0),
        119: (Reason.ENTITY_SUSPENDED, 0),
        120: (Reason.GRANTED, 1),
        129: (Reason.GRANTED, 1),
        130: (Reason.USES_EXHAUSTED, 1),
        140: (Reason.GRANTED, 2),
        150: (Reason.WITHDRAWN, 3),
        155: (Reason.GRANTED, 4),
        160: (Reason.REVOKED, 5),
        165: (Reason.GRANTED, 6),
        170: (Reason.ALL_REVOKED, 6),
        175: (Reason.GRANTED, 7),
        200: (Reason.EXPIRED, 7),
    }
    assert {second: decided(state, second) for second in expected} == expected
    assert decided(state, 120, ASKED | Category.GENOMICS) == (Reason.CATEGORY_NOT_COVERED, 1)
    assert decided(state, 120, Category(0)) == (Reason.CATEGORY_NOT_COVERED, 1)
    assert state.consent(*WHO).uses == 0
    assert state.consent(*WHO, START + 135).uses == 2


def test_of_two_changes_in_one_second_the_last_counts() -> None:
    state = rebuilt(
        registered(1, RESEARCHER), given_consent(120), at(120, ConsentRevoked(*WHO, by=PATIENT, version=2))
    )
    assert decided(state, 119) == (Reason.NEVER_GIVEN, 0)
    assert decided(state, 120) == (Reason.WITHDRAWN, 2)


def record(**changes: Any) -> Consent:
    values = {
        "starts_at": 10,
        "expires_at": 20,
        "categories": Category.ALL,
        "version": 5,
        "epoch": 1,
        "max_uses": 3,
        "uses": 0,
        "status": ConsentStatus.GIVEN,
        "campaign": 0,
    }
    return Consent(**values | changes)


GOOD = Entity(Role.AUDITOR, suspended=False, registered_at=1)


@pytest.mark.parametrize(
    ("entity", "consent", "now", "judgement"),
    [
        (
            replace(GOOD, role=Role.NONE, suspended=True),
            record(),
            15,
            (Decision.DENY, Reason.ENTITY_UNKNOWN, 0),
        ),
        (
            replace(GOOD, suspended=True),
            record(status=ConsentStatus.NONE),
            15,
            (Decision.DENY, Reason.ENTITY_SUSPENDED, 0),
        ),
        (
            GOOD,
            record(status=ConsentStatus.NONE, version=0),
            15,
            (Decision.NO_CONSENT, Reason.NEVER_GIVEN, 0),
        ),
        (GOOD, record(status=ConsentStatus.WITHDRAWN, epoch=0), 99, (Decision.DENY, Reason.WITHDRAWN, 5)),
        (GOOD, record(status=ConsentStatus.REVOKED, epoch=0), 99, (Decision.DENY, Reason.REVOKED, 5)),
        (GOOD, record(epoch=0), 5, (Decision.DENY, Reason.ALL_REVOKED, 5)),
        (GOOD, record(uses=3), 9, (Decision.DENY, Reason.NOT_STARTED, 5)),
        (GOOD, record(categories=Category(2)), 20, (Decision.DENY, Reason.EXPIRED, 5)),
        (GOOD, record(categories=Category(2), uses=3), 19, (Decision.DENY, Reason.CATEGORY_NOT_COVERED, 5)),
        (GOOD, record(uses=3), 10, (Decision.DENY, Reason.USES_EXHAUSTED, 5)),
        (GOOD, record(uses=2), 10, (Decision.PERMIT, Reason.GRANTED, 5)),
        (GOOD, record(max_uses=0, uses=2**32 - 1), 10, (Decision.DENY, Reason.USES_EXHAUSTED, 5)),
        (GOOD, record(max_uses=0, uses=2**32 - 2), 10, (Decision.PERMIT, Reason.GRANTED, 5)),
    ],
)
def test_the_first_reason_that_applies_decides(
    entity: Entity, consent: Consent, now: int, judgement: tuple[Decision, Reason, int]
) -> None:
    assert judge(entity, consent, 1, Category(1), now) == Judgement(*judgement)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers())), st.integers(-1, 31))
def test_a_timeline_answers_as_a_list_does(changes: list[tuple[int, int]], second: int) -> None:
    timeline = Timeline(-1)
    ordered = sorted(changes, key=lambda change: change[0])
    for time, value in ordered:
        timeline.change(time, value)
    assert timeline.at(second) == [-1, *(value for time, value in ordered if time <= second)][-1]
    assert timeline.at(None) == timeline.now == [-1, *(value for _, value in ordered)][-1]


# --- everything else ----------------------------------------------------------------------------------------


def test_consents_and_patients_of_the_sample() -> None:
    state = rebuilt(*CONSENTS[:-1], replace(CONSENTS[-1], nonce=1))
    assert state.epoch(PATIENT) == 1
    assert state.epoch(PATIENT, START) == 0
    researchers = state.consent(*WHO)
    assert (researchers.version, researchers.status) == (3, ConsentStatus.WITHDRAWN)
    hospitals = state.consent(PATIENT, HOSPITAL, Purpose.TREAT)
    assert (hospitals.version, hospitals.status, hospitals.epoch) == (1, ConsentStatus.GIVEN, 0)
    assert state.consent(PATIENT, HOSPITAL, Purpose.HRESCH).status is ConsentStatus.NONE


def test_delegates_and_opt_outs() -> None:
    state = rebuilt(
        at(1, ev.DelegateSet(PATIENT, DELEGATE, Power.GIVE, START + 50)),
        at(2, ev.EmergencyOptOutSet(PATIENT, True)),
        at(3, ev.DelegateSet(PATIENT, DELEGATE, Power(0), 0)),
        at(4, ev.EmergencyOptOutSet(PATIENT, False)),
    )
    assert state.delegation(PATIENT, DELEGATE, START + 2) == Delegation(Power.GIVE, START + 50)
    assert state.delegation(PATIENT, DELEGATE) == Delegation(Power(0), 0)
    assert [state.emergency_opt_out(PATIENT, START + second) for second in (1, 2, 3, 4)] == [0, 1, 1, 0]


def test_nonces_count_whatever_burns_one() -> None:
    state = rebuilt(
        at(1, ev.SignatureUsed(PATIENT, 0)),
        at(2, ev.SignaturesCancelled(PATIENT, 2)),
        at(3, AllConsentsRevoked(PATIENT, by=DELEGATE, epoch=1, nonce=3)),
        at(4, ev.SignatureUsed(PATIENT, 3)),
    )
    assert [state.nonce(PATIENT, START + second) for second in range(5)] == [0, 1, 2, 3, 4]
    assert (state.nonce(PATIENT), state.nonce(DELEGATE)) == (4, 0)


def test_the_administration_changes_hands() -> None:
    state = rebuilt(
        at(0, ev.AdminTransferred(0, ADMIN)),
        at(1, ev.AdminTransferBegun(HOSPITAL, START + 9)),
        at(2, ev.AdminTransferCancelled(HOSPITAL)),
        at(3, ev.AdminTransferBegun(FUNDER, START + 10)),
        at(10, ev.AdminTransferred(ADMIN, FUNDER)),
    )
    assert (state.admin(START - 1), state.admin(START + 9), state.admin()) == (0, ADMIN, FUNDER)
    assert state.pending_admin(START + 1) == PendingAdmin(HOSPITAL, START + 9)
    assert state.pending_admin(START + 2) is None
    assert state.pending_admin(START + 3) == PendingAdmin(FUNDER, START + 10)
    assert state.pending_admin() is None


def test_logs_lead_to_their_heads() -> None:
    refusals = [replace(entry, decision=Decision.DENY, reason=Reason.NEVER_GIVEN) for entry in ENTRIES]
    state = rebuilt(*refusals)
    assert state.patients == [PATIENT]
    assert state.log(PATIENT) == refusals
    assert state.log_head(PATIENT).count == HEAD.count
    assert state.log_head(0xBEEF) == replace(HEAD, count=0, head=0)
    permitted = rebuilt(registered(1, RESEARCHER), CONSENTS[0], *ENTRIES)
    assert permitted.log_head(PATIENT) == HEAD
    assert permitted.consent(*WHO).uses == 1


RATE = TERMS.rate
PATIENTS_SHARE, HOSPITALS_SHARE = RATE - RATE // 8, RATE // 8
OPENED: tuple[Event, ...] = (
    at(1, ev.CampaignOpened(TERMS.id, FUNDER, Purpose.HRESCH, TERMS)),
    at(1, ev.RewardDeposited(TERMS.id, FUNDER, 3 * RATE)),
)


def paid(second: int, accessor: int) -> Event:
    accrued = ev.RewardAccrued(TERMS.id, PATIENT, accessor, HOSPITAL, PATIENTS_SHARE, HOSPITALS_SHARE)
    return at(second, accrued)


def test_rewards_add_up() -> None:
    state = rebuilt(
        at(0, ev.AllowanceSet(TERMS.id, RESEARCHER, RATE + 1)),
        *OPENED,
        paid(2, RESEARCHER),
        paid(3, FUNDER),
        at(4, ev.RewardWithdrawn(PATIENT, DELEGATE, PATIENTS_SHARE + 1)),
        at(5, ev.CampaignCloseAnnounced(TERMS.id, START + 99)),
    )
    assert state.campaign(TERMS.id) == Campaign(TERMS.id, CONTRACT, CampaignStatus.OPEN, RATE, 2, START + 99)
    assert state.campaigns == {TERMS.id: TERMS}
    assert state.allowance(TERMS.id, RESEARCHER) == 1
    assert state.claimable(PATIENT) == PATIENTS_SHARE - 1
    assert state.withdrawn(PATIENT) == PATIENTS_SHARE + 1
    assert state.accumulated(PATIENT) == 2 * PATIENTS_SHARE
    assert state.claimable(HOSPITAL) == 2 * HOSPITALS_SHARE
    assert state.lifetime_deposits() == 3 * RATE
    assert state.liabilities() == 3 * RATE - PATIENTS_SHARE - 1
    state.apply(at(99, ev.CampaignClosed(TERMS.id, RATE)))
    assert state.campaign(TERMS.id).status is CampaignStatus.CLOSED
    assert state.claimable(FUNDER) == RATE
    assert state.liabilities() == 3 * RATE - PATIENTS_SHARE - 1


# --- events that do not follow on one another ---------------------------------------------------------------

REVOKED = at(60, ConsentRevoked(*WHO, by=PATIENT, version=2))


@pytest.mark.parametrize(
    "events",
    [
        (registered(5, RESEARCHER), registered(4, HOSPITAL)),
        (registered(1, RESEARCHER), registered(2, RESEARCHER)),
        (at(1, ev.EntitySuspended(RESEARCHER)),),
        (registered(1, RESEARCHER), at(2, ev.EntityReinstated(RESEARCHER))),
        (given_consent(1, 2),),
        (given_consent(1), given_consent(2, 3)),
        (given_consent(1, epoch=1),),
        (REVOKED,),
        (given_consent(1), REVOKED, at(61, ConsentRevoked(*WHO, by=PATIENT, version=4))),
        (given_consent(1), REVOKED, at(61, ConsentRevoked(*WHO, by=FUNDER, version=3))),
        (at(1, AllConsentsRevoked(PATIENT, by=PATIENT, epoch=2, nonce=2)),),
        (at(1, AllConsentsRevoked(PATIENT, by=PATIENT, epoch=1, nonce=2)),),
        (at(1, ev.SignatureUsed(PATIENT, 1)),),
        (at(1, ev.SignatureUsed(PATIENT, 0)), at(2, ev.SignatureUsed(PATIENT, 0))),
        (at(1, ev.SignaturesCancelled(PATIENT, 2)),),
        (given_consent(1), used(110, 2)),
        (given_consent(1), used(110, 1, version=2)),
        (given_consent(1), used(110, 1), used(111, 1)),
        (replace(used(110, 1), location=EventLocation(1, 1, START + 111)),),
        (at(1, ev.AdminTransferred(ADMIN, FUNDER)),),
        (at(1, ev.AdminTransferCancelled(FUNDER)),),
        OPENED[1:],
        (*OPENED, OPENED[0]),
        (at(1, ev.CampaignOpened(TERMS.id + 1, FUNDER, Purpose.HRESCH, TERMS)),),
        (*OPENED, paid(2, RESEARCHER)),
        (*OPENED, *(paid(2, FUNDER) for _ in range(4))),
        (*OPENED, replace(paid(2, FUNDER), patient_share=PATIENTS_SHARE - 1)),
        (*OPENED, at(2, ev.RewardWithdrawn(PATIENT, PATIENT, 1))),
        (*OPENED, at(2, ev.CampaignClosed(TERMS.id, RATE))),
        (*OPENED, at(2, ev.CampaignClosed(TERMS.id, 3 * RATE)), paid(3, FUNDER)),
    ],
)
def test_missing_and_misplaced_events_are_found(events: tuple[Event, ...]) -> None:
    *before, last = events
    state = rebuilt(*before)
    with pytest.raises(VerificationError) as refused:
        state.apply(last)
    assert ev.event_name(last) in refused.value.findings[0]


def test_an_event_without_its_time_is_refused() -> None:
    for location in (None, EventLocation(1, 1)):
        with pytest.raises(InputError, match="ConsentRevoked has no time"):
            rebuilt(replace(REVOKED, location=location))


def test_pools_are_not_mixed() -> None:
    other = CampaignTerms(0xBAD, FUNDER, Purpose.HRESCH, 1, 0, 0, START + DAY, 0)
    with pytest.raises(InputError, match="several pools"):
        rebuilt(*OPENED, at(2, ev.CampaignOpened(other.id, FUNDER, Purpose.HRESCH, other)))


def test_what_changes_no_state_is_passed_over() -> None:
    events = [
        at(1, ev.ConsentRefused(*WHO, by=PATIENT)),
        at(2, ev.ConsentRequested(*WHO, ASKED, START, START + 9, 0, None, 1)),
        at(3, ev.EmergencyAccessed(PATIENT, HOSPITAL, 1, 5)),
    ]
    assert rebuilt(*events).patients == []

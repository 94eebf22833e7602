"""State rebuilt from events: exact at every second, and refused where events are missing or do not fit."""

from collections import defaultdict
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsync.errors import InputError, VerificationError
from medsync.log.replay import (
    ConsentRecord,
    State,
    Timeline,
    judge,
    judge_emergency,
    replay,
    replay_patient,
)
from medsync.protocol import events as ev
from medsync.protocol.chains import chain_of, subject_of
from medsync.protocol.events import ConsentAdded, Event, EventLocation, LogEntry
from medsync.protocol.types import (
    Budget,
    Campaign,
    Consent,
    Delegation,
    Emergency,
    Entity,
    KeyCredit,
    PaidUses,
    PatientState,
    Payee,
    PendingAdmin,
    Verdict,
)
from medsync.protocol.vocabulary import (
    CampaignStatus,
    Category,
    ConsentStatus,
    Decision,
    EmergencyChoice,
    PayeeKind,
    Power,
    Purpose,
    Reason,
    Role,
)
from tests.harness.histories import (
    ADMIN,
    AUDITOR,
    BLOCK,
    CHAIN,
    CONTRACT,
    DAY,
    DELEGATE,
    FUNDER,
    HISTORY,
    HOSPITAL,
    HOUR,
    NEW_ADMIN,
    PATIENT,
    RESEARCHER,
    START,
    STUDY,
    SUCCESSOR,
    TERMS,
)
from tests.harness.words import ADMIN_DELAY, ADMIN_LAPSE, EMERGENCY_DELAY, JUSTIFY_WITHIN, PROFILE_DELAY

ASKED = Category.LABORATORY
WHO = (PATIENT, RESEARCHER, Purpose.HRESCH)
KEY = (*WHO, STUDY)
OTHER = replace(TERMS, salt=1)
LAST = 2**32 - 1


def numbered(*events: Event) -> list[Event]:
    """The events with the numbers that they have in their histories if these are all of them."""
    counts: defaultdict[Any, int] = defaultdict(int)
    found: list[Event] = []
    for event in events:
        chain = chain_of(event)
        if chain is not None:
            entry: Any = event
            counts[chain, subject_of(entry)] += 1
            event = replace(entry, seq=counts[chain, subject_of(entry)])
        found.append(event)
    return found


def rebuilt(*events: Event, until: int | None = None) -> State:
    return replay(numbered(*events), chain_id=CHAIN, contract=CONTRACT, until=until)


def applied(*events: Event) -> State:
    """Without asking whether the histories fit together."""
    state = State(CHAIN, CONTRACT)
    for event in numbered(*events):
        state.apply(event)
    return state


# Events of a second after the start; their numbers are given by `numbered`.


def registered(second: int, entity: int = RESEARCHER, role: Role = Role.RESEARCHER) -> Event:
    return ev.EntityRegistered(entity, 0, START + second, role, 1)


def suspended(second: int, entity: int = RESEARCHER) -> Event:
    return ev.EntitySuspended(entity, 0, START + second, by=entity)


def reinstated(second: int, entity: int = RESEARCHER) -> Event:
    return ev.EntityReinstated(entity, 0, START + second)


def given_consent(second: int, version: int = 1, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "study": STUDY,
        "by": PATIENT,
        "nonce": 0,
        "version": version,
        "generation": 1,
        "categories": ASKED | Category.IMAGING,
        "starts_at": START + 100,
        "expires_at": START + 200,
        "max_uses": 0,
        "scoped": False,
        "campaign": 0,
        "terms_commitment": 0,
    }
    return ConsentAdded(*WHO, seq=0, at=START + second, **values | changes)


def revoked(second: int, version: int, generation: int = 1, by: int = PATIENT, nonce: int = 0) -> Any:
    return ev.ConsentRevoked(
        *WHO,
        seq=0,
        at=START + second,
        study=STUDY,
        by=by,
        nonce=nonce,
        version=version,
        generation=generation,
    )


def refused(second: int, version: int, generation: int = 1, by: int = PATIENT) -> Any:
    return ev.ConsentRefused(
        *WHO, seq=0, at=START + second, study=STUDY, by=by, version=version, generation=generation
    )


def all_revoked(second: int, generation: int, by: int = PATIENT, dismissed: bool = False) -> Event:
    return ev.AllConsentsRevoked(PATIENT, 0, START + second, by, generation, dismissed)


def delegate(second: int, powers: Power, epoch: int = 0, until: int = 10_000) -> Event:
    return ev.DelegateSet(PATIENT, DELEGATE, 0, START + second, powers, START + until, epoch)


def asked(second: int, reason: Reason = Reason.GRANTED, **changes: Any) -> Any:
    decisions = {Reason.GRANTED: Decision.PERMIT, Reason.NEVER_GIVEN: Decision.NO_CONSENT}
    values: dict[str, Any] = {
        "study": STUDY,
        "decision": decisions.get(reason, Decision.DENY),
        "reason": reason,
        "version": 1,
        "scoped": False,
        "categories": ASKED,
        "record": 0,
        "campaign": 0,
        "registration": 1,
    }
    return LogEntry(*WHO, seq=0, at=START + second, **values | changes)


def emergency(second: int, reason: Reason = Reason.BREAK_GLASS, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "accessor": HOSPITAL,
        "purpose": Purpose.BTG,
        "study": 0,
        "version": 0,
        "decision": Decision.EMERGENCY if reason is Reason.BREAK_GLASS else Decision.DENY,
    }
    return replace(asked(second, reason), **values | changes)


def decided(state: State, second: int, categories: Category = ASKED, campaign: int = 0) -> tuple[Reason, int]:
    verdict = state.verify_consent(*KEY, categories, campaign, second=START + second)
    return verdict.reason, verdict.version


# --- decisions over time ------------------------------------------------------------------------------------


def test_a_window_is_exact_to_the_second() -> None:
    state = rebuilt(registered(1), given_consent(50))
    assert decided(state, 0) == (Reason.ENTITY_UNKNOWN, 0)
    assert decided(state, 1) == (Reason.NEVER_GIVEN, 0)
    assert decided(state, 49) == (Reason.NEVER_GIVEN, 0)
    assert decided(state, 50) == (Reason.NOT_STARTED, 1)
    assert decided(state, 99) == (Reason.NOT_STARTED, 1)
    assert decided(state, 100) == (Reason.GRANTED, 1)
    assert decided(state, 199) == (Reason.GRANTED, 1)
    assert decided(state, 200) == (Reason.EXPIRED, 1)
    decisions = [state.verify_consent(*KEY, ASKED, second=START + at).decision for at in (150, 49, 200)]
    assert decisions == [Decision.PERMIT, Decision.NO_CONSENT, Decision.DENY]


def test_every_change_counts_from_its_second_on() -> None:
    state = rebuilt(
        registered(1),
        given_consent(50, max_uses=2),
        asked(110),
        suspended(115),
        reinstated(120),
        asked(130, registration=3),
        given_consent(140, 2),
        revoked(150, 3),
        given_consent(155, 4),
        delegate(156, Power.REVOKE),
        revoked(160, 5, by=DELEGATE),
        refused(162, 6),
        given_consent(165, 7),
        all_revoked(170, 2),
        given_consent(175, 8, generation=2),
        ev.PurposeRefused(PATIENT, Purpose.HRESCH, 0, START + 180),
        ev.PurposeAllowed(PATIENT, Purpose.HRESCH, 0, START + 185),
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
        162: (Reason.REFUSED, 6),
        165: (Reason.GRANTED, 7),
        170: (Reason.ALL_REVOKED, 7),
        175: (Reason.GRANTED, 8),
        180: (Reason.PURPOSE_REFUSED, 8),
        185: (Reason.GRANTED, 8),
        200: (Reason.EXPIRED, 8),
    }
    assert {second: decided(state, second) for second in expected} == expected
    assert decided(state, 120, ASKED | Category.GENOMICS) == (Reason.CATEGORY_NOT_COVERED, 1)
    assert decided(state, 120, Category(0)) == (Reason.CATEGORY_NOT_COVERED, 1)
    assert decided(state, 120, campaign=TERMS.id) == (Reason.CAMPAIGN_MISMATCH, 1)
    assert [state.consent(*KEY, second=START + at).uses for at in (109, 110, 135, 140)] == [0, 1, 2, 0]


def test_a_study_is_matched_exactly() -> None:
    state = rebuilt(registered(1), given_consent(50))
    for study in (0, STUDY + 1):
        verdict = state.verify_consent(*WHO, study, ASKED, second=START + 150)
        assert verdict == Verdict(Decision.NO_CONSENT, Reason.NEVER_GIVEN, 0, False)


def test_of_two_changes_in_one_second_the_last_counts() -> None:
    state = rebuilt(registered(1), given_consent(120), revoked(120, 2))
    assert decided(state, 119) == (Reason.NEVER_GIVEN, 0)
    assert decided(state, 120) == (Reason.WITHDRAWN, 2)


def test_what_a_later_block_may_still_change_is_not_answered() -> None:
    state = rebuilt(registered(1), given_consent(50), until=START + 150)
    assert decided(state, 149) == (Reason.GRANTED, 1)
    for second in (150, 151):
        with pytest.raises(InputError, match="is not certain"):
            decided(state, second)
        with pytest.raises(InputError, match="is not certain"):
            state.entity(RESEARCHER, START + second)
    assert state.verify_consent(*KEY, ASKED).reason is Reason.GRANTED, "as the contract answers at that block"
    assert rebuilt(registered(1), given_consent(50)).verify_consent(*KEY, ASKED).reason is Reason.NOT_STARTED


def test_an_entry_after_the_block_is_refused() -> None:
    rebuilt(registered(1), given_consent(50), until=START + 50)
    with pytest.raises(VerificationError, match="its time does not fit"):
        rebuilt(registered(1), given_consent(50), until=START + 49)


GOOD = Entity(Role.AUDITOR, suspended=False, registered_at=1, active_since=1, profiled_at=1, seq=1)
PERSON = PatientState(2, 1, 1, 0, 0, EmergencyChoice.EVERY_HOSPITAL)
RECORD = ConsentRecord(
    status=ConsentStatus.GIVEN,
    starts_at=10,
    expires_at=20,
    categories=Category.ALL,
    version=5,
    generation=1,
    max_uses=3,
    campaign=7,
    scoped=True,
    by_delegate=False,
    given=5,
)


class Case:
    """A request that is granted, and what is wrong with it."""

    def __init__(self) -> None:
        self.entity, self.patient, self.record = GOOD, PERSON, RECORD
        self.asked: dict[str, Any] = {
            "purpose": Purpose.HRESCH,
            "categories": Category(1),
            "campaign": 7,
            "uses": 2,
            "paid": 2,
            "now": 10,
        }

    def decide(self) -> Verdict:
        return judge(self.entity, self.patient, self.record, **self.asked)


def _status(status: ConsentStatus) -> Any:
    return lambda case: setattr(case, "record", replace(case.record, status=status))


def _asking(**changes: Any) -> Any:
    return lambda case: case.asked.update(changes)


#: In the published order: what makes each reason true.
WRONG: dict[Reason, Any] = {
    Reason.ENTITY_UNKNOWN: lambda case: setattr(case, "entity", replace(case.entity, role=Role.NONE)),
    Reason.ENTITY_SUSPENDED: lambda case: setattr(case, "entity", replace(case.entity, suspended=True)),
    Reason.PURPOSE_REFUSED: lambda case: setattr(case, "patient", replace(case.patient, refused_purposes=1)),
    Reason.NEVER_GIVEN: _status(ConsentStatus.NONE),
    Reason.REFUSED: _status(ConsentStatus.REFUSED),
    Reason.WITHDRAWN: _status(ConsentStatus.WITHDRAWN),
    Reason.REVOKED: _status(ConsentStatus.REVOKED),
    Reason.ALL_REVOKED: lambda case: setattr(case, "patient", replace(case.patient, floor=2)),
    Reason.NOT_STARTED: _asking(now=9),
    Reason.EXPIRED: _asking(now=20),
    Reason.CATEGORY_NOT_COVERED: _asking(categories=Category(0)),
    Reason.CAMPAIGN_MISMATCH: _asking(campaign=8),
    Reason.USES_EXHAUSTED: _asking(uses=3),
}


def test_the_published_order_is_that_of_the_reasons() -> None:
    assert list(WRONG) == sorted(WRONG)
    assert Case().decide() == Verdict(Decision.PERMIT, Reason.GRANTED, 5, True)


@pytest.mark.parametrize("reasons", [*((reason,) for reason in WRONG), *combinations(WRONG, 2), tuple(WRONG)])
def test_the_first_reason_that_applies_decides(reasons: tuple[Reason, ...]) -> None:
    case = Case()
    # What excludes each other, like two states of one record, is decided by the first.
    for reason in reversed(reasons):
        WRONG[reason](case)
    first = reasons[0]
    decision = Decision.NO_CONSENT if first is Reason.NEVER_GIVEN else Decision.DENY
    known = first not in (Reason.ENTITY_UNKNOWN, Reason.ENTITY_SUSPENDED)
    assert case.decide() == Verdict(decision, first, 5 if known else 0, known)


@pytest.mark.parametrize(
    ("record", "changes", "reason"),
    [
        (replace(RECORD, categories=Category(2)), {}, Reason.CATEGORY_NOT_COVERED),
        (replace(RECORD, categories=Category(2)), {"categories": None}, Reason.GRANTED),
        (RECORD, {"now": 19}, Reason.GRANTED),
        (RECORD, {"campaign": 0}, Reason.CAMPAIGN_MISMATCH),
        (replace(RECORD, campaign=0), {}, Reason.CAMPAIGN_MISMATCH),
        (replace(RECORD, campaign=0), {"campaign": 0}, Reason.GRANTED),
        (replace(RECORD, max_uses=0), {"uses": LAST - 1, "paid": LAST - 1}, Reason.GRANTED),
        (replace(RECORD, max_uses=0), {"uses": LAST, "paid": LAST}, Reason.USES_EXHAUSTED),
        (RECORD, {"uses": 0, "paid": LAST}, Reason.USES_EXHAUSTED),
        (RECORD, {"purpose": Purpose.BTG}, Reason.NEVER_GIVEN),
    ],
)
def test_bounds_of_a_decision(record: ConsentRecord, changes: dict[str, Any], reason: Reason) -> None:
    case = Case()
    case.record = record
    case.asked.update(changes)
    assert case.decide().reason is reason


READY = replace(GOOD, role=Role.HOSPITAL)
AGED = READY.active_since + EMERGENCY_DELAY


@pytest.mark.parametrize("named", [ConsentStatus.NONE, ConsentStatus.GIVEN, ConsentStatus.REFUSED])
@pytest.mark.parametrize("choice", EmergencyChoice)
def test_whom_a_patient_lets_break_the_glass(choice: EmergencyChoice, named: ConsentStatus) -> None:
    patient = replace(PERSON, emergency=choice)
    lets_in = {
        EmergencyChoice.EVERY_HOSPITAL: named is not ConsentStatus.REFUSED,
        EmergencyChoice.NAMED_HOSPITALS: named is ConsentStatus.GIVEN,
        EmergencyChoice.NOBODY: False,
    }[choice]
    expected = (
        (Decision.EMERGENCY, Reason.BREAK_GLASS) if lets_in else (Decision.DENY, Reason.EMERGENCY_REFUSED)
    )
    naming = replace(RECORD, status=named, version=7)
    verdict = judge_emergency(READY, patient, naming, AGED)
    assert (verdict.decision, verdict.reason) == expected
    # It names the version of what it was judged on.
    assert verdict.version == (0 if choice is EmergencyChoice.NOBODY else 7)
    for entity, now, reason in (
        (replace(READY, role=Role.NONE, suspended=True), 0, Reason.ENTITY_UNKNOWN),
        (replace(GOOD, suspended=True), 0, Reason.ENTITY_SUSPENDED),
        (GOOD, 0, Reason.NOT_HOSPITAL),
        (READY, AGED - 1, Reason.HOSPITAL_TOO_NEW),
    ):
        assert judge_emergency(entity, patient, naming, now) == Verdict(Decision.DENY, reason, 0, False)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers())), st.integers(-1, 31))
def test_a_timeline_answers_as_a_list_does(changes: list[tuple[int, int]], number: int) -> None:
    timeline = Timeline(-1)
    ordered = sorted(changes, key=lambda change: change[0])
    for entry, value in ordered:
        timeline.change(entry, value)
    assert timeline.at(number) == [-1, *(value for entry, value in ordered if entry <= number)][-1]
    assert timeline.now == [-1, *(value for _, value in ordered)][-1]


# --- the sample: all three histories ------------------------------------------------------------------------


def test_the_samples_histories_explain_one_another() -> None:
    state = replay_patient(HISTORY)
    assert state.patients == [PATIENT]
    assert state.registry_head() == HISTORY.registry.head
    assert state.history_head(PATIENT) == HISTORY.consents.head
    assert state.log_head(PATIENT) == HISTORY.accesses.head
    assert tuple(state.registry) == HISTORY.registry.entries
    assert tuple(state.history(PATIENT)) == HISTORY.consents.entries
    assert tuple(state.log(PATIENT)) == HISTORY.accesses.entries
    assert state.now == BLOCK.timestamp
    assert state.history_head(0xBEEF).count == state.log_head(0xBEEF).count == 0


def test_histories_may_be_mixed_or_follow_one_another() -> None:
    registry, consents, accesses = HISTORY.histories
    mixed = [*accesses.entries, *consents.entries, *registry.entries]
    state = replay(mixed, chain_id=CHAIN, contract=CONTRACT)
    assert state.log_head(PATIENT) == accesses.head


def test_a_part_is_not_replayed() -> None:
    later = replace(HISTORY.accesses, known=HISTORY.accesses.checkpoint, entries=())
    with pytest.raises(InputError, match="Only whole histories"):
        replay_patient(replace(HISTORY, accesses=later))


def test_consents_and_patients_of_the_sample() -> None:
    state = replay_patient(HISTORY)
    researchers = state.consent(*KEY)
    assert (researchers.version, researchers.status) == (3, ConsentStatus.WITHDRAWN)
    assert (researchers.state, researchers.generation, researchers.uses) == (Reason.WITHDRAWN, 2, 0)
    assert state.consent(PATIENT, HOSPITAL, Purpose.TREAT, 0) == Consent(
        state=Reason.ALL_REVOKED,
        status=ConsentStatus.GIVEN,
        starts_at=START,
        expires_at=2**40 - 1,
        categories=Category.ALL,
        version=1,
        generation=0,
        max_uses=0,
        uses=0,
        rewarded=False,
        scoped=False,
        by_delegate=True,
    )
    assert state.consent(PATIENT, AUDITOR, Purpose.HRESCH, 0).state is Reason.REFUSED
    assert state.consent(PATIENT, FUNDER, Purpose.HRESCH, 0).state is Reason.ENTITY_UNKNOWN
    assert state.patient_state(PATIENT) == PatientState(4, 1, 4, 1, 0, EmergencyChoice.NAMED_HOSPITALS)
    first = state.patient_state(PATIENT, START + HOUR)
    assert first == PatientState(1, 2, 0, 0, 0, EmergencyChoice.EVERY_HOSPITAL)
    assert state.patient_state(PATIENT, START + 6 * HOUR).refused == (Purpose.PUBHLTH,)
    assert state.patient_state(0xBEEF) == replace(first, counter=1)
    assert state.delegation(PATIENT, DELEGATE) == Delegation(Power.GIVE | Power.REVOKE, START + 90 * DAY, 0)
    assert state.delegation(PATIENT, FUNDER) == Delegation(Power(0), 0, 0)
    assert state.emergency_naming(PATIENT, HOSPITAL) is ConsentStatus.GIVEN
    assert state.emergency_naming(PATIENT, HOSPITAL, START + 8 * HOUR) is ConsentStatus.NONE


def test_a_paid_consent_answers_for_its_campaign_alone() -> None:
    state = replay_patient(HISTORY)
    second = START + 2 * HOUR
    named = state.consent(*KEY, TERMS.id, second=second)
    assert (named.state, named.uses, named.rewarded, named.scoped) == (Reason.GRANTED, 1, True, True)
    for campaign in (0, OTHER.id):
        answer = state.consent(*KEY, campaign, second=second)
        assert (answer.state, answer.uses) == (Reason.CAMPAIGN_MISMATCH, 0)


def test_emergencies_and_what_became_of_them() -> None:
    state = replay_patient(HISTORY)
    (found,) = state.emergencies(PATIENT)
    assert (found.access.seq, found.justified is not None, found.contested is not None) == (5, True, True)
    (before,) = state.emergencies(PATIENT, START + 9 * HOUR)
    assert (before.justified, before.contested) == (None, None)
    deadline = before.access.at + JUSTIFY_WITHIN
    assert [before.overdue(second) for second in (deadline, deadline + 1)] == [False, True]
    assert not found.overdue(deadline + 1)
    assert state.emergencies(PATIENT, START + 8 * HOUR) == []
    assert state.emergency(PATIENT, 5, HOSPITAL) == Emergency(START + 9 * HOUR, True, True)
    for seq, hospital in ((5, RESEARCHER), (4, HOSPITAL)):
        assert state.emergency(PATIENT, seq, hospital) == Emergency(0, False, False)
    reasons = [
        state.verify_emergency(PATIENT, HOSPITAL, START + hour * HOUR).reason for hour in (-200, 7, 8, 9)
    ]
    assert reasons == [
        Reason.HOSPITAL_TOO_NEW,
        Reason.BREAK_GLASS,
        Reason.EMERGENCY_REFUSED,
        Reason.BREAK_GLASS,
    ]
    assert state.verify_emergency(PATIENT, RESEARCHER, START).reason is Reason.NOT_HOSPITAL


def test_the_administration_changes_hands() -> None:
    state = replay_patient(HISTORY)
    hours = (-241, -240, -155, -145, -60, -21, -20)
    assert [state.admin(START + hour * HOUR) for hour in hours] == [0, *[ADMIN] * 5, NEW_ADMIN]
    begun = START - 160 * HOUR
    pending = PendingAdmin(SUCCESSOR, begun + ADMIN_DELAY, begun + ADMIN_LAPSE)
    assert state.pending_admin(START - 155 * HOUR) == pending
    assert state.pending_admin(START - 145 * HOUR) is None
    assert state.pending_admin() is None
    assert (state.successor(START - 11 * HOUR), state.successor()) == (0, SUCCESSOR)


def test_entities_name_their_latest_entry() -> None:
    state = replay_patient(HISTORY)
    hospital = state.entity(HOSPITAL)
    assert (hospital.role, hospital.seq, hospital.profiled_at) == (Role.HOSPITAL, 4, START - 200 * HOUR)
    assert hospital.active_since == hospital.registered_at == START - 225 * HOUR
    auditor = state.entity(AUDITOR)
    assert (auditor.seq, auditor.suspended, auditor.active_since) == (7, False, START - 170 * HOUR)
    assert state.entity(AUDITOR, START - 175 * HOUR).suspended


# --- one second has no order among histories ----------------------------------------------------------------


@pytest.mark.parametrize(
    "entries",
    [
        # The consent is given, ended, or given again in the second of the access.
        (given_consent(110), asked(110)),
        (given_consent(110), asked(110, Reason.NEVER_GIVEN, version=0)),
        (given_consent(50), revoked(110, 2), asked(110)),
        (given_consent(50), revoked(110, 2), asked(110, Reason.WITHDRAWN, version=2)),
        (given_consent(50), revoked(110, 2), given_consent(110, 3), asked(110, Reason.WITHDRAWN, version=2)),
        (given_consent(50), all_revoked(110, 2), asked(110), asked(110, Reason.ALL_REVOKED)),
        (
            given_consent(50),
            ev.PurposeRefused(PATIENT, Purpose.HRESCH, 0, START + 110),
            asked(110, Reason.PURPOSE_REFUSED),
            asked(110),
        ),
        # The entity is suspended and reinstated in the second of the access, which names its entry.
        (given_consent(50), suspended(110), reinstated(110), asked(110), asked(110, registration=3)),
        (given_consent(50), suspended(110), asked(110)),
        # Uses are counted in the order of the log.
        (given_consent(50, max_uses=1), asked(110), asked(110, Reason.USES_EXHAUSTED)),
        (given_consent(50, max_uses=1), asked(110), given_consent(110, 2), asked(110, version=2)),
    ],
)
def test_any_state_of_its_second_explains_an_access(entries: tuple[Event, ...]) -> None:
    rebuilt(registered(1), *entries)


@pytest.mark.parametrize(
    "entries",
    [
        (given_consent(111), asked(110)),
        (given_consent(50), revoked(109, 2), asked(110)),
        (given_consent(50), revoked(111, 2), asked(110, Reason.WITHDRAWN, version=2)),
        (given_consent(50), asked(110, version=2)),
        (given_consent(50), asked(110, scoped=True)),
        (given_consent(50), asked(110, study=0)),
        (given_consent(50), asked(110, categories=Category.GENOMICS)),
        (given_consent(50), asked(110, campaign=TERMS.id)),
        (given_consent(50), asked(110, decision=Decision.DENY)),
        (given_consent(50), asked(110, Reason.REWARD_UNFUNDED)),
        (given_consent(50), asked(110, Reason.ENTITY_UNKNOWN, registration=0, version=0)),
        (given_consent(50), asked(110, registration=2)),
        (given_consent(50), asked(110, registration=0)),
        (given_consent(50), suspended(109), asked(110)),
        (given_consent(50), suspended(109), asked(110, Reason.ENTITY_SUSPENDED, registration=2, version=0)),
        (given_consent(50), suspended(105), reinstated(109), asked(110)),
        (given_consent(50, max_uses=1), asked(110), asked(110)),
        (given_consent(50, max_uses=1), asked(110, Reason.USES_EXHAUSTED)),
    ],
)
def test_an_access_that_no_state_of_its_second_explains_is_named(entries: tuple[Event, ...]) -> None:
    with pytest.raises(VerificationError, match="do not fit together") as found:
        rebuilt(registered(1), *entries)
    count = sum(isinstance(event, LogEntry) for event in entries)
    text = f"entry {count} of the access log of {PATIENT:#x}: no state of its second explains it"
    assert found.value.findings == [text]


def test_a_consent_needs_a_registered_grantee() -> None:
    with pytest.raises(VerificationError) as found:
        rebuilt(given_consent(50))
    assert found.value.findings == [
        f"entry 1 of the consent history of {PATIENT:#x}: the entity was not registered"
    ]
    rebuilt(registered(50), given_consent(50))


def named_hospital(second: int, allowed: bool = True) -> Event:
    return ev.EmergencyHospitalSet(PATIENT, HOSPITAL, 0, START + second, allowed, version=1, generation=1)


def test_only_a_hospital_is_named_for_emergencies() -> None:
    rebuilt(registered(1, HOSPITAL, Role.HOSPITAL), named_hospital(2))
    rebuilt(named_hospital(2, allowed=False))
    with pytest.raises(VerificationError, match="was not registered"):
        rebuilt(registered(1, HOSPITAL, Role.RESEARCHER), named_hospital(2))


LATER = 1 + EMERGENCY_DELAY


@pytest.mark.parametrize(
    ("entries", "fits"),
    [
        ((emergency(LATER),), True),
        ((emergency(LATER - 1),), False),
        ((emergency(LATER - 1, Reason.HOSPITAL_TOO_NEW),), True),
        ((emergency(LATER, Reason.EMERGENCY_REFUSED),), False),
        ((named_hospital(5, allowed=False), emergency(LATER, Reason.EMERGENCY_REFUSED, version=1)), True),
        ((named_hospital(5, allowed=False), emergency(LATER, Reason.EMERGENCY_REFUSED)), False),
        ((named_hospital(5), emergency(LATER, version=1)), True),
        ((named_hospital(5), emergency(LATER)), False),
        ((named_hospital(LATER, allowed=False), emergency(LATER)), True),
        ((named_hospital(5, allowed=False), emergency(LATER)), False),
        ((emergency(LATER, version=1),), False),
        ((emergency(LATER, study=1),), False),
        ((emergency(LATER, campaign=1),), False),
    ],
)
def test_an_emergency_access_is_explained_by_the_patients_choice(
    entries: tuple[Event, ...], fits: bool
) -> None:
    events = (registered(1, HOSPITAL, Role.HOSPITAL), *entries)
    if fits:
        rebuilt(*events)
    else:
        with pytest.raises(VerificationError, match="no state of its second"):
            rebuilt(*events)


def deletion(second: int, version: int, **changes: Any) -> Any:
    return replace(ev.DeletionStated(*WHO, 0, START + second, STUDY, version, 1, 0xDE1), **changes)


@pytest.mark.parametrize(
    ("entries", "fits"),
    [
        ((given_consent(50), deletion(110, 1)), True),
        ((given_consent(50), revoked(110, 2), deletion(110, 1), deletion(110, 2)), True),
        ((given_consent(50), deletion(110, 2)), False),
        ((given_consent(50), deletion(110, 1, study=0)), False),
        ((given_consent(50), deletion(110, 1, registration=2)), False),
        ((deletion(110, 0),), False),
    ],
)
def test_a_statement_of_deletion_names_the_consent_as_it_was(entries: tuple[Event, ...], fits: bool) -> None:
    if fits:
        rebuilt(registered(1), *entries)
    else:
        with pytest.raises(VerificationError, match="no state of its second"):
            rebuilt(registered(1), *entries)


# --- delegates ----------------------------------------------------------------------------------------------

ALL_POWERS = Power.GIVE | Power.REVOKE | Power.REFUSE
BY_DELEGATE = {"by": DELEGATE, "generation": 0}


@pytest.mark.parametrize(
    "events",
    [
        # An empty cell, and what only delegates decided on; the record keeps the generation.
        (delegate(1, Power.GIVE), given_consent(2, **BY_DELEGATE)),
        (delegate(1, Power.GIVE), given_consent(2, **BY_DELEGATE), given_consent(3, 2, **BY_DELEGATE)),
        (
            delegate(1, ALL_POWERS),
            given_consent(2, **BY_DELEGATE),
            revoked(3, 2, generation=0, by=DELEGATE),
            given_consent(4, 3, **BY_DELEGATE),
        ),
        (
            delegate(1, ALL_POWERS),
            refused(2, 1, generation=0, by=DELEGATE),
            given_consent(3, 2, **BY_DELEGATE),
        ),
        # The patient's consent that expired.
        (
            given_consent(1),
            delegate(2, Power.GIVE),
            given_consent(200, 2, by=DELEGATE, expires_at=START + 900),
        ),
        # A live consent is revoked with REVOKE, and refused only with REVOKE as well.
        (given_consent(1), delegate(2, Power.REVOKE), revoked(3, 2, by=DELEGATE)),
        (given_consent(1), delegate(2, ALL_POWERS), refused(3, 2, by=DELEGATE)),
        (given_consent(1), delegate(2, Power.REFUSE), refused(200, 2, by=DELEGATE)),
        (delegate(1, Power.REVOKE), all_revoked(2, 2, by=DELEGATE)),
        # A floor is the generation of an empty cell.
        (all_revoked(1, 2), delegate(2, Power.GIVE), given_consent(3, by=DELEGATE, generation=2)),
    ],
)
def test_what_a_delegate_may_do(events: tuple[Event, ...]) -> None:
    applied(*events)


@pytest.mark.parametrize(
    "events",
    [
        (given_consent(2, **BY_DELEGATE),),
        (delegate(1, Power.REVOKE | Power.REFUSE), given_consent(2, **BY_DELEGATE)),
        (delegate(1, Power.GIVE, until=2), given_consent(2, **BY_DELEGATE)),
        (
            delegate(1, Power.GIVE),
            ev.DelegatesDismissed(PATIENT, 0, START + 2, 1),
            given_consent(3, **BY_DELEGATE),
        ),
        (
            delegate(1, Power.GIVE),
            all_revoked(2, 2, dismissed=True),
            given_consent(3, by=DELEGATE, generation=2),
        ),
        (delegate(1, Power.GIVE), given_consent(2, by=DELEGATE, generation=1)),
        (delegate(1, Power.GIVE), given_consent(2, nonce=2**32 + 1, **BY_DELEGATE)),
        # What the patient decided, in every state of it.
        (
            given_consent(1),
            delegate(2, ALL_POWERS),
            given_consent(199, 2, by=DELEGATE, expires_at=START + 900),
        ),
        (given_consent(1), revoked(2, 2), delegate(3, ALL_POWERS), given_consent(4, 3, by=DELEGATE)),
        (refused(1, 1), delegate(3, ALL_POWERS), given_consent(4, 2, by=DELEGATE)),
        # Under the floor nothing is given again, whoever gave it.
        (
            delegate(1, Power.GIVE),
            given_consent(2, **BY_DELEGATE),
            all_revoked(3, 2),
            given_consent(4, 2, by=DELEGATE, generation=2),
        ),
        # What is not live is not revoked; what says no already is not refused.
        (given_consent(1), delegate(2, ALL_POWERS), revoked(200, 2, by=DELEGATE)),
        (given_consent(1), delegate(2, ALL_POWERS), all_revoked(3, 2), revoked(4, 2, by=DELEGATE)),
        (given_consent(1), revoked(2, 2), delegate(3, ALL_POWERS), refused(4, 3, by=DELEGATE)),
        (given_consent(1), delegate(2, Power.REFUSE), refused(3, 2, by=DELEGATE)),
        (given_consent(1), delegate(2, Power.GIVE | Power.REFUSE), revoked(3, 2, by=DELEGATE)),
        (given_consent(1), delegate(2, ALL_POWERS), revoked(3, 2, by=DELEGATE, nonce=2**32)),
        (delegate(1, Power.GIVE), all_revoked(2, 2, by=DELEGATE)),
        (delegate(1, ALL_POWERS), all_revoked(2, 2, by=DELEGATE, dismissed=True)),
    ],
)
def test_what_no_delegate_may_do_is_no_history(events: tuple[Event, ...]) -> None:
    state = applied(*events[:-1])
    last = numbered(*events)[-1]
    with pytest.raises(VerificationError, match="do not follow on one another"):
        state.apply(last)


# --- signed messages ----------------------------------------------------------------------------------------


def test_counters_count_within_a_generation() -> None:
    state = applied(
        given_consent(1, nonce=2**32 + 1),
        given_consent(2, 2, nonce=2**32 + 2),
        ev.SignaturesCancelled(PATIENT, 0, START + 3, 2),
        given_consent(4, 3, generation=2, nonce=2 * 2**32 + 1),
        revoked(5, 4, generation=3, nonce=2 * 2**32),
    )
    counted = [
        (found.generation, found.counter)
        for found in (state.patient_state(PATIENT, START + second) for second in range(6))
    ]
    assert counted == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]


def test_signed_withdrawals_are_good_in_any_order() -> None:
    """Two signed in generation 1: the first does not void the second, and an empty record is withdrawn."""
    other = replace(revoked(3, 1, generation=3, nonce=2**32), study=0)
    state = applied(given_consent(1), revoked(2, 2, generation=2, nonce=2**32), other)
    assert state.record(*KEY).generation == 2
    assert state.record(*WHO, 0).status is ConsentStatus.WITHDRAWN
    assert state.patient_state(PATIENT).generation == 3


def test_the_last_generation_is_not_left() -> None:
    state = State(CHAIN, CONTRACT)
    history = state._consents[PATIENT]
    history.patient.change(0, replace(PERSON, generation=LAST, floor=0))
    (event,) = numbered(all_revoked(1, LAST))
    state.apply(event)
    assert state.patient_state(PATIENT).floor == LAST
    with pytest.raises(VerificationError, match="its generation"):
        state.apply(replace(given_consent(2, generation=LAST), seq=2))


# --- uses and pay -------------------------------------------------------------------------------------------


def test_paid_uses_belong_to_consent_and_campaign() -> None:
    """Renewed with another campaign and back: what is not settled stays owed, uses begin again."""
    paid = {"campaign": TERMS.id}
    state = rebuilt(
        registered(1),
        given_consent(50, 1, **paid),
        asked(110, **paid),
        asked(111, **paid),
        given_consent(120, 2, campaign=OTHER.id),
        asked(125, version=2, campaign=OTHER.id),
        asked(126, Reason.CAMPAIGN_MISMATCH, version=2, **paid),
        given_consent(130, 3, **paid),
        asked(135, version=3, **paid),
        asked(136, Reason.REWARD_UNFUNDED, version=3, **paid),
    )
    assert state.paid_uses(*KEY, TERMS.id) == PaidUses(version=3, paid=3, base=2, settled=0)
    assert state.paid_uses(*KEY, OTHER.id) == PaidUses(version=2, paid=1, base=0, settled=0)
    assert state.paid_uses(*KEY, TERMS.id, START + 115) == PaidUses(1, 2, 0, 0)
    assert state.paid_uses(*KEY, TERMS.id, START + 125) == PaidUses(1, 2, 0, 0)
    assert state.paid_uses(*KEY, 99) == PaidUses(0, 0, 0, 0)
    assert state.consent(*KEY, TERMS.id, second=START + 140).uses == 1
    assert state.consent(*KEY, OTHER.id, second=START + 140).uses == 0


RATE = TERMS.rate
HOSPITALS_SHARE = RATE // 8
PATIENTS_SHARE = RATE - HOSPITALS_SHARE
OPENED: tuple[Event, ...] = (
    ev.CampaignOpened(TERMS.id, FUNDER, Purpose.HRESCH, TERMS),
    ev.RewardDeposited(TERMS.id, FUNDER, 5 * RATE, 5),
)
INCREASED = ev.AllowanceIncreased(TERMS.id, RESEARCHER, 3)
PAID = {"campaign": TERMS.id}
USED: tuple[Event, ...] = (
    registered(1),
    given_consent(50, **PAID),
    asked(110, **PAID),
    asked(111, **PAID),
)


def test_rewards_add_up() -> None:
    state = rebuilt(
        *OPENED,
        INCREASED,
        *USED,
        ev.RewardSettled(TERMS.id, PATIENT, RESEARCHER, STUDY, 2, 2 * PATIENTS_SHARE),
        ev.CustodianSettled(TERMS.id, HOSPITAL, RESEARCHER, 1, HOSPITALS_SHARE),
        ev.RewardWithdrawn(PATIENT, DELEGATE, PATIENTS_SHARE + 1),
        ev.CampaignCloseAnnounced(TERMS.id, START + 99),
    )
    opened = Campaign(TERMS.id, CampaignStatus.OPEN, granted=5, taken=0, spent=0, closing_at=START + 99)
    assert state.campaign(TERMS.id) == opened
    assert state.campaign(OTHER.id).status is CampaignStatus.NONE
    assert state.campaigns == {TERMS.id: TERMS}
    assert state.budget(TERMS.id, RESEARCHER) == Budget(1, 2, TERMS.expires_at, 1)
    assert state.budget(TERMS.id, FUNDER) == Budget(2, 0, TERMS.expires_at, 0)
    assert state.budget(TERMS.id, HOSPITAL) == Budget(0, 0, 0, 0)
    assert state.paid_uses(*KEY, TERMS.id) == PaidUses(1, 2, 0, 2)
    assert state.paid_uses(*WHO, 0, TERMS.id) == PaidUses(0, 0, 0, 0), "it pays for its own study alone"
    assert state.claimable(PATIENT) == PATIENTS_SHARE - 1
    assert state.withdrawn(PATIENT) == PATIENTS_SHARE + 1
    assert state.accumulated(PATIENT) == 2 * PATIENTS_SHARE
    assert state.claimable(HOSPITAL) == HOSPITALS_SHARE
    assert state.liabilities() == 5 * RATE - PATIENTS_SHARE - 1
    state.apply(ev.CampaignClosed(TERMS.id, 2, 2 * RATE))
    state.apply(ev.AllowanceDecreased(TERMS.id, RESEARCHER, 1, RATE))
    assert state.campaign(TERMS.id) == replace(opened, status=CampaignStatus.CLOSED, taken=3)
    assert state.claimable(FUNDER) == 3 * RATE
    assert state.budget(TERMS.id, RESEARCHER).left == state.budget(TERMS.id, FUNDER).left == 0
    assert state.liabilities() == 5 * RATE - PATIENTS_SHARE - 1


def test_what_is_taken_back_before_the_end_is_the_funders_again() -> None:
    state = applied(*OPENED, INCREASED, ev.AllowanceDecreased(TERMS.id, RESEARCHER, 2, 0))
    assert [state.budget(TERMS.id, owner).left for owner in (FUNDER, RESEARCHER)] == [4, 1]
    assert state.claimable(FUNDER) == 0


def test_a_deposit_clears_an_announcement() -> None:
    deposit = ev.RewardDeposited(TERMS.id, FUNDER, RATE, 1)
    state = applied(*OPENED, ev.CampaignCloseAnnounced(TERMS.id, 7), deposit)
    assert (state.campaign(TERMS.id).closing_at, state.campaign(TERMS.id).granted) == (0, 6)


def test_a_budget_is_not_known_without_its_pool() -> None:
    state = rebuilt(*USED)
    with pytest.raises(InputError, match=f"budget of campaign {TERMS.id:#x} is not known"):
        state.budget(TERMS.id, RESEARCHER)


def test_a_campaign_with_a_spender_of_its_own_has_no_budgets() -> None:
    terms = replace(TERMS, spender=0x59E)
    spent = ev.RewardSpent(terms.id, terms.spender, Payee(PayeeKind.KEY, 9), PATIENTS_SHARE, HOSPITALS_SHARE)
    state = applied(
        ev.CampaignOpened(terms.id, FUNDER, Purpose.HRESCH, terms),
        ev.RewardDeposited(terms.id, FUNDER, 3 * RATE, 3),
        spent,
        replace(spent, payee=Payee(PayeeKind.ACCOUNT, PATIENT)),
        ev.KeyCreditWithdrawn(9, PATIENT, 5, 0),
    )
    assert state.campaign(terms.id) == Campaign(terms.id, CampaignStatus.OPEN, 3, 0, 2, 0)
    assert state.budget(terms.id, FUNDER) == Budget(0, 0, 0, 0)
    assert state.key_credit(9) == KeyCredit(PATIENTS_SHARE - 5, 1)
    assert (state.claimable(PATIENT), state.claimable(HOSPITAL)) == (PATIENTS_SHARE, 2 * HOSPITALS_SHARE)
    assert state.liabilities() == 3 * RATE - 5


def test_pools_and_their_tokens() -> None:
    state = applied(ev.PoolCreated(TERMS.pool, 0x7054, FUNDER, 1))
    assert state.pools == {TERMS.pool: 0x7054}


def test_pay_ends_with_the_campaign_where_its_terms_are_known() -> None:
    ending = replace(TERMS, expires_at=START + 111)
    opened = ev.CampaignOpened(ending.id, FUNDER, Purpose.HRESCH, ending)
    begun = (registered(1), given_consent(50, campaign=ending.id))
    over = asked(111, Reason.CAMPAIGN_EXPIRED, campaign=ending.id)
    late = asked(111, campaign=ending.id)
    early = asked(110, Reason.CAMPAIGN_EXPIRED, campaign=ending.id)
    rebuilt(opened, *begun, over)
    for entry in (late, early):
        rebuilt(*begun, entry)
        with pytest.raises(VerificationError, match="no state of its second"):
            rebuilt(opened, *begun, entry)


# --- events that do not follow on one another ---------------------------------------------------------------

DEPLOYED = ev.AdminTransferred(0, ADMIN, 0, START)
BEGUN = ev.AdminTransferBegun(NEW_ADMIN, 0, START + 1, START + 1 + ADMIN_DELAY, START + 1 + ADMIN_LAPSE)
HOSPITALS = registered(1, HOSPITAL, Role.HOSPITAL)
BROKEN = emergency(LATER)


def justified(second: int, entry: int = 1, accessor: int = HOSPITAL) -> Event:
    return ev.EmergencyJustified(PATIENT, accessor, 0, START + second, entry, 0x7E5)


def contested(second: int, entry: int = 1, accessor: int = HOSPITAL) -> Event:
    return ev.EmergencyContested(PATIENT, accessor, 0, START + second, entry)


@pytest.mark.parametrize(
    "events",
    [
        # Numbers and times.
        (registered(1), registered(5, HOSPITAL), registered(4, AUDITOR)),
        (given_consent(110), revoked(109, 2)),
        (asked(110), asked(109)),
        # The registry.
        (registered(1), registered(2)),
        (suspended(1),),
        (registered(1), suspended(2), suspended(3)),
        (registered(1), reinstated(2)),
        (registered(1), replace(suspended(2), by=FUNDER)),
        (registered(1), ev.ProfileChanged(RESEARCHER, 0, START + PROFILE_DELAY, 2)),
        (registered(1), suspended(2), ev.ProfileChanged(RESEARCHER, 0, START + 1 + PROFILE_DELAY, 2)),
        (DEPLOYED, replace(DEPLOYED, at=START + 1)),
        (DEPLOYED, registered(1, ADMIN)),
        (DEPLOYED, replace(BEGUN, ready_at=BEGUN.ready_at - 1)),
        (DEPLOYED, replace(BEGUN, lapses_at=BEGUN.lapses_at + 1)),
        (registered(0, NEW_ADMIN), BEGUN),
        (DEPLOYED, ev.AdminTransferCancelled(NEW_ADMIN, 0, START + 1)),
        (DEPLOYED, BEGUN, ev.AdminTransferCancelled(SUCCESSOR, 0, START + 2)),
        (DEPLOYED, ev.AdminTransferred(ADMIN, NEW_ADMIN, 0, BEGUN.ready_at)),
        (DEPLOYED, BEGUN, ev.AdminTransferred(ADMIN, SUCCESSOR, 0, BEGUN.ready_at)),
        (DEPLOYED, BEGUN, ev.AdminTransferred(ADMIN, NEW_ADMIN, 0, BEGUN.ready_at - 1)),
        (DEPLOYED, BEGUN, ev.AdminTransferred(ADMIN, NEW_ADMIN, 0, BEGUN.lapses_at)),
        # Consents.
        (given_consent(1, 2),),
        (given_consent(1), given_consent(2, 3)),
        (given_consent(1, generation=2),),
        (given_consent(200),),
        (given_consent(1, nonce=2**32),),
        (given_consent(1, nonce=2**32 + 2),),
        (given_consent(1, nonce=2 * 2**32 + 1, generation=1),),
        (given_consent(1, nonce=2**32 + 1), given_consent(2, 2, nonce=2**32 + 1)),
        (ev.PurposeRefused(PATIENT, Purpose.HRESCH, 0, START), given_consent(1)),
        (revoked(1, 1),),
        (given_consent(1), revoked(2, 3)),
        (given_consent(1), revoked(2, 2, generation=2)),
        (given_consent(1), revoked(2, 2, generation=1, nonce=2**32)),
        (given_consent(1), revoked(2, 2, generation=2, nonce=2 * 2**32)),
        (given_consent(1), revoked(2, 2, generation=2, nonce=2**32 + 1)),
        (
            given_consent(1),
            revoked(2, 2, generation=2, nonce=2**32),
            revoked(3, 3, generation=3, nonce=2**32),
        ),
        (refused(1, 2),),
        (refused(1, 1, generation=2),),
        (all_revoked(1, 3),),
        (ev.SignaturesCancelled(PATIENT, 0, START, 1),),
        (delegate(1, Power.GIVE, epoch=1),),
        (ev.DelegatesDismissed(PATIENT, 0, START, 2),),
        (named_hospital(1), named_hospital(2)),
        # Emergencies.
        (justified(1),),
        (contested(1),),
        (HOSPITALS, BROKEN, justified(LATER + 1, accessor=RESEARCHER)),
        (HOSPITALS, BROKEN, contested(LATER + 1, entry=2)),
        (HOSPITALS, BROKEN, justified(LATER + JUSTIFY_WITHIN + 1)),
        (HOSPITALS, BROKEN, justified(LATER), justified(LATER)),
        (HOSPITALS, BROKEN, contested(LATER), contested(LATER)),
        (HOSPITALS, emergency(LATER - 1, Reason.HOSPITAL_TOO_NEW), justified(LATER)),
        # Money.
        OPENED[1:],
        (*OPENED, OPENED[0]),
        (ev.CampaignOpened(TERMS.id + 1, FUNDER, Purpose.HRESCH, TERMS),),
        (*OPENED, ev.RewardDeposited(TERMS.id, FUNDER, RATE + 1, 1)),
        (*OPENED, replace(INCREASED, uses=6)),
        (*OPENED, ev.AllowanceDecreased(TERMS.id, RESEARCHER, 1, 0)),
        (*OPENED, INCREASED, ev.AllowanceDecreased(TERMS.id, RESEARCHER, 1, RATE)),
        (*OPENED, ev.RewardSettled(TERMS.id, PATIENT, RESEARCHER, STUDY, 2, PATIENTS_SHARE)),
        (*OPENED, ev.CustodianSettled(TERMS.id, HOSPITAL, RESEARCHER, 1, PATIENTS_SHARE)),
        (*OPENED, ev.RewardWithdrawn(PATIENT, PATIENT, 1)),
        (*OPENED, ev.KeyCreditWithdrawn(9, PATIENT, 1, 0)),
        (*OPENED, ev.KeyCreditWithdrawn(9, PATIENT, 0, 1)),
        (*OPENED, ev.CampaignClosed(TERMS.id, 5, RATE)),
        (*OPENED, ev.CampaignClosed(TERMS.id, 6, 6 * RATE)),
        (*OPENED, ev.CampaignClosed(TERMS.id, 5, 5 * RATE), INCREASED),
        (*OPENED, ev.CampaignClosed(TERMS.id, 5, 5 * RATE), OPENED[1]),
        (*OPENED, ev.CampaignClosed(TERMS.id, 5, 5 * RATE), ev.CampaignCloseAnnounced(TERMS.id, 7)),
    ],
)
def test_missing_and_misplaced_events_are_found(events: tuple[Event, ...]) -> None:
    *before, last = numbered(*events)
    state = State(CHAIN, CONTRACT)
    for event in before:
        state.apply(event)
    with pytest.raises(VerificationError) as refused:
        state.apply(last)
    assert ev.event_name(last) in refused.value.findings[0]


@pytest.mark.parametrize("index", range(len(HISTORY.entries)))
def test_an_entry_that_is_missing_is_found_without_its_head(index: int) -> None:
    """The next number is not there; only the last of a history needs the head."""
    entries = list(HISTORY.entries)
    gone = entries.pop(index)
    later = [entry for entry in entries[index:] if chain_of(entry) is chain_of(gone)]
    if later:
        with pytest.raises(VerificationError, match="its number does not fit"):
            replay(entries, chain_id=CHAIN, contract=CONTRACT)


def test_where_a_misplaced_event_stands_is_told() -> None:
    misplaced = replace(revoked(60, 2), seq=1, location=EventLocation(7, 7))
    with pytest.raises(VerificationError, match=r"ConsentRevoked in block 7: its consent does not fit"):
        State(CHAIN, CONTRACT).apply(misplaced)


def test_pools_are_replayed_one_by_one() -> None:
    other = replace(TERMS, pool=TERMS.pool + 1)
    with pytest.raises(InputError, match="several pools"):
        applied(*OPENED, ev.CampaignOpened(other.id, FUNDER, Purpose.HRESCH, other))


def test_requests_change_nothing() -> None:
    requested = ev.ConsentRequested(*WHO, START + 9, STUDY, ASKED, START, START + 9, 0, False, None, 0)
    state = rebuilt(registered(1), requested)
    assert state.history(PATIENT) == []
    assert state.consent(*KEY).state is Reason.NEVER_GIVEN

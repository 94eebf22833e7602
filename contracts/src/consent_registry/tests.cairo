use medsync_interfaces::consent_registry::{
    ConsentStatus, Delegation, EmergencyChoice, PatientState,
};
use crate::packing::MAX_TIME;
use super::cells::{DelegationPacking, PatientStatePacking, Record, RecordPacking};
use super::{is_exhausted, next_generation, next_version, raised};

const U32_MAX: u32 = 0xFFFFFFFF;

fn record() -> Record {
    Record {
        starts_at: 1,
        expires_at: 2,
        categories: 3,
        version: 4,
        generation: 5,
        max_uses: 6,
        uses: 7,
        status: ConsentStatus::Given,
        rewarded: true,
        by_delegate: false,
        scoped: true,
    }
}

fn assert_survives(record: Record) {
    assert!(RecordPacking::unpack(RecordPacking::pack(record)) == record);
}

#[test]
fn records_survive_packing() {
    assert_survives(record());
    for edge in array![0, 1, U32_MAX] {
        assert_survives(Record { categories: edge, ..record() });
        assert_survives(Record { version: edge, ..record() });
        assert_survives(Record { generation: edge, ..record() });
        assert_survives(Record { max_uses: edge, ..record() });
        assert_survives(Record { uses: edge, ..record() });
    }
    for edge in array![0, 1, MAX_TIME] {
        assert_survives(Record { starts_at: edge, ..record() });
        assert_survives(Record { expires_at: edge, ..record() });
    }
    for status in array![
        ConsentStatus::None, ConsentStatus::Given, ConsentStatus::Withdrawn, ConsentStatus::Revoked,
        ConsentStatus::Refused,
    ] {
        assert_survives(Record { status, ..record() });
        assert_survives(Record { status, rewarded: false, ..record() });
        assert_survives(Record { status, by_delegate: true, ..record() });
        assert_survives(Record { status, scoped: false, ..record() });
    }
    assert_survives(
        Record {
            starts_at: MAX_TIME,
            expires_at: MAX_TIME,
            categories: U32_MAX,
            version: U32_MAX,
            generation: U32_MAX,
            max_uses: U32_MAX,
            uses: U32_MAX,
            status: ConsentStatus::Refused,
            rewarded: true,
            by_delegate: true,
            scoped: true,
        },
    );
    assert!(RecordPacking::pack(RecordPacking::unpack(0)) == 0);
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn starts_at_out_of_range_panics() {
    RecordPacking::pack(Record { starts_at: MAX_TIME + 1, ..record() });
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn expires_at_out_of_range_panics() {
    RecordPacking::pack(Record { expires_at: MAX_TIME + 1, ..record() });
}

fn state() -> PatientState {
    PatientState {
        generation: 1,
        counter: 2,
        floor: 3,
        delegate_epoch: 4,
        refused_purposes: 5,
        emergency: EmergencyChoice::Nobody,
    }
}

fn assert_state_survives(state: PatientState) {
    assert!(PatientStatePacking::pack(state) != 0);
    assert!(PatientStatePacking::unpack(PatientStatePacking::pack(state)) == state);
}

#[test]
fn patient_states_survive_packing() {
    for edge in array![0, 1, U32_MAX] {
        assert_state_survives(PatientState { generation: edge, ..state() });
        assert_state_survives(PatientState { counter: edge, ..state() });
        assert_state_survives(PatientState { floor: edge, ..state() });
        assert_state_survives(PatientState { delegate_epoch: edge, ..state() });
    }
    for refused_purposes in array![0, 1, 0xFFFF] {
        assert_state_survives(PatientState { refused_purposes, ..state() });
    }
    for emergency in array![
        EmergencyChoice::EveryHospital, EmergencyChoice::NamedHospitals, EmergencyChoice::Nobody,
    ] {
        assert_state_survives(PatientState { emergency, ..state() });
    }
    assert_state_survives(
        PatientState {
            generation: U32_MAX,
            counter: U32_MAX,
            floor: U32_MAX,
            delegate_epoch: U32_MAX,
            refused_purposes: 0xFFFF,
            emergency: EmergencyChoice::Nobody,
        },
    );
}

#[test]
fn a_patient_begins_with_the_first_generation() {
    let first = PatientState {
        generation: 1,
        counter: 1,
        floor: 0,
        delegate_epoch: 0,
        refused_purposes: 0,
        emergency: EmergencyChoice::EveryHospital,
    };
    assert!(PatientStatePacking::unpack(0) == first);
}

#[test]
fn delegations_survive_packing() {
    for powers in array![0, 1, 7, 255] {
        for expires_at in array![0, 1, MAX_TIME] {
            for epoch in array![0, 1, U32_MAX] {
                let delegation = Delegation { powers, expires_at, epoch };
                assert!(DelegationPacking::pack(delegation) != 0);
                assert!(
                    DelegationPacking::unpack(DelegationPacking::pack(delegation)) == delegation,
                );
            }
        }
    }
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn delegation_out_of_range_panics() {
    DelegationPacking::pack(Delegation { powers: 1, expires_at: MAX_TIME + 1, epoch: 0 });
}

#[test]
fn versions_leave_room_for_a_revocation() {
    assert!(next_version(0) == 1);
    assert!(next_version(0xFFFFFFFD) == 0xFFFFFFFE);
}

#[test]
#[should_panic(expected: 'CONSENT/VERSION_EXHAUSTED')]
fn last_version_is_kept_for_a_revocation() {
    next_version(0xFFFFFFFE);
}

#[test]
fn closing_never_fails_for_want_of_numbers() {
    assert!(raised(0) == 1);
    assert!(raised(U32_MAX - 1) == U32_MAX);
    assert!(raised(U32_MAX) == U32_MAX);
    let next = next_generation(PatientState { generation: U32_MAX, ..state() });
    assert!(next == PatientState { generation: U32_MAX, counter: 1, ..state() });
    let next = next_generation(state());
    assert!(next == PatientState { generation: 2, counter: 1, ..state() });
}

#[test]
fn uses_run_out() {
    assert!(!is_exhausted(0, 1));
    assert!(is_exhausted(1, 1));
    assert!(is_exhausted(U32_MAX, U32_MAX));
    assert!(!is_exhausted(U32_MAX - 1, U32_MAX));
    assert!(!is_exhausted(U32_MAX - 1, 0));
    assert!(is_exhausted(U32_MAX, 0));
}

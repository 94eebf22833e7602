use medsync_interfaces::consent_registry::{ConsentStatus, EmergencyChoice};
use medsync_interfaces::vocabulary::{ALL_CATEGORIES, BREAK_THE_GLASS, Decision, Reason, Role};
use super::{
    are_categories, choice_code, choice_from_code, decision_code, is_purpose, is_subset,
    purpose_bit, purposes, reason_code, role_code, role_from_code, status_code, status_from_code,
};

/// The code of an enum as Serde writes it: the log's hash and the ABI must agree.
fn serialized<T, +Serde<T>, +Drop<T>>(value: T) -> felt252 {
    let mut felts = array![];
    value.serialize(ref felts);
    *felts[0]
}

#[test]
fn codes_are_serde_indices() {
    for decision in array![
        Decision::Permit, Decision::Deny, Decision::NoConsent, Decision::Emergency,
    ] {
        assert!(decision_code(decision) == serialized(decision));
    }
    for reason in array![
        Reason::Granted, Reason::BreakGlass, Reason::EntityUnknown, Reason::EntitySuspended,
        Reason::PurposeRefused, Reason::NeverGiven, Reason::Refused, Reason::Withdrawn,
        Reason::Revoked, Reason::AllRevoked, Reason::NotStarted, Reason::Expired,
        Reason::CategoryNotCovered, Reason::CampaignMismatch, Reason::UsesExhausted,
        Reason::RewardUnfunded, Reason::CampaignExpired, Reason::NotHospital,
        Reason::HospitalTooNew, Reason::EmergencyRefused,
    ] {
        assert!(reason_code(reason) == serialized(reason));
    }
    for role in array![Role::None, Role::Hospital, Role::Researcher, Role::Auditor] {
        assert!(role_code(role) == serialized(role));
        assert!(role_from_code(role_code(role).try_into().unwrap()) == role);
    }
    for status in array![
        ConsentStatus::None, ConsentStatus::Given, ConsentStatus::Withdrawn, ConsentStatus::Revoked,
        ConsentStatus::Refused,
    ] {
        assert!(status_code(status) == serialized(status));
        assert!(status_from_code(status_code(status).try_into().unwrap()) == status);
    }
    for choice in array![
        EmergencyChoice::EveryHospital, EmergencyChoice::NamedHospitals, EmergencyChoice::Nobody,
    ] {
        assert!(choice_code(choice) == serialized(choice));
        assert!(choice_from_code(choice_code(choice).try_into().unwrap()) == choice);
    }
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn role_out_of_range_panics() {
    role_from_code(4);
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn status_out_of_range_panics() {
    status_from_code(5);
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn choice_out_of_range_panics() {
    choice_from_code(3);
}

#[test]
fn purposes_are_those_of_consents() {
    for code in array![
        'TREAT', 'ETREAT', 'CAREMGT', 'HPAYMT', 'HOPERAT', 'HQUALIMP', 'PUBHLTH', 'HRESCH',
        'CLINTRCH', 'BIORCH', 'TRANSRCH', 'DSRCH', 'POARCH', 'PATRQT', 'FAMRQT',
    ] {
        assert!(is_purpose(code));
        assert!(purpose_bit(code) != 0);
    }
    for code in array![0, 1, 'treat', 'HMARKT', 'TREAT ', -1, BREAK_THE_GLASS] {
        assert!(!is_purpose(code));
        assert!(purpose_bit(code) == 0);
    }
}

#[test]
fn every_purpose_has_a_bit_of_its_own() {
    let mut expected = 1;
    for code in purposes() {
        assert!(is_purpose(*code));
        assert!(purpose_bit(*code) == expected);
        expected *= 2;
    }
    assert!(expected == 0x8000);
}

#[test]
fn categories() {
    assert!(!are_categories(0));
    assert!(are_categories(1));
    assert!(are_categories(ALL_CATEGORIES));
    assert!(!are_categories(ALL_CATEGORIES + 1));
    assert!(!are_categories(0xFFFFFFFF));
    assert!(is_subset(0b0101, 0b1101));
    assert!(is_subset(0b0101, 0b0101));
    assert!(!is_subset(0b0111, 0b1101));
}

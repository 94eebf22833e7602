//! Codes and bounds of the shared words.

#[cfg(test)]
mod tests;
use medsync_interfaces::consent_registry::{ConsentStatus, EmergencyChoice};
use medsync_interfaces::vocabulary::{ALL_CATEGORIES, Decision, Reason, Role};

/// Whether `code` is one of the HL7 v3-ActReason codes that consents and requests may have.
pub fn is_purpose(code: felt252) -> bool {
    // Research first: it is what most requests are for, and each comparison costs.
    code == 'HRESCH'
        || code == 'CLINTRCH'
        || code == 'TREAT'
        || code == 'BIORCH'
        || code == 'TRANSRCH'
        || code == 'DSRCH'
        || code == 'POARCH'
        || code == 'ETREAT'
        || code == 'CAREMGT'
        || code == 'HPAYMT'
        || code == 'HOPERAT'
        || code == 'HQUALIMP'
        || code == 'PUBHLTH'
        || code == 'PATRQT'
        || code == 'FAMRQT'
}

/// Every purpose, in the order of their bits among a patient's refused purposes.
pub fn purposes() -> Span<felt252> {
    [
        'HRESCH', 'CLINTRCH', 'TREAT', 'BIORCH', 'TRANSRCH', 'DSRCH', 'POARCH', 'ETREAT', 'CAREMGT',
        'HPAYMT', 'HOPERAT', 'HQUALIMP', 'PUBHLTH', 'PATRQT', 'FAMRQT',
    ]
        .span()
}

/// The bit of a purpose among a patient's refused purposes; zero for what is no purpose. Without a
/// loop, because every request to a patient who refuses any purpose asks for it.
pub fn purpose_bit(purpose: felt252) -> u16 {
    if purpose == 'HRESCH' {
        0x1
    } else if purpose == 'CLINTRCH' {
        0x2
    } else if purpose == 'TREAT' {
        0x4
    } else if purpose == 'BIORCH' {
        0x8
    } else if purpose == 'TRANSRCH' {
        0x10
    } else if purpose == 'DSRCH' {
        0x20
    } else if purpose == 'POARCH' {
        0x40
    } else if purpose == 'ETREAT' {
        0x80
    } else if purpose == 'CAREMGT' {
        0x100
    } else if purpose == 'HPAYMT' {
        0x200
    } else if purpose == 'HOPERAT' {
        0x400
    } else if purpose == 'HQUALIMP' {
        0x800
    } else if purpose == 'PUBHLTH' {
        0x1000
    } else if purpose == 'PATRQT' {
        0x2000
    } else if purpose == 'FAMRQT' {
        0x4000
    } else {
        0
    }
}

/// Whether `categories` is a non-empty set of published categories.
pub fn are_categories(categories: u32) -> bool {
    categories != 0 && categories <= ALL_CATEGORIES
}

/// Whether every bit of `part` is set in `whole`.
pub fn is_subset(part: u32, whole: u32) -> bool {
    part & whole == part
}

/// A role's place in its enum.
pub fn role_code(role: Role) -> felt252 {
    match role {
        Role::None => 0,
        Role::Hospital => 1,
        Role::Researcher => 2,
        Role::Auditor => 3,
    }
}

/// The role that `role_code` packed.
pub fn role_from_code(code: u128) -> Role {
    if code == 1 {
        Role::Hospital
    } else if code == 2 {
        Role::Researcher
    } else if code == 3 {
        Role::Auditor
    } else {
        assert(code == 0, 'PACK/RANGE');
        Role::None
    }
}

/// A decision's place in its enum, as hashed into the log.
pub fn decision_code(decision: Decision) -> felt252 {
    match decision {
        Decision::Permit => 0,
        Decision::Deny => 1,
        Decision::NoConsent => 2,
        Decision::Emergency => 3,
    }
}

/// A reason's place in its enum, as hashed into the log.
pub fn reason_code(reason: Reason) -> felt252 {
    match reason {
        Reason::Granted => 0,
        Reason::BreakGlass => 1,
        Reason::EntityUnknown => 2,
        Reason::EntitySuspended => 3,
        Reason::PurposeRefused => 4,
        Reason::NeverGiven => 5,
        Reason::Refused => 6,
        Reason::Withdrawn => 7,
        Reason::Revoked => 8,
        Reason::AllRevoked => 9,
        Reason::NotStarted => 10,
        Reason::Expired => 11,
        Reason::CategoryNotCovered => 12,
        Reason::CampaignMismatch => 13,
        Reason::UsesExhausted => 14,
        Reason::RewardUnfunded => 15,
        Reason::CampaignExpired => 16,
        Reason::NotHospital => 17,
        Reason::HospitalTooNew => 18,
        Reason::EmergencyRefused => 19,
    }
}

/// A status' place in its enum.
pub fn status_code(status: ConsentStatus) -> felt252 {
    match status {
        ConsentStatus::None => 0,
        ConsentStatus::Given => 1,
        ConsentStatus::Withdrawn => 2,
        ConsentStatus::Revoked => 3,
        ConsentStatus::Refused => 4,
    }
}

/// The status that `status_code` packed.
pub fn status_from_code(code: u128) -> ConsentStatus {
    // Given first: it is what most requests find.
    if code == 1 {
        ConsentStatus::Given
    } else if code == 0 {
        ConsentStatus::None
    } else if code == 2 {
        ConsentStatus::Withdrawn
    } else if code == 3 {
        ConsentStatus::Revoked
    } else {
        assert(code == 4, 'PACK/RANGE');
        ConsentStatus::Refused
    }
}

/// An emergency choice's place in its enum.
pub fn choice_code(choice: EmergencyChoice) -> felt252 {
    match choice {
        EmergencyChoice::EveryHospital => 0,
        EmergencyChoice::NamedHospitals => 1,
        EmergencyChoice::Nobody => 2,
    }
}

/// The choice that `choice_code` packed.
pub fn choice_from_code(code: u128) -> EmergencyChoice {
    if code == 0 {
        EmergencyChoice::EveryHospital
    } else if code == 1 {
        EmergencyChoice::NamedHospitals
    } else {
        assert(code == 2, 'PACK/RANGE');
        EmergencyChoice::Nobody
    }
}

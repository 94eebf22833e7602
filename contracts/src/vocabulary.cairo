//! The words every part shares: purposes, data categories, roles, decisions and reasons.

/// What an entity is in the field. `None` is the role of an address that was never registered.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub enum Role {
    None,
    Hospital,
    Researcher,
    Auditor,
}

/// The answer to "may this be used?". `NoConsent` means that the patient never said anything about
/// it; `Deny` that something says no.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub enum Decision {
    Permit,
    Deny,
    NoConsent,
    Emergency,
}

/// Why a decision fell as it did. The order is part of the log's hash: append, never reorder.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub enum Reason {
    /// A live consent covers the request (and, where it asks for pay, the patient was paid).
    Granted,
    /// A hospital broke the glass.
    BreakGlass,
    /// No consent was ever given for this patient, grantee and purpose.
    NeverGiven,
    /// The grantee was never registered.
    EntityUnknown,
    /// The administrator suspended the entity.
    EntitySuspended,
    /// The patient withdrew the consent.
    Withdrawn,
    /// Somebody else (a delegate) revoked it for the patient.
    Revoked,
    /// It was given before the patient's latest `revoke_all`.
    AllRevoked,
    /// Its window has not begun.
    NotStarted,
    /// Its window is over.
    Expired,
    /// It does not cover every requested category.
    CategoryNotCovered,
    /// Its last permitted use is consumed.
    UsesExhausted,
    /// The request names other reward terms than the consent does.
    CampaignMismatch,
    /// The campaign cannot pay for one more access.
    RewardUnfunded,
    /// The campaign was closed.
    CampaignClosed,
    /// The campaign's terms have expired.
    CampaignExpired,
    /// The funder's allowance for this accessor does not cover one more access.
    AllowanceExceeded,
    /// The pool panicked or answered nonsense.
    PoolFailed,
    /// Only hospitals may break the glass.
    NotHospital,
    /// The patient opted out of emergency access in advance.
    EmergencyOptOut,
}

/// Purpose of an emergency access: HL7 v3-ActReason "break the glass".
pub const BREAK_THE_GLASS: felt252 = 'BTG';

/// Every published data category: bits 0–5 are the six groups of EHDS Art. 14, bits 6–15 FHIR
/// resource groups (table in `docs/spec.md`).
pub const ALL_CATEGORIES: u32 = 0xFFFF;

/// Whether `code` is one of the HL7 v3-ActReason codes that MedSync accepts as a purpose.
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
        || code == BREAK_THE_GLASS
        || code == 'CAREMGT'
        || code == 'HPAYMT'
        || code == 'HOPERAT'
        || code == 'HQUALIMP'
        || code == 'PUBHLTH'
        || code == 'PATRQT'
        || code == 'FAMRQT'
}

/// Whether `categories` is a non-empty set of published categories.
pub fn are_categories(categories: u32) -> bool {
    categories != 0 && categories <= ALL_CATEGORIES
}

/// Whether every bit of `part` is set in `whole`.
pub fn is_subset(part: u32, whole: u32) -> bool {
    part & whole == part
}

/// A role as a small number, for packing.
pub fn role_code(role: Role) -> u8 {
    match role {
        Role::None => 0,
        Role::Hospital => 1,
        Role::Researcher => 2,
        Role::Auditor => 3,
    }
}

/// The role that `role_code` packed.
pub fn role_from_code(code: u8) -> Role {
    match code {
        0 => Role::None,
        1 => Role::Hospital,
        2 => Role::Researcher,
        3 => Role::Auditor,
        _ => core::panic_with_felt252('PACK/RANGE'),
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
        Reason::NeverGiven => 2,
        Reason::EntityUnknown => 3,
        Reason::EntitySuspended => 4,
        Reason::Withdrawn => 5,
        Reason::Revoked => 6,
        Reason::AllRevoked => 7,
        Reason::NotStarted => 8,
        Reason::Expired => 9,
        Reason::CategoryNotCovered => 10,
        Reason::UsesExhausted => 11,
        Reason::CampaignMismatch => 12,
        Reason::RewardUnfunded => 13,
        Reason::CampaignClosed => 14,
        Reason::CampaignExpired => 15,
        Reason::AllowanceExceeded => 16,
        Reason::PoolFailed => 17,
        Reason::NotHospital => 18,
        Reason::EmergencyOptOut => 19,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ALL_CATEGORIES, Decision, Reason, Role, are_categories, decision_code, is_purpose,
        is_subset, reason_code, role_code, role_from_code,
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
            Reason::Granted, Reason::BreakGlass, Reason::NeverGiven, Reason::EntityUnknown,
            Reason::EntitySuspended, Reason::Withdrawn, Reason::Revoked, Reason::AllRevoked,
            Reason::NotStarted, Reason::Expired, Reason::CategoryNotCovered, Reason::UsesExhausted,
            Reason::CampaignMismatch, Reason::RewardUnfunded, Reason::CampaignClosed,
            Reason::CampaignExpired, Reason::AllowanceExceeded, Reason::PoolFailed,
            Reason::NotHospital, Reason::EmergencyOptOut,
        ] {
            assert!(reason_code(reason) == serialized(reason));
        }
        for role in array![Role::None, Role::Hospital, Role::Researcher, Role::Auditor] {
            assert!(role_code(role).into() == serialized(role));
            assert!(role_from_code(role_code(role)) == role);
        }
    }

    #[test]
    #[should_panic(expected: 'PACK/RANGE')]
    fn role_out_of_range_panics() {
        role_from_code(4);
    }

    #[test]
    fn purposes() {
        for code in array![
            'TREAT', 'ETREAT', 'BTG', 'CAREMGT', 'HPAYMT', 'HOPERAT', 'HQUALIMP', 'PUBHLTH',
            'HRESCH', 'CLINTRCH', 'BIORCH', 'TRANSRCH', 'DSRCH', 'POARCH', 'PATRQT', 'FAMRQT',
        ] {
            assert!(is_purpose(code));
        }
        for code in array![0, 1, 'treat', 'HMARKT', 'TREAT ', -1] {
            assert!(!is_purpose(code));
        }
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
}

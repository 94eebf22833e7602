//! The words every part shares: roles, decisions, reasons and the bounds of purposes and data
//! categories.

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

/// Why a decision fell as it did. Apart from the first two, the order is the order of the checks:
/// the first that applies decides. It is part of the log's hash: append, never reorder.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub enum Reason {
    /// A live consent covers the request (and, where it asks for pay, the pay is reserved).
    Granted,
    /// A hospital broke the glass.
    BreakGlass,
    /// The grantee was never registered. Only views say so: a request reverts.
    EntityUnknown,
    /// The entity is suspended. Only views say so: a request reverts.
    EntitySuspended,
    /// The patient refuses everyone for this purpose.
    PurposeRefused,
    /// No consent was ever given for this patient, grantee, purpose and study.
    NeverGiven,
    /// The patient, or a delegate, refused this grantee.
    Refused,
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
    /// The request names another campaign than the consent does.
    CampaignMismatch,
    /// Its last permitted use is consumed.
    UsesExhausted,
    /// The accessor's budget of the campaign has nothing left.
    RewardUnfunded,
    /// The campaign's terms have expired.
    CampaignExpired,
    /// Only hospitals may break the glass.
    NotHospital,
    /// The hospital was registered or reinstated less than 48 hours ago.
    HospitalTooNew,
    /// The patient does not let this hospital break the glass.
    EmergencyRefused,
}

/// Purpose of an emergency access: HL7 v3-ActReason "break the glass". No consent and no request
/// can have it.
pub const BREAK_THE_GLASS: felt252 = 'BTG';

/// Every published data category: bits 0–5 are the six groups of EHDS Art. 14, bits 6–15 FHIR
/// resource groups (table in `docs/spec.md`).
pub const ALL_CATEGORIES: u32 = 0xFFFF;

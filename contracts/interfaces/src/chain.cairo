//! Provable histories: hash chains whose end the contract keeps. Whoever fetched the entries, from
//! any node, recomputes the end and can tell whether one is missing, altered, moved or invented.
//!
//! The digest of an entry is Poseidon over the chain's tag, the network's id, the contract, the
//! subject (the patient; zero for the registry), the digest before it, its number, its second, its
//! kind and then every other field of its event in the event's order, cut to its lowest 219 bits.

/// How long a chain is and what it hashes to: `head:219 | count:32` in one cell.
///
/// The head is cut to 219 bits (about 2^109 work for a collision), which leaves room for the count:
/// two cells would cost every patient 402,000 L2 gas more at the first entry, and every entry one
/// more read and write.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Head {
    pub count: u32,
    /// Zero for an empty chain.
    pub head: felt252,
}

/// First felt of the digests of a patient's consent history.
pub const CONSENTS_TAG: felt252 = 'MEDSYNC/CONSENTS/2';

/// First felt of the digests of a patient's access log.
pub const ACCESSES_TAG: felt252 = 'MEDSYNC/ACCESSES/2';

/// First felt of the digests of the registry's history.
pub const REGISTRY_TAG: felt252 = 'MEDSYNC/REGISTRY/2';

/// Number of entries of a chain before which whatever opens something, or is not the patient's own
/// act, must stop: 2^32 − 2^16. The rest is kept for the patient to close what is open.
pub const RESERVED_FROM: u32 = 0xFFFF0000;

/// The kind code of each event that is an entry of a chain. Never reuse one.
pub mod Kind {
    pub const CONSENT_ADDED: felt252 = 1;
    pub const CONSENT_REVOKED: felt252 = 2;
    pub const ALL_CONSENTS_REVOKED: felt252 = 3;
    pub const CONSENT_REFUSED: felt252 = 4;
    pub const PURPOSE_REFUSED: felt252 = 5;
    pub const PURPOSE_ALLOWED: felt252 = 6;
    pub const DELEGATE_SET: felt252 = 7;
    pub const DELEGATES_DISMISSED: felt252 = 8;
    pub const EMERGENCY_CHOICE_SET: felt252 = 9;
    pub const EMERGENCY_HOSPITAL_SET: felt252 = 10;
    pub const SIGNATURES_CANCELLED: felt252 = 11;
    pub const ACCESS_LOGGED: felt252 = 32;
    pub const EMERGENCY_JUSTIFIED: felt252 = 33;
    pub const EMERGENCY_CONTESTED: felt252 = 34;
    pub const DELETION_STATED: felt252 = 35;
    pub const ENTITY_REGISTERED: felt252 = 64;
    pub const ENTITY_SUSPENDED: felt252 = 65;
    pub const ENTITY_REINSTATED: felt252 = 66;
    pub const PROFILE_CHANGED: felt252 = 67;
    pub const ADMIN_TRANSFER_BEGUN: felt252 = 68;
    pub const ADMIN_TRANSFER_CANCELLED: felt252 = 69;
    pub const ADMIN_TRANSFERRED: felt252 = 70;
    pub const SUCCESSOR_ANNOUNCED: felt252 = 71;
}

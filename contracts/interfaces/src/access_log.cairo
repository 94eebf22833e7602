//! The only door to data: every request is decided, consumed, charged and logged in one step, and a
//! refusal is logged like a permit.

use starknet::ContractAddress;
use crate::chain::Head;
use crate::vocabulary::{Decision, Reason};

/// What an accessor asks for.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct AccessRequest {
    pub patient: ContractAddress,
    /// HL7 v3-ActReason code, any but `BTG`.
    pub purpose: felt252,
    /// Salted hash that names the study, exactly as in the consent; zero for a broad one.
    pub study: felt252,
    /// Bit set of data categories.
    pub categories: u32,
    /// Commitment of the record asked for; zero for no record in particular.
    pub record: felt252,
    /// Id of the campaign that pays; must be the one the consent names, and zero if it names none.
    pub campaign: felt252,
}

/// Whose data, and which record, one request of a batch is for.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Subject {
    pub patient: ContractAddress,
    /// Commitment of the record asked for; zero for no record in particular.
    pub record: felt252,
}

/// What an accessor gets.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct AccessReceipt {
    pub decision: Decision,
    pub reason: Reason,
    /// The entry's place in the patient's log, from 1.
    pub seq: u32,
    /// The entry's digest: the head of the patient's log after it.
    pub digest: felt252,
}

/// An emergency access and what became of it, packed into one cell.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Emergency {
    /// Unix seconds of the access; zero if there was none.
    pub at: u64,
    /// Whether the hospital justified it.
    pub justified: bool,
    /// Whether the patient contested it.
    pub contested: bool,
}

/// Most requests in one batch.
pub const MAX_BATCH: u32 = 100;

/// Seconds within which a hospital may justify an emergency access: 72 hours.
pub const JUSTIFY_WITHIN: u64 = 259_200;

/// SRC-5 id: XOR of the extended selectors of `IAccessLog` (SNIP-5).
pub const IACCESS_LOG_ID: felt252 =
    0x700636e31b212490a91370606549262c8dec4ac9de674b094c205375d7df70;

/// Requests for access and the log of their outcomes. Everything that happens here is an entry of
/// the patient's access log. An entry stands only if its whole transaction does: in a transaction
/// that reverts, nothing is permitted and nothing is logged.
#[starknet::interface]
pub trait IAccessLog<TState> {
    /// Asks for access. Never fails for a reason of policy other than the caller's suspension:
    /// whatever is decided is logged, and the receipt says what and why. Where `verify_consent`
    /// permits, a campaign must still have a use left in the caller's budget and not have expired.
    /// Nobody else is called.
    ///
    /// Preconditions:
    /// - `patient` is not zero
    /// - the purpose is known and not `BTG`, the categories are known, at least one
    /// - the caller is registered and not suspended
    ///
    /// Effects:
    /// - appends to the patient's access log (new for the first entry)
    /// - on permit without a campaign: uses + 1 in the consent's record
    /// - on permit with a campaign: paid uses + 1 of consent and campaign, and one use of the
    ///   accessor's budget
    ///
    /// Emits:
    /// - `AccessLogged`
    ///
    /// Errors:
    /// - `ACCESS/BAD_PURPOSE`, `ACCESS/BAD_CATEGORIES`, `ENTITY/UNKNOWN`, `ENTITY/SUSPENDED`,
    ///   `ACCESS/ZERO_PATIENT`, `ACCESS/LOG_FULL`
    ///
    /// Access:
    /// - registered entities that are not suspended
    fn request_access(ref self: TState, request: AccessRequest) -> AccessReceipt;

    /// `request_access` for many patients and records in one transaction, in order, each with its
    /// own outcome.
    ///
    /// Preconditions:
    /// - 1 to `MAX_BATCH` subjects, each as for `request_access`
    ///
    /// Effects:
    /// - as for `request_access`, for each
    ///
    /// Emits:
    /// - as for `request_access`, for each, in order
    ///
    /// Errors:
    /// - `ACCESS/EMPTY_BATCH`, `ACCESS/BATCH_TOO_LARGE`
    /// - as for `request_access`
    ///
    /// Access:
    /// - registered entities that are not suspended
    fn request_access_batch(
        ref self: TState,
        purpose: felt252,
        study: felt252,
        categories: u32,
        campaign: felt252,
        subjects: Array<Subject>,
    ) -> Array<AccessReceipt>;

    /// Breaks the glass: asks for access in an emergency, without consent, for the purpose `BTG`.
    /// The first that applies decides: not a hospital, hospital too new, refused by the patient's
    /// choice, break glass.
    ///
    /// Preconditions:
    /// - `patient` is not zero
    /// - the categories are known, at least one
    /// - the caller is registered and not suspended
    ///
    /// Effects:
    /// - appends to the patient's access log (new for the first entry)
    /// - if let in, writes the emergency (new)
    ///
    /// Emits:
    /// - `AccessLogged`
    ///
    /// Errors:
    /// - `ACCESS/ZERO_PATIENT`, `ACCESS/BAD_CATEGORIES`, `ENTITY/UNKNOWN`, `ENTITY/SUSPENDED`,
    ///   `ACCESS/LOG_FULL`
    ///
    /// Access:
    /// - registered entities that are not suspended; only hospitals are let in
    fn request_emergency_access(
        ref self: TState, patient: ContractAddress, categories: u32, record: felt252,
    ) -> AccessReceipt;

    /// Logs the hospital's justification of its emergency access, entry `emergency` of the
    /// patient's log. Whoever was suspended meanwhile still may.
    ///
    /// Preconditions:
    /// - entry `emergency` of the patient's log is an emergency access of the caller
    /// - it was at most `JUSTIFY_WITHIN` ago and is not justified yet
    /// - `statement` (salted hash of a signed statement that is handed to the patient) is not zero
    ///
    /// Effects:
    /// - writes the emergency
    /// - appends to the patient's access log
    ///
    /// Emits:
    /// - `EmergencyJustified`
    ///
    /// Errors:
    /// - `ACCESS/ZERO_STATEMENT`, `ACCESS/NO_EMERGENCY`, `ACCESS/ALREADY_JUSTIFIED`,
    ///   `ACCESS/JUSTIFIED_TOO_LATE`, `ACCESS/LOG_FULL`
    ///
    /// Access:
    /// - the hospital that broke the glass
    fn justify_emergency(
        ref self: TState, patient: ContractAddress, emergency: u32, statement: felt252,
    );

    /// Logs that the caller contests a hospital's emergency access, entry `emergency` of the
    /// caller's log. There is no deadline.
    ///
    /// Preconditions:
    /// - entry `emergency` of the caller's log is an emergency access of `hospital`
    /// - it is not contested yet
    ///
    /// Effects:
    /// - writes the emergency
    /// - appends to the patient's access log
    ///
    /// Emits:
    /// - `EmergencyContested`
    ///
    /// Errors:
    /// - `ACCESS/NO_EMERGENCY`, `ACCESS/ALREADY_CONTESTED`, `ACCESS/LOG_FULL`
    ///
    /// Access:
    /// - the patient
    fn contest_emergency(ref self: TState, hospital: ContractAddress, emergency: u32);

    /// Logs the caller's statement of what it deleted after a consent ended. A statement, not a
    /// proof.
    ///
    /// Preconditions:
    /// - the caller is registered and not suspended
    /// - somebody decided on the consent of this patient, caller, purpose and study
    /// - `statement` (salted hash of a signed statement) is not zero
    ///
    /// Effects:
    /// - appends to the patient's access log
    ///
    /// Emits:
    /// - `DeletionStated`
    ///
    /// Errors:
    /// - `ACCESS/ZERO_STATEMENT`, `ACCESS/BAD_PURPOSE`, `ENTITY/UNKNOWN`, `ENTITY/SUSPENDED`,
    ///   `ACCESS/NO_CONSENT`, `ACCESS/LOG_FULL`
    ///
    /// Access:
    /// - registered entities that are not suspended
    fn state_deletion(
        ref self: TState,
        patient: ContractAddress,
        purpose: felt252,
        study: felt252,
        statement: felt252,
    );

    /// An emergency access, by its entry in the patient's log and its hospital.
    ///
    /// Access:
    /// - anyone (view)
    fn emergency(
        self: @TState, patient: ContractAddress, seq: u32, hospital: ContractAddress,
    ) -> Emergency;

    /// Length and head of a patient's access log.
    ///
    /// Access:
    /// - anyone (view)
    fn log_head(self: @TState, patient: ContractAddress) -> Head;
}

/// A request and its outcome: entry `seq` of the patient's access log, at `at` (unix seconds).
/// `version` is that of the consent's record, and in an emergency that of what the patient said
/// about the hospital, or zero; `campaign` the one the request named, which paid exactly if the
/// decision is `Permit`; `registration` the number of the accessor's latest entry in the registry's
/// history.
#[derive(Drop, starknet::Event)]
pub struct AccessLogged {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub accessor: ContractAddress,
    #[key]
    pub purpose: felt252,
    pub seq: u32,
    pub at: u64,
    pub study: felt252,
    pub decision: Decision,
    pub reason: Reason,
    pub version: u32,
    pub scoped: bool,
    pub categories: u32,
    pub record: felt252,
    pub campaign: felt252,
    pub registration: u32,
}

/// A hospital justified its emergency access, entry `emergency` of the patient's access log.
#[derive(Drop, starknet::Event)]
pub struct EmergencyJustified {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub accessor: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub emergency: u32,
    pub statement: felt252,
}

/// A patient contests a hospital's emergency access, entry `emergency` of the access log.
#[derive(Drop, starknet::Event)]
pub struct EmergencyContested {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub accessor: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub emergency: u32,
}

/// An entity stated what it deleted; `version` is that of the consent's record,
/// `registration` the number of the accessor's latest entry in the registry's history.
#[derive(Drop, starknet::Event)]
pub struct DeletionStated {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub accessor: ContractAddress,
    #[key]
    pub purpose: felt252,
    pub seq: u32,
    pub at: u64,
    pub study: felt252,
    pub version: u32,
    pub registration: u32,
    pub statement: felt252,
}

pub mod Errors {
    /// The patient is zero.
    pub const ZERO_PATIENT: felt252 = 'ACCESS/ZERO_PATIENT';
    /// The purpose is not one of the known HL7 v3-ActReason codes, or it is `BTG`.
    pub const BAD_PURPOSE: felt252 = 'ACCESS/BAD_PURPOSE';
    /// The data categories are none, or one of them is unknown.
    pub const BAD_CATEGORIES: felt252 = 'ACCESS/BAD_CATEGORIES';
    /// The batch holds no request.
    pub const EMPTY_BATCH: felt252 = 'ACCESS/EMPTY_BATCH';
    /// The batch holds more than 100 requests.
    pub const BATCH_TOO_LARGE: felt252 = 'ACCESS/BATCH_TOO_LARGE';
    /// The commitment of the statement is zero.
    pub const ZERO_STATEMENT: felt252 = 'ACCESS/ZERO_STATEMENT';
    /// That entry of the patient's log is no emergency access of this hospital.
    pub const NO_EMERGENCY: felt252 = 'ACCESS/NO_EMERGENCY';
    /// The emergency access is justified already.
    pub const ALREADY_JUSTIFIED: felt252 = 'ACCESS/ALREADY_JUSTIFIED';
    /// An emergency access can only be justified within 72 hours.
    pub const JUSTIFIED_TOO_LATE: felt252 = 'ACCESS/JUSTIFIED_TOO_LATE';
    /// The emergency access is contested already.
    pub const ALREADY_CONTESTED: felt252 = 'ACCESS/ALREADY_CONTESTED';
    /// Nobody ever decided on a consent of this patient, entity, purpose and study.
    pub const NO_CONSENT: felt252 = 'ACCESS/NO_CONSENT';
    /// The patient's log takes no more entries of this kind.
    pub const LOG_FULL: felt252 = 'ACCESS/LOG_FULL';
}

//! What patients allowed: one record per (patient, grantee, purpose, study), given, renewed,
//! refused and revoked by the patient or a delegate.

use starknet::ContractAddress;
use crate::campaign::CampaignTerms;
use crate::chain::Head;
use crate::vocabulary::{Decision, Reason};

/// What a patient agrees to.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct ConsentTerms {
    /// HL7 v3-ActReason code, any but `BTG`.
    pub purpose: felt252,
    /// Salted hash that names the study (protocol, approval, contact), or zero for a broad consent.
    /// A request must name exactly this study; nothing falls back to a broad consent.
    pub study: felt252,
    /// Bit set of data categories.
    pub categories: u32,
    /// First second (unix) of the consent. May lie in the past.
    pub starts_at: u64,
    /// First second (unix) after the consent; at most 2^40 − 1.
    pub expires_at: u64,
    /// How many permitted accesses it is good for; zero means no limit.
    pub max_uses: u32,
    /// Whether the opening of `terms_commitment` narrows the consent further (dates, records,
    /// labels, keep-until): whoever keeps the data releases nothing without it.
    pub scoped: bool,
    /// The campaign that must pay for each access, if the patient insists on pay.
    pub reward: Option<CampaignTerms>,
    /// Salted hash of everything agreed off-chain; emitted, not stored.
    pub terms_commitment: felt252,
}

/// What became of a consent, as it is stored. Expiry, the start, `revoke_all` and refused purposes
/// are not stored: they follow from the time and the patient's cell.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub enum ConsentStatus {
    None,
    Given,
    /// Revoked by the patient (W3C DPV: withdrawn).
    Withdrawn,
    /// Revoked by a delegate (W3C DPV: revoked).
    Revoked,
    /// Refused by the patient or a delegate (W3C DPV: refused).
    Refused,
}

/// A consent as anyone may see it.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Consent {
    /// What holds now for the campaign that was asked with, whatever the categories: `Granted` if
    /// the consent is live, else the first reason why it is not.
    pub state: Reason,
    /// What is stored.
    pub status: ConsentStatus,
    pub starts_at: u64,
    pub expires_at: u64,
    pub categories: u32,
    /// Counts every change of the record: giving, renewing, revoking and refusing add one each.
    pub version: u32,
    /// The patient's generation when it was last decided on; dead while it is below the floor.
    pub generation: u32,
    pub max_uses: u32,
    /// Permitted accesses since it was given or renewed. Those of a consent that insists on pay are
    /// counted for its campaign: zero unless that was asked with.
    pub uses: u32,
    /// Whether it insists on pay. Which campaign must pay is found in `ConsentAdded`.
    pub rewarded: bool,
    /// Whether it is narrowed further by the opening of its terms commitment.
    pub scoped: bool,
    /// Whether only a delegate ever decided on it, so that a delegate may give it again.
    pub by_delegate: bool,
}

/// Whom a patient lets break the glass.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub enum EmergencyChoice {
    /// Every hospital that the patient did not forbid it.
    EveryHospital,
    /// Only the hospitals that the patient named.
    NamedHospitals,
    Nobody,
}

/// What concerns a patient as a whole, packed into one cell.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct PatientState {
    /// Raised by `revoke_all`, `cancel_signatures` and each signed withdrawal, from 1: messages
    /// that give a consent and name an earlier generation are void.
    pub generation: u32,
    /// What the next message that gives a consent must carry, from 1; raising the generation starts
    /// it again.
    pub counter: u32,
    /// Consents of a generation below it are dead.
    pub floor: u32,
    /// Delegations of an earlier epoch are dead.
    pub delegate_epoch: u32,
    /// Bit set of purposes refused to everyone, in the order of `refused_purposes`.
    pub refused_purposes: u16,
    pub emergency: EmergencyChoice,
}

/// What a delegate may do for a patient, packed into one cell.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Delegation {
    /// Sum of `POWER_GIVE`, `POWER_REVOKE` and `POWER_REFUSE`; zero for none.
    pub powers: u8,
    /// First second (unix) after the delegation.
    pub expires_at: u64,
    /// The patient's delegate epoch when it was set; live only while the two are equal.
    pub epoch: u32,
}

/// The answer of `verify_consent`.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Verdict {
    pub decision: Decision,
    pub reason: Reason,
    /// Version of the record that was consulted, or zero if none was ever made.
    pub version: u32,
    /// Whether the record is narrowed further by the opening of its terms commitment.
    pub scoped: bool,
}

pub const POWER_GIVE: u8 = 1;
pub const POWER_REVOKE: u8 = 2;
pub const POWER_REFUSE: u8 = 4;

/// SRC-5 id: XOR of the extended selectors of `IConsentRegistry` (SNIP-5).
pub const ICONSENT_REGISTRY_ID: felt252 =
    0x2ab5750069c7a4eb103f354ac682fb3d8216daf11793b79243b9cfe71d63320;

/// Consents, the delegates who may act on them, and the view that judges them. Everything that
/// happens here, except requests, is an entry of the patient's consent history.
#[starknet::interface]
pub trait IConsentRegistry<TState> {
    /// Gives a consent, or renews one: the new terms replace the old, uses start at zero, a refusal
    /// of this grantee is lifted. Returns the record's new version.
    ///
    /// Preconditions:
    /// - `grantee` is registered and not the caller
    /// - the purpose is known, not `BTG`, and not refused to everyone
    /// - the categories are known, at least one
    /// - `starts_at < expires_at` and `now < expires_at <= 2^40 - 1`
    /// - reward terms have the consent's purpose and study, and MedSync as spender
    /// - if the record does not name that campaign already: its pool was deployed by this contract,
    ///   it has not expired, `grantee` has a use left in its budget, and the funder has neither
    ///   closed it nor announced to
    /// - the patient's generation is not the last one
    ///
    /// Effects:
    /// - writes the record (new for the first), and with a reward the paid uses of record and
    ///   campaign (new for the first)
    /// - appends to the consent history (new for the patient's first)
    ///
    /// Emits:
    /// - `ConsentAdded`
    ///
    /// Errors:
    /// - `CONSENT/ZERO_ADDRESS`, `CONSENT/SELF_GRANT`, `CONSENT/BAD_PURPOSE`,
    ///   `CONSENT/BAD_CATEGORIES`, `CONSENT/EMPTY_WINDOW`, `CONSENT/EXPIRED_AT_BIRTH`,
    ///   `CONSENT/TIME_RANGE`, `CONSENT/CAMPAIGN_PURPOSE`, `CONSENT/CAMPAIGN_STUDY`,
    ///   `CONSENT/CAMPAIGN_SPENDER`, `ENTITY/UNKNOWN`, `CONSENT/PURPOSE_REFUSED`,
    ///   `CONSENT/GENERATION_EXHAUSTED`, `CONSENT/VERSION_EXHAUSTED`, `CONSENT/NOT_A_POOL`,
    ///   `CONSENT/CAMPAIGN_EXPIRED`, `CONSENT/CAMPAIGN_UNFUNDED`, `CONSENT/HISTORY_FULL`,
    ///   `CONSENT/CAMPAIGN_CLOSING`
    ///
    /// Access:
    /// - anyone, as patient, for themselves
    fn add_consent(ref self: TState, grantee: ContractAddress, terms: ConsentTerms) -> u32;

    /// `add_consent` by a delegate with `POWER_GIVE`. The record keeps its generation, at least the
    /// floor, so that a withdrawal that the patient signed still reaches it.
    ///
    /// Preconditions:
    /// - as for `add_consent`
    /// - the record is empty, or only delegates decided on it, or it is the patient's and has
    ///   expired; and it is not under the floor
    ///
    /// Effects:
    /// - as for `add_consent`
    ///
    /// Emits:
    /// - `ConsentAdded` that names the delegate
    ///
    /// Errors:
    /// - as for `add_consent`
    /// - `CONSENT/NOT_DELEGATE`, `CONSENT/PATIENT_DECIDED`
    ///
    /// Access:
    /// - the patient's delegates
    fn add_consent_for(
        ref self: TState, patient: ContractAddress, grantee: ContractAddress, terms: ConsentTerms,
    ) -> u32;

    /// `add_consent` by a message the patient signed (SNIP-12 `Consent` or `RewardedConsent`). The
    /// message names this contract, the version the record will get, the patient's generation and
    /// counter, and the deadline: any change in between voids it, and it is good once.
    ///
    /// Preconditions:
    /// - as for `add_consent`
    /// - `generation` and `counter` are the patient's, and `now <= deadline`
    /// - the patient's account says that the signature is its own (SNIP-6), asked last
    ///
    /// Effects:
    /// - as for `add_consent`
    /// - writes the patient's state: counter + 1
    ///
    /// Emits:
    /// - `ConsentAdded` that names the patient and the nonce it burnt
    ///
    /// Errors:
    /// - as for `add_consent`
    /// - `CONSENT/SIGNATURE_EXPIRED`, `CONSENT/BAD_NONCE`, `CONSENT/BAD_SIGNATURE`
    ///
    /// Access:
    /// - anyone; submitting gives nothing else
    fn add_consent_by_sig(
        ref self: TState,
        patient: ContractAddress,
        grantee: ContractAddress,
        terms: ConsentTerms,
        generation: u32,
        counter: u32,
        deadline: u64,
        signature: Array<felt252>,
    ) -> u32;

    /// Withdraws a consent, live or not, revoked or not, so nobody can make it fail by being first.
    /// Each time the record gets a new version, which voids a consent that is signed and not yet
    /// submitted.
    ///
    /// Preconditions:
    /// - `grantee` is not zero, the purpose is known and not `BTG`
    /// - the record is not empty
    ///
    /// Effects:
    /// - writes the record
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `ConsentRevoked`
    ///
    /// Errors:
    /// - `CONSENT/ZERO_ADDRESS`, `CONSENT/BAD_PURPOSE`, `CONSENT/NOT_FOUND`, `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - anyone, as patient, for themselves. It can neither be paused nor blocked.
    fn revoke_consent(ref self: TState, grantee: ContractAddress, purpose: felt252, study: felt252);

    /// `revoke_consent` by a delegate with `POWER_REVOKE`; the status becomes `Revoked` instead of
    /// `Withdrawn`. Where no consent is live it does nothing.
    ///
    /// Preconditions:
    /// - as for `revoke_consent`
    ///
    /// Effects:
    /// - if the consent is live, writes the record and appends to the consent history
    ///
    /// Emits:
    /// - `ConsentRevoked` that names the delegate, if the consent was live
    ///
    /// Errors:
    /// - `CONSENT/NOT_DELEGATE`, `CONSENT/ZERO_ADDRESS`, `CONSENT/BAD_PURPOSE`,
    ///   `CONSENT/NOT_FOUND`, `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - the patient's delegates
    fn revoke_consent_for(
        ref self: TState,
        patient: ContractAddress,
        grantee: ContractAddress,
        purpose: felt252,
        study: felt252,
    );

    /// Withdraws a consent by a message the patient signed (SNIP-12 `Revocation`). The message
    /// names the generation at which it was signed and is good while the patient did not decide on
    /// the record at a later one: no other message, no `cancel_signatures` and no delegate voids
    /// it, and it never works twice. It raises the generation, which voids every message that gives
    /// a consent. An empty record becomes a withdrawn one.
    ///
    /// Preconditions:
    /// - `grantee` is not zero, the purpose is known and not `BTG`
    /// - `1 <= generation <=` patient's generation, and `now <= deadline`
    /// - record's generation `<= generation`, unless only delegates ever decided on the record
    /// - the patient's account says that the signature is its own (SNIP-6), asked last
    ///
    /// Effects:
    /// - writes the patient's state (generation + 1, counter 1) and the record
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `ConsentRevoked` that names the nonce it burnt
    ///
    /// Errors:
    /// - `CONSENT/ZERO_ADDRESS`, `CONSENT/BAD_PURPOSE`, `CONSENT/SIGNATURE_EXPIRED`,
    ///   `CONSENT/BAD_GENERATION`, `CONSENT/HISTORY_FULL`, `CONSENT/BAD_SIGNATURE`
    ///
    /// Access:
    /// - anyone; submitting gives nothing else
    fn revoke_consent_by_sig(
        ref self: TState,
        patient: ContractAddress,
        grantee: ContractAddress,
        purpose: felt252,
        study: felt252,
        generation: u32,
        deadline: u64,
        signature: Array<felt252>,
    );

    /// Withdraws every consent the caller ever gave, at one stroke, and voids every message that
    /// gives one and was signed before. Delegates stay unless `dismiss_delegates`; refusals,
    /// refused purposes and the emergency choice stay always.
    ///
    /// Effects:
    /// - writes the patient's state: generation + 1 (up to the last one), counter 1, floor at the
    ///   new generation, and delegate epoch + 1 if delegates are dismissed
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `AllConsentsRevoked`
    ///
    /// Errors:
    /// - `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - anyone, as patient, for themselves. It can neither be paused nor blocked.
    fn revoke_all(ref self: TState, dismiss_delegates: bool);

    /// `revoke_all` by a delegate with `POWER_REVOKE`, which dismisses nobody.
    ///
    /// Effects:
    /// - as for `revoke_all`
    ///
    /// Emits:
    /// - `AllConsentsRevoked` that names the delegate
    ///
    /// Errors:
    /// - `CONSENT/NOT_DELEGATE`, `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - the patient's delegates
    fn revoke_all_for(ref self: TState, patient: ContractAddress);

    /// Asks a patient for a consent on these terms. Only an event, in no history: whether and how
    /// it is answered is the patient's.
    ///
    /// Preconditions:
    /// - terms as for `add_consent`, except that neither the patient's choices nor the campaign's
    ///   money are looked at
    /// - `now < open_until <= 2^40 - 1`
    ///
    /// Emits:
    /// - `ConsentRequested`
    ///
    /// Errors:
    /// - `ENTITY/UNKNOWN`, `ENTITY/SUSPENDED`, `CONSENT/REQUEST_OVER`, `CONSENT/ZERO_ADDRESS`,
    ///   `CONSENT/SELF_GRANT`, `CONSENT/BAD_PURPOSE`, `CONSENT/BAD_CATEGORIES`,
    ///   `CONSENT/EMPTY_WINDOW`, `CONSENT/EXPIRED_AT_BIRTH`, `CONSENT/TIME_RANGE`,
    ///   `CONSENT/CAMPAIGN_PURPOSE`, `CONSENT/CAMPAIGN_STUDY`, `CONSENT/CAMPAIGN_SPENDER`
    ///
    /// Access:
    /// - registered entities that are not suspended
    fn request_consent(
        ref self: TState, patient: ContractAddress, terms: ConsentTerms, open_until: u64,
    );

    /// Refuses a grantee for a purpose and study: a standing decision in the consent's own record,
    /// until the patient gives that consent.
    ///
    /// Preconditions:
    /// - `grantee` is not zero, the purpose is known and not `BTG`
    ///
    /// Effects:
    /// - writes the record (new for the first)
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `ConsentRefused`
    ///
    /// Errors:
    /// - `CONSENT/ZERO_ADDRESS`, `CONSENT/BAD_PURPOSE`, `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - anyone, as patient, for themselves
    fn refuse_consent(ref self: TState, grantee: ContractAddress, purpose: felt252, study: felt252);

    /// `refuse_consent` by a delegate with `POWER_REFUSE`, and with `POWER_REVOKE` too if the
    /// consent is live. Where the record says no already it does nothing.
    ///
    /// Preconditions:
    /// - as for `refuse_consent`
    ///
    /// Effects:
    /// - if the record is empty or given, writes it and appends to the consent history
    ///
    /// Emits:
    /// - `ConsentRefused` that names the delegate, if the record was empty or given
    ///
    /// Errors:
    /// - `CONSENT/NOT_DELEGATE`, `CONSENT/ZERO_ADDRESS`, `CONSENT/BAD_PURPOSE`,
    ///   `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - the patient's delegates
    fn refuse_consent_for(
        ref self: TState,
        patient: ContractAddress,
        grantee: ContractAddress,
        purpose: felt252,
        study: felt252,
    );

    /// Refuses everyone for a purpose (in the sense of EHDS Art. 71): live consents for it permit
    /// nothing, and none can be given, until it is allowed again.
    ///
    /// Preconditions:
    /// - the purpose is known and not `BTG`
    ///
    /// Effects:
    /// - writes the patient's state
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `PurposeRefused`
    ///
    /// Errors:
    /// - `CONSENT/BAD_PURPOSE`, `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - anyone, as patient, for themselves
    fn refuse_purpose(ref self: TState, purpose: felt252);

    /// Allows a purpose again. Consents for it that are still live permit again.
    ///
    /// Preconditions:
    /// - the purpose is known and not `BTG`
    ///
    /// Effects:
    /// - writes the patient's state
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `PurposeAllowed`
    ///
    /// Errors:
    /// - `CONSENT/BAD_PURPOSE`, `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - anyone, as patient, for themselves
    fn allow_purpose(ref self: TState, purpose: felt252);

    /// Lets `delegate` act for the caller until `expires_at`; replaces what was set before. No
    /// powers removes the delegate. Delegates cannot name delegates.
    ///
    /// Preconditions:
    /// - `delegate` is neither zero nor the caller
    /// - known powers, and `expires_at <= 2^40 - 1`
    /// - the patient's delegate epoch is not the last one, unless the powers are none
    ///
    /// Effects:
    /// - writes the delegation (new for a delegate's first)
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `DelegateSet`
    ///
    /// Errors:
    /// - `CONSENT/ZERO_ADDRESS`, `CONSENT/SELF_DELEGATE`, `CONSENT/BAD_POWERS`,
    ///   `CONSENT/TIME_RANGE`, `CONSENT/EPOCH_EXHAUSTED`, `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - anyone, as patient, for themselves
    fn set_delegate(ref self: TState, delegate: ContractAddress, powers: u8, expires_at: u64);

    /// Ends every delegation the caller ever made, at one stroke.
    ///
    /// Effects:
    /// - writes the patient's state: delegate epoch + 1 (up to the last one)
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `DelegatesDismissed`
    ///
    /// Errors:
    /// - `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - anyone, as patient, for themselves. It can neither be paused nor blocked.
    fn dismiss_delegates(ref self: TState);

    /// Chooses who may break the glass.
    ///
    /// Effects:
    /// - writes the patient's state
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `EmergencyChoiceSet`
    ///
    /// Errors:
    /// - `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - anyone, as patient, for themselves
    fn set_emergency_choice(ref self: TState, choice: EmergencyChoice);

    /// Names a hospital that may break the glass, also where only named ones may.
    ///
    /// Preconditions:
    /// - `hospital` is registered as a hospital
    ///
    /// Effects:
    /// - writes the record of the hospital and `BTG` (new for the first)
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `EmergencyHospitalSet`
    ///
    /// Errors:
    /// - `ENTITY/UNKNOWN`, `CONSENT/NOT_HOSPITAL`, `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - anyone, as patient, for themselves
    fn allow_emergency(ref self: TState, hospital: ContractAddress);

    /// Forbids a hospital to break the glass, also where every hospital may.
    ///
    /// Preconditions:
    /// - `hospital` is not zero
    ///
    /// Effects:
    /// - writes the record of the hospital and `BTG` (new for the first)
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `EmergencyHospitalSet`
    ///
    /// Errors:
    /// - `CONSENT/ZERO_ADDRESS`, `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - anyone, as patient, for themselves
    fn forbid_emergency(ref self: TState, hospital: ContractAddress);

    /// Voids every message that gives a consent and was signed before, however many were signed in
    /// a row. Signed withdrawals stay good.
    ///
    /// Effects:
    /// - writes the patient's state: generation + 1 (up to the last one), counter 1
    /// - appends to the consent history
    ///
    /// Emits:
    /// - `SignaturesCancelled`
    ///
    /// Errors:
    /// - `CONSENT/HISTORY_FULL`
    ///
    /// Access:
    /// - anyone, as patient, for themselves
    fn cancel_signatures(ref self: TState);

    /// Panics unless the patient's generation is `generation`. Whoever has calls signed for later
    /// (SNIP-9) that open something puts this in front of them, so that a panic button voids them
    /// too. Never put it in front of calls that close something: whoever can raise the generation
    /// could hold those up.
    ///
    /// Errors:
    /// - `CONSENT/BAD_GENERATION`
    ///
    /// Access:
    /// - anyone (view)
    fn assert_generation(self: @TState, patient: ContractAddress, generation: u32);

    /// Whether `grantee` may use these categories of the patient's data for this purpose and study
    /// now, paid by `campaign` (an id; zero for none), and why. Never fails. The first `Reason`
    /// that applies decides. It stops before the campaign's money: `request_access` may still find
    /// that nothing is left, or that the campaign has expired.
    ///
    /// Access:
    /// - anyone (view)
    fn verify_consent(
        self: @TState,
        patient: ContractAddress,
        grantee: ContractAddress,
        purpose: felt252,
        study: felt252,
        categories: u32,
        campaign: felt252,
    ) -> Verdict;

    /// `verify_consent` for many patients, as before a batch.
    ///
    /// Access:
    /// - anyone (view)
    fn verify_consents(
        self: @TState,
        patients: Array<ContractAddress>,
        grantee: ContractAddress,
        purpose: felt252,
        study: felt252,
        categories: u32,
        campaign: felt252,
    ) -> Array<Verdict>;

    /// The record of a consent and what holds of it now; status `None` if nobody ever decided on
    /// it. `campaign` is the id of the campaign to ask with, zero for none.
    ///
    /// Access:
    /// - anyone (view)
    fn consent(
        self: @TState,
        patient: ContractAddress,
        grantee: ContractAddress,
        purpose: felt252,
        study: felt252,
        campaign: felt252,
    ) -> Consent;

    /// What concerns a patient as a whole.
    ///
    /// Access:
    /// - anyone (view)
    fn patient_state(self: @TState, patient: ContractAddress) -> PatientState;

    /// The purposes that a patient refuses to everyone, as codes.
    ///
    /// Access:
    /// - anyone (view)
    fn refused_purposes(self: @TState, patient: ContractAddress) -> Array<felt252>;

    /// What a patient said about emergencies to a hospital: `Given`, `Refused` or `None`.
    ///
    /// Access:
    /// - anyone (view)
    fn emergency_naming(
        self: @TState, patient: ContractAddress, hospital: ContractAddress,
    ) -> ConsentStatus;

    /// What `delegate` may do for `patient`; one that expired or was dismissed is returned as it
    /// was set.
    ///
    /// Access:
    /// - anyone (view)
    fn delegation(self: @TState, patient: ContractAddress, delegate: ContractAddress) -> Delegation;

    /// Length and head of a patient's consent history.
    ///
    /// Access:
    /// - anyone (view)
    fn history_head(self: @TState, patient: ContractAddress) -> Head;
}

/// A consent was given or renewed: entry `seq` of the patient's consent history, at `at` (unix
/// seconds). `by` is the patient or a delegate, `nonce` the one that a signed message burnt
/// (generation · 2^32 + counter) or zero, `campaign` zero without reward.
#[derive(Drop, starknet::Event)]
pub struct ConsentAdded {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub grantee: ContractAddress,
    #[key]
    pub purpose: felt252,
    pub seq: u32,
    pub at: u64,
    pub study: felt252,
    pub by: ContractAddress,
    pub nonce: u64,
    pub version: u32,
    pub generation: u32,
    pub categories: u32,
    pub starts_at: u64,
    pub expires_at: u64,
    pub max_uses: u32,
    pub scoped: bool,
    pub campaign: felt252,
    pub terms_commitment: felt252,
}

/// A consent was revoked; `by` is the patient (withdrawn) or a delegate (revoked), `nonce` the one
/// that a signed message burnt (its generation · 2^32) or zero, `version` and `generation` the
/// record's new ones.
#[derive(Drop, starknet::Event)]
pub struct ConsentRevoked {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub grantee: ContractAddress,
    #[key]
    pub purpose: felt252,
    pub seq: u32,
    pub at: u64,
    pub study: felt252,
    pub by: ContractAddress,
    pub nonce: u64,
    pub version: u32,
    pub generation: u32,
}

/// Every consent of a generation before `generation` is dead, and so is every message signed before
/// that gives one.
#[derive(Drop, starknet::Event)]
pub struct AllConsentsRevoked {
    #[key]
    pub patient: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub by: ContractAddress,
    pub generation: u32,
    pub delegates_dismissed: bool,
}

/// An entity asks a patient for a consent on these terms; the request stands open until before
/// `open_until` (unix seconds).
#[derive(Drop, starknet::Event)]
pub struct ConsentRequested {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub grantee: ContractAddress,
    #[key]
    pub purpose: felt252,
    pub open_until: u64,
    pub study: felt252,
    pub categories: u32,
    pub starts_at: u64,
    pub expires_at: u64,
    pub max_uses: u32,
    pub scoped: bool,
    pub reward: Option<CampaignTerms>,
    pub terms_commitment: felt252,
}

/// A patient (or a delegate, `by`) refused; `version` and `generation` are the record's new ones.
#[derive(Drop, starknet::Event)]
pub struct ConsentRefused {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub grantee: ContractAddress,
    #[key]
    pub purpose: felt252,
    pub seq: u32,
    pub at: u64,
    pub study: felt252,
    pub by: ContractAddress,
    pub version: u32,
    pub generation: u32,
}

/// A patient refuses everyone for a purpose.
#[derive(Drop, starknet::Event)]
pub struct PurposeRefused {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub purpose: felt252,
    pub seq: u32,
    pub at: u64,
}

/// A patient allows a purpose again.
#[derive(Drop, starknet::Event)]
pub struct PurposeAllowed {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub purpose: felt252,
    pub seq: u32,
    pub at: u64,
}

/// A delegate's powers were set; zero powers: removed.
#[derive(Drop, starknet::Event)]
pub struct DelegateSet {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub delegate: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub powers: u8,
    pub expires_at: u64,
    pub epoch: u32,
}

/// Every delegation of an epoch before `epoch` is dead.
#[derive(Drop, starknet::Event)]
pub struct DelegatesDismissed {
    #[key]
    pub patient: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub epoch: u32,
}

/// A patient chose who may break the glass.
#[derive(Drop, starknet::Event)]
pub struct EmergencyChoiceSet {
    #[key]
    pub patient: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub choice: EmergencyChoice,
}

/// A patient allowed or forbade a hospital to break the glass; `version` and `generation` are the
/// record's new ones.
#[derive(Drop, starknet::Event)]
pub struct EmergencyHospitalSet {
    #[key]
    pub patient: ContractAddress,
    #[key]
    pub hospital: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub allowed: bool,
    pub version: u32,
    pub generation: u32,
}

/// Messages that give a consent and name a generation before `generation` are void.
#[derive(Drop, starknet::Event)]
pub struct SignaturesCancelled {
    #[key]
    pub patient: ContractAddress,
    pub seq: u32,
    pub at: u64,
    pub generation: u32,
}

pub mod Errors {
    /// The patient, grantee, delegate or hospital is zero.
    pub const ZERO_ADDRESS: felt252 = 'CONSENT/ZERO_ADDRESS';
    /// Patient and grantee are the same.
    pub const SELF_GRANT: felt252 = 'CONSENT/SELF_GRANT';
    /// The purpose is not one of the known HL7 v3-ActReason codes, or it is `BTG`.
    pub const BAD_PURPOSE: felt252 = 'CONSENT/BAD_PURPOSE';
    /// The data categories are none, or one of them is unknown.
    pub const BAD_CATEGORIES: felt252 = 'CONSENT/BAD_CATEGORIES';
    /// The consent would not start before it expires.
    pub const EMPTY_WINDOW: felt252 = 'CONSENT/EMPTY_WINDOW';
    /// The consent would have expired already. Times are unix seconds.
    pub const EXPIRED_AT_BIRTH: felt252 = 'CONSENT/EXPIRED_AT_BIRTH';
    /// A time is beyond 2^40 - 1. Times are unix seconds.
    pub const TIME_RANGE: felt252 = 'CONSENT/TIME_RANGE';
    /// The patient refuses everyone for this purpose; they must allow it first.
    pub const PURPOSE_REFUSED: felt252 = 'CONSENT/PURPOSE_REFUSED';
    /// The record was changed 2^32 - 2 times and cannot be renewed any more.
    pub const VERSION_EXHAUSTED: felt252 = 'CONSENT/VERSION_EXHAUSTED';
    /// The patient's generation is the last one: nothing can be given any more.
    pub const GENERATION_EXHAUSTED: felt252 = 'CONSENT/GENERATION_EXHAUSTED';
    /// The patient's delegate epoch is the last one: nobody can be named any more.
    pub const EPOCH_EXHAUSTED: felt252 = 'CONSENT/EPOCH_EXHAUSTED';
    /// The reward terms have another purpose than the consent.
    pub const CAMPAIGN_PURPOSE: felt252 = 'CONSENT/CAMPAIGN_PURPOSE';
    /// The reward terms have another study than the consent.
    pub const CAMPAIGN_STUDY: felt252 = 'CONSENT/CAMPAIGN_STUDY';
    /// The reward terms name a spender other than MedSync.
    pub const CAMPAIGN_SPENDER: felt252 = 'CONSENT/CAMPAIGN_SPENDER';
    /// What the reward terms name as pool was not deployed by this contract.
    pub const NOT_A_POOL: felt252 = 'CONSENT/NOT_A_POOL';
    /// The campaign has expired.
    pub const CAMPAIGN_EXPIRED: felt252 = 'CONSENT/CAMPAIGN_EXPIRED';
    /// The grantee's budget of the campaign has nothing left.
    pub const CAMPAIGN_UNFUNDED: felt252 = 'CONSENT/CAMPAIGN_UNFUNDED';
    /// The funder closed the campaign, or announced to.
    pub const CAMPAIGN_CLOSING: felt252 = 'CONSENT/CAMPAIGN_CLOSING';
    /// Nobody ever decided on this patient, grantee, purpose and study.
    pub const NOT_FOUND: felt252 = 'CONSENT/NOT_FOUND';
    /// The caller is no delegate of the patient with this power now.
    pub const NOT_DELEGATE: felt252 = 'CONSENT/NOT_DELEGATE';
    /// The record holds the patient's own decision, which a delegate cannot replace.
    pub const PATIENT_DECIDED: felt252 = 'CONSENT/PATIENT_DECIDED';
    /// Nobody can be their own delegate.
    pub const SELF_DELEGATE: felt252 = 'CONSENT/SELF_DELEGATE';
    /// The powers hold an unknown bit.
    pub const BAD_POWERS: felt252 = 'CONSENT/BAD_POWERS';
    /// The request would not stand open at all.
    pub const REQUEST_OVER: felt252 = 'CONSENT/REQUEST_OVER';
    /// Only a registered hospital can be named for emergencies.
    pub const NOT_HOSPITAL: felt252 = 'CONSENT/NOT_HOSPITAL';
    /// The signed message's deadline has passed.
    pub const SIGNATURE_EXPIRED: felt252 = 'CONSENT/SIGNATURE_EXPIRED';
    /// The signed message's generation and counter are not the patient's next: it was used or
    /// voided.
    pub const BAD_NONCE: felt252 = 'CONSENT/BAD_NONCE';
    /// The generation is not the patient's, or the record was decided on at a later one than the
    /// signed withdrawal.
    pub const BAD_GENERATION: felt252 = 'CONSENT/BAD_GENERATION';
    /// The patient's account does not accept the signature for exactly this message.
    pub const BAD_SIGNATURE: felt252 = 'CONSENT/BAD_SIGNATURE';
    /// The patient's consent history takes no more entries of this kind.
    pub const HISTORY_FULL: felt252 = 'CONSENT/HISTORY_FULL';
}

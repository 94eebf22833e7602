//! What patients allowed: one record per (patient, grantee, purpose), given, renewed and revoked by
//! the patient.

use starknet::ContractAddress;
use starknet::storage_access::StorePacking;
use crate::campaign::CampaignTerms;
use crate::packing::{bit, join, packed_time, split};
use crate::vocabulary::{Decision, Reason};

/// What a patient agrees to.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct ConsentTerms {
    /// HL7 v3-ActReason code.
    pub purpose: felt252,
    /// Bit set of data categories.
    pub categories: u32,
    /// First second (unix) of the consent. May lie in the past.
    pub starts_at: u64,
    /// First second (unix) after the consent; at most 2^40 − 1.
    pub expires_at: u64,
    /// How many permitted accesses it is good for; zero means no limit.
    pub max_uses: u32,
    /// The campaign that must pay for each access, if the patient insists on pay.
    pub reward: Option<CampaignTerms>,
    /// Salted hash of everything agreed off-chain; emitted, not stored.
    pub terms_commitment: felt252,
}

/// What became of a consent. Expiry, the start and `revoke_all` are not stored: they follow from
/// the time and the epoch.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub enum ConsentStatus {
    None,
    Given,
    /// Revoked by the patient (W3C DPV: withdrawn).
    Withdrawn,
    /// Revoked by a delegate (W3C DPV: revoked).
    Revoked,
}

/// A consent as anyone may see it.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Consent {
    pub starts_at: u64,
    pub expires_at: u64,
    pub categories: u32,
    /// Counts every change of the record: giving, renewing and revoking add one each.
    pub version: u32,
    /// The patient's epoch when it was given; live only while the two are equal.
    pub epoch: u32,
    pub max_uses: u32,
    /// Permitted accesses since it was given or renewed.
    pub uses: u32,
    pub status: ConsentStatus,
    /// Id of the campaign that must pay, or zero.
    pub campaign: felt252,
}

/// The stored record: `version:32 | epoch:32 | max_uses:32 | uses:32` and above `starts_at:40 |
/// expires_at:40 | categories:32 | rewarded:1 | status:2`.
#[derive(Copy, Drop, PartialEq, Debug)]
pub struct Record {
    pub starts_at: u64,
    pub expires_at: u64,
    pub categories: u32,
    pub version: u32,
    pub epoch: u32,
    pub max_uses: u32,
    pub uses: u32,
    pub status: ConsentStatus,
    /// Whether the second cell holds a campaign id: consents without one save reading it.
    pub rewarded: bool,
}

/// What concerns a patient as a whole: `nonce:64 | epoch:32 | emergency_opt_out:1 | set:1`. The
/// mark keeps the cell non-zero when a patient opts in again.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct PatientState {
    /// Raised by `revoke_all`: consents of an earlier epoch are dead.
    pub epoch: u32,
    /// The nonce that the patient's next signed message must carry.
    pub nonce: u64,
    pub emergency_opt_out: bool,
}

/// What a delegate may do for a patient: `powers:8 | expires_at:40 | set:1`. The mark keeps a
/// removed delegate's cell non-zero.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Delegation {
    /// Sum of `POWER_GIVE`, `POWER_REVOKE` and `POWER_REFUSE`; zero for none.
    pub powers: u8,
    /// First second (unix) after the delegation.
    pub expires_at: u64,
}

pub const POWER_GIVE: u8 = 1;
pub const POWER_REVOKE: u8 = 2;
pub const POWER_REFUSE: u8 = 4;

/// SRC-5 id: XOR of the extended selectors of `IConsentRegistry` (SNIP-5).
pub const ICONSENT_REGISTRY_ID: felt252 =
    0x1423f1556b44f3b19fc135cadc83cadcddab979f5006e0d04e4e23f970701d4;

/// Consents, the delegates who may act on them, and the view that judges them.
#[starknet::interface]
pub trait IConsentRegistry<TState> {
    /// Gives a consent, or renews one: the new terms replace the old, uses start at zero. Returns
    /// the record's new version.
    ///
    /// Preconditions: `grantee` registered and not the caller; a known purpose; known categories,
    ///   at least one; `starts_at < expires_at`; `now < expires_at <= 2^40 - 1`; reward terms of
    ///   the same purpose whose pool knows the campaign as open and listens to this contract. The
    ///   pool is called once, here: an address that is no pool could not be survived later.
    /// Effects: writes the consent's cell (new for the first), and the campaign's id in a second
    ///   one if there is a reward.
    /// Emits: `ConsentAdded`.
    /// Errors: `CONSENT/ZERO_ADDRESS`, `CONSENT/SELF_GRANT`, `CONSENT/BAD_PURPOSE`,
    ///   `CONSENT/BAD_CATEGORIES`, `CONSENT/EMPTY_WINDOW`, `CONSENT/EXPIRED_AT_BIRTH`,
    ///   `CONSENT/TIME_RANGE`, `ENTITY/UNKNOWN`, `CONSENT/VERSION_EXHAUSTED`,
    ///   `CONSENT/CAMPAIGN_PURPOSE`, `CONSENT/NOT_A_POOL`, `CONSENT/FOREIGN_POOL`,
    ///   `CONSENT/CAMPAIGN_NOT_OPEN`.
    /// Access: anyone, as patient, for themselves.
    fn add_consent(ref self: TState, grantee: ContractAddress, terms: ConsentTerms) -> u32;

    /// `add_consent` by a delegate with `POWER_GIVE`.
    ///
    /// Preconditions, effects and errors: as `add_consent` with `patient` in the caller's place.
    /// Emits: `ConsentAdded` that names the delegate.
    /// Errors: `CONSENT/NOT_DELEGATE`.
    /// Access: the patient's delegates.
    fn add_consent_for(
        ref self: TState, patient: ContractAddress, grantee: ContractAddress, terms: ConsentTerms,
    ) -> u32;

    /// `add_consent` by a message the patient signed (SNIP-12 `Consent` or `RewardedConsent`). The
    /// message holds this contract, the version the consent will get, the nonce and the deadline:
    /// any change in between voids it, and it is good once.
    ///
    /// Preconditions: as `add_consent`; `nonce` is the patient's; `now <= deadline`; the patient's
    ///   account says that the signature is its own (SNIP-6), asked last.
    /// Effects: as `add_consent`; writes the patient's state (nonce + 1).
    /// Emits: `SignatureUsed`, then `ConsentAdded` that names the patient.
    /// Errors: as `add_consent`; `CONSENT/SIGNATURE_EXPIRED`, `CONSENT/BAD_NONCE`,
    ///   `CONSENT/BAD_SIGNATURE`.
    /// Access: anyone; submitting gives nothing else.
    fn add_consent_by_sig(
        ref self: TState,
        patient: ContractAddress,
        grantee: ContractAddress,
        terms: ConsentTerms,
        nonce: u64,
        deadline: u64,
        signature: Array<felt252>,
    ) -> u32;

    /// Withdraws a consent, live or not, revoked or not, so nobody can make it fail by being
    /// first. Each time the record gets a new version, which voids a consent for the same grantee
    /// and purpose that is signed and not yet submitted.
    ///
    /// Preconditions: a consent was given once.
    /// Effects: writes the consent's cell.
    /// Emits: `ConsentRevoked`.
    /// Errors: `CONSENT/NOT_FOUND`.
    /// Access: anyone, as patient, for themselves. It can neither be paused nor blocked.
    fn revoke_consent(ref self: TState, grantee: ContractAddress, purpose: felt252);

    /// `revoke_consent` by a delegate with `POWER_REVOKE`; the status becomes `Revoked` instead of
    /// `Withdrawn`. Revoking what is revoked or withdrawn already does nothing.
    ///
    /// Preconditions: a consent was given once.
    /// Effects: writes the consent's cell, unless it was revoked before.
    /// Emits: `ConsentRevoked` that names the delegate, unless it was revoked before.
    /// Errors: `CONSENT/NOT_DELEGATE`, `CONSENT/NOT_FOUND`.
    /// Access: the patient's delegates.
    fn revoke_consent_for(
        ref self: TState, patient: ContractAddress, grantee: ContractAddress, purpose: felt252,
    );

    /// `revoke_consent` by a message the patient signed (SNIP-12 `Revocation`).
    ///
    /// Preconditions: as `revoke_consent`; `nonce` is the patient's; `now <= deadline`; the
    ///   signature is the patient's.
    /// Effects: as `revoke_consent`; writes the patient's state (nonce + 1).
    /// Emits: `SignatureUsed`, then as `revoke_consent`.
    /// Errors: `CONSENT/SIGNATURE_EXPIRED`, `CONSENT/BAD_NONCE`, `CONSENT/NOT_FOUND`,
    ///   `CONSENT/BAD_SIGNATURE`.
    /// Access: anyone; submitting gives nothing else.
    fn revoke_consent_by_sig(
        ref self: TState,
        patient: ContractAddress,
        grantee: ContractAddress,
        purpose: felt252,
        nonce: u64,
        deadline: u64,
        signature: Array<felt252>,
    );

    /// Withdraws every consent the caller ever gave, at one stroke, and voids every message signed
    /// but not yet submitted. Delegates stay: remove them one by one.
    ///
    /// Effects: writes the patient's state (new for the first): epoch + 1, nonce + 1.
    /// Emits: `AllConsentsRevoked`.
    /// Access: anyone, as patient, for themselves. It can neither be paused nor blocked.
    fn revoke_all(ref self: TState);

    /// `revoke_all` by a delegate with `POWER_REVOKE`.
    ///
    /// Effects: writes the patient's state (new for the first): epoch + 1, nonce + 1.
    /// Emits: `AllConsentsRevoked` that names the delegate.
    /// Errors: `CONSENT/NOT_DELEGATE`.
    /// Access: the patient's delegates.
    fn revoke_all_for(ref self: TState, patient: ContractAddress);

    /// Asks a patient for a consent on these terms. Only an event: whether and how it is answered
    /// is the patient's.
    ///
    /// Preconditions: terms as for `add_consent`, except that the pool is not asked.
    /// Effects: none in storage.
    /// Emits: `ConsentRequested`.
    /// Errors: `ENTITY/UNKNOWN`, `ENTITY/SUSPENDED`, `CONSENT/ZERO_ADDRESS`, `CONSENT/SELF_GRANT`,
    ///   `CONSENT/BAD_PURPOSE`, `CONSENT/BAD_CATEGORIES`, `CONSENT/EMPTY_WINDOW`,
    ///   `CONSENT/EXPIRED_AT_BIRTH`, `CONSENT/TIME_RANGE`, `CONSENT/CAMPAIGN_PURPOSE`.
    /// Access: registered entities that are not suspended.
    fn request_consent(ref self: TState, patient: ContractAddress, terms: ConsentTerms);

    /// Says no to a grantee for a purpose. Only an event: a consent that stands is not touched.
    ///
    /// Preconditions: `grantee` not zero; a known purpose.
    /// Effects: none in storage.
    /// Emits: `ConsentRefused`.
    /// Errors: `CONSENT/ZERO_ADDRESS`, `CONSENT/BAD_PURPOSE`.
    /// Access: anyone, as patient, for themselves.
    fn refuse_consent(ref self: TState, grantee: ContractAddress, purpose: felt252);

    /// `refuse_consent` by a delegate with `POWER_REFUSE`.
    ///
    /// Preconditions: `grantee` not zero; a known purpose.
    /// Effects: none in storage.
    /// Emits: `ConsentRefused` that names the delegate.
    /// Errors: `CONSENT/NOT_DELEGATE`, `CONSENT/ZERO_ADDRESS`, `CONSENT/BAD_PURPOSE`.
    /// Access: the patient's delegates.
    fn refuse_consent_for(
        ref self: TState, patient: ContractAddress, grantee: ContractAddress, purpose: felt252,
    );

    /// Lets `delegate` act for the caller until `expires_at`; replaces what was set before. No
    /// powers removes the delegate. Delegates cannot name delegates.
    ///
    /// Preconditions: `delegate` neither zero nor the caller; known powers; `expires_at <= 2^40 -
    ///   1`.
    /// Effects: writes the delegation (new for a delegate's first).
    /// Emits: `DelegateSet`.
    /// Errors: `CONSENT/ZERO_ADDRESS`, `CONSENT/SELF_DELEGATE`, `CONSENT/BAD_POWERS`,
    ///   `CONSENT/TIME_RANGE`.
    /// Access: anyone, as patient, for themselves.
    fn set_delegate(ref self: TState, delegate: ContractAddress, powers: u8, expires_at: u64);

    /// Forbids (or allows again) emergency access to the caller's data.
    ///
    /// Effects: writes the patient's state.
    /// Emits: `EmergencyOptOutSet`.
    /// Access: anyone, as patient, for themselves.
    fn set_emergency_opt_out(ref self: TState, opted_out: bool);

    /// Voids every message the caller signed but nobody submitted yet.
    ///
    /// Effects: writes the patient's state (nonce + 1).
    /// Emits: `SignaturesCancelled`.
    /// Access: anyone, as patient, for themselves.
    fn cancel_signatures(ref self: TState);

    /// Whether `grantee` may use these categories of the patient's data for this purpose now, why,
    /// and by which version of the consent (zero if no record was consulted). Total: never fails.
    /// The first that applies decides: entity unknown, entity suspended, never given, withdrawn or
    /// revoked, all revoked, not started, expired, category not covered, uses exhausted, granted.
    /// It judges the consent and the entity, not whether a campaign can pay: `request_access` may
    /// still refuse. View, anyone.
    fn verify_consent(
        self: @TState,
        patient: ContractAddress,
        grantee: ContractAddress,
        purpose: felt252,
        categories: u32,
    ) -> (Decision, Reason, u32);

    /// The record of a consent; status `None` if it was never given. View, anyone.
    fn consent(
        self: @TState, patient: ContractAddress, grantee: ContractAddress, purpose: felt252,
    ) -> Consent;

    /// A patient's epoch, nonce and emergency opt-out. View, anyone.
    fn patient_state(self: @TState, patient: ContractAddress) -> PatientState;

    /// What `delegate` may do for `patient`; an expired delegation is returned as it was set. View,
    /// anyone.
    fn delegation(self: @TState, patient: ContractAddress, delegate: ContractAddress) -> Delegation;
}

/// The part of an account (SNIP-6) that answers whether a signature is its own.
#[starknet::interface]
pub trait IAccount<TState> {
    fn is_valid_signature(self: @TState, hash: felt252, signature: Array<felt252>) -> felt252;
}

pub impl RecordPacking of StorePacking<Record, felt252> {
    fn pack(value: Record) -> felt252 {
        let status = match value.status {
            ConsentStatus::None => 0,
            ConsentStatus::Given => 1,
            ConsentStatus::Withdrawn => 2,
            ConsentStatus::Revoked => 3,
        };
        join(
            value.version.into()
                + value.epoch.into() * 0x100000000
                + value.max_uses.into() * 0x10000000000000000
                + value.uses.into() * 0x1000000000000000000000000,
            packed_time(value.starts_at)
                + packed_time(value.expires_at) * 0x10000000000
                + value.categories.into() * 0x100000000000000000000
                + bit(value.rewarded) * 0x10000000000000000000000000000
                + status * 0x20000000000000000000000000000,
        )
    }

    fn unpack(value: felt252) -> Record {
        let (low, high) = split(value);
        let (low, version) = DivRem::div_rem(low, 0x100000000);
        let (low, epoch) = DivRem::div_rem(low, 0x100000000);
        let (uses, max_uses) = DivRem::div_rem(low, 0x100000000);
        let (high, starts_at) = DivRem::div_rem(high, 0x10000000000);
        let (high, expires_at) = DivRem::div_rem(high, 0x10000000000);
        let (high, categories) = DivRem::div_rem(high, 0x100000000);
        let (status, rewarded) = DivRem::div_rem(high, 2);
        Record {
            starts_at: starts_at.try_into().unwrap(),
            expires_at: expires_at.try_into().unwrap(),
            categories: categories.try_into().unwrap(),
            version: version.try_into().unwrap(),
            epoch: epoch.try_into().unwrap(),
            max_uses: max_uses.try_into().unwrap(),
            uses: uses.try_into().unwrap(),
            status: if status == 1 {
                ConsentStatus::Given
            } else if status == 0 {
                ConsentStatus::None
            } else if status == 2 {
                ConsentStatus::Withdrawn
            } else {
                ConsentStatus::Revoked
            },
            rewarded: rewarded == 1,
        }
    }
}

pub impl PatientStatePacking of StorePacking<PatientState, felt252> {
    fn pack(value: PatientState) -> felt252 {
        value.nonce.into()
            + value.epoch.into() * 0x10000000000000000
            + bit(value.emergency_opt_out) * 0x1000000000000000000000000
            + 0x2000000000000000000000000
    }

    fn unpack(value: felt252) -> PatientState {
        let (value, _) = split(value);
        let (high, nonce) = DivRem::div_rem(value, 0x10000000000000000);
        let (flags, epoch) = DivRem::div_rem(high, 0x100000000);
        let (_, opt_out) = DivRem::div_rem(flags, 2);
        PatientState {
            epoch: epoch.try_into().unwrap(),
            nonce: nonce.try_into().unwrap(),
            emergency_opt_out: opt_out == 1,
        }
    }
}

pub impl DelegationPacking of StorePacking<Delegation, felt252> {
    fn pack(value: Delegation) -> felt252 {
        value.powers.into() + packed_time(value.expires_at) * 0x100 + 0x1000000000000
    }

    fn unpack(value: felt252) -> Delegation {
        let (value, _) = split(value);
        let (high, powers) = DivRem::div_rem(value, 0x100);
        let (_, expires_at) = DivRem::div_rem(high, 0x10000000000);
        Delegation {
            powers: powers.try_into().unwrap(), expires_at: expires_at.try_into().unwrap(),
        }
    }
}

/// The version that giving a consent makes of `version`. Keeps the last one back, so that a consent
/// can always be revoked.
pub fn next_version(version: u32) -> u32 {
    assert(version < 0xFFFFFFFE, Errors::VERSION_EXHAUSTED);
    version + 1
}

/// Whether `uses` permitted accesses use a consent up. Without a limit the counter's own range is
/// the limit.
pub fn is_exhausted(uses: u32, max_uses: u32) -> bool {
    if max_uses == 0 {
        uses == 0xFFFFFFFF
    } else {
        uses >= max_uses
    }
}

pub mod Errors {
    /// The patient, grantee or delegate is zero.
    pub const ZERO_ADDRESS: felt252 = 'CONSENT/ZERO_ADDRESS';
    /// Patient and grantee are the same.
    pub const SELF_GRANT: felt252 = 'CONSENT/SELF_GRANT';
    /// The purpose is not one of the known HL7 v3-ActReason codes.
    pub const BAD_PURPOSE: felt252 = 'CONSENT/BAD_PURPOSE';
    /// The data categories are none, or one of them is unknown.
    pub const BAD_CATEGORIES: felt252 = 'CONSENT/BAD_CATEGORIES';
    /// The consent would not start before it expires.
    pub const EMPTY_WINDOW: felt252 = 'CONSENT/EMPTY_WINDOW';
    /// The consent would have expired already. Times are unix seconds.
    pub const EXPIRED_AT_BIRTH: felt252 = 'CONSENT/EXPIRED_AT_BIRTH';
    /// The expiry is beyond 2^40 - 1. Times are unix seconds.
    pub const TIME_RANGE: felt252 = 'CONSENT/TIME_RANGE';
    /// The record was changed 2^32 - 2 times and cannot be renewed any more.
    pub const VERSION_EXHAUSTED: felt252 = 'CONSENT/VERSION_EXHAUSTED';
    /// The reward terms have another purpose than the consent.
    pub const CAMPAIGN_PURPOSE: felt252 = 'CONSENT/CAMPAIGN_PURPOSE';
    /// What the reward terms name as pool does not answer like a reward pool.
    pub const NOT_A_POOL: felt252 = 'CONSENT/NOT_A_POOL';
    /// The pool listens to another MedSync contract.
    pub const FOREIGN_POOL: felt252 = 'CONSENT/FOREIGN_POOL';
    /// Nothing was ever deposited for these reward terms, or the campaign is closed.
    pub const CAMPAIGN_NOT_OPEN: felt252 = 'CONSENT/CAMPAIGN_NOT_OPEN';
    /// No consent was ever given for this patient, grantee and purpose.
    pub const NOT_FOUND: felt252 = 'CONSENT/NOT_FOUND';
    /// The caller is no delegate of the patient with this power now.
    pub const NOT_DELEGATE: felt252 = 'CONSENT/NOT_DELEGATE';
    /// Nobody can be their own delegate.
    pub const SELF_DELEGATE: felt252 = 'CONSENT/SELF_DELEGATE';
    /// The powers hold an unknown bit.
    pub const BAD_POWERS: felt252 = 'CONSENT/BAD_POWERS';
    /// The signed message's deadline has passed.
    pub const SIGNATURE_EXPIRED: felt252 = 'CONSENT/SIGNATURE_EXPIRED';
    /// The signed message's nonce is not the patient's next: it was used or voided.
    pub const BAD_NONCE: felt252 = 'CONSENT/BAD_NONCE';
    /// The patient's account does not accept the signature for exactly this message.
    pub const BAD_SIGNATURE: felt252 = 'CONSENT/BAD_SIGNATURE';
}

#[starknet::component]
pub mod ConsentRegistryComponent {
    use core::num::traits::Zero;
    use starknet::storage::{
        Map, StorageMapReadAccess, StorageMapWriteAccess, StoragePathEntry,
        StoragePointerReadAccess, StoragePointerWriteAccess,
    };
    use starknet::syscalls::call_contract_syscall;
    use starknet::{ContractAddress, get_block_timestamp, get_caller_address};
    use crate::campaign::{CampaignTerms, CampaignTrait};
    use crate::context::{Context, context};
    use crate::entity_registry::EntityRegistryComponent::InternalTrait as EntitiesInternal;
    use crate::entity_registry::{EntityRegistryComponent, Errors as EntityErrors, IEntityRegistry};
    use crate::hash::SpongeTrait;
    use crate::packing::MAX_TIME;
    use crate::reward_pool::{Campaign, CampaignStatus};
    use crate::snip12::{Signing, consent_hash, revocation_hash};
    use crate::vocabulary::{Decision, Reason, Role, are_categories, is_purpose, is_subset};
    use super::{
        Consent, ConsentStatus, ConsentTerms, Delegation, Errors, IAccountDispatcher,
        IAccountDispatcherTrait, POWER_GIVE, POWER_REFUSE, POWER_REVOKE, PatientState, Record,
        is_exhausted, next_version,
    };

    #[storage]
    pub struct Storage {
        /// By Poseidon of patient, grantee and purpose, like `campaigns`: one hash instead of
        /// three.
        ConsentRegistry_records: Map<felt252, Record>,
        ConsentRegistry_campaigns: Map<felt252, felt252>,
        ConsentRegistry_patients: Map<ContractAddress, PatientState>,
        /// By Poseidon of patient and delegate.
        ConsentRegistry_delegations: Map<felt252, Delegation>,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        ConsentAdded: ConsentAdded,
        ConsentRevoked: ConsentRevoked,
        AllConsentsRevoked: AllConsentsRevoked,
        ConsentRequested: ConsentRequested,
        ConsentRefused: ConsentRefused,
        DelegateSet: DelegateSet,
        EmergencyOptOutSet: EmergencyOptOutSet,
        SignaturesCancelled: SignaturesCancelled,
        SignatureUsed: SignatureUsed,
    }

    /// A consent was given or renewed; `by` is the patient or a delegate, `campaign` zero without
    /// reward.
    #[derive(Drop, starknet::Event)]
    pub struct ConsentAdded {
        #[key]
        pub patient: ContractAddress,
        #[key]
        pub grantee: ContractAddress,
        #[key]
        pub purpose: felt252,
        pub by: ContractAddress,
        pub version: u32,
        pub epoch: u32,
        pub categories: u32,
        pub starts_at: u64,
        pub expires_at: u64,
        pub max_uses: u32,
        pub campaign: felt252,
        pub terms_commitment: felt252,
    }

    /// A consent was revoked; `by` is the patient (withdrawn) or a delegate (revoked), `version`
    /// the record's new one.
    #[derive(Drop, starknet::Event)]
    pub struct ConsentRevoked {
        #[key]
        pub patient: ContractAddress,
        #[key]
        pub grantee: ContractAddress,
        #[key]
        pub purpose: felt252,
        pub by: ContractAddress,
        pub version: u32,
    }

    /// Every consent of an epoch before `epoch` is dead, and so is every signed message with a
    /// nonce below `nonce`.
    #[derive(Drop, starknet::Event)]
    pub struct AllConsentsRevoked {
        #[key]
        pub patient: ContractAddress,
        pub by: ContractAddress,
        pub epoch: u32,
        pub nonce: u64,
    }

    /// An entity asks a patient for a consent on these terms.
    #[derive(Drop, starknet::Event)]
    pub struct ConsentRequested {
        #[key]
        pub patient: ContractAddress,
        #[key]
        pub grantee: ContractAddress,
        #[key]
        pub purpose: felt252,
        pub categories: u32,
        pub starts_at: u64,
        pub expires_at: u64,
        pub max_uses: u32,
        pub reward: Option<CampaignTerms>,
        pub terms_commitment: felt252,
    }

    /// A patient (or a delegate, `by`) said no.
    #[derive(Drop, starknet::Event)]
    pub struct ConsentRefused {
        #[key]
        pub patient: ContractAddress,
        #[key]
        pub grantee: ContractAddress,
        #[key]
        pub purpose: felt252,
        pub by: ContractAddress,
    }

    /// A delegate's powers were set; zero powers: removed.
    #[derive(Drop, starknet::Event)]
    pub struct DelegateSet {
        #[key]
        pub patient: ContractAddress,
        #[key]
        pub delegate: ContractAddress,
        pub powers: u8,
        pub expires_at: u64,
    }

    /// A patient forbade emergency access, or allowed it again.
    #[derive(Drop, starknet::Event)]
    pub struct EmergencyOptOutSet {
        #[key]
        pub patient: ContractAddress,
        pub opted_out: bool,
    }

    /// Signed messages with a nonce below `nonce` are void.
    #[derive(Drop, starknet::Event)]
    pub struct SignaturesCancelled {
        #[key]
        pub patient: ContractAddress,
        pub nonce: u64,
    }

    /// A message the patient signed was submitted; it burnt this nonce, and the next must carry one
    /// more.
    #[derive(Drop, starknet::Event)]
    pub struct SignatureUsed {
        #[key]
        pub patient: ContractAddress,
        pub nonce: u64,
    }

    /// What the consent and the entity say about a request, and where the consent is stored.
    #[derive(Copy, Drop)]
    pub struct Judgement {
        pub decision: Decision,
        pub reason: Reason,
        pub version: u32,
        pub key: felt252,
        pub record: Record,
    }

    #[embeddable_as(ConsentRegistryImpl)]
    impl ConsentRegistry<
        TContractState,
        +HasComponent<TContractState>,
        impl Entities: EntityRegistryComponent::HasComponent<TContractState>,
        +Drop<TContractState>,
    > of super::IConsentRegistry<ComponentState<TContractState>> {
        fn add_consent(
            ref self: ComponentState<TContractState>, grantee: ContractAddress, terms: ConsentTerms,
        ) -> u32 {
            let context = context();
            let version = self.give(context, context.caller, context.caller, grantee, @terms);
            prove_campaign(context, @terms);
            version
        }

        fn add_consent_for(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            terms: ConsentTerms,
        ) -> u32 {
            let context = context();
            self.assert_delegate(context, patient, POWER_GIVE);
            let version = self.give(context, patient, context.caller, grantee, @terms);
            prove_campaign(context, @terms);
            version
        }

        fn add_consent_by_sig(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            terms: ConsentTerms,
            nonce: u64,
            deadline: u64,
            signature: Array<felt252>,
        ) -> u32 {
            let context = context();
            let signing = self.burn_nonce(context, patient, nonce, deadline);
            let version = self.give(context, patient, patient, grantee, @terms);
            prove_campaign(context, @terms);
            assert_signed(patient, consent_hash(@signing, grantee, @terms, version), signature);
            version
        }

        fn revoke_consent(
            ref self: ComponentState<TContractState>, grantee: ContractAddress, purpose: felt252,
        ) {
            let patient = get_caller_address();
            self.revoke(patient, patient, grantee, purpose);
        }

        fn revoke_consent_for(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
        ) {
            let context = context();
            self.assert_delegate(context, patient, POWER_REVOKE);
            self.revoke(patient, context.caller, grantee, purpose);
        }

        fn revoke_consent_by_sig(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
            nonce: u64,
            deadline: u64,
            signature: Array<felt252>,
        ) {
            let signing = self.burn_nonce(context(), patient, nonce, deadline);
            self.revoke(patient, patient, grantee, purpose);
            assert_signed(patient, revocation_hash(@signing, grantee, purpose), signature);
        }

        fn revoke_all(ref self: ComponentState<TContractState>) {
            let patient = get_caller_address();
            self.raise_epoch(patient, patient);
        }

        fn revoke_all_for(ref self: ComponentState<TContractState>, patient: ContractAddress) {
            let context = context();
            self.assert_delegate(context, patient, POWER_REVOKE);
            self.raise_epoch(patient, context.caller);
        }

        fn request_consent(
            ref self: ComponentState<TContractState>, patient: ContractAddress, terms: ConsentTerms,
        ) {
            let context = context();
            let grantee = context.caller;
            let entity = get_dep_component!(@self, Entities).assert_registered(grantee);
            assert(!entity.suspended, EntityErrors::SUSPENDED);
            assert_terms(context.now, patient, grantee, @terms);
            self
                .emit(
                    ConsentRequested {
                        patient,
                        grantee,
                        purpose: terms.purpose,
                        categories: terms.categories,
                        starts_at: terms.starts_at,
                        expires_at: terms.expires_at,
                        max_uses: terms.max_uses,
                        reward: terms.reward,
                        terms_commitment: terms.terms_commitment,
                    },
                );
        }

        fn refuse_consent(
            ref self: ComponentState<TContractState>, grantee: ContractAddress, purpose: felt252,
        ) {
            let patient = get_caller_address();
            self.refuse(patient, patient, grantee, purpose);
        }

        fn refuse_consent_for(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
        ) {
            let context = context();
            self.assert_delegate(context, patient, POWER_REFUSE);
            self.refuse(patient, context.caller, grantee, purpose);
        }

        fn set_delegate(
            ref self: ComponentState<TContractState>,
            delegate: ContractAddress,
            powers: u8,
            expires_at: u64,
        ) {
            let patient = get_caller_address();
            assert(delegate.is_non_zero(), Errors::ZERO_ADDRESS);
            assert(delegate != patient, Errors::SELF_DELEGATE);
            assert(powers <= POWER_GIVE + POWER_REVOKE + POWER_REFUSE, Errors::BAD_POWERS);
            assert(expires_at <= MAX_TIME, Errors::TIME_RANGE);
            self
                .ConsentRegistry_delegations
                .write(delegation_key(patient, delegate), Delegation { powers, expires_at });
            self.emit(DelegateSet { patient, delegate, powers, expires_at });
        }

        fn set_emergency_opt_out(ref self: ComponentState<TContractState>, opted_out: bool) {
            let patient = get_caller_address();
            let cell = self.ConsentRegistry_patients.entry(patient);
            let state = cell.read();
            cell.write(PatientState { emergency_opt_out: opted_out, ..state });
            self.emit(EmergencyOptOutSet { patient, opted_out });
        }

        fn cancel_signatures(ref self: ComponentState<TContractState>) {
            let patient = get_caller_address();
            let cell = self.ConsentRegistry_patients.entry(patient);
            let state = cell.read();
            let nonce = state.nonce + 1;
            cell.write(PatientState { nonce, ..state });
            self.emit(SignaturesCancelled { patient, nonce });
        }

        fn verify_consent(
            self: @ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
            categories: u32,
        ) -> (Decision, Reason, u32) {
            let judgement = self
                .judge(patient, grantee, purpose, categories, get_block_timestamp());
            (judgement.decision, judgement.reason, judgement.version)
        }

        fn consent(
            self: @ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
        ) -> Consent {
            let key = consent_key(patient, grantee, purpose);
            let record = self.ConsentRegistry_records.read(key);
            Consent {
                starts_at: record.starts_at,
                expires_at: record.expires_at,
                categories: record.categories,
                version: record.version,
                epoch: record.epoch,
                max_uses: record.max_uses,
                uses: record.uses,
                status: record.status,
                campaign: self.campaign_of(key, @record),
            }
        }

        fn patient_state(
            self: @ComponentState<TContractState>, patient: ContractAddress,
        ) -> PatientState {
            self.ConsentRegistry_patients.read(patient)
        }

        fn delegation(
            self: @ComponentState<TContractState>,
            patient: ContractAddress,
            delegate: ContractAddress,
        ) -> Delegation {
            self.ConsentRegistry_delegations.read(delegation_key(patient, delegate))
        }
    }

    #[generate_trait]
    pub impl InternalImpl<
        TContractState,
        +HasComponent<TContractState>,
        impl Entities: EntityRegistryComponent::HasComponent<TContractState>,
        +Drop<TContractState>,
    > of InternalTrait<TContractState> {
        /// What entity and consent say at second `now`. The order of the checks is the precedence
        /// of `verify_consent`.
        fn judge(
            self: @ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
            categories: u32,
            now: u64,
        ) -> Judgement {
            let entity = get_dep_component!(self, Entities).entity(grantee);
            let key = consent_key(patient, grantee, purpose);
            let record = self.ConsentRegistry_records.read(key);
            let (decision, reason, version) = if entity.role == Role::None {
                (Decision::Deny, Reason::EntityUnknown, 0)
            } else if entity.suspended {
                (Decision::Deny, Reason::EntitySuspended, 0)
            } else {
                match record.status {
                    ConsentStatus::None => (Decision::NoConsent, Reason::NeverGiven, 0),
                    ConsentStatus::Withdrawn => (Decision::Deny, Reason::Withdrawn, record.version),
                    ConsentStatus::Revoked => (Decision::Deny, Reason::Revoked, record.version),
                    ConsentStatus::Given => {
                        let reason = self.judge_given(@record, patient, categories, now);
                        let decision = if reason == Reason::Granted {
                            Decision::Permit
                        } else {
                            Decision::Deny
                        };
                        (decision, reason, record.version)
                    },
                }
            };
            Judgement { decision, reason, version, key, record }
        }

        fn judge_given(
            self: @ComponentState<TContractState>,
            record: @Record,
            patient: ContractAddress,
            categories: u32,
            now: u64,
        ) -> Reason {
            if *record.epoch != self.ConsentRegistry_patients.read(patient).epoch {
                Reason::AllRevoked
            } else if now < *record.starts_at {
                Reason::NotStarted
            } else if now >= *record.expires_at {
                Reason::Expired
            } else if categories == 0 || !is_subset(categories, *record.categories) {
                Reason::CategoryNotCovered
            } else if is_exhausted(*record.uses, *record.max_uses) {
                Reason::UsesExhausted
            } else {
                Reason::Granted
            }
        }

        /// The id of the campaign that must pay, or zero.
        fn campaign_of(
            self: @ComponentState<TContractState>, key: felt252, record: @Record,
        ) -> felt252 {
            if *record.rewarded {
                self.ConsentRegistry_campaigns.read(key)
            } else {
                0
            }
        }

        /// Uses a judged consent once.
        fn consume(ref self: ComponentState<TContractState>, judgement: @Judgement) {
            let record = *judgement.record;
            self
                .ConsentRegistry_records
                .write(*judgement.key, Record { uses: record.uses + 1, ..record });
        }

        /// Gives a use back. Reads the record again: while a pool was called, the consent may have
        /// been changed, and then its uses count from zero anyway.
        fn give_back(ref self: ComponentState<TContractState>, judgement: @Judgement) {
            let cell = self.ConsentRegistry_records.entry(*judgement.key);
            let record = cell.read();
            if record.version == *judgement.version {
                cell.write(Record { uses: record.uses - 1, ..record });
            }
        }

        fn give(
            ref self: ComponentState<TContractState>,
            context: Context,
            patient: ContractAddress,
            by: ContractAddress,
            grantee: ContractAddress,
            terms: @ConsentTerms,
        ) -> u32 {
            assert_terms(context.now, patient, grantee, terms);
            get_dep_component!(@self, Entities).assert_registered(grantee);
            let key = consent_key(patient, grantee, *terms.purpose);
            let cell = self.ConsentRegistry_records.entry(key);
            let before = cell.read();
            let version = next_version(before.version);
            let epoch = self.ConsentRegistry_patients.read(patient).epoch;
            let campaign = terms.reward.id_or_zero();
            let record = Record {
                starts_at: *terms.starts_at,
                expires_at: *terms.expires_at,
                categories: *terms.categories,
                version,
                epoch,
                max_uses: *terms.max_uses,
                uses: 0,
                status: ConsentStatus::Given,
                rewarded: campaign != 0,
            };
            cell.write(record);
            // Most renewals name the campaign that is there already: reading is cheaper.
            if campaign != 0 && campaign != self.campaign_of(key, @before) {
                self.ConsentRegistry_campaigns.write(key, campaign);
            }
            self
                .emit(
                    ConsentAdded {
                        patient,
                        grantee,
                        purpose: *terms.purpose,
                        by,
                        version,
                        epoch,
                        categories: *terms.categories,
                        starts_at: *terms.starts_at,
                        expires_at: *terms.expires_at,
                        max_uses: *terms.max_uses,
                        campaign,
                        terms_commitment: *terms.terms_commitment,
                    },
                );
            version
        }

        fn revoke(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            by: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
        ) {
            let cell = self.ConsentRegistry_records.entry(consent_key(patient, grantee, purpose));
            let record = cell.read();
            assert(record.status != ConsentStatus::None, Errors::NOT_FOUND);
            // A delegate adds nothing to a revocation. The patient does, up to the last version:
            // each new one voids a consent that is signed and not yet submitted.
            let is_revoked = record.status != ConsentStatus::Given;
            if is_revoked && (by != patient || record.version == 0xFFFFFFFF) {
                return;
            }
            let version = record.version + 1;
            let status = if by == patient {
                ConsentStatus::Withdrawn
            } else {
                ConsentStatus::Revoked
            };
            cell.write(Record { version, status, ..record });
            self.emit(ConsentRevoked { patient, grantee, purpose, by, version });
        }

        fn raise_epoch(
            ref self: ComponentState<TContractState>, patient: ContractAddress, by: ContractAddress,
        ) {
            let cell = self.ConsentRegistry_patients.entry(patient);
            let state = cell.read();
            let (epoch, nonce) = (state.epoch + 1, state.nonce + 1);
            cell.write(PatientState { epoch, nonce, ..state });
            self.emit(AllConsentsRevoked { patient, by, epoch, nonce });
        }

        fn refuse(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            by: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
        ) {
            assert(grantee.is_non_zero(), Errors::ZERO_ADDRESS);
            assert(is_purpose(purpose), Errors::BAD_PURPOSE);
            self.emit(ConsentRefused { patient, grantee, purpose, by });
        }

        /// The caller must hold `power` for the patient now.
        fn assert_delegate(
            self: @ComponentState<TContractState>,
            context: Context,
            patient: ContractAddress,
            power: u8,
        ) {
            let delegation = self
                .ConsentRegistry_delegations
                .read(delegation_key(patient, context.caller));
            let live = context.now < delegation.expires_at;
            assert(live && delegation.powers & power != 0, Errors::NOT_DELEGATE);
        }

        /// Takes a signed message's nonce out of circulation, before anything else is done with the
        /// message.
        fn burn_nonce(
            ref self: ComponentState<TContractState>,
            context: Context,
            patient: ContractAddress,
            nonce: u64,
            deadline: u64,
        ) -> Signing {
            assert(context.now <= deadline, Errors::SIGNATURE_EXPIRED);
            let cell = self.ConsentRegistry_patients.entry(patient);
            let state = cell.read();
            assert(nonce == state.nonce, Errors::BAD_NONCE);
            cell.write(PatientState { nonce: nonce + 1, ..state });
            self.emit(SignatureUsed { patient, nonce });
            Signing { chain_id: context.chain_id, contract: context.this, patient, nonce, deadline }
        }
    }

    /// What must hold of any consent's terms, whoever gives or asks for it.
    fn assert_terms(
        now: u64, patient: ContractAddress, grantee: ContractAddress, terms: @ConsentTerms,
    ) {
        assert(patient.is_non_zero() && grantee.is_non_zero(), Errors::ZERO_ADDRESS);
        assert(patient != grantee, Errors::SELF_GRANT);
        assert(is_purpose(*terms.purpose), Errors::BAD_PURPOSE);
        assert(are_categories(*terms.categories), Errors::BAD_CATEGORIES);
        assert(*terms.starts_at < *terms.expires_at, Errors::EMPTY_WINDOW);
        assert(now < *terms.expires_at, Errors::EXPIRED_AT_BIRTH);
        assert(*terms.expires_at <= MAX_TIME, Errors::TIME_RANGE);
        if let Option::Some(reward) = terms.reward {
            assert(reward.purpose == terms.purpose, Errors::CAMPAIGN_PURPOSE);
        }
    }

    /// Asks the pool named in the reward terms whether it is a pool, ours, and knows the
    /// campaign. Called after every effect: the pool is a stranger.
    fn prove_campaign(context: Context, terms: @ConsentTerms) {
        let reward = match terms.reward {
            Option::Some(reward) => *reward,
            Option::None => { return; },
        };
        let mut calldata = array![];
        reward.serialize(ref calldata);
        let mut answer = call_contract_syscall(reward.pool, selector!("campaign"), calldata.span())
            .expect(Errors::NOT_A_POOL);
        let campaign: Campaign = Serde::deserialize(ref answer).expect(Errors::NOT_A_POOL);
        assert(answer.is_empty() && campaign.id == reward.id(), Errors::NOT_A_POOL);
        assert(campaign.log == context.this, Errors::FOREIGN_POOL);
        assert(campaign.status == CampaignStatus::Open, Errors::CAMPAIGN_NOT_OPEN);
    }

    fn assert_signed(patient: ContractAddress, hash: felt252, signature: Array<felt252>) {
        let answer = IAccountDispatcher { contract_address: patient }
            .is_valid_signature(hash, signature);
        assert(answer == starknet::VALIDATED, Errors::BAD_SIGNATURE);
    }

    fn consent_key(
        patient: ContractAddress, grantee: ContractAddress, purpose: felt252,
    ) -> felt252 {
        SpongeTrait::new().pair(patient.into(), grantee.into()).hash_with(purpose)
    }

    fn delegation_key(patient: ContractAddress, delegate: ContractAddress) -> felt252 {
        SpongeTrait::new().pair(patient.into(), delegate.into()).hash()
    }
}

#[cfg(test)]
mod tests {
    use crate::packing::MAX_TIME;
    use super::{
        ConsentStatus, Delegation, DelegationPacking, PatientState, PatientStatePacking, Record,
        RecordPacking, is_exhausted, next_version,
    };

    const U32_MAX: u32 = 0xFFFFFFFF;

    fn record() -> Record {
        Record {
            starts_at: 1,
            expires_at: 2,
            categories: 3,
            version: 4,
            epoch: 5,
            max_uses: 6,
            uses: 7,
            status: ConsentStatus::Given,
            rewarded: true,
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
            assert_survives(Record { epoch: edge, ..record() });
            assert_survives(Record { max_uses: edge, ..record() });
            assert_survives(Record { uses: edge, ..record() });
        }
        for edge in array![0, 1, MAX_TIME] {
            assert_survives(Record { starts_at: edge, ..record() });
            assert_survives(Record { expires_at: edge, ..record() });
        }
        for status in array![
            ConsentStatus::None, ConsentStatus::Given, ConsentStatus::Withdrawn,
            ConsentStatus::Revoked,
        ] {
            assert_survives(Record { status, ..record() });
            assert_survives(Record { status, rewarded: false, ..record() });
        }
        assert_survives(
            Record {
                starts_at: MAX_TIME,
                expires_at: MAX_TIME,
                categories: U32_MAX,
                version: U32_MAX,
                epoch: U32_MAX,
                max_uses: U32_MAX,
                uses: U32_MAX,
                status: ConsentStatus::Revoked,
                rewarded: true,
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

    #[test]
    fn patient_states_survive_packing() {
        for epoch in array![0, 1, U32_MAX] {
            for nonce in array![0, 1, 0xFFFFFFFFFFFFFFFF] {
                for emergency_opt_out in array![false, true] {
                    let state = PatientState { epoch, nonce, emergency_opt_out };
                    assert!(PatientStatePacking::pack(state) != 0);
                    assert!(PatientStatePacking::unpack(PatientStatePacking::pack(state)) == state);
                }
            }
        }
    }

    #[test]
    fn delegations_survive_packing() {
        for powers in array![0, 1, 7, 255] {
            for expires_at in array![0, 1, MAX_TIME] {
                let delegation = Delegation { powers, expires_at };
                assert!(DelegationPacking::pack(delegation) != 0);
                assert!(
                    DelegationPacking::unpack(DelegationPacking::pack(delegation)) == delegation,
                );
            }
        }
    }

    #[test]
    #[should_panic(expected: 'PACK/RANGE')]
    fn delegation_out_of_range_panics() {
        DelegationPacking::pack(Delegation { powers: 1, expires_at: MAX_TIME + 1 });
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
    fn uses_run_out() {
        assert!(!is_exhausted(0, 1));
        assert!(is_exhausted(1, 1));
        assert!(is_exhausted(U32_MAX, U32_MAX));
        assert!(!is_exhausted(U32_MAX - 1, U32_MAX));
        assert!(!is_exhausted(U32_MAX - 1, 0));
        assert!(is_exhausted(U32_MAX, 0));
    }
}

//! What patients allowed: one record per (patient, grantee, purpose, study), given, renewed,
//! refused and revoked by the patient or a delegate.

pub mod cells;
#[cfg(test)]
mod tests;
use medsync_interfaces::consent_registry::{Errors, PatientState};

/// The part of an account (SNIP-6) that answers whether a signature is its own.
#[starknet::interface]
pub trait IAccount<TState> {
    fn is_valid_signature(self: @TState, hash: felt252, signature: Array<felt252>) -> felt252;
}

/// The version that giving a consent makes of `version`. Keeps the last one back, so that a consent
/// can always be revoked.
pub fn next_version(version: u32) -> u32 {
    assert(version < 0xFFFFFFFE, Errors::VERSION_EXHAUSTED);
    version + 1
}

/// One more, up to the last value: what closes something must never fail.
pub fn raised(value: u32) -> u32 {
    if value == 0xFFFFFFFF {
        value
    } else {
        value + 1
    }
}

/// The patient's next generation, in which counting begins again.
pub fn next_generation(state: PatientState) -> PatientState {
    PatientState { generation: raised(state.generation), counter: 1, ..state }
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

#[starknet::component]
pub mod ConsentRegistryComponent {
    use core::num::traits::Zero;
    use medsync_interfaces::campaign::CampaignTerms;
    use medsync_interfaces::chain::{CONSENTS_TAG, Head, Kind};
    use medsync_interfaces::consent_registry::{
        AllConsentsRevoked, Consent, ConsentAdded, ConsentRefused, ConsentRequested, ConsentRevoked,
        ConsentStatus, ConsentTerms, DelegateSet, DelegatesDismissed, Delegation, EmergencyChoice,
        EmergencyChoiceSet, EmergencyHospitalSet, Errors, IConsentRegistry, POWER_GIVE,
        POWER_REFUSE, POWER_REVOKE, PatientState, PurposeAllowed, PurposeRefused,
        SignaturesCancelled, Verdict,
    };
    use medsync_interfaces::entity_registry::{Entity, IEntityRegistry};
    use medsync_interfaces::reward_budgets::{IRewardBudgets, PaidUses};
    use medsync_interfaces::reward_pool::{IRewardPoolDispatcher, IRewardPoolDispatcherTrait};
    use medsync_interfaces::vocabulary::{BREAK_THE_GLASS, Decision, Reason, Role};
    use starknet::storage::{
        Map, StorageMapReadAccess, StorageMapWriteAccess, StoragePathEntry,
        StoragePointerReadAccess, StoragePointerWriteAccess,
    };
    use starknet::{ContractAddress, get_block_timestamp};
    use crate::campaign::CampaignTrait;
    use crate::chain::{HeadPacking, HeadTrait, Link, sealed};
    use crate::context::{Context, context};
    use crate::entity_registry::EntityRegistryComponent;
    use crate::entity_registry::EntityRegistryComponent::InternalTrait as EntitiesInternal;
    use crate::hash::SpongeTrait;
    use crate::keys::{consent_key, delegation_key, paid_key};
    use crate::packing::{MAX_TIME, bit};
    use crate::reward_budgets::RewardBudgetsComponent;
    use crate::reward_budgets::RewardBudgetsComponent::{InternalTrait as BudgetsInternal, Spending};
    use crate::reward_budgets::cells::PaidUsesPacking;
    use crate::snip12::{Signing, consent_hash, revocation_hash};
    use crate::vocabulary::{
        are_categories, choice_code, is_purpose, is_subset, purpose_bit, purposes,
    };
    use super::cells::{DelegationPacking, PatientStatePacking, Record, RecordPacking};
    use super::{
        IAccountDispatcher, IAccountDispatcherTrait, is_exhausted, next_generation, next_version,
        raised,
    };

    #[storage]
    pub struct Storage {
        /// By Poseidon of patient, grantee, purpose and study.
        ConsentRegistry_records: Map<felt252, Record>,
        ConsentRegistry_patients: Map<ContractAddress, PatientState>,
        /// By Poseidon of patient and delegate.
        ConsentRegistry_delegations: Map<felt252, Delegation>,
        ConsentRegistry_heads: Map<ContractAddress, Head>,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        ConsentAdded: ConsentAdded,
        ConsentRevoked: ConsentRevoked,
        AllConsentsRevoked: AllConsentsRevoked,
        ConsentRequested: ConsentRequested,
        ConsentRefused: ConsentRefused,
        PurposeRefused: PurposeRefused,
        PurposeAllowed: PurposeAllowed,
        DelegateSet: DelegateSet,
        DelegatesDismissed: DelegatesDismissed,
        EmergencyChoiceSet: EmergencyChoiceSet,
        EmergencyHospitalSet: EmergencyHospitalSet,
        SignaturesCancelled: SignaturesCancelled,
    }

    /// Whose data, who asks, and for what.
    #[derive(Copy, Drop)]
    pub struct Query {
        pub patient: ContractAddress,
        pub grantee: ContractAddress,
        pub purpose: felt252,
        pub study: felt252,
        /// Id of the campaign that is to pay, or zero.
        pub campaign: felt252,
    }

    #[generate_trait]
    impl QueryImpl of QueryTrait {
        fn consent_key(self: @Query) -> felt252 {
            consent_key(
                patient: *self.patient,
                grantee: *self.grantee,
                purpose: *self.purpose,
                study: *self.study,
            )
        }
    }

    /// Stands for the paid uses of a consent without reward.
    const NOTHING_PAID: PaidUses = PaidUses { version: 0, paid: 0, base: 0, settled: 0 };

    /// Who gives a consent, and by which nonce (zero for a direct act).
    #[derive(Copy, Drop)]
    struct Giver {
        by: ContractAddress,
        nonce: u64,
    }

    #[embeddable_as(ConsentRegistryImpl)]
    impl ConsentRegistry<
        TContractState,
        +HasComponent<TContractState>,
        impl Entities: EntityRegistryComponent::HasComponent<TContractState>,
        impl Budgets: RewardBudgetsComponent::HasComponent<TContractState>,
        +Drop<TContractState>,
    > of IConsentRegistry<ComponentState<TContractState>> {
        fn add_consent(
            ref self: ComponentState<TContractState>, grantee: ContractAddress, terms: ConsentTerms,
        ) -> u32 {
            let context = context();
            let patient = context.caller;
            let state = self.ConsentRegistry_patients.read(patient);
            let giver = Giver { by: patient, nonce: 0 };
            let (version, is_new) = self
                .give(context, :patient, :grantee, :giver, :state, terms: @terms);
            assert_accepts(@terms, is_new);
            version
        }

        fn add_consent_for(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            terms: ConsentTerms,
        ) -> u32 {
            let context = context();
            let state = self.assert_delegate(context, patient, POWER_GIVE);
            let giver = Giver { by: context.caller, nonce: 0 };
            let (version, is_new) = self
                .give(context, :patient, :grantee, :giver, :state, terms: @terms);
            assert_accepts(@terms, is_new);
            version
        }

        fn add_consent_by_sig(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            terms: ConsentTerms,
            generation: u32,
            counter: u32,
            deadline: u64,
            signature: Array<felt252>,
        ) -> u32 {
            let context = context();
            assert(context.now <= deadline, Errors::SIGNATURE_EXPIRED);
            let cell = self.ConsentRegistry_patients.entry(patient);
            let state = cell.read();
            let fits = generation == state.generation && counter == state.counter;
            // The last counter of a generation is kept back: it has no next.
            assert(fits && counter != 0xFFFFFFFF, Errors::BAD_NONCE);
            cell.write(PatientState { counter: counter + 1, ..state });
            let giver = Giver { by: patient, nonce: nonce_of(generation, counter) };
            let (version, is_new) = self
                .give(context, :patient, :grantee, :giver, :state, terms: @terms);
            assert_accepts(@terms, is_new);
            let signing = signing(context, :patient, :generation, :deadline);
            let hash = consent_hash(@signing, :grantee, terms: @terms, :version, :counter);
            assert_signed(patient, hash, signature);
            version
        }

        fn revoke_consent(
            ref self: ComponentState<TContractState>,
            grantee: ContractAddress,
            purpose: felt252,
            study: felt252,
        ) {
            assert_target(grantee, purpose);
            let context = context();
            let patient = context.caller;
            let key = consent_key(:patient, :grantee, :purpose, :study);
            let record = self.ConsentRegistry_records.read(key);
            assert(record.status != ConsentStatus::None, Errors::NOT_FOUND);
            let generation = self.ConsentRegistry_patients.read(patient).generation;
            let record = withdrawn(record, generation);
            self.ConsentRegistry_records.write(key, record);
            self
                .log_revoked(
                    context, :patient, :grantee, :purpose, :study, by: patient, nonce: 0, :record,
                );
        }

        fn revoke_consent_for(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
            study: felt252,
        ) {
            let context = context();
            let state = self.assert_delegate(context, patient, POWER_REVOKE);
            assert_target(grantee, purpose);
            let key = consent_key(:patient, :grantee, :purpose, :study);
            let record = self.ConsentRegistry_records.read(key);
            assert(record.status != ConsentStatus::None, Errors::NOT_FOUND);
            // A delegate adds nothing to what says no already.
            if !is_live(@record, state.floor, context.now) {
                return;
            }
            let record = Record {
                version: raised(record.version), status: ConsentStatus::Revoked, ..record,
            };
            self.ConsentRegistry_records.write(key, record);
            self
                .log_revoked(
                    context,
                    :patient,
                    :grantee,
                    :purpose,
                    :study,
                    by: context.caller,
                    nonce: 0,
                    :record,
                );
        }

        fn revoke_consent_by_sig(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
            study: felt252,
            generation: u32,
            deadline: u64,
            signature: Array<felt252>,
        ) {
            let context = context();
            assert_target(grantee, purpose);
            assert(context.now <= deadline, Errors::SIGNATURE_EXPIRED);
            let state = self.ConsentRegistry_patients.read(patient);
            let key = consent_key(:patient, :grantee, :purpose, :study);
            let record = self.ConsentRegistry_records.read(key);
            // What only delegates decided on, the patient's word reaches whenever they did. It
            // takes their mark away for ever, so it works once there, too.
            let reaches = record.by_delegate || record.generation <= generation;
            // Generations start at 1: an empty record has none, and a message needs one.
            let is_one = generation != 0 && generation <= state.generation;
            // Whatever was decided on in the last generation is no consent: nothing to withdraw.
            let may_rise = record.generation != 0xFFFFFFFF;
            assert(reaches && is_one && may_rise, Errors::BAD_GENERATION);
            let state = next_generation(state);
            self.ConsentRegistry_patients.write(patient, state);
            let record = withdrawn(record, state.generation);
            self.ConsentRegistry_records.write(key, record);
            let nonce = nonce_of(generation, 0);
            self
                .log_revoked(
                    context, :patient, :grantee, :purpose, :study, by: patient, :nonce, :record,
                );
            let signing = signing(context, :patient, :generation, :deadline);
            let hash = revocation_hash(@signing, :grantee, :purpose, :study);
            assert_signed(patient, hash, signature);
        }

        fn revoke_all(ref self: ComponentState<TContractState>, dismiss_delegates: bool) {
            let context = context();
            self.raise_floor(context, patient: context.caller, :dismiss_delegates);
        }

        fn revoke_all_for(ref self: ComponentState<TContractState>, patient: ContractAddress) {
            let context = context();
            self.assert_delegate(context, patient, POWER_REVOKE);
            self.raise_floor(context, :patient, dismiss_delegates: false);
        }

        fn request_consent(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            terms: ConsentTerms,
            open_until: u64,
        ) {
            let context = context();
            let grantee = context.caller;
            get_dep_component!(@self, Entities).assert_active(grantee);
            assert_terms(context.now, :patient, :grantee, terms: @terms);
            assert(context.now < open_until, Errors::REQUEST_OVER);
            assert(open_until <= MAX_TIME, Errors::TIME_RANGE);
            self
                .emit(
                    ConsentRequested {
                        patient,
                        grantee,
                        purpose: terms.purpose,
                        open_until,
                        study: terms.study,
                        categories: terms.categories,
                        starts_at: terms.starts_at,
                        expires_at: terms.expires_at,
                        max_uses: terms.max_uses,
                        scoped: terms.scoped,
                        reward: terms.reward,
                        terms_commitment: terms.terms_commitment,
                    },
                );
        }

        fn refuse_consent(
            ref self: ComponentState<TContractState>,
            grantee: ContractAddress,
            purpose: felt252,
            study: felt252,
        ) {
            assert_target(grantee, purpose);
            let context = context();
            let patient = context.caller;
            let key = consent_key(:patient, :grantee, :purpose, :study);
            let record = self.ConsentRegistry_records.read(key);
            let generation = self.ConsentRegistry_patients.read(patient).generation;
            let record = Record { generation, by_delegate: false, ..refused(record) };
            self.ConsentRegistry_records.write(key, record);
            self.log_refused(context, :patient, :grantee, :purpose, :study, :record);
        }

        fn refuse_consent_for(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
            study: felt252,
        ) {
            let context = context();
            let state = self.assert_delegate(context, patient, POWER_REFUSE);
            assert_target(grantee, purpose);
            let key = consent_key(:patient, :grantee, :purpose, :study);
            let record = self.ConsentRegistry_records.read(key);
            if is_live(@record, state.floor, context.now) {
                self.assert_delegate(context, patient, POWER_REVOKE);
            }
            let is_empty = record.status == ConsentStatus::None;
            if !is_empty && record.status != ConsentStatus::Given {
                return;
            }
            let by_delegate = is_empty || record.by_delegate;
            let generation = if is_empty {
                state.floor
            } else {
                record.generation
            };
            let record = Record { generation, by_delegate, ..refused(record) };
            self.ConsentRegistry_records.write(key, record);
            self.log_refused(context, :patient, :grantee, :purpose, :study, :record);
        }

        fn refuse_purpose(ref self: ComponentState<TContractState>, purpose: felt252) {
            let bit = purpose_bit(purpose);
            assert(bit != 0, Errors::BAD_PURPOSE);
            let context = context();
            let patient = context.caller;
            let cell = self.ConsentRegistry_patients.entry(patient);
            let state = cell.read();
            cell.write(PatientState { refused_purposes: state.refused_purposes | bit, ..state });
            let Link { seq, digest } = self.close(context, patient, Kind::PURPOSE_REFUSED);
            self.seal(patient, seq, digest.hash_with(purpose));
            self.emit(PurposeRefused { patient, purpose, seq, at: context.now });
        }

        fn allow_purpose(ref self: ComponentState<TContractState>, purpose: felt252) {
            let bit = purpose_bit(purpose);
            assert(bit != 0, Errors::BAD_PURPOSE);
            let context = context();
            let patient = context.caller;
            let cell = self.ConsentRegistry_patients.entry(patient);
            let state = cell.read();
            cell.write(PatientState { refused_purposes: state.refused_purposes & ~bit, ..state });
            let Link { seq, digest } = self.open(context, patient, Kind::PURPOSE_ALLOWED);
            self.seal(patient, seq, digest.hash_with(purpose));
            self.emit(PurposeAllowed { patient, purpose, seq, at: context.now });
        }

        fn set_delegate(
            ref self: ComponentState<TContractState>,
            delegate: ContractAddress,
            powers: u8,
            expires_at: u64,
        ) {
            let context = context();
            let patient = context.caller;
            assert(delegate.is_non_zero(), Errors::ZERO_ADDRESS);
            assert(delegate != patient, Errors::SELF_DELEGATE);
            assert(powers <= POWER_GIVE + POWER_REVOKE + POWER_REFUSE, Errors::BAD_POWERS);
            assert(expires_at <= MAX_TIME, Errors::TIME_RANGE);
            let epoch = self.ConsentRegistry_patients.read(patient).delegate_epoch;
            let Link {
                seq, digest,
            } =
                if powers == 0 {
                    self.close(context, patient, Kind::DELEGATE_SET)
                } else {
                    assert(epoch != 0xFFFFFFFF, Errors::EPOCH_EXHAUSTED);
                    self.open(context, patient, Kind::DELEGATE_SET)
                };
            self
                .ConsentRegistry_delegations
                .write(delegation_key(patient, delegate), Delegation { powers, expires_at, epoch });
            let digest = digest.pair(delegate.into(), powers.into());
            self.seal(patient, seq, digest.pair(expires_at.into(), epoch.into()).hash());
            let at = context.now;
            self.emit(DelegateSet { patient, delegate, seq, at, powers, expires_at, epoch });
        }

        fn dismiss_delegates(ref self: ComponentState<TContractState>) {
            let context = context();
            let patient = context.caller;
            let cell = self.ConsentRegistry_patients.entry(patient);
            let state = cell.read();
            let epoch = raised(state.delegate_epoch);
            cell.write(PatientState { delegate_epoch: epoch, ..state });
            let Link { seq, digest } = self.close(context, patient, Kind::DELEGATES_DISMISSED);
            self.seal(patient, seq, digest.hash_with(epoch.into()));
            self.emit(DelegatesDismissed { patient, seq, at: context.now, epoch });
        }

        fn set_emergency_choice(ref self: ComponentState<TContractState>, choice: EmergencyChoice) {
            let context = context();
            let patient = context.caller;
            let cell = self.ConsentRegistry_patients.entry(patient);
            cell.write(PatientState { emergency: choice, ..cell.read() });
            let Link {
                seq, digest,
            } =
                if choice == EmergencyChoice::EveryHospital {
                    self.open(context, patient, Kind::EMERGENCY_CHOICE_SET)
                } else {
                    self.close(context, patient, Kind::EMERGENCY_CHOICE_SET)
                };
            self.seal(patient, seq, digest.hash_with(choice_code(choice)));
            self.emit(EmergencyChoiceSet { patient, seq, at: context.now, choice });
        }

        fn allow_emergency(ref self: ComponentState<TContractState>, hospital: ContractAddress) {
            let entity = get_dep_component!(@self, Entities).assert_registered(hospital);
            assert(entity.role == Role::Hospital, Errors::NOT_HOSPITAL);
            let context = context();
            let link = self.open(context, context.caller, Kind::EMERGENCY_HOSPITAL_SET);
            self.name_hospital(context, :hospital, allowed: true, :link);
        }

        fn forbid_emergency(ref self: ComponentState<TContractState>, hospital: ContractAddress) {
            assert(hospital.is_non_zero(), Errors::ZERO_ADDRESS);
            let context = context();
            let link = self.close(context, context.caller, Kind::EMERGENCY_HOSPITAL_SET);
            self.name_hospital(context, :hospital, allowed: false, :link);
        }

        fn cancel_signatures(ref self: ComponentState<TContractState>) {
            let context = context();
            let patient = context.caller;
            let cell = self.ConsentRegistry_patients.entry(patient);
            let state = next_generation(cell.read());
            cell.write(state);
            let generation = state.generation;
            let Link { seq, digest } = self.close(context, patient, Kind::SIGNATURES_CANCELLED);
            self.seal(patient, seq, digest.hash_with(generation.into()));
            self.emit(SignaturesCancelled { patient, seq, at: context.now, generation });
        }

        fn assert_generation(
            self: @ComponentState<TContractState>, patient: ContractAddress, generation: u32,
        ) {
            let state = self.ConsentRegistry_patients.read(patient);
            assert(generation == state.generation, Errors::BAD_GENERATION);
        }

        fn verify_consent(
            self: @ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
            study: felt252,
            categories: u32,
            campaign: felt252,
        ) -> Verdict {
            let entity = get_dep_component!(self, Entities).entity(grantee);
            let query = Query { patient, grantee, purpose, study, campaign };
            self.verdict(@query, @entity, categories, get_block_timestamp())
        }

        fn verify_consents(
            self: @ComponentState<TContractState>,
            patients: Array<ContractAddress>,
            grantee: ContractAddress,
            purpose: felt252,
            study: felt252,
            categories: u32,
            campaign: felt252,
        ) -> Array<Verdict> {
            let entity = get_dep_component!(self, Entities).entity(grantee);
            let now = get_block_timestamp();
            let mut verdicts = array![];
            for patient in patients {
                let query = Query { patient, grantee, purpose, study, campaign };
                verdicts.append(self.verdict(@query, @entity, categories, now));
            }
            verdicts
        }

        fn consent(
            self: @ComponentState<TContractState>,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
            study: felt252,
            campaign: felt252,
        ) -> Consent {
            let entity = get_dep_component!(self, Entities).entity(grantee);
            let query = Query { patient, grantee, purpose, study, campaign };
            let state = self.ConsentRegistry_patients.read(patient);
            let (record, paid) = self.look_up(@query);
            let reason = judge(@query, @state, @record, @paid, Option::None, get_block_timestamp());
            let uses = if record.rewarded && paid.version == record.version {
                paid.paid - paid.base
            } else {
                record.uses
            };
            Consent {
                state: standing(@entity).unwrap_or(reason),
                status: record.status,
                starts_at: record.starts_at,
                expires_at: record.expires_at,
                categories: record.categories,
                version: record.version,
                generation: record.generation,
                max_uses: record.max_uses,
                uses,
                rewarded: record.rewarded,
                scoped: record.scoped,
                by_delegate: record.by_delegate,
            }
        }

        fn patient_state(
            self: @ComponentState<TContractState>, patient: ContractAddress,
        ) -> PatientState {
            self.ConsentRegistry_patients.read(patient)
        }

        fn refused_purposes(
            self: @ComponentState<TContractState>, patient: ContractAddress,
        ) -> Array<felt252> {
            let refused = self.ConsentRegistry_patients.read(patient).refused_purposes;
            let mut codes = array![];
            for code in purposes() {
                if refused & purpose_bit(*code) != 0 {
                    codes.append(*code);
                }
            }
            codes
        }

        fn emergency_naming(
            self: @ComponentState<TContractState>,
            patient: ContractAddress,
            hospital: ContractAddress,
        ) -> ConsentStatus {
            self.ConsentRegistry_records.read(emergency_record_key(patient, hospital)).status
        }

        fn delegation(
            self: @ComponentState<TContractState>,
            patient: ContractAddress,
            delegate: ContractAddress,
        ) -> Delegation {
            self.ConsentRegistry_delegations.read(delegation_key(patient, delegate))
        }

        fn history_head(self: @ComponentState<TContractState>, patient: ContractAddress) -> Head {
            self.ConsentRegistry_heads.read(patient)
        }
    }

    #[generate_trait]
    pub impl InternalImpl<
        TContractState,
        +HasComponent<TContractState>,
        impl Entities: EntityRegistryComponent::HasComponent<TContractState>,
        impl Budgets: RewardBudgetsComponent::HasComponent<TContractState>,
        +Drop<TContractState>,
    > of InternalTrait<TContractState> {
        /// The record of a query's consent, and what the query's campaign owes for it.
        fn look_up(self: @ComponentState<TContractState>, query: @Query) -> (Record, PaidUses) {
            let key = query.consent_key();
            let record = self.ConsentRegistry_records.read(key);
            let paid = if record.rewarded && *query.campaign != 0 {
                get_dep_component!(self, Budgets).paid_at(paid_key(key, *query.campaign))
            } else {
                NOTHING_PAID
            };
            (record, paid)
        }

        /// What patient and consent say at second `now` about a query of a registered entity that
        /// is not suspended; if they permit and the accessor's budget can pay, one use is taken.
        /// Nobody is called. Also the record that was consulted.
        fn use_once(
            ref self: ComponentState<TContractState>,
            query: @Query,
            categories: u32,
            now: u64,
            ref spending: Spending,
        ) -> (Reason, Record) {
            let state = self.ConsentRegistry_patients.read(*query.patient);
            let key = query.consent_key();
            let cell = self.ConsentRegistry_records.entry(key);
            let record = cell.read();
            let categories = Option::Some(categories);
            if !record.rewarded || *query.campaign == 0 {
                let reason = judge(query, @state, @record, @NOTHING_PAID, categories, now);
                if reason == Reason::Granted {
                    cell.write(Record { uses: record.uses + 1, ..record });
                }
                return (reason, record);
            }
            let mut budgets = get_dep_component_mut!(ref self, Budgets);
            let paid_cell = budgets.RewardBudgets_paid.entry(paid_key(key, *query.campaign));
            let paid = paid_cell.read();
            let mut reason = judge(query, @state, @record, @paid, categories, now);
            if reason == Reason::Granted {
                reason = budgets.reserve(ref spending, now);
                if reason == Reason::Granted {
                    paid_cell.write(PaidUses { paid: paid.paid + 1, ..paid });
                }
            }
            (reason, record)
        }

        /// The answer of `verify_consent`.
        fn verdict(
            self: @ComponentState<TContractState>,
            query: @Query,
            entity: @Entity,
            categories: u32,
            now: u64,
        ) -> Verdict {
            if let Option::Some(reason) = standing(entity) {
                return Verdict { decision: Decision::Deny, reason, version: 0, scoped: false };
            }
            let state = self.ConsentRegistry_patients.read(*query.patient);
            let (record, paid) = self.look_up(query);
            let reason = judge(query, @state, @record, @paid, Option::Some(categories), now);
            let Record { version, scoped, .. } = record;
            Verdict { decision: decision_of(reason), reason, version, scoped }
        }

        /// Whether the patient's choice lets a hospital break the glass, and the version of what
        /// the patient said about this hospital; zero if that does not matter.
        fn lets_in(
            self: @ComponentState<TContractState>,
            patient: ContractAddress,
            hospital: ContractAddress,
        ) -> (bool, u32) {
            let choice = self.ConsentRegistry_patients.read(patient).emergency;
            if choice == EmergencyChoice::Nobody {
                return (false, 0);
            }
            let Record {
                status, version, ..,
            } = self.ConsentRegistry_records.read(emergency_record_key(patient, hospital));
            let is_let_in = if choice == EmergencyChoice::NamedHospitals {
                status == ConsentStatus::Given
            } else {
                status != ConsentStatus::Refused
            };
            (is_let_in, version)
        }

        /// The record of a consent by its key.
        fn record_at(self: @ComponentState<TContractState>, key: felt252) -> Record {
            self.ConsentRegistry_records.read(key)
        }

        /// Gives a consent. The record's new version, and whether it newly names its campaign.
        fn give(
            ref self: ComponentState<TContractState>,
            context: Context,
            patient: ContractAddress,
            grantee: ContractAddress,
            giver: Giver,
            state: PatientState,
            terms: @ConsentTerms,
        ) -> (u32, bool) {
            assert_terms(context.now, :patient, :grantee, :terms);
            get_dep_component!(@self, Entities).assert_registered(grantee);
            let (purpose, study) = (*terms.purpose, *terms.study);
            let is_refused = state.refused_purposes != 0
                && state.refused_purposes & purpose_bit(purpose) != 0;
            assert(!is_refused, Errors::PURPOSE_REFUSED);
            assert(state.generation != 0xFFFFFFFF, Errors::GENERATION_EXHAUSTED);
            let key = consent_key(:patient, :grantee, :purpose, :study);
            let before = self.ConsentRegistry_records.read(key);
            let version = next_version(before.version);
            let by_patient = giver.by == patient;
            let is_empty = before.status == ConsentStatus::None;
            let was_live = is_live(@before, state.floor, context.now);
            if !by_patient {
                let is_over = before.status == ConsentStatus::Given && !was_live;
                let is_above = before.generation >= state.floor;
                let may_give = is_empty || (is_above && (before.by_delegate || is_over));
                assert(may_give, Errors::PATIENT_DECIDED);
            }
            // A delegate's giving keeps the generation: a signed withdrawal still reaches it.
            let generation = if by_patient {
                state.generation
            } else if is_empty {
                state.floor
            } else {
                before.generation
            };
            let campaign = terms.reward.id_or_zero();
            let record = Record {
                starts_at: *terms.starts_at,
                expires_at: *terms.expires_at,
                categories: *terms.categories,
                version,
                generation,
                max_uses: *terms.max_uses,
                uses: 0,
                status: ConsentStatus::Given,
                rewarded: campaign != 0,
                by_delegate: !by_patient && (is_empty || before.by_delegate),
                scoped: *terms.scoped,
            };
            self.ConsentRegistry_records.write(key, record);
            let is_new = match terms.reward {
                Option::Some(reward) => self
                    .name_campaign(
                        context.now,
                        reward,
                        :campaign,
                        :grantee,
                        consent: key,
                        standing: if was_live && before.rewarded {
                            before.version
                        } else {
                            0xFFFFFFFF
                        },
                        :version,
                    ),
                Option::None => false,
            };
            let Link { seq, digest } = self.open(context, patient, Kind::CONSENT_ADDED);
            let hash = digest
                .pair(grantee.into(), purpose)
                .pair(study, giver.by.into())
                .pair(giver.nonce.into(), version.into())
                .pair(generation.into(), record.categories.into())
                .pair(record.starts_at.into(), record.expires_at.into())
                .pair(record.max_uses.into(), bit(record.scoped))
                .pair(campaign, *terms.terms_commitment)
                .hash();
            self.seal(patient, seq, hash);
            self
                .emit(
                    ConsentAdded {
                        patient,
                        grantee,
                        purpose,
                        seq,
                        at: context.now,
                        study,
                        by: giver.by,
                        nonce: giver.nonce,
                        version,
                        generation,
                        categories: record.categories,
                        starts_at: record.starts_at,
                        expires_at: record.expires_at,
                        max_uses: record.max_uses,
                        scoped: record.scoped,
                        campaign,
                        terms_commitment: *terms.terms_commitment,
                    },
                );
            (version, is_new)
        }

        /// Has a record's new version name a campaign. `standing` is the version that is live and
        /// names one, or the last version, which nothing names. Whether it is not this one; then
        /// the campaign must be able to pay, otherwise whatever became of it does not matter: a
        /// live consent can always be narrowed.
        fn name_campaign(
            ref self: ComponentState<TContractState>,
            now: u64,
            reward: @CampaignTerms,
            campaign: felt252,
            grantee: ContractAddress,
            consent: felt252,
            standing: u32,
            version: u32,
        ) -> bool {
            let mut budgets = get_dep_component_mut!(ref self, Budgets);
            let key = paid_key(consent, campaign);
            let paid = budgets.paid_at(key);
            let is_new = paid.version != standing;
            if is_new {
                assert(budgets.is_pool(*reward.pool), Errors::NOT_A_POOL);
                assert(now < *reward.expires_at, Errors::CAMPAIGN_EXPIRED);
                assert(budgets.left(campaign, grantee) != 0, Errors::CAMPAIGN_UNFUNDED);
            }
            budgets.name_campaign(key, paid, version);
            is_new
        }

        fn log_revoked(
            ref self: ComponentState<TContractState>,
            context: Context,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
            study: felt252,
            by: ContractAddress,
            nonce: u64,
            record: Record,
        ) {
            let Record { version, generation, .. } = record;
            let Link { seq, digest } = self.close_by(context, patient, by, Kind::CONSENT_REVOKED);
            let hash = digest
                .pair(grantee.into(), purpose)
                .pair(study, by.into())
                .pair(nonce.into(), version.into())
                .hash_with(generation.into());
            self.seal(patient, seq, hash);
            let at = context.now;
            self
                .emit(
                    ConsentRevoked {
                        patient, grantee, purpose, seq, at, study, by, nonce, version, generation,
                    },
                );
        }

        fn log_refused(
            ref self: ComponentState<TContractState>,
            context: Context,
            patient: ContractAddress,
            grantee: ContractAddress,
            purpose: felt252,
            study: felt252,
            record: Record,
        ) {
            let by = context.caller;
            let Record { version, generation, .. } = record;
            let Link { seq, digest } = self.close_by(context, patient, by, Kind::CONSENT_REFUSED);
            let hash = digest
                .pair(grantee.into(), purpose)
                .pair(study, by.into())
                .pair(version.into(), generation.into())
                .hash();
            self.seal(patient, seq, hash);
            let at = context.now;
            self
                .emit(
                    ConsentRefused {
                        patient, grantee, purpose, seq, at, study, by, version, generation,
                    },
                );
        }

        fn raise_floor(
            ref self: ComponentState<TContractState>,
            context: Context,
            patient: ContractAddress,
            dismiss_delegates: bool,
        ) {
            let by = context.caller;
            let cell = self.ConsentRegistry_patients.entry(patient);
            let state = next_generation(cell.read());
            let generation = state.generation;
            let delegate_epoch = if dismiss_delegates {
                raised(state.delegate_epoch)
            } else {
                state.delegate_epoch
            };
            cell.write(PatientState { floor: generation, delegate_epoch, ..state });
            let Link {
                seq, digest,
            } = self.close_by(context, patient, by, Kind::ALL_CONSENTS_REVOKED);
            let hash = digest.pair(by.into(), generation.into()).hash_with(bit(dismiss_delegates));
            self.seal(patient, seq, hash);
            self
                .emit(
                    AllConsentsRevoked {
                        patient,
                        seq,
                        at: context.now,
                        by,
                        generation,
                        delegates_dismissed: dismiss_delegates,
                    },
                );
        }

        fn name_hospital(
            ref self: ComponentState<TContractState>,
            context: Context,
            hospital: ContractAddress,
            allowed: bool,
            link: Link,
        ) {
            let patient = context.caller;
            let generation = self.ConsentRegistry_patients.read(patient).generation;
            let cell = self.ConsentRegistry_records.entry(emergency_record_key(patient, hospital));
            let before = cell.read();
            let version = raised(before.version);
            let status = if allowed {
                ConsentStatus::Given
            } else {
                ConsentStatus::Refused
            };
            cell.write(Record { version, generation, status, ..before });
            let hash = link
                .digest
                .pair(hospital.into(), bit(allowed))
                .pair(version.into(), generation.into())
                .hash();
            self.seal(patient, link.seq, hash);
            self
                .emit(
                    EmergencyHospitalSet {
                        patient,
                        hospital,
                        seq: link.seq,
                        at: context.now,
                        allowed,
                        version,
                        generation,
                    },
                );
        }

        /// The caller must hold `power` for the patient now.
        fn assert_delegate(
            self: @ComponentState<TContractState>,
            context: Context,
            patient: ContractAddress,
            power: u8,
        ) -> PatientState {
            let state = self.ConsentRegistry_patients.read(patient);
            let delegation = self
                .ConsentRegistry_delegations
                .read(delegation_key(patient, context.caller));
            let is_live = context.now < delegation.expires_at
                && delegation.epoch == state.delegate_epoch;
            assert(is_live && delegation.powers & power != 0, Errors::NOT_DELEGATE);
            state
        }

        /// Begins an entry that opens something, or is a delegate's.
        fn open(
            self: @ComponentState<TContractState>,
            context: Context,
            patient: ContractAddress,
            kind: felt252,
        ) -> Link {
            let head = self.ConsentRegistry_heads.read(patient);
            assert(head.is_open(), Errors::HISTORY_FULL);
            head.next_link(CONSENTS_TAG, context, subject: patient, :kind)
        }

        /// Begins an entry by which the patient closes something: room is kept for it.
        fn close(
            self: @ComponentState<TContractState>,
            context: Context,
            patient: ContractAddress,
            kind: felt252,
        ) -> Link {
            let head = self.ConsentRegistry_heads.read(patient);
            assert(!head.is_full(), Errors::HISTORY_FULL);
            head.next_link(CONSENTS_TAG, context, subject: patient, :kind)
        }

        /// Begins an entry that closes something, whoever made it.
        fn close_by(
            self: @ComponentState<TContractState>,
            context: Context,
            patient: ContractAddress,
            by: ContractAddress,
            kind: felt252,
        ) -> Link {
            if by == patient {
                self.close(context, patient, kind)
            } else {
                self.open(context, patient, kind)
            }
        }

        fn seal(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            seq: u32,
            hash: felt252,
        ) {
            self.ConsentRegistry_heads.write(patient, sealed(seq, hash));
        }
    }

    /// What patient and consent say at second `now`; without categories, whatever they are. The
    /// order of the checks is the order of `Reason`.
    fn judge(
        query: @Query,
        state: @PatientState,
        record: @Record,
        paid: @PaidUses,
        categories: Option<u32>,
        now: u64,
    ) -> Reason {
        let refused_purposes = *state.refused_purposes;
        if refused_purposes != 0 && refused_purposes & purpose_bit(*query.purpose) != 0 {
            return Reason::PurposeRefused;
        }
        // What a patient said about emergencies is no consent.
        if *query.purpose == BREAK_THE_GLASS {
            return Reason::NeverGiven;
        }
        match *record.status {
            ConsentStatus::None => Reason::NeverGiven,
            ConsentStatus::Refused => Reason::Refused,
            ConsentStatus::Withdrawn => Reason::Withdrawn,
            ConsentStatus::Revoked => Reason::Revoked,
            ConsentStatus::Given => {
                judge_given(record, *paid, *query.campaign, *state.floor, categories, now)
            },
        }
    }

    /// What a consent that was given says.
    fn judge_given(
        record: @Record,
        paid: PaidUses,
        campaign: felt252,
        floor: u32,
        categories: Option<u32>,
        now: u64,
    ) -> Reason {
        if *record.generation < floor {
            return Reason::AllRevoked;
        }
        if now < *record.starts_at {
            return Reason::NotStarted;
        }
        if now >= *record.expires_at {
            return Reason::Expired;
        }
        if let Option::Some(categories) = categories {
            if categories == 0 || !is_subset(categories, *record.categories) {
                return Reason::CategoryNotCovered;
            }
        }
        let is_exhausted = if *record.rewarded {
            if campaign == 0 || paid.version != *record.version {
                return Reason::CampaignMismatch;
            }
            paid.paid == 0xFFFFFFFF || is_exhausted(paid.paid - paid.base, *record.max_uses)
        } else {
            if campaign != 0 {
                return Reason::CampaignMismatch;
            }
            is_exhausted(*record.uses, *record.max_uses)
        };
        if is_exhausted {
            Reason::UsesExhausted
        } else {
            Reason::Granted
        }
    }

    /// The decision that goes with a consent's reason.
    pub fn decision_of(reason: Reason) -> Decision {
        match reason {
            Reason::Granted => Decision::Permit,
            Reason::NeverGiven => Decision::NoConsent,
            _ => Decision::Deny,
        }
    }

    /// Why an entity gets nothing whatever was consented to, if so.
    fn standing(entity: @Entity) -> Option<Reason> {
        if *entity.role == Role::None {
            Option::Some(Reason::EntityUnknown)
        } else if *entity.suspended {
            Option::Some(Reason::EntitySuspended)
        } else {
            Option::None
        }
    }

    /// Whether a consent stands that a delegate may only end with `POWER_REVOKE`, started or not.
    fn is_live(record: @Record, floor: u32, now: u64) -> bool {
        *record.status == ConsentStatus::Given
            && *record.generation >= floor
            && now < *record.expires_at
    }

    /// The record after the patient withdrew it.
    fn withdrawn(record: Record, generation: u32) -> Record {
        let version = raised(record.version);
        let status = ConsentStatus::Withdrawn;
        Record { version, generation, status, by_delegate: false, ..record }
    }

    /// The record after somebody refused.
    fn refused(record: Record) -> Record {
        Record { version: raised(record.version), status: ConsentStatus::Refused, ..record }
    }

    /// Where a patient's word about a hospital and emergencies is kept.
    fn emergency_record_key(patient: ContractAddress, hospital: ContractAddress) -> felt252 {
        consent_key(:patient, grantee: hospital, purpose: BREAK_THE_GLASS, study: 0)
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
            assert(reward.study == terms.study, Errors::CAMPAIGN_STUDY);
            assert(reward.spender.is_zero(), Errors::CAMPAIGN_SPENDER);
        }
    }

    /// What must hold of whom a patient revokes or refuses a consent, and for what: what a patient
    /// said about emergencies is no consent.
    fn assert_target(grantee: ContractAddress, purpose: felt252) {
        assert(grantee.is_non_zero(), Errors::ZERO_ADDRESS);
        assert(is_purpose(purpose), Errors::BAD_PURPOSE);
    }

    /// Asks the pool of a campaign that is newly named whether its funder still lets consents name
    /// it. The pool was deployed by this contract.
    fn assert_accepts(terms: @ConsentTerms, is_new: bool) {
        if !is_new {
            return;
        }
        if let Option::Some(reward) = terms.reward {
            let pool = IRewardPoolDispatcher { contract_address: *reward.pool };
            assert(pool.accepts_consents(reward.id()), Errors::CAMPAIGN_CLOSING);
        }
    }

    fn signing(
        context: Context, patient: ContractAddress, generation: u32, deadline: u64,
    ) -> Signing {
        let Context { chain_id, this, .. } = context;
        Signing { chain_id, contract: this, patient, generation, deadline }
    }

    /// The nonce that an entry names: `generation · 2^32 + counter`.
    fn nonce_of(generation: u32, counter: u32) -> u64 {
        generation.into() * 0x100000000 + counter.into()
    }

    fn assert_signed(patient: ContractAddress, hash: felt252, signature: Array<felt252>) {
        let answer = IAccountDispatcher { contract_address: patient }
            .is_valid_signature(hash, signature);
        assert(answer == starknet::VALIDATED, Errors::BAD_SIGNATURE);
    }
}

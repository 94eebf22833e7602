//! The only door to data: every request is decided, consumed, charged and logged in one step, and a
//! refusal is logged like a permit.

pub mod cells;
#[cfg(test)]
mod tests;

#[starknet::component]
pub mod AccessLogComponent {
    use core::num::traits::Zero;
    use medsync_interfaces::access_log::{
        AccessLogged, AccessReceipt, AccessRequest, DeletionStated, Emergency, EmergencyContested,
        EmergencyJustified, Errors, IAccessLog, JUSTIFY_WITHIN, MAX_BATCH, Subject,
    };
    use medsync_interfaces::chain::{ACCESSES_TAG, Head, Kind};
    use medsync_interfaces::consent_registry::ConsentStatus;
    use medsync_interfaces::entity_registry::{EMERGENCY_DELAY, Entity};
    use medsync_interfaces::vocabulary::{BREAK_THE_GLASS, Decision, Reason, Role};
    use starknet::ContractAddress;
    use starknet::storage::{
        Map, StorageMapReadAccess, StorageMapWriteAccess, StoragePathEntry,
        StoragePointerReadAccess, StoragePointerWriteAccess,
    };
    use crate::chain::{HeadPacking, HeadTrait, Link, sealed};
    use crate::consent_registry::ConsentRegistryComponent;
    use crate::consent_registry::ConsentRegistryComponent::{
        InternalTrait as ConsentsInternal, Query, decision_of,
    };
    use crate::context::{Context, context};
    use crate::entity_registry::EntityRegistryComponent;
    use crate::entity_registry::EntityRegistryComponent::InternalTrait as EntitiesInternal;
    use crate::hash::SpongeTrait;
    use crate::keys::{consent_key, emergency_key};
    use crate::packing::bit;
    use crate::reward_budgets::RewardBudgetsComponent;
    use crate::reward_budgets::RewardBudgetsComponent::{
        InternalTrait as BudgetsInternal, Spending, spending,
    };
    use crate::vocabulary::{are_categories, decision_code, is_purpose, reason_code};
    use super::cells::EmergencyPacking;

    #[storage]
    pub struct Storage {
        AccessLog_heads: Map<ContractAddress, Head>,
        /// By Poseidon of patient, entry and hospital.
        AccessLog_emergencies: Map<felt252, Emergency>,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        AccessLogged: AccessLogged,
        EmergencyJustified: EmergencyJustified,
        EmergencyContested: EmergencyContested,
        DeletionStated: DeletionStated,
    }

    /// What an entry says apart from its place.
    #[derive(Copy, Drop)]
    struct Entry {
        patient: ContractAddress,
        purpose: felt252,
        study: felt252,
        decision: Decision,
        reason: Reason,
        version: u32,
        scoped: bool,
        categories: u32,
        record: felt252,
        campaign: felt252,
        /// Number of the accessor's latest entry in the registry's history.
        registration: u32,
    }

    #[embeddable_as(AccessLogImpl)]
    impl AccessLog<
        TContractState,
        +HasComponent<TContractState>,
        impl Consents: ConsentRegistryComponent::HasComponent<TContractState>,
        impl Entities: EntityRegistryComponent::HasComponent<TContractState>,
        impl Budgets: RewardBudgetsComponent::HasComponent<TContractState>,
        +Drop<TContractState>,
    > of IAccessLog<ComponentState<TContractState>> {
        fn request_access(
            ref self: ComponentState<TContractState>, request: AccessRequest,
        ) -> AccessReceipt {
            let AccessRequest { patient, purpose, study, categories, record, campaign } = request;
            let (context, entity) = self.assert_may_ask(purpose, categories);
            let mut spending = spending(campaign, context.caller);
            let query = Query { patient, grantee: context.caller, purpose, study, campaign };
            let receipt = self.decide(context, entity, @query, categories, record, ref spending);
            get_dep_component_mut!(ref self, Budgets).charge(spending);
            receipt
        }

        fn request_access_batch(
            ref self: ComponentState<TContractState>,
            purpose: felt252,
            study: felt252,
            categories: u32,
            campaign: felt252,
            subjects: Array<Subject>,
        ) -> Array<AccessReceipt> {
            assert(!subjects.is_empty(), Errors::EMPTY_BATCH);
            assert(subjects.len() <= MAX_BATCH, Errors::BATCH_TOO_LARGE);
            let (context, entity) = self.assert_may_ask(purpose, categories);
            let mut spending = spending(campaign, context.caller);
            let mut receipts = array![];
            for Subject { patient, record } in subjects {
                let query = Query { patient, grantee: context.caller, purpose, study, campaign };
                receipts
                    .append(self.decide(context, entity, @query, categories, record, ref spending));
            }
            get_dep_component_mut!(ref self, Budgets).charge(spending);
            receipts
        }

        fn request_emergency_access(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            categories: u32,
            record: felt252,
        ) -> AccessReceipt {
            assert(patient.is_non_zero(), Errors::ZERO_PATIENT);
            assert(are_categories(categories), Errors::BAD_CATEGORIES);
            let context = context();
            let hospital = context.caller;
            let entity = get_dep_component!(@self, Entities).assert_active(hospital);
            let (decision, reason, version) = if entity.role != Role::Hospital {
                (Decision::Deny, Reason::NotHospital, 0)
            } else if context.now < entity.active_since + EMERGENCY_DELAY {
                (Decision::Deny, Reason::HospitalTooNew, 0)
            } else {
                match get_dep_component!(@self, Consents).lets_in(:patient, :hospital) {
                    (false, version) => (Decision::Deny, Reason::EmergencyRefused, version),
                    (true, version) => (Decision::Emergency, Reason::BreakGlass, version),
                }
            };
            let receipt = self
                .append(
                    context,
                    Entry {
                        patient,
                        purpose: BREAK_THE_GLASS,
                        study: 0,
                        decision,
                        reason,
                        version,
                        scoped: false,
                        categories,
                        record,
                        campaign: 0,
                        registration: entity.seq,
                    },
                );
            if decision == Decision::Emergency {
                let key = emergency_key(:patient, seq: receipt.seq, :hospital);
                let emergency = Emergency { at: context.now, justified: false, contested: false };
                self.AccessLog_emergencies.write(key, emergency);
            }
            receipt
        }

        fn justify_emergency(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            emergency: u32,
            statement: felt252,
        ) {
            assert(statement != 0, Errors::ZERO_STATEMENT);
            let context = context();
            let accessor = context.caller;
            let cell = self
                .AccessLog_emergencies
                .entry(emergency_key(:patient, seq: emergency, hospital: accessor));
            let before = cell.read();
            assert(before.at != 0, Errors::NO_EMERGENCY);
            assert(!before.justified, Errors::ALREADY_JUSTIFIED);
            assert(context.now <= before.at + JUSTIFY_WITHIN, Errors::JUSTIFIED_TOO_LATE);
            cell.write(Emergency { justified: true, ..before });
            let head = self.AccessLog_heads.entry(patient);
            let Link {
                seq, digest,
            } = open(head.read(), context, patient, Kind::EMERGENCY_JUSTIFIED);
            let digest = digest.pair(accessor.into(), emergency.into());
            head.write(sealed(seq, digest.hash_with(statement)));
            let at = context.now;
            self.emit(EmergencyJustified { patient, accessor, seq, at, emergency, statement });
        }

        fn contest_emergency(
            ref self: ComponentState<TContractState>, hospital: ContractAddress, emergency: u32,
        ) {
            let context = context();
            let patient = context.caller;
            let cell = self
                .AccessLog_emergencies
                .entry(emergency_key(:patient, seq: emergency, :hospital));
            let before = cell.read();
            assert(before.at != 0, Errors::NO_EMERGENCY);
            assert(!before.contested, Errors::ALREADY_CONTESTED);
            cell.write(Emergency { contested: true, ..before });
            // The patient's own entry: room is kept for it.
            let head_cell = self.AccessLog_heads.entry(patient);
            let head = head_cell.read();
            assert(!head.is_full(), Errors::LOG_FULL);
            let Link {
                seq, digest,
            } =
                head
                    .next_link(
                        ACCESSES_TAG, context, subject: patient, kind: Kind::EMERGENCY_CONTESTED,
                    );
            head_cell.write(sealed(seq, digest.pair(hospital.into(), emergency.into()).hash()));
            let at = context.now;
            self.emit(EmergencyContested { patient, accessor: hospital, seq, at, emergency });
        }

        fn state_deletion(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            purpose: felt252,
            study: felt252,
            statement: felt252,
        ) {
            assert(statement != 0, Errors::ZERO_STATEMENT);
            assert(is_purpose(purpose), Errors::BAD_PURPOSE);
            let context = context();
            let accessor = context.caller;
            let registration = get_dep_component!(@self, Entities).assert_active(accessor).seq;
            let key = consent_key(:patient, grantee: accessor, :purpose, :study);
            let consent = get_dep_component!(@self, Consents).record_at(key);
            assert(consent.status != ConsentStatus::None, Errors::NO_CONSENT);
            let version = consent.version;
            let head = self.AccessLog_heads.entry(patient);
            let Link { seq, digest } = open(head.read(), context, patient, Kind::DELETION_STATED);
            let hash = digest
                .pair(accessor.into(), purpose)
                .pair(study, version.into())
                .pair(registration.into(), statement)
                .hash();
            head.write(sealed(seq, hash));
            let at = context.now;
            self
                .emit(
                    DeletionStated {
                        patient,
                        accessor,
                        purpose,
                        seq,
                        at,
                        study,
                        version,
                        registration,
                        statement,
                    },
                );
        }

        fn emergency(
            self: @ComponentState<TContractState>,
            patient: ContractAddress,
            seq: u32,
            hospital: ContractAddress,
        ) -> Emergency {
            self.AccessLog_emergencies.read(emergency_key(:patient, :seq, :hospital))
        }

        fn log_head(self: @ComponentState<TContractState>, patient: ContractAddress) -> Head {
            self.AccessLog_heads.read(patient)
        }
    }

    #[generate_trait]
    impl InternalImpl<
        TContractState,
        +HasComponent<TContractState>,
        impl Consents: ConsentRegistryComponent::HasComponent<TContractState>,
        impl Entities: EntityRegistryComponent::HasComponent<TContractState>,
        impl Budgets: RewardBudgetsComponent::HasComponent<TContractState>,
        +Drop<TContractState>,
    > of InternalTrait<TContractState> {
        /// What must hold of every request of a call, whoever's data it is for.
        fn assert_may_ask(
            self: @ComponentState<TContractState>, purpose: felt252, categories: u32,
        ) -> (Context, Entity) {
            assert(is_purpose(purpose), Errors::BAD_PURPOSE);
            assert(are_categories(categories), Errors::BAD_CATEGORIES);
            let context = context();
            (context, get_dep_component!(self, Entities).assert_active(context.caller))
        }

        /// Decides one request, consumes a use if it is permitted, and logs it.
        fn decide(
            ref self: ComponentState<TContractState>,
            context: Context,
            entity: Entity,
            query: @Query,
            categories: u32,
            record: felt252,
            ref spending: Spending,
        ) -> AccessReceipt {
            assert((*query.patient).is_non_zero(), Errors::ZERO_PATIENT);
            let (reason, consent) = get_dep_component_mut!(ref self, Consents)
                .use_once(query, categories, context.now, ref spending);
            self
                .append(
                    context,
                    Entry {
                        patient: *query.patient,
                        purpose: *query.purpose,
                        study: *query.study,
                        decision: decision_of(reason),
                        reason,
                        version: consent.version,
                        scoped: consent.scoped,
                        categories,
                        record,
                        campaign: *query.campaign,
                        registration: entity.seq,
                    },
                )
        }

        /// Logs a request and its outcome.
        fn append(
            ref self: ComponentState<TContractState>, context: Context, entry: Entry,
        ) -> AccessReceipt {
            let accessor = context.caller;
            let cell = self.AccessLog_heads.entry(entry.patient);
            let Link {
                seq, digest,
            } = open(cell.read(), context, entry.patient, Kind::ACCESS_LOGGED);
            let hash = digest
                .pair(accessor.into(), entry.purpose)
                .pair(entry.study, decision_code(entry.decision))
                .pair(reason_code(entry.reason), entry.version.into())
                .pair(bit(entry.scoped), entry.categories.into())
                .pair(entry.record, entry.campaign)
                .hash_with(entry.registration.into());
            let head = sealed(seq, hash);
            cell.write(head);
            self
                .emit(
                    AccessLogged {
                        patient: entry.patient,
                        accessor,
                        purpose: entry.purpose,
                        seq,
                        at: context.now,
                        study: entry.study,
                        decision: entry.decision,
                        reason: entry.reason,
                        version: entry.version,
                        scoped: entry.scoped,
                        categories: entry.categories,
                        record: entry.record,
                        campaign: entry.campaign,
                        registration: entry.registration,
                    },
                );
            AccessReceipt { decision: entry.decision, reason: entry.reason, seq, digest: head.head }
        }
    }

    /// Begins an entry that an entity makes.
    fn open(head: Head, context: Context, patient: ContractAddress, kind: felt252) -> Link {
        assert(head.is_open(), Errors::LOG_FULL);
        head.next_link(ACCESSES_TAG, context, subject: patient, :kind)
    }
}

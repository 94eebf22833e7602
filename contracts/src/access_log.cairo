//! The only door to data: every request is decided, consumed, paid and logged in one step, and a
//! refusal is logged like a permit.

use starknet::ContractAddress;
use starknet::storage_access::StorePacking;
use crate::campaign::CampaignTerms;
use crate::hash::SpongeTrait;
use crate::packing::{join, split};
use crate::vocabulary::{Decision, Reason, decision_code, reason_code};

/// What an accessor asks for.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct AccessRequest {
    pub patient: ContractAddress,
    /// HL7 v3-ActReason code.
    pub purpose: felt252,
    /// Bit set of data categories.
    pub categories: u32,
    /// Commitment of the record asked for; zero for no record in particular.
    pub record: felt252,
    /// The terms of the campaign that pays; must be the one the consent names, and absent if it
    /// names none.
    pub campaign: Option<CampaignTerms>,
}

/// What an accessor gets.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct AccessReceipt {
    pub decision: Decision,
    pub reason: Reason,
    /// The entry's place in the patient's log, from 1.
    pub seq: u32,
    /// The entry's digest: the head of the patient's chain after it.
    pub digest: felt252,
}

/// One entry of a patient's log, as it is hashed.
#[derive(Copy, Drop)]
pub struct Entry {
    pub patient: ContractAddress,
    pub accessor: ContractAddress,
    pub purpose: felt252,
    pub categories: u32,
    pub record: felt252,
    pub decision: Decision,
    pub reason: Reason,
    /// Version of the consent that was consulted, or zero.
    pub version: u32,
    /// Id of the campaign that the request named, or zero; it paid exactly if the decision is
    /// `Permit`.
    pub campaign: felt252,
    /// Commitment of the reason for breaking the glass, or zero.
    pub justification: felt252,
}

/// How long a patient's log is and what it hashes to: `head:219 | count:32` in one cell.
///
/// The head is Poseidon cut to its lowest 219 bits (about 2^109 work for a collision), which leaves
/// room for the count: two cells would cost every patient 402,000 L2 gas more at the first request,
/// and every request one more read and write.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct LogHead {
    pub count: u32,
    /// Zero for an empty log.
    pub head: felt252,
}

/// Most requests in one batch.
pub const MAX_BATCH: u32 = 100;

/// SRC-5 id: XOR of the extended selectors of `IAccessLog` (SNIP-5).
pub const IACCESS_LOG_ID: felt252 = 0x867c71535cb9eeace0aa71fedfdd50655d263d3ce490632033f2b43d2f36e;

/// Requests for access and the log of their outcomes.
#[starknet::interface]
pub trait IAccessLog<TState> {
    /// Asks for access. Never fails for a reason of policy: whatever is decided is logged, and the
    /// receipt says what and why. After `verify_consent` permits, the request must name the
    /// consent's campaign (or none if it names none), and the campaign must pay. A pool that panics
    /// is a refusal too; only one that burns all gas, or calls an address where there is no
    /// contract, takes the whole transaction down with it: nothing is permitted then, or logged.
    ///
    /// Preconditions: `patient` not zero; a known purpose; known categories, at least one; the
    ///   caller was registered once.
    /// Effects: writes the patient's log (new for the first entry); on permit the consent (use +
    ///   1); the pool's cells if it pays.
    /// Emits: `AccessLogged`; the pool's `RewardAccrued` before it if it pays.
    /// Errors: `ACCESS/ZERO_PATIENT`, `ACCESS/BAD_PURPOSE`, `ACCESS/BAD_CATEGORIES`,
    ///   `ENTITY/UNKNOWN`, `ACCESS/LOG_FULL`.
    /// Access: registered entities (suspended ones are refused and logged).
    fn request_access(ref self: TState, request: AccessRequest) -> AccessReceipt;

    /// `request_access` for many requests in one transaction, in order, each with its own outcome.
    ///
    /// Preconditions: 1 to `MAX_BATCH` requests, each as for `request_access`.
    /// Effects: as `request_access` for each.
    /// Emits: as `request_access` for each, in order.
    /// Errors: `ACCESS/EMPTY_BATCH`, `ACCESS/BATCH_TOO_LARGE`, and those of `request_access`.
    /// Access: registered entities.
    fn request_access_batch(
        ref self: TState, requests: Array<AccessRequest>,
    ) -> Array<AccessReceipt>;

    /// Breaks the glass: asks for access in an emergency, without consent. Always logged; the
    /// purpose is `BTG`. The first that applies decides: entity suspended, not a hospital, the
    /// patient opted out, break glass.
    ///
    /// Preconditions: `patient` not zero; known categories, at least one;
    ///   `justification_commitment` (salted hash of the reason) not zero.
    /// Effects: writes the patient's log (new for the first entry).
    /// Emits: `AccessLogged`; `EmergencyAccessed` after it if the decision is `Emergency`.
    /// Errors: `ACCESS/ZERO_PATIENT`, `ACCESS/BAD_CATEGORIES`, `ACCESS/ZERO_JUSTIFICATION`,
    ///   `ENTITY/UNKNOWN`, `ACCESS/LOG_FULL`.
    /// Access: registered entities; only hospitals are let in.
    fn request_emergency_access(
        ref self: TState,
        patient: ContractAddress,
        categories: u32,
        record: felt252,
        justification_commitment: felt252,
    ) -> AccessReceipt;

    /// Length and head of a patient's log: whoever fetched the entries from any node can tell
    /// whether one is missing, altered, moved or invented. View, anyone.
    fn log_head(self: @TState, patient: ContractAddress) -> LogHead;
}

pub impl LogHeadPacking of StorePacking<LogHead, felt252> {
    fn pack(value: LogHead) -> felt252 {
        let head: u256 = value.head.into();
        assert(head.high < HEAD_HIGH_BOUND, 'PACK/RANGE');
        value.head + value.count.into() * HEAD_BOUND
    }

    fn unpack(value: felt252) -> LogHead {
        let (low, high) = split(value);
        let (count, head_high) = DivRem::div_rem(high, 0x80000000000000000000000);
        LogHead {
            count: count.try_into().unwrap(),
            head: u256 { low, high: head_high }.try_into().unwrap(),
        }
    }
}

/// 2^91: with the 128 bits below it, the head's 219.
const HEAD_HIGH_BOUND: u128 = 0x80000000000000000000000;

/// 2^219, the first felt too large for a head.
const HEAD_BOUND: felt252 = 0x8000000000000000000000000000000000000000000000000000000;

/// The place in the log after `count` entries.
pub fn next_seq(count: u32) -> u32 {
    assert(count != 0xFFFFFFFF, Errors::LOG_FULL);
    count + 1
}

/// Digest of entry number `seq`, logged at `at` (unix seconds) on top of `previous`: Poseidon over
/// a tag, the chain, the contract and everything the entry says, cut to 219 bits.
pub fn entry_digest(
    chain_id: felt252,
    contract: ContractAddress,
    previous: felt252,
    seq: u32,
    at: u64,
    entry: @Entry,
) -> felt252 {
    let hash: u256 = SpongeTrait::new()
        .pair('MEDSYNC/LOG/1', chain_id)
        .pair(contract.into(), (*entry.patient).into())
        .pair(previous, seq.into())
        .pair(at.into(), (*entry.accessor).into())
        .pair(*entry.purpose, (*entry.categories).into())
        .pair(*entry.record, decision_code(*entry.decision))
        .pair(reason_code(*entry.reason), (*entry.version).into())
        .pair(*entry.campaign, *entry.justification)
        .hash()
        .into();
    let (_, high) = DivRem::div_rem(hash.high, 0x80000000000000000000000);
    join(hash.low.into(), high.into())
}

pub mod Errors {
    /// The patient is zero.
    pub const ZERO_PATIENT: felt252 = 'ACCESS/ZERO_PATIENT';
    /// The purpose is not one of the known HL7 v3-ActReason codes.
    pub const BAD_PURPOSE: felt252 = 'ACCESS/BAD_PURPOSE';
    /// The data categories are none, or one of them is unknown.
    pub const BAD_CATEGORIES: felt252 = 'ACCESS/BAD_CATEGORIES';
    /// The justification commitment is zero.
    pub const ZERO_JUSTIFICATION: felt252 = 'ACCESS/ZERO_JUSTIFICATION';
    /// The batch holds no request.
    pub const EMPTY_BATCH: felt252 = 'ACCESS/EMPTY_BATCH';
    /// The batch holds more than 100 requests.
    pub const BATCH_TOO_LARGE: felt252 = 'ACCESS/BATCH_TOO_LARGE';
    /// The patient's log has 2^32 - 1 entries and takes no more.
    pub const LOG_FULL: felt252 = 'ACCESS/LOG_FULL';
}

#[starknet::component]
pub mod AccessLogComponent {
    use core::num::traits::Zero;
    use starknet::ContractAddress;
    use starknet::storage::{
        Map, StorageMapReadAccess, StoragePathEntry, StoragePointerReadAccess,
        StoragePointerWriteAccess,
    };
    use starknet::syscalls::call_contract_syscall;
    use crate::campaign::{CampaignTerms, CampaignTrait};
    use crate::consent_registry::ConsentRegistryComponent::{
        InternalTrait as ConsentsInternal, Judgement,
    };
    use crate::consent_registry::{ConsentRegistryComponent, IConsentRegistry};
    use crate::context::{Context, context};
    use crate::entity_registry::EntityRegistryComponent::InternalTrait as EntitiesInternal;
    use crate::entity_registry::{EntityRegistryComponent, Errors as EntityErrors};
    use crate::reward_pool::Accrual;
    use crate::vocabulary::{BREAK_THE_GLASS, Decision, Reason, Role, are_categories, is_purpose};
    use super::{
        AccessReceipt, AccessRequest, Entry, Errors, LogHead, MAX_BATCH, entry_digest, next_seq,
    };

    #[storage]
    pub struct Storage {
        AccessLog_heads: Map<ContractAddress, LogHead>,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        AccessLogged: AccessLogged,
        EmergencyAccessed: EmergencyAccessed,
    }

    /// Entry number `seq` of a patient's log, at `at` (unix seconds): everything its digest is made
    /// of.
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
        pub decision: Decision,
        pub reason: Reason,
        pub version: u32,
        pub categories: u32,
        pub record: felt252,
        pub campaign: felt252,
        pub justification: felt252,
    }

    /// The glass was broken: entry number `seq` of the patient's log is an emergency.
    #[derive(Drop, starknet::Event)]
    pub struct EmergencyAccessed {
        #[key]
        pub patient: ContractAddress,
        #[key]
        pub accessor: ContractAddress,
        pub seq: u32,
        pub justification: felt252,
    }

    #[embeddable_as(AccessLogImpl)]
    impl AccessLog<
        TContractState,
        +HasComponent<TContractState>,
        impl Consents: ConsentRegistryComponent::HasComponent<TContractState>,
        impl Entities: EntityRegistryComponent::HasComponent<TContractState>,
        +Drop<TContractState>,
    > of super::IAccessLog<ComponentState<TContractState>> {
        fn request_access(
            ref self: ComponentState<TContractState>, request: AccessRequest,
        ) -> AccessReceipt {
            self.decide_and_log(context(), @request)
        }

        fn request_access_batch(
            ref self: ComponentState<TContractState>, requests: Array<AccessRequest>,
        ) -> Array<AccessReceipt> {
            assert(!requests.is_empty(), Errors::EMPTY_BATCH);
            assert(requests.len() <= MAX_BATCH, Errors::BATCH_TOO_LARGE);
            let context = context();
            let mut receipts = array![];
            for request in requests.span() {
                receipts.append(self.decide_and_log(context, request));
            }
            receipts
        }

        fn request_emergency_access(
            ref self: ComponentState<TContractState>,
            patient: ContractAddress,
            categories: u32,
            record: felt252,
            justification_commitment: felt252,
        ) -> AccessReceipt {
            assert(patient.is_non_zero(), Errors::ZERO_PATIENT);
            assert(are_categories(categories), Errors::BAD_CATEGORIES);
            assert(justification_commitment != 0, Errors::ZERO_JUSTIFICATION);
            let context = context();
            let entity = get_dep_component!(@self, Entities).assert_registered(context.caller);
            let (decision, reason) = if entity.suspended {
                (Decision::Deny, Reason::EntitySuspended)
            } else if entity.role != Role::Hospital {
                (Decision::Deny, Reason::NotHospital)
            } else if get_dep_component!(@self, Consents).patient_state(patient).emergency_opt_out {
                (Decision::Deny, Reason::EmergencyOptOut)
            } else {
                (Decision::Emergency, Reason::BreakGlass)
            };
            let receipt = self
                .append(
                    context,
                    Entry {
                        patient,
                        accessor: context.caller,
                        purpose: BREAK_THE_GLASS,
                        categories,
                        record,
                        decision,
                        reason,
                        version: 0,
                        campaign: 0,
                        justification: justification_commitment,
                    },
                );
            if decision == Decision::Emergency {
                self
                    .emit(
                        EmergencyAccessed {
                            patient,
                            accessor: context.caller,
                            seq: receipt.seq,
                            justification: justification_commitment,
                        },
                    );
            }
            receipt
        }

        fn log_head(self: @ComponentState<TContractState>, patient: ContractAddress) -> LogHead {
            self.AccessLog_heads.read(patient)
        }
    }

    #[generate_trait]
    impl InternalImpl<
        TContractState,
        +HasComponent<TContractState>,
        impl Consents: ConsentRegistryComponent::HasComponent<TContractState>,
        impl Entities: EntityRegistryComponent::HasComponent<TContractState>,
        +Drop<TContractState>,
    > of InternalTrait<TContractState> {
        fn decide_and_log(
            ref self: ComponentState<TContractState>, context: Context, request: @AccessRequest,
        ) -> AccessReceipt {
            let (patient, purpose, categories) = (
                *request.patient, *request.purpose, *request.categories,
            );
            assert(patient.is_non_zero(), Errors::ZERO_PATIENT);
            assert(is_purpose(purpose), Errors::BAD_PURPOSE);
            assert(are_categories(categories), Errors::BAD_CATEGORIES);
            let judgement = get_dep_component!(@self, Consents)
                .judge(patient, context.caller, purpose, categories, context.now);
            assert(judgement.reason != Reason::EntityUnknown, EntityErrors::UNKNOWN);
            let campaign = request.campaign.id_or_zero();
            let (decision, reason) = if judgement.decision == Decision::Permit {
                self.settle(context.caller, patient, @judgement, request.campaign, campaign)
            } else {
                (judgement.decision, judgement.reason)
            };
            self
                .append(
                    context,
                    Entry {
                        patient,
                        accessor: context.caller,
                        purpose,
                        categories,
                        record: *request.record,
                        decision,
                        reason,
                        version: judgement.version,
                        campaign,
                        justification: 0,
                    },
                )
        }

        /// Consumes a use and has the campaign pay for it; a use that cannot be paid for is given
        /// back.
        fn settle(
            ref self: ComponentState<TContractState>,
            accessor: ContractAddress,
            patient: ContractAddress,
            judgement: @Judgement,
            terms: @Option<CampaignTerms>,
            campaign: felt252,
        ) -> (Decision, Reason) {
            let mut consents = get_dep_component_mut!(ref self, Consents);
            if campaign != consents.campaign_of(*judgement.key, judgement.record) {
                return (Decision::Deny, Reason::CampaignMismatch);
            }
            // The use is taken before the pool is called, so that a pool that calls back cannot use
            // it twice.
            consents.consume(judgement);
            let reason = match terms {
                Option::Some(terms) => pay(*terms, patient, accessor),
                Option::None => Reason::Granted,
            };
            if reason == Reason::Granted {
                return (Decision::Permit, reason);
            }
            consents.give_back(judgement);
            (Decision::Deny, reason)
        }

        /// Logs an entry. The head is read here, after any pool was called: a pool that called back
        /// may have logged in between.
        fn append(
            ref self: ComponentState<TContractState>, context: Context, entry: Entry,
        ) -> AccessReceipt {
            let cell = self.AccessLog_heads.entry(entry.patient);
            let LogHead { count, head } = cell.read();
            let seq = next_seq(count);
            let digest = entry_digest(
                context.chain_id, context.this, head, seq, context.now, @entry,
            );
            cell.write(LogHead { count: seq, head: digest });
            self
                .emit(
                    AccessLogged {
                        patient: entry.patient,
                        accessor: entry.accessor,
                        purpose: entry.purpose,
                        seq,
                        at: context.now,
                        decision: entry.decision,
                        reason: entry.reason,
                        version: entry.version,
                        categories: entry.categories,
                        record: entry.record,
                        campaign: entry.campaign,
                        justification: entry.justification,
                    },
                );
            AccessReceipt { decision: entry.decision, reason: entry.reason, seq, digest }
        }
    }

    /// Has the pool pay. The pool is a stranger the patient chose: whatever it answers, or if it
    /// panics, becomes a reason.
    fn pay(terms: CampaignTerms, patient: ContractAddress, accessor: ContractAddress) -> Reason {
        let mut calldata = array![];
        terms.serialize(ref calldata);
        patient.serialize(ref calldata);
        accessor.serialize(ref calldata);
        let Ok(mut answer) = call_contract_syscall(
            terms.pool, selector!("accrue"), calldata.span(),
        ) else {
            return Reason::PoolFailed;
        };
        let Some(accrual) = Serde::<Accrual>::deserialize(ref answer) else {
            return Reason::PoolFailed;
        };
        if !answer.is_empty() {
            return Reason::PoolFailed;
        }
        match accrual {
            Accrual::Paid => Reason::Granted,
            Accrual::Closed => Reason::CampaignClosed,
            Accrual::Expired => Reason::CampaignExpired,
            Accrual::Unfunded => Reason::RewardUnfunded,
            Accrual::AllowanceExceeded => Reason::AllowanceExceeded,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::vocabulary::{Decision, Reason};
    use super::{Entry, LogHead, LogHeadPacking, entry_digest, next_seq};

    const HEAD_MAX: felt252 = 0x7ffffffffffffffffffffffffffffffffffffffffffffffffffffff;

    #[test]
    fn heads_survive_packing() {
        for count in array![0, 1, 0xFFFFFFFF] {
            for head in array![0, 1, HEAD_MAX] {
                let log_head = LogHead { count, head };
                assert!(LogHeadPacking::unpack(LogHeadPacking::pack(log_head)) == log_head);
            }
        }
    }

    #[test]
    #[should_panic(expected: 'PACK/RANGE')]
    fn head_out_of_range_panics() {
        LogHeadPacking::pack(LogHead { count: 0, head: HEAD_MAX + 1 });
    }

    #[test]
    fn digests_fit_the_cell() {
        let entry = Entry {
            patient: 1.try_into().unwrap(),
            accessor: 2.try_into().unwrap(),
            purpose: 'TREAT',
            categories: 1,
            record: 0,
            decision: Decision::Permit,
            reason: Reason::Granted,
            version: 1,
            campaign: 0,
            justification: 0,
        };
        let mut head = 0;
        for seq in 1..20_u32 {
            head = entry_digest('SN_SEPOLIA', 3.try_into().unwrap(), head, seq, 0, @entry);
            let wide: u256 = head.into();
            assert!(wide <= HEAD_MAX.into());
        }
    }

    #[test]
    fn entries_are_counted_from_one() {
        assert!(next_seq(0) == 1);
        assert!(next_seq(0xFFFFFFFE) == 0xFFFFFFFF);
    }

    #[test]
    #[should_panic(expected: 'ACCESS/LOG_FULL')]
    fn a_full_log_panics() {
        next_seq(0xFFFFFFFF);
    }
}

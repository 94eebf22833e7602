//! The cells of consents, patients and delegations.

use medsync_interfaces::consent_registry::{
    ConsentStatus, Delegation, EmergencyChoice, PatientState,
};
use starknet::storage_access::StorePacking;
use crate::packing::{
    SPLIT_1, SPLIT_16, SPLIT_2, SPLIT_3, SPLIT_32, SPLIT_40, SPLIT_8, TWO_POW_112, TWO_POW_113,
    TWO_POW_116, TWO_POW_117, TWO_POW_16, TWO_POW_18, TWO_POW_32, TWO_POW_40, TWO_POW_48,
    TWO_POW_64, TWO_POW_8, TWO_POW_80, TWO_POW_96, bit, join, packed_time, split,
};
use crate::vocabulary::{choice_code, choice_from_code, status_code, status_from_code};

/// What is stored of a consent.
#[derive(Copy, Drop, PartialEq, Debug)]
pub struct Record {
    pub starts_at: u64,
    pub expires_at: u64,
    pub categories: u32,
    pub version: u32,
    /// The patient's generation when it was last decided on.
    pub generation: u32,
    pub max_uses: u32,
    /// Permitted accesses of a consent without reward. Those of one with a reward are counted for
    /// its campaign.
    pub uses: u32,
    pub status: ConsentStatus,
    /// Whether it insists on pay: consents without one save reading a second cell.
    pub rewarded: bool,
    /// Whether only delegates ever decided on it.
    pub by_delegate: bool,
    pub scoped: bool,
}

/// `version:32 | generation:32 | max_uses:32 | uses:32` and above `starts_at:40 | expires_at:40 |
/// categories:32 | rewarded:1 | status:3 | by_delegate:1 | scoped:1`.
pub impl RecordPacking of StorePacking<Record, felt252> {
    fn pack(value: Record) -> felt252 {
        join(
            value.version.into()
                + value.generation.into() * TWO_POW_32
                + value.max_uses.into() * TWO_POW_64
                + value.uses.into() * TWO_POW_96,
            packed_time(value.starts_at)
                + packed_time(value.expires_at) * TWO_POW_40
                + value.categories.into() * TWO_POW_80
                + bit(value.rewarded) * TWO_POW_112
                + status_code(value.status) * TWO_POW_113
                + bit(value.by_delegate) * TWO_POW_116
                + bit(value.scoped) * TWO_POW_117,
        )
    }

    fn unpack(value: felt252) -> Record {
        let (low, high) = split(value);
        let (low, version) = DivRem::div_rem(low, SPLIT_32);
        let (low, generation) = DivRem::div_rem(low, SPLIT_32);
        let (uses, max_uses) = DivRem::div_rem(low, SPLIT_32);
        let (high, starts_at) = DivRem::div_rem(high, SPLIT_40);
        let (high, expires_at) = DivRem::div_rem(high, SPLIT_40);
        let (high, categories) = DivRem::div_rem(high, SPLIT_32);
        let (high, rewarded) = DivRem::div_rem(high, SPLIT_1);
        let (high, status) = DivRem::div_rem(high, SPLIT_3);
        let (scoped, by_delegate) = DivRem::div_rem(high, SPLIT_1);
        Record {
            starts_at: starts_at.try_into().unwrap(),
            expires_at: expires_at.try_into().unwrap(),
            categories: categories.try_into().unwrap(),
            version: version.try_into().unwrap(),
            generation: generation.try_into().unwrap(),
            max_uses: max_uses.try_into().unwrap(),
            uses: uses.try_into().unwrap(),
            status: status_from_code(status),
            rewarded: rewarded == 1,
            by_delegate: by_delegate == 1,
            scoped: scoped == 1,
        }
    }
}

/// `generation:32 | counter:32 | floor:32 | delegate_epoch:32` and above `refused_purposes:16 |
/// emergency:2 | set:1`. The mark keeps the cell non-zero; a cell that was never written stands for
/// the first generation and counter, which are 1.
pub impl PatientStatePacking of StorePacking<PatientState, felt252> {
    fn pack(value: PatientState) -> felt252 {
        join(
            value.generation.into()
                + value.counter.into() * TWO_POW_32
                + value.floor.into() * TWO_POW_64
                + value.delegate_epoch.into() * TWO_POW_96,
            value.refused_purposes.into() + choice_code(value.emergency) * TWO_POW_16 + TWO_POW_18,
        )
    }

    fn unpack(value: felt252) -> PatientState {
        if value == 0 {
            return PatientState {
                generation: 1,
                counter: 1,
                floor: 0,
                delegate_epoch: 0,
                refused_purposes: 0,
                emergency: EmergencyChoice::EveryHospital,
            };
        }
        let (low, high) = split(value);
        let (low, generation) = DivRem::div_rem(low, SPLIT_32);
        let (low, counter) = DivRem::div_rem(low, SPLIT_32);
        let (delegate_epoch, floor) = DivRem::div_rem(low, SPLIT_32);
        let (high, refused_purposes) = DivRem::div_rem(high, SPLIT_16);
        let (_, emergency) = DivRem::div_rem(high, SPLIT_2);
        PatientState {
            generation: generation.try_into().unwrap(),
            counter: counter.try_into().unwrap(),
            floor: floor.try_into().unwrap(),
            delegate_epoch: delegate_epoch.try_into().unwrap(),
            refused_purposes: refused_purposes.try_into().unwrap(),
            emergency: choice_from_code(emergency),
        }
    }
}

/// `powers:8 | expires_at:40 | epoch:32 | set:1`. The mark keeps a removed delegate's cell
/// non-zero.
pub impl DelegationPacking of StorePacking<Delegation, felt252> {
    fn pack(value: Delegation) -> felt252 {
        value.powers.into()
            + packed_time(value.expires_at) * TWO_POW_8
            + value.epoch.into() * TWO_POW_48
            + TWO_POW_80
    }

    fn unpack(value: felt252) -> Delegation {
        let (low, _) = split(value);
        let (low, powers) = DivRem::div_rem(low, SPLIT_8);
        let (low, expires_at) = DivRem::div_rem(low, SPLIT_40);
        let (_, epoch) = DivRem::div_rem(low, SPLIT_32);
        Delegation {
            powers: powers.try_into().unwrap(),
            expires_at: expires_at.try_into().unwrap(),
            epoch: epoch.try_into().unwrap(),
        }
    }
}

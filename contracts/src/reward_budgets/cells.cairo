//! The cells of budgets and paid uses.

use medsync_interfaces::reward_budgets::{Budget, PaidUses};
use starknet::storage_access::StorePacking;
use crate::packing::{
    SPLIT_32, SPLIT_40, SPLIT_64, TWO_POW_32, TWO_POW_40, TWO_POW_64, TWO_POW_96, join, packed_time,
    split,
};

/// `left:64 | paid:64` and above `expires_at:40 | custodian_settled:64`.
pub impl BudgetPacking of StorePacking<Budget, felt252> {
    fn pack(value: Budget) -> felt252 {
        join(
            value.left.into() + value.paid.into() * TWO_POW_64,
            packed_time(value.expires_at) + value.custodian_settled.into() * TWO_POW_40,
        )
    }

    fn unpack(value: felt252) -> Budget {
        let (low, high) = split(value);
        let (paid, left) = DivRem::div_rem(low, SPLIT_64);
        let (custodian_settled, expires_at) = DivRem::div_rem(high, SPLIT_40);
        Budget {
            left: left.try_into().unwrap(),
            paid: paid.try_into().unwrap(),
            expires_at: expires_at.try_into().unwrap(),
            custodian_settled: custodian_settled.try_into().unwrap(),
        }
    }
}

/// `version:32 | paid:32 | base:32 | settled:32`.
pub impl PaidUsesPacking of StorePacking<PaidUses, felt252> {
    fn pack(value: PaidUses) -> felt252 {
        value.version.into()
            + value.paid.into() * TWO_POW_32
            + value.base.into() * TWO_POW_64
            + value.settled.into() * TWO_POW_96
    }

    fn unpack(value: felt252) -> PaidUses {
        let (low, _) = split(value);
        let (low, version) = DivRem::div_rem(low, SPLIT_32);
        let (low, paid) = DivRem::div_rem(low, SPLIT_32);
        let (settled, base) = DivRem::div_rem(low, SPLIT_32);
        PaidUses {
            version: version.try_into().unwrap(),
            paid: paid.try_into().unwrap(),
            base: base.try_into().unwrap(),
            settled: settled.try_into().unwrap(),
        }
    }
}

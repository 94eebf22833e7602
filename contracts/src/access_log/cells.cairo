//! The cell of an emergency access.

use medsync_interfaces::access_log::Emergency;
use starknet::storage_access::StorePacking;
use crate::packing::{SPLIT_1, SPLIT_40, TWO_POW_40, TWO_POW_41, bit, packed_time, split};

/// `at:40 | justified:1 | contested:1`.
pub impl EmergencyPacking of StorePacking<Emergency, felt252> {
    fn pack(value: Emergency) -> felt252 {
        packed_time(value.at)
            + bit(value.justified) * TWO_POW_40
            + bit(value.contested) * TWO_POW_41
    }

    fn unpack(value: felt252) -> Emergency {
        let (low, _) = split(value);
        let (low, at) = DivRem::div_rem(low, SPLIT_40);
        let (contested, justified) = DivRem::div_rem(low, SPLIT_1);
        Emergency {
            at: at.try_into().unwrap(), justified: justified == 1, contested: contested == 1,
        }
    }
}

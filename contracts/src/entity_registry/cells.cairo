//! The cell of an entity.

use medsync_interfaces::entity_registry::Entity;
use starknet::storage_access::StorePacking;
use crate::packing::{
    SPLIT_1, SPLIT_40, SPLIT_8, TWO_POW_49, TWO_POW_8, TWO_POW_89, TWO_POW_9, bit, join,
    packed_time, split,
};
use crate::vocabulary::{role_code, role_from_code};

/// `role:8 | suspended:1 | registered_at:40 | active_since:40 | seq:32` and above `profiled_at:40`.
pub impl EntityPacking of StorePacking<Entity, felt252> {
    fn pack(value: Entity) -> felt252 {
        join(
            role_code(value.role)
                + bit(value.suspended) * TWO_POW_8
                + packed_time(value.registered_at) * TWO_POW_9
                + packed_time(value.active_since) * TWO_POW_49
                + value.seq.into() * TWO_POW_89,
            packed_time(value.profiled_at),
        )
    }

    fn unpack(value: felt252) -> Entity {
        let (low, profiled_at) = split(value);
        let (low, role) = DivRem::div_rem(low, SPLIT_8);
        let (low, suspended) = DivRem::div_rem(low, SPLIT_1);
        let (low, registered_at) = DivRem::div_rem(low, SPLIT_40);
        let (seq, active_since) = DivRem::div_rem(low, SPLIT_40);
        Entity {
            role: role_from_code(role),
            suspended: suspended == 1,
            registered_at: registered_at.try_into().unwrap(),
            active_since: active_since.try_into().unwrap(),
            profiled_at: profiled_at.try_into().unwrap(),
            seq: seq.try_into().unwrap(),
        }
    }
}

//! The arithmetic of provable histories.

#[cfg(test)]
mod tests;
use medsync_interfaces::chain::{Head, RESERVED_FROM};
use starknet::ContractAddress;
use starknet::storage_access::StorePacking;
use crate::context::Context;
use crate::hash::{Sponge, SpongeTrait};
use crate::packing::{SPLIT_91, join, split};

/// An entry that is being appended: its number, and its digest before its own fields.
#[derive(Copy, Drop)]
pub struct Link {
    pub seq: u32,
    pub digest: Sponge,
}

#[generate_trait]
pub impl HeadImpl of HeadTrait {
    /// Whether the chain still takes entries that open something, or are not the patient's own.
    fn is_open(self: @Head) -> bool {
        *self.count < RESERVED_FROM
    }

    /// Whether the chain takes no entry at all any more.
    fn is_full(self: @Head) -> bool {
        *self.count == 0xFFFFFFFF
    }

    /// Begins the next entry of a chain that is not full.
    fn next_link(
        self: @Head, tag: felt252, context: Context, subject: ContractAddress, kind: felt252,
    ) -> Link {
        let seq = *self.count + 1;
        let digest = SpongeTrait::new()
            .pair(tag, context.chain_id)
            .pair(context.this.into(), subject.into())
            .pair(*self.head, seq.into())
            .pair(context.now.into(), kind);
        Link { seq, digest }
    }
}

/// The head after entry number `seq`, whose hash is `hash`.
pub fn sealed(seq: u32, hash: felt252) -> Head {
    let wide: u256 = hash.into();
    let (_, high) = DivRem::div_rem(wide.high, SPLIT_91);
    Head { count: seq, head: join(wide.low.into(), high.into()) }
}

pub impl HeadPacking of StorePacking<Head, felt252> {
    fn pack(value: Head) -> felt252 {
        let head: u256 = value.head.into();
        assert(head.high < HEAD_HIGH_BOUND, 'PACK/RANGE');
        value.head + value.count.into() * HEAD_BOUND
    }

    fn unpack(value: felt252) -> Head {
        let (low, high) = split(value);
        let (count, head_high) = DivRem::div_rem(high, SPLIT_91);
        Head {
            count: count.try_into().unwrap(),
            head: u256 { low, high: head_high }.try_into().unwrap(),
        }
    }
}

/// 2^91: with the 128 bits below it, the head's 219.
const HEAD_HIGH_BOUND: u128 = 0x80000000000000000000000;

/// 2^219, the first felt too large for a head.
const HEAD_BOUND: felt252 = 0x8000000000000000000000000000000000000000000000000000000;

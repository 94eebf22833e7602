//! The cell of `PrivateAnchor`.

use starknet::storage_access::StorePacking;
use crate::packing::{
    SPLIT_16, SPLIT_32, SPLIT_64, TWO_POW_112, TWO_POW_64, TWO_POW_96, join, packed_time, split,
};

/// The stored head but for the root: `size:64 | epoch:32 | threshold:16 | nodes:16 |
/// anchored_at:40`.
#[derive(Copy, Drop, PartialEq, Debug)]
pub struct Anchor {
    pub size: u64,
    pub epoch: u32,
    pub threshold: u8,
    pub nodes: u8,
    pub anchored_at: u64,
}

pub impl AnchorPacking of StorePacking<Anchor, felt252> {
    fn pack(value: Anchor) -> felt252 {
        join(
            value.size.into()
                + value.epoch.into() * TWO_POW_64
                + value.threshold.into() * TWO_POW_96
                + value.nodes.into() * TWO_POW_112,
            packed_time(value.anchored_at),
        )
    }

    fn unpack(value: felt252) -> Anchor {
        let (low, anchored_at) = split(value);
        let (low, size) = DivRem::div_rem(low, SPLIT_64);
        let (low, epoch) = DivRem::div_rem(low, SPLIT_32);
        let (nodes, threshold) = DivRem::div_rem(low, SPLIT_16);
        Anchor {
            size: size.try_into().unwrap(),
            epoch: epoch.try_into().unwrap(),
            threshold: threshold.try_into().unwrap(),
            nodes: nodes.try_into().unwrap(),
            anchored_at: anchored_at.try_into().unwrap(),
        }
    }
}

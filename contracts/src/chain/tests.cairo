use core::poseidon::poseidon_hash_span;
use medsync_interfaces::chain::{ACCESSES_TAG, Head, Kind, RESERVED_FROM};
use crate::context::Context;
use crate::hash::SpongeTrait;
use super::{HeadPacking, HeadTrait, sealed};

const HEAD_MAX: felt252 = 0x7ffffffffffffffffffffffffffffffffffffffffffffffffffffff;

#[test]
fn heads_survive_packing() {
    for count in array![0, 1, 0xFFFFFFFF] {
        for head in array![0, 1, HEAD_MAX] {
            let value = Head { count, head };
            assert!(HeadPacking::unpack(HeadPacking::pack(value)) == value);
        }
    }
}

#[test]
#[should_panic(expected: 'PACK/RANGE')]
fn head_out_of_range_panics() {
    HeadPacking::pack(Head { count: 0, head: HEAD_MAX + 1 });
}

#[test]
fn digests_are_cut_hashes_of_everything() {
    let context = Context {
        caller: 9.try_into().unwrap(), now: 7, this: 3.try_into().unwrap(), chain_id: 'SN_SEPOLIA',
    };
    let mut head = Head { count: 0, head: 0 };
    for seq in 1..20_u32 {
        let link = head
            .next_link(ACCESSES_TAG, context, 5.try_into().unwrap(), Kind::ACCESS_LOGGED);
        assert!(link.seq == seq);
        let hash = link.digest.pair(8, 9).hash();
        let fields = array![
            ACCESSES_TAG, 'SN_SEPOLIA', 3, 5, head.head, seq.into(), 7, Kind::ACCESS_LOGGED, 8, 9,
        ];
        assert!(hash == poseidon_hash_span(fields.span()));
        head = sealed(seq, hash);
        assert!(head.count == seq);
        let (whole, cut): (u256, u256) = (hash.into(), head.head.into());
        assert!(cut == whole & HEAD_MAX.into());
    }
}

#[test]
fn the_last_entries_are_reserved() {
    assert!(Head { count: 0, head: 0 }.is_open());
    assert!(Head { count: RESERVED_FROM - 1, head: 0 }.is_open());
    assert!(!Head { count: RESERVED_FROM, head: 0 }.is_open());
    assert!(!Head { count: 0xFFFFFFFE, head: 0 }.is_full());
    assert!(Head { count: 0xFFFFFFFF, head: 0 }.is_full());
}

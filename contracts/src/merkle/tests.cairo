use core::poseidon::poseidon_hash_span;
use super::{leaf_hash, node_hash, verify_consistency, verify_inclusion};

/// The Merkle tree hash of the leaves with values `start` to `end`, from RFC 9162, 2.1.1.
fn tree(start: u64, end: u64) -> felt252 {
    if end == start {
        return 0;
    }
    if end - start == 1 {
        return leaf_hash(start.into());
    }
    let middle = start + split(end - start);
    node_hash(tree(start, middle), tree(middle, end))
}

/// The largest power of two smaller than `size`.
fn split(size: u64) -> u64 {
    let mut power = 1;
    while power * 2 < size {
        power *= 2;
    }
    power
}

/// RFC 9162, 2.1.3.1.
fn inclusion(index: u64, start: u64, end: u64) -> Array<felt252> {
    if end - start == 1 {
        return array![];
    }
    let middle = start + split(end - start);
    if index < middle {
        let mut path = inclusion(index, start, middle);
        path.append(tree(middle, end));
        path
    } else {
        let mut path = inclusion(index, middle, end);
        path.append(tree(start, middle));
        path
    }
}

/// RFC 9162, 2.1.4.1.
fn consistency(first: u64, start: u64, end: u64, whole: bool) -> Array<felt252> {
    if first == end {
        return if whole {
            array![]
        } else {
            array![tree(start, end)]
        };
    }
    let middle = start + split(end - start);
    if first <= middle {
        let mut path = consistency(first, start, middle, whole);
        path.append(tree(middle, end));
        path
    } else {
        let mut path = consistency(first, middle, end, false);
        path.append(tree(start, middle));
        path
    }
}

#[test]
fn hashes_are_kept_apart() {
    assert!(node_hash(1, 0) != leaf_hash(1));
    assert!(leaf_hash(1) != poseidon_hash_span([1].span()));
    assert!(node_hash(1, 2) != poseidon_hash_span([1, 2].span()));
    assert!(node_hash(1, 2) != node_hash(2, 1));
}

#[test]
fn every_leaf_is_included_where_it_is_and_nowhere_else() {
    for size in 1_u64..14 {
        let root = tree(0, size);
        for index in 0..size {
            let path = inclusion(index, 0, size);
            for place in 0..size + 2 {
                let proven = verify_inclusion(
                    leaf_hash(index.into()), place, size, path.span(), root,
                );
                assert!(proven == (place == index));
            }
            let other = leaf_hash(index.into() + 1);
            assert!(!verify_inclusion(other, index, size, path.span(), root));
        }
    }
}

#[test]
fn a_path_is_as_long_as_it_must_be() {
    for size in 1_u64..14 {
        for index in 0..size {
            let leaf = leaf_hash(index.into());
            let mut path = inclusion(index, 0, size);
            let mut shorter = path.span();
            // The root that each would give, so that only the length is wrong.
            if let Option::Some(last) = shorter.pop_back() {
                assert!(!verify_inclusion(leaf, index, size, shorter, *last));
            }
            let root = tree(0, size);
            path.append(7);
            for root in array![root, node_hash(root, 7), node_hash(7, root)] {
                assert!(!verify_inclusion(leaf, index, size, path.span(), root));
            }
        }
    }
}

#[test]
fn every_log_begins_with_the_shorter_ones() {
    for second in 2_u64..14 {
        for first in 1..second {
            let path = consistency(first, 0, second, true).span();
            let (old, new) = (tree(0, first), tree(0, second));
            assert!(verify_consistency(first, second, path, old, new));
            assert!(!verify_consistency(first, second, path, old + 1, new));
            assert!(!verify_consistency(first, second, path, old, new + 1));
            assert!(!verify_consistency(first, second, path, new, old));
            assert!(!verify_consistency(second, first, path, new, old));
            let mut shorter = path;
            shorter.pop_back().unwrap();
            assert!(!verify_consistency(first, second, shorter, old, new));
            let mut longer: Array<felt252> = array![];
            longer.append_span(path);
            longer.append(7);
            for new in array![new, node_hash(new, 7), node_hash(7, new)] {
                assert!(!verify_consistency(first, second, longer.span(), old, new));
            }
        }
    }
}

#[test]
fn nothing_follows_from_nothing() {
    let one = tree(0, 1);
    assert!(!verify_inclusion(one, 0, 0, [].span(), 0));
    assert!(!verify_inclusion(0, 0, 0, [].span(), 0));
    assert!(verify_inclusion(one, 0, 1, [].span(), one));
    assert!(verify_consistency(0, 1, [].span(), 0, one));
    assert!(!verify_consistency(0, 1, [one].span(), 0, one));
    assert!(!verify_consistency(0, 1, [].span(), one, one));
    assert!(!verify_consistency(0, 0, [].span(), 0, 0));
    assert!(!verify_consistency(1, 1, [].span(), one, one));
    assert!(!verify_consistency(2, 2, [one].span(), one, one));
    assert!(!verify_consistency(3, 2, [one].span(), one, one));
}

#[test]
fn the_largest_sizes_do_not_overflow() {
    let max = 0xFFFFFFFFFFFFFFFF;
    assert!(!verify_inclusion(1, max - 1, max, [1, 2, 3].span(), 1));
    assert!(!verify_inclusion(1, max, max, [1, 2, 3].span(), 1));
    assert!(!verify_consistency(max - 1, max, [1, 2, 3].span(), 1, 1));
    assert!(!verify_consistency(0x8000000000000000, max, [1].span(), 1, 1));
}

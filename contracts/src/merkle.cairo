//! Proofs about an append-only Merkle log: that a leaf is included, and that a longer log begins
//! with a shorter one. Tree and verification are those of RFC 9162, with Poseidon for a hash.
//!
//! A leaf's hash is the permutation of `(value, 0, 1)`, a node's that of `(left, right, 2)`. The
//! capacity, the third part, keeps the two apart: none of them can pass for the other. The root of
//! an empty log is zero.

use core::poseidon::hades_permutation;

/// The hash of a leaf that holds `value` (`poseidon_hash_single`).
pub fn leaf_hash(value: felt252) -> felt252 {
    let (hash, _, _) = hades_permutation(value, 0, 1);
    hash
}

/// The hash of a node with these two below it (`poseidon_hash`).
pub fn node_hash(left: felt252, right: felt252) -> felt252 {
    let (hash, _, _) = hades_permutation(left, right, 2);
    hash
}

/// Whether `path` proves that the leaf with hash `leaf` is at place `index`, from 0, of the log
/// with this size and root. RFC 9162, 2.1.3.2.
pub fn verify_inclusion(
    leaf: felt252, index: u64, size: u64, path: Span<felt252>, root: felt252,
) -> bool {
    if index >= size {
        return false;
    }
    // Places in the present level: of the node that is proven, and of the last.
    let mut place = index;
    let mut last = size - 1;
    let mut hash = leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if place % 2 == 1 || place == last {
            hash = node_hash(*sibling, hash);
            // A last node without a sibling rises until it is a right one.
            climb_while_left(ref place, ref last);
        } else {
            hash = node_hash(hash, *sibling);
        }
        place /= 2;
        last /= 2;
    }
    last == 0 && hash == root
}

/// Whether `path` proves that the log of size `second` and root `second_root` begins with the
/// shorter one of size `first` and root `first_root`. RFC 9162, 2.1.4.2; with the empty log every
/// other begins, by an empty path.
pub fn verify_consistency(
    first: u64, second: u64, path: Span<felt252>, first_root: felt252, second_root: felt252,
) -> bool {
    if first >= second {
        return false;
    }
    if first == 0 {
        return path.is_empty() && first_root == 0;
    }
    // Places in the present level: of the last whole node of the first log, and of the last node.
    let mut place = first - 1;
    let mut last = second - 1;
    while place % 2 == 1 {
        place /= 2;
        last /= 2;
    }
    let mut rest = path;
    let mut first_hash = first_root;
    // The path leaves that node out if it is the whole first log.
    if place != 0 {
        let Option::Some(whole) = rest.pop_front() else {
            return false;
        };
        first_hash = *whole;
    }
    let mut second_hash = first_hash;
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if place % 2 == 1 || place == last {
            first_hash = node_hash(*sibling, first_hash);
            second_hash = node_hash(*sibling, second_hash);
            climb_while_left(ref place, ref last);
        } else {
            second_hash = node_hash(second_hash, *sibling);
        }
        place /= 2;
        last /= 2;
    }
    last == 0 && first_hash == first_root && second_hash == second_root
}

/// Goes up until the node is a right one, or the first of its level.
fn climb_while_left(ref place: u64, ref last: u64) {
    while place % 2 == 0 && place != 0 {
        place /= 2;
        last /= 2;
    }
}

#[cfg(test)]
mod tests {
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
}

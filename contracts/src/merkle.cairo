//! Proofs about an append-only Merkle log: that a leaf is included, and that a longer log begins
//! with a shorter one. Tree and verification are those of RFC 9162, with Poseidon for a hash.
//!
//! A leaf's hash is the permutation of `(value, 0, 1)`, a node's that of `(left, right, 2)`. The
//! capacity, the third part, keeps the two apart: none of them can pass for the other. The root of
//! an empty log is zero.

#[cfg(test)]
mod tests;
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

"""Merkle trees and their proofs, written down from RFC 9162, section 2.1, as it says it: recursively.

Shares nothing with `medsync.protocol.merkle`, and hashes with cairo-lang's Poseidon, in Python.
"""

from collections.abc import Sequence
from functools import cache

from starkware.cairo.common.poseidon_hash import poseidon_hash, poseidon_hash_single


@cache
def leaf(value: int) -> int:
    return int(poseidon_hash_single(value))


@cache
def node(left: int, right: int) -> int:
    return int(poseidon_hash(left, right))


def largest_power_below(size: int) -> int:
    """The largest power of two smaller than `size`, the `k` of the text."""
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def tree_hash(values: Sequence[int]) -> int:
    """`MTH(D_n)`, 2.1.1; of the empty list it is zero here."""
    if not values:
        return 0
    if len(values) == 1:
        return leaf(values[0])
    k = largest_power_below(len(values))
    return node(tree_hash(values[:k]), tree_hash(values[k:]))


def inclusion(index: int, values: Sequence[int]) -> list[int]:
    """`PATH(m, D_n)`, 2.1.3.1."""
    if len(values) == 1:
        return []
    k = largest_power_below(len(values))
    if index < k:
        return [*inclusion(index, values[:k]), tree_hash(values[k:])]
    return [*inclusion(index - k, values[k:]), tree_hash(values[:k])]


def consistency(size: int, values: Sequence[int]) -> list[int]:
    """`PROOF(m, D_n)`, 2.1.4.1; empty for the empty log, of which the text has none."""
    return _subproof(size, values, whole=True) if size else []


def _subproof(size: int, values: Sequence[int], *, whole: bool) -> list[int]:
    if size == len(values):
        return [] if whole else [tree_hash(values)]
    k = largest_power_below(len(values))
    if size <= k:
        return [*_subproof(size, values[:k], whole=whole), tree_hash(values[k:])]
    return [*_subproof(size - k, values[k:], whole=False), tree_hash(values[:k])]


# --- what a proof proves, read from those definitions the other way round -----------------------------------


def root_by_inclusion(value: int, index: int, size: int, path: Sequence[int]) -> int | None:
    """The root that a leaf at `index` leads to by that path; None if the path does not fit the size."""
    if size == 1:
        return None if path else leaf(value)
    if not path:
        return None
    k = largest_power_below(size)
    left = index < k
    below = root_by_inclusion(value, index if left else index - k, k if left else size - k, path[:-1])
    if below is None:
        return None
    return node(below, path[-1]) if left else node(path[-1], below)


def is_consistent(first: int, first_root: int, second: int, second_root: int, path: Sequence[int]) -> bool:
    """Whether the path proves that the log of size `second` begins with the one of size `first`."""
    if first == 0:
        return first_root == 0 and not path
    return _roots(first, second, path, first_root, whole=True) == (first_root, second_root)


def _roots(
    first: int, second: int, path: Sequence[int], first_root: int, *, whole: bool
) -> tuple[int, int] | None:
    """Both roots, of the part of the tree that is left."""
    if first == second:
        if len(path) != (0 if whole else 1):
            return None
        return (first_root, first_root) if whole else (path[0], path[0])
    if not path:
        return None
    k = largest_power_below(second)
    if first <= k:
        below = _roots(first, k, path[:-1], first_root, whole=whole)
        return below and (below[0], node(below[1], path[-1]))
    below = _roots(first - k, second - k, path[:-1], first_root, whole=False)
    return below and (node(path[-1], below[0]), node(path[-1], below[1]))

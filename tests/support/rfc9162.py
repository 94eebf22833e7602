"""Merkle trees and their proofs, written down from RFC 9162, section 2.1, as it says it: recursively.

Shares nothing with `medsync.private.tree`, and hashes with cairo-lang's Poseidon, in Python.
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

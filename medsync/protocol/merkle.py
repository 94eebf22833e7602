"""An append-only Merkle log of felts, with proofs that a leaf is in it and that it begins with a shorter one.

Shape and proofs are RFC 9162's, section 2.1; the hash is Starknet's Poseidon permutation, whose third element
keeps a leaf, `(value, 0, 1)`, and a node, `(left, right, 2)`, apart. The root of the empty log is zero. The
contract `PrivateAnchor` verifies the very same proofs (`contracts/src/merkle.cairo`).

Where the leaves are kept is not this module's affair: a log is made of its leaves' values, in order.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from medsync.errors import VerificationError
from medsync.protocol.felt import InvalidValue, check_felt
from medsync.protocol.poseidon import PathStep, hash_path

#: The root of a log without leaves.
EMPTY_ROOT: Final = 0

#: From a value to its leaf.
_TO_LEAF: Final = PathStep(0, first=False, third=1)


def leaf_hash(value: int) -> int:
    """The hash of a leaf that holds `value`. Raises `InvalidValue` if that is not a felt."""
    check_felt(value, "leaf value")
    return hash_path(value, [_TO_LEAF])


def node_hash(left: int, right: int) -> int:
    """The hash of a node with these two hashes below it. Raises `InvalidValue` if one is not a felt."""
    return hash_path(left, [_right(right)])


def _left(sibling: int) -> PathStep:
    """From a hash to the one above it, with its sibling on the left."""
    return PathStep(sibling, first=True, third=2)


def _right(sibling: int) -> PathStep:
    """The same with its sibling on the right."""
    return PathStep(sibling, first=False, third=2)


class MerkleLog:
    """A log of any number of leaves, and of each of its earlier sizes: nothing that was in it changes.

    Two hashes per leaf are kept and computed, each once; a root or a proof then costs a few dozen at most.
    """

    def __init__(self, values: Iterable[int] = ()) -> None:
        """A log with these leaf values. Raises `InvalidValue` if a value is not a felt."""
        # By level, the hashes of all subtrees of 2**level leaves that are whole; they never change.
        self._levels: list[list[int]] = [[]]
        for value in values:
            self.append(value)

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, value: int) -> int:
        """Add a leaf and return its index. Raises `InvalidValue` if the value is not a felt."""
        index = len(self)
        self._levels[0].append(leaf_hash(value))
        place, level = index, 0
        while place % 2 == 1:
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level + 1].append(node_hash(*self._levels[level][place - 1 : place + 1]))
            place, level = place // 2, level + 1
        return index

    def root(self, size: int | None = None) -> int:
        """The root, now or when the log had `size` leaves. Raises `InvalidValue` if it never had."""
        return _root_of(self.peaks(size))

    def peaks(self, size: int | None = None) -> list[int]:
        """Roots of the whole subtrees that the log consists of, the largest first: a `Frontier`'s.

        Raises as `root` does.
        """
        size = self._size(size)
        return self._peaks(size, size.bit_length())

    def inclusion_path(self, index: int, size: int | None = None) -> list[int]:
        """The proof that the leaf at `index` is in the log, now or when it had `size` leaves.

        RFC 9162, 2.1.3.1. Raises `InvalidValue` if there was no such leaf or size.
        """
        size = self._size(size)
        if not 0 <= index < size:
            raise InvalidValue(f"a log of {size} leaves has none at index {index}")
        return self._siblings(index, 0, size)

    def consistency_path(self, first: int, second: int | None = None) -> list[int]:
        """The proof that the log, now or of size `second`, begins with the one of size `first`.

        RFC 9162, 2.1.4.1; empty if the first log is, or if both are the same. Raises `InvalidValue` if the
        log never had these sizes, in this order.
        """
        second = self._size(second)
        if not 0 <= first <= second:
            raise InvalidValue(f"a log of {second} leaves had no size {first} before")
        if first in (0, second):
            return []
        # Up to the largest whole subtree that the first log ends with.
        level = (first & -first).bit_length() - 1
        place = (first - 1) >> level
        own = [self._levels[level][place]] if place else []
        return own + self._siblings(place, level, second)

    def _size(self, size: int | None) -> int:
        if size is None:
            return len(self)
        if not 0 <= size <= len(self):
            raise InvalidValue(f"the log has {len(self)} leaves and never had {size}")
        return size

    def _siblings(self, place: int, level: int, size: int) -> list[int]:
        """What a subtree is hashed with on its way up to the root of the log of that size."""
        last = (size - 1) >> level
        path = []
        while last:
            if place % 2 == 1:
                path.append(self._levels[level][place - 1])
            elif place < last:
                path.append(self._subtree(level, place + 1, size))
            place, last, level = place // 2, last // 2, level + 1
        return path

    def _subtree(self, level: int, place: int, size: int) -> int:
        """The hash of a subtree of 2**level leaves, or of what there is of it in the log of that size."""
        if (place + 1) << level <= size:
            return self._levels[level][place]
        # Only the last one is not whole.
        return _root_of(self._peaks(size, level))

    def _peaks(self, size: int, below: int) -> list[int]:
        """Roots of the subtrees of fewer than 2**below leaves that the log of that size ends with."""
        return [
            self._levels[level][(size >> level) - 1] for level in reversed(range(below)) if size >> level & 1
        ]


class Frontier:
    """What is needed of a log to make it longer and know its root: the roots of its whole subtrees."""

    def __init__(self, size: int = 0, peaks: Iterable[int] = ()) -> None:
        """The log of this size whose `MerkleLog.peaks` these are. Whose they are, its root tells.

        Raises VerificationError if a log of that size has another number of them.
        """
        self.size = size
        self._peaks = list(peaks)
        if size < 0 or len(self._peaks) != size.bit_count():
            raise VerificationError(f"A log of {size} leaves does not have {len(self._peaks)} peaks.")

    @property
    def root(self) -> int:
        """The root."""
        return _root_of(self._peaks)

    def append(self, value: int) -> None:
        """Add a leaf. Raises `InvalidValue` if the value is not a felt."""
        check_felt(value, "leaf value")
        steps = [_TO_LEAF]
        rest = self.size
        while rest % 2 == 1:
            steps.append(_left(self._peaks.pop()))
            rest //= 2
        self._peaks.append(hash_path(value, steps))
        self.size += 1


def _root_of(peaks: Sequence[int]) -> int:
    """The root over subtrees side by side, the largest first."""
    if not peaks:
        return EMPTY_ROOT
    return hash_path(peaks[-1], [_left(peak) for peak in reversed(peaks[:-1])])


def verify_inclusion(value: int, index: int, size: int, path: Sequence[int], root: int) -> bool:
    """Whether `path` proves that `value` is the leaf at `index` in the log of this size and root.

    RFC 9162, 2.1.3.2. Raises `InvalidValue` if the value or a hash of the path is not a felt.
    """
    if not 0 <= index < size:
        return False
    check_felt(value, "leaf value")
    place, last, steps = index, size - 1, [_TO_LEAF]
    for sibling in path:
        if last == 0:
            return False
        if place % 2 == 1 or place == last:
            steps.append(_left(sibling))
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            steps.append(_right(sibling))
        place, last = place // 2, last // 2
    return last == 0 and hash_path(value, steps) == root


def verify_consistency(
    first: int, second: int, path: Sequence[int], first_root: int, second_root: int
) -> bool:
    """Whether `path` proves that the log of size and root `second` begins with the shorter one, `first`.

    RFC 9162, 2.1.4.2; with the empty log every other begins, by an empty path. Raises `InvalidValue` if a
    hash of the path is not a felt.
    """
    if not 0 <= first < second:
        return False
    if first == 0:
        return not path and first_root == EMPTY_ROOT
    place, last = first - 1, second - 1
    while place % 2 == 1:
        place, last = place // 2, last // 2
    rest = list(path)
    if place == 0:
        start = first_root
    elif rest:
        start = rest.pop(0)
    else:
        return False
    to_first, to_second = [], []
    for sibling in rest:
        if last == 0:
            return False
        if place % 2 == 1 or place == last:
            to_first.append(_left(sibling))
            to_second.append(_left(sibling))
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            to_second.append(_right(sibling))
        place, last = place // 2, last // 2
    return last == 0 and (hash_path(start, to_first), hash_path(start, to_second)) == (
        first_root,
        second_root,
    )

"""The Merkle log against RFC 9162 itself, as `tests/harness/rfc9162.py` has it, with another Poseidon."""

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsync.errors import VerificationError
from medsync.protocol import merkle
from medsync.protocol.felt import PRIME, InvalidValue
from medsync.protocol.merkle import (
    EMPTY_ROOT,
    Frontier,
    MerkleLog,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from tests.harness import rfc9162
from tests.harness.anchoring import log as values_of

LARGEST = 64
VALUES = values_of(LARGEST)
LOG = MerkleLog(VALUES)
ROOTS = [rfc9162.tree_hash(VALUES[:size]) for size in range(LARGEST + 1)]

FELTS = st.integers(0, PRIME - 1) | st.sampled_from([0, 1, 2, PRIME - 1])


# --- every size up to 64, exhaustively ----------------------------------------------------------------------


def test_every_root() -> None:
    growing = MerkleLog()
    assert growing.root() == ROOTS[0] == EMPTY_ROOT == 0
    for size, value in enumerate(VALUES, 1):
        assert growing.append(value) == size - 1
        assert len(growing) == size
        assert growing.root() == LOG.root(size) == ROOTS[size]


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_every_inclusion(size: int) -> None:
    for index in range(size):
        path = LOG.inclusion_path(index, size)
        assert path == rfc9162.inclusion(index, VALUES[:size])
        assert verify_inclusion(VALUES[index], index, size, path, ROOTS[size])


@pytest.mark.parametrize("second", range(LARGEST + 1))
def test_every_growth(second: int) -> None:
    for first in range(second + 1):
        path = LOG.consistency_path(first, second)
        assert path == rfc9162.consistency(first, VALUES[:second])
        # Nothing grows into what it is already.
        assert verify_consistency(first, second, path, ROOTS[first], ROOTS[second]) == (first < second)


@pytest.mark.parametrize("size", [*range(1, 18), 31, 33])
def test_every_frontier(size: int) -> None:
    frontier = Frontier(size, LOG.peaks(size))
    assert frontier.root == ROOTS[size]
    for longer in range(size + 1, size + 18):
        frontier.append(VALUES[longer - 1])
        assert (frontier.size, frontier.root) == (longer, ROOTS[longer])


def test_a_frontier_may_begin_with_nothing() -> None:
    frontier = Frontier()
    assert (frontier.size, frontier.root) == (0, EMPTY_ROOT)
    frontier.append(VALUES[0])
    assert frontier.root == ROOTS[1]


# --- nothing else is proven ---------------------------------------------------------------------------------


def spoiled(path: list[int]) -> Iterator[list[int]]:
    """A proof with one thing wrong with it."""
    for place in range(len(path)):
        yield [*path[:place], (path[place] + 1) % PRIME, *path[place + 1 :]]
        yield path[:place] + path[place + 1 :]
        yield [*path[: place + 1], *path[place:]]
        if place and path[place] != path[place - 1]:
            yield [*path[: place - 1], path[place], path[place - 1], *path[place + 1 :]]
    yield [*path, 0]
    yield [0, *path]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_no_other_inclusion(size: int) -> None:
    for index in range(size):
        path = LOG.inclusion_path(index, size)
        for wrong in spoiled(path):
            assert not verify_inclusion(VALUES[index], index, size, wrong, ROOTS[size])
        for place in {*range(size + 2), -1, 2**64 - 1} - {index}:
            assert not verify_inclusion(VALUES[index], place, size, path, ROOTS[size])
        assert not verify_inclusion(VALUES[index] + 1, index, size, path, ROOTS[size])
        assert not verify_inclusion(VALUES[index], index, size, path, ROOTS[size] + 1)


@pytest.mark.parametrize("second", [1, 2, 3, 5, 8, 13])
def test_no_other_growth(second: int) -> None:
    for first in range(second):
        path = LOG.consistency_path(first, second)
        for wrong in spoiled(path):
            assert not verify_consistency(first, second, wrong, ROOTS[first], ROOTS[second])
        assert not verify_consistency(first, second, path, ROOTS[first] + 1, ROOTS[second])
        if first:
            assert not verify_consistency(first, second, path, ROOTS[first], ROOTS[second] + 1)
        assert not verify_consistency(second, first, path, ROOTS[second], ROOTS[first])
        assert not verify_consistency(-1, second, path, ROOTS[first], ROOTS[second])


def test_a_leaf_is_no_node_and_a_node_no_leaf() -> None:
    left, right = ROOTS[2], rfc9162.tree_hash(VALUES[2:4])
    assert MerkleLog([left, right]).root() != node_hash(left, right) == ROOTS[4]
    assert not verify_inclusion(left, 0, 2, [right], ROOTS[4])
    assert leaf_hash(5) != node_hash(5, 0)


# --- any log ------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.lists(FELTS, min_size=1, max_size=40), st.data())
def test_any_log(values: list[int], data: st.DataObject) -> None:
    log = MerkleLog(values)
    second = data.draw(st.integers(1, len(values)))
    first = data.draw(st.integers(0, second - 1))
    index = data.draw(st.integers(0, second - 1))
    assert log.root(second) == rfc9162.tree_hash(values[:second])
    inclusion, growth = log.inclusion_path(index, second), log.consistency_path(first, second)
    assert inclusion == rfc9162.inclusion(index, values[:second])
    assert growth == rfc9162.consistency(first, values[:second])
    assert verify_inclusion(values[index], index, second, inclusion, log.root(second))
    assert verify_consistency(first, second, growth, log.root(first), log.root(second))
    changed = list(values)
    changed[index] = (changed[index] + 1) % PRIME
    other = MerkleLog(changed)
    if index < first:
        path = other.consistency_path(first, second)
        assert not verify_consistency(first, second, path, log.root(first), other.root(second))


@settings(max_examples=200)
@given(FELTS, FELTS)
def test_hashes_are_cairo_langs(left: int, right: int) -> None:
    assert leaf_hash(left) == rfc9162.leaf(left)
    assert node_hash(left, right) == rfc9162.node(left, right)


# --- what it costs ------------------------------------------------------------------------------------------


def test_a_hundred_thousand_leaves_cost_two_hashes_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is hashed twice; a root or a proof takes a few hashes. Counted, with no hash at all."""
    numbers = count()
    monkeypatch.setattr(merkle, "leaf_hash", lambda value: next(numbers))
    monkeypatch.setattr(merkle, "node_hash", lambda left, right: next(numbers))
    size = 100_000
    log = MerkleLog(range(size))
    assert next(numbers) == 2 * size - size.bit_count()
    for ask in (
        log.root,
        lambda: log.root(77_777),
        lambda: log.inclusion_path(12_345),
        lambda: log.inclusion_path(98_303, 98_305),
        lambda: log.consistency_path(65_537, 99_999),
    ):
        before = next(numbers)
        ask()
        assert next(numbers) - before <= size.bit_length()


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, PRIME, True, "1"])
def test_a_leaf_is_a_felt(value: int) -> None:
    for appending in (MerkleLog().append, Frontier().append):
        with pytest.raises(InvalidValue, match="leaf value"):
            appending(value)


def test_sizes_and_places_that_never_were() -> None:
    log = MerkleLog(VALUES[:5])
    for size in (-1, 6):
        for ask in (log.root, log.peaks, lambda size: log.inclusion_path(0, size)):
            with pytest.raises(InvalidValue, match="has 5 leaves and never had"):
                ask(size)
    for index in (-1, 5):
        with pytest.raises(InvalidValue, match=f"none at index {index}"):
            log.inclusion_path(index)
    with pytest.raises(InvalidValue, match="a log of 0 leaves has none"):
        log.inclusion_path(0, 0)
    for first, second in ((4, 3), (-1, 3), (6, 5)):
        with pytest.raises(InvalidValue, match=f"had no size {first} before"):
            log.consistency_path(first, second)


@pytest.mark.parametrize(("size", "peaks"), [(0, [1]), (1, []), (3, [1]), (4, [1, 2]), (-1, [1])])
def test_peaks_that_do_not_fit(size: int, peaks: list[int]) -> None:
    with pytest.raises(VerificationError, match=f"A log of {size} leaves does not have {len(peaks)} peaks"):
        Frontier(size, peaks)

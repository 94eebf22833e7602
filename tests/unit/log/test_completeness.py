"""A history is whole or its faults are found: missing, altered, reordered and invented entries of every kind,
in each of the three histories."""

import time
from dataclasses import fields, replace
from enum import IntEnum, IntFlag
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsync.log.completeness import FaultKind, history_faults
from medsync.log.histories import Checkpoint, History
from medsync.protocol.chains import KINDS, Chain, ChainEvent
from medsync.protocol.events import EventLocation, RegistryEvent
from medsync.protocol.felt import InvalidValue
from medsync.protocol.types import Head
from medsync.protocol.vocabulary import Purpose
from tests.harness.histories import (
    ENTRIES,
    HEAD,
    HISTORY,
    PATIENT,
    digest_of,
    digests_of,
    history_of,
)

HISTORIES = {history.chain: history for history in HISTORY.histories}
STATED = {chain: dict(enumerate(digests_of(history.entries), 1)) for chain, history in HISTORIES.items()}

#: Every entry of each history, by name and position.
PLACES = [
    pytest.param(chain, index, id=f"{chain.name}-{index + 1}-{type(entry).__name__}")
    for chain, history in HISTORIES.items()
    for index, entry in enumerate(history.entries)
]
EVERY_ENTRY = pytest.mark.parametrize(("chain", "index"), PLACES)
WITH_AND_WITHOUT_DIGESTS = pytest.mark.parametrize("with_digests", [False, True])


def faults(
    history: History[Any], entries: Any, *, head: Head | None = None, stated: dict[int, int] | None = None
) -> list[tuple[str, int | None]]:
    found = history_faults(replace(history, entries=tuple(entries)), head, stated)
    return [(fault.kind.value, fault.seq) for fault in found]


def stated(chain: Chain, with_digests: bool) -> dict[int, int] | None:
    return dict(STATED[chain]) if with_digests else None


def other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, IntFlag):
        return type(value)(int(value) ^ 1)
    if isinstance(value, IntEnum | Purpose):
        members = list(type(value))
        return members[(members.index(value) + 1) % len(members)]
    return value + 1


def test_every_kind_of_entry_is_in_the_sample() -> None:
    assert {type(entry) for entry in HISTORY.entries} == set(KINDS)


@pytest.mark.parametrize("chain", Chain)
@WITH_AND_WITHOUT_DIGESTS
def test_whole_history(chain: Chain, with_digests: bool) -> None:
    history = HISTORIES[chain]
    assert faults(history, history.entries, stated=stated(chain, with_digests)) == []
    assert faults(history, [], head=Head(0, 0), stated={} if with_digests else None) == []


def test_location_is_no_part_of_a_history() -> None:
    for history in HISTORIES.values():
        moved = [replace(entry, location=EventLocation(9, 9)) for entry in history.entries]
        bare = [replace(entry, location=None) for entry in history.entries]
        assert faults(history, moved) == faults(history, bare) == []


# --- every kind of entry: missing, altered, reordered, invented ---------------------------------------------


@EVERY_ENTRY
@WITH_AND_WITHOUT_DIGESTS
def test_missing_entry(chain: Chain, index: int, with_digests: bool) -> None:
    history, digests = HISTORIES[chain], stated(chain, with_digests)
    kept = [entry for entry in history.entries if entry.seq != index + 1]
    if digests:
        del digests[index + 1]
    assert ("missing", index + 1) in faults(history, kept, stated=digests)


@EVERY_ENTRY
def test_altered_field(chain: Chain, index: int) -> None:
    """Every field of every entry, except those that say where it stands."""
    history = HISTORIES[chain]
    entry: Any = history.entries[index]
    owner = set() if isinstance(entry, RegistryEvent) else {"patient"}
    altered = [field.name for field in fields(entry) if field.name not in {"location", "seq"} | owner]
    assert altered
    for name in altered:
        entries = list(history.entries)
        entries[index] = replace(entry, **{name: other(getattr(entry, name))})
        assert faults(history, entries, stated=STATED[chain]) == [("altered", index + 1)], name
        assert faults(history, entries) == [("altered", None)], name


@EVERY_ENTRY
def test_an_entry_that_passes_for_one_of_another_kind_is_altered(chain: Chain, index: int) -> None:
    """Kinds with the same fields differ by their code alone."""
    history = HISTORIES[chain]
    entry: Any = history.entries[index]
    values = {field.name: getattr(entry, field.name) for field in fields(entry)}
    for kind in chain.kinds:
        same = {field.name for field in fields(kind)} == set(values)
        if same and kind is not type(entry):
            entries = list(history.entries)
            entries[index] = kind(**values)
            assert faults(history, entries, stated=STATED[chain]) == [("altered", index + 1)]


@EVERY_ENTRY
@WITH_AND_WITHOUT_DIGESTS
def test_reordered_entries(chain: Chain, index: int, with_digests: bool) -> None:
    history = HISTORIES[chain]
    entries: list[ChainEvent] = list(history.entries)
    before = index or 1
    entries[before - 1], entries[before] = entries[before], entries[before - 1]
    expected = [("reordered", before)]
    assert faults(history, entries, stated=stated(chain, with_digests)) == expected


@EVERY_ENTRY
@WITH_AND_WITHOUT_DIGESTS
def test_renumbered_entries(chain: Chain, index: int, with_digests: bool) -> None:
    """Two entries that change places and numbers are two altered entries."""
    history = HISTORIES[chain]
    entries: list[Any] = list(history.entries)
    before = index or 1
    first, second = entries[before - 1], entries[before]
    entries[before - 1], entries[before] = replace(second, seq=before), replace(first, seq=before + 1)
    expected = [("altered", before), ("altered", before + 1)] if with_digests else [("altered", None)]
    assert faults(history, entries, stated=stated(chain, with_digests)) == expected


@EVERY_ENTRY
@WITH_AND_WITHOUT_DIGESTS
def test_invented_entries(chain: Chain, index: int, with_digests: bool) -> None:
    history, digests = HISTORIES[chain], stated(chain, with_digests)
    entry: Any = history.entries[index]
    count = history.head.count
    appended = replace(entry, seq=count + 1)
    grown = digests and digests | {count + 1: digest_of(appended, history.head.head)}
    assert ("invented", count + 1) in faults(history, [*history.entries, appended], stated=grown)
    assert ("invented", 0) in faults(history, [replace(entry, seq=0), *history.entries], stated=digests)
    twice = [*history.entries[: index + 1], *history.entries[index:]]
    assert ("invented", index + 1) in faults(history, twice, stated=digests)
    for name, foreign in HISTORIES.items():
        if name is not chain and index < len(foreign.entries):
            entries: list[ChainEvent] = list(foreign.entries)
            entries[index] = entry
            assert ("invented", index + 1) in faults(foreign, entries, stated=STATED[name])


@pytest.mark.parametrize(
    ("chain", "index"), [place for place in PLACES if place.values[0] is not Chain.REGISTRY]
)
@WITH_AND_WITHOUT_DIGESTS
def test_an_entry_of_another_patient_is_invented(chain: Chain, index: int, with_digests: bool) -> None:
    history = HISTORIES[chain]
    entries: list[Any] = list(history.entries)
    entries[index] = replace(entries[index], patient=PATIENT + 1)
    assert ("invented", index + 1) in faults(history, entries, stated=stated(chain, with_digests))


# --- digests that are stated --------------------------------------------------------------------------------


@EVERY_ENTRY
def test_forged_digests_end_at_the_head(chain: Chain, index: int) -> None:
    """Anyone who alters an entry and every digest after it still cannot reach the head."""
    history = HISTORIES[chain]
    entries: list[Any] = list(history.entries)
    entries[index] = replace(entries[index], at=entries[index].at + 1)
    forged = dict(enumerate(digests_of(tuple(entries)), 1))
    assert faults(history, entries, stated=forged) == [("altered", None)]


def test_missing_digest_is_a_fault() -> None:
    digests = {seq: digest for seq, digest in STATED[Chain.ACCESSES].items() if seq != HEAD.count}
    assert ("altered", HEAD.count) in faults(HISTORY.accesses, ENTRIES, stated=digests)


def test_a_digest_cannot_move_the_beginning() -> None:
    """A first entry that is left out is not made good by a digest for number zero."""
    shifted = [replace(entry, seq=entry.seq - 1) for entry in ENTRIES]
    digests = {seq - 1: digest for seq, digest in STATED[Chain.ACCESSES].items()}
    found = faults(HISTORY.accesses, shifted, stated=digests)
    assert ("invented", 0) in found
    assert ("missing", HEAD.count) in found


# --- heads --------------------------------------------------------------------------------------------------


def test_gaps_are_told_as_ranges() -> None:
    found = history_faults(replace(HISTORY.accesses, entries=ENTRIES[2:3]))
    assert [str(fault) for fault in found] == [
        "missing: entries 1 to 2 of 8 not there",
        "missing: entries 4 to 8 of 8 not there",
    ]


def test_false_count_costs_nothing() -> None:
    started = time.monotonic()
    assert faults(HISTORY.accesses, ENTRIES, head=Head(2**32 - 1, HEAD.head)) == [("missing", 9)]
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("chain", Chain)
def test_wrong_chain_or_contract(chain: Chain) -> None:
    history = HISTORIES[chain]
    for change in ({"chain_id": history.chain_id + 1}, {"contract": history.contract + 1}):
        found = history_faults(replace(history, **change))
        assert [fault.kind for fault in found] == [FaultKind.ALTERED]
    other_chain = next(kind for kind in Chain if kind is not chain)
    found = history_faults(replace(history, chain=other_chain))
    assert {fault.kind for fault in found} == {FaultKind.INVENTED}


@given(
    st.permutations(range(len(ENTRIES))),
    st.sets(st.integers(0, len(ENTRIES) - 1)),
    st.lists(st.integers(0, len(ENTRIES) - 1), max_size=2),
    st.booleans(),
)
def test_only_the_log_itself_passes(
    order: list[int], dropped: set[int], doubled: list[int], with_digests: bool
) -> None:
    entries = [ENTRIES[index] for index in (*order, *doubled) if index not in dropped]
    digests = {entry.seq: STATED[Chain.ACCESSES][entry.seq] for entry in entries}
    found = faults(HISTORY.accesses, entries, stated=digests if with_digests else None)
    assert (found == []) == (entries == list(ENTRIES))


def test_an_entry_that_is_there_twice_in_a_row_is_only_invented() -> None:
    assert faults(HISTORY.accesses, [ENTRIES[0], *ENTRIES]) == [("invented", 1)]


def test_an_entry_of_an_empty_history_leads_nowhere() -> None:
    found = faults(HISTORY.accesses, ENTRIES[:1], head=Head(0, 0), stated={})
    assert found == [("invented", 1), ("altered", 1)]


# --- from a checkpoint on -----------------------------------------------------------------------------------


def split(chain: Chain, seq: int) -> tuple[History[Any], History[Any]]:
    """The history up to an entry, and the part that continues from its checkpoint."""
    whole = HISTORIES[chain]
    first = history_of(chain, whole.entries[:seq])
    return first, replace(whole, entries=whole.entries[seq:], known=first.checkpoint)


@EVERY_ENTRY
@WITH_AND_WITHOUT_DIGESTS
def test_a_part_continues_from_every_entry(chain: Chain, index: int, with_digests: bool) -> None:
    first, later = split(chain, index + 1)
    digests = with_digests and {seq: digest for seq, digest in STATED[chain].items() if seq > index + 1}
    assert faults(later, later.entries, stated=digests or None) == []
    assert first.followed_by(later) == HISTORIES[chain]


def test_what_a_part_leaves_out_repeats_or_alters_is_found() -> None:
    _, later = split(Chain.ACCESSES, 3)
    assert later.known is not None
    assert faults(later, later.entries[1:]) == [("missing", 4)]
    assert faults(later, ENTRIES[2:]) == [("invented", 3)]
    forged = replace(later, known=replace(later.known, head=later.known.head + 1))
    assert faults(forged, forged.entries) == [("altered", None)]
    assert faults(forged, forged.entries, stated=STATED[Chain.ACCESSES]) == [("altered", 4)]


def test_a_history_that_got_shorter_or_changed_its_end_is_found() -> None:
    whole = HISTORY.accesses
    grown = replace(whole, entries=(), known=whole.checkpoint)
    assert faults(grown, []) == []
    assert (
        faults(grown, [], head=Head(5, STATED[Chain.ACCESSES][5])) == [("missing", 6), ("altered", None)][:1]
    )
    assert faults(grown, [], head=Head(8, 1)) == [("altered", None)]


def test_parts_that_do_not_belong_together_are_refused() -> None:
    first, later = split(Chain.ACCESSES, 3)
    with pytest.raises(InvalidValue, match="another history"):
        HISTORY.consents.followed_by(later)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="does not continue"):
        split(Chain.ACCESSES, 4)[0].followed_by(later)
    with pytest.raises(InvalidValue, match="does not continue"):
        first.followed_by(replace(later, known=None))


@pytest.mark.parametrize(
    ("field", "bound"), [("seq", 2**32), ("head", 2**251 + 17 * 2**192 + 1), ("block_hash", -1)]
)
def test_a_checkpoint_has_bounds(field: str, bound: int) -> None:
    with pytest.raises(InvalidValue, match=field.replace("_", " ")):
        replace(Checkpoint(1, 2, 3), **{field: bound})

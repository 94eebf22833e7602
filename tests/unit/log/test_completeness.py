"""A log is whole or its faults are found: missing, altered, reordered and invented entries, one by one."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsync.log.completeness import FaultKind, entry_digests, log_faults
from medsync.protocol.events import EventLocation
from medsync.protocol.types import LogHead
from medsync.protocol.vocabulary import Decision, Reason
from tests.harness.histories import CHAIN, CONTRACT, DIGESTS, ENTRIES, HEAD, HOSPITAL, PATIENT, entry

STATED = dict(enumerate(DIGESTS, 1))


def faults(entries, head=HEAD, stated=None):
    found = log_faults(CHAIN, CONTRACT, PATIENT, entries, head, stated)
    return [(fault.kind.value, fault.seq) for fault in found]


@pytest.mark.parametrize("stated", [None, STATED])
def test_whole_log(stated):
    assert faults(ENTRIES, stated=stated) == []
    assert faults([], LogHead(0, 0), stated) == []


def test_location_is_no_part_of_the_log():
    moved = [replace(entry, location=EventLocation(9, 9)) for entry in ENTRIES]
    assert faults([replace(entry, location=None) for entry in ENTRIES]) == faults(moved) == []


@pytest.mark.parametrize("gone", range(1, 6))
@pytest.mark.parametrize("stated", [None, STATED])
def test_missing_entry(gone, stated):
    kept = [entry for entry in ENTRIES if entry.seq != gone]
    kept_digests = stated and {seq: digest for seq, digest in stated.items() if seq != gone}
    assert ("missing", gone) in faults(kept, stated=kept_digests)


def test_gaps_are_told_as_ranges():
    found = log_faults(CHAIN, CONTRACT, PATIENT, [ENTRIES[2]], HEAD)
    assert [str(fault) for fault in found] == [
        "missing: entries 1 to 2 of 5 not there",
        "missing: entries 4 to 5 of 5 not there",
    ]


def test_false_count_costs_nothing():
    started = time.monotonic()
    assert faults(ENTRIES, LogHead(2**32 - 1, HEAD.head)) == [("missing", 6)]
    assert time.monotonic() - started < 1


CHANGES = {
    "accessor": HOSPITAL,
    "at": 1,
    "decision": Decision.DENY,
    "reason": Reason.EXPIRED,
    "version": 9,
    "categories": ENTRIES[1].categories,
    "record": 1,
    "campaign": 1,
    "justification": 1,
    "purpose": ENTRIES[2].purpose,
}


@pytest.mark.parametrize("field", CHANGES)
def test_altered_field(field):
    for position in range(5):
        if getattr(ENTRIES[position], field) == CHANGES[field]:
            continue
        entries = list(ENTRIES)
        entries[position] = replace(entries[position], **{field: CHANGES[field]})
        assert faults(entries, stated=STATED) == [("altered", position + 1)]
        assert faults(entries) == [("altered", None)]


def test_forged_digests_end_at_the_head():
    """Whoever alters an entry and every digest after it still cannot reach the head."""
    entries = [ENTRIES[0], replace(ENTRIES[1], reason=Reason.EXPIRED), *ENTRIES[2:]]
    forged = dict(enumerate(entry_digests(CHAIN, CONTRACT, entries), 1))
    assert faults(entries, stated=forged) == [("altered", None)]


@pytest.mark.parametrize("stated", [None, STATED])
def test_reordered_entries(stated):
    swapped = [ENTRIES[0], ENTRIES[2], ENTRIES[1], *ENTRIES[3:]]
    assert faults(swapped, stated=stated) == [("reordered", 2)]


@pytest.mark.parametrize("stated", [None, STATED])
def test_renumbered_entries(stated):
    """Two entries that change places and numbers are two altered entries."""
    swapped = [ENTRIES[0], replace(ENTRIES[2], seq=2), replace(ENTRIES[1], seq=3), *ENTRIES[3:]]
    expected = [("altered", None)] if stated is None else [("altered", 2), ("altered", 3)]
    assert faults(swapped, stated=stated) == expected


@pytest.mark.parametrize("stated", [None, STATED])
def test_invented_entries(stated):
    invented = entry(6, Decision.PERMIT, Reason.GRANTED)
    grown = (stated or {}) | {6: entry_digests(CHAIN, CONTRACT, [*ENTRIES, invented])[5]}
    assert ("invented", 6) in faults([*ENTRIES, invented], stated=stated and grown)
    assert ("invented", 0) in faults([replace(invented, seq=0), *ENTRIES], stated=stated)
    assert ("invented", 3) in faults([*ENTRIES[:3], ENTRIES[2], *ENTRIES[3:]], stated=stated)
    foreign = replace(ENTRIES[0], patient=PATIENT + 1)
    assert ("invented", 1) in faults([foreign, *ENTRIES[1:]], stated=stated)


def test_wrong_chain_or_contract():
    for chain, contract in ((CHAIN + 1, CONTRACT), (CHAIN, CONTRACT + 1)):
        found = log_faults(chain, contract, PATIENT, ENTRIES, HEAD)
        assert [fault.kind for fault in found] == [FaultKind.ALTERED]


def test_missing_digest_is_a_fault():
    without = {seq: digest for seq, digest in STATED.items() if seq != 5}
    assert ("altered", 5) in faults(ENTRIES, stated=without)


@given(
    st.permutations(range(5)),
    st.sets(st.integers(0, 4)),
    st.lists(st.integers(0, 4), max_size=2),
    st.booleans(),
)
def test_only_the_log_itself_passes(order, dropped, doubled, with_digests):
    entries = [ENTRIES[index] for index in (*order, *doubled) if index not in dropped]
    stated = {entry.seq: STATED[entry.seq] for entry in entries} if with_digests else None
    assert (faults(entries, stated=stated) == []) == (entries == list(ENTRIES))


def test_an_entry_that_is_there_twice_in_a_row_is_only_invented():
    assert faults([ENTRIES[0], *ENTRIES]) == [("invented", 1)]


def test_an_entry_of_an_empty_log_leads_nowhere():
    assert faults(ENTRIES[:1], LogHead(0, 0), {}) == [("invented", 1), ("altered", 1)]

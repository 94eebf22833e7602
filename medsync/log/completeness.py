"""Whether a list of entries is a whole history: every entry once, in order, unaltered, none added.

The contract keeps three kinds of provable histories: the consents of a patient, the accesses of a patient,
and the registry. Of each it publishes the end of a hash chain, the head. Entries that recompute to that head
are the ones that were written, all of them, in that order: **append-only** is what this shows, and that every
one of them is **included**. It shows so only for a head that was read from the chain itself, and only as of
the block it was read at: an older head with older entries passes as well.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from medsync.log.histories import Checkpoint, History
from medsync.protocol.chains import (
    HEAD_BITS,
    Chain,
    ChainEvent,
    chain_of,
    entry_digests,
    entry_felts,
    prefix_of,
    subject_of,
)
from medsync.protocol.events import event_name
from medsync.protocol.poseidon import hash_each
from medsync.protocol.types import Head


class FaultKind(StrEnum):
    """What is wrong with a history."""

    MISSING = "missing"
    ALTERED = "altered"
    REORDERED = "reordered"
    INVENTED = "invented"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a history."""

    kind: FaultKind
    #: The entry's position in the history; None if the fault cannot be pinned to one.
    seq: int | None
    #: What was found, for people.
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def history_faults(
    history: History[ChainEvent], head: Head | None = None, stated: Mapping[int, int] | None = None
) -> list[Fault]:
    """What keeps the entries from being the whole history with that head; an empty list if nothing does.

    `head` is the one that was read from the chain, by default the history's own. Entries that continue from a
    checkpoint must be all that follow it. `stated` may give digests by position, as an export carries them:
    they let a fault be pinned to an entry, and are themselves checked against the head. Without them a wrong
    chain is one fault without position.
    """
    end = head or history.head
    start = history.known or Checkpoint(0, 0, 0)
    faults = _misplaced(history.chain, history.subject, history.entries, start.seq, end.count)
    if stated is None:
        if not faults:
            digests = entry_digests(history.chain_id, history.contract, history.entries, start.head)
            faults += _wrong_end([start.head, *digests][-1], end)
        return faults
    known = dict(stated) | {start.seq: start.head}
    # An entry after a missing one, which is a fault of its own, cannot be hashed, nor one of another history.
    linked = [
        entry
        for entry in history.entries
        if entry.seq - 1 in known and _belongs(entry, history.chain, history.subject)
    ]
    prefix = prefix_of(history.chain_id, history.contract, history.chain, history.subject)
    felts = ((known[entry.seq - 1], *entry_felts(entry)) for entry in linked)
    for entry, digest in zip(linked, hash_each(prefix, felts, HEAD_BITS), strict=True):
        if digest != known.get(entry.seq):
            detail = f"entry {entry.seq} does not give the digest it states"
            faults.append(Fault(FaultKind.ALTERED, entry.seq, detail))
    last = max((entry.seq for entry in history.entries), default=start.seq)
    return faults + _wrong_end(known.get(last, 0), end)


def _belongs(entry: ChainEvent, chain: Chain, subject: int) -> bool:
    return chain_of(entry) is chain and subject_of(entry) == subject


def _misplaced(
    chain: Chain, subject: int, entries: Sequence[ChainEvent], start: int, count: int
) -> list[Fault]:
    """Faults that the positions alone show."""
    faults = []
    times = Counter(entry.seq for entry in entries)
    for entry in entries:
        if not _belongs(entry, chain, subject):
            owner = f" of {subject_of(entry):#x}" if subject_of(entry) else ""
            detail = f"entry {entry.seq}, {event_name(entry)}{owner}, belongs to another history"
            faults.append(Fault(FaultKind.INVENTED, entry.seq, detail))
    for seq, found in times.items():
        if not start < seq <= count:
            written = f"the {count} entries that were written"
            detail = f"entry {seq} is beyond {written}" if seq > count else f"entry {seq} was known before"
            faults.append(Fault(FaultKind.INVENTED, seq, detail))
        elif found > 1:
            faults.append(Fault(FaultKind.INVENTED, seq, f"entry {seq} is there {found} times"))
    if count < start:
        detail = f"{start} entries were known before, the head counts {count}"
        faults.append(Fault(FaultKind.MISSING, count + 1, detail))
    # Gap by gap, not entry by entry: a false count must not cost more than the entries that are there.
    present = sorted(seq for seq in times if start < seq <= count)
    for before, after in pairwise([start, *present, count + 1]):
        if after - before > 1:
            gap = f"entry {before + 1}" if after - before == 2 else f"entries {before + 1} to {after - 1}"
            faults.append(Fault(FaultKind.MISSING, before + 1, f"{gap} of {count} not there"))
    for earlier, entry in pairwise(entries):
        if entry.seq < earlier.seq:
            detail = f"entry {entry.seq} stands after entry {earlier.seq}"
            faults.append(Fault(FaultKind.REORDERED, entry.seq, detail))
    return faults


def _wrong_end(end: int, head: Head) -> list[Fault]:
    if end == head.head:
        return []
    detail = f"the entries lead to {hex(end)}, the head is {hex(head.head)}"
    return [Fault(FaultKind.ALTERED, None, detail)]

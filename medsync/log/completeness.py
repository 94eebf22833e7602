"""Whether a list of log entries is a patient's whole log: every entry once, in order, unaltered, none added.

The contract keeps a hash chain per patient and publishes its end, the head. Entries that recompute to that
head are the ones that were logged, all of them, in that order: **append-only** is what this shows, and that
every one of them is **included**. It shows so only for a head that was read from the chain itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Final

from medsync.protocol.events import LogEntry
from medsync.protocol.felt import encode_short_string
from medsync.protocol.poseidon import hash_chain, hash_each
from medsync.protocol.types import LogHead

#: First felt of every log entry's digest: keeps it apart from every other hash.
LOG_TAG: Final = encode_short_string("MEDSYNC/LOG/1")

#: A log head is a Poseidon hash cut to its lowest bits, so that it shares one cell with the count (u32).
#: Colliding two entries still costs about 2**109 hashes.
HEAD_BITS: Final = 219


class FaultKind(StrEnum):
    """What is wrong with a log."""

    MISSING = "missing"
    ALTERED = "altered"
    REORDERED = "reordered"
    INVENTED = "invented"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a log."""

    kind: FaultKind
    #: The entry's position in the log; None if the fault cannot be pinned to one.
    seq: int | None
    #: What was found, for people.
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def entry_digest(chain_id: int, contract: int, previous_head: int, entry: LogEntry) -> int:
    """The digest of a log entry, which is the patient's log head right after it.

    `previous_head` is the head before the entry, zero for the first. The chain and the contract are hashed
    in, so an entry means nothing in another log. Where the event was found (`entry.location`) is not part of
    it.
    """
    prefix = (LOG_TAG, chain_id, contract, entry.patient)
    return hash_chain(prefix, previous_head, [_fields(entry)], HEAD_BITS)[0]


def entry_digests(chain_id: int, contract: int, entries: Sequence[LogEntry]) -> list[int]:
    """The digest of every entry of a complete log, from its first entry on; the last one is the head."""
    digests: list[int] = []
    for patient, own in groupby(entries, key=attrgetter("patient")):
        prefix = (LOG_TAG, chain_id, contract, patient)
        digests += hash_chain(prefix, digests[-1] if digests else 0, map(_fields, own), HEAD_BITS)
    return digests


def _fields(entry: LogEntry) -> tuple[int, ...]:
    """What an entry's digest is made of, after tag, chain, contract, patient and the head before it."""
    return (
        entry.seq,
        entry.at,
        entry.accessor,
        entry.purpose.felt,
        int(entry.categories),
        entry.record,
        int(entry.decision),
        int(entry.reason),
        entry.version,
        entry.campaign,
        entry.justification,
    )


def log_faults(
    chain_id: int,
    contract: int,
    patient: int,
    entries: Sequence[LogEntry],
    head: LogHead,
    stated: Mapping[int, int] | None = None,
) -> list[Fault]:
    """What keeps `entries` from being the patient's whole log with that head; an empty list if nothing does.

    `stated` may give digests by position, as an export carries them: they let a fault be pinned to an entry,
    and are themselves checked against the head. Without them a wrong chain is one fault without position.
    """
    faults = _misplaced(patient, entries, head.count)
    if stated is None:
        if not faults:
            end = [0, *entry_digests(chain_id, contract, entries)][-1]
            faults += _wrong_end(end, head)
        return faults
    digests = {0: 0} | dict(stated)
    # An entry after a missing one, which is a fault of its own, cannot be hashed.
    linked = [entry for entry in entries if entry.seq - 1 in digests]
    for patient, own in groupby(linked, key=attrgetter("patient")):
        group = list(own)
        prefix = (LOG_TAG, chain_id, contract, patient)
        fields = ((digests[entry.seq - 1], *_fields(entry)) for entry in group)
        for entry, digest in zip(group, hash_each(prefix, fields, HEAD_BITS), strict=True):
            if digest != digests.get(entry.seq):
                detail = f"entry {entry.seq} does not give the digest it states"
                faults.append(Fault(FaultKind.ALTERED, entry.seq, detail))
    last = max((entry.seq for entry in entries), default=0)
    return faults + _wrong_end(digests.get(last, 0), head)


def _misplaced(patient: int, entries: Sequence[LogEntry], count: int) -> list[Fault]:
    """Faults that the positions alone show."""
    faults = []
    times = Counter(entry.seq for entry in entries)
    for entry in entries:
        if entry.patient != patient:
            detail = f"entry {entry.seq} belongs to the log of {hex(entry.patient)}"
            faults.append(Fault(FaultKind.INVENTED, entry.seq, detail))
    for seq, found in times.items():
        if not 1 <= seq <= count:
            detail = f"entry {seq} is beyond the {count} entries that were logged"
            faults.append(Fault(FaultKind.INVENTED, seq, detail))
        elif found > 1:
            faults.append(Fault(FaultKind.INVENTED, seq, f"entry {seq} is there {found} times"))
    # Gap by gap, not entry by entry: a false count must not cost more than the entries that are there.
    present = sorted(seq for seq in times if 1 <= seq <= count)
    for before, after in pairwise([0, *present, count + 1]):
        if after - before > 1:
            gap = f"entry {before + 1}" if after - before == 2 else f"entries {before + 1} to {after - 1}"
            faults.append(Fault(FaultKind.MISSING, before + 1, f"{gap} of {count} not there"))
    for earlier, entry in pairwise(entries):
        if entry.seq < earlier.seq:
            detail = f"entry {entry.seq} stands after entry {earlier.seq}"
            faults.append(Fault(FaultKind.REORDERED, entry.seq, detail))
    return faults


def _wrong_end(end: int, head: LogHead) -> list[Fault]:
    if end == head.head:
        return []
    detail = f"the entries lead to {hex(end)}, the log's head is {hex(head.head)}"
    return [Fault(FaultKind.ALTERED, None, detail)]

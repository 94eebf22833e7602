"""The three provable histories: consent histories and access logs of patients, and the registry's.

The contract keeps, for each, a hash chain whose end is the head. The digest of an entry is Poseidon over the
chain's tag, the network's id, the contract, the subject, the digest before it, the entry's number, its
second, its kind, and every other field of its event in the event's order, cut to its lowest 219 bits. The
subject is the patient, or zero for the registry. Source: `contracts/interfaces/src/chain.cairo`.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Final

from medsync.protocol.events import (
    EVENTS,
    AccessEvent,
    AdminTransferBegun,
    AdminTransferCancelled,
    AdminTransferred,
    AllConsentsRevoked,
    ConsentAdded,
    ConsentEvent,
    ConsentRefused,
    ConsentRevoked,
    DelegatesDismissed,
    DelegateSet,
    DeletionStated,
    EmergencyChoiceSet,
    EmergencyContested,
    EmergencyHospitalSet,
    EmergencyJustified,
    EntityRegistered,
    EntityReinstated,
    EntitySuspended,
    Event,
    LogEntry,
    ProfileChanged,
    PurposeAllowed,
    PurposeRefused,
    RegistryEvent,
    SignaturesCancelled,
    SuccessorAnnounced,
)
from medsync.protocol.felt import encode_short_string
from medsync.protocol.poseidon import hash_chain
from medsync.protocol.serde import encode

#: A head is a Poseidon hash cut to its lowest bits, so that it shares one cell with the count (u32).
#: Colliding two entries still costs about 2**109 hashes.
HEAD_BITS: Final = 219

#: An entry of any of the three histories.
ChainEvent = ConsentEvent | AccessEvent | RegistryEvent


class Chain(Enum):
    """One of the three kinds of history; the value is the first felt of every digest, as a short string.

    >>> Chain.ACCESSES.tag == encode_short_string("MEDSYNC/ACCESSES/2")
    True
    """

    CONSENTS = "MEDSYNC/CONSENTS/2"
    ACCESSES = "MEDSYNC/ACCESSES/2"
    REGISTRY = "MEDSYNC/REGISTRY/2"

    @property
    def tag(self) -> int:
        """The first felt of every digest of this chain."""
        return encode_short_string(self.value)

    @property
    def kinds(self) -> tuple[type[ChainEvent], ...]:
        """The types of its entries, in the order of their kind codes."""
        return tuple(kind for kind in KINDS if chain_of(kind) is self)


#: The kind code of each event that is an entry of a history.
KINDS: Final[Mapping[type[ChainEvent], int]] = {
    ConsentAdded: 1,
    ConsentRevoked: 2,
    AllConsentsRevoked: 3,
    ConsentRefused: 4,
    PurposeRefused: 5,
    PurposeAllowed: 6,
    DelegateSet: 7,
    DelegatesDismissed: 8,
    EmergencyChoiceSet: 9,
    EmergencyHospitalSet: 10,
    SignaturesCancelled: 11,
    LogEntry: 32,
    EmergencyJustified: 33,
    EmergencyContested: 34,
    DeletionStated: 35,
    EntityRegistered: 64,
    EntitySuspended: 65,
    EntityReinstated: 66,
    ProfileChanged: 67,
    AdminTransferBegun: 68,
    AdminTransferCancelled: 69,
    AdminTransferred: 70,
    SuccessorAnnounced: 71,
}


_CODES: Final[Mapping[type, int]] = KINDS


def chain_of(event: Event | type[Event]) -> Chain | None:
    """The history that an event is an entry of; None if it is in none."""
    kind = event if isinstance(event, type) else type(event)
    code = _CODES.get(kind)
    if code is None:
        return None
    return Chain.CONSENTS if code < 32 else Chain.ACCESSES if code < 64 else Chain.REGISTRY


def subject_of(event: ChainEvent) -> int:
    """Whose history an entry belongs to: the patient, or zero for the registry."""
    return 0 if isinstance(event, RegistryEvent) else event.patient


def prefix_of(chain_id: int, contract: int, chain: Chain, subject: int) -> tuple[int, int, int, int]:
    """The felts that the digests of all entries of one history begin with."""
    return chain.tag, chain_id, contract, subject


def entry_felts(entry: ChainEvent) -> tuple[int, ...]:
    """What an entry's digest is made of after prefix and digest before: its number, second, kind and rest.

    The location of the event is not part of it.
    """
    felts = encode(entry)
    keys = _PLACES[type(entry)]
    start = 0 if isinstance(entry, RegistryEvent) else 1
    return (entry.seq, entry.at, KINDS[type(entry)], *felts[start:keys], *felts[keys + 2 :])


def entry_digest(chain_id: int, contract: int, previous: int, entry: ChainEvent) -> int:
    """The digest of an entry, which is the head of its history right after it.

    `previous` is the head before the entry, zero for the first.
    """
    return entry_digests(chain_id, contract, [entry], previous)[0]


def entry_digests(
    chain_id: int, contract: int, entries: Sequence[ChainEvent], previous: int = 0
) -> list[int]:
    """The digest of every entry of a part of one history, in order; `previous` is the head before it."""
    if not entries:
        return []
    chain = chain_of(entries[0])
    assert chain is not None
    prefix = prefix_of(chain_id, contract, chain, subject_of(entries[0]))
    return hash_chain(prefix, previous, map(entry_felts, entries), HEAD_BITS)


def _key_counts(events: Iterable[Mapping[str, tuple[type[Event], int]]]) -> dict[type[Event], int]:
    return {kind: keys for contract in events for kind, keys in contract.values()}


#: Where number and second stand among an entry's felts: after its keys.
_PLACES: Final = _key_counts(EVENTS.values())

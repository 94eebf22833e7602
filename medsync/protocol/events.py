"""The events of all contracts as typed values, decoded from receipts or from a node's pages of events.

`AccessLogged` is `LogEntry`; every other event is a dataclass with the names of its Cairo struct. Addresses,
ids and commitments are felts, times unix seconds, amounts the token's smallest unit. Source: the event
structs of the contracts' sources, keys first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from starknet_py.net.client_models import EmittedEvent, TransactionReceiptWithBlockInfo
from starknet_py.net.client_models import Event as RawEvent

from medsync.protocol.felt import check_address, check_felt, check_uint
from medsync.protocol.hashing import starknet_keccak
from medsync.protocol.serde import DecodingError, decode
from medsync.protocol.types import AnchorNode, CampaignTerms, check_purpose
from medsync.protocol.vocabulary import (
    Category,
    Decision,
    Power,
    Purpose,
    Reason,
    Role,
)


@dataclass(frozen=True, slots=True)
class EventLocation:
    """The location of an event on the chain."""

    block_number: int
    transaction_hash: int
    #: Unix seconds of the block, if the reader looked it up.
    timestamp: int | None = None

    def __post_init__(self) -> None:
        check_uint(self.block_number, 64, "block_number")
        check_felt(self.transaction_hash, "transaction_hash")
        if self.timestamp is not None:
            check_uint(self.timestamp, 64, "timestamp")


@dataclass(frozen=True, slots=True)
class _Located:
    #: The event's location, if known.
    location: EventLocation | None = field(default=None, kw_only=True)


# --- entities ---


@dataclass(frozen=True, slots=True)
class EntityRegistered(_Located):
    """An entity was registered at `at`."""

    entity: int
    role: Role
    profile_commitment: int
    at: int


@dataclass(frozen=True, slots=True)
class EntitySuspended(_Located):
    """An entity was suspended: its requests are refused from now on."""

    entity: int


@dataclass(frozen=True, slots=True)
class EntityReinstated(_Located):
    """An entity's suspension was lifted."""

    entity: int


@dataclass(frozen=True, slots=True)
class AdminTransferBegun(_Located):
    """`new_admin` may take over from `ready_at`."""

    new_admin: int
    ready_at: int


@dataclass(frozen=True, slots=True)
class AdminTransferCancelled(_Located):
    """The transfer to `new_admin` was cancelled."""

    new_admin: int


@dataclass(frozen=True, slots=True)
class AdminTransferred(_Located):
    """The administrator changed; `previous` is zero at deployment."""

    previous: int
    admin: int


# --- consents ---


@dataclass(frozen=True, slots=True)
class ConsentAdded:
    """A consent was given or renewed."""

    patient: int
    grantee: int
    purpose: Purpose
    #: The patient, or the delegate who acted.
    by: int
    #: Version of the record after this change.
    version: int
    epoch: int
    categories: Category
    starts_at: int
    expires_at: int
    max_uses: int
    #: Id of the campaign the patient requires, or zero.
    campaign: int
    terms_commitment: int
    location: EventLocation | None = None


@dataclass(frozen=True, slots=True)
class ConsentRevoked:
    """A consent was withdrawn if `by` is the patient, and revoked otherwise."""

    patient: int
    grantee: int
    purpose: Purpose
    by: int
    #: Version of the record after this change.
    version: int
    location: EventLocation | None = None


@dataclass(frozen=True, slots=True)
class AllConsentsRevoked:
    """All consents of older epochs are void."""

    patient: int
    by: int
    #: The patient's epoch after this change.
    epoch: int
    #: The patient's nonce after this change: messages signed earlier are void.
    nonce: int
    location: EventLocation | None = None


#: An event that changes a consent.
ConsentEvent = ConsentAdded | ConsentRevoked | AllConsentsRevoked


@dataclass(frozen=True, slots=True)
class ConsentRequested(_Located):
    """An entity asked a patient for a consent on these terms."""

    patient: int
    grantee: int
    purpose: Purpose
    categories: Category
    starts_at: int
    expires_at: int
    max_uses: int
    reward: CampaignTerms | None
    terms_commitment: int


@dataclass(frozen=True, slots=True)
class ConsentRefused(_Located):
    """A patient, or a delegate (`by`), refused a request for consent."""

    patient: int
    grantee: int
    purpose: Purpose
    by: int


@dataclass(frozen=True, slots=True)
class DelegateSet(_Located):
    """A delegate's powers were set; without powers, the delegate was removed."""

    patient: int
    delegate: int
    powers: Power
    expires_at: int


@dataclass(frozen=True, slots=True)
class EmergencyOptOutSet(_Located):
    """A patient forbade emergency access, or allowed it again."""

    patient: int
    opted_out: bool


@dataclass(frozen=True, slots=True)
class SignaturesCancelled(_Located):
    """The patient cancelled all signed messages with a nonce below `nonce`."""

    patient: int
    nonce: int


@dataclass(frozen=True, slots=True)
class SignatureUsed(_Located):
    """A message signed by the patient was submitted and consumed this nonce."""

    patient: int
    nonce: int


# --- accesses ---


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of a patient's access log: the event `AccessLogged`, and its location.

    >>> entry = LogEntry(
    ...     patient=7, accessor=5, purpose=Purpose.HRESCH, seq=1, at=1_767_225_600,
    ...     categories=Category.OBSERVATION, decision=Decision.PERMIT, reason=Reason.GRANTED,
    ...     version=1, record=0xABC, campaign=0, justification=0,
    ... )
    >>> entry.seq, entry.decision.name
    (1, 'PERMIT')
    """

    patient: int
    #: The entity that requested access.
    accessor: int
    purpose: Purpose
    #: Position in the patient's log, from 1 (u32).
    seq: int
    #: Unix seconds of the request.
    at: int
    decision: Decision
    reason: Reason
    #: Version of the consent that determined the decision (u32), or zero.
    version: int
    categories: Category
    #: Salted commitment to the requested record.
    record: int
    #: Id of the campaign named in the request, or zero.
    campaign: int
    #: Salted commitment to a hospital's justification of an emergency access, or zero.
    justification: int
    #: The event's location, if known. Not part of the log's hash.
    location: EventLocation | None = None

    def __post_init__(self) -> None:
        check_address(self.patient, "patient")
        check_address(self.accessor, "accessor")
        check_purpose(self.purpose, "purpose")
        check_uint(self.seq, 32, "seq")
        check_uint(self.at, 64, "at")
        check_uint(self.version, 32, "version")
        check_uint(self.categories, 32, "categories")
        check_felt(self.record, "record")
        check_felt(self.campaign, "campaign")
        check_felt(self.justification, "justification")


@dataclass(frozen=True, slots=True)
class EmergencyAccessed(_Located):
    """Emergency access was granted: entry `seq` of the patient's log."""

    patient: int
    accessor: int
    seq: int
    justification: int


# --- rewards ---


@dataclass(frozen=True, slots=True)
class CampaignOpened(_Located):
    """A campaign received its first deposit; the event has its full terms."""

    campaign: int
    funder: int
    purpose: Purpose
    terms: CampaignTerms


@dataclass(frozen=True, slots=True)
class RewardDeposited(_Located):
    """`amount` was deposited into a campaign."""

    campaign: int
    funder: int
    amount: int


@dataclass(frozen=True, slots=True)
class AllowanceSet(_Located):
    """`accessor` may now spend `amount` from a campaign."""

    campaign: int
    accessor: int
    amount: int


@dataclass(frozen=True, slots=True)
class RewardAccrued(_Located):
    """One permitted access was paid for; the two shares add up to the campaign's rate."""

    campaign: int
    patient: int
    accessor: int
    custodian: int
    patient_share: int
    custodian_share: int


@dataclass(frozen=True, slots=True)
class RewardWithdrawn(_Located):
    """`owner` withdrew `amount` of its credit to `recipient`."""

    owner: int
    recipient: int
    amount: int


@dataclass(frozen=True, slots=True)
class CampaignCloseAnnounced(_Located):
    """The funder may close the campaign from `closing_at`."""

    campaign: int
    closing_at: int


@dataclass(frozen=True, slots=True)
class CampaignClosed(_Located):
    """The campaign was closed permanently; `refunded` became the funder's credit."""

    campaign: int
    refunded: int


# --- private logs ---


@dataclass(frozen=True, slots=True)
class Anchored(_Located):
    """At `at`, the contract accepted a quorum's attestation that a private log grew to `size` leaves."""

    root: int
    epoch: int
    size: int
    state: int
    at: int
    #: Bit set of the nodes that signed; the first node is the lowest bit.
    signers: int


@dataclass(frozen=True, slots=True)
class NodesRotated(_Located):
    """A new epoch began with these nodes, of which `threshold` must sign."""

    epoch: int
    threshold: int
    nodes: list[AnchorNode]


Event = (
    EntityRegistered
    | EntitySuspended
    | EntityReinstated
    | AdminTransferBegun
    | AdminTransferCancelled
    | AdminTransferred
    | ConsentAdded
    | ConsentRevoked
    | AllConsentsRevoked
    | ConsentRequested
    | ConsentRefused
    | DelegateSet
    | EmergencyOptOutSet
    | SignaturesCancelled
    | SignatureUsed
    | LogEntry
    | EmergencyAccessed
    | CampaignOpened
    | RewardDeposited
    | AllowanceSet
    | RewardAccrued
    | RewardWithdrawn
    | CampaignCloseAnnounced
    | CampaignClosed
    | Anchored
    | NodesRotated
)

#: Per contract, the name of each event, its type and how many of its first fields are keys after the
#: selector.
EVENTS: Final[Mapping[str, Mapping[str, tuple[type[Event], int]]]] = {
    "MedSync": {
        "EntityRegistered": (EntityRegistered, 1),
        "EntitySuspended": (EntitySuspended, 1),
        "EntityReinstated": (EntityReinstated, 1),
        "AdminTransferBegun": (AdminTransferBegun, 1),
        "AdminTransferCancelled": (AdminTransferCancelled, 1),
        "AdminTransferred": (AdminTransferred, 2),
        "ConsentAdded": (ConsentAdded, 3),
        "ConsentRevoked": (ConsentRevoked, 3),
        "AllConsentsRevoked": (AllConsentsRevoked, 1),
        "ConsentRequested": (ConsentRequested, 3),
        "ConsentRefused": (ConsentRefused, 3),
        "DelegateSet": (DelegateSet, 2),
        "EmergencyOptOutSet": (EmergencyOptOutSet, 1),
        "SignaturesCancelled": (SignaturesCancelled, 1),
        "SignatureUsed": (SignatureUsed, 1),
        "AccessLogged": (LogEntry, 3),
        "EmergencyAccessed": (EmergencyAccessed, 2),
    },
    "RewardPool": {
        "CampaignOpened": (CampaignOpened, 3),
        "RewardDeposited": (RewardDeposited, 2),
        "AllowanceSet": (AllowanceSet, 2),
        "RewardAccrued": (RewardAccrued, 3),
        "RewardWithdrawn": (RewardWithdrawn, 1),
        "CampaignCloseAnnounced": (CampaignCloseAnnounced, 1),
        "CampaignClosed": (CampaignClosed, 1),
    },
    "PrivateAnchor": {
        "Anchored": (Anchored, 2),
        "NodesRotated": (NodesRotated, 1),
    },
}

_BY_SELECTOR: Final = {
    contract: {starknet_keccak(name): (name, kind, keys) for name, (kind, keys) in events.items()}
    for contract, events in EVENTS.items()
}


class UnknownEvent(DecodingError):
    """An event has a selector that its contract does not declare."""


def event_name(event: Event | type[Event]) -> str:
    """The event's name in Cairo and in the ABI."""
    kind = event if isinstance(event, type) else type(event)
    return "AccessLogged" if kind is LogEntry else kind.__name__


def selector_of(kind: type[Event]) -> int:
    """The first key of every event of this type."""
    return starknet_keccak(event_name(kind))


def decode_event(event: RawEvent, contract: str, location: EventLocation | None = None) -> Event:
    """Decode an event that a contract, one of `EVENTS`, emitted.

    The result's location is `location`, or the location given by the node's page of events. Raises
    `UnknownEvent` for a selector that the contract does not declare, and `DecodingError` if the keys or data
    do not match the event.
    """
    known = _BY_SELECTOR[contract].get(event.keys[0] if event.keys else 0)
    if known is None:
        raise UnknownEvent(f"{event.from_address:#x} emitted an event that {contract} does not declare")
    name, kind, keys = known
    if len(event.keys) - 1 != keys:
        raise DecodingError(f"{name} has {keys} keys, not {len(event.keys) - 1}")
    if location is None and isinstance(event, EmittedEvent) and event.block_number is not None:
        location = EventLocation(event.block_number, event.transaction_hash)
    return replace(decode(kind, [*event.keys[1:], *event.data]), location=location)


def events_of(receipt: TransactionReceiptWithBlockInfo, contracts: Mapping[int, str]) -> list[Event]:
    """Decode the events that the given contracts emitted in a transaction, in order, and skip all others.

    `contracts` gives the name of the contract at each address, one of `EVENTS`. Only the address identifies
    the emitter: any contract can emit a similar event. Raises the same errors as `decode_event`.
    """
    location = EventLocation(receipt.block_number, receipt.transaction_hash)
    return [
        decode_event(event, contracts[event.from_address], location)
        for event in receipt.events
        if event.from_address in contracts
    ]

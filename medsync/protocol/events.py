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
from medsync.protocol.types import AnchorNode, CampaignTerms, Payee, check_purpose
from medsync.protocol.vocabulary import (
    Category,
    Decision,
    EmergencyChoice,
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


# --- entities: entries of the registry's history ---


@dataclass(frozen=True, slots=True)
class EntityRegistered(_Located):
    """An entity was registered."""

    entity: int
    seq: int
    at: int
    role: Role
    profile_commitment: int


@dataclass(frozen=True, slots=True)
class EntitySuspended(_Located):
    """An entity was suspended: whatever it asks for reverts from now on."""

    entity: int
    seq: int
    at: int
    #: The administrator, or the entity itself.
    by: int


@dataclass(frozen=True, slots=True)
class EntityReinstated(_Located):
    """An entity's suspension was lifted."""

    entity: int
    seq: int
    at: int


@dataclass(frozen=True, slots=True)
class ProfileChanged(_Located):
    """An entity replaced its profile."""

    entity: int
    seq: int
    at: int
    profile_commitment: int


@dataclass(frozen=True, slots=True)
class AdminTransferBegun(_Located):
    """`new_admin` may take over from `ready_at` until before `lapses_at`."""

    new_admin: int
    seq: int
    at: int
    ready_at: int
    lapses_at: int


@dataclass(frozen=True, slots=True)
class AdminTransferCancelled(_Located):
    """The transfer to `new_admin` was cancelled."""

    new_admin: int
    seq: int
    at: int


@dataclass(frozen=True, slots=True)
class AdminTransferred(_Located):
    """The administrator changed; `previous` is zero at deployment."""

    previous: int
    admin: int
    seq: int
    at: int


@dataclass(frozen=True, slots=True)
class SuccessorAnnounced(_Located):
    """The administrator named the deployment that is to replace this one; zero takes it back."""

    successor: int
    seq: int
    at: int


# --- consents: entries of a patient's consent history, except requests ---


@dataclass(frozen=True, slots=True)
class ConsentAdded(_Located):
    """A consent was given or renewed."""

    patient: int
    grantee: int
    purpose: Purpose
    seq: int
    at: int
    #: Salted hash that names the study; zero for a broad consent.
    study: int
    #: The patient, or the delegate who acted.
    by: int
    #: What a signed message burnt, generation · 2**32 + counter; zero for a direct act.
    nonce: int
    #: Version of the record after this change.
    version: int
    #: Generation of the record after this change.
    generation: int
    categories: Category
    starts_at: int
    expires_at: int
    max_uses: int
    scoped: bool
    #: Id of the campaign the patient requires, or zero.
    campaign: int
    terms_commitment: int


@dataclass(frozen=True, slots=True)
class ConsentRevoked(_Located):
    """A consent was withdrawn if `by` is the patient, and revoked otherwise."""

    patient: int
    grantee: int
    purpose: Purpose
    seq: int
    at: int
    #: Salted hash that names the study; zero for a broad consent.
    study: int
    #: The patient, or the delegate who acted.
    by: int
    #: What a signed withdrawal burnt, its generation · 2**32; zero for a direct act.
    nonce: int
    #: Version of the record after this change.
    version: int
    #: Generation of the record after this change.
    generation: int


@dataclass(frozen=True, slots=True)
class AllConsentsRevoked(_Located):
    """All consents of earlier generations are void, and so are all messages signed before that give one."""

    patient: int
    seq: int
    at: int
    #: The patient, or the delegate who acted.
    by: int
    #: The patient's generation and floor after this change.
    generation: int
    delegates_dismissed: bool


@dataclass(frozen=True, slots=True)
class ConsentRequested(_Located):
    """An entity asked a patient for a consent on these terms. In no history."""

    patient: int
    grantee: int
    purpose: Purpose
    #: First second (unix) in which the request no longer stands open.
    open_until: int
    study: int
    categories: Category
    starts_at: int
    expires_at: int
    max_uses: int
    scoped: bool
    reward: CampaignTerms | None
    terms_commitment: int


@dataclass(frozen=True, slots=True)
class ConsentRefused(_Located):
    """A patient, or a delegate (`by`), refused a grantee: a standing decision."""

    patient: int
    grantee: int
    purpose: Purpose
    seq: int
    at: int
    #: Salted hash that names the study; zero for a broad consent.
    study: int
    #: The patient, or the delegate who acted.
    by: int
    #: Version of the record after this change.
    version: int
    #: Generation of the record after this change.
    generation: int


@dataclass(frozen=True, slots=True)
class PurposeRefused(_Located):
    """A patient refuses everyone for a purpose."""

    patient: int
    purpose: Purpose
    seq: int
    at: int


@dataclass(frozen=True, slots=True)
class PurposeAllowed(_Located):
    """A patient allows a purpose again."""

    patient: int
    purpose: Purpose
    seq: int
    at: int


@dataclass(frozen=True, slots=True)
class DelegateSet(_Located):
    """A delegate's powers were set; without powers, the delegate was removed."""

    patient: int
    delegate: int
    seq: int
    at: int
    powers: Power
    expires_at: int
    #: The patient's delegate epoch, which it belongs to.
    epoch: int


@dataclass(frozen=True, slots=True)
class DelegatesDismissed(_Located):
    """All delegations of an earlier epoch are over."""

    patient: int
    seq: int
    at: int
    epoch: int


@dataclass(frozen=True, slots=True)
class EmergencyChoiceSet(_Located):
    """A patient chose who may break the glass."""

    patient: int
    seq: int
    at: int
    choice: EmergencyChoice


@dataclass(frozen=True, slots=True)
class EmergencyHospitalSet(_Located):
    """A patient allowed or forbade a hospital to break the glass."""

    patient: int
    hospital: int
    seq: int
    at: int
    allowed: bool
    #: Version of the record after this change.
    version: int
    #: Generation of the record after this change.
    generation: int


@dataclass(frozen=True, slots=True)
class SignaturesCancelled(_Located):
    """Messages that give a consent and name an earlier generation are void."""

    patient: int
    seq: int
    at: int
    generation: int


# --- accesses: entries of a patient's access log ---


@dataclass(frozen=True, slots=True)
class LogEntry(_Located):
    """A request and its outcome in a patient's access log: the event `AccessLogged`.

    >>> entry = LogEntry(
    ...     patient=7, accessor=5, purpose=Purpose.HRESCH, seq=1, at=1_767_225_600, study=0,
    ...     decision=Decision.PERMIT, reason=Reason.GRANTED, version=1, scoped=False,
    ...     categories=Category.OBSERVATION, record=0xABC, campaign=0, registration=2,
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
    #: Salted hash that names the study; zero for a broad consent.
    study: int
    decision: Decision
    reason: Reason
    #: Version of the consent's record (u32), or zero.
    version: int
    #: Whether the opening of the consent's terms commitment narrows it further.
    scoped: bool
    categories: Category
    #: Salted commitment to the requested record.
    record: int
    #: Id of the campaign named in the request, or zero; it paid exactly if the decision is `PERMIT`.
    campaign: int
    #: Number of the accessor's latest entry in the registry's history (u32).
    registration: int

    def __post_init__(self) -> None:
        check_address(self.patient, "patient")
        check_address(self.accessor, "accessor")
        check_purpose(self.purpose, "purpose")
        check_uint(self.seq, 32, "seq")
        check_uint(self.at, 64, "at")
        check_felt(self.study, "study")
        check_uint(self.version, 32, "version")
        check_uint(self.categories, 32, "categories")
        check_felt(self.record, "record")
        check_felt(self.campaign, "campaign")
        check_uint(self.registration, 32, "registration")


@dataclass(frozen=True, slots=True)
class EmergencyJustified(_Located):
    """A hospital justified its emergency access."""

    patient: int
    accessor: int
    seq: int
    at: int
    #: Position of the emergency access in the patient's log.
    emergency: int
    #: Salted commitment to a signed statement that is handed to the patient.
    statement: int


@dataclass(frozen=True, slots=True)
class EmergencyContested(_Located):
    """A patient contests a hospital's emergency access."""

    patient: int
    accessor: int
    seq: int
    at: int
    #: Position of the emergency access in the patient's log.
    emergency: int


@dataclass(frozen=True, slots=True)
class DeletionStated(_Located):
    """An entity stated what it deleted. A statement, not a proof."""

    patient: int
    accessor: int
    purpose: Purpose
    seq: int
    at: int
    study: int
    #: Version of the consent's record.
    version: int
    #: Number of the accessor's latest entry in the registry's history.
    registration: int
    #: Salted commitment to a signed statement.
    statement: int


# --- rewards ---


@dataclass(frozen=True, slots=True)
class PoolCreated(_Located):
    """MedSync deployed a pool for a token."""

    pool: int
    token: int
    creator: int
    salt: int


@dataclass(frozen=True, slots=True)
class CampaignOpened(_Located):
    """A campaign received its first deposit; the event has its full terms."""

    campaign: int
    funder: int
    purpose: Purpose
    terms: CampaignTerms


@dataclass(frozen=True, slots=True)
class RewardDeposited(_Located):
    """`uses` of a campaign were paid for in advance with `amount`."""

    campaign: int
    funder: int
    amount: int
    uses: int


@dataclass(frozen=True, slots=True)
class AllowanceIncreased(_Located):
    """An accessor's budget grew by `uses` out of the funder's own."""

    campaign: int
    accessor: int
    uses: int


@dataclass(frozen=True, slots=True)
class AllowanceDecreased(_Located):
    """`uses` were taken back from an accessor's budget."""

    campaign: int
    accessor: int
    uses: int
    #: What became the funder's credit, of a closed campaign; else zero.
    refunded: int


@dataclass(frozen=True, slots=True)
class RewardSettled(_Located):
    """A patient was credited with `share` in all for `uses` of a consent."""

    campaign: int
    patient: int
    grantee: int
    study: int
    uses: int
    share: int


@dataclass(frozen=True, slots=True)
class CustodianSettled(_Located):
    """A custodian was credited with `share` in all for `uses` of an accessor."""

    campaign: int
    custodian: int
    accessor: int
    uses: int
    share: int


@dataclass(frozen=True, slots=True)
class RewardWithdrawn(_Located):
    """`owner` withdrew `amount` of its credit to `recipient`."""

    owner: int
    recipient: int
    amount: int


@dataclass(frozen=True, slots=True)
class RewardSpent(_Located):
    """A campaign's own spender spent one use; the two shares add up to the campaign's rate."""

    campaign: int
    spender: int
    payee: Payee
    payee_share: int
    custodian_share: int


@dataclass(frozen=True, slots=True)
class KeyCreditWithdrawn(_Located):
    """The holder of a key withdrew `amount` of its credit to `recipient`."""

    key: int
    recipient: int
    amount: int
    nonce: int


@dataclass(frozen=True, slots=True)
class CampaignCloseAnnounced(_Located):
    """The funder may close the campaign from `closing_at`."""

    campaign: int
    closing_at: int


@dataclass(frozen=True, slots=True)
class CampaignClosed(_Located):
    """The campaign was closed permanently; the funder's own `uses` became its credit, `refunded`."""

    campaign: int
    uses: int
    refunded: int


# --- private logs ---


@dataclass(frozen=True, slots=True)
class Anchored(_Located):
    """At `at`, the contract accepted a quorum's attestation that a private log grew to `size` leaves."""

    root: int
    epoch: int
    size: int
    state: int
    #: Commitment to whatever else the nodes attested; zero for nothing.
    commitment: int
    at: int
    #: Bit set of the nodes that signed; the first node is the lowest bit.
    signers: int


@dataclass(frozen=True, slots=True)
class NodesRotated(_Located):
    """A new epoch began with these nodes, of which `threshold` must sign."""

    epoch: int
    threshold: int
    nodes: list[AnchorNode]


#: An entry of the registry's history.
RegistryEvent = (
    EntityRegistered
    | EntitySuspended
    | EntityReinstated
    | ProfileChanged
    | AdminTransferBegun
    | AdminTransferCancelled
    | AdminTransferred
    | SuccessorAnnounced
)

#: An entry of a patient's consent history.
ConsentEvent = (
    ConsentAdded
    | ConsentRevoked
    | AllConsentsRevoked
    | ConsentRefused
    | PurposeRefused
    | PurposeAllowed
    | DelegateSet
    | DelegatesDismissed
    | EmergencyChoiceSet
    | EmergencyHospitalSet
    | SignaturesCancelled
)

#: An entry of a patient's access log.
AccessEvent = LogEntry | EmergencyJustified | EmergencyContested | DeletionStated

#: An event of a reward pool.
PoolEvent = (
    CampaignOpened
    | RewardDeposited
    | AllowanceIncreased
    | AllowanceDecreased
    | RewardSettled
    | CustodianSettled
    | RewardWithdrawn
    | RewardSpent
    | KeyCreditWithdrawn
    | CampaignCloseAnnounced
    | CampaignClosed
)

Event = (
    RegistryEvent
    | ConsentEvent
    | ConsentRequested
    | AccessEvent
    | PoolCreated
    | PoolEvent
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
        "ProfileChanged": (ProfileChanged, 1),
        "AdminTransferBegun": (AdminTransferBegun, 1),
        "AdminTransferCancelled": (AdminTransferCancelled, 1),
        "AdminTransferred": (AdminTransferred, 2),
        "SuccessorAnnounced": (SuccessorAnnounced, 1),
        "PoolCreated": (PoolCreated, 2),
        "ConsentAdded": (ConsentAdded, 3),
        "ConsentRevoked": (ConsentRevoked, 3),
        "AllConsentsRevoked": (AllConsentsRevoked, 1),
        "ConsentRequested": (ConsentRequested, 3),
        "ConsentRefused": (ConsentRefused, 3),
        "PurposeRefused": (PurposeRefused, 2),
        "PurposeAllowed": (PurposeAllowed, 2),
        "DelegateSet": (DelegateSet, 2),
        "DelegatesDismissed": (DelegatesDismissed, 1),
        "EmergencyChoiceSet": (EmergencyChoiceSet, 1),
        "EmergencyHospitalSet": (EmergencyHospitalSet, 2),
        "SignaturesCancelled": (SignaturesCancelled, 1),
        "AccessLogged": (LogEntry, 3),
        "EmergencyJustified": (EmergencyJustified, 2),
        "EmergencyContested": (EmergencyContested, 2),
        "DeletionStated": (DeletionStated, 3),
    },
    "RewardPool": {
        "CampaignOpened": (CampaignOpened, 3),
        "RewardDeposited": (RewardDeposited, 2),
        "AllowanceIncreased": (AllowanceIncreased, 2),
        "AllowanceDecreased": (AllowanceDecreased, 2),
        "RewardSettled": (RewardSettled, 3),
        "CustodianSettled": (CustodianSettled, 3),
        "RewardWithdrawn": (RewardWithdrawn, 1),
        "RewardSpent": (RewardSpent, 2),
        "KeyCreditWithdrawn": (KeyCreditWithdrawn, 1),
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

"""Values that the unit tests of hashes, histories and exports share: one patient's short, varied life with
every kind of entry, and the registry it was judged by. `digest_of` hashes the entries as an oracle does."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from starknet_py.net.client_models import EmittedEvent

from medsync.log.histories import BlockHeader, History, PatientHistory
from medsync.protocol.chains import Chain, ChainEvent
from medsync.protocol.events import (
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
    EventLocation,
    LogEntry,
    ProfileChanged,
    PurposeAllowed,
    PurposeRefused,
    RegistryEvent,
    SignaturesCancelled,
    SuccessorAnnounced,
    event_name,
)
from medsync.protocol.felt import encode_short_string
from medsync.protocol.types import CampaignTerms, ConsentTerms, Head
from medsync.protocol.vocabulary import (
    Category,
    Decision,
    EmergencyChoice,
    Power,
    Purpose,
    Reason,
    Role,
)
from tests.harness import abi_types, log
from tests.harness.driver import Raised, selector
from tests.harness.words import ADMIN_DELAY, ADMIN_LAPSE, KINDS

CHAIN = encode_short_string("SN_SEPOLIA")
CONTRACT = 0x6D6564
POOL = 0x706F6F6C
PATIENT = 0x7061
DELEGATE = 0x6465
RESEARCHER = 0x7265
HOSPITAL = 0x686F
AUDITOR = 0x6175
FUNDER = 0x6675
ADMIN = 0x6164
NEW_ADMIN = 0x6E61
SUCCESSOR = 0x7375
STUDY = 0x57D7
START = 1_767_225_600  # 2026-01-01T00:00:00Z
HOUR = 3_600
DAY = 86_400

TERMS = CampaignTerms(
    pool=POOL,
    funder=FUNDER,
    purpose=Purpose.HRESCH,
    study=STUDY,
    rate=10**18 + 1,
    custodian=HOSPITAL,
    custodian_bps=1_250,
    expires_at=START + 90 * DAY,
    spender=0,
    salt=0x5A17,
)
CONSENT_TERMS = ConsentTerms(
    purpose=Purpose.HRESCH,
    study=0,
    categories=Category.LABORATORY | Category.OBSERVATION,
    starts_at=START,
    expires_at=START + 30 * DAY,
    max_uses=5,
    scoped=False,
    reward=None,
    terms_commitment=0x7E245,
)


def place(hour: int) -> EventLocation:
    """Where an event of that hour after the start stands: the registry's come before it, a block an hour."""
    return EventLocation(1_000 + hour, 0xABC000 + 1_000 + hour)


def at(hour: int) -> dict[str, Any]:
    """Time and place of an event of that hour after the start."""
    return {"at": START + hour * HOUR, "location": place(hour)}


_TRANSFER = START - 70 * HOUR

REGISTRY: tuple[RegistryEvent, ...] = (
    AdminTransferred(previous=0, admin=ADMIN, seq=1, **at(-240)),
    EntityRegistered(RESEARCHER, seq=2, role=Role.RESEARCHER, profile_commitment=0xF1, **at(-230)),
    EntityRegistered(HOSPITAL, seq=3, role=Role.HOSPITAL, profile_commitment=0xF2, **at(-225)),
    ProfileChanged(HOSPITAL, seq=4, profile_commitment=0xF3, **at(-200)),
    EntityRegistered(AUDITOR, seq=5, role=Role.AUDITOR, profile_commitment=0xF4, **at(-190)),
    EntitySuspended(AUDITOR, seq=6, by=AUDITOR, **at(-180)),
    EntityReinstated(AUDITOR, seq=7, **at(-170)),
    AdminTransferBegun(
        SUCCESSOR,
        seq=8,
        ready_at=START - 160 * HOUR + ADMIN_DELAY,
        lapses_at=START - 160 * HOUR + ADMIN_LAPSE,
        **at(-160),
    ),
    AdminTransferCancelled(SUCCESSOR, seq=9, **at(-150)),
    AdminTransferBegun(
        NEW_ADMIN,
        seq=10,
        ready_at=_TRANSFER + ADMIN_DELAY,
        lapses_at=_TRANSFER + ADMIN_LAPSE,
        **at(-70),
    ),
    AdminTransferred(previous=ADMIN, admin=NEW_ADMIN, seq=11, **at(-20)),
    SuccessorAnnounced(SUCCESSOR, seq=12, **at(-10)),
)

CONSENTS: tuple[ConsentEvent, ...] = (
    ConsentAdded(
        PATIENT,
        RESEARCHER,
        Purpose.HRESCH,
        seq=1,
        study=STUDY,
        by=PATIENT,
        nonce=2**32 + 1,
        version=1,
        generation=1,
        categories=Category.LABORATORY | Category.OBSERVATION,
        starts_at=START,
        expires_at=START + 30 * DAY,
        max_uses=5,
        scoped=True,
        campaign=TERMS.id,
        terms_commitment=0x7E245,
        **at(1),
    ),
    DelegateSet(
        PATIENT,
        DELEGATE,
        seq=2,
        powers=Power.GIVE | Power.REVOKE,
        expires_at=START + 90 * DAY,
        epoch=0,
        **at(2),
    ),
    ConsentAdded(
        PATIENT,
        HOSPITAL,
        Purpose.TREAT,
        seq=3,
        study=0,
        by=DELEGATE,
        nonce=0,
        version=1,
        generation=0,
        categories=Category.ALL,
        starts_at=START,
        expires_at=2**40 - 1,
        max_uses=0,
        scoped=False,
        campaign=0,
        terms_commitment=0,
        **at(3),
    ),
    ConsentAdded(
        PATIENT,
        RESEARCHER,
        Purpose.HRESCH,
        seq=4,
        study=STUDY,
        by=PATIENT,
        nonce=0,
        version=2,
        generation=1,
        categories=Category.LABORATORY,
        starts_at=START,
        expires_at=START + 60 * DAY,
        max_uses=0,
        scoped=False,
        campaign=0,
        terms_commitment=0x7E246,
        **at(4),
    ),
    ConsentRefused(
        PATIENT, AUDITOR, Purpose.HRESCH, seq=5, study=0, by=PATIENT, version=1, generation=1, **at(5)
    ),
    PurposeRefused(PATIENT, Purpose.PUBHLTH, seq=6, **at(6)),
    PurposeAllowed(PATIENT, Purpose.PUBHLTH, seq=7, **at(7)),
    EmergencyChoiceSet(PATIENT, seq=8, choice=EmergencyChoice.NAMED_HOSPITALS, **at(8)),
    EmergencyHospitalSet(PATIENT, HOSPITAL, seq=9, allowed=True, version=1, generation=1, **at(9)),
    ConsentRevoked(
        PATIENT,
        RESEARCHER,
        Purpose.HRESCH,
        seq=10,
        study=STUDY,
        by=PATIENT,
        nonce=2**32,
        version=3,
        generation=2,
        **at(10),
    ),
    SignaturesCancelled(PATIENT, seq=11, generation=3, **at(11)),
    AllConsentsRevoked(PATIENT, seq=12, by=DELEGATE, generation=4, delegates_dismissed=False, **at(12)),
    DelegatesDismissed(PATIENT, seq=13, epoch=1, **at(13)),
)


def entry(seq: int, decision: Decision, reason: Reason, **changes: Any) -> LogEntry:
    """Entry number `seq`: the researcher asking for laboratory data, unless `changes` say otherwise."""
    values = {
        "accessor": RESEARCHER,
        "purpose": Purpose.HRESCH,
        "study": STUDY,
        "version": 1,
        "scoped": True,
        "categories": Category.LABORATORY,
        "record": 0x2EC000 + seq,
        "campaign": TERMS.id,
        "registration": 2,
        **at(seq),
    } | changes
    return LogEntry(patient=PATIENT, seq=seq, decision=decision, reason=reason, **values)


ENTRIES: tuple[AccessEvent, ...] = (
    # In the second of the consent itself, which explains it.
    entry(1, Decision.PERMIT, Reason.GRANTED),
    entry(2, Decision.DENY, Reason.CATEGORY_NOT_COVERED, categories=Category.IMAGING | Category.LABORATORY),
    entry(3, Decision.DENY, Reason.REWARD_UNFUNDED),
    entry(
        4,
        Decision.NO_CONSENT,
        Reason.NEVER_GIVEN,
        purpose=Purpose.CLINTRCH,
        study=0,
        version=0,
        scoped=False,
        record=0,
        campaign=0,
    ),
    entry(
        5,
        Decision.EMERGENCY,
        Reason.BREAK_GLASS,
        accessor=HOSPITAL,
        purpose=Purpose.BTG,
        study=0,
        version=1,
        scoped=False,
        categories=Category.ALL,
        campaign=0,
        registration=4,
        **at(9),
    ),
    EmergencyJustified(PATIENT, HOSPITAL, seq=6, emergency=5, statement=0x7E5, **at(10)),
    EmergencyContested(PATIENT, HOSPITAL, seq=7, emergency=5, **at(11)),
    DeletionStated(
        PATIENT,
        RESEARCHER,
        Purpose.HRESCH,
        seq=8,
        study=STUDY,
        version=3,
        registration=2,
        statement=0xDE1,
        **at(12),
    ),
)

BLOCK = BlockHeader(1_024, hash=0xB10C, timestamp=START + DAY)


def raised(event: ChainEvent) -> Raised:
    """The event as the contract's ABI has it, in its order; words by the names of their variants."""
    values: dict[str, dict[str, Any]] = {"key": {}, "data": {}}
    for member in abi_types.entry(abi_types.MEDSYNC, "event", event_name(event))["members"]:
        name = member["name"]
        value: Any = getattr(event, name)
        if isinstance(value, Purpose):
            value = int.from_bytes(value.encode(), "big")
        values[member["kind"]][name] = log.CODES[name][value] if name in log.CODES else int(value)
    return Raised(CONTRACT, event_name(event), values["key"], values["data"])


def emitted(event: ChainEvent) -> EmittedEvent:
    """The event as a node's page has it: the only one of its block."""
    assert event.location is not None
    found = raised(event)
    fields = {
        name: log.CODES[name].index(value) if name in log.CODES else value
        for name, value in (found.keys | found.data).items()
    }
    return EmittedEvent(
        CONTRACT,
        [selector(found.name), *(fields[name] for name in found.keys)],
        [fields[name] for name in found.data],
        transaction_hash=event.location.transaction_hash,
        transaction_index=0,
        # Two entries of an hour may stand in one block.
        event_index=KINDS[found.name],
        block_number=event.location.block_number,
    )


def digest_of(event: ChainEvent, previous: int) -> int:
    """The digest of an entry of the sample's chain and contract, by the oracle."""
    world: Any = SimpleNamespace(chain=SimpleNamespace(chain_id=CHAIN))
    return log.digest(world, previous, raised(event))


def digests_of(events: tuple[ChainEvent, ...]) -> list[int]:
    """The digests of a whole history, by the oracle."""
    digests: list[int] = []
    for event in events:
        digests.append(digest_of(event, digests[-1] if digests else 0))
    return digests


def history_of(chain: Chain, entries: tuple[ChainEvent, ...], subject: int = PATIENT) -> History[Any]:
    """A whole history of the sample's contract whose head is what the oracle says."""
    head = Head(len(entries), [0, *digests_of(entries)][-1])
    subject = 0 if chain is Chain.REGISTRY else subject
    return History(CHAIN, CONTRACT, chain, subject, entries, head, BLOCK)


DIGESTS = digests_of(ENTRIES)
HEAD = Head(len(ENTRIES), DIGESTS[-1])
HISTORY = PatientHistory(
    consents=history_of(Chain.CONSENTS, CONSENTS),
    accesses=history_of(Chain.ACCESSES, ENTRIES),
    registry=history_of(Chain.REGISTRY, REGISTRY),
)


def changed(patient: PatientHistory, chain: Chain, entries: tuple[ChainEvent, ...]) -> PatientHistory:
    """The same heads with other entries in one of the histories: what a node or an author may show."""
    history: History[Any] = getattr(patient, chain.name.lower())
    return replace(patient, **{chain.name.lower(): replace(history, entries=entries)})

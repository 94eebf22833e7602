"""The state of the contracts at any point in time, rebuilt from their events alone.

`replay` is a pure function: the same events always give the same state, and no node is needed. What it says
is as good as its events: entries of a proven history are certain, events of a pool are what a node answered.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from medsync.errors import InputError, VerificationError
from medsync.log.histories import PatientHistory
from medsync.protocol.chains import ChainEvent, entry_digests
from medsync.protocol.events import (
    AccessEvent,
    AdminTransferBegun,
    AdminTransferCancelled,
    AdminTransferred,
    AllConsentsRevoked,
    AllowanceDecreased,
    AllowanceIncreased,
    CampaignCloseAnnounced,
    CampaignClosed,
    CampaignOpened,
    ConsentAdded,
    ConsentEvent,
    ConsentRefused,
    ConsentRevoked,
    CustodianSettled,
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
    KeyCreditWithdrawn,
    LogEntry,
    PoolCreated,
    PoolEvent,
    ProfileChanged,
    PurposeAllowed,
    PurposeRefused,
    RegistryEvent,
    RewardDeposited,
    RewardSettled,
    RewardSpent,
    RewardWithdrawn,
    SignaturesCancelled,
    SuccessorAnnounced,
    event_name,
)
from medsync.protocol.types import (
    Budget,
    Campaign,
    CampaignTerms,
    Consent,
    Delegation,
    Emergency,
    Entity,
    Head,
    KeyCredit,
    PaidUses,
    PatientState,
    PendingAdmin,
    Verdict,
)
from medsync.protocol.vocabulary import (
    REFUSAL_BITS,
    CampaignStatus,
    Category,
    ConsentStatus,
    Decision,
    EmergencyChoice,
    PayeeKind,
    Power,
    Purpose,
    Reason,
    Role,
)

T = TypeVar("T")

#: Seconds from the beginning of a hand-over until it can be accepted. Source: `entity_registry.cairo`.
ADMIN_DELAY: Final = 172_800
#: Seconds from the beginning of a hand-over until it lapses.
ADMIN_LAPSE: Final = 1_209_600
#: Seconds that a hospital must have been active before it may break the glass.
EMERGENCY_DELAY: Final = 172_800
#: Seconds between two profiles of an entity.
PROFILE_DELAY: Final = 86_400
#: Seconds within which an emergency access can be justified. Source: `access_log.cairo`.
JUSTIFY_WITHIN: Final = 259_200

_U32_MAX: Final = 2**32 - 1
#: What a pool counts as withdrawn stops here. Source: `MAX_LIABILITIES` in `reward_pool.cairo`.
_WITHDRAWN_MAX: Final = 2**123 - 1

#: A consent among those of a patient: grantee, purpose, study.
Key = tuple[int, Purpose, int]


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """What is stored of a consent, apart from its uses, which are counted in the access log."""

    status: ConsentStatus
    starts_at: int
    expires_at: int
    categories: Category
    #: Counts every change.
    version: int
    #: The patient's generation when it was last decided on.
    generation: int
    max_uses: int
    #: Id of the campaign that it was last given with, or zero.
    campaign: int
    scoped: bool
    #: Whether only delegates ever decided on it.
    by_delegate: bool
    #: Version that the latest giving made: its uses are those of this version.
    given: int


@dataclass(frozen=True, slots=True)
class EmergencyAccess:
    """An emergency access and what became of it."""

    access: LogEntry
    justified: EmergencyJustified | None = None
    contested: EmergencyContested | None = None

    def overdue(self, second: int) -> bool:
        """Whether it is not justified at `second` (unix) and can no longer be."""
        return self.justified is None and second > self.access.at + JUSTIFY_WITHIN


_NO_ENTITY: Final = Entity(Role.NONE, suspended=False, registered_at=0, active_since=0, profiled_at=0, seq=0)
_NO_RECORD: Final = ConsentRecord(
    status=ConsentStatus.NONE,
    starts_at=0,
    expires_at=0,
    categories=Category(0),
    version=0,
    generation=0,
    max_uses=0,
    campaign=0,
    scoped=False,
    by_delegate=False,
    given=0,
)
_NO_DELEGATION: Final = Delegation(Power(0), 0, 0)
_NEW_PATIENT: Final = PatientState(
    generation=1,
    counter=1,
    floor=0,
    delegate_epoch=0,
    refused_purposes=0,
    emergency=EmergencyChoice.EVERY_HOSPITAL,
)


class Timeline(Generic[T]):
    """A value and its history: every change with the number of the entry that made it.

    >>> timeline = Timeline("requested")
    >>> timeline.change(3, "given")
    >>> timeline.at(2), timeline.at(3), timeline.now
    ('requested', 'given', 'given')
    """

    def __init__(self, initial: T) -> None:
        self._numbers: list[int] = []
        self._values: list[T] = [initial]

    @property
    def now(self) -> T:
        """The value after the last change."""
        return self._values[-1]

    def at(self, number: int) -> T:
        """The value after entry `number`; before the first entry for zero."""
        return self._values[bisect_right(self._numbers, number)]

    def change(self, number: int, value: T) -> None:
        """Append a change. Its entry must not come before that of the previous one."""
        self._numbers.append(number)
        self._values.append(value)


E = TypeVar("E", bound=ChainEvent)


class _Entries(Generic[E]):
    """The entries of one history so far, and the numbers that a second stands for."""

    def __init__(self) -> None:
        self.all: list[E] = []
        self._times: list[int] = []

    def append(self, entry: E) -> None:
        self.all.append(entry)
        self._times.append(entry.at)

    @property
    def latest(self) -> int:
        """The second of the last entry; zero before the first."""
        return self._times[-1] if self._times else 0

    def until(self, second: int | None) -> int:
        """The number of the last entry at or before `second`; of the last of all for None."""
        return len(self.all) if second is None else bisect_right(self._times, second)

    def within(self, second: int) -> range:
        """The numbers of the entries after which the state held at some time in `second`."""
        return range(bisect_left(self._times, second), self.until(second) + 1)


class _Registry(_Entries[RegistryEvent]):
    """The registry's history and what follows from it."""

    def __init__(self) -> None:
        super().__init__()
        self.admin = Timeline(0)
        self.pending: Timeline[PendingAdmin | None] = Timeline(None)
        self.successor = Timeline(0)
        self.entities: defaultdict[int, Timeline[Entity]] = defaultdict(lambda: Timeline(_NO_ENTITY))


class _Consents(_Entries[ConsentEvent]):
    """A patient's consent history and what follows from it."""

    def __init__(self) -> None:
        super().__init__()
        self.patient = Timeline(_NEW_PATIENT)
        self.records: defaultdict[Key, Timeline[ConsentRecord]] = defaultdict(lambda: Timeline(_NO_RECORD))
        self.delegations: defaultdict[int, Timeline[Delegation]] = defaultdict(
            lambda: Timeline(_NO_DELEGATION)
        )
        #: The version of a consent that last named a campaign.
        self.named: defaultdict[tuple[Key, int], Timeline[int]] = defaultdict(lambda: Timeline(0))


class _Accesses(_Entries[AccessEvent]):
    """A patient's access log and what follows from it."""

    def __init__(self) -> None:
        super().__init__()
        #: Numbers of the entries that permitted a version of a consent, and of those a campaign paid for.
        self.uses: defaultdict[tuple[Key, int], list[int]] = defaultdict(list)
        self.paid: defaultdict[tuple[Key, int], list[int]] = defaultdict(list)
        self.emergencies: dict[int, Timeline[EmergencyAccess]] = {}


class State:
    """The state of a MedSync contract, and of one RewardPool that it pays from, derived from their events.

    Each method returns what the contract's view of the same name returns. Methods with a `second` parameter
    (unix) return the state at the end of that second, after every entry up to and including it; without it,
    what the contract answers as of the block, or after the last entry. A second is answered only if it is
    before `until`, the time of the block whose heads the histories were proven by: later blocks may still add
    entries of that second. Entries of different histories in one second have no order among each other.

    Not time-dependent, and no more certain than their node: everything under "rewards".

    >>> state = State(chain_id=0x534E5F5345504F4C4941, contract=1)
    >>> state.entity(5).role.name, state.log_head(7).count
    ('NONE', 0)
    """

    def __init__(self, chain_id: int, contract: int, until: int | None = None) -> None:
        self.chain_id = chain_id
        self.contract = contract
        self.until = until
        self._registry = _Registry()
        self._consents: defaultdict[int, _Consents] = defaultdict(_Consents)
        self._accesses: defaultdict[int, _Accesses] = defaultdict(_Accesses)
        self._pools: dict[int, int] = {}
        self._rewards = _Rewards()
        #: Permitted accesses by campaign and accessor, of all patients whose logs were applied.
        self._spent: defaultdict[tuple[int, int], int] = defaultdict(int)

    @property
    def now(self) -> int:
        """The second that answers without a `second` are judged at: the block's, or the last entry's."""
        if self.until is not None:
            return self.until
        histories: list[_Entries[RegistryEvent] | _Consents | _Accesses] = [self._registry]
        histories += [*self._consents.values(), *self._accesses.values()]
        return max(history.latest for history in histories)

    # --- the registry ---

    def admin(self, second: int | None = None) -> int:
        """The administrator's address, or zero before the contract was deployed."""
        return self._registry.admin.at(self._registry.until(self._asked(second)))

    def pending_admin(self, second: int | None = None) -> PendingAdmin | None:
        """The pending transfer of the administrator role, if any, lapsed or not."""
        return self._registry.pending.at(self._registry.until(self._asked(second)))

    def successor(self, second: int | None = None) -> int:
        """The deployment that was announced to replace this one, or zero."""
        return self._registry.successor.at(self._registry.until(self._asked(second)))

    def entity(self, address: int, second: int | None = None) -> Entity:
        """The entity at an address. Its role is NONE if it was never registered."""
        number = self._registry.until(self._asked(second))
        return self._registry.entities[address].at(number)

    def registry_head(self) -> Head:
        """The recomputed count and head of the registry's history, for comparison with the chain's."""
        return self._head(self._registry.all)

    @property
    def registry(self) -> list[RegistryEvent]:
        """The entries of the registry's history, oldest first."""
        return list(self._registry.all)

    # --- consents ---

    def record(
        self, patient: int, grantee: int, purpose: Purpose, study: int, second: int | None = None
    ) -> ConsentRecord:
        """What is stored of a consent. Its status is NONE if nobody ever decided on it."""
        history = self._consents[patient]
        return history.records[grantee, purpose, study].at(history.until(self._asked(second)))

    def consent(
        self,
        patient: int,
        grantee: int,
        purpose: Purpose,
        study: int,
        campaign: int = 0,
        second: int | None = None,
    ) -> Consent:
        """The record of a consent and what holds of it; `campaign` is the one to ask with."""
        record = self.record(patient, grantee, purpose, study, second)
        key = grantee, purpose, study
        named = record.status is ConsentStatus.GIVEN and campaign == record.campaign
        return Consent(
            state=self._verdict(patient, key, None, campaign, second).reason,
            status=record.status,
            starts_at=record.starts_at,
            expires_at=record.expires_at,
            categories=record.categories,
            version=record.version,
            generation=record.generation,
            max_uses=record.max_uses,
            uses=self._uses(patient, key, record, second) if named or not record.campaign else 0,
            rewarded=record.campaign != 0,
            scoped=record.scoped,
            by_delegate=record.by_delegate,
        )

    def verify_consent(
        self,
        patient: int,
        grantee: int,
        purpose: Purpose,
        study: int,
        categories: Category,
        campaign: int = 0,
        second: int | None = None,
    ) -> Verdict:
        """What `verify_consent` would have answered after the last entry at or before `second`.

        It stops before the campaign's money, as the view does.
        """
        return self._verdict(patient, (grantee, purpose, study), categories, campaign, second)

    def verify_emergency(self, patient: int, hospital: int, second: int | None = None) -> Verdict:
        """How a request to break the glass would have been decided.

        The request of an unknown or suspended entity reverts instead.
        """
        history = self._consents[patient]
        number = history.until(self._asked(second))
        return judge_emergency(
            self.entity(hospital, second),
            history.patient.at(number),
            history.records[hospital, Purpose.BTG, 0].at(number),
            self.now if second is None else second,
        )

    def patient_state(self, patient: int, second: int | None = None) -> PatientState:
        """What concerns a patient as a whole."""
        history = self._consents[patient]
        return history.patient.at(history.until(self._asked(second)))

    def emergency_naming(self, patient: int, hospital: int, second: int | None = None) -> ConsentStatus:
        """What a patient said about emergencies to a hospital: GIVEN, REFUSED or NONE."""
        return self.record(patient, hospital, Purpose.BTG, 0, second).status

    def delegation(self, patient: int, delegate: int, second: int | None = None) -> Delegation:
        """The powers a patient gave a delegate, as they were set, even if they are over."""
        history = self._consents[patient]
        return history.delegations[delegate].at(history.until(self._asked(second)))

    def history(self, patient: int) -> list[ConsentEvent]:
        """The entries of a patient's consent history, oldest first."""
        return list(self._consents[patient].all)

    def history_head(self, patient: int) -> Head:
        """The recomputed count and head of a patient's consent history, for comparison with the chain's."""
        return self._head(self._consents[patient].all)

    # --- accesses ---

    @property
    def patients(self) -> list[int]:
        """All patients with a consent history or an access log, those with a consent history first."""
        found = [patient for patient, history in self._consents.items() if history.all]
        found += [patient for patient, log in self._accesses.items() if log.all]
        return list(dict.fromkeys(found))

    def log(self, patient: int) -> list[AccessEvent]:
        """The entries of a patient's access log, oldest first."""
        return list(self._accesses[patient].all)

    def log_head(self, patient: int) -> Head:
        """The recomputed count and head of a patient's access log, for comparison with the chain's."""
        return self._head(self._accesses[patient].all)

    def emergency(self, patient: int, seq: int, hospital: int) -> Emergency:
        """An emergency access, by its entry in the patient's log and its hospital."""
        found = self._accesses[patient].emergencies.get(seq)
        if found is None or found.now.access.accessor != hospital:
            return Emergency(at=0, justified=False, contested=False)
        access = found.now
        return Emergency(access.access.at, access.justified is not None, access.contested is not None)

    def emergencies(self, patient: int, second: int | None = None) -> list[EmergencyAccess]:
        """All emergency accesses to a patient's data and what became of each, oldest first."""
        log = self._accesses[patient]
        number = log.until(self._asked(second))
        return [timeline.at(number) for seq, timeline in log.emergencies.items() if seq <= number]

    # --- rewards ---

    def paid_uses(
        self,
        patient: int,
        grantee: int,
        purpose: Purpose,
        study: int,
        campaign: int,
        second: int | None = None,
    ) -> PaidUses:
        """What a campaign owes for a consent, in uses. `settled` is as of the last event, at any second."""
        key = grantee, purpose, study
        history, log = self._consents[patient], self._accesses[patient]
        version = history.named[key, campaign].at(history.until(self._asked(second)))
        number = log.until(self._asked(second))
        paid = bisect_right(log.paid[key, campaign], number)
        uses = bisect_right(log.uses[key, version], number) if version else 0
        settled = self._rewards.settled[campaign, patient, key]
        return PaidUses(version=version, paid=paid, base=paid - uses, settled=settled)

    @property
    def pools(self) -> dict[int, int]:
        """The tokens of all pools that the contract deployed, by pool."""
        return dict(self._pools)

    @property
    def campaigns(self) -> dict[int, CampaignTerms]:
        """The terms of all campaigns that were ever funded, by id."""
        return dict(self._rewards.terms)

    def campaign(self, campaign: int) -> Campaign:
        """The campaign with that id. Its status is NONE if it was never funded."""
        return self._rewards.campaign(campaign)

    def budget(self, campaign: int, accessor: int) -> Budget:
        """An accessor's budget: exact once the logs of all patients that it was spent on were applied.

        Raises InputError if something was spent and the events of the campaign's pool were not applied.
        """
        granted = self._rewards.granted.get((campaign, accessor))
        paid = self._spent[campaign, accessor]
        if paid and campaign not in self._rewards.terms:
            raise InputError(
                f"The budget of campaign {campaign:#x} is not known without the events of its pool."
            )
        return Budget(
            left=(granted or 0) - paid,
            paid=paid,
            expires_at=0 if granted is None else self._rewards.terms[campaign].expires_at,
            custodian_settled=self._rewards.custodian_settled[campaign, accessor],
        )

    def claimable(self, owner: int) -> int:
        """The amount `owner` can withdraw, in the token's smallest unit."""
        return self._rewards.claimable[owner]

    def withdrawn(self, owner: int) -> int:
        """The amount `owner` has withdrawn, in the token's smallest unit."""
        return self._rewards.withdrawn[owner]

    def accumulated(self, owner: int) -> int:
        """The total ever credited to `owner`, in the token's smallest unit."""
        return self.claimable(owner) + self.withdrawn(owner)

    def key_credit(self, key: int) -> KeyCredit:
        """What the pool owes to the holder of a key."""
        return self._rewards.key_credits[key]

    def liabilities(self) -> int:
        """The pool's total debt: all deposits less all withdrawals."""
        return self._rewards.liabilities

    # --- applying events ---

    def apply(self, event: Event) -> None:
        """Apply the next event of its history, or of the pool.

        Raises VerificationError if it cannot follow the events applied so far because some are missing or out
        of order. Whether entries of different histories fit together is for `check` to say.
        """
        match event:
            case PoolCreated():
                self._pools[event.pool] = event.token
            case _ if isinstance(event, RegistryEvent):
                self._place(event, self._registry)
                _apply_registry(self._registry, event)
            case _ if isinstance(event, ConsentEvent):
                self._place(event, self._consents[event.patient])
                _apply_consent(self._consents[event.patient], event)
            case _ if isinstance(event, AccessEvent):
                self._place(event, self._accesses[event.patient])
                self._log(event)
            case _ if isinstance(event, PoolEvent):
                self._rewards.apply(event)
            case _:
                pass  # Requests for consents and private logs do not change this state.

    def check(self) -> None:
        """Check what an entry of one history says about the others.

        An access must be explained by some state of its second, in which entries of different histories have
        no order. Raises VerificationError that lists every entry that is not.
        """
        findings = [
            f"entry {entry.seq} of the access log of {patient:#x}: no state of its second explains it"
            for patient, log in self._accesses.items()
            for entry in log.all
            if not self._explains(entry)
        ]
        findings += [
            f"entry {entry.seq} of the consent history of {patient:#x}: the entity was not registered"
            for patient, history in self._consents.items()
            for entry in history.all
            if not self._is_registered(entry)
        ]
        if findings:
            raise VerificationError("The histories do not fit together.", findings=findings)

    def _place(self, entry: E, history: _Entries[E]) -> None:
        _expect(entry, "number", entry.seq == len(history.all) + 1)
        _expect(entry, "time", history.latest <= entry.at <= (entry.at if self.until is None else self.until))
        history.append(entry)

    def _log(self, entry: AccessEvent) -> None:
        log = self._accesses[entry.patient]
        match entry:
            case LogEntry(decision=Decision.PERMIT):
                key = entry.accessor, entry.purpose, entry.study
                log.uses[key, entry.version].append(entry.seq)
                if entry.campaign:
                    log.paid[key, entry.campaign].append(entry.seq)
                    self._spent[entry.campaign, entry.accessor] += 1
            case LogEntry(decision=Decision.EMERGENCY):
                log.emergencies[entry.seq] = Timeline(EmergencyAccess(entry))
            case EmergencyJustified() | EmergencyContested():
                timeline = log.emergencies.get(entry.emergency)
                if timeline is None or timeline.now.access.accessor != entry.accessor:
                    raise _misfit(entry, "emergency")
                access = timeline.now
                if isinstance(entry, EmergencyJustified):
                    in_time = entry.at <= access.access.at + JUSTIFY_WITHIN
                    _expect(entry, "emergency", access.justified is None and in_time)
                    timeline.change(entry.seq, replace(access, justified=entry))
                else:
                    _expect(entry, "emergency", access.contested is None)
                    timeline.change(entry.seq, replace(access, contested=entry))

    def _is_registered(self, entry: ConsentEvent) -> bool:
        number = self._registry.until(entry.at)
        match entry:
            case ConsentAdded():
                return self._registry.entities[entry.grantee].at(number).role is not Role.NONE
            case EmergencyHospitalSet(allowed=True):
                return self._registry.entities[entry.hospital].at(number).role is Role.HOSPITAL
        return True

    def _explains(self, entry: AccessEvent) -> bool:
        """Whether some state of its second explains an entry."""
        if isinstance(entry, EmergencyJustified | EmergencyContested):
            return True  # They depend on the access log alone.
        entity = self._registry.entities[entry.accessor].at(entry.registration)
        held = [
            self._registry.entities[entry.accessor].at(number) for number in self._registry.within(entry.at)
        ]
        if entity not in held or entity.seq != entry.registration:
            return False
        if entity.role is Role.NONE or entity.suspended:
            return False
        history = self._consents[entry.patient]
        return any(self._fits(entry, entity, number) for number in history.within(entry.at))

    def _fits(self, entry: LogEntry | DeletionStated, entity: Entity, number: int) -> bool:
        """Whether the state after entry `number` of the consent history explains an access entry."""
        history, log = self._consents[entry.patient], self._accesses[entry.patient]
        key = entry.accessor, entry.purpose, entry.study
        record = history.records[key].at(number)
        if isinstance(entry, DeletionStated):
            return record.status is not ConsentStatus.NONE and record.version == entry.version
        patient = history.patient.at(number)
        said = Verdict(entry.decision, entry.reason, entry.version, entry.scoped)
        if entry.purpose is Purpose.BTG:
            return (entry.study, entry.campaign) == (0, 0) and said == judge_emergency(
                entity, patient, record, entry.at
            )
        before = entry.seq - 1
        verdict = judge(
            entity,
            patient,
            record,
            purpose=entry.purpose,
            categories=entry.categories,
            campaign=entry.campaign,
            uses=bisect_right(log.uses[key, record.given], before),
            paid=bisect_right(log.paid[key, entry.campaign], before),
            now=entry.at,
        )
        if verdict.reason is Reason.GRANTED and record.campaign:
            return any(
                said == replace(verdict, decision=_decision_of(reason), reason=reason)
                for reason in self._rewards.possible(record.campaign, entry.at)
            )
        return said == verdict

    def _verdict(
        self, patient: int, key: Key, categories: Category | None, campaign: int, second: int | None
    ) -> Verdict:
        grantee, purpose, study = key
        record = self.record(patient, grantee, purpose, study, second)
        log = self._accesses[patient]
        return judge(
            self.entity(grantee, second),
            self.patient_state(patient, second),
            record,
            purpose=purpose,
            categories=categories,
            campaign=campaign,
            uses=self._uses(patient, key, record, second),
            paid=bisect_right(log.paid[key, campaign], log.until(second)),
            now=self.now if second is None else second,
        )

    def _uses(self, patient: int, key: Key, record: ConsentRecord, second: int | None) -> int:
        """Permitted accesses since a consent was last given, up to a second."""
        log = self._accesses[patient]
        return bisect_right(log.uses[key, record.given], log.until(second))

    def _asked(self, second: int | None) -> int | None:
        if second is not None and self.until is not None and second >= self.until:
            raise InputError(
                f"What held in second {second} is not certain: the histories were read as of a block of "
                f"second {self.until}.",
                hint="Ask for an earlier second, or read the histories again.",
            )
        return second

    def _head(self, entries: Sequence[ChainEvent]) -> Head:
        digests = entry_digests(self.chain_id, self.contract, entries)
        return Head(len(entries), [0, *digests][-1])


def _apply_registry(registry: _Registry, event: RegistryEvent) -> None:
    seq, at = event.seq, event.at
    pending = registry.pending.now
    match event:
        case AdminTransferred():
            _expect(event, "administrator", event.previous == registry.admin.now)
            if event.previous:
                if pending is None or pending.address != event.admin:
                    raise _misfit(event, "administrator")
                _expect(event, "time", pending.ready_at <= at < pending.lapses_at)
            registry.admin.change(seq, event.admin)
            registry.pending.change(seq, None)
        case AdminTransferBegun():
            fits = (event.ready_at, event.lapses_at) == (at + ADMIN_DELAY, at + ADMIN_LAPSE)
            _expect(event, "delay", fits)
            _expect(event, "successor", registry.entities[event.new_admin].now == _NO_ENTITY)
            registry.pending.change(seq, PendingAdmin(event.new_admin, event.ready_at, event.lapses_at))
        case AdminTransferCancelled():
            _expect(event, "successor", pending is not None and pending.address == event.new_admin)
            registry.pending.change(seq, None)
        case SuccessorAnnounced():
            registry.successor.change(seq, event.successor)
        case _:
            _apply_entity(registry, event)


def _apply_entity(
    registry: _Registry, event: EntityRegistered | EntitySuspended | EntityReinstated | ProfileChanged
) -> None:
    seq, at = event.seq, event.at
    timeline = registry.entities[event.entity]
    entity = timeline.now
    if isinstance(event, EntityRegistered):
        _expect(event, "entity", entity == _NO_ENTITY and event.entity != registry.admin.now)
        entity = Entity(
            event.role, suspended=False, registered_at=at, active_since=at, profiled_at=at, seq=seq
        )
    else:
        fits = entity.role is not Role.NONE and entity.suspended == isinstance(event, EntityReinstated)
        _expect(event, "entity", fits)
        match event:
            case EntitySuspended():
                _expect(event, "sender", event.by in (registry.admin.now, event.entity))
                entity = replace(entity, suspended=True, seq=seq)
            case EntityReinstated():
                entity = replace(entity, suspended=False, active_since=at, seq=seq)
            case ProfileChanged():
                _expect(event, "time", at >= entity.profiled_at + PROFILE_DELAY)
                entity = replace(entity, profiled_at=at, seq=seq)
    timeline.change(seq, entity)


def _apply_consent(history: _Consents, event: ConsentEvent) -> None:
    patient = history.patient.now
    match event:
        case ConsentAdded():
            _add_consent(history, event)
        case ConsentRevoked():
            _revoke_consent(history, event)
        case ConsentRefused():
            _refuse_consent(history, event)
        case AllConsentsRevoked():
            if event.by != event.patient:
                _expect_delegate(history, event, Power.REVOKE)
                _expect(event, "dismissal", not event.delegates_dismissed)
            patient = _next_generation(event, patient)
            epoch = patient.delegate_epoch
            patient = replace(
                patient,
                floor=patient.generation,
                delegate_epoch=_raised(epoch) if event.delegates_dismissed else epoch,
            )
            history.patient.change(event.seq, patient)
        case PurposeRefused() | PurposeAllowed():
            bit = 1 << REFUSAL_BITS.index(event.purpose)
            kept = patient.refused_purposes & ~bit
            refused = kept | bit if isinstance(event, PurposeRefused) else kept
            history.patient.change(event.seq, replace(patient, refused_purposes=refused))
        case DelegateSet():
            _expect(event, "epoch", event.epoch == patient.delegate_epoch)
            delegation = Delegation(event.powers, event.expires_at, event.epoch)
            history.delegations[event.delegate].change(event.seq, delegation)
        case DelegatesDismissed():
            _expect(event, "epoch", event.epoch == _raised(patient.delegate_epoch))
            history.patient.change(event.seq, replace(patient, delegate_epoch=event.epoch))
        case EmergencyChoiceSet():
            history.patient.change(event.seq, replace(patient, emergency=event.choice))
        case EmergencyHospitalSet():
            timeline = history.records[event.hospital, Purpose.BTG, 0]
            status = ConsentStatus.GIVEN if event.allowed else ConsentStatus.REFUSED
            _decide(event, timeline, replace(timeline.now, status=status, generation=patient.generation))
        case SignaturesCancelled():
            history.patient.change(event.seq, _next_generation(event, patient))


def _add_consent(history: _Consents, event: ConsentAdded) -> None:
    patient = history.patient.now
    key = event.grantee, event.purpose, event.study
    timeline = history.records[key]
    before = timeline.now
    is_empty = before.status is ConsentStatus.NONE
    _expect(event, "purpose", event.purpose not in patient.refused)
    _expect(event, "generation", patient.generation != _U32_MAX)
    _expect(event, "end", event.at < event.expires_at)
    by_patient = event.by == event.patient
    generation = patient.generation
    if not by_patient:
        _expect_delegate(history, event, Power.GIVE)
        is_over = before.status is ConsentStatus.GIVEN and event.at >= before.expires_at
        may_replace = before.generation >= patient.floor and (before.by_delegate or is_over)
        _expect(event, "delegate", is_empty or may_replace)
        generation = patient.floor if is_empty else before.generation
    if event.nonce:
        fits = event.nonce == (patient.generation << 32) + patient.counter
        _expect(event, "nonce", by_patient and fits)
        history.patient.change(event.seq, replace(patient, counter=patient.counter + 1))
    record = ConsentRecord(
        status=ConsentStatus.GIVEN,
        starts_at=event.starts_at,
        expires_at=event.expires_at,
        categories=event.categories,
        version=before.version,
        generation=generation,
        max_uses=event.max_uses,
        campaign=event.campaign,
        scoped=event.scoped,
        by_delegate=not by_patient and (is_empty or before.by_delegate),
        given=event.version,
    )
    _decide(event, timeline, record)
    if event.campaign:
        history.named[key, event.campaign].change(event.seq, event.version)


def _revoke_consent(history: _Consents, event: ConsentRevoked) -> None:
    patient = history.patient.now
    timeline = history.records[event.grantee, event.purpose, event.study]
    before = timeline.now
    if event.by != event.patient:
        _expect_delegate(history, event, Power.REVOKE)
        _expect(event, "nonce", event.nonce == 0)
        _expect(event, "consent", _is_live(before, patient, event.at))
        _decide(event, timeline, replace(before, status=ConsentStatus.REVOKED))
        return
    if event.nonce:
        signed_at, counter = divmod(event.nonce, 2**32)
        fits = 1 <= signed_at <= patient.generation and counter == 0
        reaches = before.by_delegate or before.generation <= signed_at
        _expect(event, "nonce", fits and reaches and before.generation != _U32_MAX)
        patient = _next_generation(event, patient)
        history.patient.change(event.seq, patient)
    else:
        _expect(event, "consent", before.status is not ConsentStatus.NONE)
    withdrawn = replace(
        before, status=ConsentStatus.WITHDRAWN, generation=patient.generation, by_delegate=False
    )
    _decide(event, timeline, withdrawn)


def _refuse_consent(history: _Consents, event: ConsentRefused) -> None:
    patient = history.patient.now
    timeline = history.records[event.grantee, event.purpose, event.study]
    before = timeline.now
    generation, by_delegate = patient.generation, False
    if event.by != event.patient:
        _expect_delegate(history, event, Power.REFUSE)
        if _is_live(before, patient, event.at):
            _expect_delegate(history, event, Power.REVOKE)
        is_empty = before.status is ConsentStatus.NONE
        _expect(event, "consent", is_empty or before.status is ConsentStatus.GIVEN)
        generation = patient.floor if is_empty else before.generation
        by_delegate = is_empty or before.by_delegate
    refused = replace(before, status=ConsentStatus.REFUSED, generation=generation, by_delegate=by_delegate)
    _decide(event, timeline, refused)


def _decide(
    event: ConsentAdded | ConsentRevoked | ConsentRefused | EmergencyHospitalSet,
    timeline: Timeline[ConsentRecord],
    record: ConsentRecord,
) -> None:
    """Put a decision into a record: the version that it raises and the generation are in the event."""
    _expect(event, "version", event.version == _raised(timeline.now.version))
    _expect(event, "generation", event.generation == record.generation)
    timeline.change(event.seq, replace(record, version=event.version))


def _next_generation(
    event: AllConsentsRevoked | ConsentRevoked | SignaturesCancelled, patient: PatientState
) -> PatientState:
    generation = _raised(patient.generation)
    _expect(event, "generation", event.generation == generation)
    return replace(patient, generation=generation, counter=1)


def _expect_delegate(
    history: _Consents,
    event: ConsentAdded | ConsentRevoked | ConsentRefused | AllConsentsRevoked,
    power: Power,
) -> None:
    delegation = history.delegations[event.by].now
    epoch = history.patient.now.delegate_epoch
    is_live = event.at < delegation.expires_at and delegation.epoch == epoch
    _expect(event, "delegate", is_live and power in delegation.powers)


def _is_live(record: ConsentRecord, patient: PatientState, now: int) -> bool:
    """Whether a consent stands that a delegate may only end with the power to revoke, started or not."""
    return (
        record.status is ConsentStatus.GIVEN
        and record.generation >= patient.floor
        and now < record.expires_at
    )


def _raised(value: int) -> int:
    return min(value + 1, _U32_MAX)


class _Rewards:
    """What follows from the events of one pool."""

    def __init__(self) -> None:
        self.terms: dict[int, CampaignTerms] = {}
        self.campaigns: dict[int, Campaign] = {}
        #: What was granted to accessors of campaigns less what was taken back, in uses.
        self.granted: dict[tuple[int, int], int] = {}
        self.settled: defaultdict[tuple[int, int, Key], int] = defaultdict(int)
        self.custodian_settled: defaultdict[tuple[int, int], int] = defaultdict(int)
        self.claimable: defaultdict[int, int] = defaultdict(int)
        self.withdrawn: defaultdict[int, int] = defaultdict(int)
        self.key_credits: defaultdict[int, KeyCredit] = defaultdict(lambda: KeyCredit(0, 0))
        self.liabilities = 0

    def campaign(self, campaign: int) -> Campaign:
        return self.campaigns.get(campaign, Campaign(campaign, CampaignStatus.NONE, 0, 0, 0, 0))

    def possible(self, campaign: int, now: int) -> list[Reason]:
        """How a request that a consent grants may end at `now`, as far as the campaign's terms are known."""
        terms = self.terms.get(campaign)
        if terms is None:
            return [Reason.REWARD_UNFUNDED, Reason.CAMPAIGN_EXPIRED, Reason.GRANTED]
        return [
            Reason.REWARD_UNFUNDED,
            Reason.GRANTED if now < terms.expires_at else Reason.CAMPAIGN_EXPIRED,
        ]

    def apply(self, event: PoolEvent) -> None:
        match event:
            case RewardWithdrawn():
                self._credit(event, event.owner, -event.amount)
                self.withdrawn[event.owner] = min(self.withdrawn[event.owner] + event.amount, _WITHDRAWN_MAX)
                self.liabilities -= event.amount
            case KeyCreditWithdrawn():
                credit = self.key_credits[event.key]
                _expect(event, "nonce", event.nonce == credit.nonce)
                _expect(event, "credit", event.amount <= credit.claimable)
                self.key_credits[event.key] = KeyCredit(credit.claimable - event.amount, credit.nonce + 1)
                self.liabilities -= event.amount
            case CampaignOpened():
                _expect(event, "campaign", event.campaign not in self.campaigns)
                _expect(event, "terms", event.terms.id == event.campaign)
                if any(terms.pool != event.terms.pool for terms in self.terms.values()):
                    raise InputError("The events come from several pools; replay each pool separately.")
                self.terms[event.campaign] = event.terms
                opened = replace(self.campaign(event.campaign), status=CampaignStatus.OPEN)
                self.campaigns[event.campaign] = opened
            case _:
                _expect(event, "campaign", event.campaign in self.campaigns)
                self._apply_to(event, self.campaigns[event.campaign], self.terms[event.campaign])

    def _apply_to(
        self,
        event: RewardDeposited
        | AllowanceIncreased
        | AllowanceDecreased
        | RewardSettled
        | CustodianSettled
        | RewardSpent
        | CampaignCloseAnnounced
        | CampaignClosed,
        campaign: Campaign,
        terms: CampaignTerms,
    ) -> None:
        id, is_open = campaign.id, campaign.status is CampaignStatus.OPEN
        custodian_share = terms.rate * terms.custodian_bps // 10_000
        patient_share = terms.rate - custodian_share
        match event:
            case RewardDeposited():
                _expect(event, "campaign", is_open)
                _expect(event, "amount", event.amount == event.uses * terms.rate)
                campaign = replace(campaign, granted=campaign.granted + event.uses, closing_at=0)
                self.liabilities += event.amount
                if not terms.spender:
                    self._grant(event, terms.funder, event.uses)
            case AllowanceIncreased():
                _expect(event, "campaign", is_open)
                self._grant(event, terms.funder, -event.uses)
                self._grant(event, event.accessor, event.uses)
            case AllowanceDecreased():
                self._grant(event, event.accessor, -event.uses)
                _expect(event, "amount", event.refunded == (0 if is_open else event.uses * terms.rate))
                if is_open:
                    self._grant(event, terms.funder, event.uses)
                else:
                    campaign = replace(campaign, taken=campaign.taken + event.uses)
                    self._credit(event, terms.funder, event.refunded)
            case RewardSettled():
                _expect(event, "share", event.share == event.uses * patient_share)
                key = event.grantee, terms.purpose, event.study
                self.settled[id, event.patient, key] += event.uses
                self._credit(event, event.patient, event.share)
            case CustodianSettled():
                _expect(event, "share", event.share == event.uses * custodian_share)
                self.custodian_settled[id, event.accessor] += event.uses
                self._credit(event, event.custodian, event.share)
            case RewardSpent():
                shares = event.payee_share, event.custodian_share
                _expect(event, "share", shares == (patient_share, custodian_share))
                left = campaign.granted - campaign.taken - campaign.spent
                _expect(event, "rest", left > 0)
                campaign = replace(campaign, spent=campaign.spent + 1)
                self._credit(event, terms.custodian, custodian_share)
                if event.payee.kind is PayeeKind.ACCOUNT:
                    self._credit(event, event.payee.value, patient_share)
                else:
                    credit = self.key_credits[event.payee.value]
                    grown = replace(credit, claimable=credit.claimable + patient_share)
                    self.key_credits[event.payee.value] = grown
            case CampaignCloseAnnounced():
                _expect(event, "campaign", is_open)
                campaign = replace(campaign, closing_at=event.closing_at)
            case CampaignClosed():
                _expect(event, "campaign", is_open)
                _expect(event, "amount", event.refunded == event.uses * terms.rate)
                if not terms.spender:
                    self._grant(event, terms.funder, -event.uses)
                self._credit(event, terms.funder, event.refunded)
                taken = campaign.taken + event.uses
                campaign = replace(campaign, taken=taken, status=CampaignStatus.CLOSED)
        self.campaigns[id] = campaign

    def _grant(
        self,
        event: RewardDeposited | AllowanceIncreased | AllowanceDecreased | CampaignClosed,
        accessor: int,
        uses: int,
    ) -> None:
        granted = self.granted.get((event.campaign, accessor), 0) + uses
        _expect(event, "uses", granted >= 0)
        self.granted[event.campaign, accessor] = granted

    def _credit(self, event: PoolEvent, owner: int, amount: int) -> None:
        if amount:
            credit = self.claimable[owner] + amount
            _expect(event, "credit", credit >= 0)
            self.claimable[owner] = credit


def replay(events: Iterable[Event], *, chain_id: int, contract: int, until: int | None = None) -> State:
    """Rebuild the state from all events of a MedSync contract since its deployment.

    The entries of each history must be in order; histories may follow one another or be mixed. The events of
    one RewardPool may be among them, in order. `chain_id` and `contract` are part of the hashes of the
    histories, `until` is the time (unix seconds) of the block that they were read as of. Raises
    VerificationError as `State.apply` and `State.check` do.
    """
    state = State(chain_id, contract, until)
    for event in events:
        state.apply(event)
    state.check()
    return state


def replay_patient(patient: PatientHistory, events: Iterable[Event] = ()) -> State:
    """Rebuild what a patient's proven histories say; `events` of one pool may be added, which are not proven.

    Raises InputError for histories that continue from a checkpoint, and the same errors as `replay`.
    """
    if any(history.known is not None for history in patient.histories):
        raise InputError(
            "Only whole histories can be replayed; these continue from a checkpoint.",
            hint="Put them behind the part that was known: `PatientHistory.followed_by`.",
        )
    return replay(
        [*patient.entries, *events],
        chain_id=patient.chain_id,
        contract=patient.contract,
        until=patient.block.timestamp,
    )


def judge(
    entity: Entity,
    patient: PatientState,
    record: ConsentRecord,
    *,
    purpose: Purpose,
    categories: Category | None,
    campaign: int,
    uses: int,
    paid: int,
    now: int,
) -> Verdict:
    """The contract's decision at second `now`. The first reason that applies determines it.

    `uses` are those since the consent was last given, `paid` all that the campaign ever paid for it. Without
    categories it is decided whatever they are. A campaign's money is not looked at.
    """
    if entity.role is Role.NONE:
        return Verdict(Decision.DENY, Reason.ENTITY_UNKNOWN, 0, False)
    if entity.suspended:
        return Verdict(Decision.DENY, Reason.ENTITY_SUSPENDED, 0, False)
    if purpose in patient.refused:
        reason = Reason.PURPOSE_REFUSED
    elif purpose is Purpose.BTG or record.status is ConsentStatus.NONE:
        reason = Reason.NEVER_GIVEN
    elif record.status is not ConsentStatus.GIVEN:
        reason = _ENDED[record.status]
    elif record.generation < patient.floor:
        reason = Reason.ALL_REVOKED
    elif now < record.starts_at:
        reason = Reason.NOT_STARTED
    elif now >= record.expires_at:
        reason = Reason.EXPIRED
    elif categories is not None and (not categories or int(categories) & ~int(record.categories)):
        reason = Reason.CATEGORY_NOT_COVERED
    elif campaign != record.campaign:
        reason = Reason.CAMPAIGN_MISMATCH
    elif uses >= (record.max_uses or _U32_MAX) or (campaign and paid >= _U32_MAX):
        reason = Reason.USES_EXHAUSTED
    else:
        reason = Reason.GRANTED
    return Verdict(_decision_of(reason), reason, record.version, record.scoped)


_ENDED: Final = {
    ConsentStatus.REFUSED: Reason.REFUSED,
    ConsentStatus.WITHDRAWN: Reason.WITHDRAWN,
    ConsentStatus.REVOKED: Reason.REVOKED,
}


def judge_emergency(entity: Entity, patient: PatientState, named: ConsentRecord, now: int) -> Verdict:
    """The contract's decision at second `now` about breaking the glass.

    `named` is the record of what the patient said about emergencies to the hospital.
    """
    allowed = {
        EmergencyChoice.EVERY_HOSPITAL: named.status is not ConsentStatus.REFUSED,
        EmergencyChoice.NAMED_HOSPITALS: named.status is ConsentStatus.GIVEN,
        EmergencyChoice.NOBODY: False,
    }
    decision, version = Decision.DENY, 0
    if entity.role is Role.NONE:
        reason = Reason.ENTITY_UNKNOWN
    elif entity.suspended:
        reason = Reason.ENTITY_SUSPENDED
    elif entity.role is not Role.HOSPITAL:
        reason = Reason.NOT_HOSPITAL
    elif now < entity.active_since + EMERGENCY_DELAY:
        reason = Reason.HOSPITAL_TOO_NEW
    else:
        if patient.emergency is not EmergencyChoice.NOBODY:
            version = named.version
        if allowed[patient.emergency]:
            decision, reason = Decision.EMERGENCY, Reason.BREAK_GLASS
        else:
            reason = Reason.EMERGENCY_REFUSED
    return Verdict(decision, reason, version, False)


def _decision_of(reason: Reason) -> Decision:
    """The decision that goes with a consent's reason."""
    match reason:
        case Reason.GRANTED:
            return Decision.PERMIT
        case Reason.NEVER_GIVEN:
            return Decision.NO_CONSENT
    return Decision.DENY


def _expect(event: Event, what: str, fits: bool) -> None:
    if not fits:
        raise _misfit(event, what)


def _misfit(event: Event, what: str) -> VerificationError:
    where = f" in block {event.location.block_number}" if event.location else ""
    return VerificationError(
        "The events do not follow on one another: some are missing or out of order.",
        findings=[f"{event_name(event)}{where}: its {what} does not fit what came before"],
    )

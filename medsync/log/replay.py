"""The state of the contracts at any point in time, rebuilt from their events alone.

`replay` is a pure function: the same events always give the same state, and no node is needed.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, Generic, TypeVar

from medsync.errors import InputError, VerificationError
from medsync.log.completeness import entry_digests
from medsync.protocol.events import (
    AdminTransferBegun,
    AdminTransferCancelled,
    AdminTransferred,
    AllConsentsRevoked,
    AllowanceSet,
    CampaignCloseAnnounced,
    CampaignClosed,
    CampaignOpened,
    ConsentAdded,
    ConsentRevoked,
    DelegateSet,
    EmergencyOptOutSet,
    EntityRegistered,
    EntityReinstated,
    EntitySuspended,
    Event,
    LogEntry,
    RewardAccrued,
    RewardDeposited,
    RewardWithdrawn,
    SignaturesCancelled,
    SignatureUsed,
    event_name,
)
from medsync.protocol.types import (
    Campaign,
    CampaignTerms,
    Consent,
    Delegation,
    Entity,
    Judgement,
    LogHead,
    PendingAdmin,
)
from medsync.protocol.vocabulary import (
    CampaignStatus,
    Category,
    ConsentStatus,
    Decision,
    Power,
    Purpose,
    Reason,
    Role,
)

T = TypeVar("T")

_U32_MAX: Final = 2**32 - 1

_NO_ENTITY: Final = Entity(Role.NONE, suspended=False, registered_at=0)
_NO_CONSENT: Final = Consent(0, 0, Category(0), 0, 0, 0, 0, ConsentStatus.NONE, 0)
_NO_DELEGATION: Final = Delegation(Power(0), 0)


class Timeline(Generic[T]):
    """A value and its history: every change with the unix second in which it happened.

    >>> timeline = Timeline("requested")
    >>> timeline.change(100, "given")
    >>> timeline.at(99), timeline.at(100), timeline.now
    ('requested', 'given', 'given')
    """

    def __init__(self, initial: T) -> None:
        self._times: list[int] = []
        self._values: list[T] = [initial]

    @property
    def now(self) -> T:
        """The value after the last change."""
        return self._values[-1]

    def at(self, second: int | None) -> T:
        """The value at the end of `second`, or the current value if `second` is None."""
        return self.now if second is None else self._values[bisect_right(self._times, second)]

    def change(self, second: int, value: T) -> None:
        """Append a change. It must not be earlier than the previous one."""
        self._times.append(second)
        self._values.append(value)


class State:
    """The state of a MedSync contract, and of one RewardPool that it pays from, derived from their events.

    Each method returns what the contract's view of the same name returns. Methods with a `second` parameter
    (unix) return the state at the end of that second: after every event up to and including it.

    >>> state = State(chain_id=0x534E5F5345504F4C4941, contract=1)
    >>> state.entity(5).role.name, state.log_head(7).count
    ('NONE', 0)
    """

    def __init__(self, chain_id: int, contract: int) -> None:
        self.chain_id = chain_id
        self.contract = contract
        self._time = 0
        self._admin = Timeline(0)
        self._pending: Timeline[PendingAdmin | None] = Timeline(None)
        self._entities: dict[int, Timeline[Entity]] = {}
        self._consents: dict[tuple[int, int, Purpose], Timeline[Consent]] = {}
        self._epochs: dict[int, Timeline[int]] = {}
        self._opt_outs: dict[int, Timeline[bool]] = {}
        self._nonces: dict[int, Timeline[int]] = {}
        self._delegations: dict[tuple[int, int], Timeline[Delegation]] = {}
        self._logs: dict[int, list[LogEntry]] = {}
        self._campaigns: dict[int, Campaign] = {}
        self._terms: dict[int, CampaignTerms] = {}
        self._allowances: dict[tuple[int, int], int] = {}
        self._claimable: dict[int, int] = {}
        self._withdrawn: dict[int, int] = {}
        self._lifetime_deposits = 0

    # --- entities and consents ---

    def admin(self, second: int | None = None) -> int:
        """The administrator's address, or zero before the contract was deployed."""
        return self._admin.at(second)

    def pending_admin(self, second: int | None = None) -> PendingAdmin | None:
        """The pending transfer of the administrator role, if any."""
        return self._pending.at(second)

    def entity(self, address: int, second: int | None = None) -> Entity:
        """The entity at an address. Its role is NONE if it was never registered."""
        return _at(self._entities.get(address), second, _NO_ENTITY)

    def consent(self, patient: int, grantee: int, purpose: Purpose, second: int | None = None) -> Consent:
        """The record of a consent. Its status is NONE if it was never given."""
        return _at(self._consents.get((patient, grantee, purpose)), second, _NO_CONSENT)

    def epoch(self, patient: int, second: int | None = None) -> int:
        """How many times the patient revoked all consents."""
        return _at(self._epochs.get(patient), second, 0)

    def nonce(self, patient: int, second: int | None = None) -> int:
        """The nonce that the patient's next signed message must contain."""
        return _at(self._nonces.get(patient), second, 0)

    def emergency_opt_out(self, patient: int, second: int | None = None) -> bool:
        """Whether the patient forbids emergency access."""
        return _at(self._opt_outs.get(patient), second, False)

    def delegation(self, patient: int, delegate: int, second: int | None = None) -> Delegation:
        """The powers a patient gave a delegate, as they were set, even if they have expired."""
        return _at(self._delegations.get((patient, delegate)), second, _NO_DELEGATION)

    def decision_at(
        self, patient: int, grantee: int, purpose: Purpose, categories: Category, second: int
    ) -> Judgement:
        """The answer that `verify_consent` would have given at the end of `second`."""
        return judge(
            self.entity(grantee, second),
            self.consent(patient, grantee, purpose, second),
            self.epoch(patient, second),
            categories,
            second,
        )

    # --- accesses ---

    @property
    def patients(self) -> list[int]:
        """All patients with a log, in the order of their first entries."""
        return list(self._logs)

    def log(self, patient: int) -> list[LogEntry]:
        """A patient's log entries, oldest first."""
        return list(self._logs.get(patient, ()))

    def log_head(self, patient: int) -> LogHead:
        """The recomputed count and head of a patient's log, for comparison with the chain's."""
        entries = self.log(patient)
        head = [0, *entry_digests(self.chain_id, self.contract, entries)][-1]
        return LogHead(len(entries), head)

    # --- rewards ---

    @property
    def campaigns(self) -> dict[int, CampaignTerms]:
        """The terms of all campaigns that were ever funded, by id."""
        return dict(self._terms)

    def campaign(self, campaign: int) -> Campaign:
        """The campaign with that id. Its status is NONE if it was never funded."""
        none = Campaign(campaign, self.contract, CampaignStatus.NONE, 0, 0, 0)
        return self._campaigns.get(campaign, none)

    def allowance(self, campaign: int, accessor: int) -> int:
        """The amount an accessor may still spend from a campaign, in the token's smallest unit."""
        return self._allowances.get((campaign, accessor), 0)

    def claimable(self, owner: int) -> int:
        """The amount `owner` can withdraw, in the token's smallest unit."""
        return self._claimable.get(owner, 0)

    def withdrawn(self, owner: int) -> int:
        """The amount `owner` has withdrawn, in the token's smallest unit."""
        return self._withdrawn.get(owner, 0)

    def accumulated(self, owner: int) -> int:
        """The total ever credited to `owner`, in the token's smallest unit."""
        return self.claimable(owner) + self.withdrawn(owner)

    def liabilities(self) -> int:
        """The pool's total debt: the remaining money of all campaigns plus all credits."""
        escrowed = sum(campaign.remaining for campaign in self._campaigns.values())
        return escrowed + sum(self._claimable.values())

    def lifetime_deposits(self) -> int:
        """The sum of all deposits, in the token's smallest unit."""
        return self._lifetime_deposits

    # --- applying events ---

    def apply(self, event: Event) -> None:
        """Apply the next event.

        Raises InputError if the event has no time, and VerificationError if it cannot follow the events
        applied so far because some are missing or out of order.
        """
        time = _time_of(event)
        self._expect(event, "time", time >= self._time)
        self._time = time
        match event:
            case AdminTransferred():
                self._expect(event, "administrator", event.previous == self.admin())
                self._admin.change(time, event.admin)
                self._pending.change(time, None)
            case AdminTransferBegun():
                self._pending.change(time, PendingAdmin(event.new_admin, event.ready_at))
            case AdminTransferCancelled():
                pending = self.pending_admin()
                self._expect(event, "successor", pending is not None and pending.address == event.new_admin)
                self._pending.change(time, None)
            case EntityRegistered():
                self._expect(event, "entity", self.entity(event.entity) == _NO_ENTITY)
                self._set_entity(event.entity, time, Entity(event.role, False, event.at))
            case EntitySuspended() | EntityReinstated():
                suspended = isinstance(event, EntitySuspended)
                entity = self.entity(event.entity)
                fits = entity.role is not Role.NONE and entity.suspended != suspended
                self._expect(event, "entity", fits)
                self._set_entity(event.entity, time, replace(entity, suspended=suspended))
            case ConsentAdded():
                self._add_consent(time, event)
            case ConsentRevoked():
                self._revoke_consent(time, event)
            case AllConsentsRevoked():
                self._expect(event, "epoch", event.epoch == self.epoch(event.patient) + 1)
                self._epochs.setdefault(event.patient, Timeline(0)).change(time, event.epoch)
                self._raise_nonce(time, event, event.nonce)
            case SignaturesCancelled():
                self._raise_nonce(time, event, event.nonce)
            case SignatureUsed():
                self._raise_nonce(time, event, event.nonce + 1)
            case EmergencyOptOutSet():
                self._opt_outs.setdefault(event.patient, Timeline(False)).change(time, event.opted_out)
            case DelegateSet():
                timeline = self._delegations.setdefault(
                    (event.patient, event.delegate), Timeline(_NO_DELEGATION)
                )
                timeline.change(time, Delegation(event.powers, event.expires_at))
            case LogEntry():
                self._log(time, event)
            case (
                CampaignOpened()
                | RewardDeposited()
                | AllowanceSet()
                | RewardAccrued()
                | RewardWithdrawn()
                | CampaignCloseAnnounced()
                | CampaignClosed()
            ):
                self._reward(event)
            case _:
                pass  # Requests, refusals and EmergencyAccessed do not change this state.

    def _raise_nonce(
        self, time: int, event: AllConsentsRevoked | SignaturesCancelled | SignatureUsed, nonce: int
    ) -> None:
        self._expect(event, "nonce", nonce == self.nonce(event.patient) + 1)
        self._nonces.setdefault(event.patient, Timeline(0)).change(time, nonce)

    def _set_entity(self, address: int, time: int, entity: Entity) -> None:
        self._entities.setdefault(address, Timeline(_NO_ENTITY)).change(time, entity)

    def _set_consent(self, key: tuple[int, int, Purpose], time: int, record: Consent) -> None:
        self._consents.setdefault(key, Timeline(_NO_CONSENT)).change(time, record)

    def _add_consent(self, time: int, event: ConsentAdded) -> None:
        key = event.patient, event.grantee, event.purpose
        self._expect(event, "version", event.version == self.consent(*key).version + 1)
        self._expect(event, "epoch", event.epoch == self.epoch(event.patient))
        record = Consent(
            starts_at=event.starts_at,
            expires_at=event.expires_at,
            categories=event.categories,
            version=event.version,
            epoch=event.epoch,
            max_uses=event.max_uses,
            uses=0,
            status=ConsentStatus.GIVEN,
            campaign=event.campaign,
        )
        self._set_consent(key, time, record)

    def _revoke_consent(self, time: int, event: ConsentRevoked) -> None:
        key = event.patient, event.grantee, event.purpose
        record = self.consent(*key)
        by_patient = event.by == event.patient
        revocable = (
            record.status is not ConsentStatus.NONE if by_patient else record.status is ConsentStatus.GIVEN
        )
        self._expect(event, "version", revocable and event.version == record.version + 1)
        status = ConsentStatus.WITHDRAWN if by_patient else ConsentStatus.REVOKED
        self._set_consent(key, time, replace(record, version=event.version, status=status))

    def _log(self, time: int, entry: LogEntry) -> None:
        log = self._logs.setdefault(entry.patient, [])
        self._expect(entry, "seq", entry.seq == len(log) + 1)
        log.append(entry)
        if entry.decision is Decision.PERMIT:
            key = entry.patient, entry.accessor, entry.purpose
            record = self.consent(*key)
            self._expect(entry, "version", entry.version == record.version)
            self._set_consent(key, time, replace(record, uses=record.uses + 1))

    def _reward(
        self,
        event: CampaignOpened
        | RewardDeposited
        | AllowanceSet
        | RewardAccrued
        | RewardWithdrawn
        | CampaignCloseAnnounced
        | CampaignClosed,
    ) -> None:
        if isinstance(event, RewardWithdrawn):
            self._credit(event, event.owner, -event.amount)
            self._withdrawn[event.owner] = self.withdrawn(event.owner) + event.amount
            return
        if isinstance(event, AllowanceSet):
            # An allowance may be set before the first deposit.
            self._allowances[event.campaign, event.accessor] = event.amount
            return
        campaign = self.campaign(event.campaign)
        if isinstance(event, CampaignOpened):
            self._expect(event, "campaign", campaign.status is CampaignStatus.NONE)
            self._expect(event, "terms", event.terms.id == event.campaign)
            if any(terms.pool != event.terms.pool for terms in self._terms.values()):
                raise InputError("The events come from several pools; replay each pool separately.")
            self._terms[event.campaign] = event.terms
            self._campaigns[event.campaign] = replace(campaign, status=CampaignStatus.OPEN)
            return
        self._expect(event, "campaign", campaign.status is CampaignStatus.OPEN)
        match event:
            case RewardDeposited():
                self._lifetime_deposits += event.amount
                campaign = replace(campaign, remaining=campaign.remaining + event.amount)
            case RewardAccrued():
                rate = self._terms[event.campaign].rate
                self._expect(event, "rate", event.patient_share + event.custodian_share == rate)
                self._expect(event, "rest", campaign.remaining >= rate)
                if event.accessor != self._terms[event.campaign].funder:
                    left = self.allowance(event.campaign, event.accessor) - rate
                    self._expect(event, "allowance", left >= 0)
                    self._allowances[event.campaign, event.accessor] = left
                self._credit(event, event.patient, event.patient_share)
                self._credit(event, event.custodian, event.custodian_share)
                campaign = replace(
                    campaign, remaining=campaign.remaining - rate, paid_count=campaign.paid_count + 1
                )
            case CampaignCloseAnnounced():
                campaign = replace(campaign, closing_at=event.closing_at)
            case CampaignClosed():
                self._expect(event, "rest", event.refunded == campaign.remaining)
                self._credit(event, self._terms[event.campaign].funder, event.refunded)
                campaign = replace(campaign, remaining=0, status=CampaignStatus.CLOSED)
        self._campaigns[event.campaign] = campaign

    def _credit(self, event: Event, owner: int, amount: int) -> None:
        credit = self.claimable(owner) + amount
        self._expect(event, "credit", credit >= 0)
        if amount:
            self._claimable[owner] = credit

    def _expect(self, event: Event, what: str, fits: bool) -> None:
        if not fits:
            where = f" in block {event.location.block_number}" if event.location else ""
            raise VerificationError(
                "The events do not follow on one another: some are missing or out of order.",
                findings=[f"{event_name(event)}{where}: its {what} does not fit what came before"],
            )


def replay(events: Iterable[Event], *, chain_id: int, contract: int) -> State:
    """Rebuild the state from all events of a MedSync contract since its deployment, in order.

    The events of one RewardPool may be among them. Every event needs a time, in its location or in its own
    fields, as `medsync.log.fetch.fetch_events` provides. `chain_id` and `contract` are part of the hashes of
    the logs. Raises the same errors as `State.apply`.
    """
    state = State(chain_id, contract)
    for event in events:
        state.apply(event)
    return state


def judge(entity: Entity, record: Consent, epoch: int, categories: Category, now: int) -> Judgement:
    """The contract's decision at second `now`, given the grantee's registration and the consent's record.

    `epoch` is the patient's current epoch. The first reason that applies determines the decision.
    """
    if entity.role is Role.NONE:
        return Judgement(Decision.DENY, Reason.ENTITY_UNKNOWN, 0)
    if entity.suspended:
        return Judgement(Decision.DENY, Reason.ENTITY_SUSPENDED, 0)
    if record.status is ConsentStatus.NONE:
        return Judgement(Decision.NO_CONSENT, Reason.NEVER_GIVEN, 0)
    reason = _reason(record, epoch, categories, now)
    decision = Decision.PERMIT if reason is Reason.GRANTED else Decision.DENY
    return Judgement(decision, reason, record.version)


def _reason(record: Consent, epoch: int, categories: Category, now: int) -> Reason:
    if record.status is ConsentStatus.WITHDRAWN:
        return Reason.WITHDRAWN
    if record.status is ConsentStatus.REVOKED:
        return Reason.REVOKED
    if record.epoch != epoch:
        return Reason.ALL_REVOKED
    if now < record.starts_at:
        return Reason.NOT_STARTED
    if now >= record.expires_at:
        return Reason.EXPIRED
    if not categories or int(categories) & ~int(record.categories):
        return Reason.CATEGORY_NOT_COVERED
    if record.uses >= (record.max_uses or _U32_MAX):
        return Reason.USES_EXHAUSTED
    return Reason.GRANTED


def _at(timeline: Timeline[T] | None, second: int | None, initial: T) -> T:
    return initial if timeline is None else timeline.at(second)


def _time_of(event: Event) -> int:
    # The block's time takes precedence: a devnet may date a block one second after the execution in it.
    if event.location is not None and event.location.timestamp is not None:
        return event.location.timestamp
    if isinstance(event, LogEntry | EntityRegistered):
        return event.at
    raise InputError(f"{event_name(event)} has no time.")

"""MedSync as its specification tells it, in plain Python: the oracle of the state machines.

A `World` is the whole deployed system: the register, the consents, the logs, the budgets, the reward pools
and the tokens. Each operation takes who calls and when, and either returns an `Outcome` (result and events)
or raises `ModelError(code)` and leaves everything as it was. Views take no caller.

Nothing here was written from the contracts' code and nothing is imported from `medsync`.
"""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from .hashes import ACCESSES, CONSENTS, REGISTRY, entry_digest, poseidon
from .words import RESERVED_FROM, U32_MAX, Event, ModelError, Outcome, require

P = ParamSpec("P")

Key = tuple[int, int, int, int]
"""What a consent is about: patient, grantee, purpose, study."""


@dataclass
class Entity:
    role: str = "None"
    suspended: bool = False
    registered_at: int = 0
    active_since: int = 0
    profiled_at: int = 0
    seq: int = 0


@dataclass
class Pending:
    """A hand-over of the administration that is under way."""

    address: int
    ready_at: int
    lapses_at: int


@dataclass
class Consent:
    """One (patient, grantee, purpose, study) record; the default is what a view shows for none."""

    status: str = "None"
    starts_at: int = 0
    expires_at: int = 0
    categories: int = 0
    version: int = 0
    generation: int = 0
    max_uses: int = 0
    uses: int = 0  # of a consent without reward
    rewarded: bool = False
    scoped: bool = False
    by_delegate: bool = False


@dataclass
class PaidUses:
    """What one campaign owes for one consent."""

    version: int = 0
    paid: int = 0
    base: int = 0
    settled: int = 0


@dataclass
class Patient:
    generation: int = 1
    counter: int = 1
    floor: int = 0
    delegate_epoch: int = 0
    refused_purposes: frozenset[int] = frozenset()
    emergency: str = "EveryHospital"


@dataclass
class Head:
    """How many entries a history has, and the digest of the last."""

    count: int = 0
    head: int = 0


@dataclass
class Delegation:
    powers: int = 0
    expires_at: int = 0
    epoch: int = 0


@dataclass
class Emergency:
    at: int = 0
    justified: bool = False
    contested: bool = False


@dataclass
class Budget:
    """What one accessor may spend of one campaign, and did, in uses."""

    left: int = 0
    paid: int = 0
    expires_at: int = 0
    custodian_settled: int = 0


@dataclass
class Campaign:
    status: str = "None"
    granted: int = 0
    taken: int = 0
    spent: int = 0
    closing_at: int = 0


@dataclass
class Credit:
    claimable: int = 0
    withdrawn: int = 0


@dataclass
class KeyCredit:
    claimable: int = 0
    nonce: int = 0


@dataclass
class Pool:
    """One contract of the pools' class: the token it holds, and what it says is its MedSync.

    Only those that MedSync deployed are pools to it.
    """

    token: int
    deployed_by_medsync: bool = True
    campaigns: dict[int, Campaign] = field(default_factory=dict)
    credits: dict[int, Credit] = field(default_factory=dict)
    keys: dict[int, KeyCredit] = field(default_factory=dict)
    liabilities: int = 0


@dataclass
class Token:
    """An honest ERC-20 (the devnet's own): balances, and what an owner lets a pool take."""

    balances: dict[int, int] = field(default_factory=dict)
    approved: set[tuple[int, int]] = field(default_factory=set)  # (owner, pool): without limit, or not at all


HABITS = {
    "": "honest",
    "says no": "moves what it should, and answers false",
    "says nothing": "moves what it should, and answers nothing at all",
    "panics": "whatever it is asked to move",
    "takes a fee": "of one unit, out of what arrives",
    "stands still": "moves nothing, and answers true",
    "conjures": "gives without taking",
    "blocks": "panics if it should move anything to or from its victim",
    "calls back": "first calls somebody itself, and survives if that fails",
}


@dataclass
class HostileToken(Token):
    """An ERC-20 of a stranger, which may have any of these habits, and another one tomorrow."""

    allowances: dict[tuple[int, int], int] = field(default_factory=dict)  # owner, pool
    habit: str = ""
    victim: int = 0
    call: tuple[str, dict[str, Any]] = ("", {})  # the operation that it calls back, as itself


@dataclass
class State:
    """Everything that lasts. What is not in a table is as its default says."""

    admin: int
    pending_admin: Pending | None = None
    successor: int = 0
    entities: dict[int, Entity] = field(default_factory=dict)
    registry: Head = field(default_factory=Head)
    patients: dict[int, Patient] = field(default_factory=dict)
    histories: dict[int, Head] = field(default_factory=dict)  # of consents, by patient
    logs: dict[int, Head] = field(default_factory=dict)  # of accesses, by patient
    consents: dict[Key, Consent] = field(default_factory=dict)
    paid: dict[tuple[Key, int], PaidUses] = field(default_factory=dict)  # by consent and campaign
    delegations: dict[tuple[int, int], Delegation] = field(default_factory=dict)  # patient, delegate
    emergencies: dict[tuple[int, int, int], Emergency] = field(default_factory=dict)  # patient, seq, hospital
    budgets: dict[tuple[int, int], Budget] = field(default_factory=dict)  # campaign, accessor
    pools: dict[int, Pool] = field(default_factory=dict)
    tokens: dict[int, Token] = field(default_factory=dict)


class Base:
    """Where the state is, what the system's addresses are, and how an operation stays atomic."""

    def __init__(
        self,
        *,
        chain_id: int,
        medsync: int,
        admin: int,
        deployed_at: int,
        place_of_pool: Callable[[int, int, int], int] = poseidon,
    ) -> None:
        """`place_of_pool` knows where a pool comes to lie, by its creator, token and salt."""
        self.chain_id = chain_id
        self.place_of_pool = place_of_pool
        self.medsync = medsync
        self.state = State(admin)
        self.events: list[Event] = []
        self.enter_registry(deployed_at, "AdminTransferred", {"previous": 0, "admin": admin}, {})

    def together(self, calls: Sequence[Callable[[], Outcome]]) -> list[Outcome]:
        """Several operations in one transaction: all of them, or none."""
        before = pickle.dumps(self.state)
        try:
            return [call() for call in calls]
        except ModelError:
            self.state = pickle.loads(before)
            raise

    def emit(self, source: int, name: str, keys: dict[str, Any], data: dict[str, Any]) -> None:
        self.events.append(Event(source, name, keys, data))

    # ---------------------------------------------------------------- the three histories

    def enter(
        self, tag: int, head: Head, now: int, name: str, keys: dict[str, Any], data: dict[str, Any]
    ) -> None:
        """Append an event to a history, and emit it."""
        data = {"seq": head.count + 1, "at": now, **data}
        head.head = entry_digest(self.chain_id, self.medsync, tag, head.head, name, keys | data)
        head.count += 1
        self.emit(self.medsync, name, keys, data)

    def enter_registry(self, now: int, name: str, keys: dict[str, Any], data: dict[str, Any]) -> int:
        """An entry of the registry's history, and its number."""
        head = self.state.registry
        require(head.count < U32_MAX, "ENTITY/HISTORY_FULL")
        self.enter(REGISTRY, head, now, name, keys, data)
        return head.count

    def enter_history(
        self, now: int, name: str, keys: dict[str, Any], data: dict[str, Any], *, closes: bool
    ) -> None:
        """An entry of a patient's consent history. The last ones are kept for what closes something."""
        head = self.state.histories.setdefault(keys["patient"], Head())
        require(head.count < (U32_MAX if closes else RESERVED_FROM), "CONSENT/HISTORY_FULL")
        self.enter(CONSENTS, head, now, name, keys, data)

    def enter_log(
        self, now: int, name: str, keys: dict[str, Any], data: dict[str, Any], *, by_patient: bool = False
    ) -> Head:
        """An entry of a patient's access log, and the head after it. The last ones are the patient's."""
        head = self.state.logs.setdefault(keys["patient"], Head())
        require(head.count < (U32_MAX if by_patient else RESERVED_FROM), "ACCESS/LOG_FULL")
        self.enter(ACCESSES, head, now, name, keys, data)
        return head


def operation(
    rule: Callable[Concatenate[Any, int, int, P], Any],
) -> Callable[Concatenate[Any, int, int, P], Outcome]:
    """Run a rule as one transaction: all of it, or nothing."""

    @wraps(rule)
    def transaction(world: Base, caller: int, now: int, *args: P.args, **kwargs: P.kwargs) -> Outcome:
        before = pickle.dumps(world.state)  # a tenth of the time of a deep copy
        world.events = []
        try:
            result = rule(world, caller, now, *args, **kwargs)
        except ModelError:
            world.state = pickle.loads(before)
            raise
        return Outcome(result, world.events)

    return transaction

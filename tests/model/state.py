"""MedSync as its specification tells it, in plain Python: the oracle of the state machines.

A `World` is the whole deployed system: the register, the consents, the logs, the reward pools and the tokens.
Each operation takes who calls and when, and either returns an `Outcome` (result and events) or raises
`ModelError(code)` and leaves everything as it was. Views take no caller.

Nothing here was written from the contracts' code and nothing is imported from `medsync`.
"""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from .words import Event, ModelError, Outcome

P = ParamSpec("P")


@dataclass
class Entity:
    role: str = "None"
    suspended: bool = False
    registered_at: int = 0


@dataclass
class Consent:
    """One (patient, grantee, purpose) record; the default is what a view shows for none."""

    starts_at: int = 0
    expires_at: int = 0
    categories: int = 0
    version: int = 0
    epoch: int = 0
    max_uses: int = 0
    uses: int = 0
    status: str = "None"
    campaign: int = 0


@dataclass
class Patient:
    epoch: int = 0
    nonce: int = 0
    emergency_opt_out: bool = False


@dataclass
class Log:
    """How many entries a patient's log has, and the digest of the last."""

    count: int = 0
    head: int = 0


@dataclass
class Delegation:
    powers: int = 0
    expires_at: int = 0


@dataclass
class Campaign:
    status: str = "None"
    remaining: int = 0
    paid_count: int = 0
    closing_at: int = 0
    deposited: int = 0  # never on the chain: kept to state the conservation of money
    paid: int = 0
    refunded: int = 0


@dataclass
class Credit:
    claimable: int = 0
    withdrawn: int = 0


@dataclass
class Pool:
    """One reward pool: the token it holds and the log it listens to."""

    token: int
    log: int
    campaigns: dict[int, Campaign] = field(default_factory=dict)
    allowances: dict[tuple[int, int], int] = field(default_factory=dict)  # by campaign and accessor
    credits: dict[int, Credit] = field(default_factory=dict)
    lifetime_deposits: int = 0

    def liabilities(self) -> int:
        """What the pool owes, by definition: everything not yet spent and everything not yet taken out."""
        unspent = sum(campaign.remaining for campaign in self.campaigns.values())
        return unspent + sum(credit.claimable for credit in self.credits.values())


@dataclass
class Puppet:
    """A stranger's contract that a patient may take for a pool: it says whatever it was told to say."""

    log: int
    campaign: int  # the only campaign it claims to have, open for ever
    accrual: str = "Paid"  # what it says of every payment; "Panic" if it says nothing


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
    pending_admin: tuple[int, int] | None = None  # (successor, ready at)
    entities: dict[int, Entity] = field(default_factory=dict)
    patients: dict[int, Patient] = field(default_factory=dict)
    logs: dict[int, Log] = field(default_factory=dict)  # by patient
    consents: dict[tuple[int, int, int], Consent] = field(default_factory=dict)  # patient, grantee, purpose
    delegations: dict[tuple[int, int], Delegation] = field(default_factory=dict)  # patient, delegate
    pools: dict[int, Pool | Puppet] = field(default_factory=dict)
    tokens: dict[int, Token] = field(default_factory=dict)


class Base:
    """Where the state is, what the system's addresses are, and how an operation stays atomic."""

    def __init__(self, *, chain_id: int, medsync: int, admin: int) -> None:
        self.chain_id = chain_id
        self.medsync = medsync
        self.state = State(admin)
        self.events: list[Event] = []

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

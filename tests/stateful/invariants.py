"""What always holds, in words and as checks: on what contracts emitted, without asking the model, and on the
model's books, which every step has shown to be the contracts' own. No check changes anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from tests.harness.driver import Raised
from tests.model.state import Pool

if TYPE_CHECKING:
    from .system import System

INVARIANTS: dict[str, str] = {}
"""By name: what holds, in words."""

OF_EVENTS: list[Callable[[Witness, Raised], None]] = []
OF_BOOKS: list[Callable[[System], None]] = []
OF_LIVENESS: list[Callable[[System, Random], None]] = []


def invariant(check: Any) -> Any:
    """Keep a check with the words of its docstring, by what it looks at."""
    INVARIANTS[check.__name__] = " ".join((check.__doc__ or "").split())
    asked_of = next(iter(check.__annotations__.values()))
    kinds: dict[str, list[Any]] = {"Witness": OF_EVENTS, "System": OF_BOOKS}
    (OF_LIVENESS if "order" in check.__annotations__ else kinds[asked_of]).append(check)
    return check


@dataclass
class Given:
    """A consent as its latest events tell it."""

    terms: dict[str, Any]
    version: int
    live: bool = True
    permits: int = 0


@dataclass
class Witness:
    """What anyone knows who saw every event so far."""

    consents: dict[tuple[int, int, int], Given] = field(default_factory=dict)
    dead: set[tuple[int, int, int, int]] = field(default_factory=set)
    """(patient, grantee, purpose, version) of every consent that was ever taken back."""
    epochs: Counter[int] = field(default_factory=Counter)
    nonces: Counter[int] = field(default_factory=Counter)
    roles: dict[int, str] = field(default_factory=dict)
    suspended: set[int] = field(default_factory=set)
    opted_out: set[int] = field(default_factory=set)
    logged: list[Raised] = field(default_factory=list)
    entries: Counter[int] = field(default_factory=Counter)
    campaigns: dict[int, dict[str, Any]] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    paid: Raised | None = None
    """A payment whose access is not logged yet."""

    def see(self, events: list[Raised]) -> None:
        """The events of one transaction, in order."""
        for event in events:
            for check in OF_EVENTS:
                check(self, event)
            self.remember(event)
        assert self.paid is None, f"paid without an access: {self.paid}"

    def remember(self, event: Raised) -> None:
        about, keys = event.keys | event.data, tuple(event.keys.values())
        match event.name:
            case "ConsentAdded":
                if earlier := self.consents.get(keys):
                    self.dead.add((*keys, earlier.version))
                self.consents[keys] = Given(about, about["version"])
            case "ConsentRevoked":
                earlier = self.consents[keys]
                self.dead.add((*keys, earlier.version))
                earlier.live, earlier.version = False, about["version"]
            case "AllConsentsRevoked":
                self.epochs[about["patient"]] = about["epoch"]
                self.nonces[about["patient"]] = about["nonce"]
                for key, given in self.consents.items():
                    if key[0] == about["patient"]:
                        self.dead.add((*key, given.version))
                        given.live = False
            case "SignatureUsed":
                self.nonces[about["patient"]] = about["nonce"] + 1
            case "SignaturesCancelled":
                self.nonces[about["patient"]] = about["nonce"]
            case "EmergencyOptOutSet":
                (self.opted_out.add if about["opted_out"] else self.opted_out.discard)(about["patient"])
            case "EntityRegistered":
                self.roles[about["entity"]] = about["role"]
            case "EntitySuspended":
                self.suspended.add(about["entity"])
            case "EntityReinstated":
                self.suspended.discard(about["entity"])
            case "CampaignOpened":
                self.campaigns[about["campaign"]] = about["terms"]
            case "CampaignClosed":
                self.closed.add(about["campaign"])
            case "RewardAccrued":
                self.paid = event
            case "AccessLogged":
                self.logged.append(event)
                self.entries[about["patient"]] += 1
                self.paid = None
                if about["decision"] == "Permit":
                    self.consents[about["patient"], about["accessor"], about["purpose"]].permits += 1


def permitted(event: Raised) -> bool:
    return event.name == "AccessLogged" and event.data["decision"] == "Permit"


# ---------------------------------------------------------------- on events alone


@invariant
def no_permit_without_a_live_consent(witness: Witness, event: Raised) -> None:
    """Nothing is permitted without a consent of that patient, grantee and purpose that was given and not
    taken back since, in the version the entry names, at a second within its window, for categories within its
    own, and not more often than it says."""
    if permitted(event):
        about = event.keys | event.data
        given = witness.consents[about["patient"], about["accessor"], about["purpose"]]
        assert given.live
        assert given.version == about["version"]
        assert given.terms["epoch"] == witness.epochs[about["patient"]]
        assert given.terms["starts_at"] <= about["at"] < given.terms["expires_at"]
        assert about["categories"] & ~given.terms["categories"] == 0 < about["categories"]
        assert not given.terms["max_uses"] or given.permits < given.terms["max_uses"]
        assert given.terms["campaign"] == about["campaign"]


@invariant
def what_was_revoked_never_revives(witness: Witness, event: Raised) -> None:
    """No version of a consent that was revoked, withdrawn, renewed or ended by `revoke_all` ever permits
    anything again."""
    if permitted(event):
        assert (*event.keys.values(), event.data["version"]) not in witness.dead


@invariant
def nobody_suspended_or_unknown_is_let_in(witness: Witness, event: Raised) -> None:
    """Nobody gets data who is not registered or is suspended."""
    if event.name == "AccessLogged" and event.data["decision"] in ("Permit", "Emergency"):
        assert event.keys["accessor"] in witness.roles
        assert event.keys["accessor"] not in witness.suspended


@invariant
def glass_is_broken_by_hospitals_only(witness: Witness, event: Raised) -> None:
    """Only a hospital breaks the glass, never that of a patient who opted out, and never without saying
    why."""
    if event.name == "AccessLogged" and event.data["decision"] == "Emergency":
        assert witness.roles[event.keys["accessor"]] == "Hospital"
        assert event.keys["patient"] not in witness.opted_out
        assert event.data["justification"] != 0


@invariant
def entries_follow_one_another(witness: Witness, event: Raised) -> None:
    """The entries of a patient's log are numbered from one, without a gap or a repetition."""
    if event.name == "AccessLogged":
        assert event.data["seq"] == witness.entries[event.keys["patient"]] + 1


@invariant
def no_pay_no_data(witness: Witness, event: Raised) -> None:
    """Where a consent asks for pay by a pool of this class, an access is permitted exactly if the same
    transaction paid for it, once: no pay without an access, no access without pay."""
    if witness.paid is not None:
        assert permitted(event), f"paid, and then {event}"
        assert (
            witness.paid.keys["campaign"],
            witness.paid.keys["patient"],
            witness.paid.keys["accessor"],
        ) == (
            event.data["campaign"],
            event.keys["patient"],
            event.keys["accessor"],
        )
    elif permitted(event):
        assert event.data["campaign"] not in witness.campaigns


@invariant
def shares_add_up_to_the_rate(witness: Witness, event: Raised) -> None:
    """What patient and custodian get for one access adds up to the rate of the terms, and the custodian gets
    no more than its share."""
    if event.name == "RewardAccrued":
        terms = witness.campaigns[event.keys["campaign"]]
        assert event.data["patient_share"] + event.data["custodian_share"] == terms["rate"]
        assert event.data["custodian_share"] * 10_000 <= terms["rate"] * terms["custodian_bps"]


@invariant
def closed_campaigns_stay_closed(witness: Witness, event: Raised) -> None:
    """A closed campaign takes no deposit, pays nothing and is not closed again."""
    if event.name in ("RewardDeposited", "RewardAccrued", "CampaignClosed", "CampaignCloseAnnounced"):
        assert event.keys["campaign"] not in witness.closed


@invariant
def versions_epochs_and_nonces_only_grow(witness: Witness, event: Raised) -> None:
    """Versions of a consent, a patient's epoch and a patient's nonce go up by one, and never down; so nothing
    that was signed or given for an earlier one is good again."""
    match event.name:
        case "ConsentAdded" | "ConsentRevoked":
            earlier = witness.consents.get(tuple(event.keys.values()))
            assert event.data["version"] == (earlier.version if earlier else 0) + 1
        case "AllConsentsRevoked":
            assert event.data["epoch"] == witness.epochs[event.keys["patient"]] + 1
            assert event.data["nonce"] == witness.nonces[event.keys["patient"]] + 1
        case "SignatureUsed":
            assert event.data["nonce"] == witness.nonces[event.keys["patient"]]
        case "SignaturesCancelled":
            assert event.data["nonce"] == witness.nonces[event.keys["patient"]] + 1


# ---------------------------------------------------------------- on the books


@invariant
def pools_can_pay_what_they_owe(system: System) -> None:
    """A pool holds at least what it owes, and it owes exactly what is left of all campaigns and credits,
    whatever its token does."""
    for address, pool in books(system):
        balance = system.world.state.tokens[pool.token].balances.get(address, 0)
        assert balance >= pool.liabilities()


@invariant
def money_is_conserved(system: System) -> None:
    """All that was ever deposited with a pool was withdrawn or is still owed."""
    for _, pool in books(system):
        withdrawn = sum(credit.withdrawn for credit in pool.credits.values())
        assert pool.lifetime_deposits == withdrawn + pool.liabilities()


@invariant
def campaigns_add_up(system: System) -> None:
    """What was deposited for a campaign is left, paid or refunded; and what it paid is its rate times the
    number of accesses it paid for."""
    for _, pool in books(system):
        for key, campaign in pool.campaigns.items():
            assert campaign.deposited == campaign.remaining + campaign.paid + campaign.refunded
            assert campaign.paid == campaign.paid_count * system.campaigns[key].rate


@invariant
def credit_is_never_lost(system: System) -> None:
    """What was ever credited to somebody never becomes less: it is claimable, or they withdrew it."""
    earlier, later = system.credited_before, system.credited()
    assert all(later[claim] >= amount for claim, amount in earlier.items())


@invariant
def the_office_is_never_empty(system: System) -> None:
    """There is an administrator at any time."""
    assert system.world.state.admin != 0


# ---------------------------------------------------------------- on what could be done next


@invariant
def patients_can_always_leave(system: System, order: Random) -> None:
    """At any time, and in any order, every patient can take back every consent, remove every delegate and
    revoke all at once; afterwards nothing is permitted on what they gave."""
    after = system.try_out(system.departures(order))
    for key, consent in after.state.consents.items():
        assert after.verify_consent(system.now, *key, consent.categories)[0] != "Permit"
    assert not any(delegation.powers for delegation in after.state.delegations.values())


@invariant
def creditors_can_always_withdraw(system: System, order: Random) -> None:
    """At any time, and in any order, everybody whom a pool owes something can withdraw all of it, to the last
    unit, as long as the token itself is honest; afterwards only campaigns are owed something."""
    after = system.try_out(system.withdrawals(order))
    for address, pool in books(system):
        if system.is_honest(pool.token):
            later = after.state.pools[address]
            assert isinstance(later, Pool)
            assert not any(credit.claimable for credit in later.credits.values())
            assert later.liabilities() == sum(campaign.remaining for campaign in later.campaigns.values())


def books(system: System) -> list[tuple[int, Pool]]:
    """The pools by address, puppets apart."""
    return [(address, pool) for address, pool in system.world.state.pools.items() if isinstance(pool, Pool)]

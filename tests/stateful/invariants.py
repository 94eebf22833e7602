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
from tests.model.hashes import ACCESSES, CONSENTS, KINDS, REGISTRY
from tests.model.rewards import shares
from tests.model.state import Pool
from tests.model.words import BREAK_THE_GLASS, CampaignTerms

if TYPE_CHECKING:
    from .system import System

HOURS = 3_600

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
class Decided:
    """A consent's record as its latest events tell it."""

    version: int
    generation: int
    by_delegate: bool
    given: dict[str, Any] | None = None
    """What was given, if it was not taken back or refused since."""
    permits: int = 0


@dataclass
class Witness:
    """What anyone knows who saw every event so far."""

    seen: list[Raised] = field(default_factory=list)
    """All events, in order."""
    counts: Counter[tuple[int, int]] = field(default_factory=Counter)
    """By kind of history and whose it is: how many entries."""
    consents: dict[tuple[int, ...], Decided] = field(default_factory=dict)
    """By patient, grantee, purpose and study."""
    dead: set[tuple[int, ...]] = field(default_factory=set)
    """Key and version of every consent that was ever taken back."""
    generations: Counter[int] = field(default_factory=Counter)
    floors: Counter[int] = field(default_factory=Counter)
    burnt: dict[int, int] = field(default_factory=dict)
    """By patient: the nonce of the latest message that gave a consent."""
    withdrawals: set[tuple[int, ...]] = field(default_factory=set)
    """Key and nonce of every signed withdrawal that worked."""
    refused: set[tuple[int, int]] = field(default_factory=set)
    """Patient and purpose."""
    roles: dict[int, str] = field(default_factory=dict)
    suspended: set[int] = field(default_factory=set)
    active_since: dict[int, int] = field(default_factory=dict)
    choices: dict[int, str] = field(default_factory=dict)
    named: dict[tuple[int, int], bool] = field(default_factory=dict)
    """Patient and hospital: whether it may break the glass."""
    emergencies: dict[tuple[int, int], Raised] = field(default_factory=dict)
    """By patient and number of the entry."""
    answered: set[tuple[str, int, int]] = field(default_factory=set)
    """Emergencies that were justified or contested, by event, patient and number of the entry."""
    terms: dict[int, dict[str, Any]] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    paid: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    """By campaign, patient and accessor: entries that permitted an access at the campaign's cost."""
    settled: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    settled_shares: Counter[tuple[int, int]] = field(default_factory=Counter)
    """By campaign and accessor: uses that the custodian was credited for."""
    credited: Counter[tuple[int, str, int]] = field(default_factory=Counter)
    """By pool and creditor, an account or a key: what was credited and not drawn."""

    def see(self, events: list[Raised]) -> None:
        """The events of one transaction, in order."""
        for event in events:
            for check in OF_EVENTS:
                check(self, event)
            self.remember(event)

    def remember(self, event: Raised) -> None:
        about, kind = event.keys | event.data, history_of(event)
        self.seen.append(event)
        if kind is not None:
            self.counts[kind, about.get("patient", 0) if kind != REGISTRY else 0] += 1
        match event.name:
            case "ConsentAdded":
                before = self.consents.get(key_of(about))
                if before:
                    self.dead.add((*key_of(about), before.version))
                new, mark = before is None, about["by"] != about["patient"]
                mark = mark and (new or bool(before and before.by_delegate))
                self.consents[key_of(about)] = Decided(about["version"], about["generation"], mark, about)
                if about["nonce"]:
                    self.burnt[about["patient"]] = about["nonce"]
            case "ConsentRevoked" | "ConsentRefused" | "EmergencyHospitalSet":
                self._remember_no(event, about)
            case "AllConsentsRevoked":
                self.floors[about["patient"]] = about["generation"]
                for key, decided in self.consents.items():
                    if key[0] == about["patient"]:
                        self.dead.add((*key, decided.version))
            case "PurposeRefused":
                self.refused.add((about["patient"], about["purpose"]))
            case "PurposeAllowed":
                self.refused.discard((about["patient"], about["purpose"]))
            case "EmergencyChoiceSet":
                self.choices[about["patient"]] = about["choice"]
            case "EntityRegistered":
                self.roles[about["entity"]] = about["role"]
                self.active_since[about["entity"]] = about["at"]
            case "EntitySuspended":
                self.suspended.add(about["entity"])
            case "EntityReinstated":
                self.suspended.discard(about["entity"])
                self.active_since[about["entity"]] = about["at"]
            case "AccessLogged":
                if about["decision"] == "Permit":
                    key = (about["patient"], about["accessor"], about["purpose"], about["study"])
                    self.consents[key].permits += 1
                    if about["campaign"]:
                        self.paid[about["campaign"], about["patient"], about["accessor"]] += 1
                if about["decision"] == "Emergency":
                    self.emergencies[about["patient"], about["seq"]] = event
            case "EmergencyJustified" | "EmergencyContested":
                self.answered.add((event.name, about["patient"], about["emergency"]))
        if event.name in RAISES_GENERATION and (event.name != "ConsentRevoked" or about["nonce"]):
            self.generations[about["patient"]] = about["generation"]
        self._remember_money(event, about)

    def _remember_no(self, event: Raised, about: dict[str, Any]) -> None:
        if event.name == "EmergencyHospitalSet":
            self.named[about["patient"], about["hospital"]] = about["allowed"]
            key = (about["patient"], about["hospital"], BREAK_THE_GLASS, 0)
            about = about | {"by": about["patient"]}
        else:
            key = key_of(about)
        before = self.consents.get(key)
        if before:
            self.dead.add((*key, before.version))
        mark = about["by"] != about["patient"] and (before is None or before.by_delegate)
        self.consents[key] = Decided(about["version"], about["generation"], mark)
        if about.get("nonce"):
            self.withdrawals.add((*key, about["nonce"]))

    def _remember_money(self, event: Raised, about: dict[str, Any]) -> None:
        for creditor, amount in credits_of(self, event).items():
            self.credited[event.source, *creditor] += amount
        match event.name:
            case "CampaignOpened":
                self.terms[about["campaign"]] = about["terms"]
            case "CampaignClosed":
                self.closed.add(about["campaign"])
            case "RewardSettled":
                self.settled[about["campaign"], about["patient"], about["grantee"]] += about["uses"]
            case "CustodianSettled":
                self.settled_shares[about["campaign"], about["accessor"]] += about["uses"]


RAISES_GENERATION = {"AllConsentsRevoked", "SignaturesCancelled", "ConsentRevoked"}


def history_of(event: Raised) -> int | None:
    """The kind of history that an event is an entry of."""
    code = KINDS.get(event.name)
    if code is None:
        return None
    return CONSENTS if code < 32 else ACCESSES if code < 64 else REGISTRY


def key_of(about: dict[str, Any]) -> tuple[int, ...]:
    """The consent that an event is about."""
    return about["patient"], about["grantee"], about["purpose"], about["study"]


def credits_of(witness: Witness, event: Raised) -> dict[tuple[str, int], int]:
    """What an event credits to accounts and keys, or takes from their credit."""
    about = event.keys | event.data
    match event.name:
        case "RewardSettled":
            return {("Account", about["patient"]): about["share"]}
        case "CustodianSettled":
            return {("Account", about["custodian"]): about["share"]}
        case "RewardSpent":
            custodian = ("Account", witness.terms[about["campaign"]]["custodian"])
            credited = Counter({about["payee"]: about["payee_share"]})
            credited[custodian] += about["custodian_share"]
            return credited
        case "AllowanceDecreased" | "CampaignClosed":
            return {("Account", witness.terms[about["campaign"]]["funder"]): about["refunded"]}
        case "RewardWithdrawn":
            return {("Account", about["owner"]): -about["amount"]}
        case "KeyCreditWithdrawn":
            return {("Key", about["key"]): -about["amount"]}
    return {}


def permitted(event: Raised) -> bool:
    return event.name == "AccessLogged" and event.data["decision"] == "Permit"


# ---------------------------------------------------------------- on events alone


@invariant
def no_permit_without_a_live_consent(witness: Witness, event: Raised) -> None:
    """Nothing is permitted without a consent of that patient, grantee, purpose and study that was given and
    not taken back since, in the version the entry names, not under the patient's floor, at a second within
    its window, for categories within its own, for the campaign that it names or none, and not more often than
    it says."""
    if permitted(event):
        about = event.keys | event.data
        key = (about["patient"], about["accessor"], about["purpose"], about["study"])
        decided = witness.consents[key]
        assert decided.given is not None
        assert decided.version == about["version"]
        assert decided.generation >= witness.floors[about["patient"]]
        given = decided.given
        assert given["starts_at"] <= about["at"] < given["expires_at"]
        assert about["categories"] & ~given["categories"] == 0 < about["categories"]
        assert not given["max_uses"] or decided.permits < given["max_uses"]
        assert (given["campaign"], given["scoped"]) == (about["campaign"], about["scoped"])


@invariant
def what_was_revoked_never_revives(witness: Witness, event: Raised) -> None:
    """No version of a consent that was revoked, withdrawn, refused, renewed or ended by `revoke_all` ever
    permits anything again."""
    if permitted(event):
        keys = event.keys
        key = (keys["patient"], keys["accessor"], keys["purpose"], event.data["study"])
        assert (*key, event.data["version"]) not in witness.dead


@invariant
def refused_purposes_permit_nothing(witness: Witness, event: Raised) -> None:
    """While a patient refuses everyone for a purpose, nothing is permitted for it, and no consent given."""
    if permitted(event) or event.name == "ConsentAdded":
        assert (event.keys["patient"], event.keys["purpose"]) not in witness.refused


@invariant
def nobody_suspended_or_unknown_leaves_a_trace(witness: Witness, event: Raised) -> None:
    """Nobody who is not registered or is suspended gets data, or makes a patient's log longer by asking."""
    if event.name in ("AccessLogged", "DeletionStated"):
        assert event.keys["accessor"] in witness.roles
        assert event.keys["accessor"] not in witness.suspended


@invariant
def glass_is_broken_only_as_the_patient_chose(witness: Witness, event: Raised) -> None:
    """Only a hospital that was registered or reinstated at least 48 hours before breaks the glass, and only
    of a patient who lets every hospital and did not forbid it to this one, or who named this one."""
    if event.name == "AccessLogged" and event.data["decision"] == "Emergency":
        patient, accessor = event.keys["patient"], event.keys["accessor"]
        assert witness.roles[accessor] == "Hospital"
        assert event.data["at"] >= witness.active_since[accessor] + 48 * HOURS
        choice, named = witness.choices.get(patient, "EveryHospital"), witness.named.get((patient, accessor))
        assert named is not False if choice == "EveryHospital" else choice != "Nobody" and named


@invariant
def emergencies_are_answered_once(witness: Witness, event: Raised) -> None:
    """A justification is about an emergency access by the same hospital at most 72 hours before, a contest
    about one of the patient's own log, and each comes once."""
    if event.name in ("EmergencyJustified", "EmergencyContested"):
        about = event.keys | event.data
        emergency = witness.emergencies[about["patient"], about["emergency"]]
        assert emergency.keys["accessor"] == about["accessor"]
        assert (event.name, about["patient"], about["emergency"]) not in witness.answered
        if event.name == "EmergencyJustified":
            assert about["at"] <= emergency.data["at"] + 72 * HOURS


@invariant
def entries_follow_one_another(witness: Witness, event: Raised) -> None:
    """The entries of every history are numbered from one, without a gap or a repetition."""
    if (kind := history_of(event)) is not None:
        subject = 0 if kind == REGISTRY else event.keys["patient"]
        assert event.data["seq"] == witness.counts[kind, subject] + 1


@invariant
def panic_buttons_void_whole_series(witness: Witness, event: Raised) -> None:
    """No message that gives a consent and was signed before a panic button (`revoke_all`,
    `cancel_signatures`, a signed withdrawal) is good after it, and none is good twice: each burns the next
    counter of the patient's present generation."""
    if event.name == "ConsentAdded" and event.data["nonce"]:
        generation, counter = divmod(event.data["nonce"], 2**32)
        assert generation == max(1, witness.generations[event.keys["patient"]])
        latest = divmod(witness.burnt.get(event.keys["patient"], 0), 2**32)
        assert counter == (latest[1] + 1 if latest[0] == generation else 1)


@invariant
def no_withdrawal_works_twice(witness: Witness, event: Raised) -> None:
    """A signed withdrawal works once, and never against a consent that was decided on in a later generation
    than the one in which it was signed."""
    if event.name == "ConsentRevoked" and event.data["nonce"]:
        key = key_of(event.keys | event.data)
        assert (*key, event.data["nonce"]) not in witness.withdrawals
        before = witness.consents.get(key)
        assert (before.generation if before else 0) <= event.data["nonce"] >> 32


@invariant
def versions_and_generations_only_grow(witness: Witness, event: Raised) -> None:
    """Versions of a consent and a patient's generation go up by one, and never down; so nothing that was
    signed or given for an earlier one is good again."""
    about = event.keys | event.data
    if event.name in ("ConsentAdded", "ConsentRevoked", "ConsentRefused"):
        earlier = witness.consents.get(key_of(about))
        assert about["version"] == (earlier.version if earlier else 0) + 1
    if event.name in RAISES_GENERATION and (event.name != "ConsentRevoked" or about["nonce"]):
        assert about["generation"] == max(1, witness.generations[about["patient"]]) + 1


@invariant
def delegates_never_undo_a_patients_decision(witness: Witness, event: Raised) -> None:
    """A delegate gives only where nobody decided, or only delegates did, or over a patient's consent that
    expired, and never under the floor; and it raises no record's generation beyond the floor."""
    about = event.keys | event.data
    if event.name == "ConsentAdded" and about["by"] != about["patient"]:
        before, floor = witness.consents.get(key_of(about)), witness.floors[about["patient"]]
        if before is not None:
            expired = before.given is not None and before.given["expires_at"] <= about["at"]
            assert before.by_delegate or expired
            assert before.generation >= floor
        assert about["generation"] == (before.generation if before else floor)


@invariant
def only_what_was_permitted_is_settled(witness: Witness, event: Raised) -> None:
    """Patients and custodians are credited for at most as many uses as entries permitted at the campaign's
    cost, each with its share of the rate, and the two shares add up to the rate."""
    if event.name == "RewardSettled":
        about = event.keys | event.data
        key = about["campaign"], about["patient"], about["grantee"]
        assert witness.settled[key] + about["uses"] <= witness.paid[key]
        assert about["share"] == about["uses"] * shares_of(witness, about["campaign"])[0]
    if event.name == "CustodianSettled":
        about = event.keys | event.data
        campaign, accessor = about["campaign"], about["accessor"]
        paid = sum(n for (of, _, by), n in witness.paid.items() if (of, by) == (campaign, accessor))
        assert witness.settled_shares[campaign, accessor] + about["uses"] <= paid
        assert about["share"] == about["uses"] * shares_of(witness, about["campaign"])[1]
    if event.name == "RewardSpent":
        spent = event.data["payee_share"], event.data["custodian_share"]
        assert spent == shares_of(witness, event.keys["campaign"])


def shares_of(witness: Witness, campaign: int) -> tuple[int, int]:
    """What a patient and a custodian get for one use."""
    terms = witness.terms[campaign]
    custodian = terms["rate"] * terms["custodian_bps"] // 10_000
    return terms["rate"] - custodian, custodian


@invariant
def nobody_draws_more_than_was_credited(witness: Witness, event: Raised) -> None:
    """Nobody draws more from a pool than it ever credited to them, account or key."""
    for creditor, amount in credits_of(witness, event).items():
        assert witness.credited[event.source, *creditor] + amount >= 0


@invariant
def closed_campaigns_stay_closed(witness: Witness, event: Raised) -> None:
    """A closed campaign takes no deposit, moves no budget to an accessor, and is not closed again."""
    names = ("RewardDeposited", "AllowanceIncreased", "CampaignClosed", "CampaignCloseAnnounced")
    if event.name in names:
        assert event.keys["campaign"] not in witness.closed


# ---------------------------------------------------------------- on the books


@invariant
def pools_can_pay_what_they_owe(system: System) -> None:
    """A pool holds at least its liabilities, whatever its token does, and they are exactly what is left of
    all budgets, what is unsettled of patients' and custodians' shares, and all credits."""
    for address, pool in system.world.state.pools.items():
        balance = system.world.state.tokens[pool.token].balances.get(address, 0)
        assert balance >= pool.liabilities == owed(system, address, pool)


def owed(system: System, address: int, pool: Pool) -> int:
    """All that a pool owes, added up by definition."""
    state, total = system.world.state, 0
    for campaign, terms in system.campaigns.items():
        if terms.pool != address or campaign not in pool.campaigns:
            continue
        patients, custodians = shares(terms.rate, terms.custodian_bps)
        if terms.spender:
            total += terms.rate * unspent(pool, campaign)
        for (of, _), budget in state.budgets.items():
            if of == campaign:
                total += terms.rate * budget.left
                total += custodians * (budget.paid - budget.custodian_settled)
        for (_, of), cell in state.paid.items():
            if of == campaign:
                total += patients * (cell.paid - cell.settled)
    total += sum(credit.claimable for credit in pool.credits.values())
    return total + sum(credit.claimable for credit in pool.keys.values())


def unspent(pool: Pool, campaign: int) -> int:
    """Uses of a campaign that are neither spent by its own spender nor taken back."""
    funding = pool.campaigns[campaign]
    return funding.granted - funding.taken - funding.spent


@invariant
def budgets_add_up(system: System) -> None:
    """What an accessor's budget says was spent is what the consents of all patients say it was, and what was
    deposited for a campaign is left, spent or taken back."""
    state = system.world.state
    for (campaign, accessor), budget in state.budgets.items():
        of_consents = sum(
            cell.paid
            for ((_, grantee, *_), of), cell in state.paid.items()
            if (grantee, of) == (accessor, campaign)
        )
        assert budget.paid == of_consents
    for pool in state.pools.values():
        for campaign, funding in pool.campaigns.items():
            if system.campaigns[campaign].spender == 0:
                budgets = [budget for (of, _), budget in state.budgets.items() if of == campaign]
                assert funding.granted - funding.taken == sum(each.left + each.paid for each in budgets)
            assert unspent(pool, campaign) >= 0


@invariant
def each_paid_use_has_its_entry(system: System) -> None:
    """A consent has exactly as many paid uses of a campaign as the log has entries that permitted an access
    at its cost, whatever was renewed in between; and no more were settled."""
    state, paid = system.world.state, Counter[tuple[int, int, int]]()
    for ((patient, grantee, *_), campaign), cell in state.paid.items():
        paid[campaign, patient, grantee] += cell.paid
        assert max(cell.settled, cell.base) <= cell.paid
    assert +paid == +system.witness.paid
    assert all(budget.custodian_settled <= budget.paid for budget in state.budgets.values())


@invariant
def credit_is_never_lost(system: System) -> None:
    """What was ever credited to somebody never becomes less: it is claimable, or they withdrew it."""
    earlier, later = system.credited_before, system.credited()
    assert all(later.get(claim, 0) >= amount for claim, amount in earlier.items())


@invariant
def the_office_is_never_empty(system: System) -> None:
    """There is an administrator at any time, and it is no entity."""
    state = system.world.state
    assert state.admin != 0
    assert state.admin not in state.entities


# ---------------------------------------------------------------- on what could be done next


@invariant
def patients_can_always_leave(system: System, order: Random) -> None:
    """At any time, and in any order, every patient can take back every consent, dismiss all delegates and
    revoke all at once; afterwards nothing is permitted on what they gave, and no delegate has a power."""
    after = system.try_out(system.departures(order))
    for key, consent in after.state.consents.items():
        verdict = after.verify_consent(system.now, *key, consent.categories, system.campaign_of(key))
        assert verdict.decision != "Permit"
    for (patient, _), delegation in after.state.delegations.items():
        assert delegation.epoch < after.patient(patient).delegate_epoch


@invariant
def creditors_can_always_settle_and_withdraw(system: System, order: Random) -> None:
    """At any time, and in any order, everybody whom a pool owes something can have it settled and withdraw
    all of it, to the last unit, as long as the token itself is honest; then only unspent uses are owed."""
    after = system.try_out(system.withdrawals(order))
    for address, pool in system.world.state.pools.items():
        if system.is_honest(pool.token):
            later = after.state.pools[address]
            assert not any(credit.claimable for credit in (*later.credits.values(), *later.keys.values()))
            assert later.liabilities == unspent_rates(after.state.budgets, later, address, system.campaigns)


def unspent_rates(
    budgets: dict[tuple[int, int], Any], pool: Pool, address: int, campaigns: dict[int, CampaignTerms]
) -> int:
    """What the uses of a pool's campaigns cost that nobody spent."""
    left = sum(
        budget.left * campaigns[campaign].rate
        for (campaign, _), budget in budgets.items()
        if campaigns[campaign].pool == address
    )
    of_spenders = [campaign for campaign in pool.campaigns if campaigns[campaign].spender]
    return left + sum(unspent(pool, campaign) * campaigns[campaign].rate for campaign in of_spenders)

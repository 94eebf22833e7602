"""The deployed contracts and their model side by side: each operation is done to both, then all is compared.

What is compared after every transaction: success or the exact error code, the returned values, the exact
list of events of our contracts and the tokens, the number of storage cells changed in each of them (so that
nothing else changed), the views of all that changed, and the decision on the consents there are. Then the
invariants are checked. `compare_everything` reads every view about every actor.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field, is_dataclass
from functools import partial
from random import Random
from typing import Any, NamedTuple

from scripts import repository
from tests.harness.driver import Chain, Contract, Raised, Receipt, Snapshot, View, selector, sign
from tests.model.log import campaign_id, entry_digest
from tests.model.state import Credit, Delegation, HostileToken, Pool, Puppet, Token
from tests.model.words import (
    DECISIONS,
    PURPOSE_NAMES,
    REASONS,
    AccessRequest,
    CampaignTerms,
    ConsentTerms,
    ModelError,
    Outcome,
    short,
    short_text,
)
from tests.model.world import World

from .invariants import OF_BOOKS, Witness

ROOT = repository.root()
ETH = 0x049D36570D4E46F48E99674BD3FCC84644DDD6B96F7C741B1562B82F9E004DC7
BEGINNING = 1_800_000_000  # the second at which every example begins
DAY = 86_400
HRESCH = short("HRESCH")
SALT = short("STATEFUL")  # so that no address is taken by another test's deployment
MARK = 1  # a bit that keeps a cell from ever becoming zero again


CODES_OF_TOKENS = {
    "POOL/SHORTFALL", "POOL/TRANSFER_FAILED", "MOCK/PANIC", "TOKEN/BLOCKED", "Returned data too short",
}  # fmt: skip


class Actors(NamedTuple):
    """Who takes part, by role: addresses of predeployed accounts."""

    administrator: int
    successor: int
    patient: int
    second_patient: int
    guardian: int
    hospital: int
    researcher: int
    second_researcher: int
    stranger: int
    relayer: int


class Cell(NamedTuple):
    """A storage cell as the model knows it: whose it is and what it is about, by which a view shows it."""

    contract: int
    kind: str
    key: tuple[int, ...]


Expected = list[tuple[View, Any]]


@dataclass(frozen=True)
class Operation:
    """One call to `MedSync`, or to a pool.

    `signed` is the message hash that a `signature` among the arguments really covers.
    """

    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    pool: int | None = None
    signed: int | None = None

    def told(self) -> dict[str, Any]:
        """The arguments as the model takes them."""
        told = {name: value for name, value in self.arguments.items() if name != "signature"}
        told |= {"pool": self.pool} if self.pool is not None else {}
        return told | ({"signed": self.signed} if self.signed is not None else {})


Transaction = tuple[int, list[Operation]]
"""Who sends it, and what it does."""


class System:
    """One devnet's deployment, the model's world, and the clock they share."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.actors = Actors(*list(chain.accounts)[: len(Actors._fields)])
        self.reach: Counter[tuple[str, str]] = Counter()
        product, mocks = ROOT / "medsync" / "artifacts", ROOT / "tests" / "mocks" / "artifacts"
        self._classes = {
            name: chain.declare(self.actors.administrator, folder, name)
            for name, folder in {
                "MedSync": product,
                "RewardPool": product,
                "Puppet": mocks,
                "Token": mocks,
                "HostileToken": mocks,
                "Judge": mocks,
            }.items()
        }
        self.token = chain.watch(ETH, chain.abi_of(ETH))
        self.medsync = self.deploy("MedSync", self.actors.administrator)
        self.other_medsync = self.deploy("MedSync", self.actors.administrator)
        self.pool = self.deploy("RewardPool", ETH, self.medsync.address)
        self.second_pool = self.deploy("RewardPool", ETH, self.medsync.address)
        self.foreign_pool = self.deploy("RewardPool", ETH, self.other_medsync.address)
        self.hostile_token = self.deploy("HostileToken")
        self.hostile_pool = self.deploy("RewardPool", self.hostile_token.address, self.medsync.address)
        self.puppet = self.deploy("Puppet")
        self.pools = (self.pool, self.second_pool, self.foreign_pool, self.hostile_pool)
        names = ["token", "medsync", "other_medsync", "pool", "second_pool", "foreign_pool", "puppet"]
        names += ["hostile_token", "hostile_pool"]
        self.names = {address: role for role, address in self.actors._asdict().items()}
        self.names |= {getattr(self, name).address: name for name in names}
        self.narrate: Callable[[str], None] = lambda line: None
        self._snapshot: Snapshot | None = None
        self._set_the_stage()

    def _set_the_stage(self) -> None:
        """What every example starts from: entities, approvals of the funders, a puppet that plays pool."""
        actors = self.actors
        self.world = World(
            chain_id=self.chain.chain_id, medsync=self.medsync.address, admin=actors.administrator
        )
        self.witness = Witness()
        self.campaigns: dict[int, CampaignTerms] = {}  # by id, all that were ever named to a pool
        self._named: dict[tuple[int, int, int], int] = {}  # by consent, the campaign it named last
        self.world.state.tokens[ETH] = token = Token()
        for pool in (self.pool, self.second_pool, self.foreign_pool):
            log = self.other_medsync if pool is self.foreign_pool else self.medsync
            self.world.state.pools[pool.address] = Pool(ETH, log.address)
        self._forget()
        for entity, role in (
            (actors.hospital, "Hospital"),
            (actors.researcher, "Researcher"),
            (actors.second_researcher, "Researcher"),
        ):
            self.perform(
                "register_entity", actors.administrator, address=entity, role=role, profile_commitment=1
            )

        for funder in (actors.researcher, actors.second_researcher):
            for pool in (self.pool, self.second_pool, self.foreign_pool):
                self.send(funder, self.token, "approve", spender=pool.address, amount=2**256 - 1)
                token.approved.add((funder, pool.address))
        holders = [*actors, *(pool.address for pool in self.pools)]
        views = [View(self.token, "balance_of", {"account": holder}) for holder in holders]
        token.balances = dict(zip(holders, self.chain.read(views, now=self.now), strict=True))

        end = BEGINNING + 10_000 * DAY
        self.puppet_terms = CampaignTerms(self.puppet.address, actors.stranger, HRESCH, 5, 0, 0, end, 0)
        claim = campaign_id(self.puppet_terms)
        self.world.state.pools[self.puppet.address] = Puppet(self.medsync.address, claim)
        status_open = 1
        told = [claim, self.medsync.address, status_open, 0, 0, 0]
        self.send(actors.relayer, self.puppet, "answer", entry_point=selector("campaign"), felts=told)
        self.instruct_puppet("Paid")
        self._have_the_hostile_pool_pay(end)
        self._stage = deepcopy((self.world.state, self.witness, self.campaigns, self._named))
        self._forget()

    def _have_the_hostile_pool_pay(self, end: int) -> None:
        """While its token is still honest: a campaign, of which a patient and a hospital were paid twice."""
        actors, pool, token = self.actors, self.hostile_pool, self.hostile_token
        books = HostileToken()
        self.world.state.tokens[token.address] = books
        self.world.state.pools[pool.address] = Pool(token.address, self.medsync.address)
        for funder in (actors.researcher, actors.second_researcher):
            self.send(funder, token, "mint", recipient=funder, amount=10**30)
            self.send(funder, token, "approve", spender=pool.address, amount=10**30)
            books.balances[funder] = books.allowances[funder, pool.address] = 10**30
        self._changed()
        self.hostile_terms = terms = CampaignTerms(
            pool.address, actors.researcher, short("CLINTRCH"), 1_000, actors.hospital, 2_500, end, 0
        )
        self.perform("deposit", actors.researcher, pool=pool.address, terms=terms, amount=10_000)
        consent = ConsentTerms(terms.purpose, 1, self.now, end, 0, terms, 0)
        self.perform("add_consent", actors.patient, grantee=actors.researcher, terms=consent)
        request = AccessRequest(actors.patient, terms.purpose, 1, 0, terms)
        self.perform("request_access_batch", actors.researcher, requests=[request] * 2)

    def class_hash(self, name: str) -> int:
        """Of a declared class."""
        return self._classes[name][0]

    def deploy(self, name: str, *constructor: int) -> Contract:
        """Deploy a contract and watch it."""
        class_hash, abi = self._classes[name]
        salt = SALT + len(self.chain.watched)
        address = self.chain.deploy(self.actors.administrator, class_hash, list(constructor), salt)
        return self.chain.watch(address, abi)

    # ---------------------------------------------------------------- one example

    def begin(self) -> None:
        """Set the stage; everything until `end` will be undone."""
        self._snapshot = self.chain.snapshot()
        self.world.state, self.witness, self.campaigns, self._named = deepcopy(self._stage)
        self._forget()

    def end(self) -> None:
        assert self._snapshot
        self.chain.revert(self._snapshot)

    def _forget(self) -> None:
        self.now = BEGINNING
        self.gifts: Counter[int] = Counter()  # by pool: what was sent to it, and is nobody's
        self.credited_before = self.credited()
        self._known = dict(self._cells())

    # ---------------------------------------------------------------- one step

    def perform(
        self,
        function: str,
        caller: int,
        *,
        pool: int | None = None,
        signed: int | None = None,
        **arguments: Any,
    ) -> Outcome | None:
        """Do an operation to the model and to the contracts and compare; None if it had to fail, and did."""
        outcomes = self.perform_all(caller, [Operation(function, arguments, pool, signed)])
        return outcomes[0] if outcomes else None

    def perform_all(self, caller: int, operations: Sequence[Operation]) -> list[Outcome] | None:
        """`perform` for several operations in one transaction: all of them happen, or none."""
        step = f"second {self.now}: {self.show(caller)} " + ", then ".join(
            f"{operation.function}({self.show(operation.told())})" for operation in operations
        )
        self.credited_before = self.credited()
        outcomes, code = self._foretell(self.world, caller, operations)
        self.narrate(f"{step} -> {code or self.show([plain(outcome.result) for outcome in outcomes])}")

        for event in (event for outcome in outcomes for event in outcome.events):
            if event.name == "ConsentAdded" and event.data["campaign"]:
                # Without a reward the second cell is left as it is.
                self._named[event.keys["patient"], event.keys["grantee"], event.keys["purpose"]] = event.data[
                    "campaign"
                ]
        changed = self._changed()
        expected = [pair for cell in changed for pair in self._views(cell)] + self._judgements()
        receipt = self._submit(caller, operations, [view for view, _ in expected])
        differences = [
            *self._receipt_differences(outcomes, code, receipt),
            *self._cell_differences(changed, receipt),
            *self._view_differences(expected, receipt.views),
        ]
        assert not differences, "\n".join([step, *differences])
        self.witness.see([event for event in receipt.events if event.source != self.hostile_token.address])
        for holds in OF_BOOKS:
            holds(self)
        self._count(operations, outcomes, code, expected)
        return None if code else outcomes

    def try_out(self, transactions: Sequence[Transaction]) -> World:
        """The model's world after transactions that the contracts, too, would carry out: nothing is done."""
        world = copy(self.world)
        world.state = deepcopy(self.world.state)
        receipts = self.chain.simulate(
            [(caller, [self._call(operation) for operation in told]) for caller, told in transactions],
            now=self.now,
        )
        for (caller, operations), receipt in zip(transactions, receipts, strict=True):
            outcomes, code = self._foretell(world, caller, operations)
            differences = self._receipt_differences(outcomes, code, receipt)
            differences += [f"must not fail: {code}"] if code else []
            assert not differences, "\n".join([f"{self.show(caller)}: {operations}", *differences])
        return world

    def departures(self, order: Random) -> list[Transaction]:
        """Every patient takes back each consent, removes each delegate and revokes all, in any order."""
        state = self.world.state
        by_patient: dict[int, list[Operation]] = {}
        for patient, grantee, purpose in state.consents:
            revocation = Operation("revoke_consent", {"grantee": grantee, "purpose": purpose})
            by_patient.setdefault(patient, [Operation("revoke_all")]).append(revocation)
        for patient, delegate in state.delegations:
            removal = Operation("set_delegate", {"delegate": delegate, "powers": 0, "expires_at": 0})
            by_patient.setdefault(patient, [Operation("revoke_all")]).append(removal)
        for operations in by_patient.values():
            order.shuffle(operations)
        return shuffled(by_patient.items(), order)

    def withdrawals(self, order: Random) -> list[Transaction]:
        """Everybody draws all that a pool of an honest token owes them, all at once or in two parts."""
        by_owner: dict[int, list[Operation]] = {}
        for pool, owner, claimable in self.claims():
            if not self.is_honest(self._books(pool).token):
                continue
            first = order.choice([claimable, order.randint(1, claimable)])
            for amount in filter(None, (first, claimable - first)):
                withdrawal = Operation("withdraw", {"amount": amount, "recipient": owner}, pool)
                by_owner.setdefault(owner, []).append(withdrawal)
        for operations in by_owner.values():
            order.shuffle(operations)
        return shuffled(by_owner.items(), order)

    def claims(self) -> list[tuple[int, int, int]]:
        """(pool, owner, claimable) of every credit that is not empty."""
        return [
            (pool.address, owner, credit.claimable)
            for pool in self.pools
            for owner, credit in self._books(pool.address).credits.items()
            if credit.claimable
        ]

    def credited(self) -> dict[tuple[int, int], int]:
        """All that was ever credited, by pool and owner."""
        return {
            (pool.address, owner): credit.claimable + credit.withdrawn
            for pool in self.pools
            if pool.address in self.world.state.pools
            for owner, credit in self._books(pool.address).credits.items()
        }

    def is_honest(self, token: int) -> bool:
        at = self.world.state.tokens[token]
        return not isinstance(at, HostileToken) or not at.habit

    def donate(self, pool: int, amount: int) -> None:
        """Somebody sends ETH to a pool past its door. They are nobody's."""
        giver, balances = self.actors.stranger, self.world.state.tokens[ETH].balances
        self.send(giver, self.token, "transfer", recipient=pool, amount=amount)
        balances[giver] -= amount
        balances[pool] += amount
        self.gifts[pool] += amount
        self._changed()

    def have_token_take_up(self, habit: str, victim: int, function: str) -> None:
        """From now on the hostile token has this habit; `function` is what it does when it calls back."""
        token = self.hostile_token
        balances = {"takes a fee": ("FEE", 1), "stands still": ("STAND_STILL", 0), "conjures": ("CONJURE", 0)}
        name, argument = (balances | {"blocks": ("BLOCK", victim)}).get(habit, ("", 0))
        back = {
            "revoke_all": Operation("revoke_all"),
            "withdraw": Operation("withdraw", {"amount": 1, "recipient": victim}, self.hostile_pool.address),
        }[function]
        aimed = self._call(back)
        aim = {
            "to": aimed.contract.address,
            "entry_point": selector(function),
            "calldata": aimed.contract.abi.encode_call(function, aimed.arguments),
        }
        act = {"panics": short("PANIC"), "calls back": short("CALL_BACK")}.get(habit, 0)
        answer = {"says no": [0], "says nothing": []}.get(habit, [1])
        told = [View(token, "take_up", {"habit": short(name), "argument": argument}), View(token, "aim", aim)]
        for entry_point in map(selector, ("transfer", "transfer_from")):
            told.append(View(token, "act", {"entry_point": entry_point, "act": act}))
            told.append(View(token, "answer", {"entry_point": entry_point, "felts": answer}))
        receipt = self.chain.send_all(self.actors.relayer, told, now=self.now)
        assert receipt.error is None, receipt.error
        books = self.world.state.tokens[token.address]
        assert isinstance(books, HostileToken)
        books.habit, books.victim, books.call = habit, victim, (function, back.told())

    def instruct_puppet(self, accrual: str) -> None:
        """Tell the puppet what to say when it is asked to pay: `Paid`, `Nonsense`, `TooMuch`, or `Panic`."""
        felts = {"Paid": [0], "Nonsense": [77], "TooMuch": [0, 0], "Panic": []}[accrual]
        act = short("PANIC") if accrual == "Panic" else 0
        accrue = selector("accrue")
        self.send(self.actors.relayer, self.puppet, "act", entry_point=accrue, act=act)
        self.send(self.actors.relayer, self.puppet, "answer", entry_point=accrue, felts=felts)
        puppet = self.world.state.pools[self.puppet.address]
        assert isinstance(puppet, Puppet)
        puppet.accrual = accrual

    def send(self, caller: int, contract: Contract, function: str, **arguments: Any) -> Any:
        """A transaction that the model does not know of, and what it returns."""
        if caller in self.chain.accounts:
            receipt = self.chain.send(caller, contract, function, arguments, now=self.now)
        else:
            receipt = self._have_puppet_send(caller, View(contract, function, arguments), [])
        assert receipt.error is None, receipt.error
        return receipt.result

    def _foretell(
        self, world: World, caller: int, operations: Sequence[Operation]
    ) -> tuple[list[Outcome], str | None]:
        """What the model makes of a transaction: the outcome of each operation, or an error code."""
        for operation in operations:
            if operation.pool is not None and "terms" in operation.arguments:
                terms = operation.arguments["terms"]
                self.campaigns[campaign_id(terms)] = terms
        calls = [
            partial(getattr(world, operation.function), caller, self.now, **operation.told())
            for operation in operations
        ]
        try:
            return world.together(calls), None
        except ModelError as error:
            return [], error.code

    def _call(self, operation: Operation) -> View:
        contract = self.medsync if operation.pool is None else self.chain.watched[operation.pool]
        return View(contract, operation.function, operation.arguments)

    def _submit(self, caller: int, operations: Sequence[Operation], views: list[View]) -> Receipt:
        """Have an account call, or a puppet."""
        calls = [self._call(operation) for operation in operations]
        if caller in self.chain.accounts:
            return self.chain.send_all(caller, calls, now=self.now, views=views)
        (call,) = calls
        receipt = self._have_puppet_send(caller, call, views)
        receipt.result = [receipt.result] if receipt.error is None else None
        return receipt

    def _have_puppet_send(self, puppet: int, call: View, views: list[View]) -> Receipt:
        """The relayer pulls the strings."""
        calldata = call.contract.abi.encode_call(call.function, call.arguments)
        forward = {"to": call.contract.address, "entry_point": selector(call.function), "calldata": calldata}
        at = self.chain.watched[puppet]
        receipt = self.chain.send(self.actors.relayer, at, "forward", forward, now=self.now, views=views)
        if receipt.error is None:
            receipt.result = call.contract.abi.decode_result(call.function, receipt.result)
        return receipt

    def sign(self, signer: int, message: int) -> list[int]:
        return sign(message, self.chain.accounts[signer].key)

    def show(self, value: Any) -> str:
        """A value with the names of those it is about."""
        if isinstance(value, dict):
            return ", ".join(f"{name}={self.show(part)}" for name, part in value.items())
        if is_dataclass(value):
            return f"({self.show(vars(value))})"
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self.show, value))}]"
        if isinstance(value, int) and value in self.names:
            return self.names[value]
        if isinstance(value, int) and short_text(value) in PURPOSE_NAMES:
            return short_text(value)
        return hex(value) if isinstance(value, int) and value > 2**64 else str(value)

    # ---------------------------------------------------------------- comparing

    def compare_everything(self) -> None:
        """Read every view about every actor, and replay every log from the events alone."""
        actors = [*self.actors, *(pool.address for pool in self.pools)]
        expected = [
            pair
            for pool in self.pools
            for pair in [
                *self._views(Cell(pool.address, "totals", ())),
                *(pair for actor in actors for pair in self._views(Cell(pool.address, "credit", (actor,)))),
            ]
        ]
        for actor in actors:
            for token in (ETH, self.hostile_token.address):
                expected += self._views(Cell(token, "balance", (actor,)))
            for kind in ("entity", "patient", "log"):
                expected += self._views(Cell(self.medsync.address, kind, (actor,)))
            for patient in (self.actors.patient, self.actors.second_patient):
                expected += self._views(Cell(self.medsync.address, "delegation", (patient, actor)))
        for cell in self._known:
            if cell.kind in ("admin", "consent", "escrow", "allowance"):
                expected += self._views(cell)
        expected += self._judgements(limit=None)
        answers = self.chain.read([view for view, _ in expected], now=self.now)
        differences = self._view_differences(expected, answers)
        assert not differences, "\n".join(["at the end", *differences])
        self._replay_logs()

    def _replay_logs(self) -> None:
        heads: dict[int, tuple[int, int]] = {}
        for event in self.witness.logged:
            entry = event.keys | event.data
            entry["decision"] = DECISIONS.index(entry["decision"])
            entry["reason"] = REASONS.index(entry["reason"])
            count, head = heads.get(entry["patient"], (0, 0))
            assert entry["seq"] == count + 1
            heads[entry["patient"]] = (
                count + 1,
                entry_digest(
                    chain_id=self.chain.chain_id, contract=self.medsync.address, previous_head=head, **entry
                ),
            )
        logs = self.world.state.logs
        assert heads == {patient: (log.count, log.head) for patient, log in logs.items()}

    def _books(self, pool: int) -> Pool:
        books = self.world.state.pools[pool]
        assert isinstance(books, Pool)
        return books

    def _cells(self) -> Iterator[tuple[Cell, tuple[Any, ...]]]:
        """Every storage cell that the specification says is written, with what it holds."""
        state, medsync = self.world.state, self.medsync.address
        successor, ready_at = state.pending_admin or (state.admin, None)
        yield Cell(medsync, "admin", (0,)), (state.admin,)
        yield Cell(medsync, "admin", (1,)), (successor,)
        if ready_at is not None:
            yield Cell(medsync, "admin", (2,)), (ready_at,)
        for address, entity in state.entities.items():
            yield Cell(medsync, "entity", (address,)), (entity.role, entity.suspended, entity.registered_at)
        for key, consent in state.consents.items():
            *record, campaign = vars(consent).values()
            yield Cell(medsync, "consent", key), (*record, campaign != 0)
        for key, campaign in self._named.items():
            yield Cell(medsync, "campaign", key), (campaign,)
        for address, patient in state.patients.items():
            about = (patient.epoch, patient.nonce, patient.emergency_opt_out, MARK)
            yield Cell(medsync, "patient", (address,)), about
        for address, log in state.logs.items():
            yield Cell(medsync, "log", (address,)), (log.count, log.head)
        for pair, delegation in state.delegations.items():
            yield Cell(medsync, "delegation", pair), (delegation.powers, delegation.expires_at, MARK)
        for address, pool in state.pools.items():
            if isinstance(pool, Puppet):
                continue
            yield Cell(address, "totals", ()), (pool.liabilities(), pool.lifetime_deposits)
            for campaign_key, campaign in pool.campaigns.items():
                escrow = (campaign.remaining, campaign.paid_count, campaign.closing_at, campaign.status)
                yield Cell(address, "escrow", (campaign_key,)), escrow
            for owner, credit in pool.credits.items():
                yield Cell(address, "credit", (owner,)), (credit.claimable, credit.withdrawn)
            for accessor, amount in pool.allowances.items():
                yield Cell(address, "allowance", accessor), (amount, MARK)
        for address, token in state.tokens.items():
            for holder, balance in token.balances.items():
                yield Cell(address, "balance", (holder,)), (balance,)
            if isinstance(token, HostileToken):
                for pair, amount in token.allowances.items():
                    yield Cell(address, "spending", pair), (amount,)

    def _changed(self) -> list[Cell]:
        """The cells that the latest operation changed; a cell never written holds zeros."""
        changed = []
        for cell, holds in self._cells():
            if cell not in self._known and not any(part not in (0, "None") for part in holds):
                continue
            if self._known.get(cell) != holds:
                changed.append(cell)
                self._known[cell] = holds
        return changed

    def _views(self, cell: Cell) -> Expected:
        """The views that show a cell, with what they must answer."""
        state, medsync, key = self.world.state, self.medsync, cell.key
        match cell.kind:
            case "admin":
                pending = state.pending_admin
                return [
                    (View(medsync, "admin", {}), state.admin),
                    (
                        View(medsync, "pending_admin", {}),
                        pending and {"address": pending[0], "ready_at": pending[1]},
                    ),
                ]
            case "entity":
                return [(View(medsync, "entity", {"address": key[0]}), plain(self.world.entity(*key)))]
            case "consent" | "campaign":
                about = dict(zip(("patient", "grantee", "purpose"), key, strict=True))
                return [(View(medsync, "consent", about), plain(self.world.consent(*key)))]
            case "patient":
                about = {"patient": key[0]}
                return [(View(medsync, "patient_state", about), plain(self.world.patient(*key)))]
            case "log":
                return [(View(medsync, "log_head", {"patient": key[0]}), plain(self.world.log(*key)))]
            case "delegation":
                delegation = state.delegations.get((key[0], key[1]), Delegation())
                about = dict(zip(("patient", "delegate"), key, strict=True))
                return [(View(medsync, "delegation", about), plain(delegation))]
            case "balance":
                held = state.tokens[cell.contract].balances.get(key[0], 0)
                # The hostile token might answer anything, so its answer is not decoded.
                shown = held if cell.contract == ETH else [held % 2**128, held >> 128]
                token = self.chain.watched[cell.contract]
                return [(View(token, "balance_of", {"account": key[0]}), shown)]
            case "spending":
                return []  # no view shows what the hostile token lets others take
        contract, pool = self.chain.watched[cell.contract], self._books(cell.contract)
        match cell.kind:
            case "totals":
                return [
                    (View(contract, "liabilities", {}), pool.liabilities()),
                    (View(contract, "lifetime_deposits", {}), pool.lifetime_deposits),
                ]
            case "credit":
                credit = pool.credits.get(key[0], Credit())
                about = {"owner": key[0]}
                return [
                    (View(contract, "claimable", about), credit.claimable),
                    (View(contract, "withdrawn", about), credit.withdrawn),
                    (View(contract, "accumulated", about), credit.claimable + credit.withdrawn),
                ]
            case "escrow":
                campaign = pool.campaigns[key[0]]
                shown = {
                    "id": key[0],
                    "log": pool.log,
                    "status": campaign.status,
                    "remaining": campaign.remaining,
                    "paid_count": campaign.paid_count,
                    "closing_at": campaign.closing_at,
                }
                return [(View(contract, "campaign", {"terms": self.campaigns[key[0]]}), shown)]
            case "allowance":
                about = {"campaign": key[0], "accessor": key[1]}
                return [(View(contract, "allowance", about), pool.allowances[key[0], key[1]])]
        raise AssertionError(cell.kind)

    def _judgements(self, limit: int | None = 6) -> Expected:
        """The decision on the consents there are (the latest, up to a limit), and on one never given."""
        consents = list(self.world.state.consents.items())
        asked = [(key, consent.categories) for key, consent in (consents[-limit:] if limit else consents)]
        if consents:
            (patient, grantee, purpose), _ = consents[-1]
            asked += [
                ((patient, grantee, purpose), 1 << 20 | 1),
                ((self.actors.guardian, grantee, purpose), 1),
                ((patient, self.actors.relayer, purpose), 1),
            ]
        return [
            (
                View(
                    self.medsync,
                    "verify_consent",
                    {"patient": patient, "grantee": grantee, "purpose": purpose, "categories": categories},
                ),
                self.world.verify_consent(self.now, patient, grantee, purpose, categories),
            )
            for (patient, grantee, purpose), categories in asked
        ]

    def _receipt_differences(self, outcomes: list[Outcome], code: str | None, receipt: Receipt) -> list[str]:
        results = None if code else [plain(outcome.result) for outcome in outcomes]
        return [
            *_differences("error", code, receipt.error),
            *_differences("results", results, receipt.result),
            *_differences("events", _events(outcomes), receipt.events),
        ]

    def _cell_differences(self, changed: list[Cell], receipt: Receipt) -> list[str]:
        numbers = Counter(cell.contract for cell in changed)
        return [
            f"cells changed in {self.show(address)}: {number}, but the model changed "
            + ", ".join(f"{cell.kind}{cell.key}" for cell in changed if cell.contract == address)
            for address, number in receipt.cells.items()
            if number != numbers[address]
        ]

    def _view_differences(self, expected: Expected, answers: list[Any]) -> list[str]:
        return [
            difference
            for (view, wanted), answer in zip(expected, answers, strict=True)
            for difference in _differences(f"{view.function}({self.show(view.arguments)})", wanted, answer)
        ]

    def _count(
        self,
        operations: Sequence[Operation],
        outcomes: list[Outcome],
        code: str | None,
        expected: Expected,
    ) -> None:
        """Keep the books of what was reached."""
        if len(operations) > 1:
            self.reach["multicall", "none of it" if code else "all of it"] += 1
        if code is not None:
            self.reach["error", code] += 1
        for operation in operations:
            if code is None:
                self.reach["operation", operation.function] += 1
        if len(operations) == 1 and operations[0].pool == self.hostile_pool.address:
            function, token = operations[0].function, self.world.state.tokens[self.hostile_token.address]
            assert isinstance(token, HostileToken)
            if function in ("deposit", "withdraw") and (code is None or code in CODES_OF_TOKENS):
                row = f"{token.habit or 'is honest'}: {function} {code or 'succeeds'}"
                self.reach["hostile token", row] += 1
        for event in (event for outcome in outcomes for event in outcome.events):
            self.reach["event", event.name] += 1
            if event.name == "AccessLogged":
                self.reach["decision", event.data["decision"]] += 1
                self.reach["reason", event.data["reason"]] += 1
        for view, wanted in expected:
            if view.function == "verify_consent":
                self.reach["verify_consent", wanted[1]] += 1


def shuffled(items: Iterable[tuple[int, list[Operation]]], order: Random) -> list[Transaction]:
    """Transactions in another order."""
    return order.sample(transactions := list(items), len(transactions))


def plain(value: Any) -> Any:
    """A model's value in the form in which the driver decodes the contracts' values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(part) for name, part in vars(value).items()}
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def _events(outcomes: list[Outcome]) -> list[Raised]:
    return [
        Raised(event.source, event.name, plain(event.keys), plain(event.data))
        for outcome in outcomes
        for event in outcome.events
    ]


def _differences(what: str, model: Any, contract: Any) -> list[str]:
    return [] if model == contract else [f"{what}\n    model    {model}\n    contract {contract}"]

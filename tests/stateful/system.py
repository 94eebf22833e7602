"""The deployed contracts and their model side by side: each operation is done to both, then all is compared.

What is compared after every transaction: success or the exact error code, the returned values, the exact
list of events of our contracts and the tokens, every storage cell that changed in our contracts and what it
holds now (in tokens: how many changed), the views of all that changed, and the decision on the consents there
are. Then the invariants are checked. `compare_everything` reads every view about every actor.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field, is_dataclass
from functools import partial
from itertools import cycle, islice
from random import Random
from typing import Any, NamedTuple

from starknet_py.hash.address import compute_address

from scripts import repository
from tests.harness.cells import poseidon
from tests.harness.driver import Chain, Contract, Raised, Receipt, Snapshot, View, selector, sign
from tests.model.cells import Cell, cells, key_of, place_of
from tests.model.hashes import campaign_id, draw_message
from tests.model.rewards import shares
from tests.model.state import Delegation, HostileToken, Key, KeyCredit, Pool, Token
from tests.model.words import (
    DAY,
    PURPOSE_NAMES,
    CampaignTerms,
    Claim,
    ConsentTerms,
    ModelError,
    Outcome,
    Payee,
    Subject,
    short,
    short_text,
)
from tests.model.world import World

from . import replaying
from .invariants import OF_BOOKS, Witness

ROOT = repository.root()
ETH = 0x049D36570D4E46F48E99674BD3FCC84644DDD6B96F7C741B1562B82F9E004DC7
BEGINNING = 1_800_000_000  # the second at which every example begins
FOUNDED = BEGINNING - 10 * DAY  # when the entities were registered: the hospital may break the glass
SALT = short("STATEFUL")  # so that no address is taken by another test's deployment
JUDGEMENTS = 3  # decisions that each step asks for
KEY = 0xC0FFEE  # private key of whoever is paid by key

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
        told = {name: value for name, value in self.arguments.items() if not name.startswith("signature")}
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
                "HostileToken": mocks,
                "Judge": mocks,
            }.items()
        }
        self.narrate: Callable[[str], None] = lambda line: None
        self.names = {address: role for role, address in self.actors._asdict().items()}
        self._snapshot: Snapshot | None = None
        self.now = FOUNDED
        self.token = chain.watch(ETH, chain.abi_of(ETH))
        self.hostile_token = self.deploy("HostileToken")
        self.medsync = self.deploy("MedSync", self.actors.administrator, self.class_hash("RewardPool"))
        block = chain.node.call("starknet_getBlockWithTxHashes", block_id="latest")
        self.world = World(
            chain_id=chain.chain_id,
            medsync=self.medsync.address,
            admin=self.actors.administrator,
            deployed_at=block["timestamp"],
            place_of_pool=self.place_of_pool,
        )
        # Of the pools' class, and it names MedSync; but MedSync did not deploy it.
        self.stray_pool = self.deploy("RewardPool", ETH, self.medsync.address)
        self._set_the_stage()

    def _set_the_stage(self) -> None:
        """What every example starts from: entities, pools, and approvals of the funders."""
        actors, state = self.actors, self.world.state
        self.pools: tuple[Contract, ...] = ()
        self.witness = Witness()
        self.witness.see(
            [Raised(event.source, event.name, event.keys, event.data) for event in self.world.events]
        )
        self.campaigns: dict[int, CampaignTerms] = {}  # by id, all that were ever named to a pool
        state.tokens = {ETH: Token(), self.hostile_token.address: HostileToken()}
        state.pools[self.stray_pool.address] = Pool(ETH, deployed_by_medsync=False)
        self._forget(FOUNDED)
        self.pool, self.second_pool = (self.create_pool(ETH, salt) for salt in (1, 2))
        self.hostile_pool = self.create_pool(self.hostile_token.address, 1)
        self.pools = (self.pool, self.second_pool, self.stray_pool, self.hostile_pool)
        names = ["token", "medsync", "pool", "second_pool", "stray_pool", "hostile_token", "hostile_pool"]
        self.names |= {getattr(self, name).address: name for name in names}
        for entity, role in (
            (actors.hospital, "Hospital"),
            (actors.researcher, "Researcher"),
            (actors.second_researcher, "Researcher"),
        ):
            about = {"address": entity, "role": role, "profile_commitment": 1}
            self.perform("register_entity", actors.administrator, **about)

        token = state.tokens[ETH]
        for funder in (actors.researcher, actors.second_researcher):
            for pool in (self.pool, self.second_pool, self.stray_pool):
                self.send(funder, self.token, "approve", spender=pool.address, amount=2**256 - 1)
                token.approved.add((funder, pool.address))
        holders = [*actors, *(pool.address for pool in self.pools)]
        views = [View(self.token, "balance_of", {"account": holder}) for holder in holders]
        token.balances = dict(zip(holders, self.chain.read(views, now=self.now), strict=True))
        self._forget(BEGINNING)
        self._have_the_hostile_pool_pay(BEGINNING + 10_000 * DAY)
        self._stage = deepcopy((self.world.state, self.witness, self.campaigns))
        self._forget(BEGINNING)

    def create_pool(self, token: int, salt: int) -> Contract:
        """Have MedSync deploy a pool, and watch it."""
        created = self.perform("create_pool", self.actors.administrator, token=token, salt=salt)
        assert created
        return self.chain.watch(created.result, self._classes["RewardPool"][1])

    def place_of_pool(self, creator: int, token: int, salt: int) -> int:
        """Where a pool comes to lie that somebody has MedSync deploy."""
        return compute_address(
            class_hash=self.class_hash("RewardPool"),
            constructor_calldata=[token, self.medsync.address],
            salt=poseidon(creator, salt),
            deployer_address=self.medsync.address,
        )

    def _have_the_hostile_pool_pay(self, end: int) -> None:
        """While its token is still honest: a campaign, of which a patient and a hospital earned two uses."""
        actors, pool = self.actors, self.hostile_pool
        for funder in (actors.researcher, actors.second_researcher):
            self.mint(self.hostile_token, funder, pool, 10**30)
        self.hostile_terms = terms = CampaignTerms(
            pool.address, actors.researcher, short("CLINTRCH"), 0, 1_000, actors.hospital, 2_500, end, 0, 0
        )
        self.perform("deposit", actors.researcher, pool=pool.address, terms=terms, amount=10_000)
        consent = ConsentTerms(terms.purpose, 0, 1, self.now, end, 0, False, terms, 0)
        self.perform("add_consent", actors.patient, grantee=actors.researcher, terms=consent)
        about = {"purpose": terms.purpose, "study": 0, "categories": 1, "campaign": campaign_id(terms)}
        subjects = [Subject(actors.patient, 0)] * 2
        self.perform("request_access_batch", actors.researcher, **about, subjects=subjects)
        claim = {"patient": actors.patient, "grantee": actors.researcher, "terms": terms}
        self.perform("settle", actors.relayer, pool=pool.address, **claim)

    def new_token(self) -> Contract:
        """A token of a stranger, honest so far."""
        token = self.deploy("HostileToken")
        self.world.state.tokens[token.address] = HostileToken()
        return token

    def mint(self, token: Contract, funder: int, pool: Contract, amount: int) -> None:
        """Give a funder units of a token that may become hostile, which the pool may take."""
        books = self.world.state.tokens[token.address]
        assert isinstance(books, HostileToken)
        self.send(funder, token, "mint", recipient=funder, amount=amount)
        self.send(funder, token, "approve", spender=pool.address, amount=amount)
        books.balances[funder] = books.allowances[funder, pool.address] = amount
        self._changed()

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
        self.world.state, self.witness, self.campaigns = deepcopy(self._stage)
        self._forget(BEGINNING)

    def end(self) -> None:
        assert self._snapshot
        self.chain.revert(self._snapshot)

    def _forget(self, now: int) -> None:
        self.now = now
        self._turn = 0
        self.gifts: Counter[int] = Counter()  # by pool: what was sent to it, and is nobody's
        self.credited_before = self.credited()
        self._known = dict(cells(self.world))
        self._held = self._holdings()

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

        changed, moved = self._changed()
        expected = [pair for cell in changed for pair in self._views(cell)]
        expected += [pair for holder in moved for pair in self._balance(*holder[:2])]
        # A view takes devnet as long as a part of a transaction: each step asks a few of these, in turn.
        expected += islice(cycle(self._judgements()), self._turn, self._turn + JUDGEMENTS)
        self._turn = (self._turn + JUDGEMENTS) % (12 * JUDGEMENTS)
        receipt = self._submit(caller, operations, [view for view, _ in expected])
        differences = [
            *self._receipt_differences(outcomes, code, receipt),
            *self._cell_differences(changed, moved, receipt),
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
        """Every patient takes back each consent, dismisses the delegates and revokes all, in any order."""
        state = self.world.state
        by_patient: dict[int, list[Operation]] = {
            patient: [
                Operation("revoke_all", {"dismiss_delegates": order.choice([True, False])}),
                Operation("dismiss_delegates"),
            ]
            for patient in {key[0] for key in state.consents} | {pair[0] for pair in state.delegations}
        }
        for patient, grantee, purpose, study in state.consents:
            about = {"grantee": grantee, "purpose": purpose, "study": study}
            if purpose != short("BTG"):
                by_patient[patient].append(Operation("revoke_consent", about))
        for operations in by_patient.values():
            order.shuffle(operations)
        return shuffled(sorted(by_patient.items()), order)

    def withdrawals(self, order: Random) -> list[Transaction]:
        """Everybody whom a pool of an honest token owes something has it settled and draws it, at once or in
        two parts."""
        by_owner: dict[int, list[Operation]] = {}
        for pool in self.pools:
            books = self._books(pool.address)
            if not self.is_honest(books.token):
                continue
            owed = Counter({owner: credit.claimable for owner, credit in books.credits.items()})
            claims: dict[int, list[Claim]] = {}
            for patient, claim in self.unsettled(pool.address):
                claims.setdefault(patient, []).append(claim)
                owed[patient] += self.world.unsettled(pool.address, patient, [claim])
            for terms, accessor, share in self.unsettled_shares(pool.address):
                owed[terms.custodian] += share
                about = {"terms": terms, "accessor": accessor}
                by_owner.setdefault(terms.custodian, []).append(
                    Operation("settle_custodian", about, pool.address)
                )
            for owner, amount in sorted(owed.items()):
                first = order.choice([amount, order.randint(1, amount)]) if amount else 0
                for part in filter(None, (first, amount - first)):
                    drawn = {"amount": part, "recipient": owner, "claims": claims.pop(owner, [])}
                    by_owner.setdefault(owner, []).append(Operation("withdraw", drawn, pool.address))
            for key, credited in books.keys.items():
                if credited.claimable:
                    drawing = self.drawing(pool.address, key, credited.claimable, self.actors.stranger)
                    by_owner.setdefault(self.actors.relayer, []).append(drawing)
        return shuffled(sorted(by_owner.items()), order)

    def drawing(
        self, pool: int, key: int, amount: int, recipient: int, *, nonce: int | None = None, by: int = KEY
    ) -> Operation:
        """The operation that draws a key's credit, signed by the key with this private key."""
        number = self._books(pool).keys.get(key, KeyCredit()).nonce if nonce is None else nonce
        message = draw_message(self.chain.chain_id, pool, key, amount, recipient, number)
        r, s = sign(message, by)
        drawn = {"key": key, "amount": amount, "recipient": recipient, "signature_r": r, "signature_s": s}
        return Operation("withdraw_by_key", drawn, pool, signed=message if by == KEY else 0)

    def claims(self) -> list[tuple[int, int, int]]:
        """(pool, owner, claimable) of every credit that is not empty."""
        return [
            (pool.address, owner, credit.claimable)
            for pool in self.pools
            for owner, credit in self._books(pool.address).credits.items()
            if credit.claimable
        ]

    def unsettled(self, pool: int) -> list[tuple[int, Claim]]:
        """(patient, claim) of every consent that a campaign of this pool still owes something."""
        return [
            (patient, Claim(grantee, self.campaigns[campaign]))
            for ((patient, grantee, *_), campaign), cell in self.world.state.paid.items()
            if cell.paid > cell.settled and self.campaigns[campaign].pool == pool
        ]

    def unsettled_shares(self, pool: int) -> list[tuple[CampaignTerms, int, int]]:
        """(terms, accessor, amount) of all that a custodian is still owed by this pool."""
        owed = []
        for (campaign, accessor), budget in self.world.state.budgets.items():
            terms = self.campaigns[campaign]
            share = shares(terms.rate, terms.custodian_bps)[1]
            if terms.pool == pool and terms.custodian and budget.paid > budget.custodian_settled:
                owed.append((terms, accessor, share * (budget.paid - budget.custodian_settled)))
        return owed

    def credited(self) -> dict[tuple[int, int], int]:
        """All that was ever credited, by pool and owner, accounts and keys."""
        return {
            (address, owner): credit.claimable + credit.withdrawn
            for address, pool in self.world.state.pools.items()
            for owner, credit in pool.credits.items()
        }

    def campaign_of(self, key: Key) -> int:
        """Id of the campaign that a consent names; zero for none."""
        consent = self.world.consent_record(key)
        named = [
            campaign
            for (about, campaign), cell in self.world.state.paid.items()
            if about == key and cell.version == consent.version and consent.rewarded
        ]
        return named[0] if named else 0

    def _holds_the_hostile_token(self, pool: int | None) -> bool:
        return pool is not None and self._books(pool).token == self.hostile_token.address

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
        token, pool = self.hostile_token, self.hostile_pool.address
        balances = {"takes a fee": ("FEE", 1), "stands still": ("STAND_STILL", 0), "conjures": ("CONJURE", 0)}
        name, argument = (balances | {"blocks": ("BLOCK", victim)}).get(habit, ("", 0))
        claim = {"patient": self.actors.patient, "grantee": self.actors.researcher}
        back = {
            "revoke_all": Operation("revoke_all", {"dismiss_delegates": True}),
            "withdraw": Operation("withdraw", {"amount": 1, "recipient": victim, "claims": []}, pool),
            "settle": Operation("settle", claim | {"terms": self.hostile_terms}, pool),
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
            terms = operation.arguments.get("terms")
            if isinstance(terms, CampaignTerms):
                self.campaigns[campaign_id(terms)] = terms
            elif isinstance(terms, ConsentTerms) and terms.reward:
                self.campaigns[campaign_id(terms.reward)] = terms.reward
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
        return View(contract, operation.function, plain(operation.arguments))

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
        """Read every view about every actor, and replay every history from the events alone."""
        medsync = self.medsync.address
        actors = [*self.actors, *(pool.address for pool in self.pools)]
        about = [Cell(medsync, "admin"), Cell(medsync, "successor"), Cell(medsync, "registry")]
        about += [Cell(pool.address, "liabilities") for pool in self.pools]
        about += [Cell(pool.address, "credit", (actor,)) for pool in self.pools for actor in actors]
        about += [
            Cell(medsync, kind, (actor,))
            for kind in ("entity", "patient", "history", "log", "is pool")
            for actor in actors
        ]
        patients = (self.actors.patient, self.actors.second_patient)
        about += [Cell(medsync, "delegation", (patient, actor)) for patient in patients for actor in actors]
        about += [
            cell
            for cell in self._known
            if cell.kind in ("consent", "paid", "budget", "campaign", "emergency", "key credit")
        ]
        expected = [pair for cell in about for pair in self._views(cell)]
        for actor in actors:
            for token in (ETH, self.hostile_token.address):
                expected += self._balance(token, actor)
        expected += self._owed() + self._judgements(limit=None)
        answers = self.chain.read([view for view, _ in expected], now=self.now)
        differences = self._view_differences(expected, answers)
        assert not differences, "\n".join(["at the end", *differences])
        differences = replaying.differences(self, self.witness.seen)
        assert not differences, "\n".join(["from the events alone", *differences])

    def _books(self, pool: int) -> Pool:
        return self.world.state.pools[pool]

    def _holdings(self) -> dict[tuple[int, int, str], int]:
        """What the tokens keep: by token, holder and what it is."""
        held = {}
        for address, token in self.world.state.tokens.items():
            held |= {(address, holder, ""): balance for holder, balance in token.balances.items()}
            if isinstance(token, HostileToken):
                allowed = token.allowances.items()
                held |= {(address, owner, self.show(pool)): amount for (owner, pool), amount in allowed}
        return held

    def _changed(self) -> tuple[list[Cell], list[tuple[int, int, str]]]:
        """The cells that the latest operation changed, and whose holdings; what was never written is zero."""
        now, held = dict(cells(self.world)), self._holdings()
        changed = [cell for cell, value in now.items() if value != self._known.get(cell, 0)]
        moved = [holder for holder, amount in held.items() if amount != self._held.get(holder, 0)]
        self._known |= now
        self._held = held
        return changed, moved

    def _views(self, cell: Cell) -> Expected:
        """The views that show a cell, with what they must answer."""
        world, medsync, key = self.world, self.medsync, cell.key
        match cell.kind:
            case "admin" | "pending" | "begun at":
                shown = plain(world.state.pending_admin)
                return [
                    (View(medsync, "admin", {}), world.state.admin),
                    (View(medsync, "pending_admin", {}), shown),
                ]
            case "successor":
                return [(View(medsync, "successor", {}), world.state.successor)]
            case "registry":
                return [(View(medsync, "registry_head", {}), plain(world.state.registry))]
            case "entity":
                return [(View(medsync, "entity", {"address": key[0]}), plain(world.entity(*key)))]
            case "consent" | "paid":
                return self._views_of_consent(key_of(cell), *key[4:])
            case "patient":
                about = {"patient": key[0]}
                return [
                    (View(medsync, "patient_state", about), world.patient_state(*key)),
                    (View(medsync, "refused_purposes", about), world.refused_purposes(*key)),
                ]
            case "history":
                return [(View(medsync, "history_head", {"patient": key[0]}), plain(world.history(*key)))]
            case "log":
                return [(View(medsync, "log_head", {"patient": key[0]}), plain(world.log(*key)))]
            case "emergency":
                about = dict(zip(("patient", "seq", "hospital"), key, strict=True))
                return [(View(medsync, "emergency", about), plain(world.emergency(**about)))]
            case "delegation":
                delegation = world.state.delegations.get((key[0], key[1]), Delegation())
                about = dict(zip(("patient", "delegate"), key, strict=True))
                return [(View(medsync, "delegation", about), plain(delegation))]
            case "is pool":
                return [(View(medsync, "is_pool", {"pool": key[0]}), world.is_pool(*key))]
            case "budget":
                about = dict(zip(("campaign", "accessor"), key, strict=True))
                return [(View(medsync, "budget", about), plain(world.budget(**about)))]
        if cell.contract not in self.chain.watched:
            return []  # a pool that nobody uses
        contract, pool = self.chain.watched[cell.contract], self._books(cell.contract)
        match cell.kind:
            case "liabilities":
                return [(View(contract, "liabilities", {}), pool.liabilities)]
            case "credit":
                credit = world.credit(cell.contract, key[0])
                about = {"owner": key[0]}
                return [
                    (View(contract, "claimable", about), credit.claimable),
                    (View(contract, "withdrawn", about), credit.withdrawn),
                    (View(contract, "accumulated", about), credit.claimable + credit.withdrawn),
                ]
            case "key credit":
                about = {"key": key[0]}
                return [(View(contract, "key_credit", about), plain(pool.keys.get(key[0], KeyCredit())))]
            case "campaign":
                shown = {"id": key[0], **plain(world.campaign(cell.contract, key[0]))}
                accepts = world.accepts_consents(self.now, cell.contract, key[0])
                return [
                    (View(contract, "campaign", {"terms": self.campaigns[key[0]]}), shown),
                    (View(contract, "accepts_consents", {"campaign": key[0]}), accepts),
                ]
        raise AssertionError(cell.kind)

    def _views_of_consent(self, key: Key, *campaigns: int) -> Expected:
        """A consent as it is shown, asked with these campaigns and with the one it names."""
        about = dict(zip(("patient", "grantee", "purpose", "study"), key, strict=True))
        expected: Expected = []
        for campaign in {*campaigns, self.campaign_of(key)}:
            asked = about | {"campaign": campaign}
            shown = self.world.consent(self.now, **asked)
            expected.append((View(self.medsync, "consent", asked), shown))
            paid = plain(self.world.paid_uses(key, campaign))
            expected.append((View(self.medsync, "paid_uses", asked), paid))
        if about["purpose"] == short("BTG"):
            named = {"patient": key[0], "hospital": key[1]}
            naming = self.world.emergency_naming(**named)
            expected.append((View(self.medsync, "emergency_naming", named), naming))
        return expected

    def _balance(self, token: int, holder: int) -> Expected:
        held = self.world.state.tokens[token].balances.get(holder, 0)
        # The hostile token might answer anything, so its answer is not decoded.
        shown = held if token == ETH else [held % 2**128, held >> 128]
        return [(View(self.chain.watched[token], "balance_of", {"account": holder}), shown)]

    def _owed(self) -> Expected:
        """What each pool says that patients are still owed."""
        expected: Expected = []
        for pool in self.pools:
            claims: dict[int, list[Claim]] = {}
            for patient, claim in self.unsettled(pool.address):
                claims.setdefault(patient, []).append(claim)
            for patient, named in claims.items():
                about = {"patient": patient, "claims": plain(named)}
                owed = self.world.unsettled(pool.address, patient, named)
                expected.append((View(pool, "unsettled", about), owed))
        return expected

    def _judgements(self, limit: int | None = 6) -> Expected:
        """The decision on the consents there are (the latest, up to a limit), and on one never given."""
        consents = list(self.world.state.consents.items())
        asked = [
            (key, consent.categories, self.campaign_of(key))
            for key, consent in (consents[-limit:] if limit else consents)
        ]
        if consents:
            (patient, grantee, purpose, study), consent = consents[-1]
            categories = consent.categories
            asked += [
                ((patient, grantee, purpose, study), 1 << 20 | 1, 0),
                ((patient, grantee, purpose, study), categories, asked[-1][2] ^ 1),
                ((patient, grantee, purpose, study ^ 1), categories, 0),
                ((self.actors.guardian, grantee, purpose, study), 1, 0),
                ((patient, self.actors.relayer, purpose, study), 1, 0),
            ]
        expected: Expected = []
        for (patient, *of), *what in asked:
            names = ("grantee", "purpose", "study", "categories", "campaign")
            about = dict(zip(names, (*of, *what), strict=True))
            verdict = plain(self.world.verify_consent(self.now, patient, **about))
            expected.append((View(self.medsync, "verify_consent", {"patient": patient, **about}), verdict))
        if expected:
            view, verdict = expected[0]
            about = {name: value for name, value in view.arguments.items() if name != "patient"}
            patients = [view.arguments["patient"]] * 2
            several = View(self.medsync, "verify_consents", {"patients": patients, **about})
            expected.append((several, [verdict] * 2))
        return expected

    def _receipt_differences(self, outcomes: list[Outcome], code: str | None, receipt: Receipt) -> list[str]:
        results = None if code else [plain(outcome.result) for outcome in outcomes]
        return [
            *_differences("error", code, receipt.error),
            *_differences("results", results, receipt.result),
            *_differences("events", _events(outcomes), receipt.events),
        ]

    def _cell_differences(
        self, changed: list[Cell], moved: list[tuple[int, int, str]], receipt: Receipt
    ) -> list[str]:
        """Every cell that changed, by name where the model knows it."""
        expected: dict[int, dict[int, int]] = {address: {} for address in receipt.storage}
        names = {}
        for cell in changed:
            if cell.contract in expected:
                address = place_of(cell.kind, cell.key)
                expected[cell.contract][address] = self._known[cell]
                names[cell.contract, address] = f"{cell.kind} {self.show(cell.key)}"
        differences = []
        for contract, storage in receipt.storage.items():
            if contract in self.world.state.tokens:
                number = sum(holder[0] == contract for holder in moved)
                differences += _differences(f"cells changed in {self.show(contract)}", number, len(storage))
                continue
            for address in expected[contract].keys() | storage.keys():
                what = names.get((contract, address), f"unknown cell {address:#x} of {self.show(contract)}")
                wanted, found = (hexed(part.get(address)) for part in (expected[contract], storage))
                differences += _differences(what, wanted, found)
        return differences

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
        if len(operations) == 1 and self._holds_the_hostile_token(operations[0].pool):
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
                self.reach["verify_consent", wanted["reason"]] += 1


def shuffled(items: Iterable[tuple[int, list[Operation]]], order: Random) -> list[Transaction]:
    """Transactions in another order."""
    return order.sample(transactions := list(items), len(transactions))


def plain(value: Any) -> Any:
    """A model's value in the form in which the driver decodes the contracts' values."""
    if isinstance(value, Payee):
        return value.kind, value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(part) for name, part in vars(value).items()}
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def hexed(value: int | None) -> str | None:
    return None if value is None else hex(value)


def _events(outcomes: list[Outcome]) -> list[Raised]:
    return [
        Raised(event.source, event.name, plain(event.keys), plain(event.data))
        for outcome in outcomes
        for event in outcome.events
    ]


def _differences(what: str, model: Any, contract: Any) -> list[str]:
    return [] if model == contract else [f"{what}\n    model    {model}\n    contract {contract}"]

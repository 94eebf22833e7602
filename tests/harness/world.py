"""A fresh MedSync for one test: contracts nobody used yet, and everybody who has a part in them.

Everything is sent raw and in a block of its own at exactly `world.now`, so boundaries are tested to the
second.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from scripts import build
from tests.harness.chain import Call, Chain, Outcome
from tests.harness.driver import Contract, Raised, Receipt, View, selector
from tests.harness.words import ALL_CATEGORIES, DAY, NO_REWARD, felt

PROFILE = 0x9807


class World:
    """`MedSync`, a `RewardPool` that listens to it, an honest token, and accounts named for what they are.

    Registered are the hospital, the researcher, the partner (a researcher too), the funder (likewise), the
    auditor and the suspended entity. Nothing is funded and nobody consented.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._contracts: dict[int, Contract] = {}
        chain.watched = self._contracts
        self.now = chain.refresh() + 1
        (
            self.admin,
            self.successor,
            self.hospital,
            self.researcher,
            self.partner,
            self.funder,
            self.auditor,
            self.suspended,
            self.patient,
            self.neighbour,
            self.delegate,
            self.stranger,
            self.relayer,
            *_,
        ) = chain.accounts
        self.entities = {
            self.hospital: "Hospital",
            self.researcher: "Researcher",
            self.partner: "Researcher",
            self.funder: "Researcher",
            self.auditor: "Auditor",
            self.suspended: "Researcher",
        }
        self.puppets: dict[int, Contract] = {}
        self._setup: list[Call] = []
        self.medsync = self._plan("MedSync", self.admin)
        self.token = self._plan("Token", package=build.MOCKS)
        self.pool = self._plan("RewardPool", self.token.address, self.medsync.address)
        for entity, role in self.entities.items():
            self._setup.append(
                self.call("register_entity", address=entity, role=role, profile_commitment=PROFILE)
            )
        self._setup.append(self.call("suspend_entity", address=self.suspended))
        self._carry_out(self.admin)

    # --- contracts ------------------------------------------------------------------------------------------

    def deploy(self, name: str, *constructor: int, package: build.Package = build.PRODUCT) -> Contract:
        """A further contract of that class."""
        contract = self._plan(name, *constructor, package=package)
        self._carry_out(self.relayer)
        return contract

    def new_pool(self, token: int, log: int) -> Contract:
        """A further reward pool."""
        return self.deploy("RewardPool", token, log)

    def new_hostile_token(self) -> Contract:
        """A token that is honest until it is told otherwise."""
        return self.deploy("HostileToken", package=build.MOCKS)

    def new_puppet(self) -> Contract:
        """A contract that plays any part; name its address as the sender of a call, and it makes it."""
        puppet = self.deploy("Puppet", package=build.MOCKS)
        self.puppets[puppet.address] = puppet
        return puppet

    def _plan(self, name: str, *constructor: int, package: build.Package = build.PRODUCT) -> Contract:
        self.chain.watched = self._contracts
        contract, call = self.chain.deployment(self.chain.declared(name, package), constructor)
        self._setup.append(call)
        return contract

    def _carry_out(self, sender: int) -> None:
        outcome = self.execute(sender, *self._setup)
        assert outcome.error is None, outcome.reason
        self._setup.clear()

    # --- calls ----------------------------------------------------------------------------------------------

    def call(self, function: str, to: Contract | None = None, /, **arguments: Any) -> Call:
        """A call by the contract's ABI; the function's name tells the contract if `to` does not."""
        contract = to or self._contract_of(function)
        return Call(contract.address, function, contract.abi.encode_call(function, arguments))

    def execute(self, sender: int, *calls: Call) -> Outcome:
        """One transaction of any calls, whatever becomes of it. A puppet's call is sent on by the relayer."""
        return self.chain.execute(*self._from(sender, calls), self.now)

    def simulate(self, sender: int, *calls: Call) -> Outcome:
        """What `execute` would do; nothing is done."""
        return self.chain.rehearse(*self._from(sender, calls), self.now)

    def _from(self, sender: int, calls: Sequence[Call]) -> tuple[int, Sequence[Call]]:
        # Worlds take turns on one chain: this one's contracts are those to watch now.
        self.chain.watched = self._contracts
        if sender not in self.puppets:
            return sender, calls
        return self.relayer, [
            Call(sender, "forward", [call.to, selector(call.function), len(call.calldata), *call.calldata])
            for call in calls
        ]

    def send(self, sender: int, function: str, to: Contract | None = None, /, **arguments: Any) -> Receipt:
        """A transaction of one call that must succeed."""
        contract = to or self._contract_of(function)
        outcome = self.execute(sender, self.call(function, contract, **arguments))
        assert outcome.error is None, f"{function} failed: {outcome.error}\n{outcome.reason}"
        result = contract.abi.decode_result(function, outcome.results[0])
        return Receipt(None, result, outcome.events, outcome.cells)

    def refuses(
        self, error: str, sender: int, function: str, to: Contract | None = None, /, **arguments: Any
    ) -> None:
        """A transaction of one call that must fail with exactly this error, and leave no trace."""
        outcome = self.execute(sender, self.call(function, to, **arguments))
        assert_refused(outcome, error)

    def read(self, function: str, to: Contract | None = None, /, **arguments: Any) -> Any:
        """What a view answers at second `now`."""
        (answer,) = self.read_all([View(to or self._contract_of(function), function, arguments)])
        return answer

    def read_all(self, views: Sequence[View]) -> list[Any]:
        """What several views answer at second `now`."""
        return self.chain.read(views, now=self.now)

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds

    def raised(self, name: str, source: Contract | None = None, /, **fields: Any) -> Raised:
        """An event as the contract must have emitted it, all fields by name."""
        contract = source or next(c for c in (self.medsync, self.pool) if name in event_members(c))
        kinds = event_members(contract)[name]
        assert list(kinds) == list(fields), f"{name} has {list(kinds)}, not {list(fields)}"
        keys = {field: value for field, value in fields.items() if kinds[field] == "key"}
        data = {field: value for field, value in fields.items() if kinds[field] == "data"}
        return Raised(contract.address, name, keys, data)

    def _contract_of(self, function: str) -> Contract:
        return next(c for c in (self.medsync, self.pool, self.token) if function in c.abi.functions)

    # --- what most tests begin with -------------------------------------------------------------------------

    def terms(self, **changes: Any) -> dict[str, Any]:
        """Consent terms: health research, all categories, from now for a day, no limit, no reward."""
        return {
            "purpose": felt("HRESCH"),
            "categories": ALL_CATEGORIES,
            "starts_at": self.now,
            "expires_at": self.now + DAY,
            "max_uses": 0,
            "reward": NO_REWARD,
            "terms_commitment": 0x7E45,
        } | changes

    def campaign(self, **changes: Any) -> dict[str, Any]:
        """Campaign terms: the funder pays 1,000 for each access, a tenth of it to the hospital, for 30
        days."""
        return {
            "pool": self.pool.address,
            "funder": self.funder,
            "purpose": felt("HRESCH"),
            "rate": 1000,
            "custodian": self.hospital,
            "custodian_bps": 1000,
            "expires_at": self.now + 30 * DAY,
            "salt": 1,
        } | changes

    def request(self, **changes: Any) -> dict[str, Any]:
        """An access request to the patient's observations for health research."""
        return {
            "patient": self.patient,
            "purpose": felt("HRESCH"),
            "categories": 1 << 7,
            "record": 0xEC04D,
            "campaign": NO_REWARD,
        } | changes

    def give(self, **changes: Any) -> dict[str, Any]:
        """The patient's consent for the researcher; returns its terms."""
        terms = self.terms(**changes)
        self.send(self.patient, "add_consent", grantee=self.researcher, terms=terms)
        return terms

    def fund(self, terms: Mapping[str, Any], amount: int, pool: Contract | None = None) -> None:
        """Give the campaign's funder `amount` and have it deposited."""
        pool = pool or self.pool
        token = self.token if pool is self.pool else self._token_of(pool)
        outcome = self.execute(
            terms["funder"],
            Call(token.address, "mint", [terms["funder"], amount, 0]),
            Call(token.address, "approve", [pool.address, amount, 0]),
            self.call("deposit", pool, terms=dict(terms), amount=amount),
        )
        assert outcome.error is None, outcome.reason

    def _token_of(self, pool: Contract) -> Contract:
        return self._contracts[self.read("token", pool)]

    def ask(self, sender: int | None = None, **changes: Any) -> Receipt:
        """An access request, by the researcher if nobody else is named."""
        return self.send(
            self.researcher if sender is None else sender, "request_access", request=self.request(**changes)
        )

    def verdict(self, **changes: Any) -> tuple[str, str, int]:
        """What `verify_consent` answers for the patient, the researcher and observations."""
        arguments = {
            "patient": self.patient,
            "grantee": self.researcher,
            "purpose": felt("HRESCH"),
            "categories": 1 << 7,
        } | changes
        answer = self.read("verify_consent", **arguments)
        assert isinstance(answer, tuple)
        return answer


def assert_refused(outcome: Outcome, error: str) -> None:
    """The transaction failed with exactly this error, and no contract changed."""
    assert outcome.error is not None, f"{error} was expected, but the call succeeded"
    assert outcome.error == error, (
        f"{error} was expected, but it failed with {outcome.error}\n{outcome.reason}"
    )
    assert not any(outcome.cells.values()), f"a failed transaction changed cells: {outcome.cells}"


def event_members(contract: Contract) -> dict[str, dict[str, str]]:
    """By event name: each field's kind, `key` or `data`, in order."""
    return {
        name: {member["name"]: member["kind"] for member in members}
        for name, members in contract.abi._events.values()
    }

"""A fresh MedSync for one test: contracts nobody used yet, and everybody who has a part in them.

Everything is sent raw and in a block of its own at exactly `world.now`, so boundaries are tested to the
second.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starknet_py.hash.address import compute_address

from scripts import build
from tests.harness.cells import poseidon
from tests.harness.chain import Call, Chain, Outcome
from tests.harness.driver import Contract, Raised, Receipt, View, selector
from tests.harness.log import Histories
from tests.harness.words import ALL_CATEGORIES, BROAD, DAY, HRESCH, NO_REWARD

PROFILE = 0x9807

CAMPAIGN_TERMS_TYPE = (
    '"CampaignTerms"("pool":"ContractAddress","funder":"ContractAddress","purpose":"shortstring",'
    '"study":"felt","rate":"u128","custodian":"ContractAddress","custodian_bps":"u128",'
    '"expires_at":"timestamp","spender":"ContractAddress","salt":"felt")'
)


def id_of(terms: Mapping[str, Any]) -> int:
    """The id of the campaign with these terms: their SNIP-12 struct hash."""
    return poseidon(selector(CAMPAIGN_TERMS_TYPE), *terms.values())


class World:
    """`MedSync`, a `RewardPool` that it deployed, an honest token, and accounts named for what they are.

    Registered, at second `begun`, are the hospital, the researcher, the partner (a researcher too), the
    funder (likewise), the auditor and the suspended entity. Nothing is funded and nobody consented. The
    hospital is too new to break the glass until `EMERGENCY_DELAY` has passed.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._contracts: dict[int, Contract] = {}
        chain.watched = self._contracts
        self.now = self.begun = chain.refresh() + 1
        self.histories = Histories(self)
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
        self.medsync = self._plan_medsync(self.admin)
        self.token = self._plan("Token", package=build.MOCKS)
        self.pool = self._plan_pool(self.token, creator=self.admin, salt=0)
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

    def new_medsync(self) -> Contract:
        """A further MedSync of the same administrator."""
        medsync = self._plan_medsync(self.admin)
        self._carry_out(self.relayer)
        return medsync

    def new_pool(self, token: Contract | None = None, medsync: Contract | None = None) -> Contract:
        """A further reward pool, deployed by this MedSync unless another is named."""
        salt = len(self._contracts)
        pool = self._plan_pool(token or self.token, self.relayer, salt, medsync)
        self._carry_out(self.relayer)
        return pool

    def _plan_medsync(self, admin: int) -> Contract:
        """A MedSync that is deployed with whatever else is planned."""
        return self._plan("MedSync", admin, self.chain.declared("RewardPool").hash)

    def _plan_pool(
        self, token: Contract, creator: int, salt: int, medsync: Contract | None = None
    ) -> Contract:
        maker = medsync or self.medsync
        declared = self.chain.declared("RewardPool")
        address = compute_address(
            class_hash=declared.hash,
            constructor_calldata=[token.address, maker.address],
            salt=poseidon(creator, salt),
            deployer_address=maker.address,
        )
        self._setup.append(self.call("create_pool", maker, token=token.address, salt=salt))
        return self.chain.watch(address, declared.abi)

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
        outcome = self.chain.execute(*self._from(sender, calls), self.now)
        if outcome.error is None:
            self.histories.follow(outcome.events, outcome.storage)
        return outcome

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
        return Receipt(None, result, outcome.events, outcome.cells, storage=outcome.storage)

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
        """Consent terms: health research, no study, all categories, from now for a day, no limit, no
        reward."""
        return {
            "purpose": HRESCH,
            "study": BROAD,
            "categories": ALL_CATEGORIES,
            "starts_at": self.now,
            "expires_at": self.now + DAY,
            "max_uses": 0,
            "scoped": False,
            "reward": NO_REWARD,
            "terms_commitment": 0x7E45,
        } | changes

    def campaign(self, **changes: Any) -> dict[str, Any]:
        """Campaign terms: the funder pays 1,000 for each access, a tenth of it to the hospital, for 30
        days."""
        return {
            "pool": self.pool.address,
            "funder": self.funder,
            "purpose": HRESCH,
            "study": BROAD,
            "rate": 1000,
            "custodian": self.hospital,
            "custodian_bps": 1000,
            "expires_at": self.now + 30 * DAY,
            "spender": 0,
            "salt": 1,
        } | changes

    def request(self, **changes: Any) -> dict[str, Any]:
        """An access request to the patient's observations for health research. `campaign` is an id."""
        return {
            "patient": self.patient,
            "purpose": HRESCH,
            "study": BROAD,
            "categories": 1 << 7,
            "record": 0xEC04D,
            "campaign": 0,
        } | changes

    def batch(self, *subjects: tuple[int, int], **changes: Any) -> dict[str, Any]:
        """The same for several patients and records."""
        request = self.request(**changes)
        arguments = {name: request[name] for name in ("purpose", "study", "categories", "campaign")}
        return arguments | {"subjects": [{"patient": who, "record": record} for who, record in subjects]}

    def give(self, grantee: int | None = None, **changes: Any) -> dict[str, Any]:
        """The patient's consent, for the researcher if nobody else is named; returns its terms."""
        terms = self.terms(**changes)
        self.send(self.patient, "add_consent", grantee=grantee or self.researcher, terms=terms)
        return terms

    def mint(self, owner: int, amount: int, approved: int | None = None) -> None:
        """Have the owner hold tokens, and let the pool take them, or as many as are approved."""
        allowed = amount if approved is None else approved
        outcome = self.execute(
            owner,
            self.call("mint", self.token, recipient=owner, amount=amount),
            self.call("approve", self.token, spender=self.pool.address, amount=allowed),
        )
        assert outcome.error is None, outcome.reason

    def fund(self, terms: Mapping[str, Any], amount: int) -> None:
        """Give the campaign's funder `amount`, a multiple of the rate, and have it deposited."""
        pool = self._contracts[terms["pool"]]
        token = self.token if pool is self.pool else self._contracts[self.read("token", pool)]
        outcome = self.execute(
            terms["funder"],
            Call(token.address, "mint", [terms["funder"], amount, 0]),
            Call(token.address, "approve", [pool.address, amount, 0]),
            self.call("deposit", pool, terms=dict(terms), amount=amount),
        )
        assert outcome.error is None, outcome.reason

    def allow(self, terms: Mapping[str, Any], accessor: int, uses: int) -> None:
        """Have the campaign's funder move uses of its own to an accessor."""
        pool = self._contracts[terms["pool"]]
        arguments = {"terms": dict(terms), "accessor": accessor, "uses": uses}
        self.send(terms["funder"], "increase_allowance", pool, **arguments)

    def name_delegate(self, powers: int, expires_at: int | None = None) -> None:
        """Have the patient name the delegate, for a day if no end is named."""
        end = self.now + DAY if expires_at is None else expires_at
        self.send(self.patient, "set_delegate", delegate=self.delegate, powers=powers, expires_at=end)

    def ask(self, sender: int | None = None, **changes: Any) -> Receipt:
        """An access request, by the researcher if nobody else is named."""
        return self.send(
            self.researcher if sender is None else sender, "request_access", request=self.request(**changes)
        )

    def about(self, **changes: Any) -> dict[str, Any]:
        """Which consent is meant: the patient's for the researcher, unless others are named."""
        return {
            "patient": self.patient,
            "grantee": self.researcher,
            "purpose": HRESCH,
            "study": BROAD,
        } | changes

    def verdict(self, **changes: Any) -> tuple[str, str, int]:
        """What `verify_consent` decides about the patient, the researcher and observations, why, and by which
        version."""
        arguments = self.about() | {"categories": 1 << 7, "campaign": 0} | changes
        answer = self.read("verify_consent", **arguments)
        return answer["decision"], answer["reason"], answer["version"]


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

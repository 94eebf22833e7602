"""Re-entry, everywhere: whoever is called calls back into every function there is.

MedSync and pools call strangers at the doors listed in `DOORS`: the pool that a consent names, the account of
who signed, a pool's token. Through them a stranger calls each function of both contracts, one time without
any right, one time as administrator or successor, hospital, grantee, delegate with all powers, funder and
creditor in one. (Doors like another are tried with some functions only.) What must come of it is one rule:
**as if the two calls had been made one after the other**, in one order or the other. Every storage cell,
every event, both answers or errors are compared; what is not so is in `EXCEPTIONS`, with the reason.

Functions are taken from the ABI, places from what the contracts are seen to call: a new one cannot be
forgotten. All of it is simulated on one stage, which stays as it is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

import pytest

from medsync import artifacts
from tests.harness.cells import address_of
from tests.harness.chain import Call, Chain
from tests.harness.driver import Abi, Contract, selector
from tests.harness.roles import RULES
from tests.harness.snip12 import consent_message, revocation_message
from tests.harness.words import CLOSE_NOTICE, DAY, GIVE, REFUSE, REVOKE, felt
from tests.harness.world import PROFILE, World

HRESCH = felt("HRESCH")
FUNCTIONS = [
    function
    for name in artifacts.manifest()["contracts"]
    if name != "PrivateAnchor"  # It calls nobody, and shares nothing with the others.
    for function in sorted(Abi(artifacts.load(name).abi).operations())
]


# --- the stage ----------------------------------------------------------------------------------------------


@dataclass
class Stage:
    """A stranger's contract, everybody it could harm, and everything ready for everything."""

    world: World
    stranger: Contract
    """A pool and an account, or a token."""
    pool: Contract
    """An honest one: the stranger's token's if it is a token."""
    terms: dict[str, Any]
    """A campaign there whose notice is over: the stranger's own, if it may do anything."""
    campaign: dict[str, Any]
    """The funder's campaign there, of which the patient has earned."""
    lure: dict[str, Any]
    """A campaign of which the stranger is the pool."""
    own_pool: Contract
    """A pool that takes the stranger for its MedSync, if the stranger has a right."""
    balances: set[int]
    """The cells in which the stranger keeps balances, if it is a token."""
    told: dict[str, "Story"] = field(default_factory=dict)
    """What single calls do."""

    def call_of(self, function: str) -> Call:
        """A call of that function which the stranger may make if anybody may, and which interferes as much as
        it can."""
        world, stranger = self.world, self.stranger.address
        patients = {"patient": world.patient, "grantee": world.researcher}
        consent = world.terms(expires_at=world.now + 5 * DAY)
        again = world.terms(reward=self.lure, max_uses=1)
        request = world.request()
        arguments: dict[str, Any] = {
            "register_entity": {"address": world.stranger, "role": "Auditor", "profile_commitment": PROFILE},
            "suspend_entity": {"address": world.researcher},
            "reinstate_entity": {"address": world.suspended},
            "begin_admin_transfer": {"new_admin": world.auditor},
            "add_consent": {"grantee": world.researcher, "terms": consent},
            "add_consent_for": patients | {"terms": again if self.may_be_pool else consent},
            "add_consent_by_sig": consent_message(world, grantee=world.auditor),
            "revoke_consent": {"grantee": world.researcher, "purpose": HRESCH},
            "revoke_consent_for": patients | {"purpose": HRESCH},
            "revoke_consent_by_sig": revocation_message(world),
            "revoke_all_for": {"patient": world.patient},
            "request_consent": {"patient": world.patient, "terms": consent},
            "refuse_consent": {"grantee": world.researcher, "purpose": HRESCH},
            "refuse_consent_for": patients | {"purpose": HRESCH},
            "set_delegate": {"delegate": world.researcher, "powers": 7, "expires_at": world.now + DAY},
            "set_emergency_opt_out": {"opted_out": True},
            "request_access": {"request": request},
            "request_access_batch": {"requests": [request, request | {"patient": world.neighbour}]},
            "request_emergency_access": {
                "patient": world.patient,
                "categories": 1,
                "record": 0,
                "justification_commitment": 1,
            },
            "deposit": {"terms": self.terms, "amount": 500},
            "set_allowance": {"terms": self.terms, "accessor": world.partner, "amount": 7},
            "accrue": {"terms": self.terms, "patient": world.patient, "accessor": stranger},
            "withdraw": {"amount": 900, "recipient": world.stranger},
            "announce_close": {"terms": self.terms},
            "close_campaign": {"terms": self.terms},
        }
        pools = {"accrue": self.own_pool} | dict.fromkeys(self.pool.abi.operations() - {"accrue"}, self.pool)
        return world.call(function, pools.get(function, world.medsync), **arguments.get(function, {}))

    @property
    def may_be_pool(self) -> bool:
        return "accrue" in self.stranger.abi.functions


def set_stage(chain: Chain, *, token: bool, office: str | None) -> Stage:
    """With a stranger that is a token, or else a pool and an account. It has no right, or every right and
    holds an office: `admin`, or `successor` who may accept."""
    world = World(chain)
    stranger = world.new_hostile_token() if token else world.new_puppet()
    world.puppets[stranger.address] = stranger
    pool = world.new_pool(stranger.address, world.medsync.address) if token else world.pool
    lure = world.campaign(pool=stranger.address, expires_at=world.now + 90 * DAY)
    own_pool = pool
    if not token:
        sham = [world.read("campaign", terms=lure)["id"], world.medsync.address, 1, 1000, 0, 0]
        for entry_point, felts in {
            "campaign": sham,
            "accrue": [0],
            "is_valid_signature": [felt("VALID")],
            "supports_interface": [1],
        }.items():
            world.send(world.relayer, "answer", stranger, entry_point=selector(entry_point), felts=felts)
        if office:
            own_pool = world.new_pool(world.token.address, stranger.address)

    campaign = world.campaign(pool=pool.address, salt=1)
    terms = world.campaign(pool=pool.address, funder=stranger.address if office else world.funder, salt=2)
    for one in (campaign, terms):
        world.fund(one, 5_000, pool)
    money = stranger if token else world.token
    for owner in (world.funder, stranger.address):
        supply = Call(money.address, "mint", [owner, 5_000, 0])
        approval = Call(money.address, "approve", [pool.address, 5_000, 0])
        assert world.execute(owner, supply, approval).error is None
    world.send(terms["funder"], "announce_close", pool, terms=terms)
    if office:
        world.send(
            world.admin,
            "register_entity",
            address=stranger.address,
            role="Hospital",
            profile_commitment=PROFILE,
        )
        world.send(world.admin, "begin_admin_transfer", new_admin=stranger.address)
    world.wait(CLOSE_NOTICE)
    if office == "admin":
        world.send(stranger.address, "accept_admin_transfer")
        world.send(stranger.address, "begin_admin_transfer", new_admin=world.successor)

    earning = world.terms(reward=campaign)
    for patient in (world.patient, stranger.address) if office else (world.patient,):
        world.send(patient, "add_consent", grantee=world.funder, terms=earning)
        request = world.request(patient=patient, campaign=campaign)
        assert world.send(world.funder, "request_access", request=request).result["decision"] == "Permit"
    everything = {"powers": GIVE | REVOKE | REFUSE, "expires_at": world.now + DAY}
    world.send(world.patient, "set_delegate", delegate=world.delegate, **everything)
    if office:
        world.send(world.patient, "set_delegate", delegate=stranger.address, **everything)
        for patient in (world.patient, world.neighbour):
            world.send(patient, "add_consent", grantee=stranger.address, terms=world.terms())
        world.send(stranger.address, "add_consent", grantee=world.researcher, terms=world.terms())
    world.give(**({} if token else {"reward": lure}), max_uses=2)
    owners = (pool.address, stranger.address, world.funder, world.patient, world.stranger)
    balances = {address_of("Ledger_balances", owner) for owner in owners if token}
    return Stage(world, stranger, pool, terms, campaign, lure, own_pool, balances)


# --- where strangers are called -----------------------------------------------------------------------------


class Door(NamedTuple):
    """A place where a stranger is called."""

    function: str
    """What somebody else calls."""
    entry_point: str
    """What the stranger is called for."""
    call: Callable[[Stage], tuple[int, Call]]
    """Who calls, and how."""
    like: str = ""
    """The function that has a door to the same room: where nothing else has happened yet, or since."""

    @property
    def is_token(self) -> bool:
        return self.entry_point in ("transfer_from", "balance_of", "transfer")

    def __str__(self) -> str:
        return f"{self.function} calls {self.entry_point}"


def a_consent(stage: Stage) -> dict[str, Any]:
    return {"grantee": stage.world.researcher, "terms": stage.world.terms(reward=stage.lure)}


def of_the_patient(stage: Stage) -> tuple[int, Call]:
    return stage.world.patient, stage.world.call("add_consent", **a_consent(stage))


def of_the_delegate(stage: Stage) -> tuple[int, Call]:
    world = stage.world
    return world.delegate, world.call("add_consent_for", patient=world.patient, **a_consent(stage))


def signed_by_the_patient(stage: Stage) -> tuple[int, Call]:
    world = stage.world
    message = consent_message(world, version=2, **a_consent(stage))
    return world.relayer, world.call("add_consent_by_sig", **message)


def signed_by_the_stranger(stage: Stage) -> tuple[int, Call]:
    world = stage.world
    message = {
        "patient": stage.stranger.address,
        "grantee": world.researcher,
        "terms": world.terms(),
        "nonce": 0,
        "deadline": world.now,
        "signature": [1, 2],
    }
    return world.relayer, world.call("add_consent_by_sig", **message)


def withdrawn_by_the_stranger(stage: Stage) -> tuple[int, Call]:
    world = stage.world
    message = {
        "patient": stage.stranger.address,
        "grantee": world.researcher,
        "purpose": HRESCH,
        "nonce": 0,
        "deadline": world.now,
        "signature": [1, 2],
    }
    return world.relayer, world.call("revoke_consent_by_sig", **message)


def a_request(stage: Stage) -> tuple[int, Call]:
    world = stage.world
    return world.researcher, world.call("request_access", request=world.request(campaign=stage.lure))


def a_batch(stage: Stage) -> tuple[int, Call]:
    world = stage.world
    requests = [world.request(patient=world.auditor), world.request(campaign=stage.lure)]
    return world.researcher, world.call("request_access_batch", requests=requests)


def a_deposit(stage: Stage) -> tuple[int, Call]:
    call = stage.world.call("deposit", stage.pool, terms=stage.campaign, amount=500)
    return stage.world.funder, call


def a_withdrawal(stage: Stage) -> tuple[int, Call]:
    world = stage.world
    return world.patient, world.call("withdraw", stage.pool, amount=400, recipient=world.patient)


DOORS = [
    Door("add_consent", "campaign", of_the_patient, like="add_consent_by_sig"),
    Door("add_consent_for", "campaign", of_the_delegate, like="add_consent_by_sig"),
    Door("add_consent_by_sig", "campaign", signed_by_the_patient),
    Door("add_consent_by_sig", "is_valid_signature", signed_by_the_stranger),
    Door("revoke_consent_by_sig", "is_valid_signature", withdrawn_by_the_stranger, "add_consent_by_sig"),
    Door("request_access", "accrue", a_request),
    Door("request_access_batch", "accrue", a_batch, like="request_access"),
    Door("deposit", "transfer_from", a_deposit),
    Door("deposit", "balance_of", a_deposit, like="deposit"),
    Door("withdraw", "transfer", a_withdrawal),
]


# --- what becomes of it -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """Everything that a transaction did."""

    storage: dict[int, dict[int, int]]
    """By contract, the cells that changed; of the stranger's own only the balances."""
    events: list[str]
    outer: list[int] | None = None
    """What the outer call answered, if it was made."""
    inner: tuple[bool, list[int]] | None = None
    """Whether the stranger's call succeeded, and its answer or panic, if it was made."""

    def beside(self, other: "Story") -> "Story | None":
        """Both, if they have nothing to do with each other: the outer call of one, the inner of the other."""
        if any(self.storage[address].keys() & other.storage[address].keys() for address in self.storage):
            return None
        storage = {address: cells | other.storage[address] for address, cells in self.storage.items()}
        return Story(storage, sorted(self.events + other.events), self.outer, other.inner)


class Play:
    """A stranger that is called at one door, and has one call to make."""

    def __init__(self, stage: Stage, door: Door, function: str) -> None:
        world, stranger, self.stage = stage.world, stage.stranger, stage
        self.sender, self.outer = door.call(stage)
        inner = stage.call_of(function)
        target = {"to": inner.to, "entry_point": selector(inner.function), "calldata": list(inner.calldata)}
        self.aim = world.call("aim", stranger, **target)
        self.attempt = world.call("attempt", stranger, **target)
        self.act = world.call("act", stranger, entry_point=selector(door.entry_point), act=felt("CALL_BACK"))

    def nested(self) -> Story:
        """The stranger makes its call when it is called."""
        return self._told(self.aim, self.act, self.outer)

    def outer_alone(self) -> Story:
        """The stranger does what it is called for, and nothing else."""
        return self._told_once(self.outer)

    def orders(self) -> Iterator[Story | None]:
        """One call after the other, whichever is first."""
        # Mostly they have nothing to do with each other: to know what each does is enough, and cheaper.
        yield self.outer_alone().beside(self._told_once(self.attempt))
        yield self._told(self.outer, self.attempt)
        yield self._told(self.attempt, self.outer)

    def _told_once(self, call: Call) -> Story:
        if (story := self.stage.told.get(key := str(call))) is None:
            story = self.stage.told[key] = self._told(call)
        return story

    def _told(self, *calls: Call) -> Story:
        """What becomes of these calls in one transaction, which must succeed."""
        stage = self.stage
        outcome = stage.world.simulate(self.sender, *calls)
        assert outcome.error is None, outcome.reason
        own = outcome.storage[stage.stranger.address]
        balances = {place: own[place] for place in stage.balances & own.keys()}
        events = [event for event in outcome.events if event.name != "CalledBack"]
        inner = [(e.data["success"], e.data["answer"]) for e in outcome.events if e.name == "CalledBack"]
        if self.attempt in calls:
            answer = outcome.results[calls.index(self.attempt)]
            inner.append(stage.stranger.abi.decode_result("attempt", answer))
        assert len(inner) <= 1
        return Story(
            outcome.storage | {stage.stranger.address: balances},
            sorted(map(str, events)),
            outcome.results[calls.index(self.outer)] if self.outer in calls else None,
            inner[0] if inner else None,
        )


def failure(code: str) -> tuple[bool, list[int]]:
    return False, [felt(code), felt("ENTRYPOINT_FAILED")]


def assert_harmless(play: Play, error: str | None) -> None:
    """The stranger's call fails with that error, and it is as if it had not been made; or it succeeds, and it
    is as if the two calls had been made one after the other."""
    nested = play.nested()
    assert nested.inner is not None, "the stranger was not called"
    if error is None:
        assert nested.inner[0], nested.inner
        assert any(nested == in_turn for in_turn in play.orders())
    else:
        assert nested == replace(play.outer_alone(), inner=failure(error))


EXCEPTIONS: dict[tuple[str, str], str] = {
    # The outer deposit is owed already and not yet there. It must not be covered by the inner one's money.
    ("deposit calls transfer_from", "deposit"): "POOL/SHORTFALL",
    # The nonce was burnt before anybody was called.
    ("add_consent_by_sig calls campaign", "add_consent_by_sig"): "CONSENT/BAD_NONCE",
    ("add_consent_by_sig calls campaign", "revoke_consent_by_sig"): "CONSENT/BAD_NONCE",
}
"""Where a call that the stranger may make fails, because of the one that it is made in."""


@pytest.fixture(scope="module")
def stages(chain: Chain) -> Callable[[bool, str | None], Stage]:
    """Each stage when it is first asked for."""
    return cache(lambda token, office: set_stage(chain, token=token, office=office))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("door", [door for door in DOORS if not door.like], ids=str)
def test_whoever_has_every_right(
    stages: Callable[[bool, str | None], Stage], door: Door, function: str
) -> None:
    """It may do in the middle of a call what it may do before and afterwards, and has no more of it."""
    stage = stages(door.is_token, "successor" if function == "accept_admin_transfer" else "admin")
    error = EXCEPTIONS.get((str(door), function))
    if function == "accrue" and door.is_token:
        error = "POOL/NOT_LOG"  # a token is nobody's MedSync
    assert_harmless(Play(stage, door, function), error)


@pytest.mark.parametrize("function", ["revoke_consent_for", "add_consent_for", "request_access", "withdraw"])
@pytest.mark.parametrize("door", [door for door in DOORS if door.like], ids=str)
def test_other_doors_to_the_same_room(
    stages: Callable[[bool, str | None], Stage], door: Door, function: str
) -> None:
    """Calls by the same lines of code, or with nothing written between them, with what could interfere with
    them most."""
    assert_harmless(Play(stages(door.is_token, "admin"), door, function), None)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("door", ["request_access calls accrue", "deposit calls transfer_from"])
def test_whoever_has_no_right(stages: Callable[[bool, str | None], Stage], door: str, function: str) -> None:
    """It is not taken for whom the call was made by, nor for MedSync: it gets a stranger's answer."""
    (there,) = (one for one in DOORS if str(one) == door)
    # No hand-over is under way on this stage.
    no_transfer = function == "accept_admin_transfer"
    error = "ENTITY/NO_TRANSFER" if no_transfer else RULES[function].error_of("contract")
    assert_harmless(Play(stages(there.is_token, None), there, function), error)


def test_every_door_is_known(stages: Callable[[bool, str | None], Stage]) -> None:
    """What contracts are seen to call, whatever they are asked to do, is what `DOORS` lists."""
    seen: dict[str, set[str]] = {function: set() for function in FUNCTIONS}
    expected: dict[str, set[str]] = {function: set() for function in FUNCTIONS}
    for door in DOORS:
        expected[door.function].add(door.entry_point)
    names = {selector(name): name for name in set().union(*expected.values())}
    stage, of_a_token = stages(False, "admin"), stages(True, "admin")
    calls = [(stage, stage.stranger.address, stage.call_of(function)) for function in FUNCTIONS]
    for door in DOORS:
        there = of_a_token if door.is_token else stage
        calls.append((there, *door.call(there)))
    for there, sender, call in calls:
        outcome = there.world.simulate(sender, call)
        ours = {there.world.medsync.address, there.pool.address, there.own_pool.address}
        seen[call.function] |= {names[point] for caller, _, point in outcome.outward if caller in ours}
    assert seen == expected

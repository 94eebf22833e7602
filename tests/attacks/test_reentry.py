"""Re-entry, everywhere: whoever is called calls back into every function there is.

MedSync and pools call strangers at the doors listed in `DOORS`: the account of who signed, and a pool's
token. Through them a stranger calls each function of both contracts, one time without any right, one time
with every right: as administrator or successor, or, since these are no entities, as hospital, grantee,
delegate with all powers, funder, spender, pool, patient and creditor in one. (Doors like another are tried
with some functions only.) What must come of it is one rule: **as if the two calls had been made one after the
other**, in one order or the other. Every storage cell, every event, both answers or errors are compared; what
is not so is in `EXCEPTIONS`, with the reason.

Functions are taken from the ABI, places from what the contracts are seen to call: a new one cannot be
forgotten. All of it is simulated on one stage, which stays as it is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

import pytest

from medsync import artifacts
from medsync.starknet.signer import public_key_of
from tests.harness.cells import address_of, is_pool_cell
from tests.harness.chain import Call, Chain
from tests.harness.driver import Abi, Contract, selector, sign
from tests.harness.roles import RULES
from tests.harness.snip12 import consent_message, draw_hash, revocation_message
from tests.harness.words import CLOSE_NOTICE, DAY, GIVE, HRESCH, REFUSE, REVOKE, VALID, felt
from tests.harness.world import PROFILE, World, id_of

FUNCTIONS = [
    function
    for name in artifacts.manifest()["contracts"]
    if name != "PrivateAnchor"  # It calls nobody, and shares nothing with the others.
    for function in sorted(Abi(artifacts.load(name).abi).operations())
]
HOLDER = 0x4E7
"""Private key of somebody who is paid without an account."""


# --- the stage ----------------------------------------------------------------------------------------------


@dataclass
class Stage:
    """A stranger's contract, everybody it could harm, and everything ready for everything."""

    world: World
    stranger: Contract
    """An account, or a token."""
    pool: Contract
    """Of the stranger's token if it is a token."""
    terms: dict[str, Any]
    """A campaign there whose notice is over: the stranger's own, if it may do anything."""
    campaign: dict[str, Any]
    """The funder's campaign there, of which the patient has earned."""
    spent: dict[str, Any]
    """A campaign that the stranger spends, if it may."""
    emergencies: dict[str, int]
    """Entries of the stranger's emergency access, and of the hospital's to the stranger."""
    balances: set[int]
    """The cells in which the stranger keeps balances, if it is a token."""
    told: dict[str, "Story"] = field(default_factory=dict)
    """What single calls do."""

    def call_of(self, function: str) -> Call:
        """A call of that function which the stranger may make if anybody may, and which interferes as much as
        it can."""
        world, stranger = self.world, self.stranger.address
        about = world.about()
        own = {name: about[name] for name in ("grantee", "purpose", "study")}
        patients = {"patient": world.patient, "grantee": world.auditor}
        consent = world.terms(expires_at=world.now + 5 * DAY)
        as_pool = {"terms": self.campaign | {"pool": stranger}}
        arguments: dict[str, Any] = {
            "register_entity": {"address": world.stranger, "role": "Auditor", "profile_commitment": PROFILE},
            "suspend_entity": {"address": world.researcher},
            "change_profile": {"profile_commitment": 2},
            "reinstate_entity": {"address": world.suspended},
            "begin_admin_transfer": {"new_admin": world.relayer},
            "announce_successor": {"successor": stranger},
            "create_pool": {"token": stranger, "salt": 5},
            "grant_budget": as_pool | {"accessor": world.funder, "uses": 1},
            "take_budget": as_pool | {"accessor": world.funder, "uses": None},
            "take_unsettled": as_pool | {"patient": world.patient, "grantee": world.funder},
            "take_custodian_unsettled": as_pool | {"accessor": world.funder},
            "add_consent": {"grantee": world.researcher, "terms": consent},
            "add_consent_for": patients | {"terms": consent},
            "add_consent_by_sig": consent_message(world, grantee=world.auditor),
            "revoke_consent": own,
            "revoke_consent_for": about,
            "revoke_consent_by_sig": revocation_message(world),
            "revoke_all": {"dismiss_delegates": True},
            "revoke_all_for": {"patient": world.patient},
            "request_consent": {
                "patient": world.patient,
                "terms": consent,
                "open_until": world.now + 1,
            },
            "refuse_consent": own,
            "refuse_consent_for": about,
            "refuse_purpose": {"purpose": HRESCH},
            "allow_purpose": {"purpose": HRESCH},
            "set_delegate": {"delegate": world.researcher, "powers": 7, "expires_at": world.now + DAY},
            "set_emergency_choice": {"choice": "Nobody"},
            "allow_emergency": {"hospital": world.hospital},
            "forbid_emergency": {"hospital": world.hospital},
            "request_access": {"request": world.request()},
            "request_access_batch": world.batch((world.patient, 1), (world.neighbour, 2)),
            "request_emergency_access": {"patient": world.patient, "categories": 1, "record": 0},
            "justify_emergency": {
                "patient": world.patient,
                "emergency": self.emergencies["justify"],
                "statement": 1,
            },
            "contest_emergency": {"hospital": world.hospital, "emergency": self.emergencies["contest"]},
            "state_deletion": {"patient": world.patient, "purpose": HRESCH, "study": 0, "statement": 1},
            "deposit": {"terms": self.terms, "amount": 1000},
            "increase_allowance": {"terms": self.terms, "accessor": world.partner, "uses": 1},
            "decrease_allowance": {"terms": self.terms, "accessor": world.partner, "uses": 1},
            "revoke_allowance": {"terms": self.terms, "accessor": world.partner},
            "announce_close": {"terms": self.terms},
            "close_campaign": {"terms": self.terms},
            "settle": {"patient": world.patient, "grantee": world.funder, "terms": self.campaign},
            "settle_custodian": {"terms": self.campaign, "accessor": world.funder},
            "withdraw": {"amount": 900, "recipient": world.stranger, "claims": []},
            "spend": {"terms": self.spent, "payee": ("Key", public_key_of(HOLDER))},
            "withdraw_by_key": self.draw(),
        }
        pools = dict.fromkeys(self.pool.abi.operations(), self.pool)
        return world.call(function, pools.get(function, world.medsync), **arguments.get(function, {}))

    def draw(self) -> dict[str, Any]:
        """The holder's signed draw of 100."""
        key, amount, recipient = public_key_of(HOLDER), 100, self.world.stranger
        signed = draw_hash(self.world, key, amount, recipient, nonce=0, pool=self.pool.address)
        r, s = sign(signed, HOLDER)
        return {"key": key, "amount": amount, "recipient": recipient, "signature_r": r, "signature_s": s}


def set_stage(chain: Chain, *, token: bool, office: str | None) -> Stage:
    """With a stranger that is a token, or else an account. It has no right; or it is the administrator
    (`admin`), or the successor who may accept (`successor`); or it has every other right (`entity`)."""
    world = World(chain)
    stranger = world.new_hostile_token() if token else world.new_puppet()
    world.puppets[stranger.address] = stranger
    pool = world.new_pool(stranger) if token else world.pool
    if not token:
        entry_point = selector("is_valid_signature")
        world.send(world.relayer, "answer", stranger, entry_point=entry_point, felts=[VALID])
    everything = office == "entity"
    here = {"pool": pool.address}
    campaign = world.campaign(**here, salt=1)
    terms = world.campaign(**here, funder=stranger.address if everything else world.funder, salt=2)
    spent = world.campaign(**here, spender=stranger.address if everything else world.partner, salt=3)
    for one in (campaign, terms, spent):
        world.fund(one, 5_000)
    world.allow(terms, world.partner, 2)
    money = stranger if token else world.token
    for owner in (world.funder, stranger.address):
        supply = Call(money.address, "mint", [owner, 5_000, 0])
        approval = Call(money.address, "approve", [pool.address, 5_000, 0])
        assert world.execute(owner, supply, approval).error is None
    world.send(terms["funder"], "announce_close", pool, terms=terms)
    if everything:
        is_pool_cell(world, stranger.address).write(value=1)
        world.send(
            world.admin,
            "register_entity",
            address=stranger.address,
            role="Hospital",
            profile_commitment=PROFILE,
        )
    elif office:
        world.send(world.admin, "begin_admin_transfer", new_admin=stranger.address)
    world.wait(CLOSE_NOTICE)
    if office == "admin":
        world.send(stranger.address, "accept_admin_transfer")
        world.send(stranger.address, "begin_admin_transfer", new_admin=world.successor)

    earning = {"grantee": world.funder, "terms": world.terms(reward=campaign)}
    for patient in (world.patient, stranger.address) if everything else (world.patient,):
        world.send(patient, "add_consent", **earning)
        for _ in range(2):
            request = world.request(patient=patient, campaign=id_of(campaign))
            receipt = world.send(world.funder, "request_access", request=request)
            assert receipt.result["decision"] == "Permit"
        world.send(world.relayer, "settle", pool, patient=patient, grantee=world.funder, terms=campaign)
    # One more, which nobody settled.
    world.send(world.funder, "request_access", request=world.request(campaign=id_of(campaign)))
    powers = {"powers": GIVE | REVOKE | REFUSE, "expires_at": world.now + DAY}
    world.send(world.patient, "set_delegate", delegate=world.delegate, **powers)
    emergencies = {"justify": 1, "contest": 1}
    payee = ("Key", public_key_of(HOLDER))
    world.send(spent["spender"], "spend", pool, terms=spent, payee=payee)
    if everything:
        world.send(world.patient, "set_delegate", delegate=stranger.address, **powers)
        for patient in (world.patient, world.neighbour):
            world.send(patient, "add_consent", grantee=stranger.address, terms=world.terms())
        world.send(stranger.address, "add_consent", grantee=world.researcher, terms=world.terms())
        broken = {"categories": 1, "record": 0}
        for who, hospital, patient in (
            ("justify", stranger.address, world.patient),
            ("contest", world.hospital, stranger.address),
        ):
            receipt = world.send(hospital, "request_emergency_access", patient=patient, **broken)
            assert receipt.result["decision"] == "Emergency"
            emergencies[who] = receipt.result["seq"]
    world.give(max_uses=2)
    owners = (pool.address, stranger.address, world.funder, world.patient, world.stranger)
    balances = {address_of("Ledger_balances", owner) for owner in owners if token}
    return Stage(world, stranger, pool, terms, campaign, spent, emergencies, balances)


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


def signed_by_the_stranger(stage: Stage) -> tuple[int, Call]:
    world = stage.world
    message = {
        "patient": stage.stranger.address,
        "grantee": world.researcher,
        "terms": world.terms(categories=1),
        "generation": 1,
        "counter": 1,
        "deadline": world.now,
        "signature": [1, 2],
    }
    return world.relayer, world.call("add_consent_by_sig", **message)


def withdrawn_by_the_stranger(stage: Stage) -> tuple[int, Call]:
    world = stage.world
    message = world.about(patient=stage.stranger.address) | {
        "generation": 1,
        "deadline": world.now,
        "signature": [1, 2],
    }
    return world.relayer, world.call("revoke_consent_by_sig", **message)


def a_deposit(stage: Stage) -> tuple[int, Call]:
    call = stage.world.call("deposit", stage.pool, terms=stage.campaign, amount=1000)
    return stage.world.funder, call


def a_withdrawal(stage: Stage) -> tuple[int, Call]:
    world = stage.world
    draw = {"amount": 400, "recipient": world.patient, "claims": []}
    return world.patient, world.call("withdraw", stage.pool, **draw)


def a_withdrawal_by_key(stage: Stage) -> tuple[int, Call]:
    return stage.world.relayer, stage.world.call("withdraw_by_key", stage.pool, **stage.draw())


DOORS = [
    Door("add_consent_by_sig", "is_valid_signature", signed_by_the_stranger),
    Door("revoke_consent_by_sig", "is_valid_signature", withdrawn_by_the_stranger, "add_consent_by_sig"),
    Door("deposit", "transfer_from", a_deposit),
    Door("deposit", "balance_of", a_deposit, like="deposit"),
    Door("withdraw", "transfer", a_withdrawal),
    Door("withdraw_by_key", "transfer", a_withdrawal_by_key, like="withdraw"),
]

OWN: dict[str, set[str]] = {
    "create_pool": {"constructor"},
    "deposit": {"grant_budget"},
    "increase_allowance": {"take_budget", "grant_budget"},
    "decrease_allowance": {"take_budget", "grant_budget"},
    "revoke_allowance": {"take_budget", "grant_budget"},
    "close_campaign": {"take_budget"},
    "settle": {"take_unsettled"},
    "settle_custodian": {"take_custodian_unsettled"},
}
"""What MedSync and the pools that it deployed call of each other: no strangers. (A consent that newly names a
campaign asks its pool; on this stage none does.)"""


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
}
"""Where a call that the stranger may make fails, because of the one that it is made in."""

OFFICES = {
    "accept_admin_transfer": "successor",
    **{name: "admin" for name, rule in RULES.items() if rule.error == "ENTITY/NOT_ADMIN"},
}
"""The office that a function is for; all others are for whoever has every other right."""


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
    stage = stages(door.is_token, OFFICES.get(function, "entity"))
    assert_harmless(Play(stage, door, function), EXCEPTIONS.get((str(door), function)))


@pytest.mark.parametrize("function", ["revoke_consent_for", "add_consent_for", "request_access", "withdraw"])
@pytest.mark.parametrize("door", [door for door in DOORS if door.like], ids=str)
def test_other_doors_to_the_same_room(
    stages: Callable[[bool, str | None], Stage], door: Door, function: str
) -> None:
    """Calls by the same lines of code, or with nothing written between them, with what could interfere with
    them most."""
    assert_harmless(Play(stages(door.is_token, "entity"), door, function), None)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    "door", ["add_consent_by_sig calls is_valid_signature", "deposit calls transfer_from"]
)
def test_whoever_has_no_right(stages: Callable[[bool, str | None], Stage], door: str, function: str) -> None:
    """It is not taken for whom the call was made by, nor for MedSync or a pool: it gets a stranger's
    answer."""
    (there,) = (one for one in DOORS if str(one) == door)
    # No hand-over is under way on this stage.
    no_transfer = function == "accept_admin_transfer"
    error = "ENTITY/NO_TRANSFER" if no_transfer else RULES[function].error_of("contract")
    if (door, function) == ("add_consent_by_sig calls is_valid_signature", "revoke_consent"):
        # It is the patient here, of the very consent that it signs.
        error = None
    assert_harmless(Play(stages(there.is_token, None), there, function), error)


def test_every_door_is_known(stages: Callable[[bool, str | None], Stage]) -> None:
    """What contracts are seen to call, whatever they are asked to do, is what `DOORS` and `OWN` list."""
    seen: dict[str, set[str]] = {function: set() for function in FUNCTIONS}
    expected: dict[str, set[str]] = {function: set(OWN.get(function, ())) for function in FUNCTIONS}
    for door in DOORS:
        expected[door.function].add(door.entry_point)
    names = {selector(name): name for name in set().union(*expected.values())}
    calls = []
    for function in FUNCTIONS:
        for token in (False, True):
            stage = stages(token, OFFICES.get(function, "entity"))
            calls.append((stage, stage.stranger.address, stage.call_of(function)))
    for door in DOORS:
        there = stages(door.is_token, "entity")
        calls.append((there, *door.call(there)))
    for there, sender, call in calls:
        outcome = there.world.simulate(sender, call)
        assert outcome.error is None, (call.function, outcome.error)
        ours = {there.world.medsync.address, there.pool.address}
        seen[call.function] |= {names[point] for caller, _, point in outcome.outward if caller in ours}
    assert seen == expected

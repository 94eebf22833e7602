"""Every kind of bad token, and every operation of a pool that moves money: it fails and changes nothing, or
it is booked as with an honest token.

A pool believes a token in one thing, because it cannot do otherwise: what it says it holds. What calls back
is another story (`test_reentry.py`, `test_hostile_tokens.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from tests.harness.chain import Call, Chain, Outcome
from tests.harness.driver import Contract, selector
from tests.harness.words import DAY, felt
from tests.harness.world import World, id_of

TRANSFER, TRANSFER_FROM, BALANCE_OF = selector("transfer"), selector("transfer_from"), selector("balance_of")

Setting = list[tuple[str, dict[str, Any]]]
"""What the token is told, call by call."""


def says(*felts: int, of: tuple[int, ...] = (TRANSFER, TRANSFER_FROM)) -> Setting:
    return [("answer", {"entry_point": entry_point, "felts": list(felts)}) for entry_point in of]


def acts(act: str) -> Setting:
    return [("act", {"entry_point": one, "act": felt(act)}) for one in (TRANSFER, TRANSFER_FROM)]


def takes_up(habit: str, argument: int = 0) -> Setting:
    return [("take_up", {"habit": felt(habit), "argument": argument})]


class Kind(NamedTuple):
    """A kind of bad token: what it does, and the errors that a deposit of 1,000 and a withdrawal of 400 end
    with; None where they are booked as with an honest token."""

    setting: Callable[["Scene"], Setting]
    deposit: str | None
    withdraw: str | None


NO_ANSWER = "Returned data too short"

KINDS: dict[str, Kind] = {
    "returns false": Kind(lambda scene: says(0), "POOL/TRANSFER_FAILED", "POOL/TRANSFER_FAILED"),
    "returns false, and more": Kind(lambda scene: says(0, 1), "POOL/TRANSFER_FAILED", "POOL/TRANSFER_FAILED"),
    "returns nothing": Kind(lambda scene: says(), NO_ANSWER, NO_ANSWER),
    "panics": Kind(lambda scene: acts("PANIC"), "MOCK/PANIC", "MOCK/PANIC"),
    "takes a small fee": Kind(lambda scene: takes_up("FEE", 1), "POOL/SHORTFALL", None),
    "takes everything as a fee": Kind(lambda scene: takes_up("FEE", 400), "POOL/SHORTFALL", None),
    "moves nothing": Kind(lambda scene: takes_up("STAND_STILL"), "POOL/SHORTFALL", None),
    "blocks the pool": Kind(
        lambda scene: takes_up("BLOCK", scene.pool.address), "TOKEN/BLOCKED", "TOKEN/BLOCKED"
    ),
    "blocks the funder": Kind(lambda scene: takes_up("BLOCK", scene.funder.address), "TOKEN/BLOCKED", None),
    "blocks the recipient": Kind(
        lambda scene: takes_up("BLOCK", scene.world.stranger), None, "TOKEN/BLOCKED"
    ),
    "says that the pool has nothing": Kind(
        lambda scene: says(0, 0, of=(BALANCE_OF,)), "POOL/SHORTFALL", None
    ),
    "says that one unit is missing": Kind(
        lambda scene: says(3999, 0, of=(BALANCE_OF,)), "POOL/SHORTFALL", None
    ),
    "says half a balance": Kind(lambda scene: says(4000, of=(BALANCE_OF,)), NO_ANSWER, None),
    "says no balance": Kind(lambda scene: says(of=(BALANCE_OF,)), NO_ANSWER, None),
    "says a balance whose halves are too wide": Kind(
        lambda scene: says(2**128, 0, of=(BALANCE_OF,)), NO_ANSWER, None
    ),
    "says a balance whose upper half is too wide": Kind(
        lambda scene: says(4000, 2**128, of=(BALANCE_OF,)), NO_ANSWER, None
    ),
    "was emptied by its owner": Kind(
        lambda scene: [("seize", {"account": scene.pool.address, "amount": 3000})],
        "POOL/SHORTFALL",
        "TOKEN/BALANCE",
    ),
    # What is no reason to refuse: the money is there, or the token says so and only its holders lose.
    "returns a truth of two felts": Kind(lambda scene: says(1, 0), None, None),
    "returns a truth that is wide": Kind(lambda scene: says(2**251), None, None),
    "says that the pool has everything": Kind(
        lambda scene: [*says(2**128 - 1, 2**128 - 1, of=(BALANCE_OF,)), *takes_up("STAND_STILL")], None, None
    ),
    "mints to the recipient": Kind(lambda scene: takes_up("CONJURE"), None, None),
    "mints to itself": Kind(lambda scene: takes_up("MINT", 10**6), None, None),
    "calls back, to draw what it can": Kind(
        lambda scene: [
            ("aim", {"to": scene.pool.address, "entry_point": selector("withdraw"), "calldata": [1, 1, 0]}),
            *acts("CALL_BACK"),
        ],
        None,
        None,
    ),
}


@dataclass
class Scene:
    """A pool of a token that has been honest so far, which owes 3,000: 1,000 in a campaign that may be
    closed, the rest in another and, of it, 900 to the patient. Funder and patient are contracts, which
    survive the failure of their calls. Nothing is done here, all is simulated."""

    world: World
    token: Contract
    pool: Contract
    funder: Contract
    patient: Contract
    terms: dict[str, Any]
    """The campaign that is open."""
    closing: dict[str, Any]
    """The one that may be closed."""
    told: dict[str, Outcome] = field(default_factory=dict)
    """What was simulated before."""

    def calls(self, setting: Setting) -> list[Call]:
        return [self.world.call(function, self.token, **arguments) for function, arguments in setting]

    def attempt(self, operation: str) -> Call:
        """The operation, by a contract that survives its failure."""
        world, pool = self.world, self.pool
        call = {
            "deposit": world.call("deposit", pool, terms=self.terms, amount=1000),
            "withdraw": world.call("withdraw", pool, amount=400, recipient=world.stranger, claims=[]),
            "withdraw all": world.call("withdraw", pool, amount=900, recipient=world.stranger, claims=[]),
            "close": world.call("close_campaign", pool, terms=self.closing),
        }[operation]
        caller = self.patient if operation.startswith("withdraw") else self.funder
        return world.call(
            "attempt",
            caller,
            to=call.to,
            entry_point=selector(call.function),
            calldata=list(call.calldata),
        )

    def simulate(self, *calls: Call) -> Outcome:
        """What these calls do, in one transaction."""
        key = str(calls)
        if key not in self.told:
            self.told[key] = self.world.simulate(self.world.relayer, *calls)
            assert self.told[key].error is None, self.told[key].reason
        return self.told[key]

    def answer(self, outcome: Outcome, place: int = -1) -> tuple[bool, list[int]]:
        """What an attempt came to."""
        success, answer = self.funder.abi.decode_result("attempt", outcome.results[place])
        return success, answer


@pytest.fixture(scope="module")
def scene(chain: Chain) -> Scene:
    world = World(chain)
    token, funder, patient = world.new_hostile_token(), world.new_puppet(), world.new_puppet()
    pool = world.new_pool(token)
    terms, closing = (
        world.campaign(pool=pool.address, funder=funder.address, expires_at=world.now + days * DAY, salt=days)
        for days in (9, 1)
    )
    world.send(
        world.admin, "register_entity", address=funder.address, role="Researcher", profile_commitment=1
    )
    for one, amount in ((closing, 1000), (terms, 2000)):
        world.fund(one, amount)
    earning = world.terms(reward=terms)
    world.send(patient.address, "add_consent", grantee=funder.address, terms=earning)
    request = world.request(patient=patient.address, campaign=id_of(terms))
    assert world.send(funder.address, "request_access", request=request).result["decision"] == "Permit"
    world.send(world.relayer, "settle", pool, patient=patient.address, grantee=funder.address, terms=terms)
    outcome = world.execute(
        funder.address,
        Call(token.address, "mint", [funder.address, 10_000, 0]),
        Call(token.address, "approve", [pool.address, 10_000, 0]),
    )
    assert outcome.error is None
    world.wait(DAY)
    return Scene(world, token, pool, funder, patient, terms, closing)


@pytest.mark.parametrize("operation", ["deposit", "withdraw", "close"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_token(scene: Scene, kind: str, operation: str) -> None:
    """An operation fails, with not one cell changed of any contract, the token's own among them; or the pool
    books exactly what it books with an honest token. Closing asks no token."""
    bad = KINDS[kind]
    setting = scene.calls(bad.setting(scene))
    error = None if operation == "close" else getattr(bad, operation)
    outcome = scene.simulate(*setting, scene.attempt(operation))
    if error is None:
        honest = scene.simulate(scene.attempt(operation))
        assert scene.answer(outcome) == scene.answer(honest) == (True, [])
        assert [event for event in outcome.events if event.name != "CalledBack"] == honest.events
        for books in (scene.pool.address, scene.world.medsync.address):
            assert outcome.storage[books] == honest.storage[books]
        assert outcome.storage[scene.pool.address]
    else:
        success, (code, *_) = scene.answer(outcome)
        assert (success, code) == (False, felt(error))
        assert outcome.events == []
        assert outcome.storage == scene.simulate(*setting).storage


MENDABLE = [kind for kind, bad in KINDS.items() if bad.deposit and kind != "was emptied by its owner"]


@pytest.mark.parametrize("kind", MENDABLE)
def test_a_token_that_is_bad_first_and_honest_later(scene: Scene, kind: str) -> None:
    """What could not be deposited is not missed: as soon as the token is honest, everything can be drawn and
    deposited, as if nothing had happened."""
    setting, mend = scene.calls(KINDS[kind].setting(scene)), scene.calls([("mend", {})])
    rest = (scene.attempt("withdraw all"), scene.attempt("deposit"))
    outcome = scene.simulate(*setting, scene.attempt("deposit"), *mend, *rest)
    honest = scene.simulate(*rest)
    assert scene.answer(outcome, len(setting))[0] is False
    assert scene.answer(outcome, -2) == scene.answer(outcome, -1) == (True, [])
    assert outcome.events == honest.events
    assert outcome.storage[scene.pool.address] == honest.storage[scene.pool.address]


def test_a_token_that_turns_bad_by_itself(scene: Scene) -> None:
    """Honest once, it moves nothing afterwards: the first deposit stands, the second never was."""
    turning = scene.calls(takes_up("TURN", 1))
    deposit = scene.attempt("deposit")
    outcome = scene.simulate(*turning, deposit, deposit)
    assert scene.answer(outcome, -2) == (True, [])
    assert scene.answer(outcome) == (False, [felt("POOL/SHORTFALL"), felt("ENTRYPOINT_FAILED")])
    once = scene.simulate(deposit)
    assert outcome.events == once.events
    assert outcome.storage[scene.pool.address] == once.storage[scene.pool.address]


def test_a_token_that_claims_what_it_did_not_deliver(scene: Scene) -> None:
    """The one lie that a pool believes: the transfer succeeded, and the balance is there. Then the pool owes
    more than it holds, and who draws last finds it empty; but nothing of that token is worth anything, and no
    pool of another token owes for it."""
    world, pool = scene.world, scene.pool
    lie = scene.calls([*takes_up("STAND_STILL"), *says(4000, 0, of=(BALANCE_OF,))])
    truth = scene.calls([("mend", {}), ("seize", {"account": pool.address, "amount": 2500})])
    balance = world.call("balance_of", scene.token, account=pool.address)
    owed = world.call("liabilities", pool)
    outcome = scene.simulate(
        *lie,
        scene.attempt("deposit"),
        *truth,
        scene.attempt("withdraw"),
        balance,
        owed,
        scene.attempt("withdraw"),
    )
    assert outcome.results[-3:-1] == [[100, 0], [3600]]
    assert scene.answer(outcome, -4) == (True, [])
    assert scene.answer(outcome)[1][0] == felt("TOKEN/BALANCE")
    assert not outcome.storage[world.pool.address]

"""Stories of tokens that call back, charge or block: whatever they do, a pool's own books stay true or
nothing happened. Every kind against every operation is in `test_bad_tokens.py`, every call back in
`test_reentry.py`."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.attacks.books import Books
from tests.harness.chain import Call
from tests.harness.driver import Contract, selector
from tests.harness.words import CLOSE_NOTICE, DAY, HRESCH, felt
from tests.harness.world import World, assert_refused, id_of

TRANSFER, TRANSFER_FROM, BALANCE_OF = selector("transfer"), selector("transfer_from"), selector("balance_of")


@dataclass
class Scene:
    """A pool of a token that has been honest so far: 3,000 in a campaign, of which 900 are already the
    patient's."""

    world: World
    token: Contract
    pool: Contract
    terms: dict[str, Any]

    def act(self, entry_point: int, act: str) -> None:
        self.world.send(self.world.relayer, "act", self.token, entry_point=entry_point, act=felt(act))

    def take_up(self, habit: str, argument: int = 0) -> None:
        self.world.send(self.world.relayer, "take_up", self.token, habit=felt(habit), argument=argument)

    def call_back(self, entry_point: int, call: Call) -> None:
        """From now on the token makes this call, as itself, whenever that entry point of its is called."""
        self.world.send(
            self.world.relayer,
            "aim",
            self.token,
            to=call.to,
            entry_point=selector(call.function),
            calldata=list(call.calldata),
        )
        self.act(entry_point, "CALL_BACK")

    def books(self) -> dict[str, Any]:
        world = self.world
        state = {
            "campaign": world.read("campaign", self.pool, terms=self.terms),
            "liabilities": world.read("liabilities", self.pool),
            "budget": world.read("budget", campaign=id_of(self.terms), accessor=world.funder),
        }
        for who in (world.funder, world.patient, world.hospital, world.stranger, self.token.address):
            for view in ("claimable", "withdrawn", "accumulated"):
                state[f"{view} {who:#x}"] = world.read(view, self.pool, owner=who)
            state[f"balance {who:#x}"] = self.balance(who)
        return state | {"balance": self.balance(self.pool.address)}

    def balance(self, account: int) -> int:
        """As the token says it now, read raw: it may say anything."""
        view = {
            "contract_address": hex(self.token.address),
            "entry_point_selector": hex(BALANCE_OF),
            "calldata": [hex(account)],
        }
        low, high = self.world.chain.node.call("starknet_call", request=view, block_id="latest")
        return int(low, 16) + (int(high, 16) << 128)

    def deposit(self, amount: int = 1000) -> Call:
        return self.world.call("deposit", self.pool, terms=self.terms, amount=amount)

    def withdraw(self, amount: int = 400) -> Call:
        return self.world.call("withdraw", self.pool, amount=amount, recipient=self.world.stranger, claims=[])

    def close(self) -> Call:
        return self.world.call("close_campaign", self.pool, terms=self.terms)

    def assert_nothing_happens(self, sender: int, call: Call, error: str) -> None:
        """The call fails with that error and every book is as before; also when its caller survives the
        failure."""
        before = self.books()
        assert_refused(self.world.execute(sender, call), error)
        assert self.books() == before

    def assert_solvent(self, *more: dict[str, Any]) -> None:
        """What is owed, by these and the scene's campaign and to everybody, is what the books say, and is
        there."""
        world = self.world
        people = (world.funder, world.patient, world.hospital, world.stranger, self.token.address)
        campaigns = [self.terms, *more]
        patients, accessors = (world.patient, self.token.address), (world.funder, self.token.address)
        Books(world, self.pool, self.token, campaigns, patients, accessors, people).check()


@pytest.fixture
def scene(world: World) -> Scene:
    token = world.new_hostile_token()
    pool = world.new_pool(token)
    terms = world.campaign(pool=pool.address, expires_at=world.now + DAY)
    world.fund(terms, 3000)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    assert world.ask(world.funder, campaign=id_of(terms)).result["decision"] == "Permit"
    world.send(world.relayer, "settle", pool, patient=world.patient, grantee=world.funder, terms=terms)
    world.send(world.relayer, "settle_custodian", pool, terms=terms, accessor=world.funder)
    outcome = world.execute(
        world.funder,
        Call(token.address, "mint", [world.funder, 10_000, 0]),
        Call(token.address, "approve", [pool.address, 10_000, 0]),
    )
    assert outcome.error is None
    return Scene(world, token, pool, terms)


# --- deposit ------------------------------------------------------------------------------------------------


def test_a_fee_can_be_made_good_by_a_donation(scene: Scene) -> None:
    """The pool asks for solvency, not for the exact amount: whoever pays the fee, the books stay covered."""
    scene.take_up("FEE", 10)
    scene.world.send(scene.world.stranger, "mint", scene.token, recipient=scene.pool.address, amount=10)
    outcome = scene.world.execute(scene.world.funder, scene.deposit())
    assert outcome.error is None, outcome.reason
    scene.assert_solvent()


# --- withdraw -----------------------------------------------------------------------------------------------


def test_who_is_blocked_draws_to_another_address(scene: Scene) -> None:
    """A token that blocks the patient cannot block the patient's credit."""
    scene.take_up("BLOCK", scene.world.patient)
    to_itself = scene.world.call("withdraw", scene.pool, amount=400, recipient=scene.world.patient, claims=[])
    scene.assert_nothing_happens(scene.world.patient, to_itself, "TOKEN/BLOCKED")
    assert scene.world.execute(scene.world.patient, scene.withdraw(900)).error is None
    assert scene.balance(scene.world.stranger) == 900


@pytest.mark.parametrize("habit", ["FEE", "STAND_STILL", "CONJURE"])
def test_a_token_that_keeps_what_was_drawn(scene: Scene, habit: str) -> None:
    """It can rob its own holders; it cannot make the pool owe anyone more, or anyone else less."""
    before = scene.books()
    scene.take_up(habit, 400)
    outcome = scene.world.execute(scene.world.patient, scene.withdraw(400))
    assert outcome.error is None, outcome.reason
    after = scene.books()
    patient = f"{scene.world.patient:#x}"
    changed = {key for key in before if before[key] != after[key]} - {
        key for key in before if key.startswith("balance")
    }
    assert changed == {"liabilities", f"claimable {patient}", f"withdrawn {patient}"}
    scene.assert_solvent()


# --- close_campaign, settle ---------------------------------------------------------------------------------


def test_closing_and_settling_ask_no_token(scene: Scene) -> None:
    """A token that does nothing but panic holds up neither an access nor a settlement nor the end of a
    campaign."""
    for entry_point in (TRANSFER, TRANSFER_FROM, BALANCE_OF):
        scene.act(entry_point, "PANIC")
    assert scene.world.ask(scene.world.funder, campaign=id_of(scene.terms)).result["decision"] == "Permit"
    settle = {"patient": scene.world.patient, "grantee": scene.world.funder, "terms": scene.terms}
    assert scene.world.send(scene.world.stranger, "settle", scene.pool, **settle).result == 1
    scene.world.wait(DAY)
    assert scene.world.execute(scene.world.funder, scene.close()).error is None
    assert scene.world.read("claimable", scene.pool, owner=scene.world.funder) == 1000


def test_a_patient_can_revoke_whatever_the_token_does(scene: Scene) -> None:
    for entry_point in (TRANSFER, TRANSFER_FROM, BALANCE_OF):
        scene.act(entry_point, "PANIC")
    world = scene.world
    world.send(world.patient, "revoke_consent", grantee=world.funder, purpose=HRESCH, study=0)
    world.send(world.patient, "revoke_all", dismiss_delegates=True)


# --- re-entry -----------------------------------------------------------------------------------------------


def called_back(outcome: Any) -> list[tuple[bool, list[int]]]:
    """What became of the token's calls back."""
    return [
        (event.data["success"], event.data["answer"])
        for event in outcome.events
        if event.name == "CalledBack"
    ]


def test_a_withdrawal_cannot_be_drawn_twice(scene: Scene) -> None:
    """The classic: the token, an owner of credit itself, calls `withdraw` again while it is being paid."""
    world = scene.world
    terms = token_as_creditor(scene)
    drain = world.call("withdraw", scene.pool, amount=900, recipient=world.stranger, claims=[])
    scene.call_back(TRANSFER, drain)
    outcome = world.execute(scene.token.address, drain)
    assert outcome.error is None, outcome.reason
    assert called_back(outcome) == [(False, [felt("POOL/INSUFFICIENT_CREDIT"), felt("ENTRYPOINT_FAILED")])]
    assert scene.balance(world.stranger) == 900
    assert world.read("claimable", scene.pool, owner=scene.token.address) == 0
    assert world.read("withdrawn", scene.pool, owner=scene.token.address) == 900
    scene.assert_solvent(terms)


def test_a_token_draws_nothing_of_anothers_withdrawal(scene: Scene) -> None:
    """It has no credit: its call fails, the patient's withdrawal stands."""
    world = scene.world
    scene.call_back(
        TRANSFER, world.call("withdraw", scene.pool, amount=1, recipient=world.stranger, claims=[])
    )
    outcome = world.execute(world.patient, scene.withdraw(400))
    assert outcome.error is None
    assert called_back(outcome) == [(False, [felt("POOL/INSUFFICIENT_CREDIT"), felt("ENTRYPOINT_FAILED")])]
    assert scene.balance(world.stranger) == 400
    scene.assert_solvent()


def token_as_creditor(scene: Scene) -> dict[str, Any]:
    """A campaign under which the token itself, a patient, has earned 900."""
    world = scene.world
    terms = scene.terms | {"salt": 2}
    world.fund(terms, 1000)
    consent = world.call("add_consent", grantee=world.funder, terms=world.terms(reward=terms))
    world.puppets[scene.token.address] = scene.token
    assert world.execute(scene.token.address, consent).error is None
    request = world.request(patient=scene.token.address, campaign=id_of(terms))
    assert world.send(world.funder, "request_access", request=request).result["decision"] == "Permit"
    earned = {"patient": scene.token.address, "grantee": world.funder, "terms": terms}
    world.send(world.relayer, "settle", scene.pool, **earned)
    assert world.read("claimable", scene.pool, owner=scene.token.address) == 900
    return terms


def test_a_withdrawal_within_a_deposit(scene: Scene) -> None:
    """The books are read again before they are compared: what left during the deposit is no longer owed."""
    world = scene.world
    terms = token_as_creditor(scene)
    approve = world.call("approve", scene.token, spender=scene.pool.address, amount=1000)
    assert world.execute(world.funder, approve).error is None
    drain = world.call("withdraw", scene.pool, amount=900, recipient=world.stranger, claims=[])
    scene.call_back(TRANSFER_FROM, drain)
    outcome = world.execute(world.funder, scene.deposit())
    assert outcome.error is None, outcome.reason
    assert called_back(outcome) == [(True, [])]
    assert scene.balance(world.stranger) == 900
    assert world.read("claimable", scene.pool, owner=scene.token.address) == 0
    scene.assert_solvent(terms)


def token_as_funder(scene: Scene) -> dict[str, Any]:
    """A campaign of the token itself, and the token's own money approved for it."""
    world = scene.world
    terms = scene.terms | {"funder": scene.token.address, "salt": 3}
    world.send(world.relayer, "mint", scene.token, recipient=scene.token.address, amount=1000)
    world.puppets[scene.token.address] = scene.token
    approve = world.call("approve", scene.token, spender=scene.pool.address, amount=1000)
    assert world.execute(scene.token.address, approve).error is None
    return terms


def test_a_deposit_within_a_deposit_is_counted_once_each(scene: Scene) -> None:
    """A before-and-after difference would credit the inner one twice; books written first and compared last
    do not."""
    world = scene.world
    terms = token_as_funder(scene)
    # Called back when the outer money has arrived and the pool asks for its balance.
    scene.call_back(BALANCE_OF, world.call("deposit", scene.pool, terms=terms, amount=1000))
    before = world.read("liabilities", scene.pool)
    outcome = world.execute(world.funder, scene.deposit())
    assert outcome.error is None, outcome.reason
    assert called_back(outcome) == [(True, [])]
    assert world.read("campaign", scene.pool, terms=terms)["granted"] == 1
    assert world.read("campaign", scene.pool, terms=scene.terms)["granted"] == 4
    assert world.read("liabilities", scene.pool) == before + 2000
    assert scene.balance(scene.pool.address) == before + 2000
    scene.assert_solvent(terms)


def test_a_deposit_within_a_deposit_pays_for_neither(scene: Scene) -> None:
    """The token moves nothing: the inner deposit fails on the outer one's debt already, and both are gone."""
    world = scene.world
    terms = token_as_funder(scene)
    scene.call_back(TRANSFER_FROM, world.call("deposit", scene.pool, terms=terms, amount=1000))
    scene.take_up("STAND_STILL")
    scene.assert_nothing_happens(world.funder, scene.deposit(), "POOL/SHORTFALL")
    assert world.read("campaign", scene.pool, terms=terms)["status"] == "None"


def test_an_inner_deposit_cannot_lean_on_the_outer_ones_promise(scene: Scene) -> None:
    """During the outer transfer the pool owes more than it holds: an inner deposit that would only be covered
    once the outer money is there is refused, though it would have been fine a moment later."""
    world = scene.world
    terms = token_as_funder(scene)
    scene.call_back(TRANSFER_FROM, world.call("deposit", scene.pool, terms=terms, amount=1000))
    outcome = world.execute(world.funder, scene.deposit())
    assert outcome.error is None, outcome.reason
    assert called_back(outcome) == [(False, [felt("POOL/SHORTFALL"), felt("ENTRYPOINT_FAILED")])]
    assert world.read("campaign", scene.pool, terms=terms)["status"] == "None"
    scene.assert_solvent()


@pytest.mark.parametrize("arrives", [False, True])
def test_money_that_is_spent_before_it_arrives(scene: Scene, arrives: bool) -> None:
    """The token, a researcher too, asks for data in the middle of the deposit that is to pay for it. The uses
    are not there yet: it is refused, whether or not the money comes; and if it does not come, neither request
    nor deposit ever was, also for who caught the failure."""
    world = scene.world
    terms = token_as_funder(scene)
    world.send(
        world.admin, "register_entity", address=scene.token.address, role="Researcher", profile_commitment=1
    )
    first = world.call("deposit", scene.pool, terms=terms, amount=1000)
    assert world.execute(scene.token.address, first).error is None
    world.give(scene.token.address, reward=terms)
    request = world.call("request_access", request=world.request(campaign=id_of(terms)))
    assert world.execute(scene.token.address, request).error is None
    world.send(world.relayer, "mint", scene.token, recipient=scene.token.address, amount=1000)
    approve = world.call("approve", scene.token, spender=scene.pool.address, amount=1000)
    assert world.execute(scene.token.address, approve).error is None

    before = scene.books()
    scene.call_back(TRANSFER_FROM, request)
    if arrives:
        outcome = world.execute(scene.token.address, first)
        assert outcome.error is None, outcome.reason
        (entry,) = (event for event in outcome.events if event.name == "AccessLogged")
        assert entry.data["reason"] == "RewardUnfunded"
        assert world.read("budget", campaign=id_of(terms), accessor=scene.token.address)["left"] == 1
        scene.assert_solvent(terms)
        return
    scene.take_up("STAND_STILL")
    attempt = world.call(
        "attempt",
        scene.token,
        to=first.to,
        entry_point=selector(first.function),
        calldata=list(first.calldata),
    )
    outcome = world.execute(world.relayer, attempt)
    assert outcome.error is None
    assert outcome.results[0][0] == 0
    assert outcome.events == []
    assert not outcome.cells[scene.pool.address] + outcome.cells[world.medsync.address]
    assert scene.books() == before


@pytest.mark.parametrize("arrives", [False, True])
def test_a_spender_that_spends_before_the_money_arrives(scene: Scene, arrives: bool) -> None:
    """A campaign with a spender is written before its money comes, so its spender, the token, can spend in
    between: but then the deposit's last check still demands the money, or all of it never was."""
    world = scene.world
    terms = token_as_funder(scene) | {"spender": scene.token.address}
    spend = {"terms": terms, "payee": ("Account", world.stranger)}
    scene.call_back(TRANSFER_FROM, world.call("spend", scene.pool, **spend))
    deposit = world.call("deposit", scene.pool, terms=terms, amount=1000)
    if not arrives:
        scene.take_up("STAND_STILL")
        scene.assert_nothing_happens(scene.token.address, deposit, "POOL/SHORTFALL")
        return
    outcome = world.execute(scene.token.address, deposit)
    assert outcome.error is None, outcome.reason
    assert called_back(outcome) == [(True, [])]
    assert world.read("claimable", scene.pool, owner=world.stranger) == 900
    scene.assert_solvent(terms)


def test_a_campaign_closed_during_its_own_deposit(scene: Scene) -> None:
    """Its notice is over, so the funder could close it; but a deposit takes the notice back before it asks
    the token for anything, and nothing can be closed in the middle of it."""
    world = scene.world
    terms = token_as_funder(scene) | {"expires_at": world.now + 30 * DAY}
    world.send(world.relayer, "mint", scene.token, recipient=scene.token.address, amount=1000)
    approve = world.call("approve", scene.token, spender=scene.pool.address, amount=2000)
    deposit = world.call("deposit", scene.pool, terms=terms, amount=1000)
    announce = world.call("announce_close", scene.pool, terms=terms)
    assert world.execute(scene.token.address, approve, deposit, announce).error is None
    world.wait(CLOSE_NOTICE)
    close = world.call("close_campaign", scene.pool, terms=terms)
    assert world.simulate(scene.token.address, close).error is None
    scene.call_back(TRANSFER_FROM, close)
    outcome = world.execute(scene.token.address, deposit)
    assert outcome.error is None, outcome.reason
    assert called_back(outcome) == [(False, [felt("POOL/CLOSE_TOO_EARLY"), felt("ENTRYPOINT_FAILED")])]
    assert world.read("campaign", scene.pool, terms=terms)["status"] == "Open"
    scene.assert_solvent(terms)


def test_a_caller_that_survives_a_failed_deposit_finds_nothing_changed(scene: Scene) -> None:
    """The transaction succeeds, the deposit inside it does not: not one cell of the pool may differ."""
    world = scene.world
    attacker = world.new_puppet()
    terms = scene.terms | {"funder": attacker.address, "salt": 4}
    scene.take_up("STAND_STILL")
    deposit = world.call("deposit", scene.pool, terms=terms, amount=1000)
    attempt = world.call(
        "attempt",
        attacker,
        to=deposit.to,
        entry_point=selector(deposit.function),
        calldata=list(deposit.calldata),
    )
    world.execute(
        world.relayer,
        Call(scene.token.address, "mint", [attacker.address, 1000, 0]),
    )
    world.execute(
        attacker.address, world.call("approve", scene.token, spender=scene.pool.address, amount=1000)
    )
    before = scene.books()
    outcome = world.execute(world.stranger, attempt)
    assert outcome.error is None
    assert attacker.abi.decode_result("attempt", outcome.results[0]) == (
        False,
        [felt("POOL/SHORTFALL"), felt("ENTRYPOINT_FAILED")],
    )
    assert outcome.events == []
    assert outcome.cells[scene.pool.address] == 0
    assert scene.books() == before

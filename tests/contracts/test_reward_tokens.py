"""What a pool makes of a token that does not do as it was told: nothing is credited that is not there, and
what could not be paid out stays a credit. More such tokens are in `tests/attacks`."""

from typing import Any

import pytest

from medsync.starknet.signer import public_key_of
from tests.harness.chain import Call
from tests.harness.driver import Contract, selector, sign
from tests.harness.snip12 import draw_hash
from tests.harness.words import felt
from tests.harness.world import World

HOLDER = 0x4E7
KEY = public_key_of(HOLDER)


@pytest.fixture
def token(world: World) -> Contract:
    return world.new_hostile_token()


@pytest.fixture
def pool(world: World, token: Contract) -> Contract:
    return world.new_pool(token)


@pytest.fixture
def terms(world: World, pool: Contract) -> dict[str, Any]:
    """A campaign of this pool that the partner spends."""
    return world.campaign(pool=pool.address, spender=world.partner, custodian=0, custodian_bps=0)


def say_no(world: World, token: Contract, function: str) -> None:
    """Have the token answer that it failed."""
    world.send(world.relayer, "answer", token, entry_point=selector(function), felts=[0])


def prepare_deposit(world: World, token: Contract, pool: Contract) -> None:
    outcome = world.execute(
        world.funder,
        Call(token.address, "mint", [world.funder, 1000, 0]),
        Call(token.address, "approve", [pool.address, 1000, 0]),
    )
    assert outcome.error is None


def test_a_deposit_that_the_token_says_failed_is_none(
    world: World, token: Contract, pool: Contract, terms: dict[str, Any]
) -> None:
    prepare_deposit(world, token, pool)
    say_no(world, token, "transfer_from")
    arguments = {"terms": terms, "amount": 1000}
    world.refuses("POOL/TRANSFER_FAILED", world.funder, "deposit", pool, **arguments)
    assert world.read("campaign", pool, terms=terms)["status"] == "None"


@pytest.mark.parametrize(("habit", "argument"), [("FEE", 1), ("STAND_STILL", 0)])
def test_a_deposit_that_did_not_arrive_whole_is_none(
    world: World, token: Contract, pool: Contract, terms: dict[str, Any], habit: str, argument: int
) -> None:
    prepare_deposit(world, token, pool)
    world.send(world.relayer, "take_up", token, habit=felt(habit), argument=argument)
    arguments = {"terms": terms, "amount": 1000}
    world.refuses("POOL/SHORTFALL", world.funder, "deposit", pool, **arguments)
    assert world.read("liabilities", pool) == 0


def test_a_credit_that_could_not_be_paid_out_stays(
    world: World, token: Contract, pool: Contract, terms: dict[str, Any]
) -> None:
    """An account's and a key's; the key's signature is not used up."""
    world.fund(terms | {"rate": 500}, 1000)
    spent = terms | {"rate": 500}
    for payee in (("Account", world.patient), ("Key", KEY)):
        world.send(world.partner, "spend", pool, terms=spent, payee=payee)
    r, s = sign(draw_hash(world, KEY, 500, world.stranger, 0, pool=pool.address), HOLDER)
    by_key = {"key": KEY, "amount": 500, "recipient": world.stranger, "signature_r": r, "signature_s": s}
    own = {"amount": 500, "recipient": world.patient, "claims": []}
    say_no(world, token, "transfer")
    world.refuses("POOL/TRANSFER_FAILED", world.patient, "withdraw", pool, **own)
    world.refuses("POOL/TRANSFER_FAILED", world.relayer, "withdraw_by_key", pool, **by_key)
    assert world.read("claimable", pool, owner=world.patient) == 500
    assert world.read("key_credit", pool, key=KEY) == {"claimable": 500, "nonce": 0}
    world.send(world.relayer, "mend", token)
    world.send(world.patient, "withdraw", pool, **own)
    world.send(world.relayer, "withdraw_by_key", pool, **by_key)
    assert world.read("liabilities", pool) == 0

"""Campaigns with a spender of their own, and credits of those who hold only a key: never is more paid out
than was paid in, to nobody else, and never twice."""

from typing import Any

import pytest

from medsync.starknet.signer import public_key_of
from tests.attacks.books import Books
from tests.harness.anchoring import ORDER
from tests.harness.driver import Contract, sign
from tests.harness.snip12 import draw_hash
from tests.harness.words import CLOSE_NOTICE, DAY
from tests.harness.world import World, id_of

HOLDER, OTHER = 0x4E7, 0x4E8
"""Private keys of people who are paid without an account."""
KEY = public_key_of(HOLDER)


class Scene:
    """A campaign of three uses for a spender, beside one of MedSync's that holds 5,000."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.spender: Contract = world.new_puppet()
        self.terms = world.campaign(spender=self.spender.address, custodian_bps=1000, salt=7)
        self.other = world.campaign()
        world.fund(self.other, 5000)
        world.fund(self.terms, 3000)
        self.books = Books(
            world,
            world.pool,
            world.token,
            [self.terms, self.other],
            [world.patient],
            [world.funder],
            [world.patient, world.hospital, world.funder],
            [KEY],
        )

    def spend(self, payee: tuple[str, int] = ("Key", KEY), error: str | None = None) -> None:
        arguments = {"terms": self.terms, "payee": payee}
        if error:
            self.world.refuses(error, self.spender.address, "spend", **arguments)
        else:
            self.world.send(self.spender.address, "spend", **arguments)
        self.books.check()

    def draw(self, **changes: Any) -> dict[str, Any]:
        """The calldata by which the holder draws 100 to the stranger; `signed` changes what was signed."""
        said = {"key": KEY, "amount": 100, "recipient": self.world.stranger, "nonce": 0}
        signed = said | changes.pop("signed", {})
        r, s = sign(draw_hash(self.world, **signed), changes.pop("holder", HOLDER))
        del said["nonce"]
        return said | {"signature_r": r, "signature_s": s} | changes


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


def test_a_spender_that_spends_more_than_there_is(scene: Scene) -> None:
    """Three uses were paid for; the fourth would be others' money."""
    world = scene.world
    for payee in (("Key", KEY), ("Account", world.patient), ("Key", KEY)):
        scene.spend(payee)
    scene.spend(error="POOL/NOTHING_LEFT")
    assert world.read("key_credit", key=KEY) == {"claimable": 1800, "nonce": 0}
    assert world.read("claimable", owner=world.patient) == 900
    assert world.read("claimable", owner=world.hospital) == 300
    assert world.read("liabilities") == 8000
    world.fund(scene.terms, 1000)
    scene.spend()
    scene.spend(error="POOL/NOTHING_LEFT")


def test_a_spender_after_the_end(scene: Scene) -> None:
    """Not after the terms expired, and not after the campaign was closed: what is left is the funder's then,
    once."""
    world = scene.world
    scene.spend()
    world.send(world.funder, "announce_close", terms=scene.terms)
    world.wait(CLOSE_NOTICE)
    world.send(world.funder, "close_campaign", terms=scene.terms)
    scene.spend(error="POOL/NOTHING_LEFT")
    assert world.read("claimable", owner=world.funder) == 2000
    world.refuses("POOL/NOT_OPEN", world.funder, "close_campaign", terms=scene.terms)
    world.wait(30 * DAY)
    scene.spend(error="POOL/CAMPAIGN_EXPIRED")
    assert scene.books.check() == 8000


def test_who_may_spend(scene: Scene) -> None:
    """Whom the terms name: neither funder nor administrator nor MedSync's accessors; and what MedSync spends
    no contract does, nor the caller zero."""
    world = scene.world
    payee = ("Account", world.stranger)
    for who in (world.funder, world.admin, world.stranger, world.hospital):
        world.refuses("POOL/NOT_SPENDER", who, "spend", terms=scene.terms, payee=payee)
    world.refuses("POOL/NOT_SPENDER", scene.spender.address, "spend", terms=scene.other, payee=payee)
    unfunded = scene.terms | {"salt": 99}
    world.refuses("POOL/NOTHING_LEFT", scene.spender.address, "spend", terms=unfunded, payee=payee)
    for nobody in (("Account", 0), ("Key", 0)):
        scene.spend(nobody, error="POOL/BAD_PAYEE")


def test_a_spenders_campaign_in_a_consent(scene: Scene) -> None:
    """It has no budgets: no consent names it, no accessor is given anything of it, no request is paid by
    it."""
    world = scene.world
    terms = world.terms(reward=scene.terms)
    world.refuses("CONSENT/CAMPAIGN_SPENDER", world.patient, "add_consent", grantee=world.funder, terms=terms)
    for function, more in (
        ("increase_allowance", {"uses": 1}),
        ("decrease_allowance", {"uses": 1}),
        ("revoke_allowance", {}),
    ):
        move = {"terms": scene.terms, "accessor": world.partner, **more}
        world.refuses("POOL/OTHER_SPENDER", world.funder, function, **move)
    assert world.read("budget", campaign=id_of(scene.terms), accessor=world.funder)["left"] == 0
    settled = world.send(
        world.stranger, "settle", patient=world.patient, grantee=world.funder, terms=scene.terms
    )
    assert settled.result == 0


def test_a_draw_is_good_once(scene: Scene) -> None:
    """The same signature, and the other one that anybody makes of it, draw nothing more."""
    world = scene.world
    scene.spend()
    draw = scene.draw()
    world.send(world.relayer, "withdraw_by_key", **draw)
    turned = draw | {"signature_s": ORDER - draw["signature_s"]}
    for again in (draw, turned):
        world.refuses("POOL/BAD_SIGNATURE", world.stranger, "withdraw_by_key", **again)
    assert world.read("key_credit", key=KEY) == {"claimable": 800, "nonce": 1}
    assert world.read("balance_of", world.token, account=world.stranger) == 100
    world.send(world.relayer, "withdraw_by_key", **scene.draw(signed={"nonce": 1}))
    assert scene.books.check() == 7800


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 99},
        {"amount": 101},
        {"recipient": 0x1234},
        {"signature_r": 1},
        {"signature_s": 1},
        {"signature_r": 0, "signature_s": 0},
        {"signed": {"nonce": 1}},
        {"signed": {"chain_id": 1}},
        {"signed": {"pool": 0x900}},
        {"signed": {"key": 1}},
        {"holder": OTHER},
    ],
    ids=str,
)
def test_a_draw_that_was_signed_otherwise(scene: Scene, change: dict[str, Any]) -> None:
    """Every part of what is drawn is signed: the chain and the pool, the key, how much, to whom, and
    which."""
    scene.spend()
    draw = scene.draw(**dict(change))
    scene.world.refuses("POOL/BAD_SIGNATURE", scene.world.relayer, "withdraw_by_key", **draw)
    assert scene.world.read("key_credit", key=KEY) == {"claimable": 900, "nonce": 0}


def test_a_draw_of_another_key(scene: Scene) -> None:
    """Who holds another key has a credit of its own, which is nothing; and nobody draws to the pool, or to
    nobody, or more than there is."""
    world = scene.world
    scene.spend()
    theirs = {"key": public_key_of(OTHER)}
    draw = scene.draw(**theirs, signed=theirs, holder=OTHER)
    world.refuses("POOL/INSUFFICIENT_CREDIT", world.relayer, "withdraw_by_key", **draw)
    for error, change in (
        ("POOL/BAD_RECIPIENT", {"recipient": 0}),
        ("POOL/BAD_RECIPIENT", {"recipient": world.pool.address}),
        ("POOL/ZERO_AMOUNT", {"amount": 0}),
        ("POOL/INSUFFICIENT_CREDIT", {"amount": 901}),
    ):
        draw = scene.draw(**change, signed=change)
        world.refuses(error, world.relayer, "withdraw_by_key", **draw)


def test_the_same_draw_at_another_pool(scene: Scene) -> None:
    """The same key is paid the same there, by the same spender: what was signed for one pool draws nothing
    from the other."""
    world = scene.world
    twin = world.new_pool()
    there = scene.terms | {"pool": twin.address}
    world.fund(there, 1000)
    world.send(scene.spender.address, "spend", twin, terms=there, payee=("Key", KEY))
    scene.spend()
    draw = scene.draw()
    world.refuses("POOL/BAD_SIGNATURE", world.relayer, "withdraw_by_key", twin, **draw)
    world.send(world.relayer, "withdraw_by_key", world.pool, **draw)
    assert world.read("key_credit", twin, key=KEY) == {"claimable": 900, "nonce": 0}

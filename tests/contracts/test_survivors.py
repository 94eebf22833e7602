"""What mutants of the contracts lived by: small things that no other test looked at (docs/mutation.md)."""

from tests.harness.cells import packed, poke
from tests.harness.words import DAY
from tests.harness.world import World


def test_a_reward_that_is_given_up_stays_in_its_cell(world: World) -> None:
    """Nobody reads it there any more, and the next campaign need not buy the cell again."""
    campaign = world.campaign()
    world.fund(campaign, campaign["rate"])
    world.give(reward=campaign)
    terms = world.terms()
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.cells[world.medsync.address] == 1


def test_deposits_and_debts_are_counted_apart(world: World) -> None:
    """After a withdrawal the two differ, and the next deposit adds to both."""
    campaign = world.campaign()
    world.fund(campaign, 5000)
    world.wait(30 * DAY)
    world.send(world.funder, "close_campaign", terms=campaign)
    world.send(world.funder, "withdraw", amount=5000, recipient=world.funder)
    world.fund(world.campaign(salt=2), 700)
    assert world.read("liabilities") == 700
    assert world.read("lifetime_deposits") == 5700


def test_a_withdrawal_that_its_cell_cannot_hold_fails(world: World) -> None:
    """Deposits end before, so nobody gets there; a withdrawal must not be forgotten even then."""
    poke(world, world.pool, packed((1, 128), (2**123 - 1, 123)), "credits", world.patient)
    poke(world, world.pool, packed((1, 128), (1, 123)), "totals")
    world.refuses("PACK/RANGE", world.patient, "withdraw", amount=1, recipient=world.patient)

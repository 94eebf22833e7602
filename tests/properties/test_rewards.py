"""The pool's arithmetic is exact for every rate, share and amount, up to the largest a pool ever holds."""

from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.harness.driver import Contract, View, selector
from tests.harness.reach import Reach, profile
from tests.model.log import campaign_id
from tests.model.state import Pool, Token
from tests.model.words import (
    FELT_PRIME,
    PURPOSES,
    TIME_MAX,
    U64_MAX,
    U123_MAX,
    U128_MAX,
    CampaignTerms,
    short,
)
from tests.model.world import World
from tests.stateful.drawing import INDEPENDENT, draw_from, seed_of_run
from tests.stateful.system import System

NOW = 1_800_000_000
EXAMPLES = {"quick": 40, "ci": 200, "deep": 4_000}
CUSTODIAN, PATIENT, ACCESSOR = 0xC0DE, 0xA11, 0xACC
ANSWERS = {None: "Paid", "RewardUnfunded": "Unfunded", "AllowanceExceeded": "AllowanceExceeded"}
ADDRESSES = st.integers(1, 2**251 - 257) | st.sampled_from([1, 2**251 - 257])
FELTS = st.integers(0, FELT_PRIME - 1) | st.sampled_from([0, FELT_PRIME - 1])


def test_every_unit_is_accounted_for(system: System, record_property: Callable[[str, object], None]) -> None:
    """Pay until the pool refuses: it pays exactly as often as it can, and each share is the model's.

    The pool listens to a puppet, which has it pay without the access that would be asked for in the open.
    """
    reach = Reach("Rewards", seed_of_run(profile()))
    reach.expect("accrual", ANSWERS.values())

    @settings(max_examples=EXAMPLES[profile()], backend=INDEPENDENT, database=None, derandomize=False)
    @given(
        rate=st.integers(1, U123_MAX)
        | st.sampled_from([1, 3, 9_999, 10_000, 10_001, U123_MAX // 2, U123_MAX]),
        bps=st.integers(1, 10_000) | st.sampled_from([0, 1, 3_333, 9_999, 10_000]),
        accesses=st.integers(0, 3),
        rest=st.integers(1, U123_MAX),
        allowed=st.none() | st.integers(0, 4),
    )
    @example(rate=U123_MAX, bps=9_999, accesses=1, rest=0, allowed=None)
    @example(rate=U128_MAX, bps=1, accesses=0, rest=U123_MAX, allowed=None)
    @example(rate=1, bps=10_000, accesses=3, rest=0, allowed=2)
    def every_unit_is_accounted_for(
        rate: int, bps: int, accesses: int, rest: int, allowed: int | None
    ) -> None:
        reach.examples += 1
        actors = system.actors
        funder, log = actors.researcher, system.puppet
        amount = min(rate * min(accesses, U123_MAX // rate) + rest % rate, U123_MAX) or 1
        system.send(actors.relayer, log, "answer", entry_point=selector("supports_interface"), felts=[1])
        token = system.deploy("Token")
        pool = system.deploy("RewardPool", token.address, log.address)
        terms = CampaignTerms(
            pool.address, funder, short("HRESCH"), rate, CUSTODIAN if bps else 0, bps, TIME_MAX, 0
        )
        world = World(chain_id=0, medsync=log.address, admin=1)
        world.state.tokens[token.address] = Token({funder: amount}, {(funder, pool.address)})
        world.state.pools[pool.address] = books = Pool(token.address, log.address)

        system.send(funder, token, "mint", recipient=funder, amount=amount)
        system.send(funder, token, "approve", spender=pool.address, amount=amount)
        system.send(funder, pool, "deposit", terms=terms, amount=amount)
        world.deposit(funder, NOW, pool.address, terms, amount)
        accessor = funder
        if allowed is not None:
            accessor, allowance = ACCESSOR, min(allowed * rate, U128_MAX)
            system.send(funder, pool, "set_allowance", terms=terms, accessor=accessor, amount=allowance)
            world.set_allowance(funder, NOW, pool.address, terms, accessor, allowance)

        refusal = None
        while refusal is None:
            answer = system.send(log.address, pool, "accrue", terms=terms, patient=PATIENT, accessor=accessor)
            refusal = world.pay(NOW, terms, PATIENT, accessor)
            assert answer == ANSWERS[refusal]
            reach.count("accrual", answer)

        key = campaign_id(terms)
        campaign = books.campaigns[key]
        claimed = {owner: credit.claimable for owner, credit in books.credits.items()}
        assert sum(claimed.values()) + campaign.remaining == amount
        shown = system.chain.read(
            [
                View(pool, "campaign", {"terms": terms}),
                *(View(pool, "claimable", {"owner": owner}) for owner in (PATIENT, CUSTODIAN)),
                View(pool, "allowance", {"campaign": key, "accessor": ACCESSOR}),
                View(pool, "liabilities", {}),
                View(token, "balance_of", {"account": pool.address}),
            ],
            now=NOW,
        )
        assert (shown[0]["remaining"], shown[0]["paid_count"]) == (campaign.remaining, campaign.paid_count)
        assert shown[1:3] == [claimed.get(PATIENT, 0), claimed.get(CUSTODIAN, 0)]
        assert shown[3] == books.allowances.get((key, ACCESSOR), 0)
        assert shown[4] == shown[5] == amount

    draw_from(reach.seed)
    try:
        every_unit_is_accounted_for()
    finally:
        record_property("reach", reach.as_property())
    reach.assert_all_reached()


@settings(max_examples=10)
@given(
    several=st.lists(
        st.builds(
            CampaignTerms,
            pool=ADDRESSES,
            funder=ADDRESSES,
            purpose=st.sampled_from(sorted(PURPOSES)) | FELTS,
            rate=st.integers(0, U128_MAX) | st.sampled_from([0, U128_MAX]),
            custodian=ADDRESSES,
            custodian_bps=st.integers(0, 2**16 - 1),
            expires_at=st.integers(0, U64_MAX) | st.sampled_from([0, U64_MAX]),
            salt=FELTS,
        ),
        min_size=10,
        max_size=30,
    )
)
def test_campaign_id_is_the_hash_of_the_terms(system: System, several: list[CampaignTerms]) -> None:
    pool: Contract = system.pool
    shown = system.chain.read([View(pool, "campaign", {"terms": terms}) for terms in several], now=NOW)
    assert [answer["id"] for answer in shown] == [campaign_id(terms) for terms in several]

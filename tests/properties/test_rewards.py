"""Money is exact for every rate, share and number of uses, up to the largest sums a pool ever holds."""

from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.harness.driver import Contract, View
from tests.harness.reach import Reach, profile
from tests.model.hashes import campaign_id
from tests.model.rewards import shares
from tests.model.words import (
    FELT_PRIME,
    PURPOSES,
    TIME_MAX,
    U64_MAX,
    U123_MAX,
    U128_MAX,
    AccessRequest,
    CampaignTerms,
    ConsentTerms,
    Payee,
    short,
)
from tests.stateful.drawing import INDEPENDENT, draw_from, seed_of_run
from tests.stateful.system import BEGINNING as NOW
from tests.stateful.system import System

HRESCH = short("HRESCH")
EXAMPLES = {"quick": 8, "ci": 200, "deep": 2_000}
PAYEE = 0xACC
ADDRESSES = st.integers(1, 2**251 - 257) | st.sampled_from([1, 2**251 - 257])
FELTS = st.integers(0, FELT_PRIME - 1) | st.sampled_from([0, FELT_PRIME - 1])
RATES = st.integers(1, U123_MAX) | st.sampled_from(
    [1, 3, 9_999, 10_000, 10_001, U123_MAX // 3, U123_MAX // 2, U123_MAX]
)
SHARES = st.integers(1, 10_000) | st.sampled_from([0, 1, 3_333, 9_999, 10_000])
HOW = ["by requests", "by a spender"]


def test_every_unit_is_accounted_for(system: System, record_property: Callable[[str, object], None]) -> None:
    """Use a campaign until nothing is left, settle, withdraw and close: every step is the model's, nobody's
    share is lost, and in the end the pool has paid out exactly what was deposited.

    Each example has a pool, a token and a campaign of its own.
    """
    reach = Reach("Rewards", seed_of_run(profile()))
    reach.expect("spent", HOW)
    reach.expect("refused", ["RewardUnfunded", "POOL/NOTHING_LEFT"])

    @settings(max_examples=EXAMPLES[profile()], backend=INDEPENDENT, database=None, derandomize=False)
    @given(rate=RATES, bps=SHARES, uses=st.integers(1, 3), moved=st.integers(0, 2), how=st.sampled_from(HOW))
    @example(rate=U123_MAX, bps=9_999, uses=1, moved=0, how="by requests")
    @example(rate=1, bps=10_000, uses=3, moved=2, how="by requests")
    @example(rate=U123_MAX, bps=1, uses=1, moved=0, how="by a spender")
    def every_unit_is_accounted_for(rate: int, bps: int, uses: int, moved: int, how: str) -> None:
        reach.examples += 1
        reach.count("spent", how)
        system.begin()
        actors = system.actors
        uses = min(uses, U123_MAX // rate)
        amount = rate * uses
        token = system.new_token()
        pool = system.create_pool(token.address, salt=reach.examples)
        funder, spender = actors.researcher, actors.stranger if how == "by a spender" else 0
        custodian = actors.hospital if bps else 0
        terms = CampaignTerms(pool.address, funder, HRESCH, 0, rate, custodian, bps, NOW + 100, spender, 0)
        system.mint(token, funder, pool, amount)
        system.perform("deposit", funder, pool=pool.address, terms=terms, amount=amount)
        if spender:
            use_by_spender(system, terms, uses, reach)
        else:
            use_by_requests(system, terms, uses, min(moved, uses), reach)
        patient_share, custodian_share = shares(rate, bps)
        books = system.world.state.pools[pool.address]
        credited = [books.credits.get(owner) for owner in (payee_of(system, terms), custodian)]
        expected = [patient_share * uses, custodian_share * uses]
        assert [credit.claimable if credit else 0 for credit in credited] == expected
        assert books.liabilities == sum(expected) == amount
        for owner, claimable in zip((payee_of(system, terms), custodian), expected, strict=True):
            if claimable and owner in system.chain.accounts:
                drawn = {"amount": claimable, "recipient": actors.guardian, "claims": []}
                system.perform("withdraw", owner, pool=pool.address, **drawn)
        system.now = terms.expires_at
        closed = system.perform("close_campaign", funder, pool=pool.address, terms=terms)
        assert closed
        assert closed.events[-1].data == {"uses": 0, "refunded": 0}
        system.end()

    draw_from(reach.seed)
    try:
        every_unit_is_accounted_for()
    finally:
        record_property("reach", reach.as_property())
    reach.assert_all_reached()


def payee_of(system: System, terms: CampaignTerms) -> int:
    """Who is paid by the campaign."""
    return PAYEE if terms.spender else system.actors.patient


def use_by_requests(system: System, terms: CampaignTerms, uses: int, moved: int, reach: Reach) -> None:
    """Some uses by the funder, some by an accessor, one too many each; then both shares are settled."""
    actors, pool = system.actors, terms.pool
    accessors = {terms.funder: uses - moved, actors.second_researcher: moved}
    if moved:
        about = {"terms": terms, "accessor": actors.second_researcher, "uses": moved}
        system.perform("increase_allowance", terms.funder, pool=pool, **about)
    for accessor, number in accessors.items():
        if number == 0:
            continue
        consent = ConsentTerms(HRESCH, 0, 1, NOW, TIME_MAX, 0, False, terms, 0)
        system.perform("add_consent", actors.patient, grantee=accessor, terms=consent)
        request = AccessRequest(actors.patient, HRESCH, 0, 1, 0, campaign_id(terms))
        for turn in range(number + 1):
            outcome = system.perform("request_access", accessor, request=request)
            assert outcome
            assert outcome.result.reason == ("Granted" if turn < number else "RewardUnfunded")
        reach.count("refused", "RewardUnfunded")
        claim = {"patient": actors.patient, "grantee": accessor, "terms": terms}
        system.perform("settle", actors.relayer, pool=pool, **claim)
        if terms.custodian:
            about = {"terms": terms, "accessor": accessor}
            system.perform("settle_custodian", actors.relayer, pool=pool, **about)


def use_by_spender(system: System, terms: CampaignTerms, uses: int, reach: Reach) -> None:
    """All uses, and one too many."""
    payee = Payee("Account", PAYEE)
    for _ in range(uses):
        assert system.perform("spend", terms.spender, pool=terms.pool, terms=terms, payee=payee)
    assert not system.perform("spend", terms.spender, pool=terms.pool, terms=terms, payee=payee)
    reach.count("refused", "POOL/NOTHING_LEFT")


@settings(max_examples=10)
@given(
    several=st.lists(
        st.builds(
            CampaignTerms,
            pool=ADDRESSES,
            funder=ADDRESSES,
            purpose=st.sampled_from(sorted(PURPOSES)) | FELTS,
            study=FELTS,
            rate=st.integers(0, U128_MAX) | st.sampled_from([0, U128_MAX]),
            custodian=ADDRESSES,
            custodian_bps=st.integers(0, 2**16 - 1),
            expires_at=st.integers(0, U64_MAX) | st.sampled_from([0, U64_MAX]),
            spender=ADDRESSES | st.just(0),
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

"""The reference model's own sanity: an oracle that is wrong would prove nothing. No chain, no SDK."""

from collections.abc import Callable
from dataclasses import astuple, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.log import campaign_id, consent_message, entry_digest, revocation_message, starknet_keccak
from tests.model.rewards import shares
from tests.model.state import Pool, Puppet, Token
from tests.model.words import (
    ADMIN_DELAY,
    ALL_CATEGORIES,
    CLOSE_NOTICE,
    DECISIONS,
    GIVE,
    MAX_BATCH,
    PURPOSES,
    REASONS,
    REFUSE,
    REVOKE,
    TIME_MAX,
    U32_MAX,
    U64_MAX,
    U123_MAX,
    U128_MAX,
    AccessRequest,
    CampaignTerms,
    ConsentTerms,
    ModelError,
    Outcome,
    short,
)
from tests.model.world import World

ADMIN, PATIENT, GUARDIAN, HOSPITAL, RESEARCHER, PARTNER, STRANGER, POOL, PUPPET, TOKEN, MEDSYNC = range(1, 12)
NOW = 1_800_000_000
START, END = NOW + 100, NOW + 200
HRESCH = short("HRESCH")
CAMPAIGN = CampaignTerms(POOL, RESEARCHER, HRESCH, 10_001, HOSPITAL, 2_500, END + 50, 7)
TERMS = ConsentTerms(HRESCH, 0b0111, START, END, 0, None, 0)
PAID = replace(TERMS, reward=CAMPAIGN)
REQUEST = AccessRequest(PATIENT, HRESCH, 0b0001, 42, None)
PAID_REQUEST = replace(REQUEST, campaign=CAMPAIGN)


@pytest.fixture
def world() -> World:
    """A hospital and two researchers, one of them with an open campaign that pays for three accesses."""
    world = World(chain_id=short("TEST"), medsync=MEDSYNC, admin=ADMIN)
    world.state.tokens[TOKEN] = Token({RESEARCHER: 10**9}, {(RESEARCHER, POOL)})
    world.state.pools[POOL] = Pool(TOKEN, MEDSYNC)
    for entity, role in ((HOSPITAL, "Hospital"), (RESEARCHER, "Researcher"), (PARTNER, "Researcher")):
        world.register_entity(ADMIN, NOW, entity, role, 1)
    world.deposit(RESEARCHER, NOW, POOL, CAMPAIGN, 3 * CAMPAIGN.rate)
    return world


def code_of(operation: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """The code with which an operation fails."""
    with pytest.raises(ModelError) as caught:
        operation(*arguments, **named)
    return caught.value.code


def decision(world: World, now: int, categories: int = 1, grantee: int = RESEARCHER) -> str:
    return world.verify_consent(now, PATIENT, grantee, HRESCH, categories)[1]


def names(outcome: Outcome) -> list[str]:
    return [event.name for event in outcome.events]


# ---------------------------------------------------------------- the decision


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (0, "NotStarted"),
        (START - 1, "NotStarted"),
        (START, "Granted"),
        (END - 1, "Granted"),
        (END, "Expired"),
        (END + 1, "Expired"),
        (U64_MAX, "Expired"),
    ],
)
def test_window_is_half_open(world: World, now: int, reason: str) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    assert decision(world, now) == reason


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (0, "CategoryNotCovered"),
        (0b0001, "Granted"),
        (0b0111, "Granted"),
        (0b1000, "CategoryNotCovered"),
        (0b1111, "CategoryNotCovered"),
        (1 << 16, "CategoryNotCovered"),
        (U32_MAX, "CategoryNotCovered"),
    ],
)
def test_categories_must_all_be_covered(world: World, asked: int, reason: str) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    assert decision(world, START, asked) == reason


def test_first_reason_that_applies_wins(world: World) -> None:
    """Pile up every reason, then take them away one by one from the most important on."""
    spent = replace(TERMS, max_uses=1)
    world.add_consent(PATIENT, NOW, RESEARCHER, spent)
    world.request_access(RESEARCHER, START, REQUEST)
    world.revoke_all(PATIENT, START)
    world.revoke_consent(PATIENT, START, RESEARCHER, HRESCH)
    world.suspend_entity(ADMIN, START, RESEARCHER)
    consent = world.consent(PATIENT, RESEARCHER, HRESCH)

    assert world.verify_consent(NOW, PATIENT, STRANGER, HRESCH, 8) == ("Deny", "EntityUnknown", 0)
    assert world.verify_consent(NOW, PATIENT, RESEARCHER, HRESCH, 8) == ("Deny", "EntitySuspended", 0)
    world.reinstate_entity(ADMIN, START, RESEARCHER)
    assert world.verify_consent(NOW, PATIENT, RESEARCHER, short("TREAT"), 8) == ("NoConsent", "NeverGiven", 0)
    assert world.verify_consent(NOW, PATIENT, RESEARCHER, HRESCH, 8) == ("Deny", "Withdrawn", 2)
    consent.status = "Given"
    assert world.verify_consent(NOW, PATIENT, RESEARCHER, HRESCH, 8) == ("Deny", "AllRevoked", 2)
    consent.epoch = 1
    assert world.verify_consent(NOW, PATIENT, RESEARCHER, HRESCH, 8) == ("Deny", "NotStarted", 2)
    assert world.verify_consent(END, PATIENT, RESEARCHER, HRESCH, 8) == ("Deny", "Expired", 2)
    assert world.verify_consent(START, PATIENT, RESEARCHER, HRESCH, 8) == ("Deny", "CategoryNotCovered", 2)
    assert world.verify_consent(START, PATIENT, RESEARCHER, HRESCH, 1) == ("Deny", "UsesExhausted", 2)
    consent.uses = 0
    assert world.verify_consent(START, PATIENT, RESEARCHER, HRESCH, 1) == ("Permit", "Granted", 2)


@pytest.mark.parametrize(("max_uses", "last"), [(1, 1), (2, 2), (U32_MAX, U32_MAX), (0, U32_MAX)])
def test_uses_run_out_exactly(world: World, max_uses: int, last: int) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, replace(TERMS, max_uses=max_uses))
    consent = world.consent(PATIENT, RESEARCHER, HRESCH)
    consent.uses = last - 1
    assert world.request_access(RESEARCHER, START, REQUEST).result.reason == "Granted"
    assert world.request_access(RESEARCHER, START, REQUEST).result.reason == "UsesExhausted"
    assert consent.uses == last


def test_only_permits_consume_uses(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, replace(TERMS, max_uses=1))
    for now, request in ((NOW, REQUEST), (START, replace(REQUEST, categories=8)), (START, PAID_REQUEST)):
        assert world.request_access(RESEARCHER, now, request).result.decision == "Deny"
    assert world.request_access(RESEARCHER, START, REQUEST).result.decision == "Permit"


def test_renewal_revives_and_a_revoked_version_never_does(world: World) -> None:
    assert world.add_consent(PATIENT, NOW, RESEARCHER, TERMS).result == 1
    world.revoke_consent(PATIENT, START, RESEARCHER, HRESCH)
    assert decision(world, START) == "Withdrawn"
    assert world.add_consent(PATIENT, START, RESEARCHER, TERMS).result == 3
    assert decision(world, START) == "Granted"
    world.revoke_all(PATIENT, START)
    assert decision(world, START) == "AllRevoked"
    assert names(world.revoke_consent(PATIENT, START, RESEARCHER, HRESCH)) == ["ConsentRevoked"]
    assert names(world.revoke_consent(PATIENT, START, RESEARCHER, HRESCH)) == ["ConsentRevoked"]
    assert world.add_consent(PATIENT, START, RESEARCHER, TERMS).result == 6
    assert decision(world, START) == "Granted"


def test_last_version_is_kept_for_revoking(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    world.consent(PATIENT, RESEARCHER, HRESCH).version = U32_MAX - 2
    assert world.add_consent(PATIENT, NOW, RESEARCHER, TERMS).result == U32_MAX - 1
    give_again = (world.add_consent, PATIENT, NOW, RESEARCHER, TERMS)
    assert code_of(*give_again) == "CONSENT/VERSION_EXHAUSTED"
    world.revoke_consent(PATIENT, NOW, RESEARCHER, HRESCH)
    assert world.consent(PATIENT, RESEARCHER, HRESCH).version == U32_MAX


# ---------------------------------------------------------------- giving, and acting for a patient


@pytest.mark.parametrize(
    ("grantee", "changes", "code"),
    [
        (0, {}, "CONSENT/ZERO_ADDRESS"),
        (PATIENT, {}, "CONSENT/SELF_GRANT"),
        (RESEARCHER, {"purpose": short("HMARKT")}, "CONSENT/BAD_PURPOSE"),
        (RESEARCHER, {"categories": 0}, "CONSENT/BAD_CATEGORIES"),
        (RESEARCHER, {"categories": ALL_CATEGORIES + 1}, "CONSENT/BAD_CATEGORIES"),
        (RESEARCHER, {"starts_at": END}, "CONSENT/EMPTY_WINDOW"),
        (RESEARCHER, {"starts_at": 0, "expires_at": NOW}, "CONSENT/EXPIRED_AT_BIRTH"),
        (RESEARCHER, {"expires_at": TIME_MAX + 1}, "CONSENT/TIME_RANGE"),
        (STRANGER, {}, "ENTITY/UNKNOWN"),
        (RESEARCHER, {"reward": replace(CAMPAIGN, purpose=short("DSRCH"))}, "CONSENT/CAMPAIGN_PURPOSE"),
        (RESEARCHER, {"reward": replace(CAMPAIGN, pool=STRANGER)}, "CONSENT/NOT_A_POOL"),
        (RESEARCHER, {"reward": replace(CAMPAIGN, salt=8)}, "CONSENT/CAMPAIGN_NOT_OPEN"),
    ],
)
def test_what_is_no_consent(world: World, grantee: int, changes: dict[str, Any], code: str) -> None:
    terms = replace(TERMS, **changes)
    assert code_of(world.add_consent, PATIENT, NOW, grantee, terms) == code
    assert world.state.consents == {}


def test_widest_consent_there_is(world: World) -> None:
    terms = ConsentTerms(HRESCH, ALL_CATEGORIES, 0, TIME_MAX, U32_MAX, None, 0)
    assert world.add_consent(PATIENT, TIME_MAX - 1, RESEARCHER, terms).result == 1


@pytest.mark.parametrize("power", [GIVE, REVOKE, REFUSE])
def test_delegates_have_exactly_their_powers(world: World, power: int) -> None:
    acts = {
        GIVE: [lambda now: world.add_consent_for(GUARDIAN, now, PATIENT, RESEARCHER, TERMS)],
        REVOKE: [
            lambda now: world.revoke_consent_for(GUARDIAN, now, PATIENT, RESEARCHER, HRESCH),
            lambda now: world.revoke_all_for(GUARDIAN, now, PATIENT),
        ],
        REFUSE: [lambda now: world.refuse_consent_for(GUARDIAN, now, PATIENT, RESEARCHER, HRESCH)],
    }
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    world.set_delegate(PATIENT, NOW, GUARDIAN, power, START)
    for needed, several in acts.items():
        for act in several:
            assert code_of(act, START) == "CONSENT/NOT_DELEGATE"
            if needed == power:
                act(START - 1)
            else:
                assert code_of(act, START - 1) == "CONSENT/NOT_DELEGATE"


def test_revocation_by_a_delegate_is_told_apart(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    world.set_delegate(PATIENT, NOW, GUARDIAN, REVOKE, END)
    (event,) = world.revoke_consent_for(GUARDIAN, NOW, PATIENT, RESEARCHER, HRESCH).events
    assert event.data == {"by": GUARDIAN, "version": 2}
    assert decision(world, START) == "Revoked"


# ---------------------------------------------------------------- signed messages


def signed_consent(world: World, **changes: int) -> dict[str, Any]:
    """A message the patient signed, as it is submitted; `changes` are made after signing."""
    message = {"patient": PATIENT, "grantee": RESEARCHER, "terms": PAID, "nonce": 0, "deadline": START}
    version = world.consent(PATIENT, RESEARCHER, HRESCH).version + 1
    signed = consent_message(
        world.chain_id, MEDSYNC, PATIENT, RESEARCHER, PAID, version, message["nonce"], message["deadline"]
    )
    return message | {"signed": signed} | changes


def test_signed_consent_is_good_once(world: World) -> None:
    message = signed_consent(world)
    outcome = world.add_consent_by_sig(STRANGER, START, **message)
    assert names(outcome) == ["SignatureUsed", "ConsentAdded"]
    assert outcome.events[1].data["by"] == PATIENT
    assert code_of(world.add_consent_by_sig, STRANGER, START, **message) == "CONSENT/BAD_NONCE"


def test_signed_consent_expires_and_cannot_be_altered(world: World) -> None:
    message = signed_consent(world)
    submit = world.add_consent_by_sig
    assert code_of(submit, STRANGER, START + 1, **message) == "CONSENT/SIGNATURE_EXPIRED"
    altered = [{"grantee": PARTNER}, {"deadline": END}, {"terms": TERMS}, {"signed": 0}]
    for change in altered:
        assert code_of(submit, STRANGER, NOW, **message | change) == ("CONSENT/BAD_SIGNATURE")
    assert world.patient(PATIENT).nonce == 0, "a failed submission spends nothing"


@pytest.mark.parametrize(
    ("between", "code"),
    [
        (lambda w: w.add_consent(PATIENT, NOW, RESEARCHER, TERMS), "CONSENT/BAD_SIGNATURE"),  # other version
        (lambda w: w.revoke_all(PATIENT, NOW), "CONSENT/BAD_NONCE"),
        (lambda w: w.cancel_signatures(PATIENT, NOW), "CONSENT/BAD_NONCE"),
    ],
)
def test_any_change_in_between_voids_a_signed_consent(
    world: World, between: Callable[[World], Any], code: str
) -> None:
    message = signed_consent(world)
    between(world)
    assert code_of(world.add_consent_by_sig, STRANGER, NOW, **message) == code


def test_signed_revocation_survives_a_renewal(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    signed = revocation_message(world.chain_id, MEDSYNC, PATIENT, RESEARCHER, HRESCH, 0, END)
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    world.revoke_consent_by_sig(STRANGER, NOW, PATIENT, RESEARCHER, HRESCH, 0, END, signed)
    assert decision(world, START) == "Withdrawn"


# ---------------------------------------------------------------- access and log


def test_every_outcome_extends_the_chain(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    head, count = 0, 0
    for now in (NOW, START, END):
        outcome = world.request_access(RESEARCHER, now, REQUEST)
        (event,) = outcome.events
        count += 1
        head = entry_digest(
            chain_id=world.chain_id,
            contract=MEDSYNC,
            previous_head=head,
            **event.keys,
            **event.data
            | {
                "decision": DECISIONS.index(event.data["decision"]),
                "reason": REASONS.index(event.data["reason"]),
            },
        )
        assert (outcome.result.seq, outcome.result.digest) == (count, head)
        assert head < 2**219
    assert astuple(world.log(PATIENT)) == (count, head)


def test_strangers_leave_no_trace_and_suspended_entities_do(world: World) -> None:
    assert code_of(world.request_access, STRANGER, NOW, REQUEST) == "ENTITY/UNKNOWN"
    assert world.log(PATIENT).count == 0
    world.suspend_entity(ADMIN, NOW, RESEARCHER)
    assert world.request_access(RESEARCHER, NOW, REQUEST).result.reason == "EntitySuspended"
    assert world.log(PATIENT).count == 1


def test_batch_is_all_or_nothing_but_each_has_its_own_outcome(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, replace(TERMS, max_uses=1))
    outcome = world.request_access_batch(RESEARCHER, START, [REQUEST, REQUEST])
    assert [receipt.reason for receipt in outcome.result] == ["Granted", "UsesExhausted"]
    before = astuple(world.log(PATIENT))
    malformed = [REQUEST, replace(REQUEST, patient=0)]
    assert code_of(world.request_access_batch, RESEARCHER, START, malformed) == "ACCESS/ZERO_PATIENT"
    assert astuple(world.log(PATIENT)) == before
    for size, code in ((0, "ACCESS/EMPTY_BATCH"), (MAX_BATCH + 1, "ACCESS/BATCH_TOO_LARGE")):
        assert code_of(world.request_access_batch, RESEARCHER, START, [REQUEST] * size) == code
    assert len(world.request_access_batch(RESEARCHER, START, [REQUEST] * MAX_BATCH).result) == MAX_BATCH


def test_breaking_the_glass(world: World) -> None:
    def reason(caller: int) -> str:
        return str(world.request_emergency_access(caller, NOW, PATIENT, 1, 0, 5).result.reason)

    assert reason(HOSPITAL) == "BreakGlass"
    assert reason(RESEARCHER) == "NotHospital"
    world.set_emergency_opt_out(PATIENT, NOW, True)
    assert reason(HOSPITAL) == "EmergencyOptOut"
    assert reason(RESEARCHER) == "NotHospital"
    world.suspend_entity(ADMIN, NOW, HOSPITAL)
    assert reason(HOSPITAL) == "EntitySuspended"
    assert world.log(PATIENT).count == 5


# ---------------------------------------------------------------- money


@given(
    rate=st.integers(1, U128_MAX) | st.sampled_from([1, U128_MAX - 1, U128_MAX]), bps=st.integers(0, 10_000)
)
def test_shares_sum_to_the_rate_and_the_patient_loses_no_rest(rate: int, bps: int) -> None:
    patient, custodian = shares(rate, bps)
    assert patient + custodian == rate
    assert custodian * 10_000 <= rate * bps < (custodian + 1) * 10_000


def test_paid_access_moves_exactly_the_rate(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, PAID)
    pool = world.state.pools[POOL]
    assert isinstance(pool, Pool)
    owed = pool.liabilities()
    outcome = world.request_access(RESEARCHER, START, PAID_REQUEST)
    assert names(outcome) == ["RewardAccrued", "AccessLogged"]
    assert pool.liabilities() == owed
    assert (pool.credits[PATIENT].claimable, pool.credits[HOSPITAL].claimable) == (7_501, 2_500)
    world.withdraw(PATIENT, NOW, POOL, 7_501, STRANGER)
    assert pool.liabilities() == owed - 7_501 == world.state.tokens[TOKEN].balances[POOL]
    assert (pool.credits[PATIENT].claimable, pool.credits[PATIENT].withdrawn) == (0, 7_501)
    assert code_of(world.withdraw, PATIENT, NOW, POOL, 1, PATIENT) == "POOL/INSUFFICIENT_CREDIT"


def test_what_stands_against_paying_becomes_the_reason(world: World) -> None:
    """Each request has one more reason than the next against being paid; the first in order is told."""

    def reason(now: int, accessor: int = PARTNER) -> str:
        return str(world.request_access(accessor, now, PAID_REQUEST).result.reason)

    long = replace(PAID, expires_at=TIME_MAX)
    for grantee in (RESEARCHER, PARTNER):
        world.add_consent(PATIENT, NOW, grantee, long)
    world.set_allowance(RESEARCHER, NOW, POOL, CAMPAIGN, PARTNER, CAMPAIGN.rate)
    assert [reason(START), reason(START)] == ["Granted", "AllowanceExceeded"]
    assert [reason(START, RESEARCHER), reason(START, RESEARCHER)] == ["Granted", "Granted"]
    assert reason(START) == "RewardUnfunded"
    assert reason(CAMPAIGN.expires_at) == "CampaignExpired"
    world.close_campaign(RESEARCHER, CAMPAIGN.expires_at, POOL, CAMPAIGN)
    assert reason(CAMPAIGN.expires_at) == "CampaignClosed"


def test_request_must_name_the_campaign_of_the_consent(world: World) -> None:
    for terms, request in ((PAID, REQUEST), (TERMS, PAID_REQUEST)):
        world.add_consent(PATIENT, NOW, RESEARCHER, terms)
        outcome = world.request_access(RESEARCHER, START, request)
        assert outcome.result.reason == "CampaignMismatch"
        assert names(outcome) == ["AccessLogged"]


@pytest.mark.parametrize(
    ("accrual", "reason"),
    [("Paid", "Granted"), ("Panic", "PoolFailed"), ("Nonsense", "PoolFailed"), ("Closed", "CampaignClosed")],
)
def test_strange_pool_only_harms_whoever_chose_it(world: World, accrual: str, reason: str) -> None:
    strange = replace(CAMPAIGN, pool=PUPPET)
    world.state.pools[PUPPET] = Puppet(MEDSYNC, campaign_id(strange), accrual)
    world.add_consent(PATIENT, NOW, RESEARCHER, replace(TERMS, reward=strange))
    outcome = world.request_access(RESEARCHER, START, replace(REQUEST, campaign=strange))
    assert outcome.result.reason == reason
    assert names(outcome) == ["AccessLogged"]


@pytest.mark.parametrize(
    ("changes", "caller", "amount", "code"),
    [
        ({"pool": STRANGER}, RESEARCHER, 1, "POOL/WRONG_POOL"),
        ({}, STRANGER, 1, "POOL/NOT_FUNDER"),
        ({}, RESEARCHER, 0, "POOL/ZERO_AMOUNT"),
        ({"purpose": short("HMARKT")}, RESEARCHER, 1, "POOL/BAD_PURPOSE"),
        ({"rate": 0}, RESEARCHER, 1, "POOL/ZERO_RATE"),
        ({"custodian_bps": 10_001}, RESEARCHER, 1, "POOL/BAD_BPS"),
        ({"custodian_bps": 0}, RESEARCHER, 1, "POOL/BAD_CUSTODIAN"),
        ({"custodian": 0}, RESEARCHER, 1, "POOL/BAD_CUSTODIAN"),
        ({"expires_at": NOW}, RESEARCHER, 1, "POOL/CAMPAIGN_EXPIRED"),
        ({}, RESEARCHER, U123_MAX - 3 * CAMPAIGN.rate + 1, "POOL/DEPOSIT_CAP"),
        ({}, RESEARCHER, U123_MAX - 3 * CAMPAIGN.rate, "ERC20: insufficient balance"),
        ({"funder": STRANGER}, STRANGER, 1, "ERC20: insufficient allowance"),
    ],
)
def test_what_is_no_deposit(
    world: World, changes: dict[str, Any], caller: int, amount: int, code: str
) -> None:
    terms = replace(CAMPAIGN, **changes)
    before = repr(world.state)
    assert code_of(world.deposit, caller, NOW, POOL, terms, amount) == code
    assert repr(world.state) == before


@pytest.mark.parametrize(
    ("announced", "now", "code"),
    [
        (False, NOW, "POOL/CLOSE_TOO_EARLY"),
        (False, CAMPAIGN.expires_at - 1, "POOL/CLOSE_TOO_EARLY"),
        (False, CAMPAIGN.expires_at, None),
        (True, NOW + CLOSE_NOTICE - 1, "POOL/CLOSE_TOO_EARLY"),
        (True, NOW + CLOSE_NOTICE, None),
    ],
)
def test_close_waits_for_expiry_or_notice(world: World, announced: bool, now: int, code: str | None) -> None:
    terms = CAMPAIGN if not announced else replace(CAMPAIGN, expires_at=NOW + 2 * CLOSE_NOTICE)
    if announced:
        world.deposit(RESEARCHER, NOW, POOL, terms, 5)
        world.announce_close(RESEARCHER, NOW, POOL, terms)
    if code:
        assert code_of(world.close_campaign, RESEARCHER, now, POOL, terms) == code
        return
    world.close_campaign(RESEARCHER, now, POOL, terms)
    assert world.state.pools[POOL].credits[RESEARCHER].claimable == (5 if announced else 3 * CAMPAIGN.rate)
    again = (world.close_campaign, RESEARCHER, now, POOL, terms)
    assert code_of(*again) == "POOL/NOT_OPEN"


# ---------------------------------------------------------------- administration and hashes


def test_administration_is_handed_over_late_and_never_lost(world: World) -> None:
    assert code_of(world.accept_admin_transfer, STRANGER, NOW) == "ENTITY/NO_TRANSFER"
    world.begin_admin_transfer(ADMIN, NOW, GUARDIAN)
    world.begin_admin_transfer(ADMIN, NOW + 1, STRANGER)
    assert code_of(world.accept_admin_transfer, GUARDIAN, END) == "ENTITY/NOT_PENDING_ADMIN"
    ready = NOW + 1 + ADMIN_DELAY
    early = (world.accept_admin_transfer, STRANGER, ready - 1)
    assert code_of(*early) == "ENTITY/TRANSFER_NOT_READY"
    world.accept_admin_transfer(STRANGER, ready)
    assert (world.state.admin, world.state.pending_admin) == (STRANGER, None)
    assert code_of(world.suspend_entity, ADMIN, ready, HOSPITAL) == "ENTITY/NOT_ADMIN"


def test_hashes_are_the_ones_starknet_uses() -> None:
    """Selectors and type hashes against constants published in SNIP-12 and by the network."""
    assert starknet_keccak("transfer") == 0x83AFD3F4CAEDC6EEBF44246FE54E38C95E3179A5EC9EA81740ECA5B482D12E
    domain = (
        '"StarknetDomain"("name":"shortstring","version":"shortstring",'
        '"chainId":"shortstring","revision":"shortstring")'
    )
    assert starknet_keccak(domain) == 0x1FF2F602E42168014D405A94F75E8A93D640751D71D16311266E140D8B0A210


@given(st.permutations(range(8)).filter(lambda order: list(order) != list(range(8))))
def test_campaign_id_depends_on_the_place_of_each_term(order: list[int]) -> None:
    values = [11, 12, 13, 14, 15, 16, 17, 18]
    shuffled = [values[place] for place in order]
    assert campaign_id(CampaignTerms(*values)) != campaign_id(CampaignTerms(*shuffled))


def test_vocabulary_is_as_published() -> None:
    assert len(PURPOSES) == 16
    assert (len(DECISIONS), len(REASONS)) == (4, 20)
    assert REASONS.index("EmergencyOptOut") == 19

"""The reference model's own sanity: an oracle that is wrong would prove nothing. No chain, no SDK."""

from collections.abc import Callable
from dataclasses import astuple, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.hashes import (
    ACCESSES,
    CONSENTS,
    REGISTRY,
    campaign_id,
    consent_message,
    draw_message,
    entry_digest,
    revocation_message,
    starknet_keccak,
)
from tests.model.rewards import shares
from tests.model.state import Budget, Credit, Head, Pool, Token
from tests.model.words import (
    ADMIN_DELAY,
    ADMIN_LAPSE,
    ALL_CATEGORIES,
    BREAK_THE_GLASS,
    CLOSE_NOTICE,
    CLOSE_WINDOW,
    DAY,
    DECISIONS,
    EMERGENCY_DELAY,
    GIVE,
    JUSTIFY_WITHIN,
    MAX_BATCH,
    MAX_CLAIMS,
    PROFILE_DELAY,
    PURPOSES,
    REASONS,
    REFUSAL_BITS,
    REFUSE,
    RESERVED_FROM,
    REVOKE,
    TIME_MAX,
    U32_MAX,
    U64_MAX,
    U123_MAX,
    U128_MAX,
    AccessRequest,
    CampaignTerms,
    Claim,
    ConsentTerms,
    ModelError,
    Outcome,
    Payee,
    Subject,
    short,
)
from tests.model.world import World

ADMIN, PATIENT, GUARDIAN, HOSPITAL, RESEARCHER, PARTNER, STRANGER, POOL, STRAY, TOKEN, MEDSYNC = range(1, 12)
NOW = 1_800_000_000
START, END = NOW + 100, NOW + 200
HRESCH, STUDY = short("HRESCH"), 0x57D1
CAMPAIGN = CampaignTerms(POOL, RESEARCHER, HRESCH, 0, 10_001, HOSPITAL, 2_500, END + 50, 0, 7)
TERMS = ConsentTerms(HRESCH, 0, 0b0111, START, END, 0, False, None, 0)
PAID = replace(TERMS, reward=CAMPAIGN)
REQUEST = AccessRequest(PATIENT, HRESCH, 0, 0b0001, 42, 0)
PAID_REQUEST = replace(REQUEST, campaign=campaign_id(CAMPAIGN))
ABOUT = (RESEARCHER, HRESCH, 0)
KEY = (PATIENT, *ABOUT)


@pytest.fixture
def world() -> World:
    """A hospital and two researchers, one of them with an open campaign that pays for three accesses."""
    world = World(
        chain_id=short("TEST"), medsync=MEDSYNC, admin=ADMIN, deployed_at=NOW, place_of_pool=lambda *_: POOL
    )
    world.state.tokens[TOKEN] = Token({RESEARCHER: 10**9}, {(RESEARCHER, POOL)})
    world.create_pool(STRANGER, NOW, TOKEN, 0)
    world.state.pools[STRAY] = Pool(TOKEN, deployed_by_medsync=False)
    for entity, role in ((HOSPITAL, "Hospital"), (RESEARCHER, "Researcher"), (PARTNER, "Researcher")):
        world.register_entity(ADMIN, NOW, entity, role, 1)
    world.deposit(RESEARCHER, NOW, POOL, CAMPAIGN, 3 * CAMPAIGN.rate)
    return world


def code_of(operation: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """The code with which an operation fails."""
    with pytest.raises(ModelError) as caught:
        operation(*arguments, **named)
    return caught.value.code


def decision(world: World, now: int, categories: int = 1, grantee: int = RESEARCHER, study: int = 0) -> str:
    return world.verify_consent(now, PATIENT, grantee, HRESCH, study, categories, 0).reason


def reason_of(outcome: Outcome) -> str:
    return str(outcome.result.reason)


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
    world.add_consent(PATIENT, NOW, RESEARCHER, replace(TERMS, max_uses=1, scoped=True))
    world.request_access(RESEARCHER, START, REQUEST)
    world.revoke_all(PATIENT, START, False)
    world.refuse_purpose(PATIENT, START, HRESCH)
    world.suspend_entity(ADMIN, START, RESEARCHER)
    consent = world.state.consents[KEY]

    def verdict(now: int, categories: int = 8, campaign: int = 1) -> tuple[Any, ...]:
        return astuple(world.verify_consent(now, *KEY, categories, campaign))

    assert world.verify_consent(NOW, PATIENT, STRANGER, HRESCH, 0, 8, 1).reason == "EntityUnknown"
    assert verdict(NOW) == ("Deny", "EntitySuspended", 0, False)
    world.reinstate_entity(ADMIN, START, RESEARCHER)
    assert verdict(NOW) == ("Deny", "PurposeRefused", 1, True)
    world.allow_purpose(PATIENT, START, HRESCH)
    never = world.verify_consent(NOW, PATIENT, RESEARCHER, HRESCH, STUDY, 8, 1)
    assert astuple(never) == ("NoConsent", "NeverGiven", 0, False)
    for status in ("Refused", "Withdrawn", "Revoked"):
        consent.status = status
        assert verdict(NOW) == ("Deny", status, 1, True)
    consent.status = "Given"
    assert verdict(NOW) == ("Deny", "AllRevoked", 1, True)
    consent.generation = 2
    assert verdict(NOW) == ("Deny", "NotStarted", 1, True)
    assert verdict(END) == ("Deny", "Expired", 1, True)
    assert verdict(START) == ("Deny", "CategoryNotCovered", 1, True)
    assert verdict(START, 1) == ("Deny", "CampaignMismatch", 1, True)
    assert verdict(START, 1, 0) == ("Deny", "UsesExhausted", 1, True)
    consent.uses = 0
    assert verdict(START, 1, 0) == ("Permit", "Granted", 1, True)


def test_studies_match_exactly(world: World) -> None:
    """Nothing falls back: neither a study to the broad consent, nor the other way round."""
    world.add_consent(PATIENT, NOW, RESEARCHER, replace(TERMS, study=STUDY))
    assert decision(world, START, study=STUDY) == "Granted"
    assert decision(world, START) == decision(world, START, study=STUDY + 1) == "NeverGiven"
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    world.revoke_consent(PATIENT, NOW, RESEARCHER, HRESCH, STUDY)
    assert (decision(world, START), decision(world, START, study=STUDY)) == ("Granted", "Withdrawn")


@pytest.mark.parametrize(("max_uses", "last"), [(1, 1), (2, 2), (U32_MAX, U32_MAX), (0, U32_MAX)])
def test_uses_run_out_exactly(world: World, max_uses: int, last: int) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, replace(TERMS, max_uses=max_uses))
    world.state.consents[KEY].uses = last - 1
    assert reason_of(world.request_access(RESEARCHER, START, REQUEST)) == "Granted"
    assert reason_of(world.request_access(RESEARCHER, START, REQUEST)) == "UsesExhausted"
    assert world.state.consents[KEY].uses == last


def test_only_permits_consume_uses(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, replace(TERMS, max_uses=1))
    for now, request in ((NOW, REQUEST), (START, replace(REQUEST, categories=8)), (START, PAID_REQUEST)):
        assert world.request_access(RESEARCHER, now, request).result.decision == "Deny"
    assert world.request_access(RESEARCHER, START, REQUEST).result.decision == "Permit"


def test_renewal_revives_and_a_revoked_version_never_does(world: World) -> None:
    assert world.add_consent(PATIENT, NOW, RESEARCHER, TERMS).result == 1
    world.revoke_consent(PATIENT, START, *ABOUT)
    assert decision(world, START) == "Withdrawn"
    assert world.add_consent(PATIENT, START, RESEARCHER, TERMS).result == 3
    assert decision(world, START) == "Granted"
    world.revoke_all(PATIENT, START, False)
    assert decision(world, START) == "AllRevoked"
    assert names(world.revoke_consent(PATIENT, START, *ABOUT)) == ["ConsentRevoked"]
    assert names(world.revoke_consent(PATIENT, START, *ABOUT)) == ["ConsentRevoked"]
    assert world.add_consent(PATIENT, START, RESEARCHER, TERMS).result == 6
    assert decision(world, START) == "Granted"


def test_last_version_is_kept_for_revoking(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    world.state.consents[KEY].version = U32_MAX - 2
    assert world.add_consent(PATIENT, NOW, RESEARCHER, TERMS).result == U32_MAX - 1
    give_again = (world.add_consent, PATIENT, NOW, RESEARCHER, TERMS)
    assert code_of(*give_again) == "CONSENT/VERSION_EXHAUSTED"
    for _ in range(2):
        world.revoke_consent(PATIENT, NOW, *ABOUT)
        assert world.state.consents[KEY].version == U32_MAX


# ---------------------------------------------------------------- giving, refusing


@pytest.mark.parametrize(
    ("grantee", "changes", "code"),
    [
        (0, {}, "CONSENT/ZERO_ADDRESS"),
        (PATIENT, {}, "CONSENT/SELF_GRANT"),
        (RESEARCHER, {"purpose": short("HMARKT")}, "CONSENT/BAD_PURPOSE"),
        (RESEARCHER, {"purpose": BREAK_THE_GLASS}, "CONSENT/BAD_PURPOSE"),
        (RESEARCHER, {"categories": 0}, "CONSENT/BAD_CATEGORIES"),
        (RESEARCHER, {"categories": ALL_CATEGORIES + 1}, "CONSENT/BAD_CATEGORIES"),
        (RESEARCHER, {"starts_at": END}, "CONSENT/EMPTY_WINDOW"),
        (RESEARCHER, {"starts_at": 0, "expires_at": NOW}, "CONSENT/EXPIRED_AT_BIRTH"),
        (RESEARCHER, {"expires_at": TIME_MAX + 1}, "CONSENT/TIME_RANGE"),
        (STRANGER, {}, "ENTITY/UNKNOWN"),
        (RESEARCHER, {"reward": replace(CAMPAIGN, purpose=short("DSRCH"))}, "CONSENT/CAMPAIGN_PURPOSE"),
        (RESEARCHER, {"reward": replace(CAMPAIGN, study=1)}, "CONSENT/CAMPAIGN_STUDY"),
        (RESEARCHER, {"reward": replace(CAMPAIGN, spender=MEDSYNC)}, "CONSENT/CAMPAIGN_SPENDER"),
        (RESEARCHER, {"reward": replace(CAMPAIGN, pool=STRANGER)}, "CONSENT/NOT_A_POOL"),
        (RESEARCHER, {"reward": replace(CAMPAIGN, pool=STRAY)}, "CONSENT/NOT_A_POOL"),
        (RESEARCHER, {"reward": replace(CAMPAIGN, expires_at=NOW)}, "CONSENT/CAMPAIGN_EXPIRED"),
        (RESEARCHER, {"reward": replace(CAMPAIGN, salt=8)}, "CONSENT/CAMPAIGN_UNFUNDED"),
        (PARTNER, {"reward": CAMPAIGN}, "CONSENT/CAMPAIGN_UNFUNDED"),
    ],
)
def test_what_is_no_consent(world: World, grantee: int, changes: dict[str, Any], code: str) -> None:
    terms = replace(TERMS, **changes)
    assert code_of(world.add_consent, PATIENT, NOW, grantee, terms) == code
    assert world.state.consents == {}


def test_widest_consent_there_is(world: World) -> None:
    terms = ConsentTerms(HRESCH, 0, ALL_CATEGORIES, 0, TIME_MAX, U32_MAX, True, None, 0)
    assert world.add_consent(PATIENT, TIME_MAX - 1, RESEARCHER, terms).result == 1


def test_refusal_stands_until_the_patient_gives(world: World) -> None:
    world.refuse_consent(PATIENT, NOW, *ABOUT)
    assert decision(world, START) == "Refused"
    world.revoke_all(PATIENT, NOW, True)
    assert decision(world, START) == "Refused"
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    assert decision(world, START) == "Granted"


def test_refused_purpose_beats_live_consents_and_lifting_brings_them_back(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    world.refuse_purpose(PATIENT, NOW, HRESCH)
    world.refuse_purpose(PATIENT, NOW, short("TREAT"))
    assert world.refused_purposes(PATIENT) == [HRESCH, short("TREAT")]
    assert decision(world, START) == "PurposeRefused"
    assert code_of(world.add_consent, PATIENT, NOW, RESEARCHER, TERMS) == "CONSENT/PURPOSE_REFUSED"
    world.revoke_all(GUARDIAN, NOW, False)
    world.allow_purpose(PATIENT, NOW, HRESCH)
    assert decision(world, START) == "Granted"
    for act in (world.refuse_purpose, world.allow_purpose):
        assert code_of(act, PATIENT, NOW, BREAK_THE_GLASS) == "CONSENT/BAD_PURPOSE"


# ---------------------------------------------------------------- delegates


@pytest.mark.parametrize("power", [GIVE, REVOKE, REFUSE])
def test_delegates_have_exactly_their_powers(world: World, power: int) -> None:
    acts = {
        GIVE: [lambda now: world.add_consent_for(GUARDIAN, now, PATIENT, PARTNER, TERMS)],
        REVOKE: [
            lambda now: world.revoke_consent_for(GUARDIAN, now, PATIENT, *ABOUT),
            lambda now: world.revoke_all_for(GUARDIAN, now, PATIENT),
        ],
        REFUSE: [lambda now: world.refuse_consent_for(GUARDIAN, now, PATIENT, PARTNER, HRESCH, 0)],
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


@pytest.mark.parametrize("dismiss", [World.dismiss_delegates, lambda w, *who: w.revoke_all(*who, True)])
def test_dismissal_ends_every_delegation(world: World, dismiss: Callable[..., Any]) -> None:
    for delegate in (GUARDIAN, STRANGER):
        world.set_delegate(PATIENT, NOW, delegate, GIVE, END)
    dismiss(world, PATIENT, NOW)
    for delegate in (GUARDIAN, STRANGER):
        again = (world.add_consent_for, delegate, NOW, PATIENT, RESEARCHER, TERMS)
        assert code_of(*again) == "CONSENT/NOT_DELEGATE"
    world.set_delegate(PATIENT, NOW, GUARDIAN, GIVE, END)
    world.add_consent_for(GUARDIAN, NOW, PATIENT, RESEARCHER, TERMS)


@pytest.mark.parametrize(
    "decide",
    [
        lambda w: w.add_consent(PATIENT, NOW, RESEARCHER, TERMS),
        lambda w: w.revoke_consent(PATIENT, NOW, *ABOUT),
        lambda w: w.refuse_consent(PATIENT, NOW, *ABOUT),
        lambda w: w.revoke_all(PATIENT, NOW, False),
    ],
)
@pytest.mark.parametrize("launder", [[], ["revoke"], ["refuse"], ["revoke all"], ["revoke", "refuse"]])
def test_no_act_of_a_delegate_makes_the_patients_decision_theirs(
    world: World, decide: Callable[[World], Any], launder: list[str]
) -> None:
    world.set_delegate(PATIENT, NOW, GUARDIAN, GIVE | REVOKE | REFUSE, TIME_MAX)
    world.add_consent_for(GUARDIAN, NOW, PATIENT, RESEARCHER, TERMS)
    decide(world)
    for act in launder:
        match act:
            case "revoke":
                world.revoke_consent_for(GUARDIAN, NOW, PATIENT, *ABOUT)
            case "refuse":
                world.refuse_consent_for(GUARDIAN, NOW, PATIENT, *ABOUT)
            case "revoke all":
                world.revoke_all_for(GUARDIAN, NOW, PATIENT)
    again = (world.add_consent_for, GUARDIAN, NOW, PATIENT, RESEARCHER, TERMS)
    assert code_of(*again) == "CONSENT/PATIENT_DECIDED"


def test_delegate_gives_where_nobody_or_only_delegates_decided_or_time_ran_out(world: World) -> None:
    world.revoke_all(PATIENT, NOW, False)
    world.set_delegate(PATIENT, NOW, GUARDIAN, GIVE | REVOKE | REFUSE, TIME_MAX)
    give = (world.add_consent_for, GUARDIAN)
    give[0](GUARDIAN, NOW, PATIENT, RESEARCHER, TERMS)
    assert (world.state.consents[KEY].generation, world.state.consents[KEY].by_delegate) == (2, True)
    world.refuse_consent_for(GUARDIAN, NOW, PATIENT, *ABOUT)
    give[0](GUARDIAN, NOW, PATIENT, RESEARCHER, TERMS)
    assert decision(world, START) == "Granted"
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    assert code_of(*give, END - 1, PATIENT, RESEARCHER, TERMS) == "CONSENT/PATIENT_DECIDED"
    later = replace(TERMS, expires_at=END + 1)
    give[0](GUARDIAN, END, PATIENT, RESEARCHER, later)
    assert not world.state.consents[KEY].by_delegate, "it stays the patient's"
    world.revoke_all(PATIENT, END, False)
    assert code_of(*give, END + 1, PATIENT, RESEARCHER, replace(later, expires_at=END + 9)) == (
        "CONSENT/PATIENT_DECIDED"
    )


def test_revocation_by_a_delegate_is_told_apart_and_adds_nothing_to_a_no(world: World) -> None:
    world.set_delegate(PATIENT, NOW, GUARDIAN, REVOKE | REFUSE, TIME_MAX)
    revoke = (world.revoke_consent_for, GUARDIAN, NOW, PATIENT, *ABOUT)
    assert code_of(*revoke) == "CONSENT/NOT_FOUND"
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    (event,) = world.revoke_consent_for(GUARDIAN, NOW, PATIENT, *ABOUT).events
    assert event.data == {
        "seq": 3, "at": NOW, "study": 0, "by": GUARDIAN, "nonce": 0, "version": 2, "generation": 1,
    }  # fmt: skip
    assert decision(world, START) == "Revoked"
    assert names(world.revoke_consent_for(GUARDIAN, NOW, PATIENT, *ABOUT)) == []
    assert names(world.refuse_consent_for(GUARDIAN, NOW, PATIENT, *ABOUT)) == []


def test_refusing_a_live_consent_takes_both_powers(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    refuse = (world.refuse_consent_for, GUARDIAN)
    world.set_delegate(PATIENT, NOW, GUARDIAN, REFUSE, TIME_MAX)
    assert code_of(*refuse, NOW, PATIENT, *ABOUT) == "CONSENT/NOT_DELEGATE"
    world.refuse_consent_for(GUARDIAN, END, PATIENT, *ABOUT)
    assert decision(world, END) == "Refused"


# ---------------------------------------------------------------- signed messages


def signed_consent(world: World, ahead: int = 0, **changes: Any) -> dict[str, Any]:
    """A message the patient signed, as it is submitted; `changes` are made after signing."""
    state, terms = world.patient(PATIENT), replace(PAID, study=0)
    numbers = {"generation": state.generation, "counter": state.counter + ahead, "deadline": START}
    version = world.consent_record(KEY).version + 1 + ahead
    signed = consent_message(world.chain_id, MEDSYNC, PATIENT, RESEARCHER, terms, version, *numbers.values())
    message = {"patient": PATIENT, "grantee": RESEARCHER, "terms": terms, **numbers, "signed": signed}
    return message | changes


def signed_withdrawal(world: World, deadline: int = END, **changes: Any) -> dict[str, Any]:
    generation = world.patient(PATIENT).generation
    about = dict(zip(("grantee", "purpose", "study"), ABOUT, strict=True))
    signed = revocation_message(world.chain_id, MEDSYNC, PATIENT, *ABOUT, generation, deadline)
    message = {"patient": PATIENT, **about, "generation": generation, "deadline": deadline}
    return message | {"signed": signed} | changes


def test_signed_consent_is_good_once(world: World) -> None:
    message = signed_consent(world)
    (event,) = world.add_consent_by_sig(STRANGER, START, **message).events
    assert (event.name, event.data["by"], event.data["nonce"]) == ("ConsentAdded", PATIENT, 2**32 + 1)
    assert code_of(world.add_consent_by_sig, STRANGER, START, **message) == "CONSENT/BAD_NONCE"


def test_signed_consent_expires_and_cannot_be_altered(world: World) -> None:
    message = signed_consent(world)
    submit = world.add_consent_by_sig
    assert code_of(submit, STRANGER, START + 1, **message) == "CONSENT/SIGNATURE_EXPIRED"
    altered = [{"deadline": END}, {"terms": TERMS}, {"signed": 0}, {"terms": replace(PAID, scoped=True)}]
    for change in altered:
        assert code_of(submit, STRANGER, NOW, **message | change) == "CONSENT/BAD_SIGNATURE"
    for change in ({"counter": 2}, {"generation": 2}, {"counter": 0}):
        assert code_of(submit, STRANGER, NOW, **message | change) == "CONSENT/BAD_NONCE"
    assert world.patient(PATIENT).counter == 1, "a failed submission spends nothing"


@pytest.mark.parametrize(
    ("between", "code"),
    [
        (lambda w: w.add_consent(PATIENT, NOW, RESEARCHER, TERMS), "CONSENT/BAD_SIGNATURE"),  # other version
        (lambda w: w.revoke_all(PATIENT, NOW, False), "CONSENT/BAD_NONCE"),
        (lambda w: w.cancel_signatures(PATIENT, NOW), "CONSENT/BAD_NONCE"),
        (lambda w: w.revoke_consent_by_sig(STRANGER, NOW, **signed_withdrawal(w)), "CONSENT/BAD_NONCE"),
    ],
)
def test_any_change_in_between_voids_a_signed_consent(
    world: World, between: Callable[[World], Any], code: str
) -> None:
    message = signed_consent(world)
    between(world)
    assert code_of(world.add_consent_by_sig, STRANGER, NOW, **message) == code


def test_panic_button_voids_a_whole_series(world: World) -> None:
    """The first edition's H1: what was signed in a row for later came back."""
    series = [signed_consent(world, ahead) for ahead in range(3)]
    world.add_consent_by_sig(STRANGER, NOW, **series[0])
    world.cancel_signatures(PATIENT, NOW)
    for message in series:
        assert code_of(world.add_consent_by_sig, STRANGER, NOW, **message) == "CONSENT/BAD_NONCE"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_signed_withdrawals_are_good_in_any_order_and_never_twice(
    world: World, order: tuple[int, int]
) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    world.add_consent(PATIENT, NOW, PARTNER, TERMS)
    other = revocation_message(world.chain_id, MEDSYNC, PATIENT, PARTNER, HRESCH, 0, 1, END)
    both = [signed_withdrawal(world), signed_withdrawal(world, grantee=PARTNER, signed=other)]
    world.cancel_signatures(PATIENT, NOW)
    for which in order:
        world.revoke_consent_by_sig(STRANGER, NOW, **both[which])
    assert decision(world, START) == decision(world, START, grantee=PARTNER) == "Withdrawn"
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    for message in both:
        assert code_of(world.revoke_consent_by_sig, STRANGER, NOW, **message) == "CONSENT/BAD_GENERATION"


def test_signed_withdrawal_reaches_renewals_of_its_generation_and_what_delegates_give(world: World) -> None:
    message = signed_withdrawal(world)
    world.set_delegate(PATIENT, NOW, GUARDIAN, GIVE, TIME_MAX)
    world.cancel_signatures(PATIENT, NOW)
    world.add_consent_for(GUARDIAN, NOW, PATIENT, RESEARCHER, TERMS)
    (event,) = world.revoke_consent_by_sig(STRANGER, NOW, **message).events
    assert (event.data["nonce"], event.data["generation"]) == (2**32, 3)
    assert decision(world, START) == "Withdrawn"


def test_signed_withdrawal_writes_a_no_where_nothing_was_said(world: World) -> None:
    world.revoke_consent_by_sig(STRANGER, NOW, **signed_withdrawal(world))
    assert decision(world, START) == "Withdrawn"
    late = signed_withdrawal(world, deadline=START)
    assert code_of(world.revoke_consent_by_sig, STRANGER, END, **late) == "CONSENT/SIGNATURE_EXPIRED"
    forged = signed_withdrawal(world, signed=0)
    assert code_of(world.revoke_consent_by_sig, STRANGER, NOW, **forged) == "CONSENT/BAD_SIGNATURE"


def test_last_generation_gives_nothing_and_panic_buttons_still_work(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    world.state.patients[PATIENT] = replace(world.patient(PATIENT), generation=U32_MAX - 1)
    last = signed_withdrawal(world)
    world.revoke_all(PATIENT, NOW, False)
    assert code_of(world.add_consent, PATIENT, NOW, RESEARCHER, TERMS) == "CONSENT/GENERATION_EXHAUSTED"
    assert decision(world, START) == "AllRevoked"
    world.cancel_signatures(PATIENT, NOW)
    world.revoke_all(PATIENT, NOW, False)
    world.revoke_consent_by_sig(STRANGER, NOW, **last)
    again = signed_withdrawal(world)
    for message in (last, again):
        assert code_of(world.revoke_consent_by_sig, STRANGER, NOW, **message) == "CONSENT/BAD_GENERATION"


# ---------------------------------------------------------------- access and the histories


def test_every_history_is_the_chain_of_its_events(world: World) -> None:
    events = [
        *world.register_entity(ADMIN, NOW, STRANGER, "Auditor", 5).events,
        *world.add_consent(PATIENT, NOW, RESEARCHER, TERMS).events,
        *world.request_access(RESEARCHER, START, REQUEST).events,
        *world.set_emergency_choice(PATIENT, START, "NamedHospitals").events,
        *world.suspend_self(STRANGER, START).events,
        *world.request_emergency_access(HOSPITAL, START, PATIENT, 1, 0).events,
        *world.state_deletion(RESEARCHER, END, PATIENT, HRESCH, 0, 9).events,
    ]
    before = {REGISTRY: Head(4, 0), CONSENTS: Head(), ACCESSES: Head()}
    fresh = World(chain_id=short("TEST"), medsync=MEDSYNC, admin=ADMIN, deployed_at=NOW)
    for entity, role in ((HOSPITAL, "Hospital"), (RESEARCHER, "Researcher"), (PARTNER, "Researcher")):
        fresh.register_entity(ADMIN, NOW, entity, role, 1)
    before[REGISTRY] = fresh.state.registry
    for event in events:
        tag = {"E": REGISTRY, "C": CONSENTS, "A": ACCESSES, "D": ACCESSES}[event.name[0]]
        tag = CONSENTS if event.name == "EmergencyChoiceSet" else tag
        head = before[tag]
        digest = entry_digest(world.chain_id, MEDSYNC, tag, head.head, event.name, event.keys | event.data)
        assert event.data["seq"] == head.count + 1
        before[tag] = Head(head.count + 1, digest)
        assert digest < 2**219
    assert [before[CONSENTS], before[ACCESSES], before[REGISTRY]] == [
        world.history(PATIENT),
        world.log(PATIENT),
        world.state.registry,
    ]


def test_deployment_is_the_registrys_first_entry() -> None:
    world = World(chain_id=1, medsync=2, admin=3, deployed_at=4)
    (event,) = world.events
    assert (event.name, event.keys, event.data) == (
        "AdminTransferred",
        {"previous": 0, "admin": 3},
        {"seq": 1, "at": 4},
    )


def test_strangers_and_suspended_entities_leave_no_trace(world: World) -> None:
    assert code_of(world.request_access, STRANGER, NOW, REQUEST) == "ENTITY/UNKNOWN"
    world.suspend_self(RESEARCHER, NOW)
    assert code_of(world.request_access, RESEARCHER, NOW, REQUEST) == "ENTITY/SUSPENDED"
    assert code_of(world.request_emergency_access, RESEARCHER, NOW, PATIENT, 1, 0) == "ENTITY/SUSPENDED"
    assert world.log(PATIENT).count == 0


def test_batch_is_all_or_nothing_but_each_has_its_own_outcome(world: World) -> None:
    def batch(*subjects: int) -> Outcome:
        about = [Subject(patient, 0) for patient in subjects]
        return world.request_access_batch(RESEARCHER, START, HRESCH, 0, 1, 0, about)

    world.add_consent(PATIENT, NOW, RESEARCHER, replace(TERMS, max_uses=1))
    outcome = batch(PATIENT, PATIENT, GUARDIAN)
    assert [receipt.reason for receipt in outcome.result] == ["Granted", "UsesExhausted", "NeverGiven"]
    before = astuple(world.log(PATIENT))
    assert code_of(batch, PATIENT, 0) == "ACCESS/ZERO_PATIENT"
    assert astuple(world.log(PATIENT)) == before
    assert code_of(batch) == "ACCESS/EMPTY_BATCH"
    assert code_of(batch, *[PATIENT] * (MAX_BATCH + 1)) == "ACCESS/BATCH_TOO_LARGE"
    assert len(batch(*[PATIENT] * MAX_BATCH).result) == MAX_BATCH


def test_full_histories_still_take_what_closes(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, TERMS)
    world.set_delegate(PATIENT, NOW, GUARDIAN, GIVE | REVOKE | REFUSE, TIME_MAX)
    world.state.histories[PATIENT].count = RESERVED_FROM
    openings = [
        lambda: world.add_consent(PATIENT, NOW, RESEARCHER, TERMS),
        lambda: world.set_delegate(PATIENT, NOW, STRANGER, GIVE, END),
        lambda: world.allow_purpose(PATIENT, NOW, HRESCH),
        lambda: world.set_emergency_choice(PATIENT, NOW, "EveryHospital"),
        lambda: world.allow_emergency(PATIENT, NOW, HOSPITAL),
        lambda: world.revoke_consent_for(GUARDIAN, NOW, PATIENT, *ABOUT),
        lambda: world.revoke_all_for(GUARDIAN, NOW, PATIENT),
    ]
    for opening in openings:
        assert code_of(opening) == "CONSENT/HISTORY_FULL"
    world.revoke_consent(PATIENT, NOW, *ABOUT)
    world.revoke_consent_by_sig(STRANGER, NOW, **signed_withdrawal(world))
    world.revoke_all(PATIENT, NOW, True)
    world.refuse_purpose(PATIENT, NOW, HRESCH)
    world.set_emergency_choice(PATIENT, NOW, "Nobody")
    world.forbid_emergency(PATIENT, NOW, HOSPITAL)
    world.state.histories[PATIENT].count = U32_MAX
    assert code_of(world.revoke_all, PATIENT, NOW, False) == "CONSENT/HISTORY_FULL"


# ---------------------------------------------------------------- emergencies


def test_breaking_the_glass(world: World) -> None:
    later = NOW + EMERGENCY_DELAY

    def reason(caller: int = HOSPITAL, now: int = later) -> str:
        return reason_of(world.request_emergency_access(caller, now, PATIENT, 1, 0))

    assert reason() == "BreakGlass"
    assert reason(now=later - 1) == "HospitalTooNew"
    assert reason(RESEARCHER) == "NotHospital"
    table = {
        "EveryHospital": ("BreakGlass", "BreakGlass", "EmergencyRefused"),
        "NamedHospitals": ("EmergencyRefused", "BreakGlass", "EmergencyRefused"),
        "Nobody": ("EmergencyRefused", "EmergencyRefused", "EmergencyRefused"),
    }
    for choice, (unnamed, allowed, forbidden) in table.items():
        world.state.consents.clear()
        world.set_emergency_choice(PATIENT, NOW, choice)
        assert reason() == unnamed
        world.allow_emergency(PATIENT, NOW, HOSPITAL)
        world.revoke_all(PATIENT, NOW, True)
        assert reason() == allowed
        world.forbid_emergency(PATIENT, NOW, HOSPITAL)
        assert reason() == forbidden
    assert code_of(world.allow_emergency, PATIENT, NOW, RESEARCHER) == "CONSENT/NOT_HOSPITAL"
    assert code_of(world.allow_emergency, PATIENT, NOW, STRANGER) == "ENTITY/UNKNOWN"
    assert code_of(world.forbid_emergency, PATIENT, NOW, 0) == "CONSENT/ZERO_ADDRESS"


def test_reinstated_hospital_waits_again(world: World) -> None:
    world.suspend_entity(ADMIN, NOW, HOSPITAL)
    world.reinstate_entity(ADMIN, NOW + DAY, HOSPITAL)
    for now, reason in ((0, "HospitalTooNew"), (DAY, "BreakGlass")):
        at = NOW + EMERGENCY_DELAY + now
        assert reason_of(world.request_emergency_access(HOSPITAL, at, PATIENT, 1, 0)) == reason


def test_emergency_is_justified_in_time_and_contested_at_any(world: World) -> None:
    at = NOW + EMERGENCY_DELAY
    for _ in range(2):
        world.request_emergency_access(HOSPITAL, at, PATIENT, 1, 0)
    world.suspend_entity(ADMIN, at, HOSPITAL)
    last = at + JUSTIFY_WITHIN
    justify, contest = world.justify_emergency, world.contest_emergency
    assert code_of(justify, HOSPITAL, last, PATIENT, 1, 0) == "ACCESS/ZERO_STATEMENT"
    assert code_of(justify, RESEARCHER, last, PATIENT, 1, 5) == "ACCESS/NO_EMERGENCY"
    assert code_of(justify, HOSPITAL, last + 1, PATIENT, 1, 5) == "ACCESS/JUSTIFIED_TOO_LATE"
    justify(HOSPITAL, last, PATIENT, 1, 5)
    assert code_of(justify, HOSPITAL, last, PATIENT, 1, 5) == "ACCESS/ALREADY_JUSTIFIED"
    assert code_of(contest, STRANGER, last, HOSPITAL, 1) == "ACCESS/NO_EMERGENCY"
    contest(PATIENT, TIME_MAX, HOSPITAL, 2)
    assert code_of(contest, PATIENT, last, HOSPITAL, 2) == "ACCESS/ALREADY_CONTESTED"
    assert [astuple(world.emergency(PATIENT, seq, HOSPITAL)) for seq in (1, 2, 3)] == [
        (at, True, False),
        (at, False, True),
        (0, False, False),
    ]
    assert world.log(PATIENT).count == 4


# ---------------------------------------------------------------- money


@given(
    rate=st.integers(1, U128_MAX) | st.sampled_from([1, U128_MAX - 1, U128_MAX]), bps=st.integers(0, 10_000)
)
def test_shares_sum_to_the_rate_and_the_patient_loses_no_rest(rate: int, bps: int) -> None:
    patient, custodian = shares(rate, bps)
    assert patient + custodian == rate
    assert custodian * 10_000 <= rate * bps < (custodian + 1) * 10_000


def ids(terms: CampaignTerms) -> tuple[int, int]:
    return campaign_id(terms), terms.funder


def test_paid_access_reserves_one_use_and_settling_pays_exactly_the_rate(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, PAID)
    pool = world.state.pools[POOL]
    for _ in range(2):
        assert names(world.request_access(RESEARCHER, START, PAID_REQUEST)) == ["AccessLogged"]
    assert astuple(world.budget(*ids(CAMPAIGN))) == (1, 2, CAMPAIGN.expires_at, 0)
    claim = Claim(RESEARCHER, CAMPAIGN)
    assert world.unsettled(POOL, PATIENT, [claim]) == 2 * 7_501
    assert world.settle(STRANGER, NOW, POOL, PATIENT, RESEARCHER, CAMPAIGN).result == 2
    again = world.settle(STRANGER, NOW, POOL, PATIENT, RESEARCHER, CAMPAIGN)
    assert (again.result, again.events) == (0, [])
    assert world.settle_custodian(STRANGER, NOW, POOL, CAMPAIGN, RESEARCHER).result == 2
    assert (pool.credits[PATIENT].claimable, pool.credits[HOSPITAL].claimable) == (15_002, 5_000)
    assert pool.liabilities == 3 * CAMPAIGN.rate
    world.withdraw(PATIENT, NOW, POOL, 15_000, STRANGER, [])
    assert pool.credits[PATIENT] == Credit(2, 15_000)
    assert pool.liabilities == 3 * CAMPAIGN.rate - 15_000 == world.state.tokens[TOKEN].balances[POOL]
    assert code_of(world.withdraw, PATIENT, NOW, POOL, 3, PATIENT, []) == "POOL/INSUFFICIENT_CREDIT"


def test_withdrawing_settles_first(world: World) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, PAID)
    world.request_access(RESEARCHER, START, PAID_REQUEST)
    claims = [Claim(RESEARCHER, CAMPAIGN)] * MAX_CLAIMS
    outcome = world.withdraw(PATIENT, NOW, POOL, 7_501, PATIENT, claims)
    assert names(outcome) == ["RewardSettled", "RewardWithdrawn", "Transfer"]
    too_many = (world.withdraw, PATIENT, NOW, POOL, 1, PATIENT, [*claims, claims[0]])
    assert code_of(*too_many) == "POOL/TOO_MANY_CLAIMS"


def test_uses_of_each_campaign_stay_settleable_over_renewals(world: World) -> None:
    """A, then B, then A again: no use is lost and none is paid twice."""
    other = replace(CAMPAIGN, rate=4, salt=8)
    world.deposit(RESEARCHER, NOW, POOL, other, 8)
    for terms in (CAMPAIGN, other, CAMPAIGN):
        world.add_consent(PATIENT, START, RESEARCHER, replace(TERMS, reward=terms, max_uses=1))
        request = replace(REQUEST, campaign=campaign_id(terms))
        assert reason_of(world.request_access(RESEARCHER, START, request)) == "Granted"
        assert reason_of(world.request_access(RESEARCHER, START, request)) == "UsesExhausted"
    mismatch = replace(REQUEST, campaign=campaign_id(other))
    assert reason_of(world.request_access(RESEARCHER, START, mismatch)) == "CampaignMismatch"
    world.revoke_all(PATIENT, START, True)
    settled = [
        world.settle(STRANGER, NOW, POOL, PATIENT, RESEARCHER, terms).result for terms in (CAMPAIGN, other)
    ]
    assert settled == [2, 1]


def test_what_stands_against_paying_becomes_the_reason(world: World) -> None:
    world.increase_allowance(RESEARCHER, NOW, POOL, CAMPAIGN, PARTNER, 1)
    long = replace(PAID, expires_at=TIME_MAX)
    for grantee in (RESEARCHER, PARTNER):
        world.add_consent(PATIENT, NOW, grantee, long)

    def reason(now: int, accessor: int) -> str:
        return reason_of(world.request_access(accessor, now, PAID_REQUEST))

    assert [reason(START, PARTNER), reason(START, PARTNER)] == ["Granted", "RewardUnfunded"]
    assert reason(CAMPAIGN.expires_at - 1, RESEARCHER) == "Granted"
    assert reason(CAMPAIGN.expires_at, RESEARCHER) == "CampaignExpired"
    assert reason(CAMPAIGN.expires_at, PARTNER) == "RewardUnfunded"


@pytest.mark.parametrize("how", ["announced", "empty", "closed"])
def test_narrowing_works_whatever_the_campaigns_state(world: World, how: str) -> None:
    world.add_consent(PATIENT, NOW, RESEARCHER, PAID)
    match how:
        case "announced":
            world.announce_close(RESEARCHER, NOW, POOL, CAMPAIGN)
        case "empty":
            world.increase_allowance(RESEARCHER, NOW, POOL, CAMPAIGN, PARTNER, 3)
        case "closed":
            world.close_campaign(RESEARCHER, CAMPAIGN.expires_at, POOL, CAMPAIGN)
    assert world.add_consent(PATIENT, NOW, RESEARCHER, replace(PAID, categories=1)).result == 2
    code = "CONSENT/CAMPAIGN_CLOSING" if how == "announced" else "CONSENT/CAMPAIGN_UNFUNDED"
    newly = (world.add_consent, GUARDIAN, NOW, RESEARCHER, PAID)
    assert code_of(*newly) == code
    world.revoke_consent(PATIENT, NOW, *ABOUT)
    assert code_of(world.add_consent, PATIENT, NOW, RESEARCHER, PAID) == code


@pytest.mark.parametrize(
    ("changes", "caller", "amount", "code"),
    [
        ({"pool": STRANGER}, RESEARCHER, 10_001, "POOL/WRONG_POOL"),
        ({}, STRANGER, 10_001, "POOL/NOT_FUNDER"),
        ({}, RESEARCHER, 0, "POOL/ZERO_AMOUNT"),
        ({"purpose": short("HMARKT")}, RESEARCHER, 10_001, "POOL/BAD_PURPOSE"),
        ({"purpose": BREAK_THE_GLASS}, RESEARCHER, 10_001, "POOL/BAD_PURPOSE"),
        ({"rate": 0}, RESEARCHER, 1, "POOL/ZERO_RATE"),
        ({}, RESEARCHER, 10_000, "POOL/NOT_A_MULTIPLE"),
        ({"custodian_bps": 10_001}, RESEARCHER, 10_001, "POOL/BAD_BPS"),
        ({"custodian_bps": 0}, RESEARCHER, 10_001, "POOL/BAD_CUSTODIAN"),
        ({"custodian": 0}, RESEARCHER, 10_001, "POOL/BAD_CUSTODIAN"),
        ({"custodian": POOL}, RESEARCHER, 10_001, "POOL/BAD_CUSTODIAN"),
        ({"expires_at": NOW}, RESEARCHER, 10_001, "POOL/CAMPAIGN_EXPIRED"),
        ({"expires_at": TIME_MAX + 1}, RESEARCHER, 10_001, "POOL/TIME_RANGE"),
        ({"rate": 1}, RESEARCHER, U64_MAX + 1, "POOL/TOO_MANY_USES"),
        ({"rate": U123_MAX}, RESEARCHER, U123_MAX, "POOL/LIABILITY_CAP"),
        ({}, RESEARCHER, 10_001 * 10**6, "ERC20: insufficient balance"),
        ({"funder": STRANGER}, STRANGER, 10_001, "ERC20: insufficient allowance"),
    ],
)
def test_what_is_no_deposit(
    world: World, changes: dict[str, Any], caller: int, amount: int, code: str
) -> None:
    terms = replace(CAMPAIGN, **changes)
    before = repr(world.state)
    assert code_of(world.deposit, caller, NOW, POOL, terms, amount) == code
    assert repr(world.state) == before


def test_only_pools_of_medsync_move_budgets(world: World) -> None:
    stray = replace(CAMPAIGN, pool=STRAY)
    world.state.tokens[TOKEN].approved.add((RESEARCHER, STRAY))
    assert code_of(world.deposit, RESEARCHER, NOW, STRAY, stray, 10_001) == "BUDGET/NOT_POOL"
    assert code_of(world.grant_budget, STRANGER, NOW, CAMPAIGN, STRANGER, 1) == "BUDGET/NOT_POOL"
    assert code_of(world.take_budget, STRAY, NOW, stray, RESEARCHER, None) == "BUDGET/NOT_POOL"
    assert code_of(world.take_unsettled, STRAY, NOW, CAMPAIGN, PATIENT, RESEARCHER) == "BUDGET/NOT_POOL"
    assert code_of(world.take_custodian_unsettled, STRAY, NOW, CAMPAIGN, STRAY) == "BUDGET/NOT_POOL"
    assert code_of(world.create_pool, STRANGER, NOW, 0, 0) == "BUDGET/ZERO_TOKEN"


def test_allowances_move_uses_and_a_closed_campaign_gives_them_back_as_money(world: World) -> None:
    about = (NOW, POOL, CAMPAIGN, PARTNER)
    world.increase_allowance(RESEARCHER, *about, 3)
    assert code_of(world.increase_allowance, RESEARCHER, *about, 1) == "BUDGET/TOO_FEW_USES"
    world.decrease_allowance(RESEARCHER, *about, 1)
    assert code_of(world.decrease_allowance, RESEARCHER, *about, 3) == "BUDGET/TOO_FEW_USES"
    assert [world.budget(campaign_id(CAMPAIGN), who).left for who in (RESEARCHER, PARTNER)] == [1, 2]
    world.add_consent(PATIENT, NOW, PARTNER, PAID)
    closed = world.close_campaign(RESEARCHER, CAMPAIGN.expires_at, POOL, CAMPAIGN)
    assert closed.events[-1].data == {"uses": 1, "refunded": 10_001}
    assert reason_of(world.request_access(PARTNER, START, PAID_REQUEST)) == "Granted"
    assert world.revoke_allowance(RESEARCHER, *about).result == 1
    assert names(world.revoke_allowance(RESEARCHER, *about)) == []
    campaign = world.campaign(POOL, campaign_id(CAMPAIGN))
    assert (campaign.granted, campaign.taken) == (3, 2)
    assert world.credit(POOL, RESEARCHER).claimable == 2 * 10_001
    assert code_of(world.increase_allowance, RESEARCHER, *about, 1) == "POOL/NOT_OPEN"
    assert code_of(world.deposit, RESEARCHER, NOW, POOL, CAMPAIGN, 10_001) == "POOL/CAMPAIGN_CLOSED"
    too_many = (U64_MAX + 1) * CAMPAIGN.rate
    assert code_of(world.deposit, RESEARCHER, NOW, POOL, CAMPAIGN, too_many) == "POOL/TOO_MANY_USES"


@pytest.mark.parametrize(
    ("announced", "now", "code"),
    [
        (False, NOW, "POOL/CLOSE_TOO_EARLY"),
        (False, CAMPAIGN.expires_at - 1, "POOL/CLOSE_TOO_EARLY"),
        (False, CAMPAIGN.expires_at, None),
        (True, NOW + CLOSE_NOTICE - 1, "POOL/CLOSE_TOO_EARLY"),
        (True, NOW + CLOSE_NOTICE, None),
        (True, NOW + CLOSE_NOTICE + CLOSE_WINDOW - 1, None),
        (True, NOW + CLOSE_NOTICE + CLOSE_WINDOW, "POOL/CLOSE_TOO_LATE"),
    ],
)
def test_close_waits_for_expiry_or_notice(world: World, announced: bool, now: int, code: str | None) -> None:
    terms = CAMPAIGN if not announced else replace(CAMPAIGN, expires_at=NOW + 100 * DAY)
    if announced:
        world.deposit(RESEARCHER, NOW, POOL, terms, 3 * terms.rate)
        world.announce_close(RESEARCHER, NOW, POOL, terms)
    if code:
        assert code_of(world.close_campaign, RESEARCHER, now, POOL, terms) == code
        return
    world.close_campaign(RESEARCHER, now, POOL, terms)
    assert world.credit(POOL, RESEARCHER).claimable == 3 * terms.rate
    again = (world.close_campaign, RESEARCHER, now, POOL, terms)
    assert code_of(*again) == "POOL/NOT_OPEN"


def test_deposit_takes_an_announcement_back(world: World) -> None:
    world.announce_close(RESEARCHER, NOW, POOL, CAMPAIGN)
    assert not world.accepts_consents(NOW, POOL, campaign_id(CAMPAIGN))
    assert world.accepts_consents(NOW + CLOSE_NOTICE + CLOSE_WINDOW, POOL, campaign_id(CAMPAIGN))
    world.deposit(RESEARCHER, NOW, POOL, CAMPAIGN, 10_001)
    assert world.accepts_consents(NOW, POOL, campaign_id(CAMPAIGN))
    early = (world.close_campaign, RESEARCHER, NOW + CLOSE_NOTICE, POOL)
    longer = replace(CAMPAIGN, expires_at=TIME_MAX)
    assert code_of(*early[:2], NOW, POOL, CAMPAIGN) == "POOL/CLOSE_TOO_EARLY"
    assert code_of(*early, longer) == "POOL/NOT_OPEN"


def test_spender_pays_at_most_what_was_deposited(world: World) -> None:
    terms = replace(CAMPAIGN, spender=STRANGER)
    world.deposit(RESEARCHER, NOW, POOL, terms, 2 * terms.rate)
    assert world.budget(*ids(terms)) == Budget()
    refused = (world.increase_allowance, RESEARCHER, NOW, POOL, terms, PARTNER, 1)
    assert code_of(*refused) == "POOL/OTHER_SPENDER"
    key, account = Payee("Key", 0xABC), Payee("Account", PATIENT)
    assert code_of(world.spend, PARTNER, NOW, POOL, terms, key) == "POOL/NOT_SPENDER"
    assert code_of(world.spend, 0, NOW, POOL, CAMPAIGN, key) == "POOL/NOT_SPENDER"
    assert code_of(world.spend, STRANGER, NOW, POOL, terms, Payee("Key", 0)) == "POOL/BAD_PAYEE"
    assert code_of(world.spend, STRANGER, terms.expires_at, POOL, terms, key) == "POOL/CAMPAIGN_EXPIRED"
    for payee in (key, account):
        world.spend(STRANGER, NOW, POOL, terms, payee)
    assert code_of(world.spend, STRANGER, NOW, POOL, terms, key) == "POOL/NOTHING_LEFT"
    assert (world.credit(POOL, PATIENT).claimable, world.credit(POOL, HOSPITAL).claimable) == (7_501, 5_000)
    draw = draw_message(world.chain_id, POOL, 0xABC, 7_501, STRANGER, 0)
    drawn = (STRANGER, NOW, POOL, 0xABC, 7_501, STRANGER)
    assert code_of(world.withdraw_by_key, *drawn, 0) == "POOL/BAD_SIGNATURE"
    world.withdraw_by_key(*drawn, draw)
    assert code_of(world.withdraw_by_key, *drawn, draw) == "POOL/INSUFFICIENT_CREDIT"
    world.close_campaign(RESEARCHER, terms.expires_at, POOL, terms)
    assert world.credit(POOL, RESEARCHER).claimable == 0


# ---------------------------------------------------------------- administration and hashes


def test_administration_is_handed_over_late_and_never_lost(world: World) -> None:
    assert code_of(world.accept_admin_transfer, STRANGER, NOW) == "ENTITY/NO_TRANSFER"
    world.begin_admin_transfer(ADMIN, NOW, GUARDIAN)
    world.begin_admin_transfer(ADMIN, NOW + 1, STRANGER)
    assert code_of(world.accept_admin_transfer, GUARDIAN, END) == "ENTITY/NOT_PENDING_ADMIN"
    ready, over = NOW + 1 + ADMIN_DELAY, NOW + 1 + ADMIN_LAPSE
    for now, code in ((ready - 1, "ENTITY/TRANSFER_NOT_READY"), (over, "ENTITY/TRANSFER_LAPSED")):
        assert code_of(world.accept_admin_transfer, STRANGER, now) == code
    world.accept_admin_transfer(STRANGER, over - 1)
    assert (world.state.admin, world.state.pending_admin) == (STRANGER, None)
    assert code_of(world.suspend_entity, ADMIN, ready, HOSPITAL) == "ENTITY/NOT_ADMIN"


def test_administrator_is_no_entity(world: World) -> None:
    assert code_of(world.register_entity, ADMIN, NOW, ADMIN, "Hospital", 1) == "ENTITY/IS_ADMIN"
    assert code_of(world.begin_admin_transfer, ADMIN, NOW, HOSPITAL) == "ENTITY/IS_ENTITY"
    world.begin_admin_transfer(ADMIN, NOW, STRANGER)
    assert code_of(world.register_entity, ADMIN, NOW, STRANGER, "Hospital", 1) == "ENTITY/IS_ADMIN"
    world.cancel_admin_transfer(ADMIN, NOW)
    world.register_entity(ADMIN, NOW, STRANGER, "Hospital", 1)


def test_profile_changes_once_a_day(world: World) -> None:
    assert code_of(world.change_profile, HOSPITAL, NOW + PROFILE_DELAY - 1, 5) == "ENTITY/PROFILE_TOO_SOON"
    world.change_profile(HOSPITAL, NOW + PROFILE_DELAY, 5)
    assert world.entity(HOSPITAL).seq == world.state.registry.count
    assert code_of(world.change_profile, HOSPITAL, NOW + PROFILE_DELAY, 5) == "ENTITY/PROFILE_TOO_SOON"
    assert code_of(world.announce_successor, ADMIN, NOW, MEDSYNC) == "ENTITY/BAD_SUCCESSOR"


def test_hashes_are_the_ones_starknet_uses() -> None:
    """Selectors and type hashes against constants published in SNIP-12 and by the network."""
    assert starknet_keccak("transfer") == 0x83AFD3F4CAEDC6EEBF44246FE54E38C95E3179A5EC9EA81740ECA5B482D12E
    domain = (
        '"StarknetDomain"("name":"shortstring","version":"shortstring",'
        '"chainId":"shortstring","revision":"shortstring")'
    )
    assert starknet_keccak(domain) == 0x1FF2F602E42168014D405A94F75E8A93D640751D71D16311266E140D8B0A210


@given(st.permutations(range(10)).filter(lambda order: list(order) != list(range(10))))
def test_campaign_id_depends_on_the_place_of_each_term(order: list[int]) -> None:
    values = list(range(11, 21))
    shuffled = [values[place] for place in order]
    assert campaign_id(CampaignTerms(*values)) != campaign_id(CampaignTerms(*shuffled))


def test_vocabulary_is_as_published() -> None:
    assert len(PURPOSES) == 15
    assert set(REFUSAL_BITS) == PURPOSES
    assert (len(DECISIONS), len(REASONS)) == (4, 20)
    assert REASONS.index("EmergencyRefused") == 19

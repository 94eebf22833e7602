"""Each invariant notices what contradicts it: events and books as only a broken contract would make them."""

from collections.abc import Callable
from copy import deepcopy
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.harness.driver import Raised
from tests.model.state import Campaign, Credit, Delegation, Entity, Pool, Token
from tests.model.words import CampaignTerms, short
from tests.model.world import World

from .invariants import INVARIANTS, OF_BOOKS, OF_EVENTS, OF_LIVENESS, Witness
from .system import System

MEDSYNC, POOL, TOKEN = 0x111, 0x222, 0x333
PATIENT, RESEARCHER, HOSPITAL, CAMPAIGN = 0xA11, 0xB0B, 0x405, 0xCA
PURPOSE = short("HRESCH")
TERMS = {"rate": 1_000, "custodian_bps": 2_500}


def raised(name: str, /, **fields: Any) -> Raised:
    """An event with what the scene below is about, or with something else."""
    keys: dict[str, Any] = {
        "ConsentAdded": {"patient": PATIENT, "grantee": RESEARCHER, "purpose": PURPOSE},
        "ConsentRevoked": {"patient": PATIENT, "grantee": RESEARCHER, "purpose": PURPOSE},
        "AccessLogged": {"patient": PATIENT, "accessor": RESEARCHER, "purpose": PURPOSE},
        "EntityRegistered": {"entity": RESEARCHER},
        "EntitySuspended": {"entity": RESEARCHER},
        "RewardAccrued": {"campaign": CAMPAIGN, "patient": PATIENT, "accessor": RESEARCHER},
    }.get(name, {"patient": PATIENT} if name in OF_PATIENTS else {"campaign": CAMPAIGN})
    data: dict[str, Any] = {
        "ConsentAdded": {
            "version": 1, "epoch": 0, "starts_at": 10, "expires_at": 20, "categories": 6, "max_uses": 1,
            "campaign": 0,
        },
        "AccessLogged": {
            "seq": 1, "at": 10, "decision": "Permit", "version": 1, "categories": 2, "campaign": 0,
            "justification": 0,
        },
        "EntityRegistered": {"role": "Researcher"},
        "RewardAccrued": {"patient_share": 750, "custodian_share": 250},
        "CampaignOpened": {"terms": TERMS},
    }.get(name, {})  # fmt: skip
    keys |= {field: value for field, value in fields.items() if field in keys}
    data |= {field: value for field, value in fields.items() if field not in keys}
    return Raised(MEDSYNC, name, keys, data)


OF_PATIENTS = ("AllConsentsRevoked", "SignatureUsed", "SignaturesCancelled", "EmergencyOptOutSet")
REGISTERED, GIVEN, PERMITTED = raised("EntityRegistered"), raised("ConsentAdded"), raised("AccessLogged")
OPENED = raised("CampaignOpened")
PAID_FOR = [REGISTERED, raised("ConsentAdded", campaign=CAMPAIGN), OPENED]
EMERGENCY = raised("AccessLogged", decision="Emergency", justification=1)

# Histories without fault, each with a last event that no faultless contract would add.
EVENTS: list[tuple[str, list[Raised], Raised]] = [
    *(
        ("no_permit_without_a_live_consent", [REGISTERED, GIVEN], raised("AccessLogged", **fields))
        for fields in (
            {"at": 9}, {"at": 20}, {"categories": 1}, {"categories": 0}, {"version": 0}, {"version": 2},
            {"campaign": 1},
        )
    ),
    ("no_permit_without_a_live_consent", [REGISTERED, GIVEN, PERMITTED], raised("AccessLogged", seq=2)),
    ("no_permit_without_a_live_consent", [REGISTERED, GIVEN, raised("ConsentRevoked", version=2)], PERMITTED),
    (
        "what_was_revoked_never_revives",
        [REGISTERED, GIVEN, raised("ConsentRevoked", version=2), raised("ConsentAdded", version=3)],
        PERMITTED,
    ),
    (
        "what_was_revoked_never_revives",
        [REGISTERED, GIVEN, raised("AllConsentsRevoked", epoch=1, nonce=1)],
        PERMITTED,
    ),
    ("nobody_suspended_or_unknown_is_let_in", [GIVEN], PERMITTED),
    ("nobody_suspended_or_unknown_is_let_in", [REGISTERED, GIVEN, raised("EntitySuspended")], PERMITTED),
    ("glass_is_broken_by_hospitals_only", [REGISTERED], EMERGENCY),
    (
        "glass_is_broken_by_hospitals_only",
        [raised("EntityRegistered", role="Hospital"), raised("EmergencyOptOutSet", opted_out=True)],
        EMERGENCY,
    ),
    (
        "glass_is_broken_by_hospitals_only",
        [raised("EntityRegistered", role="Hospital")],
        raised("AccessLogged", decision="Emergency"),
    ),
    ("entries_follow_one_another", [], raised("AccessLogged", decision="Deny", seq=2)),
    ("entries_follow_one_another", [REGISTERED, GIVEN, PERMITTED], raised("AccessLogged", decision="Deny")),
    ("no_pay_no_data", PAID_FOR, raised("AccessLogged", campaign=CAMPAIGN)),
    ("no_pay_no_data", [*PAID_FOR, raised("RewardAccrued")], raised("AccessLogged", decision="Deny")),
    ("no_pay_no_data", [*PAID_FOR, raised("RewardAccrued")], raised("RewardAccrued")),
    (
        "no_pay_no_data",
        [*PAID_FOR, raised("RewardAccrued", patient=1)],
        raised("AccessLogged", campaign=CAMPAIGN),
    ),
    ("shares_add_up_to_the_rate", [OPENED], raised("RewardAccrued", patient_share=749)),
    ("shares_add_up_to_the_rate", [OPENED], raised("RewardAccrued", patient_share=749, custodian_share=251)),
    *(
        ("closed_campaigns_stay_closed", [OPENED, raised("CampaignClosed")], raised(name))
        for name in ("RewardDeposited", "RewardAccrued", "CampaignClosed", "CampaignCloseAnnounced")
    ),
    ("versions_epochs_and_nonces_only_grow", [], raised("ConsentAdded", version=2)),
    ("versions_epochs_and_nonces_only_grow", [GIVEN], raised("ConsentRevoked", version=1)),
    ("versions_epochs_and_nonces_only_grow", [], raised("AllConsentsRevoked", epoch=0, nonce=1)),
    ("versions_epochs_and_nonces_only_grow", [], raised("AllConsentsRevoked", epoch=1, nonce=0)),
    (
        "versions_epochs_and_nonces_only_grow",
        [raised("SignatureUsed", nonce=0)],
        raised("SignatureUsed", nonce=0),
    ),
    ("versions_epochs_and_nonces_only_grow", [], raised("SignaturesCancelled", nonce=0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "history", "last"), EVENTS)
def test_events_that_must_not_be(name: str, history: list[Raised], last: Raised) -> None:
    witness = Witness()
    for event in history:
        for check in OF_EVENTS:
            check(witness, event)
        witness.remember(event)
    (broken,) = [check for check in OF_EVENTS if check.__name__ == name]
    with pytest.raises(AssertionError):
        broken(witness, last)


def test_paid_without_an_access() -> None:
    witness = Witness()
    witness.see([OPENED])
    with pytest.raises(AssertionError, match="paid without an access"):
        witness.see([raised("RewardAccrued")])


def scene() -> System:
    """A pool that owes a patient 250 and a campaign 750, in the places where invariants look."""
    world = World(chain_id=0, medsync=MEDSYNC, admin=1)
    terms = CampaignTerms(POOL, RESEARCHER, PURPOSE, 250, 0, 0, 100, 0)
    pool = Pool(TOKEN, MEDSYNC, lifetime_deposits=1_000)
    pool.campaigns[CAMPAIGN] = Campaign("Open", remaining=750, paid_count=1, deposited=1_000, paid=250)
    pool.credits[PATIENT] = Credit(claimable=250)
    world.state.pools[POOL] = pool
    world.state.tokens[TOKEN] = Token({POOL: 1_000})
    world.state.entities[RESEARCHER] = Entity("Researcher")
    credited = {(POOL, PATIENT): 250}
    return cast(
        System,
        SimpleNamespace(
            world=world,
            now=10,
            campaigns={CAMPAIGN: terms},
            credited_before=dict(credited),
            credited=lambda: credited,
            departures=lambda order: [],
            withdrawals=lambda order: [],
            is_honest=lambda token: True,
            try_out=lambda transactions: after(world),
        ),
    )


def after(world: World) -> World:
    """Everybody left."""
    left = deepcopy(world)
    for credit in cast(Pool, left.state.pools[POOL]).credits.values():
        credit.claimable, credit.withdrawn = 0, credit.claimable
    return left


def owes_more(system: Any) -> None:
    system.world.state.tokens[TOKEN].balances[POOL] -= 1


def forgets_a_deposit(system: Any) -> None:
    system.world.state.pools[POOL].lifetime_deposits -= 1


def pays_too_much(system: Any) -> None:
    system.world.state.pools[POOL].campaigns[CAMPAIGN].paid += 1


def pays_uncounted(system: Any) -> None:
    campaign = system.world.state.pools[POOL].campaigns[CAMPAIGN]
    campaign.paid, campaign.remaining = 500, 500


def takes_credit_back(system: Any) -> None:
    system.credited_before[POOL, PATIENT] += 1


def has_no_administrator(system: Any) -> None:
    system.world.state.admin = 0


def keeps_a_consent(system: Any) -> None:
    world = after(system.world)
    consent = cast(Any, world.consent(PATIENT, RESEARCHER, PURPOSE))
    consent.status, consent.expires_at, consent.categories = "Given", 20, 1
    world.state.consents[PATIENT, RESEARCHER, PURPOSE] = consent
    system.try_out = lambda transactions: world


def keeps_a_delegate(system: Any) -> None:
    world = after(system.world)
    world.state.delegations[PATIENT, HOSPITAL] = Delegation(powers=1)
    system.try_out = lambda transactions: world


def keeps_a_unit(system: Any) -> None:
    world = after(system.world)
    cast(Pool, world.state.pools[POOL]).credits[PATIENT].claimable = 1
    system.try_out = lambda transactions: world


BOOKS: list[tuple[str, Callable[[Any], None]]] = [
    ("pools_can_pay_what_they_owe", owes_more),
    ("money_is_conserved", forgets_a_deposit),
    ("campaigns_add_up", pays_too_much),
    ("campaigns_add_up", pays_uncounted),
    ("credit_is_never_lost", takes_credit_back),
    ("the_office_is_never_empty", has_no_administrator),
    ("patients_can_always_leave", keeps_a_consent),
    ("patients_can_always_leave", keeps_a_delegate),
    ("creditors_can_always_withdraw", keeps_a_unit),
]


@pytest.mark.parametrize(("name", "plant"), BOOKS)
def test_books_that_must_not_be(name: str, plant: Callable[[Any], None]) -> None:
    system = scene()
    check_books(system)
    plant(system)
    checks: list[Any] = [*OF_BOOKS, *OF_LIVENESS]
    (broken,) = [check for check in checks if check.__name__ == name]
    with pytest.raises(AssertionError):
        broken(*([system, Random(0)] if broken in OF_LIVENESS else [system]))


def check_books(system: System) -> None:
    for check in OF_BOOKS:
        check(system)
    for tried in OF_LIVENESS:
        tried(system, Random(0))


def test_no_invariant_is_left_out() -> None:
    assert {name for name, *_ in (*EVENTS, *BOOKS)} == set(INVARIANTS)
    assert all(words.endswith(".") for words in INVARIANTS.values())

"""Each invariant notices what contradicts it: events and books as only a broken contract would make them."""

from collections.abc import Callable
from copy import deepcopy
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.harness.driver import Raised
from tests.model.hashes import campaign_id
from tests.model.state import Budget, Campaign, Consent, Credit, Delegation, Entity, KeyCredit, PaidUses, Pool
from tests.model.state import Token as HonestToken
from tests.model.words import BREAK_THE_GLASS, CampaignTerms, short
from tests.model.world import World

from .invariants import INVARIANTS, OF_BOOKS, OF_EVENTS, OF_LIVENESS, Witness
from .system import System

MEDSYNC, POOL, TOKEN = 0x111, 0x222, 0x333
PATIENT, RESEARCHER, HOSPITAL, GUARDIAN, CAMPAIGN = 0xA11, 0xB0B, 0x405, 0x6AD, 0xCA
PURPOSE, STUDY, HOUR = short("HRESCH"), 5, 3_600
TERMS = {"funder": RESEARCHER, "rate": 1_000, "custodian": HOSPITAL, "custodian_bps": 2_500}
CONSENT = {"patient": PATIENT, "grantee": RESEARCHER, "purpose": PURPOSE}
KEYS: dict[str, dict[str, Any]] = {
    "ConsentAdded": CONSENT,
    "ConsentRevoked": CONSENT,
    "ConsentRefused": CONSENT,
    "AllConsentsRevoked": {"patient": PATIENT},
    "SignaturesCancelled": {"patient": PATIENT},
    "PurposeRefused": {"patient": PATIENT, "purpose": PURPOSE},
    "EmergencyChoiceSet": {"patient": PATIENT},
    "EmergencyHospitalSet": {"patient": PATIENT, "hospital": HOSPITAL},
    "AccessLogged": {"patient": PATIENT, "accessor": RESEARCHER, "purpose": PURPOSE},
    "EmergencyJustified": {"patient": PATIENT, "accessor": HOSPITAL},
    "EmergencyContested": {"patient": PATIENT, "accessor": HOSPITAL},
    "DeletionStated": {"patient": PATIENT, "accessor": RESEARCHER, "purpose": PURPOSE},
    "EntityRegistered": {"entity": RESEARCHER},
    "EntitySuspended": {"entity": RESEARCHER},
    "EntityReinstated": {"entity": RESEARCHER},
    "RewardSettled": {"campaign": CAMPAIGN, "patient": PATIENT, "grantee": RESEARCHER},
    "CustodianSettled": {"campaign": CAMPAIGN, "custodian": HOSPITAL, "accessor": RESEARCHER},
    "RewardSpent": {"campaign": CAMPAIGN, "spender": GUARDIAN},
    "RewardWithdrawn": {"owner": PATIENT},
    "KeyCreditWithdrawn": {"key": 7},
}
DATA: dict[str, dict[str, Any]] = {
    "ConsentAdded": {
        "study": STUDY, "by": PATIENT, "nonce": 0, "version": 1, "generation": 1, "categories": 6,
        "starts_at": 10, "expires_at": 20, "max_uses": 1, "scoped": False, "campaign": 0,
    },
    "ConsentRevoked": {"study": STUDY, "by": PATIENT, "nonce": 0, "version": 2, "generation": 1},
    "ConsentRefused": {"study": STUDY, "by": PATIENT, "version": 1, "generation": 1},
    "AllConsentsRevoked": {"by": PATIENT, "generation": 2},
    "SignaturesCancelled": {"generation": 2},
    "EmergencyChoiceSet": {"choice": "NamedHospitals"},
    "EmergencyHospitalSet": {"allowed": False, "version": 1, "generation": 1},
    "AccessLogged": {
        "study": STUDY, "decision": "Permit", "version": 1, "scoped": False, "categories": 2, "campaign": 0,
    },
    "EmergencyJustified": {"emergency": 1},
    "EmergencyContested": {"emergency": 1},
    "DeletionStated": {"study": STUDY},
    "EntityRegistered": {"role": "Researcher"},
    "CampaignOpened": {"terms": TERMS},
    "RewardSettled": {"study": STUDY, "uses": 1, "share": 750},
    "CustodianSettled": {"uses": 1, "share": 250},
    "RewardSpent": {"payee": ("Key", 7), "payee_share": 750, "custodian_share": 250},
    "AllowanceDecreased": {"refunded": 0},
    "CampaignClosed": {"refunded": 0},
    "RewardWithdrawn": {"amount": 750},
    "KeyCreditWithdrawn": {"amount": 750},
}  # fmt: skip
OF_POOLS = ("Reward", "Custodian", "KeyCredit", "Campaign", "Allowance")
GLASS = {"accessor": HOSPITAL, "purpose": BREAK_THE_GLASS, "decision": "Emergency", "at": 48 * HOUR}


def raised(name: str, /, **fields: Any) -> Raised:
    """An event with what the scenes below are about, or with something else."""
    source = POOL if name.startswith(OF_POOLS) else MEDSYNC
    keys = dict(KEYS.get(name, {"campaign": CAMPAIGN}))
    data = {"seq": 1, "at": 10} | DATA.get(name, {})
    keys |= {field: value for field, value in fields.items() if field in keys}
    data |= {field: value for field, value in fields.items() if field not in keys}
    return Raised(source, name, keys, data)


REGISTERED, GIVEN, PERMITTED = raised("EntityRegistered"), raised("ConsentAdded"), raised("AccessLogged")
WITHDRAWN, OPENED = raised("ConsentRevoked"), raised("CampaignOpened")
BY_GUARDIAN = raised("ConsentAdded", by=GUARDIAN, generation=0)
PAID = [
    REGISTERED, OPENED, raised("ConsentAdded", campaign=CAMPAIGN), raised("AccessLogged", campaign=CAMPAIGN),
]  # fmt: skip
ADMITTED = [raised("EntityRegistered", entity=HOSPITAL, role="Hospital", at=0)]
BROKEN = [*ADMITTED, raised("AccessLogged", **GLASS)]
SIGNED = [raised("ConsentAdded", nonce=2**32 + 1)]

# Histories without fault, each with a last event that no faultless contract would add.
EVENTS: list[tuple[str, list[Raised], Raised]] = [
    *(
        ("no_permit_without_a_live_consent", [REGISTERED, GIVEN], raised("AccessLogged", **fields))
        for fields in (
            {"at": 9}, {"at": 20}, {"categories": 1}, {"categories": 0}, {"version": 0}, {"version": 2},
            {"campaign": 1}, {"scoped": True},
        )
    ),
    ("no_permit_without_a_live_consent", [REGISTERED, GIVEN, PERMITTED], raised("AccessLogged", seq=2)),
    ("no_permit_without_a_live_consent", [REGISTERED, GIVEN, WITHDRAWN], raised("AccessLogged", version=2)),
    (
        "no_permit_without_a_live_consent",
        [REGISTERED, raised("ConsentAdded", generation=0), raised("AllConsentsRevoked")],
        PERMITTED,
    ),
    (
        "what_was_revoked_never_revives",
        [REGISTERED, GIVEN, WITHDRAWN, raised("ConsentAdded", version=3)],
        PERMITTED,
    ),
    ("what_was_revoked_never_revives", [REGISTERED, GIVEN, raised("AllConsentsRevoked")], PERMITTED),
    (
        "what_was_revoked_never_revives",
        [REGISTERED, GIVEN, raised("ConsentRefused", version=2)],
        PERMITTED,
    ),
    ("refused_purposes_permit_nothing", [REGISTERED, GIVEN, raised("PurposeRefused")], PERMITTED),
    ("refused_purposes_permit_nothing", [raised("PurposeRefused")], GIVEN),
    ("nobody_suspended_or_unknown_leaves_a_trace", [], raised("AccessLogged", decision="Deny")),
    (
        "nobody_suspended_or_unknown_leaves_a_trace",
        [REGISTERED, raised("EntitySuspended")],
        raised("DeletionStated"),
    ),
    ("glass_is_broken_only_as_the_patient_chose", [REGISTERED], raised("AccessLogged", decision="Emergency")),
    (
        "glass_is_broken_only_as_the_patient_chose",
        ADMITTED,
        raised("AccessLogged", **GLASS | {"at": 48 * HOUR - 1}),
    ),
    (
        "glass_is_broken_only_as_the_patient_chose",
        [*ADMITTED, raised("EntityReinstated", entity=HOSPITAL, at=1)],
        raised("AccessLogged", **GLASS),
    ),
    *(
        ("glass_is_broken_only_as_the_patient_chose", [*ADMITTED, *said], raised("AccessLogged", **GLASS))
        for said in (
            [raised("EmergencyHospitalSet")],
            [raised("EmergencyChoiceSet")],
            [raised("EmergencyChoiceSet", choice="Nobody"), raised("EmergencyHospitalSet", allowed=True)],
        )
    ),
    ("emergencies_are_answered_once", BROKEN, raised("EmergencyJustified", accessor=RESEARCHER)),
    ("emergencies_are_answered_once", BROKEN, raised("EmergencyJustified", at=120 * HOUR + 1)),
    *(
        ("emergencies_are_answered_once", [*BROKEN, raised(name, seq=2)], raised(name, seq=3))
        for name in ("EmergencyJustified", "EmergencyContested")
    ),
    ("entries_follow_one_another", [], raised("AccessLogged", decision="Deny", seq=2)),
    ("entries_follow_one_another", [REGISTERED, GIVEN, PERMITTED], raised("AccessLogged", decision="Deny")),
    ("entries_follow_one_another", [GIVEN], raised("ConsentRevoked", seq=3)),
    ("entries_follow_one_another", [REGISTERED], raised("EntitySuspended", seq=1)),
    *(
        ("panic_buttons_void_whole_series", [button], raised("ConsentAdded", nonce=2**32 + 1))
        for button in (
            raised("AllConsentsRevoked"),
            raised("SignaturesCancelled"),
            raised("ConsentRevoked", nonce=2**32, version=1, generation=2),
        )
    ),
    ("panic_buttons_void_whole_series", SIGNED, raised("ConsentAdded", nonce=2**32 + 1, version=2)),
    ("panic_buttons_void_whole_series", SIGNED, raised("ConsentAdded", nonce=2**32 + 3, version=2)),
    (
        "no_withdrawal_works_twice",
        [raised("ConsentRevoked", nonce=3 * 2**32, version=1)],
        raised("ConsentRevoked", nonce=3 * 2**32),
    ),
    (
        "no_withdrawal_works_twice",
        [raised("ConsentAdded", generation=2)],
        raised("ConsentRevoked", nonce=2**32),
    ),
    ("versions_and_generations_only_grow", [], raised("ConsentAdded", version=2)),
    ("versions_and_generations_only_grow", [GIVEN], raised("ConsentRevoked", version=1)),
    ("versions_and_generations_only_grow", [GIVEN], raised("ConsentRefused", version=1)),
    ("versions_and_generations_only_grow", [], raised("AllConsentsRevoked", generation=1)),
    (
        "versions_and_generations_only_grow",
        [raised("SignaturesCancelled")],
        raised("SignaturesCancelled", generation=2),
    ),
    (
        "versions_and_generations_only_grow",
        [],
        raised("ConsentRevoked", nonce=2**32, version=1, generation=1),
    ),
    *(
        (
            "delegates_never_undo_a_patients_decision",
            before,
            raised("ConsentAdded", by=GUARDIAN, version=version, generation=generation, at=11),
        )
        for before, version, generation in (
            ([GIVEN], 2, 1),
            ([GIVEN, WITHDRAWN], 3, 1),
            ([raised("ConsentRefused")], 2, 1),
            ([BY_GUARDIAN, raised("ConsentAdded", version=2)], 3, 1),
            ([BY_GUARDIAN, raised("AllConsentsRevoked")], 2, 0),
            ([BY_GUARDIAN], 2, 1),
            ([], 1, 1),
        )
    ),
    ("only_what_was_permitted_is_settled", [OPENED], raised("RewardSettled")),
    ("only_what_was_permitted_is_settled", [*PAID, raised("RewardSettled")], raised("RewardSettled")),
    ("only_what_was_permitted_is_settled", PAID, raised("RewardSettled", share=751)),
    ("only_what_was_permitted_is_settled", PAID, raised("CustodianSettled", uses=2, share=500)),
    ("only_what_was_permitted_is_settled", [*PAID, raised("CustodianSettled")], raised("CustodianSettled")),
    ("only_what_was_permitted_is_settled", PAID, raised("CustodianSettled", share=249)),
    ("only_what_was_permitted_is_settled", [OPENED], raised("RewardSpent", payee_share=751)),
    ("nobody_draws_more_than_was_credited", [], raised("RewardWithdrawn")),
    (
        "nobody_draws_more_than_was_credited",
        [*PAID, raised("RewardSettled"), raised("RewardWithdrawn", amount=700)],
        raised("RewardWithdrawn", amount=51),
    ),
    (
        "nobody_draws_more_than_was_credited",
        [OPENED, raised("RewardSpent")],
        raised("RewardWithdrawn", owner=7),
    ),
    (
        "nobody_draws_more_than_was_credited",
        [OPENED, raised("RewardSpent")],
        raised("KeyCreditWithdrawn", amount=751),
    ),
    *(
        ("closed_campaigns_stay_closed", [OPENED, raised("CampaignClosed")], raised(name))
        for name in ("RewardDeposited", "AllowanceIncreased", "CampaignClosed", "CampaignCloseAnnounced")
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "history", "last"), EVENTS)
def test_events_that_must_not_be(name: str, history: list[Raised], last: Raised) -> None:
    (broken,) = [check for check in OF_EVENTS if check.__name__ == name]
    witness = Witness()
    for event in history:
        broken(witness, event)
        witness.remember(event)
    with pytest.raises(AssertionError):
        broken(witness, last)


def test_history_without_fault_is_accepted() -> None:
    """Every kind of event that a check looks at, as a faultless contract would add it."""
    witness = Witness()
    witness.see(
        [
            raised("EntityRegistered", at=0),
            raised("EntityRegistered", entity=HOSPITAL, role="Hospital", seq=2, at=0),
            OPENED,
            raised("ConsentAdded", nonce=2**32 + 1, campaign=CAMPAIGN),
            raised("AccessLogged", campaign=CAMPAIGN),
            raised("RewardSettled"),
            raised("CustodianSettled"),
            raised("RewardWithdrawn"),
            raised("RewardSpent"),
            raised("KeyCreditWithdrawn"),
            raised("ConsentRevoked", seq=2, nonce=2**32, generation=2),
            raised("AllConsentsRevoked", seq=3, generation=3),
            raised("SignaturesCancelled", seq=4, generation=4),
            raised("ConsentAdded", seq=5, version=3, generation=4, nonce=4 * 2**32 + 1, at=11),
            raised("EmergencyHospitalSet", seq=6, allowed=True),
            raised("EmergencyChoiceSet", seq=7),
            raised("AccessLogged", seq=2, **GLASS),
            raised("EmergencyJustified", seq=3, emergency=2, at=120 * HOUR),
            raised("EmergencyContested", seq=4, emergency=2, at=500 * HOUR),
            raised("ConsentAdded", seq=8, version=4, generation=4, by=GUARDIAN, at=20),
            raised("PurposeRefused", seq=9),
            raised("EntitySuspended", seq=3),
        ]
    )
    assert len(witness.seen) == 22


TERMS_OF_CAMPAIGN = CampaignTerms(POOL, RESEARCHER, PURPOSE, STUDY, 1_000, HOSPITAL, 2_500, 100, 0, 0)
ID = campaign_id(TERMS_OF_CAMPAIGN)
OF_SPENDER = CampaignTerms(POOL, RESEARCHER, PURPOSE, STUDY, 10, 0, 0, 100, GUARDIAN, 0)
KEY = (PATIENT, RESEARCHER, PURPOSE, STUDY)


def scene() -> System:
    """A pool with two campaigns, in the places where invariants look. Of six uses of the first, one was taken
    back and two were spent: one is settled for the patient, none for the custodian. Of three uses of the
    second, its spender spent one for the holder of a key."""
    world = World(chain_id=0, medsync=MEDSYNC, admin=1, deployed_at=1)
    pool = Pool(TOKEN, liabilities=6_030)
    pool.campaigns[ID] = Campaign("Open", granted=6, taken=1)
    pool.campaigns[campaign_id(OF_SPENDER)] = Campaign("Open", granted=3, spent=1)
    pool.credits = {PATIENT: Credit(claimable=750), RESEARCHER: Credit(claimable=1_000)}
    pool.keys[7] = KeyCredit(claimable=10)
    state = world.state
    state.budgets[ID, RESEARCHER] = Budget(left=3, paid=2, expires_at=100)
    state.paid[KEY, ID] = PaidUses(version=1, paid=2, base=1, settled=1)
    state.pools[POOL] = pool
    state.tokens[TOKEN] = HonestToken({POOL: 6_030})
    state.entities[RESEARCHER] = Entity("Researcher")
    state.consents[KEY] = Consent("Withdrawn", expires_at=20, categories=1, version=2, generation=1)
    witness = Witness()
    witness.paid[ID, PATIENT, RESEARCHER] = 2
    credited = {(POOL, PATIENT): 750}
    return cast(
        System,
        SimpleNamespace(
            world=world,
            witness=witness,
            now=10,
            campaigns={ID: TERMS_OF_CAMPAIGN, campaign_id(OF_SPENDER): OF_SPENDER},
            credited_before=dict(credited),
            credited=lambda: credited,
            campaign_of=lambda key: 0,
            departures=lambda order: [],
            withdrawals=lambda order: [],
            is_honest=lambda token: True,
            try_out=lambda transactions: after(world),
        ),
    )


def after(world: World) -> World:
    """Everybody was settled with and left."""
    left = deepcopy(world)
    pool = left.state.pools[POOL]
    for credit in pool.credits.values():
        credit.claimable, credit.withdrawn = 0, credit.claimable
    pool.keys[7].claimable = 0
    left.state.paid[KEY, ID].settled = left.state.budgets[ID, RESEARCHER].custodian_settled = 2
    pool.liabilities = 3 * 1_000 + 2 * 10
    return left


def holds_less(system: Any) -> None:
    system.world.state.tokens[TOKEN].balances[POOL] -= 1


def says_it_owes_less(system: Any) -> None:
    system.world.state.pools[POOL].liabilities -= 1


def settles_without_credit(system: Any) -> None:
    system.world.state.paid[KEY, ID].settled += 1


def settles_a_share_without_credit(system: Any) -> None:
    system.world.state.budgets[ID, RESEARCHER].custodian_settled += 1


def credits_without_spending(system: Any) -> None:
    system.world.state.pools[POOL].keys[7].claimable += 10


def spends_without_a_consent(system: Any) -> None:
    budget = system.world.state.budgets[ID, RESEARCHER]
    budget.left, budget.paid = budget.left - 1, budget.paid + 1


def takes_back_twice(system: Any) -> None:
    system.world.state.pools[POOL].campaigns[ID].taken += 1


def spends_too_often(system: Any) -> None:
    system.world.state.pools[POOL].campaigns[campaign_id(OF_SPENDER)].spent = 4


def pays_without_an_entry(system: Any) -> None:
    system.witness.paid[ID, PATIENT, RESEARCHER] -= 1


def settles_too_much(system: Any) -> None:
    system.world.state.paid[KEY, ID].settled = 3


def settles_too_large_a_share(system: Any) -> None:
    system.world.state.budgets[ID, RESEARCHER].custodian_settled = 3


def takes_credit_back(system: Any) -> None:
    system.credited_before[POOL, PATIENT] += 1


def has_no_administrator(system: Any) -> None:
    system.world.state.admin = 0


def has_an_entity_for_administrator(system: Any) -> None:
    system.world.state.admin = RESEARCHER


def keeps_a_consent(system: Any) -> None:
    world = after(system.world)
    world.state.consents[KEY].status = "Given"
    system.try_out = lambda transactions: world


def keeps_a_delegate(system: Any) -> None:
    world = after(system.world)
    world.state.delegations[PATIENT, GUARDIAN] = Delegation(powers=1, expires_at=99)
    system.try_out = lambda transactions: world


def keeps_a_unit(system: Any) -> None:
    world = after(system.world)
    world.state.pools[POOL].credits[PATIENT].claimable = 1
    system.try_out = lambda transactions: world


def keeps_a_key_waiting(system: Any) -> None:
    world = after(system.world)
    world.state.pools[POOL].keys[7].claimable = 10
    system.try_out = lambda transactions: world


def keeps_a_share_unsettled(system: Any) -> None:
    world = after(system.world)
    world.state.pools[POOL].liabilities += 250
    system.try_out = lambda transactions: world


BOOKS: list[tuple[str, Callable[[Any], None]]] = [
    ("pools_can_pay_what_they_owe", holds_less),
    ("pools_can_pay_what_they_owe", says_it_owes_less),
    ("pools_can_pay_what_they_owe", settles_without_credit),
    ("pools_can_pay_what_they_owe", settles_a_share_without_credit),
    ("pools_can_pay_what_they_owe", credits_without_spending),
    ("budgets_add_up", spends_without_a_consent),
    ("budgets_add_up", takes_back_twice),
    ("budgets_add_up", spends_too_often),
    ("each_paid_use_has_its_entry", pays_without_an_entry),
    ("each_paid_use_has_its_entry", settles_too_much),
    ("each_paid_use_has_its_entry", settles_too_large_a_share),
    ("credit_is_never_lost", takes_credit_back),
    ("the_office_is_never_empty", has_no_administrator),
    ("the_office_is_never_empty", has_an_entity_for_administrator),
    ("patients_can_always_leave", keeps_a_consent),
    ("patients_can_always_leave", keeps_a_delegate),
    ("creditors_can_always_settle_and_withdraw", keeps_a_unit),
    ("creditors_can_always_settle_and_withdraw", keeps_a_key_waiting),
    ("creditors_can_always_settle_and_withdraw", keeps_a_share_unsettled),
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

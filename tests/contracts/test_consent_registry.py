"""Giving, renewing, withdrawing, asking and refusing: what a patient does, one record per grantee and
purpose."""

from typing import Any

import pytest

from tests.harness.chain import Call
from tests.harness.driver import Raised
from tests.harness.words import ALL_CATEGORIES, DAY, MAX_TIME, MAX_U32, PURPOSES, felt
from tests.harness.world import World, assert_refused

HRESCH = felt("HRESCH")


def record(world: World, **changes: Any) -> dict[str, Any]:
    """The stored consent as it is right after `world.give()`."""
    return {
        "starts_at": world.now,
        "expires_at": world.now + DAY,
        "categories": ALL_CATEGORIES,
        "version": 1,
        "epoch": 0,
        "max_uses": 0,
        "uses": 0,
        "status": "Given",
        "campaign": 0,
    } | changes


def stored(world: World, **changes: Any) -> dict[str, Any]:
    arguments = {"patient": world.patient, "grantee": world.researcher, "purpose": HRESCH} | changes
    answer = world.read("consent", **arguments)
    assert isinstance(answer, dict)
    return answer


def added(world: World, terms: dict[str, Any], **changes: Any) -> Raised:
    fields = {
        "patient": world.patient,
        "grantee": world.researcher,
        "purpose": terms["purpose"],
        "by": world.patient,
        "version": 1,
        "epoch": 0,
        "categories": terms["categories"],
        "starts_at": terms["starts_at"],
        "expires_at": terms["expires_at"],
        "max_uses": terms["max_uses"],
        "campaign": 0,
        "terms_commitment": terms["terms_commitment"],
    }
    return world.raised("ConsentAdded", **(fields | changes))


def revoked(world: World, **changes: Any) -> Raised:
    fields = {
        "patient": world.patient,
        "grantee": world.researcher,
        "purpose": HRESCH,
        "by": world.patient,
        "version": 2,
    }
    return world.raised("ConsentRevoked", **(fields | changes))


# --- add_consent --------------------------------------------------------------------------------------------


def test_gives_a_consent(world: World) -> None:
    terms = world.terms(categories=0b101, max_uses=3, terms_commitment=77)
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.result == 1
    assert receipt.events == [added(world, terms)]
    assert stored(world) == record(world, categories=0b101, max_uses=3)
    assert receipt.cells[world.medsync.address] == 1


def test_a_consent_never_given_is_empty(world: World) -> None:
    assert stored(world) == record(world, starts_at=0, expires_at=0, categories=0, version=0, status="None")


def test_renewal_replaces_everything(world: World) -> None:
    world.give(max_uses=2)
    world.ask()
    assert stored(world)["uses"] == 1
    world.wait(10)
    terms = world.terms(categories=1 << 7, max_uses=9, terms_commitment=0)
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.result == 2
    assert receipt.events == [added(world, terms, version=2)]
    assert stored(world) == record(world, version=2, categories=1 << 7, max_uses=9)


def test_purposes_and_grantees_do_not_overwrite_each_other(world: World) -> None:
    pairs = [
        (grantee, purpose)
        for grantee in (world.researcher, world.hospital)
        for purpose in ("HRESCH", "TREAT")
    ]
    for place, (grantee, purpose) in enumerate(pairs):
        terms = world.terms(purpose=felt(purpose), max_uses=place + 1)
        assert world.send(world.patient, "add_consent", grantee=grantee, terms=terms).result == 1
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=felt("TREAT"))
    for place, (grantee, purpose) in enumerate(pairs):
        consent = stored(world, grantee=grantee, purpose=felt(purpose))
        withdrawn = (grantee, purpose) == (world.researcher, "TREAT")
        assert (consent["max_uses"], consent["status"]) == (place + 1, "Withdrawn" if withdrawn else "Given")


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_purpose_can_be_consented_to(world: World, purpose: str) -> None:
    terms = world.give(purpose=felt(purpose))
    assert world.verdict(purpose=terms["purpose"]) == ("Permit", "Granted", 1)


@pytest.mark.parametrize("who", ["hospital", "researcher", "auditor", "suspended"])
def test_every_registered_entity_can_be_a_grantee(world: World, who: str) -> None:
    """A suspended one too: what it may do is decided when it asks."""
    grantee = getattr(world, who)
    assert world.send(world.patient, "add_consent", grantee=grantee, terms=world.terms()).result == 1


@pytest.mark.parametrize(
    "change",
    [
        {"categories": 1},
        {"categories": ALL_CATEGORIES},
        {"starts_at": 0},
        {"starts_at": MAX_TIME - 1, "expires_at": MAX_TIME},
        {"expires_at": MAX_TIME},
        {"max_uses": MAX_U32},
        {"terms_commitment": 0},
        {"terms_commitment": 2**251 + 17 * 2**192},
    ],
    ids=str,
)
def test_widest_and_narrowest_terms(world: World, change: dict[str, int]) -> None:
    terms = world.terms(**change)
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.events == [added(world, terms)]
    kept = {field: value for field, value in change.items() if field != "terms_commitment"}
    assert stored(world) == record(world, **kept)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_consent_must_outlive_its_birth(world: World, offset: int) -> None:
    terms = world.terms(starts_at=0, expires_at=world.now + offset)
    if offset > 0:
        world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    else:
        world.refuses(
            "CONSENT/EXPIRED_AT_BIRTH", world.patient, "add_consent", grantee=world.researcher, terms=terms
        )


BAD_TERMS = [
    ("CONSENT/BAD_PURPOSE", {"purpose": 0}),
    ("CONSENT/BAD_PURPOSE", {"purpose": felt("treat")}),
    ("CONSENT/BAD_PURPOSE", {"purpose": felt("HMARKT")}),
    ("CONSENT/BAD_PURPOSE", {"purpose": felt("HRESCH ")}),
    ("CONSENT/BAD_CATEGORIES", {"categories": 0}),
    ("CONSENT/BAD_CATEGORIES", {"categories": ALL_CATEGORIES + 1}),
    ("CONSENT/BAD_CATEGORIES", {"categories": MAX_U32}),
    ("CONSENT/EMPTY_WINDOW", {"starts_at": MAX_TIME, "expires_at": MAX_TIME}),
    ("CONSENT/EMPTY_WINDOW", {"starts_at": MAX_TIME, "expires_at": MAX_TIME - 1}),
    ("CONSENT/EMPTY_WINDOW", {"starts_at": 0, "expires_at": 0}),
    ("CONSENT/EXPIRED_AT_BIRTH", {"starts_at": 0, "expires_at": 1}),
    ("CONSENT/TIME_RANGE", {"expires_at": MAX_TIME + 1}),
    ("CONSENT/TIME_RANGE", {"expires_at": 2**64 - 1}),
    # Nanoseconds where seconds belong: they are refused, not taken for a far future.
    ("CONSENT/TIME_RANGE", {"expires_at": 1_767_225_600 * 10**9}),
]


@pytest.mark.parametrize(("error", "change"), BAD_TERMS, ids=str)
@pytest.mark.parametrize("function", ["add_consent", "request_consent"])
def test_malformed_terms_are_refused(world: World, function: str, error: str, change: dict[str, int]) -> None:
    terms = world.terms(**change)
    if function == "add_consent":
        world.refuses(error, world.patient, function, grantee=world.researcher, terms=terms)
    else:
        world.refuses(error, world.researcher, function, patient=world.patient, terms=terms)


def test_who_can_be_a_grantee(world: World) -> None:
    for error, grantee in (
        ("CONSENT/ZERO_ADDRESS", 0),
        ("CONSENT/SELF_GRANT", world.patient),
        ("ENTITY/UNKNOWN", world.stranger),
    ):
        world.refuses(error, world.patient, "add_consent", grantee=grantee, terms=world.terms())


def test_an_entity_cannot_consent_to_itself(world: World) -> None:
    world.refuses(
        "CONSENT/SELF_GRANT", world.hospital, "add_consent", grantee=world.hospital, terms=world.terms()
    )


def test_errors_come_in_the_order_of_the_fields(world: World) -> None:
    """Everything is wrong at once; repaired one by one, the next error shows."""
    bad = world.terms(
        purpose=0, categories=0, starts_at=5, expires_at=4, reward=world.campaign(purpose=felt("TREAT"))
    )
    steps: list[tuple[str, int, dict[str, Any]]] = [
        ("CONSENT/ZERO_ADDRESS", 0, {}),
        ("CONSENT/SELF_GRANT", world.patient, {}),
        ("CONSENT/BAD_PURPOSE", world.stranger, {}),
        ("CONSENT/BAD_CATEGORIES", world.stranger, {"purpose": HRESCH}),
        ("CONSENT/EMPTY_WINDOW", world.stranger, {"categories": 1}),
        ("CONSENT/EXPIRED_AT_BIRTH", world.stranger, {"starts_at": 3}),
        ("CONSENT/TIME_RANGE", world.stranger, {"expires_at": MAX_TIME + 1}),
        ("CONSENT/CAMPAIGN_PURPOSE", world.stranger, {"expires_at": MAX_TIME}),
        ("ENTITY/UNKNOWN", world.stranger, {"reward": world.campaign()}),
        ("CONSENT/CAMPAIGN_NOT_OPEN", world.researcher, {}),
    ]
    for error, grantee, repair in steps:
        bad |= repair
        world.refuses(error, world.patient, "add_consent", grantee=grantee, terms=bad)
    world.fund(bad["reward"], 1)
    world.send(world.patient, "add_consent", grantee=world.researcher, terms=bad)


@pytest.mark.parametrize(
    ("field", "place", "value"),
    [("categories", 1, 2**32), ("starts_at", 2, 2**64), ("expires_at", 3, 2**64), ("max_uses", 4, 2**32)],
)
def test_values_wider_than_their_type_are_refused(world: World, field: str, place: int, value: int) -> None:
    del field
    call = world.call("add_consent", grantee=world.researcher, terms=world.terms())
    felts = list(call.calldata)
    felts[1 + place] = value
    assert_refused(
        world.execute(world.patient, call._replace(calldata=felts)), "Failed to deserialize param #2"
    )


@pytest.mark.parametrize("change", ["longer", "shorter", "option"])
def test_calldata_of_another_shape_is_refused(world: World, change: str) -> None:
    call = world.call("add_consent", grantee=world.researcher, terms=world.terms())
    felts, error = {
        "longer": ([*call.calldata, 0], "Input too long for arguments"),
        "shorter": (call.calldata[:-1], "Failed to deserialize param #2"),
        "option": ([*call.calldata[:-2], 2, 0], "Failed to deserialize param #2"),
    }[change]
    assert_refused(world.execute(world.patient, call._replace(calldata=felts)), error)


# --- add_consent with a reward ------------------------------------------------------------------------------


def test_a_consent_can_insist_on_a_campaign(world: World) -> None:
    reward = world.campaign()
    world.fund(reward, 1000)
    campaign = world.read("campaign", terms=reward)["id"]
    terms = world.terms(reward=reward)
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.result == 1
    assert receipt.events == [added(world, terms, campaign=campaign)]
    assert stored(world) == record(world, campaign=campaign)
    assert receipt.cells[world.medsync.address] == 2
    assert receipt.cells[world.pool.address] == 0

    # A renewal without one no longer insists, and a further one with another insists on that.
    world.give()
    assert stored(world) == record(world, version=2)
    other = world.campaign(salt=2)
    world.fund(other, 1000)
    world.give(reward=other)
    assert stored(world)["campaign"] == world.read("campaign", terms=other)["id"]


def test_a_reward_must_be_for_the_same_purpose(world: World) -> None:
    reward = world.campaign(purpose=felt("CLINTRCH"))
    world.fund(reward, 1000)
    for sender, function, whom in (
        (world.patient, "add_consent", {"grantee": world.researcher}),
        (world.researcher, "request_consent", {"patient": world.patient}),
    ):
        world.refuses("CONSENT/CAMPAIGN_PURPOSE", sender, function, **whom, terms=world.terms(reward=reward))


def test_a_campaign_must_be_open(world: World) -> None:
    reward = world.campaign(expires_at=world.now + 10)
    arguments = {"grantee": world.researcher, "terms": world.terms(reward=reward)}
    world.refuses("CONSENT/CAMPAIGN_NOT_OPEN", world.patient, "add_consent", **arguments)
    world.fund(reward, 1)
    world.send(world.patient, "add_consent", **arguments)
    world.wait(10)
    world.send(world.funder, "close_campaign", terms=reward)
    world.refuses("CONSENT/CAMPAIGN_NOT_OPEN", world.patient, "add_consent", **arguments)


@pytest.mark.parametrize(
    "change", [{"rate": 1001}, {"custodian_bps": 999}, {"salt": 2}, {"custodian": 1}], ids=str
)
def test_other_terms_are_another_campaign(world: World, change: dict[str, int]) -> None:
    world.fund(world.campaign(), 1000)
    terms = world.terms(reward=world.campaign(**change))
    world.refuses(
        "CONSENT/CAMPAIGN_NOT_OPEN", world.patient, "add_consent", grantee=world.researcher, terms=terms
    )


def test_a_pool_of_another_medsync_is_refused(world: World) -> None:
    other = world.deploy("MedSync", world.admin)
    pool = world.new_pool(world.token.address, other.address)
    reward = world.campaign(pool=pool.address)
    world.fund(reward, 1000, pool)
    terms = world.terms(reward=reward)
    world.refuses("CONSENT/FOREIGN_POOL", world.patient, "add_consent", grantee=world.researcher, terms=terms)


@pytest.mark.parametrize("who", ["token", "medsync"])
def test_a_contract_that_is_no_pool_is_refused(world: World, who: str) -> None:
    terms = world.terms(reward=world.campaign(pool=getattr(world, who).address))
    world.refuses("CONSENT/NOT_A_POOL", world.patient, "add_consent", grantee=world.researcher, terms=terms)


def test_an_account_is_no_pool(world: World) -> None:
    terms = world.terms(reward=world.campaign(pool=world.hospital))
    world.refuses("CONSENT/NOT_A_POOL", world.patient, "add_consent", grantee=world.researcher, terms=terms)


@pytest.mark.parametrize("pool", [0, 0xDEAD])
def test_an_address_without_contract_fails_with_the_nodes_own_error(world: World, pool: int) -> None:
    """No contract can catch this; which is why it must happen here and not when access is asked for."""
    call = world.call(
        "add_consent", grantee=world.researcher, terms=world.terms(reward=world.campaign(pool=pool))
    )
    outcome = world.execute(world.patient, call)
    assert outcome.error is not None
    assert "is not deployed" in outcome.reason
    assert not any(outcome.cells.values())
    assert stored(world)["status"] == "None"


# --- revoke_consent -----------------------------------------------------------------------------------------


def test_withdraws_a_consent(world: World) -> None:
    world.give()
    given = record(world)
    world.wait(1)
    receipt = world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    assert receipt.result is None
    assert receipt.events == [revoked(world)]
    assert stored(world) == given | {"version": 2, "status": "Withdrawn"}
    assert world.verdict() == ("Deny", "Withdrawn", 2)
    assert receipt.cells[world.medsync.address] == 1


def test_withdrawing_twice_is_a_new_version_and_succeeds(world: World) -> None:
    world.give()
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    before = stored(world)
    receipt = world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    assert receipt.result is None
    assert receipt.events == [revoked(world, version=3)]
    assert stored(world) == before | {"version": 3}


@pytest.mark.parametrize("change", ["grantee", "purpose", "patient"])
def test_what_was_never_given_cannot_be_withdrawn(world: World, change: str) -> None:
    world.give()
    arguments = {"grantee": world.researcher, "purpose": HRESCH}
    if change == "grantee":
        arguments["grantee"] = world.hospital
    if change == "purpose":
        arguments["purpose"] = felt("TREAT")
    sender = world.neighbour if change == "patient" else world.patient
    world.refuses("CONSENT/NOT_FOUND", sender, "revoke_consent", **arguments)
    assert world.verdict()[0] == "Permit"


@pytest.mark.parametrize("state", ["expired", "not started", "all revoked", "exhausted", "grantee suspended"])
def test_a_consent_that_is_not_live_can_be_withdrawn(world: World, state: str) -> None:
    world.give(starts_at=world.now + (100 if state == "not started" else 0), max_uses=1)
    if state == "expired":
        world.wait(DAY)
    elif state == "all revoked":
        world.send(world.patient, "revoke_all")
    elif state == "exhausted":
        world.ask()
    elif state == "grantee suspended":
        world.send(world.admin, "suspend_entity", address=world.researcher)
    receipt = world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    assert receipt.events == [revoked(world)]
    assert stored(world)["status"] == "Withdrawn"


def test_a_withdrawn_consent_can_be_given_anew(world: World) -> None:
    world.give(max_uses=1)
    world.ask()
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    world.give(max_uses=1)
    assert stored(world) == record(world, version=3, max_uses=1)
    assert world.ask().result["decision"] == "Permit"


# --- revoke_all ---------------------------------------------------------------------------------------------


def test_withdraws_everything_at_one_stroke(world: World) -> None:
    world.give()
    world.give(purpose=felt("TREAT"))
    world.send(world.patient, "add_consent", grantee=world.hospital, terms=world.terms())
    receipt = world.send(world.patient, "revoke_all")
    assert receipt.result is None
    assert receipt.events == [
        world.raised("AllConsentsRevoked", patient=world.patient, by=world.patient, epoch=1, nonce=1)
    ]
    assert receipt.cells[world.medsync.address] == 1
    assert world.read("patient_state", patient=world.patient) == {
        "epoch": 1,
        "nonce": 1,
        "emergency_opt_out": False,
    }
    for change in ({}, {"purpose": felt("TREAT")}, {"grantee": world.hospital}):
        assert world.verdict(**change) == ("Deny", "AllRevoked", 1)
    # The records themselves are untouched.
    assert stored(world) == record(world)


def test_what_is_given_afterwards_lives(world: World) -> None:
    world.give()
    world.send(world.patient, "revoke_all")
    terms = world.terms()
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.events == [added(world, terms, version=2, epoch=1)]
    assert stored(world) == record(world, version=2, epoch=1)
    assert world.verdict() == ("Permit", "Granted", 2)
    assert world.send(world.patient, "revoke_all").events == [
        world.raised("AllConsentsRevoked", patient=world.patient, by=world.patient, epoch=2, nonce=2)
    ]
    assert world.verdict() == ("Deny", "AllRevoked", 2)


def test_nobody_else_is_touched(world: World) -> None:
    world.send(world.neighbour, "add_consent", grantee=world.researcher, terms=world.terms())
    world.send(world.patient, "revoke_all")
    assert world.verdict(patient=world.neighbour) == ("Permit", "Granted", 1)


def test_everything_can_be_withdrawn_before_anything_was_given(world: World) -> None:
    world.send(world.patient, "revoke_all")
    world.give()
    assert world.verdict() == ("Permit", "Granted", 1)


# --- refuse_consent -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("grantee", ["researcher", "suspended", "stranger", "patient"])
def test_refusing_says_so_and_changes_nothing(world: World, grantee: str) -> None:
    world.give()
    receipt = world.send(world.patient, "refuse_consent", grantee=getattr(world, grantee), purpose=HRESCH)
    assert receipt.result is None
    assert receipt.events == [
        world.raised(
            "ConsentRefused",
            patient=world.patient,
            grantee=getattr(world, grantee),
            purpose=HRESCH,
            by=world.patient,
        )
    ]
    assert not any(receipt.cells.values())
    assert world.verdict() == ("Permit", "Granted", 1)


def test_a_refusal_names_a_grantee_and_a_purpose(world: World) -> None:
    for error, grantee, purpose in (
        ("CONSENT/ZERO_ADDRESS", 0, HRESCH),
        ("CONSENT/BAD_PURPOSE", world.researcher, felt("HMARKT")),
    ):
        world.refuses(error, world.patient, "refuse_consent", grantee=grantee, purpose=purpose)


# --- request_consent ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["hospital", "researcher", "auditor"])
@pytest.mark.parametrize("rewarded", [False, True])
def test_an_entity_asks_for_a_consent(world: World, who: str, rewarded: bool) -> None:
    # The pool is not asked: these terms name an address without a contract.
    terms = world.terms(reward=world.campaign(pool=0xDEAD) if rewarded else None, max_uses=5)
    entity = getattr(world, who)
    receipt = world.send(entity, "request_consent", patient=world.patient, terms=terms)
    assert receipt.result is None
    fields = {
        field: terms[field]
        for field in ("categories", "starts_at", "expires_at", "max_uses", "reward", "terms_commitment")
    }
    assert receipt.events == [
        world.raised("ConsentRequested", patient=world.patient, grantee=entity, purpose=HRESCH, **fields)
    ]
    assert not any(receipt.cells.values())
    assert stored(world, grantee=entity)["status"] == "None"


def test_who_may_ask_whom(world: World) -> None:
    for error, sender, patient in (
        ("ENTITY/UNKNOWN", world.stranger, world.patient),
        ("ENTITY/UNKNOWN", world.admin, world.patient),
        ("ENTITY/SUSPENDED", world.suspended, world.patient),
        ("CONSENT/ZERO_ADDRESS", world.researcher, 0),
        ("CONSENT/SELF_GRANT", world.researcher, world.researcher),
    ):
        world.refuses(error, sender, "request_consent", patient=patient, terms=world.terms())


# --- what concerns a patient as a whole ---------------------------------------------------------------------


def test_emergency_access_can_be_forbidden_and_allowed_again(world: World) -> None:
    for opted_out in (True, True, False):
        receipt = world.send(world.patient, "set_emergency_opt_out", opted_out=opted_out)
        assert receipt.result is None
        assert receipt.events == [
            world.raised("EmergencyOptOutSet", patient=world.patient, opted_out=opted_out)
        ]
        assert world.read("patient_state", patient=world.patient) == {
            "epoch": 0,
            "nonce": 0,
            "emergency_opt_out": opted_out,
        }


def test_signed_messages_can_be_voided(world: World) -> None:
    for nonce in (1, 2):
        receipt = world.send(world.patient, "cancel_signatures")
        assert receipt.result is None
        assert receipt.events == [world.raised("SignaturesCancelled", patient=world.patient, nonce=nonce)]
        assert world.read("patient_state", patient=world.patient)["nonce"] == nonce


def test_a_patients_state_keeps_its_parts_apart(world: World) -> None:
    """Three numbers share one cell; changing one must not touch the others."""
    world.send(world.patient, "set_emergency_opt_out", opted_out=True)
    world.send(world.patient, "revoke_all")
    world.send(world.patient, "cancel_signatures")
    assert world.read("patient_state", patient=world.patient) == {
        "epoch": 1,
        "nonce": 2,
        "emergency_opt_out": True,
    }
    world.send(world.patient, "set_emergency_opt_out", opted_out=False)
    assert world.read("patient_state", patient=world.patient) == {
        "epoch": 1,
        "nonce": 2,
        "emergency_opt_out": False,
    }


def test_one_transaction_can_hold_many_steps(world: World) -> None:
    """A patient's multicall: withdraw whatever stands, give one consent anew. A repeated withdrawal does not
    fail it."""
    world.give()
    withdraw = world.call("revoke_consent", grantee=world.researcher, purpose=HRESCH)
    terms = world.terms()
    outcome = world.execute(
        world.patient, withdraw, withdraw, world.call("add_consent", grantee=world.researcher, terms=terms)
    )
    assert outcome.results == [[], [], [4]]
    assert outcome.events == [revoked(world), revoked(world, version=3), added(world, terms, version=4)]


def test_a_call_to_a_function_that_is_not_there(world: World) -> None:
    """The predecessor's way to act for another patient does not exist."""
    outcome = world.execute(world.stranger, Call(world.medsync.address, "grant_access", [world.patient, 1]))
    assert_refused(outcome, "ENTRYPOINT_NOT_FOUND")

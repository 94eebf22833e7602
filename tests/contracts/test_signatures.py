"""Consents and withdrawals that patients sign and anyone submits: what a signature covers, and what voids
it."""

from typing import Any

import pytest

from tests.harness.driver import Contract, selector
from tests.harness.snip12 import consent_hash, consent_message, revocation_message, signed
from tests.harness.words import DAY, MAX_U64, REVOKE, felt
from tests.harness.world import World

HRESCH = felt("HRESCH")
VALID = felt("VALID")


def nonce(world: World) -> int:
    state = world.read("patient_state", patient=world.patient)
    return int(state["nonce"])


# --- they work ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["relayer", "patient", "researcher", "stranger", "admin"])
def test_anyone_submits_a_signed_consent(world: World, who: str) -> None:
    """The event names the patient; who submitted it got nothing and is not named."""
    message = consent_message(world, terms=world.terms(max_uses=3, categories=5))
    terms = message["terms"]
    receipt = world.send(getattr(world, who), "add_consent_by_sig", **message)
    assert receipt.result == 1
    assert receipt.events == [
        world.raised("SignatureUsed", patient=world.patient, nonce=0),
        world.raised(
            "ConsentAdded",
            patient=world.patient,
            grantee=world.researcher,
            purpose=HRESCH,
            by=world.patient,
            version=1,
            epoch=0,
            categories=5,
            starts_at=terms["starts_at"],
            expires_at=terms["expires_at"],
            max_uses=3,
            campaign=0,
            terms_commitment=terms["terms_commitment"],
        ),
    ]
    assert nonce(world) == 1
    assert receipt.cells[world.medsync.address] == 2
    assert world.verdict(categories=5) == ("Permit", "Granted", 1)


def test_a_signed_consent_can_insist_on_a_reward(world: World) -> None:
    reward = world.campaign()
    world.fund(reward, 1000)
    receipt = world.send(
        world.relayer, "add_consent_by_sig", **consent_message(world, terms=world.terms(reward=reward))
    )
    assert receipt.events[1].data["campaign"] == world.read("campaign", terms=reward)["id"]
    assert world.ask(world.researcher, campaign=reward).result["reason"] == "AllowanceExceeded"


@pytest.mark.parametrize("who", ["relayer", "patient", "researcher", "stranger", "admin"])
def test_anyone_submits_a_signed_withdrawal(world: World, who: str) -> None:
    world.give()
    receipt = world.send(getattr(world, who), "revoke_consent_by_sig", **revocation_message(world))
    assert receipt.result is None
    assert receipt.events == [
        world.raised("SignatureUsed", patient=world.patient, nonce=0),
        world.raised(
            "ConsentRevoked",
            patient=world.patient,
            grantee=world.researcher,
            purpose=HRESCH,
            by=world.patient,
            version=2,
        ),
    ]
    assert world.verdict() == ("Deny", "Withdrawn", 2)
    assert nonce(world) == 1
    assert receipt.cells[world.medsync.address] == 2


def test_a_signed_withdrawal_of_what_is_withdrawn_is_a_new_version(world: World) -> None:
    world.give()
    message = revocation_message(world)
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    receipt = world.send(world.relayer, "revoke_consent_by_sig", **message)
    assert [event.name for event in receipt.events] == ["SignatureUsed", "ConsentRevoked"]
    assert nonce(world) == 1
    assert world.verdict() == ("Deny", "Withdrawn", 3)


def test_withdrawing_again_voids_a_consent_that_is_signed_and_not_submitted(world: World) -> None:
    """A patient withdraws, signs a new consent, thinks better of it, and withdraws once more."""
    world.give()
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    message = consent_message(world, version=3)
    assert world.simulate(world.relayer, world.call("add_consent_by_sig", **message)).error is None
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **message)


def test_a_signed_withdrawal_survives_a_renewal(world: World) -> None:
    """It names no version: what the patient wanted gone is gone, whatever happened in between."""
    world.give()
    message = revocation_message(world)
    world.give()
    world.send(world.relayer, "revoke_consent_by_sig", **message)
    assert world.verdict() == ("Deny", "Withdrawn", 3)


def test_what_was_never_given_cannot_be_withdrawn(world: World) -> None:
    world.refuses("CONSENT/NOT_FOUND", world.relayer, "revoke_consent_by_sig", **revocation_message(world))
    assert nonce(world) == 0


# --- what voids them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["add_consent_by_sig", "revoke_consent_by_sig"])
@pytest.mark.parametrize(("offset", "good"), [(-1, True), (0, True), (1, False)])
def test_the_deadline_is_exact(world: World, function: str, offset: int, good: bool) -> None:
    """The deadline is the last second a message is good for."""
    add = function == "add_consent_by_sig"
    if not add:
        world.give()
    message = (consent_message if add else revocation_message)(world)
    world.now = message["deadline"] + offset
    if good:
        world.send(world.relayer, function, **message)
    else:
        world.refuses("CONSENT/SIGNATURE_EXPIRED", world.relayer, function, **message)
    assert nonce(world) == int(good)


def test_a_message_without_deadline(world: World) -> None:
    world.send(world.relayer, "add_consent_by_sig", **consent_message(world, deadline=MAX_U64))


def test_a_message_is_good_once(world: World) -> None:
    message = consent_message(world)
    world.send(world.relayer, "add_consent_by_sig", **message)
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **message)

    message = revocation_message(world, nonce=1)
    world.send(world.relayer, "revoke_consent_by_sig", **message)
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "revoke_consent_by_sig", **message)
    # Nor can the consent be brought back with the old message under the new nonce.
    again = consent_message(world) | {"nonce": 2}
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **again)
    assert world.verdict() == ("Deny", "Withdrawn", 2)


@pytest.mark.parametrize("early", [1, 2, MAX_U64])
def test_nonces_have_no_gaps(world: World, early: int) -> None:
    world.refuses(
        "CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **consent_message(world, nonce=early)
    )


@pytest.mark.parametrize("change", ["revoke_all", "cancel_signatures", "revoke_all_for", "another message"])
def test_signatures_can_be_withdrawn_before_they_are_used(world: World, change: str) -> None:
    message = consent_message(world)
    if change == "another message":
        other = consent_message(world, terms=world.terms(purpose=felt("TREAT")))
        world.send(world.relayer, "add_consent_by_sig", **other)
    elif change == "revoke_all_for":
        world.send(
            world.patient, "set_delegate", delegate=world.delegate, powers=REVOKE, expires_at=world.now + DAY
        )
        world.send(world.delegate, change, patient=world.patient)
    else:
        world.send(world.patient, change)
    world.refuses("CONSENT/BAD_NONCE", world.relayer, "add_consent_by_sig", **message)
    assert world.verdict() == ("NoConsent", "NeverGiven", 0)


def test_any_change_of_the_record_voids_a_signed_consent(world: World) -> None:
    """A message signed for version 1 cannot undo what the patient did since, though its nonce is still
    good."""
    message = consent_message(world)
    world.give(categories=1)
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **message)
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **message)
    assert nonce(world) == 0
    # The version it will really get is good.
    world.send(world.relayer, "add_consent_by_sig", **consent_message(world, version=3))
    assert world.verdict() == ("Permit", "Granted", 3)


OTHER_TERMS: list[tuple[str, Any]] = [
    ("purpose", felt("TREAT")),
    ("categories", 1),
    ("starts_at", 0),
    ("expires_at", 2**40 - 1),
    ("max_uses", 1),
    ("terms_commitment", 1),
]


@pytest.mark.parametrize(("field", "value"), OTHER_TERMS)
def test_the_signature_covers_every_term(world: World, field: str, value: int) -> None:
    message = consent_message(world)
    forged = message | {"terms": message["terms"] | {field: value}}
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **forged)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("funder", "researcher"),
        ("rate", 1),
        ("custodian", "auditor"),
        ("custodian_bps", 10_000),
        ("expires_at", 2**63),
        ("salt", 2),
        (None, None),
    ],
)
def test_the_signature_covers_the_whole_reward(world: World, field: str | None, value: Any) -> None:
    reward = world.campaign()
    world.fund(reward, 1000)
    message = consent_message(world, terms=world.terms(reward=reward))
    forged_reward = None
    if field is not None:
        forged_reward = reward | {field: getattr(world, value) if isinstance(value, str) else value}
        world.fund(forged_reward, 1000)
    forged = message | {"terms": message["terms"] | {"reward": forged_reward}}
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **forged)
    # And none can be added to a consent that has none.
    plain = consent_message(world)
    forged = plain | {"terms": plain["terms"] | {"reward": reward}}
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **forged)


@pytest.mark.parametrize("function", ["add_consent_by_sig", "revoke_consent_by_sig"])
@pytest.mark.parametrize("field", ["patient", "grantee", "deadline", "signature", "no signature"])
def test_the_signature_covers_the_rest(world: World, function: str, field: str) -> None:
    if function == "revoke_consent_by_sig":
        world.give()
        world.send(world.patient, "add_consent", grantee=world.hospital, terms=world.terms())
        world.send(world.neighbour, "add_consent", grantee=world.researcher, terms=world.terms())
        message = revocation_message(world)
    else:
        message = consent_message(world)
    forgery: dict[str, Any] = {
        "patient": {"patient": world.neighbour},
        "grantee": {"grantee": world.hospital},
        "deadline": {"deadline": message["deadline"] + 1},
        "signature": {"signature": [message["signature"][0], message["signature"][1] ^ 1]},
        "no signature": {"signature": []},
    }[field]
    outcome = world.execute(world.relayer, world.call(function, **(message | forgery)))
    # The account itself may panic over a signature of the wrong length.
    assert outcome.error is not None
    if field != "no signature":
        assert outcome.error == "CONSENT/BAD_SIGNATURE", outcome.reason
    assert not any(outcome.cells.values())
    assert nonce(world) == 0


def test_a_withdrawal_is_for_its_purpose(world: World) -> None:
    world.give()
    world.give(purpose=felt("TREAT"))
    forged = revocation_message(world) | {"purpose": felt("TREAT")}
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "revoke_consent_by_sig", **forged)


@pytest.mark.parametrize("who", ["delegate", "researcher", "admin", "relayer"])
def test_nobody_signs_for_the_patient(world: World, who: str) -> None:
    """Not even a delegate with every power: delegates have entry points of their own."""
    world.send(world.patient, "set_delegate", delegate=world.delegate, powers=7, expires_at=world.now + DAY)
    message = consent_message(world)
    signed_by_patient = consent_hash(
        world,
        **{name: message[name] for name in ("patient", "grantee", "terms", "nonce", "deadline")},
        version=1,
    )
    forged = message | {"signature": signed(world, getattr(world, who), signed_by_patient)}
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **forged)


def test_errors_come_in_order(world: World) -> None:
    """Deadline, nonce, terms, grantee, pool; the account is asked last."""
    message = consent_message(world) | {
        "deadline": world.now - 1,
        "nonce": 9,
        "grantee": world.stranger,
        "terms": world.terms(categories=0, reward=world.campaign()),
        "signature": [1, 2],
    }
    for error, repair in (
        ("CONSENT/SIGNATURE_EXPIRED", {}),
        ("CONSENT/BAD_NONCE", {"deadline": world.now}),
        ("CONSENT/BAD_CATEGORIES", {"nonce": 0}),
        ("ENTITY/UNKNOWN", {"terms": world.terms(reward=world.campaign())}),
        ("CONSENT/CAMPAIGN_NOT_OPEN", {"grantee": world.researcher}),
        ("CONSENT/BAD_SIGNATURE", {"terms": world.terms()}),
    ):
        message |= repair
        world.refuses(error, world.relayer, "add_consent_by_sig", **message)

    message = revocation_message(world) | {"deadline": world.now - 1, "nonce": 9, "signature": [1, 2]}
    for error, repair in (
        ("CONSENT/SIGNATURE_EXPIRED", {}),
        ("CONSENT/BAD_NONCE", {"deadline": world.now}),
        ("CONSENT/NOT_FOUND", {"nonce": 0}),
    ):
        message |= repair
        world.refuses(error, world.relayer, "revoke_consent_by_sig", **message)
    world.give()
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "revoke_consent_by_sig", **message)


# --- accounts that are contracts of another kind ------------------------------------------------------------


@pytest.fixture
def account(world: World) -> Contract:
    """A patient whose account accepts every signature until it is told otherwise."""
    puppet = world.new_puppet()
    answer(world, puppet, [VALID])
    return puppet


def answer(world: World, puppet: Contract, felts: list[int]) -> None:
    world.send(world.relayer, "answer", puppet, entry_point=selector("is_valid_signature"), felts=felts)


def act(world: World, puppet: Contract, act: str) -> None:
    world.send(world.relayer, "act", puppet, entry_point=selector("is_valid_signature"), act=felt(act))


def unsigned(world: World, account: Contract) -> dict[str, Any]:
    return {
        "patient": account.address,
        "grantee": world.researcher,
        "terms": world.terms(),
        "nonce": 0,
        "deadline": world.now,
        "signature": [1, 2, 3],
    }


def test_the_account_decides_what_a_signature_is(world: World, account: Contract) -> None:
    assert world.send(world.relayer, "add_consent_by_sig", **unsigned(world, account)).result == 1
    assert world.verdict(patient=account.address) == ("Permit", "Granted", 1)


@pytest.mark.parametrize(
    ("error", "felts"),
    [
        ("CONSENT/BAD_SIGNATURE", [0]),
        # What accounts answered before SNIP-6 settled on 'VALID'.
        ("CONSENT/BAD_SIGNATURE", [1]),
        ("CONSENT/BAD_SIGNATURE", [felt("valid")]),
        ("Returned data too short", []),
    ],
)
def test_any_other_answer_is_a_no(world: World, account: Contract, error: str, felts: list[int]) -> None:
    answer(world, account, felts)
    world.refuses(error, world.relayer, "add_consent_by_sig", **unsigned(world, account))


def test_an_account_that_panics(world: World, account: Contract) -> None:
    act(world, account, "PANIC")
    world.refuses("MOCK/PANIC", world.relayer, "add_consent_by_sig", **unsigned(world, account))


def test_a_contract_that_is_no_account(world: World) -> None:
    message = consent_message(world) | {"patient": world.token.address}
    world.refuses("ENTRYPOINT_NOT_FOUND", world.relayer, "add_consent_by_sig", **message)


def test_an_address_without_account(world: World) -> None:
    message = consent_message(world) | {"patient": 0xDEAD}
    outcome = world.execute(world.relayer, world.call("add_consent_by_sig", **message))
    assert outcome.error is not None
    assert "is not deployed" in outcome.reason
    assert not any(outcome.cells.values())


def test_an_account_that_submits_its_own_message_again(world: World, account: Contract) -> None:
    """While it is asked about the signature it calls back; the nonce is burnt already."""
    message = unsigned(world, account)
    inner = world.call("add_consent_by_sig", **message)
    world.send(
        world.relayer,
        "aim",
        account,
        to=inner.to,
        entry_point=selector(inner.function),
        calldata=list(inner.calldata),
    )
    act(world, account, "CALL_BACK")
    receipt = world.send(world.relayer, "add_consent_by_sig", **message)
    assert receipt.result == 1
    assert [event.name for event in receipt.events] == ["SignatureUsed", "ConsentAdded", "CalledBack"]
    assert receipt.events[2].data == {
        "success": False,
        "answer": [felt("CONSENT/BAD_NONCE"), felt("ENTRYPOINT_FAILED")],
    }
    assert world.read("patient_state", patient=account.address)["nonce"] == 1


def test_an_account_that_withdraws_while_it_is_asked(world: World, account: Contract) -> None:
    """Its own affair: the later word counts."""
    inner = world.call("revoke_consent", grantee=world.researcher, purpose=HRESCH)
    world.send(
        world.relayer,
        "aim",
        account,
        to=inner.to,
        entry_point=selector(inner.function),
        calldata=list(inner.calldata),
    )
    act(world, account, "CALL_BACK")
    receipt = world.send(world.relayer, "add_consent_by_sig", **unsigned(world, account))
    assert [event.name for event in receipt.events] == [
        "SignatureUsed",
        "ConsentAdded",
        "ConsentRevoked",
        "CalledBack",
    ]
    assert world.verdict(patient=account.address) == ("Deny", "Withdrawn", 2)

"""A patient's signature, used where or when the patient did not mean it: for a consent and for a withdrawal.

What a message says is hashed with chain, contract, generation and deadline, and a consent's with its counter
and the version it will get. So whoever submits it elsewhere, again, later, or for somebody else changes the
hash, and the patient's account does not know it; or meets a counter or a generation that is over.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.anchoring import ORDER
from tests.harness.snip12 import DOMAIN, consent_message, message_hash, revocation_message, signed
from tests.harness.words import DAY, HRESCH, felt
from tests.harness.world import World

Message = dict[str, Any]

MESSAGES: dict[str, Callable[[World], Message]] = {
    "add_consent_by_sig": consent_message,
    "revoke_consent_by_sig": revocation_message,
}
SPENT = {"add_consent_by_sig": "CONSENT/BAD_NONCE", "revoke_consent_by_sig": "CONSENT/BAD_GENERATION"}
"""What a message gets that was used."""


@pytest.fixture(params=MESSAGES)
def function(request: pytest.FixtureRequest, world: World) -> str:
    """Either of the two; for a withdrawal there is a consent to withdraw."""
    if request.param == "revoke_consent_by_sig":
        for patient in (world.patient, world.neighbour):
            world.send(patient, "add_consent", grantee=world.researcher, terms=world.terms())
    return str(request.param)


@pytest.fixture
def message(world: World, function: str) -> Message:
    """A message of the patient's that is good, but was not submitted yet."""
    message = MESSAGES[function](world)
    assert world.simulate(world.relayer, world.call(function, **message)).error is None
    return message


def meant_for(world: World, function: str, message: Message, **elsewhere: Any) -> Message:
    """The same message, signed for somewhere else."""
    fields = {name: value for name, value in message.items() if name not in ("patient", "signature", "terms")}
    kind = "Revocation"
    if function == "add_consent_by_sig":
        kind, fields = "Consent", fields | message["terms"] | {"version": 1}
    here = message_hash(world, world.patient, kind, fields)
    assert message["signature"] == signed(world, world.patient, here)
    there = message_hash(world, world.patient, kind, fields, **elsewhere)
    return message | {"signature": signed(world, world.patient, there)}


def test_submitted_twice(world: World, function: str, message: Message) -> None:
    """Its counter is spent, or the record was decided on at a later generation."""
    world.send(world.relayer, function, **message)
    world.refuses(SPENT[function], world.relayer, function, **message)


def test_submitted_twice_in_one_transaction(world: World, function: str, message: Message) -> None:
    """Not even there; and then neither counts."""
    call = world.call(function, **message)
    outcome = world.execute(world.relayer, call, call)
    assert outcome.error == SPENT[function]
    assert not any(outcome.cells.values())
    world.send(world.relayer, function, **message)


def test_submitted_again_with_other_numbers(world: World, function: str, message: Message) -> None:
    """They are in the hash: the next ones are not signed, any others are not the next."""
    world.send(world.relayer, function, **message)
    tries = {
        "add_consent_by_sig": [
            ({"counter": 2}, "CONSENT/BAD_SIGNATURE"),
            ({"counter": 3}, "CONSENT/BAD_NONCE"),
            ({"counter": 0}, "CONSENT/BAD_NONCE"),
            ({"generation": 2}, "CONSENT/BAD_NONCE"),
            ({"generation": 0}, "CONSENT/BAD_NONCE"),
        ],
        "revoke_consent_by_sig": [
            ({"generation": 2}, "CONSENT/BAD_SIGNATURE"),
            ({"generation": 3}, "CONSENT/BAD_GENERATION"),
            ({"generation": 0}, "CONSENT/BAD_GENERATION"),
        ],
    }
    for change, error in tries[function]:
        world.refuses(error, world.relayer, function, **(message | change))


def test_the_same_signature_in_other_clothes(world: World, function: str, message: Message) -> None:
    """For every (r, s) that an account accepts there is (r, -s). It is a second signature of one message, not
    a second message."""
    r, s = message["signature"]
    bent = message | {"signature": [r, ORDER - s]}
    accepted = world.simulate(world.relayer, world.call(function, **bent)).error is None
    world.send(world.relayer, function, **(bent if accepted else message))
    for again in (message, bent):
        world.refuses(SPENT[function], world.relayer, function, **again)


def test_kept_until_after_its_deadline(world: World, function: str, message: Message) -> None:
    """Who signs says until when; nobody can say so later."""
    world.now = message["deadline"] + 1
    world.refuses("CONSENT/SIGNATURE_EXPIRED", world.relayer, function, **message)
    prolonged = message | {"deadline": world.now}
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, function, **prolonged)


@pytest.mark.parametrize("whose", ["neighbour", "researcher"])
def test_used_for_another_patient(world: World, function: str, message: Message, whose: str) -> None:
    """The patient is in the hash, and it is that patient's account that is asked."""
    other = message | {"patient": getattr(world, whose)}
    outcome = world.execute(world.relayer, world.call(function, **other))
    # The grantee cannot give itself anything.
    own = whose == "researcher" and function == "add_consent_by_sig"
    assert outcome.error == ("CONSENT/SELF_GRANT" if own else "CONSENT/BAD_SIGNATURE")
    assert not any(outcome.cells.values())


def test_used_at_another_medsync(world: World, function: str, message: Message) -> None:
    """The same chain, the same patient, the same numbers, the same calldata: the contract is in the hash."""
    twin = world.new_medsync()
    world.send(
        world.admin,
        "register_entity",
        twin,
        address=world.researcher,
        role="Researcher",
        profile_commitment=1,
    )
    if function == "revoke_consent_by_sig":
        world.send(world.patient, "add_consent", twin, grantee=world.researcher, terms=world.terms())
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, function, twin, **message)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"chain_id": felt("SN_MAIN")},
        {"contract": 0xC0},
        {"domain": DOMAIN | {"version": "v1"}},
        {"domain": DOMAIN | {"name": "MedSync 2"}},
    ],
    ids=["another chain", "another contract", "another version", "another application"],
)
def test_signed_for_elsewhere(
    world: World, function: str, message: Message, elsewhere: dict[str, Any]
) -> None:
    """A consent given on a test network, to an older contract or to another application is none here."""
    foreign = meant_for(world, function, message, **elsewhere)
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, function, **foreign)


@pytest.mark.parametrize("change", ["add_consent", "revoke_consent", "both"])
def test_a_consent_kept_until_the_patient_thought_better_of_it(world: World, change: str) -> None:
    """A signed consent is for one version. Whatever the patient did about this grantee, purpose and study
    since makes the next version another one, though generation and counter are still good."""
    message = consent_message(world)
    if change != "add_consent":
        world.give()
        message = consent_message(world, version=2)
    assert world.simulate(world.relayer, world.call("add_consent_by_sig", **message)).error is None
    if change != "revoke_consent":
        world.give(categories=1)
    if change != "add_consent":
        world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH, study=0)
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **message)


def test_a_consent_brought_back_after_its_withdrawal(world: World) -> None:
    """Given by a message, used, withdrawn by a message: neither message does anything any more, in any
    order."""
    given = consent_message(world)
    world.send(world.relayer, "add_consent_by_sig", **given)
    withdrawn = revocation_message(world)
    world.send(world.relayer, "revoke_consent_by_sig", **withdrawn)
    world.wait(DAY // 48)
    for generation, error in ((1, "BAD_GENERATION"), (2, "BAD_SIGNATURE"), (3, "BAD_GENERATION")):
        again = withdrawn | {"generation": generation}
        world.refuses(f"CONSENT/{error}", world.relayer, "revoke_consent_by_sig", **again)
        for counter in (1, 2):
            again = given | {"generation": generation, "counter": counter}
            error = "BAD_SIGNATURE" if (generation, counter) == (2, 1) else "BAD_NONCE"
            world.refuses(f"CONSENT/{error}", world.relayer, "add_consent_by_sig", **again)
    assert world.verdict() == ("Deny", "Withdrawn", 2)


def test_a_withdrawal_passed_off_as_a_consent(world: World) -> None:
    """The two kinds of message are hashed under their own types: with everything equal that can be, the
    signature of one is none for the other."""
    world.give()
    withdrawal = revocation_message(world)
    forged = consent_message(world, version=2) | {"signature": withdrawal["signature"]}
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **forged)
    consent = consent_message(world, version=2)
    forged = withdrawal | {"signature": consent["signature"]}
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "revoke_consent_by_sig", **forged)


def test_a_consent_whose_reward_was_cut_off(world: World) -> None:
    """A consent that insists on pay is another type than one that does not."""
    reward = world.campaign()
    world.fund(reward, 1000)
    paid = consent_message(world, terms=world.terms(reward=reward))
    unpaid = paid | {"terms": paid["terms"] | {"reward": None}}
    world.refuses("CONSENT/BAD_SIGNATURE", world.relayer, "add_consent_by_sig", **unpaid)

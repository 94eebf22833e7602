"""Standing refusals: of one grantee, in the consent's own cell, and of everyone for a purpose, in the
patient's."""

from typing import Any

import pytest

from tests.harness.cells import assert_changed, patient_cell, record_cell
from tests.harness.expected import added, consent, patient_state, record, refused, stored
from tests.harness.words import BROAD, BTG, HRESCH, PURPOSES, felt
from tests.harness.world import World

STUDY = 0x57D7


def refuse(world: World, **changes: Any) -> Any:
    arguments = {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD} | changes
    return world.send(world.patient, "refuse_consent", **arguments)


# --- refuse_consent -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("grantee", ["researcher", "suspended", "stranger", "patient"])
@pytest.mark.parametrize("study", [BROAD, STUDY])
def test_refuses_anyone_for_good(world: World, grantee: str, study: int) -> None:
    """Whoever it is, registered or not: a decision that stands until the patient gives that consent."""
    address = getattr(world, grantee)
    receipt = refuse(world, grantee=address, study=study)
    assert receipt.result is None
    assert receipt.events == [refused(world, grantee=address, study=study)]
    cell = record_cell(world, grantee=address, study=study)
    assert_changed(world, receipt.storage, {cell: {"version": 1, "generation": 1, "status": 4}})
    if grantee == "researcher":
        assert world.verdict(study=study) == ("Deny", "Refused", 1)
        assert stored(world, study=study)["status"] == "Refused"


def test_refusing_ends_a_live_consent(world: World) -> None:
    terms = world.give(max_uses=3)
    world.ask()
    receipt = refuse(world)
    assert receipt.events == [refused(world, seq=2, version=2)]
    cells = {record_cell(world): record(terms, version=2, status=4, uses=1)}
    assert_changed(world, receipt.storage, cells)
    assert world.ask().result["reason"] == "Refused"


def test_refusing_twice_is_a_new_version_and_succeeds(world: World) -> None:
    refuse(world)
    assert refuse(world).events == [refused(world, seq=2, version=2)]


def test_the_next_consent_lifts_a_refusal(world: World) -> None:
    refuse(world)
    terms = world.terms()
    receipt = world.send(world.patient, "add_consent", grantee=world.researcher, terms=terms)
    assert receipt.events == [added(world, terms, seq=2, version=2)]
    assert stored(world) == consent(world, version=2)


def test_a_refusal_survives_revoke_all(world: World) -> None:
    refuse(world)
    world.send(world.patient, "revoke_all", dismiss_delegates=True)
    assert world.verdict() == ("Deny", "Refused", 1)


def test_a_refusal_is_for_its_grantee_purpose_and_study(world: World) -> None:
    refuse(world, study=STUDY)
    for change in ({"grantee": world.hospital}, {"purpose": felt("TREAT")}, {}, {"patient": world.neighbour}):
        study = {"study": STUDY} if change else {}
        assert world.verdict(**study | change) == ("NoConsent", "NeverGiven", 0)


@pytest.mark.parametrize("purpose", [0, felt("HMARKT"), felt("hresch"), BTG])
def test_a_refusal_names_a_grantee_and_a_purpose(world: World, purpose: int) -> None:
    for error, grantee in (("CONSENT/ZERO_ADDRESS", 0), ("CONSENT/BAD_PURPOSE", world.researcher)):
        arguments = {"grantee": grantee, "purpose": purpose, "study": BROAD}
        world.refuses(error, world.patient, "refuse_consent", **arguments)


# --- refuse_purpose, allow_purpose --------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(len(PURPOSES)))
def test_refuses_everyone_for_a_purpose_and_allows_it_again(world: World, place: int) -> None:
    purpose = felt(PURPOSES[place])
    for seq, (function, event, bits) in enumerate(
        [
            ("refuse_purpose", "PurposeRefused", 1 << place),
            ("refuse_purpose", "PurposeRefused", 1 << place),
            ("allow_purpose", "PurposeAllowed", 0),
            ("allow_purpose", "PurposeAllowed", 0),
        ],
        1,
    ):
        receipt = world.send(world.patient, function, purpose=purpose)
        assert receipt.result is None
        assert receipt.events == [
            world.raised(event, patient=world.patient, purpose=purpose, seq=seq, at=world.now)
        ]
        after = patient_state(refused_purposes=bits)
        cells = {patient_cell(world): after | {"emergency": 0}}
        # Said again, it is an entry and changes nothing.
        assert_changed(world, receipt.storage, cells if seq % 2 else {})
        assert world.read("refused_purposes", patient=world.patient) == [purpose] * (bits != 0)
        assert world.read("patient_state", patient=world.patient) == after


def test_refused_purposes_are_answered_in_their_order(world: World) -> None:
    assert world.read("refused_purposes", patient=world.patient) == []
    for purpose in reversed(PURPOSES):
        world.send(world.patient, "refuse_purpose", purpose=felt(purpose))
    assert world.read("refused_purposes", patient=world.patient) == [felt(one) for one in PURPOSES]
    assert world.read("refused_purposes", patient=world.neighbour) == []


def test_refusing_a_purpose_beats_live_consents_and_lifting_brings_them_back(world: World) -> None:
    world.give()
    world.give(study=STUDY)
    world.give(purpose=felt("TREAT"))
    world.send(world.patient, "refuse_purpose", purpose=HRESCH)
    for study in (BROAD, STUDY):
        assert world.verdict(study=study) == ("Deny", "PurposeRefused", 1)
    # Of others too, who never got a consent.
    assert world.verdict(grantee=world.hospital) == ("Deny", "PurposeRefused", 0)
    assert stored(world)["state"] == "PurposeRefused"
    assert world.verdict(purpose=felt("TREAT")) == ("Permit", "Granted", 1)
    assert world.ask().result["reason"] == "PurposeRefused"
    world.send(world.patient, "allow_purpose", purpose=HRESCH)
    assert world.ask().result["decision"] == "Permit"


def test_nothing_is_given_for_a_refused_purpose(world: World) -> None:
    world.give()
    world.send(world.patient, "refuse_purpose", purpose=HRESCH)
    for study in (BROAD, STUDY):
        arguments = {"grantee": world.researcher, "terms": world.terms(study=study)}
        world.refuses("CONSENT/PURPOSE_REFUSED", world.patient, "add_consent", **arguments)
    world.give(purpose=felt("CLINTRCH"))
    # What is live can be withdrawn all the same.
    about = {"grantee": world.researcher, "purpose": HRESCH, "study": BROAD}
    world.send(world.patient, "revoke_consent", **about)
    world.send(world.patient, "allow_purpose", purpose=HRESCH)
    assert world.verdict() == ("Deny", "Withdrawn", 2)


def test_a_refused_purpose_survives_revoke_all(world: World) -> None:
    world.send(world.patient, "refuse_purpose", purpose=HRESCH)
    world.send(world.patient, "revoke_all", dismiss_delegates=True)
    assert world.read("refused_purposes", patient=world.patient) == [HRESCH]


@pytest.mark.parametrize("function", ["refuse_purpose", "allow_purpose"])
@pytest.mark.parametrize("purpose", [0, felt("HMARKT"), felt("hresch"), BTG])
def test_what_is_no_purpose(world: World, function: str, purpose: int) -> None:
    world.refuses("CONSENT/BAD_PURPOSE", world.patient, function, purpose=purpose)


def test_an_unknown_purpose_is_not_refused_by_accident(world: World) -> None:
    for purpose in PURPOSES:
        world.send(world.patient, "refuse_purpose", purpose=felt(purpose))
    for purpose in (0, felt("HMARKT"), BTG):
        assert world.verdict(purpose=purpose) == ("NoConsent", "NeverGiven", 0)

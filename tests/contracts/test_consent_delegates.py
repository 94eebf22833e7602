"""Delegates: what they may do for a patient, until when, and that every act names both."""

from typing import Any

import pytest

from tests.harness.words import DAY, GIVE, MAX_TIME, REFUSE, REVOKE, felt
from tests.harness.world import World

HRESCH = felt("HRESCH")
ALL_POWERS = GIVE | REVOKE | REFUSE

ACTS: dict[str, tuple[int, Any]] = {
    "add_consent_for": (GIVE, lambda w: {"grantee": w.researcher, "terms": w.terms()}),
    "revoke_consent_for": (REVOKE, lambda w: {"grantee": w.researcher, "purpose": HRESCH}),
    "revoke_all_for": (REVOKE, lambda w: {}),
    "refuse_consent_for": (REFUSE, lambda w: {"grantee": w.researcher, "purpose": HRESCH}),
}
"""Everything a delegate can do: the power it needs, and its arguments but the patient."""


def appoint(world: World, powers: int, expires_at: int | None = None) -> None:
    world.send(
        world.patient,
        "set_delegate",
        delegate=world.delegate,
        powers=powers,
        expires_at=world.now + DAY if expires_at is None else expires_at,
    )


def delegation(world: World, **changes: int) -> Any:
    return world.read("delegation", **({"patient": world.patient, "delegate": world.delegate} | changes))


# --- set_delegate -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("powers", range(ALL_POWERS + 1))
def test_appoints_a_delegate(world: World, powers: int) -> None:
    expires_at = world.now + 5
    receipt = world.send(
        world.patient, "set_delegate", delegate=world.delegate, powers=powers, expires_at=expires_at
    )
    assert receipt.result is None
    assert receipt.events == [
        world.raised(
            "DelegateSet",
            patient=world.patient,
            delegate=world.delegate,
            powers=powers,
            expires_at=expires_at,
        )
    ]
    assert delegation(world) == {"powers": powers, "expires_at": expires_at}
    assert receipt.cells[world.medsync.address] == 1


def test_nobody_is_a_delegate_unasked(world: World) -> None:
    assert delegation(world) == {"powers": 0, "expires_at": 0}


@pytest.mark.parametrize("expires_at", [0, MAX_TIME])
def test_any_time_that_fits_a_cell(world: World, expires_at: int) -> None:
    appoint(world, GIVE, expires_at)
    assert delegation(world)["expires_at"] == expires_at


@pytest.mark.parametrize(
    ("error", "change"),
    [
        ("CONSENT/ZERO_ADDRESS", {"delegate": 0}),
        ("CONSENT/BAD_POWERS", {"powers": ALL_POWERS + 1}),
        ("CONSENT/BAD_POWERS", {"powers": 255}),
        ("CONSENT/TIME_RANGE", {"expires_at": MAX_TIME + 1}),
    ],
    ids=str,
)
def test_malformed_delegations_are_refused(world: World, error: str, change: dict[str, int]) -> None:
    arguments = {"delegate": world.delegate, "powers": GIVE, "expires_at": world.now + DAY} | change
    world.refuses(error, world.patient, "set_delegate", **arguments)


def test_nobody_is_their_own_delegate(world: World) -> None:
    world.refuses(
        "CONSENT/SELF_DELEGATE",
        world.patient,
        "set_delegate",
        delegate=world.patient,
        powers=GIVE,
        expires_at=world.now + DAY,
    )


# --- what each power allows ---------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ACTS)
@pytest.mark.parametrize("powers", range(ALL_POWERS + 1))
def test_a_power_allows_its_own_acts_only(world: World, powers: int, function: str) -> None:
    needed, arguments = ACTS[function]
    world.give()
    appoint(world, powers)
    if powers & needed:
        world.send(world.delegate, function, patient=world.patient, **arguments(world))
    else:
        world.refuses(
            "CONSENT/NOT_DELEGATE", world.delegate, function, patient=world.patient, **arguments(world)
        )


@pytest.mark.parametrize("function", ACTS)
@pytest.mark.parametrize(("offset", "allowed"), [(-1, True), (0, False), (1, False)])
def test_a_delegation_ends_to_the_second(world: World, function: str, offset: int, allowed: bool) -> None:
    _, arguments = ACTS[function]
    world.give()
    expires_at = world.now + 100
    appoint(world, ALL_POWERS, expires_at)
    world.now = expires_at + offset
    if allowed:
        world.send(world.delegate, function, patient=world.patient, **arguments(world))
    else:
        world.refuses(
            "CONSENT/NOT_DELEGATE", world.delegate, function, patient=world.patient, **arguments(world)
        )
    assert delegation(world) == {"powers": ALL_POWERS, "expires_at": expires_at}


@pytest.mark.parametrize("function", ACTS)
@pytest.mark.parametrize(
    "who",
    [
        "admin",
        "hospital",
        "researcher",
        "auditor",
        "suspended",
        "patient",
        "neighbour",
        "stranger",
        "relayer",
    ],
)
def test_nobody_else_acts_for_a_patient(world: World, function: str, who: str) -> None:
    """Not the administrator, not the grantee, not even the patient through the delegates' door."""
    _, arguments = ACTS[function]
    world.give()
    appoint(world, ALL_POWERS)
    before = world.read("consent", patient=world.patient, grantee=world.researcher, purpose=HRESCH)
    world.refuses(
        "CONSENT/NOT_DELEGATE", getattr(world, who), function, patient=world.patient, **arguments(world)
    )
    assert before == world.read("consent", patient=world.patient, grantee=world.researcher, purpose=HRESCH)


@pytest.mark.parametrize("function", ACTS)
def test_a_delegate_acts_for_its_own_patient_only(world: World, function: str) -> None:
    _, arguments = ACTS[function]
    appoint(world, ALL_POWERS)
    world.send(world.neighbour, "add_consent", grantee=world.researcher, terms=world.terms())
    for other in (world.neighbour, world.delegate, 0):
        world.refuses("CONSENT/NOT_DELEGATE", world.delegate, function, patient=other, **arguments(world))


def test_a_removed_delegate_is_powerless(world: World) -> None:
    appoint(world, ALL_POWERS)
    world.send(world.delegate, "revoke_all_for", patient=world.patient)
    appoint(world, 0)
    world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "revoke_all_for", patient=world.patient)


def test_delegates_cannot_name_delegates(world: World) -> None:
    """Naming one makes it the delegate's own, not the patient's."""
    appoint(world, ALL_POWERS)
    world.send(
        world.delegate, "set_delegate", delegate=world.stranger, powers=ALL_POWERS, expires_at=world.now + DAY
    )
    assert delegation(world, delegate=world.stranger) == {"powers": 0, "expires_at": 0}
    world.refuses("CONSENT/NOT_DELEGATE", world.stranger, "revoke_all_for", patient=world.patient)


def test_delegates_survive_revoke_all(world: World) -> None:
    """As its doc says: they are removed one by one."""
    appoint(world, ALL_POWERS)
    world.send(world.patient, "revoke_all")
    world.send(
        world.delegate,
        "add_consent_for",
        patient=world.patient,
        grantee=world.researcher,
        terms=world.terms(),
    )
    assert world.verdict() == ("Permit", "Granted", 1)


# --- what the acts do ---------------------------------------------------------------------------------------


def test_a_delegate_gives(world: World) -> None:
    appoint(world, GIVE)
    terms = world.terms(max_uses=2)
    receipt = world.send(
        world.delegate, "add_consent_for", patient=world.patient, grantee=world.researcher, terms=terms
    )
    assert receipt.result == 1
    assert receipt.events == [
        world.raised(
            "ConsentAdded",
            patient=world.patient,
            grantee=world.researcher,
            purpose=HRESCH,
            by=world.delegate,
            version=1,
            epoch=0,
            categories=terms["categories"],
            starts_at=terms["starts_at"],
            expires_at=terms["expires_at"],
            max_uses=2,
            campaign=0,
            terms_commitment=terms["terms_commitment"],
        )
    ]
    assert world.verdict() == ("Permit", "Granted", 1)
    # It is the patient's consent, not the delegate's.
    assert world.verdict(patient=world.delegate) == ("NoConsent", "NeverGiven", 0)


@pytest.mark.parametrize(
    ("error", "change"),
    [
        ("CONSENT/BAD_PURPOSE", {"purpose": 0}),
        ("CONSENT/BAD_CATEGORIES", {"categories": 0}),
        ("CONSENT/EMPTY_WINDOW", {"starts_at": MAX_TIME}),
        ("CONSENT/EXPIRED_AT_BIRTH", {"starts_at": 0, "expires_at": 1}),
        ("CONSENT/TIME_RANGE", {"expires_at": MAX_TIME + 1}),
    ],
    ids=str,
)
def test_a_delegate_gives_nothing_malformed(world: World, error: str, change: dict[str, int]) -> None:
    appoint(world, GIVE)
    terms = world.terms(**change)
    world.refuses(
        error, world.delegate, "add_consent_for", patient=world.patient, grantee=world.researcher, terms=terms
    )


def test_a_delegate_gives_to_registered_others_only(world: World) -> None:
    appoint(world, GIVE)
    for error, grantee in (
        ("CONSENT/ZERO_ADDRESS", 0),
        ("CONSENT/SELF_GRANT", world.patient),
        ("ENTITY/UNKNOWN", world.delegate),
    ):
        world.refuses(
            error,
            world.delegate,
            "add_consent_for",
            patient=world.patient,
            grantee=grantee,
            terms=world.terms(),
        )


def test_a_delegate_that_is_an_entity_can_give_to_itself(world: World) -> None:
    """A power to give is a power to give to anyone: patients choose whom they trust with it."""
    world.send(
        world.patient, "set_delegate", delegate=world.hospital, powers=GIVE, expires_at=world.now + DAY
    )
    world.send(
        world.hospital,
        "add_consent_for",
        patient=world.patient,
        grantee=world.hospital,
        terms=world.terms(),
    )
    assert world.verdict(grantee=world.hospital) == ("Permit", "Granted", 1)


def test_a_delegate_revokes(world: World) -> None:
    """Revoked, not withdrawn: the word says who did it."""
    world.give()
    appoint(world, REVOKE)
    arguments = {"patient": world.patient, "grantee": world.researcher, "purpose": HRESCH}
    receipt = world.send(world.delegate, "revoke_consent_for", **arguments)
    assert receipt.result is None
    assert receipt.events == [world.raised("ConsentRevoked", **arguments, by=world.delegate, version=2)]
    assert world.read("consent", **arguments)["status"] == "Revoked"
    assert world.verdict() == ("Deny", "Revoked", 2)

    # Again: nothing. But the patient's own word counts.
    receipt = world.send(world.delegate, "revoke_consent_for", **arguments)
    assert receipt.events == []
    assert not any(receipt.cells.values())
    assert world.verdict() == ("Deny", "Revoked", 2)
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    assert world.verdict() == ("Deny", "Withdrawn", 3)
    world.send(world.delegate, "revoke_consent_for", **arguments)
    assert world.verdict() == ("Deny", "Withdrawn", 3)


def test_a_delegate_cannot_revoke_what_was_never_given(world: World) -> None:
    appoint(world, REVOKE)
    world.refuses(
        "CONSENT/NOT_FOUND",
        world.delegate,
        "revoke_consent_for",
        patient=world.patient,
        grantee=world.researcher,
        purpose=HRESCH,
    )


def test_a_delegate_revokes_everything(world: World) -> None:
    world.give()
    appoint(world, REVOKE)
    receipt = world.send(world.delegate, "revoke_all_for", patient=world.patient)
    assert receipt.result is None
    assert receipt.events == [
        world.raised("AllConsentsRevoked", patient=world.patient, by=world.delegate, epoch=1, nonce=1)
    ]
    assert world.verdict() == ("Deny", "AllRevoked", 1)
    assert world.read("patient_state", patient=world.delegate)["epoch"] == 0


def test_a_delegate_refuses(world: World) -> None:
    appoint(world, REFUSE)
    arguments = {"patient": world.patient, "grantee": world.researcher, "purpose": HRESCH}
    receipt = world.send(world.delegate, "refuse_consent_for", **arguments)
    assert receipt.result is None
    assert receipt.events == [world.raised("ConsentRefused", **arguments, by=world.delegate)]
    assert not any(receipt.cells.values())
    for error, change in (
        ("CONSENT/ZERO_ADDRESS", {"grantee": 0}),
        ("CONSENT/BAD_PURPOSE", {"purpose": 0}),
    ):
        world.refuses(error, world.delegate, "refuse_consent_for", **(arguments | change))


def test_two_delegates_do_not_share_powers(world: World) -> None:
    appoint(world, GIVE)
    world.send(
        world.patient, "set_delegate", delegate=world.relayer, powers=REVOKE, expires_at=world.now + DAY
    )
    world.refuses("CONSENT/NOT_DELEGATE", world.delegate, "revoke_all_for", patient=world.patient)
    world.refuses(
        "CONSENT/NOT_DELEGATE",
        world.relayer,
        "add_consent_for",
        patient=world.patient,
        grantee=world.researcher,
        terms=world.terms(),
    )

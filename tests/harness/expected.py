"""What must come of a patient's direct act: events, answers and cells, unless a test names differences."""

from collections.abc import Mapping
from typing import Any

from tests.harness.driver import Raised
from tests.harness.words import ALL_CATEGORIES, BROAD, DAY, HRESCH
from tests.harness.world import World, id_of


def added(world: World, terms: Mapping[str, Any], **changes: Any) -> Raised:
    """`ConsentAdded` of the patient's first entry."""
    fields = {
        "patient": world.patient,
        "grantee": world.researcher,
        "purpose": terms["purpose"],
        "seq": 1,
        "at": world.now,
        "study": terms["study"],
        "by": world.patient,
        "nonce": 0,
        "version": 1,
        "generation": 1,
        "categories": terms["categories"],
        "starts_at": terms["starts_at"],
        "expires_at": terms["expires_at"],
        "max_uses": terms["max_uses"],
        "scoped": terms["scoped"],
        "campaign": 0 if terms["reward"] is None else id_of(terms["reward"]),
        "terms_commitment": terms["terms_commitment"],
    }
    return world.raised("ConsentAdded", **(fields | changes))


def revoked(world: World, **changes: Any) -> Raised:
    """`ConsentRevoked` of the patient's second entry, which withdraws what the first gave."""
    fields = {
        "patient": world.patient,
        "grantee": world.researcher,
        "purpose": HRESCH,
        "seq": 2,
        "at": world.now,
        "study": BROAD,
        "by": world.patient,
        "nonce": 0,
        "version": 2,
        "generation": 1,
    }
    return world.raised("ConsentRevoked", **(fields | changes))


def refused(world: World, **changes: Any) -> Raised:
    """`ConsentRefused` of the patient's first entry."""
    fields = {
        "patient": world.patient,
        "grantee": world.researcher,
        "purpose": HRESCH,
        "seq": 1,
        "at": world.now,
        "study": BROAD,
        "by": world.patient,
        "version": 1,
        "generation": 1,
    }
    return world.raised("ConsentRefused", **(fields | changes))


def all_revoked(world: World, **changes: Any) -> Raised:
    """`AllConsentsRevoked` of the patient's first entry."""
    fields = {
        "patient": world.patient,
        "seq": 1,
        "at": world.now,
        "by": world.patient,
        "generation": 2,
        "delegates_dismissed": False,
    }
    return world.raised("AllConsentsRevoked", **(fields | changes))


def consent(world: World, **changes: Any) -> dict[str, Any]:
    """The answer of `consent` right after `world.give()`."""
    return {
        "state": "Granted",
        "status": "Given",
        "starts_at": world.now,
        "expires_at": world.now + DAY,
        "categories": ALL_CATEGORIES,
        "version": 1,
        "generation": 1,
        "max_uses": 0,
        "uses": 0,
        "rewarded": False,
        "scoped": False,
        "by_delegate": False,
    } | changes


def record(terms: Mapping[str, Any], **changes: int) -> dict[str, int]:
    """The cell of a consent that the patient gave first."""
    return {
        "version": 1,
        "generation": 1,
        "max_uses": terms["max_uses"],
        "uses": 0,
        "starts_at": terms["starts_at"],
        "expires_at": terms["expires_at"],
        "categories": terms["categories"],
        "rewarded": int(terms["reward"] is not None),
        "status": 1,
        "by_delegate": 0,
        "scoped": int(terms["scoped"]),
    } | changes


def patient_state(**changes: Any) -> dict[str, Any]:
    """The answer of `patient_state` for somebody who never did anything."""
    return {
        "generation": 1,
        "counter": 1,
        "floor": 0,
        "delegate_epoch": 0,
        "refused_purposes": 0,
        "emergency": "EveryHospital",
    } | changes


def stored(world: World, campaign: int = 0, **changes: Any) -> dict[str, Any]:
    """What `consent` answers about the patient and the researcher, unless others are named."""
    answer: dict[str, Any] = world.read("consent", **world.about(**changes), campaign=campaign)
    return answer

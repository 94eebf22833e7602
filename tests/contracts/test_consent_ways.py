"""Three ways to give a consent, one set of rules: by whatever way it comes, a malformed one is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.snip12 import consent_message
from tests.harness.words import DAY, GIVE, MAX_TIME, felt
from tests.harness.world import World

Parts = dict[str, Any]


def by_the_patient(world: World, parts: Parts) -> tuple[int, str, Parts]:
    return world.patient, "add_consent", parts


def by_a_delegate(world: World, parts: Parts) -> tuple[int, str, Parts]:
    world.send(
        world.patient, "set_delegate", delegate=world.delegate, powers=GIVE, expires_at=world.now + DAY
    )
    return world.delegate, "add_consent_for", {"patient": world.patient} | parts


def by_a_message(world: World, parts: Parts) -> tuple[int, str, Parts]:
    return world.relayer, "add_consent_by_sig", consent_message(world, **parts)


def foreign_pool(world: World) -> Any:
    """A funded campaign of a pool that listens to another MedSync."""
    other = world.deploy("MedSync", world.admin)
    pool = world.new_pool(world.token.address, other.address)
    reward = world.campaign(pool=pool.address)
    world.fund(reward, 1000, pool)
    return reward


FAULTS: dict[str, Callable[[World], Parts]] = {
    "CONSENT/ZERO_ADDRESS": lambda world: {"grantee": 0},
    "CONSENT/SELF_GRANT": lambda world: {"grantee": world.patient},
    "ENTITY/UNKNOWN": lambda world: {"grantee": world.stranger},
    "CONSENT/BAD_PURPOSE": lambda world: {"purpose": felt("HMARKT")},
    "CONSENT/BAD_CATEGORIES": lambda world: {"categories": 0},
    "CONSENT/EMPTY_WINDOW": lambda world: {"starts_at": MAX_TIME},
    "CONSENT/EXPIRED_AT_BIRTH": lambda world: {"starts_at": 0, "expires_at": world.now},
    "CONSENT/TIME_RANGE": lambda world: {"expires_at": MAX_TIME + 1},
    "CONSENT/CAMPAIGN_PURPOSE": lambda world: {"reward": world.campaign(purpose=felt("TREAT"))},
    "CONSENT/NOT_A_POOL": lambda world: {"reward": world.campaign(pool=world.token.address)},
    "CONSENT/FOREIGN_POOL": lambda world: {"reward": foreign_pool(world)},
    "CONSENT/CAMPAIGN_NOT_OPEN": lambda world: {"reward": world.campaign()},
}


@pytest.mark.parametrize("error", FAULTS)
@pytest.mark.parametrize("way", [by_the_patient, by_a_delegate, by_a_message])
def test_every_way_has_the_same_rules(
    world: World, way: Callable[[World, Parts], tuple[int, str, Parts]], error: str
) -> None:
    fault = FAULTS[error](world)
    parts = {"grantee": fault.pop("grantee", world.researcher), "terms": world.terms(**fault)}
    sender, function, arguments = way(world, parts)
    world.refuses(error, sender, function, **arguments)

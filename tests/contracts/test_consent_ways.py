"""Three ways to give a consent, one set of rules: by whatever way it comes, a malformed one is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.cells import patient_cell, record_cell
from tests.harness.log import CONSENTS
from tests.harness.snip12 import consent_message
from tests.harness.words import BTG, GIVE, HRESCH, MAX_TIME, MAX_U32, RESERVED_FROM, felt
from tests.harness.world import World

Parts = dict[str, Any]


def by_the_patient(world: World, parts: Parts) -> tuple[int, str, Parts]:
    return world.patient, "add_consent", parts


def by_a_delegate(world: World, parts: Parts) -> tuple[int, str, Parts]:
    return world.delegate, "add_consent_for", {"patient": world.patient} | parts


def by_a_message(world: World, parts: Parts) -> tuple[int, str, Parts]:
    generation = world.read("patient_state", patient=world.patient)["generation"]
    message = consent_message(world, **parts, generation=generation)
    return world.relayer, "add_consent_by_sig", message


def foreign_pool(world: World) -> Any:
    """A funded campaign of a pool that another MedSync deployed."""
    reward = world.campaign(pool=world.new_pool(medsync=world.new_medsync()).address)
    world.fund(reward, 1000)
    return reward


def lookalike(world: World) -> Any:
    """A funded campaign of a contract of the pools' own class that names MedSync, and that somebody else
    deployed: nobody knows what its storage held before."""
    arguments = [world.token.address, world.medsync.address]
    return world.campaign(pool=world.deploy("RewardPool", *arguments).address)


def closing(world: World) -> Any:
    reward = world.campaign()
    world.fund(reward, 2000)
    world.allow(reward, world.researcher, 1)
    world.send(world.funder, "announce_close", terms=reward)
    return reward


def refuse(world: World) -> Parts:
    world.send(world.patient, "refuse_purpose", purpose=HRESCH)
    return {}


def exhaust_versions(world: World) -> Parts:
    record_cell(world).write(version=MAX_U32 - 1, status=1, by_delegate=1)
    return {}


def exhaust_generations(world: World) -> Parts:
    patient_cell(world).write(generation=MAX_U32, counter=1)
    return {}


def fill_history(world: World) -> Parts:
    world.histories.put(CONSENTS, RESERVED_FROM)
    return {}


FAULTS: dict[str, Callable[[World], Parts]] = {
    "CONSENT/ZERO_ADDRESS": lambda world: {"grantee": 0},
    "CONSENT/SELF_GRANT": lambda world: {"grantee": world.patient},
    "ENTITY/UNKNOWN": lambda world: {"grantee": world.stranger},
    "CONSENT/BAD_PURPOSE": lambda world: {"purpose": BTG},
    "CONSENT/BAD_CATEGORIES": lambda world: {"categories": 0},
    "CONSENT/EMPTY_WINDOW": lambda world: {"starts_at": MAX_TIME},
    "CONSENT/EXPIRED_AT_BIRTH": lambda world: {"starts_at": 0, "expires_at": world.now},
    "CONSENT/TIME_RANGE": lambda world: {"expires_at": MAX_TIME + 1},
    "CONSENT/CAMPAIGN_PURPOSE": lambda world: {"reward": world.campaign(purpose=felt("TREAT"))},
    "CONSENT/CAMPAIGN_STUDY": lambda world: {"reward": world.campaign(study=1)},
    "CONSENT/CAMPAIGN_SPENDER": lambda world: {"reward": world.campaign(spender=world.partner)},
    "CONSENT/PURPOSE_REFUSED": refuse,
    "CONSENT/GENERATION_EXHAUSTED": exhaust_generations,
    "CONSENT/VERSION_EXHAUSTED": exhaust_versions,
    "CONSENT/NOT_A_POOL": lambda world: {"reward": foreign_pool(world)},
    "CONSENT/CAMPAIGN_EXPIRED": lambda world: {"reward": world.campaign(expires_at=world.now)},
    "CONSENT/CAMPAIGN_UNFUNDED": lambda world: {"reward": world.campaign()},
    "CONSENT/CAMPAIGN_CLOSING": lambda world: {"reward": closing(world)},
    "CONSENT/HISTORY_FULL": fill_history,
}

WAYS = [by_the_patient, by_a_delegate, by_a_message]


def give(world: World, way: Callable[[World, Parts], tuple[int, str, Parts]], fault: Parts) -> Any:
    parts = {"grantee": fault.pop("grantee", world.researcher), "terms": world.terms(**fault)}
    return way(world, parts)


@pytest.mark.parametrize("error", FAULTS)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_has_the_same_rules(
    world: World, way: Callable[[World, Parts], tuple[int, str, Parts]], error: str
) -> None:
    world.name_delegate(GIVE)
    sender, function, arguments = give(world, way, FAULTS[error](world))
    world.refuses(error, sender, function, **arguments)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "pool",
    [
        lookalike,
        lambda world: world.campaign(pool=world.token.address),
        lambda world: world.campaign(pool=world.medsync.address),
        lambda world: world.campaign(pool=world.hospital),
        lambda world: world.campaign(pool=0xDEAD),
        lambda world: world.campaign(pool=0),
    ],
    ids=["lookalike", "token", "medsync", "account", "nothing", "zero"],
)
def test_only_a_pool_that_medsync_deployed_is_one(
    world: World, way: Callable[[World, Parts], tuple[int, str, Parts]], pool: Callable[[World], Any]
) -> None:
    """Nothing else is even called."""
    world.name_delegate(GIVE)
    sender, function, arguments = give(world, way, {"reward": pool(world)})
    world.refuses("CONSENT/NOT_A_POOL", sender, function, **arguments)

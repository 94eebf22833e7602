"""The access log as an outsider checks it: entries and digests put together from the rules, not from the
contract."""

from collections.abc import Iterable
from typing import Any

from poseidon_py.poseidon_hash import poseidon_hash_many

from tests.harness.driver import Raised
from tests.harness.words import felt
from tests.harness.world import World

DECISIONS = ("Permit", "Deny", "NoConsent", "Emergency")
REASONS = (
    *("Granted", "BreakGlass", "NeverGiven", "EntityUnknown", "EntitySuspended", "Withdrawn", "Revoked"),
    *("AllRevoked", "NotStarted", "Expired", "CategoryNotCovered", "UsesExhausted", "CampaignMismatch"),
    *("RewardUnfunded", "CampaignClosed", "CampaignExpired", "AllowanceExceeded", "PoolFailed"),
    *("NotHospital", "EmergencyOptOut"),
)
HEAD_MASK = 2**219 - 1


def digest(world: World, previous: int, entry: Raised) -> int:
    """The digest of an `AccessLogged` event on top of the head before it."""
    keys, data = entry.keys, entry.data
    fields = [
        felt("MEDSYNC/LOG/1"),
        world.chain.chain_id,
        entry.source,
        keys["patient"],
        previous,
        data["seq"],
        data["at"],
        keys["accessor"],
        keys["purpose"],
        data["categories"],
        data["record"],
        DECISIONS.index(data["decision"]),
        REASONS.index(data["reason"]),
        data["version"],
        data["campaign"],
        data["justification"],
    ]
    return int(poseidon_hash_many(fields)) & HEAD_MASK


def head_after(world: World, entries: Iterable[Raised]) -> dict[str, int]:
    """What `log_head` must answer for a patient whose whole log this is."""
    head = count = 0
    for count, entry in enumerate(entries, 1):
        assert entry.name == "AccessLogged"
        assert entry.data["seq"] == count, "an entry is missing"
        head = digest(world, head, entry)
    return {"count": count, "head": head}


def logged(world: World, **changes: Any) -> Raised:
    """The event of a researcher's permitted request, as `world.ask()` makes it."""
    fields = {
        "patient": world.patient,
        "accessor": world.researcher,
        "purpose": felt("HRESCH"),
        "seq": 1,
        "at": world.now,
        "decision": "Permit",
        "reason": "Granted",
        "version": 1,
        "categories": 1 << 7,
        "record": 0xEC04D,
        "campaign": 0,
        "justification": 0,
    }
    assert set(changes) <= set(fields), changes
    return world.raised("AccessLogged", **(fields | changes))

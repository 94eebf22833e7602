"""The cells themselves: that each is packed as its doc says, and what happens when a counter is at its very
end.

Such ends are reached by writing into the devnet's storage; no user could do enough transactions to get there.
"""

from typing import Any

import pytest
from poseidon_py.poseidon_hash import poseidon_hash_many

from tests.harness.cells import packed, peek, poke
from tests.harness.snip12 import consent_hash, revocation_hash, signed
from tests.harness.words import ADMIN_DELAY, CLOSE_NOTICE, DAY, GIVE, MAX_U32, MAX_U64, MAX_U128, REVOKE, felt
from tests.harness.world import World

HRESCH = felt("HRESCH")


def poseidon(*felts: int) -> int:
    return int(poseidon_hash_many(list(felts)))


def record_key(world: World) -> int:
    return poseidon(world.patient, world.researcher, HRESCH)


# --- layouts ------------------------------------------------------------------------------------------------


def test_registry_cells(world: World) -> None:
    at = world.now
    medsync = world.medsync
    for who, role, suspended in (
        (world.hospital, 1, 0),
        (world.researcher, 2, 0),
        (world.auditor, 3, 0),
        (world.suspended, 2, 1),
    ):
        assert peek(world, medsync, "EntityRegistry_entities", who) == packed(
            (role, 8), (suspended, 1), (at, 40)
        )
    assert peek(world, medsync, "EntityRegistry_entities", world.stranger) == 0
    assert peek(world, medsync, "EntityRegistry_admin") == world.admin
    # Nobody named: the administrator's own address, so that the cell is never cleared.
    assert peek(world, medsync, "EntityRegistry_pending") == world.admin
    world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
    assert peek(world, medsync, "EntityRegistry_pending") == world.successor
    assert peek(world, medsync, "EntityRegistry_ready_at") == at + ADMIN_DELAY
    world.send(world.admin, "cancel_admin_transfer")
    assert peek(world, medsync, "EntityRegistry_pending") == world.admin


def test_consent_cells(world: World) -> None:
    medsync, key = world.medsync, record_key(world)
    reward = world.campaign()
    world.fund(reward, 10_000)
    world.send(world.patient, "revoke_all")
    world.give(reward=reward, max_uses=7, categories=0b1010_0101, starts_at=5)
    parts = {
        "version": (1, 32),
        "epoch": (1, 32),
        "max_uses": (7, 32),
        "uses": (0, 32),
        "starts_at": (5, 40),
        "expires_at": (world.now + DAY, 40),
        "categories": (0b1010_0101, 32),
        "rewarded": (1, 1),
        "status": (1, 2),
    }

    def cell(**changes: tuple[int, int]) -> int:
        return packed(*(parts | changes).values())

    assert peek(world, medsync, "ConsentRegistry_records", key) == cell()
    assert (
        peek(world, medsync, "ConsentRegistry_campaigns", key) == world.read("campaign", terms=reward)["id"]
    )

    world.send(world.funder, "set_allowance", terms=reward, accessor=world.researcher, amount=1000)
    assert world.ask(campaign=reward, categories=1).result["decision"] == "Permit"
    assert peek(world, medsync, "ConsentRegistry_records", key) == cell(uses=(1, 32))

    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    assert peek(world, medsync, "ConsentRegistry_records", key) == cell(
        uses=(1, 32), version=(2, 32), status=(2, 2)
    )


def test_patient_and_delegate_cells(world: World) -> None:
    medsync = world.medsync
    expires_at = world.now + 5
    key = poseidon(world.patient, world.delegate)
    for powers in (GIVE | REVOKE, 0):
        world.send(
            world.patient, "set_delegate", delegate=world.delegate, powers=powers, expires_at=expires_at
        )
        # The mark keeps a removed delegate's cell from being cleared, and below a patient's.
        assert peek(world, medsync, "ConsentRegistry_delegations", key) == packed(
            (powers, 8), (expires_at, 40), (1, 1)
        )
    world.send(world.patient, "revoke_all")
    world.send(world.patient, "cancel_signatures")
    world.send(world.patient, "set_emergency_opt_out", opted_out=True)
    assert peek(world, medsync, "ConsentRegistry_patients", world.patient) == packed(
        (2, 64), (1, 32), (1, 1), (1, 1)
    )


def test_a_patients_cell_is_never_cleared(world: World) -> None:
    for opted_out in (True, False):
        world.send(world.patient, "set_emergency_opt_out", opted_out=opted_out)
    assert peek(world, world.medsync, "ConsentRegistry_patients", world.patient) == packed(
        (0, 64), (0, 32), (0, 1), (1, 1)
    )


def test_log_cell(world: World) -> None:
    world.ask()
    digest = world.ask().result["digest"]
    assert peek(world, world.medsync, "AccessLog_heads", world.patient) == packed((digest, 219), (2, 32))


def test_pool_cells(world: World) -> None:
    pool, terms = world.pool, world.campaign(expires_at=world.now + 30 * DAY)
    world.fund(terms, 5000)
    campaign = world.read("campaign", terms=terms)["id"]
    consent = world.terms(reward=terms, expires_at=world.now + 20 * DAY)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=consent)
    world.ask(world.funder, campaign=terms)
    world.ask(world.funder, campaign=terms)
    world.send(world.funder, "announce_close", terms=terms)
    closing_at = world.now + CLOSE_NOTICE
    assert peek(world, pool, "token") == world.token.address
    assert peek(world, pool, "log") == world.medsync.address
    assert peek(world, pool, "campaigns", campaign) == packed((3000, 128), (2, 64), (closing_at, 40), (1, 2))
    assert peek(world, pool, "totals") == packed((5000, 128), (5000, 123))

    world.send(world.patient, "withdraw", amount=1800, recipient=world.patient)
    # Drawn to the last unit, and not cleared.
    assert peek(world, pool, "credits", world.patient) == packed((0, 128), (1800, 123))
    assert peek(world, pool, "credits", world.hospital) == packed((200, 128), (0, 123))
    assert peek(world, pool, "totals") == packed((3200, 128), (5000, 123))

    world.send(world.funder, "set_allowance", terms=terms, accessor=world.partner, amount=0)
    assert peek(world, pool, "allowances", poseidon(campaign, world.partner)) == packed((0, 128), (1, 1))

    world.now = closing_at
    world.send(world.funder, "close_campaign", terms=terms)
    assert peek(world, pool, "campaigns", campaign) == packed((0, 128), (2, 64), (closing_at, 40), (2, 2))


# --- the ends of counters -----------------------------------------------------------------------------------


def put_log(world: World, count: int) -> None:
    poke(world, world.medsync, packed((0xEAD, 219), (count, 32)), "AccessLog_heads", world.patient)


def test_a_log_is_full_at_last(world: World) -> None:
    """After 2^32 - 1 entries nothing is decided any more, for what is not logged is not decided."""
    world.give()
    emergency = {
        "patient": world.patient,
        "categories": 1,
        "record": 0,
        "justification_commitment": 1,
    }
    put_log(world, MAX_U32 - 1)
    receipt = world.ask()
    assert (receipt.result["seq"], receipt.result["decision"]) == (MAX_U32, "Permit")
    assert world.read("log_head", patient=world.patient)["count"] == MAX_U32
    world.refuses("ACCESS/LOG_FULL", world.researcher, "request_access", request=world.request())
    world.refuses("ACCESS/LOG_FULL", world.researcher, "request_access_batch", requests=[world.request()])
    world.refuses("ACCESS/LOG_FULL", world.hospital, "request_emergency_access", **emergency)
    # Everybody else goes on.
    assert world.ask(patient=world.neighbour).result["seq"] == 1


def put_record(world: World, **changes: int) -> None:
    """The researcher's consent as if it had a long history."""
    parts = {
        "version": 1,
        "epoch": 0,
        "max_uses": 0,
        "uses": 0,
        "starts_at": 1,
        "expires_at": world.now + DAY,
        "categories": 0xFFFF,
        "rewarded": 0,
        "status": 1,
    } | changes
    widths = (32, 32, 32, 32, 40, 40, 32, 1, 2)
    cell = packed(*zip(parts.values(), widths, strict=True))
    poke(world, world.medsync, cell, "ConsentRegistry_records", record_key(world))


def test_the_last_version_is_kept_for_a_withdrawal(world: World) -> None:
    """2^32 - 2 changes: it can be renewed no more, but still be withdrawn, once."""
    put_record(world, version=MAX_U32 - 2)
    world.give()
    assert world.verdict() == ("Permit", "Granted", MAX_U32 - 1)
    world.refuses(
        "CONSENT/VERSION_EXHAUSTED",
        world.patient,
        "add_consent",
        grantee=world.researcher,
        terms=world.terms(),
    )
    world.send(
        world.patient, "set_delegate", delegate=world.delegate, powers=GIVE, expires_at=world.now + DAY
    )
    world.refuses(
        "CONSENT/VERSION_EXHAUSTED",
        world.delegate,
        "add_consent_for",
        patient=world.patient,
        grantee=world.researcher,
        terms=world.terms(),
    )
    withdrawal = {"grantee": world.researcher, "purpose": HRESCH}
    world.send(world.patient, "revoke_consent", **withdrawal)
    # One version more there is not; nor is anything left that it could void.
    assert world.send(world.patient, "revoke_consent", **withdrawal).events == []
    assert world.verdict() == ("Deny", "Withdrawn", MAX_U32)
    world.refuses(
        "CONSENT/VERSION_EXHAUSTED",
        world.patient,
        "add_consent",
        grantee=world.researcher,
        terms=world.terms(),
    )


def test_no_signature_renews_what_is_exhausted(world: World) -> None:
    put_record(world, version=MAX_U32 - 1)
    parts: dict[str, Any] = {
        "patient": world.patient,
        "grantee": world.researcher,
        "terms": world.terms(),
        "nonce": 0,
        "deadline": world.now,
    }
    signature = signed(world, world.patient, consent_hash(world, **parts, version=MAX_U32))
    world.refuses(
        "CONSENT/VERSION_EXHAUSTED", world.relayer, "add_consent_by_sig", **parts, signature=signature
    )


@pytest.mark.parametrize("max_uses", [0, MAX_U32])
def test_the_count_of_uses_ends(world: World, max_uses: int) -> None:
    """Without a limit the counter itself is the limit; it neither wraps nor panics."""
    put_record(world, max_uses=max_uses, uses=MAX_U32 - 1)
    assert world.ask().result["decision"] == "Permit"
    consent = world.read("consent", patient=world.patient, grantee=world.researcher, purpose=HRESCH)
    assert consent["uses"] == MAX_U32
    assert world.ask().result["reason"] == "UsesExhausted"
    assert world.verdict() == ("Deny", "UsesExhausted", 1)


@pytest.mark.parametrize("max_uses", [0, MAX_U32])
def test_the_last_use_of_all_is_given_back(world: World, max_uses: int) -> None:
    reward = world.campaign()
    world.fund(reward, 1)
    world.give(reward=reward)
    put_record(world, max_uses=max_uses, uses=MAX_U32 - 1, rewarded=1)
    assert world.ask(campaign=reward).result["reason"] == "RewardUnfunded"
    consent = world.read("consent", patient=world.patient, grantee=world.researcher, purpose=HRESCH)
    assert consent["uses"] == MAX_U32 - 1


def test_a_campaign_that_paid_too_often_fails_and_is_survived(world: World) -> None:
    """2^64 payments are beyond reach; the pool would panic, and the request be refused."""
    reward = world.campaign()
    world.fund(reward, 10_000)
    world.send(world.patient, "add_consent", grantee=world.funder, terms=world.terms(reward=reward))
    campaign = world.read("campaign", terms=reward)["id"]
    poke(world, world.pool, packed((10_000, 128), (MAX_U64, 64), (0, 40), (1, 2)), "campaigns", campaign)
    assert world.ask(world.funder, campaign=reward).result["reason"] == "PoolFailed"
    assert world.read("campaign", terms=reward)["remaining"] == 10_000


def put_patient(world: World, epoch: int, nonce: int) -> None:
    poke(
        world,
        world.medsync,
        packed((nonce, 64), (epoch, 32), (0, 1), (1, 1)),
        "ConsentRegistry_patients",
        world.patient,
    )


@pytest.mark.parametrize(
    ("epoch", "nonce", "error"), [(MAX_U32, 0, "u32_add Overflow"), (0, MAX_U64, "u64_add Overflow")]
)
def test_revoking_everything_ends_after_4_billion_times(
    world: World, epoch: int, nonce: int, error: str
) -> None:
    """At the end of either counter it panics rather than wraps, which would bring the first epoch's consents
    back; each single consent can be withdrawn all the same."""
    put_patient(world, epoch, nonce)
    world.give()
    world.refuses(error, world.patient, "revoke_all")
    world.send(world.patient, "revoke_consent", grantee=world.researcher, purpose=HRESCH)
    assert world.verdict() == ("Deny", "Withdrawn", 2)


def test_the_last_nonce_is_never_used(world: World) -> None:
    put_patient(world, 0, MAX_U64)
    world.give()
    parts: dict[str, Any] = {
        "patient": world.patient,
        "grantee": world.researcher,
        "purpose": HRESCH,
        "nonce": MAX_U64,
        "deadline": world.now,
    }
    signature = signed(world, world.patient, revocation_hash(world, **parts))
    world.refuses("u64_add Overflow", world.relayer, "revoke_consent_by_sig", **parts, signature=signature)
    world.refuses("u64_add Overflow", world.patient, "cancel_signatures")


def test_an_allowance_at_its_largest(world: World) -> None:
    terms = world.campaign(rate=1)
    world.fund(terms, 10)
    world.send(world.patient, "add_consent", grantee=world.partner, terms=world.terms(reward=terms))
    world.send(world.funder, "set_allowance", terms=terms, accessor=world.partner, amount=MAX_U128)
    campaign = world.read("campaign", terms=terms)["id"]
    world.ask(world.partner, campaign=terms)
    key = poseidon(campaign, world.partner)
    assert peek(world, world.pool, "allowances", key) == packed((MAX_U128 - 1, 128), (1, 1))

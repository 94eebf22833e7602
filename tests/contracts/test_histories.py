"""What is rebuilt from the three provable histories against the contract's own views, then and now."""

from typing import Any

from medsync.deployment.devnet import Devnet
from medsync.log.fetch import fetch_events, fetch_patient
from medsync.log.replay import State, replay, replay_patient
from medsync.protocol.chains import KINDS
from medsync.protocol.events import LogEntry
from medsync.protocol.types import CampaignTerms, Verdict
from medsync.protocol.vocabulary import Category, Purpose, Reason
from medsync.starknet.clients import MedSyncClient, RewardPoolClient
from medsync.starknet.network import Connection, connect
from tests.harness.snip12 import consent_message, revocation_message
from tests.harness.words import (
    BROAD,
    DAY,
    EMERGENCY_DELAY,
    GIVE,
    HRESCH,
    PROFILE_DELAY,
    REFUSE,
    REVOKE,
    felt,
)
from tests.harness.world import World, id_of

ASKED = Category.OBSERVATION
STUDY = 0x57D7


def typed(terms: dict[str, Any]) -> CampaignTerms:
    return CampaignTerms(**terms | {"purpose": Purpose.HRESCH})


async def test_proven_histories_rebuild_everything(world: World, devnet: Devnet) -> None:
    """A busy month with every kind of entry, then every view of everybody, now and as it was."""
    patient, researcher, hospital = world.patient, world.researcher, world.hospital
    campaign = world.campaign(study=STUDY, expires_at=world.now + 90 * DAY)
    paid = {"study": STUDY, "campaign": id_of(campaign)}
    who = (patient, researcher, Purpose.HRESCH, STUDY, ASKED, id_of(campaign))
    seen: dict[int, Verdict] = {}

    async with connect(url=devnet.rpc_url) as connection:
        medsync = MedSyncClient(world.medsync.address, connection.client)

        async def remember() -> None:
            world.wait(100)
            world.ask(world.auditor, patient=world.stranger)
            block = await connection.client.get_block_with_tx_hashes(block_number="latest")
            seen[block.timestamp] = await medsync.verify_consent(*who, block=int(block.block_number))
            world.wait(100)

        world.fund(campaign, 5000)
        world.allow(campaign, researcher, 3)
        await remember()
        terms = world.terms(study=STUDY, reward=campaign, max_uses=2, categories=0xFF)
        signed = consent_message(world, terms=terms)
        world.send(world.relayer, "add_consent_by_sig", **signed)
        world.send(world.neighbour, "add_consent", grantee=researcher, terms=world.terms())
        await remember()
        for _ in range(3):
            world.ask(**paid)
        await remember()
        world.ask(categories=1 << 13, **paid)
        world.ask(study=STUDY)
        world.send(researcher, "request_access_batch", **world.batch((world.neighbour, 1), (patient, 2)))
        world.give(study=STUDY, reward=campaign, scoped=True)
        await remember()
        world.ask(**paid)
        world.ask(**paid)
        world.send(world.admin, "suspend_entity", address=researcher)
        await remember()
        world.send(world.admin, "reinstate_entity", address=researcher)
        world.send(patient, "refuse_purpose", purpose=HRESCH)
        world.ask(**paid)
        await remember()
        world.send(patient, "allow_purpose", purpose=HRESCH)
        world.name_delegate(GIVE | REVOKE | REFUSE, world.now + 60 * DAY)
        about = {"patient": patient, "grantee": researcher, "purpose": HRESCH, "study": STUDY}
        world.send(world.delegate, "revoke_consent_for", **about)
        await remember()
        given = world.terms(purpose=felt("TREAT"), expires_at=world.now + 90 * DAY)
        world.send(world.delegate, "add_consent_for", patient=patient, grantee=hospital, terms=given)
        world.send(patient, "refuse_consent", grantee=researcher, purpose=HRESCH, study=STUDY)
        world.ask(**paid)
        await remember()
        world.send(patient, "set_emergency_choice", choice="NamedHospitals")
        world.send(patient, "allow_emergency", hospital=hospital)
        about_emergency = {"patient": patient, "categories": 3, "record": 1}
        world.send(hospital, "request_emergency_access", **about_emergency)
        world.wait(EMERGENCY_DELAY)
        world.send(hospital, "request_emergency_access", **about_emergency)
        broken = (await medsync.log_head(patient)).count
        world.send(hospital, "justify_emergency", patient=patient, emergency=broken, statement=5)
        world.send(patient, "contest_emergency", hospital=hospital, emergency=broken)
        world.send(patient, "forbid_emergency", hospital=hospital)
        world.send(hospital, "request_emergency_access", **about_emergency)
        await remember()
        world.allow(campaign, researcher, 1)
        world.give(study=STUDY, reward=campaign, expires_at=world.now + 9 * DAY)
        await remember()
        withdrawal = revocation_message(world, study=STUDY)
        world.send(world.relayer, "revoke_consent_by_sig", **withdrawal)
        state_deletion = {"patient": patient, "purpose": HRESCH, "study": STUDY, "statement": 9}
        world.send(researcher, "state_deletion", **state_deletion)
        await remember()
        world.send(patient, "cancel_signatures")
        world.send(patient, "dismiss_delegates")
        world.send(patient, "revoke_all", dismiss_delegates=True)
        world.wait(PROFILE_DELAY)
        world.send(hospital, "change_profile", profile_commitment=3)
        world.send(world.admin, "announce_successor", successor=0x57CC)
        world.send(world.admin, "begin_admin_transfer", new_admin=world.stranger)
        world.send(world.admin, "cancel_admin_transfer")
        world.send(world.admin, "begin_admin_transfer", new_admin=world.successor)
        world.send(world.stranger, "settle", patient=patient, grantee=researcher, terms=campaign)
        world.send(world.stranger, "settle_custodian", terms=campaign, accessor=researcher)
        withdraw = {"amount": 100, "recipient": world.stranger, "claims": []}
        world.send(patient, "withdraw", **withdraw)
        world.send(world.funder, "announce_close", terms=campaign)
        world.wait(8 * DAY)
        world.send(world.funder, "close_campaign", terms=campaign)
        world.send(world.successor, "accept_admin_transfer")
        await remember()
        world.wait(100)
        world.ask(world.auditor, patient=world.stranger)

        client, contract = connection.client, world.medsync.address
        history = await fetch_patient(client, contract, patient)
        assert {type(entry) for entry in history.entries} == set(KINDS)
        proven = replay_patient(history)
        assert {second: proven.verify_consent(*who, second=second) for second in seen} == seen
        assert {verdict.reason for verdict in seen.values()} >= {
            *(Reason.NEVER_GIVEN, Reason.GRANTED, Reason.USES_EXHAUSTED, Reason.ENTITY_SUSPENDED),
            *(Reason.PURPOSE_REFUSED, Reason.REVOKED, Reason.REFUSED, Reason.WITHDRAWN),
        }
        logged = [entry for entry in history.accesses.entries if isinstance(entry, LogEntry)]
        assert {entry.reason for entry in logged} >= {
            *(Reason.CATEGORY_NOT_COVERED, Reason.CAMPAIGN_MISMATCH, Reason.REWARD_UNFUNDED),
            *(Reason.HOSPITAL_TOO_NEW, Reason.BREAK_GLASS, Reason.EMERGENCY_REFUSED),
        }

        names = {contract: "MedSync", world.pool.address: "RewardPool"}
        events = await fetch_events(client, names, to_block=history.block.number, timestamps=False)
        state = replay(events, chain_id=history.chain_id, contract=contract, until=history.block.timestamp)
        await _compare(world, connection, state, typed(campaign))


async def _compare(world: World, connection: Connection, state: State, campaign: CampaignTerms) -> None:
    """Every view of everybody, as of the newest block."""
    medsync = MedSyncClient(world.medsync.address, connection.client)
    pool = RewardPoolClient(world.pool.address, connection.client)
    patient, researcher = world.patient, world.researcher
    assert state.admin() == await medsync.admin()
    assert state.pending_admin() == await medsync.pending_admin()
    assert state.successor() == await medsync.successor()
    assert state.registry_head() == await medsync.registry_head()
    for person in world.chain.accounts:
        assert state.entity(person) == await medsync.entity(person)
        assert state.log_head(person) == await medsync.log_head(person)
        assert state.history_head(person) == await medsync.history_head(person)
        assert state.patient_state(person) == await medsync.patient_state(person)
        assert state.delegation(patient, person) == await medsync.delegation(patient, person)
        assert state.emergency_naming(patient, person) == await medsync.emergency_naming(patient, person)
        assert state.budget(campaign.id, person) == await medsync.budget(campaign.id, person)
        assert state.claimable(person) == await pool.claimable(person)
        assert state.withdrawn(person) == await pool.withdrawn(person)
        assert state.accumulated(person) == await pool.accumulated(person)
        for study in (STUDY, BROAD):
            for asked in (campaign.id, 0):
                key = (person, researcher, Purpose.HRESCH, study, asked)
                assert state.consent(*key) == await medsync.consent(*key)
                assert state.paid_uses(*key) == await medsync.paid_uses(*key)
        key = (patient, person, Purpose.TREAT, BROAD)
        assert state.consent(*key) == await medsync.consent(*key)
    for access in state.emergencies(patient):
        where = (patient, access.access.seq, access.access.accessor)
        assert state.emergency(*where) == await medsync.emergency(*where)
    assert state.campaign(campaign.id) == await pool.campaign(campaign)
    assert state.liabilities() == await pool.liabilities()
    assert [*state.pools] == [world.pool.address]

"""The typed clients against the real contracts: what they send, make of the answers, and raise."""

import ast
import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from medsync import artifacts
from medsync.deployment.devnet import Devnet
from medsync.errors import ContractError, InputError, NetworkError
from medsync.log.fetch import fetch_log, prove_complete
from medsync.protocol import events as ev
from medsync.protocol.felt import encode_short_string
from medsync.protocol.messages import draw_message
from medsync.protocol.src5 import interface_id
from medsync.protocol.types import (
    AccessReceipt,
    AccessRequest,
    Budget,
    Campaign,
    CampaignTerms,
    Claim,
    Consent,
    ConsentTerms,
    Delegation,
    Emergency,
    Entity,
    Head,
    KeyCredit,
    PaidUses,
    PatientState,
    Payee,
    PendingAdmin,
    Subject,
    Verdict,
)
from medsync.protocol.vocabulary import (
    CampaignStatus,
    Category,
    ConsentStatus,
    Decision,
    EmergencyChoice,
    PayeeKind,
    Power,
    Purpose,
    Reason,
    Role,
)
from medsync.starknet import accounts
from medsync.starknet.accounts import create_keystore, load_account
from medsync.starknet.clients import ContractClient, Erc20Client, MedSyncClient, RewardPoolClient
from medsync.starknet.fees import InsufficientBalance
from medsync.starknet.network import STRK_TOKEN, Connection, connect
from medsync.starknet.signer import StarkSigner
from medsync.starknet.signing import SignedConsent, SignedRevocation, signed_from_json
from medsync.starknet.transactions import Account, TransactionResult, bounds_for, max_fee
from tests.harness.abi_types import MEDSYNC
from tests.harness.chain import Call
from tests.harness.clients import accounts_of
from tests.harness.words import ADMIN_DELAY, CLOSE_NOTICE, DAY, EMERGENCY_DELAY
from tests.harness.world import World

E = TypeVar("E")

ASKED = Category.LABORATORY
COVERED = ASKED | Category.IMAGING
STUDY = 0x57D7
RATE = 1000
MONEY = 10_000
#: L2 gas that is enough for every transaction here.
ENOUGH_GAS = 20_000_000


@dataclass
class Stage:
    """The world's contracts seen through typed clients, and its people's accounts."""

    world: World
    devnet: Devnet
    connection: Connection
    accounts: dict[int, Account]
    begun: int
    """First second of every window: the block before the first test step."""

    def medsync_of(self, sender: int) -> MedSyncClient:
        return MedSyncClient(self.world.medsync.address, self.accounts[sender])

    def pool_of(self, sender: int) -> RewardPoolClient:
        return RewardPoolClient(self.world.pool.address, self.accounts[sender])

    def token_of(self, sender: int) -> Erc20Client:
        return Erc20Client(self.world.token.address, self.accounts[sender])

    @property
    def names(self) -> dict[int, str]:
        return {self.world.medsync.address: "MedSync", self.world.pool.address: "RewardPool"}

    def campaign_terms(self, **changes: Any) -> CampaignTerms:
        world = self.world
        terms = CampaignTerms(
            pool=world.pool.address,
            funder=world.funder,
            purpose=Purpose.HRESCH,
            study=STUDY,
            rate=RATE,
            custodian=world.hospital,
            custodian_bps=1500,
            expires_at=self.begun + 30 * DAY,
            spender=0,
            salt=1,
        )
        return replace(terms, **changes)

    def consent_terms(self, **changes: Any) -> ConsentTerms:
        terms = ConsentTerms(
            purpose=Purpose.HRESCH,
            study=STUDY,
            categories=COVERED,
            starts_at=self.begun,
            expires_at=self.begun + DAY,
            max_uses=0,
            scoped=False,
            reward=None,
            terms_commitment=0x7E45,
        )
        return replace(terms, **changes)

    def request(self, **changes: Any) -> AccessRequest:
        request = AccessRequest(self.world.patient, Purpose.HRESCH, STUDY, ASKED, 0x2EC)
        return replace(request, **changes)


@pytest.fixture
async def connection(devnet: Devnet) -> AsyncIterator[Connection]:
    async with connect(url=devnet.rpc_url) as connection:
        yield connection


@pytest.fixture
async def stage(world: World, devnet: Devnet, connection: Connection) -> Stage:
    # Later than any block so far: devnet may have dated one a second after its time, and time runs forward.
    world.wait(60)
    mint = Call(world.token.address, "mint", [world.funder, MONEY, 0])
    assert world.execute(world.funder, mint).error is None
    return Stage(world, devnet, connection, accounts_of(world.chain, connection), devnet.latest_time())


def only(result: TransactionResult[Any], kind: type[E]) -> E:
    """The one event of a transaction, which must be of that kind."""
    (event,) = result.events
    assert isinstance(event, kind)
    return event


# --- entities -----------------------------------------------------------------------------------------------


async def test_entities_are_registered_and_suspended(stage: Stage) -> None:
    world, medsync = stage.world, stage.medsync_of(stage.world.admin)
    assert (await medsync.entity(world.stranger)).role is Role.NONE
    before = await medsync.registry_head()
    result = await medsync.register_entity(world.stranger, Role.AUDITOR, 0xA0D1)
    seq = before.count + 1
    event = only(result, ev.EntityRegistered)
    assert event == ev.EntityRegistered(
        world.stranger, seq, event.at, Role.AUDITOR, 0xA0D1, location=event.location
    )
    at = event.at
    assert (await medsync.registry_head(block=result.block_number)).count == seq
    assert await medsync.entity(world.stranger) == Entity(Role.AUDITOR, False, at, at, at, seq)
    assert result.value is None
    assert min(result.l2_gas - 10**6, result.l1_data_gas, result.fee) > 0

    suspended = only(await medsync.suspend_entity(world.stranger), ev.EntitySuspended)
    assert (suspended.entity, suspended.by) == (world.stranger, world.admin)
    assert await medsync.entity(world.stranger) == Entity(Role.AUDITOR, True, at, at, at, seq + 1)
    lifted = only(await medsync.reinstate_entity(world.stranger), ev.EntityReinstated)
    assert await medsync.entity(world.stranger) == Entity(Role.AUDITOR, False, at, lifted.at, at, seq + 2)
    head = await medsync.registry_head()
    assert head.count == seq + 2
    assert head.head not in (0, before.head)


async def test_entities_look_after_themselves(stage: Stage) -> None:
    world = stage.world
    hospital, researcher = stage.medsync_of(world.hospital), stage.medsync_of(world.researcher)
    stage.devnet.increase_time(DAY)
    changed = only(await hospital.change_profile(0x9999), ev.ProfileChanged)
    assert (changed.entity, changed.profile_commitment) == (world.hospital, 0x9999)
    assert (await hospital.entity(world.hospital)).profiled_at == changed.at
    stopped = only(await researcher.suspend_self(), ev.EntitySuspended)
    assert (stopped.entity, stopped.by) == (world.researcher, world.researcher)
    assert (await researcher.entity(world.researcher)).suspended


async def test_the_administration_is_handed_over(stage: Stage) -> None:
    world, medsync = stage.world, stage.medsync_of(stage.world.admin)
    assert (await medsync.admin(), await medsync.pending_admin()) == (world.admin, None)
    await medsync.begin_admin_transfer(world.stranger)
    cancelled = only(await medsync.cancel_admin_transfer(), ev.AdminTransferCancelled)
    assert (cancelled.new_admin, await medsync.pending_admin()) == (world.stranger, None)
    begun = only(await medsync.begin_admin_transfer(world.successor), ev.AdminTransferBegun)
    waiting = PendingAdmin(world.successor, begun.ready_at, begun.lapses_at)
    assert await medsync.pending_admin() == waiting
    assert begun.at < begun.ready_at < begun.lapses_at
    with pytest.raises(ContractError, match="ENTITY/TRANSFER_NOT_READY"):
        await stage.medsync_of(world.successor).accept_admin_transfer()
    stage.devnet.increase_time(ADMIN_DELAY)
    await stage.medsync_of(world.successor).accept_admin_transfer()
    assert (await medsync.admin(), await medsync.pending_admin()) == (world.successor, None)


async def test_a_successor_is_announced(stage: Stage) -> None:
    medsync = stage.medsync_of(stage.world.admin)
    assert await medsync.successor() == 0
    announced = only(await medsync.announce_successor(0x57CC), ev.SuccessorAnnounced)
    assert announced.successor == await medsync.successor() == 0x57CC
    await medsync.announce_successor(0)
    assert await medsync.successor() == 0


async def test_contracts_say_what_they_are(stage: Stage) -> None:
    world = stage.world
    medsync, pool = stage.medsync_of(world.admin), stage.pool_of(world.admin)
    access_log = interface_id(MEDSYNC, "IAccessLog")
    assert await medsync.supports_interface(access_log)
    assert not await pool.supports_interface(access_log)
    assert await medsync.is_published()
    assert await pool.is_published()
    assert not await MedSyncClient(pool.address, stage.connection.client).is_published()
    raw = await medsync.view("edition", [], int)
    assert encode_short_string(await medsync.edition()) == raw != 0


# --- consents -----------------------------------------------------------------------------------------------


async def test_a_consents_life(stage: Stage) -> None:
    world = stage.world
    patient = stage.medsync_of(world.patient)
    who = (world.patient, world.researcher, Purpose.HRESCH, STUDY)
    never = Verdict(Decision.NO_CONSENT, Reason.NEVER_GIVEN, 0, scoped=False)
    assert (await patient.consent(*who)).status is ConsentStatus.NONE
    assert await patient.verify_consent(*who, ASKED) == never

    terms = stage.consent_terms(max_uses=3, scoped=True)
    given = await patient.add_consent(world.researcher, terms)
    assert given.value == 1
    event = only(given, ev.ConsentAdded)
    assert event == ev.ConsentAdded(
        patient=world.patient,
        grantee=world.researcher,
        purpose=Purpose.HRESCH,
        seq=1,
        at=event.at,
        study=STUDY,
        by=world.patient,
        nonce=0,
        version=1,
        generation=1,
        categories=COVERED,
        starts_at=terms.starts_at,
        expires_at=terms.expires_at,
        max_uses=3,
        scoped=True,
        campaign=0,
        terms_commitment=0x7E45,
        location=event.location,
    )
    assert await patient.verify_consent(*who, ASKED) == Verdict(
        Decision.PERMIT, Reason.GRANTED, 1, scoped=True
    )
    assert await patient.consent(*who) == Consent(
        state=Reason.GRANTED,
        status=ConsentStatus.GIVEN,
        starts_at=terms.starts_at,
        expires_at=terms.expires_at,
        categories=COVERED,
        version=1,
        generation=1,
        max_uses=3,
        uses=0,
        rewarded=False,
        scoped=True,
        by_delegate=False,
    )
    # Each argument is in its place: another one finds another record, or asks for what is not covered.
    assert await patient.verify_consent(*who[:3], 0, ASKED) == never
    assert (await patient.verify_consent(*who, Category.GENOMICS)).reason is Reason.CATEGORY_NOT_COVERED
    assert (await patient.verify_consent(*who, ASKED, 0xCA)).reason is Reason.CAMPAIGN_MISMATCH
    assert (await patient.verify_consent(*who, ASKED, block=given.block_number)).version == 1
    about = (world.researcher, Purpose.HRESCH, STUDY, ASKED)
    verdicts = await patient.verify_consents([world.neighbour, world.patient], *about)
    assert verdicts == [never, await patient.verify_consent(*who, ASKED)]
    mismatched = await patient.verify_consents([world.patient], *about, 0xCA)
    assert [verdict.reason for verdict in mismatched] == [Reason.CAMPAIGN_MISMATCH]

    assert (await patient.add_consent(world.researcher, stage.consent_terms())).value == 2
    for version in (3, 4):
        result = await patient.revoke_consent(world.researcher, Purpose.HRESCH, STUDY)
        revoked = only(result, ev.ConsentRevoked)
        assert (revoked.version, revoked.study, revoked.by) == (version, STUDY, world.patient)
    record = await patient.consent(*who)
    assert (record.state, record.status, record.version) == (Reason.WITHDRAWN, ConsentStatus.WITHDRAWN, 4)
    head = await patient.history_head(world.patient)
    assert head.count == 4
    assert head.head != 0


async def test_everything_is_revoked_at_once(stage: Stage) -> None:
    world, patient = stage.world, stage.medsync_of(stage.world.patient)
    who = (world.patient, world.researcher, Purpose.HRESCH, STUDY)
    every = EmergencyChoice.EVERY_HOSPITAL
    assert await patient.patient_state(world.patient) == PatientState(1, 1, 0, 0, 0, every)
    await patient.add_consent(world.researcher, stage.consent_terms())
    revoked = only(await patient.revoke_all(), ev.AllConsentsRevoked)
    assert (revoked.generation, revoked.delegates_dismissed) == (2, False)
    assert (await patient.consent(*who)).state is Reason.ALL_REVOKED
    assert await patient.patient_state(world.patient) == PatientState(2, 1, 2, 0, 0, every)
    assert only(await patient.revoke_all(dismiss_delegates=True), ev.AllConsentsRevoked).delegates_dismissed
    assert await patient.patient_state(world.patient) == PatientState(3, 1, 3, 1, 0, every)
    assert only(await patient.cancel_signatures(), ev.SignaturesCancelled).generation == 4
    assert only(await patient.dismiss_delegates(), ev.DelegatesDismissed).epoch == 2
    assert await patient.patient_state(world.patient) == PatientState(4, 1, 3, 2, 0, every)


async def test_delegates_act_for_a_patient(stage: Stage) -> None:
    world, patient = stage.world, stage.medsync_of(stage.world.patient)
    everything = Power.GIVE | Power.REVOKE | Power.REFUSE
    event = only(await patient.set_delegate(world.delegate, everything, stage.begun + DAY), ev.DelegateSet)
    assert (event.delegate, event.powers, event.expires_at) == (
        world.delegate,
        everything,
        stage.begun + DAY,
    )
    delegate = stage.medsync_of(world.delegate)
    assert await delegate.delegation(world.patient, world.delegate) == Delegation(
        everything, stage.begun + DAY, 0
    )
    given = await delegate.add_consent_for(world.patient, world.researcher, stage.consent_terms())
    assert given.value == 1
    record = await delegate.consent(world.patient, world.researcher, Purpose.HRESCH, STUDY)
    assert (record.status, record.by_delegate) == (ConsentStatus.GIVEN, True)
    revoked = await delegate.revoke_consent_for(world.patient, world.researcher, Purpose.HRESCH, STUDY)
    assert only(revoked, ev.ConsentRevoked).by == world.delegate
    record = await delegate.consent(world.patient, world.researcher, Purpose.HRESCH, STUDY)
    assert record.status is ConsentStatus.REVOKED
    everything_revoked = only(await delegate.revoke_all_for(world.patient), ev.AllConsentsRevoked)
    assert (everything_revoked.patient, everything_revoked.by) == (world.patient, world.delegate)
    refusal = await delegate.refuse_consent_for(world.patient, world.partner, Purpose.TREAT, STUDY)
    refused = only(refusal, ev.ConsentRefused)
    assert (refused.grantee, refused.purpose, refused.study, refused.by) == (
        world.partner,
        Purpose.TREAT,
        STUDY,
        world.delegate,
    )


async def test_a_request_is_answered_by_a_refusal(stage: Stage) -> None:
    world = stage.world
    patient, researcher = stage.medsync_of(world.patient), stage.medsync_of(world.researcher)
    terms = stage.consent_terms(reward=stage.campaign_terms(), max_uses=9, scoped=True)
    until = stage.begun + DAY
    asked = only(await researcher.request_consent(world.patient, terms, until), ev.ConsentRequested)
    assert asked == ev.ConsentRequested(
        patient=world.patient,
        grantee=world.researcher,
        purpose=Purpose.HRESCH,
        open_until=until,
        study=STUDY,
        categories=COVERED,
        starts_at=terms.starts_at,
        expires_at=terms.expires_at,
        max_uses=9,
        scoped=True,
        reward=terms.reward,
        terms_commitment=0x7E45,
        location=asked.location,
    )
    refusal = await patient.refuse_consent(world.researcher, Purpose.HRESCH, STUDY)
    assert only(refusal, ev.ConsentRefused).study == STUDY
    verdict = await patient.verify_consent(world.patient, world.researcher, Purpose.HRESCH, STUDY, ASKED)
    assert verdict.reason is Reason.REFUSED


async def test_a_purpose_is_refused_and_allowed_again(stage: Stage) -> None:
    world, patient = stage.world, stage.medsync_of(stage.world.patient)
    assert await patient.refused_purposes(world.patient) == []
    refused = only(await patient.refuse_purpose(Purpose.TREAT), ev.PurposeRefused)
    assert refused.purpose is Purpose.TREAT
    await patient.refuse_purpose(Purpose.FAMRQT)
    assert await patient.refused_purposes(world.patient) == [Purpose.TREAT, Purpose.FAMRQT]
    state = await patient.patient_state(world.patient)
    assert state.refused == (Purpose.TREAT, Purpose.FAMRQT)
    allowed = only(await patient.allow_purpose(Purpose.TREAT), ev.PurposeAllowed)
    assert allowed.purpose is Purpose.TREAT
    assert await patient.refused_purposes(world.patient) == [Purpose.FAMRQT]


# --- signed messages ----------------------------------------------------------------------------------------


async def test_a_signed_consent_travels_as_a_file_and_is_good_once(stage: Stage) -> None:
    world = stage.world
    campaign = stage.campaign_terms()
    funder = stage.pool_of(world.funder)
    await funder.fund(campaign, RATE)
    await funder.increase_allowance(campaign, world.researcher, 1)
    patient, relayer = stage.medsync_of(world.patient), stage.medsync_of(world.relayer)
    terms = stage.consent_terms(reward=campaign, max_uses=2)
    signed = await patient.sign_consent(world.researcher, terms, deadline=stage.begun + DAY)
    assert (signed.version, signed.generation, signed.counter) == (1, 1, 1)
    received = signed_from_json(json.loads(json.dumps(signed.to_json())))
    assert received == signed
    assert isinstance(received, SignedConsent)
    result = await relayer.submit(received)
    assert result.value == 1
    added = only(result, ev.ConsentAdded)
    assert (added.patient, added.grantee, added.by) == (world.patient, world.researcher, world.patient)
    assert (added.campaign, added.nonce, added.max_uses) == (campaign.id, 2**32 + 1, 2)
    assert (await relayer.patient_state(world.patient)).counter == 2
    with pytest.raises(ContractError) as replayed:
        await relayer.submit(received)
    assert replayed.value.code == "CONSENT/BAD_NONCE"
    assert artifacts.errors()["CONSENT/BAD_NONCE"]["meaning"] in replayed.value.hint


async def test_a_signed_revocation_travels_too(stage: Stage) -> None:
    world = stage.world
    patient, relayer = stage.medsync_of(world.patient), stage.medsync_of(world.relayer)
    await patient.add_consent(world.researcher, stage.consent_terms())
    about = (world.researcher, Purpose.HRESCH, STUDY)
    signed = await patient.sign_revocation(*about, deadline=stage.begun + DAY)
    received = signed_from_json(json.loads(json.dumps(signed.to_json())))
    assert received == signed
    assert isinstance(received, SignedRevocation)
    result = await relayer.submit(received)
    assert result.value is None
    assert (await relayer.consent(world.patient, *about)).status is ConsentStatus.WITHDRAWN
    assert (await relayer.patient_state(world.patient)).generation == 2
    with pytest.raises(ContractError) as replayed:
        await relayer.submit(received)
    assert replayed.value.code == "CONSENT/BAD_GENERATION"


async def test_signatures_are_good_for_exactly_what_was_signed(stage: Stage) -> None:
    world = stage.world
    patient, relayer = stage.medsync_of(world.patient), stage.medsync_of(world.relayer)
    deadline = stage.begun + DAY
    terms = stage.consent_terms()
    consent = await patient.sign_consent(world.researcher, terms, deadline=deadline)
    numbers = (consent.generation, consent.counter, consent.deadline)
    with pytest.raises(ContractError, match="CONSENT/BAD_SIGNATURE"):
        await relayer.add_consent_by_sig(world.patient, world.partner, terms, *numbers, consent.signature)
    given = await relayer.add_consent_by_sig(
        world.patient, world.researcher, terms, *numbers, consent.signature
    )
    assert given.value == 1
    about = (world.researcher, Purpose.HRESCH, STUDY)
    revocation = await patient.sign_revocation(*about, deadline=deadline)
    with pytest.raises(ContractError, match="CONSENT/BAD_SIGNATURE"):
        await relayer.revoke_consent_by_sig(
            world.patient, *about, revocation.generation, deadline + 1, revocation.signature
        )
    revoked = await relayer.revoke_consent_by_sig(
        world.patient, *about, revocation.generation, deadline, revocation.signature
    )
    assert only(revoked, ev.ConsentRevoked).nonce == 2**32


async def test_messages_for_elsewhere_are_not_submitted(stage: Stage) -> None:
    world = stage.world
    patient, relayer = stage.medsync_of(world.patient), stage.medsync_of(world.relayer)
    deadline = stage.begun + DAY
    consent = await patient.sign_consent(world.researcher, stage.consent_terms(), deadline=deadline)
    revocation = await patient.sign_revocation(world.researcher, Purpose.HRESCH, STUDY, deadline=deadline)
    elsewhere = MedSyncClient(world.new_medsync().address, stage.accounts[world.relayer])
    for signed in (consent, revocation):
        with pytest.raises(InputError, match="another contract or another chain"):
            elsewhere.submit(signed)
        with pytest.raises(InputError, match="another contract or another chain"):
            relayer.submit(replace(signed, chain_id=encode_short_string("SN_MAIN")))


async def test_calls_signed_for_later_can_name_the_generation(stage: Stage) -> None:
    world, patient = stage.world, stage.medsync_of(stage.world.patient)
    send = patient.account.send
    given = await send(
        patient.assert_generation(world.patient, 1),
        patient.add_consent(world.researcher, stage.consent_terms()),
    )
    assert given.value == (None, 1)
    await patient.cancel_signatures()
    with pytest.raises(ContractError) as refused:
        await send(
            patient.assert_generation(world.patient, 1),
            patient.add_consent(world.researcher, stage.consent_terms()),
        )
    assert refused.value.code == "CONSENT/BAD_GENERATION"
    assert refused.value.function == "MedSync.assert_generation"


# --- accesses -----------------------------------------------------------------------------------------------


async def test_receipts_are_what_the_contract_answered(stage: Stage) -> None:
    world = stage.world
    researcher = stage.medsync_of(world.researcher)
    asked = await researcher.request_access(stage.request(campaign=0xCA))
    head = await researcher.log_head(world.patient)
    assert asked.value == AccessReceipt(Decision.NO_CONSENT, Reason.NEVER_GIVEN, 1, head.head)
    assert head.count == 1
    event = only(asked, ev.LogEntry)
    assert event == ev.LogEntry(
        patient=world.patient,
        accessor=world.researcher,
        purpose=Purpose.HRESCH,
        seq=1,
        at=event.at,
        study=STUDY,
        decision=Decision.NO_CONSENT,
        reason=Reason.NEVER_GIVEN,
        version=0,
        scoped=False,
        categories=ASKED,
        record=0x2EC,
        campaign=0xCA,
        registration=(await researcher.entity(world.researcher)).seq,
        location=event.location,
    )


async def test_a_batch_is_one_question_about_many_subjects(stage: Stage) -> None:
    world = stage.world
    researcher = stage.medsync_of(world.researcher)
    await stage.medsync_of(world.patient).add_consent(world.researcher, stage.consent_terms(max_uses=1))
    subjects = [Subject(world.patient, 1), Subject(world.neighbour, 2), Subject(world.patient, 3)]
    batch = await researcher.request_access_batch(Purpose.HRESCH, STUDY, ASKED, subjects)
    assert [(receipt.decision, receipt.reason, receipt.seq) for receipt in batch.value] == [
        (Decision.PERMIT, Reason.GRANTED, 1),
        (Decision.NO_CONSENT, Reason.NEVER_GIVEN, 1),
        (Decision.DENY, Reason.USES_EXHAUSTED, 2),
    ]
    assert batch.value[2].digest == (await researcher.log_head(world.patient)).head
    assert batch.value[1].digest == (await researcher.log_head(world.neighbour)).head
    entries = [event for event in batch.events if isinstance(event, ev.LogEntry)]
    assert len(entries) == len(batch.events)
    assert [Subject(entry.patient, entry.record) for entry in entries] == subjects
    queries = {(entry.purpose, entry.study, entry.categories, entry.campaign) for entry in entries}
    assert queries == {(Purpose.HRESCH, STUDY, ASKED, 0)}

    other = await researcher.request_access_batch(Purpose.TREAT, 0, COVERED, subjects[1:2], 0xCA)
    entry = only(other, ev.LogEntry)
    query = (entry.purpose, entry.study, entry.categories, entry.campaign)
    assert query == (Purpose.TREAT, 0, COVERED, 0xCA)
    with pytest.raises(ContractError, match="ACCESS/EMPTY_BATCH"):
        await researcher.request_access_batch(Purpose.HRESCH, STUDY, ASKED, [])


async def test_the_glass_is_broken_justified_and_contested(stage: Stage) -> None:
    world = stage.world
    hospital, patient = stage.medsync_of(world.hospital), stage.medsync_of(world.patient)
    early = await hospital.request_emergency_access(world.patient, COVERED, 0x2EC)
    assert (early.value.decision, early.value.reason) == (Decision.DENY, Reason.HOSPITAL_TOO_NEW)
    stage.devnet.increase_time(EMERGENCY_DELAY)
    result = await hospital.request_emergency_access(world.patient, COVERED, 0x2EC)
    assert (result.value.decision, result.value.reason) == (Decision.EMERGENCY, Reason.BREAK_GLASS)
    entry = only(result, ev.LogEntry)
    assert (entry.patient, entry.categories, entry.record) == (world.patient, COVERED, 0x2EC)
    assert (entry.purpose, entry.seq) == (Purpose.BTG, 2)
    where = (world.patient, entry.seq, world.hospital)
    assert await hospital.emergency(*where) == Emergency(entry.at, justified=False, contested=False)

    justified = only(await hospital.justify_emergency(world.patient, 2, 0x57A7), ev.EmergencyJustified)
    assert (justified.patient, justified.accessor) == (world.patient, world.hospital)
    assert (justified.emergency, justified.statement) == (2, 0x57A7)
    assert await hospital.emergency(*where) == Emergency(entry.at, justified=True, contested=False)
    contested = only(await patient.contest_emergency(world.hospital, 2), ev.EmergencyContested)
    assert (contested.patient, contested.accessor) == (world.patient, world.hospital)
    assert contested.emergency == 2
    assert await hospital.emergency(*where) == Emergency(entry.at, justified=True, contested=True)
    assert (await hospital.emergency(world.patient, 1, world.hospital)).at == 0

    denied = await stage.medsync_of(world.researcher).request_emergency_access(world.patient, ASKED, 0)
    assert denied.value.reason is Reason.NOT_HOSPITAL


async def test_a_patient_chooses_who_may_break_the_glass(stage: Stage) -> None:
    world, patient = stage.world, stage.medsync_of(stage.world.patient)
    for choice in (EmergencyChoice.NOBODY, EmergencyChoice.NAMED_HOSPITALS):
        chosen = only(await patient.set_emergency_choice(choice), ev.EmergencyChoiceSet)
        assert chosen.choice is choice
        assert (await patient.patient_state(world.patient)).emergency is choice
    who = (world.patient, world.hospital)
    assert await patient.emergency_naming(*who) is ConsentStatus.NONE
    named = only(await patient.allow_emergency(world.hospital), ev.EmergencyHospitalSet)
    assert (named.hospital, named.allowed) == (world.hospital, True)
    assert await patient.emergency_naming(*who) is ConsentStatus.GIVEN
    forbidden = only(await patient.forbid_emergency(world.hospital), ev.EmergencyHospitalSet)
    assert (forbidden.hospital, forbidden.allowed) == (world.hospital, False)
    assert await patient.emergency_naming(*who) is ConsentStatus.REFUSED


async def test_a_deletion_is_stated(stage: Stage) -> None:
    world = stage.world
    patient, researcher = stage.medsync_of(world.patient), stage.medsync_of(world.researcher)
    await patient.add_consent(world.researcher, stage.consent_terms())
    await patient.revoke_consent(world.researcher, Purpose.HRESCH, STUDY)
    stated = only(
        await researcher.state_deletion(world.patient, Purpose.HRESCH, STUDY, 0xDE1), ev.DeletionStated
    )
    assert (stated.patient, stated.accessor) == (world.patient, world.researcher)
    assert (stated.purpose, stated.study, stated.statement) == (Purpose.HRESCH, STUDY, 0xDE1)
    assert (stated.seq, stated.version) == (1, 2)


# --- rewards ------------------------------------------------------------------------------------------------


async def test_a_pool_is_made_for_a_token(stage: Stage) -> None:
    world, anyone = stage.world, stage.medsync_of(stage.world.stranger)
    result = await anyone.create_pool(STRK_TOKEN, 0x5A17)
    created = only(result, ev.PoolCreated)
    assert created == ev.PoolCreated(
        result.value, STRK_TOKEN, world.stranger, 0x5A17, location=created.location
    )
    assert await anyone.is_pool(result.value)
    assert not await anyone.is_pool(world.token.address)
    pool = RewardPoolClient(result.value, stage.connection.client)
    assert (await pool.token(), await pool.medsync()) == (STRK_TOKEN, anyone.address)
    assert await anyone.pool_class_hash() == artifacts.load("RewardPool").class_hash


async def test_a_campaign_from_deposit_to_close(stage: Stage) -> None:
    world, terms = stage.world, stage.campaign_terms()
    funder, token = stage.pool_of(world.funder), stage.token_of(world.funder)
    medsync, researcher = stage.medsync_of(world.patient), stage.medsync_of(world.researcher)
    assert (await funder.token(), await funder.medsync()) == (token.address, medsync.address)
    assert await funder.campaign(terms) == Campaign(terms.id, CampaignStatus.NONE, 0, 0, 0, 0)
    assert not await funder.accepts_consents(terms.id)

    with pytest.raises(InsufficientBalance, match="The deposit needs a balance of") as beyond:
        await funder.fund(terms, MONEY + 1)
    assert (beyond.value.balance, beyond.value.token) == (MONEY, token.address)
    funded = await funder.fund(terms, 6 * RATE)
    opened, deposited = funded.events
    assert isinstance(opened, ev.CampaignOpened)
    assert (opened.campaign, opened.terms) == (terms.id, terms)
    assert isinstance(deposited, ev.RewardDeposited)
    assert (deposited.amount, deposited.uses) == (6 * RATE, 6)
    answers: tuple[Any, ...] = funded.value
    assert answers == (True, None)
    assert await token.balance_of(funder.address) == 6 * RATE
    assert await token.allowance(world.funder, funder.address) == 0
    await funder.account.send(token.approve(funder.address, RATE), funder.deposit(terms, RATE))
    assert await funder.campaign(terms) == Campaign(terms.id, CampaignStatus.OPEN, 7, 0, 0, 0)
    assert await funder.accepts_consents(terms.id)
    assert await medsync.budget(terms.id, world.funder) == Budget(7, 0, terms.expires_at, 0)

    increased = await funder.increase_allowance(terms, world.researcher, 4)
    assert only(increased, ev.AllowanceIncreased).uses == 4
    decreased = await funder.decrease_allowance(terms, world.researcher, 1)
    assert only(decreased, ev.AllowanceDecreased).uses == 1
    assert await medsync.budget(terms.id, world.researcher) == Budget(3, 0, terms.expires_at, 0)

    await medsync.add_consent(world.researcher, stage.consent_terms(reward=terms))
    for _ in range(2):
        access = await researcher.request_access(stage.request(campaign=terms.id))
        assert access.value.reason is Reason.GRANTED
    assert await medsync.budget(terms.id, world.researcher) == Budget(1, 2, terms.expires_at, 0)
    who = (world.patient, world.researcher, Purpose.HRESCH, STUDY)
    assert await medsync.paid_uses(*who, terms.id) == PaidUses(version=1, paid=2, base=0, settled=0)
    record = await medsync.consent(*who, terms.id)
    assert (record.state, record.uses, record.rewarded) == (Reason.GRANTED, 2, True)
    assert (await medsync.consent(*who)).state is Reason.CAMPAIGN_MISMATCH

    back = await funder.revoke_allowance(terms, world.researcher)
    assert back.value == only(back, ev.AllowanceDecreased).uses == 1
    spent = await researcher.request_access(stage.request(campaign=terms.id))
    assert spent.value.reason is Reason.REWARD_UNFUNDED

    announced = only(await funder.announce_close(terms), ev.CampaignCloseAnnounced)
    assert not await funder.accepts_consents(terms.id)
    with pytest.raises(ContractError, match="POOL/CLOSE_TOO_EARLY"):
        await funder.close_campaign(terms)
    stage.devnet.increase_time(CLOSE_NOTICE)
    closed = only(await funder.close_campaign(terms), ev.CampaignClosed)
    assert (closed.uses, closed.refunded) == (5, 5 * RATE)
    assert await funder.campaign(terms) == Campaign(
        terms.id, CampaignStatus.CLOSED, 7, 5, 0, announced.closing_at
    )
    assert await funder.claimable(world.funder) == 5 * RATE
    assert await funder.liabilities() == 7 * RATE


async def test_what_is_owed_is_settled_and_withdrawn(stage: Stage) -> None:
    world, terms = stage.world, stage.campaign_terms()
    medsync, token = stage.medsync_of(world.patient), stage.token_of(world.patient)
    patient, anyone = stage.pool_of(world.patient), stage.pool_of(world.stranger)
    await stage.pool_of(world.funder).fund(terms, 3 * RATE)
    await stage.pool_of(world.funder).increase_allowance(terms, world.researcher, 3)
    await medsync.add_consent(world.researcher, stage.consent_terms(reward=terms))
    claim = Claim(world.researcher, terms)
    request = stage.request(campaign=terms.id)

    await stage.medsync_of(world.researcher).request_access(request)
    assert await patient.unsettled(world.patient, [claim]) == 850
    settled = await anyone.settle(world.patient, world.researcher, terms)
    event = only(settled, ev.RewardSettled)
    assert (event.campaign, event.patient, event.grantee) == (terms.id, world.patient, world.researcher)
    assert (event.study, event.uses, event.share, settled.value) == (STUDY, 1, 850, 1)
    assert (await anyone.settle(world.patient, world.researcher, terms)).value == 0
    for _ in range(2):
        await stage.medsync_of(world.researcher).request_access(request)
    paid = await anyone.settle_custodian(terms, world.researcher)
    share = only(paid, ev.CustodianSettled)
    assert (share.custodian, share.accessor) == (world.hospital, world.researcher)
    assert (share.uses, share.share, paid.value) == (3, 450, 3)
    assert (await medsync.budget(terms.id, world.researcher)).custodian_settled == 3

    with pytest.raises(ContractError, match="POOL/INSUFFICIENT_CREDIT"):
        await patient.withdraw(2000, world.neighbour)
    drawn = await patient.withdraw(2000, world.neighbour, [claim])
    settlement, withdrawal = drawn.events
    assert isinstance(settlement, ev.RewardSettled)
    assert (settlement.uses, settlement.share) == (2, 1700)
    assert isinstance(withdrawal, ev.RewardWithdrawn)
    assert (withdrawal.owner, withdrawal.recipient, withdrawal.amount) == (
        world.patient,
        world.neighbour,
        2000,
    )
    assert await token.balance_of(world.neighbour) == 2000
    assert await patient.claimable(world.patient) == 550
    assert await patient.withdrawn(world.patient) == 2000
    assert await patient.accumulated(world.patient) == 2550
    assert await patient.unsettled(world.patient, [claim]) == 0
    assert await patient.liabilities() == 3 * RATE - 2000
    await patient.withdraw(550, world.neighbour)
    assert await patient.claimable(world.patient) == 0


async def test_a_spender_pays_accounts_and_keys(stage: Stage) -> None:
    world = stage.world
    terms = stage.campaign_terms(spender=world.relayer)
    await stage.pool_of(world.funder).fund(terms, 2 * RATE)
    spender, anyone = stage.pool_of(world.relayer), stage.pool_of(world.stranger)
    holder = StarkSigner(0x4E7, stage.connection.chain_id)
    key = holder.public_key
    for payee in (Payee(PayeeKind.ACCOUNT, world.patient), Payee(PayeeKind.KEY, key)):
        spent = only(await spender.spend(terms, payee), ev.RewardSpent)
        assert spent == ev.RewardSpent(terms.id, world.relayer, payee, 850, 150, location=spent.location)
    assert await anyone.claimable(world.patient) == 850
    assert await anyone.key_credit(key) == KeyCredit(claimable=850, nonce=0)
    with pytest.raises(ContractError, match="POOL/NOTHING_LEFT"):
        await spender.spend(terms, Payee(PayeeKind.KEY, key))

    def sign(amount: int, nonce: int) -> tuple[int, int]:
        chain = stage.connection.chain_id
        r, s = holder.sign_hash(draw_message(chain, anyone.address, key, amount, world.neighbour, nonce))
        return r, s

    drawn = await anyone.withdraw_by_key(key, 800, world.neighbour, sign(800, 0))
    event = only(drawn, ev.KeyCreditWithdrawn)
    assert (event.key, event.recipient, event.amount, event.nonce) == (key, world.neighbour, 800, 0)
    assert await stage.token_of(world.stranger).balance_of(world.neighbour) == 800
    assert await anyone.key_credit(key) == KeyCredit(claimable=50, nonce=1)
    for amount, recipient, nonce in ((50, world.neighbour, 0), (50, world.stranger, 1)):
        with pytest.raises(ContractError, match="POOL/BAD_SIGNATURE"):
            await anyone.withdraw_by_key(key, amount, recipient, sign(amount, nonce))
    await anyone.withdraw_by_key(key, 50, world.neighbour, sign(50, 1))
    assert await anyone.key_credit(key) == KeyCredit(claimable=0, nonce=2)


# --- tokens -------------------------------------------------------------------------------------------------


async def test_token_amounts_may_need_both_halves(stage: Stage) -> None:
    world, token = stage.world, stage.token_of(stage.world.funder)
    big = 2**128 + 5
    mint = Call(token.address, "mint", [world.funder, 0, 2])
    assert world.execute(world.funder, mint).error is None
    held = 2**129 + MONEY
    assert await token.balance_of(world.funder) == held
    assert (await token.approve(world.relayer, big)).value is True
    assert await token.allowance(world.funder, world.relayer) == big
    assert await token.allowance(world.relayer, world.funder) == 0
    assert (await token.transfer(world.stranger, big)).value is True
    assert await token.balance_of(world.stranger) == big
    assert await token.balance_of(world.funder) == held - big


async def test_a_balance_is_checked_before_it_is_spent(stage: Stage) -> None:
    token = stage.token_of(stage.world.funder)
    await token.check_balance(MONEY, "The transfer", l2_gas=ENOUGH_GAS)
    with pytest.raises(InsufficientBalance, match="The transfer needs a balance of") as short:
        await token.check_balance(MONEY + 1, "The transfer", l2_gas=ENOUGH_GAS)
    assert (short.value.balance, short.value.needed) == (MONEY, MONEY + 1)


async def test_the_token_of_fees_has_to_pay_them_too(stage: Stage) -> None:
    patient = stage.world.patient
    strk = Erc20Client(STRK_TOKEN, stage.accounts[patient])
    assert await strk.decimals() == 18
    balance = await strk.balance_of(patient)
    fee = max_fee(await bounds_for(strk.client, l2_gas=ENOUGH_GAS))
    assert 0 < fee < balance
    await strk.check_balance(balance - fee, "The transfer", l2_gas=ENOUGH_GAS)
    with pytest.raises(InsufficientBalance) as short:
        await strk.check_balance(balance - fee + 1, "The transfer", l2_gas=ENOUGH_GAS)
    assert (short.value.balance, short.value.needed) == (balance, balance + 1)


# --- refusals -----------------------------------------------------------------------------------------------


async def test_a_refusal_has_one_code_however_it_is_found_out(stage: Stage) -> None:
    world = stage.world
    bounds = await bounds_for(stage.connection.client, l2_gas=ENOUGH_GAS)
    medsync = stage.medsync_of(world.patient)
    with pytest.raises(ContractError) as estimated:
        await medsync.revoke_consent(world.researcher, Purpose.HRESCH, STUDY)
    with pytest.raises(ContractError) as reverted:
        await medsync.revoke_consent(world.researcher, Purpose.HRESCH, STUDY).send(bounds=bounds)
    for error in (estimated.value, reverted.value):
        assert (error.code, error.function) == ("CONSENT/NOT_FOUND", "MedSync.revoke_consent")
        assert artifacts.errors()["CONSENT/NOT_FOUND"]["meaning"] in error.hint
    assert "was reverted; its fee was paid" in reverted.value.hint
    assert "fee was paid" not in estimated.value.hint


async def test_who_is_suspended_is_told(stage: Stage) -> None:
    world = stage.world
    for sender, code in ((world.suspended, "ENTITY/SUSPENDED"), (world.stranger, "ENTITY/UNKNOWN")):
        with pytest.raises(ContractError) as refused:
            await stage.medsync_of(sender).request_access(stage.request())
        assert (refused.value.code, refused.value.function) == (code, "MedSync.request_access")


async def test_the_innermost_reason_of_several_calls_is_found(stage: Stage) -> None:
    world, terms = stage.world, stage.campaign_terms()
    funder = stage.pool_of(world.funder)
    with pytest.raises(ContractError) as refused:
        await funder.deposit(terms, MONEY)
    assert refused.value.function == "RewardPool.deposit"
    assert not refused.value.code.startswith("POOL/"), "the token's own reason, from two calls further down"
    token = stage.token_of(world.funder)
    with pytest.raises(ContractError) as failed:
        await funder.account.send(token.approve(funder.address, 1), funder.deposit(terms, 0))
    assert (failed.value.code, failed.value.function) == ("POOL/ZERO_AMOUNT", "RewardPool.deposit")
    assert await token.allowance(world.funder, funder.address) == 0


async def test_views_of_what_is_not_there_are_named(stage: Stage) -> None:
    nowhere = MedSyncClient(0x1234, stage.connection.client)
    with pytest.raises(ContractError, match=r"MedSync\.admin refused: CONTRACT_NOT_FOUND"):
        await nowhere.admin()
    other = MedSyncClient(stage.world.pool.address, stage.connection.client)
    with pytest.raises(ContractError, match=r"MedSync\.admin refused: ENTRYPOINT_NOT_FOUND"):
        await other.admin()
    with pytest.raises(NetworkError):
        await stage.medsync_of(stage.world.admin).admin(block=10**9)


async def test_raw_calldata_reaches_the_contract_as_it_is(stage: Stage) -> None:
    medsync = stage.medsync_of(stage.world.patient)
    with pytest.raises(ContractError) as refused:
        await medsync.invoke("refuse_consent", [stage.world.researcher, 0x1, 0])
    assert refused.value.code == "CONSENT/BAD_PURPOSE"
    answer = await medsync.view("verify_consent", [1, 2, 3, 0, 0, 0], Verdict)
    assert answer == Verdict(Decision.DENY, Reason.ENTITY_UNKNOWN, 0, scoped=False)


async def test_bounds_that_are_too_low_are_refused(stage: Stage) -> None:
    bounds = await bounds_for(stage.connection.client, l2_gas=1)
    with pytest.raises(ContractError) as refused:
        await stage.medsync_of(stage.world.patient).revoke_all().send(bounds=bounds)
    assert refused.value.code == "INSUFFICIENT_RESOURCES"


# --- accounts -----------------------------------------------------------------------------------------------


async def test_many_transactions_of_one_account_at_once(stage: Stage) -> None:
    world = stage.world
    bounds = await bounds_for(stage.connection.client, l2_gas=ENOUGH_GAS)
    researcher = stage.medsync_of(world.researcher)
    calls = [researcher.request_access(stage.request()) for _ in range(12)]
    results = await asyncio.gather(*(call.send(bounds=bounds) for call in calls[:10]), *calls[10:])
    assert {result.value.seq for result in results} == set(range(1, 13))
    assert len({result.hash for result in results}) == 12


async def test_an_account_used_elsewhere_too_recovers(stage: Stage) -> None:
    world = stage.world
    first = stage.accounts[world.patient]
    second = await load_account(stage.connection, _name(stage, world.patient))
    assert second is not first
    for account in (first, second, first, first, second):
        await MedSyncClient(world.medsync.address, account).revoke_all()
    assert (await stage.medsync_of(world.patient).patient_state(world.patient)).generation == 6


async def test_an_account_survives_a_devnets_revert(stage: Stage) -> None:
    patient = stage.medsync_of(stage.world.patient)
    bounds = await bounds_for(stage.connection.client, l2_gas=ENOUGH_GAS)
    await patient.revoke_all()
    for estimate in (True, False):
        with stage.devnet.restored():
            await patient.revoke_all()
        await patient.revoke_all().send(bounds=None if estimate else bounds)
    assert (await patient.patient_state(stage.world.patient)).generation == 4


async def test_a_keystore_signs_for_its_account(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_SCRYPT_N", 2)
    key = stage.world.chain.accounts[stage.world.patient].key
    path = tmp_path / "patient.json"
    create_keystore(path, "a password", key)
    account = await load_account(
        stage.connection, f"{stage.world.patient:#x}@{path}", passphrase="a password"
    )
    await MedSyncClient(stage.world.medsync.address, account).revoke_all()
    assert (await stage.medsync_of(stage.world.patient).patient_state(account.address)).generation == 2


async def test_a_devnets_accounts_are_numbered(stage: Stage) -> None:
    with pytest.raises(InputError, match="devnet:0 to devnet:15"):
        await load_account(stage.connection, "devnet:16")


async def test_who_only_reads_sends_nothing(stage: Stage) -> None:
    reader = MedSyncClient(stage.world.medsync.address, stage.connection.client)
    assert await reader.admin() == stage.world.admin
    with pytest.raises(InputError, match="can only read"):
        await reader.revoke_all()


def _name(stage: Stage, address: int) -> str:
    return f"devnet:{list(stage.accounts).index(address)}"


# --- logs ---------------------------------------------------------------------------------------------------


async def test_a_log_is_fetched_page_by_page_and_proven(stage: Stage) -> None:
    world = stage.world
    researcher = stage.medsync_of(world.researcher)
    subjects = [Subject(world.patient, 1), Subject(world.neighbour, 2)] * 3
    await researcher.request_access_batch(Purpose.HRESCH, STUDY, ASKED, subjects)
    await stage.medsync_of(world.hospital).request_emergency_access(world.patient, ASKED, 0)
    client = stage.connection.client
    head = await researcher.log_head(world.patient)
    for chunk_size in (1, 2, 100):
        history = await fetch_log(client, world.medsync.address, world.patient, chunk_size=chunk_size)
        assert [entry.seq for entry in history.entries] == [1, 2, 3, 4]
        prove_complete(history, head)
    silent = await fetch_log(client, world.medsync.address, world.stranger)
    assert silent.entries == ()
    prove_complete(silent, Head(0, 0))


# --- completeness -------------------------------------------------------------------------------------------


def test_every_method_is_tried() -> None:
    assert _untried(Path(__file__).read_text("utf-8")) == set()


@pytest.mark.parametrize("method", ["revoke_all_for", "withdraw_by_key", "decimals", "is_published"])
def test_a_method_that_nobody_tries_is_found(method: str) -> None:
    source = Path(__file__).read_text("utf-8")
    without = source.replace(f".{method}(", ".another(")
    assert {name for _, name in _untried(without)} == {method}


def _untried(source: str) -> set[tuple[str, str]]:
    """By class, every public method of a client that the source calls nowhere."""
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    return {
        (client.__name__, name)
        for client in (ContractClient, MedSyncClient, RewardPoolClient, Erc20Client)
        for name, method in vars(client).items()
        if inspect.isfunction(method) and not name.startswith("_") and name not in called
    }

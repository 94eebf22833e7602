"""The typed clients against the real contracts: what they send, make of the answers, and raise."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from medsync.deployment.devnet import Devnet
from medsync.errors import ContractError, InputError, NetworkError
from medsync.log.fetch import fetch_events, fetch_log, prove_complete
from medsync.log.replay import replay
from medsync.protocol import events as ev
from medsync.protocol.events import ConsentAdded, LogEntry, events_of
from medsync.protocol.src5 import interface_id
from medsync.protocol.types import (
    AccessReceipt,
    AccessRequest,
    Campaign,
    CampaignTerms,
    ConsentTerms,
    Delegation,
    Entity,
    Judgement,
    LogHead,
    PatientState,
    PendingAdmin,
)
from medsync.protocol.vocabulary import (
    CampaignStatus,
    Category,
    ConsentStatus,
    Decision,
    Power,
    Purpose,
    Reason,
    Role,
)
from medsync.starknet import accounts
from medsync.starknet.accounts import create_keystore, load_account, predeployed_accounts
from medsync.starknet.clients import Erc20Client, MedSyncClient, RewardPoolClient
from medsync.starknet.fees import InsufficientBalance
from medsync.starknet.network import STRK_TOKEN, Connection, connect
from medsync.starknet.signing import SignedConsent, signed_from_json
from medsync.starknet.transactions import Account, bounds_for
from tests.harness.abi_types import MEDSYNC
from tests.harness.chain import Call
from tests.harness.words import ADMIN_DELAY, CLOSE_NOTICE, DAY
from tests.harness.world import PROFILE, World

ASKED = Category.LABORATORY
RATE = 1000
MONEY = 10_000


@dataclass
class Stage:
    """The world's contracts seen through typed clients, and its people's accounts."""

    world: World
    devnet: Devnet
    connection: Connection
    accounts: dict[int, Account]
    begun: int
    """First second of every window: the block before the first test step."""

    def medsync(self, sender: int) -> MedSyncClient:
        return MedSyncClient(self.world.medsync.address, self.accounts[sender])

    def pool(self, sender: int) -> RewardPoolClient:
        return RewardPoolClient(self.world.pool.address, self.accounts[sender])

    @property
    def names(self) -> dict[int, str]:
        return {self.world.medsync.address: "MedSync", self.world.pool.address: "RewardPool"}

    def campaign(self, salt: int = 1) -> CampaignTerms:
        world = self.world
        expires_at = self.begun + 30 * DAY
        return CampaignTerms(
            world.pool.address, world.funder, Purpose.HRESCH, RATE, world.hospital, 1500, expires_at, salt
        )

    def terms(self, reward: CampaignTerms | None = None, max_uses: int = 0) -> ConsentTerms:
        return ConsentTerms(
            Purpose.HRESCH, ASKED | Category.IMAGING, self.begun, self.begun + DAY, max_uses, reward, 0x7E45
        )

    def request(self, reward: CampaignTerms | None = None, patient: int | None = None) -> AccessRequest:
        patient = self.world.patient if patient is None else patient
        return AccessRequest(patient, Purpose.HRESCH, ASKED, 0x2EC, reward)


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
    people = {account.address: account for account in await predeployed_accounts(connection)}
    return Stage(world, devnet, connection, people, devnet.latest_time())


# --- entities -----------------------------------------------------------------------------------------------


async def test_entities(stage: Stage) -> None:
    world, medsync = stage.world, stage.medsync(stage.world.admin)
    result = await medsync.register_entity(world.stranger, Role.AUDITOR, PROFILE)
    (event,) = result.events
    assert isinstance(event, ev.EntityRegistered)
    assert (event.entity, event.role, event.profile_commitment) == (world.stranger, Role.AUDITOR, PROFILE)
    assert await medsync.entity(world.stranger) == Entity(
        Role.AUDITOR, suspended=False, registered_at=event.at
    )
    assert (result.value, result.l2_gas > 10**6, result.l1_data_gas > 0, result.fee > 0) == (
        None,
        True,
        True,
        True,
    )

    suspended = await medsync.suspend_entity(world.stranger)
    assert (await medsync.entity(world.stranger)).suspended
    reinstated = await medsync.reinstate_entity(world.stranger)
    assert not (await medsync.entity(world.stranger)).suspended
    assert [type(one) for one in suspended.events + reinstated.events] == [
        ev.EntitySuspended,
        ev.EntityReinstated,
    ]
    assert (await medsync.entity(0xBEEF)).role is Role.NONE


async def test_the_administration_is_handed_over(stage: Stage) -> None:
    world, medsync = stage.world, stage.medsync(stage.world.admin)
    assert (await medsync.admin(), await medsync.pending_admin()) == (world.admin, None)
    await medsync.begin_admin_transfer(world.successor)
    await medsync.cancel_admin_transfer()
    (begun,) = (await medsync.begin_admin_transfer(world.successor)).events
    assert isinstance(begun, ev.AdminTransferBegun)
    assert await medsync.pending_admin() == PendingAdmin(world.successor, begun.ready_at)
    with pytest.raises(ContractError, match="ENTITY/TRANSFER_NOT_READY"):
        await stage.medsync(world.successor).accept_admin_transfer()
    stage.devnet.increase_time(ADMIN_DELAY)
    await stage.medsync(world.successor).accept_admin_transfer()
    assert (await medsync.admin(), await medsync.pending_admin()) == (world.successor, None)


async def test_interfaces_are_asked_for(stage: Stage) -> None:
    world = stage.world
    access_log = interface_id(MEDSYNC, "IAccessLog")
    assert await stage.medsync(world.admin).supports_interface(access_log)
    assert not await stage.pool(world.admin).supports_interface(access_log)


# --- consents -----------------------------------------------------------------------------------------------


async def test_a_consents_life(stage: Stage) -> None:
    world = stage.world
    patient = stage.medsync(world.patient)
    who = (world.patient, world.researcher, Purpose.HRESCH)
    assert (await patient.consent(*who)).status is ConsentStatus.NONE
    assert await patient.verify_consent(*who, ASKED) == Judgement(Decision.NO_CONSENT, Reason.NEVER_GIVEN, 0)

    given = await patient.add_consent(world.researcher, stage.terms(max_uses=3))
    assert given.value == 1
    (event,) = given.events
    assert isinstance(event, ConsentAdded)
    assert (event.by, event.version, event.categories) == (world.patient, 1, ASKED | Category.IMAGING)
    assert await patient.verify_consent(*who, ASKED) == Judgement(Decision.PERMIT, Reason.GRANTED, 1)
    assert (await patient.add_consent(world.researcher, stage.terms())).value == 2

    await patient.revoke_consent(world.researcher, Purpose.HRESCH)
    await patient.revoke_consent(world.researcher, Purpose.HRESCH)
    record = await patient.consent(*who)
    assert (record.status, record.version, record.campaign) == (ConsentStatus.WITHDRAWN, 4, 0)

    await patient.revoke_all()
    await patient.cancel_signatures()
    await patient.set_emergency_opt_out(True)
    assert await patient.patient_state(world.patient) == PatientState(1, 2, emergency_opt_out=True)


async def test_delegates_act_for_a_patient(stage: Stage) -> None:
    world = stage.world
    everything = Power.GIVE | Power.REVOKE | Power.REFUSE
    await stage.medsync(world.patient).set_delegate(world.delegate, everything, stage.begun + DAY)
    delegate = stage.medsync(world.delegate)
    assert await delegate.delegation(world.patient, world.delegate) == Delegation(
        everything, stage.begun + DAY
    )
    assert (await delegate.add_consent_for(world.patient, world.researcher, stage.terms())).value == 1
    await delegate.revoke_consent_for(world.patient, world.researcher, Purpose.HRESCH)
    await delegate.revoke_all_for(world.patient)
    (refused,) = (await delegate.refuse_consent_for(world.patient, world.partner, Purpose.TREAT)).events
    assert isinstance(refused, ev.ConsentRefused)
    assert refused.by == world.delegate
    record = await delegate.consent(world.patient, world.researcher, Purpose.HRESCH)
    assert record.status is ConsentStatus.REVOKED


async def test_requests_and_refusals_are_events(stage: Stage) -> None:
    world = stage.world
    terms = stage.terms(stage.campaign())
    (asked,) = (await stage.medsync(world.researcher).request_consent(world.patient, terms)).events
    assert isinstance(asked, ev.ConsentRequested)
    assert (asked.patient, asked.reward, asked.categories) == (world.patient, terms.reward, terms.categories)
    (refused,) = (await stage.medsync(world.patient).refuse_consent(world.researcher, Purpose.HRESCH)).events
    assert isinstance(refused, ev.ConsentRefused)


async def test_a_signed_consent_travels_as_a_file_and_is_good_once(stage: Stage) -> None:
    world = stage.world
    await stage.pool(world.funder).fund(stage.campaign(), RATE)
    patient, relayer = stage.medsync(world.patient), stage.medsync(world.relayer)
    terms = stage.terms(stage.campaign())
    signed = await patient.sign_consent(world.researcher, terms, deadline=stage.begun + DAY)
    received = signed_from_json(json.loads(json.dumps(signed.to_json())))
    assert isinstance(received, SignedConsent)
    result = await relayer.submit(received)
    assert result.value == 1
    record = await relayer.consent(world.patient, world.researcher, Purpose.HRESCH)
    assert record.campaign == stage.campaign().id
    with pytest.raises(ContractError) as replayed:
        await relayer.submit(received)
    assert replayed.value.code == "CONSENT/BAD_NONCE"
    assert "used or voided" in replayed.value.hint

    revocation = await patient.sign_revocation(world.researcher, Purpose.HRESCH, deadline=stage.begun + DAY)
    assert (await relayer.submit(revocation)).value is None
    assert not await _permits(stage)
    assert (await relayer.patient_state(world.patient)).nonce == 2


async def _permits(stage: Stage) -> bool:
    world = stage.world
    medsync = stage.medsync(world.admin)
    judgement = await medsync.verify_consent(world.patient, world.researcher, Purpose.HRESCH, ASKED)
    return judgement.decision is Decision.PERMIT


# --- accesses and rewards -----------------------------------------------------------------------------------


async def test_receipts_are_what_the_contract_answered(stage: Stage) -> None:
    world = stage.world
    researcher = stage.medsync(world.researcher)
    refused = await researcher.request_access(stage.request())
    head = await researcher.log_head(world.patient)
    assert refused.value == AccessReceipt(Decision.NO_CONSENT, Reason.NEVER_GIVEN, 1, head.head)
    assert head.count == 1
    await stage.medsync(world.patient).add_consent(world.researcher, stage.terms(max_uses=1))
    requests = [stage.request(), stage.request(patient=world.neighbour), stage.request()]
    batch = await researcher.request_access_batch(requests)
    outcomes = [(receipt.decision, receipt.reason, receipt.seq) for receipt in batch.value]
    assert outcomes == [
        (Decision.PERMIT, Reason.GRANTED, 2),
        (Decision.NO_CONSENT, Reason.NEVER_GIVEN, 1),
        (Decision.DENY, Reason.USES_EXHAUSTED, 3),
    ]
    assert batch.value[2].digest == (await researcher.log_head(world.patient)).head
    assert batch.value[1].digest == (await researcher.log_head(world.neighbour)).head
    assert [type(event) for event in batch.events] == [LogEntry] * 3


async def test_the_glass_is_broken(stage: Stage) -> None:
    world = stage.world
    result = await stage.medsync(world.hospital).request_emergency_access(
        world.patient, Category.ALL, 0, 0x7E5
    )
    assert (result.value.decision, result.value.reason) == (Decision.EMERGENCY, Reason.BREAK_GLASS)
    assert [type(event) for event in result.events] == [LogEntry, ev.EmergencyAccessed]
    denied = await stage.medsync(world.researcher).request_emergency_access(world.patient, ASKED, 0, 1)
    assert denied.value.reason is Reason.NOT_HOSPITAL


async def test_a_campaign_from_deposit_to_close(stage: Stage) -> None:
    world, terms = stage.world, stage.campaign()
    funder, token = stage.pool(world.funder), Erc20Client(world.token.address, stage.accounts[world.funder])
    assert (await funder.token(), await funder.log()) == (world.token.address, world.medsync.address)
    before = await funder.campaign(terms)
    assert before == Campaign(terms.id, world.medsync.address, CampaignStatus.NONE, 0, 0, 0)

    with pytest.raises(InsufficientBalance, match="The deposit needs a balance of") as beyond:
        await funder.fund(terms, MONEY + 1)
    assert (beyond.value.balance, beyond.value.token) == (MONEY, world.token.address)
    funded = await funder.fund(terms, 3 * RATE)
    assert [type(event) for event in funded.events] == [ev.CampaignOpened, ev.RewardDeposited]
    assert funded.value == (True, None)
    assert await token.balance_of(world.pool.address) == 3 * RATE
    assert await token.allowance(world.funder, world.pool.address) == 0
    await funder.account.send(token.approve(world.pool.address, RATE), funder.deposit(terms, RATE))

    await funder.set_allowance(terms, world.researcher, RATE)
    assert await funder.allowance(terms.id, world.researcher) == RATE
    await stage.medsync(world.patient).add_consent(world.researcher, stage.terms(terms))
    access = await stage.medsync(world.researcher).request_access(stage.request(terms))
    assert access.value.reason is Reason.GRANTED
    assert [type(event) for event in access.events] == [LogEntry]
    accrued, logged = events_of(access.receipt, stage.names)
    assert isinstance(accrued, ev.RewardAccrued)
    assert isinstance(logged, LogEntry)
    assert (accrued.patient_share, accrued.custodian_share) == (850, 150)
    second = await stage.medsync(world.researcher).request_access(stage.request(terms))
    assert second.value.reason is Reason.ALLOWANCE_EXCEEDED

    patient = stage.pool(world.patient)
    await patient.withdraw(800, world.neighbour)
    assert await token.balance_of(world.neighbour) == 800
    owner = world.patient
    credit = [await view(owner) for view in (patient.claimable, patient.withdrawn, patient.accumulated)]
    assert credit == [50, 800, 850]
    assert (await patient.liabilities(), await patient.lifetime_deposits()) == (4 * RATE - 800, 4 * RATE)

    (announced,) = (await funder.announce_close(terms)).events
    assert isinstance(announced, ev.CampaignCloseAnnounced)
    stage.devnet.increase_time(CLOSE_NOTICE)
    await funder.close_campaign(terms)
    after = await funder.campaign(terms)
    assert after == Campaign(
        terms.id, world.medsync.address, CampaignStatus.CLOSED, 0, 1, announced.closing_at
    )
    assert await funder.claimable(world.funder) == 3 * RATE
    assert (await token.transfer(world.stranger, 1)).value is True
    assert await token.balance_of(world.stranger) == 1


async def test_the_real_token_is_an_erc20(stage: Stage) -> None:
    strk = Erc20Client(STRK_TOKEN, stage.connection.client)
    assert await strk.decimals() == 18
    assert await strk.balance_of(stage.world.patient) > 10**18


# --- refusals -----------------------------------------------------------------------------------------------


async def test_a_refusal_has_one_code_however_it_is_found_out(stage: Stage) -> None:
    world = stage.world
    bounds = await bounds_for(stage.connection.client, l2_gas=20_000_000)
    medsync = stage.medsync(world.patient)
    with pytest.raises(ContractError) as estimated:
        await medsync.revoke_consent(world.researcher, Purpose.HRESCH)
    with pytest.raises(ContractError) as reverted:
        await medsync.revoke_consent(world.researcher, Purpose.HRESCH).send(bounds=bounds)
    for error in (estimated.value, reverted.value):
        assert (error.code, error.function) == ("CONSENT/NOT_FOUND", "MedSync.revoke_consent")
        assert "No consent was ever given" in error.hint
    assert "was reverted; its fee was paid" in reverted.value.hint
    assert "fee was paid" not in estimated.value.hint


async def test_the_innermost_reason_of_several_calls_is_found(stage: Stage) -> None:
    world, terms = stage.world, stage.campaign()
    funder = stage.pool(world.funder)
    with pytest.raises(ContractError) as refused:
        await funder.deposit(terms, MONEY)
    assert refused.value.function == "RewardPool.deposit"
    assert not refused.value.code.startswith("POOL/"), "the token's own reason, from two calls further down"
    token = Erc20Client(world.token.address, funder.account)
    with pytest.raises(ContractError) as failed:
        await funder.account.send(token.approve(world.pool.address, 1), funder.deposit(terms, 0))
    assert (failed.value.code, failed.value.function) == ("POOL/ZERO_AMOUNT", "RewardPool.deposit")
    assert await token.allowance(world.funder, world.pool.address) == 0


async def test_views_of_what_is_not_there_are_named(stage: Stage) -> None:
    nowhere = MedSyncClient(0x1234, stage.connection.client)
    with pytest.raises(ContractError, match=r"MedSync\.admin refused: CONTRACT_NOT_FOUND"):
        await nowhere.admin()
    other = MedSyncClient(stage.world.pool.address, stage.connection.client)
    with pytest.raises(ContractError, match=r"MedSync\.admin refused: ENTRYPOINT_NOT_FOUND"):
        await other.admin()
    with pytest.raises(NetworkError):
        await stage.medsync(stage.world.admin).admin(block=10**9)


async def test_raw_calldata_reaches_the_contract_as_it_is(stage: Stage) -> None:
    medsync = stage.medsync(stage.world.patient)
    with pytest.raises(ContractError) as refused:
        await medsync.invoke("refuse_consent", [stage.world.researcher, 0x1])
    assert refused.value.code == "CONSENT/BAD_PURPOSE"
    answer = await medsync.view("verify_consent", [1, 2, 3, 0], Judgement)
    assert answer == Judgement(Decision.DENY, Reason.ENTITY_UNKNOWN, 0)


async def test_bounds_that_are_too_low_are_refused(stage: Stage) -> None:
    bounds = await bounds_for(stage.connection.client, l2_gas=1)
    with pytest.raises(ContractError) as refused:
        await stage.medsync(stage.world.patient).revoke_all().send(bounds=bounds)
    assert refused.value.code == "INSUFFICIENT_RESOURCES"


# --- accounts -----------------------------------------------------------------------------------------------


async def test_many_transactions_of_one_account_at_once(stage: Stage) -> None:
    world = stage.world
    bounds = await bounds_for(stage.connection.client, l2_gas=20_000_000)
    researcher = stage.medsync(world.researcher)
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
    assert (await stage.medsync(world.patient).patient_state(world.patient)).epoch == 5


async def test_an_account_survives_a_devnets_revert(stage: Stage) -> None:
    patient = stage.medsync(stage.world.patient)
    bounds = await bounds_for(stage.connection.client, l2_gas=20_000_000)
    await patient.revoke_all()
    for estimate in (True, False):
        with stage.devnet.restored():
            await patient.revoke_all()
        await patient.revoke_all().send(bounds=None if estimate else bounds)
    assert (await patient.patient_state(stage.world.patient)).epoch == 3


async def test_a_keystore_signs_for_its_account(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_SCRYPT_N", 2)
    keys = {account.address: account.private_key for account in stage.devnet.accounts()}
    path = tmp_path / "patient.json"
    create_keystore(path, "a password", keys[stage.world.patient])
    account = await load_account(
        stage.connection, f"{stage.world.patient:#x}@{path}", passphrase="a password"
    )
    await MedSyncClient(stage.world.medsync.address, account).revoke_all()


async def test_a_devnets_accounts_are_numbered(stage: Stage) -> None:
    with pytest.raises(InputError, match="devnet:0 to devnet:15"):
        await load_account(stage.connection, "devnet:16")


def _name(stage: Stage, address: int) -> str:
    return f"devnet:{list(stage.accounts).index(address)}"


# --- logs and replay ----------------------------------------------------------------------------------------


async def test_a_log_is_fetched_page_by_page_and_proven(stage: Stage) -> None:
    world = stage.world
    researcher = stage.medsync(world.researcher)
    await researcher.request_access_batch([stage.request(), stage.request(patient=world.neighbour)] * 3)
    await stage.medsync(world.hospital).request_emergency_access(world.patient, ASKED, 0, 1)
    client = stage.connection.client
    for chunk_size in (1, 2, 100):
        history = await fetch_log(client, world.medsync.address, world.patient, chunk_size=chunk_size)
        assert [entry.seq for entry in history.entries] == [1, 2, 3, 4]
        assert history.head == await researcher.log_head(world.patient)
        prove_complete(history, history.head)
    silent = await fetch_log(client, world.medsync.address, world.stranger)
    assert (silent.entries, silent.head) == ((), LogHead(0, 0))


async def test_events_alone_rebuild_everything(stage: Stage) -> None:
    """A busy month, then every view of everybody against the state replayed, now and as it was."""
    world, terms = stage.world, stage.campaign()
    patient, neighbour = stage.medsync(world.patient), stage.medsync(world.neighbour)
    researcher, hospital = stage.medsync(world.researcher), stage.medsync(world.hospital)
    admin, funder = stage.medsync(world.admin), stage.pool(world.funder)
    who = (world.patient, world.researcher, Purpose.HRESCH)
    seen: list[tuple[int, Judgement]] = []

    async def remember() -> None:
        judgement = await patient.verify_consent(*who, ASKED)
        seen.append((stage.devnet.latest_time(), judgement))
        stage.devnet.increase_time(100)

    await funder.fund(terms, 5 * RATE)
    await funder.set_allowance(terms, world.researcher, 3 * RATE)
    await remember()
    await patient.add_consent(world.researcher, stage.terms(terms, max_uses=2))
    await neighbour.add_consent(world.researcher, stage.terms())
    await remember()
    for _ in range(3):
        await researcher.request_access(stage.request(terms))
    await remember()
    await researcher.request_access_batch([stage.request(patient=world.neighbour), stage.request()])
    await hospital.request_emergency_access(world.neighbour, Category.ALL, 0, 5)
    await patient.add_consent(world.researcher, stage.terms(terms))
    await remember()
    await admin.suspend_entity(world.researcher)
    await researcher.request_access(stage.request(terms))
    await remember()
    await admin.reinstate_entity(world.researcher)
    await patient.set_delegate(world.delegate, Power.REVOKE, 2**40 - 1)
    await stage.medsync(world.delegate).revoke_consent_for(*who)
    await remember()
    signed = await patient.sign_consent(world.researcher, stage.terms(), deadline=stage.begun + DAY)
    await stage.medsync(world.relayer).submit(signed)
    await neighbour.set_emergency_opt_out(True)
    await remember()
    await patient.cancel_signatures()
    await patient.revoke_all()
    await remember()
    await stage.pool(world.patient).withdraw(100, world.patient)
    await funder.announce_close(terms)
    await admin.begin_admin_transfer(world.successor)
    stage.devnet.increase_time(CLOSE_NOTICE)
    await funder.close_campaign(terms)
    await stage.medsync(world.successor).accept_admin_transfer()
    await remember()

    events = await fetch_events(stage.connection.client, stage.names, chunk_size=7)
    state = replay(events, chain_id=stage.connection.chain_id, contract=world.medsync.address)
    assert [state.decision_at(*who, ASKED, second) for second, _ in seen] == [one for _, one in seen]
    assert len({judgement.reason for _, judgement in seen}) >= 6

    assert (state.admin(), state.pending_admin()) == (await admin.admin(), await admin.pending_admin())
    for one in stage.accounts:
        assert state.entity(one) == await admin.entity(one)
        assert state.log_head(one) == await admin.log_head(one)
        held = PatientState(state.epoch(one), state.nonce(one), state.emergency_opt_out(one))
        assert held == await admin.patient_state(one)
        assert state.delegation(world.patient, one) == await admin.delegation(world.patient, one)
        assert state.consent(one, *who[1:]) == await admin.consent(one, *who[1:])
        assert state.allowance(terms.id, one) == await funder.allowance(terms.id, one)
        assert state.claimable(one) == await funder.claimable(one)
        assert state.withdrawn(one) == await funder.withdrawn(one)
        assert state.accumulated(one) == await funder.accumulated(one)
    assert state.campaign(terms.id) == await funder.campaign(terms)
    assert state.liabilities() == await funder.liabilities()
    assert state.lifetime_deposits() == await funder.lifetime_deposits()

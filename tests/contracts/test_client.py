"""The typed clients against the real contracts: what they send, make of the answers, and raise."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from medsync.deployment.devnet import Devnet
from medsync.errors import ContractError, InputError, NetworkError
from medsync.protocol import events as ev
from medsync.protocol.messages import draw_message
from medsync.protocol.src5 import interface_id
from medsync.protocol.types import (
    AccessReceipt,
    AccessRequest,
    Budget,
    Campaign,
    CampaignTerms,
    Claim,
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
from medsync.starknet.accounts import create_keystore, load_account, predeployed_accounts
from medsync.starknet.clients import Erc20Client, MedSyncClient, RewardPoolClient
from medsync.starknet.fees import InsufficientBalance
from medsync.starknet.network import STRK_TOKEN, Connection, connect
from medsync.starknet.signer import StarkSigner
from medsync.starknet.signing import SignedConsent, signed_from_json
from medsync.starknet.transactions import Account, bounds_for
from tests.harness.abi_types import MEDSYNC
from tests.harness.chain import Call
from tests.harness.words import ADMIN_DELAY, CLOSE_NOTICE, DAY, EMERGENCY_DELAY, PROFILE_DELAY
from tests.harness.world import PROFILE, World

ASKED = Category.LABORATORY
RATE = 1000
MONEY = 10_000
STUDY = 0x57D7


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

    def campaign(self, spender: int = 0) -> CampaignTerms:
        world = self.world
        return CampaignTerms(
            pool=world.pool.address,
            funder=world.funder,
            purpose=Purpose.HRESCH,
            study=STUDY,
            rate=RATE,
            custodian=world.hospital,
            custodian_bps=1500,
            expires_at=self.begun + 30 * DAY,
            spender=spender,
            salt=1,
        )

    def terms(self, reward: CampaignTerms | None = None, max_uses: int = 0) -> ConsentTerms:
        return ConsentTerms(
            purpose=Purpose.HRESCH,
            study=STUDY,
            categories=ASKED | Category.IMAGING,
            starts_at=self.begun,
            expires_at=self.begun + DAY,
            max_uses=max_uses,
            scoped=True,
            reward=reward,
            terms_commitment=0x7E45,
        )

    def request(self, reward: CampaignTerms | None = None) -> AccessRequest:
        campaign = reward.id if reward else 0
        return AccessRequest(self.world.patient, Purpose.HRESCH, STUDY, ASKED, 0x2EC, campaign)

    @property
    def who(self) -> tuple[int, int, Purpose, int]:
        """Which consent most tests are about."""
        return self.world.patient, self.world.researcher, Purpose.HRESCH, STUDY


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
        Role.AUDITOR,
        suspended=False,
        registered_at=event.at,
        active_since=event.at,
        profiled_at=event.at,
        seq=event.seq,
    )
    costs = (result.value, result.l2_gas > 10**6, result.l1_data_gas > 0, result.fee > 0)
    assert costs == (None, True, True, True)

    (suspended,) = (await medsync.suspend_entity(world.stranger)).events
    assert (await medsync.entity(world.stranger)).suspended
    await medsync.reinstate_entity(world.stranger)
    stage.devnet.increase_time(PROFILE_DELAY)
    (changed,) = (await stage.medsync(world.stranger).change_profile(7)).events
    (own,) = (await stage.medsync(world.stranger).suspend_self()).events
    assert isinstance(suspended, ev.EntitySuspended)
    assert isinstance(changed, ev.ProfileChanged)
    assert isinstance(own, ev.EntitySuspended)
    assert (suspended.by, own.by) == (world.admin, world.stranger)
    assert (await medsync.registry_head()).count == own.seq
    assert (await medsync.entity(0xBEEF)).role is Role.NONE


async def test_the_administration_is_handed_over(stage: Stage) -> None:
    world, medsync = stage.world, stage.medsync(stage.world.admin)
    assert (await medsync.admin(), await medsync.pending_admin()) == (world.admin, None)
    await medsync.begin_admin_transfer(world.successor)
    await medsync.cancel_admin_transfer()
    (begun,) = (await medsync.begin_admin_transfer(world.successor)).events
    assert isinstance(begun, ev.AdminTransferBegun)
    assert await medsync.pending_admin() == PendingAdmin(world.successor, begun.ready_at, begun.lapses_at)
    with pytest.raises(ContractError, match="ENTITY/TRANSFER_NOT_READY"):
        await stage.medsync(world.successor).accept_admin_transfer()
    stage.devnet.increase_time(ADMIN_DELAY)
    await stage.medsync(world.successor).accept_admin_transfer()
    assert (await medsync.admin(), await medsync.pending_admin()) == (world.successor, None)
    await stage.medsync(world.successor).announce_successor(0x5CC)
    assert await medsync.successor() == 0x5CC


async def test_the_contracts_say_what_they_are(stage: Stage) -> None:
    world = stage.world
    medsync, pool = stage.medsync(world.admin), stage.pool(world.admin)
    access_log = interface_id(MEDSYNC, "IAccessLog")
    assert await medsync.supports_interface(access_log)
    assert not await pool.supports_interface(access_log)
    assert await medsync.edition() == "MedSync/2"
    assert await medsync.is_published()
    assert await medsync.pool_class_hash() == world.chain.declared("RewardPool").hash


# --- consents -----------------------------------------------------------------------------------------------


async def test_a_consents_life(stage: Stage) -> None:
    world = stage.world
    patient = stage.medsync(world.patient)
    unknown = await patient.consent(*stage.who)
    assert (unknown.status, unknown.state) == (ConsentStatus.NONE, Reason.NEVER_GIVEN)
    never = Verdict(Decision.NO_CONSENT, Reason.NEVER_GIVEN, version=0, scoped=False)
    assert await patient.verify_consent(*stage.who, ASKED) == never

    given = await patient.add_consent(world.researcher, stage.terms(max_uses=3))
    assert given.value == 1
    (event,) = given.events
    assert isinstance(event, ev.ConsentAdded)
    assert (event.by, event.version, event.study, event.scoped) == (world.patient, 1, STUDY, True)
    granted = Verdict(Decision.PERMIT, Reason.GRANTED, version=1, scoped=True)
    assert await patient.verify_consent(*stage.who, ASKED) == granted
    several = await patient.verify_consents([world.patient, world.neighbour], *stage.who[1:], ASKED)
    assert several == [granted, never]
    assert (await patient.add_consent(world.researcher, stage.terms())).value == 2

    await patient.revoke_consent(*stage.who[1:])
    await patient.revoke_consent(*stage.who[1:])
    record = await patient.consent(*stage.who)
    assert (record.status, record.version, record.rewarded) == (ConsentStatus.WITHDRAWN, 4, False)
    await patient.refuse_consent(*stage.who[1:])
    assert (await patient.consent(*stage.who)).state is Reason.REFUSED


async def test_what_concerns_a_patient_as_a_whole(stage: Stage) -> None:
    world, patient = stage.world, stage.medsync(stage.world.patient)
    await patient.revoke_all()
    await patient.revoke_all(dismiss_delegates=True)
    await patient.dismiss_delegates()
    await patient.cancel_signatures()
    await patient.set_emergency_choice(EmergencyChoice.NAMED_HOSPITALS)
    await patient.refuse_purpose(Purpose.TREAT)
    await patient.refuse_purpose(Purpose.HRESCH)
    await patient.allow_purpose(Purpose.HRESCH)
    state = await patient.patient_state(world.patient)
    assert state == PatientState(
        generation=4,
        counter=1,
        floor=3,
        delegate_epoch=2,
        refused_purposes=1 << 2,
        emergency=EmergencyChoice.NAMED_HOSPITALS,
    )
    assert state.refused == (Purpose.TREAT,)
    assert await patient.refused_purposes(world.patient) == [Purpose.TREAT]
    assert (await patient.history_head(world.patient)).count == 8
    await patient.account.send(
        patient.assert_generation(world.patient, 4), patient.allow_emergency(world.hospital)
    )
    named = await patient.emergency_naming(world.patient, world.hospital)
    await patient.forbid_emergency(world.hospital)
    forbidden = await patient.emergency_naming(world.patient, world.hospital)
    assert (named, forbidden) == (ConsentStatus.GIVEN, ConsentStatus.REFUSED)
    with pytest.raises(ContractError, match="CONSENT/BAD_GENERATION"):
        await patient.assert_generation(world.patient, 3)


async def test_delegates_act_for_a_patient(stage: Stage) -> None:
    world = stage.world
    everything = Power.GIVE | Power.REVOKE | Power.REFUSE
    until = stage.begun + DAY
    await stage.medsync(world.patient).set_delegate(world.delegate, everything, until)
    delegate = stage.medsync(world.delegate)
    named = await delegate.delegation(world.patient, world.delegate)
    assert named == Delegation(everything, until, epoch=0)
    assert (await delegate.add_consent_for(world.patient, world.researcher, stage.terms())).value == 1
    await delegate.revoke_consent_for(*stage.who)
    record = await delegate.consent(*stage.who)
    assert (record.status, record.by_delegate) == (ConsentStatus.REVOKED, True)
    await delegate.revoke_all_for(world.patient)
    (refused,) = (await delegate.refuse_consent_for(world.patient, world.partner, Purpose.TREAT, 0)).events
    assert isinstance(refused, ev.ConsentRefused)
    assert refused.by == world.delegate


async def test_requests_are_events(stage: Stage) -> None:
    world, terms = stage.world, stage.terms(stage.campaign())
    researcher = stage.medsync(world.researcher)
    (asked,) = (await researcher.request_consent(world.patient, terms, stage.begun + DAY)).events
    assert isinstance(asked, ev.ConsentRequested)
    assert (asked.patient, asked.reward, asked.categories) == (world.patient, terms.reward, terms.categories)
    assert (asked.open_until, asked.study) == (stage.begun + DAY, STUDY)


async def test_a_signed_consent_travels_as_a_file_and_is_good_once(stage: Stage) -> None:
    world, campaign = stage.world, stage.campaign()
    await stage.pool(world.funder).fund(campaign, RATE)
    await stage.pool(world.funder).increase_allowance(campaign, world.researcher, 1)
    patient, relayer = stage.medsync(world.patient), stage.medsync(world.relayer)
    signed = await patient.sign_consent(world.researcher, stage.terms(campaign), deadline=stage.begun + DAY)
    received = signed_from_json(json.loads(json.dumps(signed.to_json())))
    assert isinstance(received, SignedConsent)
    result = await relayer.submit(received)
    assert result.value == 1
    assert (await relayer.consent(*stage.who, campaign.id)).state is Reason.GRANTED
    with pytest.raises(ContractError) as replayed:
        await relayer.submit(received)
    assert replayed.value.code == "CONSENT/BAD_NONCE"
    assert "used or voided" in replayed.value.hint

    revocation = await patient.sign_revocation(*stage.who[1:], deadline=stage.begun + DAY)
    assert (await relayer.submit(revocation)).value is None
    assert (await relayer.consent(*stage.who)).state is Reason.WITHDRAWN
    state = await relayer.patient_state(world.patient)
    assert (state.generation, state.counter) == (2, 1)


# --- accesses and rewards -----------------------------------------------------------------------------------


async def test_receipts_are_what_the_contract_answered(stage: Stage) -> None:
    world = stage.world
    researcher = stage.medsync(world.researcher)
    refused = await researcher.request_access(stage.request())
    head = await researcher.log_head(world.patient)
    assert refused.value == AccessReceipt(Decision.NO_CONSENT, Reason.NEVER_GIVEN, 1, head.head)
    assert head.count == 1
    await stage.medsync(world.patient).add_consent(world.researcher, stage.terms(max_uses=1))
    subjects = [Subject(world.patient, 1), Subject(world.neighbour, 2), Subject(world.patient, 3)]
    batch = await researcher.request_access_batch(Purpose.HRESCH, STUDY, ASKED, subjects)
    outcomes = [(receipt.decision, receipt.reason, receipt.seq) for receipt in batch.value]
    assert outcomes == [
        (Decision.PERMIT, Reason.GRANTED, 2),
        (Decision.NO_CONSENT, Reason.NEVER_GIVEN, 1),
        (Decision.DENY, Reason.USES_EXHAUSTED, 3),
    ]
    assert batch.value[2].digest == (await researcher.log_head(world.patient)).head
    assert await researcher.log_head(world.neighbour) == Head(1, batch.value[1].digest)
    assert [type(event) for event in batch.events] == [ev.LogEntry] * 3
    (deleted,) = (await researcher.state_deletion(world.patient, Purpose.HRESCH, STUDY, 9)).events
    assert isinstance(deleted, ev.DeletionStated)
    assert (deleted.statement, deleted.version) == (9, 1)


async def test_the_glass_is_broken(stage: Stage) -> None:
    world = stage.world
    stage.devnet.increase_time(EMERGENCY_DELAY)
    hospital = stage.medsync(world.hospital)
    result = await hospital.request_emergency_access(world.patient, Category.ALL, 0)
    assert (result.value.decision, result.value.reason) == (Decision.EMERGENCY, Reason.BREAK_GLASS)
    (entry,) = result.events
    assert isinstance(entry, ev.LogEntry)
    (justified,) = (await hospital.justify_emergency(world.patient, entry.seq, 5)).events
    contest = stage.medsync(world.patient).contest_emergency(world.hospital, entry.seq)
    (contested,) = (await contest).events
    assert (type(justified), type(contested)) == (ev.EmergencyJustified, ev.EmergencyContested)
    emergency = await hospital.emergency(world.patient, entry.seq, world.hospital)
    assert emergency == Emergency(entry.at, justified=True, contested=True)
    denied = await stage.medsync(world.researcher).request_emergency_access(world.patient, ASKED, 0)
    assert denied.value.reason is Reason.NOT_HOSPITAL


async def test_a_campaign_from_deposit_to_close(stage: Stage) -> None:
    world, terms = stage.world, stage.campaign()
    medsync = stage.medsync(world.researcher)
    funder, token = stage.pool(world.funder), Erc20Client(world.token.address, stage.accounts[world.funder])
    assert (await funder.token(), await funder.medsync()) == (world.token.address, world.medsync.address)
    nothing = Campaign(terms.id, CampaignStatus.NONE, granted=0, taken=0, spent=0, closing_at=0)
    assert await funder.campaign(terms) == nothing

    with pytest.raises(InsufficientBalance, match="The deposit needs a balance of") as beyond:
        await funder.fund(terms, MONEY + RATE)
    assert (beyond.value.balance, beyond.value.token) == (MONEY, world.token.address)
    funded = await funder.fund(terms, 3 * RATE)
    assert [type(event) for event in funded.events] == [ev.CampaignOpened, ev.RewardDeposited]
    assert funded.value == (True, None)
    assert await token.balance_of(world.pool.address) == 3 * RATE
    assert await token.allowance(world.funder, world.pool.address) == 0
    await funder.account.send(token.approve(world.pool.address, RATE), funder.deposit(terms, RATE))

    await funder.increase_allowance(terms, world.researcher, 3)
    await funder.decrease_allowance(terms, world.researcher, 1)
    await stage.medsync(world.patient).add_consent(world.researcher, stage.terms(terms))
    access = await medsync.request_access(stage.request(terms))
    assert access.value.reason is Reason.GRANTED
    assert [type(event) for event in access.events] == [ev.LogEntry]
    left = await medsync.budget(terms.id, world.researcher)
    assert left == Budget(left=1, paid=1, expires_at=terms.expires_at, custodian_settled=0)
    assert (await funder.revoke_allowance(terms, world.researcher)).value == 1
    second = await medsync.request_access(stage.request(terms))
    assert second.value.reason is Reason.REWARD_UNFUNDED
    owed = await medsync.paid_uses(*stage.who, terms.id)
    assert owed == PaidUses(version=1, paid=1, base=0, settled=0)

    patient = stage.pool(world.patient)
    claim = Claim(world.researcher, terms)
    assert await patient.unsettled(world.patient, [claim]) == 850
    assert (await patient.settle(world.patient, world.researcher, terms)).value == 1
    assert (await patient.settle_custodian(terms, world.researcher)).value == 1
    assert await patient.unsettled(world.patient, [claim]) == 0
    await patient.withdraw(800, world.neighbour, [claim])
    assert await token.balance_of(world.neighbour) == 800
    owner = world.patient
    credit = [await view(owner) for view in (patient.claimable, patient.withdrawn, patient.accumulated)]
    assert credit == [50, 800, 850]
    assert await patient.liabilities() == 4 * RATE - 800

    assert await funder.accepts_consents(terms.id)
    (announced,) = (await funder.announce_close(terms)).events
    assert isinstance(announced, ev.CampaignCloseAnnounced)
    assert not await funder.accepts_consents(terms.id)
    stage.devnet.increase_time(CLOSE_NOTICE)
    await funder.close_campaign(terms)
    assert await funder.campaign(terms) == Campaign(
        terms.id, CampaignStatus.CLOSED, granted=4, taken=3, spent=0, closing_at=announced.closing_at
    )
    assert await funder.claimable(world.funder) == 3 * RATE
    assert (await token.transfer(world.stranger, 1)).value is True
    assert await token.balance_of(world.stranger) == 1


async def test_a_spender_pays_a_key_that_draws(stage: Stage) -> None:
    world, terms = stage.world, stage.campaign(spender=stage.world.partner)
    await stage.pool(world.funder).fund(terms, 2 * RATE)
    signer = StarkSigner(0x4E7, stage.connection.chain_id)
    key, spender = signer.public_key, stage.pool(world.partner)
    for payee in (Payee(PayeeKind.KEY, key), Payee(PayeeKind.ACCOUNT, world.patient)):
        (spent,) = (await spender.spend(terms, payee)).events
        assert isinstance(spent, ev.RewardSpent)
        assert (spent.payee, spent.payee_share, spent.custodian_share) == (payee, 850, 150)
    assert await spender.key_credit(key) == KeyCredit(claimable=850, nonce=0)
    message = draw_message(stage.connection.chain_id, world.pool.address, key, 800, world.stranger, nonce=0)
    r, s = signer.sign_hash(message)
    (drawn,) = (await spender.withdraw_by_key(key, 800, world.stranger, (r, s))).events
    assert isinstance(drawn, ev.KeyCreditWithdrawn)
    assert (drawn.amount, drawn.nonce) == (800, 0)
    assert await spender.key_credit(key) == KeyCredit(claimable=50, nonce=1)


async def test_a_pool_is_made(stage: Stage) -> None:
    world = stage.world
    medsync = stage.medsync(world.stranger)
    made = await medsync.create_pool(world.token.address, 7)
    (event,) = made.events
    assert isinstance(event, ev.PoolCreated)
    assert (event.pool, event.creator, event.salt) == (made.value, world.stranger, 7)
    assert await medsync.is_pool(made.value)
    assert not await medsync.is_pool(world.token.address)


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
        await medsync.revoke_consent(*stage.who[1:])
    with pytest.raises(ContractError) as reverted:
        await medsync.revoke_consent(*stage.who[1:]).send(bounds=bounds)
    for error in (estimated.value, reverted.value):
        assert (error.code, error.function) == ("CONSENT/NOT_FOUND", "MedSync.revoke_consent")
        assert "Nobody ever decided" in error.hint
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
        await medsync.invoke("refuse_consent", [stage.world.researcher, 0x1, 0])
    assert refused.value.code == "CONSENT/BAD_PURPOSE"
    answer = await medsync.view("verify_consent", [1, 2, 3, 0, 0, 0], Verdict)
    assert answer == Verdict(Decision.DENY, Reason.ENTITY_UNKNOWN, version=0, scoped=False)


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
    assert (await stage.medsync(world.patient).patient_state(world.patient)).generation == 6


async def test_an_account_survives_a_devnets_revert(stage: Stage) -> None:
    patient = stage.medsync(stage.world.patient)
    bounds = await bounds_for(stage.connection.client, l2_gas=20_000_000)
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

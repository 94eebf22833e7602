"""Acts that a patient signed and a relayer submitted, on a chain: the predeployed accounts support SNIP-9."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from medsync.deployment.devnet import Devnet
from medsync.errors import ContractError, InputError
from medsync.protocol.events import (
    AllConsentsRevoked,
    ConsentRefused,
    DelegatesDismissed,
    EmergencyChoiceSet,
    EmergencyHospitalSet,
    RewardWithdrawn,
)
from medsync.protocol.types import AccessRequest, CampaignTerms, Claim, ConsentTerms
from medsync.protocol.vocabulary import Category, ConsentStatus, EmergencyChoice, Power, Purpose, Role
from medsync.starknet.account_deployment import account_state, deploy_account, prepare_deployment
from medsync.starknet.account_files import Blueprint
from medsync.starknet.accounts import make_account, predeployed_accounts
from medsync.starknet.clients import Erc20Client, MedSyncClient, RewardPoolClient
from medsync.starknet.network import STRK_TOKEN, connect
from medsync.starknet.outside import (
    ISRC9_V2_ID,
    SignedActs,
    acts_from_json,
    sign_acts,
    submit_acts,
    supports_outside_execution,
)
from medsync.starknet.signer import public_key_of
from tests.deploy.support import deploy

DAY = 86_400
RATE = 1_000


@dataclass
class Scene:
    """A deployment with entities; clients of the patient's, and of the relayer who pays for everything."""

    devnet: Devnet
    admin: MedSyncClient
    patient: MedSyncClient
    relayer: MedSyncClient
    researcher: MedSyncClient
    hospital: int
    pool: RewardPoolClient

    async def submit(self, signed: SignedActs, **options: Any) -> Any:
        """By the relayer, from a file."""
        return await submit_acts(
            self.relayer, acts_from_json(json.loads(json.dumps(signed.to_json()))), **options
        )

    async def now(self) -> int:
        return self.devnet.latest_time()


@pytest.fixture(scope="module")
async def deployed(own_devnet: Devnet, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    path = tmp_path_factory.mktemp("outside") / "devnet.json"
    with own_devnet.restored():
        async with connect("devnet", own_devnet.rpc_url) as connection:
            administrator, patient, relayer, researcher, hospital, *_ = await predeployed_accounts(connection)
            record = await deploy(administrator, path)
            admin = MedSyncClient(record.medsync, administrator)
            await admin.register_entity(researcher.address, Role.RESEARCHER, 1)
            await admin.register_entity(hospital.address, Role.HOSPITAL, 1)
            yield Scene(
                own_devnet,
                admin,
                MedSyncClient(record.medsync, patient),
                MedSyncClient(record.medsync, relayer),
                MedSyncClient(record.medsync, researcher),
                hospital.address,
                RewardPoolClient(record.reward_pool, patient),
            )


@pytest.fixture
def scene(deployed: Scene) -> Iterator[Scene]:
    """The deployment; what a test does to it is undone."""
    with deployed.devnet.restored():
        # Nonces that were counted before are not the chain's any more.
        for client in (deployed.admin, deployed.patient, deployed.relayer, deployed.researcher):
            client.account._next_nonce = None
        yield deployed


async def test_what_closes_is_submitted_by_somebody_else(scene: Scene) -> None:
    patient, researcher = scene.patient, scene.researcher.account.address
    token = Erc20Client(STRK_TOKEN, patient.account)
    balance = await token.balance_of(patient.account.address)
    signed = await sign_acts(
        patient,
        patient.refuse_consent(researcher, Purpose.HRESCH, 0x57),
        patient.set_emergency_choice(EmergencyChoice.NOBODY),
        patient.forbid_emergency(scene.hospital),
        patient.dismiss_delegates(),
        patient.revoke_all(dismiss_delegates=True),
    )
    assert signed.generation is None

    result = await scene.submit(signed)

    kinds = [
        ConsentRefused,
        EmergencyChoiceSet,
        EmergencyHospitalSet,
        DelegatesDismissed,
        AllConsentsRevoked,
    ]
    assert [type(event) for event in result.events] == kinds
    assert {event.patient for event in result.events} == {patient.account.address}
    consent = await patient.consent(patient.account.address, researcher, Purpose.HRESCH, 0x57)
    assert consent.status is ConsentStatus.REFUSED
    assert (await patient.patient_state(patient.account.address)).emergency is EmergencyChoice.NOBODY
    # The relayer paid.
    assert await token.balance_of(patient.account.address) == balance
    assert await patient.account.get_nonce() == 0


async def test_what_opens_is_good_at_its_generation_only(scene: Scene) -> None:
    patient, address = scene.patient, scene.patient.account.address
    choice = await sign_acts(patient, patient.set_emergency_choice(EmergencyChoice.NOBODY))
    await scene.submit(choice)
    until = await scene.now() + DAY
    opening = [
        patient.set_emergency_choice(EmergencyChoice.EVERY_HOSPITAL),
        patient.allow_emergency(scene.hospital),
        patient.set_delegate(scene.hospital, Power.REFUSE, until),
    ]
    early = [await sign_acts(patient, act) for act in opening]
    closing = await sign_acts(patient, patient.set_delegate(scene.hospital, Power(0), 0))
    assert {signed.generation for signed in early} == {1}
    # Who does not trust the node says both.
    told = await sign_acts(patient, opening[0], now=until, within=60, generation=7)
    assert (told.generation, told.execute_before) == (7, until + 60)

    # The patient's panic button, itself signed for a relayer.
    await scene.submit(await sign_acts(patient, patient.cancel_signatures()))
    for signed in early:
        with pytest.raises(ContractError) as refused:
            await scene.submit(signed)
        assert refused.value.code == "CONSENT/BAD_GENERATION"
    assert (await patient.patient_state(address)).emergency is EmergencyChoice.NOBODY

    # What only closes something is not held up by it, and what is signed anew works.
    await scene.submit(closing)
    late = await sign_acts(patient, *opening)
    assert late.generation == 2
    await scene.submit(late)
    assert (await patient.patient_state(address)).emergency is EmergencyChoice.EVERY_HOSPITAL
    assert await patient.emergency_naming(address, scene.hospital) is ConsentStatus.GIVEN
    assert (await patient.delegation(address, scene.hospital)).powers is Power.REFUSE


async def test_pay_is_drawn_by_somebody_else(scene: Scene) -> None:
    patient, researcher = scene.patient, scene.researcher.account
    address, now = patient.account.address, await scene.now()
    terms = CampaignTerms(
        scene.pool.address, researcher.address, Purpose.HRESCH, 0, RATE, 0, 0, now + 9 * DAY, 0, 1
    )
    await RewardPoolClient(scene.pool.address, researcher).fund(terms, 5 * RATE)
    consent = ConsentTerms(Purpose.HRESCH, 0, Category.LABORATORY, now, now + DAY, 0, False, terms, 0)
    await patient.add_consent(researcher.address, consent)
    request = AccessRequest(address, Purpose.HRESCH, 0, Category.LABORATORY, 0, terms.id)
    await scene.researcher.request_access(request)
    token = Erc20Client(STRK_TOKEN, patient.account)
    balance = await token.balance_of(address)

    signed = await sign_acts(patient, scene.pool.withdraw(RATE, address, [Claim(researcher.address, terms)]))
    result = await scene.submit(signed)

    assert await token.balance_of(address) == balance + RATE
    (event,) = [event for event in result.events if isinstance(event, RewardWithdrawn)]
    assert (event.owner, event.recipient, event.amount) == (address, address, RATE)

    stranger = RewardPoolClient(STRK_TOKEN, patient.account)
    with pytest.raises(InputError, match=f"{STRK_TOKEN:#x} is not a pool of the MedSync at"):
        await sign_acts(patient, stranger.withdraw(RATE, address))


async def test_a_relayer_can_neither_repeat_nor_change_nor_delay_it(scene: Scene) -> None:
    patient = scene.patient
    signed = await sign_acts(patient, patient.revoke_all())
    document = signed.to_json()
    document["typed_data"]["message"]["Calls"][0]["Calldata"] = ["0x1"]
    with pytest.raises(ContractError, match="invalid signature"):
        await submit_acts(scene.relayer, acts_from_json(document))
    await scene.submit(signed)
    with pytest.raises(InputError, match="submitted already"):
        await scene.submit(signed)

    late = await sign_acts(patient, patient.revoke_all())
    scene.devnet.increase_time(600)
    with pytest.raises(InputError, match="had to be submitted before 20"):
        await scene.submit(late)
    assert (await patient.patient_state(patient.account.address)).generation == 2

    hour = await sign_acts(patient, patient.revoke_all(), within=3600)
    with pytest.raises(InputError, match="more than 600 s ahead"):
        await scene.submit(hour)
    await scene.submit(hour, longest=3600)


async def test_who_may_submit_and_where(scene: Scene) -> None:
    patient, relayer = scene.patient, scene.relayer.account.address
    signed = await sign_acts(patient, patient.revoke_all(), caller=relayer)
    other = MedSyncClient(patient.address, scene.researcher.account)
    with pytest.raises(InputError, match=f"Only {relayer:#x} may submit these acts"):
        await submit_acts(other, signed)
    with pytest.raises(InputError, match="another contract or another chain"):
        await submit_acts(MedSyncClient(0x5, scene.relayer.account), signed)
    with pytest.raises(InputError, match="another contract or another chain"):
        await submit_acts(scene.relayer, replace(signed, chain_id=5))
    await scene.submit(signed)


async def test_an_account_without_it_is_refused_before_anything_is_signed(scene: Scene) -> None:
    """MedSync answers for other standards, the token for none: neither can do acts of a patient."""
    client = scene.patient.client
    assert await supports_outside_execution(client, scene.patient.account.address)
    for address in (scene.patient.address, STRK_TOKEN):
        assert not await supports_outside_execution(client, address)
        account = make_account(client, scene.patient.account.chain_id, address, 0x5EC4E7)
        medsync = MedSyncClient(scene.patient.address, account)
        with pytest.raises(InputError, match=f"The account {address:#x} does not support") as refused:
            await sign_acts(medsync, medsync.revoke_all())
        assert "from the account itself" in refused.value.hint
        signed = await sign_acts(scene.patient, scene.patient.revoke_all())
        with pytest.raises(InputError, match=f"The account {address:#x} does not support"):
            await scene.submit(replace(signed, patient=address))
    with pytest.raises(ContractError) as missing:
        await supports_outside_execution(client, 0x70CE4)
    assert missing.value.code == "CONTRACT_NOT_FOUND"


async def test_an_account_that_medsync_makes_says_that_it_can(scene: Scene) -> None:
    """They are of the same class as the predeployed ones, but a constructor initialized them."""
    relayer = scene.relayer.account
    key = 0x5EC4E7
    blueprint = Blueprint(public_key_of(key))
    account = make_account(relayer.client, relayer.chain_id, blueprint.address, key)
    scene.devnet.mint(account.address, 10**18)
    await deploy_account(account, await prepare_deployment(account, blueprint))
    # Any typed client asks for standards.
    assert await Erc20Client(account.address, account).supports_interface(ISRC9_V2_ID)
    medsync = MedSyncClient(scene.relayer.address, account)
    balance = (await account_state(account.client, account.address)).balance
    result = await scene.submit(await sign_acts(medsync, medsync.revoke_all()))
    assert [event.patient for event in result.events] == [account.address]
    assert (await account_state(account.client, account.address)).balance == balance

"""A deployment says what it may cost, and refuses before it sends if the account cannot pay for it."""

from pathlib import Path

import pytest

from medsync.deployment import deployer
from medsync.deployment.devnet import Devnet
from medsync.deployment.record import Request
from medsync.errors import ContractError, InputError
from medsync.starknet.account_deployment import account_state, deploy_account, prepare_deployment
from medsync.starknet.account_files import Blueprint
from medsync.starknet.accounts import make_account
from medsync.starknet.fees import InsufficientBalance
from medsync.starknet.network import STRK_TOKEN, Connection
from medsync.starknet.signer import public_key_of
from medsync.starknet.transactions import Account
from tests.deploy.support import STEPS, deploy, files

KEY = 0x5EC4E7


@pytest.fixture
def newcomer(connection: Connection) -> Account:
    """An account that nobody funded or deployed yet."""
    address = Blueprint(public_key_of(KEY)).address
    return make_account(connection.client, connection.chain_id, address, KEY)


def request(account: Account) -> Request:
    return Request(deployer=account.address, admin=account.address, tokens=(STRK_TOKEN,), salt=0)


async def give(devnet: Devnet, account: Account, balance: int) -> None:
    """Have an account hold exactly so much."""
    held = (await account_state(account.client, account.address)).balance
    devnet.mint(account.address, balance - held)


async def test_an_account_pays_for_itself_and_its_deployment_to_the_last_fri(
    untouched: Devnet, newcomer: Account, tmp_path: Path
) -> None:
    """What is said to be needed is what the network demands: one FRI less is refused, here and there."""
    path = tmp_path / "devnet.json"
    with pytest.raises(ContractError, match=f"No account is deployed at {newcomer.address:#x}") as refused:
        await deployer.plan(newcomer, request(newcomer))
    assert "medsync account deploy" in refused.value.hint

    prepared = await prepare_deployment(newcomer, Blueprint(newcomer.stark_signer.public_key))
    assert prepared.highest_fee == 9 * prepared.fee // 4
    await give(untouched, newcomer, prepared.highest_fee - 1)
    with pytest.raises(InsufficientBalance) as poor:
        await deploy_account(newcomer, prepared)
    assert poor.value.needed - poor.value.balance == 1
    await give(untouched, newcomer, prepared.highest_fee)
    signed: list[int] = []
    transaction, _, fee = await deploy_account(newcomer, prepared, signed=signed.append)
    assert (signed, fee) == ([transaction], prepared.fee)
    assert (await account_state(newcomer.client, newcomer.address)).balance == prepared.highest_fee - fee

    plan = await deployer.plan(newcomer, request(newcomer))
    assert [planned.step.name for planned in plan.steps] == list(STEPS)
    assert plan.missing == plan.needed - plan.balance > 0
    assert plan.fee < plan.needed < plan.highest_fee
    await give(untouched, newcomer, plan.needed - 1)
    with pytest.raises(
        InsufficientBalance, match=r"The deployment needs a balance of .* are missing"
    ) as poor:
        await deploy(newcomer, path)
    assert poor.value.needed == plan.needed
    assert "Nothing was sent" in poor.value.message
    assert files(tmp_path) == []
    assert await newcomer.get_nonce() == 1

    await give(untouched, newcomer, plan.needed)
    assert (await deployer.plan(newcomer, request(newcomer))).missing == 0
    assert (await deploy(newcomer, path)).complete
    left = (await account_state(newcomer.client, newcomer.address)).balance
    assert left == plan.needed - plan.fee


async def test_a_key_of_another_account_deploys_nothing(
    connection: Connection, account: Account, tmp_path: Path
) -> None:
    stranger = make_account(connection.client, connection.chain_id, account.address, KEY)
    with pytest.raises(ContractError, match=f"The key does not belong to the account {account.address:#x}"):
        await deploy(stranger, tmp_path / "devnet.json")
    with pytest.raises(InputError, match="is not the address of this key"):
        await prepare_deployment(stranger, Blueprint(public_key_of(KEY)))
    assert files(tmp_path) == []


async def test_a_class_that_the_network_does_not_know(connection: Connection) -> None:
    blueprint = Blueprint(public_key_of(KEY), class_hash=0xC1A55)
    account = make_account(connection.client, connection.chain_id, blueprint.address, KEY)
    with pytest.raises(ContractError, match="class 0xc1a55 is not declared") as refused:
        await prepare_deployment(account, blueprint)
    assert "--class-hash" in refused.value.hint

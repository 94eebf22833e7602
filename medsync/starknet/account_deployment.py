"""Deploying an account contract: what it costs, whether the address holds that much, and doing it once.

The account pays for its own deployment, so its address, which is known before, must hold STRK first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starknet_py.net.client_models import EstimatedFee, ResourceBoundsMapping
from starknet_py.net.full_node_client import FullNodeClient
from starknet_py.net.models.transaction import DeployAccountV3

from medsync.errors import ContractError, InputError, NonceConflict
from medsync.starknet.account_files import Blueprint
from medsync.starknet.clients import Erc20Client
from medsync.starknet.fees import InsufficientBalance
from medsync.starknet.network import STRK_TOKEN
from medsync.starknet.rpc import CLASS_NOT_FOUND, CONTRACT_NOT_FOUND, asking
from medsync.starknet.transactions import Account, UnknownOutcome, hand_over, max_fee

#: What to do when an account's deployment was cut short.
RESUME_HINT: Final = "Run the same command again: an account is deployed once, whatever happened."


@dataclass(frozen=True, slots=True)
class AccountState:
    """What the chain says about an account's address."""

    #: Class of the account; None while it is not deployed.
    class_hash: int | None
    #: Its STRK, in FRI (10^-18 STRK).
    balance: int

    @property
    def deployed(self) -> bool:
        return self.class_hash is not None


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment that is ready to be sent: what it will probably cost, and what the address must hold."""

    transaction: DeployAccountV3
    #: Estimate, in FRI.
    fee: int
    #: The most it can cost, which is what the network wants the address to hold, in FRI.
    highest_fee: int


async def account_state(client: FullNodeClient, address: int) -> AccountState:
    """What the chain says about an address. Raises NetworkError if the node does not answer."""
    class_hash = await _class_hash_at(client, address)
    return AccountState(class_hash, await Erc20Client(STRK_TOKEN, client).balance_of(address))


async def prepare_deployment(account: Account, blueprint: Blueprint) -> Deployment:
    """Sign the account's deployment with an estimated fee. Sends nothing.

    Raises InputError if the blueprint is another account's; ContractError if the network does not know the
    account's class, or the account contract refuses; NetworkError if the node does not answer.
    """
    if (blueprint.address, blueprint.public_key) != (account.address, account.stark_signer.public_key):
        raise InputError(f"{account.address:#x} is not the address of this key, class and salt.")
    if not await _is_declared(account.client, blueprint.class_hash):
        raise ContractError(
            "CLASS_NOT_FOUND",
            "account",
            "Make an account of another class with `medsync account new --class-hash`.",
            message=f"The class {blueprint.class_hash:#x} is not declared on this network.",
        )
    with asking("fee estimate"):
        unbounded = ResourceBoundsMapping.init_with_zeros()  # type: ignore[no-untyped-call]
        estimate = await account.estimate_fee(await _sign(account, blueprint, unbounded))
        assert isinstance(estimate, EstimatedFee)
        bounds = estimate.to_resource_bounds()
        transaction = await _sign(account, blueprint, bounds)
    return Deployment(transaction, estimate.overall_fee, max_fee(bounds))


async def deploy_account(
    account: Account, prepared: Deployment, *, signed: Callable[[int], None] = lambda transaction: None
) -> tuple[int, int, int]:
    """Send a prepared deployment and wait until it is in a block: its hash, block, and fee in FRI.

    `signed` is called with the hash before it is sent. Raises InsufficientBalance if the address holds less
    than the network demands; ContractError if the account contract refuses; UnknownOutcome if the node does
    not say what became of it.
    """
    balance = (await account_state(account.client, account.address)).balance
    if balance < prepared.highest_fee:
        raise InsufficientBalance(
            "Deploying the account", account.address, balance=balance, needed=prepared.highest_fee
        )
    transaction_hash = prepared.transaction.calculate_hash(account.chain_id)
    signed(transaction_hash)
    try:
        with asking("deployment of the account"):
            await hand_over(account.client, prepared.transaction, transaction_hash)
        receipt = await account.confirm(transaction_hash)
    except UnknownOutcome as error:
        error.hint = RESUME_HINT
        raise
    except NonceConflict as error:
        error.hint = f"An earlier deployment of this account may be under way. {RESUME_HINT}"
        raise
    return transaction_hash, receipt.block_number, receipt.actual_fee.amount


async def _is_declared(client: FullNodeClient, class_hash: int) -> bool:
    with asking("request for the account's class", absent=CLASS_NOT_FOUND):
        await client.get_class_by_hash(class_hash, block_number="latest")
        return True
    return False


async def _class_hash_at(client: FullNodeClient, address: int) -> int | None:
    with asking("request for the account's class", absent=CONTRACT_NOT_FOUND):
        # A deployment that waits for its block counts: sending another would be one too many.
        return await client.get_class_hash_at(address, block_number="pre_confirmed")
    return None


async def _sign(account: Account, blueprint: Blueprint, bounds: ResourceBoundsMapping) -> DeployAccountV3:
    return await account.sign_deploy_account_v3(
        blueprint.class_hash,
        contract_address_salt=blueprint.salt,
        constructor_calldata=blueprint.constructor,
        nonce=0,
        resource_bounds=bounds,
    )

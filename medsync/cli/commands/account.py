"""`medsync account`: make, fund, deploy and look at the accounts that sign."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from medsync.cli import values
from medsync.cli.chain import ME
from medsync.cli.command import command
from medsync.cli.context import Context, paid
from medsync.cli.output import STRK_DECIMALS, Answer, Hex, in_strk
from medsync.cli.passphrase import passphrase
from medsync.errors import InputError
from medsync.starknet import account_deployment, account_files, accounts
from medsync.starknet.account_deployment import account_state
from medsync.starknet.account_files import OPEN_ZEPPELIN_CLASS, AccountSource
from medsync.starknet.clients import Erc20Client
from medsync.starknet.fees import FAUCETS
from medsync.starknet.network import STRK_TOKEN

app = typer.Typer(no_args_is_help=True, help="Make, fund and deploy the accounts that sign.")

#: L2 gas that a transfer of STRK takes at most, to an account that never held any.
_TRANSFER_GAS: Final = 3_000_000

Named = Annotated[
    str,
    typer.Argument(
        metavar="[ACCOUNT]", help="Name of the account, or any other form of --account; by default that one."
    ),
]


@command(app, "new")
async def new(
    context: Context,
    name: Annotated[str, typer.Argument(help="Name of the account: letters, digits, - and _.")],
    keystore: Annotated[
        Path | None, typer.Option(help="File of the encrypted key; by default beside the account's file.")
    ] = None,
    class_hash: Annotated[
        str, typer.Option(help="Class of the account contract; by default OpenZeppelin's 1.0.0.")
    ] = "",
) -> Answer:
    """Make a key and its encrypted keystore, and compute the account's address.

    Nothing is sent, and no node is needed. The address is the same on every network; it must be funded, then
    deployed, before the account can sign. Keystore and account file have starkli's formats. Without the
    keystore and its passphrase, the account is lost.

    Example: medsync --network sepolia account new deployer
    """
    account_class = values.felt(class_hash, "--class-hash") if class_hash else OPEN_ZEPPELIN_CLASS
    path, _ = accounts.free_places(name, keystore)
    secret = passphrase(new=True, account=True, what="the new keystore")
    with context.busy("Encrypting the key"):
        made = accounts.create_account(name, secret, keystore=keystore, class_hash=account_class)
    return {
        "account": name,
        "address": Hex(made.address),
        "class_hash": Hex(account_class),
        "public_key": Hex(made.public_key or 0),
        "file": str(path),
        "keystore": str(made.keystore),
        "fund_it": _funding(context.options.network, name, made.address),
        "then": f"{_command(context.options.network)} account deploy {name}",
    }


@command(app, "deploy")
async def deploy(context: Context, account: Named = "") -> Answer:
    """Deploy the account's contract, paid from its own address, and wait until it is in a block.

    The address must hold the most that this can cost; if it holds less, nothing is sent and the exit code is
    6. An account that is deployed already is left alone, so that the command may be given again after an
    interruption.

    Example: medsync --network sepolia --allow-public-network account deploy deployer
    """
    connection = await context.connection()
    with values.named("ACCOUNT"):
        found = await context.find_account(account or None)
    state = await account_state(connection.client, found.address)
    if state.deployed:
        return {
            "address": Hex(found.address),
            "network": connection.network,
            "deployed": "before",
            "class_hash": Hex(state.class_hash or 0),
            "balance": in_strk(state.balance),
        }
    if found.blueprint is None:
        raise InputError(
            f"No account is deployed at {found.address:#x} on {connection.network}, and it is not known what "
            "this address follows from.",
            hint="Name an account of `medsync account new`, or an account file of starkli or sncast.",
        )
    opened = await context.open_account(found)
    context.resume_hint = account_deployment.RESUME_HINT
    with context.busy("Deploying the account"):
        prepared = await account_deployment.prepare_deployment(opened, found.blueprint)
        transaction, block, fee = await account_deployment.deploy_account(
            opened, prepared, signed=context.sent.append
        )
    return {
        "address": Hex(found.address),
        "network": connection.network,
        "deployed": "now",
        "class_hash": Hex(found.blueprint.class_hash),
        "balance": in_strk(state.balance - fee),
        "transaction": Hex(transaction),
        "block": block,
        "fee": in_strk(fee),
    }


@command(app, "fund")
async def fund(
    context: Context,
    account: Annotated[str, typer.Argument(help="Who gets it: an account's name, or an address.")],
    amount: Annotated[str, typer.Option(help="How much STRK, like 10 or 0.5.")],
) -> Answer:
    """Give an account STRK: out of nothing on a local devnet, elsewhere from the account that signs.

    Example: medsync account fund deployer --amount 10
    """
    address = await context.address(account, "ACCOUNT")
    fri = values.amount(amount, "--amount", STRK_DECIMALS)
    if not fri:
        raise InputError("--amount must be more than zero.")
    connection = await context.connection()
    sent: dict[str, Any] = {}
    if connection.is_local:
        await connection.devnet_rpc("devnet_mint", address=hex(address), amount=fri, unit="FRI")
    else:
        try:
            payer = await context.account()
        except InputError as error:
            funding = _funding(connection.network, account, address)
            raise InputError(error.message, hint=f"To fund it: {funding}") from None
        token = Erc20Client(STRK_TOKEN, payer)
        await token.check_balance(fri, "The transfer", l2_gas=_TRANSFER_GAS)
        sent = paid(await context.send(token.transfer(address, fri)))
    state = await account_state(connection.client, address)
    return {
        "address": Hex(address),
        "network": connection.network,
        "received": in_strk(fri),
        "balance": in_strk(state.balance),
        **sent,
    }


@command(app, "show")
async def show(context: Context, account: Named = "") -> Answer:
    """Say where an account is, whether it is deployed, and what it holds.

    The keystore stays closed. ACCOUNT may also be a plain address.
    """
    connection = await context.connection()
    if account.startswith("0x") and "@" not in account:
        found = AccountSource(await context.address(account, "ACCOUNT"))
    else:
        with values.named("ACCOUNT"):
            found = await context.find_account(None if account in ("", ME) else account)
    state = await account_state(connection.client, found.address)
    class_hash = state.class_hash
    if class_hash is None and found.blueprint is not None:
        class_hash = found.blueprint.class_hash
    return {
        "address": Hex(found.address),
        "network": connection.network,
        "deployed": state.deployed,
        "class_hash": None if class_hash is None else Hex(class_hash),
        "class": _class_name(class_hash),
        "balance": in_strk(state.balance),
        "keystore": None if found.keystore is None else str(found.keystore),
    }


@command(app, "list")
async def list_(context: Context) -> Answer:
    """List the accounts that `account new` made. No node is asked: see `account show`."""
    context.say(f"Accounts in {account_files.folder()}:")
    return [_listed(name) for name in account_files.names()]


def _listed(name: str) -> dict[str, Any]:

    path = account_files.path_of(name)
    try:
        found = account_files.read_account_file(path)
    except InputError as error:
        return {"account": name, "problem": error.message}
    class_hash = found.blueprint.class_hash if found.blueprint else None
    return {
        "account": name,
        "address": Hex(found.address),
        "class": _class_name(class_hash),
        "file": str(path),
        "keystore": None if found.keystore is None else str(found.keystore),
    }


def _class_name(class_hash: int | None) -> str | None:

    if class_hash is None:
        return None
    return "OpenZeppelin 1.0.0" if class_hash == OPEN_ZEPPELIN_CLASS else "another"


def _funding(network: str, name: str, address: int) -> str:
    """How an account comes by STRK on a network."""
    if network == "devnet":
        return f"medsync account fund {name} --amount 10"
    transfer = f"{_command(network)} --account PAYER account fund {name} --amount 10"
    if network == "sepolia":
        return f"get STRK for {address:#x} from {' or '.join(FAUCETS)}; or {transfer}"
    return transfer


def _command(network: str) -> str:
    """`medsync` with the options that a network needs."""
    return "medsync" if network == "devnet" else f"medsync --network {network} --allow-public-network"

"""`medsync doctor`: what is there, what works, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import typer

from medsync import artifacts
from medsync._version import __version__
from medsync.cli.chain import node_url
from medsync.cli.command import command
from medsync.cli.context import Context
from medsync.cli.output import Amount, Answer, discreet
from medsync.deployment import devnet, record, toolchain
from medsync.errors import ContractError, ExitCode, InputError, MedSyncError, NetworkError, VerificationError
from medsync.protocol.felt import decode_short_string
from medsync.protocol.hashing import starknet_keccak
from medsync.starknet.accounts import ADDRESS_VARIABLE
from medsync.starknet.clients import ContractClient, Erc20Client
from medsync.starknet.network import DEVNET_URL_VARIABLE, NETWORKS, RPC_VERSION, STRK_TOKEN, Connection
from medsync.starknet.rpc import class_hash_at, is_deployed, newest_block
from medsync.starknet.transactions import Account

#: What an account answers to a signature of its own (SNIP-6).
_VALID: Final = int.from_bytes(b"VALID")

#: Signed to see whether a key belongs to an account; it is the hash of no transaction and no message.
_PROBE: Final = starknet_keccak("medsync doctor")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    command(app, "doctor")(doctor)


async def doctor(context: Context) -> Answer:
    """Look at tools, artifacts, node, account and deployment.

    The node is asked for its version, chain and newest block; the account for whether it is deployed, takes
    signatures of its key, and can pay; the deployment for whether its contracts are on the node's chain. What
    could not be looked at is said to be not checked. Nothing is sent.

    The exit code is that of the first needed part that is not right: 3 a wrong setting, 4 a missing tool, 5 a
    node that does not answer, 7 a deployment or artifacts that are not what is recorded.
    """
    report = _Report()
    report.add("medsync", __version__)
    report.add("python", f"{platform.python_version()} ({sys.executable})")
    with report.of("artifacts"):
        report.add("artifacts", _artifacts())
    connection = await _node(context, report)
    _tools(context, report, connection)
    await _account(context, report, connection)
    await _deployment(context, report, connection)
    context.exit_code = report.exit_code
    return report.rows


class _Report:
    """The parts that were looked at, in order."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.exit_code = ExitCode.OK

    def add(
        self,
        part: str,
        state: str,
        *,
        ok: bool | None = True,
        needed: bool = True,
        remedy: str = "",
        code: ExitCode = ExitCode.MISSING_TOOL,
    ) -> None:
        """Report a part; `ok` is None for one that was not checked, `code` what a needed one ends with."""
        texts = {"state": discreet(state), "remedy": discreet(remedy)}
        self.rows.append({"part": part, "ok": ok, "needed": needed, **texts})
        if needed and ok is False and self.exit_code is ExitCode.OK:
            self.exit_code = code

    def skip(self, part: str, reason: str, remedy: str = "") -> None:
        """Report a part that could not be looked at."""
        self.add(part, f"not checked: {reason}", ok=None, needed=False, remedy=remedy)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Report what goes wrong in the block as the state of a part."""
        try:
            yield
        except MedSyncError as error:
            self.add(part, error.message, ok=False, remedy=error.hint, code=error.exit_code)


def _artifacts() -> str:
    manifest = artifacts.manifest()
    for name in manifest["contracts"]:
        artifacts.verified(name)
    return f"built by Scarb {manifest['scarb']}, class hashes verified"


async def _node(context: Context, report: _Report) -> Connection | None:
    """The node that a command would use, if it answers."""
    options = context.options
    named = options.network != "devnet" or DEVNET_URL_VARIABLE in os.environ
    with report.of("node"):
        try:
            connection = await context.connection()
        except NetworkError:
            # Not even a URL leads to one: nothing that was asked for is missing.
            if named or node_url(options) is not None:
                raise
            report.skip("node", f"none runs at {NETWORKS['devnet'].url}", "medsync devnet up")
            return None
        newest = (await newest_block(connection.client)).number
        where = f"{connection.shown_url} on {decode_short_string(connection.chain_id)}"
        report.add("node", f"{where}, JSON-RPC {RPC_VERSION}, block {newest}")
        return connection
    return None


def _tools(context: Context, report: _Report, connection: Connection | None) -> None:
    node = toolchain.devnet()
    # A user who has a node, or uses a public network, starts none.
    needed = connection is None and context.options.network == "devnet"
    remedy = "put one on PATH, or in a checkout: make devnet"
    report.add("starknet-devnet", str(node), ok=node.ok, needed=needed, remedy="" if node.ok else remedy)
    with report.of("devnet"):
        running = devnet.background_status()
        report.add(
            "devnet", f"runs at {running.url}" if running else "none runs in the background", needed=False
        )
    scarb = toolchain.scarb()
    remedy = f"only to change contracts: install Scarb {toolchain.SCARB_VERSION}"
    report.add("scarb", str(scarb), ok=scarb.ok, needed=False, remedy="" if scarb.ok else remedy)


async def _account(context: Context, report: _Report, connection: Connection | None) -> None:
    """The account that would sign."""
    named = context.options.account is not None or ADDRESS_VARIABLE in os.environ
    if connection is None:
        report.skip("account", "there is no node to ask")
    elif not named and not connection.is_local:
        report.skip("account", "none is named, and reading needs none", "--account, or " + ADDRESS_VARIABLE)
    else:
        with report.of("account"):
            account = await context.account()
            await _assert_own(account)
            balance = await Erc20Client(STRK_TOKEN, account.client).balance_of(account.address)
            state = f"{account.address:#x}, deployed, the key is its own, {Amount(balance, 18, 'STRK')}"
            remedy = "" if balance else f"send STRK to {account.address:#x}: without it nothing can be sent"
            report.add("account", state, ok=balance > 0, needed=False, remedy=remedy)


class _AccountContract(ContractClient):
    name = "account"


async def _assert_own(account: Account) -> None:
    """Raise InputError unless the account is deployed and takes signatures of its key."""
    if not await is_deployed(account.client, account.address):
        raise InputError(
            f"No account is deployed at {account.address:#x} on {decode_short_string(account.chain_id)}.",
            hint="Deploy it, or choose another --account or --network.",
        )
    signature = account.stark_signer.sign_hash(_PROBE)
    calldata = [_PROBE, len(signature), *signature]
    try:
        answer = await _AccountContract(account.address, account).view("is_valid_signature", calldata, int)
    except ContractError:
        answer = 0
    if answer != _VALID:
        raise InputError(
            f"The account {account.address:#x} does not accept signatures of this key.",
            hint="Use the key, or the keystore, of that account.",
        )


async def _deployment(context: Context, report: _Report, connection: Connection | None) -> None:
    """The deployment that a command would use, and the folder of all."""
    with report.of("records"):
        recorded = ", ".join(path.stem for path in record.find_all()) or "none"
        report.add("records", f"{recorded} in {record.folder()}", needed=False)
    with report.of("deployment"):
        path = context.record_path()
        if not path.exists() and not context.options.deployment:
            report.skip("deployment", f"there is no record {path}", "medsync deploy")
            return
        found = record.read(path)
        if connection is None:
            report.skip("deployment", f"{path} was read, and there is no node to ask")
            return
        await context.record()
        for name, contract in found.contracts.items():
            if await class_hash_at(connection.client, contract.address) != contract.class_hash:
                raise VerificationError(
                    f"{name} of {path} is not on this chain.",
                    hint="`medsync deploy` deploys again; `medsync deployments check` compares all.",
                )
        for pool in found.pools:
            await context.pool(pool.address)
        state = (
            f"{path}: {found.status}, {', '.join(found.contracts)} on the chain in their recorded classes, "
            f"{len(found.pools)} reward pool{'' if len(found.pools) == 1 else 's'}"
        )
        report.add("deployment", state, ok=found.complete, remedy="" if found.complete else "medsync deploy")

"""What one command works with: its options, and node, account and contracts once it asks for them."""

from __future__ import annotations

import contextlib
import functools
import getpass
import inspect
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self, TypeVar, cast, get_type_hints

import typer

from medsync.cli import output, values
from medsync.cli.options import Options, current
from medsync.cli.output import Amount, Answer, Hex
from medsync.errors import ExitCode, InputError, MedSyncError, NetworkError, VerificationError
from medsync.starknet import network
from medsync.storage.files import NewFile, write_new

if TYPE_CHECKING:
    from pathlib import Path

    from medsync.deployment.record import Record
    from medsync.log.exports import PatientExport
    from medsync.protocol.commitments import Domain
    from medsync.protocol.events import ConsentEvent, Event
    from medsync.starknet.clients import Erc20Client, MedSyncClient, RewardPoolClient
    from medsync.starknet.network import Connection
    from medsync.starknet.transactions import Account, Invocation, TransactionResult

P = ParamSpec("P")
E = TypeVar("E", bound="Event")

#: Stands for an account's own address where an address is asked for.
ME: Final = "me"


class Interrupted(MedSyncError):
    """Stopped from the keyboard. What was sent by then may happen."""

    code = "INTERRUPTED"
    exit_code = ExitCode.INTERRUPTED


class Context:
    """One command's run. What it opens is closed at the end."""

    def __init__(self, options: Options) -> None:
        self.options = options
        #: Hashes of the transactions that were handed over.
        self.sent: list[int] = []
        #: Files with openings of commitments that were made; whoever loses one can prove nothing with it.
        self.openings: list[Path] = []
        #: Files to write before anything is sent, and commitments by the file their opening goes to.
        self._unwritten: list[NewFile] = []
        self._committed: dict[Path, int] = {}
        #: What the command ends with if it does not fail.
        self.exit_code = ExitCode.OK
        self._stack = AsyncExitStack()
        self._connection: Connection | None = None
        #: Whether the recorded contracts were found on a devnet, which may have been restarted since.
        self._is_on_chain = False
        self._account: Account | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # --- telling --------------------------------------------------------------------------------------------

    def busy(self, what: str) -> AbstractContextManager[None]:
        """Show that something takes its time."""
        return output.busy(what, as_json=self.options.json)

    def say(self, text: str) -> None:
        """Tell a person something beside the answer."""
        output.say(text, as_json=self.options.json)

    # --- node and account -----------------------------------------------------------------------------------

    async def connection(self) -> Connection:
        """The node, connected at the first call."""
        if self._connection is None:
            from medsync.starknet.network import connect

            options = self.options
            opened = connect(options.network, _url(options), allow_public=options.allow_public_network)
            with self.busy("Connecting"):
                self._connection = await self._stack.enter_async_context(opened)
        return self._connection

    async def account(self) -> Account:
        """The account that signs: the one the options name, the environment's, or devnet's first."""
        if self._account is None:
            from medsync.cli import unsettled
            from medsync.starknet import accounts

            connection = await self.connection()
            source = self.options.account
            if source is None and connection.is_local and accounts.ADDRESS_VARIABLE not in os.environ:
                source = "devnet:0"
            account = await accounts.load_account(connection, source, password=_password(source))
            unsettled.recall(account)
            self._account = account
        return self._account

    async def address(self, text: str, name: str) -> int:
        """The address that `text` gives: hexadecimal, `devnet:<n>`, or `me` for the signing account's."""
        from medsync.protocol.felt import InvalidValue, check_address, parse_felt

        if not isinstance(text, str):
            raise InputError(f"{name} must be text, not {text!r}.")
        if text == ME:
            return (await self.account()).address
        if text.startswith("devnet:"):
            from medsync.starknet.accounts import load_account

            # Outside of the block: what is wrong with the network is not wrong with this address.
            connection = await self.connection()
            try:
                return (await load_account(connection, text)).address
            except InputError as error:
                raise InputError(f"{name}: {error.message}", hint=error.hint) from None
        try:
            address = parse_felt(text, name)
            check_address(address, name)
        except InvalidValue as error:
            raise InputError(str(error), hint="Write 0x and digits, devnet:<n>, or me.") from None
        return address

    def commit(self, text: str, name: str, domain: Domain) -> int:
        """The commitment that an option gives, made now if it names a file: see `values.commitment`."""
        committed, opening = values.commitment(text, name, domain)
        if opening is None:
            return committed
        if opening.path not in self._committed:
            self._committed[opening.path] = committed
            self.openings.append(opening.path)
            self._unwritten.append(opening)
        return self._committed[opening.path]

    def write(self, path: Path, text: str, name: str, *, private: bool = False) -> None:
        """Have a new file written with the next `keep`."""
        self._unwritten.append(NewFile(path, text.encode(), f"{name}:", private))

    def keep(self) -> list[Path]:
        """Write what is to be written, all or nothing. It comes last: what was malformed leaves no trace."""
        files, self._unwritten = self._unwritten, []
        write_new(files)
        return [file.path for file in files]

    async def now(self) -> int:
        """The present in unix seconds: the clock's, or the latest block's where a devnet was set ahead."""
        from medsync.starknet.rpc import newest_block

        newest = await newest_block((await self.connection()).client)
        return max(int(time.time()), newest.timestamp)

    # --- contracts ------------------------------------------------------------------------------------------

    def record_path(self) -> Path:
        """The file of the deployment that is meant: by default the one named like the network."""
        from medsync.deployment.record import path_of
        from medsync.starknet.network import NETWORKS

        if self.options.deployment:
            return path_of(self.options.deployment)
        if self.options.network not in NETWORKS:
            known = ", ".join(NETWORKS)
            raise InputError(f"{self.options.network!r} is not a known network; known are {known}.")
        return path_of(self.options.network)

    async def record(self) -> Record:
        """The deployment that is meant, which must be on the node's chain."""
        from medsync.deployment.record import read
        from medsync.protocol.felt import decode_short_string
        from medsync.starknet.rpc import is_deployed

        record = read(self.record_path())
        connection = await self.connection()
        chain = decode_short_string(connection.chain_id)
        if record.chain_id != chain:
            raise InputError(
                f"{self.record_path()} is a deployment on {record.chain_id}; the node is on {chain}.",
                hint="Choose another --deployment or --network.",
            )
        if connection.is_local and not self._is_on_chain:
            self._is_on_chain = await is_deployed(connection.client, record.medsync)
            if not self._is_on_chain:
                raise VerificationError(
                    f"The contracts of {self.record_path()} are not on this chain: the devnet was probably "
                    "restarted.",
                    hint="`medsync deploy` makes them anew; `medsync deployments check` shows what is gone.",
                )
        return record

    async def medsync(self, *, signing: bool = False) -> MedSyncClient:
        """The MedSync contract, with the account if something is to be signed."""
        from medsync.starknet.clients import MedSyncClient

        address = (await self.record()).medsync
        return MedSyncClient(address, await self._sender(signing))

    async def pool(self, *, signing: bool = False) -> RewardPoolClient:
        """The reward pool, with the account if something is to be signed."""
        from medsync.starknet.clients import RewardPoolClient

        address = (await self.record()).reward_pool
        return RewardPoolClient(address, await self._sender(signing))

    async def token(self, *, signing: bool = False) -> Erc20Client:
        """The token the reward pool holds, with the account if something is to be signed."""
        from medsync.starknet.clients import Erc20Client

        return Erc20Client((await self.record()).request.token, await self._sender(signing))

    async def token_unit(self) -> tuple[int, str]:
        """The token's decimal places, and what it is called here."""
        from medsync.starknet.network import STRK_TOKEN

        token = await self.token()
        decimals = await token.decimals()
        if decimals >= 2**8:
            raise NetworkError(f"The token {token.address:#x} says it has {decimals:#x} decimal places.")
        return decimals, "STRK" if token.address == STRK_TOKEN else "tokens"

    # --- history --------------------------------------------------------------------------------------------

    async def events(self, *kinds: type[E], patient: int | None = None) -> list[E]:
        """MedSync's events of some kinds, all or one patient's, in the chain's order."""
        from medsync.log.fetch import fetch_events
        from medsync.protocol.events import selector_of

        record = await self.record()
        keys = [[selector_of(cast("type[Event]", kind)) for kind in kinds]] + (
            [] if patient is None else [[patient]]
        )
        found = await fetch_events(
            (await self.connection()).client,
            {record.medsync: "MedSync"},
            from_block=record.first_block,
            keys=keys,
        )
        return [cast("E", event) for event in found]

    async def history(self, patient: int) -> PatientExport:
        """A patient's consents and log, the log proven complete."""
        from medsync.log.exports import PatientExport
        from medsync.log.fetch import fetch_log
        from medsync.protocol.events import AllConsentsRevoked, ConsentAdded, ConsentRevoked

        record, connection = await self.record(), await self.connection()
        with self.busy("Reading events"):
            log = await fetch_log(connection.client, record.medsync, patient, from_block=record.first_block)
            consents: list[ConsentEvent] = await self.events(
                ConsentAdded, ConsentRevoked, AllConsentsRevoked, patient=patient
            )
        return PatientExport(log.chain_id, log.contract, patient, log.head, log.entries, tuple(consents))

    async def _sender(self, signing: bool) -> Any:
        return await self.account() if signing else (await self.connection()).client

    async def send(self, *invocations: Invocation[Any]) -> TransactionResult[tuple[Any, ...]]:
        """Send invocations as one transaction and wait until it is in a block.

        Files are written before, and taken away again if nothing was sent. If it is not learnt what became of
        it, the same command is a second try for a while: see `Account`.
        """
        from medsync.cli import unsettled

        account = invocations[0].account
        known = account.unsettled.keys()
        with self.busy(" + ".join(dict.fromkeys(invocation.function for invocation in invocations))):
            written = self.keep()
            try:
                transaction = await account.submit(*invocations)
            except BaseException:
                # The answer was not waited for, but it may be on its way.
                self.sent.extend(account.unsettled)
                if account.unsettled.keys() <= known:
                    for path in written:
                        path.unlink()
                raise
            else:
                self.sent.append(transaction)
                receipt = await account.confirm(transaction, *invocations)
                return await account.result(receipt, *invocations)
            finally:
                # Where it cannot be kept, the person still has the hash.
                with contextlib.suppress(InputError):
                    unsettled.keep(account)


def paid(result: TransactionResult[Any]) -> dict[str, Any]:
    """Where a transaction stands and what it cost, as every command that sends one answers it."""
    return {
        "transaction": Hex(result.hash),
        "block": result.block_number,
        "fee": Amount(result.fee, 18, "STRK"),
    }


def _url(options: Options) -> str | None:
    """The URL that was asked for, or where `medsync devnet up` left a devnet running."""
    if options.rpc_url is not None or options.network != "devnet":
        return options.rpc_url
    from medsync.deployment import devnet

    if network.DEVNET_URL_VARIABLE in os.environ:
        return None
    running = devnet.background_status()
    return f"{running.url}/rpc" if running else None


def _password(source: str | None) -> str | None:
    """The keystore's password from the keyboard, if one is needed and somebody sits there."""
    from medsync.starknet.accounts import KEYSTORE_VARIABLE, PASSWORD_VARIABLE

    needed = "@" in source if source else KEYSTORE_VARIABLE in os.environ
    if not needed or PASSWORD_VARIABLE in os.environ or not sys.stdin.isatty():
        return None
    return getpass.getpass("Password of the keystore: ")


# --- commands -----------------------------------------------------------------------------------------------

Command = Callable[Concatenate[Context, P], Awaitable[Answer | None]]


def command(group: typer.Typer, name: str) -> Callable[[Command[P]], Command[P]]:
    """Make a coroutine function a command: it gets the context and its parameters; its answer is shown."""

    def register(function: Command[P]) -> Command[P]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            return _run(lambda context: function(context, *args, **kwargs))

        # Typer reads the parameters from the signature; the context is none of them.
        hints = get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(function).parameters.values())[1:]
        run.__annotations__ = {one.name: hints[one.name] for one in parameters}
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [one.replace(annotation=hints[one.name]) for one in parameters]
        )
        group.command(name, epilog="Global options may stand anywhere: see medsync --help.")(run)
        return function

    return register


def _run(function: Callable[[Context], Awaitable[Answer | None]]) -> int:
    """Run a command to its end, show its answer, and return its exit code."""
    import asyncio

    context = Context(current.get())

    async def whole() -> Answer | None:
        async with context:
            return await function(context)

    try:
        answer = asyncio.run(whole())
    except KeyboardInterrupt:
        raise interrupted(context.sent) from None
    if context.openings:
        assert isinstance(answer, Mapping)
        answer = {**answer, "keep": [str(path) for path in context.openings]}
    if answer is not None:
        output.show(answer, as_json=context.options.json)
    return context.exit_code


def interrupted(sent: list[int]) -> Interrupted:
    """What to tell somebody who pressed Ctrl-C."""
    if not sent:
        return Interrupted("Interrupted; nothing was sent.")
    hashes = ", ".join(map(hex, sent))
    return Interrupted(
        f"Interrupted. Already sent: {hashes}.",
        hint="It may still happen: look it up before you send it again.",
    )

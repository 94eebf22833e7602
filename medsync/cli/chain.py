"""What a command uses of a node: the connection, the account that signs, addresses, and the time."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager, AsyncExitStack
from types import TracebackType
from typing import Final, Self

from medsync.cli import output, unsettled, values
from medsync.cli.options import Options
from medsync.cli.passphrase import passphrase
from medsync.deployment import devnet
from medsync.errors import InputError
from medsync.protocol.felt import InvalidValue, check_address, parse_felt
from medsync.starknet import account_files, accounts
from medsync.starknet.account_files import AccountSource
from medsync.starknet.network import DEVNET_URL_VARIABLE, Connection, connect, parse_urls
from medsync.starknet.rpc import newest_block
from medsync.starknet.transactions import Account

#: Stands for the signing account's own address where an address is asked for.
ME: Final = "me"


class ChainAccess:
    """The node that the options name, connected to when it is first needed and left at the end."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._stack = AsyncExitStack()
        self._connection: Connection | None = None
        self._account: Account | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def busy(self, what: str) -> AbstractContextManager[None]:
        """Show that something takes its time."""
        return output.busy(what, as_json=self.options.json)

    def say(self, text: str) -> None:
        """Tell a person something beside the answer."""
        output.say(text, as_json=self.options.json)

    async def connection(self) -> Connection:
        """The node, connected at the first call."""
        if self._connection is None:
            options = self.options
            if options.rpc_url:
                parse_urls(options.rpc_url, "--rpc-url")
            opened = connect(options.network, node_url(options), allow_public=options.allow_public_network)
            with self.busy("Connecting"):
                self._connection = await self._stack.enter_async_context(opened)
        return self._connection

    async def account(self) -> Account:
        """The account that signs: the one the options name, the environment's, or devnet's first."""
        if self._account is None:
            account = await self.open_account(await self.find_account())
            unsettled.recall(account)
            self._account = account
        return self._account

    async def find_account(self, source: str | None = None) -> AccountSource:
        """An account whose key stays where it is; without `source` the one that `account` opens."""
        connection = await self.connection()
        source = source or self.options.account
        if source is None and connection.is_local and accounts.ADDRESS_VARIABLE not in os.environ:
            source = "devnet:0"
        return await accounts.find_account(connection, source)

    async def open_account(self, found: AccountSource) -> Account:
        """An account that was found, ready to sign; the keystore's passphrase asked for if need be."""
        connection = await self.connection()
        key = accounts.open_key(
            found, passphrase=lambda: passphrase(account=True, what=f"the keystore {found.keystore}")
        )
        return accounts.make_account(connection.client, connection.chain_id, found.address, key)

    async def address(self, text: str, name: str, what: str = values.ADDRESS_HELP) -> int:
        """The address that `text` gives: hexadecimal, an account's name, `devnet:<n>`, or `me` for the
        signing account's.

        `name` is the argument or option that `text` came by, and `what` says what to write there. Errors of
        it name it; errors of the connection and of the signing account have another cause and do not.
        """
        if not isinstance(text, str):
            raise InputError(f"{name} must be text, not {text!r}.")
        if text == ME:
            return (await self.account()).address
        if text.startswith("devnet:"):
            connection = await self.connection()
            with values.named(name):
                return (await accounts.find_account(connection, text)).address
        if text in account_files.names():
            with values.named(name):
                return account_files.read_account_file(account_files.path_of(text)).address
        try:
            address = parse_felt(text, name)
            check_address(address, name)
        except InvalidValue as error:
            raise InputError(str(error), hint=f"Write {what}") from None
        return address

    async def now(self) -> int:
        """The present in unix seconds: the clock's, or the latest block's where a devnet was set ahead.

        The time of another network's blocks is a node's word, on which nothing that is signed may hang.
        """
        connection = await self.connection()
        clock = int(time.time())
        if not connection.is_local:
            return clock
        return max(clock, (await newest_block(connection.client)).timestamp)


def node_url(options: Options) -> str | None:
    """The URL that was asked for, or where `medsync devnet up` left a devnet running."""
    if options.rpc_url is not None or options.network != "devnet":
        return options.rpc_url
    if DEVNET_URL_VARIABLE in os.environ:
        return None
    running = devnet.background_status()
    return f"{running.url}/rpc" if running else None

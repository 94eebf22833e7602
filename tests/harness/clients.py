"""The package's own accounts on a test's devnet, for tests of clients."""

from medsync.starknet.accounts import make_account
from medsync.starknet.network import Connection
from medsync.starknet.transactions import Account
from tests.harness.chain import Chain


def accounts_of(chain: Chain, connection: Connection) -> dict[int, Account]:
    """Everybody's account, by address. Devnet, asked for them, takes a good part of a second."""
    return {
        one.address: make_account(connection.client, connection.chain_id, one.address, one.key)
        for one in chain.accounts.values()
    }

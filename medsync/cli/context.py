"""What one command works with: its options, the chain and the contracts, files to write, and sending."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from medsync.cli import unsettled
from medsync.cli.contracts import Contracts
from medsync.cli.files import Files
from medsync.cli.options import Options
from medsync.cli.output import Hex, in_strk
from medsync.errors import ExitCode, InputError, VerificationError
from medsync.starknet.clients import MedSyncClient
from medsync.starknet.transactions import Account, Invocation, Sent, TransactionResult

T = TypeVar("T")


class Context(Contracts):
    """One command's run. What it opens is closed at the end."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.files = Files()
        #: Hashes of the transactions that were handed over.
        self.sent: list[int] = []
        #: What to do if the command is stopped after it sent something; set by those that resume.
        self.resume_hint = ""
        #: What the command ends with if it does not fail.
        self.exit_code = ExitCode.OK
        #: What happened, by the account that sent it.
        self._confirmed: list[tuple[Account, dict[int, Sent]]] = []

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # Nobody has the answer: the same command is a second try, and must not do it again.
            for account, sent in self._confirmed:
                account.recall(sent)
                _keep(account)
        await super().__aexit__(kind, error, trace)

    async def agreed(self, medsync: MedSyncClient, ask: Callable[[MedSyncClient], Awaitable[T]]) -> T:
        """What MedSync answers at every node that was given, for what is signed on it.

        Raises VerificationError if they do not answer the same.
        """
        nodes = (await self.connection()).nodes
        if len(nodes) < 2:
            return await ask(medsync)
        answer, *others = [await ask(MedSyncClient(medsync.address, node)) for node in nodes]
        if any(other != answer for other in others):
            raise VerificationError(
                "The nodes do not agree on what holds for the patient now. Nothing was signed.",
                hint="Try again in a few seconds. If they still differ, one of them is behind or lies: "
                "ask others.",
            )
        return answer

    async def send(self, *invocations: Invocation[Any]) -> TransactionResult[tuple[Any, ...]]:
        """Send invocations as one transaction and wait until it is in a block.

        Files are written before, and removed again if nothing was sent. If the outcome is not learned, the
        same command is a second try for a while: see `Account`.
        """
        account = invocations[0].account
        known = account.unsettled.keys()
        with self.busy(" + ".join(dict.fromkeys(invocation.function for invocation in invocations))):
            written = self.files.write()
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
                sent = account.in_flight[transaction]
                receipt = await account.confirm(transaction, *invocations)
                self._confirmed.append((account, {transaction: sent}))
                return await account.result(receipt, *invocations)
            finally:
                _keep(account)

    @contextlib.contextmanager
    def keeping(self, account: Account) -> Iterator[None]:
        """Have nothing that is sent in the block be lost, where something else than `send` sends it."""
        try:
            yield
        except BaseException:
            self.sent.extend(account.unsettled)
            raise
        finally:
            _keep(account)


def _keep(account: Account) -> None:
    """Have the next command know what is unsettled."""
    # Where the list cannot be written, the person still has the hash.
    with contextlib.suppress(InputError):
        unsettled.keep(account)


def paid(result: TransactionResult[Any]) -> dict[str, Any]:
    """Where a transaction stands and what it cost, as every command that sends one answers it."""
    return {
        "transaction": Hex(result.hash),
        "block": result.block_number,
        "fee": in_strk(result.fee),
    }

"""Transactions: an account with many of them in flight, what came of each, and why one was refused."""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any, Final, Generic, TypeVar, cast

from starknet_py.hash.address import compute_address
from starknet_py.net.account.account import Account as StarknetAccount
from starknet_py.net.client_errors import ClientError
from starknet_py.net.client_models import (
    Call,
    EstimatedFee,
    FunctionInvocation,
    Hash,
    InvokeTransactionTrace,
    ResourceBounds,
    ResourceBoundsMapping,
    RevertedFunctionInvocation,
    Tag,
    TransactionExecutionStatus,
    TransactionFinalityStatus,
    TransactionReceiptWithBlockInfo,
)
from starknet_py.net.full_node_client import FullNodeClient
from starknet_py.net.models.transaction import DeclareV3, DeployAccountV3, InvokeV3

from medsync.errors import ContractError, InputError, MedSyncError, NetworkError
from medsync.protocol.events import EVENTS, Event, events_of
from medsync.protocol.felt import decode_short_string
from medsync.protocol.hashing import starknet_keccak
from medsync.protocol.serde import decode
from medsync.starknet.abi import answer_fits
from medsync.starknet.fees import InsufficientBalance, strk
from medsync.starknet.network import STRK_TOKEN
from medsync.starknet.rpc import (
    CONTRACT_NOT_FOUND,
    INSUFFICIENT_BALANCE,
    REPLACEMENT,
    TRANSPORT_ERRORS,
    asking,
    contract_error,
    failure_reason,
    is_nonce_conflict,
    is_refused_transaction,
    refusal,
    rpc_code,
)
from medsync.starknet.signer import StarkSigner
from medsync.starknet.transport import TRANSACTION_NOT_FOUND, NodeFailure

T = TypeVar("T")

#: What can be handed over to a node.
Submitted = InvokeV3 | DeclareV3 | DeployAccountV3

#: Seconds a transaction gets until it is in a block.
CONFIRMATION_TIMEOUT: Final = 120.0

#: Seconds for which sending the same calls again, after an unknown outcome, counts as a second try.
RETRY_WINDOW: Final = 600.0

#: Longest pauses in seconds before a transaction is tried again whose nonce another one took. The actual ones
#: are random, so that processes that collided do not collide again.
NONCE_PAUSES: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)

_log = logging.getLogger(__name__)


class UnknownOutcome(NetworkError):
    """A transaction was handed over, or perhaps so, and the node did not say what became of it.

    >>> error = UnknownOutcome(0x1234, "the node did not answer")
    >>> hex(error.transaction)
    '0x1234'
    """

    def __init__(self, transaction: int, trouble: str) -> None:
        super().__init__(
            f"What became of transaction {transaction:#x} is not known: {trouble}.",
            hint="It may still happen: look it up before you send it again.",
        )
        #: Its hash.
        self.transaction = transaction


@dataclass(frozen=True, slots=True)
class TransactionResult(Generic[T]):
    """A transaction that succeeded: what it cost, what it emitted, what it answered.

    >>> result = TransactionResult(
    ...     hash=0x1234, block_number=12, l2_gas=1_447_040, l1_data_gas=288, fee=7 * 10**15, events=(),
    ...     value=1, receipt=...,
    ... )
    >>> result.value, result.fee / 10**18
    (1, 0.007)
    """

    hash: int
    block_number: int
    #: Gas of execution, the unit that costs are published in.
    l2_gas: int
    #: Gas of the state difference's data.
    l1_data_gas: int
    #: What was paid for it, in the smallest unit of STRK (FRI).
    fee: int
    #: What the contracts that were called emitted, in order. What others did in the same transaction, for
    #: one a pool that paid, `medsync.protocol.events.events_of` reads from the receipt.
    events: tuple[Event, ...]
    #: What the entry point returned; None for one that returns nothing.
    value: T
    #: The receipt as the node gave it.
    receipt: TransactionReceiptWithBlockInfo = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Invocation(Generic[T]):
    """A call of one entry point that changes state, ready to be sent.

    Await it, or its `send`, to send it alone; give several to `Account.send` to make them one transaction.

    >>> from medsync import MedSyncClient, Purpose
    >>> signer = StarkSigner(private_key=1, chain_id=0x534E5F5345504F4C4941)
    >>> account = Account(7, FullNodeClient("http://127.0.0.1:5050/rpc"), signer)
    >>> invocation = MedSyncClient(5, account).revoke_consent(9, Purpose.HRESCH, study=0)
    >>> invocation.function, invocation.call.calldata == [9, Purpose.HRESCH.felt, 0]
    ('MedSync.revoke_consent', True)
    """

    #: Who sends it.
    account: "Account"
    #: Name of the contract, and of its entry point.
    contract: str
    entry_point: str
    call: Call
    #: Type of what the entry point returns.
    answer: type[T]

    @property
    def function(self) -> str:
        """`Contract.entry_point`, as errors name it."""
        return f"{self.contract}.{self.entry_point}"

    def __await__(self) -> Generator[Any, Any, TransactionResult[T]]:
        return self.send().__await__()

    async def send(
        self, *, bounds: ResourceBoundsMapping | None = None, tip: int = 0
    ) -> TransactionResult[T]:
        """Send it as one transaction and wait for its block. Parameters and errors: see `Account.send`."""
        result = await self.account.send(self, bounds=bounds, tip=tip)
        value: T = result.value[0]
        return replace(cast(TransactionResult[Any], result), value=value)


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that the node has, or may have."""

    nonce: int
    calls: list[Call]
    #: When it was handed over, in unix seconds.
    at: float


class Account(StarknetAccount):
    """starknet-py's account, for many transactions in flight, each of which happens once.

    It counts nonces itself, hands transactions over one after the other and waits for them side by side.
    After a failure the count is read from the chain again, with the transactions that are still in flight
    left out. Share one object per account: two would count on their own. They recover, as several processes
    do, by trying again with another nonce after a random pause, a few times (`NonceConflict` after that).

    A transaction whose outcome was not learnt (`UnknownOutcome`, or the task was cancelled) is remembered.
    Sending the same calls again within `RETRY_WINDOW` is a second try: if the first one arrived, it is the
    answer; if not, the second takes its nonce, so that only one of them can happen. A caller who wants both
    learns first what became of the one, from `confirm`.

    >>> signer = StarkSigner(private_key=1, chain_id=0x534E5F5345504F4C4941)
    >>> account = Account(7, FullNodeClient("http://127.0.0.1:5050/rpc"), signer)
    >>> hex(account.address), account.unsettled
    ('0x7', {})
    """

    client: FullNodeClient

    def __init__(self, address: int, client: FullNodeClient, signer: StarkSigner) -> None:
        super().__init__(address=address, client=client, signer=signer, chain=signer.chain_id)
        self.stark_signer = signer
        self.chain_id = signer.chain_id
        # Every account contract in use since 2024 is Cairo 1; asking would fetch its whole class.
        self._cairo_version = 1  # type: ignore[assignment]
        self._handing_over = asyncio.Lock()
        self._next_nonce: int | None = None
        # By hash: those that somebody waits for, and those whose outcome nobody learnt.
        self._in_flight: dict[int, Sent] = {}
        self._unsettled: dict[int, Sent] = {}

    @property
    def unsettled(self) -> dict[int, Sent]:
        """By hash, transactions that may have happened, or may still, and whose outcome was not learnt."""
        return dict(self._unsettled)

    @property
    def in_flight(self) -> dict[int, Sent]:
        """By hash, transactions that were handed over and are not confirmed yet."""
        return dict(self._in_flight)

    def recall(self, unsettled: Mapping[int, Sent]) -> None:
        """Know what another process sent for this account and did not learn the outcome of."""
        self._unsettled |= unsettled

    async def send(
        self,
        *invocations: Invocation[Any],
        bounds: ResourceBoundsMapping | None = None,
        tip: int = 0,
        within: float = CONFIRMATION_TIMEOUT,
    ) -> TransactionResult[tuple[Any, ...]]:
        """Send invocations as one transaction, wait until it is in a block, and say what came of it.

        They happen in order and all or none. `bounds` are the most that may be spent; without them the node
        is asked for an estimate and half as much again is allowed. `tip` is in FRI per unit of L2 gas,
        `within` in seconds. The result's `value` has the answer of each invocation.

        Raises InputError if an answer's type does not fit the contract's interface, ContractError if it is
        refused or reverted, NonceConflict if other processes keep taking the account's nonces, UnknownOutcome
        if the node does not say in time what became of it, another NetworkError if the node fails before
        anything is sent.
        """
        transaction_hash = await self.submit(*invocations, bounds=bounds, tip=tip)
        sent = self._in_flight[transaction_hash]
        receipt = await self.confirm(transaction_hash, *invocations, within=within)
        try:
            return await self.result(receipt, *invocations)
        except BaseException:
            # It happened, and the caller does not have its answer: a second try must not do it again.
            self._unsettled[transaction_hash] = sent
            raise

    async def submit(
        self, *invocations: Invocation[Any], bounds: ResourceBoundsMapping | None = None, tip: int = 0
    ) -> int:
        """Hand invocations over as one transaction and return its hash, without waiting for a block.

        The first half of `send`, with the same parameters and errors; `confirm` is the second.
        """
        for invocation in invocations:
            if not answer_fits(invocation.contract, invocation.entry_point, invocation.answer):
                name = getattr(invocation.answer, "__name__", None) or str(invocation.answer)
                raise InputError(f"{invocation.function} does not return a {name}; nothing was sent.")
        calls = [invocation.call for invocation in invocations]
        async with self._handing_over:
            earlier = self._tries_of(calls)
            try:
                for pause in (*NONCE_PAUSES, None):
                    for transaction in earlier:
                        if await _is_known(self.client, transaction):
                            _log.info(
                                "An earlier try, transaction %#x, arrived: nothing is sent again.",
                                transaction,
                                extra={"transaction": hex(transaction)},
                            )
                            return self._arrived(transaction)
                    nonce = self._unsettled[earlier[0]].nonce if earlier else await self._free_nonce()
                    try:
                        sent = await self._hand_over(await self._sign(calls, nonce, bounds, tip), calls)
                    except ClientError as error:
                        # While an earlier try may wait with this nonce, only that nonce is safe.
                        may_wait = earlier and rpc_code(error) == REPLACEMENT
                        if pause is None or may_wait or not is_nonce_conflict(error):
                            raise
                    else:
                        functions = list(dict.fromkeys(invocation.function for invocation in invocations))
                        _log.info(
                            "%s was handed over as transaction %#x.",
                            " + ".join(functions),
                            sent,
                            extra={
                                "transaction": hex(sent),
                                "functions": functions,
                                "account": hex(self.address),
                                "nonce": nonce,
                            },
                        )
                        return sent
                    # A transaction refused for its nonce will never be on the chain, so it is signed again.
                    # That goes for earlier tries of this nonce as well, unless one of them is what took it.
                    self._next_nonce = None
                    earlier = [known for known in earlier if await _is_known(self.client, known)]
                    if not earlier:
                        _log.warning(
                            "Nonce %d of %#x was taken; trying again.",
                            nonce,
                            self.address,
                            extra={"account": hex(self.address), "nonce": nonce},
                        )
                        await asyncio.sleep(random.uniform(0, pause))
            except MedSyncError:
                raise
            except (ClientError, *TRANSPORT_ERRORS) as error:
                self._next_nonce = None
                if isinstance(error, ClientError) and rpc_code(error) < 300:
                    raise refusal(error, *invocations) from error
                reason = failure_reason(error)
                if earlier:
                    raise UnknownOutcome(earlier[0], f"at another try, {reason}") from None
                hint = getattr(error, "hint", "")
                raise NetworkError(
                    f"{reason[:1].upper()}{reason[1:]}; nothing was sent.", hint=hint
                ) from None
        raise AssertionError("unreachable")

    async def get_nonce(
        self, *, block_hash: Hash | Tag | None = None, block_number: int | Tag | None = None
    ) -> int:
        """The account's next nonce. Raises ContractError if no account is deployed at its address."""
        try:
            return await super().get_nonce(block_hash=block_hash, block_number=block_number)
        except ClientError as error:
            if rpc_code(error) != CONTRACT_NOT_FOUND:
                raise
        raise ContractError(
            "ACCOUNT_NOT_FOUND",
            "account",
            "Deploy the account first (`medsync account deploy`), or check its address and the network.",
            message=f"No account is deployed at {self.address:#x} on {decode_short_string(self.chain_id)}.",
        )

    async def confirm(
        self, transaction_hash: int, *invocations: Invocation[Any], within: float = CONFIRMATION_TIMEOUT
    ) -> TransactionReceiptWithBlockInfo:
        """The receipt of a transaction once it is in a block; `invocations` only name it in errors.

        Raises ContractError if it was reverted, UnknownOutcome if it is in no block after `within` seconds.
        """
        try:
            receipt = await _receipt(self.client, transaction_hash, within)
        except BaseException:
            self._next_nonce = None
            if transaction_hash in self._in_flight:
                self._unsettled[transaction_hash] = self._in_flight[transaction_hash]
            raise
        finally:
            self._in_flight.pop(transaction_hash, None)
        self._unsettled.pop(transaction_hash, None)
        outcome = (
            "reverted" if receipt.execution_status is TransactionExecutionStatus.REVERTED else "confirmed"
        )
        _log.info(
            "Transaction %#x was %s in block %s.",
            transaction_hash,
            outcome,
            receipt.block_number,
            extra={
                "transaction": hex(transaction_hash),
                "outcome": outcome,
                "block": receipt.block_number,
                "fee": str(receipt.actual_fee.amount),
            },
        )
        if receipt.execution_status is TransactionExecutionStatus.REVERTED:
            where = f"Transaction {transaction_hash:#x} was reverted; its fee was paid."
            raise contract_error(receipt.revert_reason, invocations, where)
        return receipt

    async def result(
        self, receipt: TransactionReceiptWithBlockInfo, *invocations: Invocation[Any]
    ) -> TransactionResult[tuple[Any, ...]]:
        """What came of a confirmed transaction of these invocations.

        Answers are not in receipts: if one is expected, the node is asked for the transaction's trace. Raises
        NetworkError, naming the transaction, if it gives none.
        """
        values: list[Any] = [None] * len(invocations)
        if any(invocation.answer is not NoneType for invocation in invocations):
            frames = await self._frames(receipt.transaction_hash, invocations)
            values = [
                None if invocation.answer is NoneType else decode(invocation.answer, frame.result)
                for invocation, frame in zip(invocations, frames, strict=True)
            ]
        contracts = {call.call.to_addr: call.contract for call in invocations if call.contract in EVENTS}
        return TransactionResult(
            hash=receipt.transaction_hash,
            block_number=receipt.block_number,
            l2_gas=receipt.execution_resources.l2_gas,
            l1_data_gas=receipt.execution_resources.l1_data_gas,
            fee=receipt.actual_fee.amount,
            events=tuple(events_of(receipt, contracts)),
            value=tuple(values),
            receipt=receipt,
        )

    def _tries_of(self, calls: list[Call]) -> list[int]:
        """The unsettled transactions that sending these calls is another try of, all of one nonce."""
        oldest = time.time() - RETRY_WINDOW
        self._unsettled = {tx_hash: sent for tx_hash, sent in self._unsettled.items() if sent.at > oldest}
        same = {tx_hash: sent.nonce for tx_hash, sent in self._unsettled.items() if sent.calls == calls}
        return [tx_hash for tx_hash, nonce in same.items() if nonce == min(same.values())]

    async def _free_nonce(self) -> int:
        if self._next_nonce is None:
            nonce = await self.get_nonce(block_number="pre_confirmed")
            taken = {sent.nonce for sent in self._in_flight.values()}
            taken |= {
                sent.nonce
                for tx_hash, sent in self._unsettled.items()
                if await _is_known(self.client, tx_hash)
            }
            while nonce in taken:
                nonce += 1
            self._next_nonce = nonce
        return self._next_nonce

    async def _sign(
        self, calls: list[Call], nonce: int, bounds: ResourceBoundsMapping | None, tip: int
    ) -> InvokeV3:
        if bounds is None:
            unbounded = ResourceBoundsMapping.init_with_zeros()  # type: ignore[no-untyped-call]
            estimate = await self.estimate_fee(
                await self.sign_invoke_v3(calls, nonce=nonce, resource_bounds=unbounded, tip=tip)
            )
            assert isinstance(estimate, EstimatedFee)
            bounds = estimate.to_resource_bounds()
            # Unlike any that another process may send just now with the same calls and nonce: what the node
            # knows by our hash is ours.
            bounds.l2_gas.max_amount += secrets.randbits(16)
        return await self.sign_invoke_v3(calls, nonce=nonce, resource_bounds=bounds, tip=tip)

    async def _hand_over(self, transaction: InvokeV3, calls: list[Call]) -> int:
        transaction_hash = transaction.calculate_hash(self.chain_id)
        earlier = self._unsettled.get(transaction_hash)
        # Noted before it is sent: whatever happens from here on, it may be on its way.
        self._unsettled[transaction_hash] = Sent(transaction.nonce, calls, time.time())
        is_next = self._next_nonce == transaction.nonce
        self._next_nonce = None
        try:
            await hand_over(self.client, transaction, transaction_hash)
        except (ClientError, ContractError, NodeFailure):
            del self._unsettled[transaction_hash]
            if earlier is not None:
                # With fixed bounds it is the same as at an earlier try, which may still arrive.
                self._unsettled[transaction_hash] = earlier
            raise
        self._next_nonce = transaction.nonce + 1 if is_next else None
        return self._arrived(transaction_hash)

    def _arrived(self, transaction_hash: int) -> int:
        """Count an unsettled transaction as in flight; others of its nonce will never happen."""
        sent = self._in_flight[transaction_hash] = self._unsettled[transaction_hash]
        self._unsettled = {
            tx_hash: other for tx_hash, other in self._unsettled.items() if other.nonce != sent.nonce
        }
        return transaction_hash

    async def _frames(
        self, transaction_hash: int, invocations: Sequence[Invocation[Any]]
    ) -> list[FunctionInvocation]:
        trouble = f"Transaction {transaction_hash:#x} succeeded, but the node does not give its trace"
        try:
            trace = await self.client.trace_transaction(transaction_hash)
        except (ClientError, *TRANSPORT_ERRORS) as error:
            raise NetworkError(f"{trouble}: {failure_reason(error)}.") from None
        assert isinstance(trace, InvokeTransactionTrace)
        frames = _walk(trace.execute_invocation)
        # In order: an account may call other contracts before and in between.
        found = [
            next((frame for frame in frames if _is_frame_of(frame, invocation.call)), None)
            for invocation in invocations
        ]
        complete = [frame for frame in found if frame is not None]
        if len(complete) != len(found):
            raise NetworkError(f"{trouble}: the calls are not in it.")
        return complete


async def hand_over(client: FullNodeClient, transaction: Submitted, transaction_hash: int) -> None:
    """Give a signed transaction to the node.

    Raises ClientError if the node refuses it, ContractError if the account cannot pay for it, NodeFailure if
    no connection could be made, UnknownOutcome if the node does not say whether it has it.
    """
    try:
        if isinstance(transaction, DeclareV3):
            await client.declare(transaction)
        elif isinstance(transaction, DeployAccountV3):
            await client.deploy_account(transaction)
        else:
            await client.send_transaction(transaction)
    except (ClientError, *TRANSPORT_ERRORS) as error:
        if isinstance(error, NodeFailure) and not error.connected:
            raise
        # It may have arrived all the same: its answer was lost, or what was refused is a second copy of it.
        refused = is_refused_transaction(error)
        try:
            if await _is_known(client, transaction_hash):
                return
        except (ClientError, *TRANSPORT_ERRORS):
            refused = False
        if not refused:
            trouble = f"when it was handed over, {failure_reason(error)}"
            raise UnknownOutcome(transaction_hash, trouble) from None
        if isinstance(error, ClientError) and rpc_code(error) == INSUFFICIENT_BALANCE:
            raise await _insufficient_balance(client, transaction) from None
        raise


async def _insufficient_balance(client: FullNodeClient, transaction: Submitted) -> ContractError:
    """The error for an account that cannot pay, with what is there and what is needed, if the node says."""
    needed = max_fee(transaction.resource_bounds, transaction.tip)
    address = _payer(transaction)
    call = Call(STRK_TOKEN, starknet_keccak("balance_of"), [address])
    try:
        low, high = await client.call_contract(call, block_number="latest")
    except (ClientError, *TRANSPORT_ERRORS):
        return ContractError(
            "INSUFFICIENT_BALANCE",
            "fee",
            f"The transaction may cost up to {strk(needed, up=True)}. Fund the account; what is not used is "
            "not paid.",
            message=f"The account {address:#x} has too little STRK; nothing was sent.",
        )
    return InsufficientBalance("The transaction", address, balance=low + (high << 128), needed=needed)


def _payer(transaction: Submitted) -> int:
    """The account that pays for a transaction."""
    if isinstance(transaction, DeployAccountV3):
        return int(
            compute_address(
                class_hash=transaction.class_hash,
                constructor_calldata=transaction.constructor_calldata,
                salt=transaction.contract_address_salt,
            )
        )
    return transaction.sender_address


def max_fee(bounds: ResourceBoundsMapping, tip: int = 0) -> int:
    """The highest fee in FRI that a transaction with these bounds can cost, which its account must have.

    What an estimate leads to when `Account` sends is `max_fee(estimate.to_resource_bounds())`: half as much
    again of each amount, at half as much again of each price.
    """
    kinds = (bounds.l1_gas, bounds.l1_data_gas, bounds.l2_gas)
    return sum(kind.max_amount * kind.max_price_per_unit for kind in kinds) + tip * bounds.l2_gas.max_amount


async def bounds_for(
    client: FullNodeClient, *, l2_gas: int, l1_data_gas: int = 10_000
) -> ResourceBoundsMapping:
    """Fixed bounds for transactions of at most so much gas, at up to twice the latest block's prices.

    They save the estimate, which costs about as much as the transaction itself, and a refusal is then found
    out on the chain and paid for.
    """

    def bound(amount: int, price: int) -> ResourceBounds:
        return ResourceBounds(max_amount=amount, max_price_per_unit=2 * price)

    with asking("request for gas prices"):
        block = await client.get_block_with_tx_hashes(block_number="latest")
        return ResourceBoundsMapping(
            l1_gas=bound(0, block.l1_gas_price.price_in_fri),
            l1_data_gas=bound(l1_data_gas, block.l1_data_gas_price.price_in_fri),
            l2_gas=bound(l2_gas, block.l2_gas_price.price_in_fri),
        )


async def _receipt(
    client: FullNodeClient, transaction_hash: int, within: float
) -> TransactionReceiptWithBlockInfo:
    deadline, delay, trouble = time.monotonic() + within, 0.02, "it is in no block"
    while True:
        try:
            receipt = await client.get_transaction_receipt(transaction_hash)
            if receipt.finality_status is not TransactionFinalityStatus.PRE_CONFIRMED:
                return receipt
            trouble = "its block is not confirmed"
        except (ClientError, *TRANSPORT_ERRORS) as error:
            if not (isinstance(error, ClientError) and rpc_code(error) == TRANSACTION_NOT_FOUND):
                trouble = failure_reason(error)
        if time.monotonic() + delay > deadline:
            raise UnknownOutcome(transaction_hash, f"after {within:.0f} s, {trouble}")
        await asyncio.sleep(delay)
        delay = min(1.5 * delay, 2.0)


async def _is_known(client: FullNodeClient, transaction_hash: int) -> bool:
    """Whether the node knows a transaction, in a block or waiting for one. Raises if it does not say."""
    try:
        await client.get_transaction_status(transaction_hash)
    except ClientError as error:
        if rpc_code(error) != TRANSACTION_NOT_FOUND:
            raise
        return False
    return True


def _walk(frame: FunctionInvocation | RevertedFunctionInvocation) -> Iterator[FunctionInvocation]:
    """The calls inside a transaction, each before those it makes."""
    if isinstance(frame, FunctionInvocation):
        yield frame
        for inner in frame.calls:
            yield from _walk(inner)


def _is_frame_of(frame: FunctionInvocation, call: Call) -> bool:
    return (frame.contract_address, frame.entry_point_selector, list(frame.calldata)) == (
        call.to_addr,
        call.selector,
        list(call.calldata),
    )

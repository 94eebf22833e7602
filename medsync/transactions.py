"""Transactions: an account with many of them in flight, what came of each, and why one was refused."""

import asyncio
import json
import re
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar, cast

import aiohttp
import marshmallow
from starknet_py.net.account.account import Account as StarknetAccount
from starknet_py.net.client_errors import ClientError
from starknet_py.net.client_models import (
    Call,
    FunctionInvocation,
    InvokeTransactionTrace,
    ResourceBounds,
    ResourceBoundsMapping,
    RevertedFunctionInvocation,
    TransactionExecutionStatus,
    TransactionFinalityStatus,
    TransactionReceiptWithBlockInfo,
)
from starknet_py.net.full_node_client import FullNodeClient
from starknet_py.net.http_client import ServerError
from starknet_py.net.models.transaction import InvokeV3

from medsync import artifacts
from medsync.errors import ContractError, InputError, NetworkError
from medsync.events import EVENTS, Event, events_of
from medsync.felt import InvalidValue, decode_short_string
from medsync.serde import decode
from medsync.signer import StarkSigner

T = TypeVar("T")

#: Seconds a transaction gets until it is in a block.
CONFIRMATION_TIMEOUT: Final = 120.0

#: Broken connections, silence, and answers that make no sense, as the libraries report them.
TRANSPORT_ERRORS: Final = (
    aiohttp.ClientError,
    TimeoutError,
    OSError,
    json.JSONDecodeError,
    ServerError,
    marshmallow.ValidationError,
)

# Error codes of the Starknet JSON-RPC specification.
_NOT_FOUND = 29
_REVERTED = (40, 41)
_INVALID_NONCE = 52
_DUPLICATE = 59
_REFUSALS = {
    20: "CONTRACT_NOT_FOUND",
    21: "ENTRYPOINT_NOT_FOUND",
    _INVALID_NONCE: "INVALID_NONCE",
    53: "INSUFFICIENT_RESOURCES",
    54: "INSUFFICIENT_BALANCE",
    55: "VALIDATION_FAILURE",
    _DUPLICATE: "DUPLICATE_TRANSACTION",
}


@dataclass(frozen=True, slots=True)
class TransactionResult(Generic[T]):
    """A transaction that succeeded: what it cost, what it emitted, what it answered."""

    hash: int
    block_number: int
    #: Gas of execution, the unit that costs are published in.
    l2_gas: int
    #: Gas of the state difference's data.
    l1_data_gas: int
    #: What was paid for it, in the smallest unit of STRK (FRI).
    fee: int
    #: What the contracts that were called emitted, in order. What others did in the same transaction, for
    #: one a pool that paid, `medsync.events.events_of` reads from the receipt.
    events: tuple[Event, ...]
    #: What the entry point returned; None for one that returns nothing.
    value: T
    #: The receipt as the node gave it.
    receipt: TransactionReceiptWithBlockInfo = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Invocation(Generic[T]):
    """A call of one entry point that changes state, ready to be sent.

    Await it, or its `send`, to send it alone; give several to `Account.send` to make them one transaction.
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


class Account(StarknetAccount):
    """starknet-py's account, for many transactions in flight.

    It counts nonces itself, hands transactions over one after the other and waits for them side by side.
    After a failure the count is read from the chain again, with the transactions that are still in flight
    left out. Share one object per account: two would count on their own (and recover, at the price of a
    refusal each).
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
        self._in_flight: dict[int, int] = {}

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

        Raises ContractError if it is refused or reverted, NetworkError if the node fails or the time is over.
        """
        transaction_hash = await self.submit(*invocations, bounds=bounds, tip=tip)
        receipt = await self.confirm(transaction_hash, *invocations, within=within)
        return await self.result(receipt, *invocations)

    async def submit(
        self, *invocations: Invocation[Any], bounds: ResourceBoundsMapping | None = None, tip: int = 0
    ) -> int:
        """Hand invocations over as one transaction and return its hash, without waiting for a block.

        The first half of `send`, with the same parameters and errors; `confirm` is the second.
        """
        calls = [invocation.call for invocation in invocations]
        async with self._handing_over:
            for last_attempt in (False, False, True):
                try:
                    nonce = await self._free_nonce()
                    transaction = await self.sign_invoke_v3(
                        calls, nonce=nonce, resource_bounds=bounds, auto_estimate=bounds is None, tip=tip
                    )
                    return await self._hand_over(transaction, nonce)
                except ClientError as error:
                    self._next_nonce = None
                    # Refused for its nonce, it is not and never will be on the chain: sign it anew.
                    if last_attempt or not _is_nonce_refusal(error):
                        raise refusal(error, *invocations) from error
                except TRANSPORT_ERRORS as error:
                    self._next_nonce = None
                    raise NetworkError(
                        f"The node did not answer ({type(error).__name__}); nothing was sent."
                    ) from None
        raise AssertionError("unreachable")

    async def confirm(
        self, transaction_hash: int, *invocations: Invocation[Any], within: float = CONFIRMATION_TIMEOUT
    ) -> TransactionReceiptWithBlockInfo:
        """The receipt of a transaction once it is in a block; `invocations` only name it in errors.

        Raises ContractError if it was reverted, NetworkError if it is in no block after `within` seconds.
        """
        try:
            receipt = await _receipt(self.client, transaction_hash, within)
        except BaseException:
            self._next_nonce = None
            raise
        finally:
            self._in_flight.pop(transaction_hash, None)
        if receipt.execution_status is TransactionExecutionStatus.REVERTED:
            where = f"Transaction {transaction_hash:#x} was reverted; its fee was paid."
            raise _contract_error(receipt.revert_reason, invocations, where)
        return receipt

    async def result(
        self, receipt: TransactionReceiptWithBlockInfo, *invocations: Invocation[Any]
    ) -> TransactionResult[tuple[Any, ...]]:
        """What came of a confirmed transaction of these invocations.

        Answers are not in receipts: if one is expected, the node is asked for the transaction's trace. Raises
        NetworkError, naming the transaction, if it gives none.
        """
        values: list[Any] = [None] * len(invocations)
        if any(invocation.answer is not type(None) for invocation in invocations):
            frames = await self._frames(receipt.transaction_hash, invocations)
            values = [
                decode(invocation.answer, frame.result)
                for invocation, frame in zip(invocations, frames, strict=True)
            ]
        contracts = {one.call.to_addr: one.contract for one in invocations if one.contract in EVENTS}
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

    async def _free_nonce(self) -> int:
        if self._next_nonce is None:
            nonce = await self.get_nonce(block_number="pre_confirmed")
            taken = set(self._in_flight.values())
            while nonce in taken:
                nonce += 1
            self._next_nonce = nonce
        return self._next_nonce

    async def _hand_over(self, transaction: InvokeV3, nonce: int) -> int:
        try:
            transaction_hash = (await self.client.send_transaction(transaction)).transaction_hash
        except (ClientError, *TRANSPORT_ERRORS) as error:
            if isinstance(error, ClientError) and not _is_http_status(error):
                raise
            # It may have arrived all the same.
            transaction_hash = transaction.calculate_hash(self.chain_id)
            if not await self._is_known(transaction_hash):
                self._next_nonce = None
                raise NetworkError(
                    f"The connection broke while transaction {transaction_hash:#x} was handed over.",
                    hint="It may still happen: look it up before you send it again.",
                ) from None
        self._in_flight[transaction_hash] = nonce
        self._next_nonce = nonce + 1
        return transaction_hash

    async def _is_known(self, transaction_hash: int) -> bool:
        try:
            await self.client.get_transaction_status(transaction_hash)
        except (ClientError, *TRANSPORT_ERRORS):
            return False
        return True

    async def _frames(
        self, transaction_hash: int, invocations: Sequence[Invocation[Any]]
    ) -> list[FunctionInvocation]:
        trouble = f"Transaction {transaction_hash:#x} succeeded, but the node does not give its trace"
        try:
            trace = await self.client.trace_transaction(transaction_hash)
        except (ClientError, *TRANSPORT_ERRORS) as error:
            raise NetworkError(f"{trouble} ({type(error).__name__}).") from None
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


async def bounds_for(
    client: FullNodeClient, *, l2_gas: int, l1_data_gas: int = 10_000
) -> ResourceBoundsMapping:
    """Fixed bounds for transactions of at most so much gas, at up to twice the latest block's prices.

    They save the estimate, which costs about as much as the transaction itself, and a refusal is then found
    out on the chain and paid for.
    """
    block = await client.get_block_with_tx_hashes(block_number="latest")

    def bound(amount: int, price: int) -> ResourceBounds:
        return ResourceBounds(max_amount=amount, max_price_per_unit=2 * price)

    return ResourceBoundsMapping(
        l1_gas=bound(0, block.l1_gas_price.price_in_fri),
        l1_data_gas=bound(l1_data_gas, block.l1_data_gas_price.price_in_fri),
        l2_gas=bound(l2_gas, block.l2_gas_price.price_in_fri),
    )


def refusal(
    error: ClientError, *invocations: Invocation[Any], function: str = ""
) -> ContractError | NetworkError:
    """The error to raise for a node's refusal of a call (named `function`) or of a transaction."""
    code = _rpc_code(error)
    if code in _REVERTED:
        return _contract_error(error.data, invocations, function=function)
    if code in _REFUSALS:
        name = function or _names(invocations)
        return ContractError(_REFUSALS[code], name)
    # starknet-py puts the node's own words into the message; an HTTP error's may be a whole page.
    return NetworkError(f"The node refused {function or _names(invocations)}: {error.message[:300]}")


# --- reading refusals ---------------------------------------------------------------------------------------

_SHORT_STRING = re.compile(r"0x[0-9a-fA-F]+ \('([^']*)'\)")
_FELT = re.compile(r"\"(0x[0-9a-fA-F]+)\"")
_FRAME = re.compile(r"contract address: (0x[0-9a-f]+), class hash: 0x[0-9a-f]+, selector: (0x[0-9a-f]+)")

#: What accounts and the system put around the reason that a contract gave.
_WRAPPERS: Final = ("", "ENTRYPOINT_FAILED", "argent/multicall-failed")


#: Code of a revert whose reason is no short string.
UNKNOWN: Final = "UNKNOWN"


def revert_code(data: Any) -> str:
    """The innermost short-string reason in a node's account of a revert; `UNKNOWN` if there is none.

    `data` is a receipt's `revert_reason` or the data of an error 40 or 41: text, or one object inside another
    per call with the text in the innermost.
    """
    text = _innermost(data)
    # Each call on the way out repeats the reason or wraps it: the last block of text has the panic itself.
    last = text.rpartition("Error in ")[2]
    reasons = [reason for reason in _SHORT_STRING.findall(last) if reason not in _WRAPPERS]
    if not reasons:
        reasons = [reason for reason in map(_short_string, _FELT.findall(last)) if reason not in _WRAPPERS]
    if reasons:
        return str(reasons[0])
    if "is not deployed" in last:
        return "CONTRACT_NOT_FOUND"
    return UNKNOWN


def _innermost(data: Any) -> str:
    while isinstance(data, dict):
        data = data.get("execution_error", data.get("revert_error", data.get("error")))
    return str(data) if data else ""


def _short_string(felt: str) -> str:
    try:
        return str(decode_short_string(int(felt, 16)))
    except InvalidValue:
        return ""


def _contract_error(
    data: Any, invocations: Sequence[Invocation[Any]], note: str = "", function: str = ""
) -> ContractError:
    code = revert_code(data)
    meaning = _meaning(code) if code != UNKNOWN else _innermost(data).strip()[-300:]
    name = function or _failed(data, invocations)
    return ContractError(code, name, " ".join(filter(None, (meaning, note))))


def _meaning(code: str) -> str:
    try:
        return str(artifacts.errors()[code]["meaning"])
    except (InputError, KeyError):
        return ""


def _failed(data: Any, invocations: Sequence[Invocation[Any]]) -> str:
    """The name of the invocation that failed: the first whose contract and selector are among the calls."""
    frames = {(int(address, 16), int(selector, 16)) for address, selector in _FRAME.findall(_innermost(data))}
    while isinstance(data, dict):
        if "selector" in data:
            frames.add((int(data["contract_address"], 16), int(data["selector"], 16)))
        data = data.get("execution_error", data.get("error"))
    named = [one for one in invocations if (one.call.to_addr, one.call.selector) in frames]
    return _names(named or invocations)


def _names(invocations: Sequence[Invocation[Any]]) -> str:
    return " + ".join(dict.fromkeys(invocation.function for invocation in invocations)) or "transaction"


def _rpc_code(error: ClientError) -> int:
    """The JSON-RPC error's code, or the HTTP status. starknet-py's annotation says text; it is not."""
    try:
        return int(error.code or 0)
    except ValueError:
        return 0


def _is_http_status(error: ClientError) -> bool:
    """Whether something on the way to the node answered, not the node itself."""
    return _rpc_code(error) >= 300


def _is_nonce_refusal(error: ClientError) -> bool:
    # A duplicate has the nonce, and all else, of one that was sent before.
    refused = _rpc_code(error) in (_INVALID_NONCE, _DUPLICATE)
    return refused or "nonce is invalid" in _innermost(error.data).lower()


# --- waiting and tracing ------------------------------------------------------------------------------------


async def _receipt(
    client: FullNodeClient, transaction_hash: int, within: float
) -> TransactionReceiptWithBlockInfo:
    deadline, delay, trouble = time.monotonic() + within, 0.02, "not in a block"
    while True:
        try:
            receipt = await client.get_transaction_receipt(transaction_hash)
            if receipt.finality_status is not TransactionFinalityStatus.PRE_CONFIRMED:
                return receipt
            trouble = "not in a confirmed block"
        except ClientError as error:
            if _rpc_code(error) != _NOT_FOUND:
                trouble = error.message[:300]
        except TRANSPORT_ERRORS as error:
            trouble = f"the node did not answer ({type(error).__name__})"
        if time.monotonic() + delay > deadline:
            raise NetworkError(
                f"Transaction {transaction_hash:#x} is not confirmed after {within:.0f} s: {trouble}.",
                hint="It may still happen: look it up before you send it again.",
            )
        await asyncio.sleep(delay)
        delay = min(1.5 * delay, 2.0)


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

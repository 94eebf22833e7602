"""Nonces are counted right whatever the node does, and refusals are read to their innermost code."""

import asyncio
from typing import Any

import aiohttp
import pytest
from starknet_py.net.client_errors import ClientError
from starknet_py.net.client_models import (
    Call,
    FeePayment,
    PriceUnit,
    ResourceBounds,
    ResourceBoundsMapping,
    SentTransactionResponse,
    TransactionExecutionStatus,
    TransactionFinalityStatus,
)
from starknet_py.net.models.transaction import InvokeV3

from medsync.errors import ContractError, ExitCode, InputError, NetworkError, NonceConflict
from medsync.protocol.types import AccessReceipt, Head, Verdict
from medsync.starknet import transactions
from medsync.starknet.abi import answer_fits
from medsync.starknet.fees import InsufficientBalance
from medsync.starknet.network import STRK_TOKEN
from medsync.starknet.rpc import refusal, revert_code
from medsync.starknet.signer import StarkSigner
from medsync.starknet.transactions import Account, Invocation, UnknownOutcome, bounds_for, max_fee
from medsync.starknet.transport import NodeFailure
from tests.harness.histories import CHAIN, CONTRACT, PATIENT

BOUNDS = ResourceBoundsMapping.init_with_zeros()
INVALID_NONCE = ClientError("Invalid transaction nonce", 52)  # type: ignore[arg-type]
NOT_FOUND = ClientError("Transaction hash not found", 29)  # type: ignore[arg-type]


class FakeNode:
    """A node with a mempool: accepts any nonce from the chain's on, once, and makes blocks on demand.

    `trouble` are exceptions that the next submissions meet; with `swallow` the transaction arrives first.
    A `mute` one does not say what it knows of a transaction.
    """

    def __init__(self) -> None:
        self.nonce = 0
        self.pool: dict[int, int] = {}
        self.trouble: list[Exception] = []
        self.swallow = False
        self.mute = False
        self.received = asyncio.Event()
        self.asked = 0
        self.reverts = False
        self.balance = 10**18
        self.makes_blocks = False

    async def call_contract(self, call: Call, **_: Any) -> list[int]:
        assert (call.to_addr, list(call.calldata)) == (STRK_TOKEN, [PATIENT])
        return [self.balance, 0]

    async def get_contract_nonce(self, address: int, **_: Any) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        return self.nonce

    async def send_transaction(self, transaction: InvokeV3) -> SentTransactionResponse:
        self.received.set()
        await asyncio.sleep(0)
        trouble = self.trouble.pop(0) if self.trouble else None
        if trouble is not None and not self.swallow:
            raise trouble
        cost = transaction.resource_bounds.l2_gas
        if cost.max_amount * cost.max_price_per_unit > self.balance:
            raise ClientError("Account balance is too small", 54)  # type: ignore[arg-type]
        if transaction.nonce < self.nonce or transaction.nonce in self.pool.values():
            raise INVALID_NONCE
        transaction_hash = transaction.calculate_hash(CHAIN)
        self.pool[transaction_hash] = transaction.nonce
        if self.makes_blocks:
            self.make_block()
        if trouble is not None:
            raise trouble
        return SentTransactionResponse(transaction_hash)

    async def get_transaction_status(self, transaction_hash: int) -> None:
        if self.mute:
            raise TimeoutError
        if transaction_hash not in self.pool:
            raise NOT_FOUND

    async def get_transaction_receipt(self, transaction_hash: int) -> Any:
        await asyncio.sleep(0)
        nonce = self.pool.get(transaction_hash)
        if nonce is None or nonce >= self.nonce:
            raise NOT_FOUND
        status = TransactionExecutionStatus
        return _Receipt(
            transaction_hash,
            status.REVERTED if self.reverts else status.SUCCEEDED,
            "0x1 ('CONSENT/NOT_FOUND')" if self.reverts else None,
        )

    def make_block(self) -> None:
        while self.nonce in self.pool.values():
            self.nonce += 1


class _Receipt:
    finality_status = TransactionFinalityStatus.ACCEPTED_ON_L2

    def __init__(self, transaction_hash: int, status: TransactionExecutionStatus, reason: str | None) -> None:
        self.transaction_hash = transaction_hash
        self.block_number = 1
        self.actual_fee = FeePayment(amount=1, unit=PriceUnit.FRI)
        self.execution_status = status
        self.revert_reason = reason


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "NONCE_PAUSES", [0.0] * len(transactions.NONCE_PAUSES))


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def account(node: FakeNode) -> Account:
    return Account(PATIENT, node, StarkSigner(5, CHAIN))  # type: ignore[arg-type]


def call(account: Account, function: str = "revoke_all", calldata: int = 0) -> Invocation[None]:
    return Invocation(account, "MedSync", function, Call(CONTRACT, 77, [calldata]), type(None))


async def submit(account: Account, calldata: int) -> int:
    return await account.submit(call(account, calldata=calldata), bounds=BOUNDS)


# --- nonces -------------------------------------------------------------------------------------------------


async def test_many_in_flight_take_one_nonce_each(node: FakeNode, account: Account) -> None:
    node.nonce = 4
    await asyncio.gather(*(submit(account, number) for number in range(20)))
    assert sorted(node.pool.values()) == list(range(4, 24))
    assert node.asked == 1


async def test_a_foreign_transaction_is_noticed_and_the_nonce_read_again(
    node: FakeNode, account: Account
) -> None:
    await submit(account, 1)
    node.make_block()
    node.nonce += 3
    await submit(account, 2)
    assert sorted(node.pool.values()) == [0, 4]


async def test_what_is_in_flight_is_left_out_when_the_nonce_is_read_again(
    node: FakeNode, account: Account
) -> None:
    """The chain does not count what waits, so its nonce alone would name one that is spent."""
    await submit(account, 1)
    await submit(account, 2)
    node.trouble = [aiohttp.ServerDisconnectedError()]
    with pytest.raises(NetworkError, match="0x"):
        await submit(account, 3)
    await submit(account, 4)
    assert sorted(node.pool.values()) == [0, 1, 2]


async def test_a_transaction_that_arrived_before_the_connection_broke_is_accounted_for(
    node: FakeNode, account: Account
) -> None:
    node.trouble, node.swallow = [TimeoutError()], True
    transaction_hash = await submit(account, 1)
    await submit(account, 2)
    assert node.pool[transaction_hash] == 0
    assert sorted(node.pool.values()) == [0, 1]


async def test_a_gateway_that_gives_up_is_no_refusal(node: FakeNode, account: Account) -> None:
    node.trouble, node.swallow = [ClientError("Gateway timeout", "504")], True
    assert await submit(account, 1) in node.pool
    for trouble in (ClientError("Bad gateway", "502"), NodeFailure("out of order (HTTP status 502)")):
        node.trouble, node.swallow = [trouble], False
        with pytest.raises(UnknownOutcome, match="HTTP status 502"):
            await submit(account, 2)
    await submit(account, 3)
    assert sorted(node.pool.values()) == [0, 1]


async def test_a_transaction_for_which_no_connection_could_be_made_was_not_sent(
    node: FakeNode, account: Account
) -> None:
    node.trouble = [NodeFailure("the connection was refused", connected=False)]
    with pytest.raises(NetworkError, match="The connection was refused; nothing was sent") as failed:
        await submit(account, 1)
    assert not isinstance(failed.value, UnknownOutcome)
    assert not account.unsettled


async def test_a_chain_that_went_back_is_followed(node: FakeNode, account: Account) -> None:
    """As after a devnet's revert to a snapshot."""
    node.nonce = 9
    transaction_hash = await submit(account, 1)
    node.make_block()
    await account.confirm(transaction_hash)
    node.nonce, node.pool, node.trouble = 2, {}, [INVALID_NONCE]
    await submit(account, 1)
    assert list(node.pool.values()) == [2]


async def test_a_nonce_that_is_refused_for_ever_is_given_up(node: FakeNode, account: Account) -> None:
    node.trouble = [INVALID_NONCE] * 100
    with pytest.raises(NonceConflict, match=r"MedSync\.revoke_all was not sent") as refused:
        await submit(account, 1)
    assert "Trying again is safe" in refused.value.hint
    assert refused.value.to_json()["exit_code"] == ExitCode.REFUSED
    assert not node.pool
    assert not account.unsettled


async def test_a_duplicate_is_never_taken_for_success(node: FakeNode, account: Account) -> None:
    """It would be another transaction's result."""
    node.trouble = [ClientError("Duplicate", 59)] * 100  # type: ignore[arg-type]
    with pytest.raises(NonceConflict):
        await submit(account, 1)


async def test_several_accounts_of_one_address_end_well(node: FakeNode) -> None:
    """As several processes do, each of which counts nonces on its own."""
    node.makes_blocks = True
    accounts = [Account(PATIENT, node, StarkSigner(5, CHAIN)) for _ in range(4)]  # type: ignore[arg-type]
    hashes = await asyncio.gather(*(submit(account, number) for number, account in enumerate(accounts)))
    assert sorted(node.pool) == sorted(hashes)
    assert sorted(node.pool.values()) == [0, 1, 2, 3]


async def test_a_nonce_that_waits_is_not_given_up_while_it_may_be_an_earlier_trys(
    node: FakeNode, account: Account
) -> None:
    """Another nonce would let both tries happen."""
    node.trouble = [aiohttp.ServerDisconnectedError(), ClientError("Underpriced", 64)]  # type: ignore[arg-type]
    with pytest.raises(UnknownOutcome) as lost:
        await submit(account, 1)
    with pytest.raises(NonceConflict):
        await submit(account, 1)
    assert list(account.unsettled) == [lost.value.transaction]
    assert not node.pool


async def test_a_failure_before_anything_is_sent_says_so(node: FakeNode, account: Account) -> None:
    async def silent(*_: Any, **__: Any) -> int:
        raise aiohttp.ClientConnectionError

    node.get_contract_nonce = silent  # type: ignore[method-assign]
    with pytest.raises(NetworkError, match="nothing was sent"):
        await submit(account, 1)


# --- before anything is sent --------------------------------------------------------------------------------


async def test_an_account_that_is_not_deployed_is_named(node: FakeNode, account: Account) -> None:
    async def absent(*_: Any, **__: Any) -> int:
        raise ClientError("Contract not found", 20)  # type: ignore[arg-type]

    node.get_contract_nonce = absent  # type: ignore[method-assign]
    for asking in (submit(account, 1), account.get_nonce()):
        with pytest.raises(ContractError, match=f"No account is deployed at {PATIENT:#x} on ") as refused:
            await asking
        assert refused.value.code == "ACCOUNT_NOT_FOUND"
        assert "Deploy the account first" in refused.value.hint


async def test_too_little_money_is_told_with_what_is_needed(node: FakeNode, account: Account) -> None:
    node.balance = 1_234_567_890_123_456_789
    bounds = ResourceBoundsMapping(
        l1_gas=ResourceBounds(0, 1), l1_data_gas=ResourceBounds(10, 10**17), l2_gas=ResourceBounds(5, 10**18)
    )
    assert max_fee(bounds) == 6 * 10**18
    assert max_fee(bounds, tip=10**17) == 65 * 10**17
    with pytest.raises(InsufficientBalance, match="needs a balance of 6 STRK") as refused:
        await account.submit(call(account), bounds=bounds)
    assert "has 1.234567 STRK: 4.765433 STRK are missing. Nothing was sent." in refused.value.message
    assert not account.unsettled
    await submit(account, 1)
    assert list(node.pool.values()) == [0]


@pytest.mark.parametrize("answer", [bool, Head, list[int], tuple[int, int], int | None, str])
async def test_an_answer_that_does_not_fit_is_refused_before_sending(
    node: FakeNode, account: Account, answer: Any
) -> None:
    """Later it would be too late: the transaction would have happened."""
    add_consent = Invocation(account, "MedSync", "add_consent", Call(CONTRACT, 77, []), answer)
    for invocations in ([add_consent], [call(account), add_consent]):
        with pytest.raises(InputError, match=r"MedSync\.add_consent does not return .*; nothing was sent"):
            await account.submit(*invocations, bounds=BOUNDS)
    assert not node.pool
    assert node.asked == 0


@pytest.mark.parametrize(
    ("contract", "entry_point", "answer", "fits"),
    [
        ("MedSync", "add_consent", int, True),
        ("MedSync", "add_consent", type(None), True),
        ("MedSync", "revoke_all", type(None), True),
        ("MedSync", "revoke_all", int, False),
        ("MedSync", "request_access", AccessReceipt, True),
        ("MedSync", "request_access", Verdict, False),
        ("MedSync", "request_access_batch", list[AccessReceipt], True),
        ("MedSync", "request_access_batch", AccessReceipt, False),
        ("MedSync", "request_access_batch", list[int], False),
        ("MedSync", "verify_consent", Verdict, True),
        ("MedSync", "verify_consent", tuple[int, int], False),
        ("MedSync", "supports_interface", bool, True),
        ("MedSync", "supports_interface", int, False),
        ("RewardPool", "withdraw", bool, False),
        ("PrivateAnchor", "anchor", int, False),
        # Of these no ABI is known.
        ("MedSync", "no_such_entry_point", int, True),
        ("Erc20", "approve", bool, True),
    ],
)
def test_which_answers_fit(contract: str, entry_point: str, answer: Any, fits: bool) -> None:
    assert answer_fits(contract, entry_point, answer) is fits


# --- once ---------------------------------------------------------------------------------------------------


async def test_a_second_try_finds_the_first(node: FakeNode, account: Account) -> None:
    """The answer was lost, and so was the one to the question whether it arrived."""
    node.trouble, node.swallow, node.mute = [TimeoutError()], True, True
    with pytest.raises(UnknownOutcome) as lost:
        await submit(account, 1)
    assert list(account.unsettled) == [lost.value.transaction]
    node.mute = False
    assert await submit(account, 1) == lost.value.transaction
    assert node.pool == {lost.value.transaction: 0}
    assert not account.unsettled


async def test_a_second_try_excludes_the_first(node: FakeNode, account: Account) -> None:
    """It did not arrive, but still may: with the same nonce, only one of them can happen."""
    node.trouble = [aiohttp.ServerDisconnectedError()]
    with pytest.raises(UnknownOutcome):
        await submit(account, 1)
    await submit(account, 1)
    assert list(node.pool.values()) == [0]
    assert not account.unsettled


async def test_a_second_try_goes_on_where_something_else_took_the_nonce(
    node: FakeNode, account: Account
) -> None:
    node.trouble = [aiohttp.ServerDisconnectedError()]
    with pytest.raises(UnknownOutcome) as lost:
        await submit(account, 1)
    node.nonce += 1
    assert await submit(account, 1) != lost.value.transaction
    assert list(node.pool.values()) == [1]


async def test_other_calls_are_no_second_try(node: FakeNode, account: Account) -> None:
    node.trouble, node.swallow, node.mute = [TimeoutError()], True, True
    with pytest.raises(UnknownOutcome) as lost:
        await submit(account, 1)
    node.mute = False
    await submit(account, 2)
    assert sorted(node.pool.values()) == [0, 1]
    assert list(account.unsettled) == [lost.value.transaction]


async def test_after_a_while_the_same_calls_are_meant_anew(
    node: FakeNode, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.trouble, node.swallow, node.mute = [TimeoutError()], True, True
    with pytest.raises(UnknownOutcome):
        await submit(account, 1)
    node.mute = False
    node.make_block()
    monkeypatch.setattr(transactions, "RETRY_WINDOW", 0.0)
    await submit(account, 1)
    assert sorted(node.pool.values()) == [0, 1]


async def test_a_second_try_that_learns_nothing_names_the_first(node: FakeNode, account: Account) -> None:
    node.trouble, node.mute = [TimeoutError()], True
    with pytest.raises(UnknownOutcome) as lost:
        await submit(account, 1)
    with pytest.raises(UnknownOutcome) as again:
        await submit(account, 1)
    assert again.value.transaction == lost.value.transaction
    assert again.value.code == "UNREACHABLE"


async def test_a_transaction_that_is_waited_for_no_longer_is_remembered(
    node: FakeNode, account: Account
) -> None:
    """Its caller may send it again: that must not do it twice."""
    transaction_hash = await submit(account, 1)
    with pytest.raises(UnknownOutcome):
        await account.confirm(transaction_hash, within=0.05)
    assert await submit(account, 1) == transaction_hash
    node.make_block()
    await account.confirm(transaction_hash)
    assert not account.unsettled
    assert await submit(account, 1) != transaction_hash


async def test_a_cancelled_submission_is_remembered(node: FakeNode, account: Account) -> None:
    """As Ctrl-C cancels it: what may be on its way can be told."""
    handing_over = asyncio.create_task(submit(account, 1))
    await node.received.wait()
    handing_over.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handing_over
    (remembered,) = account.unsettled
    assert await submit(account, 1) in (remembered, *node.pool)
    assert list(node.pool.values()) == [0]


async def test_the_refusal_of_a_copy_is_no_refusal(node: FakeNode, account: Account) -> None:
    """Something in between sent it twice, and what came back is the answer to the second."""
    for refused in (INVALID_NONCE, ClientError("Duplicate", 59)):  # type: ignore[arg-type]
        node.trouble, node.swallow = [refused], True
        assert await submit(account, 1) in node.pool
    assert sorted(node.pool.values()) == [0, 1]


async def test_equal_calls_side_by_side_are_all_sent(node: FakeNode, account: Account) -> None:
    assert len(set(await asyncio.gather(*(submit(account, 1) for _ in range(5))))) == 5
    assert sorted(node.pool.values()) == list(range(5))


# --- waiting ------------------------------------------------------------------------------------------------


async def test_a_receipt_is_waited_for(node: FakeNode, account: Account) -> None:
    transaction_hash = await submit(account, 1)
    waiting = asyncio.create_task(account.confirm(transaction_hash))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    node.make_block()
    assert (await waiting).transaction_hash == transaction_hash


async def test_waiting_ends(node: FakeNode, account: Account) -> None:
    transaction_hash = await submit(account, 1)
    with pytest.raises(NetworkError, match=hex(transaction_hash)) as late:
        await account.confirm(transaction_hash, within=0.05)
    assert "look it up" in late.value.hint


async def test_a_reverted_transaction_names_its_code_and_its_hash(node: FakeNode, account: Account) -> None:
    node.reverts = True
    one = call(account, "revoke_consent")
    transaction_hash = await submit(account, 1)
    node.make_block()
    with pytest.raises(ContractError) as refused:
        await account.confirm(transaction_hash, one)
    assert (refused.value.code, refused.value.function) == ("CONSENT/NOT_FOUND", "MedSync.revoke_consent")
    assert hex(transaction_hash) in refused.value.hint
    assert "Nobody ever decided on this patient" in refused.value.hint


@pytest.mark.parametrize(
    "trouble",
    [TimeoutError(), ClientError("<html>a key</html>", "502"), ClientError("Internal error", -32603)],  # type: ignore[arg-type]
)
async def test_prices_that_nobody_tells(trouble: Exception) -> None:
    class Silent:
        async def get_block_with_tx_hashes(self, block_number: str) -> None:
            raise trouble

    with pytest.raises(NetworkError, match="gas prices") as failed:
        await bounds_for(Silent(), l2_gas=1)  # type: ignore[arg-type]
    assert "html" not in str(failed.value)


# --- reading refusals ---------------------------------------------------------------------------------------

TRACE = (
    "Transaction execution has failed:\n"
    "0: Error in the called contract (contract address: 0x07, class hash: 0x05, selector: 0x015d):\n"
    "Execution failed. Failure reason:\n"
    "Error in contract (contract address: 0x07, class hash: 0x05, selector: 0x01):\n"
    "Error in contract (contract address: {address:#066x}, class hash: 0x06, selector: {selector:#066x}):\n"
    "{reason}.\n"
)
CODE = "0x434f4e53454e542f4e4f545f464f554e44 ('CONSENT/NOT_FOUND')"
WRAPPED = f"({CODE}, 0x454e545259504f494e545f4641494c4544 ('ENTRYPOINT_FAILED'))"


@pytest.mark.parametrize("reason", [CODE, WRAPPED, f"(0x617267 ('argent/multicall-failed'), 0x1, {CODE})"])
def test_codes_in_a_receipts_text(reason: str) -> None:
    assert revert_code(TRACE.format(address=CONTRACT, selector=77, reason=reason)) == "CONSENT/NOT_FOUND"


def test_codes_in_nested_data() -> None:
    inner = {
        "contract_address": "0x1",
        "class_hash": "0x2",
        "selector": "0x3",
        "error": TRACE.format(address=CONTRACT, selector=77, reason=CODE),
    }
    data = {"transaction_index": 0, "execution_error": {**inner, "error": {**inner, "error": inner}}}
    assert revert_code(data) == "CONSENT/NOT_FOUND"


def test_codes_in_a_views_data() -> None:
    felts = '["0x434f4e53454e542f4e4f545f464f554e44", "0x454e545259504f494e545f4641494c4544"]'
    assert revert_code({"revert_error": {"selector": "0x1", "error": felts}}) == "CONSENT/NOT_FOUND"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("Requested contract address 0x1234 is not deployed.\n", "CONTRACT_NOT_FOUND"),
        ("Insufficient fee token balance. Fee: 18, balance: low/high 6/0.", "INSUFFICIENT_BALANCE"),
        ("Error at pc=0:7331:\nCairo traceback", "UNKNOWN"),
        (None, "UNKNOWN"),
        ({}, "UNKNOWN"),
        ("0x753332 ('u32_add Overflow').", "u32_add Overflow"),
    ],
)
def test_other_reasons(data: Any, code: str) -> None:
    assert revert_code(data) == code


ACCOUNT = 0x722301FE0F3FFF911031E4B30ED32215AA98FE553B2C6E8DD68405B47BE0E87
REFUSED_SIGNATURE = (
    "The `validate` entry point panicked with:\n"
    f"Error in contract (contract address: {ACCOUNT:#066x}, class hash: 0x05b4, selector: "
    "0x0162da33a4585851fe8d3af3c2a9c60b557814e221e0d4f30ff0b2189d9c7775):\n"
    "0x4163636f756e743a20696e76616c6964207369676e6174757265 ('{code}').\n"
)


@pytest.mark.parametrize("code", ["Account: invalid signature", "argent/invalid-signature", "INVALID_SIG"])
@pytest.mark.parametrize("when", ["estimated", "handed over"])
def test_a_key_of_another_account_is_named(account: Account, code: str, when: str) -> None:
    text = REFUSED_SIGNATURE.replace("{code}", code)
    error = (
        ClientError("Transaction execution error", 41, {"transaction_index": 0, "execution_error": text})  # type: ignore[arg-type]
        if when == "estimated"
        else ClientError("Account validation failed", 55, text)  # type: ignore[arg-type]
    )
    for refused in (refusal(error, call(account)), refusal(error, function="fee estimate")):
        assert isinstance(refused, ContractError)
        assert f"The key does not belong to the account {ACCOUNT:#x}" in str(refused)
        assert refused.code == code


def test_a_signature_that_a_contract_refuses_is_not_the_senders(account: Account) -> None:
    """A patient's message is checked by the patient's account, not by that of whoever submits it."""
    inner = "0x1 ('INVALID_SIG')"
    text = TRACE.format(address=CONTRACT, selector=77, reason=inner)
    refused = refusal(ClientError("x", 41, {"execution_error": text}), call(account))  # type: ignore[arg-type]
    assert str(refused) == "MedSync.revoke_all refused: INVALID_SIG"


@pytest.mark.parametrize(
    "data",
    [
        {"selector": "0x1", "error": "x"},
        {"selector": 7, "contract_address": 7, "error": "x"},
        {"selector": "zz", "contract_address": "0x1", "error": {"selector": None}},
        [1, 2],
        7,
    ],
)
def test_an_account_of_a_revert_that_makes_no_sense(account: Account, data: Any) -> None:
    refused = refusal(ClientError("x", 41, data), call(account))  # type: ignore[arg-type]
    assert isinstance(refused, ContractError)
    assert refused.code == "UNKNOWN"


async def test_the_failing_call_of_several_is_named(account: Account) -> None:
    first = Invocation(account, "Erc20", "approve", Call(0x70, 66, []), bool)
    second = call(account, "revoke_consent")
    text = TRACE.format(address=CONTRACT, selector=77, reason=CODE)
    error = ClientError("Transaction execution error", 41, {"execution_error": text})  # type: ignore[arg-type]
    failed = refusal(error, first, second)
    assert isinstance(failed, ContractError)
    assert failed.function == "MedSync.revoke_consent"
    unclear = refusal(ClientError("x", 41, "no trace"), first, second)  # type: ignore[arg-type]
    assert isinstance(unclear, ContractError)
    assert (unclear.code, unclear.function) == ("UNKNOWN", "Erc20.approve + MedSync.revoke_consent")
    assert "no trace" in unclear.hint


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (20, "There is no contract at this address on this chain"),
        (21, "has no such function"),
        (54, "too little STRK for the highest fee"),
        (65, "no transaction at this price"),
    ],
)
def test_the_message_says_what_a_nodes_code_means_and_the_hint_what_to_do(code: Any, meaning: str) -> None:
    error = refusal(ClientError("refused", code), function="MedSync.admin")
    assert meaning in str(error)
    assert error.hint
    assert meaning not in error.hint


def test_a_call_of_a_contract_that_is_gone_says_so_in_its_message(account: Account) -> None:
    reverted = "Requested contract address 0x1234 is not deployed."
    error = refusal(ClientError("reverted", 41, reverted), call(account, "revoke_consent"))  # type: ignore[arg-type]
    assert "There is no contract at this address on this chain" in str(error)
    assert "`medsync deploy`" in error.hint


@pytest.mark.parametrize(
    ("code", "kind", "name"),
    [
        (20, ContractError, "CONTRACT_NOT_FOUND"),
        (21, ContractError, "ENTRYPOINT_NOT_FOUND"),
        (52, NonceConflict, "NONCE_CONFLICT"),
        (54, ContractError, "INSUFFICIENT_BALANCE"),
        (55, ContractError, "VALIDATION_FAILURE"),
        ("503", NetworkError, "UNREACHABLE"),
        (-32603, NetworkError, "UNREACHABLE"),
        (None, NetworkError, "UNREACHABLE"),
    ],
)
def test_other_refusals_of_the_node(code: Any, kind: type, name: str) -> None:
    error = refusal(ClientError("A page of text " * 100, code), function="MedSync.admin")
    assert type(error) is kind
    assert error.code == name
    assert "MedSync.admin" in str(error)
    assert len(str(error)) < 400

"""What a node's failures mean: refusals, reverts and broken connections as MedSync's errors."""

import contextlib
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol, overload

import aiohttp
import marshmallow
from starknet_py.net.client_errors import ClientError
from starknet_py.net.client_models import Call
from starknet_py.net.full_node_client import FullNodeClient
from starknet_py.net.http_client import ServerError

from medsync import artifacts
from medsync.errors import ContractError, InputError, NetworkError, NonceConflict
from medsync.protocol.felt import InvalidValue, check_uint, decode_short_string
from medsync.protocol.hashing import starknet_keccak
from medsync.starknet.transport import NodeFailure

#: Broken connections, silence, and answers that make no sense, as the libraries report them.
TRANSPORT_ERRORS: Final = (
    NodeFailure,
    aiohttp.ClientError,
    TimeoutError,
    OSError,
    ServerError,
    marshmallow.ValidationError,
    # An answer of another shape than the protocol's: starknet-py takes it apart without looking first.
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)

# Error codes of the Starknet JSON-RPC specification.
CONTRACT_NOT_FOUND: Final = 20
CLASS_NOT_FOUND: Final = 28
INSUFFICIENT_BALANCE: Final = 54
_REVERTED: Final = (40, 41)
_INVALID_NONCE: Final = 52
_VALIDATION_FAILURE: Final = 55
_DUPLICATE: Final = 59
_UNEXPECTED: Final = 63
REPLACEMENT: Final = 64
_REFUSALS: Final = {
    CONTRACT_NOT_FOUND: "CONTRACT_NOT_FOUND",
    21: "ENTRYPOINT_NOT_FOUND",
    _INVALID_NONCE: "INVALID_NONCE",
    53: "INSUFFICIENT_RESOURCES",
    INSUFFICIENT_BALANCE: "INSUFFICIENT_BALANCE",
    _VALIDATION_FAILURE: "VALIDATION_FAILURE",
    _DUPLICATE: "DUPLICATE_TRANSACTION",
    REPLACEMENT: "REPLACEMENT_UNDERPRICED",
    65: "FEE_BELOW_MINIMUM",
}

#: What a code says happened: a part of the message, so that a traceback shows it as well.
_MEANINGS: Final = {
    "CONTRACT_NOT_FOUND": (
        "There is no contract at this address on this chain; a devnet that was restarted has lost its "
        "contracts."
    ),
    "ENTRYPOINT_NOT_FOUND": (
        "The contract at this address has no such function: it is another contract, or of another version."
    ),
    "INSUFFICIENT_BALANCE": "The account has too little STRK for the highest fee that it allows.",
    "FEE_BELOW_MINIMUM": "The network takes no transaction at this price now.",
}

#: What to do about it.
_HINTS: Final = {
    "CONTRACT_NOT_FOUND": (
        "`medsync deployments check` shows whether a record is true; on a devnet, `medsync deploy` deploys "
        "the contracts again."
    ),
    "ENTRYPOINT_NOT_FOUND": "`medsync deployments check` shows whether a record is true.",
    "INSUFFICIENT_BALANCE": "Fund the account: what a transaction does not use is not paid.",
    "FEE_BELOW_MINIMUM": "Try again later, or add a tip.",
}


_log = logging.getLogger(__name__)


class Called(Protocol):
    """A call of an entry point, as errors need to know it."""

    @property
    def function(self) -> str:
        """`Contract.entry_point`."""

    @property
    def call(self) -> Call:
        """The call as it is sent."""


# --- asking a node ---


@overload
def asking(what: str) -> AbstractContextManager[None, None]: ...
@overload
def asking(what: str, *, absent: int) -> AbstractContextManager[None, bool]: ...
def asking(what: str, *, absent: int = 0) -> AbstractContextManager[None, bool | None]:
    """Turn a node's failures inside the block into MedSync's errors, which name the request `what`.

    If the node's answer is the JSON-RPC error with the code `absent`, the block ends there without an error.
    Raises ContractError for a refusal, NetworkError if the node fails.

    Example:

        with asking("request for the chain id"):
            chain_id = int(await client.get_chain_id(), 16)
    """
    return _asking(what, absent)


@contextlib.contextmanager
def _asking(what: str, absent: int) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if not absent or rpc_code(error) != absent:
            raise refusal(error, function=what) from error
    except TRANSPORT_ERRORS as error:
        # Its text may quote the node's URL.
        _log.debug("The %s failed: %s.", what, type(error).__name__)
        raise network_error(what, error) from None


def network_error(what: str, error: Exception) -> NetworkError:
    """The error to raise when a node did not answer the request `what`."""
    hint = error.hint if isinstance(error, NodeFailure) else ""
    return NetworkError(f"{what[:1].upper()}{what[1:]} failed: {failure_reason(error)}.", hint=hint)


def failure_reason(error: Exception) -> str:
    """Why a node did not answer; not the error's own text, which may quote the node's URL."""
    match error:
        case NodeFailure():
            return str(error)
        case ClientError():
            kind = "HTTP status" if rpc_code(error) >= 300 else "error"
            return f"the node answered with {kind} {error.code}"
        case TimeoutError():
            return "the node did not answer in time"
        case aiohttp.ClientError() | OSError():
            return f"the connection broke ({type(error).__name__})"
    return f"the node's answer does not have the protocol's form ({type(error).__name__})"


@dataclass(frozen=True, slots=True)
class Block:
    """A block, as far as the chain's clock and height are concerned."""

    number: int
    #: When it was made, in unix seconds.
    timestamp: int


async def newest_block(client: FullNodeClient) -> Block:
    """The newest block that is accepted: the chain's height, and its clock.

    Raises NetworkError if the node does not answer, or names a height or time that cannot be.
    """
    with asking("request for the newest block"):
        found = await client.get_block_with_tx_hashes(block_number="latest")
        block = Block(int(found.block_number), int(found.timestamp))
        check_uint(block.number, 64, "block number")
        # The contracts take no later time.
        check_uint(block.timestamp, 40, "block time")
    return block


async def is_deployed(client: FullNodeClient, address: int) -> bool:
    """Whether there is a contract at an address. Raises NetworkError if the node does not say."""
    return await class_hash_at(client, address) is not None


async def class_hash_at(client: FullNodeClient, address: int) -> int | None:
    """The class of the contract at an address, as of the newest block; None if there is no contract."""
    with asking("request for a contract's class", absent=CONTRACT_NOT_FOUND):
        return int(await client.get_class_hash_at(address, block_number="latest"))
    return None


# --- refusals ---


def refusal(
    error: ClientError, *calls: Called, function: str = ""
) -> ContractError | NetworkError | NonceConflict:
    """The error to raise for a node's refusal of a call (named `function`) or of a transaction."""
    code = rpc_code(error)
    name = function or _names(calls)
    if is_nonce_conflict(error):
        return NonceConflict(name)
    if code in _REVERTED:
        return contract_error(error.data, calls, function=function)
    if code == _VALIDATION_FAILURE and (failed := _validation_error(error.data)):
        return failed
    if code in _REFUSALS:
        return _refused(_REFUSALS[code], name, _HINTS.get(_REFUSALS[code], ""))
    if code >= 300:
        # An HTTP status, from starknet-py's own transport. Its text is a page, and may quote the node's URL.
        return network_error(name, error)
    # starknet-py puts the node's own words into the message.
    return NetworkError(f"The node refused {name}: {error.message[:300]}")


def rpc_code(error: ClientError) -> int:
    """The JSON-RPC error's code, or the HTTP status. starknet-py's annotation says text; it is not."""
    try:
        return int(error.code or 0)
    except ValueError:
        return 0


def is_refused_transaction(error: Exception) -> bool:
    """Whether a node said of a transaction that it does not take it, not only that something failed."""
    if not isinstance(error, ClientError):
        return False
    return 0 < rpc_code(error) < _UNEXPECTED or rpc_code(error) in _REFUSALS


def is_nonce_conflict(error: ClientError) -> bool:
    """Whether a transaction was refused because another one has its nonce."""
    # A duplicate has the nonce, and all else, of one that was sent before.
    conflict = rpc_code(error) in (_INVALID_NONCE, _DUPLICATE, REPLACEMENT)
    return conflict or "nonce is invalid" in _innermost(error.data).lower()


# --- reverts ---

_SHORT_STRING: Final = re.compile(r"0x[0-9a-fA-F]+ \('([^']*)'\)")
_FELT: Final = re.compile(r"\"(0x[0-9a-fA-F]+)\"")
_FRAME: Final = re.compile(
    r"contract address: (0x[0-9a-f]+), class hash: 0x[0-9a-f]+, selector: (0x[0-9a-f]+)"
)
_BAD_SIGNATURE: Final = re.compile(r"invalid[-_ ]sig", re.IGNORECASE)

#: Selectors by which an account is asked whether it signed a transaction.
_VALIDATIONS: Final = tuple(
    map(starknet_keccak, ("__validate__", "__validate_declare__", "__validate_deploy__"))
)

#: What accounts and the system put around the reason that a contract gave.
_WRAPPERS: Final = ("", "ENTRYPOINT_FAILED", "argent/multicall-failed")

#: Code of a revert whose reason is not a short string.
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
    if "Insufficient fee token balance" in last:
        return "INSUFFICIENT_BALANCE"
    return UNKNOWN


def contract_error(data: Any, calls: Sequence[Called], note: str = "", function: str = "") -> ContractError:
    """The error to raise for a revert, named `function` or by the call that failed."""
    if failed := _validation_error(data):
        return failed
    code = revert_code(data)
    meaning = _meaning(code) if code != UNKNOWN else _innermost(data).strip()[-300:]
    name = function or _failed(data, calls)
    return _refused(code, name, " ".join(filter(None, (meaning, note))))


def _refused(code: str, name: str, hint: str) -> ContractError:
    """The error for a refusal, whose message says what a node's code means."""
    meaning = _MEANINGS.get(code)
    return ContractError(code, name, hint, message=f"{name} refused: {code}. {meaning}" if meaning else "")


def _validation_error(data: Any) -> ContractError | None:
    """The error for a signature that the sending account refused; None if it did not."""
    accounts = [address for address, selector in _frames(data) if selector in _VALIDATIONS]
    code = revert_code(data)
    if not accounts or not _BAD_SIGNATURE.search(code):
        return None
    return ContractError(
        code,
        "account validation",
        "Check that keystore or private key and the account's address belong together.",
        message=f"The key does not belong to the account {accounts[0]:#x}, which says {code!r}.",
    )


def _innermost(data: Any) -> str:
    while isinstance(data, dict):
        data = data.get("execution_error", data.get("revert_error", data.get("error")))
    return str(data) if data else ""


def _short_string(felt: str) -> str:
    try:
        return str(decode_short_string(int(felt, 16)))
    except InvalidValue:
        return ""


def _meaning(code: str) -> str:
    try:
        return str(artifacts.errors()[code]["meaning"])
    except (InputError, KeyError):
        return _HINTS.get(code, "")


def _frames(data: Any) -> list[tuple[int, int]]:
    """Contract and selector of every call that a node's account of a failure names, outermost first."""
    text = _innermost(data)
    frames = []
    while isinstance(data, dict):
        # What a node sends may have any form.
        with contextlib.suppress(LookupError, TypeError, ValueError):
            frames.append((int(data["contract_address"], 16), int(data["selector"], 16)))
        data = data.get("execution_error", data.get("error"))
    return frames + [(int(address, 16), int(selector, 16)) for address, selector in _FRAME.findall(text)]


def _failed(data: Any, calls: Sequence[Called]) -> str:
    """The name of the call that failed: the first whose contract and selector are among the frames."""
    frames = _frames(data)
    named = [call for call in calls if (call.call.to_addr, call.call.selector) in frames]
    return _names(named or calls)


def _names(calls: Sequence[Called]) -> str:
    return " + ".join(dict.fromkeys(call.function for call in calls)) or "transaction"

"""What a node says when it fails: refusals, reverts and broken connections, read into MedSync's errors."""

import re
from collections.abc import Sequence
from typing import Any, Final, Protocol

import aiohttp
import marshmallow
from starknet_py.net.client_errors import ClientError
from starknet_py.net.client_models import Call
from starknet_py.net.http_client import ServerError

from medsync import artifacts
from medsync.errors import ContractError, InputError, NetworkError
from medsync.protocol.felt import InvalidValue, decode_short_string

#: Broken connections, silence, and answers that make no sense, as the libraries report them.
TRANSPORT_ERRORS: Final = (
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
NOT_FOUND = 29
_REVERTED = (40, 41)
_INVALID_NONCE = 52
_DUPLICATE = 59
UNEXPECTED = 63
_REFUSALS = {
    20: "CONTRACT_NOT_FOUND",
    21: "ENTRYPOINT_NOT_FOUND",
    _INVALID_NONCE: "INVALID_NONCE",
    53: "INSUFFICIENT_RESOURCES",
    54: "INSUFFICIENT_BALANCE",
    55: "VALIDATION_FAILURE",
    _DUPLICATE: "DUPLICATE_TRANSACTION",
}


class Called(Protocol):
    """A call of an entry point, as errors need to know it."""

    @property
    def function(self) -> str:
        """`Contract.entry_point`."""

    @property
    def call(self) -> Call:
        """The call as it is sent."""


def refusal(error: ClientError, *calls: Called, function: str = "") -> ContractError | NetworkError:
    """The error to raise for a node's refusal of a call (named `function`) or of a transaction."""
    code = rpc_code(error)
    if code in _REVERTED:
        return contract_error(error.data, calls, function=function)
    if code in _REFUSALS:
        name = function or _names(calls)
        return ContractError(_REFUSALS[code], name)
    name = function or _names(calls)
    if is_http_status(error):
        # Its text is a page of whatever stands in between, and may quote the node's URL.
        return NetworkError(f"The node did not answer {name} ({kind_of(error)}).")
    # starknet-py puts the node's own words into the message.
    return NetworkError(f"The node refused {name}: {error.message[:300]}")


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


def contract_error(data: Any, calls: Sequence[Called], note: str = "", function: str = "") -> ContractError:
    code = revert_code(data)
    meaning = _meaning(code) if code != UNKNOWN else _innermost(data).strip()[-300:]
    name = function or _failed(data, calls)
    return ContractError(code, name, " ".join(filter(None, (meaning, note))))


def _meaning(code: str) -> str:
    try:
        return str(artifacts.errors()[code]["meaning"])
    except (InputError, KeyError):
        return ""


def _failed(data: Any, calls: Sequence[Called]) -> str:
    """The name of the invocation that failed: the first whose contract and selector are among the calls."""
    frames = {(int(address, 16), int(selector, 16)) for address, selector in _FRAME.findall(_innermost(data))}
    while isinstance(data, dict):
        if "selector" in data:
            frames.add((int(data["contract_address"], 16), int(data["selector"], 16)))
        data = data.get("execution_error", data.get("error"))
    named = [one for one in calls if (one.call.to_addr, one.call.selector) in frames]
    return _names(named or calls)


def _names(calls: Sequence[Called]) -> str:
    return " + ".join(dict.fromkeys(call.function for call in calls)) or "transaction"


def rpc_code(error: ClientError) -> int:
    """The JSON-RPC error's code, or the HTTP status. starknet-py's annotation says text; it is not."""
    try:
        return int(error.code or 0)
    except ValueError:
        return 0


def is_http_status(error: Exception) -> bool:
    """Whether something on the way to the node answered, not the node itself."""
    return isinstance(error, ClientError) and rpc_code(error) >= 300


def kind_of(error: Exception) -> str:
    """What went wrong on the way, in a word; not the error's text, which may quote the node's URL."""
    if isinstance(error, ClientError):
        return f"HTTP status {error.code}" if is_http_status(error) else f"error {error.code}"
    return type(error).__name__


def is_nonce_refusal(error: ClientError) -> bool:
    # A duplicate has the nonce, and all else, of one that was sent before.
    refused = rpc_code(error) in (_INVALID_NONCE, _DUPLICATE)
    return refused or "nonce is invalid" in _innermost(error.data).lower()

"""JSON-RPC over HTTP to a node, or to several of which the next one answers when one fails.

A node's URL may hold a password or an API key, even in its path, so no message ever shows more of it than
scheme, host and port. Pages that come instead of an answer are never quoted either.
"""

from __future__ import annotations

import io
import json
import logging
import re
import time
from asyncio import sleep
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from starknet_py.net.client_errors import ClientError
from starknet_py.net.http_client import RpcHttpClient

#: Seconds to wait before asking again a node that limits requests and does not say how long.
PAUSES: Final = (0.5, 1.0, 2.0)

#: Longest wait in seconds that a node may ask for; beyond it the request fails at once.
LONGEST_PAUSE: Final = 30.0

#: Reason of a failure where nothing listens at the node's address.
CONNECTION_REFUSED: Final = "the connection was refused"

#: Characters from which on a part of a URL may be an API key, not a word.
_KEY_LENGTH: Final = 12

_JSON: Final = {"Content-Type": "application/json"}

_SUBMISSION_PREFIX: Final = "starknet_add"
_STATUS_METHOD: Final = "starknet_getTransactionStatus"
_EVENTS_METHOD: Final = "starknet_getEvents"

#: Error code of the Starknet JSON-RPC specification: the node does not know the transaction.
TRANSACTION_NOT_FOUND: Final = 29

_log = logging.getLogger(__name__)

_STATUS_REASONS: Final[Mapping[int, tuple[str, str]]] = {
    401: ("the node requires a valid API key", "Check the key in the node's URL."),
    403: ("the node denies access", "Check the key in the node's URL."),
    404: (
        "the node has no JSON-RPC at this path",
        "Check the path of the node's URL; providers use one such as /rpc/v0_10.",
    ),
    429: ("the node limits requests", "Try again later, or name several nodes in --rpc-url."),
}


def shown_url(url: str) -> str:
    """A URL without what may be secret in it: only scheme, host and port."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    except ValueError:
        return "(malformed URL)"
    return f"{parts.scheme}://{host}{port}" if host else "(malformed URL)"


def without_secrets(text: str, url: str) -> str:
    """What a node said, without what may be secret in its URL: nodes like to quote the key they refuse."""
    parts = urlsplit(url)
    secret = {parts.username, parts.password} | {
        part for part in re.split(r"[/&=?#]", url.partition(parts.netloc)[2]) if len(part) >= _KEY_LENGTH
    }
    for part in sorted(filter(None, secret), key=len, reverse=True):
        text = re.sub(re.escape(part), "…", text, flags=re.IGNORECASE)
    return text


class NodeFailure(Exception):
    """A node gave no answer in JSON-RPC. The message says why, with the node as its subject."""

    def __init__(
        self,
        reason: str,
        *,
        hint: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        connected: bool = True,
    ) -> None:
        super().__init__(reason)
        #: What to do about it, if there is something.
        self.hint = hint
        #: The HTTP status, if there was one and it is not that of success.
        self.status = status
        #: Seconds that the node asks to wait.
        self.retry_after = retry_after
        #: False if no connection could be made, so that the node certainly did not get the request.
        self.connected = connected


class Transport(RpcHttpClient):
    """starknet-py's transport to one node or several, whose errors do not give a node's URL away.

    Requests go to the node that answered last. When it fails, the next one is asked. Some requests are bound:

    - A transaction is handed over to another node only if no connection could be made to the first, because
      one node's refusal proves nothing about a copy that another may have received.
    - A page of events is asked for at the node that gave the page's continuation token.
    - Whether a transaction is known is asked of every node until one knows it.

    A node that limits requests (HTTP 429) is asked again after the time it names, a few times. `ask` raises
    ClientError for an error in JSON-RPC, NodeFailure if no node answers.
    """

    session: aiohttp.ClientSession

    def __init__(self, urls: Sequence[str], session: aiohttp.ClientSession) -> None:
        super().__init__(urls[0], session)
        self.urls = tuple(urls)

    async def call(self, method_name: str, params: dict[str, Any] | None = None) -> Any:
        """The result of one of the specification's methods, as starknet-py asks for it."""
        return await self.ask(f"{self.method_prefix}_{method_name}", params or [])

    async def ask(self, method: str, params: Any) -> Any:
        """The result of any method."""
        if method == _EVENTS_METHOD and len(self.urls) > 1:
            return await self._page(params)
        return (await self._ask_in_turn(method, params))[1]

    async def ask_node(self, url: str, method: str, params: Any) -> Any:
        """The result of a method from one node, without asking another."""
        return (await self._patiently([url], method, params))[1]

    async def _ask_in_turn(self, method: str, params: Any) -> tuple[str, Any]:
        first = self.url
        url, result = await self._patiently([first, *(u for u in self.urls if u != first)], method, params)
        self.url = url
        return url, result

    async def _patiently(self, urls: Iterable[str], method: str, params: Any) -> tuple[str, Any]:
        """Ask nodes in turn, and again after a pause if it was a limit of requests that made them fail."""
        for pause in (*PAUSES, None):
            try:
                return await self._first_answer(urls, method, params)
            except NodeFailure as failure:
                wait = failure.retry_after if failure.retry_after is not None else pause
                limited = failure.status == HTTPStatus.TOO_MANY_REQUESTS
                if not limited or pause is None or wait is None or wait > LONGEST_PAUSE:
                    raise
            _log.warning(
                "The node limits requests; asking again in %.1f s.",
                wait,
                extra={"method": method, "wait": wait},
            )
            await sleep(wait)
        raise AssertionError("unreachable")

    async def _first_answer(self, urls: Iterable[str], method: str, params: Any) -> tuple[str, Any]:
        failure: NodeFailure | None = None
        refusal: ClientError | None = None
        for url in urls:
            if failure is not None:
                node = shown_url(url)
                _log.warning(
                    "A node failed: %s. Asking %s instead.",
                    failure,
                    node,
                    extra={"method": method, "node": node},
                )
            try:
                return url, await self._request(url, method, params)
            except NodeFailure as error:
                if method.startswith(_SUBMISSION_PREFIX) and error.connected:
                    raise
                failure = error
            except ClientError as error:
                unknown = method == _STATUS_METHOD and error.code == TRANSACTION_NOT_FOUND  # type: ignore[comparison-overlap]
                broken = int(error.code or 0) < 0 and not method.startswith(_SUBMISSION_PREFIX)
                if not (unknown or broken):
                    raise
                refusal = error
        # That one node does not know a transaction says little while another one is silent.
        trouble = failure or refusal
        assert trouble is not None
        raise trouble

    async def _page(self, params: dict[str, Any]) -> Any:
        """A page of events. Its continuation token says which node gave it: others would misread it."""
        wanted = params["filter"]
        number, _, token = wanted.get("continuation_token", "").partition(":")
        if token:
            url = self.urls[int(number)]
            params = {**params, "filter": {**wanted, "continuation_token": token}}
            result = await self.ask_node(url, _EVENTS_METHOD, params)
        else:
            url, result = await self._ask_in_turn(_EVENTS_METHOD, params)
        following = result.get("continuation_token") if isinstance(result, dict) else None
        if not following:
            return result
        return {**result, "continuation_token": f"{self.urls.index(url)}:{following}"}

    async def _request(self, url: str, method: str, params: Any) -> Any:
        """One HTTP request. What it raises quotes no URL, not even in its context."""
        started = time.monotonic()
        try:
            result = await self._answer(url, method, params)
        except (NodeFailure, ClientError) as error:
            outcome = str(error) if isinstance(error, NodeFailure) else f"error {error.code}"
            _log_request(url, method, started, outcome)
            raise
        _log_request(url, method, started, "answered")
        return result

    async def _answer(self, url: str, method: str, params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 0, "method": method, "params": params}).encode()
        answer: Any = None
        failure: NodeFailure | None = None
        try:
            # A stream: a class is over a megabyte, which in one piece would hold up the event loop.
            async with self.session.post(url, data=io.BytesIO(body), headers=_JSON) as response:
                failure = _status_failure(response)
                if failure is None:
                    answer = await response.json(content_type=None)
        except (aiohttp.ClientError, OSError) as error:
            failure = _connection_failure(error)
        except (ValueError, RecursionError):
            is_page = response.content_type == "text/html"
            failure = NodeFailure(f"the node's answer is {'an HTML page' if is_page else 'not JSON'}")
        if failure is not None:
            raise failure
        if isinstance(answer, dict) and "result" in answer:
            return answer["result"]
        raise _json_rpc_error(answer, url)


def _log_request(url: str, method: str, started: float, outcome: str) -> None:
    if _log.isEnabledFor(logging.DEBUG):
        node, milliseconds = shown_url(url), round(1000 * (time.monotonic() - started))
        _log.debug(
            "%s at %s: %s, after %d ms.",
            method,
            node,
            outcome,
            milliseconds,
            extra={"method": method, "node": node, "outcome": outcome, "milliseconds": milliseconds},
        )


def _status_failure(response: aiohttp.ClientResponse) -> NodeFailure | None:
    status = response.status
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    reason, hint = _STATUS_REASONS.get(status, ("the node does not answer properly", ""))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        reason = "the node, or a gateway in front of it, is out of order"
    retry_after = _seconds(response.headers.get("Retry-After"))
    return NodeFailure(f"{reason} (HTTP {status})", hint=hint, status=status, retry_after=retry_after)


def _seconds(retry_after: str | None) -> float | None:
    """The value of a Retry-After header, which is a number of seconds or a date."""
    if retry_after is None:
        return None
    try:
        if retry_after.isascii() and retry_after.isdigit():
            return float(retry_after)
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None


def _connection_failure(error: Exception) -> NodeFailure:
    """What went wrong on the way. Only the error's kind is kept: its text may quote the URL."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return NodeFailure("the node's host name is unknown", connected=False)
        case aiohttp.ClientConnectorCertificateError():
            return NodeFailure("the node's TLS certificate is not valid", connected=False)
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return NodeFailure(CONNECTION_REFUSED, connected=False)
        case aiohttp.ClientConnectorError():
            return NodeFailure("no connection could be made", connected=False)
        case TimeoutError():
            return NodeFailure("the node did not answer in time")
    return NodeFailure(f"the connection broke ({type(error).__name__})")


def _json_rpc_error(answer: Any, url: str) -> ClientError | NodeFailure:
    """The error in an answer that has no result."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        error = {}
    code, message = error.get("code"), error.get("message")
    if type(code) is not int or not isinstance(message, str):
        return NodeFailure("the node's answer is not JSON-RPC")
    return ClientError(
        message=without_secrets(message, url),
        code=code,  # type: ignore[arg-type]  # starknet-py's own transport passes the number as well
        data=_without_secrets(error.get("data"), url),
    )


def _without_secrets(data: Any, url: str) -> Any:
    if isinstance(data, str):
        return without_secrets(data, url)
    if isinstance(data, dict):
        return {name: _without_secrets(value, url) for name, value in data.items()}
    return data

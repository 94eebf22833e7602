"""Networks by name, and the connection to a node: checked, and never a public one by accident.

A node's URL may hold a password or an API key, even in its path, so no message ever shows more of it than
scheme, host and port.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from starknet_py.net.client_errors import ClientError
from starknet_py.net.full_node_client import FullNodeClient
from starknet_py.net.http_client import RpcHttpClient, ServerError

from medsync.errors import InputError, NetworkError, PublicNetworkError
from medsync.protocol.felt import InvalidValue, decode_short_string, parse_felt

#: Version of the JSON-RPC specification that MedSync is tested with.
RPC_VERSION: Final = "0.10.2"

#: Environment variable naming a devnet that already runs; it is used instead of starting one.
DEVNET_URL_VARIABLE: Final = "MEDSYNC_DEVNET_URL"

#: Environment variable with the URL of the node to use for a public network.
URL_VARIABLE: Final = "MEDSYNC_RPC_URL"

#: Seconds a node gets for one answer.
TIMEOUT: Final = 60.0

#: Error code of JSON-RPC 2.0.
_METHOD_NOT_FOUND: Final = -32601

#: Characters from which on a part of a URL may be an API key, not a word.
_KEY_LENGTH: Final = 12

#: The STRK token's address, the same on every network.
STRK_TOKEN: Final = 0x04718F5A0FC34CC1AF16A1CDEE98FFB20C31F5CD61D6AB07201858F4287C938D


@dataclass(frozen=True, slots=True)
class Network:
    """A Starknet network that has a name."""

    name: str
    #: Its chain id as text; None where any will do.
    chain: str | None
    #: Where a node of it listens if nobody says otherwise; None for networks that have no such place.
    url: str | None


#: The networks that can be named. Every other node is used by its URL, under the name of its chain.
NETWORKS: Final = {
    "devnet": Network("devnet", None, "http://127.0.0.1:5050/rpc"),
    "sepolia": Network("sepolia", "SN_SEPOLIA", None),
    "mainnet": Network("mainnet", "SN_MAIN", None),
}


@dataclass(frozen=True, slots=True)
class Connection:
    """A node that answered, speaks the right protocol version and is allowed to be used."""

    #: The network's name, which is also the name of its deployment record.
    network: str
    chain_id: int
    #: Whether it is a devnet on this machine, whose keys and history are worth nothing.
    is_local: bool
    client: FullNodeClient = field(repr=False)
    #: The node's URL as it may be shown.
    shown_url: str

    async def devnet_rpc(self, method: str, **params: Any) -> Any:
        """Call a `devnet_…` method and return its result. Raises PublicNetworkError off a local devnet."""
        if not self.is_local:
            raise PublicNetworkError(f"{method} exists on a local devnet only.")
        session = self.client._client.session
        assert session is not None
        return await _call(session, self.client.url, method, params)


def node_url(network: str, url: str | None = None) -> str:
    """The URL of the node to use: `url`, else the environment's, else the network's own.

    The environment's is `MEDSYNC_DEVNET_URL` for devnet, which leaves out the path of its RPC, and
    `MEDSYNC_RPC_URL` for all others. Raises InputError for a name that is no network's, and where there is no
    URL.
    """
    if network not in NETWORKS:
        raise InputError(f"{network!r} is no network; known are {', '.join(NETWORKS)}.")
    found = url or NETWORKS[network].url
    if not url and network != "devnet":
        found = os.environ.get(URL_VARIABLE)
    elif not url and (devnet := os.environ.get(DEVNET_URL_VARIABLE)):
        found = f"{devnet.rstrip('/')}/rpc"
    if not found:
        raise InputError(
            f"There is no node for {network}.", hint=f"Name yours with --rpc-url or in {URL_VARIABLE}."
        )
    return found


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


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine's loopback interface: localhost or an address like 127.0.0.1."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@asynccontextmanager
async def connect(
    network: str = "devnet", url: str | None = None, *, allow_public: bool = False
) -> AsyncIterator[Connection]:
    """A checked connection to a node, closed at the end of the block. `url`: see `node_url`.

    Local is what listens on this machine's loopback interface *and* knows devnet's own methods; a tunnel to a
    public node is not. Anything else needs `allow_public`.

    Raises InputError for an unusable URL, PublicNetworkError for a network that is not local without
    `allow_public`, NetworkError if no node answers, it speaks another version of the JSON-RPC protocol, or it
    is on another chain than the network's.
    """
    target = node_url(network, url)
    if urlsplit(target).scheme not in ("http", "https"):
        raise InputError(f"A node's URL begins with http:// or https://; {shown_url(target)} does not.")
    loopback = is_loopback(target)
    if not loopback and not allow_public:
        _refuse(target)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        version = await _call(session, target, "starknet_specVersion", [])
        if not _is_compatible(version):
            raise NetworkError(
                f"The node at {shown_url(target)} speaks JSON-RPC {str(version)[:20]}, not {RPC_VERSION}."
            )
        is_local = loopback and await _is_devnet(session, target)
        if not is_local and not allow_public:
            _refuse(target)
        chain_id, chain = _chain(await _call(session, target, "starknet_chainId", []), target)
        wanted = NETWORKS[network].chain
        if wanted is not None and chain != wanted:
            raise NetworkError(f"The node at {shown_url(target)} is on {chain}, not on {wanted}.")
        client = FullNodeClient(target, session)
        client._client = _DiscreetRpc(target, session)
        # Checked above; its own check would print the whole URL in a warning.
        client._client._is_spec_version_verified = True
        yield Connection(network, chain_id, is_local, client, shown_url(target))


class _DiscreetRpc(RpcHttpClient):
    """starknet-py's transport, whose errors have the protocol's form and do not give the node's URL away."""

    def handle_rpc_error(self, result: Any) -> None:  # type: ignore[override]  # there it needs no `self`
        error = result.get("error")
        code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, None)
        if type(code) is not int or not isinstance(message, str):
            raise ServerError(body=result)
        raise ClientError(
            message=without_secrets(message, self.url),
            code=code,  # type: ignore[arg-type]  # starknet-py's own passes the number, too
            data=_discreet_data(error.get("data"), self.url),
        )

    async def handle_request_error(self, request: aiohttp.ClientResponse) -> None:
        if request.status >= HTTPStatus.MULTIPLE_CHOICES:
            # The page that comes along tells nothing, and may quote anything.
            raise ClientError(message=HTTPStatus(request.status).phrase, code=str(request.status))


def _discreet_data(data: Any, url: str) -> Any:
    if isinstance(data, str):
        return without_secrets(data, url)
    if isinstance(data, dict):
        return {name: _discreet_data(value, url) for name, value in data.items()}
    return data


def _chain(answer: Any, url: str) -> tuple[int, str]:
    """A chain's id as a felt and as text."""
    try:
        chain_id = parse_felt(answer, "chain id")
        return chain_id, decode_short_string(chain_id)
    except InvalidValue:
        raise NetworkError(f"The node at {shown_url(url)} does not say which chain it is on.") from None


def _refuse(url: str) -> None:
    raise PublicNetworkError(
        f"{shown_url(url)} is no local devnet.",
        hint="What is sent to a public network is seen by all and stays. If that is intended, say so with "
        "--allow-public-network.",
    )


def _is_compatible(version: object) -> bool:
    """Whether major and minor are those we are tested with: the specification changes only details below."""
    return str(version).split(".")[:2] == RPC_VERSION.split(".")[:2]


class _UnknownMethod(NetworkError):
    """The node does not have the method that it was asked for."""


async def _is_devnet(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether the node has devnet's methods. Raises NetworkError if it neither shows nor denies it."""
    try:
        config = await _call(session, url, "devnet_getConfig", {})
    except _UnknownMethod:
        return False
    if not isinstance(config, dict):
        raise NetworkError(f"The node at {shown_url(url)} does not say whether it is a devnet.")
    return True


async def _call(session: aiohttp.ClientSession, url: str, method: str, params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer: Any = None
    trouble = ""
    try:
        async with session.post(url, json=body) as response:
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError) as error:
        # Only the kind is kept, and not as the cause either: some of them quote the URL.
        trouble = type(error).__name__
    if trouble:
        raise NetworkError(
            f"No node answers at {shown_url(url)} ({trouble}).",
            hint="Start a devnet with `medsync devnet up`." if is_loopback(url) else "",
        )
    if not isinstance(answer, dict) or "result" not in answer:
        detail = answer.get("error") if isinstance(answer, dict) else answer
        said = without_secrets(str(detail), url)[:300]
        is_unknown = isinstance(detail, dict) and detail.get("code") == _METHOD_NOT_FOUND
        kind = _UnknownMethod if is_unknown else NetworkError
        raise kind(f"The node at {shown_url(url)} refused {method}: {said}.")
    return answer["result"]

"""Networks by name, and the connection to their nodes: checked, and never a public one by accident."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from starknet_py.net.client_errors import ClientError
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import InputError, NetworkError, PublicNetworkError, VerificationError
from medsync.protocol.felt import InvalidValue, decode_short_string, parse_felt
from medsync.starknet.rpc import asking, rpc_code
from medsync.starknet.transport import CONNECTION_REFUSED, NodeFailure, Transport, shown_url

#: Version of the JSON-RPC specification that MedSync is tested with.
RPC_VERSION: Final = "0.10.2"

#: Environment variable naming a devnet that already runs; it is used instead of starting one.
DEVNET_URL_VARIABLE: Final = "MEDSYNC_DEVNET_URL"

#: Environment variable with the URLs of the nodes to use for a public network.
URL_VARIABLE: Final = "MEDSYNC_RPC_URL"

#: Seconds a node gets for one answer.
TIMEOUT: Final = 60.0

#: Error code of JSON-RPC 2.0.
_METHOD_NOT_FOUND: Final = -32601

#: Blocks that nodes may be apart and still be compared; minutes on a public network.
MAX_LAG: Final = 50

#: What can be quoted of a text that should be a URL and is not: a short word, or this machine's address.
_QUOTABLE: Final = re.compile(r"[a-z]{1,11}|(localhost|[0-9.]{1,15})(:[0-9]{1,5})?")

#: What to do where several nodes were to be compared and only one answers.
ONE_ANSWER_HINT: Final = (
    "Ask again later, name more nodes, or name one node alone if you trust it without a comparison."
)

_log = logging.getLogger(__name__)

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
    """A node that answered, speaks the right protocol version and is allowed to be used, or several.

    Example:

        async with connect("sepolia", "https://node.example/rpc/v0_10", allow_public=True) as connection:
            medsync = MedSyncClient(address, connection.client)

    >>> connection = Connection(
    ...     "devnet", 0x534E5F5345504F4C4941, is_local=True,
    ...     client=FullNodeClient("http://127.0.0.1:5050/rpc"), shown_url="http://127.0.0.1:5050/rpc",
    ... )
    >>> connection.network, connection.is_local
    ('devnet', True)
    """

    #: The network's name, which is also the name of its deployment record.
    network: str
    chain_id: int
    #: Whether it is a devnet on this machine, whose keys and history are worth nothing.
    is_local: bool
    client: FullNodeClient = field(repr=False)
    #: The URL of the first node as it may be shown.
    shown_url: str
    #: Each node on its own, so that no answer is compared with another one of the same node.
    nodes: tuple[FullNodeClient, ...] = field(default=(), repr=False)

    async def devnet_rpc(self, method: str, **params: Any) -> Any:
        """Call a `devnet_…` method and return its result. Raises PublicNetworkError off a local devnet."""
        if not self.is_local:
            raise PublicNetworkError(f"{method} exists on a local devnet only.")
        transport = self.client._client
        assert isinstance(transport, Transport)
        with asking(method):
            return await transport.ask(method, params)


def node_urls(network: str, urls: str | None = None) -> list[str]:
    """The URLs of the nodes to use: `urls`, else the environment's, else the network's own.

    `urls` holds one or several, separated by commas or spaces, the preferred one first. The environment's are
    `MEDSYNC_DEVNET_URL` for devnet, which leaves out the path of its RPC, and `MEDSYNC_RPC_URL` for all
    others. Raises InputError for an unknown network, where there is no URL, and for what is not a URL.
    """
    if network not in NETWORKS:
        raise InputError(f"{network!r} is not a known network; known are {', '.join(NETWORKS)}.")
    if urls:
        return parse_urls(urls, "The node's URL")
    if network == "devnet":
        if devnet := os.environ.get(DEVNET_URL_VARIABLE):
            return parse_urls(f"{devnet.rstrip('/')}/rpc", DEVNET_URL_VARIABLE)
        return [str(NETWORKS[network].url)]
    if text := os.environ.get(URL_VARIABLE):
        return parse_urls(text, URL_VARIABLE)
    raise InputError(
        f"There is no node for {network}.", hint=f"Name yours with --rpc-url or in {URL_VARIABLE}."
    )


def parse_urls(text: str, name: str) -> list[str]:
    """The URLs in a text, separated by commas or spaces, each once; `name` is where the text is from.

    Raises InputError if there are none, and for what is not a URL.
    """
    found = list(dict.fromkeys(filter(None, re.split(r"[\s,]+", text))))
    hint = "An example is http://127.0.0.1:5050/rpc."
    if not found:
        raise InputError(f"{name} contains no URL, only commas or spaces.", hint=hint)
    for url in found:
        if fault := _fault(url):
            raise InputError(
                f"{name} must be an http or https URL; {_quoted(url)} is not: {fault}.", hint=hint
            )
    return found


def _fault(text: str) -> str:
    """Why a text is not the URL of a node; empty if it is."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "its host or its port is malformed"
    if parts.scheme not in ("http", "https"):
        return "it does not begin with http:// or https://"
    if not parts.hostname:
        return "it names no host"
    return "no node listens on port 0" if port == 0 else ""


def _quoted(text: str) -> str:
    """A text that should be a URL, as far as it may be shown: a key may have been given in its place."""
    if _QUOTABLE.fullmatch(text):
        return repr(text)
    return shown_url(text) if "://" in text else "what was given (not shown: it may hold a key)"


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
    """A checked connection to one node or several, closed at the end of the block. `url`: see `node_urls`.

    Local is what listens on this machine's loopback interface *and* knows devnet's own methods; a tunnel to a
    public node is not. Anything else needs `allow_public`.

    Of several nodes, those that do not answer or are far from the median height are left out with a warning.
    The others must agree on the hash of the newest block that all of them have; when one fails later, the
    next one is asked (see `Transport`).

    Raises InputError for an unusable URL, PublicNetworkError for a network that is not local without
    `allow_public`, NetworkError if no node answers, one speaks another version of the JSON-RPC protocol, or
    one is on another chain than the network's; VerificationError if nodes disagree on a block, or cannot be
    compared because only one of several answers or too few are at the same height.
    """
    urls = node_urls(network, url)
    for target in urls:
        if not is_loopback(target) and not allow_public:
            _refuse(target)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        transport = Transport(urls, session)
        nodes = await _answering(transport, network)
        for node in nodes:
            if not node.is_devnet and not allow_public:
                _refuse(node.url)
        if len(nodes) > 1:
            nodes = await _agreeing(transport, nodes)
        transport.urls = tuple(node.url for node in nodes)
        transport.url = nodes[0].url
        client = _client(transport)
        single = tuple(_client(Transport([node.url], session)) for node in nodes)
        is_local = all(node.is_devnet for node in nodes)
        shown = [shown_url(node.url) for node in nodes]
        _log.debug("Connected to %s on %s.", ", ".join(shown), network, extra={"nodes": shown})
        yield Connection(network, nodes[0].chain_id, is_local, client, shown[0], single)


def _client(transport: Transport) -> FullNodeClient:
    client = FullNodeClient(transport.url, transport.session)
    client._client = transport
    return client


@dataclass(frozen=True, slots=True)
class _Node:
    url: str
    chain_id: int
    #: Whether it listens on this machine and has devnet's methods.
    is_devnet: bool


class _UnknownMethod(NetworkError):
    """The node does not have the method that it was asked for."""


class _Unreachable(NetworkError):
    """A node did not answer, or not in JSON-RPC."""

    def __init__(self, url: str, failure: NodeFailure) -> None:
        self.node = where = shown_url(url)
        super().__init__(
            f"The node at {where} failed: {failure}."
            if failure.connected
            else f"No node answers at {where}: {failure}.",
            hint=failure.hint,
        )
        self.nothing_listens = str(failure) == CONNECTION_REFUSED


async def _answering(transport: Transport, network: str) -> list[_Node]:
    """The nodes that answer, checked. Raises NetworkError if none does, or one is not the right one;
    VerificationError if only one of several answers."""
    nodes: list[_Node] = []
    failures: list[_Unreachable] = []
    for url in transport.urls:
        try:
            nodes.append(await _check_node(transport, url, network))
        except _Unreachable as failure:
            failures.append(failure)
    if not nodes:
        if network == "devnet" and failures[0].nothing_listens and is_loopback(transport.urls[0]):
            failures[0].hint = "Start a devnet with `medsync devnet up`."
        raise failures[0]
    if failures and len(nodes) == 1:
        raise VerificationError(
            f"Only one of {len(transport.urls)} nodes answers, so its answers cannot be compared:",
            findings=[str(failure) for failure in failures],
            hint=ONE_ANSWER_HINT,
        )
    for silent in failures:
        _log.warning("%s It is left out.", silent, extra={"node": silent.node})
    return nodes


async def _check_node(transport: Transport, url: str, network: str) -> _Node:
    version = await _ask(transport, url, "starknet_specVersion", [])
    if not _is_compatible(version):
        raise NetworkError(
            f"The node at {shown_url(url)} speaks JSON-RPC {str(version)[:20]}, not {RPC_VERSION}.",
            hint="Providers serve each version at a path of its own, such as /rpc/v0_10: check the path.",
        )
    is_devnet = is_loopback(url) and await _has_devnet_methods(transport, url)
    chain_id, chain = _chain(await _ask(transport, url, "starknet_chainId", []), url)
    wanted = NETWORKS[network].chain
    if wanted is not None and chain != wanted:
        raise NetworkError(f"The node at {shown_url(url)} is on {chain}, not on {wanted}.")
    return _Node(url, chain_id, is_devnet)


async def _agreeing(transport: Transport, nodes: Sequence[_Node]) -> list[_Node]:
    """The nodes that are near the median height. Raises VerificationError if those disagree on their chain,
    or are not most of the nodes."""
    heights: dict[_Node, int] = {}
    for node in nodes:
        height = await _ask(transport, node.url, "starknet_blockNumber", [])
        if type(height) is not int or height < 0:
            raise NetworkError(f"The node at {shown_url(node.url)} does not say how many blocks it has.")
        heights[node] = height
    # Not the highest: one false height would leave out every other node.
    median = sorted(heights.values())[(len(heights) - 1) // 2]
    current = [node for node, height in heights.items() if abs(height - median) <= MAX_LAG]
    if 2 * len(current) <= len(nodes):
        raise VerificationError(
            "The nodes cannot be compared: too few of them are at the same height.",
            findings=[f"{shown_url(node.url)} is at block {height}" for node, height in heights.items()],
            hint="Ask again later, or name other nodes: most of them must be at the same height.",
        )
    for node, height in heights.items():
        if node not in current:
            where, apart = shown_url(node.url), abs(height - median)
            _log.warning(
                "The node at %s is %d blocks %s most nodes: it is left out.",
                where,
                apart,
                "behind" if height < median else "ahead of",
                extra={"node": where, "height": height, "median": median},
            )
    common = min(heights[node] for node in current)
    hashes = {node: await _block_hash(transport, node.url, common) for node in current}
    chains = {node.chain_id for node in current}
    if len(set(hashes.values())) > 1 or len(chains) > 1:
        raise VerificationError(
            f"The nodes disagree on block {common}:",
            findings=[f"{shown_url(node.url)} has the hash {found:#x}" for node, found in hashes.items()],
            hint="At least one of them is on another chain or answers wrongly. Use only nodes you trust.",
        )
    return current


async def _block_hash(transport: Transport, url: str, number: int) -> int:
    params = {"block_id": {"block_number": number}}
    block = await _ask(transport, url, "starknet_getBlockWithTxHashes", params)
    try:
        return parse_felt(block["block_hash"], "block hash")
    except (TypeError, LookupError, InvalidValue):
        raise NetworkError(
            f"The node at {shown_url(url)} does not give the hash of block {number}."
        ) from None


def _chain(answer: Any, url: str) -> tuple[int, str]:
    """A chain's id as a felt and as text."""
    try:
        chain_id = parse_felt(answer, "chain id")
        return chain_id, decode_short_string(chain_id)
    except InvalidValue:
        raise NetworkError(f"The node at {shown_url(url)} does not say which chain it is on.") from None


def _refuse(url: str) -> None:
    raise PublicNetworkError(
        f"{shown_url(url)} is not a local devnet.",
        hint="What is sent to a public network is seen by all and stays. If that is intended, say so with "
        "--allow-public-network.",
    )


def _is_compatible(version: object) -> bool:
    """Whether major and minor are those we are tested with: the specification changes only details below."""
    return str(version).split(".")[:2] == RPC_VERSION.split(".")[:2]


async def _has_devnet_methods(transport: Transport, url: str) -> bool:
    """Whether the node is a devnet. Raises NetworkError if it neither shows nor denies it."""
    try:
        config = await _ask(transport, url, "devnet_getConfig", {})
    except _UnknownMethod:
        return False
    if not isinstance(config, dict):
        raise NetworkError(f"The node at {shown_url(url)} does not say whether it is a devnet.")
    return True


async def _ask(transport: Transport, url: str, method: str, params: Any) -> Any:
    """The result of a method from one node. Raises NetworkError that names the node."""
    try:
        return await transport.ask_node(url, method, params)
    except NodeFailure as failure:
        raise _Unreachable(url, failure) from None
    except ClientError as error:
        kind = _UnknownMethod if rpc_code(error) == _METHOD_NOT_FOUND else NetworkError
        raise kind(f"The node at {shown_url(url)} refused {method}: {error.message[:300]}") from None

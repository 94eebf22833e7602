"""Networks by name, and the connection to a node: checked, and never a public one by accident.

A node's URL may hold a password or an API key, even in its path, so no message ever shows more of it than
scheme, host and port.
"""

import ipaddress
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from starknet_py.net.full_node_client import FullNodeClient

from medsync import toolchain
from medsync.errors import InputError, NetworkError, PublicNetworkError
from medsync.felt import decode_short_string, encode_short_string, parse_felt

#: Environment variable with the URL of the node to use for a public network.
URL_VARIABLE: Final = "MEDSYNC_RPC_URL"

#: Seconds a node gets for one answer.
TIMEOUT: Final = 60.0

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
    elif not url and (devnet := os.environ.get(toolchain.DEVNET_URL_VARIABLE)):
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
                f"The node at {shown_url(target)} speaks JSON-RPC {version}, not {toolchain.RPC_VERSION}."
            )
        is_local = loopback and await _is_devnet(session, target)
        if not is_local and not allow_public:
            _refuse(target)
        chain_id = parse_felt(await _call(session, target, "starknet_chainId", []), "chain id")
        wanted = NETWORKS[network].chain
        if wanted is not None and chain_id != encode_short_string(wanted):
            raise NetworkError(
                f"The node at {shown_url(target)} is on {decode_short_string(chain_id)}, not on {wanted}."
            )
        client = FullNodeClient(target, session)
        # Checked above; its own check would print the whole URL in a warning.
        client._client._is_spec_version_verified = True
        yield Connection(network, chain_id, is_local, client, shown_url(target))


def _refuse(url: str) -> None:
    raise PublicNetworkError(
        f"{shown_url(url)} is no local devnet.",
        hint="What is sent to a public network is seen by all and stays. If that is intended, say so with "
        "--allow-public-network.",
    )


def _is_compatible(version: object) -> bool:
    """Whether major and minor are those we are tested with: the specification changes only details below."""
    return str(version).split(".")[:2] == toolchain.RPC_VERSION.split(".")[:2]


async def _is_devnet(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        await _call(session, url, "devnet_getConfig", {})
    except NetworkError:
        return False
    return True


async def _call(session: aiohttp.ClientSession, url: str, method: str, params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer: Any = None
    trouble = ""
    try:
        async with session.post(url, json=body) as response:
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        # Only the kind is kept, and not as the cause either: some of them quote the URL.
        trouble = type(error).__name__
    if trouble:
        raise NetworkError(
            f"No node answers at {shown_url(url)} ({trouble}).",
            hint="Start a devnet with `medsync devnet up`." if is_loopback(url) else "",
        )
    if not isinstance(answer, dict) or "result" not in answer:
        detail = answer.get("error") if isinstance(answer, dict) else answer
        raise NetworkError(f"The node at {shown_url(url)} refused {method}: {str(detail)[:300]}.")
    return answer["result"]

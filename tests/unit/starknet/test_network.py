"""A node is checked before it is used, a public one never by accident, and no URL is shown whole."""

import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from medsync.errors import ExitCode, InputError, NetworkError, PublicNetworkError
from medsync.protocol.felt import encode_short_string
from medsync.starknet import network
from medsync.starknet.network import URL_VARIABLE, connect, is_loopback, node_url, shown_url

SECRET = "5ecr3tK3y"

DEVNET = {
    "starknet_specVersion": network.RPC_VERSION,
    "starknet_chainId": hex(encode_short_string("SN_SEPOLIA")),
    "devnet_getConfig": {"seed": 1},
}
PUBLIC = {name: answer for name, answer in DEVNET.items() if not name.startswith("devnet_")}

Answer = Callable[[web.Request], Any]


@asynccontextmanager
async def node(answers: dict[str, Any] | Answer) -> AsyncIterator[str]:
    """The URL, with a key in its path and query, of a node on this machine that answers so."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if callable(answers):
            return await answers(request)  # type: ignore[no-any-return]
        method = (await request.json())["method"]
        if method in answers:
            return web.json_response({"jsonrpc": "2.0", "id": 1, "result": answers[method]})
        error = {"code": -32601, "message": "Method not found"}
        return web.json_response({"jsonrpc": "2.0", "id": 1, "error": error})

    app = web.Application()
    app.router.add_post("/{tail:.*}", handle)
    async with TestServer(app, host="127.0.0.1") as server:
        yield f"http://user:{SECRET}@127.0.0.1:{server.port}/v2/{SECRET}?key={SECRET}"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (URL_VARIABLE, network.DEVNET_URL_VARIABLE):
        monkeypatch.delenv(name, raising=False)


async def test_a_local_devnet_is_used_without_ado() -> None:
    async with node(DEVNET) as url, connect("devnet", url) as connection:
        assert connection.is_local
        assert connection.network == "devnet"
        assert connection.chain_id == encode_short_string("SN_SEPOLIA")
        assert SECRET not in repr(connection)
        assert await connection.devnet_rpc("devnet_getConfig") == {"seed": 1}


async def test_a_tunnel_to_a_public_node_is_public() -> None:
    async with node(PUBLIC) as url:
        with pytest.raises(PublicNetworkError) as refused:
            async with connect("devnet", url):
                pass
        assert refused.value.exit_code is ExitCode.PUBLIC_NETWORK
        assert SECRET not in str(refused.value) + refused.value.hint
        async with connect("sepolia", url, allow_public=True) as connection:
            assert not connection.is_local
            with pytest.raises(PublicNetworkError):
                await connection.devnet_rpc("devnet_getPredeployedAccounts")


@pytest.mark.parametrize("answer", [None, "devnet"])
async def test_a_devnet_that_does_not_say_so_is_not_taken_for_a_public_node(answer: object) -> None:
    """What it lacks is an answer, not somebody's consent to a public network."""
    async with node(DEVNET | {"devnet_getConfig": answer}) as url:
        with pytest.raises(NetworkError, match="whether it is a devnet"):
            async with connect("devnet", url):
                pass


async def test_a_node_that_breaks_off_is_not_taken_for_a_public_one() -> None:
    async def breaks_off(request: web.Request) -> web.StreamResponse:
        method = (await request.json())["method"]
        if method == "devnet_getConfig":
            return web.Response(status=502, text="Bad gateway")
        return web.json_response({"jsonrpc": "2.0", "id": 1, "result": DEVNET[method]})

    async with node(breaks_off) as url:
        with pytest.raises(NetworkError, match="No node answers"):
            async with connect("devnet", url):
                pass


async def test_a_public_network_is_refused_before_anything_is_sent() -> None:
    """The name cannot be resolved: were it asked, the error would be another."""
    for name in ("devnet", "sepolia", "mainnet"):
        with pytest.raises(PublicNetworkError):
            async with connect(name, f"https://node.invalid/{SECRET}"):
                pass


async def test_the_wrong_chain_is_refused() -> None:
    async with node(PUBLIC) as url:
        with pytest.raises(NetworkError, match="on SN_SEPOLIA, not on SN_MAIN") as refused:
            async with connect("mainnet", url, allow_public=True):
                pass
        assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("version", "good"),
    [
        ("0.10.2", True),
        ("0.10.0", True),
        ("0.10.9", True),
        ("0.9.0", False),
        ("0.11.0", False),
        (None, False),
    ],
)
async def test_the_protocol_version_must_be_compatible(version: str | None, good: bool) -> None:
    async with node(DEVNET | {"starknet_specVersion": version}) as url:
        with warnings.catch_warnings():
            # starknet-py's own warning would show the URL.
            warnings.simplefilter("error")
            if good:
                async with connect("devnet", url) as connection:
                    assert int(await connection.client.get_chain_id(), 16) == connection.chain_id
            else:
                with pytest.raises(NetworkError, match="JSON-RPC") as refused:
                    async with connect("devnet", url):
                        pass
                assert SECRET not in str(refused.value)


async def _html(request: web.Request) -> web.Response:
    return web.Response(text=f"<html>{request.url}</html>")


async def _error_page(request: web.Request) -> web.Response:
    return web.Response(status=502, text="Bad gateway")


async def _list(request: web.Request) -> web.Response:
    return web.json_response([1, 2])


@pytest.mark.parametrize("answer", [_html, _error_page, _list])
async def test_nonsense_is_a_network_error(answer: Answer) -> None:
    async with node(answer) as url:
        with pytest.raises(NetworkError) as failed:
            async with connect("devnet", url):
                pass
        assert failed.value.__cause__ is None
        assert failed.value.__context__ is None
        assert SECRET not in str(failed.value)


async def test_silence_is_a_network_error() -> None:
    async with node(DEVNET) as url:
        pass
    with pytest.raises(NetworkError, match=r"No node answers at http://127\.0\.0\.1:\d+ ") as failed:
        async with connect("devnet", url):
            pass
    assert failed.value.__context__ is None
    assert "medsync devnet up" in failed.value.hint


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/rpc", "127.0.0.1:5050", "ws://127.0.0.1:5050/ws", "http//x"]
)
async def test_an_unusable_url_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        async with connect("devnet", url):
            pass


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:5050/rpc", True),
        ("http://127.8.9.1/rpc", True),
        ("http://[::1]:5050/rpc", True),
        ("http://localhost:5050", True),
        ("http://LOCALHOST", True),
        ("http://user@localhost", True),
        ("http://localhost@example.org/", False),
        ("http://127.0.0.1.example.org/", False),
        ("http://localhost.example.org/", False),
        ("http://0.0.0.0:5050/", False),
        ("http://10.0.0.1/", False),
        ("https://127.0.0.1@example.org/127.0.0.1", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_loopback(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            f"https://user:{SECRET}@node.example:8443/v2/{SECRET}?key={SECRET}#{SECRET}",
            "https://node.example:8443",
        ),
        (f"http://[::1]:5050/{SECRET}", "http://[::1]:5050"),
        (f"https://node.example:{SECRET}/", "(malformed URL)"),
        (f"https:{SECRET}", "(malformed URL)"),
        (f"http://[{SECRET}", "(malformed URL)"),
    ],
)
def test_only_the_host_is_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_the_url_is_the_given_one_or_the_environments_or_the_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert node_url("devnet") == "http://127.0.0.1:5050/rpc"
    monkeypatch.setenv(network.DEVNET_URL_VARIABLE, "http://127.0.0.1:6060/")
    assert node_url("devnet") == "http://127.0.0.1:6060/rpc"
    with pytest.raises(InputError, match="no node for sepolia"):
        node_url("sepolia")
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:7070/rpc")
    assert node_url("devnet") == "http://127.0.0.1:6060/rpc"
    assert node_url("sepolia") == "http://127.0.0.1:7070/rpc"
    assert node_url("sepolia", "http://127.0.0.1:8080") == "http://127.0.0.1:8080"
    with pytest.raises(InputError, match="'goerli' is no network"):
        node_url("goerli")

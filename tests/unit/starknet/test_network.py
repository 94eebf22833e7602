"""A node is checked before it is used, a public one never by accident, and no URL is shown whole."""

import logging
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from medsync.errors import ExitCode, InputError, NetworkError, PublicNetworkError, VerificationError
from medsync.protocol.felt import encode_short_string
from medsync.starknet import network
from medsync.starknet.network import URL_VARIABLE, connect, is_loopback, node_urls
from medsync.starknet.rpc import newest_block
from medsync.starknet.transport import NodeFailure, shown_url

SECRET = "5ecr3tK3y"

DEVNET = {
    "starknet_specVersion": network.RPC_VERSION,
    "starknet_chainId": hex(encode_short_string("SN_SEPOLIA")),
    "devnet_getConfig": {"seed": 1},
}
PUBLIC = {name: answer for name, answer in DEVNET.items() if not name.startswith("devnet_")}

Answer = Callable[[web.Request], Any]


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


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
        with pytest.raises(NetworkError, match="HTTP 502"):
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
                assert "/rpc/v0_10" in refused.value.hint


async def _html(request: web.Request) -> web.Response:
    return web.Response(text=f"<html>{request.url}</html>")


async def _error_page(request: web.Request) -> web.Response:
    return web.Response(status=502, text="Bad gateway")


async def _list(request: web.Request) -> web.Response:
    return web.json_response([1, 2])


def _status(status: int) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=f"<html>{request.url}</html>", content_type="text/html")

    return answer


async def _text(request: web.Request) -> web.Response:
    return web.Response(text=f"refused: {request.url}")


async def _not_json_rpc(request: web.Request) -> web.Response:
    return web.json_response({"message": f"no such route: {request.url}"})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_html, "not JSON"),
        (_text, "not JSON"),
        (_list, "not JSON-RPC"),
        (_not_json_rpc, "not JSON-RPC"),
        (_status(200), "an HTML page"),
        (_status(401), r"requires a valid API key \(HTTP 401\)"),
        (_status(403), r"denies access \(HTTP 403\)"),
        (_status(404), r"no JSON-RPC at this path \(HTTP 404\)"),
        (_status(418), r"does not answer properly \(HTTP 418\)"),
        (_status(429), r"limits requests \(HTTP 429\)"),
        (_error_page, r"out of order \(HTTP 502\)"),
        (_status(599), r"out of order \(HTTP 599\)"),
    ],
)
async def test_what_is_no_answer_is_named_and_not_quoted(
    answer: Answer, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medsync.starknet.transport.PAUSES", ())
    async with node(answer) as url:
        with pytest.raises(NetworkError, match=reason) as failed:
            async with connect("devnet", url):
                pass
        assert "devnet up" not in failed.value.hint
        for error in causes(failed.value):
            assert SECRET not in repr(error)
            assert "<html>" not in repr(error)


async def test_silence_is_a_network_error() -> None:
    async with node(DEVNET) as url:
        pass
    for name in ("devnet", "sepolia"):
        with pytest.raises(NetworkError, match=r"No node answers at http://127\.0\.0\.1:\d+: ") as failed:
            async with connect(name, url):
                pass
        assert ("medsync devnet up" in failed.value.hint) == (name == "devnet")
        assert all(SECRET not in repr(error) for error in causes(failed.value))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("foo", "'foo' is not"),
        ("127.0.0.1:5050", "'127.0.0.1:5050' is not"),
        ("localhost:5050", "'localhost:5050' is not"),
        ("ftp://127.0.0.1/rpc", "ftp://127.0.0.1 is not"),
        ("ws://127.0.0.1:5050/ws", "ws://127.0.0.1:5050 is not"),
        ("http//x", "may hold a key"),
        ("http://", "malformed URL"),
        (SECRET, "may hold a key"),
        (f"https:{SECRET}", "may hold a key"),
        (f"node.example/{SECRET}", "may hold a key"),
        (f"http://127.0.0.1:5050/rpc ftp://node.example/{SECRET}", "ftp://node.example is not"),
    ],
)
async def test_what_is_not_a_url_is_named_unless_it_may_be_a_key(url: str, shown: str) -> None:
    with pytest.raises(InputError, match="must be an http or https URL") as refused:
        async with connect("devnet", url):
            pass
    assert shown in str(refused.value)
    assert SECRET not in str(refused.value)


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
    assert node_urls("devnet") == ["http://127.0.0.1:5050/rpc"]
    monkeypatch.setenv(network.DEVNET_URL_VARIABLE, "http://127.0.0.1:6060/")
    assert node_urls("devnet") == ["http://127.0.0.1:6060/rpc"]
    with pytest.raises(InputError, match="no node for sepolia"):
        node_urls("sepolia")
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:7070/rpc")
    assert node_urls("devnet") == ["http://127.0.0.1:6060/rpc"]
    assert node_urls("sepolia") == ["http://127.0.0.1:7070/rpc"]
    assert node_urls("sepolia", "http://127.0.0.1:8080") == ["http://127.0.0.1:8080"]
    with pytest.raises(InputError, match="'goerli' is not a known network"):
        node_urls("goerli")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (",", "contains no URL"),
        ("localhost:5050", "it does not begin with http:// or https://"),
        ("ftp://localhost", "it does not begin with http:// or https://"),
        ("http://", "it names no host"),
        ("http://localhost:0", "no node listens on port 0"),
        ("http://localhost:99999", "its host or its port is malformed"),
        ("http://[::1", "its host or its port is malformed"),
    ],
)
def test_a_malformed_url_is_refused_with_its_place_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, text: str, fault: str
) -> None:
    monkeypatch.setenv(URL_VARIABLE, text)
    for urls, name in ((text, "The node's URL"), (None, URL_VARIABLE)):
        with pytest.raises(InputError) as refused:
            node_urls("sepolia", urls)
        assert refused.value.message.startswith(f"{name} ")
        assert fault in refused.value.message
        assert refused.value.hint


@pytest.mark.parametrize("separator", [",", " ", "\n", " , ", ",,"])
def test_several_urls_are_separated_by_commas_or_spaces(separator: str) -> None:
    first, second = "http://127.0.0.1:1/rpc", "http://127.0.0.1:2/rpc"
    assert node_urls("devnet", f" {first}{separator}{second}{separator}{first} ") == [first, second]


# --- several nodes ------------------------------------------------------------------------------------------


def height(number: int, block_hash: int = 0xB10C) -> dict[str, Any]:
    """What a node answers that has so many blocks, with that hash for the one that is asked for."""
    block = {"block_hash": hex(block_hash), "block_number": number, "timestamp": 1}
    return {"starknet_blockNumber": number, "starknet_getBlockWithTxHashes": block}


@asynccontextmanager
async def nodes(*answers: dict[str, Any] | Answer) -> AsyncIterator[list[str]]:
    """The URLs of several nodes."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(node(answer)) for answer in answers]


async def test_several_nodes_that_agree_are_used_in_their_order() -> None:
    async with (
        nodes(DEVNET | height(9), DEVNET | height(8)) as urls,
        connect("devnet", ",".join(urls)) as connection,
    ):
        assert connection.client._client.urls == tuple(urls)  # type: ignore[attr-defined]
        assert connection.shown_url == shown_url(urls[0])
        assert connection.is_local


async def test_nodes_that_disagree_on_a_block_are_both_named() -> None:
    async with nodes(DEVNET | height(9), DEVNET | height(8, 0xBAD)) as urls:
        with pytest.raises(VerificationError, match="disagree on block 8") as refused:
            async with connect("devnet", " ".join(urls)):
                pass
    assert refused.value.exit_code is ExitCode.NOT_VERIFIED
    for url, block_hash in zip(urls, ("0xb10c", "0xbad"), strict=True):
        assert f"{shown_url(url)} has the hash {block_hash}" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("number", "distance"),
    [(10, "990 blocks behind"), (949, "51 blocks behind"), (1_051, "51 blocks ahead of")],
)
async def test_a_node_that_is_far_from_most_nodes_is_left_out(
    number: int, distance: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its hash is not even compared. A false height leaves out only the node that claims it."""
    alone, most = DEVNET | height(number, 0xBAD), DEVNET | height(1_000)
    async with nodes(alone, most, most) as urls:
        with caplog.at_level(logging.WARNING, "medsync"):
            async with connect("devnet", ",".join(urls)) as connection:
                assert connection.client._client.urls == tuple(urls[1:])  # type: ignore[attr-defined]
    assert f"{shown_url(urls[0])} is {distance} most nodes" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("numbers", [(949, 1_000), (1_000, 949), (10, 10, 1_000, 1_000), (10, 500, 1_000)])
async def test_nodes_of_which_too_few_are_at_one_height_are_refused(numbers: tuple[int, ...]) -> None:
    """Half of the nodes could be false: neither half is believed."""
    async with nodes(*(DEVNET | height(number) for number in numbers)) as urls:
        with pytest.raises(VerificationError, match="too few of them are at the same height") as refused:
            async with connect("devnet", ",".join(urls)):
                pass
    assert refused.value.exit_code is ExitCode.NOT_VERIFIED
    assert refused.value.findings == [
        f"{shown_url(url)} is at block {number}" for url, number in zip(urls, numbers, strict=True)
    ]
    assert "name other nodes" in refused.value.hint


@pytest.mark.parametrize("number", [950, 1_050])
async def test_nodes_that_are_a_few_blocks_apart_are_compared(number: int) -> None:
    async with (
        nodes(DEVNET | height(1_000), DEVNET | height(number)) as urls,
        connect("devnet", ",".join(urls)) as connection,
    ):
        assert connection.client._client.urls == tuple(urls)  # type: ignore[attr-defined]


async def test_a_node_that_does_not_answer_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    async with nodes(_status(503), DEVNET | height(9), DEVNET | height(9)) as urls:
        with caplog.at_level(logging.WARNING, "medsync"):
            async with connect("devnet", ",".join(urls)) as connection:
                assert connection.client.url == urls[1]
    assert "HTTP 503" in caplog.text
    assert SECRET not in caplog.text


async def test_one_node_that_answers_of_several_is_not_believed() -> None:
    """Several were named so that they can be compared."""
    async with nodes(_status(503), DEVNET | height(9)) as urls:
        with pytest.raises(VerificationError, match="Only one of 2 nodes answers") as refused:
            async with connect("devnet", ",".join(urls)):
                pass
    assert refused.value.exit_code is ExitCode.NOT_VERIFIED
    assert f"{shown_url(urls[0])} failed" in str(refused.value)
    assert "name one node alone" in refused.value.hint
    assert SECRET not in str(refused.value)


async def test_each_node_is_asked_alone_where_nodes_are_compared() -> None:
    """One that fails is not replaced by another, which would then be compared with itself."""
    alive = True

    async def fails_later(request: web.Request) -> web.StreamResponse:
        answers = DEVNET | height(9)
        if not alive:
            return web.Response(status=503)
        return web.json_response(
            {"jsonrpc": "2.0", "id": 1, "result": answers[(await request.json())["method"]]}
        )

    async with (
        nodes(fails_later, DEVNET | height(9)) as urls,
        connect("devnet", ",".join(urls)) as connection,
    ):
        assert [node.url for node in connection.nodes] == urls
        alive = False
        assert await connection.client.get_block_number() == 9
        first, second = connection.nodes
        assert await second.get_block_number() == 9
        with pytest.raises(NodeFailure, match="HTTP 503"):
            await first.get_block_number()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"starknet_specVersion": "0.9.0"}, r"speaks JSON-RPC 0\.9\.0"),
        ({"starknet_chainId": hex(encode_short_string("SN_MAIN"))}, "is on SN_MAIN"),
    ],
)
async def test_one_wrong_node_of_several_is_refused(wrong: dict[str, Any], reason: str) -> None:
    async with nodes(PUBLIC | height(9), PUBLIC | height(9) | wrong) as urls:
        with pytest.raises(NetworkError, match=reason):
            async with connect("sepolia", ",".join(urls), allow_public=True):
                pass


async def test_one_public_node_of_several_must_be_allowed() -> None:
    async with nodes(DEVNET | height(9), PUBLIC | height(9)) as urls:
        with pytest.raises(PublicNetworkError):
            async with connect("devnet", ",".join(urls)):
                pass
        with pytest.raises(PublicNetworkError):
            async with connect("devnet", f"{urls[0]},https://node.invalid"):
                pass
        async with connect("devnet", ",".join(urls), allow_public=True) as connection:
            assert not connection.is_local


async def test_nodes_whose_heads_make_no_sense_are_refused() -> None:
    for wrong in ({"starknet_blockNumber": "9"}, {"starknet_getBlockWithTxHashes": {}}):
        async with nodes(DEVNET | height(9), DEVNET | height(9) | wrong) as urls:
            with pytest.raises(NetworkError, match="does not"):
                async with connect("devnet", ",".join(urls)):
                    pass


async def test_the_newest_block_says_height_and_time() -> None:
    """Which both must be possible."""

    class Node:
        def __init__(self, number: object, timestamp: object) -> None:
            self.block_number, self.timestamp = number, timestamp

        async def get_block_with_tx_hashes(self, block_number: str) -> Any:
            assert block_number == "latest"
            return self

    newest = await newest_block(Node(7, 1_700_000_000))  # type: ignore[arg-type]
    assert (newest.number, newest.timestamp) == (7, 1_700_000_000)
    for number, timestamp in ((-1, 1), (2**64, 1), (None, 1), (7, -1), (7, 2**40), (7, None)):
        with pytest.raises(NetworkError, match="newest block"):
            await newest_block(Node(number, timestamp))  # type: ignore[arg-type]

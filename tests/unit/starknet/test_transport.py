"""Several nodes stand in for one another where that is safe, and a limit of requests is waited for."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from starknet_py.net.client_errors import ClientError

from medsync.starknet import transport
from medsync.starknet.transport import NodeFailure, Transport

SECRET = "5ecr3tK3y-of-some-length"
SUBMIT = "starknet_addInvokeTransaction"
STATUS = "starknet_getTransactionStatus"
EVENTS = "starknet_getEvents"
NOT_FOUND = {"code": 29, "message": "Transaction hash not found"}
INTERNAL = {"code": -32603, "message": "Internal error"}


@dataclass
class Node:
    """A node that gives these answers, one after the other, and the last one for ever."""

    #: What a request meets: an HTTP status, an error, or else a result.
    answers: list[Any]
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        question = await request.json()
        self.asked.append(question["params"])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "hang up":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if isinstance(answer, int) and answer >= 300:
            return web.Response(status=answer, text=f"{request.url}", headers=self.headers)
        kind = "error" if isinstance(answer, dict) and "code" in answer else "result"
        return web.json_response({"jsonrpc": "2.0", "id": 0, kind: answer})


class Absent(Node):
    """Nothing listens where it should be."""


@asynccontextmanager
async def transport_to(*nodes: Node) -> AsyncIterator[Transport]:
    servers = []
    for node in nodes:
        app = web.Application()
        app.router.add_post("/{tail:.*}", node.handle)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        node.url = f"http://127.0.0.1:{server.port}/{SECRET}"
        if isinstance(node, Absent):
            await server.close()
    try:
        async with aiohttp.ClientSession() as session:
            yield Transport([node.url for node in nodes], session)
    finally:
        for server in servers:
            await server.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the transport would have waited, without waiting."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(transport, "sleep", sleep)
    return waited


# --- standing in for one another ----------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [502, 429, 401, 404, "hang up", INTERNAL])
async def test_a_read_goes_to_the_next_node_and_stays_there(
    trouble: Any, caplog: pytest.LogCaptureFixture, waits: list[float]
) -> None:
    first, second = Node([trouble, "never asked again"]), Node(["right"])
    async with transport_to(first, second) as nodes:
        with caplog.at_level(logging.DEBUG, "medsync"):
            assert await nodes.call("blockNumber") == "right"
            assert await nodes.call("blockNumber") == "right"
    assert (len(first.asked), len(second.asked)) == (1, 2)
    assert SECRET not in caplog.text
    assert not waits


async def test_a_read_goes_on_where_nothing_listens() -> None:
    async with transport_to(Absent(["never"]), Node(["right"])) as nodes:
        assert await nodes.call("blockNumber") == "right"


async def test_a_silent_node_is_left_for_the_next() -> None:
    class Silent(Node):
        async def handle(self, request: web.Request) -> web.StreamResponse:
            await ended.wait()
            return web.Response()

    ended = asyncio.Event()
    async with transport_to(Silent([0]), Node(["right"])) as nodes:
        impatient = aiohttp.ClientTimeout(total=0.2)
        async with aiohttp.ClientSession(timeout=impatient) as nodes.session:
            assert await nodes.call("blockNumber") == "right"
        ended.set()


async def test_a_nodes_answer_is_not_put_to_the_vote() -> None:
    """What the protocol calls an error is an answer."""
    first, second = Node([{"code": 20, "message": "Contract not found"}]), Node(["right"])
    async with transport_to(first, second) as nodes:
        with pytest.raises(ClientError) as refused:
            await nodes.call("call")
    assert refused.value.code == 20  # type: ignore[comparison-overlap]
    assert not second.asked


async def test_when_all_fail_the_last_failure_is_the_error(waits: list[float]) -> None:
    async with transport_to(Node([429]), Node([503])) as nodes:
        with pytest.raises(NodeFailure, match="HTTP 503") as failed:
            await nodes.call("blockNumber")
    assert failed.value.__context__ is None
    assert SECRET not in repr(failed.value)


# --- transactions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [502, 504, "hang up", INTERNAL])
async def test_a_transaction_that_may_have_arrived_goes_to_no_other_node(trouble: Any) -> None:
    """The other's refusal would say nothing about the copy that may have arrived."""
    first, second = Node([trouble]), Node(["taken"])
    async with transport_to(first, second) as nodes:
        with pytest.raises((NodeFailure, ClientError)):
            await nodes.ask(SUBMIT, {})
    assert (len(first.asked), len(second.asked)) == (1, 0)


async def test_a_transaction_goes_on_where_no_connection_could_be_made() -> None:
    second = Node(["taken"])
    async with transport_to(Absent(["never"]), second) as nodes:
        assert await nodes.ask(SUBMIT, {"invoke_transaction": {"nonce": "0x1"}}) == "taken"
    assert second.asked == [{"invoke_transaction": {"nonce": "0x1"}}]


async def test_a_transaction_is_known_if_any_node_knows_it() -> None:
    first, second = Node([NOT_FOUND]), Node(["RECEIVED"])
    async with transport_to(first, second) as nodes:
        assert await nodes.ask(STATUS, {}) == "RECEIVED"


async def test_a_transaction_is_unknown_only_if_every_node_says_so() -> None:
    async with transport_to(Node([NOT_FOUND]), Node([NOT_FOUND])) as nodes:
        with pytest.raises(ClientError) as refused:
            await nodes.ask(STATUS, {})
        assert refused.value.code == 29  # type: ignore[comparison-overlap]
    for order in ([NOT_FOUND], [503]), ([503], [NOT_FOUND]):
        async with transport_to(*map(Node, order)) as nodes:
            with pytest.raises(NodeFailure, match="HTTP 503"):
                await nodes.ask(STATUS, {})


# --- pages of events ----------------------------------------------------------------------------------------


async def test_a_page_is_asked_for_where_its_token_comes_from() -> None:
    """Another node would read the token differently, and skip events or repeat them."""
    first = Node(
        [{"events": [1], "continuation_token": "7"}, {"events": [2], "continuation_token": "8"}, 503]
    )
    second = Node([{"events": [9]}])
    async with transport_to(first, second) as nodes:
        page = await nodes.ask(EVENTS, {"filter": {"chunk_size": 1}})
        assert page["events"] == [1]
        nodes.url = second.url
        following = {"chunk_size": 1, "continuation_token": page["continuation_token"]}
        page = await nodes.ask(EVENTS, {"filter": following})
        assert page["events"] == [2]
        assert first.asked[-1] == {"filter": {"chunk_size": 1, "continuation_token": "7"}}
        following["continuation_token"] = page["continuation_token"]
        with pytest.raises(NodeFailure, match="HTTP 503"):
            await nodes.ask(EVENTS, {"filter": following})
        assert not second.asked
        assert await nodes.ask(EVENTS, {"filter": {"chunk_size": 1}}) == {"events": [9]}


async def test_a_single_nodes_tokens_are_left_as_they_are() -> None:
    page = {"events": [], "continuation_token": "7"}
    async with transport_to(Node([page])) as nodes:
        assert await nodes.ask(EVENTS, {"filter": {}}) == page


# --- limits of requests -------------------------------------------------------------------------------------


async def test_a_limit_is_waited_for(waits: list[float]) -> None:
    node = Node([429, 429, "right"])
    async with transport_to(node) as nodes:
        assert await nodes.call("blockNumber") == "right"
    assert waits == list(transport.PAUSES[:2])


async def test_a_limit_is_not_waited_for_without_end(waits: list[float]) -> None:
    node = Node([429])
    async with transport_to(node) as nodes:
        with pytest.raises(NodeFailure, match=r"the node limits requests \(HTTP 429\)") as failed:
            await nodes.call("blockNumber")
    assert waits == list(transport.PAUSES)
    assert len(node.asked) == len(transport.PAUSES) + 1
    assert failed.value.hint


async def test_a_transaction_is_handed_over_again_after_a_limit(waits: list[float]) -> None:
    """To the same node: it is the same transaction, with the same hash."""
    node = Node([429, "taken"])
    async with transport_to(node) as nodes:
        assert await nodes.ask(SUBMIT, {"nonce": "0x1"}) == "taken"
    assert node.asked == [{"nonce": "0x1"}] * 2


Header = Callable[[], str]


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        (lambda: "2", 2, 2),
        (lambda: "0", 0, 0),
        (lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True), 10, 20),
        (lambda: format_datetime(datetime.now(UTC) - timedelta(seconds=20), usegmt=True), 0, 0),
        (lambda: "soon", transport.PAUSES[0], transport.PAUSES[0]),
        (lambda: "-1", transport.PAUSES[0], transport.PAUSES[0]),
    ],
)
async def test_the_node_says_how_long_to_wait(
    waits: list[float], header: Header, least: float, most: float
) -> None:
    node = Node([429, "right"], {"Retry-After": header()})
    async with transport_to(node) as nodes:
        assert await nodes.call("blockNumber") == "right"
    (waited,) = waits
    assert least <= waited <= most


async def test_too_long_a_wait_is_an_error_at_once(waits: list[float]) -> None:
    node = Node([429], {"Retry-After": str(int(transport.LONGEST_PAUSE) + 1)})
    async with transport_to(node) as nodes:
        with pytest.raises(NodeFailure, match="HTTP 429"):
            await nodes.call("blockNumber")
    assert not waits
    assert len(node.asked) == 1


# --- secrets ------------------------------------------------------------------------------------------------


async def test_what_a_node_says_of_its_url_is_left_out() -> None:
    error = {"code": 40, "message": f"bad key {SECRET}", "data": {"inner": f"{SECRET}!", "other": 7}}
    async with transport_to(Node([error])) as nodes:
        with pytest.raises(ClientError) as refused:
            await nodes.call("call")
    assert SECRET not in str(refused.value)
    assert refused.value.data == {"inner": "…!", "other": 7}  # type: ignore[comparison-overlap]


async def test_a_host_that_is_not_known_is_named_as_that() -> None:
    async with aiohttp.ClientSession() as session:
        nodes = Transport([f"http://node.invalid/{SECRET}"], session)
        asking: Coroutine[Any, Any, Any] = nodes.call("blockNumber")
        with pytest.raises(NodeFailure, match="host name is unknown") as failed:
            await asking
    assert not failed.value.connected
    assert failed.value.__context__ is None

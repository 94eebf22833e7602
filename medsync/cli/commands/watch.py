"""`medsync watch`: the contracts' events as they happen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer
from starknet_py.net.client_models import EmittedEvent
from starknet_py.net.full_node_client import FullNodeClient
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from medsync.cli import output
from medsync.cli.command import command
from medsync.cli.context import Context
from medsync.errors import MedSyncError, NetworkError
from medsync.log.fetch import fetch_raw, position
from medsync.protocol.events import Event, decode_event, event_name
from medsync.starknet.rpc import newest_block

#: Seconds between two looks at a node that does not tell by itself.
POLL_INTERVAL: Final = 2.0


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    command(app, "watch")(watch)


async def watch(
    context: Context,
    from_block: Annotated[
        int | None, typer.Option(help="Begin with this block's events, not with the next ones.", min=0)
    ] = None,
    count: Annotated[int | None, typer.Option(help="End after so many events.", min=1)] = None,
    patience: Annotated[
        float | None, typer.Option("--timeout", help="End after so many seconds.", min=0.1)
    ] = None,
    poll: Annotated[bool, typer.Option("--poll", help="Ask again and again instead of subscribing.")] = False,
    websocket: Annotated[
        str | None, typer.Option("--ws-url", help="Where the node's WebSocket is, if not guessed.")
    ] = None,
) -> None:
    """Print the contracts' events as they happen, one line each; with --json one JSON object each.

    It subscribes over the node's WebSocket, and asks every two seconds where there is none, saying why. It
    ends with --count, --timeout (exit code 1 if --count was not reached) or Ctrl-C.
    """
    record, connection = await context.record(), await context.connection()
    contracts = {record.medsync: "MedSync", record.reward_pool: "RewardPool"}
    if record.private_anchor is not None:
        contracts[record.private_anchor] = "PrivateAnchor"
    source = _Source(context, contracts, connection.client)
    url = None if poll else websocket or ws_url(connection.client.url)
    seen = 0
    try:
        async with asyncio.timeout(patience):
            async for event in source.events(url, from_block):
                seen += 1
                output.show_line(_line(event), as_json=context.options.json)
                if seen == count:
                    return
    except TimeoutError:
        if count is not None:
            raise MedSyncError(f"Events within {patience:g} s: only {seen} of {count}.") from None


class _Source:
    """Events from a node: each once, in the chain's order."""

    def __init__(self, context: Context, contracts: dict[int, str], client: FullNodeClient) -> None:
        self._context = context
        self._contracts = contracts
        self._client = client
        #: Nothing before this block is reported.
        self._first = 0
        #: The last reported block, where the next request begins.
        self._block = 0
        #: What was reported of that block and the previous one, by position.
        self._reported: set[tuple[int, int, int]] = set()

    async def events(self, url: str | None, from_block: int | None) -> AsyncIterator[Event]:
        """What happens from a block on, by default the next; over a WebSocket at `url` if possible."""
        newest = (await newest_block(self._client)).number
        self._first = self._block = newest + 1 if from_block is None else from_block
        if url is not None:
            try:
                async for event in self._subscribed(url):
                    yield event
            except NetworkError as error:
                self._context.say(f"{error.message} Asking every {POLL_INTERVAL:g} s instead.")
        while True:
            async for event in self._page():
                yield event
            await asyncio.sleep(POLL_INTERVAL)

    async def _subscribed(self, url: str) -> AsyncIterator[Event]:
        addresses = [hex(address) for address in self._contracts]
        request = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "starknet_subscribeEvents",
            "params": {"from_address": addresses},
        }
        try:
            async with connect(url) as socket:
                await socket.send(json.dumps(request))
                async for text in socket:
                    async for event in self._events_in(json.loads(text)):
                        yield event
        except (OSError, WebSocketException, ValueError, KeyError, TypeError) as error:
            raise NetworkError(f"The node's WebSocket is of no use ({type(error).__name__}).") from None
        raise NetworkError("The node closed its WebSocket.")

    async def _events_in(self, message: dict[str, Any]) -> AsyncIterator[Event]:
        """The events that a message of the node's brings."""
        if "error" in message:
            raise NetworkError(f"The node takes no subscription: {message['error']['message']}.")
        if message.get("id") == 1:
            # Subscribed. What happened before is asked for only now, so that nothing falls in between.
            async for event in self._page():
                yield event
        elif message["method"] == "starknet_subscriptionReorg":
            self._context.say("The node went back on some blocks: their events may come again.")
            self._first = self._block = int(message["params"]["result"]["starting_block_number"])
            self._reported.clear()
        elif message["method"] == "starknet_subscriptionEvents":
            for event in self._new([_emitted(message["params"]["result"])]):
                yield event

    async def _page(self) -> AsyncIterator[Event]:
        """What the node has from the last reported block on."""
        newest = (await newest_block(self._client)).number
        if newest < self._block:
            return
        found = [
            event
            for address in self._contracts
            for event in await fetch_raw(self._client, address, self._block, newest)
        ]
        for event in self._new(sorted(found, key=position)):
            yield event

    def _new(self, found: list[EmittedEvent]) -> Iterator[Event]:
        for event in found:
            place = position(event)
            if place in self._reported or place[0] < max(self._first, self._block - 1):
                continue
            if place[0] > self._block:
                self._reported = {reported for reported in self._reported if reported[0] >= self._block}
                self._block = place[0]
            self._reported.add(place)
            yield decode_event(event, self._contracts[event.from_address])


def _emitted(message: dict[str, Any]) -> EmittedEvent:
    return EmittedEvent(
        from_address=int(message["from_address"], 16),
        keys=[int(key, 16) for key in message["keys"]],
        data=[int(felt, 16) for felt in message["data"]],
        transaction_hash=int(message["transaction_hash"], 16),
        block_hash=int(message["block_hash"], 16),
        block_number=int(message["block_number"]),
        transaction_index=int(message["transaction_index"]),
        event_index=int(message["event_index"]),
    )


def _line(event: Event) -> dict[str, Any]:
    shown = output.members(event)
    where = {name: shown.pop(name, None) for name in ("block_number", "transaction_hash", "timestamp")}
    return {
        "event": event_name(event),
        **shown,
        "block": where["block_number"],
        "transaction": where["transaction_hash"],
    }


def ws_url(url: str) -> str:
    """Where a node's WebSocket is, as far as one can guess: devnet's own path, or the same as its RPC's."""
    parts = urlsplit(url)
    path = "/ws" if parts.path.rstrip("/") in ("", "/rpc") else parts.path
    return parts._replace(scheme=parts.scheme.replace("http", "ws", 1), path=path).geturl()

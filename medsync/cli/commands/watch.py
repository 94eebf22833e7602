"""`medsync watch`: the contracts' events as they happen."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import Annotated, Any, Final, TypeGuard
from urllib.parse import urlsplit

import typer
from starknet_py.net.client_models import EmittedEvent
from starknet_py.net.full_node_client import FullNodeClient
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from medsync.cli import output
from medsync.cli.command import command
from medsync.cli.context import Context
from medsync.cli.output import Hex, Time
from medsync.errors import MedSyncError, NetworkError
from medsync.log.fetch import fetch_raw, position
from medsync.log.replay import EMERGENCY_DELAY, JUSTIFY_WITHIN
from medsync.protocol.events import (
    AdminTransferBegun,
    CampaignCloseAnnounced,
    EmergencyJustified,
    EntityRegistered,
    EntityReinstated,
    Event,
    LogEntry,
    SuccessorAnnounced,
    decode_event,
    event_name,
)
from medsync.protocol.vocabulary import Decision, Role
from medsync.starknet.rpc import newest_block

#: Seconds between two looks at a node that does not tell by itself.
POLL_INTERVAL: Final = 2.0

#: Seconds for which an announced closing stays possible.
CLOSE_WINDOW: Final = 30 * 86_400

_SUCCESSOR: Final = (
    "a successor of this deployment is announced; never follow it on this word alone: anyone who stole the "
    "administrator's key could name anything"
)


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
    patient: Annotated[
        str | None, typer.Option("--patient", help="Leave out what concerns other patients only.")
    ] = None,
    poll: Annotated[bool, typer.Option("--poll", help="Ask again and again instead of subscribing.")] = False,
    websocket: Annotated[
        str | None, typer.Option("--ws-url", help="Where the node's WebSocket is, if not guessed.")
    ] = None,
) -> None:
    """Print the contracts' events as they happen, one line each; with --json one JSON object each.

    A line says with `warning` what asks for attention: a hospital that may soon break the glass, an emergency
    access that nobody justified within 72 hours, a campaign whose closing is announced, a hand-over of the
    administration, a successor of the deployment. What stands already is said at the beginning.

    It subscribes over the node's WebSocket, and asks every two seconds where there is none, saying why. It
    ends with --count, --timeout (exit code 1 if --count was not reached) or Ctrl-C.
    """
    record, connection = await context.record(), await context.connection()
    contracts = {record.medsync: "MedSync"} | {pool.address: "RewardPool" for pool in record.pools}
    if record.private_anchor is not None:
        contracts[record.private_anchor] = "PrivateAnchor"
    owner = await context.address(patient, "--patient") if patient else None
    warner = Warner(context, owner)
    source = _Source(context, contracts, connection.client)
    url = None if poll else websocket or ws_url(connection.client.url)
    seen = 0

    def show(line: Mapping[str, Any]) -> None:
        output.show_line(line, as_json=context.options.json)

    for line in await warner.standing():
        show(line)
    try:
        async with asyncio.timeout(patience), contextlib.aclosing(source.events(url, from_block)) as events:
            async for event in _or_none(events, POLL_INTERVAL):
                for line in warner.overdue(await context.now()):
                    show(line)
                if event is None or not warner.concerns(event):
                    continue
                seen += 1
                show(_line(event) | await warner.warning(event))
                if seen == count:
                    return
    except TimeoutError:
        if count is not None:
            raise MedSyncError(f"Events within {patience:g} s: only {seen} of {count}.") from None


async def _or_none(events: AsyncIterator[Event], interval: float) -> AsyncIterator[Event | None]:
    """The events, and None whenever for so many seconds there was none."""
    coming: asyncio.Future[Event] | None = None
    try:
        while True:
            if coming is None:
                coming = asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait([coming], timeout=interval)
            if done:
                event, coming = coming.result(), None
                yield event
            else:
                yield None
    finally:
        if coming is not None:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await coming


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

    async def events(self, url: str | None, from_block: int | None) -> AsyncGenerator[Event]:
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


class Warner:
    """Says what asks for attention. What happens to one patient alone concerns only who watches that one."""

    def __init__(self, context: Context, patient: int | None) -> None:
        self._context = context
        self._patient = patient
        #: Until when an emergency access can be justified, by patient, entry and hospital.
        self._unjustified: dict[tuple[int, int, int], int] = {}

    def concerns(self, event: Event) -> bool:
        """Whether an event is to be shown."""
        return self._patient is None or getattr(event, "patient", self._patient) == self._patient

    async def standing(self) -> list[dict[str, Any]]:
        """What asks for attention already: the registry is proven, the rest is what the node tells."""
        context, now = self._context, await self._context.now()
        medsync = await context.medsync()
        lines: list[dict[str, Any]] = []
        if successor := await medsync.successor():
            lines.append({"warning": _SUCCESSOR, "successor": Hex(successor)})
        for address in {event.entity for event in (await context.registry()).entries if _is_entry(event)}:
            entity = await medsync.entity(address)
            ready = entity.active_since + EMERGENCY_DELAY
            if entity.role is Role.HOSPITAL and not entity.suspended and now < ready:
                lines.append({"warning": _hospital(ready), "entity": Hex(address)})
        for event in await context.emergencies(self._patient):
            emergency = await medsync.emergency(event.patient, event.seq, event.accessor)
            if not emergency.justified:
                self._unjustified[event.patient, event.seq, event.accessor] = event.at + JUSTIFY_WITHIN
        lines += self.overdue(now)
        for pool, announced in await context.announced_closings():
            closes = announced.closing_at + CLOSE_WINDOW
            if now < closes and not await pool.accepts_consents(announced.campaign):
                lines.append({"warning": _closing(announced.closing_at), "campaign": Hex(announced.campaign)})
        return lines

    def overdue(self, now: int) -> list[dict[str, Any]]:
        """The emergency accesses that nobody justified in time; each is said once."""
        late = [key for key, until in self._unjustified.items() if now > until]
        lines = []
        for key in late:
            del self._unjustified[key]
            patient, entry, hospital = key
            lines.append(
                {
                    "warning": "nobody justified this emergency access within 72 hours; the patient can "
                    "contest it",
                    "patient": Hex(patient),
                    "accessor": Hex(hospital),
                    "emergency": entry,
                }
            )
        return lines

    async def warning(self, event: Event) -> dict[str, str]:
        """The warning that belongs to an event, if any."""
        match event:
            case LogEntry(decision=Decision.EMERGENCY):
                until = event.at + JUSTIFY_WITHIN
                self._unjustified[event.patient, event.seq, event.accessor] = until
                return {"warning": f"the glass was broken; the hospital must justify it until {_time(until)}"}
            case EmergencyJustified():
                self._unjustified.pop((event.patient, event.emergency, event.accessor), None)
                return {}
            case EntityRegistered(role=Role.HOSPITAL):
                return {"warning": _hospital(event.at + EMERGENCY_DELAY)}
            case EntityReinstated():
                entity = await (await self._context.medsync()).entity(event.entity)
                if entity.role is not Role.HOSPITAL:
                    return {}
                return {"warning": _hospital(event.at + EMERGENCY_DELAY)}
            case CampaignCloseAnnounced():
                return {"warning": _closing(event.closing_at)}
            case AdminTransferBegun():
                return {"warning": f"another administrator can take over from {_time(event.ready_at)}"}
            case SuccessorAnnounced() if event.successor:
                return {"warning": _SUCCESSOR}
        return {}


def _is_entry(event: Event) -> TypeGuard[EntityRegistered | EntityReinstated]:
    return isinstance(event, EntityRegistered | EntityReinstated)


def _hospital(ready: int) -> str:
    return f"this hospital may break the glass from {_time(ready)}; a patient can forbid it"


def _closing(closing_at: int) -> str:
    return f"its funder can close this campaign from {_time(closing_at)}; settle what it owes"


def _time(seconds: int) -> str:
    return output.shown(Time(seconds))


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

"""A proxy in front of a node that breaks what it is told to break: connections, answers, pages of events.

Faults are planned by method and number, not by time, so that a run can be repeated.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

SUBMISSIONS: Final = ("starknet_addInvokeTransaction", "starknet_addDeclareTransaction")
EVENTS: Final = "starknet_getEvents"

#: What a node that lags behind answers as it was: everything but what it knows of single transactions.
STALE: Final = (
    "starknet_blockNumber",
    "starknet_call",
    "starknet_getBlockWithTxHashes",
    "starknet_getEvents",
    "starknet_getNonce",
)

#: Seconds an answer comes late by, so that others overtake it.
DELAY: Final = 0.02

#: Part of the node's URL, so that an error page may quote it.
SECRET: Final = "5ecr3tK3y"

PAGE: Final = f"<html><body>Bad gateway: /v2/{SECRET}</body></html>".encode()


class HangUp(Exception):
    """Close the connection without another word."""


@dataclass
class Exchange:
    """One request, on its way through the proxy."""

    proxy: Proxy
    body: bytes
    #: Blocks until the client has had enough.
    wait_for_client: Callable[[], None]
    #: How many requests overtake it if it is held back; else which page or event a fault happens to.
    at: int = 0

    def __post_init__(self) -> None:
        self.request: dict[str, Any] = json.loads(self.body)
        self.method: str = self.request["method"]
        self.key = (self.method, json.dumps(self.request.get("params"), sort_keys=True))

    def forward(self) -> bytes:
        """Have the node answer."""
        return self.proxy.ask(self.body)

    def ask(self, **params: Any) -> Any:
        """The node's result for the same method with other parameters."""
        return json.loads(self.proxy.ask(json.dumps({**self.request, "params": params}).encode()))["result"]


@dataclass(frozen=True)
class Answer:
    """What the client gets to see. `length` is what is announced, if it is not the truth."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    length: int | None = None


Act = Callable[[Exchange], Answer]


# --- faults of any request ----------------------------------------------------------------------------------


def _cut_before(exchange: Exchange) -> Answer:
    raise HangUp


def _cut_after(exchange: Exchange) -> Answer:
    exchange.forward()
    raise HangUp


def _silent(exchange: Exchange) -> Answer:
    exchange.forward()
    exchange.wait_for_client()
    raise HangUp


def _late(exchange: Exchange) -> Answer:
    exchange.proxy.hold_back(exchange.body, exchange.at)
    raise HangUp


def _interrupt(*, after: bool) -> Act:
    def act(exchange: Exchange) -> Answer:
        if after:
            exchange.forward()
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        exchange.wait_for_client()
        raise HangUp

    return act


def _delay(exchange: Exchange) -> Answer:
    answer = exchange.forward()
    threading.Event().wait(DELAY)
    return Answer(answer)


def _truncate(exchange: Exchange) -> Answer:
    answer = exchange.forward()
    return Answer(answer[: len(answer) // 2], length=len(answer))


def _half(exchange: Exchange) -> Answer:
    answer = exchange.forward()
    return Answer(answer[: len(answer) // 2])


def _duplicate(exchange: Exchange) -> Answer:
    exchange.forward()
    return Answer(exchange.forward())


def _stale(exchange: Exchange) -> Answer:
    return Answer(exchange.proxy.oldest.get(exchange.key) or exchange.forward())


def _status(status: int, body: bytes = PAGE, *, after: bool = False) -> Act:
    def act(exchange: Exchange) -> Answer:
        if after:
            exchange.forward()
        return Answer(body, status, "text/html")

    return act


def _instead(**answer: Any) -> Act:
    def act(exchange: Exchange) -> Answer:
        return Answer(json.dumps({"jsonrpc": "2.0", "id": 0, **answer}).encode())

    return act


#: Faults of a single request. `after` says that the node has it nevertheless.
FAULTS: Final[dict[str, Act]] = {
    "cut before": _cut_before,
    "cut after": _cut_after,
    "silence after": _silent,
    "late": _late,
    "delay": _delay,
    "truncated": _truncate,
    "half the JSON": _half,
    "duplicated": _duplicate,
    "stale": _stale,
    "HTTP 429": _status(429, b"Too many requests"),
    "HTTP 500": _status(500, b""),
    "HTTP 502": _status(502),
    "HTTP 504 after": _status(504, after=True),
    "HTML": _status(200),
    "null": _instead(result=None),
    "internal error": _instead(error={"code": -32603, "message": "Internal error"}),
}

#: Ctrl-C for a client in this process's main thread, before or after the node has its request.
INTERRUPTIONS: Final[dict[str, Act]] = {
    "Ctrl-C before": _interrupt(after=False),
    "Ctrl-C after": _interrupt(after=True),
}


# --- faults of pages of events ------------------------------------------------------------------------------

Page = list[dict[str, Any]]
Pages = list[Page]


def _changed(pages: Pages, at: int, change: Callable[[dict[str, Any]], None]) -> Pages:
    """The pages with a copy of one event changed, in its place."""
    events = [event for page in pages for event in page]
    chosen = events[at % len(events)]
    copy = json.loads(json.dumps(chosen))
    change(copy)
    return [[copy if event is chosen else event for event in page] for page in pages]


def _added(pages: Pages, at: int, change: Callable[[dict[str, Any]], None]) -> Pages:
    """The pages with a changed copy of one event added to the last of them."""
    events = [event for page in pages for event in page]
    copy = json.loads(json.dumps(events[at % len(events)]))
    change(copy)
    return [*pages[:-1], [*pages[-1], copy]]


def _alter(event: dict[str, Any]) -> None:
    event["data"][-1] = hex(int(event["data"][-1], 16) ^ 1)


#: What becomes of the pages of a whole answer; `at` chooses the page or event it happens to.
PAGE_FAULTS: Final[dict[str, Callable[[Pages, int], Pages]]] = {
    "repeated page": lambda pages, at: [
        *pages[: at % len(pages) + 1],
        pages[at % len(pages)],
        *pages[at % len(pages) + 1 :],
    ],
    "swapped pages": lambda pages, at: pages[::-1],
    "shuffled events": lambda pages, at: [page[::-1] for page in pages],
    "empty page": lambda pages, at: [*pages[: at % len(pages)], [], *pages[at % len(pages) :]],
    "dropped page": lambda pages, at: pages[: at % len(pages)] + pages[at % len(pages) + 1 :],
    "missing last page": lambda pages, at: pages[:-1],
    "no end": lambda pages, at: pages,
    "altered event": lambda pages, at: _changed(pages, at, _alter),
    "contradicting event": lambda pages, at: _added(pages, at, _alter),
    "invented event": lambda pages, at: _added(pages, at, lambda one: one.update(event_index=10_000)),
    "event of another contract": lambda pages, at: _added(
        pages, at, lambda one: one.update(from_address="0x5", event_index=10_000)
    ),
    "event of another block": lambda pages, at: _added(
        pages, at, lambda one: one.update(block_number=10**9, event_index=10_000)
    ),
}


def _pages(exchange: Exchange, wanted: dict[str, Any]) -> Pages:
    """All pages that the node has."""
    pages: Pages = []
    token: dict[str, str] = {}
    while token or not pages:
        chunk = exchange.ask(filter=wanted | token)
        pages.append(chunk["events"])
        token = {name: chunk[name] for name in ("continuation_token",) if chunk.get(name)}
    return pages


def _paged(name: str, at: int) -> Act:
    """Answer from the pages that the fault leaves, under tokens of the proxy's own."""

    def act(exchange: Exchange) -> Answer:
        wanted = dict(exchange.request["params"]["filter"])
        number = int(wanted.pop("continuation_token", "0"))
        served = exchange.proxy.served.get(json.dumps(wanted))
        if served is None:
            pages = _pages(exchange, wanted)
            served = PAGE_FAULTS[name](pages, at) if any(pages) else pages
            exchange.proxy.served[json.dumps(wanted)] = served
        result: dict[str, Any] = {"events": served[number] if number < len(served) else []}
        if number + 1 < len(served) or name == "no end":
            result["continuation_token"] = "1" if name == "no end" else str(number + 1)
        return Answer(json.dumps({"jsonrpc": "2.0", "id": 0, "result": result}).encode())

    return act


# --- the proxy ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planned:
    """A fault, and which requests meet it: `times` of them, after the first `skip` of these methods."""

    fault: str
    methods: tuple[str, ...] = ()
    skip: int = 0
    times: int = 1
    #: For faults of pages: which page or event. For late ones: how many requests overtake it.
    at: int = 0


class Proxy:
    """Listens on a port of its own. Without a plan it passes everything on."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        #: Methods of the requests so far, in order.
        self.seen: list[str] = []
        #: How often each fault was met, by fault and method, since the proxy began.
        self.met: Counter[tuple[str, str]] = Counter()
        #: The first answer to each request since `remember`: what a stale node still says.
        self.oldest: dict[tuple[str, str], bytes] = {}
        #: What a fault of pages has made of the whole answer to a filter.
        self.served: dict[str, Pages] = {}
        self._plan: list[Planned] = []
        self._counts: list[int] = []
        self._held: list[tuple[int, bytes]] = []
        self._lock = threading.RLock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """Where clients find the node."""
        return f"http://127.0.0.1:{self._server.server_port}/rpc"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def plan(self, *planned: Planned) -> None:
        """From now on these faults happen, and no others. What was held back still comes in its time."""
        with self._lock:
            self._plan = list(planned)
            self._counts = [0] * len(planned)
            self.served = {}

    def release(self) -> None:
        """Let everything that was held back arrive now."""
        with self._lock:
            held, self._held = self._held, []
            for _, body in held:
                self.ask(body)

    def remember(self) -> None:
        """From now on, a stale node answers as at this moment, as far as it will have been asked."""
        self.oldest = {}

    def ask(self, body: bytes) -> bytes:
        """The node's answer."""
        target = urlsplit(self.upstream)
        assert target.hostname is not None
        with contextlib.closing(http.client.HTTPConnection(target.hostname, target.port, timeout=60)) as node:
            node.request("POST", target.path, body, {"Content-Type": "application/json"})
            return node.getresponse().read()

    def hold_back(self, body: bytes, others: int) -> None:
        """Keep a request until so many others have overtaken it."""
        with self._lock:
            self._held.append((others, body))

    def answer(self, exchange: Exchange) -> Answer:
        """What the client gets for a request. Raises HangUp where it gets nothing."""
        with self._lock:
            self.seen.append(exchange.method)
            planned = self._due(exchange.method)
            arriving = [body for left, body in self._held if left <= 0]
            self._held = [(left - 1, body) for left, body in self._held if left > 0]
            for body in arriving:
                self.ask(body)
        if planned is None or (planned.fault == "stale" and exchange.key not in self.oldest):
            answer = exchange.forward()
            self.oldest.setdefault(exchange.key, answer)
            return Answer(answer)
        self.met[planned.fault, exchange.method] += 1
        exchange.at = planned.at
        act = (FAULTS | INTERRUPTIONS).get(planned.fault) or _paged(planned.fault, planned.at)
        return act(exchange)

    def _due(self, method: str) -> Planned | None:
        """The fault this request meets, if any: the first planned one that is due."""
        due = None
        for index, planned in enumerate(self._plan):
            if planned.methods and method not in planned.methods:
                continue
            before = self._counts[index]
            self._counts[index] += 1
            if due is None and planned.skip <= before < planned.skip + planned.times:
                due = planned
        return due


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Clients ask for many blocks at once; those who do not fit in would try again only after a second.
    request_queue_size = 64

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            answer = self.server.proxy.answer(Exchange(self.server.proxy, body, self._wait))
        except (HangUp, OSError, http.client.HTTPException):
            # An OSError is the node's: it is not there.
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        length = len(answer.body) if answer.length is None else answer.length
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = answer.length is not None

    def _wait(self) -> None:
        self.connection.recv(1)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test that fails says what it planned."""

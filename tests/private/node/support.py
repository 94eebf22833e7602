"""What tests of nodes share: records without content, and recorded answers."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from medsync.private.keys.keys import RecordVersion
from medsync.private.node.interface import CalimeroContext, PrivateNode
from medsync.private.records.application import RecordsApp
from medsync.private.records.sealing import SealedRecord
from medsync.protocol.vocabulary import Category

NODE_RECORDINGS = Path(__file__).parents[1] / "recordings" / "calimero-0.11.0-rc.4.json"
#: Registered as the bridge in tests.
BRIDGE = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"the bridge of a test").digest())
CHAIN, CONTRACT, PATIENT = 0x434841494E, 0xC0, 0xA1

# --- records ------------------------------------------------------------------------------------------------


def sealed(record: str | None = None, version: int = 1, ciphertext: bytes = b"\x01sealed") -> SealedRecord:
    """A record's version as the application takes it; nothing is encrypted in it."""
    identity = RecordVersion(record or secrets.token_hex(16), version, secrets.randbits(250) + 1)
    keys = {secrets.token_hex(32): secrets.token_bytes(80)}
    return SealedRecord(identity, Category.OBSERVATION, ciphertext, keys)


async def new_app(node: PrivateNode, application: str, capacity: int = 100) -> RecordsApp:
    """A new context, configured."""
    app = RecordsApp(node, await node.create_context(application, {"capacity": capacity}))
    await app.configure(BRIDGE.public_key().public_bytes_raw(), CHAIN, CONTRACT)
    return app


# --- recorded answers ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    method: str
    path: str
    status: int
    body: Any = None
    #: The body as it was sent.
    answer: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    #: For a stream of events.
    lines: list[str] | None = None
    #: The token it needs, if any.
    token: str | None = None


@dataclass(frozen=True)
class Recordings:
    """Exchanges by name; a name may be cut after its number."""

    exchanges: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(json.loads(path.read_text())["exchanges"])

    def __getitem__(self, number: str) -> Exchange:
        (told,) = (told for name, told in self.exchanges.items() if name.split("-")[0] == number)
        body = told.get("body")
        headers = {"X-Auth-Error": told["x-auth-error"]} if "x-auth-error" in told else {}
        return Exchange(
            told["method"],
            told["path"],
            told["status"],
            None if body is None else json.loads(body) if body != "{" else body,
            told.get("answer", ""),
            headers,
            told.get("lines"),
            "jwt-1" if told.get("authorised") else None,
        )


#: Members of requests that are another each time, or on each machine.
_VARYING = {"timestamp", "expiresAtMs", "path", "id"}


def _steady(body: Any) -> Any:
    if isinstance(body, dict):
        return {name: _steady(value) for name, value in body.items() if name not in _VARYING}
    return body


class Replay:
    """A node that knows a script: anything that is not its next line is remembered, and answered with 599."""

    def __init__(self, script: Iterable[Exchange]) -> None:
        self.script, self.unexpected = list(script), list[str]()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        body = json.loads(content) if content else None
        expected = self.script[0] if self.script else None
        if (
            expected is None
            or (request.method, request.path) != (expected.method, expected.path)
            or _steady(body) != _steady(expected.body)
            or (expected.token and request.headers.get("Authorization") != f"Bearer {expected.token}")
        ):
            self.unexpected.append(f"{request.method} {request.path} {content[:300]!r}")
            return web.Response(status=599)
        self.script.pop(0)
        if expected.lines is None:
            kind = "application/json" if expected.answer[:1] in ("{", "[", '"') else "text/plain"
            return web.Response(
                status=expected.status, text=expected.answer, content_type=kind, headers=expected.headers
            )
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        for line in expected.lines:
            await stream.write(line.encode() + b"\n")
        await stream.write(b"\n")
        await stream.write_eof()
        return stream


@asynccontextmanager
async def replay(*script: Exchange) -> AsyncIterator[Replay]:
    """A node that plays a script, all of it: fails on what is left over, and on what is not in it."""
    node = Replay(script)
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", node.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        node.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield node
    finally:
        await runner.cleanup()
    assert not node.unexpected
    assert not node.script


def context_of(exchange: Exchange) -> CalimeroContext:
    """The context of a recorded `create context`."""
    made = json.loads(exchange.answer)["data"]
    return CalimeroContext(
        made["contextId"], made["groupId"], made["memberPublicKey"], exchange.body["applicationId"]
    )

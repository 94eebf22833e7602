"""A real Calimero node as commands find it: it answers what one answered once, whoever asks for what.

It is a part of `StubNode`, below `PATH`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from aiohttp import web

from medsync.private.node.calimero import Invitation
from medsync.private.records.application import Status
from tests.private.node.support import NODE_RECORDINGS, Recordings, context_of

PATH: Final = "/calimero"

_RECORDED: Final = Recordings.read(NODE_RECORDINGS)
_OWN: Final = context_of(_RECORDED["10"])
#: The group and the application of the node's own context.
GROUP: Final = _OWN.group
APPLICATION: Final = _OWN.application
#: The invitation to another group.
INVITATION: Final = Invitation(_RECORDED["71"].path.split("/")[3], _RECORDED["71"].body).to_json()
#: Who is a member beside the node, and the node.
MEMBER, _SELF = (row["identity"] for row in json.loads(_RECORDED["76"].answer)["members"])

_STATUS: Final = Status(
    version="0.1.0",
    capacity=10,
    records=0,
    erased=0,
    receipts=0,
    refusals=0,
    uncounted=0,
    configured=True,
    bridge_key=bytes(32),
    chain=1,
    contract=1,
)

#: Answers by what is asked.
_ANSWERS: Final[dict[str, str]] = {
    "GET /admin-api/contexts": _RECORDED["11"].answer,
    "GET /admin-api/contexts/[^/]+/identities-owned": json.dumps({"data": {"identities": [_SELF]}}),
    "GET /admin-api/contexts/[^/]+/group": json.dumps({"data": GROUP}),
    "POST /jsonrpc": json.dumps(
        {"jsonrpc": "2.0", "id": 1, "result": {"output": _STATUS.model_dump(mode="json")}}
    ),
    "POST /admin-api/namespaces/[^/]+/invite": _RECORDED["70"].answer,
    "POST /admin-api/namespaces/[^/]+/join": _RECORDED["71"].answer,
    "GET /admin-api/groups/[^/]+/contexts": _RECORDED["96"].answer,
    "POST /admin-api/contexts/[^/]+/join": _RECORDED["72"].answer,
    "GET /admin-api/groups/[^/]+/members": _RECORDED["76"].answer,
}


async def answer(request: web.Request) -> web.Response:
    """What the node answers."""
    asked = f"{request.method} {request.path.removeprefix(PATH)}"
    for pattern, text in _ANSWERS.items():
        if re.fullmatch(pattern, asked):
            return web.Response(text=text, content_type="application/json")
    return web.Response(status=404)


def settings(home: dict[str, Any], port: int) -> dict[str, Any]:
    """The settings of a home, with this node instead of its own."""
    url = f"http://127.0.0.1:{port}{PATH}"
    return home | {"node": url, "application": APPLICATION, "group": GROUP}

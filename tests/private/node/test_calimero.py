"""The client of a real node, against what one answered once, and against answers that no node should give."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from medsync.errors import InputError, VerificationError
from medsync.private.node import calimero
from medsync.private.node.bundle import pack
from medsync.private.node.calimero import CalimeroNode, Credentials, GroupMember, Invitation
from medsync.private.node.interface import (
    ApplicationError,
    BadAnswer,
    CalimeroContext,
    ClaimRequest,
    ExecutionFailed,
    Failure,
    NodeError,
    NodeEvent,
    NodeRefused,
    NodeUnavailable,
    UnknownContext,
    encode_id,
)
from medsync.protocol.anchor import NodeKind
from tests.private.node.guest import guest
from tests.private.node.support import Exchange, Recordings, context_of, replay

#: The JSON of a code, as a node writes it: a list of bytes.
EXISTS = list(b'"EXISTS"')
OPERATOR = Credentials("operator", "example-password")
Call = Callable[[CalimeroNode], Awaitable[Any]]


async def answer(call: Call, *script: Exchange, credentials: Credentials | None = None) -> Any:
    """What a call comes to, when the node plays that script and nothing else."""
    async with replay(*script) as node, CalimeroNode(node.url, credentials=credentials) as client:
        return await call(client)


def changed(exchange: Exchange, **answer: Any) -> Exchange:
    """The exchange with members of its answer added or replaced."""
    told = json.loads(exchange.answer)
    told["data"] = told["data"] | answer
    return dataclasses.replace(exchange, answer=json.dumps(told))


# --- recorded calls -----------------------------------------------------------------------------------------


async def test_health(recordings: Recordings) -> None:
    health = await answer(lambda node: node.health(), recordings["01"])
    assert health.kind is NodeKind.CALIMERO
    assert health.description.startswith("Calimero node at http://127.0.0.1:")


async def test_a_bundle_gets_the_same_id_from_the_node_as_from_us(
    recordings: Recordings, tmp_path: Path
) -> None:
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"throw-away example key").digest())
    path = tmp_path / "records.mpk"
    path.write_bytes(pack(guest(), package="org.medsync.records", version="0.1.0", key=key))
    application = await answer(lambda node: node.install(path), recordings["04b"])
    assert application == json.loads(recordings["04b"].answer)["data"]["applicationId"]
    path.write_bytes(pack(guest(), package="org.medsync.other", version="0.1.0", key=key))
    with pytest.raises(BadAnswer, match="does not follow from package and signer"):
        await answer(lambda node: node.install(path), recordings["04b"])


async def test_a_context_is_made_in_the_applications_namespace(recordings: Recordings) -> None:
    expected = context_of(recordings["10"])
    parameters = list(b'{"capacity":5}')
    made = dataclasses.replace(
        recordings["10"], body=recordings["10"].body | {"initializationParams": parameters}
    )

    async def create(node: CalimeroNode) -> CalimeroContext:
        return await node.create_context(expected.application, {"capacity": 5})

    assert await answer(create, recordings["07"], recordings["15"], made) == expected
    # Without one of its own it makes one: none is there, or it is only a member of the one that is.
    new = dataclasses.replace(
        recordings["06"],
        body={name: value for name, value in recordings["06"].body.items() if name != "name"},
    )
    none = dataclasses.replace(recordings["07"], answer='{"data":[]}')
    assert await answer(create, none, new, made) == expected
    member = dataclasses.replace(recordings["15"], answer=recordings["15"].answer.replace("Admin", "Member"))
    assert await answer(create, recordings["07"], member, new, made) == expected


async def test_contexts(recordings: Recordings) -> None:
    found = await answer(lambda node: node.contexts(), recordings["11"], recordings["13"])
    assert found == [context_of(recordings["10"])]
    removed = dataclasses.replace(recordings["13"], answer='{"data":{"identities":[]}}')
    assert await answer(lambda node: node.contexts(), recordings["11"], removed) == []


async def test_contexts_of_a_node_that_does_not_tell_the_group(recordings: Recordings) -> None:
    row = json.loads(recordings["11"].answer)
    del row["data"]["contexts"][0]["groupId"]
    listed = dataclasses.replace(recordings["11"], answer=json.dumps(row))
    found = await answer(lambda node: node.contexts(), listed, recordings["13"], recordings["14"])
    assert found == [context_of(recordings["10"])]


async def test_state(recordings: Recordings) -> None:
    context = context_of(recordings["10"]).id
    fresh = await answer(lambda node: node.state(context), recordings["12"])
    after = await answer(lambda node: node.state(context), recordings["23"])
    assert fresh.root != after.root
    assert [len(head) for head in (fresh.root, *fresh.heads)] == [32, 32]
    unknown = recordings["34"].path.rsplit("/", 1)[1]
    with pytest.raises(UnknownContext):
        await answer(lambda node: node.state(unknown), recordings["34"])


@pytest.mark.parametrize("number", ["18", "20", "21", "22"])
async def test_execute(recordings: Recordings, number: str) -> None:
    exchange = recordings[number]
    call = exchange.body["params"]
    output = await answer(
        lambda node: node.execute(call["contextId"], call["method"], call["argsJson"]), exchange
    )
    assert output == json.loads(exchange.answer)["result"]["output"]


@pytest.mark.parametrize(
    ("number", "error", "failure"),
    [
        ("30", ExecutionFailed, Failure.UNKNOWN_METHOD),
        ("31", ExecutionFailed, Failure.PANIC),
        ("32", UnknownContext, None),
        ("38", InputError, None),
        ("79", UnknownContext, None),
    ],
)
async def test_execution_errors(
    recordings: Recordings, number: str, error: type[Exception], failure: Failure | None
) -> None:
    exchange = recordings[number]
    call = exchange.body["params"]
    with pytest.raises(error) as caught:
        await answer(lambda node: node.execute(call["contextId"], call["method"], call["argsJson"]), exchange)
    assert getattr(caught.value, "failure", None) == failure
    assert "commitment" not in str(caught.value), "the node's words, which quote arguments, were shown"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (("FunctionCallError", f"the method call returned an error: {EXISTS}"), ApplicationError),
        (("FunctionCallError", "the method call returned an error: []"), ApplicationError),
        (("FunctionCallError", "memory out of bounds"), ExecutionFailed),
        (("ContextNotFound", None), UnknownContext),
        (("Unauthorized", {"public_key": "x"}), NodeRefused),
        (("Uninitialized", None), NodeUnavailable),
        (("GroupKeyPending", {}), NodeUnavailable),
        (("ParseError", "secret"), BadAnswer),
        (("Other", "secret"), BadAnswer),
        ((None, None), BadAnswer),
    ],
)
async def test_kinds_of_errors(
    recordings: Recordings, error: tuple[Any, Any], expected: type[NodeError]
) -> None:
    told = {"jsonrpc": "2.0", "id": 1, "error": {"type": error[0], "data": error[1]}}
    exchange = dataclasses.replace(recordings["22"], answer=json.dumps(told))
    context = exchange.body["params"]["contextId"]
    with pytest.raises(expected) as caught:
        await answer(lambda node: node.execute(context, "commitments", {}), exchange)
    assert "secret" not in str(caught.value)
    if "EXISTS" in str(caught.value):
        assert caught.value.code == "EXISTS"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("42", "nonce must be hex-encoded"),
        ("43", "expires_at_ms must be in the future"),
        ("44", "node has no group identity configured"),
        ("77", "node is not a direct admin of this group"),
    ],
)
async def test_a_node_that_does_not_sign(recordings: Recordings, number: str, said: str) -> None:
    exchange, known = recordings[number], recordings["12"]
    request = ClaimRequest(exchange.body["audience"], exchange.body["subject"], "ab" * 16)
    context = CalimeroContext(exchange.body["contextId"], exchange.path.split("/")[3], encode_id(bytes(32)))
    exchange = dataclasses.replace(exchange, body=exchange.body | {"nonce": request.nonce})
    known = dataclasses.replace(known, path=f"/admin-api/contexts/{context.id}")
    with pytest.raises(NodeRefused, match=re.escape(said)):
        await answer(lambda node: node.attest(context, request), known, exchange)


async def test_members_and_invitations(recordings: Recordings) -> None:
    group = recordings["70"].path.split("/")[3]
    invitation = await answer(lambda node: node.invite(group, 3600), recordings["70"])
    assert "secret_salt" not in repr(invitation)
    handed_over = Invitation.from_json(invitation.to_json())
    assert handed_over == invitation
    identity = await answer(lambda node: node.join(handed_over), recordings["71"])
    context = recordings["72"].path.split("/")[3]
    assert await answer(lambda node: node.join_context(context), recordings["72"]) == identity
    contexts = await answer(lambda node: node.group_contexts(group), recordings["96"])
    assert contexts == [row["contextId"] for row in json.loads(recordings["96"].answer)["data"]]
    for bad in ("5", "[{}]", '[{"contextId":"short"}]'):
        malformed = dataclasses.replace(recordings["96"], answer=f'{{"data":{bad}}}')
        with pytest.raises(BadAnswer):
            await answer(lambda node: node.group_contexts(group), malformed)
    members = await answer(lambda node: node.members(group), recordings["76"])
    administrator = next(member.identity for member in members if member.role == "Admin")
    assert GroupMember(identity, "Member") in members
    both = {identity, administrator}
    await answer(lambda node: node.check_members(group, both), recordings["76"])
    for expected, said in (
        ({administrator}, "is an unexpected member"),
        (both | {encode_id(bytes(32))}, "is not a member"),
    ):
        with pytest.raises(VerificationError, match=said):
            await answer(lambda node, who=expected: node.check_members(group, who), recordings["76"])
    await answer(lambda node: node.remove_member(group, identity), recordings["78"])


async def test_joining_that_is_refused(recordings: Recordings) -> None:
    exchange = recordings["95"]
    expired = Invitation(exchange.path.split("/")[3], exchange.body)
    with pytest.raises(NodeRefused) as caught:
        await answer(lambda node: node.join(expired), exchange)
    assert "no reason is shown" in str(caught.value)
    with pytest.raises(NodeRefused, match="no group identity"):
        await answer(lambda node: node.group_contexts("0" * 64), recordings["97"])
    context = recordings["94"].path.split("/")[3]
    with pytest.raises(NodeRefused, match="does not belong to any group"):
        await answer(lambda node: node.join_context(context), recordings["94"])


async def test_what_else_it_tells(recordings: Recordings) -> None:
    assert await answer(lambda node: node.peers(), recordings["54"]) == 0
    context = recordings["24"].body["params"]["contextId"]
    assert await answer(lambda node: node.is_synchronised(context), recordings["24"])


# --- the login ----------------------------------------------------------------------------------------------


async def test_no_login(recordings: Recordings) -> None:
    for call, exchange in (
        (lambda node: node.contexts(), recordings["80"]),
        (lambda node: node.is_synchronised("1" * 32), recordings["81"]),
    ):
        with pytest.raises(NodeRefused) as caught:
            await answer(call, exchange)
        assert caught.value.hint == "It requires a user name and a password."


async def test_login_and_refresh(recordings: Recordings) -> None:
    refused, login, listed, expired = (recordings[number] for number in ("80", "83", "85", "88"))
    renewed = dataclasses.replace(recordings["90"], token="jwt-3")

    async def three_calls(node: CalimeroNode) -> None:
        assert await node.contexts() == []
        assert await node.contexts() == []
        assert await node.contexts() == []

    await answer(
        three_calls,
        *(refused, login, listed),
        *(expired, recordings["89"], renewed),
        renewed,
        credentials=OPERATOR,
    )
    # A refresh that is refused, as it is while the token lives: it logs in again.
    await answer(
        three_calls,
        *(refused, login, listed),
        *(recordings["92"], recordings["87"], login, listed),
        listed,
        credentials=OPERATOR,
    )


async def test_one_login_for_many_calls(recordings: Recordings) -> None:
    refused, listed = recordings["80"], recordings["85"]

    async def at_once(node: CalimeroNode) -> None:
        await asyncio.gather(*(node.contexts() for _ in range(3)))

    await answer(
        at_once, refused, refused, refused, recordings["83"], listed, listed, listed, credentials=OPERATOR
    )


def test_a_login_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "login"
    path.write_text(OPERATOR.text())
    path.chmod(0o600)
    assert Credentials.read(path, "--login:") == OPERATOR
    for text in ("", "operator", "operator\n\n", f"{OPERATOR.text()}more\n"):
        path.write_text(text)
        with pytest.raises(InputError, match="two lines") as refused:
            Credentials.read(path, "--login:")
        assert "operator" not in refused.value.message
    path.chmod(0o644)
    with pytest.raises(InputError, match="others than you may read"):
        Credentials.read(path, "--login:")


async def test_a_wrong_password(recordings: Recordings) -> None:
    wrong = Credentials("operator", "wrong-password")
    with pytest.raises(NodeRefused) as caught:
        await answer(lambda node: node.contexts(), recordings["80"], recordings["84"], credentials=wrong)
    assert "wrong-password" not in str(caught.value) + repr(wrong)
    # A token that is not good for anything is not asked for twice.
    with pytest.raises(NodeRefused) as caught:
        await answer(
            lambda node: node.contexts(),
            *(recordings["80"], recordings["83"], recordings["92"]),
            credentials=OPERATOR,
        )
    assert "jwt" not in str(caught.value)


# --- events -------------------------------------------------------------------------------------------------


async def first_events(count: int, *script: Exchange, context: str) -> list[NodeEvent]:
    found = []
    async with replay(*script) as node, CalimeroNode(node.url, reconnect_after=0) as client:
        async for event in client.events(context):
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_events(recordings: Recordings) -> None:
    context, state, stream = context_of(recordings["10"]).id, recordings["12"], recordings["19"]
    first, second = await first_events(2, state, stream, recordings["17"], state, context=context)
    assert first.kind is None
    assert (second.kind, second.data["id"]) == ("Stored", "rec-1")
    assert second.root != first.root


async def test_a_gap_and_a_break_are_told(recordings: Recordings) -> None:
    context, state, stream = context_of(recordings["10"]).id, recordings["12"], recordings["19"]
    assert stream.lines is not None
    *before, data = stream.lines
    gap = [re.sub(r"^(id: \d+)-0$", r"\1-3", line) for line in before[5:]]
    script = dataclasses.replace(stream, lines=[*before[:5], *gap, data])
    found = await first_events(2, state, script, recordings["17"], state, state, context=context)
    assert [event.kind for event in found] == [None, None]
    # The connection ends: there is another, and with it the advice to read the state anew.
    again = [stream, recordings["17"], state]
    found = await first_events(3, state, *again, *again, context=context)
    assert [event.kind for event in found] == [None, "Stored", None]


@pytest.mark.parametrize("data", ["{", "[]", "{}", '{"result":{"contextId":"CONTEXT","type":"New"}}'])
async def test_an_event_that_is_not_understood(recordings: Recordings, data: str) -> None:
    context, state, stream = context_of(recordings["10"]).id, recordings["12"], recordings["19"]
    assert stream.lines is not None
    script = dataclasses.replace(
        stream, lines=[*stream.lines[:-1], "data: " + data.replace("CONTEXT", context)]
    )
    found = await first_events(2, state, script, recordings["17"], state, state, context=context)
    assert [event.kind for event in found] == [None, None]


async def test_a_subscription_gives_up(recordings: Recordings) -> None:
    context = context_of(recordings["10"]).id
    refused = Exchange("GET", "/sse", 503)
    with pytest.raises(NodeRefused, match="503"):
        await first_events(1, recordings["12"], refused, context=context)
    empty = Exchange("GET", "/sse", 200, lines=[])
    async with replay(recordings["12"], empty) as node:
        client = CalimeroNode(node.url, reconnect_after=0)
        events = client.events(context)
        task = asyncio.ensure_future(anext(events))
        with pytest.raises(NodeRefused, match="599"):
            await task
        node.unexpected.clear()
        await client.close()


# --- what must not happen -----------------------------------------------------------------------------------

NO_ID = "not-base58-0OIl"
CALLS: dict[str, Call] = {
    "execute": lambda node: node.execute(NO_ID, "put", {"id": "x"}),
    "reserved": lambda node: node.execute("1" * 32, "__calimero_sync_next", {}),
    "init": lambda node: node.execute("1" * 32, "init", {}),
    "too large": lambda node: node.execute("1" * 32, "put", {"id": "x" * 2**21}),
    "no JSON": lambda node: node.execute("1" * 32, "put", {"id": float("nan")}),
    "state": lambda node: node.state(NO_ID),
    "path": lambda node: node.state("../../groups"),
    "attest": lambda node: node.attest(
        CalimeroContext(NO_ID, "ab" * 32, NO_ID), ClaimRequest("a", "s", "ab" * 16)
    ),
    "group": lambda node: node.members("AB" * 32),
    "join": lambda node: node.join_context(NO_ID),
    "contexts of a group": lambda node: node.group_contexts("../contexts"),
    "remove": lambda node: node.remove_member("ab" * 32, NO_ID),
    "create": lambda node: node.create_context(NO_ID, {}),
    "invite": lambda node: node.invite("ab" * 32, 0),
    "a year": lambda node: node.invite("ab" * 32, 365 * 86_400),
    "synchronised": lambda node: node.is_synchronised(NO_ID),
}


@pytest.mark.parametrize("name", CALLS)
async def test_what_is_malformed_is_not_sent(name: str) -> None:
    with pytest.raises(InputError):
        await answer(CALLS[name])


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "http://10.0.0.1:2528",
        "http://127.0.0.1.example.org",
        "http://" + "user:pass" + "word@127.0.0.1:2528",
        "ftp://127.0.0.1",
        "127.0.0.1:2528",
        "http://",
        "http://127.0.0.1:port",
        "http://127.0.0.1?x=1",
    ],
)
def test_plain_http_goes_nowhere_else(url: str) -> None:
    with pytest.raises(InputError):
        CalimeroNode(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://a.b"])
def test_addresses_that_are_good(url: str) -> None:
    CalimeroNode(url)


CONTEXT = encode_id(b"\x07" * 32)
ASKED: dict[str, Call] = {
    "health": lambda node: node.health(),
    "contexts": lambda node: node.contexts(),
    "state": lambda node: node.state(CONTEXT),
    "execute": lambda node: node.execute(CONTEXT, "put", {}),
    "create": lambda node: node.create_context(CONTEXT, {}),
    "members": lambda node: node.members("ab" * 32),
    "invite": lambda node: node.invite("ab" * 32),
    "join": lambda node: node.join_context(CONTEXT),
    "peers": lambda node: node.peers(),
}
ANSWERS = [
    *(
        (200, text)
        for text in ("", "null", "[]", "{}", "5", '"x"', "{", '{"data":5}', '{"data":{"contexts":[5]}}')
    ),
    (200, '{"data":{"contexts":[{"id":"short"}],"members":[{}],"count":"many","status":"dead"}}'),
    (200, json.dumps({"data": {"contextStateHash": "1" * 32, "dagHeads": [[256] * 32], "id": CONTEXT}})),
    (200, "[" * 100_000),
    *((status, "") for status in (204, 302, 400, 404, 500, 503)),
    (500, '{"error":5}'),
    (404, '{"error":"x"}'),
]


@pytest.mark.parametrize("name", ASKED)
async def test_a_malformed_answer_is_a_clear_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for status, text in ANSWERS:
        replayed: list[Exchange] = []

        async def send(*_: Any, status: int = status, text: str = text) -> tuple[int, bytes]:
            return status, text.encode()

        monkeypatch.setattr(CalimeroNode, "_send_once", send)
        with pytest.raises(NodeError) as caught:
            await answer(ASKED[name], *replayed)
        assert isinstance(caught.value, BadAnswer | NodeRefused | UnknownContext), (status, text[:50])
        assert len(str(caught.value)) < 400


async def test_what_the_node_adds_is_ignored(recordings: Recordings) -> None:
    context = context_of(recordings["10"])
    state = changed(recordings["12"], new={"member": [1]})
    assert await answer(lambda node: node.state(context.id), state)
    # With and without an envelope.
    bare = json.dumps(json.loads(recordings["12"].answer)["data"])
    unwrapped = dataclasses.replace(recordings["12"], answer=bare)
    assert await answer(lambda node: node.state(context.id), unwrapped)
    wrapped = dataclasses.replace(recordings["76"], answer=f'{{"data":{recordings["76"].answer}}}')
    assert len(await answer(lambda node: node.members(recordings["76"].path.split("/")[3]), wrapped)) == 2


async def test_a_redirect_is_not_followed(recordings: Recordings) -> None:
    elsewhere = dataclasses.replace(
        recordings["01"], status=302, headers={"Location": "http://127.0.0.1:1/"}, answer=""
    )
    with pytest.raises(NodeRefused):
        await answer(lambda node: node.health(), elsewhere, credentials=OPERATOR)


async def test_an_answer_without_end_is_cut(recordings: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calimero, "MAX_ANSWER", 10)
    with pytest.raises(BadAnswer, match="more than 10 bytes"):
        await answer(lambda node: node.health(), recordings["01"])


async def test_nobody_there() -> None:
    async with CalimeroNode("http://127.0.0.1:1", credentials=OPERATOR) as client:
        with pytest.raises(NodeUnavailable) as caught:
            await client.health()
    assert OPERATOR.password not in str(caught.value)
    with pytest.raises(NodeUnavailable, match="closed"):
        await client.health()


async def test_a_node_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    soon = aiohttp.ClientTimeout(total=0.05)
    monkeypatch.setattr(aiohttp, "ClientTimeout", lambda **_: soon)
    over = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with CalimeroNode(f"http://127.0.0.1:{port}") as client:
            with pytest.raises(NodeUnavailable, match="no answer within 60 s"):
                await client.peers()
        over.set()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"group": "ab"}', '{"group": "%s", "document": 5}' % ("ab" * 32)]
)
def test_what_is_no_invitation(text: str) -> None:
    with pytest.raises(InputError):
        Invitation.from_json(text)

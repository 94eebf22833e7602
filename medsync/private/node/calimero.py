"""Client of the HTTP interface of a real Calimero node, release 0.11.0-rc.4.

Unknown fields in answers are ignored, and most answers may be wrapped in `data`. Ids and methods are checked
before anything is sent, because a node logs requests that it cannot parse, including arguments. Plain HTTP is
used for the loopback interface only. A node's error text is quoted only if no arguments were sent, and errors
never contain tokens or passwords.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import json
import logging
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from medsync.errors import InputError, VerificationError
from medsync.private.node.bundle import Bundle
from medsync.private.node.interface import (
    ApplicationError,
    BadAnswer,
    CalimeroContext,
    ClaimRequest,
    ContextState,
    ExecutionFailed,
    Failure,
    Health,
    NodeError,
    NodeEvent,
    NodeRefused,
    NodeUnavailable,
    SignedClaim,
    UnknownContext,
    check_group,
    check_method,
    decode_id,
    encode_arguments,
)
from medsync.private.schema import Base64
from medsync.protocol.anchor import NodeKind
from medsync.protocol.commitments import parse_json
from medsync.storage.files import read_text

#: Seconds a call may take. Governance (invitations, joining, removing) waits for other members: joining a
#: namespace takes 7 s at least, and a refusal 30 s.
TIMEOUT: Final = 60
GOVERNANCE_TIMEOUT: Final = 120
#: Maximum sizes of an answer and of an event in bytes.
MAX_ANSWER: Final = 64 * 1024 * 1024
#: Validity of an invitation in seconds. Until then, anyone who has it may join.
INVITATION_LIFE: Final = 600
#: Number of consecutive failed connections after which a subscription ends.
_RECONNECTIONS: Final = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials for a node with embedded authentication.

    The first login creates the only user. Tokens contain an unsalted hash of the password, so the password
    must be random, with 256 bits.
    """

    username: str
    password: str = field(repr=False)

    @classmethod
    def read(cls, path: Path, what: str) -> Self:
        """Read a file with two lines, user name and password, that only its owner may read.

        `what` describes the file in errors, which quote nothing of it. Raises InputError.
        """
        lines = read_text(path, what).splitlines()
        if path.stat().st_mode & 0o077:
            raise InputError(f"{what} others than you may read {path}.", hint=f"chmod 600 {path}")
        if len(lines) != 2 or not all(lines):
            raise InputError(f"{what} {path} is not two lines, user name and password.")
        return cls(*lines)

    def text(self) -> str:
        """The content of a file for `read`."""
        return f"{self.username}\n{self.password}\n"


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member of a group."""

    #: ed25519 public key in base58.
    identity: str
    #: `Admin`, `Member` or `ReadOnly`.
    role: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation to a namespace. Anyone who has it may use it until it expires: check who joined."""

    group: str
    #: The invitation as issued by the node.
    document: Mapping[str, Any] = field(repr=False)

    def to_json(self) -> str:
        """The invitation as text."""
        return json.dumps({"group": self.group, "document": self.document})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read an invitation written by `to_json`. Raises InputError."""
        try:
            parsed = parse_json(text)
            group, document = parsed["group"], parsed["document"]
            check_group(group)
            document["invitation"]
        except (KeyError, TypeError):
            raise InputError("The text is not an invitation.") from None
        return cls(group, document)


class CalimeroNode:
    """A remote `PrivateNode`. Close it, or use it as an asynchronous context manager."""

    kind = NodeKind.CALIMERO

    def __init__(
        self, url: str, *, credentials: Credentials | None = None, reconnect_after: float = 3.0
    ) -> None:
        """`reconnect_after` is the pause of a broken subscription in seconds (the node asks for 3).

        Raises InputError for an address that is neither https nor http to the loopback interface.
        """
        self._url = _checked_url(url)
        self._credentials, self._reconnect_after = credentials, reconnect_after
        self._tokens: _Tokens | None = None
        self._login = asyncio.Lock()
        self._opened: aiohttp.ClientSession | None = None
        self._closed = False

    # --- what every node does

    async def health(self) -> Health:
        answer = await self._admin("GET", "health")
        if not isinstance(answer, dict) or answer.get("status") != "alive":
            raise BadAnswer("The node does not say that it is alive.")
        return Health(self.kind, f"Calimero node at {self._url}")

    async def install(self, bundle: Path) -> str:
        """See `PrivateNode.install`. The node reads the file itself, so it must be on the node's machine."""
        checked = Bundle.read(bundle)
        body = {"path": _absolute(bundle), "metadata": []}
        answer = _parse(_Installed, await self._admin("POST", "install-dev-application", body))
        if answer.application_id != checked.application:
            raise BadAnswer(
                "The node reports an application id that does not follow from package and signer."
            )
        _log.info("Installed application %s.", answer.application_id)
        return answer.application_id

    async def create_context(self, application: str, arguments: Mapping[str, Any]) -> CalimeroContext:
        decode_id(application, "application")
        parameters = list(encode_arguments(arguments))
        body = {
            "applicationId": application,
            "groupId": await self._namespace(application),
            "initializationParams": parameters,
            "contextSeed": None,
            "identitySecret": None,
        }
        answer = await self._admin("POST", "contexts", body, seconds=GOVERNANCE_TIMEOUT, quiet=True)
        made = _parse(_Created, answer)
        _log.info("Created context %s.", made.context_id, extra={"context": made.context_id})
        return CalimeroContext(made.context_id, made.group_id, made.member_public_key, application)

    async def contexts(self) -> list[CalimeroContext]:
        rows = _parse(_Contexts, await self._admin("GET", "contexts")).contexts
        found = [await self._context(row) for row in rows]
        return [context for context in found if context is not None]

    async def execute(self, context: str, method: str, arguments: Mapping[str, Any]) -> Any:
        decode_id(context, "context")
        check_method(method)
        encode_arguments(arguments)
        parameters = {"contextId": context, "method": method, "argsJson": dict(arguments)}
        result = await self._call("execute", parameters, context, method)
        return result.get("output")

    async def state(self, context: str) -> ContextState:
        decode_id(context, "context")
        row = _parse(_ContextRow, await self._admin("GET", f"contexts/{context}", of=context))
        return ContextState(decode_id(row.context_state_hash, "root"), tuple(sorted(row.dag_heads)))

    async def events(self, context: str, after: int | None = None) -> AsyncIterator[NodeEvent]:
        """See `PrivateNode.events`. The node stores no events: after an interrupted connection, or
        where events were skipped, there is an event without a kind."""
        await self.state(context)
        failed = 0
        while not self._closed:
            try:
                async with aclosing(self._subscription(context)) as subscription:
                    async for event in subscription:
                        failed = 0
                        yield event
            except (aiohttp.ClientError, TimeoutError, NodeUnavailable):
                failed += 1
                if failed > _RECONNECTIONS:
                    raise self._unavailable("the subscription broke off") from None
                _log.warning(
                    "The subscription to context %s broke off; connecting again in %.1f s.",
                    context,
                    self._reconnect_after,
                    extra={"context": context, "failures": failed},
                )
            if not self._closed:
                await asyncio.sleep(self._reconnect_after)

    async def attest(self, context: CalimeroContext, claim: ClaimRequest) -> SignedClaim:
        check_group(context.group)
        # Checked first, because a node without the context refuses with another message.
        await self.state(context.id)
        body = {
            "audience": claim.audience,
            "contextId": context.id,
            "subject": claim.subject,
            "nonce": claim.nonce,
            "expiresAtMs": time.time_ns() // 1_000_000 + claim.life_ms,
        }
        path = f"groups/{context.group}/issue-ownership-proof"
        proof = _parse(_Proof, await self._admin("POST", path, body, of=context.id))
        return SignedClaim(
            decode_id(proof.signer_public_key, "signer"), proof.signed_payload, proof.signature
        )

    async def compact(self) -> bool:
        # RocksDB compacts in the background; there is no call to force it.
        return False

    async def close(self) -> None:
        self._closed = True
        if self._opened is not None:
            await self._opened.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- what only a node with peers does

    async def members(self, group: str) -> list[GroupMember]:
        """The members of a group, including this node."""
        check_group(group)
        rows = _parse(_Members, await self._admin("GET", f"groups/{group}/members")).members
        return [GroupMember(row.identity, row.role) for row in rows]

    async def check_members(self, group: str, expected: Collection[str]) -> None:
        """Raise VerificationError unless exactly the expected identities are members.

        Anyone may have used an invitation."""
        found = {member.identity for member in await self.members(group)}
        strangers = [f"{identity} is an unexpected member" for identity in sorted(found - set(expected))]
        absent = [f"{identity} is not a member" for identity in sorted(set(expected) - found)]
        if strangers or absent:
            raise VerificationError(
                "The group's members are not those expected:", findings=strangers + absent
            )

    async def invite(self, group: str, life: int = INVITATION_LIFE) -> Invitation:
        """Invite a node to a namespace. `life` is in seconds (the node's default is a year)."""
        check_group(group)
        if not 0 < life <= 86_400:
            raise InputError("An invitation lives for 1 to 86,400 seconds.")
        path, body = f"namespaces/{group}/invite", {"expirationTimestamp": life}
        answer = await self._admin("POST", path, body, seconds=GOVERNANCE_TIMEOUT)
        document = _parse(_Invited, answer)
        _log.info("Made an invitation to group %s.", group, extra={"group": group})
        kept = {"invitation": document.invitation}
        return Invitation(group, kept | ({"groupName": document.group_name} if document.group_name else {}))

    async def join(self, invitation: Invitation) -> str:
        """Join the namespace and return this node's identity in it. Raises NodeRefused if it has expired."""
        check_group(invitation.group)
        path = f"namespaces/{invitation.group}/join"
        answer = await self._admin(
            "POST", path, dict(invitation.document), seconds=GOVERNANCE_TIMEOUT, quiet=True
        )
        identity = _parse(_Joined, answer).member_identity
        _log.info("Joined group %s.", invitation.group, extra={"group": invitation.group, "member": identity})
        return identity

    async def group_contexts(self, group: str) -> list[str]:
        """The contexts of a group, joined or not. Raises NodeRefused if this node is not a member of it."""
        check_group(group)
        rows = await self._admin("GET", f"groups/{group}/contexts")
        if not isinstance(rows, list):
            raise BadAnswer("The node does not list the group's contexts.")
        return [_parse(_GroupContext, row).context_id for row in rows]

    async def join_context(self, context: str) -> str:
        """Join a context of a namespace this node is a member of; returns its identity there."""
        decode_id(context, "context")
        answer = await self._admin(
            "POST", f"contexts/{context}/join", {}, seconds=GOVERNANCE_TIMEOUT, of=context
        )
        identity = _parse(_JoinedContext, answer).member_public_key
        _log.info("Joined context %s.", context, extra={"context": context, "member": identity})
        return identity

    async def remove_member(self, group: str, identity: str) -> None:
        """Remove a member. It keeps the data it has, but receives no later writes."""
        check_group(group)
        decode_id(identity, "member")
        path, body = f"groups/{group}/members/remove", {"members": [identity]}
        await self._admin("POST", path, body, seconds=GOVERNANCE_TIMEOUT)
        _log.info(
            "Removed member %s from group %s.", identity, group, extra={"group": group, "member": identity}
        )

    async def peers(self) -> int:
        """The number of connected nodes."""
        return _parse(_Peers, await self._admin("GET", "peers")).count

    async def is_synchronised(self, context: str) -> bool:
        """Whether it has a context's state.

        The reported progress is not reliable: a node without peers may report that it is synchronising for
        ever."""
        decode_id(context, "context")
        result = await self._call("sync_status", {"contextId": context}, context, "sync_status")
        return result.get("isInitialized") is True

    # --- how it is asked

    async def _namespace(self, application: str) -> str:
        """This node's own namespace for an application, so that it has one identity in all its contexts.

        Namespaces it joined are not its own: only an administrator can have claims signed.
        """
        rows = await self._admin("GET", "namespaces")
        if not isinstance(rows, list):
            raise BadAnswer("The node does not list its namespaces.")
        for row in (_parse(_Namespace, row) for row in rows):
            if row.target_application_id == application:
                group = row.namespace_id
                found = _parse(_Members, await self._admin("GET", f"groups/{group}/members"))
                if _Member(identity=found.self_identity, role="Admin") in found.members:
                    return group
        body = {"applicationId": application, "upgradePolicy": "LazyOnAccess"}
        answer = await self._admin("POST", "namespaces", body, seconds=GOVERNANCE_TIMEOUT)
        return _parse(_NamespaceMade, answer).namespace_id

    async def _context(self, row: _ContextRow) -> CalimeroContext | None:
        """Convert a row of the list; None if this node was removed from the namespace."""
        owned = _parse(_Identities, await self._admin("GET", f"contexts/{row.id}/identities-owned"))
        if not owned.identities:
            return None
        group = row.group_id
        if group is None:
            group = _parse_group(await self._admin("GET", f"contexts/{row.id}/group"))
        return CalimeroContext(row.id, group, owned.identities[0], row.application_id)

    async def _admin(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        seconds: float = TIMEOUT,
        of: str = "",
        quiet: bool = False,
    ) -> Any:
        """An administrative call about the context `of`. With `quiet`, errors do not quote the answer."""
        status, content = await self._send(method, f"/admin-api/{path}", body, seconds)
        answer = _json(content)
        if status == 200:
            if answer is None:
                raise BadAnswer(f"The node's answer to {path.split('/')[0]} is not JSON.")
            wrapped = isinstance(answer, dict) and answer.get("data") is not None
            return answer["data"] if wrapped else answer
        said = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(said, str):
            said = content.decode(errors="replace")
        if status == 404:
            if of and said:
                raise UnknownContext(of)
            raise BadAnswer("The node does not have this call; it may have another version.")
        if (failed := _execution_error(said, "init")) is not None:
            raise failed
        raise NodeRefused(f"The node refused: {'no reason is shown' if quiet else _printable(said)}.")

    async def _call(
        self, name: str, parameters: Mapping[str, Any], context: str, method: str
    ) -> dict[str, Any]:
        """A JSON-RPC call. Errors quote nothing of the answer, because it may contain arguments."""
        body = {"jsonrpc": "2.0", "id": 1, "method": name, "params": parameters}
        status, content = await self._send("POST", "/jsonrpc", body, TIMEOUT)
        if status == 413:
            raise InputError("The arguments are too large for the node.")
        answer = _json(content)
        if status != 200 or not isinstance(answer, dict):
            raise BadAnswer(f"The node answered a call with HTTP status {status}.")
        if (error := answer.get("error")) is not None:
            raise _call_error(error, context, method)
        result = answer.get("result")
        if not isinstance(result, dict):
            raise BadAnswer("The node answered a call with neither result nor error.")
        return result

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float
    ) -> tuple[int, bytes]:
        """Send a request, and repeat it if a new token was needed. Returns status and content."""
        for last in (False, True):
            used = self._tokens
            status, content = await self._send_once(method, path, body, seconds, used)
            if status != 401:
                return status, content
            if last or self._credentials is None:
                break
            await self._authorise(used)
        raise NodeRefused(
            f"The node at {self._url} refused the login.",
            hint="" if self._credentials else "It requires a user name and a password.",
        )

    async def _send_once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        seconds: float,
        tokens: _Tokens | None,
    ) -> tuple[int, bytes]:
        try:
            async with self._session.request(
                method,
                self._url + path,
                # A stream, because aiohttp warns about other large bodies.
                data=None if body is None else io.BytesIO(json.dumps(body).encode()),
                headers=_authorisation(tokens) | {"Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                content = await _content(response)
        except TimeoutError:
            _log.debug("%s %s: no answer within %.0f s.", method, path, seconds)
            raise self._unavailable(f"no answer within {seconds:.0f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            _log.debug("%s %s: %s.", method, path, type(error).__name__)
            raise self._unavailable(type(error).__name__) from None
        _log.debug(
            "%s %s: HTTP %d, %d bytes.",
            method,
            path,
            response.status,
            len(content),
            extra={"method": method, "path": path, "status": response.status, "bytes": len(content)},
        )
        return response.status, content

    async def _authorise(self, stale: _Tokens | None) -> None:
        """Get new tokens, unless a concurrent call did. Nodes refresh a token only after it has expired."""
        async with self._login:
            if self._tokens is not stale:
                return
            assert self._credentials is not None
            if stale is not None:
                body = {"access_token": stale.access_token, "refresh_token": stale.refresh_token}
                status, content = await self._send_once("POST", "/auth/refresh", body, TIMEOUT, None)
                if status == 200:
                    self._tokens = _tokens(content)
                    return
            login = {
                "auth_method": "user_password",
                "public_key": "medsync",
                "client_name": "medsync",
                "timestamp": int(time.time()),
                "permissions": ["admin"],
                "provider_data": {
                    "username": self._credentials.username,
                    "password": self._credentials.password,
                },
            }
            status, content = await self._send_once("POST", "/auth/token", login, TIMEOUT, None)
            if status != 200:
                raise NodeRefused(f"The node at {self._url} refused user name and password.")
            self._tokens = _tokens(content)

    async def _subscription(self, context: str) -> AsyncGenerator[NodeEvent, None]:
        """The events of a single connection."""
        used = self._tokens
        async with self._session.get(
            self._url + "/sse",
            headers=_authorisation(used),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=TIMEOUT),
            allow_redirects=False,
        ) as response:
            if response.status == 401 and self._credentials is not None:
                await self._authorise(used)
                return
            if response.status != 200:
                raise NodeRefused(f"The node refused a subscription with HTTP status {response.status}.")
            last = 0
            async for number, message in _messages(response):
                if message.get("type") == "connect":
                    await self._subscribe(str(message.get("session_id")), context)
                    yield NodeEvent((await self.state(context)).root)
                    continue
                if message.get("type") == "close":
                    return
                # The greeting and the first event have the same number.
                events = _events(message, context) if last <= number <= last + 1 else None
                last = number
                for event in [NodeEvent((await self.state(context)).root)] if events is None else events:
                    yield event

    async def _subscribe(self, session: str, context: str) -> None:
        body = {"id": session, "method": "subscribe", "params": {"contextIds": [context]}}
        status, _ = await self._send("POST", "/sse/subscription", body, TIMEOUT)
        if status != 200:
            raise BadAnswer(f"The node answered a subscription with HTTP status {status}.")

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise NodeUnavailable("The client is closed.")
        if self._opened is None:
            # A reused connection that the node has closed would fail a call, which cannot simply be repeated.
            connector = aiohttp.TCPConnector(force_close=True)
            self._opened = aiohttp.ClientSession(connector=connector)
        return self._opened

    def _unavailable(self, reason: str) -> NodeUnavailable:
        return NodeUnavailable(f"No Calimero node answers at {self._url}: {reason}.")


def _id(text: str) -> str:
    try:
        decode_id(text, "id")
    except InputError as error:
        raise ValueError(error.message) from None
    return text


def _group(text: str) -> str:
    try:
        check_group(text)
    except InputError as error:
        raise ValueError(error.message) from None
    return text


def _hash(raw: object) -> bytes:
    if not isinstance(raw, list) or len(raw) != 32 or not all(type(byte) is int for byte in raw):
        raise ValueError("must be 32 bytes")
    return bytes(raw)


Id = Annotated[str, AfterValidator(_id)]
Group = Annotated[str, AfterValidator(_group)]
Hash = Annotated[bytes, BeforeValidator(_hash)]


class _Answer(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        hide_input_in_errors=True,
        alias_generator=to_camel,
        populate_by_name=True,
    )


class _Installed(_Answer):
    application_id: Id


class _NamespaceMade(_Answer):
    namespace_id: Group


class _Namespace(_Answer):
    namespace_id: Group
    target_application_id: Id


class _Created(_Answer):
    context_id: Id
    member_public_key: Id
    group_id: Group


class _ContextRow(_Answer):
    id: Id
    application_id: Id
    context_state_hash: Id
    dag_heads: list[Hash]
    group_id: Group | None = None


class _Contexts(_Answer):
    contexts: list[_ContextRow]


class _GroupContext(_Answer):
    context_id: Id


class _Identities(_Answer):
    identities: list[Id]


class _Member(_Answer):
    identity: Id
    role: str


class _Members(_Answer):
    members: list[_Member]
    self_identity: Id


class _Invited(_Answer):
    invitation: dict[str, Any] = Field(repr=False)
    group_name: str | None = None


class _Joined(_Answer):
    #: Later releases call it an account.
    member_identity: Id = Field(validation_alias=AliasChoices("memberIdentity", "memberAccount"))


class _JoinedContext(_Answer):
    member_public_key: Id = Field(validation_alias=AliasChoices("memberPublicKey", "memberAccount"))


class _Peers(_Answer):
    count: int


class _Proof(_Answer):
    signer_public_key: Id
    signed_payload: Base64
    signature: Base64


class _Tokens(_Answer):
    access_token: str = Field(repr=False, alias="access_token", min_length=1)
    refresh_token: str = Field(repr=False, alias="refresh_token", min_length=1)


A = TypeVar("A", bound=_Answer)


def _parse(model: type[A], answer: Any) -> A:
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        wrong = sorted({".".join(map(str, item["loc"])) or "everything" for item in error.errors()})
        raise BadAnswer(f"The node's answer cannot be understood: {', '.join(wrong)}.") from None


def _parse_group(answer: Any) -> str:
    try:
        return _group(answer)
    except (ValueError, TypeError):
        raise BadAnswer("The node's answer cannot be understood: group.") from None


def _tokens(content: bytes) -> _Tokens:
    answer = _json(content)
    return _parse(_Tokens, answer.get("data", answer) if isinstance(answer, dict) else answer)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


async def _content(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_ANSWER:
            raise BadAnswer(f"The node's answer has more than {MAX_ANSWER} bytes.")
    return bytes(content)


def _authorisation(tokens: _Tokens | None) -> dict[str, str]:
    return {} if tokens is None else {"Authorization": f"Bearer {tokens.access_token}"}


async def _messages(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """Server-sent events: the number at the end of each event's id, and its data."""
    buffer, number, data = b"", 0, b""
    async for chunk in response.content.iter_any():
        *lines, buffer = (buffer + chunk).split(b"\n")
        if len(buffer) > MAX_ANSWER:
            raise BadAnswer(f"The node sent an event of more than {MAX_ANSWER} bytes.")
        for line in lines:
            name, _, value = line.rstrip(b"\r").partition(b":")
            value = value.removeprefix(b" ")
            if name == b"id" and (match := re.search(rb"-(\d{1,18})$", value)):
                number = int(match[1])
            elif name == b"data":
                data += value
            elif not name and not value and data:
                message = _json(data)
                data = b""
                yield number, message if isinstance(message, dict) else {}


def _events(message: dict[str, Any], context: str) -> list[NodeEvent] | None:
    """The events of a message; None if it cannot be parsed or does not describe the change."""
    try:
        result = message["result"]
        if result["contextId"] != context:
            return []
        if result["type"] != "StateMutation":
            return None
        root = decode_id(result["data"]["newRoot"], "root")
        return [
            NodeEvent(root, str(event["kind"]), json.loads(bytes(event["data"])))
            for event in result["data"]["events"]
        ] or [NodeEvent(root)]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _call_error(error: Any, context: str, method: str) -> NodeError | InputError:
    kind, said = (error.get("type"), error.get("data")) if isinstance(error, dict) else (None, None)
    if kind == "ContextNotFound" or said == "No owned identity found for this context":
        return UnknownContext(context)
    if kind == "Unauthorized":
        return NodeRefused("The node is not allowed to do that in this context.")
    if kind in ("Uninitialized", "GroupKeyPending", "UpgradeInProgress"):
        return NodeUnavailable(
            "The node has not yet received the required data from its peers.", hint="Try again."
        )
    if kind == "FunctionCallError" and isinstance(said, str):
        return _execution_error(said, method) or ExecutionFailed(Failure.TRAP)
    return BadAnswer("The node answered a call with an internal error.")


def _execution_error(said: str, method: str) -> NodeError | None:
    """The failure of an execution. An error returned by the method is given as the bytes of its JSON."""
    if match := re.search(r"the method call returned an error: \[([\d, ]*)\]", said):
        numbers = [int(number) for number in re.findall(r"\d{1,3}", match[1])]
        return ApplicationError.of(bytes(number & 255 for number in numbers), method)
    if re.fullmatch(r'method ".*" not found', said):
        return ExecutionFailed(Failure.UNKNOWN_METHOD)
    return ExecutionFailed(Failure.PANIC) if "guest panicked" in said else None


def _printable(said: str) -> str:
    return re.sub(r"[^\x20-\x7e]+", " ", said).strip()[:200] or "without a reason"


def _absolute(path: Path) -> str:
    return str(path.absolute())


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise InputError("The node's address is not a URL.") from None
    if not host or parts.username is not None or parts.query or parts.fragment:
        raise InputError("The node's address must be http(s)://host[:port], without a password in it.")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return url.rstrip("/")
    raise InputError(
        "Remote nodes require https.",
        hint="Plain http is only allowed on the loopback interface; put a TLS proxy in front of the node.",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

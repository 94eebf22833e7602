"""The interface of a private node of any kind, and the verification of a node's signed claim.

A node runs instances of an application (contexts) and stores their state. Two implementations pass the same
tests: `EmbeddedNode`, an in-process host for Calimero applications, and `CalimeroNode`, a client of a real
node.

Ids have Calimero's format: applications, contexts and members are base58 of 32 bytes, groups are 64
lower-case hexadecimal digits.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import base58
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from medsync.errors import ExitCode, InputError, MedSyncError, VerificationError
from medsync.protocol.anchor import NodeKind
from medsync.protocol.commitments import parse_json

#: Maximum size of arguments as JSON in bytes, the limit of a real node's requests.
MAX_ARGUMENTS: Final = 2 * 1024 * 1024 - 1024
#: Maximum validity of a claim in milliseconds; nodes shorten longer ones to it.
MAX_CLAIM_LIFE: Final = 300_000
#: Tolerated clock difference in seconds.
CLOCK_SKEW: Final = 60


# --- errors ---


class NodeError(MedSyncError):
    """A private node failed. The message contains nothing of arguments or records."""

    code = "NODE"


class ApplicationError(NodeError):
    """The application refused the call with the reason `code`, such as `EXISTS`. Nothing was changed."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED

    def __init__(self, code: str, method: str) -> None:
        self.code = code
        self.method = method
        super().__init__(f"The application refused {method}: {code}.")

    @classmethod
    def of(cls, output: bytes, method: str) -> ApplicationError:
        """The error in the JSON returned by a method, with the code `APPLICATION` for unknown JSON."""
        try:
            code = json.loads(output)
        except (ValueError, RecursionError):
            code = None
        known = isinstance(code, str) and re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", code)
        return cls(code if known else "APPLICATION", method)


class Failure(StrEnum):
    """The reason why an execution ended without a result."""

    UNKNOWN_METHOD = "the application has no such method"
    PANIC = "the application panicked, as it does when an argument is missing or has the wrong type"
    LIMIT = "the application exceeded a limit of the node"
    TRAP = "the application stopped"
    INCONSISTENT = "the application committed a state without a delta"


class ExecutionFailed(NodeError):
    """The execution ended without a result because of `failure`. Nothing was changed."""

    code = "EXECUTION_FAILED"

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(f"The method failed: {failure}.")


class UnknownContext(NodeError):
    """The node does not have the context, or is no longer a member of it."""

    code = "UNKNOWN_CONTEXT"
    exit_code: ClassVar[ExitCode] = ExitCode.BAD_INPUT

    def __init__(self, context: str) -> None:
        super().__init__(f"The node is not a member of the context {context}.")


class NodeUnavailable(NodeError):
    """The node did not answer. Whether the call took effect is unknown."""

    code = "UNREACHABLE"
    exit_code: ClassVar[ExitCode] = ExitCode.UNREACHABLE


class NodeRefused(NodeError):
    """The node refused: the caller is not authorised, or the operation is not allowed."""

    code = "REFUSED"
    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED


class BadAnswer(NodeError):
    """The node's answer violates its protocol; it may have another version."""

    code = "BAD_ANSWER"
    exit_code: ClassVar[ExitCode] = ExitCode.UNREACHABLE


# --- what is asked and answered ---


@dataclass(frozen=True, slots=True)
class Health:
    """The self-description of a node that answers."""

    kind: NodeKind
    description: str


@dataclass(frozen=True, slots=True)
class CalimeroContext:
    """An instance of an application, and this node's identity in it."""

    #: base58.
    id: str
    #: The group it belongs to: 64 hexadecimal digits.
    group: str
    #: This node's identity in it: an ed25519 public key in base58.
    member: str
    #: base58.
    application: str = ""


@dataclass(frozen=True, slots=True)
class ContextState:
    """This node's current view of a context's replicated state. Members may differ temporarily."""

    #: 32 bytes.
    root: bytes
    #: Ids of the newest deltas, 32 bytes each, sorted.
    heads: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """An event in a context.

    An event without a `kind` means that events may have been missed, or that the change is unknown: read the
    state again.
    """

    #: The state root after the event, 32 bytes.
    root: bytes
    kind: str | None = None
    #: The event's JSON.
    data: Any = field(default=None, repr=False)
    #: The cursor for `events`; None if the node stores no events.
    cursor: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A request for a signed claim. Raises InputError for a request that nodes do not accept."""

    #: The relying party, at most 256 characters.
    audience: str
    #: The claim, at most 512 characters.
    subject: str
    #: Hexadecimal digits, an even number from 32 to 128.
    nonce: str
    #: Validity in milliseconds, at most 300,000.
    life_ms: int = MAX_CLAIM_LIFE

    def __post_init__(self) -> None:
        if not 0 < len(self.audience.encode()) <= 256 or not 0 < len(self.subject.encode()) <= 512:
            raise InputError("A claim's audience has 1 to 256 bytes, its subject 1 to 512.")
        if not re.fullmatch(r"(?:[0-9a-f]{2}){16,64}", self.nonce):
            raise InputError("A claim's nonce has 32 to 128 lower-case hexadecimal digits, an even number.")
        if not 0 < self.life_ms <= MAX_CLAIM_LIFE:
            raise InputError(f"A claim is valid for 1 to {MAX_CLAIM_LIFE} milliseconds.")


@dataclass(frozen=True, slots=True)
class SignedClaim:
    """A claim signed by a node. It shows that the operator requested it then, not what was executed."""

    #: ed25519 public key, 32 bytes.
    signer: bytes
    #: JSON.
    payload: bytes
    #: 64 bytes, over the domain of the node's kind and the payload.
    signature: bytes


class PrivateNode(Protocol):
    """A private node. Every call may raise NodeUnavailable, NodeRefused or BadAnswer."""

    kind: NodeKind

    async def health(self) -> Health:
        """The node's self-description, if it answers."""

    async def install(self, bundle: Path) -> str:
        """Install a signed application bundle (.mpk) and return the application's id.

        The id depends on package and signer only: a newer version has the same. Raises InputError for a
        bundle that cannot be read or is not signed by the stated signer.
        """

    async def create_context(self, application: str, arguments: Mapping[str, Any]) -> CalimeroContext:
        """Start an instance, with the arguments of the application's `init`. Raises as `execute`."""

    async def contexts(self) -> list[CalimeroContext]:
        """All contexts this node is a member of."""

    async def execute(self, context: str, method: str, arguments: Mapping[str, Any]) -> Any:
        """Call a method and return its JSON value. Its changes are durable when this returns.

        Raises InputError for an invalid id, a method that cannot be called externally, or more than 2 MB of
        arguments; UnknownContext; ApplicationError if the application refused; ExecutionFailed if it failed.
        """

    async def state(self, context: str) -> ContextState:
        """This node's replicated state. Raises InputError or UnknownContext."""

    def events(self, context: str, after: int | None = None) -> AsyncIterator[NodeEvent]:
        """Events from now on, or after the event with the cursor `after` if the node still has them.

        The first event has no kind unless the node can continue at `after`. Ends when the node is closed.
        Raises UnknownContext.
        """

    async def attest(self, context: CalimeroContext, claim: ClaimRequest) -> SignedClaim:
        """Ask the node to sign a claim, to be verified with `verify_claim`. Raises UnknownContext."""

    async def compact(self) -> bool:
        """Purge removed data from the node's files. Returns False if the node decides when to do that."""

    async def close(self) -> None:
        """Close the node. Does nothing if it is closed."""


# --- what is checked before a node is asked ---


def decode_id(text: str, what: str) -> bytes:
    """Decode a base58 id to 32 bytes. Raises InputError naming `what` for an invalid id.

    Invalid ids are never sent to a node: a real node logs the whole request if it cannot parse an id in it.
    """
    try:
        raw = base58.b58decode(text)
    except (ValueError, UnicodeEncodeError):
        raw = b""
    if len(raw) != 32 or base58.b58encode(raw).decode() != text:
        raise InputError(f"The {what} must be base58 of 32 bytes.")
    return raw


def encode_id(raw: bytes) -> str:
    """32 bytes in base58."""
    return base58.b58encode(raw).decode()


def check_group(text: str) -> None:
    """Raise InputError unless the text is a group's id."""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise InputError("The group must be 64 lower-case hexadecimal digits.")


def check_method(method: str) -> None:
    """Raise InputError unless the method may be called externally.

    `init` runs when a context is created; names with a leading underscore are internal to application and
    node.
    """
    if method == "init" or not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", method):
        raise InputError("The method name is invalid or reserved.")


def encode_arguments(arguments: Mapping[str, Any]) -> bytes:
    """Encode arguments as JSON. Raises InputError if they have no JSON form or are too large."""
    try:
        text = json.dumps(dict(arguments), separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise InputError("The arguments have no JSON form.") from None
    if len(text) > MAX_ARGUMENTS:
        raise InputError(f"The arguments have {len(text)} bytes; {MAX_ARGUMENTS} are allowed.")
    return text


# --- verifying a claim ---

_CLAIM_FIELDS: Final = {
    "v": int,
    "audience": str,
    "group_id": str,
    "issuer_identity": str,
    "context_id": str,
    "subject": str,
    "nonce": str,
    "issued_at_ms": int,
    "expires_at_ms": int,
}


def claim_payload(context: CalimeroContext, request: ClaimRequest, issued_at_ms: int) -> bytes:
    """The payload signed by a node, with the fields and order of Calimero's version 1."""
    return json.dumps(
        {
            "v": 1,
            "audience": request.audience,
            "group_id": context.group,
            "issuer_identity": context.member,
            "context_id": context.id,
            "subject": request.subject,
            "nonce": request.nonce,
            "issued_at_ms": issued_at_ms,
            "expires_at_ms": issued_at_ms + request.life_ms,
        },
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


def verify_claim(
    claim: SignedClaim,
    *,
    kind: NodeKind,
    context: CalimeroContext,
    request: ClaimRequest,
    now: float | None = None,
) -> None:
    """Check that a node of that kind signed exactly the requested claim, in that context, and recently.

    `now` is in unix seconds, by default the current time; clocks may differ by a minute. Raises
    VerificationError listing all faults.
    """
    wrong: list[str] = []
    try:
        key = Ed25519PublicKey.from_public_bytes(claim.signer)
        key.verify(claim.signature, kind.claim_domain + claim.payload)
    except (InvalidSignature, ValueError):
        wrong.append(f"the signature is not one of a {kind} node with the key it names")
    if encode_id(claim.signer) != context.member:
        wrong.append("the signer is not the context's member")
    try:
        payload = parse_json(claim.payload)
    except InputError:
        payload = None
    if (
        not isinstance(payload, dict)
        or set(payload) != set(_CLAIM_FIELDS)
        or any(type(payload[name]) is not expected for name, expected in _CLAIM_FIELDS.items())
    ):
        raise VerificationError(
            "The node's claim does not hold:", findings=[*wrong, "its payload is not a claim"]
        )
    expected = {
        "v": 1,
        "audience": request.audience,
        "group_id": context.group,
        "issuer_identity": context.member,
        "context_id": context.id,
        "subject": request.subject,
        "nonce": request.nonce,
    }
    wrong += [f"{name} is another" for name, value in expected.items() if payload[name] != value]
    issued, expires = payload["issued_at_ms"], payload["expires_at_ms"]
    at, skew = (time.time() if now is None else now) * 1000, CLOCK_SKEW * 1000
    if not 0 < expires - issued <= MAX_CLAIM_LIFE:
        wrong.append("it is valid for longer than five minutes, or never")
    if issued > at + skew:
        wrong.append("it was issued in the future")
    if expires <= at - skew:
        wrong.append("it has expired")
    if wrong:
        raise VerificationError("The node's claim does not hold:", findings=wrong)

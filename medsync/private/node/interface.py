"""What MedSync asks of a private node, whichever kind it is, and how a node's signed claim is verified.

A node runs instances of an application (contexts) and keeps their state. Two implementations pass the same
tests: `EmbeddedNode`, an in-process host for Calimero applications; `CalimeroNode`, a client of a real node.

Ids are as Calimero writes them: applications, contexts and members in base58 of 32 bytes, groups in 64
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

#: Bytes of arguments, as JSON: a real node accepts no larger request.
MAX_ARGUMENTS: Final = 2 * 1024 * 1024 - 1024
#: Milliseconds a claim is valid at most; a node cuts longer ones to this.
MAX_CLAIM_LIFE: Final = 300_000
#: Seconds two clocks may differ.
CLOCK_SKEW: Final = 60


# --- errors -------------------------------------------------------------------------------------------------


class NodeError(MedSyncError):
    """A private node could not do what was asked. Nothing of arguments or records is in its message."""

    code = "NODE"


class ApplicationError(NodeError):
    """The application refused, for the reason in `code`, such as `EXISTS`. Nothing was changed."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED

    def __init__(self, code: str, method: str) -> None:
        self.code = code
        self.method = method
        super().__init__(f"The application refused {method}: {code}.")

    @classmethod
    def of(cls, output: bytes, method: str) -> ApplicationError:
        """The error from the JSON a method returned; `APPLICATION` if that is no code and might say more."""
        try:
            code = json.loads(output)
        except (ValueError, RecursionError):
            code = None
        known = isinstance(code, str) and re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", code)
        return cls(code if known else "APPLICATION", method)


class Failure(StrEnum):
    """Why an execution ended without an answer of the application."""

    UNKNOWN_METHOD = "the application has no such method"
    PANIC = "the application panicked, as it does when an argument is missing or has the wrong type"
    LIMIT = "the application exceeded a limit of the node"
    TRAP = "the application stopped"
    INCONSISTENT = "the application committed a state without saying what changed"


class ExecutionFailed(NodeError):
    """The application did not get as far as an answer, for the `failure`. Nothing was changed."""

    code = "EXECUTION_FAILED"

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(f"The method failed: {failure}.")


class UnknownContext(NodeError):
    """The node has no such context, or is no member of it any more."""

    code = "UNKNOWN_CONTEXT"
    exit_code: ClassVar[ExitCode] = ExitCode.BAD_INPUT

    def __init__(self, context: str) -> None:
        super().__init__(f"The node is no member of the context {context}.")


class NodeUnavailable(NodeError):
    """No answer: whether a call that was sent took effect is unknown."""

    code = "UNREACHABLE"
    exit_code: ClassVar[ExitCode] = ExitCode.UNREACHABLE


class NodeRefused(NodeError):
    """The node refused: who asks is not authorised, or it may not be done at all."""

    code = "REFUSED"
    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED


class BadAnswer(NodeError):
    """The node answered outside its protocol; perhaps it has another version."""

    code = "BAD_ANSWER"
    exit_code: ClassVar[ExitCode] = ExitCode.UNREACHABLE


# --- what is asked and answered -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Health:
    """A node that answers, and what it says of itself."""

    kind: NodeKind
    description: str


@dataclass(frozen=True, slots=True)
class CalimeroContext:
    """An instance of an application, and who this node is in it."""

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
    """What this node believes a context's replicated state to be, now. Members may differ for a moment."""

    #: 32 bytes.
    root: bytes
    #: Ids of the newest deltas, 32 bytes each, sorted.
    heads: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """Something that happened in a context.

    Without a `kind` it says that events may have been missed, or that none tells what changed: read the state
    anew.
    """

    #: 32 bytes: the root after it.
    root: bytes
    kind: str | None = None
    #: The event's JSON.
    data: Any = field(default=None, repr=False)
    #: Where to continue, for `events`; None where the node keeps no events.
    cursor: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What a node is asked to sign. Raises InputError for what no node would."""

    #: Who is meant to rely on it: at most 256 characters.
    audience: str
    #: What is claimed: at most 512 characters.
    subject: str
    #: Hexadecimal digits, an even number from 32 to 128.
    nonce: str
    #: Milliseconds it shall be valid, at most 300,000.
    life_ms: int = MAX_CLAIM_LIFE

    def __post_init__(self) -> None:
        if not 0 < len(self.audience.encode()) <= 256 or not 0 < len(self.subject.encode()) <= 512:
            raise InputError("A claim's audience has 1 to 256 bytes, its subject 1 to 512.")
        if not re.fullmatch(r"(?:[0-9a-f]{2}){16,64}", self.nonce):
            raise InputError("A claim's nonce has 32 to 128 lower-case hexadecimal digits, an even number.")
        if not 0 < self.life_ms <= MAX_CLAIM_LIFE:
            raise InputError(f"A claim is valid for 1 to {MAX_CLAIM_LIFE} milliseconds.")


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim a node signed: that its operator had it sign this, then. It proves no execution."""

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
        """What it says of itself, if it answers."""

    async def install(self, bundle: Path) -> str:
        """Install a signed application bundle (.mpk) and return the application's id.

        The id depends on package and signer only: a newer version has the same. Raises InputError for a
        bundle that cannot be read or is not signed by who it says.
        """

    async def create_context(self, application: str, arguments: Mapping[str, Any]) -> CalimeroContext:
        """Start an instance, with the arguments of the application's `init`. Raises as `execute`."""

    async def contexts(self) -> list[CalimeroContext]:
        """All contexts this node is a member of."""

    async def execute(self, context: str, method: str, arguments: Mapping[str, Any]) -> Any:
        """Call a method and return its JSON value. What it changed is durable when this returns.

        Raises InputError for what is no id, no method to call from outside, or more than 2 MB of arguments;
        UnknownContext; ApplicationError if the application refused; ExecutionFailed if it got not so far.
        """

    async def state(self, context: str) -> ContextState:
        """The replicated state this node has. Raises InputError or UnknownContext."""

    def events(self, context: str, after: int | None = None) -> AsyncIterator[NodeEvent]:
        """What happens from now on, or after the event with the cursor `after` if the node kept all since.

        The first event has no kind unless `after` could be honoured. Ends when the node is closed; raises
        UnknownContext.
        """

    async def attest(self, context: CalimeroContext, claim: ClaimRequest) -> Claim:
        """Have the node sign a claim. The caller verifies it, with `verify_claim`. Raises UnknownContext."""

    async def compact(self) -> bool:
        """Leave nothing of what applications removed in the node's files; False if it decides that itself."""

    async def close(self) -> None:
        """End it; a second time does nothing."""


# --- what is checked before a node is asked -----------------------------------------------------------------


def decode_id(text: str, what: str) -> bytes:
    """The 32 bytes of a base58 id, for one of a context. Raises InputError, naming `what`, for another text.

    Nothing else is ever sent to a node: a real one logs the whole request if it cannot read an id in it.
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
    """Raise InputError unless it is a group's id."""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise InputError("The group must be 64 lower-case hexadecimal digits.")


def check_method(method: str) -> None:
    """Raise InputError unless it is a method to be called from outside.

    `init` runs when a context is created; what begins with an underscore is between application and node.
    """
    if method == "init" or not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", method):
        raise InputError("That is no method that may be called.")


def encode_arguments(arguments: Mapping[str, Any]) -> bytes:
    """Arguments as JSON. Raises InputError for what JSON cannot hold, or too much of it."""
    try:
        text = json.dumps(dict(arguments), separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise InputError("The arguments have no JSON form.") from None
    if len(text) > MAX_ARGUMENTS:
        raise InputError(f"The arguments have {len(text)} bytes; {MAX_ARGUMENTS} are allowed.")
    return text


# --- verifying a claim --------------------------------------------------------------------------------------

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
    """The payload a node signs: the fields and their order are Calimero's, version 1."""
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
    claim: Claim, *, kind: NodeKind, context: CalimeroContext, request: ClaimRequest, now: float | None = None
) -> None:
    """Check that a node of that kind signed exactly what was requested, in that context, and not long ago.

    `now` is unix seconds, the present if None; clocks may differ by a minute. Raises VerificationError with
    everything that is wrong.
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
            "The node's claim does not hold:", findings=[*wrong, "its payload is no claim"]
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

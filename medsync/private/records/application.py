"""Typed access to MedSync's application on a private node (`private-records/`).

`RecordsApp` is one context; its methods are those of the application. `RecordStore` combines all contexts of
a node: a context has a bounded number of records, because the time of a write is proportional to their
number, and the store opens a new context when the last one is full.

Calls raise ApplicationError with the application's code (such as `EXISTS`), and the errors of the node.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from medsync.errors import InputError
from medsync.private.keys.keys import RecordVersion
from medsync.private.node.interface import (
    ApplicationError,
    BadAnswer,
    CalimeroContext,
    PrivateNode,
    UnknownContext,
    decode_id,
)
from medsync.private.schema import Base64, Felt, Hex32, RecordId, Schema

if TYPE_CHECKING:
    from medsync.private.records.sealing import SealedRecord
    from medsync.private.records.tickets import Presentation

#: The application's maximum numbers of items per page and of records per context.
PAGE: Final = 500
MAX_CAPACITY: Final = 10_000
_ROTATION_DOMAIN: Final = b"medsync.bridge-rotation.v1\0"


# --- what the application answers ---


class Status(Schema):
    """The configuration and size of an instance. The counts are those of this node."""

    #: The application's version.
    version: str
    #: Maximum number of records, including erased ones.
    capacity: int
    #: Records that are not erased.
    records: int
    erased: int
    #: Numbers of releases and refusals with a receipt, and of refusals without room for one.
    receipts: int
    refusals: int
    uncounted: int
    configured: bool
    bridge_key: Hex32 | None
    #: The chain, and the contract on it, whose log authorises releases.
    chain: Felt | None
    contract: Felt | None


class WrappedKeys(Schema):
    """A record's data key, wrapped for each recipient. Never replicated."""

    version: int
    #: By the recipient's X25519 key in hexadecimal.
    keys: dict[str, Base64] = Field(repr=False)


class RecordView(Schema):
    """A record in the replicated state of the context."""

    id: RecordId
    version: int
    commitment: Felt
    #: Commitments of earlier versions, oldest first.
    former: list[Felt]
    categories: int
    #: Salted commitment of the underlying consent, or 0.
    consent: Felt
    erased: bool


class Receipt(Schema):
    """The receipt of a ticket's presentation, with its outcome."""

    #: SHA-256 of the ticket's text.
    ticket: Hex32
    outcome: Literal["RELEASED", "REFUSED"]
    #: Why it was refused.
    reason: str | None
    #: From the ticket; None unless the bridge signed it.
    digest: Felt | None
    commitment: Felt | None
    accessor: Felt | None
    #: Unix seconds.
    at: int


class RecordOperation(Schema):
    """A version of a record was stored."""

    kind: Literal["RECORD"]
    seq: int
    id: RecordId
    version: int
    commitment: Felt
    categories: int
    consent: Felt
    at: int


class ErasedOperation(Schema):
    """A record was erased."""

    kind: Literal["ERASED"]
    seq: int
    id: RecordId
    version: int
    at: int


class ReceiptOperation(Receipt):
    """A ticket was presented."""

    kind: Literal["RECEIPT"]
    seq: int


#: An operation on a node, numbered from 0 in each context. The bridge makes a leaf of each.
Operation = RecordOperation | ErasedOperation | ReceiptOperation


class Released(Schema):
    """The outcome of presenting a ticket."""

    outcome: Literal["RELEASED", "REFUSED"]
    #: The reason for a refusal; the other fields are then empty.
    reason: str | None = None
    id: RecordId | None = None
    version: int | None = None
    commitment: Felt | None = None
    ciphertext: Base64 | None = Field(default=None, repr=False)


class _Match(Schema):
    id: RecordId
    version: int
    patient: Felt
    categories: int
    current: bool
    erased: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The record of a commitment, and its context."""

    app: RecordsApp
    id: str
    #: The version with that commitment.
    version: int
    commitment: int
    #: The patient's address and the record's categories; 0 after erasure.
    patient: int
    categories: int
    #: Whether this is the stored version.
    current: bool
    erased: bool


T = TypeVar("T")

_OPERATION: Final[TypeAdapter[Operation]] = TypeAdapter(Annotated[Operation, Field(discriminator="kind")])
_OPERATIONS: Final[TypeAdapter[list[Operation]]] = TypeAdapter(
    list[Annotated[Operation, Field(discriminator="kind")]]
)
_RECORDS: Final = TypeAdapter(list[RecordView])
_RECEIPTS: Final = TypeAdapter(list[Receipt])
_STATUS: Final = TypeAdapter(Status)
_KEYS: Final = TypeAdapter(WrappedKeys)
_RELEASED: Final = TypeAdapter(Released)
_MATCH: Final[TypeAdapter[_Match | None]] = TypeAdapter(_Match | None)
_VERSION: Final = TypeAdapter(Annotated[int, Field(ge=1, strict=True)])
_BOOLEAN: Final = TypeAdapter(Annotated[bool, Field(strict=True)])


def parse_operation(document: Mapping[str, Any]) -> Operation:
    """Parse an operation. Raises BadAnswer, which quotes nothing of it, if it is invalid."""
    return _parse(_OPERATION, document, "operations")


def _parse(adapter: TypeAdapter[T], answer: Any, method: str) -> T:
    try:
        return adapter.validate_python(answer)
    except ValidationError as error:
        wrong = sorted({".".join(map(str, item["loc"])) or "everything" for item in error.errors()})
        raise BadAnswer(
            f"The application's answer to {method} is not understood: {', '.join(wrong)}."
        ) from None


# --- one context ---


class RecordsApp:
    """An instance of the application."""

    def __init__(self, node: PrivateNode, context: CalimeroContext) -> None:
        self.node, self.context = node, context

    async def configure(self, bridge_key: bytes, chain: int, contract: int) -> None:
        """Register the bridge's key and the contract. Fails with `CONFIGURED` if that was done before."""
        await self._call("configure", bridge_key=bridge_key.hex(), chain=hex(chain), contract=hex(contract))

    def rotation_message(self, old_key: bytes, new_key: bytes) -> bytes:
        """The message that the old bridge key signs for `rotate_bridge` in this context."""
        return _ROTATION_DOMAIN + decode_id(self.context.id, "context") + old_key + new_key

    async def rotate_bridge(self, new_key: bytes, signature: bytes) -> None:
        """Replace the bridge's key; the old one signs `rotation_message`."""
        await self._call("rotate_bridge", new_key=new_key.hex(), signature=signature.hex())

    async def put(self, sealed: SealedRecord, *, patient: int, consent: int = 0) -> int:
        """Store a new record; returns its version, 1."""
        return _parse(_VERSION, await self._call("put", record=_record(sealed, patient, consent)), "put")

    async def update(self, sealed: SealedRecord, *, patient: int, consent: int = 0) -> int:
        """Replace a record by its next version, the version of the sealed record."""
        record, version = _record(sealed, patient, consent), sealed.record.version
        return _parse(_VERSION, await self._call("update", record=record, version=version), "update")

    async def keys(self, record: str) -> WrappedKeys:
        """A record's wrapped data key. Fails with `UNKNOWN_RECORD` or `ERASED`."""
        return _parse(_KEYS, await self._call("keys", id=record), "keys")

    async def find(self, commitment: int) -> Found | None:
        """The record of a commitment, if it is on this node."""
        match = _parse(_MATCH, await self._call("find", commitment=hex(commitment)), "find")
        if match is None:
            return None
        return Found(
            app=self,
            id=match.id,
            version=match.version,
            commitment=commitment,
            patient=match.patient,
            categories=match.categories,
            current=match.current,
            erased=match.erased,
        )

    async def release(self, presentation: Presentation) -> Released:
        """Present a ticket. A refusal is also returned and logged."""
        return _parse(_RELEASED, await self._call("release", **presentation.arguments()), "release")

    async def erase(self, record: str) -> bool:
        """Delete a record's ciphertext, keys and private metadata. Returns whether there were any."""
        return _parse(_BOOLEAN, await self._call("erase", id=record), "erase")

    async def records(self, offset: int = 0, limit: int = PAGE) -> list[RecordView]:
        """The replicated records, by id."""
        return _parse(_RECORDS, await self._call("records", offset=offset, limit=limit), "records")

    async def all_records(self) -> AsyncIterator[RecordView]:
        """All replicated records, by id."""
        offset = 0
        while page := await self.records(offset):
            for record in page:
                yield record
            offset += len(page)

    async def operations(self, offset: int = 0, limit: int = PAGE) -> list[Operation]:
        """The operations on this node, in order."""
        answer = await self._call("operations", offset=offset, limit=limit)
        return _parse(_OPERATIONS, answer, "operations")

    async def receipts(self, offset: int = 0, limit: int = PAGE) -> list[Receipt]:
        """The replicated receipts, by time."""
        return _parse(_RECEIPTS, await self._call("receipts", offset=offset, limit=limit), "receipts")

    async def all_receipts(self) -> AsyncIterator[Receipt]:
        """All replicated receipts, by time."""
        offset = 0
        while page := await self.receipts(offset):
            for receipt in page:
                yield receipt
            offset += len(page)

    async def status(self) -> Status:
        """The instance's configuration and size."""
        return _parse(_STATUS, await self._call("status"), "status")

    async def _call(self, method: str, **arguments: Any) -> Any:
        return await self.node.execute(self.context.id, method, arguments)


def _record(sealed: SealedRecord, patient: int, consent: int) -> dict[str, Any]:
    """Convert a sealed record to the application's arguments."""
    record = _NewRecord(
        id=sealed.record.id,
        patient=patient,
        commitment=sealed.record.commitment,
        categories=int(sealed.categories),
        consent=consent,
        ciphertext=sealed.ciphertext,
        keys=dict(sealed.keys),
    )
    return record.model_dump(mode="json")


class _NewRecord(Schema):
    id: RecordId
    patient: Felt
    commitment: Felt
    categories: int
    consent: Felt
    ciphertext: Base64 = Field(repr=False)
    keys: dict[str, Base64] = Field(repr=False)


# --- all contexts of a node ---


class RecordStore:
    """All records on a node, across its contexts. Make one with `create` or `open`."""

    def __init__(self, node: PrivateNode, application: str, apps: Sequence[RecordsApp]) -> None:
        self.node, self.application = node, application
        self._apps = list(apps)
        # Full contexts, and a lock that allows one new context at a time.
        self._full: set[str] = set()
        self._growing = asyncio.Lock()

    @classmethod
    async def create(
        cls,
        node: PrivateNode,
        application: str,
        capacity: int,
        *,
        bridge_key: bytes,
        chain: int,
        contract: int,
    ) -> RecordStore:
        """Start with a first context for `capacity` records, and register bridge, chain and contract."""
        store = cls(node, application, [])
        await store._add(capacity, bridge_key, chain, contract)
        return store

    @classmethod
    async def open(cls, node: PrivateNode, application: str, group: str | None = None) -> RecordStore:
        """Open the configured contexts of the application on the node, optionally only those of `group`.

        An unconfigured context was created just before a crash, and is configured like the others. Contexts
        that the node joined belong to other groups. Raises InputError if no context is configured.
        """
        apps = [
            RecordsApp(node, context)
            for context in await node.contexts()
            if context.application == application and group in (None, context.group)
        ]
        states = [(app, await app.status()) for app in apps]
        configured = [status for _, status in states if status.configured]
        if not configured:
            raise InputError(
                "The node has no records: no context was created, or it joined only as a witness."
            )
        for app, status in states:
            if not status.configured:
                await _configure_like(app, configured[-1])
        return cls(node, application, apps)

    @property
    def apps(self) -> list[RecordsApp]:
        """All contexts."""
        return list(self._apps)

    @property
    def member(self) -> bytes:
        """The node's identity: the ed25519 key that signs its claims."""
        return decode_id(self._apps[0].context.member, "member")

    async def put(self, sealed: SealedRecord, *, patient: int, consent: int = 0) -> int:
        """Store a new record in a context with room, or in a new context."""
        while True:
            for app in self.apps:
                if app.context.id in self._full:
                    continue
                try:
                    return await app.put(sealed, patient=patient, consent=consent)
                except ApplicationError as error:
                    if error.code != "FULL":
                        raise
                    self._full.add(app.context.id)
            await self._grow()

    async def update(self, sealed: SealedRecord, *, patient: int, consent: int = 0) -> int:
        """Replace a record by its next version, in its context."""
        app = await self._holder(sealed.record.id, "update")
        return await app.update(sealed, patient=patient, consent=consent)

    async def version(self, record: str) -> int:
        """The stored version of a record. Fails with `UNKNOWN_RECORD` or `ERASED`."""
        app = await self._holder(record, "version")
        return (await app.keys(record)).version

    async def versions(self, record: str) -> list[RecordVersion]:
        """All versions of a record, even if it was erased; empty for an unknown record."""
        for app in self.apps:
            async for view in app.all_records():
                if view.id == record:
                    commitments = [*view.former, view.commitment]
                    return [RecordVersion(record, number, one) for number, one in enumerate(commitments, 1)]
        return []

    async def find(self, commitment: int) -> Found | None:
        """The record of a commitment, in any context."""
        for app in self.apps:
            if (found := await app.find(commitment)) is not None:
                return found
        return None

    async def release(self, context: str, presentation: Presentation) -> Released:
        """Present a ticket to its context. Raises UnknownContext if that is not on this node."""
        for app in self.apps:
            if app.context.id == context:
                return await app.release(presentation)
        raise UnknownContext(context)

    async def erase(self, record: str) -> bool:
        """Erase a record from its context, and from the node's files if the node supports that.

        Returns whether there was such a record."""
        app = await self._find_holder(record)
        found = app is not None and await app.erase(record)
        await self.node.compact()
        return found

    async def records(self) -> list[RecordView]:
        """The records of all contexts, by context and id."""
        return [record for app in self.apps async for record in app.all_records()]

    async def _holder(self, record: str, method: str) -> RecordsApp:
        """The context of a record, even if it was erased; `method` is named in errors."""
        if (app := await self._find_holder(record)) is None:
            raise ApplicationError("UNKNOWN_RECORD", method)
        return app

    async def _find_holder(self, record: str) -> RecordsApp | None:
        for app in self.apps:
            try:
                await app.keys(record)
            except ApplicationError as error:
                if error.code == "UNKNOWN_RECORD":
                    continue
                if error.code != "ERASED":
                    raise
            return app
        return None

    async def _grow(self) -> None:
        """Add a context configured like the newest one, unless a concurrent call did."""
        async with self._growing:
            if all(app.context.id in self._full for app in self._apps):
                status = await self._apps[-1].status()
                made = await self.node.create_context(self.application, {"capacity": status.capacity})
                app = RecordsApp(self.node, made)
                await _configure_like(app, status)
                self._apps.append(app)

    async def _add(self, capacity: int, bridge_key: bytes, chain: int, contract: int) -> None:
        made = await self.node.create_context(self.application, {"capacity": capacity})
        app = RecordsApp(self.node, made)
        await app.configure(bridge_key, chain, contract)
        self._apps.append(app)


async def _configure_like(app: RecordsApp, status: Status) -> None:
    if status.bridge_key is None or status.chain is None or status.contract is None:
        raise BadAnswer("The application reports that it is configured, but not with which settings.")
    await app.configure(status.bridge_key, status.chain, status.contract)

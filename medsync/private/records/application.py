"""MedSync's application on a private node (`private-records/`), typed: one instance, and all of a node's.

`RecordsApp` is one context, and its methods are the application's. `RecordStore` is all contexts of a node: a
context holds a bounded number of records, because writing one takes time in proportion to how many there are,
and the store opens the next one when the last is full.

Calls raise ApplicationError with the application's code (such as `EXISTS`), and what the node raises.
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

#: Most items of one page, and most records of one context, that the application allows.
PAGE: Final = 500
MAX_CAPACITY: Final = 10_000
_ROTATION_DOMAIN: Final = b"medsync.bridge-rotation.v1\0"


# --- what the application answers ---------------------------------------------------------------------------


class Status(Schema):
    """How an instance is set up, and how full it is. The counts are this node's own."""

    #: Of the application.
    version: str
    #: Records it may hold, erased ones included.
    capacity: int
    #: Records that are not erased.
    records: int
    erased: int
    #: Releases and refusals that have a receipt, and refusals that had no room for one.
    receipts: int
    refusals: int
    uncounted: int
    configured: bool
    bridge_key: Hex32 | None
    #: The chain, and the contract on it, whose log decides.
    chain: Felt | None
    contract: Felt | None


class WrappedKeys(Schema):
    """A record's data key, wrapped for each recipient. Never replicated."""

    version: int
    #: By the recipient's X25519 key in hexadecimal.
    keys: dict[str, Base64] = Field(repr=False)


class RecordView(Schema):
    """A record as every member of the context knows it."""

    id: RecordId
    version: int
    commitment: Felt
    #: Commitments of the versions before, the first version's first.
    former: list[Felt]
    categories: int
    #: Salted commitment of the consent it rests on, or 0.
    consent: Felt
    erased: bool


class Receipt(Schema):
    """That somebody asked for a record with a ticket, and what became of it."""

    #: SHA-256 of the ticket's text.
    ticket: Hex32
    outcome: Literal["RELEASED", "REFUSED"]
    #: Why it was refused.
    reason: str | None
    #: From the ticket; None unless the bridge had signed it.
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


#: What happened on a node, numbered from 0 in each context. The bridge makes a leaf of each.
Operation = RecordOperation | ErasedOperation | ReceiptOperation


class Released(Schema):
    """What became of a ticket."""

    outcome: Literal["RELEASED", "REFUSED"]
    #: Why it was refused; then there is nothing else.
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
    """The record that a commitment is of, and the context that holds it."""

    app: RecordsApp
    id: str
    #: The version with that commitment.
    version: int
    commitment: int
    #: Address of whom it is about, and its categories; 0 once it is erased.
    patient: int
    categories: int
    #: Whether it is the stored version.
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
    """An operation from its JSON. Raises BadAnswer, quoting nothing, if it is none."""
    return _parse(_OPERATION, document, "operations")


def _parse(adapter: TypeAdapter[T], answer: Any, method: str) -> T:
    try:
        return adapter.validate_python(answer)
    except ValidationError as error:
        wrong = sorted({".".join(map(str, item["loc"])) or "everything" for item in error.errors()})
        raise BadAnswer(
            f"The application's answer to {method} is not understood: {', '.join(wrong)}."
        ) from None


# --- one context --------------------------------------------------------------------------------------------


class RecordsApp:
    """One instance of the application."""

    def __init__(self, node: PrivateNode, context: CalimeroContext) -> None:
        self.node, self.context = node, context

    async def configure(self, bridge_key: bytes, chain: int, contract: int) -> None:
        """Register whose tickets count, and whose log they are about. Once: then `CONFIGURED`."""
        await self._call("configure", bridge_key=bridge_key.hex(), chain=hex(chain), contract=hex(contract))

    def rotation_message(self, old_key: bytes, new_key: bytes) -> bytes:
        """What the old bridge key signs, for `rotate_bridge` in this context."""
        return _ROTATION_DOMAIN + decode_id(self.context.id, "context") + old_key + new_key

    async def rotate_bridge(self, new_key: bytes, signature: bytes) -> None:
        """Replace the bridge's key; the old one signs `rotation_message`."""
        await self._call("rotate_bridge", new_key=new_key.hex(), signature=signature.hex())

    async def put(self, sealed: SealedRecord, *, patient: int, consent: int = 0) -> int:
        """Store a new record; returns its version, 1."""
        return _parse(_VERSION, await self._call("put", record=_record(sealed, patient, consent)), "put")

    async def update(self, sealed: SealedRecord, *, patient: int, consent: int = 0) -> int:
        """Replace a record by its next version, which is the sealed one's."""
        record, version = _record(sealed, patient, consent), sealed.record.version
        return _parse(_VERSION, await self._call("update", record=record, version=version), "update")

    async def keys(self, record: str) -> WrappedKeys:
        """A record's wrapped data key. `UNKNOWN_RECORD` or `ERASED` if there is none."""
        return _parse(_KEYS, await self._call("keys", id=record), "keys")

    async def find(self, commitment: int) -> Found | None:
        """The record a commitment is of, if it is on this node."""
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
        """Present a ticket. A refusal is an answer, and logged, too."""
        return _parse(_RELEASED, await self._call("release", **presentation.arguments()), "release")

    async def erase(self, record: str) -> bool:
        """Delete a record's ciphertext, keys and private metadata; whether there were any."""
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
        """What happened on this node, in order."""
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
        """How it is set up, and how full it is."""
        return _parse(_STATUS, await self._call("status"), "status")

    async def _call(self, method: str, **arguments: Any) -> Any:
        return await self.node.execute(self.context.id, method, arguments)


def _record(sealed: SealedRecord, patient: int, consent: int) -> dict[str, Any]:
    """A sealed record as the application takes it."""
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


# --- all contexts of a node ---------------------------------------------------------------------------------


class RecordStore:
    """All records on a node, in however many contexts. Make one with `create` or `open`."""

    def __init__(self, node: PrivateNode, application: str, apps: Sequence[RecordsApp]) -> None:
        self.node, self.application = node, application
        self._apps = list(apps)
        # Contexts known to be full; and one roll-over at a time.
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
        """The contexts of the application that are on the node, and configured; with `group`, that group's.

        One that is not was made just before a crash, and is configured like the others. Contexts that the
        node joined are in others' groups. Raises InputError if none is configured.
        """
        apps = [
            RecordsApp(node, one)
            for one in await node.contexts()
            if one.application == application and group in (None, one.group)
        ]
        states = [(app, await app.status()) for app in apps]
        configured = [status for _, status in states if status.configured]
        if not configured:
            raise InputError("The node has no records: nothing was created, or it joined as a witness only.")
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
        """Store a new record in a context that has room, a new one if none has."""
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
        """Replace a record by its next version, where it is."""
        app = await self._holder(sealed.record.id, "update")
        return await app.update(sealed, patient=patient, consent=consent)

    async def version(self, record: str) -> int:
        """The stored version of a record. `UNKNOWN_RECORD` or `ERASED` if there is none."""
        app = await self._holder(record, "version")
        return (await app.keys(record)).version

    async def versions(self, record: str) -> list[RecordVersion]:
        """All versions there ever were of a record, erased or not; none if there is no such record."""
        for app in self.apps:
            async for view in app.all_records():
                if view.id == record:
                    commitments = [*view.former, view.commitment]
                    return [RecordVersion(record, number, one) for number, one in enumerate(commitments, 1)]
        return []

    async def find(self, commitment: int) -> Found | None:
        """The record a commitment is of, in whichever context it is."""
        for app in self.apps:
            if (found := await app.find(commitment)) is not None:
                return found
        return None

    async def release(self, context: str, presentation: Presentation) -> Released:
        """Present a ticket to the context it is for. Raises UnknownContext if that is not here."""
        for app in self.apps:
            if app.context.id == context:
                return await app.release(presentation)
        raise UnknownContext(context)

    async def erase(self, record: str) -> bool:
        """Erase a record, wherever it is, and from the node's files as far as that can be asked for; whether
        there was one."""
        app = await self._find_holder(record)
        found = app is not None and await app.erase(record)
        await self.node.compact()
        return found

    async def records(self) -> list[RecordView]:
        """The records of all contexts, by context and id."""
        return [record for app in self.apps async for record in app.all_records()]

    async def _holder(self, record: str, method: str) -> RecordsApp:
        """The context that holds a record, or held it; `method` is what it is wanted for."""
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
        """Add a context like the newest, unless another call just did."""
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
        raise BadAnswer("The application says that it is configured, and not how.")
    await app.configure(status.bridge_key, status.chain, status.contract)

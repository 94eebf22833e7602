"""The default private node: an in-process host for Calimero applications. No daemon, no network, one member.

It runs the same WebAssembly as a real node. An execution is a database transaction: if the process is killed,
all acknowledged changes are stored, and none partially. Claims are signed under a separate domain, so that
they cannot be mistaken for those of a real Calimero node.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from medsync.errors import InputError
from medsync.private.node.bundle import Bundle
from medsync.private.node.host import DEFAULT_LIMITS, Call, Limits, Program
from medsync.private.node.interface import (
    CalimeroContext,
    ClaimRequest,
    ContextState,
    Health,
    NodeEvent,
    NodeUnavailable,
    SignedClaim,
    UnknownContext,
    check_method,
    claim_payload,
    decode_id,
    encode_arguments,
    encode_id,
)
from medsync.private.node.store import Position, Store, StoredEvent, Transaction
from medsync.protocol.anchor import NodeKind

T = TypeVar("T")

DESCRIPTION: Final = "in-process host for Calimero applications"
_INIT: Final = "init"
#: Later than any event.
_NONE: Final = 2**63 - 1


class EmbeddedNode:
    """A `PrivateNode` in this process. Close it, or use it as an asynchronous context manager."""

    kind = NodeKind.EMBEDDED

    def __init__(
        self,
        folder: Path,
        *,
        store_key: bytes | None = None,
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open the node in a folder, or create one. `clock` returns unix nanoseconds.

        All values are sealed under `store_key` (32 bytes), which is then required every time, or under a key
        stored in the folder. Raises InputError if another process uses the folder, the key is wrong, or the
        folder is damaged.
        """
        self._limits, self._clock = limits, clock
        self._programs: dict[str, Program] = {}
        self._watchers: set[asyncio.Event] = set()
        self._closed = False
        self._store = Store(folder, store_key)
        # One thread serialises executions without blocking the event loop.
        self._worker = ThreadPoolExecutor(1, "medsync-node")

    async def health(self) -> Health:
        return await self._in_turn(lambda: Health(self.kind, DESCRIPTION))

    async def install(self, bundle: Path) -> str:
        def install() -> str:
            checked = Bundle.read(bundle)
            program = Program(checked.wasm, self._limits)
            with self._store.transaction() as transaction:
                transaction.add_application(checked.application, checked.packed)
            self._programs[checked.application] = program
            return checked.application

        return await self._in_turn(install)

    async def create_context(self, application: str, arguments: Mapping[str, Any]) -> CalimeroContext:
        encoded = encode_arguments(arguments)

        def create() -> CalimeroContext:
            context = secrets.token_bytes(32)
            with self._store.transaction() as transaction:
                transaction.add_context(context, application)
                self._run(transaction, context, _INIT, encoded)
            return self._context(context, application)

        return await self._in_turn(create)

    async def contexts(self) -> list[CalimeroContext]:
        def read() -> list[CalimeroContext]:
            with self._store.transaction() as transaction:
                return [self._context(*row) for row in transaction.contexts()]

        return await self._in_turn(read)

    async def execute(self, context: str, method: str, arguments: Mapping[str, Any]) -> Any:
        raw = decode_id(context, "context")
        check_method(method)
        encoded = encode_arguments(arguments)

        def execute() -> Any:
            with self._store.transaction() as transaction:
                output = self._run(transaction, raw, method, encoded)
            return None if output is None else json.loads(output)

        output = await self._in_turn(execute)
        self._wake()
        return output

    async def state(self, context: str) -> ContextState:
        raw = decode_id(context, "context")

        def read() -> ContextState:
            with self._store.transaction() as transaction:
                position = self._position(transaction, raw)
            return ContextState(position.root, (position.head,))

        return await self._in_turn(read)

    async def events(self, context: str, after: int | None = None) -> AsyncIterator[NodeEvent]:
        raw = decode_id(context, "context")

        def read(since: int) -> tuple[Position, list[StoredEvent]]:
            with self._store.transaction() as transaction:
                return self._position(transaction, raw), transaction.events(raw, since)

        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            seen, root = after, None
            while not self._closed:
                changed.clear()
                position, events = await self._in_turn(partial(read, _NONE if seen is None else seen))
                missed = seen is None or seen + len(events) != position.events
                if missed or (not events and root not in (None, position.root)):
                    yield NodeEvent(position.root, cursor=position.events)
                elif events:
                    for event in events:
                        yield NodeEvent(event.root, event.kind, json.loads(event.data), event.number)
                seen, root = position.events, position.root
                await changed.wait()
        finally:
            self._watchers.discard(changed)

    async def attest(self, context: CalimeroContext, claim: ClaimRequest) -> SignedClaim:
        raw = decode_id(context.id, "context")

        def sign() -> SignedClaim:
            with self._store.transaction() as transaction:
                self._position(transaction, raw)
            payload = claim_payload(context, claim, self._clock() // 1_000_000)
            signature = self._store.identity.sign(self.kind.claim_domain + payload)
            return SignedClaim(decode_id(self._store.member, "member"), payload, signature)

        if (context.group, context.member) != (self._store.group, self._store.member):
            raise UnknownContext(context.id)
        return await self._in_turn(sign)

    async def deltas(self, context: str) -> list[bytes]:
        """The newest deltas of a context, as they would be sent to other members, for inspection."""
        raw = decode_id(context, "context")

        def read() -> list[bytes]:
            with self._store.transaction() as transaction:
                self._position(transaction, raw)
                return transaction.deltas(raw)

        return await self._in_turn(read)

    async def compact(self) -> bool:
        await self._in_turn(self._store.compact)
        return True

    async def close(self) -> None:
        self._closed = True
        self._wake()
        await asyncio.to_thread(self._worker.shutdown)
        self._store.close()

    async def __aenter__(self) -> EmbeddedNode:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- behind it

    async def _in_turn(self, action: Callable[[], T]) -> T:
        if self._closed:
            raise NodeUnavailable("The node is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._worker, action)

    def _wake(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    def _context(self, context: bytes, application: str) -> CalimeroContext:
        return CalimeroContext(encode_id(context), self._store.group, self._store.member, application)

    def _position(self, transaction: Transaction, context: bytes) -> Position:
        found = transaction.context(context)
        if found is None:
            raise UnknownContext(encode_id(context))
        return found[1]

    def _run(self, transaction: Transaction, context: bytes, method: str, arguments: bytes) -> bytes | None:
        """Run a method, and store its commit and events.

        Without a commit, its writes are lost, as on a real node."""
        found = transaction.context(context)
        if found is None:
            raise UnknownContext(encode_id(context))
        application, position = found
        program = self._program(transaction, application)
        executor = decode_id(self._store.member, "member")
        call = Call(method, arguments, context, executor, self._clock())
        outcome = program.run(call, lambda private, key: transaction.read(context, private, key))
        transaction.apply(context, position, outcome.commit, outcome.events)
        return outcome.output

    def _program(self, transaction: Transaction, application: str) -> Program:
        if application not in self._programs:
            packed = transaction.application(application)
            if packed is None:
                raise InputError("The application is not installed on the node.")
            self._programs[application] = Program(Bundle.parse(packed).wasm, self._limits)
        return self._programs[application]

"""A hospital's process, as `medsync bridge run --also clinic --also university` is one, and how it dies.

It dies as if it were killed: what its files hold at that moment is copied, and the copy is what is found
afterwards. The process itself goes on as a ghost whose files nobody looks at any more, and whom the chain
does not hear; so no handler of an exception tidies up what a killed process would leave lying. The embedded
node's `test_crash.py` kills real processes, at the same points of a database.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import sqlalchemy as sql

from medsync.private import home as home_module
from medsync.private.bridge import bridge as bridge_module
from medsync.private.bridge.attestor import Attestor
from medsync.private.bridge.bridge import Bridge
from medsync.private.home import Home
from medsync.private.keys.cards import KeyCard
from medsync.private.keys.keys import AccessorKey, AttestorKey, BridgeKey, RecordVersion
from medsync.private.node.embedded import EmbeddedNode
from medsync.private.records import service
from medsync.private.records.application import RecordsApp, RecordStore
from medsync.private.records.erasure import Certificate
from medsync.private.records.sealing import OpenedRecord, SealedRecord
from medsync.private.records.tickets import SignedTicket
from medsync.private.records.vault import KeyVault, Note
from medsync.protocol.anchor import node_identity
from medsync.protocol.types import AnchorNode
from tests.harness.records import RESEARCHER, entry, observation
from tests.private.interleavings.chain import CHAIN, MEDSYNC, Chain
from tests.private.node.killed import POINTS

NAMES = ("hospital", "clinic", "university")
PASSPHRASE = "a passphrase of tests"
#: So few records fit into a context that there are several.
CAPACITY = 3
#: The last point of whatever it does.
END = "process: before it says so"
ACCESSOR = AccessorKey(bytes(range(64)))

T = TypeVar("T")


async def make_institutions(folder: Path) -> list[AnchorNode]:
    """The institutions' folders as they were made, and how they are registered. Each example copies them."""
    nodes = []
    for name in NAMES:
        home = await Home.create(
            folder / name, PASSPHRASE, chain=CHAIN, contract=MEDSYNC, capacity=CAPACITY, work=2**4
        )
        async with home.store() as store:
            stark_key = int(home.public(AttestorKey)["stark_key"], 16)
            nodes.append(AnchorNode(stark_key, node_identity(store.node.kind, store.member)))
    card = KeyCard(
        address=RESEARCHER,
        chain=CHAIN,
        encryption_key=ACCESSOR.encryption.public,
        signing_key=ACCESSOR.signing.public,
        expires_at=int(time.time()) + 30 * 86_400,
        signature=(),
    )
    cards = folder / "hospital" / "bridge" / "cards"
    (cards / "researcher.json").write_bytes(card.canonical())
    return nodes


@contextmanager
def played_chain(chain: Chain) -> Iterator[None]:
    """Patients' logs come from the stand-in, and nobody asks accounts about their cards."""

    async def check(card: KeyCard, _: object, *, chain: int, now: int) -> None:
        card.check(chain=chain, now=now)

    async def no_events(*_: object, **__: object) -> list[Any]:
        return []

    with (
        patch.object(bridge_module, "fetch_log", chain.fetch_log),
        patch.object(bridge_module, "fetch_raw", chain.fetch_raw),
        patch.object(bridge_module, "newest_block", chain.newest_block),
        patch.object(home_module, "fetch_events", no_events),
        patch.object(KeyCard, "verify", check),
    ):
        yield


class Dead(BaseException):
    """The chain does not hear a ghost."""


class Crash:
    """Counts the points where a process may die, and lets it die at one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.found = folder, folder.with_name(f"{folder.name}-found")
        self._chosen: int | str = 0
        self._points = self._turns = 0
        self._armed = False
        #: What it was about to do when it died.
        self.at: str | None = None
        self._database = ""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Be told of every point, of all databases and files."""
        listeners = [(target, event, self._listener(event)) for target, event in POINTS]
        for target, event, listener in listeners:
            sql.event.listen(target, event, listener)
        try:
            with (
                patch.object(os, "replace", self._before("replaced", os.replace)),
                patch.object(os, "unlink", self._before("deleted", os.unlink)),
                patch.object(os, "fsync", self._before("synced", os.fsync)),
            ):
                yield
        finally:
            for target, event, listener in listeners:
                sql.event.remove(target, event, listener)

    @contextmanager
    def armed(self, chosen: int | str) -> Iterator[None]:
        """Let the process die at its n-th point; if n is negative, at the n-th that is no mere statement; or
        at the first of a name. Never, if it is zero."""
        self._chosen, self._points, self._turns, self.at = chosen, 0, 0, None
        self._armed = True
        try:
            yield
        finally:
            self._armed = False

    def point(self, what: str) -> None:
        """One of them."""
        if self.at is not None:
            if what.startswith("chain"):
                raise Dead
        elif self._armed:
            self._points += 1
            self._turns += not what.endswith("a statement")
            if self._chosen and self._chosen in (self._points, -self._turns, what):
                # Copying what is found is nothing that the process does.
                self._armed = False
                shutil.copytree(self.folder, self.found)
                self._armed, self.at = True, what

    def _listener(self, event: str) -> Callable[..., None]:
        def before_cursor_execute(connection: sql.Connection, *_: Any) -> None:
            self._database = Path(str(connection.engine.url.database)).stem
            self.point(f"{self._database}: before a statement")

        def commit(*_: Any) -> None:
            self.point(f"{self._database}: before a commit")

        def reset(*_: Any) -> None:
            self.point(f"{self._database}: before it says so")

        listeners = {"before_cursor_execute": before_cursor_execute, "commit": commit, "reset": reset}
        return listeners[event]

    def _before(self, what: str, action: Callable[..., Any]) -> Callable[..., Any]:
        def act(*args: Any, **named: Any) -> Any:
            self.point(f"file: before it is {what}")
            return action(*args, **named)

        return act


class Process:
    """The hospital's node, vault and bridge, and everybody's attestors, in one process."""

    store: RecordStore
    bridge: Bridge
    vault: KeyVault

    def __init__(self, folder: Path, chain: Chain) -> None:
        self.folder, self.chain = folder, chain
        self.crash = Crash(folder)
        chain.point = self.crash.point
        self.home = Home(folder / "hospital")
        self.up = False
        #: What was sent to the node, acknowledged or not.
        self.sent: list[SealedRecord] = []
        self._attestors: dict[str, Attestor] = {}
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        stack = self._stack = AsyncExitStack()
        self.store = await stack.enter_async_context(self.home.store())
        witnesses = [await self._witness(name) for name in NAMES[1:]]
        self.bridge = await stack.enter_async_context(
            self.home.bridge(
                self.store,
                PASSPHRASE,
                self.chain,
                first_block=0,
                attestors=tuple(witnesses),  # type: ignore[arg-type]
            )
        )
        self.vault = self.bridge.vault
        self._attestors = dict(zip(NAMES, self.bridge.attestors, strict=True))
        self.store.put = self._noted(self.store.put)  # type: ignore[method-assign]
        self.store.update = self._noted(self.store.update)  # type: ignore[method-assign]
        self.up = True

    async def _witness(self, name: str) -> Attestor:
        home = Home(self.folder / name)
        node = await self._stack.enter_async_context(EmbeddedNode(home.folder / "node"))
        (context,) = await node.contexts()
        attestor = Attestor(
            node=node,
            context=context,
            signer=home.key(AttestorKey, PASSPHRASE).signer(CHAIN),
            anchor=self.chain,  # type: ignore[arg-type]
            memory=home.folder / "attestor.db",
        )
        self._stack.callback(attestor.close)
        return attestor

    def _noted(self, method: Callable[..., Awaitable[int]]) -> Callable[..., Awaitable[int]]:
        async def noted(sealed: SealedRecord, **about: Any) -> int:
            self.sent.append(sealed)
            return await method(sealed, **about)

        return noted

    async def stop(self) -> None:
        self.up = False
        await self._stack.aclose()

    async def does(self, action: Callable[[], Awaitable[T]], point: int | str) -> T | None:
        """Have it do something, or die at a point of it: then it is down, and nothing was acknowledged."""
        self.sent.clear()
        try:
            with self.crash.armed(point):
                answer = await action()
                self.crash.point(END)
        except BaseException:
            if self.crash.at is None:
                raise
        else:
            if self.crash.at is None:
                return answer
        await self.stop()
        shutil.rmtree(self.folder)
        self.crash.found.rename(self.folder)
        return None

    # --- what it does

    async def put(self, text: str, patient: int) -> SealedRecord:
        return await service.put(self.store, self.vault, observation(text), Note(patient=patient))

    async def update(self, record: str, text: str) -> SealedRecord:
        return await service.update(self.store, self.vault, record, observation(text))

    async def erase(self, record: str) -> Certificate:
        certificate, _ = await self.home.erase(
            self.store,
            record,
            PASSPHRASE,
            None,
            first_block=0,
            anchor=None,  # type: ignore[arg-type]
        )
        return certificate

    async def back_up(self) -> bool:
        self.vault.backup(self.folder / "hospital" / "vault-backup.db")
        return True

    async def step(self, attestors: Sequence[str]) -> Any:
        self.bridge.attestors = [self._attestors[name] for name in attestors]
        return await self.bridge.step()

    async def present(self, signed: SignedTicket) -> OpenedRecord | str:
        """What the accessor gets: the record, or why not."""
        try:
            return await service.fetch(self.store, signed, ACCESSOR, requested=signed.ticket.commitment)
        except service.NotReleased as refused:
            return refused.code

    async def read(self, app: RecordsApp, record: RecordVersion, patient: int) -> OpenedRecord:
        """A record as it is kept, by a ticket that nothing on the chain stands behind."""
        card = KeyCard.read((self.bridge.folder / "cards" / "researcher.json").read_bytes(), "the card")
        signed = SignedTicket.issue(
            self.home.key(BridgeKey, PASSPHRASE),
            chain=CHAIN,
            contract=MEDSYNC,
            context=app.context.id,
            entry=entry(record, patient=patient),
            digest=record.commitment,
            record=record,
            card=card,
            data_key=self.vault.unwrap(record, (await app.keys(record.id)).keys),
            now=int(time.time()),
        )
        return await service.fetch(self.store, signed, ACCESSOR, requested=record.commitment)

    async def ask(self, context: str, method: str) -> Any:
        """All that a context answers, as it answers it."""
        return await self.store.node.execute(context, method, {"offset": 0, "limit": 500})

    @property
    def contexts(self) -> list[str]:
        return [app.context.id for app in self.store.apps]

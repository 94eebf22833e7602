"""An institution's folder: its keys, its vault, its node and its bridge, and what they belong to.

```
home.json         what it belongs to: chain, contract, node, application
keys/             custodian, bridge, attestor: under one passphrase; and a new one until it is in use
vault.db          the records' keys, sealed under the custodian's
node/             the in-process node's data, unless a real node is used
login             user name and password of a real node that asks for them
bridge/           journal, key cards, tickets, attestation requests
erasures/         certificates, and erasures that were interrupted
attestor.db       what was signed before
```

Only its owner may read it. A backup needs all of it, and the passphrase; see `docs/private-side.md`.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import Field
from starknet_py.net.full_node_client import FullNodeClient

from medsync.artifacts import BUNDLE
from medsync.errors import InputError, VerificationError
from medsync.log.fetch import fetch_events
from medsync.private.bridge.attestor import Attestor, Replica
from medsync.private.bridge.bridge import OLDEST_ENTRY, Bridge
from medsync.private.bridge.journal import Journal
from medsync.private.keys.keyfiles import SCRYPT_N, public_parts, read_key, write_key
from medsync.private.keys.keys import AttestorKey, BridgeKey, CustodianKey, KeptKey, KeyKind
from medsync.private.node.calimero import CalimeroNode, Credentials
from medsync.private.node.embedded import EmbeddedNode
from medsync.private.node.interface import PrivateNode
from medsync.private.records.application import RecordsApp, RecordStore
from medsync.private.records.erasure import Certificate, Erasure, OnChain, PublicEntry
from medsync.private.records.tickets import LIFE
from medsync.private.records.vault import KeyVault, WrongCustodianKey
from medsync.private.schema import Address, Felt, Schema
from medsync.protocol.anchor import NodeKind
from medsync.protocol.commitments import Opening, canonical_json, parse_json
from medsync.protocol.events import LogEntry, selector_of
from medsync.protocol.felt import InvalidValue
from medsync.starknet.anchor import PrivateAnchorClient
from medsync.storage.database import sync
from medsync.storage.files import NewFile, is_there, read_bytes, replace, write_new
from medsync.storage.locks import Lock

#: The in-process node, as `Settings.node` names it.
EMBEDDED: Final = "embedded"

#: Records in one context: inserts take longer the more there are.
CAPACITY: Final = 1_000

_LOGIN: Final = "login"

K = TypeVar("K", bound=KeptKey)


class Settings(Schema):
    """What a home belongs to."""

    form: Literal["medsync.private-home/2"] = "medsync.private-home/2"
    chain: Felt
    #: The MedSync contract whose log decides.
    contract: Address
    #: `embedded`, or the URL of a real node.
    node: str
    #: Id of the application, base58, and of the group that the own contexts are in.
    application: str
    group: str
    #: Records in one context.
    capacity: int = Field(gt=0, le=10_000)


class Home:
    """A folder that `create` made. Raises InputError if it did not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "home.json"
        if not is_there(path):
            raise InputError(
                f"{folder} is not an institution's folder.",
                hint="Make one with medsync private init, or name it with --home.",
            )
        _migrate(folder)
        self.settings = Settings.read(read_bytes(path, "The home's settings"), f"The home's settings {path}")

    def used(self, *, exclusive: bool = False) -> Lock:
        """Use it while nobody replaces one of its keys, or with `exclusive`, while nobody else uses it.

        Raises InUse, naming who, if somebody else's use is in the way.
        """
        return Lock(self.folder / "home.lock", f"The home {self.folder}", shared=not exclusive)

    @classmethod
    async def create(
        cls,
        folder: Path,
        passphrase: str,
        *,
        chain: int,
        contract: int,
        node: str = EMBEDDED,
        login: Credentials | None = None,
        capacity: int = CAPACITY,
        bundle: Path = BUNDLE,
        work: int = SCRYPT_N,
    ) -> Home:
        """Make a home: keys, vault, node, and a first context of the application. All or nothing.

        `login` is for a real node that asks for one. `work` is what opening a key file takes (scrypt's N).
        Raises InputError if the folder is there and not empty, and what node and key files raise.
        """
        if login is not None and node == EMBEDDED:
            raise InputError("The in-process node asks for no login.", hint="Name the node's URL.")
        made = _make(folder)
        try:
            custodian, bridge = CustodianKey.generate(), BridgeKey.generate()
            for key in (custodian, bridge, AttestorKey.generate()):
                write_key(_key_path(folder, key.kind), key, passphrase, work=work)
            KeyVault(folder / "vault.db", custodian, create=True).close()
            if login is not None:
                write_new([NewFile(folder / _LOGIN, login.text().encode(), "The node's login", private=True)])
            async with _node(folder, node) as opened:
                application = await opened.install(bundle)
                store = await RecordStore.create(
                    opened,
                    application,
                    capacity,
                    bridge_key=bridge.signing.public,
                    chain=chain,
                    contract=contract,
                )
            settings = Settings(
                chain=chain,
                contract=contract,
                node=node,
                application=application,
                group=store.apps[0].context.group,
                capacity=capacity,
            )
            # Last: without it, nothing takes the folder for a home.
            path = folder / "home.json"
            write_new([NewFile(path, settings.canonical(), "The home's settings", private=True)])
        except BaseException:
            _clear(folder, made=made)
            raise
        return cls(folder)

    # --- keys and what they open ---

    def key(self, kind: type[K], passphrase: str) -> K:
        """One of the home's keys. Raises as `read_key`."""
        return read_key(_key_path(self.folder, kind.kind), kind, passphrase)

    def public(self, kind: type[KeptKey]) -> Mapping[str, str]:
        """The public halves of one of the home's keys, in hexadecimal by name."""
        return public_parts(_key_path(self.folder, kind.kind))[1]

    def vault(self, passphrase: str) -> KeyVault:
        """The key vault, open."""
        path = self.folder / "vault.db"
        try:
            return KeyVault(path, self.key(CustodianKey, passphrase))
        except WrongCustodianKey:
            # `rekey` was stopped just before the new key took the former one's place.
            new = self._begun(CustodianKey, passphrase)
            if new is None:
                raise
            return KeyVault(path, new)

    # --- other keys in their place ---

    async def rotate_bridge_key(self, store: RecordStore, passphrase: str) -> None:
        """Have a new bridge key sign tickets in every own context; what the former signed is void then.

        No one else may use the home meanwhile. It is resumed by doing it again. Raises VerificationError,
        before anything is changed, if a context knows neither key, and what the node raises.
        """
        former = self.key(BridgeKey, passphrase)
        begun = self._begun(BridgeKey, passphrase)
        ours = {key.signing.public for key in (former, begun) if key is not None}
        strange = [app.context.id for app in store.apps if (await app.status()).bridge_key not in ours]
        if strange:
            raise VerificationError(
                "Contexts know a bridge key that is not this home's; nothing was changed:", findings=strange
            )
        # On the disk, and known to open, before any context knows it.
        new = (begun or self._begin(BridgeKey, passphrase)).signing.public
        for app in store.apps:
            if (await app.status()).bridge_key != new:
                message = app.rotation_message(former.signing.public, new)
                await app.rotate_bridge(new, former.signing.sign(message))
        self._complete(KeyKind.BRIDGE)

    def rekey(self, passphrase: str) -> None:
        """Have a new custodian key open the key vault and its backups, and sign certificates.

        No one else may use the home meanwhile. It is resumed by doing it again. Raises BackupsOutOfReach
        before anything is changed, and what the vault raises.
        """
        with self.vault(passphrase) as vault:
            begun = self._begun(CustodianKey, passphrase)
            vault.check_backups(begun)
            # On the disk, and known to open, before anything is sealed under it.
            vault.rekey(begun or self._begin(CustodianKey, passphrase))
        self._complete(KeyKind.CUSTODIAN)

    def _begun(self, kind: type[K], passphrase: str) -> K | None:
        """The key that is to take one's place, if that was begun."""
        path = _next_path(self.folder, kind.kind)
        return read_key(path, kind, passphrase) if is_there(path) else None

    def _begin(self, kind: type[K], passphrase: str) -> K:
        """Make the key that is to take one's place."""
        path = _next_path(self.folder, kind.kind)
        write_key(path, kind.generate(), passphrase, replacing=True)
        return read_key(path, kind, passphrase)

    def _complete(self, kind: KeyKind) -> None:
        """Have the new key take the former one's place."""
        path = _key_path(self.folder, kind)
        _next_path(self.folder, kind).replace(path)
        sync(path.parent)

    # --- node, attestor, bridge ---

    @asynccontextmanager
    async def store(self) -> AsyncIterator[RecordStore]:
        """The node's records, and the node open as long as they are used."""
        async with AsyncExitStack() as stack:
            try:
                node = await stack.enter_async_context(_node(self.folder, self.settings.node))
                store = await RecordStore.open(node, self.settings.application, self.settings.group)
            except InputError as error:
                # Which node, which application, which group: all of that is from its settings.
                error.message = f"The home {self.folder}: {error.message}"
                raise
            yield store

    async def attestor(self, store: RecordStore, passphrase: str, anchor: PrivateAnchorClient) -> Attestor:
        """This institution's attestor; close it.

        If its node is a real one it compares entries with the contexts it is a member of, its own and those
        it joined; an in-process node replicates nothing, so that its attestor is a witness.
        """
        contexts = await store.node.contexts()
        replica = Replica(
            [
                RecordsApp(store.node, context)
                for context in contexts
                if context.application == store.application
            ]
        )
        return Attestor(
            node=store.node,
            context=store.apps[0].context,
            signer=self.key(AttestorKey, passphrase).signer(self.settings.chain),
            anchor=anchor,
            memory=self.folder / "attestor.db",
            replica=replica if store.node.kind is NodeKind.CALIMERO else None,
        )

    @asynccontextmanager
    async def bridge(
        self,
        store: RecordStore,
        passphrase: str,
        anchor: PrivateAnchorClient,
        *,
        first_block: int,
        attestors: tuple[Attestor, ...] = (),
        openings: tuple[Opening, ...] = (),
        ticket_life: int = LIFE,
        oldest_entry: int = OLDEST_ENTRY,
    ) -> AsyncIterator[Bridge]:
        """The bridge, with the own attestor before others'. For the rest see `Bridge`.

        Raises InputError while its key is being replaced: some contexts would refuse its tickets.
        """
        if is_there(_next_path(self.folder, KeyKind.BRIDGE)):
            raise InputError(
                "The bridge's key is being replaced, and not in every context yet.",
                hint="Complete that first: medsync bridge rotate-key.",
            )
        own = await self.attestor(store, passphrase, anchor)
        with self.vault(passphrase) as vault:
            try:
                with Bridge(
                    self.folder / "bridge",
                    store=store,
                    vault=vault,
                    key=self.key(BridgeKey, passphrase),
                    contract=self.settings.contract,
                    first_block=first_block,
                    anchor=anchor,
                    attestors=(own, *attestors),
                    openings=openings,
                    ticket_life=ticket_life,
                    oldest_entry=oldest_entry,
                ) as bridge:
                    yield bridge
            finally:
                own.close()

    # --- erasure ---

    async def erase(
        self,
        store: RecordStore,
        record: str,
        passphrase: str,
        client: FullNodeClient,
        *,
        first_block: int,
        anchor: int | None,
    ) -> tuple[Certificate, Path]:
        """Erase a record everywhere, and write the certificate. Also returns its path.

        Raises InputError for a record that was never here, ErasureIncomplete as long as something is out of
        reach, and what node and vault raise. It is resumed by doing it again.
        """
        custodian = self.key(CustodianKey, passphrase)
        versions = await store.versions(record)
        if not versions:
            raise InputError(f"The record {record} was never on this node.")
        named = {version.commitment for version in versions}
        events = await fetch_events(
            client,
            {self.settings.contract: "MedSync"},
            from_block=first_block,
            keys=[[selector_of(LogEntry)]],
        )
        entries = [event for event in events if isinstance(event, LogEntry) and event.record in named]
        chain = OnChain(
            chain=self.settings.chain,
            contract=self.settings.contract,
            anchor=anchor,
            entries=tuple(map(PublicEntry.of, entries)),
            roots=() if anchor is None else (await self._root(client, anchor),),
        )
        with self.vault(passphrase) as vault, Journal(self.folder / "bridge" / "journal.db") as journal:
            erasure = Erasure(
                self.folder / "erasures",
                record,
                versions,
                store=store,
                vault=vault,
                signer=custodian.signing,
                tickets=self.folder / "bridge" / "tickets",
                journal=journal,
            )
            return await erasure.run(chain), erasure.certificate

    async def _root(self, client: FullNodeClient, anchor: int) -> int:
        return (await PrivateAnchorClient(anchor, client).head()).root


def _migrate(folder: Path) -> None:
    """Bring a home of version 1 to version 2, in which the bridge's journal has the name it has now.

    It may be stopped anywhere and is completed the next time.
    """
    path = folder / "home.json"
    try:
        settings = parse_json(read_bytes(path, "The home's settings"))
    except InvalidValue:
        return
    if not isinstance(settings, dict) or settings.get("form") != "medsync.private-home/1":
        return
    with Lock(folder / "home.lock", f"The home {folder}"):
        bridge = folder / "bridge"
        if is_there(bridge / "book.db") and not is_there(bridge / "journal.db"):
            # What a crash left unfinished is in a file beside it, also under the former name.
            Journal(bridge / "book.db").close()
            (bridge / "book.db").rename(bridge / "journal.db")
            sync(bridge)
        settings["form"] = Settings.model_fields["form"].default
        replace(NewFile(path, canonical_json(settings), "The home's settings", private=True))


def _make(folder: Path) -> bool:
    """Make the folder and those in it; whether it was not there, empty, before."""
    made = not is_there(folder)
    if not made and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already, and not empty.", hint="Name another --home.")
    try:
        for name in (".", "keys", "erasures", "bridge", "bridge/cards"):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no folder can be named so"
        raise InputError(f"{folder} cannot be made: {reason}.", hint="Name another --home.") from None
    return made


def _clear(folder: Path, *, made: bool) -> None:
    """Remove what is in the folder, and the folder itself if it was made."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if made:
        folder.rmdir()


def _key_path(folder: Path, kind: KeyKind) -> Path:
    return folder / "keys" / f"{kind}.json"


def _next_path(folder: Path, kind: KeyKind) -> Path:
    return folder / "keys" / f"{kind}.next.json"


@asynccontextmanager
async def _node(folder: Path, node: str) -> AsyncIterator[PrivateNode]:
    opened: PrivateNode
    if node == EMBEDDED:
        opened = EmbeddedNode(folder / "node")
    else:
        login = folder / _LOGIN
        credentials = Credentials.read(login, "The node's login") if is_there(login) else None
        opened = CalimeroNode(node, credentials=credentials)
    try:
        yield opened
    finally:
        await opened.close()

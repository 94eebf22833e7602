"""What an embedded node keeps: one SQLite file, every value in it sealed, used by one process at a time.

    node.sqlite   the node's identity, applications, contexts, their entries, newest deltas and events
    node.json     that there is a node, and its public key: without it an emptied database would pass for new
    node.key      the key that values are sealed under, unless the caller keeps it
    node.lock     there while a process uses the folder

Values are sealed with ChaCha20-Poly1305 under a key of their context, bound to their place: one that was
altered, exchanged or moved is noticed when it is read. Not noticed is a whole folder put back to what it once
was; attestors, who remember, do notice that.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import sqlalchemy as sql
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.dialects.sqlite import insert

from medsync.errors import InputError
from medsync.private.node.host import Commit
from medsync.private.node.interface import encode_id
from medsync.storage.database import Database
from medsync.storage.files import NewFile, is_there, read_text, replace
from medsync.storage.locks import Lock

#: Deltas kept of each context, the newest. They are what other members would be sent. This node has none, and
#: its state is complete without them: they are kept so that one can look at what would leave a node.
KEPT_DELTAS: Final = 256
#: Events kept of each context, for a reader that was away.
KEPT_EVENTS: Final = 1024

_TABLES: Final = sql.MetaData()


def _table(name: str, *columns: sql.Column[object]) -> sql.Table:
    return sql.Table(name, _TABLES, *columns, sqlite_with_rowid=False)


_NODE: Final = _table(
    "node",
    sql.Column("group", sql.Text, primary_key=True),
    sql.Column("secret", sql.LargeBinary, nullable=False),
)
_APPLICATIONS: Final = _table(
    "applications",
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("bundle", sql.LargeBinary, nullable=False),
)
_CONTEXTS: Final = _table(
    "contexts",
    sql.Column("id", sql.LargeBinary, primary_key=True),
    sql.Column("number", sql.Integer, nullable=False, unique=True),
    sql.Column("application", sql.Text, nullable=False),
    sql.Column("position", sql.LargeBinary, nullable=False),
)
_ENTRIES: Final = _table(
    "entries",
    sql.Column("context", sql.LargeBinary, primary_key=True),
    sql.Column("private", sql.Boolean, primary_key=True),
    sql.Column("key", sql.LargeBinary, primary_key=True),
    sql.Column("value", sql.LargeBinary, nullable=False),
)
_DELTAS: Final = _table(
    "deltas",
    sql.Column("context", sql.LargeBinary, primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("value", sql.LargeBinary, nullable=False),
)
_EVENTS: Final = _table(
    "events",
    sql.Column("context", sql.LargeBinary, primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("value", sql.LargeBinary, nullable=False),
)

_POSITION: Final = struct.Struct(">32s32sQQ")


def _entry_at() -> sql.ColumnElement[bool]:
    columns = (_ENTRIES.c.context, _ENTRIES.c.private, _ENTRIES.c.key)
    return sql.and_(*(column == sql.bindparam(f"at_{column.name}") for column in columns))


# Built once: an execution reads dozens of entries.
_READ: Final = sql.select(_ENTRIES.c.value).where(_entry_at())
_REMOVE: Final = sql.delete(_ENTRIES).where(_entry_at())
_INSERT: Final = insert(_ENTRIES)
_WRITE: Final = _INSERT.on_conflict_do_update(set_={"value": _INSERT.excluded.value})


@dataclass(frozen=True, slots=True)
class Position:
    """How far a context is."""

    #: Root of its replicated state, and the id of its newest delta: 32 bytes each.
    root: bytes
    head: bytes
    #: Deltas and events so far; the newest has this number.
    deltas: int
    events: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event, and the root after the execution that emitted it."""

    number: int
    root: bytes
    kind: str
    #: JSON.
    data: bytes


class Store:
    """An embedded node's folder, opened. Close it."""

    def __init__(self, folder: Path, key: bytes | None = None) -> None:
        """Open the node in a folder, or make one; `key`, 32 bytes, is then needed every time.

        Raises InUse if another process uses it, and InputError for another key, and for what is damaged.
        """
        if key is not None and len(key) != 32:
            raise InputError("A store key has 32 bytes.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError as error:
            raise InputError(f"The node's folder {folder} cannot be used: {error.strerror}.") from None
        self._lock = Lock(folder / "node.lock", f"The node in {folder}")
        self._database: Database | None = None
        try:
            self._folder = folder
            described = self._description()
            self._key = self._given_or_stored(key, described)
            self._database = Database(folder / "node.sqlite", _TABLES, what="The node's database")
            self._open(described)
            if described is None:
                self._describe(key)
        except BaseException:
            self.close()
            raise

    def _description(self) -> dict[str, str] | None:
        """What node.json says, or None where there is no node yet."""
        path = self._folder / "node.json"
        if not is_there(path):
            return None
        try:
            described = json.loads(read_text(path, "The node's description"))
            return {name: str(described[name]) for name in ("member", "key")}
        except (ValueError, TypeError, KeyError):
            raise self._damaged("node.json") from None

    def _describe(self, key: bytes | None) -> None:
        described = {"node": "in-process host for Calimero applications", "member": self.member}
        described["key"] = "node.key" if key is None else "kept by the caller"
        content = json.dumps(described, indent=2).encode() + b"\n"
        replace(NewFile(self._folder / "node.json", content, "The node's description", private=True))

    def _given_or_stored(self, given: bytes | None, described: dict[str, str] | None) -> bytes:
        path = self._folder / "node.key"
        if described is not None and (described["key"] == "node.key") != (given is None):
            raise InputError(
                f"The node in {self._folder} "
                + ("needs its store key." if given is None else "keeps its own key; none may be given.")
            )
        if given is not None:
            return given
        if not is_there(path):
            if described is not None:
                raise self._damaged("node.key")
            content = secrets.token_hex(32).encode() + b"\n"
            replace(NewFile(path, content, "The node's key", private=True))
        try:
            kept = bytes.fromhex(read_text(path, "The node's key"))
        except ValueError:
            kept = b""
        if len(kept) != 32:
            raise self._damaged("node.key")
        return kept

    def _open(self, described: dict[str, str] | None) -> None:
        """Read who the node is, or decide it."""
        with self._connection() as connection:
            if connection.execute(sql.text("PRAGMA quick_check(1)")).scalar_one() != "ok":
                raise self._damaged("node.sqlite")
            row = connection.execute(sql.select(_NODE)).one_or_none()
            if row is None:
                if described is not None:
                    raise self._damaged("node.sqlite")
                secret, group = Ed25519PrivateKey.generate().private_bytes_raw(), secrets.token_hex(32)
                sealed = self._seal(b"node", group.encode(), secret)
                connection.execute(sql.insert(_NODE).values(group=group, secret=sealed))
            else:
                group, secret = row.group, self._unseal(b"node", row.group.encode(), row.secret)
        self.group, self.identity = group, Ed25519PrivateKey.from_private_bytes(secret)
        self.member = encode_id(self.identity.public_key().public_bytes_raw())
        if described is not None and described["member"] != self.member:
            raise self._damaged("node.sqlite")

    def _damaged(self, name: str) -> InputError:
        return InputError(
            f"The node in {self._folder} is damaged: {name} does not belong to it.",
            hint="Restore the whole folder from a backup.",
        )

    @contextmanager
    def _connection(self) -> Iterator[sql.Connection]:
        if self._database is None:
            raise InputError("The node is closed.")
        with self._database.transaction() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All that is done in it, or nothing; on the disk when it ends. Raises InputError for damage."""
        with self._connection() as connection:
            yield Transaction(self, connection)

    def compact(self) -> None:
        """Rewrite the database, so that no deleted data is left in it. Raises InputError."""
        if self._database is not None:
            self._database.compact()

    def close(self) -> None:
        """Close it and let others open it; a second time does nothing."""
        if self._database is not None:
            self._database.close()
            self._database = None
        self._lock.release()

    # --- sealing

    def _seal(self, scope: bytes, place: bytes, value: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + _cipher(self._key, scope).encrypt(nonce, value, place)

    def _unseal(self, scope: bytes, place: bytes, sealed: bytes) -> bytes:
        try:
            return _cipher(self._key, scope).decrypt(sealed[:12], sealed[12:], place)
        except (InvalidTag, ValueError):
            raise InputError(
                f"The node in {self._folder} was sealed with another key, or is damaged.",
                hint="Give the store key it was made with, or restore the folder from a backup.",
            ) from None


@lru_cache(maxsize=64)
def _cipher(key: bytes, scope: bytes) -> ChaCha20Poly1305:
    derived = HKDF(SHA256(), length=32, salt=None, info=b"medsync.node-store.v1\0" + scope).derive(key)
    return ChaCha20Poly1305(derived)


class Transaction:
    """What an embedded node reads and writes as one."""

    def __init__(self, store: Store, connection: sql.Connection) -> None:
        self._store, self._connection = store, connection

    def add_application(self, application: str, bundle: bytes) -> None:
        """Keep an application's bundle, instead of what is there under that id."""
        statement = insert(_APPLICATIONS).values(id=application, bundle=bundle)
        self._connection.execute(statement.on_conflict_do_update(set_={"bundle": statement.excluded.bundle}))

    def application(self, application: str) -> bytes | None:
        """An application's bundle."""
        where = _APPLICATIONS.c.id == application
        return self._connection.execute(sql.select(_APPLICATIONS.c.bundle).where(where)).scalar()

    def add_context(self, context: bytes, application: str) -> None:
        """Begin a context, with nothing in it."""
        count = self._connection.execute(sql.select(sql.func.count()).select_from(_CONTEXTS)).scalar_one()
        self._connection.execute(
            sql.insert(_CONTEXTS).values(
                id=context,
                number=count,
                application=application,
                position=self._sealed(context, b"position", _POSITION.pack(bytes(32), bytes(32), 0, 0)),
            )
        )

    def contexts(self) -> list[tuple[bytes, str]]:
        """All contexts with their applications, the oldest first."""
        columns = sql.select(_CONTEXTS.c.id, _CONTEXTS.c.application)
        return [(row.id, row.application) for row in self._connection.execute(columns.order_by("number"))]

    def context(self, context: bytes) -> tuple[str, Position] | None:
        """A context's application and position, or None if there is no such context."""
        row = self._connection.execute(sql.select(_CONTEXTS).where(_CONTEXTS.c.id == context)).one_or_none()
        if row is None:
            return None
        return row.application, Position(*_POSITION.unpack(self._open(context, b"position", row.position)))

    def read(self, context: bytes, private: bool, key: bytes) -> bytes | None:
        """The value of an entry."""
        place = {"at_context": context, "at_private": private, "at_key": key}
        sealed = self._connection.execute(_READ, place).scalar()
        return None if sealed is None else self._open(context, _entry(private, key), sealed)

    def apply(
        self, context: bytes, before: Position, commit: Commit | None, events: list[tuple[str, bytes]]
    ) -> Position:
        """Write what an execution committed, and its events; return where the context then is."""
        root, head, deltas = before.root, before.head, before.deltas
        if commit is not None:
            self._write(context, commit)
            root, deltas = commit.root, deltas + 1
            head = hashlib.sha256(
                b"medsync.delta.v1\0" + head + root + hashlib.sha256(commit.delta).digest()
            ).digest()
            self._append(_DELTAS, context, deltas, commit.delta, KEPT_DELTAS)
        for number, (kind, data) in enumerate(events, before.events + 1):
            name = kind.encode()
            self._append(
                _EVENTS, context, number, root + len(name).to_bytes(1, "big") + name + data, KEPT_EVENTS
            )
        after = Position(root, head, deltas, before.events + len(events))
        if after != before:
            packed = _POSITION.pack(after.root, after.head, after.deltas, after.events)
            self._connection.execute(
                sql.update(_CONTEXTS)
                .where(_CONTEXTS.c.id == context)
                .values(position=self._sealed(context, b"position", packed))
            )
        return after

    def _write(self, context: bytes, commit: Commit) -> None:
        kept, removed = [], []
        for (private, key), value in commit.writes.items():
            if value is None:
                removed.append({"at_context": context, "at_private": private, "at_key": key})
            else:
                sealed = self._sealed(context, _entry(private, key), value)
                kept.append({"context": context, "private": private, "key": key, "value": sealed})
        if kept:
            self._connection.execute(_WRITE, kept)
        if removed:
            self._connection.execute(_REMOVE, removed)

    def events(self, context: bytes, after: int) -> list[StoredEvent]:
        """The kept events whose number is greater, in order."""
        return [
            StoredEvent(number, value[:32], value[33 : 33 + value[32]].decode(), value[33 + value[32] :])
            for number, value in self._numbered(_EVENTS, context, after)
        ]

    def deltas(self, context: bytes) -> list[bytes]:
        """The kept deltas, in order."""
        return [value for _, value in self._numbered(_DELTAS, context, 0)]

    def _append(self, table: sql.Table, context: bytes, number: int, value: bytes, kept: int) -> None:
        sealed = self._sealed(context, _numbered(table, number), value)
        self._connection.execute(sql.insert(table).values(context=context, number=number, value=sealed))
        old = (table.c.context == context) & (table.c.number <= number - kept)
        self._connection.execute(sql.delete(table).where(old))

    def _numbered(self, table: sql.Table, context: bytes, after: int) -> list[tuple[int, bytes]]:
        where = (table.c.context == context) & (table.c.number > after)
        rows = self._connection.execute(
            sql.select(table.c.number, table.c.value).where(where).order_by("number")
        )
        return [(row.number, self._open(context, _numbered(table, row.number), row.value)) for row in rows]

    def _sealed(self, context: bytes, place: bytes, value: bytes) -> bytes:
        return self._store._seal(context, place, value)

    def _open(self, context: bytes, place: bytes, sealed: bytes) -> bytes:
        return self._store._unseal(context, place, sealed)


def _entry(private: bool, key: bytes) -> bytes:
    return (b"private\0" if private else b"shared\0") + key


def _numbered(table: sql.Table, number: int) -> bytes:
    return f"{table.name}\0{number}".encode()

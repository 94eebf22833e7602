"""The key vault: a hospital's private keys, one per record, and the patient of each record.

A record's data key is wrapped for a public key used only for that record; the private key exists only here
and in registered backups, sealed under a key derived from the custodian's. Deleting it erases the record,
wherever copies of its ciphertext may be. Deleted keys are therefore overwritten in the file, and a backup
must be reachable for erasure.

Freed blocks on the disk, in its file system or in snapshots, and unregistered copies, are out of reach: keep
the vault on an encrypted disk, and back it up only with `backup`. Remaining data is sealed under the
custodian's key.
"""

from __future__ import annotations

import hmac
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import sqlalchemy as sql
from pydantic import Field

from medsync.errors import InputError, VerificationError
from medsync.private.keys.keys import (
    SEAL_BYTES,
    CustodianKey,
    DataKey,
    EncryptionKey,
    Label,
    RecordVersion,
    pad,
    seal,
    unpad,
    unseal,
)
from medsync.private.schema import Address, Base64, Schema
from medsync.protocol.commitments import Opening
from medsync.protocol.felt import InvalidValue
from medsync.storage.database import Database, unfinished_copy
from medsync.storage.files import is_there

#: Sealed rows are padded to powers of two of at least this size, so that their lengths reveal nothing.
_LEAST_ROW: Final = 512
_VAULT_ID_BYTES: Final = 16
_WHAT: Final = "The key vault"

_TABLES = sql.MetaData()
#: A single row: the vault's id, and a value that only its custodian's key derives.
_VAULT = sql.Table(
    "vault",
    _TABLES,
    sql.Column("id", sql.LargeBinary, nullable=False),
    sql.Column("mark", sql.LargeBinary, nullable=False),
)
_RECORDS = sql.Table(
    "records",
    _TABLES,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("sealed", sql.LargeBinary, nullable=False),
)
_ERASED = sql.Table(
    "erased",
    _TABLES,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("at", sql.Integer, nullable=False),
)
_BACKUPS = sql.Table(
    "backups",
    _TABLES,
    sql.Column("path", sql.Text, primary_key=True),
    # Time of completion; null while it is being written.
    sql.Column("made_at", sql.Integer),
)


class WrongCustodianKey(InputError):
    """The key vault was created with a different custodian key."""

    code = "WRONG_CUSTODIAN_KEY"


class UnknownRecord(InputError):
    """The key vault does not have a key for that record."""

    code = "UNKNOWN_RECORD"


class BackupsOutOfReach(VerificationError):
    """Registered backups cannot be reached. `findings` lists them with the reasons."""

    code = "BACKUPS_OUT_OF_REACH"


class Note(Schema):
    """What the hospital stores about a record in addition to its key."""

    #: The patient.
    patient: Address
    #: A name for use in the hospital.
    label: str = Field(default="", repr=False, max_length=1000)
    #: The opening of the record's salted reference to a consent, if it has one.
    consent: Opening | None = None


class _Row(Schema):
    secret: Base64 = Field(repr=False)
    note: Note


@dataclass(frozen=True, slots=True)
class Deletion:
    """The result of deleting a record's key."""

    record: str
    #: Whether the vault had the key.
    found: bool
    #: The registered backups that were reached, and whether each had the key.
    reached: Mapping[Path, bool]
    #: The registered backups that were not reached, with reasons. While there are any, the key may still
    #: exist.
    unreached: Mapping[Path, str]


def _sealed(row_key: bytes, record: str, row: _Row) -> bytes:
    content = pad(row.canonical(), beside=SEAL_BYTES, least=_LEAST_ROW)
    return seal(row_key, content, record.encode())


class KeyVault:
    """An open vault. Close it, or use it as a context manager."""

    def __init__(self, path: Path, key: CustodianKey, *, create: bool = False) -> None:
        """Open the vault in a file, or create one.

        Raises WrongCustodianKey, and InputError if the file is damaged or missing, or exists already.
        """
        path = path.resolve()
        if create == is_there(path):
            raise InputError(f"{_WHAT} {path} {'exists already' if create else 'does not exist'}.")
        if not create and path.stat().st_size == 0:
            raise InputError(f"{_WHAT} {path} is damaged, or is not a key vault.")
        self.path, self._key = path, key
        self._database = Database(path, _TABLES, what=_WHAT)
        try:
            with self._database.transaction() as connection:
                row = connection.execute(sql.select(_VAULT)).one_or_none()
                if row is None and create:
                    self._id = secrets.token_bytes(_VAULT_ID_BYTES)
                    connection.execute(sql.insert(_VAULT).values(id=self._id, mark=self._mark()))
                elif row is None:
                    raise InputError(f"{_WHAT} {path} is damaged, or is not a key vault.")
                else:
                    self._id = row.id
                    if not hmac.compare_digest(row.mark, self._mark()):
                        raise WrongCustodianKey(f"{_WHAT} {path} was made with another custodian key.")
        except BaseException:
            self._database.close()
            raise
        self._row_key = key.derive(Label.VAULT_ROW, self._id)

    def close(self) -> None:
        """Close the vault. Does nothing if it is closed."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- records ---

    def add(self, record: str, note: Note) -> bytes:
        """Create the key of a new record and return the public key (X25519), for which data keys are wrapped.

        Raises InputError for a record that has a key or was erased.
        """
        key = EncryptionKey.generate()
        sealed = _sealed(self._row_key, record, _Row(secret=key.reveal(), note=note))
        with self._database.transaction() as connection:
            for table, what in ((_ERASED, "was erased"), (_RECORDS, "has a key already")):
                if connection.execute(sql.select(table.c.id).where(table.c.id == record)).first():
                    raise InputError(f"The record {record} {what}.")
            connection.execute(sql.insert(_RECORDS).values(id=record, sealed=sealed))
        return key.public

    def public_key(self, record: str) -> bytes:
        """The public key of a record. Raises UnknownRecord."""
        return EncryptionKey(self._row(record).secret).public

    def note(self, record: str) -> Note:
        """The note on a record. Raises UnknownRecord."""
        return self._row(record).note

    def unwrap(self, record: RecordVersion, keys: Mapping[str, bytes]) -> DataKey:
        """Unwrap the data key of a record's version from the wrapped keys on the node.

        `keys` maps recipients' public keys in hexadecimal to wrapped keys. Raises UnknownRecord, InputError
        if none is for the vault, and VerificationError if it cannot be unwrapped for that version.
        """
        key = EncryptionKey(self._row(record.id).secret)
        wrapped = keys.get(key.public.hex())
        if wrapped is None:
            raise InputError(
                f"The node does not have a data key of the record {record.id} for this key vault."
            )
        return key.unwrap(wrapped, record)

    def records(self) -> list[str]:
        """The ids of all records with a key, in order."""
        with self._database.transaction() as connection:
            return list(connection.execute(sql.select(_RECORDS.c.id).order_by(_RECORDS.c.id)).scalars())

    def patients(self) -> set[int]:
        """The patients of the records."""
        with self._database.transaction() as connection:
            rows = connection.execute(sql.select(_RECORDS)).all()
        return {self._opened(row.id, row.sealed).note.patient for row in rows}

    def _row(self, record: str) -> _Row:
        with self._database.transaction() as connection:
            sealed = connection.execute(
                sql.select(_RECORDS.c.sealed).where(_RECORDS.c.id == record)
            ).scalar_one_or_none()
            erased = connection.execute(sql.select(_ERASED.c.at).where(_ERASED.c.id == record)).first()
        if sealed is None:
            why = "was erased" if erased else "has no key in this key vault"
            raise UnknownRecord(f"The record {record} {why}.")
        return self._opened(record, sealed)

    def _opened(self, record: str, sealed: bytes) -> _Row:
        content = unseal(self._row_key, sealed, record.encode())
        try:
            if content is not None:
                return _Row.read(unpad(content), "it")
        except InvalidValue:
            pass
        raise InputError(
            f"{_WHAT} {self.path} is damaged: the key of the record {record} does not open.",
            hint="Restore it from a backup.",
        )

    def _mark(self) -> bytes:
        return self._key.derive(Label.VAULT_MARK, self._id)

    # --- backups ---

    def backup(self, path: Path) -> None:
        """Write a consistent copy, replacing an older one, and register it, so that erasure reaches it.

        Erasure does not reach copies made or moved in any other way until they are registered (`register`).
        Raises InputError if the copy cannot be written.
        """
        path = _usable(path)
        if path == self.path:
            raise InputError("A key vault cannot be a backup of itself.")
        if is_there(path):
            with self._same(path):
                pass
        # Register before writing: no crash leaves a copy that erasure does not know.
        with self._database.transaction() as connection:
            if not connection.execute(sql.select(_BACKUPS).where(_BACKUPS.c.path == str(path))).first():
                connection.execute(sql.insert(_BACKUPS).values(path=str(path)))
        # A concurrent erasure waits for this transaction, and finds a complete copy.
        with self._database.transaction() as connection:
            registered = sql.update(_BACKUPS).where(_BACKUPS.c.path == str(path))
            if connection.execute(registered.values(made_at=int(time.time()))).rowcount != 1:
                raise InputError(
                    f"The backup {path} was removed from the register while it was being written."
                )
            self._database.copy(path)

    def register(self, path: Path) -> None:
        """Register a copy made by other means. Raises InputError if it is not a copy of this vault."""
        path = _absolute(path)
        with self._same(path):
            pass
        with self._database.transaction() as connection:
            connection.execute(sql.delete(_BACKUPS).where(_BACKUPS.c.path == str(path)))
            connection.execute(sql.insert(_BACKUPS).values(path=str(path), made_at=int(time.time())))

    def forget_backup(self, path: Path) -> None:
        """Remove a backup from the register, which states that no copy of it exists any more.

        Raises InputError if it is not registered.
        """
        path = _absolute(path)
        with self._database.transaction() as connection:
            if not connection.execute(sql.delete(_BACKUPS).where(_BACKUPS.c.path == str(path))).rowcount:
                raise InputError(f"{path} is not a registered backup.")

    def backups(self) -> list[Path]:
        """The registered backups, in order."""
        with self._database.transaction() as connection:
            paths = connection.execute(sql.select(_BACKUPS.c.path).order_by(_BACKUPS.c.path)).scalars()
            return list(map(Path, paths))

    def unreached(self, other: CustodianKey | None = None) -> dict[Path, str]:
        """The registered backups that erasure cannot reach, with reasons. Their key may also be `other`."""
        unreached: dict[Path, str] = {}
        with self._database.transaction() as connection:
            rows = connection.execute(sql.select(_BACKUPS).order_by(_BACKUPS.c.path)).all()
        for path, is_made in ((Path(row.path), row.made_at is not None) for row in rows):
            # A backup that was interrupted before it had any content can be ignored.
            if is_made or is_there(path):
                try:
                    with self._same(path, other) as copy:
                        copy.patients()
                except InputError as error:
                    unreached[path] = error.message
        return unreached

    @contextmanager
    def _same(self, path: Path, other: CustodianKey | None = None) -> Iterator[KeyVault]:
        """Open another copy of this vault, under the same key or under `other`.

        Raises InputError for any other file.
        """
        try:
            copy = KeyVault(path, self._key)
        except WrongCustodianKey:
            if other is None:
                raise
            copy = KeyVault(path, other)
        with copy:
            if copy._id != self._id or path == self.path:
                raise InputError(f"{_WHAT} {path} is not a copy of this one.")
            yield copy

    # --- another custodian key ---

    def check_backups(self, other: CustodianKey | None = None) -> None:
        """Raise BackupsOutOfReach, naming them, if `unreached` finds any."""
        if unreached := self.unreached(other):
            raise BackupsOutOfReach(
                "Registered backups are out of reach:",
                findings=[f"{path}: {why}" for path, why in unreached.items()],
                hint="Make them reachable, or remove missing ones: medsync private forget-backup.",
            )

    def rekey(self, key: CustodianKey) -> None:
        """Seal everything under a new custodian key, in the registered backups first.

        The call can be repeated, and resumes. Raises BackupsOutOfReach before changing anything, because an
        omitted backup would remain under the old key. Raises InputError if something cannot be written.
        """
        self.check_backups(key)
        for path in self.backups():
            with suppress(OSError):
                unfinished_copy(path).unlink(missing_ok=True)
            if is_there(path):
                # Repeat it even if the copy has the new key: an interrupted run may have left old rows.
                with self._same(path, key) as copy:
                    copy._reseal(key)
        self._reseal(key)

    def _reseal(self, key: CustodianKey) -> None:
        row_key = key.derive(Label.VAULT_ROW, self._id)
        with self._database.transaction() as connection:
            for row in connection.execute(sql.select(_RECORDS)).all():
                sealed = _sealed(row_key, row.id, self._opened(row.id, row.sealed))
                connection.execute(sql.update(_RECORDS).where(_RECORDS.c.id == row.id).values(sealed=sealed))
            connection.execute(sql.update(_VAULT).values(mark=key.derive(Label.VAULT_MARK, self._id)))
        self._key, self._row_key = key, row_key
        self._database.compact()

    # --- erasure ---

    def erase(self, record: str) -> Deletion:
        """Delete a record's key here and in every registered backup. The call can be repeated, and resumes.

        The record's id remains, so that it never gets a key again. Raises InputError if the vault cannot be
        written. The result lists the backups that could not be reached.
        """
        found = self._delete(record)
        reached: dict[Path, bool] = {}
        unreached: dict[Path, str] = {}
        # No backup is made concurrently.
        with self._database.transaction() as connection:
            rows = connection.execute(sql.select(_BACKUPS).order_by(_BACKUPS.c.path)).all()
            for path, whole in ((Path(row.path), row.made_at is not None) for row in rows):
                try:
                    unfinished_copy(path).unlink(missing_ok=True)
                    if not whole and not is_there(path):
                        continue
                    with self._same(path) as other:
                        reached[path] = other._delete(record)
                except InputError as error:
                    unreached[path] = error.message
                except OSError as error:
                    unreached[path] = str(error.strerror)
        return Deletion(record, found, reached, unreached)

    def _delete(self, record: str) -> bool:
        with self._database.transaction() as connection:
            deleted = connection.execute(sql.delete(_RECORDS).where(_RECORDS.c.id == record)).rowcount > 0
            if not connection.execute(sql.select(_ERASED).where(_ERASED.c.id == record)).first():
                connection.execute(sql.insert(_ERASED).values(id=record, at=int(time.time())))
        self._database.compact()
        return deleted


def _absolute(path: Path) -> Path:
    """The absolute path of a copy. Raises InputError for an invalid file name."""
    try:
        absolute = path.resolve()
        str(absolute).encode()
        unfinished_copy(absolute)
    except (OSError, RuntimeError, ValueError) as error:
        # For invalid text or a loop of links, the system gives no reason.
        reason = getattr(error, "strerror", None) or "no file can be named so"
        raise InputError(f"{_WHAT}'s copy {path} cannot be used: {reason}.") from None
    return absolute


def _usable(path: Path) -> Path:
    """The absolute path of a copy. Raises InputError if it cannot be written, before it is registered."""
    absolute = _absolute(path)
    unfinished = unfinished_copy(absolute)
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT, 0o600))
        unfinished.unlink()
    except OSError as error:
        raise InputError(f"{_WHAT}'s copy {path} cannot be written: {error.strerror}.") from None
    return absolute

"""SQLite as the private side keeps it: one file that only its owner reads, holding nothing it should not.

A transaction is on the disk when it is acknowledged (`synchronous=FULL`), what is deleted is overwritten
(`secure_delete`), and there is no second file beside the first once a database is closed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import sqlalchemy as sql

from medsync.errors import InputError
from medsync.storage.versions import check_version

#: Seconds to wait for another process that writes.
BUSY_TIMEOUT: Final = 5.0

#: What to do about a database of a former version.
OLDER_DATABASE: Final = "It was written by an older MedSync: use that version, or restore a newer backup."


class Database:
    """A database file and the tables in it. Close it, or use it as a context manager."""

    def __init__(self, path: Path, tables: sql.MetaData, *, what: str, version: int = 1) -> None:
        """Open or create the file. `what` names it in errors; `version` is of its tables.

        Raises UnsupportedVersion for one of another version, and InputError for a file that is damaged or no
        database.
        """
        self.path, self.what = path, what
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise InputError(f"{what} {path} cannot be opened: {error.strerror}.") from None
        self._engine = sql.create_engine(
            sql.URL.create("sqlite", database=str(path)),
            poolclass=sql.pool.NullPool,
            connect_args={"timeout": BUSY_TIMEOUT},
        )
        sql.event.listen(self._engine, "connect", _prepare)
        sql.event.listen(self._engine, "begin", _begin)
        with self.transaction() as connection:
            found = connection.execute(sql.text("PRAGMA user_version")).scalar_one()
            if found == 0:
                if connection.execute(sql.text("SELECT count(*) FROM sqlite_master")).scalar_one():
                    raise InputError(f"{what} {path} is another program's database.")
                tables.create_all(connection)
                connection.execute(sql.text(f"PRAGMA user_version = {version}"))
            else:
                check_version(found, version, f"{what} {path}", older=OLDER_DATABASE)

    @contextmanager
    def transaction(self) -> Iterator[sql.Connection]:
        """All or nothing; on the disk when it ends. Raises InputError if the file is busy or damaged."""
        with self._explained(), self._engine.begin() as connection:
            yield connection

    def compact(self) -> None:
        """Rewrite the whole file, so that no deleted data is left in unused pages.

        `secure_delete` alone overwrites a row where it was last, not where it was before pages were split.
        Raises InputError as `transaction`.
        """
        with self._explained(), self._outside() as driver:
            driver.execute("VACUUM")

    def copy(self, path: Path) -> None:
        """Write a compact copy, whole or not at all, over what may be there.

        Within a transaction it is a copy of what was before that. Raises InputError as `transaction`, and
        where no file can be written.
        """
        unfinished = unfinished_copy(path)
        try:
            unfinished.unlink(missing_ok=True)
            os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            with self._explained(), self._outside() as driver:
                driver.execute("VACUUM INTO ?", (str(unfinished),))
            sync(unfinished)
            unfinished.replace(path)
            sync(path.parent)
        except (InputError, OSError) as error:
            with suppress(OSError):
                unfinished.unlink()
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.what}'s copy {path} cannot be written: {error.strerror}.") from None

    @contextmanager
    def _outside(self) -> Iterator[sqlite3.Connection]:
        """The driver's connection, outside of any transaction."""
        with closing(self._engine.raw_connection()) as connection:
            yield cast("sqlite3.Connection", connection.driver_connection)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sql.exc.OperationalError, sqlite3.OperationalError) as error:
            busy = "locked" in str(error)
            raise InputError(
                f"{self.what} {self.path} {'is in use by another process' if busy else 'cannot be used'}.",
                hint="Try again." if busy else "Restore it from a backup if it is damaged.",
            ) from None
        except (sql.exc.DatabaseError, sqlite3.DatabaseError):
            raise InputError(
                f"{self.what} {self.path} is damaged, or no database.", hint="Restore it from a backup."
            ) from None

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self._engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def unfinished_copy(path: Path) -> Path:
    """Where `Database.copy` writes to before the copy is whole; a crash may leave something there."""
    return path.with_name(f"{path.name}.part")


def sync(path: Path) -> None:
    """Have a file's content, or a folder's entries, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare(connection: Any, _: object) -> None:
    # SQLAlchemy begins transactions itself (see `_begin`): the driver would begin them too late for reads.
    connection.isolation_level = None
    for pragma in (
        "secure_delete = ON",
        "synchronous = FULL",
        "foreign_keys = ON",
        "journal_mode = DELETE",
        # Nothing goes to temporary files.
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sql.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")

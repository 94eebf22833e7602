"""Files and databases of another version are refused with their name, both versions, and what to do."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sql

from medsync.errors import ExitCode, InputError
from medsync.storage.database import Database
from medsync.storage.versions import UnsupportedVersion, check_form, check_version

TABLES = sql.MetaData()
sql.Table("records", TABLES, sql.Column("id", sql.Integer, primary_key=True))


def test_the_same_version_passes() -> None:
    check_version(3, 3, "The journal /a/journal.db")
    check_form({"form": "medsync.journal/3"}, "medsync.journal/3", "The journal /a/journal.db")
    check_form({"schema": "medsync.journal/3"}, "medsync.journal/3", "The journal", member="schema")


@pytest.mark.parametrize(("found", "hint"), [(2, "older MedSync"), (4, "newer MedSync: upgrade")])
def test_another_version_is_refused_with_what_to_do(found: int, hint: str) -> None:
    message = f"The journal /a/journal.db has format version {found}; this program reads version 3."
    for check in (
        lambda: check_version(found, 3, "The journal /a/journal.db"),
        lambda: check_form(
            {"form": f"medsync.journal/{found}"}, "medsync.journal/3", "The journal /a/journal.db"
        ),
    ):
        with pytest.raises(UnsupportedVersion) as refused:
            check()
        assert refused.value.message == message
        assert hint in refused.value.hint
        assert (refused.value.code, refused.value.exit_code) == ("UNSUPPORTED_VERSION", ExitCode.BAD_INPUT)


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"form": 3}, {"form": "medsync.vault/2"}, {"form": "medsync.journal/x"}, {"form": "/4"}],
)
def test_what_names_no_version_is_left_to_its_reader(document: object) -> None:
    check_form(document, "medsync.journal/3", "The journal")


@pytest.mark.parametrize(("version", "hint"), [(1, "older MedSync"), (3, "newer MedSync: upgrade")])
def test_a_database_of_another_version_is_refused_and_left_as_it_is(
    tmp_path: Path, version: int, hint: str
) -> None:
    path = tmp_path / "journal.db"
    Database(path, TABLES, what="The journal", version=2).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(
        UnsupportedVersion, match=f"The journal {path} has format version {version}"
    ) as refused:
        Database(path, TABLES, what="The journal", version=2)
    assert hint in refused.value.hint
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE strange (id INTEGER)")
    with pytest.raises(InputError, match="another program's database"):
        Database(path, TABLES, what="The journal")

"""An institution's folder of another version: migrated if it is older, refused by name if it is newer."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from medsync.errors import ExitCode
from medsync.private import home as module
from medsync.private.bridge.journal import EntryOutcome, Journal, ProcessedEntry
from medsync.private.home import Home
from medsync.private.keys.keyfiles import write_key
from medsync.private.keys.keys import BridgeKey
from medsync.storage.versions import UnsupportedVersion
from tests.harness.records import CHAIN, CONTRACT

PASSPHRASE = "a passphrase of tests"
ENTRY = ProcessedEntry(patient=0xA11CE, seq=1, digest=0xD1, outcome=EntryOutcome.NO_RECORD, at=1_767_225_600)


#: Spilling the cache writes the unfinished change into the database itself.
DIES_IN_A_TRANSACTION = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("PRAGMA cache_spill = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE entries SET outcome = 'WAITING'")
rows = ((number, "x" * 4000) for number in range(50))
connection.executemany("INSERT INTO tickets VALUES (?, '', '', 0, ?)", rows)
os._exit(0)
"""


@pytest.fixture(autouse=True)
def quick_keys() -> Any:
    with patch.dict(write_key.__kwdefaults__, work=2**4):
        yield


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A home whose bridge processed an entry."""
    home = await Home.create(tmp_path / "hospital", PASSPHRASE, chain=CHAIN, contract=CONTRACT, work=2**4)
    with Journal(home.folder / "bridge" / "journal.db") as journal:
        journal.add(ENTRY)
    return home.folder


def set_version(folder: Path, version: int) -> bytes:
    settings = json.loads((folder / "home.json").read_text())
    content = json.dumps(settings | {"form": f"medsync.private-home/{version}"}).encode()
    (folder / "home.json").write_bytes(content)
    return content


def make_version_1(folder: Path) -> None:
    """What the version before wrote: the journal had another name."""
    set_version(folder, 1)
    (folder / "bridge" / "journal.db").rename(folder / "bridge" / "book.db")


def assert_migrated(folder: Path) -> None:
    home = Home(folder)
    assert home.settings.form == "medsync.private-home/2"
    assert json.loads((folder / "home.json").read_text())["form"] == "medsync.private-home/2"
    assert home.key(BridgeKey, PASSPHRASE)
    assert [path.name for path in (folder / "bridge").glob("*.db*")] == ["journal.db"]
    with Journal(folder / "bridge" / "journal.db") as journal:
        assert journal.processed(ENTRY.patient) == {ENTRY.seq: ENTRY.outcome}


def test_version_1_is_migrated(folder: Path) -> None:
    make_version_1(folder)
    assert_migrated(folder)
    assert_migrated(folder)


def test_a_home_without_a_journal_is_migrated(folder: Path) -> None:
    make_version_1(folder)
    (folder / "bridge" / "book.db").unlink()
    assert Home(folder).settings.form == "medsync.private-home/2"


def test_a_journal_in_the_middle_of_a_transaction_is_migrated_whole(folder: Path) -> None:
    """A crash leaves a rollback file, which belongs to the database by its name."""
    make_version_1(folder)
    book = folder / "bridge" / "book.db"
    subprocess.run([sys.executable, "-c", DIES_IN_A_TRANSACTION, book], check=True)
    assert book.with_name("book.db-journal").exists(), "the crash left its mark"
    assert_migrated(folder)


def test_a_migration_that_was_stopped_is_completed(folder: Path) -> None:
    make_version_1(folder)
    with patch.object(module, "replace", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        Home(folder)
    assert (folder / "bridge" / "journal.db").exists()
    assert_migrated(folder)


@pytest.mark.parametrize(("version", "hint"), [(0, "older"), (3, "newer")])
def test_any_other_version_is_refused_and_left_as_it_is(folder: Path, version: int, hint: str) -> None:
    content = set_version(folder, version)
    with pytest.raises(UnsupportedVersion) as refused:
        Home(folder)
    assert f"{folder / 'home.json'} has format version {version}; this program reads version 2" in (
        refused.value.message
    )
    assert hint in refused.value.hint
    assert refused.value.exit_code is ExitCode.BAD_INPUT
    assert (folder / "home.json").read_bytes() == content


@pytest.mark.parametrize("name", ["vault.db", "attestor.db", "bridge/journal.db", "node/node.sqlite"])
def test_every_database_of_a_newer_version_is_refused_by_name(folder: Path, name: str) -> None:
    """Each says what it is, where it is, and that this program is to be upgraded."""
    if name == "attestor.db":
        module.Attestor(
            node=None,
            context=None,
            signer=None,
            anchor=None,
            memory=folder / name,  # type: ignore[arg-type]
        ).close()
    with sqlite3.connect(folder / name) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    home = Home(folder)
    opening = {
        "vault.db": lambda: home.vault(PASSPHRASE),
        "attestor.db": lambda: module.Attestor(
            node=None,
            context=None,
            signer=None,
            anchor=None,
            memory=folder / name,  # type: ignore[arg-type]
        ),
        "bridge/journal.db": lambda: Journal(folder / name),
        "node/node.sqlite": lambda: module.EmbeddedNode(folder / "node"),
    }
    with pytest.raises(UnsupportedVersion, match=f"{folder / name} has format version 2") as refused:
        opening[name]()
    assert "newer MedSync: upgrade" in refused.value.hint

"""The key vault: what it keeps, that nothing deleted is left in a file, that erasure reaches its backups."""

import os
import random
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sql

from medsync.errors import InputError, VerificationError
from medsync.private.keys.keys import CustodianKey, DataKey, RecordVersion, wrap
from medsync.private.records.vault import BackupsOutOfReach, KeyVault, Note, UnknownRecord, WrongCustodianKey
from medsync.protocol.commitments import Domain, Opening
from medsync.storage import database
from medsync.storage.database import Database
from tests.harness.records import MARKER, PATIENT, everything_under, spellings

KEY = CustodianKey(bytes(range(32)))
RECORD = "0123456789abcdef" * 2
OTHER = "f" * 32
NOTE = Note(patient=PATIENT, label=MARKER, consent=Opening.of(Domain.TERMS, MARKER.encode()))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[KeyVault]:
    (tmp_path / "vault").mkdir()
    with KeyVault(tmp_path / "vault" / "keys.db", KEY, create=True) as vault:
        yield vault


def secret_of(vault: KeyVault, record: str) -> bytes:
    return vault._row(record).secret


def sealed_rows(path: Path) -> dict[str, bytes]:
    """Every record's row as it stands in the file."""
    connection = sqlite3.connect(path)
    try:
        return dict(connection.execute("SELECT id, sealed FROM records"))
    finally:
        connection.close()


# --- keeping ------------------------------------------------------------------------------------------------


def test_it_keeps_a_key_and_a_note_for_each_record(vault: KeyVault) -> None:
    public = vault.add(RECORD, NOTE)
    assert vault.public_key(RECORD) == public != vault.add(OTHER, Note(patient=0x7062))
    assert vault.note(RECORD) == NOTE
    assert vault.records() == [RECORD, OTHER]
    assert vault.patients() == {PATIENT, 0x7062}
    with pytest.raises(InputError, match="has a key already"):
        vault.add(RECORD, NOTE)
    with pytest.raises(UnknownRecord, match="has no key"):
        vault.public_key("a" * 32)
    assert MARKER not in repr(vault) + repr(vault.note(RECORD)) + repr(vault._row(RECORD))


def test_it_unwraps_data_keys(vault: KeyVault) -> None:
    record, data_key = RecordVersion(RECORD, 2, 5), DataKey.generate()
    wrapped = wrap(data_key, vault.add(RECORD, NOTE), record)
    keys = {vault.public_key(RECORD).hex(): wrapped, "00" * 32: bytes(80)}
    assert vault.unwrap(record, keys) == data_key
    with pytest.raises(InputError, match="does not have a data key"):
        vault.unwrap(record, {})
    with pytest.raises(VerificationError):
        vault.unwrap(RecordVersion(RECORD, 3, 5), keys)
    with pytest.raises(UnknownRecord):
        vault.unwrap(RecordVersion(OTHER, 2, 5), keys)


def test_it_is_the_same_when_it_is_opened_again(vault: KeyVault) -> None:
    public = vault.add(RECORD, NOTE)
    vault.close()
    with KeyVault(vault.path, KEY) as again:
        assert again.public_key(RECORD) == public
        assert again.note(RECORD) == NOTE


def test_only_its_custodian_opens_it(vault: KeyVault) -> None:
    vault.add(RECORD, NOTE)
    with pytest.raises(WrongCustodianKey, match="another custodian key") as refused:
        KeyVault(vault.path, CustodianKey.generate())
    assert KEY.reveal().hex() not in "".join(traceback.format_exception(refused.value))


def test_a_row_opens_as_its_own_record_only(vault: KeyVault) -> None:
    """Whoever may write the file could give one record another's key."""
    vault.add(RECORD, NOTE)
    vault.add(OTHER, NOTE)
    rows = sealed_rows(vault.path)
    connection = sqlite3.connect(vault.path)
    with connection:
        connection.execute("UPDATE records SET sealed = ? WHERE id = ?", (rows[OTHER], RECORD))
    connection.close()
    with pytest.raises(InputError, match="does not open"):
        vault.public_key(RECORD)


def test_files_that_are_none_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    with pytest.raises(InputError, match="does not exist"):
        KeyVault(path, KEY)
    assert not path.exists()
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(InputError, match="exists already"):
        KeyVault(path, KEY, create=True)
    with pytest.raises(InputError, match="damaged, or no database"):
        KeyVault(path, KEY)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="damaged, or is not a key vault"):
        KeyVault(path, KEY)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_vault_is_noticed(vault: KeyVault, share: float) -> None:
    for number in range(50):
        vault.add(f"{number:032x}", NOTE)
    vault.close()
    content = vault.path.read_bytes()
    vault.path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match="damaged"), KeyVault(vault.path, KEY) as found:
        found.patients()


# --- files --------------------------------------------------------------------------------------------------


def test_nobody_else_reads_any_of_its_files(vault: KeyVault, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: dict[str, int] = {}

    def look(connection: sql.Connection) -> None:
        for path in vault.path.parent.iterdir():
            modes[path.name] = stat.S_IMODE(path.stat().st_mode)

    old = os.umask(0)
    try:
        sql.event.listen(vault._database._engine, "commit", look)
        vault.add(RECORD, NOTE)
        vault.backup(vault.path.with_name("backup.db"))
        look(None)  # type: ignore[arg-type]
    finally:
        os.umask(old)
    assert modes.keys() == {"keys.db", "keys.db-journal", "backup.db"}
    assert set(modes.values()) == {0o600}
    assert sorted(path.name for path in vault.path.parent.iterdir()) == ["backup.db", "keys.db"]


def test_no_key_and_no_marker_is_in_any_file_ever(vault: KeyVault, tmp_path: Path) -> None:
    """Before and after deletion, in the vault, its backup, and the journal of every transaction."""
    seen: list[bytes] = []
    sql.event.listen(
        vault._database._engine, "commit", lambda connection: seen.append(everything_under(tmp_path))
    )
    for record in (RECORD, OTHER):
        vault.add(record, NOTE)
    vault.backup(tmp_path / "backup.db")
    secrets = [secret_of(vault, RECORD), secret_of(vault, OTHER), KEY.reveal(), vault._row_key]
    assert NOTE.consent is not None
    secrets += [NOTE.consent.salt.to_bytes(32, "big"), MARKER.encode().ljust(32, b"\0").rstrip(b"\0")]
    seen.append(everything_under(tmp_path))
    vault.erase(RECORD)
    seen.append(everything_under(tmp_path))
    everything = b"\n".join(seen)
    for secret in secrets:
        for spelling in spellings(secret):
            assert spelling not in everything
    # The search would find what is there.
    assert secret_of(vault, OTHER) in b"..." + secrets[1]
    assert sealed_rows(vault.path)[OTHER] in everything


def test_nothing_deleted_is_left_in_a_file(vault: KeyVault, tmp_path: Path) -> None:
    """Neither the row nor its remains where SQLite had moved it from: rows come and go in no order."""
    drawn = random.Random(5)
    names = [f"{drawn.getrandbits(128):032x}" for _ in range(120)]
    for name in names:
        vault.add(name, Note(patient=PATIENT, label="x" * drawn.choice([0, 300, 900])))
    vault.backup(tmp_path / "backup.db")
    rows = sealed_rows(vault.path)
    assert all(row in everything_under(tmp_path) for row in rows.values())
    gone = drawn.sample(names, 6)
    for name in gone:
        vault.erase(name)
    left = everything_under(tmp_path)
    for name in names:
        # Sixteen bytes of a random row are as telling as the whole.
        pieces = [rows[name][start : start + 16] for start in range(0, len(rows[name]), 16)]
        assert any(piece in left for piece in pieces) == (name not in gone)


def test_writing_the_file_anew_leaves_no_remains(tmp_path: Path) -> None:
    """Rows of all sizes, changed and deleted in no order: `secure_delete` alone misses some of them."""
    drawn, path = random.Random(1), tmp_path / "rows.db"
    names = [f"{drawn.getrandbits(128):032x}" for _ in range(300)]
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA secure_delete = ON", "PRAGMA synchronous = OFF", "PRAGMA user_version = 1"):
        connection.execute(statement)
    connection.execute("CREATE TABLE records (id TEXT PRIMARY KEY, sealed BLOB NOT NULL)")
    rows: dict[str, bytes] = {}
    for name in names:
        rows[name] = drawn.randbytes(drawn.choice([100, 300, 600]))
        connection.execute("INSERT INTO records VALUES (?, ?)", (name, rows[name]))
    for name in names:
        if drawn.random() < 0.5:
            rows[name] = drawn.randbytes(drawn.choice([100, 300, 600]))
            connection.execute("UPDATE records SET sealed = ? WHERE id = ?", (rows[name], name))
    gone = drawn.sample(names, 150)
    for name in gone:
        connection.execute("DELETE FROM records WHERE id = ?", (name,))
    connection.close()
    # SQLite 3.40 leaves one of them in an unused part of a page.
    print(sum(remains(rows[name], path) for name in gone), "rows left before")
    with Database(path, sql.MetaData(), what="The file") as found:
        found.compact()
    assert not any(remains(rows[name], path) or name.encode() in path.read_bytes() for name in gone)
    assert all(remains(rows[name], path) for name in set(names) - set(gone))


def remains(row: bytes, path: Path) -> bool:
    """Whether sixteen bytes of a random row are in a file: as telling as the whole."""
    content = path.read_bytes()
    return any(row[start : start + 16] in content for start in range(0, len(row) - 16, 8))


# --- erasure and backups ------------------------------------------------------------------------------------


def test_an_erased_record_has_no_key_and_never_gets_one(vault: KeyVault, tmp_path: Path) -> None:
    vault.add(RECORD, NOTE)
    vault.add(OTHER, NOTE)
    backup = tmp_path / "backup.db"
    vault.backup(backup)
    first = vault.erase(RECORD)
    assert (first.found, dict(first.reached), dict(first.unreached)) == (True, {backup: True}, {})
    again = vault.erase(RECORD)
    assert (again.found, dict(again.reached), dict(again.unreached)) == (False, {backup: False}, {})
    with pytest.raises(UnknownRecord, match="was erased"):
        vault.note(RECORD)
    with pytest.raises(InputError, match="was erased"):
        vault.add(RECORD, NOTE)
    with KeyVault(backup, KEY) as copy:
        assert copy.records() == vault.records() == [OTHER]
        assert copy.public_key(OTHER) == vault.public_key(OTHER)


def test_a_backup_stands_in_for_the_vault_and_knows_the_others(vault: KeyVault, tmp_path: Path) -> None:
    vault.add(RECORD, NOTE)
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    vault.backup(first)
    vault.backup(second)
    vault.backup(second)
    assert vault.backups() == [first, second]
    vault.path.unlink()
    shutil.copy(second, vault.path)
    with KeyVault(vault.path, KEY) as restored:
        assert restored.public_key(RECORD)
        assert restored.erase(RECORD).reached == {first: True, second: True}


def test_a_backup_that_cannot_be_reached_is_named_until_it_can_be(vault: KeyVault, tmp_path: Path) -> None:
    vault.add(RECORD, NOTE)
    names = ("there", "gone", "broken", "foreign", "moved")
    paths = {name: tmp_path / f"{name}.db" for name in names}
    for path in paths.values():
        vault.backup(path)
    paths["gone"].unlink()
    paths["broken"].write_bytes(paths["broken"].read_bytes()[:5000])
    paths["foreign"].unlink()
    KeyVault(paths["foreign"], KEY, create=True).close()
    elsewhere = tmp_path / "elsewhere.db"
    paths["moved"].rename(elsewhere)
    deletion = vault.erase(RECORD)
    assert deletion.found
    assert deletion.reached == {paths["there"]: True}
    reasons = {path.stem: why for path, why in deletion.unreached.items()}
    assert reasons.keys() == {"gone", "broken", "foreign", "moved"}
    assert "does not exist" in reasons["gone"]
    assert "damaged" in reasons["broken"]
    assert "not a copy of this one" in reasons["foreign"]
    vault.register(elsewhere)
    for name in ("gone", "broken", "foreign", "moved"):
        vault.forget_backup(paths[name])
    deletion = vault.erase(RECORD)
    assert deletion.reached == {elsewhere: True, paths["there"]: False}
    assert not deletion.unreached


def test_a_backup_that_cannot_be_renewed_stays_registered(
    vault: KeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.add(RECORD, NOTE)
    backup = tmp_path / "backup.db"
    vault.backup(backup)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(database, "sync", full)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        vault.backup(backup)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["backup.db"]
    backup.rename(tmp_path / "elsewhere.db")
    assert vault.erase(RECORD).unreached.keys() == {backup}


def test_a_backup_that_is_struck_while_it_is_made_is_not_made(
    vault: KeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup, original = tmp_path / "backup.db", Database.transaction
    entered = []

    def striking(self: Database) -> object:
        entered.append(self)
        if len(entered) == 2:
            vault.forget_backup(backup)
        return original(self)

    monkeypatch.setattr(Database, "transaction", striking)
    with pytest.raises(InputError, match="removed from the register"):
        vault.backup(backup)
    assert not backup.exists()


def test_only_copies_are_registered(vault: KeyVault, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="backup of itself"):
        vault.backup(vault.path)
    foreign = tmp_path / "foreign.db"
    foreign.write_text("precious")
    for attempt in (vault.backup, vault.register):
        with pytest.raises(InputError, match="damaged, or no database"):
            attempt(foreign)
    with pytest.raises(InputError, match="not a registered backup"):
        vault.forget_backup(foreign)
    with pytest.raises(InputError, match="does not exist"):
        vault.register(tmp_path / "none.db")
    with pytest.raises(InputError, match="cannot be written"):
        vault.backup(tmp_path / "no folder" / "backup.db")
    assert foreign.read_text() == "precious"


@pytest.mark.parametrize("moment", ["before", "half", "after"])
def test_a_backup_that_was_interrupted_hides_no_key(
    vault: KeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Whenever a crash stops it: what is on the disk then is reached by the next erasure."""
    vault.add(RECORD, NOTE)
    row = sealed_rows(vault.path)[RECORD]
    backup = tmp_path / "backup.db"

    class Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Crash

    original = Database.copy
    if moment == "before":
        monkeypatch.setattr(Database, "copy", crash)
    elif moment == "half":
        monkeypatch.setattr(database, "sync", crash)
    else:

        def whole_then_crash(self: Database, path: Path) -> None:
            original(self, path)
            raise Crash

        monkeypatch.setattr(Database, "copy", whole_then_crash)
    with pytest.raises(Crash):
        vault.backup(backup)
    monkeypatch.undo()
    copies = [path for path in tmp_path.iterdir() if path.is_file() and row in path.read_bytes()]
    assert len(copies) == {"before": 0, "half": 1, "after": 1}[moment]
    deletion = vault.erase(RECORD)
    assert not deletion.unreached
    assert row not in everything_under(tmp_path)


# --- another custodian key ----------------------------------------------------------------------------------


def test_another_custodian_key_takes_over_backups_and_all(vault: KeyVault, tmp_path: Path) -> None:
    public = vault.add(RECORD, NOTE)
    backup = tmp_path / "backup.db"
    vault.backup(backup)
    rows = [sealed_rows(path)[RECORD] for path in (vault.path, backup)]
    new = CustodianKey.generate()
    for _ in range(2):
        vault.rekey(new)
        for path in (vault.path, backup):
            with pytest.raises(WrongCustodianKey):
                KeyVault(path, KEY)
            with KeyVault(path, new) as found:
                assert found.public_key(RECORD) == public
                assert found.note(RECORD) == NOTE
    left = everything_under(tmp_path)
    assert not any(row in left for row in rows)
    assert vault.erase(RECORD).reached == {backup: True}


def test_a_change_of_keys_waits_for_every_backup(vault: KeyVault, tmp_path: Path) -> None:
    """One that was left out would stay under a key that is gone."""
    vault.add(RECORD, NOTE)
    there, gone, broken, foreign = paths = [
        tmp_path / f"{name}.db" for name in ("there", "gone", "broken", "foreign")
    ]
    for path in paths:
        vault.backup(path)
    gone.unlink()
    foreign.unlink()
    KeyVault(foreign, CustodianKey.generate(), create=True).close()
    # It opens, and then there is something else in the row.
    with sqlite3.connect(broken) as connection:
        connection.execute("UPDATE records SET sealed = zeroblob(100)")
    before = there.read_bytes(), vault.path.read_bytes()
    with pytest.raises(BackupsOutOfReach) as refused:
        vault.rekey(CustodianKey.generate())
    assert vault.unreached().keys() == {gone, broken, foreign}
    assert [finding.partition(": ")[0] for finding in refused.value.findings] == [
        str(path) for path in sorted((gone, broken, foreign))
    ]
    assert (there.read_bytes(), vault.path.read_bytes()) == before
    for path in (gone, broken, foreign):
        vault.forget_backup(path)
    new = CustodianKey.generate()
    vault.rekey(new)
    KeyVault(there, new).close()
    assert vault.unreached() == {}


@pytest.mark.parametrize("stopped", ["before a backup", "in a backup", "before the vault", "in the vault"])
def test_a_change_of_keys_that_was_interrupted_is_done_again(
    vault: KeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    """Wherever it was: what is left under the former key in free pages is gone, too, once it is complete."""
    vault.add(RECORD, NOTE)
    backup = tmp_path / "backup.db"
    vault.backup(backup)
    rows = [sealed_rows(path)[RECORD] for path in (vault.path, backup)]
    new, where = CustodianKey.generate(), vault.path if stopped.endswith("the vault") else backup
    reseal, compact = KeyVault._reseal, Database.compact

    def crash_before(self: KeyVault, key: CustodianKey) -> None:
        if self.path == where:
            raise KeyboardInterrupt
        reseal(self, key)

    def crash_in(self: Database) -> None:
        if self.path == where:
            raise KeyboardInterrupt
        compact(self)

    if stopped.startswith("before"):
        monkeypatch.setattr(KeyVault, "_reseal", crash_before)
    else:
        monkeypatch.setattr(Database, "compact", crash_in)
    with pytest.raises(KeyboardInterrupt):
        vault.rekey(new)
    monkeypatch.undo()
    key = new if stopped == "in the vault" else KEY
    with KeyVault(vault.path, key) as again:
        assert again.note(RECORD) == NOTE
        again.rekey(new)
    with KeyVault(vault.path, new) as found:
        assert not any(row in everything_under(tmp_path) for row in rows)
        assert found.erase(RECORD).reached == {backup: True}


def test_a_change_of_keys_and_a_backup_that_was_interrupted(
    vault: KeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.add(RECORD, NOTE)
    row = sealed_rows(vault.path)[RECORD]

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(database, "sync", crash)
    with pytest.raises(KeyboardInterrupt):
        vault.backup(tmp_path / "backup.db")
    monkeypatch.undo()
    assert vault.unreached() == {}
    vault.rekey(CustodianKey.generate())
    assert row not in everything_under(tmp_path)


# --- two at once --------------------------------------------------------------------------------------------


#: A process in the middle of a transaction, until its input ends.
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("ready", flush=True)
sys.stdin.read()
connection.close()
"""


def test_a_vault_in_use_says_so_and_waits_a_moment(vault: KeyVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    command = [sys.executable, "-S", "-c", HOLD, str(vault.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(InputError, match="in use by another process") as refused:
            KeyVault(vault.path, KEY)
        assert refused.value.hint == "Try again."
        other.communicate("")
    assert other.returncode == 0
    assert vault.add(RECORD, NOTE)


def test_two_that_write_at_once_both_succeed(vault: KeyVault) -> None:
    def add(names: list[str]) -> None:
        with KeyVault(vault.path, KEY) as own:
            for name in names:
                own.add(name, NOTE)

    names = [f"{number:032x}" for number in range(20)]
    threads = [threading.Thread(target=add, args=(names[half::2],)) for half in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert vault.records() == names


def test_erasing_waits_for_a_backup_that_is_being_made(
    vault: KeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a copy made before the erasure could be put in its place after it."""
    vault.add(RECORD, NOTE)
    copying, go_on = threading.Event(), threading.Event()
    original = Database.copy

    def slow(self: Database, path: Path) -> None:
        original(self, path)
        copying.set()
        go_on.wait(60)

    monkeypatch.setattr(Database, "copy", slow)
    backup = tmp_path / "backup.db"
    making = threading.Thread(target=vault.backup, args=(backup,))
    making.start()
    assert copying.wait(60)
    deletions = []
    erasing = threading.Thread(target=lambda: deletions.append(vault.erase(RECORD)))
    erasing.start()
    go_on.set()
    making.join()
    erasing.join()
    (deletion,) = deletions
    assert (deletion.found, deletion.reached, deletion.unreached) == (True, {backup: True}, {})


def test_no_secret_is_in_an_error(vault: KeyVault, tmp_path: Path) -> None:
    vault.add(RECORD, NOTE)
    secrets = [secret_of(vault, RECORD).hex(), KEY.reveal().hex(), MARKER]
    for attempt in (
        lambda: vault.add(RECORD, NOTE),
        lambda: vault.note(OTHER),
        lambda: vault.unwrap(RecordVersion(RECORD, 1, 1), {}),
        lambda: vault.register(tmp_path / "none"),
        lambda: Note(patient=0, label=MARKER),
        lambda: Note(patient=1, label=MARKER * 1000),
        lambda: Note.read(f'{{"patient": "{MARKER}", "label": "{MARKER}", "{MARKER}": 1}}', "note"),
    ):
        with pytest.raises(ValueError if attempt.__code__.co_names[0] == "Note" else InputError) as refused:
            attempt()
        shown = str(refused.value) + repr(refused.value)
        assert not [secret for secret in secrets if re.search(re.escape(secret), shown)]

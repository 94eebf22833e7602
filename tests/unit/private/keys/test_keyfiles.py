"""Key files: what opens them and what does not, and that no key shows."""

import json
import os
import stat
import traceback
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsync.errors import InputError
from medsync.private.keys import keyfiles
from medsync.private.keys.keyfiles import (
    DamagedKeyFile,
    WrongPassphrase,
    public_parts,
    read_key,
    write_key,
)
from medsync.private.keys.keys import AccessorKey, AttestorKey, BridgeKey, CustodianKey, KeptKey
from medsync.storage.versions import UnsupportedVersion

WRONG = "another passphrase"
PASSPHRASE = "correct hörse battery staple"
KINDS = (CustodianKey, AccessorKey, BridgeKey, AttestorKey)
#: scrypt's N in tests: four milliseconds instead of a second.
WORK = 2**10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "key.json"


def altered(path: Path, **changes: Any) -> None:
    """Change a key file as somebody would who knows its form, checksum included."""
    content = keyfiles._Content.read(path.read_text(), "it").model_copy(update=changes)
    path.write_text(content.model_copy(update={"checksum": content.sum()}).model_dump_json())


def assert_silent(error: BaseException, *secrets: str) -> None:
    seen = "".join(traceback.format_exception(error)) + repr(error) + getattr(error, "hint", "")
    assert not [secret for secret in secrets if secret in seen]


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_comes_back(path: Path, kind: type[KeptKey]) -> None:
    key = kind.generate()
    write_key(path, key, PASSPHRASE, work=WORK)
    assert read_key(path, kind, PASSPHRASE) == key
    assert public_parts(path) == (kind.kind, key.public_parts)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.reveal() not in path.read_bytes()
    assert key.reveal().hex() not in path.read_text()
    assert PASSPHRASE not in path.read_text()
    assert os.listdir(path.parent) == [path.name]


def test_new_files_cost_a_second_and_never_repeat(path: Path) -> None:
    assert keyfiles.SCRYPT_N == 2**18
    key = BridgeKey.generate()
    other = path.with_name("other")
    write_key(path, key, PASSPHRASE, work=WORK)
    write_key(other, key, PASSPHRASE, work=WORK)
    first, second = (json.loads(one.read_text()) for one in (path, other))
    assert first["sealed"] != second["sealed"]
    assert first["scrypt"]["salt"] != second["scrypt"]["salt"]


def test_a_wrong_passphrase_and_a_damaged_file_are_told_apart(path: Path) -> None:
    write_key(path, BridgeKey.generate(), PASSPHRASE, work=WORK)
    with pytest.raises(WrongPassphrase, match="passphrase does not open") as wrong:
        read_key(path, BridgeKey, WRONG)
    assert_silent(wrong.value, WRONG)
    text = path.read_text()
    sealed = json.loads(text)["sealed"]
    path.write_text(text.replace(sealed, sealed[:9] + ("A" if sealed[9] != "A" else "B") + sealed[10:]))
    with pytest.raises(DamagedKeyFile, match="checksum"):
        read_key(path, BridgeKey, PASSPHRASE)
    assert WrongPassphrase.code != DamagedKeyFile.code


@given(st.data())
def test_every_altered_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("key") / "key.json"
    key = BridgeKey(bytes(range(32)))
    write_key(path, key, PASSPHRASE, work=2)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        opened = read_key(path, BridgeKey, PASSPHRASE)
    except (DamagedKeyFile, UnsupportedVersion):
        return
    # White space between members may change: nothing that is said does.
    assert opened == key


def test_whoever_alters_a_file_with_care_does_not_get_it_opened(path: Path) -> None:
    for changes in ({"public": {}}, {"public": {"signing_key": "00" * 32}}, {"sealed": bytes(60)}):
        path.unlink(missing_ok=True)
        write_key(path, BridgeKey.generate(), PASSPHRASE, work=WORK)
        altered(path, **changes)
        with pytest.raises(WrongPassphrase):
            read_key(path, BridgeKey, PASSPHRASE)


def test_a_key_of_another_kind_is_refused(path: Path) -> None:
    write_key(path, BridgeKey.generate(), PASSPHRASE, work=WORK)
    with pytest.raises(InputError, match="a different role, not the custodian's"):
        read_key(path, CustodianKey, PASSPHRASE)
    # Nor does it open if the file says it is.
    altered(path, kind="custodian")
    with pytest.raises(WrongPassphrase):
        read_key(path, CustodianKey, PASSPHRASE)


@pytest.mark.parametrize(
    "numbers", [(2**30, 8, 1), (2**18, 2**20, 1), (2**18, 8, 2**20), (2**52, 1, 1), (3 * 2**10, 8, 1)]
)
def test_too_much_work_is_refused_before_it_begins(
    path: Path, monkeypatch: pytest.MonkeyPatch, numbers: tuple[int, int, int]
) -> None:
    write_key(path, BridgeKey.generate(), PASSPHRASE, work=WORK)
    n, r, p = numbers
    altered(path, scrypt=keyfiles._Scrypt(n=n, r=r, p=p, salt=bytes(16)))
    monkeypatch.setattr(keyfiles, "Scrypt", None)
    with pytest.raises(InputError, match="more work"):
        read_key(path, BridgeKey, PASSPHRASE)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"form": "medsync.opening/1"}', "\xff", "secret words"])
def test_what_is_no_key_file_is_refused(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(DamagedKeyFile, match="not a key file, or is damaged") as refused:
        read_key(path, BridgeKey, PASSPHRASE)
    assert_silent(refused.value, "secret words")


@pytest.mark.parametrize("version", [0, 2])
def test_another_version_is_refused_by_name(path: Path, version: int) -> None:
    path.write_text(f'{{"form": "medsync.key-file/{version}"}}')
    with pytest.raises(UnsupportedVersion, match=f"{path} has format version {version}"):
        read_key(path, BridgeKey, PASSPHRASE)


def test_a_kind_nobody_knows_is_refused(path: Path) -> None:
    write_key(path, BridgeKey.generate(), PASSPHRASE, work=WORK)
    altered(path, kind="janitor")
    with pytest.raises(DamagedKeyFile):
        public_parts(path)


def test_a_key_file_is_never_overwritten_and_needs_a_long_passphrase(path: Path) -> None:
    for passphrase in ("", "seven c", "\udcff" * 8):
        with pytest.raises(InputError, match="passphrase"):
            write_key(path, BridgeKey.generate(), passphrase, work=WORK)
    assert not path.exists()
    key = BridgeKey.generate()
    write_key(path, key, PASSPHRASE, work=WORK)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_key(path, key, PASSPHRASE, work=WORK)
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="cannot be read"):
        read_key(path.with_name("none"), BridgeKey, PASSPHRASE)


def test_a_forged_secret_that_is_no_key_is_a_damaged_file(path: Path) -> None:
    """Whoever knows the passphrase can seal anything."""
    key = AttestorKey.generate()
    write_key(path, key, PASSPHRASE, work=WORK)
    content = keyfiles._Content.read(path.read_text(), "it")
    for secret, public in ((bytes(32), key.public_parts), (key.reveal(), {"stark_key": "0x1"})):
        content = content.model_copy(update={"public": public})
        derived = keyfiles._derived(PASSPHRASE.encode(), content.scrypt)
        altered(path, public=public, sealed=keyfiles.seal(derived, secret, content.bound()))
        with pytest.raises(DamagedKeyFile):
            read_key(path, AttestorKey, PASSPHRASE)


def test_a_passphrase_typed_on_another_system_opens_the_key(path: Path) -> None:
    """One system composes the accented letter, another one types two characters for it."""
    key = BridgeKey.generate()
    write_key(path, key, "caf\u00e9 noir", work=WORK)
    assert read_key(path, BridgeKey, "cafe\u0301 noir") == key


def test_a_key_encrypted_with_the_text_as_typed_opens(path: Path) -> None:
    """Keys made before passphrases were normalised, or with short ones, stay usable."""
    for typed in ("cafe\u0301 noir", "short"):
        key = BridgeKey.generate()
        with patch.object(keyfiles, "new_passphrase", str.encode):
            write_key(path, key, typed, work=WORK, replacing=True)
        assert read_key(path, BridgeKey, typed) == key
        with pytest.raises(WrongPassphrase):
            read_key(path, BridgeKey, "another one")

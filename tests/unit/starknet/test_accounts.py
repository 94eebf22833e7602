"""Accounts are found where they should be, and no key or password is ever in what goes wrong."""

import json
import stat
import traceback
from pathlib import Path
from typing import Any

import pytest
from eth_keyfile.keyfile import create_keyfile_json
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import InputError, MedSyncError, PublicNetworkError
from medsync.starknet import accounts
from medsync.starknet.accounts import (
    ADDRESS_VARIABLE,
    KEY_VARIABLE,
    KEYSTORE_VARIABLE,
    PASSWORD_VARIABLE,
    create_keystore,
    load_account,
    predeployed_accounts,
    read_keystore,
)
from medsync.starknet.network import Connection
from medsync.starknet.signer import public_key_of
from tests.harness.histories import CHAIN

KEY = 0x5EC4E700000000000000000000000000000000000000000000000000BADCAFE
PASSWORD = "correct horse bätterie staple"
WRONG_PASSWORD = "s3cond guess"
ADDRESS = 0xACC

#: Test vector of the Web3 Secret Storage definition; its key is beyond the STARK curve's order.
PBKDF2_VECTOR = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
VECTOR_PASSWORD = "testpassword"
VECTOR_KEY = 0x7A28B5BA57C53603B0B07B56BBA752F7784BF506FA95EDC395F5CF6C7514FE9D


@pytest.fixture(autouse=True)
def _quick_and_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_SCRYPT_N", 2)
    for name in (ADDRESS_VARIABLE, KEY_VARIABLE, KEYSTORE_VARIABLE, PASSWORD_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    path = tmp_path / "keystore.json"
    create_keystore(path, PASSWORD, KEY)
    return path


def connection(*, is_local: bool = False) -> Connection:
    return Connection("sepolia", CHAIN, is_local, FullNodeClient("http://127.0.0.1:1"), "http://127.0.0.1:1")


def assert_silent(error: BaseException, *secrets: str) -> None:
    """Nothing of the secrets is in the error or in any error it came from."""
    seen = "".join(traceback.format_exception(error))
    linked: BaseException | None = error
    while linked is not None:
        seen += repr(linked) + repr(getattr(linked, "hint", ""))
        linked = linked.__cause__ or linked.__context__
    for secret in (f"{KEY:x}", str(KEY), PASSWORD, *secrets):
        assert secret.lower() not in seen.lower()


# --- keystores ----------------------------------------------------------------------------------------------


def test_a_keystore_gives_back_its_key(keystore: Path) -> None:
    assert read_keystore(keystore, PASSWORD) == KEY
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    content = keystore.read_text()
    assert f"{KEY:x}" not in content.lower()
    assert "address" not in json.loads(content)


def test_a_new_keystore_has_a_fresh_key(tmp_path: Path) -> None:
    first = create_keystore(tmp_path / "first", PASSWORD)
    second = create_keystore(tmp_path / "second", PASSWORD)
    assert first != second
    assert public_key_of(read_keystore(tmp_path / "first", PASSWORD)) == first


def test_other_tools_keystores_are_read(tmp_path: Path) -> None:
    """Made like starkli (scrypt, n = 8192) and like older wallets (PBKDF2) make theirs, password in UTF-8."""
    for kdf, work in (("scrypt", 8192), ("pbkdf2", 1000)):
        made: dict[str, Any] = create_keyfile_json(
            KEY.to_bytes(32, "big"),
            PASSWORD.encode(),  # type: ignore[arg-type]
            kdf=kdf,  # type: ignore[arg-type]
            iterations=work,
        )
        path = tmp_path / kdf
        path.write_text(json.dumps(made))
        assert read_keystore(path, PASSWORD) == KEY


def test_the_formats_own_test_vector_opens_and_is_no_stark_key(tmp_path: Path) -> None:
    path = tmp_path / "vector.json"
    path.write_text(json.dumps(PBKDF2_VECTOR))
    with pytest.raises(InputError, match="STARK curve") as refused:
        read_keystore(path, VECTOR_PASSWORD)
    assert_silent(refused.value, f"{VECTOR_KEY:x}", str(VECTOR_KEY), VECTOR_PASSWORD)


def test_a_wrong_password_does_not_open_it(keystore: Path) -> None:
    with pytest.raises(InputError, match="the password does not open it") as refused:
        read_keystore(keystore, WRONG_PASSWORD)
    assert_silent(refused.value, WRONG_PASSWORD)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"version": 3}',
        '{"version": 4}',
        '{"version": 3, "crypto": {"kdf": "md5"}}',
    ],
)
def test_what_is_no_keystore_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(InputError, match=str(path)) as refused:
        read_keystore(path, PASSWORD)
    assert_silent(refused.value)


def test_a_missing_keystore_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_keystore(tmp_path / "none", PASSWORD)


def test_a_keystore_is_never_overwritten(keystore: Path) -> None:
    before = keystore.read_bytes()
    with pytest.raises(InputError, match="exists already") as refused:
        create_keystore(keystore, PASSWORD, KEY)
    assert keystore.read_bytes() == before
    assert_silent(refused.value)


def test_a_keystore_needs_a_password_a_place_and_a_good_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="password"):
        create_keystore(tmp_path / "new", "")
    with pytest.raises(InputError, match="cannot be written"):
        create_keystore(tmp_path / "no folder" / "new", PASSWORD, KEY)
    with pytest.raises(InputError) as refused:
        create_keystore(tmp_path / "new", PASSWORD, VECTOR_KEY)
    assert_silent(refused.value, f"{VECTOR_KEY:x}", str(VECTOR_KEY))
    assert not (tmp_path / "new").exists()


# --- where an account comes from ----------------------------------------------------------------------------


async def test_an_address_with_its_keystore(keystore: Path) -> None:
    account = await load_account(connection(), f"{ADDRESS:#x}@{keystore}", password=PASSWORD)
    assert account.address == ADDRESS
    assert account.stark_signer.public_key == public_key_of(KEY)
    assert account.chain_id == CHAIN
    assert f"{KEY:x}" not in repr(account) + repr(account.signer)


async def test_the_password_may_come_from_the_environment(
    keystore: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"{ADDRESS:#x}@{keystore}"
    with pytest.raises(InputError, match="password") as refused:
        await load_account(connection(), source)
    assert PASSWORD_VARIABLE in refused.value.hint
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    assert (await load_account(connection(), source)).address == ADDRESS


async def test_the_environment_names_a_keystore_or_a_key(
    keystore: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, hex(ADDRESS))
    with pytest.raises(InputError, match=KEY_VARIABLE):
        await load_account(connection())
    monkeypatch.setenv(KEY_VARIABLE, hex(KEY + 1))
    by_key = await load_account(connection())
    monkeypatch.setenv(KEYSTORE_VARIABLE, str(keystore))
    by_keystore = await load_account(connection(), password=PASSWORD)
    assert by_key.stark_signer.public_key == public_key_of(KEY + 1)
    assert by_keystore.stark_signer.public_key == public_key_of(KEY)


@pytest.mark.parametrize("text", [f"{KEY:x}", f"0x{KEY:x}zz", f"0x{KEY:x}{KEY:x}", hex(VECTOR_KEY), "0x"])
async def test_a_false_key_in_the_environment_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, hex(ADDRESS))
    monkeypatch.setenv(KEY_VARIABLE, text)
    with pytest.raises(MedSyncError) as refused:
        await load_account(connection())
    assert_silent(refused.value, *([text] if len(text) > 2 else []), f"{VECTOR_KEY:x}", str(VECTOR_KEY))


@pytest.mark.parametrize(
    "source", ["", "0x1", "patient", "patient@key.json", f"{2**251:#x}@key.json", "@key.json"]
)
async def test_what_names_no_account_is_refused(source: str) -> None:
    with pytest.raises(InputError):
        await load_account(connection(), source, password=PASSWORD)


async def test_no_account_at_all_is_explained() -> None:
    with pytest.raises(InputError, match="No account is named") as refused:
        await load_account(connection())
    assert ADDRESS_VARIABLE in refused.value.hint


async def test_a_devnets_accounts_are_for_local_devnets_only() -> None:
    with pytest.raises(PublicNetworkError):
        await load_account(connection(), "devnet:0")
    with pytest.raises(PublicNetworkError):
        await predeployed_accounts(connection())

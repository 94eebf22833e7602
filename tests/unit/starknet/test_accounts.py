"""Accounts are found where they should be, and no key or passphrase is ever in what goes wrong."""

import asyncio
import json
import shutil
import stat
import traceback
from pathlib import Path
from typing import Any

import pytest
from eth_keyfile.keyfile import create_keyfile_json
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import InputError, MedSyncError, NetworkError, PublicNetworkError
from medsync.starknet import account_files, accounts
from medsync.starknet.account_files import Blueprint
from medsync.starknet.accounts import (
    ADDRESS_VARIABLE,
    KEY_VARIABLE,
    KEYSTORE_VARIABLE,
    create_account,
    create_keystore,
    load_account,
    predeployed_accounts,
    read_keystore,
)
from medsync.starknet.network import Connection
from medsync.starknet.signer import public_key_of
from medsync.storage.passphrase import (
    ACCOUNT_PASSPHRASE_VARIABLE,
    PASSPHRASE_VARIABLE,
    WrongPassphrase,
)
from tests.harness.histories import CHAIN

KEY = 0x5EC4E700000000000000000000000000000000000000000000000000BADCAFE
PASSPHRASE = "correct horse bätterie staple"
WRONG_PASSPHRASE = "s3cond guess"
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
VECTOR_PASSPHRASE = "testpassword"
VECTOR_KEY = 0x7A28B5BA57C53603B0B07B56BBA752F7784BF506FA95EDC395F5CF6C7514FE9D


@pytest.fixture(autouse=True)
def _quick_and_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_SCRYPT_N", 2)
    for name in (ADDRESS_VARIABLE, KEY_VARIABLE, KEYSTORE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name in (ACCOUNT_PASSPHRASE_VARIABLE, PASSPHRASE_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    path = tmp_path / "keystore.json"
    create_keystore(path, PASSPHRASE, KEY)
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
    for secret in (f"{KEY:x}", str(KEY), PASSPHRASE, *secrets):
        assert secret.lower() not in seen.lower()


# --- keystores ----------------------------------------------------------------------------------------------


def test_a_keystore_gives_back_its_key(keystore: Path) -> None:
    assert read_keystore(keystore, PASSPHRASE) == KEY
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    content = keystore.read_text()
    assert f"{KEY:x}" not in content.lower()
    assert "address" not in json.loads(content)


def test_a_new_keystore_has_a_fresh_key(tmp_path: Path) -> None:
    first = create_keystore(tmp_path / "first", PASSPHRASE)
    second = create_keystore(tmp_path / "second", PASSPHRASE)
    assert first != second
    assert public_key_of(read_keystore(tmp_path / "first", PASSPHRASE)) == first


def test_other_tools_keystores_are_read(tmp_path: Path) -> None:
    """Made as starkli (scrypt, n = 8192) and older wallets (PBKDF2) do, passphrase in UTF-8."""
    for kdf, work in (("scrypt", 8192), ("pbkdf2", 1000)):
        made: dict[str, Any] = create_keyfile_json(
            KEY.to_bytes(32, "big"),
            PASSPHRASE.encode(),  # type: ignore[arg-type]
            kdf=kdf,  # type: ignore[arg-type]
            iterations=work,
        )
        path = tmp_path / kdf
        path.write_text(json.dumps(made))
        assert read_keystore(path, PASSPHRASE) == KEY


def test_a_passphrase_opens_however_its_characters_are_composed(tmp_path: Path) -> None:
    """New keystores are encrypted with the NFKC form; those of other tools perhaps with another one."""
    composed, decomposed = "b\u00e4tterie", "ba\u0308tterie"
    create_keystore(tmp_path / "ours", decomposed, KEY)
    assert read_keystore(tmp_path / "ours", composed) == KEY
    theirs: dict[str, Any] = create_keyfile_json(
        KEY.to_bytes(32, "big"),
        decomposed.encode(),  # type: ignore[arg-type]
        kdf="scrypt",
        iterations=2,
    )
    (tmp_path / "theirs").write_text(json.dumps(theirs))
    assert read_keystore(tmp_path / "theirs", decomposed) == KEY
    with pytest.raises(WrongPassphrase):
        read_keystore(tmp_path / "theirs", composed)


def test_the_formats_own_test_vector_opens_and_is_no_stark_key(tmp_path: Path) -> None:
    path = tmp_path / "vector.json"
    path.write_text(json.dumps(PBKDF2_VECTOR))
    with pytest.raises(InputError, match="STARK curve") as refused:
        read_keystore(path, VECTOR_PASSPHRASE)
    assert_silent(refused.value, f"{VECTOR_KEY:x}", str(VECTOR_KEY), VECTOR_PASSPHRASE)


def test_a_wrong_passphrase_does_not_open_it(keystore: Path) -> None:
    with pytest.raises(InputError, match="passphrase does not open the keystore") as refused:
        read_keystore(keystore, WRONG_PASSPHRASE)
    assert_silent(refused.value, WRONG_PASSPHRASE)


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
        read_keystore(path, PASSPHRASE)
    assert_silent(refused.value)


def test_a_missing_keystore_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_keystore(tmp_path / "none", PASSPHRASE)


def test_a_keystore_is_never_overwritten(keystore: Path) -> None:
    before = keystore.read_bytes()
    with pytest.raises(InputError, match="exists already") as refused:
        create_keystore(keystore, PASSPHRASE, KEY)
    assert keystore.read_bytes() == before
    assert_silent(refused.value)


def test_a_keystore_needs_a_passphrase_a_place_and_a_good_key(tmp_path: Path) -> None:
    for short in ("", "7 chars"):
        with pytest.raises(InputError, match="too short"):
            create_keystore(tmp_path / "new", short)
    with pytest.raises(InputError, match="cannot be written"):
        create_keystore(tmp_path / "no folder" / "new", PASSPHRASE, KEY)
    with pytest.raises(InputError) as refused:
        create_keystore(tmp_path / "new", PASSPHRASE, VECTOR_KEY)
    assert_silent(refused.value, f"{VECTOR_KEY:x}", str(VECTOR_KEY))
    assert not (tmp_path / "new").exists()


# --- accounts of one's own ----------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's data, empty."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


async def test_a_new_account_is_found_by_its_name(data: Path) -> None:
    made = create_account("deployer", PASSPHRASE)
    account = await load_account(connection(), "deployer", passphrase=PASSPHRASE)
    assert made.keystore == data / "medsync/accounts/deployer.keystore.json"
    assert stat.S_IMODE(made.keystore.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.keystore.parent.stat().st_mode) == 0o700
    assert account.address == made.address
    assert account.stark_signer.public_key == made.public_key
    # The address can be computed again from the keystore alone.
    key = read_keystore(made.keystore, PASSPHRASE)
    assert Blueprint(public_key_of(key), salt=public_key_of(key)).address == made.address


async def test_its_keystore_may_be_elsewhere_and_its_class_another(data: Path, tmp_path: Path) -> None:
    keystore = tmp_path / "elsewhere.json"
    made = create_account("deployer", PASSPHRASE, keystore=keystore, class_hash=0xC1A55)
    assert made.blueprint is not None
    assert made.blueprint.class_hash == 0xC1A55
    account = await load_account(connection(), "deployer", passphrase=PASSPHRASE)
    assert account.address == made.blueprint.address
    assert [path.name for path in (data / "medsync/accounts").iterdir()] == ["deployer.json"]


def test_no_file_of_an_account_is_overwritten(data: Path, tmp_path: Path) -> None:
    create_account("deployer", PASSPHRASE)
    before = {path: path.read_bytes() for path in (data / "medsync/accounts").iterdir()}
    with pytest.raises(InputError, match="There is an account deployer already"):
        create_account("deployer", PASSPHRASE)
    kept = tmp_path / "kept.json"
    kept.write_text("a key")
    with pytest.raises(InputError, match="never overwritten") as refused:
        create_account("other", PASSPHRASE, keystore=kept)
    assert_silent(refused.value)
    assert kept.read_text() == "a key"
    assert {path: path.read_bytes() for path in (data / "medsync/accounts").iterdir()} == before


def test_half_an_account_is_not_left_behind(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        create_account("deployer", PASSPHRASE, keystore=tmp_path / "no folder" / "keystore")
    with pytest.raises(InputError, match="passphrase"):
        create_account("deployer", "7 chars")
    assert not list(data.rglob("*.json"))


def test_folders_that_cannot_be_written_say_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="cannot be made: Not a directory") as refused:
        create_account("deployer", PASSPHRASE)
    assert refused.value.hint == "Set XDG_DATA_HOME to a folder that can be written."
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with pytest.raises(InputError, match=r"The keystore .* cannot be written") as refused:
        create_account("deployer", PASSPHRASE, keystore=tmp_path / "no folder" / "keystore")
    assert "name another file for the keystore" in refused.value.hint


async def test_the_keystore_of_another_account_is_refused(data: Path, keystore: Path) -> None:
    made = create_account("deployer", PASSPHRASE)
    assert made.keystore is not None
    shutil.copy(keystore, made.keystore)
    with pytest.raises(InputError, match="the public keys differ") as refused:
        await load_account(connection(), "deployer", passphrase=PASSPHRASE)
    assert_silent(refused.value)


async def test_an_account_file_with_a_keystore(
    data: Path, tmp_path: Path, keystore: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As starkli writes them: the keystore is named on the command line, or by the environment."""
    blueprint = Blueprint(public_key_of(KEY))
    path = tmp_path / "account.json"
    document = json.loads(account_files.to_json(blueprint, keystore))
    del document["keystore"]
    path.write_text(json.dumps(document))

    named = await load_account(connection(), f"{path}@{keystore}", passphrase=PASSPHRASE)
    with pytest.raises(InputError, match="does not say where its keystore is") as refused:
        await load_account(connection(), str(path), passphrase=PASSPHRASE)
    monkeypatch.setenv(KEYSTORE_VARIABLE, str(keystore))
    by_environment = await load_account(connection(), str(path), passphrase=PASSPHRASE)

    assert KEYSTORE_VARIABLE in refused.value.hint
    assert named.address == by_environment.address == blueprint.address


async def test_an_account_of_sncast(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    entry = {"address": hex(ADDRESS), "private_key": hex(KEY), "public_key": hex(public_key_of(KEY))}
    path.write_text(json.dumps({"alpha-sepolia": {"deployer": entry}}))
    account = await load_account(connection(), f"sncast:deployer@{path}")
    assert (account.address, account.stark_signer.public_key) == (ADDRESS, public_key_of(KEY))


async def test_the_passphrase_is_asked_for_only_if_a_keystore_is_opened(
    keystore: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append(PASSPHRASE)
        return PASSPHRASE

    monkeypatch.setenv(ADDRESS_VARIABLE, hex(ADDRESS))
    monkeypatch.setenv(KEY_VARIABLE, hex(KEY))
    await load_account(connection(), passphrase=ask)
    assert asked == []
    await load_account(connection(), f"{ADDRESS:#x}@{keystore}", passphrase=ask)
    assert asked == [PASSPHRASE]


# --- where an account comes from ----------------------------------------------------------------------------


async def test_an_address_with_its_keystore(keystore: Path) -> None:
    account = await load_account(connection(), f"{ADDRESS:#x}@{keystore}", passphrase=PASSPHRASE)
    assert account.address == ADDRESS
    assert account.stark_signer.public_key == public_key_of(KEY)
    assert account.chain_id == CHAIN
    assert f"{KEY:x}" not in repr(account) + repr(account.signer)


async def test_the_passphrase_may_come_from_the_environment(
    keystore: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"{ADDRESS:#x}@{keystore}"
    with pytest.raises(InputError, match="passphrase") as refused:
        await load_account(connection(), source)
    assert ACCOUNT_PASSPHRASE_VARIABLE in refused.value.hint
    monkeypatch.setenv(ACCOUNT_PASSPHRASE_VARIABLE, PASSPHRASE)
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
    by_keystore = await load_account(connection(), passphrase=PASSPHRASE)
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
    "source",
    [
        *("", "0x1", "patient", "patient@key.json", f"{2**251:#x}@key.json", "@key.json"),
        *(f"{KEY:x}", hex(KEY), f"{KEY:x}@key.json", f"0x{KEY:x}@"),
    ],
)
async def test_what_names_no_account_is_refused_and_not_quoted(source: str) -> None:
    """It may be a key in the wrong place."""
    with pytest.raises(InputError) as refused:
        await load_account(connection(), source, passphrase=PASSPHRASE)
    assert_silent(refused.value)


async def test_no_account_at_all_is_explained() -> None:
    with pytest.raises(InputError, match="No account is named") as refused:
        await load_account(connection())
    assert ADDRESS_VARIABLE in refused.value.hint


async def test_a_devnets_accounts_are_for_local_devnets_only() -> None:
    with pytest.raises(PublicNetworkError):
        await load_account(connection(), "devnet:0")
    with pytest.raises(PublicNetworkError):
        await predeployed_accounts(connection())


class FakeDevnet:
    """Lists one account, slowly, and fails for as often as it is to."""

    is_local = True

    def __init__(self, failures: int = 0) -> None:
        self.client = FullNodeClient("http://127.0.0.1:1")
        self.chain_id = CHAIN
        self.failures = failures
        self.asked = 0

    async def devnet_rpc(self, method: str, **params: object) -> object:
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked <= self.failures:
            raise NetworkError("The devnet does not answer.")
        return [{"address": hex(ADDRESS), "private_key": hex(KEY)}]


async def test_a_devnet_is_asked_once_for_its_accounts() -> None:
    devnet: Any = FakeDevnet()
    found = await asyncio.gather(*[predeployed_accounts(devnet) for _ in range(3)])
    assert {one.address for accounts in found for one in accounts} == {ADDRESS}
    assert devnet.asked == 1
    other: Any = FakeDevnet()
    await predeployed_accounts(other)
    assert other.asked == 1


async def test_a_devnet_that_did_not_answer_is_asked_again() -> None:
    devnet: Any = FakeDevnet(failures=1)
    with pytest.raises(NetworkError):
        await predeployed_accounts(devnet)
    (account,) = await predeployed_accounts(devnet)
    assert (account.address, devnet.asked) == (ADDRESS, 2)


async def test_who_stops_waiting_for_accounts_stops_nobody_else() -> None:
    devnet: Any = FakeDevnet()
    first, second = (asyncio.ensure_future(predeployed_accounts(devnet)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert [account.address for account in await second] == [ADDRESS]

"""Account files: the address follows from them alone, other tools' files are read, and no key is shown."""

import json
from pathlib import Path
from typing import Any

import pytest
from starkware.starknet.core.os.contract_address.contract_address import (
    calculate_contract_address_from_hash,
)

from medsync.errors import InputError
from medsync.protocol.felt import encode_short_string
from medsync.starknet import account_files
from medsync.starknet.account_files import (
    OPEN_ZEPPELIN_CLASS,
    Blueprint,
    read_account_file,
    read_sncast,
)
from medsync.starknet.signer import public_key_of

KEY = 0x5EC4E700000000000000000000000000000000000000000000000000BADCAFE
PUBLIC_KEY = public_key_of(KEY)
SALT = 0x5A17
SEPOLIA = encode_short_string("SN_SEPOLIA")
ADDRESS = calculate_contract_address_from_hash(SALT, OPEN_ZEPPELIN_CLASS, [PUBLIC_KEY], 0)
"""By cairo-lang, which shares no code with the package."""

DEPLOYED = {"status": "deployed", "class_hash": hex(OPEN_ZEPPELIN_CLASS), "address": f"0x{ADDRESS:064X}"}
UNDEPLOYED = {"status": "undeployed", "class_hash": hex(OPEN_ZEPPELIN_CLASS), "salt": hex(SALT)}


def starkli(deployment: dict[str, str], **variant: Any) -> dict[str, Any]:
    """An account file as starkli writes it."""
    written = {"type": "open_zeppelin", "version": 1, "public_key": hex(PUBLIC_KEY), "legacy": False}
    return {"version": 1, "variant": written | variant, "deployment": deployment}


def sncast(**changes: Any) -> dict[str, Any]:
    """An accounts file as sncast writes it, with one account for Sepolia."""
    account = {
        "address": hex(ADDRESS),
        "class_hash": hex(OPEN_ZEPPELIN_CLASS),
        "deployed": False,
        "legacy": False,
        "private_key": hex(KEY),
        "public_key": hex(PUBLIC_KEY),
        "salt": hex(SALT),
        "type": "open_zeppelin",
    }
    merged = {name: value for name, value in (account | changes).items() if value is not None}
    return {"alpha-sepolia": {"deployer": merged}, "alpha-mainnet": {"other": {}}}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Where the file of a test goes."""
    return tmp_path / "account.json"


def test_the_address_is_the_one_that_cairo_lang_computes() -> None:
    assert Blueprint(PUBLIC_KEY, salt=SALT).address == ADDRESS


# --- MedSync's own and starkli's ----------------------------------------------------------------------------


@pytest.mark.parametrize("deployment", [DEPLOYED, UNDEPLOYED], ids=["deployed", "undeployed"])
def test_account_files_of_starkli_are_read(written: Path, deployment: dict[str, str]) -> None:
    written.write_text(json.dumps(starkli(deployment)))
    found = read_account_file(written)
    assert (found.address, found.public_key, found.keystore) == (ADDRESS, PUBLIC_KEY, None)
    assert (found.blueprint is not None) == (deployment is UNDEPLOYED)


def test_our_own_file_names_its_keystore_and_keeps_to_starklis_format(written: Path) -> None:
    content = account_files.to_json(Blueprint(PUBLIC_KEY, salt=SALT), Path("beside.json"))
    written.write_text(content)
    document = json.loads(content)
    assert document.pop("keystore") == "beside.json"
    assert document == starkli(UNDEPLOYED)
    assert read_account_file(written).keystore == written.parent / "beside.json"
    assert read_account_file(written, Path("named.json")).keystore == Path("named.json")


def test_accounts_of_other_makers_are_known_once_they_are_deployed(written: Path) -> None:
    written.write_text(json.dumps(starkli(DEPLOYED, type="argent", owner=hex(PUBLIC_KEY))))
    assert read_account_file(written).address == ADDRESS
    written.write_text(json.dumps(starkli(UNDEPLOYED, type="argent", owner=hex(PUBLIC_KEY))))
    with pytest.raises(InputError, match="does not say where the account is") as refused:
        read_account_file(written)
    assert "OpenZeppelin" in refused.value.hint


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({}, "version"),
        (starkli(DEPLOYED) | {"version": 2}, "version"),
        (starkli(DEPLOYED | {"status": "perhaps"}), "deployment.status"),
        (starkli(DEPLOYED | {"address": hex(2**251)}), "deployment.address"),
        (starkli(UNDEPLOYED | {"salt": 5}), "deployment.salt"),
        (starkli(DEPLOYED, public_key="0xzz"), "variant.public_key"),
        ([], "document"),
        ("not JSON", "not JSON"),
    ],
)
def test_what_is_no_account_file_is_refused_by_name(written: Path, content: Any, place: str) -> None:
    written.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError, match=f"{written} cannot be used: {place}"):
        read_account_file(written)


# --- sncast's -----------------------------------------------------------------------------------------------


def test_accounts_of_sncast_are_read_for_their_chain(written: Path) -> None:
    written.write_text(json.dumps(sncast()))
    found = read_sncast("deployer", SEPOLIA, written)
    assert (found.address, found.private_key) == (ADDRESS, KEY)
    assert found.blueprint == Blueprint(PUBLIC_KEY, salt=SALT)
    assert f"{KEY:x}" not in repr(found)


def test_sncast_has_a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".starknet_accounts"
    folder.mkdir()
    (folder / "starknet_open_zeppelin_accounts.json").write_text(json.dumps(sncast(address=None)))
    assert read_sncast("deployer", SEPOLIA).address == ADDRESS


def test_an_account_that_sncast_does_not_have_there(written: Path) -> None:
    written.write_text(json.dumps(sncast()))
    with pytest.raises(InputError, match="no account of that name for alpha-sepolia") as refused:
        read_sncast("other", SEPOLIA, written)
    assert "deployer" in refused.value.hint
    with pytest.raises(InputError, match="for alpha-mainnet"):
        read_sncast("deployer", encode_short_string("SN_MAIN"), written)
    with pytest.raises(InputError, match="for SN_OTHER"):
        read_sncast("deployer", encode_short_string("SN_OTHER"), written)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"private_key": f"{KEY:x}"}, "private_key"),
        ({"private_key": KEY}, "private_key"),
        ({"private_key": None}, "has no private key"),
        ({"address": None, "salt": None}, "does not say where the account is"),
    ],
    ids=["key without 0x", "key as a number", "no key", "no address"],
)
def test_a_malformed_entry_is_refused_and_its_key_not_shown(
    written: Path, changes: dict[str, Any], problem: str
) -> None:
    written.write_text(json.dumps(sncast(**changes)))
    with pytest.raises(InputError, match=problem) as refused:
        read_sncast("deployer", SEPOLIA, written)
    error: BaseException | None = refused.value
    while error is not None:
        assert f"{KEY:x}" not in f"{error!r}"
        assert str(KEY) not in f"{error!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


# --- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", "me", "devnet", "0x1", "0xabc", "a.json", "a/b", "-a", "ä", "a" * 65, "a b"]
)
def test_what_cannot_be_a_name_is_refused_and_not_quoted(name: str) -> None:
    with pytest.raises(InputError, match="name is 1 to 64"):
        account_files.path_of(name)


def test_only_accounts_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert account_files.names() == []
    folder = tmp_path / "medsync" / "accounts"
    folder.mkdir(parents=True)
    for name in ("b.json", "a.json", "a.keystore.json", "notes.txt"):
        (folder / name).touch()
    assert account_files.names() == ["a", "b"]

"""Passphrases: where they are found, which of them a new key accepts, and what bytes they become."""

from pathlib import Path

import pytest

from medsync.errors import InputError
from medsync.storage.passphrase import (
    WrongPassphrase,
    find_passphrase,
    new_passphrase,
    possible_passphrases,
    required_passphrase,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text("from a file\r\nand not this\n")
    return path


def test_a_file_comes_before_the_environment(file: Path) -> None:
    environment = {"MEDSYNC_PASSPHRASE": "from the environment"}
    assert find_passphrase(file, environment=environment) == "from a file"
    assert find_passphrase(environment=environment) == "from the environment"


def test_the_environment_can_name_a_file(file: Path) -> None:
    assert find_passphrase(environment={"MEDSYNC_PASSPHRASE_FILE": str(file)}) == "from a file"


@pytest.mark.parametrize("name", ["MEDSYNC_PASSPHRASE", "MEDSYNC_ACCOUNT_PASSPHRASE"])
def test_a_variable_and_the_one_that_names_a_file_are_refused_together(file: Path, name: str) -> None:
    environment = {name: "hunter2 hunter2", f"{name}_FILE": str(file)}
    with pytest.raises(InputError, match=f"{name} and {name}_FILE are both set") as refused:
        find_passphrase(account=True, environment=environment)
    assert refused.value.hint == "Unset one of them."
    assert find_passphrase(file, account=True, environment=environment) == "from a file"


def test_a_wrong_passphrase_says_where_it_may_come_from() -> None:
    assert "--passphrase-file, MEDSYNC_PASSPHRASE" in WrongPassphrase("the key file k").hint
    keystore = WrongPassphrase("the keystore k", account=True)
    assert keystore.message == "The passphrase does not open the keystore k."
    assert "MEDSYNC_ACCOUNT_PASSPHRASE, MEDSYNC_PASSPHRASE" in keystore.hint
    assert "--passphrase-file" not in keystore.hint


def test_an_accounts_keystore_can_have_a_passphrase_of_its_own(file: Path) -> None:
    both = {"MEDSYNC_PASSPHRASE": "of everything", "MEDSYNC_ACCOUNT_PASSPHRASE": "of the account"}
    assert find_passphrase(account=True, environment=both) == "of the account"
    assert find_passphrase(environment=both) == "of everything"
    both = {"MEDSYNC_PASSPHRASE": "of everything", "MEDSYNC_ACCOUNT_PASSPHRASE_FILE": str(file)}
    assert find_passphrase(account=True, environment=both) == "from a file"
    del both["MEDSYNC_ACCOUNT_PASSPHRASE_FILE"]
    assert find_passphrase(account=True, environment=both) == "of everything"


def test_without_any_the_error_says_what_to_set() -> None:
    assert find_passphrase(environment={}) is None
    for account, name in ((False, "MEDSYNC_PASSPHRASE"), (True, "MEDSYNC_ACCOUNT_PASSPHRASE")):
        with pytest.raises(InputError, match="needs its passphrase") as refused:
            required_passphrase(account=account, environment={})
        assert f"Set {name}, or {name}_FILE" in refused.value.hint


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path / "missing")):
        find_passphrase(tmp_path / "missing", environment={})


@pytest.mark.parametrize(
    ("former", "name"),
    [
        ("MEDSYNC_KEYSTORE_PASSWORD", "MEDSYNC_ACCOUNT_PASSPHRASE"),
        ("MEDSYNC_KEY_PASSPHRASE", "MEDSYNC_PASSPHRASE"),
        ("MEDSYNC_KEY_PASSPHRASE_FILE", "MEDSYNC_PASSPHRASE_FILE"),
    ],
)
def test_a_former_name_is_refused_with_the_present_one(former: str, name: str) -> None:
    environment = {former: "hunter2 hunter2", "MEDSYNC_PASSPHRASE": "something else"}
    with pytest.raises(InputError, match=former) as refused:
        find_passphrase(account="ACCOUNT" in name, environment=environment)
    assert f"Set {name} instead" in refused.value.hint
    assert "hunter2" not in refused.value.message + refused.value.hint


def test_a_new_passphrase_is_normalised_before_it_is_measured() -> None:
    assert new_passphrase("cafe\u0301 noir") == "caf\u00e9 noir".encode()
    # Eight characters as typed, seven in composed form.
    with pytest.raises(InputError, match="at least 8 characters"):
        new_passphrase("cafe\u0301 ou")
    # One ligature as typed, three characters in compatibility form.
    assert new_passphrase("\ufb03ciency") == b"fficiency"


def test_text_that_is_no_unicode_is_refused() -> None:
    for encode in (new_passphrase, possible_passphrases):
        with pytest.raises(InputError, match="UTF-8"):
            encode("\udcff" * 8)


def test_an_existing_key_is_tried_with_both_forms() -> None:
    assert possible_passphrases("e\u0301") == ["\u00e9".encode(), "e\u0301".encode()]
    assert possible_passphrases("short") == [b"short"]

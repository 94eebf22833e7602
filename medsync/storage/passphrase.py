"""Passphrases: where they come from, and which bytes a key is derived from.

Every key file and every keystore is protected in the same way. A passphrase is normalised to Unicode NFKC
(UAX #15) before a new key is encrypted with it, so that the same characters typed on another system open it.
Files made by other tools may have been encrypted with the text as it was typed, so that reading tries both.
Where a person sits at a terminal, `medsync.cli.passphrase` asks for what is not found here.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from medsync.errors import InputError
from medsync.storage.files import read_text

#: Environment variable with the passphrase; the same name and `_FILE` names a file with it.
PASSPHRASE_VARIABLE: Final = "MEDSYNC_PASSPHRASE"

#: The same for an account's keystore, if its passphrase differs from that of an institution's keys.
ACCOUNT_PASSPHRASE_VARIABLE: Final = "MEDSYNC_ACCOUNT_PASSPHRASE"

#: Fewest characters of the passphrase of a new key.
SHORTEST: Final = 8

#: Former names of the variables of keys and of accounts, and what to set instead.
_FORMER_OF_KEYS: Final[Mapping[str, str]] = {
    "MEDSYNC_KEY_PASSPHRASE": PASSPHRASE_VARIABLE,
    "MEDSYNC_KEY_PASSPHRASE_FILE": f"{PASSPHRASE_VARIABLE}_FILE",
}
_FORMER_OF_ACCOUNTS: Final[Mapping[str, str]] = {"MEDSYNC_KEYSTORE_PASSWORD": ACCOUNT_PASSPHRASE_VARIABLE}


class WrongPassphrase(InputError):
    """The passphrase does not open the key. With `account` it is that of an account's keystore."""

    code = "WRONG_PASSPHRASE"

    def __init__(self, what: str, *, account: bool = False) -> None:
        own = ACCOUNT_PASSPHRASE_VARIABLE if account else "--passphrase-file"
        super().__init__(
            f"The passphrase does not open {what}.",
            hint=f"Type it again, or correct where it comes from: {own}, {PASSPHRASE_VARIABLE}, or the file "
            "that one of the variables names with _FILE at its end.",
        )


def find_passphrase(
    file: Path | None = None, *, account: bool = False, environment: Mapping[str, str] = os.environ
) -> str | None:
    """The passphrase from a file's first line, or from the environment; None if neither has one.

    The environment is only asked without a `file`. `MEDSYNC_PASSPHRASE` holds the passphrase, or
    `MEDSYNC_PASSPHRASE_FILE` names a file; with `account`, for the keystore of an account,
    `MEDSYNC_ACCOUNT_PASSPHRASE` and `MEDSYNC_ACCOUNT_PASSPHRASE_FILE` come first.

    Raises InputError for a file that cannot be read, for a variable's former name, and if a variable and the
    one with `_FILE` are both set.

    Example:
        >>> find_passphrase(environment={"MEDSYNC_PASSPHRASE": "correct horse"})
        'correct horse'
    """
    if file is not None:
        return _first_line(file)
    for former, name in (_FORMER_OF_ACCOUNTS if account else _FORMER_OF_KEYS).items():
        if former in environment:
            raise InputError(f"{former} is not read any more.", hint=f"Set {name} instead.")
    for name in (ACCOUNT_PASSPHRASE_VARIABLE, PASSPHRASE_VARIABLE) if account else (PASSPHRASE_VARIABLE,):
        if name in environment and f"{name}_FILE" in environment:
            raise InputError(f"{name} and {name}_FILE are both set.", hint="Unset one of them.")
        if name in environment:
            return environment[name]
        if f"{name}_FILE" in environment:
            return _first_line(Path(environment[f"{name}_FILE"]))
    return None


def required_passphrase(
    file: Path | None = None, *, account: bool = False, environment: Mapping[str, str] = os.environ
) -> str:
    """The passphrase as `find_passphrase` finds it. Raises InputError also if there is none."""
    found = find_passphrase(file, account=account, environment=environment)
    if found is None:
        what = "account's keystore" if account else "key file"
        name = ACCOUNT_PASSPHRASE_VARIABLE if account else PASSPHRASE_VARIABLE
        raise InputError(
            f"The {what} needs its passphrase.",
            hint=f"Set {name}, or {name}_FILE to the name of a file whose first line is the passphrase.",
        )
    return found


def new_passphrase(text: str) -> bytes:
    """The bytes that a new key is encrypted with.

    Raises InputError for a passphrase of fewer than eight characters, and for text that UTF-8 cannot hold.
    """
    normal = unicodedata.normalize("NFKC", text)
    if len(normal) < SHORTEST:
        raise InputError(
            f"The passphrase is too short: a new key needs at least {SHORTEST} characters.",
            hint="Four or more random words are easy to remember and hard to guess.",
        )
    return _utf8(normal)


def possible_passphrases(text: str) -> list[bytes]:
    """The bytes that may open an existing key: of the normalised text and, if it differs, of the text itself.

    Raises InputError for text that UTF-8 cannot hold.
    """
    return [_utf8(form) for form in dict.fromkeys((unicodedata.normalize("NFKC", text), text))]


def _first_line(file: Path) -> str:
    return read_text(file, "The passphrase's file").partition("\n")[0].removesuffix("\r")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InputError("The passphrase is not text that UTF-8 can hold.") from None

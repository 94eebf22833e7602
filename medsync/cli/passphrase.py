"""Passphrases of a person at a terminal: from a file or the environment, or else from the keyboard."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from medsync.errors import InputError
from medsync.storage.passphrase import find_passphrase, new_passphrase, required_passphrase

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="File whose first line is the passphrase; else MEDSYNC_PASSPHRASE, or it is asked for.",
    ),
]


def passphrase(
    file: Path | None = None, *, new: bool = False, account: bool = False, what: str = "the keys"
) -> str:
    """The passphrase from a file, the environment, or the keyboard: of `what`, which the prompt names.

    With `account` it is that of an account's keystore, see `find_passphrase`. With `new` a key is to be made
    with it: the keyboard is asked twice. Raises InputError if there is none, or a new one is too short.
    """
    found = find_passphrase(file, account=account)
    if found is None and not sys.stdin.isatty():
        found = required_passphrase(file, account=account)
    if found is None:
        found = _asked(f"Passphrase of {what}: ")
        if new:
            # Before it is typed again.
            new_passphrase(found)
            if _asked("Repeat the passphrase: ") != found:
                raise InputError("The two passphrases differ.", hint="Try again.")
    if new:
        new_passphrase(found)
    return found


def _asked(prompt: str) -> str:
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise InputError("No passphrase was given.") from None

"""A passphrase is asked for at a terminal, and only if neither file nor environment has it."""

import getpass
import sys
from pathlib import Path

import pytest

from medsync.cli.passphrase import passphrase
from medsync.errors import InputError


class Keyboard:
    """Somebody who types these lines, one for each prompt."""

    def __init__(self, *lines: str) -> None:
        self.lines, self.prompts = iter(lines), list[str]()

    def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        try:
            return next(self.lines)
        except StopIteration:
            raise EOFError from None


@pytest.fixture(autouse=True)
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEDSYNC_PASSPHRASE", "MEDSYNC_ACCOUNT_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)


def typing(monkeypatch: pytest.MonkeyPatch, *lines: str) -> Keyboard:
    keyboard = Keyboard(*lines)
    monkeypatch.setattr(getpass, "getpass", keyboard)
    return keyboard


def test_an_existing_key_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard = typing(monkeypatch, "short")
    assert passphrase(what="the keystore") == "short"
    assert keyboard.prompts == ["Passphrase of the keystore: "]


def test_a_new_key_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard = typing(monkeypatch, "long enough", "long enough")
    assert passphrase(new=True) == "long enough"
    assert len(keyboard.prompts) == 2


def test_a_new_one_typed_differently_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch, "long enough", "long enouhg")
    with pytest.raises(InputError, match="differ"):
        passphrase(new=True)


def test_a_short_new_one_is_refused_before_it_is_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard = typing(monkeypatch, "short")
    with pytest.raises(InputError, match="at least 8 characters"):
        passphrase(new=True)
    assert len(keyboard.prompts) == 1


def test_a_short_new_one_is_refused_wherever_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("short\n")
    with pytest.raises(InputError, match="at least 8 characters"):
        passphrase(tmp_path / "file", new=True)
    monkeypatch.setenv("MEDSYNC_PASSPHRASE", "short")
    with pytest.raises(InputError, match="at least 8 characters"):
        passphrase(new=True)
    assert passphrase() == "short"


def test_nothing_typed_is_an_error_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch)
    with pytest.raises(InputError, match="No passphrase was given"):
        passphrase()


def test_nobody_is_asked_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard = typing(monkeypatch, "typed")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(InputError, match="needs its passphrase"):
        passphrase()
    assert not keyboard.prompts


def test_the_environment_comes_before_the_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard = typing(monkeypatch, "typed")
    monkeypatch.setenv("MEDSYNC_ACCOUNT_PASSPHRASE", "of the account")
    assert passphrase(account=True) == "of the account"
    assert not keyboard.prompts

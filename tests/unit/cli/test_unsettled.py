"""What one command did not learn the outcome of, the next one knows."""

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starknet_py.net.client_models import Call

from medsync.cli import unsettled
from medsync.errors import InputError
from medsync.starknet.transactions import Account, Sent
from medsync.storage.versions import UnsupportedVersion

SENT = {
    2**250: Sent(7, [Call(0xA, 0xB, [1, 2**251]), Call(0xC, 0xD, [])], 1_767_225_600.25),
    3: Sent(8, [Call(0xA, 0xB, [2])], 1_767_225_601.0),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where state is kept; it does not exist yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "medsync"


def account(address: int = 0xACC, sent: dict[int, Sent] | None = None) -> Any:
    """An account that remembers what it has to."""
    known: dict[int, Sent] = dict(sent or {})
    return cast(
        Account, SimpleNamespace(chain_id=0x5E, address=address, unsettled=known, recall=known.update)
    )


def test_the_next_command_knows(folder: Path) -> None:
    unsettled.keep(account(sent=SENT))
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    later = account()
    unsettled.recall(later)
    assert later.unsettled == SENT


def test_accounts_do_not_share_what_they_know() -> None:
    unsettled.keep(account(sent=SENT))
    other = account(0xBCC)
    unsettled.recall(other)
    assert not other.unsettled


def test_nothing_has_to_be_written_when_all_is_settled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    unsettled.recall(account())
    unsettled.keep(account())


def test_nothing_is_kept_when_all_is_settled(folder: Path) -> None:
    unsettled.keep(account(sent=SENT))
    unsettled.keep(account())
    assert not list(folder.iterdir())
    unsettled.keep(account())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "{}",
        '{"form": "medsync.unsettled/1", "transactions": [{}]}',
        '{"form": "medsync.unsettled/1", "transactions":'
        ' [{"hash": 3, "nonce": "0x0", "at": 0, "calls": []}]}',
        "[" * 9999,
    ],
)
def test_a_malformed_file_is_named(folder: Path, content: str) -> None:
    """What was sent may be in it: to ignore it could do something twice."""
    unsettled.keep(account(sent=SENT))
    (file,) = folder.iterdir()
    file.write_text(content)
    with pytest.raises(InputError) as refusal:
        unsettled.recall(account())
    assert str(file) in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "version"),
    [('[{"hash": 3, "nonce": 0, "at": 0, "calls": []}]', 0), ('{"form": "medsync.unsettled/2"}', 2)],
)
def test_another_version_is_refused_by_name(folder: Path, content: str, version: int) -> None:
    unsettled.keep(account(sent=SENT))
    (file,) = folder.iterdir()
    file.write_text(content)
    with pytest.raises(UnsupportedVersion, match=f"{file} has format version {version}") as refusal:
        unsettled.recall(account())
    assert refusal.value.hint
    assert file.read_text() == content

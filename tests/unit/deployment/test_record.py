"""Where records are looked for, and what is said of a place where they cannot be."""

from pathlib import Path

import pytest

from medsync.deployment import record
from medsync.errors import InputError


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "devnet.json"
    file.touch()
    monkeypatch.setenv("MEDSYNC_DEPLOYMENTS", str(file))
    for look in (record.folder, record.find_all, lambda: record.path_of("devnet")):
        with pytest.raises(InputError, match=f"MEDSYNC_DEPLOYMENTS: {file} is not a folder") as refused:
            look()
        assert "--deployment names a single one" in refused.value.hint


def test_a_folder_that_is_not_there_yet_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSYNC_DEPLOYMENTS", str(tmp_path / "new"))
    assert record.path_of("devnet") == tmp_path / "new" / "devnet.json"
    assert record.find_all() == []


def test_a_missing_record_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no deployment record") as refused:
        record.read(tmp_path / "sepolia.json")
    assert "--deployment" in refused.value.hint
    assert "MEDSYNC_DEPLOYMENTS" in refused.value.hint


def test_a_folder_that_cannot_be_written_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be locked") as refused:
        record.exclusive(tmp_path / "file" / "devnet.json")
    assert "MEDSYNC_DEPLOYMENTS" in refused.value.hint

"""Files are read without waiting for them, and new ones are written all or none."""

import os
from pathlib import Path

import pytest

from medsync.errors import InputError
from medsync.storage.files import NewFile, is_there, read_bytes, read_text, write_new


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(InputError, match=f"The log {path} cannot be read: it is not a regular file"):
            read_bytes(path, "The log")
    with pytest.raises(InputError, match="no file can be named so"):
        read_bytes(Path("a\0b"), "The log")


def test_text_is_utf8(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xc3\xa4\r\n")
    assert read_text(path, "It") == "ä\r\n"
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="it is not UTF-8 text"):
        read_text(path, "It")


def test_new_files_are_written_all_or_none(tmp_path: Path) -> None:
    first = NewFile(tmp_path / "first", b"1", "--one:")
    write_new([first, NewFile(tmp_path / "second", b"2", "--two:", private=True)])
    assert (tmp_path / "second").read_bytes() == b"2"
    assert (tmp_path / "second").stat().st_mode & 0o077 == 0

    third = NewFile(tmp_path / "third", b"3", "--three:")
    with pytest.raises(InputError, match=r"--one: .*first exists already"):
        write_new([third, first])
    with pytest.raises(InputError, match=r"--four: .* cannot be written: No such file"):
        write_new([third, NewFile(tmp_path / "nowhere" / "fourth", b"4", "--four:")])
    assert not is_there(third.path)
    assert first.path.read_bytes() == b"1"


def test_a_link_to_nowhere_is_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert is_there(tmp_path / "link")
    with pytest.raises(InputError, match="exists already"):
        write_new([NewFile(tmp_path / "link", b"", "It")])

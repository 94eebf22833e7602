"""Locks: who is kept out, for how long, and who is named as the holder, also after processes were killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest

from medsync.errors import ExitCode, InputError
from medsync.storage.locks import InUse, Lock, holders

#: Takes the lock of the file named first, says so, and holds it until it is killed.
HOLD = """
import signal, sys
from pathlib import Path
from medsync.storage.locks import Lock
sys.argv = ["/usr/bin/medsync", "--account", "secret", "bridge", "run", "0xabc", "--home", "hospital"]
Lock(Path({path!r}), "The vault", shared={shared})
print("held", flush=True)
signal.pause()
"""

Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.lock"


@pytest.fixture
def hold(path: Path) -> Iterator[Hold]:
    """Starts processes that hold the lock; they are ended afterwards."""
    with ExitStack() as stack:

        def start(*, shared: bool = False) -> subprocess.Popen[str]:
            code = HOLD.format(path=str(path), shared=shared)
            process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            return process

        yield start


def refused(path: Path, **options: object) -> InUse:
    with pytest.raises(InUse) as error:
        Lock(path, "The vault", wait=0, **options)  # type: ignore[arg-type]
    return error.value


def test_the_holder_is_named_with_what_to_do(path: Path, hold: Hold) -> None:
    before = int(time.time())
    holder = hold()
    error = refused(path)
    named = re.fullmatch(
        rf"The vault is in use by medsync bridge run \(process {holder.pid}, since (\S+)\)\.", error.message
    )
    assert named is not None
    assert named[1] >= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before))
    assert f"kill {holder.pid}" in error.hint
    assert (error.code, error.exit_code) == ("IN_USE", ExitCode.BAD_INPUT)


def test_arguments_are_not_written_down(path: Path, hold: Hold) -> None:
    hold()
    assert "secret" not in path.read_text()
    assert "0xabc" not in path.read_text()


def test_it_is_free_when_the_holder_is_killed(path: Path, hold: Hold) -> None:
    holder = hold()
    refused(path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert json.loads(path.read_text())["pid"] == holder.pid, "nobody tidied up"
    with Lock(path, "The vault", wait=0):
        assert [one.pid for one in holders(path)] == [os.getpid()]


def test_a_killed_process_is_not_named_beside_a_living_one(path: Path, hold: Hold) -> None:
    killed, living = hold(shared=True), hold(shared=True)
    assert {one.pid for one in holders(path)} == {killed.pid, living.pid}
    killed.kill()
    killed.wait()
    error = refused(path)
    assert f"process {living.pid}" in error.message
    assert str(killed.pid) not in error.message + error.hint


def test_shared_holders_keep_only_exclusive_ones_out(path: Path) -> None:
    with Lock(path, "The vault", shared=True, wait=0), Lock(path, "The vault", shared=True, wait=0):
        assert len(holders(path)) == 2
        refused(path)
    with Lock(path, "The vault", wait=0):
        refused(path, shared=True)


def test_who_let_go_is_not_named(path: Path) -> None:
    first, second = (Lock(path, "The vault", shared=True, wait=0) for _ in range(2))
    first.release()
    first.release()
    assert len(holders(path)) == 1
    second.release()
    assert not path.exists(), "the last one removes the file"


def test_a_lock_of_a_removed_file_is_no_lock(path: Path) -> None:
    """Whoever opened the file before it was removed does not share it with whoever made a new one."""
    first = Lock(path, "The vault")
    real, opened = os.open, list[str]()

    def opening(name: str | Path, *arguments: int) -> int:
        file = real(name, *arguments)
        if not opened:
            # Between opening and locking, the holder removes the file, and another makes it anew.
            opened.append(str(name))
            first.release()
            os.close(real(name, os.O_RDWR | os.O_CREAT))
        return file

    with patch.object(os, "open", opening), Lock(path, "The vault", wait=0):
        assert opened
        refused(path)
        assert [one.pid for one in holders(path)] == [os.getpid()]


def test_it_is_waited_for(path: Path) -> None:
    """The holder lets go while another waits, and is informed who has it."""
    first = Lock(path, "The vault")
    messages: list[str] = []

    def waiting(message: str) -> None:
        messages.append(message)
        first.release()

    with Lock(path, "The vault", wait=60, waiting=waiting):
        pass
    assert len(messages) == 1
    assert f"process {os.getpid()}" in messages[0]


def test_it_is_not_waited_for_longer_than_said(path: Path) -> None:
    with Lock(path, "The vault"):
        started = time.monotonic()
        with pytest.raises(InUse):
            Lock(path, "The vault", wait=0.2)
        assert time.monotonic() - started >= 0.2


def test_a_process_that_inherits_it_keeps_it(path: Path) -> None:
    lock = Lock(path, "The vault", wait=0)
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(lock.fileno(),))
    try:
        lock.hand_over(child.pid, "cat")
        assert f"cat (process {child.pid}" in refused(path).message
    finally:
        child.communicate()
    Lock(path, "The vault", wait=0).release()


@pytest.mark.parametrize("content", ["", "null\n", '{"pid": "x"}\n', "\0\udcff", '{"pid": 99999999999999}\n'])
def test_a_file_that_says_nothing_usable_names_nobody(path: Path, content: str) -> None:
    with Lock(path, "The vault"):
        path.write_text(content, errors="surrogateescape")
        assert "in use by another process" in refused(path).message


def test_where_no_file_can_be_made_the_error_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "lock", tmp_path / "nul\0"):
        with pytest.raises(InputError, match="The vault cannot be locked"):
            Lock(path, "The vault")

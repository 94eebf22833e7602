"""What a command shows: its help, and its answer where that cannot be written."""

import errno
import io
import sys

import pytest

from medsync.cli import command
from medsync.cli.context import Context
from medsync.cli.options import Options
from medsync.cli.output import OutputError


class Full(io.StringIO):
    """A stream to a device without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class Closed(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("as_json", [False, True])
def test_what_was_sent_is_named_if_the_answer_cannot_be_written(
    as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Context(Options(json=as_json))
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OutputError, match=r"cannot be written: No space left on device\.$") as nothing:
        command._show({"answer": 1}, context)
    assert nothing.value.hint == ""
    context.sent.append(0xABC)
    with pytest.raises(OutputError, match=r"Sent before: 0xabc\.$") as failed:
        command._show({"answer": 1}, context)
    assert "before you run the command again" in failed.value.hint


def test_what_was_sent_is_named_if_nobody_reads_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    context = Context(Options())
    context.sent.append(0xABC)
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        command._show({"answer": 1}, context)
    assert "0xabc" in capsys.readouterr().err


def test_help_is_broken_by_the_terminal_alone() -> None:
    text = "First line.\n\nA paragraph\nof two lines.\n\n- a list\n- of two"
    assert command._reflowed(text) == "First line.\n\nA paragraph of two lines.\n\n- a list\n- of two"

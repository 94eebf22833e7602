"""`python -m scripts`: every verb has a module, and errors end with the code of what went wrong."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import pytest

from medsync.deployment import toolchain
from medsync.errors import ExitCode, ToolError
from medsync.starknet.network import DEVNET_URL_VARIABLE
from scripts import tools
from scripts.__main__ import VERBS, main


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_module_that_does_it(verb: str) -> None:
    assert callable(import_module(VERBS[verb][0]).run)


def test_without_a_known_verb_it_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == main(["deply"]) == ExitCode.USAGE
    assert capsys.readouterr().err.count("usage: python -m scripts VERB") == 2
    assert main(["--help"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ToolError("no cargo", hint="get it"), ExitCode.MISSING_TOOL, "no cargo\nget it\n"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, ""),
    ],
)
def test_an_error_is_printed_and_gives_the_exit_code(
    error: BaseException,
    code: ExitCode,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(arguments: object) -> None:
        raise error

    monkeypatch.setattr(tools, "run", fail)
    assert main(["tools"]) == code
    assert capsys.readouterr().err == said


def test_an_unexpected_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "run", lambda arguments: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        main(["tools"])


def program(folder: Path, name: str, output: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {output}\n")
    path.chmod(0o755)


def test_the_makefile_asks_for_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("PATH", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.delenv(DEVNET_URL_VARIABLE, raising=False)
    assert main(["tools", "scarb"]) == ExitCode.MISSING_TOOL
    assert main(["tools", "devnet"]) == ExitCode.MISSING_TOOL
    assert "rustup" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setenv(DEVNET_URL_VARIABLE, "http://127.0.0.1:5050")
        assert main(["tools", "devnet"]) == ExitCode.OK
    program(tmp_path, "starknet-devnet", f"starknet-devnet {toolchain.DEVNET_VERSION}")
    program(tmp_path, "scarb", f"scarb {toolchain.SCARB_VERSION}")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin")
    assert main(["tools", "devnet"]) == ExitCode.OK
    assert main(["tools", "scarb"]) == ExitCode.OK

"""`make calimero-node`: where a real node's program is looked for, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from medsync.errors import ToolError
from scripts.calimero import build_node, daemon


def program(path: Path, output: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with nothing on it."""
    monkeypatch.delenv(daemon.PROGRAM_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for module in (daemon, build_node):
        monkeypatch.setattr(module, "BUILT", tmp_path / "built" / daemon.PROGRAM)


def test_it_is_found_in_three_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert daemon.find_program() is None
    with pytest.raises(ToolError, match="not installed") as raised:
        daemon.require_program()
    assert "make calimero-node" in raised.value.hint
    for place in (tmp_path / "built", tmp_path / "bin"):
        made = program(place / daemon.PROGRAM)
        assert daemon.find_program() == made
    named = program(tmp_path / "another-name")
    monkeypatch.setenv(daemon.PROGRAM_VARIABLE, str(named))
    assert daemon.find_program() == named
    named.unlink()
    with pytest.raises(ToolError, match="which is not a program"):
        daemon.find_program()


def test_what_is_there_is_not_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = program(tmp_path / "bin" / daemon.PROGRAM)
    build_node.install()
    assert capsys.readouterr().out == f"{found}\n"


def test_all_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build_node, "_libclang", lambda: False)
    with pytest.raises(ToolError) as raised:
        build_node.install()
    for name in ("cargo", "c++", "cmake", "clang", "libclang"):
        assert name in raised.value.message
    assert "apt-get install" in raised.value.hint
    for name in ("c++", "cmake", "clang"):
        program(tmp_path / "bin" / name)
    program(tmp_path / "bin" / "cargo", "cargo 1.70.0")
    assert list(build_node.missing()) == ["Rust 1.70 is too old", "libclang is missing"]
    program(tmp_path / "bin" / "cargo", "cargo 1.88.0")
    assert list(build_node.missing()) == ["libclang is missing"]


def test_the_sources_of_the_node_are_complete() -> None:
    for name in ("Cargo.toml", "Cargo.lock", ".cargo/config.toml", "src/main.rs", "src/options.rs"):
        assert (build_node.SOURCES / name).is_file()
    manifest = (build_node.SOURCES / "Cargo.toml").read_text()
    versions = {
        line.split('"')[1] for line in manifest.splitlines() if line.startswith(("calimero-", "mero-"))
    }
    assert versions == {"=0.11.0-rc.4"}, "a caret would mix release candidates"

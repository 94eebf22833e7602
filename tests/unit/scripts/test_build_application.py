"""The committed application fits its sources and its manifest, and what does not is seen. Needs no Rust."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from medsync.artifacts import BUNDLE
from medsync.errors import ExitCode, InputError, ToolError, VerificationError
from medsync.private.node.bundle import PACKAGE, Bundle, pack
from scripts.calimero import build_application


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """What is compared, somewhere else."""
    folder = tmp_path / "private-records"
    folder.mkdir()
    for name in (
        "Cargo.toml",
        "Cargo.lock",
        build_application.MANIFEST,
        build_application.WASM,
    ):
        shutil.copy(build_application.SOURCES / name, folder)
    shutil.copy(BUNDLE, folder)
    shutil.copytree(build_application.SOURCES / "src", folder / "src")
    return folder


def test_the_committed_application_fits_its_sources() -> None:
    build_application.verify()


def test_it_does_in_any_folder(copied: Path) -> None:
    build_application.verify(copied, copied / BUNDLE.name)


def append(name: str, content: bytes) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes() + content)

    return plant


def new_source(folder: Path) -> None:
    (folder / "src" / "planted.rs").write_text("")


def renamed_source(folder: Path) -> None:
    (folder / "src" / "codes.rs").rename(folder / "src" / "words.rs")


def bundle_of_other_code(folder: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    version = Bundle.read(folder / BUNDLE.name).version
    (folder / BUNDLE.name).write_bytes(pack(b"\0asm", package=PACKAGE, version=version, key=key))


def resigned_bundle(folder: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    wasm = (folder / build_application.WASM).read_bytes()
    version = Bundle.read(folder / BUNDLE.name).version
    (folder / BUNDLE.name).write_bytes(pack(wasm, package=PACKAGE, version=version, key=key))


def other_compiler(folder: Path) -> None:
    told = json.loads((folder / build_application.MANIFEST).read_text())
    told["compiler"] = "rustc 1.0.0"
    (folder / build_application.MANIFEST).write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        (append("src/lib.rs", b"\n"), "manifest.json has sources_sha256"),
        (append("Cargo.lock", b"\n"), "manifest.json has sources_sha256"),
        (append("Cargo.toml", b"\n"), "manifest.json has sources_sha256"),
        (new_source, "manifest.json has sources_sha256"),
        (renamed_source, "manifest.json has sources_sha256"),
        (append(build_application.WASM, b"\0"), "does not contain the code of medsync_private_records.wasm"),
        (append(build_application.WASM, b"\0"), "manifest.json has wasm"),
        (bundle_of_other_code, "does not contain the code of medsync_private_records.wasm"),
        (resigned_bundle, "manifest.json has bundle"),
        (other_compiler, "names a compiler other than"),
    ],
)
def test_a_change_is_seen(copied: Path, plant: Callable[[Path], None], finding: str) -> None:
    plant(copied)
    with pytest.raises(VerificationError) as raised:
        build_application.verify(copied, copied / BUNDLE.name)
    assert any(finding in line for line in raised.value.findings), raised.value


def test_a_tampered_bundle_is_seen(copied: Path) -> None:
    content = bytearray((copied / BUNDLE.name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / BUNDLE.name).write_bytes(content)
    with pytest.raises(InputError):
        build_application.verify(copied, copied / BUNDLE.name)


def test_a_build_of_other_bytes_is_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the compiler would write is given: this is about the comparison."""
    committed = (build_application.SOURCES / build_application.WASM).read_bytes()
    monkeypatch.setattr(build_application, "build", lambda: (committed, "rustc"))
    build_application.check()
    assert "matches its sources" in capsys.readouterr().out
    monkeypatch.setattr(build_application, "build", lambda: (committed + b"\0", "rustc"))
    with pytest.raises(VerificationError, match="build differs from the committed") as raised:
        build_application.check()
    assert f"{len(committed) + 1} bytes" in raised.value.findings[0]


def test_a_changed_application_is_not_written_unsigned(monkeypatch: pytest.MonkeyPatch, copied: Path) -> None:
    before = {path: path.read_bytes() for path in copied.iterdir() if path.is_file()}
    monkeypatch.setattr(build_application, "SOURCES", copied)
    monkeypatch.setattr(build_application, "BUNDLE", copied / BUNDLE.name)
    monkeypatch.setattr(
        build_application, "build", lambda: (b"\0asm other", f"rustc {build_application.RUST}")
    )
    with pytest.raises(InputError, match="must be signed again"):
        build_application.write(None)
    assert {path: path.read_bytes() for path in copied.iterdir() if path.is_file()} == before
    key = copied.parent / "signing"
    build_application.new_key(key)
    build_application.write(key)
    build_application.verify(copied, copied / BUNDLE.name)
    build_application.write(None)
    build_application.verify(copied, copied / BUNDLE.name)


def test_the_command_says_what_it_found() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts", "private-build", "--verify"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")


def test_without_the_compiler_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="rustup is missing") as raised:
        build_application.build()
    assert f"rustup toolchain install {build_application.RUST}" in raised.value.hint


def test_a_signing_key_is_new_and_its_owners(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "signing"
    build_application.new_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().strip() not in capsys.readouterr().out
    with pytest.raises(InputError, match="exists already"):
        build_application.new_key(path)
    path.write_text("not hex")
    with pytest.raises(InputError, match="is not 64 hex digits"):
        build_application.write(path)

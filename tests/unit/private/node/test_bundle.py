"""Signed application bundles: what a real node computes, what is refused and why, and the one we ship."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import base58
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from medsync.artifacts import BUNDLE
from medsync.errors import InputError
from medsync.private.node.bundle import MAX_SIZE, PACKAGE, Bundle, pack

WASM = b"\0asm\1\0\0\0" + bytes(100)
KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"throw-away example key").digest())


def packed(**changed: Any) -> bytes:
    return pack(**{"wasm": WASM, "package": "org.medsync.records", "version": "0.1.0", "key": KEY, **changed})


def unpack(bundle: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


def repack(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


def test_a_bundle_is_read_as_it_was_packed(tmp_path: Path) -> None:
    path = tmp_path / "records.mpk"
    path.write_bytes(packed())
    bundle = Bundle.read(path)
    assert (bundle.package, bundle.version) == ("org.medsync.records", "0.1.0")
    assert (bundle.signer, bundle.wasm) == (KEY.public_key().public_bytes_raw(), WASM)
    assert repr(WASM)[5:30] not in repr(bundle)
    assert packed() == packed()


def test_the_application_id_is_the_one_a_real_node_gave() -> None:
    """Recorded: a node of 0.11.0-rc.4 installed a bundle of this package by this signer, twice."""
    recorded = "5DKEDWde8LzYsYgUuA1aU9nY31kCNgNAWi4fffNyZY3V"
    assert Bundle.parse(packed()).application == recorded
    assert Bundle.parse(packed(version="0.2.0", wasm=WASM + b"new")).application == recorded
    assert Bundle.parse(packed(package="org.medsync.other")).application != recorded
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert Bundle.parse(packed(key=other)).application != recorded


def edited(change: Callable[[dict[str, Any]], object]) -> bytes:
    """A bundle whose manifest was changed after it was signed."""
    files = unpack(packed())
    manifest = json.loads(files["manifest.json"])
    change(manifest)
    return repack({**files, "manifest.json": json.dumps(manifest).encode()})


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.update(appVersion="9.9.9"),
        lambda manifest: manifest.update(package="org.medsync.other"),
        lambda manifest: manifest.update(more="of it"),
        lambda manifest: manifest.pop("minRuntimeVersion"),
        lambda manifest: manifest["wasm"].update(hash="00" * 32),
        lambda manifest: manifest["signature"].update(signature="AA" * 43),
    ],
)
def test_what_was_not_signed_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(InputError, match="manifest is invalid"):
        Bundle.parse(edited(change))


def test_another_signer_cannot_take_the_name_of_the_first() -> None:
    """Whoever signs again has to say so: the id depends on it."""
    thief = Ed25519PrivateKey.from_private_bytes(bytes(32))
    files = unpack(packed())
    manifest = json.loads(files["manifest.json"])
    stolen = json.loads(unpack(packed(key=thief))["manifest.json"])
    assert stolen["signerId"] != manifest["signerId"]
    assert base58.b58decode(manifest["signerId"].removeprefix("did:key:z"))[2:] == (
        KEY.public_key().public_bytes_raw()
    )
    stolen["signerId"] = manifest["signerId"]
    signature = stolen.pop("signature")
    canonical = json.dumps(stolen, sort_keys=True, separators=(",", ":")).encode()
    signed = thief.sign(hashlib.sha256(canonical).digest())
    signature["signature"] = base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
    stolen["signature"] = signature
    with pytest.raises(InputError, match="not signed by the key in its manifest"):
        Bundle.parse(repack({**files, "manifest.json": json.dumps(stolen).encode()}))


def test_other_code_is_refused() -> None:
    files = unpack(packed())
    for content in (WASM + b"\0", WASM[:-1] + b"\1", b""):
        with pytest.raises(InputError, match="code does not match its manifest"):
            Bundle.parse(repack({**files, "app.wasm": content}))
    del files["app.wasm"]
    with pytest.raises(InputError, match="code does not match its manifest"):
        Bundle.parse(repack(files))


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("signature"),
        lambda manifest: manifest.update(signature=None),
        lambda manifest: manifest.pop("package"),
        lambda manifest: manifest.update(package=""),
        lambda manifest: manifest.update(appVersion=1),
        lambda manifest: manifest.pop("signerId"),
        lambda manifest: manifest.update(wasm=[]),
        lambda manifest: manifest["signature"].update(algorithm="none"),
        lambda manifest: manifest["signature"].update(publicKey="AA"),
        lambda manifest: manifest["signature"].update(publicKey="?"),
    ],
)
def test_a_manifest_must_be_complete(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(InputError, match="manifest is incomplete or malformed"):
        Bundle.parse(edited(change))


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    whole = packed()
    bomb = gzip.compress(bytes(2 * MAX_SIZE + 1), mtime=0)
    for content in (b"", b"\0asm", whole[:-9], whole[: len(whole) // 2], gzip.compress(b"no tar"), bomb):
        with pytest.raises(InputError, match=r"not an application bundle|has no manifest"):
            Bundle.parse(content)
    with pytest.raises(InputError, match="has no manifest"):
        Bundle.parse(repack({"app.wasm": WASM}))
    for text in (b"", b"[", b"\xff"):
        with pytest.raises(InputError):
            Bundle.parse(repack({"manifest.json": text, "app.wasm": WASM}))
    with pytest.raises(InputError, match="cannot be read"):
        Bundle.read(tmp_path / "none.mpk")


def test_the_bundle_we_ship_is_sound() -> None:
    """Its id is what institutions name when they join one another: it changes with the signer only."""
    bundle = Bundle.read(BUNDLE)
    assert bundle.package == PACKAGE
    assert bundle.application == "Frbow2wPAvHMbiyd7z1dhtUNampU7ATYW9NwjxxcjmjX"
    assert bundle.signer.hex() == "ffa3352bc9c8c9e15b800ac66c876cedbb6c58309933332abb4283b150af7d62"

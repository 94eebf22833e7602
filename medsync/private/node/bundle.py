"""Signed application bundles (.mpk), which Calimero installs, and the id of an application.

A bundle is a gzipped tar of `manifest.json` and the WebAssembly. The manifest names package, version and the
code's SHA-256, and is signed: ed25519 over the SHA-256 of its canonical JSON (RFC 8785) without `signature`.
The application's id is the hash of package and signer, independent of version and file path; for
raw WebAssembly a node hashes the path.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import base58
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from medsync.errors import InputError
from medsync.protocol.commitments import canonical_json, parse_json
from medsync.protocol.felt import InvalidValue
from medsync.storage.files import read_bytes

#: Package name of the application in `medsync.artifacts.BUNDLE`.
PACKAGE: Final = "org.medsync.private-records"
#: The oldest Calimero release that runs the bundles made here.
RUNTIME: Final = "0.11.0-rc.4"
#: Maximum size of a bundle in bytes, packed and unpacked, the module limit of calimero-runtime.
MAX_SIZE: Final = 20 * 1024 * 1024
_MANIFEST: Final = "manifest.json"
_WASM: Final = "app.wasm"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle with a verified signature and hash."""

    package: str
    version: str
    #: The signer's ed25519 public key, 32 bytes.
    signer: bytes
    wasm: bytes = field(repr=False)
    #: The bundle itself.
    packed: bytes = field(repr=False)

    @property
    def application(self) -> str:
        """The application's id on every node, in base58."""
        parts = b"".join(_borsh(text) for text in (self.package, _did(self.signer)))
        return base58.b58encode(hashlib.sha256(parts).digest()).decode()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and verify a bundle. Raises InputError if it is invalid or not signed by its signer."""
        packed = read_bytes(path, "The application bundle")
        try:
            return cls.parse(packed)
        except InputError as error:
            error.message = f"{path}: {error.message}"
            raise

    @classmethod
    def parse(cls, packed: bytes) -> Self:
        """Check a bundle's bytes. Raises InputError as `read`."""
        try:
            files = _unpack(packed)
            manifest = parse_json(files[_MANIFEST])
        except KeyError:
            raise InputError("The application bundle has no manifest.") from None
        except (OSError, EOFError, zlib.error, tarfile.TarError, InvalidValue) as error:
            raise InputError(f"The file is not an application bundle ({type(error).__name__}).") from None
        try:
            signature, wasm = manifest["signature"], manifest["wasm"]
            signer, signed = _from_base64(signature["publicKey"]), _from_base64(signature["signature"])
            key = Ed25519PublicKey.from_public_bytes(signer)
            package, version = manifest["package"], manifest["appVersion"]
            if signature["algorithm"] != "ed25519" or not (isinstance(package, str) and package):
                raise ValueError
            if not (isinstance(version, str) and version):
                raise ValueError
            # Fields with a leading underscore are not signed and not read.
            described = {
                name: value
                for name, value in manifest.items()
                if name != "signature" and not name.startswith("_")
            }
            digest = hashlib.sha256(canonical_json(described)).digest()
            named, expected, size = manifest["signerId"], wasm["hash"], wasm["size"]
            code = files.get(wasm["path"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError("The application bundle's manifest is incomplete or malformed.") from None
        try:
            key.verify(signed, digest)
        except InvalidSignature:
            raise InputError("The signature of the application bundle's manifest is invalid.") from None
        if named != _did(signer):
            raise InputError("The application bundle is not signed by the key in its manifest.")
        if code is None or expected != hashlib.sha256(code).hexdigest() or size != len(code):
            raise InputError("The application bundle's code does not match its manifest.")
        return cls(package, version, signer, code, packed)


def pack(wasm: bytes, *, package: str, version: str, key: Ed25519PrivateKey) -> bytes:
    """Make a signed bundle of an application. The same input and zlib give the same bytes."""
    signer = key.public_key().public_bytes_raw()
    manifest: dict[str, Any] = {
        "version": "1.0",
        "package": package,
        "appVersion": version,
        "minRuntimeVersion": RUNTIME,
        "signerId": _did(signer),
        "wasm": {"path": _WASM, "hash": hashlib.sha256(wasm).hexdigest(), "size": len(wasm)},
    }
    signature = key.sign(hashlib.sha256(canonical_json(manifest)).digest())
    manifest["signature"] = {
        "algorithm": "ed25519",
        "publicKey": _to_base64(signer),
        "signature": _to_base64(signature),
    }
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in ((_MANIFEST, json.dumps(manifest, indent=1).encode()), (_WASM, wasm)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


def _unpack(packed: bytes) -> dict[str, bytes]:
    """Unpack the files in memory. Their names are never used as paths."""
    inflater = zlib.decompressobj(wbits=31)
    raw = inflater.decompress(packed, 2 * MAX_SIZE)
    if not inflater.eof:
        raise EOFError
    files = {}
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
        for entry in archive:
            content = archive.extractfile(entry)
            if content is not None and entry.name not in files:
                files[entry.name] = content.read()
    return files


def _did(key: bytes) -> str:
    """An ed25519 key as `did:key`: multibase base58 of the multicodec 0xed 0x01 and the key."""
    return "did:key:z" + base58.b58encode(b"\xed\x01" + key).decode()


def _borsh(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(4, "little") + encoded


def _to_base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)

"""Key files: private keys encrypted with a passphrase.

A file is JSON with what its key is for, its public keys, and the private ones under ChaCha20Poly1305 with a
key that scrypt (RFC 7914) makes of the passphrase. A checksum over all of it tells a damaged file from a
wrong passphrase; it keeps nobody from altering a file, which is what the authentication tag does.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, TypeVar

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import Field

from medsync.errors import InputError
from medsync.private.keys.keys import KEY_BYTES, KeptKey, KeyKind, seal, unseal
from medsync.private.schema import Base64, Hex32, Schema
from medsync.protocol.commitments import canonical_json
from medsync.protocol.felt import InvalidValue
from medsync.storage.files import NewFile, read_bytes, replace, write_new
from medsync.storage.passphrase import WrongPassphrase, new_passphrase, possible_passphrases
from medsync.storage.versions import UnsupportedVersion

#: scrypt's work factor for new files, as for keystores of accounts: about a second, and 256 MiB.
SCRYPT_N: Final = 2**18

#: Most work, N r p, that opening a file may take: four times that of new ones. It takes 128 times as many
#: bytes.
_MOST_WORK: Final = 2**23
_SALT_BYTES: Final = 16
#: What the form of a file allows for a number, so that it can be hashed.
_MOST: Final = 2**53

K = TypeVar("K", bound=KeptKey)


class DamagedKeyFile(InputError):
    """The key file is not as it was written."""

    code = "DAMAGED_KEY_FILE"


class _Scrypt(Schema):
    n: int = Field(gt=1, lt=_MOST)
    r: int = Field(gt=0, lt=_MOST)
    p: int = Field(gt=0, lt=_MOST)
    salt: Base64


class _Content(Schema):
    form: Literal["medsync.key-file/1"] = "medsync.key-file/1"
    kind: str
    public: dict[str, str]
    scrypt: _Scrypt
    sealed: Base64 = Field(repr=False)
    checksum: Hex32 = bytes(32)

    def sum(self) -> bytes:
        return hashlib.sha256(self.model_copy(update={"checksum": bytes(32)}).canonical()).digest()

    def bound(self) -> bytes:
        """What the sealed part is bound to: everything else."""
        return canonical_json(self.model_dump(mode="json", exclude={"sealed", "checksum"}))


def write_key(
    path: Path, key: KeptKey, passphrase: str, *, work: int = SCRYPT_N, replacing: bool = False
) -> None:
    """Write a new key file, which only its owner may read. `work` is scrypt's N.

    With `replacing` it may take another file's place; whatever happens meanwhile, there is a whole one.
    Raises InputError if there is a file already, none can be written, or the passphrase is too short.
    """
    scrypt = _Scrypt(n=work, r=8, p=1, salt=secrets.token_bytes(_SALT_BYTES))
    content = _Content(kind=key.kind.value, public=key.public_parts, scrypt=scrypt, sealed=b"")
    sealed = seal(_derived(new_passphrase(passphrase), scrypt), key.reveal(), content.bound())
    content = content.model_copy(update={"sealed": sealed})
    content = content.model_copy(update={"checksum": content.sum()})
    text = content.model_dump_json(indent=2) + "\n"
    file = NewFile(path, text.encode(), "The key file", private=True)
    if replacing:
        replace(file)
    else:
        write_new([file])


def read_key(path: Path, kind: type[K], passphrase: str) -> K:
    """The private key in a file, which must be of that kind.

    Raises DamagedKeyFile, WrongPassphrase, or InputError for a file that is of another kind, is invalid, or
    asks for more work than any this program writes.
    """
    content = _read(path)
    if content.kind != kind.kind:
        raise InputError(f"The key file {path} holds the key of a different role, not the {kind.kind}'s.")
    scrypt = content.scrypt
    # Not worth a try: it would take hours, or all memory there is.
    if scrypt.n.bit_count() != 1 or scrypt.n * scrypt.r * scrypt.p > _MOST_WORK:
        raise InputError(f"The key file {path} asks for more work than this program ever does for one.")
    opened = (
        unseal(_derived(form, scrypt), content.sealed, content.bound())
        for form in possible_passphrases(passphrase)
    )
    secret = next((secret for secret in opened if secret is not None), None)
    if secret is None:
        raise WrongPassphrase(f"the key file {path}")
    try:
        key = kind(secret)
    except InvalidValue:
        raise DamagedKeyFile(f"The key file {path} is damaged.") from None
    if key.public_parts != content.public:
        raise DamagedKeyFile(f"The key file {path} is damaged: its public keys are not its private keys'.")
    return key


def public_parts(path: Path) -> tuple[KeyKind, Mapping[str, str]]:
    """What a key file says without its passphrase: its kind, and public keys in hexadecimal by name.

    Raises DamagedKeyFile, or InputError for an invalid file.
    """
    content = _read(path)
    return KeyKind(content.kind), content.public


def _read(path: Path) -> _Content:
    raw = read_bytes(path, "The key file")
    try:
        content = _Content.read(raw, f"The key file {path}")
        KeyKind(content.kind)
    except UnsupportedVersion:
        raise
    except ValueError:
        raise DamagedKeyFile(f"The file {path} is not a key file, or is damaged.") from None
    if content.sum() != content.checksum:
        raise DamagedKeyFile(
            f"The key file {path} is damaged: its checksum does not fit.", hint="Restore it from a backup."
        )
    return content


def _derived(passphrase: bytes, scrypt: _Scrypt) -> bytes:
    return Scrypt(scrypt.salt, KEY_BYTES, scrypt.n, scrypt.r, scrypt.p).derive(passphrase)

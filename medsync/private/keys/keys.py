"""Keys of the private side: who holds which, and how a record's data key is wrapped for whom it is meant.

A record version is encrypted with a data key of its own, and that key is wrapped by HPKE (RFC 9180: X25519,
HKDF-SHA256, ChaCha20Poly1305) for each recipient's public key, bound to the record's id, version and
commitment. Losing the private key means losing the record, which erasure does deliberately.

Secrets are shown by no `repr`, quoted in no error, neither pickled nor copied, and compared in constant time.
What Python cannot do is to wipe them from memory.
"""

from __future__ import annotations

import hmac
import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, NoReturn, Self

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starknet_py.constants import EC_ORDER

from medsync.errors import VerificationError
from medsync.protocol.felt import InvalidValue, check_felt
from medsync.starknet.signer import StarkSigner, public_key_of

#: Size of a secret or public key in bytes.
KEY_BYTES: Final = 32
#: Bytes of a wrapped data key: the ephemeral public key, the data key, the authentication tag.
WRAPPED_BYTES: Final = 80

_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
#: How many bytes `seal` adds.
SEAL_BYTES: Final = _NONCE_BYTES + _TAG_BYTES
#: How many bytes of padded content say how long the content is.
_LENGTH_BYTES: Final = 4

_WRAP_LABEL: Final = b"medsync.record-key.v1\0"
_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


@dataclass(frozen=True, slots=True)
class RecordVersion:
    """One version of one record: what every key and every ciphertext is bound to."""

    #: 128 random bits as 32 lower-case hexadecimal digits.
    id: str
    #: Counts from 1.
    version: int
    #: The salted commitment to its content, as the chain names it.
    commitment: int

    def __post_init__(self) -> None:
        if not (
            isinstance(self.id, str) and len(self.id) == 32 and not set(self.id) - set("0123456789abcdef")
        ):
            raise InvalidValue("a record's id must be 32 lower-case hexadecimal digits")
        if isinstance(self.version, bool) or not 1 <= self.version < 2**32:
            raise InvalidValue("a record's version must be an integer in [1, 2**32)")
        check_felt(self.commitment, "a record's commitment")

    def bound(self, label: bytes) -> bytes:
        """A label with this version: id as 16 bytes, version as 8 and commitment as 32, big-endian."""
        return (
            label
            + bytes.fromhex(self.id)
            + self.version.to_bytes(8, "big")
            + self.commitment.to_bytes(32, "big")
        )


# --- secrets ---


class Secret:
    """Secret bytes of a fixed size."""

    __slots__ = ("_bytes",)

    #: How many bytes.
    size: ClassVar[int] = KEY_BYTES

    def __init__(self, secret: bytes) -> None:
        """Raises `InvalidValue`, without showing it, if it is of another size."""
        if not isinstance(secret, bytes) or len(secret) != self.size:
            raise InvalidValue(f"a {type(self).__name__} must be {self.size} bytes")
        self._bytes = secret

    @classmethod
    def generate(cls) -> Self:
        """A fresh one, from the operating system's generator."""
        return cls(secrets.token_bytes(cls.size))

    def reveal(self) -> bytes:
        """The bytes themselves."""
        return self._bytes

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Secret)
            and type(self) is type(other)
            and hmac.compare_digest(self._bytes, other._bytes)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


class DataKey(Secret):
    """Encrypts one version of one record."""

    __slots__ = ()


class EncryptionKey(Secret):
    """An X25519 private key, for which data keys are wrapped."""

    __slots__ = ()

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return X25519PrivateKey.from_private_bytes(self._bytes).public_key().public_bytes_raw()

    def unwrap(self, wrapped: bytes, record: RecordVersion) -> DataKey:
        """The data key that `wrap` wrapped for this key and for that version of that record.

        Raises VerificationError if it was wrapped for another key or record, or was altered.
        """
        private = X25519PrivateKey.from_private_bytes(self._bytes)
        try:
            return DataKey(_SUITE.decrypt(wrapped, private, info=record.bound(_WRAP_LABEL)))
        except (InvalidTag, ValueError):
            raise VerificationError(
                "The wrapped data key was made for another key or another record, or was altered."
            ) from None


class SigningKey(Secret):
    """An ed25519 private key."""

    __slots__ = ()

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self._bytes).public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self._bytes).sign(message)


def is_signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether it is that ed25519 key's signature of the message."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def wrap(key: DataKey, recipient: bytes, record: RecordVersion) -> bytes:
    """The data key of a record's version, wrapped for a recipient's X25519 public key.

    Raises `InvalidValue` for bytes that are not a usable public key: of another length, or a point of low
    order, for which anybody could unwrap.
    """
    try:
        public = X25519PublicKey.from_public_bytes(recipient)
        return _SUITE.encrypt(key.reveal(), public, info=record.bound(_WRAP_LABEL))
    except ValueError:
        raise InvalidValue("the recipient's encryption key is not a usable X25519 public key") from None


# --- keys that are kept in files ---


class KeyKind(StrEnum):
    """What a key file is for."""

    CUSTODIAN = "custodian"
    ACCESSOR = "accessor"
    BRIDGE = "bridge"
    ATTESTOR = "attestor"


class Label(StrEnum):
    """What a key is derived for. Different labels give keys that say nothing of each other."""

    VAULT_ROW = "medsync.vault-row.v1"
    VAULT_MARK = "medsync.vault-mark.v1"
    CUSTODIAN_SIGNING = "medsync.custodian-signing.v1"


class KeptKey(Secret, ABC):
    """A private key that its owner keeps in an encrypted file."""

    __slots__ = ()

    kind: ClassVar[KeyKind]

    @property
    @abstractmethod
    def public_parts(self) -> dict[str, str]:
        """Its public keys in hexadecimal, by name."""


class CustodianKey(KeptKey):
    """Of the hospital that keeps the records: opens its key vault, and signs certificates of erasure."""

    __slots__ = ()

    kind = KeyKind.CUSTODIAN

    def derive(self, label: Label, context: bytes = b"") -> bytes:
        """A key of 32 bytes for one use (HKDF-SHA256, RFC 5869), the same each time."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"{label}\0".encode() + context).derive(self._bytes)

    @property
    def signing(self) -> SigningKey:
        """What certificates are signed with."""
        return SigningKey(self.derive(Label.CUSTODIAN_SIGNING))

    @property
    def public_parts(self) -> dict[str, str]:
        """Its public keys in hexadecimal, by name."""
        return {"signing_key": self.signing.public.hex()}


class AccessorKey(KeptKey):
    """The key of a data recipient: unwraps data keys, and signs when a ticket is presented."""

    __slots__ = ()

    kind = KeyKind.ACCESSOR
    size = 2 * KEY_BYTES

    @property
    def encryption(self) -> EncryptionKey:
        """What data keys are wrapped for."""
        return EncryptionKey(self._bytes[:KEY_BYTES])

    @property
    def signing(self) -> SigningKey:
        """What tickets are presented with."""
        return SigningKey(self._bytes[KEY_BYTES:])

    @property
    def public_parts(self) -> dict[str, str]:
        """Its public keys in hexadecimal, by name."""
        return {"encryption_key": self.encryption.public.hex(), "signing_key": self.signing.public.hex()}


class BridgeKey(KeptKey):
    """Of the bridge: signs tickets."""

    __slots__ = ()

    kind = KeyKind.BRIDGE

    @property
    def signing(self) -> SigningKey:
        """What tickets are signed with."""
        return SigningKey(self._bytes)

    @property
    def public_parts(self) -> dict[str, str]:
        """Its public keys in hexadecimal, by name."""
        return {"signing_key": self.signing.public.hex()}


class AttestorKey(KeptKey):
    """Of an institution that attests: a private key on the STARK curve, as 32 bytes big-endian."""

    __slots__ = ()

    kind = KeyKind.ATTESTOR

    def __init__(self, secret: bytes) -> None:
        """Raises `InvalidValue`, without showing it, for an invalid private key of the curve."""
        super().__init__(secret)
        public_key_of(int.from_bytes(secret, "big"))

    @classmethod
    def generate(cls) -> Self:
        """A fresh one, from the operating system's generator."""
        return cls((1 + secrets.randbelow(EC_ORDER - 1)).to_bytes(KEY_BYTES, "big"))

    @property
    def public(self) -> int:
        """The x coordinate of the public key, as contracts store it."""
        return public_key_of(int.from_bytes(self._bytes, "big"))

    def signer(self, chain_id: int) -> StarkSigner:
        """What signs on a chain."""
        return StarkSigner(int.from_bytes(self._bytes, "big"), chain_id)

    @property
    def public_parts(self) -> dict[str, str]:
        """Its public keys in hexadecimal, by name."""
        return {"stark_key": hex(self.public)}


# --- authenticated encryption ---


def seal(key: bytes, content: bytes, bound: bytes) -> bytes:
    """Nonce, ciphertext and tag of ChaCha20Poly1305 with a fresh random nonce; `bound` is authenticated."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, content, bound)


def unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes | None:
    """What `seal` sealed; None if it was another key or is bound to something else, or was altered."""
    try:
        return ChaCha20Poly1305(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        return None


def pad(content: bytes, *, beside: int, least: int) -> bytes:
    """The content, its length in front, zeros behind: with `beside` bytes it is as long as a power of two.

    `least` is the smallest there is. Of the content's length no more shows than its magnitude.
    """
    whole = len(content).to_bytes(_LENGTH_BYTES, "big") + content
    size = max(least, 1 << (len(whole) + beside - 1).bit_length())
    return whole.ljust(size - beside, b"\0")


def unpad(padded: bytes) -> bytes:
    """What `pad` padded. Raises `InvalidValue` for what it did not."""
    length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    content, rest = padded[_LENGTH_BYTES:][:length], padded[_LENGTH_BYTES + length :]
    if len(padded) < _LENGTH_BYTES or len(content) != length or rest.strip(b"\0"):
        raise InvalidValue("the content is not padded as it should be")
    return content

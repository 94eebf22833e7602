"""Keys: HPKE against RFC 9180 and a second implementation, what is bound to what, that no secret shows."""

import copy
import hmac
import pickle
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from medsync.errors import VerificationError
from medsync.private.keys.keys import (
    SEAL_BYTES,
    AccessorKey,
    AttestorKey,
    BridgeKey,
    CustodianKey,
    DataKey,
    EncryptionKey,
    KeptKey,
    Label,
    RecordVersion,
    Secret,
    SigningKey,
    is_signed,
    pad,
    seal,
    unpad,
    unseal,
    wrap,
)
from medsync.protocol.felt import PRIME, InvalidValue
from medsync.starknet.signer import public_key_of

RECORD = RecordVersion("0123456789abcdef" * 2, 3, 0xC0FFEE)
KEPT = (CustodianKey, AccessorKey, BridgeKey, AttestorKey)

# --- a second HPKE, after RFC 9180: base mode, DHKEM(X25519), HKDF-SHA256, ChaCha20Poly1305 ------------

_KEM = b"KEM" + (0x20).to_bytes(2, "big")
_HPKE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x20, 1, 3))


def _extract(suite: bytes, salt: bytes, label: bytes, content: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + content, "sha256")


def _expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, labelled + b"\1", "sha256")[:length]


def hpke(shared: bytes, ephemeral: bytes, recipient: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and first nonce, from the Diffie-Hellman value and the public keys."""
    extracted = _extract(_KEM, b"", b"eae_prk", shared)
    secret = _expand(_KEM, extracted, b"shared_secret", ephemeral + recipient, 32)
    context = b"\0" + _extract(_HPKE, b"", b"psk_id_hash", b"") + _extract(_HPKE, b"", b"info_hash", info)
    schedule = _extract(_HPKE, secret, b"secret", b"")
    key = _expand(_HPKE, schedule, b"key", context, 32)
    return key, _expand(_HPKE, schedule, b"base_nonce", context, 12)


def test_the_second_implementation_passes_the_rfcs_vector() -> None:
    """RFC 9180, appendix A.2.1: the first encryption."""
    ephemeral = bytes.fromhex("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600")
    ours = bytes.fromhex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a")
    theirs = bytes.fromhex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a")
    info = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
    content = bytes.fromhex("4265617574792069732074727574682c20747275746820626561757479")
    shared = X25519PrivateKey.from_private_bytes(ephemeral).exchange(
        X25519PublicKey.from_public_bytes(theirs)
    )
    key, nonce = hpke(shared, ours, theirs, info)
    assert nonce.hex() == "5c4d98150661b848853b547f"
    assert ChaCha20Poly1305(key).encrypt(nonce, content, b"Count-0").hex() == (
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
    )


def test_wrapping_is_hpke_as_the_rfc_has_it() -> None:
    info = (
        b"medsync.record-key.v1\0"
        + bytes.fromhex(RECORD.id)
        + bytes([0] * 7 + [3])
        + bytes(29)
        + b"\xc0\xff\xee"
    )
    recipient, key = EncryptionKey.generate(), DataKey.generate()
    wrapped = wrap(key, recipient.public, RECORD)
    assert len(wrapped) == 80
    private = X25519PrivateKey.from_private_bytes(recipient.reveal())
    shared = private.exchange(X25519PublicKey.from_public_bytes(wrapped[:32]))
    theirs, nonce = hpke(shared, wrapped[:32], recipient.public, info)
    assert ChaCha20Poly1305(theirs).decrypt(nonce, wrapped[32:], b"") == key.reveal()

    ephemeral = X25519PrivateKey.generate()
    public = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient.public))
    ours, nonce = hpke(shared, public, recipient.public, info)
    foreign = public + ChaCha20Poly1305(ours).encrypt(nonce, key.reveal(), b"")
    assert recipient.unwrap(foreign, RECORD) == key


# --- what wrapping is bound to ------------------------------------------------------------------------------


def test_a_wrapped_key_opens_for_its_recipient_and_record_only() -> None:
    recipient, key = EncryptionKey.generate(), DataKey.generate()
    wrapped = wrap(key, recipient.public, RECORD)
    assert recipient.unwrap(wrapped, RECORD) == key
    others = [
        RecordVersion("1" + RECORD.id[1:], RECORD.version, RECORD.commitment),
        RecordVersion(RECORD.id, RECORD.version + 1, RECORD.commitment),
        RecordVersion(RECORD.id, RECORD.version, RECORD.commitment + 1),
    ]
    attempts: list[Callable[[], DataKey]] = [
        *(lambda other=other: recipient.unwrap(wrapped, other) for other in others),  # type: ignore[misc]
        lambda: EncryptionKey.generate().unwrap(wrapped, RECORD),
        lambda: recipient.unwrap(wrapped[:-1], RECORD),
        lambda: recipient.unwrap(wrapped + b"\0", RECORD),
        lambda: recipient.unwrap(b"", RECORD),
        lambda: recipient.unwrap(bytes(80), RECORD),
    ]
    for attempt in attempts:
        with pytest.raises(VerificationError, match="another key or another record"):
            attempt()


def test_every_altered_byte_of_a_wrapped_key_is_noticed() -> None:
    recipient = EncryptionKey.generate()
    wrapped = wrap(DataKey.generate(), recipient.public, RECORD)
    for place in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[place] ^= 1
        with pytest.raises(VerificationError):
            recipient.unwrap(bytes(altered), RECORD)


@pytest.mark.parametrize("public", [bytes(32), bytes([1, *[0] * 31]), b"", bytes(31), bytes(33)])
def test_nothing_is_wrapped_for_a_key_that_anybody_could_unwrap_with(public: bytes) -> None:
    """Points of low order give a shared secret of zeros."""
    with pytest.raises(InvalidValue, match="not a usable X25519 public key"):
        wrap(DataKey.generate(), public, RECORD)


@pytest.mark.parametrize(
    ("record", "version", "commitment"),
    [
        ("", 1, 1),
        ("A" * 32, 1, 1),
        ("0" * 31, 1, 1),
        ("0" * 31 + "\n", 1, 1),
        ("0" * 32, 0, 1),
        ("0" * 32, 2**32, 1),
        ("0" * 32, True, 1),
        ("0" * 32, 1, PRIME),
        ("0" * 32, 1, -1),
    ],
)
def test_what_is_no_version_of_a_record_is_refused(record: str, version: int, commitment: int) -> None:
    with pytest.raises(InvalidValue):
        RecordVersion(record, version, commitment)


# --- secrets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [DataKey, EncryptionKey, SigningKey, *KEPT])
def test_a_secret_shows_nowhere(kind: type[Secret]) -> None:
    secret = kind.generate()
    shown = repr(secret) + str(secret) + f"{secret}" + repr([secret])
    assert secret.reveal().hex() not in shown
    assert repr(secret.reveal()) not in shown
    assert not hasattr(secret, "__dict__")
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            take(secret)  # type: ignore[operator]
    with pytest.raises(TypeError):
        hash(secret)
    assert secret == kind(secret.reveal())
    assert secret != kind.generate()
    assert secret != secret.reveal()
    with pytest.raises(InvalidValue) as refused:
        kind(secret.reveal() + b"\0")
    assert secret.reveal().hex() not in str(refused.value)


def test_secrets_of_different_kinds_are_not_equal() -> None:
    assert DataKey(bytes(32)) != EncryptionKey(bytes(32))


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or True)
    assert DataKey(bytes(32)) == DataKey(b"\1" * 32)
    assert compared == [(bytes(32), b"\1" * 32)]


def test_derived_keys_are_kept_apart() -> None:
    key = CustodianKey.generate()
    made = [key.derive(label, context) for label in Label for context in (b"", b"vault")]
    assert len(set(made)) == len(made) == 2 * len(Label)
    assert key.derive(Label.VAULT_ROW, b"vault") == CustodianKey(key.reveal()).derive(
        Label.VAULT_ROW, b"vault"
    )
    assert key.derive(Label.VAULT_ROW) != CustodianKey.generate().derive(Label.VAULT_ROW)
    # HKDF of RFC 5869, written out: one block.
    extracted = hmac.digest(bytes(32), key.reveal(), "sha256")
    assert key.derive(Label.VAULT_ROW, b"v") == hmac.digest(extracted, b"medsync.vault-row.v1\0v\1", "sha256")


def test_signatures() -> None:
    key = SigningKey.generate()
    signature = key.sign(b"message")
    assert is_signed(key.public, signature, b"message")
    assert not is_signed(key.public, signature, b"messages")
    assert not is_signed(SigningKey.generate().public, signature, b"message")
    assert not is_signed(key.public, signature[:-1], b"message")
    assert not is_signed(b"", signature, b"message")


@pytest.mark.parametrize("kind", KEPT)
def test_public_parts_follow_from_the_key(kind: type[KeptKey]) -> None:
    key = kind.generate()
    assert kind(key.reveal()).public_parts == key.public_parts != kind.generate().public_parts
    assert not any(part in key.reveal().hex() for part in key.public_parts.values())


def test_an_attestors_key_signs_on_the_stark_curve() -> None:
    key = AttestorKey((7).to_bytes(32, "big"))
    assert key.public == public_key_of(7) == key.signer(1).public_key
    for bad in (bytes(32), b"\xff" * 32):
        with pytest.raises(InvalidValue):
            AttestorKey(bad)


# --- encryption ---------------------------------------------------------------------------------------------


def test_sealed_content_is_bound_and_fresh() -> None:
    key = bytes(32)
    sealed = seal(key, b"content", b"bound")
    assert len(sealed) == len(b"content") + SEAL_BYTES
    assert unseal(key, sealed, b"bound") == b"content"
    assert sealed != seal(key, b"content", b"bound")
    assert unseal(key, sealed, b"") is None
    assert unseal(b"\1" * 32, sealed, b"bound") is None
    assert unseal(key, sealed[:-1], b"bound") is None
    assert unseal(key, b"", b"bound") is None


@given(st.binary(max_size=5000), st.sampled_from([0, 28, 29]), st.sampled_from([64, 512, 2048]))
def test_padding(content: bytes, beside: int, least: int) -> None:
    padded = pad(content, beside=beside, least=least)
    size = len(padded) + beside
    assert size.bit_count() == 1
    assert size >= least
    assert size == least or size < 2 * (len(content) + 4 + beside)
    assert unpad(padded) == content


@pytest.mark.parametrize("padded", [b"", b"\0\0\0", b"\0\0\0\2a", b"\0\0\0\1ab", b"\xff\xff\xff\xff"])
def test_what_is_not_padded_so_is_refused(padded: bytes) -> None:
    with pytest.raises(InvalidValue):
        unpad(padded)

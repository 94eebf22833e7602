"""The fast signer makes the signatures that starknet-py's own makes, and lets nothing of the key out."""

import copy
import pickle
import time

import pytest
from starknet_py.constants import EC_ORDER
from starknet_py.hash.utils import message_signature, verify_message_signature
from starknet_py.net.client_models import ResourceBoundsMapping
from starknet_py.net.models.transaction import InvokeV3
from starknet_py.net.signer.key_pair import KeyPair
from starknet_py.net.signer.stark_curve_signer import StarkCurveSigner
from starknet_py.utils.typed_data import TypedData

from medsync.protocol.felt import PRIME, InvalidValue
from medsync.protocol.hashing import poseidon
from medsync.protocol.messages import consent_message
from medsync.starknet.signer import StarkSigner, public_key_of
from tests.harness.histories import CHAIN, CONSENT_TERMS, CONTRACT, PATIENT, RESEARCHER, START

SECRET = 0x2BBF4F9FD0BBB2E60B0316C1FE0B76CF7A4D0198BD493CED9B8DF2A3A24D68A
STOCK = StarkCurveSigner(PATIENT, KeyPair.from_private_key(SECRET), CHAIN)


@pytest.fixture
def signer() -> StarkSigner:
    return StarkSigner(SECRET, CHAIN)


@pytest.mark.parametrize(
    "message_hash",
    [
        1,
        poseidon([1, 2, 3]),
        # 248 to 252 bits long: one nibble short of whole bytes, which the nonce's derivation treats apart.
        2**247 + 5,
        2**250 + 5,
        2**251 - 1,
    ],
)
def test_signatures_equal_the_stock_signers(signer: StarkSigner, message_hash: int) -> None:
    assert tuple(signer.sign_hash(message_hash)) == message_signature(message_hash, SECRET)


@pytest.mark.parametrize("private_key", [1, 2, EC_ORDER - 1, SECRET])
def test_public_keys_equal_the_stock_signers(private_key: int) -> None:
    assert public_key_of(private_key) == KeyPair.from_private_key(private_key).public_key


def test_a_transaction_is_signed_as_by_the_stock_signer(signer: StarkSigner) -> None:
    transaction = InvokeV3(
        version=3,
        signature=[],
        nonce=7,
        resource_bounds=ResourceBoundsMapping.init_with_zeros(),
        calldata=[1, CONTRACT, 2, 0],
        sender_address=PATIENT,
        tip=0,
    )
    assert signer.sign_transaction(transaction) == STOCK.sign_transaction(transaction)


def test_a_message_is_signed_as_by_the_stock_signer(signer: StarkSigner) -> None:
    message = consent_message(CHAIN, CONTRACT, RESEARCHER, CONSENT_TERMS, 1, 1, 1, START)
    typed_data = TypedData.from_dict(message)  # type: ignore[arg-type]
    signature = signer.sign_message(typed_data, PATIENT)
    assert signature == STOCK.sign_message(typed_data, PATIENT)
    assert verify_message_signature(typed_data.message_hash(PATIENT), signature, signer.public_key)


def test_the_key_shows_nowhere(signer: StarkSigner) -> None:
    seen = [repr(signer), str(signer), f"{signer}", repr(vars(signer)), repr([signer])]
    for secret in (str(SECRET), f"{SECRET:x}", f"{SECRET:X}"):
        assert not any(secret in text for text in seen)
    assert repr(signer) == f"StarkSigner(public_key={signer.public_key:#x})"


@pytest.mark.parametrize("escape", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_signer_cannot_be_taken_elsewhere(signer: StarkSigner, escape: object) -> None:
    with pytest.raises(TypeError, match="private key"):
        escape(signer)  # type: ignore[operator]


@pytest.mark.parametrize("private_key", [0, -1, EC_ORDER, EC_ORDER + SECRET])
def test_a_false_key_is_refused_and_not_shown(private_key: int) -> None:
    with pytest.raises(InvalidValue) as refused:
        StarkSigner(private_key, CHAIN)
    assert str(private_key) not in str(refused.value).replace("[1,", "")


@pytest.mark.parametrize("message_hash", [-1, PRIME])
def test_only_felts_are_signed(signer: StarkSigner, message_hash: int) -> None:
    with pytest.raises(InvalidValue):
        signer.sign_hash(message_hash)


def test_signing_is_no_bottleneck(signer: StarkSigner) -> None:
    """About 1 ms on an idle machine, where the stock signer takes 130; the bound has room for a busy one."""
    times = []
    for message_hash in range(1, 12):
        start = time.perf_counter()
        signer.sign_hash(message_hash)
        times.append(time.perf_counter() - start)
    assert sorted(times)[len(times) // 2] < 0.02

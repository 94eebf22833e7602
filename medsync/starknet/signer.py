"""A signer for Starknet accounts that costs about a millisecond, behind starknet-py's `BaseSigner`.

starknet-py's own signer takes over a hundred milliseconds per signature, which is more than ten times what a
node needs for the whole transaction. This one does the same arithmetic with fastecdsa, and the nonce is the
same deterministic one (RFC 6979 as Starknet seeds it), so both make the same signature of the same hash.
"""

from collections.abc import Callable
from typing import Final, NoReturn

from crypto_cpp_py.utils import cpp_generate_k_rfc6979  # type: ignore[import-untyped]
from fastecdsa.rust import Curve
from starknet_py.constants import EC_ORDER
from starknet_py.net.models.transaction import AccountTransaction
from starknet_py.net.signer.base_signer import BaseSigner
from starknet_py.utils.typed_data import TypedData

from medsync.protocol.felt import PRIME, InvalidValue, check_felt

#: Starknet's curve. Source: StarkEx documentation, "STARK curve".
STARK_CURVE: Final = Curve(
    "STARK",
    p=PRIME,
    a=1,
    b=0x6F21413EFBE40DE150E596D72F7A8C5609AD26C15C915C1F4CDFCB99CEE9E89,
    q=EC_ORDER,
    gx=0x1EF15C18599971B7BECED415A40F0C7DEACFD9B0D1819E03D723D8BC943CFCA,
    gy=0x5668060AA49730B7BE4801DF46EC62DE53ECD11ABE43A32873000C36E8DC1F,
)

_BYTES: Final = 32

#: Extra entropy that Starknet's tools put into RFC 6979. Part of every signature they make.
_NONCE_SEED: Final = 32


class StarkSigner(BaseSigner):
    """Signs transactions and SNIP-12 messages of one account with a key on the STARK curve.

    The private key lives in a closure only: it shows in no `repr`, no attribute, no pickle and no copy.

    >>> signer = StarkSigner(private_key=1, chain_id=0x534E5F5345504F4C4941)
    >>> signer
    StarkSigner(public_key=0x1ef15c18599971b7beced415a40f0c7deacfd9b0d1819e03d723d8bc943cfca)
    >>> len(signer.sign_hash(0x1234))
    2
    """

    def __init__(self, private_key: int, chain_id: int) -> None:
        """Raises `InvalidValue`, without showing it, if the private key is not in [1, curve order)."""
        self.chain_id = chain_id
        self._public_key, self._sign = _load(private_key)

    @property
    def public_key(self) -> int:
        """The x coordinate of the public key, as account contracts store it."""
        return self._public_key

    def sign_hash(self, message_hash: int) -> list[int]:
        """The signature `[r, s]` of a hash that is a felt."""
        check_felt(message_hash, "message hash")
        return self._sign(message_hash)

    def sign_transaction(self, transaction: AccountTransaction) -> list[int]:
        """The signature `[r, s]` of a transaction on this signer's chain."""
        return self.sign_hash(transaction.calculate_hash(self.chain_id))

    def sign_message(self, typed_data: TypedData, account_address: int) -> list[int]:
        """The signature `[r, s]` of a SNIP-12 message in the name of an account."""
        return self.sign_hash(typed_data.message_hash(account_address))

    def __repr__(self) -> str:
        return f"StarkSigner(public_key={self.public_key:#x})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer holds a private key and cannot be pickled or copied")


def public_key_of(private_key: int) -> int:
    """The public key (x coordinate) of a private key. Raises `InvalidValue` as `StarkSigner` does."""
    return _load(private_key)[0]


def _load(private_key: int) -> tuple[int, Callable[[int], list[int]]]:
    if not 1 <= private_key < EC_ORDER:
        raise InvalidValue("the private key is not in [1, order of the STARK curve)")
    key = private_key.to_bytes(_BYTES, "little")

    def sign(message_hash: int) -> list[int]:
        nonce: int = cpp_generate_k_rfc6979(message_hash, private_key, _NONCE_SEED)
        parts = STARK_CURVE.sign(
            message_hash.to_bytes(_BYTES, "little"), key, nonce.to_bytes(_BYTES, "little")
        )
        return [int.from_bytes(part, "little") for part in parts]

    return (STARK_CURVE.G * private_key).x, sign

"""Key cards: certificates in which an account names its public keys, to receive and request encrypted data.

A card is a SNIP-12 message (revision 1) signed by the Starknet account at `address`, as consents are. It is
verified with that account (SNIP-6 `is_valid_signature`): changing the account's key therefore revokes earlier
cards.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import ContractError, VerificationError
from medsync.private.keys.keys import AccessorKey
from medsync.private.schema import Address, Felt, Hex32, Schema
from medsync.protocol.felt import decode_short_string, encode_short_string
from medsync.protocol.hashing import SNIP12_TYPES
from medsync.protocol.messages import DOMAIN_NAME, DOMAIN_VERSION, message_hash
from medsync.starknet.clients import ContractClient
from medsync.starknet.signer import StarkSigner

#: Maximum validity of a card in seconds: a year and a day.
LONGEST_LIFE: Final = 366 * 86_400

#: An account's response to a valid signature. Source: SNIP-6.
_VALID: Final = encode_short_string("VALID")
#: Fields of the message with their SNIP-12 types. Keys are text, so that wallets show them in full.
_FIELDS: Final = (("encryption_key", "string"), ("signing_key", "string"), ("expires_at", "timestamp"))


class KeyCard(Schema):
    """An account's public keys, signed by the account."""

    #: The account.
    address: Address
    #: Chain id, as a short string's felt.
    chain: Felt
    #: The X25519 key for which data keys are wrapped.
    encryption_key: Hex32
    #: The ed25519 key that presents tickets.
    signing_key: Hex32
    #: Unix seconds from which it is void.
    expires_at: int = Field(gt=0, lt=2**53)
    signature: tuple[Felt, ...] = Field(max_length=64)

    def typed_data(self) -> dict[str, Any]:
        """The SNIP-12 message that is signed."""
        return _typed_data(self.chain, self.encryption_key, self.signing_key, self.expires_at)

    def check(self, *, chain: int, now: int) -> None:
        """Raise VerificationError unless it is for that chain and valid at `now` (unix seconds).

        This does not use the network: `verify` also checks the account's signature.
        """
        named = f"The key card of {self.address:#x}"
        if self.chain != chain:
            raise VerificationError(f"{named} is for another chain.")
        if now >= self.expires_at:
            raise VerificationError(f"{named} has expired.", hint="Ask its owner for a new one.")
        if self.expires_at - now > LONGEST_LIFE:
            raise VerificationError(f"{named} is valid for more than a year, which is not allowed.")

    async def verify(self, client: FullNodeClient, *, chain: int, now: int) -> None:
        """Check it as `check` does, and ask the account to validate the signature.

        Raises VerificationError if it is invalid, and NetworkError if the node does not answer.
        """
        self.check(chain=chain, now=now)
        signed = message_hash(self.typed_data(), self.address)
        calldata = [signed, len(self.signature), *self.signature]
        try:
            answer = await _Account(self.address, client).view("is_valid_signature", calldata, int)
        except ContractError:
            # There is no contract, it is not an account, or it panics on an invalid signature.
            answer = 0
        if answer != _VALID:
            raise VerificationError(f"The account {self.address:#x} did not sign this key card.")


class _Account(ContractClient):
    name = "Account"


def sign_card(signer: StarkSigner, address: int, key: AccessorKey, expires_at: int) -> KeyCard:
    """Sign the key card of an account on the signer's chain. `expires_at` is in unix seconds."""
    encryption, signing = key.encryption.public, key.signing.public
    typed_data = _typed_data(signer.chain_id, encryption, signing, expires_at)
    return KeyCard(
        address=address,
        chain=signer.chain_id,
        encryption_key=encryption,
        signing_key=signing,
        expires_at=expires_at,
        signature=tuple(signer.sign_hash(message_hash(typed_data, address))),
    )


def _typed_data(chain: int, encryption_key: bytes, signing_key: bytes, expires_at: int) -> dict[str, Any]:
    types = {"StarknetDomain": SNIP12_TYPES["StarknetDomain"], "KeyCard": _FIELDS}
    return {
        "types": {
            name: [{"name": field, "type": kind} for field, kind in fields] for name, fields in types.items()
        },
        "primaryType": "KeyCard",
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": decode_short_string(chain),
            "revision": 1,
        },
        "message": {
            "encryption_key": encryption_key.hex(),
            "signing_key": signing_key.hex(),
            "expires_at": str(expires_at),
        },
    }

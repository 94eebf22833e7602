"""Consents and revocations that a patient signs off-chain, for anyone to submit.

What is handed over is a JSON file: the SNIP-12 message as a wallet shows and signs it, the account that
signed, and the signature. Whoever submits it can neither change nor repeat it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medsync.protocol.felt import InvalidValue, check_address, check_felt, encode_short_string, parse_felt
from medsync.protocol.hashing import SNIP12_TYPES
from medsync.protocol.messages import consent_message, message_hash, revocation_message
from medsync.protocol.types import CampaignTerms, ConsentTerms
from medsync.protocol.vocabulary import Category, Purpose
from medsync.starknet.signer import StarkSigner


@dataclass(frozen=True, slots=True)
class SignedConsent:
    """A consent that waits to be submitted with `add_consent_by_sig`."""

    chain_id: int
    #: The MedSync contract it is for.
    contract: int
    #: The account that signed.
    patient: int
    grantee: int
    terms: ConsentTerms
    #: The version the consent will get; if it would get another, the message is void.
    version: int
    #: The patient's nonce that it burns.
    nonce: int
    #: Last second (unix) it is good for.
    deadline: int
    signature: tuple[int, ...]

    def typed_data(self) -> dict[str, Any]:
        """The SNIP-12 message that is signed."""
        return consent_message(
            self.chain_id, self.contract, self.grantee, self.terms, self.version, self.nonce, self.deadline
        )

    def to_json(self) -> dict[str, Any]:
        """The file's content, as `json.dumps` takes it."""
        return _envelope(self.patient, self.typed_data(), self.signature)


@dataclass(frozen=True, slots=True)
class SignedRevocation:
    """A revocation that waits to be submitted with `revoke_consent_by_sig`."""

    chain_id: int
    #: The MedSync contract it is for.
    contract: int
    #: The account that signed.
    patient: int
    grantee: int
    purpose: Purpose
    #: The patient's nonce that it burns.
    nonce: int
    #: Last second (unix) it is good for.
    deadline: int
    signature: tuple[int, ...]

    def typed_data(self) -> dict[str, Any]:
        """The SNIP-12 message that is signed."""
        return revocation_message(
            self.chain_id, self.contract, self.grantee, self.purpose, self.nonce, self.deadline
        )

    def to_json(self) -> dict[str, Any]:
        """The file's content, as `json.dumps` takes it."""
        return _envelope(self.patient, self.typed_data(), self.signature)


def sign_consent(
    signer: StarkSigner,
    patient: int,
    *,
    contract: int,
    grantee: int,
    terms: ConsentTerms,
    version: int,
    nonce: int,
    deadline: int,
) -> SignedConsent:
    """Sign, for the account `patient`, a consent that will become `version`.

    `nonce` is the patient's present one on the contract, `deadline` the last second (unix) the signature is
    good for; the chain is the signer's.
    """
    chain = signer.chain_id
    message = consent_message(chain, contract, grantee, terms, version, nonce, deadline)
    signature = tuple(signer.sign_hash(message_hash(message, patient)))
    return SignedConsent(chain, contract, patient, grantee, terms, version, nonce, deadline, signature)


def sign_revocation(
    signer: StarkSigner,
    patient: int,
    *,
    contract: int,
    grantee: int,
    purpose: Purpose,
    nonce: int,
    deadline: int,
) -> SignedRevocation:
    """Sign, for the account `patient`, the withdrawal of a consent. Parameters as for `sign_consent`."""
    chain = signer.chain_id
    message = revocation_message(chain, contract, grantee, purpose, nonce, deadline)
    signature = tuple(signer.sign_hash(message_hash(message, patient)))
    return SignedRevocation(chain, contract, patient, grantee, purpose, nonce, deadline, signature)


def signed_from_json(document: Any) -> SignedConsent | SignedRevocation:
    """The message in a file's content, made by `to_json` or by a wallet. The signature is not checked here.

    Raises InvalidValue if it is neither kind of message, or says anything beside what the contract will hash.
    """
    try:
        typed_data = document["typed_data"]
        signature = tuple(parse_felt(felt, "signature") for felt in document["signature"])
        patient = parse_felt(document["account"], "account")
        check_address(patient, "account")
        kind, message = typed_data["primaryType"], typed_data["message"]
        chain_id = encode_short_string(typed_data["domain"]["chainId"])
        if kind not in ("Consent", "RewardedConsent", "Revocation"):
            raise InvalidValue(f"{kind!r} is no message that MedSync knows")
        values = _values(kind, message)
    except InvalidValue:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidValue(f"not a signed message: {type(error).__name__} {error}") from None
    signed: SignedConsent | SignedRevocation
    contract, grantee = values["contract"], values["grantee"]
    ends = values["nonce"], values["deadline"], signature
    if kind == "Revocation":
        signed = SignedRevocation(chain_id, contract, patient, grantee, values["purpose"], *ends)
    else:
        reward = CampaignTerms(**values["reward"]) if kind == "RewardedConsent" else None
        terms = ConsentTerms(
            purpose=values["purpose"],
            categories=Category(values["categories"]),
            starts_at=values["starts_at"],
            expires_at=values["expires_at"],
            max_uses=values["max_uses"],
            reward=reward,
            terms_commitment=values["terms_commitment"],
        )
        version = values["version"]
        signed = SignedConsent(chain_id, contract, patient, grantee, terms, version, *ends)
    if signed.typed_data() != typed_data:
        raise InvalidValue("the signed message is not written as MedSync writes it")
    return signed


def _envelope(account: int, typed_data: Mapping[str, Any], signature: Sequence[int]) -> dict[str, Any]:
    return {
        "account": hex(account),
        "typed_data": dict(typed_data),
        "signature": [hex(felt) for felt in signature],
    }


def _values(kind: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """The message's fields as Python values, by their SNIP-12 types."""
    values: dict[str, Any] = {}
    for name, inner in SNIP12_TYPES[kind]:
        text = message[name]
        if inner in SNIP12_TYPES:
            values[name] = _values(inner, text)
        elif inner == "shortstring":
            values[name] = Purpose(text)
        elif inner in ("ContractAddress", "felt"):
            values[name] = parse_felt(text, name)
        else:
            values[name] = _integer(text, name)
        if isinstance(values[name], int):
            check_felt(values[name], name)
    return values


def _integer(text: str, field: str) -> int:
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 39):
        raise InvalidValue(f"{field} must be written in decimal digits, not {text!r}")
    return int(text)

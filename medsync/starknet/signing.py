"""Consents and revocations that a patient signs off-chain, for anyone to submit.

What is handed over is a JSON file: the SNIP-12 message as a wallet shows and signs it, the account that
signed, and the signature. The submitter can neither change nor repeat it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from medsync.protocol.felt import InvalidValue, check_address, check_felt, encode_short_string, parse_felt
from medsync.protocol.hashing import SNIP12_TYPES
from medsync.protocol.messages import consent_message, message_hash, revocation_message
from medsync.protocol.types import CampaignTerms, ConsentTerms, check_time
from medsync.protocol.vocabulary import Category, Purpose
from medsync.starknet.signer import StarkSigner

#: Most digits of a felt in decimal.
_DECIMAL_DIGITS: Final = 76


@dataclass(frozen=True, slots=True)
class SignedConsent:
    """A consent that waits to be submitted with `add_consent_by_sig`.

    >>> from medsync import Category
    >>> signer = StarkSigner(private_key=1, chain_id=0x534E5F5345504F4C4941)
    >>> terms = ConsentTerms(
    ...     Purpose.HRESCH, study=0, categories=Category.OBSERVATION, starts_at=0,
    ...     expires_at=1_798_761_600, max_uses=0, scoped=False, reward=None, terms_commitment=0xABC,
    ... )
    >>> signed = sign_consent(
    ...     signer, patient=7, contract=5, grantee=9, terms=terms, version=1, generation=1, counter=1,
    ...     deadline=1_798_761_600,
    ... )
    >>> signed_from_json(signed.to_json()) == signed
    True
    """

    chain_id: int
    #: The MedSync contract it is for.
    contract: int
    #: The account that signed.
    patient: int
    grantee: int
    terms: ConsentTerms
    #: The version the consent will get; if it would get another, the message is void.
    version: int
    #: The patient's generation; if it is another by then, the message is void.
    generation: int
    #: The patient's counter that it burns.
    counter: int
    #: Last second (unix) it is good for.
    deadline: int
    signature: tuple[int, ...]

    def typed_data(self) -> dict[str, Any]:
        """The SNIP-12 message that is signed."""
        return consent_message(
            self.chain_id,
            self.contract,
            self.grantee,
            self.terms,
            self.version,
            self.generation,
            self.counter,
            self.deadline,
        )

    def to_json(self) -> dict[str, Any]:
        """The file's content, as `json.dumps` takes it."""
        return envelope(self.patient, self.typed_data(), self.signature)


@dataclass(frozen=True, slots=True)
class SignedRevocation:
    """A revocation that waits to be submitted with `revoke_consent_by_sig`.

    >>> signer = StarkSigner(private_key=1, chain_id=0x534E5F5345504F4C4941)
    >>> signed = sign_revocation(
    ...     signer, patient=7, contract=5, grantee=9, purpose=Purpose.HRESCH, study=0, generation=1,
    ...     deadline=1_798_761_600,
    ... )
    >>> signed.typed_data()["primaryType"]
    'Revocation'
    """

    chain_id: int
    #: The MedSync contract it is for.
    contract: int
    #: The account that signed.
    patient: int
    grantee: int
    purpose: Purpose
    #: Study of the consent; zero for a broad one.
    study: int
    #: The patient's generation when it is signed: it works until the consent is decided on in a later one.
    generation: int
    #: Last second (unix) it is good for.
    deadline: int
    signature: tuple[int, ...]

    def typed_data(self) -> dict[str, Any]:
        """The SNIP-12 message that is signed."""
        return revocation_message(
            self.chain_id,
            self.contract,
            self.grantee,
            self.purpose,
            self.study,
            self.generation,
            self.deadline,
        )

    def to_json(self) -> dict[str, Any]:
        """The file's content, as `json.dumps` takes it."""
        return envelope(self.patient, self.typed_data(), self.signature)


def sign_consent(
    signer: StarkSigner,
    patient: int,
    *,
    contract: int,
    grantee: int,
    terms: ConsentTerms,
    version: int,
    generation: int,
    counter: int,
    deadline: int,
) -> SignedConsent:
    """Sign, for the account `patient`, a consent that will become `version`.

    `generation` and `counter` are the patient's present ones on the contract, `deadline` is the last second
    (unix) the signature is good for; the chain is the signer's. Raises InvalidValue for an invalid deadline.
    """
    check_time(deadline, "deadline")
    chain = signer.chain_id
    numbers = version, generation, counter, deadline
    message = consent_message(chain, contract, grantee, terms, *numbers)
    signature = tuple(signer.sign_hash(message_hash(message, patient)))
    return SignedConsent(chain, contract, patient, grantee, terms, *numbers, signature)


def sign_revocation(
    signer: StarkSigner,
    patient: int,
    *,
    contract: int,
    grantee: int,
    purpose: Purpose,
    study: int,
    generation: int,
    deadline: int,
) -> SignedRevocation:
    """Sign, for the account `patient`, the withdrawal of a consent. As `sign_consent` for the rest."""
    check_time(deadline, "deadline")
    chain = signer.chain_id
    target = purpose, study, generation, deadline
    message = revocation_message(chain, contract, grantee, *target)
    signature = tuple(signer.sign_hash(message_hash(message, patient)))
    return SignedRevocation(chain, contract, patient, grantee, *target, signature)


def signed_from_json(document: Any) -> SignedConsent | SignedRevocation:
    """The message in a file's content, made by `to_json` or by a wallet. The signature is not checked here.

    Addresses and numbers may be written as hexadecimal text, with or without leading zeros, as decimal text
    (starknet.js), or as integers (starknet.py): what is signed is the value. Raises InvalidValue, naming the
    member, if it is neither kind of message, or says anything beside what the contract will hash.
    """
    typed_data = member(document, "typed_data", dict)
    signature = read_signature(member(document, "signature", (list, dict)))
    patient = read_number(member(document, "account"), "account")
    check_address(patient, "account")
    kind = member(typed_data, "primaryType", str, "typed_data.")
    if kind not in ("Consent", "RewardedConsent", "Revocation"):
        raise InvalidValue(f"typed_data.primaryType: MedSync knows no message {kind!r}")
    domain = member(typed_data, "domain", dict, "typed_data.")
    chain_id = encode_short_string(member(domain, "chainId", str, "typed_data.domain."))
    values = _values(kind, member(typed_data, "message", dict, "typed_data."), "typed_data.message")
    check_time(values["deadline"], "typed_data.message.deadline")
    signed: SignedConsent | SignedRevocation
    contract, grantee = values["contract"], values["grantee"]
    deadline = values["deadline"]
    if kind == "Revocation":
        purpose, study, generation = values["purpose"], values["study"], values["generation"]
        signed = SignedRevocation(
            chain_id, contract, patient, grantee, purpose, study, generation, deadline, signature
        )
    else:
        reward = CampaignTerms(**values["reward"]) if kind == "RewardedConsent" else None
        terms = ConsentTerms(
            purpose=values["purpose"],
            study=values["study"],
            categories=Category(values["categories"]),
            starts_at=values["starts_at"],
            expires_at=values["expires_at"],
            max_uses=values["max_uses"],
            scoped=values["scoped"],
            reward=reward,
            terms_commitment=values["terms_commitment"],
        )
        numbers = values["version"], values["generation"], values["counter"], deadline
        signed = SignedConsent(chain_id, contract, patient, grantee, terms, *numbers, signature)
    # The message's values were compared one by one; the rest decides what is hashed, and has to be the same.
    expected = signed.typed_data()
    for name in expected.keys() | typed_data.keys():
        if name != "message" and typed_data.get(name) != expected.get(name):
            raise InvalidValue(
                f"typed_data.{name} is not what MedSync writes there, so that its hash differs"
            )
    return signed


def envelope(account: int, typed_data: Mapping[str, Any], signature: Sequence[int]) -> dict[str, Any]:
    """The content of a file with a signed message, as `json.dumps` takes it."""
    return {
        "account": hex(account),
        "typed_data": dict(typed_data),
        "signature": [hex(felt) for felt in signature],
    }


def member(document: Any, name: str, kind: type | tuple[type, ...] = object, within: str = "") -> Any:
    """A member of an object, which is called `within` in errors."""
    if not isinstance(document, dict):
        raise InvalidValue("not a signed message: it must be a JSON object")
    if name not in document:
        raise InvalidValue(f"{within}{name} is missing")
    if not isinstance(document[name], kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise InvalidValue(f"{within}{name} must be {' or '.join(_JSON_NAMES[kind] for kind in kinds)}")
    return document[name]


_JSON_NAMES: Final[Mapping[type, str]] = {dict: "an object", list: "a list", str: "text"}


def read_signature(value: list[Any] | dict[str, Any]) -> tuple[int, ...]:
    """A signature from JSON: a list, or starknet.js's object with r and s."""
    parts = value if isinstance(value, list) else [member(value, name, within="signature.") for name in "rs"]
    return tuple(read_number(part, f"signature[{place}]") for place, part in enumerate(parts))


def _values(kind: str, message: Mapping[str, Any], within: str) -> dict[str, Any]:
    """The message's fields as Python values, by their SNIP-12 types."""
    values: dict[str, Any] = {}
    for name, inner in SNIP12_TYPES[kind]:
        field = f"{within}.{name}"
        if inner in SNIP12_TYPES:
            values[name] = _values(inner, member(message, name, dict, f"{within}."), field)
        elif inner == "shortstring":
            values[name] = _purpose(member(message, name, str, f"{within}."), field)
        elif inner == "bool":
            values[name] = _boolean(member(message, name, within=f"{within}."), field)
        else:
            values[name] = read_number(member(message, name, within=f"{within}."), field)
    if strange := sorted(message.keys() - values.keys()):
        raise InvalidValue(f"{within}.{strange[0]} does not belong there: no contract hashes it")
    return values


def _purpose(text: str, field: str) -> Purpose:
    try:
        return Purpose(text)
    except ValueError:
        pass
    if text.upper() in {*Purpose}:
        raise InvalidValue(f"{field}: {text!r} was signed, but the purpose is {text.upper()!r}: sign that")
    raise InvalidValue(f"{field}: {text!r} is not a purpose; the purposes are {', '.join(Purpose)}")


def _boolean(value: Any, field: str) -> bool:
    """A bool as wallets write it: true and false, or the numbers they are hashed as."""
    if isinstance(value, bool):
        return value
    number = read_number(value, field)
    if number > 1:
        raise InvalidValue(f"{field} must be true or false")
    return number == 1


def read_number(value: Any, field: str) -> int:
    """A felt as wallets write it: hexadecimal or decimal text, or an integer."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DECIMAL_DIGITS:
        value = int(value)
    elif isinstance(value, str):
        return parse_felt(value, field)
    check_felt(value, field)
    return int(value)

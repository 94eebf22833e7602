"""Salted Poseidon commitments: how the chain can name a document without saying anything of it.

A commitment is `Poseidon(domain, value, salt)`. Without the salt it tells nothing, even about a value that
can be guessed, because the salt is a random field element of full width, new for every commitment. Anyone who
has the salt can prove the value; as long as anyone does, the commitment is personal data of whom it is about.
Deleting salt and value (and their backups) is the erasure.

Values are bytes: they are hashed as their length and chunks of 31 bytes (big-endian, so each fits a felt).
Documents are made bytes by RFC 8785 (JSON Canonicalization Scheme): members sorted by their UTF-16 code
units, no white space, one way to escape strings, numbers as ECMAScript prints IEEE 754 doubles. What it does
not do: the order of arrays and the Unicode form of text stay as they are, and numbers keep a double's
precision, so a FHIR decimal `1.50` commits like `1.5`.
"""

import json
import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Literal, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medsync.errors import VerificationError
from medsync.protocol.felt import PRIME, InvalidValue, encode_short_string
from medsync.protocol.hashing import poseidon
from medsync.protocol.json import Felt

#: Bytes hashed as one felt.
CHUNK_BYTES: Final = 31


class Domain(StrEnum):
    """What a commitment is about. Hashed in first, so that one field's commitment never opens another's.

    >>> str(Domain.RECORD)
    'MEDSYNC/RECORD/1'
    """

    #: A health record, as `AccessRequest.record`.
    RECORD = "MEDSYNC/RECORD/1"
    #: Who an entity is, as `register_entity`'s `profile_commitment`.
    PROFILE = "MEDSYNC/PROFILE/1"
    #: Everything agreed off-chain, as `ConsentTerms.terms_commitment`.
    TERMS = "MEDSYNC/TERMS/1"
    #: What a study is (protocol, approval, contact), as `study` of consents, requests and campaigns.
    STUDY = "MEDSYNC/STUDY/1"
    #: A hospital's signed statement why it broke the glass, as `justify_emergency`'s `statement`.
    JUSTIFICATION = "MEDSYNC/JUSTIFICATION/1"
    #: A signed statement of what was deleted, as `state_deletion`'s `statement`.
    DELETION = "MEDSYNC/DELETION/1"


def new_salt() -> int:
    """A fresh salt: a uniformly random field element from the operating system's generator."""
    return secrets.randbelow(PRIME)


def bytes_digest(value: bytes) -> int:
    """Poseidon hash of the value's length in bytes and its chunks of 31 bytes, the last one shorter."""
    starts = range(0, len(value), CHUNK_BYTES)
    return poseidon(
        [len(value), *(int.from_bytes(value[start : start + CHUNK_BYTES], "big") for start in starts)]
    )


def commitment(domain: str, value: bytes | int, salt: int) -> int:
    """`Poseidon(domain, value, salt)`: a felt as it is, bytes as their `bytes_digest`.

    `domain` is a short string, normally a `Domain`. Raises `InvalidValue` if a part is not a felt.
    """
    felt = bytes_digest(value) if isinstance(value, bytes) else value
    return poseidon([encode_short_string(domain), felt, salt])


def canonical_json(document: Any) -> bytes:
    """A JSON value (as `json.loads` gives it) as RFC 8785 writes it, in UTF-8.

    Raises `InvalidValue` for what that form cannot hold: NaN and infinities, integers beyond 2**53 - 1, lone
    surrogates, keys that are not strings. The message shows nothing of the document.
    """
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise InvalidValue(f"the document has no canonical JSON form ({type(error).__name__})") from None


def parse_json(text: str | bytes) -> Any:
    """The JSON value in `text`. Raises `InvalidValue` where two readers could understand it differently.

    That is malformed text, a member named twice in one object, NaN or an infinity. The message shows nothing
    of the text.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique_members, parse_constant=_no_constant)
    except InvalidValue:
        raise
    except json.JSONDecodeError as error:
        raise InvalidValue(f"not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"not JSON that can be read ({type(error).__name__})") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidValue("not usable JSON: an object names a member twice")
    return members


def _no_constant(name: str) -> float:
    raise InvalidValue(f"not JSON: {name} is not a JSON number")


class Opening(BaseModel):
    """What opens a commitment: its domain, value and salt. Keep it as private as the value itself.

    Neither the value nor the salt is shown by `repr` or quoted in errors. `to_json` writes all of it, because
    a record that is kept must be complete.

    >>> opening = Opening.of_json(Domain.TERMS, {"study": "synthetic cohort", "may contact": False})
    >>> opening.verify(opening.commitment)
    """

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
        validate_by_name=True,
        serialize_by_alias=True,
    )

    #: Version of this record's form.
    form: Literal["medsync.opening/1"] = Field(default="medsync.opening/1", alias="schema")
    domain: Domain
    #: The commitment, as it stands on the chain.
    commitment: Felt
    #: The bytes committed to.
    value: bytes = Field(repr=False)
    salt: Felt = Field(repr=False)

    @classmethod
    def of(cls, domain: Domain, value: bytes) -> Self:
        """Commit to bytes with a new salt."""
        salt = new_salt()
        return cls(domain=domain, commitment=commitment(domain, value, salt), value=value, salt=salt)

    @classmethod
    def of_json(cls, domain: Domain, document: Mapping[str, Any]) -> Self:
        """Commit to a JSON document in its canonical form with a new salt.

        Raises `InvalidValue` as `canonical_json` does.
        """
        return cls.of(domain, canonical_json(document))

    def to_json(self) -> str:
        """The whole opening as JSON: felts in hex, the value in base64 (RFC 4648, URL alphabet)."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote; whether it opens its commitment is for `verify` to say.

        Raises `InvalidValue`, naming every member that is wrong.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            found = (
                f"{'.'.join(map(str, item['loc'])) or 'document'}: {item['msg']}" for item in error.errors()
            )
            raise InvalidValue(f"not an opening: {'; '.join(found)}") from None

    def verify(self, expected: int | None = None) -> None:
        """Check that domain, value and salt give the commitment, and that it is `expected` if that is given.

        `expected` is the commitment as read from the chain. Raises `VerificationError` if one of the two does
        not hold.
        """
        if commitment(self.domain, self.value, self.salt) != self.commitment:
            raise VerificationError(
                f"this does not open the {self.domain.name} commitment {hex(self.commitment)}"
            )
        if expected is not None and expected != self.commitment:
            raise VerificationError(f"this opens {hex(self.commitment)}, not {hex(expected)}")

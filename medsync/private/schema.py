"""How values are written in the private side's JSON: one way each, so that equal values are equal texts.

Felts are `0x` and lower-case hexadecimal digits without leading zeros, keys and signatures lower-case
hexadecimal of their full length, other bytes standard base64, times unix seconds. Messages of these types
never quote what they were given.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationError,
)

from medsync.protocol.commitments import canonical_json, parse_json
from medsync.protocol.felt import ADDRESS_BOUND, InvalidValue
from medsync.protocol.json import Felt as Felt
from medsync.storage.versions import check_form


def _address(value: int) -> int:
    if not 0 < value < ADDRESS_BOUND:
        raise ValueError("must be a contract address that is not zero")
    return value


def _hex(size: int) -> Callable[[object], bytes]:
    def read(value: object) -> bytes:
        if isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{2 * size}}}", value):
            return bytes.fromhex(value)
        if isinstance(value, bytes) and len(value) == size:
            return value
        raise ValueError(f"must be {2 * size} lower-case hexadecimal digits")

    return read


def _base64(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        pass
    raise ValueError("must be base64")


#: A contract's or an account's address; not zero.
Address = Annotated[Felt, AfterValidator(_address)]
#: 32 bytes: a public key, a hash.
Hex32 = Annotated[
    bytes, PlainValidator(_hex(32)), PlainSerializer(bytes.hex, return_type=str, when_used="json")
]
#: 64 bytes: an ed25519 signature.
Hex64 = Annotated[
    bytes, PlainValidator(_hex(64)), PlainSerializer(bytes.hex, return_type=str, when_used="json")
]
#: Bytes of any length.
Base64 = Annotated[
    bytes,
    PlainValidator(_base64),
    PlainSerializer(lambda value: base64.b64encode(value).decode(), return_type=str, when_used="json"),
]
#: A record's id: 128 random bits, which say nothing of anybody.
RecordId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class Schema(BaseModel):
    """A message or file of the private side: frozen, exact, and silent about its values in errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=True)

    def canonical(self) -> bytes:
        """It as RFC 8785 writes it, in UTF-8."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def read(cls, text: str | bytes, what: str) -> Self:
        """What `text` (JSON) holds; `what` names it in errors.

        Raises `UnsupportedVersion` if it has another version, and `InvalidValue`, naming every member that is
        wrong and quoting none of their values.
        """
        try:
            document = parse_json(text)
        except InvalidValue as error:
            raise InvalidValue(f"{what}: {error}") from None
        if "form" in cls.model_fields:
            check_form(document, cls.model_fields["form"].default, what)
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InvalidValue(f"{what}: {'; '.join(map(_finding, error.errors()))}") from None


def _finding(error: Any) -> str:
    # An unexpected member is not named, because the author of the file chose the name.
    if error["type"] == "extra_forbidden":
        return f"{'.'.join(map(str, error['loc'][:-1])) or 'document'}: a member that does not belong there"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(map(str, error['loc'])) or 'document'}: {message}"

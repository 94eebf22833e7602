"""Felts in JSON: one way to write each, in every file and message, which reading accepts and nothing else."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from medsync.protocol.felt import check_felt

#: What a felt is in JSON: `0x` and lower-case hexadecimal digits without leading zeros, below the prime
#: 2**251 + 17 * 2**192 + 1. The published JSON Schema has the same pattern.
FELT_PATTERN: Final = (
    "^0x(0|[1-9a-f][0-9a-f]{0,61}|[1-7][0-9a-f]{62}|80{12}(0[0-9a-f]|10)[0-9a-f]{48}|80{12}110{48})$"
)

_FELT: Final = re.compile(FELT_PATTERN)


def _felt(value: object, info: ValidationInfo) -> int:
    # What was given is not quoted: it may be a secret.
    if isinstance(value, str) and _FELT.fullmatch(value):
        return int(value, 16)
    # A JSON number is not accepted as a felt, because not every reader keeps all of its digits.
    if info.mode == "python" and isinstance(value, int):
        check_felt(value, "a felt")
        return value
    raise ValueError("must be a field element: 0x and lower-case hexadecimal digits, no leading zeros")


#: A field element: an integer in Python, see `FELT_PATTERN` in JSON.
Felt = Annotated[
    int,
    PlainValidator(_felt),
    PlainSerializer(hex, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": FELT_PATTERN}),
]

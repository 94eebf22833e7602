"""Field elements: Starknet's only number, and how short strings, addresses and hex text become one."""

from typing import Final

from medsync.errors import InputError

#: Starknet's field prime: every felt is an integer in [0, PRIME). Source: Starknet documentation, "Field
#: elements".
PRIME: Final = 2**251 + 17 * 2**192 + 1

#: Contract addresses are smaller than this. Source: Starknet documentation, "Contract address".
ADDRESS_BOUND: Final = 2**251 - 256

#: Most characters a Cairo short string can hold: 31 bytes always fit a felt.
SHORT_STRING_LENGTH: Final = 31


class InvalidValue(InputError, ValueError):
    """A value that its field cannot hold. The message names the field and what it accepts."""


def check_uint(value: object, bits: int, field: str) -> None:
    """Raise `InvalidValue` unless `value` is an integer in [0, 2**bits). Booleans are not integers here."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**bits:
        raise InvalidValue(f"{field} must be an integer in [0, 2**{bits}), not {value!r}")


def check_felt(value: object, field: str) -> None:
    """Raise `InvalidValue` unless `value` is an integer in [0, PRIME)."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < PRIME:
        raise InvalidValue(f"{field} must be a field element, an integer in [0, 2**251 + 17 * 2**192 + 1)")


def check_address(value: object, field: str) -> None:
    """Raise `InvalidValue` unless `value` is an integer in [0, ADDRESS_BOUND).

    Zero passes: it is Cairo's "no address", and only the contracts decide where that is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < ADDRESS_BOUND:
        raise InvalidValue(f"{field} must be a contract address, an integer in [0, 2**251 - 256)")


def encode_short_string(text: str) -> int:
    """The felt of a Cairo short string: its ASCII bytes, big-endian.

    Raises `InvalidValue` for text that is not ASCII or longer than 31 characters.
    """
    if not text.isascii() or len(text) > SHORT_STRING_LENGTH:
        raise InvalidValue(f"a short string has at most {SHORT_STRING_LENGTH} ASCII characters, not {text!r}")
    return int.from_bytes(text.encode("ascii"), "big")


def decode_short_string(felt: int) -> str:
    """The text of a Cairo short string; zero is the empty one.

    Raises `InvalidValue` if the felt's bytes are more than 31 or not printable ASCII.
    """
    check_felt(felt, "short string")
    raw = felt.to_bytes(32, "big").lstrip(b"\0")
    if len(raw) > SHORT_STRING_LENGTH or any(not 0x20 <= byte < 0x7F for byte in raw):
        raise InvalidValue(f"{hex(felt)} is not a short string")
    return raw.decode("ascii")


def parse_felt(text: str, field: str) -> int:
    """The felt written as `0x` and hexadecimal digits. Raises `InvalidValue`, naming `field`, otherwise."""
    digits = text[2:] if isinstance(text, str) and text[:2] in ("0x", "0X") else ""
    if not digits or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise InvalidValue(f"{field} must be written 0x and hexadecimal digits, not {text!r}")
    value = int(digits, 16)
    check_felt(value, field)
    return value

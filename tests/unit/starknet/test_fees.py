"""Too little to pay a fee: what is needed, there and missing, rounded so that it suffices."""

import pytest

from medsync.errors import ExitCode
from medsync.starknet.fees import InsufficientBalance, strk
from medsync.starknet.network import STRK_TOKEN

STRK = 10**18


@pytest.mark.parametrize(
    ("fri", "down", "up"),
    [
        (0, "0 STRK", "0 STRK"),
        (1, "0 STRK", "0.000001 STRK"),
        (10**12, "0.000001 STRK", "0.000001 STRK"),
        (10**12 + 1, "0.000001 STRK", "0.000002 STRK"),
        (3 * STRK // 2, "1.5 STRK", "1.5 STRK"),
        (100 * STRK, "100 STRK", "100 STRK"),
        (STRK - 1, "0.999999 STRK", "1 STRK"),
    ],
)
def test_what_is_there_is_rounded_down_and_what_is_needed_up(fri: int, down: str, up: str) -> None:
    assert (strk(fri), strk(fri, up=True)) == (down, up)


def test_too_little_says_how_much_is_needed_there_and_missing() -> None:
    error = InsufficientBalance("The deployment", 0xACC, balance=STRK // 4, needed=STRK)
    assert "needs a balance of 1 STRK, and 0xacc has 0.25 STRK: 0.75 STRK are missing" in error.message
    assert "Nothing was sent" in error.message
    assert error.to_json() | {"message": "", "hint": ""} == {
        "error": "INSUFFICIENT_BALANCE",
        "message": "",
        "hint": "",
        "exit_code": ExitCode.REFUSED,
        "token": hex(STRK_TOKEN),
        "account": "0xacc",
        "balance": str(STRK // 4),
        "needed": str(STRK),
        "missing": str(3 * STRK // 4),
    }


def test_too_little_of_another_token_is_counted_in_its_smallest_unit() -> None:
    error = InsufficientBalance("The deposit", 0xACC, balance=12, needed=30, token=0x70)
    assert error.message == (
        "The deposit needs a balance of 30 of the token 0x70, in its smallest unit, and 0xacc has 12: "
        "18 are missing. Nothing was sent."
    )
    assert "account fund" not in error.hint
    assert error.to_json()["token"] == "0x70"

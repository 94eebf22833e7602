"""Too little to pay or to send: how much is needed, how much is there, and where more comes from."""

from typing import Final

from medsync.errors import ContractError
from medsync.starknet.network import STRK_TOKEN

#: Where STRK for Sepolia comes from. Both pages ask for an address and nothing else.
FAUCETS: Final = ("https://faucet.starknet.io", "https://starknet-faucet.vercel.app")

_FRI_PER_STRK: Final = 10**18
_FRI_PER_MICROSTRK: Final = 10**12


class InsufficientBalance(ContractError):
    """An account holds less of a token than it is to send, or less STRK than the network asks it to hold.

    Nothing was sent. Amounts are in the token's smallest unit, which is FRI (10^-18 STRK) for STRK.

    >>> error = InsufficientBalance("The deployment", 7, balance=10**18, needed=3 * 10**18)
    >>> error.code, error.needed - error.balance
    ('INSUFFICIENT_BALANCE', 2000000000000000000)
    """

    def __init__(
        self, action: str, account: int, *, balance: int, needed: int, token: int = STRK_TOKEN
    ) -> None:
        missing = needed - balance
        if token == STRK_TOKEN:
            amounts = strk(needed, up=True), strk(balance), strk(missing, up=True)
            hint = (
                f"Fund the account (`medsync account fund`; on Sepolia {FAUCETS[0]}), then run the same "
                "command again. What a transaction does not use is not paid."
            )
        else:
            amounts = f"{needed} of the token {token:#x}, in its smallest unit", str(balance), str(missing)
            hint = "Send the account more of the token, then run the same command again."
        super().__init__(
            "INSUFFICIENT_BALANCE",
            action,
            hint,
            message=f"{action} needs a balance of {amounts[0]}, and {account:#x} has {amounts[1]}: "
            f"{amounts[2]} are missing. Nothing was sent.",
        )
        self.token = token
        self.account = account
        self.balance = balance
        self.needed = needed

    def to_json(self) -> dict[str, str | int | list[str]]:
        """The error as commands print it under `--json`; amounts as decimal text in the smallest unit."""
        return {
            **super().to_json(),
            "token": hex(self.token),
            "account": hex(self.account),
            "balance": str(self.balance),
            "needed": str(self.needed),
            "missing": str(self.needed - self.balance),
        }


def strk(fri: int, *, up: bool = False) -> str:
    """An amount in STRK with at most six decimal places, rounded down, or `up`."""
    micro = -(-fri // _FRI_PER_MICROSTRK) if up else fri // _FRI_PER_MICROSTRK
    whole, fraction = divmod(micro, _FRI_PER_STRK // _FRI_PER_MICROSTRK)
    return f"{whole}.{fraction:06d}".rstrip("0").rstrip(".") + " STRK"

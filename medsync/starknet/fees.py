"""Too little to pay a fee: how much is needed, how much is there, and where more comes from."""

from typing import Final

from medsync.errors import ContractError

#: Where STRK for Sepolia comes from. Both pages ask for an address and nothing else.
FAUCETS: Final = ("https://faucet.starknet.io", "https://starknet-faucet.vercel.app")

_FRI_PER_STRK: Final = 10**18
_FRI_PER_MICROSTRK: Final = 10**12


class InsufficientBalance(ContractError):
    """An account holds less STRK than the network asks it to hold before it accepts a transaction.

    Nothing was sent. Amounts are in FRI (10^-18 STRK).

    >>> error = InsufficientBalance("The deployment", 7, balance=10**18, needed=3 * 10**18)
    >>> error.code, error.needed - error.balance
    ('INSUFFICIENT_BALANCE', 2000000000000000000)
    """

    def __init__(self, action: str, account: int, *, balance: int, needed: int) -> None:
        super().__init__(
            "INSUFFICIENT_BALANCE",
            action,
            f"Fund the account (`medsync account fund`; on Sepolia {FAUCETS[0]}), then run the same command "
            "again. What a transaction does not use is not paid.",
            message=f"{action} needs a balance of {strk(needed, up=True)}, and {account:#x} has "
            f"{strk(balance)}: {strk(needed - balance, up=True)} are missing. Nothing was sent.",
        )
        self.account = account
        self.balance = balance
        self.needed = needed

    def to_json(self) -> dict[str, str | int | list[str]]:
        """The error as commands print it under `--json`; amounts as decimal text in FRI."""
        return {
            **super().to_json(),
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

"""The protocol's words as a test writes them; what they mean on-chain is asserted, not imported."""

DAY = 86_400
ADMIN_DELAY = 172_800
CLOSE_NOTICE = 604_800
MAX_BATCH = 100
BPS = 10_000
MAX_TIME = 2**40 - 1
MAX_U32 = 2**32 - 1
MAX_U64 = 2**64 - 1
MAX_U128 = 2**128 - 1
MAX_LIFETIME_DEPOSITS = 2**123 - 1
ALL_CATEGORIES = 0xFFFF
GIVE, REVOKE, REFUSE = 1, 2, 4
NO_REWARD = None

PURPOSES = (
    *("TREAT", "ETREAT", "BTG", "CAREMGT", "HPAYMT", "HOPERAT", "HQUALIMP", "PUBHLTH"),
    *("HRESCH", "CLINTRCH", "BIORCH", "TRANSRCH", "DSRCH", "POARCH", "PATRQT", "FAMRQT"),
)


def felt(text: str) -> int:
    """A Cairo short string."""
    return int.from_bytes(text.encode("ascii"), "big")

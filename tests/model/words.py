"""The words of the model: vocabulary, limits, and the values that operations take and give back.

Addresses, short strings and hashes are plain integers, as they are on the chain. Times are unix seconds.
"""

from dataclasses import dataclass, field
from typing import Any

U32_MAX = 2**32 - 1
U64_MAX = 2**64 - 1
U123_MAX = 2**123 - 1
U128_MAX = 2**128 - 1
FELT_PRIME = 2**251 + 17 * 2**192 + 1

TIME_MAX = 2**40 - 1  # the last second a consent may name as its end
ADMIN_DELAY = 172_800  # 48 h between announcing a new administrator and its taking over
CLOSE_NOTICE = 604_800  # 7 days between announcing the end of a campaign and taking the rest out
MAX_BATCH = 100  # requests in one batch
BPS_WHOLE = 10_000


def short(text: str) -> int:
    """The felt of a Cairo short string."""
    return int.from_bytes(text.encode("ascii"), "big")


def short_text(felt: int) -> str:
    """The short string in a felt; empty if there is none."""
    text = felt.to_bytes(32, "big").lstrip(b"\0")
    return text.decode("ascii") if text.isascii() else ""


PURPOSE_NAMES = (
    "TREAT", "ETREAT", "BTG", "CAREMGT", "HPAYMT", "HOPERAT", "HQUALIMP", "PUBHLTH",
    "HRESCH", "CLINTRCH", "BIORCH", "TRANSRCH", "DSRCH", "POARCH", "PATRQT", "FAMRQT",
)  # fmt: skip
PURPOSES = frozenset(short(name) for name in PURPOSE_NAMES)
BREAK_THE_GLASS = short("BTG")

ALL_CATEGORIES = 0xFFFF

# Powers a patient can hand to a delegate.
GIVE, REVOKE, REFUSE = 1, 2, 4
ALL_POWERS = GIVE | REVOKE | REFUSE

ROLES = ("None", "Hospital", "Researcher", "Auditor")
DECISIONS = ("Permit", "Deny", "NoConsent", "Emergency")
REASONS = (
    "Granted", "BreakGlass", "NeverGiven", "EntityUnknown", "EntitySuspended", "Withdrawn", "Revoked",
    "AllRevoked", "NotStarted", "Expired", "CategoryNotCovered", "UsesExhausted", "CampaignMismatch",
    "RewardUnfunded", "CampaignClosed", "CampaignExpired", "AllowanceExceeded", "PoolFailed",
    "NotHospital", "EmergencyOptOut",
)  # fmt: skip
# Those that `verify_consent` can answer with; the others need a request.
VERIFY_REASONS = (
    "EntityUnknown", "EntitySuspended", "NeverGiven", "Withdrawn", "Revoked", "AllRevoked", "NotStarted",
    "Expired", "CategoryNotCovered", "UsesExhausted", "Granted",
)  # fmt: skip


class ModelError(Exception):
    """The operation must revert with exactly this code and change nothing."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def require(condition: bool, code: str) -> None:
    if not condition:
        raise ModelError(code)


@dataclass(frozen=True)
class CampaignTerms:
    """Who pays how much, for which purpose, through which pool, and who shares in it."""

    pool: int
    funder: int
    purpose: int
    rate: int  # smallest token units for one permitted access
    custodian: int
    custodian_bps: int
    expires_at: int
    salt: int


@dataclass(frozen=True)
class ConsentTerms:
    purpose: int
    categories: int
    starts_at: int
    expires_at: int
    max_uses: int  # 0: as many as the counter can hold
    reward: CampaignTerms | None
    terms_commitment: int


@dataclass(frozen=True)
class AccessRequest:
    patient: int
    purpose: int
    categories: int
    record: int
    campaign: CampaignTerms | None


@dataclass(frozen=True)
class AccessReceipt:
    decision: str
    reason: str
    seq: int
    digest: int


@dataclass(frozen=True)
class Event:
    """One event that one of our contracts must emit: fields by name, `keys` being the indexed ones."""

    source: int
    name: str
    keys: dict[str, Any]
    data: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a successful operation returns and emits, in order."""

    result: Any = None
    events: list[Event] = field(default_factory=list)

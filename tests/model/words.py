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

DAY = 86_400
TIME_MAX = 2**40 - 1  # the last second a consent may name as its end
ADMIN_DELAY = 2 * DAY  # between naming a new administrator and its taking over
ADMIN_LAPSE = 14 * DAY  # after which a named administrator cannot take over any more
EMERGENCY_DELAY = 2 * DAY  # for which a hospital must have been active before it may break the glass
PROFILE_DELAY = DAY  # between two changes of a profile
JUSTIFY_WITHIN = 3 * DAY  # after an emergency access
CLOSE_NOTICE = 7 * DAY  # between announcing the end of a campaign and taking the rest out
CLOSE_WINDOW = 30 * DAY  # for which an announced closing stays possible
MAX_BATCH = 100  # requests in one batch
MAX_CLAIMS = 50  # claims settled by one withdrawal
BPS_WHOLE = 10_000
RESERVED_FROM = 2**32 - 2**16  # entries of a history after which only what closes something is taken


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
BREAK_THE_GLASS = short("BTG")
# What a consent or a request can be for.
PURPOSES = frozenset(short(name) for name in PURPOSE_NAMES) - {BREAK_THE_GLASS}
# In the order of the bits that say which purposes a patient refuses to everyone.
REFUSAL_BITS = tuple(
    short(name)
    for name in (
        *("HRESCH", "CLINTRCH", "TREAT", "BIORCH", "TRANSRCH", "DSRCH", "POARCH", "ETREAT", "CAREMGT"),
        *("HPAYMT", "HOPERAT", "HQUALIMP", "PUBHLTH", "PATRQT", "FAMRQT"),
    )
)


def refusal_bits(purposes: frozenset[int]) -> int:
    """The purposes refused to everyone, as the patient's state shows them."""
    return sum(1 << place for place, purpose in enumerate(REFUSAL_BITS) if purpose in purposes)


ALL_CATEGORIES = 0xFFFF

# Powers a patient can hand to a delegate.
GIVE, REVOKE, REFUSE = 1, 2, 4
ALL_POWERS = GIVE | REVOKE | REFUSE

ROLES = ("None", "Hospital", "Researcher", "Auditor")
CHOICES = ("EveryHospital", "NamedHospitals", "Nobody")
STATUSES = ("None", "Given", "Withdrawn", "Revoked", "Refused")
CAMPAIGN_STATUSES = ("None", "Open", "Closed")
DECISIONS = ("Permit", "Deny", "NoConsent", "Emergency")
REASONS = (
    "Granted", "BreakGlass", "EntityUnknown", "EntitySuspended", "PurposeRefused", "NeverGiven", "Refused",
    "Withdrawn", "Revoked", "AllRevoked", "NotStarted", "Expired", "CategoryNotCovered", "CampaignMismatch",
    "UsesExhausted", "RewardUnfunded", "CampaignExpired", "NotHospital", "HospitalTooNew", "EmergencyRefused",
)  # fmt: skip
# Those that `verify_consent` can answer with; the others need a request.
VERIFY_REASONS = ("Granted", *REASONS[2:15])
# Those that a request can be answered with. Whoever is unknown or suspended gets no answer.
REQUEST_REASONS = ("Granted", *REASONS[4:17])
EMERGENCY_REASONS = ("BreakGlass", *REASONS[17:])


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
    """Who pays how much, for which purpose and study, through which pool, and who shares in it."""

    pool: int
    funder: int
    purpose: int
    study: int
    rate: int  # smallest token units for one permitted access
    custodian: int
    custodian_bps: int
    expires_at: int
    spender: int  # 0: MedSync
    salt: int


@dataclass(frozen=True)
class ConsentTerms:
    purpose: int
    study: int  # 0: a broad consent
    categories: int
    starts_at: int
    expires_at: int
    max_uses: int  # 0: as many as the counter can hold
    scoped: bool
    reward: CampaignTerms | None
    terms_commitment: int


@dataclass(frozen=True)
class AccessRequest:
    patient: int
    purpose: int
    study: int
    categories: int
    record: int
    campaign: int  # an id; 0: none


@dataclass(frozen=True)
class Subject:
    """Whom, and which record, one request of a batch is about."""

    patient: int
    record: int


@dataclass(frozen=True)
class AccessReceipt:
    decision: str
    reason: str
    seq: int
    digest: int


@dataclass(frozen=True)
class Claim:
    """A consent whose unsettled uses somebody asks for."""

    grantee: int
    terms: CampaignTerms


@dataclass(frozen=True)
class Payee:
    """Whom the spender of a campaign pays: an `Account` or a `Key`."""

    kind: str
    value: int


@dataclass(frozen=True)
class Verdict:
    decision: str
    reason: str
    version: int
    scoped: bool


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

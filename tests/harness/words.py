"""The protocol's words as a test writes them; what they mean on-chain is asserted, not imported."""

DAY = 86_400
ADMIN_DELAY = 172_800
ADMIN_LAPSE = 1_209_600
EMERGENCY_DELAY = 172_800
PROFILE_DELAY = 86_400
JUSTIFY_WITHIN = 259_200
CLOSE_NOTICE = 604_800
CLOSE_WINDOW = 2_592_000
MAX_BATCH = 100
MAX_CLAIMS = 50
MAX_GROWTH = 2**32
BPS = 10_000
MAX_TIME = 2**40 - 1
MAX_U32 = 2**32 - 1
MAX_U64 = 2**64 - 1
MAX_U128 = 2**128 - 1
MAX_LIABILITIES = 2**123 - 1
LARGEST_FELT = 2**251 + 17 * 2**192
RESERVED_FROM = 2**32 - 2**16
ALL_CATEGORIES = 0xFFFF
GIVE, REVOKE, REFUSE = 1, 2, 4
NO_REWARD = None
BROAD = 0
"""Study of a consent that is for none in particular."""

PURPOSES = (
    *("HRESCH", "CLINTRCH", "TREAT", "BIORCH", "TRANSRCH", "DSRCH", "POARCH", "ETREAT"),
    *("CAREMGT", "HPAYMT", "HOPERAT", "HQUALIMP", "PUBHLTH", "PATRQT", "FAMRQT"),
)
"""Every purpose of consents and requests, in the order of their bits among a patient's refused ones."""

ENTITY_ROLES = ("None", "Hospital", "Researcher", "Auditor")
STATUSES = ("None", "Given", "Withdrawn", "Revoked", "Refused")
EMERGENCY_CHOICES = ("EveryHospital", "NamedHospitals", "Nobody")
CAMPAIGN_STATUSES = ("None", "Open", "Closed")
DECISIONS = ("Permit", "Deny", "NoConsent", "Emergency")
REASONS = (
    *("Granted", "BreakGlass", "EntityUnknown", "EntitySuspended", "PurposeRefused", "NeverGiven"),
    *("Refused", "Withdrawn", "Revoked", "AllRevoked", "NotStarted", "Expired", "CategoryNotCovered"),
    *("CampaignMismatch", "UsesExhausted", "RewardUnfunded", "CampaignExpired", "NotHospital"),
    *("HospitalTooNew", "EmergencyRefused"),
)

KINDS = {
    "ConsentAdded": 1,
    "ConsentRevoked": 2,
    "AllConsentsRevoked": 3,
    "ConsentRefused": 4,
    "PurposeRefused": 5,
    "PurposeAllowed": 6,
    "DelegateSet": 7,
    "DelegatesDismissed": 8,
    "EmergencyChoiceSet": 9,
    "EmergencyHospitalSet": 10,
    "SignaturesCancelled": 11,
    "AccessLogged": 32,
    "EmergencyJustified": 33,
    "EmergencyContested": 34,
    "DeletionStated": 35,
    "EntityRegistered": 64,
    "EntitySuspended": 65,
    "EntityReinstated": 66,
    "ProfileChanged": 67,
    "AdminTransferBegun": 68,
    "AdminTransferCancelled": 69,
    "AdminTransferred": 70,
    "SuccessorAnnounced": 71,
}
"""The kind code of every event that is an entry of a provable history."""


def felt(text: str) -> int:
    """A Cairo short string."""
    return int.from_bytes(text.encode("ascii"), "big")


HRESCH = felt("HRESCH")
BTG = felt("BTG")
VALID = felt("VALID")

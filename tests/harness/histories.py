"""Values that the unit tests of hashes and exports share: one patient's short, varied history."""

from medsync.log.completeness import entry_digests
from medsync.log.exports import PatientExport
from medsync.protocol.events import AllConsentsRevoked, ConsentAdded, ConsentRevoked, EventLocation, LogEntry
from medsync.protocol.felt import encode_short_string
from medsync.protocol.types import CampaignTerms, ConsentTerms, LogHead
from medsync.protocol.vocabulary import Category, Decision, Purpose, Reason

CHAIN = encode_short_string("SN_SEPOLIA")
CONTRACT = 0x6D6564
POOL = 0x706F6F6C
PATIENT = 0x7061
DELEGATE = 0x6465
RESEARCHER = 0x7265
HOSPITAL = 0x686F
FUNDER = 0x6675
START = 1_767_225_600  # 2026-01-01T00:00:00Z
DAY = 86_400

TERMS = CampaignTerms(POOL, FUNDER, Purpose.HRESCH, 10**18 + 1, HOSPITAL, 1_250, START + 90 * DAY, 0x5A17)
CONSENT_TERMS = ConsentTerms(
    Purpose.HRESCH,
    Category.LABORATORY | Category.OBSERVATION,
    START,
    START + 30 * DAY,
    5,
    None,
    0x7E245,
)


def place(block: int) -> EventLocation:
    """Where an event of that block stands; blocks come every hour."""
    return EventLocation(block, 0xABC000 + block, START + block * 3600)


CONSENTS = (
    ConsentAdded(
        PATIENT,
        RESEARCHER,
        Purpose.HRESCH,
        by=PATIENT,
        version=1,
        epoch=0,
        categories=Category.LABORATORY | Category.OBSERVATION,
        starts_at=START,
        expires_at=START + 30 * DAY,
        max_uses=5,
        campaign=TERMS.id,
        terms_commitment=0x7E245,
        location=place(1),
    ),
    ConsentAdded(
        PATIENT,
        HOSPITAL,
        Purpose.TREAT,
        by=DELEGATE,
        version=1,
        epoch=0,
        categories=Category.ALL,
        starts_at=START,
        expires_at=2**40 - 1,
        max_uses=0,
        campaign=0,
        terms_commitment=0,
        location=place(2),
    ),
    ConsentAdded(
        PATIENT,
        RESEARCHER,
        Purpose.HRESCH,
        by=PATIENT,
        version=2,
        epoch=0,
        categories=Category.LABORATORY,
        starts_at=START,
        expires_at=START + 60 * DAY,
        max_uses=0,
        campaign=0,
        terms_commitment=0x7E246,
        location=place(4),
    ),
    ConsentRevoked(PATIENT, RESEARCHER, Purpose.HRESCH, by=PATIENT, version=3, location=place(6)),
    AllConsentsRevoked(PATIENT, by=DELEGATE, epoch=1, nonce=4, location=place(8)),
)


def entry(seq: int, decision: Decision, reason: Reason, **changes: int | Purpose | Category) -> LogEntry:
    """Entry number `seq`: the researcher asking for laboratory data, unless `changes` say else."""
    values = {
        "accessor": RESEARCHER,
        "purpose": Purpose.HRESCH,
        "at": START + seq * 3600,
        "version": 1,
        "categories": Category.LABORATORY,
        "record": 0x2EC000 + seq,
        "campaign": 0,
        "justification": 0,
    } | changes
    return LogEntry(patient=PATIENT, seq=seq, decision=decision, reason=reason, location=place(seq), **values)


ENTRIES = (
    entry(1, Decision.PERMIT, Reason.GRANTED, campaign=TERMS.id),
    entry(2, Decision.DENY, Reason.CATEGORY_NOT_COVERED, categories=Category.IMAGING | Category.LABORATORY),
    entry(3, Decision.NO_CONSENT, Reason.NEVER_GIVEN, version=0, purpose=Purpose.CLINTRCH, record=0),
    entry(
        4,
        Decision.EMERGENCY,
        Reason.BREAK_GLASS,
        version=0,
        purpose=Purpose.BTG,
        accessor=HOSPITAL,
        justification=0x7E5,
        categories=Category.ALL,
    ),
    entry(5, Decision.DENY, Reason.POOL_FAILED, campaign=TERMS.id),
)
DIGESTS = entry_digests(CHAIN, CONTRACT, ENTRIES)
HEAD = LogHead(len(ENTRIES), DIGESTS[-1])
EXPORT = PatientExport(CHAIN, CONTRACT, PATIENT, HEAD, ENTRIES, CONSENTS)

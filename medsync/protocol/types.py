"""The protocol's values as frozen dataclasses: what entry points take, what views answer, what events say.

Addresses, hashes and salts are integers (felts), times are integers in unix seconds, amounts are integers in
the token's smallest unit. Constructors refuse only what calldata cannot carry and name the field; whether a
value is *allowed* is for the contracts to say, in one place, with their own error codes. Source: the structs
and events of the contracts' sources.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from medsync.protocol.felt import (
    InvalidValue,
    check_address,
    check_felt,
    check_uint,
)
from medsync.protocol.hashing import TYPE_HASHES, poseidon
from medsync.protocol.serde import encode
from medsync.protocol.vocabulary import (
    REFUSAL_BITS,
    CampaignStatus,
    Category,
    ConsentStatus,
    Decision,
    EmergencyChoice,
    PayeeKind,
    Power,
    Purpose,
    Reason,
    Role,
)

#: First second (unix) after all times that the contracts take: some time in the year 36812.
END_OF_TIME: Final = 2**40


def check_time(seconds: object, field: str) -> None:
    """Raise `InvalidValue` unless it is a time in unix seconds that the contracts take.

    The current time in milliseconds is rejected, so that a mistaken unit is noticed.
    """
    check_uint(seconds, 64, field)
    if isinstance(seconds, int) and seconds >= END_OF_TIME:
        raise InvalidValue(f"{field} must be in unix seconds: {seconds} looks like milliseconds")


def unix_seconds(moment: datetime | int) -> int:
    """`moment` in whole unix seconds, fractions cut off, as calldata carries times.

    Raises `InvalidValue` for a datetime without time zone and for moments that `check_time` refuses.
    """
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise InvalidValue("a time needs a time zone: local time means something else on every machine")
        moment = int(moment.timestamp() // 1)
    check_time(moment, "time")
    return moment


def utc_datetime(seconds: int) -> datetime:
    """The moment `seconds` after the unix epoch, as a datetime in UTC.

    Raises `InvalidValue` beyond the year 9999.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidValue(f"{seconds} s after the unix epoch is not a representable date") from error


def utc_text(seconds: int) -> str:
    """The moment `seconds` after the unix epoch in ISO 8601, as in `2026-01-31T12:00:00Z`.

    Raises `InvalidValue` beyond the year 9999.
    """
    return utc_datetime(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_purpose(value: object, field: str) -> None:
    """Raise `InvalidValue` unless `value` is a `Purpose`."""
    if not isinstance(value, Purpose):
        raise InvalidValue(f"{field} must be a Purpose, not {value!r}")


@dataclass(frozen=True, slots=True)
class CampaignTerms:
    """What one permitted access pays, to whom, out of whose money. Their hash is the campaign's id.

    >>> terms = CampaignTerms(
    ...     pool=3, funder=5, purpose=Purpose.HRESCH, study=0, rate=2 * 10**18, custodian=9,
    ...     custodian_bps=2_500, expires_at=1_798_761_600, spender=0, salt=11,
    ... )
    >>> len(terms.calldata())
    10
    """

    #: The reward pool that holds the money; only one that MedSync deployed is accepted.
    pool: int
    #: Who deposits, moves budgets and gets the rest when the campaign closes.
    funder: int
    #: Purpose that every paid access must have.
    purpose: Purpose
    #: Salted hash that names the study, as in the consent; zero for none.
    study: int
    #: Price of one permitted access, in the token's smallest unit (u128).
    rate: int
    #: Hospital that keeps the data and takes a share; zero for none.
    custodian: int
    #: The custodian's share in basis points (1/10,000) of the rate, rounded down (u16).
    custodian_bps: int
    #: Unix seconds from which nothing is paid any more.
    expires_at: int
    #: The contract that spends the campaign; zero for MedSync.
    spender: int
    #: Makes two campaigns with the same terms two campaigns.
    salt: int

    def __post_init__(self) -> None:
        check_address(self.pool, "pool")
        check_address(self.funder, "funder")
        check_purpose(self.purpose, "purpose")
        check_felt(self.study, "study")
        check_uint(self.rate, 128, "rate")
        check_address(self.custodian, "custodian")
        check_uint(self.custodian_bps, 16, "custodian_bps")
        check_uint(self.expires_at, 64, "expires_at")
        check_address(self.spender, "spender")
        check_felt(self.salt, "salt")

    @property
    def id(self) -> int:
        """The campaign's id: the SNIP-12 struct hash of these terms.

        Source: `contracts/src/campaign.cairo`.
        """
        return poseidon([TYPE_HASHES["CampaignTerms"], *self.calldata()])

    def calldata(self) -> list[int]:
        """The terms as Cairo's `Serde` writes them, one felt per field."""
        return encode(self)


@dataclass(frozen=True, slots=True)
class ConsentTerms:
    """What a patient agrees to for one grantee: purpose, study, which data, when, how often, for what pay.

    >>> terms = ConsentTerms(
    ...     purpose=Purpose.HRESCH, study=0, categories=Category.OBSERVATION | Category.LABORATORY,
    ...     starts_at=unix_seconds(datetime(2026, 1, 1, tzinfo=UTC)),
    ...     expires_at=unix_seconds(datetime(2027, 1, 1, tzinfo=UTC)),
    ...     max_uses=0, scoped=False, reward=None, terms_commitment=0xABC,
    ... )
    >>> utc_text(terms.expires_at)
    '2027-01-01T00:00:00Z'
    """

    purpose: Purpose
    #: Salted hash that names the study; zero for a broad consent. A request must name exactly this study.
    study: int
    #: Data categories the consent covers.
    categories: Category
    #: First second of the window [starts_at, expires_at), in unix seconds.
    starts_at: int
    #: First second after the window, in unix seconds.
    expires_at: int
    #: How many permitted accesses it allows (u32); zero sets no limit of its own.
    max_uses: int
    #: Whether the opening of the terms commitment narrows the consent further.
    scoped: bool
    #: The reward the patient insists on, or None for none.
    reward: CampaignTerms | None
    #: Salted commitment to everything agreed off-chain; emitted, never stored.
    terms_commitment: int

    def __post_init__(self) -> None:
        check_purpose(self.purpose, "purpose")
        check_felt(self.study, "study")
        check_uint(self.categories, 32, "categories")
        check_uint(self.starts_at, 64, "starts_at")
        check_uint(self.expires_at, 64, "expires_at")
        check_uint(self.max_uses, 32, "max_uses")
        check_felt(self.terms_commitment, "terms_commitment")

    def calldata(self) -> list[int]:
        """The terms as Cairo's `Serde` writes them."""
        return encode(self)


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent as the view `consent` answers it: what is stored, and what holds of it now."""

    #: What holds now for the campaign that was asked with, whatever the categories: `GRANTED` if the consent
    #: is live, else the first reason why it is not.
    state: Reason
    #: What is stored.
    status: ConsentStatus
    #: First second of the window, in unix seconds.
    starts_at: int
    #: First second after the window, in unix seconds.
    expires_at: int
    categories: Category
    #: Counts every change of this (patient, grantee, purpose, study) record; 0 if there never was one.
    version: int
    #: The patient's generation when it was last decided on; below the patient's floor it is revoked.
    generation: int
    #: How many permitted accesses it allows; zero sets no limit of its own.
    max_uses: int
    #: How many permitted accesses happened since it was last given. Those of a consent that insists on pay
    #: are counted for its campaign: zero unless that was asked with.
    uses: int
    #: Whether it insists on pay.
    rewarded: bool
    #: Whether the opening of its terms commitment narrows it further.
    scoped: bool
    #: Whether only delegates ever decided on it, so that a delegate may give it again.
    by_delegate: bool


@dataclass(frozen=True, slots=True)
class PatientState:
    """What the contract keeps per patient beside the consents.

    >>> state = PatientState(
    ...     generation=1, counter=1, floor=1, delegate_epoch=1, refused_purposes=0b1,
    ...     emergency=EmergencyChoice.EVERY_HOSPITAL,
    ... )
    >>> [str(purpose) for purpose in state.refused]
    ['HRESCH']
    """

    #: Messages that give a consent must name it; raised by revocations of everything, signed withdrawals and
    #: cancelled signatures. From 1.
    generation: int
    #: What the next message that gives a consent must name. From 1 in each generation.
    counter: int
    #: Consents of a generation below it are revoked.
    floor: int
    #: Delegations of an earlier epoch are dismissed.
    delegate_epoch: int
    #: Bit set of purposes refused to everyone; see `refused`.
    refused_purposes: int
    emergency: EmergencyChoice

    @property
    def refused(self) -> tuple[Purpose, ...]:
        """The purposes that the patient refuses to everyone."""
        return tuple(
            purpose for bit, purpose in enumerate(REFUSAL_BITS) if self.refused_purposes & (1 << bit)
        )


@dataclass(frozen=True, slots=True)
class Delegation:
    """What a delegate may do for a patient, and until when."""

    powers: Power
    #: Unix seconds from which the powers are gone.
    expires_at: int
    #: The patient's delegate epoch when it was set; dismissed unless it is the present one.
    epoch: int


@dataclass(frozen=True, slots=True)
class Entity:
    """A registered hospital, researcher or auditor."""

    role: Role
    suspended: bool
    #: Unix seconds of the registration; zero if it never happened.
    registered_at: int
    #: Unix seconds of the registration or the latest reinstatement.
    active_since: int
    #: Unix seconds of the registration or the latest change of the profile.
    profiled_at: int
    #: Number of the entity's latest entry in the registry's history.
    seq: int


@dataclass(frozen=True, slots=True)
class PendingAdmin:
    """The next administrator, while the hand-over waits."""

    address: int
    #: Unix seconds from which it can be accepted.
    ready_at: int
    #: Unix seconds from which it cannot be accepted any more.
    lapses_at: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What patient, consent and entity say about a use, as the view `verify_consent` answers it.

    >>> verdict = Verdict(Decision.DENY, Reason.EXPIRED, version=1, scoped=False)
    >>> verdict.reason.meaning
    "the consent's window is over"
    """

    decision: Decision
    reason: Reason
    #: Version of the record that was consulted; zero if there was none.
    version: int
    #: Whether the opening of the record's terms commitment narrows it further.
    scoped: bool


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One request for one patient's data.

    >>> request = AccessRequest(7, Purpose.HRESCH, study=0, categories=Category.OBSERVATION, record=0xABC)
    >>> [hex(felt) for felt in request.calldata()]
    ['0x7', '0x485245534348', '0x0', '0x80', '0xabc', '0x0']
    """

    patient: int
    purpose: Purpose
    #: Salted hash that names the study, exactly as in the consent; zero for a broad one.
    study: int
    #: The categories asked for; all of them must be covered by the consent.
    categories: Category
    #: Salted commitment to the record asked for; zero for no record in particular.
    record: int
    #: Id of the campaign that the consent names; zero if it names none.
    campaign: int = 0

    def __post_init__(self) -> None:
        check_address(self.patient, "patient")
        check_purpose(self.purpose, "purpose")
        check_felt(self.study, "study")
        check_uint(self.categories, 32, "categories")
        check_felt(self.record, "record")
        check_felt(self.campaign, "campaign")

    def calldata(self) -> list[int]:
        """The request as Cairo's `Serde` writes it."""
        return encode(self)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data, and which record, one request of a batch is for.

    >>> Subject(patient=7, record=0).patient
    7
    """

    patient: int
    #: Salted commitment to the record asked for; zero for no record in particular.
    record: int

    def __post_init__(self) -> None:
        check_address(self.patient, "patient")
        check_felt(self.record, "record")


@dataclass(frozen=True, slots=True)
class AccessReceipt:
    """The answer to a request, and its place in the patient's log.

    >>> receipt = AccessReceipt(Decision.PERMIT, Reason.GRANTED, seq=1, digest=0x1234)
    >>> receipt.decision is Decision.PERMIT
    True
    """

    decision: Decision
    reason: Reason
    #: Position in the patient's log, from 1.
    seq: int
    #: Digest of the entry, which was the log's head right after it.
    digest: int


@dataclass(frozen=True, slots=True)
class Head:
    """How long a provable history is and where its hash chain stands.

    >>> Head(count=0, head=0)
    Head(count=0, head=0)
    """

    count: int
    #: Digest of the last entry; zero for an empty history.
    head: int


@dataclass(frozen=True, slots=True)
class Emergency:
    """An emergency access and what became of it."""

    #: Unix seconds of the access; zero if there was none.
    at: int
    #: Whether the hospital justified it.
    justified: bool
    #: Whether the patient contested it.
    contested: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """What one accessor may spend of one campaign, and did, in uses."""

    #: Uses that are paid for and not spent.
    left: int
    #: Uses that were spent: permitted accesses.
    paid: int
    #: Unix seconds from which nothing is spent any more; zero if the budget never had anything.
    expires_at: int
    #: How many of `paid` the custodian's share was credited for.
    custodian_settled: int


@dataclass(frozen=True, slots=True)
class PaidUses:
    """What one campaign owes for one consent, in uses."""

    #: Version of the record that last named the campaign; the consent names it while the two are equal.
    version: int
    #: Permitted accesses that the campaign paid for, whatever was renewed in between.
    paid: int
    #: `paid` when the consent was last given.
    base: int
    #: How many of `paid` the patient's share was credited for.
    settled: int


@dataclass(frozen=True, slots=True)
class Campaign:
    """A reward campaign as its pool shows it."""

    id: int
    status: CampaignStatus
    #: Uses that were ever deposited for.
    granted: int
    #: Uses that were taken back and became the funder's credit.
    taken: int
    #: Uses that a spender other than MedSync spent.
    spent: int
    #: Unix seconds from which the funder may close it after notice; zero without notice.
    closing_at: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A consent, by its grantee and the campaign's terms, whose unsettled uses are asked for.

    >>> terms = CampaignTerms(
    ...     pool=3, funder=5, purpose=Purpose.HRESCH, study=0, rate=2 * 10**18, custodian=9,
    ...     custodian_bps=2_500, expires_at=1_798_761_600, spender=0, salt=11,
    ... )
    >>> Claim(grantee=7, terms=terms).terms.id == terms.id
    True
    """

    grantee: int
    terms: CampaignTerms

    def __post_init__(self) -> None:
        check_address(self.grantee, "grantee")


@dataclass(frozen=True, slots=True)
class Payee:
    """Whom the spender of a campaign pays: an account's address, or a key's x coordinate.

    >>> Payee(PayeeKind.KEY, 0xABC).kind.name
    'KEY'
    """

    kind: PayeeKind
    value: int

    def __post_init__(self) -> None:
        check_felt(self.value, "payee")


@dataclass(frozen=True, slots=True)
class KeyCredit:
    """What a pool owes to the holder of a key, in the token's smallest unit."""

    claimable: int
    #: What the next signature that draws must name.
    nonce: int


@dataclass(frozen=True, slots=True)
class AnchorNode:
    """A private node that may attest, as `PrivateAnchor` has it registered."""

    #: Public key (x coordinate) by which statements are signed.
    stark_key: int
    #: Hash of the node's kind and ed25519 key, see `medsync.protocol.anchor.node_identity`.
    identity: int

    def __post_init__(self) -> None:
        check_felt(self.stark_key, "stark_key")
        check_felt(self.identity, "identity")

    def calldata(self) -> list[int]:
        """The node as Cairo's `Serde` writes it."""
        return encode(self)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a quorum of nodes attests: at this size their log has this root, and they have this state."""

    #: Number of leaves.
    size: int
    root: int
    #: Digest of the nodes' replicated state, see `medsync.protocol.anchor.state_digest`.
    state: int
    #: The epoch in which it is signed.
    epoch: int
    #: Commitment to whatever else the nodes attest with this root; zero for nothing.
    commitment: int = 0

    def __post_init__(self) -> None:
        check_uint(self.size, 64, "size")
        check_felt(self.root, "root")
        check_felt(self.state, "state")
        check_uint(self.epoch, 32, "epoch")
        check_felt(self.commitment, "commitment")

    def calldata(self) -> list[int]:
        """The statement as Cairo's `Serde` writes it."""
        return encode(self)


@dataclass(frozen=True, slots=True)
class NodeSignature:
    """A registered node's signature (ECDSA on the STARK curve)."""

    #: The node's index.
    node: int
    r: int
    s: int

    def __post_init__(self) -> None:
        check_uint(self.node, 8, "node")
        check_felt(self.r, "r")
        check_felt(self.s, "s")

    def calldata(self) -> list[int]:
        """The signature as Cairo's `Serde` writes it."""
        return encode(self)


@dataclass(frozen=True, slots=True)
class AnchorHead:
    """How far a private log is anchored, and who may go on."""

    #: Number of leaves.
    size: int
    #: Zero for the empty log.
    root: int
    #: How often the nodes were replaced.
    epoch: int
    #: How many nodes must sign.
    threshold: int
    #: How many nodes there are.
    nodes: int
    #: Unix seconds of the last anchor; zero before the first.
    anchored_at: int

"""The protocol's vocabulary as enums: purposes, data categories, roles, decisions, reasons and states.

Members have the order of the contracts' enums, so an index read from the chain identifies the member.
`markdown_table` renders the published table of an enum, so that documents never contain a copy made by hand.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum, IntFlag, StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

from medsync.protocol.felt import InvalidValue, decode_short_string, encode_short_string

#: URI of the code system of purposes. Source: HL7 Terminology, v3-ActReason.
ACT_REASON_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

#: URI of LOINC, whose document codes name the six EHDS groups.
LOINC_SYSTEM: Final = "http://loinc.org"


class Purpose(StrEnum):
    """What data is used for: an HL7 v3-ActReason code. Purposes match exactly; no purpose includes another.

    The contracts store the code as a short string (`felt`); `display` is HL7's display name.

    >>> Purpose.HRESCH.display, hex(Purpose.HRESCH.felt)
    ('healthcare research', '0x485245534348')
    >>> Purpose.from_felt(0x485245534348) is Purpose.HRESCH
    True
    """

    display: str

    def __new__(cls, code: str, display: str = "") -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.display = display
        return member

    TREAT = "TREAT", "treatment"
    ETREAT = "ETREAT", "Emergency Treatment"
    BTG = "BTG", "break the glass"
    CAREMGT = "CAREMGT", "care management"
    HPAYMT = "HPAYMT", "healthcare payment"
    HOPERAT = "HOPERAT", "healthcare operations"
    HQUALIMP = "HQUALIMP", "health quality improvement"
    PUBHLTH = "PUBHLTH", "public health"
    HRESCH = "HRESCH", "healthcare research"
    CLINTRCH = "CLINTRCH", "clinical trial research"
    BIORCH = "BIORCH", "biomedical research"
    TRANSRCH = "TRANSRCH", "translational healthcare research"
    DSRCH = "DSRCH", "disease specific healthcare research"
    POARCH = "POARCH", "population origins or ancestry healthcare research"
    PATRQT = "PATRQT", "patient requested"
    FAMRQT = "FAMRQT", "family requested"

    @property
    def is_consentable(self) -> bool:
        """Whether a consent or a request can have this purpose: all but `BTG`, that of emergencies."""
        return self is not Purpose.BTG

    @property
    def felt(self) -> int:
        """The purpose as the contracts store it: its code as a short string."""
        return encode_short_string(self.value)

    @classmethod
    def from_felt(cls, felt: int) -> Self:
        """The purpose with that short string. Raises `InvalidValue` if the felt is not a known purpose."""
        try:
            return cls(decode_short_string(felt))
        except ValueError as error:
            raise InvalidValue(f"{hex(felt)} is not a purpose that MedSync knows") from error


class Category(IntFlag):
    """A set of data categories: one bit each in a `u32`. No bit names a sensitive diagnosis.

    Bits 0 to 5 are the six priority categories of Article 14 of the European Health Data Space regulation
    (EU) 2025/327, bits 6 to 15 are groups of FHIR resource types. The contracts accept non-empty subsets of
    `ALL`.

    >>> (Category.IMAGING | Category.LABORATORY).names
    ('IMAGING', 'LABORATORY')
    >>> int(Category.from_names(["IMAGING", "LABORATORY"]))
    24
    """

    PATIENT_SUMMARY = 1 << 0
    E_PRESCRIPTION = 1 << 1
    E_DISPENSATION = 1 << 2
    IMAGING = 1 << 3
    LABORATORY = 1 << 4
    DISCHARGE_REPORT = 1 << 5
    CONDITION = 1 << 6
    OBSERVATION = 1 << 7
    MEDICATION = 1 << 8
    DIAGNOSTIC_REPORT = 1 << 9
    ALLERGY = 1 << 10
    IMMUNIZATION = 1 << 11
    PROCEDURE = 1 << 12
    GENOMICS = 1 << 13
    DOCUMENT = 1 << 14
    ENCOUNTER = 1 << 15
    ALL = (1 << 16) - 1

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the categories in the set, lowest bit first.

        Raises `InvalidValue` if the set has a bit that is not a published category.
        """
        if int(self) & ~int(Category.ALL):
            raise InvalidValue(f"{int(self):#x} has a bit that is not a published category")
        return tuple(str(category.name) for category in self)

    @classmethod
    def from_names(cls, names: Iterable[str]) -> Self:
        """The set of the named categories. Without names, the set is empty.

        Raises `InvalidValue` for an unknown name.
        """
        members = cls.__members__
        value = cls(0)
        for name in names:
            if name not in members:
                raise InvalidValue(
                    f"{name!r} is not a data category; the categories are {', '.join(members)}"
                )
            value |= members[name]
        return value


#: Names that Article 14(1) of regulation (EU) 2025/327 gives the six priority categories.
EHDS_GROUPS: Final[Mapping[Category, str]] = MappingProxyType(
    {
        Category.PATIENT_SUMMARY: "patient summaries",
        Category.E_PRESCRIPTION: "electronic prescriptions",
        Category.E_DISPENSATION: "electronic dispensations",
        Category.IMAGING: "medical imaging studies and related imaging reports",
        Category.LABORATORY: (
            "medical test results, including laboratory and other diagnostic results and related reports"
        ),
        Category.DISCHARGE_REPORT: "discharge reports",
    }
)

#: LOINC code and display name of the document type that represents an EHDS group.
DOCUMENT_TYPES: Final[Mapping[Category, tuple[str, str]]] = MappingProxyType(
    {
        Category.PATIENT_SUMMARY: ("60591-5", "Patient summary Document"),
        Category.E_PRESCRIPTION: ("57833-6", "Prescription for medication"),
        Category.E_DISPENSATION: ("60593-1", "Medication dispensed.extended Document"),
        Category.IMAGING: ("18748-4", "Diagnostic imaging study"),
        Category.LABORATORY: ("11502-2", "Laboratory report"),
        Category.DISCHARGE_REPORT: ("18842-5", "Discharge summary"),
    }
)

#: The category of a FHIR R5 resource type. Documents (`Composition`, `DocumentReference`) are distinguished
#: further by their type code: see `category_of`.
FHIR_CATEGORIES: Final[Mapping[str, Category]] = MappingProxyType(
    {
        "Patient": Category.PATIENT_SUMMARY,
        "ImagingStudy": Category.IMAGING,
        "ImagingSelection": Category.IMAGING,
        "Specimen": Category.LABORATORY,
        "Condition": Category.CONDITION,
        "Observation": Category.OBSERVATION,
        "Medication": Category.MEDICATION,
        "MedicationAdministration": Category.MEDICATION,
        "MedicationDispense": Category.E_DISPENSATION,
        "MedicationRequest": Category.E_PRESCRIPTION,
        "MedicationStatement": Category.MEDICATION,
        "DiagnosticReport": Category.DIAGNOSTIC_REPORT,
        "AllergyIntolerance": Category.ALLERGY,
        "Immunization": Category.IMMUNIZATION,
        "Procedure": Category.PROCEDURE,
        "GenomicStudy": Category.GENOMICS,
        "MolecularSequence": Category.GENOMICS,
        "Composition": Category.DOCUMENT,
        "DocumentReference": Category.DOCUMENT,
        "Encounter": Category.ENCOUNTER,
    }
)


def category_of(resource: Mapping[str, Any]) -> Category:
    """The category of a FHIR R5 resource given as parsed JSON.

    A `Composition` or `DocumentReference` whose type has one of the LOINC codes in `DOCUMENT_TYPES` belongs
    to that EHDS group; all other resources are classified by their resource type. Raises `InvalidValue` for a
    type without a category.
    """
    resource_type = resource.get("resourceType")
    category = FHIR_CATEGORIES.get(resource_type) if isinstance(resource_type, str) else None
    if category is None:
        raise InvalidValue(f"the FHIR resource type {resource_type!r} has no data category")
    if category is Category.DOCUMENT:
        codings = (resource.get("type") or {}).get("coding") or []
        codes = {coding.get("code") for coding in codings if coding.get("system") == LOINC_SYSTEM}
        for group, (code, _) in DOCUMENT_TYPES.items():
            if code in codes:
                return group
    return category


class _ContractEnum(IntEnum):
    """An enum of the contracts: the value is the variant's index, `meaning` describes it."""

    meaning: str

    def __new__(cls, index: int, meaning: str) -> Self:
        member = int.__new__(cls, index)
        member._value_ = index
        member.meaning = meaning
        return member

    @property
    def variant(self) -> str:
        """The variant's name in Cairo and in the ABI, e.g. `NoConsent` for `NO_CONSENT`."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    @classmethod
    def from_variant(cls, variant: str) -> Self:
        """The member of that Cairo variant. Raises `InvalidValue` for an unknown variant."""
        for member in cls:
            if member.variant == variant:
                return member
        raise InvalidValue(f"{cls.__name__} has no variant {variant!r}")


#: The purposes that a patient can refuse to everyone, in the order of the bits of
#: `PatientState.refused_purposes`.
REFUSAL_BITS: Final = (
    *(Purpose.HRESCH, Purpose.CLINTRCH, Purpose.TREAT, Purpose.BIORCH, Purpose.TRANSRCH),
    *(Purpose.DSRCH, Purpose.POARCH, Purpose.ETREAT, Purpose.CAREMGT, Purpose.HPAYMT),
    *(Purpose.HOPERAT, Purpose.HQUALIMP, Purpose.PUBHLTH, Purpose.PATRQT, Purpose.FAMRQT),
)


class Role(_ContractEnum):
    """The role of a registered entity.

    >>> Role.HOSPITAL.variant, Role.from_variant("Auditor").value
    ('Hospital', 3)
    """

    NONE = 0, "never registered"
    HOSPITAL = 1, "keeps data and treats patients; the only role that may break the glass"
    RESEARCHER = 2, "uses data for research"
    AUDITOR = 3, "reviews the accesses of others"


class Decision(_ContractEnum):
    """The answer to "may this be used?".

    >>> Decision(1).name, Decision.NO_CONSENT.variant
    ('DENY', 'NoConsent')
    """

    PERMIT = 0, "yes: a live consent covers it"
    DENY = 1, "no: a rule or a decision forbids it"
    NO_CONSENT = 2, "no: the patient has never decided about it"
    EMERGENCY = 3, "released without consent by breaking the glass"


class Reason(_ContractEnum):
    """The reason for a decision. After the first two, the order is the order of the checks: the first reason
    that applies decides. The index is part of the log's hash, so the order never changes.

    >>> Reason.EXPIRED.value, Reason.EXPIRED.meaning
    (11, "the consent's window is over")
    """

    GRANTED = 0, "a live consent covers the request, and where it asks for pay the pay is reserved"
    BREAK_GLASS = 1, "a hospital broke the glass"
    ENTITY_UNKNOWN = 2, "the grantee was never registered; a request reverts"
    ENTITY_SUSPENDED = 3, "the entity is suspended; a request reverts"
    PURPOSE_REFUSED = 4, "the patient refuses everyone for this purpose"
    NEVER_GIVEN = 5, "no consent was ever given for this patient, grantee, purpose and study"
    REFUSED = 6, "the patient, or a delegate, refused this grantee"
    WITHDRAWN = 7, "the patient withdrew the consent"
    REVOKED = 8, "a delegate revoked the consent for the patient"
    ALL_REVOKED = 9, "the consent was given before the patient's latest revocation of everything"
    NOT_STARTED = 10, "the consent's window has not begun"
    EXPIRED = 11, "the consent's window is over"
    CATEGORY_NOT_COVERED = 12, "the consent does not cover every requested category"
    CAMPAIGN_MISMATCH = 13, "the request names another campaign than the consent"
    USES_EXHAUSTED = 14, "the consent's last permitted use is consumed"
    REWARD_UNFUNDED = 15, "the accessor's budget of the campaign has nothing left"
    CAMPAIGN_EXPIRED = 16, "the campaign's terms have expired"
    NOT_HOSPITAL = 17, "only hospitals may break the glass"
    HOSPITAL_TOO_NEW = 18, "the hospital was registered or reinstated less than 48 hours ago"
    EMERGENCY_REFUSED = 19, "the patient does not let this hospital break the glass"


class ConsentStatus(_ContractEnum):
    """The status of a consent, in the terms of the W3C Data Privacy Vocabulary: withdrawn by the patient,
    revoked by someone else.

    >>> ConsentStatus.WITHDRAWN.value, ConsentStatus.WITHDRAWN.meaning
    (2, 'withdrawn by the patient')
    """

    NONE = 0, "never decided on"
    GIVEN = 1, "given by the patient or for the patient"
    WITHDRAWN = 2, "withdrawn by the patient"
    REVOKED = 3, "revoked by a delegate"
    REFUSED = 4, "refused by the patient or a delegate"


class EmergencyChoice(_ContractEnum):
    """Whom a patient lets break the glass.

    >>> EmergencyChoice.NAMED_HOSPITALS.variant
    'NamedHospitals'
    """

    EVERY_HOSPITAL = 0, "every hospital that the patient did not forbid it"
    NAMED_HOSPITALS = 1, "only the hospitals that the patient named"
    NOBODY = 2, "nobody"


class PayeeKind(_ContractEnum):
    """Whom the spender of a campaign pays.

    >>> PayeeKind.ACCOUNT.variant
    'Account'
    """

    ACCOUNT = 0, "an account, by its address"
    KEY = 1, "the holder of a key on the STARK curve, by its x coordinate"


class CampaignStatus(_ContractEnum):
    """The status of a campaign in its pool."""

    NONE = 0, "never funded"
    OPEN = 1, "funded once and not closed"
    CLOSED = 2, "closed; the funder's own budget became its credit"


class Power(IntFlag):
    """What a delegate may do for a patient: bits of a `u8`. Setting no power removes the delegate.

    >>> int(Power.GIVE | Power.REVOKE)
    3
    """

    GIVE = 1
    REVOKE = 2
    REFUSE = 4


_POWER_MEANINGS: Final[Mapping[Power, str]] = MappingProxyType(
    {
        Power.GIVE: "give and renew consents",
        Power.REVOKE: "revoke one consent or all of them",
        Power.REFUSE: "refuse requests",
    }
)


def markdown_table(words: type[Purpose] | type[Category] | type[Power] | type[_ContractEnum]) -> str:
    """Render the published table of an enum as Markdown, with a heading row and a final newline."""
    rows: list[tuple[str, ...]]
    if issubclass(words, Purpose):
        rows = [("Code", "Display name", "Felt")]
        rows += [(f"`{purpose}`", purpose.display, f"`{purpose.felt:#x}`") for purpose in words]
    elif issubclass(words, Category):
        rows = [("Bit", "Name", "EHDS Art. 14 group", "Document type (LOINC)", "FHIR R5 resource types")]
        rows += [_category_row(category) for category in words]
    elif issubclass(words, Power):
        rows = [("Value", "Name", "Allows to")]
        rows += [(str(power.value), f"`{power.name}`", _POWER_MEANINGS[power]) for power in words]
    else:
        rows = [("Index", "Variant", "Meaning")]
        rows += [(str(member.value), f"`{member.variant}`", member.meaning) for member in words]
    rows.insert(1, ("---",) * len(rows[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _category_row(category: Category) -> tuple[str, ...]:
    document = DOCUMENT_TYPES.get(category)
    return (
        str(category.bit_length() - 1),
        f"`{category.name}`",
        EHDS_GROUPS.get(category, ""),
        f"`{document[0]}` {document[1]}" if document else "",
        ", ".join(f"`{name}`" for name, owner in FHIR_CATEGORIES.items() if owner is category),
    )

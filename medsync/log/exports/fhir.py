"""A patient's consents and access log as FHIR R5: a Bundle of `Consent` and `AuditEvent` resources.

Codes follow HL7 and DICOM as IHE's Basic Audit Log Patterns (BALP) use them: an access decision is a
Security Alert (DCM 110113) of the kind AuthZ-Consent, an emergency one the start of an Emergency Override
(DCM 110127); what was said later about an emergency names that event. BALP requires agents that a contract
does not know (such as the client's network address), so `meta.profile` names no profile. Every party is an
address: patients and organisations are references by identifier. A study is known by its salted hash, as the
identifier of a ResearchStudy in HL7's extension for consents.

A refusal, of one grantee or of everyone for a purpose, is a `Consent` whose decision is deny. A FHIR period
includes its last second, so `period.end` is `expires_at` minus one second. It is omitted if it is after the
year 9999, which FHIR cannot express.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, cast
from uuid import UUID, uuid5

from fhir.resources.bundle import Bundle

from medsync.log.exports import (
    ConsentRefusal,
    ConsentState,
    GivenConsent,
    check_proven,
    check_whole,
    given_consents,
    refusals,
)
from medsync.log.histories import PatientHistory
from medsync.protocol.chains import entry_digests
from medsync.protocol.events import (
    AccessEvent,
    ConsentRefused,
    DeletionStated,
    EmergencyContested,
    EmergencyJustified,
    LogEntry,
)
from medsync.protocol.felt import InvalidValue, decode_short_string
from medsync.protocol.fhir import parse_resource
from medsync.protocol.types import utc_datetime, utc_text
from medsync.protocol.vocabulary import (
    ACT_REASON_SYSTEM,
    DOCUMENT_TYPES,
    FHIR_CATEGORIES,
    LOINC_SYSTEM,
    Category,
    Decision,
    Purpose,
)

#: URI of DICOM's code system.
DICOM_SYSTEM: Final = "http://dicom.nema.org/resources/ontology/DCM"
#: URI of BALP's kinds of authorisation decisions.
BALP_SYSTEM: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType"
#: URI of the W3C Data Privacy Vocabulary, whose consent statuses are used as tags.
DPV_SYSTEM: Final = "https://w3id.org/dpv"
#: URI of the events in the life of a record (ISO 21089).
LIFECYCLE_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
#: URL of HL7's extension that names the study a provision is about.
STUDY_EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/consent-ResearchStudyContext"
#: Prefix of the URIs of MedSync's identifiers and codes.
OWN_SYSTEM: Final = "urn:x-medsync:"

_HL7: Final = "http://terminology.hl7.org/CodeSystem/"
#: Resource ids are derived from the content, so that equal exports give equal bundles.
_NAMESPACE: Final = UUID("6d656473-796e-4363-8000-666869720001")

_STATUS_TAGS: Final[Mapping[ConsentState, str]] = {
    ConsentState.GIVEN: "ConsentGiven",
    ConsentState.WITHDRAWN: "ConsentWithdrawn",
    ConsentState.REVOKED: "ConsentRevoked",
    ConsentState.REFUSED: "ConsentRefused",
    ConsentState.EXPIRED: "ConsentExpired",
}


def audit_outcome(decision: Decision) -> tuple[str, str]:
    """Code and display name of an access decision in HL7's audit-event-outcome.

    Success (0) for a release; minor failure (4) if the patient was never asked, which a request can change;
    serious failure (8) for a refusal, as in BALP's example.
    """
    if decision in (Decision.PERMIT, Decision.EMERGENCY):
        return "0", "Success"
    return ("4", "Minor failure") if decision is Decision.NO_CONSENT else ("8", "Serious failure")


def to_bundle(patient: PatientHistory, as_of: int, *, test_data: bool = False) -> Bundle:
    """Convert a patient's histories to a validated FHIR R5 collection.

    It contains one `Consent` per version that was given and per refusal, and one `AuditEvent` per entry of
    the access log. Consents have their status at the unix second `as_of`, which is also the bundle's
    timestamp; its identifier names the block that the histories stand at, and what held after it they do not
    say. `test_data` labels every resource HTEST (test health data). Raises `VerificationError` if the entries
    are not the whole histories, `InvalidValue` for histories that continue from a checkpoint.
    """
    check_whole(patient)
    check_proven(patient)
    events = patient.consents.entries
    resources = [_consent(patient, given, as_of) for given in given_consents(events)]
    resources += [_refusal(patient, refusal) for refusal in refusals(events)]
    exported = {resource["id"] for resource in resources}
    entries = patient.accesses.entries
    digests = entry_digests(patient.chain_id, patient.contract, entries)
    resources += [_audit_event(patient, entry, digests, exported) for entry in entries]
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "collection",
        "identifier": _identifier("block", f"{patient.block.number}:{patient.block.hash:#x}"),
        "timestamp": utc_text(as_of),
        "entry": [{"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource} for resource in resources],
    }
    if test_data:
        for resource in (bundle, *resources):
            label = _coding(ACT_REASON_SYSTEM, "HTEST", "test health data")
            resource.setdefault("meta", {})["security"] = [label]
    return cast(Bundle, parse_resource(bundle, "export"))


def dumps(patient: PatientHistory, as_of: int, *, test_data: bool = False) -> str:
    """Convert histories to FHIR JSON as in `to_bundle` (indented by two spaces, with a final newline)."""
    return str(to_bundle(patient, as_of, test_data=test_data).model_dump_json(indent=2)) + "\n"


# --- consents ---


def _consent(patient: PatientHistory, given: GivenConsent, as_of: int) -> dict[str, Any]:
    added, state = given.added, given.state(as_of)
    resource = _decision(
        patient,
        (added.grantee, added.purpose, added.study, added.version),
        decision="permit",
        is_active=state is ConsentState.GIVEN,
        by=added.by,
        at=added.at,
    )
    resource["period"] = _period(added.starts_at, added.expires_at)
    resource["provision"][0] |= _scope(added.categories)
    resource["extension"] = [{"url": f"{OWN_SYSTEM}max-uses", "valueString": str(added.max_uses)}]
    if added.scoped:
        resource["extension"].append({"url": f"{OWN_SYSTEM}scoped", "valueBoolean": True})
    if added.campaign:
        resource["extension"].append({"url": f"{OWN_SYSTEM}campaign", "valueString": hex(added.campaign)})
    if state in _STATUS_TAGS:
        resource["meta"] = {"tag": [_coding(DPV_SYSTEM, _STATUS_TAGS[state])]}
    if added.terms_commitment:
        terms = _identifier("terms-commitment", hex(added.terms_commitment))
        resource["sourceReference"] = [{"type": "DocumentReference", "identifier": terms}]
    return resource


def _refusal(patient: PatientHistory, refusal: ConsentRefusal) -> dict[str, Any]:
    refused = refusal.refused
    if isinstance(refused, ConsentRefused):
        what = (refused.grantee, refused.purpose, refused.study, refused.version)
        by = refused.by
    else:
        what, by = (0, refused.purpose, 0, refused.seq), refused.patient
    resource = _decision(
        patient, what, decision="deny", is_active=refusal.lifted is None, by=by, at=refused.at
    )
    resource["meta"] = {"tag": [_coding(DPV_SYSTEM, "ConsentRefused")]}
    return resource


def _decision(
    patient: PatientHistory,
    what: tuple[int, Purpose, int, int],
    *,
    decision: str,
    is_active: bool,
    by: int,
    at: int,
) -> dict[str, Any]:
    """What consents and refusals share. `what` is grantee (zero for everyone), purpose, study, number."""
    grantee, purpose, study, number = what
    subject = _party(patient, "Patient", patient.patient)
    provision: dict[str, Any] = {
        "action": [_concept(f"{_HL7}consentaction", "access", "Access")],
        "purpose": [_purpose(purpose)],
    }
    value = f"{_chain(patient)}:{patient.contract:#x}:{patient.patient:#x}:{grantee:#x}:{purpose}:{study:#x}"
    resource: dict[str, Any] = {
        "resourceType": "Consent",
        "id": _consent_id(patient, *what),
        "identifier": [_identifier("consent" if grantee else "refused-purpose", f"{value}:{number}")],
        "status": "active" if is_active else "inactive",
        "category": [_concept(LOINC_SYSTEM, "59284-0", "Consent Document")],
        "subject": subject,
        "date": utc_datetime(at).date().isoformat(),
        "grantor": [subject if by == patient.patient else _party(patient, "RelatedPerson", by)],
        "decision": decision,
        "provision": [provision],
    }
    if grantee:
        recipient = _party(patient, "Organization", grantee)
        role = _concept(f"{_HL7}v3-ParticipationType", "IRCP", "information recipient")
        resource["grantee"] = [recipient]
        provision["actor"] = [{"role": role, "reference": recipient}]
    if study:
        provision["extension"] = [{"url": STUDY_EXTENSION, "valueReference": _study(study)}]
    return resource


# --- accesses ---


def _audit_event(
    patient: PatientHistory, entry: AccessEvent, digests: list[int], exported: set[str]
) -> dict[str, Any]:
    contract = _party(patient, "Device", patient.contract)
    subject = _party(patient, "Patient", patient.patient)
    # A contest is the patient's own act; everything else is done by the entity.
    contested = isinstance(entry, EmergencyContested)
    actor = subject if contested else _party(patient, "Organization", entry.accessor)
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": _event_id(patient, digests[entry.seq - 1]),
        "category": [_concept(DICOM_SYSTEM, "110113", "Security Alert")],
        "action": "E",
        "severity": "notice",
        "recorded": utc_text(entry.at),
        "outcome": {"code": _coding(f"{_HL7}audit-event-outcome", "0", "Success")},
        "patient": subject,
        "agent": [
            {
                "type": _concept(f"{_HL7}v3-ParticipationType", "AUT", "author (originator)")
                if contested
                else _concept(f"{_HL7}v3-ParticipationType", "IRCP", "information recipient"),
                "who": actor,
                "requestor": True,
            },
            {
                "type": _concept(f"{_HL7}extra-security-role-type", "authserver", "Authorization Server"),
                "who": contract,
                "requestor": False,
            },
        ],
        "source": {
            "observer": contract,
            "type": [_concept(f"{_HL7}security-source-type", "6", "Security Server")],
        },
    }
    entities: list[dict[str, Any]] = [
        {"what": subject, "role": _concept(f"{_HL7}object-role", "1", "Patient")}
    ]
    details = {"seq": str(entry.seq)}
    match entry:
        case LogEntry():
            details["categories"] = " ".join(entry.categories.names)
            details |= {"campaign": hex(entry.campaign)} if entry.campaign else {}
            details |= {"study": hex(entry.study)} if entry.study else {}
            details |= {"scoped": "true"} if entry.scoped else {}
            details["registration"] = str(entry.registration)
            event |= _access(entry)
            entities += _consulted(patient, entry, exported)
            if entry.record:
                entities.append(
                    _resource({"identifier": _identifier("record-commitment", hex(entry.record))})
                )
        case EmergencyJustified() | EmergencyContested():
            justified = isinstance(entry, EmergencyJustified)
            display = "Emergency access justified" if justified else "Emergency access contested"
            name = "EmergencyJustified" if justified else "EmergencyContested"
            event["code"] = _concept(f"{OWN_SYSTEM}event", name, display)
            event["severity"] = "notice" if justified else "alert"
            about = _event_id(patient, digests[entry.emergency - 1])
            entities.append(_resource({"type": "AuditEvent", "reference": f"urn:uuid:{about}"}))
            details["emergency"] = str(entry.emergency)
            if isinstance(entry, EmergencyJustified):
                details["statement"] = hex(entry.statement)
        case DeletionStated():
            event["category"] = [
                _concept(LIFECYCLE_SYSTEM, "destroy", "Destroy/Delete Record Lifecycle Event")
            ]
            event["code"] = _concept(f"{OWN_SYSTEM}event", "DeletionStated", "Deletion stated, not proven")
            event["action"] = "D"
            event["authorization"] = [{"coding": [_purpose(entry.purpose)]}]
            entities += _consulted(patient, entry, exported)
            details |= {"study": hex(entry.study)} if entry.study else {}
            details["registration"] = str(entry.registration)
            details["statement"] = hex(entry.statement)
    entities.append(
        {
            "what": {"identifier": _identifier("log-digest", hex(digests[entry.seq - 1]))},
            "role": _concept(f"{_HL7}object-role", "13", "Security Resource"),
            "detail": [
                {"type": _concept(f"{OWN_SYSTEM}log", name), "valueString": value}
                for name, value in details.items()
            ],
        }
    )
    if "authorization" in event:
        event["agent"][0]["authorization"] = event["authorization"]
    return event | {"entity": entities}


def _access(entry: LogEntry) -> dict[str, Any]:
    """What the decision about an access makes of its audit event."""
    outcome, display = audit_outcome(entry.decision)
    severity = {Decision.PERMIT: "informational", Decision.EMERGENCY: "alert"}.get(entry.decision, "notice")
    return {
        "code": _concept(DICOM_SYSTEM, "110127", "Emergency Override Started")
        if entry.decision is Decision.EMERGENCY
        else _concept(BALP_SYSTEM, "AuthZ-Consent", "Authorization Decision using Roles and Consent"),
        "severity": severity,
        "outcome": {
            "code": _coding(f"{_HL7}audit-event-outcome", outcome, display),
            "detail": [
                _concept(f"{OWN_SYSTEM}decision", entry.decision.name, entry.decision.meaning),
                _concept(f"{OWN_SYSTEM}reason", entry.reason.name, entry.reason.meaning),
            ],
        },
        "authorization": [{"coding": [_purpose(entry.purpose)]}],
    }


def _consulted(
    patient: PatientHistory, entry: LogEntry | DeletionStated, exported: set[str]
) -> list[dict[str, Any]]:
    """The version of the consent that an entry names, as a reference if it is in the bundle. What was said
    about emergencies is not a consent."""
    if not entry.version or entry.purpose is Purpose.BTG:
        return []
    what = entry.accessor, entry.purpose, entry.study, entry.version
    value = f"{entry.accessor:#x}:{entry.purpose}:{entry.study:#x}:{entry.version}"
    named: dict[str, Any] = {"type": "Consent", "identifier": _identifier("consent-version", value)}
    consent_id = _consent_id(patient, *what)
    if consent_id in exported:
        named["reference"] = f"urn:uuid:{consent_id}"
    return [_resource(named)]


def _resource(what: dict[str, Any]) -> dict[str, Any]:
    return {"what": what, "role": _concept(f"{_HL7}object-role", "4", "Domain Resource")}


def _scope(categories: Category) -> dict[str, Any]:
    """A consent's categories as FHIR resource types and, for the EHDS groups, document types."""
    types = [
        _coding("http://hl7.org/fhir/fhir-types", name, name)
        for name, category in FHIR_CATEGORIES.items()
        if category in categories
    ]
    documents = [
        _coding(LOINC_SYSTEM, code, display)
        for category, (code, display) in DOCUMENT_TYPES.items()
        if category in categories
    ]
    scope = {"resourceType": types, "documentType": documents}
    return {name: codings for name, codings in scope.items() if codings}


def _period(starts_at: int, expires_at: int) -> dict[str, str]:
    period = {"start": utc_text(starts_at)}
    with suppress(InvalidValue):
        period["end"] = utc_text(expires_at - 1)
    return period


def _consent_id(patient: PatientHistory, grantee: int, purpose: Purpose, study: int, number: int) -> str:
    target = f"{patient.patient:#x}/{grantee:#x}/{purpose}/{study:#x}/{number}"
    return str(uuid5(_NAMESPACE, f"{_chain(patient)}/{patient.contract:#x}/{target}"))


def _event_id(patient: PatientHistory, digest: int) -> str:
    return str(uuid5(_NAMESPACE, f"{_chain(patient)}/{patient.contract:#x}/{digest:#x}"))


def _study(study: int) -> dict[str, Any]:
    return {"type": "ResearchStudy", "identifier": _identifier("study", hex(study))}


def _party(patient: PatientHistory, resource_type: str, address: int) -> dict[str, Any]:
    return {"type": resource_type, "identifier": _identifier(f"address:{_chain(patient)}", hex(address))}


def _identifier(kind: str, value: str) -> dict[str, str]:
    return {"system": OWN_SYSTEM + kind, "value": value}


def _chain(patient: PatientHistory) -> str:
    return decode_short_string(patient.chain_id)


def _purpose(purpose: Purpose) -> dict[str, str]:
    return _coding(ACT_REASON_SYSTEM, purpose.value, purpose.display)


def _concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    return {"coding": [_coding(system, code, display)]}


def _coding(system: str, code: str, display: str = "") -> dict[str, str]:
    coding = {"system": system, "code": code}
    return coding | {"display": display} if display else coding

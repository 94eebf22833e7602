"""A patient's consents and access log as FHIR R5: a Bundle of `Consent` and `AuditEvent` resources.

Codes follow HL7 and DICOM as IHE's Basic Audit Log Patterns (BALP) use them: an access decision is a
Security Alert (DCM 110113) of the kind AuthZ-Consent, an emergency one the start of an Emergency Override
(DCM 110127). BALP requires agents that a contract does not know (such as the client's network address), so
`meta.profile` names no profile. Every party is an address: patients and organisations are references by
identifier.

A FHIR period includes its last second, so `period.end` is `expires_at` minus one second. It is
omitted if it is after the year 9999, which FHIR cannot express.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, cast
from uuid import UUID, uuid5

from fhir.resources.bundle import Bundle

from medsync.errors import VerificationError
from medsync.log.completeness import entry_digests
from medsync.log.exports import ConsentState, GivenConsent, PatientExport, given_consents
from medsync.protocol.events import LogEntry
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
    Reason,
)

#: URI of DICOM's code system.
DICOM_SYSTEM: Final = "http://dicom.nema.org/resources/ontology/DCM"
#: URI of BALP's kinds of authorisation decisions.
BALP_SYSTEM: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType"
#: URI of the W3C Data Privacy Vocabulary, whose consent statuses are used as tags.
DPV_SYSTEM: Final = "https://w3id.org/dpv"
#: Prefix of the URIs of MedSync's identifiers and codes.
OWN_SYSTEM: Final = "urn:x-medsync:"

_HL7: Final = "http://terminology.hl7.org/CodeSystem/"
#: Resource ids are derived from the content, so that equal exports give equal bundles.
_NAMESPACE: Final = UUID("6d656473-796e-4363-8000-666869720001")

_STATUS_TAGS: Final[Mapping[ConsentState, str]] = {
    ConsentState.GIVEN: "ConsentGiven",
    ConsentState.WITHDRAWN: "ConsentWithdrawn",
    ConsentState.REVOKED: "ConsentRevoked",
    ConsentState.EXPIRED: "ConsentExpired",
}


def audit_outcome(decision: Decision, reason: Reason) -> tuple[str, str]:
    """Code and display name of an access decision in HL7's audit-event-outcome.

    Success (0) for a release; minor failure (4) if the patient was never asked, which a request can change;
    serious failure (8) for a refusal, as in BALP's example; major failure (12) if the reward pool failed.
    """
    if decision in (Decision.PERMIT, Decision.EMERGENCY):
        return "0", "Success"
    if decision is Decision.NO_CONSENT:
        return "4", "Minor failure"
    return ("12", "Major failure") if reason is Reason.POOL_FAILED else ("8", "Serious failure")


def to_bundle(export: PatientExport, as_of: int, *, test_data: bool = False) -> Bundle:
    """Convert an export to a validated FHIR R5 collection.

    It contains one `Consent` per version that was given and one `AuditEvent` per log entry. Consents
    have their status at the unix second `as_of`, which is also the bundle's timestamp. `test_data`
    labels every resource HTEST (test health data). Raises `VerificationError` if the entries do not hash to
    the log's head.
    """
    digests = entry_digests(export.chain_id, export.contract, export.entries)
    if [0, *digests][-1] != export.head.head or len(digests) != export.head.count:
        raise VerificationError("the entries are not the patient's complete log")
    resources = [_consent(export, given, as_of) for given in given_consents(export.consents)]
    exported = {resource["id"] for resource in resources}
    resources += [
        _audit_event(export, entry, digest, exported)
        for entry, digest in zip(export.entries, digests, strict=True)
    ]
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": utc_text(as_of),
        "entry": [{"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource} for resource in resources],
    }
    if test_data:
        for resource in (bundle, *resources):
            label = _coding(ACT_REASON_SYSTEM, "HTEST", "test health data")
            resource.setdefault("meta", {})["security"] = [label]
    return cast(Bundle, parse_resource(bundle, "export"))


def dumps(export: PatientExport, as_of: int, *, test_data: bool = False) -> str:
    """Convert an export to FHIR JSON as in `to_bundle` (indented by two spaces, with a final newline)."""
    return str(to_bundle(export, as_of, test_data=test_data).model_dump_json(indent=2)) + "\n"


def _consent(export: PatientExport, given: GivenConsent, as_of: int) -> dict[str, Any]:
    added, state = given.added, given.state(as_of)
    by_patient = added.by == added.patient
    resource: dict[str, Any] = {
        "resourceType": "Consent",
        "id": _consent_id(export, added.grantee, added.purpose, added.version),
        "identifier": [
            _identifier(
                "consent",
                f"{_chain(export)}:{export.contract:#x}:{added.patient:#x}:{added.grantee:#x}"
                f":{added.purpose}:{added.version}",
            )
        ],
        "status": "active" if state is ConsentState.GIVEN else "inactive",
        "category": [_concept(LOINC_SYSTEM, "59284-0", "Consent Document")],
        "subject": _party(export, "Patient", added.patient),
        "period": _period(added.starts_at, added.expires_at),
        "grantor": [_party(export, "Patient" if by_patient else "RelatedPerson", added.by)],
        "grantee": [_party(export, "Organization", added.grantee)],
        "decision": "permit",
        "provision": [
            {
                "actor": [
                    {
                        "role": _concept(f"{_HL7}v3-ParticipationType", "IRCP", "information recipient"),
                        "reference": _party(export, "Organization", added.grantee),
                    }
                ],
                "action": [_concept(f"{_HL7}consentaction", "access", "Access")],
                "purpose": [_purpose(added.purpose)],
                **_scope(added.categories),
            }
        ],
        "extension": [{"url": f"{OWN_SYSTEM}max-uses", "valueString": str(added.max_uses)}],
    }
    if state in _STATUS_TAGS:
        resource["meta"] = {"tag": [_coding(DPV_SYSTEM, _STATUS_TAGS[state])]}
    if added.location is not None and added.location.timestamp is not None:
        resource["date"] = utc_datetime(added.location.timestamp).date().isoformat()
    if added.terms_commitment:
        terms = _identifier("terms-commitment", hex(added.terms_commitment))
        resource["sourceReference"] = [{"type": "DocumentReference", "identifier": terms}]
    if added.campaign:
        resource["extension"].append({"url": f"{OWN_SYSTEM}campaign", "valueString": hex(added.campaign)})
    return resource


def _audit_event(export: PatientExport, entry: LogEntry, digest: int, exported: set[str]) -> dict[str, Any]:
    emergency = entry.decision is Decision.EMERGENCY
    outcome, outcome_display = audit_outcome(entry.decision, entry.reason)
    contract = _party(export, "Device", export.contract)
    purpose = {"coding": [_purpose(entry.purpose)]}
    patient = _party(export, "Patient", entry.patient)
    entities: list[dict[str, Any]] = [
        {"what": patient, "role": _concept(f"{_HL7}object-role", "1", "Patient")}
    ]
    if entry.version:
        consent_id = _consent_id(export, entry.accessor, entry.purpose, entry.version)
        value = f"{entry.accessor:#x}:{entry.purpose}:{entry.version}"
        what = {"type": "Consent", "identifier": _identifier("consent-version", value)}
        if consent_id in exported:
            what["reference"] = f"urn:uuid:{consent_id}"
        entities.append({"what": what, "role": _concept(f"{_HL7}object-role", "4", "Domain Resource")})
    if entry.record:
        what = {"identifier": _identifier("record-commitment", hex(entry.record))}
        entities.append({"what": what, "role": _concept(f"{_HL7}object-role", "4", "Domain Resource")})
    details = {"seq": str(entry.seq), "categories": " ".join(entry.categories.names)}
    details |= {
        name: hex(getattr(entry, name)) for name in ("campaign", "justification") if getattr(entry, name)
    }
    entities.append(
        {
            "what": {"identifier": _identifier("log-digest", hex(digest))},
            "role": _concept(f"{_HL7}object-role", "13", "Security Resource"),
            "detail": [
                {"type": _concept(f"{OWN_SYSTEM}log", name), "valueString": value}
                for name, value in details.items()
            ],
        }
    )
    severity = {Decision.PERMIT: "informational", Decision.EMERGENCY: "alert"}.get(entry.decision, "notice")
    return {
        "resourceType": "AuditEvent",
        "id": str(uuid5(_NAMESPACE, f"{_chain(export)}/{export.contract:#x}/{digest:#x}")),
        "category": [_concept(DICOM_SYSTEM, "110113", "Security Alert")],
        "code": _concept(DICOM_SYSTEM, "110127", "Emergency Override Started")
        if emergency
        else _concept(BALP_SYSTEM, "AuthZ-Consent", "Authorization Decision using Roles and Consent"),
        "action": "E",
        "severity": severity,
        "recorded": utc_text(entry.at),
        "outcome": {
            "code": _coding(f"{_HL7}audit-event-outcome", outcome, outcome_display),
            "detail": [
                _concept(f"{OWN_SYSTEM}decision", entry.decision.name, entry.decision.meaning),
                _concept(f"{OWN_SYSTEM}reason", entry.reason.name, entry.reason.meaning),
            ],
        },
        "authorization": [purpose],
        "patient": patient,
        "agent": [
            {
                "type": _concept(f"{_HL7}v3-ParticipationType", "IRCP", "information recipient"),
                "who": _party(export, "Organization", entry.accessor),
                "requestor": True,
                "authorization": [purpose],
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
        "entity": entities,
    }


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


def _consent_id(export: PatientExport, grantee: int, purpose: Purpose, version: int) -> str:
    name = f"{_chain(export)}/{export.contract:#x}/{export.patient:#x}/{grantee:#x}/{purpose}/{version}"
    return str(uuid5(_NAMESPACE, name))


def _party(export: PatientExport, resource_type: str, address: int) -> dict[str, Any]:
    return {"type": resource_type, "identifier": _identifier(f"address:{_chain(export)}", hex(address))}


def _identifier(kind: str, value: str) -> dict[str, str]:
    return {"system": OWN_SYSTEM + kind, "value": value}


def _chain(export: PatientExport) -> str:
    return decode_short_string(export.chain_id)


def _purpose(purpose: Purpose) -> dict[str, str]:
    return _coding(ACT_REASON_SYSTEM, purpose.value, purpose.display)


def _concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    return {"coding": [_coding(system, code, display)]}


def _coding(system: str, code: str, display: str = "") -> dict[str, str]:
    coding = {"system": system, "code": code}
    return coding | {"display": display} if display else coding

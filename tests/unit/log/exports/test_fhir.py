"""The FHIR export: exact values, validity under fhir.resources, and consents' life."""

import json
import re
from dataclasses import replace

import pytest
from fhir.resources.auditevent import AuditEvent
from fhir.resources.bundle import Bundle
from fhir.resources.consent import Consent

from medsync.errors import VerificationError
from medsync.log.exports import ConsentState, given_consents
from medsync.log.exports.fhir import audit_outcome, dumps, to_bundle
from medsync.protocol.events import AllConsentsRevoked, ConsentRevoked
from medsync.protocol.felt import InvalidValue
from medsync.protocol.fhir import parse_resource
from medsync.protocol.types import LogHead
from medsync.protocol.vocabulary import Decision, Purpose, Reason
from tests.harness.histories import (
    CONSENTS,
    DAY,
    DELEGATE,
    DIGESTS,
    EXPORT,
    HOSPITAL,
    PATIENT,
    RESEARCHER,
    START,
    TERMS,
)

NOW = START + 10 * DAY


def resources(kind: str, as_of: int = NOW, export=EXPORT) -> list[dict]:
    entries = json.loads(dumps(export, as_of))["entry"]
    return [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == kind]


# --- a consent's life ---------------------------------------------------------------------------------------


def states(events, at):
    return [given.state(at) for given in given_consents(events)]


def test_states():
    first, second, renewal, revoked, everything = CONSENTS
    assert states([first], first.expires_at - 1) == [ConsentState.GIVEN]
    assert states([first], first.expires_at) == [ConsentState.EXPIRED]
    assert states([first, second, renewal], NOW) == ["renewed", "given", "given"]
    assert states([first, second, renewal, revoked], NOW) == ["renewed", "given", "withdrawn"]
    assert states(CONSENTS, NOW) == ["renewed", "revoked", "withdrawn"]
    by_patient = replace(everything, by=PATIENT)
    assert states([first, second, by_patient], NOW) == ["withdrawn", "withdrawn"]
    assert states([first, by_patient, replace(revoked, by=DELEGATE)], NOW) == ["withdrawn"]
    assert states([first, replace(revoked, by=DELEGATE), renewal], NOW) == ["revoked", "given"]


def test_other_records_do_not_end_a_consent():
    first = CONSENTS[0]
    others = [
        ConsentRevoked(PATIENT, RESEARCHER, Purpose.TREAT, by=PATIENT, version=2),
        ConsentRevoked(PATIENT, HOSPITAL, Purpose.HRESCH, by=PATIENT, version=2),
    ]
    assert states([first, *others], NOW) == [ConsentState.GIVEN]
    assert given_consents([AllConsentsRevoked(PATIENT, PATIENT, 1, 1)]) == []


# --- Consent ------------------------------------------------------------------------------------------------


def test_consent_values():
    consents = resources("Consent")
    assert len(consents) == 3
    first = consents[0]
    identifier = {"system": "urn:x-medsync:address:SN_SEPOLIA", "value": hex(RESEARCHER)}
    assert first["status"] == "inactive"
    assert first["decision"] == "permit"
    assert first["date"] == "2026-01-01"
    assert first["period"] == {"start": "2026-01-01T00:00:00Z", "end": "2026-01-30T23:59:59Z"}
    assert first["subject"]["identifier"]["value"] == hex(PATIENT)
    assert first["grantor"] == [first["subject"]]
    assert first["grantee"] == [{"type": "Organization", "identifier": identifier}]
    assert first["category"][0]["coding"][0]["code"] == "59284-0"
    assert first["identifier"][0]["value"] == "SN_SEPOLIA:0x6d6564:0x7061:0x7265:HRESCH:1"
    provision = first["provision"][0]
    assert provision["purpose"] == [
        {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
            "code": "HRESCH",
            "display": "healthcare research",
        }
    ]
    assert provision["actor"][0]["reference"] == first["grantee"][0]
    assert [coding["code"] for coding in provision["resourceType"]] == ["Specimen", "Observation"]
    assert [coding["code"] for coding in provision["documentType"]] == ["11502-2"]
    assert first["sourceReference"][0]["identifier"] == {
        "system": "urn:x-medsync:terms-commitment",
        "value": "0x7e245",
    }
    assert first["extension"] == [
        {"url": "urn:x-medsync:max-uses", "valueString": "5"},
        {"url": "urn:x-medsync:campaign", "valueString": hex(TERMS.id)},
    ]


def test_consent_statuses():
    def found(events, as_of=NOW):
        consents = resources("Consent", as_of, replace(EXPORT, consents=tuple(events)))
        return [
            (consent["status"], consent["meta"]["tag"][0]["code"] if "meta" in consent else None)
            for consent in consents
        ]

    assert found(CONSENTS[:1]) == [("active", "ConsentGiven")]
    assert found(CONSENTS[:1], START + 30 * DAY) == [("inactive", "ConsentExpired")]
    assert found(CONSENTS) == [
        ("inactive", None),
        ("inactive", "ConsentRevoked"),
        ("inactive", "ConsentWithdrawn"),
    ]


def test_consent_given_by_a_delegate():
    second = resources("Consent")[1]
    assert second["grantor"][0]["type"] == "RelatedPerson"
    assert second["grantor"][0]["identifier"]["value"] == hex(DELEGATE)
    assert second["period"] == {"start": "2026-01-01T00:00:00Z"}  # its end lies beyond the year 9999
    assert "sourceReference" not in second
    assert len(second["extension"]) == 1


# --- AuditEvent ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", Decision)
@pytest.mark.parametrize("reason", Reason)
def test_outcome_of_every_decision(decision, reason):
    if decision in (Decision.PERMIT, Decision.EMERGENCY):
        expected = ("0", "Success")
    elif decision is Decision.NO_CONSENT:
        expected = ("4", "Minor failure")
    elif reason is Reason.POOL_FAILED:
        expected = ("12", "Major failure")
    else:
        expected = ("8", "Serious failure")
    assert audit_outcome(decision, reason) == expected


def test_audit_event_codes():
    events = resources("AuditEvent")
    assert [event["outcome"]["code"]["code"] for event in events] == ["0", "8", "4", "0", "12"]
    assert [event["code"]["coding"][0]["code"] for event in events] == [
        "AuthZ-Consent",
        "AuthZ-Consent",
        "AuthZ-Consent",
        "110127",
        "AuthZ-Consent",
    ]
    assert {event["category"][0]["coding"][0]["code"] for event in events} == {"110113"}
    assert {event["action"] for event in events} == {"E"}
    assert [event["severity"] for event in events] == ["informational", "notice", "notice", "alert", "notice"]
    assert [event["authorization"][0]["coding"][0]["code"] for event in events] == [
        "HRESCH",
        "HRESCH",
        "CLINTRCH",
        "BTG",
        "HRESCH",
    ]


def test_audit_event_values():
    event = resources("AuditEvent")[0]
    consent = resources("Consent")[0]
    assert event["recorded"] == "2026-01-01T01:00:00Z"
    assert [detail["coding"][0]["code"] for detail in event["outcome"]["detail"]] == ["PERMIT", "GRANTED"]
    requestor, authorizer = event["agent"]
    assert requestor["requestor"] is True
    assert requestor["who"]["identifier"]["value"] == hex(RESEARCHER)
    assert requestor["authorization"] == event["authorization"]
    assert authorizer["requestor"] is False
    assert authorizer["who"] == event["source"]["observer"]
    assert authorizer["who"]["identifier"]["value"] == "0x6d6564"
    patient, used, record, log = event["entity"]
    assert patient["what"] == event["patient"]
    assert patient["role"]["coding"][0]["code"] == "1"
    assert used["what"]["reference"] == f"urn:uuid:{consent['id']}"
    assert record["what"]["identifier"] == {
        "system": "urn:x-medsync:record-commitment",
        "value": "0x2ec001",
    }
    assert log["what"]["identifier"] == {"system": "urn:x-medsync:log-digest", "value": hex(DIGESTS[0])}
    assert {item["type"]["coding"][0]["code"]: item["valueString"] for item in log["detail"]} == {
        "seq": "1",
        "categories": "LABORATORY",
        "campaign": hex(TERMS.id),
    }


def test_audit_event_without_consent_or_record():
    events = resources("AuditEvent")
    assert [len(event["entity"]) for event in events] == [4, 4, 2, 3, 4]
    emergency = {
        item["type"]["coding"][0]["code"]: item["valueString"] for item in events[3]["entity"][2]["detail"]
    }
    assert emergency["justification"] == "0x7e5"
    assert len(emergency["categories"].split()) == 16


def test_consent_outside_the_bundle_is_named_not_referenced():
    event = resources("AuditEvent", export=replace(EXPORT, consents=()))[0]
    what = event["entity"][1]["what"]
    assert "reference" not in what
    assert what["identifier"]["value"] == "0x7265:HRESCH:1"


# --- the bundle ---------------------------------------------------------------------------------------------


def test_bundle_is_valid_and_reads_back():
    bundle = to_bundle(EXPORT, NOW)
    assert isinstance(bundle, Bundle)
    assert {type(entry.resource) for entry in bundle.entry} == {Consent, AuditEvent}
    text = dumps(EXPORT, NOW)
    assert parse_resource(json.loads(text), "read back") == bundle
    assert dumps(EXPORT, NOW) == text
    document = json.loads(text)
    assert document["timestamp"] == "2026-01-11T00:00:00Z"
    urls = [entry["fullUrl"] for entry in document["entry"]]
    assert urls == [f"urn:uuid:{entry['resource']['id']}" for entry in document["entry"]]
    assert len(set(urls)) == 8


def test_references_inside_the_bundle_resolve():
    text = dumps(EXPORT, NOW)
    urls = {entry["fullUrl"] for entry in json.loads(text)["entry"]}
    assert set(re.findall(r'"reference": "(urn:uuid:[^"]+)"', text)) <= urls


def test_ids_differ_between_logs():
    other = replace(EXPORT, chain_id=EXPORT.chain_id + 1, entries=(), head=LogHead(0, 0))
    ours = {consent["id"] for consent in resources("Consent")}
    assert ours.isdisjoint(consent["id"] for consent in resources("Consent", export=other))


def test_test_data_is_labelled():
    label = {
        "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
        "code": "HTEST",
        "display": "test health data",
    }
    document = json.loads(dumps(EXPORT, NOW, test_data=True))
    labelled = [document, *(entry["resource"] for entry in document["entry"])]
    assert all(resource["meta"]["security"] == [label] for resource in labelled)
    assert labelled[2]["meta"]["tag"][0]["code"] == "ConsentRevoked"  # the label stands beside the status
    assert "HTEST" not in dumps(EXPORT, NOW)


def test_empty_export():
    empty = replace(EXPORT, entries=(), consents=(), head=LogHead(0, 0))
    assert "entry" not in json.loads(dumps(empty, NOW))


@pytest.mark.parametrize("head", [LogHead(5, 1), LogHead(6, DIGESTS[-1]), LogHead(0, 0)])
def test_incomplete_log_is_refused(head):
    with pytest.raises(VerificationError, match="not the patient's complete log"):
        to_bundle(replace(EXPORT, head=head), NOW)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("entry", 0, "resource", "status"), "given", r"Bundle.entry\[0\].resource.status: must be one of"),
        (("entry", 0, "resource", "decision"), "maybe", r"resource.decision: must be one of deny, permit"),
        (("entry", 3, "resource", "recorded"), "yesterday", r"Bundle.entry\[3\].resource.recorded: "),
        (("entry", 3, "resource", "severity"), "bad", r"resource.severity: must be one of emergency, alert"),
        (("entry", 3, "resource", "outcomes"), {}, r"Bundle.entry\[3\].resource.outcomes: Extra inputs"),
        (("type",), "heap", r"Bundle.type: must be one of document"),
    ],
)
def test_broken_bundles_are_refused(path, value, message):
    document = json.loads(dumps(EXPORT, NOW))
    target = document
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    with pytest.raises(InvalidValue, match=message):
        parse_resource(document, "bundle.json")


@pytest.mark.parametrize("required", ["recorded", "agent", "source", "code"])
def test_audit_event_needs_its_parts(required):
    event = resources("AuditEvent")[0]
    del event[required]
    with pytest.raises(InvalidValue, match=f"AuditEvent.{required}"):
        parse_resource(event, "event.json")

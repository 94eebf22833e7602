"""The FHIR export: codes, statuses and references of every kind of consent, refusal and entry of the log."""

import json
import re
from dataclasses import replace

import pytest
from fhir.resources.auditevent import AuditEvent
from fhir.resources.bundle import Bundle
from fhir.resources.consent import Consent

from medsync.errors import VerificationError
from medsync.log.exports import ConsentState, given_consents, refusals
from medsync.log.exports.fhir import audit_outcome, dumps, to_bundle
from medsync.log.histories import PatientHistory
from medsync.protocol.chains import Chain, entry_digests
from medsync.protocol.events import AllConsentsRevoked, ConsentRefused, ConsentRevoked, PurposeRefused
from medsync.protocol.felt import InvalidValue
from medsync.protocol.fhir import parse_resource
from medsync.protocol.types import Head
from medsync.protocol.vocabulary import Decision, Purpose
from tests.harness.histories import (
    AUDITOR,
    CHAIN,
    CONSENTS,
    CONTRACT,
    DAY,
    DELEGATE,
    DIGESTS,
    HISTORY,
    HOSPITAL,
    PATIENT,
    RESEARCHER,
    START,
    STUDY,
    TERMS,
    changed,
    history_of,
)

NOW = START + 10 * DAY
#: The first consent, the delegate's, the renewal, and what ended them.
FIRST, DELEGATES, RENEWAL = CONSENTS[0], CONSENTS[2], CONSENTS[3]
WITHDRAWN, EVERYTHING = CONSENTS[9], CONSENTS[11]


def of_consents(*events):
    """The sample with another consent history, whole and proven."""
    renumbered = tuple(replace(event, seq=seq) for seq, event in enumerate(events, 1))
    return replace(HISTORY, consents=history_of(Chain.CONSENTS, renumbered))


def resources(kind: str, as_of: int = NOW, history=HISTORY) -> list[dict]:
    entries = json.loads(dumps(history, as_of)).get("entry", [])
    return [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == kind]


# --- a consent's life ---------------------------------------------------------------------------------------


def states(events, at):
    return [given.state(at) for given in given_consents(events)]


def test_states():
    assert states([FIRST], FIRST.expires_at - 1) == [ConsentState.GIVEN]
    assert states([FIRST], FIRST.expires_at) == [ConsentState.EXPIRED]
    assert states([FIRST, DELEGATES, RENEWAL], NOW) == ["renewed", "given", "given"]
    assert states([FIRST, DELEGATES, RENEWAL, WITHDRAWN], NOW) == ["renewed", "given", "withdrawn"]
    assert states(CONSENTS, NOW) == ["renewed", "revoked", "withdrawn"]
    by_patient = replace(EVERYTHING, by=PATIENT)
    by_delegate = replace(WITHDRAWN, by=DELEGATE)
    assert states([FIRST, DELEGATES, by_patient], NOW) == ["withdrawn", "withdrawn"]
    assert states([FIRST, by_patient, by_delegate], NOW) == ["withdrawn"]
    assert states([FIRST, by_delegate, RENEWAL], NOW) == ["revoked", "given"]


def refused_consent(grantee=RESEARCHER, study=STUDY, by=PATIENT):
    return ConsentRefused(
        PATIENT, grantee, Purpose.HRESCH, 2, START, study=study, by=by, version=2, generation=1
    )


def test_refusals_end_consents_and_stand_until_lifted():
    refused = refused_consent()
    assert states([FIRST, refused], NOW) == ["refused"]
    assert states([FIRST, refused, RENEWAL], NOW) == ["refused", "given"]
    assert [found.lifted for found in refusals([FIRST, refused])] == [None]
    assert [found.lifted for found in refusals([refused, EVERYTHING])] == [None]
    for later in (RENEWAL, WITHDRAWN, refused):
        assert refusals([refused, later])[0].lifted is later
    assert refusals([refused, refused_consent(study=0)])[0].lifted is None


def test_a_purpose_that_is_refused_to_everyone_suspends_its_consents():
    refused, allowed = (replace(event, purpose=Purpose.HRESCH) for event in CONSENTS[5:7])
    assert states([FIRST, DELEGATES, refused], NOW) == ["suspended", "given"]
    assert states([FIRST, refused, allowed], NOW) == ["given"]
    assert states([FIRST, refused], FIRST.expires_at) == ["expired"]
    assert states([FIRST, refused, WITHDRAWN], NOW) == ["withdrawn"]
    (found,) = refusals([refused, allowed])
    assert (found.refused, found.lifted) == (refused, allowed)
    assert refusals([refused])[0].lifted is None


def test_other_records_do_not_end_a_consent():
    others = [
        ConsentRevoked(PATIENT, grantee, purpose, 2, START, study, PATIENT, 0, 2, 1)
        for grantee, purpose, study in (
            (RESEARCHER, Purpose.TREAT, STUDY),
            (HOSPITAL, Purpose.HRESCH, STUDY),
            (RESEARCHER, Purpose.HRESCH, 0),
        )
    ]
    assert states([FIRST, *others], NOW) == [ConsentState.GIVEN]
    everything = AllConsentsRevoked(PATIENT, 1, START, PATIENT, 2, False)
    assert given_consents([everything]) == refusals([everything]) == []


# --- Consent ------------------------------------------------------------------------------------------------


def test_consent_values():
    consents = resources("Consent")
    assert len(consents) == 5, "three versions, and two refusals"
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
    assert first["identifier"][0]["value"] == "SN_SEPOLIA:0x6d6564:0x7061:0x7265:HRESCH:0x57d7:1"
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
        {"url": "urn:x-medsync:scoped", "valueBoolean": True},
        {"url": "urn:x-medsync:campaign", "valueString": hex(TERMS.id)},
    ]


def test_a_study_is_named_by_its_hash_alone():
    first, delegates = resources("Consent")[:2]
    assert first["provision"][0]["extension"] == [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/consent-ResearchStudyContext",
            "valueReference": {
                "type": "ResearchStudy",
                "identifier": {"system": "urn:x-medsync:study", "value": "0x57d7"},
            },
        }
    ]
    assert "extension" not in delegates["provision"][0], "a broad consent is for no study in particular"


def test_consent_statuses():
    def found(*events, as_of=NOW):
        history = replace(of_consents(*events), accesses=history_of(Chain.ACCESSES, ()))
        return [
            (consent["status"], consent["meta"]["tag"][0]["code"] if "meta" in consent else None)
            for consent in resources("Consent", as_of, history)
        ]

    assert found(FIRST) == [("active", "ConsentGiven")]
    assert found(FIRST, as_of=START + 30 * DAY) == [("inactive", "ConsentExpired")]
    assert found(FIRST, refused_consent()) == [
        ("inactive", "ConsentRefused"),
        ("active", "ConsentRefused"),
    ]
    refused = PurposeRefused(PATIENT, Purpose.HRESCH, 2, START)
    assert found(FIRST, refused) == [("inactive", None), ("active", "ConsentRefused")]
    assert found(*CONSENTS) == [
        ("inactive", None),
        ("inactive", "ConsentRevoked"),
        ("inactive", "ConsentWithdrawn"),
        ("active", "ConsentRefused"),
        ("inactive", "ConsentRefused"),
    ]


def test_consent_given_by_a_delegate():
    second = resources("Consent")[1]
    assert second["grantor"][0]["type"] == "RelatedPerson"
    assert second["grantor"][0]["identifier"]["value"] == hex(DELEGATE)
    assert second["period"] == {"start": "2026-01-01T00:00:00Z"}  # its end lies beyond the year 9999
    assert "sourceReference" not in second
    assert len(second["extension"]) == 1


def test_refusals_deny():
    grantees, everyones = resources("Consent")[3:]
    assert grantees["decision"] == everyones["decision"] == "deny"
    assert grantees["grantee"][0]["identifier"]["value"] == hex(AUDITOR)
    assert grantees["provision"][0]["actor"][0]["reference"] == grantees["grantee"][0]
    assert grantees["identifier"][0]["system"] == "urn:x-medsync:consent"
    assert "grantee" not in everyones
    assert "actor" not in everyones["provision"][0]
    assert everyones["provision"][0]["purpose"][0]["code"] == "PUBHLTH"
    assert everyones["identifier"][0]["system"] == "urn:x-medsync:refused-purpose"
    assert grantees["grantor"] == everyones["grantor"] == [everyones["subject"]]
    assert "period" not in grantees
    by_delegate = resources("Consent", history=of_consents(refused_consent(by=DELEGATE)))[0]
    assert by_delegate["grantor"][0]["type"] == "RelatedPerson"


# --- AuditEvent ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (Decision.PERMIT, ("0", "Success")),
        (Decision.EMERGENCY, ("0", "Success")),
        (Decision.NO_CONSENT, ("4", "Minor failure")),
        (Decision.DENY, ("8", "Serious failure")),
    ],
)
def test_outcome_of_every_decision(decision, expected):
    assert audit_outcome(decision) == expected


def test_audit_event_codes():
    events = resources("AuditEvent")
    assert [event["outcome"]["code"]["code"] for event in events] == [*"08840000"]
    assert [event["code"]["coding"][0]["code"] for event in events] == [
        *["AuthZ-Consent"] * 4,
        "110127",
        "EmergencyJustified",
        "EmergencyContested",
        "DeletionStated",
    ]
    assert [event["category"][0]["coding"][0]["code"] for event in events] == [*["110113"] * 7, "destroy"]
    assert [event["action"] for event in events] == [*"EEEEEEED"]
    assert [event["severity"] for event in events] == [
        *("informational", "notice", "notice", "notice", "alert", "notice", "alert", "notice"),
    ]
    purposes = [
        event["authorization"][0]["coding"][0]["code"] if "authorization" in event else None
        for event in events
    ]
    assert purposes == ["HRESCH", "HRESCH", "HRESCH", "CLINTRCH", "BTG", None, None, "HRESCH"]


def details_of(event):
    return {item["type"]["coding"][0]["code"]: item["valueString"] for item in event["entity"][-1]["detail"]}


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
    assert details_of(event) == {
        "seq": "1",
        "categories": "LABORATORY",
        "campaign": hex(TERMS.id),
        "study": "0x57d7",
        "scoped": "true",
        "registration": "2",
    }


def test_an_emergency_and_what_was_said_about_it():
    broken, justified, contested = resources("AuditEvent")[4:7]
    assert details_of(broken) == {
        "seq": "5",
        "categories": details_of(broken)["categories"],
        "registration": "4",
    }
    assert len(details_of(broken)["categories"].split()) == 16
    for event in (justified, contested):
        about = event["entity"][1]["what"]
        assert about == {"type": "AuditEvent", "reference": f"urn:uuid:{broken['id']}"}
        assert details_of(event)["emergency"] == "5"
    assert details_of(justified)["statement"] == "0x7e5"
    assert justified["agent"][0]["who"]["identifier"]["value"] == hex(HOSPITAL)
    assert contested["agent"][0]["who"] == contested["patient"], "contesting is the patient's own act"
    assert "statement" not in details_of(contested)


def test_a_statement_of_deletion_names_the_consent_and_proves_nothing():
    event = resources("AuditEvent")[7]
    assert event["code"]["coding"][0]["display"] == "Deletion stated, not proven"
    named = event["entity"][1]["what"]
    assert named["identifier"]["value"] == "0x7265:HRESCH:0x57d7:3"
    assert "reference" not in named, "version 3 is the withdrawal, which gave nothing"
    assert details_of(event) == {
        "seq": "8",
        "study": "0x57d7",
        "registration": "2",
        "statement": "0xde1",
    }


def test_audit_events_have_the_entities_that_they_have():
    assert [len(event["entity"]) for event in resources("AuditEvent")] == [4, 4, 4, 2, 3, 3, 3, 3]


def test_consent_outside_the_bundle_is_named_not_referenced():
    event = resources("AuditEvent", history=of_consents())[0]
    what = event["entity"][1]["what"]
    assert "reference" not in what
    assert what["identifier"]["value"] == "0x7265:HRESCH:0x57d7:1"


# --- the bundle ---------------------------------------------------------------------------------------------


def test_bundle_is_valid_and_reads_back():
    bundle = to_bundle(HISTORY, NOW)
    assert isinstance(bundle, Bundle)
    assert {type(entry.resource) for entry in bundle.entry} == {Consent, AuditEvent}
    text = dumps(HISTORY, NOW)
    assert parse_resource(json.loads(text), "read back") == bundle
    assert dumps(HISTORY, NOW) == text
    document = json.loads(text)
    assert document["timestamp"] == "2026-01-11T00:00:00Z"
    urls = [entry["fullUrl"] for entry in document["entry"]]
    assert urls == [f"urn:uuid:{entry['resource']['id']}" for entry in document["entry"]]
    assert len(set(urls)) == 13


def test_references_inside_the_bundle_resolve():
    text = dumps(HISTORY, NOW)
    urls = {entry["fullUrl"] for entry in json.loads(text)["entry"]}
    assert set(re.findall(r'"reference": "(urn:uuid:[^"]+)"', text)) <= urls


def test_ids_differ_between_contracts():
    def ids(contract):
        histories = {
            name: replace(getattr(HISTORY, name), contract=contract, entries=(), head=Head(0, 0))
            for name in ("accesses", "registry")
        }
        head = Head(1, entry_digests(CHAIN, contract, [FIRST])[0])
        consents = replace(HISTORY.consents, contract=contract, entries=(FIRST,), head=head)
        return {found["id"] for found in resources("Consent", history=PatientHistory(consents, **histories))}

    assert len(ids(CONTRACT) | ids(CONTRACT + 1)) == 2


def test_test_data_is_labelled():
    label = {
        "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
        "code": "HTEST",
        "display": "test health data",
    }
    document = json.loads(dumps(HISTORY, NOW, test_data=True))
    labelled = [document, *(entry["resource"] for entry in document["entry"])]
    assert all(resource["meta"]["security"] == [label] for resource in labelled)
    assert labelled[2]["meta"]["tag"][0]["code"] == "ConsentRevoked"  # the label stands beside the status
    assert "HTEST" not in dumps(HISTORY, NOW)


def test_empty_export():
    empty = replace(of_consents(), accesses=history_of(Chain.ACCESSES, ()))
    assert "entry" not in json.loads(dumps(empty, NOW))


@pytest.mark.parametrize("chain", Chain)
def test_an_incomplete_history_is_refused(chain):
    part = next(found for found in HISTORY.histories if found.chain is chain)
    with pytest.raises(VerificationError, match="not the patient's whole history"):
        to_bundle(changed(HISTORY, chain, part.entries[:-1]), NOW)
    later = replace(part, known=part.checkpoint, entries=())
    with pytest.raises(InvalidValue, match="only whole histories are exported"):
        to_bundle(replace(HISTORY, **{chain.name.lower(): later}), NOW)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("entry", 0, "resource", "status"), "given", r"Bundle.entry\[0\].resource.status: must be one of"),
        (("entry", 0, "resource", "decision"), "maybe", r"resource.decision: must be one of deny, permit"),
        (("entry", 5, "resource", "recorded"), "yesterday", r"Bundle.entry\[5\].resource.recorded: "),
        (("entry", 5, "resource", "severity"), "bad", r"resource.severity: must be one of emergency, alert"),
        (("entry", 5, "resource", "outcomes"), {}, r"Bundle.entry\[5\].resource.outcomes: Extra inputs"),
        (("type",), "heap", r"Bundle.type: must be one of document"),
    ],
)
def test_broken_bundles_are_refused(path, value, message):
    document = json.loads(dumps(HISTORY, NOW))
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

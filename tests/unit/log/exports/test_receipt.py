"""Consent receipts: exact fields, what is disclosed, and what is said to be unknown."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from medsync.errors import VerificationError
from medsync.log import completeness, exports
from medsync.log.exports.receipt import Particulars, Party, consent_receipt, dumps
from medsync.protocol import commitments
from medsync.protocol.chains import Chain
from medsync.protocol.events import AllConsentsRevoked, PurposeAllowed, PurposeRefused
from medsync.protocol.felt import InvalidValue
from medsync.protocol.vocabulary import Purpose
from tests.harness.histories import (
    CONSENTS,
    DELEGATE,
    FUNDER,
    HISTORY,
    HOSPITAL,
    PATIENT,
    POOL,
    RESEARCHER,
    START,
    STUDY,
    TERMS,
    history_of,
)

FULL = Particulars(
    privacy_notice="https://clinic.example/notice/3",
    language="en",
    storage_locations="Ireland",
    retention_period="until the study ends",
    jurisdiction="IE",
    parties={
        PATIENT: Party("the patient", "on file", "on file"),
        RESEARCHER: Party("Research Institute", "1 Example Street", "consent@institute.example"),
    },
    campaigns=[TERMS],
)


def receipt(events=CONSENTS, grantee=RESEARCHER, purpose=Purpose.HRESCH, study=STUDY, particulars=None):
    renumbered = tuple(replace(event, seq=seq) for seq, event in enumerate(events, 1))
    history = replace(HISTORY, consents=history_of(Chain.CONSENTS, renumbered))
    return consent_receipt(history, grantee, purpose, study, particulars)


def hospitals(**changes):
    return receipt(grantee=HOSPITAL, purpose=Purpose.TREAT, study=0, **changes)


def test_header():
    made = receipt()
    assert list(made) == [
        "schema_version",
        "receipt_id",
        "record_id",
        "pii_principal_id",
        "ledger",
        "processing",
        "parties",
        "events",
        "deletion_statements",
        "not_recorded",
    ]
    assert made["schema_version"] == "medsync.consent-receipt/2"
    assert made["record_id"] == "0x7265:HRESCH:0x57d7"
    assert made["pii_principal_id"] == hex(PATIENT)
    assert made["ledger"] == {
        "chain_id": "SN_SEPOLIA",
        "contract": "0x6d6564",
        "block": 1_024,
        "block_hash": "0xb10c",
    }


def test_events_tell_the_whole_life():
    assert receipt()["events"] == [
        {
            "event_time": "2026-01-01T01:00:00Z",
            "entity_id": "0x7061",
            "event_type": "explicitly expressed consent",
            "event_state": "ConsentGiven",
            "entry": 1,
            "validity_duration": {"from": "2026-01-01T00:00:00Z", "until": "2026-01-31T00:00:00Z"},
            "version": 1,
            "transaction": "0xabc3e9",
            "block": 1_001,
        },
        {
            "event_time": "2026-01-01T04:00:00Z",
            "entity_id": "0x7061",
            "event_type": "explicitly expressed consent",
            "event_state": "RenewedConsentGiven",
            "entry": 4,
            "validity_duration": {"from": "2026-01-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"},
            "version": 2,
            "transaction": "0xabc3ec",
            "block": 1_004,
        },
        {
            "event_time": "2026-01-01T10:00:00Z",
            "entity_id": "0x7061",
            "event_type": "withdrawal",
            "event_state": "ConsentWithdrawn",
            "entry": 10,
            "version": 3,
            "transaction": "0xabc3f2",
            "block": 1_010,
        },
    ]  # revoking everything later did not concern a consent that was withdrawn already


def test_revocation_of_everything_by_a_delegate():
    made = hospitals()
    assert [event["event_state"] for event in made["events"]] == ["ConsentGiven", "ConsentRevoked"]
    assert made["events"][0]["validity_duration"]["until"] == f"unix second {2**40 - 1}"
    assert "version" not in made["events"][1]
    assert [party["party_role"] for party in made["parties"]] == [
        "PII principal",
        "PII controller",
        "representative of the PII principal",
    ]
    assert made["parties"][2]["party_id"] == hex(DELEGATE)


def test_events_before_the_first_giving_are_not_its_life():
    early = AllConsentsRevoked(PATIENT, 1, START, PATIENT, 2, False)
    made = receipt([early, *CONSENTS])
    assert [event["event_state"] for event in made["events"]] == [
        event["event_state"] for event in receipt()["events"]
    ]


def test_refusals_belong_to_the_life_of_a_record():
    refused = replace(CONSENTS[4], grantee=RESEARCHER, study=STUDY)
    everyone = PurposeRefused(PATIENT, Purpose.HRESCH, 1, START)
    allowed = PurposeAllowed(PATIENT, Purpose.HRESCH, 1, START)
    other = PurposeRefused(PATIENT, Purpose.TREAT, 1, START)
    made = receipt([refused, CONSENTS[0], other, everyone, allowed, refused, everyone])
    assert [(event["event_type"], event["event_state"]) for event in made["events"]] == [
        ("refusal", "ConsentRefused"),
        ("explicitly expressed consent", "ConsentGiven"),
        ("refusal of everyone for the purpose", "ConsentRefused"),
        ("purpose allowed again", "ConsentGiven"),
        ("refusal", "ConsentRefused"),
    ]
    assert {event["entity_id"] for event in made["events"]} == {hex(PATIENT)}


def test_what_the_grantee_stated_about_deletion():
    assert receipt()["deletion_statements"] == [
        {"event_time": "2026-01-01T12:00:00Z", "version": 3, "statement_commitment": "0xde1"}
    ]
    assert hospitals()["deletion_statements"] == []
    broad = replace(CONSENTS[0], study=0)
    assert receipt([broad], study=0)["deletion_statements"] == []


def test_purpose_and_data():
    purpose = receipt(CONSENTS[:1])["processing"]["purposes"][0]
    assert purpose["purpose"] == "healthcare research"
    assert purpose["purpose_type"]["code"] == "HRESCH"
    assert purpose["lawful_basis"] == "consent"
    assert [item["pii_type"] for item in purpose["pii_information"]] == ["LABORATORY", "OBSERVATION"]
    assert purpose["pii_information"][0]["ehds_group"].startswith("medical test results")
    assert purpose["pii_information"][1]["ehds_group"] is None
    assert purpose["pii_controllers"] == [hex(RESEARCHER)]
    assert purpose["permitted_accesses"] == 5
    assert (purpose["study"], purpose["narrowed_by_terms"]) == ("0x57d7", True)
    broad = hospitals()["processing"]["purposes"][0]
    assert (broad["study"], broad["narrowed_by_terms"]) == (None, False)


def test_current_version_is_described():
    processing = receipt()["processing"]
    assert processing["terms_commitment"] == "0x7e246"
    assert [item["pii_type"] for item in processing["purposes"][0]["pii_information"]] == ["LABORATORY"]
    assert processing["purposes"][0]["permitted_accesses"] is None
    assert processing["purposes"][0]["remuneration"] is None


def test_remuneration_is_disclosed():
    plain = receipt(CONSENTS[:1])["processing"]["purposes"][0]["remuneration"]
    assert plain == {"campaign": hex(TERMS.id)}
    full = receipt(CONSENTS[:1], particulars=FULL)["processing"]["purposes"][0]["remuneration"]
    assert full == {
        "campaign": hex(TERMS.id),
        "pool": hex(POOL),
        "funder": hex(FUNDER),
        "rate_per_access": "1000000000000000001",
        "custodian": hex(HOSPITAL),
        "custodian_share_bps": 1250,
        "expires_at": "2026-04-01T00:00:00Z",
    }
    other = replace(FULL, campaigns=[replace(TERMS, salt=1)])
    assert receipt(CONSENTS[:1], particulars=other)["processing"]["purposes"][0]["remuneration"] == plain


def test_unknown_is_listed_and_never_guessed():
    assert receipt()["not_recorded"] == [
        "processing.privacy_notice",
        "processing.language",
        "processing.storage_locations",
        "processing.retention_period",
        "processing.jurisdiction",
        "parties.0x7061",
        "parties.0x7265",
    ]
    full = receipt(particulars=FULL)
    assert full["not_recorded"] == []
    assert full["processing"]["jurisdiction"] == "IE"
    assert full["parties"][1]["party_name"] == "Research Institute"
    assert full["parties"][1]["party_contact"] == "consent@institute.example"
    bare = [replace(event, location=None) for event in CONSENTS]
    made = receipt(bare, particulars=FULL)
    assert made["not_recorded"] == []
    assert "transaction" not in made["events"][0]


def test_receipt_id_follows_the_record():
    broad = replace(CONSENTS[0], study=0)
    made = [receipt(CONSENTS[:1]), receipt(CONSENTS[:4]), receipt(), hospitals(), receipt([broad], study=0)]
    assert len({found["receipt_id"] for found in made}) == 5
    assert receipt(CONSENTS[:10])["receipt_id"] == receipt()["receipt_id"]


def test_json_text():
    made = receipt(particulars=FULL)
    assert json.loads(dumps(made)) == made
    assert dumps(made).endswith("}\n")


@pytest.mark.parametrize(
    ("grantee", "purpose", "study"),
    [
        (RESEARCHER, Purpose.TREAT, STUDY),
        (RESEARCHER, Purpose.HRESCH, 0),
        (HOSPITAL, Purpose.HRESCH, STUDY),
        (FUNDER, Purpose.HRESCH, STUDY),
    ],
)
def test_consent_that_was_never_given(grantee, purpose, study):
    with pytest.raises(InvalidValue, match=f"never gave {hex(grantee)} a consent for {purpose}"):
        receipt(grantee=grantee, purpose=purpose, study=study)


def test_a_part_has_no_receipts():
    later = replace(HISTORY.consents, known=HISTORY.consents.checkpoint, entries=())
    with pytest.raises(InvalidValue, match="only whole histories"):
        consent_receipt(replace(HISTORY, consents=later), RESEARCHER, Purpose.HRESCH, STUDY)


@pytest.mark.parametrize("member", ["consents", "accesses", "registry"])
def test_histories_with_a_gap_have_no_receipts(member):
    part = getattr(HISTORY, member)
    gap = replace(part, entries=part.entries[:1] + part.entries[2:])
    with pytest.raises(VerificationError, match="not the patient's whole history"):
        consent_receipt(replace(HISTORY, **{member: gap}), RESEARCHER, Purpose.HRESCH, STUDY)


def test_nothing_is_claimed_that_is_not_so():
    folder = Path(exports.__file__).parent
    sources = [*folder.glob("*.py"), Path(commitments.__file__), Path(completeness.__file__)]
    text = " ".join(source.read_text() for source in sources) + dumps(receipt(particulars=FULL))
    assert not re.search(r"anonym|complian|compliant|zero.knowledge", text, re.IGNORECASE)

"""Consent receipts in the style of ISO/IEC TS 27560:2023: the patient's proof of what was agreed.

A receipt covers one consent record, that is one (patient, grantee, purpose, study), with every event in its
history, and what the grantee stated about deletion.
Field names and their order follow the technical specification's four sections (header, processing, parties,
events); event states are the consent statuses of the W3C Data Privacy Vocabulary. Receipts do not claim
conformance, because much of what the specification requires (the identity behind an address, where data is
stored, the notice that was shown) is agreed off-chain. The caller may add it as `Particulars`; missing values
are listed under `not_recorded` and never guessed.

Receipts serve GDPR Art. 7(1), demonstrating consent, and HIPAA 164.508(c) by stating recipient, purpose,
expiry, remuneration and how to withdraw.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from medsync.log.exports import check_proven, check_whole
from medsync.log.histories import PatientHistory
from medsync.protocol.events import (
    AllConsentsRevoked,
    ConsentAdded,
    ConsentRefused,
    ConsentRevoked,
    DeletionStated,
    PurposeAllowed,
    PurposeRefused,
)
from medsync.protocol.felt import InvalidValue, decode_short_string
from medsync.protocol.hashing import poseidon
from medsync.protocol.types import CampaignTerms, utc_text
from medsync.protocol.vocabulary import ACT_REASON_SYSTEM, EHDS_GROUPS, Category, Purpose

#: Identifies the format of the receipt.
SCHEMA: Final = "medsync.consent-receipt/2"


#: What can happen to a consent record.
_RecordEvent = (
    ConsentAdded | ConsentRevoked | ConsentRefused | AllConsentsRevoked | PurposeRefused | PurposeAllowed
)


@dataclass(frozen=True, slots=True)
class Party:
    """The person or organisation behind an address, as known off-chain."""

    name: str
    #: Postal address.
    address: str
    #: An e-mail address, telephone number or URL.
    contact: str


@dataclass(frozen=True, slots=True)
class Particulars:
    """Details for a receipt that are not on the chain. All are optional."""

    #: URL of the privacy notice that was shown.
    privacy_notice: str | None = None
    #: Language of that notice (BCP 47).
    language: str | None = None
    #: Locations where the data is stored.
    storage_locations: str | None = None
    #: How long the grantee retains the data.
    retention_period: str | None = None
    #: The applicable jurisdiction.
    jurisdiction: str | None = None
    #: The parties, by address.
    parties: dict[int, Party] = field(default_factory=dict)
    #: Terms of the campaigns that the consent's versions may require; the receipt discloses those it names.
    campaigns: Sequence[CampaignTerms] = ()


def consent_receipt(
    patient: PatientHistory,
    grantee: int,
    purpose: Purpose,
    study: int,
    particulars: Particulars | None = None,
) -> dict[str, Any]:
    """Make the receipt of one consent record, ready for `json.dumps`; `study` is zero for a broad consent.

    Raises `VerificationError` if the entries are not the whole histories, `InvalidValue` if that consent was
    never given, or for histories that continue from a checkpoint.
    """
    check_whole(patient)
    check_proven(patient)
    known = particulars or Particulars()
    events = _life(patient, grantee, purpose, study)
    given = [event for event in events if isinstance(event, ConsentAdded)]
    if not given:
        raise InvalidValue(f"{hex(patient.patient)} never gave {hex(grantee)} a consent for {purpose}")
    current = given[-1]
    processing: dict[str, Any] = {
        "privacy_notice": known.privacy_notice,
        "language": known.language,
        "purposes": [_purpose(current, known)],
        "storage_locations": known.storage_locations,
        "retention_period": known.retention_period,
        "jurisdiction": known.jurisdiction,
        "recipient_third_parties": [],
        "withdrawal_method": "revoke_consent or revoke_all of the contract, by transaction or signature",
        "terms_commitment": hex(current.terms_commitment),
    }
    addresses = dict.fromkeys([patient.patient, grantee, *(_actor(event) for event in events)])
    parties = [_party(patient, address, grantee, known) for address in addresses]
    missing = [f"processing.{name}" for name, value in processing.items() if value is None]
    missing += [f"parties.{party['party_id']}" for party in parties if party["party_name"] is None]
    return {
        "schema_version": SCHEMA,
        "receipt_id": _receipt_id(patient, grantee, purpose, study, events),
        "record_id": f"{grantee:#x}:{purpose}:{study:#x}",
        "pii_principal_id": hex(patient.patient),
        "ledger": {
            "chain_id": decode_short_string(patient.chain_id),
            "contract": hex(patient.contract),
            "block": patient.block.number,
            "block_hash": hex(patient.block.hash),
        },
        "processing": processing,
        "parties": parties,
        "events": [_event(event, first=event is given[0]) for event in events],
        "deletion_statements": _deletions(patient, grantee, purpose, study),
        "not_recorded": missing,
    }


def dumps(receipt: dict[str, Any]) -> str:
    """Write a receipt as JSON (indented by two spaces, with a final newline)."""
    return json.dumps(receipt, indent=2, ensure_ascii=False) + "\n"


def _life(patient: PatientHistory, grantee: int, purpose: Purpose, study: int) -> list[_RecordEvent]:
    """The events that changed this record, or whether it permits anything, in the history's order."""
    events: list[_RecordEvent] = []
    live = False
    for event in patient.consents.entries:
        match event:
            case ConsentAdded() | ConsentRevoked() | ConsentRefused():
                if (event.grantee, event.purpose, event.study) != (grantee, purpose, study):
                    continue
                live = isinstance(event, ConsentAdded)
            case AllConsentsRevoked():
                if not live:
                    continue
                live = False
            case PurposeRefused() | PurposeAllowed():
                if not live or event.purpose is not purpose:
                    continue
            case _:
                continue
        events.append(event)
    return events


def _deletions(patient: PatientHistory, grantee: int, purpose: Purpose, study: int) -> list[dict[str, Any]]:
    """What the grantee stated about deletion: statements, not proofs."""
    return [
        {
            "event_time": _time_text(entry.at),
            "version": entry.version,
            "statement_commitment": hex(entry.statement),
        }
        for entry in patient.accesses.entries
        if isinstance(entry, DeletionStated)
        and (entry.accessor, entry.purpose, entry.study) == (grantee, purpose, study)
    ]


def _receipt_id(
    patient: PatientHistory, grantee: int, purpose: Purpose, study: int, events: Sequence[_RecordEvent]
) -> str:
    """The receipt's id, which changes only with new events of the record."""
    record = [patient.chain_id, patient.contract, patient.patient, grantee, purpose.felt, study]
    return hex(poseidon([*record, len(events)]))


def _actor(event: _RecordEvent) -> int:
    """Who acted: the patient or a delegate. Purposes are only refused and allowed by the patient."""
    return event.patient if isinstance(event, PurposeRefused | PurposeAllowed) else event.by


def _purpose(added: ConsentAdded, known: Particulars) -> dict[str, Any]:
    return {
        "purpose": added.purpose.display,
        "purpose_type": {"system": ACT_REASON_SYSTEM, "code": added.purpose.value},
        "lawful_basis": "consent",
        "pii_information": [
            {"pii_type": category.name, "ehds_group": EHDS_GROUPS.get(category), "special_pii_category": True}
            for category in Category(added.categories)
        ],
        "pii_controllers": [hex(added.grantee)],
        "collection_method": "existing health records",
        "processing_method": "access on request, each decided and logged by the contract",
        "study": hex(added.study) if added.study else None,
        "narrowed_by_terms": added.scoped,
        "permitted_accesses": added.max_uses or None,
        "remuneration": _remuneration(added.campaign, known) if added.campaign else None,
    }


def _remuneration(campaign: int, known: Particulars) -> dict[str, Any]:
    disclosed: dict[str, Any] = {"campaign": hex(campaign)}
    for terms in known.campaigns:
        if terms.id == campaign:
            disclosed |= {
                "pool": hex(terms.pool),
                "funder": hex(terms.funder),
                "rate_per_access": str(terms.rate),
                "custodian": hex(terms.custodian) if terms.custodian else None,
                "custodian_share_bps": terms.custodian_bps,
                "expires_at": _time_text(terms.expires_at),
            }
    return disclosed


def _party(patient: PatientHistory, address: int, grantee: int, known: Particulars) -> dict[str, Any]:
    if address == patient.patient:
        role = "PII principal"
    elif address == grantee:
        role = "PII controller"
    else:
        role = "representative of the PII principal"
    party = known.parties.get(address)
    return {
        "party_id": hex(address),
        "party_name": party.name if party else None,
        "party_address": party.address if party else None,
        "party_contact": party.contact if party else None,
        "party_role": role,
    }


def _event(event: _RecordEvent, *, first: bool) -> dict[str, Any]:
    by_patient = _actor(event) == event.patient
    match event:
        case ConsentAdded():
            kind, state = (
                "explicitly expressed consent",
                "ConsentGiven" if first else "RenewedConsentGiven",
            )
        case ConsentRefused():
            kind, state = "refusal", "ConsentRefused"
        case PurposeRefused():
            kind, state = "refusal of everyone for the purpose", "ConsentRefused"
        case PurposeAllowed():
            kind, state = "purpose allowed again", "ConsentGiven"
        case ConsentRevoked() | AllConsentsRevoked():
            kind, state = "withdrawal", "ConsentWithdrawn" if by_patient else "ConsentRevoked"
    record: dict[str, Any] = {
        "event_time": _time_text(event.at),
        "entity_id": hex(_actor(event)),
        "event_type": kind,
        "event_state": state,
        "entry": event.seq,
    }
    if isinstance(event, ConsentAdded):
        record["validity_duration"] = {
            "from": _time_text(event.starts_at),
            "until": _time_text(event.expires_at),
        }
    if isinstance(event, ConsentAdded | ConsentRevoked | ConsentRefused):
        record["version"] = event.version
    if event.location is not None:
        record["transaction"] = hex(event.location.transaction_hash)
        record["block"] = event.location.block_number
    return record


def _time_text(seconds: int) -> str:
    """The time as ISO 8601 in UTC, or as unix seconds after the year 9999."""
    try:
        return utc_text(seconds)
    except InvalidValue:
        return f"unix second {seconds}"

"""Consent receipts in the style of ISO/IEC TS 27560:2023: the patient's proof of what was agreed.

A receipt covers one consent record, that is one (patient, grantee, purpose), with every event in its history.
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

from medsync.log.exports import PatientExport
from medsync.protocol.events import AllConsentsRevoked, ConsentAdded, ConsentEvent, EventLocation
from medsync.protocol.felt import InvalidValue, decode_short_string
from medsync.protocol.hashing import poseidon
from medsync.protocol.types import CampaignTerms, utc_text
from medsync.protocol.vocabulary import ACT_REASON_SYSTEM, EHDS_GROUPS, Category, Purpose

#: Identifies the format of the receipt.
SCHEMA: Final = "medsync.consent-receipt/1"


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
    export: PatientExport,
    grantee: int,
    purpose: Purpose,
    particulars: Particulars | None = None,
) -> dict[str, Any]:
    """Make the receipt of one consent record, ready for `json.dumps`.

    Raises `InvalidValue` if that consent was never given.
    """
    known = particulars or Particulars()
    events = _life(export, grantee, purpose)
    if not events:
        raise InvalidValue(f"{hex(export.patient)} never gave {hex(grantee)} a consent for {purpose}")
    current = next(event for event in reversed(events) if isinstance(event, ConsentAdded))
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
    addresses = dict.fromkeys([export.patient, grantee, *(event.by for event in events)])
    parties = [_party(export, address, grantee, known) for address in addresses]
    missing = [f"processing.{name}" for name, value in processing.items() if value is None]
    missing += [f"parties.{party['party_id']}" for party in parties if party["party_name"] is None]
    missing += [
        f"events[{index}].event_time" for index, event in enumerate(events) if _time(event.location) is None
    ]
    return {
        "schema_version": SCHEMA,
        "receipt_id": _receipt_id(export, grantee, purpose, events),
        "record_id": f"{grantee:#x}:{purpose}",
        "pii_principal_id": hex(export.patient),
        "ledger": {"chain_id": decode_short_string(export.chain_id), "contract": hex(export.contract)},
        "processing": processing,
        "parties": parties,
        "events": [_event(event, first=index == 0) for index, event in enumerate(events)],
        "not_recorded": missing,
    }


def dumps(receipt: dict[str, Any]) -> str:
    """Write a receipt as JSON (indented by two spaces, with a final newline)."""
    return json.dumps(receipt, indent=2, ensure_ascii=False) + "\n"


def _life(export: PatientExport, grantee: int, purpose: Purpose) -> list[ConsentEvent]:
    """The events that changed this record, starting with the first consent."""
    events: list[ConsentEvent] = []
    live = False
    for event in export.consents:
        if isinstance(event, AllConsentsRevoked):
            concerned = live
        else:
            concerned = (event.grantee, event.purpose) == (grantee, purpose)
        if concerned:
            live = isinstance(event, ConsentAdded)
            events.append(event)
    return events


def _receipt_id(export: PatientExport, grantee: int, purpose: Purpose, events: Sequence[ConsentEvent]) -> str:
    """The receipt's id, which changes only with new events of the record."""
    felts = [export.chain_id, export.contract, export.patient, grantee, purpose.felt, len(events)]
    return hex(poseidon(felts))


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


def _party(export: PatientExport, address: int, grantee: int, known: Particulars) -> dict[str, Any]:
    if address == export.patient:
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


def _event(event: ConsentEvent, *, first: bool) -> dict[str, Any]:
    record: dict[str, Any] = {
        "event_time": _time(event.location),
        "entity_id": hex(event.by),
        "event_type": "explicitly expressed consent" if isinstance(event, ConsentAdded) else "withdrawal",
    }
    if isinstance(event, ConsentAdded):
        record["event_state"] = "ConsentGiven" if first else "RenewedConsentGiven"
        record["validity_duration"] = {
            "from": _time_text(event.starts_at),
            "until": _time_text(event.expires_at),
        }
    else:
        record["event_state"] = "ConsentWithdrawn" if event.by == event.patient else "ConsentRevoked"
    record["version"] = None if isinstance(event, AllConsentsRevoked) else event.version
    if event.location is not None:
        record["transaction"] = hex(event.location.transaction_hash)
        record["block"] = event.location.block_number
    return record


def _time(location: EventLocation | None) -> str | None:
    return None if location is None or location.timestamp is None else _time_text(location.timestamp)


def _time_text(seconds: int) -> str:
    """The time as ISO 8601 in UTC, or as unix seconds after the year 9999."""
    try:
        return utc_text(seconds)
    except InvalidValue:
        return f"unix second {seconds}"

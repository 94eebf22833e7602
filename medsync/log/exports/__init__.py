"""What a patient can take away: consents and access log as JSON, CSV, FHIR R5 and consent receipts.

Every form starts from one `PatientExport`. Only JSON and CSV carry the log so that it can be verified again
without a node; FHIR and receipts are for systems that speak those languages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from medsync.protocol.events import AllConsentsRevoked, ConsentAdded, ConsentEvent, LogEntry
from medsync.protocol.felt import InvalidValue
from medsync.protocol.types import LogHead
from medsync.protocol.vocabulary import Purpose


@dataclass(frozen=True, slots=True)
class PatientExport:
    """One patient's consents and access log, as read from one contract on one chain."""

    #: The chain's id as a felt: its name as a short string.
    chain_id: int
    #: The `MedSync` contract.
    contract: int
    patient: int
    #: The log's head as the contract answered it.
    head: LogHead
    #: The log, first entry first.
    entries: tuple[LogEntry, ...]
    #: What happened to the patient's consents, in the order of the chain.
    consents: tuple[ConsentEvent, ...] = ()

    def __post_init__(self) -> None:
        if any(event.patient != self.patient for event in self.consents):
            raise InvalidValue("consents: an event is about another patient")


class ConsentState(StrEnum):
    """Where one given version of a consent stands at some second."""

    GIVEN = "given"
    #: A newer version took its place.
    RENEWED = "renewed"
    #: Withdrawn by the patient.
    WITHDRAWN = "withdrawn"
    #: Revoked by somebody else for the patient.
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """One version of a consent, from the event that gave it to the one that ended it."""

    added: ConsentAdded
    #: What ended it before its window did; None if nothing has.
    ended: ConsentEvent | None = None

    def state(self, at: int) -> ConsentState:
        """Where it stands at the unix second `at`, given all the events it was made from."""
        if isinstance(self.ended, ConsentAdded):
            return ConsentState.RENEWED
        if self.ended is not None:
            by_patient = self.ended.by == self.added.patient
            return ConsentState.WITHDRAWN if by_patient else ConsentState.REVOKED
        return ConsentState.EXPIRED if at >= self.added.expires_at else ConsentState.GIVEN


def given_consents(events: Sequence[ConsentEvent]) -> list[GivenConsent]:
    """Every version of one patient's consents that was ever given, oldest first, with what ended it.

    `events` stand in the chain's order. The first event that ends a version counts.
    """
    given: list[GivenConsent] = []
    live: dict[tuple[int, Purpose], int] = {}
    for event in events:
        if isinstance(event, AllConsentsRevoked):
            ended = list(live.values())
            live.clear()
        else:
            key = (event.grantee, event.purpose)
            ended = [live.pop(key)] if key in live else []
        for index in ended:
            given[index] = GivenConsent(given[index].added, event)
        if isinstance(event, ConsentAdded):
            live[event.grantee, event.purpose] = len(given)
            given.append(GivenConsent(event))
    return given

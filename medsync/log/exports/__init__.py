"""Exports of a patient's consents and access log: JSON, CSV, FHIR R5 and consent receipts.

Every format is made from a `PatientExport`. Only JSON and CSV contain the log in a form that can be verified
again without a node; FHIR and receipts are for systems that process those formats.
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
    """One patient's consents and access log, as read from one contract on one chain.

    >>> from medsync.protocol.types import LogHead
    >>> export = PatientExport(0x534E5F5345504F4C4941, 1, 7, head=LogHead(0, 0), entries=())
    >>> export.head.count
    0
    """

    #: The chain's id as a felt: its name as a short string.
    chain_id: int
    #: The `MedSync` contract.
    contract: int
    patient: int
    #: The log's head as returned by the contract.
    head: LogHead
    #: The log entries, oldest first.
    entries: tuple[LogEntry, ...]
    #: The events of the patient's consents, in chain order.
    consents: tuple[ConsentEvent, ...] = ()

    def __post_init__(self) -> None:
        if any(event.patient != self.patient for event in self.consents):
            raise InvalidValue("consents: an event belongs to another patient")


class ConsentState(StrEnum):
    """The state of one version of a consent at a given second."""

    GIVEN = "given"
    #: Replaced by a newer version.
    RENEWED = "renewed"
    #: Withdrawn by the patient.
    WITHDRAWN = "withdrawn"
    #: Revoked on the patient's behalf by a delegate.
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """One version of a consent, from the event that gave it to the event that ended it."""

    added: ConsentAdded
    #: The event that ended it before its window did, if any.
    ended: ConsentEvent | None = None

    def state(self, at: int) -> ConsentState:
        """The state at the unix second `at`, according to the events it was built from."""
        if isinstance(self.ended, ConsentAdded):
            return ConsentState.RENEWED
        if self.ended is not None:
            by_patient = self.ended.by == self.added.patient
            return ConsentState.WITHDRAWN if by_patient else ConsentState.REVOKED
        return ConsentState.EXPIRED if at >= self.added.expires_at else ConsentState.GIVEN


def given_consents(events: Sequence[ConsentEvent]) -> list[GivenConsent]:
    """All versions of one patient's consents, oldest first, each with the event that ended it.

    `events` must be in chain order. The first event that ends a version counts.
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

"""Exports of a patient's proven histories: JSON, CSV, FHIR R5 and consent receipts.

Every format is made from a `PatientHistory`: consents, accesses and the registry as of one block. JSON and
CSV contain the histories in a form that can be verified again without a node; FHIR and receipts are for
systems that process those formats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from medsync.errors import VerificationError
from medsync.log.completeness import history_faults
from medsync.log.histories import PatientHistory
from medsync.protocol.events import (
    AllConsentsRevoked,
    ConsentAdded,
    ConsentEvent,
    ConsentRefused,
    ConsentRevoked,
    PurposeAllowed,
    PurposeRefused,
)
from medsync.protocol.felt import InvalidValue
from medsync.protocol.vocabulary import Purpose


class ConsentState(StrEnum):
    """The state of one version of a consent at a given second."""

    GIVEN = "given"
    #: Replaced by a newer version.
    RENEWED = "renewed"
    #: Withdrawn by the patient.
    WITHDRAWN = "withdrawn"
    #: Revoked on the patient's behalf by a delegate.
    REVOKED = "revoked"
    #: Ended by a refusal of the grantee.
    REFUSED = "refused"
    #: Not ended, but the patient refuses everyone for its purpose.
    SUSPENDED = "suspended"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """One version of a consent, from the event that gave it to the event that ended it."""

    added: ConsentAdded
    #: The event that ended it before its window did, if any.
    ended: ConsentEvent | None = None
    #: The standing refusal of everyone for its purpose, if any.
    suspended: PurposeRefused | None = None

    def state(self, at: int) -> ConsentState:
        """The state at the unix second `at`, according to the events it was built from."""
        match self.ended:
            case ConsentAdded():
                return ConsentState.RENEWED
            case ConsentRefused():
                return ConsentState.REFUSED
            case ConsentRevoked() | AllConsentsRevoked():
                by_patient = self.ended.by == self.added.patient
                return ConsentState.WITHDRAWN if by_patient else ConsentState.REVOKED
        if at >= self.added.expires_at:
            return ConsentState.EXPIRED
        return ConsentState.GIVEN if self.suspended is None else ConsentState.SUSPENDED


@dataclass(frozen=True, slots=True)
class ConsentRefusal:
    """A refusal of one grantee, or of everyone for a purpose, and the event that lifted or replaced it."""

    refused: ConsentRefused | PurposeRefused
    lifted: ConsentEvent | None = None


def given_consents(events: Sequence[ConsentEvent]) -> list[GivenConsent]:
    """All versions of one patient's consents, oldest first, each with the event that ended it.

    `events` must be in the order of the history. The first event that ends a version counts.
    """
    given: list[GivenConsent] = []
    live: dict[tuple[int, Purpose, int], int] = {}
    refused: dict[Purpose, PurposeRefused] = {}
    for event in events:
        match event:
            case AllConsentsRevoked():
                ended = list(live.values())
                live.clear()
            case ConsentAdded() | ConsentRevoked() | ConsentRefused():
                key = event.grantee, event.purpose, event.study
                ended = [live.pop(key)] if key in live else []
                if isinstance(event, ConsentAdded):
                    live[key] = len(given)
                    given.append(GivenConsent(event))
            case _:
                ended = []
        match event:
            case PurposeRefused():
                refused[event.purpose] = event
            case PurposeAllowed():
                refused.pop(event.purpose, None)
        for index in ended:
            given[index] = GivenConsent(given[index].added, event)
    for index in live.values():
        added = given[index].added
        given[index] = GivenConsent(added, suspended=refused.get(added.purpose))
    return given


def refusals(events: Sequence[ConsentEvent]) -> list[ConsentRefusal]:
    """All refusals of one patient, oldest first, each with the event that lifted or replaced it.

    `events` must be in the order of the history. Revoking everything lifts no refusal.
    """
    found: list[ConsentRefusal] = []
    standing: dict[tuple[int, Purpose, int] | Purpose, int] = {}
    for event in events:
        match event:
            case ConsentAdded() | ConsentRevoked() | ConsentRefused():
                key: tuple[int, Purpose, int] | Purpose = (event.grantee, event.purpose, event.study)
            case PurposeRefused() | PurposeAllowed():
                key = event.purpose
            case _:
                continue
        if key in standing:
            index = standing.pop(key)
            found[index] = ConsentRefusal(found[index].refused, event)
        if isinstance(event, ConsentRefused | PurposeRefused):
            standing[key] = len(found)
            found.append(ConsentRefusal(event))
    return found


def check_whole(patient: PatientHistory) -> None:
    """Raise `InvalidValue` for histories that begin at a checkpoint: an export is of whole ones."""
    for history in patient.histories:
        if history.known is not None:
            raise InvalidValue(
                f"{history.title} continues from entry {history.known.seq}: only whole histories are exported"
            )


def check_proven(patient: PatientHistory) -> None:
    """Raise `VerificationError` with every fault unless the entries are the whole histories."""
    faults = [str(fault) for history in patient.histories for fault in history_faults(history)]
    if faults:
        raise VerificationError("the entries are not the patient's whole history", findings=faults)

"""Four made-up patients as FHIR R5, for demonstrations and tests. None of them is or was a person.

Every file is a FHIR collection, and every resource carries the security label HTEST (test health data), which
the loader insists on: real records cannot slip in by mistake.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from medsync.protocol.commitments import parse_json
from medsync.protocol.felt import InvalidValue
from medsync.protocol.fhir import parse_resource
from medsync.protocol.vocabulary import ACT_REASON_SYSTEM, Category, category_of


@dataclass(frozen=True, slots=True)
class SyntheticPatient:
    """A made-up patient and the resources of its record."""

    #: Logical id of the FHIR Patient.
    id: str
    name: str
    #: Every resource of the file as parsed JSON, the Patient first; validated.
    resources: tuple[Mapping[str, Any], ...]

    @property
    def categories(self) -> Category:
        """The data categories that the resources fall into."""
        found = Category(0)
        for resource in self.resources:
            found |= category_of(resource)
        return found


def load_patients() -> list[SyntheticPatient]:
    """The patients that come with this package, in the order of their files."""
    found = sorted(files(__name__).joinpath("patients").iterdir(), key=lambda file: file.name)
    return [load_patient(file) for file in found if file.name.endswith(".json")]


def load_patient(file: Traversable | Path) -> SyntheticPatient:
    """The made-up patient in a FHIR R5 collection, validated.

    Raises `InvalidValue`, naming the file and the element, for what is not JSON, not valid FHIR, not labelled
    as test data, of no data category, or not one patient's record.
    """
    name = file.name
    try:
        document = parse_json(file.read_bytes())
    except InvalidValue as error:
        raise InvalidValue(f"{name}: {error}") from None
    parse_resource(document, name)
    if document["resourceType"] != "Bundle":
        raise InvalidValue(
            f"{name}: resourceType: a patient's file is a Bundle, not {document['resourceType']}"
        )
    resources: list[Mapping[str, Any]] = []
    for index, entry in enumerate(document.get("entry", [])):
        where = f"{name}: Bundle.entry[{index}].resource"
        resource = entry.get("resource")
        if resource is None:
            raise InvalidValue(f"{where}: missing")
        _check_label(resource, where)
        try:
            category_of(resource)
        except InvalidValue as error:
            raise InvalidValue(f"{where}: {error}") from None
        resources.append(resource)
    _check_label(document, f"{name}: Bundle")
    if not resources or resources[0]["resourceType"] != "Patient":
        raise InvalidValue(f"{name}: Bundle.entry[0].resource: the first resource must be the Patient")
    patient = resources[0]
    for index, resource in enumerate(resources[1:], 1):
        subject = resource.get("subject") or resource.get("patient") or {}
        if subject.get("reference") != f"Patient/{patient.get('id')}":
            where = f"{name}: Bundle.entry[{index}].resource"
            raise InvalidValue(f"{where}: its subject is not the file's patient")
    return SyntheticPatient(str(patient.get("id")), _name(patient, name), tuple(resources))


def _check_label(resource: Mapping[str, Any], where: str) -> None:
    labels = (resource.get("meta") or {}).get("security") or []
    if not any((label.get("system"), label.get("code")) == (ACT_REASON_SYSTEM, "HTEST") for label in labels):
        raise InvalidValue(f"{where}.meta.security: not labelled HTEST, so not known to be made up")


def _name(patient: Mapping[str, Any], file: str) -> str:
    names = patient.get("name") or []
    if not names or not names[0].get("text"):
        raise InvalidValue(f"{file}: Bundle.entry[0].resource.name[0].text: missing")
    return str(names[0]["text"])

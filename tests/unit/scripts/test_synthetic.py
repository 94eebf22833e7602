"""The made-up patients, their labels, and what the loader says of files that are not fit."""

import json
from collections import Counter

import pytest

from medsync.protocol.commitments import Domain, Opening
from medsync.protocol.felt import InvalidValue
from medsync.protocol.fhir import parse_resource
from medsync.protocol.vocabulary import Category, category_of
from scripts.demo.synthetic import load_patient, load_patients

PATIENTS = load_patients()
REQUIRED = {"Patient", "Condition", "Observation", "MedicationRequest", "Immunization"}


def test_four_patients():
    assert [patient.name for patient in PATIENTS] == [
        f"Synthetic Patient {number}" for number in ("One", "Two", "Three", "Four")
    ]
    for patient in PATIENTS:
        kinds = Counter(resource["resourceType"] for resource in patient.resources)
        assert set(kinds) >= REQUIRED
        assert kinds["Patient"] == 1
        assert len(patient.resources) >= 7


def test_ids_are_unique():
    ids = [(item["resourceType"], item["id"]) for patient in PATIENTS for item in patient.resources]
    assert len(ids) == len(set(ids))


def test_references_stay_inside_the_patients_record():
    for patient in PATIENTS:
        known = {f"{item['resourceType']}/{item['id']}" for item in patient.resources}
        for resource in patient.resources:
            results = [result["reference"] for result in resource.get("result", ())]
            assert set(results) <= known


def test_everything_is_labelled_and_named_synthetic():
    for patient in PATIENTS:
        assert patient.resources[0]["name"][0]["family"] == "Synthetic"
        for resource in patient.resources:
            assert [label["code"] for label in resource["meta"]["security"]] == ["HTEST"]
            assert resource["id"].startswith("synthetic-patient-")


def test_categories():
    together = Category(0)
    for patient in PATIENTS:
        assert patient.categories & Category.CONDITION
        together |= patient.categories
    assert together >= Category.IMAGING | Category.PROCEDURE | Category.ALLERGY | Category.ENCOUNTER
    summary = next(item for item in PATIENTS[2].resources if item["resourceType"] == "DocumentReference")
    assert category_of(summary) is Category.PATIENT_SUMMARY


def test_resources_can_be_committed_to():
    openings = [
        Opening.of_json(Domain.RECORD, resource) for patient in PATIENTS for resource in patient.resources
    ]
    assert len({opening.commitment for opening in openings}) == len(openings)
    for opening in openings:
        opening.verify()


# --- files that are not fit ---------------------------------------------------------------------------------


def bundle() -> dict:
    """The first patient's file again, as parsed JSON."""
    label = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]}
    entries = [{"resource": dict(resource)} for resource in PATIENTS[0].resources]
    return {"resourceType": "Bundle", "type": "collection", "meta": label, "entry": entries}


def load(tmp_path, document) -> None:
    file = tmp_path / "record.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    load_patient(file)


def test_a_users_own_file_loads(tmp_path):
    file = tmp_path / "record.json"
    file.write_text(json.dumps(bundle()))
    assert load_patient(file) == PATIENTS[0]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("entry", 2, "resource", "status"), "done", r"Bundle.entry\[2\].resource.status: must be one of"),
        (("entry", 2, "resource", "statu"), "final", r"Bundle.entry\[2\].resource.statu: Extra inputs"),
        (("entry", 0, "resource", "birthDate"), "14 March", r"Bundle.entry\[0\].resource.birthDate: "),
        (("entry", 0, "resource", "gender"), 1, r"Bundle.entry\[0\].resource.gender: .*valid string"),
        (
            ("entry", 1, "resource", "meta"),
            None,
            r"Bundle.entry\[1\].resource.meta.security: not labelled HTEST",
        ),
        (
            ("entry", 1, "resource", "subject"),
            {"reference": "Patient/x"},
            r"Bundle.entry\[1\].resource: its subject",
        ),
        (("entry", 0, "resource", "id"), "somebody", r"Bundle.entry\[1\].resource: its subject"),
        (("entry", 0, "resource", "name"), None, r"Bundle.entry\[0\].resource.name\[0\].text: missing"),
        (("entry", 1), {"fullUrl": "urn:x"}, r"Bundle.entry\[1\].resource: missing"),
        (("entry",), [], r"Bundle.entry\[0\].resource: the first resource must be the Patient"),
        (("meta",), None, r"Bundle.meta.security: not labelled HTEST"),
        (("type",), "pile", r"Bundle.type: must be one of"),
    ],
)
def test_errors_name_file_and_element(tmp_path, path, value, message):
    document = bundle()
    target = document
    for step in path[:-1]:
        target = target[step]
    if value is None:
        target.pop(path[-1])
    else:
        target[path[-1]] = value
    with pytest.raises(InvalidValue, match=f"^record.json: {message}"):
        load(tmp_path, document)


def test_resource_without_category(tmp_path):
    document = bundle()
    document["entry"][1]["resource"] = {
        "resourceType": "Basic",
        "meta": document["meta"],
        "code": {"text": "x"},
        "subject": {"reference": "Patient/synthetic-patient-one"},
    }
    with pytest.raises(InvalidValue, match=r"entry\[1\].resource: .* 'Basic' has no data category"):
        load(tmp_path, document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ('{"resourceType":"Bundle"', "not JSON: .* in line 1"),
        ('{"resourceType":"Bundle","type":"collection","type":"batch"}', "names a member twice"),
        ("[]", "not a FHIR resource"),
        ('{"resourceType":7}', "not a FHIR resource"),
        ('{"resourceType":"Record"}', "resourceType: 'Record' is not a FHIR R5 resource"),
        ('{"resourceType":"Patient"}', "a patient's file is a Bundle, not Patient"),
    ],
)
def test_text_that_is_no_record(tmp_path, text, message):
    with pytest.raises(InvalidValue, match=f"^record.json: .*{message}"):
        load(tmp_path, text)


def test_errors_quote_no_data(tmp_path):
    document = bundle()
    document["entry"][0]["resource"]["birthDate"] = "born in the confidential year"
    document["entry"][0]["resource"]["gender"] = ["confidential"]
    with pytest.raises(InvalidValue) as caught:
        load(tmp_path, document)
    assert "confidential" not in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": {"resourceType": "Nothing"}}],
        },
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": 5}]},
        {"resourceType": "Bundle", "type": "collection", "entry": 5},
        {"resourceType": "Bundle", "entry": []},
        {"resourceType": "Observation", "status": "final"},
        {"resourceType": "Patient", "contact": [{"gender": "x"}]},
    ],
)
def test_parse_resource_refuses(document):
    with pytest.raises(InvalidValue, match=f"^here: {document['resourceType']}"):
        parse_resource(document, "here")

"""The vocabulary against the contracts' ABI, the sources' purposes, and itself."""

import json
import re

import pytest

from medsync.protocol.felt import InvalidValue, decode_short_string
from medsync.protocol.vocabulary import (
    DOCUMENT_TYPES,
    EHDS_GROUPS,
    FHIR_CATEGORIES,
    REFUSAL_BITS,
    CampaignStatus,
    Category,
    ConsentStatus,
    Decision,
    EmergencyChoice,
    PayeeKind,
    Power,
    Purpose,
    Reason,
    Role,
    category_of,
    markdown_table,
)
from scripts import repository

ROOT = repository.root()
# fmt: off
CODES = [
    "TREAT", "ETREAT", "BTG", "CAREMGT", "HPAYMT", "HOPERAT", "HQUALIMP", "PUBHLTH", "HRESCH", "CLINTRCH",
    "BIORCH", "TRANSRCH", "DSRCH", "POARCH", "PATRQT", "FAMRQT",
]
# fmt: on


def abi_variants() -> dict[str, list[str]]:
    """The variants of every enum of both contracts, by its bare name."""
    enums = {}
    for contract in ("MedSync", "RewardPool"):
        abi = json.loads((ROOT / f"medsync/artifacts/{contract}.abi.json").read_text())
        for item in abi:
            if item["type"] == "enum":
                enums[item["name"].rpartition("::")[2]] = [variant["name"] for variant in item["variants"]]
    return enums


@pytest.mark.parametrize("words", [Role, Decision, Reason, ConsentStatus, EmergencyChoice, CampaignStatus])
def test_enum_is_the_contracts(words):
    assert [member.variant for member in words] == abi_variants()[words.__name__]
    assert [member.value for member in words] == list(range(len(words)))
    assert all(words.from_variant(member.variant) is member for member in words)


def test_unknown_variant_is_refused():
    with pytest.raises(InvalidValue, match="Decision has no variant 'Maybe'"):
        Decision.from_variant("Maybe")


def test_purposes_are_the_contracts():
    assert [purpose.value for purpose in Purpose] == CODES
    source = (ROOT / "contracts/src/vocabulary.cairo").read_text()
    body = source.partition("pub fn is_purpose")[2].partition("\n}\n")[0]
    named = re.findall(r"'([A-Z]+)'", body)
    assert {*named, "BTG"} == set(CODES)
    assert [purpose for purpose in Purpose if not purpose.is_consentable] == [Purpose.BTG]
    assert {purpose.value for purpose in Purpose if purpose.is_consentable} == set(named)


def test_bits_of_refused_purposes_are_the_contracts():
    source = (ROOT / "contracts/src/vocabulary.cairo").read_text()
    body = source.partition("pub fn purpose_bit")[2].partition("\n}\n")[0]
    bits = {code: int(bit, 16) for code, bit in re.findall(r"== '([A-Z]+)' \{\s+(0x[0-9a-f]+)\n", body)}
    assert bits == {purpose.value: 1 << place for place, purpose in enumerate(REFUSAL_BITS)}


def test_purpose_felts():
    assert Purpose.BTG.felt == 0x425447
    for purpose in Purpose:
        assert decode_short_string(purpose.felt) == purpose == Purpose.from_felt(purpose.felt)
    assert Purpose("HRESCH").display == "healthcare research"


@pytest.mark.parametrize("felt", [0, 1, int.from_bytes(b"treat"), int.from_bytes(b"HMARKT"), 2**251])
def test_unknown_purpose_is_refused(felt):
    with pytest.raises(InvalidValue, match="is not a purpose"):
        Purpose.from_felt(felt)


def test_category_bits():
    assert [category.bit_length() - 1 for category in Category] == list(range(16))
    assert Category.ALL == 0xFFFF
    names = (Category.LABORATORY | Category.PATIENT_SUMMARY).names
    assert names == ("PATIENT_SUMMARY", "LABORATORY")
    assert Category.from_names(names) == Category.LABORATORY | Category.PATIENT_SUMMARY
    assert Category.from_names(()) == 0
    assert Category.from_names(Category.ALL.names) is Category.ALL


def test_unpublished_categories():
    with pytest.raises(InvalidValue, match="0x10001 has a bit"):
        _ = Category(0x10001).names
    with pytest.raises(InvalidValue, match="'PSYCHIATRY' is not a data category"):
        Category.from_names(["LABORATORY", "PSYCHIATRY"])


def test_powers():
    assert {power.name: power.value for power in Power} == {"GIVE": 1, "REVOKE": 2, "REFUSE": 4}
    source = (ROOT / "contracts/interfaces/src/consent_registry.cairo").read_text()
    assert dict(re.findall(r"pub const POWER_(\w+): u8 = (\d+);", source)) == {
        power.name: str(power.value) for power in Power
    }


def test_ehds_groups_are_the_first_six_bits():
    assert list(EHDS_GROUPS) == list(DOCUMENT_TYPES) == [Category(1 << bit) for bit in range(6)]
    # every category but the purely documentary one is reached by some FHIR type
    assert set(Category) - set(FHIR_CATEGORIES.values()) == {Category.DISCHARGE_REPORT}


@pytest.mark.parametrize(
    ("resource", "category"),
    [
        ({"resourceType": "Condition"}, Category.CONDITION),
        ({"resourceType": "MedicationRequest"}, Category.E_PRESCRIPTION),
        ({"resourceType": "MedicationDispense"}, Category.E_DISPENSATION),
        ({"resourceType": "MedicationStatement"}, Category.MEDICATION),
        ({"resourceType": "ImagingStudy"}, Category.IMAGING),
        ({"resourceType": "DocumentReference"}, Category.DOCUMENT),
        (
            {
                "resourceType": "Composition",
                "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5"}]},
            },
            Category.DISCHARGE_REPORT,
        ),
        (
            {"resourceType": "Composition", "type": {"coding": [{"system": "urn:other", "code": "18842-5"}]}},
            Category.DOCUMENT,
        ),
    ],
)
def test_category_of(resource, category):
    assert category_of(resource) is category


@pytest.mark.parametrize("resource", [{}, {"resourceType": "Basic"}, {"resourceType": ["Condition"]}])
def test_resource_without_category(resource):
    with pytest.raises(InvalidValue, match="has no data category"):
        category_of(resource)


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()]


def test_tables():
    decisions = rows(markdown_table(Decision))
    assert decisions[0] == ["Index", "Variant", "Meaning"]
    assert decisions[1] == ["---"] * 3
    assert decisions[4] == ["2", "`NoConsent`", "no: the patient has never decided about it"]
    purposes = rows(markdown_table(Purpose))
    assert purposes[4] == ["`BTG`", "break the glass", "`0x425447`"]
    categories = rows(markdown_table(Category))
    assert categories[7] == [
        "5",
        "`DISCHARGE_REPORT`",
        "discharge reports",
        "`18842-5` Discharge summary",
        "",
    ]
    assert rows(markdown_table(Power))[3] == ["2", "`REVOKE`", "revoke one consent or all of them"]
    own = (Role, Decision, Reason, ConsentStatus, EmergencyChoice, PayeeKind, CampaignStatus)
    for words in (*own, Purpose, Category, Power):
        table = rows(markdown_table(words))
        assert len(table) == 2 + len(words)
        assert {len(row) for row in table} == {len(table[0])}

"""The vocabulary's words are the contracts': compared with their ABI, or the sources where it is silent."""

import re
from dataclasses import is_dataclass

import pytest

from medsync.protocol import types, vocabulary
from medsync.protocol.felt import encode_short_string
from medsync.protocol.types import AccessRequest, CampaignTerms, Consent, ConsentTerms
from medsync.protocol.vocabulary import Category, Power, Purpose
from scripts import repository
from tests.harness.abi_types import ANCHOR, MEDSYNC, POOL, assert_same, entry, functions

SOURCES = repository.root() / "contracts" / "src"
INTERFACES = repository.root() / "contracts" / "interfaces" / "src"
ENUMS = ["Role", "Decision", "Reason", "ConsentStatus", "EmergencyChoice"]
POOL_ENUMS = ["CampaignStatus"]


@pytest.mark.parametrize(
    ("abi", "name"),
    [(MEDSYNC, name) for name in ENUMS] + [(POOL, name) for name in POOL_ENUMS],
    ids=ENUMS + POOL_ENUMS,
)
def test_enums_have_the_contracts_variants_in_their_order(abi: list[dict[str, object]], name: str) -> None:
    variants = [variant["name"] for variant in entry(abi, "enum", name)["variants"]]
    kind = getattr(vocabulary, name)
    assert [member.variant for member in kind] == variants
    assert [member.value for member in kind] == list(range(len(variants)))


def test_purposes_are_those_that_the_contracts_accept() -> None:
    body = re.search(r"pub fn is_purpose.*?^\}", (SOURCES / "vocabulary.cairo").read_text(), re.M | re.S)
    assert body is not None
    accepted = set(re.findall(r"'(\w+)'", body[0])) | {"BTG"}
    assert {str(purpose) for purpose in Purpose} == accepted
    assert all(purpose.felt == encode_short_string(purpose) for purpose in Purpose)


def test_categories_and_powers_are_the_contracts_bits() -> None:
    names = ("vocabulary.cairo", "consent_registry.cairo")
    source = "".join((INTERFACES / name).read_text() for name in names)
    constants = {
        name: int(value, 0) for name, value in re.findall(r"pub const (\w+): u\d+ = (0x\w+|\d+);", source)
    }
    assert constants["ALL_CATEGORIES"] == Category.ALL
    assert sum(Category) == Category.ALL
    powers = {
        name.removeprefix("POWER_"): bit for name, bit in constants.items() if name.startswith("POWER_")
    }
    assert powers == {power.name: power.value for power in Power}


@pytest.mark.parametrize(
    "name",
    [
        *("CampaignTerms", "ConsentTerms", "Consent", "PatientState", "Delegation", "Entity", "PendingAdmin"),
        *("AccessRequest", "AccessReceipt", "Head", "Verdict", "Subject", "Emergency", "Budget", "PaidUses"),
    ],
)
def test_structs_of_medsync_are_the_contracts(name: str) -> None:
    assert_same(getattr(types, name), entry(MEDSYNC, "struct", name)["name"], MEDSYNC)


def test_structs_of_the_pool_are_the_contracts() -> None:
    for name in ("CampaignTerms", "Campaign", "Claim", "KeyCredit"):
        assert_same(getattr(types, name), entry(POOL, "struct", name)["name"], POOL)


def test_no_struct_of_the_contracts_is_without_a_type() -> None:
    found = [
        struct["name"].rpartition("::")[2]
        for abi in (MEDSYNC, POOL, ANCHOR)
        for struct in abi
        if struct["type"] == "struct" and struct["name"].startswith("medsync_interfaces::")
    ]
    assert len(found) > 20
    assert all(is_dataclass(getattr(types, name)) for name in found)


def test_a_payee_is_the_pools_enum() -> None:
    (payee,) = (part for part in functions(POOL)["spend"]["inputs"] if part["name"] == "payee")
    assert_same(types.Payee, payee["type"], POOL)


def test_the_calldata_of_structs_has_their_fields_in_order() -> None:
    terms = CampaignTerms(1, 2, Purpose.TREAT, 3, 4, 5, 6, 7, 8, 9)
    consent = ConsentTerms(Purpose.TREAT, 3, Category.IMAGING, 8, 9, 10, True, None, 11)
    request = AccessRequest(12, Purpose.TREAT, 3, Category.IMAGING, 13, 14)
    treat = Purpose.TREAT.felt
    assert terms.calldata() == [1, 2, treat, 3, 4, 5, 6, 7, 8, 9]
    assert consent.calldata() == [treat, 3, 8, 8, 9, 10, 1, 1, 11]
    assert request.calldata() == [12, treat, 3, 8, 13, 14]
    assert Consent.__slots__  # A view's answer, never sent.

"""Selectors, interface ids, class hashes and addresses, each computed a second time by code that shares
nothing with the first: eth-hash for keccak, cairo-lang for everything that is hashed by Poseidon, Pedersen or
BLAKE2s."""

import json
import re

import pytest
from starknet_py.hash.address import compute_address
from starknet_py.hash.selector import get_selector_from_name
from starknet_py.hash.storage import get_storage_var_address
from starkware.starknet.core.os.contract_address.contract_address import (
    calculate_contract_address_from_hash,
)
from starkware.starknet.public import abi as cairo_lang_abi

from medsync import artifacts
from medsync.protocol import src5 as interfaces
from scripts import build, repository
from tests.harness import src5

SOURCES = repository.root() / "contracts" / "interfaces" / "src"
CONTRACTS = [
    (name, package) for package in build.PACKAGES for name in artifacts.manifest(package.folder)["contracts"]
]


@pytest.mark.parametrize(("name", "package"), CONTRACTS)
def test_class_hashes_are_cairo_langs(name: str, package: build.Package) -> None:
    artifact = artifacts.load(name, package.folder)
    hashes = build.cairo_lang_hashes(json.loads(artifact.sierra), json.loads(artifact.casm))
    assert hashes == (artifact.class_hash, artifact.compiled_class_hash)


@pytest.mark.parametrize(("name", "package"), CONTRACTS)
def test_selectors_are_in_the_classes(name: str, package: build.Package) -> None:
    """The compiler's own selectors, against keccak by eth-hash and by cairo-lang."""
    artifact = artifacts.load(name, package.folder)
    names = {
        function["name"]
        for entry in artifact.abi
        for function in (entry, *entry.get("items", ()))
        if function["type"] == "function"
    }
    compiled = {
        int(entry["selector"], 16)
        for entry in json.loads(artifact.sierra)["entry_points_by_type"]["EXTERNAL"]
    }
    assert {src5.starknet_keccak(function) for function in names} == compiled
    for function in names:
        assert (
            get_selector_from_name(function)
            == cairo_lang_abi.get_selector_from_name(function)
            == src5.starknet_keccak(function)
        )


# --- SRC-5 --------------------------------------------------------------------------------------------------

PUBLISHED = {
    0x3F918D17E5EE77373B56385708F855659A07F75997F365CF87748628532A055: (
        "supports_interface(felt252)->E((),())",
    ),
    0x2CECCEF7F994940B3962A6C67E0BA4FCD37DF7D131417C604F91E03CAECC1CD: (
        "__execute__(Array<(ContractAddress,felt252,Array<felt252>)>)->Array<(@Array<felt252>)>",
        "__validate__(Array<(ContractAddress,felt252,Array<felt252>)>)->felt252",
        "is_valid_signature(felt252,Array<felt252>)->felt252",
    ),
}
"""Ids as SNIP-5 and SNIP-6 publish them, with the functions they are made of."""


@pytest.mark.parametrize("published", PUBLISHED)
def test_the_method_gives_the_published_ids(published: int) -> None:
    assert src5.id_of(PUBLISHED[published]) == published


@pytest.mark.parametrize(
    ("contract", "interface"),
    [
        ("MedSync", "IEntityRegistry"),
        ("MedSync", "IConsentRegistry"),
        ("MedSync", "IAccessLog"),
        ("MedSync", "IRewardBudgets"),
        ("MedSync", "ISRC5"),
        ("RewardPool", "IRewardPool"),
        ("RewardPool", "ISRC5"),
        ("PrivateAnchor", "IPrivateAnchor"),
        ("PrivateAnchor", "ISRC5"),
    ],
)
def test_interface_ids_in_the_sources(contract: str, interface: str) -> None:
    abi = artifacts.load(contract).abi
    constant = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=^I)(?=[A-Z][a-z])", "_", interface).upper().replace("I_", "I")
    (written,) = [
        int(value, 16)
        for path in SOURCES.glob("*.cairo")
        for value in re.findall(rf"pub const {constant}_ID: felt252 =\s*(0x[0-9a-f]+);", path.read_text())
    ]
    assert src5.interface_id(abi, interface) == interfaces.interface_id(abi, interface) == written


# --- addresses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "keys"),
    [
        ("EntityRegistry_admin", ()),
        ("EntityRegistry_entities", (0x1234,)),
        ("AccessLog_heads", (2**251 - 257,)),
        ("campaigns", (2**251 + 17 * 2**192,)),
    ],
)
def test_storage_addresses_are_cairo_langs(variable: str, keys: tuple[int, ...]) -> None:
    assert get_storage_var_address(variable, *keys) == cairo_lang_abi.get_storage_var_address(variable, *keys)


@pytest.mark.parametrize("deployer", [0, 0x41A78E741E5AF2FEC34B695679BC6891742439F7AFB8484ECD7766661AD02BF])
@pytest.mark.parametrize("constructor", [[], [1], [0xA, 2**251]])
def test_contract_addresses_are_cairo_langs(deployer: int, constructor: list[int]) -> None:
    class_hash = artifacts.load("MedSync").class_hash
    assert compute_address(
        class_hash=class_hash, constructor_calldata=constructor, salt=7, deployer_address=deployer
    ) == calculate_contract_address_from_hash(
        salt=7, class_hash=class_hash, constructor_calldata=constructor, deployer_address=deployer
    )

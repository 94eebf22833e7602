"""SRC-5: each contract says which interfaces it has, by ids that anyone can compute from its ABI."""

from typing import Any

import pytest

from medsync import artifacts
from tests.harness.anchoring import Anchoring
from tests.harness.driver import Contract
from tests.harness.src5 import interface_id
from tests.harness.world import World

INTERFACES = {
    "medsync": ("IEntityRegistry", "IRewardBudgets", "IConsentRegistry", "IAccessLog", "ISRC5"),
    "pool": ("IRewardPool", "ISRC5"),
    "anchor": ("IPrivateAnchor", "ISRC5"),
}


@pytest.mark.parametrize("who", INTERFACES)
def test_a_contract_supports_its_interfaces_and_no_other(world: World, who: str) -> None:
    contract = deployed(world, who)
    abi = contract_abi(who)
    for owner, interfaces in INTERFACES.items():
        for interface in interfaces:
            expected = owner == who or interface == "ISRC5"
            answer = world.read(
                "supports_interface",
                contract,
                interface_id=interface_id(abi if owner == who else contract_abi(owner), interface),
            )
            assert answer is expected, f"{who} supports {interface}: {answer}"


@pytest.mark.parametrize("who", INTERFACES)
@pytest.mark.parametrize("other", [0, 1, 0xFFFFFFFF, 2**251])
def test_anything_else_is_not_supported(world: World, who: str, other: int) -> None:
    assert world.read("supports_interface", deployed(world, who), interface_id=other) is False


@pytest.mark.parametrize("who", INTERFACES)
def test_the_abi_has_exactly_these_interfaces(who: str) -> None:
    names = {entry["name"].rsplit("::", 1)[1] for entry in contract_abi(who) if entry["type"] == "interface"}
    # Wallets ask for the signed messages' domain without asking for an id first: SNIP-12 has none.
    assert names == {*INTERFACES[who], *(["ISNIP12Metadata"] if who == "medsync" else [])}


def contract_abi(who: str) -> list[dict[str, Any]]:
    names = {"medsync": "MedSync", "pool": "RewardPool", "anchor": "PrivateAnchor"}
    return artifacts.load(names[who]).abi


def deployed(world: World, who: str) -> Contract:
    contract: Contract = Anchoring(world).contract if who == "anchor" else getattr(world, who)
    return contract

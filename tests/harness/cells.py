"""Storage cells, read and written from outside: where a variable lies, by cairo-lang's rules, and what is in
it."""

from functools import cache

from starkware.starknet.public.abi import get_storage_var_address

from tests.harness.driver import Contract
from tests.harness.world import World


@cache
def address_of(variable: str, *keys: int) -> int:
    """The address of a variable's cell, or of one of a map's cells."""
    return int(get_storage_var_address(variable, *keys))


def peek(world: World, contract: Contract, variable: str, *keys: int) -> int:
    """What a cell holds."""
    answer = world.chain.node.call(
        "starknet_getStorageAt",
        contract_address=hex(contract.address),
        key=hex(address_of(variable, *keys)),
        block_id="latest",
    )
    return int(answer, 16)


def poke(world: World, contract: Contract, value: int, variable: str, *keys: int) -> None:
    """Put something into a cell that would take years to get there."""
    entry = {"key": hex(address_of(variable, *keys)), "value": hex(value)}
    diff = {"address": hex(contract.address), "storage_entries": [entry]}
    world.chain.node.call("devnet_applyStateDiff", state_diff={"storage_diffs": [diff]})
    # It takes effect with the next block.
    world.chain.set_clock(world.now)
    assert peek(world, contract, variable, *keys) == value


def packed(*parts: tuple[int, int]) -> int:
    """Values side by side, lowest first, each with its width in bits."""
    cell = place = 0
    for value, width in parts:
        assert 0 <= value < 1 << width
        cell |= value << place
        place += width
    return cell

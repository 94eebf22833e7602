"""Storage cells, read and written from outside: where a variable lies, by cairo-lang's rules, and how it is
packed, by the specification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from poseidon_py.poseidon_hash import poseidon_hash_many
from starkware.starknet.public.abi import get_storage_var_address

from tests.harness.driver import Contract
from tests.harness.words import BROAD, BTG, HRESCH

if TYPE_CHECKING:
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


def poseidon(*felts: int) -> int:
    """Poseidon of felts, as keys and digests are made."""
    return int(poseidon_hash_many(list(felts)))


# --- layouts ------------------------------------------------------------------------------------------------


class Layout:
    """Fields of a cell with their widths in bits, lowest first: `"left:64 paid:64"`. `_` is room left free,
    `set` a mark that keeps the cell from being zero."""

    def __init__(self, fields: str) -> None:
        self.fields = [(name, int(width)) for name, width in (part.split(":") for part in fields.split())]

    def pack(self, **values: int) -> int:
        """The cell that holds these values; what is not named is zero."""
        unknown = set(values) - {name for name, _ in self.fields}
        assert not unknown, f"there is no field {unknown}"
        return packed(*((values.get(name, int(name == "set")), width) for name, width in self.fields))

    def unpack(self, cell: int) -> dict[str, int]:
        """The values that a cell holds."""
        values = {}
        for name, width in self.fields:
            if name != "_":
                values[name] = cell & ((1 << width) - 1)
            cell >>= width
        assert cell == 0, "there is something above the last field"
        return values


PLAIN = Layout("value:252")
ENTITY = Layout("role:8 suspended:1 registered_at:40 active_since:40 seq:32 _:7 profiled_at:40")
RECORD = Layout(
    "version:32 generation:32 max_uses:32 uses:32 starts_at:40 expires_at:40 categories:32 rewarded:1"
    " status:3 by_delegate:1 scoped:1"
)
PATIENT = Layout("generation:32 counter:32 floor:32 delegate_epoch:32 refused_purposes:16 emergency:2 set:1")
DELEGATION = Layout("powers:8 expires_at:40 epoch:32 set:1")
HEAD = Layout("head:219 count:32")
EMERGENCY = Layout("at:40 justified:1 contested:1")
BUDGET = Layout("left:64 paid:64 expires_at:40 custodian_settled:64")
PAID_USES = Layout("version:32 paid:32 base:32 settled:32")
FUNDING = Layout("granted:64 taken:64 closing_at:40 spent:64 status:2")
CREDIT = Layout("claimable:128 withdrawn:123")
KEY_CREDIT = Layout("claimable:128 nonce:64")
ANCHOR = Layout("size:64 epoch:32 threshold:16 nodes:16 anchored_at:40")


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell of a contract."""

    world: World
    contract: Contract
    layout: Layout
    variable: str
    keys: tuple[int, ...] = ()

    @property
    def address(self) -> int:
        return address_of(self.variable, *self.keys)

    def read(self) -> dict[str, int]:
        """What it holds, by field."""
        return self.layout.unpack(peek(self.world, self.contract, self.variable, *self.keys))

    def write(self, **changes: int) -> None:
        """Change fields of it; the others stay."""
        values = {name: value for name, value in self.read().items() if name != "set"} | changes
        poke(self.world, self.contract, self.layout.pack(**values), self.variable, *self.keys)


def entity_cell(world: World, address: int) -> Cell:
    return Cell(world, world.medsync, ENTITY, "EntityRegistry_entities", (address,))


def admin_cell(world: World, name: str) -> Cell:
    """Of the administration: `admin`, `pending`, `begun_at` or `successor`."""
    return Cell(world, world.medsync, PLAIN, f"EntityRegistry_{name}")


def consent_key(world: World, patient: int, grantee: int, purpose: int, study: int) -> int:
    """Key of a consent's record; of the researcher's broad one for health research unless named."""
    return poseidon(patient or world.patient, grantee or world.researcher, purpose, study)


def record_cell(
    world: World, patient: int = 0, grantee: int = 0, purpose: int = HRESCH, study: int = BROAD
) -> Cell:
    key = consent_key(world, patient, grantee, purpose, study)
    return Cell(world, world.medsync, RECORD, "ConsentRegistry_records", (key,))


def naming_cell(world: World, hospital: int, patient: int = 0) -> Cell:
    """Where a patient's word about a hospital and emergencies is kept."""
    return record_cell(world, patient, hospital, BTG)


def patient_cell(world: World, patient: int = 0) -> Cell:
    return Cell(world, world.medsync, PATIENT, "ConsentRegistry_patients", (patient or world.patient,))


def delegation_cell(world: World, patient: int = 0, delegate: int = 0) -> Cell:
    key = poseidon(patient or world.patient, delegate or world.delegate)
    return Cell(world, world.medsync, DELEGATION, "ConsentRegistry_delegations", (key,))


def history_head_cell(world: World, patient: int = 0) -> Cell:
    return Cell(world, world.medsync, HEAD, "ConsentRegistry_heads", (patient or world.patient,))


def emergency_cell(world: World, seq: int, hospital: int = 0, patient: int = 0) -> Cell:
    key = poseidon(patient or world.patient, seq, hospital or world.hospital)
    return Cell(world, world.medsync, EMERGENCY, "AccessLog_emergencies", (key,))


def budget_cell(world: World, campaign: int, accessor: int) -> Cell:
    return Cell(world, world.medsync, BUDGET, "RewardBudgets_budgets", (poseidon(campaign, accessor),))


def paid_uses_cell(
    world: World,
    campaign: int,
    patient: int = 0,
    grantee: int = 0,
    purpose: int = HRESCH,
    study: int = BROAD,
) -> Cell:
    consent = consent_key(world, patient, grantee, purpose, study)
    return Cell(world, world.medsync, PAID_USES, "RewardBudgets_paid", (poseidon(consent, campaign),))


def is_pool_cell(world: World, pool: int) -> Cell:
    return Cell(world, world.medsync, PLAIN, "RewardBudgets_pools", (pool,))


def funding_cell(world: World, campaign: int) -> Cell:
    return Cell(world, world.pool, FUNDING, "campaigns", (campaign,))


def credit_cell(world: World, owner: int) -> Cell:
    return Cell(world, world.pool, CREDIT, "credits", (owner,))


def key_credit_cell(world: World, key: int) -> Cell:
    return Cell(world, world.pool, KEY_CREDIT, "key_credits", (key,))


def liabilities_cell(world: World) -> Cell:
    return Cell(world, world.pool, PLAIN, "liabilities")


# --- what a transaction changed -----------------------------------------------------------------------------


def assert_changed(
    world: World, storage: Mapping[int, Mapping[int, int]], cells: Mapping[Cell, Mapping[str, Any]]
) -> None:
    """A transaction changed exactly these cells of MedSync and the pool, and what they hold now.

    Heads of histories are left out: `World` holds every one of them against the events.
    """
    expected: dict[int, dict[int, int]] = {world.medsync.address: {}, world.pool.address: {}}
    names = {}
    for cell, values in cells.items():
        expected.setdefault(cell.contract.address, {})[cell.address] = cell.layout.pack(**values)
        names[cell.address] = f"{cell.variable}{list(cell.keys)}", cell.layout
    for contract, wanted in expected.items():
        changed = {
            address: value
            for address, value in storage.get(contract, {}).items()
            if (contract, address) not in world.histories.cells
        }
        for address in wanted.keys() | changed.keys():
            name, layout = names.get(address, (hex(address), PLAIN))
            assert address in wanted, f"{name} changed to {changed[address]:#x}"
            assert address in changed, f"{name} did not change"
            assert layout.unpack(changed[address]) == layout.unpack(wanted[address]), name

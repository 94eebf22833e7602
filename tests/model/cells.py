"""Where the specification says that the contracts keep the model's state: the cells, and what is in them."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from tests.harness.cells import (
    BUDGET,
    CREDIT,
    DELEGATION,
    EMERGENCY,
    ENTITY,
    FUNDING,
    HEAD,
    KEY_CREDIT,
    PAID_USES,
    PATIENT,
    PLAIN,
    RECORD,
    Layout,
    address_of,
    poseidon,
)

from .state import Consent, Entity, Head, Key, Patient, Pool
from .words import ADMIN_DELAY, CAMPAIGN_STATUSES, CHOICES, ROLES, STATUSES, refusal_bits
from .world import World


class Cell(NamedTuple):
    """A storage cell: whose it is, what it is about, and of whom or what."""

    contract: int
    kind: str
    key: tuple[int, ...] = ()


VARIABLES: dict[str, tuple[str, Layout]] = {
    "admin": ("EntityRegistry_admin", PLAIN),
    "pending": ("EntityRegistry_pending", PLAIN),
    "begun at": ("EntityRegistry_begun_at", PLAIN),
    "successor": ("EntityRegistry_successor", PLAIN),
    "entity": ("EntityRegistry_entities", ENTITY),
    "registry": ("EntityRegistry_head", HEAD),
    "patient": ("ConsentRegistry_patients", PATIENT),
    "history": ("ConsentRegistry_heads", HEAD),
    "consent": ("ConsentRegistry_records", RECORD),
    "delegation": ("ConsentRegistry_delegations", DELEGATION),
    "log": ("AccessLog_heads", HEAD),
    "emergency": ("AccessLog_emergencies", EMERGENCY),
    "is pool": ("RewardBudgets_pools", PLAIN),
    "budget": ("RewardBudgets_budgets", BUDGET),
    "paid": ("RewardBudgets_paid", PAID_USES),
    "campaign": ("campaigns", FUNDING),
    "credit": ("credits", CREDIT),
    "key credit": ("key_credits", KEY_CREDIT),
    "liabilities": ("liabilities", PLAIN),
}
"""By kind of cell: the variable, and what is packed how."""

HASHED = {"consent", "delegation", "emergency", "budget"}
"""Kinds whose variables are maps from the Poseidon of several values."""


@cache
def place_of(kind: str, key: tuple[int, ...]) -> int:
    """The address of a cell in its contract."""
    variable, _ = VARIABLES[kind]
    if kind == "paid":
        return address_of(variable, poseidon(poseidon(*key[:4]), key[4]))
    return address_of(variable, poseidon(*key)) if kind in HASHED else address_of(variable, *key)


def pack(kind: str, **values: int) -> int:
    return VARIABLES[kind][1].pack(**values)


def cells(world: World) -> Iterator[tuple[Cell, int]]:
    """Every cell of MedSync and its pools that was ever written, with what it holds."""
    state, medsync = world.state, world.medsync
    pending = state.pending_admin
    yield Cell(medsync, "admin"), state.admin
    yield Cell(medsync, "pending"), pending.address if pending else state.admin
    if pending:
        yield Cell(medsync, "begun at"), pending.ready_at - ADMIN_DELAY
    yield Cell(medsync, "successor"), state.successor
    yield Cell(medsync, "registry"), head_cell(state.registry)
    for address, entity in state.entities.items():
        yield Cell(medsync, "entity", (address,)), entity_cell(entity)
    for address, patient in state.patients.items():
        yield Cell(medsync, "patient", (address,)), patient_cell(patient)
    for kind, heads in (("history", state.histories), ("log", state.logs)):
        for address, head in heads.items():
            yield Cell(medsync, kind, (address,)), head_cell(head)
    for key, consent in state.consents.items():
        yield Cell(medsync, "consent", key), consent_cell(consent)
    for (consented, campaign), paid in state.paid.items():
        yield Cell(medsync, "paid", (*consented, campaign)), pack("paid", **vars(paid))
    for pair, delegation in state.delegations.items():
        yield Cell(medsync, "delegation", pair), pack("delegation", **vars(delegation))
    for triple, emergency in state.emergencies.items():
        yield Cell(medsync, "emergency", triple), pack("emergency", **vars(emergency))
    for which, budget in state.budgets.items():
        yield Cell(medsync, "budget", which), pack("budget", **vars(budget))
    for address, pool in state.pools.items():
        yield Cell(medsync, "is pool", (address,)), int(pool.deployed_by_medsync)
        yield from pool_cells(address, pool)


def pool_cells(address: int, pool: Pool) -> Iterator[tuple[Cell, int]]:
    """The cells of one pool."""
    yield Cell(address, "liabilities"), pool.liabilities
    for key, campaign in pool.campaigns.items():
        values = vars(campaign) | {"status": CAMPAIGN_STATUSES.index(campaign.status)}
        yield Cell(address, "campaign", (key,)), pack("campaign", **values)
    for owner, credit in pool.credits.items():
        yield Cell(address, "credit", (owner,)), pack("credit", **vars(credit))
    for key, credited in pool.keys.items():
        yield Cell(address, "key credit", (key,)), pack("key credit", **vars(credited))


def entity_cell(entity: Entity) -> int:
    return pack("entity", **vars(entity) | {"role": ROLES.index(entity.role)})


def patient_cell(patient: Patient) -> int:
    refused = refusal_bits(patient.refused_purposes)
    codes = {"refused_purposes": refused, "emergency": CHOICES.index(patient.emergency)}
    return pack("patient", **vars(patient) | codes)


def consent_cell(consent: Consent) -> int:
    return pack("consent", **vars(consent) | {"status": STATUSES.index(consent.status)})


def head_cell(head: Head) -> int:
    return pack("log", **vars(head))


def key_of(cell: Cell) -> Key:
    """The consent that a cell is about."""
    patient, grantee, purpose, study, *_ = cell.key
    return patient, grantee, purpose, study

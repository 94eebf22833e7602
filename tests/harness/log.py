"""The provable histories as an outsider checks them: digests put together from the rules, not from the
contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tests.harness.cells import HEAD, address_of, poke, poseidon
from tests.harness.driver import Raised
from tests.harness.words import (
    BROAD,
    DECISIONS,
    EMERGENCY_CHOICES,
    ENTITY_ROLES,
    HRESCH,
    KINDS,
    REASONS,
    felt,
)

if TYPE_CHECKING:
    from tests.harness.world import World

HEAD_MASK = 2**219 - 1

CODES = {
    "decision": DECISIONS,
    "reason": REASONS,
    "role": ENTITY_ROLES,
    "choice": EMERGENCY_CHOICES,
}
"""The fields of entries that are words, each hashed as its place."""

CONSENTS, ACCESSES, REGISTRY = "MEDSYNC/CONSENTS/2", "MEDSYNC/ACCESSES/2", "MEDSYNC/REGISTRY/2"
HEADS = {
    CONSENTS: "ConsentRegistry_heads",
    ACCESSES: "AccessLog_heads",
    REGISTRY: "EntityRegistry_head",
}
"""The variable in which each kind of history keeps its heads."""


def chain_of(entry: Raised) -> str:
    """The kind of history that an event is an entry of."""
    kind = KINDS[entry.name]
    return CONSENTS if kind < 32 else ACCESSES if kind < 64 else REGISTRY


def digest(world: World, previous: int, entry: Raised) -> int:
    """The digest of an entry on top of the head before it."""
    chain = chain_of(entry)
    subject = 0 if chain == REGISTRY else entry.keys["patient"]
    felts = [felt(chain), world.chain.chain_id, entry.source, subject, previous]
    felts += [entry.data["seq"], entry.data["at"], KINDS[entry.name]]
    for field, value in (entry.keys | entry.data).items():
        if field in ("seq", "at") or (field == "patient" and chain != REGISTRY):
            continue
        felts.append(CODES[field].index(value) if field in CODES else int(value))
    return poseidon(*felts) & HEAD_MASK


def head_after(world: World, entries: Iterable[Raised]) -> dict[str, int]:
    """What the view of a history must answer if these are all its entries."""
    head = count = 0
    for count, entry in enumerate(entries, 1):
        assert entry.data["seq"] == count, "an entry is missing"
        head = digest(world, head, entry)
    return {"count": count, "head": head}


class Histories:
    """The heads that every history of a world must have, by the events so far."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._heads: dict[tuple[int, int], tuple[int, int]] = {}
        """By contract and cell: count and head."""

    @property
    def cells(self) -> set[tuple[int, int]]:
        """Contract and address of every cell that holds a head."""
        return set(self._heads)

    def follow(self, events: Iterable[Raised], storage: Mapping[int, Mapping[int, int]]) -> None:
        """Assert that a transaction's entries have the next numbers, and that exactly their histories' heads
        changed, to what the entries hash to."""
        touched = set()
        for event in events:
            if event.name not in KINDS:
                continue
            cell = event.source, self._address(event)
            count, head = self._heads.get(cell, (0, 0))
            assert event.data["seq"] == count + 1, f"{event.name} is not entry {count + 1}"
            self._heads[cell] = count + 1, digest(self._world, head, event)
            touched.add(cell)
        for cell, (count, head) in self._heads.items():
            contract, address = cell
            changed = storage.get(contract, {}).get(address)
            expected = HEAD.pack(count=count, head=head) if cell in touched else None
            assert changed == expected, "a history's head is not what its entries hash to"

    def put(self, chain: str, count: int, subject: int | None = None) -> None:
        """Have a history be as long as it would be in years; its head is made up."""
        head, contract = 0xEAD, self._world.medsync
        keys = () if chain == REGISTRY else (self._world.patient if subject is None else subject,)
        poke(self._world, contract, HEAD.pack(count=count, head=head), HEADS[chain], *keys)
        self._heads[contract.address, address_of(HEADS[chain], *keys)] = count, head

    def _address(self, entry: Raised) -> int:
        chain = chain_of(entry)
        return address_of(HEADS[chain], *(() if chain == REGISTRY else (entry.keys["patient"],)))


def logged(world: World, **changes: Any) -> Raised:
    """The event of a researcher's permitted request, as `world.ask()` makes it."""
    accessor = changes.get("accessor", world.researcher)
    fields = {
        "patient": world.patient,
        "accessor": accessor,
        "purpose": HRESCH,
        "seq": 1,
        "at": world.now,
        "study": BROAD,
        "decision": "Permit",
        "reason": "Granted",
        "version": 1,
        "scoped": False,
        "categories": 1 << 7,
        "record": 0xEC04D,
        "campaign": 0,
        "registration": world.read("entity", address=accessor)["seq"],
    }
    assert set(changes) <= set(fields), changes
    return world.raised("AccessLogged", **(fields | changes))

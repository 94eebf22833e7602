"""Counts the effects that the protocol charges a transaction for, and computes their minimal cost, the floor.

The floor of a transaction is the cost of the same effects in the yardstick contract, which produces them
without any other work: the empty call, plus a price per counted effect, plus the measured cost of changing
the same number of cells, of making the same calls of external contracts and of deploying the same contracts.
All other work of a contract (hashing, packing, checking, reading a cell twice) shows in the ratio of cost to
floor. A transaction that calls none of the product's contracts is its own floor.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final

from starknet_py.net.client_models import Call

from medsync import artifacts
from medsync.errors import VerificationError
from medsync.protocol.hashing import starknet_keccak
from scripts.bench.lab import RESTING, Lab, Simulation, call, frames

#: A traced call or deployment.
Frame = Mapping[str, Any]

#: Salt of a contract that the yardstick deploys.
_SALT: Final = 1


@dataclass(frozen=True)
class Counts:
    """The effects of a transaction in the product's contracts, and the sizes of its call and result."""

    #: Storage cells on whose value it depends.
    reads: int
    #: Storage cells it changes.
    writes: int
    #: Changed cells that were zero.
    new_cells: int
    #: Storage cells it writes without reading their old value.
    overwrites: int
    events: int
    event_keys: int
    event_data: int
    #: Felts of the call's arguments.
    calldata: int
    #: Felts of the call's result.
    answer: int
    #: Calls made by the contracts, to each other or to external contracts.
    calls: int
    #: Calls of entry points that need the caller or the time.
    acts: int


#: Counts that have a price in `Prices`.
PRICED: Final = tuple(field.name for field in fields(Counts) if field.name != "overwrites")


@dataclass(frozen=True)
class Prices:
    """Prices of single effects in L2 gas."""

    #: A transaction with a single call that does nothing.
    transaction: int
    #: The other fields are those of `Counts`, except `overwrites`.
    reads: int
    #: Writing a cell, without the cost of the state update.
    writes: int
    #: A cell that was zero, in addition to writing it.
    new_cells: int
    #: An event without keys and data.
    events: int
    event_keys: int
    event_data: int
    calldata: int
    answer: int
    #: A call, including the callee's cost of being called.
    calls: int
    #: Reading the execution info.
    acts: int


@dataclass(frozen=True)
class Floor:
    """The minimal cost of a transaction in L2 gas."""

    floor: int
    #: Cost of the state update in addition to writing, which depends on the numbers of cells and contracts.
    state_update: int
    #: Cost of external contracts: a token, a patient's account, a pool that is deployed.
    foreign: int


class Surveyor:
    """Computes floors with a laboratory's yardstick contracts."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._account = lab.accounts["surveyor"]
        self._updates: dict[tuple[int, ...], int] = {}

    async def prices(self) -> Prices:
        """Measure the price of each effect."""
        this = self._lab.yardsticks[0]
        nothing = await self._gas(call(this, "nothing"))

        async def each(thing: str, *arguments: int) -> int:
            once = await self._gas(call(this, f"{thing}_once", *arguments))
            thrice = await self._gas(call(this, f"{thing}_thrice", *arguments))
            return _half(thrice - once)

        event = await each("emit")
        emit = await self._gas(call(this, "emit_once"))
        key = _half(await self._gas(call(this, "emit_three_keys")) - emit)
        datum = _half(await self._gas(call(this, "emit_three_data")) - emit)
        felts = [await self._gas(call(this, "take", *range(count))) for count in (1, 3)]
        return Prices(
            transaction=nothing,
            reads=await each("read"),
            writes=await each("write", 0),
            new_cells=await self._new_cell(),
            events=event - key - datum,
            event_keys=key,
            event_data=datum,
            calldata=_half(felts[1] - felts[0]),
            answer=await each("answer"),
            calls=await each("call", this),
            acts=await each("inform"),
        )

    async def floor(self, prices: Prices, counts: Counts, simulation: Simulation) -> Floor:
        """The floor of a simulated and counted transaction."""
        lab = self._lab
        work = prices.transaction + sum(getattr(prices, name) * getattr(counts, name) for name in PRICED)
        if not any(_own_frames(lab, simulation)):
            return Floor(simulation.l2_gas, state_update=0, foreign=simulation.l2_gas - work)
        changed = Counter(contract for contract, _ in simulation.changed if contract in lab.contracts)
        cells = tuple(sorted(changed.values()))
        update = await self._state_update(cells)
        foreign = 0
        if foreign_frames := _foreign_frames(lab, simulation):
            foreign = await self._with_foreign(cells, foreign_frames) - update
        return Floor(work + update + foreign, update, foreign)

    async def _gas(self, *calls: Call) -> int:
        return self._lab.simulate(await self._lab.sign(self._account, *calls)).l2_gas

    async def _new_cell(self) -> int:
        used, _, fresh = self._lab.yardsticks
        changed, new = (call(yardstick, "change", 1, RESTING + 1) for yardstick in (used, fresh))
        return await self._gas(new) - await self._gas(changed)

    async def _state_update(self, changed: tuple[int, ...]) -> int:
        if changed not in self._updates:
            same, other = self._changes(changed, RESTING), self._changes(changed, RESTING + 1)
            self._updates[changed] = await self._gas(*other) - await self._gas(*same)
        return self._updates[changed]

    async def _with_foreign(self, changed: tuple[int, ...], foreign: Sequence[Frame]) -> int:
        """State update and external work together, because Starknet rounds their sum."""
        this, other, _ = self._lab.yardsticks
        swap = {self._lab.pool: this}
        made, taken, deployed, not_deployed = [], [], [], []
        for frame in foreign:
            calldata = [_int(felt) for felt in frame["calldata"]]
            if _is_deployment(frame):
                arguments = _int(frame["class_hash"]), _SALT, len(calldata), *calldata
                deployed.append(call(this, "deploy", *arguments))
                not_deployed.append(call(this, "take", *arguments))
            else:
                swapped = [swap.get(felt, felt) for felt in calldata]
                selector = _int(frame["entry_point_selector"])
                made.append(Call(_int(frame["contract_address"]), selector, swapped))
                taken.append(call(other, "take", *calldata))
        same = [*self._changes(changed, RESTING), _forward(this, taken), *not_deployed]
        different = [*self._changes(changed, RESTING + 1), _forward(this, made), *deployed]
        return await self._gas(*different) - await self._gas(*same)

    def _changes(self, changed: tuple[int, ...], value: int) -> list[Call]:
        """Calls that write `value` to the given number of cells of each contract."""
        return [
            call(yardstick, "change", cells, value)
            for yardstick, cells in zip(self._lab.yardsticks, changed, strict=False)
        ]


def count(lab: Lab, simulation: Simulation, overwrites: int) -> Counts:
    """Count the effects of a simulated single-call transaction in the product's contracts."""
    ours = lab.contracts
    (outermost,) = simulation.calls
    own = list(_own_frames(lab, simulation))
    events = [event for frame in own for event in frame["events"]]
    touched = {cell: value for cell, value in simulation.touched.items() if cell[0] in ours}
    changed = [cell for cell in simulation.changed if cell[0] in ours]
    return Counts(
        reads=len(touched) - overwrites,
        writes=len(changed),
        new_cells=sum(touched[cell] == 0 for cell in changed),
        overwrites=overwrites,
        events=len(events),
        event_keys=sum(len(event["keys"]) for event in events),
        event_data=sum(len(event["data"]) for event in events),
        calldata=len(outermost["calldata"]),
        answer=len(outermost["result"]),
        calls=sum(not _is_deployment(inner) for frame in own for inner in frame["calls"]),
        acts=sum(_int(frame["entry_point_selector"]) in _acting() for frame in own),
    )


def _own_frames(lab: Lab, simulation: Simulation) -> Iterator[Frame]:
    """The calls of the product's contracts."""
    for outermost in simulation.calls:
        for frame in frames(outermost):
            if _int(frame["contract_address"]) in lab.contracts:
                yield frame


def _foreign_frames(lab: Lab, simulation: Simulation) -> list[Frame]:
    """The calls and deployments of external contracts by the product's contracts, in order."""
    return [
        inner
        for frame in _own_frames(lab, simulation)
        for inner in frame["calls"]
        if _int(inner["contract_address"]) not in lab.contracts
    ]


def _is_deployment(frame: Frame) -> bool:
    return bool(frame["entry_point_type"] == "CONSTRUCTOR")


@cache
def _acting() -> frozenset[int]:
    """Selectors of entry points that need the caller or the time: `verify_consent`, and all except views."""
    names = {"verify_consent"}
    for contract in ("MedSync", "RewardPool", "PrivateAnchor"):
        for entry in artifacts.load(contract).abi:
            if entry["type"] == "interface":
                names |= {item["name"] for item in entry["items"] if item["state_mutability"] == "external"}
    return frozenset(map(starknet_keccak, names))


def _forward(yardstick: int, calls: Sequence[Call]) -> Call:
    calldata = [len(calls)]
    for forwarded in calls:
        calldata += [forwarded.to_addr, forwarded.selector, len(forwarded.calldata), *forwarded.calldata]
    return call(yardstick, "forward", *calldata)


def _half(difference: int) -> int:
    half, rest = divmod(difference, 2)
    if rest:
        raise VerificationError(f"Two of a kind cost {difference} L2 gas: not a price per piece.")
    return half


def _int(felt: str) -> int:
    return int(felt, 16)

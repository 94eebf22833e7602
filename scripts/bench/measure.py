"""Measuring: every case's transaction is simulated, counted, given its floor, and sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

from medsync.deployment.toolchain import STARKNET_VERSION
from medsync.errors import VerificationError
from medsync.protocol.serde import decode
from medsync.protocol.types import AccessReceipt
from medsync.protocol.vocabulary import Reason
from medsync.starknet.transactions import Invocation
from scripts.bench.cases import MARGINS, Story
from scripts.bench.floor import Counts, Prices, Surveyor, count
from scripts.bench.lab import Lab, Metering, Simulation, open_lab

#: Transactions that change more cells than this are not tried with each of them poked: they are batches, and
#: do what single requests were seen to do.
_MOST_POKES: Final = 11


@dataclass(frozen=True)
class Case:
    """One case of an operation: what it costs, and the least it can."""

    operation: str
    case: str
    #: As Starknet charges for it: computation metered in Sierra gas.
    l2_gas: int
    #: See `Floor`, as for `state_update` and `foreign`.
    floor: int

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from the others."""
        return self.operation, self.case

    @property
    def ratio(self) -> float:
        """How much more it costs than it must."""
        return round(self.l2_gas / self.floor, 3)


@dataclass(frozen=True)
class Row(Counts, Case):
    """All that is published of a case: also what it does, and the rest of what it costs."""

    state_update: int
    foreign: int
    l1_data_gas: int
    #: L2 gas as devnet charges it, and Starknet if the sender's account is of an old class: in Cairo steps.
    l2_gas_in_steps: int

    def to_json(self) -> dict[str, Any]:
        """The row as it is published."""
        return asdict(self) | {"ratio": self.ratio, "starknet_version": STARKNET_VERSION}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """The row that was published so."""
        return cls(**{field.name: row[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class Costs:
    """All that is deterministic: the same contracts cost exactly the same in every run."""

    prices: Prices
    rows: tuple[Row, ...]


async def measure_costs(
    published: Costs | None = None, *, tell: Callable[[Row], None] = lambda row: None
) -> Costs:
    """Measure every case. `tell` hears of each.

    Which cells are overwritten blindly takes an experiment per cell to find out, and so minutes; `published`
    costs are taken at their word in this one respect, for the cases they have. Raises VerificationError if a
    transaction does not succeed, or is not charged as it was simulated.
    """
    in_steps = await _in_steps()
    known = {row.name: row.overwrites for row in published.rows} if published else {}
    rows: list[Row] = []
    async with open_lab(Metering.SIERRA_GAS) as lab:
        surveyor = Surveyor(lab)
        prices = await surveyor.prices()

        async def measure(case: str, invocation: Invocation[Any]) -> None:
            name = invocation.entry_point, case
            lab.tick()
            transaction = await lab.sign(invocation.account, invocation.call)
            simulation = lab.simulate(transaction)
            _check_outcome(case, invocation, simulation)
            if name not in known:
                known[name] = _overwrites(lab, transaction, simulation)
            counts = count(lab, simulation, known[name])
            floor = await surveyor.floor(prices, counts, simulation)
            receipt = lab.send(transaction)
            if receipt.l2_gas != simulation.l2_gas:
                raise VerificationError(
                    f"{name}: simulated at {simulation.l2_gas:,} L2 gas, charged {receipt.l2_gas:,}."
                )
            row = Row.from_json(
                {"operation": invocation.entry_point, "case": case}
                | asdict(receipt)
                | asdict(counts)
                | asdict(floor)
                | {"l2_gas_in_steps": in_steps[name]}
            )
            rows.append(row)
            tell(row)

        await Story(lab, measure).tell()
    for margin in _margins(rows):
        rows.append(margin)
        tell(margin)
    return Costs(prices, tuple(rows))


async def _in_steps() -> dict[tuple[str, str], int]:
    """The L2 gas of every case where computation is metered in Cairo steps."""
    gas: dict[tuple[str, str], int] = {}
    async with open_lab(Metering.STEPS) as lab:

        async def measure(case: str, invocation: Invocation[Any]) -> None:
            name = invocation.entry_point, case
            if name in gas:
                raise VerificationError(f"There are two cases of the name {name}.")
            gas[name] = (await lab.do(invocation.account, invocation.call)).l2_gas

        await Story(lab, measure).tell()
    return gas


def _check_outcome(case: str, invocation: Invocation[Any], simulation: Simulation) -> None:
    """Raise VerificationError if a request ends otherwise than the name of its case says."""
    if invocation.answer not in (AccessReceipt, list[AccessReceipt]):
        return
    (outermost,) = simulation.calls
    answer = decode(invocation.answer, [int(felt, 16) for felt in outermost["result"]])
    reasons = {receipt.reason for receipt in (answer if isinstance(answer, list) else [answer])}
    _, refused, words = case.partition("refused: ")
    if not reasons <= ({refusal(words)} if refused else {Reason.GRANTED, Reason.BREAK_GLASS}):
        raise VerificationError(f"{invocation.function}, {case}: answered {reasons}.")


def refusal(reason: str) -> Reason:
    """The reason that the name of a case gives for a refusal."""
    return Reason[reason.upper().replace(" A ", " ").replace(" ", "_").replace("-", "_")]


def _overwrites(lab: Lab, transaction: Mapping[str, Any], simulation: Simulation) -> int:
    """How many cells a transaction changes whatever was in them.

    Each changed cell is given another value before, and nothing that the transaction does may depend on it.
    """
    cells = [cell for cell in simulation.changed if cell[0] in lab.contracts]
    if len(cells) > _MOST_POKES:
        return 0
    blind = 0
    poked: dict[tuple[int, int], int] = {}
    for cell in cells:
        before = simulation.touched[cell]
        lab.poke(poked | {cell: before + 1})
        poked = {cell: before}
        try:
            again = lab.simulate(transaction)
        except VerificationError:
            continue
        blind += (again.calls, again.changed) == (simulation.calls, simulation.changed)
    if poked:
        lab.poke(poked)
    return blind


def _margins(rows: Sequence[Row]) -> list[Row]:
    """What one more request in a batch costs, from two sizes of it."""
    batches = {row.case: asdict(row) for row in rows if row.operation == "request_access_batch"}
    margins = []
    for case, (few, smaller), (many, larger) in MARGINS:
        row: dict[str, Any] = {"operation": "request_access_batch", "case": case}
        for name in batches[few].keys() - row.keys():
            row[name] = round((batches[many][name] - batches[few][name]) / (larger - smaller))
        margins.append(Row.from_json(row))
    return margins

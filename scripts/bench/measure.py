"""Measures cases: each transaction is simulated and counted, its floor is computed, and it is sent."""

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

#: Overwrites are not determined for transactions that change more cells than this: they are batches, which
#: behave like single requests.
_MOST_POKES: Final = 11


@dataclass(frozen=True)
class Case:
    """The cost of a case of an operation, and its floor."""

    operation: str
    case: str
    #: As charged by Starknet, with computation metered in Sierra gas.
    l2_gas: int
    #: See `Floor`, as for `state_update` and `foreign`.
    floor: int

    @property
    def name(self) -> tuple[str, str]:
        """The operation and case, which identify the row."""
        return self.operation, self.case

    @property
    def title(self) -> str:
        """The name for people."""
        return ", ".join(filter(None, self.name))

    @property
    def ratio(self) -> float:
        """The ratio of cost to floor."""
        return round(self.l2_gas / self.floor, 3)


@dataclass(frozen=True)
class Row(Counts, Case):
    """All published numbers of a case, including the counts of its effects."""

    state_update: int
    foreign: int
    l1_data_gas: int
    #: L2 gas metered in Cairo steps, as charged by devnet, and by Starknet for senders with an old class.
    l2_gas_in_steps: int

    def to_json(self) -> dict[str, Any]:
        """The row in its published form."""
        return asdict(self) | {"ratio": self.ratio, "starknet_version": STARKNET_VERSION}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Read a published row."""
        return cls(**{field.name: row[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class Costs:
    """The deterministic results: the same contracts cost exactly the same in every run."""

    prices: Prices
    rows: tuple[Row, ...]


async def measure_costs(
    published: Costs | None = None, *, report_row: Callable[[Row], None] = lambda row: None
) -> Costs:
    """Measure every case, and call `report_row` with each.

    Determining which cells are overwritten without being read takes an experiment per cell, and so minutes.
    For cases in `published`, the published number is used instead. Raises VerificationError if a transaction
    fails, or if its charge differs from the simulation.
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
            report_row(row)

        await Story(lab, measure).run()
    for margin in _margins(rows):
        rows.append(margin)
        report_row(margin)
    return Costs(prices, tuple(rows))


async def _in_steps() -> dict[tuple[str, str], int]:
    """The L2 gas of every case with computation metered in Cairo steps."""
    gas: dict[tuple[str, str], int] = {}
    async with open_lab(Metering.STEPS) as lab:

        async def measure(case: str, invocation: Invocation[Any]) -> None:
            name = invocation.entry_point, case
            if name in gas:
                raise VerificationError(f"Two cases have the name {name}.")
            gas[name] = (await lab.do(invocation.account, invocation.call)).l2_gas

        await Story(lab, measure).run()
    return gas


def _check_outcome(case: str, invocation: Invocation[Any], simulation: Simulation) -> None:
    """Raise VerificationError if the result of a request does not match the name of its case."""
    if invocation.answer not in (AccessReceipt, list[AccessReceipt]):
        return
    (outermost,) = simulation.calls
    answer = decode(invocation.answer, [int(felt, 16) for felt in outermost["result"]])
    reasons = {receipt.reason for receipt in (answer if isinstance(answer, list) else [answer])}
    _, refused, words = case.partition("refused: ")
    if not reasons <= ({refusal(words)} if refused else {Reason.GRANTED, Reason.BREAK_GLASS}):
        raise VerificationError(f"{invocation.function}, {case}: answered {reasons}.")


def refusal(reason: str) -> Reason:
    """The reason for a refusal in the name of a case."""
    return Reason[reason.upper().replace(" A ", " ").replace(" ", "_").replace("-", "_")]


def _overwrites(lab: Lab, transaction: Mapping[str, Any], simulation: Simulation) -> int:
    """The number of cells that a transaction changes regardless of their old value.

    Each changed cell is set to a different value first; it counts if no effect of the transaction depends on
    it.
    """
    cells = [cell for cell in simulation.changed if cell[0] in lab.contracts]
    if len(cells) > _MOST_POKES:
        return 0
    blind = 0
    poked: dict[tuple[int, int], int] = {}
    for cell in cells:
        before, after = simulation.touched[cell], simulation.changed[cell]
        # A value that the transaction writes would not be a change any more.
        lab.poke(poked | {cell: before + (2 if after == before + 1 else 1)})
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
    """The cost of one more request in a batch, derived from two batch sizes."""
    batches = {row.case: asdict(row) for row in rows if row.operation == "request_access_batch"}
    margins = []
    for case, (few, smaller), (many, larger) in MARGINS:
        row: dict[str, Any] = {"operation": "request_access_batch", "case": case}
        for name in batches[few].keys() - row.keys():
            row[name] = round((batches[many][name] - batches[few][name]) / (larger - smaller))
        margins.append(Row.from_json(row))
    return margins

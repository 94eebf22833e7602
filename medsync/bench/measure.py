"""Measuring: every case's transaction is simulated, counted, given its floor, and sent."""

from dataclasses import asdict, dataclass
from typing import Any

from medsync.bench.cases import Story
from medsync.bench.floor import Counts, Floor, Prices, Surveyor, count
from medsync.bench.lab import Lab, Metering, Receipt, Simulation, open_lab
from medsync.errors import VerificationError
from medsync.transactions import Invocation


@dataclass(frozen=True)
class Measured:
    """One case: what it costs, what it does, and what that must cost at least."""

    operation: str
    case: str
    receipt: Receipt
    counts: Counts
    floor: Floor


async def measure() -> tuple[Prices, list[Measured]]:
    rows = []
    async with open_lab(Metering.SIERRA_GAS) as lab:
        surveyor = Surveyor(lab)
        prices = await surveyor.prices()

        async def one(case: str, invocation: Invocation[Any]) -> None:
            lab.tick()
            transaction = await lab.sign(invocation.account, invocation.call)
            simulation = lab.simulate(transaction)
            counts = count(lab, simulation, 0)
            floor = await surveyor.floor(prices, counts, simulation)
            receipt = lab.send(transaction)
            assert receipt.l2_gas == simulation.l2_gas
            rows.append(Measured(invocation.entry_point, case, receipt, counts, floor))
            c = counts
            print(
                f"{invocation.entry_point:26s} {case:50s} {receipt.l2_gas:>11,} {floor.total:>11,} {receipt.l2_gas / floor.total:.3f}"
                f" r{c.reads} w{c.writes} n{c.new_cells} e{c.events}/{c.event_keys}/{c.event_data} cd{c.calldata} a{c.answer} c{c.calls} x{c.acts} su{floor.state_update} f{floor.foreign}", flush=True)

        await Story(lab, one).tell()
    return prices, rows

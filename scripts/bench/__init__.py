"""What every operation costs: measured on a devnet, counted, and held against the least it can cost."""

import asyncio
from collections.abc import Callable, Sequence

from medsync.errors import InputError, VerificationError
from scripts.bench import report
from scripts.bench.measure import Costs, Row, measure_costs
from scripts.bench.private import measure_private
from scripts.bench.speed import Speed, measure_speeds, require_speed
from scripts.bench.startup import measure_startup
from scripts.options import write_or_check


def measure(tell: Callable[[Row], None] = lambda row: None) -> list[str]:
    """Measure everything and publish it under `docs/`. It takes some minutes; `tell` hears of each case.

    Returns the table of what is now other than what was published before. Raises VerificationError if
    something is too slow, after it was published.
    """
    costs = asyncio.run(measure_costs(tell=tell))
    speeds = asyncio.run(_speeds())
    try:
        before = report.read_costs()
    except InputError:
        before = Costs(costs.prices, ())
    for name, content in report.files(costs, speeds).items():
        report.path(name).write_text(content)
    require_speed(speeds)
    return report.difference_table(report.differences(before, costs))


def check() -> None:
    """Measure costs again and compare them with what is published, number by number; render the pages again.

    Raises VerificationError that lists what differs, InputError if nothing is published.
    """
    published, speeds = report.read_costs(), report.read_speeds()
    found = report.differences(published, asyncio.run(measure_costs(published)))
    findings = report.difference_table(found)
    findings += [
        f"{name} is not what the published numbers say"
        for name, content in report.files(published, speeds).items()
        if not report.path(name).is_file() or report.path(name).read_text() != content
    ]
    if findings:
        raise VerificationError(
            "The published costs are not today's:",
            findings=findings,
            hint="If that is meant, run `make bench` and commit docs/costs.* and docs/benchmarks.json.",
        )


async def _speeds() -> list[Speed]:
    return [*await measure_speeds(), *await measure_private(), *measure_startup()]


def run(arguments: Sequence[str]) -> None:
    """Measure and publish, or with `--check` compare with what is published."""
    write_or_check("bench", arguments, _publish, check)


def _publish() -> None:
    changes = measure(_show)
    print("\nOther than before:\n" + "\n".join(changes) if changes else "\nAll costs are what they were.")


def _show(row: Row) -> None:
    print(
        f"{row.operation:26} {row.case:50} {row.l2_gas:>12,} L2 gas, {row.ratio:.2f} of the floor", flush=True
    )

"""Benchmarks: the cost of every operation, measured on a devnet and compared with its floor."""

import asyncio
from collections.abc import Callable, Sequence

from medsync.errors import InputError, VerificationError
from scripts.bench import report, speed, startup
from scripts.bench.measure import Costs, Row, measure_costs
from scripts.bench.private import measure_private
from scripts.bench.speed import Speed
from scripts.options import write_or_check


def measure(report_row: Callable[[Row], None] = lambda row: None) -> list[str]:
    """Measure everything in a few minutes and write the results to `docs/`. Calls `report_row` per case.

    Returns the table of differences from the published results. Raises VerificationError if something costs
    too much or is too slow, after publishing the results.
    """
    costs = asyncio.run(measure_costs(report_row=report_row))
    speeds = asyncio.run(_speeds())
    try:
        before = report.read_costs()
    except InputError:
        before = Costs(costs.prices, ())
    for name, content in report.files(costs, speeds).items():
        report.path(name).write_text(content)
    if findings := [*report.missed(costs), *speed.missed(speeds), *startup.missed(speeds)]:
        raise VerificationError("More than is allowed:", findings=findings)
    return report.difference_table(report.differences(before, costs))


def check() -> None:
    """Measure costs again and compare every number with the published one, and compare the rendered pages.

    Raises VerificationError listing the differences, and InputError if nothing is published.
    """
    published, speeds = report.read_costs(), report.read_speeds()
    found = report.differences(published, asyncio.run(measure_costs(published)))
    findings = report.difference_table(found)
    findings += [
        f"{name} does not match the published numbers"
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
    return [*await speed.measure_speeds(), *await measure_private(), *startup.measure_startup()]


def run(arguments: Sequence[str]) -> None:
    """Measure and publish, or compare with the published results with `--check`."""
    write_or_check("bench", arguments, _publish, check)


def _publish() -> None:
    changes = measure(_show)
    print("\nOther than before:\n" + "\n".join(changes) if changes else "\nAll costs are what they were.")


def _show(row: Row) -> None:
    print(
        f"{row.operation:26} {row.case:50} {row.l2_gas:>12,} L2 gas, {row.ratio:.2f} of the floor", flush=True
    )

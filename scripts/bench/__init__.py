"""What every operation costs: measured on a devnet, counted, and held against the least it can cost."""

import asyncio
from collections.abc import Callable

from medsync.bench import report
from medsync.bench.measure import Costs, Row, measure_costs
from medsync.bench.private import measure_private
from medsync.bench.speed import Speed, measure_speeds
from medsync.errors import InputError, VerificationError


def run(tell: Callable[[Row], None] = lambda row: None) -> list[str]:
    """Measure everything and publish it under `docs/`. It takes some minutes; `tell` hears of each case.

    Returns the table of what is now other than what was published before.
    """
    costs = asyncio.run(measure_costs(tell=tell))
    speeds = asyncio.run(_speeds())
    try:
        before = report.read_costs()
    except InputError:
        before = Costs(costs.prices, ())
    for name, content in report.files(costs, speeds).items():
        report.path(name).write_text(content)
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
    return [*await measure_speeds(), *await measure_private()]

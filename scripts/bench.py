#!/usr/bin/env python3
"""Measure what every operation costs on a devnet and write docs/costs.*, or `--check` that they are right."""

import sys

from medsync import bench
from medsync.bench.measure import Row
from medsync.errors import ExitCode, exit_code_of


def tell(row: Row) -> None:
    print(
        f"{row.operation:26} {row.case:50} {row.l2_gas:>12,} L2 gas, {row.ratio:.2f} of the floor", flush=True
    )


def publish() -> None:
    changes = bench.run(tell)
    print("\nOther than before:\n" + "\n".join(changes) if changes else "\nAll costs are what they were.")


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        return exit_code_of(bench.check)
    if arguments == []:
        return exit_code_of(publish)
    print("usage: bench.py [--check]", file=sys.stderr)
    return ExitCode.USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

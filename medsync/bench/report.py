"""What is published of the measurements: two JSON files, and the pages rendered from them.

`docs/costs.json` holds the rows, `docs/benchmarks.json` the prices that floors are made of and the speeds;
`docs/costs.md` and `docs/costs.svg` say nothing else, so they are checked by rendering them again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from html import escape
from itertools import zip_longest
from typing import Any, Final

from medsync import artifacts
from medsync.bench.floor import PRICED, Prices
from medsync.bench.measure import Costs, Row
from medsync.bench.speed import Speed
from medsync.errors import InputError
from medsync.toolchain import DEVNET_VERSION, STARKNET_VERSION

COSTS: Final = "docs/costs.json"
BENCHMARKS: Final = "docs/benchmarks.json"
PAGE: Final = "docs/costs.md"
CHART: Final = "docs/costs.svg"

#: The ratio of measured cost to floor that every operation is to stay below.
GOAL: Final = 1.15


def publish(costs: Costs, speeds: Sequence[Speed]) -> None:
    """Write everything that is published."""
    write({COSTS: _dump([row.to_json() for row in costs.rows])})
    write({BENCHMARKS: _dump({"starknet_version": STARKNET_VERSION, "prices": asdict(costs.prices), "speeds": [asdict(speed) for speed in speeds]})})
    write(rendered(costs, speeds))

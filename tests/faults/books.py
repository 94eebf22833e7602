"""The books of what was tried: how often each fault met each operation, and how that ended."""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from tests.faults.proxy import SUBMISSIONS
from tests.stateful.drawing import draw_from, seed_of_run

T = TypeVar("T")

PROFILE: Final = os.environ.get("HYPOTHESIS_PROFILE", "quick")

#: At how many requests of an operation, beside its submissions, every fault is tried: these are drawn.
PLACES: Final = {"ci": 4, "deep": 1_000}.get(PROFILE, 1)

RecordProperty = Callable[[str, object], None]


@dataclass
class Reach:
    """What was tried so far."""

    #: What is drawn where not all is tried.
    random: random.Random
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, operation: str, fault: str, outcome: str) -> None:
        """Once more, an operation met a fault, and this came of it."""
        self.counts[operation, fault, outcome] += 1

    def elsewhere(self, seen: Sequence[str]) -> list[int]:
        """Which requests of an operation meet a fault beside its submissions."""
        others = [number for number, method in enumerate(seen) if method not in SUBMISSIONS]
        return self.some(others, PLACES)

    def some(self, things: Sequence[T], most: int) -> list[T]:
        """Some of the things, at most so many."""
        return self.random.sample(things, min(most, len(things)))

    def tables(self) -> dict[str, dict[str, int]]:
        """A table for each operation."""
        tables: dict[str, dict[str, int]] = {}
        for (operation, fault, outcome), times in sorted(self.counts.items()):
            tables.setdefault(operation, {})[f"{fault} → {outcome}"] = times
        return tables


@contextmanager
def reaching(
    record_property: RecordProperty, title: str, faults: Sequence[str], *operations: str
) -> Iterator[Reach]:
    """Books that are handed in at the end, and must have a line for each of these faults and operations."""
    seed = seed_of_run(PROFILE)
    draw_from(seed)
    reach = Reach(random.Random(seed))
    yield reach
    report: dict[str, Any] = {
        "title": f"Faults: {title}",
        "profile": PROFILE,
        "seed": seed,
        "examples": reach.counts.total(),
        "steps": 0,
        "tables": reach.tables(),
        "unreached": {},
    }
    record_property("reach", report)
    met = {(operation, fault) for operation, fault, _ in reach.counts}
    missing = [
        pair for operation in operations for fault in faults if (pair := (operation, fault)) not in met
    ]
    assert not missing, f"never met: {missing}"

"""How much generated tests try, and how often they reached each thing there is: a test that never got there
proves nothing, so it fails."""

import os
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

PROFILES = {
    "quick": "in every `make test`: the same examples each time",
    "ci": "many more of them, the same each time",
    "deep": "a night of them, others each time",
}


def profile() -> str:
    """How much is to be tried: what HYPOTHESIS_PROFILE names, or `quick`."""
    name = os.environ.get("HYPOTHESIS_PROFILE", "quick")
    if name not in PROFILES:
        raise pytest.UsageError(f"HYPOTHESIS_PROFILE is {name!r}, which is none of {', '.join(PROFILES)}.")
    return name


@dataclass
class Reach:
    """The books of one generated test."""

    title: str
    seed: int
    examples: int = 0
    steps: int = 0
    """Of each example; zero if an example has no steps."""
    tables: dict[str, Counter[str]] = field(default_factory=dict)
    unreached: dict[tuple[str, str], str] = field(default_factory=dict)
    """By table and row: why this test cannot get there, and who does."""

    def expect(self, table: str, rows: Iterable[str]) -> None:
        """These rows exist, and must be reached unless there is a reason."""
        counts = self.tables.setdefault(table, Counter())
        for row in rows:
            if (table, row) not in self.unreached:
                counts.setdefault(row, 0)

    def count(self, table: str, row: str, times: int = 1) -> None:
        self.tables.setdefault(table, Counter())[row] += times

    def assert_all_reached(self) -> None:
        """Nothing was missed, and nothing that has an excuse was reached after all."""
        missing = [f"{table} {row}" for table, rows in self.tables.items() for row in rows if not rows[row]]
        assert not missing, f"never reached: {', '.join(sorted(missing))}"
        stale = [" ".join(pair) for pair in self.unreached if self.tables.get(pair[0], Counter())[pair[1]]]
        assert not stale, f"reached, though said to be out of reach: {', '.join(sorted(stale))}"

    def as_property(self) -> dict[str, Any]:
        """For `record_property("reach", ...)`, from where the terminal summary and the audit take it."""
        return {
            "title": self.title,
            "profile": profile(),
            "seed": self.seed,
            "examples": self.examples,
            "steps": self.steps,
            "tables": {table: dict(sorted(rows.items())) for table, rows in self.tables.items()},
            "unreached": {row: reason for (_, row), reason in self.unreached.items()},
        }


def summary(reach: Mapping[str, Any]) -> str:
    """What a recorded property says, for people: the rarest first."""
    steps = f" of {reach['steps']} steps" if reach["steps"] else ""
    lines = [
        f"{reach['title']}: {reach['examples']:,} examples{steps}, "
        f"HYPOTHESIS_PROFILE={reach['profile']} STATEFUL_SEED={reach['seed']}"
    ]
    for table, rows in reach["tables"].items():
        told = ", ".join(
            f"{row}\u00a0{times}" for row, times in sorted(rows.items(), key=lambda row: (row[1], row[0]))
        )
        lines.append(textwrap.fill(f"{table}: {told}", 108, initial_indent="  ", subsequent_indent="    "))
    return "\n".join(lines)

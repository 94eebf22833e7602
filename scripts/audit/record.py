"""A recorded run of all tests: what `run` writes, and what the report is made from."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """What is written to JSON and read back: unknown names are refused."""

    model_config = ConfigDict(extra="forbid")


class Outcome(StrEnum):
    """How a test ended, from the best to the worst."""

    PASSED = "passed"
    XFAILED = "failed as expected"
    SKIPPED = "skipped"
    FAILED = "failed"


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Of several cases, the one that counts."""
    return max(outcomes, key=list(Outcome).index)


class Case(Model):
    """One test with one set of parameters."""

    #: As pytest or Cairo's test runner names it.
    id: str
    outcome: Outcome = Outcome.PASSED
    seconds: float = 0.0
    #: Why it failed or was skipped.
    reason: str = ""
    #: What it recorded as its `reach`, not checked yet.
    reach: list[dict[str, Any]] = []

    @property
    def test(self) -> str:
        """The id without parameters."""
        return self.id.partition("[")[0]


class PytestRun(Model):
    """What the plugin saw of one run of pytest."""

    #: Zero if all passed; see pytest's `ExitCode`.
    status: int
    arguments: list[str]
    #: Hypothesis' profile, and whether it tries the same examples every time.
    profile: str
    repeatable: bool
    #: Times each property without a size of its own is tried.
    examples: int
    cases: list[Case]


class CairoRun(Model):
    """What Cairo's test runner did, or why it did not run."""

    not_run: str = ""
    cases: list[Case] = []


class Subject(Model):
    """What was tested, and with what."""

    commit: str | None
    #: Files that are not as in the commit.
    changed: list[str]
    #: A hash over all files, those that are not committed among them.
    tree: str | None
    platform: str
    processors: int
    python: str
    #: Versions of tools and of the network they speak for.
    tools: dict[str, str]
    #: Versions of Python packages.
    packages: dict[str, str]
    #: Variables that select what is tried.
    environment: dict[str, str]


class Record(Model):
    """A whole run."""

    began_at: datetime
    seconds: float
    subject: Subject
    #: Whether files changed while the tests ran, so that nobody can say what was tested.
    disturbed: bool
    pytest: PytestRun
    cairo: CairoRun

"""The schema of a recorded test run, which `run` writes and the report is made from."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A model that is written to JSON and read back. Unknown fields are rejected."""

    model_config = ConfigDict(extra="forbid")


class Outcome(StrEnum):
    """The outcome of a test, from best to worst."""

    PASSED = "passed"
    XFAILED = "failed as expected"
    SKIPPED = "skipped"
    FAILED = "failed"


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several outcomes."""
    return max(outcomes, key=list(Outcome).index)


class Case(Model):
    """A test with one set of parameters."""

    #: The id used by pytest or Cairo's test runner.
    id: str
    outcome: Outcome = Outcome.PASSED
    seconds: float = 0.0
    #: Why it failed or was skipped.
    reason: str = ""
    #: The unvalidated content of the test's `reach` property.
    reach: list[dict[str, Any]] = []

    @property
    def test(self) -> str:
        """The id without parameters."""
        return self.id.partition("[")[0]


class PytestRun(Model):
    """A run of pytest as seen by the plugin."""

    #: Zero if all passed; see pytest's `ExitCode`.
    status: int
    arguments: list[str]
    #: Hypothesis' profile, and whether it generates the same examples in every run.
    profile: str
    repeatable: bool
    #: Number of examples for properties that set no number themselves.
    examples: int
    cases: list[Case]


class CairoRun(Model):
    """A run of Cairo's test runner, or the reason why it did not run."""

    not_run: str = ""
    cases: list[Case] = []


class Subject(Model):
    """What was tested, with which tools."""

    commit: str | None
    #: Files that differ from the commit.
    changed: list[str]
    #: A hash over all files, including uncommitted ones.
    tree: str | None
    platform: str
    processors: int
    python: str
    #: Versions of the tools and of Starknet.
    tools: dict[str, str]
    #: Versions of Python packages.
    packages: dict[str, str]
    #: Environment variables that affect which cases are generated.
    environment: dict[str, str]


class Record(Model):
    """A complete run."""

    began_at: datetime
    seconds: float
    subject: Subject
    #: Whether files changed while the tests ran.
    disturbed: bool
    pytest: PytestRun
    cairo: CairoRun

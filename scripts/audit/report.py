"""The schema of the report, `report.json`. The page is rendered from it alone."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, computed_field

from scripts.audit.record import Case, Outcome, Subject, worst


class Status(StrEnum):
    """The status of a part of the report, from best to worst."""

    HOLDS = "holds"
    SKIPPED = "skipped in part"
    STALE = "stale"
    MISSING = "missing"
    FAILED = "failed"

    @property
    def is_defect(self) -> bool:
        """Whether this status fails the audit. Skipped evidence states its reason and does not."""
        return self not in (Status.HOLDS, Status.SKIPPED)


class Fault(BaseModel):
    """A defect or omission in a part of the report."""

    status: Status
    text: str


class Part(BaseModel):
    """A part of the report: its claim in a sentence, and the faults that contradict it."""

    claim: str = ""
    faults: list[Fault] = []

    @computed_field  # type: ignore[prop-decorator]
    @property
    def status(self) -> Status:
        """The status of the worst fault."""
        return max((fault.status for fault in self.faults), key=list(Status).index, default=Status.HOLDS)


class Evidence(BaseModel):
    """A test named as evidence, with its outcome in this run."""

    name: str
    #: Its full id, or empty if no test has that name.
    test: str = ""
    #: Empty if it did not run.
    outcome: Outcome | None = None
    #: Number of parameter sets it ran with.
    cases: int = 0


# --- what was examined ---


class Class(BaseModel):
    """A contract class."""

    name: str
    class_hash: str
    compiled_class_hash: str
    cairo: str
    sierra: str
    class_bytes: int


class Examined(Part):
    """The code, the tools and the machine."""

    subject: Subject
    began_at: datetime
    seconds: float
    #: Hash of the Cairo sources that the classes were compiled from.
    sources: str
    classes: list[Class]


# --- what was run ---


class Function(BaseModel):
    """A test function, with all its sets of parameters."""

    id: str
    #: Number of cases by outcome.
    outcomes: dict[Outcome, int]
    seconds: float
    #: The cases that did not pass.
    others: list[Case]

    @property
    def outcome(self) -> Outcome:
        """The outcome of its worst case."""
        return worst(self.outcomes)


class Folder(BaseModel):
    """The tests of a folder."""

    name: str
    tests: list[Function]

    @property
    def seconds(self) -> float:
        return sum(test.seconds for test in self.tests)

    def count(self, outcome: Outcome) -> int:
        """The number of cases with an outcome."""
        return sum(test.outcomes.get(outcome, 0) for test in self.tests)


class PythonTests(Part):
    """The Python tests."""

    arguments: list[str]
    profile: str
    repeatable: bool
    examples: int
    folders: list[Folder]


class CairoTests(Part):
    """The unit tests inside the Cairo sources."""

    cases: list[Case] = []


class Reach(BaseModel):
    """What a test with generated cases reports to have reached."""

    title: str
    profile: str
    seed: str | int
    examples: int
    steps: int = 0
    tables: dict[str, dict[str, int]]
    #: What was not reached, with the reason.
    unreached: dict[str, str] = {}
    test: str


class Reached(Part):
    runs: list[Reach] = []


# --- what is known besides ---


class Survivor(BaseModel):
    """A mutant that no test killed."""

    file: str
    line: int
    function: str
    operator: str
    change: str
    #: Why its survival is acceptable, or None if no reason is recorded.
    reason: str | None


class Score(BaseModel):
    """The results of mutants. Those that do not compile, or compile to the same code, do not count."""

    mutants: int
    not_compiling: int
    equivalent: int
    compiling: int
    killed: int
    #: In percent.
    score: float


class Mutants(Score):
    """All mutants of the contracts, or of the log verifier."""

    survivors: list[Survivor]
    by_operator: dict[str, Score]
    by_file: dict[str, Score]


class PutBack(BaseModel):
    """A defect of the predecessor that was reintroduced by hand."""

    defect: str
    file: str
    killed: bool
    #: The test that detected it, with its outcome in this run.
    test: Evidence | None


class Mutation(Part):
    """The last full mutation run."""

    commit: str = ""
    groups: dict[str, Mutants] = {}
    predecessor: list[PutBack] = []


class Cost(BaseModel):
    """The cost of one case of an operation, and its floor."""

    operation: str
    case: str
    l2_gas: int
    floor: int
    reads: int
    writes: int
    new_cells: int
    events: int
    calldata: int
    l1_data_gas: int

    @property
    def ratio(self) -> float:
        return self.l2_gas / self.floor


class Costs(Part):
    starknet: str = ""
    rows: list[Cost] = []
    #: `docs/costs.svg`.
    chart: str = ""
    tests: list[Evidence] = []


class EntryPoint(BaseModel):
    """An entry point with the tests that cover it."""

    name: str
    kind: str
    #: The outcome of a call by each role: `allowed`, or the error code.
    roles: dict[str, str]
    codes: dict[str, list[Evidence]]
    events: dict[str, list[Evidence]]
    #: The reason for an empty outcome.
    reasons: dict[str, str]


class Coverage(Part):
    """Coverage of entry points by roles, error codes and events."""

    roles: list[str] = []
    rows: list[EntryPoint] = []
    #: The tests that call each entry point as each role.
    tests: list[Evidence] = []


class Invariant(BaseModel):
    name: str
    words: str
    tests: list[Evidence]


class Invariants(Part):
    rows: list[Invariant] = []


class Threat(BaseModel):
    threat: str
    defence: str
    tests: list[Evidence]


class ThreatTable(BaseModel):
    title: str
    rows: list[Threat]


class Threats(Part):
    tables: list[ThreatTable] = []


class Guard(BaseModel):
    """A check that could pass for the wrong reason, and the planted failure that shows that it works."""

    name: str
    protects: str
    planted: str
    tests: list[Evidence]


class Guards(Part):
    rows: list[Guard] = []


class ErrorCode(BaseModel):
    code: str
    contract: str
    functions: list[str]
    meaning: str
    #: Number of times generated tests met it.
    met: int


class Errors(Part):
    rows: list[ErrorCode] = []


class Field(BaseModel):
    name: str
    type: str
    doc: str
    key: bool = False


class Event(BaseModel):
    name: str
    doc: str
    members: list[Field]


class Interface(BaseModel):
    """A contract's entry points, events and storage."""

    contract: str
    views: list[str]
    externals: list[str]
    events: list[Event]
    storage: list[Field]


class Interfaces(Part):
    contracts: list[Interface] = []


class Words(Part):
    """A section of the threat model in Markdown, with the tests named in it."""

    markdown: str = ""
    tests: list[Evidence] = []


# --- the report ---

TITLES = {
    "examined": "What was examined",
    "tests": "Tests",
    "cairo": "Unit tests in Cairo",
    "reached": "What generated tests reached",
    "invariants": "Invariants",
    "threats": "Threats and defences",
    "coverage": "Coverage",
    "mutation": "Mutations",
    "guards": "Guards that can fail",
    "costs": "Costs",
    "errors": "Error codes",
    "interfaces": "Events and storage",
    "not_protected": "What is not protected",
    "not_verified": "What we did not verify",
}
"""The parts in the order of the page: the name of each, which is its anchor too, and its title."""


_WORDS = {
    Status.FAILED: "Failed",
    Status.MISSING: "Missing, in whole or in part",
    Status.STALE: "Stale",
    Status.SKIPPED: "Skipped in part",
}


class Report(BaseModel):
    """The report."""

    written_at: datetime
    examined: Examined
    tests: PythonTests
    cairo: CairoTests
    reached: Reached
    invariants: Invariants
    threats: Threats
    coverage: Coverage
    mutation: Mutation
    guards: Guards
    costs: Costs
    errors: Errors
    interfaces: Interfaces
    not_protected: Words
    not_verified: Words

    def parts(self) -> Iterator[tuple[str, str, Part]]:
        """Name, title and content of each part."""
        for name, title in TITLES.items():
            yield name, title, getattr(self, name)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> str:
        """A summary in words: test totals, and the parts of the report that do not hold."""
        ended: Counter[Outcome] = Counter(case.outcome for case in self.cairo.cases)
        for folder in self.tests.folders:
            for test in folder.tests:
                ended.update(test.outcomes)
        failed = f"{ended[Outcome.FAILED]:,}" if ended[Outcome.FAILED] else "none"
        totals = [f"{ended[Outcome.PASSED]:,} of {ended.total():,} tests passed, {failed} failed"]
        totals += [
            f"{ended[outcome]:,} {outcome}"
            for outcome in (Outcome.SKIPPED, Outcome.XFAILED)
            if ended[outcome]
        ]
        sentences = [", ".join(totals)]
        for status in reversed(Status):
            titles = [title for _, title, part in self.parts() if part.status is status]
            if titles and status is not Status.HOLDS:
                sentences.append(f"{_WORDS[status]}: {', '.join(titles)}")
        if len(sentences) == 1:
            sentences.append(f"All {len(TITLES)} parts of this report hold")
        return ". ".join(sentences) + "."

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether no part failed, is missing or is stale."""
        return not any(part.status.is_defect for _, _, part in self.parts())

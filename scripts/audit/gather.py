"""Gather the report from a recorded run and the other evidence in the repository.

Each part has its own function, which reports what is missing, stale or failed. If such a function raises, its
part is reported as missing, so that there is always a report.
"""

import ast
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from medsync import artifacts
from medsync.deployment import toolchain
from medsync.errors import InputError
from scripts import bench, build, repository
from scripts.audit.record import Case, Outcome, Record, worst
from scripts.audit.report import (
    CairoTests,
    Class,
    Cost,
    Costs,
    Coverage,
    EntryPoint,
    ErrorCode,
    Errors,
    Event,
    Evidence,
    Examined,
    Fault,
    Field,
    Folder,
    Function,
    Guard,
    Guards,
    Interface,
    Interfaces,
    Invariant,
    Invariants,
    Mutants,
    Mutation,
    Part,
    PutBack,
    PythonTests,
    Reach,
    Reached,
    Report,
    Status,
    Threat,
    Threats,
    ThreatTable,
    Words,
)
from scripts.audit.run import tree_of
from scripts.reference.cairo_docs import contract_reference

THREAT_MODEL = "docs/threat-model.md"
#: A test name as written in documents.
TEST_NAME = re.compile(r"[\w/]+\.(?:py|cairo)::\w+")
#: Folders whose tests generate their cases and must report what they reached.
GENERATED = ("tests/stateful/", "tests/properties/", "tests/faults/", "tests/fuzz/")


def gather(root: Path, record: Record) -> Report:
    """Make the report on a recorded run of a checkout's tests."""
    index = Index([*record.pytest.cases, *record.cairo.cases], without_cairo=bool(record.cairo.not_run))
    reached = _part(Reached, lambda: reached_part(record))
    return Report(
        written_at=datetime.now(UTC),
        examined=examined_part(root, record),
        tests=tests_part(root, record),
        cairo=cairo_part(record),
        reached=reached,
        invariants=_part(Invariants, lambda: invariants_part(record, index)),
        threats=_part(Threats, lambda: threats_part(root, index)),
        coverage=_part(Coverage, lambda: coverage_part(index)),
        mutation=_part(Mutation, lambda: mutation_part(root, index)),
        guards=_part(Guards, lambda: guards_part(index)),
        costs=_part(Costs, lambda: costs_part(root, index)),
        errors=_part(Errors, lambda: errors_part(reached)),
        interfaces=_part(Interfaces, lambda: interfaces_part(root)),
        not_protected=_part(Words, lambda: words_part(root, index, "What is not protected")),
        not_verified=_part(Words, lambda: words_part(root, index, "What we did not verify")),
    )


P = TypeVar("P", bound=Part)


def _part(kind: type[P], gathered: Callable[[], P]) -> P:
    try:
        return gathered()
    except Exception as error:  # An error in one part must not hide the others.
        reason = f"{type(error).__name__}: {error}".replace(f"{repository.root()}/", "")
        return kind(claim="This part could not be gathered.", faults=[_missing(reason)])


def _failed(text: str) -> Fault:
    return Fault(status=Status.FAILED, text=text)


def _missing(text: str) -> Fault:
    return Fault(status=Status.MISSING, text=text)


def _stale(text: str) -> Fault:
    return Fault(status=Status.STALE, text=text)


def _skipped(text: str) -> Fault:
    return Fault(status=Status.SKIPPED, text=text)


# --- evidence ---


class Index:
    """An index of a run's tests by the names used in documents."""

    def __init__(self, cases: Iterable[Case], without_cairo: bool = False) -> None:
        self._without_cairo = without_cairo
        self._tests: dict[str, list[Case]] = defaultdict(list)
        for case in cases:
            self._tests[case.test].append(case)
            if case.id != case.test:
                self._tests[case.id].append(case)
        self._short: dict[tuple[str, str], list[str]] = defaultdict(list)
        for test in {case.test for cases in self._tests.values() for case in cases}:
            self._short[_short(test)].append(test)

    def find(self, name: str) -> Evidence:
        """Find a test by a name such as `test_file.py::test_it` or `file.cairo::it`, with its outcome.

        With the full id including parameters, only that case is found.
        """
        found = [name] if name in self._tests else self._short[_short(name)]
        if len(found) != 1:
            skipped = self._without_cairo and ".cairo::" in name
            return Evidence(name=name, outcome=Outcome.SKIPPED if skipped else None)
        cases = self._tests[found[0]]
        outcome = worst(case.outcome for case in cases)
        return Evidence(name=name, test=cases[0].test, outcome=outcome, cases=len(cases))

    def find_all(self, text: str) -> list[Evidence]:
        """Find all tests named in a text."""
        return [self.find(name) for name in dict.fromkeys(TEST_NAME.findall(text))]


def _short(name: str) -> tuple[str, str]:
    """File and function of a test. Cairo's `medsync::packing::tests::it` is `tests.cairo::it`."""
    parts = name.split("::")
    if "tests" in parts[1:-1]:
        return "tests.cairo", parts[-1]
    return parts[0].rpartition("/")[2], parts[-1]


def _judge(what: str, tests: Sequence[Evidence]) -> Iterator[Fault]:
    """Report the named tests that are missing, skipped or did not pass."""
    if not tests:
        yield _missing(f"{what}: no test is named")
    for test in tests:
        if test.outcome is None:
            yield _missing(f"{what}: {test.name} did not run")
        elif test.outcome is Outcome.SKIPPED:
            yield _skipped(f"{what}: {test.name} was skipped")
        elif test.outcome is not Outcome.PASSED:
            yield _failed(f"{what}: {test.name} {test.outcome}")


# --- what was examined and run ---


def examined_part(root: Path, record: Record) -> Examined:
    """The code, tools and machine, and whether the files are unchanged since the run."""
    subject = record.subject
    faults = []
    if subject.commit is None or subject.tree is None:
        faults.append(_missing("This is not a git checkout, so the tested commit is unknown."))
    elif record.disturbed:
        faults.append(_stale("Files changed while the tests ran."))
    elif subject.tree != tree_of(root):
        faults.append(_stale("Files changed since the tests ran."))
    sources, classes = "", []
    try:
        manifest = artifacts.manifest()
        sources = manifest["source_sha256"]
        classes = [
            Class(name=name, **{key: facts[key] for key in Class.model_fields if key != "name"})
            for name, facts in manifest["contracts"].items()
        ]
    except (InputError, KeyError) as error:
        faults.append(_missing(f"The classes are not known: {error!r}"))
    if sources != build.source_hash(build.PRODUCT):
        faults.append(_stale("The class hashes belong to other sources: run `make build`."))
    changed = f", with {len(subject.changed)} files changed since" if subject.changed else ", unchanged"
    return Examined(
        claim=f"Commit {(subject.commit or 'unknown')[:12]}{changed if subject.commit else ''}.",
        faults=faults,
        subject=subject,
        began_at=record.began_at,
        seconds=record.seconds,
        sources=sources,
        classes=classes,
    )


def tests_part(root: Path, record: Record) -> PythonTests:
    """All Python tests, by folder, and those that exist but did not run."""
    run = record.pytest
    functions: dict[str, list[Case]] = defaultdict(list)
    for case in run.cases:
        functions[case.test].append(case)
    tests = [
        Function(
            id=name,
            outcomes=Counter(case.outcome for case in cases),
            seconds=round(sum(case.seconds for case in cases), 3),
            others=[case for case in cases if case.outcome is not Outcome.PASSED],
        )
        for name, cases in sorted(functions.items())
    ]
    totals = Counter(case.outcome for case in run.cases)
    faults = [_failed(f"{case.id} failed") for case in run.cases if case.outcome is Outcome.FAILED]
    if run.status != (1 if faults else 0):
        faults.append(_failed(f"pytest exited with status {run.status}, which the outcomes do not explain."))
    faults += [_missing(f"{name} did not run") for name in sorted(declared_tests(root) - functions.keys())]
    if skipped := totals[Outcome.SKIPPED]:
        faults.append(_skipped(f"{skipped} tests were skipped; the reasons are given below."))
    return PythonTests(
        claim=f"{_counted(totals)}.",
        faults=faults,
        arguments=run.arguments,
        profile=run.profile,
        repeatable=run.repeatable,
        examples=run.examples,
        folders=[
            Folder(name=name, tests=list(members))
            for name, members in groupby(sorted(tests, key=_folder), key=_folder)
        ],
    )


def _folder(test: Function) -> str:
    return test.id.partition("::")[0].rpartition("/")[0]


def _counted(totals: Counter[Outcome]) -> str:
    """Describe totals in words. Zero counts are omitted, except for failures."""
    parts = [
        f"{totals.total():,} tests: {totals[Outcome.PASSED]:,} passed",
        f"{totals[Outcome.FAILED]:,} failed",
    ]
    parts += [
        f"{totals[outcome]:,} {outcome}" for outcome in (Outcome.SKIPPED, Outcome.XFAILED) if totals[outcome]
    ]
    return ", ".join(parts)


@cache
def declared_tests(root: Path) -> set[str]:
    """All test functions in the test files, whether they ran or not."""
    return {
        f"{path.relative_to(root).as_posix()}::{name}"
        for path in (root / "tests").rglob("test_*.py")
        for name in _test_functions(path.read_text())
    }


def _test_functions(source: str) -> list[str]:
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return []  # pytest reports the syntax error.
    functions = [
        statement for statement in statements if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [function.name for function in functions if function.name.startswith("test_")]


def cairo_part(record: Record) -> CairoTests:
    """The Cairo unit tests, or the reason why they did not run."""
    run = record.cairo
    if run.not_run:
        return CairoTests(claim="Not run.", faults=[_skipped(run.not_run)])
    faults = [_failed(f"{case.id} failed") for case in run.cases if case.outcome is Outcome.FAILED]
    if not run.cases:
        faults.append(_missing("The test runner found no tests."))
    return CairoTests(
        claim=f"{_counted(Counter(case.outcome for case in run.cases))}.", faults=faults, cases=run.cases
    )


def reached_part(record: Record) -> Reached:
    """What generated tests reached; every row that they did not reach needs a reason."""
    runs = [Reach(test=case.id, **reach) for case in record.pytest.cases for reach in case.reach]
    faults = [
        _failed(f"{run.title}: {row} was never reached, without a stated reason")
        for run in runs
        for table, rows in run.tables.items()
        for row, times in rows.items()
        if not times and row not in run.unreached
    ]
    faults += [
        _missing(f"No test in {folder} reports what it reached.")
        for folder in GENERATED
        if not any(run.test.startswith(folder) for run in runs)
    ]
    rows = sum(len(rows) for run in runs for rows in run.tables.values())
    return Reached(
        claim=f"{len(runs)} generated tests reached {rows:,} things they list"
        f" in {sum(run.examples for run in runs):,} examples.",
        faults=faults,
        runs=runs,
    )


# --- what holds what ---


def invariants_part(record: Record, index: Index) -> Invariants:
    """The invariants. State machines check all of them after every step; other tests plant violations."""
    from tests.stateful.invariants import INVARIANTS

    cases = [case for case in record.pytest.cases if case.id.startswith("tests/stateful/")]
    machines = [index.find(case.test) for case in cases if case.reach]
    rows = []
    for name, words in INVARIANTS.items():
        planted = [case for case in cases if name in case.id.partition("[")[2]]
        named = [Index(planted).find(test) for test in dict.fromkeys(case.test for case in planted)]
        rows.append(Invariant(name=name.replace("_", " "), words=words, tests=[*machines, *named]))
    faults = [fault for row in rows for fault in _judge(row.name, row.tests)]
    return Invariants(
        claim=f"{len(rows)} invariants, checked after every step of the state machines.",
        faults=faults,
        rows=rows,
    )


def guards_part(index: Index) -> Guards:
    """All gates that a change must pass, each with the failure planted to show that it works."""
    from scripts.guards.table import PLANTED, PROVEN

    walk = "tests/guards/test_planted.py::test_a_"
    rows = []
    for planted in PLANTED:
        name = f"{planted.environment} {planted.gate}".strip()
        test = "test_names_what_is_planted" if "::" in planted.gate else f"gate_names_what_is_planted[{name}]"
        rows.append(
            Guard(
                name=name,
                protects=planted.protects,
                planted=planted.failure,
                tests=[index.find(f"{walk}{test}")],
            )
        )
    rows += [
        Guard(
            name=proven.gate,
            protects=proven.protects,
            planted=proven.failure,
            tests=list(map(index.find, proven.tests)),
        )
        for proven in PROVEN
    ]
    faults = [fault for row in rows for fault in _judge(row.name, row.tests)]
    gates = len({row.name for row in rows})
    return Guards(
        claim=f"{gates} gates, and {len(rows)} planted failures to show that they work.",
        faults=faults,
        rows=rows,
    )


def coverage_part(index: Index) -> Coverage:
    """Coverage of entry points by roles, error codes and events."""
    from tests.harness.coverage import ROLES_TEST, VIEWS_TEST, coverage, holes
    from tests.harness.roles import ROLES

    table = coverage()

    def found(cells: Mapping[str, list[str]]) -> dict[str, list[Evidence]]:
        return {name: [index.find(test) for test in tests] for name, tests in cells.items()}

    rows = [
        EntryPoint(
            name=name,
            kind=entry["kind"],
            roles=entry["roles"],
            codes=found(entry["codes"]),
            events=found(entry["events"]),
            reasons=entry["reasons"],
        )
        for name, entry in table.items()
    ]
    tests = [index.find(ROLES_TEST), index.find(VIEWS_TEST)]
    faults = [_missing(hole) for hole in holes(table)] + list(_judge("roles", tests))
    for row in rows:
        for cell, tests in (row.codes | row.events).items():
            faults += _judge(f"{row.name}, {cell}", tests) if tests else ()
    cells = sum(len(row.roles) + len(row.codes) + len(row.events) for row in rows)
    return Coverage(
        claim=f"{len(rows)} entry points by {len(ROLES)} roles, error codes and events:"
        f" {cells:,} cells, {'none' if not faults else len(faults)} of them open.",
        faults=faults,
        roles=list(ROLES),
        rows=rows,
        tests=tests,
    )


def threats_part(root: Path, index: Index) -> Threats:
    """The tables of the threat model with the results of the tests named in them."""
    tables = []
    for title, text in sections((root / THREAT_MODEL).read_text()).items():
        rows = []
        for header, *body in tables_of(text):
            if header[0] in ("Threat", "Defect"):
                for threat, *defence, tests in body:
                    rows.append(Threat(threat=threat, defence=" ".join(defence), tests=index.find_all(tests)))
        if rows:
            tables.append(ThreatTable(title=title, rows=rows))
    faults = [fault for table in tables for row in table.rows for fault in _judge(row.threat, row.tests)]
    if not tables:
        faults.append(_missing(f"{THREAT_MODEL} has no table of threats."))
    count = sum(len(table.rows) for table in tables)
    named = len({test.name for table in tables for row in table.rows for test in row.tests})
    return Threats(claim=f"{count} threats and {named} tests of the defences.", faults=faults, tables=tables)


def words_part(root: Path, index: Index, title: str) -> Words:
    """A section of the threat model."""
    text = sections((root / THREAT_MODEL).read_text()).get(title, "")
    if not text:
        return Words(claim="Not written.", faults=[_missing(f"{THREAT_MODEL} has no section “{title}”.")])
    tests = index.find_all(text)
    faults = [fault for test in tests for fault in _judge("named here", [test])]
    return Words(
        claim=f"{len(text.split()):,} words{f', and {len(tests)} tests that show it' if tests else ''}.",
        faults=faults,
        markdown=text,
        tests=tests,
    )


def sections(text: str) -> dict[str, str]:
    """The bodies of a document's second-level headings."""
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    return {title.strip(): body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def tables_of(text: str) -> Iterator[list[list[str]]]:
    """The tables of a Markdown text: lists of rows of cells in source form, the header row first."""
    tree = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(text))
    for table in (node for node in tree.walk() if node.type == "table"):
        yield [
            [cell.children[0].content if cell.children else "" for cell in row.children]
            for row in table.walk()
            if row.type == "tr"
        ]


# --- what was measured before ---


def mutation_part(root: Path, index: Index) -> Mutation:
    """The committed report of the last full mutation run, checked as `make mutate` checks it."""
    from scripts.mutation import report

    if not (root / report.JSON).exists():
        return Mutation(
            claim="Not run.", faults=[_missing(f"There is no {report.JSON}: `make mutate` writes it.")]
        )
    content, known = report.read(root), report.reasons(root)
    wrong = report.findings_of(content, content["sources"], content["plan"], known)
    now = report.findings_of(content, report.sources(root), report.plan(report.all_mutants(root)), known)
    faults = [*map(_failed, wrong), *(_stale(finding) for finding in now if finding not in wrong)]
    return mutation_of(content, index, faults)


def mutation_of(content: Mapping[str, Any], index: Index, faults: list[Fault]) -> Mutation:
    """Convert a mutation report to a part of this report."""
    groups = {
        "Contracts": Mutants.model_validate(content),
        "Log verifier": Mutants.model_validate(content["python"]),
    }
    predecessor = [
        PutBack(
            defect=defect["defect"],
            file=defect["file"],
            killed=defect["killed"],
            test=index.find(defect["test"]) if defect["test"] else None,
        )
        for defect in content["predecessor"]
    ]
    scores = "; ".join(
        f"{title}: {group.killed:,} of {group.compiling:,} mutants killed ({group.score:.1f} %),"
        f" {len(group.survivors)} survived"
        for title, group in groups.items()
    )
    noticed = sum(defect.killed for defect in predecessor)
    return Mutation(
        claim=f"{scores}. {noticed} of {len(predecessor)} defects of the predecessor were detected.",
        faults=faults,
        commit=content["commit"],
        groups=groups,
        predecessor=predecessor,
    )


def costs_part(root: Path, index: Index) -> Costs:
    """The published costs, which a test in this run measured again."""
    published = json.loads((root / bench.report.COSTS).read_bytes())
    chart = (root / bench.report.CHART).read_text()
    versions = {row["starknet_version"] for row in published}
    tests = [index.find("tests/costs/test_costs.py::test_published_costs_are_measured_again")]
    faults = list(_judge("measured again", tests))
    if versions != {toolchain.STARKNET_VERSION}:
        faults.append(_stale(f"Measured under Starknet {', '.join(sorted(versions))}: `make bench`."))
    if chart != bench.report.chart(bench.report.read_costs()):
        faults.append(_stale("The chart does not match the costs: run `make bench`."))
    operations = list(dict.fromkeys(row["operation"] for row in published))
    rows = [Cost.model_validate(row) for row in published]
    rows.sort(key=lambda row: operations.index(row.operation))
    above = sum(row.ratio > bench.report.GOAL for row in rows)
    return Costs(
        claim=f"{len(rows)} cases measured; {len(rows) - above} cost at most {bench.report.GOAL - 1:.0%} more"
        " than the floor of their effects.",
        faults=faults,
        starknet=", ".join(sorted(versions)),
        rows=rows,
        chart=chart,
        tests=tests,
    )


# --- what the contracts say ---


def errors_part(reached: Reached) -> Errors:
    """The published error codes, and how often generated tests met each."""
    met: Counter[str] = Counter()
    for run in reached.runs:
        for table in run.tables.values():
            met.update(table)
    rows = [ErrorCode(code=code, met=met[code], **facts) for code, facts in artifacts.errors().items()]
    met_rows = sum(row.met > 0 for row in rows)
    return Errors(
        claim=f"{len(rows)} error codes, each with its meaning; generated tests met {met_rows} of them.",
        rows=rows,
    )


def interfaces_part(root: Path) -> Interfaces:
    """The contracts' entry points, events and storage."""
    reference = contract_reference(root / build.PRODUCT.sources[0] / "src")
    contracts = [
        Interface(
            contract=contract.name,
            views=[function.name for function in contract.functions if function.is_view],
            externals=[function.name for function in contract.functions if not function.is_view],
            events=[
                Event(
                    name=event.name,
                    doc=event.doc,
                    members=[
                        Field(name=member.name, type=member.type, doc=member.doc, key=member.key)
                        for member in event.members
                    ],
                )
                for event in contract.events
            ],
            storage=[
                Field(name=variable.name, type=variable.type, doc=variable.doc)
                for variable in contract.storage
            ],
        )
        for contract in reference.contracts
    ]
    functions = sum(len(contract.views) + len(contract.externals) for contract in contracts)
    events = sum(len(contract.events) for contract in contracts)
    cells = sum(len(contract.storage) for contract in contracts)
    return Interfaces(
        claim=f"{functions} entry points, {events} events and {cells} storage variables"
        f" in {len(contracts)} contracts.",
        contracts=contracts,
    )

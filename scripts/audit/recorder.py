"""A pytest plugin that records a run: `-p scripts.audit.recorder --record FILE`.

Under pytest-xdist only the controller writes; it receives the workers' reports.
"""

from pathlib import Path

import pytest

from scripts.audit.record import Case, Outcome, PytestRun

#: Characters kept of a failure, counted from its end.
REASON_LIMIT = 6_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", metavar="FILE", help="Record every test's outcome as JSON.")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--record")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(config, Path(path).absolute()))


class Recorder:
    """Follow a run and write it to a file at the end."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self.arguments = list(config.invocation_params.args)
        self.root = f"{config.rootpath}/"
        self.path = path
        self.cases: dict[str, Case] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            self.add(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        case = self.add(report)
        case.seconds += report.duration
        # The report of each phase repeats the properties of earlier phases.
        case.reach = [dict(value) for name, value in report.user_properties if name == "reach"]  # type: ignore[call-overload]

    def add(self, report: pytest.TestReport | pytest.CollectReport) -> Case:
        """Update the case that a report belongs to. A failure in any phase makes the case a failure."""
        case = self.cases.setdefault(report.nodeid, Case(id=report.nodeid))
        if report.failed:
            case.outcome = Outcome.FAILED
            reason = report.longreprtext.replace(self.root, "")
            case.reason = f"{case.reason}\n{reason}".strip()[-REASON_LIMIT:]
        elif report.skipped and hasattr(report, "wasxfail"):
            case.outcome, case.reason = Outcome.XFAILED, report.wasxfail
        elif report.skipped:
            # For a skipped test this is (file, line, "Skipped: reason").
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
            case.outcome, case.reason = Outcome.SKIPPED, why.removeprefix("Skipped: ")
        return case

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        from hypothesis import settings  # which takes a second, and only this process needs it

        chosen = settings()
        run = PytestRun(
            status=int(exitstatus),
            arguments=self.arguments,
            profile=settings.get_current_profile_name(),
            repeatable=chosen.derandomize,
            examples=chosen.max_examples,
            cases=sorted(self.cases.values(), key=lambda case: case.id),
        )
        self.path.write_text(run.model_dump_json(indent=1) + "\n")

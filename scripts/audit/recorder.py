"""A pytest plugin that writes a run down: `-p scripts.audit.recorder --record FILE`.

Under pytest-xdist only the process that starts the others writes; their reports come to it.
"""

from pathlib import Path

import pytest

from scripts.audit.record import Case, Outcome, PytestRun

#: Characters kept of a failure: its end says most.
REASON_LIMIT = 6_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", metavar="FILE", help="Write down every test's outcome, as JSON.")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--record")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(config, Path(path).absolute()))


class Recorder:
    """Follows a run and writes it to a file at its end."""

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
        # Each phase's report repeats what the phases before recorded.
        case.reach = [dict(value) for name, value in report.user_properties if name == "reach"]  # type: ignore[call-overload]

    def add(self, report: pytest.TestReport | pytest.CollectReport) -> Case:
        """The case a report belongs to, with its outcome so far: a failure in any phase is one."""
        case = self.cases.setdefault(report.nodeid, Case(id=report.nodeid))
        if report.failed:
            case.outcome = Outcome.FAILED
            reason = report.longreprtext.replace(self.root, "")
            case.reason = f"{case.reason}\n{reason}".strip()[-REASON_LIMIT:]
        elif report.skipped and hasattr(report, "wasxfail"):
            case.outcome, case.reason = Outcome.XFAILED, report.wasxfail
        elif report.skipped:
            # Of a skipped test it is (file, line, "Skipped: why").
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

"""`make audit`: run all tests, record the run, and write the report as an HTML page and as JSON."""

import os
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from medsync.errors import InputError, VerificationError
from scripts import repository
from scripts.audit.gather import gather
from scripts.audit.page import page
from scripts.audit.record import Record
from scripts.audit.report import Report
from scripts.audit.run import run_everything

FOLDER = "target/audit"
RECORD, PAGE, DATA = "tests.json", "report.html", "report.json"


def run(arguments: Sequence[str]) -> None:
    """Write the report. Raises VerificationError if any part of it failed, is missing or is stale."""
    parser = ArgumentParser(prog="python -m scripts audit", description=__doc__)
    parser.add_argument(
        "--from",
        dest="record",
        type=Path,
        metavar="FILE",
        help="report on a recorded run without running tests",
    )
    parser.add_argument("--workers", default="2", help="number of test processes (default: 2)")
    parser.add_argument("--output", type=Path, default=repository.root() / FOLDER, metavar="FOLDER")
    chosen = parser.parse_args(arguments)
    audit(chosen.output, chosen.record, chosen.workers)


def audit(folder: Path, recorded: Path | None, workers: str) -> None:
    """Write the report on a recorded run, or on a new run.

    Raises VerificationError if any part failed, is missing or is stale, after writing the report.
    """
    root = repository.root()
    if recorded:
        record = read(recorded)
    else:
        record = run_everything(root, workers)
        write(folder, {RECORD: record.model_dump_json(indent=1)})
    print("== Report ==", flush=True)
    report = gather(root, record)
    write(folder, {PAGE: page(report), DATA: report.model_dump_json(indent=1)})
    print(f"{os.path.relpath(folder / PAGE)} and {DATA} are written.")
    if not report.passed:
        raise VerificationError(report.verdict, findings=findings(report))
    print(report.verdict)


def read(path: Path) -> Record:
    """Read a recorded run. Raises InputError if the file is not a valid recording."""
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} is not a recorded run: {error}", hint="Run `make audit` to record a new one."
        ) from None


def findings(report: Report) -> list[str]:
    """The first defects of each part."""
    found = []
    for _, title, part in report.parts():
        faults = [fault for fault in part.faults if fault.status.is_defect]
        found += [f"{title}: {fault.status}: {fault.text}" for fault in faults[:3]]
        if len(faults) > 3:
            found.append(f"{title}: and {len(faults) - 3:,} more")
    return found


def write(folder: Path, files: dict[str, str]) -> None:
    """Write the files atomically, so that no reader finds a partial report."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as scratch:
        for name, content in files.items():
            Path(scratch, name).write_text(content + "\n")
        for name in files:
            os.replace(Path(scratch, name), folder / name)

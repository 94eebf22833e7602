"""The mutation report: docs/mutation.json, docs/mutation.md made from it, and the check of both."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsync.errors import InputError, VerificationError
from scripts.mutation import packages
from scripts.mutation.defects import OPERATOR as PREDECESSOR
from scripts.mutation.defects import defect_mutants
from scripts.mutation.mutants import CAIRO, PYTHON, Mutant
from scripts.mutation.operators import cairo_mutants
from scripts.mutation.python_operators import TARGETS, python_mutants
from scripts.mutation.runner import Result
from scripts.mutation.worker import Verdict

JSON = "docs/mutation.json"
MARKDOWN = "docs/mutation.md"
REASONS = "scripts/mutation/survivors.toml"
GOAL = 95.0
"""The minimum score, in percent of the compiling mutants."""

_KILLED = (Verdict.KILLED, Verdict.TIMEOUT)


def all_mutants(root: Path) -> list[Mutant]:
    """All mutants of the current code."""
    return [*defect_mutants(root), *cairo_mutants(root), *python_mutants(root)]


@dataclass(frozen=True)
class Reason:
    """Why a survivor is acceptable."""

    change: str
    """The change it refers to, so that readers need not look up the id."""
    reason: str


def reasons(root: Path) -> dict[str, Reason]:
    """The committed reasons, by mutant id."""
    entries = tomllib.loads((root / REASONS).read_text())
    return {
        mutant: Reason(entry["change"], " ".join(entry["reason"].split()))
        for mutant, entry in entries.items()
    }


def sources(root: Path) -> dict[str, str]:
    """SHA-256 of every file that is mutated."""
    return {
        file: hashlib.sha256((root / file).read_bytes()).hexdigest()
        for file in (*packages.texts(root), *TARGETS)
    }


def plan(mutants: Iterable[Mutant]) -> str:
    """A fingerprint of all mutants, which changes with every operator and every place."""
    return hashlib.sha256("\n".join(sorted(mutant.key for mutant in mutants)).encode()).hexdigest()


# --- writing ---


def covered(report: Mapping[str, Any], root: Path, mutants: Sequence[Mutant]) -> set[str]:
    """The languages whose part of a report still holds: the same sources, and the same number of mutants."""
    files = sources(root)
    recorded = report.get("sources", {})
    parts = {CAIRO: report, PYTHON: report.get("python", {})}
    holds = set()
    for language, part in parts.items():
        generated = [m for m in mutants if m.language == language and m.operator != PREDECESSOR]
        mutated = {file for file in files.keys() | recorded.keys() if _language(file) == language}
        counts = {file: count["mutants"] for file, count in part.get("by_file", {}).items()}
        if (
            all(files.get(file) == recorded.get(file) for file in mutated)
            and Counter(m.file for m in generated) == counts
        ):
            holds.add(language)
    return holds


def _language(file: str) -> str:
    return PYTHON if file.endswith(".py") else CAIRO


def compose(
    root: Path,
    results: Mapping[str, Result],
    known: Mapping[str, Reason],
    published: Mapping[str, Any] | None = None,
    *,
    partial: bool = False,
) -> dict[str, Any]:
    """Compose the report on a run.

    A language without results is taken from the `published` report if that part still holds. Otherwise raises
    InputError if a mutant has no final result, unless the report is to be `partial`: then it is of the
    mutants that have one, and says of how many.
    """
    mutants = all_mutants(root)
    missing = [mutant for mutant in mutants if not _final(results.get(mutant.key))]
    kept = {mutant.language for mutant in missing} & covered(published or {}, root, mutants)
    missing = [mutant for mutant in missing if mutant.language not in kept]
    if missing and not partial:
        raise InputError(f"{len(missing)} mutants have no verdict yet.", hint="Run `make mutate` to resume.")
    planned = Counter(mutant.language for mutant in mutants if mutant.operator != PREDECESSOR)
    untried = {mutant.id for mutant in missing}
    tried = [mutant for mutant in mutants if mutant.id not in untried]
    verdicts = {mutant.id: results[mutant.key] for mutant in tried if mutant.language not in kept}
    generated = [mutant for mutant in tried if mutant.operator != PREDECESSOR]
    parts = {
        language: {"commit": _commit(root), "planned": planned[language]}
        | _summary([m for m in generated if m.language == language], verdicts, known)
        for language in (CAIRO, PYTHON)
        if language not in kept
    }
    predecessor = [
        {
            "defect": mutant.change,
            "file": mutant.file,
            "line": mutant.line,
            "killed": verdicts[mutant.id].verdict in _KILLED,
            "test": verdicts[mutant.id].test,
        }
        for mutant in tried
        if mutant.operator == PREDECESSOR and mutant.language not in kept
    ]
    if published is not None:
        if CAIRO in kept:
            parts[CAIRO] = {name: published[name] for name in _PART}
            predecessor = published["predecessor"]
        if PYTHON in kept:
            parts[PYTHON] = published["python"]
    return {
        **parts[CAIRO],
        "python": parts[PYTHON],
        "predecessor": predecessor,
        "sources": sources(root),
        "plan": plan(mutants),
        "functions": _functions(mutants),
    }


def _final(result: Result | None) -> bool:
    return result is not None and result.final


def _summary(
    mutants: Sequence[Mutant], verdicts: Mapping[str, Result], known: Mapping[str, Reason]
) -> dict[str, Any]:
    survivors = [mutant for mutant in mutants if verdicts[mutant.id].verdict not in (*_KILLED, *_APART)]
    return _count(mutants, verdicts) | {
        "timeouts": sum(verdicts[mutant.id].verdict == Verdict.TIMEOUT for mutant in mutants),
        "survivors": [
            {
                "id": mutant.id,
                "file": mutant.file,
                "line": mutant.line,
                "function": mutant.function,
                "operator": mutant.operator,
                "change": mutant.change,
                "reason": known[mutant.id].reason if mutant.id in known else None,
            }
            for mutant in survivors
        ],
        "by_operator": _grouped(mutants, verdicts, "operator"),
        "by_file": _grouped(mutants, verdicts, "file"),
    }


_PART = (
    "commit",
    "planned",
    "mutants",
    "not_compiling",
    "equivalent",
    "compiling",
    "killed",
    "score",
    "timeouts",
    "survivors",
    "by_operator",
    "by_file",
)
"""What the report has of one language."""

_APART = (Verdict.EQUIVALENT, Verdict.NOT_COMPILING)


def _count(mutants: Sequence[Mutant], verdicts: Mapping[str, Result]) -> dict[str, Any]:
    counts = Counter(verdicts[mutant.id].verdict for mutant in mutants)
    compiling = len(mutants) - counts[Verdict.NOT_COMPILING] - counts[Verdict.EQUIVALENT]
    killed = counts[Verdict.KILLED] + counts[Verdict.TIMEOUT]
    return {
        "mutants": len(mutants),
        "not_compiling": counts[Verdict.NOT_COMPILING],
        "equivalent": counts[Verdict.EQUIVALENT],
        "compiling": compiling,
        "killed": killed,
        "score": round(100 * killed / compiling, 2) if compiling else 100.0,
    }


def _grouped(mutants: Sequence[Mutant], verdicts: Mapping[str, Result], by: str) -> dict[str, Any]:
    groups: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        groups.setdefault(getattr(mutant, by), []).append(mutant)
    return {name: _count(group, verdicts) for name, group in sorted(groups.items())}


def _functions(mutants: Iterable[Mutant]) -> dict[str, dict[str, str]]:
    functions: dict[str, dict[str, str]] = {}
    for mutant in mutants:
        if mutant.operator != PREDECESSOR:
            functions.setdefault(mutant.file, {})[mutant.function] = mutant.digest
    return functions


def _commit(root: Path) -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def write(root: Path, report: Mapping[str, Any]) -> None:
    """Write both files."""
    (root / JSON).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    (root / MARKDOWN).write_text(render(report))


def read(root: Path) -> dict[str, Any]:
    """Read the committed report. Raises InputError if it cannot be read."""
    try:
        report = json.loads((root / JSON).read_text())
        assert isinstance(report, dict)
    except (OSError, ValueError) as error:
        raise InputError(f"{JSON} cannot be read: {error}.", hint="Run `make mutate` to write it.") from error
    return report


def changed(report: Mapping[str, Any], mutants: Sequence[Mutant]) -> list[Mutant]:
    """The mutants of functions that have changed since the report was written."""
    functions = report.get("functions", {})
    return [
        mutant
        for mutant in mutants
        if mutant.operator != PREDECESSOR
        and functions.get(mutant.file, {}).get(mutant.function) != mutant.digest
    ]


# --- checking ---


def check(root: Path) -> None:
    """Raise VerificationError unless the report matches the current code and reaches the goal."""
    report = read(root)
    findings = findings_of(report, sources(root), plan(all_mutants(root)), reasons(root))
    path = root / MARKDOWN
    if not path.is_file() or path.read_text() != render(report):
        findings.append(f"{MARKDOWN} does not match {JSON}")
    if findings:
        raise VerificationError(
            "The mutation report is not valid:", findings=findings, hint="Run `make mutate` and commit."
        )


def findings_of(
    report: Mapping[str, Any], files: Mapping[str, str], fingerprint: str, known: Mapping[str, Reason]
) -> list[str]:
    """All faults of a report."""
    findings = []
    recorded = report["sources"]
    for file in sorted(files.keys() | recorded.keys()):
        if files.get(file) != recorded.get(file):
            findings.append(f"{file} changed after it was mutated")
    if not findings and report["plan"] != fingerprint:
        findings.append("the operators produce different mutants from those reported")
    survivors: dict[str, Mapping[str, Any]] = {}
    for title, part in (("contracts", report), ("log verifier", report["python"])):
        if not 0 < part["mutants"] <= part["planned"]:
            findings.append(f"{title}: {part['mutants']} of {part['planned']} mutants cannot be")
        if part["killed"] + len(part["survivors"]) != part["compiling"]:
            findings.append(f"{title}: killed and survivors do not add up to the compiling mutants")
        score = round(100 * part["killed"] / max(part["compiling"], 1), 2)
        if score != part["score"]:
            findings.append(f"{title}: the score is {score}, not {part['score']}")
        if score < GOAL:
            findings.append(f"{title}: the score is {score}, below {GOAL}")
        survivors |= {survivor["id"]: survivor for survivor in part["survivors"]}
    for mutant, survivor in survivors.items():
        where = f"{survivor['file']}:{survivor['line']} {survivor['change']}"
        if mutant not in known or not known[mutant].reason:
            findings.append(f"a survivor has no reason in {REASONS}: {mutant} {where}")
        elif known[mutant].reason != survivor["reason"]:
            findings.append(f"{JSON} and {REASONS} give different reasons: {mutant} {where}")
    if all(part["mutants"] == part["planned"] for part in (report, report["python"])):
        # Before, a reason may be that of a mutant that waits to be tried.
        for mutant in known.keys() - survivors.keys():
            findings.append(f"{REASONS} has a reason for a mutant that does not survive: {mutant}")
    for defect in report["predecessor"]:
        if not defect["killed"]:
            findings.append(f"a defect of the predecessor survives: {defect['defect']}")
    return findings


# --- rendering ---

_TEXT = """\
# Would the tests detect a defect?

Written by `make mutate` from [mutation.json](mutation.json); do not edit it. Contracts were measured at
commit `{commit}`, the verifier of logs at `{python_commit}`;
`python -m scripts mutate --check` fails if a mutated file has changed since.

The contracts, and the Python code that proves a log complete, were changed deliberately, one small mistake at
a time, and the tests were run against each change. A mutant is **killed** if a test fails, determined only by
the exit code of its process. Mutants that do not compile, or that compile to the original code, are not
counted. The **score** is the share of killed mutants among all others.

{totals}

{tried}Only behaviour counts: [tests/contracts](../tests/contracts), [tests/attacks](../tests/attacks) and the
Cairo unit tests run against the contracts, [tests/unit](../tests/unit) against the verifier. Comparisons of
artifacts, documents and costs are excluded, and so are generated tests: state machines and differential tests
find defects in addition to these.

All these tests pass against the unchanged code in the same process before anything is changed. Every test
that killed a mutant runs against the unchanged code once more before its devnet is renewed; if it fails, its
kills do not count.

## Defects of the predecessor

Reintroduced by hand in [scripts/mutation/defects.py](../scripts/mutation/defects.py).

{predecessor}

## Survivors

{survivors}

## Contracts, by operator

{operators}

## Contracts, by file

{files}

## Log verifier, by operator

{python_operators}

## Log verifier, by file

{python_files}

## How to run it

`make mutate` tests every mutant with Scarb {scarb}, which takes hours on two cores. It can be interrupted at
any time and resumes where it stopped; later runs only test what changed. `python -m scripts mutate --only
reward_pool.cairo` or `--only settle` tests a file or a function, `--list` lists the selected mutants, and
`--changed --sample 20` tests the functions that changed since this report, or 20 random mutants if none did;
CI does that. A survivor needs a test that kills it, or a reason in
[scripts/mutation/survivors.toml](../scripts/mutation/survivors.toml).
"""


def render(report: Mapping[str, Any]) -> str:
    """Render the report as Markdown."""
    from medsync.deployment.toolchain import SCARB_VERSION

    python = report["python"]
    return _TEXT.format(
        commit=report["commit"][:12],
        python_commit=python["commit"][:12],
        totals=_totals({"contracts": report, "log verifier": python}, "mutated"),
        tried="".join(_tried(title, part) for title, part in (("contracts", report), ("verifier", python))),
        predecessor=_table(
            ["Defect", "Reintroduced in", "Killed by"],
            [[defect["defect"], f"`{defect['file']}`", _test(defect)] for defect in report["predecessor"]],
        ),
        survivors=_survivors([*report["survivors"], *python["survivors"]]),
        operators=_totals(report["by_operator"], "operator"),
        files=_totals(report["by_file"], "file"),
        python_operators=_totals(python["by_operator"], "operator"),
        python_files=_totals(python["by_file"], "file"),
        scarb=SCARB_VERSION,
    )


def _tried(title: str, part: Mapping[str, Any]) -> str:
    """What a part leaves out."""
    if part["mutants"] == part["planned"]:
        return ""
    return (
        f"**Of the {part['planned']:,} mutants of the {title}, {part['mutants']:,} were tried**, chosen at "
        "random; the\nscore estimates that of all. `make mutate` tries the rest.\n\n"
    )


def _test(defect: Mapping[str, Any]) -> str:
    """The test that killed a defect, named as in documents."""
    return f"`{defect['test'].rpartition('/')[2].partition('[')[0]}`" if defect["killed"] else "**nothing**"


def _totals(rows: Mapping[str, Mapping[str, Any]], title: str) -> str:
    return _table(
        [title, "mutants", "not compiling", "same code", "compiling", "killed", "survived", "score"],
        [
            [
                name.removeprefix("contracts/").removeprefix("src/"),
                *(str(row[key]) for key in ("mutants", "not_compiling", "equivalent", "compiling", "killed")),
                str(row["compiling"] - row["killed"]),
                f"{row['score']:.1f} %",
            ]
            for name, row in rows.items()
        ],
    )


def _survivors(survivors: Sequence[Mapping[str, Any]]) -> str:
    if not survivors:
        return "None."
    return _table(
        ["Where", "Change", "Why it is acceptable"],
        [
            [
                f"`{Path(survivor['file']).name}:{survivor['line']}` "
                f"{survivor['function'].rsplit('::', 1)[-1]}",
                f"{survivor['operator']}: `{survivor['change']}`",
                survivor["reason"] or "**unexplained**",
            ]
            for survivor in survivors
        ],
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

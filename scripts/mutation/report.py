"""docs/mutation.json, docs/mutation.md made of it, and the check that both are about the code as it is."""

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
from scripts.mutation.defects import OPERATOR as PREDECESSOR
from scripts.mutation.defects import defect_mutants
from scripts.mutation.mutants import CAIRO, PYTHON, Mutant
from scripts.mutation.operators import SOURCES, cairo_mutants
from scripts.mutation.python_operators import TARGETS, python_mutants
from scripts.mutation.runner import Result
from scripts.mutation.worker import Verdict

JSON = "docs/mutation.json"
MARKDOWN = "docs/mutation.md"
REASONS = "scripts/mutation/survivors.toml"
GOAL = 95.0
"""Least score, in percent of the compiling mutants."""

_KILLED = (Verdict.KILLED, Verdict.TIMEOUT)


def all_mutants(root: Path) -> list[Mutant]:
    """Everything there is to try, for the code as it is."""
    return [*defect_mutants(root), *cairo_mutants(root), *python_mutants(root)]


@dataclass(frozen=True)
class Reason:
    """Why a survivor may live."""

    change: str
    """The change it is for, so that a reader need not look the id up."""
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
    paths = [*sorted((root / SOURCES).rglob("*.cairo")), *(root / file for file in TARGETS)]
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    }


def plan(mutants: Iterable[Mutant]) -> str:
    """A fingerprint of all mutants: another operator or another place makes another one."""
    return hashlib.sha256("\n".join(sorted(mutant.key for mutant in mutants)).encode()).hexdigest()


# --- writing ---


def compose(root: Path, results: Mapping[str, Result], known: Mapping[str, Reason]) -> dict[str, Any]:
    """The report on a run that is complete. Raises InputError if a mutant has no final result."""
    mutants = all_mutants(root)
    missing = [mutant.id for mutant in mutants if not _final(results.get(mutant.key))]
    if missing:
        raise InputError(f"{len(missing)} mutants have no verdict yet.", hint="`make mutate` goes on.")
    verdicts = {mutant.id: results[mutant.key] for mutant in mutants}
    generated = [mutant for mutant in mutants if mutant.operator != PREDECESSOR]
    return {
        "commit": _commit(root),
        "sources": sources(root),
        "plan": plan(mutants),
        **_summary([m for m in generated if m.language == CAIRO], verdicts, known),
        "python": _summary([m for m in generated if m.language == PYTHON], verdicts, known),
        "predecessor": [
            {
                "defect": mutant.change,
                "file": mutant.file,
                "line": mutant.line,
                "killed": verdicts[mutant.id].verdict in _KILLED,
                "test": verdicts[mutant.id].test,
            }
            for mutant in mutants
            if mutant.operator == PREDECESSOR
        ],
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
    """The committed report. Raises InputError if it cannot be read."""
    try:
        report = json.loads((root / JSON).read_text())
        assert isinstance(report, dict)
    except (OSError, ValueError) as error:
        raise InputError(f"{JSON} cannot be read: {error}.", hint="`make mutate` writes it.") from error
    return report


def changed(report: Mapping[str, Any], mutants: Sequence[Mutant]) -> list[Mutant]:
    """The mutants of functions that are not what they were when the report was written."""
    functions = report.get("functions", {})
    return [
        mutant
        for mutant in mutants
        if mutant.operator != PREDECESSOR
        and functions.get(mutant.file, {}).get(mutant.function) != mutant.digest
    ]


# --- checking ---


def check(root: Path) -> None:
    """Raise VerificationError unless the report is about the code as it is, and good."""
    report = read(root)
    findings = findings_of(report, sources(root), plan(all_mutants(root)), reasons(root))
    path = root / MARKDOWN
    if not path.is_file() or path.read_text() != render(report):
        findings.append(f"{MARKDOWN} is not what {JSON} renders to")
    if findings:
        raise VerificationError(
            "The mutation report does not hold:", findings=findings, hint="Run `make mutate` and commit."
        )


def findings_of(
    report: Mapping[str, Any], files: Mapping[str, str], fingerprint: str, known: Mapping[str, Reason]
) -> list[str]:
    """Everything that is wrong with a report."""
    findings = []
    recorded = report["sources"]
    for file in sorted(files.keys() | recorded.keys()):
        if files.get(file) != recorded.get(file):
            findings.append(f"{file} is not what was mutated")
    if not findings and report["plan"] != fingerprint:
        findings.append("the operators make other mutants than those reported")
    survivors: dict[str, Mapping[str, Any]] = {}
    for title, part in (("contracts", report), ("verifier of logs", report["python"])):
        if part["killed"] + len(part["survivors"]) != part["compiling"]:
            findings.append(f"{title}: killed and survivors are not all that compile")
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
            findings.append(f"{JSON} gives another reason than {REASONS}: {mutant} {where}")
    for mutant in known.keys() - survivors.keys():
        findings.append(f"{REASONS} has a reason for a mutant that does not survive: {mutant}")
    for defect in report["predecessor"]:
        if not defect["killed"]:
            findings.append(f"a defect of the predecessor survives: {defect['defect']}")
    return findings


# --- rendering ---

_TEXT = """\
# Would the tests notice?

Written by `make mutate` from [mutation.json](mutation.json); do not edit it. Measured at commit
`{commit}`; `python -m scripts mutate --check` fails if a mutated file has changed since.

Every contract, and the Python code that proves a log complete, was changed on purpose, one small mistake at
a time, and the tests were run against each. A mutant is **killed** if a test fails, known by the exit code
of its process alone. What does not compile is not counted, nor is what compiles to the same code as the
original. The **score** is the share of killed mutants among all others.

{totals}

Only behaviour counts: [tests/contracts](../tests/contracts), [tests/attacks](../tests/attacks) and the Cairo
unit tests kill contracts, [tests/unit](../tests/unit) the verifier. No comparison of artifacts, documents or
costs does, and no generated test: state machines and compared decisions come on top of this.

All these tests pass against the unchanged code in the same process before anything is changed. Whatever
killed is run against it once more before its devnet is renewed; where it fails then, its kills do not count.

## Defects of the predecessor

Put back by hand, as [scripts/mutation/defects.py](../scripts/mutation/defects.py) says.

{predecessor}

## Survivors

{survivors}

## Contracts, by operator

{operators}

## Contracts, by file

{files}

## Verifier of logs, by operator

{python_operators}

## Verifier of logs, by file

{python_files}

## How to run it

`make mutate` tries every mutant, with Scarb {scarb}: hours on two cores. It can be stopped at any moment and
goes on where it was; later it only tries what changed. `python -m scripts mutate --only reward_pool.cairo` or
`--only settle` tries a file or a function, `--list` lists what would be tried, and `--changed --sample 20`
tries the functions that changed since this report, or 20 mutants at random if none did: CI does that. A
survivor needs a test that kills it, or a reason in
[scripts/mutation/survivors.toml](../scripts/mutation/survivors.toml).
"""


def render(report: Mapping[str, Any]) -> str:
    """The report for people."""
    from medsync.deployment.toolchain import SCARB_VERSION

    python = report["python"]
    return _TEXT.format(
        commit=report["commit"][:12],
        totals=_totals({"contracts": report, "verifier of logs": python}, "mutated"),
        predecessor=_table(
            ["Defect", "Put back in", "Killed by"],
            [[defect["defect"], f"`{defect['file']}`", _test(defect)] for defect in report["predecessor"]],
        ),
        survivors=_survivors([*report["survivors"], *python["survivors"]]),
        operators=_totals(report["by_operator"], "operator"),
        files=_totals(report["by_file"], "file"),
        python_operators=_totals(python["by_operator"], "operator"),
        python_files=_totals(python["by_file"], "file"),
        scarb=SCARB_VERSION,
    )


def _test(defect: Mapping[str, Any]) -> str:
    """What killed a defect, as documents name tests."""
    return f"`{defect['test'].rpartition('/')[2].partition('[')[0]}`" if defect["killed"] else "**nothing**"


def _totals(rows: Mapping[str, Mapping[str, Any]], title: str) -> str:
    return _table(
        [title, "mutants", "not compiling", "same code", "compiling", "killed", "survived", "score"],
        [
            [
                name.removeprefix(f"{SOURCES}/"),
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
        ["Where", "Change", "Why it may live"],
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

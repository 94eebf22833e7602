"""`make mutate`: its options, and the selection of mutants."""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
from collections.abc import Sequence
from pathlib import Path

from medsync.deployment import toolchain
from medsync.errors import MedSyncError, ToolError, VerificationError
from scripts import repository
from scripts.mutation import report
from scripts.mutation.mutants import CAIRO, Mutant
from scripts.mutation.runner import FOLDER, CairoRun, Ledger, PythonRun, Stopped
from scripts.mutation.worker import Verdict


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m scripts mutate", description="Mutation testing.")
    options.add_argument("--check", action="store_true", help="only check the committed report")
    options.add_argument("--list", action="store_true", help="only list the mutants that would be tested")
    options.add_argument("--json", action="store_true", help="print the list or the results as JSON")
    options.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="number of processes (default: one per core)"
    )
    options.add_argument("--only", metavar="NAME", help="only this file, function, operator or mutant id")
    options.add_argument(
        "--changed", action="store_true", help="only functions that changed since the report"
    )
    options.add_argument("--sample", type=int, metavar="N", help="at most N mutants, chosen at random")
    options.add_argument(
        "--everything", action="store_true", help="also languages whose part of the report still holds"
    )
    options.add_argument("--again", action="store_true", help="test survivors again, after adding tests")
    options.add_argument(
        "--partial", action="store_true", help="write the report of the mutants tried so far, and how many"
    )
    options.add_argument("--seed", type=int, help="seed of the sample (default: a new one, which is printed)")
    return options


def run(arguments: Sequence[str]) -> None:
    """Run the command. Raises MedSyncError if it fails."""
    options = parser().parse_args(arguments)
    root = repository.root()
    if options.check:
        report.check(root)
        print(f"{report.JSON} is up to date and reaches the goal.")
        return
    published = report.read(root)
    mutants = select(root, options)
    if not (options.only or options.changed or options.sample or options.everything):
        current = report.covered(published, root, mutants)
        mutants = [mutant for mutant in mutants if mutant.language not in current]
    if options.list:
        _list(mutants, options.json)
        return
    results = _try(root, mutants, options.workers, again=options.again)
    if (options.only or options.changed or options.sample) and not options.partial:
        _print_results(root, mutants, results, options.json)
        return
    known = report.reasons(root)
    composed = report.compose(root, results.results, known, published, partial=options.partial)
    report.write(root, composed)
    report.check(root)


def select(root: Path, options: argparse.Namespace) -> list[Mutant]:
    """The mutants selected by the options."""
    mutants = report.all_mutants(root)
    if options.only:
        mutants = [m for m in mutants if options.only in (m.id, m.operator) or _is_named(m, options.only)]
    if options.changed:
        changed = report.changed(report.read(root), mutants)
        # If nothing changed, sample from all mutants.
        mutants = changed if changed or options.sample is None else mutants
    if options.sample is not None and options.sample < len(mutants):
        seed = options.seed if options.seed is not None else secrets.randbelow(2**32)
        print(f"A sample of {options.sample} of {len(mutants)} mutants: --seed {seed}", flush=True)
        chosen = {m.id for m in random.Random(seed).sample(mutants, options.sample)}
        mutants = [m for m in mutants if m.id in chosen]
    return mutants


def _is_named(mutant: Mutant, name: str) -> bool:
    return mutant.file.endswith(name) or name in mutant.function.split("::") or name == mutant.function


def _try(root: Path, mutants: Sequence[Mutant], workers: int, *, again: bool) -> Ledger:
    if any(m.language == CAIRO for m in mutants):
        scarb = toolchain.scarb()
        if not scarb.ok:
            raise ToolError(f"{scarb}.", hint="Install it to mutate the contracts.")
        toolchain.require_devnet()
    ledger = Ledger(root / FOLDER / "verdicts.jsonl")
    if again:
        survived = {key for key, result in ledger.results.items() if result.verdict == Verdict.SURVIVED}
        ledger.void(survived & {m.key for m in mutants})
    try:
        for run in (PythonRun, CairoRun):
            part = [m for m in mutants if (m.language == CAIRO) == (run is CairoRun)]
            run(root, part, ledger, workers).run()
    except Stopped as stopped:
        raise MedSyncError(f"{stopped}.") from None
    return ledger


def _list(mutants: Sequence[Mutant], as_json: bool) -> None:
    if as_json:
        fields = ("id", "file", "line", "function", "operator", "change")
        print(json.dumps([{field: getattr(m, field) for field in fields} for m in mutants], indent=2))
        return
    for m in mutants:
        print(f"{m.id}  {m.file}:{m.line}  {m.function}  {m.operator}: {m.change}")
    print(f"{len(mutants)} mutants.")


def _print_results(root: Path, mutants: Sequence[Mutant], ledger: Ledger, as_json: bool) -> None:
    """Print the results of some mutants. Raises VerificationError if one survives without a reason."""
    known = report.reasons(root)
    unexplained = []
    rows = []
    for m in mutants:
        result = ledger.results[m.key]
        rows.append({"id": m.id, "verdict": result.verdict, "test": result.test, "change": m.change})
        if result.verdict == Verdict.SURVIVED and m.id not in known:
            unexplained.append(f"{m.id} {m.file}:{m.line} {m.operator}: {m.change}")
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print(f"{row['id']}  {row['verdict']:13}  {row['change']}  {row['test'] or ''}".rstrip())
    if unexplained:
        hint = f"Write a test that kills the mutant, or add the reason to {report.REASONS}."
        raise VerificationError("The tests do not detect these mutants:", findings=unexplained, hint=hint)

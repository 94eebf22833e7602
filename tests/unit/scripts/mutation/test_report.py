"""The report's gate bites: each way in which it can be wrong, planted one by one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medsync.errors import InputError, VerificationError
from scripts.mutation import command, report
from scripts.mutation.mutants import CAIRO, PYTHON, Edit, Mutant
from scripts.mutation.report import Reason, compose, findings_of, render
from scripts.mutation.runner import Result
from scripts.mutation.worker import Verdict

SOURCES = {"contracts/src/a.cairo": "1", "medsync/log/fetch.py": "2"}
REASONS = {"0a": Reason("x → y", "It is the same.")}


def sound() -> dict[str, Any]:
    """A report nobody can object to."""
    count = {
        "planned": 40,
        "mutants": 40,
        "not_compiling": 1,
        "equivalent": 1,
        "compiling": 38,
        "killed": 37,
        "score": 97.37,
    }
    survivor = {
        "id": "0a",
        "file": "contracts/src/a.cairo",
        "line": 7,
        "function": "f",
        "operator": "comparison",
        "change": "a | b → a & b",
        "reason": "It is the same.",
    }
    python = {
        "planned": 2,
        "mutants": 2,
        "not_compiling": 0,
        "equivalent": 0,
        "compiling": 2,
        "killed": 2,
        "score": 100.0,
    }
    return {
        "commit": "c0ffee",
        "sources": dict(SOURCES),
        "plan": "plan",
        **count,
        "timeouts": 0,
        "survivors": [survivor],
        "by_operator": {"comparison": count},
        "by_file": {"contracts/src/a.cairo": count},
        "python": python
        | {"commit": "c0ffee", "timeouts": 0, "survivors": [], "by_operator": {}, "by_file": {}},
        "predecessor": [{"defect": "d", "file": "f", "line": 1, "killed": True, "test": "t"}],
        "functions": {},
    }


def findings(changed: dict[str, Any], known: dict[str, Reason] = REASONS) -> list[str]:
    return findings_of(changed, SOURCES, "plan", known)


def test_a_sound_report_passes() -> None:
    assert findings(sound()) == []


def _changed_source(planted: dict[str, Any]) -> None:
    planted["sources"]["contracts/src/a.cairo"] = "another"


def _missing_source(planted: dict[str, Any]) -> None:
    del planted["sources"]["medsync/log/fetch.py"]


def _other_plan(planted: dict[str, Any]) -> None:
    planted["plan"] = "another"


def _more_than_planned(planted: dict[str, Any]) -> None:
    planted["planned"] = 39


def _none_tried(planted: dict[str, Any]) -> None:
    planted["python"] |= {"mutants": 0, "compiling": 0, "killed": 0}


def _low_score(planted: dict[str, Any]) -> None:
    planted |= {"killed": 2, "compiling": 3, "score": 66.67}


def _false_score(planted: dict[str, Any]) -> None:
    planted["score"] = 99.0


def _hidden_survivor(planted: dict[str, Any]) -> None:
    planted["survivors"] = []


def _low_python_score(planted: dict[str, Any]) -> None:
    planted["python"] |= {"killed": 1, "compiling": 2, "score": 50.0}


def _other_reason(planted: dict[str, Any]) -> None:
    planted["survivors"][0]["reason"] = "Because."


def _living_defect(planted: dict[str, Any]) -> None:
    planted["predecessor"][0]["killed"] = False


@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        (_changed_source, "contracts/src/a.cairo changed after it was mutated"),
        (_missing_source, "medsync/log/fetch.py changed after it was mutated"),
        (_other_plan, "different mutants"),
        (_low_score, "below 95"),
        (_more_than_planned, "contracts: 40 of 39 mutants cannot be"),
        (_none_tried, "log verifier: 0 of 2 mutants cannot be"),
        (_false_score, "the score is 97.37, not 99.0"),
        (_hidden_survivor, "do not add up to the compiling mutants"),
        (_low_python_score, "log verifier: the score is 50.0, below"),
        (_other_reason, "give different reasons"),
        (_living_defect, "a defect of the predecessor survives: d"),
    ],
)
def test_a_planted_fault_is_found(plant: Callable[[dict[str, Any]], None], finding: str) -> None:
    planted = sound()
    plant(planted)
    assert any(finding in one for one in findings(planted))


@pytest.mark.parametrize(
    ("known", "finding"),
    [
        ({}, "a survivor has no reason"),
        ({"0a": Reason("x → y", "")}, "a survivor has no reason"),
        (REASONS | {"0b": Reason("x → y", "Stale.")}, "does not survive: 0b"),
    ],
)
def test_reasons_and_survivors_belong_together(known: dict[str, Reason], finding: str) -> None:
    assert any(finding in one for one in findings(sound(), known))


def planted_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: dict[str, Any]) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / report.REASONS).parent.mkdir(parents=True)
    (tmp_path / report.REASONS).write_text('[0a]\nchange = "x"\nreason = """It is\nthe same."""\n')
    monkeypatch.setattr(report, "all_mutants", lambda root: [])
    monkeypatch.setattr(report, "sources", lambda root: SOURCES)
    monkeypatch.setattr(report, "plan", lambda mutants: "plan")
    report.write(tmp_path, planted)
    return tmp_path


def test_the_gate_on_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = planted_root(tmp_path, monkeypatch, sound())
    monkeypatch.setattr("scripts.repository.root", lambda: root)
    command.run(["--check"])
    (root / report.MARKDOWN).write_text(render(sound()).replace("97.4", "99.9"))
    with pytest.raises(VerificationError, match="does not match"):
        command.run(["--check"])
    (root / report.MARKDOWN).unlink()
    with pytest.raises(VerificationError, match="does not match"):
        command.run(["--check"])
    (root / report.JSON).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        command.run(["--check"])


def _mutant(name: str) -> Mutant:
    edit = Edit("contracts/src/a.cairo", 0, 0, name)
    return Mutant(CAIRO, edit.file, 1, f"f_{name}", "truth", name, (edit,), "digest", 0)


def test_a_report_counts_every_verdict_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fates = {
        "a": Verdict.KILLED,
        "b": Verdict.TIMEOUT,
        "c": Verdict.SURVIVED,
        "d": Verdict.EQUIVALENT,
        "e": Verdict.NOT_COMPILING,
    }
    mutants = [_mutant(name) for name in fates]
    monkeypatch.setattr(report, "all_mutants", lambda root: mutants)
    monkeypatch.setattr(report, "sources", lambda root: SOURCES)
    monkeypatch.setattr(report, "_commit", lambda root: "c0ffee")
    results = {m.key: Result(m.key, fates[m.change]) for m in mutants}
    composed = compose(tmp_path, results, {})
    counts = {key: composed[key] for key in ("mutants", "compiling", "killed", "equivalent", "not_compiling")}
    assert counts == {"mutants": 5, "compiling": 3, "killed": 2, "equivalent": 1, "not_compiling": 1}
    assert composed["score"] == 66.67
    assert [one["change"] for one in composed["survivors"]] == ["c"]
    assert json.loads(json.dumps(composed)) == composed
    del results[mutants[0].key]
    with pytest.raises(InputError, match="1 mutants have no verdict"):
        compose(tmp_path, results, {})
    results[mutants[0].key] = Result(mutants[0].key, Verdict.UNDECIDED, final=False)
    with pytest.raises(InputError, match="1 mutants have no verdict"):
        compose(tmp_path, results, {})


def test_a_partial_report_says_how_many_were_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mutants = [_mutant("a"), _mutant("b"), _mutant("c")]
    monkeypatch.setattr(report, "all_mutants", lambda root: mutants)
    monkeypatch.setattr(report, "sources", lambda root: dict(SOURCES))
    monkeypatch.setattr(report, "_commit", lambda root: "first")
    results = {mutants[1].key: Result(mutants[1].key, Verdict.KILLED)}
    composed = compose(tmp_path, results, {}, partial=True)
    assert (composed["planned"], composed["mutants"], composed["killed"]) == (3, 1, 1)
    assert "Of the 3 mutants of the contracts, 1 were tried" in render(composed)
    assert CAIRO not in report.covered(composed, tmp_path, mutants)
    whole = compose(tmp_path, {m.key: Result(m.key, Verdict.KILLED) for m in mutants}, {})
    assert "were tried" not in render(whole)


def test_a_language_that_did_not_change_keeps_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without Scarb can report on Python, as long as no contract and no operator changed."""
    edit = Edit("medsync/log/fetch.py", 0, 0, "p")
    cairo, python = _mutant("a"), Mutant(PYTHON, edit.file, 1, "f", "truth", "p", (edit,), "digest", 0)
    files = dict(SOURCES)
    monkeypatch.setattr(report, "all_mutants", lambda root: [cairo, python])
    monkeypatch.setattr(report, "sources", lambda root: dict(files))
    monkeypatch.setattr(report, "_commit", lambda root: "first")
    both = {m.key: Result(m.key, Verdict.KILLED) for m in (cairo, python)}
    published = compose(tmp_path, both, {})
    monkeypatch.setattr(report, "_commit", lambda root: "second")
    files["medsync/log/fetch.py"] = "changed"
    assert report.covered(published, tmp_path, [cairo, python]) == {CAIRO}
    composed = compose(tmp_path, {python.key: Result(python.key, Verdict.SURVIVED)}, {}, published)
    assert (composed["commit"], composed["killed"]) == ("first", 1)
    assert (composed["python"]["commit"], composed["python"]["killed"]) == ("second", 0)
    assert composed["sources"] == files
    with pytest.raises(InputError, match="1 mutants have no verdict"):
        compose(tmp_path, {}, {}, published)
    files["contracts/src/a.cairo"] = "changed"
    with pytest.raises(InputError, match="1 mutants have no verdict"):
        compose(tmp_path, {python.key: both[python.key]}, {}, published)
    files["contracts/src/a.cairo"] = SOURCES["contracts/src/a.cairo"]
    monkeypatch.setattr(report, "all_mutants", lambda root: [cairo, _mutant("more"), python])
    with pytest.raises(InputError, match="2 mutants have no verdict"):
        compose(tmp_path, {python.key: both[python.key]}, {}, published)


def test_changed_functions_are_found() -> None:
    mutants = [_mutant("a"), _mutant("b"), _mutant("c")]
    recorded = {"functions": {"contracts/src/a.cairo": {"f_a": "digest", "f_b": "older"}}}
    assert [m.change for m in report.changed(recorded, mutants)] == ["b", "c"]


def chosen(root: Path, *arguments: str) -> list[str]:
    return [m.change for m in command.select(root, command.parser().parse_args(arguments))]


def test_what_the_options_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = planted_root(tmp_path, monkeypatch, sound())
    names = "abcdefghij"
    monkeypatch.setattr(report, "all_mutants", lambda root: [_mutant(name) for name in names])
    assert chosen(root) == list(names)
    assert chosen(root, "--only", "f_b") == ["b"]
    assert chosen(root, "--only", "a.cairo") == list(names)
    assert chosen(root, "--only", _mutant("c").id) == ["c"]
    assert chosen(root, "--changed") == list(names)
    recorded = {"contracts/src/a.cairo": {f"f_{name}": "digest" for name in names}}
    report.write(root, sound() | {"functions": recorded})
    assert chosen(root, "--changed") == []
    capsys.readouterr()
    sample = chosen(root, "--changed", "--sample", "3")
    seed = capsys.readouterr().out.split()[-1]
    assert len(sample) == 3
    assert chosen(root, "--sample", "3", "--seed", seed) == sample


def test_a_survivor_of_a_partial_run_needs_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = planted_root(tmp_path, monkeypatch, sound())
    mutants = [_mutant("a"), _mutant("b")]
    monkeypatch.setattr(report, "all_mutants", lambda root: mutants)
    monkeypatch.setattr("scripts.repository.root", lambda: root)
    results = {m.key: Result(m.key, Verdict.SURVIVED) for m in mutants}
    monkeypatch.setattr(command, "_try", lambda *_, **__: argparse.Namespace(results=results))
    with pytest.raises(VerificationError, match="do not detect") as caught:
        command.run(["--only", "a.cairo"])
    assert len(caught.value.findings) == 2
    known = "".join(f'["{m.id}"]\nchange = "x"\nreason = "y"\n' for m in mutants)
    (root / report.REASONS).write_text(known)
    command.run(["--only", "a.cairo"])
    assert "survived" in capsys.readouterr().out


def test_tables_survive_signs_of_their_own() -> None:
    assert "a \\| b → a & b" in render(sound())

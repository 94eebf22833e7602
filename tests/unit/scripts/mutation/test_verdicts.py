"""The machinery of verdicts: exit codes, what is run first, what is remembered, and what is void."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from medsync import artifacts
from scripts import repository
from scripts.mutation import packages, worker
from scripts.mutation.cairo import Source
from scripts.mutation.mutants import PYTHON, Edit, Mutant
from scripts.mutation.runner import Ledger, Result, Run, Stopped, copy_tree
from scripts.mutation.touch import Record, callers, order
from scripts.mutation.worker import Exit, Verdict, forked


def mutant(name: str) -> Mutant:
    edit = Edit("medsync/log/fetch.py", 0, 0, name)
    return Mutant(PYTHON, edit.file, 1, "f", "truth", name, (edit,), "digest", 0)


# --- exit codes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (Exit.PASSED, Verdict.SURVIVED),
        (Exit.FAILED, Verdict.KILLED),
        (Exit.OUT_OF_TIME, Verdict.UNDECIDED),
        (Exit.NOTHING_RAN, Verdict.ERROR),
        (2, Verdict.ERROR),
        (70, Verdict.ERROR),
    ],
)
def test_the_exit_code_is_the_verdict(code: int, verdict: str) -> None:
    assert forked(lambda: code, 10) == verdict


def test_a_fork_that_breaks_is_no_kill() -> None:
    assert forked(lambda: 1 // 0, 10) == Verdict.ERROR


def test_a_fork_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    def hanging() -> int:
        note.write_text(str(subprocess.Popen(["sleep", "60"]).pid))
        time.sleep(60)
        return Exit.PASSED

    assert forked(hanging, 0.5) == Verdict.TIMEOUT
    deadline = time.monotonic() + 10
    while _runs(int(note.read_text())):
        assert time.monotonic() < deadline


def _runs(pid: int) -> bool:
    """Whether a process is there and more than a zombie that init has yet to reap."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_only_exit_codes_of_real_tests_count(tmp_path: Path) -> None:
    """Planted tests: what they print does not matter, nor that nothing could be run."""
    planted = {
        "passes": ("def test(): print('1 failed, FAILED, Error')", 60, Verdict.SURVIVED),
        "fails": ("def test(): print('1 passed'); assert False", 60, Verdict.KILLED),
        # A module that cannot be imported any more: no test judged anything.
        "broken": ("def test(: pass", 60, Verdict.ERROR),
        "hangs": ("import time\ndef test(): time.sleep(60)", 1, Verdict.TIMEOUT),
    }
    for name, (text, _, _) in planted.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    limits = {f"test_{name}.py": seconds for name, (_, seconds, _) in planted.items()}
    program = (
        "import json, sys; from scripts.mutation.python_worker import run; "
        f"print(json.dumps([run([name], limit) for name, limit in {limits}.items()]), file=sys.stderr)"
    )
    # Without this environment's plugins each of them would take a second more.
    environment = os.environ | {
        "PYTHONPATH": str(repository.root()),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "xdist.plugin",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert json.loads(done.stderr.splitlines()[-1]) == [verdict for _, _, verdict in planted.values()]


class Flaky:
    """Stands for `Forks`: of each test, whether it fails when it is run the first, the second … time."""

    def __init__(self, failures: dict[str, list[bool]]) -> None:
        self.failures = failures

    def run(self, tests: list[str], seconds: float, notes: Path) -> str:
        notes.unlink(missing_ok=True)
        for test in tests:
            if self.failures[test].pop(0):
                notes.write_text(test)
                return Verdict.KILLED
        return Verdict.SURVIVED


@pytest.mark.parametrize(
    ("failures", "verdict"),
    [
        ({"a": [False], "b": [False]}, (Verdict.SURVIVED, None)),
        ({"a": [True, True], "b": []}, (Verdict.KILLED, "a")),
        ({"a": [True, False], "b": [True, True]}, (Verdict.KILLED, "b")),
        ({"a": [False], "b": [True, False]}, (Verdict.SURVIVED, None)),
    ],
)
def test_a_test_kills_only_by_failing_twice(
    tmp_path: Path, failures: dict[str, list[bool]], verdict: tuple[str, str | None]
) -> None:
    plugin = object.__new__(worker.Plugin)
    plugin.notes = tmp_path / "notes"
    assert plugin.confirmed(Flaky(failures), list(failures), 60) == verdict  # type: ignore[arg-type]
    assert not any(failures[test] for test in failures)


# --- which tests --------------------------------------------------------------------------------------------

RECORDS = {
    "t.py::slow": Record(9.0, frozenset({"deposit"}), frozenset({"deposit"})),
    "t.py::many[b]": Record(0.3, frozenset({"deposit"}), frozenset({"deposit"})),
    "t.py::many[a]": Record(0.2, frozenset({"deposit"}), frozenset({"deposit"})),
    "t.py::set_up": Record(0.1, frozenset({"deposit", "withdraw"}), frozenset({"withdraw"})),
    "t.py::other": Record(0.1, frozenset({"revoke_all"}), frozenset({"revoke_all"})),
}


def test_the_fastest_touching_test_is_first_and_a_known_killer_before_it() -> None:
    tests = ["t.py::many[a]", "t.py::slow", "t.py::many[b]", "t.py::set_up"]
    assert order({"deposit"}, RECORDS) == tests
    assert order({"withdraw", "unknown"}, RECORDS) == ["t.py::set_up"]
    assert order({"deposit"}, RECORDS, ["t.py::slow", "gone"])[:2] == ["t.py::slow", "t.py::many[a]"]


def test_what_touches_a_function() -> None:
    source = Source(
        "c.cairo",
        "struct Storage { cells: Map<felt252, Cell> }\n"
        "impl CellPacking of StorePacking<Cell, felt252> { fn pack(v: Cell) -> felt252 { join(v, 1) } }\n"
        "fn deposit() { inner(1); }\nfn inner(a: u32) { self.cells.write(a); }\nfn view() { other(1); }\n",
    )
    found = callers([source])
    assert found["inner"] == {"inner", "deposit"}
    assert found["CellPacking::pack"] >= {"inner", "deposit"}
    assert "deposit" not in found["view"]


def test_every_function_of_the_contracts_is_touched_by_an_entry_point() -> None:
    from scripts.mutation.operators import read_sources

    entry_points = {
        item["name"]
        for name in packages.CONTRACTS
        for entry in artifacts.load(name).abi
        if entry["type"] == "interface"
        for item in entry["items"]
    } | {"constructor"}
    untouched = {
        name for name, found in callers(read_sources(repository.root())).items() if not found & entry_points
    }
    assert untouched == set()


# --- compiling ----------------------------------------------------------------------------------------------


def test_a_change_is_compiled_where_it_can_be_felt() -> None:
    needed = packages.needs(packages.texts(repository.root()))

    def affected(file: str) -> tuple[str, ...]:
        return packages.contracts_of(needed, f"contracts/{file}")

    assert affected("src/reward_pool.cairo") == affected("src/reward_pool/cells.cairo") == ("RewardPool",)
    assert affected("src/access_log.cairo") == affected("src/access_log/cells.cairo") == ("MedSync",)
    assert affected("src/keys.cairo") == ("MedSync",)
    assert affected("src/vocabulary.cairo") == ("MedSync", "RewardPool")
    assert affected("interfaces/src/reward_pool.cairo") == ("MedSync", "RewardPool")
    assert affected("interfaces/src/chain.cairo") == ("MedSync", "RewardPool")
    assert affected("src/private_anchor.cairo") == affected("src/merkle.cairo") == ("PrivateAnchor",)
    assert affected("interfaces/src/private_anchor.cairo") == ("PrivateAnchor",)
    assert affected("src/packing.cairo") == affected("interfaces/src/src5.cairo") == packages.CONTRACTS


def test_every_change_is_compiled_somewhere() -> None:
    sources = packages.texts(repository.root())
    needed = packages.needs(sources)
    nowhere = [file for file in sources if not packages.contracts_of(needed, file)]
    assert nowhere == ["contracts/src/lib.cairo", "contracts/interfaces/src/lib.cairo"]


def test_what_a_contract_does_not_need_is_left_out() -> None:
    file, needed = "contracts/src/lib.cairo", frozenset({"contracts/src/a.cairo", "contracts/src/b/c.cairo"})
    lib = "//! All.\n\npub mod a;\npub mod b;\npub mod other;\n"
    assert packages.trimmed(file, lib, needed) == "//! All.\n\npub mod a;\npub mod b;\n"
    text = "#[cfg(test)]\nmod tests;\nuse crate::b;\n\n#[derive(Drop, Debug)]\nstruct S {}\n"
    assert packages.trimmed("contracts/src/a.cairo", text, needed) == (
        "use crate::b;\n\n#[derive(Drop)]\nstruct S {}\n"
    )


# --- what is remembered -------------------------------------------------------------------------------------


def test_a_ledger_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    first = Ledger(path)
    first.add(Result("a", Verdict.UNDECIDED, final=False))
    first.add(Result("a", Verdict.KILLED, "t.py::fast"))
    first.add(Result("b", Verdict.KILLED, "t.py::fast"))
    first.void(["b"])
    again = Ledger(path)
    assert again.results == {"a": Result("a", Verdict.KILLED, "t.py::fast")}


class Planned(Run):
    """A run whose workers are no processes: verdicts are planned, in order, by mutant."""

    module = "none"

    def __init__(self, root: Path, mutants: list[Mutant], plan: dict[str, list[dict[str, Any]]]) -> None:
        super().__init__(root, mutants, Ledger(root / "verdicts.jsonl"), 1)
        self.plan = plan
        self.tried: list[str] = []

    def passes(self) -> Any:
        def first(one: Any, tried: Mutant) -> Any:
            return self.ask(one, tried, False)

        def last(one: Any, tried: Mutant) -> Any:
            return self.ask(one, tried, True)

        return [("first", first), ("last", last)]

    def prepare(self, pool: ThreadPoolExecutor) -> None:
        pass

    def ask_worker(self, **message: Any) -> dict[str, Any]:
        if message["do"] == "control":
            return {"void": []}
        name = next(m.change for m in self.mutants.values() if m.id == message["id"])
        self.tried.append(name)
        return {"void": [], "seconds": 0.0} | self.plan[name].pop(0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "medsync/log").mkdir(parents=True)
    (tmp_path / "medsync/log/fetch.py").write_text("text\n")
    return tmp_path


class FakeWorker:
    """Answers what a `Planned` run says."""

    def __init__(self, run: Planned) -> None:
        self.log = Path("log")
        self.ask = run.ask_worker

    def stop(self) -> None:
        pass


def planned(root: Path, plan: dict[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> Planned:
    run = Planned(root, [mutant(name) for name in plan], plan)
    monkeypatch.setattr("scripts.mutation.runner.Worker", lambda *_: FakeWorker(run))
    return run


def verdicts(run: Planned) -> dict[str, str]:
    return {m.change: run.ledger.results[m.key].verdict for m in run.mutants.values()}


def test_only_what_lives_sees_the_last_pass(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = {
        "a": [{"verdict": Verdict.KILLED}],
        "b": [{"verdict": Verdict.UNDECIDED}, {"verdict": Verdict.KILLED}],
        "c": [{"verdict": Verdict.SURVIVED}, {"verdict": Verdict.SURVIVED}],
        "d": [{"verdict": Verdict.NOT_COMPILING}],
    }
    run = planned(root, plan, monkeypatch)
    run.run()
    assert run.tried == ["a", "b", "c", "d", "b", "c"]
    assert verdicts(run) == {
        "a": Verdict.KILLED,
        "b": Verdict.KILLED,
        "c": Verdict.SURVIVED,
        "d": Verdict.NOT_COMPILING,
    }


def test_a_later_run_tries_nothing_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(root, {"a": [{"verdict": Verdict.KILLED}]}, monkeypatch).run()
    again = planned(root, {"a": []}, monkeypatch)
    again.run()
    assert again.tried == []


def test_a_void_verdict_is_tried_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What killed `a` turns out to fail on the unchanged code."""
    plan: dict[str, list[dict[str, Any]]] = {
        "a": [
            {"verdict": Verdict.KILLED, "test": "t.py::flaky"},
            {"verdict": Verdict.SURVIVED},
            {"verdict": Verdict.SURVIVED},
        ],
        "b": [{"verdict": Verdict.KILLED, "void": [mutant("a").id]}],
    }
    run = planned(root, plan, monkeypatch)
    run.run()
    assert verdicts(run) == {"a": Verdict.SURVIVED, "b": Verdict.KILLED}
    assert run.distrusted == {"t.py::flaky"}


def test_tests_that_cannot_be_run_stop_everything(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planned(root, {"a": [{"verdict": Verdict.ERROR}]}, monkeypatch)
    with pytest.raises(Stopped, match="could not be run"):
        run.run()
    assert run.ledger.results == {}


def test_a_copy_holds_the_tree_as_it_is(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    (tree / ".gitignore").write_text("ignored\n")
    for name in ("new", "ignored"):
        (tree / name).write_text(name)
    copy = tmp_path / "copy"
    (copy / "stale").mkdir(parents=True)
    copy_tree(tree, copy)
    assert {path.name for path in copy.iterdir()} == {".gitignore", "new"}


def test_mutants_are_compiled_with_the_workspaces_profile() -> None:
    """Otherwise even the unchanged sources compile to other artifacts."""
    root = repository.root()
    first, *others = (tomllib.loads(text) for text in packages.manifests(root).values())
    workspace = tomllib.loads((root / "Scarb.toml").read_text())
    assert first["package"]["name"] == "medsync"
    assert first["profile"] == workspace["profile"]
    assert not any("profile" in other for other in others)

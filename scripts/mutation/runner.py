"""Tests mutants with several processes, stores every verdict immediately, and resumes interrupted runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scripts.mutation import packages
from scripts.mutation.mutants import Mutant
from scripts.mutation.operators import read_sources
from scripts.mutation.python_operators import ALL_TESTS, TESTS
from scripts.mutation.touch import Record, callers, order
from scripts.mutation.worker import Verdict

FOLDER = "target/mutation"
FIRST_PASS = 30.0
"""Time limit of the first pass in seconds. Most mutants are killed within one second."""
PYTHON_PASS = 120.0
"""Time limit of the nearest tests of a Python mutant in seconds: ample, because a busy machine is slow."""

LAST_PASS = 300.0


@dataclass(frozen=True)
class Result:
    """The result of a mutant."""

    key: str
    verdict: str
    test: str | None = None
    """The test that killed it, for information only."""
    seconds: float = 0.0
    passes: int = 1
    """Number of completed passes; a later run continues with the next."""
    final: bool = True
    """Whether no more tests are to be run against it."""


Attempt = Callable[["Worker", Mutant], tuple[Result, list[str]]]
"""Tests a mutant. Returns its result, and the ids of mutants whose results are void."""


class Ledger:
    """All results, each appended to a file immediately. The last result for a key counts."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self.results: dict[str, Result] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text().splitlines() if path.is_file() else ():
            self._take(json.loads(line))

    def add(self, result: Result) -> None:
        self._write(asdict(result))

    def void(self, keys: Iterable[str]) -> None:
        """Discard results whose killing test also fails on the unchanged code."""
        for key in keys:
            self._write({"key": key, "verdict": None})

    def _write(self, entry: dict[str, Any]) -> None:
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        if entry["verdict"] is None:
            self.results.pop(entry["key"], None)
        else:
            self.results[entry["key"]] = Result(**entry)


class Stopped(Exception):
    """The run was interrupted, or a worker failed."""


class Worker:
    """A worker process and its copy of the tree."""

    def __init__(self, root: Path, folder: Path, module: str) -> None:
        self.tree = folder / "tree"
        copy_tree(root, self.tree)
        environment = os.environ | {"PYTHONPATH": str(self.tree)}
        environment.pop("MEDSYNC_DEVNET_URL", None)
        # In a separate session, so that Ctrl-C reaches only the runner, which ends its workers.
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            cwd=self.tree,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Stopped(f"a worker exited; see {self.log}")
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def ask(self, **message: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return self.receive()

    @property
    def log(self) -> Path:
        """The output of the worker and its tests."""
        return self.tree.with_name("log")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


def copy_tree(root: Path, to: Path) -> None:
    """Copy the tracked and new files of the working tree, without ignored files."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    shutil.rmtree(to, ignore_errors=True)
    for name in filter(None, listed):
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)


class Run(ABC):
    """A run over the mutants of a language, in passes that each test the mutants still undecided."""

    module: str
    """The module that workers run."""

    def __init__(self, root: Path, mutants: Sequence[Mutant], ledger: Ledger, workers: int) -> None:
        self.root, self.ledger, self.count = root, ledger, workers
        self.mutants = {mutant.id: mutant for mutant in mutants}
        self.workers: list[Worker] = []
        self.distrusted: set[str] = set()
        """Tests that failed on the unchanged code, which no longer kill mutants in this run."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    @abstractmethod
    def passes(self) -> Sequence[tuple[str, Attempt]]:
        """The passes in order, each with its title."""

    @abstractmethod
    def prepare(self, pool: ThreadPoolExecutor) -> None:
        """Wait until the workers are ready."""

    def remember(self, mutant: Mutant, result: Result) -> None:  # noqa: B027
        """Take a result into account for the order of tests. Results of earlier runs are passed as well."""

    def run(self) -> None:
        """Determine the final result of every mutant. Raises Stopped on Ctrl-C, and keeps all results."""
        todo = [mutant for mutant in self.mutants.values() if not self._is_done(mutant)]
        if not todo:
            return
        console = Console()
        for mutant in self.mutants.values():
            if (result := self.ledger.results.get(mutant.key)) is not None:
                self.remember(mutant, result)
        pool = ThreadPoolExecutor(self.count)
        try:
            console.print(f"{len(todo)} mutants to test; starting {self.count} workers.")
            for number in range(self.count):
                self.workers.append(
                    Worker(self.root, self.root / FOLDER / f"worker-{number + 1}", self.module)
                )
            self.prepare(pool)
            for number, (title, attempt) in enumerate(self.passes(), 1):
                waiting = [m for m in todo if not self._is_done(m, number)]
                self._pass(pool, console, title, number, waiting, attempt)
        except KeyboardInterrupt:
            raise Stopped("interrupted; run the same command to resume") from None
        finally:
            self._stopping.set()
            for worker in self.workers:
                worker.stop()
            pool.shutdown()

    def _is_done(self, mutant: Mutant, number: int | None = None) -> bool:
        """Whether a mutant has completed pass `number`, or all passes if no number is given."""
        result = self.ledger.results.get(mutant.key)
        return result is not None and (result.final or (number is not None and result.passes >= number))

    def _pass(
        self,
        pool: ThreadPoolExecutor,
        console: Console,
        title: str,
        number: int,
        todo: Sequence[Mutant],
        attempt: Attempt,
    ) -> None:
        if not todo:
            return
        waiting = list(reversed(todo))
        with _progress(console) as progress:
            task = progress.add_task(title, total=len(todo), tally="")

            def serve(worker: Worker) -> None:
                while not self._stopping.is_set():
                    with self._lock:
                        if not waiting:
                            break
                        mutant = waiting.pop()
                    result, void = attempt(worker, mutant)
                    self.ledger.add(replace(result, passes=number))
                    with self._lock:
                        self.remember(mutant, result)
                    self._forget(void, waiting)
                    progress.update(task, advance=1, tally=self._tally())
                    if not console.is_terminal:
                        _print_result(mutant, result)
                self._forget(worker.ask(do="control")["void"], waiting)

            while waiting and not self._stopping.is_set():
                list(pool.map(serve, self.workers))

    def _forget(self, void: Sequence[str], waiting: list[Mutant]) -> None:
        """Queue mutants again that were killed by a test that also fails on the unchanged code."""
        with self._lock:
            self.distrusted |= {r.test for m in void if (r := self.ledger.results[self.mutants[m].key]).test}
            again = [self.mutants[mutant] for mutant in void]
            self.ledger.void(mutant.key for mutant in again)
            waiting += again

    def _tally(self) -> str:
        found = (self.ledger.results.get(mutant.key) for mutant in self.mutants.values())
        counts = Counter(result.verdict for result in found if result is not None)
        return ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())

    def ask(self, worker: Worker, mutant: Mutant, last: bool, **order: Any) -> tuple[Result, list[str]]:
        """Test a mutant with a worker. Returns its result, and the ids of mutants whose results are void."""
        answer = worker.ask(do="try", id=mutant.id, files=mutant.apply(self.root), **order)
        verdict = answer["verdict"]
        if verdict == Verdict.ERROR:
            raise Stopped(f"{mutant.id}: the tests could not be run; see {worker.log}")
        final = last or verdict not in (Verdict.SURVIVED, Verdict.UNDECIDED)
        result = Result(mutant.key, verdict, answer.get("test"), answer["seconds"], final=final)
        return result, answer["void"]


class CairoRun(Run):
    """Contracts: the tests that touch the changed function, then the Cairo unit tests, then all others."""

    module = "scripts.mutation.worker"

    def __init__(self, root: Path, mutants: Sequence[Mutant], ledger: Ledger, workers: int) -> None:
        super().__init__(root, mutants, ledger, workers)
        self.callers = callers(read_sources(root))
        self.needed = packages.needs(packages.texts(root))
        self.records: dict[str, Record] = {}
        self.every: set[str] = set()
        """All entry points that tests call. A handwritten defect may be behind any of them."""
        self.killers: dict[str, Counter[str]] = defaultdict(Counter)
        """The tests that killed mutants, by function and by file."""

    def passes(self) -> Sequence[tuple[str, Attempt]]:
        return [
            ("touching tests", self._touching),
            ("Cairo unit tests", self._unit_tests),
            ("all tests", self._all),
        ]

    def prepare(self, pool: ThreadPoolExecutor) -> None:
        """Record which entry points every test calls, unless that was recorded before."""
        tests, *_ = [worker.receive()["tests"] for worker in self.workers]
        path = self.root / FOLDER / "records.json"
        known: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        fresh = [test for test in tests if test not in known]
        shares = [fresh[number :: self.count] for number in range(self.count)]

        def record(worker: Worker, share: list[str]) -> dict[str, Any]:
            answer = worker.ask(do="record", tests=share) if share else {"records": {}}
            if answer.get("verdict", Verdict.SURVIVED) != Verdict.SURVIVED:
                raise Stopped(f"a test fails on the unchanged code; see {worker.log}")
            return dict(answer["records"])

        for found in pool.map(record, self.workers, shares):
            known |= found
        path.write_text(json.dumps(known))
        self.records = {
            test: Record(record["seconds"], frozenset(record["calls"]), frozenset(record["own"]))
            for test, record in known.items()
            if test in tests
        }
        self.every = {call for record in self.records.values() for call in record.calls}

    def remember(self, mutant: Mutant, result: Result) -> None:
        if result.verdict == Verdict.KILLED and result.test:
            self.killers[mutant.function][result.test] += 1
            self.killers[mutant.file][result.test] += 1

    def _order(self, mutant: Mutant) -> list[str]:
        """The tests that touch the changed function, beginning with those that killed mutants of it."""
        here = [test for test, _ in self.killers[mutant.function].most_common(10)]
        nearby = [test for test, _ in self.killers[mutant.file].most_common(20)]
        return order(self.callers.get(mutant.function, self.every), self.records, [*here, *nearby])

    def _touching(self, worker: Worker, mutant: Mutant) -> tuple[Result, list[str]]:
        return self._try(worker, mutant, self._order(mutant), FIRST_PASS, last=False)

    def _all(self, worker: Worker, mutant: Mutant) -> tuple[Result, list[str]]:
        # Tests without recorded calls, such as those of the client, may call anything. They come first,
        # because the others ran in an earlier pass.
        unrecorded = [test for test, record in self.records.items() if not record.calls]
        tests = [*sorted(unrecorded, key=lambda test: self.records[test].seconds), *self._order(mutant)]
        return self._try(worker, mutant, tests, LAST_PASS, last=True)

    def _try(
        self, worker: Worker, mutant: Mutant, tests: list[str], seconds: float, *, last: bool
    ) -> tuple[Result, list[str]]:
        contracts = packages.contracts_of(self.needed, mutant.file)
        trusted = [test for test in tests if test not in self.distrusted]
        return self.ask(worker, mutant, last, contracts=contracts, tests=trusted, seconds=seconds)

    def _unit_tests(self, worker: Worker, mutant: Mutant) -> tuple[Result, list[str]]:
        started = time.monotonic()
        for file, text in mutant.apply(self.root).items():
            (worker.tree / file).write_text(text)
        try:
            with worker.log.with_name("cairo-test.log").open("w") as log:
                code = subprocess.run(
                    ["scarb", "--offline", "cairo-test", "-p", "medsync"],
                    cwd=worker.tree,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                ).returncode
        finally:
            for edit in mutant.edits:
                shutil.copy2(self.root / edit.file, worker.tree / edit.file)
        seconds = round(time.monotonic() - started, 1)
        if code:
            return Result(mutant.key, Verdict.KILLED, "scarb cairo-test", seconds), []
        return Result(mutant.key, Verdict.SURVIVED, None, seconds, final=False), []


class PythonRun(Run):
    """The log verifier: first the tests of the changed file, then all that depend on the verifier."""

    module = "scripts.mutation.python_worker"

    def passes(self) -> Sequence[tuple[str, Attempt]]:
        return [("nearest tests", self._nearest), ("all tests of the verifier", self._all)]

    def prepare(self, pool: ThreadPoolExecutor) -> None:
        for worker in self.workers:
            worker.receive()

    def _nearest(self, worker: Worker, mutant: Mutant) -> tuple[Result, list[str]]:
        return self.ask(worker, mutant, False, tests=TESTS[mutant.file], seconds=PYTHON_PASS)

    def _all(self, worker: Worker, mutant: Mutant) -> tuple[Result, list[str]]:
        return self.ask(worker, mutant, True, tests=ALL_TESTS, seconds=LAST_PASS)


def _print_result(mutant: Mutant, result: Result) -> None:
    place = f"{mutant.file}:{mutant.line}"
    what = f"{mutant.operator}: {mutant.change}"
    print(f"{mutant.id} {result.verdict:13} {result.seconds:6.1f} s  {place}  {what}", flush=True)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[tally]}"),
        console=console,
        disable=not console.is_terminal,
    )

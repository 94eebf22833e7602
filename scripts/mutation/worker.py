"""A process that tests mutants: it compiles each, and forks a process that runs the tests against it.

pytest collects the tests once; every fork inherits them and runs some in a given order until one fails. Only
the fork's exit code determines the verdict. A failing test must fail a second time, so that a busy machine
does not kill mutants. The process has a devnet, which it renews from time to time. Before that, every test
that killed a mutant runs against the unchanged code on the same devnet: if one fails, the verdicts since the
last such control are void.

`runner` starts this module as a program in a copy of the tree and exchanges lines of JSON with it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import IO, Any

import pytest

from medsync import artifacts
from medsync.deployment.devnet import Devnet
from medsync.starknet import network
from scripts import build
from scripts.mutation import packages
from scripts.mutation.packages import CONTRACTS

TESTS = ("tests/contracts", "tests/attacks")
"""Behavioural tests, without comparisons of artifacts, costs or documents, which all mutants alter. Generated
tests are excluded because they are slow, and the other tests must be sufficient."""
NOT_BEHAVIOUR = ("tests/contracts/test_coverage.py",)
"""This test reads the sources of the other tests."""
RENEW_AFTER = 40
"""Number of mutants per devnet, limited because the devnet's memory grows."""
START_TIME = 1_767_225_600


class Exit(IntEnum):
    """The exit code of a fork. 0 and 1 are those of pytest."""

    PASSED = 0
    FAILED = 1
    NOTHING_RAN = 5
    OUT_OF_TIME = 64
    """All tests so far passed, but the time limit was reached."""


class Verdict:
    """The verdict on a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    TIMEOUT = "timeout"
    UNDECIDED = "undecided"
    """No test failed within the time limit."""
    EQUIVALENT = "equivalent"
    NOT_COMPILING = "not compiling"
    ERROR = "error"


def verdict_of(status: int) -> str:
    """Convert a fork's wait status to a verdict. A killed fork reached the time limit."""
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        return Verdict.TIMEOUT
    verdicts: dict[int, str] = {
        Exit.PASSED: Verdict.SURVIVED,
        Exit.FAILED: Verdict.KILLED,
        Exit.OUT_OF_TIME: Verdict.UNDECIDED,
    }
    return verdicts.get(code, Verdict.ERROR)


class Workshop:
    """Scratch packages in which mutants are compiled, and the tree whose artifacts they replace.

    Each contract has a copy of the packages with only the modules it needs. This halves the compile time. A
    check at the start ensures that no module is missing: the unchanged sources must compile to exactly the
    committed artifacts.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.sources = packages.texts(root)
        self.needed = packages.needs(self.sources)
        for name in CONTRACTS:
            for manifest, text in packages.manifests(root).items():
                _write(folder / name / manifest, text)
        kept = root / build.PRODUCT.artifacts
        self.originals = {
            name: {kind: (kept / f"{name}.{kind}.json").read_bytes() for kind in ("sierra", "casm")}
            for name in CONTRACTS
        }
        self.manifest = json.loads((kept / artifacts.MANIFEST).read_bytes())
        assert self.compile({}, CONTRACTS) == {}, "the sources do not compile to the committed artifacts"

    def compile(
        self, changed: Mapping[str, str], contracts: Sequence[str]
    ) -> dict[str, dict[str, bytes]] | None:
        """The Sierra and CASM of the contracts that changed, or None if they do not compile."""
        different = {}
        for name in contracts:
            needed = self.needed[name]
            for path, text in {**self.sources, **changed}.items():
                if path in needed or path.endswith("/lib.cairo"):
                    _write(self.folder / name / path, packages.trimmed(path, text, needed))
            folder = self.folder / name / build.PRODUCT.sources[0]
            command = ["scarb", "--offline", "--release", "--quiet", "build"]
            done = subprocess.run(command, cwd=folder, stdout=sys.stdout, stderr=subprocess.STDOUT)
            if done.returncode:
                return None
            target = folder / "target" / "release"
            kinds = {"sierra": "contract_class", "casm": "compiled_contract_class"}
            built = {
                kind: (target / f"medsync_{name}.{file}.json").read_bytes() for kind, file in kinds.items()
            }
            if built != self.originals[name]:
                different[name] = built
        return different

    def install(self, different: Mapping[str, Mapping[str, bytes]]) -> None:
        """Install these as the artifacts that the tests use."""
        kept = self.root / build.PRODUCT.artifacts
        manifest = json.loads(json.dumps(self.manifest))
        for name in CONTRACTS:
            files = different.get(name, self.originals[name])
            for kind, content in files.items():
                (kept / f"{name}.{kind}.json").write_bytes(content)
            if name in different:
                hashes = artifacts.starknet_py_hashes(
                    *(json.loads(files[kind]) for kind in ("sierra", "casm"))
                )
                entry = manifest["contracts"][name]
                entry["class_hash"], entry["compiled_class_hash"] = (f"{value:#066x}" for value in hashes)
        (kept / artifacts.MANIFEST).write_text(json.dumps(manifest))


def _write(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Channel:
    """Exchanges lines of JSON with the runner."""

    def __init__(self, reading: IO[str], writing: IO[str]) -> None:
        self._reading, self._writing = reading, writing

    def orders(self) -> Iterator[dict[str, Any]]:
        for line in self._reading:
            yield json.loads(line)

    def send(self, **message: Any) -> None:
        self._writing.write(json.dumps(message) + "\n")
        self._writing.flush()


def forked(work: Callable[[], int], seconds: float) -> str:
    """Run `work` in a forked process and return the verdict given by its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 70  # The tests could not be run.
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.setpgid(0, 0)
            code = work()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return verdict_of(wait(pid, seconds))


class Forks:
    """Runs the tests of a collected pytest session in forked processes."""

    def __init__(self, session: pytest.Session) -> None:
        self.session = session
        self.items = {item.nodeid: item for item in session.items}

    def run(self, tests: Sequence[str], seconds: float, notes: Path, grace: float = 60) -> str:
        """Run tests in order and return the verdict. The fork notes the failing test for information only."""
        notes.unlink(missing_ok=True)
        items = [self.items[test] for test in tests if test in self.items]
        return forked(lambda: self._child(items, seconds, notes), seconds + grace)

    def _child(self, items: list[pytest.Item], seconds: float, notes: Path) -> int:
        artifacts.load.cache_clear()
        artifacts.errors.cache_clear()
        deadline = time.monotonic() + seconds
        for item, following in zip(items, [*items[1:], None], strict=True):
            if time.monotonic() > deadline:
                return Exit.OUT_OF_TIME
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.session.testsfailed:
                notes.write_text(item.nodeid)
                return Exit.FAILED
        return Exit.PASSED if items else Exit.NOTHING_RAN


def wait(pid: int, seconds: float) -> int:
    """Wait for a child and return its status. Kills its group after `seconds`, or if this process ends."""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return status
            time.sleep(0.01)
    except BaseException:
        os.killpg(pid, signal.SIGKILL)
        raise
    os.killpg(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


class Plugin:
    """Replaces pytest's loop after collection, and serves the runner."""

    def __init__(self, channel: Channel, root: Path, scratch: Path) -> None:
        self.channel, self.root, self.notes = channel, root, scratch / "notes"
        self.workshop = Workshop(root, scratch / "build")
        self.devnet: Devnet | None = None
        self.used = 0
        self.killers: dict[str, list[str]] = {}
        """The mutants that each test killed since the last control."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        forks = Forks(session)
        self.renew()
        self.channel.send(tests=list(forks.items))
        for order in self.channel.orders():
            if order["do"] == "record":
                self.workshop.install({})
                verdict = self.record(forks, order["tests"])
                self.channel.send(verdict=verdict, records=self.recorded())
            elif order["do"] == "try":
                self.channel.send(**self.attempt(forks, order))
            elif order["do"] == "control":
                self.channel.send(void=self.control(forks))
        self.stop()
        return True

    def attempt(self, forks: Forks, order: dict[str, Any]) -> dict[str, Any]:
        """Compile a mutant and run the ordered tests against it."""
        started = time.monotonic()
        different = self.workshop.compile(order["files"], order["contracts"])
        answer: dict[str, Any] = {"void": [], "seconds": round(time.monotonic() - started, 1)}
        if different is None:
            return answer | {"verdict": Verdict.NOT_COMPILING}
        if not different:
            return answer | {"verdict": Verdict.EQUIVALENT}
        if self.used >= RENEW_AFTER:
            answer["void"] = self.control(forks)
            self.renew()
        self.used += 1
        self.workshop.install(different)
        verdict, test = self.confirmed(forks, order["tests"], order["seconds"])
        if verdict == Verdict.KILLED and test:
            self.killers.setdefault(test, []).append(order["id"])
        if verdict in (Verdict.TIMEOUT, Verdict.ERROR):
            self.renew()  # A mutant that hangs may leave its devnet in an unknown state.
        return answer | {
            "verdict": verdict,
            "test": test,
            "seconds": round(time.monotonic() - started, 1),
        }

    def confirmed(self, forks: Forks, tests: Sequence[str], seconds: float) -> tuple[str, str | None]:
        """The verdict of tests, and the killing test, which counts only if it fails alone a second time."""
        deadline = time.monotonic() + seconds
        while True:
            verdict = forks.run(tests, max(deadline - time.monotonic(), 1), self.notes)
            test = self.notes.read_text() if self.notes.is_file() else None
            if verdict != Verdict.KILLED or test is None:
                return verdict, test
            if forks.run([test], seconds, self.notes) != Verdict.SURVIVED:
                return verdict, test
            tests = tests[tests.index(test) + 1 :]
            if not tests:
                return Verdict.SURVIVED, None

    def control(self, forks: Forks) -> list[str]:
        """Run all killing tests against the unchanged code. Returns the mutants whose verdicts are void."""
        self.workshop.install({})
        killers, self.killers = self.killers, {}
        if not killers or forks.run(list(killers), 600, self.notes) == Verdict.SURVIVED:
            return []
        return [
            mutant
            for test, mutants in killers.items()
            if forks.run([test], 120, self.notes) != Verdict.SURVIVED
            for mutant in mutants
        ]

    def record(self, forks: Forks, tests: Sequence[str]) -> str:
        """Run tests against the unchanged code and record what they call."""
        from scripts.mutation.recorder import Recorder

        path = self.notes.with_name("records")
        path.unlink(missing_ok=True)
        recorder = Recorder(path)
        forks.session.config.pluginmanager.register(recorder)
        try:
            return forks.run(tests, 3600, self.notes)
        finally:
            forks.session.config.pluginmanager.unregister(recorder)

    def recorded(self) -> dict[str, Any]:
        path = self.notes.with_name("records")
        return dict(json.loads(line) for line in path.read_text().splitlines()) if path.is_file() else {}

    def renew(self) -> None:
        self.stop()
        self.devnet = Devnet.start(start_time=START_TIME)
        os.environ |= {network.DEVNET_URL_VARIABLE: self.devnet.url, "MEDSYNC_DEVNET_DISPOSABLE": "1"}
        self.used = 0

    def stop(self) -> None:
        if self.devnet is not None:
            self.devnet.stop()
            self.devnet = None


def open_channel(scratch: Path) -> Channel:
    """Open the channel to the runner on standard input and output. All other output goes to a log."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    channel = Channel(os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w"))
    with (scratch / "log").open("wb") as log, open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    return channel


def main(scratch: Path) -> int:
    """Serve until standard input closes. The current folder is the copy of the tree."""
    channel = open_channel(scratch)
    shutil.rmtree(scratch / "build", ignore_errors=True)
    plugin = Plugin(channel, Path.cwd(), scratch)
    paths = [path for path in TESTS if Path(path).is_dir()]
    options = ["-q", "-s", "-n", "0", "-p", "no:cacheprovider"]
    options += [f"--ignore={path}" for path in NOT_BEHAVIOUR]
    try:
        return pytest.main([*options, *paths], plugins=[plugin])
    finally:
        plugin.stop()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

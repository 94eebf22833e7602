"""Run all tests as `make test` does, and record what ran, with which tools, and the outcomes."""

import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from medsync.deployment import toolchain
from medsync.errors import ToolError
from medsync.starknet import network
from scripts.audit.record import CairoRun, Case, Outcome, PytestRun, Record, Subject

#: The Python packages that tests or hashes depend on.
PACKAGES = (
    *("starknet-py", "poseidon-py", "fastecdsa", "cairo-lang", "eth-hash", "pydantic"),
    *("pytest", "pytest-xdist", "hypothesis"),
)
#: Environment variables that affect which cases are generated.
VARIABLES = ("HYPOTHESIS_PROFILE", "STATEFUL_SEED", "PYTEST_ADDOPTS")

_CAIRO_CASE = re.compile(r"^test (\S+) \.\.\. (ok|fail|ignored)", re.M)
_CAIRO_OUTCOMES = {"ok": Outcome.PASSED, "fail": Outcome.FAILED, "ignored": Outcome.SKIPPED}


def run_everything(root: Path, workers: str) -> Record:
    """Run Cairo's unit tests and then all Python tests, showing their output.

    Raises ToolError if the tests cannot be completed, and KeyboardInterrupt if they were interrupted.
    """
    began_at, start, subject = datetime.now(UTC), time.monotonic(), subject_of(root)
    print("== Cairo unit tests ==", flush=True)
    cairo = run_cairo(root)
    print("== All Python tests ==", flush=True)
    pytest = run_pytest(root, ["-n", workers])
    return Record(
        began_at=began_at,
        seconds=round(time.monotonic() - start, 1),
        subject=subject,
        disturbed=subject.tree != tree_of(root),
        pytest=pytest,
        cairo=cairo,
    )


def run_pytest(root: Path, arguments: list[str]) -> PytestRun:
    """Run pytest with the recorder."""
    with tempfile.TemporaryDirectory(prefix="medsync-audit-") as scratch:
        path = Path(scratch) / "run.json"
        recorder = ["-p", "scripts.audit.recorder", "--record", str(path)]
        process = subprocess.Popen([sys.executable, "-m", "pytest", *recorder, *arguments], cwd=root)
        try:
            status = process.wait()
        except KeyboardInterrupt:
            # The terminal also interrupts pytest, which then ends its devnets: wait for that.
            process.wait()
            raise
        if not path.exists():
            raise ToolError(f"pytest exited with status {status} before running any test.")
        run = PytestRun.model_validate_json(path.read_bytes())
        return run.model_copy(update={"arguments": arguments})


def run_cairo(root: Path) -> CairoRun:
    """Run Cairo's unit tests if the pinned Scarb is installed."""
    scarb = toolchain.scarb()
    if scarb.path is None or not scarb.ok:
        print(f"{scarb}: not run.", flush=True)
        return CairoRun(not_run=f"{_without_path(scarb)}.")
    lines = []
    command = [str(scarb.path), "--offline", "cairo-test", "--workspace"]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return cairo_run("".join(lines), process.returncode)


def cairo_run(output: str, status: int) -> CairoRun:
    """Parse the runner's output. A failure outside any test, such as a compiler error, becomes a case."""
    cases = [
        Case(id=name, outcome=_CAIRO_OUTCOMES[word], reason="" if word == "ok" else word)
        for name, word in _CAIRO_CASE.findall(output)
    ]
    if status and not any(case.outcome == Outcome.FAILED for case in cases):
        cases.append(Case(id="scarb cairo-test", outcome=Outcome.FAILED, reason=output.strip()[-2000:]))
    return CairoRun(cases=cases)


def subject_of(root: Path) -> Subject:
    """Describe what is tested, and with which tools."""
    tools = {
        "Scarb and Cairo": _without_path(toolchain.scarb()),
        "starknet-devnet": "an external one"
        if os.environ.get(network.DEVNET_URL_VARIABLE)
        else _without_path(toolchain.devnet()),
        "Starknet": f"{toolchain.STARKNET_VERSION}, as run by that devnet",
        "Starknet RPC": network.RPC_VERSION,
    }
    commit = _git(root, "rev-parse", "HEAD")
    status = _git(root, "status", "--porcelain", "--untracked-files=all", "-z") or ""
    return Subject(
        commit=commit and commit.strip(),
        # For a renamed file, the old name follows as an entry without a status.
        changed=[entry[3:] for entry in status.split("\0") if entry[2:3] == " "],
        tree=tree_of(root),
        platform=platform.platform(),
        processors=os.cpu_count() or 0,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        tools=tools,
        packages={name: metadata.version(name) for name in ("medsync", *PACKAGES)},
        environment={name: os.environ[name] for name in VARIABLES if name in os.environ},
    )


def tree_of(root: Path) -> str | None:
    """A hash over the names and contents of all files except ignored ones; None outside a git checkout."""
    listed = _git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    if listed is None:
        return None
    digest = hashlib.sha256()
    for name in sorted(set(filter(None, listed.split("\0")))):
        path = root / name
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def _without_path(tool: toolchain.Tool) -> str:
    """A tool's version without its path on this machine."""
    if tool.path is None:
        return f"{tool.name} {tool.wanted} is not installed"
    return f"{tool.version}" if tool.ok else f"{tool.version} (expected {tool.wanted})"

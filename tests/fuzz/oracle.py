"""What holds of every run of the command line, whatever it was given."""

from __future__ import annotations

import json
import unicodedata
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from hypothesis import seed, settings

from medsync.errors import ExitCode, MedSyncError
from medsync.protocol.commitments import Opening
from tests.fuzz.bench import Bench, Done
from tests.fuzz.institutions import CLINIC, FINDING, HOSPITAL, LABEL
from tests.harness.reach import Reach, profile

Test = TypeVar("Test", bound=Callable[..., Any])

#: Endings of runs that did nothing: sent nothing and wrote nothing.
NOTHING_DONE: Final = frozenset(
    {ExitCode.USAGE, ExitCode.BAD_INPUT, ExitCode.MISSING_TOOL, ExitCode.PUBLIC_NETWORK}
)
#: Endings of runs that came to an answer, and printed it.
ANSWERED: Final = frozenset({ExitCode.OK, ExitCode.NOT_PERMITTED})

#: What a run that failed may have changed, because the next one goes on from there: its bookkeeping.
RESUMED: Final = {
    "bridge run": (
        f"work/{HOSPITAL}/bridge/",
        f"work/{HOSPITAL}/attestor.db",
        f"work/{CLINIC}/attestor.db",
    ),
}
#: What a command is there to show: in its answer, or in the file it writes.
SHOWN: Final = {"private list": LABEL, "private get": FINDING, "private open": FINDING}


def faults(bench: Bench, done: Done) -> list[str]:
    """What is wrong with a run, apart from whether it should have succeeded."""
    found = []
    out, err = done.out.decode(errors="surrogateescape"), done.err.decode(errors="surrogateescape")
    if done.code not in set(ExitCode) or done.code == ExitCode.INTERRUPTED:
        found.append(f"the exit code {done.code} is not documented")
    if "Unexpected " in err:
        found.append("the error is a defect's: it names no input")
    if "Traceback" in err and "--verbose" not in done.line:
        found.append("there is a traceback")
    # What keeps the bridge from anchoring is a part of its answer, beside the tickets it issued all the same.
    is_partial = _is(done, "bridge run") and b"trouble" in done.out
    # What `doctor` finds wrong is its answer.
    is_report = "doctor" in done.line and b"starknet-devnet" in done.out
    # A dry run with too little money says so in its answer, and ends as the deployment would.
    is_poor = "--dry-run" in done.line and done.code == ExitCode.REFUSED and b"sufficient" in done.out
    if done.code in ANSWERED or is_partial or is_report or is_poor:
        if not out and "watch" not in done.line:
            found.append("there is no answer")
        if "--json" in done.line and not _is_json(out, lines="watch" in done.line):
            found.append("the answer is no JSON")
    else:
        found += _error_faults(done, err)
    for name, text in {"standard output": out, "standard error": err}.items():
        if controls := sorted({char for char in text if _is_control(char)}):
            found.append(f"{name} holds control characters: {controls}")
        if secrets := bench.secrets.found_in(_without_shown(done, text)):
            found.append(f"{name} holds parts of secrets: {sorted(secrets)}")
    found += _log_faults(bench, done)
    if done.code in NOTHING_DONE:
        if done.submitted:
            found.append(f"{done.submitted} was sent")
        found += [f"{name} was written" for name in done.touched]
    elif done.code not in ANSWERED:
        # What a transaction under way may need stays, even if nobody heard of it again; it is whole.
        found += [
            f"{name} was left behind"
            for name, content in done.touched.items()
            if not (done.submitted and content is not None and _is_whole(content))
            and not any(_is(done, line) and name.startswith(kept) for line, kept in RESUMED.items())
        ]
    for name, content in done.touched.items():
        text = (content or b"").decode(errors="replace")
        if secrets := bench.secrets.found_in(text if _is_kept(name) else _without_shown(done, text)):
            found.append(f"{name} holds parts of secrets: {sorted(secrets)}")
    return found


def _is(done: Done, path: str) -> bool:
    """Whether it was a run of that command."""
    return tuple(path.split()) in zip(done.line, done.line[1:], strict=False)


def _is_kept(name: str) -> bool:
    """Whether a file is in an institution's folder, where nothing may be readable."""
    return name.startswith((f"work/{HOSPITAL}/", f"work/{CLINIC}/"))


def _without_shown(done: Done, text: str) -> str:
    """A text without what the run was to show, if it came so far."""
    for path, shown in SHOWN.items():
        if _is(done, path) and done.code == ExitCode.OK:
            text = text.replace(shown, "")
    return text


def _is_json(text: str, *, lines: bool) -> bool:
    """Whether a text is one JSON document, or `lines` of them."""
    try:
        for document in text.splitlines() if lines else [text]:
            json.loads(document)
    except ValueError:
        return False
    return True


def _error_faults(done: Done, err: str) -> list[str]:
    found = []
    if done.out and "watch" not in done.line:
        found.append("there is an answer beside the error")
    if "--json" in done.line:
        last = err.strip().splitlines()[-1:] or [""]
        try:
            if json.loads(last[0])["exit_code"] != done.code:
                found.append("the error says another exit code")
        except (ValueError, KeyError, TypeError):
            found.append("the error is no JSON")
    elif not err.partition("medsync: ")[2].strip():
        found.append("there is no error message")
    if len(err) > 20_000:
        found.append(f"the error has {len(err)} characters")
    return found


def _log_faults(bench: Bench, done: Done) -> list[str]:
    """What is wrong with a run's log, which holds nothing secret, not even what the answer shows."""
    found = []
    text = done.log.decode()
    lines = text.splitlines()
    for line in lines:
        try:
            if {"time", "level", "logger", "message"} - json.loads(line).keys():
                found.append("a line of the log is incomplete")
        except (ValueError, AttributeError):
            found.append("a line of the log is no JSON")
    if any(_is_control(char) for char in text):
        found.append("the log holds control characters")
    # Characters that JSON escapes would hide parts of a secret.
    if secrets := bench.secrets.found_in(text) | bench.secrets.found_in(_unescaped(lines)):
        found.append(f"the log holds parts of secrets: {sorted(secrets)}")
    return found


def _unescaped(lines: list[str]) -> str:
    """Everything that JSON lines say, as it was before it became JSON."""
    said: list[str] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                collect(item)
        else:
            said.append(str(value))

    for line in lines:
        with suppress(ValueError):
            collect(json.loads(line))
    return "\n".join(said)


def _is_control(char: str) -> bool:
    """Whether a terminal might obey it, or a reader not see it: controls, overrides, halves of characters."""
    return char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _is_whole(content: bytes) -> bool:
    """Whether it is a whole JSON document; an opening opens its commitment."""
    try:
        if b"medsync.opening/" in content:
            Opening.from_json(content).verify()
        return isinstance(json.loads(content), dict)
    except (ValueError, MedSyncError):
        return False


def check(bench: Bench, done: Done) -> None:
    """Fail if anything is wrong with a run."""
    if found := faults(bench, done):
        said = done.err.decode(errors="replace")[-1500:]
        raise AssertionError("\n".join([f"{' '.join(done.line)!a} ended with {done.code}:", *found, said]))


def tally(reach: Reach, target: str, ending: int) -> None:
    """Count one case of a target, and how it ended."""
    reach.examples += 1
    reach.count("tried", target)
    reach.count(f"ended with {ExitCode(ending).name}", target)


def examples(quick: int, target: str) -> Callable[[Test], Test]:
    """Try so many examples in the quick profile, and more in the others.

    They are the same each time, and others for each target, except in the deep profile.
    """

    def decorate(test: Test) -> Test:
        if profile() != "deep":
            test = seed(zlib.crc32(target.encode()))(test)
        return settings(max_examples=quick * {"quick": 1, "ci": 5, "deep": 100}[profile()])(test)

    return decorate

"""What malformed input once broke, each case by itself: all of these were defects."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from medsync.errors import ExitCode
from medsync.starknet.accounts import ADDRESS_VARIABLE
from tests.fuzz import institutions
from tests.fuzz.bench import (
    API_KEY,
    BATCH,
    CONSENT_FILE,
    EXPORTS,
    KEYSTORE,
    OPENING,
    OWN_KEY,
    QUERY,
    RECORD,
    REPORT,
    TERMS_FILE,
    Bench,
)
from tests.fuzz.malformed import changed
from tests.fuzz.node import Reply
from tests.fuzz.oracle import check

AS_OWNER: Final = ["--account", f"0xacc0@{KEYSTORE}"]
CANCEL: Final = ["consent", "cancel-signatures", *AS_OWNER]
ASK: Final = ["access", "batch", BATCH, *QUERY]
URL: Final = f"https://user:{API_KEY}@127.0.0.1:1/{API_KEY}"
DEEP: Final = b"[" * 100_000

#: A file, what becomes of it, the command that reads it, and a part of what it must say.
FILES: Final[list[tuple[str, Callable[[bytes], bytes], list[str], str]]] = [
    (TERMS_FILE, lambda sample: DEEP, ["pool", "close", f"--terms={TERMS_FILE}"], TERMS_FILE),
    (BATCH, lambda sample: DEEP, ASK, BATCH),
    (
        BATCH,
        lambda sample: _with(sample, (1, "record"), "a\x00b"),
        ASK,
        "request 2",
    ),
    (
        BATCH,
        lambda sample: _with(sample, (1, "patient"), "me "),
        ASK,
        "request 2",
    ),
    (
        BATCH,
        lambda sample: sample.replace(b'"record"', b'"recrod"'),
        ASK,
        "request 1",
    ),
    (KEYSTORE, lambda sample: DEEP, CANCEL, KEYSTORE),
    (
        KEYSTORE,
        lambda sample: _work(sample, "n", 2**40),
        CANCEL,
        KEYSTORE,
    ),
    (
        KEYSTORE,
        lambda sample: _work(sample, "dklen", 2**40),
        CANCEL,
        KEYSTORE,
    ),
    (
        OPENING,
        lambda sample: sample[:-9],
        ["access", "request", "0x7061", *["--purpose=TREAT", "--categories=ALL"], f"--record={OPENING}"],
        OPENING,
    ),
    (CONSENT_FILE, lambda sample: DEEP, ["consent", "submit", CONSENT_FILE], CONSENT_FILE),
    (RECORD, lambda sample: _with(sample, ("request", "salt"), 0), ["deployments", "check"], "request.salt"),
    (
        RECORD,
        lambda sample: _with(sample, ("pools", 0, "created", "block"), -1),
        ["deployments", "check"],
        "block",
    ),
    (EXPORTS["json"], lambda sample: b"\xff", ["access", "verify", EXPORTS["json"]], "not UTF-8"),
]


def _with(sample: bytes, path: tuple[str | int, ...], value: Any) -> bytes:
    return json.dumps(changed(json.loads(sample), path, value)).encode()


def _work(sample: bytes, name: str, value: int) -> bytes:
    return _with(sample, ("crypto", "kdfparams", name), value)


@pytest.mark.parametrize(("name", "spoil", "line", "said"), FILES, ids=range(len(FILES)))
def test_files(bench: Bench, name: str, spoil: Callable[[bytes], bytes], line: list[str], said: str) -> None:
    bench.place(name, spoil(bench.sample(name)))
    done = bench.run(line)
    check(bench, done)
    assert (done.code, said in done.err.decode()) == (ExitCode.BAD_INPUT, True), done


@pytest.mark.parametrize(
    "name", ["pipe", "folder", "loop", "dangling", "/dev/zero", "x" * 300, REPORT + "/below"]
)
@pytest.mark.parametrize(
    "line",
    [
        ["access", "verify"],
        ["consent", "submit"],
        ["pool", "close", "--terms"],
        ["entity", "register", "0x1", "--role=auditor", "--profile"],
        ["entity", "list", "--deployment"],
    ],
    ids=lambda line: " ".join(line[:2]),
)
def test_what_is_no_file(bench: Bench, line: list[str], name: str) -> None:
    """Some hung, some ended with a traceback's last line."""
    name = f"./{name}" if "--deployment" in line and not name.startswith("/") else name
    done = bench.run([*line, name])
    check(bench, done)
    assert done.code == ExitCode.BAD_INPUT
    assert name.removeprefix("./")[:40] in done.err.decode()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        # A URL in the wrong place, or misspelt, was quoted with the key in it.
        (["entity", "list", URL], ExitCode.USAGE),
        (["entity", "show", URL], ExitCode.BAD_INPUT),
        (["doctor", f"--network={URL}"], ExitCode.BAD_INPUT),
        (["entity", "list", f"--deployment={URL}"], ExitCode.BAD_INPUT),
        # So was a key given as an account.
        (["consent", "cancel-signatures", f"--account={OWN_KEY:#x}"], ExitCode.BAD_INPUT),
        (["consent", "cancel-signatures", f"--account={OWN_KEY:x}@{KEYSTORE}"], ExitCode.BAD_INPUT),
        (["doctor", f"--account={OWN_KEY:#x}"], ExitCode.BAD_INPUT),
        # Amounts that no contract takes were sent, and terms written for them.
        (
            [
                *["pool", "fund", "--terms=n", "--purpose=TREAT", "--rate=1", "--expires=+1d", "--amount"],
                "9" * 39,
            ],
            ExitCode.BAD_INPUT,
        ),
        # A record that could not be written was only noticed as a defect.
        (["deploy", "--salt=0x77", f"--deployment=./{'x' * 300}.json"], ExitCode.BAD_INPUT),
    ],
    ids=range(9),
)
def test_arguments(bench: Bench, line: list[str], code: ExitCode) -> None:
    for more in ([], ["--json"], ["--verbose"]):
        done = bench.run([*more, *line])
        check(bench, done)
        assert done.code == code


HOME: Final = f"--home={institutions.HOSPITAL}"
GET: Final = ["private", "get", institutions.TICKET, HOME, f"--key={institutions.ACCESSOR_KEY}"]


@pytest.mark.parametrize(
    "line",
    [
        # The ticket was used up, and then what it had released could not be written.
        [*GET, "--output=nowhere/record.json"],
        [*GET, f"--output={REPORT}/record.json"],
        # What the system says to such a folder was only noticed as a defect.
        ["private", "init", f"--home={REPORT}/below"],
        ["private", "init", f"--home={'x' * 300}"],
        # A backup that could not be made was registered, and some names ended with a traceback.
        ["private", "backup", HOME, "nowhere/vault.db"],
        ["private", "backup", HOME, "loop"],
        ["private", "backup", HOME, "/"],
    ],
    ids=range(7),
)
def test_places_where_nothing_can_be_written(bench: Bench, line: list[str]) -> None:
    for more in ([], ["--json"]):
        done = bench.run([*more, *line])
        check(bench, done)
        assert done.code == ExitCode.BAD_INPUT, done


def test_a_key_in_the_address_variable(bench: Bench) -> None:
    done = bench.run(["consent", "cancel-signatures"], environment={ADDRESS_VARIABLE: f"{OWN_KEY:x}"})
    check(bench, done)
    assert (done.code, ADDRESS_VARIABLE in done.err.decode()) == (ExitCode.BAD_INPUT, True)


def test_a_name_that_is_no_text_is_answered(bench: Bench) -> None:
    """The export was written, and then its name could not be printed."""
    for more in ([], ["--json"]):
        done = bench.run([*more, "access", "export", "0x7061", "--output", "\udcff.json"])
        check(bench, done)
        assert (done.code, len(done.touched)) == (ExitCode.OK, 1)


def _result(value: Any) -> Reply:
    return Reply(json.dumps({"jsonrpc": "2.0", "id": 0, "result": value}).encode())


def _error(**error: Any) -> Reply:
    return Reply(json.dumps({"jsonrpc": "2.0", "id": 0, "error": error}).encode())


@pytest.mark.parametrize(
    ("method", "reply", "line"),
    [
        ("starknet_chainId", _result(None), ["entity", "list"]),
        ("starknet_chainId", _result("0x1b5b316d"), ["entity", "list"]),
        ("starknet_call", Reply(DEEP), ["entity", "list"]),
        ("starknet_call", _result([hex(2**251)]), ["pool", "status", "0x1"]),
        ("starknet_call", _error(code=20, message=f"no project {API_KEY}"), ["entity", "show", "0x1"]),
        ("starknet_call", _error(code=1, message=f"\x1b[31m{API_KEY}"), ["entity", "show", "0x1"]),
        ("starknet_getBlockWithTxHashes", Reply(b'{"result":1e400}'), ["entity", "list"]),
        ("starknet_getBlockWithTxHashes", _result({"block_number": -1}), ["entity", "list"]),
        (
            "starknet_getBlockWithTxHashes",
            _error(code=24, message="Block not found"),
            ["consent", "delegate", "0x1", "--powers=give"],
        ),
        ("starknet_getCompiledCasm", _result({}), ["deployments", "check"]),
        ("devnet_getPredeployedAccounts", _result([{"address": "0x1"}]), ["consent", "cancel-signatures"]),
        (
            "starknet_getNonce",
            _result({}),
            ["entity", "register", "0x1", "--role=auditor", f"--profile={REPORT}"],
        ),
    ],
    ids=range(12),
)
def test_answers(bench: Bench, method: str, reply: Reply, line: list[str]) -> None:
    for more in ([], ["--json"], ["--verbose"]):
        done = bench.run([*more, *line], {method: lambda _good: reply})
        check(bench, done)
        assert done.code in (ExitCode.UNREACHABLE, ExitCode.REFUSED)

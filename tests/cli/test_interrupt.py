"""Ctrl-C: the command says what it sent already, and can be given again."""

import json

from medsync.errors import ExitCode
from tests.cli.conftest import Cli


def test_interrupted_deployment_says_what_was_sent_and_resumes(cli: Cli) -> None:
    line = "deploy --salt 0x77 --deployment ./second.json"
    process = cli.start(line)
    assert process.stderr is not None
    told = next(told for told in process.stderr if ": sent" in told)
    transaction = told.partition("(")[2].rstrip(")\n")

    done = cli.interrupt(process)

    assert done.code == ExitCode.INTERRUPTED
    assert f"Already sent: {transaction}" in done.err
    assert "Run the same command again: it resumes" in done.err
    assert "look it up" not in done.err
    assert "Traceback" not in done.err
    again = cli.json(line)
    record = cli.read("second.json")
    assert record["status"] == "complete"
    assert again["medsync"] == record["contracts"]["MedSync"]["address"]
    assert transaction in json.dumps(record)


def test_watch_falls_back_to_asking_and_ends(cli: Cli) -> None:
    process = cli.start("watch --from-block 0 --ws-url ws://127.0.0.1:1 --verbose")
    assert process.stdout is not None
    # Hospitals that are new at the start are named first.
    first = next(line for line in process.stdout if not line.startswith("warning="))

    done = cli.interrupt(process)

    assert first.startswith("event=AdminTransferred")
    assert done.code == ExitCode.INTERRUPTED
    assert "WebSocket is of no use" in done.err
    assert "Asking every 2 s instead" in done.err
    assert "Interrupted; nothing was sent." in done.err

"""What a shell is told when Tab is pressed: commands, options anywhere on the line, and values."""

import os
import subprocess
import sys

import pytest

from medsync.protocol.vocabulary import Purpose
from medsync.starknet.network import NETWORKS


def completions(line: str) -> list[str]:
    """What completes the last word of a command line, which may be empty."""
    asked = {"_MEDSYNC_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    command = [sys.executable, "-m", "medsync"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **asked})
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("medsync cons", ["consent"]),
        ("medsync consent re", ["revoke", "revoke-all", "request", "requests", "refuse", "refuse-purpose"]),
        ("medsync consent add --purpose TR", ["TREAT", "TRANSRCH"]),
        ("medsync access request --purpose ", [purpose for purpose in Purpose if purpose.is_consentable]),
        ("medsync consent add --categories LABORATORY,CON", ["LABORATORY,CONDITION"]),
        ("medsync consent delegate --powers give,re", ["give,revoke", "give,refuse"]),
        ("medsync entity register --role ", ["hospital", "researcher", "auditor"]),
        ("medsync pool fund --unit s", ["smallest"]),
        # Global options, before and after the command.
        ("medsync --network ", list(NETWORKS)),
        ("medsync consent add --net", ["--network"]),
        ("medsync consent add --network se", ["sepolia"]),
        ("medsync entity --json register --role au", ["auditor"]),
    ],
)
def test_completions(line: str, expected: list[str]) -> None:
    assert completions(line) == expected

"""What a command costs before it does anything: CPU time beside that of importing what it cannot do without.

Both are measured by turns in the same run, and the least of each counts: whatever else the machine does only
adds to it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medsync.deployment.devnet import Devnet
from medsync.errors import VerificationError
from medsync.starknet.network import DEVNET_URL_VARIABLE
from scripts.bench.speed import Speed, speed

_ROUNDS: Final = 7

#: typer, with what it imports of rich to show help.
_TYPER_AND_RICH: Final = "import typer, typer.rich_utils"
#: starknet-py's client, with a stand-in for sympy, which it needs for one modular inverse.
_CLIENT: Final = """
import sys, types
sys.modules["sympy.core.intfunc"] = stand_in = types.ModuleType("sympy.core.intfunc")
stand_in.igcdex = None
from starknet_py.net.full_node_client import FullNodeClient
"""


#: So that the list of entities is a table.
_REGISTER: Final = "entity register devnet:1 --role hospital --profile 0x1"


@dataclass(frozen=True)
class Bar:
    """A command, and how many times as long as some imports it may take at most."""

    line: str
    imports: str
    named: str
    most: float


BARS: Final = (
    Bar("--help", _TYPER_AND_RICH, "importing typer and rich", 1.5),
    Bar("entity list", _CLIENT, "importing FullNodeClient", 1.3),
    Bar("access log devnet:1 --json", _CLIENT, "importing FullNodeClient", 1.3),
)


def measure_startup() -> list[Speed]:
    """The ratios. Raises VerificationError, naming them, if one is over its bar."""
    with tempfile.TemporaryDirectory() as folder, Devnet.start() as devnet:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MEDSYNC_")},
            "XDG_STATE_HOME": folder,
            "MEDSYNC_DEPLOYMENT": str(Path(folder) / "devnet.json"),
            DEVNET_URL_VARIABLE: devnet.url,
        }
        _cpu(["-m", "medsync", "deploy", "--json"], environment)
        _cpu(["-m", "medsync", *_REGISTER.split(), "--json"], environment)
        ratios = {bar: _ratio(bar, environment) for bar in BARS}
    missed = [
        f"medsync {bar.line} takes {ratio:.2f} times {bar.named}, {bar.most} is allowed"
        for bar, ratio in ratios.items()
        if ratio > bar.most
    ]
    if missed:
        raise VerificationError("The command line starts too slowly:", findings=missed)
    return [
        speed(f"CPU of medsync {bar.line}, against {bar.named}", ratio, "times")
        for bar, ratio in ratios.items()
    ]


def _ratio(bar: Bar, environment: Mapping[str, str]) -> float:
    command, imports = [], []
    for _ in range(_ROUNDS):
        imports.append(_cpu(["-c", bar.imports], environment))
        command.append(_cpu(["-m", "medsync", *bar.line.split()], environment))
    return min(command) / min(imports)


def _cpu(arguments: list[str], environment: Mapping[str, str]) -> float:
    """Seconds of CPU that a Python of its own takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

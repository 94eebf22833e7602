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
from collections.abc import Mapping, Sequence
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

    @property
    def name(self) -> str:
        """What is measured."""
        return f"CPU of medsync {self.line}, against {self.named}"


BARS: Final = (
    Bar("--help", _TYPER_AND_RICH, "importing typer and rich", 1.5),
    Bar("entity list", _CLIENT, "importing FullNodeClient", 1.3),
    Bar("access log devnet:1 --json", _CLIENT, "importing FullNodeClient", 1.3),
)


def measure_startup() -> list[Speed]:
    """The ratios, on a devnet with a deployment and one entity."""
    with tempfile.TemporaryDirectory() as folder, Devnet.start() as devnet:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MEDSYNC_")},
            "XDG_STATE_HOME": folder,
            "MEDSYNC_DEPLOYMENT": str(Path(folder) / "devnet.json"),
            DEVNET_URL_VARIABLE: devnet.url,
        }
        _cpu(["-m", "medsync", "deploy", "--json"], environment)
        _cpu(["-m", "medsync", *_REGISTER.split(), "--json"], environment)
        return [speed(bar.name, _ratio(bar, environment), "times") for bar in BARS]


def missed(speeds: Sequence[Speed]) -> list[str]:
    """Which commands start too slowly."""
    most = {bar.name: bar.most for bar in BARS}
    return [
        f"{found.name}: {found.value:g} times, {most[found.name]} is allowed"
        for found in speeds
        if found.name in most and found.value > most[found.name]
    ]


def _ratio(bar: Bar, environment: Mapping[str, str]) -> float:
    command, imports = [], []
    for _ in range(_ROUNDS):
        imports.append(_cpu(["-c", bar.imports], environment))
        command.append(_cpu(["-m", "medsync", *bar.line.split()], environment))
    return min(command) / min(imports)


def _cpu(arguments: list[str], environment: Mapping[str, str]) -> float:
    """Seconds of CPU that a Python of its own takes. Raises VerificationError if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise VerificationError(f"python {' '.join(arguments)} failed: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

"""The options every command has, wherever on the command line they stand."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medsync.cli.logs import Level

FLAGS: Final = frozenset({"--json", "--allow-public-network", "--verbose"})
SETTINGS: Final = frozenset(
    {"--network", "--rpc-url", "--account", "--deployment", "--log-level", "--log-file"}
)


@dataclass(frozen=True)
class Options:
    """What the global options say."""

    network: str = "devnet"
    rpc_url: str | None = None
    account: str | None = None
    deployment: str | None = None
    json: bool = False
    allow_public_network: bool = False
    log_level: Level = Level.WARNING
    log_file: Path | None = None
    verbose: bool = False


#: The options of the command that runs.
current: ContextVar[Options] = ContextVar("options", default=Options())  # noqa: B039


def hoist(arguments: Sequence[str]) -> list[str]:
    """The command line with its global options in front of the command, where typer looks for them.

    One that lacks its value stays the last, where the missing value is noticed, and completed.
    """
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, _ = argument.partition("=")
        if argument == "--":
            rest += [argument, *remaining]
        elif argument in FLAGS or (name in SETTINGS and equals):
            front.append(argument)
        elif name in SETTINGS:
            value = next(remaining, None)
            if value is None:
                rest.append(argument)
            else:
                front += [argument, value]
        else:
            rest.append(argument)
    return front + rest

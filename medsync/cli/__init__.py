"""The `medsync` command line: one module per command group, each parsing, calling the SDK and answering.

Importing it is cheap: a group's module, and what that needs, is imported when the group is used.
"""

import gc
import os
import sys
from typing import NoReturn

from medsync.cli import interrupt


def main() -> NoReturn:
    """Run the command line with the process's arguments and exit with its code, an `ExitCode`."""
    interrupt.watch_start()
    # Imports make many objects that stay. Nothing is collected among them, until a command begins its work.
    gc.disable()
    _fill_standard_streams()
    from medsync.cli.app import run

    code = run(sys.argv[1:])
    interrupt.ignore()
    sys.exit(code)


def _fill_standard_streams() -> None:
    """Put /dev/null in the place of closed standard streams, or the next file opened would become one.

    `sys.stdout` stays None: an answer that nobody can read is a failure, which `run` reports.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115

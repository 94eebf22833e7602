"""The `medsync` command line: one module per command group, each parsing, calling the SDK and answering.

Importing it is cheap: what needs a chain is imported when a command runs.
"""

import sys
from types import ModuleType


def main() -> None:
    """Run the command line with the process's arguments and exit with its code, an `ExitCode`."""
    _spare_sympy()
    from medsync.cli.app import run

    sys.exit(run(sys.argv[1:]))


def _spare_sympy() -> None:
    """Keep starknet-py's signing library from importing sympy, which is half the start-up."""

    def igcdex(a: int, b: int) -> tuple[int, int, int]:
        inverse = pow(a, -1, b)
        return inverse, (1 - a * inverse) // b, 1

    module = ModuleType("sympy.core.intfunc")
    module.igcdex = igcdex  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module

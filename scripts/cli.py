#!/usr/bin/env python3
"""Write docs/cli.md and deployments/schema.json from the sources, or `--check` that they are up to date."""

import sys

from medsync.cli import reference
from medsync.errors import ExitCode, exit_code_of


def check() -> None:
    reference.check()
    print("docs/cli.md and deployments/schema.json are what the sources say.")


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        return exit_code_of(check)
    if arguments == []:
        return exit_code_of(reference.write)
    print("usage: cli.py [--check]", file=sys.stderr)
    return ExitCode.USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

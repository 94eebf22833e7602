#!/usr/bin/env python3
"""Write docs/spec.md from the sources, or `--check` that it is what they say."""

import sys

from medsync import reference
from medsync.errors import ExitCode, exit_code_of


def check() -> None:
    reference.check()
    print(f"{reference.PATH} is what the sources say.")


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        return exit_code_of(check)
    if arguments == []:
        return exit_code_of(reference.write)
    print("usage: spec.py [--check]", file=sys.stderr)
    return ExitCode.USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""Write docs/spec.md from the sources, or `--check` that it is what they say."""

import sys

from medsync import reference
from medsync.errors import ExitCode, MedSyncError


def main(arguments: list[str]) -> int:
    try:
        if arguments == ["--check"]:
            reference.check()
            print(f"{reference.PATH} is what the sources say.")
        elif arguments == []:
            reference.write()
        else:
            print("usage: spec.py [--check]", file=sys.stderr)
            return ExitCode.USAGE
    except MedSyncError as error:
        print(f"{error}\n{error.hint}".rstrip(), file=sys.stderr)
        return error.exit_code
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

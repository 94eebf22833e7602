#!/usr/bin/env python3
"""Write docs/cli.md and deployments/schema.json from the sources, or `--check` that they are up to date."""

import sys

from medsync.cli import reference
from medsync.errors import ExitCode, MedSyncError


def main(arguments: list[str]) -> int:
    try:
        if arguments == ["--check"]:
            reference.check()
            print("docs/cli.md and deployments/schema.json are what the sources say.")
        elif arguments == []:
            reference.write()
        else:
            print("usage: cli.py [--check]", file=sys.stderr)
            return ExitCode.USAGE
    except MedSyncError as error:
        print(f"{error}\n{error.hint}".rstrip(), file=sys.stderr)
        return error.exit_code
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""Compile the contracts and write the committed artifacts, or `--check` that they are up to date."""

import sys

from medsync import artifacts, toolchain
from medsync.errors import ExitCode, MedSyncError


def main(arguments: list[str]) -> int:
    scarb = toolchain.scarb()
    try:
        if arguments == [] and scarb.ok:
            artifacts.build()
            print(f"Built with {scarb}.")
        elif arguments in ([], ["--check"]):
            rebuilt = artifacts.check()
            print(
                "The committed artifacts are what the sources compile to."
                if rebuilt
                else f"{scarb}: the committed artifacts are used; they belong to these sources."
            )
        else:
            print("usage: build.py [--check]", file=sys.stderr)
            return ExitCode.USAGE
    except MedSyncError as error:
        print(f"{error}\n{error.hint}".rstrip(), file=sys.stderr)
        return error.exit_code
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

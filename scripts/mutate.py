#!/usr/bin/env python3
"""Change the contracts and the verifier of logs on purpose and see whether the tests notice: `--help`."""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # The tests are no part of the package.

from medsync.errors import exit_code_of
from tests.mutation import command

if __name__ == "__main__":
    sys.exit(exit_code_of(partial(command.run, sys.argv[1:])))

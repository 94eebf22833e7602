#!/usr/bin/env python3
"""Compile the contracts into deployments/artifacts, or `--check` them: `medsync build`."""

import sys

from medsync.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "build")
    main()

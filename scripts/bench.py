#!/usr/bin/env python3
"""Measure what every operation costs on a devnet and write docs/costs.json and docs/costs.md."""

import sys

from medsync import bench
from medsync.errors import exit_code_of

if __name__ == "__main__":
    sys.exit(exit_code_of(bench.main))

#!/usr/bin/env python3
"""Run every test and write target/audit/report.html and report.json; `--from` a recorded run, run nothing."""

import sys

from tests.audit import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]))

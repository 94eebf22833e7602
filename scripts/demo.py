#!/usr/bin/env python3
"""Tell the whole story on a devnet of its own; with `--json`, only what each step did and cost."""

import sys

from medsync import demo
from medsync.errors import exit_code_of

if __name__ == "__main__":
    sys.exit(exit_code_of(lambda: demo.main(as_json="--json" in sys.argv[1:])))

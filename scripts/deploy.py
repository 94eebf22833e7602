#!/usr/bin/env python3
"""Deploy the contracts to a network and record them under deployments/: `medsync deploy`."""

import sys

from medsync.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "deploy")
    main()

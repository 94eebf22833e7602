"""`python -m medsync`: the `medsync` command line."""

from medsync.cli import main

if __name__ == "__main__":
    main()

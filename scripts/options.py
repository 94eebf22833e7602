"""Command-line options that several scripts share."""

import argparse
from collections.abc import Callable, Sequence


def write_or_check(
    verb: str, arguments: Sequence[str], write: Callable[[], None], check: Callable[[], None]
) -> None:
    """Call `write`, or with `--check` call `check` instead.

    Raises the errors of `write` or `check`. Exits the process for invalid arguments, as argparse does.
    """
    parser = argparse.ArgumentParser(prog=f"python -m scripts {verb}")
    parser.add_argument("--check", action="store_true", help="compare without writing")
    (check if parser.parse_args(arguments).check else write)()

"""Command-line options that several scripts share."""

import argparse
from collections.abc import Callable, Sequence


def write_or_check(
    verb: str, arguments: Sequence[str], write: Callable[[], None], check: Callable[[], None]
) -> None:
    """Write what a verb writes, or with `--check` only compare it with what is there.

    Raises as `write` or `check` does; ends the process for other arguments, as argparse does.
    """
    parser = argparse.ArgumentParser(prog=f"python -m scripts {verb}")
    parser.add_argument("--check", action="store_true", help="only compare; write nothing")
    (check if parser.parse_args(arguments).check else write)()

"""The table of guards, each with a planted failure, and the trees they are planted in."""

from collections.abc import Sequence

from medsync.errors import VerificationError
from scripts.guards.table import PAGE, page
from scripts.guards.trees import ROOT
from scripts.options import write_or_check


def run(arguments: Sequence[str]) -> None:
    """Write the page, or with `--check` see that it is what the table says."""
    write_or_check("guards", arguments, write, check)


def write() -> None:
    """Write docs/guards.md from the table."""
    (ROOT / PAGE).write_text(page())


def check() -> None:
    """Raise VerificationError if the page is not what the table says."""
    if (ROOT / PAGE).read_text() != page():
        raise VerificationError(
            f"{PAGE} is not what the table says.",
            hint="Run `python -m scripts guards` and commit the result.",
        )

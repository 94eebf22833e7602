"""Documents written from the sources: specification, command line, Cairo documentation, tests."""

from collections.abc import Sequence

from medsync.errors import VerificationError
from scripts.options import write_or_check
from scripts.reference import command_line, spec, tests

_DOCUMENTS = (spec, command_line, tests)


def run(arguments: Sequence[str]) -> None:
    """Write every document, or with `--check` say which are not what the sources say."""
    write_or_check("reference", arguments, write, check)


def write() -> None:
    """Write every document to its place."""
    for document in _DOCUMENTS:
        document.write()


def check() -> None:
    """Raise VerificationError, listing what is not what the sources say."""
    findings = []
    for document in _DOCUMENTS:
        try:
            document.check()
        except VerificationError as error:
            findings += error.findings
    if findings:
        raise VerificationError(
            "Documents are not what the sources say:",
            findings=findings,
            hint="Run `python -m scripts reference` and commit the result.",
        )
    print("docs/spec.md, docs/cli.md, tests/README.md and deployments/schema.json are what the sources say.")

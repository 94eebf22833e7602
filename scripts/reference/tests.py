"""The index of the tests, `tests/README.md`, written from the folders' docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from medsync.errors import VerificationError
from scripts import repository

PATH = "tests/README.md"

_HEAD = """\
# Tests

Written by `python -m scripts reference` from the docstrings of these folders; do not edit it.

`make test` runs everything on real devnets, `.venv/bin/pytest tests/unit` a part of it; `make deep` runs the
generated tests for a night. Each folder is for one kind of mistake; `unit/` mirrors the package.

"""


def write() -> None:
    """Write the index."""
    (repository.root() / PATH).write_text(page())


def check() -> None:
    """Raise VerificationError if the index is not what the folders say."""
    path = repository.root() / PATH
    if not path.is_file() or path.read_text() != page():
        raise VerificationError(
            f"{PATH} is not what the folders say.",
            findings=[path.name],
            hint="Run `python -m scripts reference` and commit the result.",
        )


def page() -> str:
    """The index as it should be. Raises VerificationError for a folder that has no docstring."""
    folder = repository.root() / "tests"
    rows = [f"| [`{name}/`]({name}) | {what} |\n" for name, what in sorted(_folders(folder))]
    return _HEAD + "| Folder | What is in it |\n| --- | --- |\n" + "".join(rows)


def _folders(folder: Path) -> Iterator[tuple[str, str]]:
    """Each folder by its name, and the first paragraph of what it says of itself."""
    for path in folder.rglob("__init__.py"):
        name = path.parent.relative_to(folder).as_posix()
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        if not docstring:
            raise VerificationError(
                f"{path} has no docstring.", hint="Say what the folder's tests are about."
            )
        if name != "." and not name.startswith("unit/"):
            yield name, " ".join(docstring.partition("\n\n")[0].split())
    mocks = re.match(r"(?://! .*\n)+", (folder / "mocks/src/lib.cairo").read_text())
    if mocks:
        yield "mocks", " ".join(mocks[0].replace("//! ", "").split())

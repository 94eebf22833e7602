"""The files a command makes: collected while its input is read, and written together, all or none."""

from __future__ import annotations

from pathlib import Path

from medsync.cli import values
from medsync.protocol.commitments import Domain
from medsync.storage.files import NewFile, write_new


class Files:
    """New files of one command."""

    def __init__(self) -> None:
        #: Files with openings of the commitments made. Without its opening, a commitment proves nothing.
        self.openings: list[Path] = []
        self._unwritten: list[NewFile] = []
        #: Commitments by the file their opening goes to.
        self._committed: dict[Path, int] = {}

    def commit(self, text: str, name: str, domain: Domain) -> int:
        """The commitment that an option gives, made now if it names a file: see `values.commitment`."""
        committed, opening = values.commitment(text, name, domain)
        if opening is None:
            return committed
        if opening.path not in self._committed:
            self._committed[opening.path] = committed
            self.openings.append(opening.path)
            self._unwritten.append(opening)
        return self._committed[opening.path]

    def add(self, path: Path, text: str, name: str, *, private: bool = False) -> None:
        """Have `write` write a new file; `name` is the option that names it."""
        self._unwritten.append(NewFile(path, text.encode(), f"{name}:", private))

    def write(self) -> list[Path]:
        """Write what was collected, all or nothing. It comes last: bad input leaves no file behind."""
        files, self._unwritten = self._unwritten, []
        write_new(files)
        return [file.path for file in files]

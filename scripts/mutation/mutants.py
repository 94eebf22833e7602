"""The representation of mutants."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

CAIRO, PYTHON = "cairo", "python"


@dataclass(frozen=True)
class Edit:
    """A replacement in a file."""

    file: str
    start: int
    end: int
    new: str


@dataclass(frozen=True)
class Mutant:
    """A change in one place, or in a few places for a handwritten defect."""

    language: str
    file: str
    """Relative to the repository."""
    line: int
    function: str
    """The function or constant that is changed."""
    operator: str
    change: str
    """The change as shown to readers: `old` → `new`."""
    edits: tuple[Edit, ...]
    digest: str = field(repr=False)
    """Hash of the function's text. A verdict is valid as long as it does not change."""
    place: int = field(repr=False)
    """Offset in the function."""

    @property
    def id(self) -> str:
        """An id that does not change while the function's text does not, even if the function moves."""
        parts = (self.file, self.function, self.operator, self.place, *(edit.new for edit in self.edits))
        return hashlib.sha256("\0".join(map(str, (*parts, self.change))).encode()).hexdigest()[:10]

    @property
    def key(self) -> str:
        """The key of its verdict in the ledger."""
        return f"{self.id}-{self.digest}"

    def apply(self, root: Path) -> dict[str, str]:
        """The new text of the changed files, by path."""
        texts: dict[str, str] = {}
        for edit in sorted(self.edits, key=lambda e: e.start, reverse=True):
            text = texts.get(edit.file) or (root / edit.file).read_text()
            texts[edit.file] = text[: edit.start] + edit.new + text[edit.end :]
        return texts


def shown(old: str, new: str) -> str:
    """Format a change on one line."""
    return f"{_short(old)} → {_short(new) or '(nothing)'}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else f"{line[:60]} … {line[-25:]}"


def distinct(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Remove duplicates: if several operators produce the same change, keep the first."""
    seen: set[tuple[Edit, ...]] = set()
    kept = []
    for mutant in mutants:
        if mutant.edits not in seen:
            seen.add(mutant.edits)
            kept.append(mutant)
    return kept

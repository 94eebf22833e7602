"""What a mutant is, and all of them for the code as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

CAIRO, PYTHON = "cairo", "python"


@dataclass(frozen=True)
class Edit:
    """One replacement in a file."""

    file: str
    start: int
    end: int
    new: str


@dataclass(frozen=True)
class Mutant:
    """One change of one file, or of a few places for a defect written by hand."""

    language: str
    file: str
    """Relative to the repository."""
    line: int
    function: str
    """The function or constant that is changed."""
    operator: str
    change: str
    """What a reader sees: `old` → `new`."""
    edits: tuple[Edit, ...]
    digest: str = field(repr=False)
    """Of the text of the function: a verdict is good as long as this stays."""
    place: int = field(repr=False)
    """Where in the function."""

    @property
    def id(self) -> str:
        """The same as long as the function is, wherever it moves in its file."""
        parts = (self.file, self.function, self.operator, self.place, *(edit.new for edit in self.edits))
        return hashlib.sha256("\0".join(map(str, (*parts, self.change))).encode()).hexdigest()[:10]

    @property
    def key(self) -> str:
        """Under which its verdict is kept."""
        return f"{self.id}-{self.digest}"

    def apply(self, root: Path) -> dict[str, str]:
        """The changed files' new text, by path."""
        texts: dict[str, str] = {}
        for edit in sorted(self.edits, key=lambda e: e.start, reverse=True):
            text = texts.get(edit.file) or (root / edit.file).read_text()
            texts[edit.file] = text[: edit.start] + edit.new + text[edit.end :]
        return texts


def shown(old: str, new: str) -> str:
    """A change in one line."""
    return f"{_short(old)} → {_short(new) or '(nothing)'}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else f"{line[:60]} … {line[-25:]}"


def distinct(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Each change once, though several operators may come to it: the first one's."""
    seen: set[tuple[Edit, ...]] = set()
    kept = []
    for mutant in mutants:
        if mutant.edits not in seen:
            seen.add(mutant.edits)
            kept.append(mutant)
    return kept

"""Determines which tests touch a function, so that the fastest of them run first.

For every test, a recording gives its duration and the entry points it calls, directly or through calls inside
a transaction. The sources give the entry points that lead to a function, by name only. An error here costs
time but never changes a verdict: survivors are tested against all other tests as well.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scripts.mutation.cairo import Source


@dataclass(frozen=True)
class Record:
    """The recording of a test."""

    seconds: float
    calls: frozenset[str]
    """Names of entry points."""
    own: frozenset[str]
    """The entry points called by the test itself, not during its setup."""


def callers(sources: Sequence[Source]) -> dict[str, set[str]]:
    """Maps the full name of a function or constant to the last names of all functions that may reach it."""
    called_by: dict[str, set[str]] = defaultdict(set)
    cells = _cells(sources)
    items = [(source, item) for source in sources for item in source.items]
    for source, item in items:
        if not item.is_function:
            continue
        name = _short(item.name)
        words = {token.text for token in source.tokens[item.first : item.last] if token.kind == "word"}
        for word in words:
            called_by[word].add(name)
            for packing in cells.get(word, ()):
                called_by[packing].add(name)
    return {item.name: _closure(item.name, called_by) for _, item in items}


def _closure(full_name: str, called_by: Mapping[str, set[str]]) -> set[str]:
    name = _short(full_name)
    found, todo = {name}, [name]
    while todo:
        for caller in called_by.get(todo.pop(), set()) - found:
            found.add(caller)
            todo.append(caller)
    return found


def _short(full_name: str) -> str:
    """A function's name as callers use it. Packing has its type's name: all access to a cell calls it."""
    scope, _, name = full_name.rpartition("::")
    return scope.rsplit("::", 1)[-1] if name in ("pack", "unpack") else name


def _cells(sources: Sequence[Source]) -> dict[str, set[str]]:
    """Maps the name of a storage member to the implementations that pack its type."""
    cells: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        for member in source.structs.get("Storage", ()):
            for word in re.findall(r"\w+", member.type):
                cells[member.name].add(f"{word}Packing")
    return cells


def order(
    entry_points: Iterable[str], records: Mapping[str, Record], killers: Sequence[str] = ()
) -> list[str]:
    """The tests that touch these entry points, in the order in which they run.

    Tests that killed a mutant of the same function come first, then tests that call the entry points
    themselves, then those that only do so during setup. One case of each parametrised test precedes all other
    cases, and faster tests precede slower ones.
    """
    wanted = set(entry_points)
    found = [test for test, record in records.items() if record.calls & wanted]
    families: set[str] = set()

    def place(test: str) -> tuple[bool, bool, float, str]:
        again = test.split("[")[0] in families
        families.add(test.split("[")[0])
        return not records[test].own & wanted, again, records[test].seconds, test

    fastest = sorted(found, key=lambda test: (records[test].seconds, test))
    known = [test for test in dict.fromkeys(killers) if test in records]
    return [*known, *(test for test in sorted(fastest, key=place) if test not in known)]

"""Which tests touch a function: the fastest of those are run first.

Recorded once: for every test, how long it takes and which of the contracts' entry points it calls, itself or
by calls inside a transaction. From the sources: which entry points lead to a function, by names alone. An
error here costs time, never a verdict: what survives is run against everything else too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scripts.mutation.cairo import Source


@dataclass(frozen=True)
class Record:
    """What one test did when it was recorded."""

    seconds: float
    calls: frozenset[str]
    """Names of entry points."""
    own: frozenset[str]
    """Those called by the test itself, not while it was set up."""


def callers(sources: Sequence[Source]) -> dict[str, set[str]]:
    """By a function's or constant's full name: the last names of all functions that may come to it."""
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
    """A function's name as others call it. Packing goes by its type: whoever touches a cell calls it."""
    scope, _, name = full_name.rpartition("::")
    return scope.rsplit("::", 1)[-1] if name in ("pack", "unpack") else name


def _cells(sources: Sequence[Source]) -> dict[str, set[str]]:
    """By the name of a storage member: the implementations that pack its type."""
    cells: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        for member in source.structs.get("Storage", ()):
            for word in re.findall(r"\w+", member.type):
                cells[member.name].add(f"{word}Packing")
    return cells


def order(
    entry_points: Iterable[str], records: Mapping[str, Record], killers: Sequence[str] = ()
) -> list[str]:
    """The tests that touch these entry points, as they are run.

    First what killed a mutant of the same function, then the tests themselves, before those that only do so
    while they are set up. Of a parametrised test one case comes before all others, and the fastest is first.
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

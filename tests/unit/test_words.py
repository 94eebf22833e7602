"""Code and documents use standard technical English: idioms of an earlier style cannot come back."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts import repository

ROOT = repository.root()

#: Generated from the Cairo sources, which the class hashes cover, and from recorded reasons.
GENERATED = {"docs/spec.md", "docs/mutation.md"}


@dataclass(frozen=True)
class Idiom:
    """A pattern that must not occur, with a text that contains it and a similar text that does not."""

    pattern: str
    instead: str
    planted: str
    near_miss: str


IDIOMS = (
    Idiom(
        r"\bfor one in\b",
        "a loop variable named for the thing: `for entry in entries`",
        "total = sum(one.size for one in entries)",
        "total = sum(entry.size for entry in entries)",
    ),
    Idiom(
        r"\blambda one\b",
        "a parameter named for the thing",
        "key=lambda one: one.seq",
        "key=lambda entry: entry.seq",
    ),
    Idiom(
        r"(?<![Tt]here )\b(?:is|are|was|were) none\b(?! of\b)",
        "`is not a valid …`, `does not exist` or `is None`",
        "The file is none.",
        "There is none, and none is needed.",
    ),
    Idiom(
        r"(?i)(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b)(?=[a-z{])",
        "`is not a …` or `is not an …`",
        "{path} is no keystore",
        "There is no keystore, and the old one is no longer valid: it is not a file.",
    ),
    Idiom(r"(?i)\bwhoever\b", "`anyone who` or the role", "Whoever has the key", "Anyone who has the key"),
    Idiom(
        r"(?i)\btold\b(?! apart\b)",
        "`reported`, `described` or `shown`",
        "as it was told",
        "as it was reported",
    ),
    Idiom(
        r"\b_?tell(?:_\w+)?\(",
        "`describe`, `report`, `print` or `send`",
        "self._tell(result)",
        "self._report(result)",
    ),
    Idiom(
        r"(?i)\bby and by\b", "`gradually` or `over time`", "grows by and by", "compared by name and by size"
    ),
    Idiom(
        r"(?i), too\b", "`also` or `as well`", "The log is checked, too.", "It is also checked, not too late."
    ),
    Idiom(
        r"(?i)(?<!not )\bat all\b(?! (?:times|hours|costs)\b)",
        "no replacement",
        "if it exists at all",
        "at all times",
    ),
    Idiom(
        r"(?<!Foundry )\bbook\b(?!\.db)",
        "`journal`",
        "self.book.append(entry)",
        "self.bookkeeping.append(entry)",
    ),
    Idiom(r"(?i)\bdealt\b", "`processed`", "entries that were dealt with", "an ideal entry"),
    Idiom(r"(?i)\bcustody\b", "`service`", "custody.keep(record)", "the custodian's share"),
    Idiom(
        r"(?i)(?<!on the )\bwire\b",
        "`schema`, `format` or `calldata`",
        "a wire model",
        "the parts are wired together",
    ),
    Idiom(r"\bbut\(", "`replace(`", "state.but(size=1)", "all entries but (see below) the first"),
    Idiom(r"\balone\(", "`exclusive(`", "with alone(path):", "used alone (see below)"),
    Idiom(
        r"\b(?:custody|service)\.keep\(",
        "`service.put(`",
        "service.keep(record)",
        "service.put(record)",
    ),
    Idiom(r"(?i)\bbe it\b", "`whether`", "be it open or closed", "it may be its size"),
    Idiom(r"(?i)(?<![-.])\banew\b", "`again`", "hashed anew", "a new hash"),
    Idiom(r"(?i)\bnonsense\b", "`invalid`", "it answered nonsense", "it answered sensibly"),
    Idiom(r"(?i)\bby stumbling\b", "the failure that occurs", "found out by stumbling", "a stumbling block"),
    Idiom(
        r"# -{2,} .* -{6,}",
        "a short heading such as `# --- parsing ---`, or a smaller file",
        "# --- parsing ------------------------",
        "# --- parsing ---",
    ),
    Idiom(
        r"\bclass (?:Book|Custody|Dealt|Kept|Told|Wire)\b",
        "`Journal`, `ProcessedEntry`, `IssuedTicket` or `Schema`",
        "class Kept(Base):",
        "class KeptTicket(Base):",
    ),
)


def files() -> list[Path]:
    """Every file that is held to the table."""
    sources = [path for room in ("medsync", "scripts") for path in (ROOT / room).rglob("*.py")]
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    return sorted(
        path for path in (*sources, *documents) if path.relative_to(ROOT).as_posix() not in GENERATED
    )


def findings(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        for idiom in IDIOMS:
            if found := re.search(idiom.pattern, line):
                yield f"{name}:{number}: write {idiom.instead} instead of {found[0]!r}: {line.strip()}"


def found_in(paths: list[Path]) -> list[str]:
    return [
        finding
        for path in paths
        for finding in findings(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]


def test_no_file_uses_a_banned_idiom() -> None:
    found = found_in(files())
    assert not found, "\n".join(found)


@pytest.mark.parametrize("idiom", IDIOMS, ids=lambda idiom: idiom.planted)
def test_a_planted_idiom_is_found_and_a_near_miss_is_not(idiom: Idiom) -> None:
    assert re.search(idiom.pattern, idiom.planted)
    assert not re.search(idiom.pattern, idiom.near_miss)
    found = next(findings("planted.py", f"first line\n{idiom.planted}\n"))
    assert found.startswith("planted.py:2: ")
    assert not list(findings("planted.py", idiom.near_miss))


def shared_names(sources: dict[str, str]) -> dict[str, list[str]]:
    """Public classes that several modules define, with those modules."""
    modules: dict[str, list[str]] = defaultdict(list)
    for module, source in sources.items():
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].append(module)
    return {name: found for name, found in modules.items() if len(found) > 1}


def test_no_two_public_classes_share_a_name() -> None:
    sources = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "medsync").rglob("*.py"))
    }
    assert shared_names(sources) == {}


def test_two_public_classes_with_a_shared_name_are_found() -> None:
    sources = {
        "a.py": "class Record:\n    pass\nclass _Part:\n    pass\n",
        "b.py": "class Record:\n    pass\nclass _Part:\n    pass\n",
        "c.py": "class Other:\n    class Record:\n        pass\n",
    }
    assert shared_names(sources) == {"Record": ["a.py", "b.py"]}

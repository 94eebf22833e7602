"""Which test holds what: entry points by roles, error codes and events, for the auditor's report.

Read from the sources' documentation (what a function can fail with and emits), the table of roles, and the
tests of contracts and attacks: a test is said to hold a function's error code or event if it names both, in a
string of its own or of what it uses. That is checked by reading only; that the tests pass is another matter.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TypedDict

from scripts.reference.cairo_docs import Contract, Function, contract_reference
from tests.harness.roles import ROLES, RULES

TESTS = Path(__file__).parents[1]
CONTRACTS = TESTS.parent / "contracts"
SOURCES = CONTRACTS / "src"
FOLDERS = ("contracts", "attacks")

ALLOWED = "allowed"
ROLES_TEST = "tests/contracts/test_roles.py::test_who_may_call_what"
VIEWS_TEST = "tests/contracts/test_roles.py::test_every_view_is_open_to_all_and_changes_nothing"


class EntryPoint(TypedDict):
    """What is said and tested of one entry point."""

    contract: str
    kind: str
    """`constructor`, `external` or `view`."""
    roles: dict[str, str]
    """What becomes of a call by each role: `allowed`, or the error code."""
    codes: dict[str, list[str]]
    """By error code that it can fail with: the tests that hold it."""
    events: dict[str, list[str]]
    """By event that it emits: the tests that hold it."""
    tests: list[str]
    """Every test that names it."""
    reasons: dict[str, str]
    """Why `roles`, `codes` or `events` is empty, if it is."""


Coverage = dict[str, EntryPoint]
"""By `Contract.function`."""

_UNNAMED = {"MedSync.constructor": ["AdminTransferred"], "PrivateAnchor.constructor": ["NodesRotated"]}
"""What is emitted and not said to be."""


def coverage() -> Coverage:
    """The whole table."""
    return {
        f"{contract.name}.{function.name}": _entry_point(contract, function, words_of_tests())
        for contract in _contracts()
        for function in contract.functions
    }


def holes(table: Coverage) -> Iterator[str]:
    """Every cell that is empty without a reason."""
    for name, entry in table.items():
        parts: dict[str, Mapping[str, object]] = {
            "roles": entry["roles"],
            "codes": entry["codes"],
            "events": entry["events"],
        }
        for part, cells in parts.items():
            if not cells and not entry["reasons"].get(part):
                yield f"{name}: no {part}, and no reason"
            if cells and part in entry["reasons"]:
                yield f"{name}: a reason for no {part}, and there are some"
            yield from (f"{name}: nothing holds {cell}" for cell, held in cells.items() if not held)
        if entry["roles"]:
            missing = sorted(set(ROLES) - set(entry["roles"]))
            yield from (f"{name}: nothing is said of the {role}" for role in missing)
        if not entry["tests"]:
            yield f"{name}: no test names it"


@cache
def _contracts() -> tuple[Contract, ...]:
    return contract_reference(SOURCES).contracts


def sources() -> Iterator[str]:
    """The contracts' own sources and those of their interfaces, without their tests."""
    for folder in (SOURCES, CONTRACTS / "interfaces" / "src"):
        for path in sorted(folder.rglob("*.cairo")):
            if path.stem != "tests":
                yield path.read_text()


def _entry_point(contract: Contract, function: Function, words: Mapping[str, set[str]]) -> EntryPoint:
    rule = RULES.get(function.name)
    roles = {role: rule.error_of(role) or ALLOWED for role in ROLES} if rule else {}
    events = _events(contract, function)
    reasons = {}
    if function.name == "constructor":
        kind, name = "constructor", _called_by(contract.name)
        reasons["roles"] = "it runs once, for whoever deploys"
    elif function.is_view:
        kind, name = "view", _called_by(function.name)
        roles = dict.fromkeys(ROLES, ALLOWED)
    else:
        kind, name = "external", function.name
    tests = [test for test, said in words.items() if name in said]
    if kind == "view":
        tests.append(VIEWS_TEST)
    if not events:
        reasons["events"] = "it changes nothing" if kind == "view" else "it has none to tell of"
    if not function.errors:
        reasons["codes"] = "it fails for nobody"
    codes = {code: [test for test in tests if code in words[test]] for code in function.errors}
    for code in set(roles.values()) & set(codes):
        codes[code].append(ROLES_TEST)
    return EntryPoint(
        contract=contract.name,
        kind=kind,
        roles=roles,
        codes=codes,
        events={event: [test for test in tests if event in words[test]] for event in events},
        tests=[*tests, *([ROLES_TEST] if rule else [])],
        reasons=reasons,
    )


def _events(contract: Contract, function: Function) -> list[str]:
    """What a function emits, that which its text takes over from others among it: "as `revoke_consent`"."""
    names = re.findall(r"`(\w+)`", function.sections.get("Emits", ""))
    taken = [event for one in contract.functions if one.name in names for event in _events(contract, one)]
    own = [event.name for one in _contracts() for event in one.events if event.name in names]
    return list(dict.fromkeys([*taken, *own, *_UNNAMED.get(f"{contract.name}.{function.name}", [])]))


# --- what tests say -----------------------------------------------------------------------------------------

_Definitions = dict[str, list[ast.AST]]


@cache
def words_of_tests() -> dict[str, set[str]]:
    """By test: every string that it uses for something, itself or in what it refers to. Docstrings do not
    count, nor do the tests of this table."""
    return {
        f"tests/{folder}/{path.name}::{name}": words
        for folder in FOLDERS
        for path in sorted((TESTS / folder).glob("test_*.py"))
        if path.name != "test_coverage.py"
        for name, words in words_in(path.read_text()).items()
    }


def words_in(module: str) -> dict[str, set[str]]:
    """The same of one module's tests."""
    tree = ast.parse(module)
    known = _support() | _definitions(tree)
    return {
        node.name: _words(node, known)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


_NOT_ASSERTED_BY = {
    "coverage.py",
    # The table of roles names everything, and is asked apart.
    "roles.py",
    # These carry requests, or are samples of other tests: what they name, no test of a contract asserts.
    "driver.py",
    "public_node.py",
    "abi_types.py",
    "histories.py",
    "records.py",
}
"""Modules of the harness whose words are no evidence."""


@cache
def _support() -> _Definitions:
    """What tests of contracts import, by name."""
    known: _Definitions = {}
    for path in sorted((TESTS / "harness").glob("*.py")):
        if path.name not in _NOT_ASSERTED_BY:
            known |= _definitions(ast.parse(path.read_text()))
    return known


def _definitions(tree: ast.Module) -> _Definitions:
    """A module's functions, methods and variables, by name."""
    known: _Definitions = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            known.setdefault(node.name, []).append(node)
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                for part in ast.walk(target):
                    if isinstance(part, ast.Name):
                        known.setdefault(part.id, []).append(statement)
    return known


_CALLS = ("read", "call", "View", "deploy", "declared")
"""What reads a view, calls any function, or deploys a contract."""


def _words(test: ast.AST, known: _Definitions) -> set[str]:
    words: set[str] = set()
    seen: set[int] = set()
    remaining = [test]
    while remaining:
        node = remaining.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        parts = list(ast.walk(node))
        docstrings = {id(part.value) for part in parts if isinstance(part, ast.Expr)}
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and id(part) not in docstrings:
                words.add(part.value)
            elif isinstance(part, ast.Call) and _called(part) in _CALLS:
                words |= {_called_by(one.value) for one in part.args if isinstance(one, ast.Constant)}
            elif isinstance(part, ast.Name):
                remaining += known.get(part.id, [])
            elif isinstance(part, ast.Attribute):
                remaining += known.get(part.attr, [])
            elif isinstance(part, ast.arg):  # a fixture
                remaining += known.get(part.arg, [])
    return words


def _called_by(name: object) -> str:
    """The word for a view that is read or called, or a contract that is deployed: many are called what
    other things are called too."""
    return f"{name}()"


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")

"""Whether the tests beside this one assert every error code and every event, and leave no function out.

A code or an event counts as asserted where a test names it in a string; docstrings and comments do not count.
"""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from medsync import artifacts

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "contracts" / "src"


def error_codes(sources: Iterable[str]) -> set[str]:
    """Every short string that Cairo sources can panic with, tests inside them apart."""
    codes = set()
    for source in sources:
        source = source.split("#[cfg(test)]")[0]
        source = re.sub(r"//.*", "", source)
        codes |= set(re.findall(r"'([A-Z]+/[A-Z_]+)'", source))
    return codes


def events() -> set[str]:
    """Every event of the deployed contracts."""
    return {
        entry["name"].rsplit("::", 1)[1]
        for name in artifacts.manifest()["contracts"]
        for entry in artifacts.load(name).abi
        if entry["type"] == "event" and entry["kind"] == "struct"
    }


def named(tests: Iterable[str]) -> set[str]:
    """Every string that Python sources use for something."""
    words = set()
    for source in tests:
        tree = ast.parse(source)
        statements = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        words |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements
        }
    return words


@pytest.fixture(scope="module")
def tested() -> set[str]:
    others = [path for path in HERE.glob("test_*.py") if path != Path(__file__)]
    helpers = (HERE.parent / "support").glob("*.py")
    return named(path.read_text() for path in (*others, *helpers))


def test_every_error_code_is_asserted(tested: set[str]) -> None:
    codes = error_codes(path.read_text() for path in SOURCES.glob("*.cairo"))
    assert len(codes) >= 50
    assert not codes - tested


def test_every_event_is_asserted(tested: set[str]) -> None:
    assert len(events()) >= 20
    assert not events() - tested


def test_every_function_is_called(tested: set[str]) -> None:
    functions = {
        item["name"]
        for name in artifacts.manifest()["contracts"]
        for entry in artifacts.load(name).abi
        if entry["type"] == "interface"
        for item in entry["items"]
    }
    assert len(functions) >= 40
    assert not functions - tested


def test_no_test_asserts_a_code_that_is_not_there(tested: set[str]) -> None:
    codes = error_codes(path.read_text() for path in SOURCES.glob("*.cairo"))
    expected = {word for word in tested if re.fullmatch(r"(ENTITY|CONSENT|ACCESS|POOL|PACK)/[A-Z_]+", word)}
    assert expected <= codes


# --- these checks can fail ----------------------------------------------------------------------------------


def test_a_planted_code_is_found_and_is_missing() -> None:
    source = """
    pub const NEW: felt252 = 'CONSENT/PLANTED';  // 'CONSENT/COMMENTED'
    #[cfg(test)]
    mod tests { const X: felt252 = 'CONSENT/INSIDE_A_TEST'; }
    """
    assert error_codes([source]) == {"CONSENT/PLANTED"}


def test_a_code_in_a_docstring_or_a_comment_is_not_asserted() -> None:
    source = '''
def test() -> None:
    """Says "CONSENT/PLANTED"."""
    "CONSENT/PLANTED"
    # "CONSENT/PLANTED"
    refuses("CONSENT/OTHER")
'''
    assert named([source]) == {"CONSENT/OTHER"}

"""Whether the tests of contracts assert every error code and every event, and leave no function out.

A code or an event counts as asserted where a test names it in a string; docstrings and comments do not count.
"""

import re
from collections.abc import Callable, Iterable
from copy import deepcopy

import pytest

from medsync import artifacts
from tests.harness.coverage import (
    Coverage,
    EntryPoint,
    coverage,
    holes,
    sources,
    words_in,
    words_of_tests,
)
from tests.harness.roles import RULES


def error_codes(texts: Iterable[str]) -> set[str]:
    """Every short string that Cairo sources can panic with."""
    codes = set()
    for source in texts:
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


def functions() -> dict[str, str]:
    """By `Contract.function`, every function of the deployed contracts: `external` or `view`."""
    return {
        f"{name}.{item['name']}": item["state_mutability"]
        for name in artifacts.manifest()["contracts"]
        for entry in artifacts.load(name).abi
        if entry["type"] == "interface"
        for item in entry["items"]
    }


@pytest.fixture(scope="module")
def table() -> Coverage:
    return coverage()


@pytest.fixture(scope="module")
def tested() -> set[str]:
    return set().union(*words_of_tests().values())


def test_no_cell_is_empty_without_a_reason(table: Coverage) -> None:
    assert list(holes(table)) == []


def test_the_table_is_of_all_there_is(table: Coverage) -> None:
    """What the sources document and what the artifacts hold are the same functions, events and codes."""
    kinds = {name: entry["kind"] for name, entry in table.items() if entry["kind"] != "constructor"}
    assert kinds == functions()
    assert len(kinds) >= 90
    assert {name.split(".")[1] for name, kind in kinds.items() if kind == "external"} == set(RULES)
    codes = error_codes(sources())
    documented = {code for entry in table.values() for code in entry["codes"]}
    # The one that no function names: values that fit their types cannot cause it.
    assert codes - documented == {"PACK/RANGE"}
    assert documented <= codes
    assert len(documented) >= 100
    emitted = {event for entry in table.values() for event in entry["events"]}
    assert emitted == events()
    assert len(emitted) >= 35


def test_no_test_asserts_a_code_that_is_not_there(tested: set[str]) -> None:
    codes = error_codes(sources())
    families = "ENTITY|CONSENT|ACCESS|BUDGET|POOL|ANCHOR|PACK"
    expected = {word for word in tested if re.fullmatch(rf"({families})/[A-Z_]+", word)}
    assert expected <= codes


# --- these checks can fail ----------------------------------------------------------------------------------


def test_a_planted_code_is_found() -> None:
    source = """
    pub const NEW: felt252 = 'CONSENT/PLANTED';  // 'CONSENT/COMMENTED'
    """
    assert error_codes([source]) == {"CONSENT/PLANTED"}


def test_a_code_in_a_docstring_or_a_comment_is_not_asserted() -> None:
    source = '''
CODES = ["CONSENT/LISTED"]

@pytest.mark.parametrize("code", CODES)
def test_this(world, fixture) -> None:
    """Says "CONSENT/PLANTED"."""
    "CONSENT/PLANTED"
    # "CONSENT/PLANTED"
    world.refuses("CONSENT/OTHER")

def fixture():
    expect("CONSENT/FROM_A_FIXTURE")

def test_else() -> None:
    expect("CONSENT/ELSEWHERE")
'''
    words = words_in(source)
    assert {word for word in words["test_this"] if word.startswith("CONSENT/")} == {
        "CONSENT/LISTED",
        "CONSENT/OTHER",
        "CONSENT/FROM_A_FIXTURE",
    }


PLANTED: dict[str, Callable[[EntryPoint], object]] = {
    "no roles, and no reason": lambda entry: entry["roles"].clear(),
    "nothing is said of the auditor": lambda entry: entry["roles"].pop("auditor"),
    "no codes, and no reason": lambda entry: entry["codes"].clear(),
    "nothing holds ENTITY/UNKNOWN": lambda entry: entry["codes"]["ENTITY/UNKNOWN"].clear(),
    "no events, and no reason": lambda entry: entry["events"].clear(),
    "nothing holds EntitySuspended": lambda entry: entry["events"]["EntitySuspended"].clear(),
    "a reason for no codes, and there are some": lambda entry: entry["reasons"].update(codes="none"),
    "no test names it": lambda entry: entry["tests"].clear(),
}


@pytest.mark.parametrize("hole", PLANTED)
def test_a_planted_hole_is_found(table: Coverage, hole: str) -> None:
    planted = deepcopy(table)
    PLANTED[hole](planted["MedSync.suspend_entity"])
    assert list(holes(planted)) == [f"MedSync.suspend_entity: {hole}"]

"""The sources' documentation is read whole, agrees with the ABI, and the committed table of codes with it."""

import re
from pathlib import Path

import pytest

from medsync import artifacts
from scripts import repository
from scripts.reference.cairo_docs import SECTIONS, SourceError, contract_reference, error_table
from tests.harness.abi_types import ABIS, functions

SOURCES = repository.root() / "contracts" / "src"
REFERENCE = contract_reference(SOURCES)
CONTRACTS = {contract.name: contract for contract in REFERENCE.contracts}
OWNERS = {"ANCHOR": "PrivateAnchor", "POOL": "RewardPool"}
"""Whose an error code is, by its first word; the others are MedSync's."""


@pytest.mark.parametrize("name", ABIS)
def test_functions_are_the_abis(name: str) -> None:
    documented = {one.name: one for one in CONTRACTS[name].functions if one.name != "constructor"}
    exported = functions(ABIS[name])
    assert set(documented) == set(exported)
    for function in documented.values():
        assert function.is_view == (exported[function.name]["state_mutability"] == "view")
        parameters = re.findall(r"(\w+): ", function.signature.partition("->")[0])[1:]
        assert parameters == [parameter["name"] for parameter in exported[function.name]["inputs"]]


@pytest.mark.parametrize("name", ABIS)
def test_events_are_the_abis(name: str) -> None:
    documented = {one.name: one for one in CONTRACTS[name].events}
    for one in ABIS[name]:
        if one["type"] == "event" and one["kind"] == "struct":
            event = documented.pop(one["name"].rpartition("::")[2])
            assert event.doc
            assert [(member.name, member.key) for member in event.members] == [
                (member["name"], member["kind"] == "key") for member in one["members"]
            ]
    assert not documented


def test_what_changes_state_is_documented_in_full() -> None:
    for contract in CONTRACTS.values():
        for function in contract.functions[1:]:
            if not function.is_view:
                assert {"Effects", "Emits", "Access"} <= set(function.sections) <= set(SECTIONS), (
                    function.name
                )


def test_every_code_in_the_sources_has_a_meaning_and_a_function() -> None:
    everything = "".join(path.read_text() for path in SOURCES.glob("*.cairo"))
    codes = set(re.findall(r"pub const \w+: felt252 = '([A-Z]+/[A-Z_]+)'", everything))
    table = error_table(REFERENCE)
    assert set(table) == codes
    for code, error in table.items():
        assert error["meaning"], code
        assert error["functions"], code
        assert error["contract"] == OWNERS.get(code.partition("/")[0], "MedSync")


def test_errors_taken_over_from_another_function_are_spelt_out() -> None:
    table = error_table(REFERENCE)
    assert table["CONSENT/BAD_CATEGORIES"]["functions"] == [
        "add_consent",
        "add_consent_for",
        "add_consent_by_sig",
        "request_consent",
    ]
    assert "request_access_batch" in table["ACCESS/ZERO_PATIENT"]["functions"]


def test_the_committed_table_is_what_the_sources_say() -> None:
    assert artifacts.errors() == error_table(REFERENCE), "run `make build`"


def test_structs_and_enums_are_documented() -> None:
    structs, enums = ({one.name: one for one in kind} for kind in (REFERENCE.structs, REFERENCE.enums))
    assert {"ConsentTerms", "AccessRequest", "Campaign"} <= set(structs)
    assert all(one.doc for one in [*structs.values(), *enums.values()])
    rate = next(member for member in structs["CampaignTerms"].members if member.name == "rate")
    assert (rate.type, rate.doc) == ("u128", "Price of one permitted access, in the token's smallest unit.")
    assert [member.name for member in enums["Role"].members] == ["None", "Hospital", "Researcher", "Auditor"]


# --- a contract made up for the parser ----------------------------------------------------------------------

TINY = """\
//! A contract.

/// What it does.
#[starknet::interface]
pub trait ITiny<TState> {
    /// Does
    /// one thing.
    ///
    /// It really does.
    ///
    /// Preconditions: none; and
    ///   what follows.
    /// Errors: `TINY/ONE`.
    fn one(
        ref self: TState, value: felt252,
    ) -> u32;

    /// Does two.
    ///
    /// Preconditions, effects and errors: as `one`, but `value`.
    /// Errors: `TINY/TWO`.
    fn two(ref self: TState);
}

pub mod Errors {
    /// The first.
    pub const ONE: felt252 = 'TINY/ONE';
    /// The second.
    pub const TWO: felt252 = 'TINY/TWO';
}

#[starknet::contract]
pub mod Tiny {
    /// Makes it.
    #[constructor]
    fn constructor(ref self: ContractState) {}

    #[abi(embed_v0)]
    impl Tiny of super::ITiny<ContractState> {}
}
"""


def parse(folder: Path, source: str) -> dict[str, object]:
    (folder / "tiny.cairo").write_text(source)
    (contract,) = contract_reference(folder).contracts
    return {one.name: one for one in contract.functions}


def test_documentation_is_taken_apart(tmp_path: Path) -> None:
    found = parse(tmp_path, TINY)
    one, two = found["one"], found["two"]
    assert one.signature == "fn one(ref self: TState, value: felt252) -> u32"  # type: ignore[attr-defined]
    assert one.summary == "Does one thing.\n\nIt really does."  # type: ignore[attr-defined]
    assert one.sections["Preconditions"] == "none; and what follows."  # type: ignore[attr-defined]
    assert two.errors == ("TINY/ONE", "TINY/TWO")  # type: ignore[attr-defined]
    assert two.sections["Effects"] == "as `one`, but `value`."  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("    /// The second.\n", "TINY/TWO"),
        ("    pub const TWO: felt252 = 'TINY/TWO';\n", "TINY/TWO"),
        ("    /// Does two.\n    ///\n", "two"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    assert line in TINY
    with pytest.raises(SourceError, match=complaint):
        parse(tmp_path, TINY.replace(line, "", 1))

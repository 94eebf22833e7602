"""The sources' documentation is read whole, agrees with the ABI, and the committed table of codes with it."""

import re
from pathlib import Path

import pytest

from medsync import artifacts
from scripts import repository
from scripts.reference.cairo_docs import SECTIONS, Contract, SourceError, contract_reference, error_table
from tests.harness.abi_types import ABIS, functions

FOLDER = repository.root() / "contracts"
REFERENCE = contract_reference(FOLDER / "src")
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
                named = set(function.sections)
                assert "Access" in named, function.name
                assert named & {"Effects", "Emits"}, function.name
                assert named <= set(SECTIONS), function.name


def test_every_code_in_the_sources_has_a_meaning_and_a_function() -> None:
    everything = "".join(path.read_text() for path in FOLDER.rglob("*.cairo"))
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


def test_what_a_contract_answers_another_is_told_of_both() -> None:
    error = error_table(REFERENCE)["BUDGET/TOO_FEW_USES"]
    assert error["contract"] == "MedSync"
    assert error["functions"] == ["take_budget", "increase_allowance", "decrease_allowance"]


def test_the_committed_table_is_what_the_sources_say() -> None:
    assert artifacts.errors() == error_table(REFERENCE), "run `make build`"


def test_structs_and_enums_are_documented() -> None:
    structs, enums = ({one.name: one for one in kind} for kind in (REFERENCE.structs, REFERENCE.enums))
    assert {"ConsentTerms", "AccessRequest", "Campaign"} <= set(structs)
    assert all(one.doc for one in [*structs.values(), *enums.values()])
    rate = next(member for member in structs["CampaignTerms"].members if member.name == "rate")
    assert (rate.type, rate.doc) == ("u128", "Price of one permitted access, in the token's smallest unit.")
    assert [member.name for member in enums["Role"].members] == ["None", "Hospital", "Researcher", "Auditor"]


def test_the_layout_of_every_cell_is_told() -> None:
    cells = {cell.name: cell.layout for cell in REFERENCE.packed}
    assert cells["Budget"] == "`left:64 | paid:64` and above `expires_at:40 | custodian_settled:64`."
    assert "`head:219 | count:32`" in cells["Head"]


# --- a contract made up for the parser ----------------------------------------------------------------------

FILES = {
    "Scarb.toml": '[package]\nname = "tiny"\n\n[dependencies]\ntiny_interfaces = { path = "interfaces" }\n',
    "interfaces/Scarb.toml": '[package]\nname = "tiny_interfaces"\n',
    "interfaces/src/part.cairo": """\
//! What callers need.

/// What it does.
#[starknet::interface]
pub trait IPart<TState> {
    /// Does
    /// one thing.
    ///
    /// It really does.
    ///
    /// Preconditions:
    /// - none; and
    ///   what follows
    /// - `value`
    ///
    /// Errors:
    /// - `TINY/ONE`
    fn one(
        ref self: TState, value: felt252,
    ) -> u32;

    /// Does two.
    ///
    /// Errors:
    /// - as for `one`
    /// - `TINY/TWO`
    fn two(ref self: TState);
}

/// It was done.
#[derive(Drop, starknet::Event)]
pub struct Done {
    #[key]
    pub who: felt252,
}

pub mod Errors {
    /// The first.
    pub const ONE: felt252 = 'TINY/ONE';
}
""",
    "src/part.cairo": """\
#[starknet::component]
pub mod PartComponent {
    use tiny_interfaces::part::{Done, Errors, IPart};
    use super::inner::Inner;

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        Done: Done,
    }

    #[embeddable_as(PartImpl)]
    impl Part<TContractState> of IPart<ComponentState<TContractState>> {}
}
""",
    "src/part/inner.cairo": """\
//! Nested.

/// One cell.
#[derive(Copy, Drop)]
pub struct Inner {
    pub a: u8,
}

/// `a:8`.
pub impl InnerPacking of StorePacking<Inner, felt252> {}

pub mod Errors {
    /// The second.
    pub const TWO: felt252 = 'TINY/TWO';
}
""",
    "src/part/tests.cairo": "pub mod Errors {\n    pub const NONE: felt252 = 'TINY/TESTED';\n}\n",
    "src/tiny.cairo": """\
//! A contract.

#[starknet::contract]
pub mod Tiny {
    use crate::part::PartComponent;

    component!(path: PartComponent, storage: part, event: PartEvent);

    #[event]
    #[derive(Drop, starknet::Event)]
    enum Event {
        #[flat]
        PartEvent: PartComponent::Event,
    }

    /// Makes it.
    #[constructor]
    fn constructor(ref self: ContractState) {}
}
""",
}


def parse(folder: Path, **changed: str) -> Contract:
    """The contract of the files, with what a test adds to them or puts in their place."""
    for name, text in (FILES | changed).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (contract,) = contract_reference(folder / "src").contracts
    return contract


def test_documentation_is_taken_apart(tmp_path: Path) -> None:
    contract = parse(tmp_path)
    constructor, one, two = contract.functions
    assert constructor.summary == "Makes it."
    assert one.signature == "fn one(ref self: TState, value: felt252) -> u32"
    assert one.summary == "Does one thing.\n\nIt really does."
    assert one.sections["Preconditions"] == "- none; and what follows\n- `value`"
    assert two.errors == ("TINY/ONE", "TINY/TWO")
    assert [event.name for event in contract.events] == ["Done"]
    assert {error.code: error.meaning for error in contract.errors} == {
        "TINY/ONE": "The first.",
        "TINY/TWO": "The second.",
    }


STRANGERS = {
    "Errors": """\
pub mod Errors {
    /// It.
    pub const STRAY: felt252 = 'TINY/STRAY';
}
""",
    "indented Errors": """\
mod inner {
    mod Errors {
        /// It.
        pub const STRAY: felt252 = 'TINY/STRAY';
    }
}
""",
    "interfaces": """\
#[starknet::interface]
pub trait IStray<TState> {
    /// It.
    fn it(self: @TState);
}
""",
    "events": """\
/// It.
#[derive(Drop, starknet::Event)]
pub struct Stray {
    pub a: u8,
}
""",
}


@pytest.mark.parametrize("place", ["src/other.cairo", "src/other/deep.cairo", "interfaces/src/other.cairo"])
@pytest.mark.parametrize("what", STRANGERS)
def test_what_belongs_to_no_contract_is_found(tmp_path: Path, what: str, place: str) -> None:
    complaint = f"{what.split()[-1]} in tiny.*::other.* belong to no contract: .*stray"
    with pytest.raises(SourceError, match=f"(?i){complaint}"):
        parse(tmp_path, **{place: STRANGERS[what]})


def test_an_interface_that_is_called_belongs_to_the_caller(tmp_path: Path) -> None:
    called = "use super::IStrayDispatcher;\n" + STRANGERS["interfaces"]
    assert parse(tmp_path, **{"src/other.cairo": called}).name == "Tiny"


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("interfaces/src/part.cairo", "/// - `TINY/ONE`", "/// `TINY/ONE`", "section that is not a list"),
        ("src/part/inner.cairo", "    /// The second.\n", "", "TINY/TWO has no documentation"),
        (
            "src/part/inner.cairo",
            "    pub const TWO: felt252 = 'TINY/TWO';\n",
            "",
            "two names undefined errors: .*TINY/TWO",
        ),
        ("src/part/inner.cairo", "/// `a:8`.\n", "", "layout of Inner"),
        ("src/part.cairo", "Errors, ", "", "Errors in tiny_interfaces::part belong to no contract"),
        ("src/part.cairo", "Done, ", "", "tiny::part emits Done, which is not found"),
        ("src/part.cairo", ", IPart", "", "tiny::part implements IPart, which is not found"),
        ("interfaces/src/part.cairo", "    /// Does two.\n    ///\n", "", "two has no documentation"),
        ("interfaces/src/part.cairo", "as for `one`", "as for `won`", "two adopts .*won"),
        (
            "interfaces/src/part.cairo",
            "    /// - `TINY/ONE`",
            "    /// `TINY/ONE`",
            "section that is not a list",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, file: str, old: str, new: str, complaint: str) -> None:
    assert FILES[file].count(old) == 1
    with pytest.raises(SourceError, match=complaint):
        parse(tmp_path, **{file: FILES[file].replace(old, new)})


def test_a_code_of_two_contracts_is_refused(tmp_path: Path) -> None:
    other = FILES["src/tiny.cairo"].replace("Tiny", "Other")
    with pytest.raises(SourceError, match=r"belong to two contracts: \['TINY/ONE', 'TINY/TWO'\]"):
        parse(tmp_path, **{"src/other.cairo": other})

"""Every gate a change must pass, and the planted failure that proves it can fail: for tests and readers.

A gate is a command as CI runs it, a script that checks something, or a test that guards more than the code it
calls. `PLANTED` ones are damaged and run by `test_planted.py`; `PROVEN` ones have tests of their own that
plant failures. `test_pipeline.py` holds the table against what CI really runs.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.guards import trees
from scripts.guards.trees import Tree

PAGE: Final = "docs/guards.md"

Plant = Callable[[Path], None]
"""Damages a copy."""


@dataclass(frozen=True)
class Planted:
    """A gate, and something that must not pass it."""

    gate: str
    protects: str
    """What is so where the gate passes."""
    failure: str
    """What is planted."""
    plant: Plant
    says: str
    """What the gate must print of it: a regular expression."""
    tree: Tree = trees.whole
    scarb: bool = False
    """Whether the gate is only there where Scarb is."""
    environment: str = ""
    """What is set, as a shell has it before a command."""
    passes: str = ""
    """The test that sees the gate pass unharmed, if that takes too long to be seen here."""

    @property
    def command(self) -> str:
        """What runs the gate, as it is planted."""
        gate = f"pytest -n 0 '{self.gate}'" if "::" in self.gate else self.gate
        return f"{self.environment} {gate}".strip()


@dataclass(frozen=True)
class Proven:
    """A gate whose planted failures live in tests beside it."""

    gate: str
    protects: str
    failure: str
    tests: tuple[str, ...]


# --- ways to damage ---


def append(name: str, text: str) -> Plant:
    """Add to a file, or make it."""

    def plant(copy: Path) -> None:
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + text)

    return plant


def change(name: str, old: str, new: str) -> Plant:
    """Put something else in the place of what a file says once at least."""

    def plant(copy: Path) -> None:
        path = copy / name
        text = path.read_text()
        assert old in text, f"{name} no longer says {old!r}"
        path.write_text(text.replace(old, new, 1))

    return plant


def nothing(copy: Path) -> None:
    """The failure is in the environment."""


def other_bytecode(copy: Path) -> None:
    path = copy / "medsync/artifacts/Study.casm.json"
    compiled = json.loads(path.read_text())
    compiled["bytecode"][0] = "0x1"
    path.write_text(json.dumps(compiled))


def left_out(copy: Path) -> None:
    append("tests/unit/planted.py", "def test_planted() -> None:\n    assert 1 == 2\n")(copy)
    change("pyproject.toml", '"-ra"', '"-ra", "--deselect=tests/unit/test_nothing.py"')(copy)


def other_hash(copy: Path) -> None:
    """As a new machine meets it: what is installed is not looked at again."""
    shutil.rmtree(copy / ".venv")
    path = copy / "requirements.lock"
    before, _, digest = path.read_text().partition("sha256:")
    path.write_text(f"{before}sha256:{'1' if digest[0] == '0' else '0'}{digest[1:]}")


# --- what is copied ---

STYLE: Final = trees.part("pyproject.toml", "medsync/protocol/felt.py")
ROOMS: Final = trees.part("pyproject.toml", "medsync/*.py")
DOCUMENTS: Final = trees.part(
    "medsync/*",
    "contracts/*",
    "deployments/*",
    "docs/*",
    "scripts/*",
    "tests/README.md",
    "tests/*__init__.py",
    "tests/mocks/src/lib.cairo",
    "Scarb.*",
)
PROGRAM: Final = trees.part("medsync/*", "contracts/*", "deployments/*", "scripts/*", "Scarb.*")

# --- the table ---

IMPORTS: Final = "lint-imports --no-logo --no-cache"
BUILD: Final = "python -m scripts build --check"
TESTS: Final = "pytest -n 2"
LINT_CAIRO: Final = "scarb lint --workspace --test --deny-warnings"
GENERATED: Final = "pytest -n 2 tests/stateful tests/properties tests/private/interleavings"
CAIRO_TESTS: Final = "scarb --offline cairo-test --workspace"
TIDY: Final = "python -m scripts tidy make --no-print-directory test"

THIS_RUN: Final = "tests/guards/test_planted.py::test_a_gate_names_what_is_planted"
"""Where pytest itself is the gate, the very run that this is read in passes."""

PLANTED: Final = (
    Planted(
        gate="python3 scripts/setup.py",
        protects="What is installed is what was locked, byte for byte",
        failure="one digit of a package's hash in `requirements.lock` is another",
        plant=other_hash,
        says="Hash mismatch for `flit-core",
        tree=trees.to_set_up,
    ),
    Planted(
        gate="ruff format --check --quiet .",
        protects="Python has one form",
        failure="two blanks too many",
        plant=append("medsync/protocol/felt.py", "planted  =  1\n"),
        says=r"medsync/protocol/felt\.py",
        tree=STYLE,
    ),
    Planted(
        gate="ruff check --quiet .",
        protects="Python is free of what ruff's rules know as mistakes",
        failure="an import that nothing uses",
        plant=append("medsync/protocol/felt.py", "import planted\n"),
        says="F401.*`planted` imported but unused",
        tree=STYLE,
    ),
    *(
        Planted(
            gate=IMPORTS,
            protects=protects,
            failure=f"`{module}` imports `{imported}`",
            plant=append(f"medsync/{module}.py", f"{before}import {imported}\n"),
            says=says,
            tree=ROOMS,
        )
        for protects, module, imported, before, says in (
            (
                "A room imports lower rooms only: `protocol` nothing but errors",
                "protocol/felt",
                "medsync.storage.files",
                "",
                r"medsync\.protocol\.felt -> medsync\.storage\.files",
            ),
            (
                "The same: `starknet` not the log",
                "starknet/rpc",
                "medsync.log.fetch",
                "",
                r"medsync\.starknet\.rpc -> medsync\.log\.fetch",
            ),
            (
                "The same: `starknet` not the private side",
                "starknet/signer",
                "medsync.private.schema",
                "",
                r"medsync\.starknet\.signer -> medsync\.private\.schema",
            ),
            (
                "The same: `log` not the private side",
                "log/replay",
                "medsync.private.schema",
                "",
                r"medsync\.log\.replay -> medsync\.private\.schema",
            ),
            (
                "The same: `deployment` not the private side, even for a type checker only",
                "deployment/toolchain",
                "medsync.private.schema",
                "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    ",
                r"medsync\.deployment\.toolchain -> medsync\.private\.schema",
            ),
            (
                "No two modules of a room import each other",
                "log/completeness",
                "medsync.log.replay",
                "",
                r"(?s)No two modules of a room import each other BROKEN.*medsync\.log",
            ),
            (
                "No room imports the public interface",
                "storage/files",
                "medsync",
                "",
                r"medsync\.storage\.files -> medsync \(",
            ),
            (
                "The package does not import what only the repository has",
                "errors",
                "scripts.build",
                "",
                r"medsync\.errors -> scripts",
            ),
            (
                "The same of the tests",
                "log/fetch",
                "tests.harness",
                "",
                r"medsync\.log\.fetch -> tests",
            ),
        )
    ),
    Planted(
        gate=IMPORTS,
        protects="Every room has its place among the others",
        failure="a room that no layer names",
        plant=append("medsync/planted/__init__.py", ""),
        says="medsync.planted",
        tree=ROOMS,
    ),
    Planted(
        gate="scarb fmt --workspace --check",
        protects="Cairo has one form",
        failure="two blanks too many",
        plant=append("contracts/src/lib.cairo", "pub fn planted()   -> felt252 { 2 }\n"),
        says=r"Diff in file .*lib\.cairo",
        tree=trees.small_workspace,
        scarb=True,
    ),
    Planted(
        gate=LINT_CAIRO,
        protects="Cairo is free of what its linter knows as mistakes",
        failure="a comparison with `true`",
        plant=append(
            "contracts/src/lib.cairo", "\npub fn planted(yes: bool) -> bool {\n    yes == true\n}\n"
        ),
        says="Unnecessary comparison with a boolean value",
        tree=trees.small_workspace,
        scarb=True,
    ),
    Planted(
        gate="mypy",
        protects="Every type is written down and fits",
        failure="a function that returns text for a number, and one without types",
        plant=append(
            "medsync/protocol/felt.py",
            "\ndef planted() -> int:\n    return ''\n\ndef untyped(value):\n    pass\n",
        ),
        says=r'(?s)got "str", expected "int".*missing a type annotation',
        tree=trees.small_package,
    ),
    *(
        Planted(
            gate=BUILD,
            protects=protects,
            failure=failure,
            plant=plant,
            says=says,
            tree=trees.with_one_contract,
        )
        for protects, failure, plant, says in (
            (
                "The committed artifacts are those of the sources",
                "a comment in a contract, which is not compiled again",
                append("contracts/src/vocabulary.cairo", "// planted\n"),
                r"medsync/artifacts/manifest\.json differs in .*source_sha256",
            ),
            (
                "The bytecode is what its published hash says",
                "one felt of a contract's bytecode is another",
                other_bytecode,
                r"medsync/artifacts/manifest\.json differs in contracts",
            ),
            (
                "The published ABIs are the contracts'",
                "one space more in an ABI",
                append("medsync/artifacts/Study.abi.json", " "),
                r"Study\.abi\.json differs",
            ),
            (
                "The published error codes are the sources'",
                "an error code's name is another",
                change("medsync/artifacts/errors.json", "POOL/NOT_FUNDER", "POOL/PLANTED"),
                r"errors\.json differs",
            ),
        )
    ),
    Planted(
        gate="python -m scripts reference --check",
        protects="The specification says what the sources say",
        failure="a heading of `docs/spec.md` is another",
        plant=change("docs/spec.md", "\n## Events\n", "\n## Planted\n"),
        says="(?s)Events: missing.*Planted: does not belong there",
        tree=DOCUMENTS,
    ),
    Planted(
        gate="python -m scripts reference --check",
        protects="The commands are documented as they are",
        failure="a line more in `docs/cli.md`",
        plant=append("docs/cli.md", "planted\n"),
        says=r"cli\.md",
        tree=DOCUMENTS,
    ),
    Planted(
        gate="python -m scripts reference --check",
        protects="The schema of deployment records is the one they are read by",
        failure="the schema wants another member",
        plant=change("deployments/schema.json", '"chain_id"', '"planted"'),
        says=r"schema\.json",
        tree=DOCUMENTS,
    ),
    Planted(
        gate="python -m scripts reference --check",
        protects="The index of the tests says what the folders say",
        failure="a folder says something else",
        plant=change("tests/attacks/__init__.py", "Attacks described", "Planted described"),
        says=r"README\.md",
        tree=DOCUMENTS,
    ),
    Planted(
        gate="python -m scripts guards --check",
        protects="The page of guards is the table",
        failure="a line more in `docs/guards.md`",
        plant=append("docs/guards.md", "planted\n"),
        says=r"guards\.md is not what the table says",
        tree=DOCUMENTS,
    ),
    Planted(
        gate="python -m scripts poseidon --check",
        protects="The WebAssembly that hashes is what its generator writes",
        failure="the Poseidon module has another constant",
        plant=change("medsync/protocol/poseidon.wat", "\\ab", "\\ac"),
        says=r"poseidon\.wat is not what its generator writes",
        tree=PROGRAM,
    ),
    Planted(
        gate=CAIRO_TESTS,
        protects="Cairo's own tests pass",
        failure="a function returns two, where its test wants one",
        plant=change("contracts/src/lib.cairo", "    1\n", "    2\n"),
        says="is_one .*fail",
        tree=trees.small_workspace,
        scarb=True,
    ),
    *(
        Planted(
            gate=TESTS,
            protects=protects,
            failure=failure,
            plant=append(f"tests/unit/test_planted_{name}.py", code),
            says=rf"(FAILED|ERROR) tests/unit/test_planted_{name}\.py{says}",
            tree=trees.suite_of_one,
            passes=THIS_RUN,
        )
        for name, protects, failure, code, says in (
            (
                "failure",
                "Every test passes",
                "a test that asserts what is not so",
                "def test_planted() -> None:\n    assert 1 == 2\n",
                "::test_planted.*assert 1 == 2",
            ),
            (
                "warning",
                "Nothing warns: what will break is mended before it does",
                "a test that passes and warns",
                "import warnings\n\ndef test_planted() -> None:\n    warnings.warn('planted')\n",
                "::test_planted.*UserWarning: planted",
            ),
            (
                "leak",
                "What is opened is closed",
                "a test that passes and leaves a file open",
                "def test_planted() -> None:\n    open(__file__)\n",
                "::test_planted.*(?i:unraisable|ResourceWarning)",
            ),
            (
                "excuse",
                "What is expected to fail does fail",
                "a test that is marked as failing and passes",
                "import pytest\n\n@pytest.mark.xfail\ndef test_planted() -> None:\n    pass\n",
                r"::test_planted.*XPASS\(strict\)",
            ),
        )
    ),
    Planted(
        gate=TESTS,
        protects="As much is generated as was asked for",
        failure="a profile's name is mistyped",
        plant=nothing,
        says="HYPOTHESIS_PROFILE is 'quik', which is none of quick, ci, deep",
        tree=trees.without_tests,
        environment="HYPOTHESIS_PROFILE=quik",
        passes=THIS_RUN,
    ),
    Planted(
        gate="python -m scripts demo",
        protects="Every step of the demo holds",
        failure="the story expects another error than a stranger gets who registers somebody",
        plant=change("scripts/demo/story.py", '"ENTITY/NOT_ADMIN"', '"ENTITY/PLANTED"'),
        says="nobody else can register anybody.*ENTITY/PLANTED",
        tree=PROGRAM,
        passes="tests/flows/test_demo.py::test_the_whole_story_holds",
    ),
    Planted(
        gate=TIDY,
        protects="A run of the tests leaves no process",
        failure="a process of a session of its own, whose parent has ended",
        plant=append("Makefile", "\t@setsid sleep 600 >/dev/null 2>&1 &\n"),
        says=r"process \d+ still runs: sleep 600",
        tree=trees.repository,
    ),
    Planted(
        gate=TIDY,
        protects="A run of the tests leaves every file as it was",
        failure="a line more in a file, and a new file",
        plant=append("Makefile", "\t@echo >>.gitignore; touch planted\n"),
        says=r"(?s)\.gitignore is changed.*planted is new",
        tree=trees.repository,
    ),
    Planted(
        gate="tests/unit/test_docs.py::test_nothing_is_wrong_with[docs/threat-model.md]",
        protects="Each defence in the threat model names a test that exists",
        failure="a threat whose test does not exist",
        plant=append("docs/threat-model.md", "\nHeld by `test_docs.py::test_planted`.\n"),
        says=r"there is no test test_docs\.py::test_planted",
    ),
    Planted(
        gate="tests/unit/test_docs.py::test_no_file_names_a_path_of_a_machine",
        protects="Nothing depends on the machine it was written on",
        failure="a script that names a folder of somebody's",
        plant=append("scripts/planted.py", f"PLACE = '/{'home'}/planted'\n"),
        says="is a path of one machine",
    ),
    Planted(
        gate="tests/flows/test_readme.py::test_the_readme_works_from_its_first_line_to_its_last",
        protects="The README's commands work as they stand there",
        failure="a command with an option that does not exist",
        plant=change("README.md", "$ medsync deploy\n", "$ medsync deploy --planted\n"),
        says="No such option.*--planted",
    ),
    Planted(
        gate="tests/unit/deployment/test_toolchain.py::test_lock_follows_pyproject",
        protects="What the project declares is locked",
        failure="a dependency that is in no lock",
        plant=change("pyproject.toml", '    "aiohttp",\n', '    "aiohttp",\n    "planted",\n'),
        says="assert 'planted' in",
    ),
    Planted(
        gate="tests/unit/deployment/test_toolchain.py::test_lock_holds_hashes_and_names_no_registry[requirements-bootstrap.lock]",
        protects="Nothing is installed unchecked",
        failure="a requirement without a hash",
        plant=append("requirements-bootstrap.lock", "planted==1\n"),
        says="planted==1",
    ),
    Planted(
        gate="tests/guards/test_repository.py::test_no_file_holds_a_secret",
        protects="No secret is in the repository",
        failure="a private key in a note",
        plant=append("docs/planted.txt", f"-----BEGIN {'PRIVATE'} KEY-----\n"),
        says=r"docs/planted\.txt holds a private key",
    ),
    Planted(
        gate="tests/guards/test_repository.py::test_every_test_is_run",
        protects="No test is left out: neither its file, nor itself, nor by an option",
        failure="a test in a file that pytest does not look into, and one that the configuration leaves out",
        plant=left_out,
        says=r"(?s)unit/planted\.py::test_planted is never run.*unit/test_nothing\.py::.* is never run",
        tree=trees.suite_that_counts,
    ),
    Planted(
        gate="tests/guards/test_repository.py::test_tests_are_skipped_for_known_reasons_only",
        protects="No test is skipped but for a reason that is written down",
        failure="a test that skips itself",
        plant=append(
            "tests/unit/test_planted.py",
            "import pytest\n\n\ndef test_planted() -> None:\n    pytest.skip()\n",
        ),
        says=r"tests/unit/test_planted\.py",
    ),
    Planted(
        gate="tests/guards/test_pipeline.py::test_ci_stops_at_the_first_failure[ruff check --quiet .]",
        protects="CI fails where a gate does",
        failure="the Makefile ignores that a command failed",
        plant=change("Makefile", "\t@$(BIN)/ruff check --quiet .\n", "\t-@$(BIN)/ruff check --quiet .\n"),
        says="goes on after `ruff check --quiet .` failed",
    ),
    Planted(
        gate="tests/guards/test_pipeline.py::test_ci_runs_every_gate_of_the_table_and_no_other",
        protects="CI runs every gate, and each gate has a planted failure",
        failure="CI no longer checks types, and checks something new",
        plant=change(".ci/run", "typecheck", "devnet && .venv/bin/planted"),
        says="(?s)planted: CI runs it, and it has no row.*mypy: it has a row, and CI does not run it",
    ),
    Planted(
        gate="tests/guards/test_planted.py::test_the_page_is_the_table",
        protects="This page is the table that the tests walk",
        failure="a row of it is another",
        plant=change(PAGE, "| `mypy` ", "| `planted` "),
        says=r"python -m scripts guards",
    ),
)

PROVEN: Final = (
    Proven(
        gate="python -m scripts tools devnet",
        protects="Tests run on the pinned devnet",
        failure="none is there, or one of another version",
        tests=(
            "tests/unit/deployment/test_toolchain.py::test_wrong_version_is_named_with_the_wanted_one",
            "tests/unit/deployment/test_toolchain.py::test_machine_without_cargo_is_told_the_three_ways",
            "tests/unit/deployment/test_toolchain.py::test_build_of_another_version_is_refused",
        ),
    ),
    Proven(
        gate=BUILD,
        protects="The committed artifacts are what the sources compile to, byte for byte",
        failure="every kind of drift, and with Scarb a contract compiled again",
        tests=(
            "tests/unit/scripts/test_build.py::test_drift_is_listed",
            "tests/unit/scripts/test_build.py::test_disagreeing_hashes_are_reported",
            "tests/unit/scripts/test_build.py::test_class_over_a_network_limit_is_refused",
            "tests/unit/scripts/test_build.py::test_build_and_rebuild",
        ),
    ),
    Proven(
        gate="python -m scripts bench --check",
        protects="Everything costs what is published, no less and no more",
        failure="each number of a row one higher and one lower, a price, a row, the page, the chart",
        tests=(
            "tests/costs/test_costs.py::test_one_wrong_number_is_found",
            "tests/costs/test_costs.py::test_a_wrong_price_a_missing_row_and_an_unknown_one_are_found",
            "tests/costs/test_costs.py::test_check_fails_with_what_differs",
        ),
    ),
    Proven(
        gate="tests/costs/test_costs.py::test_nothing_costs_less_than_its_floor_and_much_more_only_for_a_reason",
        protects="What is asked for often stays below its bar, everything else near its floor",
        failure="each bar's row and two others, twice as dear",
        tests=(
            "tests/costs/test_costs.py::test_what_costs_more_than_is_allowed_is_found",
            "tests/costs/test_costs.py::test_every_reason_is_needed",
        ),
    ),
    Proven(
        gate="tests/costs/test_costs.py::test_published_costs_are_measured_again",
        protects="The same, in every run of the tests",
        failure="likewise",
        tests=("tests/costs/test_costs.py::test_one_wrong_number_is_found",),
    ),
    Proven(
        gate="tests/contracts/test_coverage.py::test_no_cell_is_empty_without_a_reason",
        protects="Tests hold every function, role, error code and event",
        failure="a hole of each kind in the table, a code that no test names",
        tests=(
            "tests/contracts/test_coverage.py::test_a_planted_hole_is_found",
            "tests/contracts/test_coverage.py::test_a_planted_code_is_found",
            "tests/contracts/test_coverage.py::test_a_code_in_a_docstring_or_a_comment_is_not_asserted",
        ),
    ),
    Proven(
        gate="tests/properties/test_equivalence.py::test_the_contracts_decide_as_the_model_does",
        protects="The contracts decide as the model does",
        failure="each condition of the model's rules changed, one at a time",
        tests=(
            "tests/properties/test_equivalence.py::test_any_condition_changed_in_the_model_would_be_noticed",
        ),
    ),
    Proven(
        gate="tests/stateful/test_machine.py::test_contracts_do_what_the_model_does",
        protects="The invariants hold after every step of every history",
        failure="for each invariant, books or events that break it",
        tests=(
            "tests/stateful/test_invariants.py::test_books_that_must_not_be",
            "tests/stateful/test_invariants.py::test_events_that_must_not_be",
            "tests/stateful/test_invariants.py::test_no_invariant_is_left_out",
        ),
    ),
    Proven(
        gate="tests/private/interleavings/test_interleavings.py::test_whatever_happens_to_a_hospital",
        protects="Wherever a private node or its bridge dies, nothing acknowledged is lost, what was erased"
        " is gone, and what was anchored stays",
        failure="a node that forgets, or stores by halves; erasures that leave a key, a ciphertext, a backup"
        " or bytes; a bridge that forgets its log; a ticket that stays good",
        tests=(
            "tests/private/interleavings/test_interleavings.py::test_it_would_be_noticed",
            "tests/private/interleavings/test_interleavings.py::test_examples_would_find_it",
            "tests/private/interleavings/test_chain.py::test_the_stand_in_is_like_the_contract",
        ),
    ),
    Proven(
        gate=GENERATED,
        protects="What can be generated is: every rule, outcome, reason and error code is reached",
        failure="a row of each table that is never reached, and an excuse for one that is",
        tests=(
            "tests/stateful/test_machine.py::test_what_is_never_reached_fails_the_run",
            "tests/stateful/test_machine.py::test_a_stale_excuse_fails_the_run",
            "tests/stateful/test_machine.py::test_every_rule_is_in_the_books",
        ),
    ),
    Proven(
        gate="tests/faults/test_faults.py::test_a_reading_is_right_or_refused",
        protects="Whatever happens on the wire, an answer is right or refused, and nothing is done twice",
        failure="a client that sends again unseeing, one that does not prove the log, one that does not tell",
        tests=(
            "tests/faults/test_faults.py::test_a_client_that_does_not_look_is_found_out",
            "tests/faults/test_faults.py::test_a_client_that_does_not_prove_is_found_out",
            "tests/faults/test_commands.py::test_a_command_that_does_not_tell_is_found_out",
        ),
    ),
    Proven(
        gate="tests/fuzz/test_arguments.py::test_malformed_arguments",
        protects="Malformed input gets a clear error, never a traceback, never a secret",
        failure="a command that traces, shows or logs a secret, prints control characters, or is never tried",
        tests=(
            "tests/fuzz/test_notices.py::test_a_command_that_goes_wrong",
            "tests/fuzz/test_notices.py::test_a_traceback",
            "tests/fuzz/test_notices.py::test_raw_control_characters",
            "tests/fuzz/test_notices.py::test_a_url_with_its_key",
            "tests/fuzz/test_notices.py::test_a_secret_in_the_log",
            "tests/fuzz/test_notices.py::test_a_line_of_the_log_that_is_no_json",
            "tests/fuzz/test_notices.py::test_a_target_that_was_never_tried",
            "tests/fuzz/test_exports.py::test_it_would_be_noticed_if_nothing_were",
        ),
    ),
    Proven(
        gate="python -m scripts private-build --verify",
        protects="The private node's committed application is what its manifest says of sources and signer",
        failure="a source, the WebAssembly, the bundle, its signer or the manifest changed",
        tests=(
            "tests/unit/scripts/test_build_application.py::test_a_change_is_seen",
            "tests/unit/scripts/test_build_application.py::test_a_tampered_bundle_is_seen",
        ),
    ),
    Proven(
        gate="python -m scripts private-build --check",
        protects="The private node's committed application is what its sources compile to, byte for byte",
        failure="a compiler that writes other bytes",
        tests=("tests/unit/scripts/test_build_application.py::test_a_build_of_other_bytes_is_seen",),
    ),
    Proven(
        gate="python -m scripts mutate --check",
        protects="The tests notice 95 % of all mutants of this code, and no survivor is unexplained",
        failure="a low score, a false one, other code, a survivor that is hidden or has no reason",
        tests=(
            "tests/unit/scripts/mutation/test_report.py::test_a_planted_fault_is_found",
            "tests/unit/scripts/mutation/test_report.py::test_reasons_and_survivors_belong_together",
            "tests/unit/scripts/mutation/test_report.py::test_the_gate_on_files",
            "tests/unit/scripts/mutation/test_verdicts.py::test_the_exit_code_is_the_verdict",
        ),
    ),
    Proven(
        gate="python -m scripts mutate --changed --sample 20",
        protects="The tests detect mutants of changed functions, tested again on this machine",
        failure="a survivor without a reason, a test that kills once only, tests that cannot be run",
        tests=(
            "tests/unit/scripts/mutation/test_report.py::test_a_survivor_of_a_partial_run_needs_a_reason",
            "tests/unit/scripts/mutation/test_verdicts.py::test_a_test_kills_only_by_failing_twice",
            "tests/unit/scripts/mutation/test_verdicts.py::test_tests_that_cannot_be_run_stop_everything",
        ),
    ),
    Proven(
        gate="python -m scripts audit --workers 2",
        protects="The auditor's report is whole: nothing in it failed, is missing or is stale",
        failure="each kind of fault in each part, and a missing part",
        tests=(
            "tests/unit/scripts/test_audit.py::test_what_is_wrong_is_said",
            "tests/unit/scripts/test_audit.py::test_a_mutation_report_is_judged",
            "tests/unit/scripts/test_audit.py::test_a_failure_ends_with_an_error_and_a_report",
        ),
    ),
    Proven(
        gate="medsync access verify",
        protects="Each of the three histories is whole: nothing is missing, altered, in another order, or"
        " invented",
        failure="each of these to entries of every kind, each field of an entry, another kind, patient,"
        " network or contract, forged digests",
        tests=(
            "tests/unit/log/test_completeness.py::test_every_kind_of_entry_is_in_the_sample",
            "tests/unit/log/test_completeness.py::test_missing_entry",
            "tests/unit/log/test_completeness.py::test_altered_field",
            "tests/unit/log/test_completeness.py::test_an_entry_that_passes_for_one_of_another_kind_is_altered",
            "tests/unit/log/test_completeness.py::test_reordered_entries",
            "tests/unit/log/test_completeness.py::test_renumbered_entries",
            "tests/unit/log/test_completeness.py::test_invented_entries",
            "tests/unit/log/test_completeness.py::test_an_entry_of_another_patient_is_invented",
            "tests/unit/log/test_completeness.py::test_wrong_chain_or_contract",
            "tests/unit/log/test_fetch.py::test_an_entry_that_a_node_alters_is_found",
            "tests/unit/log/test_fetch.py::test_a_false_head_is_found",
            "tests/unit/log/exports/test_json.py::test_four_ways_of_tampering",
        ),
    ),
    Proven(
        gate="tests/cli/test_commands.py::test_a_node_that_hides_a_decision_is_found_out",
        protects="Commands that read a history end with exit code 7 behind a node that hides an entry, and"
        " write nothing",
        failure="each entry of each history hidden, and a client that does not prove what it was given",
        tests=(
            "tests/unit/log/test_fetch.py::test_an_entry_that_a_node_hides_is_named",
            "tests/faults/test_faults.py::test_a_client_that_does_not_prove_is_found_out",
        ),
    ),
    Proven(
        gate="tests/unit/log/test_replay.py::test_the_samples_histories_explain_one_another",
        protects="Every access is explained by the consents and the registry of its second",
        failure="entries that no state of their second explains, missing and misplaced ones",
        tests=(
            "tests/unit/log/test_replay.py::test_an_access_that_no_state_of_its_second_explains_is_named",
            "tests/unit/log/test_replay.py::test_missing_and_misplaced_events_are_found",
            "tests/unit/log/test_replay.py::test_what_no_delegate_may_do_is_no_history",
        ),
    ),
    Proven(
        gate="tests/attacks/test_first_edition.py::test_every_hole_is_closed_under_its_name",
        protects="Every finding of the first edition's review is an attack that fails now",
        failure="the first edition's own classes, on which each attack succeeds",
        tests=(
            "tests/attacks/test_first_edition.py::test_a_panic_button_after_a_series_of_messages",
            "tests/attacks/test_first_edition.py::test_a_second_study_overwrites_the_first",
            "tests/attacks/test_first_edition.py::test_an_administrator_who_is_a_hospital",
            "tests/attacks/test_first_edition.py::test_a_withdrawal_outbid_by_a_renewal",
            "tests/attacks/test_first_edition.py::test_revoke_all_and_a_bad_delegate",
            "tests/attacks/test_first_edition.py::test_a_delegate_that_strips_the_pay",
            "tests/attacks/test_first_edition.py::test_a_pool_that_burns_the_whole_fee",
            "tests/attacks/test_first_edition.py::test_a_standing_notice",
            "tests/attacks/test_first_edition.py::test_campaigns_that_cannot_pay",
            "tests/attacks/test_first_edition.py::test_a_pool_with_a_past",
            "tests/attacks/test_first_edition.py::test_an_allowance_that_is_lowered_while_it_is_spent",
            "tests/attacks/test_first_edition.py::test_a_pool_that_is_its_own_custodian",
            "tests/attacks/test_first_edition.py::test_a_successor_that_waits_for_years",
            "tests/attacks/test_first_edition.py::test_a_consent_that_says_given_when_it_is_dead",
            "tests/attacks/test_first_edition.py::test_break_the_glass_as_an_ordinary_purpose",
            "tests/attacks/test_first_edition.py::test_a_notice_and_no_allowance",
            "tests/attacks/test_first_edition.py::test_one_statement_that_uses_an_anchors_sizes_up",
            "tests/attacks/test_first_edition.py::test_a_pool_that_had_too_many_deposits",
            "tests/attacks/test_first_edition.py::test_an_entity_whose_key_was_stolen",
        ),
    ),
    Proven(
        gate="medsync deployments check",
        protects="The record of a deployment is what is on the chain, and whole",
        failure="each of its fields false, and malformed",
        tests=(
            "tests/deploy/test_record.py::test_check_finds_planted_differences",
            "tests/deploy/test_record.py::test_half_a_record_is_refused",
        ),
    ),
    Proven(
        gate="medsync deploy",
        protects="The reward pool's token is an ERC-20 that the pool can hold",
        failure="no contract, MedSync's own, an account, each function missing, camelCase names only",
        tests=(
            "tests/unit/deployment/test_token.py::test_each_function_is_missed",
            "tests/unit/deployment/test_token.py::test_a_camel_case_token_is_refused_with_the_reason",
            "tests/deploy/test_record.py::test_what_is_no_token_is_refused_before_anything_is_sent",
        ),
    ),
    Proven(
        gate="medsync deploy --dry-run",
        protects="The balance that is said to be needed is the one the network demands",
        failure="one FRI less, for the account and for the contracts",
        tests=(
            "tests/deploy/test_balance.py::test_an_account_pays_for_itself_and_its_deployment_to_the_last_fri",
        ),
    ),
    Proven(
        gate="tests/flows/test_runbook.py::test_every_command_does_what_the_text_says",
        protects="The runbook can be followed from no account to one consent and one request",
        failure="a command that fails ends the test, and what the text says of fees is compared",
        tests=("tests/flows/test_runbook.py::test_every_command_does_what_the_text_says",),
    ),
    Proven(
        gate="python -m scripts reference --check",
        protects="Every kind of thing the specification says is the sources'",
        failure="each kind of drift, and sources without documentation",
        tests=(
            "tests/unit/scripts/test_spec.py::test_drift_is_noticed",
            "tests/unit/scripts/test_spec.py::test_undocumented_sources_are_refused",
        ),
    ),
    Proven(
        gate="tests/unit/test_docs.py::test_nothing_is_wrong_with",
        protects="Documents name what exists, claim no more than is so, and fit the pinned versions",
        failure="texts with each fault",
        tests=("tests/unit/test_docs.py::test_checks_find_what_is_wrong",),
    ),
    Proven(
        gate="python -m scripts demo",
        protects="The demo ends as described",
        failure="the hospital's share is another one than the story says",
        tests=("tests/flows/test_demo.py::test_a_false_statement_stops_it",),
    ),
    Proven(
        gate="medsync devnet up",
        protects="A devnet ends with the process that started it",
        failure="the starting process is killed, interrupted, or ends without a word",
        tests=(
            "tests/unit/deployment/test_devnet.py::test_ends_with_the_process_that_started_it",
            "tests/unit/deployment/test_devnet.py::test_ends_on_ctrl_c",
        ),
    ),
)


# --- the page ---

_HEAD: Final = """\
# Guards that can fail

Written by `python -m scripts guards` from [the table](../scripts/guards/table.py) that the tests walk; do not
edit it.

A green run says nothing if it could not be red. Here is every gate that a change must pass, what is so where
it passes, and a failure that was planted to see it fail.

- **Planted in a copy**: `test_planted.py` copies what the gate needs, sees it pass, damages the copy, and
  runs the very command again: it must fail and name the damage. Of tests it is enough that they fail, for
  unharmed they pass in the same run of the suite. What needs Scarb is left out where there is none.
- **Planted by tests of their own**: they are named, and it is checked that they are run.
- `test_pipeline.py` puts stand-ins in the place of all programs and runs `.ci/run` itself: it must run every
  command below that is CI's and no other, and stop at each of them when it fails. A new gate without a row
  fails there.

## Planted in a copy

| Gate | What is so where it passes | Planted failure |
| --- | --- | --- |
"""

_MIDDLE: Final = """
## Planted by tests of their own

| Gate | What is so where it passes | Planted failure | Tests |
| --- | --- | --- | --- |
"""


def page() -> str:
    """`docs/guards.md`."""
    planted = "".join(
        f"| {_short(f'{guard.environment} {guard.gate}'.strip())} | {guard.protects} | {guard.failure} |\n"
        for guard in PLANTED
    )
    proven = "".join(
        f"| {_short(guard.gate)} | {guard.protects} | {guard.failure} |"
        f" {', '.join(map(_short, guard.tests))} |\n"
        for guard in PROVEN
    )
    return _HEAD + planted + _MIDDLE + proven


def _short(gate: str) -> str:
    """A command as it is, a test without its first folders: `contracts/` would be taken for the sources."""
    return f"`{re.sub('^tests/(contracts/)?', '', gate)}`"

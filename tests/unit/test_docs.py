"""The documents say what is so: links lead somewhere, commands and tests exist, no word claims too much.

Each check is a function that lists what is wrong with a text, so that it can be tried on wrong ones too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from medsync.cli.app import app
from medsync.cli.options import hoist
from medsync.deployment import toolchain
from scripts import repository

ROOT = repository.root()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "tests/README.md"])
TEMPLATES = sorted((ROOT / ".github").rglob("*.md"))
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


# --- checks -------------------------------------------------------------------------------------------------


def prose(text: str) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)


def anchors(text: str) -> set[str]:
    """The anchors GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(text: str, folder: Path = ROOT) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (folder / name).resolve()
        if name and not (target.exists() and target.is_relative_to(ROOT)):
            yield f"{link} leads nowhere"
        elif anchor and anchor not in anchors(target.read_text() if name else text):
            yield f"there is no heading for {link}"


def missing_files(text: str) -> Iterator[str]:
    folders = "contracts|docs|medsync|scripts|tests|deployments"
    for name in re.findall(rf"(?<![\w./])((?:{folders})/[\w./-]*\w)", text):
        if not (ROOT / name).exists() and not re.search(
            r"/<|\bdeployments/(?:devnet|sepolia|mainnet)\.json", name
        ):
            yield f"{name} does not exist"


def commands(text: str, program: str) -> list[list[str]]:
    """The commands of one program that a document shows, in blocks or in running text, as words."""
    blocks = re.findall(r"^ *```(?:console|shell|sh|bash)\n(.*?)^ *```$", text, re.M | re.S)
    lines = [
        line.strip().removeprefix("$ ")
        for block in blocks
        for line in block.replace("\\\n", " ").splitlines()
    ]
    lines += re.findall(r"`([^`\n]+)`", prose(text))
    shown = [shlex.split(line, comments=True) for line in lines if re.match(rf"{program}(?: [^=]|$)", line)]
    return [words[1:] for words in shown]


def unknown_targets(text: str) -> Iterator[str]:
    for words in commands(text, "make"):
        for word in words:
            if "=" not in word and word != "..." and word not in MAKE_TARGETS:
                yield f"make has no target {word}"


def unknown_commands(text: str) -> Iterator[str]:
    for words in commands(text, "medsync"):
        shown = f"medsync {' '.join(words)}"
        command: Any = typer.main.get_command(app)
        options = {"--help": True} | _options(command)
        remaining = iter(hoist(words))
        for word in remaining:
            name, equals, _ = word.partition("=")
            if word.startswith("<"):
                break  # a placeholder: whatever comes after it is unknown
            if word.startswith("--"):
                if name not in options:
                    yield f"{shown}: there is no option {name}"
                elif not options[name] and not equals:
                    next(remaining, None)
            elif subcommands := getattr(command, "commands", None):
                if word not in subcommands:
                    yield f"{shown}: there is no command {word}"
                    break
                command = subcommands[word]
                options |= _options(command)


def _options(command: Any) -> dict[str, bool]:
    """A command's options, and whether each is a flag."""
    return {name: getattr(one, "is_flag", False) for one in command.params for name in one.opts}


def missing_tests(text: str) -> Iterator[str]:
    for file, test in re.findall(r"`([\w/]+\.(?:py|cairo))::(\w+)`", text):
        cairo = file.endswith(".cairo")
        paths = (ROOT / ("contracts/src" if cairo else "tests")).rglob(file)
        is_test = rf"#\[test\]\n(?:\s*#\[.*\]\n)*\s*fn {test}\(" if cairo else rf"^(?:async )?def {test}\("
        if sum(bool(re.search(is_test, path.read_text(), re.M)) for path in paths) != 1:
            yield f"there is no test {file}::{test}"


#: What the tables list whose every row must name tests.
_THREATS = r"^\| (?:Threat|Defect|Class of finding) \|"


def untested_threats(text: str) -> Iterator[str]:
    for table in re.findall(_THREATS + r".*\n\|[ -|]*\n((?:\|.*\n)+)", text, re.M):
        for row in table.splitlines():
            *said, tests = (cell.strip() for cell in row.split("|")[1:-1])
            if not all(said) or not re.fullmatch(r"`[^`]+::\w+`(?:, `[^`]+::\w+`)*", tests):
                yield f"{said[0]}: no test is named"


#: Words that claim too much in a sentence that does not deny them.
_CLAIMS = r"anonym|zero.knowledge|complian|complies|\bS-two\b|\baudited\b"
_DENIALS = r"\b(?:no|not|never|nobody|none|neither)\b"
_PRAISE = r"trustless|unhackable|military|revolution|seamless|cutting.edge|empower|state.of.the.art"


def claims(text: str) -> Iterator[str]:
    for sentence in re.split(r"(?<=[.;?!|])\s|\n\n|\n- ", prose(text)):
        if re.search(_CLAIMS, sentence, re.I) and not re.search(_DENIALS, sentence, re.I):
            yield f"claims too much: {sentence}"
        if re.search(_PRAISE, sentence, re.I):
            yield f"praises: {sentence}"
    if re.search(r"\bzk-STARK|\bSTARK (?:proof|validity)", text) and "proves nothing" not in text:
        yield "speaks of STARK proofs, and does not say that a devnet proves nothing"


def machine_paths(text: str) -> Iterator[str]:
    places = "|".join(("home", "root", "Users", "work", "mnt"))
    for found in re.finditer(rf"(?<![\w./-])/(?:{places})/\w+|\b[A-Z]:\\\w+", text):
        yield f"{found[0]} is a path of one machine"


#: What documents call the pinned tools, and the version each has.
_VERSIONS = {
    "starknet-devnet": toolchain.DEVNET_VERSION,
    "Scarb": toolchain.SCARB_VERSION,
    "Cairo": toolchain.SCARB_VERSION,
    "Starknet": toolchain.STARKNET_VERSION,
}


def stale_versions(text: str) -> Iterator[str]:
    for name, version in re.findall(rf"\b({'|'.join(_VERSIONS)}) (\d+\.\d+\.\d+)", text):
        if version != _VERSIONS[name]:
            yield f"{name} {version} is named, {_VERSIONS[name]} is used"


# --- the documents pass -------------------------------------------------------------------------------------

CHECKS: tuple[Callable[[str], Iterator[str]], ...] = (
    missing_files,
    unknown_targets,
    unknown_commands,
    missing_tests,
    untested_threats,
    claims,
    machine_paths,
    stale_versions,
)


@pytest.mark.parametrize(
    "document", DOCUMENTS + TEMPLATES, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_nothing_is_wrong_with(document: Path) -> None:
    text = document.read_text()
    assert [fault for check in CHECKS for fault in check(text)] == []
    assert list(broken_links(text, document.parent)) == []


def test_every_document_can_be_found_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for document in DOCUMENTS:
        name = document.relative_to(ROOT).as_posix()
        assert name == "README.md" or f"]({name})" in readme, f"nothing leads to {name}"


def test_the_threat_model_names_many_tests() -> None:
    """The table's form is what the checks read: were it lost, they would find nothing to check."""
    text = (ROOT / "docs/threat-model.md").read_text()
    assert len(set(re.findall(r"`[\w/]+\.(?:py|cairo)::\w+`", text))) > 80
    assert len(re.findall(_THREATS, text, re.M)) == 10


def test_no_file_names_a_path_of_a_machine() -> None:
    suffixes = {".md", ".py", ".cairo", ".toml", ".json", ".yml", ".svg", ".sh"}
    folders = ("contracts", "deployments", "docs", "medsync", "scripts", "tests")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in suffixes]
    paths += [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / "Makefile", ROOT / ".ci/run"]
    assert len(paths) > 100
    assert {path: faults for path in paths if (faults := list(machine_paths(path.read_text())))} == {}


# --- and wrong ones do not ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "text", "faults"),
    [
        (broken_links, "[a](docs/spec.md#events) [b](README.md) [c](https://example.org)", 0),
        (broken_links, "# Here\n[a](#here) [b](#there)", 1),
        (broken_links, "[a](docs/spec.md#no-such) [b](docs/none.md) [c](../elsewhere)", 3),
        (missing_files, "`contracts/src/medsync.cairo`, scripts/build.py", 0),
        (missing_files, "`contracts/src/gone.cairo`, scripts/gone.py.", 2),
        (unknown_targets, "`make demo`, `make PYTHON=python3.12 ...`, make believe", 0),
        (unknown_targets, "`make coffee`\n```console\n$ make demo  # fine\n$ make tea  # not\n```", 2),
        (unknown_commands, "`medsync`, `medsync access log 0x1 --json`, `medsync entity --help`", 0),
        (unknown_commands, "`medsync --network sepolia deploy --dry-run`, `medsync = { path = 1 }`", 0),
        (unknown_commands, "`medsync acess log`, `medsync access lug`, `medsync deploy --dry`", 3),
        (unknown_commands, "```console\n$ medsync consent add 0x1 \\\n    --forever\n```", 1),
        (missing_tests, "`test_docs.py::test_nothing_is_wrong_with`, `tests.cairo::times_and_bits`", 0),
        (missing_tests, "`test_docs.py::test_none`, `test_none.py::test_it`, `packing/tests.cairo::join`", 3),
        (untested_threats, "| Threat | D | T |\n| --- | --- | --- |\n| a | b | `x.py::y`, `x.py::z` |\n", 0),
        (untested_threats, "| Defect | T |\n| --- | --- |\n| a |  |\n| b | `x.py::y` |\n| c | none |\n", 2),
        (claims, "None is anonymous; it is not zero-knowledge. STARK proofs? A devnet proves nothing.", 0),
        (claims, "It is anonymous. It is zero-knowledge.\n\nGDPR compliant! With zk-STARKs.", 4),
        (claims, "Seamless and empowering.", 1),
        (machine_paths, "tests/work/x, https://example.org/home/x, /etc/hosts", 0),
        (machine_paths, "/".join(("in ", "home", "someone", "x")), 1),
        (stale_versions, f"Scarb {toolchain.SCARB_VERSION}, starknet-devnet 0.10", 0),
        (stale_versions, "Cairo 2.12.0, Starknet 0.13.0, starknet-devnet 0.4.3", 3),
    ],
)  # fmt: skip
def test_checks_find_what_is_wrong(check: Callable[[str], Iterator[str]], text: str, faults: int) -> None:
    assert len(list(check(text))) == faults

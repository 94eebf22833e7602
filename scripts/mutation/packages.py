"""The Cairo packages that are mutated: their files, and which of them each contract needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from scripts import build

FOLDERS = {"medsync": "contracts/src", "medsync_interfaces": "contracts/interfaces/src"}
"""The source folder of each package."""
CONTRACTS = ("MedSync", "RewardPool", "PrivateAnchor")
TESTS = "tests.cairo"
"""The name of the files with unit tests, which are not mutated."""

_REFERENCE = re.compile(rf"\b(crate|{'|'.join(FOLDERS)})::(\w+)")


def manifests(root: Path) -> dict[str, str]:
    """The packages' manifests, outside the workspace: profiles, which only a root can have, stand in that of
    the contracts."""
    found = {
        f"{folder}/Scarb.toml": (root / folder / "Scarb.toml").read_text() for folder in build.PRODUCT.sources
    }
    _, profiles, text = (root / "Scarb.toml").read_text().partition("\n[profile.")
    found[f"{build.PRODUCT.sources[0]}/Scarb.toml"] += profiles + text
    return found


def texts(root: Path) -> dict[str, str]:
    """The text of every file that is mutated, by its path in the repository."""
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for folder in FOLDERS.values()
        for path in sorted((root / folder).rglob("*.cairo"))
        if path.name != TESTS
    }


def needs(sources: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """The files that each contract needs: its own, and those of all modules that these refer to."""
    return {contract: frozenset(_closure(sources, contract)) for contract in CONTRACTS}


def contracts_of(needed: Mapping[str, frozenset[str]], file: str) -> tuple[str, ...]:
    """The contracts that a change of a file can affect."""
    return tuple(contract for contract in CONTRACTS if file in needed[contract])


def trimmed(file: str, text: str, needed: frozenset[str]) -> str:
    """A source without code that takes time to compile but does not affect the contract.

    `needed` are the files that the contract needs.
    """
    if PurePosixPath(file).name == "lib.cairo":
        modules = {_module(other) for other in needed if _folder(other) == _folder(file)}
        return re.sub(r"^pub mod (\w+);\n", lambda found: found[0] * (found[1] in modules), text, flags=re.M)
    return re.sub(r"^#\[cfg\(test\)\]\nmod tests;\n", "", text, flags=re.M).replace(", Debug)]", ")]")


def _closure(sources: Mapping[str, str], contract: str) -> Iterator[str]:
    definition = re.compile(rf"#\[starknet::contract\]\npub mod {contract} ")
    (own,) = (file for file, text in sources.items() if definition.search(text))
    found, todo = set(), [(_folder(own), _module(own))]
    while todo:
        folder, module = todo.pop()
        if (folder, module) in found:
            continue
        found.add((folder, module))
        for file, text in sources.items():
            if (_folder(file), _module(file)) == (folder, module):
                yield file
                todo += [(FOLDERS.get(package, folder), name) for package, name in _REFERENCE.findall(text)]


def _folder(file: str) -> str:
    """The source folder that a file lies in."""
    (folder,) = (folder for folder in FOLDERS.values() if file.startswith(f"{folder}/"))
    return folder


def _module(file: str) -> str:
    """The module of its package that a file belongs to."""
    return file.removeprefix(f"{_folder(file)}/").partition("/")[0].removesuffix(".cairo")

"""What the package offers at its top is there, typed, and costs nothing until it is used."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import medsync
from scripts import repository

ROOT = repository.root()


def test_every_public_name_is_the_one_its_module_defines() -> None:
    assert {"MedSyncClient", "Opening", "PrivateAnchorClient", "read_deployment", "replay"} <= set(
        medsync.__all__
    )
    for name in medsync.__all__:
        value = getattr(medsync, name)
        assert value.__name__ == name
        assert value.__module__.startswith("medsync.")
        assert value is getattr(sys.modules[value.__module__], name)


def test_public_names_are_listed_for_completion_and_for_star_imports() -> None:
    namespace: dict[str, object] = {}
    exec("from medsync import *", namespace)
    assert namespace.keys() >= set(medsync.__all__)
    assert set(dir(medsync)) >= {*medsync.__all__, "__version__"}


def test_no_other_name_is_public() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = medsync.nothing


@pytest.mark.parametrize("document", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_documents_use_public_names_only(document: Path) -> None:
    """What an example imports from further down is no part of the interface."""
    assert re.findall(r"^\s*(?:from|import) medsync\.\S+", document.read_text(), re.M) == []


def test_importing_the_package_loads_no_library() -> None:
    script = (
        "import sys, medsync; print('starknet_py' in sys.modules, 'medsync.protocol.types' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]

"""What the package offers at its top is there, typed, and costs nothing until it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import medsync


def test_every_public_name_is_there_and_typed() -> None:
    tree = ast.parse(Path(medsync.__file__).read_text())
    imported = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("medsync.")
        for alias in node.names
    }
    assert sorted(imported) == medsync.__all__
    for name, module in imported.items():
        assert getattr(medsync, name) is getattr(sys.modules[module], name)


def test_no_other_name_is() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = medsync.nothing


def test_importing_the_package_loads_no_library() -> None:
    script = (
        "import sys, medsync; print('starknet_py' in sys.modules, 'medsync.protocol.types' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]

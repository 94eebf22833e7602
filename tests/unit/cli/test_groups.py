"""Commands are imported when they are used; until then the list of them says the same as they do."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from medsync import cli
from medsync.cli.app import app
from medsync.cli.groups import COMMANDS

#: The imports of MedSync's own modules inside of functions, by file, and why each is not at the top.
LOCAL_IMPORTS = {
    # Ctrl-C is handled before the rest is imported.
    ("__init__.py", "medsync.cli.app"),
    # Errors that quote no URL are shown without importing what connects to nodes.
    ("output.py", "medsync.starknet.transport"),
    # Only one of four formats needs fhir.resources, which takes longer to import than all the rest.
    ("commands/access.py", "medsync.log.exports"),
}

#: What is imported for type checkers only, because at run time it would be a cycle or take long.
TYPE_CHECKING_IMPORTS: set[tuple[str, str]] = set()

FOLDER = Path(cli.__file__).parent


def is_ours(node: ast.AST) -> bool:
    """Whether a statement imports of MedSync."""
    return isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "medsync"


def imports(source: str) -> tuple[set[str], set[str], int]:
    """What a file imports inside of functions, what for type checkers only, and how often the former."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    local = {node for function in functions for node in ast.walk(function) if is_ours(node)}
    checking = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
        if is_ours(node)
    }
    return {node.module for node in local}, {node.module for node in checking}, len(local)  # type: ignore[attr-defined]


def test_nearly_all_imports_are_at_the_top() -> None:
    local, checking, count = set(), set(), 0
    for path in sorted(FOLDER.rglob("*.py")):
        name = path.relative_to(FOLDER).as_posix()
        inside, typed, found = imports(path.read_text())
        local |= {(name, module) for module in inside}
        checking |= {(name, module) for module in typed}
        count += found
    assert local == LOCAL_IMPORTS
    assert checking == TYPE_CHECKING_IMPORTS
    assert count <= 5


def test_an_import_in_a_function_is_found() -> None:
    source = "def f():\n    if True:\n        from medsync.errors import InputError\n"
    assert imports(source) == ({"medsync.errors"}, set(), 1)
    source = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from medsync.errors import InputError\n"
    )
    assert imports(source) == (set(), {"medsync.errors"}, 0)


def test_the_list_says_what_each_command_says_itself() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    real = {name: (command.help or "").partition("\n\n")[0] for name, command in group.commands.items()}
    assert {name: " ".join(text.split()) for name, text in real.items()} == COMMANDS
    modules = {path.stem for path in (FOLDER / "commands").glob("*.py")} - {"__init__"}
    assert modules == COMMANDS.keys()


@pytest.mark.parametrize(
    ("line", "absent"),
    [
        ("--help", "starknet_py aiohttp pydantic asyncio medsync.cli.context"),
        ("frobnicate", "starknet_py aiohttp asyncio medsync.cli.context rich"),
        ("--version", "starknet_py aiohttp pydantic asyncio medsync.cli.context rich"),
        ("consent list --help", "sympy lark eth_keyfile fhir sqlalchemy wasmtime jsonschema"),
        ("entity list", "sympy lark eth_keyfile fhir sqlalchemy wasmtime jsonschema"),
        ("access log 0x5", "sympy lark eth_keyfile fhir sqlalchemy wasmtime jsonschema"),
    ],
)
def test_a_command_loads_only_what_it_needs(line: str, absent: str) -> None:
    script = (
        "import sys; from medsync.cli.app import run; run(sys.argv[2:]); "
        "print([name for name in sys.argv[1].split() if name in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, absent, *line.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"

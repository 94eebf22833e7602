"""What holds for the repository as a whole: no secret is in it, and no test is left out or skipped unseen."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from scripts.guards.table import PLANTED, PROVEN
from scripts.guards.trees import ROOT, files

# --- secrets ------------------------------------------------------------------------------------------------

SECRETS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a private key of an account": r"(?i)private_?key\W{1,6}(?:0x)?[0-9a-f]{40,}",
    "a keystore": r'"(?:ciphertext|kdfparams)"\s*:',
    "a token": r"\b(?:gh[opsu]_\w{36}|github_pat_\w{40}|glpat-[\w-]{20}|AKIA\w{16}|sk-[\w-]{30}|hf_\w{30})",
    "a password": r"https?://[^\s/:@'\"{}]+:[^\s/:@'\"{}]+@",
}
NAMES = r"(?:^|/)(?:\.env|\.npmrc|\.netrc|id_\w+|keystore[^/]*\.json|[^/]*\.(?:key|pem|p12))$"

NO_SECRETS = {
    "tests/unit/starknet/test_accounts.py": "a keystore's published test vector",
}


def secrets(text: str) -> Iterator[str]:
    """What a text holds that must not be published."""
    return (what for what, pattern in SECRETS.items() if re.search(pattern, text))


def test_no_file_holds_a_secret() -> None:
    found = [f"{path} is by its name a secret" for path in files() if re.search(NAMES, path.as_posix())]
    for path in files():
        if path.as_posix() not in NO_SECRETS:
            text = (ROOT / path).read_text(errors="replace")
            found += [f"{path} holds {what}" for what in secrets(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a private key", f"-----BEGIN {'EC PRIVATE'} KEY-----"),
        ("a private key of an account", f'"private_{"key"}": "0x{"5" * 63}"'),
        ("a private key of an account", f"MEDSYNC_PRIVATE_{'KEY'}={'a' * 64}"),
        ("a keystore", '{"' + 'ciphertext": "00"}'),
        ("a token", "ghp_" + "a" * 36),
        ("a token", "AKIA" + "A" * 16),
        ("a password", "https://someone:" + "something@example.org"),
    ],
)
def test_a_secret_is_seen(what: str, text: str) -> None:
    assert list(secrets(text)) == [what]


def test_what_is_no_secret_is_left_alone() -> None:
    assert not list(secrets(f"private_key=private_key, address=0x{'5' * 63}, https://example.org:443/@a"))


# --- tests --------------------------------------------------------------------------------------------------

SKIPPED = {
    "tests/unit/scripts/test_build.py": "compiles a contract: without Scarb there is no compiler",
    "tests/guards/test_planted.py": "the same",
    "tests/deploy/conftest.py": "declares MedSync, which a devnet given from outside may know already",
    "tests/cli/conftest.py": "starts a devnet by command, where one is given from outside",
    "tests/private/conftest.py": "runs real private nodes, which take 28 minutes to build",
}
"""Files that may skip tests of theirs, and why."""


def python_files() -> dict[str, ast.Module]:
    """Every Python file of the tests, as its syntax."""
    paths = [path for path in files() if path.parts[0] == "tests" and path.suffix == ".py"]
    return {path.as_posix(): ast.parse((ROOT / path).read_text()) for path in paths}


@pytest.fixture(scope="module")
def collected(request: pytest.FixtureRequest) -> set[str]:
    """Every test that `make test` collects, without its parameters."""
    if request.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        names = [item.nodeid for item in request.session.items]
    else:  # Some were asked for by name.
        command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    return {name.partition("[")[0] for name in names}


def test_every_test_is_run(collected: set[str]) -> None:
    written = {
        f"{name}::{node.name}"
        for name, tree in python_files().items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }
    left_out = sorted(written - collected)
    assert written
    assert not left_out, "\n".join(f"{test} is never run" for test in left_out)


def test_every_proof_is_run(collected: set[str]) -> None:
    """What the table says proves that a gate can fail is there, and what it says passes unharmed."""
    gates = {guard.gate for guard in PROVEN if "::" in guard.gate}
    proofs = {test for guard in PROVEN for test in guard.tests} | {guard.passes for guard in PLANTED}
    gone = sorted((gates | proofs) - collected - {""})
    assert not gone, "\n".join(f"{test} is named in scripts/guards/table.py, and never run" for test in gone)


def test_tests_are_skipped_for_known_reasons_only() -> None:
    skipping = {
        name
        for name, tree in python_files().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and re.fullmatch(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)", ast.unparse(node))
    }
    assert skipping == set(SKIPPED)

"""The table is walked: each gate passes a copy that is unharmed, and fails a damaged one, naming the damage.

Failures that one gate must not pass are planted together: it must name each of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from medsync.deployment import toolchain
from scripts.guards import trees
from scripts.guards.table import PAGE, PLANTED, Planted, page
from scripts.guards.trees import ROOT

COMMANDS: dict[str, list[Planted]] = defaultdict(list)
TESTS = []
"""Those that need nothing but a copy of everything: they are run together."""
for _guard in PLANTED:
    if "::" in _guard.gate and _guard.tree is trees.whole:
        TESTS.append(_guard)
    else:
        COMMANDS[_guard.command].append(_guard)

NO_SCARB = pytest.mark.skipif(not toolchain.scarb().ok, reason=f"{toolchain.scarb()}")


@pytest.mark.parametrize(
    "command",
    [pytest.param(command, marks=[NO_SCARB] * guards[0].scarb) for command, guards in COMMANDS.items()],
)
def test_a_gate_names_what_is_planted(command: str, tmp_path: Path) -> None:
    guards = COMMANDS[command]
    first = guards[0]
    first.tree(tmp_path)
    if not first.passes and "::" not in first.gate:
        unharmed = trees.run(first.gate, tmp_path, scarb=first.scarb)
        assert unharmed.returncode == 0, unharmed.stdout
    for guard in guards:
        guard.plant(tmp_path)
    damaged = trees.run(command, tmp_path, scarb=first.scarb)
    assert damaged.returncode not in (0, 126, 127), damaged.stdout
    for guard in guards:
        assert re.search(guard.says, damaged.stdout), f"unsaid: {guard.failure}\n{damaged.stdout}"


def test_a_test_names_what_is_planted(tmp_path: Path) -> None:
    """Unharmed they pass in the very run that this test is part of."""
    trees.whole(tmp_path)
    for guard in TESTS:
        guard.plant(tmp_path)
    gates = " ".join(f"'{guard.gate}'" for guard in TESTS)
    failed = trees.run(f"pytest -n 0 {gates}", tmp_path)
    assert f" {len(TESTS)} failed in" in failed.stdout, failed.stdout
    for guard in TESTS:
        assert f"FAILED {guard.gate} " in failed.stdout, failed.stdout
        assert re.search(guard.says, failed.stdout), f"unsaid: {guard.failure}\n{failed.stdout}"


def test_the_page_is_the_table() -> None:
    assert (ROOT / PAGE).read_text() == page(), "write it with `python -m scripts guards`"

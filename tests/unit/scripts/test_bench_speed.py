"""Speeds are measured by the benchmark, never by tests; here is what the benchmark does with them."""

import pytest

from medsync.errors import VerificationError
from scripts.bench import speed
from scripts.bench.speed import LEAST, Speed, require_speed


def test_what_must_be_reached_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_ENTRIES", 3)
    monkeypatch.setattr(speed, "_PROOFS", 1)
    found = {one.name for one in [*speed.verification(), *speed.inclusion()]}
    assert found >= LEAST.keys()


@pytest.mark.parametrize("name", LEAST)
def test_too_slow_is_a_failure(name: str) -> None:
    require_speed([Speed(name, LEAST[name], "times"), Speed("another", 0.1, "times")])
    with pytest.raises(VerificationError, match=f"{name}: 11.9 times, where 12 is the least"):
        require_speed([Speed(name, 11.9, "times")])

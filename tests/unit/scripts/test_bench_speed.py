"""Speeds are measured by the benchmark, never by tests; here is what the benchmark does with them."""

import pytest

from scripts.bench import speed, startup
from scripts.bench.speed import LEAST, Speed
from scripts.bench.startup import BARS, Bar


def test_what_must_be_reached_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_ENTRIES", 3)
    monkeypatch.setattr(speed, "_PROOFS", 1)
    found = {one.name for one in [*speed.verification(), *speed.inclusion()]}
    assert found >= LEAST.keys()


@pytest.mark.parametrize("name", LEAST)
def test_too_slow_is_found(name: str) -> None:
    assert speed.missed([Speed(name, LEAST[name], "times"), Speed("another", 0.1, "times")]) == []
    assert speed.missed([Speed(name, 11.9, "times")]) == [f"{name}: 11.9 times, where 12 is the least"]


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.line)
def test_a_slow_start_is_found(bar: Bar) -> None:
    assert startup.missed([Speed(bar.name, bar.most, "times"), Speed("another", 9, "times")]) == []
    assert startup.missed([Speed(bar.name, 2, "times")]) == [f"{bar.name}: 2 times, {bar.most} is allowed"]


def test_replayed_consents_are_used_and_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measured entries fit together: `replay` would refuse them otherwise."""
    monkeypatch.setattr(speed, "_CONSENTS", 20)
    monkeypatch.setattr(speed, "_PATIENTS", 10)
    monkeypatch.setattr(speed, "_DECISIONS", 1)
    assert [one.name for one in speed.replaying()] == [
        "entries replayed",
        "decisions answered by a replayed state",
    ]

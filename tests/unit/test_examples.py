"""Examples in docstrings run, and every public class has one."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import medsync
from scripts import repository

PACKAGE = repository.root() / "medsync"
PUBLIC_CLASSES = [name for name in medsync.__all__ if inspect.isclass(getattr(medsync, name))]


def modules_with_examples() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def run_examples(module: ModuleType) -> tuple[int, str]:
    """The number of examples in a module's docstrings, and a report on those that fail."""
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.FAIL_FAST)
    report: list[str] = []
    count = 0
    for example in doctest.DocTestFinder().find(module, module.__name__):
        count += len(example.examples)
        runner.run(example, out=report.append)
    return count, "".join(report)


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_run(name: str) -> None:
    count, report = run_examples(import_module(name))
    assert count, "the module contains `>>>`, but no docstring of it has an example"
    assert not report, report


@pytest.mark.parametrize("name", PUBLIC_CLASSES)
def test_a_public_class_has_an_example(name: str) -> None:
    value = getattr(medsync, name)
    assert ">>> " in (value.__doc__ or ""), f"the docstring of medsync.{name} has no example"


def test_a_planted_wrong_example_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted_module.py").write_text('"""Planted.\n\n>>> 1 + 1\n3\n"""\n', encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    count, report = run_examples(import_module("planted_module"))
    assert count == 1
    assert "Expected:\n    3\nGot:\n    2\n" in report

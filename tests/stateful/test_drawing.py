"""Do examples follow from the seed alone?"""

import hypothesis.internal.conjecture.providers as providers
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.internal.constants_ast import Constants

from .drawing import INDEPENDENT, draw_from


def drawn(backend: str) -> list[tuple[int, str]]:
    """The examples that follow from one seed."""
    examples = []

    @settings(
        max_examples=300,
        backend=backend,
        database=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**40), st.text(max_size=20))
    def collect(number: int, text: str) -> None:
        examples.append((number, text))

    draw_from(7)
    collect()
    return examples


def test_the_same_seed_gives_the_same_examples() -> None:
    assert drawn(INDEPENDENT) == drawn(INDEPENDENT)
    assert len(set(drawn(INDEPENDENT))) > 290


@pytest.fixture
def other_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if modules were imported in which these constants stand."""
    monkeypatch.setattr(providers, "CONSTANTS_CACHE", {})
    constants = Constants()
    constants.add(123_456_789)
    constants.add("a constant of another module")
    monkeypatch.setattr(providers, "_get_local_constants", lambda: constants)


def test_what_else_is_imported_changes_no_example(request: pytest.FixtureRequest) -> None:
    before = drawn(INDEPENDENT)
    request.getfixturevalue("other_modules")
    assert drawn(INDEPENDENT) == before


@pytest.mark.usefixtures("other_modules")
def test_with_the_usual_backend_it_would() -> None:
    assert any(number == 123_456_789 for number, _ in drawn("hypothesis"))

"""Where examples come from: a seed that is printed and can be given, and examples that are no copies."""

import os
import random
from typing import Any

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

FIXED_SEED = 2026
INDEPENDENT = "independent"


class Independent(HypothesisProvider):
    """Draws every example afresh from one stream of random numbers.

    Hypothesis itself begins with the simplest examples and then mostly alters what it has already tried. That
    pays in thousands of examples; in tens of long ones, half of them would be copies. Shrinking is unchanged.
    """

    stream = random.Random()

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self._random = self.stream

    def _maybe_draw_constant(self, *_: Any, **__: Any) -> None:
        """Hypothesis now and then draws a constant from the sources of what happens to be imported: examples
        would then follow from the seed and from which other tests were collected."""


AVAILABLE_PROVIDERS[INDEPENDENT] = Independent


def seed_of_run(profile: str) -> int:
    """`STATEFUL_SEED` if it is set; else the same in every run, but another in each deep one."""
    default = random.SystemRandom().getrandbits(32) if profile == "deep" else FIXED_SEED
    return int(os.environ.get("STATEFUL_SEED", default))


def draw_from(seed: int | str) -> None:
    """Let the examples of the next run follow from this seed."""
    Independent.stream.seed(seed)

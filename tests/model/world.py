"""The whole system, composed of its parts."""

from .access import Access


class World(Access):
    """Everything the contracts hold, and every operation and decision they offer."""

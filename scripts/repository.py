"""The location of the repository."""

from pathlib import Path


def root() -> Path:
    """The checkout that these scripts are part of."""
    return Path(__file__).parent.parent

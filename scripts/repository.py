"""Where the repository is that these scripts work on."""

from pathlib import Path


def root() -> Path:
    """The checkout that these scripts are part of."""
    return Path(__file__).parent.parent

"""Unit tests of what maintainers run: `scripts`."""

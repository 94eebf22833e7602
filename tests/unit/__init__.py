"""Unit tests, in the package's own folders."""

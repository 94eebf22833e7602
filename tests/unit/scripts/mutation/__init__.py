"""Unit tests of `scripts.mutation`."""

"""Unit tests of `medsync.cli`."""

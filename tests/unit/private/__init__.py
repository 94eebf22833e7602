"""Unit tests of `medsync.private`."""

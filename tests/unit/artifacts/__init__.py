"""Unit tests of `medsync.artifacts`."""

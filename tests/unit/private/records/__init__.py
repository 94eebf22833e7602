"""Unit tests of `medsync.private.records`."""

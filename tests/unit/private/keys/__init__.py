"""Unit tests of `medsync.private.keys`."""

"""Unit tests of `medsync.private.node`."""

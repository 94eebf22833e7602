"""Unit tests of `medsync.protocol`."""

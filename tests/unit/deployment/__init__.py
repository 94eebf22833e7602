"""Unit tests of `medsync.deployment`."""

"""Unit tests of `medsync.private.bridge`."""

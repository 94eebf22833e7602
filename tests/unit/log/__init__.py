"""Unit tests of `medsync.log`."""

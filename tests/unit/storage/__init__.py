"""Unit tests of `medsync.storage`."""

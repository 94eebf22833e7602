"""Unit tests of `medsync.starknet`."""

"""Unit tests of `medsync.log.exports`."""

"""Tests that need real Calimero nodes; skipped where there is no program."""

"""Histories: events fetched from a node, proven complete, replayed, and exported."""

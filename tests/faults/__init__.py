"""A faulty connection between client and node: every request lost, repeated, delayed or cut off in turn."""

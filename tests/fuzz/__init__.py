"""Malformed input of every kind, against the whole command line in this process and a node that lies."""

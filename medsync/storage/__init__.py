"""Files, databases and locks: written whole, private where they must be, used by one at a time."""

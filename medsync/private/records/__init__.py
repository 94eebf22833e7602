"""Health records: sealed, kept on a node, released for tickets, and erased."""

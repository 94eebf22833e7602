"""Private nodes: one interface, an embedded node in this process, and a client of a real Calimero node."""

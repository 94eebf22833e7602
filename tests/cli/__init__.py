"""The command line as people run it: a process of its own, on a devnet with the contracts deployed."""

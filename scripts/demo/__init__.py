"""The demo: the whole story on a devnet of its own, every step checked."""

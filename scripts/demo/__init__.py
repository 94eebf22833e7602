"""The demo: a complete scenario on a devnet, with every step checked."""

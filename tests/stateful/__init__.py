"""Random sequences of operations on a devnet, each step compared with the model in `tests/model`."""

"""The protocol without a node: values, events, hashes, signed messages, commitments, Merkle trees.

Pure functions and frozen values. Nothing here reads a file or uses the network.
"""

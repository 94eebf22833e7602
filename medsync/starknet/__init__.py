"""Starknet: connections, accounts, signatures, transactions, and typed clients of the contracts."""

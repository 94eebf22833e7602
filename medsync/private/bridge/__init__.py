"""The bridge between a private node and Starknet: its journal, the anchored log, attestors and proofs."""

"""Mutation testing: the contracts and the log verifier are changed deliberately, and the tests must notice.

Every mutant (`operators` for Cairo, `python_operators` for Python, `defects` for handwritten ones) is
compiled separately, and the behavioural tests run against it, those that touch the changed function first
(`touch`), until one fails (`runner`, `worker`). Only exit codes count. `report` writes docs/mutation.json and
docs/mutation.md and checks that they match the code. `make mutate` is the entry point.
"""

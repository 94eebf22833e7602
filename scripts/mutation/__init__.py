"""Mutation testing: the contracts and the verifier of logs are changed on purpose, and the tests must notice.

Every change (`operators` for Cairo, `python_operators` for Python, `defects` by hand) is compiled on its own
and the behavioural tests are run against it, those that touch the changed function first (`touch`), until one
fails (`runner`, `worker`). Only a process's exit code counts. `report` writes docs/mutation.json and
docs/mutation.md and checks that they fit the code. `make mutate` is the entry point.
"""

"""What a maintainer runs: `python -m scripts VERB`. `make` has a target for most of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from medsync.errors import ExitCode, MedSyncError

VERBS = {
    "build": ("scripts.build", "compile the contracts and write their artifacts [--check]"),
    "reference": ("scripts.reference", "write the documents that follow from the sources [--check]"),
    "poseidon": ("scripts.poseidon", "write the WebAssembly of the Poseidon hash [--check]"),
    "guards": ("scripts.guards", "write docs/guards.md from the table of guards [--check]"),
    "bench": ("scripts.bench", "measure costs and speeds and write docs/costs.* [--check]"),
    "mutate": ("scripts.mutation.command", "change the code on purpose and see whether tests notice"),
    "audit": ("scripts.audit.command", "run every test and write the auditor's report"),
    "demo": ("scripts.demo.story", "tell the whole story on a devnet of its own [--json]"),
    "tools": ("scripts.tools", "find or build the pinned devnet; ask for the pinned Scarb"),
    "pythons": ("scripts.pythons", "run tests on every supported Python that is found"),
    "tidy": ("scripts.tidy", "run a command and see that it leaves nothing behind"),
    "private-build": ("scripts.calimero.build_application", "build the private node's application"),
    "calimero-node": ("scripts.calimero.build_node", "find or build a real Calimero node"),
}
"""By verb, the module that does it, whose `run` takes the arguments, and what it does."""


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say and return the code to exit with; an error is printed, not traced."""
    if not arguments or arguments[0] not in VERBS:
        asked = bool(arguments) and arguments[0] in ("-h", "--help", "help")
        print(_usage(), file=sys.stdout if asked else sys.stderr)
        return ExitCode.OK if asked else ExitCode.USAGE
    run: Callable[[Sequence[str]], None] = import_module(VERBS[arguments[0]][0]).run
    try:
        run(arguments[1:])
    except MedSyncError as error:
        print(f"{error}\n{error.hint}".rstrip(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def _usage() -> str:
    width = max(map(len, VERBS))
    rows = [f"  {verb:{width}}  {what}" for verb, (_, what) in VERBS.items()]
    return "\n".join(["usage: python -m scripts VERB [ARGUMENTS]", "", *rows])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

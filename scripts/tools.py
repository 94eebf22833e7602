"""The pinned tools, for the Makefile: `tools devnet` finds or builds it, `tools scarb` checks for it."""

import argparse
import os
from collections.abc import Sequence

from medsync.deployment import toolchain
from medsync.errors import ToolError
from medsync.starknet.network import DEVNET_URL_VARIABLE


def run(arguments: Sequence[str]) -> None:
    """Find a tool. Builds the devnet if it is missing, and raises ToolError if Scarb is."""
    parser = argparse.ArgumentParser(prog="python -m scripts tools", description=__doc__)
    parser.add_argument("tool", choices=("devnet", "scarb"))
    if parser.parse_args(arguments).tool == "scarb":
        if not (scarb := toolchain.scarb()).ok:
            raise ToolError(f"{scarb}: Cairo sources are not checked, the committed artifacts are used.")
    elif not os.environ.get(DEVNET_URL_VARIABLE):
        toolchain.install_devnet()

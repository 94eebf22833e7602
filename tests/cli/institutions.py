"""Three institutions and the command line that their people type on."""

from __future__ import annotations

import asyncio
from typing import Any

from medsync.deployment.record import read
from medsync.private.home import Home
from medsync.protocol.felt import encode_short_string
from tests.cli.conftest import Done, Here

NAMES = ("hospital", "clinic", "university")
PASSPHRASE = "typed by nobody"


class Private:
    """The command line with the passphrase in its environment."""

    def __init__(self, here: Here, deployment: str) -> None:
        self.here = here
        self.deployment = here.folder / deployment
        self.said: list[str] = []

    def run(self, line: str, passphrase: str = PASSPHRASE) -> Done:
        done = self.here.run(line, MEDSYNC_PASSPHRASE=passphrase, MEDSYNC_DEPLOYMENT=str(self.deployment))
        self.said += [done.out, done.err]
        return done

    def json(self, line: str) -> Any:
        return self.run(f"{line} --json").ok().json


def institutions(here: Here, deployment: str, salt: str, prefix: str = "") -> Private:
    """The three, whose key files open faster than those that the command line makes.

    They have a deployment of their own: other tests add anchors to the one that all share.
    """
    private = Private(here, deployment)
    private.json(f"deploy --salt {salt}")
    record = read(private.deployment)
    for name in NAMES:
        making = Home.create(
            here.folder / f"{prefix}{name}",
            PASSPHRASE,
            chain=encode_short_string(record.chain_id),
            contract=record.medsync,
            work=2**4,
        )
        asyncio.run(making)
    return private

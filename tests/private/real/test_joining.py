"""Two institutions with real nodes, from the command line: the clinic's joins the hospital's, and attests."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from medsync.deployment.devnet import Devnet
from medsync.errors import ExitCode
from medsync.private.node.calimero import CalimeroNode
from tests.cli.conftest import Done, Here
from tests.harness.records import observation
from tests.private.conftest import MakeNode

#: Seconds until nodes are connected, or something has reached the other.
PATIENCE = 90.0
#: Not the accounts that other tests on this devnet count the transactions of.
ACCOUNT, PATIENT = "devnet:9", "devnet:8"


class People(Here):
    """The command line on the tests' devnet."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.given = {
            "MEDSYNC_DEVNET_URL": url.removesuffix("/rpc"),
            "MEDSYNC_ACCOUNT": ACCOUNT,
            "MEDSYNC_PASSPHRASE": "a passphrase of tests",
        }

    async def do(self, line: str) -> Done:
        return await asyncio.to_thread(self.run, line, **self.given)

    async def told(self, line: str) -> Any:
        return (await self.do(f"{line} --json")).ok().json


async def test_a_node_joins_and_compares_what_it_attests(
    make_node: MakeNode, devnet: Devnet, tmp_path: Path
) -> None:
    one, other = make_node("hospital-node"), make_node("clinic-node")
    one.start([other.address])
    other.start([one.address])
    people = People(tmp_path, devnet.rpc_url)
    await people.told("deploy --salt 0x9d")
    for name, node in (("hospital", one), ("clinic", other)):
        await people.told(f"private init --home {name} --node {node.url} --capacity 1")
    await people.told("anchor nodes hospital clinic --output nodes.json --threshold 2")
    await people.told("deploy --salt 0x9d --anchor-nodes nodes.json")
    people.write("observation.json", observation())
    put = f"private put observation.json --home hospital --patient {PATIENT}"
    await people.told(put)
    deadline = time.monotonic() + PATIENCE
    async with CalimeroNode(one.url) as node:
        while await node.peers() == 0:
            assert time.monotonic() < deadline, "the nodes are not connected"
            await asyncio.sleep(0.1)

    # Nobody has joined: the clinic's node knows nothing of what it is to attest.
    step = "bridge run --once --home hospital --also clinic"
    assert (await people.do(step)).code == ExitCode.NOT_VERIFIED
    await people.told("private invite --home hospital --output invitation.json")
    joined = await people.told("private join invitation.json --home clinic")
    assert len(joined["contexts"]) == 1
    members = await people.told(f"private members --home hospital --expect {joined['member']}")
    assert [(one["role"], one["own"]) for one in members] == [("Admin", True), ("Member", False)]
    assert (await people.do("private members --home hospital --expect " + members[0]["member"])).code == (
        ExitCode.NOT_VERIFIED
    )
    await anchored(people, step, 1)

    # The context is full, another is begun; with the same invitation the clinic joins that as well.
    await people.told(put)
    again = await people.told("private join invitation.json --home clinic")
    assert (again["member"], len(again["contexts"])) == (joined["member"], 2)
    await anchored(people, step, 2)

    # The bridge's key is another in both contexts, on a real node as on any.
    rotated = await people.told("bridge rotate-key --home hospital")
    assert rotated["contexts"] == 2
    invitation = json.loads((tmp_path / "invitation.json").read_text())
    salt = bytes(invitation["document"]["invitation"]["invitation"]["secret_salt"])
    for running in (one, other):
        running.stop()
        assert salt.hex() not in running.log.read_text()


async def anchored(people: People, step: str, size: int) -> None:
    """Step until so many entries are anchored: the clinic's node has them a moment later."""
    deadline = time.monotonic() + PATIENCE
    while (done := await people.do(f"{step} --json")).code != ExitCode.OK:
        assert time.monotonic() < deadline, done
        await asyncio.sleep(1)
    assert done.json["anchored"] == size

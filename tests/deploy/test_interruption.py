"""A deployment that dies, wherever: it resumes, sends nothing twice, and its record is never half true."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medsync.deployment import deployer
from medsync.deployment import record as deployments
from medsync.deployment.deployer import Progress
from medsync.deployment.devnet import Devnet
from medsync.errors import InputError, NetworkError
from medsync.starknet.network import Connection
from medsync.starknet.transactions import Account
from medsync.starknet.transport import Transport
from medsync.storage import locks
from tests.deploy.support import STEPS, Death, deaths_at, deploy, files, read


@pytest.mark.parametrize(
    "stages",
    [("signed", "sent"), ("accepted", "recorded")],
    ids=["around sending", "around recording"],
)
async def test_dies_at_every_step_and_resumes(
    connection: Connection, account: Account, tmp_path: Path, stages: tuple[str, ...]
) -> None:
    path = tmp_path / "devnet.json"
    points = [(step, stage) for step in STEPS for stage in stages]
    progress = deaths_at(points)
    for number, (step, stage) in enumerate(points, 1):
        with pytest.raises(Death, match=f"{step}: {stage}"):
            await deploy(account, path, progress)
        record = read(path)
        assert not record.complete
        done = len(record.classes) + len(record.contracts) + len(record.pools)
        assert done == STEPS.index(step) + (stage == "recorded")
        assert (record.pending is not None) == (stage != "recorded")
        if number == len(points):
            # All that it says is so, and it does not say that it is finished.
            assert await deployer.check(connection.client, record) == ["the deployment is incomplete"]

    record = await deploy(account, path, progress)

    assert read(path) == record
    assert record.complete
    assert await deployer.check(connection.client, record) == []
    assert await account.get_nonce() == len(STEPS)
    # What was sent is known, also where the process died before it learnt what became of it.
    assert all(part.declared for part in record.classes.values())
    assert all(part.deployed for part in record.contracts.values())
    assert all(pool.created for pool in record.pools)
    assert files(tmp_path) == ["devnet.json"]


DEPLOY_UNTIL = """
import asyncio, os, sys
from pathlib import Path
from medsync.deployment import deployer
from medsync.starknet.accounts import predeployed_accounts
from medsync.starknet.network import connect

def progress(one):
    if f"{one.step}: {one.stage}" == sys.argv[3]:
        os._exit(9)

async def main():
    async with connect("devnet", sys.argv[1]) as connection:
        account = (await predeployed_accounts(connection))[0]
        await deployer.deploy(
            account, "devnet", Path(sys.argv[2]), admin=account.address, progress=progress
        )

asyncio.run(main())
"""


async def test_killed_process_is_resumed_by_another(
    untouched: Devnet, account: Account, tmp_path: Path
) -> None:
    path = tmp_path / "devnet.json"
    command = [sys.executable, "-c", DEPLOY_UNTIL, untouched.rpc_url, str(path), "declare MedSync: sent"]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 9  # noqa: ASYNC221
    killed = read(path)
    assert (killed.status, list(killed.classes), list(killed.contracts)) == ("incomplete", ["RewardPool"], [])
    assert killed.pending is not None
    assert killed.pending.step == "declare MedSync"

    finished = await deploy(account, path)

    assert finished.complete
    declared = finished.classes["MedSync"].declared
    assert declared is not None
    assert declared.transaction == killed.pending.transaction
    assert await account.get_nonce() == len(STEPS)


async def test_one_deployment_at_a_time(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "WAIT", 0)
    path = tmp_path / "devnet.json"
    with (
        deployments.exclusive(path),
        pytest.raises(InputError, match=r"folder of deployment records .* is in use by"),
    ):
        await deploy(account, path)
    assert files(tmp_path) == []


async def test_mishaps_around_the_record(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "devnet.json"
    with pytest.raises(Death):
        await deploy(account, path, deaths_at([("declare MedSync", "recorded")]))
    written = path.read_bytes()

    # The disk is full: the record stays as it was, and no part of another one is left behind.
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        await deploy(account, path)
    monkeypatch.undo()
    assert path.read_bytes() == written
    assert files(tmp_path) == ["devnet.json"]

    # The node goes away in the middle.
    def unplug(one: Progress) -> None:
        node.url = "http://127.0.0.1:1/rpc"
        node.urls = (node.url,)

    node = account.client._client
    assert isinstance(node, Transport)
    url = node.url
    with pytest.raises(NetworkError, match="the connection was refused"):
        await deploy(account, path, unplug)
    node.url, node.urls = url, (url,)
    assert path.read_bytes() == written

    # The artifacts are others by now.
    path.write_text(path.read_text().replace(f"{read(path).classes['MedSync'].class_hash:#x}", "0x123"))
    with pytest.raises(InputError, match="was begun with class 0x123 of MedSync"):
        await deploy(account, path)

"""Deployments while faults happen: they end complete, each transaction sent once, the record never half."""

import asyncio
import contextlib
from itertools import count
from pathlib import Path

import pytest

from medsync.deployment import deployer
from medsync.deployment.devnet import Devnet
from medsync.deployment.record import Record
from medsync.errors import MedSyncError, NetworkError
from medsync.log.fetch import fetch_log
from medsync.starknet.clients import MedSyncClient
from medsync.starknet.network import connect
from medsync.starknet.transactions import Account, UnknownOutcome
from tests.deploy.support import STEPS, deploy, files, read
from tests.faults.books import PLACES, RecordProperty, reaching
from tests.faults.proxy import FAULTS, INTERRUPTIONS, SECRET, SUBMISSIONS, Planned
from tests.faults.scene import Scene

#: The stale node is elsewhere: it takes a past, and a deployment is something new.
FAULTS_OF_ONE = [name for name in FAULTS if name != "stale"]

#: What one deployment sends where its classes are declared already.
SENT = 2

#: Salts of deployments that nobody made yet.
SALTS = count(0xFA017)


def deploys_once(
    scene: Scene, runner: asyncio.Runner, folder: Path, *planned: Planned, salt: int | None = None
) -> list[str]:
    """Deploy again and again until it succeeds, and see that everything was sent once.

    Returns what went wrong on the way.
    """
    salt = next(SALTS) if salt is None else salt
    path = folder / f"{salt}.json"
    account = scene.account(scene.world.relayer)
    before = runner.run(_nonce(scene, account))
    scene.plan(*planned)
    troubles: list[str] = []
    record: Record | None = None
    while record is None:
        try:
            # A new account each time, as a command has one that is given again.
            record = runner.run(deploy(scene.account(account.address), path, salt=salt))
        except (MedSyncError, KeyboardInterrupt) as trouble:
            troubles.append(f"{trouble!r}")
        assert len(troubles) <= 2 * len(planned), troubles
        assert files(folder) in ([], [path.name]), "what is written is the record, or nothing"
        if path.exists():
            read(path)
    scene.mend()
    scene.proxy.release()
    assert not any(SECRET in trouble for trouble in troubles)
    assert record == read(path)
    for contract in record.contracts.values():
        there = runner.run(scene.past.client.get_class_hash_at(contract.address, block_number="latest"))
        assert there == contract.class_hash
    medsync = MedSyncClient(record.medsync, scene.past.client)
    assert [runner.run(medsync.is_pool(pool.address)) for pool in record.pools] == [True]
    assert runner.run(_nonce(scene, account)) == before + SENT, troubles
    path.unlink()
    return troubles


async def _nonce(scene: Scene, account: Account) -> int:
    return int(await scene.past.client.get_contract_nonce(account.address))


def test_it_happens_once(
    scene: Scene, runner: asyncio.Runner, tmp_path: Path, record_property: RecordProperty
) -> None:
    """Three faults in one deployment: at each of its submissions, and elsewhere."""
    with reaching(record_property, "deployment", FAULTS_OF_ONE, "deploy") as reach:
        scene.proxy.seen.clear()
        assert deploys_once(scene, runner, tmp_path) == []
        seen = list(scene.proxy.seen)
        faults = reach.random.sample(FAULTS_OF_ONE, len(FAULTS_OF_ONE))
        for chosen in zip(faults[::3], faults[1::3], faults[2::3], strict=True):
            for number in reach.elsewhere(seen):
                plan = [Planned(fault, SUBMISSIONS, skip=at, at=at) for at, fault in enumerate(chosen[:SENT])]
                plan.append(Planned(chosen[SENT], skip=number))
                troubles = deploys_once(scene, runner, tmp_path, *plan)
                for fault in chosen:
                    reach.add("deploy", fault, f"once, after {len(troubles)} errors")


def test_it_happens_once_however_often_it_is_interrupted(
    scene: Scene, runner: asyncio.Runner, tmp_path: Path, record_property: RecordProperty
) -> None:
    """Ctrl-C at every request, one after the other, each time going on where it was."""
    with reaching(record_property, "interrupted deployment", [*INTERRUPTIONS], "deploy") as reach:
        scene.proxy.seen.clear()
        assert deploys_once(scene, runner, tmp_path) == []
        numbers = reach.some(range(len(scene.proxy.seen)), 3 * PLACES)
        for fault in INTERRUPTIONS:
            plan = [Planned(fault, SUBMISSIONS, skip=0), Planned(fault, SUBMISSIONS, skip=1)]
            total = 0
            for number in sorted(numbers):
                # Every run begins from the first request on: the next interruption comes `number` later.
                total += number + 1
                plan.append(Planned(fault, skip=total))
            troubles = deploys_once(scene, runner, tmp_path, *plan)
            assert set(troubles) == {"KeyboardInterrupt()"}
            reach.add("deploy", fault, f"once, after {len(troubles)} interruptions")


def test_a_restarted_node_is_noticed(
    scene: Scene, runner: asyncio.Runner, tmp_path: Path, record_property: RecordProperty
) -> None:
    """It goes away in the middle, and comes back with a chain begun anew: so does the deployment."""
    path = tmp_path / "devnet.json"
    account = scene.account(scene.world.relayer)
    upstream, salt = scene.proxy.upstream, next(SALTS)

    def unplug(one: deployer.Progress) -> None:
        if (one.step, one.stage) == (STEPS[-1], "signed"):
            scene.proxy.upstream = "http://127.0.0.1:1/rpc"

    async def begins_anew() -> Record:
        # What is sent to the new chain meets faults, too.
        faults = ("cut after", "duplicated", "late", "HTTP 504 after")
        scene.plan(*(Planned(fault, SUBMISSIONS, skip=at) for at, fault in enumerate(faults)))
        for _ in faults:
            with contextlib.suppress(NetworkError):
                return await deploy(scene.account(account.address), path, salt=salt, replaceable=True)
        raise AssertionError("a fault too many")

    async def story(url: str) -> None:
        with pytest.raises(UnknownOutcome):
            await deploy(account, path, unplug, salt=salt)
        half = read(path)
        assert list(half.contracts) == ["MedSync"]
        with pytest.raises(NetworkError):
            await deploy(account, path, salt=salt)
        assert read(path) == half

        scene.proxy.upstream = url
        with pytest.raises(MedSyncError):
            # What was known of the old chain is no use on the new one, and nobody pretends that it is.
            await fetch_log(scene.through.client, half.contracts["MedSync"].address, scene.world.patient)
        record = await begins_anew()
        assert record == read(path)
        assert list(record.contracts) == ["MedSync"]
        assert len(record.pools) == 1
        async with connect(url=url) as past:
            assert await deployer.check(past.client, record) == []
            assert await past.client.get_contract_nonce(account.address) == len(STEPS)

    with reaching(record_property, "restart", ["chain begun anew"], "deploy") as reach:
        try:
            with Devnet.start() as devnet:
                runner.run(story(devnet.rpc_url))
        finally:
            scene.mend()
            scene.proxy.upstream = upstream
        reach.add("deploy", "chain begun anew", "clear error, then complete, each step once")

"""Whole stories start from a fresh world, as the contract tests do, and end with the books being checked."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from medsync.deployment.devnet import Devnet
from medsync.log.fetch import fetch_events, fetch_log
from medsync.log.replay import replay
from medsync.starknet.network import connect
from tests.harness.world import World


@pytest.fixture
async def books(world: World, devnet: Devnet) -> AsyncIterator[None]:
    """After the story: the pool owes what its events say and holds it, and every log is complete."""
    yield
    async with connect(url=devnet.rpc_url) as connection:
        contracts = {world.medsync.address: "MedSync", world.pool.address: "RewardPool"}
        found = await fetch_events(connection.client, contracts, timestamps=False)
        # Stories set the clock as they like; what the books say at the end does not depend on it.
        events = [
            replace(one, location=replace(one.location, timestamp=one.location.block_number)) for one in found
        ]
        told = replay(events, chain_id=connection.chain_id, contract=world.medsync.address)
        assert world.read("liabilities") == told.liabilities()
        assert world.read("balance_of", world.token, account=world.pool.address) == told.liabilities()
        assert world.read("lifetime_deposits") == told.lifetime_deposits()
        assert told.patients, "the story logged nothing"
        for patient in told.patients:
            history = await fetch_log(connection.client, world.medsync.address, patient)
            assert history.head == told.log_head(patient)

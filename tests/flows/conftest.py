"""Whole stories start from a fresh world, as the contract tests do, and end with the books being checked."""

from collections.abc import AsyncIterator
from dataclasses import asdict

import pytest

from medsync.deployment.devnet import Devnet
from medsync.log.fetch import fetch_events, fetch_patient
from medsync.log.replay import replay
from medsync.starknet.network import connect
from tests.harness.world import World


@pytest.fixture
async def books(world: World, devnet: Devnet) -> AsyncIterator[None]:
    """After the story: the pool owes what its events say and holds it, and every history is complete."""
    yield
    async with connect(url=devnet.rpc_url) as connection:
        client, contract = connection.client, world.medsync.address
        contracts = {contract: "MedSync", world.pool.address: "RewardPool"}
        events = await fetch_events(client, contracts, timestamps=False)
        told = replay(events, chain_id=connection.chain_id, contract=contract)
        assert world.read("liabilities") == told.liabilities()
        assert world.read("balance_of", world.token, account=world.pool.address) == told.liabilities()
        assert world.read("registry_head") == asdict(told.registry_head())
        assert told.patients, "the story logged nothing"
        for patient in told.patients:
            history = await fetch_patient(client, contract, patient)
            assert history.consents.head == told.history_head(patient)
            assert history.accesses.head == told.log_head(patient)

"""Reward pools: only MedSync deploys them, one for each token, at addresses that nobody can take before."""

from pathlib import Path

import pytest
from starknet_py.net.udc_deployer.deployer import Deployer

from medsync import artifacts
from medsync.deployment import deployer
from medsync.deployment.devnet import Devnet
from medsync.errors import InputError
from medsync.starknet.accounts import predeployed_accounts
from medsync.starknet.clients import MedSyncClient
from medsync.starknet.network import STRK_TOKEN, Connection
from medsync.starknet.transactions import Account, Invocation
from tests.deploy.support import CREATE_POOL, ETH_TOKEN, STEPS, Death, deaths_at, deploy, read

CREATE_ETH = f"create RewardPool for {ETH_TOKEN:#x}"


async def test_pools_are_added_to_a_finished_deployment(account: Account, tmp_path: Path) -> None:
    path = tmp_path / "devnet.json"
    before = await deploy(account, path)
    both = (STRK_TOKEN, ETH_TOKEN)
    progress = deaths_at([(CREATE_ETH, stage) for stage in ("signed", "sent", "recorded")])
    for _ in range(3):
        with pytest.raises(Death):
            await deploy(account, path, progress, tokens=both)
        assert not read(path).complete
    after = await deploy(account, path, progress, tokens=both)
    assert read(path) == after
    assert after.complete
    assert [(pool.token, pool.symbol) for pool in after.pools] == [(STRK_TOKEN, "STRK"), (ETH_TOKEN, "ETH")]
    assert after.pools[:1] == before.pools
    assert after.reward_pool == before.reward_pool
    assert await deployer.check(account.client, after) == []
    assert await account.get_nonce() == len(STEPS) + 1

    # They stay, whichever of them are named again, in whatever order.
    for tokens in ([STRK_TOKEN], [ETH_TOKEN, STRK_TOKEN], []):
        assert await deploy(account, path, tokens=tokens) == after
    with pytest.raises(InputError, match=rf"its pools are for .*, not {0x70CE4:#x} \(name every token"):
        await deploy(account, path, tokens=[0x70CE4])
    with pytest.raises(InputError, match="A token is named twice"):
        await deploy(account, path, tokens=[STRK_TOKEN, STRK_TOKEN])
    assert read(path) == after


async def test_a_deployment_may_have_none(account: Account, tmp_path: Path) -> None:
    path = tmp_path / "devnet.json"
    record = await deploy(account, path, tokens=[])
    assert (read(path), record.complete, record.pools) == (record, True, ())
    assert await deployer.check(account.client, record) == []
    with pytest.raises(InputError, match="has no reward pool"):
        _ = record.reward_pool

    with pytest.raises(Death):
        await deploy(account, path, deaths_at([(CREATE_POOL, "signed")]))
    with pytest.raises(InputError, match="RewardPool is not deployed"):
        _ = read(path).reward_pool
    assert await MedSyncClient(record.medsync, account).is_pool((await deploy(account, path)).reward_pool)


async def test_a_stranger_with_the_same_token_and_salt_gets_another_address(
    connection: Connection, account: Account, tmp_path: Path
) -> None:
    path = tmp_path / "devnet.json"
    stranger = (await predeployed_accounts(connection))[1]
    with pytest.raises(Death):
        await deploy(account, path, deaths_at([("deploy MedSync", "recorded")]), salt=5)
    medsync = MedSyncClient(read(path).medsync, stranger)
    taken = (await medsync.create_pool(STRK_TOKEN, 5)).value
    pool_class = await medsync.pool_class_hash()
    assert taken == deployer.pool_address(pool_class, medsync.address, STRK_TOKEN, stranger.address, 5)

    record = await deploy(account, path, salt=5)
    assert record.reward_pool != taken
    assert record.pools[0].created is not None


async def test_a_pool_that_somebody_made_meanwhile_is_taken_over(
    connection: Connection, account: Account, tmp_path: Path
) -> None:
    """Only the deployer's account can have made it; it may have done so by hand."""
    path = tmp_path / "devnet.json"
    with pytest.raises(Death):
        await deploy(account, path, deaths_at([("deploy MedSync", "recorded")]))
    made = (await MedSyncClient(read(path).medsync, account).create_pool(STRK_TOKEN, 0)).value
    record = await deploy(account, path)
    assert (record.reward_pool, record.pools[0].created) == (made, None)
    assert await deployer.check(connection.client, record) == []


async def test_a_contract_of_the_pools_class_is_no_pool(
    untouched: Devnet, account: Account, tmp_path: Path
) -> None:
    """Its storage may have been anything before: only MedSync knows which pools it deployed."""
    path = tmp_path / "devnet.json"
    record = await deploy(account, path)
    pool_class = artifacts.load("RewardPool").class_hash
    false = Deployer().create_contract_deployment_raw(pool_class, raw_calldata=[STRK_TOKEN, record.medsync])
    await account.send(Invocation(account, "Udc", "deploy", false.call, type(None)))
    pool = record.pools[0].model_copy(update={"address": false.address, "created": None})
    findings = await deployer.check(account.client, record.replace(pools=(pool,)))
    assert f"pool {false.address:#x}: MedSync did not deploy it" in findings

"""A PrivateAnchor beside the other contracts: deployed with them or added later, from a file of nodes."""

import json
from pathlib import Path
from typing import Any

import pytest

from medsync.deployment import deployer
from medsync.deployment import record as deployments
from medsync.deployment.record import Quorum, QuorumNode
from medsync.errors import ContractError, InputError
from medsync.protocol.types import AnchorHead, AnchorNode
from medsync.starknet.anchor import PrivateAnchorClient, sign_rotation
from medsync.starknet.network import Connection
from medsync.starknet.signer import StarkSigner, public_key_of
from medsync.starknet.transactions import Account
from tests.deploy.support import STEPS, Death, deaths_at, deploy, read

KEYS = (11, 12, 13)
QUORUM = Quorum(
    threshold=2, nodes=tuple(QuorumNode(stark_key=public_key_of(key), identity=key) for key in KEYS)
)
ANCHOR_STEPS = ("declare PrivateAnchor", "deploy PrivateAnchor")


def written(path: Path, **changes: Any) -> Path:
    """A file of nodes."""
    path.write_text(json.dumps(json.loads(QUORUM.model_dump_json()) | changes))
    return path


async def test_it_is_deployed_with_the_others(
    connection: Connection, account: Account, tmp_path: Path
) -> None:
    path = tmp_path / "devnet.json"
    quorum = deployments.read_quorum(written(tmp_path / "nodes.json"))
    assert quorum == QUORUM
    seen: list[str] = []
    record = await deploy(
        account,
        path,
        lambda one: seen.append(one.step) if one.stage == "recorded" else None,
        anchor=quorum,
    )
    assert seen == [*STEPS, *ANCHOR_STEPS]
    assert read(path) == record
    assert await deployer.check(connection.client, record) == []
    assert record.private_anchor is not None
    client = PrivateAnchorClient(record.private_anchor, account)
    assert await client.head() == AnchorHead(0, 0, 0, 2, 3, 0)
    assert await client.nodes() == [AnchorNode(public_key_of(key), key) for key in KEYS]

    # The record is of how it began; nodes that are replaced later do not make it false.
    nodes = [AnchorNode(public_key_of(21), 21)]
    head = await client.head()
    signatures = [
        sign_rotation(
            StarkSigner(KEYS[node], account.chain_id),
            client.address,
            head,
            nodes,
            1,
            node=node,
            chain_id=account.chain_id,
        )
        for node in (0, 1)
    ]
    await client.rotate(nodes, 1, signatures)
    assert await deployer.check(connection.client, record) == []
    false = json.loads(path.read_text())
    false["contracts"]["PrivateAnchor"]["constructor"]["threshold"] = "0x1"
    path.write_text(json.dumps(false))
    (finding,) = await deployer.check(connection.client, deployments.read(path))
    assert finding.startswith("PrivateAnchor: class, constructor arguments and salt give")


async def test_it_is_added_to_a_finished_deployment(account: Account, tmp_path: Path) -> None:
    path = tmp_path / "devnet.json"
    before = await deploy(account, path)
    assert before.private_anchor is None
    progress = deaths_at([(step, stage) for step in ANCHOR_STEPS for stage in ("signed", "recorded")])
    for number in range(4):
        if number == 2:
            # As long as it is not there, other nodes may be named: these the contract refuses.
            twice = QUORUM.model_copy(update={"nodes": (QUORUM.nodes[0],) * 2})
            with pytest.raises(ContractError) as refused:
                await deploy(account, path, progress, anchor=twice)
            assert refused.value.code == "ANCHOR/DUPLICATE_KEY"
        with pytest.raises(Death):
            await deploy(account, path, progress, anchor=QUORUM)
        half = read(path)
        assert not half.complete
        assert half.medsync == before.medsync
    after = await deploy(account, path, progress, anchor=QUORUM)
    assert read(path) == after
    assert after.complete
    assert (after.medsync, after.reward_pool) == (before.medsync, before.reward_pool)
    assert await account.get_nonce() == len(STEPS) + len(ANCHOR_STEPS)

    # From now on it belongs to it, whether or not it is asked for again.
    written_once = path.read_bytes()
    assert await deploy(account, path, anchor=QUORUM) == after
    assert await deploy(account, path) == after
    other = QUORUM.model_copy(update={"threshold": 3})
    with pytest.raises(InputError, match="its PrivateAnchor began with other nodes"):
        await deploy(account, path, anchor=other)
    assert path.read_bytes() == written_once


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"threshold": 0}, "threshold"),
        ({"threshold": 256}, "threshold"),
        ({"threshold": "2"}, "threshold"),
        ({"nodes": 5}, "nodes"),
        ({"nodes": [{"stark_key": "0x5"}]}, "nodes.0.identity"),
        ({"nodes": [{"stark_key": 5, "identity": "0x5"}]}, "nodes.0.stark_key"),
        ({"more": 1}, "more"),
    ],
)
def test_files_that_name_no_nodes(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    path = written(tmp_path / "nodes.json", **changes)
    with pytest.raises(InputError, match=f"is not a valid file of nodes: {problem}"):
        deployments.read_quorum(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="file of nodes"):
        deployments.read_quorum(tmp_path / "nodes.json")

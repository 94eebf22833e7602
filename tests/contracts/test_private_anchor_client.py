"""The typed client of the anchor against the real contract, with the package's own log and signatures."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import pytest

from medsync import artifacts
from medsync.deployment.devnet import Devnet
from medsync.errors import ContractError, InputError
from medsync.log.fetch import fetch_events
from medsync.protocol.events import Anchored, NodesRotated
from medsync.protocol.merkle import MerkleLog
from medsync.protocol.src5 import interface_id
from medsync.protocol.types import AnchorHead, AnchorNode, NodeSignature, Statement
from medsync.starknet.anchor import PrivateAnchorClient, sign_rotation, sign_statement, verify_node_signature
from medsync.starknet.network import Connection, connect
from medsync.starknet.rpc import newest_block
from medsync.starknet.signer import StarkSigner
from tests.harness.anchoring import KEYS, Anchoring, log
from tests.harness.clients import accounts_of
from tests.harness.world import World


@dataclass
class Scene:
    """An anchor of three nodes, two of which must sign, seen through the client."""

    world: World
    client: PrivateAnchorClient
    connection: Connection
    signers: Sequence[StarkSigner]

    def sign(self, head: AnchorHead, statement: Statement) -> list[NodeSignature]:
        """Signatures by the last two nodes, the later one first: the client puts them in order."""
        return [
            sign_statement(
                self.signers[node],
                self.client.address,
                head,
                statement,
                node=node,
                chain_id=self.client.chain_id,
            )
            for node in (2, 1)
        ]


@pytest.fixture
async def scene(world: World, devnet: Devnet) -> AsyncIterator[Scene]:
    world.wait(60)
    anchoring = Anchoring(world, KEYS[:3], 2)
    async with connect(url=devnet.rpc_url) as connection:
        account, *_ = accounts_of(world.chain, connection).values()
        client = PrivateAnchorClient(anchoring.contract.address, account)
        signers = [StarkSigner(key, client.chain_id) for key in KEYS]
        yield Scene(world, client, connection, signers)


async def test_a_log_is_anchored_and_proven(scene: Scene) -> None:
    client, tree = scene.client, MerkleLog()
    assert await client.head() == AnchorHead(0, 0, 0, 2, 3, 0)
    assert await client.nodes() == [
        AnchorNode(scene.signers[n].public_key, 0x1D0000 + KEYS[n]) for n in range(3)
    ]
    for size in (3, 7):
        head = await client.head()
        for value in log(size)[len(tree) :]:
            tree.append(value)
        statement = Statement(size, tree.root(), 0x57A7E, head.epoch, commitment=0xC0117)
        signatures = scene.sign(head, statement)
        for signature in signatures:
            node = await client.node(signature.node)
            assert verify_node_signature(
                node, signature, client.address, head, statement, chain_id=client.chain_id
            )
        result = await client.anchor(statement, tree.consistency_path(head.size), signatures)
        (event,) = result.events
        assert isinstance(event, Anchored)
        assert event == Anchored(
            tree.root(), 0, size, 0x57A7E, 0xC0117, event.at, 0b110, location=event.location
        )
        # Devnet may date a block some seconds after its transactions.
        assert 0 <= (await newest_block(client.client)).timestamp - event.at < 60
        assert await client.head() == AnchorHead(size, tree.root(), 0, 2, 3, event.at)
    for index, value in enumerate(log(7)):
        assert await client.verify_inclusion(value, index, tree.inclusion_path(index))
    assert not await client.verify_inclusion(log(7)[0], 1, tree.inclusion_path(1))


async def test_nodes_are_rotated_and_history_tells(scene: Scene) -> None:
    client = scene.client
    head, nodes = await client.head(), [AnchorNode(StarkSigner(21, 1).public_key, 21)]
    signatures = [
        sign_rotation(
            scene.signers[node], client.address, head, nodes, 1, node=node, chain_id=client.chain_id
        )
        for node in (0, 2)
    ]
    result = await client.rotate(nodes, 1, signatures)
    (event,) = result.events
    assert isinstance(event, NodesRotated)
    assert (event.epoch, event.threshold, event.nodes) == (1, 1, nodes)
    assert await client.head() == replace(head, epoch=1, threshold=1, nodes=1)
    history = await fetch_events(scene.connection.client, {client.address: "PrivateAnchor"})
    assert [(one.epoch, len(one.nodes)) for one in history if isinstance(one, NodesRotated)] == [
        (0, 3),
        (1, 1),
    ]


async def test_a_refusal_has_the_contracts_code(scene: Scene) -> None:
    client, head = scene.client, await scene.client.head()
    statement = Statement(3, MerkleLog(log(3)).root(), 1, head.epoch)
    with pytest.raises(ContractError) as refused:
        await client.anchor(statement, [], scene.sign(head, statement)[:1])
    assert (refused.value.code, refused.value.function) == (
        "ANCHOR/TOO_FEW_SIGNATURES",
        "PrivateAnchor.anchor",
    )
    # The table of error codes says what it means.
    assert "fewer signatures than the threshold" in refused.value.hint
    with pytest.raises(ContractError) as unknown:
        await client.node(3)
    assert unknown.value.code == "ANCHOR/UNKNOWN_NODE"


async def test_it_is_the_published_contract(scene: Scene) -> None:
    client = scene.client
    assert await client.is_published()
    assert not await PrivateAnchorClient(scene.world.pool.address, client.account).is_published()
    assert not await PrivateAnchorClient(0x123, client.account).is_published()
    abi = artifacts.load("PrivateAnchor").abi
    assert await client.supports_interface(interface_id(abi, "IPrivateAnchor"))


async def test_who_only_reads_signs_nothing(scene: Scene) -> None:
    reader = PrivateAnchorClient(scene.client.address, scene.connection.client)
    assert (await reader.head()).nodes == 3
    with pytest.raises(InputError, match="can only read"):
        _ = reader.chain_id
    with pytest.raises(InputError, match="can only read"):
        reader.anchor(Statement(1, 1, 1, 0), [], [])

"""`PrivateAnchor`: signatures of what its nodes state, and a typed client of the contract."""

from collections.abc import Sequence

from starknet_py.hash.utils import verify_message_signature

from medsync.protocol.anchor import anchor_message, rotation_message
from medsync.protocol.types import AnchorHead, AnchorNode, NodeSignature, Statement
from medsync.starknet.clients import BlockId, ContractClient
from medsync.starknet.signer import StarkSigner
from medsync.starknet.transactions import Invocation


def sign_statement(
    signer: StarkSigner, address: int, head: AnchorHead, statement: Statement, *, node: int, chain_id: int
) -> NodeSignature:
    """A statement's signature by the node of that index, for the contract at `address` with that head."""
    return _sign(signer, node, anchor_message(chain_id, address, head.size, head.root, statement))


def sign_rotation(
    signer: StarkSigner,
    address: int,
    head: AnchorHead,
    nodes: Sequence[AnchorNode],
    threshold: int,
    *,
    node: int,
    chain_id: int,
) -> NodeSignature:
    """The signature of the next nodes and threshold by the present node of that index."""
    return _sign(signer, node, rotation_message(chain_id, address, head.epoch, threshold, nodes))


def _sign(signer: StarkSigner, node: int, message: int) -> NodeSignature:
    return NodeSignature(node, *signer.sign_hash(message))


def verify_node_signature(
    node: AnchorNode,
    signature: NodeSignature,
    address: int,
    head: AnchorHead,
    statement: Statement,
    *,
    chain_id: int,
) -> bool:
    """Whether a statement's signature is the registered node's, as the contract will judge it."""
    return is_signed_by(node, signature, anchor_message(chain_id, address, head.size, head.root, statement))


def is_signed_by(node: AnchorNode, signature: NodeSignature, message: int) -> bool:
    """Whether a node's signature of a message is its own, as the contract will judge it."""
    try:
        return bool(verify_message_signature(message, [signature.r, signature.s], node.stark_key))
    except ValueError:  # `s` has no inverse.
        return False


class PrivateAnchorClient(ContractClient):
    """The PrivateAnchor contract: roots of a private log, attested by a quorum of its nodes.

    >>> from starknet_py.net.full_node_client import FullNodeClient
    >>> anchor = PrivateAnchorClient(6, FullNodeClient("http://127.0.0.1:5050/rpc"))
    >>> anchor.name, hex(anchor.address)
    ('PrivateAnchor', '0x6')
    """

    name = "PrivateAnchor"

    @property
    def chain_id(self) -> int:
        """The chain of the account that signs. Raises InputError for a client that only reads."""
        return self.account.chain_id

    def anchor(
        self, statement: Statement, consistency: Sequence[int], signatures: Sequence[NodeSignature]
    ) -> Invocation[None]:
        """Anchor a longer log; for anyone.

        `consistency` is `MerkleLog.consistency_path` from the anchored size. Signatures are put in order.
        """
        calldata = [*statement.calldata(), len(consistency), *consistency, *_signatures(signatures)]
        return self.invoke("anchor", calldata)

    def rotate(
        self, nodes: Sequence[AnchorNode], threshold: int, signatures: Sequence[NodeSignature]
    ) -> Invocation[None]:
        """Replace the nodes and the threshold, as a quorum of the present ones signed; for anyone."""
        registered = [felt for node in nodes for felt in node.calldata()]
        return self.invoke("rotate", [len(nodes), *registered, threshold, *_signatures(signatures)])

    async def head(self, *, block: BlockId = "latest") -> AnchorHead:
        """How far the log is anchored, and who may go on."""
        return await self.view("head", [], AnchorHead, block)

    async def node(self, index: int, *, block: BlockId = "latest") -> AnchorNode:
        """The present node with this index, from 0. Raises ContractError if there is none."""
        return await self.view("node", [index], AnchorNode, block)

    async def nodes(self, *, block: BlockId = "latest") -> list[AnchorNode]:
        """All present nodes, in order."""
        return [await self.node(index, block=block) for index in range((await self.head(block=block)).nodes)]

    async def verify_inclusion(
        self, leaf_value: int, index: int, path: Sequence[int], *, block: BlockId = "latest"
    ) -> bool:
        """Whether the anchored log has that leaf at place `index`, by a proof for its whole size."""
        return await self.view("verify_inclusion", [leaf_value, index, len(path), *path], bool, block)


def _signatures(signatures: Sequence[NodeSignature]) -> list[int]:
    ordered = sorted(signatures, key=lambda signature: signature.node)
    return [len(ordered), *(felt for signature in ordered for felt in signature.calldata())]

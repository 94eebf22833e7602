"""`PrivateAnchor`: what its nodes sign, who they are, and a typed client of the contract.

A statement says that the log has this root at this size. It is signed for one chain, one contract, one epoch
and the log that is anchored now, so that a signature is good for one anchor at most. Source:
`contracts/src/private_anchor.cairo`.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from starknet_py.hash.utils import verify_message_signature
from starknet_py.net.client_errors import ClientError

from medsync.clients import BlockId, ContractClient
from medsync.commitments import bytes_digest
from medsync.errors import NetworkError
from medsync.felt import InvalidValue, encode_short_string
from medsync.hashing import poseidon
from medsync.private.node import NodeKind
from medsync.signer import StarkSigner
from medsync.transactions import TRANSPORT_ERRORS, Invocation
from medsync.types import AnchorHead as AnchorHead
from medsync.types import AnchorNode as AnchorNode
from medsync.types import NodeSignature as NodeSignature
from medsync.types import Statement as Statement

#: First felts of the messages and of a digest of states: keep them apart from every other hash.
ANCHOR_TAG: Final = encode_short_string("MEDSYNC/ANCHOR/1")
ROTATION_TAG: Final = encode_short_string("MEDSYNC/ROTATION/1")
STATE_TAG: Final = encode_short_string("MEDSYNC/STATE/1")

_KEY_BYTES: Final = 32


# --- who attests, and what ----------------------------------------------------------------------------------


def node_identity(kind: NodeKind, key: bytes) -> int:
    """What is registered of a node: Poseidon of its kind and the halves of its ed25519 public key.

    Raises `InvalidValue` if the key has not 32 bytes.
    """
    return poseidon([encode_short_string(kind.value), *_halves(key, "ed25519 key")])


def state_digest(states: Iterable[tuple[str, bytes]]) -> int:
    """The digest of contexts' replicated state: of each its id and root hash, in the order of the ids.

    Raises `InvalidValue` if a root has not 32 bytes.
    """
    ordered = sorted(states)
    parts = [[bytes_digest(context.encode()), *_halves(root, "state root")] for context, root in ordered]
    return poseidon([STATE_TAG, len(parts), *(felt for part in parts for felt in part)])


def _halves(value: bytes, what: str) -> tuple[int, int]:
    """The upper and the lower half of 32 bytes, each a felt."""
    if len(value) != _KEY_BYTES:
        raise InvalidValue(f"{what}: {_KEY_BYTES} bytes are needed, not {len(value)}")
    half = _KEY_BYTES // 2
    return int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")


# --- what is signed -----------------------------------------------------------------------------------------


def anchor_message(
    chain_id: int, contract: int, previous_size: int, previous_root: int, statement: Statement
) -> int:
    """The hash that nodes sign to have a log anchored on top of the one that is."""
    return poseidon(
        [
            ANCHOR_TAG,
            chain_id,
            contract,
            statement.epoch,
            previous_size,
            previous_root,
            statement.size,
            statement.root,
            statement.state,
        ]
    )


def rotation_message(
    chain_id: int, contract: int, epoch: int, threshold: int, nodes: Sequence[AnchorNode]
) -> int:
    """The hash that the nodes of `epoch` sign to be replaced by others."""
    registered = [felt for node in nodes for felt in node.calldata()]
    return poseidon([ROTATION_TAG, chain_id, contract, epoch, threshold, len(nodes), *registered])


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


# --- the contract -------------------------------------------------------------------------------------------


class PrivateAnchorClient(ContractClient):
    """The PrivateAnchor contract: roots of a private log, attested by a quorum of its nodes."""

    name = "PrivateAnchor"

    @property
    def chain_id(self) -> int:
        """The chain of the account that signs. Raises InputError for a client that only reads."""
        return self.account.chain_id

    async def now(self) -> int:
        """Unix seconds of the newest block: the chain's own clock."""
        try:
            return (await self.client.get_block_with_tx_hashes(block_number="latest")).timestamp
        except (ClientError, *TRANSPORT_ERRORS) as error:
            raise NetworkError(f"The node did not give its newest block ({type(error).__name__}).") from None

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
    ordered = sorted(signatures, key=lambda one: one.node)
    return [len(ordered), *(felt for one in ordered for felt in one.calldata())]

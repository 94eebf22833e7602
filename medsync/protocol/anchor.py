"""The messages that private nodes sign for `PrivateAnchor`, and the hashes that identify the nodes.

A statement claims that the log has a given root at a given size. It is signed for one chain, one contract,
one epoch and the currently anchored log, so that a signature is valid for at most one anchor. Source:
`contracts/src/private_anchor.cairo`.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from medsync.protocol.commitments import bytes_digest
from medsync.protocol.felt import InvalidValue, encode_short_string
from medsync.protocol.hashing import poseidon
from medsync.protocol.types import AnchorNode, Statement

#: Domain separators: the first felts of the messages and of a digest of states.
ANCHOR_TAG: Final = encode_short_string("MEDSYNC/ANCHOR/2")
ROTATION_TAG: Final = encode_short_string("MEDSYNC/ROTATION/1")
STATE_TAG: Final = encode_short_string("MEDSYNC/STATE/1")
_KEY_BYTES: Final = 32


class NodeKind(StrEnum):
    """The kind of a node. `PrivateAnchor` hashes the name into a node's identity."""

    #: The in-process host for Calimero applications: one member, no network.
    EMBEDDED = "EMBEDDED"
    #: A real Calimero node.
    CALIMERO = "CALIMERO"

    @property
    def claim_domain(self) -> bytes:
        """The prefix of a signed claim's payload, which keeps the claims of the two kinds apart."""
        return _CLAIM_DOMAINS[self]


_CLAIM_DOMAINS: Final = {
    NodeKind.EMBEDDED: b"medsync.embedded-claim.v1\0",
    NodeKind.CALIMERO: b"calimero.ownership-claim.v1\0",
}


def node_identity(kind: NodeKind, key: bytes) -> int:
    """The registered identity of a node: Poseidon of its kind and the halves of its ed25519 public key.

    Raises `InvalidValue` if the key does not have 32 bytes.
    """
    return poseidon([encode_short_string(kind.value), *_halves(key, "ed25519 key")])


def state_digest(states: Iterable[tuple[str, bytes]]) -> int:
    """The digest of the replicated state of contexts: the id and root hash of each, ordered by id.

    Raises `InvalidValue` if a root does not have 32 bytes.
    """
    ordered = sorted(states)
    parts = [[bytes_digest(context.encode()), *_halves(root, "state root")] for context, root in ordered]
    return poseidon([STATE_TAG, len(parts), *(felt for part in parts for felt in part)])


def _halves(value: bytes, what: str) -> tuple[int, int]:
    """The upper and lower half of 32 bytes, as felts."""
    if len(value) != _KEY_BYTES:
        raise InvalidValue(f"{what} must have {_KEY_BYTES} bytes, not {len(value)}")
    half = _KEY_BYTES // 2
    return int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")


def anchor_message(
    chain_id: int, contract: int, previous_size: int, previous_root: int, statement: Statement
) -> int:
    """The hash that nodes sign to anchor a log on top of the currently anchored log."""
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
            statement.commitment,
        ]
    )


def rotation_message(
    chain_id: int, contract: int, epoch: int, threshold: int, nodes: Sequence[AnchorNode]
) -> int:
    """The hash that the nodes of `epoch` sign to hand over to a new set of nodes."""
    registered = [felt for node in nodes for felt in node.calldata()]
    return poseidon([ROTATION_TAG, chain_id, contract, epoch, threshold, len(nodes), *registered])

"""What private nodes sign for `PrivateAnchor`, and the hashes by which they are registered.

A statement says that the log has this root at this size. It is signed for one chain, one contract, one epoch
and the log that is anchored now, so that a signature is good for one anchor at most. Source:
`contracts/src/private_anchor.cairo`.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from medsync.protocol.commitments import bytes_digest
from medsync.protocol.felt import InvalidValue, encode_short_string
from medsync.protocol.hashing import poseidon
from medsync.protocol.types import AnchorNode, Statement

#: First felts of the messages and of a digest of states: keep them apart from every other hash.
ANCHOR_TAG: Final = encode_short_string("MEDSYNC/ANCHOR/1")
ROTATION_TAG: Final = encode_short_string("MEDSYNC/ROTATION/1")
STATE_TAG: Final = encode_short_string("MEDSYNC/STATE/1")
_KEY_BYTES: Final = 32


class NodeKind(StrEnum):
    """Which kind of node it is. The names are what `PrivateAnchor` hashes into a node's identity."""

    #: The in-process host for Calimero applications: one member, no network.
    EMBEDDED = "EMBEDDED"
    #: A real Calimero node.
    CALIMERO = "CALIMERO"

    @property
    def claim_domain(self) -> bytes:
        """What precedes the payload when a claim is signed, so that one kind's never passes for another's."""
        return _CLAIM_DOMAINS[self]


_CLAIM_DOMAINS: Final = {
    NodeKind.EMBEDDED: b"medsync.embedded-claim.v1\0",
    NodeKind.CALIMERO: b"calimero.ownership-claim.v1\0",
}


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

"""Proofs that an entry is **included** in the anchored log, for anyone to check, and an audit of an anchor.

A proof is a file with the entry as published by the node (commitments, never data), its position, and the
path to a root. Verification computes everything from the file, except that it asks a node whether the
contract anchored that root. A proof shows that the entry is in the log that k of n nodes **attested**, which
the contract ensures to be **append-only**. It does not show that the entry is true or that the log is
complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field
from starknet_py.net.full_node_client import FullNodeClient

from medsync.errors import InputError, VerificationError
from medsync.log.fetch import fetch_events
from medsync.private.bridge.journal import Journal
from medsync.private.bridge.leaves import leaf_value
from medsync.private.records.application import Operation
from medsync.private.schema import Felt, Schema
from medsync.protocol.events import Anchored, NodesRotated
from medsync.protocol.merkle import MerkleLog, verify_inclusion
from medsync.starknet.anchor import PrivateAnchorClient


class InclusionProof(Schema):
    """An entry and its path to an anchored root."""

    form: Literal["medsync.inclusion-proof/1"] = "medsync.inclusion-proof/1"
    chain: Felt
    #: The PrivateAnchor contract.
    anchor: Felt
    #: The entry.
    operation: Operation
    #: Its position in the log, from 0.
    index: int = Field(ge=0)
    #: Number of entries under the root.
    size: int = Field(gt=0)
    root: Felt
    #: Sibling hashes on the path from the entry to the root, bottom up.
    path: list[Felt] = Field(max_length=64)

    def verify(self) -> None:
        """Check the proof without the chain. Raises VerificationError if it does not lead to the root."""
        value = leaf_value(self.operation)
        if not verify_inclusion(value, self.index, self.size, self.path, self.root):
            raise VerificationError(
                f"The entry at position {self.index} leads to another root than {self.root:#x}."
            )


@dataclass(frozen=True)
class VerifiedInclusion:
    """The basis of a verified proof."""

    #: When the root was anchored, in unix seconds.
    at: int
    block: int
    epoch: int
    #: Indices of the nodes that signed.
    signers: tuple[int, ...]
    threshold: int
    #: Whether the contract has the class of this package's PrivateAnchor.
    published: bool


def prove(journal: Journal, chain: int, anchor: int, size: int, index: int) -> InclusionProof:
    """Make the proof of the entry at a position of the log, under the root of the given size.

    Raises InputError if the position is not anchored yet.
    """
    if not 0 <= index < size:
        raise InputError(f"There is no entry at position {index}: the size of the anchored log is {size}.")
    (operation,) = journal.operations(index, index + 1)
    proof = InclusionProof(
        chain=chain,
        anchor=anchor,
        operation=operation,
        index=index,
        size=size,
        root=journal.log.root(size),
        path=journal.log.inclusion_path(index, size),
    )
    proof.verify()
    return proof


async def verify(proof: InclusionProof, client: FullNodeClient, chain: int) -> VerifiedInclusion:
    """Verify a proof against the chain.

    Raises VerificationError if it is for another chain, does not lead to its root, or if the contract never
    anchored that root with that size.
    """
    if proof.chain != chain:
        raise VerificationError(f"The proof is for the chain {proof.chain:#x}, the node is on {chain:#x}.")
    proof.verify()
    history = await _history(client, proof.anchor)
    threshold = 0
    for event in history:
        if isinstance(event, NodesRotated):
            threshold = event.threshold
        elif (event.root, event.size) == (proof.root, proof.size):
            assert event.location is not None
            contract = PrivateAnchorClient(proof.anchor, client)
            return VerifiedInclusion(
                event.at,
                event.location.block_number,
                event.epoch,
                _bits(event.signers),
                threshold,
                await contract.is_published(),
            )
    raise VerificationError(
        f"{proof.anchor:#x} never anchored the root {proof.root:#x} with size {proof.size}."
    )


@dataclass
class Audit:
    """The result of replaying an anchor's complete history."""

    anchors: int = 0
    epochs: int = 0
    size: int = 0
    root: int = 0
    #: Anchors by number of signers.
    signers: dict[int, int] = field(default_factory=dict)
    published: bool = False
    #: Whether all roots were recomputed from the entries and match.
    recomputed: bool = False


async def audit(client: FullNodeClient, anchor: int, operations: Sequence[Operation] | None = None) -> Audit:
    """Replay all events of a PrivateAnchor. With the log's entries, also recompute every root.

    Raises VerificationError listing every contradiction.
    """
    contract = PrivateAnchorClient(anchor, client)
    head = await contract.head()
    history = await _history(client, anchor)
    found = Audit(published=await contract.is_published())
    faults: list[str] = []
    log = MerkleLog()
    for operation in operations or ():
        log.append(leaf_value(operation))
    nodes = threshold = 0
    for event in history:
        if isinstance(event, NodesRotated):
            if event.epoch != found.epochs:
                faults.append(f"epoch {event.epoch} came where {found.epochs} was due")
            found.epochs += 1
            nodes, threshold = len(event.nodes), event.threshold
            continue
        signers = _bits(event.signers)
        what = f"anchor {found.anchors + 1} (size {event.size})"
        if event.size <= found.size:
            faults.append(f"{what}: the log did not grow from {found.size}")
        if event.epoch != found.epochs - 1:
            faults.append(f"{what}: signed in epoch {event.epoch} during {found.epochs - 1}")
        if len(signers) < threshold or any(signer >= nodes for signer in signers):
            faults.append(f"{what}: signed by {signers} where {threshold} of {nodes} were due")
        if operations is not None and (event.size > len(log) or log.root(event.size) != event.root):
            faults.append(f"{what}: the entries do not give its root")
        found.anchors += 1
        found.size, found.root = event.size, event.root
        found.signers[len(signers)] = found.signers.get(len(signers), 0) + 1
    if (head.size, head.root, head.epoch) != (found.size, found.root, found.epochs - 1):
        faults.append("the events do not lead to the contract's head: the node left some out")
    if faults:
        raise VerificationError(f"The history of {anchor:#x} contradicts itself:", findings=faults)
    found.recomputed = operations is not None
    return found


async def _history(client: FullNodeClient, anchor: int) -> list[Anchored | NodesRotated]:
    events = await fetch_events(client, {anchor: "PrivateAnchor"}, timestamps=False)
    return [event for event in events if isinstance(event, Anchored | NodesRotated)]


def _bits(signers: int) -> tuple[int, ...]:
    return tuple(index for index in range(signers.bit_length()) if signers >> index & 1)

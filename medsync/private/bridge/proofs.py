"""Proofs that an entry is **included** in the anchored log, for anyone to check, and an audit of an anchor.

A proof is one file: the entry as the node published it (commitments, never data), its place, and the path to
a root. Everything but one question is computed from the file; the question, asked of any node, is whether the
contract anchored that root. What a proof says: the entry was in the log that k of n nodes **attested**, which
the contract made sure is **append-only**. It does not say that the entry is true, or that the log has all
there should be.
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
    """One entry and its path to an anchored root."""

    form: Literal["medsync.inclusion-proof/1"] = "medsync.inclusion-proof/1"
    chain: Felt
    #: The PrivateAnchor contract.
    anchor: Felt
    #: The entry.
    operation: Operation
    #: Its place in the log, from 0.
    index: int = Field(ge=0)
    #: Number of entries under the root.
    size: int = Field(gt=0)
    root: Felt
    #: Hashes beside the path from the entry to the root, from below.
    path: list[Felt] = Field(max_length=64)

    def verify(self) -> None:
        """Check all that needs no chain. Raises VerificationError if the entry does not lead to the root."""
        value = leaf_value(self.operation)
        if not verify_inclusion(value, self.index, self.size, self.path, self.root):
            raise VerificationError(
                f"The entry at place {self.index} leads to another root than {self.root:#x}."
            )


@dataclass(frozen=True)
class Verdict:
    """What a verified proof rests on."""

    #: When the root was anchored, in unix seconds.
    at: int
    block: int
    epoch: int
    #: Indices of the nodes that signed.
    signers: tuple[int, ...]
    threshold: int
    #: Whether the contract's class is the PrivateAnchor that this package publishes.
    published: bool


def prove(journal: Journal, chain: int, anchor: int, size: int, index: int) -> InclusionProof:
    """The proof of the entry at a place of the log, under the root of that size.

    Raises InputError if that place is not anchored yet.
    """
    if not 0 <= index < size:
        raise InputError(f"There is no entry at place {index}: {size} are anchored, from 0.")
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


async def verify(proof: InclusionProof, client: FullNodeClient, chain: int) -> Verdict:
    """Check a proof against the chain.

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
            return Verdict(
                event.at,
                event.location.block_number,
                event.epoch,
                _bits(event.signers),
                threshold,
                await contract.is_published(),
            )
    raise VerificationError(
        f"{proof.anchor:#x} never anchored the root {proof.root:#x} with {proof.size} entries."
    )


@dataclass
class Audit:
    """What an anchor's whole history says."""

    anchors: int = 0
    epochs: int = 0
    size: int = 0
    root: int = 0
    #: Anchors by number of signers.
    signers: dict[int, int] = field(default_factory=dict)
    published: bool = False
    #: Whether all roots were recomputed from the entries, and are theirs.
    recomputed: bool = False


async def audit(client: FullNodeClient, anchor: int, operations: Sequence[Operation] | None = None) -> Audit:
    """Replay everything a PrivateAnchor emitted; with the log's entries, recompute every root, too.

    Raises VerificationError that lists every contradiction.
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

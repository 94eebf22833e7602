"""A stand-in for the chain, in memory: `PrivateAnchor`, and patients' logs.

A devnet would take a hundred times as long. What `PrivateAnchor` takes and refuses is written down here a
second time, with hashes and proofs that share nothing with the package; `test_chain.py` holds it against the
contract. Logs are handed out as they are once they were proven complete: that is not what is tested here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from starknet_py.hash.utils import verify_message_signature
from starkware.cairo.common.poseidon_hash import poseidon_hash_many

from medsync.errors import ContractError, NetworkError
from medsync.log.histories import BlockHeader, History
from medsync.protocol import chains
from medsync.protocol.events import AccessEvent, LogEntry
from medsync.protocol.types import AnchorHead, AnchorNode, Head, NodeSignature, Statement
from medsync.starknet.rpc import Block
from tests.harness import rfc9162
from tests.harness.words import MAX_GROWTH, felt

CHAIN, MEDSYNC, ANCHOR = felt("SN_PLAYED"), 0x3ED51C, 0xA2C402

Point = Callable[[str], None]
"""Where the process that calls may die."""


@dataclass
class Chain:
    """The anchor's state as its contract keeps it, all it ever took, and what patients' logs say."""

    nodes: list[AnchorNode]
    threshold: int
    chain_id: int = CHAIN
    address: int = ANCHOR
    size: int = 0
    root: int = 0
    epoch: int = 0
    #: Every size and root that was anchored, in order.
    history: list[tuple[int, int]] = field(default_factory=list)
    #: By size, every root that anybody ever submitted, and the codes of what was refused.
    submitted: dict[int, set[int]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    #: What becomes of the next transaction: it is `told`, `lost` on the way, or goes through `unheard`.
    network: str = "told"
    logs: dict[int, list[LogEntry]] = field(default_factory=dict)
    #: Of each block the patient whose log grew in it.
    blocks: list[int] = field(default_factory=list)
    point: Point = lambda _: None

    #: Where the package has a connection.
    client: Any = None

    # --- PrivateAnchor, as the package uses it

    async def head(self) -> AnchorHead:
        return AnchorHead(self.size, self.root, self.epoch, self.threshold, len(self.nodes), 0)

    async def node(self, index: int) -> AnchorNode:
        return self.nodes[index]

    def anchor(
        self, statement: Statement, consistency: Sequence[int], signatures: Sequence[NodeSignature]
    ) -> Sending:
        return Sending(self, statement, list(consistency), list(signatures))

    def take(
        self, statement: Statement, consistency: Sequence[int], signatures: Sequence[NodeSignature]
    ) -> None:
        """What the contract does with a call of `anchor`. Raises ContractError with its code."""
        self.submitted.setdefault(statement.size, set()).add(statement.root)
        if code := self._objection(statement, consistency, signatures):
            self.refused.append(code)
            raise ContractError(code, "PrivateAnchor.anchor")
        self.size, self.root = statement.size, statement.root
        self.history.append((self.size, self.root))

    def _objection(
        self, statement: Statement, consistency: Sequence[int], signatures: Sequence[NodeSignature]
    ) -> str | None:
        if statement.epoch != self.epoch:
            return "ANCHOR/WRONG_EPOCH"
        if statement.size <= self.size:
            return "ANCHOR/NOT_LONGER"
        if statement.size - self.size > MAX_GROWTH:
            return "ANCHOR/TOO_LONG"
        if statement.root == 0:
            return "ANCHOR/ZERO_ROOT"
        if not rfc9162.is_consistent(self.size, self.root, statement.size, statement.root, consistency):
            return "ANCHOR/NOT_CONSISTENT"
        if len(signatures) < self.threshold:
            return "ANCHOR/TOO_FEW_SIGNATURES"
        message = self.message(statement)
        last = -1
        for one in signatures:
            if one.node >= len(self.nodes):
                return "ANCHOR/UNKNOWN_NODE"
            if one.node <= last:
                return "ANCHOR/NOT_ASCENDING"
            if not verify_message_signature(message, [one.r, one.s], self.nodes[one.node].stark_key):
                return "ANCHOR/BAD_SIGNATURE"
            last = one.node
        return None

    def message(self, statement: Statement) -> int:
        """What nodes sign."""
        anchored = [self.size, self.root]
        said = [statement.size, statement.root, statement.state, statement.commitment]
        where = [felt("MEDSYNC/ANCHOR/2"), self.chain_id, self.address, statement.epoch]
        return int(poseidon_hash_many([*where, *anchored, *said]))

    def rotate(self, threshold: int) -> None:
        """The nodes hand over to themselves, with another threshold."""
        self.epoch, self.threshold = self.epoch + 1, threshold

    # --- patients' logs

    def log(self, entry: LogEntry) -> None:
        self.logs.setdefault(entry.patient, []).append(entry)
        self.blocks.append(entry.patient)

    async def newest_block(self, _: Any) -> Block:
        return Block(len(self.blocks), int(time.time()))

    async def fetch_log(self, _: Any, contract: int, patient: int, **__: Any) -> History[AccessEvent]:
        entries = tuple(self.logs.get(patient, ()))
        return History(
            chain_id=CHAIN,
            contract=contract,
            chain=chains.Chain.ACCESSES,
            subject=patient,
            entries=entries,
            head=Head(len(entries), 0),
            block=BlockHeader(len(self.blocks), hash=0, timestamp=int(time.time())),
        )

    async def fetch_raw(self, _: Any, __: int, first: int, last: int, ___: Any) -> list[Any]:
        """The events in those blocks, as far as the bridge looks at them. Block 0 is empty."""
        return [SimpleNamespace(keys=[0, patient]) for patient in self.blocks[max(first - 1, 0) : last]]


@dataclass(frozen=True)
class Sending:
    """A transaction on its way. Whoever sends it may die before it is sent, and before it is answered."""

    chain: Chain
    statement: Statement
    consistency: list[int]
    signatures: list[NodeSignature]

    async def send(self) -> Any:
        chain = self.chain
        chain.point("chain: before it is sent")
        if chain.network == "lost":
            raise NetworkError("The transaction was lost.")
        ordered = sorted(self.signatures, key=lambda one: one.node)
        chain.take(self.statement, self.consistency, ordered)
        chain.point("chain: before it is answered")
        if chain.network == "unheard":
            raise NetworkError("The answer was lost.")
        return SimpleNamespace(hash=0x7A)

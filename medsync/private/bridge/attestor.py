"""Attestation: the checks an institution makes before its node's key signs that a log only grew.

The bridge sends an `AttestationRequest`: a file with everything an attestor needs, without secrets. The
attestor does not trust it. It reads the anchored head from the chain, recomputes the new root from the
entries, compares them with what it signed before, and has its own node sign an ownership claim for that root.
Only then does it sign with the registered STARK key.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sql
from pydantic import Field

from medsync.errors import VerificationError
from medsync.private.bridge.leaves import leaf_value
from medsync.private.node.interface import (
    CalimeroContext,
    ClaimRequest,
    PrivateNode,
    SignedClaim,
    encode_id,
    verify_claim,
)
from medsync.private.records.application import (
    ErasedOperation,
    Operation,
    Receipt,
    ReceiptOperation,
    RecordsApp,
    RecordView,
)
from medsync.private.schema import Base64, Felt, Hex32, Hex64, Schema
from medsync.protocol.anchor import NodeKind, node_identity
from medsync.protocol.commitments import parse_json
from medsync.protocol.merkle import Frontier
from medsync.protocol.types import AnchorHead, NodeSignature, Statement
from medsync.starknet.anchor import PrivateAnchorClient, sign_statement
from medsync.starknet.signer import StarkSigner
from medsync.storage.database import Database

_log = logging.getLogger(__name__)


class AttestationRequest(Schema):
    """A bridge's request to attestors."""

    form: Literal["medsync.attestation-request/1"] = "medsync.attestation-request/1"
    chain: Felt
    #: The PrivateAnchor contract.
    anchor: Felt
    epoch: int = Field(ge=0)
    #: The currently anchored size and root.
    previous_size: int = Field(ge=0)
    previous_root: Felt
    #: Roots of the perfect subtrees of the anchored log, largest first.
    peaks: list[Felt]
    size: int = Field(gt=0)
    root: Felt
    #: Digest of the state of the bridge's contexts, see `state_digest`.
    state: Felt
    #: The new entries, in order.
    operations: list[Operation]

    @property
    def statement(self) -> Statement:
        """The statement to sign."""
        return Statement(size=self.size, root=self.root, state=self.state, epoch=self.epoch)


class Attestation(Schema):
    """One node's signature of a statement, and the claim of the node behind it."""

    form: Literal["medsync.attestation/1"] = "medsync.attestation/1"
    chain: Felt
    anchor: Felt
    epoch: int = Field(ge=0)
    size: int = Field(gt=0)
    root: Felt
    #: Index among the epoch's registered nodes.
    node: int = Field(ge=0)
    r: Felt
    s: Felt
    kind: NodeKind
    #: The node's ed25519 key, the claim that it signed, and the signature.
    signer: Hex32
    payload: Base64
    signature: Hex64

    @property
    def node_signature(self) -> NodeSignature:
        """The signature for the contract."""
        return NodeSignature(self.node, self.r, self.s)


class Replica:
    """The attestor's replica of the contexts that the bridge logs."""

    def __init__(self, apps: Sequence[RecordsApp]) -> None:
        self._apps = apps

    async def unknown(self, operations: Sequence[Operation]) -> list[Operation]:
        """The entries that the replicated state of the attestor's node does not confirm."""
        records: dict[str, RecordView] = {}
        receipts: set[tuple[object, ...]] = set()
        for app in self._apps:
            records |= {record.id: record async for record in app.all_records()}
            receipts |= {_facts(receipt) async for receipt in app.all_receipts()}
        return [operation for operation in operations if not _is_confirmed(operation, records, receipts)]


def _is_confirmed(
    operation: Operation, records: Mapping[str, RecordView], receipts: Set[tuple[object, ...]]
) -> bool:
    if isinstance(operation, ReceiptOperation):
        return _facts(operation) in receipts
    record = records.get(operation.id)
    if record is None:
        return False
    if isinstance(operation, ErasedOperation):
        return record.erased
    commitments = [*record.former, record.commitment]
    if not (1 <= operation.version <= len(commitments)):
        return False
    current = operation.version == len(commitments)
    return commitments[operation.version - 1] == operation.commitment and (
        not current or (record.categories, record.consent) == (operation.categories, operation.consent)
    )


def _facts(receipt: Receipt | ReceiptOperation) -> tuple[object, ...]:
    names = ("ticket", "outcome", "reason", "digest", "commitment", "accessor", "at")
    return tuple(getattr(receipt, name) for name in names)


@dataclass(frozen=True)
class Memory:
    """The last signed statement: the anchored log below it, and the leaves above."""

    size: int
    peaks: tuple[int, ...]
    values: tuple[int, ...]


class Attestor:
    """An institution's attestor: its node, its STARK key, and its memory."""

    def __init__(
        self,
        *,
        node: PrivateNode,
        context: CalimeroContext,
        signer: StarkSigner,
        anchor: PrivateAnchorClient,
        memory: Path,
        replica: Replica | None = None,
    ) -> None:
        """`memory` is a file that only this attestor writes; `replica` is None for a witness."""
        self.node, self.context, self.signer, self.anchor = node, context, signer, anchor
        self.replica = replica
        self._memory = _Memory(memory)

    def close(self) -> None:
        """Close the memory. The caller closes the node."""
        self._memory.close()

    async def attest(self, request: AttestationRequest) -> Attestation:
        """Check a request against the chain, the memory and the attestor's node, and sign it.

        Raises VerificationError with the fault, without signing anything.
        """
        head = await self.anchor.head()
        index, identity = await self._own_place(request, head)
        values = [leaf_value(operation) for operation in request.operations]
        _check_growth(request, head, values)
        self._memory.check(request, values)
        await self._check_content(request.operations)
        claim = await self._claim(request, identity)
        # Store it before signing: an interruption here cannot lead to a second, different signature.
        self._memory.remember(Memory(head.size, tuple(request.peaks), tuple(values)))
        signature = sign_statement(
            self.signer, self.anchor.address, head, request.statement, node=index, chain_id=request.chain
        )
        _log.info(
            "Attested size %d as node %d of epoch %d.",
            request.size,
            index,
            request.epoch,
            extra={
                "size": request.size,
                "root": hex(request.root),
                "node": index,
                "epoch": request.epoch,
                "operations": len(values),
            },
        )
        return Attestation(
            chain=request.chain,
            anchor=request.anchor,
            epoch=request.epoch,
            size=request.size,
            root=request.root,
            node=index,
            r=signature.r,
            s=signature.s,
            kind=self.node.kind,
            signer=claim.signer,
            payload=claim.payload,
            signature=claim.signature,
        )

    async def _own_place(self, request: AttestationRequest, head: AnchorHead) -> tuple[int, int]:
        """The index of this node among the registered nodes, and its registered identity."""
        chain = self.signer.chain_id
        if (request.chain, request.anchor) != (chain, self.anchor.address):
            raise VerificationError("The request is for another chain or another PrivateAnchor.")
        if request.epoch != head.epoch:
            raise VerificationError(
                f"The request is for epoch {request.epoch}; the chain is in {head.epoch}."
            )
        for index in range(head.nodes):
            node = await self.anchor.node(index)
            if node.stark_key == self.signer.public_key:
                return index, node.identity
        raise VerificationError(f"This key does not belong to a registered node in epoch {head.epoch}.")

    async def _check_content(self, operations: Sequence[Operation]) -> None:
        if self.replica is None:
            return
        unknown = await self.replica.unknown(operations)
        if unknown:
            raise VerificationError(
                "The state of this attestor's node does not contain the request's operations:",
                findings=[f"{operation.kind}, operation {operation.seq}" for operation in unknown],
                hint="It may not be synchronised yet: try again.",
            )

    async def _claim(self, request: AttestationRequest, identity: int) -> SignedClaim:
        asked = claim_request(request)
        claim = await self.node.attest(self.context, asked)
        verify_claim(claim, kind=self.node.kind, context=self.context, request=asked)
        if node_identity(self.node.kind, claim.signer) != identity:
            raise VerificationError("The node that signed is not the node registered with this key.")
        return claim


def check_claim(attestation: Attestation, request: AttestationRequest, identity: int) -> None:
    """Check that the registered node signed the claim. `identity` is its identity in the contract.

    An expired claim is accepted. Raises VerificationError.
    """
    if node_identity(attestation.kind, attestation.signer) != identity:
        raise VerificationError("The claim was not made by the registered node.")
    payload = parse_json(attestation.payload)
    if not isinstance(payload, dict):
        raise VerificationError("The attestation does not contain a valid claim.")
    issued = payload.get("issued_at_ms")
    verify_claim(
        SignedClaim(attestation.signer, attestation.payload, attestation.signature),
        kind=attestation.kind,
        # The context is not checked, because the node chooses it.
        context=CalimeroContext(
            str(payload.get("context_id")), str(payload.get("group_id")), encode_id(attestation.signer)
        ),
        request=claim_request(request),
        now=issued / 1000 if isinstance(issued, int) else None,
    )


def claim_request(request: AttestationRequest) -> ClaimRequest:
    """The claim that a node signs for a request, bound to chain, contract, root, state, size and epoch."""
    nonce = hashlib.sha256(f"{request.epoch}:{request.previous_root:#x}:{request.size}".encode()).hexdigest()
    return ClaimRequest(
        audience=f"starknet:{request.chain:#x}:{request.anchor:#x}",
        subject=f"medsync:1:{request.root:#x}:{request.state:#x}:{request.size}",
        nonce=nonce,
    )


def _check_growth(request: AttestationRequest, head: AnchorHead, values: Sequence[int]) -> None:
    """Raise VerificationError unless the request's log is the anchored log plus exactly these entries."""
    if (request.previous_size, request.previous_root) != (head.size, head.root):
        raise VerificationError(
            f"The request goes on from size {request.previous_size}; the size of the anchored log is "
            f"{head.size}, or its root differs."
        )
    frontier = Frontier(head.size, request.peaks)
    if frontier.root != head.root:
        raise VerificationError("The request's peaks are not the anchored log's.")
    for value in values:
        frontier.append(value)
    if (frontier.size, frontier.root) != (request.size, request.root):
        raise VerificationError("The request's entries do not give its root.")


_TABLES = sql.MetaData()
_SIGNED = sql.Table(
    "signed",
    _TABLES,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("size", sql.Integer, nullable=False),
    sql.Column("peaks", sql.JSON, nullable=False),
    sql.Column("leaves", sql.JSON, nullable=False),
)


class _Memory:
    """The last signed statement, to refuse forks of it permanently."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _TABLES, what="The attestor's memory")

    def close(self) -> None:
        self._database.close()

    def recall(self) -> Memory | None:
        with self._database.transaction() as connection:
            row = connection.execute(sql.select(_SIGNED)).first()
        if row is None:
            return None
        return Memory(row.size, tuple(_numbers(row.peaks)), tuple(_numbers(row.leaves)))

    def remember(self, memory: Memory) -> None:
        row = {
            "id": 1,
            "size": memory.size,
            "peaks": [hex(peak) for peak in memory.peaks],
            "leaves": [hex(value) for value in memory.values],
        }
        with self._database.transaction() as connection:
            connection.execute(sql.delete(_SIGNED))
            connection.execute(sql.insert(_SIGNED).values(row))

    def check(self, request: AttestationRequest, values: Sequence[int]) -> None:
        """Raise VerificationError unless the request's log extends the log that was signed before."""
        signed = self.recall()
        if signed is None:
            return
        anchored = request.previous_size - signed.size
        if anchored < 0:
            raise VerificationError(
                "The chain's log is shorter than a log that this attestor has seen anchored."
            )
        if anchored > len(signed.values):
            # Other attestors anchored more entries; the contract ensured that the log only grew.
            return
        frontier = Frontier(signed.size, signed.peaks)
        for value in signed.values[:anchored]:
            frontier.append(value)
        pending = signed.values[anchored:]
        if frontier.root != request.previous_root or list(pending) != list(values[: len(pending)]):
            raise VerificationError(
                "This is a fork: the request's log does not extend the log that this attestor signed before.",
                hint="Ask the bridge's operator. Do not delete the memory.",
            )


def _numbers(texts: Sequence[str]) -> list[int]:
    return [int(text, 16) for text in texts]

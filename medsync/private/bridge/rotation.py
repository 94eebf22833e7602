"""Replaces the attestors of an anchor: signing by the current attestors, and submission.

A signature is a file without secrets. Anyone can submit as many signatures as the current epoch's threshold
requires; the contract accepts all or none, so each is checked beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from medsync.errors import InputError, VerificationError
from medsync.private.schema import Felt, Schema
from medsync.protocol.anchor import rotation_message
from medsync.protocol.types import AnchorHead, AnchorNode, NodeSignature
from medsync.starknet.anchor import PrivateAnchorClient, is_signed_by, sign_rotation
from medsync.starknet.signer import StarkSigner


class RotationSignature(Schema):
    """A current node's signature of the next nodes and their threshold."""

    form: Literal["medsync.rotation-signature/1"] = "medsync.rotation-signature/1"
    chain: Felt
    #: The PrivateAnchor contract.
    anchor: Felt
    #: The epoch that ends.
    epoch: int = Field(ge=0)
    #: The signed message, see `rotation_message`: all of the above, the next nodes and their threshold.
    message: Felt
    #: Index among the epoch's registered nodes.
    node: int = Field(ge=0, lt=256)
    r: Felt
    s: Felt

    @property
    def node_signature(self) -> NodeSignature:
        """The signature for the contract."""
        return NodeSignature(self.node, self.r, self.s)


async def sign(
    signer: StarkSigner, anchor: PrivateAnchorClient, nodes: Sequence[AnchorNode], threshold: int
) -> RotationSignature:
    """Sign the next nodes as a current node. Raises InputError if the signer is not a current node."""
    chain, head = signer.chain_id, await anchor.head()
    keys = [node.stark_key for node in await anchor.nodes()]
    if signer.public_key not in keys:
        raise InputError(f"This institution is not a registered node in epoch {head.epoch}.")
    index = keys.index(signer.public_key)
    made = sign_rotation(signer, anchor.address, head, nodes, threshold, node=index, chain_id=chain)
    return RotationSignature(
        chain=chain,
        anchor=anchor.address,
        epoch=head.epoch,
        message=rotation_message(chain, anchor.address, head.epoch, threshold, nodes),
        node=index,
        r=made.r,
        s=made.s,
    )


async def check(
    anchor: PrivateAnchorClient,
    nodes: Sequence[AnchorNode],
    threshold: int,
    signatures: Mapping[str, RotationSignature],
) -> list[NodeSignature]:
    """Check signatures and convert them for the contract. The keys of `signatures` identify them in errors.

    Raises VerificationError with every signature that the contract would reject, and if there are too few.
    """
    head, present = await anchor.head(), await anchor.nodes()
    message = rotation_message(anchor.chain_id, anchor.address, head.epoch, threshold, nodes)
    wrong: list[str] = []
    found: dict[int, NodeSignature] = {}
    for name, signature in signatures.items():
        reason = _refusal(signature, anchor, head, present, message)
        if reason is None and signature.node in found:
            reason = f"node {signature.node} also signed another of these"
        if reason is None:
            found[signature.node] = signature.node_signature
        else:
            wrong.append(f"{name}: {reason}")
    if wrong:
        raise VerificationError("Not all signatures are valid:", findings=wrong)
    if len(found) < head.threshold:
        raise VerificationError(
            f"{len(found)} of the {head.threshold} signatures needed are here.",
            hint="Have other institutions sign: medsync anchor sign-rotation.",
        )
    return list(found.values())


def _refusal(
    signature: RotationSignature,
    anchor: PrivateAnchorClient,
    head: AnchorHead,
    present: Sequence[AnchorNode],
    message: int,
) -> str | None:
    """The reason why the contract would reject a signature, if any."""
    if (signature.chain, signature.anchor) != (anchor.chain_id, anchor.address):
        return "it is for another chain or another PrivateAnchor"
    if signature.epoch != head.epoch:
        return f"it is for epoch {signature.epoch}; the chain is in {head.epoch}"
    if signature.message != message:
        return "it is for other nodes, another order of them, or another threshold"
    if signature.node >= len(present):
        return f"there is no node {signature.node}"
    if not is_signed_by(present[signature.node], signature.node_signature, message):
        return f"node {signature.node} did not sign it"
    return None

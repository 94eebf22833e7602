"""The stand-in takes and refuses what the contract does."""

from __future__ import annotations

from typing import Any

import pytest

from medsync.errors import ContractError
from medsync.protocol.types import AnchorNode, NodeSignature, Statement
from tests.harness import rfc9162
from tests.harness.anchoring import Anchoring, log
from tests.harness.words import MAX_GROWTH
from tests.harness.world import World
from tests.private.interleavings.chain import Chain

FORK = log(9, salt=1)

#: What is submitted on top of three leaves of which two must be signed, and the code for which it is refused.
CASES: dict[str, dict[str, Any]] = {
    "ANCHOR/WRONG_EPOCH": {"epoch": 1},
    "ANCHOR/NOT_LONGER": {"size": 3},
    "ANCHOR/TOO_LONG": {"size": 3 + MAX_GROWTH + 1},
    "ANCHOR/NOT_CONSISTENT, as long as it may be": {"size": 3 + MAX_GROWTH},
    "ANCHOR/ZERO_ROOT": {"root": 0},
    "ANCHOR/NOT_CONSISTENT": {"root": rfc9162.tree_hash(FORK)},
    "ANCHOR/NOT_CONSISTENT, for its proof": {"consistency": rfc9162.consistency(3, FORK)},
    "ANCHOR/NOT_CONSISTENT, for a proof cut short": {"consistency": rfc9162.consistency(3, log(9))[:-1]},
    "ANCHOR/TOO_FEW_SIGNATURES": {"signers": [2]},
    "ANCHOR/TOO_FEW_SIGNATURES, none": {"signers": []},
    "ANCHOR/NOT_ASCENDING": {"signers": [1, 1]},
    "ANCHOR/NOT_ASCENDING, the other way round": {"signers": [1, 0]},
    "ANCHOR/UNKNOWN_NODE": {"signers": [0, 1], "nodes": [0, 3]},
    "ANCHOR/BAD_SIGNATURE": {"signers": [0, 1], "nodes": [0, 2]},
    "ANCHOR/BAD_SIGNATURE, for another commitment": {"signed": {"commitment": 1}},
    "": {"commitment": 0xC0},
}


def test_the_stand_in_is_like_the_contract(world: World) -> None:
    contract = Anchoring(world, keys=(11, 12, 13), threshold=2)
    nodes = [AnchorNode(**node) for node in contract.nodes]
    chain = Chain(nodes, threshold=2, chain_id=world.chain.chain_id, address=contract.contract.address)
    values = log(9)
    # From the empty log, whose proof is empty, to three leaves, and from there to nine.
    for size, cases in ((3, {"": {}}), (9, CASES)):
        for case, changes in cases.items():
            code = case.partition(",")[0]
            arguments = submission(contract, values[:size], **changes)
            refusal = refusal_of(chain, arguments)
            assert refusal == code, case
            if code:
                contract.refuses_to_anchor(code, values[:size], **arguments)
            else:
                contract.anchor(values[:size], **arguments)
        head = contract.anchor_head()
        assert (head["size"], head["root"]) == (chain.size, chain.root) == chain.history[-1]


def submission(
    contract: Anchoring,
    values: list[int],
    *,
    signers: list[int] | None = None,
    nodes: list[int] | None = None,
    consistency: list[int] | None = None,
    signed: dict[str, int] | None = None,
    **statement: int,
) -> dict[str, Any]:
    """What is sent; `nodes` are the indices under which the signatures are handed in, `signed` is what they
    are of instead."""
    said = contract.statement(values, **statement)
    signatures = contract.signatures(contract.anchor_message(said | (signed or {})), signers)
    for signature, node in zip(signatures, nodes or (), strict=False):
        signature["node"] = node
    if consistency is None:
        consistency = rfc9162.consistency(len(contract.values), values)
    return {"statement": said, "consistency": consistency, "signatures": signatures}


def refusal_of(chain: Chain, arguments: dict[str, Any]) -> str:
    """For what the stand-in refuses it."""
    signatures = [NodeSignature(**signature) for signature in arguments["signatures"]]
    try:
        chain.take(Statement(**arguments["statement"]), arguments["consistency"], signatures)
    except ContractError as error:
        return error.code
    return ""


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_proofs_are_read_as_they_are_written(size: int) -> None:
    values = log(size)
    root = rfc9162.tree_hash(values)
    for index in range(size):
        path = rfc9162.inclusion(index, values)
        assert rfc9162.root_by_inclusion(values[index], index, size, path) == root
        assert rfc9162.root_by_inclusion(values[index] + 1, index, size, path) != root
        assert rfc9162.root_by_inclusion(values[index], index, size, [*path, 1]) is None
        for first in range(index + 1):
            proof = rfc9162.consistency(first, values)
            before = rfc9162.tree_hash(values[:first])
            assert rfc9162.is_consistent(first, before, size, root, proof)
            assert not rfc9162.is_consistent(first, before, size, root + 1, proof) or first == 0
            assert not rfc9162.is_consistent(first, before, size, root, [*proof, 1])

"""A `PrivateAnchor` for one test, its nodes' keys, and the log that they attest.

Trees and messages are computed by code and hashes that share nothing with the package.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from starkware.cairo.common.poseidon_hash import poseidon_hash_many

from medsync.starknet.signer import public_key_of
from tests.harness import rfc9162
from tests.harness.cells import ANCHOR, poke
from tests.harness.driver import Contract, Receipt, RpcError, View, selector, sign
from tests.harness.words import felt
from tests.harness.world import World

KEYS = (11, 12, 13, 14, 15)
"""Private keys of five nodes."""
STATE = 0x57A7E
COMMITMENT = 0xC0117
ORDER = 0x0800000000000010FFFFFFFFFFFFFFFFB781126DCAE7B2321E66A241ADC64D2F
"""Of the STARK curve."""

UNSIGNED, UNPROVEN = "ANCHOR/TOO_FEW_SIGNATURES", "ANCHOR/NOT_CONSISTENT"

Node = dict[str, int]
Signature = dict[str, int]


def node_of(key: int) -> Node:
    """The registered node with this private key."""
    return {"stark_key": public_key_of(key), "identity": 0x1D0000 + key}


def constructor(nodes: Sequence[Node], threshold: int) -> list[int]:
    """Raw constructor arguments."""
    return [len(nodes), *(value for node in nodes for value in node.values()), threshold]


class Anchoring:
    """An anchor of some nodes, of which a threshold must sign, and the leaf values anchored so far."""

    def __init__(self, world: World, keys: Sequence[int] = KEYS, threshold: int = 3) -> None:
        self.world = world
        self.keys = tuple(keys)
        self.nodes = [node_of(key) for key in keys]
        self.threshold = threshold
        self.epoch = 0
        self.values: list[int] = []
        self.contract: Contract = world.deploy("PrivateAnchor", *constructor(self.nodes, threshold))

    # --- what is signed -------------------------------------------------------------------------------------

    def statement(self, values: Sequence[int], **changes: int) -> dict[str, int]:
        """The statement that the log has these leaves."""
        return {
            "size": len(values),
            "root": rfc9162.tree_hash(values),
            "state": STATE,
            "epoch": self.epoch,
            "commitment": COMMITMENT,
        } | changes

    def anchor_message(
        self,
        statement: dict[str, int],
        *,
        chain: int | None = None,
        contract: int | None = None,
        anchored: Sequence[int] | None = None,
    ) -> int:
        """What nodes sign of a statement; for another chain, contract or anchored log if they are named."""
        before = self.values if anchored is None else anchored
        return int(
            poseidon_hash_many(
                [
                    felt("MEDSYNC/ANCHOR/2"),
                    self.world.chain.chain_id if chain is None else chain,
                    self.contract.address if contract is None else contract,
                    statement["epoch"],
                    len(before),
                    rfc9162.tree_hash(before),
                    statement["size"],
                    statement["root"],
                    statement["state"],
                    statement["commitment"],
                ]
            )
        )

    def rotation_message(
        self,
        nodes: Sequence[Node],
        threshold: int,
        *,
        chain: int | None = None,
        contract: int | None = None,
        epoch: int | None = None,
    ) -> int:
        """What nodes sign to be replaced."""
        return int(
            poseidon_hash_many(
                [
                    felt("MEDSYNC/ROTATION/1"),
                    self.world.chain.chain_id if chain is None else chain,
                    self.contract.address if contract is None else contract,
                    self.epoch if epoch is None else epoch,
                    threshold,
                    len(nodes),
                    *(value for node in nodes for value in node.values()),
                ]
            )
        )

    def signatures(self, message: int, signers: Sequence[int] | None = None) -> list[Signature]:
        """Signatures by the nodes with these indices, or by as many as must."""
        chosen = range(self.threshold) if signers is None else signers
        return [signed(index, message, self.keys[index]) for index in chosen]

    # --- calls ----------------------------------------------------------------------------------------------

    def arguments_of_anchor(self, values: Sequence[int], **changes: Any) -> dict[str, Any]:
        """Arguments that anchor the log with these leaves, unless `changes` break them."""
        statement = changes.setdefault("statement", self.statement(values))
        if "consistency" not in changes:
            changes["consistency"] = rfc9162.consistency(len(self.values), values)
        if "signatures" not in changes:
            changes["signatures"] = self.signatures(self.anchor_message(statement))
        return {name: changes[name] for name in ("statement", "consistency", "signatures")}

    def anchor(self, values: Sequence[int], sender: int | None = None, **changes: Any) -> Receipt:
        """Anchor the log with these leaves, which must succeed."""
        by = self.world.relayer if sender is None else sender
        receipt = self.world.send(by, "anchor", self.contract, **self.arguments_of_anchor(values, **changes))
        self.values = list(values)
        return receipt

    def refuses_to_anchor(self, error: str, values: Sequence[int], **changes: Any) -> None:
        """Anchoring that must fail with exactly this error, and change nothing."""
        self.world.refuses(
            error, self.world.relayer, "anchor", self.contract, **self.arguments_of_anchor(values, **changes)
        )

    def rotate(self, keys: Sequence[int], threshold: int, sender: int | None = None) -> Receipt:
        """Replace the nodes, which must succeed."""
        by = self.world.relayer if sender is None else sender
        nodes = [node_of(key) for key in keys]
        signatures = self.signatures(self.rotation_message(nodes, threshold))
        receipt = self.world.send(
            by, "rotate", self.contract, nodes=nodes, threshold=threshold, signatures=signatures
        )
        self.keys, self.nodes, self.threshold = tuple(keys), nodes, threshold
        self.epoch += 1
        return receipt

    def anchor_head(self) -> dict[str, int]:
        """What the contract says."""
        head: dict[str, int] = self.world.read("head", self.contract)
        return head

    def put(self, size: int, root: int) -> None:
        """Have the contract hold a log that no quorum attested."""
        cell = ANCHOR.pack(size=size, epoch=self.epoch, threshold=self.threshold, nodes=len(self.nodes))
        poke(self.world, self.contract, cell, "anchor")
        poke(self.world, self.contract, root, "root")

    def judges(self, growths: Iterable[tuple[int, int, Sequence[int]]]) -> list[bool]:
        """Which of these logs (size, root, proof) the contract takes to begin with the anchored one.

        Nobody signed any: one is refused for its proof, or else for its missing signatures.
        """
        return [self._judges(size, root, path) for size, root, path in growths]

    def _judges(self, size: int, root: int, path: Sequence[int]) -> bool:
        statement = self.statement([], size=size, root=root)
        arguments = {"statement": statement, "consistency": list(path), "signatures": []}
        # Asked as if it were a view, which is quicker than a simulation.
        request = {
            "contract_address": hex(self.contract.address),
            "entry_point_selector": hex(selector("anchor")),
            "calldata": [hex(part) for part in self.contract.abi.encode_call("anchor", arguments)],
        }
        with pytest.raises(RpcError) as refused:
            self.world.chain.node.call("starknet_call", request=request, block_id="latest")
        said = {code: hex(felt(code)) in str(refused.value) for code in (UNSIGNED, UNPROVEN)}
        assert sum(said.values()) == 1, refused.value
        return said[UNSIGNED]

    def includes_all(self, proofs: Iterable[tuple[int, int, Sequence[int]]]) -> list[bool]:
        """What the contract says of several proofs (leaf value, index, path)."""
        views = [
            View(
                self.contract,
                "verify_inclusion",
                {"leaf_value": value, "index": index, "path": list(path)},
            )
            for value, index, path in proofs
        ]
        return self.world.read_all(views)

    def includes(self, value: int, index: int, path: Sequence[int]) -> bool:
        """What the contract says of a proof."""
        (answer,) = self.includes_all([(value, index, path)])
        return answer


def signed(index: int, message: int, key: int) -> Signature:
    """A node's signature."""
    r, s = sign(message, key)
    return {"node": index, "r": r, "s": s}


def log(size: int, salt: int = 0) -> list[int]:
    """Leaf values of a log; another salt is another log."""
    return [1_000_003 * (index + 1) + salt for index in range(size)]

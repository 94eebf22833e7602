"""What nodes sign and who they are, against cairo-lang's Poseidon and a signer that shares no code."""

from dataclasses import replace

import pytest
from starkware.cairo.common.poseidon_hash import poseidon_hash_many

from medsync.protocol.anchor import NodeKind, anchor_message, node_identity, rotation_message, state_digest
from medsync.protocol.felt import InvalidValue
from medsync.protocol.types import AnchorHead, AnchorNode, NodeSignature, Statement
from medsync.starknet.anchor import sign_rotation, sign_statement, verify_node_signature
from medsync.starknet.signer import StarkSigner, public_key_of
from tests.harness.anchoring import ORDER
from tests.harness.driver import sign

CHAIN, CONTRACT, KEY = 0x534E, 0xAAA, 4711
HEAD = AnchorHead(size=3, root=0x777, epoch=2, threshold=2, nodes=3, anchored_at=1_767_225_600)
STATEMENT = Statement(size=7, root=0xBBB, state=0xCCC, epoch=2, commitment=0xDDD)
NODE = AnchorNode(public_key_of(KEY), 5)
NODES = [AnchorNode(11, 12), AnchorNode(13, 14)]


def short(text: str) -> int:
    return int.from_bytes(text.encode(), "big")


def test_messages() -> None:
    assert anchor_message(CHAIN, CONTRACT, 3, 0x777, STATEMENT) == poseidon_hash_many(
        [short("MEDSYNC/ANCHOR/2"), CHAIN, CONTRACT, 2, 3, 0x777, 7, 0xBBB, 0xCCC, 0xDDD]
    )
    assert rotation_message(CHAIN, CONTRACT, 2, 1, NODES) == poseidon_hash_many(
        [short("MEDSYNC/ROTATION/1"), CHAIN, CONTRACT, 2, 1, 2, 11, 12, 13, 14]
    )


def test_identities_tell_the_kind() -> None:
    key = bytes(range(32))
    halves = int.from_bytes(key[:16], "big"), int.from_bytes(key[16:], "big")
    for kind in NodeKind:
        assert node_identity(kind, key) == poseidon_hash_many([short(kind.name), *halves])
    assert node_identity(NodeKind.EMBEDDED, key) != node_identity(NodeKind.CALIMERO, key)
    for wrong in (key[:31], key + b"\0", b""):
        with pytest.raises(InvalidValue, match="must have 32 bytes"):
            node_identity(NodeKind.CALIMERO, wrong)


def test_a_state_is_of_all_contexts_in_whatever_order() -> None:
    first, second = ("context-a", bytes([1] * 32)), ("context-b", bytes([2] * 32))
    assert state_digest([first, second]) == state_digest([second, first])
    half = [int.from_bytes(bytes([number] * 16), "big") for number in (1, 2)]
    names = [poseidon_hash_many([9, short(name)]) for name, _ in (first, second)]
    assert state_digest([first, second]) == poseidon_hash_many(
        [short("MEDSYNC/STATE/1"), 2, names[0], half[0], half[0], names[1], half[1], half[1]]
    )
    assert len({state_digest(states) for states in ([], [first], [second], [first, second])}) == 4
    with pytest.raises(InvalidValue, match="state root"):
        state_digest([("context-a", bytes(31))])


def test_a_signature_is_good_for_one_statement_on_one_log() -> None:
    signature = sign_statement(StarkSigner(KEY, CHAIN), CONTRACT, HEAD, STATEMENT, node=1, chain_id=CHAIN)
    assert signature.node == 1

    def holds(
        node: AnchorNode = NODE,
        signature: NodeSignature = signature,
        address: int = CONTRACT,
        head: AnchorHead = HEAD,
        statement: Statement = STATEMENT,
        chain_id: int = CHAIN,
    ) -> bool:
        return verify_node_signature(node, signature, address, head, statement, chain_id=chain_id)

    assert holds()
    # As the contract takes it: another signer's, and the one that anybody makes of it.
    r, s = sign(anchor_message(CHAIN, CONTRACT, HEAD.size, HEAD.root, STATEMENT), KEY)
    assert holds(signature=NodeSignature(1, r, s))
    assert holds(signature=NodeSignature(1, r, ORDER - s))

    assert not holds(node=AnchorNode(public_key_of(KEY + 1), 5))
    assert not holds(address=CONTRACT + 1)
    assert not holds(chain_id=CHAIN + 1)
    assert not holds(head=replace(HEAD, size=4))
    assert not holds(head=replace(HEAD, root=4))
    for changed in ({"size": 8}, {"root": 8}, {"state": 8}, {"epoch": 3}, {"commitment": 8}):
        assert not holds(statement=replace(STATEMENT, **changed))
    for wrong in ((0, s), (r, 0), (r, ORDER), (s, r), (0, 0), (r, s + 1)):
        assert not holds(signature=NodeSignature(1, *wrong))


def test_a_rotation_is_signed_like_a_statement() -> None:
    signer = StarkSigner(KEY, CHAIN)
    signature = sign_rotation(signer, CONTRACT, HEAD, NODES, 1, node=2, chain_id=CHAIN)
    message = rotation_message(CHAIN, CONTRACT, HEAD.epoch, 1, NODES)
    assert signature == NodeSignature(2, *signer.sign_hash(message))


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: AnchorNode(-1, 5), "stark_key"),
        (lambda: AnchorNode(5, 2**252), "identity"),
        (lambda: Statement(2**64, 1, 1, 1), "size"),
        (lambda: Statement(1, -1, 1, 1), "root"),
        (lambda: Statement(1, 1, -1, 1), "state"),
        (lambda: Statement(1, 1, 1, 2**32), "epoch"),
        (lambda: Statement(1, 1, 1, 1, -1), "commitment"),
        (lambda: NodeSignature(256, 1, 1), "node"),
        (lambda: NodeSignature(1, -1, 1), "r"),
        (lambda: NodeSignature(1, 1, -1), "s"),
    ],
)
def test_what_the_wire_cannot_carry(make: object, field: str) -> None:
    assert callable(make)
    with pytest.raises(InvalidValue, match=f"^{field} must be"):
        make()

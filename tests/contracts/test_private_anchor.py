"""Anchoring a private log: who may, with which proof, and what is attempted against it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from medsync.protocol.felt import PRIME
from tests.harness import rfc9162
from tests.harness.anchoring import (
    COMMITMENT,
    KEYS,
    ORDER,
    STATE,
    Anchoring,
    Node,
    constructor,
    log,
    node_of,
    signed,
)
from tests.harness.cells import ANCHOR, address_of, peek, poke
from tests.harness.words import LARGEST_FELT, MAX_GROWTH, MAX_U32
from tests.harness.world import World

NOBODY = 99
"""A private key that is no node's."""


@pytest.fixture
def anchoring(world: World) -> Anchoring:
    return Anchoring(world)


# --- the first nodes ----------------------------------------------------------------------------------------


def test_first_nodes_are_named(world: World) -> None:
    nodes = [node_of(key) for key in KEYS[:3]]
    declared = world.chain.declared("PrivateAnchor")
    contract, call = world.chain.deployment(declared, constructor(nodes, 2))
    outcome = world.execute(world.relayer, call)
    assert outcome.error is None, outcome.reason
    assert outcome.events == [world.raised("NodesRotated", contract, epoch=0, threshold=2, nodes=nodes)]
    assert world.read("head", contract) == {
        "size": 0,
        "root": 0,
        "epoch": 0,
        "threshold": 2,
        "nodes": 3,
        "anchored_at": 0,
    }
    for index, node in enumerate(nodes):
        assert world.read("node", contract, index=index) == node
    for index in (3, 255):
        world.refuses("ANCHOR/UNKNOWN_NODE", world.stranger, "node", contract, index=index)


def off_curve() -> int:
    """The smallest number that is no x coordinate of the STARK curve, by Euler's criterion."""
    beta = 0x6F21413EFBE40DE150E596D72F7A8C5609AD26C15C915C1F4CDFCB99CEE9E89
    return next(x for x in range(1, 100) if pow(x**3 + x + beta, (PRIME - 1) // 2, PRIME) != 1)


def nodes_but(index: int, **changes: int) -> list[Node]:
    """Four nodes, one of them changed."""
    nodes = [node_of(key) for key in KEYS[:4]]
    nodes[index] |= changes
    return nodes


SEVENTEEN = [node_of(100 + number) for number in range(17)]
BAD_NODES: dict[str, tuple[list[Node], int, str]] = {
    "one too many": (SEVENTEEN, 1, "ANCHOR/TOO_MANY_NODES"),
    "nobody": ([], 0, "ANCHOR/BAD_THRESHOLD"),
    "one of nobody": ([], 1, "ANCHOR/BAD_THRESHOLD"),
    "none must sign": (nodes_but(0), 0, "ANCHOR/BAD_THRESHOLD"),
    "more than all must sign": (nodes_but(0), 5, "ANCHOR/BAD_THRESHOLD"),
    "a zero key": (nodes_but(1, stark_key=0), 2, "ANCHOR/BAD_KEY"),
    "a key off the curve": (nodes_but(3, stark_key=off_curve()), 2, "ANCHOR/BAD_KEY"),
    "no identity": (nodes_but(2, identity=0), 2, "ANCHOR/ZERO_IDENTITY"),
    "a key twice in a row": (
        nodes_but(1, stark_key=node_of(KEYS[0])["stark_key"]),
        2,
        "ANCHOR/DUPLICATE_KEY",
    ),
    "first and last key": (nodes_but(3, stark_key=node_of(KEYS[0])["stark_key"]), 2, "ANCHOR/DUPLICATE_KEY"),
    "an identity twice": (
        nodes_but(3, identity=node_of(KEYS[2])["identity"]),
        2,
        "ANCHOR/DUPLICATE_IDENTITY",
    ),
    "first and last identity": (
        nodes_but(3, identity=node_of(KEYS[0])["identity"]),
        2,
        "ANCHOR/DUPLICATE_IDENTITY",
    ),
}


@pytest.mark.parametrize("what", BAD_NODES)
def test_nodes_that_cannot_be(anchoring: Anchoring, what: str) -> None:
    """Neither at the beginning nor later, though a quorum signed it."""
    nodes, threshold, error = BAD_NODES[what]
    world = anchoring.world
    _, call = world.chain.deployment(world.chain.declared("PrivateAnchor"), constructor(nodes, threshold))
    assert world.execute(world.relayer, call).error == error
    world.refuses(
        error,
        world.relayer,
        "rotate",
        anchoring.contract,
        nodes=nodes,
        threshold=threshold,
        signatures=anchoring.signatures(anchoring.rotation_message(nodes, threshold)),
    )


def test_sixteen_nodes_may_all_have_to_sign(world: World) -> None:
    anchoring = Anchoring(world, range(100, 116), 16)
    receipt = anchoring.anchor(log(3))
    assert receipt.events[0].data["signers"] == 0xFFFF
    anchoring.refuses_to_anchor(
        "ANCHOR/TOO_FEW_SIGNATURES",
        log(4),
        signatures=anchoring.signatures(anchoring.anchor_message(anchoring.statement(log(4))), range(15)),
    )


def test_one_node_may_be_all(world: World) -> None:
    anchoring = Anchoring(world, KEYS[:1], 1)
    anchoring.anchor(log(1))
    assert anchoring.anchor_head()["size"] == 1


# --- anchoring ----------------------------------------------------------------------------------------------


def test_a_log_grows(anchoring: Anchoring) -> None:
    """Every event and cell exactly: only the first anchor buys a cell, that of the root."""
    world, contract = anchoring.world, anchoring.contract
    for size in (1, 2, 3, 7, 8, 21):
        world.wait(60)
        receipt = anchoring.anchor(log(size), sender=world.stranger)
        root = rfc9162.tree_hash(log(size))
        assert receipt.events == [
            world.raised(
                "Anchored",
                contract,
                root=root,
                epoch=0,
                size=size,
                state=STATE,
                commitment=COMMITMENT,
                at=world.now,
                signers=0b111,
            )
        ]
        assert {address: cells for address, cells in receipt.cells.items() if cells} == {contract.address: 2}
        assert anchoring.anchor_head() == {
            "size": size,
            "root": root,
            "epoch": 0,
            "threshold": 3,
            "nodes": 5,
            "anchored_at": world.now,
        }
        assert peek(world, contract, "root") == root
        assert peek(world, contract, "anchor") == ANCHOR.pack(
            size=size, threshold=3, nodes=5, anchored_at=world.now
        )


@pytest.mark.parametrize(
    ("signers", "bits"),
    [((0, 1, 2), 0b00111), ((2, 3, 4), 0b11100), ((0, 2, 4), 0b10101), (range(5), 0b11111)],
)
def test_any_quorum_will_do(anchoring: Anchoring, signers: Sequence[int], bits: int) -> None:
    statement = anchoring.statement(log(4))
    signatures = anchoring.signatures(anchoring.anchor_message(statement), signers)
    receipt = anchoring.anchor(log(4), signatures=signatures)
    assert receipt.events[0].data["signers"] == bits


def test_nodes_are_kept_in_two_cells_each(anchoring: Anchoring) -> None:
    world, contract = anchoring.world, anchoring.contract
    for index, node in enumerate(anchoring.nodes):
        assert peek(world, contract, "nodes", index) == node["stark_key"]
        answer = world.chain.node.call(
            "starknet_getStorageAt",
            contract_address=hex(contract.address),
            key=hex(address_of("nodes", index) + 1),
            block_id="latest",
        )
        assert int(answer, 16) == node["identity"]


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 4, 5])
def test_a_log_never_shrinks_or_stands_still(anchoring: Anchoring, size: int) -> None:
    """A rolled-back log, the same one once more, and another of the same size, each signed by a quorum."""
    anchoring.anchor(log(5))
    for values in (log(size), log(size, salt=1)):
        statement = anchoring.statement(values)
        for consistency in ([], [rfc9162.tree_hash(log(5))]):
            anchoring.refuses_to_anchor(
                "ANCHOR/NOT_LONGER", values, statement=statement, consistency=consistency
            )


@pytest.mark.parametrize("commitment", [0, LARGEST_FELT])
def test_a_statement_can_commit_to_something_else_too(anchoring: Anchoring, commitment: int) -> None:
    """The contract only repeats it; the nodes' signatures cover it."""
    statement = anchoring.statement(log(2), commitment=commitment)
    (event,) = anchoring.anchor(log(2), statement=statement).events
    assert event.data["commitment"] == commitment


@pytest.mark.parametrize("before", [0, 5])
@pytest.mark.parametrize(("growth", "error"), [(MAX_GROWTH, None), (MAX_GROWTH + 1, "ANCHOR/TOO_LONG")])
def test_a_log_grows_by_at_most_2_to_the_32(
    anchoring: Anchoring, before: int, growth: int, error: str | None
) -> None:
    """A quorum's nonsense cannot use the sizes up: whatever it signs, there is room for 2^32 more of it."""
    if before:
        anchoring.anchor(log(before))
    statement = anchoring.statement([], size=before + growth, root=8)
    if error is None and before:
        # Looked at after the growth; nobody has a tree of that size to prove it with.
        error = "ANCHOR/NOT_CONSISTENT"
    if error:
        anchoring.refuses_to_anchor(error, [], statement=statement, consistency=[])
    else:
        anchoring.anchor([], statement=statement, consistency=[])
        assert anchoring.anchor_head()["size"] == MAX_GROWTH


@pytest.mark.parametrize("epoch", [1, MAX_U32])
def test_another_epoch(anchoring: Anchoring, epoch: int) -> None:
    anchoring.refuses_to_anchor(
        "ANCHOR/WRONG_EPOCH", log(2), statement=anchoring.statement(log(2), epoch=epoch)
    )


def test_a_root_of_zero(anchoring: Anchoring) -> None:
    anchoring.refuses_to_anchor("ANCHOR/ZERO_ROOT", log(2), statement=anchoring.statement(log(2), root=0))


def test_a_forked_log(anchoring: Anchoring) -> None:
    """A quorum rewrites one old leaf. It can sign, and has the proof of its own log; not of this one."""
    anchoring.anchor(log(5))
    for place in range(5):
        forked = log(9)
        forked[place] += 1
        for consistency in (rfc9162.consistency(5, forked), rfc9162.consistency(5, log(9))):
            anchoring.refuses_to_anchor("ANCHOR/NOT_CONSISTENT", forked, consistency=consistency)
    anchoring.anchor(log(9))


@pytest.mark.parametrize("first", [*range(1, 14), 16])
def test_a_log_grows_by_its_own_proof_alone(anchoring: Anchoring, first: int) -> None:
    """To each larger size there is one proof: none shorter, longer or altered, and none for other sizes."""
    held = rfc9162.tree_hash(log(first))
    anchoring.put(first, held)
    right = [
        (second, rfc9162.tree_hash(log(second)), rfc9162.consistency(first, log(second)))
        for second in range(first + 1, 19)
    ]
    assert all(anchoring.judges(right))
    wrong: list[tuple[int, int, list[int]]] = []
    for size, root, path in right:
        wrong += [(size, root, []), (size, root, [*path, 0]), (size, root, [held, *path])]
        wrong += [(2 * size + 1, root, path), (size, root + 1, path), (size, held, path)]
        for place in range(len(path)):
            wrong.append((size, root, path[:place] + path[place + 1 :]))
            wrong.append((size, root, [*path[:place], path[place] + 1, *path[place + 1 :]]))
    assert not any(anchoring.judges(wrong))


def test_the_first_anchor_needs_no_proof_and_takes_none(anchoring: Anchoring) -> None:
    root = rfc9162.tree_hash(log(2))
    for consistency in ([0], [root], [root, root]):
        anchoring.refuses_to_anchor("ANCHOR/NOT_CONSISTENT", log(2), consistency=consistency)


def test_one_signature_too_few(anchoring: Anchoring) -> None:
    message = anchoring.anchor_message(anchoring.statement(log(3)))
    for signers in ((), (0,), (1, 4)):
        signatures = anchoring.signatures(message, signers)
        anchoring.refuses_to_anchor("ANCHOR/TOO_FEW_SIGNATURES", log(3), signatures=signatures)


@pytest.mark.parametrize("signers", [(0, 0, 0), (0, 1, 1), (0, 2, 1), (2, 1, 0), (0, 1, 2, 2), (0, 1, 2, 0)])
def test_a_node_that_signs_twice_or_out_of_order(anchoring: Anchoring, signers: Sequence[int]) -> None:
    message = anchoring.anchor_message(anchoring.statement(log(3)))
    signatures = anchoring.signatures(message, signers)
    anchoring.refuses_to_anchor("ANCHOR/NOT_ASCENDING", log(3), signatures=signatures)


def test_a_node_that_is_not_there(anchoring: Anchoring) -> None:
    message = anchoring.anchor_message(anchoring.statement(log(3)))
    for index in (5, 16, 255):
        signatures = [*anchoring.signatures(message, (0, 1)), signed(index, message, NOBODY)]
        anchoring.refuses_to_anchor("ANCHOR/UNKNOWN_NODE", log(3), signatures=signatures)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_signature_must_be_its_nodes(anchoring: Anchoring, place: int) -> None:
    """One that is not spoils them all, though there are enough without it."""
    message = anchoring.anchor_message(anchoring.statement(log(3)))
    good = anchoring.signatures(message, (0, 1, 2, 3))
    r, s = good[place]["r"], good[place]["s"]
    for bad in (
        signed(place, message, NOBODY),
        signed(place, message, KEYS[place + 1]),
        signed(place, message + 1, KEYS[place]),
        {"node": place, "r": s, "s": r},
        {"node": place, "r": r, "s": 0},
        {"node": place, "r": 0, "s": s},
        {"node": place, "r": 0, "s": 0},
        {"node": place, "r": r, "s": ORDER},
    ):
        signatures = [*good[:place], bad, *good[place + 1 :]]
        anchoring.refuses_to_anchor("ANCHOR/BAD_SIGNATURE", log(3), signatures=signatures)


def test_a_signature_turned_round_counts_once(anchoring: Anchoring) -> None:
    """Of (r, s) anybody makes (r, -s), which is as good. It stands in its place, not beside it."""
    message = anchoring.anchor_message(anchoring.statement(log(3)))
    first, second, third = anchoring.signatures(message)
    turned = second | {"s": ORDER - second["s"]}
    for signatures in ([first, second, turned], [first, turned, second]):
        anchoring.refuses_to_anchor("ANCHOR/NOT_ASCENDING", log(3), signatures=signatures)
    receipt = anchoring.anchor(log(3), signatures=[first, turned, third])
    assert receipt.events[0].data["signers"] == 0b111


# --- nothing is good twice ----------------------------------------------------------------------------------


def test_the_same_call_again(anchoring: Anchoring) -> None:
    world, arguments = anchoring.world, anchoring.arguments_of_anchor(log(3))
    world.send(world.relayer, "anchor", anchoring.contract, **arguments)
    world.refuses("ANCHOR/NOT_LONGER", world.relayer, "anchor", anchoring.contract, **arguments)


def test_signatures_for_another_chain_or_contract(anchoring: Anchoring) -> None:
    """The same nodes attest in a second contract, too: what they sign for one is not good for the other."""
    other = Anchoring(anchoring.world)
    assert other.nodes == anchoring.nodes
    statement = anchoring.statement(log(3))
    for elsewhere in (
        {"chain": anchoring.world.chain.chain_id + 1},
        {"contract": other.contract.address},
        {"chain": 0},
    ):
        signatures = anchoring.signatures(anchoring.anchor_message(statement, **elsewhere))
        anchoring.refuses_to_anchor("ANCHOR/BAD_SIGNATURE", log(3), signatures=signatures)
    other.anchor(log(3))
    signatures = other.signatures(other.anchor_message(statement, anchored=[]))
    anchoring.refuses_to_anchor("ANCHOR/BAD_SIGNATURE", log(3), signatures=signatures)


def test_signatures_on_top_of_another_log(anchoring: Anchoring) -> None:
    """What was signed before others anchored is void, although the log grew consistently."""
    statement = anchoring.statement(log(9))
    early = anchoring.signatures(anchoring.anchor_message(statement))
    anchoring.anchor(log(4))
    anchoring.refuses_to_anchor("ANCHOR/BAD_SIGNATURE", log(9), signatures=early)
    other = anchoring.signatures(anchoring.anchor_message(statement, anchored=log(4, salt=1)))
    anchoring.refuses_to_anchor("ANCHOR/BAD_SIGNATURE", log(9), signatures=other)


@pytest.mark.parametrize("field", ["size", "root", "state", "commitment"])
def test_signatures_of_another_statement(anchoring: Anchoring, field: str) -> None:
    statement = anchoring.statement(log(3))
    signatures = anchoring.signatures(anchoring.anchor_message(statement))
    changed = statement | {field: statement[field] + 1}
    anchoring.refuses_to_anchor("ANCHOR/BAD_SIGNATURE", log(3), statement=changed, signatures=signatures)


def test_a_rotation_is_no_statement_and_a_statement_no_rotation(anchoring: Anchoring) -> None:
    world = anchoring.world
    nodes = [node_of(key) for key in (21, 22, 23)]
    of_rotation = anchoring.signatures(anchoring.rotation_message(nodes, 2))
    anchoring.refuses_to_anchor("ANCHOR/BAD_SIGNATURE", log(3), signatures=of_rotation)
    of_statement = anchoring.signatures(anchoring.anchor_message(anchoring.statement(log(3))))
    world.refuses(
        "ANCHOR/BAD_SIGNATURE",
        world.relayer,
        "rotate",
        anchoring.contract,
        nodes=nodes,
        threshold=2,
        signatures=of_statement,
    )


# --- rotation -----------------------------------------------------------------------------------------------


def test_nodes_are_replaced_and_the_log_goes_on(anchoring: Anchoring) -> None:
    world, contract = anchoring.world, anchoring.contract
    anchoring.anchor(log(5))
    before = anchoring.anchor_head()
    receipt = anchoring.rotate((21, 22), 2, sender=world.stranger)
    nodes = [node_of(21), node_of(22)]
    assert receipt.events == [world.raised("NodesRotated", contract, epoch=1, threshold=2, nodes=nodes)]
    assert anchoring.anchor_head() == before | {"epoch": 1, "threshold": 2, "nodes": 2}
    assert [world.read("node", contract, index=index) for index in (0, 1)] == nodes
    # What is left of the former ones means nothing.
    world.refuses("ANCHOR/UNKNOWN_NODE", world.stranger, "node", contract, index=2)
    receipt = anchoring.anchor(log(8))
    assert receipt.events[0].keys["epoch"] == 1
    anchoring.rotate((31, 32, 33, 34, 35, 36), 4)
    assert [world.read("node", contract, index=index) for index in range(6)] == anchoring.nodes
    anchoring.anchor(log(9))
    assert anchoring.anchor_head()["epoch"] == 2


def test_who_was_rotated_out_signs_nothing(anchoring: Anchoring) -> None:
    world, old_keys = anchoring.world, anchoring.keys
    anchoring.rotate((21, 22), 2)
    message = anchoring.anchor_message(anchoring.statement(log(3)))
    by_old = [signed(index, message, old_keys[index]) for index in (0, 1, 2)]
    anchoring.refuses_to_anchor("ANCHOR/BAD_SIGNATURE", log(3), signatures=by_old[:2])
    # Its key still stands in the cell of the third node; there is no third node.
    by_both = [*anchoring.signatures(message), by_old[2]]
    anchoring.refuses_to_anchor("ANCHOR/UNKNOWN_NODE", log(3), signatures=by_both)
    back = [node_of(key) for key in old_keys]
    rotation = anchoring.rotation_message(back, 3)
    world.refuses(
        "ANCHOR/BAD_SIGNATURE",
        world.relayer,
        "rotate",
        anchoring.contract,
        nodes=back,
        threshold=3,
        signatures=[signed(index, rotation, old_keys[index]) for index in (0, 1)],
    )


def test_an_epoch_is_not_replayed(anchoring: Anchoring) -> None:
    """The same nodes sign on in the next epoch: what they signed in the one before is void."""
    statement = anchoring.statement(log(3))
    early = anchoring.signatures(anchoring.anchor_message(statement))
    anchoring.rotate(KEYS, 3)
    anchoring.refuses_to_anchor("ANCHOR/WRONG_EPOCH", log(3), statement=statement, signatures=early)
    anchoring.refuses_to_anchor("ANCHOR/BAD_SIGNATURE", log(3), signatures=early)


Spoil = Callable[[Anchoring, list[Node]], int]
OTHER_ROTATIONS: dict[str, Spoil] = {
    "another chain": lambda anchoring, nodes: anchoring.rotation_message(nodes, 2, chain=1),
    "another contract": lambda anchoring, nodes: anchoring.rotation_message(nodes, 2, contract=1),
    "the epoch before": lambda anchoring, nodes: anchoring.rotation_message(nodes, 2, epoch=0),
    "another threshold": lambda anchoring, nodes: anchoring.rotation_message(nodes, 1),
    "other nodes": lambda anchoring, nodes: anchoring.rotation_message(nodes[:2], 2),
    "another order": lambda anchoring, nodes: anchoring.rotation_message(nodes[::-1], 2),
    "another identity": lambda anchoring, nodes: anchoring.rotation_message(
        [*nodes[:2], nodes[2] | {"identity": 5}], 2
    ),
}


@pytest.mark.parametrize("other", OTHER_ROTATIONS)
def test_signatures_of_another_rotation(anchoring: Anchoring, other: str) -> None:
    anchoring.rotate(KEYS, 3)
    nodes = [node_of(key) for key in (21, 22, 23)]
    signatures = anchoring.signatures(OTHER_ROTATIONS[other](anchoring, nodes))
    refuse_rotation(anchoring, "ANCHOR/BAD_SIGNATURE", nodes, signatures)


def test_a_rotation_needs_a_quorum(anchoring: Anchoring) -> None:
    nodes = [node_of(key) for key in (21, 22, 23)]
    rotation = anchoring.rotation_message(nodes, 2)
    for error, signatures in (
        ("ANCHOR/TOO_FEW_SIGNATURES", anchoring.signatures(rotation, (0, 1))),
        ("ANCHOR/NOT_ASCENDING", anchoring.signatures(rotation, (0, 1, 1))),
        ("ANCHOR/UNKNOWN_NODE", [*anchoring.signatures(rotation, (0, 1)), signed(5, rotation, NOBODY)]),
        ("ANCHOR/BAD_SIGNATURE", [*anchoring.signatures(rotation, (0, 1)), signed(2, rotation, NOBODY)]),
    ):
        refuse_rotation(anchoring, error, nodes, signatures)


def refuse_rotation(
    anchoring: Anchoring, error: str, nodes: list[Node], signatures: list[dict[str, int]]
) -> None:
    world = anchoring.world
    arguments: dict[str, Any] = {"nodes": nodes, "threshold": 2, "signatures": signatures}
    world.refuses(error, world.relayer, "rotate", anchoring.contract, **arguments)


def test_epochs_end_after_four_billion(anchoring: Anchoring) -> None:
    """It panics rather than wraps, which would make the first epoch's signatures good again."""
    world = anchoring.world
    poke(world, anchoring.contract, ANCHOR.pack(epoch=MAX_U32, threshold=3, nodes=5), "anchor")
    anchoring.epoch = MAX_U32
    nodes = [node_of(21), node_of(22)]
    refuse_rotation(
        anchoring, "u32_add Overflow", nodes, anchoring.signatures(anchoring.rotation_message(nodes, 2))
    )
    anchoring.anchor(log(2))


def test_the_largest_log_and_no_larger(anchoring: Anchoring) -> None:
    """Of 2^64 - 1 leaves; a proof costs its 64 levels, and nothing overflows."""
    largest = 2**64 - 1
    anchoring.put(largest - 1, 7)
    statement = anchoring.statement([], size=largest, root=8)
    for consistency in ([], [1] * 63, [1] * 64, [1] * 200):
        anchoring.refuses_to_anchor("ANCHOR/NOT_CONSISTENT", [], statement=statement, consistency=consistency)
    assert not anchoring.includes(1, largest - 2, [1] * 64)
    assert not anchoring.includes(1, largest, [1] * 64)


# --- inclusion ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [*range(1, 14), 16, 17])
def test_a_leaf_is_included_where_it_is(anchoring: Anchoring, size: int) -> None:
    values = log(size)
    anchoring.put(size, rfc9162.tree_hash(values))
    right = [(value, index, rfc9162.inclusion(index, values)) for index, value in enumerate(values)]
    assert all(anchoring.includes_all(right))
    wrong: list[tuple[int, int, list[int]]] = []
    for value, index, path in right:
        wrong += [(value, place, path) for place in (*range(size + 2), 2**64 - 1) if place != index]
        wrong += [(value + 1, index, path), (value, index, [*path, 0]), (value, index, [0, *path])]
        for place in range(len(path)):
            wrong.append((value, index, path[:place] + path[place + 1 :]))
            wrong.append((value, index, [*path[:place], path[place] + 1, *path[place + 1 :]]))
    assert not any(anchoring.includes_all(wrong))


def test_a_proof_ends_at_the_root(anchoring: Anchoring) -> None:
    """A quorum lies and attests what would lie above the root: no proof goes on to there."""
    values, above = log(5), 7
    root = rfc9162.tree_hash(values)
    for beyond in (rfc9162.node(root, above), rfc9162.node(above, root)):
        anchoring.put(5, beyond)
        for index, value in enumerate(values):
            assert not anchoring.includes(value, index, [*rfc9162.inclusion(index, values), above])
    for size in (5, 8):
        anchoring.put(size, rfc9162.node(above, rfc9162.tree_hash(log(size))))
        growth = [*rfc9162.consistency(size, log(11)), above]
        assert anchoring.judges([(11, rfc9162.node(above, rfc9162.tree_hash(log(11))), growth)]) == [False]


def test_nothing_is_included_in_the_empty_log(anchoring: Anchoring) -> None:
    for value in (0, 1):
        assert not anchoring.includes(value, 0, [])
        assert not anchoring.includes(value, 0, [0])


def test_a_proof_holds_for_the_anchored_log_alone(anchoring: Anchoring) -> None:
    """A leaf that is not anchored yet, and a proof for what was anchored before or in another contract."""
    anchoring.anchor(log(5))
    early, late = rfc9162.inclusion(2, log(5)), rfc9162.inclusion(2, log(8))
    assert anchoring.includes(log(8)[2], 2, early)
    assert not anchoring.includes(log(8)[2], 2, late)
    assert not anchoring.includes(log(8)[6], 6, rfc9162.inclusion(6, log(8)))
    anchoring.anchor(log(8))
    assert not anchoring.includes(log(8)[2], 2, early)
    assert anchoring.includes(log(8)[2], 2, late)
    other = Anchoring(anchoring.world)
    other.anchor(log(8, salt=1))
    assert not other.includes(log(8)[2], 2, late)


def test_a_node_is_no_leaf(anchoring: Anchoring) -> None:
    """A quorum lies about the size, so that the four leaves' upper nodes stand where leaves belong."""
    values = log(4)
    left, right = rfc9162.tree_hash(values[:2]), rfc9162.tree_hash(values[2:])
    anchoring.anchor(values, statement=anchoring.statement(values, size=2))
    assert anchoring.anchor_head()["root"] == rfc9162.node(left, right)
    assert not anchoring.includes(left, 0, [right])
    assert not anchoring.includes(right, 1, [left])
    assert rfc9162.tree_hash([left, right]) != rfc9162.node(left, right)


def test_a_leaf_is_no_node(anchoring: Anchoring) -> None:
    """A leaf whose value is a leaf's hash would be the node of that leaf and zero, were it hashed alike."""
    inner = rfc9162.leaf(5)
    values = [inner, 6]
    anchoring.anchor(values, statement=anchoring.statement(values, size=4))
    assert not anchoring.includes(5, 0, [0, rfc9162.leaf(6)])
    assert rfc9162.leaf(inner) != rfc9162.node(inner, 0)


def test_it_calls_nobody(anchoring: Anchoring) -> None:
    """Nobody is called, so nobody calls back."""
    world = anchoring.world
    call = world.call("anchor", anchoring.contract, **anchoring.arguments_of_anchor(log(3)))
    assert world.simulate(world.relayer, call).outward == set()

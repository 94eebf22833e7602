//! What private nodes did, provable by anyone: a quorum of registered nodes attests the roots of an
//! append-only log of their operations.
//!
//! Nobody administers it. A quorum of the present nodes names the next ones; what a quorum signed
//! is good for this chain, this contract and the present epoch alone. A longer log is only taken
//! with the proof that it begins with the one before, so that not even all nodes together can take
//! anything out of it.

use starknet::ContractAddress;
use starknet::storage_access::StorePacking;
use crate::hash::SpongeTrait;
use crate::packing::{join, packed_time, split};

/// A private node that may attest.
#[derive(Copy, Drop, Serde, PartialEq, Debug, starknet::Store)]
pub struct AnchorNode {
    /// Public key on the STARK curve (its x coordinate) by which statements are signed.
    pub stark_key: felt252,
    /// Poseidon of the node's kind and the halves of its ed25519 key: who looks at the chain sees
    /// what attests.
    pub identity: felt252,
}

/// What a quorum attests: at this size the log has this root, and the nodes this state.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct Statement {
    /// Number of leaves.
    pub size: u64,
    pub root: felt252,
    /// Digest of the nodes' replicated state; the contract only repeats it.
    pub state: felt252,
    /// The present epoch.
    pub epoch: u32,
}

/// A node's signature (ECDSA on the STARK curve).
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct NodeSignature {
    /// The node's index.
    pub node: u8,
    pub r: felt252,
    pub s: felt252,
}

/// How far the log is anchored, and who may go on.
#[derive(Copy, Drop, Serde, PartialEq, Debug)]
pub struct AnchorHead {
    /// Number of leaves.
    pub size: u64,
    /// Zero for the empty log.
    pub root: felt252,
    /// How often the nodes were replaced.
    pub epoch: u32,
    /// How many nodes must sign.
    pub threshold: u8,
    /// How many nodes there are.
    pub nodes: u8,
    /// Unix seconds of the last anchor; zero before the first.
    pub anchored_at: u64,
}

/// The stored head but for the root: `size:64 | epoch:32 | threshold:16 | nodes:16 |
/// anchored_at:40`.
#[derive(Copy, Drop, PartialEq, Debug)]
pub struct Anchor {
    pub size: u64,
    pub epoch: u32,
    pub threshold: u8,
    pub nodes: u8,
    pub anchored_at: u64,
}

/// Most nodes of one epoch.
pub const MAX_NODES: u32 = 16;

/// SRC-5 id: XOR of the extended selectors of `IPrivateAnchor` (SNIP-5).
pub const IPRIVATE_ANCHOR_ID: felt252 =
    0x332c739e51e91e43540351287b0646c7acf07d14c2fa111295fedfa5ff2bd43;

/// Roots of a private log, attested by a quorum of its nodes.
#[starknet::interface]
pub trait IPrivateAnchor<TState> {
    /// Anchors a longer log.
    ///
    /// Preconditions: the statement is of the present epoch, its size larger than the anchored one,
    ///   its root not zero; `consistency` proves (RFC 9162, 2.1.4) that the log begins with the
    ///   anchored one, and is empty if that is; `signatures` of the statement by different present
    ///   nodes, in ascending order of their indices, at least as many as the threshold, and every
    ///   one of them valid.
    /// Effects: writes the head and the root.
    /// Emits: `Anchored`.
    /// Errors: `ANCHOR/WRONG_EPOCH`, `ANCHOR/NOT_LONGER`, `ANCHOR/ZERO_ROOT`,
    ///   `ANCHOR/NOT_CONSISTENT`, `ANCHOR/TOO_FEW_SIGNATURES`, `ANCHOR/UNKNOWN_NODE`,
    ///   `ANCHOR/NOT_ASCENDING`, `ANCHOR/BAD_SIGNATURE`.
    /// Access: anyone.
    fn anchor(
        ref self: TState,
        statement: Statement,
        consistency: Array<felt252>,
        signatures: Array<NodeSignature>,
    );

    /// Replaces the nodes and the threshold, and so begins the next epoch. The log goes on.
    ///
    /// Preconditions: 1 to `MAX_NODES` nodes, with different keys and different identities; a
    ///   threshold from 1 to their number; `signatures` of both by the present nodes, as for
    ///   `anchor`.
    /// Effects: writes the head and two cells for each node (new if there were never so many).
    /// Emits: `NodesRotated`.
    /// Errors: `ANCHOR/TOO_MANY_NODES`, `ANCHOR/BAD_THRESHOLD`, `ANCHOR/BAD_KEY`,
    ///   `ANCHOR/ZERO_IDENTITY`, `ANCHOR/DUPLICATE_KEY`, `ANCHOR/DUPLICATE_IDENTITY`,
    ///   `ANCHOR/TOO_FEW_SIGNATURES`, `ANCHOR/UNKNOWN_NODE`, `ANCHOR/NOT_ASCENDING`,
    ///   `ANCHOR/BAD_SIGNATURE`.
    /// Access: anyone.
    fn rotate(
        ref self: TState, nodes: Array<AnchorNode>, threshold: u8, signatures: Array<NodeSignature>,
    );

    /// How far the log is anchored, and who may go on. View, anyone.
    fn head(self: @TState) -> AnchorHead;

    /// The present node with this index, from 0. View, anyone.
    ///
    /// Errors: `ANCHOR/UNKNOWN_NODE`.
    fn node(self: @TState, index: u8) -> AnchorNode;

    /// Whether the anchored log has the leaf `leaf_value` at place `index`, from 0, by the
    /// inclusion proof `path` (RFC 9162, 2.1.3). View, anyone.
    fn verify_inclusion(
        self: @TState, leaf_value: felt252, index: u64, path: Array<felt252>,
    ) -> bool;
}

pub impl AnchorPacking of StorePacking<Anchor, felt252> {
    fn pack(value: Anchor) -> felt252 {
        join(
            value.size.into()
                + value.epoch.into() * 0x10000000000000000
                + value.threshold.into() * 0x1000000000000000000000000
                + value.nodes.into() * 0x10000000000000000000000000000,
            packed_time(value.anchored_at),
        )
    }

    fn unpack(value: felt252) -> Anchor {
        let (low, anchored_at) = split(value);
        let (low, size) = DivRem::div_rem(low, 0x10000000000000000);
        let (low, epoch) = DivRem::div_rem(low, 0x100000000);
        let (nodes, threshold) = DivRem::div_rem(low, 0x10000);
        Anchor {
            size: size.try_into().unwrap(),
            epoch: epoch.try_into().unwrap(),
            threshold: threshold.try_into().unwrap(),
            nodes: nodes.try_into().unwrap(),
            anchored_at: anchored_at.try_into().unwrap(),
        }
    }
}

/// What nodes sign to have a log anchored: Poseidon over a tag, the chain, the contract, what is
/// anchored now, and the statement.
pub fn anchor_message(
    chain_id: felt252,
    contract: ContractAddress,
    previous_size: u64,
    previous_root: felt252,
    statement: @Statement,
) -> felt252 {
    SpongeTrait::new()
        .pair('MEDSYNC/ANCHOR/1', chain_id)
        .pair(contract.into(), (*statement.epoch).into())
        .pair(previous_size.into(), previous_root)
        .pair((*statement.size).into(), *statement.root)
        .hash_with(*statement.state)
}

/// What nodes sign to be replaced: Poseidon over a tag, the chain, the contract, the epoch that
/// ends, the new threshold, and the new nodes' keys and identities.
pub fn rotation_message(
    chain_id: felt252,
    contract: ContractAddress,
    epoch: u32,
    threshold: u8,
    nodes: Span<AnchorNode>,
) -> felt252 {
    let mut message = SpongeTrait::new()
        .pair('MEDSYNC/ROTATION/1', chain_id)
        .pair(contract.into(), epoch.into())
        .pair(threshold.into(), nodes.len().into());
    for node in nodes {
        message = message.pair(*node.stark_key, *node.identity);
    }
    message.hash()
}

pub mod Errors {
    /// The statement is not of the present epoch.
    pub const WRONG_EPOCH: felt252 = 'ANCHOR/WRONG_EPOCH';
    /// The log is not longer than the anchored one.
    pub const NOT_LONGER: felt252 = 'ANCHOR/NOT_LONGER';
    /// The root is zero, which is no root but the empty log's.
    pub const ZERO_ROOT: felt252 = 'ANCHOR/ZERO_ROOT';
    /// The log is not proven to begin with the anchored one.
    pub const NOT_CONSISTENT: felt252 = 'ANCHOR/NOT_CONSISTENT';
    /// There are fewer signatures than the threshold.
    pub const TOO_FEW_SIGNATURES: felt252 = 'ANCHOR/TOO_FEW_SIGNATURES';
    /// There is no node with this index.
    pub const UNKNOWN_NODE: felt252 = 'ANCHOR/UNKNOWN_NODE';
    /// The signatures are not in strictly ascending order of their nodes.
    pub const NOT_ASCENDING: felt252 = 'ANCHOR/NOT_ASCENDING';
    /// A signature is not its node's, or not of this.
    pub const BAD_SIGNATURE: felt252 = 'ANCHOR/BAD_SIGNATURE';
    /// There are more than 16 nodes.
    pub const TOO_MANY_NODES: felt252 = 'ANCHOR/TOO_MANY_NODES';
    /// The threshold is zero, or more than there are nodes.
    pub const BAD_THRESHOLD: felt252 = 'ANCHOR/BAD_THRESHOLD';
    /// A node's key is not the x coordinate of a point on the STARK curve.
    pub const BAD_KEY: felt252 = 'ANCHOR/BAD_KEY';
    /// A node's identity is zero.
    pub const ZERO_IDENTITY: felt252 = 'ANCHOR/ZERO_IDENTITY';
    /// Two nodes have the same key.
    pub const DUPLICATE_KEY: felt252 = 'ANCHOR/DUPLICATE_KEY';
    /// Two nodes have the same identity.
    pub const DUPLICATE_IDENTITY: felt252 = 'ANCHOR/DUPLICATE_IDENTITY';
}

#[starknet::contract]
pub mod PrivateAnchor {
    use core::ec::EcPointTrait;
    use core::ecdsa::check_ecdsa_signature;
    use core::num::traits::Pow;
    use starknet::storage::{
        Map, StorageMapReadAccess, StorageMapWriteAccess, StoragePathEntry,
        StoragePointerReadAccess, StoragePointerWriteAccess,
    };
    use crate::context::{Context, context};
    use crate::merkle::{leaf_hash, verify_consistency, verify_inclusion};
    use crate::src5::{ISRC5, ISRC5_ID};
    use super::{
        Anchor, AnchorHead, AnchorNode, Errors, IPRIVATE_ANCHOR_ID, MAX_NODES, NodeSignature,
        Statement, anchor_message, rotation_message,
    };

    #[storage]
    struct Storage {
        anchor: Anchor,
        root: felt252,
        /// By index. There may be more of an earlier epoch, which mean nothing.
        nodes: Map<u8, AnchorNode>,
    }

    #[event]
    #[derive(Drop, starknet::Event)]
    pub enum Event {
        Anchored: Anchored,
        NodesRotated: NodesRotated,
    }

    /// A quorum attested, and at `at` (unix seconds) the contract saw, that the log grew to `size`
    /// leaves with this root.
    #[derive(Drop, starknet::Event)]
    pub struct Anchored {
        #[key]
        pub root: felt252,
        #[key]
        pub epoch: u32,
        pub size: u64,
        pub state: felt252,
        pub at: u64,
        /// Bit set of the nodes that signed, the first node's the lowest.
        pub signers: u16,
    }

    /// An epoch began with these nodes, of which `threshold` must sign.
    #[derive(Drop, starknet::Event)]
    pub struct NodesRotated {
        #[key]
        pub epoch: u32,
        pub threshold: u8,
        pub nodes: Span<AnchorNode>,
    }

    /// Names the first nodes and begins epoch 0 with an empty log.
    ///
    /// Errors: `ANCHOR/TOO_MANY_NODES`, `ANCHOR/BAD_THRESHOLD`, `ANCHOR/BAD_KEY`,
    ///   `ANCHOR/ZERO_IDENTITY`, `ANCHOR/DUPLICATE_KEY`, `ANCHOR/DUPLICATE_IDENTITY`.
    #[constructor]
    fn constructor(ref self: ContractState, nodes: Array<AnchorNode>, threshold: u8) {
        let empty = Anchor { size: 0, epoch: 0, threshold: 0, nodes: 0, anchored_at: 0 };
        self.install(empty, nodes.span(), threshold);
    }

    #[abi(embed_v0)]
    impl PrivateAnchor of super::IPrivateAnchor<ContractState> {
        fn anchor(
            ref self: ContractState,
            statement: Statement,
            consistency: Array<felt252>,
            signatures: Array<NodeSignature>,
        ) {
            let Context { this, now, chain_id, .. } = context();
            let anchor = self.anchor.read();
            let root = self.root.read();
            assert(statement.epoch == anchor.epoch, Errors::WRONG_EPOCH);
            assert(statement.size > anchor.size, Errors::NOT_LONGER);
            assert(statement.root != 0, Errors::ZERO_ROOT);
            let consistent = verify_consistency(
                anchor.size, statement.size, consistency.span(), root, statement.root,
            );
            assert(consistent, Errors::NOT_CONSISTENT);
            let message = anchor_message(chain_id, this, anchor.size, root, @statement);
            let signers = self.assert_quorum(anchor, message, signatures.span());
            self.anchor.write(Anchor { size: statement.size, anchored_at: now, ..anchor });
            self.root.write(statement.root);
            self
                .emit(
                    Anchored {
                        root: statement.root,
                        epoch: statement.epoch,
                        size: statement.size,
                        state: statement.state,
                        at: now,
                        signers,
                    },
                );
        }

        fn rotate(
            ref self: ContractState,
            nodes: Array<AnchorNode>,
            threshold: u8,
            signatures: Array<NodeSignature>,
        ) {
            let Context { this, chain_id, .. } = context();
            let anchor = self.anchor.read();
            let nodes = nodes.span();
            let message = rotation_message(chain_id, this, anchor.epoch, threshold, nodes);
            self.assert_quorum(anchor, message, signatures.span());
            self.install(Anchor { epoch: anchor.epoch + 1, ..anchor }, nodes, threshold);
        }

        fn head(self: @ContractState) -> AnchorHead {
            let Anchor { size, epoch, threshold, nodes, anchored_at } = self.anchor.read();
            AnchorHead { size, root: self.root.read(), epoch, threshold, nodes, anchored_at }
        }

        fn node(self: @ContractState, index: u8) -> AnchorNode {
            assert(index < self.anchor.read().nodes, Errors::UNKNOWN_NODE);
            self.nodes.read(index)
        }

        fn verify_inclusion(
            self: @ContractState, leaf_value: felt252, index: u64, path: Array<felt252>,
        ) -> bool {
            let size = self.anchor.read().size;
            verify_inclusion(leaf_hash(leaf_value), index, size, path.span(), self.root.read())
        }
    }

    #[abi(embed_v0)]
    impl SRC5 of ISRC5<ContractState> {
        fn supports_interface(self: @ContractState, interface_id: felt252) -> bool {
            interface_id == IPRIVATE_ANCHOR_ID || interface_id == ISRC5_ID
        }
    }

    #[generate_trait]
    impl Internal of InternalTrait {
        /// Panics unless enough present nodes signed `message`; the bit set of those who did.
        ///
        /// A signature of ECDSA can be turned into another by anyone. That gains nothing, because a
        /// node's counts once.
        fn assert_quorum(
            self: @ContractState, anchor: Anchor, message: felt252, signatures: Span<NodeSignature>,
        ) -> u16 {
            assert(signatures.len() >= anchor.threshold.into(), Errors::TOO_FEW_SIGNATURES);
            let mut signers: u16 = 0;
            // The lowest index that may come next.
            let mut next = 0;
            for signature in signatures {
                let node = *signature.node;
                assert(node < anchor.nodes, Errors::UNKNOWN_NODE);
                assert(node >= next, Errors::NOT_ASCENDING);
                let key = self.nodes.entry(node).stark_key.read();
                let valid = check_ecdsa_signature(message, key, *signature.r, *signature.s);
                assert(valid, Errors::BAD_SIGNATURE);
                next = node + 1;
                signers += 2_u16.pow(node.into());
            }
            signers
        }

        /// Begins an epoch with these nodes.
        fn install(
            ref self: ContractState, anchor: Anchor, nodes: Span<AnchorNode>, threshold: u8,
        ) {
            assert(nodes.len() <= MAX_NODES, Errors::TOO_MANY_NODES);
            let count: u8 = nodes.len().try_into().unwrap();
            assert(threshold != 0 && threshold <= count, Errors::BAD_THRESHOLD);
            let mut rest = nodes;
            let mut index = 0;
            while let Option::Some(node) = rest.pop_front() {
                assert(EcPointTrait::new_from_x(*node.stark_key).is_some(), Errors::BAD_KEY);
                assert(*node.identity != 0, Errors::ZERO_IDENTITY);
                for other in rest {
                    assert(node.stark_key != other.stark_key, Errors::DUPLICATE_KEY);
                    assert(node.identity != other.identity, Errors::DUPLICATE_IDENTITY);
                }
                self.nodes.write(index, *node);
                index += 1;
            }
            self.anchor.write(Anchor { threshold, nodes: count, ..anchor });
            self.emit(NodesRotated { epoch: anchor.epoch, threshold, nodes });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packing::MAX_TIME;
    use super::{Anchor, AnchorNode, AnchorPacking, Statement, anchor_message, rotation_message};

    #[test]
    fn anchors_survive_packing() {
        for size in array![0, 1, 0xFFFFFFFFFFFFFFFF] {
            for epoch in array![0, 1, 0xFFFFFFFF] {
                for threshold in array![0, 1, 0xFF] {
                    for nodes in array![0, 1, 0xFF] {
                        for anchored_at in array![0, 1, MAX_TIME] {
                            let anchor = Anchor { size, epoch, threshold, nodes, anchored_at };
                            assert!(AnchorPacking::unpack(AnchorPacking::pack(anchor)) == anchor);
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected: 'PACK/RANGE')]
    fn anchored_at_out_of_range_panics() {
        let anchored_at = MAX_TIME + 1;
        AnchorPacking::pack(Anchor { size: 0, epoch: 0, threshold: 0, nodes: 0, anchored_at });
    }

    #[test]
    fn messages_bind_everything() {
        let statement = Statement { size: 5, root: 6, state: 7, epoch: 8 };
        let contract = 2.try_into().unwrap();
        let other = 3.try_into().unwrap();
        let message = anchor_message(1, contract, 3, 4, @statement);
        assert!(anchor_message(2, contract, 3, 4, @statement) != message);
        assert!(anchor_message(1, other, 3, 4, @statement) != message);
        assert!(anchor_message(1, contract, 4, 4, @statement) != message);
        assert!(anchor_message(1, contract, 3, 5, @statement) != message);
        for changed in array![
            Statement { size: 6, ..statement }, Statement { root: 7, ..statement },
            Statement { state: 8, ..statement }, Statement { epoch: 9, ..statement },
        ] {
            assert!(anchor_message(1, contract, 3, 4, @changed) != message);
        }

        let node = AnchorNode { stark_key: 5, identity: 6 };
        let message = rotation_message(1, contract, 3, 4, [node].span());
        assert!(rotation_message(2, contract, 3, 4, [node].span()) != message);
        assert!(rotation_message(1, other, 3, 4, [node].span()) != message);
        assert!(rotation_message(1, contract, 4, 4, [node].span()) != message);
        assert!(rotation_message(1, contract, 3, 5, [node].span()) != message);
        assert!(rotation_message(1, contract, 3, 4, [node, node].span()) != message);
        let other_key = AnchorNode { stark_key: 6, ..node };
        assert!(rotation_message(1, contract, 3, 4, [other_key].span()) != message);
        let other_identity = AnchorNode { identity: 7, ..node };
        assert!(rotation_message(1, contract, 3, 4, [other_identity].span()) != message);
    }
}

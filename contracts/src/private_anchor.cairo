//! What private nodes did, provable by anyone: a quorum of registered nodes attests the roots of an
//! append-only log of their operations.
//!
//! Nobody administers it. A quorum of the present nodes names the next ones; what a quorum signed
//! is good for this chain, this contract and the present epoch alone. A longer log is only taken
//! with the proof that it begins with the one before, so that not even all nodes together can take
//! anything out of it.

pub mod cells;
#[cfg(test)]
mod tests;
use medsync_interfaces::private_anchor::{AnchorNode, Statement};
use starknet::ContractAddress;
use crate::hash::SpongeTrait;

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
        .pair('MEDSYNC/ANCHOR/2', chain_id)
        .pair(contract.into(), (*statement.epoch).into())
        .pair(previous_size.into(), previous_root)
        .pair((*statement.size).into(), *statement.root)
        .pair(*statement.state, *statement.commitment)
        .hash()
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

#[starknet::contract]
pub mod PrivateAnchor {
    use core::ec::EcPointTrait;
    use core::ecdsa::check_ecdsa_signature;
    use core::num::traits::Pow;
    use medsync_interfaces::private_anchor::{
        AnchorHead, AnchorNode, Anchored, Errors, IPRIVATE_ANCHOR_ID, IPrivateAnchor, MAX_GROWTH,
        MAX_NODES, NodeSignature, NodesRotated, Statement,
    };
    use medsync_interfaces::src5::{ISRC5, ISRC5_ID};
    use starknet::storage::{
        Map, StorageMapReadAccess, StorageMapWriteAccess, StoragePathEntry,
        StoragePointerReadAccess, StoragePointerWriteAccess,
    };
    use crate::context::{Context, context};
    use crate::merkle::{leaf_hash, verify_consistency, verify_inclusion};
    use super::cells::Anchor;
    use super::{anchor_message, rotation_message};

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

    /// Names the first nodes and begins epoch 0 with an empty log.
    ///
    /// Errors:
    /// - `ANCHOR/TOO_MANY_NODES`, `ANCHOR/BAD_THRESHOLD`, `ANCHOR/BAD_KEY`,
    ///   `ANCHOR/ZERO_IDENTITY`, `ANCHOR/DUPLICATE_KEY`, `ANCHOR/DUPLICATE_IDENTITY`
    #[constructor]
    fn constructor(ref self: ContractState, nodes: Array<AnchorNode>, threshold: u8) {
        let empty = Anchor { size: 0, epoch: 0, threshold: 0, nodes: 0, anchored_at: 0 };
        self.install(empty, nodes.span(), threshold);
    }

    #[abi(embed_v0)]
    impl PrivateAnchor of IPrivateAnchor<ContractState> {
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
            assert(statement.size - anchor.size <= MAX_GROWTH, Errors::TOO_LONG);
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
                        commitment: statement.commitment,
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

//! What private nodes did, provable by anyone: a quorum of registered nodes attests the roots of an
//! append-only log of their operations.

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
    /// Commitment to whatever else the nodes attest with this root, such as a receipt; zero for
    /// nothing. The contract only repeats it.
    pub commitment: felt252,
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

/// Most leaves by which one anchor may make the log longer: 2^32. No single statement, however it
/// came about, can use the sizes up.
pub const MAX_GROWTH: u64 = 0x100000000;

/// Most nodes of one epoch.
pub const MAX_NODES: u32 = 16;

/// SRC-5 id: XOR of the extended selectors of `IPrivateAnchor` (SNIP-5).
pub const IPRIVATE_ANCHOR_ID: felt252 =
    0x31bf442e5623e9920ccdfb1d3296663036ce099fc86062dcff087c766eef763;

/// Roots of a private log, attested by a quorum of its nodes.
#[starknet::interface]
pub trait IPrivateAnchor<TState> {
    /// Anchors a longer log.
    ///
    /// Preconditions:
    /// - the statement is of the present epoch, its root is not zero, and its size is larger than
    ///   the anchored one, by at most `MAX_GROWTH`
    /// - `consistency` proves (RFC 9162, 2.1.4) that the log begins with the anchored one, and is
    ///   empty if that is
    /// - `signatures` of the statement by different present nodes, in ascending order of their
    ///   indices, at least as many as the threshold, and every one of them valid
    ///
    /// Effects:
    /// - writes the head and the root
    ///
    /// Emits:
    /// - `Anchored`
    ///
    /// Errors:
    /// - `ANCHOR/WRONG_EPOCH`, `ANCHOR/NOT_LONGER`, `ANCHOR/TOO_LONG`, `ANCHOR/ZERO_ROOT`,
    ///   `ANCHOR/NOT_CONSISTENT`, `ANCHOR/TOO_FEW_SIGNATURES`, `ANCHOR/UNKNOWN_NODE`,
    ///   `ANCHOR/NOT_ASCENDING`, `ANCHOR/BAD_SIGNATURE`
    ///
    /// Access:
    /// - anyone
    fn anchor(
        ref self: TState,
        statement: Statement,
        consistency: Array<felt252>,
        signatures: Array<NodeSignature>,
    );

    /// Replaces the nodes and the threshold, and so begins the next epoch. The log goes on.
    ///
    /// Preconditions:
    /// - 1 to `MAX_NODES` nodes, with different keys and different identities
    /// - a threshold from 1 to their number
    /// - `signatures` of both by the present nodes, as for `anchor`
    ///
    /// Effects:
    /// - writes the head and two cells for each node (new if there were never so many)
    ///
    /// Emits:
    /// - `NodesRotated`
    ///
    /// Errors:
    /// - `ANCHOR/TOO_MANY_NODES`, `ANCHOR/BAD_THRESHOLD`, `ANCHOR/BAD_KEY`,
    ///   `ANCHOR/ZERO_IDENTITY`, `ANCHOR/DUPLICATE_KEY`, `ANCHOR/DUPLICATE_IDENTITY`,
    ///   `ANCHOR/TOO_FEW_SIGNATURES`, `ANCHOR/UNKNOWN_NODE`, `ANCHOR/NOT_ASCENDING`,
    ///   `ANCHOR/BAD_SIGNATURE`
    ///
    /// Access:
    /// - anyone
    fn rotate(
        ref self: TState, nodes: Array<AnchorNode>, threshold: u8, signatures: Array<NodeSignature>,
    );

    /// How far the log is anchored, and who may go on.
    ///
    /// Access:
    /// - anyone (view)
    fn head(self: @TState) -> AnchorHead;

    /// The present node with this index, from 0.
    ///
    /// Errors:
    /// - `ANCHOR/UNKNOWN_NODE`
    ///
    /// Access:
    /// - anyone (view)
    fn node(self: @TState, index: u8) -> AnchorNode;

    /// Whether the anchored log has the leaf `leaf_value` at place `index`, from 0, by the
    /// inclusion proof `path` (RFC 9162, 2.1.3).
    ///
    /// Access:
    /// - anyone (view)
    fn verify_inclusion(
        self: @TState, leaf_value: felt252, index: u64, path: Array<felt252>,
    ) -> bool;
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
    pub commitment: felt252,
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

pub mod Errors {
    /// The statement is not of the present epoch.
    pub const WRONG_EPOCH: felt252 = 'ANCHOR/WRONG_EPOCH';
    /// The log is not longer than the anchored one.
    pub const NOT_LONGER: felt252 = 'ANCHOR/NOT_LONGER';
    /// One anchor can make the log longer by at most 2^32 leaves.
    pub const TOO_LONG: felt252 = 'ANCHOR/TOO_LONG';
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

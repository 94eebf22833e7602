//! What a wallet or an indexer needs to rebuild the messages patients sign (SNIP-12, revision 1).

/// The part of OpenZeppelin's `ISNIP12Metadata` that every SNIP-12 contract answers.
#[starknet::interface]
pub trait ISNIP12Metadata<TState> {
    /// Name and version of the domain that every signed message carries, as short strings.
    ///
    /// Access:
    /// - anyone (view)
    fn snip12_metadata(self: @TState) -> (felt252, felt252);
}

//! SRC-5 (SNIP-5): a contract says which interfaces it implements.

/// Interface id of `ISRC5` itself, fixed by SNIP-5.
pub const ISRC5_ID: felt252 = 0x3f918d17e5ee77373b56385708f855659a07f75997f365cf87748628532a055;

/// Introspection as SNIP-5 defines it.
#[starknet::interface]
pub trait ISRC5<TState> {
    /// Whether this contract implements the interface.
    ///
    /// Access:
    /// - anyone (view)
    fn supports_interface(self: @TState, interface_id: felt252) -> bool;
}

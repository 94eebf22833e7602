//! Poseidon of a number of felts that is known when the code is written. It equals
//! `poseidon_hash_span`, which loops over a span at run time and costs about three times as much
//! gas for the digest of a log entry.

#[cfg(test)]
mod tests;
use core::poseidon::hades_permutation;

/// What was absorbed so far.
#[derive(Copy, Drop)]
pub struct Sponge {
    s0: felt252,
    s1: felt252,
    s2: felt252,
}

#[generate_trait]
pub impl SpongeImpl of SpongeTrait {
    /// Nothing absorbed yet.
    #[inline(always)]
    fn new() -> Sponge {
        Sponge { s0: 0, s1: 0, s2: 0 }
    }

    /// Absorbs the next two felts.
    #[inline(always)]
    fn pair(self: Sponge, first: felt252, second: felt252) -> Sponge {
        let (s0, s1, s2) = hades_permutation(self.s0 + first, self.s1 + second, self.s2);
        Sponge { s0, s1, s2 }
    }

    /// The hash, if an even number of felts was absorbed.
    #[inline(always)]
    fn hash(self: Sponge) -> felt252 {
        self.pair(1, 0).s0
    }

    /// The hash with one last felt, if an even number of felts was absorbed before it.
    #[inline(always)]
    fn hash_with(self: Sponge, last: felt252) -> felt252 {
        self.pair(last, 1).s0
    }
}

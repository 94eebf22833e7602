//! Arithmetic behind the packed cells. A new cell is the dearest thing on Starknet (402,000 L2 gas
//! since 0.14.2, SNIP-37), so every hot entity fits one felt: a full `u128` below, up to 123 bits
//! above, which stays under 2^251 and so under the field's prime.

#[cfg(test)]
mod tests;

/// Largest time that a packed cell holds, in seconds: 2^40 − 1 (the year 36,812).
pub const MAX_TIME: u64 = 0xFFFFFFFFFF;

/// First value too large for the upper part of a cell: 2^123.
pub const HIGH_BOUND: u128 = 0x8000000000000000000000000000000;

const TWO_POW_128: felt252 = 0x100000000000000000000000000000000;

/// What a field is multiplied by to stand above that many bits of one half of a cell.
pub const TWO_POW_8: felt252 = 0x100;
pub const TWO_POW_9: felt252 = 0x200;
pub const TWO_POW_16: felt252 = 0x10000;
pub const TWO_POW_18: felt252 = 0x40000;
pub const TWO_POW_32: felt252 = 0x100000000;
pub const TWO_POW_40: felt252 = 0x10000000000;
pub const TWO_POW_41: felt252 = 0x20000000000;
pub const TWO_POW_48: felt252 = 0x1000000000000;
pub const TWO_POW_49: felt252 = 0x2000000000000;
pub const TWO_POW_64: felt252 = 0x10000000000000000;
pub const TWO_POW_80: felt252 = 0x100000000000000000000;
pub const TWO_POW_89: felt252 = 0x20000000000000000000000;
pub const TWO_POW_96: felt252 = 0x1000000000000000000000000;
pub const TWO_POW_104: felt252 = 0x100000000000000000000000000;
pub const TWO_POW_112: felt252 = 0x10000000000000000000000000000;
pub const TWO_POW_113: felt252 = 0x20000000000000000000000000000;
pub const TWO_POW_116: felt252 = 0x100000000000000000000000000000;
pub const TWO_POW_117: felt252 = 0x200000000000000000000000000000;

/// What half a cell is divided by to take a field of that many bits off its lower end.
pub const SPLIT_1: NonZero<u128> = 0x2;
pub const SPLIT_2: NonZero<u128> = 0x4;
pub const SPLIT_3: NonZero<u128> = 0x8;
pub const SPLIT_8: NonZero<u128> = 0x100;
pub const SPLIT_16: NonZero<u128> = 0x10000;
pub const SPLIT_32: NonZero<u128> = 0x100000000;
pub const SPLIT_40: NonZero<u128> = 0x10000000000;
pub const SPLIT_64: NonZero<u128> = 0x10000000000000000;
pub const SPLIT_91: NonZero<u128> = 0x80000000000000000000000;

/// One felt of a lower part of 128 bits and an upper part of at most 123. Packing is arithmetic on
/// felts, which never overflows and costs a tenth of the same on integers: the parts' widths are
/// their types', and what no type bounds goes through `packed_time` or `packed_high`.
pub fn join(low: felt252, high: felt252) -> felt252 {
    low + high * TWO_POW_128
}

/// The two parts that `join` put together, lower first.
pub fn split(packed: felt252) -> (u128, u128) {
    let wide: u256 = packed.into();
    (wide.low, wide.high)
}

/// `time` as packed: panics with `PACK/RANGE` beyond `MAX_TIME`.
pub fn packed_time(time: u64) -> felt252 {
    assert(time <= MAX_TIME, 'PACK/RANGE');
    time.into()
}

/// `high` as the whole upper part of a cell: panics with `PACK/RANGE` from `HIGH_BOUND` on.
pub fn packed_high(high: u128) -> felt252 {
    assert(high < HIGH_BOUND, 'PACK/RANGE');
    high.into()
}

/// A bool as 0 or 1.
pub fn bit(flag: bool) -> felt252 {
    if flag {
        1
    } else {
        0
    }
}

//! Arithmetic behind the packed cells. A new cell is the dearest thing on Starknet (402,000 L2 gas
//! since 0.14.2, SNIP-37), so every hot entity fits one felt: a full `u128` below, up to 123 bits
//! above, which stays under 2^251 and so under the field's prime.

/// Largest time that a packed cell holds, in seconds: 2^40 − 1 (the year 36,812).
pub const MAX_TIME: u64 = 0xFFFFFFFFFF;

/// First value too large for the upper part of a cell: 2^123.
pub const HIGH_BOUND: u128 = 0x8000000000000000000000000000000;

/// One felt of a lower part of 128 bits and an upper part of at most 123. Packing is arithmetic on
/// felts, which never overflows and costs a tenth of the same on integers: the parts' widths are
/// their types', and what no type bounds goes through `packed_time` or `packed_high`.
pub fn join(low: felt252, high: felt252) -> felt252 {
    low + high * 0x100000000000000000000000000000000
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

#[cfg(test)]
mod tests {
    use super::{HIGH_BOUND, MAX_TIME, bit, join, packed_high, packed_time, split};

    const MAX: u128 = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF;

    #[test]
    fn join_and_split_are_inverse() {
        for low in array![0, 1, 2, MAX - 1, MAX] {
            for high in array![0, 1, 2, HIGH_BOUND - 2, HIGH_BOUND - 1] {
                assert!(split(join(low.into(), packed_high(high))) == (low, high));
            }
        }
    }

    #[test]
    #[should_panic(expected: 'PACK/RANGE')]
    fn high_part_out_of_range_panics() {
        packed_high(HIGH_BOUND);
    }

    #[test]
    fn times_and_bits() {
        assert!(packed_time(MAX_TIME) == MAX_TIME.into());
        assert!(bit(true) == 1 && bit(false) == 0);
    }

    #[test]
    #[should_panic(expected: 'PACK/RANGE')]
    fn time_out_of_range_panics() {
        packed_time(MAX_TIME + 1);
    }
}

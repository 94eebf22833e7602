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

use core::poseidon::poseidon_hash_span;
use super::SpongeTrait;

#[test]
fn equals_poseidon_hash_span() {
    let sponge = SpongeTrait::new();
    assert!(sponge.hash() == poseidon_hash_span([].span()));
    assert!(sponge.hash_with(1) == poseidon_hash_span([1].span()));
    assert!(sponge.pair(1, 2).hash() == poseidon_hash_span([1, 2].span()));
    assert!(sponge.pair(1, 2).hash_with(-1) == poseidon_hash_span([1, 2, -1].span()));
    assert!(sponge.pair(1, 2).pair(3, 4).hash() == poseidon_hash_span([1, 2, 3, 4].span()));
}

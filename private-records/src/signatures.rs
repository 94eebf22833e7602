//! ed25519: the host verifies; what the host would trap on is turned down here.

use ed25519_dalek::VerifyingKey;

/// Whether `key` is a point of the curve that only a secret key's holder can sign for.
pub fn is_key(key: &[u8; 32]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| !key.is_weak())
}

/// Whether `signature` is `key`'s over the concatenated `parts`.
pub fn verify(key: &[u8; 32], signature: &[u8; 64], parts: &[&[u8]]) -> bool {
    is_key(key) && verified(key, signature, &parts.concat())
}

#[cfg(target_arch = "wasm32")]
fn verified(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    calimero_sdk::env::ed25519_verify(signature, key, message)
}

/// The SDK's test host has no such function; this is what a node's runtime calls.
#[cfg(not(target_arch = "wasm32"))]
fn verified(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    use ed25519_dalek::Verifier;
    VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify(message, &signature.into()).is_ok())
}

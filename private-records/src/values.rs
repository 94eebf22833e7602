//! The forms values have in JSON.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

/// The Starknet prime, 2^251 + 17 * 2^192 + 1, in hex digits.
const PRIME: &str = "800000000000011000000000000000000000000000000000000000000000001";

fn is_hex(text: &str) -> bool {
    text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `text` is a record id: 128 bits as 32 lower-case hex digits.
pub fn is_id(text: &str) -> bool {
    text.len() == 32 && is_hex(text)
}

/// Whether `text` is a felt in its one spelling: `0x`, lower-case, no leading zeros, below the prime.
pub fn is_felt(text: &str) -> bool {
    let Some(digits) = text.strip_prefix("0x") else { return false };
    let short = match digits.len() {
        0 => false,
        n if n == PRIME.len() => digits < PRIME,
        n => n < PRIME.len(),
    };
    short && is_hex(digits) && (digits == "0" || !digits.starts_with('0'))
}

/// Whether `text` is a felt other than zero.
pub fn is_nonzero_felt(text: &str) -> bool {
    is_felt(text) && text != "0x0"
}

/// The `N` bytes that `text` spells in lower-case hex.
pub fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    (is_hex(text) && hex::decode_to_slice(text, &mut out).is_ok()).then_some(out)
}

/// The bytes of standard base64 with padding.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_felt_has_one_spelling() {
        let largest = "0x800000000000011000000000000000000000000000000000000000000000000";
        for good in ["0x0", "0x1", "0xabc", largest, &format!("0x{}", "f".repeat(62))] {
            assert!(is_felt(good), "{good}");
        }
        let prime = format!("0x{PRIME}");
        let long = format!("0x1{}", "0".repeat(63));
        for bad in
            ["", "0", "0x", "0x00", "0x01", "0xA", "0X1", "1", " 0x1", "0x1 ", "0xg", &prime, &long]
        {
            assert!(!is_felt(bad), "{bad}");
        }
        assert!(!is_nonzero_felt("0x0") && is_nonzero_felt("0x1"));
    }

    #[test]
    fn hex_and_base64_are_strict() {
        assert_eq!(bytes::<2>("00ff"), Some([0, 255]));
        for bad in ["00FF", "00f", "00ff00", "zz", "", "00é"] {
            assert_eq!(bytes::<2>(bad), None, "{bad}");
        }
        assert!(is_id(&"0f".repeat(16)) && !is_id(&"0F".repeat(16)) && !is_id("0f"));
        assert_eq!(from_base64("AAE="), Some(vec![0, 1]));
        for bad in ["AAE", "AAF=", "AAE=\n", "AA-_"] {
            assert_eq!(from_base64(bad), None, "{bad:?}");
        }
        assert_eq!(to_base64(&[0, 1]), "AAE=");
    }
}

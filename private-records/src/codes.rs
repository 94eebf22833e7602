//! The words callers and receipts see: why a call failed, why a release was refused.

use core::fmt;

use calimero_sdk::borsh::{BorshDeserialize, BorshSerialize};
use calimero_sdk::serde::{Serialize, Serializer};

/// Declares an enum whose variants are written as one upper-case word each.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(BorshDeserialize, BorshSerialize, Clone, Copy, Debug, Eq, PartialEq)]
        #[borsh(crate = "calimero_sdk::borsh")]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }
    };
}

words! {
    /// Why a call failed. It is the whole text of the error: nothing of the arguments is in it.
    Code {
        /// No bridge key, chain and contract are registered yet.
        NotConfigured = "NOT_CONFIGURED",
        /// They are registered, once and for all; only the bridge key can be rotated.
        Configured = "CONFIGURED",
        /// The capacity is not between 1 and `MAX_CAPACITY`.
        BadCapacity = "BAD_CAPACITY",
        /// No ed25519 public key in 64 lower-case hex digits, one of small order, or one used before.
        BadKey = "BAD_KEY",
        /// The signature is malformed or not by the key that has to sign.
        BadSignature = "BAD_SIGNATURE",
        /// A record id is 32 lower-case hex digits.
        BadId = "BAD_ID",
        /// A felt is `0x` and lower-case hex without leading zeros, below the Starknet prime; only
        /// `consent` may be zero.
        BadFelt = "BAD_FELT",
        /// Categories are a non-empty set of the sixteen published bits.
        BadCategories = "BAD_CATEGORIES",
        /// `keys` is empty, too large, or holds what is neither a recipient nor base64.
        BadKeys = "BAD_KEYS",
        /// There is no ciphertext.
        EmptyCiphertext = "EMPTY_CIPHERTEXT",
        /// The ciphertext is not standard base64.
        BadCiphertext = "BAD_CIPHERTEXT",
        /// The ciphertext is longer than `MAX_CIPHERTEXT`.
        TooLarge = "TOO_LARGE",
        /// The id or the commitment is in use.
        Exists = "EXISTS",
        /// The record was erased; its id is not used again.
        Erased = "ERASED",
        /// The context holds as many records as it may: open another.
        Full = "FULL",
        /// There is no such record on this node.
        UnknownRecord = "UNKNOWN_RECORD",
        /// An update's version is not the stored one plus one.
        WrongVersion = "WRONG_VERSION",
    }
}

impl core::error::Error for Code {}

words! {
    /// Why a release was refused, in the order of the checks: the first that applies.
    Reason {
        /// No bridge is registered, so nobody could have issued a ticket.
        NotConfigured = "NOT_CONFIGURED",
        /// The ticket, its signature or the presentation is not of the published form.
        Malformed = "MALFORMED",
        /// The ticket is not signed by the registered bridge.
        BadSignature = "BAD_SIGNATURE",
        /// Issued for another chain.
        WrongChain = "WRONG_CHAIN",
        /// Issued for another contract.
        WrongContract = "WRONG_CONTRACT",
        /// Issued for another context.
        WrongContext = "WRONG_CONTEXT",
        /// Not presented by the accessor the ticket names.
        BadPresentation = "BAD_PRESENTATION",
        /// Issued further in the future than clocks differ.
        NotYet = "NOT_YET",
        /// The deadline has passed.
        Expired = "EXPIRED",
        /// The log entry was served before.
        Used = "USED",
        /// The record is not on this node.
        UnknownRecord = "UNKNOWN_RECORD",
        /// The record was erased.
        Erased = "ERASED",
        /// The record is another patient's.
        WrongPatient = "WRONG_PATIENT",
        /// The ticket is for a version or commitment that is not the stored one.
        Stale = "STALE",
        /// No receipt could be kept: no log, no data.
        Full = "FULL",
    }
}

words! {
    /// What became of a call to `release`.
    Outcome {
        Released = "RELEASED",
        Refused = "REFUSED",
    }
}

//! What stays on this node, and all that `release` relies on.
//!
//! Any member of a context can write replicated state, so nothing of authority is there: the bridge, the
//! records, which log entries were served and the list of operations live in the node's private storage.
//!
//! Settings and counts are one small `#[app::private]` value. Everything else has a key of its own in
//! private storage, without a collection around it: an insert costs the same with one record as with ten
//! thousand, and there is no collection type whose alias would put entries into replicated state. Keys are
//! hashes because a node pads keys with zeros to 32 bytes and drops longer ones.
//!
//! A node keeps what a call wrote here only if the call also commits replicated state, as methods that take
//! `&mut self` do.

use std::collections::BTreeMap;

use calimero_sdk::borsh::{self, BorshDeserialize, BorshSerialize};
use calimero_sdk::serde::Serialize;
use calimero_sdk::{app, env};
use sha2::{Digest, Sha256};

use crate::codes::{Code, Reason};
use crate::shared::Receipt;

/// Settings and counts of this node.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug, Default)]
#[borsh(crate = "calimero_sdk::borsh")]
#[app::private]
pub struct Vault {
    pub bridge: Option<Bridge>,
    /// Records put, erased ones included: what the capacity bounds.
    pub records: u32,
    pub erased: u32,
    /// Releases.
    pub receipts: u32,
    /// Refusals with a receipt.
    pub refusals: u32,
    /// Refusals that came when there was no room for another receipt.
    pub uncounted: u64,
    pub operations: u64,
}

/// Whose tickets count, and which log they must be about.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug)]
#[borsh(crate = "calimero_sdk::borsh")]
pub struct Bridge {
    /// ed25519 public key.
    pub key: [u8; 32],
    pub chain: String,
    pub contract: String,
}

/// What there is under a record id.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug)]
#[borsh(crate = "calimero_sdk::borsh")]
pub enum Entry {
    Stored(Record),
    /// A tombstone.
    Erased {
        commitments: Vec<String>,
    },
}

/// A record but for its ciphertext.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug)]
#[borsh(crate = "calimero_sdk::borsh")]
pub struct Record {
    pub patient: String,
    /// One commitment per version, the stored version's last.
    pub commitments: Vec<String>,
    pub categories: u32,
    pub consent: String,
    /// The data key, wrapped: recipient's X25519 key in hex -> base64.
    pub keys: BTreeMap<String, String>,
}

impl Record {
    pub fn version(&self) -> u32 {
        version(&self.commitments)
    }

    pub fn commitment(&self) -> &str {
        self.commitments.last().map_or("", String::as_str)
    }
}

/// The version whose commitment comes last.
pub fn version(commitments: &[String]) -> u32 {
    commitments.len() as u32
}

/// What happened on this node; the bridge makes a leaf of each.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug, Serialize)]
#[borsh(crate = "calimero_sdk::borsh")]
#[serde(crate = "calimero_sdk::serde", tag = "kind", rename_all = "UPPERCASE")]
pub enum Operation {
    Record {
        id: String,
        version: u32,
        commitment: String,
        categories: u32,
        consent: String,
        at: u64,
    },
    Erased {
        id: String,
        version: u32,
        at: u64,
    },
    Receipt(Receipt),
}

/// A place in private storage.
pub enum Slot<'a> {
    /// `Entry` of a record id.
    Entry(&'a str),
    /// Ciphertext of a record id.
    Ciphertext(&'a str),
    /// `(record id, version)` of a commitment.
    Commitment(&'a str),
    /// `Operation` of a sequence number.
    Operation(u64),
    /// Whether the log entry of that digest was served.
    Used(&'a str),
    /// Whether the refusal of a ticket (hash) for a reason has its receipt.
    Refused(&'a str, Reason),
    /// Whether a key is or was the bridge's.
    BridgeKey(&'a [u8; 32]),
}

impl Slot<'_> {
    fn key(&self) -> [u8; 32] {
        let hash = |kind: &str, name: &[u8]| {
            let mut hasher = Sha256::new_with_prefix(b"medsync.vault.v1\0");
            hasher.update(kind);
            hasher.update(b"\0");
            hasher.update(name);
            hasher.finalize().into()
        };
        match self {
            Self::Entry(id) => hash("entry", id.as_bytes()),
            Self::Ciphertext(id) => hash("ciphertext", id.as_bytes()),
            Self::Commitment(felt) => hash("commitment", felt.as_bytes()),
            Self::Operation(number) => hash("operation", &number.to_be_bytes()),
            Self::Used(digest) => hash("used", digest.as_bytes()),
            Self::Refused(ticket, reason) => {
                hash("refused", [ticket, "/", reason.word()].concat().as_bytes())
            }
            Self::BridgeKey(key) => hash("bridge-key", *key),
        }
    }

    pub fn holds(&self) -> bool {
        env::private_storage_read(&self.key()).is_some()
    }

    pub fn read<T: BorshDeserialize>(&self) -> Option<T> {
        let bytes = env::private_storage_read(&self.key())?;
        match T::try_from_slice(&bytes) {
            Ok(value) => Some(value),
            Err(_) => env::panic_str("private storage is damaged"),
        }
    }

    pub fn write<T: BorshSerialize>(&self, value: &T) {
        let written =
            borsh::to_vec(value).is_ok_and(|bytes| env::private_storage_write(&self.key(), &bytes));
        if !written {
            env::panic_str("this node has no private storage");
        }
    }

    pub fn remove(&self) {
        env::private_storage_remove(&self.key());
    }
}

impl Vault {
    pub fn load() -> app::Result<Self> {
        Ok(Self::private_load_or_default()?.clone())
    }

    pub fn save(self) -> app::Result<()> {
        *Self::private_load_or_default()?.as_mut() = self;
        Ok(())
    }

    pub fn bridge(&self) -> Result<&Bridge, Code> {
        self.bridge.as_ref().ok_or(Code::NotConfigured)
    }

    /// Appends an operation.
    pub fn log(&mut self, operation: &Operation) {
        Slot::Operation(self.operations).write(operation);
        self.operations += 1;
    }
}

//! What is replicated to every member of the context. It publishes; nothing relies on it.

use calimero_sdk::borsh::{BorshDeserialize, BorshSerialize};
use calimero_sdk::serde::Serialize;

use crate::codes::{Outcome, Reason};

/// A record as every member knows it.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug)]
#[borsh(crate = "calimero_sdk::borsh")]
pub struct PublicRecord {
    /// The salted commitment of each version, the first version's first.
    pub commitments: Vec<String>,
    pub categories: u32,
    /// Salted commitment of the consent, or `0x0`.
    pub consent: String,
    pub erased: bool,
}

/// A `PublicRecord` as `records` lists it.
#[derive(Debug, Serialize)]
#[serde(crate = "calimero_sdk::serde")]
pub struct RecordView {
    pub id: String,
    pub version: usize,
    pub commitment: String,
    /// Commitments of the versions before, the first version's first.
    pub former: Vec<String>,
    pub categories: u32,
    pub consent: String,
    pub erased: bool,
}

impl PublicRecord {
    pub fn view(mut self, id: String) -> RecordView {
        RecordView {
            id,
            version: self.commitments.len(),
            commitment: self.commitments.pop().unwrap_or_default(),
            former: self.commitments,
            categories: self.categories,
            consent: self.consent,
            erased: self.erased,
        }
    }
}

/// That somebody asked for a record, and what became of it.
///
/// Digest, commitment and accessor come from the ticket, and only once the bridge's signature of it is
/// verified: nothing a stranger wrote is kept.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug, Serialize)]
#[borsh(crate = "calimero_sdk::borsh")]
#[serde(crate = "calimero_sdk::serde")]
pub struct Receipt {
    /// SHA-256 of the ticket's text, in hex.
    pub ticket: String,
    pub outcome: Outcome,
    pub reason: Option<Reason>,
    pub digest: Option<String>,
    pub commitment: Option<String>,
    pub accessor: Option<String>,
    /// Unix seconds.
    pub at: u64,
}

impl Receipt {
    /// The key it is replicated under: one receipt per ticket and what became of it.
    pub fn key(&self) -> String {
        format!("{}/{}", self.ticket, self.reason.map_or(self.outcome.word(), Reason::word))
    }
}

//! Tickets: what one is, and who gets a record for it.

use calimero_sdk::serde::Deserialize;
use calimero_sdk::serde_json;
use sha2::{Digest, Sha256};

use crate::codes::Reason;
use crate::signatures::verify;
use crate::values::{bytes, from_base64, is_felt, is_id, is_nonzero_felt};
use crate::vault::{Bridge, Entry};

pub const TICKET_DOMAIN: &[u8] = b"medsync.ticket.v1\0";
pub const PRESENTATION_DOMAIN: &[u8] = b"medsync.presentation.v1\0";

/// Longest text of a ticket, in bytes.
pub const MAX_TEXT: usize = 8192;
/// Longest life of a ticket, in seconds.
pub const MAX_LIFE: u64 = 3600;
/// How far the bridge's clock may be ahead of this node's, in seconds.
pub const CLOCK_SKEW: u64 = 60;

/// The bridge's word that the log holds a permitted access, and for whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(crate = "calimero_sdk::serde", deny_unknown_fields)]
#[allow(dead_code, reason = "fields that are only checked for their form are part of the format")]
pub struct Ticket {
    v: u8,
    pub chain: String,
    pub contract: String,
    /// Base58.
    pub context: String,
    pub patient: String,
    seq: u64,
    /// Digest of the log entry: unique, so it is what makes a ticket work once.
    pub digest: String,
    decision: Decision,
    pub record: String,
    pub version: u32,
    pub commitment: String,
    pub accessor: String,
    pub accessor_key: String,
    wrapped_key: String,
    pub issued_at: u64,
    pub deadline: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(crate = "calimero_sdk::serde", rename_all = "UPPERCASE")]
enum Decision {
    Permit,
    Emergency,
}

/// A call to `release`, as it came in.
pub struct Call<'a> {
    pub ticket: &'a str,
    pub signature: &'a str,
    pub presentation: &'a str,
}

/// What this node knows of a ticket that is in order.
pub struct Known {
    /// Whether its log entry was served before.
    pub used: bool,
    pub entry: Option<Entry>,
}

/// A refused call. `ticket` is there once the bridge's signature of it is verified.
#[derive(Debug)]
pub struct Refusal {
    pub reason: Reason,
    pub ticket: Option<Ticket>,
}

/// SHA-256 of a ticket's text: its name in receipts, and what the accessor signs.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The ticket, if the record it names is to be released at `now` (unix seconds) in `context` (base58).
///
/// `known` is asked only for a ticket whose signatures and time are right.
pub fn judge(
    call: &Call<'_>,
    bridge: Option<&Bridge>,
    context: &str,
    now: u64,
    known: impl FnOnce(&Ticket) -> Known,
) -> Result<Ticket, Refusal> {
    let before = |reason| Refusal { reason, ticket: None };
    let bridge = bridge.ok_or(before(Reason::NotConfigured))?;
    let (ticket, signature, presentation) = parse(call).ok_or(before(Reason::Malformed))?;
    if !verify(&bridge.key, &signature, &[TICKET_DOMAIN, call.ticket.as_bytes()]) {
        return Err(before(Reason::BadSignature));
    }

    let presented = bytes(&ticket.accessor_key)
        .is_some_and(|key| verify(&key, &presentation, &[PRESENTATION_DOMAIN, &hash(call.ticket)]));
    let reason = if ticket.chain != bridge.chain {
        Reason::WrongChain
    } else if ticket.contract != bridge.contract {
        Reason::WrongContract
    } else if ticket.context != context {
        Reason::WrongContext
    } else if !presented {
        Reason::BadPresentation
    } else if ticket.issued_at > now.saturating_add(CLOCK_SKEW) {
        Reason::NotYet
    } else if now > ticket.deadline {
        Reason::Expired
    } else if let Some(reason) = objection(&ticket, known(&ticket)) {
        reason
    } else {
        return Ok(ticket);
    };
    Err(Refusal { reason, ticket: Some(ticket) })
}

/// What speaks against a ticket in what this node keeps.
fn objection(ticket: &Ticket, known: Known) -> Option<Reason> {
    if known.used {
        return Some(Reason::Used);
    }
    match known.entry {
        None => Some(Reason::UnknownRecord),
        Some(Entry::Erased { .. }) => Some(Reason::Erased),
        Some(Entry::Stored(record)) if record.patient != ticket.patient => {
            Some(Reason::WrongPatient)
        }
        Some(Entry::Stored(record))
            if record.version() != ticket.version || record.commitment() != ticket.commitment =>
        {
            Some(Reason::Stale)
        }
        Some(Entry::Stored(_)) => None,
    }
}

fn parse(call: &Call<'_>) -> Option<(Ticket, [u8; 64], [u8; 64])> {
    if call.ticket.len() > MAX_TEXT {
        return None;
    }
    let ticket: Ticket = serde_json::from_str(call.ticket).ok()?;
    let well_formed = ticket.v == 1
        && [&ticket.chain, &ticket.contract, &ticket.patient, &ticket.commitment, &ticket.accessor]
            .into_iter()
            .all(|felt| is_nonzero_felt(felt))
        && is_felt(&ticket.digest)
        && is_id(&ticket.record)
        && bytes::<32>(&ticket.accessor_key).is_some()
        && from_base64(&ticket.wrapped_key).is_some_and(|key| !key.is_empty())
        && ticket.deadline.checked_sub(ticket.issued_at).is_some_and(|life| life <= MAX_LIFE);
    well_formed.then_some((ticket, bytes(call.signature)?, bytes(call.presentation)?))
}

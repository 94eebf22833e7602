//! Encrypted health records on a Calimero node: stored privately, published as salted commitments, released
//! against a ticket, erased.
//!
//! Everything arrives encrypted; the node never sees a plaintext, a data key or a salt. A call that fails
//! changes nothing (the node discards what it wrote), and its error is a word of `codes::Code`.

pub mod codes;
pub mod shared;
pub mod signatures;
pub mod ticket;
pub mod values;
pub mod vault;

use std::collections::BTreeMap;

use calimero_sdk::serde::{Deserialize, Serialize};
use calimero_sdk::{app, env};
use calimero_storage::collections::{LwwRegister, UnorderedMap};

use codes::{Code, Outcome, Reason};
use shared::{PublicRecord, Receipt, RecordView};
use ticket::{Call, Known, Refusal, Ticket};
use vault::{Bridge, Entry, Operation, Record, Slot, Vault};

pub const ROTATION_DOMAIN: &[u8] = b"medsync.bridge-rotation.v1\0";

/// Most records of a context: an insert into replicated state costs time in proportion to them.
pub const MAX_CAPACITY: u32 = 10_000;
/// Releases, and refusals, that have room in a context, per record of its capacity.
pub const RECEIPTS_PER_RECORD: u32 = 4;
/// Most items a call lists.
pub const MAX_LIMIT: u32 = 500;
/// Longest ciphertext, in bytes; a node takes requests of up to two megabytes.
pub const MAX_CIPHERTEXT: usize = 1 << 20;
/// Most recipients of a record, and the longest wrapped key, in bytes.
pub const MAX_RECIPIENTS: usize = 32;
pub const MAX_WRAPPED_KEY: usize = 512;
/// The published data categories.
pub const ALL_CATEGORIES: u32 = 0xffff;

#[app::state(emits = for<'a> Event<'a>)]
pub struct PrivateRecords {
    capacity: LwwRegister<u32>,
    records: UnorderedMap<String, LwwRegister<PublicRecord>>,
    receipts: UnorderedMap<String, LwwRegister<Receipt>>,
}

#[app::event]
pub enum Event<'a> {
    RecordPut {
        id: &'a str,
        version: u32,
        commitment: &'a str,
        categories: u32,
        consent: &'a str,
    },
    RecordUpdated {
        id: &'a str,
        version: u32,
        commitment: &'a str,
        categories: u32,
        consent: &'a str,
    },
    RecordErased {
        id: &'a str,
        version: u32,
    },
    RecordReleased {
        ticket: &'a str,
        digest: &'a str,
        commitment: &'a str,
        accessor: &'a str,
    },
    RecordRefused {
        ticket: &'a str,
        reason: Reason,
    },
    BridgeRotated {
        key: &'a str,
    },
}

/// A record on its way in. `keys`: the data key wrapped for each recipient, by X25519 key in hex.
#[derive(Clone, Debug, Deserialize)]
#[serde(crate = "calimero_sdk::serde", deny_unknown_fields)]
pub struct NewRecord {
    pub id: String,
    pub patient: String,
    pub commitment: String,
    pub categories: u32,
    pub consent: String,
    pub ciphertext: String,
    pub keys: BTreeMap<String, String>,
}

impl NewRecord {
    /// The ciphertext's bytes, if everything has its form.
    fn check(&self) -> Result<Vec<u8>, Code> {
        if !values::is_id(&self.id) {
            return Err(Code::BadId);
        }
        if !(values::is_nonzero_felt(&self.patient)
            && values::is_nonzero_felt(&self.commitment)
            && values::is_felt(&self.consent))
        {
            return Err(Code::BadFelt);
        }
        if self.categories == 0 || self.categories & !ALL_CATEGORIES != 0 {
            return Err(Code::BadCategories);
        }
        let sound = |(recipient, key): (&String, &String)| {
            values::bytes::<32>(recipient).is_some()
                && values::from_base64(key)
                    .is_some_and(|key| (1..=MAX_WRAPPED_KEY).contains(&key.len()))
        };
        if !(1..=MAX_RECIPIENTS).contains(&self.keys.len()) || !self.keys.iter().all(sound) {
            return Err(Code::BadKeys);
        }
        match values::from_base64(&self.ciphertext) {
            None => Err(Code::BadCiphertext),
            Some(bytes) if bytes.is_empty() => Err(Code::EmptyCiphertext),
            Some(bytes) if bytes.len() > MAX_CIPHERTEXT => Err(Code::TooLarge),
            Some(bytes) => Ok(bytes),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(crate = "calimero_sdk::serde")]
pub struct Keys {
    pub version: u32,
    pub keys: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(crate = "calimero_sdk::serde")]
pub struct Found {
    pub id: String,
    /// The version that has this commitment.
    pub version: u32,
    /// `0x0` and 0 once the record is erased.
    pub patient: String,
    pub categories: u32,
    /// Whether it is the stored version.
    pub current: bool,
    pub erased: bool,
}

#[derive(Debug, Serialize)]
#[serde(crate = "calimero_sdk::serde", tag = "outcome", rename_all = "UPPERCASE")]
pub enum Release {
    Released { id: String, version: u32, commitment: String, ciphertext: String },
    Refused { reason: Reason },
}

#[derive(Debug, Serialize)]
#[serde(crate = "calimero_sdk::serde")]
pub struct Numbered {
    pub seq: u64,
    #[serde(flatten)]
    pub operation: Operation,
}

#[derive(Debug, Serialize)]
#[serde(crate = "calimero_sdk::serde")]
pub struct Status {
    pub version: &'static str,
    pub capacity: u32,
    /// Records of this node that are not erased.
    pub records: u32,
    pub erased: u32,
    pub receipts: u32,
    pub refusals: u32,
    pub uncounted: u64,
    pub configured: bool,
    pub bridge_key: Option<String>,
    pub chain: Option<String>,
    pub contract: Option<String>,
}

#[app::logic]
impl PrivateRecords {
    #[app::init]
    pub fn init(capacity: u32) -> PrivateRecords {
        if !(1..=MAX_CAPACITY).contains(&capacity) {
            env::panic_str(Code::BadCapacity.word());
        }
        PrivateRecords {
            capacity: LwwRegister::new(capacity),
            records: UnorderedMap::new(),
            receipts: UnorderedMap::new(),
        }
    }

    /// Registers, once, whose tickets count on this node and which contract's log they must be about.
    pub fn configure(
        &mut self,
        bridge_key: String,
        chain: String,
        contract: String,
    ) -> app::Result<()> {
        let mut vault = Vault::load()?;
        if vault.bridge.is_some() {
            app::bail!(Code::Configured);
        }
        let key = new_key(&bridge_key)?;
        if !(values::is_nonzero_felt(&chain) && values::is_nonzero_felt(&contract)) {
            app::bail!(Code::BadFelt);
        }
        Slot::BridgeKey(&key).write(&());
        vault.bridge = Some(Bridge { key, chain, contract });
        vault.save()
    }

    /// Replaces the bridge's key by one the old key signs for. No key comes back, so that no signature
    /// works twice.
    pub fn rotate_bridge(&mut self, new_key: String, signature: String) -> app::Result<()> {
        let mut vault = Vault::load()?;
        let bridge = vault.bridge()?.clone();
        let key = crate::new_key(&new_key)?;
        let message = [ROTATION_DOMAIN, &env::context_id(), &bridge.key, &key];
        let signed = values::bytes(&signature)
            .is_some_and(|signature| signatures::verify(&bridge.key, &signature, &message));
        if !signed {
            app::bail!(Code::BadSignature);
        }
        Slot::BridgeKey(&key).write(&());
        vault.bridge = Some(Bridge { key, ..bridge });
        app::emit!(Event::BridgeRotated { key: &new_key });
        vault.save()
    }

    /// Stores a new record. Returns its version, 1.
    pub fn put(&mut self, record: NewRecord) -> app::Result<u32> {
        let mut vault = Vault::load()?;
        vault.bridge()?;
        let ciphertext = record.check()?;
        match Slot::Entry(&record.id).read() {
            Some(Entry::Erased { .. }) => app::bail!(Code::Erased),
            Some(Entry::Stored(_)) => app::bail!(Code::Exists),
            None if self.records.contains(&record.id)? => app::bail!(Code::Exists),
            None if Slot::Commitment(&record.commitment).holds() => app::bail!(Code::Exists),
            None if vault.records >= *self.capacity.get() => app::bail!(Code::Full),
            None => {}
        }
        vault.records += 1;
        self.store(vault, record, ciphertext, Vec::new())
    }

    /// Replaces a record by its next version. Returns that.
    pub fn update(&mut self, record: NewRecord, version: u32) -> app::Result<u32> {
        let vault = Vault::load()?;
        vault.bridge()?;
        let ciphertext = record.check()?;
        let stored = stored(&record.id)?;
        if version.checked_sub(1) != Some(stored.version()) {
            app::bail!(Code::WrongVersion);
        }
        if Slot::Commitment(&record.commitment).holds() {
            app::bail!(Code::Exists);
        }
        self.store(vault, record, ciphertext, stored.commitments)
    }

    /// The wrapped keys of a record, for the bridge of this node's operator.
    pub fn keys(&self, id: String) -> app::Result<Keys> {
        let record = stored(&id)?;
        Ok(Keys { version: record.version(), keys: record.keys })
    }

    /// The record a commitment is of, on this node.
    pub fn find(&self, commitment: String) -> app::Result<Option<Found>> {
        let Some((id, version)) = Slot::Commitment(&commitment).read::<(String, u32)>() else {
            return Ok(None);
        };
        Ok(Slot::Entry(&id).read().map(|entry| match entry {
            Entry::Stored(record) => Found {
                version,
                current: version == record.version(),
                patient: record.patient,
                categories: record.categories,
                erased: false,
                id,
            },
            Entry::Erased { commitments } => Found {
                version,
                current: version == vault::version(&commitments),
                patient: "0x0".to_owned(),
                categories: 0,
                erased: true,
                id,
            },
        }))
    }

    /// The ciphertext, if `ticket` entitles the accessor who signed `presentation` to it. Either way there is
    /// a receipt.
    pub fn release(
        &mut self,
        ticket: String,
        signature: String,
        presentation: String,
    ) -> app::Result<Release> {
        let mut vault = Vault::load()?;
        let at = now();
        let hash = hex::encode(ticket::hash(&ticket));
        let context = bs58::encode(env::context_id()).into_string();
        let call = Call { ticket: &ticket, signature: &signature, presentation: &presentation };
        let known = |ticket: &Ticket| Known {
            used: Slot::Used(&ticket.digest).holds(),
            entry: Slot::Entry(&ticket.record).read(),
        };
        let verdict = ticket::judge(&call, vault.bridge.as_ref(), &context, at, known);
        let verdict = match verdict {
            Ok(ticket) if vault.receipts >= self.room() => {
                Err(Refusal { reason: Reason::Full, ticket: Some(ticket) })
            }
            other => other,
        };
        let released = match verdict {
            Ok(ticket) => {
                let receipt = receipt(hash, None, Some(&ticket), at);
                self.released(&mut vault, receipt, ticket)?
            }
            Err(Refusal { reason, ticket }) => {
                let receipt = receipt(hash, Some(reason), ticket.as_ref(), at);
                self.refused(&mut vault, receipt, reason)?
            }
        };
        vault.save()?;
        Ok(released)
    }

    /// Deletes a record's ciphertext, keys and private facts, and leaves a tombstone. True if there was one.
    pub fn erase(&mut self, id: String) -> app::Result<bool> {
        let mut vault = Vault::load()?;
        let Some(Entry::Stored(record)) = Slot::Entry(&id).read() else {
            return Ok(false);
        };
        let version = record.version();
        Slot::Ciphertext(&id).remove();
        Slot::Entry(&id).write(&Entry::Erased { commitments: record.commitments.clone() });
        vault.erased += 1;
        vault.log(&Operation::Erased { id: id.clone(), version, at: now() });
        app::emit!(Event::RecordErased { id: &id, version });
        self.publish(id, record, true)?;
        vault.save()?;
        Ok(true)
    }

    /// The records every member knows, by id.
    pub fn records(&self, offset: u32, limit: u32) -> app::Result<Vec<RecordView>> {
        let mut all: Vec<_> = self.records.entries()?.collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(page(all, offset, limit).map(|(id, record)| record.into_inner().view(id)).collect())
    }

    /// What happened on this node, in order.
    pub fn operations(&self, offset: u32, limit: u32) -> app::Result<Vec<Numbered>> {
        let start = u64::from(offset);
        let end = Vault::load()?.operations.min(start + u64::from(limit.min(MAX_LIMIT)));
        Ok((start..end)
            .filter_map(|seq| {
                Slot::Operation(seq).read().map(|operation| Numbered { seq, operation })
            })
            .collect())
    }

    /// The receipts every member knows, by time.
    pub fn receipts(&self, offset: u32, limit: u32) -> app::Result<Vec<Receipt>> {
        let mut all: Vec<_> = self.receipts.entries()?.collect();
        all.sort_unstable_by(|(a, x), (b, y)| (x.get().at, a).cmp(&(y.get().at, b)));
        Ok(page(all, offset, limit).map(|(_, receipt)| receipt.into_inner()).collect())
    }

    pub fn status(&self) -> app::Result<Status> {
        let vault = Vault::load()?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            capacity: *self.capacity.get(),
            records: vault.records - vault.erased,
            erased: vault.erased,
            receipts: vault.receipts,
            refusals: vault.refusals,
            uncounted: vault.uncounted,
            configured: vault.bridge.is_some(),
            bridge_key: vault.bridge.as_ref().map(|bridge| hex::encode(bridge.key)),
            chain: vault.bridge.as_ref().map(|bridge| bridge.chain.clone()),
            contract: vault.bridge.as_ref().map(|bridge| bridge.contract.clone()),
        })
    }

    /// How many releases, and how many refusals, have room.
    fn room(&self) -> u32 {
        self.capacity.get().saturating_mul(RECEIPTS_PER_RECORD)
    }

    fn store(
        &mut self,
        mut vault: Vault,
        record: NewRecord,
        ciphertext: Vec<u8>,
        mut commitments: Vec<String>,
    ) -> app::Result<u32> {
        let NewRecord { id, patient, commitment, categories, consent, keys, .. } = record;
        commitments.push(commitment.clone());
        let version = vault::version(&commitments);
        let entry = Record { patient, commitments, categories, consent: consent.clone(), keys };
        Slot::Ciphertext(&id).write(&ciphertext);
        Slot::Commitment(&commitment).write(&(id.clone(), version));
        Slot::Entry(&id).write(&Entry::Stored(entry.clone()));
        self.publish(id.clone(), entry, false)?;
        if version == 1 {
            app::emit!(Event::RecordPut {
                id: &id,
                version,
                commitment: &commitment,
                categories,
                consent: &consent
            });
        } else {
            app::emit!(Event::RecordUpdated {
                id: &id,
                version,
                commitment: &commitment,
                categories,
                consent: &consent
            });
        }
        vault.log(&Operation::Record { id, version, commitment, categories, consent, at: now() });
        vault.save()?;
        Ok(version)
    }

    /// Replicates what a record shows.
    fn publish(&mut self, id: String, record: Record, erased: bool) -> app::Result<()> {
        let Record { commitments, categories, consent, .. } = record;
        let shown = PublicRecord { commitments, categories, consent, erased };
        self.records.insert(id, LwwRegister::new(shown))?;
        Ok(())
    }

    fn released(
        &mut self,
        vault: &mut Vault,
        receipt: Receipt,
        ticket: Ticket,
    ) -> app::Result<Release> {
        let Some(ciphertext) = Slot::Ciphertext(&ticket.record).read::<Vec<u8>>() else {
            env::panic_str("private storage is damaged")
        };
        Slot::Used(&ticket.digest).write(&());
        vault.receipts += 1;
        app::emit!(Event::RecordReleased {
            ticket: &receipt.ticket,
            digest: &ticket.digest,
            commitment: &ticket.commitment,
            accessor: &ticket.accessor,
        });
        self.keep(vault, receipt)?;
        Ok(Release::Released {
            id: ticket.record,
            version: ticket.version,
            commitment: ticket.commitment,
            ciphertext: values::to_base64(&ciphertext),
        })
    }

    /// Keeps a receipt of a refusal, unless it has one or there is no room for it.
    fn refused(
        &mut self,
        vault: &mut Vault,
        receipt: Receipt,
        reason: Reason,
    ) -> app::Result<Release> {
        if Slot::Refused(&receipt.ticket, reason).holds() {
            return Ok(Release::Refused { reason });
        }
        if vault.refusals >= self.room() {
            vault.uncounted += 1;
            return Ok(Release::Refused { reason });
        }
        Slot::Refused(&receipt.ticket, reason).write(&());
        vault.refusals += 1;
        app::emit!(Event::RecordRefused { ticket: &receipt.ticket, reason });
        self.keep(vault, receipt)?;
        Ok(Release::Refused { reason })
    }

    fn keep(&mut self, vault: &mut Vault, receipt: Receipt) -> app::Result<()> {
        vault.log(&Operation::Receipt(receipt.clone()));
        self.receipts.insert(receipt.key(), LwwRegister::new(receipt))?;
        Ok(())
    }
}

fn receipt(hash: String, reason: Option<Reason>, ticket: Option<&Ticket>, at: u64) -> Receipt {
    Receipt {
        ticket: hash,
        outcome: if reason.is_none() { Outcome::Released } else { Outcome::Refused },
        reason,
        digest: ticket.map(|ticket| ticket.digest.clone()),
        commitment: ticket.map(|ticket| ticket.commitment.clone()),
        accessor: ticket.map(|ticket| ticket.accessor.clone()),
        at,
    }
}

/// Unix seconds by this node's clock.
fn now() -> u64 {
    env::time_now() / 1_000_000_000
}

/// A key fit to be the bridge's, and never the bridge's before.
fn new_key(text: &str) -> Result<[u8; 32], Code> {
    values::bytes(text)
        .filter(|key| signatures::is_key(key) && !Slot::BridgeKey(key).holds())
        .ok_or(Code::BadKey)
}

fn stored(id: &str) -> Result<Record, Code> {
    match Slot::Entry(id).read() {
        Some(Entry::Stored(record)) => Ok(record),
        Some(Entry::Erased { .. }) => Err(Code::Erased),
        None => Err(Code::UnknownRecord),
    }
}

fn page<T>(all: Vec<T>, offset: u32, limit: u32) -> impl Iterator<Item = T> {
    all.into_iter().skip(offset as usize).take(limit.min(MAX_LIMIT) as usize)
}

#[cfg(test)]
#[path = "../tests/mod.rs"]
mod tests;

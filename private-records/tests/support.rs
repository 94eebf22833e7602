//! A hospital's node in memory: an application with a bridge, records and tickets that are in order.

use std::collections::BTreeMap;

use crate::ticket::{hash, PRESENTATION_DOMAIN, TICKET_DOMAIN};
use crate::values::to_base64;
use crate::{NewRecord, PrivateRecords, Release, ROTATION_DOMAIN};
use calimero_sdk::serde_json::{json, Value};
use calimero_sdk::testing::TestHost;
use ed25519_dalek::{Signer, SigningKey};

pub type App = TestHost<PrivateRecords>;

pub const CHAIN: &str = "0x4d454453594e43";
pub const CONTRACT: &str = "0x5afe";
pub const PATIENT: &str = "0x7a71e47";
/// The context the SDK's test host runs in.
pub const CONTEXT: [u8; 32] = [236; 32];

pub fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&hash(name))
}

pub fn public(key: &SigningKey) -> String {
    hex::encode(key.verifying_key().to_bytes())
}

/// An application nobody configured.
pub fn bare(capacity: u32) -> App {
    TestHost::new(|| PrivateRecords::init(capacity))
}

/// An application with the bridge `key("bridge")`.
pub fn app(capacity: u32) -> App {
    let mut app = bare(capacity);
    configure(&mut app);
    app
}

pub fn configure(app: &mut App) {
    app.call(|app| app.configure(public(&key("bridge")), CHAIN.into(), CONTRACT.into())).unwrap();
}

pub fn id(number: u32) -> String {
    format!("{number:032x}")
}

pub fn commitment(number: u32, version: u32) -> String {
    format!("0xc{number:08x}{version:08x}")
}

pub fn record(number: u32, version: u32) -> NewRecord {
    NewRecord {
        id: id(number),
        patient: PATIENT.to_owned(),
        commitment: commitment(number, version),
        categories: 0b1000_0001,
        consent: "0xc0".to_owned(),
        ciphertext: to_base64(format!("sealed {number} {version}").as_bytes()),
        keys: BTreeMap::from([("ab".repeat(32), to_base64(b"wrapped"))]),
    }
}

pub fn put(app: &mut App, number: u32) {
    assert_eq!(app.call(|app| app.put(record(number, 1))).unwrap(), 1);
}

/// What a call failed with.
pub fn code<T: std::fmt::Debug>(result: calimero_sdk::app::Result<T>) -> String {
    let error = calimero_sdk::serde_json::to_value(result.unwrap_err()).unwrap();
    error.as_str().expect("an error is one word").to_owned()
}

pub fn to_json(value: impl calimero_sdk::serde::Serialize) -> Value {
    calimero_sdk::serde_json::to_value(value).unwrap()
}

pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A ticket for version 1 of a record, issued now and good for a quarter of an hour.
pub fn ticket(number: u32) -> Value {
    let now = now();
    json!({
        "v": 1,
        "chain": CHAIN,
        "contract": CONTRACT,
        "context": bs58::encode(CONTEXT).into_string(),
        "patient": PATIENT,
        "seq": 7,
        "digest": format!("0xd{number:x}"),
        "decision": "PERMIT",
        "record": id(number),
        "version": 1,
        "commitment": commitment(number, 1),
        "accessor": "0xacce5",
        "accessor_key": public(&key("accessor")),
        "wrapped_key": to_base64(b"wrapped for the accessor"),
        "issued_at": now,
        "deadline": now + 900,
    })
}

/// `ticket` with other values; a null takes a field away.
pub fn altered(mut ticket: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        if value.is_null() {
            ticket.as_object_mut().unwrap().remove(name);
        } else {
            ticket[name] = value.clone();
        }
    }
    ticket
}

/// The arguments of a call to `release`.
#[derive(Clone)]
pub struct Presented {
    pub text: String,
    pub signature: String,
    pub presentation: String,
}

pub fn sign(key: &SigningKey, parts: &[&[u8]]) -> String {
    hex::encode(key.sign(&parts.concat()).to_bytes())
}

pub fn present(ticket: &Value, bridge: &SigningKey, accessor: &SigningKey) -> Presented {
    let text = ticket.to_string();
    Presented {
        signature: sign(bridge, &[TICKET_DOMAIN, text.as_bytes()]),
        presentation: sign(accessor, &[PRESENTATION_DOMAIN, &hash(&text)]),
        text,
    }
}

/// A ticket presented as it should be.
pub fn proper(ticket: &Value) -> Presented {
    present(ticket, &key("bridge"), &key("accessor"))
}

pub fn release(app: &mut App, presented: &Presented) -> Value {
    let Presented { text, signature, presentation } = presented.clone();
    let outcome: Release =
        app.call(|app| app.release(text, signature, presentation)).expect("policy is no error");
    to_json(outcome)
}

/// Why a call to `release` is refused.
pub fn refusal(app: &mut App, presented: &Presented) -> String {
    let outcome = release(app, presented);
    assert_eq!(outcome["outcome"], "REFUSED", "{outcome}");
    assert_eq!(outcome.as_object().unwrap().len(), 2, "nothing but the reason: {outcome}");
    outcome["reason"].as_str().unwrap().to_owned()
}

pub fn rotation(old: &SigningKey, new: &SigningKey) -> String {
    let parts: [&[u8]; 4] = [
        ROTATION_DOMAIN,
        &CONTEXT,
        &old.verifying_key().to_bytes(),
        &new.verifying_key().to_bytes(),
    ];
    sign(old, &parts)
}

pub fn status(app: &App) -> Value {
    to_json(app.view(|app| app.status()).unwrap())
}

pub fn operations(app: &App) -> Vec<Value> {
    app.view(|app| app.operations(0, 500)).unwrap().iter().map(to_json).collect()
}

pub fn receipts(app: &App) -> Vec<Value> {
    app.view(|app| app.receipts(0, 500)).unwrap().iter().map(to_json).collect()
}

pub fn records(app: &App) -> Vec<Value> {
    app.view(|app| app.records(0, 500)).unwrap().iter().map(to_json).collect()
}

/// The last event: its kind and data.
pub fn last_event(app: &App) -> (String, Value) {
    let event = app.events().pop().expect("an event");
    (event.kind, calimero_sdk::serde_json::from_slice(&event.data).unwrap())
}

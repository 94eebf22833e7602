//! What is private stays on the node: not in the delta that is broadcast, not in the state, not in an event.
//!
//! The fault this is for: a collection whose type is written as an alias inside `#[app::private]` is not made
//! private by the SDK's macro, and its entries are broadcast.

use super::support::*;
use crate::values::to_base64;
use crate::NewRecord;
use calimero_sdk::serde_json::json;
use calimero_storage::collections::UnorderedMap;
use calimero_storage::env::take_last_artifact;

const CIPHERTEXT: &[u8] = b"MARKER-OF-THE-CIPHERTEXT";
const WRAPPED: &[u8] = b"MARKER-OF-THE-KEY";
const PATIENT_MARKER: &str = "0x4d41524b45522d4f462d5448452d50415449454e54";

fn marked(version: u32) -> NewRecord {
    let mut record = record(1, version);
    record.patient = PATIENT_MARKER.into();
    record.ciphertext = to_base64(CIPHERTEXT);
    record.keys = [("ef".repeat(32), to_base64(WRAPPED))].into();
    record
}

/// The markers, in each form they could appear in.
fn markers() -> Vec<Vec<u8>> {
    let mut all = vec![PATIENT_MARKER.into(), "ef".repeat(32).into(), vec![0xef; 32]];
    all.push(hex::decode(&PATIENT_MARKER[2..]).unwrap());
    for marker in [CIPHERTEXT, WRAPPED] {
        all.extend([
            marker.to_vec(),
            to_base64(marker).into_bytes(),
            hex::encode(marker).into_bytes(),
        ]);
    }
    all
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn assert_unmarked(bytes: &[u8], place: &str) {
    for marker in markers() {
        assert!(!holds(bytes, &marker), "{} is in {place}", String::from_utf8_lossy(&marker));
    }
}

fn assert_delta_unmarked(place: &str, expected: &str) {
    let delta = take_last_artifact().expect("a delta");
    assert!(holds(&delta, expected.as_bytes()), "the search sees what is in the delta of {place}");
    assert_unmarked(&delta, place);
}

#[test]
fn no_private_byte_leaves_the_node() {
    let mut app = app(3);
    app.call(|app| app.put(marked(1))).unwrap();
    assert_delta_unmarked("put", &commitment(1, 1));
    app.call(|app| app.update(marked(2), 2)).unwrap();
    assert_delta_unmarked("update", &commitment(1, 2));
    let fields = json!({"patient": PATIENT_MARKER, "version": 2, "commitment": commitment(1, 2)});
    let presented = proper(&altered(ticket(1), fields));
    let released = release(&mut app, &presented).to_string();
    assert!(holds(released.as_bytes(), to_base64(CIPHERTEXT).as_bytes()), "the markers are there");
    assert_delta_unmarked("release", "0xacce5");
    assert_eq!(refusal(&mut app, &presented), "USED");
    assert_delta_unmarked("refusal", "0xacce5");
    app.call(|app| app.erase(id(1))).unwrap();
    assert_delta_unmarked("erase", &commitment(1, 2));

    for event in app.events() {
        assert_unmarked(&event.data, &event.kind);
        assert_unmarked(event.kind.as_bytes(), "an event's kind");
    }
    assert_unmarked(app.logs().concat().as_bytes(), "the log");
    for view in [records(&app), receipts(&app), operations(&app)] {
        assert_unmarked(json!(view).to_string().as_bytes(), "a list");
    }
    assert_unmarked(status(&app).to_string().as_bytes(), "the status");
}

#[test]
fn an_error_says_nothing_of_the_arguments() {
    let mut app = app(3);
    let mut wrong = marked(1);
    wrong.id = PATIENT_MARKER.into();
    assert_eq!(code(app.call(|app| app.put(wrong))), "BAD_ID");
    app.call(|app| app.put(marked(1))).unwrap();
    assert_unmarked(code(app.call(|app| app.put(marked(1)))).as_bytes(), "an error");
}

#[test]
fn after_an_erasure_the_node_itself_has_nothing_left() {
    let mut app = app(3);
    app.call(|app| app.put(marked(1))).unwrap();
    let presented = proper(&altered(ticket(1), json!({"patient": PATIENT_MARKER})));
    app.call(|app| app.erase(id(1))).unwrap();
    assert_eq!(refusal(&mut app, &presented), "ERASED");
    let told = to_json(app.view(|app| app.find(commitment(1, 1))).unwrap()).to_string();
    assert_unmarked(told.as_bytes(), "find");
    assert_eq!(code(app.view(|app| app.keys(id(1)))), "ERASED");
}

/// The search finds what does leak: an entry of an ordinary map is in the delta.
#[test]
fn the_search_can_fail() {
    let mut app = app(3);
    app.call(|_| {
        let mut map = UnorderedMap::<String, String>::new();
        map.insert("ciphertext".into(), to_base64(CIPHERTEXT)).unwrap();
    });
    let delta = take_last_artifact().expect("a delta");
    assert!(holds(&delta, to_base64(CIPHERTEXT).as_bytes()));
}

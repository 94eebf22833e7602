//! Storing, updating, listing and erasing records.

use super::support::*;
use crate::values::to_base64;
use crate::{NewRecord, MAX_CIPHERTEXT, MAX_RECIPIENTS, MAX_WRAPPED_KEY};
use calimero_sdk::serde_json::json;

#[test]
fn a_record_is_stored_privately_and_published_as_a_commitment() {
    let mut app = app(3);
    put(&mut app, 1);
    let public = json!({
        "id": id(1), "version": 1, "commitment": commitment(1, 1), "categories": 0b1000_0001, "consent": "0xc0",
    });
    assert_eq!(last_event(&app), ("RecordPut".to_owned(), public.clone()));
    let listed = altered(public.clone(), json!({"former": [], "erased": false}));
    assert_eq!(records(&app), [listed]);
    let operation = altered(
        public,
        json!({"seq": 0, "kind": "RECORD", "at": operations(&app)[0]["at"].clone()}),
    );
    assert_eq!(operations(&app), [operation]);
    assert!(operations(&app)[0]["at"].as_u64().unwrap().abs_diff(now()) <= 5);
    let keys = to_json(app.view(|app| app.keys(id(1))).unwrap());
    assert_eq!(keys, json!({"version": 1, "keys": {"ab".repeat(32): to_base64(b"wrapped")}}));
    let found = to_json(app.view(|app| app.find(commitment(1, 1))).unwrap());
    assert_eq!(
        found,
        json!({
            "id": id(1), "version": 1, "patient": PATIENT, "categories": 0b1000_0001, "current": true,
            "erased": false,
        })
    );
    assert!(app.view(|app| app.find("0x1".into())).unwrap().is_none());
}

#[test]
fn nothing_is_stored_before_a_bridge_is_registered() {
    let mut app = bare(3);
    assert_eq!(code(app.call(|app| app.put(record(1, 1)))), "NOT_CONFIGURED");
    assert_eq!(code(app.call(|app| app.update(record(1, 2), 2))), "NOT_CONFIGURED");
    configure(&mut app);
    put(&mut app, 1);
}

#[test]
fn every_field_must_have_its_form() {
    let mut app = app(3);
    let cases: Vec<(&str, Box<dyn Fn(&mut NewRecord)>)> = vec![
        ("BAD_ID", Box::new(|r| r.id = "0F".repeat(16))),
        ("BAD_ID", Box::new(|r| r.id = "0".repeat(31))),
        ("BAD_FELT", Box::new(|r| r.patient = "0x0".into())),
        ("BAD_FELT", Box::new(|r| r.commitment = "0x0".into())),
        ("BAD_FELT", Box::new(|r| r.commitment = "0x01".into())),
        ("BAD_FELT", Box::new(|r| r.consent = "".into())),
        ("BAD_CATEGORIES", Box::new(|r| r.categories = 0)),
        ("BAD_CATEGORIES", Box::new(|r| r.categories = 0x1_0000)),
        ("BAD_KEYS", Box::new(|r| r.keys.clear())),
        ("BAD_KEYS", Box::new(|r| drop(r.keys.insert("ab".into(), to_base64(b"wrapped"))))),
        ("BAD_KEYS", Box::new(|r| drop(r.keys.insert("cd".repeat(32), "".into())))),
        ("BAD_KEYS", Box::new(|r| drop(r.keys.insert("cd".repeat(32), "?".into())))),
        (
            "BAD_KEYS",
            Box::new(|r| {
                drop(r.keys.insert("cd".repeat(32), to_base64(&[0; MAX_WRAPPED_KEY + 1])))
            }),
        ),
        ("BAD_KEYS", Box::new(|r| r.keys = recipients(MAX_RECIPIENTS + 1))),
        ("EMPTY_CIPHERTEXT", Box::new(|r| r.ciphertext = "".into())),
        ("BAD_CIPHERTEXT", Box::new(|r| r.ciphertext = "AA".into())),
        ("TOO_LARGE", Box::new(|r| r.ciphertext = to_base64(&vec![0; MAX_CIPHERTEXT + 1]))),
    ];
    for (number, (expected, spoil)) in cases.into_iter().enumerate() {
        let mut spoilt = record(1, 1);
        spoil(&mut spoilt);
        assert_eq!(code(app.call(|app| app.put(spoilt.clone()))), expected, "case {number}");
        assert_eq!(code(app.call(|app| app.update(spoilt, 2))), expected, "case {number}");
    }
    assert_eq!((records(&app).len(), operations(&app).len()), (0, 0));
    let mut largest = record(1, 1);
    largest.ciphertext = to_base64(&vec![7; MAX_CIPHERTEXT]);
    largest.keys = recipients(MAX_RECIPIENTS);
    largest.categories = 0xffff;
    largest.consent = "0x0".into();
    assert_eq!(app.call(|app| app.put(largest.clone())).unwrap(), 1);
    assert_eq!(release(&mut app, &proper(&ticket(1)))["ciphertext"], largest.ciphertext);
}

fn recipients(count: usize) -> std::collections::BTreeMap<String, String> {
    let wrapped = to_base64(&[1; MAX_WRAPPED_KEY]);
    (0..count).map(|number| (format!("{number:064x}"), wrapped.clone())).collect()
}

#[test]
fn an_id_and_a_commitment_are_used_once() {
    let mut app = app(3);
    put(&mut app, 1);
    assert_eq!(code(app.call(|app| app.put(record(1, 1)))), "EXISTS");
    let same_commitment = NewRecord { commitment: commitment(1, 1), ..record(2, 1) };
    assert_eq!(code(app.call(|app| app.put(same_commitment.clone()))), "EXISTS");
    put(&mut app, 2);
    assert_eq!(code(app.call(|app| app.update(same_commitment, 2))), "EXISTS");
    app.call(|app| app.erase(id(1))).unwrap();
    assert_eq!(code(app.call(|app| app.put(record(1, 9)))), "ERASED");
    assert_eq!(code(app.call(|app| app.update(record(1, 9), 2))), "ERASED");
}

#[test]
fn an_update_replaces_the_version_before_it() {
    let mut app = app(1);
    assert_eq!(code(app.call(|app| app.update(record(1, 2), 2))), "UNKNOWN_RECORD");
    put(&mut app, 1);
    for wrong in [0, 1, 3, u32::MAX] {
        assert_eq!(code(app.call(|app| app.update(record(1, 2), wrong))), "WRONG_VERSION");
    }
    let mut next = record(1, 2);
    next.keys = recipients(1);
    assert_eq!(app.call(|app| app.update(next, 2)).unwrap(), 2);
    assert_eq!(app.call(|app| app.update(record(1, 3), 3)).unwrap(), 3);
    let (kind, data) = last_event(&app);
    assert_eq!((kind.as_str(), &data["version"]), ("RecordUpdated", &json!(3)));
    assert_eq!(records(&app).len(), 1);
    assert_eq!(records(&app)[0]["commitment"], commitment(1, 3));
    assert_eq!(records(&app)[0]["former"], json!([commitment(1, 1), commitment(1, 2)]));
    let versions: Vec<_> = operations(&app).iter().map(|o| o["version"].clone()).collect();
    assert_eq!(versions, [1, 2, 3]);
    let old = to_json(app.view(|app| app.find(commitment(1, 2))).unwrap());
    assert_eq!((&old["version"], &old["current"]), (&json!(2), &json!(false)));
    assert_eq!(app.view(|app| app.keys(id(1))).unwrap().version, 3);
    assert_eq!(status(&app)["records"], 1);
}

#[test]
fn a_context_holds_as_many_records_as_it_was_made_for() {
    let mut app = app(2);
    put(&mut app, 1);
    put(&mut app, 2);
    assert_eq!(code(app.call(|app| app.put(record(3, 1)))), "FULL");
    assert!(app.call(|app| app.erase(id(1))).unwrap());
    assert_eq!(code(app.call(|app| app.put(record(3, 1)))), "FULL", "a tombstone takes room too");
    assert_eq!(app.call(|app| app.update(record(2, 2), 2)).unwrap(), 2, "an update takes none");
}

#[test]
fn erasure_leaves_a_tombstone_and_nothing_else() {
    let mut app = app(3);
    put(&mut app, 1);
    app.call(|app| app.update(record(1, 2), 2)).unwrap();
    assert!(app.call(|app| app.erase(id(1))).unwrap());
    assert_eq!(last_event(&app), ("RecordErased".to_owned(), json!({"id": id(1), "version": 2})));
    let events = app.events().len();
    assert!(!app.call(|app| app.erase(id(1))).unwrap(), "the second time there is nothing");
    assert!(!app.call(|app| app.erase(id(9))).unwrap());
    assert!(!app.call(|app| app.erase("no id".into())).unwrap());
    assert_eq!((operations(&app).len(), app.events().len()), (3, events));
    let last = &operations(&app)[2];
    assert_eq!(
        *last,
        json!({"seq": 2, "kind": "ERASED", "id": id(1), "version": 2, "at": last["at"].clone()})
    );
    assert_eq!(records(&app)[0]["erased"], true);
    assert_eq!(code(app.view(|app| app.keys(id(1)))), "ERASED");
    assert_eq!(code(app.view(|app| app.keys(id(9)))), "UNKNOWN_RECORD");
    for (version, current) in [(1, false), (2, true)] {
        let found = to_json(app.view(|app| app.find(commitment(1, version))).unwrap());
        assert_eq!(
            found,
            json!({
                "id": id(1), "version": version, "patient": "0x0", "categories": 0, "current": current,
                "erased": true,
            })
        );
    }
    let counts = status(&app);
    assert_eq!((&counts["records"], &counts["erased"]), (&json!(0), &json!(1)));
}

#[test]
fn lists_come_in_pages() {
    let mut app = app(30);
    for number in [5, 3, 9, 1, 7] {
        put(&mut app, number);
    }
    let ids = |offset, limit| -> Vec<String> {
        app.view(|app| app.records(offset, limit)).unwrap().into_iter().map(|r| r.id).collect()
    };
    assert_eq!(ids(0, 500), [id(1), id(3), id(5), id(7), id(9)], "by id");
    assert_eq!(ids(1, 2), [id(3), id(5)]);
    assert_eq!(ids(4, 2), [id(9)]);
    assert_eq!((ids(5, 2).len(), ids(u32::MAX, u32::MAX).len(), ids(0, 0).len()), (0, 0, 0));
    let seqs = |offset, limit| -> Vec<u64> {
        app.view(|app| app.operations(offset, limit)).unwrap().iter().map(|o| o.seq).collect()
    };
    assert_eq!(seqs(0, u32::MAX), [0, 1, 2, 3, 4]);
    assert_eq!(seqs(3, 1), [3]);
    assert_eq!((seqs(5, 1).len(), seqs(u32::MAX, u32::MAX).len()), (0, 0));
    assert_eq!(operations(&app)[1]["id"], id(3), "in the order they happened");
}

#[test]
fn at_most_five_hundred_items_are_listed() {
    let mut app = app(1);
    put(&mut app, 1);
    for version in 2..=502 {
        app.call(|app| app.update(record(1, version), version)).unwrap();
    }
    assert_eq!(app.view(|app| app.operations(0, 501)).unwrap().len(), 500);
    assert_eq!(app.view(|app| app.operations(500, 501)).unwrap().len(), 2);
}

//! Releases: who gets a record, every reason for a refusal, and the receipts of both.

use super::support::*;
use crate::codes::Reason;
use crate::ticket::{hash, judge, Call, Known, Ticket, CLOCK_SKEW, MAX_LIFE, MAX_TEXT};
use crate::values::to_base64;
use crate::vault::{Bridge, Entry, Record};
use calimero_sdk::serde_json::{json, Value};

fn text_hash(presented: &Presented) -> String {
    hex::encode(hash(&presented.text))
}

#[test]
fn a_ticket_releases_the_record_once() {
    let mut app = app(3);
    put(&mut app, 1);
    let presented = proper(&ticket(1));
    let mut released = release(&mut app, &presented);
    assert_eq!(
        released.as_object_mut().unwrap().remove("ciphertext"),
        Some(to_base64(b"sealed 1 1").into())
    );
    assert_eq!(
        released,
        json!({"outcome": "RELEASED", "id": id(1), "version": 1, "commitment": commitment(1, 1)})
    );
    let facts = json!({
        "ticket": text_hash(&presented), "digest": "0xd1", "commitment": commitment(1, 1), "accessor": "0xacce5",
    });
    assert_eq!(last_event(&app), ("RecordReleased".to_owned(), facts.clone()));
    let receipt = &receipts(&app)[0];
    let at = receipt["at"].clone();
    assert!(at.as_u64().unwrap().abs_diff(now()) <= 5);
    let mut expected = altered(facts, json!({"outcome": "RELEASED", "at": at}));
    expected["reason"] = Value::Null;
    assert_eq!(*receipt, expected);
    let operation = altered(expected, json!({"seq": 1, "kind": "RECEIPT"}));
    assert_eq!(operation, operations(&app)[1]);

    assert_eq!(refusal(&mut app, &presented), "USED");
    let another = altered(ticket(1), json!({"seq": 8, "issued_at": now() - 1}));
    assert_eq!(refusal(&mut app, &proper(&another)), "USED", "it is the log entry that counts");
    let next = altered(ticket(1), json!({"digest": "0xd2"}));
    assert_eq!(release(&mut app, &proper(&next))["outcome"], "RELEASED");
}

#[test]
fn an_emergency_entitles_as_a_permit_does() {
    let mut app = app(3);
    put(&mut app, 1);
    let presented = proper(&altered(ticket(1), json!({"decision": "EMERGENCY"})));
    assert_eq!(release(&mut app, &presented)["outcome"], "RELEASED");
}

/// What each reason is called, and a ticket that gets it and every reason further down: the reasons' order.
#[test]
fn the_first_reason_that_applies_is_given() {
    let mut app = app(9);
    for number in 1..=3 {
        put(&mut app, number);
    }
    app.call(|app| app.erase(id(2))).unwrap();
    // Record 2 is erased; record 1's log entry is served.
    assert_eq!(release(&mut app, &proper(&ticket(1)))["outcome"], "RELEASED");
    let old = now() - 2 * MAX_LIFE;
    let future = now() + 2 * MAX_LIFE;

    let mut wrong = altered(ticket(3), json!({"version": 2}));
    let mut steps = Vec::new();
    let mut reason = |wrong: &Value, name: &'static str| steps.push((proper(wrong), name));
    reason(&wrong, "STALE");
    wrong["patient"] = json!("0xbad");
    reason(&wrong, "WRONG_PATIENT");
    wrong["record"] = json!(id(2));
    reason(&wrong, "ERASED");
    wrong["record"] = json!(id(99));
    reason(&wrong, "UNKNOWN_RECORD");
    wrong["digest"] = json!("0xd1");
    reason(&wrong, "USED");
    wrong["issued_at"] = json!(old);
    wrong["deadline"] = json!(old + 1);
    reason(&wrong, "EXPIRED");
    // No ticket is both too old and too new, so this one leaves the order as it is.
    wrong["issued_at"] = json!(future);
    wrong["deadline"] = json!(future);
    reason(&wrong, "NOT_YET");
    drop(reason);
    let accessor = key("accessor");
    let (thief, bridge) = (key("thief"), key("bridge"));
    steps.push((present(&wrong, &bridge, &thief), "BAD_PRESENTATION"));
    wrong["context"] = json!(bs58::encode([1; 32]).into_string());
    steps.push((present(&wrong, &bridge, &thief), "WRONG_CONTEXT"));
    wrong["contract"] = json!("0xbad");
    steps.push((present(&wrong, &bridge, &thief), "WRONG_CONTRACT"));
    wrong["chain"] = json!("0xbad");
    steps.push((present(&wrong, &bridge, &thief), "WRONG_CHAIN"));
    steps.push((present(&wrong, &thief, &accessor), "BAD_SIGNATURE"));
    wrong["v"] = json!(2);
    steps.push((present(&wrong, &thief, &accessor), "MALFORMED"));

    for (presented, expected) in &steps {
        assert_eq!(refusal(&mut app, presented), *expected);
    }
    let mut bare = (drop(app), bare(1)).1;
    assert_eq!(refusal(&mut bare, &steps.last().unwrap().0), "NOT_CONFIGURED");

    let mut told: Vec<_> = steps.iter().map(|(_, name)| *name).chain(["NOT_CONFIGURED"]).collect();
    told.reverse();
    let mut all: Vec<_> = Reason::ALL.iter().map(|reason| reason.word()).collect();
    assert_eq!(all.pop(), Some("FULL"), "it has a test of its own");
    assert_eq!(told, all);
}

#[test]
fn what_is_not_of_the_published_form_is_malformed() {
    let mut app = app(30);
    put(&mut app, 1);
    let fields = [
        json!({"v": 2}),
        json!({"v": "1"}),
        json!({"chain": "SN_MAIN"}),
        json!({"contract": "0x0"}),
        json!({"patient": "0x0"}),
        json!({"patient": "0x01"}),
        json!({"digest": "d"}),
        json!({"commitment": "0x0"}),
        json!({"accessor": "0X1"}),
        json!({"record": "1"}),
        json!({"version": -1}),
        json!({"version": 1.0}),
        json!({"seq": "7"}),
        json!({"decision": "DENY"}),
        json!({"decision": "permit"}),
        json!({"accessor_key": "00"}),
        json!({"wrapped_key": ""}),
        json!({"wrapped_key": "?"}),
        json!({"deadline": now() - 1}),
        json!({"deadline": now() + 2 * MAX_LIFE}),
        json!({"deadline": u64::MAX}),
        json!({"wrapped_key": to_base64(&[0; MAX_TEXT])}),
        json!({"more": 1}),
    ];
    let taken = ticket(1);
    let taken = taken.as_object().unwrap().keys().map(|name| json!({name: null}));
    for field in fields.into_iter().chain(taken) {
        let presented = proper(&altered(ticket(1), field.clone()));
        assert_eq!(refusal(&mut app, &presented), "MALFORMED", "{field}");
    }
    let good = proper(&ticket(1));
    let texts = [
        "".to_owned(),
        "null".into(),
        "[]".into(),
        format!("{}x", good.text),
        good.text.replacen('{', r#"{"v":1,"#, 1),
    ];
    for text in texts {
        assert_eq!(refusal(&mut app, &Presented { text, ..good.clone() }), "MALFORMED");
    }
    for bad in
        ["".to_owned(), "00".into(), good.signature.to_uppercase(), format!("{}00", good.signature)]
    {
        let signature = Presented { signature: bad.clone(), ..good.clone() };
        assert_eq!(refusal(&mut app, &signature), "MALFORMED");
        assert_eq!(
            refusal(&mut app, &Presented { presentation: bad, ..good.clone() }),
            "MALFORMED"
        );
    }
    assert_eq!(release(&mut app, &good)["outcome"], "RELEASED");
}

#[test]
fn a_ticket_is_bound_to_what_was_signed() {
    let mut app = app(9);
    put(&mut app, 1);
    let good = proper(&ticket(1));
    let other = proper(&altered(ticket(1), json!({"digest": "0xd2"})));
    let swapped = Presented { text: other.text.clone(), ..good.clone() };
    assert_eq!(refusal(&mut app, &swapped), "BAD_SIGNATURE");
    let swapped = Presented { presentation: other.presentation.clone(), ..good.clone() };
    assert_eq!(refusal(&mut app, &swapped), "BAD_PRESENTATION", "a presentation is for one ticket");
    let swapped = Presented { presentation: good.signature.clone(), ..good.clone() };
    assert_eq!(refusal(&mut app, &swapped), "BAD_PRESENTATION");
    // The same members with other white space are another text: the signature is of the text.
    let spaced = Presented { text: good.text.replacen(':', ": ", 1), ..good.clone() };
    assert_eq!(refusal(&mut app, &spaced), "BAD_SIGNATURE");
    for weak in
        [format!("01{}", "00".repeat(31)), format!("02{}", "00".repeat(31)), "00".repeat(32)]
    {
        let ticket = altered(ticket(1), json!({"accessor_key": weak}));
        let mut presented = proper(&ticket);
        assert_eq!(refusal(&mut app, &presented), "BAD_PRESENTATION");
        presented.presentation = format!("01{}", "00".repeat(63));
        assert_eq!(
            refusal(&mut app, &presented),
            "BAD_PRESENTATION",
            "anybody can sign for {weak}"
        );
    }
    assert_eq!(release(&mut app, &good)["outcome"], "RELEASED");
}

#[test]
fn only_the_stored_version_is_released() {
    let mut app = app(3);
    put(&mut app, 1);
    let first = proper(&ticket(1));
    app.call(|app| app.update(record(1, 2), 2)).unwrap();
    assert_eq!(refusal(&mut app, &first), "STALE");
    let mixed = altered(ticket(1), json!({"version": 2}));
    assert_eq!(refusal(&mut app, &proper(&mixed)), "STALE");
    let second = altered(mixed, json!({"commitment": commitment(1, 2)}));
    assert_eq!(release(&mut app, &proper(&second))["ciphertext"], to_base64(b"sealed 1 2"));
}

/// The clock is this node's; at each edge, the last second that is in and the first that is out.
#[test]
fn a_ticket_has_its_time() {
    const ISSUED: u64 = 1_800_000_000;
    let ticket = altered(ticket(1), json!({"issued_at": ISSUED, "deadline": ISSUED + MAX_LIFE}));
    let presented = proper(&ticket);
    let reason_at = |now: u64| {
        let bridge = Bridge {
            key: key("bridge").verifying_key().to_bytes(),
            chain: CHAIN.into(),
            contract: CONTRACT.into(),
        };
        let call = Call {
            ticket: &presented.text,
            signature: &presented.signature,
            presentation: &presented.presentation,
        };
        let stored = Record {
            patient: PATIENT.into(),
            commitments: vec![commitment(1, 1)],
            categories: 1,
            consent: "0x0".into(),
            keys: Default::default(),
        };
        let known = |_: &Ticket| Known { used: false, entry: Some(Entry::Stored(stored)) };
        let context = bs58::encode(CONTEXT).into_string();
        judge(&call, Some(&bridge), &context, now, known).err().map(|refusal| refusal.reason)
    };
    assert_eq!(reason_at(ISSUED - CLOCK_SKEW - 1), Some(Reason::NotYet));
    assert_eq!(reason_at(ISSUED - CLOCK_SKEW), None);
    assert_eq!(reason_at(ISSUED + MAX_LIFE), None);
    assert_eq!(reason_at(ISSUED + MAX_LIFE + 1), Some(Reason::Expired));
    assert_eq!(reason_at(0), Some(Reason::NotYet));
    assert_eq!(reason_at(u64::MAX), Some(Reason::Expired));
}

#[test]
fn a_refusal_has_one_receipt() {
    let mut app = app(3);
    put(&mut app, 1);
    let ticket = ticket(1);
    let forged = present(&ticket, &key("thief"), &key("accessor"));
    for _ in 0..3 {
        assert_eq!(refusal(&mut app, &forged), "BAD_SIGNATURE");
    }
    assert_eq!(receipts(&app).len(), 1);
    assert_eq!(operations(&app).len(), 2);
    assert_eq!(app.events().len(), 2);
    assert_eq!(status(&app)["refusals"], 1);
    // Nothing of what a stranger wrote is kept.
    let receipt = receipts(&app).remove(0);
    assert_eq!(
        receipt,
        json!({
            "ticket": text_hash(&forged), "outcome": "REFUSED", "reason": "BAD_SIGNATURE", "digest": null,
            "commitment": null, "accessor": null, "at": receipt["at"].clone(),
        })
    );
    let told = (last_event(&app).0, last_event(&app).1.to_string());
    assert_eq!(told.0, "RecordRefused");
    for word in ["0xacce5", "0xd1", PATIENT, &commitment(1, 1)] {
        assert!(!told.1.contains(word));
    }

    // The same ticket for another reason has another receipt; once verified, with what it says.
    let foreign = present(&ticket, &key("bridge"), &key("thief"));
    assert_eq!(refusal(&mut app, &foreign), "BAD_PRESENTATION");
    let last = receipts(&app).into_iter().find(|r| r["reason"] == "BAD_PRESENTATION").unwrap();
    assert_eq!(last["ticket"], text_hash(&forged));
    assert_eq!((&last["digest"], &last["accessor"]), (&json!("0xd1"), &json!("0xacce5")));
    assert_eq!(status(&app)["refusals"], 2);
    // A refusal does not use a ticket up.
    assert_eq!(release(&mut app, &proper(&ticket))["outcome"], "RELEASED");
}

#[test]
fn receipts_are_bounded() {
    let mut app = app(1);
    put(&mut app, 1);
    let numbered = |number: u32| altered(ticket(1), json!({"digest": format!("0x{number:x}")}));
    for number in 1..=5 {
        let forged = present(&numbered(number), &key("thief"), &key("accessor"));
        assert_eq!(refusal(&mut app, &forged), "BAD_SIGNATURE");
    }
    let counts = status(&app);
    assert_eq!((&counts["refusals"], &counts["uncounted"]), (&json!(4), &json!(1)));
    assert_eq!(receipts(&app).len(), 4);

    for number in 1..=4 {
        assert_eq!(release(&mut app, &proper(&numbered(number)))["outcome"], "RELEASED");
    }
    assert_eq!(refusal(&mut app, &proper(&numbered(5))), "FULL", "no log, no data");
    let counts = status(&app);
    assert_eq!((&counts["receipts"], &counts["uncounted"]), (&json!(4), &json!(2)));
    assert_eq!((receipts(&app).len(), operations(&app).len()), (8, 9));
    assert_eq!(refusal(&mut app, &proper(&numbered(4))), "USED", "the first reason that applies");
}

#[test]
fn receipts_come_in_pages() {
    let mut app = app(9);
    for number in 1..=5 {
        let forged = present(&ticket(number), &key("thief"), &key("accessor"));
        refusal(&mut app, &forged);
    }
    let all = receipts(&app);
    let page = |offset, limit| to_json(app.view(|app| app.receipts(offset, limit)).unwrap());
    assert_eq!(page(1, 2), json!(all[1..3]));
    assert_eq!(page(4, 9), json!(all[4..]));
    assert_eq!(page(5, 1), json!([]));
}

//! Registering a bridge, and rotating its key.

use super::support::*;
use calimero_sdk::serde_json::{json, Value};

#[test]
fn a_bridge_is_registered_once() {
    let mut app = bare(3);
    let unset = status(&app);
    assert_eq!(
        unset,
        json!({
            "version": "0.1.0", "capacity": 3, "records": 0, "erased": 0, "receipts": 0, "refusals": 0,
            "uncounted": 0, "configured": false, "bridge_key": null, "chain": null, "contract": null,
        })
    );
    configure(&mut app);
    let set = json!({
        "configured": true, "bridge_key": public(&key("bridge")), "chain": CHAIN, "contract": CONTRACT,
    });
    let expected: Value = altered(altered(unset, set), json!({}));
    assert_eq!(status(&app), expected);
    let again = app.call(|app| app.configure(public(&key("thief")), CHAIN.into(), CONTRACT.into()));
    assert_eq!(code(again), "CONFIGURED");
    assert_eq!(status(&app), expected);
}

#[test]
fn a_registration_needs_a_key_and_felts() {
    let mut app = bare(3);
    let good = public(&key("bridge"));
    let identity = format!("01{}", "00".repeat(31));
    let no_point = format!("02{}", "00".repeat(31));
    for bad in ["", "ab", &good.to_uppercase(), &format!("0x{good}"), &identity, &no_point] {
        let call = app.call(|app| app.configure(bad.into(), CHAIN.into(), CONTRACT.into()));
        assert_eq!(code(call), "BAD_KEY", "{bad}");
    }
    for (chain, contract) in [("0x0", CONTRACT), (CHAIN, "0x0"), ("SN_MAIN", CONTRACT), (CHAIN, "")]
    {
        let call = app.call(|app| app.configure(good.clone(), chain.into(), contract.into()));
        assert_eq!(code(call), "BAD_FELT");
    }
    assert_eq!(status(&app)["configured"], false);
}

#[test]
fn the_old_key_signs_for_the_new_one() {
    let mut app = app(3);
    put(&mut app, 1);
    let (old, new, third) = (key("bridge"), key("new bridge"), key("third bridge"));
    let rotate = |app: &mut App, key: &ed25519_dalek::SigningKey, signature: &str| {
        app.call(|app| app.rotate_bridge(public(key), signature.into()))
    };
    for bad in ["", "00", &rotation(&new, &new), &rotation(&old, &third), &"00".repeat(64)] {
        assert_eq!(code(rotate(&mut app, &new, bad)), "BAD_SIGNATURE");
    }
    let bad_key = app.call(|app| app.rotate_bridge("00".into(), rotation(&old, &new)));
    assert_eq!(code(bad_key), "BAD_KEY");

    rotate(&mut app, &new, &rotation(&old, &new)).unwrap();
    assert_eq!(last_event(&app), ("BridgeRotated".to_owned(), json!({"key": public(&new)})));
    assert_eq!(status(&app)["bridge_key"], public(&new));
    assert_eq!(refusal(&mut app, &proper(&ticket(1))), "BAD_SIGNATURE");
    let by_new = present(&ticket(1), &new, &key("accessor"));
    assert_eq!(release(&mut app, &by_new)["outcome"], "RELEASED");

    // No key comes back, so that what it signed once cannot be used again.
    assert_eq!(code(rotate(&mut app, &old, &rotation(&new, &old))), "BAD_KEY");
    assert_eq!(code(rotate(&mut app, &new, &rotation(&new, &new))), "BAD_KEY");
    rotate(&mut app, &third, &rotation(&new, &third)).unwrap();
    assert_eq!(
        code(rotate(&mut app, &key("fourth"), &rotation(&new, &key("fourth")))),
        "BAD_SIGNATURE"
    );
}

#[test]
fn another_contexts_rotation_is_worth_nothing() {
    let mut app = app(3);
    let signature = rotation(&key("bridge"), &key("new bridge"));
    app.set_context([1; 32]);
    let call = app.call(|app| app.rotate_bridge(public(&key("new bridge")), signature.clone()));
    assert_eq!(code(call), "BAD_SIGNATURE");
    app.set_context(CONTEXT);
    app.call(|app| app.rotate_bridge(public(&key("new bridge")), signature)).unwrap();
}

#[test]
fn no_rotation_without_a_bridge() {
    let mut app = bare(3);
    let signature = rotation(&key("bridge"), &key("new bridge"));
    let call = app.call(|app| app.rotate_bridge(public(&key("new bridge")), signature));
    assert_eq!(code(call), "NOT_CONFIGURED");
}

#[test]
fn a_capacity_has_bounds() {
    for capacity in [1, 10_000] {
        assert_eq!(status(&bare(capacity))["capacity"], capacity);
    }
    for capacity in [0, 10_001] {
        let made = std::panic::catch_unwind(|| drop(bare(capacity)));
        assert_eq!(made.unwrap_err().downcast_ref::<String>().unwrap(), "BAD_CAPACITY");
    }
}

//! What is read, what is refused, what is written, and what a read-back shows.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::lantime::rest::Profiles;
use crate::model::{ErrorKind, ErrorReport, EventName, EventState, EventType, EventsChange, LastTriggered};

const RELAIS: &str = "relais";

fn profile() -> Profile {
    Profiles::named("api-10").unwrap().for_version(None).clone()
}

fn document(events: &[(&str, &[&str])]) -> Value {
    let events: Vec<Value> = events
        .iter()
        .map(|(name, actions)| json!({ "object-id": name, "actions": actions }))
        .collect();
    json!({ "data": { "revision": 7, "events": events }, "changes": { "pending-changes": 0 } })
}

fn read(document: &Value) -> Result<RelayConfig, ReadError> {
    RelayConfig::read(document.to_string().as_bytes(), &profile())
}

fn config() -> RelayConfig {
    let events = document(&[
        ("ntp-not-sync", &["email", "relais", "snmp"]),
        ("antenna-faulty", &[]),
        ("faillock:-user-banned", &["led"]),
        ("network-link-down", &["Relais "]),
    ]);
    read(&events).unwrap()
}

fn names(names: &[&str]) -> BTreeSet<EventName> {
    names
        .iter()
        .map(|name| EventName::canonical(name).unwrap())
        .collect()
}

fn known(names: &[&str]) -> Vec<EventState> {
    let state = |name: &&str| EventState {
        name: EventName::canonical(name).unwrap(),
        name_on_device: None,
        triggered: None,
        kind: EventType::Error,
        last_triggered: LastTriggered::Never,
    };
    names.iter().map(state).collect()
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn desired(change: &EventsChange) -> Result<BTreeSet<EventName>, ErrorReport> {
    let known = known(&[
        "ntp-not-sync",
        "antenna-faulty",
        "faillock-user-banned",
        "network-link-down",
        "normal-operation",
    ]);
    config().desired(RELAIS, change, &known)
}

fn edit(add: &[&str], remove: &[&str]) -> EventsChange {
    EventsChange::Edit {
        add: texts(add),
        remove: texts(remove),
    }
}

fn written(plan: &Plan) -> Value {
    serde_json::from_slice(&plan.body(&profile())).unwrap()
}

#[test]
fn what_is_read_is_what_the_profile_describes() {
    let config = config();
    assert_eq!(
        config.events_of(RELAIS),
        names(&["ntp-not-sync", "network-link-down"])
    );
    assert_eq!(config.events_of("email"), names(&["ntp-not-sync"]));
    assert!(!config.is_pending());
    for (pending, is_pending) in [(json!(2), true), (json!(true), true), (json!(false), false)] {
        let mut document = document(&[("ntp-not-sync", &[])]);
        document["changes"]["pending-changes"] = pending;
        assert_eq!(read(&document).unwrap().is_pending(), is_pending);
    }
}

#[test]
fn what_does_not_fit_the_profile_names_the_entry() {
    let cases = [
        (
            "/data/events",
            json!({}),
            "relay_events.events of API profile api-10",
        ),
        ("/data/events", json!([]), "of 0 events none has a name"),
        (
            "/data/events",
            json!([{ "name": "ntp-not-sync", "actions": [] }]),
            "of 1 event none has a name",
        ),
        (
            "/data/events/0/actions",
            json!("relais,snmp"),
            "relay_events.actions",
        ),
        ("/data/events/0/actions", json!([1]), "relay_events.actions"),
        ("/data/events/0/object-id", json!(1), "relay_events.name"),
        ("/changes/pending-changes", json!("none"), "relay_events.pending"),
        ("/changes", json!({}), "nothing at /changes/pending-changes"),
        ("/data", json!({ "events": [] }), "nothing at /data/revision"),
    ];
    for (place, value, expected) in cases {
        let mut document = document(&[("ntp-not-sync", &["snmp"])]);
        *document.pointer_mut(place).unwrap() = value;
        let error = read(&document).unwrap_err().to_string();
        assert!(error.contains(expected), "{place}: {error}");
    }
    let error = RelayConfig::read(b"<html>", &profile()).unwrap_err();
    assert!(error.to_string().starts_with("the answer is not JSON"));
}

#[test]
fn an_event_that_takes_no_actions_is_passed_over() {
    let mut document = document(&[("ntp-not-sync", &["relais"])]);
    let events = document["data"]["events"].as_array_mut().unwrap();
    events.extend([
        json!({ "object-id": "normal-operation" }),
        json!({ "object-id": "", "actions": [] }),
        json!(3),
    ]);
    let config = read(&document).unwrap();
    assert_eq!(config.events.len(), 1);
}

#[test]
fn every_spelling_of_a_name_is_taken() {
    let change = edit(&["faillock:-user-banned", "Antenna-Faulty"], &["ntp-not-sync"]);
    let expected = names(&["faillock-user-banned", "antenna-faulty", "network-link-down"]);
    assert_eq!(desired(&change), Ok(expected));
    let change = EventsChange::Replace(texts(&["faillock-user-banned", "faillock:-user-banned"]));
    assert_eq!(desired(&change), Ok(names(&["faillock-user-banned"])));
}

#[test]
fn a_name_that_the_device_does_not_know_is_refused_and_the_nearest_are_offered() {
    for change in [
        EventsChange::Replace(texts(&["ntp-notsync", "antenna-faulty"])),
        edit(&["ntp-notsync"], &[]),
        edit(&[], &["ntp-notsync"]),
    ] {
        let refusal = desired(&change).unwrap_err();
        assert_eq!(refusal.kind, ErrorKind::Rejected);
        assert_eq!(refusal.message, "this device has no event \"ntp-notsync\"");
        assert_eq!(refusal.remedy, "the nearest that it has: ntp-not-sync");
    }
    let nothing_near = desired(&edit(&["coffee-empty"], &[])).unwrap_err();
    assert!(
        nothing_near.remedy.contains("event topics"),
        "{}",
        nothing_near.remedy
    );
    // The catalogue knows it; this device does not.
    assert!(desired(&edit(&["auto-update-failed"], &[])).is_err());
    let long = "x".repeat(60_000);
    let many: Vec<&str> = std::iter::repeat_n(long.as_str(), 500).collect();
    let refusal = desired(&edit(&many, &[])).unwrap_err();
    assert!(refusal.message.len() < 400 && refusal.message.ends_with("and 497 more"));
}

#[test]
fn an_event_that_cannot_be_selected_is_refused_by_name() {
    let refusal = desired(&edit(&["normal-operation"], &[])).unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Rejected);
    assert!(
        refusal.message.contains("normal-operation"),
        "{}",
        refusal.message
    );
    // It switches nothing, and so it is already unselected.
    assert_eq!(
        desired(&edit(&[], &["normal-operation"])),
        Ok(config().events_of(RELAIS))
    );
}

#[test]
fn an_event_is_not_added_and_removed_at_once() {
    let refusal = desired(&edit(&["faillock-user-banned"], &["faillock:-user-banned"])).unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Rejected);
    assert!(
        refusal.message.contains("faillock-user-banned"),
        "{}",
        refusal.message
    );
}

#[test]
fn only_what_has_to_change_is_written_and_other_actions_stay() {
    let config = config();
    assert!(config.plan(RELAIS, &config.events_of(RELAIS)).is_empty());
    let plan = config.plan(RELAIS, &names(&["faillock-user-banned", "network-link-down"]));
    let expected = json!({ "data": { "revision": 7, "events": [
        { "object-id": "ntp-not-sync", "actions": ["email", "snmp"] },
        { "object-id": "faillock:-user-banned", "actions": ["led", "relais"] },
    ] } });
    assert_eq!(written(&plan), expected);
}

#[test]
fn a_body_has_the_form_that_the_profile_gives() {
    let text = include_str!("../../../../config/profiles/api-10.toml")
        .replace("\"/data/revision\"", "\"/a~1b/etag~0\"")
        .replace("\"/data/events\"", "\"/a~1b/list\"")
        .replace("name = \"/object-id\"", "name = \"/event/id\"");
    let profile = Profile::parse(&text, "mine.toml").unwrap();
    let document = json!({
        "a/b": { "etag~": "W/1", "list": [{ "event": { "id": "ntp-not-sync" }, "actions": [] }] },
        "changes": { "pending-changes": 0 },
    });
    let config = RelayConfig::read(document.to_string().as_bytes(), &profile).unwrap();
    let plan = config.plan(RELAIS, &names(&["ntp-not-sync"]));
    let body: Value = serde_json::from_slice(&plan.body(&profile)).unwrap();
    let expected = json!({
        "a/b": { "etag~": "W/1", "list": [{ "event": { "id": "ntp-not-sync" }, "actions": ["relais"] }] },
    });
    assert_eq!(body, expected);
}

#[test]
fn a_read_back_shows_whose_change_it_is() {
    let want = names(&["ntp-not-sync", "antenna-faulty", "network-link-down"]);
    let plan = config().plan(RELAIS, &want);
    let back = |antenna: &[&str], ntp: &[&str]| {
        let events = [
            ("ntp-not-sync", ntp),
            ("antenna-faulty", antenna),
            ("network-link-down", &["relais"]),
        ];
        read(&document(&events)).unwrap()
    };
    let done = back(&["relais"], &["relais"]);
    assert!(plan.differing(&done).is_empty() && done.confirms(RELAIS, &want));
    // Others may do with events what they like that the command does not concern.
    assert!(plan.differing(&back(&["relais"], &["led", "relais"])).is_empty());
    let not_done = back(&[], &["relais"]);
    assert_eq!(plan.differing(&not_done), names(&["antenna-faulty"]));
    assert!(!not_done.confirms(RELAIS, &want));
    let another_word = back(&["relais", "email"], &["relais"]);
    assert_eq!(plan.differing(&another_word), names(&["antenna-faulty"]));
    let another_event = back(&["relais"], &["email"]);
    assert_eq!(plan.differing(&another_event), names(&["ntp-not-sync"]));
}

#[test]
fn a_device_may_put_actions_in_an_order_of_its_own() {
    let plan = config().plan(
        RELAIS,
        &names(&["faillock-user-banned", "network-link-down", "ntp-not-sync"]),
    );
    let back = read(&document(&[
        ("network-link-down", &["relais"]),
        ("ntp-not-sync", &["relais"]),
        ("faillock:-user-banned", &["relais", "LED"]),
    ]));
    assert!(plan.differing(&back.unwrap()).is_empty());
}

proptest! {
    #[test]
    fn pointers_that_a_profile_may_have_lead_to_what_was_put_there(
        revision in "(/[ab01~]{0,2}){1,3}",
        events in "(/[ab01~]{0,2}){1,3}",
    ) {
        let text = include_str!("../../../../config/profiles/api-10.toml")
            .replace("/data/revision", &revision)
            .replace("/data/events", &events);
        if Profile::parse(&text, "mine.toml").is_ok() {
            let mut body = Value::Null;
            put(&mut body, &events, 1.into());
            put(&mut body, &revision, 2.into());
            prop_assert_eq!(body.pointer(&events), Some(&json!(1)));
            prop_assert_eq!(body.pointer(&revision), Some(&json!(2)));
        }
    }
}

#[test]
fn what_is_malformed_is_never_written_back() {
    let text = |events: &str, revision: &str| {
        format!(
            r#"{{"data":{{"revision":{revision},"events":[{events}]}},"changes":{{"pending-changes":0}}}}"#
        )
    };
    let read = |text: String| {
        let body: Vec<u8> = text
            .bytes()
            .map(|byte| if byte == b'~' { 0xfc } else { byte })
            .collect();
        RelayConfig::read(&body, &profile())
    };
    let whole = r#"{"object-id":"ntp-not-sync","actions":["relais"],"delay":nan}"#;
    for damaged in [
        r#"{"object-id":"antenna-faulty","actions":["e~mail"]}"#,
        r#"{"object-id":"antenna-faulty","actions":["e\x6dail"]}"#,
        r#"{"object-id":"antenna-faulty","actions":[nan]}"#,
        r#"{"object-id":"antenna-faul~ty","actions":[]}"#,
    ] {
        let config = read(text(&format!("{whole},{damaged}"), "7")).unwrap();
        assert_eq!(config.events_of(RELAIS), names(&["ntp-not-sync"]));
        let change = edit(&["antenna-faulty"], &[]);
        let known = known(&["ntp-not-sync", "antenna-faulty"]);
        config.desired(RELAIS, &change, &known).unwrap_err();
    }
    let error = read(text(whole, "0x1F")).unwrap_err().to_string();
    assert!(error.contains("relay_events.revision"), "{error}");
    let twice = r#""events":[],"events""#;
    let twice = text(whole, "7").replace(r#""events""#, twice);
    assert_eq!(read(twice).unwrap().events_of(RELAIS), names(&["ntp-not-sync"]));
}

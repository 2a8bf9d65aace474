//! A document recorded from a device, read with a relay module put into one of its free slots.
//!
//! Needs recordings: see CONTRIBUTING.md.

// Of the shared helpers only this one.
#[allow(dead_code, unreachable_pub)]
#[path = "support/recordings.rs"]
mod recordings;

use jiff::Timestamp;
use lantime2mqtt::lantime::rest::{Profiles, status};
use lantime2mqtt::lantime::snmp::oids::NOTIFICATIONS;
use lantime2mqtt::model::derive::{RelayEvents, Slots, slots};
use lantime2mqtt::model::event_catalogue::CATALOGUE;
use lantime2mqtt::model::{
    EventName, EventState, LastTriggered, Position, Provenance, Relay, Signal, SlotState, SlotView, Snapshot,
    Status,
};
use litemap::LiteMap;
use serde_json::{Value, json};

/// All notifications of the vendor's MIB, and what is known of each.
const NOTIFICATION_TABLE: &str = "traps.csv";

/// The recorded document.
fn recording() -> Value {
    serde_json::from_slice(&recordings::read(recordings::M300)).expect("a recording is JSON")
}

#[test]
fn notifications_are_those_of_the_table() {
    let table = String::from_utf8(recordings::read(NOTIFICATION_TABLE)).expect("a table is text");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(1)
        .map(|row| row.split(',').collect())
        .collect();
    assert_eq!(rows.len(), NOTIFICATIONS.len());
    let event_of = |trap: &str| rows.iter().find(|row| row[0] == trap).map(|row| row[2]);
    for row in &rows {
        let (trap, event, object, cleared_by) = (row[0], row[2], row[4], row[5]);
        let known = NOTIFICATIONS
            .iter()
            .find(|known| known.number.to_string() == trap);
        let known = known.unwrap_or_else(|| panic!("trap {trap} is known"));
        assert_eq!(known.event, event, "trap {trap}");
        assert_eq!(
            known.actions.map(|number| number.to_string()).unwrap_or_default(),
            object,
            "{event}"
        );
        let mut expected: Vec<_> = cleared_by.split_whitespace().filter_map(event_of).collect();
        let clearing = CATALOGUE.iter().filter(|other| other.clears.contains(&event));
        let mut clearing: Vec<_> = clearing.map(|other| other.name).collect();
        expected.sort_unstable();
        clearing.sort_unstable();
        assert_eq!(clearing, expected, "what clears {event}");
    }
}

/// Puts a relay module into the free slot `int1`. How a real one looks is not known: this is what the
/// built-in profile assumes.
fn fit_relay_module(document: &mut Value, relays: Value) {
    let slots = document["data"]["chassis0"]["slots"].as_array_mut();
    let slot = slots
        .expect("slots are a list")
        .iter_mut()
        .find(|slot| slot["slot-id"] == "int1")
        .expect("the recorded chassis has a slot int1");
    assert!(slot.get("module").is_none(), "int1 is free");
    let info =
        json!({ "model": "rel1000", "serial-number": "990001          ", "software-revision": "v1.00" });
    slot["module"] = json!({ "info": info });
    if !relays.is_null() {
        slot["module"]["relays"] = relays;
    }
}

fn read(document: &Value) -> Snapshot {
    let body = document.to_string();
    let reading = status::read(body.as_bytes(), &Profiles::built_in(), "https://lantime.example");
    reading.expect("a recording is a status document").snapshot
}

/// The slot of the relay module as the bridge would publish it.
fn int1(snapshot: &Snapshot) -> SlotView {
    let chassis = snapshot.chassis_kind();
    let now = Timestamp::UNIX_EPOCH;
    let views = slots(
        snapshot,
        chassis,
        &Slots::Auto,
        &RelayEvents::new(),
        &LiteMap::new(),
        now,
    );
    assert_eq!(views.len(), 1);
    let (id, view) = views
        .into_iter()
        .next()
        .expect("the relay module's slot is found");
    assert_eq!(id.as_str(), "int1");
    view
}

fn position(view: &SlotView, relay: Relay) -> (Position, Provenance, Option<Signal>) {
    let state = &view.relays[&relay];
    (state.position, state.provenance, state.driven_by)
}

#[test]
fn positions_that_the_device_does_not_report_are_derived() {
    let mut document = recording();
    fit_relay_module(&mut document, Value::Null);
    let snapshot = read(&document);
    assert_eq!(snapshot.notes, [""; 0]);
    let view = int1(&snapshot);
    assert_eq!(view.state, SlotState::Online);
    let clock = &view.signals[&Signal::Clk1];
    assert_eq!(
        (clock.status, clock.provenance),
        (Status::Ok, Provenance::Reported)
    );
    let unknown = (Position::Unknown, Provenance::Unknown);
    for (relay, expected) in [
        (Relay::A, (Position::No, Provenance::Derived, Some(Signal::Clk1))),
        (Relay::B, (unknown.0, unknown.1, Some(Signal::Pps))),
        (Relay::C, (unknown.0, unknown.1, Some(Signal::TenMhz))),
    ] {
        assert_eq!(position(&view, relay), expected, "relay {relay}");
    }
}

#[test]
fn a_clock_that_is_not_synchronous_brings_relay_a_down() {
    let mut document = recording();
    fit_relay_module(&mut document, Value::Null);
    let slots = document["data"]["chassis0"]["slots"].as_array_mut();
    let mut clocks = slots.expect("slots are a list").iter_mut();
    let clock = clocks
        .find(|slot| slot["slot-id"] == "clk1")
        .expect("clk1 is there");
    clock["module"]["sync-status"]["clock-status"]["clock"] = json!("not-synchronized");
    let view = int1(&read(&document));
    assert_eq!(
        position(&view, Relay::A),
        (Position::Nc, Provenance::Derived, Some(Signal::Clk1))
    );
    assert_eq!(view.relays[&Relay::A].cause.as_deref(), Some("clock-not-sync"));
}

#[test]
fn reported_positions_are_taken_as_reported() {
    let mut document = recording();
    let relays = json!({
        "relay-a": { "state": "nc" }, "relay-b": { "state": "no" }, "relay-c": { "state": "no" },
    });
    fit_relay_module(&mut document, relays);
    let snapshot = read(&document);
    assert_eq!(snapshot.notes, [""; 0]);
    let view = int1(&snapshot);
    for (relay, expected) in [
        // The clock is well: the device knows better, and why the relay fell nobody can know.
        (Relay::A, (Position::Nc, Provenance::Reported, Some(Signal::Clk1))),
        (Relay::B, (Position::No, Provenance::Reported, Some(Signal::Pps))),
        (
            Relay::C,
            (Position::No, Provenance::Reported, Some(Signal::TenMhz)),
        ),
    ] {
        assert_eq!(position(&view, relay), expected, "relay {relay}");
    }
    assert_eq!(view.relays[&Relay::A].cause.as_deref(), Some("unknown"));
}

#[test]
fn every_event_has_its_canonical_name() {
    let document = recording();
    let snapshot = read(&document);
    assert_eq!(snapshot.notes, [""; 0]);
    assert_eq!(snapshot.events.len(), 28);
    let recorded = document["data"]["notification"]["events"].as_array();
    for (event, recorded) in snapshot.events.iter().zip(recorded.expect("events are a list")) {
        let spelling = recorded["object-id"].as_str().expect("an event has a name");
        let (name, spelled_differently) = match spelling {
            "faillock:-user-banned" => ("faillock-user-banned", true),
            same => (same, false),
        };
        assert_eq!(event.name.as_str(), name);
        assert_eq!(event.name_on_device.is_some(), spelled_differently, "{name}");
        assert_eq!(event.kind.as_str(), recorded["type"], "{name}");
        assert_eq!(
            event.triggered.map(u8::from),
            Some(u8::from(recorded["triggered"] == 1))
        );
        assert_eq!(
            event.last_triggered == LastTriggered::Never,
            recorded["last-triggered"] == "never"
        );
    }
}

#[test]
fn what_the_device_says_of_itself_is_read() {
    let document = recording();
    let Snapshot { identity, events, .. } = read(&document);
    assert_eq!(identity.model.as_deref(), Some("M300"));
    assert_eq!(identity.firmware.as_deref(), Some("fw_7.06.014-light"));
    assert_eq!(identity.api_version.as_deref(), Some("10.21.016"));
    assert_eq!(identity.profile, "api-10");
    let time = |name| {
        let name = EventName::canonical(name).expect("a name of the catalogue");
        let event: &EventState = events
            .iter()
            .find(|event| event.name == name)
            .expect("it is listed");
        event.last_triggered.time().map(|time| time.to_string())
    };
    assert_eq!(time("ntp-not-sync").as_deref(), Some("2026-03-22T20:22:20Z"));
}

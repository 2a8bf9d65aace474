//! What is discovered, word for word.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::model::{
    Availability, Change, EventName, EventState, EventType, Identity, LastTriggered, ModuleInfo, Position,
    Provenance, Relay, RelayEventsState, RelayState, Signal, SignalState, SlotId, SlotInfo, SlotState,
    Status, Via,
};

fn id(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

fn slot() -> SlotId {
    SlotId::new("io3").unwrap()
}

fn discovery(layout: Layout) -> Discovery {
    let settings = HomeAssistant {
        discovery_prefix: "homeassistant".to_owned(),
        status_topic: "homeassistant/status".to_owned(),
    };
    Discovery::new(settings, Topics::new("lantime", id("b1")), layout, id("b1"))
}

fn identity(firmware: &str) -> Change {
    Change::Identity(Box::new(Identity {
        model: Some("M3000".into()),
        serial_number: Some("030111000222".into()),
        firmware: Some(firmware.into()),
        web_interface: "https://10.0.0.7".into(),
        ..Identity::default()
    }))
}

fn relay(position: Option<Position>) -> Change {
    let state = position.map(|position| RelayState {
        position,
        driven_by: Some(Signal::Notification),
        cause: None,
        provenance: Provenance::Derived,
        causes: Vec::new(),
        unknown_reason: None,
        stale: false,
        via: Via::Rest,
        since: jiff::Timestamp::UNIX_EPOCH,
        last: None,
    });
    Change::Relay {
        slot: slot(),
        relay: Relay::A,
        old: None,
        new: state.map(Box::new),
    }
}

fn signal() -> Change {
    Change::Signal {
        slot: slot(),
        signal: Signal::TenMhz,
        old: None,
        new: Some(Box::new(SignalState {
            status: Status::Ok,
            provenance: Provenance::Reported,
            unknown_reason: None,
            stale: false,
            via: Via::Rest,
            since: jiff::Timestamp::UNIX_EPOCH,
            detail: Vec::new(),
            last: None,
        })),
    }
}

fn event(name: &str) -> Change {
    let name = EventName::canonical(name).unwrap();
    let state = EventState {
        name: name.clone(),
        name_on_device: None,
        triggered: Some(false),
        kind: EventType::Error,
        last_triggered: LastTriggered::Never,
    };
    Change::Event {
        name,
        old: None,
        new: Some(Box::new(state)),
        via: Via::Rest,
        told: false,
    }
}

fn follows() -> Change {
    Change::RelayEvents {
        slot: slot(),
        relay: Relay::A,
        new: Some(Box::new(RelayEventsState {
            events: None,
            confirmed: false,
            via: None,
            since: jiff::Timestamp::UNIX_EPOCH,
        })),
    }
}

fn all() -> Vec<Change> {
    let info = SlotInfo {
        module: Some(ModuleInfo {
            model: "rel1000".into(),
            serial_number: Some("77".into()),
            software_revision: None,
        }),
        wiring: None,
    };
    vec![
        Change::Availability(Availability::Online),
        identity("fw_7.06"),
        event("ntp-not-sync"),
        event("antenna-faulty"),
        Change::SlotState(slot(), Some(SlotState::Online)),
        Change::SlotInfo(slot(), Some(Box::new(info))),
        relay(Some(Position::No)),
        follows(),
        signal(),
    ]
}

fn take(discovery: &mut Discovery, changes: Vec<Change>) -> BTreeMap<String, Option<Value>> {
    let device = id("m1");
    let view = Arc::default();
    let messages = discovery.take(&Update::Device {
        device,
        view,
        changes,
    });
    let read = |message: Message| {
        let payload = message
            .payload
            .map(|payload| serde_json::from_slice(&payload).unwrap());
        (message.topic, payload)
    };
    messages.into_iter().map(read).collect()
}

fn config(layout: Layout, topic: &str) -> Value {
    let mut messages = take(&mut discovery(layout), all());
    let topic = format!("homeassistant/{topic}/config");
    messages
        .remove(&topic)
        .expect("it is there")
        .expect("it is not cleared")
}

fn module() -> Value {
    json!({
        "identifiers": ["lantime_device_m1:io3"],
        "name": "m1 io3",
        "manufacturer": "Meinberg",
        "model": "rel1000",
        "serial_number": "77",
        "via_device": "lantime_device_m1",
    })
}

fn availability() -> Value {
    json!([{ "topic": "lantime/bridge/b1/state" }, { "topic": "lantime/m1/state" }])
}

fn origin() -> Value {
    json!({ "name": "lantime2mqtt", "sw_version": env!("CARGO_PKG_VERSION") })
}

#[test]
fn a_relay_is_a_problem_of_its_module() {
    let relay = "binary_sensor/lantime_device_m1/io3_relay_a";
    let expected = json!({
        "name": "Relay A",
        "unique_id": "lantime_device_m1_io3_relay_a",
        "default_entity_id": "binary_sensor.m1_io3_relay_a",
        "device_class": "problem",
        "state_topic": "lantime/m1/io3/relay/a",
        "value_template": "{{ {'true': 'ON', 'false': 'OFF'}.get((value_json | default({})).fault | string | lower, 'None') }}",
        "json_attributes_topic": "lantime/m1/io3/relay/a",
        "json_attributes_template": "{{ value or '{}' }}",
        "availability": availability(),
        "availability_mode": "all",
        "qos": 0,
        "device": module(),
        "origin": origin(),
    });
    assert_eq!(config(Layout::Json, relay), expected);
    let scalar = config(Layout::Scalar, relay);
    assert_eq!(scalar["state_topic"], "lantime/m1/io3/relay/a/fault");
    assert_eq!(scalar.get("json_attributes_topic"), None);
}

#[test]
fn an_event_is_a_switch_that_is_off_until_somebody_wants_it() {
    let switch = config(
        Layout::Json,
        "switch/lantime_device_m1/io3_relay_a_antenna-faulty",
    );
    let template = switch["value_template"].as_str().unwrap();
    assert!(template.contains("'antenna-faulty' in events"), "{template}");
    let mut rest = switch.clone();
    rest.as_object_mut().unwrap().remove("value_template");
    let expected = json!({
        "name": "Relay A follows antenna-faulty",
        "unique_id": "lantime_device_m1_io3_relay_a_antenna-faulty",
        "default_entity_id": "switch.m1_io3_relay_a_follows_antenna_faulty",
        "enabled_by_default": false,
        "entity_category": "config",
        "state_topic": "lantime/m1/io3/relay/a/events",
        "state_on": "ON",
        "state_off": "OFF",
        "command_topic": "lantime/m1/io3/relay/a/events/set",
        "payload_on": "{\"add\":[\"antenna-faulty\"]}",
        "payload_off": "{\"remove\":[\"antenna-faulty\"]}",
        "availability": availability(),
        "availability_mode": "all",
        "qos": 1,
        "device": { "identifiers": ["lantime_device_m1:io3"], "name": "m1 io3" },
        "origin": origin(),
    });
    assert_eq!(rest, expected);
}

#[test]
fn a_device_is_below_its_bridge_and_says_that_it_is_away_and_why() {
    let connection = config(Layout::Json, "binary_sensor/lantime_device_m1/connection");
    let lantime = json!({
        "identifiers": ["lantime_device_m1"],
        "name": "m1",
        "manufacturer": "Meinberg",
        "model": "M3000",
        "sw_version": "fw_7.06",
        "serial_number": "030111000222",
        "configuration_url": "https://10.0.0.7",
        "via_device": "lantime_bridge_b1",
    });
    assert_eq!(connection["device"], lantime);
    let error = config(Layout::Json, "sensor/lantime_device_m1/error");
    for entity in [&connection, &error] {
        assert_eq!(
            entity["availability"],
            json!([{ "topic": "lantime/bridge/b1/state" }])
        );
    }
    let [bridge] = &discovery(Layout::Json).of_bridge()[..] else {
        panic!("one entity");
    };
    let bridge: Value = serde_json::from_slice(bridge.payload.as_ref().unwrap()).unwrap();
    assert_eq!(bridge["device"]["identifiers"], json!(["lantime_bridge_b1"]));
    assert_eq!(bridge.get("availability"), None);
}

#[test]
fn these_are_the_entities() {
    let messages = take(&mut discovery(Layout::Json), all());
    let names: Vec<_> = messages
        .keys()
        .map(|topic| {
            topic
                .replace("homeassistant/", "")
                .replace("/lantime_device_m1/", " ")
                .replace("/config", "")
        })
        .collect();
    let expected = [
        "binary_sensor connection",
        "binary_sensor io3_module",
        "binary_sensor io3_relay_a",
        "binary_sensor io3_signal_10mhz",
        "binary_sensor ntp",
        "button refresh",
        "sensor error",
        "sensor firmware",
        "sensor round_trip",
        "switch io3_relay_a_antenna-faulty",
        "switch io3_relay_a_ntp-not-sync",
    ];
    assert_eq!(names, expected);
}

#[test]
fn nothing_is_said_before_a_device_was_seen_and_again_only_what_it_is() {
    let mut discovery = discovery(Layout::Json);
    assert_eq!(
        take(&mut discovery, vec![relay(Some(Position::Unknown))]).len(),
        0
    );
    assert!(!take(&mut discovery, all()).is_empty());
    let states = vec![
        Change::Availability(Availability::Offline),
        relay(Some(Position::Nc)),
        follows(),
    ];
    assert_eq!(take(&mut discovery, states).len(), 0, "states are read elsewhere");
    let renewed = take(&mut discovery, vec![identity("fw_7.10")]);
    let firmware = &renewed["homeassistant/sensor/lantime_device_m1/firmware/config"];
    assert_eq!(firmware.as_ref().unwrap()["device"]["sw_version"], "fw_7.10");
}

#[test]
fn what_goes_is_cleared() {
    let mut discovery = discovery(Layout::Json);
    take(&mut discovery, all());
    let gone = take(&mut discovery, vec![relay(None)]);
    let cleared: Vec<_> = gone.iter().filter(|(_, config)| config.is_none()).collect();
    assert_eq!(
        cleared,
        [(
            &"homeassistant/binary_sensor/lantime_device_m1/io3_relay_a/config".to_owned(),
            &None
        )]
    );
    let device = id("m1");
    discovery.take(&Update::Removed { device });
    assert_eq!(
        take(&mut discovery, vec![relay(None)]).len(),
        0,
        "nothing is known of it any more"
    );
}

//! What is discovered, word for word.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::model::{
    Availability, EventName, EventState, EventType, Identity, LastTriggered, ModuleInfo, Place, Position,
    Relay, RelayEventsState, RelayState, Signal, SlotId, SlotState,
};
use crate::mqtt::discovery;

const UNIX_EPOCH: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

fn id(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

fn slot() -> SlotId {
    SlotId::new("io3").unwrap()
}

fn discovery(layout: Layout) -> HomeAssistant {
    let settings = config::HomeAssistant {
        discovery_prefix: "homeassistant".to_owned(),
        status_topic: "homeassistant/status".to_owned(),
    };
    HomeAssistant::new(settings, Topics::new("lantime", id("b1")), layout, id("b1"))
}

fn identity(firmware: &str) -> Arc<Identity> {
    Arc::new(Identity {
        model: Some("M3000".into()),
        serial_number: Some("030111000222".into()),
        firmware: Some(firmware.into()),
        web_interface: "https://10.0.0.7".into(),
        ..Identity::default()
    })
}

fn event(name: &str) -> EventState {
    EventState {
        name: EventName::canonical(name).unwrap(),
        name_on_device: None,
        triggered: Some(false),
        kind: EventType::Error,
        last_triggered: LastTriggered::Never,
    }
}

/// A device with one slot: relay A, which follows events, and one signal.
fn all() -> DeviceView {
    let mut slot_view = SlotView::unseen(None, [Relay::A], [Signal::TenMhz], UNIX_EPOCH);
    slot_view.state = SlotState::Online;
    slot_view.module = Some(ModuleInfo {
        model: "rel1000".into(),
        serial_number: Some("77".into()),
        software_revision: None,
    });
    let follows = RelayEventsState {
        events: None,
        confirmed: false,
        via: None,
        since: UNIX_EPOCH,
    };
    slot_view.relay_events.insert(Relay::A, follows);
    DeviceView {
        availability: Some(Availability::Online),
        identity: Some(identity("fw_7.06")),
        events: [event("ntp-not-sync"), event("antenna-faulty")].into(),
        slots: [(slot(), slot_view)].into_iter().collect(),
        ..DeviceView::default()
    }
}

fn relay(view: &mut DeviceView) -> &mut RelayState {
    let slot = view.slots.get_mut(&slot()).unwrap();
    slot.relays.get_mut(&Relay::A).unwrap()
}

/// What there is to send, by topic.
fn changed(discovery: &HomeAssistant, old: &DeviceView, new: &DeviceView) -> BTreeMap<String, Option<Value>> {
    let read = |message: Message| {
        let payload = message
            .payload
            .map(|payload| serde_json::from_slice(&payload).unwrap());
        (message.topic, payload)
    };
    let messages = discovery::changed(discovery, &id("m1"), old, new);
    messages.into_iter().map(read).collect()
}

fn config(layout: Layout, topic: &str) -> Value {
    let mut messages = changed(&discovery(layout), &DeviceView::default(), &all());
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
fn a_device_is_below_its_bridge_and_says_that_it_is_offline_and_why() {
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
fn a_device_has_its_label_as_name_and_its_site_as_area() {
    let mut view = all();
    view.place = Arc::new(Place {
        label: Some("Control room".into()),
        site: Some("North".into()),
    });
    let configs = changed(&discovery(Layout::Json), &DeviceView::default(), &view);
    let device = |topic: &str| {
        configs[&format!("homeassistant/{topic}/config")]
            .as_ref()
            .unwrap()["device"]
            .clone()
    };
    let lantime = device("binary_sensor/lantime_device_m1/connection");
    assert_eq!(lantime["name"], "Control room");
    assert_eq!(lantime["suggested_area"], "North");
    assert_eq!(lantime["identifiers"], json!(["lantime_device_m1"]));
    let module = device("binary_sensor/lantime_device_m1/io3_relay_a");
    assert_eq!(module["name"], "Control room io3");
    assert_eq!(module["suggested_area"], "North");
}

#[test]
fn these_are_the_entities() {
    let messages = changed(&discovery(Layout::Json), &DeviceView::default(), &all());
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
fn nothing_is_sent_before_a_device_was_seen_and_again_only_what_it_is() {
    let (discovery, nothing) = (discovery(Layout::Json), DeviceView::default());
    let mut unseen = all();
    unseen.identity = None;
    assert_eq!(changed(&discovery, &nothing, &unseen).len(), 0);
    assert!(!changed(&discovery, &unseen, &all()).is_empty());
    let mut states = all();
    states.go_offline(UNIX_EPOCH, UNIX_EPOCH);
    relay(&mut states).position = Position::Nc;
    assert_eq!(
        changed(&discovery, &all(), &states).len(),
        0,
        "states are read elsewhere"
    );
    let mut renewed = all();
    renewed.identity = Some(identity("fw_7.10"));
    let renewed = changed(&discovery, &all(), &renewed);
    let firmware = &renewed["homeassistant/sensor/lantime_device_m1/firmware/config"];
    assert_eq!(firmware.as_ref().unwrap()["device"]["sw_version"], "fw_7.10");
}

/// Whatever the entities are made of makes a difference: a device that has the same is not looked at again.
#[test]
fn each_part_of_a_device_that_has_entities_makes_a_difference() {
    let discovery = discovery(Layout::Json);
    let entities = |view: &DeviceView| changed(&discovery, &DeviceView::default(), view);
    let parts: [fn(&mut DeviceView); 8] = [
        |view| view.identity = Some(identity("fw_8")),
        |view| view.events = [event("ntp-not-sync")].into(),
        |view| view.events = [event("ntp-sync"), event("antenna-faulty")].into(),
        |view| drop(view.slots.remove(&slot())),
        |view| view.slots.get_mut(&slot()).unwrap().module = None,
        |view| view.slots.get_mut(&slot()).unwrap().relays.clear(),
        |view| view.slots.get_mut(&slot()).unwrap().relay_events.clear(),
        |view| view.slots.get_mut(&slot()).unwrap().signals.clear(),
    ];
    for (number, part) in parts.into_iter().enumerate() {
        let mut other = all();
        part(&mut other);
        assert_ne!(entities(&other), entities(&all()), "part {number}");
        assert!(!discovery.is_same(&all(), &other), "part {number}");
    }
}

#[test]
fn what_goes_is_cleared() {
    let mut removed = all();
    removed.slots.get_mut(&slot()).unwrap().relays.clear();
    let removed = changed(&discovery(Layout::Json), &all(), &removed);
    let cleared: Vec<_> = removed.iter().filter(|(_, config)| config.is_none()).collect();
    assert_eq!(
        cleared,
        [(
            &"homeassistant/binary_sensor/lantime_device_m1/io3_relay_a/config".to_owned(),
            &None
        )]
    );
}

//! The entities of a bridge, of a device and of its slots, as discovery describes them. Pure.
//!
//! A relay module is a device of its own below its LANTIME: it has a serial number and can be exchanged, and the
//! switches for its relays, one for each event, would bury the few entities of the LANTIME itself.

use serde_json::{Map, Value, json};

use super::source::{Sources, fields};
use crate::contract::topics::{Component, DeviceTopic, DiscoveryTopics, Owner, SlotTopic, StateTopic};
use crate::model::{
    CommandTopic, DeviceId, DeviceView, EventName, EventState, Identity, Place, Relay, Signal, SlotId,
    SlotView,
};
use crate::mqtt::payload::Message;

/// The event that stands while NTP is not synchronised.
const NTP_NOT_SYNC: &str = "ntp-not-sync";

/// Makes entities of views.
#[derive(Debug, Clone)]
pub(super) struct Entities {
    pub(super) sources: Sources,
    pub(super) topics: DiscoveryTopics,
    pub(super) bridge: DeviceId,
}

/// One entity: its platform, its name among those of its owner, and what is particular to it.
struct Entity {
    component: Component,
    object: String,
    fields: Map<String, Value>,
}

impl Entity {
    fn new(component: Component, object: impl Into<String>, name: impl Into<String>) -> Entity {
        let name: String = name.into();
        Entity {
            component,
            object: object.into(),
            fields: fields(json!({ "name": name })),
        }
    }

    fn with(mut self, more: Map<String, Value>) -> Entity {
        self.fields.extend(more);
        self
    }

    fn set(self, more: Value) -> Entity {
        self.with(fields(more))
    }
}

impl Entities {
    /// The bridge itself. It is its own availability, and so has none.
    pub(super) fn of_bridge(&self) -> Vec<Message> {
        let owner = Owner::Bridge;
        let device = json!({
            "identifiers": [self.topics.node(&owner)],
            "name": format!("lantime2mqtt {}", self.bridge),
            "manufacturer": "lantime2mqtt",
            "model": "LANTIME to MQTT bridge",
            "sw_version": env!("CARGO_PKG_VERSION"),
        });
        let state = self.sources.word(&StateTopic::OwnState);
        let connection = Entity::new(Component::BinarySensor, "connection", "Connection")
            .set(json!({ "device_class": "connectivity", "entity_category": "diagnostic" }))
            .with(state.on_off(&["online"], &["offline"]))
            .with(self.sources.attributes(&StateTopic::BridgeInfo));
        vec![self.message(&owner, &device, &[], connection)]
    }

    /// A device and its slots; nothing before the device was first seen, since what an earlier run has said is better.
    pub(super) fn of_device(&self, id: &DeviceId, view: &DeviceView) -> Vec<Message> {
        let Some(identity) = &view.identity else {
            return Vec::new();
        };
        let owner = Owner::Device(id.clone());
        let state = |topic: &StateTopic| self.sources.topics.state(topic);
        let bridge = state(&StateTopic::OwnState);
        let both = [bridge.clone(), state(&of(id, DeviceTopic::State))];
        let lantime = self.lantime(id, identity, &view.place);
        // These two show that the device is offline, and why.
        let absence = [self.connection(id), self.error(id)];
        let mut messages: Vec<_> = absence
            .into_iter()
            .map(|entity| self.message(&owner, &lantime, std::slice::from_ref(&bridge), entity))
            .collect();
        let of_lantime = self.diagnostics(id, &view.events).into_iter();
        messages.extend(of_lantime.map(|entity| self.message(&owner, &lantime, &both, entity)));
        for (slot, shown) in &view.slots {
            let module = self.module(id, slot, shown, &view.place);
            let entities = self.of_slot(id, slot, shown);
            messages.extend(
                entities
                    .into_iter()
                    .map(|entity| self.message(&owner, &module, &both, entity)),
            );
            let brief = json!({ "identifiers": module["identifiers"], "name": module["name"] });
            let switches = self.switches(id, slot, shown, &view.events);
            messages.extend(switches.map(|entity| self.message(&owner, &brief, &both, entity)));
        }
        messages
    }

    fn lantime(&self, id: &DeviceId, identity: &Identity, place: &Place) -> Value {
        let node = self.topics.node(&Owner::Device(id.clone()));
        // In a cluster it is of no bridge for ever.
        let is_of_bridge = self.sources.topics.shard().is_none();
        let bridge = is_of_bridge.then(|| self.topics.node(&Owner::Bridge));
        without_nulls(json!({
            "identifiers": [node],
            "name": place.label.as_deref().unwrap_or(id.as_str()),
            "suggested_area": place.site.as_deref(),
            "manufacturer": "Meinberg",
            "model": identity.model.as_deref().unwrap_or("LANTIME"),
            "sw_version": identity.firmware.as_deref(),
            "serial_number": identity.serial_number.as_deref(),
            "configuration_url": identity.web_interface.as_str(),
            "via_device": bridge,
        }))
    }

    fn module(&self, id: &DeviceId, slot: &SlotId, shown: &SlotView, place: &Place) -> Value {
        let node = self.topics.node(&Owner::Device(id.clone()));
        let module = shown.module.as_ref();
        let model = module
            .map(|module| module.model.as_str())
            .filter(|model| !model.is_empty());
        without_nulls(json!({
            "identifiers": [format!("{node}:{slot}")],
            "name": format!("{} {slot}", place.label.as_deref().unwrap_or(id.as_str())),
            "suggested_area": place.site.as_deref(),
            "manufacturer": "Meinberg",
            "model": model.unwrap_or("relay module"),
            "sw_version": module.and_then(|module| module.software_revision.as_deref()),
            "serial_number": module.and_then(|module| module.serial_number.as_deref()),
            "via_device": node,
        }))
    }

    fn connection(&self, id: &DeviceId) -> Entity {
        let state = self.sources.word(&of(id, DeviceTopic::State));
        Entity::new(Component::BinarySensor, "connection", "Connection")
            .set(json!({ "device_class": "connectivity", "entity_category": "diagnostic" }))
            .with(state.on_off(&["online"], &["offline"]))
            .with(self.sources.attributes(&of(id, DeviceTopic::Info)))
    }

    fn error(&self, id: &DeviceId) -> Entity {
        let topic = of(id, DeviceTopic::Error);
        let kind = self.sources.field(&topic, &["error", "kind"]);
        Entity::new(Component::Sensor, "error", "Error")
            .set(json!({ "entity_category": "diagnostic" }))
            .with(kind.text("none"))
            .with(self.sources.attributes(&topic))
    }

    fn diagnostics(&self, id: &DeviceId, events: &[EventState]) -> Vec<Entity> {
        let sources = &self.sources;
        let field = |topic, path: &[&str]| sources.field(&of(id, topic), path);
        let sensor = |object, name| {
            Entity::new(Component::Sensor, object, name).set(json!({ "entity_category": "diagnostic" }))
        };
        let refresh = sources.topics.command(&CommandTopic::Refresh(id.clone()));
        let mut entities = vec![
            sensor("round_trip", "Round trip")
                .set(json!({
                    "device_class": "duration",
                    "state_class": "measurement",
                    "unit_of_measurement": "ms",
                }))
                .with(field(DeviceTopic::HttpStats, &["rtt_ms", "last"]).text("None")),
            sensor("firmware", "Firmware").with(field(DeviceTopic::Info, &["firmware"]).text("unknown")),
            Entity::new(Component::Button, "refresh", "Refresh").set(json!({
                "entity_category": "diagnostic",
                "command_topic": refresh,
                "payload_press": "refresh",
            })),
        ];
        let is_listed = |name: &EventName| events.iter().any(|event| event.name == *name);
        let not_sync = EventName::canonical(NTP_NOT_SYNC).filter(is_listed);
        if let Some(event) = not_sync {
            let topic = DeviceTopic::Event(event);
            entities.push(
                Entity::new(Component::BinarySensor, "ntp", "NTP")
                    .set(json!({ "device_class": "problem", "entity_category": "diagnostic" }))
                    .with(field(topic.clone(), &["triggered"]).on_off(&["true"], &["false"]))
                    .with(sources.attributes(&of(id, topic))),
            );
        }
        entities
    }

    fn of_slot(&self, id: &DeviceId, slot: &SlotId, shown: &SlotView) -> Vec<Entity> {
        let sources = &self.sources;
        let place = |below| of(id, DeviceTopic::Slot(slot.clone(), below));
        let problem = |object: String, name: String| {
            let class = json!({ "device_class": "problem" });
            Entity::new(Component::BinarySensor, format!("{slot}_{object}"), name).set(class)
        };
        let state = sources.word(&place(SlotTopic::State));
        let module = problem("module".to_owned(), "Module".to_owned())
            .set(json!({ "entity_category": "diagnostic" }))
            .with(state.on_off(&["absent", "mismatch"], &["online"]))
            .with(sources.attributes(&place(SlotTopic::Info)));
        let relays = shown.relays.keys().map(|relay| {
            let topic = place(SlotTopic::Relay(*relay));
            problem(format!("relay_{relay}"), format!("Relay {}", relay_name(*relay)))
                .with(sources.field(&topic, &["fault"]).on_off(&["true"], &["false"]))
                .with(sources.attributes(&topic))
        });
        let signals = shown.signals.keys().map(|signal| {
            let topic = place(SlotTopic::Signal(*signal));
            problem(format!("signal_{signal}"), signal_name(*signal).to_owned())
                .with(
                    sources
                        .field(&topic, &["status"])
                        .on_off(&["fail", "absent"], &["ok"]),
                )
                .with(sources.attributes(&topic))
        });
        std::iter::once(module).chain(relays).chain(signals).collect()
    }

    /// A switch for each event of each relay that follows events.
    fn switches<'a>(
        &'a self,
        id: &'a DeviceId,
        slot: &'a SlotId,
        shown: &'a SlotView,
        events: &'a [EventState],
    ) -> impl Iterator<Item = Entity> + 'a {
        shown.relay_events.keys().flat_map(move |relay| {
            let topic = of(
                id,
                DeviceTopic::Slot(slot.clone(), SlotTopic::RelayEvents(*relay)),
            );
            let selection = self.sources.field(&topic, &["events"]);
            let command = self.sources.topics.command(&CommandTopic::RelayEvents {
                device: id.clone(),
                slot: slot.as_str().to_owned(),
                relay: relay.as_str().to_owned(),
            });
            events.iter().map(move |EventState { name: event, .. }| {
                let object = format!("{slot}_relay_{relay}_{event}");
                let name = format!("Relay {} follows {event}", relay_name(*relay));
                Entity::new(Component::Switch, object, name)
                    .set(json!({
                        "enabled_by_default": false,
                        "entity_category": "config",
                        "command_topic": command,
                        "payload_on": json!({ "add": [event] }).to_string(),
                        "payload_off": json!({ "remove": [event] }).to_string(),
                        "state_on": "ON",
                        "state_off": "OFF",
                    }))
                    .with(selection.lists(event.as_str()))
            })
        })
    }

    /// The entity with what all have in common. Available while every topic of `availability` says `online`.
    fn message(&self, owner: &Owner, device: &Value, availability: &[String], entity: Entity) -> Message {
        let Entity {
            component,
            object,
            fields: mut config,
        } = entity;
        let node = self.topics.node(owner);
        // It goes for what an entity reads and what it sends. State is retained, so it may be read with QoS 0, which no
        // queue of the broker bounds; a command may not get lost.
        let qos = u8::from(config.contains_key("command_topic"));
        config.extend(fields(json!({
            "unique_id": format!("{node}_{object}"),
            "default_entity_id": default_entity_id(component, device, &config),
            "device": device,
            "origin": { "name": "lantime2mqtt", "sw_version": env!("CARGO_PKG_VERSION") },
            "qos": qos,
        })));
        if !availability.is_empty() {
            let topics: Vec<_> = availability
                .iter()
                .map(|topic| json!({ "topic": topic }))
                .collect();
            config.extend(fields(
                json!({ "availability": topics, "availability_mode": "all" }),
            ));
        }
        Message {
            topic: self.topics.config(component, owner, &object),
            payload: Some(Value::Object(config).to_string().into()),
        }
    }
}

/// The entity id that Home Assistant 2024.3 makes of the names of device and entity. Later ones may put the area before it
/// (2026.6), unless the configuration asks for one (from 2025.10; earlier ones do not know the key).
fn default_entity_id(component: Component, device: &Value, entity: &Map<String, Value>) -> String {
    let names = [&device["name"], &entity["name"]];
    let names = names.map(|name| slug(name.as_str().unwrap_or_default()));
    format!("{}.{}", component.as_str(), names.join("_"))
}

/// Lower case letters and digits, and one `_` for whatever stands between them, as Home Assistant has it. Our names are
/// ASCII.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join("_").to_ascii_lowercase()
}

fn of(id: &DeviceId, below: DeviceTopic) -> StateTopic {
    StateTopic::Device(id.clone(), below)
}

fn relay_name(relay: Relay) -> String {
    relay.as_str().to_uppercase()
}

fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Clk1 => "Clock 1",
        Signal::Clk2 => "Clock 2",
        Signal::Rsc => "Changeover unit",
        Signal::Pps => "PPS",
        Signal::TenMhz => "10 MHz",
        Signal::Notification => "Notification events",
    }
}

fn without_nulls(mut object: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.retain(|_, value| !value.is_null());
    }
    object
}

//! Relays and signals as an earlier run has published them, read from what the broker has retained: as whole objects, or
//! field by field.
//!
//! It shows since when something was so, and never how it is now. What cannot be read, or was never published by a bridge,
//! says nothing: this run publishes there anyway.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::Time;
use super::topics::{DeviceTopic, SlotTopic, StateTopic, Topics};
use crate::model::id::is_valid_id;
use crate::model::{
    self, Acknowledged, Availability, Cause, Details, DeviceId, EventName, EventState, EventType,
    LastTriggered, Position, Provenance, RelayEventsState, RelayState, SignalState, SlotId, SlotState,
    Status, UnknownReason, Via,
};

/// Most causes of a relay that are taken over.
const MAX_CAUSES: usize = 64;

/// The devices of a shard of which something is retained, as its last owner has listed them.
pub fn listed_devices(payload: &[u8]) -> Vec<DeviceId> {
    #[derive(Deserialize)]
    struct List {
        devices: Vec<String>,
    }
    let list = serde_json::from_slice::<List>(payload).map_or(Vec::new(), |list| list.devices);
    list.into_iter().filter_map(DeviceId::new).collect()
}

/// What was read.
#[derive(Debug, Default)]
pub struct ReadBack {
    objects: HashMap<StateTopic, Object>,
    is_of_another: bool,
}

/// What is retained of an object.
#[derive(Debug, Default)]
struct Object {
    /// As JSON.
    whole: Option<Box<[u8]>>,
    /// Field by field.
    fields: Map<String, Value>,
}

/// Whether what is retained at that topic says how a device, a slot or an event of it was, and that it was watched.
fn is_of_another(topic: &StateTopic) -> bool {
    let StateTopic::Device(_, below) = topic else {
        return false;
    };
    matches!(
        below,
        DeviceTopic::State
            | DeviceTopic::HttpStats
            | DeviceTopic::Event(_)
            | DeviceTopic::Slot(_, SlotTopic::State)
    )
}

/// Whether what is retained at that topic says since when something is so.
pub fn is_read(topic: &StateTopic) -> bool {
    let StateTopic::Device(_, below) = topic else {
        return false;
    };
    match below {
        DeviceTopic::Info => true,
        DeviceTopic::Slot(_, below) => matches!(
            below,
            SlotTopic::Relay(_) | SlotTopic::RelayEvents(_) | SlotTopic::Signal(_)
        ),
        _ => false,
    }
}

impl ReadBack {
    /// Takes in states, events and statistics as well: what another bridge has published of them.
    pub fn of_another() -> ReadBack {
        ReadBack {
            is_of_another: true,
            ..ReadBack::default()
        }
    }

    /// The events of each device.
    pub fn events(&self) -> HashMap<DeviceId, Vec<EventState>> {
        let mut events = HashMap::<_, Vec<_>>::new();
        for topic in self.objects.keys() {
            if let StateTopic::Device(device, DeviceTopic::Event(name)) = topic {
                let of_device = events.entry(device.clone()).or_default();
                of_device.extend(self.event(device, name));
            }
        }
        events
    }

    fn event(&self, device: &DeviceId, name: &EventName) -> Option<EventState> {
        let read: Event = self.object(device, DeviceTopic::Event(name.clone()))?;
        let triggered = match read.triggered {
            Triggered::Known(triggered) => Some(triggered),
            Triggered::Text(text) => text.parse().ok(),
        };
        Some(EventState {
            name: name.clone(),
            name_on_device: None,
            triggered,
            kind: EventType::Unknown,
            last_triggered: match read.last_triggered {
                Some(time) => LastTriggered::at(time.0),
                None if triggered.is_some() => LastTriggered::Never,
                None => LastTriggered::Unclear,
            },
        })
    }

    /// Takes in what is retained at that topic.
    pub fn take(&mut self, topics: &Topics, topic: &str, payload: &[u8]) {
        let parsed = topics.parse(topic);
        let parsed =
            parsed.filter(|(object, _)| is_read(object) || (self.is_of_another && is_of_another(object)));
        let Some((object, field)) = parsed else { return };
        let object = self.objects.entry(object).or_default();
        match field {
            None => object.whole = Some(payload.into()),
            Some(path) => put(&mut object.fields, path, &String::from_utf8_lossy(payload)),
        }
    }

    /// Whether that device answered.
    pub fn availability(&self, device: &DeviceId) -> Option<Availability> {
        self.text(device, DeviceTopic::State)
    }

    /// The state of that slot.
    pub fn slot_state(&self, device: &DeviceId, slot: &SlotId) -> Option<SlotState> {
        self.text(device, DeviceTopic::Slot(slot.clone(), SlotTopic::State))
    }

    /// When that device has last answered.
    pub fn last_success(&self, device: &DeviceId) -> Option<Timestamp> {
        let read: HttpStats = self.object(device, DeviceTopic::HttpStats)?;
        Some(read.last_success?.0)
    }

    fn text<T: DeserializeOwned>(&self, device: &DeviceId, below: DeviceTopic) -> Option<T> {
        let object = self.objects.get(&StateTopic::Device(device.clone(), below))?;
        let text = std::str::from_utf8(object.whole.as_deref()?).ok()?;
        T::deserialize(text.into_deserializer() as StrDeserializer<'_, ValueError>).ok()
    }

    /// The bridge of a cluster that has polled that device.
    pub fn owner(&self, device: &DeviceId) -> Option<DeviceId> {
        let read: Info = self.object(device, DeviceTopic::Info)?;
        DeviceId::new(read.bridge?)
    }

    /// The serial number of that device.
    pub fn serial_number(&self, device: &DeviceId) -> Option<String> {
        let read: Info = self.object(device, DeviceTopic::Info)?;
        read.serial_number
    }

    /// Where that device was polled.
    pub fn web_interface(&self, device: &DeviceId) -> Option<String> {
        let read: Info = self.object(device, DeviceTopic::Info)?;
        Some(read.web_interface)
    }

    /// That relay; not later than `now`.
    pub fn relay(
        &self,
        device: &DeviceId,
        slot: &SlotId,
        relay: model::Relay,
        now: Timestamp,
    ) -> Option<RelayState> {
        let read: Relay = self.object_of_slot(device, slot, SlotTopic::Relay(relay))?;
        let since = read.since.0.min(now);
        let causes: Vec<_> = match read.causes {
            List::Items(causes) => causes
                .into_iter()
                .map(|cause: HoldingCause| (cause.cause, cause.since.0.min(now)))
                .collect(),
            // A field has no times.
            List::Text(names) => names
                .split_terminator(',')
                .map(|name| (name.to_owned(), since))
                .collect(),
        };
        // Only a fault has causes, and anybody may have written there.
        let is_cause = |name: &str| read.position == Position::Nc && is_valid_id(name);
        let causes = causes.into_iter().filter(|(name, _)| is_cause(name));
        let causes = causes.map(|(name, since)| Cause { name, since });
        Some(RelayState {
            position: read.position,
            driven_by: read.driven_by,
            cause: read.cause.filter(|name| is_cause(name)),
            causes: causes.take(MAX_CAUSES).collect(),
            provenance: Provenance::Unseen,
            unknown_reason: read.unknown_reason,
            stale: false,
            via: Via::Rest,
            since,
            last: read.last.and_then(|last| last.known(Position::Unknown, now)),
            last_fault: read.last_fault.map(|fault| Box::new(fault.known(now))),
        })
    }

    /// The events that switch that relay; not later than `now`.
    pub fn relay_events(
        &self,
        device: &DeviceId,
        slot: &SlotId,
        relay: model::Relay,
        now: Timestamp,
    ) -> Option<RelayEventsState> {
        let read: RelayEvents = self.object_of_slot(device, slot, SlotTopic::RelayEvents(relay))?;
        let named = |names: Vec<String>| -> Option<BTreeSet<_>> {
            names.iter().map(|name| EventName::canonical(name)).collect()
        };
        let events = match read.events {
            List::Text(text) if text == "unknown" => None,
            List::Text(names) => Some(named(names.split_terminator(',').map(str::to_owned).collect())?),
            List::Items(names) => Some(named(names)?),
        };
        Some(RelayEventsState {
            events: events.map(|names| names.into_iter().collect()),
            confirmed: false,
            via: None,
            since: read.since.0.min(now),
        })
    }

    /// That signal; not later than `now`.
    pub fn signal(
        &self,
        device: &DeviceId,
        slot: &SlotId,
        signal: model::Signal,
        now: Timestamp,
    ) -> Option<SignalState> {
        let read: Signal = self.object_of_slot(device, slot, SlotTopic::Signal(signal))?;
        Some(SignalState {
            status: read.status,
            provenance: Provenance::Unseen,
            unknown_reason: read.unknown_reason,
            stale: false,
            via: Via::Rest,
            since: read.since.0.min(now),
            detail: Details::default(),
            last: read.last.and_then(|last| last.known(Status::Unknown, now)),
        })
    }

    fn object_of_slot<T: DeserializeOwned>(
        &self,
        device: &DeviceId,
        slot: &SlotId,
        below: SlotTopic,
    ) -> Option<T> {
        self.object(device, DeviceTopic::Slot(slot.clone(), below))
    }

    /// The whole object says more than its fields.
    fn object<T: DeserializeOwned>(&self, device: &DeviceId, below: DeviceTopic) -> Option<T> {
        let object = self.objects.get(&StateTopic::Device(device.clone(), below))?;
        let whole = object.whole.as_ref();
        let whole = whole.and_then(|json| serde_json::from_slice(json).ok());
        whole.or_else(|| serde_json::from_value(Value::Object(object.fields.clone())).ok())
    }
}

/// Puts a field at its path.
fn put(object: &mut Map<String, Value>, path: &str, text: &str) {
    match path.split_once('/') {
        None => drop(object.insert(path.to_owned(), text.into())),
        Some((name, path)) => {
            let below = match object.entry(name) {
                Entry::Vacant(vacant) => vacant.insert(Map::new().into()),
                Entry::Occupied(occupied) => occupied.into_mut(),
            };
            if let Value::Object(below) = below {
                put(below, path, text);
            }
        }
    }
}

/// A list, or the names in it separated by commas: as a field, which is not there where there are none.
#[derive(Deserialize)]
#[serde(untagged)]
enum List<T> {
    Items(Vec<T>),
    Text(String),
}

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List::Text(String::new())
    }
}

/// What was known before it was not, and when.
#[derive(Deserialize)]
struct Last<T> {
    #[serde(alias = "position", alias = "status")]
    value: T,
    at: Time,
}

impl<T: PartialEq> Last<T> {
    fn known(self, unknown: T, now: Timestamp) -> Option<(T, Timestamp)> {
        (self.value != unknown).then(|| (self.value, self.at.0.min(now)))
    }
}

#[derive(Deserialize)]
struct Info {
    bridge: Option<String>,
    serial_number: Option<String>,
    web_interface: String,
}

#[derive(Deserialize)]
struct HttpStats {
    last_success: Option<Time>,
}

#[derive(Deserialize)]
struct Event {
    triggered: Triggered,
    last_triggered: Option<Time>,
}

/// `true`, `false`, or `"unknown"`; as a field, a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Triggered {
    Known(bool),
    Text(String),
}

#[derive(Deserialize)]
struct Relay {
    position: Position,
    driven_by: Option<model::Signal>,
    cause: Option<String>,
    #[serde(default)]
    causes: List<HoldingCause>,
    unknown_reason: Option<UnknownReason>,
    since: Time,
    last: Option<Last<Position>>,
    last_fault: Option<LastFault>,
}

#[derive(Deserialize)]
struct LastFault {
    since: Time,
    until: Option<Time>,
    cause: Option<String>,
    acknowledged_at: Option<Time>,
    acknowledged_by: Option<String>,
}

impl LastFault {
    fn known(self, now: Timestamp) -> model::LastFault {
        let known = |time: Time| time.0.min(now);
        let cause = self.cause.filter(|name| is_valid_id(name));
        model::LastFault {
            since: known(self.since),
            until: self.until.map(known),
            cause: cause.map(Into::into),
            acknowledged: self.acknowledged_at.map(|at| Acknowledged {
                at: known(at),
                by: self.acknowledged_by.map(Into::into),
            }),
        }
    }
}

#[derive(Deserialize)]
struct HoldingCause {
    cause: String,
    since: Time,
}

#[derive(Deserialize)]
struct RelayEvents {
    /// `unknown`, too.
    #[serde(default)]
    events: List<String>,
    since: Time,
}

#[derive(Deserialize)]
struct Signal {
    status: Status,
    unknown_reason: Option<UnknownReason>,
    since: Time,
    last: Option<Last<Status>>,
}

//! Relays and signals as an earlier run has published them, read from what the broker has retained: as whole objects, or
//! field by field.
//!
//! It tells since when something was so, and never how it is now. What cannot be read says nothing: this run publishes there
//! anyway.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::Time;
use super::topics::{DeviceTopic, SlotTopic, StateTopic, Topics};
use crate::model::{
    self, Cause, DeviceId, EventName, Position, Provenance, RelayEventsState, RelayState, SignalState,
    SlotId, Status, UnknownReason, Via,
};

/// What was read.
#[derive(Debug, Default)]
pub struct ReadBack {
    objects: HashMap<StateTopic, Map<String, Value>>,
}

/// Whether what is retained at that topic is read.
pub fn is_read(topic: &StateTopic) -> bool {
    matches!(
        topic,
        StateTopic::Device(
            _,
            DeviceTopic::Slot(
                _,
                SlotTopic::Relay(_) | SlotTopic::RelayEvents(_) | SlotTopic::Signal(_)
            )
        )
    )
}

impl ReadBack {
    /// Takes in what is retained at that topic.
    pub fn take(&mut self, topics: &Topics, topic: &str, payload: &[u8]) {
        let parsed = topics.parse(topic).filter(|(object, _)| is_read(object));
        let Some((object, field)) = parsed else { return };
        let object = self.objects.entry(object).or_default();
        match (field, serde_json::from_slice(payload)) {
            (None, Ok(whole)) => object.extend::<Map<_, _>>(whole),
            (None, Err(_)) => {}
            (Some(path), _) => put(object, path, &String::from_utf8_lossy(payload)),
        }
    }

    /// That relay; not later than `now`.
    pub fn relay(
        &self,
        device: &DeviceId,
        slot: &SlotId,
        relay: model::Relay,
        now: Timestamp,
    ) -> Option<RelayState> {
        let read: Relay = self.object(device, slot, SlotTopic::Relay(relay))?;
        let since = read.since.0.min(now);
        let causes = match read.causes {
            Causes::WithTimes(causes) => causes
                .into_iter()
                .map(|cause| (cause.cause, cause.since.0.min(now)))
                .collect(),
            Causes::Names(names) => names
                .split_terminator(',')
                .map(|name| (name.to_owned(), since))
                .collect::<Vec<_>>(),
        };
        let causes = causes.into_iter().map(|(name, since)| Cause { name, since });
        Some(RelayState {
            position: read.position,
            driven_by: read.driven_by,
            cause: read.cause,
            causes: causes.collect(),
            provenance: Provenance::Unseen,
            unknown_reason: read.unknown_reason,
            stale: false,
            via: Via::Rest,
            since,
            last: read.last.map(|last| (last.position, last.at.0.min(now))),
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
        let read: RelayEvents = self.object(device, slot, SlotTopic::RelayEvents(relay))?;
        let named = |names: Vec<String>| -> Option<BTreeSet<_>> {
            names.iter().map(|name| EventName::canonical(name)).collect()
        };
        let events = match read.events {
            Events::Text(text) if text == "unknown" => None,
            Events::Text(names) => Some(named(names.split_terminator(',').map(str::to_owned).collect())?),
            Events::Names(names) => Some(named(names)?),
        };
        Some(RelayEventsState {
            events,
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
        let read: Signal = self.object(device, slot, SlotTopic::Signal(signal))?;
        Some(SignalState {
            status: read.status,
            provenance: Provenance::Unseen,
            unknown_reason: read.unknown_reason,
            stale: false,
            via: Via::Rest,
            since: read.since.0.min(now),
            detail: Vec::new(),
            last: read.last.map(|last| (last.status, last.at.0.min(now))),
        })
    }

    fn object<T: DeserializeOwned>(&self, device: &DeviceId, slot: &SlotId, below: SlotTopic) -> Option<T> {
        let topic = StateTopic::Device(device.clone(), DeviceTopic::Slot(slot.clone(), below));
        serde_json::from_value(Value::Object(self.objects.get(&topic)?.clone())).ok()
    }
}

/// Puts a field at its path, unless the whole object has it: there it says more.
fn put(object: &mut Map<String, Value>, path: &str, text: &str) {
    match path.split_once('/') {
        None => {
            object.entry(path).or_insert_with(|| text.into());
        }
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

#[derive(Deserialize)]
struct Relay {
    position: Position,
    driven_by: Option<model::Signal>,
    cause: Option<String>,
    #[serde(default)]
    causes: Causes,
    unknown_reason: Option<UnknownReason>,
    since: Time,
    last: Option<LastPosition>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Causes {
    WithTimes(Vec<HoldingCause>),
    /// Separated by commas: a field of its own has no times.
    Names(String),
}

impl Default for Causes {
    fn default() -> Causes {
        Causes::Names(String::new())
    }
}

#[derive(Deserialize)]
struct HoldingCause {
    cause: String,
    since: Time,
}

#[derive(Deserialize)]
struct LastPosition {
    position: Position,
    at: Time,
}

#[derive(Deserialize)]
struct RelayEvents {
    /// Without any there is no such field.
    #[serde(default)]
    events: Events,
    since: Time,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Events {
    Names(Vec<String>),
    /// `unknown`, or the names separated by commas.
    Text(String),
}

impl Default for Events {
    fn default() -> Events {
        Events::Text(String::new())
    }
}

#[derive(Deserialize)]
struct Signal {
    status: Status,
    unknown_reason: Option<UnknownReason>,
    since: Time,
    last: Option<LastStatus>,
}

#[derive(Deserialize)]
struct LastStatus {
    status: Status,
    at: Time,
}

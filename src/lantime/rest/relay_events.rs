//! The configuration that chooses which events switch a relay: read by a profile, the smallest change of it, and
//! what a read-back tells. Pure; the requests are the client's, and in which order they go the device task's.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bytes::Bytes;
pub use read::ReadError;
use serde_json::Value;

use super::json::JsonBody;
use super::profile::{Profile, RelayEventsEntries, keys};
use crate::lantime::choice::{self, list, refusal};
use crate::model::{ErrorReport, EventName, EventState, EventsChange};

/// What each event does, as a device is configured: changes included that it has not applied yet.
#[derive(Debug, Clone, PartialEq)]
pub struct RelayConfig {
    revision: Option<Value>,
    is_pending: bool,
    events: Vec<EventActions>,
}

/// What one event does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EventActions {
    name: EventName,
    name_on_device: String,
    /// As the device writes them, in its order.
    actions: Vec<String>,
}

/// A change to be written: the events that it concerns, with all their actions.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    revision: Option<Value>,
    changes: Vec<EventActions>,
    word: String,
    desired: BTreeSet<EventName>,
}

impl RelayConfig {
    /// Reads the answer to `relay_events.read`.
    ///
    /// # Errors
    /// When it is not JSON, or not what the profile describes. An event without a name or without actions, or of
    /// which either is malformed, is passed over, unless all are: then the profile is wrong.
    pub fn read(body: &[u8], profile: &Profile) -> Result<RelayConfig, ReadError> {
        let body = JsonBody::new(body);
        let document: Value = body.parse()?;
        let is_repaired = body.is_repaired();
        read::Reader { profile, is_repaired }.document(&document)
    }

    /// Whether there are changes that the device has not applied yet; `false` where it does not say.
    pub fn is_pending(&self) -> bool {
        self.is_pending
    }

    /// The events that have this action.
    pub fn events_of(&self, word: &str) -> BTreeSet<EventName> {
        let having = self.events.iter().filter(|event| event.has(word));
        having.map(|event| event.name.clone()).collect()
    }

    /// The events that are to have this action after the change. `known` are those of the status document.
    ///
    /// # Errors
    /// A refusal, when the device has no event of a name, cannot be told what one of them does, or when one is
    /// to be both added and removed.
    pub fn desired(
        &self,
        word: &str,
        change: &EventsChange,
        known: &[EventState],
    ) -> Result<BTreeSet<EventName>, ErrorReport> {
        let known: Vec<&str> = known.iter().map(|event| event.name.as_str()).collect();
        let desired = choice::desired(self.events_of(word), change, &known)?;
        let offered: BTreeSet<&EventName> = self.events.iter().map(|event| &event.name).collect();
        let missing: Vec<_> = desired.iter().filter(|name| !offered.contains(name)).collect();
        if missing.is_empty() {
            return Ok(desired);
        }
        Err(refusal(
            format!(
                "this device's configuration does not let anybody choose what {} does",
                list(&missing)
            ),
            "leave it out: the device has this event, but cannot switch a relay by it",
        ))
    }

    /// The smallest change after which just the `desired` events have this action; `None` where nothing has to
    /// be changed. All other actions stay, in their order.
    pub fn plan(&self, word: &str, desired: &BTreeSet<EventName>) -> Option<Plan> {
        let wrong = self
            .events
            .iter()
            .filter(|event| event.has(word) != desired.contains(&event.name));
        let changes: Vec<_> = wrong.map(|event| event.toggled(word)).collect();
        (!changes.is_empty()).then(|| Plan {
            revision: self.revision.clone(),
            changes,
            word: word.to_owned(),
            desired: desired.clone(),
        })
    }

    /// Whether just the `desired` events have this action.
    pub fn confirms(&self, word: &str, desired: &BTreeSet<EventName>) -> bool {
        self.plan(word, desired).is_none() && self.events_of(word) == *desired
    }
}

impl Plan {
    /// The body of the request `relay_events.write`.
    pub fn body(&self, profile: &Profile) -> Bytes {
        let entries = &profile.relay_events;
        let events: Vec<Value> = self.changes.iter().map(|event| event.written(entries)).collect();
        let mut body = Value::Null;
        put(&mut body, &entries.events, events.into());
        if let (Some(pointer), Some(revision)) = (&entries.revision, &self.revision) {
            put(&mut body, pointer, revision.clone());
        }
        body.to_string().into()
    }

    /// The events that are not as they were written, once the configuration was read again: somebody else has
    /// changed them meanwhile, or the device has not done what it said. Empty when all is as it should be.
    pub fn differing(&self, read_back: &RelayConfig) -> BTreeSet<EventName> {
        let now = read_back.events_of(&self.word);
        let of_set = now.symmetric_difference(&self.desired).cloned();
        let is_as_written =
            |change: &EventActions| read_back.events.iter().any(|event| event.is_same(change));
        let of_others = self.changes.iter().filter(|change| !is_as_written(change));
        of_set
            .chain(of_others.map(|change| change.name.clone()))
            .collect()
    }
}

impl EventActions {
    fn has(&self, word: &str) -> bool {
        self.actions.iter().any(|action| is_same(action, word))
    }

    /// With this action where it was without, and the other way round.
    fn toggled(&self, word: &str) -> EventActions {
        let mut event = self.clone();
        if self.has(word) {
            event.actions.retain(|action| !is_same(action, word));
        } else {
            event.actions.push(word.to_owned());
        }
        event
    }

    /// The same actions; a device may put them in an order of its own.
    fn is_same(&self, other: &EventActions) -> bool {
        let sorted = |event: &EventActions| {
            let words = event
                .actions
                .iter()
                .map(|action| action.trim().to_ascii_lowercase());
            words.collect::<BTreeSet<_>>()
        };
        self.name_on_device == other.name_on_device && sorted(self) == sorted(other)
    }

    fn written(&self, entries: &RelayEventsEntries) -> Value {
        let mut event = Value::Null;
        put(&mut event, &entries.name, self.name_on_device.as_str().into());
        put(&mut event, &entries.actions, self.actions.clone().into());
        event
    }
}

/// Compares words as devices are compared: case and surrounding blanks do not count.
fn is_same(action: &str, word: &str) -> bool {
    action.trim().eq_ignore_ascii_case(word.trim())
}

/// Puts a value where the pointer leads, and objects on the way there. The profile has been checked for pointers
/// that lie within each other, so that nothing but objects is met.
fn put(root: &mut Value, pointer: &str, value: Value) {
    let place = keys(pointer).fold(root, |node, key| &mut node[key]);
    *place = value;
}

//! The part of a profile that says how to select the events that switch a relay.

use serde::Deserialize;

use super::Location;
use crate::model::{Relay, SlotId};

/// Where the configuration stands that selects the events, and what it looks like. What is written has the
/// form of what is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayEventsEntries {
    /// Asks for it.
    pub read: Location,
    /// Changes some of its events.
    pub write: WriteLocation,
    /// Makes what was written take effect.
    pub apply: WriteLocation,
    /// JSON pointer (RFC 6901) to the revision, where a device has one.
    pub revision: Option<String>,
    /// JSON pointer to what reports changes that are not applied, if a device has it.
    pub pending: Option<String>,
    /// JSON pointer to the list of events.
    pub events: String,
    /// JSON pointer to the name, in each event.
    pub name: String,
    /// JSON pointer to the list of actions, in each event.
    pub actions: String,
    /// The action that stands for a relay, with `{slot}` and `{relay}` in place of both.
    word: String,
}

/// A path of the REST API that changes something.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteLocation {
    /// HTTP method.
    pub method: WriteMethod,
    /// With its leading slash.
    pub path: String,
    /// Whether it was seen on a device.
    pub seen: bool,
}

/// HTTP methods that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WriteMethod {
    /// PUT.
    Put,
    /// POST.
    Post,
    /// PATCH.
    Patch,
}

impl RelayEventsEntries {
    /// Whether both steps of a write were seen on a device: else the device's owner has to allow it.
    pub fn is_write_seen(&self) -> bool {
        self.write.seen && self.apply.seen
    }

    /// The action that stands for that relay. Relays with the same one cannot be distinguished.
    pub fn action(&self, slot: &SlotId, relay: Relay) -> String {
        self.word
            .replace("{slot}", slot.as_str())
            .replace("{relay}", relay.as_str())
    }

    /// The paths and pointers, by their keys.
    pub(super) fn pointers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("relay_events.read.path", Some(&self.read.path)),
            ("relay_events.write.path", Some(&self.write.path)),
            ("relay_events.apply.path", Some(&self.apply.path)),
            ("relay_events.events", Some(&self.events)),
            ("relay_events.name", Some(&self.name)),
            ("relay_events.actions", Some(&self.actions)),
            ("relay_events.revision", self.revision.as_ref()),
            ("relay_events.pending", self.pending.as_ref()),
        ];
        all.into_iter()
            .filter_map(|(key, pointer)| Some((key, pointer?.as_str())))
    }

    /// What beside a pointer without a slash makes it impossible to use.
    pub(super) fn fault(&self) -> Option<String> {
        let rest = self.word.replace("{slot}", "").replace("{relay}", "");
        if self.word.trim().is_empty() || rest.contains(['{', '}']) {
            return Some(format!(
                "relay_events.word = {:?} is no word, in which {{slot}} and {{relay}} may stand",
                self.word
            ));
        }
        // What is written has both at their places, so that neither may be a part of the other.
        let both = [
            ("name", "actions", Some(&self.name), &self.actions),
            ("revision", "events", self.revision.as_ref(), &self.events),
        ];
        let clash = both
            .into_iter()
            .find(|(_, _, one, other)| one.is_some_and(|one| is_within(one, other) || is_within(other, one)));
        clash.map(|(one, other, ..)| {
            format!("relay_events.{one} and relay_events.{other} lie within each other")
        })
    }
}

/// Whether `inner` leads to `outer`, or to a place in it.
fn is_within(inner: &str, outer: &str) -> bool {
    let (inner, outer): (Vec<_>, Vec<_>) = (keys(inner).collect(), keys(outer).collect());
    inner.starts_with(&outer)
}

/// The keys on the way that a pointer describes.
pub(in crate::lantime) fn keys(pointer: &str) -> impl Iterator<Item = String> {
    let keys = pointer.split('/').skip(1);
    keys.map(|key| key.replace("~1", "/").replace("~0", "~"))
}

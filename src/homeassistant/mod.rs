//! Discovery by Home Assistant: which entities there are, as retained configurations that it reads.
//!
//! Pure: what the publisher is told becomes messages that it retains beside the state, and keeps and clears by the same
//! rules. The entities read the topics of the contract; nothing is published for Home Assistant alone but what they are.
//!
//! The form is one topic for each entity, which works from Home Assistant 2024.3 on.

mod entities;
mod shape;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{HomeAssistant, Layout};
use crate::contract::topics::{DiscoveryTopics, Owner, Topics};
use crate::model::{DeviceId, Update};
use crate::mqtt::payload::Message;
use entities::Entities;
use shape::Shape;
use source::Sources;

/// What Home Assistant says at its status topic when it has started, unless its user has written another payload:
/// the manual asks for this one.
const BIRTH: &[u8] = b"online";

/// What is discovered of a bridge and its devices.
#[derive(Debug)]
pub struct Discovery {
    topics: DiscoveryTopics,
    status_topic: String,
    entities: Entities,
    shapes: BTreeMap<DeviceId, Shape>,
}

impl Discovery {
    /// Discovery of what is published at `topics` in that layout by that bridge.
    pub fn new(config: HomeAssistant, topics: Topics, layout: Layout, bridge: DeviceId) -> Discovery {
        let discovery = DiscoveryTopics::new(config.discovery_prefix, topics.clone());
        Discovery {
            topics: discovery.clone(),
            status_topic: config.status_topic,
            entities: Entities {
                sources: Sources { topics, layout },
                topics: discovery,
                bridge,
            },
            shapes: BTreeMap::new(),
        }
    }

    /// Its topics.
    pub fn topics(&self) -> &DiscoveryTopics {
        &self.topics
    }

    /// Where Home Assistant says that it has started.
    pub fn status_topic(&self) -> &str {
        &self.status_topic
    }

    /// Whether that message says so.
    pub fn is_birth(&self, topic: &str, payload: &[u8]) -> bool {
        topic == self.status_topic && payload == BIRTH
    }

    /// What is discovered of the bridge itself.
    pub fn of_bridge(&self) -> Vec<Message> {
        self.entities.of_bridge()
    }

    /// What changes with that update. A device that leaves is the caller's business, and so is what an earlier run has
    /// published.
    pub fn take(&mut self, update: &Update) -> Vec<Message> {
        match update {
            Update::Device { device, changes, .. } => {
                let old = self.shapes.entry(device.clone()).or_default();
                let mut new = old.clone();
                changes.iter().for_each(|change| new.apply(change));
                if *old == new {
                    return Vec::new();
                }
                let old = std::mem::replace(old, new);
                self.difference(device, &old)
            }
            Update::Forgotten { device } | Update::Removed { device } => {
                // What becomes of all below [`Discovery::of_device`] is the caller's business, too.
                self.shapes.remove(device);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// All of a device as it is now, and a clearing for what it no longer has.
    fn difference(&self, device: &DeviceId, old: &Shape) -> Vec<Message> {
        let mut messages = self.entities.of_device(device, &self.shapes[device]);
        let kept: BTreeSet<_> = messages.iter().map(|message| message.topic.clone()).collect();
        let gone = self.entities.of_device(device, old).into_iter();
        let gone = gone.filter(|message| !kept.contains(&message.topic));
        messages.extend(gone.map(|message| Message {
            payload: None,
            ..message
        }));
        messages
    }

    /// What every discovery topic of `device` begins with.
    pub fn of_device(&self, device: &DeviceId) -> [String; 4] {
        self.topics.of_owner(&Owner::Device(device.clone()))
    }
}

#[cfg(test)]
mod tests;

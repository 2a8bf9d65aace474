//! Discovery by Home Assistant: which entities there are, as retained configurations that it reads.
//!
//! Pure: a projection of what is published. The entities read the topics of the contract; nothing is published for Home
//! Assistant alone but what they are.
//!
//! The form is one topic for each entity, which works from Home Assistant 2024.3 on.

mod entities;
mod source;

use crate::config::{self, Layout};
use crate::contract::topics::{DiscoveryTopics, Topics};
use crate::model::{DeviceId, DeviceView, SlotView};
use crate::mqtt::discovery::Discovery;
use crate::mqtt::payload::Message;
use entities::Entities;
use source::Sources;

/// What Home Assistant says at its status topic when it has started, unless its user has written another payload:
/// the manual asks for this one.
const BIRTH: &[u8] = b"online";

/// What Home Assistant discovers of a bridge and its devices.
#[derive(Debug)]
pub struct HomeAssistant {
    status_topic: String,
    entities: Entities,
}

impl HomeAssistant {
    /// Discovery of what is published at `topics` in that layout by that bridge.
    pub fn new(
        config: config::HomeAssistant,
        topics: Topics,
        layout: Layout,
        bridge: DeviceId,
    ) -> HomeAssistant {
        let discovery = DiscoveryTopics::new(config.discovery_prefix, topics.clone());
        HomeAssistant {
            status_topic: config.status_topic,
            entities: Entities {
                sources: Sources { topics, layout },
                topics: discovery,
                bridge,
            },
        }
    }
}

impl Discovery for HomeAssistant {
    fn topics(&self) -> &DiscoveryTopics {
        &self.entities.topics
    }

    fn birth(&self) -> (&str, &[u8]) {
        (&self.status_topic, BIRTH)
    }

    fn of_bridge(&self) -> Vec<Message> {
        self.entities.of_bridge()
    }

    fn of_device(&self, id: &DeviceId, view: &DeviceView) -> Vec<Message> {
        self.entities.of_device(id, view)
    }

    /// Which events, relays and signals there are, and what the device says of itself and its modules. How they stand is
    /// read elsewhere.
    fn is_same(&self, old: &DeviceView, new: &DeviceView) -> bool {
        let is_same_slot = |old: &SlotView, new: &SlotView| {
            old.module == new.module
                && old.relays.keys().eq(new.relays.keys())
                && old.relay_events.keys().eq(new.relay_events.keys())
                && old.signals.keys().eq(new.signals.keys())
        };
        let (old_events, new_events) = (old.events.iter(), new.events.iter());
        let mut slots = old.slots.values().zip(new.slots.values());
        old.identity == new.identity
            && old_events
                .map(|event| &event.name)
                .eq(new_events.map(|event| &event.name))
            && old.slots.keys().eq(new.slots.keys())
            && slots.all(|(old, new)| is_same_slot(old, new))
    }
}

#[cfg(test)]
mod tests;

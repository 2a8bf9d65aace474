//! What is retained at each topic, made of what is known of the bridge and its devices.
//!
//! Pure. What the JSON has is known to [`crate::contract`], and what the broker has already is the publisher's business.

use bytes::Bytes;
use serde::Serialize;

use crate::config::Layout;
use crate::contract::state::{
    BridgeInfo, DeviceError, DeviceInfo, Event, HttpSessions, HttpStats, Relay, RelayEvents, ShardTopics,
    Signal, SlotInfo,
};
use crate::contract::topics::{DeviceTopic, SlotTopic, StateTopic, Topics, field};
use crate::contract::{scalar, to_json};
use crate::hub::Device;
use crate::model::{Availability, DeviceId};

/// What is to be retained at a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub topic: String,
    /// What; `None` clears the topic.
    pub payload: Option<Bytes>,
}

/// Makes messages under one prefix and layout.
#[derive(Debug, Clone)]
pub struct Payloads {
    topics: Topics,
    layout: Layout,
}

impl Payloads {
    /// Payloads at `topics` in that layout.
    pub fn new(topics: Topics, layout: Layout) -> Payloads {
        Payloads { topics, layout }
    }

    /// The topics that they are for.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Whether a topic of that kind exists in this layout: of the whole object, or of one field.
    pub fn publishes(&self, topic: &StateTopic, is_field: bool) -> bool {
        match self.layout {
            _ if topic.is_plain() => !is_field,
            Layout::Json => !is_field,
            Layout::Scalar => is_field,
            Layout::Both => true,
        }
    }

    /// Whether objects have a topic for each field. Then whoever keeps what is retained clears those that an object no
    /// longer has.
    pub fn has_fields(&self) -> bool {
        self.layout != Layout::Json
    }

    /// `online`: whoever publishes here runs and is connected. `offline`: the last will, and what a clean stop publishes.
    pub fn own_state(&self, is_online: bool) -> Message {
        let word = if is_online { "online" } else { "offline" };
        Message {
            topic: self.topics.state(&StateTopic::OwnState),
            payload: Some(Bytes::from_static(word.as_bytes())),
        }
    }

    /// What the bridge says of itself.
    pub fn bridge_info(&self, info: &BridgeInfo) -> Vec<Message> {
        self.object(&StateTopic::BridgeInfo, Some(info))
    }

    /// Of which devices something is retained.
    pub fn shard_topics(&self, devices: Vec<DeviceId>) -> Vec<Message> {
        vec![Message {
            topic: self.topics.state(&StateTopic::ShardTopics),
            payload: Some(to_json(&ShardTopics { devices })),
        }]
    }

    /// What is retained at a topic of a device, and at those of its fields.
    pub fn of_device(&self, id: &DeviceId, below: &DeviceTopic, device: &Device) -> Vec<Message> {
        let topic = StateTopic::Device(id.clone(), below.clone());
        let view = &device.view;
        match below {
            DeviceTopic::State => {
                let availability = view.availability.unwrap_or(Availability::Offline);
                self.word(&topic, Some(availability.as_str()))
            }
            DeviceTopic::Info => {
                let identity = view.identity.as_deref();
                let info = |identity| DeviceInfo::new(identity, &view.place, self.topics.shard());
                self.object(&topic, identity.map(info))
            }
            DeviceTopic::Error => self.object(&topic, view.problem.as_ref().map(DeviceError::from)),
            DeviceTopic::Event(name) => self.object(&topic, view.event(name).map(Event::from)),
            DeviceTopic::HttpStats => self.object(&topic, device.http.as_ref().map(HttpStats::from)),
            DeviceTopic::HttpSessions => {
                self.object(&topic, device.sessions.as_ref().map(HttpSessions::from))
            }
            DeviceTopic::Slot(slot, SlotTopic::State) => {
                self.word(&topic, view.slots.get(slot).map(|slot| slot.state.as_str()))
            }
            DeviceTopic::Slot(slot, SlotTopic::Info) => {
                let slot = view.slots.get(slot).filter(|slot| slot.is_described());
                self.object(
                    &topic,
                    slot.map(|slot| SlotInfo::new(slot.module.as_ref(), slot.wiring)),
                )
            }
            DeviceTopic::Slot(slot, SlotTopic::Relay(relay)) => {
                self.object(&topic, view.relay(slot, *relay).map(Relay::from))
            }
            DeviceTopic::Slot(slot, SlotTopic::RelayEvents(relay)) => {
                let slot = view.slots.get(slot);
                let events = slot.and_then(|slot| slot.relay_events.get(relay));
                self.object(&topic, events.map(RelayEvents::from))
            }
            DeviceTopic::Slot(slot, SlotTopic::Signal(signal)) => {
                self.object(&topic, view.signal(slot, *signal).map(Signal::from))
            }
        }
    }

    fn word(&self, topic: &StateTopic, word: Option<&'static str>) -> Vec<Message> {
        vec![Message {
            topic: self.topics.state(topic),
            payload: word.map(|word| Bytes::from_static(word.as_bytes())),
        }]
    }

    /// The messages of one object. With the scalar layout these are the fields that apply now, and nothing clears the
    /// others: see [`Payloads::has_fields`].
    fn object(&self, topic: &StateTopic, object: Option<impl Serialize>) -> Vec<Message> {
        let topic = self.topics.state(topic);
        let mut messages = Vec::new();
        if let Some(object) = object.as_ref().filter(|_| self.has_fields()) {
            messages.extend(scalar::fields(object).into_iter().map(|(path, text)| Message {
                topic: field(&topic, &path),
                payload: Some(Bytes::from(text)),
            }));
        }
        if self.layout != Layout::Scalar {
            let payload = object.as_ref().map(to_json);
            messages.push(Message { topic, payload });
        }
        messages
    }
}

#[cfg(test)]
mod tests;

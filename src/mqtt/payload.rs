//! A change of a device as topics, and what is retained there.
//!
//! Pure: the same change gives the same messages. What the JSON has is known to [`crate::contract`], and what is
//! already retained is the publisher's business.

use bytes::Bytes;
use serde::Serialize;

use crate::config::Layout;
use crate::contract::state::{
    BridgeInfo, DeviceError, DeviceInfo, Event, HttpStats, Relay, RelayEvents, Signal, SlotInfo,
};
use crate::contract::topics::{DeviceTopic, SlotTopic, StateTopic, Topics, field};
use crate::contract::{scalar, state, to_json};
use crate::model::{Change, DeviceId, HttpSessions, HttpSummary, SlotId};

/// What is to be retained at a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub topic: String,
    /// What; `None` clears the topic.
    pub payload: Option<Bytes>,
}

/// Turns changes into messages under one prefix and layout.
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

    /// `online`: the bridge runs and is connected.
    pub fn bridge_online(&self) -> Message {
        self.bridge_state("online")
    }

    /// `offline`: the last will, and the last word of a clean stop.
    pub fn bridge_offline(&self) -> Message {
        self.bridge_state("offline")
    }

    fn bridge_state(&self, word: &'static str) -> Message {
        Message {
            topic: self.topics.state(&StateTopic::BridgeState),
            payload: Some(Bytes::from_static(word.as_bytes())),
        }
    }

    /// What the bridge says of itself.
    pub fn bridge_info(&self, info: &BridgeInfo) -> Vec<Message> {
        self.object(&StateTopic::BridgeInfo, Some(info))
    }

    /// Statistics of a device's HTTP requests.
    pub fn http_stats(&self, device: &DeviceId, summary: &HttpSummary) -> Vec<Message> {
        let topic = StateTopic::Device(device.clone(), DeviceTopic::HttpStats);
        self.object(&topic, Some(HttpStats::from(summary)))
    }

    /// The log of a device's HTTP sessions.
    pub fn http_sessions(&self, device: &DeviceId, log: &HttpSessions) -> Vec<Message> {
        let topic = StateTopic::Device(device.clone(), DeviceTopic::HttpSessions);
        self.object(&topic, Some(state::HttpSessions::from(log)))
    }

    /// One change of a device.
    pub fn change(&self, device: &DeviceId, change: &Change) -> Vec<Message> {
        let topic = topic_of(device, change);
        match change {
            Change::Availability(availability) => self.word(&topic, Some(availability.as_str())),
            Change::SlotState(_, state) => self.word(&topic, state.map(|state| state.as_str())),
            Change::Identity(identity) => self.object(&topic, Some(DeviceInfo::from(&**identity))),
            Change::Problem(problem) => self.object(&topic, problem.as_deref().map(DeviceError::from)),
            Change::Event { new, .. } => self.object(&topic, new.as_deref().map(Event::from)),
            Change::SlotInfo(_, info) => {
                let info = info.as_deref();
                self.object(
                    &topic,
                    info.map(|info| SlotInfo::new(info.module.as_ref(), info.wiring)),
                )
            }
            Change::Relay { new, .. } => self.object(&topic, new.as_deref().map(Relay::from)),
            Change::RelayEvents { new, .. } => self.object(&topic, new.as_deref().map(RelayEvents::from)),
            Change::Signal { new, .. } => self.object(&topic, new.as_deref().map(Signal::from)),
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

/// The topic of the object, or word, that has changed.
pub fn topic_of(device: &DeviceId, change: &Change) -> StateTopic {
    let of_slot = |slot: &SlotId, below| DeviceTopic::Slot(slot.clone(), below);
    let below = match change {
        Change::Availability(_) => DeviceTopic::State,
        Change::Identity(_) => DeviceTopic::Info,
        Change::Problem(_) => DeviceTopic::Error,
        Change::Event { name, .. } => DeviceTopic::Event(name.clone()),
        Change::SlotState(slot, _) => of_slot(slot, SlotTopic::State),
        Change::SlotInfo(slot, _) => of_slot(slot, SlotTopic::Info),
        Change::Relay { slot, relay, .. } => of_slot(slot, SlotTopic::Relay(*relay)),
        Change::RelayEvents { slot, relay, .. } => of_slot(slot, SlotTopic::RelayEvents(*relay)),
        Change::Signal { slot, signal, .. } => of_slot(slot, SlotTopic::Signal(*signal)),
    };
    StateTopic::Device(device.clone(), below)
}

#[cfg(test)]
mod tests;

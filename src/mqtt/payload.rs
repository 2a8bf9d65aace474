//! The payloads of the contract: a change of a device becomes topics and what is retained there.
//!
//! Pure: the same change gives the same messages. Which fields an object has is known to `objects`, and
//! what is already retained is the publisher's business.

use bytes::Bytes;
use jiff::Timestamp;

use super::fields::{Fields, for_each_scalar, to_json};
use super::objects::{
    bridge_fields, event_fields, http_sessions_fields, http_stats_fields, identity_fields, problem_fields,
    relay_events_fields, relay_fields, signal_fields, slot_fields,
};
use super::topics::{DeviceTopic, SlotTopic, StateTopic, Topics, field};
use crate::config::{Layout, MqttVersion};
use crate::model::{Change, DeviceId, HttpSessions, HttpSummary};

/// What is to be retained at a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub topic: String,
    /// What; `None` clears the topic.
    pub payload: Option<Bytes>,
}

/// What the bridge says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeInfo {
    /// When this process started.
    pub started_at: Timestamp,
    /// How many devices are configured.
    pub devices: usize,
    /// Protocol version towards the broker.
    pub mqtt_version: MqttVersion,
    /// What this bridge can do (`rest`).
    pub capabilities: Vec<String>,
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
        self.object(&StateTopic::BridgeInfo, true, bridge_fields(info))
    }

    /// Statistics of a device's HTTP requests.
    pub fn http_stats(&self, device: &DeviceId, summary: &HttpSummary) -> Vec<Message> {
        let topic = StateTopic::Device(device.clone(), DeviceTopic::HttpStats);
        self.object(&topic, true, http_stats_fields(summary))
    }

    /// The log of a device's HTTP sessions.
    pub fn http_sessions(&self, device: &DeviceId, log: &HttpSessions) -> Vec<Message> {
        let topic = StateTopic::Device(device.clone(), DeviceTopic::HttpSessions);
        self.object(&topic, true, http_sessions_fields(log))
    }

    /// One change of a device.
    pub fn change(&self, device: &DeviceId, change: &Change) -> Vec<Message> {
        let of = |below| StateTopic::Device(device.clone(), below);
        match change {
            Change::Availability(availability) => {
                vec![self.word(&of(DeviceTopic::State), Some(availability.as_str()))]
            }
            Change::Identity(identity) => {
                self.object(&of(DeviceTopic::Info), true, identity_fields(identity))
            }
            Change::Problem(problem) => {
                let fields = problem_fields(problem.as_deref());
                self.object(&of(DeviceTopic::Error), problem.is_some(), fields)
            }
            Change::Event { name, new, .. } => {
                let fields = event_fields(name.clears(), new.as_deref());
                self.object(&of(DeviceTopic::Event(name.clone())), new.is_some(), fields)
            }
            Change::SlotState(slot, state) => {
                let topic = of(DeviceTopic::Slot(slot.clone(), SlotTopic::State));
                vec![self.word(&topic, state.map(|state| state.as_str()))]
            }
            Change::SlotInfo(slot, info) => {
                let topic = of(DeviceTopic::Slot(slot.clone(), SlotTopic::Info));
                self.object(&topic, info.is_some(), slot_fields(info.as_deref()))
            }
            Change::Relay { slot, relay, new, .. } => {
                let topic = of(DeviceTopic::Slot(slot.clone(), SlotTopic::Relay(*relay)));
                self.object(&topic, new.is_some(), relay_fields(new.as_deref()))
            }
            Change::RelayEvents { slot, relay, new } => {
                let topic = of(DeviceTopic::Slot(slot.clone(), SlotTopic::RelayEvents(*relay)));
                self.object(&topic, new.is_some(), relay_events_fields(new.as_deref()))
            }
            Change::Signal {
                slot,
                signal,
                old,
                new,
            } => {
                let topic = of(DeviceTopic::Slot(slot.clone(), SlotTopic::Signal(*signal)));
                self.object(
                    &topic,
                    new.is_some(),
                    signal_fields(old.as_deref(), new.as_deref()),
                )
            }
        }
    }

    fn word(&self, topic: &StateTopic, word: Option<&'static str>) -> Message {
        Message {
            topic: self.topics.state(topic),
            payload: word.map(|word| Bytes::from_static(word.as_bytes())),
        }
    }

    /// The messages of one object; `present` tells an object without any field from none at all.
    fn object(&self, topic: &StateTopic, present: bool, fields: Fields) -> Vec<Message> {
        let topic = self.topics.state(topic);
        let mut messages = Vec::new();
        if self.layout != Layout::Json {
            for_each_scalar(&fields, &mut |path, text| {
                // An empty payload would clear the topic at the broker: say so here too.
                let payload = text.filter(|text| !text.is_empty()).map(Bytes::from);
                let topic = field(&topic, path);
                messages.push(Message { topic, payload });
            });
        }
        if self.layout != Layout::Scalar {
            let payload = present.then(|| to_json(&fields));
            messages.push(Message { topic, payload });
        }
        messages
    }
}

#[cfg(test)]
mod tests;

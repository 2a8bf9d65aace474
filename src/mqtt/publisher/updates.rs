//! The publisher's side towards those who tell it something: what is to be at the broker, and which records are to go
//! there.

use jiff::Timestamp;

use super::Publisher;
use super::supply::Supplied;
use crate::contract::topics::{DeviceTopic, Owner, StateTopic};
use crate::hub::Taken;
use crate::model::{DeviceId, Update};
use crate::mqtt::payload::Message;
use crate::records::{change, dead_letter};

impl Publisher {
    /// Sorts out what earlier runs have published, and says what the bridge itself is.
    pub(super) fn begin(&mut self) {
        let mut cleared = 0;
        for topic in std::mem::take(&mut self.remembered) {
            let is_current = self.is_current(&topic);
            self.outbox.remember(topic.clone());
            if !is_current {
                self.outbox.set(&topic, None);
                cleared += 1;
            }
        }
        if cleared > 0 {
            tracing::info!(
                topics = cleared,
                "what earlier runs have published and this one does not is cleared at the broker"
            );
        }
        self.doubt_devices();
        self.put_object(&StateTopic::BridgeState);
        self.put_object(&StateTopic::BridgeInfo);
        let own = self.retained.topics().of_bridge();
        self.outbox.clear_remembered(&own);
        if let Some(discovery) = &self.retained.discovery {
            for Message { topic, payload } in discovery.of_bridge() {
                self.outbox.set(&topic, payload);
            }
            for own in discovery.topics().of_owner(&Owner::Bridge) {
                self.outbox.clear_remembered(&own);
            }
        }
    }

    /// In this run nobody has heard from any device: those that an earlier run has left as `online` are not, until the
    /// first poll has told how they are.
    fn doubt_devices(&mut self) {
        for device in self.retained.devices() {
            let state = StateTopic::Device(device, DeviceTopic::State);
            if self.outbox.is_released(&self.retained.topics().state(&state)) {
                self.put_object(&state);
            }
        }
    }

    /// Whether a topic of an earlier run may be published in this one.
    fn is_current(&self, topic: &str) -> bool {
        let is_here = |device: Option<&DeviceId>| device.is_none_or(|device| self.retained.has(device));
        if let Some((state, field)) = self.retained.topics().parse(topic) {
            return is_here(state.device()) && self.retained.payloads.publishes(&state, field.is_some());
        }
        let discovery = self
            .retained
            .discovery
            .as_ref()
            .map(|discovery| discovery.topics());
        match discovery.and_then(|topics| topics.owner(topic)) {
            Some(Owner::Device(device)) => is_here(Some(&device)),
            Some(Owner::Bridge) => true,
            None => false,
        }
    }

    /// What every topic of `device` begins with, its discovery first: what reads a topic goes before the topic does.
    fn of_device(&self, device: &DeviceId) -> Vec<String> {
        let mut topics = self.discovered_of(device);
        topics.push(self.retained.topics().of_device(device));
        topics
    }

    /// What every topic begins with at which `device` is discovered.
    fn discovered_of(&self, device: &DeviceId) -> Vec<String> {
        let owner = Owner::Device(device.clone());
        let discovery = self.retained.discovery.iter();
        discovery
            .flat_map(|discovery| discovery.topics().of_owner(&owner))
            .collect()
    }

    pub(super) fn put(&mut self, message: Message) {
        self.outbox.set(&message.topic, message.payload);
    }

    /// Where `online` is.
    pub(super) fn online_topic(&self) -> String {
        self.retained.topics().state(&StateTopic::BridgeState)
    }

    /// Puts what there is of an object now; fields that it no longer has are cleared.
    pub(super) fn put_object(&mut self, object: &StateTopic) {
        let messages = self.retained.object(object);
        let topics = self.retained.topics();
        if self.retained.payloads.has_fields() {
            let is_gone = |topic: &str| {
                let is_field = topics
                    .parse(topic)
                    .is_some_and(|(of, field)| of == *object && field.is_some());
                is_field && !messages.iter().any(|message| message.topic == topic)
            };
            self.outbox.clear_below(&topics.state(object), is_gone);
        }
        messages.into_iter().for_each(|message| self.put(message));
    }

    pub(super) fn apply(&mut self, taken: Taken) {
        let discovered = self.retained.apply(&taken).into_iter();
        let (come, gone): (Vec<_>, Vec<_>) = discovered.partition(|message| message.payload.is_some());
        // What reads a topic goes before the topic does.
        gone.into_iter().for_each(|message| self.put(message));
        self.apply_to_state(taken.update);
        come.into_iter().for_each(|message| self.put(message));
    }

    fn apply_to_state(&mut self, update: Update) {
        match update {
            Update::Device {
                device,
                changes,
                transitions,
                ..
            } => {
                for topic in changes {
                    self.put_object(&StateTopic::Device(device.clone(), topic));
                }
                let now = Timestamp::now();
                let records = transitions.iter();
                let records = records.filter_map(|transition| change::record(&device, transition, now));
                records.for_each(|record| self.journal.append(record));
            }
            Update::HttpStats { device, .. } => {
                self.put_object(&StateTopic::Device(device, DeviceTopic::HttpStats));
            }
            Update::HttpSessions { device, .. } => {
                self.put_object(&StateTopic::Device(device, DeviceTopic::HttpSessions));
            }
            Update::DeadLetter(letter) => self.journal.append(dead_letter::record(&letter, &self.bridge)),
            Update::Settled { device } => {
                for topics in self.of_device(&device) {
                    self.outbox.clear_remembered(&topics);
                }
            }
            Update::Forgotten { device } => {
                self.outbox.clear_all(&self.retained.topics().of_device(&device));
                // It is the same device in a moment: what users have made of its entities must not go with them.
                for topics in self.discovered_of(&device) {
                    self.outbox.doubt(&topics);
                }
            }
            Update::Removed { device } => {
                for topics in self.of_device(&device) {
                    self.outbox.clear_all(&topics);
                }
            }
            Update::Configured(devices) => {
                self.retained.info.devices = devices.len();
                self.put_object(&StateTopic::BridgeInfo);
            }
        }
    }

    pub(super) fn take_in(&mut self, supplied: Supplied) {
        match supplied {
            Supplied::Records(records) => self.records.take_in(records, self.retained.topics()),
            Supplied::NoneUpTo(number) => self.records.skip_to(number),
            Supplied::News => {}
        }
    }
}

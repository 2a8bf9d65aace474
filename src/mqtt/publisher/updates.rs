//! What the publisher does with updates: what is to be retained at the broker, and which records are to go there.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::record_source::Fetched;
use super::retained::Own;
use super::unpolled::Unpolled;
use super::{Phase, Publisher};
use crate::contract::topics::{DeviceTopic, Owner, StateTopic};
use crate::hub::Taken;
use crate::model::{DeviceId, Update};
use crate::records::change;

impl Publisher {
    /// Sorts out what earlier runs have published, and says what the bridge itself is.
    pub(super) fn begin(&mut self) {
        let mut stale = self.outbox.remembered();
        stale.retain(|topic| !self.retained.is_current(topic));
        self.outbox.clear(&stale);
        if !stale.is_empty() {
            tracing::info!(
                topics = stale.len(),
                "topics of earlier runs that this one does not publish are cleared at the broker"
            );
        }
        self.unpolled = Unpolled::new(self.mark_devices_stale());
        self.retained.is_online = self.unpolled.is_empty();
        // The next owner of a shard leaves `online` alone.
        if self.retained.is_online || !self.outbox.is_read_back(&self.online_topic()) {
            self.put(&StateTopic::OwnState);
        }
        match self.is_of_bridge() {
            true => self.begin_bridge(),
            false => self.put(&StateTopic::ShardTopics),
        }
    }

    fn begin_bridge(&mut self) {
        self.put(&StateTopic::BridgeInfo);
        if let Some(discovery) = &self.retained.discovery {
            self.outbox.set(discovery.of_bridge());
        }
        for own in self.retained.below(&Owner::Bridge) {
            self.outbox.clear_remembered(&own);
        }
    }

    /// In this run no device has answered yet: those that an earlier run has left as `online` are not, until the
    /// first poll has reported their state. Where that was read back it may well be so still: these devices are given, and
    /// the bridge is not `online` itself before it has polled them.
    fn mark_devices_stale(&mut self) -> BTreeSet<DeviceId> {
        let mut read_back = BTreeSet::new();
        for device in self.retained.devices() {
            let state = StateTopic::Device(device.clone(), DeviceTopic::State);
            let topic = self.retained.topics().state(&state);
            if self.outbox.is_read_back(&topic) {
                read_back.insert(device);
            } else if self.outbox.is_released(&topic) {
                self.put(&state);
            }
        }
        read_back
    }

    /// Publishes `online` once each device has been polled, and what is new of them does not wait for the list of topics.
    pub(super) fn become_online(&mut self) {
        let is_due = self.unpolled.is_empty() && self.outbox.is_recorded();
        if is_due && !self.retained.is_online && self.stop.phase == Phase::Running {
            self.retained.is_online = true;
            self.put(&StateTopic::OwnState);
        }
    }

    /// The devices that have not been polled in time are `offline` until they are.
    pub(super) fn give_unpolled_up(&mut self) {
        for device in self.unpolled.take() {
            self.put(&StateTopic::Device(device, DeviceTopic::State));
        }
    }

    pub(super) fn online_topic(&self) -> String {
        self.retained.topics().state(&StateTopic::OwnState)
    }

    /// Puts what there is of an object now; fields that it no longer has are cleared.
    pub(super) fn put(&mut self, object: &StateTopic) {
        let messages = self.retained.object(object);
        let topics = self.retained.topics();
        if self.retained.payloads.has_fields() {
            let is_obsolete = |topic: &str| {
                let is_field = topics
                    .parse(topic)
                    .is_some_and(|(of, field)| of == *object && field.is_some());
                is_field && !messages.iter().any(|message| message.topic == topic)
            };
            self.outbox.clear_below(&topics.state(object), is_obsolete);
        }
        self.outbox.set(messages);
    }

    pub(super) fn apply(&mut self, Taken { update, changed }: Taken) {
        self.retained.forget_made();
        match update {
            Update::Device {
                device,
                view,
                changes,
                transitions,
                recorded,
            } => {
                let discovered = self.retained.discovered(&changed).into_iter();
                let (added, removed): (Vec<_>, Vec<_>) =
                    discovered.partition(|message| message.payload.is_some());
                // What reads a topic goes before the topic does.
                self.outbox.set(removed);
                for topic in changes {
                    self.put(&StateTopic::Device(device.clone(), topic));
                }
                self.outbox.set(added);
                if self.unpolled.is_polled(&device, &view) {
                    // Without an answer it is not among what has changed.
                    self.put(&StateTopic::Device(device.clone(), DeviceTopic::State));
                }
                let now = Timestamp::now();
                let records = transitions.iter();
                let records = records.map(|transition| change::record(&device, transition, now));
                let records = records.collect();
                self.journal.append_changes(device, records, recorded);
            }
            Update::HttpStats { device, .. } => {
                self.put(&StateTopic::Device(device, DeviceTopic::HttpStats));
            }
            Update::HttpSessions { device, .. } => {
                self.put(&StateTopic::Device(device, DeviceTopic::HttpSessions));
            }
            Update::DeadLetter(dead_letter) => self.journal.append_dead_letter(&dead_letter),
            Update::Incident(report) => self.journal.report(*report),
            Update::Settled { device } => {
                for own in self.retained.below(&Owner::Device(device)) {
                    self.outbox.clear_remembered(&own);
                }
            }
            Update::Forgotten { device } => {
                self.close_incidents(&device, "the device's task has failed");
                self.outbox.clear_all(&self.retained.topics().of_device(&device));
                // It is the same device in a moment: what users have made of its entities must not go with them.
                self.unpolled.forget(&device);
                for own in self.retained.discovered_below(&Owner::Device(device)) {
                    self.outbox.mark_stale(&own);
                }
            }
            Update::Removed { device } => {
                self.close_incidents(&device, "the device was removed");
                self.journal.forget(device.clone());
                self.unpolled.forget(&device);
                for own in self.retained.below(&Owner::Device(device)) {
                    self.outbox.clear_all(&own);
                }
            }
            Update::Configured(devices) => match &mut self.retained.own {
                Own::Bridge(info) => {
                    info.devices = devices.len();
                    self.put(&StateTopic::BridgeInfo);
                }
                Own::Shard { .. } => self.put(&StateTopic::ShardTopics),
            },
        }
    }

    /// The incidents of that device are closed, for this reason. Those that still hold open again when they are seen.
    fn close_incidents(&mut self, device: &DeviceId, reason: &'static str) {
        self.refusals.incidents.forget(device);
        self.journal.close_incidents(device.clone(), reason);
    }

    pub(super) fn take_in(&mut self, fetched: Fetched) {
        match fetched {
            Fetched::Records(records) => self.records.take_in(records, self.retained.topics()),
            Fetched::NoneUpTo(number) => self.records.skip_to(number),
            Fetched::News => {}
        }
    }
}

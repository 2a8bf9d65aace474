//! The edge node: what was published of each device, and the messages that publish the rest, numbered by `seq`. Pure.
//!
//! It is the only one that makes messages, and they go out in the order in which it made them: so `seq` has no gap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::metrics::{Metric, Value, of_lantime, of_node, of_slot, of_state};
use super::topics::{OfDevice, OfNode, Place, Topics};
use super::wire::{BD_SEQ, encode};
use crate::hub::DeviceUpdate;
use crate::model::{Availability, DeviceId, DeviceView, SlotId};
use crate::mqtt::connection::packet_size;

/// A message to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
}

/// What hosts know of the devices of one LANTIME: of itself (`None`), and of its slots.
type Shown = BTreeMap<Option<SlotId>, Vec<Metric>>;

#[derive(Debug)]
pub(super) struct Node {
    topics: Topics,
    devices: BTreeMap<DeviceId, Arc<DeviceView>>,
    bd_seq: u8,
    /// The next one.
    seq: u8,
    /// What hosts know of the LANTIMEs by the edge node itself; `None` before its birth.
    born: Option<BTreeMap<DeviceId, [Metric; 2]>>,
    shown: BTreeMap<DeviceId, Shown>,
    /// LANTIMEs with something to publish: births, or what was missed.
    due: BTreeSet<DeviceId>,
    /// Bytes of a packet that the broker takes.
    limit: Option<u32>,
    /// Topics whose messages were too large, as far as that was logged.
    too_large: BTreeSet<String>,
}

impl Node {
    /// Of the configured devices, of which nothing is known yet.
    pub(super) fn new(topics: Topics, devices: impl IntoIterator<Item = DeviceId>) -> Node {
        let devices = devices.into_iter();
        Node {
            topics,
            devices: devices.map(|device| (device, Arc::default())).collect(),
            bd_seq: 0,
            seq: 0,
            born: None,
            shown: BTreeMap::new(),
            due: BTreeSet::new(),
            limit: None,
            too_large: BTreeSet::new(),
        }
    }

    /// A session begins or ends: nobody knows anything, and nothing is due until [`Node::rebirth`].
    pub(super) fn reset(&mut self, bd_seq: u8) {
        self.bd_seq = bd_seq;
        self.born = None;
        self.shown.clear();
        self.due.clear();
    }

    /// Packets above that are not taken by the broker of this session.
    pub(super) fn set_limit(&mut self, limit: Option<u32>) {
        self.limit = limit;
    }

    /// Whether the birth of the edge node was published in this session.
    pub(super) fn is_born(&self) -> bool {
        self.born.is_some()
    }

    /// The birth of the edge node; those of its devices are due then.
    pub(super) fn rebirth(&mut self, at: Timestamp) -> Vec<Message> {
        let devices = self.devices.iter();
        let states: BTreeMap<_, _> = devices
            .map(|(id, view)| (id.clone(), of_state(id, view)))
            .collect();
        let mut reported = vec![self.session()];
        reported.extend(of_node());
        reported.extend(states.values().flatten().cloned());
        self.seq = 0;
        self.shown.clear();
        self.due.clear();
        let topic = self.topics.of_node(OfNode::Birth);
        let birth = self.message(topic, &reported, at);
        if birth.is_some() {
            self.due.extend(self.devices.keys().cloned());
        }
        self.born = birth.is_some().then_some(states);
        birth.into_iter().collect()
    }

    /// The death of the edge node: the last will, and the last word of a clean stop.
    pub(super) fn death(&self, at: Timestamp) -> Message {
        Message {
            topic: self.topics.of_node(OfNode::Death),
            payload: encode(None, at, &[self.session()]),
        }
    }

    /// What has to be said of the next LANTIME that is due. `None`: there is none.
    pub(super) fn next_due(&mut self, at: Timestamp) -> Option<Vec<Message>> {
        let device = self.due.pop_first()?;
        Some(self.update(&device, at))
    }

    /// What has to be said of these changes. Devices that come or leave are one birth of the edge node.
    pub(super) fn take(&mut self, updates: impl IntoIterator<Item = DeviceUpdate>) -> Vec<Message> {
        let (mut messages, mut other_roster) = (Vec::new(), None);
        for DeviceUpdate { device, new, at, .. } in updates {
            let is_there = new.is_some();
            let before = match new {
                Some(view) => self.devices.insert(device.clone(), view),
                None => self.devices.remove(&device),
            };
            if !self.is_born() {
                continue;
            }
            if before.is_some() != is_there {
                other_roster = Some(at);
            }
            messages.extend(self.changed_state(&device, at));
            // The birth of the edge node names its devices; one that has come follows it.
            let is_named = self.born.as_ref().is_some_and(|born| born.contains_key(&device));
            if is_named && !self.due.contains(&device) {
                messages.extend(self.update(&device, at));
            }
        }
        messages.extend(other_roster.into_iter().flat_map(|at| self.rebirth(at)));
        messages
    }

    /// Some metrics again, as they are, of a device or of the edge node itself (`None`): what a host wrote has ended
    /// without changing anything.
    pub(super) fn echo(&mut self, place: Option<&Place>, names: &[String], at: Timestamp) -> Option<Message> {
        let (topic, mut metrics) = match place {
            Some(place) => {
                let shown = self.shown.get(&place.device)?.get(&place.slot)?;
                (self.topics.of_device(OfDevice::Data, place), shown.clone())
            }
            None => {
                let states = self.born.as_ref()?.values().flatten();
                let metrics = of_node().into_iter().chain(states.cloned());
                (self.topics.of_node(OfNode::Data), metrics.collect())
            }
        };
        metrics.retain(|metric| names.contains(&metric.name));
        (!metrics.is_empty()).then(|| self.message(topic, &metrics, at))?
    }

    /// Whether that LANTIME is one of this bridge, though it may be offline now.
    pub(super) fn has(&self, device: &DeviceId) -> bool {
        self.devices.contains_key(device)
    }

    /// What has changed of what the edge node itself publishes of that LANTIME.
    fn changed_state(&mut self, id: &DeviceId, at: Timestamp) -> Option<Message> {
        let before = self.born.as_mut()?.get_mut(id)?;
        let now = of_state(id, self.devices.get(id)?);
        let changed = difference(before, &now).unwrap_or_default();
        *before = now;
        if changed.is_empty() {
            return None;
        }
        let topic = self.topics.of_node(OfNode::Data);
        self.message(topic, &changed, at)
    }

    /// Births, data and deaths of one LANTIME and its slots: all that hosts do not know.
    fn update(&mut self, device: &DeviceId, at: Timestamp) -> Vec<Message> {
        let now = self
            .devices
            .get(device)
            .map(|view| alive(view))
            .unwrap_or_default();
        let mut before = self.shown.remove(device).unwrap_or_default();
        let mut messages = Vec::new();
        let place = |slot: &Option<SlotId>| Place {
            device: device.clone(),
            slot: slot.clone(),
        };
        for slot in before.keys().filter(|slot| !now.contains_key(*slot)) {
            let topic = self.topics.of_device(OfDevice::Death, &place(slot));
            messages.extend(self.message(topic, &[], at));
        }
        let mut shown = Shown::new();
        for (slot, metrics) in now {
            let old = before.remove(&slot);
            let message = match old.and_then(|old| difference(&old, &metrics)) {
                Some(changed) if changed.is_empty() => None,
                Some(changed) => {
                    let topic = self.topics.of_device(OfDevice::Data, &place(&slot));
                    self.message(topic, &changed, at)
                }
                None => {
                    let topic = self.topics.of_device(OfDevice::Birth, &place(&slot));
                    let birth = self.message(topic, &metrics, at);
                    if birth.is_none() {
                        continue;
                    }
                    birth
                }
            };
            messages.extend(message);
            shown.insert(slot, metrics);
        }
        if !shown.is_empty() {
            self.shown.insert(device.clone(), shown);
        }
        messages
    }

    fn session(&self) -> Metric {
        Metric {
            name: BD_SEQ.to_owned(),
            value: Value::Number(self.bd_seq.into()),
            quality: None,
        }
    }

    /// The next message. `None`, and no number is used up, where the broker would not take it.
    fn message(&mut self, topic: String, metrics: &[Metric], at: Timestamp) -> Option<Message> {
        let payload = encode(Some(self.seq), at, metrics);
        let bytes = packet_size(&topic, payload.len(), None);
        if self.limit.is_some_and(|limit| bytes > limit as usize) {
            if self.too_large.insert(topic.clone()) {
                tracing::error!(
                    topic,
                    bytes,
                    "Sparkplug message not sent: it is larger than the packets that the broker accepts; raise the broker's limit"
                );
            }
            return None;
        }
        self.seq = self.seq.wrapping_add(1);
        Some(Message { topic, payload })
    }
}

/// The devices of Sparkplug that a LANTIME is now: none while it is offline.
fn alive(device: &DeviceView) -> Shown {
    if device.availability != Some(Availability::Online) {
        return Shown::new();
    }
    let slots = device.slots.iter();
    let slots = slots.map(|(id, slot)| (Some(id.clone()), of_slot(device, slot)));
    std::iter::once((None, of_lantime(device))).chain(slots).collect()
}

/// The metrics that have changed; `None` where others are there now, which only a birth can publish.
fn difference(before: &[Metric], now: &[Metric]) -> Option<Vec<Metric>> {
    let is_same = |(before, now): (&Metric, &Metric)| before.name == now.name;
    if before.len() != now.len() || !before.iter().zip(now).all(is_same) {
        return None;
    }
    let changed = before.iter().zip(now).filter(|(before, now)| before != now);
    Some(changed.map(|(_, now)| now.clone()).collect())
}

#[cfg(test)]
mod tests;

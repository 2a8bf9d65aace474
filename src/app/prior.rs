//! What earlier runs have left at the broker and in the store, as devices begin with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::contract::topics::{DeviceTopic, SlotTopic, Topics};
use crate::lantime::device::Prior;
use crate::model::{DeviceId, Relay, Signal, SlotId, SlotView};
use crate::mqtt::publisher::remembered;
use crate::records::store::{IncidentChange, OpenIncidents};

/// The slots of each device, as far as the topics show that an earlier run published: which relays and
/// signals there were, but not how they stood.
pub(super) fn published_slots(topics: &Topics, published: &[String]) -> HashMap<DeviceId, Prior> {
    let now = Timestamp::now();
    let slots_of = |below: HashSet<DeviceTopic>| {
        let mut slots: BTreeMap<SlotId, (Vec<Relay>, Vec<Signal>)> = BTreeMap::new();
        for topic in below {
            match topic {
                DeviceTopic::Slot(slot, SlotTopic::Relay(relay)) => {
                    slots.entry(slot).or_default().0.push(relay)
                }
                DeviceTopic::Slot(slot, SlotTopic::Signal(signal)) => {
                    slots.entry(slot).or_default().1.push(signal)
                }
                _ => {}
            }
        }
        let unseen = |(relays, signals)| SlotView::unseen(None, relays, signals, now);
        let slots = slots.into_iter().map(|(slot, shape)| (slot, unseen(shape)));
        Prior {
            slots: slots.collect(),
            ..Prior::default()
        }
    };
    remembered(topics, published)
        .into_iter()
        .map(|(device, below)| (device, slots_of(below)))
        .collect()
}

/// The incidents of devices that an earlier run has left open go on: they are not reported as new ones, and their end is
/// reported. Gives those of devices that are not configured any more.
pub(super) fn resume(
    prior: &mut HashMap<DeviceId, Prior>,
    open: OpenIncidents,
    configured: &[DeviceId],
    repeat: Duration,
) -> Vec<IncidentChange> {
    let (at, now) = (Timestamp::now(), Instant::now());
    let mut closed = Vec::new();
    for (key, incident) in open {
        match key.device.as_ref().filter(|device| configured.contains(device)) {
            Some(device) => {
                let prior = prior.entry(device.clone()).or_default();
                let incidents = std::mem::take(&mut prior.incidents);
                prior.incidents = incidents.every(repeat);
                prior.incidents.resume(incident, at, now);
            }
            None => closed.push(IncidentChange::Closed(key)),
        }
    }
    closed
}

//! What earlier runs have left at the broker and in the store, as devices begin with it.

pub(super) mod cluster;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::common::Common;
use super::watched::not_observed_since;
use crate::config::{Broker, Device};
use crate::contract::read_back::{ReadBack, is_read};
use crate::contract::topics::{DeviceTopic, SlotTopic, StateTopic, Topics};
use crate::lantime::device::Prior;
use crate::model::{DeviceId, IncidentKind, Recorded, Relay, Signal, SlotId, SlotView};
use crate::mqtt::publisher::{Digest, remembered};
use crate::mqtt::read_back::read_back;
use crate::records::store::{Entries, IncidentChange, OpenIncidents};

/// What earlier runs, or another owner of a shard, have left.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// What they have published, as far as it was read back with what is there.
    pub(super) published: Vec<(String, Option<Digest>)>,
    /// The prior state of each device.
    pub(super) prior: HashMap<DeviceId, Prior>,
}

/// What earlier runs of a bridge have left that belongs to no cluster, and that was last watched by them then.
pub(super) async fn of_bridge(common: &Common, last_watched: Option<Timestamp>) -> Earlier {
    let remembered = published_topics(common).await;
    let (read, there) = retained(common, &remembered).await;
    let devices = &common.config.devices;
    let mut prior = published_slots(&common.topics, &remembered, &read, devices);
    let closed = resume(
        &mut prior,
        open_incidents(common),
        &common.ids(),
        common.config.dead_letter.repeat,
    );
    let recorded = recorded(common, &mut prior).await;
    let now = Timestamp::now();
    for device in devices {
        // One that was added meanwhile was not watched before.
        if let Some(prior) = prior.get_mut(&device.id) {
            prior.not_observed_since = not_observed_since(device, last_watched, now);
        }
    }
    let entries = Entries {
        incidents: closed,
        recorded,
        ..Entries::default()
    };
    common.store.append_all(entries).await;
    let with_digest = |topic: String| {
        let there = there.get(&topic).copied();
        (topic, there)
    };
    Earlier {
        published: remembered.into_iter().map(with_digest).collect(),
        prior,
    }
}

/// The topics of earlier runs.
async fn published_topics(common: &Common) -> Vec<String> {
    common.store.published_topics().await.unwrap_or_else(|error| {
        tracing::error!(
            "cannot read the list of topics of earlier runs, so none of them is cleared: {error}"
        );
        Vec::new()
    })
}

/// The incidents of earlier runs that are open still, but for those that the trap receiver goes on with.
fn open_incidents(common: &Common) -> OpenIncidents {
    let mut open = common.store.incidents().borrow().clone();
    let has_traps = common.config.snmp.traps.is_some();
    open.retain(|key, _| !(has_traps && key.kind == IncidentKind::Trap));
    open
}

/// What is retained of the state of devices: how relays and signals stood since when, and by which payloads. An
/// embedded broker has nothing of it.
async fn retained(common: &Common, remembered: &[String]) -> (ReadBack, HashMap<String, Digest>) {
    let (mut read, mut there) = (ReadBack::default(), HashMap::new());
    if matches!(common.config.mqtt.broker, Broker::Embedded { .. }) {
        return (read, there);
    }
    let wanted = to_read_back(&common.topics, remembered, &common.ids());
    let take = |topic: &str, payload: &[u8]| {
        read.take(&common.topics, topic, payload);
        there.insert(topic.to_owned(), Digest::of(payload));
    };
    if let Err(reason) = read_back(&common.mqtt, &wanted, take).await {
        // Nobody knows whether the rest of it is there, nor whether what was read still is.
        there.clear();
        tracing::warn!(
            reason,
            "what is retained at the broker could not be read back: all of it is published, and `since` of what was not read begins \
             with this start; let the bridge read what it publishes, and let the broker keep it"
        );
    }
    (read, there)
}

/// Gives each device what an earlier run has recorded of it; gives what is to be forgotten.
async fn recorded(
    common: &Common,
    prior: &mut HashMap<DeviceId, Prior>,
) -> BTreeMap<DeviceId, Option<Recorded>> {
    let recorded = common.store.recorded().await.unwrap_or_else(|error| {
        tracing::error!(
            "cannot read what earlier runs have recorded of devices, so changes since then get no records: {error}"
        );
        BTreeMap::new()
    });
    let configured: HashSet<_> = common.config.devices.iter().map(|device| &device.id).collect();
    let recorded = recorded.into_iter();
    let (known, removed): (Vec<_>, Vec<_>) = recorded.partition(|(id, _)| configured.contains(id));
    for (device, recorded) in known {
        *prior.entry(device).or_default().recorded = recorded;
    }
    removed.into_iter().map(|(device, _)| (device, None)).collect()
}

/// The topics of these devices that are to be read back, of those that an earlier run has published: first those by
/// which devices begin, then those that need not be published again if they are as they were.
fn to_read_back(topics: &Topics, published: &[String], devices: &[DeviceId]) -> Vec<String> {
    let devices: HashSet<_> = devices.iter().collect();
    let (mut first, mut then) = (Vec::new(), Vec::new());
    for topic in published {
        match topics.parse(topic) {
            Some((object, _)) if !object.device().is_some_and(|device| devices.contains(device)) => {}
            Some((object, _)) if is_read(&object) => first.push(topic.clone()),
            Some((StateTopic::Device(_, DeviceTopic::HttpStats | DeviceTopic::HttpSessions), _)) | None => {}
            Some(_) => then.push(topic.clone()),
        }
    }
    first.append(&mut then);
    first
}

/// The slots of each device, as far as the topics show that an earlier run published: which relays and
/// signals there were, and how they stood since when, where that was read back and the device is still at its address.
fn published_slots(
    topics: &Topics,
    published: &[String],
    read: &ReadBack,
    devices: &[Arc<Device>],
) -> HashMap<DeviceId, Prior> {
    let now = Timestamp::now();
    let urls: HashMap<_, _> = devices
        .iter()
        .map(|device| (&device.id, device.url.as_str()))
        .collect();
    let nothing = ReadBack::default();
    let slots_of = |device: &DeviceId, below: HashSet<DeviceTopic>| {
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
        let is_there = read.web_interface(device).as_deref() == urls.get(device).copied();
        let read = if is_there { read } else { &nothing };
        let known = |(slot, (relays, signals))| {
            let mut view = SlotView::unseen(None, relays, signals, now);
            for (relay, state) in view.relays.iter_mut() {
                if let Some(known) = read.relay(device, &slot, *relay, now) {
                    *state = known;
                }
            }
            for (signal, state) in view.signals.iter_mut() {
                if let Some(known) = read.signal(device, &slot, *signal, now) {
                    *state = known;
                }
            }
            let relays = view.relays.keys();
            let events =
                relays.filter_map(|relay| Some((*relay, read.relay_events(device, &slot, *relay, now)?)));
            view.relay_events = events.collect();
            (slot, view)
        };
        Prior {
            slots: slots.into_iter().map(known).collect(),
            ..Prior::default()
        }
    };
    remembered(topics, published)
        .into_iter()
        .map(|(device, below)| {
            let prior = slots_of(&device, below);
            (device, prior)
        })
        .collect()
}

/// The incidents of devices that an earlier run has left open go on: they are not reported as new ones, and their end is
/// reported. Gives those that nobody goes on with. The store's own are of this run, and stay.
fn resume(
    prior: &mut HashMap<DeviceId, Prior>,
    open: OpenIncidents,
    configured: &[DeviceId],
    repeat: Duration,
) -> Vec<IncidentChange> {
    let (at, now) = (Timestamp::now(), Instant::now());
    let mut closed = Vec::new();
    for (key, incident) in open.into_iter().filter(|(key, _)| key.kind.is_kept()) {
        match &key.device {
            Some(device) if configured.contains(device) => {
                let prior = prior.entry(device.clone()).or_default();
                let incidents = std::mem::take(&mut prior.incidents);
                prior.incidents = incidents.every(repeat);
                prior.incidents.resume(incident, at, now);
            }
            Some(device) => {
                closed.push(IncidentChange::AllClosed(
                    device.clone(),
                    "the device is not configured any more",
                ));
            }
            None => closed.push(IncidentChange::Closed(key)),
        }
    }
    closed
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{ErrorKind, ErrorReport, Incident, IncidentKey, Operation};

    #[test]
    fn what_nobody_goes_on_with_is_closed_but_what_the_store_has_opened() {
        let (here, removed) = (DeviceId::new("here").unwrap(), DeviceId::new("removed").unwrap());
        let keys = [
            IncidentKey::of_device(IncidentKind::Poll, &here),
            IncidentKey::of_device(IncidentKind::Poll, &removed),
            IncidentKey::about(IncidentKind::Trap, "community"),
            IncidentKey::new(IncidentKind::Store),
            IncidentKey::new(IncidentKind::Outbox),
        ];
        let incident = |key: &IncidentKey| Incident {
            key: key.clone(),
            id: Uuid::nil(),
            operation: Operation::Poll,
            error: ErrorReport::new(ErrorKind::Timeout, "late", "wait"),
            first_at: Timestamp::UNIX_EPOCH,
            reported_at: Timestamp::UNIX_EPOCH,
            count: 1,
        };
        let open = keys.iter().map(|key| (key.clone(), incident(key))).collect();
        let mut prior = HashMap::new();
        let closed = resume(&mut prior, open, std::slice::from_ref(&here), Duration::ZERO);
        assert_eq!(
            closed,
            [
                IncidentChange::AllClosed(removed, "the device is not configured any more"),
                IncidentChange::Closed(keys[2].clone()),
            ]
        );
        assert!(prior[&here].incidents.keys().eq([&keys[0]]));
    }
}

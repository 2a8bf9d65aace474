//! The same in a cluster: what there is of the bridge itself, and of a shard whose last owner was perhaps another bridge.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::app::common::Common;
use crate::app::prior::{Earlier, open_incidents, published_slots, published_topics, recorded};
use crate::config::Device;
use crate::contract::read_back::{ReadBack, listed_devices};
use crate::contract::topics::{DiscoveryTopics, Owner, StateTopic, Topics};
use crate::lantime::device::Prior;
use crate::model::{DeviceId, IncidentKey, Recorded, RecordedEvents, RecordedSlots};
use crate::mqtt::payload::Payloads;
use crate::mqtt::publisher::Digest;
use crate::mqtt::read_back::{read_below, take_over};
use crate::records::store::{Entries, IncidentChange};

/// Why incidents of devices are closed with a start.
const RESTARTED: &str = "the bridge has started again, and the device may be another bridge's now";

/// What earlier runs of this bridge have left of the bridge itself. Topics of devices are for the owners of their shards, and are
/// forgotten.
pub(in crate::app) async fn of_bridge(common: &Common) -> Earlier {
    let discovery = discovery_topics(common, &common.topics);
    let is_of_device = |topic: &String| match common.topics.parse(topic) {
        Some((object, _)) => object.device().is_some(),
        None => {
            let owner = discovery.as_ref().and_then(|discovery| discovery.owner(topic));
            matches!(owner, Some(Owner::Device(_)))
        }
    };
    let (of_devices, own): (Vec<_>, Vec<_>) =
        published_topics(common).await.into_iter().partition(is_of_device);
    let of_devices = of_devices.into_iter().map(Arc::from).collect();
    if let Err(error) = common.store.update_published_topics(Vec::new(), of_devices).await {
        tracing::error!("the list of topics of earlier runs cannot be changed: {error}");
    }
    let closed = |(key, _): (_, _)| match &key {
        IncidentKey {
            device: Some(device), ..
        } => IncidentChange::AllClosed(device.clone(), RESTARTED),
        _ => IncidentChange::Closed(key),
    };
    let open = open_incidents(common).into_iter();
    let entries = Entries {
        incidents: open.filter(|(key, _)| key.kind.is_kept()).map(closed).collect(),
        recorded: recorded(common, &mut HashMap::new()).await,
        ..Entries::default()
    };
    common.store.append_all(entries).await;
    Earlier {
        published: own.into_iter().map(|topic| (topic, None)).collect(),
        prior: HashMap::new(),
    }
}

/// A shard that this bridge has just come to own.
#[derive(Debug)]
pub(in crate::app) struct Taken<'t> {
    /// Its client at the broker.
    pub(in crate::app) mqtt: &'t crate::config::Mqtt,
    pub(in crate::app) topics: &'t Topics,
    /// The devices that it has now.
    pub(in crate::app) devices: &'t [Device],
    /// Whether topics of other devices are to be cleared.
    pub(in crate::app) clears: bool,
}

/// What is retained of a shard.
#[derive(Debug, Default)]
struct Found {
    read: ReadBack,
    there: BTreeMap<String, Digest>,
    /// The devices of which something is there.
    listed: Vec<DeviceId>,
}

/// What the last owner of the shard has left, and the devices of earlier configurations whose topics stay.
pub(in crate::app) async fn of_shard(common: &Common, taken: Taken<'_>) -> (Earlier, Vec<DeviceId>) {
    let (found, end) = read(common, &taken).await;
    let is_all = end.is_ok();
    if let Err(reason) = end {
        tracing::warn!(
            reason,
            "what the last owner of the shard has published could not be read back: all of it is published, and `since` of what \
             was not read begins now; let the bridge read what it publishes, and let the broker keep it"
        );
    }
    let Found { read, there, listed } = found;
    let configured: HashSet<_> = taken.devices.iter().map(|device| &device.id).collect();
    let left: Vec<_> = listed.into_iter().filter(|id| !configured.contains(id)).collect();
    let topics: Vec<_> = there.keys().cloned().collect();
    let mut prior = published_slots(taken.topics, &topics, &read, taken.devices);
    recorded_before(common, &read, &configured, &mut prior).await;
    // If it is not all, nobody knows whether what was read still is there.
    let published = there
        .into_iter()
        .map(|(topic, digest)| (topic, is_all.then_some(digest)));
    let earlier = Earlier {
        published: published.collect(),
        prior,
    };
    (earlier, if taken.clears { Vec::new() } else { left })
}

/// From then on no other bridge publishes for the shard.
async fn read(common: &Common, taken: &Taken<'_>) -> (Found, Result<(), String>) {
    let Taken { mqtt, topics, .. } = *taken;
    let mut found = Found {
        read: ReadBack::with_events(),
        ..Found::default()
    };
    let will = Payloads::new(topics.clone(), mqtt.layout).own_state(false);
    if let Err(reason) = take_over(mqtt, will).await {
        return (found, Err(reason));
    }
    let discovery = discovery_topics(common, topics);
    let below = |device: &DeviceId| {
        let owner = Owner::Device(device.clone());
        let discovered = discovery
            .iter()
            .flat_map(move |discovery| discovery.of_owner(&owner));
        std::iter::once(topics.of_device(device))
            .chain(discovered)
            .map(|below| format!("{below}#"))
            .collect::<Vec<_>>()
    };
    let list = topics.state(&StateTopic::ShardTopics);
    let ids: Vec<_> = taken.devices.iter().map(|device| device.id.clone()).collect();
    let own = format!("{}#", topics.of_bridge());
    let filters: Vec<_> = std::iter::once(own).chain(ids.iter().flat_map(&below)).collect();
    let mut take = |topic: &str, payload: &[u8]| {
        if topic == list {
            found.listed = listed_devices(payload);
        }
        let is_discovery = || {
            discovery
                .as_ref()
                .is_some_and(|discovery| discovery.owner(topic).is_some())
        };
        if topics.parse(topic).is_some() || is_discovery() {
            found.read.take(topics, topic, payload);
            found.there.insert(topic.to_owned(), Digest::of(payload));
        }
    };
    let mut end = read_below(mqtt, &filters, &mut take).await;
    let others = |found: &Found| -> Vec<String> {
        let known: HashSet<_> = ids.iter().collect();
        let others = found.listed.iter().filter(|id| !known.contains(id));
        others.flat_map(&below).collect()
    };
    let others = others(&found);
    if end.is_ok() && taken.clears && !others.is_empty() {
        let take = |topic: &str, payload: &[u8]| {
            found.there.insert(topic.to_owned(), Digest::of(payload));
        };
        end = read_below(mqtt, &others, take).await;
    }
    (found, end)
}

/// What was recorded of devices: by this bridge, or by another one that has polled them since, whose topics show it.
async fn recorded_before(
    common: &Common,
    read: &ReadBack,
    configured: &HashSet<&DeviceId>,
    prior: &mut HashMap<DeviceId, Prior>,
) {
    let recorded = common.store.recorded().await.unwrap_or_else(|error| {
        tracing::error!(
            "cannot read what was recorded of devices, so changes since then get no records: {error}"
        );
        BTreeMap::new()
    });
    let is_own = |device: &DeviceId| {
        let last = read.owner(device);
        configured.contains(device) && last.is_none_or(|last| last == common.config.bridge.id)
    };
    for (device, recorded) in recorded.into_iter().filter(|(device, _)| is_own(device)) {
        *prior.entry(device).or_default().recorded = recorded;
    }
    let mut events = read.events();
    for (device, prior) in prior.iter_mut().filter(|(device, _)| !is_own(device)) {
        let events = events.remove(device).unwrap_or_default();
        *prior.recorded = Recorded {
            slots: Some(RecordedSlots::by_another(prior.slots.iter())),
            events: Some(RecordedEvents::of(events.iter().map(|event| (event, false)))),
        };
    }
}

fn discovery_topics(common: &Common, topics: &Topics) -> Option<DiscoveryTopics> {
    let settings = common.config.homeassistant.as_ref()?;
    let prefix = settings.discovery_prefix.clone();
    Some(DiscoveryTopics::new(prefix, topics.clone()))
}

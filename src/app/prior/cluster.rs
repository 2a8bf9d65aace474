//! The same in a cluster: what there is of the bridge itself, and of a shard whose last owner was perhaps another bridge.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::app::common::Common;
use crate::app::prior::{Earlier, open_incidents, published_slots, published_topics, recorded};
use crate::app::watched::not_observed_since;
use crate::cluster::fence::Fence;
use crate::config::Device;
use crate::contract::read_back::{ReadBack, listed_devices};
use crate::contract::topics::{DeviceTopic, DiscoveryTopics, Owner, StateTopic, Topics};
use crate::history::Value;
use crate::lantime::device::Prior;
use crate::model::{Availability, DeviceId, IncidentKey, Recorded, RecordedEvents, RecordedSlots, SlotId};
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
    pub(in crate::app) devices: &'t [Arc<Device>],
    /// All that are configured: with another number of shards they belong to others, which have their topics now.
    pub(in crate::app) all: &'t HashSet<DeviceId>,
    pub(in crate::app) fence: &'t Fence,
    /// Whether topics of other devices are to be cleared.
    pub(in crate::app) clears: bool,
}

/// What is retained of a shard.
#[derive(Debug, Default)]
struct Found {
    read: ReadBack,
    there: BTreeMap<String, Digest>,
    /// The devices of which something is there, once that is known.
    listed: Option<Vec<DeviceId>>,
    /// Those whose state has come.
    has_state: HashSet<DeviceId>,
    /// Those whose state is there, and has not come.
    missing: HashSet<DeviceId>,
}

impl Found {
    /// Takes in what is at that topic of the shard, or of an entity of its devices. Other clients may have topics there, too.
    fn take(&mut self, topics: &Topics, discovery: Option<&DiscoveryTopics>, topic: &str, payload: &[u8]) {
        match topics.parse(topic) {
            Some((StateTopic::ShardTopics, _)) => {
                let listed = listed_devices(payload);
                let missing = listed.iter().filter(|id| !self.has_state.contains(*id));
                self.missing = missing.cloned().collect();
                self.listed = Some(listed);
            }
            Some((StateTopic::Device(device, DeviceTopic::State), _)) => {
                self.missing.remove(&device);
                self.has_state.insert(device);
            }
            Some(_) => {}
            None if discovery.is_some_and(|discovery| discovery.owner(topic).is_some()) => {}
            None => return,
        }
        self.read.take(topics, topic, payload);
        self.there.insert(topic.to_owned(), Digest::of(payload));
    }
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
    let Found {
        read, there, listed, ..
    } = found;
    let configured: HashSet<_> = taken.devices.iter().map(|device| &device.id).collect();
    let left = listed.unwrap_or_default().into_iter();
    let left: Vec<_> = left.filter(|id| !taken.all.contains(id)).collect();
    let topics: Vec<_> = there.keys().cloned().collect();
    let mut prior = published_slots(taken.topics, &topics, &read, taken.devices);
    recorded_before(common, (&read, is_all), &configured, &mut prior).await;
    let now = Timestamp::now();
    for device in taken.devices {
        // Of one that was offline it is not known when somebody last tried.
        let is_online = read.availability(&device.id) == Some(Availability::Online);
        let last = read.last_success(&device.id).filter(|_| is_online);
        if let Some(prior) = prior.get_mut(&device.id) {
            prior.not_observed_since = not_observed_since(device, last, now);
        }
    }
    // If it is not all, nobody knows whether what was read still is there.
    let published = there
        .into_iter()
        .map(|(topic, digest)| (topic, is_all.then_some(digest)));
    let earlier = Earlier {
        published: published.collect(),
        prior,
    };
    // What is not cleared now stays in the list.
    let is_cleared = taken.clears && is_all;
    (earlier, if is_cleared { Vec::new() } else { left })
}

/// From then on no other bridge publishes for the shard.
async fn read(common: &Common, taken: &Taken<'_>) -> (Found, Result<(), String>) {
    let Taken { mqtt, topics, .. } = *taken;
    let mut found = Found {
        read: ReadBack::of_another(),
        ..Found::default()
    };
    let will = Payloads::new(topics.clone(), mqtt.layout).own_state(false);
    let attempt = match take_over(mqtt, will, taken.fence).await {
        Ok(attempt) => attempt,
        Err(reason) => return (found, Err(reason)),
    };
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
    let ids: HashSet<_> = taken.devices.iter().map(|device| &device.id).collect();
    let own = format!("{}#", topics.of_bridge());
    let filters = ids.iter().flat_map(|id| below(id));
    let filters: Vec<_> = std::iter::once(own).chain(filters).collect();
    let end = read_below(mqtt, attempt, &filters, |topic, payload| {
        found.take(topics, discovery.as_ref(), topic, payload);
        found.listed.is_some() && found.missing.iter().all(|id| !ids.contains(id))
    });
    let end = end
        .await
        .and_then(|()| match found.missing.iter().any(|id| ids.contains(id)) {
            true => Err("the broker has not sent the state of all devices that are listed".to_owned()),
            false => Ok(()),
        });
    if let Err(reason) = end {
        return (found, Err(reason));
    }
    let others = found
        .listed
        .iter()
        .flatten()
        .filter(|id| !taken.all.contains(*id));
    let others: Vec<_> = others.flat_map(&below).collect();
    if !taken.clears || others.is_empty() {
        return (found, Ok(()));
    }
    let end = read_below(mqtt, attempt, &others, |topic, payload| {
        found.take(topics, discovery.as_ref(), topic, payload);
        found.missing.iter().all(|id| taken.all.contains(id))
    });
    let end = end.await;
    (found, end)
}

/// What was recorded of devices: by this bridge, or by another one that has polled them since, whose topics show it. Where that
/// is not known, nothing counts as recorded.
async fn recorded_before(
    common: &Common,
    (read, is_all): (&ReadBack, bool),
    configured: &HashSet<&DeviceId>,
    prior: &mut HashMap<DeviceId, Prior>,
) {
    let recorded = common.store.recorded().await.unwrap_or_else(|error| {
        tracing::error!(
            "cannot read what was recorded of devices, so changes since then get no records: {error}"
        );
        BTreeMap::new()
    });
    let is_own = |device: &DeviceId| match read.owner(device) {
        Some(last) => last == common.config.bridge.id,
        None => is_all,
    };
    let own = recorded.into_iter();
    let own = own.filter(|(device, _)| configured.contains(device) && is_own(device));
    for (device, recorded) in own {
        *prior.entry(device).or_default().recorded = recorded;
    }
    let unread = configured.iter().copied();
    let unread = unread.filter(|device| !is_all && !is_own(device) && read.availability(device).is_none());
    let mut known = last_states(common, unread).await;
    let mut events = read.events();
    for (device, prior) in prior.iter_mut().filter(|(device, _)| !is_own(device)) {
        let events = events.remove(device).unwrap_or_default();
        let state = |slot: &str| read.slot_state(device, &SlotId::new(slot)?);
        let slots = RecordedSlots::by_another(read.serial_number(device), prior.slots.iter())
            .with_states(read.availability(device).or_else(|| known.remove(device)), state);
        *prior.recorded = Recorded {
            slots: Some(slots),
            events: Some(RecordedEvents::of(events.iter().map(|event| (event, false)))),
        };
    }
    for (device, state) in known {
        let slots = RecordedSlots::by_another(None, []).with_states(Some(state), |_| None);
        prior.entry(device).or_default().recorded.slots = Some(slots);
    }
}

/// The last states of these devices by the history: one that has a state there is not seen for the first time.
async fn last_states(
    common: &Common,
    devices: impl Iterator<Item = &DeviceId>,
) -> BTreeMap<DeviceId, Availability> {
    let mut states = BTreeMap::new();
    for device in devices {
        let history = common
            .store
            .device_history(device.clone(), Timestamp::now())
            .await;
        // A store that fails reports that by itself.
        let subjects = history.map(|history| history.subjects).unwrap_or_default();
        let of_device = subjects.iter().find(|(subject, _)| subject.part.is_none());
        let last = of_device.and_then(|(_, entries)| entries.last());
        let state = match last.map(|entry| entry.new) {
            Some(Value::Online) => Availability::Online,
            Some(Value::Offline) => Availability::Offline,
            _ => continue,
        };
        states.insert(device.clone(), state);
    }
    states
}

fn discovery_topics(common: &Common, topics: &Topics) -> Option<DiscoveryTopics> {
    let settings = common.config.homeassistant.as_ref()?;
    let prefix = settings.discovery_prefix.clone();
    Some(DiscoveryTopics::new(prefix, topics.clone()))
}

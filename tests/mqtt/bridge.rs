//! A publisher that runs, and what a device may tell it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use lantime2mqtt::config::{self, Layout, Mqtt};
use lantime2mqtt::contract::state::BridgeInfo;
use lantime2mqtt::contract::topics::Topics;
use lantime2mqtt::homeassistant::HomeAssistant;
use lantime2mqtt::hub::Hub;
use lantime2mqtt::model::{
    Availability, Change, DeviceView, Identity, Position, Provenance, Relay, RelayState, Signal, SlotId,
    SlotState, SlotView, Update, Via,
};
use lantime2mqtt::mqtt::discovery::Discovery;
use lantime2mqtt::mqtt::publisher::{BrokerStatus, Publisher, Setup};
use lantime2mqtt::records::store::Store;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::common::PATIENCE;
use crate::device;

/// A publisher that runs.
pub(super) struct Bridge {
    pub(super) updates: mpsc::Sender<Update>,
    pub(super) status: watch::Receiver<BrokerStatus>,
    pub(super) task: JoinHandle<()>,
    /// What its devices have published.
    views: Mutex<BTreeMap<String, DeviceView>>,
}

impl Bridge {
    pub(super) async fn start(mqtt: Mqtt, id: &str, configured: &[&str], store: &Store) -> Bridge {
        Bridge::start_with(mqtt, id, configured, store, |setup| setup).await
    }

    /// With discovery by Home Assistant.
    pub(super) async fn start_discovered(mqtt: Mqtt, id: &str, configured: &[&str], store: &Store) -> Bridge {
        let settings = config::HomeAssistant {
            discovery_prefix: "homeassistant".to_owned(),
            status_topic: "homeassistant/status".to_owned(),
        };
        let topics = Topics::new(mqtt.prefix.clone(), device(id));
        let discovery = HomeAssistant::new(settings, topics, mqtt.layout, device(id));
        let discovery = Some(Box::new(discovery) as Box<dyn Discovery>);
        Bridge::start_with(mqtt, id, configured, store, |setup| Setup { discovery, ..setup }).await
    }

    pub(super) async fn start_with(
        mqtt: Mqtt,
        id: &str,
        configured: &[&str],
        store: &Store,
        change: impl FnOnce(Setup) -> Setup,
    ) -> Bridge {
        let info = BridgeInfo {
            started_at: Timestamp::UNIX_EPOCH,
            devices: configured.len(),
            version: env!("CARGO_PKG_VERSION"),
            mqtt_version: mqtt.version.as_str(),
            capabilities: vec!["rest".to_owned()],
        };
        let setup = Setup {
            mqtt,
            bridge: device(id),
            info,
            remembered: store.published_topics().await.unwrap(),
            store: store.clone(),
            discovery: None,
            stop_within: Duration::from_secs(3),
        };
        let (updates, receiver) = mpsc::channel(64);
        let hub = Hub::new(configured.iter().map(|id| device(id)), receiver);
        let (publisher, status) = Publisher::new(change(setup), hub);
        let task = tokio::spawn(publisher.run());
        Bridge {
            updates,
            status,
            task,
            views: Mutex::default(),
        }
    }

    pub(super) async fn send(&self, device: &str, changes: Vec<Change>) {
        let view = {
            let mut views = self.views.lock().unwrap();
            let view = views.entry(device.to_owned()).or_default();
            changes.iter().for_each(|change| apply(view, change));
            Arc::new(view.clone())
        };
        self.tell(Update::Device {
            device: crate::device(device),
            view,
            changes,
        })
        .await;
    }

    pub(super) async fn tell(&self, update: Update) {
        if let Update::Forgotten { device } | Update::Removed { device } = &update {
            self.views.lock().unwrap().remove(device.as_str());
        }
        timeout(PATIENCE, self.updates.send(update))
            .await
            .unwrap()
            .unwrap();
    }

    pub(super) async fn until(
        &mut self,
        what: &str,
        condition: impl FnMut(&BrokerStatus) -> bool,
    ) -> BrokerStatus {
        if let Ok(status) = timeout(PATIENCE, self.status.wait_for(condition)).await {
            return status.unwrap().clone();
        }
        panic!("{what}: never seen; {:?}", self.status.borrow());
    }

    /// Waits for something that nobody is woken for.
    pub(super) async fn eventually(&self, what: &str, condition: impl Fn(&BrokerStatus) -> bool) {
        let holds = async {
            while !condition(&self.status.borrow()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(PATIENCE, holds).await.is_err() {
            panic!("{what}: never seen; {:?}", self.status.borrow());
        }
    }

    /// Ends it as the program does.
    pub(super) async fn stop(self) {
        drop(self.updates);
        timeout(PATIENCE, self.task).await.expect("it ends").unwrap();
    }

    /// Ends it as a crash does.
    pub(super) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Makes that change in a device.
fn apply(view: &mut DeviceView, change: &Change) {
    match change.clone() {
        Change::Availability(availability) => view.availability = Some(availability),
        Change::Identity(identity) => view.identity = Some(*identity),
        Change::Problem(problem) => view.problem = problem.map(|problem| *problem),
        Change::Event { name, new, .. } => {
            let others = view.events.iter().filter(|event| event.name != name).cloned();
            view.events = others.chain(new.map(|event| *event)).collect();
        }
        Change::SlotState(id, Some(state)) => slot_of(view, &id).state = state,
        Change::SlotState(id, None) => drop(view.slots.remove(&id)),
        Change::SlotInfo(id, info) => {
            let info = info.map(|info| *info);
            slot_of(view, &id).wiring = info.as_ref().and_then(|info| info.wiring);
            slot_of(view, &id).module = info.and_then(|info| info.module);
        }
        Change::Relay {
            slot: id, relay, new, ..
        } => put(&mut slot_of(view, &id).relays, relay, new),
        Change::RelayEvents { slot: id, relay, new } => put(&mut slot_of(view, &id).relay_events, relay, new),
        Change::Signal {
            slot: id,
            signal,
            new,
            ..
        } => put(&mut slot_of(view, &id).signals, signal, new),
    }
}

fn slot_of<'v>(view: &'v mut DeviceView, id: &SlotId) -> &'v mut SlotView {
    let unseen = || SlotView::unseen(None, [], [], Timestamp::UNIX_EPOCH);
    view.slots.entry(id.clone()).or_insert_with(unseen)
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<Box<V>>) {
    match value {
        Some(value) => drop(map.insert(key, *value)),
        None => drop(map.remove(&key)),
    }
}

pub(super) fn slot() -> SlotId {
    SlotId::new("io3").unwrap()
}

fn relay_state(position: Position) -> Box<RelayState> {
    Box::new(RelayState {
        position,
        driven_by: Some(Signal::Clk1),
        cause: (position == Position::Nc).then(|| "clock-not-sync".to_owned()),
        provenance: Provenance::Derived,
        causes: Vec::new(),
        unknown_reason: None,
        stale: false,
        via: Via::Rest,
        since: Timestamp::UNIX_EPOCH,
        last: None,
    })
}

/// Relay A of the slot is seen for the first time.
pub(super) fn relay(position: Position) -> Change {
    Change::Relay {
        slot: slot(),
        relay: Relay::A,
        old: None,
        new: Some(relay_state(position)),
    }
}

/// Relay A of the slot switches.
pub(super) fn relay_switches(from: Position, to: Position) -> Change {
    Change::Relay {
        slot: slot(),
        relay: Relay::A,
        old: Some(relay_state(from)),
        new: Some(relay_state(to)),
    }
}

pub(super) fn named(hostname: &str) -> Change {
    Change::Identity(Box::new(Identity {
        hostname: Some(hostname.into()),
        profile: "v10".into(),
        web_interface: "https://m".into(),
        ..Identity::default()
    }))
}

pub(super) fn named_json(hostname: &str) -> String {
    format!(r#"{{"hostname":"{hostname}","profile":"v10","web_interface":"https://m"}}"#)
}

/// What a device with one relay has at the broker, in that layout.
pub(super) fn expected(layout: Layout) -> BTreeMap<String, String> {
    let mut topics = vec![
        ("bridge/b1/state", "online"),
        ("m1/state", "online"),
        ("m1/io3/state", "online"),
    ];
    if layout != Layout::Scalar {
        topics.push((
            "m1/io3/relay/a",
            r#"{"position":"NO","fault":false,"driven_by":"clk1","provenance":"derived","since":"1970-01-01T00:00:00.000Z"}"#,
        ));
    }
    if layout != Layout::Json {
        topics.extend([
            ("m1/io3/relay/a/position", "NO"),
            ("m1/io3/relay/a/fault", "false"),
            ("m1/io3/relay/a/driven_by", "clk1"),
            ("m1/io3/relay/a/provenance", "derived"),
            ("m1/io3/relay/a/since", "1970-01-01T00:00:00.000Z"),
        ]);
    }
    let topics = topics.into_iter();
    topics
        .map(|(topic, payload)| (format!("lantime/{topic}"), payload.to_owned()))
        .collect()
}

/// Without the bridge's info, whose version changes.
pub(super) fn without_info(topics: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut topics = topics.clone();
    topics.retain(|topic, _| !topic.contains("/bridge/b1/info"));
    topics
}

pub(super) fn first_changes() -> Vec<Change> {
    vec![
        Change::Availability(Availability::Online),
        Change::SlotState(slot(), Some(SlotState::Online)),
        relay(Position::No),
    ]
}

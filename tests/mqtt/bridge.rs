//! A publisher that runs, and what a device may send it.

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
    Availability, DeviceTopic, DeviceView, Identity, Position, Provenance, Relay, RelayState, Signal, SlotId,
    SlotState, SlotTopic, SlotView, Transition, Update, Via,
};
use lantime2mqtt::mqtt::discovery::Discovery;
use lantime2mqtt::mqtt::publisher::{BrokerStatus, Publisher, Role, Setup};
use lantime2mqtt::records::store::Store;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::device;
use crate::support::{PATIENCE, wait};

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
            role: Role::Bridge(info),
            remembered: {
                let topics = store.published_topics().await.unwrap();
                topics.into_iter().map(|topic| (topic, None)).collect()
            },
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

    pub(super) async fn send(&self, device: &str, edits: Vec<Edit>) {
        let view = {
            let mut views = self.views.lock().unwrap();
            let view = views.entry(device.to_owned()).or_default();
            edits.iter().for_each(|edit| (edit.make)(view));
            Arc::new(view.clone())
        };
        self.update(Update::Device {
            device: crate::device(device),
            view,
            transitions: edits.iter().filter_map(|edit| edit.transition.clone()).collect(),
            recorded: None,
            changes: edits.into_iter().map(|edit| edit.topic).collect(),
        })
        .await;
    }

    pub(super) async fn update(&self, update: Update) {
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
        let status = async || {
            let status = self.status.borrow().clone();
            condition(&status).then_some(()).ok_or(format!("{status:?}"))
        };
        wait::for_value(what, status).await;
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

/// What becomes new in a device.
#[derive(Clone)]
pub(super) struct Edit {
    topic: DeviceTopic,
    transition: Option<Transition>,
    make: Arc<dyn Fn(&mut DeviceView) + Send + Sync>,
}

impl Edit {
    /// At that topic, and so.
    pub(super) fn new(topic: DeviceTopic, make: impl Fn(&mut DeviceView) + Send + Sync + 'static) -> Edit {
        Edit {
            topic,
            transition: None,
            make: Arc::new(make),
        }
    }

    /// In the slot.
    pub(super) fn in_slot(below: SlotTopic, make: impl Fn(&mut SlotView) + Send + Sync + 'static) -> Edit {
        Edit::new(DeviceTopic::Slot(slot(), below), move |view| make(slot_of(view)))
    }

    /// A record says so.
    pub(super) fn recorded(self, transition: Transition) -> Edit {
        Edit {
            transition: Some(transition),
            ..self
        }
    }
}

fn slot_of(view: &mut DeviceView) -> &mut SlotView {
    let unseen = || SlotView::unseen(None, [], [], Timestamp::UNIX_EPOCH);
    view.slots.entry(slot()).or_insert_with(unseen)
}

pub(super) fn available(availability: Availability) -> Edit {
    Edit::new(DeviceTopic::State, move |view| {
        view.availability = Some(availability)
    })
}

pub(super) fn slot() -> SlotId {
    SlotId::new("io3").unwrap()
}

fn relay_state(position: Position) -> RelayState {
    RelayState {
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
        last_fault: None,
    }
}

/// Relay A of the slot is seen for the first time.
pub(super) fn relay(position: Position) -> Edit {
    Edit::in_slot(SlotTopic::Relay(Relay::A), move |slot| {
        slot.relays.insert(Relay::A, relay_state(position));
    })
}

/// Relay A of the slot switches.
pub(super) fn relay_switches(from: Position, to: Position) -> Edit {
    relay(to).recorded(Transition::Relay {
        slot: slot(),
        relay: Relay::A,
        old: from,
        new: relay_state(to),
        taken_over: false,
    })
}

pub(super) fn named(hostname: &str) -> Edit {
    let identity = Identity {
        hostname: Some(hostname.into()),
        profile: "v10".into(),
        web_interface: "https://m".into(),
        ..Identity::default()
    };
    Edit::new(DeviceTopic::Info, move |view| {
        view.identity = Some(identity.clone().into())
    })
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

pub(super) fn first_changes() -> Vec<Edit> {
    vec![
        available(Availability::Online),
        Edit::in_slot(SlotTopic::State, |slot| slot.state = SlotState::Online),
        relay(Position::No),
    ]
}

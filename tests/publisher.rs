//! The publisher's promises, kept towards a real broker.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::mosquitto::{Mosquitto, Options};
use common::proxy::Proxy;
use common::{PATIENCE, Watcher};
use jiff::Timestamp;
use lantime2mqtt::config::{Broker, Credentials, Layout, Mqtt, MqttVersion, Secret, Transport};
use lantime2mqtt::model::Update;
use lantime2mqtt::model::{
    Availability, Change, DeviceId, Identity, Position, Provenance, Relay, RelayState, Signal, SlotId,
    SlotState,
};
use lantime2mqtt::mqtt::embedded::EmbeddedBroker;
use lantime2mqtt::mqtt::payload::BridgeInfo;
use lantime2mqtt::mqtt::publisher::{BrokerStatus, Publisher, Setup, remembered};
use lantime2mqtt::mqtt::topics::{DeviceTopic, SlotTopic, Topics};
use lantime2mqtt::records::store::{self, Store};
use lantime2mqtt::tls::{ClientTls, Fingerprint, Trust};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

fn remote(transport: Transport, address: SocketAddr, path: &str) -> Broker {
    let (host, port, path) = (address.ip().to_string(), address.port(), path.to_owned());
    Broker::Remote {
        transport,
        host,
        port,
        path,
    }
}

fn settings(address: SocketAddr) -> Mqtt {
    Mqtt {
        broker: remote(Transport::Tcp, address, ""),
        version: MqttVersion::V5,
        prefix: "lantime".to_owned(),
        layout: Layout::Json,
        client_id: "bridge".to_owned(),
        credentials: None,
        tls: ClientTls::default(),
        keep_alive: Duration::from_secs(5),
        session_expiry: Duration::from_secs(3600),
    }
}

fn store_options() -> store::Options {
    store::Options::new(device("b1"))
}

fn memory_store() -> Store {
    Store::in_memory(store_options())
}

fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

/// A publisher that runs.
struct Bridge {
    updates: mpsc::Sender<Update>,
    status: watch::Receiver<BrokerStatus>,
    task: JoinHandle<()>,
}

impl Bridge {
    async fn start(mqtt: Mqtt, id: &str, configured: &[&str], store: &Store) -> Bridge {
        Bridge::start_observed(mqtt, id, configured, store, None).await
    }

    async fn start_observed(
        mqtt: Mqtt,
        id: &str,
        configured: &[&str],
        store: &Store,
        observer: Option<mpsc::Sender<Update>>,
    ) -> Bridge {
        let info = BridgeInfo {
            started_at: Timestamp::UNIX_EPOCH,
            devices: configured.len(),
            mqtt_version: mqtt.version,
            capabilities: vec!["rest".to_owned()],
        };
        let setup = Setup {
            mqtt,
            bridge: device(id),
            info,
            configured: configured.iter().map(|id| device(id)).collect(),
            remembered: store.published_topics().await.unwrap(),
            store: store.clone(),
            observer,
            stop_within: Duration::from_secs(3),
        };
        let (updates, receiver) = mpsc::channel(64);
        let (publisher, status) = Publisher::new(setup, receiver);
        let task = tokio::spawn(publisher.run());
        Bridge {
            updates,
            status,
            task,
        }
    }

    async fn send(&self, device: &str, changes: Vec<Change>) {
        let device = DeviceId::new(device).unwrap();
        self.tell(Update::Device { device, changes }).await;
    }

    async fn tell(&self, update: Update) {
        timeout(PATIENCE, self.updates.send(update))
            .await
            .unwrap()
            .unwrap();
    }

    async fn until(&mut self, what: &str, condition: impl FnMut(&BrokerStatus) -> bool) -> BrokerStatus {
        if let Ok(status) = timeout(PATIENCE, self.status.wait_for(condition)).await {
            return status.unwrap().clone();
        }
        panic!("{what}: never seen; {:?}", self.status.borrow());
    }

    /// Ends it as the program does.
    async fn stop(self) {
        drop(self.updates);
        timeout(PATIENCE, self.task).await.expect("it ends").unwrap();
    }

    /// Ends it as a crash does.
    async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

fn slot() -> SlotId {
    SlotId::new("io3").unwrap()
}

fn relay(position: Position) -> Change {
    let new = RelayState {
        position,
        driven_by: Some(Signal::Clk1),
        cause: (position == Position::Nc).then(|| "clock-not-sync".to_owned()),
        provenance: Provenance::Derived,
        since: Timestamp::UNIX_EPOCH,
        last: None,
    };
    Change::Relay {
        slot: slot(),
        relay: Relay::A,
        old: None,
        new: Some(Box::new(new)),
    }
}

fn named(hostname: &str) -> Change {
    Change::Identity(Box::new(Identity {
        hostname: Some(hostname.into()),
        profile: "v10".into(),
        web_interface: "https://m".into(),
        ..Identity::default()
    }))
}

fn named_json(hostname: &str) -> String {
    format!(r#"{{"hostname":"{hostname}","profile":"v10","web_interface":"https://m"}}"#)
}

/// What a device with one relay has at the broker, in that layout.
fn expected(layout: Layout) -> BTreeMap<String, String> {
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
fn without_info(topics: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut topics = topics.clone();
    topics.retain(|topic, _| !topic.contains("/bridge/b1/info"));
    topics
}

fn first_changes() -> Vec<Change> {
    vec![
        Change::Availability(Availability::Online),
        Change::SlotState(slot(), Some(SlotState::Online)),
        relay(Position::No),
    ]
}

#[tokio::test]
async fn all_state_is_retained_in_every_version_and_layout() {
    let broker = Mosquitto::start();
    for version in [MqttVersion::V5, MqttVersion::V311] {
        for layout in [Layout::Json, Layout::Scalar, Layout::Both] {
            let store = memory_store();
            let mqtt = Mqtt {
                version,
                layout,
                ..settings(broker.address())
            };
            let mut bridge = Bridge::start(mqtt, "b1", &["m1"], &store).await;
            // In a fault first: what no longer applies afterwards must be gone, in the scalar layout too.
            bridge.send("m1", vec![relay(Position::Nc)]).await;
            bridge
                .until("the fault", |status| {
                    status.connections == 1 && status.pending == 0
                })
                .await;
            bridge.send("m1", first_changes()).await;
            let mut late = Watcher::connect(broker.address()).await;
            let expected = expected(layout);
            let what = format!("{version:?} {layout:?}");
            let seen = late
                .until(&what, |seen| without_info(&seen.topics) == expected)
                .await;
            let has_info = |field| {
                seen.topics
                    .get(&format!("lantime/bridge/b1/info{field}"))
                    .cloned()
            };
            match layout {
                Layout::Scalar => assert_eq!(has_info("/mqtt_version").as_deref(), Some(version.as_str())),
                _ => assert!(has_info("").unwrap().contains(r#""capabilities":["rest"]"#)),
            }
            bridge.tell(Update::Removed { device: device("m1") }).await;
            late.until("the device's topics are cleared", |seen| {
                !seen.topics.keys().any(|topic| topic.contains("/m1/"))
            })
            .await;
            bridge.stop().await;
            late.until("offline", |seen| seen.is("lantime/bridge/b1/state", "offline"))
                .await;
            drop(late);
            clear_all(&broker, &store).await;
        }
    }
}

/// Clears what the bridge itself has left, so that the broker can be used again.
async fn clear_all(broker: &Mosquitto, store: &Store) {
    let mut watcher = Watcher::connect(broker.address()).await;
    let other = Mqtt {
        prefix: "other".to_owned(),
        ..settings(broker.address())
    };
    let bridge = Bridge::start(other, "b2", &[], store).await;
    watcher
        .until("all is cleared", |seen| {
            !seen.topics.keys().any(|topic| topic.starts_with("lantime/"))
        })
        .await;
    bridge.stop().await;
}

#[tokio::test]
async fn only_changes_are_sent() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &memory_store()).await;
    bridge.send("m1", first_changes()).await;
    bridge.send("m1", first_changes()).await;
    bridge.tell(Update::DeviceCount(1)).await;
    bridge.send("m1", vec![named("end")]).await;
    let seen = watcher
        .until("the end", |seen| seen.topics.contains_key("lantime/m1/info"))
        .await;
    // Bridge state and info, the three changes, and the end.
    assert_eq!(seen.log.len(), 6, "{:#?}", seen.log);
    assert_eq!(seen.log[0].1, "online", "the bridge's state comes first");
    assert!(seen.log[1].0.ends_with("bridge/b1/info"), "then its info");
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_lost_everything_has_it_back_within_five_seconds() {
    let mut broker = Mosquitto::start();
    let store = memory_store();
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &store).await;
    bridge.send("m1", first_changes()).await;
    bridge
        .until("all is there", |status| {
            status.connected && status.pending == 0 && status.topics == 5
        })
        .await;
    broker.kill9();
    bridge
        .until("the loss is noticed", |status| !status.connected)
        .await;
    // Taken during the outage.
    bridge
        .send("m1", vec![relay(Position::Nc), relay(Position::No)])
        .await;
    let failed = bridge.until("it tries", |status| {
        status
            .last_error
            .as_ref()
            .is_some_and(|error| error.contains("refused"))
    });
    let error = failed.await.last_error.unwrap();
    assert!(
        error.contains(&broker.address().to_string()) && error.contains("mqtt.url"),
        "{error}"
    );
    broker.restart();
    let back = Instant::now();
    let mut watcher = Watcher::connect(broker.address()).await;
    let expected = expected(Layout::Json);
    watcher
        .until("all is back", |seen| without_info(&seen.topics) == expected)
        .await;
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_is_given_up_and_found_again() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let broker = Mosquitto::start();
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let mut bridge = Bridge::start(mqtt, "b1", &["m1"], &memory_store()).await;
        bridge.send("m1", first_changes()).await;
        bridge
            .until("all is there", |status| status.pending == 0 && status.topics == 5)
            .await;
        broker.freeze();
        bridge.send("m1", vec![named("during")]).await;
        let status = bridge
            .until("the silence is noticed", |status| !status.connected)
            .await;
        let error = status.last_error.unwrap();
        assert!(error.contains("silent") || error.contains("ping"), "{error}");
        broker.thaw();
        let thawed = Instant::now();
        bridge
            .until("it is back", |status| {
                status.connections == 2 && status.pending == 0
            })
            .await;
        assert!(
            thawed.elapsed() < Duration::from_secs(8),
            "{:?}",
            thawed.elapsed()
        );
        let mut watcher = Watcher::connect(broker.address()).await;
        let during = named_json("during");
        watcher
            .until("the change", |seen| seen.is("lantime/m1/info", &during))
            .await;
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_network_that_swallows_everything_is_given_up() {
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.address()).await;
    let mut bridge = Bridge::start(settings(proxy.address()), "b1", &["m1"], &memory_store()).await;
    bridge.send("m1", first_changes()).await;
    bridge
        .until("all is there", |status| status.pending == 0 && status.topics == 5)
        .await;
    proxy.hold(true);
    bridge.until("given up", |status| !status.connected).await;
    bridge.send("m1", vec![relay(Position::Nc)]).await;
    proxy.hold(false);
    bridge
        .until("back", |status| status.connections == 2 && status.pending == 0)
        .await;
    let mut watcher = Watcher::connect(broker.address()).await;
    watcher
        .until("the change", |seen| {
            seen.topics
                .get("lantime/m1/io3/relay/a")
                .is_some_and(|relay| relay.contains("NC"))
        })
        .await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_crash_says_offline_and_a_clean_stop_too() {
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.address()).await;
    let mut watcher = Watcher::connect(broker.address()).await;
    let state = "lantime/bridge/b1/state";
    let store = memory_store();

    let bridge = Bridge::start(settings(broker.address()), "b1", &[], &store).await;
    watcher.until("online", |seen| seen.is(state, "online")).await;
    bridge.crash().await;
    watcher
        .until("offline by the will of a crashed one", |seen| {
            seen.is(state, "offline")
        })
        .await;

    let mut bridge = Bridge::start(settings(proxy.address()), "b1", &[], &store).await;
    watcher
        .until("online again", |seen| seen.is(state, "online"))
        .await;
    bridge.until("all is there", |status| status.pending == 0).await;
    let before = watcher.now().log.len();
    proxy.cut();
    watcher.until("offline, then online", |seen| {
        let words: Vec<_> = seen.log[before..].iter().filter(|(topic, _)| topic == state).collect();
        matches!(&words[..], [(_, offline), .., (_, online)] if offline == "offline" && online == "online")
    })
    .await;

    bridge
        .send("m9", vec![Change::Availability(Availability::Online)])
        .await;
    bridge.stop().await;
    let seen = watcher
        .until("offline by a clean stop", |seen| seen.is(state, "offline"))
        .await;
    assert!(
        seen.is("lantime/m9/state", "online"),
        "what was to be sent was sent before"
    );
}

#[tokio::test]
async fn a_stop_without_a_broker_takes_no_time() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut bridge = Bridge::start(settings(nobody), "b1", &["m1"], &memory_store()).await;
    bridge.send("m1", first_changes()).await;
    bridge
        .until("it tries", |status| status.last_error.is_some())
        .await;
    let begun = Instant::now();
    bridge.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_stop_with_a_silent_broker_ends_in_time() {
    let broker = Mosquitto::start();
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &memory_store()).await;
    bridge
        .until("online", |status| status.connected && status.pending == 0)
        .await;
    broker.freeze();
    bridge.send("m1", first_changes()).await;
    let begun = Instant::now();
    bridge.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    broker.thaw();
    // The socket was closed without a goodbye.
    let mut watcher = Watcher::connect(broker.address()).await;
    watcher
        .until("offline by the will", |seen| {
            seen.is("lantime/bridge/b1/state", "offline")
        })
        .await;
}

#[tokio::test]
async fn an_observer_that_sleeps_holds_nothing_up() {
    let broker = Mosquitto::start();
    let (observer, mut observed) = mpsc::channel(1);
    let mut watcher = Watcher::connect(broker.address()).await;
    let bridge = Bridge::start_observed(
        settings(broker.address()),
        "b1",
        &["m1"],
        &memory_store(),
        Some(observer),
    )
    .await;
    bridge.send("m1", vec![named("first")]).await;
    bridge.send("m1", first_changes()).await;
    watcher
        .until("all of it", |seen| {
            seen.topics.contains_key("lantime/m1/io3/relay/a")
        })
        .await;
    let first = Update::Device {
        device: device("m1"),
        changes: vec![named("first")],
    };
    assert_eq!(observed.recv().await, Some(first));
    bridge.stop().await;
    assert_eq!(observed.recv().await, None, "the second one was missed");
}

#[tokio::test]
async fn what_was_published_can_be_asked_for_by_device() {
    let broker = Mosquitto::start();
    let store = memory_store();
    let mqtt = Mqtt {
        layout: Layout::Both,
        ..settings(broker.address())
    };
    let mut bridge = Bridge::start(mqtt, "b1", &["m1"], &store).await;
    bridge.send("m1", first_changes()).await;
    bridge
        .until("all is there", |status| {
            status.connected && status.pending == 0 && status.topics > 10
        })
        .await;
    bridge.stop().await;
    let topics = Topics::new("lantime", device("b1"));
    let devices = remembered(&topics, &store.published_topics().await.unwrap());
    let expected = [
        DeviceTopic::State,
        DeviceTopic::Slot(slot(), SlotTopic::State),
        DeviceTopic::Slot(slot(), SlotTopic::Relay(Relay::A)),
    ];
    assert_eq!(devices, BTreeMap::from([(device("m1"), HashSet::from(expected))]));
}

#[tokio::test]
async fn what_an_earlier_configuration_published_is_cleared() {
    let broker = Mosquitto::start();
    let directory = tempfile::tempdir().unwrap();
    let mut watcher = Watcher::connect(broker.address()).await;
    let other = Bridge::start(
        Mqtt {
            client_id: "other".to_owned(),
            ..settings(broker.address())
        },
        "b2",
        &["n1"],
        &memory_store(),
    )
    .await;
    other.send("n1", first_changes()).await;
    {
        let store = Store::open(directory.path(), store_options()).unwrap();
        let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1", "m2"], &store).await;
        bridge.send("m1", first_changes()).await;
        bridge.send("m2", first_changes()).await;
        bridge
            .until("all is there", |status| status.pending == 0 && status.topics == 8)
            .await;
        bridge.crash().await;
    }
    watcher
        .until("all is there", |seen| seen.is("lantime/m2/state", "online"))
        .await;
    {
        // m2 has left, m1 has lost its slot.
        let store = Store::open(directory.path(), store_options()).unwrap();
        let bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &store).await;
        watcher
            .until("m2 is gone", |seen| !seen.topics.contains_key("lantime/m2/state"))
            .await;
        bridge
            .send("m1", vec![Change::Availability(Availability::Offline)])
            .await;
        watcher
            .until("m1 is offline", |seen| seen.is("lantime/m1/state", "offline"))
            .await;
        assert!(
            watcher.now().is("lantime/m1/io3/state", "online"),
            "not settled yet: kept"
        );
        bridge.tell(Update::Settled { device: device("m1") }).await;
        watcher
            .until("the slot is gone", |seen| {
                !seen.topics.contains_key("lantime/m1/io3/relay/a")
            })
            .await;
        bridge.stop().await;
        let left = store.published_topics().await.unwrap();
        let own = [
            "lantime/bridge/b1/info",
            "lantime/bridge/b1/state",
            "lantime/m1/state",
        ];
        assert_eq!(left, own, "what was cleared is forgotten");
    }
    {
        // Another prefix, bridge id and layout.
        let store = Store::open(directory.path(), store_options()).unwrap();
        let mqtt = Mqtt {
            prefix: "time".to_owned(),
            layout: Layout::Scalar,
            ..settings(broker.address())
        };
        let bridge = Bridge::start(mqtt, "b9", &["m1"], &store).await;
        bridge.send("m1", first_changes()).await;
        watcher
            .until("only the new ones and the other bridge's", |seen| {
                let old = ["lantime/bridge/b1/", "lantime/m"];
                seen.is("time/m1/io3/relay/a/position", "NO")
                    && !seen
                        .topics
                        .keys()
                        .any(|topic| old.iter().any(|old| topic.starts_with(old)))
            })
            .await;
        bridge.stop().await;
    }
    let seen = watcher.now();
    let others = seen
        .log
        .iter()
        .filter(|(topic, _)| topic.contains("n1") || topic.contains("b2"));
    assert!(others.clone().count() >= 5 && others.clone().all(|(_, payload)| !payload.is_empty()));
    other.stop().await;
}

#[tokio::test]
async fn a_layout_that_changes_takes_its_topics_along() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let store = memory_store();
    for layout in [Layout::Both, Layout::Scalar, Layout::Json, Layout::Scalar] {
        let mqtt = Mqtt {
            layout,
            ..settings(broker.address())
        };
        let bridge = Bridge::start(mqtt, "b1", &["m1"], &store).await;
        bridge.send("m1", first_changes()).await;
        let expected = expected(layout);
        watcher
            .until("this layout only", |seen| without_info(&seen.topics) == expected)
            .await;
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_clearing_that_was_not_acknowledged_is_done_again() {
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.address()).await;
    let store = memory_store();
    let mut bridge = Bridge::start(settings(proxy.address()), "b1", &["m1"], &store).await;
    bridge.send("m1", first_changes()).await;
    bridge
        .until("all is there", |status| status.pending == 0 && status.topics == 5)
        .await;
    proxy.refuse(true);
    bridge.until("cut", |status| !status.connected).await;
    bridge.tell(Update::Removed { device: device("m1") }).await;
    // It ends without having reached the broker: the next run has to do it.
    bridge.stop().await;
    assert_eq!(store.published_topics().await.unwrap().len(), 5);
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &[], &store).await;
    bridge
        .until("done", |status| status.pending == 0 && status.topics == 2)
        .await;
    bridge.stop().await;
    assert_eq!(store.published_topics().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_wrong_password_is_said_and_tried_again() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let options = Options {
            login: Some(("bridge", "right")),
            ..Options::default()
        };
        let broker = Mosquitto::start_with(options);
        let login = |password: &str| {
            let password = Some(Secret::new(password));
            Some(Credentials {
                username: "bridge".to_owned(),
                password,
            })
        };
        let mqtt = Mqtt {
            version,
            credentials: login("wrong-sentinel"),
            ..settings(broker.address())
        };
        let mut bridge = Bridge::start(mqtt, "b1", &[], &memory_store()).await;
        let status = bridge
            .until("refused", |status| status.last_error.is_some())
            .await;
        let error = status.last_error.unwrap();
        let address = broker.address().to_string();
        assert!(
            error.contains("mqtt.password") && error.contains(&address),
            "{error}"
        );
        assert!(!error.contains("wrong-sentinel"), "{error}");
        assert!(!status.connected);
        bridge.crash().await;

        let mqtt = Mqtt {
            version,
            credentials: login("right"),
            ..settings(broker.address())
        };
        let mut bridge = Bridge::start(mqtt, "b1", &[], &memory_store()).await;
        bridge
            .until("let in", |status| status.connected && status.pending == 0)
            .await;
        bridge.stop().await;
    }
}

#[tokio::test]
async fn tls_trusts_a_ca_or_a_fingerprint_and_nothing_else() {
    let broker = Mosquitto::start_with(Options {
        tls: true,
        ..Options::default()
    });
    let with = |trust| Mqtt {
        broker: remote(Transport::Tls, broker.address(), ""),
        tls: ClientTls {
            trust,
            identity: None,
        },
        ..settings(broker.address())
    };
    for version in [MqttVersion::V5, MqttVersion::V311] {
        for trust in [Trust::Ca(broker.ca()), Trust::Fingerprint(broker.fingerprint())] {
            let mqtt = Mqtt {
                version,
                ..with(trust)
            };
            let mut bridge = Bridge::start(mqtt, "b1", &[], &memory_store()).await;
            bridge
                .until("trusted", |status| status.connected && status.pending == 0)
                .await;
            bridge.stop().await;
        }
        let other = Fingerprint::parse(&"ab".repeat(32)).unwrap();
        for (trust, word) in [
            (Trust::Fingerprint(other), "fingerprint"),
            (Trust::System, "mqtt.ca"),
        ] {
            let mqtt = Mqtt {
                version,
                ..with(trust)
            };
            let mut bridge = Bridge::start(mqtt, "b1", &[], &memory_store()).await;
            let status = bridge
                .until("refused", |status| status.last_error.is_some())
                .await;
            let error = status.last_error.unwrap();
            assert!(error.contains(word) && !status.connected, "{error}");
            bridge.crash().await;
        }
    }
}

#[tokio::test]
async fn a_missing_ca_file_is_an_ordinary_failure() {
    let broker = Mosquitto::start_with(Options {
        tls: true,
        ..Options::default()
    });
    let mqtt = Mqtt {
        broker: remote(Transport::Tls, broker.address(), ""),
        tls: ClientTls {
            trust: Trust::Ca("/nowhere/ca.pem".into()),
            identity: None,
        },
        ..settings(broker.address())
    };
    let mut bridge = Bridge::start(mqtt, "b1", &[], &memory_store()).await;
    let status = bridge
        .until("it fails", |status| status.last_error.is_some())
        .await;
    assert!(status.last_error.unwrap().contains("/nowhere/ca.pem"));
    bridge.crash().await;
}

#[tokio::test]
async fn the_wrong_scheme_has_its_own_message() {
    let broker = Mosquitto::start_with(Options {
        tls: true,
        ..Options::default()
    });
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &[], &memory_store()).await;
    let status = bridge
        .until("it fails", |status| status.last_error.is_some())
        .await;
    let error = status.last_error.unwrap();
    assert!(error.contains("scheme"), "{error}");
    bridge.crash().await;
}

/// Debian's mosquitto is built without websockets.
#[tokio::test]
async fn websockets_carry_it_too() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let broker = EmbeddedBroker::bind(any, Some(any)).await.unwrap();
    let (address, websocket) = (broker.address(), broker.websocket_address().unwrap());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(broker.run(stop.clone()));
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let mqtt = Mqtt {
            version,
            broker: remote(Transport::WebSocket, websocket, "/mqtt"),
            ..settings(address)
        };
        let bridge = Bridge::start(mqtt, "b1", &["m1"], &memory_store()).await;
        bridge.send("m1", first_changes()).await;
        let mut watcher = Watcher::connect(address).await;
        let expected = expected(Layout::Json);
        watcher
            .until("all is there", |seen| without_info(&seen.topics) == expected)
            .await;
        bridge.stop().await;
    }
    stop.cancel();
    timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_payload_that_the_broker_would_not_take_harms_no_other() {
    // A broker of MQTT 5 tells its limit; one of 3.1.1 ends the connection, again and again.
    for (version, connections) in [(MqttVersion::V5, 1), (MqttVersion::V311, 5)] {
        let lines = vec!["max_packet_size 2000".to_owned()];
        let broker = Mosquitto::start_with(Options {
            lines,
            ..Options::default()
        });
        let mut watcher = Watcher::connect(broker.address()).await;
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let mut bridge = Bridge::start(mqtt, "b1", &["m1"], &memory_store()).await;
        let available = Change::Availability(Availability::Online);
        bridge.send("m1", vec![named(&"x".repeat(3000)), available]).await;
        watcher
            .until("the other one", |seen| seen.is("lantime/m1/state", "online"))
            .await;
        bridge
            .until("it is given up", |status| {
                status.connected && status.connections == connections && status.pending == 0
            })
            .await;
        bridge.send("m1", vec![named("short")]).await;
        let short = named_json("short");
        watcher
            .until("a shorter one", |seen| seen.is("lantime/m1/info", &short))
            .await;
        assert_eq!(bridge.status.borrow().connections, connections);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_refused_message_harms_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let acl = directory.path().join("acl");
    std::fs::write(&acl, "topic readwrite #\ntopic deny lantime/m1/info\n").unwrap();
    let options = Options {
        lines: vec![format!("acl_file {}", acl.display())],
        ..Options::default()
    };
    let broker = Mosquitto::start_with(options);
    let mut watcher = Watcher::connect(broker.address()).await;
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &memory_store()).await;
    bridge
        .send(
            "m1",
            vec![named("refused"), Change::Availability(Availability::Online)],
        )
        .await;
    watcher
        .until("the other one", |seen| seen.is("lantime/m1/state", "online"))
        .await;
    bridge
        .until("nothing is tried for ever", |status| status.pending == 0)
        .await;
    assert!(!watcher.now().topics.contains_key("lantime/m1/info"));
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_number_of_crashes_the_broker_has_what_the_bridge_has() {
    const DEVICES: usize = 5_000;
    let mut broker = Mosquitto::start();
    let names: Vec<_> = (0..DEVICES).map(|n| format!("d{n}")).collect();
    let ids: Vec<_> = names.iter().map(String::as_str).collect();
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &ids, &memory_store()).await;
    for round in 0..4 {
        bridge
            .until("connected", |status| {
                status.connected && status.connections >= round.max(1)
            })
            .await;
        for (n, id) in ids.iter().enumerate() {
            // In the middle of it, with a full window.
            if round > 0 && n == DEVICES / 2 {
                broker.restart();
            }
            bridge.send(id, vec![named(&format!("r{round}"))]).await;
        }
    }
    bridge
        .until("all is sent", |status| {
            status.connections == 4 && status.pending == 0
        })
        .await;
    let mut watcher = Watcher::connect(broker.address()).await;
    let last = named_json("r3");
    watcher
        .until("all of the last round", |seen| {
            seen.topics.len() == DEVICES + 2
                && ids.iter().all(|id| seen.is(&format!("lantime/{id}/info"), &last))
        })
        .await;
    bridge.stop().await;
}

/// A disk that can be full.
#[derive(Debug, Clone)]
struct Disk {
    contents: Arc<InMemoryBackend>,
    is_full: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> Result<(), std::io::Error> {
        match self.is_full.load(Ordering::SeqCst) {
            true => Err(std::io::Error::from(std::io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.contents.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.contents.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.check()?;
        self.contents.set_len(len)
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.check()?;
        self.contents.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.check()?;
        self.contents.write(offset, data)
    }
}

#[tokio::test]
async fn a_full_disk_does_not_hold_up_what_is_published() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let is_full = Arc::new(AtomicBool::new(false));
    let disk = Disk {
        contents: Arc::default(),
        is_full: is_full.clone(),
    };
    let store = Store::with_backend(move || disk.clone(), store_options()).unwrap();
    let bridge = Bridge::start(settings(broker.address()), "b1", &["m1", "m2"], &store).await;
    bridge.send("m1", vec![named("before")]).await;
    watcher
        .until("before", |seen| seen.topics.contains_key("lantime/m1/info"))
        .await;
    is_full.store(true, Ordering::SeqCst);
    for n in 0..3 {
        let state = Change::Availability(Availability::Online);
        bridge
            .send(&format!("m{n}"), vec![state, named(&format!("during {n}"))])
            .await;
        let (topic, during) = (format!("lantime/m{n}/info"), named_json(&format!("during {n}")));
        watcher.until("during", |seen| seen.is(&topic, &during)).await;
    }
    bridge.stop().await;
    assert!(watcher.now().is("lantime/bridge/b1/state", "offline"));
}

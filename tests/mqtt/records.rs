//! Records: none is lost, whatever becomes of the broker; they come in order, and a duplicate has the same id.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use lantime2mqtt::config::{Mqtt, MqttVersion};
use lantime2mqtt::contract::topics::Destination;
use lantime2mqtt::model::{Availability, DeadLetter, ErrorKind, ErrorReport, Operation, Position, Update};
use lantime2mqtt::mqtt::embedded::EmbeddedBroker;
use lantime2mqtt::records::Record;
use lantime2mqtt::records::store::Store;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bridge::{Bridge, available, named, relay, relay_switches};
use crate::fake_broker::FakeBroker;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::support::proxy::Proxy;
use crate::support::{PATIENCE, Watcher};
use crate::taker::VERSIONS;
use crate::{device, memory_store, settings, store_options};

/// Where the records of these tests go.
pub(super) const TOPIC: &str = "lantime/m1/events";

/// Records with numbers, which are in their payloads beside the id.
pub(super) fn numbered(numbers: std::ops::Range<usize>) -> Vec<Record> {
    let record = |n| {
        let id = Uuid::now_v7();
        Record {
            id,
            destination: Destination::Events(device("m1")),
            payload: Bytes::from(format!("{n} {id}")),
            correlation: None,
        }
    };
    numbers.map(record).collect()
}

pub(super) fn reply(topic: &str, payload: impl Into<Bytes>) -> Record {
    Record {
        id: Uuid::now_v7(),
        destination: Destination::Reply(topic.to_owned()),
        payload: payload.into(),
        correlation: None,
    }
}

/// Whatever came of the numbered records, over the lives of several watchers.
#[derive(Default)]
pub(super) struct Collected {
    payloads: BTreeSet<String>,
    /// Numbers as they first came.
    order: Vec<usize>,
    duplicates: usize,
}

impl Collected {
    pub(super) fn add(&mut self, watcher: &Watcher) {
        for (topic, payload) in watcher.now().log {
            if topic == TOPIC {
                let number = payload.split_once(' ').unwrap().0.parse().unwrap();
                if self.payloads.insert(payload) {
                    self.order.push(number);
                } else {
                    self.duplicates += 1;
                }
            }
        }
    }

    /// All have come, in order, and no number with two ids.
    pub(super) fn is_complete(&self, count: usize) {
        let missing: Vec<_> = (0..count).filter(|n| !self.order.contains(n)).take(9).collect();
        assert!(
            missing.is_empty(),
            "of {count}, {missing:?} and perhaps more are missing"
        );
        assert!(
            self.order.iter().copied().eq(0..count),
            "out of order, or twice with other ids"
        );
    }
}

/// How many numbered records this watcher has got.
pub(super) async fn until_count(watcher: &mut Watcher, count: usize) {
    watcher
        .until(&format!("{count} records"), |seen| {
            seen.log.iter().filter(|(topic, _)| topic == TOPIC).count() >= count
        })
        .await;
}

pub(super) async fn until_sent(bridge: &mut Bridge) {
    bridge
        .until("all is sent", |status| {
            status.link.connected && status.pending == 0 && status.records == 0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_is_lost_when_the_broker_is_killed() {
    const RECORDS: usize = 6_000;
    for (version, delay) in [(MqttVersion::V5, 0), (MqttVersion::V311, 50)] {
        let mut broker = Mosquitto::start();
        // The bridge comes back only once somebody listens again.
        let proxy = Proxy::start(broker.address()).await;
        proxy.delay(Duration::from_millis(delay));
        let mqtt = Mqtt {
            version,
            ..settings(proxy.address())
        };
        let store = memory_store();
        let mut watcher = Watcher::connect(broker.address()).await;
        let mut bridge = Bridge::start(mqtt, "b1", &["m1"], &store).await;
        let mut collected = Collected::default();
        let records = numbered(0..RECORDS);
        for (life, records) in records.chunks(RECORDS / 4).enumerate() {
            store.append(records.to_vec()).await;
            bridge.send("m1", vec![named(&life.to_string())]).await;
            if life < 3 {
                until_count(&mut watcher, RECORDS / 12).await;
                broker.kill9();
                proxy.refuse(true);
                broker.restart();
                watcher.ended().await;
                collected.add(&watcher);
                watcher = Watcher::connect(broker.address()).await;
                proxy.refuse(false);
            }
        }
        until_sent(&mut bridge).await;
        let all = watcher.until("the last one", |seen| {
            let last = format!("{} ", RECORDS - 1);
            seen.log
                .iter()
                .any(|(topic, payload)| topic == TOPIC && payload.starts_with(&last))
        });
        all.await;
        collected.add(&watcher);
        collected.is_complete(RECORDS);
        assert!(bridge.status.borrow().link.connections >= 4);
        bridge.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_is_lost_when_a_long_network_is_cut() {
    const RECORDS: usize = 4_000;
    // Its usual 20 at once would be 200 records a second over such a network.
    let broker = Mosquitto::start_with(Options {
        lines: vec!["max_inflight_messages 1000".to_owned()],
        ..Options::default()
    });
    let proxy = Proxy::start(broker.address()).await;
    proxy.delay(Duration::from_millis(50));
    let store = memory_store();
    let mut watcher = Watcher::connect(broker.address()).await;
    let mut bridge = Bridge::start(settings(proxy.address()), "b1", &["m1"], &store).await;
    store.append(numbered(0..RECORDS)).await;
    for cut in 1..=3 {
        until_count(&mut watcher, cut * RECORDS / 5).await;
        proxy.cut();
        bridge
            .until("a new connection", |status| status.link.connections > cut as u64)
            .await;
    }
    until_sent(&mut bridge).await;
    let mut collected = Collected::default();
    watcher
        .until("all of them", |seen| {
            seen.log.iter().filter(|(topic, _)| topic == TOPIC).count() >= RECORDS
        })
        .await;
    collected.add(&watcher);
    collected.is_complete(RECORDS);
    assert!(collected.duplicates > 0, "what was in flight at a cut came twice");
    bridge.stop().await;
}

#[tokio::test]
async fn a_new_publisher_sends_what_the_old_one_left() {
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.address()).await;
    let store = memory_store();
    let mut watcher = Watcher::connect(broker.address()).await;
    let mut bridge = Bridge::start(settings(proxy.address()), "b1", &["m1"], &store).await;
    until_sent(&mut bridge).await;
    // They reach the broker, but no answer comes back.
    proxy.delay(Duration::from_millis(500));
    store.append(numbered(0..300)).await;
    until_count(&mut watcher, 1).await;
    bridge.crash().await;

    let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &store).await;
    until_sent(&mut bridge).await;
    watcher
        .until("the last one", |seen| {
            seen.log
                .iter()
                .any(|(topic, payload)| topic == TOPIC && payload.starts_with("299 "))
        })
        .await;
    let mut collected = Collected::default();
    collected.add(&watcher);
    collected.is_complete(300);
    bridge.stop().await;
}

#[tokio::test]
async fn the_state_is_current_before_the_records_follow() {
    const DEVICES: usize = 3_000;
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.address()).await;
    let store = memory_store();
    let mut bridge = Bridge::start(settings(proxy.address()), "b1", &["m1"], &store).await;
    until_sent(&mut bridge).await;
    proxy.refuse(true);
    bridge
        .until("no connection", |status| !status.link.connected)
        .await;
    store.append(numbered(0..2_000)).await;
    for n in 0..DEVICES {
        bridge
            .send(&format!("d{n}"), vec![available(Availability::Online)])
            .await;
    }
    bridge
        .eventually("all is taken", |status| {
            status.topics == DEVICES + 2 && status.records == 2_000
        })
        .await;
    // A topic goes out once the list has it.
    let listed = async { while store.published_topics().await.unwrap().len() < DEVICES + 2 {} };
    timeout(PATIENCE, listed)
        .await
        .expect("all topics are in the list");
    let mut watcher = Watcher::connect(broker.address()).await;
    let before = watcher.now().log.len();
    proxy.refuse(false);
    until_count(&mut watcher, 2_000).await;
    let log = watcher.now().log.split_off(before);
    let first_record = log.iter().position(|(topic, _)| topic == TOPIC).unwrap();
    let states = log
        .iter()
        .filter(|(topic, _)| topic.starts_with("lantime/d"))
        .count();
    assert_eq!(states, DEVICES);
    assert!(
        log[first_record..].iter().all(|(topic, _)| topic == TOPIC),
        "no state comes after the first record"
    );
    bridge.stop().await;
}

pub(super) fn dead_letter(id: &str) -> DeadLetter {
    let now = Timestamp::now();
    DeadLetter {
        id: Uuid::now_v7(),
        at: now,
        device: Some(device(id)),
        slot: None,
        operation: Operation::Poll,
        error: ErrorReport::new(ErrorKind::Timeout, "no answer", "see whether it runs"),
        attempts: 1,
        first_at: now,
        repeats: None,
        recovered: false,
        origin: None,
    }
}

#[tokio::test]
async fn a_dead_letter_is_a_record_and_not_retained() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let store = memory_store();
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &store).await;
    let dead_letter = dead_letter("m1");
    bridge
        .update(Update::DeadLetter(Box::new(dead_letter.clone())))
        .await;
    let seen = watcher
        .until("the dead letter", |seen| {
            seen.last("lantime/dead-letter/m1").is_some()
        })
        .await;
    let id = dead_letter.id.to_string();
    assert!(seen.last("lantime/dead-letter/m1").unwrap().contains(&id));
    assert!(
        store.dead_letter(dead_letter.id).await.unwrap().is_some(),
        "it stays in the archive"
    );
    until_sent(&mut bridge).await;
    drop(watcher);
    let mut late = Watcher::connect(broker.address()).await;
    let seen = late
        .until("what is retained", |seen| {
            seen.is("lantime/bridge/b1/state", "online")
        })
        .await;
    assert!(seen.last("lantime/dead-letter/m1").is_none());
    bridge.stop().await;
}

#[tokio::test]
async fn a_clean_stop_sends_what_there_is_and_says_offline_last() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let store = memory_store();
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &store).await;
    until_sent(&mut bridge).await;
    store.append(numbered(0..1_000)).await;
    for n in 0..100 {
        bridge
            .update(Update::DeadLetter(Box::new(dead_letter(&format!("d{n}")))))
            .await;
    }
    bridge.stop().await;
    let seen = watcher
        .until("offline", |seen| seen.is("lantime/bridge/b1/state", "offline"))
        .await;
    let count = |prefix: &str| {
        seen.log
            .iter()
            .filter(|(topic, _)| topic.starts_with(prefix))
            .count()
    };
    assert_eq!((count(TOPIC), count("lantime/dead-letter/")), (1_000, 100));
    assert_eq!(seen.log.last().unwrap().1, "offline");
}

#[tokio::test]
async fn what_could_not_be_sent_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let dead_letter = dead_letter("m1");
    {
        let store = Store::open(directory.path(), store_options()).unwrap();
        let mut bridge = Bridge::start(settings(nobody), "b1", &["m1"], &store).await;
        bridge
            .until("it tries", |status| status.link.last_error.is_some())
            .await;
        store.append(numbered(0..700)).await;
        bridge
            .update(Update::DeadLetter(Box::new(dead_letter.clone())))
            .await;
        bridge.stop().await;
    }
    let store = Store::open(directory.path(), store_options()).unwrap();
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &store).await;
    let id = dead_letter.id.to_string();
    watcher
        .until("the last of them", |seen| {
            let last = seen.last("lantime/dead-letter/m1");
            last.is_some_and(|dead_letter| dead_letter.contains(&id))
        })
        .await;
    until_sent(&mut bridge).await;
    let mut collected = Collected::default();
    collected.add(&watcher);
    collected.is_complete(700);
    assert_eq!(collected.duplicates, 0);
    bridge.stop().await;
}

#[tokio::test]
async fn a_transition_is_retained_as_state_and_published_as_a_record() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &memory_store()).await;
    bridge.send("m1", vec![relay(Position::No)]).await;
    bridge
        .send("m1", vec![relay_switches(Position::No, Position::Nc)])
        .await;
    let seen = watcher
        .until("the record", |seen| seen.last("lantime/m1/io3/changes").is_some())
        .await;
    let json = |topic: &str| serde_json::from_str::<serde_json::Value>(seen.last(topic).unwrap()).unwrap();
    assert_eq!(json("lantime/m1/io3/relay/a")["position"], "NC");
    let record = json("lantime/m1/io3/changes");
    assert_eq!(
        (&record["relay"], &record["old"], &record["new"]),
        (&"a".into(), &"NO".into(), &"NC".into())
    );
    let count = seen
        .log
        .iter()
        .filter(|(topic, _)| topic.ends_with("/changes"))
        .count();
    assert_eq!(count, 1, "the first sight is no change");
    bridge.stop().await;
}

#[tokio::test]
async fn a_reply_goes_to_its_own_topic_with_its_correlation() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let broker = EmbeddedBroker::bind(any, None).await.unwrap();
    let address = broker.address();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(broker.run(stop.clone()));

    let options = MqttOptions::new("user", address.ip().to_string(), address.port());
    let (client, mut user) = AsyncClient::new(options, 8);
    let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
    client.try_subscribe("my/inbox", qos).unwrap();
    while !matches!(user.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}

    for version in VERSIONS {
        let mqtt = Mqtt {
            version,
            ..settings(address)
        };
        let store = memory_store();
        let mut bridge = Bridge::start(mqtt, "b1", &["m1"], &store).await;
        let record = Record {
            correlation: Some(Bytes::from_static(b"\x00c1")),
            ..reply("my/inbox", "done")
        };
        store.append(vec![record]).await;
        let reply = async {
            loop {
                if let Event::Incoming(Packet::Publish(publish)) = user.poll().await.unwrap() {
                    return publish;
                }
            }
        };
        let reply = timeout(PATIENCE, reply).await.expect("a reply");
        assert_eq!((&reply.payload[..], reply.retain), (&b"done"[..], false));
        let correlation = reply
            .properties
            .and_then(|properties| properties.correlation_data);
        match version {
            MqttVersion::V5 => assert_eq!(correlation.as_deref(), Some(&b"\x00c1"[..])),
            MqttVersion::V311 => assert_eq!(correlation, None),
        }
        until_sent(&mut bridge).await;
        bridge.stop().await;
    }
    stop.cancel();
    timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn state_that_changes_faster_than_the_broker_takes_it_keeps_no_record_waiting_for_ever() {
    let store = memory_store();
    store.append(numbered(0..5)).await;
    let broker = FakeBroker::start().await;
    let devices = ["m1", "m2", "m3", "m4"];
    let bridge = Bridge::start(broker.settings(), "b1", &devices, &store).await;
    let mut conversation = broker.accept_few(2).await;
    let mut records = 0;
    for taken in 0..200 {
        for device in devices {
            bridge.send(device, vec![named(&format!("name-{taken}"))]).await;
        }
        let (topic, _) = conversation.take(|_| PubAckReason::Success).await;
        records += usize::from(topic == TOPIC);
        if records == 5 {
            return;
        }
    }
    panic!("{records} of 5 records in 200 messages");
}

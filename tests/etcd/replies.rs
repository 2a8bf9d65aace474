//! The publisher of a shard sends the replies that are kept in etcd; what is kept on its host goes out by another publisher.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use lantime2mqtt::config::{Broker, Layout, Mqtt, MqttVersion, Transport};
use lantime2mqtt::contract::topics::Destination;
use lantime2mqtt::hub::Hub;
use lantime2mqtt::model::{DeviceId, ShardId};
use lantime2mqtt::mqtt::publisher::{Publisher, Role, Setup};
use lantime2mqtt::records::store::{Options, Store};
use lantime2mqtt::tls::ClientTls;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::client;
use super::ledger::{Owner, command, kept, record, reply};
use super::support::etcd::Etcd;
use super::support::mosquitto::Mosquitto;
use super::support::{PATIENCE, Watcher, wait};

fn mqtt(broker: &Mosquitto) -> Mqtt {
    let (host, port) = (broker.address().ip().to_string(), broker.address().port());
    Mqtt {
        broker: Broker::Remote {
            transport: Transport::Tcp,
            host,
            port,
            path: String::new(),
        },
        version: MqttVersion::V5,
        prefix: "lantime".to_owned(),
        layout: Layout::Json,
        client_id: "plant-a-00".to_owned(),
        credentials: None,
        tls: ClientTls::default(),
        keep_alive: Duration::from_secs(5),
        session_expiry: Duration::from_secs(60),
    }
}

#[tokio::test]
async fn a_shard_sends_its_replies_and_nothing_else() {
    let (etcd, broker) = (Etcd::start(), Mosquitto::start());
    let client = client(etcd.endpoints());
    let mut watcher = Watcher::connect(broker.address()).await;
    let owner = Owner::next(&client).await;
    let bridge = DeviceId::new("b1").unwrap();
    let store = Store::in_memory(Options::new(bridge.clone()));
    let of_host = Destination::Events(DeviceId::new("m1").unwrap());
    store.append(vec![record(of_host, "{}")]).await;
    let setup = Setup {
        mqtt: mqtt(&broker),
        bridge,
        role: Role::Shard {
            shard: ShardId(0),
            fence: owner.gate.fence(),
            taken_at: tokio::time::Instant::now(),
            left: Vec::new(),
            hand_over: CancellationToken::new(),
            replies: Some(owner.ledger.clone()),
        },
        remembered: Vec::new(),
        store: store.clone(),
        discovery: None,
        stop_within: Duration::from_secs(3),
    };
    let (updates, received) = mpsc::channel(1);
    let (publisher, mut status) = Publisher::new(setup, Hub::new([], received));
    let task = tokio::spawn(publisher.run());
    let numbers = owner.receive(vec![command("1"), command("2")]).await.unwrap();
    for (number, payload) in numbers.into_iter().zip(["1", "2"]) {
        owner.ledger.finish(number, reply(payload)).await;
    }
    watcher
        .until("both replies", |seen| seen.last("back") == Some("2"))
        .await;
    wait::until("no reply left", async || {
        kept(&client, "replies/").await.is_empty()
    })
    .await;
    let none_waits = status.wait_for(|status| status.records == 0);
    timeout(PATIENCE, none_waits).await.unwrap().unwrap();
    drop(updates);
    task.await.unwrap();
    let seen = watcher
        .until("an end", |seen| seen.is("lantime/shard/00/state", "offline"))
        .await;
    let mut counts = BTreeMap::<_, usize>::new();
    for (topic, _) in &seen.log {
        *counts.entry(topic.as_str()).or_default() += 1;
    }
    assert_eq!(counts.get("back"), Some(&2), "{counts:?}");
    assert!(!counts.keys().any(|topic| topic.contains("m1")), "{counts:?}");
    let left = store.outbox(0, 9, usize::MAX).await.unwrap();
    assert_eq!(left[0].1.payload, Bytes::from_static(b"{}"));
}

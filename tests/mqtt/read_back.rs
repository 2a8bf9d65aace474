//! What is retained is read back: at many topics, and below filters.

use std::collections::BTreeSet;

use lantime2mqtt::boot_time::BootTime;
use lantime2mqtt::cluster::entries::{Revision, Token};
use lantime2mqtt::cluster::fence::{Gate, Permit};
use lantime2mqtt::mqtt::payload::Message;
use lantime2mqtt::mqtt::read_back::{read_back, read_below, take_over};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions};

use crate::settings;
use crate::support::PATIENCE;
use crate::support::mosquitto::Mosquitto;

/// More than one connection asks for.
const TOPICS: usize = 20_100;

/// Has the broker retain something at each of these topics.
async fn retain(broker: &Mosquitto, topics: &[String]) {
    let address = broker.address();
    let mut options = MqttOptions::new("retainer", address.ip().to_string(), address.port());
    options.set_outgoing_inflight_upper_limit(1000);
    let (client, mut events) = AsyncClient::new(options, 100);
    let publish = async {
        for topic in topics {
            client.publish(topic, QoS::AtLeastOnce, true, "x").await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let acknowledged = async {
        let mut missing = topics.len();
        while missing > 0 {
            if let Event::Incoming(Incoming::PubAck(_)) = events.poll().await.unwrap() {
                missing -= 1;
            }
        }
    };
    tokio::select! {
        () = publish => {}
        () = acknowledged => {}
    }
}

#[tokio::test]
async fn more_topics_than_one_connection_asks_for_are_read_back() {
    let broker = Mosquitto::start();
    let topics: Vec<_> = (0..TOPICS).map(|n| format!("lantime/m{n}/state")).collect();
    retain(&broker, &topics).await;
    let mut found = BTreeSet::new();
    let mqtt = settings(broker.address());
    let read = read_back(&mqtt, &topics, |topic, payload| {
        assert_eq!(payload, b"x");
        found.insert(topic.to_owned());
    });
    assert_eq!(read.await, Ok(()));
    assert_eq!(found, topics.into_iter().collect());
}

#[tokio::test]
async fn all_below_the_filters_is_read_back_and_nothing_else() {
    let broker = Mosquitto::start();
    let topics = |device: &'static str| (0..2_000).map(move |n| format!("lantime/{device}/event/{n}"));
    let (wanted, others) = (topics("m1").chain(topics("m2")), topics("m3"));
    let wanted: BTreeSet<_> = wanted.collect();
    retain(&broker, &others.chain(wanted.clone()).collect::<Vec<_>>()).await;
    let mut found = BTreeSet::new();
    let filters = ["m1", "m2", "never-published"].map(|device| format!("lantime/{device}/#"));
    let mqtt = settings(broker.address());
    let read = read_below(&mqtt, 0, &filters, |topic, _| {
        found.insert(topic.to_owned());
        found.len() == 4_000
    });
    assert_eq!(read.await, Ok(()));
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn who_takes_a_shard_over_ends_the_connection_of_its_owner() {
    let broker = Mosquitto::start();
    let mqtt = settings(broker.address());
    let address = broker.address();
    let mut options = MqttOptions::new(&mqtt.client_id, address.ip().to_string(), address.port());
    options.set_clean_start(false);
    let (_client, mut owner) = AsyncClient::new(options, 10);
    let connected = owner.poll().await.unwrap();
    assert!(matches!(connected, Event::Incoming(Incoming::ConnAck(_))));
    let will = Message {
        topic: "lantime/shard/00/state".to_owned(),
        payload: Some("offline".into()),
    };
    let gate = Gate::closed();
    gate.set(Some(Permit {
        token: Token(Revision(1)),
        until: BootTime::now() + PATIENCE,
    }));
    let fence = gate.fence();
    assert_eq!(take_over(&mqtt, will.clone(), &fence).await, Ok(0));
    let ended = async { while owner.poll().await.is_ok() {} };
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    assert!(ended.is_ok(), "it is still connected");
    gate.set(None);
    assert!(
        take_over(&mqtt, will, &fence).await.is_err(),
        "another one may own it"
    );
}

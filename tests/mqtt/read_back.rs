//! What is retained at many topics is read back, however many they are.

use std::collections::BTreeSet;

use lantime2mqtt::mqtt::read_back::read_back;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions};

use crate::settings;
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

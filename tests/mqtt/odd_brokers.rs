//! Brokers that do not let the bridge in, each in its own way: the error names the remedy.

use lantime2mqtt::config::{Mqtt, MqttVersion};
use rumqttc::v5::mqttbytes::v5::PubAckReason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::bridge::Bridge;
use crate::fake_broker::FakeBroker;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::{memory_store, settings};

/// The first error of a bridge with these settings; it never comes in.
async fn first_error(mqtt: Mqtt) -> String {
    let mut bridge = Bridge::start(mqtt, "b1", &[], &memory_store()).await;
    let status = bridge
        .until("refused", |status| status.link.last_error.is_some())
        .await;
    assert_eq!(status.link.connections, 0, "{status:?}");
    bridge.crash().await;
    status.link.last_error.unwrap()
}

/// What a bridge says of a broker that answers CONNECT with `answer` and then closes the connection; none: it says
/// nothing and lets it stand.
async fn of_answer(version: MqttVersion, answer: Option<&'static [u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let broker = tokio::spawn(async move {
        let mut standing = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // All of it: what is closed with something unread takes the answer along.
            let mut hello = [0; 1024];
            let _ = stream.read(&mut hello).await;
            match answer {
                Some(answer) => stream.write_all(answer).await.unwrap(),
                None => standing.push(stream),
            }
        }
    });
    let error = first_error(Mqtt {
        version,
        ..settings(address)
    })
    .await;
    broker.abort();
    assert!(error.contains(&address.to_string()), "{error}");
    error
}

#[tokio::test]
async fn an_answer_to_connect_has_its_remedy() {
    use MqttVersion::{V5, V311};
    for (version, answer, words) in [
        // Client id not valid.
        (V311, Some(&[0x20, 2, 0, 2][..]), &["mqtt.client_id"][..]),
        (V5, Some(&[0x20, 3, 0, 0x85, 0]), &["mqtt.client_id"]),
        // Unsupported protocol version; the second one in the form of 3.1.1, which MQTT 5 cannot read.
        (V5, Some(&[0x20, 3, 0, 0x84, 0]), &["mqtt.version"]),
        (V5, Some(&[0x20, 2, 0, 1]), &["mqtt.version"]),
        (V311, Some(&[0x20, 2, 0, 1]), &["mqtt.version"]),
        // A code of MQTT 5 in the form of 3.1.1.
        (V311, Some(&[0x20, 2, 0, 0x84]), &["mqtt.version"]),
        (V311, Some(&[0x20, 2, 0, 0x87]), &["mqtt.username"]),
        // Packet too large, quota exceeded.
        (V5, Some(&[0x20, 3, 0, 0x95, 0]), &["limit of the packet size"]),
        (V5, Some(&[0x20, 3, 0, 0x97, 0]), &["limit of connections"]),
        // The retained will; QoS 1.
        (V5, Some(&[0x20, 3, 0, 0x9a, 0]), &["retained messages"]),
        (V5, Some(&[0x20, 3, 0, 0x9b, 0]), &["QoS 1"]),
        // DISCONNECT in place of CONNACK.
        (V5, Some(&[0xe0, 2, 0x89, 0]), &["server busy"]),
        // No answer: the connection is closed, or stands.
        (
            V311,
            Some(&[]),
            &["mqtt.version", "mqtt.client_id", "QoS 1", "retained"],
        ),
        (V5, Some(&[]), &["mqtt.version", "mqtt.client_id"]),
        (V5, None, &["mqtt.version"]),
        (V311, None, &["mqtt.version"]),
    ] {
        let error = of_answer(version, answer).await;
        for word in words {
            assert!(error.contains(word), "{version:?} {answer:x?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_subscription_that_is_refused_beyond_understanding_costs_one_connection_and_no_other() {
    const TOPIC_NAME_INVALID: u8 = 0x90;
    let broker = FakeBroker::start().await;
    let mut bridge = Bridge::start_discovered(broker.settings(), "b1", &[], &memory_store()).await;
    let mut conversation = broker.accept().await;
    let asked = conversation.answer_together(&[TOPIC_NAME_INVALID]).await;
    assert_eq!(asked, [["homeassistant/status"]]);
    let mut conversation = broker.accept().await;
    let asked = conversation.answer_together(&[1, TOPIC_NAME_INVALID]).await;
    assert_eq!(asked, [["lantime/bridge/b1/state"], ["lantime/+/state"]]);
    let mut conversation = broker.accept().await;
    assert_eq!(
        conversation.answer_together(&[1]).await,
        [["lantime/bridge/b1/state"]]
    );
    let taking = tokio::spawn(async move {
        loop {
            conversation.take(|_| PubAckReason::Success).await;
        }
    });
    let status = bridge
        .until("all is published", |status| {
            status.link.connected && status.pending == 0
        })
        .await;
    assert_eq!(status.link.connections, 3);
    taking.abort();
    bridge.crash().await;
}

#[tokio::test]
async fn a_broker_without_qos_1_or_retained_messages_is_named() {
    for (limit, missing) in [
        ("retain_available false", "retained messages"),
        ("max_qos 0", "QoS 1"),
    ] {
        for version in [MqttVersion::V5, MqttVersion::V311] {
            let broker = Mosquitto::start_with(Options {
                lines: vec![limit.to_owned()],
                ..Options::default()
            });
            let error = first_error(Mqtt {
                version,
                ..settings(broker.address())
            })
            .await;
            assert!(error.contains(missing), "{version:?}: {error}");
            assert!(error.contains(&broker.address().to_string()), "{error}");
        }
    }
}

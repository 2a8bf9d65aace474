//! What somebody else publishes at our own state topics does not stay there.

use lantime2mqtt::config::{Mqtt, MqttVersion};
use lantime2mqtt::model::Availability;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};

use crate::bridge::{Bridge, available, first_changes};
use crate::fake_broker::FakeBroker;
use crate::support::Watcher;
use crate::support::clients::Clients;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::{memory_store, settings};

const BRIDGE: &str = "lantime/bridge/b1/state";
const DEVICE: &str = "lantime/m1/state";

/// A bridge with the device `m1`, all of its state published.
async fn published(mqtt: Mqtt) -> Bridge {
    let mut bridge = Bridge::start(mqtt, "b1", &["m1"], &memory_store()).await;
    bridge.send("m1", first_changes()).await;
    bridge
        .until("the state", |status| {
            status.link.connections == 1 && status.pending == 0
        })
        .await;
    bridge
}

#[tokio::test]
async fn what_others_publish_at_our_state_topics_is_replaced_and_counted() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let broker = Mosquitto::start();
        let clients = Clients::of(broker.address());
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let mut bridge = published(mqtt).await;
        let mut watcher = Watcher::connect(broker.address()).await;
        watcher
            .until("all is online", |seen| {
                seen.is(BRIDGE, "online") && seen.is(DEVICE, "online")
            })
            .await;
        // A will that comes late, and one who clears.
        clients.publish(BRIDGE, "offline", &["-r"]).await;
        clients.publish(DEVICE, "", &["-r"]).await;
        clients.publish("lantime/other/state", "offline", &["-r"]).await;
        bridge
            .until("two are replaced", |status| status.restored == 2)
            .await;
        let mut late = Watcher::connect(broker.address()).await;
        late.until("ours stand there again, and not what is not ours", |seen| {
            seen.is(BRIDGE, "online")
                && seen.is(DEVICE, "online")
                && seen.is("lantime/other/state", "offline")
        })
        .await;
        assert_eq!(bridge.status.borrow().link.connections, 1, "{version:?}");
        bridge.stop().await;
    }
}

/// A will of an earlier connection that the broker publishes late comes from our own client id. (mosquitto publishes that of
/// a connection that is taken over at once, a broker of several nodes when one of them notices.)
#[tokio::test]
async fn a_late_will_of_our_own_is_replaced() {
    let broker = FakeBroker::start().await;
    let mut bridge = Bridge::start(broker.settings(), "b1", &[], &memory_store()).await;
    let mut conversation = broker.accept().await;
    let Packet::Subscribe(subscribe) = conversation.next_but_pings().await else {
        panic!("a subscription");
    };
    let own = subscribe
        .filters
        .iter()
        .find(|filter| filter.path == BRIDGE)
        .unwrap();
    assert!(!own.nolocal, "a broker would keep it from us");
    conversation.grant(subscribe).await;
    while conversation.take(|_| PubAckReason::Success).await.0 != BRIDGE {}
    // What is published there is the topic, and so not ours.
    conversation.publish(1, QoS::AtLeastOnce, BRIDGE).await;
    let again = loop {
        match conversation.next_but_pings().await {
            Packet::PubAck(_) => {}
            Packet::Publish(publish) => break publish,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        (&again.topic[..], &again.payload[..]),
        (BRIDGE.as_bytes(), &b"online"[..])
    );
    bridge.until("counted", |status| status.restored == 1).await;
    bridge.crash().await;
}

/// A client gets its own messages, too.
#[tokio::test]
async fn our_own_messages_are_not_taken_for_those_of_others() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let broker = Mosquitto::start();
        let clients = Clients::of(broker.address());
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let mut bridge = published(mqtt).await;
        for round in 0..100 {
            let availability = match round % 2 {
                0 => Availability::Offline,
                _ => Availability::Online,
            };
            bridge.send("m1", vec![available(availability)]).await;
        }
        // Whatever was echoed has come before this.
        clients.publish(BRIDGE, "offline", &["-r"]).await;
        bridge
            .until("one is replaced", |status| status.restored > 0)
            .await;
        assert_eq!(bridge.status.borrow().restored, 1, "{version:?}");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_broker_that_does_not_let_us_read_our_topics_costs_nothing_else() {
    let rights = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(rights.path(), "topic write lantime/#\n").unwrap();
    let broker = Mosquitto::start_with(Options {
        lines: vec![format!("acl_file {}", rights.path().display())],
        ..Options::default()
    });
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let bridge = published(mqtt).await;
        assert_eq!(bridge.status.borrow().link.connections, 1, "{version:?}");
        bridge.stop().await;
    }
}

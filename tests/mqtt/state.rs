//! What is retained, and when it is sent.

use std::net::SocketAddr;

use lantime2mqtt::config::{Layout, Mqtt, MqttVersion, Transport};
use lantime2mqtt::model::{Position, Update};
use lantime2mqtt::mqtt::embedded::EmbeddedBroker;
use lantime2mqtt::records::store::Store;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::bridge::{Bridge, expected, first_changes, named, relay, without_info};
use crate::support::mosquitto::Mosquitto;
use crate::support::{PATIENCE, Watcher};
use crate::{device, memory_store, remote, settings};

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
            // In a fault first: what no longer applies afterwards must be cleared, in the scalar layout too.
            bridge.send("m1", vec![relay(Position::Nc)]).await;
            bridge
                .until("the fault", |status| {
                    status.link.connections == 1 && status.pending == 0
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
            bridge.update(Update::Removed { device: device("m1") }).await;
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
    bridge.update(Update::Configured(vec![device("m1")])).await;
    bridge.send("m1", vec![named("end")]).await;
    let seen = watcher
        .until("the end", |seen| seen.topics.contains_key("lantime/m1/info"))
        .await;
    // Bridge state and info, the three changes, and the end.
    assert_eq!(seen.log.len(), 6, "{:#?}", seen.log);
    bridge.stop().await;
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

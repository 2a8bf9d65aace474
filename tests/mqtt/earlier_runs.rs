//! What earlier runs and configurations have published.

use std::collections::{BTreeMap, HashSet};

use lantime2mqtt::config::{Layout, Mqtt};
use lantime2mqtt::contract::topics::{DeviceTopic, SlotTopic, Topics};
use lantime2mqtt::model::{Availability, Relay, Update};
use lantime2mqtt::mqtt::publisher::remembered;
use lantime2mqtt::records::store::Store;

use crate::bridge::{Bridge, available, expected, first_changes, slot, without_info};
use crate::support::Watcher;
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;
use crate::{device, memory_store, settings, store_options};

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
            status.link.connected && status.pending == 0 && status.topics > 10
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
            .until("m2 is cleared", |seen| {
                !seen.topics.contains_key("lantime/m2/state")
            })
            .await;
        bridge.send("m1", vec![available(Availability::Offline)]).await;
        watcher
            .until("m1 is offline", |seen| seen.is("lantime/m1/state", "offline"))
            .await;
        assert!(
            watcher.now().is("lantime/m1/io3/state", "online"),
            "not settled yet: kept"
        );
        bridge.update(Update::Settled { device: device("m1") }).await;
        watcher
            .until("the slot is cleared", |seen| {
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
    bridge.until("cut", |status| !status.link.connected).await;
    bridge.update(Update::Removed { device: device("m1") }).await;
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

//! What Home Assistant discovers is at the broker as long as it is so, and is sent again when Home Assistant starts.

use lantime2mqtt::config::{Layout, Mqtt, MqttVersion};
use lantime2mqtt::model::{Availability, Change, Position, Relay, Update};
use serde_json::Value;

use crate::bridge::{Bridge, named, relay, slot};
use crate::common::clients::Clients;
use crate::common::mosquitto::Mosquitto;
use crate::common::{Seen, Watcher};
use crate::{device, memory_store, settings};

const RELAY: &str = "homeassistant/binary_sensor/lantime_device_m1/io3_relay_a/config";
const REFRESH: &str = "homeassistant/button/lantime_device_m1/refresh/config";
const BRIDGE: &str = "homeassistant/binary_sensor/lantime_bridge_b1/connection/config";

fn first_changes() -> Vec<Change> {
    vec![
        Change::Availability(Availability::Online),
        named("ntp-1"),
        relay(Position::No),
    ]
}

fn relay_leaves() -> Vec<Change> {
    vec![Change::Relay {
        slot: slot(),
        relay: Relay::A,
        old: None,
        new: None,
    }]
}

fn discovered(seen: &Seen) -> Vec<&str> {
    let topics = seen.topics.keys().map(String::as_str);
    topics
        .filter(|topic| topic.starts_with("homeassistant/"))
        .collect()
}

/// Every topic that an entity reads, in all that is discovered.
fn state_topics(seen: &Seen) -> Vec<String> {
    let configs = discovered(seen).into_iter().map(|topic| {
        let config: Value = serde_json::from_str(&seen.topics[topic]).unwrap();
        config["state_topic"].as_str().map(str::to_owned)
    });
    configs.flatten().collect()
}

#[tokio::test]
async fn what_goes_is_taken_away_and_what_others_discover_is_not_touched() {
    let broker = Mosquitto::start();
    let foreign = "homeassistant/sensor/lantime_bridge_b2/x/config";
    Clients::of(broker.address())
        .publish(foreign, "{}", &["-r", "-q", "1"])
        .await;
    let mut watcher = Watcher::connect(broker.address()).await;
    let store = memory_store();
    let bridge = Bridge::start_discovered(settings(broker.address()), "b1", &["m1"], &store).await;
    bridge.send("m1", first_changes()).await;
    watcher
        .until("the relay is discovered", |seen| {
            seen.topics.contains_key(RELAY) && seen.topics.contains_key(BRIDGE)
        })
        .await;
    bridge.send("m1", relay_leaves()).await;
    watcher
        .until("the relay is gone, the device is not", |seen| {
            !seen.topics.contains_key(RELAY) && seen.topics.contains_key(REFRESH)
        })
        .await;
    bridge.tell(Update::Removed { device: device("m1") }).await;
    let seen = watcher
        .until("the device is gone", |seen| !seen.topics.contains_key(REFRESH))
        .await;
    assert_eq!(discovered(&seen), [BRIDGE, foreign]);
    bridge.stop().await;
}

#[tokio::test]
async fn an_earlier_run_s_entities_stay_until_their_device_is_seen_and_go_with_discovery() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let store = memory_store();
    let bridge = Bridge::start_discovered(settings(broker.address()), "b1", &["m1"], &store).await;
    bridge.send("m1", first_changes()).await;
    watcher
        .until("the relay is discovered", |seen| seen.topics.contains_key(RELAY))
        .await;
    bridge.stop().await;

    let mut bridge = Bridge::start_discovered(settings(broker.address()), "b1", &["m1"], &store).await;
    let offline = vec![
        Change::Availability(Availability::Offline),
        relay(Position::Unknown),
    ];
    bridge.send("m1", offline).await;
    watcher
        .until("the device is away", |seen| {
            seen.is("lantime/m1/state", "offline")
        })
        .await;
    bridge
        .until("all is out", |status| {
            status.link.connected && status.pending == 0
        })
        .await;
    assert!(
        watcher.now().topics.contains_key(RELAY),
        "nobody knows better yet"
    );
    // It comes back without the relay.
    bridge
        .send("m1", [relay_leaves(), vec![named("ntp-1")]].concat())
        .await;
    bridge.tell(Update::Settled { device: device("m1") }).await;
    watcher
        .until("the relay is gone", |seen| {
            !seen.topics.contains_key(RELAY) && seen.topics.contains_key(REFRESH)
        })
        .await;
    bridge.stop().await;

    let bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &store).await;
    watcher
        .until("all is gone", |seen| discovered(seen).is_empty())
        .await;
    bridge.stop().await;
}

#[tokio::test]
async fn the_birth_of_home_assistant_brings_everything_again_what_there_is_first() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let broker = Mosquitto::start();
        let clients = Clients::of(broker.address());
        // A stored copy is no birth: it would come with each connection.
        clients
            .publish("homeassistant/status", "online", &["-r", "-q", "1"])
            .await;
        let mut watcher = Watcher::connect(broker.address()).await;
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let mut bridge = Bridge::start_discovered(mqtt, "b1", &["m1"], &memory_store()).await;
        bridge.send("m1", first_changes()).await;
        bridge
            .until("all is out", |status| {
                status.link.connected && status.pending == 0
            })
            .await;
        watcher
            .until("the relay is there", |seen| {
                seen.topics.contains_key("lantime/m1/io3/relay/a") && seen.topics.contains_key(RELAY)
            })
            .await;
        let before = watcher.now().log.len();
        // Retained, as Home Assistant may be set to.
        clients
            .publish("homeassistant/status", "online", &["-r", "-q", "1"])
            .await;
        let last = "lantime/m1/state";
        let seen = watcher
            .until("all comes again", |seen| {
                seen.log[before..].iter().any(|(topic, _)| topic == last)
            })
            .await;
        let again: Vec<_> = seen.log[before..]
            .iter()
            .map(|(topic, _)| topic.as_str())
            .collect();
        let place = |topic| {
            let places = again.iter().enumerate().filter(|(_, other)| **other == topic);
            places.map(|(place, _)| place).collect::<Vec<_>>()
        };
        let (config, state) = (place(RELAY), place("lantime/m1/io3/relay/a"));
        assert_eq!((config.len(), state.len()), (1, 1), "{again:?}");
        assert!(config < state, "{again:?}");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn entities_read_topics_that_there_are_in_every_layout() {
    for layout in [Layout::Json, Layout::Scalar, Layout::Both] {
        let broker = Mosquitto::start();
        let mut watcher = Watcher::connect(broker.address()).await;
        let mqtt = Mqtt {
            layout,
            ..settings(broker.address())
        };
        let bridge = Bridge::start_discovered(mqtt, "b1", &["m1"], &memory_store()).await;
        bridge.send("m1", first_changes()).await;
        let seen = watcher
            .until("the relay is there", |seen| {
                seen.topics.contains_key(RELAY)
                    && (seen.topics.contains_key("lantime/m1/io3/relay/a")
                        || seen.topics.contains_key("lantime/m1/io3/relay/a/fault"))
            })
            .await;
        let config: Value = serde_json::from_str(&seen.topics[RELAY]).unwrap();
        let topic = config["state_topic"].as_str().unwrap();
        assert!(seen.topics.contains_key(topic), "{layout:?}: {topic}");
        assert_eq!(topic.ends_with("/fault"), layout == Layout::Scalar);
        let is_elsewhere = |topic: &&String| !topic.starts_with("lantime/");
        assert_eq!(state_topics(&seen).iter().find(is_elsewhere), None);
        bridge.stop().await;
    }
}
